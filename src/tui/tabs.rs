//! The tabs, and what each of them must be.
//!
//! # How to build a tab
//!
//! A tab is `tabs/<name>.rs` (children in `tabs/<name>/`) with four things, all in that file:
//!
//! 1. `struct <Name>Tab`, its state, with `impl Tab`. No I/O, no clock, no store, no tokio in it:
//!    time comes with [`Context`], data comes with [`TabEvent::Answer`].
//! 2. `enum <Name>Effect`, `Clone + Debug`: each read or write it wants done, as a value, with the
//!    number of the question ([`crate::tui::effect::Question`]); `fn slot(&self) -> &'static str` names the slot it runs
//!    in. A new effect in a slot cancels the older one, so independent reads have different slots.
//! 3. `enum <Name>Answer`: what comes back, with the question's number. An error travels in it as
//!    a `String` made by [`reason_of`]; `update` keeps the old data and hands the reason to its
//!    [`outage::Outages`], which say it in the banner and when to try again. An answer to an older
//!    question is dropped.
//! 4. `async fn perform(effect, &Stores, &CancellationToken) -> Option<<Name>Answer>`: calls the
//!    service layer or the stores. `None` when there is nothing to say.
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
//! - Keys are rows of `keymap`'s table in the tab's scope, actions are rows of `action`'s. Both may
//!   be extended by whoever needs it. Help, hints and palette then know them.
//! - Writes of the user go to the store as effects; what cannot be taken back asks first
//!   ([`Effect::Confirm`]). Free text in several lines: return true from `captures_keys` while
//!   a `tui_textarea` is open, and get raw keys as [`TabEvent::Key`] and [`TabEvent::Paste`].
//! - Deep links: [`Effect::OpenTrace`] and [`Effect::OpenLogs`] go to the Logs tab.
//! - Tests: `update` with made-up answers (no runtime), and `render` on a `TestBackend` at 80x24
//!   and 200x60 through [`crate::tui::app::App`] with a fixed clock: see `tests/it/console_logs.rs`.

pub mod dora;
pub mod infra;
pub mod logs;
pub mod outage;
pub mod pdca;

use std::error::Error;
use std::sync::Arc;

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::action::Action;
use super::effect::{Answer, Effect};
use super::keymap::Scope;
use super::theme::{Role, Theme};
use crate::service::describe;
use atalaya_domain::health::Health;
use atalaya_domain::time::Timestamp;
use atalaya_ingest::accounts::IngestStatus;
use atalaya_query::Zone;
use atalaya_store::chunks::Troubles;

/// The tabs, in the order of their digits.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum TabId {
    Dora,
    Logs,
    Infra,
    Pdca,
}

impl TabId {
    pub const ALL: [Self; 4] = [Self::Dora, Self::Logs, Self::Infra, Self::Pdca];

    pub const fn title(self) -> &'static str {
        match self {
            Self::Dora => "DORA",
            Self::Logs => "Logs",
            Self::Infra => "Infra",
            Self::Pdca => "PDCA",
        }
    }
}

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

/// Everything that can happen to a tab.
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
    Answer(Answer),
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
    /// A command of the palette that belongs to this tab: `goto 14:32`, `req abc`, `-30m`, `w FILE`.
    Command {
        name: String,
        argument: String,
    },
    /// Only while the mouse is on; positions are absolute.
    Mouse(MouseEvent),
}

/// What became of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompted {
    /// The text so far, after each change.
    Edited(String),
    Accepted(String),
    Cancelled,
}

/// What a prompt shows while its text is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptHint {
    /// Byte offset and length of what is wrong, and why.
    pub error: Option<(usize, usize, String)>,
    /// Replacements for the word before the cursor, best first.
    pub completions: Vec<String>,
    /// Said when nothing is wrong.
    pub help: String,
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

pub trait Tab {
    /// Key scopes, innermost first, without [`Scope::Global`].
    fn scopes(&self) -> &'static [Scope];

    fn update(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect>;

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>);

    fn status(&self, context: &Context<'_>) -> TabStatus;

    /// No level is open that Esc would close.
    fn at_top(&self) -> bool;

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

/// An error with its causes, on one line, safe to show.
pub fn reason_of(error: &(dyn Error + 'static)) -> String {
    super::widgets::safe_text::line(&describe(error))
}
