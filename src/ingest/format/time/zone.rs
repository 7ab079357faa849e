//! From a wall clock reading to an instant: offsets, zone names, the hours that a zone has twice
//! or not at all, and the year of stamps that have none.

use std::cell::Cell;

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};

use crate::domain::time::Timestamp;

use super::super::{SourceZone, TimeHint};
use super::calendar::{Civil, is_leap, year_of_days};

/// An instant, with the doubts that its stamp leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    pub at: Timestamp,
    /// The zone has this hour twice (the earlier is taken) or not at all (moved forward by the
    /// length of the gap).
    pub ambiguous: bool,
    /// The stamp has no year, and the nearest one is not that of the reference.
    pub year_guessed: bool,
    /// The stamp has no day: see `Parsed::day_missing`.
    pub day_missing: bool,
}

impl Instant {
    /// An instant without doubts.
    pub const fn exact(at: Timestamp) -> Self {
        Self { at, ambiguous: false, year_guessed: false, day_missing: false }
    }
}

/// The instant of a reading that has a year. `offset_seconds` is what the stamp itself says, east
/// of Greenwich; without one the source's zone decides.
pub fn resolve(civil: &Civil, offset_seconds: Option<i32>, zone: SourceZone) -> Instant {
    let local = civil.local_seconds();
    let (offset, ambiguous) = match (offset_seconds, zone) {
        (Some(offset), _) => (offset, false),
        (None, SourceZone::Utc) => (0, false),
        (None, SourceZone::Fixed(offset)) => (offset.local_minus_utc(), false),
        (None, SourceZone::Local | SourceZone::Named(_)) => zone_offset(local, zone),
    };
    let micros =
        (local - i64::from(offset)).saturating_mul(1_000_000).saturating_add(i64::from(civil.micros));
    Instant { ambiguous, ..Instant::exact(Timestamp::from_micros(micros)) }
}

/// The instant of a reading without a year (`civil.year` is ignored): the year that puts it
/// nearest to the reference. `None` for a day that no year has.
pub fn yearless(civil: &Civil, hint: &TimeHint) -> Option<Instant> {
    let reference_year = year_of_days(hint.reference.micros().div_euclid(86_400_000_000));
    let leap_day = civil.month == 2 && civil.day == 29;
    // Half a year away and less is nearest for sure; only the turn of the year needs a comparison.
    let at_reference = Civil { year: reference_year, ..*civil };
    if (!leap_day || is_leap(reference_year)) && at_reference.is_valid() {
        let instant = resolve(&at_reference, None, hint.zone);
        if distance(instant, hint) < 182 * 86_400_000_000 {
            return Some(instant);
        }
    }
    // Around a century without a leap day the nearest 29 February is up to eight years away.
    let reach = if leap_day { 8 } else { 1 };
    (reference_year - reach..=reference_year + reach)
        .map(|year| Civil { year, ..*civil })
        .filter(Civil::is_valid)
        .map(|civil| Instant {
            year_guessed: civil.year != reference_year,
            ..resolve(&civil, None, hint.zone)
        })
        .min_by_key(|&instant| distance(instant, hint))
}

fn distance(instant: Instant, hint: &TimeHint) -> u64 {
    instant.at.micros().abs_diff(hint.reference.micros())
}

/// Zone names that logs use, in seconds east of Greenwich.
///
/// Abbreviations are not unique in the world; these are the readings of the programs that write
/// logs. A name means its offset in any season: EST in July is -05:00.
pub fn zone_seconds(name: &str) -> Option<i32> {
    const HOUR: i32 = 3_600;
    Some(match name {
        "UTC" | "GMT" | "Z" | "UCT" | "WET" | "Etc/UTC" => 0,
        "CET" | "BST" | "WEST" | "MEZ" => HOUR,
        "CEST" | "EET" | "SAST" | "MESZ" => 2 * HOUR,
        "EEST" | "MSK" | "TRT" => 3 * HOUR,
        "MSD" => 4 * HOUR,
        "IST" => 5 * HOUR + 1_800,
        "HKT" | "SGT" | "AWST" => 8 * HOUR,
        "JST" | "KST" => 9 * HOUR,
        "AEST" => 10 * HOUR,
        "AEDT" => 11 * HOUR,
        "NZST" => 12 * HOUR,
        "NZDT" => 13 * HOUR,
        "BRT" | "ART" | "ADT" => -3 * HOUR,
        "EDT" | "AST" => -4 * HOUR,
        "EST" | "CDT" => -5 * HOUR,
        "CST" | "MDT" => -6 * HOUR,
        "MST" | "PDT" => -7 * HOUR,
        "PST" | "AKDT" => -8 * HOUR,
        "AKST" => -9 * HOUR,
        "HST" => -10 * HOUR,
        _ => return None,
    })
}

thread_local! {
    /// The last hour looked up whose offset is the same throughout: nearly all lines of a file
    /// stand in the hour of the line before.
    static LAST_HOUR: Cell<Option<(SourceZone, i64, i32)>> = const { Cell::new(None) };
}

/// Offset in seconds of a local reading in a zone with rules, and whether it is in doubt.
fn zone_offset(local: i64, zone: SourceZone) -> (i32, bool) {
    let hour = local.div_euclid(3_600);
    if let Some((known, at, offset)) = LAST_HOUR.get()
        && known == zone
        && at == hour
    {
        return (offset, false);
    }
    let found = lookup(local, zone);
    let same = |local| lookup(local, zone) == (found.0, false);
    if !found.1 && same(hour * 3_600) && same(hour * 3_600 + 3_599) {
        LAST_HOUR.set(Some((zone, hour, found.0)));
    }
    found
}

fn lookup(local: i64, zone: SourceZone) -> (i32, bool) {
    let Some(reading) = DateTime::from_timestamp(local, 0).map(|at| at.naive_utc()) else {
        return (0, false);
    };
    match zone {
        SourceZone::Utc => (0, false),
        SourceZone::Fixed(offset) => (offset.local_minus_utc(), false),
        SourceZone::Local => lookup_in(&chrono::Local, reading),
        SourceZone::Named(zone) => lookup_in(&zone, reading),
    }
}

fn lookup_in<Zone: TimeZone>(zone: &Zone, reading: NaiveDateTime) -> (i32, bool) {
    match zone.offset_from_local_datetime(&reading) {
        chrono::MappedLocalTime::Single(offset) => (offset.fix().local_minus_utc(), false),
        chrono::MappedLocalTime::Ambiguous(first, second) => {
            // The earlier instant is the one with the greater offset.
            (first.fix().local_minus_utc().max(second.fix().local_minus_utc()), true)
        }
        chrono::MappedLocalTime::None => {
            // In the gap: read the clock as if it had not been put forward yet. Gaps are shorter
            // than a day, so the offset of the day before is the one before the change.
            let before = reading - chrono::TimeDelta::days(1);
            let offset = zone.offset_from_local_datetime(&before).earliest();
            (offset.map_or(0, |offset| offset.fix().local_minus_utc()), true)
        }
    }
}
