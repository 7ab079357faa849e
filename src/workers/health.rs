//! Measures host, stores and the workers themselves, now and then.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::scheduler::SeatState;
use super::supervisor::{Supervisor, WorkerError};
use crate::config::Settings;
use crate::service::{self, Stores};
use atalaya_domain::health::{Check, Health};
use atalaya_domain::time::Timestamp;

/// How often host and stores are measured while somebody may be looking.
const EVERY: Duration = Duration::from_secs(10);

/// Starts measuring; also told is who runs the jobs. The receiver changes with each measurement.
pub fn start(
    supervisor: &Supervisor,
    stores: Stores,
    settings: Settings,
    seats: Vec<watch::Receiver<SeatState>>,
) -> watch::Receiver<Health> {
    let unmeasured = Health::new(
        Timestamp::now(),
        Err("not measured yet".to_owned()),
        Vec::new(),
    );
    let (sender, receiver) = watch::channel(unmeasured);
    let watched = supervisor.clone();
    supervisor.spawn("health", move |cancel| {
        measure(
            stores.clone(),
            settings.clone(),
            watched.clone(),
            seats.clone(),
            sender.clone(),
            cancel,
        )
    });
    receiver
}

async fn measure(
    stores: Stores,
    settings: Settings,
    supervisor: Supervisor,
    seats: Vec<watch::Receiver<SeatState>>,
    sender: watch::Sender<Health>,
    cancel: CancellationToken,
) -> Result<(), WorkerError> {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while cancel.run_until_cancelled(tick.tick()).await.is_some() {
        let measuring = service::health::measure(&stores, &settings);
        let Some(measured) = cancel.run_until_cancelled(measuring).await else {
            break;
        };
        let whose: Vec<Check> = seats.iter().map(|seat| seat.borrow().check()).collect();
        sender.send_replace(
            measured
                .with_workers(&supervisor.workers())
                .with_checks(whose),
        );
    }
    Ok(())
}
