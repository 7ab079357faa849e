//! Whole screens: the app with made-up answers on a test backend, with a fixed clock and theme.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fifth;
mod hostile;
mod routes;
mod screens;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::{CrosstermBackend, TestBackend};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use self::stage::{NOW, Stage, company, large, origin, small, tab_setup, text_of};
use super::*;
use crate::service::dora::{Loaded, compute};
use crate::service::trace::{Trace, TraceEvent};
use crate::tui::ask::Destination;
use crate::tui::input::Parser;
use crate::tui::registry::{Answer, keymap};
use crate::tui::tab::Tab as _;
use crate::tui::tabs::dora::{DoraAnswer, DoraEffect, DoraTab, Figures};
use crate::tui::tabs::infra::InfraTab;
use crate::tui::tabs::logs::{LogsAnswer, LogsEffect, LogsTab};
use crate::tui::tabs::pdca::{self, PdcaAnswer, PdcaEffect, PdcaTab};
use crate::tui::tabs::{FIRST, TABS};
use atalaya_domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya_domain::pdca::{Listing, PdcaCycle};
use atalaya_domain::record::{
    Entry, Layer, Level, LevelCounts, Origin, OriginId, Record, RequestId,
};
use atalaya_domain::time::TimeRange;
use atalaya_ingest::IngestStatus;
use atalaya_query::Query;
use atalaya_store::chunks::ArrivalCursor;
use atalaya_store::engine::{Follower, Histogram, Page, Scanned};
use atalaya_store::error::Reason;

const DORA: TabId = DoraTab::ID;
const LOGS: TabId = LogsTab::ID;
const INFRA: TabId = InfraTab::ID;
const PDCA: TabId = PdcaTab::ID;

#[test]
fn help_and_palette_come_from_the_key_map() {
    let mut stage = large();
    stage.keys("?");
    let help = stage.screen();
    // The list without details has one panel.
    assert!(!help.contains("next panel"));
    for (keys, action) in stage.app.setup.keymap.actions(stage.app.shown().scopes()) {
        if stage.app.shown().is_idle(action) {
            continue;
        }
        assert!(
            help.contains(&*action.help()),
            "{keys} {action:?} is missing from the help"
        );
    }
}

#[test]
fn a_mistake_in_the_filter_is_shown_while_it_is_written() {
    let mut stage = small();
    stage.keys("flevel>=nonsense\r");
    assert!(
        stage.screen().contains("filter level>=nonsense"),
        "a wrong filter is not sent off"
    );
    stage.keys("\x15level>=error\r");
    assert!(stage.screen().contains("· level>=error") && stage.screen().contains("row 6 of 6"));
}

#[test]
fn search_hides_nothing_and_counts() {
    let mut stage = small();
    stage.keys("/slow\r");
    let screen = stage.screen();
    assert!(
        screen.contains("6/6") && screen.contains("checkout"),
        "{screen}"
    );
    stage.keys("nn");
    assert!(stage.screen().contains("2/6"));
}

#[test]
fn a_lost_store_keeps_the_old_content_under_its_banner() {
    let mut stage = small();
    stage.broken = true;
    stage.keys("\x12");
    let screen = stage.screen();
    assert!(screen.contains("unreachable") && screen.contains("checkout"));
}

#[test]
fn meaning_has_its_colour_and_its_letter() {
    let mut stage = small();
    stage.keys("E");
    let buffer = stage.draw();
    let selected = (0..24).find(|y| buffer[(0, *y)].symbol() == "▸").unwrap();
    let letter = &buffer[(14, selected)];
    assert_eq!(
        (letter.symbol(), letter.fg),
        ("E", Color::Rgb(0xff, 0x7b, 0x72))
    );
    assert_eq!(
        letter.bg,
        Color::Rgb(0x27, 0x35, 0x4a),
        "the selection lies under it"
    );
    assert_eq!(
        buffer[(21, 0)].bg,
        Color::Rgb(0x6c, 0xb6, 0xff),
        "the active tab"
    );
}

#[test]
fn without_colours_every_cell_keeps_the_terminals_own_and_the_selection_is_reversed() {
    let mut stage = Stage::new((80, 24), ColorDepth::Mono, company());
    stage.keys("E/slow\r");
    let buffer = stage.draw();
    assert!(
        buffer
            .content()
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    let selected = (0..24).find(|y| buffer[(0, *y)].symbol() == "▸").unwrap();
    assert!(buffer[(0, selected)].modifier.contains(Modifier::REVERSED));
    // No colour command may be written: in some terminals it takes reverse and bold along.
    let written = String::from_utf8(stage.bytes()).unwrap();
    for sgr in written
        .split("\x1b[")
        .filter_map(|part| part.split_once('m'))
        .map(|(sgr, _)| sgr)
    {
        let color = sgr
            .split(';')
            .any(|number| matches!(number.parse::<u32>(), Ok(30..=38 | 40..=48 | 90..=107)));
        assert!(!color, "colour command `{sgr}`");
    }
    assert!(written.contains("\x1b[7m"), "the selection is reversed");
}

#[test]
fn too_small_says_so_and_growing_brings_the_focus_back() {
    let mut stage = small();
    stage.keys("kkkkkkkk");
    let focus = |screen: &str| {
        screen
            .lines()
            .find(|line| line.starts_with('▸'))
            .map(str::to_owned)
    };
    let before = focus(&stage.screen());
    for size in [(1, 1), (20, 5), (59, 20), (500, 200), (80, 24)] {
        stage
            .app
            .on_event(AppEvent::Resized(size.0, size.1), stage.now);
        stage.settle();
        let screen = stage.screen();
        if size == (59, 20) {
            assert!(
                screen.contains("Atalaya needs 60x15, this is 59x20"),
                "{screen}"
            );
        }
    }
    assert!(before.is_some());
    assert_eq!(focus(&stage.screen()), before);
}

#[test]
fn keys_of_the_app_itself() {
    let mut stage = small();
    stage.keys("1");
    assert_eq!(stage.app.active(), DORA);
    stage.keys("2");
    assert_eq!(stage.app.active(), LOGS);
    stage.keys("\x1b\x1b\x1b");
    assert!(!stage.app.should_quit(), "Esc never quits");
    stage.keys("\x03");
    assert!(!stage.app.should_quit());
    stage.keys("\x03");
    assert!(stage.app.should_quit(), "Ctrl-C twice");
    let mut stage = small();
    stage.keys("flevel>=error\rq");
    assert!(!stage.app.should_quit(), "q goes back first");
    stage.keys("q");
    assert!(stage.app.should_quit());
    let mut stage = small();
    stage.keys(":q\r");
    assert!(stage.app.should_quit());
}

#[test]
fn a_paste_reaches_prompts_only() {
    let mut stage = small();
    stage.keys("\x1b");
    stage
        .app
        .on_event(AppEvent::Input(Event::Paste("q\r:q\r".into())), stage.now);
    assert!(!stage.app.should_quit());
    stage.keys("/");
    stage
        .app
        .on_event(AppEvent::Input(Event::Paste("slow".into())), stage.now);
    assert!(stage.screen().contains("/slow"));
}

#[test]
fn a_trace_opened_from_another_tab_leads_back_there() {
    let mut stage = small();
    stage.keys("1");
    stage.app.carry_out(
        Effect::Go(Destination::Trace(vec![RequestId::new("req-3")])),
        DORA,
    );
    stage.settle();
    assert_eq!(stage.app.active(), LOGS);
    assert!(stage.screen().contains("Trace req-3"));
    stage.keys("\r");
    stage.keys("\x1b");
    assert_eq!(stage.app.active(), LOGS, "only the details were closed");
    stage.keys("\x1b");
    assert_eq!(stage.app.active(), DORA);
    // A trace that was open in the Logs tab before does not come in between.
    stage.keys(":req req-5\r");
    stage.keys("21");
    stage.app.carry_out(
        Effect::Go(Destination::Trace(vec![RequestId::new("req-3")])),
        DORA,
    );
    stage.settle();
    stage.keys("\x1b");
    assert_eq!(stage.app.active(), DORA);
    stage.keys("2");
    assert!(stage.screen().contains("Trace req-5"));
}

#[test]
fn the_tick_draws_only_when_something_changed() {
    let mut stage = small();
    stage.screen();
    assert!(!stage.app.is_dirty());
    stage.now = stage.now.saturating_add(Duration::from_secs(1));
    stage.app.on_event(AppEvent::Tick, stage.now);
    assert!(!stage.app.is_dirty());
    stage.now = stage.now.saturating_add(Duration::from_secs(60));
    stage.app.on_event(AppEvent::Tick, stage.now);
    assert!(stage.app.is_dirty(), "the minute changed");
}

#[test]
fn what_says_nothing_new_draws_nothing() {
    let mut stage = small();
    let status = IngestStatus {
        rate: 3.0,
        ..IngestStatus::default()
    };
    for tab in ["1", "2", "3", "4"] {
        stage.keys(tab);
        stage.settle();
        for seconds in 0..3 {
            let at = stage.now.saturating_add(Duration::from_secs(seconds));
            stage.app.on_event(
                AppEvent::Ingest(Arc::new(IngestStatus {
                    at,
                    ..status.clone()
                })),
                stage.now,
            );
            if seconds > 0 {
                assert!(!stage.app.is_dirty(), "tab {tab}");
            }
            stage.screen();
        }
        let paused = IngestStatus {
            paused: Some(Reason::plain(format!("disk full {tab}"))),
            ..status.clone()
        };
        stage
            .app
            .on_event(AppEvent::Ingest(Arc::new(paused)), stage.now);
        assert_eq!(stage.app.is_dirty(), tab == "2" || tab == "3", "tab {tab}");
        stage.screen();
    }
}
