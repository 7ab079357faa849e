//! The one place that turns signals into the end of a command's work.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first Ctrl-C, SIGTERM or SIGHUP cancels, so that the work ends cleanly.
pub fn cancelled_by_signals() -> CancellationToken {
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
