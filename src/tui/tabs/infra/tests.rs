#![expect(clippy::unwrap_used, reason = "tests")]

mod jobs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ratatui::style::Color;

use super::*;
use crate::tui::tab::Screen as _;
use crate::tui::theme::{ColorDepth, Theme};
use atalaya_domain::health::database::Database;
use atalaya_domain::health::database::TableSize;
use atalaya_domain::health::design::{Design, KeyspaceReplication};
use atalaya_domain::health::ring::{
    ClockDifference, Measures, Node, NodeSettings, Sight, TableFigure,
};
use atalaya_domain::health::{Disk, Host, StoreHealth};
use atalaya_domain::record::{Layer, OriginId};
use atalaya_domain::time::Timestamp;
use atalaya_format::decoder::Tally;
use atalaya_ingest::accounts::{Counts, FileState};
use atalaya_query::Zone;
use atalaya_store::error::{Reason, Remedy};

pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(1_790_000_000)
}

pub(crate) fn health(problem: Option<&str>) -> Health {
    let host = Host {
        name: "web-1".to_owned(),
        uptime: Duration::from_secs(93_784),
        cores: 4,
        load: [0.52, 1.25, 0.98],
        memory_total_bytes: 16 << 30,
        memory_available_bytes: 9 << 30,
        swap_total_bytes: 2 << 30,
        swap_used_bytes: 128 << 20,
        disks: vec![
            Disk {
                mount: "/".to_owned(),
                total_bytes: 100 << 30,
                available_bytes: 15 << 30,
            },
            Disk {
                mount: "/srv".to_owned(),
                total_bytes: 1 << 40,
                available_bytes: 1 << 39,
            },
        ],
        data_mount: Some("/srv".to_owned()),
    };
    let store = |name, records, problem: Option<&str>| StoreHealth {
        name,
        backend: "SQLite".to_owned(),
        address: format!("/srv/atalaya/{name}.db"),
        latency: Duration::from_micros(1_310),
        records,
        disk_bytes: records.map(|count| count * 40),
        problem: problem.map(str::to_owned),
        read_only: None,
    };
    let stores = vec![
        store("logs", Some(1_234_567), None),
        store("metrics", None, problem),
    ];
    Health::new(now(), Ok(host), stores)
}

fn node(last: u8) -> Node {
    Node {
        address: format!("10.0.0.{last}:9042"),
        host_id: Some(format!("0000-{last}")),
        datacenter: Some("dc1".to_owned()),
        rack: Some("rack1".to_owned()),
        state: Some("NORMAL".to_owned()),
        version: Some("5.0.4".to_owned()),
        schema_version: Some("d03783d7".to_owned()),
        tokens: Some(16),
        load_bytes: Some(97 << 20),
        started_at: Some(Timestamp::from_seconds(1_789_900_000)),
        latency_ms: Some(1.25),
        clock: Some(ClockDifference {
            ahead_ms: -3.5,
            uncertainty_ms: 0.6,
        }),
        measures: Measures {
            compactions: Some(1),
            compactions_queued: Some(3),
            compaction_ratio: Some(0.42),
            pending: Some(12),
            blocked: Some(0),
            blocked_ever: Some(7),
            dropped: Some(0),
            messages: Some(123_456),
            message_errors: Some(0),
            hint_files: Some(0),
            disk_bytes: Some(120 << 20),
            keyspace_bytes: Some(90 << 20),
            snapshots: Some(2),
            snapshot_bytes: Some(5 << 20),
            largest_partition: Some(TableFigure {
                table: "application_logs".to_owned(),
                value: 34.0 * 1_048_576.0,
            }),
            tombstones: Some(TableFigure {
                table: "request_index".to_owned(),
                value: 4.0,
            }),
            read_p99_ms: Some(2.3),
            write_p99_ms: Some(0.08),
            clients: Some(9),
            key_cache_hit_ratio: Some(0.91),
            ..Measures::default()
        },
        settings: NodeSettings {
            memtable_allocation: Some("heap_buffers".to_owned()),
            memtable_heap: Some("256MiB".to_owned()),
            sstable_format: Some("big".to_owned()),
            commitlog_sync: Some("periodic".to_owned()),
            ..NodeSettings::default()
        },
        ..Node::default()
    }
}

/// Three nodes: one well, one with work it does not master, one gone.
fn ring() -> Ring {
    let mut busy = node(2);
    busy.measures.blocked = Some(4);
    busy.measures.hint_files = Some(2);
    let mut gone = node(3);
    gone.problem = Some("connection refused \u{1b}[2J".to_owned());
    gone.seen_by = vec![Sight {
        from: "10.0.0.1:9042".to_owned(),
        state: "DOWN".to_owned(),
        hint_files: 2,
        oldest_hint: Some(Timestamp::from_seconds(1_789_999_000)),
    }];
    Ring {
        cluster: "logs".to_owned(),
        keyspace: "logging".to_owned(),
        nodes: vec![node(1), busy, gone],
        design: Some(Design {
            replication: Some(KeyspaceReplication {
                class: "NetworkTopologyStrategy".to_owned(),
                copies: BTreeMap::from([("dc1".to_owned(), 3)]),
            }),
            nodes: BTreeMap::from([("dc1".to_owned(), 3)]),
            ..Design::default()
        }),
    }
}

fn database() -> Database {
    Database {
        version: Some("11.8.2-MariaDB".to_owned()),
        tables: vec![TableSize {
            table: "dora_metrics".to_owned(),
            rows: 100_000,
            bytes: Some(32 << 20),
        }],
        orphans: Some(0),
        slow_queries: Some(3),
        threads_connected: Some(5),
        threads_limit: Some(151),
        ..Database::default()
    }
}

fn file(path: &str, state: FileState, written: u64) -> FileAccount {
    FileAccount {
        path: PathBuf::from(path),
        origin: OriginId::from_u128(0xfeed),
        format: Some("nginx-access"),
        formats: Tally::default(),
        source: Some("nginx/access".into()),
        layer: Some(Layer::Infrastructure),
        state,
        counts: Counts {
            bytes_read: written * 200,
            lines: written + 3,
            records: written + 1,
            joined: 1,
            skipped: 1,
            mismatched: 2,
            cut: 0,
            zeros: 0,
            written,
        },
        acknowledged: written * 200,
        size: written * 200 + 4_096,
        lag_bytes: 4_096,
        lag_seconds: 1.5,
        rate: 812.4,
        errors: 0,
        last_error: None,
    }
}

pub(crate) fn ingest() -> IngestStatus {
    IngestStatus {
        at: now(),
        files: vec![
            file("/var/log/nginx/access.log", FileState::Live, 120_345),
            file(
                "/var/log/app/\u{1b}[2Jevil\u{202e}.log",
                FileState::Reading,
                12,
            ),
            file(
                "/var/log/broken.log",
                FileState::Stopped("the store refused it".to_owned()),
                0,
            ),
        ],
        unread: vec![Unread::passed_over("/var/log/private", "permission denied")],
        paused: None,
        totals: Counts {
            written: 120_357,
            ..Counts::default()
        },
        rate: 812.4,
        notices: Vec::new(),
        spool: None,
        finished: false,
    }
}

struct Screen {
    theme: Theme,
    area: Rect,
    tab: InfraTab,
}

impl Screen {
    fn new(width: u16, height: u16) -> Self {
        Self {
            theme: Theme::plain(),
            area: Rect::new(0, 0, width, height),
            tab: InfraTab::default(),
        }
    }

    fn loaded(width: u16, height: u16) -> Self {
        let mut screen = Self::new(width, height);
        screen.send(TabEvent::Health(Arc::new(health(None))));
        screen.send(TabEvent::Ingest(Arc::new(ingest())));
        screen
    }

    /// With servers behind the stores.
    fn with_ring(width: u16, height: u16) -> Self {
        let mut screen = Self::loaded(width, height);
        let measured = health(None).with_servers(Some(ring()), Some(database()));
        screen.send(TabEvent::Health(Arc::new(measured)));
        screen
    }

    fn context(&self) -> Context<'_> {
        Context {
            now: now(),
            zone: Zone::Utc,
            area: self.area,
            theme: &self.theme,
            unicode: true,
        }
    }

    fn send(&mut self, event: TabEvent) -> Vec<Effect> {
        let context = Context {
            now: now(),
            zone: Zone::Utc,
            area: self.area,
            theme: &self.theme,
            unicode: true,
        };
        self.tab.update(event, &context)
    }

    fn buffer(&self) -> Buffer {
        let mut buffer = Buffer::empty(self.area);
        self.tab.render(self.area, &mut buffer, &self.context());
        buffer
    }

    fn text(&self) -> String {
        let buffer = self.buffer();
        let rows = buffer.content().chunks(usize::from(self.area.width));
        let lines = rows.map(|row| {
            row.iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
        });
        lines
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

#[test]
fn both_sizes_show_host_stores_and_files() {
    insta::assert_snapshot!("overview_80x24", Screen::loaded(80, 21).text());
    insta::assert_snapshot!("overview_200x60", Screen::loaded(200, 57).text());
}

#[test]
fn both_sizes_show_the_ring_and_the_database() {
    insta::assert_snapshot!("ring_80x24", Screen::with_ring(80, 21).text());
    insta::assert_snapshot!("ring_200x60", Screen::with_ring(200, 57).text());
}

#[test]
fn a_node_opens_with_all_that_is_known_and_scrolls_to_its_end() {
    let mut screen = Screen::with_ring(80, 21);
    screen.send(TabEvent::Action(Action::NextPanel));
    screen.send(TabEvent::Action(Action::Last));
    screen.send(TabEvent::Action(Action::Open));
    insta::assert_snapshot!("node_80x24", screen.text());
    screen.send(TabEvent::Action(Action::Last));
    let end = screen.text();
    assert!(end.contains("commit log"), "{end}");
    // One step up moves by one, however often somebody pressed down before.
    screen.send(TabEvent::Action(Action::Down));
    screen.send(TabEvent::Action(Action::Up));
    assert_ne!(screen.text(), end);
    screen.send(TabEvent::Action(Action::Back));
    assert!(screen.tab.at_top());
}

#[test]
fn every_check_and_the_advice_are_one_key_away() {
    let mut screen = Screen::with_ring(200, 57);
    screen.send(TabEvent::Action(Action::Explain));
    insta::assert_snapshot!("checks_200x60", screen.text());
    screen.send(TabEvent::Action(Action::Explain));
    assert!(screen.tab.at_top());
}

#[test]
fn a_ring_that_goes_away_stays_on_the_screen_with_its_time_under_the_banner() {
    let mut screen = Screen::with_ring(80, 21);
    let mut later = health(None);
    later.at = later.at.saturating_add(Duration::from_secs(10));
    later.stores[0].problem =
        Some("Cassandra is unreachable at 10.0.0.1:9042/logging: connection refused".to_owned());
    screen.send(TabEvent::Health(Arc::new(later)));
    let banner = screen.tab.status(&screen.context()).banner.unwrap();
    assert!(
        banner.starts_with("Cassandra is unreachable at 10.0.0.1:9042/logging, since 14:13:30")
    );
    let text = screen.text();
    assert!(
        text.contains("10.0.0.2:9042") && text.contains("as of 14:13:20"),
        "{text}"
    );
    screen.send(TabEvent::Health(Arc::new(
        health(None).with_servers(Some(ring()), None),
    )));
    assert_eq!(screen.tab.status(&screen.context()).banner, None);
}

#[test]
fn a_console_that_ingests_nothing_has_its_cursor_on_the_ring() {
    let mut screen = Screen::new(80, 21);
    screen.send(TabEvent::Health(Arc::new(
        health(None).with_servers(Some(ring()), None),
    )));
    screen.send(TabEvent::Action(Action::Down));
    assert_eq!(screen.tab.chosen_node.as_deref(), Some("10.0.0.2:9042"));
    screen.send(TabEvent::Action(Action::Open));
    assert!(screen.text().contains("4 tasks are blocked"));
}

#[test]
fn the_account_of_a_file_adds_up_on_the_screen() {
    let mut screen = Screen::loaded(120, 30);
    // The one in trouble comes first.
    screen.send(TabEvent::Action(Action::Open));
    assert!(screen.text().contains("the store refused it"));
    screen.send(TabEvent::Action(Action::Back));
    screen.send(TabEvent::Action(Action::Down));
    screen.send(TabEvent::Action(Action::Down));
    screen.send(TabEvent::Action(Action::Open));
    insta::assert_snapshot!("account_120x30", screen.text());
    assert!(!screen.tab.at_top());
    screen.send(TabEvent::Action(Action::Back));
    assert!(screen.tab.at_top());
}

#[test]
fn the_cursor_stays_on_its_file_when_rows_change() {
    let mut screen = Screen::loaded(80, 21);
    screen.send(TabEvent::Action(Action::Down));
    screen.send(TabEvent::Action(Action::Down));
    let chosen = screen.tab.chosen.clone();
    let mut more = ingest();
    more.files
        .insert(0, file("/var/log/a-new-one.log", FileState::Live, 1));
    screen.send(TabEvent::Ingest(Arc::new(more)));
    assert_eq!(screen.tab.chosen, chosen);
    assert_eq!(screen.tab.position(&screen.tab.rows()), 3);
}

#[test]
fn f_opens_the_logs_of_the_file() {
    let mut screen = Screen::loaded(80, 21);
    let effects = screen.send(TabEvent::Action(keys::SOURCE_LOGS));
    assert!(
        matches!(&effects[..], [Effect::Go(Destination::Logs { filter, at: None })] if filter == "source:nginx/access")
    );
}

#[test]
fn a_paused_ingest_and_a_silent_store_are_said() {
    let mut screen = Screen::loaded(80, 21);
    let mut paused = ingest();
    let why = "the schema at logs.db is version 1, this program needs 2".to_owned();
    paused.paused = Some(Reason {
        why,
        remedy: Some(Remedy::MigrateSchema),
    });
    screen.send(TabEvent::Ingest(Arc::new(paused)));
    screen.send(TabEvent::Health(Arc::new(health(Some("is unreachable")))));
    assert_eq!(
        screen.tab.status(&screen.context()).banner.as_deref(),
        Some(
            "nothing is stored now: the schema at logs.db is version 1, this program needs 2; \
             run `atalaya db migrate`"
        )
    );
    assert!(screen.text().contains("FAIL metrics"));
}

#[test]
fn nothing_measured_is_said_and_no_ingest_is_no_zero() {
    let mut screen = Screen::new(80, 21);
    assert!(screen.text().contains("being measured"));
    screen.send(TabEvent::Health(Arc::new(health(None))));
    assert!(screen.text().contains("This console ingests nothing."));
}

#[test]
fn a_path_cannot_speak_to_the_terminal() {
    let text = Screen::loaded(120, 30).text();
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    assert!(text.contains("evil"));
}

#[test]
fn without_colour_every_cell_keeps_the_default_colours() {
    let mut screen = Screen::loaded(80, 21);
    screen.theme = Theme::load("dark", None, ColorDepth::Mono).unwrap();
    let buffer = screen.buffer();
    assert!(
        buffer
            .content()
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    screen.theme = Theme::load("dark", None, ColorDepth::True).unwrap();
    assert!(
        screen
            .buffer()
            .content()
            .iter()
            .any(|cell| cell.fg != Color::Reset)
    );
}
