//! What the Alerts tab reads and writes.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::Stores;
use crate::service::alerts::{self, AlertError, AlertSettings, Board, Rulebook, Seen};
use crate::service::pdca::login_name;
use crate::tui::ask::Question;
use crate::tui::tab::{Work, reason_of};
use crate::tui::widgets::safe_text;
use atalaya_domain::length::Length;
use atalaya_domain::time::{TimeRange, Timestamp};

/// Past alerts below the present ones.
const HISTORY: u32 = 200;

/// What the user did.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Acknowledge {
        id: String,
        note: Option<String>,
        until_worse: bool,
    },
    Silence {
        rule: String,
        length: Duration,
        reason: String,
    },
}

#[derive(Clone, Debug)]
pub enum AlertsEffect {
    Read {
        question: Question,
        now: Timestamp,
        settings: Option<Arc<AlertSettings>>,
    },
    Write {
        question: Question,
        change: Change,
        now: Timestamp,
        settings: Option<Arc<AlertSettings>>,
    },
}

#[derive(Debug)]
pub enum AlertsAnswer {
    Read {
        question: Question,
        at: Timestamp,
        result: Result<Board, String>,
    },
    /// What was done, in words.
    Written {
        question: Question,
        result: Result<String, String>,
    },
}

impl Work for AlertsEffect {
    type Answer = AlertsAnswer;

    fn slot(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
        }
    }

    async fn perform(self, stores: &Stores, _cancel: &CancellationToken) -> Option<AlertsAnswer> {
        Some(match self {
            Self::Read {
                question,
                now,
                settings,
            } => AlertsAnswer::Read {
                question,
                at: now,
                result: alerts::board(stores.metrics.as_ref(), settings.as_deref(), HISTORY, now)
                    .await
                    .map_err(|error| reason_of(&error)),
            },
            Self::Write {
                question,
                change,
                now,
                settings,
            } => AlertsAnswer::Written {
                question,
                result: write(stores, change, settings.as_deref(), now)
                    .await
                    .map_err(|error| reason_of(&error)),
            },
        })
    }
}

async fn write(
    stores: &Stores,
    change: Change,
    settings: Option<&AlertSettings>,
    now: Timestamp,
) -> Result<String, AlertError> {
    let store = stores.metrics.as_ref();
    match change {
        Change::Acknowledge {
            id,
            note,
            until_worse,
        } => {
            let seen = Seen {
                by: login_name(),
                note,
                until_worse,
            };
            let alert = alerts::acknowledge(store, &id, seen, now).await?;
            Ok(format!("{} is acknowledged", alert.rule.name))
        }
        Change::Silence {
            rule,
            length,
            reason,
        } => {
            let range = TimeRange::new(now, now.saturating_add(length));
            let silence = alerts::new_silence(rule, reason, login_name(), range);
            let known = match settings {
                Some(settings) => Rulebook::load(store, settings).await?.rules,
                None => Vec::new(),
            };
            alerts::silence(store, &silence, &known, now).await?;
            Ok(format!("{} is silent", silence.rule))
        }
    }
}

const SILENCE_HELP: &str = "for how long, and why: `2h the database is being moved`";

/// `2h because …` as a length and a reason; a silence without a reason is none.
///
/// # Errors
/// How it is to be written.
pub fn silence_of(text: &str) -> Result<(Duration, String), String> {
    let (length, reason) = text
        .split_once(char::is_whitespace)
        .ok_or_else(|| SILENCE_HELP.to_owned())?;
    let length: Length = length.parse().map_err(|_| {
        format!(
            "`{}` is no length; {SILENCE_HELP}",
            safe_text::cut(length, 20)
        )
    })?;
    match reason.trim() {
        "" => Err(SILENCE_HELP.to_owned()),
        reason => Ok((length.0, reason.to_owned())),
    }
}
