//! Counts the alerts that fire, for the header of every screen.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::supervisor::{Supervisor, WorkerError};
use crate::service::Stores;
use crate::service::alerts::{self, Firing};

/// Rules are evaluated each minute or so.
const EVERY: Duration = Duration::from_secs(10);

/// Starts counting. The receiver changes with each count.
pub fn start(supervisor: &Supervisor, stores: Stores) -> watch::Receiver<Firing> {
    let (sender, receiver) = watch::channel(Firing::default());
    supervisor.spawn("firing alerts", move |cancel| {
        count(stores.clone(), sender.clone(), cancel)
    });
    receiver
}

async fn count(
    stores: Stores,
    sender: watch::Sender<Firing>,
    cancel: CancellationToken,
) -> Result<(), WorkerError> {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while cancel.run_until_cancelled(tick.tick()).await.is_some() {
        let counting = alerts::firing(stores.metrics.as_ref());
        let Some(counted) = cancel.run_until_cancelled(counting).await else {
            break;
        };
        // A store that is away is said elsewhere; the last count stays meanwhile.
        if let Ok(firing) = counted {
            sender.send_if_modified(|known| std::mem::replace(known, firing) != firing);
        }
    }
    Ok(())
}
