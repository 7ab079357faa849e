//! How far one can rely on the backups, in one line.

use std::time::Duration;

use super::{BackupRecord, DrillRecord};
use crate::health::{Check, Status};
use crate::time::Timestamp;

/// One a day, and an hour for making it.
const LATE: Duration = Duration::from_secs(25 * 3_600);

/// What is known of the backups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The newest one of all.
    pub newest: Option<BackupRecord>,
    /// The newest one that was found right.
    pub verified: Option<BackupRecord>,
    pub drill: Option<DrillRecord>,
}

impl Trust {
    /// The trust line; `None` where nobody ever made a backup.
    pub fn check(&self, now: Timestamp) -> Option<Check> {
        let newest = self.newest.as_ref()?;
        let mut status = Status::Ok;
        let mut words = Vec::new();
        match (&self.verified, &newest.problem) {
            (_, Some(problem)) => {
                status = Status::Degraded;
                words.push(format!("{} is damaged: {problem}", newest.name));
            }
            (None, None) => {
                status = Status::Degraded;
                words.push("none was verified".to_owned());
            }
            (Some(verified), None) => {
                let age = now.since(verified.created_at);
                if age > LATE {
                    status = Status::Degraded;
                }
                let at = verified.verified_at.unwrap_or(verified.created_at);
                words.push(format!(
                    "{} old (limit {}), verified {} ago",
                    span(age),
                    span(LATE),
                    span(now.since(at))
                ));
            }
        }
        match &self.drill {
            None => words.push("no drill yet".to_owned()),
            Some(drill) => {
                let ago = span(now.since(drill.at));
                words.push(match &drill.problem {
                    None => format!(
                        "drill {ago} ago: RTO {:.1} s, RPO {}",
                        drill.rto_ms as f64 / 1_000.0,
                        span(Duration::from_secs(drill.rpo_seconds))
                    ),
                    Some(problem) => {
                        status = Status::Degraded;
                        format!("the drill {ago} ago failed: {problem}")
                    }
                });
            }
        }
        Some(Check {
            name: "backup".to_owned(),
            status,
            message: words.join("; "),
        })
    }
}

/// In its largest unit that is at least 2 of it.
fn span(length: Duration) -> String {
    let minutes = length.as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2_880 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1_440),
    }
}
