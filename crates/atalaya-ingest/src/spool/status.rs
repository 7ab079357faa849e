//! The spool in numbers and one sentence, for the screens.

use serde::Serialize;

use atalaya_domain::time::Timestamp;
use atalaya_store::error::Reason;

/// What the spool is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum SpoolState {
    /// The store takes what comes.
    #[default]
    Passing,
    /// More waits than is on its way: what gathered is being sent.
    Draining,
    /// The store does not take records; they gather here.
    Away {
        since: Timestamp,
        #[serde(flatten)]
        reason: Reason,
    },
}

/// The accounts of the spool. `recovered + spooled = acked + quarantined + damaged + waiting`, in records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpoolStatus {
    pub state: SpoolState,
    /// Nothing more can be written, and why: reading waits.
    pub stuck: Option<String>,
    /// Size on disk, with what is kept after its acknowledgement and the quarantine.
    pub bytes: u64,
    pub max_bytes: u64,
    pub quarantine_bytes: u64,
    pub waiting_groups: u64,
    pub waiting_records: u64,
    /// When the oldest waiting group was written.
    pub oldest_waiting: Option<Timestamp>,
    /// Records found on disk at the start, and not known to be stored.
    pub recovered: u64,
    /// Records written by this run.
    pub spooled: u64,
    /// Records that the store has acknowledged.
    pub acked: u64,
    /// Records that the store refused for good; they are kept in the quarantine.
    pub quarantined: u64,
    /// Records in damaged places of the spool.
    pub damaged: u64,
    pub damaged_bytes: u64,
    /// Groups that were acknowledged are being sent again, because the store was away.
    pub replaying: bool,
    /// Records sent again because the store was away after it had acknowledged them.
    pub replayed: u64,
    /// Syncs of this run, each for one or more groups.
    pub syncs: u64,
    /// Appends of this run.
    pub groups: u64,
    /// What was not as it was left when the spool was opened, for a person.
    pub notices: Vec<String>,
}

impl SpoolStatus {
    /// How full the spool is, 0 to 1.
    pub fn fill(&self) -> f64 {
        if self.max_bytes == 0 {
            0.0
        } else {
            self.bytes as f64 / self.max_bytes as f64
        }
    }

    /// Whether every record was acknowledged, or set aside with its reason, and nothing is being
    /// sent again.
    pub fn is_drained(&self) -> bool {
        self.waiting_groups == 0 && !self.replaying
    }

    /// One sentence when there is something to say: `spooling since 12:03:10 UTC: Cassandra is
    /// unreachable at …; 12 % of 1.0 GiB`. `say` puts a reason in words, with its remedy.
    pub fn sentence(&self, say: impl Fn(&Reason) -> String) -> Option<String> {
        let fill = format!("{:.0} % of {}", self.fill() * 100.0, size(self.max_bytes));
        if let Some(why) = &self.stuck {
            return Some(format!("the spool takes no more: {why}; {fill}"));
        }
        match &self.state {
            SpoolState::Away { since, reason } => Some(format!(
                "spooling since {} UTC: {}; {fill}",
                since.to_utc().format("%H:%M:%S"),
                say(reason)
            )),
            SpoolState::Draining => Some(format!(
                "catching up: {} records wait in the spool; {fill}",
                self.waiting_records
            )),
            SpoolState::Passing => None,
        }
    }
}

/// `1.0 GiB`, `16 MiB`, `512 B`.
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes.is_multiple_of(*unit) => format!("{} {name}", bytes / unit),
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_since_when_why_and_how_full() {
        let mut status = SpoolStatus {
            bytes: 129 << 20,
            max_bytes: 1 << 30,
            waiting_records: 7,
            ..SpoolStatus::default()
        };
        assert_eq!(status.sentence(ToString::to_string), None);
        status.state = SpoolState::Away {
            since: Timestamp::from_seconds(12 * 3_600 + 3 * 60 + 10),
            reason: Reason::plain("Cassandra is unreachable at 10.0.0.1:9042".to_owned()),
        };
        assert_eq!(
            status.sentence(ToString::to_string).as_deref(),
            Some(
                "spooling since 12:03:10 UTC: Cassandra is unreachable at 10.0.0.1:9042; 13 % of 1 GiB"
            )
        );
        status.state = SpoolState::Draining;
        assert_eq!(
            status.sentence(ToString::to_string).as_deref(),
            Some("catching up: 7 records wait in the spool; 13 % of 1 GiB")
        );
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [size(512), size(16 << 20), size(3 << 29)],
            ["512 B", "16 MiB", "1.5 GiB"]
        );
    }
}
