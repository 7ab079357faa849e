//! What stands beside the figures of the DORA tab: which window, how deployments were found, what is
//! odd, and where to go on.

use std::time::Duration;

use super::DoraTab;
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::dora::{DoraReport, NoteKind};

/// Rows of the screen from which there is room for all remarks.
const ROOMY: u16 = 36;

/// What a reader must know before the figures, the most pressing first; as many as fit.
pub(super) fn lines(tab: &DoraTab, report: &DoraReport, height: u16) -> Vec<(Role, String)> {
    let mut lines: Vec<(Role, String)> = Vec::new();
    if let Some(line) = tab.offer.line() {
        let role = match tab.offer.refused {
            Some(_) => Role::Bad,
            None => Role::Accent,
        };
        lines.push((role, line));
    }
    if let Some(last) = tab.last_window_named(report.rules.zone) {
        lines.push((
            Role::Accent,
            format!("No deployment in this window. D shows {last}"),
        ));
    }
    // How the deployments were found comes last in the report; here it says what is counted.
    for (kind, role) in [
        (NoteKind::Method, Role::Muted),
        (NoteKind::Caution, Role::Warning),
    ] {
        let notes = report.notes.iter().filter(|note| note.kind == kind);
        lines.extend(notes.map(|note| (role, note.text.clone())));
    }
    let room = if height >= ROOMY { 8 } else { 3 };
    if lines.len() > room {
        let more = lines.len() - (room - 1);
        lines.truncate(room - 1);
        lines.push((Role::Muted, format!("and {more} more notes: w shows them")));
    }
    lines
        .into_iter()
        .map(|(role, text)| (role, safe_text::line(&text)))
        .collect()
}

/// `30 days`, and where they end when that is not now.
pub(super) fn window(report: &DoraReport, context: &Context<'_>) -> String {
    let days = format!("{:.0} days", report.days());
    if report.window.until >= report.generated_at {
        return days;
    }
    // The end of a window of days is the midnight after the last of them.
    let last = report.window.until.saturating_sub(Duration::from_micros(1));
    format!("{days} to {}", clock::day(last, context.zone))
}
