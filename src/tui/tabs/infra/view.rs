//! How the Infra tab looks: host and stores side by side, below them the ring, the table of files,
//! the jobs at the bottom, and over all what somebody opened.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::{InfraTab, Panel, files, host, ring, sheet};
use crate::tui::tab::Context;
use crate::tui::widgets::empty;

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
    // Below: the ring, the files, the jobs. The files keep a third of what the host leaves, at least
    // four rows; without a file they are a line or two, and the jobs have the room.
    let rest = area.height - top;
    let has_files = !tab.rows().is_empty();
    let kept = if has_files { (rest / 3).max(4) } else { 3 };
    let most = rest.saturating_sub(kept);
    let nodes = tab
        .ring()
        .map_or(0, |known| (ring::wanted_height(known) + 1).min(most));
    // In the little room of a small terminal the table that has the keys gets it.
    let left = most - nodes;
    let most = if has_files && !tab.has_keys(Panel::Jobs) {
        left / 2
    } else {
        left
    };
    let jobs = tab.jobs.wanted_height().min(most);
    let [above, middle, below, last] = Layout::vertical([
        Constraint::Length(top),
        Constraint::Length(nodes),
        Constraint::Min(0),
        Constraint::Length(if jobs < 3 { 0 } else { jobs }),
    ])
    .areas(area);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)])
            .spacing(2)
            .areas(above);
    host::render(health, left, buffer, context);
    host::render_stores(health, right, buffer, context);
    if let Some(known) = tab.ring() {
        let table = Rect {
            height: middle.height.saturating_sub(u16::from(middle.height > 3)),
            ..middle
        };
        ring::render(tab, known, table, buffer, context);
    }
    files::render(tab, below, buffer, context);
    tab.jobs
        .render(last, buffer, context, tab.has_keys(Panel::Jobs));
    if let Some(over) = tab.over {
        sheet::render(tab, over, area, buffer, context);
    }
}
