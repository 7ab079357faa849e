//! How the Infra tab looks: host and stores side by side, below them the ring, the table of files
//! at the bottom, and over all what somebody opened.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::{InfraTab, Over, Row, Subject, checks, ring, spool};
use crate::tui::tab::Context;
use crate::tui::theme::{Role, Theme};
use crate::tui::widgets::{clock, empty, frame, gauge, safe_text};
use atalaya_domain::health::database::Database;
use atalaya_domain::health::{Health, Host, Status, StoreHealth};
use atalaya_ingest::accounts::{FileAccount, FileState, IngestStatus};

/// Width of a host line's label.
const LABEL: u16 = 10;

pub fn render(tab: &InfraTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let Some(health) = &tab.health else {
        empty::render(
            area,
            buffer,
            context.theme,
            "Host and stores are being measured …",
            &[],
        );
        return;
    };
    let wanted = 5 + health.host.as_ref().map_or(0, |host| host.disks.len());
    let top = u16::try_from(wanted.clamp(6, 12))
        .unwrap_or(12)
        .min(area.height / 2);
    // The files keep a third of what the host leaves, at least four rows.
    let left = area.height - top;
    let most = left.saturating_sub((left / 3).max(4));
    let nodes = tab
        .ring()
        .map_or(0, |known| (ring::wanted_height(known) + 1).min(most));
    let [above, middle, files] = Layout::vertical([
        Constraint::Length(top),
        Constraint::Length(nodes),
        Constraint::Min(0),
    ])
    .areas(area);
    let [host, stores] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)])
            .spacing(2)
            .areas(above);
    render_host(health, host, buffer, context);
    render_stores(health, stores, buffer, context);
    if let Some(known) = tab.ring() {
        let table = Rect {
            height: middle.height.saturating_sub(u16::from(middle.height > 3)),
            ..middle
        };
        ring::render(tab, known, table, buffer, context);
    }
    render_files(tab, files, buffer, context);
    if let Some(over) = tab.over {
        render_over(tab, over, area, buffer, context);
    }
}

/// One row of an overlay: label, words, how they are drawn.
type OverRow = (String, String, Role);

/// What an overlay shows.
struct Sheet {
    title: String,
    rows: Vec<OverRow>,
    width: u16,
    /// Column of the words.
    label: u16,
}

impl Sheet {
    /// `None` when what it was about is gone.
    fn of(tab: &InfraTab, what: Subject, area: Rect, context: &Context<'_>) -> Option<Self> {
        let (title, lines) = match what {
            Subject::Checks => (
                "What was checked · Esc closes".to_owned(),
                checks::lines(tab.health.as_ref()?),
            ),
            Subject::Details if tab.ring_has_keys() => {
                let known = tab.ring()?;
                let node = known.nodes.get(tab.node_position(known))?;
                let title = format!("Node {} · Esc closes", safe_text::line(&node.address));
                (title, ring::details(node, context))
            }
            Subject::Details => {
                let rows = tab.rows();
                let lines = detail_lines(*rows.get(tab.position(&rows))?).into_iter();
                let lines = lines
                    .map(|(label, value)| (label.to_owned(), value, Role::Text))
                    .collect();
                ("Account of the file · Esc closes".to_owned(), lines)
            }
        };
        let label = lines
            .iter()
            .map(|(label, _, _)| safe_text::width(label))
            .max()
            .unwrap_or(0);
        let label = u16::try_from(label).unwrap_or(0).max(11) + 3;
        let longest = lines
            .iter()
            .map(|(_, value, _)| safe_text::width(value))
            .max()
            .unwrap_or(0);
        let width = u16::try_from(longest)
            .unwrap_or(u16::MAX)
            .saturating_add(label + 4);
        let width = width.clamp(96, 140).min(area.width);
        let room = usize::from(width.saturating_sub(label + 4)).max(10);
        let mut rows = Vec::new();
        for (name, value, role) in lines {
            // What is long goes on in the next row: a reason that is cut explains nothing.
            for (index, piece) in safe_text::wrap(&value, room).into_iter().enumerate() {
                rows.push((
                    if index == 0 {
                        name.clone()
                    } else {
                        String::new()
                    },
                    piece,
                    role,
                ));
            }
        }
        Some(Self {
            title,
            rows,
            width,
            label,
        })
    }

    fn last_top(&self, area: Rect) -> usize {
        // Two rows are the frame's.
        self.rows
            .len()
            .saturating_sub(usize::from(area.height.saturating_sub(2)))
    }
}

/// The last first line that makes sense: from there the end is in sight.
pub(super) fn last_top(tab: &InfraTab, what: Subject, context: &Context<'_>) -> usize {
    Sheet::of(tab, what, context.area, context).map_or(0, |sheet| sheet.last_top(context.area))
}

fn render_over(tab: &InfraTab, over: Over, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let Some(sheet) = Sheet::of(tab, over.what, area, context) else {
        return;
    };
    let height = u16::try_from(sheet.rows.len() + 2).unwrap_or(u16::MAX);
    let inner = frame::popup(
        area,
        buffer,
        context.theme,
        &sheet.title,
        sheet.width,
        height,
    );
    let top = over.top.min(sheet.last_top(area));
    let visible = usize::from(inner.height);
    for (index, (name, value, role)) in sheet.rows.iter().enumerate().skip(top).take(visible) {
        let y = inner.y + u16::try_from(index - top).unwrap_or(0);
        let label_role = if *role == Role::Text {
            Role::Muted
        } else {
            *role
        };
        put(
            buffer,
            inner,
            inner.x + 1,
            y,
            name,
            context.theme,
            label_role,
        );
        put(
            buffer,
            inner,
            inner.x + sheet.label,
            y,
            value,
            context.theme,
            *role,
        );
    }
    let below = sheet.rows.len().saturating_sub(top + visible);
    if below > 0 {
        let words = format!(" {below} more below ");
        let x = inner
            .right()
            .saturating_sub(u16::try_from(words.len()).unwrap_or(0) + 1);
        // On the frame's lower edge.
        buffer.set_string(x, inner.bottom(), words, context.theme.style(Role::Accent));
    }
}

/// Text cut to the room that is left in the row.
pub(super) fn put(
    buffer: &mut Buffer,
    area: Rect,
    x: u16,
    y: u16,
    text: &str,
    theme: &Theme,
    role: Role,
) {
    if y < area.bottom() && x < area.right() {
        buffer.set_string(
            x,
            y,
            safe_text::cut(text, usize::from(area.right() - x)),
            theme.style(role),
        );
    }
}

fn render_host(health: &Health, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let theme = context.theme;
    let Some(host) = &health.host else {
        frame::rule(Rect { height: 1, ..area }, buffer, theme, "Host", false);
        let reason = health.checks.iter().find(|check| check.name == "host");
        let reason = reason.map_or_else(String::new, |check| safe_text::line(&check.message));
        put(
            buffer,
            area,
            area.x + 1,
            area.y + 1,
            &reason,
            theme,
            Role::Error,
        );
        return;
    };
    let title = format!(
        "Host {} · {} cores · up {}",
        safe_text::line(&host.name),
        host.cores,
        clock::coarse(host.uptime)
    );
    frame::rule(Rect { height: 1, ..area }, buffer, theme, &title, false);
    let mut y = area.y + 1;
    let load = format!(
        "{:.2} {:.2} {:.2}",
        host.load[0], host.load[1], host.load[2]
    );
    let per_core = host.load[1] / host.cores.max(1) as f64;
    gauge_row(
        health,
        (area, y),
        buffer,
        context,
        ("load", "load"),
        per_core,
        &load,
    );
    y += 1;
    let memory = format!(
        "{} of {}",
        bytes(host.memory_total_bytes - host.memory_available_bytes.min(host.memory_total_bytes)),
        bytes(host.memory_total_bytes)
    );
    gauge_row(
        health,
        (area, y),
        buffer,
        context,
        ("memory", "memory"),
        host.memory_used_ratio(),
        &memory,
    );
    y += 1;
    if host.swap_total_bytes > 0 {
        let ratio = host.swap_used_bytes as f64 / host.swap_total_bytes as f64;
        let text = format!(
            "{} of {}",
            bytes(host.swap_used_bytes),
            bytes(host.swap_total_bytes)
        );
        gauge_row(
            health,
            (area, y),
            buffer,
            context,
            ("swap", "swap"),
            ratio,
            &text,
        );
        y += 1;
    }
    for disk in &host.disks {
        let text = format!(
            "{} free of {}{}",
            bytes(disk.available_bytes),
            bytes(disk.total_bytes),
            data_mark(host, &disk.mount)
        );
        let check = format!("disk {}", disk.mount);
        let label = safe_text::line(&disk.mount);
        gauge_row(
            health,
            (area, y),
            buffer,
            context,
            (&label, &check),
            disk.used_ratio(),
            &text,
        );
        y += 1;
    }
}

fn data_mark(host: &Host, mount: &str) -> &'static str {
    if host.data_mount.as_deref() == Some(mount) {
        " · data"
    } else {
        ""
    }
}

/// `label ████░░░░ figures`; `label.1` names the check that judges it.
fn gauge_row(
    health: &Health,
    (area, y): (Rect, u16),
    buffer: &mut Buffer,
    context: &Context<'_>,
    (label, check): (&str, &str),
    ratio: f64,
    text: &str,
) {
    if y >= area.bottom() {
        return;
    }
    let status = health
        .checks
        .iter()
        .find(|known| known.name == check)
        .map_or(Status::Ok, |known| known.status);
    let (role, letters) = gauge::verdict(status);
    let width = (area.width / 4).min(30);
    let label = safe_text::cut(label, usize::from(LABEL) - 1);
    put(
        buffer,
        area,
        area.x + 1,
        y,
        &label,
        context.theme,
        Role::Muted,
    );
    let bar = (area.x + 1 + LABEL, y);
    gauge::render(
        bar,
        width,
        buffer,
        context.theme,
        ratio,
        role,
        context.unicode,
    );
    let text = if status == Status::Ok {
        text.to_owned()
    } else {
        format!("{letters} {text}")
    };
    let role = if status == Status::Ok {
        Role::Text
    } else {
        role
    };
    put(
        buffer,
        area,
        bar.0 + width + 1,
        y,
        &text,
        context.theme,
        role,
    );
}

fn render_stores(health: &Health, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    frame::rule(
        Rect { height: 1, ..area },
        buffer,
        context.theme,
        "Stores",
        false,
    );
    let mut y = area.y + 1;
    for store in &health.stores {
        let mut lines: Vec<(String, Role)> = store_lines(store).into();
        if store.name == "metrics"
            && let Some(words) = health.metrics_database.as_ref().and_then(database_words)
        {
            lines.push((format!("     {words}"), Role::Muted));
        }
        for (text, role) in lines {
            put(buffer, area, area.x + 1, y, &text, context.theme, role);
            y += 1;
        }
    }
}

fn store_lines(store: &StoreHealth) -> [(String, Role); 2] {
    let head = match &store.problem {
        Some(problem) => (
            format!("FAIL {:<8} {}", store.name, safe_text::line(problem)),
            Role::Error,
        ),
        None => {
            let latency = clock::precise(store.latency);
            (
                format!("ok   {:<8} {} in {latency}", store.name, store.backend),
                Role::Good,
            )
        }
    };
    let records = store
        .records
        .map(|records| format!("{} records", clock::count(records)));
    let figures: Vec<String> = records
        .into_iter()
        .chain(store.disk_bytes.map(bytes))
        .chain(std::iter::once(safe_text::line(&store.address)))
        .collect();
    [head, (format!("     {}", figures.join(" · ")), Role::Muted)]
}

/// What the metrics' database says of itself; `None` when it says nothing.
fn database_words(database: &Database) -> Option<String> {
    let mut words = Vec::new();
    if !database.tables.is_empty() {
        let rows = clock::count(database.rows());
        words.push(format!("{rows} rows"));
    }
    words.extend(database.orphans.map(|orphans| format!("{orphans} orphans")));
    words.extend(database.slow_queries.map(|slow| format!("{slow} slow")));
    if let (Some(used), Some(limit)) = (database.threads_connected, database.threads_limit) {
        words.push(format!("{used} of {limit} connections"));
    }
    if let Some(ratio) = database
        .innodb
        .as_ref()
        .and_then(|innodb| innodb.buffer_hit_ratio)
    {
        words.push(format!("buffer {:.1} % hits", ratio * 100.0));
    }
    words.extend(database.version.as_deref().map(safe_text::line));
    (!words.is_empty()).then(|| words.join(" · "))
}

fn render_files(tab: &InfraTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let theme = context.theme;
    let Some(ingest) = &tab.ingest else {
        frame::rule(
            Rect { height: 1, ..area },
            buffer,
            theme,
            "Ingest",
            !tab.ring_has_keys(),
        );
        let hint = "files are read by another process, or this is the demo".to_owned();
        empty::render(
            area,
            buffer,
            theme,
            "This console ingests nothing.",
            &[hint],
        );
        return;
    };
    let focused = !tab.ring_has_keys();
    frame::rule(
        Rect { height: 1, ..area },
        buffer,
        theme,
        &files_title(ingest),
        focused,
    );
    let area = spool::render(ingest.spool.as_ref(), area, buffer, context);
    let rows = tab.rows();
    if rows.is_empty() {
        let hint = "name some in [[ingest.files]], or run: atalaya ingest FILE".to_owned();
        empty::render(area, buffer, theme, "No log file was found.", &[hint]);
        return;
    }
    let columns = Columns::of(area);
    columns.header(area, buffer, theme);
    let visible = usize::from(area.height.saturating_sub(2));
    let chosen = tab.position(&rows);
    let first = chosen.saturating_sub(visible.saturating_sub(1));
    for (index, row) in rows.iter().enumerate().skip(first).take(visible) {
        let y = area.y + 2 + u16::try_from(index - first).unwrap_or(0);
        columns.row(
            *row,
            Rect {
                y,
                height: 1,
                ..area
            },
            buffer,
            context,
        );
        if focused && index == chosen {
            buffer.set_style(
                Rect {
                    y,
                    height: 1,
                    ..area
                },
                theme.style(Role::Selection),
            );
        }
    }
}

fn files_title(ingest: &IngestStatus) -> String {
    let mut title = format!("Ingest · {} files", ingest.files.len());
    let lag = ingest.lag_bytes();
    if lag > 0 {
        title.push_str(&format!(" · behind by {}", bytes(lag)));
    }
    if !ingest.unread.is_empty() {
        title.push_str(&format!(" · {} not read", ingest.unread.len()));
    }
    title
}

/// Where the columns of the table are; narrow screens show fewer.
struct Columns {
    path: u16,
    format: u16,
    records: u16,
    rate: u16,
    lag: u16,
    errors: u16,
}

const STATE: u16 = 11;

impl Columns {
    fn of(area: Rect) -> Self {
        let (format, rate) = if area.width >= 110 { (20, 9) } else { (0, 7) };
        let (records, lag, errors) = (12, 10, 8);
        let path = area
            .width
            .saturating_sub(STATE + format + records + rate + lag + errors + 2);
        Self {
            path,
            format,
            records,
            rate,
            lag,
            errors,
        }
    }

    /// Draws one row of cells: left-aligned path and format, right-aligned figures.
    fn cells(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, cells: [(String, Role); 7]) {
        let widths = [
            STATE,
            self.path,
            self.format,
            self.records,
            self.rate,
            self.lag,
            self.errors,
        ];
        let mut x = area.x + 1;
        for (index, ((text, role), width)) in cells.into_iter().zip(widths).enumerate() {
            if width == 0 {
                continue;
            }
            let room = usize::from(width.saturating_sub(1));
            let text = if index == 1 {
                tail_cut(&text, room)
            } else {
                safe_text::cut(&text, room)
            };
            let indent = if index > 2 {
                room.saturating_sub(safe_text::width(&text))
            } else {
                0
            };
            let indent = u16::try_from(indent).unwrap_or(0);
            buffer.set_string(x + indent, area.y, text, theme.style(role));
            x += width;
        }
    }

    fn header(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let titles = [
            "state", "file", "format", "records", "rec/s", "behind", "errors",
        ];
        self.cells(
            Rect {
                y: area.y + 1,
                ..area
            },
            buffer,
            theme,
            titles.map(|title| (title.to_owned(), Role::Muted)),
        );
    }

    fn row(&self, row: Row<'_>, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        match row {
            Row::File(file) => {
                let errors = file.errors + file.counts.mismatched;
                self.cells(
                    area,
                    buffer,
                    context.theme,
                    [
                        (file.state.name().to_owned(), state_role(&file.state)),
                        (safe_text::line(&file.path.to_string_lossy()), Role::Text),
                        (file.format.unwrap_or("…").to_owned(), Role::Source),
                        (clock::count(file.counts.written), Role::Text),
                        (
                            if file.rate > 0.0 {
                                format!("{:.0}", file.rate)
                            } else {
                                "–".to_owned()
                            },
                            Role::Text,
                        ),
                        lag_cell(file),
                        (
                            errors.to_string(),
                            if errors > 0 {
                                Role::Warning
                            } else {
                                Role::Muted
                            },
                        ),
                    ],
                );
            }
            Row::Unread(unread) => {
                let path = safe_text::line(&unread.path.to_string_lossy());
                let x = area.x + 1;
                put(
                    buffer,
                    area,
                    x,
                    area.y,
                    "not read",
                    context.theme,
                    Role::Warning,
                );
                let text = format!("{path}  {}", safe_text::line(&unread.reason));
                put(
                    buffer,
                    area,
                    x + STATE,
                    area.y,
                    &text,
                    context.theme,
                    Role::Muted,
                );
            }
        }
    }
}

fn state_role(state: &FileState) -> Role {
    match state {
        FileState::Live => Role::Good,
        FileState::Reading => Role::Accent,
        FileState::Waiting(_) => Role::Warning,
        FileState::Unreadable(_) | FileState::Stopped(_) => Role::Error,
        FileState::Read | FileState::Copy(_) | FileState::Gone => Role::Muted,
    }
}

fn lag_cell(file: &FileAccount) -> (String, Role) {
    if file.lag_bytes == 0 {
        return ("–".to_owned(), Role::Muted);
    }
    // Past a minute it is what the alert on ingest lag calls too late.
    let role = if file.lag_seconds > 60.0 {
        Role::Warning
    } else {
        Role::Text
    };
    (bytes(file.lag_bytes), role)
}

/// The end of a path says more than its beginning.
fn tail_cut(text: &str, room: usize) -> String {
    let width = safe_text::width(text);
    if width <= room {
        return text.to_owned();
    }
    format!(
        "…{}",
        safe_text::window(text, width - room.saturating_sub(1), room.saturating_sub(1))
    )
}

/// Every number of the account, so that the sums can be checked by eye.
fn detail_lines(row: Row<'_>) -> Vec<(&'static str, String)> {
    let file = match row {
        Row::Unread(unread) => {
            return vec![
                ("file", safe_text::line(&unread.path.to_string_lossy())),
                ("not read", safe_text::line(&unread.reason)),
            ];
        }
        Row::File(file) => file,
    };
    let counts = &file.counts;
    let state = match file.state.reason() {
        Some(reason) => format!("{}: {}", file.state.name(), safe_text::line(reason)),
        None => file.state.name().to_owned(),
    };
    let mut lines = vec![
        ("file", safe_text::line(&file.path.to_string_lossy())),
        ("state", state),
        ("origin", file.origin.to_string()),
        ("format", formats_of(file)),
        (
            "source",
            file.source
                .as_deref()
                .map_or_else(|| "–".to_owned(), safe_text::line),
        ),
        (
            "size",
            format!("{} ({} bytes)", bytes(file.size), clock::count(file.size)),
        ),
        (
            "acknowledged",
            format!(
                "{} bytes are durable in the store",
                clock::count(file.acknowledged)
            ),
        ),
        (
            "behind",
            format!(
                "{} for {}",
                bytes(file.lag_bytes),
                clock::precise(Duration::from_secs_f64(file.lag_seconds.clamp(0.0, 1e9)))
            ),
        ),
        (
            "lines",
            format!(
                "{} = {} records + {} joined + {} skipped + {} pending",
                clock::count(counts.lines),
                clock::count(counts.records),
                clock::count(counts.joined),
                clock::count(counts.skipped),
                clock::count(counts.pending())
            ),
        ),
        (
            "records",
            format!(
                "{} = {} stored + {} on their way",
                clock::count(counts.records),
                clock::count(counts.written),
                clock::count(counts.in_flight())
            ),
        ),
        (
            "did not fit",
            format!(
                "{} records keep their text and a parse_error",
                clock::count(counts.mismatched)
            ),
        ),
        (
            "cut",
            format!(
                "{} lines over the limit, kept in part",
                clock::count(counts.cut)
            ),
        ),
        ("errors", file.errors.to_string()),
    ];
    if let Some(error) = &file.last_error {
        lines.push(("last error", safe_text::line(error)));
    }
    lines
}

/// `1.2 GiB`, `640 KiB`, `0 B`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// What the file is taken for, and what read its records where that is more than one format.
fn formats_of(file: &FileAccount) -> String {
    let Some(format) = file.format else {
        return "not known before the first line".to_owned();
    };
    if file.formats.labels().all(|(label, _)| label == format) {
        return format.to_owned();
    }
    let counts = file
        .formats
        .labels()
        .map(|(label, records)| format!("{label} {}", clock::count(records)));
    format!("{format} ({})", counts.collect::<Vec<_>>().join(", "))
}
