//! The list of records, newest at the bottom: time, level letter, source, message.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::bookmarks::Bookmarks;
use super::rows::Rows;
use super::search::Search;
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::record::{Level, Record, RecordId};

/// What the list needs beside its rows.
#[derive(Clone, Copy, Debug)]
pub struct ListLook<'a> {
    /// Columns scrolled to the right.
    pub scroll: usize,
    pub search: Option<&'a Search>,
    /// Words of the filter, highlighted more quietly than a search.
    pub highlights: &'a [String],
    pub bookmarks: &'a Bookmarks,
    /// The list has the keys.
    pub focused: bool,
    /// The record that everything is about (context view).
    pub anchor: Option<RecordId>,
}

/// Column widths at this width: source, request id (0: not shown).
fn columns(width: u16) -> (usize, usize) {
    match width {
        0..=99 => (13, 0),
        100..=139 => (16, 12),
        _ => (20, 16),
    }
}

/// Writes a text and returns the column after it.
fn put(buffer: &mut Buffer, x: u16, y: u16, text: &str, style: Style) -> u16 {
    safe_text::put(buffer, x, y, text, style);
    x + u16::try_from(safe_text::width(text)).unwrap_or(0)
}

pub fn render(
    rows: &Rows,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
    look: &ListLook<'_>,
) {
    // Fewer rows than room stand at the top: what arrives then fills the room below them, and no row
    // moves under the eyes of who reads.
    let shown = rows
        .len()
        .saturating_sub(rows.top())
        .min(usize::from(area.height));
    for offset in 0..shown {
        let index = rows.top() + offset;
        let Some(record) = rows.get(index) else { break };
        let line = Rect {
            y: area.y + u16::try_from(offset).unwrap_or(0),
            height: 1,
            ..area
        };
        row(record, line, buffer, context, look, index == rows.focus());
    }
}

fn row(
    record: &Record,
    line: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
    look: &ListLook<'_>,
    selected: bool,
) {
    let theme = context.theme;
    let entry = &record.entry;
    let base = match (selected, look.focused) {
        (true, true) => theme.style(Role::Selection),
        (true, false) => theme.style(Role::SelectionIdle),
        (false, _) => Style::new(),
    };
    if selected {
        safe_text::put(
            buffer,
            line.x,
            line.y,
            " ".repeat(usize::from(line.width)),
            base,
        );
    }
    let over = |role: Role| theme.style(role).patch(base);
    let (source_width, request_width) = columns(line.width);
    let bookmarked = look.bookmarks.contains(record.id());
    let pointed = look.anchor == Some(record.id()) || selected;
    let mark = mark_of(bookmarked, pointed, context.unicode);
    let mark_role = if bookmarked { Role::Mark } else { Role::Accent };
    let mut x = put(buffer, line.x, line.y, mark, over(mark_role));
    x = put(
        buffer,
        x,
        line.y,
        &clock::millis(entry.timestamp, context.zone),
        over(Role::Muted),
    );
    x += 1;
    // Critical keeps its own background also on the selected row: it must not fade there.
    let level = Role::of_level(entry.level);
    let level_style = if entry.level == Level::Critical {
        base.patch(theme.style(level))
    } else {
        over(level)
    };
    x = put(buffer, x, line.y, &entry.level.name()[..1], level_style);
    x += 1;
    let source = safe_text::fit(
        &safe_text::first_line(&record.origin.source, source_width),
        source_width,
    );
    x = put(buffer, x, line.y, &source, over(Role::Source));
    x += 1;
    if request_width > 0 {
        let id = entry
            .request_id
            .as_ref()
            .map(|id| safe_text::first_line(id.as_str(), request_width))
            .unwrap_or_default();
        x = put(
            buffer,
            x,
            line.y,
            &safe_text::fit(&id, request_width),
            over(Role::Link),
        );
        x += 1;
    }
    let rest = Rect {
        x,
        width: line.right().saturating_sub(x),
        ..line
    };
    message(record, rest, base, buffer, context, look, selected);
}

/// A bookmark under the cursor has a mark of its own: the colour alone would not tell.
fn mark_of(bookmarked: bool, pointed: bool, unicode: bool) -> &'static str {
    match (bookmarked, pointed, unicode) {
        (true, true, true) => "◈",
        (true, true, false) => "#",
        (true, false, true) => "◆",
        (true, false, false) => "*",
        (false, true, true) => "▸",
        (false, true, false) => ">",
        (false, false, _) => " ",
    }
}

/// The message in what is left of the row, and behind it what the message does not say.
fn message(
    record: &Record,
    line: Rect,
    base: Style,
    buffer: &mut Buffer,
    context: &Context<'_>,
    look: &ListLook<'_>,
    selected: bool,
) {
    let theme = context.theme;
    let entry = &record.entry;
    let over = |role: Role| theme.style(role).patch(base);
    let x = line.x;
    let room = usize::from(line.right().saturating_sub(x));
    let tail = tail_of(record);
    let tail = if safe_text::width(&tail) + 10 < room {
        tail
    } else {
        String::new()
    };
    let room = room - safe_text::width(&tail);
    let text = safe_text::first_line(&entry.message, look.scroll + room);
    let visible = safe_text::window(&text, look.scroll, room);
    let message_role = match entry.level {
        Level::Debug => Role::Debug,
        Level::Critical | Level::Error if theme.has_color() => Role::Error,
        _ => Role::Text,
    };
    let mut style = over(message_role);
    if message_role == Role::Error {
        // The letter is bold; a screen of bold messages would shout.
        style = style
            .remove_modifier(ratatui::style::Modifier::BOLD)
            .patch(base);
    }
    let end = put(buffer, x, line.y, &visible, style);
    highlight(&visible, x, line, buffer, context, look, selected);
    if !tail.is_empty() {
        put(buffer, end, line.y, &tail, over(Role::Muted));
    }
}

/// What an access line is read for and its message does not say, and how much the row hides:
/// ` 502  5.02 s  +6 lines`.
fn tail_of(record: &Record) -> String {
    let entry = &record.entry;
    let mut tail = String::new();
    // A status of another shape is not worth the room; the details have it.
    let status = entry
        .metadata("status")
        .filter(|status| status.len() <= 3 && status.parse::<u16>().is_ok());
    if let Some(status) = status {
        tail.push_str("  ");
        tail.push_str(status);
    }
    if let Some(millis) = entry
        .duration_ms
        .filter(|millis| millis.is_finite() && *millis >= 0.0)
    {
        tail.push_str("  ");
        tail.push_str(&clock::precise(Duration::from_secs_f64(
            (millis / 1e3).min(1e9),
        )));
    }
    let more = hidden_lines(record);
    if more > 0 {
        tail.push_str(&format!("  +{more} lines"));
    }
    tail
}

/// Lines that the row does not show: of the message beyond the first, and of the traceback.
fn hidden_lines(record: &Record) -> usize {
    let message = record.entry.message.trim_end().split('\n').count() - 1;
    let traceback = record
        .entry
        .traceback
        .as_ref()
        .map_or(0, |text| text.trim_end().split('\n').count());
    message + traceback
}

fn highlight(
    visible: &str,
    x: u16,
    line: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
    look: &ListLook<'_>,
    selected: bool,
) {
    let theme = context.theme;
    let mut paint = |range: std::ops::Range<usize>, role: Role| {
        let before = u16::try_from(safe_text::width(&visible[..range.start])).unwrap_or(0);
        let width = u16::try_from(safe_text::width(&visible[range])).unwrap_or(0);
        let spot = Rect {
            x: x + before,
            y: line.y,
            width,
            height: 1,
        };
        buffer.set_style(spot.intersection(line), theme.style(role));
    };
    for word in look.highlights {
        for range in Search::new(word).ranges(visible) {
            paint(range, Role::Accent);
        }
    }
    if let Some(search) = look.search {
        let role = if selected {
            Role::HitCurrent
        } else {
            Role::Hit
        };
        for range in search.ranges(visible) {
            paint(range, role);
        }
    }
}
