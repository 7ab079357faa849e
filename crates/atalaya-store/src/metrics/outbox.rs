//! Messages on their way: notices wait for their channel's next message, a message waits until its
//! channel took it. Both survive the process; what was sent and not recorded is sent again, under
//! the same key.

use std::time::Duration;

use async_trait::async_trait;

use super::sql::{Connection, Failure, SqlDatabase, View, corrupt, locking, values};
use crate::error::StoreError;
use atalaya_domain::alert::message::{LISTED, Tally};
use atalaya_domain::alert::{Message, Notice};
use atalaya_domain::time::Timestamp;

/// A message that waits, and what became of it so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Queued {
    pub message: Message,
    /// Tries that failed.
    pub attempts: u32,
}

/// No message is put off for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 3_600);

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    Delivered,
    /// Again, not before this instant.
    Later {
        next_at: Timestamp,
        answer: String,
    },
    /// Never again.
    Dead {
        answer: String,
    },
}

/// How one channel does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    pub channel: String,
    /// Notices that are in no message yet.
    pub notices: u64,
    /// Messages that wait.
    pub queued: u64,
    pub oldest_queued: Option<Timestamp>,
    pub delivered: u64,
    pub last_delivered: Option<Timestamp>,
    /// Messages given up.
    pub dead: u64,
    /// What the channel answered to the newest try that failed.
    pub last_answer: Option<String>,
}

#[async_trait]
pub trait Outbox {
    /// Makes a message of all the notices that wait for a channel, unless there are none, the newest
    /// message of that channel was made after `not_after`, or one still waits: what an outage holds
    /// up becomes one message. `key` becomes the message's.
    async fn group_notices(
        &self,
        channel: &str,
        key: &str,
        not_after: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Message>, StoreError>;

    /// Puts a message of its own at the end: a report, a proposal. One whose key is there already is
    /// the same message, and stays as it is.
    async fn put_message(&self, message: &Message) -> Result<(), StoreError>;

    /// Takes the oldest message that waits for a channel, as messages go in order, so that nobody
    /// else sends it before `until`. `None` when there is none, or its time has not come.
    async fn claim_message(
        &self,
        channel: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Queued>, StoreError>;

    /// Records a try of a message; of one that is no longer waiting, nothing.
    async fn record_try(&self, key: &str, tried: Tried, now: Timestamp) -> Result<(), StoreError>;

    /// Channels for which anything waits.
    async fn waiting_channels(&self) -> Result<Vec<String>, StoreError>;

    /// By channel.
    async fn channel_states(&self) -> Result<Vec<ChannelState>, StoreError>;

    /// Messages given up since this instant.
    async fn dead_messages(&self, since: Timestamp) -> Result<u64, StoreError>;

    /// Drops what waits for a channel that is no longer there; returns how much that was.
    async fn drop_channel(&self, channel: &str, now: Timestamp) -> Result<u64, StoreError>;
}

struct Grouping {
    channel: String,
    key: String,
    not_after: Timestamp,
    now: Timestamp,
}

#[async_trait]
impl<D: SqlDatabase> Outbox for D {
    async fn group_notices(
        &self,
        channel: &str,
        key: &str,
        not_after: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Message>, StoreError> {
        let grouping = Grouping {
            channel: channel.to_owned(),
            key: key.to_owned(),
            not_after,
            now,
        };
        self.write(grouping, |connection, grouping| {
            Box::pin(group(connection, grouping))
        })
        .await
    }

    async fn put_message(&self, message: &Message) -> Result<(), StoreError> {
        self.write(message.clone(), |connection, message| {
            Box::pin(async move {
                let known: Option<(String,)> = connection
                    .row(
                        locking!("SELECT message_key FROM outbox WHERE message_key = ?"),
                        values![&message.key],
                    )
                    .await?;
                match known {
                    Some(_) => Ok(()),
                    None => put(connection, message).await,
                }
            })
        })
        .await
    }

    async fn claim_message(
        &self,
        channel: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Queued>, StoreError> {
        let claim = (channel.to_owned(), now, until);
        self.write(claim, |connection, (channel, now, until)| {
            Box::pin(claim_next(connection, channel, *now, *until))
        })
        .await
    }

    async fn record_try(&self, key: &str, tried: Tried, now: Timestamp) -> Result<(), StoreError> {
        self.write(
            (key.to_owned(), tried, now),
            |connection, (key, tried, now)| Box::pin(record(connection, key, tried, *now)),
        )
        .await
    }

    async fn waiting_channels(&self) -> Result<Vec<String>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(async {
                let sql = "SELECT channel FROM notices
                     UNION SELECT channel FROM outbox WHERE state = 'queued'";
                let rows: Vec<(String,)> = connection.rows(sql, &[]).await?;
                Ok(rows.into_iter().map(|(channel,)| channel).collect())
            })
        })
        .await
    }

    async fn channel_states(&self) -> Result<Vec<ChannelState>, StoreError> {
        self.read(View::Snapshot, (), |connection, ()| {
            Box::pin(states(connection))
        })
        .await
    }

    async fn dead_messages(&self, since: Timestamp) -> Result<u64, StoreError> {
        self.read(View::Latest, since, |connection, since| {
            Box::pin(async move {
                let sql = "SELECT COUNT(*) FROM outbox WHERE ended_at >= ? AND state = 'dead'";
                let row: Option<(i64,)> = connection.row(sql, values![*since]).await?;
                Ok(row.map_or(0, |(count,)| count.unsigned_abs()))
            })
        })
        .await
    }

    async fn drop_channel(&self, channel: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.write((channel.to_owned(), now), |connection, (channel, now)| {
            Box::pin(drop_channel(connection, channel, *now))
        })
        .await
    }
}

async fn group(
    connection: &mut Connection<'_>,
    grouping: &Grouping,
) -> Result<Option<Message>, Failure> {
    let Grouping {
        channel,
        key,
        not_after,
        now,
    } = grouping;
    let newest: Option<(i64, String)> = connection
        .row(
            locking!(
                "SELECT created_at, state FROM outbox WHERE channel = ? ORDER BY seq DESC LIMIT 1"
            ),
            values![channel],
        )
        .await?;
    if newest.is_some_and(|(at, state)| at > not_after.micros() || state == "queued") {
        return Ok(None);
    }
    let totals: Option<(i64, i64, Option<i64>)> = connection
        .row(
            "SELECT COUNT(*), COUNT(CASE WHEN is_resolved = 1 THEN 1 END), MAX(seq)
             FROM notices WHERE channel = ?",
            values![channel],
        )
        .await?;
    let Some((count, resolved, Some(last))) = totals else {
        return Ok(None);
    };
    let rows: Vec<(String, String)> = connection
        .rows(
            "SELECT notice_key, body FROM notices WHERE channel = ? AND seq <= ?
             ORDER BY severity DESC, seq LIMIT ?",
            values![channel, last, LISTED as i64],
        )
        .await?;
    let notices = rows
        .into_iter()
        .map(|(key, body)| {
            serde_json::from_str::<Notice>(&body).map_err(|error| corrupt("notices", &key, error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let tally = Tally {
        count: count.unsigned_abs(),
        resolved: resolved.unsigned_abs(),
    };
    let message = Message::group(channel, key.clone(), notices, tally, *now);
    put(connection, &message).await?;
    connection
        .execute(
            "DELETE FROM notices WHERE channel = ? AND seq <= ?",
            values![channel, last],
        )
        .await?;
    Ok(Some(message))
}

async fn put(connection: &mut Connection<'_>, message: &Message) -> Result<(), Failure> {
    let body =
        serde_json::to_string(message).map_err(|error| corrupt("outbox", &message.key, error))?;
    let sql = "INSERT INTO outbox
         (message_key, channel, state, created_at, attempts, next_at, body)
         VALUES (?, ?, 'queued', ?, 0, ?, ?)";
    let inserting = values![
        &message.key,
        &message.channel,
        message.created_at,
        message.created_at,
        &body
    ];
    connection.execute(sql, inserting).await?;
    Ok(())
}

async fn claim_next(
    connection: &mut Connection<'_>,
    channel: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Queued>, Failure> {
    let row: Option<(String, i64, i64, String)> = connection
        .row(
            locking!(
                "SELECT message_key, attempts, next_at, body FROM outbox
                 WHERE channel = ? AND state = 'queued' ORDER BY seq LIMIT 1"
            ),
            values![channel],
        )
        .await?;
    let Some((key, attempts, next_at, body)) = row else {
        return Ok(None);
    };
    let waited_until = Timestamp::from_micros(next_at);
    // A clock that was set back does not hold a message for as long as it went back.
    if waited_until > now && waited_until.since(now) <= LONGEST_WAIT {
        return Ok(None);
    }
    connection
        .execute(
            "UPDATE outbox SET next_at = ? WHERE message_key = ?",
            values![until, &key],
        )
        .await?;
    Ok(Some(Queued {
        message: serde_json::from_str(&body).map_err(|error| corrupt("outbox", &key, error))?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    }))
}

async fn record(
    connection: &mut Connection<'_>,
    key: &str,
    tried: &Tried,
    now: Timestamp,
) -> Result<(), Failure> {
    let (state, answer, next_at, ended_at) = match tried {
        Tried::Delivered => ("sent", None, now, Some(now)),
        Tried::Later { next_at, answer } => ("queued", Some(answer.as_str()), *next_at, None),
        Tried::Dead { answer } => ("dead", Some(answer.as_str()), now, Some(now)),
    };
    let failed = i64::from(!matches!(tried, Tried::Delivered));
    connection
        .execute(
            "UPDATE outbox SET state = ?, answer = ?, next_at = ?, ended_at = ?,
                 attempts = attempts + ?
             WHERE message_key = ? AND state = 'queued'",
            values![state, answer, next_at, ended_at, failed, key],
        )
        .await?;
    Ok(())
}

async fn states(connection: &mut Connection<'_>) -> Result<Vec<ChannelState>, Failure> {
    type Counted = (String, String, i64, Option<i64>, Option<i64>);
    let mut states = std::collections::BTreeMap::<String, ChannelState>::new();
    let messages: Vec<Counted> = connection
        .rows(
            "SELECT channel, state, COUNT(*), MIN(created_at), MAX(ended_at)
             FROM outbox GROUP BY channel, state",
            &[],
        )
        .await?;
    for (channel, state, count, oldest, ended) in messages {
        let known = states.entry(channel).or_default();
        let count = count.unsigned_abs();
        match state.as_str() {
            "queued" => {
                known.queued = count;
                known.oldest_queued = oldest.map(Timestamp::from_micros);
            }
            "sent" => {
                known.delivered = count;
                known.last_delivered = ended.map(Timestamp::from_micros);
            }
            "dead" => known.dead = count,
            _ => {}
        }
    }
    let answers: Vec<(String, String)> = connection
        .rows(
            "SELECT channel, answer FROM outbox
             WHERE answer IS NOT NULL AND state <> 'sent' ORDER BY seq",
            &[],
        )
        .await?;
    for (channel, answer) in answers {
        states.entry(channel).or_default().last_answer = Some(answer);
    }
    let waiting: Vec<(String, i64)> = connection
        .rows(
            "SELECT channel, COUNT(*) FROM notices GROUP BY channel",
            &[],
        )
        .await?;
    for (channel, count) in waiting {
        states.entry(channel).or_default().notices = count.unsigned_abs();
    }
    let named = states
        .into_iter()
        .map(|(channel, state)| ChannelState { channel, ..state });
    Ok(named.collect())
}

async fn drop_channel(
    connection: &mut Connection<'_>,
    channel: &str,
    now: Timestamp,
) -> Result<u64, Failure> {
    let notices = connection
        .execute("DELETE FROM notices WHERE channel = ?", values![channel])
        .await?;
    let messages = connection
        .execute(
            "UPDATE outbox SET state = 'dropped', answer = 'the channel is no longer configured',
                 ended_at = ?
             WHERE channel = ? AND state = 'queued'",
            values![now, channel],
        )
        .await?;
    Ok(notices + messages)
}
