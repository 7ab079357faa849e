//! Sends what waits for the channels, and the heartbeat, on the host that evaluates the alerts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::jobs::Planning;
use super::scheduler::SeatState;
use super::supervisor::{Supervisor, WorkerError};
use crate::config::Settings;
use crate::notify::Heartbeat;
use crate::service::alerts::{self, Channels};
use crate::service::{Stores, describe};
use atalaya_domain::time::Timestamp;

/// How often it looks: a message is on its way a second after its evaluation.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a store that is away.
const AGAIN: Duration = Duration::from_secs(10);
/// A channel that cannot be used is opened again after this long.
const OPEN_AGAIN: Duration = Duration::from_secs(60);
const BEAT_EVERY: Duration = Duration::from_secs(60);
/// The heart beats while the last evaluation is not older than this, and three intervals.
const FRESH: Duration = Duration::from_secs(180);

/// Starts sending, whenever the seat is this process's.
pub fn start(
    supervisor: &Supervisor,
    stores: Stores,
    planning: watch::Receiver<Arc<Planning>>,
    seat: watch::Receiver<SeatState>,
) {
    supervisor.spawn("notifications", move |cancel| {
        send(stores.clone(), planning.clone(), seat.clone(), cancel)
    });
}

/// Opens the channels; what cannot be used is said in our own log, and again in `alerts channels`
/// when something waits for it.
async fn open(settings: Arc<Settings>) -> Channels {
    let opened = Channels::open(settings).await;
    for why in &opened.broken {
        tracing::error!(
            why,
            "it cannot be used as it is configured; the others go on"
        );
    }
    opened
}

async fn send(
    stores: Stores,
    mut planning: watch::Receiver<Arc<Planning>>,
    seat: watch::Receiver<SeatState>,
    cancel: CancellationToken,
) -> Result<(), WorkerError> {
    let mut settings = Arc::clone(&planning.borrow_and_update().settings);
    let mut opened = open(Arc::clone(&settings)).await;
    let mut opened_at = Instant::now();
    let mut next_beat = Instant::now();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            Ok(()) = planning.changed() => {
                settings = Arc::clone(&planning.borrow_and_update().settings);
                opened = open(Arc::clone(&settings)).await;
                opened_at = Instant::now();
            }
            _ = tick.tick() => {}
        }
        // A certificate or a secret may be there by now.
        if !opened.broken.is_empty() && opened_at.elapsed() >= OPEN_AGAIN {
            opened = Channels::open(Arc::clone(&settings)).await;
            opened_at = Instant::now();
        }
        if !seat.borrow().ours || !settings.alerts.enabled {
            continue;
        }
        // What was sent by then and not recorded is sent again, with its key.
        let turn = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            turn = opened.courier.turn(&*stores.metrics, Timestamp::now()) => turn,
        };
        if let Err(error) = turn {
            tracing::warn!(error = %describe(&error), "messages wait for the metrics store");
            tick.reset_after(AGAIN);
        }
        if let Some(heartbeat) = opened
            .heartbeat
            .as_ref()
            .filter(|_| next_beat <= Instant::now())
        {
            next_beat = Instant::now() + BEAT_EVERY;
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = beat(heartbeat, &stores, &settings) => {}
            }
        }
    }
}

/// Only while the rules are evaluated: somebody is to notice when they are not.
async fn beat(heartbeat: &Heartbeat, stores: &Stores, settings: &Settings) {
    let limit = FRESH.max(settings.alerts.evaluate * 3);
    match alerts::evaluated_at(&*stores.metrics).await {
        Ok(Some(at)) if Timestamp::now().since(at) <= limit => {
            if let Err(error) = heartbeat.beat().await {
                tracing::warn!(answer = error.answer, "the heartbeat was not heard");
            }
        }
        Ok(_) => tracing::warn!("no heartbeat: the rules have not been evaluated lately"),
        Err(error) => {
            tracing::warn!(error = %describe(&error), "no heartbeat: the metrics store is away");
        }
    }
}
