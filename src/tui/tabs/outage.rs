//! Reads that fail: what the banner says of them, and when they are tried again.
//!
//! A failed read is repeated by itself, whatever the reason: a server comes back, and somebody may
//! run `atalaya db init` meanwhile. What was on the screen stays.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::tui::widgets::clock;
use atalaya_domain::backoff::Backoff;
use atalaya_domain::time::Timestamp;
use atalaya_query::Zone;
use atalaya_store::chunks::Trouble;

/// Before a repetition: a store that only hiccups is back at once, and one that is gone is not asked
/// ever so often.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
/// From then on the time alone does not say since when.
const SAME_DAY: Duration = Duration::from_secs(12 * 3_600);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Outage {
    /// Of the first failure.
    since: Timestamp,
    /// Of the last one; safe to show.
    reason: String,
    /// In a row.
    failures: u32,
    /// `None`: a try is under way.
    next_try: Option<Timestamp>,
}

/// The reads of one tab that fail at present, by name, and what those under way meet.
#[derive(Debug, Default)]
pub struct Outages {
    failed: BTreeMap<&'static str, Outage>,
    under_way: Option<Trouble>,
}

impl Outages {
    /// `reason` is safe to show.
    pub fn failed(&mut self, read: &'static str, reason: String, now: Timestamp) {
        let known = self.failed.get(read);
        let failures = known.map_or(1, |known| known.failures.saturating_add(1));
        let since = known.map_or(now, |known| known.since);
        let next_try = Some(now.saturating_add(PAUSES.after(failures)));
        self.failed.insert(
            read,
            Outage {
                since,
                reason,
                failures,
                next_try,
            },
        );
    }

    /// It works (again), or nobody wants it any more; whether it had failed.
    pub fn passed(&mut self, read: &'static str) -> bool {
        self.failed.remove(read).is_some()
    }

    /// The reads to repeat now; each is named once until it has failed again.
    pub fn due(&mut self, now: Timestamp) -> Vec<&'static str> {
        let mut due = Vec::new();
        for (read, outage) in &mut self.failed {
            if outage.next_try.is_some_and(|at| now >= at) {
                outage.next_try = None;
                due.push(*read);
            }
        }
        due
    }

    pub fn is_failing(&self, read: &'static str) -> bool {
        self.failed.contains_key(read)
    }

    /// What the reads that are under way meet; its reason is safe to show.
    pub fn set_under_way(&mut self, trouble: Option<Trouble>) {
        self.under_way = trouble;
    }

    pub fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.under_way.is_none()
    }

    /// What fails longest: what and where, since when, that it is tried again, and the causes at
    /// the end, where a narrow screen may cut them.
    pub fn banner(&self, now: Timestamp, zone: Zone) -> Option<String> {
        let failed = self
            .failed
            .values()
            .map(|outage| (outage.since, &outage.reason));
        let under_way = self
            .under_way
            .iter()
            .map(|trouble| (trouble.since, &trouble.reason));
        let (since, reason) = failed.chain(under_way).min_by_key(|(since, _)| *since)?;
        let since = if now.since(since) < SAME_DAY {
            clock::format(since, zone, "%H:%M:%S")
        } else {
            clock::format(since, zone, "%Y-%m-%d %H:%M:%S")
        };
        let (what, cause) = reason.split_once(": ").unwrap_or((reason, ""));
        let cause = if cause.is_empty() {
            String::new()
        } else {
            format!(" ({cause})")
        };
        Some(format!("{what}, since {since}; trying again{cause}"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_790_000_000 + seconds)
    }

    const REASON: &str = "Cassandra is unreachable at 10.0.0.1:9042/logging: connection refused";

    #[test]
    fn the_banner_says_what_where_since_when_and_that_it_goes_on() {
        let mut outages = Outages::default();
        outages.failed("list", REASON.to_owned(), at(0));
        outages.failed("list", REASON.to_owned(), at(5));
        assert_eq!(
            outages.banner(at(6), Zone::Utc).unwrap(),
            "Cassandra is unreachable at 10.0.0.1:9042/logging, since 14:13:20; trying again (connection refused)"
        );
        assert!(
            outages
                .banner(at(100_000), Zone::Utc)
                .unwrap()
                .contains("since 2026-09-21 14:13:20")
        );
    }

    #[test]
    fn the_oldest_outage_speaks_and_another_reads_success_does_not_end_it() {
        let mut outages = Outages::default();
        outages.failed("list", "no list".to_owned(), at(0));
        outages.failed("follow", "no arrivals".to_owned(), at(1));
        assert!(outages.passed("follow"));
        assert!(
            outages
                .banner(at(2), Zone::Utc)
                .unwrap()
                .starts_with("no list, since")
        );
        assert!(outages.passed("list") && !outages.passed("list"));
        assert_eq!(outages.banner(at(2), Zone::Utc), None);
    }

    #[test]
    fn a_read_that_is_still_under_way_says_what_it_meets() {
        let mut outages = Outages::default();
        outages.set_under_way(Some(Trouble {
            since: at(0),
            reason: REASON.to_owned(),
        }));
        assert!(!outages.is_empty());
        let said = outages.banner(at(1), Zone::Utc).unwrap();
        outages.set_under_way(None);
        assert_eq!(outages.banner(at(1), Zone::Utc), None);
        outages.failed("list", REASON.to_owned(), at(0));
        assert_eq!(
            outages.banner(at(1), Zone::Utc).unwrap(),
            said,
            "failing in the end changes no word"
        );
    }

    #[test]
    fn tries_come_further_apart_and_one_at_a_time() {
        let mut outages = Outages::default();
        let mut now = 0;
        for pause in [1, 2, 4, 4] {
            outages.failed("list", REASON.to_owned(), at(now));
            assert!(outages.due(at(now + pause - 1)).is_empty());
            now += pause;
            assert_eq!(outages.due(at(now)), ["list"]);
            assert!(
                outages.due(at(now + 60)).is_empty(),
                "that try is under way"
            );
        }
    }
}
