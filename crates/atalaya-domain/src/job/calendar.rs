//! From wall-clock times to instants and back, where a zone's clock is put forward or back.

use chrono::{
    DateTime, MappedLocalTime, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::Tz;

use crate::time::Timestamp;

/// The zone in which hours of the day are meant.
pub type Zone = Tz;

/// No zone changes its clock twice within this.
const STEP: TimeDelta = TimeDelta::hours(12);

/// An instant at which a zone's offset changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub at: DateTime<Utc>,
    /// Seconds east of UTC.
    pub before: i64,
    pub after: i64,
}

/// Seconds east of UTC.
pub(super) fn offset(zone: Zone, at: DateTime<Utc>) -> i64 {
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    i64::from(offset.local_minus_utc())
}

/// What the clocks of a zone with this offset show.
pub(super) fn wall(at: DateTime<Utc>, offset: i64) -> NaiveDateTime {
    at.naive_utc()
        .checked_add_signed(TimeDelta::seconds(offset))
        .unwrap_or(NaiveDateTime::MAX)
}

/// The first change in (`from`, `until`].
pub(super) fn first_change(
    zone: Zone,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<Change> {
    let mut low = from;
    let before = offset(zone, from);
    while low < until {
        let high = low.checked_add_signed(STEP).unwrap_or(until).min(until);
        if offset(zone, high) != before {
            return Some(bisected(zone, low, high, before));
        }
        low = high;
    }
    None
}

/// To the second, as zones change.
fn bisected(zone: Zone, low: DateTime<Utc>, high: DateTime<Utc>, before: i64) -> Change {
    let (mut low, mut high) = (low.timestamp(), high.timestamp());
    // A part of a second after the change belongs to it.
    let at =
        |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if offset(zone, at(middle)) == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    Change {
        at: at(high),
        before,
        after: offset(zone, at(high)),
    }
}

/// Whether the zone's clocks show this time for the second time.
pub(super) fn is_second_pass(zone: Zone, at: DateTime<Utc>) -> bool {
    let shown = wall(at, offset(zone, at));
    match zone.from_local_datetime(&shown) {
        MappedLocalTime::Ambiguous(one, other) => at == one.max(other),
        MappedLocalTime::Single(_) | MappedLocalTime::None => false,
    }
}

pub(super) fn utc(at: Timestamp) -> DateTime<Utc> {
    at.to_utc()
}
