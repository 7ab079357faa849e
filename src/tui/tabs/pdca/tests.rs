#![expect(clippy::unwrap_used, reason = "tests")]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::tui::tab::Screen as _;
use crate::tui::theme::Theme;
use atalaya_domain::pdca::fixtures::plan;
use atalaya_domain::pdca::looks::LOOKS;
use atalaya_domain::pdca::rules::evaluate;
use atalaya_domain::pdca::{
    Act, Applied, Happening, Listing, Observation, PdcaEvent, PdcaRules, Series,
};
use atalaya_query::Zone;

const DAY: i64 = 86_400;

pub(crate) fn day(number: i64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000 + number * DAY)
}

/// A release a day: 30 to 57 hours for four weeks, and half of that in the two after them.
fn lead_times() -> Series {
    let release = |number: i64| Observation {
        at: day(number),
        value: (30 + number * 11 % 28) as f64 / if number < 28 { 1.0 } else { 2.0 },
    };
    Series::new(Metric::ChangeLeadTime, (0..42).map(release).collect())
}

pub(crate) fn course(cycle: &PdcaCycle) -> Course {
    Course::of(&lead_times(), cycle, day(44))
}

pub(crate) fn preview() -> Vec<String> {
    vec![
        "weeks vary 4.2 times more than chance (26 weeks known)".to_owned(),
        "with 0.5 deployments a day a halved lead time is found 3 times in 10 by day 28; 8 in 10 takes 91 days".to_owned(),
    ]
}

pub(crate) fn cycles() -> Vec<PdcaCycle> {
    let cycle = |id: &str| {
        let first = PdcaEvent {
            pdca_id: id.to_owned(),
            seq: 1,
            at: day(28),
            by: "ana".to_owned(),
            happening: Happening::Planned(plan(Metric::ChangeLeadTime)),
        };
        PdcaCycle::fold(&[first]).unwrap()
    };
    let mut decided = cycle("pdca-2");
    let mut happen = |happening| {
        let event = decided.next_event(day(43), "ana", happening).unwrap();
        decided.apply(&event).unwrap();
    };
    happen(Happening::Started(Applied {
        what: "the limit is on".to_owned(),
        applied_at: day(28),
        request_id: Some("req-5f1c".to_owned()),
        commit: None,
    }));
    let samples = |metric| (metric == Metric::ChangeLeadTime).then(lead_times);
    let look = evaluate(
        &plan(Metric::ChangeLeadTime),
        LOOKS[2],
        day(28),
        samples,
        &PdcaRules::default(),
    );
    happen(Happening::Checked(Box::new(look)));
    happen(Happening::Decided(Act {
        verdict: Verdict::Apply,
        why: "faster \u{202e}\u{1b}[2J and nothing got worse".to_owned(),
        automatic: false,
    }));
    vec![decided, cycle("pdca-1")]
}

fn listing(cycles: Vec<PdcaCycle>) -> Listing {
    Listing {
        cycles,
        broken: Vec::new(),
    }
}

struct Screen {
    theme: Theme,
    area: Rect,
    tab: PdcaTab,
    /// Of the last read that it asked for.
    read: Question,
}

impl Screen {
    fn new(width: u16, height: u16) -> Self {
        let mut screen = Self {
            theme: Theme::plain(),
            area: Rect::new(0, 0, width, height),
            tab: PdcaTab::default(),
            read: Question::default(),
        };
        screen.send(TabEvent::Entered);
        screen
    }

    fn loaded(width: u16, height: u16) -> Self {
        let mut screen = Self::new(width, height);
        screen.answer(Ok((listing(cycles()), Vec::new())));
        screen
    }

    fn answer(&mut self, result: Result<(Listing, Vec<Proposal>), String>) -> Vec<Effect> {
        let answer = PdcaAnswer::Read {
            question: self.read,
            at: day(44),
            result,
        };
        self.with(|tab, context| tab.answered(answer, context))
    }

    fn send(&mut self, event: TabEvent) -> Vec<Effect> {
        self.with(|tab, context| tab.update(event, context))
    }

    fn with(
        &mut self,
        work: impl FnOnce(&mut PdcaTab, &Context<'_>) -> Vec<Effect>,
    ) -> Vec<Effect> {
        let context = Context {
            now: day(44),
            zone: Zone::Utc,
            area: self.area,
            theme: &self.theme,
            unicode: true,
        };
        let effects = work(&mut self.tab, &context);
        for effect in &effects {
            if let Effect::Work(PdcaEffect::Read { question, .. }) = effect {
                self.read = *question;
            }
        }
        effects
    }

    fn press(&mut self, action: Action) -> Vec<Effect> {
        self.send(TabEvent::Action(action))
    }

    fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
        self.send(TabEvent::Key(KeyEvent::new(code, modifiers)))
    }

    fn type_in(&mut self, text: &str) {
        for character in text.chars() {
            self.key(KeyCode::Char(character), KeyModifiers::NONE);
        }
    }

    fn text(&self) -> String {
        let mut buffer = Buffer::empty(self.area);
        let context = Context {
            now: day(44),
            zone: Zone::Utc,
            area: self.area,
            theme: &self.theme,
            unicode: true,
        };
        self.tab.render(self.area, &mut buffer, &context);
        (0..self.area.height)
            .map(|y| {
                (0..self.area.width)
                    .map(|x| buffer[(x, y)].symbol())
                    .collect::<String>()
                    .trim_end()
                    .to_owned()
            })
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn change_of(effects: &[Effect]) -> &Change {
    let [Effect::Work(PdcaEffect::Write { change, .. })] = effects else {
        panic!("{effects:?}")
    };
    change
}

#[test]
fn detail_is_one_level_below_the_list() {
    let mut screen = Screen::loaded(80, 24);
    screen.press(Action::Open);
    assert!(!screen.tab.at_top());
    assert!(screen.text().contains("DO"));
    screen.press(Action::Back);
    assert!(screen.tab.at_top());
}

/// `NO_COLOR`: no cell has a colour of its own, and the chosen row still stands out.
#[test]
fn without_colour_the_cells_keep_the_terminals_own() {
    use ratatui::style::{Color, Modifier};
    for (width, height) in [(80, 24), (200, 60)] {
        let mut screen = Screen::loaded(width, height);
        screen.theme = Theme::load("dark", None, crate::tui::theme::ColorDepth::Mono).unwrap();
        let mut buffer = Buffer::empty(screen.area);
        let context = Context {
            now: day(44),
            zone: Zone::Utc,
            area: screen.area,
            theme: &screen.theme,
            unicode: true,
        };
        screen.tab.render(screen.area, &mut buffer, &context);
        assert!(
            buffer
                .content()
                .iter()
                .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
        );
        assert!(
            buffer
                .content()
                .iter()
                .any(|cell| cell.modifier.contains(Modifier::REVERSED))
        );
    }
}

#[test]
fn before_and_without_data() {
    let mut screen = Screen::new(80, 24);
    assert!(screen.text().contains("not loaded yet"));
    screen.answer(Ok((listing(Vec::new()), Vec::new())));
    assert!(screen.text().contains("There are no PDCA cycles."));
    screen.press(Action::Reload);
    screen.answer(Err("the store is away".to_owned()));
    let context = Context {
        now: day(44),
        zone: Zone::Utc,
        area: screen.area,
        theme: &screen.theme,
        unicode: true,
    };
    let banner = screen.tab.status(&context).banner.unwrap();
    assert!(
        banner.starts_with("the store is away, since ") && banner.ends_with("; trying again"),
        "{banner}"
    );
    assert!(
        screen.text().contains("There are no PDCA cycles."),
        "what was there stays"
    );
}

#[test]
fn stored_text_reaches_the_screen_neutralised() {
    let mut screen = Screen::loaded(80, 24);
    screen.press(Action::Open);
    screen.press(Action::Last);
    let text = screen.text();
    assert!(text.contains("nothing got worse"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn planning_a_cycle() {
    let mut screen = Screen::loaded(80, 24);
    screen.press(keys::NEW);
    assert!(screen.tab.captures_keys());
    screen.type_in("Fewer hand-overs");
    screen.key(KeyCode::Tab, KeyModifiers::NONE);
    screen.type_in("waiting for q and j");
    screen.key(KeyCode::Char('t'), KeyModifiers::CONTROL);
    let effects = screen.key(KeyCode::Char('s'), KeyModifiers::CONTROL);
    let Change::Plan(draft) = change_of(&effects) else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (draft.title.as_str(), draft.hypothesis.as_str()),
        ("Fewer hand-overs", "waiting for q and j")
    );
    assert_eq!(
        (draft.metric, draft.service.as_deref()),
        (Metric::ChangeFailureRate, None)
    );
    assert_eq!((draft.expected_percent, draft.owner.as_str()), (None, ""));

    // An error keeps what was written; success closes the form and reads again.
    let question = screen.tab.asked;
    let failed = PdcaAnswer::Written {
        question,
        result: Err("disk full".to_owned()),
    };
    screen.with(|tab, context| tab.answered(failed, context));
    assert!(screen.text().contains("Fewer hand-overs"));
    let written = PdcaAnswer::Written {
        question,
        result: Ok("pdca-1".to_owned()),
    };
    let effects = screen.with(|tab, context| tab.answered(written, context));
    assert!(matches!(
        effects[..],
        [Effect::Work(PdcaEffect::Read { .. })]
    ));
    assert!(!screen.tab.captures_keys());
    assert_eq!(screen.tab.current().unwrap().id, "pdca-1");
}

#[test]
fn every_field_of_the_form_is_reached_by_tab() {
    let mut screen = Screen::loaded(80, 24);
    screen.press(keys::NEW);
    for text in ["title", "hypothesis", "change", "20 percent", "shop", "ana"] {
        screen.type_in(text);
        screen.key(KeyCode::Tab, KeyModifiers::NONE);
    }
    let before = screen.text();
    screen.key(KeyCode::Right, KeyModifiers::NONE);
    assert_ne!(
        screen.text(),
        before,
        "the metric is chosen with the arrows"
    );
    screen.key(KeyCode::Left, KeyModifiers::NONE);
    let effects = screen.key(KeyCode::Char('s'), KeyModifiers::CONTROL);
    let [Effect::Notice(notice)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert!(
        notice.text.contains("is not an improvement in percent"),
        "{}",
        notice.text
    );
    for _ in 0..4 {
        screen.key(KeyCode::BackTab, KeyModifiers::NONE);
    }
    // From the metric back over owner and service to the expected improvement.
    screen.key(KeyCode::Tab, KeyModifiers::NONE);
    for _ in 0.." percent".len() {
        screen.key(KeyCode::Backspace, KeyModifiers::NONE);
    }
    let effects = screen.key(KeyCode::Char('s'), KeyModifiers::CONTROL);
    let Change::Plan(draft) = change_of(&effects) else {
        panic!("{effects:?}")
    };
    assert_eq!(draft.expected_percent, Some(20.0));
    assert_eq!(
        (draft.owner.as_str(), draft.service.as_deref()),
        ("ana", Some("shop"))
    );
}

#[test]
fn editing_asks_before_it_throws_away() {
    let mut screen = Screen::loaded(80, 24);
    screen.press(keys::EDIT);
    assert!(!screen.tab.captures_keys(), "the first cycle is closed");
    screen.press(Action::Down);
    screen.press(keys::EDIT);
    screen.key(KeyCode::Esc, KeyModifiers::NONE);
    assert!(!screen.tab.captures_keys(), "nothing was written");
    screen.press(keys::EDIT);
    screen.type_in("!");
    let effects = screen.key(KeyCode::Esc, KeyModifiers::NONE);
    assert!(matches!(
        effects[..],
        [Effect::Confirm { kind: DISCARD, .. }]
    ));
    assert!(screen.tab.captures_keys());
    let effects = screen.key(KeyCode::Char('s'), KeyModifiers::CONTROL);
    let Change::Edit { id, texts } = change_of(&effects) else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (id.as_str(), texts.title.as_deref()),
        ("pdca-1", Some("Smaller changes!"))
    );
    screen.send(TabEvent::Confirmed { kind: DISCARD });
    assert!(!screen.tab.captures_keys());
}

#[test]
fn deciding_asks_first() {
    let mut screen = Screen::loaded(80, 24);
    assert!(matches!(
        screen.press(keys::DECIDE)[..],
        [Effect::Prompt(_)]
    ));
    let accept = |text: &str| TabEvent::Prompted {
        kind: DECIDE,
        step: Prompted::Accepted(text.to_owned()),
    };
    assert!(
        matches!(screen.send(accept("apply"))[..], [Effect::Notice(_)]),
        "a decision has a reason"
    );
    assert!(matches!(
        screen.send(accept("maybe so"))[..],
        [Effect::Notice(_)]
    ));
    assert!(matches!(
        screen.send(accept("revert too many pages"))[..],
        [Effect::Confirm { .. }]
    ));
    let effects = screen.send(TabEvent::Confirmed { kind: DECIDE });
    let expected = Change::Decide {
        id: "pdca-2".to_owned(),
        verdict: Verdict::Revert,
        why: "too many pages".to_owned(),
    };
    assert_eq!(change_of(&effects), &expected);
    assert!(
        screen.send(TabEvent::Confirmed { kind: DECIDE }).is_empty(),
        "once"
    );
}

#[test]
fn starting_and_checking() {
    let mut screen = Screen::loaded(80, 24);
    screen.press(Action::Down);
    assert!(matches!(screen.press(keys::START)[..], [Effect::Prompt(_)]));
    let accepted = TabEvent::Prompted {
        kind: START,
        step: Prompted::Accepted(" the limit ".to_owned()),
    };
    let effects = screen.send(accepted);
    assert_eq!(
        change_of(&effects),
        &Change::Start {
            id: "pdca-1".to_owned(),
            what: "the limit".to_owned()
        }
    );
    let effects = screen.press(keys::CHECK);
    assert_eq!(
        change_of(&effects),
        &Change::Check {
            id: "pdca-1".to_owned()
        }
    );
}

/// One history that cannot be read leaves the others in the list, and is said.
#[test]
fn an_unreadable_cycle_stands_beside_the_others() {
    for (width, height) in [(80, 24), (200, 60)] {
        let mut screen = Screen::new(width, height);
        let broken = BrokenCycle {
            id: "pdca-0".to_owned(),
            title: Some("Torn \u{1b}[2J".to_owned()),
            created_at: day(1),
            reason: "event 2 cannot be read: invalid type: null".to_owned(),
        };
        let listing = Listing {
            cycles: cycles(),
            broken: vec![broken],
        };
        screen.answer(Ok((listing, Vec::new())));
        let text = screen.text();
        assert!(text.contains("unreadable pdca-0"), "{text}");
        assert!(text.contains("event 2 cannot be read"), "{text}");
        assert!(text.contains("Smaller changes"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

/// The pictures need no colour: the line of no effect, the interval and the looks are signs.
#[test]
fn the_chosen_cycle_has_its_weeks_and_its_effects() {
    for (unicode, point, line) in [(true, '●', '│'), (false, 'o', '|')] {
        let cycles = cycles();
        let course = course(&cycles[0]);
        let rows = chart::course(&cycles[0], &course, 100, 8, unicode);
        let text: Vec<&str> = rows.iter().map(|(_, text)| text.as_str()).collect();
        let weeks: usize = text[..8]
            .iter()
            .map(|row| row.chars().filter(|sign| *sign == point).count())
            .sum();
        assert_eq!(weeks, 6, "four before and two after: {text:#?}");
        assert!(text[..8].iter().all(|row| row.contains(line)), "{text:#?}");
        assert!(
            text[8].contains("[3]") && text[8].contains('1'),
            "{text:#?}"
        );
        let look = cycles[0].last_look().unwrap();
        let forest = chart::forest(look, 100, unicode);
        let (_, lead) = &forest[1];
        let (zero, at) = (lead.find(line).unwrap(), lead.find(point).unwrap());
        assert!(zero < at && lead.contains("better"), "{forest:#?}");
    }
}

#[test]
fn the_form_says_what_can_be_found() {
    let mut screen = Screen::loaded(80, 24);
    let effects = screen.press(keys::NEW);
    let [Effect::Work(PdcaEffect::Preview { question, .. })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let answer = PdcaAnswer::Preview {
        question: *question,
        sentences: preview(),
    };
    screen.with(|tab, context| tab.answered(answer, context));
    assert!(screen.text().contains("3 times in 10"), "{}", screen.text());
    screen.type_in("A title");
    let asked = screen.key(KeyCode::Char('t'), KeyModifiers::CONTROL);
    assert!(
        matches!(asked.as_slice(), [Effect::Work(PdcaEffect::Preview { .. })]),
        "another metric is another forecast: {asked:?}"
    );
}

/// The form is typed in while the course is read: neither takes the other's answer, the picture
/// stays while the next one is awaited, and what went wrong is said beside it.
#[test]
fn the_weeks_stay_while_they_are_read_again() {
    let course_of = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Work(PdcaEffect::Course { question, .. }) => Some(*question),
            _ => None,
        })
    };
    let mut screen = Screen::new(200, 60);
    let effects = screen.answer(Ok((listing(cycles()), Vec::new())));
    let answer = |question, result| PdcaAnswer::Course {
        question,
        id: "pdca-2".to_owned(),
        result,
    };
    screen.press(keys::NEW); // asks for a forecast
    let first = answer(course_of(&effects).unwrap(), Ok(course(&cycles()[0])));
    screen.with(|tab, context| tab.answered(first, context));
    screen.key(KeyCode::Esc, KeyModifiers::NONE);
    assert!(screen.text().contains('●'), "{}", screen.text());

    let effects = screen.answer(Ok((listing(cycles()), Vec::new())));
    let again = course_of(&effects).unwrap(); // a new list is a new course
    assert!(screen.text().contains('●'), "it stays: {}", screen.text());
    let failed = answer(again, Err("the store is away".to_owned()));
    screen.with(|tab, context| tab.answered(failed, context));
    let text = screen.text();
    assert!(text.contains("cannot be read: the store is away"), "{text}");
    assert!(text.contains('●'), "{text}");
}
