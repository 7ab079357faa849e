//! What this program writes is its owner's alone: a copy of a log that only root may read must not
//! become readable by everybody. The mask makes it so from the first byte of every file, whoever
//! creates it.

use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::process::umask;

/// What the process was started with.
static INHERITED: OnceLock<Mode> = OnceLock::new();

/// From now on new files are 0600 and new directories 0700. Call it first, before any thread.
pub fn keep() {
    let inherited = umask(Mode::RWXG | Mode::RWXO);
    // A second call would only find our own mask.
    let _ = INHERITED.set(inherited);
}

/// Runs `start` under the mask that this process was started with, for a command that must run as
/// it would have without us. Files that other threads create meanwhile have that mask as well.
pub fn as_inherited<T>(start: impl FnOnce() -> T) -> T {
    let Some(inherited) = INHERITED.get() else {
        return start();
    };
    let ours = umask(*inherited);
    let started = start();
    umask(ours);
    started
}
