//! Everything of one record: each field on its line with a cursor (so that `f` can filter by it),
//! then message and traceback, wrapped.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::record::Record;
use atalaya_query::{Zone, term_text};

/// Lines of a traceback or message that are laid out; what is beyond is said.
const MOST_LINES: usize = 2_000;
const LABEL: usize = 13;

#[derive(Clone, Debug, PartialEq)]
pub struct DetailLine {
    /// Safe to show; empty on lines that go on.
    pub label: String,
    /// Safe to show, cut to the width.
    pub text: String,
    pub role: Role,
    /// The query term that finds records with this value.
    pub term: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetailCursor {
    pub line: usize,
    pub top: usize,
}

impl DetailCursor {
    pub fn step(&mut self, by: isize, lines: usize, height: usize) {
        self.line = self
            .line
            .saturating_add_signed(by)
            .min(lines.saturating_sub(1));
        let height = height.max(1);
        if self.line < self.top {
            self.top = self.line;
        } else if self.line >= self.top + height {
            self.top = self.line + 1 - height;
        }
    }
}

/// The pane: whether it is open, where its cursor is, and whether it has the keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Details {
    /// `None`: closed.
    pub cursor: Option<DetailCursor>,
    pub focused: bool,
}

impl Details {
    pub fn is_open(&self) -> bool {
        self.cursor.is_some()
    }

    pub fn close(&mut self) {
        *self = Self::default();
    }

    /// Opens it and gives it the keys.
    pub fn open(&mut self) {
        self.cursor.get_or_insert_default();
        self.focused = true;
    }

    /// Opens it beside the list, which keeps the keys, or closes it.
    pub fn toggle(&mut self) {
        let open = self.is_open();
        self.close();
        self.cursor = (!open).then(DetailCursor::default);
    }

    pub fn change_panel(&mut self) {
        self.focused = self.is_open() && !self.focused;
    }

    /// Another record is shown: from its first line on.
    pub fn rewind(&mut self) {
        self.cursor = self.cursor.map(|_| DetailCursor::default());
    }

    /// The cursor, when keys go there.
    pub fn with_keys(&self) -> Option<DetailCursor> {
        self.cursor.filter(|_| self.focused)
    }
}

/// The lines of a record at a width.
pub fn lines(record: &Record, zone: Zone, width: usize) -> Vec<DetailLine> {
    let entry = &record.entry;
    let room = width.saturating_sub(LABEL + 1).max(10);
    let mut out = Vec::new();
    let mut field = |label: &str, value: &str, role: Role, name: Option<&str>| {
        let term = name.map(|name| term_text(name, value));
        wrapped(&mut out, label, value, role, term.as_deref(), room);
    };
    field(
        "time",
        &clock::exact(entry.timestamp, zone),
        Role::Text,
        None,
    );
    field(
        "level",
        entry.level.name(),
        Role::of_level(entry.level),
        Some("level"),
    );
    field(
        "layer",
        record.origin.layer.name(),
        Role::Text,
        Some("layer"),
    );
    field(
        "source",
        &record.origin.source,
        Role::Source,
        Some("source"),
    );
    field("host", record.host(), Role::Text, Some("host"));
    let own = [
        ("logger", entry.logger.as_deref(), "logger", Role::Text),
        (
            "request_id",
            entry
                .request_id
                .as_ref()
                .map(atalaya_domain::record::RequestId::as_str),
            "request_id",
            Role::Link,
        ),
        ("user_id", entry.user_id.as_deref(), "user", Role::Text),
        (
            "session_id",
            entry.session_id.as_deref(),
            "session",
            Role::Text,
        ),
    ];
    for (label, value, name, role) in own {
        if let Some(value) = value {
            field(label, value, role, Some(name));
        }
    }
    if let Some(duration) = entry.duration_ms {
        let text = if duration >= 1_000.0 {
            format!("{:.3} s", duration / 1_000.0)
        } else {
            format!("{duration:.3} ms")
        };
        field("duration", &text, Role::Text, None);
    }
    for (name, value) in &entry.metadata {
        field(name, value, Role::Text, Some(&format!("meta.{name}")));
    }
    field("message", &entry.message, Role::Text, None);
    if let Some(traceback) = &entry.traceback {
        field("traceback", traceback, Role::Muted, None);
    }
    field("id", &record.id().to_string(), Role::Faint, None);
    out
}

/// One value on as many lines as it needs; the label and the term stand on each of them.
fn wrapped(
    out: &mut Vec<DetailLine>,
    label: &str,
    value: &str,
    role: Role,
    term: Option<&str>,
    room: usize,
) {
    let mut label = safe_text::first_line(label, LABEL);
    let start = out.len();
    for line in value.trim_end_matches('\n').split('\n') {
        let safe = safe_text::line(line);
        let mut rest = safe.as_str();
        loop {
            if out.len() - start >= MOST_LINES {
                out.push(DetailLine {
                    label: String::new(),
                    text: "… more lines; `y` copies all".into(),
                    role: Role::Muted,
                    term: None,
                });
                return;
            }
            let piece = safe_text::window(rest, 0, room);
            // A grapheme wider than the room cannot be: the room is at least ten columns.
            let taken = if safe_text::width(rest) <= room {
                rest.len()
            } else {
                piece.trim_end_matches(' ').len().max(1)
            };
            let taken = (taken..=rest.len())
                .find(|at| rest.is_char_boundary(*at))
                .unwrap_or(rest.len());
            out.push(DetailLine {
                label: std::mem::take(&mut label),
                text: rest[..taken].to_owned(),
                role,
                term: term.map(str::to_owned),
            });
            rest = &rest[taken..];
            if rest.is_empty() {
                break;
            }
        }
    }
}

pub fn render(
    record: &Record,
    cursor: DetailCursor,
    focused: bool,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
) {
    let theme = context.theme;
    let lines = lines(record, context.zone, usize::from(area.width));
    for (offset, line) in lines
        .iter()
        .enumerate()
        .skip(cursor.top)
        .take(usize::from(area.height))
    {
        let y = area.y + u16::try_from(offset - cursor.top).unwrap_or(0);
        let selected = focused && offset == cursor.line;
        let base = if selected {
            theme.style(Role::Selection)
        } else {
            Style::new()
        };
        if selected {
            safe_text::put(buffer, area.x, y, " ".repeat(usize::from(area.width)), base);
        }
        safe_text::put(
            buffer,
            area.x + 1,
            y,
            safe_text::cut(&line.label, LABEL - 1),
            theme.style(Role::Muted).patch(base),
        );
        let room = usize::from(area.width).saturating_sub(LABEL);
        safe_text::put_within(
            buffer,
            area.x + u16::try_from(LABEL).unwrap_or(0),
            y,
            &line.text,
            room,
            theme.style(line.role).patch(base),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_there_and_can_be_filtered_by() {
        let mut record = super::super::rows::tests::record(5);
        record.entry.metadata = vec![("status".into(), "502".into())];
        record.entry.traceback = Some("Traceback:\n  File \"a.py\"\nKeyError".into());
        let lines = lines(&record, Zone::Utc, 60);
        let of = |label: &str| lines.iter().find(|line| line.label == label).cloned();
        assert_eq!(
            of("status").and_then(|line| line.term).as_deref(),
            Some("meta.status:502")
        );
        assert_eq!(
            of("source").and_then(|line| line.term).as_deref(),
            Some("source:app/shop")
        );
        assert_eq!(
            lines.iter().filter(|line| line.role == Role::Muted).count(),
            3,
            "the traceback's lines"
        );
    }

    #[test]
    fn long_values_wrap_and_lose_nothing() {
        let mut record = super::super::rows::tests::record(5);
        record.entry.message = "x".repeat(300).into();
        let lines = lines(&record, Zone::Utc, 60);
        let text: String = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(text.matches('x').count(), 300);
        assert!(lines.iter().all(|line| safe_text::width(&line.text) <= 46));
    }
}
