//! The help of a screen, made from the key map: what is bound is what is shown.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{frame, safe_text};
use crate::tui::action::Action;
use crate::tui::keymap::Scope;
use crate::tui::theme::{Role, Theme};

enum HelpLine {
    Title(&'static str),
    Keys(String, Cow<'static, str>),
    Blank,
}

impl HelpLine {
    fn draw(&self, (x, y): (u16, u16), room: usize, buffer: &mut Buffer, theme: &Theme) {
        match self {
            Self::Blank => {}
            Self::Title(title) => {
                let title = safe_text::cut(title, room);
                safe_text::put(buffer, x, y, title, theme.style(Role::Title));
            }
            Self::Keys(keys, help) => {
                let keys = safe_text::cut(keys, 12);
                safe_text::put(buffer, x, y, keys, theme.style(Role::Key));
                let help = safe_text::cut(help, room.saturating_sub(13));
                safe_text::put(buffer, x + 13, y, help, theme.style(Role::Text));
            }
        }
    }
}

fn lines(sections: Vec<(Scope, Vec<(String, Action)>)>) -> Vec<HelpLine> {
    let mut lines = Vec::new();
    for (scope, bindings) in sections {
        if !lines.is_empty() {
            lines.push(HelpLine::Blank);
        }
        lines.push(HelpLine::Title(scope.title()));
        lines.extend(
            bindings
                .into_iter()
                .map(|(keys, action)| HelpLine::Keys(keys, action.help())),
        );
    }
    lines
}

/// Draws the help in as many columns as fit; `scroll` is the first row. Returns how far one can scroll.
pub fn render(
    area: Rect,
    buffer: &mut Buffer,
    theme: &Theme,
    sections: Vec<(Scope, Vec<(String, Action)>)>,
    scroll: usize,
) -> usize {
    const COLUMN: usize = 56;
    let lines = lines(sections);
    let columns = (usize::from(area.width).saturating_sub(4) / COLUMN).clamp(1, 3);
    let rows_needed = lines.len().div_ceil(columns);
    let height = u16::try_from(rows_needed + 2)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let width = u16::try_from(columns * COLUMN + 4)
        .unwrap_or(area.width)
        .min(area.width);
    let inner = frame::popup(
        area,
        buffer,
        theme,
        "Keys of this screen · Esc closes · j k scroll",
        width,
        height,
    );
    if inner.is_empty() {
        return 0;
    }
    let visible = usize::from(inner.height);
    let furthest = rows_needed.saturating_sub(visible);
    let scroll = scroll.min(furthest);
    if furthest > 0 {
        // On the lower border: what is not in sight, and which key shows it.
        let place = match furthest - scroll {
            0 => format!(" {scroll} lines above: k "),
            below if scroll == 0 => format!(" {below} lines below: j "),
            below => format!(" {scroll} above: k, {below} below: j "),
        };
        let place = safe_text::cut(&place, usize::from(inner.width));
        let x = inner
            .right()
            .saturating_sub(u16::try_from(safe_text::width(&place)).unwrap_or(0) + 1);
        safe_text::put(
            buffer,
            x.max(inner.x),
            inner.bottom(),
            place,
            theme.style(Role::Accent),
        );
    }
    let column_width = usize::from(inner.width) / columns;
    for column in 0..columns {
        for row in 0..visible {
            let Some(line) = lines
                .get(column * rows_needed + scroll + row)
                .filter(|_| scroll + row < rows_needed)
            else {
                break;
            };
            let x = inner.x + u16::try_from(column * column_width).unwrap_or(0) + 1;
            let y = inner.y + u16::try_from(row).unwrap_or(0);
            let room = column_width.saturating_sub(2);
            line.draw((x, y), room, buffer, theme);
        }
    }
    furthest
}
