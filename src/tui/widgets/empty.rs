//! What an empty panel says: why it is empty and what can be done, in the middle, quietly.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::safe_text;
use crate::tui::theme::{Role, Theme};

/// `message` in the middle of `area`, `hints` under it.
pub fn render(area: Rect, buffer: &mut Buffer, theme: &Theme, message: &str, hints: &[String]) {
    if area.is_empty() {
        return;
    }
    let height = u16::try_from(hints.len()).unwrap_or(0) + if hints.is_empty() { 1 } else { 2 };
    let mut row = area.y + area.height.saturating_sub(height) / 2;
    let mut put = |row: u16, text: &str, role: Role| {
        if row >= area.bottom() {
            return;
        }
        let text = safe_text::cut(text, usize::from(area.width));
        let indent = (area.width
            - u16::try_from(safe_text::width(&text))
                .unwrap_or(area.width)
                .min(area.width))
            / 2;
        safe_text::put(buffer, area.x + indent, row, &text, theme.style(role));
    };
    put(row, message, Role::Text);
    row += 2;
    for hint in hints {
        put(row, hint, Role::Muted);
        row += 1;
    }
}
