#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::alert::message::Notice;
use crate::alert::rule::{Comparison, Measure, RuleOrigin};
use crate::alert::{Acknowledgement, Severity};

const MINUTE: Duration = Duration::from_secs(60);

fn rule() -> Rule {
    Rule {
        name: "errors".to_owned(),
        measure: Measure::Count {
            query: "level>=error".to_owned(),
            window: MINUTE * 5,
        },
        when: Comparison::AtLeast,
        threshold: 10.0,
        clear: Some(5.0),
        hold: MINUTE * 2,
        severity: Severity::Critical,
        labels: BTreeMap::new(),
        channels: Vec::new(),
        todo: "look".to_owned(),
        inhibited_by: Vec::new(),
        origin: RuleOrigin::BuiltIn,
    }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + minute * 60)
}

fn value(value: f64) -> Reading {
    Reading::Value(value, String::new())
}

/// One evaluation as the service does it.
fn evaluate(
    alert: &mut Option<Alert>,
    rule: &Rule,
    reading: &Reading,
    mute: Option<Mute>,
    now: Timestamp,
) -> Option<NoticeKind> {
    *alert = advance(alert.as_ref(), rule, reading, now);
    alert.as_mut().and_then(|alert| tell(alert, mute, now))
}

fn silenced() -> Mute {
    Mute::Inhibited { by: "x".to_owned() }
}

#[test]
fn it_fires_after_the_hold_time_and_ends_below_the_clear_value() {
    use NoticeKind::{Firing, Resolved};

    let mut alert = None;
    let rule = rule();
    let told: Vec<_> = [4.0, 12.0, 11.0, 10.0, 7.0, 5.0, 4.0, 12.0]
        .into_iter()
        .zip(0..)
        .map(|(number, minute)| evaluate(&mut alert, &rule, &value(number), None, at(minute)))
        .collect();
    assert_eq!(
        told,
        [
            None,
            None,
            None,
            Some(Firing),
            None,
            None,
            Some(Resolved),
            None
        ]
    );
    let alert = alert.unwrap();
    assert_eq!((alert.state, alert.pending_since), (State::Pending, at(7)));
}

#[test]
fn missing_data_takes_back_what_is_pending_and_keeps_what_fires() {
    let rule = rule();
    let missing = Reading::NoData("away".to_owned());
    let mut alert = None;
    assert_eq!(evaluate(&mut alert, &rule, &missing, None, at(0)), None);
    assert_eq!(alert, None);
    evaluate(&mut alert, &rule, &value(12.0), None, at(1));
    evaluate(&mut alert, &rule, &missing, None, at(2));
    assert_eq!(alert, None, "what is not known to last does not fire");
    for minute in 3..=5 {
        evaluate(&mut alert, &rule, &value(12.0), None, at(minute));
    }
    assert_eq!(evaluate(&mut alert, &rule, &missing, None, at(6)), None);
    let kept = alert.clone().unwrap();
    assert_eq!(
        (kept.state, kept.no_data.as_deref()),
        (State::Firing, Some("away"))
    );
    let mut gone = withdraw(&alert.unwrap(), "removed", at(7)).unwrap();
    assert_eq!(tell(&mut gone, None, at(7)), Some(NoticeKind::Resolved));
}

#[test]
fn an_acknowledged_alert_is_silent_until_it_is_worse() {
    let rule = Rule {
        hold: Duration::ZERO,
        ..rule()
    };
    let mut alert = None;
    evaluate(&mut alert, &rule, &value(20.0), None, at(0));
    alert.as_mut().unwrap().acknowledged = Some(Acknowledgement {
        by: "me".to_owned(),
        at: at(1),
        note: None,
        until_worse_than: Some(20.0),
    });
    assert_eq!(
        evaluate(&mut alert, &rule, &value(20.0), None, at(600)),
        None
    );
    assert_eq!(
        evaluate(&mut alert, &rule, &value(21.0), None, at(601)),
        Some(NoticeKind::Worse)
    );
    assert_eq!(
        evaluate(&mut alert, &rule, &value(22.0), None, at(602)),
        None
    );
    assert_eq!(
        evaluate(&mut alert, &rule, &value(22.0), None, at(601 + 240)),
        Some(NoticeKind::Reminder)
    );
    assert_eq!(
        evaluate(&mut alert, &rule, &value(0.0), None, at(900)),
        Some(NoticeKind::Resolved)
    );
}

#[test]
fn a_muted_alert_is_told_when_it_still_fires_afterwards() {
    let rule = Rule {
        hold: Duration::ZERO,
        ..rule()
    };
    let mut alert = None;
    assert_eq!(
        evaluate(&mut alert, &rule, &value(20.0), Some(silenced()), at(0)),
        None
    );
    assert!(alert.as_ref().unwrap().muted.is_some());
    assert_eq!(
        evaluate(&mut alert, &rule, &value(20.0), None, at(1)),
        Some(NoticeKind::Firing)
    );
    assert_eq!(
        evaluate(&mut alert, &rule, &value(0.0), Some(silenced()), at(2)),
        Some(NoticeKind::Resolved),
        "who was told that it fires is told that it is over"
    );
    let mut quiet = None;
    evaluate(&mut quiet, &rule, &value(20.0), Some(silenced()), at(3));
    assert_eq!(
        evaluate(&mut quiet, &rule, &value(0.0), Some(silenced()), at(4)),
        None
    );
}

/// Found by `every_change_is_told_once`.
#[test]
fn what_was_acknowledged_while_muted_and_got_worse_is_told_as_firing() {
    use Happening::{Acknowledge, Mute, Read};
    let history = [
        Mute(true),
        Read(Some(10.0), 60),
        Read(Some(10.0), 120),
        Acknowledge { until_worse: true },
        Mute(false),
        Read(Some(25.0), 60),
    ];
    let told = play(&history, &rule());
    assert_eq!(told.open.len(), 1);
}

/// What happens between two evaluations.
#[derive(Clone, Debug)]
enum Happening {
    /// A value, none, and the seconds that pass (negative: the clock was set back).
    Read(Option<f64>, i64),
    /// Somebody mutes or unmutes.
    Mute(bool),
    Acknowledge {
        until_worse: bool,
    },
    /// The process dies and reads what is stored.
    Restart,
    /// The next evaluation is done, and its write refused or lost: nothing of it is stored.
    LoseWrite(f64),
    /// The rule is taken out, and put in again.
    RemoveRule,
}

fn happening() -> impl Strategy<Value = Happening> {
    let number = prop_oneof![Just(0.0), Just(4.0), Just(7.0), Just(10.0), 0.0..40.0];
    prop_oneof![
        12 => (prop::option::weighted(0.9, number.clone()), prop_oneof![
            8 => Just(60_i64), 2 => 1_i64..20_000, 1 => -7_200_i64..0,
        ]).prop_map(|(value, seconds)| Happening::Read(value, seconds)),
        2 => any::<bool>().prop_map(Happening::Mute),
        1 => any::<bool>().prop_map(|until_worse| Happening::Acknowledge { until_worse }),
        1 => Just(Happening::Restart),
        1 => number.prop_map(Happening::LoseWrite),
        1 => Just(Happening::RemoveRule),
    ]
}

/// What a person who reads every notice knows.
#[derive(Default)]
struct Reader {
    keys: BTreeSet<String>,
    /// Alerts that were told as firing and not as over, with when by a clock that nobody sets.
    open: BTreeMap<String, Duration>,
    closed: BTreeSet<String>,
}

impl Reader {
    fn read(&mut self, notice: &Notice, elapsed: Duration) {
        assert!(
            self.keys.insert(notice.key.clone()),
            "told twice: {}",
            notice.key
        );
        let alert = notice.alert.clone();
        assert!(!self.closed.contains(&alert), "told after it was over");
        match notice.kind {
            NoticeKind::Firing => {
                assert!(self.open.insert(alert, elapsed).is_none(), "fired twice");
            }
            NoticeKind::Reminder => {
                let last = self.open.insert(alert, elapsed).unwrap();
                assert!(
                    elapsed.checked_sub(last).unwrap() >= REMIND_AFTER,
                    "reminded too early"
                );
            }
            NoticeKind::Worse => {
                self.open.insert(alert, elapsed).unwrap();
            }
            NoticeKind::Resolved => {
                self.open.remove(&alert).unwrap();
                self.closed.insert(alert);
            }
        }
    }
}

/// Plays a history; what the store would hold is `stored`.
fn play(history: &[Happening], rule: &Rule) -> Reader {
    let mut stored: Option<Alert> = None;
    let mut now = at(0);
    let mut elapsed = Duration::ZERO;
    let mut muted = false;
    let mut reader = Reader::default();
    for happening in history {
        let (reading, lost) = match happening {
            Happening::Read(value, seconds) => {
                now = Timestamp::from_micros(now.micros() + seconds * 1_000_000);
                elapsed += Duration::from_secs((*seconds).try_into().unwrap_or(0));
                let reading = value.map_or_else(
                    || Reading::NoData("away".to_owned()),
                    |number| Reading::Value(number, String::new()),
                );
                (Some(reading), false)
            }
            Happening::LoseWrite(number) => (Some(value(*number)), true),
            Happening::RemoveRule => (None, false),
            Happening::Mute(on) => {
                muted = *on;
                continue;
            }
            Happening::Acknowledge { until_worse } => {
                if let Some(alert) = stored.as_mut().filter(|alert| alert.is_firing()) {
                    alert.acknowledged = Some(Acknowledgement {
                        by: "me".to_owned(),
                        at: now,
                        note: None,
                        until_worse_than: alert.value.filter(|_| *until_worse),
                    });
                }
                continue;
            }
            Happening::Restart => {
                let text = serde_json::to_string(&stored).unwrap();
                let back: Option<Alert> = serde_json::from_str(&text).unwrap();
                assert_eq!(back, stored);
                stored = back;
                continue;
            }
        };
        let mut alert = match &reading {
            Some(reading) => advance(stored.as_ref(), rule, reading, now),
            None => stored
                .as_ref()
                .and_then(|alert| withdraw(alert, "removed", now)),
        };
        let was_told = stored.as_ref().is_some_and(|alert| alert.told_at.is_some());
        let mute = muted.then(silenced);
        let kind = alert.as_mut().and_then(|alert| tell(alert, mute, now));
        if lost {
            continue;
        }
        let notice = alert
            .as_ref()
            .zip(kind)
            .map(|(alert, kind)| Notice::of(alert, kind, now));
        if let Some(notice) = &notice {
            reader.read(notice, elapsed);
        }
        check(
            stored.as_ref(),
            alert.as_ref(),
            kind,
            muted,
            was_told,
            reading.as_ref(),
            rule,
        );
        stored = alert.filter(Alert::is_active);
        let open: Vec<&String> = reader.open.keys().collect();
        assert!(open.len() <= 1, "two alerts of one rule");
        let told_open = stored.as_ref().filter(|alert| alert.told_at.is_some());
        assert_eq!(
            open.first().copied(),
            told_open.map(|alert| &alert.id),
            "what people know is what is stored"
        );
    }
    reader
}

/// What holds of each single step.
fn check(
    before: Option<&Alert>,
    after: Option<&Alert>,
    kind: Option<NoticeKind>,
    muted: bool,
    was_told: bool,
    reading: Option<&Reading>,
    rule: &Rule,
) {
    let fired_before = before.is_some_and(Alert::is_firing);
    let fires = after.is_some_and(Alert::is_firing);
    if let Some(Reading::NoData(_)) = reading {
        assert_eq!(fired_before, fires, "missing data changes nothing");
    }
    if let (Some(Reading::Value(number, _)), true) = (reading, fires) {
        assert!(rule.goes_on(*number), "fires without a reason");
    }
    if fires && !muted && after.is_some_and(|alert| alert.acknowledged.is_none()) {
        assert!(
            after.is_some_and(|alert| alert.told_at.is_some()),
            "nobody was told"
        );
    }
    if fired_before && !fires {
        assert_eq!(
            kind.is_some(),
            was_told,
            "its end is told when its begin was"
        );
    }
}

proptest! {
    // The long form: `PROPTEST_CASES=10000`.

    /// Each change of state is told once and none is lost, whatever comes in between.
    #[test]
    fn every_change_is_told_once(
        history in prop::collection::vec(happening(), 0..80),
        hold in 0_u32..4,
        clear in prop::option::of(0.0..10.0),
    ) {
        let rule = Rule { hold: MINUTE * hold, clear, ..rule() };
        play(&history, &rule);
    }

    /// The same for a rule that fires when there is too little.
    #[test]
    fn downward_rules_are_told_once_too(history in prop::collection::vec(happening(), 0..80)) {
        let rule = Rule { when: Comparison::AtMost, threshold: 5.0, clear: Some(8.0), ..rule() };
        play(&history, &rule);
    }
}
