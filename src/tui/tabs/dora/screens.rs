//! The DORA tab as people see it, through the whole console, with a fixed clock.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

use super::{DoraAnswer, DoraEffect, DoraTab, Figures};
use crate::service::dora::{Loaded, compute};
use crate::tui::app::{App, Setup, TabSetup};
use crate::tui::event::AppEvent;
use crate::tui::registry::{Answer, Order, keymap};
use crate::tui::state::Saved;
use crate::tui::tab::{Configured, Tab as _};
use crate::tui::tabs::TABS;
use crate::tui::theme::{ColorDepth, Theme};
use atalaya_domain::delivery::{Decision, Deployment, DeploymentKind, Phase, PhaseRecord};
use atalaya_domain::dora::fixtures::{carrying, commit, deployment, hour, incident, phase};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;
use atalaya_query::Zone;
use atalaya_store::metrics::SourceRun;

/// The clock of these screens: a Wednesday.
pub(crate) fn now() -> Timestamp {
    hour(30.0 * 24.0 + 12.5)
}

/// A shop that deploys every other day, had one bad release, rolled it back, and has an open incident.
pub(crate) fn facts() -> Loaded {
    let mut deployments: Vec<Deployment> = Vec::new();
    for day in (-60..30).step_by(2) {
        let at = f64::from(day) * 24.0 + 10.0;
        let id = format!("shop@v1.{}.0", i32::midpoint(day, 60));
        let mut made = carrying(&id, at, 5.0 + f64::from((day + 60) % 14) * 3.0);
        made.started_at = Some(hour(at - 0.25));
        made.request_id = Some(RequestId::new(format!("req-{}", i32::midpoint(day, 60))));
        deployments.push(made);
    }
    let bad = deployments.len() - 2;
    deployments[bad].cycle_id = Some("cycle-7".to_owned());
    deployments[bad].commits = Some(vec![
        commit("5d1c0ffee0aa11bb22cc", 610.0, 611.0),
        commit("77aa00bb11cc22dd33ee", 640.0, 641.0),
    ]);
    let at = 26.0 * 24.0 + 14.0;
    deployments.push(Deployment {
        kind: DeploymentKind::Rollback,
        ..deployment("shop@v1.42.1", at)
    });
    let phases: Vec<PhaseRecord> = vec![
        phase("cycle-7", Phase::Planning, Decision::Go, 600.0, 7_200),
        phase("cycle-7", Phase::Testing, Decision::NoGo, 620.0, 1_260),
        phase("cycle-7", Phase::Deployment, Decision::Success, 634.0, 900),
    ];
    Loaded {
        deployments,
        incidents: vec![
            incident("INC-7", 26.0 * 24.0 + 11.0, Some(26.0 * 24.0 + 14.5)),
            incident("INC-8", 28.0 * 24.0 + 20.0, None),
            incident("INC-9 \u{202e}evil\u{1b}[31m", 500.0, Some(501.0)),
        ],
        phases,
        sources: vec![SourceRun {
            name: "test".to_owned(),
            gives_deployments: true,
            gives_incidents: true,
            synced_at: now(),
        }],
        ..Loaded::default()
    }
}

struct Screen {
    app: App,
    terminal: Terminal<TestBackend>,
}

impl Screen {
    fn new(columns: u16, rows: u16, loaded: &Loaded) -> Self {
        Self::with_depth(columns, rows, loaded, ColorDepth::True)
    }

    fn with_depth(columns: u16, rows: u16, loaded: &Loaded, depth: ColorDepth) -> Self {
        let setup = Setup {
            tabs: TabSetup {
                registered: TABS,
                first: DoraTab::ID,
                configured: Configured::default(),
            },
            keymap: keymap(TABS, &BTreeMap::new()).unwrap(),
            theme: Theme::load("dark", None, depth).unwrap(),
            configured_theme: "dark".to_owned(),
            themes_dir: None,
            depth,
            zone: Zone::Utc,
            unicode: true,
            mouse: false,
            demo: false,
            host: "n1".to_owned(),
            data_dir: "data".into(),
            now: now(),
            size: (columns, rows),
        };
        let mut app = App::new(setup, &Saved::default());
        for order in app.take_orders() {
            let Order::Run(task) = order else { continue };
            let Some(DoraEffect::Load {
                question,
                request,
                now,
            }) = task.work::<DoraTab>()
            else {
                continue;
            };
            let (question, now) = (*question, *now);
            let report = compute(loaded, request, now);
            let figures = Arc::new(Figures {
                loaded: loaded.clone(),
                report,
            });
            let answer = Answer::of::<DoraTab>(DoraAnswer::Loaded {
                question,
                result: Ok(figures),
            });
            app.on_event(
                AppEvent::Answer(answer),
                now.saturating_add(Duration::from_secs(2)),
            );
        }
        Self {
            app,
            terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(),
        }
    }

    fn press(mut self, keys: &[KeyCode]) -> Self {
        for &key in keys {
            let event = Event::Key(KeyEvent::new(key, KeyModifiers::NONE));
            self.app.on_event(
                AppEvent::Input(event),
                now().saturating_add(Duration::from_secs(3)),
            );
        }
        self
    }

    fn draw(mut self) -> String {
        self.terminal.draw(|frame| self.app.render(frame)).unwrap();
        self.terminal.backend().to_string()
    }
}

/// `NO_COLOR`: no cell has a colour of its own, and the chosen row still stands out.
#[test]
fn without_colour_the_cells_keep_the_terminals_own() {
    for (columns, rows) in [(80, 24), (200, 60)] {
        let mut screen = Screen::with_depth(columns, rows, &facts(), ColorDepth::Mono);
        screen
            .terminal
            .draw(|frame| screen.app.render(frame))
            .unwrap();
        let buffer = screen.terminal.backend().buffer();
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
fn no_size_breaks_the_layout() {
    for (columns, rows) in [(60, 15), (61, 16), (80, 24), (132, 40), (300, 90)] {
        for keys in [
            &[][..],
            &[KeyCode::Enter],
            &[KeyCode::Char('x')],
            &[KeyCode::Char('w'), KeyCode::Char('G')],
        ] {
            let drawn = Screen::new(columns, rows, &facts()).press(keys).draw();
            assert!(!drawn.contains('\u{1b}') && !drawn.contains('\u{202e}'));
        }
    }
}
