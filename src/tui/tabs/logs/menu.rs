//! Lists that lie over the records: equal messages folded with a count, and the saved queries.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::keys::SAVED;
use super::rows::Rows;
use super::saved::MAX_QUERIES;
use super::work::Effect;
use super::{LogsTab, REMOVE_QUERY, View};
use crate::tui::action::Action;
use crate::tui::ask::Notice;
use crate::tui::keymap::Scope;
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, empty, safe_text};
use atalaya_domain::pattern::{Pattern, Patterns, regex_of};
use atalaya_domain::record::RecordId;

/// Patterns told apart; more than a person reads, little enough to be counted at once.
const MAX_PATTERNS: usize = 1_000;
/// Longest name of a saved query.
const LONGEST_NAME: usize = 60;

#[derive(Debug)]
enum Content {
    Patterns {
        ranked: Vec<Pattern>,
        /// Records of further patterns.
        others: u64,
        counted: usize,
        /// The newest record that was counted: another one means that they have changed.
        newest: Option<RecordId>,
    },
    /// Name (`None` for an earlier filter) and query.
    Queries(Vec<(Option<String>, String)>),
}

#[derive(Debug)]
pub struct Menu {
    content: Content,
    focus: usize,
    top: usize,
}

fn count(rows: &Rows) -> Content {
    let mut patterns = Patterns::new(MAX_PATTERNS);
    for record in rows.iter() {
        patterns.add(record);
    }
    Content::Patterns {
        ranked: patterns.ranked().into_iter().cloned().collect(),
        others: patterns.others(),
        counted: rows.len(),
        newest: rows
            .iter()
            .next_back()
            .map(atalaya_domain::record::Record::id),
    }
}

impl Menu {
    fn new(content: Content) -> Self {
        Self {
            content,
            focus: 0,
            top: 0,
        }
    }

    fn len(&self) -> usize {
        match &self.content {
            Content::Patterns { ranked, .. } => ranked.len(),
            Content::Queries(queries) => queries.len(),
        }
    }

    pub fn scopes(&self) -> &'static [Scope] {
        match self.content {
            Content::Patterns { .. } => &[Scope::LIST],
            Content::Queries(_) => &[SAVED, Scope::LIST],
        }
    }

    pub fn hints(&self) -> Vec<Action> {
        match self.content {
            Content::Patterns { .. } => vec![Action::Open, Action::Back],
            Content::Queries(_) => vec![Action::Open, Action::RemoveQuery, Action::Back],
        }
    }

    pub fn title(&self) -> String {
        match &self.content {
            Content::Patterns {
                ranked,
                others,
                counted,
                ..
            } => {
                let more = if *others > 0 {
                    format!(", {} records of further ones", clock::count(*others))
                } else {
                    String::new()
                };
                format!(
                    "Patterns · {} of {} loaded records{more}",
                    ranked.len(),
                    clock::count(*counted as u64)
                )
            }
            Content::Queries(_) => "Saved queries, then earlier filters".to_owned(),
        }
    }

    pub fn tell(&self) -> (Role, String) {
        let what = match self.content {
            Content::Patterns { .. } => "pattern",
            Content::Queries(_) => "query",
        };
        (
            Role::Text,
            format!(
                "{what} {} of {}",
                self.len().min(self.focus + 1),
                self.len()
            ),
        )
    }

    fn move_to(&mut self, at: usize, height: usize) {
        self.focus = at.min(self.len().saturating_sub(1));
        self.top = self
            .top
            .clamp((self.focus + 1).saturating_sub(height.max(1)), self.focus);
    }

    pub fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        if self.len() == 0 {
            let (message, hint) = match self.content {
                Content::Patterns { .. } => {
                    ("No records are loaded.", "patterns are those of the list")
                }
                Content::Queries(_) => ("No saved queries yet.", "f filters, B saves the filter"),
            };
            empty::render(area, buffer, context.theme, message, &[hint.to_owned()]);
            return;
        }
        for offset in 0..usize::from(area.height) {
            let index = self.top + offset;
            if index >= self.len() {
                break;
            }
            let line = Rect {
                y: area.y + u16::try_from(offset).unwrap_or(0),
                height: 1,
                ..area
            };
            self.row(index, line, buffer, context);
        }
    }

    fn row(&self, index: usize, line: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        let theme = context.theme;
        let selected = index == self.focus;
        let base = if selected {
            theme.style(Role::Selection)
        } else {
            Style::new()
        };
        let over = |role: Role| theme.style(role).patch(base);
        if selected {
            safe_text::put(
                buffer,
                line.x,
                line.y,
                " ".repeat(usize::from(line.width)),
                base,
            );
        }
        let mark = match (selected, context.unicode) {
            (true, true) => "▸",
            (true, false) => ">",
            (false, _) => " ",
        };
        safe_text::put(buffer, line.x, line.y, mark, over(Role::Accent));
        let mut x = line.x + 1;
        let mut put = |text: &str, role: Role| {
            let room = usize::from(line.right().saturating_sub(x));
            let text = safe_text::cut(text, room);
            safe_text::put(buffer, x, line.y, &text, over(role));
            x += u16::try_from(safe_text::width(&text)).unwrap_or(0);
        };
        match &self.content {
            Content::Patterns { ranked, .. } => {
                let pattern = &ranked[index];
                put(&format!("{:>8} ", clock::count(pattern.count)), Role::Text);
                put(
                    &format!("{} ", &pattern.worst.name()[..1]),
                    Role::of_level(pattern.worst),
                );
                if line.width >= 100 {
                    put(
                        &format!("{} ", clock::millis(pattern.last, context.zone)),
                        Role::Muted,
                    );
                }
                put(&safe_text::line(&pattern.text), Role::Text);
            }
            Content::Queries(queries) => {
                let (name, query) = &queries[index];
                let width = (usize::from(line.width) / 3).min(30);
                let shown = name.as_deref().map_or("", |name| name);
                put(
                    &safe_text::fit(&safe_text::line(shown), width),
                    Role::Accent,
                );
                put(" ", Role::Text);
                put(&safe_text::line(query), Role::Text);
            }
        }
    }
}

impl LogsTab {
    pub(super) fn open_patterns(&mut self) -> Vec<Effect> {
        self.open_menu(count(&self.list.rows))
    }

    pub(super) fn open_queries(&mut self) -> Vec<Effect> {
        let queries = self.listed_queries();
        self.open_menu(Content::Queries(queries))
    }

    fn listed_queries(&self) -> Vec<(Option<String>, String)> {
        let named = self
            .filter
            .named
            .iter()
            .map(|(name, query)| (Some(name.clone()), query.clone()));
        named
            .chain(
                self.filter
                    .earlier
                    .iter()
                    .map(|filter| (None, filter.clone())),
            )
            .collect()
    }

    fn open_menu(&mut self, content: Content) -> Vec<Effect> {
        if !matches!(self.view, View::List) {
            return vec![Effect::Notice(Notice::plain(
                "that is of the list; Esc goes back to it",
            ))];
        }
        self.details.close();
        self.menu = Some(Menu::new(content));
        Vec::new()
    }

    /// Counts again when records have come; the cursor stays on its pattern.
    pub(super) fn refresh_patterns(&mut self) {
        let Some(menu) = &mut self.menu else { return };
        let Content::Patterns {
            ranked,
            counted,
            newest,
            ..
        } = &menu.content
        else {
            return;
        };
        let now_newest = self
            .list
            .rows
            .iter()
            .next_back()
            .map(atalaya_domain::record::Record::id);
        if *counted == self.list.rows.len() && *newest == now_newest {
            return;
        }
        let chosen = ranked.get(menu.focus).map(|pattern| pattern.text.clone());
        menu.content = count(&self.list.rows);
        if let (Content::Patterns { ranked, .. }, Some(chosen)) = (&menu.content, chosen)
            && let Some(at) = ranked.iter().position(|pattern| pattern.text == chosen)
        {
            // On the same line of the screen.
            menu.top = at.saturating_sub(menu.focus - menu.top.min(menu.focus));
            menu.focus = at;
        }
        menu.focus = menu.focus.min(menu.len().saturating_sub(1));
        menu.top = menu.top.min(menu.focus);
    }

    /// `None`: not an action of the menu.
    pub(super) fn act_in_menu(
        &mut self,
        action: Action,
        context: &Context<'_>,
    ) -> Option<Vec<Effect>> {
        let height = self.list_height(context);
        let page = height.saturating_sub(1).max(1);
        let menu = self.menu.as_mut()?;
        let at = menu.focus;
        match action {
            Action::Down => menu.move_to(at + 1, height),
            Action::Up => menu.move_to(at.saturating_sub(1), height),
            Action::HalfPageDown => menu.move_to(at + page / 2, height),
            Action::HalfPageUp => menu.move_to(at.saturating_sub(page / 2), height),
            Action::PageDown => menu.move_to(at + page, height),
            Action::PageUp => menu.move_to(at.saturating_sub(page), height),
            Action::First => menu.move_to(0, height),
            Action::Last => menu.move_to(usize::MAX, height),
            Action::Back => self.menu = None,
            Action::Open => {
                let text = match &menu.content {
                    Content::Patterns { ranked, .. } => {
                        // Beside the present filter: the pattern is one of what it lets through.
                        let regex = regex_of(&ranked.get(at)?.text).replace('/', r"\/");
                        format!("{} /{regex}/", self.filter.text).trim().to_owned()
                    }
                    Content::Queries(queries) => queries.get(at)?.1.clone(),
                };
                return Some(self.set_filter(&text, context));
            }
            Action::RemoveQuery => {
                let Content::Queries(queries) = &menu.content else {
                    return Some(Vec::new());
                };
                let (name, query) = queries.get(at)?;
                let what = match name {
                    Some(name) => format!("the saved query `{}`", safe_text::line(name)),
                    None => format!("the earlier filter `{}`", safe_text::line(query)),
                };
                let question = format!("Remove {}?", safe_text::cut(&what, 60));
                return Some(vec![Effect::Confirm {
                    kind: REMOVE_QUERY,
                    question,
                }]);
            }
            Action::Interrupt => return None,
            _ => {}
        }
        Some(Vec::new())
    }

    pub(super) fn remove_query(&mut self) -> Vec<Effect> {
        let Some(menu) = &self.menu else {
            return Vec::new();
        };
        let Content::Queries(queries) = &menu.content else {
            return Vec::new();
        };
        match queries.get(menu.focus).cloned() {
            Some((Some(name), _)) => _ = self.filter.named.remove(&name),
            Some((None, filter)) => self.filter.earlier.retain(|known| *known != filter),
            None => {}
        }
        let left = self.listed_queries();
        if let Some(menu) = &mut self.menu {
            menu.content = Content::Queries(left);
            menu.focus = menu.focus.min(menu.len().saturating_sub(1));
            menu.top = menu.top.min(menu.focus);
        }
        vec![Effect::Notice(Notice::plain("removed"))]
    }

    /// Keeps the present filter under a name; the name's earlier query goes.
    pub(super) fn save_query(&mut self, name: &str) -> Vec<Effect> {
        let name = safe_text::cut(&safe_text::line(name.trim()), LONGEST_NAME);
        let trouble = |text: String| vec![Effect::Notice(Notice::trouble(text))];
        if name.is_empty() {
            return trouble("give it a name: `:save NAME`".to_owned());
        }
        if self.filter.is_empty() {
            return trouble("no filter is set; `f` sets one".to_owned());
        }
        if self.filter.named.len() >= MAX_QUERIES && !self.filter.named.contains_key(&name) {
            return trouble(format!(
                "there are {MAX_QUERIES} saved queries already; remove one first"
            ));
        }
        let replaced = self
            .filter
            .named
            .insert(name.clone(), self.filter.text.clone())
            .is_some();
        let what = if replaced {
            "replaced"
        } else {
            "saved; `b` lists what is saved"
        };
        vec![Effect::Notice(Notice::plain(format!(
            "query `{name}` {what}"
        )))]
    }

    pub(super) fn pointed_in_menu(
        &mut self,
        mouse: MouseEvent,
        context: &Context<'_>,
    ) -> Vec<Effect> {
        let list = self.panes(context.area).list;
        let height = usize::from(list.height);
        let Some(menu) = &mut self.menu else {
            return Vec::new();
        };
        match mouse.kind {
            MouseEventKind::ScrollUp => menu.move_to(menu.focus.saturating_sub(3), height),
            MouseEventKind::ScrollDown => menu.move_to(menu.focus + 3, height),
            MouseEventKind::Down(MouseButton::Left)
                if mouse.row >= list.y && mouse.row < list.bottom() =>
            {
                menu.move_to(menu.top + usize::from(mouse.row - list.y), height);
            }
            _ => {}
        }
        Vec::new()
    }
}
