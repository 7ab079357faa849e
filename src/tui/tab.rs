//! What a tab is: what the console tells it, what it must do, and how its work is done.
//!
//! # How to build a tab
//!
//! A tab is one module, `tabs/<name>.rs` with its children in `tabs/<name>/`, and one row of
//! [`crate::tui::tabs::TABS`] (beside the `pub mod` that every module needs). Its digit, its place
//! in the header, its keys in help, hints and palette, `:name`, `tab_name` in `[console.keys]` and
//! its part of the saved state follow from that row; nothing else of the console names it. The
//! module has:
//!
//! 1. `struct <Name>Tab`, its state, with [`Screen`] (what is seen) and [`Tab`] (what happens). No
//!    I/O, no clock, no store, no tokio in it: time comes with [`Context`], data with
//!    [`Tab::answered`].
//! 2. `enum <Name>Effect` with [`Work`]: each read or write it wants done, as a value, with the
//!    number of the question ([`crate::tui::ask::Question`]). [`Work::slot`] names the slot it runs
//!    in: new work in a slot cancels the older one, so independent reads have different slots.
//!    [`Work::perform`] calls the service layer or the stores. A tab without work has [`NoWork`].
//! 3. `enum <Name>Answer`: what comes back, with the question's number. An error travels in it as
//!    a `String` made by [`reason_of`]; the tab keeps the old data and hands the reason to its
//!    [`crate::tui::tabs::outage::Outages`], which say it in the banner and when to try again. An
//!    answer to an older question is dropped.
//! 4. its [`Scope`]s, [`Tab::KEYS`] and, for what no other tab does, actions made with
//!    [`crate::tui::action::own`].
//!
//! Rules:
//!
//! - `update` changes the state and returns effects; `render` only reads. Both may use
//!   [`Context::area`], so that paging knows the height. Nothing is drawn unless `update` ran (the
//!   app marks itself dirty after each event that reached a tab). What comes by itself several times
//!   a second and changed nothing is answered with [`Effect::Unchanged`].
//! - First load on [`TabEvent::Entered`] when there is no data yet; until then draw an honest
//!   "not loaded yet" (see [`crate::tui::widgets::empty`]), never a zero. `Entered` comes each time
//!   the tab gets the screen, `Left` when it loses it; refresh on `Tick` (once a second) only while
//!   entered and only when the data is older than it should be.
//! - `Action::Back` (Esc) closes one level and `at_top` tells whether there is one: `q` quits only
//!   at the top. `Esc` never quits. History (`[` `]`) is the tab's.
//! - Every string that is not our own goes through [`crate::tui::widgets::safe_text`]; never put a
//!   stored string into a `Span` directly. Styles come from [`Theme`] by [`Role`], never a colour;
//!   what colour says, a letter or a shape says too.
//! - Writes of the user go to the store as effects; what cannot be taken back asks first
//!   ([`Effect::Confirm`]). Free text in several lines: return true from `captures_keys` while
//!   a `tui_textarea` is open, and get raw keys as [`TabEvent::Key`] and [`TabEvent::Paste`].
//! - Deep links: [`Effect::Go`] with a [`Destination`]; text is taken apart where it is typed, in
//!   the `:` prompt, and nowhere else.
//! - Tests: `update` with made-up answers (no runtime), and `render` on a `TestBackend` at 80x24
//!   and 200x60 through [`crate::tui::app::App`] with a fixed clock.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::action::Action;
use super::ask::{Command, Destination, Effect, PromptHint, Prompted, TabId};
use super::keymap::{Binding, Scope};
use super::theme::{Role, Theme};
use crate::service::Stores;
use crate::service::alerts::AlertSettings;
use crate::service::describe;
use crate::service::dora::{ReportRequest, SyncRequest};
use crate::service::jobs::JobInfo;
use crate::service::pdca::PdcaSettings;
use atalaya_domain::health::Health;
use atalaya_domain::time::Timestamp;
use atalaya_ingest::accounts::IngestStatus;
use atalaya_query::Zone;
use atalaya_store::chunks::Troubles;

/// What a tab may know of the world while it updates or draws.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// In which times are shown and read.
    pub zone: Zone,
    /// Where the tab is drawn.
    pub area: Rect,
    pub theme: &'a Theme,
    /// Block and braille characters may be used (the locale is UTF-8).
    pub unicode: bool,
}

/// What the configuration says of the use cases that tabs show.
#[derive(Clone, Debug)]
pub struct Configured {
    /// What is reported on at first.
    pub report: ReportRequest,
    /// The folder that the console was started in and how a repository there is read; `None` where
    /// nothing is to be read by hand.
    pub sync: Option<(PathBuf, SyncRequest)>,
    pub pdca: PdcaSettings,
    /// `None`: nobody evaluates rules here.
    pub alerts: Option<Arc<AlertSettings>>,
    /// Empty where nobody runs jobs.
    pub jobs: Arc<[JobInfo]>,
}

impl Default for Configured {
    fn default() -> Self {
        Self {
            report: ReportRequest::days(30),
            sync: None,
            pdca: PdcaSettings::default(),
            alerts: None,
            jobs: Arc::default(),
        }
    }
}

/// Everything that can happen to a tab, but for the answers to its work.
#[derive(Debug)]
pub enum TabEvent {
    /// It has the screen now.
    Entered,
    /// It has lost the screen.
    Left,
    /// [`Context::area`] has changed.
    Resized,
    /// About once a second while entered.
    Tick,
    Action(Action),
    /// Something leads to a [`Destination`] that this tab [shows](Screen::shows).
    Go(Destination),
    /// The accounts of the ingest that runs in this process; sent to every tab, shown or not.
    Ingest(Arc<IngestStatus>),
    /// A new measurement of host and stores; sent to every tab, shown or not.
    Health(Arc<Health>),
    /// What the calls of the log store meet that are under way, when that has changed; sent to every
    /// tab, shown or not. Safe to show.
    Troubles(Troubles),
    /// The prompt that the tab asked for with [`Effect::Prompt`].
    Prompted {
        kind: &'static str,
        step: Prompted,
    },
    /// The user said yes to [`Effect::Confirm`].
    Confirmed {
        kind: &'static str,
    },
    /// Only while `captures_keys`.
    Key(KeyEvent),
    Paste(String),
    /// One of [`Tab::COMMANDS`], typed into the `:` prompt with this behind it.
    Command {
        name: &'static str,
        argument: String,
    },
    /// Only while the mouse is on; positions are absolute.
    Mouse(MouseEvent),
}

/// What the status line and the header say for a tab.
#[derive(Clone, Debug, Default)]
pub struct TabStatus {
    /// What is going on, in pieces by meaning; already safe to show.
    pub pieces: Vec<(Role, String)>,
    /// When the data on the screen was read; `None`: nothing was read yet.
    pub data_at: Option<Timestamp>,
    /// New data arrives by itself: the age then needs no figure.
    pub live: bool,
    /// Why the last read failed. The old content stays below it.
    pub banner: Option<String>,
    /// Actions worth a hint, most wanted first; cut to the width.
    pub hints: Vec<Action>,
}

/// What is seen of a tab.
pub trait Screen: Debug {
    /// Key scopes, innermost first, without [`Scope::GLOBAL`].
    fn scopes(&self) -> &'static [Scope];

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>);

    fn status(&self, context: &Context<'_>) -> TabStatus;

    /// No level is open that Esc would close.
    fn at_top(&self) -> bool;

    /// How deep somebody is who came here from another tab: closing what they came for makes it
    /// less, and is the way back. `None` on the first screen (where a filter may be set).
    fn depth(&self) -> Option<usize> {
        None
    }

    /// This tab is where a destination is.
    fn shows(&self, destination: &Destination) -> bool {
        let _ = destination;
        false
    }

    /// The action does nothing on this screen: it has no place in help, hints and palette then.
    fn is_idle(&self, action: Action) -> bool {
        let _ = action;
        false
    }

    /// Keys go to the tab as they are, but for Ctrl-C.
    fn captures_keys(&self) -> bool {
        false
    }

    /// Asked after each change of a prompt's text; `cursor` is a byte offset.
    fn prompt_hint(
        &self,
        kind: &str,
        text: &str,
        cursor: usize,
        context: &Context<'_>,
    ) -> PromptHint {
        let _ = (kind, text, cursor, context);
        PromptHint::default()
    }
}

/// What happens in a tab.
pub trait Tab: Screen + Sized + 'static {
    const ID: TabId;
    /// The keys of its scopes, in the order of help.
    const KEYS: &'static [Binding];
    const COMMANDS: &'static [Command] = &[];

    type Work: Work;
    /// What it remembers between runs; `()` for nothing.
    type Saved: Serialize + DeserializeOwned + Default;

    fn open(configured: &Configured, saved: Self::Saved) -> Self;

    fn saved(&self) -> Self::Saved;

    fn update(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect<Self::Work>>;

    /// What its work brought.
    fn answered(
        &mut self,
        answer: <Self::Work as Work>::Answer,
        context: &Context<'_>,
    ) -> Vec<Effect<Self::Work>>;
}

/// A read or a write that a tab wants done, as a value.
pub trait Work: Clone + Debug + Send + 'static {
    type Answer: Debug + Send + 'static;

    /// Where it runs; new work in a slot cancels what runs there.
    fn slot(&self) -> &'static str;

    /// Does it. `None` when there is nothing to say.
    fn perform(
        self,
        stores: &Stores,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Option<Self::Answer>> + Send;
}

/// The work of a tab that asks for none, and its answer.
#[derive(Clone, Copy, Debug)]
pub enum NoWork {}

impl Work for NoWork {
    type Answer = Self;

    fn slot(&self) -> &'static str {
        match *self {}
    }

    async fn perform(self, _stores: &Stores, _cancel: &CancellationToken) -> Option<Self> {
        match self {}
    }
}

/// An error with its causes, on one line, safe to show.
pub fn reason_of(error: &(dyn Error + 'static)) -> String {
    super::widgets::safe_text::line(&describe(error))
}
