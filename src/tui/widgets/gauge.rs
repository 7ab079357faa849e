//! A ratio as a bar: `▕██████░░░░▏`-like without the frame, in ASCII where blocks cannot be drawn.

use ratatui::buffer::Buffer;

use super::safe_text;
use crate::tui::theme::{Role, Theme};
use atalaya_domain::health::Status;

/// How a verdict is written: a role for its colour and a letter for everyone else.
pub const fn verdict(status: Status) -> (Role, &'static str) {
    match status {
        Status::Ok => (Role::Good, "ok"),
        Status::Degraded => (Role::Warning, "WARN"),
        Status::Failing => (Role::Error, "FAIL"),
    }
}

/// Draws `ratio` (0 to 1, clamped) over `width` cells from (`x`, `y`).
pub fn render(
    (x, y): (u16, u16),
    width: u16,
    buffer: &mut Buffer,
    theme: &Theme,
    ratio: f64,
    role: Role,
    unicode: bool,
) {
    let (full, empty) = if unicode { ("█", "░") } else { ("#", ".") };
    let filled = (ratio.clamp(0.0, 1.0) * f64::from(width)).round() as u16;
    // A little is not nothing.
    let filled = if ratio > 0.0 {
        filled.max(1).min(width)
    } else {
        0
    };
    safe_text::put(
        buffer,
        x,
        y,
        full.repeat(usize::from(filled)),
        theme.style(role),
    );
    safe_text::put(
        buffer,
        x + filled,
        y,
        empty.repeat(usize::from(width - filled)),
        theme.style(Role::Faint),
    );
}
