//! The form in which a cycle is planned and its texts are edited.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;
use tui_textarea::{TextArea, WrapMode};

use crate::service::pdca::Draft;
use crate::tui::theme::{Role, Theme};
use crate::tui::widgets::{frame, safe_text};
use atalaya_domain::dora::Metric;
use atalaya_domain::pdca::{PdcaCycle, Texts};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    Plan,
    /// The texts of the cycle with this id.
    Edit(String),
}

/// What a key did to the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Still,
    Save,
    Closed,
    AskToDiscard,
}

#[derive(Debug)]
struct Field {
    label: &'static str,
    area: TextArea<'static>,
    lines: u16,
}

#[derive(Debug)]
pub struct Editor {
    purpose: Purpose,
    metric: Metric,
    fields: Vec<Field>,
    focus: usize,
    touched: bool,
    /// What the forecast below was asked for, and its sentences.
    previewed: Option<Draft>,
    preview: Vec<String>,
}

const TITLE: usize = 0;
const HYPOTHESIS: usize = 1;
const CHANGE: usize = 2;
const EXPECTED: usize = 3;
const SERVICE: usize = 4;
const OWNER: usize = 5;

impl Editor {
    pub fn plan(metric: Metric) -> Self {
        let fields = vec![
            field("title", "", 1),
            field("hypothesis", "", 3),
            field("change", "", 3),
            field("expected %", "", 1),
            field("service", "", 1),
            field("owner", "", 1),
        ];
        Self {
            purpose: Purpose::Plan,
            metric,
            fields,
            focus: TITLE,
            touched: false,
            previewed: None,
            preview: Vec::new(),
        }
    }

    pub fn edit(cycle: &PdcaCycle) -> Self {
        let plan = &cycle.plan;
        let fields = vec![
            field("title", &plan.title, 1),
            field("hypothesis", &plan.hypothesis, 3),
            field("change", &plan.change, 3),
        ];
        Self {
            purpose: Purpose::Edit(cycle.id.clone()),
            metric: plan.metric,
            fields,
            focus: TITLE,
            touched: false,
            previewed: None,
            preview: Vec::new(),
        }
    }

    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    fn text(&self, index: usize) -> String {
        self.fields
            .get(index)
            .map(|field| field.area.lines().join("\n").trim().to_owned())
            .unwrap_or_default()
    }

    /// # Errors
    /// What is wrong with a field, in a sentence.
    pub fn draft(&self) -> Result<Draft, String> {
        let expected = self.text(EXPECTED);
        let expected = expected.trim_end_matches('%').trim_end();
        let expected_percent = match expected.parse::<f64>() {
            _ if expected.is_empty() => None,
            Ok(percent) if percent > 0.0 && percent.is_finite() => Some(percent),
            _ => {
                return Err(format!(
                    "`{}` is not an improvement in percent; write a number above 0, or nothing for the usual one",
                    safe_text::cut(expected, 20)
                ));
            }
        };
        Ok(Draft {
            title: self.text(TITLE),
            metric: self.metric,
            service: Some(self.text(SERVICE)).filter(|service| !service.is_empty()),
            team: None,
            hypothesis: self.text(HYPOTHESIS),
            change: self.text(CHANGE),
            expected_percent,
            owner: self.text(OWNER),
            guards: None,
        })
    }

    /// The plan as far as a forecast needs it, when that is another one than the last time.
    pub fn take_preview(&mut self) -> Option<Draft> {
        if self.purpose != Purpose::Plan {
            return None;
        }
        let draft = self.draft().ok()?;
        let of_forecast = Draft {
            title: String::new(),
            hypothesis: String::new(),
            change: String::new(),
            owner: String::new(),
            ..draft
        };
        if self.previewed.as_ref() == Some(&of_forecast) {
            return None;
        }
        self.previewed = Some(of_forecast.clone());
        Some(of_forecast)
    }

    pub fn show_preview(&mut self, sentences: Vec<String>) {
        self.preview = sentences;
    }

    pub fn texts(&self) -> Texts {
        Texts {
            title: Some(self.text(TITLE)),
            hypothesis: Some(self.text(HYPOTHESIS)),
            change: Some(self.text(CHANGE)),
        }
    }

    /// Places that Tab goes round: the fields, and in a plan the metric after them.
    fn places(&self) -> usize {
        self.fields.len() + usize::from(self.purpose == Purpose::Plan)
    }

    fn on_metric(&self) -> bool {
        self.focus == self.fields.len()
    }

    fn next_metric(&mut self, steps: usize) {
        let at = Metric::ALL
            .iter()
            .position(|metric| *metric == self.metric)
            .unwrap_or(0);
        self.metric = Metric::ALL[(at + steps) % Metric::ALL.len()];
        self.touched = true;
    }

    pub fn key(&mut self, key: KeyEvent) -> Done {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let count = self.places();
        match key.code {
            KeyCode::Char('s') if control => return Done::Save,
            KeyCode::Esc if self.touched => return Done::AskToDiscard,
            KeyCode::Esc => return Done::Closed,
            KeyCode::Tab => self.focus = (self.focus + 1) % count,
            KeyCode::BackTab => self.focus = (self.focus + count - 1) % count,
            KeyCode::Char('t') if control && self.purpose == Purpose::Plan => self.next_metric(1),
            KeyCode::Right | KeyCode::Down | KeyCode::Char(' ') if self.on_metric() => {
                self.next_metric(1);
            }
            KeyCode::Left | KeyCode::Up if self.on_metric() => {
                self.next_metric(Metric::ALL.len() - 1);
            }
            KeyCode::Enter if self.on_metric() => self.focus = TITLE,
            _ if self.on_metric() => {}
            KeyCode::Enter if self.fields[self.focus].lines == 1 => {
                self.focus = (self.focus + 1) % count;
            }
            _ => self.touched |= self.fields[self.focus].area.input(key),
        }
        Done::Still
    }

    /// Made safe on its way in, so that what is shown is what will be kept.
    pub fn paste(&mut self, text: &str) {
        let Some(field) = self.fields.get_mut(self.focus) else {
            return;
        };
        let safe: Vec<String> = text.lines().map(safe_text::line).collect();
        let joint = if field.lines == 1 { " " } else { "\n" };
        self.touched |= field.area.insert_str(safe.join(joint));
    }

    /// What an empty field stands for.
    fn hint(&self, index: usize, slot: Rect, buffer: &mut Buffer, theme: &Theme) {
        if slot.is_empty() || !self.text(index).is_empty() {
            return;
        }
        let hint = match self.fields[index].label {
            "expected %" => "the usual step for the metric",
            "service" => "all services",
            "owner" => "you",
            _ => return,
        };
        let room = usize::from(slot.width.saturating_sub(2));
        let style = theme.style(Role::Faint);
        safe_text::put_within(buffer, slot.x + 2, slot.y, hint, room, style);
    }

    pub fn render(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let title = match &self.purpose {
            Purpose::Plan => "New cycle".to_owned(),
            Purpose::Edit(id) => format!("Edit {}", safe_text::line(id)),
        };
        // One-line fields stand close together; a text has room around it.
        let rows =
            |field: &Field| field.lines + u16::from(field.lines > 1 || field.label == "title");
        // A forecast has three sentences; their place is kept, so that the form does not jump.
        let preview = if self.purpose == Purpose::Plan { 4 } else { 0 };
        let height: u16 = 6 + preview + self.fields.iter().map(rows).sum::<u16>();
        let inside = frame::popup(area, buffer, theme, &title, 76, height);
        if inside.is_empty() {
            return;
        }
        let put = |buffer: &mut Buffer, y: u16, text: &str, role: Role| {
            if y < inside.bottom() {
                let text = safe_text::cut(text, usize::from(inside.width.saturating_sub(2)));
                safe_text::put(buffer, inside.x + 1, y, text, theme.style(role));
            }
        };
        let (metric, role) = match (&self.purpose, self.on_metric()) {
            (Purpose::Plan, true) => ("> metric      ", Role::Accent),
            _ => ("  metric      ", Role::Muted),
        };
        put(buffer, inside.y, metric, role);
        let how = match self.purpose {
            Purpose::Plan => "(Ctrl-t, or arrows here)",
            Purpose::Edit(_) => "(fixed by the plan)",
        };
        safe_text::put_within(
            buffer,
            inside.x + 14,
            inside.y,
            format!("{}  {how}", self.metric.title()),
            usize::from(inside.width.saturating_sub(15)),
            theme.style(Role::Text),
        );
        let mut y = inside.y + 2;
        for (index, field) in self.fields.iter().enumerate() {
            let focused = index == self.focus;
            put(
                buffer,
                y,
                &format!("{}{}", if focused { "> " } else { "  " }, field.label),
                if focused { Role::Accent } else { Role::Muted },
            );
            let left = inside.x + 14;
            let slot = Rect {
                x: left,
                y,
                width: inside.right().saturating_sub(left + 1),
                height: field.lines,
            }
            .intersection(inside);
            let mut text = field.area.clone();
            text.set_style(theme.style(Role::Text));
            text.set_cursor_style(if focused {
                theme.style(Role::Selection)
            } else {
                theme.style(Role::Text)
            });
            (&text).render(slot, buffer);
            self.hint(index, slot, buffer, theme);
            y += rows(field);
        }
        let mut room = inside.bottom().saturating_sub(1).saturating_sub(y);
        let width = usize::from(inside.width.saturating_sub(4));
        let rows = self.preview.iter().flat_map(|text| folded(text, width));
        for row in rows {
            if room == 0 {
                break;
            }
            put(buffer, y, &format!("  {row}"), Role::Muted);
            y += 1;
            room -= 1;
        }
        put(
            buffer,
            inside.bottom().saturating_sub(1),
            "Ctrl-s saves · Tab, Shift-Tab: fields · Esc closes",
            Role::Muted,
        );
    }
}

/// A sentence in rows, broken at words.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split_whitespace().map(safe_text::line) {
        match rows.last_mut() {
            Some(row) if row.is_empty() => row.push_str(&word),
            Some(row) if safe_text::width(row) + 1 + safe_text::width(&word) <= width => {
                row.push(' ');
                row.push_str(&word);
            }
            _ => rows.push(word),
        }
    }
    rows
}

/// Stored text is made safe line by line before it can be drawn.
fn field(label: &'static str, text: &str, lines: u16) -> Field {
    let safe: Vec<String> = text.lines().map(safe_text::line).collect();
    let mut area = TextArea::new(safe);
    area.set_cursor_line_style(Style::new());
    area.set_wrap_mode(WrapMode::Word);
    area.move_cursor(tui_textarea::CursorMove::Bottom);
    area.move_cursor(tui_textarea::CursorMove::End);
    Field { label, area, lines }
}
