//! The terminal: taken once, given back whatever happens.
//!
//! Everything that the console writes goes through one [`Output`], whose frames are written whole
//! and under one lock together with entering and leaving. That is what makes R34 hold: a panic in
//! any thread, a signal or an error leaves the screen in the middle of somebody else's frame or
//! not at all, and nothing is drawn after it was given back.
//!
//! Promises: raw mode, alternate screen, cursor, bracketed paste and mouse are restored on every
//! way out of the process but `SIGKILL`, and a signal while the terminal takes no bytes
//! ([`abandon`]); restoring twice is harmless.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::queue;
use crossterm::style::ResetColor;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::Notify;

use atalaya_ingest::contained::is_contained;

/// What the terminal is set to; guarded by [`SCREEN`].
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// Ours at the moment: raw, alternate screen.
    taken: bool,
    mouse: bool,
}

/// The process has one terminal, so this is a static: the panic hook must reach it from any thread.
static SCREEN: Mutex<Held> = Mutex::new(Held {
    taken: false,
    mouse: false,
});
static WRITTEN: AtomicU64 = AtomicU64::new(0);
static PANICKED: AtomicBool = AtomicBool::new(false);
static PANIC_SEEN: Notify = Notify::const_new();

fn screen() -> MutexGuard<'static, Held> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes written to the terminal since the process began.
pub fn bytes_written() -> u64 {
    WRITTEN.load(Ordering::Relaxed)
}

/// Resolves when some thread or task of the process has panicked.
pub async fn panicked() {
    loop {
        let seen = PANIC_SEEN.notified();
        if PANICKED.load(Ordering::SeqCst) {
            return;
        }
        seen.await;
    }
}

/// Collects what is written and passes it on at `flush`, as one write, while the terminal is ours.
#[derive(Debug, Default)]
pub struct Output {
    pending: Vec<u8>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let held = screen();
        if held.taken && !self.pending.is_empty() {
            WRITTEN.fetch_add(self.pending.len() as u64, Ordering::Relaxed);
            let mut out = io::stdout().lock();
            out.write_all(&self.pending)?;
            out.flush()?;
        }
        drop(held);
        self.pending.clear();
        Ok(())
    }
}

pub type Canvas = Terminal<CrosstermBackend<Output>>;

/// The taken terminal. Dropping it gives it back.
#[derive(Debug)]
pub struct TerminalGuard {
    _private: (),
}

impl TerminalGuard {
    /// Takes the terminal and installs the panic hook that gives it back.
    ///
    /// Fails when standard output is not a terminal.
    pub fn take(mouse: bool) -> io::Result<Self> {
        if !io::stdout().is_terminal() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "standard output is not a terminal",
            ));
        }
        install_panic_hook();
        enter(mouse)?;
        Ok(Self { _private: () })
    }

    pub fn set_mouse(&self, mouse: bool) -> io::Result<()> {
        let mut held = screen();
        if held.taken && held.mouse != mouse {
            let mut out = io::stdout().lock();
            if mouse {
                queue!(out, EnableMouseCapture)?;
            } else {
                queue!(out, DisableMouseCapture)?;
            }
            out.flush()?;
            held.mouse = mouse;
        }
        Ok(())
    }

    /// Writes a sequence of our own outside of a frame (OSC 52).
    pub fn write_sequence(&self, sequence: &str) -> io::Result<()> {
        let held = screen();
        if held.taken {
            let mut out = io::stdout().lock();
            out.write_all(sequence.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }

    /// Gives the terminal back, stops the whole job as Ctrl-Z would, and takes it again once
    /// the shell has continued it. The caller then repaints everything.
    pub fn suspend(&self) -> io::Result<()> {
        let mouse = screen().mouse;
        restore();
        // SIGSTOP, because our own handler catches SIGTSTP; the group, because a shell waits for
        // the job and a wrapper script left running would keep it waiting.
        rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?;
        enter(mouse)
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        restore();
    }
}

fn enter(mouse: bool) -> io::Result<()> {
    let mut held = screen();
    enable_raw_mode()?;
    held.taken = true;
    held.mouse = mouse;
    let mut out = io::stdout().lock();
    queue!(out, EnterAlternateScreen, Hide, EnableBracketedPaste)?;
    if mouse {
        queue!(out, EnableMouseCapture)?;
    }
    out.flush()
}

/// Gives the terminal back if it is ours. Safe to call at any time, from any thread.
pub fn restore() {
    let mut held = screen();
    if !held.taken {
        return;
    }
    held.taken = false;
    let mut out = io::stdout().lock();
    // Nothing can be done about a terminal that is gone: every step is tried, none reported.
    if held.mouse {
        let _ = queue!(out, DisableMouseCapture);
    }
    let _ = queue!(
        out,
        DisableBracketedPaste,
        ResetColor,
        Show,
        LeaveAlternateScreen
    );
    let _ = out.flush();
    let _ = disable_raw_mode();
}

/// Gives back the line settings alone, which needs no byte to be written: for an end while a write
/// waits.
pub(super) fn abandon() {
    let _ = disable_raw_mode();
}

fn install_panic_hook() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.swap(true, Ordering::SeqCst) {
        return;
    }
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // Background work that panics is started again by its supervisor; our own log has it.
        if is_contained() {
            default(info);
            return;
        }
        restore();
        default(info);
        PANICKED.store(true, Ordering::SeqCst);
        PANIC_SEEN.notify_waiters();
    }));
}
