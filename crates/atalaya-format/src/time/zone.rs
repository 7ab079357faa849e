//! From a wall clock reading to an instant: offsets, zone names, the hours that a zone has twice
//! or not at all, and the year of stamps that have none.

use std::cell::Cell;

use chrono::{DateTime, NaiveDateTime, Offset as _, TimeZone};

use atalaya_domain::time::Timestamp;

use super::super::{SourceZone, TimeHint};
use super::calendar::{Civil, is_leap, year_of_days};
use super::parts::Zone;

/// An instant, with the doubts that its stamp leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    pub at: Timestamp,
    /// The zone has this hour twice (the earlier is taken) or not at all (moved forward by the
    /// length of the gap).
    pub ambiguous: bool,
    /// The later of the two readings, when the zone has this hour twice: which one it is, only
    /// the stamps around it can say.
    pub second: Option<Timestamp>,
    /// The stamp has no year, and the one that was taken is not that of the reference.
    pub year_guessed: bool,
    /// The stamp has no day: see `Parsed::day_missing`.
    pub day_missing: bool,
    /// The stamp itself names its zone or its offset, or is a number since 1970: the source's
    /// zone had no say.
    pub zoned: bool,
    /// Nothing in the stamp tells the day from the month (or the year): the commoner order was
    /// taken.
    pub order_guessed: bool,
}

impl Instant {
    /// An instant without doubts, in whatever zone: a number since 1970.
    pub const fn exact(at: Timestamp) -> Self {
        Self {
            at,
            ambiguous: false,
            second: None,
            year_guessed: false,
            day_missing: false,
            zoned: true,
            order_guessed: false,
        }
    }
}

/// Where a local reading stands against Greenwich.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offset {
    seconds: i32,
    ambiguous: bool,
    /// The smaller offset of an hour that the zone has twice.
    second: Option<i32>,
}

impl Offset {
    const fn sure(seconds: i32) -> Self {
        Self {
            seconds,
            ambiguous: false,
            second: None,
        }
    }
}

/// The instant of a reading that has a year. `offset_seconds` is what the stamp itself says, east
/// of Greenwich; without one the source's zone decides.
pub fn resolve(civil: &Civil, offset_seconds: Option<i32>, zone: SourceZone) -> Instant {
    let local = civil.local_seconds();
    let offset = match (offset_seconds, zone) {
        (Some(offset), _) => Offset::sure(offset),
        (None, SourceZone::Utc) => Offset::sure(0),
        (None, SourceZone::Fixed(offset)) => Offset::sure(offset.local_minus_utc()),
        (None, SourceZone::Local | SourceZone::Named(_)) => zone_offset(local, zone),
    };
    let at = |offset: i32| {
        let seconds = local - i64::from(offset);
        Timestamp::from_micros(
            seconds
                .saturating_mul(1_000_000)
                .saturating_add(i64::from(civil.micros)),
        )
    };
    Instant {
        ambiguous: offset.ambiguous,
        second: offset.second.map(at),
        zoned: offset_seconds.is_some(),
        ..Instant::exact(at(offset.seconds))
    }
}

/// [`resolve`] for what a stamp says about its zone in any way.
pub fn resolve_in(civil: &Civil, stated: Option<Zone>, zone: SourceZone) -> Instant {
    match stated {
        Some(Zone::Offset(seconds)) => resolve(civil, Some(seconds), zone),
        Some(Zone::Named(named)) => Instant {
            zoned: true,
            ..resolve(civil, None, SourceZone::Named(named))
        },
        None => resolve(civil, None, zone),
    }
}

/// The instant of a reading without a year (`civil.year` is ignored): the latest year that puts it
/// no later than a day after the reference, as a file's lines are older than its last change. The
/// day allows for clocks and zones that are set wrong. `None` for a day that no year has.
pub fn yearless(civil: &Civil, hint: &TimeHint) -> Option<Instant> {
    yearless_in(civil, None, hint)
}

/// [`yearless`] for a stamp that says its zone.
pub fn yearless_in(civil: &Civil, stated: Option<Zone>, hint: &TimeHint) -> Option<Instant> {
    const DAY: i64 = 86_400;
    let reference = hint.reference.micros().div_euclid(1_000_000);
    let reference_year = year_of_days(reference.div_euclid(DAY));
    let bound = hint.reference.micros().saturating_add(DAY * 1_000_000);
    let leap_day = civil.month == 2 && civil.day == 29;
    if !(Civil {
        year: 2000,
        ..*civil
    })
    .is_valid()
    {
        return None;
    }
    // A stamp of the next year is within the day after the reference only in its first days.
    let newest = reference_year.saturating_add(i32::from(civil.month == 1 && civil.day <= 3));
    // Around a century without a leap day the latest 29 February is up to eight years away.
    let reach = if leap_day { 8 } else { 1 };
    for year in (reference_year.saturating_sub(reach)..=newest).rev() {
        let civil = Civil { year, ..*civil };
        // Two days and more after the reference it is too late in any zone; this spares most old
        // stamps a look at the rules of the zone.
        if leap_day && !is_leap(year)
            || civil.local_seconds() > reference.saturating_add(2 * DAY + DAY / 2)
        {
            continue;
        }
        let instant = resolve_in(&civil, stated, hint.zone);
        if instant.at.micros() <= bound {
            let year_guessed = year != reference_year
                && (hint.zone == SourceZone::Utc || year != local_year(hint));
            return Some(Instant {
                year_guessed,
                ..instant
            });
        }
    }
    None
}

/// The year of the reference where the source is.
fn local_year(hint: &TimeHint) -> i32 {
    let local = hint
        .reference
        .micros()
        .div_euclid(1_000_000)
        .saturating_add(i64::from(offset_at(hint)));
    year_of_days(local.div_euclid(86_400))
}

/// The offset of the source's zone at the reference, in seconds.
pub fn offset_at(hint: &TimeHint) -> i32 {
    fn of<Rules: TimeZone>(zone: &Rules, at: Timestamp) -> i32 {
        zone.offset_from_utc_datetime(&at.to_utc().naive_utc())
            .fix()
            .local_minus_utc()
    }
    match hint.zone {
        SourceZone::Utc => 0,
        SourceZone::Fixed(offset) => offset.local_minus_utc(),
        SourceZone::Local => of(&chrono::Local, hint.reference),
        SourceZone::Named(zone) => of(&zone, hint.reference),
    }
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

/// Offset of a local reading in a zone with rules.
fn zone_offset(local: i64, zone: SourceZone) -> Offset {
    let hour = local.div_euclid(3_600);
    if let Some((known, at, offset)) = LAST_HOUR.get()
        && known == zone
        && at == hour
    {
        return Offset::sure(offset);
    }
    let found = lookup(local, zone);
    let same = |local| lookup(local, zone) == Offset::sure(found.seconds);
    if !found.ambiguous && same(hour * 3_600) && same(hour * 3_600 + 3_599) {
        LAST_HOUR.set(Some((zone, hour, found.seconds)));
    }
    found
}

fn lookup(local: i64, zone: SourceZone) -> Offset {
    let Some(reading) = DateTime::from_timestamp(local, 0).map(|at| at.naive_utc()) else {
        return Offset::sure(0);
    };
    match zone {
        SourceZone::Utc => Offset::sure(0),
        SourceZone::Fixed(offset) => Offset::sure(offset.local_minus_utc()),
        SourceZone::Local => lookup_in(&chrono::Local, reading),
        SourceZone::Named(zone) => lookup_in(&zone, reading),
    }
}

fn lookup_in<Rules: TimeZone>(zone: &Rules, reading: NaiveDateTime) -> Offset {
    let seconds = |offset: Rules::Offset| offset.fix().local_minus_utc();
    match zone.offset_from_local_datetime(&reading) {
        chrono::MappedLocalTime::Single(offset) => Offset::sure(seconds(offset)),
        chrono::MappedLocalTime::Ambiguous(first, second) => {
            // The earlier instant is the one with the greater offset.
            let (first, second) = (seconds(first), seconds(second));
            Offset {
                seconds: first.max(second),
                ambiguous: true,
                second: Some(first.min(second)),
            }
        }
        chrono::MappedLocalTime::None => {
            // In the gap: read the clock as if it had not been put forward yet. Gaps are shorter
            // than a day, so the offset of the day before is the one before the change.
            let before = reading.checked_sub_signed(chrono::TimeDelta::days(1));
            let offset =
                before.and_then(|before| zone.offset_from_local_datetime(&before).earliest());
            Offset {
                seconds: offset.map_or(0, seconds),
                ambiguous: true,
                second: None,
            }
        }
    }
}
