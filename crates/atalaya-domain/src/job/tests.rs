#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use chrono::{
    MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Timelike as _,
};
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

fn schedule(text: &str) -> Schedule {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().into()
}

fn slots(text: &str, zone: Zone, from: &str, until: &str) -> Vec<String> {
    let schedule = schedule(text);
    let (mut from, until) = (at(from), at(until));
    let mut found = Vec::new();
    while let Some(slot) = schedule.next_after(from, zone).filter(|slot| *slot < until) {
        found.push(slot.to_rfc3339().replace(":00.000000Z", "Z"));
        from = slot;
    }
    found
}

#[test]
fn texts_that_are_schedules_and_texts_that_are_none() {
    for (text, printed) in [
        ("15m", "every 15m"),
        ("every 90s", "every 90s"),
        ("1h30m", "every 90m"),
        ("48h", "every 2d"),
        (" 30 3 * * * ", "30 3 * * *"),
        ("*/2 * * * * *", "*/2 * * * * *"),
        ("@daily", "@daily"),
        ("0 0 29 2 *", "0 0 29 2 *"),
    ] {
        assert_eq!(schedule(text).to_string(), printed, "{text}");
        assert_eq!(schedule(&schedule(text).to_string()), schedule(text));
    }
    for text in [
        "",
        "often",
        "0s",
        "400d",
        "15",
        "15x",
        "99999999999999999999d",
        "61 * * * *",
        "* 25 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * *",
        "0 0 1 1 * 2020 2021",
        "*/0 * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "@never",
        "1m 2m",
        "é * * * *",
    ] {
        assert!(text.parse::<Schedule>().is_err(), "`{text}`");
    }
    let never = "0 0 30 2 *".parse::<Schedule>().unwrap_err();
    assert!(matches!(never, ScheduleError::Never { .. }), "{never}");
}

#[test]
fn an_hour_that_is_missing_or_double_runs_once() {
    let madrid = chrono_tz::Europe::Madrid;
    assert_eq!(
        slots(
            "30 2 * * *",
            madrid,
            "2026-03-28T00:00:00Z",
            "2026-03-31T00:00:00Z"
        ),
        [
            "2026-03-28T01:30Z",
            "2026-03-29T01:00Z",
            "2026-03-30T00:30Z"
        ]
    );
    assert_eq!(
        slots(
            "30 2 * * *",
            madrid,
            "2026-10-24T00:00:00Z",
            "2026-10-27T00:00:00Z"
        ),
        [
            "2026-10-24T00:30Z",
            "2026-10-25T00:30Z",
            "2026-10-26T01:30Z"
        ]
    );
    // Several that are missing are one.
    assert_eq!(
        slots(
            "0,20,40 2 * * *",
            madrid,
            "2026-03-29T00:00:00Z",
            "2026-03-29T12:00:00Z"
        ),
        ["2026-03-29T01:00Z"]
    );
    // What means every hour goes on evenly.
    assert_eq!(
        slots(
            "30 * * * *",
            madrid,
            "2026-10-24T23:00:00Z",
            "2026-10-25T03:00:00Z"
        ),
        [
            "2026-10-24T23:30Z",
            "2026-10-25T00:30Z",
            "2026-10-25T01:30Z",
            "2026-10-25T02:30Z"
        ]
    );
    assert_eq!(
        slots(
            "30 * * * *",
            madrid,
            "2026-03-29T00:00:00Z",
            "2026-03-29T03:00:00Z"
        ),
        [
            "2026-03-29T00:30Z",
            "2026-03-29T01:30Z",
            "2026-03-29T02:30Z"
        ]
    );
    // A whole day that did not exist, and half an hour.
    assert_eq!(
        slots(
            "0 9 30 12 *",
            chrono_tz::Pacific::Apia,
            "2011-12-01T00:00:00Z",
            "2012-02-01T00:00:00Z"
        ),
        ["2011-12-30T10:00Z"]
    );
    assert_eq!(
        slots(
            "15 2 * * *",
            chrono_tz::Australia::Lord_Howe,
            "2026-10-02T12:00:00Z",
            "2026-10-04T20:00:00Z"
        ),
        [
            "2026-10-02T15:45Z",
            "2026-10-03T15:30Z",
            "2026-10-04T15:15Z"
        ]
    );
}

#[test]
fn after_downtime_the_latest_slot_is_run_once() {
    let plan = Plan::new("backup", schedule("0 2 * * *"), Zone::UTC, Duration::ZERO);
    assert_eq!(
        plan.due(at("2026-05-01T02:00:00Z"), at("2026-05-01T01:59:59Z")),
        None
    );
    let on_time = plan
        .due(at("2026-05-01T02:00:00Z"), at("2026-05-01T02:00:01Z"))
        .unwrap();
    assert_eq!(on_time.cause, Cause::Schedule);
    assert_eq!(on_time.next, Some(at("2026-05-02T02:00:00Z")));
    let late = plan
        .due(at("2026-05-01T02:00:00Z"), at("2026-05-09T17:00:00Z"))
        .unwrap();
    assert_eq!(
        (late.slot, late.cause, late.next),
        (
            at("2026-05-09T02:00:00Z"),
            Cause::CatchUp,
            Some(at("2026-05-10T02:00:00Z"))
        )
    );
    // Never run: an hour of the day is waited for, an interval begins.
    let now = at("2026-05-01T12:07:00Z");
    assert_eq!(plan.first(now), Some(at("2026-05-02T02:00:00Z")));
    let often = Plan::new("sync", schedule("15m"), Zone::UTC, Duration::ZERO);
    assert_eq!(often.first(now), Some(at("2026-05-01T12:00:00Z")));
    // A remembered slot that no longer fits does not hold the job up.
    assert_eq!(
        often.remembered(Some(at("2027-01-01T00:00:00Z")), now),
        Some(at("2026-05-01T12:15:00Z"))
    );
    assert_eq!(
        often.remembered(Some(at("2026-05-01T12:00:00Z")), now),
        Some(at("2026-05-01T12:00:00Z"))
    );
}

/// By the library alone, and second by second where the clocks jump.
fn first_shown(zone: Zone, shown: NaiveDateTime) -> Timestamp {
    let mut looked = shown;
    loop {
        match zone.from_local_datetime(&looked) {
            MappedLocalTime::Single(at) => return at.into(),
            MappedLocalTime::Ambiguous(one, other) => return one.min(other).into(),
            MappedLocalTime::None => looked += TimeDelta::seconds(1),
        }
    }
}

fn zones() -> impl Strategy<Value = Zone> {
    (0..TZ_VARIANTS.len()).prop_map(|index| TZ_VARIANTS[index])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Once for each day of the calendar, whatever the zone's clocks do: the first time that they
    /// show it, or the first moment after it where they never do.
    #[test]
    fn a_time_of_the_day_runs_once_a_day(
        zone in zones(),
        day in 0_i64..25_000,
        hour in 0_u32..24,
        minute in 0_u32..60,
    ) {
        let first = NaiveDate::from_ymd_opt(1970, 1, 5).unwrap() + TimeDelta::days(day);
        let wanted = NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
        let expected: BTreeSet<Timestamp> = (0..10)
            .map(|days| first_shown(zone, (first + TimeDelta::days(days)).and_time(wanted)))
            .collect();
        let schedule = schedule(&format!("{minute} {hour} * * *"));
        let last = *expected.last().unwrap();
        let mut from = Timestamp::from_micros(expected.first().unwrap().micros() - 1);
        let mut found = BTreeSet::new();
        while let Some(slot) = schedule.next_after(from, zone).filter(|slot| *slot <= last) {
            prop_assert!(slot > from);
            found.insert(slot);
            from = slot;
        }
        prop_assert_eq!(found, expected);
    }

    /// Every few minutes: evenly, also while the clocks are changed.
    #[test]
    fn what_means_every_hour_never_pauses(
        zone in zones(),
        seconds in 0_i64..2_100_000_000,
        minutes in prop::sample::select(vec![1_u32, 5, 10, 15, 30]),
    ) {
        let schedule = schedule(&format!("*/{minutes} * * * *"));
        let mut from = Timestamp::from_seconds(seconds);
        for _ in 0..20 {
            let slot = schedule.next_after(from, zone).unwrap();
            // Offsets that are no whole minutes shift the grid once at their change.
            prop_assert!(slot.since(from) <= Duration::from_secs(u64::from(minutes) * 60 * 2));
            let shown = zone.from_utc_datetime(&slot.to_utc().naive_utc());
            prop_assert_eq!((shown.minute() % minutes, shown.second()), (0, 0));
            from = slot;
        }
    }

    /// The latest slot is the one that no slot follows.
    #[test]
    fn the_latest_slot_is_found(
        zone in zones(),
        seconds in 0_i64..2_100_000_000,
        back in 1_i64..20_000_000,
        text in prop::sample::select(vec![
            "*/7 * * * *", "30 2 * * *", "0 3 * * SUN", "0 4 1 * *", "15s", "6h", "* * 1 * * *", "0 0 29 2 *",
        ]),
    ) {
        let schedule = schedule(text);
        let now = Timestamp::from_seconds(seconds);
        let earliest = Timestamp::from_seconds(seconds - back);
        match schedule.last_until(now, Some(earliest), zone) {
            Some(slot) => {
                prop_assert!(earliest <= slot && slot <= now);
                prop_assert!(schedule.next_after(slot, zone).is_none_or(|next| next > now));
                let just_before = Timestamp::from_micros(slot.micros() - 1);
                prop_assert_eq!(schedule.next_after(just_before, zone), Some(slot));
            }
            None => {
                let just_before = Timestamp::from_micros(earliest.micros() - 1);
                prop_assert!(schedule.next_after(just_before, zone).is_none_or(|next| next > now));
            }
        }
    }

    /// Whatever the clock of the store does between two looks, no slot is run twice and none that
    /// comes is waited for longer than by the schedule.
    #[test]
    fn looks_at_any_time_run_each_slot_at_most_once(
        start in 1_000_000_000_i64..2_000_000_000,
        steps in prop::collection::vec(-90_i64..4_000, 1..60),
        text in prop::sample::select(vec!["1m", "*/5 * * * *", "0 * * * *"]),
    ) {
        let plan = Plan::new("any", schedule(text), Zone::UTC, Duration::from_secs(5));
        let mut now = Timestamp::from_seconds(start);
        let mut next = plan.first(now);
        let mut run = BTreeSet::new();
        for step in steps {
            now = Timestamp::from_micros(now.micros() + step * 1_000_000);
            next = plan.remembered(next, now);
            let Some(due) = next.and_then(|next| plan.due(next, now)) else { continue };
            // A clock that went back shows a slot again; the store knows that it was run.
            if !run.insert(due.slot) {
                prop_assert!(step < 0 || due.slot <= *run.last().unwrap());
            }
            prop_assert!(due.next.unwrap() > now.saturating_sub(plan.delay));
            next = due.next;
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}", fields in prop::collection::vec("[0-9*/,LW#-]{1,5}", 1..8)) {
        let _ = text.parse::<Schedule>();
        let _ = fields.join(" ").parse::<Schedule>();
    }
}

#[test]
fn names_come_back() {
    for result in RunResult::ALL {
        assert_eq!(RunResult::of_name(result.name()), Some(result));
    }
    for cause in [Cause::Schedule, Cause::CatchUp, Cause::Request] {
        assert_eq!(Cause::of_name(cause.name()), Some(cause));
    }
}
