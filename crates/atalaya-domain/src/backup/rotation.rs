//! Which backups may go: everything of the last days stays, then one for each week, then one for
//! each month.
//!
//! Whatever the figures say, the newest backup that was found right stays, the newest of all does,
//! and so does each one that a staying one builds on.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use chrono::Datelike as _;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// How long backups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// All of the last so many days.
    pub days: u32,
    /// One of each of the last so many weeks.
    pub weeks: u32,
    /// One of each of the last so many months.
    pub months: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            days: 30,
            weeks: 8,
            months: 12,
        }
    }
}

/// A backup, as the rotation sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub name: String,
    pub created_at: Timestamp,
    /// It was read again and is right.
    pub verified: bool,
    /// What it builds on. An increment whose manifest nobody could read has none, and keeps
    /// everything that is older alive ([`Kept::unknown`]).
    pub bases: Vec<String>,
    /// Nobody could read what it builds on.
    pub unknown: bool,
}

/// The names that may be deleted, oldest first.
pub fn expired(backups: &[Kept], keep: Keep, now: Timestamp) -> Vec<String> {
    let mut newest_first: Vec<&Kept> = backups.iter().collect();
    newest_first
        .sort_by(|one, other| (other.created_at, &other.name).cmp(&(one.created_at, &one.name)));
    let mut staying: HashSet<&str> = HashSet::new();
    let recent = now.saturating_sub(DAY * keep.days);
    staying.extend(
        newest_first
            .iter()
            .filter(|backup| backup.created_at >= recent)
            .map(|backup| backup.name.as_str()),
    );
    staying.extend(newest_first.first().map(|backup| backup.name.as_str()));
    let verified = newest_first.iter().find(|backup| backup.verified);
    staying.extend(verified.map(|backup| backup.name.as_str()));
    for (count, period) in [
        (keep.weeks, week as fn(Timestamp) -> i64),
        (keep.months, month as fn(Timestamp) -> i64),
    ] {
        let oldest = period(now) - i64::from(count) + 1;
        // Of a period the newest that is right, else the newest.
        let mut seen = BTreeSet::new();
        let of_period = newest_first
            .iter()
            .filter(|backup| backup.verified)
            .chain(&newest_first);
        for backup in of_period {
            let at = period(backup.created_at);
            if at >= oldest && seen.insert(at) {
                staying.insert(&backup.name);
            }
        }
    }
    keep_bases(&newest_first, &mut staying);
    newest_first
        .iter()
        .rev()
        .filter(|backup| !staying.contains(backup.name.as_str()))
        .map(|backup| backup.name.clone())
        .collect()
}

fn keep_bases<'a>(newest_first: &[&'a Kept], staying: &mut HashSet<&'a str>) {
    for backup in newest_first {
        if !staying.contains(backup.name.as_str()) {
            continue;
        }
        staying.extend(backup.bases.iter().map(String::as_str));
        if backup.unknown {
            staying.extend(
                newest_first
                    .iter()
                    .filter(|other| other.created_at <= backup.created_at)
                    .map(|other| other.name.as_str()),
            );
        }
    }
}

/// Weeks since 1970, from Monday.
fn week(at: Timestamp) -> i64 {
    // 1970-01-01 was a Thursday.
    (at.micros().div_euclid(86_400_000_000) + 3).div_euclid(7)
}

fn month(at: Timestamp) -> i64 {
    let date = at.to_utc();
    i64::from(date.year()) * 12 + i64::from(date.month0())
}
