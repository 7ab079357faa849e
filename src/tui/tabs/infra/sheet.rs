//! What lies over the tables: the checks, or everything that is known of a node or a file.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::put;
use super::{InfraTab, Over, Panel, Subject, account, checks, node};
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{frame, safe_text};

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
            Subject::History => (tab.histories.title(), tab.histories.lines(context)),
            Subject::Details if tab.has_keys(Panel::Jobs) => {
                let job = tab.jobs.current()?;
                let title = format!("Job {} · R runs it now · Esc closes", job.info.name);
                (title, tab.jobs.lines(context))
            }
            Subject::Details if tab.has_keys(Panel::Ring) => {
                let ring = tab.ring()?;
                let known = ring.nodes.get(tab.node_position(ring))?;
                let title = format!("Node {} · Esc closes", safe_text::line(&known.address));
                (title, node::lines(known, context))
            }
            Subject::Details => {
                let rows = tab.rows();
                let lines = account::lines(*rows.get(tab.position(&rows))?).into_iter();
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

pub(super) fn render(
    tab: &InfraTab,
    over: Over,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
) {
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
        safe_text::put(
            buffer,
            x,
            inner.bottom(),
            words,
            context.theme.style(Role::Accent),
        );
    }
}
