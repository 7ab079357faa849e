//! What a screen asks of the console, and the words of that talk. Names no tab: tabs use this, and
//! this uses none of them.

use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

/// A tab: its word in keys (`tab_logs`), commands (`:logs`) and the saved state, and its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabId {
    name: &'static str,
    title: &'static str,
}

impl TabId {
    /// `name` is one word in lower case, unlike that of any other tab.
    pub const fn new(name: &'static str, title: &'static str) -> Self {
        Self { name, title }
    }

    pub const fn name(self) -> &'static str {
        self.name
    }

    pub const fn title(self) -> &'static str {
        self.title
    }
}

/// A question's number. Answers to older questions are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question(u64);

impl Question {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What an `update` may return; `W` is the work of the tab.
#[derive(Clone, Debug)]
pub enum Effect<W> {
    /// Nothing on the screen changed by this event: no frame is needed for it.
    Unchanged,
    /// One line for a moment on the status line.
    Notice(Notice),
    /// To another screen; Esc comes back here.
    Go(Destination),
    /// Opens a one-line prompt; the tab gets `TabEvent::Prompted`.
    Prompt(PromptRequest),
    /// Asks for a yes before something that cannot be taken back; the tab gets `TabEvent::Confirmed`.
    Confirm {
        kind: &'static str,
        question: String,
    },
    /// To the clipboard (OSC 52), or to a file when it is too large.
    Copy { text: String, what: String },
    /// To a file, given by the user; refused when it exists.
    WriteFile { path: String, text: String },
    /// Cancels what runs in a slot of this tab.
    Cancel(&'static str),
    /// A read or a write, done in a task; its answer comes to the tab.
    Work(W),
}

impl<W> Effect<W> {
    /// The same with the work turned into something else.
    pub fn map<V>(self, turn: impl FnOnce(W) -> V) -> Effect<V> {
        match self {
            Self::Unchanged => Effect::Unchanged,
            Self::Notice(notice) => Effect::Notice(notice),
            Self::Go(destination) => Effect::Go(destination),
            Self::Prompt(request) => Effect::Prompt(request),
            Self::Confirm { kind, question } => Effect::Confirm { kind, question },
            Self::Copy { text, what } => Effect::Copy { text, what },
            Self::WriteFile { path, text } => Effect::WriteFile { path, text },
            Self::Cancel(slot) => Effect::Cancel(slot),
            Self::Work(work) => Effect::Work(turn(work)),
        }
    }
}

/// Where something on the screen leads, as a value: an id is never put into a text that somebody
/// takes apart again, so it may hold whatever an application wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The trace of these requests.
    Trace(Vec<RequestId>),
    /// The records that a filter (a text of the query language) lets through, at a time; `None`: the
    /// newest.
    Logs {
        filter: String,
        at: Option<Timestamp>,
    },
    /// The deployment with this id, which was about at this time.
    Deployment { id: String, at: Timestamp },
}

/// A message until the next key; a plain one also ends by itself after a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub kind: NoticeKind,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    Plain,
    Trouble,
}

impl Notice {
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            kind: NoticeKind::Plain,
            text: text.into(),
        }
    }

    pub fn trouble(text: impl Into<String>) -> Self {
        Self {
            kind: NoticeKind::Trouble,
            text: text.into(),
        }
    }
}

/// A one-line question. `kind` comes back with the text, so a tab may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptRequest {
    pub kind: &'static str,
    /// Before the text: `filter `, `/`.
    pub label: String,
    pub text: String,
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

/// A command of the `:` prompt, and what may be written behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    pub name: &'static str,
    /// An example or a word for it; empty when it takes nothing.
    pub argument: &'static str,
    pub help: &'static str,
    /// What begins with one of these is an argument of it, without its name: `:-30m`.
    pub prefixes: &'static [char],
}
