//! Boxes and rules, drawn the same everywhere.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use super::safe_text;
use crate::tui::theme::{Role, Theme};

/// A rule across the row with a title in it: `── Deployments ─────`. `title` is safe text.
pub fn rule(area: Rect, buffer: &mut Buffer, theme: &Theme, title: &str, focused: bool) {
    if area.is_empty() {
        return;
    }
    let border = theme.style(if focused {
        Role::BorderFocused
    } else {
        Role::Border
    });
    safe_text::put(
        buffer,
        area.x,
        area.y,
        "─".repeat(usize::from(area.width)),
        border,
    );
    if !title.is_empty() && area.width > 6 {
        let text = format!(" {} ", safe_text::cut(title, usize::from(area.width) - 6));
        let style = theme.style(if focused { Role::Accent } else { Role::Title });
        safe_text::put(buffer, area.x + 2, area.y, text, style);
    }
}

/// A popup in the middle of `area`, cleared, framed; returns the inside. `title` is safe text.
pub fn popup(
    area: Rect,
    buffer: &mut Buffer,
    theme: &Theme,
    title: &str,
    width: u16,
    height: u16,
) -> Rect {
    let width = width.min(area.width);
    let height = height.min(area.height);
    let outer = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(outer, buffer);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.style(Role::BorderFocused));
    let inner = block.inner(outer);
    block.render(outer, buffer);
    let room = usize::from(outer.width.saturating_sub(2));
    let style = theme.style(Role::Accent);
    safe_text::put_within(
        buffer,
        outer.x + 1,
        outer.y,
        format!(" {title} "),
        room,
        style,
    );
    inner
}
