//! Stamps against tables and against chrono.

#![expect(clippy::unwrap_used, reason = "tests")]

use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime};
use proptest::prelude::*;

use atalaya_domain::time::Timestamp;

use super::super::{SourceZone, TimeHint};
use super::*;
// Named, or it would be the strategy of proptest.
use super::any;

fn hint(zone: SourceZone) -> TimeHint {
    TimeHint {
        reference: at("2026-11-22T02:21:09Z"),
        zone,
    }
}

fn utc() -> TimeHint {
    hint(SourceZone::Utc)
}

fn berlin() -> TimeHint {
    hint(SourceZone::Named(chrono_tz::Europe::Berlin))
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().into()
}

mod found;
mod spellings;

/// A cutter, a text, and the instant and the rest that it gives.
type Case = (Cutter, &'static str, Option<(&'static str, &'static str)>);
type Cutter = for<'a> fn(&'a str, &TimeHint) -> Option<Cut<'a>>;

#[test]
fn stamps_are_cut_from_the_start() {
    let table: &[Case] = &[
        (
            clf,
            "22/Nov/2026:02:21:09 +0000] x",
            Some(("2026-11-22T02:21:09Z", "] x")),
        ),
        (
            clf,
            "22/Nov/2026:02:21:09 -0330]",
            Some(("2026-11-22T05:51:09Z", "]")),
        ),
        (
            clf,
            "22/Nov/2026:02:21:09]",
            Some(("2026-11-22T02:21:09Z", "]")),
        ),
        (clf, "32/Nov/2026:02:21:09 +0000]", None),
        (clf, "22/Xxx/2026:02:21:09 +0000]", None),
        (
            iso,
            "2026-11-22T02:21:09Z rest",
            Some(("2026-11-22T02:21:09Z", " rest")),
        ),
        (
            iso,
            "2026-11-22 02:21:09,123 rest",
            Some(("2026-11-22T02:21:09.123Z", " rest")),
        ),
        (
            iso,
            "2026-11-22T02:21:09.123456789+01:00",
            Some(("2026-11-22T01:21:09.123456Z", "")),
        ),
        (
            iso,
            "2026-11-22T02:21:09.5+0130 x",
            Some(("2026-11-22T00:51:09.5Z", " x")),
        ),
        (
            iso,
            "2026-11-22T02:21:09-02",
            Some(("2026-11-22T04:21:09Z", "")),
        ),
        (
            iso,
            "2026-11-22 02:21:09 +0100 x",
            Some(("2026-11-22T01:21:09Z", " x")),
        ),
        (
            iso,
            "2026-11-22 02:21:09 - text",
            Some(("2026-11-22T02:21:09Z", " - text")),
        ),
        (
            iso,
            "2026-11-22 02:21:09 -12 apples",
            Some(("2026-11-22T02:21:09Z", " -12 apples")),
        ),
        (iso, "2026-11-22T24:00:00Z", None),
        (iso, "2026-02-29T00:00:00Z", None),
        (iso, "2026-11-22", None),
        (
            iso,
            "2026-11-22T23:59:60Z",
            Some(("2026-11-23T00:00:00Z", "")),
        ),
        (
            iso_named,
            "2026-07-01 02:21:09.5 CEST [1]",
            Some(("2026-07-01T00:21:09.5Z", " [1]")),
        ),
        (
            iso_named,
            "2018-07-05 08:00:00 EST x",
            Some(("2018-07-05T13:00:00Z", " x")),
        ),
        (
            iso_named,
            "2026-11-22 02:21:09 XYZ x",
            Some(("2026-11-22T02:21:09Z", " XYZ x")),
        ),
        (
            slashed,
            "2026/11/22 02:21:09 [error]",
            Some(("2026-11-22T02:21:09Z", " [error]")),
        ),
        (
            syslog,
            "Nov 22 02:21:09 host",
            Some(("2026-11-22T02:21:09Z", " host")),
        ),
        (
            syslog,
            "Nov  2 02:21:09 host",
            Some(("2026-11-02T02:21:09Z", " host")),
        ),
        (
            syslog,
            "Nov 2 02:21:09 host",
            Some(("2026-11-02T02:21:09Z", " host")),
        ),
        (
            syslog,
            "Nov 22 02:21:09.25 host",
            Some(("2026-11-22T02:21:09.25Z", " host")),
        ),
        (
            syslog,
            "Nov 22 2024 02:21:09 host",
            Some(("2024-11-22T02:21:09Z", " host")),
        ),
        (
            syslog,
            "Jan  1 00:00:01 host",
            Some(("2026-01-01T00:00:01Z", " host")),
        ),
        (
            syslog,
            "Nov 23 02:21:09 host",
            Some(("2026-11-23T02:21:09Z", " host")),
        ),
        (
            syslog,
            "Nov 23 02:21:10 host",
            Some(("2025-11-23T02:21:10Z", " host")),
        ),
        (
            syslog,
            "Feb 29 12:00:00 host",
            Some(("2024-02-29T12:00:00Z", " host")),
        ),
        (syslog, "Feb 30 12:00:00 host", None),
        (
            ctime,
            "Fri Nov 22 02:21:09.123456 2024] x",
            Some(("2024-11-22T02:21:09.123456Z", "] x")),
        ),
        (
            ctime,
            "Fri Nov  2 02:21:09 2024",
            Some(("2024-11-02T02:21:09Z", "")),
        ),
        (
            ctime,
            "Fri Jul  5 02:21:09 CEST 2024",
            Some(("2024-07-05T00:21:09Z", "")),
        ),
        (
            day_first,
            "25 Apr 2024 05:32:35.018 * x",
            Some(("2024-04-25T05:32:35.018Z", " * x")),
        ),
        (
            day_first,
            "Thu, 25 Apr 2024 05:32:35 GMT",
            Some(("2024-04-25T05:32:35Z", "")),
        ),
        (
            packed,
            "20210131 14:48:54.411655 1",
            Some(("2021-01-31T14:48:54.411655Z", " 1")),
        ),
        (
            packed,
            "0131 14:48:54.411655 1",
            Some(("2026-01-31T14:48:54.411655Z", " 1")),
        ),
        (epoch, "1795314069 x", Some(("2026-11-22T02:21:09Z", " x"))),
        (
            epoch,
            "1795314069.25 x",
            Some(("2026-11-22T02:21:09.25Z", " x")),
        ),
        (
            epoch,
            "1795314069250",
            Some(("2026-11-22T02:21:09.25Z", "")),
        ),
        (
            epoch,
            "1795314069250001",
            Some(("2026-11-22T02:21:09.250001Z", "")),
        ),
        (
            epoch,
            "1795314069250001999",
            Some(("2026-11-22T02:21:09.250001Z", "")),
        ),
        (epoch, "12345 x", None),
        (
            time_of_day,
            "02:21:08.5 x",
            Some(("2026-11-22T02:21:08.5Z", " x")),
        ),
        (
            time_of_day,
            "02:21:10 x",
            Some(("2026-11-21T02:21:10Z", " x")),
        ),
    ];
    for (cutter, text, expected) in table {
        let cut = cutter(text, &utc());
        let got = cut.map(|cut| (cut.instant.at, cut.rest));
        assert_eq!(
            got,
            expected.map(|(instant, rest)| (at(instant), rest)),
            "{text}"
        );
    }
}

/// R44: time is right.
#[test]
fn an_hour_that_is_missing_or_doubled_is_decided_and_flagged() {
    // Berlin puts its clocks forward on 2026-03-29 at 02:00, back on 2026-10-25 at 03:00.
    for (text, instant, ambiguous) in [
        ("2026-03-29 01:59:59", "2026-03-29T00:59:59Z", false),
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z", true), // shown as 03:30 there
        ("2026-03-29 03:00:00", "2026-03-29T01:00:00Z", false),
        ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z", false),
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z", true), // the first of the two
        ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z", false),
    ] {
        for _ in 0..2 {
            let cut = iso(text, &berlin()).unwrap();
            assert_eq!(
                (cut.instant.at, cut.instant.ambiguous),
                (at(instant), ambiguous),
                "{text}"
            );
        }
    }
    // A stamp with an offset is never in doubt.
    assert!(
        !iso("2026-10-25 02:30:00+01:00", &berlin())
            .unwrap()
            .instant
            .ambiguous
    );
}

/// R44: time is right.
#[test]
fn the_second_of_two_readings_is_kept() {
    for (text, first, second) in [
        (
            "2026-10-25 02:30:00",
            "2026-10-25T00:30:00Z",
            Some("2026-10-25T01:30:00Z"),
        ),
        (
            "Oct 25 02:30:00",
            "2026-10-25T00:30:00Z",
            Some("2026-10-25T01:30:00Z"),
        ),
        (
            "25.10.2026 02:30:00",
            "2026-10-25T00:30:00Z",
            Some("2026-10-25T01:30:00Z"),
        ),
        ("2026-10-25 03:30:00", "2026-10-25T02:30:00Z", None),
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z", None),
        ("2026-10-25 02:30:00 CEST", "2026-10-25T00:30:00Z", None),
    ] {
        let instant = any(text, &berlin()).unwrap().instant;
        assert_eq!(
            (instant.at, instant.second),
            (at(first), second.map(at)),
            "{text}"
        );
    }
}

#[test]
fn a_stamp_that_names_its_zone_says_so() {
    for (text, zoned) in [
        ("2026-11-22 02:21:09", false),
        ("2026-11-22T02:21:09Z", true),
        ("2026-11-22 02:21:09 +0100", true),
        ("2026-11-22 02:21:09 CET", true),
        ("2026-11-22T02:21:09[Europe/Berlin]", true),
        ("Nov 22 02:21:09 host", false),
        ("Nov 22 02:21:09 CET: x", true),
        ("Sun Nov 22 02:21:09 CET 2026", true),
        ("Sun Nov 22 02:21:09 2026", false),
        ("1795314069", true),
        ("@4000000037c219bf2ef02e94", true),
        ("22/Nov/2026:02:21:09 +0000", true),
        ("22.11.2026 02:21:09", false),
    ] {
        assert_eq!(
            any(text, &berlin()).map(|cut| cut.instant.zoned),
            Some(zoned),
            "{text}"
        );
    }
    assert!(!time_of_day("02:21:09", &utc()).unwrap().instant.zoned);
}

/// R44: time is right.
#[test]
fn a_guessed_year_is_flagged_when_it_is_not_the_references() {
    assert!(
        !syslog("Nov 22 02:21:09 h", &utc())
            .unwrap()
            .instant
            .year_guessed
    );
    assert!(
        syslog("Dec  1 00:00:01 h", &utc())
            .unwrap()
            .instant
            .year_guessed
    );
    let new_year = TimeHint {
        reference: at("2027-01-01T00:00:05Z"),
        zone: SourceZone::Utc,
    };
    let eve = syslog("Dec 31 23:59:59 h", &new_year).unwrap().instant;
    assert_eq!(
        (eve.at, eve.year_guessed),
        (at("2026-12-31T23:59:59Z"), true)
    );
    // A clock that is an hour ahead of ours writes the new year first.
    let eve = TimeHint {
        reference: at("2026-12-31T23:59:50Z"),
        zone: SourceZone::Utc,
    };
    let ahead = syslog("Jan  1 00:59:00 h", &eve).unwrap().instant;
    assert_eq!(
        (ahead.at, ahead.year_guessed),
        (at("2027-01-01T00:59:00Z"), true)
    );
    // In Tokyo it is the new year already.
    let tokyo = TimeHint {
        zone: SourceZone::Named(chrono_tz::Asia::Tokyo),
        ..eve
    };
    let local = syslog("Jan  1 08:59:00 h", &tokyo).unwrap().instant;
    assert_eq!(
        (local.at, local.year_guessed),
        (at("2026-12-31T23:59:00Z"), false)
    );
}

/// R44: time is right.
#[test]
fn a_leap_day_takes_the_latest_leap_year_that_fits() {
    for (reference, want) in [
        ("2100-02-28T00:00:00Z", "2096-02-29T00:00:00Z"),
        ("2103-06-01T00:00:00Z", "2096-02-29T00:00:00Z"),
        ("2104-02-28T01:00:00Z", "2104-02-29T00:00:00Z"),
        ("2104-02-27T01:00:00Z", "2096-02-29T00:00:00Z"),
        ("2023-12-31T00:00:00Z", "2020-02-29T00:00:00Z"),
        ("2024-03-01T00:00:00Z", "2024-02-29T00:00:00Z"),
    ] {
        let hint = TimeHint {
            reference: at(reference),
            zone: SourceZone::Utc,
        };
        assert_eq!(
            syslog("Feb 29 00:00:00 h", &hint).unwrap().instant.at,
            at(want),
            "{reference}"
        );
    }
}

#[test]
fn zone_names_mean_their_offset_in_any_season() {
    for (name, hours) in [
        ("CET", 1),
        ("CEST", 2),
        ("UTC", 0),
        ("GMT", 0),
        ("MSK", 3),
        ("PDT", -7),
        ("EST", -5),
    ] {
        assert_eq!(zone_seconds(name), Some(hours * 3_600), "{name}");
    }
    assert_eq!(zone_seconds("INFO"), None);
}

fn any_time() -> impl Strategy<Value = NaiveDateTime> {
    let day = NaiveDate::from_ymd_opt(1971, 1, 1)
        .unwrap()
        .and_hms_opt(0, 0, 0)
        .unwrap();
    (0_i64..130 * 366 * 86_400).prop_map(move |seconds| day + Duration::seconds(seconds))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// R44: time is right.
    #[test]
    fn a_year_less_stamp_of_the_year_up_to_tomorrow_gets_its_year_back(
        reference in any_time(),
        apart in -364_i64 * 86_400..=86_400,
    ) {
        let stamp = reference + Duration::seconds(apart);
        let text = format!("{} {:2} {} host", MONTHS[stamp.month0() as usize], stamp.day(), stamp.format("%H:%M:%S"));
        let hint = TimeHint { reference: reference.and_utc().into(), zone: SourceZone::Utc };
        let cut = syslog(&text, &hint).unwrap();
        prop_assert_eq!(cut.instant.at, Timestamp::from(stamp.and_utc()));
        prop_assert_eq!(cut.instant.year_guessed, stamp.year() != reference.year());
    }

    #[test]
    fn any_agrees_with_chrono_in_other_spellings(time in any_time(), millis in 0_i64..1_000) {
        let local = time + Duration::milliseconds(millis);
        let want = Timestamp::from(local.and_utc());
        for format in [
            "%d.%m.%Y %H:%M:%S,%3f", "%-d.%-m.%Y %-H:%M:%S.%3f", "%Y/%-m/%-d %-H:%M:%S.%3f", "%d-%b-%Y %H:%M:%S.%3f",
            "%d %B %Y, %H:%M:%S.%3f", "%b %d, %Y %I:%M:%S.%3f %p", "%B %-d, %Y, %-I:%M:%S.%3f %p", "%Y%m%dT%H%M%S.%3f",
            "%Y%m%d-%H:%M:%S.%3f", "%Y%m%d%H%M%S%3f", "%Y.%m.%d-%H.%M.%S:%3f", "%a, %d %b %Y %H:%M:%S.%3f +0000",
            "%a %b %d %Y %H:%M:%S.%3f GMT+0000 (Coordinated Universal Time)", "%A, %d. %B %Y %H:%M:%S.%3f",
            "%a %b %e %H:%M:%S.%3f %Y", "%Y-%m-%dT%H:%M:%S:%3f", "%Y %b %e %H:%M:%S.%3f",
        ] {
            let text = local.format(format).to_string();
            let cut = any(&text, &utc());
            prop_assert_eq!(cut.map(|cut| (cut.instant.at, cut.rest, cut.instant.order_guessed)), Some((want, "", false)), "{}", text);
        }
    }

    #[test]
    fn cutters_agree_with_chrono(time in any_time(), micros in 0_u32..1_000_000, offset in -14_i32 * 60..14 * 60) {
        let zone = chrono::FixedOffset::east_opt(offset * 60).unwrap();
        let local = (time + Duration::microseconds(i64::from(micros))).and_local_timezone(zone).unwrap();
        let want = Timestamp::from(local);
        let whole = Timestamp::from(time.and_local_timezone(zone).unwrap());
        for (text, want) in [
            (local.to_rfc3339_opts(chrono::SecondsFormat::Micros, true), want),
            (local.format("%Y-%m-%d %H:%M:%S,%6f%z").to_string(), want),
            (local.format("%d/%b/%Y:%H:%M:%S %z").to_string(), whole),
        ] {
            prop_assert_eq!(any(&text, &utc()).map(|cut| (cut.instant.at, cut.rest)), Some((want, "")), "{}", text);
        }
    }

    #[test]
    fn a_named_zone_agrees_with_chrono(time in any_time()) {
        use chrono::TimeZone as _;
        let text = time.format("%Y-%m-%d %H:%M:%S").to_string();
        let instant = iso(&text, &berlin()).unwrap().instant;
        let known = chrono_tz::Europe::Berlin.from_local_datetime(&time);
        if let Some(single) = known.single() {
            prop_assert_eq!(instant, Instant { zoned: false, ..Instant::exact(Timestamp::from(single)) });
        } else {
            prop_assert!(instant.ambiguous);
            if let Some(earliest) = known.earliest() {
                prop_assert_eq!(instant.at, Timestamp::from(earliest));
            }
        }
    }

    #[test]
    fn no_text_crashes_a_cutter(text in "[0-9A-Za-z:/., +TZ\\[-]{0,40}|.{0,40}") {
        let cutters: [Cutter; 12] =
            [any, clf, ctime, day_first, epoch, iso, iso_named, packed, slashed, syslog, time_of_day, time_of_half_day];
        for cutter in cutters {
            if let Some(cut) = cutter(&text, &berlin()) {
                prop_assert!(text.ends_with(cut.rest));
            }
        }
    }
}
