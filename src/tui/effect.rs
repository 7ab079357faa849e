//! Work that an `update` asks for, as values, and the runner that does it in tasks.
//!
//! Each effect has a [`Slot`]: a new effect in a slot cancels the one before it, so an answer
//! nobody waits for any more costs nothing. A cancelled task may still answer; whoever asked
//! numbers the questions and drops answers to older ones.

use std::collections::HashMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::tabs::{TabId, dora, infra, logs, pdca};
use crate::service::Stores;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

/// What an `update` may return.
#[derive(Clone, Debug)]
pub enum Effect {
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
    Copy {
        text: String,
        what: String,
    },
    /// To a file, given by the user; refused when it exists.
    WriteFile {
        path: String,
        text: String,
    },
    /// Cancels what runs in a slot.
    Cancel(Slot),
    Logs(logs::LogsEffect),
    Dora(dora::DoraEffect),
    Infra(infra::InfraEffect),
    Pdca(pdca::PdcaEffect),
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
}

/// What the runner brings back.
#[derive(Debug)]
pub enum Answer {
    Logs(logs::LogsAnswer),
    Dora(dora::DoraAnswer),
    Infra(infra::InfraAnswer),
    Pdca(pdca::PdcaAnswer),
}

impl Answer {
    pub const fn tab(&self) -> TabId {
        match self {
            Self::Logs(_) => TabId::Logs,
            Self::Dora(_) => TabId::Dora,
            Self::Infra(_) => TabId::Infra,
            Self::Pdca(_) => TabId::Pdca,
        }
    }
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

/// Where an effect runs: one task per slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    pub tab: TabId,
    pub name: &'static str,
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

/// Runs effects as tasks and sends their answers to the loop.
pub struct Runner {
    stores: Option<Stores>,
    answers: mpsc::Sender<Answer>,
    running: HashMap<Slot, CancellationToken>,
    stopped: CancellationToken,
}

impl Runner {
    /// `answers` is bounded; a task that finds it full waits, and is cancelled with the rest.
    pub fn new(stores: Stores, answers: mpsc::Sender<Answer>) -> Self {
        Self {
            stores: Some(stores),
            answers,
            running: HashMap::new(),
            stopped: CancellationToken::new(),
        }
    }

    /// Starts one effect. Effects that the app carries out itself are not for here and are ignored.
    pub fn spawn(&mut self, effect: Effect) {
        let slot = match &effect {
            Effect::Logs(work) => Slot {
                tab: TabId::Logs,
                name: work.slot(),
            },
            Effect::Dora(work) => Slot {
                tab: TabId::Dora,
                name: work.slot(),
            },
            Effect::Infra(work) => Slot {
                tab: TabId::Infra,
                name: work.slot(),
            },
            Effect::Pdca(work) => Slot {
                tab: TabId::Pdca,
                name: work.slot(),
            },
            Effect::Cancel(slot) => {
                if let Some(older) = self.running.remove(slot) {
                    older.cancel();
                }
                return;
            }
            _ => return,
        };
        let Some(stores) = self.stores.clone() else {
            return;
        };
        let cancel = self.stopped.child_token();
        if let Some(older) = self.running.insert(slot, cancel.clone()) {
            older.cancel();
        }
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let work = async {
                match effect {
                    Effect::Logs(work) => logs::perform(work, &stores, &cancel)
                        .await
                        .map(Answer::Logs),
                    Effect::Dora(work) => dora::perform(work, &stores, &cancel)
                        .await
                        .map(Answer::Dora),
                    Effect::Infra(work) => infra::perform(work, &stores, &cancel)
                        .await
                        .map(Answer::Infra),
                    Effect::Pdca(work) => pdca::perform(work, &stores, &cancel)
                        .await
                        .map(Answer::Pdca),
                    _ => None,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => {}
                answer = work => if let Some(answer) = answer {
                    let _ = answers.send(answer).await;
                }
            }
        });
    }

    /// Cancels everything.
    pub fn stop(&mut self) {
        self.stopped.cancel();
        self.stores = None;
    }
}
