//! What is known of the alert or the rule under the cursor.

use std::collections::BTreeMap;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{AlertsTab, view};
use crate::service::alerts::{RuleView, value_line};
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, frame, safe_text};
use atalaya_domain::alert::{Alert, Evidence, show_labels, show_number};
use atalaya_domain::time::Timestamp;

/// One row: label, words, how they are drawn.
type Row = (&'static str, String, Role);

const LABEL: u16 = 14;

pub(super) fn render(tab: &AlertsTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let (title, rows) = match (tab.current(), tab.current_rule()) {
        (Some(alert), _) => (
            format!("{} · {}", safe_text::line(&alert.rule.name), alert.id),
            of_alert(alert, context),
        ),
        (None, Some(rule)) => (safe_text::line(&rule.name), of_rule(rule, context)),
        (None, None) => return,
    };
    frame::rule(area, buffer, context.theme, &title, false);
    let inside = Rect {
        y: area.y + 1.min(area.height),
        height: area.height.saturating_sub(1),
        ..area
    };
    let room = usize::from(inside.width.saturating_sub(LABEL)).max(10);
    let mut lines: Vec<(&'static str, String, Role)> = Vec::new();
    for (label, words, role) in rows {
        for (index, piece) in safe_text::wrap(&words, room).into_iter().enumerate() {
            lines.push((if index == 0 { label } else { "" }, piece, role));
        }
    }
    let last = lines.len().saturating_sub(usize::from(inside.height));
    let top = tab.opened.unwrap_or(0).min(last);
    for (y, (label, words, role)) in (inside.y..inside.bottom()).zip(lines.into_iter().skip(top)) {
        let muted = context.theme.style(Role::Muted);
        safe_text::put(buffer, inside.x, y, safe_text::cut(label, room), muted);
        safe_text::put(
            buffer,
            inside.x + LABEL,
            y,
            safe_text::cut(&words, room),
            context.theme.style(role),
        );
    }
}

fn of_alert(alert: &Alert, context: &Context<'_>) -> Vec<Row> {
    let (word, role) = view::state_of(alert);
    let mut rows = vec![
        ("state", lasted(alert, word, context), role),
        ("value", safe_text::line(&value_line(alert)), Role::Text),
    ];
    if let Some(worst) = alert.worst {
        rows.push(("worst", show_number(worst), Role::Text));
    }
    if let Some(why) = &alert.no_data {
        rows.push(("no data", safe_text::line(why), Role::Warning));
    }
    rows.push((
        "what to do",
        safe_text::line(&alert.rule.todo),
        Role::Accent,
    ));
    of_labels(&alert.rule.labels, &mut rows);
    if let Some(seen) = &alert.acknowledged {
        let mut words = format!("by {} {}", seen.by, at(seen.at, context));
        if let Some(value) = seen.until_worse_than {
            words.push_str(&format!(", until worse than {}", show_number(value)));
        }
        if let Some(note) = &seen.note {
            words.push_str(&format!(": {note}"));
        }
        rows.push(("seen", safe_text::line(&words), Role::Good));
    }
    if let Some(mute) = &alert.muted {
        rows.push(("not told", safe_text::line(&mute.to_string()), Role::Muted));
    }
    if let Some(query) = &alert.rule.query {
        rows.push(("query", safe_text::line(query), Role::Muted));
    }
    match &alert.evidence {
        Some(evidence) => of_evidence(evidence, context, &mut rows),
        None => rows.push((
            "evidence",
            "none: it has not fired yet".to_owned(),
            Role::Muted,
        )),
    }
    rows
}

fn of_labels(labels: &BTreeMap<String, String>, rows: &mut Vec<Row>) {
    if !labels.is_empty() {
        rows.push(("labels", safe_text::line(&show_labels(labels)), Role::Text));
    }
}

/// Since when it is what it is, and how long it lasted.
fn lasted(alert: &Alert, word: &str, context: &Context<'_>) -> String {
    match (alert.firing_since, alert.resolved_at) {
        (Some(from), Some(until)) => format!(
            "{word}: fired {} for {}",
            at(from, context),
            clock::coarse(until.since(from))
        ),
        _ => format!(
            "{word} since {} ({})",
            at(alert.since(), context),
            clock::coarse(context.now.since(alert.since()))
        ),
    }
}

fn of_evidence(evidence: &Evidence, context: &Context<'_>, rows: &mut Vec<Row>) {
    let reading = format!("{} {}", at(evidence.at, context), evidence.reading);
    rows.push(("", String::new(), Role::Text));
    rows.push(("evidence", safe_text::line(&reading), Role::Text));
    if let Some(deployment) = &evidence.deployment {
        let words = format!(
            "{} of {} to {}, {} before",
            deployment.id,
            deployment.service,
            deployment.environment,
            clock::coarse(Duration::from_secs(deployment.seconds_before))
        );
        rows.push(("deployment", safe_text::line(&words), Role::Mark));
    }
    if !evidence.request_ids.is_empty() {
        let ids: Vec<String> = evidence
            .request_ids
            .iter()
            .map(|id| safe_text::line(id.as_str()))
            .collect();
        rows.push(("requests", ids.join(", "), Role::Accent));
    }
    for (index, record) in evidence.records.iter().enumerate() {
        let label = if index == 0 { "records" } else { "" };
        let words = format!(
            "{} {} {} {}",
            clock::millis(record.at, context.zone),
            record.level,
            record.source,
            record.message
        );
        rows.push((label, safe_text::line(&words), Role::Text));
    }
    for what in &evidence.missing {
        rows.push(("missing", safe_text::line(what), Role::Warning));
    }
}

fn of_rule(rule: &RuleView, context: &Context<'_>) -> Vec<Row> {
    let mut rows = vec![
        ("fires when", safe_text::line(&rule.condition), Role::Text),
        ("now", safe_text::line(&rule.reading), Role::Text),
    ];
    if let Some(measured) = rule.measured_at {
        rows.push(("measured", at(measured, context), Role::Muted));
    }
    rows.push(("what to do", safe_text::line(&rule.todo), Role::Accent));
    of_labels(&rule.labels, &mut rows);
    if let Some(query) = &rule.query {
        rows.push(("query", safe_text::line(query), Role::Muted));
    }
    if let Some(muted) = &rule.muted {
        rows.push(("not told", safe_text::line(muted), Role::Muted));
    }
    rows.push(("from", rule.origin.name().to_owned(), Role::Muted));
    rows
}

/// With the day, as alerts of last night are looked at in the morning.
fn at(instant: Timestamp, context: &Context<'_>) -> String {
    clock::format(instant, context.zone, "%m-%d %H:%M:%S")
}
