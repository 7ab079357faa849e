//! What a reading makes of an alert, and who is told of it: two pure steps.
//!
//! ```text
//!            beyond            for as long as `hold`          no longer beyond `clear`
//!   nothing ───────► pending ─────────────────────► firing ──────────────────────────► resolved
//!      ▲                │ not beyond, or no data        │ no data: stays, and says so
//!      └────────────────┘
//! ```
//!
//! [`advance`] moves the state; [`tell`] decides about a notice. Between the two the caller learns
//! which rules fire (for inhibition). Both are done by one write of the store, so a change of state
//! and its notice are both there or neither.

use serde::{Deserialize, Serialize};

use super::{Alert, Mute, REMIND_AFTER, Rule, State, alert_id};
use crate::time::Timestamp;

/// What was measured of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// The value, and the same in words: `12 in 5 min`.
    Value(f64, String),
    /// Why there is none.
    NoData(String),
}

/// What somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    Firing,
    Resolved,
    /// It still fires and nobody acknowledged it.
    Reminder,
    /// It is worse than it was when somebody acknowledged it until then.
    Worse,
}

impl NoticeKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Reminder => "reminder",
            Self::Worse => "worse",
        }
    }
}

/// The alert of a rule after a reading, from the active one before it. `None`: there is none, or it
/// was pending and is taken back; nobody was told of that one.
pub fn advance(
    before: Option<&Alert>,
    rule: &Rule,
    reading: &Reading,
    now: Timestamp,
) -> Option<Alert> {
    let Some(before) = before.filter(|alert| alert.is_active()) else {
        return begin(rule, reading, now);
    };
    let mut alert = before.clone();
    match reading {
        Reading::Value(value, _) => {
            alert.no_data = None;
            alert.value = Some(*value);
            let goes_on = if alert.is_firing() {
                rule.goes_on(*value)
            } else {
                rule.is_breached(*value)
            };
            if !goes_on {
                return end(alert, now);
            }
            if alert
                .worst
                .is_none_or(|worst| rule.when.is_worse(*value, worst))
            {
                alert.worst = Some(*value);
            }
            // The rule may have been changed meanwhile; what it says now holds.
            alert.rule = rule.facts();
            fire_when_held(&mut alert, rule, now);
            Some(alert)
        }
        Reading::NoData(why) => {
            if !alert.is_firing() {
                return None;
            }
            alert.no_data = Some(why.clone());
            Some(alert)
        }
    }
}

/// The same for an alert whose rule is no longer there, or switched off: it is over.
pub fn withdraw(before: &Alert, why: &str, now: Timestamp) -> Option<Alert> {
    let mut alert = before.clone();
    alert.no_data = Some(why.to_owned());
    end(alert, now)
}

fn begin(rule: &Rule, reading: &Reading, now: Timestamp) -> Option<Alert> {
    let Reading::Value(value, _) = reading else {
        return None;
    };
    if !rule.is_breached(*value) {
        return None;
    }
    let mut alert = Alert {
        id: alert_id(&rule.name, now),
        rule: rule.facts(),
        state: State::Pending,
        pending_since: now,
        firing_since: None,
        resolved_at: None,
        value: Some(*value),
        worst: Some(*value),
        no_data: None,
        acknowledged: None,
        told_at: None,
        told: 0,
        muted: None,
        evidence: None,
        version: 0,
    };
    fire_when_held(&mut alert, rule, now);
    Some(alert)
}

/// A clock that was set back makes it wait longer and never fires it early.
fn fire_when_held(alert: &mut Alert, rule: &Rule, now: Timestamp) {
    if alert.state == State::Pending && now.since(alert.pending_since) >= rule.hold {
        alert.state = State::Firing;
        alert.firing_since = Some(now);
    }
}

fn end(mut alert: Alert, now: Timestamp) -> Option<Alert> {
    if !alert.is_firing() {
        return None;
    }
    alert.state = State::Resolved;
    // Not before it began, whatever the clock says.
    alert.resolved_at = Some(now.max(alert.since()));
    Some(alert)
}

/// Decides whether somebody is told of this state, and notes in the alert that it was.
///
/// A muted alert is told as soon as it is not muted any more, if it still fires then. That one is
/// over is told whenever its firing was, muted or not: nobody is to look for what is gone.
pub fn tell(alert: &mut Alert, mute: Option<Mute>, now: Timestamp) -> Option<NoticeKind> {
    alert.muted = mute.filter(|_| alert.is_firing());
    let kind = match alert.state {
        State::Pending => None,
        State::Resolved => alert.told_at.map(|_| NoticeKind::Resolved),
        State::Firing if alert.muted.is_some() => None,
        State::Firing => told_of_firing(alert, now),
    };
    if kind.is_some() {
        alert.told_at = Some(now);
        alert.told = alert.told.saturating_add(1);
    }
    kind
}

fn told_of_firing(alert: &mut Alert, now: Timestamp) -> Option<NoticeKind> {
    if let Some(acknowledged) = &alert.acknowledged {
        let worse = acknowledged.until_worse_than.is_some_and(|limit| {
            alert
                .value
                .is_some_and(|value| alert.rule.when.is_worse(value, limit))
        });
        if !worse {
            return None;
        }
        alert.acknowledged = None;
        // Who saw it on a screen before anybody was told: for the channels it begins now.
        return Some(if alert.told_at.is_some() {
            NoticeKind::Worse
        } else {
            NoticeKind::Firing
        });
    }
    let Some(told_at) = alert.told_at else {
        return Some(NoticeKind::Firing);
    };
    if now < told_at {
        // The clock was set back: four hours from now, not from what it said before.
        alert.told_at = Some(now);
    }
    (now.since(told_at) >= REMIND_AFTER).then_some(NoticeKind::Reminder)
}

#[cfg(test)]
mod tests;
