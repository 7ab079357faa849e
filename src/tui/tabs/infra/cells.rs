//! What the panes of the Infra tab share: text in a row, and numbers of bytes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::theme::{Role, Theme};
use crate::tui::widgets::safe_text;

/// Text cut to the room that is left in the row.
pub(super) fn put(
    buffer: &mut Buffer,
    area: Rect,
    x: u16,
    y: u16,
    text: &str,
    theme: &Theme,
    role: Role,
) {
    if y < area.bottom() && x < area.right() {
        safe_text::put(
            buffer,
            x,
            y,
            safe_text::cut(text, usize::from(area.right() - x)),
            theme.style(role),
        );
    }
}

/// `1.2 GiB`, `640 KiB`, `0 B`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}
