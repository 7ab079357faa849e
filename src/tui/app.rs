//! Focus, overlay and routing: which tab has the screen, what lies over it, and who gets an event.
//! What a tab shows and does is the tab's.

mod keys;
mod palette;
mod prompt;
mod routes;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::Event;
use ratatui::layout::Rect;

use self::palette::Palette;
use self::prompt::Prompt;
use self::routes::Return;
use super::action::Action;
use super::ask::{Effect, Notice, NoticeKind, TabId};
use super::event::AppEvent;
use super::keymap::{Keymap, Scope};
use super::registry::{AnyTab, Order, Registered, Slot, Tabs, Task};
use super::state::Saved;
use super::tab::{Configured, Context, TabEvent};
use super::theme::{ColorDepth, Theme};
use super::widgets::safe_text;
use crate::service::alerts::Firing;
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

/// Which tabs there are, and with what they begin.
#[derive(Clone, Debug)]
pub struct TabSetup {
    /// At least one, in the order of their digits.
    pub registered: &'static [Registered],
    /// On the screen when nothing was saved.
    pub first: TabId,
    pub configured: Configured,
}

/// How the console is set up.
#[derive(Debug)]
pub struct Setup {
    pub tabs: TabSetup,
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
    tabs: Tabs,
    /// From where the tab on the screen was opened: Esc at its top goes back there.
    return_to: Option<Return>,
    overlay: Overlay,
    /// Rows in which the tab on the screen says why a read failed.
    banner_rows: u16,
    notice: Option<(Notice, Timestamp)>,
    troubles: Troubles,
    firing: Firing,
    /// The name asked for; without colours the theme itself is another.
    chosen_theme: String,
    interrupted_at: Option<Timestamp>,
    quitting: bool,
    dirty: bool,
    drawn_clock: String,
    orders: Vec<Order>,
    requests: Vec<Request>,
}

impl App {
    pub fn new(setup: Setup, saved: &Saved) -> Self {
        let tabs = Tabs::open(setup.tabs.registered, &setup.tabs.configured, &saved.tabs);
        let known = saved.tab.as_ref().and_then(|name| tabs.by_name(name));
        let mut app = Self {
            active: known.unwrap_or(setup.tabs.first),
            tabs,
            return_to: None,
            overlay: Overlay::None,
            banner_rows: 0,
            notice: None,
            troubles: Troubles::default(),
            firing: Firing::default(),
            chosen_theme: match &saved.theme {
                Some((chosen, over)) if *over == setup.configured_theme => chosen.clone(),
                _ => setup.configured_theme.clone(),
            },
            interrupted_at: None,
            quitting: false,
            dirty: true,
            drawn_clock: String::new(),
            orders: Vec::new(),
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
    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// Work for the owner of the terminal since the last call.
    pub fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    /// What to keep for the next run.
    pub fn saved(&self) -> Saved {
        Saved {
            tab: Some(self.active.name().to_owned()),
            theme: Some((
                self.chosen_theme.clone(),
                self.setup.configured_theme.clone(),
            )),
            tabs: self.tabs.remembered(),
        }
    }

    pub fn notify(&mut self, notice: Notice) {
        self.notice = Some((notice, self.setup.now));
        self.dirty = true;
    }

    fn tab(&self, id: TabId) -> &dyn AnyTab {
        self.tabs.get(id)
    }

    /// The tab on the screen.
    fn shown(&self) -> &dyn AnyTab {
        self.tab(self.active)
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

    /// Columns and rows that the layout is made for.
    pub fn size(&self) -> (u16, u16) {
        self.setup.size
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
                self.send_all(|| TabEvent::Resized);
            }
            AppEvent::Answer(answer) => {
                let id = answer.tab();
                self.work(id, |tab, context| tab.bring(answer, context));
            }
            AppEvent::Ingest(status) => self.send_all(|| TabEvent::Ingest(status.clone())),
            AppEvent::Health(health) => self.send_all(|| TabEvent::Health(health.clone())),
            AppEvent::Firing(firing) => {
                self.dirty |= self.firing != firing;
                self.firing = firing;
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
        if let Some(reason) = &mut troubles.read_only {
            *reason = safe_text::line(reason);
        }
        if self.troubles != troubles {
            self.troubles = troubles.clone();
            self.send_all(|| TabEvent::Troubles(troubles.clone()));
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
        self.dirty = was_dirty || !self.orders.is_empty() || self.clock_text() != self.drawn_clock;
    }

    fn send_all(&mut self, event: impl Fn() -> TabEvent) {
        let ids: Vec<TabId> = self.tabs.ids().collect();
        for id in ids {
            self.send(id, event());
        }
    }

    fn send(&mut self, id: TabId, event: TabEvent) {
        self.work(id, |tab, context| tab.send(event, context));
    }

    /// Lets a tab take something and carries out what it asks for.
    fn work(
        &mut self,
        id: TabId,
        take: impl FnOnce(&mut dyn AnyTab, &Context<'_>) -> Vec<Effect<Task>>,
    ) {
        let context = Context {
            now: self.setup.now,
            zone: self.setup.zone,
            area: self.content(),
            theme: &self.setup.theme,
            unicode: self.setup.unicode,
        };
        let effects = take(self.tabs.get_mut(id), &context);
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
        let banner = self.shown().status(&self.context()).banner;
        let rows = view::banner_rows(banner.as_deref(), self.setup.size.0);
        if rows != self.banner_rows {
            self.banner_rows = rows;
            self.dirty = true;
            self.send_all(|| TabEvent::Resized);
        }
    }

    /// Where the tab is drawn: between header and status line, under the banner.
    fn content(&self) -> Rect {
        view::content(self.area(), self.banner_rows)
    }

    fn carry_out(&mut self, effect: Effect<Task>, from: TabId) {
        match effect {
            Effect::Unchanged => {}
            Effect::Notice(notice) => self.notify(notice),
            Effect::Go(destination) => self.open(destination, from),
            Effect::Prompt(request) => self.open_prompt(request, from),
            Effect::Confirm { kind, question } => {
                self.overlay = Overlay::Confirm { kind, question }
            }
            Effect::Copy { text, what } => self.requests.push(Request::Copy { text, what }),
            Effect::WriteFile { path, text } => {
                self.requests.push(Request::WriteFile { path, text });
            }
            Effect::Cancel(name) => self.orders.push(Order::Cancel(Slot { tab: from, name })),
            Effect::Work(task) => self.orders.push(Order::Run(task)),
        }
    }

    /// What the keys of this screen do; keys that would do nothing are left out.
    fn help(&self) -> Vec<(Scope, Vec<(String, Action)>)> {
        let tab = self.shown();
        let mut sections = self.setup.keymap.help(tab.scopes());
        for (_, lines) in &mut sections {
            lines.retain(|(_, action)| !tab.is_idle(*action));
        }
        sections.retain(|(_, lines)| !lines.is_empty());
        sections
    }
}

#[cfg(test)]
mod tests;
