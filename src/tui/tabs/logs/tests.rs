//! `update` alone: events in, effects out; no runtime, no store.
#![allow(clippy::unwrap_used, reason = "tests")]

use ratatui::layout::Rect;

use super::rows::tests::record;
use super::*;
use crate::tui::action::Action;
use crate::tui::tab::Work as _;
use crate::tui::theme::Theme;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;
use atalaya_query::Zone;
use atalaya_store::chunks::{ArrivalCursor, Order};
use atalaya_store::engine::{Follower, Page, PageEnd, Scanned};

const NOW: i64 = 100_000;

struct Bench {
    tab: LogsTab,
    theme: Theme,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self {
            tab: LogsTab::new(&SavedLogs::default()),
            theme: Theme::plain(),
            now: Timestamp::from_seconds(NOW),
        }
    }

    /// Entered, with these records as the newest page.
    fn with(seconds: std::ops::Range<i64>, more: bool) -> Self {
        let mut bench = Self::new();
        bench.send(TabEvent::Entered);
        bench.newest(seconds, more);
        bench
    }

    fn send(&mut self, event: TabEvent) -> Vec<Effect> {
        self.lets(|tab, context| tab.update(event, context))
    }

    fn lets(
        &mut self,
        work: impl FnOnce(&mut LogsTab, &Context<'_>) -> Vec<Effect>,
    ) -> Vec<Effect> {
        let context = Context {
            now: self.now,
            zone: Zone::Utc,
            area: Rect::new(0, 1, 80, 21),
            theme: &self.theme,
            unicode: true,
        };
        work(&mut self.tab, &context)
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        self.send(TabEvent::Action(action))
    }

    fn answer(&mut self, answer: LogsAnswer) -> Vec<Effect> {
        self.lets(|tab, context| tab.answered(answer, context))
    }

    fn newest(&mut self, seconds: std::ops::Range<i64>, more: bool) -> Vec<Effect> {
        let question = self.tab.list.question;
        self.answer(LogsAnswer::Newest {
            question,
            result: Ok((page(seconds.rev(), more), follower())),
        })
    }

    fn arrive(&mut self, seconds: std::ops::Range<i64>) -> Vec<Effect> {
        let question = self.tab.follow.question;
        self.answer(LogsAnswer::Arrived {
            question,
            follower: follower(),
            result: Ok(seconds.map(record).collect()),
        })
    }

    fn banner(&self) -> Option<String> {
        self.tab.outages.banner(self.now, Zone::Utc)
    }

    fn focus(&self) -> i64 {
        self.tab
            .list
            .rows
            .focused()
            .map_or(-1, |record| record.entry.timestamp.micros() / 1_000_000)
    }
}

fn follower() -> Follower {
    Follower::from_cursor(Query::everything(), ArrivalCursor::new(0_i64))
}

fn page(seconds: impl Iterator<Item = i64>, more: bool) -> Page {
    let records: Vec<Record> = seconds.map(record).collect();
    let next = records.last().filter(|_| more).map(|last| PageEnd {
        cursor: rows::cursor_of(last),
        full: true,
    });
    Page {
        records,
        next,
        scanned: Scanned::default(),
    }
}

fn asks(effects: &[Effect], name: &str) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Work(work) if work.slot() == name))
}

#[test]
fn entering_asks_for_the_list_and_the_chart_and_then_follows() {
    let mut bench = Bench::new();
    let effects = bench.send(TabEvent::Entered);
    assert!(asks(&effects, "list") && asks(&effects, "histogram") && asks(&effects, "marks"));
    let effects = bench.newest(NOW - 100..NOW, false);
    assert!(asks(&effects, "follow"));
    assert_eq!(bench.focus(), NOW - 1);
    assert!(bench.tab.follow.is_on());
}

#[test]
fn arrivals_are_followed_until_someone_reads() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    bench.arrive(NOW..NOW + 10);
    assert_eq!(bench.focus(), NOW + 9);
    bench.act(Action::Up);
    assert!(!bench.tab.follow.is_on());
    let (focus, top) = (bench.focus(), bench.tab.list.rows.top());
    bench.arrive(NOW + 10..NOW + 322);
    assert_eq!(
        (bench.focus(), bench.tab.list.rows.top()),
        (focus, top),
        "reading is not moved"
    );
    assert_eq!(bench.tab.follow.unseen, 312);
    bench.act(Action::Last);
    assert!(bench.tab.follow.is_on());
    assert_eq!((bench.focus(), bench.tab.follow.unseen), (NOW + 321, 0));
}

#[test]
fn an_idle_look_draws_nothing() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    let effects = bench.arrive(0..0);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Unchanged))
    );
    assert!(asks(&effects, "follow"));
}

#[test]
fn a_hidden_tab_does_not_follow_and_takes_it_up_again() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    bench.send(TabEvent::Left);
    assert!(!asks(&bench.arrive(0..0), "follow"));
    assert!(asks(&bench.send(TabEvent::Entered), "follow"));
}

#[test]
fn older_pages_are_read_near_the_top_and_arrivals_wait_for_the_window() {
    let mut bench = Bench::with(NOW - 500..NOW, true);
    let effects = bench.act(Action::PageUp);
    assert!(!asks(&effects, "list"), "far from the end");
    for _ in 0..40 {
        if asks(&bench.act(Action::PageUp), "list") {
            break;
        }
    }
    let question = bench.tab.list.question;
    let before = bench.focus();
    bench.answer(LogsAnswer::Page {
        question,
        order: Order::NewestFirst,
        result: Ok(page((NOW - 1_000..NOW - 500).rev(), false)),
    });
    assert_eq!(bench.focus(), before);
    assert_eq!(bench.tab.list.rows.len(), 1_000);
    assert!(bench.tab.list.rows.older_end);
}

#[test]
fn an_answer_to_an_older_question_is_dropped() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    let old = bench.tab.list.question;
    bench.send(TabEvent::Prompted {
        kind: PROMPT_FILTER,
        step: Prompted::Accepted("level>=error".into()),
    });
    assert!(bench.tab.list.rows.is_empty());
    bench.answer(LogsAnswer::Newest {
        question: old,
        result: Ok((page(NOW - 5..NOW, false), follower())),
    });
    assert!(
        bench.tab.list.rows.is_empty(),
        "rows of the old filter must not come in under the new title"
    );
    let old_follow = LogsAnswer::Arrived {
        question: old,
        follower: follower(),
        result: Ok(vec![record(NOW)]),
    };
    bench.answer(old_follow);
    assert!(bench.tab.list.rows.is_empty());
}

#[test]
fn an_error_keeps_what_was_on_the_screen_and_tries_again() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    let question = bench.tab.follow.question;
    let result = Err("SQLite is unreachable".to_owned());
    let effects = bench.answer(LogsAnswer::Arrived {
        question,
        follower: follower(),
        result,
    });
    assert!(asks(&effects, "follow"));
    assert_eq!(bench.tab.list.rows.len(), 100);
    assert!(
        bench
            .banner()
            .unwrap()
            .starts_with("SQLite is unreachable, since 03:46:40; trying again")
    );
    bench.now = bench.now.saturating_add(Duration::from_secs(30));
    bench.arrive(NOW..NOW + 1);
    assert_eq!(bench.banner(), None);
}

#[test]
fn a_failed_first_read_is_repeated_by_the_clock() {
    let mut bench = Bench::new();
    bench.send(TabEvent::Entered);
    let question = bench.tab.list.question;
    bench.answer(LogsAnswer::Newest {
        question,
        result: Err("no store".into()),
    });
    assert!(!asks(&bench.send(TabEvent::Tick), "list"));
    bench.now = bench.now.saturating_add(RETRY);
    assert!(asks(&bench.send(TabEvent::Tick), "list"));
}

#[test]
fn a_page_that_failed_is_asked_for_again_as_it_was() {
    let mut bench = Bench::with(NOW - 500..NOW, true);
    for _ in 0..10 {
        bench.act(Action::PageUp);
    }
    let effects = bench.act(Action::First);
    assert!(asks(&effects, "list"));
    let question = bench.tab.list.question;
    let (order, result) = (
        Order::OldestFirst,
        Err("Cassandra is unreachable at a:1: no".to_owned()),
    );
    bench.answer(LogsAnswer::Page {
        question,
        order,
        result,
    });
    assert_eq!(
        bench.tab.list.rows.len(),
        500,
        "what was on the screen stays"
    );
    assert!(
        bench
            .banner()
            .unwrap()
            .contains("since 03:46:40; trying again (no)")
    );
    // The arrivals still come: that does not hide that the page is missing.
    bench.arrive(NOW..NOW + 1);
    assert!(bench.banner().is_some());
    bench.now = bench.now.saturating_add(Duration::from_secs(1));
    let effects = bench.send(TabEvent::Tick);
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Work(LogsEffect::Page { question: again, order: Order::OldestFirst, after: None, .. })
            if *again == question
    )));
    let result = Ok(page(0..500, true));
    bench.answer(LogsAnswer::Page {
        question,
        order,
        result,
    });
    assert_eq!((bench.banner(), bench.focus()), (None, 0));
}

#[test]
fn a_trace_that_failed_is_read_again_by_itself_until_nobody_wants_it() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    bench.send(TabEvent::Go(Destination::Trace(vec![RequestId::new("a")])));
    let View::Trace(trace) = &bench.tab.view else {
        panic!("no trace")
    };
    let question = trace.question;
    bench.answer(LogsAnswer::Trace {
        question,
        result: Err("gone".into()),
    });
    bench.now = bench.now.saturating_add(Duration::from_secs(1));
    assert!(asks(&bench.send(TabEvent::Tick), "trace"));
    bench.answer(LogsAnswer::Trace {
        question,
        result: Err("gone".into()),
    });
    bench.act(Action::Back);
    bench.now = bench.now.saturating_add(Duration::from_secs(9));
    assert!(!asks(&bench.send(TabEvent::Tick), "trace"));
    assert_eq!(bench.banner(), None);
}

#[test]
fn stopping_a_read_that_fails_ends_its_banner() {
    let mut bench = Bench::new();
    bench.send(TabEvent::Entered);
    let question = bench.tab.list.question;
    bench.answer(LogsAnswer::Newest {
        question,
        result: Err("no store".into()),
    });
    bench.act(Action::Interrupt);
    assert_eq!(bench.banner(), None);
    bench.now = bench.now.saturating_add(Duration::from_secs(9));
    assert!(!asks(&bench.send(TabEvent::Tick), "list"));
}

#[test]
fn the_next_error_is_looked_for_in_the_store_beyond_the_window() {
    let mut bench = Bench::with(NOW - 500..NOW, true);
    let effects = bench.act(Action::PreviousError);
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Work(LogsEffect::Seek {
            order: Order::NewestFirst,
            ..
        })
    )));
    let question = bench.tab.list.question;
    let found = Page {
        records: vec![record(50)],
        next: None,
        scanned: Scanned::default(),
    };
    let effects = bench.answer(LogsAnswer::Sought {
        question,
        order: Order::NewestFirst,
        result: Ok(found),
    });
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Work(LogsEffect::Around { .. })))
    );
    let question = bench.tab.list.question;
    let both = (page((0..51).rev(), false), page(50..300, true));
    bench.answer(LogsAnswer::Around {
        question,
        result: Ok(both),
    });
    assert_eq!(bench.focus(), 50);
    assert!(!bench.tab.list.rows.newer_end && bench.tab.list.rows.older_end);
    // Far from the newest, arrivals are only counted.
    bench.arrive(NOW..NOW + 7);
    assert_eq!((bench.focus(), bench.tab.follow.unseen), (50, 7));
    assert!(
        bench
            .tab
            .list
            .rows
            .position(record(NOW).id(), Timestamp::from_seconds(NOW))
            .is_none()
    );
}

#[test]
fn escape_goes_one_level_at_a_time_and_never_quits() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    bench.send(TabEvent::Prompted {
        kind: PROMPT_FILTER,
        step: Prompted::Accepted("message".into()),
    });
    bench.newest(NOW - 100..NOW, false);
    bench.send(TabEvent::Prompted {
        kind: PROMPT_SEARCH,
        step: Prompted::Accepted("message".into()),
    });
    bench.act(Action::Open);
    assert!(bench.tab.details.is_open());
    bench.act(Action::Back);
    assert!(!bench.tab.details.is_open() && bench.tab.search.is_some());
    bench.act(Action::Back);
    assert!(bench.tab.search.is_none() && !bench.tab.filter.is_empty());
    bench.act(Action::Back);
    assert!(bench.tab.filter.is_empty() && bench.tab.at_top());
    bench.act(Action::Back);
    assert!(bench.tab.at_top());
}

#[test]
fn a_trace_comes_back_to_the_same_row() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    for _ in 0..30 {
        bench.act(Action::Up);
    }
    let focus = bench.focus();
    let effects = bench.send(TabEvent::Command {
        name: keys::REQUEST,
        argument: "a b".into(),
    });
    assert!(
        matches!(&effects[..], [Effect::Work(LogsEffect::Trace { ids, .. })] if ids.len() == 2)
    );
    assert!(!bench.tab.at_top());
    bench.act(Action::Back);
    assert!(bench.tab.shows_list());
    assert_eq!(bench.focus(), focus);
    bench.act(Action::HistoryForward);
    assert!(matches!(bench.tab.view, View::Trace(_)));
}

#[test]
fn the_field_under_the_cursor_becomes_a_filter_term() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    bench.act(Action::Open);
    for _ in 0..3 {
        bench.act(Action::Down);
    }
    let effects = bench.act(Action::Filter);
    assert!(
        matches!(&effects[..], [Effect::Prompt(PromptRequest { text, .. })] if text == "source:app/shop")
    );
}

#[test]
fn bookmarks_are_kept_and_walked() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    bench.act(Action::Bookmark);
    for _ in 0..5 {
        bench.act(Action::Up);
    }
    bench.act(Action::Bookmark);
    let there = bench.focus();
    assert_eq!(bench.tab.saved().bookmarks.len(), 2);
    bench.act(Action::Last);
    bench.act(Action::PreviousBookmark);
    assert_eq!(bench.focus(), there);
    let restored = LogsTab::new(&bench.tab.saved());
    assert_eq!(restored.bookmarks, bench.tab.bookmarks);
}

#[test]
fn a_wrong_filter_and_a_wrong_time_say_so() {
    let mut bench = Bench::with(NOW - 100..NOW, false);
    let effects = bench.send(TabEvent::Command {
        name: keys::GO_TO,
        argument: "half past".into(),
    });
    assert!(
        matches!(&effects[..], [Effect::Notice(notice)] if notice.text.contains("is not a time"))
    );
    let effects = bench.send(TabEvent::Command {
        name: keys::FILTER,
        argument: "level>=nonsense".into(),
    });
    assert!(matches!(&effects[..], [Effect::Notice(notice)] if notice.text.contains("nonsense")));
    assert!(bench.tab.filter.is_empty());
}

#[test]
fn reading_can_be_cancelled() {
    let mut bench = Bench::with(NOW - 500..NOW, true);
    bench.act(Action::PreviousError);
    let question = bench.tab.list.question;
    let effects = bench.act(Action::Interrupt);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Cancel(slot) if *slot == "list"))
    );
    let found = Page {
        records: vec![record(50)],
        next: None,
        scanned: Scanned::default(),
    };
    let effects = bench.answer(LogsAnswer::Sought {
        question,
        order: Order::NewestFirst,
        result: Ok(found),
    });
    assert!(!asks(&effects, "list"), "the answer came too late");
}
