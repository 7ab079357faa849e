#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::*;
use crate::tui::theme::{ColorDepth, Theme};
use atalaya_domain::alert::rule::RuleOrigin;
use atalaya_domain::alert::{
    Evidence, EvidenceDeployment, EvidenceRecord, Rule, Severity, built_in,
};
use atalaya_domain::record::RequestId;
use atalaya_query::Zone;

fn now() -> Timestamp {
    Timestamp::from_seconds(1_790_000_000)
}

fn rule(wanted: impl Fn(&Rule) -> bool) -> Rule {
    built_in::rules().into_iter().find(wanted).unwrap()
}

fn alert(id: &str, rule: &Rule, state: State) -> Alert {
    let began = now().saturating_sub(Duration::from_secs(600));
    Alert {
        id: id.to_owned(),
        rule: rule.facts(),
        state,
        pending_since: began,
        firing_since: (state != State::Pending).then_some(began),
        resolved_at: (state == State::Resolved)
            .then(|| now().saturating_sub(Duration::from_secs(60))),
        value: Some(12.0),
        worst: Some(31.0),
        no_data: None,
        acknowledged: None,
        told_at: None,
        told: 1,
        muted: None,
        evidence: Some(Evidence {
            at: began,
            value: Some(12.0),
            reading: "12 in 5 min".to_owned(),
            records: vec![EvidenceRecord {
                id: "o-1".to_owned(),
                at: began,
                level: "ERROR".to_owned(),
                source: "app/shop".to_owned(),
                host: "web-1".to_owned(),
                request_id: Some(RequestId::new("req \"7\"\nx")),
                message: "paying failed \u{1b}[2J\u{202e}".to_owned(),
            }],
            request_ids: vec![RequestId::new("req \"7\"\nx")],
            deployment: Some(EvidenceDeployment {
                id: "shop@v1.4.0".to_owned(),
                service: "shop".to_owned(),
                environment: "production".to_owned(),
                at: began.saturating_sub(Duration::from_secs(720)),
                seconds_before: 720,
            }),
            missing: Vec::new(),
        }),
        version: 1,
    }
}

fn board() -> Board {
    let counted = rule(|rule| rule.measure.query().is_some());
    let other = rule(|rule| rule.measure.query().is_none());
    Board {
        alerts: vec![
            alert("aaaaaaaaaaaa", &counted, State::Firing),
            alert("bbbbbbbbbbbb", &other, State::Pending),
            alert("cccccccccccc", &counted, State::Resolved),
        ],
        rules: vec![RuleView {
            name: other.name.clone(),
            origin: RuleOrigin::BuiltIn,
            severity: Severity::Warning,
            condition: other.condition(),
            threshold: other.threshold,
            query: None,
            todo: other.todo.clone(),
            labels: std::collections::BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
            state: None,
            value: Some(3.0),
            reading: "3".to_owned(),
            measured_at: Some(now()),
            distance: Some(-0.4),
            muted: None,
        }],
        silences: Vec::new(),
        evaluated_at: Some(now()),
    }
}

fn context(area: Rect, theme: &Theme) -> Context<'_> {
    Context {
        now: now(),
        zone: Zone::Utc,
        area,
        theme,
        unicode: true,
    }
}

struct Stage {
    tab: AlertsTab,
    area: Rect,
    theme: Theme,
}

impl Stage {
    fn new(width: u16, height: u16) -> Self {
        let theme = Theme::load("dark", None, ColorDepth::True).unwrap();
        let mut stage = Self {
            tab: AlertsTab::default(),
            area: Rect::new(0, 0, width, height),
            theme,
        };
        stage.send(TabEvent::Entered);
        let question = stage.tab.refresh.ask();
        stage.answer(AlertsAnswer::Read {
            question,
            at: now(),
            result: Ok(board()),
        });
        stage
    }

    fn send(&mut self, event: TabEvent) -> Vec<Effect> {
        let context = context(self.area, &self.theme);
        self.tab.update(event, &context)
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        self.send(TabEvent::Action(action))
    }

    fn answer(&mut self, answer: AlertsAnswer) -> Vec<Effect> {
        let context = context(self.area, &self.theme);
        self.tab.answered(answer, &context)
    }

    fn screen(&self) -> String {
        let context = context(self.area, &self.theme);
        let mut buffer = Buffer::empty(self.area);
        self.tab.render(self.area, &mut buffer, &context);
        let rows = buffer.content().chunks(usize::from(self.area.width));
        let lines = rows.map(|row| {
            let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            line.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn what_fires_is_first_with_its_evidence_and_what_to_do() {
    for (width, height) in [(80, 21), (200, 57)] {
        let screen = Stage::new(width, height).screen();
        let firing = screen.find("FIRING").unwrap();
        assert!(firing < screen.find("pending").unwrap(), "{screen}");
        for words in ["what to do", "12 in 5 min", "shop@v1.4.0", "12 min before"] {
            assert!(screen.contains(words), "{words} at {width}:\n{screen}");
        }
        assert!(!screen.contains(['\u{1b}', '\u{202e}']), "{screen}");
    }
}

#[test]
fn enter_leads_to_the_records_of_that_moment_and_t_to_their_requests() {
    let mut stage = Stage::new(80, 21);
    let began = now().saturating_sub(Duration::from_secs(600));
    let [Effect::Go(Destination::Logs { filter, at })] = &stage.act(Action::Open)[..] else {
        unreachable!("Enter opens the logs");
    };
    assert_eq!(Some(filter), board().alerts[0].rule.query.as_ref());
    assert_eq!(*at, Some(began));
    let [Effect::Go(Destination::Trace(ids))] = &stage.act(Action::Trace)[..] else {
        unreachable!("t opens the trace");
    };
    assert_eq!(
        ids[0].as_str(),
        "req \"7\"\nx",
        "as it is, not as it is shown"
    );
    let [Effect::Go(Destination::Deployment { id, at })] = &stage.act(keys::DEPLOYMENT)[..] else {
        unreachable!("d opens the deployment before it");
    };
    assert_eq!(id, "shop@v1.4.0");
    assert_eq!(*at, began.saturating_sub(Duration::from_secs(12 * 60)));
}

#[test]
fn an_acknowledgement_is_written_with_its_note_and_only_for_what_fires() {
    let mut stage = Stage::new(80, 21);
    assert!(matches!(
        stage.act(keys::UNTIL_WORSE)[..],
        [Effect::Prompt(_)]
    ));
    // Another alert takes its place while the note is being written.
    let mut other = board();
    other.alerts.rotate_right(1);
    let question = stage.tab.refresh.ask();
    stage.answer(AlertsAnswer::Read {
        question,
        at: now(),
        result: Ok(other),
    });
    let effects = stage.send(TabEvent::Prompted {
        kind: UNTIL_WORSE,
        step: Prompted::Accepted(" it is the new index ".to_owned()),
    });
    let [Effect::Work(AlertsEffect::Write { change, .. })] = &effects[..] else {
        unreachable!("it is written: {effects:?}");
    };
    let expected = Change::Acknowledge {
        id: "aaaaaaaaaaaa".to_owned(),
        note: Some("it is the new index".to_owned()),
        until_worse: true,
    };
    assert_eq!(*change, expected);
    // The first is one that is over now.
    assert!(matches!(
        stage.act(keys::ACKNOWLEDGE)[..],
        [Effect::Notice(_)]
    ));
}

#[test]
fn a_silence_needs_a_length_and_a_reason() {
    let (length, reason) = silence_of("90m  the database moves ").unwrap();
    assert_eq!(length, Duration::from_secs(5_400));
    assert_eq!(reason, "the database moves");
    for wrong in ["", "2h", "2h  ", "soon because", "\u{1b}[2J x"] {
        let help = silence_of(wrong).unwrap_err();
        assert!(help.contains("2h the database"), "{help}");
        assert!(!help.contains('\u{1b}'), "{help}");
    }
    let mut stage = Stage::new(80, 21);
    stage.act(Action::NextPanel);
    assert!(matches!(stage.act(keys::SILENCE)[..], [Effect::Prompt(_)]));
    let effects = stage.send(TabEvent::Prompted {
        kind: SILENCE,
        step: Prompted::Accepted("2h because".to_owned()),
    });
    let rule = board().rules[0].name.clone();
    let wanted =
        |change: &Change| matches!(change, Change::Silence { rule: of, .. } if *of == rule);
    assert!(
        matches!(&effects[..], [Effect::Work(AlertsEffect::Write { change, .. })] if wanted(change)),
        "{effects:?}"
    );
}

#[test]
fn rules_show_their_value_and_how_far_it_is_from_the_threshold() {
    let mut stage = Stage::new(200, 57);
    stage.act(Action::NextPanel);
    let screen = stage.screen();
    assert!(screen.contains("40 % away"), "{screen}");
    assert!(screen.contains("fires when"), "{screen}");
}

#[test]
fn rules_that_nobody_evaluates_are_said_so() {
    let mut stage = Stage::new(80, 21);
    let context_now = now();
    assert_eq!(stage.tab.unwatched(context_now), None);
    if let Some(board) = &mut stage.tab.board {
        board.evaluated_at = None;
    }
    assert!(
        stage
            .tab
            .unwatched(context_now)
            .unwrap()
            .contains("atalaya serve")
    );
}

/// A second change would take the place of the first before it is written.
#[test]
fn one_change_is_written_at_a_time() {
    let mut stage = Stage::new(80, 21);
    let silence = |stage: &mut Stage| {
        stage.act(keys::SILENCE);
        stage.send(TabEvent::Prompted {
            kind: SILENCE,
            step: Prompted::Accepted("2h because".to_owned()),
        })
    };
    assert!(matches!(
        silence(&mut stage)[..],
        [Effect::Work(AlertsEffect::Write { .. })]
    ));
    assert!(matches!(silence(&mut stage)[..], [Effect::Notice(_)]));
    assert!(
        stage.send(TabEvent::Tick).is_empty(),
        "nothing is read in between"
    );
    let question = stage.tab.asked;
    stage.answer(AlertsAnswer::Written {
        question,
        result: Err("away".to_owned()),
    });
    assert!(matches!(
        silence(&mut stage)[..],
        [Effect::Work(AlertsEffect::Write { .. })]
    ));
}
