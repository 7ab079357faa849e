//! Alerts, their silences and the rules that are kept in the store.
//!
//! A change of an alert and the notices that tell of it are one transaction, and it names the
//! version of the alert that it was made from: of two evaluations at once, or an evaluation and a
//! person, one is taken, and the other one is left out to be made anew. So each change is told once.

use async_trait::async_trait;

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, corrupt, locking, values};
use crate::error::StoreError;
use atalaya_domain::alert::{Alert, Notice, Severity, Silence};
use atalaya_domain::time::Timestamp;

/// Changes of one transaction: a larger one would hold other writers.
const TOGETHER: usize = 500;

/// What one evaluation, or a person, makes of one alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertChange {
    pub id: String,
    /// The version that it was made from; `None`: the alert is new.
    pub from: Option<u32>,
    /// `None`: it was pending, and is taken back.
    pub alert: Option<Alert>,
    /// By channel.
    pub notices: Vec<(String, Notice)>,
}

/// A rule that is kept in the store, in the words of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRule {
    pub name: String,
    /// JSON.
    pub body: String,
    pub changed_at: Timestamp,
    pub changed_by: String,
}

/// Which alerts of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    pub rule: Option<String>,
    /// Begun before this instant.
    pub before: Option<Timestamp>,
    pub limit: u32,
}

/// What ends, and is kept for a while after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Alerts,
    Silences,
    /// Delivered, given up or dropped.
    Messages,
}

impl Ended {
    /// One that counts and one that deletes, before an instant.
    const fn statements(self) -> (&'static str, &'static str) {
        match self {
            Self::Alerts => (
                "SELECT COUNT(*) FROM raised_alerts WHERE active_rule IS NULL AND resolved_at < ?",
                "DELETE FROM raised_alerts WHERE active_rule IS NULL AND resolved_at < ?",
            ),
            Self::Silences => (
                "SELECT COUNT(*) FROM alert_silences WHERE until_time < ?",
                "DELETE FROM alert_silences WHERE until_time < ?",
            ),
            Self::Messages => (
                "SELECT COUNT(*) FROM outbox WHERE ended_at < ? AND state <> 'queued'",
                "DELETE FROM outbox WHERE ended_at < ? AND state <> 'queued'",
            ),
        }
    }
}

/// Firing alerts that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FiringCount {
    pub severity: Severity,
    pub acknowledged: bool,
    pub alerts: u64,
}

#[async_trait]
pub trait Alerts {
    /// Pending and firing ones, by rule.
    async fn active_alerts(&self) -> Result<Vec<Alert>, StoreError>;

    /// How many alerts fire, counted in the store: their bodies stay there.
    async fn count_firing(&self) -> Result<Vec<FiringCount>, StoreError>;

    /// Alerts that fire or fired, newest first.
    async fn alert_history(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError>;

    /// The alerts whose id begins so, newest first, at most ten.
    async fn alerts_by_id(&self, prefix: &str) -> Result<Vec<Alert>, StoreError>;

    /// Stores each change that was made from the present version, with its notices. Returns the ids
    /// of the others, which somebody else changed meanwhile. Each alert must carry the version after
    /// the one that it was made from.
    async fn put_alerts(&self, changes: Vec<AlertChange>) -> Result<Vec<String>, StoreError>;

    /// Deletes what was over before this instant, or only counts it; returns how many.
    async fn prune_ended(
        &self,
        what: Ended,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, StoreError>;

    /// Silences that end after this instant, by their beginning.
    async fn silences(&self, ending_after: Timestamp) -> Result<Vec<Silence>, StoreError>;

    /// Refused when it overlaps another one.
    async fn put_silence(&self, silence: &Silence) -> Result<Written, StoreError>;

    /// Ends a silence at this instant, if it is not over by then. `None`: there is none of that id.
    async fn end_silence(&self, id: &str, at: Timestamp) -> Result<Option<Silence>, StoreError>;

    /// By name.
    async fn alert_rules(&self) -> Result<Vec<StoredRule>, StoreError>;

    async fn put_alert_rule(&self, rule: &StoredRule) -> Result<Written, StoreError>;

    /// Whether there was one.
    async fn remove_alert_rule(&self, name: &str) -> Result<bool, StoreError>;

    /// What the last evaluation measured, as JSON, and when.
    async fn alert_readings(&self) -> Result<Option<(Timestamp, String)>, StoreError>;

    async fn put_alert_readings(&self, at: Timestamp, body: &str) -> Result<(), StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Alerts for D {
    async fn active_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(async {
                let sql =
                    "SELECT id, body FROM raised_alerts WHERE active_rule IS NOT NULL ORDER BY rule";
                decoded(connection.rows(sql, &[]).await?)
            })
        })
        .await
    }

    async fn count_firing(&self) -> Result<Vec<FiringCount>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(count_firing(connection))
        })
        .await
    }

    async fn alert_history(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        self.read(View::Latest, filter.clone(), |connection, filter| {
            Box::pin(history(connection, filter))
        })
        .await
    }

    async fn alerts_by_id(&self, prefix: &str) -> Result<Vec<Alert>, StoreError> {
        let prefix = prefix.to_owned();
        self.read(View::Latest, prefix, |connection, prefix| {
            Box::pin(async move {
                let length = u32::try_from(prefix.chars().count()).unwrap_or(u32::MAX);
                let sql = "SELECT id, body FROM raised_alerts WHERE SUBSTR(id, 1, ?) = ?
                     ORDER BY pending_since DESC LIMIT 10";
                decoded(connection.rows(sql, values![length, prefix]).await?)
            })
        })
        .await
    }

    async fn put_alerts(&self, changes: Vec<AlertChange>) -> Result<Vec<String>, StoreError> {
        let mut refused = Vec::new();
        let mut rest = changes;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(TOGETHER));
            let done = self.write(rest, |connection, changes| {
                Box::pin(put_alerts(connection, changes))
            });
            refused.extend(done.await?);
            rest = later;
        }
        Ok(refused)
    }

    async fn prune_ended(
        &self,
        what: Ended,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        let (count, delete) = what.statements();
        if dry_run {
            return self
                .read(
                    View::Latest,
                    (count, before),
                    |connection, (count, before)| {
                        Box::pin(async move {
                            let row: Option<(i64,)> =
                                connection.row(*count, values![*before]).await?;
                            Ok(row.map_or(0, |(count,)| count.unsigned_abs()))
                        })
                    },
                )
                .await;
        }
        self.write((delete, before), |connection, (delete, before)| {
            Box::pin(async move { connection.execute(*delete, values![*before]).await })
        })
        .await
    }

    async fn silences(&self, ending_after: Timestamp) -> Result<Vec<Silence>, StoreError> {
        self.read(View::Latest, ending_after, |connection, after| {
            Box::pin(silences(connection, *after))
        })
        .await
    }

    async fn put_silence(&self, silence: &Silence) -> Result<Written, StoreError> {
        self.write(silence.clone(), |connection, silence| {
            Box::pin(put_silence(connection, silence))
        })
        .await
    }

    async fn end_silence(&self, id: &str, at: Timestamp) -> Result<Option<Silence>, StoreError> {
        self.write((id.to_owned(), at), |connection, (id, at)| {
            Box::pin(end_silence(connection, id, *at))
        })
        .await
    }

    async fn alert_rules(&self) -> Result<Vec<StoredRule>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(async {
                let sql =
                    "SELECT name, body, changed_at, changed_by FROM alert_rules ORDER BY name";
                let rows: Vec<(String, String, i64, String)> = connection.rows(sql, &[]).await?;
                let rules = rows
                    .into_iter()
                    .map(|(name, body, at, changed_by)| StoredRule {
                        name,
                        body,
                        changed_at: Timestamp::from_micros(at),
                        changed_by,
                    });
                Ok(rules.collect())
            })
        })
        .await
    }

    async fn put_alert_rule(&self, rule: &StoredRule) -> Result<Written, StoreError> {
        self.write(rule.clone(), |connection, rule| {
            Box::pin(put_rule(connection, rule))
        })
        .await
    }

    async fn remove_alert_rule(&self, name: &str) -> Result<bool, StoreError> {
        self.write(name.to_owned(), |connection, name| {
            Box::pin(async move {
                let sql = "DELETE FROM alert_rules WHERE name = ?";
                Ok(connection.execute(sql, values![name]).await? > 0)
            })
        })
        .await
    }

    async fn alert_readings(&self) -> Result<Option<(Timestamp, String)>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(async {
                let sql = "SELECT taken_at, body FROM alert_readings WHERE id = 1";
                let row: Option<(i64, String)> = connection.row(sql, &[]).await?;
                Ok(row.map(|(at, body)| (Timestamp::from_micros(at), body)))
            })
        })
        .await
    }

    async fn put_alert_readings(&self, at: Timestamp, body: &str) -> Result<(), StoreError> {
        self.write((at, body.to_owned()), |connection, (at, body)| {
            Box::pin(put_readings(connection, *at, body))
        })
        .await
    }
}

fn decoded(rows: Vec<(String, String)>) -> Result<Vec<Alert>, Failure> {
    rows.into_iter()
        .map(|(id, body)| {
            serde_json::from_str(&body).map_err(|error| corrupt("raised_alerts", &id, error).into())
        })
        .collect()
}

async fn count_firing(connection: &mut Connection<'_>) -> Result<Vec<FiringCount>, Failure> {
    // Who acknowledged is a text wherever somebody did; MySQL gives texts with their quotes.
    let sql = "SELECT CAST(JSON_EXTRACT(body, '$.rule.severity') AS CHAR(20)) AS severity,
             CASE WHEN JSON_EXTRACT(body, '$.acknowledged.by') IS NULL THEN 0 ELSE 1 END AS seen,
             COUNT(*)
         FROM raised_alerts WHERE active_rule IS NOT NULL AND state = 'firing'
         GROUP BY severity, seen";
    let rows: Vec<(String, i64, i64)> = connection.rows(sql, &[]).await?;
    rows.into_iter()
        .map(|(name, seen, count)| {
            let plain = name.trim_matches('"');
            let severity = Severity::ALL
                .into_iter()
                .find(|known| known.name() == plain);
            Ok(FiringCount {
                severity: severity
                    .ok_or_else(|| corrupt("raised_alerts", "severity", format!("`{name}`")))?,
                acknowledged: seen != 0,
                alerts: count.unsigned_abs(),
            })
        })
        .collect()
}

async fn history(
    connection: &mut Connection<'_>,
    filter: &AlertFilter,
) -> Result<Vec<Alert>, Failure> {
    let before = filter.before.unwrap_or(Timestamp::MAX);
    let rows = match &filter.rule {
        Some(rule) => {
            let sql = "SELECT id, body FROM raised_alerts
                 WHERE rule = ? AND pending_since < ? AND state <> 'pending'
                 ORDER BY pending_since DESC, id DESC LIMIT ?";
            connection
                .rows(sql, values![rule, before, filter.limit])
                .await?
        }
        None => {
            let sql = "SELECT id, body FROM raised_alerts
                 WHERE pending_since < ? AND state <> 'pending'
                 ORDER BY pending_since DESC, id DESC LIMIT ?";
            connection.rows(sql, values![before, filter.limit]).await?
        }
    };
    decoded(rows)
}

async fn put_alerts(
    connection: &mut Connection<'_>,
    changes: &[AlertChange],
) -> Result<Vec<String>, Failure> {
    let mut refused = Vec::new();
    for change in changes {
        if put_alert(connection, change).await? {
            put_notices(connection, &change.notices).await?;
        } else {
            refused.push(change.id.clone());
        }
    }
    Ok(refused)
}

/// Whether it was taken.
async fn put_alert(connection: &mut Connection<'_>, change: &AlertChange) -> Result<bool, Failure> {
    let Some(alert) = &change.alert else {
        let Some(from) = change.from else {
            return Ok(true);
        };
        let sql = "DELETE FROM raised_alerts WHERE id = ? AND version = ?";
        return Ok(connection.execute(sql, values![&change.id, from]).await? == 1);
    };
    let body =
        serde_json::to_string(alert).map_err(|error| corrupt("raised_alerts", &alert.id, error))?;
    let active_rule = alert.is_active().then_some(alert.rule.name.as_str());
    let state = alert.state.name();
    let changed = match change.from {
        Some(from) => {
            let sql = "UPDATE raised_alerts
                 SET active_rule = ?, state = ?, resolved_at = ?, version = ?, body = ?
                 WHERE id = ? AND version = ?";
            let changing = values![
                active_rule,
                state,
                alert.resolved_at,
                alert.version,
                &body,
                &alert.id,
                from
            ];
            connection.execute(sql, changing).await?
        }
        None => {
            let other: Option<(String,)> = connection
                .row(
                    locking!("SELECT id FROM raised_alerts WHERE active_rule = ? OR id = ?"),
                    values![&alert.rule.name, &alert.id],
                )
                .await?;
            if other.is_some() {
                return Ok(false);
            }
            let sql = "INSERT INTO raised_alerts
                 (id, rule, active_rule, state, pending_since, resolved_at, version, body)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            let inserting = values![
                &alert.id,
                &alert.rule.name,
                active_rule,
                state,
                alert.pending_since,
                alert.resolved_at,
                alert.version,
                &body
            ];
            connection.execute(sql, inserting).await?
        }
    };
    Ok(changed == 1)
}

async fn put_notices(
    connection: &mut Connection<'_>,
    notices: &[(String, Notice)],
) -> Result<(), Failure> {
    let bodies = notices
        .iter()
        .map(|(_, notice)| serde_json::to_string(notice))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| corrupt("notices", "a new one", error))?;
    let rows: Vec<Vec<_>> = notices
        .iter()
        .zip(&bodies)
        .map(|((channel, notice), body)| {
            let severity = i64::from(notice.severity as u8);
            let is_resolved = notice.kind == atalaya_domain::alert::NoticeKind::Resolved;
            values![channel, &notice.key, severity, is_resolved, body].to_vec()
        })
        .collect();
    connection
        .insert(
            "INSERT INTO notices (channel, notice_key, severity, is_resolved, body)",
            &rows,
        )
        .await
}

async fn silences(
    connection: &mut Connection<'_>,
    after: Timestamp,
) -> Result<Vec<Silence>, Failure> {
    let sql = "SELECT id, rule, reason, actor, from_time, until_time FROM alert_silences
         WHERE until_time > ? ORDER BY from_time, id";
    let rows: Vec<(String, String, String, String, i64, i64)> =
        connection.rows(sql, values![after]).await?;
    let silences = rows
        .into_iter()
        .map(|(id, rule, reason, by, from, until)| Silence {
            id,
            rule,
            reason,
            by,
            from: Timestamp::from_micros(from),
            until: Timestamp::from_micros(until),
        });
    Ok(silences.collect())
}

async fn put_silence(
    connection: &mut Connection<'_>,
    silence: &Silence,
) -> Result<Written, Failure> {
    // Two people at once stand in line here.
    let locked: Vec<(String,)> = connection
        .rows(
            locking!("SELECT id FROM alert_silences WHERE until_time > ?"),
            values![silence.from],
        )
        .await?;
    if !locked.is_empty() {
        for known in silences(connection, silence.from).await? {
            if known == *silence {
                return Ok(Written::unchanged(1));
            }
            if known.overlaps(silence) {
                return Err(connection.conflict(format!(
                    "`{}` is silenced already until {} by {} (silence {}); end that one first, or begin after it",
                    known.rule, known.until, known.by, known.id
                )));
            }
        }
    }
    let sql = "INSERT INTO alert_silences (id, rule, reason, actor, from_time, until_time)
         VALUES (?, ?, ?, ?, ?, ?)";
    let inserting = values![
        &silence.id,
        &silence.rule,
        &silence.reason,
        &silence.by,
        silence.from,
        silence.until
    ];
    connection.execute(sql, inserting).await?;
    Ok(Written::inserted(1))
}

async fn end_silence(
    connection: &mut Connection<'_>,
    id: &str,
    at: Timestamp,
) -> Result<Option<Silence>, Failure> {
    connection
        .execute(
            "UPDATE alert_silences SET until_time = ? WHERE id = ? AND until_time > ?",
            values![at, id, at],
        )
        .await?;
    let all = silences(connection, Timestamp::MIN).await?;
    Ok(all.into_iter().find(|silence| silence.id == id))
}

async fn put_rule(connection: &mut Connection<'_>, rule: &StoredRule) -> Result<Written, Failure> {
    let known: Option<(String,)> = connection
        .row(
            locking!("SELECT body FROM alert_rules WHERE name = ?"),
            values![&rule.name],
        )
        .await?;
    // The same four values in the same order for both.
    let (sql, written) = match known {
        Some((body,)) if body == rule.body => return Ok(Written::unchanged(1)),
        Some(_) => (
            "UPDATE alert_rules SET body = ?, changed_at = ?, changed_by = ? WHERE name = ?",
            Written::updated(1),
        ),
        None => (
            "INSERT INTO alert_rules (body, changed_at, changed_by, name) VALUES (?, ?, ?, ?)",
            Written::inserted(1),
        ),
    };
    let changing = values![&rule.body, rule.changed_at, &rule.changed_by, &rule.name];
    connection.execute(sql, changing).await?;
    Ok(written)
}

async fn put_readings(
    connection: &mut Connection<'_>,
    at: Timestamp,
    body: &str,
) -> Result<(), Failure> {
    let known: Option<(i64,)> = connection
        .row(locking!("SELECT id FROM alert_readings WHERE id = 1"), &[])
        .await?;
    let sql = match known {
        Some(_) => "UPDATE alert_readings SET taken_at = ?, body = ? WHERE id = 1",
        None => "INSERT INTO alert_readings (taken_at, body, id) VALUES (?, ?, 1)",
    };
    connection.execute(sql, values![at, body]).await?;
    Ok(())
}
