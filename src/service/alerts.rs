//! Alerts: what fires, who has seen it, and what is to be kept quiet. The console, the command line
//! and the API ask here; `evaluate` and `deliver` are the work in the background.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use crate::config::AlertSettings;
use atalaya_domain::alert::rule::RuleOrigin;
use atalaya_domain::alert::{Acknowledgement, Alert, Rule, Severity, Silence, State, show_number};
use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{AlertChange, AlertFilter, ChannelState, MetricsStore};

mod board;
mod channels;
mod deliver;
mod evaluate;
mod evidence;
mod measure;
mod note;
mod rulebook;

pub use board::{Board, board};
pub use channels::{BrokenChannel, Channels};
pub use deliver::{Courier, Delivery, GROUP_EVERY, drop_unknown, test_message};
pub use evaluate::{Evaluated, Evaluator};
pub use note::put_note;
pub use rulebook::{Rulebook, add_rule, remove_rule};

/// Tries to write an acknowledgement while evaluations write too.
const TRIES: u32 = 5;
/// Longest silence: a year.
const LONGEST_SILENCE_DAYS: u64 = 366;

/// Why something could not be done with alerts.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no alert has the id `{0}`; `atalaya alerts list` and `history` show them")]
    Unknown(String),
    #[error("`{prefix}` could be {}; write more of the id", candidates.join(" or "))]
    Ambiguous {
        prefix: String,
        candidates: Vec<String>,
    },
    #[error("alert {0} does not fire; only one that fires can be acknowledged")]
    NotFiring(String),
    #[error("alert {0} is changed by others all the time; try again")]
    Busy(String),
    /// A silence, a rule or a pattern that cannot be so; with the remedy.
    #[error("{0}")]
    Wrong(String),
}

impl AlertError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(error) => error.class(),
            Self::Unknown(_) => ErrorClass::Missing,
            Self::Ambiguous { .. } | Self::NotFiring(_) | Self::Wrong(_) => ErrorClass::Usage,
            Self::Busy(_) => ErrorClass::Busy,
        }
    }
}

/// What is going on: firing ones first, the worst and newest first among them, then pending ones.
pub async fn list(store: &dyn MetricsStore) -> Result<Vec<Alert>, AlertError> {
    Ok(sorted(store.active_alerts().await?))
}

fn sorted(mut alerts: Vec<Alert>) -> Vec<Alert> {
    alerts.sort_by(|left, right| {
        let key = |alert: &Alert| {
            (
                alert.state,
                std::cmp::Reverse((alert.rule.severity, alert.since())),
            )
        };
        key(left).cmp(&key(right))
    });
    alerts
}

/// How many fire, by severity: for the header of every screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Firing {
    pub critical: usize,
    pub warning: usize,
    pub info: usize,
    /// Of all these: how many nobody acknowledged.
    pub unseen: usize,
}

pub async fn firing(store: &dyn MetricsStore) -> Result<Firing, AlertError> {
    let mut firing = Firing::default();
    for group in store.count_firing().await? {
        let count = usize::try_from(group.alerts).unwrap_or(usize::MAX);
        match group.severity {
            Severity::Critical => firing.critical += count,
            Severity::Warning => firing.warning += count,
            Severity::Info => firing.info += count,
        }
        if !group.acknowledged {
            firing.unseen += count;
        }
    }
    Ok(firing)
}

/// One alert by its id, the beginning of its id, or the name of the rule whose alert is active.
pub async fn detail(store: &dyn MetricsStore, id: &str) -> Result<Alert, AlertError> {
    let mut found = store.alerts_by_id(id).await?;
    if found.len() > 1 {
        return Err(AlertError::Ambiguous {
            prefix: id.to_owned(),
            candidates: found.into_iter().map(|alert| alert.id).collect(),
        });
    }
    if let Some(alert) = found.pop().filter(|_| !id.is_empty()) {
        return Ok(alert);
    }
    let active = store.active_alerts().await?;
    active
        .into_iter()
        .find(|alert| alert.rule.name == id)
        .ok_or_else(|| AlertError::Unknown(id.to_owned()))
}

/// Alerts of the past and present that fired, newest first.
pub async fn history(
    store: &dyn MetricsStore,
    filter: &AlertFilter,
) -> Result<Vec<Alert>, AlertError> {
    Ok(store.alert_history(filter).await?)
}

/// What somebody says who has seen it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub by: String,
    pub note: Option<String>,
    /// Silent only until it is worse than now.
    pub until_worse: bool,
}

/// Acknowledges a firing alert: no reminders, to its end or until it is worse.
pub async fn acknowledge(
    store: &dyn MetricsStore,
    id: &str,
    seen: Seen,
    now: Timestamp,
) -> Result<Alert, AlertError> {
    for _ in 0..TRIES {
        let before = detail(store, id).await?;
        if before.state != State::Firing {
            return Err(AlertError::NotFiring(before.id));
        }
        let mut alert = before.clone();
        alert.acknowledged = Some(Acknowledgement {
            by: seen.by.clone(),
            at: now,
            note: seen.note.clone(),
            until_worse_than: alert.value.filter(|_| seen.until_worse),
        });
        alert.version += 1;
        let change = AlertChange {
            id: alert.id.clone(),
            from: Some(before.version),
            alert: Some(alert.clone()),
            notices: Vec::new(),
        };
        if store.put_alerts(vec![change]).await?.is_empty() {
            return Ok(alert);
        }
    }
    Err(AlertError::Busy(id.to_owned()))
}

/// Silences, the present and coming ones first by their beginning.
pub async fn silences(
    store: &dyn MetricsStore,
    now: Timestamp,
) -> Result<Vec<Silence>, AlertError> {
    Ok(store.silences(now).await?)
}

/// Makes a silence. `known` are the rules there are: a pattern that fits none is refused.
pub async fn silence(
    store: &dyn MetricsStore,
    silence: &Silence,
    known: &[Rule],
    now: Timestamp,
) -> Result<(), AlertError> {
    let wrong = |message: String| Err(AlertError::Wrong(message));
    if silence.reason.trim().is_empty() {
        return wrong("a silence needs a reason; say it with --reason".to_owned());
    }
    if silence.until <= silence.from || silence.until <= now {
        return wrong(format!(
            "a silence that ends at {} is over before it begins; write a later end",
            silence.until
        ));
    }
    let longest = Duration::from_secs(LONGEST_SILENCE_DAYS * 86_400);
    if silence.until.since(silence.from) > longest {
        return wrong(format!(
            "longer than {LONGEST_SILENCE_DAYS} days; switch the rule off instead (`disable` in [alerts])"
        ));
    }
    if !known.iter().any(|rule| silence.covers(&rule.name)) {
        let names = known.iter().map(|rule| rule.name.as_str());
        let remedy = atalaya_query::suggest::nearest(&silence.rule, names).map_or_else(
            || "`atalaya alerts rules` lists them".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return wrong(format!("no rule is called `{}`; {remedy}", silence.rule));
    }
    match store.put_silence(silence).await {
        Err(StoreError::Conflict { reason, .. }) => wrong(reason),
        other => other.map(|_| ()).map_err(AlertError::Store),
    }
}

/// The silence of a rule, under an id of its own.
pub fn new_silence(rule: String, reason: String, by: String, range: TimeRange) -> Silence {
    Silence {
        id: format!("{:012x}", rand::random::<u64>() >> 16),
        rule,
        reason,
        by,
        from: range.from,
        until: range.until,
    }
}

/// Ends a silence now.
pub async fn end_silence(
    store: &dyn MetricsStore,
    id: &str,
    now: Timestamp,
) -> Result<Silence, AlertError> {
    let ended = store.end_silence(id, now).await?;
    ended.ok_or_else(|| {
        AlertError::Wrong(format!(
            "no silence has the id `{id}`; `atalaya alerts silence --list` shows them"
        ))
    })
}

/// A rule with what was last measured of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleView {
    pub name: String,
    pub origin: RuleOrigin,
    pub severity: Severity,
    /// `records … in 5 min >= 10`.
    pub condition: String,
    pub threshold: f64,
    pub query: Option<String>,
    pub todo: String,
    pub labels: BTreeMap<String, String>,
    /// The state of its alert; `None`: all is well, or nothing is known.
    pub state: Option<State>,
    pub value: Option<f64>,
    /// Value or reason in words.
    pub reading: String,
    #[serde(with = "atalaya_domain::time::rfc3339::option")]
    pub measured_at: Option<Timestamp>,
    /// As a part of the threshold: negative while all is well.
    pub distance: Option<f64>,
    pub muted: Option<String>,
}

/// Every rule, by name, as the last evaluation left it.
pub async fn rules(
    store: &dyn MetricsStore,
    settings: &AlertSettings,
    now: Timestamp,
) -> Result<Vec<RuleView>, AlertError> {
    Ok(board(store, Some(settings), 0, now).await?.rules)
}

/// When the rules were evaluated last.
pub async fn evaluated_at(store: &dyn MetricsStore) -> Result<Option<Timestamp>, AlertError> {
    Ok(store.alert_readings().await?.map(|(at, _)| at))
}

/// Channels with what waits for them.
pub async fn channels(
    store: &dyn MetricsStore,
    settings: &AlertSettings,
) -> Result<Vec<(ChannelState, &'static str)>, AlertError> {
    let mut states: BTreeMap<String, ChannelState> = store
        .channel_states()
        .await?
        .into_iter()
        .map(|state| (state.channel.clone(), state))
        .collect();
    let configured = settings.channels.iter().map(|(name, config)| {
        let empty = ChannelState {
            channel: name.clone(),
            ..ChannelState::default()
        };
        (states.remove(name).unwrap_or(empty), config.kind())
    });
    let mut all: Vec<_> = configured.collect();
    all.extend(states.into_values().map(|state| (state, "not configured")));
    Ok(all)
}

/// `12 (records … in 5 min >= 10)`.
pub fn value_line(alert: &Alert) -> String {
    let value = alert
        .value
        .map_or_else(|| "no value".to_owned(), show_number);
    format!(
        "{value} ({} {} {})",
        alert.rule.measure,
        alert.rule.when.sign(),
        show_number(alert.rule.threshold)
    )
}
