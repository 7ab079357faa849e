//! Focus, overlay and routing: which tab has the screen, what lies over it, and who gets an event.
//! What a tab shows and does is the tab's.

mod palette;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use self::palette::{Choice, Palette};
use super::action::Action;
use super::effect::{Destination, Effect, Notice, NoticeKind, PromptRequest};
use super::event::AppEvent;
use super::keymap::{Key, Keymap, Scope};
use super::state::Saved;
use super::tabs::dora::DoraTab;
use super::tabs::infra::InfraTab;
use super::tabs::logs::LogsTab;
use super::tabs::pdca::PdcaTab;
use super::tabs::{Context, PromptHint, Prompted, Tab, TabEvent, TabId};
use super::theme::{ColorDepth, Theme};
use super::widgets::line_edit::{Edited, LineEdit};
use super::widgets::safe_text;
use atalaya_domain::time::Timestamp;
use atalaya_query::Zone;
use atalaya_store::chunks::Troubles;

/// Below this a layout would only be a broken one.
pub const SMALLEST: (u16, u16) = (60, 15);
/// How long a plain notice stays.
const NOTICE_STAYS: Duration = Duration::from_secs(6);
/// A second Ctrl-C within this quits.
const SECOND_INTERRUPT: Duration = Duration::from_secs(2);

/// What lies over the tab and takes the keys.
#[derive(Debug)]
enum Overlay {
    None,
    Help {
        scroll: usize,
    },
    Palette(Palette),
    Prompt(Prompt),
    Confirm {
        kind: &'static str,
        question: String,
    },
}

#[derive(Debug)]
struct Prompt {
    kind: &'static str,
    label: String,
    line: LineEdit,
    hint: PromptHint,
    /// Which completion Tab offers next.
    chosen: Option<usize>,
    /// Enter was pressed on a text with a mistake: say which, whatever could be completed.
    refused: bool,
}

/// How the Logs tab was opened from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Return {
    tab: TabId,
    /// For a trace: how deep the history of the Logs tab was with it. Closing it makes that less,
    /// whatever was open there before, and is the way back. Else it is Esc in the list.
    trace_depth: Option<usize>,
}

/// What only the owner of the terminal can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Copy {
        text: String,
        what: String,
    },
    WriteFile {
        path: String,
        text: String,
    },
    Mouse(bool),
    Suspend,
    Redraw,
    /// Breaks something on purpose.
    #[cfg(debug_assertions)]
    Fault(Fault),
}

/// What `:panic WORD` breaks, so that the tests see what it leaves behind; not in a release.
#[cfg(debug_assertions)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A task of the runtime panics.
    Task,
    /// A thread beside the runtime panics.
    Thread,
    /// The run loop gets an error of the terminal.
    Error,
}

/// How the console is set up.
#[derive(Debug)]
pub struct Setup {
    pub keymap: Keymap,
    pub theme: Theme,
    /// The name that the configuration gives, which `theme` may differ from.
    pub configured_theme: String,
    pub themes_dir: Option<PathBuf>,
    pub depth: ColorDepth,
    pub zone: Zone,
    pub unicode: bool,
    pub mouse: bool,
    /// The stores hold made-up data.
    pub demo: bool,
    /// Safe to show.
    pub host: String,
    pub data_dir: PathBuf,
    pub now: Timestamp,
    pub size: (u16, u16),
}

#[derive(Debug)]
pub struct App {
    setup: Setup,
    active: TabId,
    /// The tab from which the Logs tab was opened: Esc at its top goes back there.
    return_to: Option<Return>,
    dora: DoraTab,
    logs: LogsTab,
    infra: InfraTab,
    pdca: PdcaTab,
    overlay: Overlay,
    /// The tab on the screen says why a read failed.
    /// Rows that it takes.
    banner_rows: u16,
    notice: Option<(Notice, Timestamp)>,
    troubles: Troubles,
    /// The name asked for; without colours the theme itself is another.
    chosen_theme: String,
    interrupted_at: Option<Timestamp>,
    quitting: bool,
    dirty: bool,
    drawn_clock: String,
    effects: Vec<Effect>,
    requests: Vec<Request>,
}

impl App {
    pub fn new(setup: Setup, saved: &Saved) -> Self {
        Self::with_tabs(setup, saved, DoraTab::default(), PdcaTab::default())
    }

    /// With tabs that know what is configured.
    pub fn with_tabs(setup: Setup, saved: &Saved, dora: DoraTab, pdca: PdcaTab) -> Self {
        let mut app = Self {
            active: saved.tab.unwrap_or(TabId::Logs),
            return_to: None,
            dora,
            logs: LogsTab::new(&saved.logs),
            infra: InfraTab::default(),
            pdca,
            overlay: Overlay::None,
            banner_rows: 0,
            notice: None,
            troubles: Troubles::default(),
            chosen_theme: match &saved.theme {
                Some((chosen, over)) if *over == setup.configured_theme => chosen.clone(),
                _ => setup.configured_theme.clone(),
            },
            interrupted_at: None,
            quitting: false,
            dirty: true,
            drawn_clock: String::new(),
            effects: Vec::new(),
            requests: Vec::new(),
            setup,
        };
        app.send(app.active, TabEvent::Entered);
        app
    }

    pub fn should_quit(&self) -> bool {
        self.quitting
    }

    pub fn quit(&mut self) {
        self.quitting = true;
    }

    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The frame was drawn.
    pub fn drawn(&mut self) {
        self.dirty = false;
        self.drawn_clock = self.clock_text();
    }

    /// Draw again although nothing changed: the terminal was lost for a while.
    pub fn repaint(&mut self) {
        self.dirty = true;
    }

    pub fn active(&self) -> TabId {
        self.active
    }

    /// Work for the runner since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Work for the owner of the terminal since the last call.
    pub fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    /// What to keep for the next run.
    pub fn saved(&self) -> Saved {
        Saved {
            tab: Some(self.active),
            theme: Some((
                self.chosen_theme.clone(),
                self.setup.configured_theme.clone(),
            )),
            logs: self.logs.saved(),
        }
    }

    pub fn notify(&mut self, notice: Notice) {
        self.notice = Some((notice, self.setup.now));
        self.dirty = true;
    }

    fn tab(&self, id: TabId) -> &dyn Tab {
        match id {
            TabId::Dora => &self.dora,
            TabId::Logs => &self.logs,
            TabId::Infra => &self.infra,
            TabId::Pdca => &self.pdca,
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            now: self.setup.now,
            zone: self.setup.zone,
            area: self.content(),
            theme: &self.setup.theme,
            unicode: self.setup.unicode,
        }
    }

    fn area(&self) -> Rect {
        Rect::new(0, 0, self.setup.size.0, self.setup.size.1)
    }

    /// Takes one event; `now` is the time at which it is taken.
    pub fn on_event(&mut self, event: AppEvent, now: Timestamp) {
        self.setup.now = now;
        match event {
            AppEvent::Input(Event::Key(key)) => self.on_key(&key),
            AppEvent::Input(Event::Paste(text)) => self.on_paste(text),
            AppEvent::Input(Event::Mouse(mouse)) => {
                if matches!(self.overlay, Overlay::None) {
                    self.send(self.active, TabEvent::Mouse(mouse));
                }
            }
            AppEvent::Input(_) => {}
            AppEvent::Resized(columns, rows) => {
                self.setup.size = (columns, rows);
                self.dirty = true;
                for id in TabId::ALL {
                    self.send(id, TabEvent::Resized);
                }
            }
            AppEvent::Answer(answer) => self.send(answer.tab(), TabEvent::Answer(answer)),
            AppEvent::Ingest(status) => {
                for id in TabId::ALL {
                    self.send(id, TabEvent::Ingest(status.clone()));
                }
            }
            AppEvent::Health(health) => {
                for id in TabId::ALL {
                    self.send(id, TabEvent::Health(health.clone()));
                }
            }
            AppEvent::Troubles(troubles) => self.on_troubles(troubles),
            AppEvent::Tick => self.on_tick(),
        }
    }

    fn on_troubles(&mut self, mut troubles: Troubles) {
        for trouble in [&mut troubles.reads, &mut troubles.writes]
            .into_iter()
            .flatten()
        {
            trouble.reason = safe_text::line(&trouble.reason);
        }
        if self.troubles != troubles {
            self.troubles = troubles.clone();
            for id in TabId::ALL {
                self.send(id, TabEvent::Troubles(troubles.clone()));
            }
        }
    }

    fn on_tick(&mut self) {
        // Nothing on the screen changes by itself but the clock, ages and a notice's end: the
        // tick alone does not draw.
        let expired = |(notice, at): &(Notice, Timestamp)| {
            notice.kind == NoticeKind::Plain && self.setup.now.since(*at) > NOTICE_STAYS
        };
        if self.notice.as_ref().is_some_and(expired) {
            self.notice = None;
            self.dirty = true;
        }
        let was_dirty = self.dirty;
        self.send(self.active, TabEvent::Tick);
        self.dirty = was_dirty || !self.effects.is_empty() || self.clock_text() != self.drawn_clock;
    }

    /// Gives a tab an event and carries out what it asks for.
    fn send(&mut self, id: TabId, event: TabEvent) {
        let context = Context {
            now: self.setup.now,
            zone: self.setup.zone,
            area: self.content(),
            theme: &self.setup.theme,
            unicode: self.setup.unicode,
        };
        let tab: &mut dyn Tab = match id {
            TabId::Dora => &mut self.dora,
            TabId::Logs => &mut self.logs,
            TabId::Infra => &mut self.infra,
            TabId::Pdca => &mut self.pdca,
        };
        let effects = tab.update(event, &context);
        if id == self.active
            && !effects
                .iter()
                .any(|effect| matches!(effect, Effect::Unchanged))
        {
            self.dirty = true;
        }
        for effect in effects {
            self.carry_out(effect, id);
        }
        self.make_room_for_banner();
    }

    /// A banner takes rows of its own: what was read before moves down and stays readable.
    fn make_room_for_banner(&mut self) {
        let banner = self.tab(self.active).status(&self.context()).banner;
        let rows = banner.map_or(0, |reason| {
            view::banner_lines(&reason, self.setup.size.0).len()
        });
        let rows = u16::try_from(rows).unwrap_or(0);
        if rows != self.banner_rows {
            self.banner_rows = rows;
            self.dirty = true;
            for id in TabId::ALL {
                self.send(id, TabEvent::Resized);
            }
        }
    }

    /// Where the tab is drawn: between header and status line, under the banner.
    fn content(&self) -> Rect {
        let mut content = view::body(self.area());
        let banner = self.banner_rows.min(content.height);
        content.y += banner;
        content.height -= banner;
        content
    }

    fn carry_out(&mut self, effect: Effect, from: TabId) {
        match effect {
            Effect::Unchanged => {}
            Effect::Notice(notice) => self.notify(notice),
            Effect::Go(destination) => self.open(destination, from),
            Effect::Prompt(PromptRequest { kind, label, text }) => {
                let line = LineEdit::new(text);
                let hint =
                    self.tab(from)
                        .prompt_hint(kind, line.text(), line.cursor(), &self.context());
                self.overlay = Overlay::Prompt(Prompt {
                    kind,
                    label,
                    line,
                    hint,
                    chosen: None,
                    refused: false,
                });
                self.dirty = true;
            }
            Effect::Confirm { kind, question } => {
                self.overlay = Overlay::Confirm { kind, question }
            }
            Effect::Copy { text, what } => self.requests.push(Request::Copy { text, what }),
            Effect::WriteFile { path, text } => {
                self.requests.push(Request::WriteFile { path, text })
            }
            work => self.effects.push(work),
        }
    }

    /// Shows a destination on the tab that has such; Esc leads back to where it was asked for.
    fn open(&mut self, destination: Destination, from: TabId) {
        let opens_level = matches!(destination, Destination::Trace(_));
        self.visit_logs(from);
        self.send(TabId::Logs, TabEvent::Go(destination));
        self.remember_level(from, opens_level);
    }

    fn visit_logs(&mut self, from: TabId) {
        if from != TabId::Logs {
            self.go(TabId::Logs);
            self.return_to = Some(Return {
                tab: from,
                trace_depth: None,
            });
        }
    }

    fn remember_level(&mut self, from: TabId, opens_level: bool) {
        let depth = self.logs.depth();
        if let Some(origin) = self
            .return_to
            .as_mut()
            .filter(|_| from != TabId::Logs && opens_level)
        {
            origin.trace_depth = Some(depth);
        }
    }

    fn go(&mut self, id: TabId) {
        self.return_to = None;
        if id != self.active {
            self.send(self.active, TabEvent::Left);
            self.active = id;
            self.send(id, TabEvent::Entered);
        }
        self.dirty = true;
    }

    fn on_paste(&mut self, text: String) {
        let captures = self.tab(self.active).captures_keys();
        match &mut self.overlay {
            Overlay::Prompt(prompt) => {
                prompt.line.insert(&text);
                self.prompt_edited();
            }
            Overlay::Palette(palette) => {
                palette.line.insert(&text);
                palette.edited();
                self.dirty = true;
            }
            Overlay::None if captures => self.send(self.active, TabEvent::Paste(text)),
            // A paste is never taken for keys.
            _ => {}
        }
    }

    fn on_key(&mut self, key: &KeyEvent) {
        let interrupt =
            key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        // Read by now, and it hides the status line.
        self.notice = None;
        self.dirty = true;
        if interrupt {
            return self.interrupt();
        }
        self.interrupted_at = None;
        match &mut self.overlay {
            Overlay::Prompt(_) => self.prompt_key(key),
            Overlay::Palette(_) => self.palette_key(key),
            Overlay::Help { scroll } => match key.code {
                KeyCode::Char('j') | KeyCode::Down => *scroll = scroll.saturating_add(1).min(500),
                KeyCode::Char('k') | KeyCode::Up => *scroll = scroll.saturating_sub(1),
                KeyCode::PageDown | KeyCode::Char(' ') => {
                    *scroll = scroll.saturating_add(10).min(500)
                }
                KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
                _ => self.overlay = Overlay::None,
            },
            Overlay::Confirm { kind, .. } => {
                let kind = *kind;
                let yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
                self.overlay = Overlay::None;
                if yes {
                    self.send(self.active, TabEvent::Confirmed { kind });
                } else {
                    self.notify(Notice::plain("not done"));
                }
            }
            Overlay::None => {
                if self.tab(self.active).captures_keys() {
                    return self.send(self.active, TabEvent::Key(*key));
                }
                if let Some(action) = self
                    .setup
                    .keymap
                    .action(self.tab(self.active).scopes(), Key::of(key))
                {
                    self.on_action(action);
                }
            }
        }
    }

    /// Ctrl-C: cancels what is open or under way, and quits when pressed again soon.
    fn interrupt(&mut self) {
        let again = self
            .interrupted_at
            .is_some_and(|at| self.setup.now.since(at) <= SECOND_INTERRUPT);
        if again {
            self.quitting = true;
            return;
        }
        self.interrupted_at = Some(self.setup.now);
        match std::mem::replace(&mut self.overlay, Overlay::None) {
            Overlay::None => self.send(self.active, TabEvent::Action(Action::Interrupt)),
            Overlay::Prompt(prompt) => {
                self.send(
                    self.active,
                    TabEvent::Prompted {
                        kind: prompt.kind,
                        step: Prompted::Cancelled,
                    },
                );
            }
            _ => {}
        }
        self.notify(Notice::plain("cancelled; Ctrl-C again quits"));
    }

    fn on_action(&mut self, action: Action) {
        match action {
            Action::GoDora => self.go(TabId::Dora),
            Action::GoLogs => self.go(TabId::Logs),
            Action::GoInfra => self.go(TabId::Infra),
            Action::GoPdca => self.go(TabId::Pdca),
            Action::Help => self.overlay = Overlay::Help { scroll: 0 },
            Action::Palette => self.open_palette(),
            Action::Quit => self.quitting = true,
            Action::Close if self.tab(self.active).at_top() && self.return_to.is_none() => {
                self.quitting = true;
            }
            Action::Back | Action::Close => {
                if let Some(origin) = self.return_to.filter(|_| self.logs.shows_list()) {
                    return self.go(origin.tab);
                }
                self.send(self.active, TabEvent::Action(Action::Back));
                let closed = |origin: &Return| {
                    origin
                        .trace_depth
                        .is_some_and(|depth| self.logs.depth() < depth || self.logs.shows_list())
                };
                if let Some(origin) = self.return_to.filter(closed) {
                    self.go(origin.tab);
                }
            }
            Action::Zone => {
                self.setup.zone = if self.setup.zone == Zone::Utc {
                    Zone::Local
                } else {
                    Zone::Utc
                };
                let name = if self.setup.zone == Zone::Utc {
                    "UTC"
                } else {
                    "local time"
                };
                self.notify(Notice::plain(format!("times are shown in {name}")));
            }
            Action::Mouse => {
                self.setup.mouse = !self.setup.mouse;
                self.requests.push(Request::Mouse(self.setup.mouse));
                self.notify(Notice::plain(if self.setup.mouse {
                    "mouse on: the terminal's own selection needs Shift now"
                } else {
                    "mouse off"
                }));
            }
            Action::NextTheme => {
                let names = Theme::names(self.setup.themes_dir.as_deref());
                let next = names
                    .iter()
                    .position(|name| *name == self.chosen_theme)
                    .map_or(0, |at| (at + 1) % names.len());
                self.set_theme(&names[next]);
            }
            Action::Suspend => self.requests.push(Request::Suspend),
            Action::Redraw => self.requests.push(Request::Redraw),
            other => self.send(self.active, TabEvent::Action(other)),
        }
    }

    fn set_theme(&mut self, name: &str) {
        match Theme::load(name, self.setup.themes_dir.as_deref(), self.setup.depth) {
            Ok(theme) => {
                let text = if theme.has_color() {
                    format!("theme {name}")
                } else {
                    format!("theme {name} is kept; this terminal shows no colours")
                };
                self.setup.theme = theme;
                name.clone_into(&mut self.chosen_theme);
                self.notify(Notice::plain(text));
            }
            Err(error) => self.notify(Notice::trouble(super::tabs::reason_of(&error))),
        }
    }

    fn prompt_key(&mut self, key: &KeyEvent) {
        let Overlay::Prompt(prompt) = &mut self.overlay else {
            return;
        };
        match key.code {
            KeyCode::Esc => {
                let kind = prompt.kind;
                self.overlay = Overlay::None;
                self.send(
                    self.active,
                    TabEvent::Prompted {
                        kind,
                        step: Prompted::Cancelled,
                    },
                );
            }
            // A text with a known mistake is not sent off; the mistake stays in sight.
            KeyCode::Enter if prompt.hint.error.is_some() => prompt.refused = true,
            KeyCode::Enter => {
                let (kind, text) = (prompt.kind, prompt.line.text().to_owned());
                self.overlay = Overlay::None;
                self.send(
                    self.active,
                    TabEvent::Prompted {
                        kind,
                        step: Prompted::Accepted(text),
                    },
                );
            }
            KeyCode::Tab | KeyCode::BackTab if !prompt.hint.completions.is_empty() => {
                let count = prompt.hint.completions.len();
                let next = match (prompt.chosen, key.code) {
                    (None, KeyCode::Tab) => 0,
                    (None, _) => count - 1,
                    (Some(at), KeyCode::Tab) => (at + 1) % count,
                    (Some(at), _) => (at + count - 1) % count,
                };
                prompt.chosen = Some(next);
                prompt.line.replace_word(&prompt.hint.completions[next]);
                let (kind, text, cursor) = (
                    prompt.kind,
                    prompt.line.text().to_owned(),
                    prompt.line.cursor(),
                );
                let fresh = self
                    .tab(self.active)
                    .prompt_hint(kind, &text, cursor, &self.context());
                if let Overlay::Prompt(prompt) = &mut self.overlay {
                    prompt.refused = false;
                    if count == 1 {
                        // Nothing to choose from: on with what can stand behind it.
                        prompt.hint = fresh;
                        prompt.chosen = None;
                    } else {
                        prompt.hint.error = fresh.error;
                    }
                }
                self.send(
                    self.active,
                    TabEvent::Prompted {
                        kind,
                        step: Prompted::Edited(text),
                    },
                );
            }
            _ => {
                if prompt.line.key(key) == Edited::Text {
                    self.prompt_edited();
                }
            }
        }
    }

    fn prompt_edited(&mut self) {
        self.dirty = true;
        let Overlay::Prompt(prompt) = &self.overlay else {
            return;
        };
        let (kind, text, cursor) = (
            prompt.kind,
            prompt.line.text().to_owned(),
            prompt.line.cursor(),
        );
        let hint = self
            .tab(self.active)
            .prompt_hint(kind, &text, cursor, &self.context());
        if let Overlay::Prompt(prompt) = &mut self.overlay {
            prompt.hint = hint;
            prompt.chosen = None;
            prompt.refused = false;
        }
        self.send(
            self.active,
            TabEvent::Prompted {
                kind,
                step: Prompted::Edited(text),
            },
        );
    }

    fn open_palette(&mut self) {
        let keyless = self.setup.keymap.unbound(self.scopes()).into_iter();
        let actions = self
            .help()
            .into_iter()
            .flat_map(|(_, lines)| lines)
            .chain(keyless.map(|action| (String::new(), action)))
            .collect();
        let themes = Theme::names(self.setup.themes_dir.as_deref());
        self.overlay = Overlay::Palette(Palette::new(actions, &themes));
    }

    fn palette_key(&mut self, key: &KeyEvent) {
        let Overlay::Palette(palette) = &mut self.overlay else {
            return;
        };
        match key.code {
            KeyCode::Esc => self.overlay = Overlay::None,
            KeyCode::Enter => {
                let choice = palette.chosen();
                self.overlay = Overlay::None;
                match choice {
                    Some(Choice::Action(action)) => self.on_action(action),
                    Some(Choice::Command { name, argument }) => self.command(&name, argument),
                    None => self.notify(Notice::trouble("no such command; `:` and `?` list them")),
                }
            }
            _ => palette.key(key),
        }
    }

    fn command(&mut self, name: &str, argument: String) {
        match name {
            "q" | "quit" => self.quitting = true,
            "theme" => self.set_theme(argument.trim()),
            "utc" | "local" => {
                self.setup.zone = if name == "utc" {
                    Zone::Utc
                } else {
                    Zone::Local
                };
            }
            "mouse" => self.on_action(Action::Mouse),
            "dora" => self.go(TabId::Dora),
            "logs" => self.go(TabId::Logs),
            "infra" => self.go(TabId::Infra),
            "pdca" => self.go(TabId::Pdca),
            // Lets the tests see what a panic leaves behind; not in a release.
            #[cfg(debug_assertions)]
            "panic" => match argument.trim() {
                "task" => self.requests.push(Request::Fault(Fault::Task)),
                "thread" => self.requests.push(Request::Fault(Fault::Thread)),
                "error" => self.requests.push(Request::Fault(Fault::Error)),
                _ => panic!("asked for with :panic"),
            },
            _ => {
                let origin = self.active;
                if palette::is_logs_command(name) {
                    self.visit_logs(origin);
                }
                self.send(
                    self.active,
                    TabEvent::Command {
                        name: name.into(),
                        argument,
                    },
                );
                self.remember_level(origin, name == "req");
            }
        }
    }

    /// What the keys of this screen do; keys that would do nothing are left out.
    fn help(&self) -> Vec<(Scope, Vec<(String, Action)>)> {
        let tab = self.tab(self.active);
        let mut sections = self.setup.keymap.help(tab.scopes());
        for (_, lines) in &mut sections {
            lines.retain(|(_, action)| !tab.is_idle(*action));
        }
        sections.retain(|(_, lines)| !lines.is_empty());
        sections
    }

    fn scopes(&self) -> &'static [Scope] {
        self.tab(self.active).scopes()
    }
}

#[cfg(test)]
mod tests;
