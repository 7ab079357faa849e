//! Tabs of any kind side by side: each with its own work and answers, which only it knows.
//!
//! The work of a tab goes out as a [`Task`] and comes back as an [`Answer`] under the tab's id; the
//! types are put aside on the way and taken up again here, so that no list of all tabs is needed
//! anywhere but in [`crate::tui::tabs::TABS`].

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Deserialize as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::action::Action;
use super::ask::{Command, Destination, Effect, TabId};
use super::keymap::{Binding, Keymap, KeymapError, Scope};
use super::tab::{Configured, Context, Screen, Tab, TabEvent, Work};
use crate::service::Stores;

/// What the console has to know of a kind of tab.
#[derive(Clone, Copy)]
pub struct Registered {
    pub id: TabId,
    pub keys: &'static [Binding],
    pub commands: &'static [Command],
    open: fn(&Configured, &Value) -> Box<dyn AnyTab>,
    readable: fn(&Value) -> serde_json::Result<()>,
}

impl Registered {
    pub const fn new<T: Tab>() -> Self {
        Self {
            id: T::ID,
            keys: T::KEYS,
            commands: T::COMMANDS,
            open: |configured, saved| {
                Box::new(T::open(
                    configured,
                    saved_of::<T>(saved).unwrap_or_default(),
                ))
            },
            readable: |saved| saved_of::<T>(saved).map(|_| ()),
        }
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Registered").field(&self.id).finish()
    }
}

/// Whether the tabs can read what is saved under their names.
pub fn readable(tabs: &[Registered], saved: &BTreeMap<String, Value>) -> serde_json::Result<()> {
    tabs.iter()
        .filter_map(|tab| Some((tab, saved.get(tab.id.name())?)))
        .try_for_each(|(tab, saved)| (tab.readable)(saved))
}

/// `null` is a tab that has saved nothing yet.
fn saved_of<T: Tab>(saved: &Value) -> serde_json::Result<T::Saved> {
    if saved.is_null() {
        return Ok(T::Saved::default());
    }
    T::Saved::deserialize(saved)
}

/// The digits that go to the tabs, in their order.
const DIGITS: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// The keys of these tabs beside those that hold everywhere, changed by `[console.keys]`.
pub fn keymap(
    tabs: &[Registered],
    overrides: &BTreeMap<String, String>,
) -> Result<Keymap, KeymapError> {
    let own = tabs.iter().flat_map(|tab| tab.keys.iter().copied());
    let digits = tabs.iter().enumerate().map(|(index, tab)| {
        let key = DIGITS.get(index).copied().unwrap_or_default();
        (Scope::GLOBAL, key, Action::Tab(tab.id))
    });
    Keymap::new(own.chain(digits), overrides)
}

/// A tab of whichever kind.
pub trait AnyTab: Screen {
    fn id(&self) -> TabId;

    fn send(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect<Task>>;

    /// An answer that is not of this tab's kind is none of its business.
    fn bring(&mut self, answer: Answer, context: &Context<'_>) -> Vec<Effect<Task>>;

    fn remembered(&self) -> Value;
}

impl<T: Tab> AnyTab for T {
    fn id(&self) -> TabId {
        T::ID
    }

    fn send(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect<Task>> {
        out::<T>(self.update(event, context))
    }

    fn bring(&mut self, answer: Answer, context: &Context<'_>) -> Vec<Effect<Task>> {
        match answer.value.downcast() {
            Ok(answer) => out::<T>(self.answered(*answer, context)),
            Err(_) => vec![Effect::Unchanged],
        }
    }

    fn remembered(&self) -> Value {
        serde_json::to_value(self.saved()).unwrap_or_default()
    }
}

fn out<T: Tab>(effects: Vec<Effect<T::Work>>) -> Vec<Effect<Task>> {
    effects
        .into_iter()
        .map(|effect| effect.map(Task::of::<T>))
        .collect()
}

/// The opened tabs, in the order of their digits.
#[derive(Debug)]
pub struct Tabs(Vec<Box<dyn AnyTab>>);

impl Tabs {
    /// At least one. `saved` holds what each of them remembers, by its name.
    pub fn open(
        registered: &[Registered],
        configured: &Configured,
        saved: &BTreeMap<String, Value>,
    ) -> Self {
        let open = |tab: &Registered| {
            let remembered = saved.get(tab.id.name()).unwrap_or(&Value::Null);
            (tab.open)(configured, remembered)
        };
        Self(registered.iter().map(open).collect())
    }

    pub fn ids(&self) -> impl Iterator<Item = TabId> {
        self.0.iter().map(|tab| tab.id())
    }

    pub fn by_name(&self, name: &str) -> Option<TabId> {
        self.ids().find(|id| id.name() == name)
    }

    /// The tab with this id; the first, should there be none.
    pub fn get(&self, id: TabId) -> &dyn AnyTab {
        &*self.0[self.place(id)]
    }

    pub fn get_mut(&mut self, id: TabId) -> &mut dyn AnyTab {
        let place = self.place(id);
        &mut *self.0[place]
    }

    fn place(&self, id: TabId) -> usize {
        let place = self.0.iter().position(|tab| tab.id() == id);
        place.unwrap_or(0)
    }

    /// The tab that shows a destination.
    pub fn showing(&self, destination: &Destination) -> Option<TabId> {
        self.0
            .iter()
            .find(|tab| tab.shows(destination))
            .map(|tab| tab.id())
    }

    /// What each tab remembers, by its name.
    pub fn remembered(&self) -> BTreeMap<String, Value> {
        self.0
            .iter()
            .map(|tab| (tab.id().name().to_owned(), tab.remembered()))
            .filter(|(_, remembered)| !remembered.is_null())
            .collect()
    }
}

/// Where work runs: one task per slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    pub tab: TabId,
    pub name: &'static str,
}

/// What the runner is to do.
#[derive(Debug)]
pub enum Order {
    Run(Task),
    Cancel(Slot),
}

/// Work of some tab, ready to be done.
#[derive(Debug)]
pub struct Task {
    pub slot: Slot,
    job: Box<dyn Job>,
}

trait Job: Any + fmt::Debug + Send {
    fn run(
        self: Box<Self>,
        stores: Stores,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<Answer>>;
}

struct JobOf<T: Tab>(T::Work);

impl<T: Tab> fmt::Debug for JobOf<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<T: Tab> Job for JobOf<T> {
    fn run(
        self: Box<Self>,
        stores: Stores,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<Answer>> {
        let work = self.0;
        async move {
            let answer = work.perform(&stores, &cancel).await?;
            Some(Answer::of::<T>(answer))
        }
        .boxed()
    }
}

impl Task {
    pub fn of<T: Tab>(work: T::Work) -> Self {
        let slot = Slot {
            tab: T::ID,
            name: work.slot(),
        };
        Self {
            slot,
            job: Box::new(JobOf::<T>(work)),
        }
    }

    pub fn run(
        self,
        stores: Stores,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<Answer>> {
        self.job.run(stores, cancel)
    }

    /// The work as the tab gave it, for whoever plays the stores; `None`: of another tab.
    pub fn work<T: Tab>(&self) -> Option<&T::Work> {
        let job: &dyn Any = &*self.job;
        job.downcast_ref::<JobOf<T>>().map(|job| &job.0)
    }
}

/// What the work of some tab brought.
pub struct Answer {
    tab: TabId,
    value: Box<dyn Any + Send>,
}

impl Answer {
    pub fn of<T: Tab>(answer: <T::Work as Work>::Answer) -> Self {
        Self {
            tab: T::ID,
            value: Box::new(answer),
        }
    }

    /// Whose it is.
    pub const fn tab(&self) -> TabId {
        self.tab
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Answer").field(&self.tab).finish()
    }
}
