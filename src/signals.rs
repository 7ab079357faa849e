//! The one place that turns signals into the end of a command's work.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Whether the command hears the signals itself.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether a signal is ending the process.
static ENDING: AtomicBool = AtomicBool::new(false);
/// Whether a signal is how the command ends.
static EXPECTED: AtomicBool = AtomicBool::new(false);

/// From now on the command ends its own work on a signal.
pub fn take() {
    TAKEN.store(true, Ordering::SeqCst);
}

/// From now on a signal is how the command ends, so that it is a success.
pub fn expect() {
    EXPECTED.store(true, Ordering::SeqCst);
}

/// A token that the first Ctrl-C, SIGTERM or SIGHUP cancels, so that the work ends cleanly.
pub fn cancelled_by_signals() -> CancellationToken {
    take();
    let cancel = CancellationToken::new();
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        // Without a handler the signal ends the process at once, as it would have anyway.
        let Ok(mut received) = signal(kind) else {
            continue;
        };
        let cancel = cancel.clone();
        tokio::spawn(async move {
            if received.recv().await.is_some() {
                cancel.cancel();
            }
        });
    }
    cancel
}

/// Ends the process on the first Ctrl-C, SIGTERM or SIGHUP once `leave` is done, unless the command
/// has [taken](take) them over by then. A second signal does not wait. The exit code is 128 and the
/// signal's number, as shells count, or 0 where a signal is [expected](expect).
///
/// A task of its own, because the command's may wait for whoever reads its output.
pub fn end_after<L: Future<Output = ()> + Send + 'static>(leave: impl Fn() -> L + Send + 'static) {
    let heard = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let mut heard: Vec<(i32, Signal)> = heard
        .into_iter()
        .map(|kind| (kind.as_raw_value(), kind))
        // Of a command in the background, or under `nohup`.
        .filter(|(number, _)| !is_ignored(*number))
        .filter_map(|(number, kind)| Some((number, signal(kind).ok()?)))
        .collect();
    tokio::spawn(async move {
        loop {
            let number = first(&mut heard).await;
            if TAKEN.load(Ordering::SeqCst) {
                continue;
            }
            ENDING.store(true, Ordering::SeqCst);
            tokio::select! {
                () = leave() => {}
                _ = first(&mut heard) => {}
            }
            let is_expected = EXPECTED.load(Ordering::SeqCst);
            std::process::exit(if is_expected { 0 } else { 128 + number });
        }
    });
}

/// Waits for the end of the process, if a signal is ending it: what the command says of its closed
/// stores is of no interest then.
pub async fn leave_it_to_them() {
    if ENDING.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}

async fn first(heard: &mut [(i32, Signal)]) -> i32 {
    let each = heard.iter_mut().map(|(number, signal)| {
        Box::pin(async move {
            signal.recv().await;
            *number
        })
    });
    let each: Vec<_> = each.collect();
    if each.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(each).await.0
}

/// Whether this process was started with a signal ignored. Where `/proc` does not tell, it was not.
pub fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .map(str::trim);
    let bit = u32::try_from(number - 1).unwrap_or(u32::MAX);
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok())
        .and_then(|mask| mask.checked_shr(bit))
        .is_some_and(|mask| mask & 1 == 1)
}
