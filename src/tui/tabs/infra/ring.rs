//! The ring's table, a node a row, and everything that is known of one node.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{bytes, put};
use super::{InfraTab, Panel};
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, frame, safe_text};
use atalaya_domain::health::Status;
use atalaya_domain::health::ring::{Node, Ring};
use atalaya_domain::time::Timestamp;

/// What is not told.
const NOTHING: &str = "–";

/// One figure of a node: its title, width with the gap, and how badly it is wanted when the screen
/// is narrow (1 first).
struct Column {
    title: &'static str,
    width: u16,
    rank: u8,
    text: fn(&Node, Timestamp) -> Option<String>,
    /// Whether the figure itself is bad; the row's mark says so too.
    bad: fn(&Node) -> bool,
}

fn fine(_: &Node) -> bool {
    false
}

pub(super) fn count(value: Option<u64>) -> Option<String> {
    value.map(clock::count)
}

const COLUMNS: [Column; 16] = [
    Column {
        title: "load",
        width: 10,
        rank: 1,
        text: |node, _| node.load_bytes.map(bytes),
        bad: fine,
    },
    Column {
        title: "disk",
        width: 10,
        rank: 5,
        text: |node, _| node.measures.disk_bytes.map(bytes),
        bad: |node| {
            node.measures
                .disk_state
                .as_deref()
                .is_some_and(|state| state != "SPACIOUS")
        },
    },
    Column {
        title: "pending",
        width: 9,
        rank: 2,
        text: |node, _| count(node.measures.pending),
        bad: |node| node.measures.blocked.is_some_and(|blocked| blocked > 0),
    },
    Column {
        title: "compact",
        width: 9,
        rank: 7,
        // Running, and waiting for a thread.
        text: |node, _| {
            let measures = &node.measures;
            Some(format!(
                "{}+{}",
                measures.compactions?,
                measures.compactions_queued.unwrap_or(0)
            ))
        },
        bad: fine,
    },
    Column {
        title: "dropped",
        width: 9,
        rank: 3,
        text: |node, _| count(node.measures.dropped),
        bad: |node| node.measures.dropped.is_some_and(|dropped| dropped > 0),
    },
    Column {
        title: "hints",
        width: 7,
        rank: 4,
        text: |node, _| count(node.measures.hint_files),
        bad: |node| node.measures.hint_files.is_some_and(|files| files > 0),
    },
    Column {
        title: "tombstones",
        width: 12,
        rank: 9,
        text: |node, _| {
            node.measures
                .tombstones
                .as_ref()
                .map(|worst| format!("{:.0}", worst.value))
        },
        bad: fine,
    },
    Column {
        title: "partition",
        width: 11,
        rank: 10,
        text: |node, _| {
            node.measures
                .largest_partition
                .as_ref()
                .map(|worst| bytes(worst.value as u64))
        },
        bad: fine,
    },
    Column {
        title: "read p99",
        width: 10,
        rank: 8,
        text: |node, _| node.measures.read_p99_ms.map(milliseconds),
        bad: fine,
    },
    Column {
        title: "write p99",
        width: 11,
        rank: 8,
        text: |node, _| node.measures.write_p99_ms.map(milliseconds),
        bad: fine,
    },
    Column {
        title: "snapshots",
        width: 11,
        rank: 12,
        text: |node, _| count(node.measures.snapshots),
        bad: fine,
    },
    Column {
        title: "clients",
        width: 9,
        rank: 13,
        text: |node, _| count(node.measures.clients),
        bad: fine,
    },
    Column {
        title: "memtables",
        width: 18,
        rank: 11,
        text: |node, _| memtables(node),
        bad: fine,
    },
    Column {
        title: "release",
        width: 9,
        rank: 6,
        text: |node, _| node.version.clone(),
        bad: fine,
    },
    Column {
        title: "up",
        width: 10,
        rank: 9,
        text: |node, now| node.started_at.map(|at| clock::coarse(now.since(at))),
        bad: fine,
    },
    Column {
        title: "answer",
        width: 9,
        rank: 14,
        text: |node, _| node.latency_ms.map(milliseconds),
        bad: fine,
    },
];

const LETTERS: u16 = 5;
const ADDRESS: u16 = 22;
/// Room for `datacenter1/rack1`, where there is any.
const PLACE: (u16, u16) = (10, 20);

pub(super) fn milliseconds(value: f64) -> String {
    clock::precise(Duration::from_secs_f64((value / 1_000.0).clamp(0.0, 1e9)))
}

/// `heap 113MiB`, `offheap 1024MiB`: where writes gather.
pub(super) fn memtables(node: &Node) -> Option<String> {
    let settings = &node.settings;
    let allocation = settings.memtable_allocation.as_deref()?;
    let (word, room) = if allocation.starts_with("offheap") {
        ("offheap", &settings.memtable_offheap)
    } else {
        ("heap", &settings.memtable_heap)
    };
    Some(
        format!("{word} {}", room.as_deref().unwrap_or_default())
            .trim_end()
            .to_owned(),
    )
}

/// Rows that the table wants: a rule, a header, the nodes.
pub fn wanted_height(ring: &Ring) -> u16 {
    u16::try_from(ring.nodes.len() + 2).unwrap_or(u16::MAX)
}

pub fn render(tab: &InfraTab, ring: &Ring, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let theme = context.theme;
    let focused = tab.has_keys(Panel::Ring);
    frame::rule(
        Rect { height: 1, ..area },
        buffer,
        theme,
        &title(tab, ring, context),
        focused,
    );
    let columns = Columns::of(area.width);
    let header = Rect {
        y: area.y + 1,
        height: 1,
        ..area
    };
    if header.y < area.bottom() {
        columns.header(header, buffer, context);
    }
    let visible = usize::from(area.height.saturating_sub(2));
    let chosen = tab.node_position(ring);
    let first = (chosen + 1).saturating_sub(visible.max(1));
    for (index, node) in ring.nodes.iter().enumerate().skip(first).take(visible) {
        let row = Rect {
            y: area.y + 2 + u16::try_from(index - first).unwrap_or(0),
            height: 1,
            ..area
        };
        columns.row(node, row, buffer, context);
        if focused && index == chosen {
            buffer.set_style(row, theme.style(Role::Selection));
        }
    }
}

fn title(tab: &InfraTab, ring: &Ring, context: &Context<'_>) -> String {
    let name = if ring.cluster.is_empty() {
        String::new()
    } else {
        format!(" {}", ring.cluster)
    };
    let mut title = format!(
        "Ring{} · {} of {} nodes up · keyspace {}",
        safe_text::line(&name),
        ring.up(),
        ring.nodes.len(),
        safe_text::line(&ring.keyspace)
    );
    if let Some(at) = tab.ring_is_older() {
        title.push_str(&format!(
            " · as of {}",
            clock::format(at, context.zone, "%H:%M:%S")
        ));
    }
    title
}

/// The columns that fit, in their order.
struct Columns {
    place: u16,
    shown: Vec<&'static Column>,
}

impl Columns {
    fn of(width: u16) -> Self {
        let place = if width >= 110 { PLACE.1 } else { PLACE.0 };
        let mut room = width.saturating_sub(LETTERS + ADDRESS + place + 1);
        let mut ranked: Vec<usize> = (0..COLUMNS.len()).collect();
        ranked.sort_by_key(|index| COLUMNS[*index].rank);
        let mut taken = Vec::new();
        for index in ranked {
            if COLUMNS[index].width > room {
                break;
            }
            room -= COLUMNS[index].width;
            taken.push(index);
        }
        taken.sort_unstable();
        Self {
            place,
            shown: taken.into_iter().map(|index| &COLUMNS[index]).collect(),
        }
    }

    fn header(&self, row: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        let mut x = row.x + 1 + LETTERS;
        put(buffer, row, x, row.y, "node", context.theme, Role::Muted);
        x += ADDRESS;
        put(buffer, row, x, row.y, "dc/rack", context.theme, Role::Muted);
        x += self.place;
        for column in &self.shown {
            right(
                buffer,
                row,
                x,
                column.width,
                column.title,
                context,
                Role::Muted,
            );
            x += column.width;
        }
    }

    fn row(&self, node: &Node, row: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        let theme = context.theme;
        let troubles = node.troubles(context.now);
        let (mark, role) = match troubles.first() {
            None => (' ', Role::Good),
            Some((Status::Failing, _)) => ('!', Role::Error),
            Some(_) => ('!', Role::Warning),
        };
        let role = if node.is_up() { role } else { Role::Error };
        put(
            buffer,
            row,
            row.x + 1,
            row.y,
            &format!("{}{mark}", node.letters()),
            theme,
            role,
        );
        let mut x = row.x + 1 + LETTERS;
        let address = safe_text::cut(&safe_text::line(&node.address), usize::from(ADDRESS) - 1);
        put(buffer, row, x, row.y, &address, theme, Role::Text);
        x += ADDRESS;
        let place = [node.datacenter.as_deref(), node.rack.as_deref()];
        let place = place.into_iter().flatten().collect::<Vec<_>>().join("/");
        let place = safe_text::cut(&safe_text::line(&place), usize::from(self.place) - 1);
        put(buffer, row, x, row.y, &place, theme, Role::Muted);
        x += self.place;
        if !node.is_up() {
            let words = troubles.first().map_or("down", |(_, words)| words.as_str());
            put(
                buffer,
                row,
                x + 1,
                row.y,
                &safe_text::line(words),
                theme,
                Role::Error,
            );
            return;
        }
        for column in &self.shown {
            let (text, role) = match (column.text)(node, context.now) {
                None => (NOTHING.to_owned(), Role::Faint),
                Some(text) if (column.bad)(node) => (format!("!{text}"), Role::Warning),
                Some(text) => (text, Role::Text),
            };
            right(
                buffer,
                row,
                x,
                column.width,
                &safe_text::line(&text),
                context,
                role,
            );
            x += column.width;
        }
    }
}

/// Right-aligned in its column, a blank before it.
fn right(
    buffer: &mut Buffer,
    row: Rect,
    x: u16,
    width: u16,
    text: &str,
    context: &Context<'_>,
    role: Role,
) {
    let text = safe_text::cut(text, usize::from(width) - 1);
    let indent = usize::from(width).saturating_sub(safe_text::width(&text));
    put(
        buffer,
        row,
        x + u16::try_from(indent).unwrap_or(0),
        row.y,
        &text,
        context.theme,
        role,
    );
}
