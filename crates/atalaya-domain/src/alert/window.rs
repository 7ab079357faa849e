//! Which minutes a rule counts.
//!
//! Records arrive late: from other hosts, through a spool, from a store that was away. A window is
//! therefore *closed* only when its end is `late` ago, and what asks for an exact count (a ratio, a
//! count that must not be too small) looks at the closed window alone. A count that must not be too
//! large can be trusted earlier, since more records only add to it: it looks at every window that
//! ends between the closed one and now, and takes the fullest. So it fires as soon as enough is
//! there, and a window stays in sight from the moment it could be seen until it is closed: records
//! that come late within that time move an evaluation, and never make it fall and rise again.
//!
//! Windows are cut by whole minutes of UTC, which no midnight, partition or time zone divides.

use std::time::Duration;

use crate::time::{TimeRange, Timestamp};

const MINUTE: i64 = 60_000_000;

/// The minutes that a rule of this window counts at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minutes {
    /// From the first minute of the closed window to the end of the running minute.
    pub range: TimeRange,
    /// Minutes of the window.
    window: usize,
}

impl Minutes {
    /// `window` is rounded up to whole minutes, and so is `late`.
    pub fn at(now: Timestamp, late: Duration, window: Duration) -> Self {
        let window = minutes(window).max(1);
        let closed = closed_end(now, late);
        let running = Timestamp::from_micros(floor(now).micros().saturating_add(MINUTE));
        let from = closed
            .micros()
            .saturating_sub(window.saturating_mul(MINUTE));
        Self {
            range: TimeRange::new(Timestamp::from_micros(from), running),
            window: usize::try_from(window).unwrap_or(usize::MAX),
        }
    }

    /// How many minutes there are; each is one bin.
    pub fn bins(&self) -> usize {
        let length = self.range.until.micros() - self.range.from.micros();
        usize::try_from(length / MINUTE).unwrap_or(0)
    }

    /// What lies in the closed window. `counts` has one count for each minute.
    pub fn closed(&self, counts: &[u64]) -> u64 {
        counts.iter().take(self.window).sum()
    }

    /// What lies in the fullest window, from the closed one to the running one.
    pub fn fullest(&self, counts: &[u64]) -> u64 {
        counts
            .windows(self.window.clamp(1, counts.len().max(1)))
            .map(|window| window.iter().sum())
            .max()
            .unwrap_or(0)
    }
}

/// The closed window that ends `late` ago.
pub fn closed(now: Timestamp, late: Duration, window: Duration) -> TimeRange {
    let until = closed_end(now, late);
    TimeRange::ending(
        until,
        Duration::from_micros(u64::try_from(minutes(window).max(1) * MINUTE).unwrap_or(u64::MAX)),
    )
}

/// Minutes from the end of the minute of the last record to the end of what is closed; 0 while there
/// are records.
pub fn silent_minutes(last: Timestamp, now: Timestamp, late: Duration) -> u64 {
    let after = floor(last).micros().saturating_add(MINUTE);
    let silent = closed_end(now, late).micros().saturating_sub(after);
    u64::try_from(silent.max(0) / MINUTE).unwrap_or(0)
}

fn closed_end(now: Timestamp, late: Duration) -> Timestamp {
    let late = minutes(late).saturating_mul(MINUTE);
    Timestamp::from_micros(floor(now).micros().saturating_sub(late))
}

fn floor(at: Timestamp) -> Timestamp {
    let into = at.micros().rem_euclid(MINUTE);
    Timestamp::from_micros(at.micros().saturating_sub(into))
}

/// Rounded up; at most a thousand years.
fn minutes(length: Duration) -> i64 {
    i64::try_from(length.as_secs().div_ceil(60))
        .unwrap_or(i64::MAX)
        .min(525_600_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn five_minutes_that_end_a_minute_ago_and_what_came_since() {
        // 00:02:30 of some day: the window reaches over midnight like over any other minute.
        let midnight = 20_000 * 86_400;
        let minutes = Minutes::at(
            at(midnight + 150),
            Duration::from_secs(60),
            Duration::from_secs(300),
        );
        assert_eq!(
            minutes.range,
            TimeRange::new(at(midnight - 240), at(midnight + 180))
        );
        assert_eq!(minutes.bins(), 7);
        assert_eq!(minutes.closed(&[1, 1, 1, 1, 1, 9, 9]), 5);
        assert_eq!(minutes.fullest(&[1, 1, 1, 1, 1, 9, 9]), 21);
        assert_eq!(
            closed(
                at(midnight + 150),
                Duration::from_secs(60),
                Duration::from_secs(300)
            ),
            TimeRange::new(at(midnight - 240), at(midnight + 60))
        );
    }

    #[test]
    fn silence_begins_when_a_minute_without_records_is_closed() {
        let late = Duration::from_secs(60);
        assert_eq!(silent_minutes(at(30), at(119), late), 0);
        assert_eq!(silent_minutes(at(30), at(180), late), 1);
        assert_eq!(silent_minutes(at(30), at(10), late), 0);
        assert_eq!(silent_minutes(at(30), at(60 * 12), late), 10);
    }

    /// One record: when it happened and how long it took to arrive, in seconds.
    type Event = (i64, i64);

    const WINDOW: i64 = 5;
    const END: i64 = 90;

    fn seen(events: &[Event], now: i64, late: Duration) -> u64 {
        let minutes = Minutes::at(
            at(now),
            late,
            Duration::from_secs(WINDOW.unsigned_abs() * 60),
        );
        let mut counts = vec![0; minutes.bins()];
        for (happened, delay) in events {
            if happened + delay <= now && minutes.range.contains(at(*happened)) {
                let bin = (at(*happened).micros() - minutes.range.from.micros()) / MINUTE;
                counts[usize::try_from(bin).unwrap_or(0)] += 1;
            }
        }
        minutes.fullest(&counts)
    }

    /// Ends, in minutes, of the windows that really held so many records.
    fn full_windows(events: &[Event], threshold: u64) -> Vec<i64> {
        (0..=END + 10)
            .filter(|end| {
                let inside = events
                    .iter()
                    .filter(|(at, _)| (end - WINDOW) * 60 <= *at && *at < end * 60);
                inside.count() as u64 >= threshold
            })
            .collect()
    }

    proptest! {
        /// Late records, within what is allowed, never make it fall and rise again: it is beyond the
        /// threshold in one piece for each piece of full windows, and misses none.
        #[test]
        fn records_that_come_late_do_not_make_it_flap(
            events in prop::collection::vec((0..END * 60, 0_i64..120), 0..60),
            threshold in 2_u64..12,
            second in 0_i64..60,
        ) {
            let late = Duration::from_secs(120);
            let full = full_windows(&events, threshold);
            let mut pieces = 0;
            let mut before = false;
            for minute in 0..END + 10 {
                let beyond = seen(&events, minute * 60 + second, late) >= threshold;
                pieces += u32::from(beyond && !before);
                before = beyond;
                // The windows in sight end from two minutes ago to the end of this one.
                let in_sight = full.iter().any(|end| (minute - 2..=minute + 1).contains(end));
                prop_assert!(!beyond || in_sight, "minute {minute}: nothing was full");
                prop_assert!(beyond || !full.contains(&(minute - 2)), "minute {minute}: missed");
            }
            // Full windows that lie nearer than the time in sight are one piece.
            let apart = full.windows(2).filter(|two| two[1] - two[0] > 1).count();
            let most = if full.is_empty() { 0 } else { apart + 1 };
            prop_assert!(pieces as usize <= most, "{pieces} pieces of {most}");
        }

        #[test]
        fn every_instant_and_length_has_its_minutes(
            now in any::<i64>(), late in 0_u64..100_000, window in 1_u64..10_000_000,
        ) {
            let now = Timestamp::from_micros(now / 4);
            let minutes = Minutes::at(now, Duration::from_secs(late), Duration::from_secs(window));
            prop_assert!(minutes.range.contains(now));
            prop_assert_eq!(minutes.range.from.micros().rem_euclid(MINUTE), 0);
            prop_assert!(minutes.bins() > 0);
        }
    }
}
