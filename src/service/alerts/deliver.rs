//! Messages on their way: notices become one message a minute for each channel, messages go in
//! order, and each is tried until its channel took it or a day is over.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::AlertError;
use crate::config::AlertSettings;
use crate::notify::{Again, Notifier};
use atalaya_domain::alert::message::Tally;
use atalaya_domain::alert::{Comparison, Message, Notice, NoticeKind, Severity};
use atalaya_domain::backoff::Backoff;
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::{MetricsStore, Queued, Tried};

/// A channel gets at most one message in this time.
pub const GROUP_EVERY: Duration = Duration::from_secs(60);
/// Pauses between the tries of one message.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(120));
/// After this long a message is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// A message that is being sent is nobody else's for as long as a try may take, and this.
const CLAIM: Duration = Duration::from_secs(10);
/// Messages of one channel in one turn: what an outage left is sent without a pause, and others have
/// their turn too.
const IN_A_ROW: usize = 10;

/// What a turn came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    pub delivered: u64,
    pub failed: u64,
    pub dead: u64,
}

/// Delivers what waits.
pub struct Courier {
    notifier: Notifier,
}

impl Courier {
    pub const fn new(notifier: Notifier) -> Self {
        Self { notifier }
    }

    /// One turn over all channels, which do not wait for each other.
    ///
    /// # Errors
    /// The metrics store cannot be read or written. What was sent and could not be recorded is sent
    /// again, with the same key.
    pub async fn turn(
        &self,
        store: &dyn MetricsStore,
        now: Timestamp,
    ) -> Result<Delivery, AlertError> {
        let waiting = store.waiting_channels().await?;
        let ours: Vec<&String> = waiting
            .iter()
            .filter(|channel| self.notifier.has(channel))
            .collect();
        let turns = ours.iter().map(|channel| self.channel(store, channel, now));
        let mut all = Delivery::default();
        let mut failure = None;
        for turn in join_all(turns).await {
            match turn {
                Ok(one) => {
                    all.delivered += one.delivered;
                    all.failed += one.failed;
                    all.dead += one.dead;
                }
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(all), Err)
    }

    async fn channel(
        &self,
        store: &dyn MetricsStore,
        channel: &str,
        now: Timestamp,
    ) -> Result<Delivery, AlertError> {
        let mut delivery = Delivery::default();
        let started = Instant::now();
        for _ in 0..IN_A_ROW {
            let now = now.saturating_add(started.elapsed());
            let until = now.saturating_add(self.notifier.limit(channel) + CLAIM);
            let claimed = match store.claim_message(channel, now, until).await? {
                Some(queued) => Some(queued),
                None if group(store, channel, now).await? => {
                    store.claim_message(channel, now, until).await?
                }
                None => None,
            };
            let Some(queued) = claimed else {
                break;
            };
            let tried = self.try_one(&queued, now).await;
            match &tried {
                Tried::Delivered => delivery.delivered += 1,
                Tried::Later { answer, .. } => {
                    tracing::warn!(
                        channel,
                        attempt = queued.attempts + 1,
                        answer,
                        "a message was not delivered"
                    );
                    delivery.failed += 1;
                }
                Tried::Dead { answer } => {
                    tracing::error!(
                        channel,
                        key = queued.message.key,
                        answer,
                        "a message is given up"
                    );
                    delivery.dead += 1;
                }
            }
            let goes_on = !matches!(tried, Tried::Later { .. });
            store.record_try(&queued.message.key, tried, now).await?;
            if !goes_on {
                break;
            }
        }
        Ok(delivery)
    }

    async fn try_one(&self, queued: &Queued, now: Timestamp) -> Tried {
        let Err(error) = self.notifier.send(&queued.message, now).await else {
            return Tried::Delivered;
        };
        let answer = error.answer;
        let pause = match error.again {
            Again::No => return Tried::Dead { answer },
            Again::Yes => PAUSES.after(queued.attempts + 1),
            Again::After(wait) => wait.max(PAUSES.after(1)),
        };
        if now.since(queued.message.created_at) >= GIVE_UP_AFTER {
            return Tried::Dead { answer };
        }
        Tried::Later {
            next_at: now.saturating_add(pause),
            answer,
        }
    }

    /// Sends one message now, past everything that waits: for a test of the channel.
    ///
    /// # Errors
    /// What the channel answered.
    pub async fn send_now(&self, message: &Message, now: Timestamp) -> Result<(), String> {
        let sent = self.notifier.send(message, now).await;
        sent.map_err(|error| error.answer)
    }

    /// It cannot be used as it is configured.
    pub fn is_broken(&self, channel: &str) -> bool {
        self.notifier.is_broken(channel)
    }

    pub fn channels(&self) -> Vec<String> {
        self.notifier.names().map(str::to_owned).collect()
    }
}

/// Whether there is a new message of what waits.
async fn group(
    store: &dyn MetricsStore,
    channel: &str,
    now: Timestamp,
) -> Result<bool, AlertError> {
    let key = format!("{:032x}", rand::random::<u128>());
    let not_after = now.saturating_sub(GROUP_EVERY);
    let grouped = store.group_notices(channel, &key, not_after, now).await?;
    Ok(grouped.is_some())
}

/// Drops what waits for channels that are no longer configured: for the one host that evaluates.
///
/// # Errors
/// Those of the store.
pub async fn drop_unknown(
    store: &dyn MetricsStore,
    settings: &AlertSettings,
    now: Timestamp,
) -> Result<u64, AlertError> {
    let mut dropped = 0;
    for channel in store.waiting_channels().await? {
        if !settings.channels.contains_key(&channel) {
            dropped += store.drop_channel(&channel, now).await?;
            tracing::warn!(
                channel,
                "dropped what waited for a channel that is no longer configured"
            );
        }
    }
    Ok(dropped)
}

/// A message that says of itself that it is a test.
pub fn test_message(channel: &str, host: &str, now: Timestamp) -> Message {
    let key = format!("{:032x}", rand::random::<u128>());
    let notice = Notice {
        key: key.clone(),
        kind: NoticeKind::Firing,
        at: now,
        alert: "test".to_owned(),
        rule: "test".to_owned(),
        severity: Severity::Info,
        measure: format!("a test message of {host}, no alert"),
        when: Comparison::AtLeast,
        threshold: 1.0,
        value: Some(1.0),
        worst: None,
        firing_since: Some(now),
        todo: "nothing: this channel works".to_owned(),
        labels: std::collections::BTreeMap::new(),
        evidence: atalaya_domain::alert::message::NoticeEvidence::default(),
    };
    let tally = Tally {
        count: 1,
        resolved: 0,
    };
    Message::group(channel, key, vec![notice], tally, now)
}
