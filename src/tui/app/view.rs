//! The frame around a tab: header, status line, key hints, and what lies over it.

use std::borrow::Cow;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::{App, Overlay, Palette, Prompt, SMALLEST};
use crate::tui::action::Action;
use crate::tui::ask::NoticeKind;
use crate::tui::tab::{Context, TabStatus};
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, frame, help, safe_text};

/// From this width on the titles of the tabs stand apart.
const ROOMY: u16 = 100;
/// Between two hints.
const HINT_SPACE: &str = "   ";

/// The part of the screen that is the tab's.
pub(super) fn body(area: Rect) -> Rect {
    Rect {
        y: area.y + 1.min(area.height),
        height: area.height.saturating_sub(3),
        ..area
    }
}

/// The part of it under a banner.
pub(super) fn content(area: Rect, banner_rows: u16) -> Rect {
    let body = body(area);
    let banner = banner_rows.min(body.height);
    Rect {
        y: body.y + banner,
        height: body.height - banner,
        ..body
    }
}

pub(super) fn banner_rows(reason: Option<&str>, width: u16) -> u16 {
    let rows = reason.map_or(0, |reason| banner_lines(reason, width).len());
    u16::try_from(rows).unwrap_or(0)
}

/// Most rows of a banner: the second one holds the cause or the remedy where the first is full.
const BANNER_ROWS: usize = 2;

/// A banner's reason as the rows that it takes, not wider than the screen but for the last.
fn banner_lines(reason: &str, width: u16) -> Vec<String> {
    let mut rows = safe_text::wrap(reason, usize::from(width).saturating_sub(3)).into_iter();
    let mut lines: Vec<String> = rows.by_ref().take(BANNER_ROWS).collect();
    if let Some(last) = lines.last_mut() {
        for rest in rows {
            last.push(' ');
            last.push_str(&rest);
        }
    }
    for (index, line) in lines.iter_mut().enumerate() {
        line.insert_str(0, if index == 0 { " ! " } else { "   " });
    }
    lines
}

/// Writes pieces from left to right until the row is full; returns the column after the last.
fn pieces(row: Rect, buffer: &mut Buffer, from: u16, parts: &[(Style, String)]) -> u16 {
    let mut x = from;
    for (style, text) in parts {
        if x >= row.right() {
            break;
        }
        let text = safe_text::cut(text, usize::from(row.right() - x));
        x = safe_text::put(buffer, x, row.y, text, *style);
    }
    x
}

impl App {
    pub fn render(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let theme = &self.setup.theme;
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let text = format!(
                "Atalaya needs {}x{}, this is {}x{}",
                SMALLEST.0, SMALLEST.1, area.width, area.height
            );
            let buffer = frame.buffer_mut();
            if !area.is_empty() {
                safe_text::put_within(
                    buffer,
                    area.x,
                    area.y + area.height / 2,
                    text,
                    usize::from(area.width),
                    theme.style(Role::Text),
                );
            }
            return;
        }
        // In the size that the terminal has now: the event that tells of it may still be on its way.
        let status = self.shown().status(&self.context());
        let rows = banner_rows(status.banner.as_deref(), area.width);
        let context = Context {
            area: content(area, rows),
            ..self.context()
        };
        let buffer = frame.buffer_mut();
        buffer.set_style(area, theme.style(Role::Text));
        self.header(Rect { height: 1, ..area }, buffer, &status);
        self.shown().render(context.area, buffer, &context);
        if let Some(reason) = &status.banner {
            for (row, line) in (0..).zip(banner_lines(reason, area.width)) {
                let text = safe_text::fit(&line, usize::from(area.width));
                safe_text::put(
                    buffer,
                    area.x,
                    body(area).y + row,
                    text,
                    theme.style(Role::BannerError),
                );
            }
        }
        self.status_line(
            Rect {
                y: area.bottom() - 2,
                height: 1,
                ..area
            },
            buffer,
            &status,
        );
        self.hint_line(
            Rect {
                y: area.bottom() - 1,
                height: 1,
                ..area
            },
            buffer,
            &status,
        );
        let cursor = self.overlay(area, buffer);
        if let Some(cursor) = cursor {
            frame.set_cursor_position(cursor);
        }
    }

    /// What the header says of time: compared to know whether a tick must draw.
    pub(super) fn clock_text(&self) -> String {
        let status = self.shown().status(&self.context());
        format!(
            "{} {}",
            self.age_text(&status),
            clock::format(self.setup.now, self.setup.zone, "%H:%M")
        )
    }

    fn age_text(&self, status: &TabStatus) -> String {
        match status.data_at {
            None => String::new(),
            Some(at) => {
                let age = self.setup.now.since(at);
                // Coarse on purpose: seconds would redraw an idle screen every second.
                match age.as_secs() {
                    0..=9 if status.live => "live".into(),
                    0..=9 => "data now".into(),
                    10..=59 => format!("data {} s old", age.as_secs() / 10 * 10),
                    _ => format!("data {} old", clock::coarse(age)),
                }
            }
        }
    }

    /// How many alerts fire; nothing while none does.
    fn firing_text(&self) -> Option<(Role, String)> {
        let firing = self.firing;
        let count = firing.critical + firing.warning + firing.info;
        let role = match (firing.critical, firing.warning) {
            (0, 0) => Role::Info,
            (0, _) => Role::Warning,
            _ => Role::Critical,
        };
        (count > 0).then(|| (role, format!(" ! {count} firing ")))
    }

    fn header(&self, row: Rect, buffer: &mut Buffer, status: &TabStatus) {
        let theme = &self.setup.theme;
        let mut parts = vec![(theme.style(Role::Title), " Atalaya ".to_owned())];
        for (index, id) in self.tabs.ids().enumerate() {
            let role = if id == self.active {
                Role::TabActive
            } else {
                Role::Muted
            };
            if row.width >= ROOMY {
                parts.push((Style::new(), " ".to_owned()));
            }
            parts.push((theme.style(role), format!(" {} {} ", index + 1, id.title())));
        }
        let used = pieces(row, buffer, row.x, &parts);

        let mut right = Vec::new();
        right.extend(
            self.firing_text()
                .map(|(role, text)| (theme.style(role), text)),
        );
        if self.setup.demo {
            right.push((theme.style(Role::Demo), " DEMO ".to_owned()));
        }
        let age = self.age_text(status);
        if !age.is_empty() {
            let stale = status
                .data_at
                .is_some_and(|at| self.setup.now.since(at).as_secs() >= 60);
            let role = if stale {
                Role::Warning
            } else if status.live {
                Role::Good
            } else {
                Role::Muted
            };
            right.push((theme.style(role), format!(" {age} ")));
        }
        right.push((
            theme.style(Role::Muted),
            format!(" {} ", safe_text::cut(&self.setup.host, 20)),
        ));
        let time = clock::minute(self.setup.now, self.setup.zone);
        let zone = clock::zone_name(self.setup.now, self.setup.zone);
        right.push((theme.style(Role::Text), format!(" {time} {zone} ")));
        let width = |parts: &[(Style, String)]| {
            parts
                .iter()
                .map(|(_, text)| safe_text::width(text))
                .sum::<usize>()
        };
        let room = usize::from(row.right().saturating_sub(used));
        // What does not fit goes, the least wanted first: the host, the clock, the age.
        if width(&right) > room {
            let host = right.len() - 2;
            right.remove(host);
        }
        while width(&right) > room && right.len() > 1 {
            right.pop();
        }
        if width(&right) <= room {
            let start = row.right() - u16::try_from(width(&right)).unwrap_or(0);
            pieces(row, buffer, start, &right);
        }
    }

    fn status_line(&self, row: Rect, buffer: &mut Buffer, status: &TabStatus) {
        let theme = &self.setup.theme;
        if let Some((notice, _)) = &self.notice {
            let role = match notice.kind {
                NoticeKind::Plain => Role::Accent,
                NoticeKind::Trouble => Role::Banner,
            };
            let mark = if notice.kind == NoticeKind::Trouble {
                " ! "
            } else {
                " "
            };
            pieces(
                row,
                buffer,
                row.x,
                &[(theme.style(role), format!("{mark}{} ", notice.text))],
            );
            return;
        }
        let mut parts = Vec::new();
        for (role, text) in &status.pieces {
            parts.push((
                theme.style(Role::Faint),
                if parts.is_empty() {
                    " ".into()
                } else {
                    "  ·  ".to_owned()
                },
            ));
            parts.push((theme.style(*role), text.clone()));
        }
        pieces(row, buffer, row.x, &parts);
    }

    fn hint_line(&self, row: Rect, buffer: &mut Buffer, status: &TabStatus) {
        let theme = &self.setup.theme;
        // `?` leads to all others, so it has its place whatever else fits.
        let width_of =
            |(key, words): &(String, String)| safe_text::width(key) + safe_text::width(words);
        let last = self
            .hint(Action::Help)
            .map_or(0, |hint| width_of(&hint))
            .saturating_sub(HINT_SPACE.len());
        let mut parts = vec![(Style::new(), " ".to_owned())];
        let mut used = 1;
        for action in status.hints.iter().chain(&[Action::Palette, Action::Help]) {
            if self.shown().is_idle(*action) {
                continue;
            }
            let Some((key, words)) = self.hint(*action) else {
                continue;
            };
            let (key, words) = match action {
                Action::Help => (key, words.trim_end().to_owned()),
                _ => (key, words),
            };
            let width = safe_text::width(&key) + safe_text::width(&words);
            let reserved = if *action == Action::Help { 0 } else { last };
            if used + width + reserved > usize::from(row.width) {
                continue;
            }
            used += width;
            parts.push((theme.style(Role::Key), key));
            parts.push((theme.style(Role::Muted), words));
        }
        // The gap behind the last one is no text that could be cut.
        if let Some((_, words)) = parts.last_mut() {
            words.truncate(words.trim_end().len());
        }
        pieces(row, buffer, row.x, &parts);
    }

    fn hint(&self, action: Action) -> Option<(String, String)> {
        let key = self.setup.keymap.key_of(self.shown().scopes(), action)?;
        Some((
            key.to_string(),
            format!(" {}{HINT_SPACE}", hint_word(action)),
        ))
    }

    fn overlay(&self, area: Rect, buffer: &mut Buffer) -> Option<Position> {
        let theme = &self.setup.theme;
        match &self.overlay {
            Overlay::None => None,
            Overlay::Help { scroll } => {
                help::render(body(area), buffer, theme, self.help(), *scroll);
                None
            }
            Overlay::Palette(palette) => Some(self.palette(area, buffer, palette)),
            Overlay::Prompt(prompt) => Some(self.prompt(area, buffer, prompt)),
            Overlay::Confirm { question, .. } => {
                let width = u16::try_from(safe_text::width(question) + 6).unwrap_or(area.width);
                let inner = frame::popup(area, buffer, theme, "Sure?", width.max(30), 5);
                safe_text::put_within(
                    buffer,
                    inner.x + 1,
                    inner.y,
                    question,
                    usize::from(inner.width) - 1,
                    theme.style(Role::Text),
                );
                safe_text::put(
                    buffer,
                    inner.x + 1,
                    inner.y + 2,
                    "y",
                    theme.style(Role::Key),
                );
                safe_text::put(
                    buffer,
                    inner.x + 3,
                    inner.y + 2,
                    "yes   any other key: no",
                    theme.style(Role::Muted),
                );
                None
            }
        }
    }

    fn palette(&self, area: Rect, buffer: &mut Buffer, palette: &Palette) -> Position {
        let theme = &self.setup.theme;
        let rows = palette.matches().len().min(12);
        let inner = frame::popup(
            body(area),
            buffer,
            theme,
            "Commands",
            74,
            u16::try_from(rows + 4).unwrap_or(16).max(5),
        );
        safe_text::put(buffer, inner.x + 1, inner.y, ":", theme.style(Role::Accent));
        let room = usize::from(inner.width).saturating_sub(4);
        let (text, at) = scrolled(palette.line.text(), palette.line.cursor(), room);
        safe_text::put(buffer, inner.x + 2, inner.y, text, theme.style(Role::Text));
        let rows = usize::from(inner.height.saturating_sub(2)).min(rows);
        let first = (palette.selected + 1).saturating_sub(rows);
        for (row, (index, entry)) in palette
            .matches()
            .enumerate()
            .skip(first)
            .take(rows)
            .enumerate()
        {
            let line = Rect {
                y: inner.y + 2 + u16::try_from(row).unwrap_or(0),
                height: 1,
                ..inner
            };
            let selected = index == palette.selected;
            if selected {
                safe_text::put(
                    buffer,
                    line.x,
                    line.y,
                    " ".repeat(usize::from(line.width)),
                    theme.style(Role::Selection),
                );
            }
            let over = |role: Role| {
                if selected {
                    theme.style(role).patch(theme.style(Role::Selection))
                } else {
                    theme.style(role)
                }
            };
            let mark = if selected { "▸" } else { " " };
            safe_text::put(buffer, line.x, line.y, mark, over(Role::Accent));
            safe_text::put(
                buffer,
                line.x + 2,
                line.y,
                safe_text::cut(&entry.text, 22),
                over(Role::Text),
            );
            safe_text::put(
                buffer,
                line.x + 25,
                line.y,
                safe_text::cut(&entry.help, usize::from(line.width).saturating_sub(38)),
                over(Role::Muted),
            );
            let key = safe_text::cut(&entry.key, 11);
            let column = line
                .right()
                .saturating_sub(u16::try_from(safe_text::width(&key)).unwrap_or(0) + 1);
            safe_text::put(buffer, column, line.y, key, over(Role::Key));
        }
        Position::new(inner.x + 2 + at, inner.y)
    }

    /// The prompt takes the two lowest rows: what is wrong or possible, and the text itself.
    fn prompt(&self, area: Rect, buffer: &mut Buffer, prompt: &Prompt) -> Position {
        let theme = &self.setup.theme;
        let above = Rect {
            y: area.bottom() - 2,
            height: 1,
            ..area
        };
        let row = Rect {
            y: area.bottom() - 1,
            height: 1,
            ..area
        };
        for line in [above, row] {
            safe_text::put(
                buffer,
                line.x,
                line.y,
                " ".repeat(usize::from(line.width)),
                Style::new(),
            );
        }
        let label_end = pieces(
            row,
            buffer,
            row.x,
            &[(theme.style(Role::Accent), format!(" {}", prompt.label))],
        );
        let room = usize::from(row.right().saturating_sub(label_end + 1));
        let (text, at) = scrolled(prompt.line.text(), prompt.line.cursor(), room);
        safe_text::put(buffer, label_end, row.y, &text, theme.style(Role::Text));
        // A text that is not finished is no mistake yet while its end can be completed.
        let unfinished = |offset: usize, length: usize| {
            !prompt.refused
                && !prompt.hint.completions.is_empty()
                && prompt.line.cursor() == prompt.line.text().len()
                && offset + length >= prompt.line.text().len()
        };
        let error = prompt
            .hint
            .error
            .as_ref()
            .filter(|(offset, length, _)| !unfinished(*offset, *length));
        if let Some((offset, length, _)) = error {
            let place = Rect {
                x: label_end,
                width: row.right().saturating_sub(label_end + 1),
                ..row
            };
            self.mark_mistake(prompt, (*offset, *length), &text, place, buffer);
        }
        let said = self.prompt_said(prompt, error.map(|(_, _, message)| message.as_str()));
        pieces(above, buffer, above.x, &said);
        Position::new((label_end + at).min(row.right().saturating_sub(1)), row.y)
    }

    /// Under the mistake: the same columns as in the text, of which `shown` is in sight at `place`.
    fn mark_mistake(
        &self,
        prompt: &Prompt,
        (offset, length): (usize, usize),
        shown: &str,
        place: Rect,
        buffer: &mut Buffer,
    ) {
        let room = usize::from(place.width);
        let all = prompt.line.text();
        let offset = floor_boundary(all, offset);
        let hidden =
            safe_text::width(&safe_text::line(all)).saturating_sub(safe_text::width(shown));
        let column = safe_text::width(&safe_text::line(&all[..offset])).saturating_sub(hidden);
        let column = column.min(room.saturating_sub(1));
        let marked = length.clamp(1, room.saturating_sub(column).max(1));
        let mark = Rect::new(
            place.x + u16::try_from(column).unwrap_or(0),
            place.y,
            u16::try_from(marked).unwrap_or(1),
            1,
        );
        let style = self.setup.theme.style(Role::Error);
        buffer.set_style(
            mark.intersection(place).intersection(buffer.area),
            style.add_modifier(ratatui::style::Modifier::UNDERLINED),
        );
    }

    /// The row above the text: what is wrong, what Tab offers, or what it is for.
    fn prompt_said(&self, prompt: &Prompt, mistake: Option<&str>) -> Vec<(Style, String)> {
        let theme = &self.setup.theme;
        if let Some(message) = mistake {
            return vec![(theme.style(Role::Error), format!(" ! {message}"))];
        }
        if prompt.hint.completions.is_empty() {
            return vec![(theme.style(Role::Muted), format!(" {}", prompt.hint.help))];
        }
        let mut parts = vec![(theme.style(Role::Muted), " Tab ".to_owned())];
        for (index, completion) in prompt.hint.completions.iter().enumerate().take(12) {
            let role = if prompt.chosen == Some(index) {
                Role::Selection
            } else {
                Role::Muted
            };
            let shown = format!(" {} ", safe_text::line(completion));
            parts.push((theme.style(role), shown));
        }
        parts
    }
}

/// The part of a line that is in sight, and the column of the cursor in it.
fn scrolled(text: &str, cursor: usize, room: usize) -> (String, u16) {
    let before = safe_text::width(&safe_text::line(&text[..floor_boundary(text, cursor)]));
    let from = (before + 1).saturating_sub(room);
    (
        safe_text::window(&safe_text::line(text), from, room),
        u16::try_from(before - from).unwrap_or(0),
    )
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// One or two words for the hint line.
fn hint_word(action: Action) -> Cow<'static, str> {
    let word = match action {
        Action::Palette => "commands",
        Action::Help => "help",
        Action::Search => "search",
        Action::Filter => "filter",
        Action::Trace => "trace",
        Action::Open => "open",
        Action::Details => "details",
        Action::Pause => "pause",
        Action::Follow | Action::Last => "follow",
        Action::NextHit => "next hit",
        Action::NextError => "next error",
        Action::Histogram => "histogram",
        Action::Back => "back",
        Action::Copy => "copy",
        Action::CopyNote => "note",
        Action::Bookmark => "mark",
        Action::ContextLines => "context",
        Action::NextGap => "next gap",
        Action::AddTrace => "add id",
        Action::GoToTime => "time",
        Action::FilterRequest => "by request",
        Action::Patterns => "patterns",
        Action::SavedQueries => "saved",
        Action::RemoveQuery => "remove",
        Action::NextPanel => "panel",
        Action::Explain => "why",
        Action::Own(own) => own.hint,
        other => return other.help(),
    };
    word.into()
}
