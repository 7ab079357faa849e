//! Whole screens: the app with made-up answers on a test backend, with a fixed clock and theme.
#![allow(clippy::unwrap_used, reason = "tests")]

mod routes;
mod screens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::{CrosstermBackend, TestBackend};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::*;
use crate::service::dora::{Loaded, compute};
use crate::service::trace::{Trace, TraceEvent};
use crate::tui::effect::Answer;
use crate::tui::input::Parser;
use crate::tui::tabs::dora::{DoraAnswer, DoraEffect, Figures};
use crate::tui::tabs::logs::{LogsAnswer, LogsEffect};
use crate::tui::tabs::pdca::{PdcaAnswer, PdcaEffect};
use atalaya_domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya_domain::pdca::PdcaCycle;
use atalaya_domain::record::{
    Entry, Layer, Level, LevelCounts, Origin, OriginId, Record, RequestId,
};
use atalaya_ingest::IngestStatus;
use atalaya_query::Query;
use atalaya_store::chunks::ArrivalCursor;
use atalaya_store::engine::{Follower, Histogram, Page, Scanned};

const NOW: i64 = 1_772_446_804;

/// The app with a store of made-up records behind it, which answers when `settle` is called.
struct Stage {
    app: App,
    records: Vec<Record>,
    facts: Loaded,
    cycles: Vec<PdcaCycle>,
    now: Timestamp,
    broken: bool,
}

fn origin(source: &str, layer: Layer) -> Arc<Origin> {
    Arc::new(Origin {
        id: OriginId::derive(&[source.as_bytes()]),
        layer,
        source: source.into(),
        host: "web-1".into(),
    })
}

fn company() -> Vec<Record> {
    let shop = origin("app/shop", Layer::Application);
    let nginx = origin("nginx/access", Layer::Infrastructure);
    let mut records = Vec::new();
    for index in 0_i64..120 {
        let at = Timestamp::from_millis((NOW - 600) * 1_000 + index * 5_000);
        let id = RequestId::new(format!("req-{}", index / 3));
        let (level, message) = match index % 20 {
            7 => (
                Level::Error,
                "payment refused: upstream closed the connection",
            ),
            11 => (Level::Warning, "GET /cart was slow"),
            13 => (Level::Debug, "cache miss for /cart"),
            _ => (Level::Info, "GET /checkout accepted"),
        };
        let even = index % 2 == 0;
        let entry = Entry {
            timestamp: at,
            position: u64::try_from(index).unwrap() * 100,
            level,
            logger: Some("shop.http".into()),
            message: message.into(),
            request_id: Some(id),
            duration_ms: (!even).then_some(750.0),
            traceback: (level == Level::Error)
                .then(|| "Traceback\n  File \"pay.py\", line 7\nConnectionError".into()),
            metadata: vec![(
                "status".into(),
                if level == Level::Error { "502" } else { "200" }.into(),
            )],
            ..Entry::default()
        };
        records.push(Record {
            origin: if even { shop.clone() } else { nginx.clone() },
            entry,
        });
    }
    records
}

impl Stage {
    fn new(size: (u16, u16), depth: ColorDepth, records: Vec<Record>) -> Self {
        let mut stage = Self::at(Timestamp::from_seconds(NOW), size, depth);
        stage.records = records;
        stage.settle();
        stage
    }

    /// Empty stores, and nothing asked of them yet.
    fn at(now: Timestamp, size: (u16, u16), depth: ColorDepth) -> Self {
        let setup = Setup {
            keymap: Keymap::new(&BTreeMap::new()).unwrap(),
            theme: Theme::load("dark", None, depth).unwrap(),
            configured_theme: "dark".into(),
            themes_dir: None,
            depth,
            zone: Zone::Utc,
            unicode: true,
            mouse: false,
            demo: false,
            host: "web-1".into(),
            data_dir: PathBuf::new(),
            now,
            size,
        };
        Self {
            app: App::new(setup, &Saved::default()),
            records: Vec::new(),
            facts: Loaded::default(),
            cycles: Vec::new(),
            now,
            broken: false,
        }
    }

    /// Keys as the terminal sends them; every answer is given before the next key.
    fn keys(&mut self, text: &str) {
        let mut parser = Parser::default();
        for byte in text.bytes() {
            let mut events = parser.feed(&[byte]);
            if byte == 0x1b {
                events.extend(parser.timed_out());
            }
            for event in events {
                self.app.on_event(AppEvent::Input(event), self.now);
                self.settle();
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..20 {
            let effects = self.app.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                let answer = match effect {
                    Effect::Logs(work) => self.answer(work).map(Answer::Logs),
                    Effect::Dora(DoraEffect::Load {
                        question,
                        request,
                        now,
                    }) => {
                        let report = compute(&self.facts, &request, now);
                        let figures = Arc::new(Figures {
                            loaded: self.facts.clone(),
                            report,
                        });
                        Some(Answer::Dora(DoraAnswer::Loaded {
                            question,
                            result: Ok(figures),
                        }))
                    }
                    Effect::Pdca(PdcaEffect::Read { question, now, .. }) => {
                        let result = Ok((self.cycles.clone(), Vec::new()));
                        Some(Answer::Pdca(PdcaAnswer::Read {
                            question,
                            at: now,
                            result,
                        }))
                    }
                    _ => None,
                };
                if let Some(answer) = answer {
                    self.app.on_event(AppEvent::Answer(answer), self.now);
                }
            }
        }
    }

    fn page(&self, query: &Query) -> Page {
        let mut records: Vec<Record> = self
            .records
            .iter()
            .filter(|record| query.matches(record))
            .cloned()
            .collect();
        records.reverse();
        Page {
            records,
            next: None,
            scanned: Scanned {
                records: self.records.len() as u64,
                ..Scanned::default()
            },
        }
    }

    fn answer(&self, work: LogsEffect) -> Option<LogsAnswer> {
        let broken = || "SQLite is unreachable at logs.db: no such file".to_owned();
        Some(match work {
            LogsEffect::Newest { question, query } => {
                let follower = Follower::from_cursor(query.clone(), ArrivalCursor::new(0_i64));
                let result = if self.broken {
                    Err(broken())
                } else {
                    Ok((self.page(&query), follower))
                };
                LogsAnswer::Newest { question, result }
            }
            LogsEffect::Around {
                question, query, ..
            } => {
                let empty = Page {
                    records: Vec::new(),
                    next: None,
                    scanned: Scanned::default(),
                };
                LogsAnswer::Around {
                    question,
                    result: Ok((self.page(&query), empty)),
                }
            }
            LogsEffect::Histogram {
                question,
                query,
                range,
                bins,
            } => {
                let width = range.length() / u32::try_from(bins).unwrap();
                let mut counts = vec![LevelCounts::default(); bins];
                for record in self.records.iter().filter(|record| {
                    query.matches(record) && range.contains(record.entry.timestamp)
                }) {
                    let index =
                        record.entry.timestamp.since(range.from).as_micros() / width.as_micros();
                    counts[usize::try_from(index).unwrap()].add(record.entry.level);
                }
                let result = Ok(Histogram {
                    range,
                    bin_width: width,
                    bins: counts,
                    scanned: Scanned::default(),
                });
                LogsAnswer::Histogram { question, result }
            }
            LogsEffect::Deployments { question, .. } => {
                let deployment = Deployment {
                    id: "d1".into(),
                    service: "shop".into(),
                    team: None,
                    environment: "production".into(),
                    commit: None,
                    started_at: None,
                    finished_at: Timestamp::from_seconds(NOW - 400),
                    result: DeploymentResult::Success,
                    kind: DeploymentKind::Normal,
                    request_id: None,
                    cycle_id: None,
                    origin: "record".into(),
                    commits: None,
                };
                LogsAnswer::Deployments {
                    question,
                    result: Ok(vec![deployment]),
                }
            }
            LogsEffect::Context {
                question, record, ..
            } => {
                let near = |other: &&Record| other.origin == record.origin;
                LogsAnswer::Context {
                    question,
                    result: Ok(self.records.iter().filter(near).cloned().collect()),
                }
            }
            LogsEffect::Trace { question, ids, .. } => {
                let events = self
                    .records
                    .iter()
                    .filter_map(|record| {
                        let id = record
                            .entry
                            .request_id
                            .clone()
                            .filter(|id| ids.contains(id))?;
                        let event = TraceEvent::Record(Box::new(record.clone()));
                        Some((record.entry.timestamp, id, event))
                    })
                    .collect();
                let data = Trace::build(ids, events, Duration::from_secs(1));
                LogsAnswer::Trace {
                    question,
                    result: Ok(data),
                }
            }
            LogsEffect::Page { .. } | LogsEffect::Seek { .. } | LogsEffect::Follow { .. } => {
                return None;
            }
        })
    }

    fn draw(&mut self) -> Buffer {
        let (columns, rows) = self.app.setup.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| self.app.render(frame)).unwrap();
        self.app.drawn();
        terminal.backend().buffer().clone()
    }

    fn screen(&mut self) -> String {
        text_of(&self.draw())
    }

    /// What would be written to a real terminal for the first frame.
    fn bytes(&mut self) -> Vec<u8> {
        let (columns, rows) = self.app.setup.size;
        let mut out = Vec::new();
        let viewport = ratatui::Viewport::Fixed(Rect::new(0, 0, columns, rows));
        let options = ratatui::TerminalOptions { viewport };
        let mut terminal =
            Terminal::with_options(CrosstermBackend::new(&mut out), options).unwrap();
        terminal.draw(|frame| self.app.render(frame)).unwrap();
        drop(terminal);
        out
    }
}

fn text_of(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut out = String::new();
    for y in 0..area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(crate::tui::widgets::safe_text::width(symbol))
                .unwrap()
                .max(1);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn small() -> Stage {
    Stage::new((80, 24), ColorDepth::True, company())
}

fn large() -> Stage {
    Stage::new((200, 60), ColorDepth::True, company())
}

#[test]
fn help_and_palette_come_from_the_key_map() {
    let mut stage = large();
    stage.keys("?");
    let help = stage.screen();
    // The list without details has one panel.
    assert!(!help.contains("next panel"));
    for (keys, action) in stage.app.setup.keymap.actions(stage.app.scopes()) {
        if stage.app.tab(stage.app.active).is_idle(action) {
            continue;
        }
        assert!(
            help.contains(action.help()),
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
    assert_eq!(stage.app.active(), TabId::Dora);
    stage.keys("2");
    assert_eq!(stage.app.active(), TabId::Logs);
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
        TabId::Dora,
    );
    stage.settle();
    assert_eq!(stage.app.active(), TabId::Logs);
    assert!(stage.screen().contains("Trace req-3"));
    stage.keys("\r");
    stage.keys("\x1b");
    assert_eq!(
        stage.app.active(),
        TabId::Logs,
        "only the details were closed"
    );
    stage.keys("\x1b");
    assert_eq!(stage.app.active(), TabId::Dora);
    // A trace that was open in the Logs tab before does not come in between.
    stage.keys(":req req-5\r");
    stage.keys("21");
    stage.app.carry_out(
        Effect::Go(Destination::Trace(vec![RequestId::new("req-3")])),
        TabId::Dora,
    );
    stage.settle();
    stage.keys("\x1b");
    assert_eq!(stage.app.active(), TabId::Dora);
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
            paused: Some(format!("disk full {tab}")),
            ..status.clone()
        };
        stage
            .app
            .on_event(AppEvent::Ingest(Arc::new(paused)), stage.now);
        assert_eq!(stage.app.is_dirty(), tab == "2" || tab == "3", "tab {tab}");
        stage.screen();
    }
}

/// What an attacker may send: each must stay inert and leave the layout whole (R30, R32).
const HOSTILE: [&str; 12] = [
    "\x1b]0;owned\x07title",
    "\x1b[2J\x1b[Hcleared",
    "\x1b]52;c;cm0gLXJm\x07clipboard",
    "\u{9b}31mC1 colour \u{9d}0;x\u{9c}",
    "\x1bP+q544e\x1b\\dcs",
    "bidi \u{202e}gnp.exe\u{2066} \u{61c}end",
    "zero\u{200b}width\u{feff} tag\u{e0041} sep\u{2028}x",
    "wide 日本語テキスト 日本語テキスト 日本語テキスト",
    "family 👩‍👩‍👧‍👦 flag 🇪🇸 heart ❤️",
    "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301} stacked",
    "cr\rover\nnew\tline\x08\x7f",
    "private \u{e000} \u{f8ff} nul \0 end",
];

#[test]
fn hostile_text_is_inert_and_leaves_the_layout_whole() {
    for depth in [ColorDepth::True, ColorDepth::Mono] {
        let mut records = company();
        let hostile = Arc::new(Origin {
            id: OriginId::from_u128(9),
            layer: Layer::Application,
            source: "app/\x1b[31m\u{202e}x".into(),
            host: "h\x1b]0;x\x07".into(),
        });
        for (index, text) in HOSTILE.iter().enumerate() {
            let entry = Entry {
                timestamp: Timestamp::from_seconds(NOW - 12 + i64::try_from(index).unwrap()),
                position: index as u64,
                message: (*text).into(),
                logger: Some((*text).into()),
                request_id: Some(RequestId::new(*text)),
                metadata: vec![((*text).into(), (*text).into())],
                traceback: Some((*text).into()),
                ..Entry::default()
            };
            records.push(Record {
                origin: hostile.clone(),
                entry,
            });
        }
        for keys in ["", "\r", "kkkk\r", "t", "c", "/\u{9b}", "r", "\rGf", "llll"] {
            let mut stage = Stage::new((100, 30), depth, records.clone());
            stage.keys(keys);
            let grid = stage.screen();
            let bytes = stage.bytes();
            assert_only_own_sequences(&bytes, keys);
            // A terminal that reads these bytes shows the grid that was drawn.
            let mut terminal =
                vt100::Parser::new(30.try_into().unwrap(), 100.try_into().unwrap(), 0);
            terminal.process(&bytes);
            for (row, (expected, shown)) in
                grid.lines().zip(terminal.screen().rows(0, 100)).enumerate()
            {
                let plain = |text: &str| text.trim_end().to_owned();
                assert!(
                    plain(expected) == plain(&shown) || expected.contains(['👩', '🇪', '❤']),
                    "row {row} after {keys:?}:\n{expected}\n{shown}"
                );
            }
        }
    }
}

/// R30: SGR, cursor moves and modes, and no character that acts or hides.
fn assert_only_own_sequences(bytes: &[u8], keys: &str) {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        let (plain, sequence) = rest.split_at(at);
        assert_inert(plain, keys);
        let body = sequence
            .strip_prefix("\x1b[")
            .unwrap_or_else(|| panic!("foreign sequence after {keys:?}: {sequence:?}"));
        let end = body
            .find(|character: char| ('\x40'..='\x7e').contains(&character))
            .unwrap();
        let last = &body[end..=end];
        let known = matches!(last, "m" | "H") || matches!(&body[..=end], "?25l" | "?25h");
        assert!(known, "foreign sequence {:?} after {keys:?}", &body[..=end]);
        rest = &body[end + 1..];
    }
    assert_inert(rest, keys);
}

fn assert_inert(text: &str, keys: &str) {
    for character in text.chars() {
        let acts = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{61c}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e007f}');
        assert!(!acts, "{character:?} reached the terminal after {keys:?}");
    }
}

/// A live list at four updates a second stays far below 20 KB/s at 80x24, because only what
/// changed is written.
#[test]
fn an_update_of_the_live_list_costs_few_bytes() {
    let mut stage = small();
    let viewport = ratatui::Viewport::Fixed(Rect::new(0, 0, 80, 24));
    let mut out = Vec::new();
    {
        let options = ratatui::TerminalOptions { viewport };
        let mut terminal =
            Terminal::with_options(CrosstermBackend::new(&mut out), options).unwrap();
        terminal.draw(|frame| stage.app.render(frame)).unwrap();
        let question = crate::tui::effect::Question::default().next();
        for update in 0..8_i64 {
            let mut record = stage.records[usize::try_from(update).unwrap()].clone();
            record.entry.timestamp = Timestamp::from_seconds(NOW + update);
            record.entry.position = 1_000_000 + u64::try_from(update).unwrap();
            let follower = Follower::from_cursor(Query::everything(), ArrivalCursor::new(0_i64));
            let answer = LogsAnswer::Arrived {
                question,
                follower,
                result: Ok(vec![record]),
            };
            stage
                .app
                .on_event(AppEvent::Answer(Answer::Logs(answer)), stage.now);
            terminal.draw(|frame| stage.app.render(frame)).unwrap();
        }
    }
    assert!(
        stage.screen().contains("of 128"),
        "the arrivals are on the screen"
    );
    // One first frame and eight updates; at four updates a second this is two seconds.
    assert!(out.len() < 30_000, "{} bytes", out.len());
}
