//! The signals that the console hears, and its end where the terminal takes no bytes.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

use super::terminal;
use crate::signals::{is_ignored, take};

/// How long the loop has to end by itself after a signal. Far more than a frame takes on a slow line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Ends the process after a signal that the loop does not follow, because its write of a frame waits
/// for a terminal that takes no bytes: a stopped multiplexer, a dead line. What was being read is
/// then taken up at the next start, as after a kill. Nothing happens once the handle is dropped.
pub(super) fn end_when_stuck() -> io::Result<AbortOnDropHandle<()>> {
    // Receivers of its own: each hears every signal.
    let mut signals = Signals::new()?;
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        let number = loop {
            if let Caught::End(number) = signals.next().await {
                break number;
            }
        };
        tokio::time::sleep(PATIENCE).await;
        tracing::warn!(
            number,
            "the terminal takes no bytes; ended without giving it back"
        );
        terminal::abandon();
        std::process::exit(128 + number);
    })))
}

pub(super) enum Caught {
    Resized,
    Stop,
    Continued,
    End(i32),
}

pub(super) struct Signals {
    resized: Signal,
    stop: Signal,
    continued: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Whatever else would end the process with the terminal taken.
    others: [(i32, Signal); 4],
    /// Not caught when it was ignored already (`nohup`): a lost terminal is seen by [`input`](super::input) anyway.
    hang_up: Option<Signal>,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        take();
        let of = |kind: rustix::process::Signal| signal(SignalKind::from_raw(kind.as_raw()));
        let other = |kind: rustix::process::Signal| Ok::<_, io::Error>((kind.as_raw(), of(kind)?));
        Ok(Self {
            resized: signal(SignalKind::window_change())?,
            stop: of(rustix::process::Signal::TSTP)?,
            continued: of(rustix::process::Signal::CONT)?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            others: [
                other(rustix::process::Signal::QUIT)?,
                other(rustix::process::Signal::ABORT)?,
                other(rustix::process::Signal::USR1)?,
                other(rustix::process::Signal::USR2)?,
            ],
            hang_up: if is_ignored(rustix::process::Signal::HUP.as_raw()) {
                None
            } else {
                Some(signal(SignalKind::hangup())?)
            },
        })
    }

    pub(super) async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.resized.recv() => Caught::Resized,
            _ = self.stop.recv() => Caught::Stop,
            _ = self.continued.recv() => Caught::Continued,
            _ = self.terminate.recv() => Caught::End(15),
            _ = self.interrupt.recv() => Caught::End(2),
            () = received(&mut self.hang_up) => Caught::End(1),
            number = any(&mut self.others) => Caught::End(number),
        }
    }
}

/// The number of the first of these that comes.
async fn any([a, b, c, d]: &mut [(i32, Signal); 4]) -> i32 {
    tokio::select! {
        _ = a.1.recv() => a.0,
        _ = b.1.recv() => b.0,
        _ = c.1.recv() => c.0,
        _ = d.1.recv() => d.0,
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
