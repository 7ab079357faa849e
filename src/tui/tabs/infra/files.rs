//! The table of the files that are ingested.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{bytes, put};
use super::{InfraTab, Panel, Row, spool};
use crate::tui::tab::Context;
use crate::tui::theme::{Role, Theme};
use crate::tui::widgets::{clock, empty, frame, safe_text};
use atalaya_ingest::accounts::{FileAccount, FileState, IngestStatus};

pub(super) fn render(tab: &InfraTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let theme = context.theme;
    let Some(ingest) = &tab.ingest else {
        frame::rule(Rect { height: 1, ..area }, buffer, theme, "Ingest", false);
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
    let focused = tab.has_keys(Panel::Files);
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
            safe_text::put(buffer, x + indent, area.y, text, theme.style(role));
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
