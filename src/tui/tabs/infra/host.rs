//! The host with its gauges, and the stores beside it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{bytes, put};
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, frame, gauge, safe_text};
use atalaya_domain::health::database::Database;
use atalaya_domain::health::{Health, Host, Status, StoreHealth};

/// Width of a host line's label.
const LABEL: u16 = 10;

pub(super) fn render(health: &Health, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
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
    for (y, (label, check, ratio, text)) in (area.y + 1..).zip(measures(host)) {
        let names = (label.as_str(), check.as_str());
        gauge_row(health, (area, y), buffer, context, names, ratio, &text);
    }
}

/// Label, the check that judges it, how full it is, and the figures.
fn measures(host: &Host) -> Vec<(String, String, f64, String)> {
    let load = format!(
        "{:.2} {:.2} {:.2}",
        host.load[0], host.load[1], host.load[2]
    );
    let used = host
        .memory_total_bytes
        .saturating_sub(host.memory_available_bytes);
    let of = |used: u64, total: u64| format!("{} of {}", bytes(used), bytes(total));
    let of_own_name =
        |name: &str, ratio: f64, text: String| (name.to_owned(), name.to_owned(), ratio, text);
    let mut measures = vec![
        of_own_name("load", host.load[1] / host.cores.max(1) as f64, load),
        of_own_name(
            "memory",
            host.memory_used_ratio(),
            of(used, host.memory_total_bytes),
        ),
    ];
    if host.swap_total_bytes > 0 {
        let ratio = host.swap_used_bytes as f64 / host.swap_total_bytes as f64;
        let text = of(host.swap_used_bytes, host.swap_total_bytes);
        measures.push(of_own_name("swap", ratio, text));
    }
    measures.extend(host.disks.iter().map(|disk| {
        let text = format!(
            "{} free of {}{}",
            bytes(disk.available_bytes),
            bytes(disk.total_bytes),
            data_mark(host, &disk.mount)
        );
        let check = format!("disk {}", disk.mount);
        (safe_text::line(&disk.mount), check, disk.used_ratio(), text)
    }));
    measures
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

pub(super) fn render_stores(
    health: &Health,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
) {
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
    // How far a backup can be trusted stands beside what it would bring back.
    if let Some(check) = health.checks.iter().find(|check| check.name == "backup") {
        let (role, letters) = gauge::verdict(check.status);
        let words = safe_text::line(&check.message);
        let text = format!("{letters:<4} backup   {words}");
        put(buffer, area, area.x + 1, y, &text, context.theme, role);
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
