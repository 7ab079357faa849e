//! The live list: a bounded window of the store, and how it is read.
//!
//! Every read begins here, so that a new one always takes the place of the one before; what a read
//! brings goes through [`List::update`], which tells what has to follow.

use super::rows::Rows;
use super::work::LogsEffect;
use crate::tui::ask::Question;
use atalaya_domain::record::{Record, RecordId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::Query;
use atalaya_store::chunks::Order;
use atalaya_store::engine::{Cursor, Page};

/// A page is read when the focus is this near to an end.
const NEAR_END: usize = 150;

/// What to do when the page that was asked for arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Landing {
    /// Put it where it belongs.
    #[default]
    Extend,
    /// It is the new window, read from its oldest end.
    First,
    /// It is the new window, round this time; on this record, if it is there.
    At(Timestamp, Option<RecordId>),
}

/// What is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Newest,
    Older,
    Newer,
    Oldest,
    Around,
    /// The screen is not full yet.
    Searching,
    Next(Wanted),
}

impl Reading {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Newest => "reading the newest records",
            Self::Older => "reading older records",
            Self::Newer => "reading newer records",
            Self::Oldest => "reading the oldest records",
            Self::Around => "reading",
            Self::Searching => "searching",
            Self::Next(wanted) => wanted.words(),
        }
    }
}

/// Which record comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Warning,
    Error,
    SameRequest,
}

impl Wanted {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::SameRequest => "record of this request",
        }
    }
}

/// A read that is under way, as the status line tells it.
#[derive(Clone, Copy, Debug)]
pub struct Loading {
    pub what: Reading,
    pub scanned: u64,
}

/// The next record of a kind, asked of the store because the window has none.
#[derive(Clone, Debug)]
pub struct Seek {
    pub query: Query,
    pub what: Wanted,
}

/// What a read has brought.
#[derive(Debug)]
pub enum Brought {
    Newest(Page),
    Page(Page, Order),
    /// Older and newer than the time that was asked for.
    Around(Page, Page),
    Sought(Page, Order),
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Nothing,
    /// The next page on this side.
    ReadOn(Order),
    /// The window is round this time now; on the record that was wanted, or on the nearest.
    Landed {
        at: Timestamp,
        missed: bool,
    },
    /// The record that was sought.
    Found(Timestamp, RecordId),
    /// The store is searched on from here.
    SeekOn(Order, Cursor),
    /// There is none.
    Missing(Wanted, Order),
}

/// How the window is looked at while something comes in.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// The newest row is kept in sight.
    pub following: bool,
    /// Rows of the list.
    pub height: usize,
    pub now: Timestamp,
}

#[derive(Debug, Default)]
pub struct List {
    pub rows: Rows,
    /// Answers to others are dropped.
    pub question: Question,
    pub loading: Option<Loading>,
    /// Records looked at since the last question of the user.
    pub scanned: u64,
    pub read_at: Option<Timestamp>,
    landing: Landing,
    seek: Option<Seek>,
    /// The last read that was asked for: repeated when it failed.
    read: Option<LogsEffect>,
    /// Arrivals were left out because the window does not reach the newest.
    left_out: bool,
}

impl List {
    fn ask(&mut self, question: Question, what: Reading, read: LogsEffect) -> LogsEffect {
        self.question = question;
        self.loading = Some(Loading { what, scanned: 0 });
        self.read = Some(read.clone());
        read
    }

    /// Reads the newest page anew.
    pub fn newest(&mut self, question: Question, query: Query) -> LogsEffect {
        self.landing = Landing::Extend;
        self.seek = None;
        self.scanned = 0;
        self.ask(
            question,
            Reading::Newest,
            LogsEffect::Newest { question, query },
        )
    }

    /// A new window from the oldest record on.
    pub fn oldest(&mut self, question: Question, query: Query) -> LogsEffect {
        self.landing = Landing::First;
        let read = LogsEffect::Page {
            question,
            query,
            range: TimeRange::ALL,
            order: Order::OldestFirst,
            after: None,
        };
        self.ask(question, Reading::Oldest, read)
    }

    /// A new window round a time.
    pub fn around(
        &mut self,
        question: Question,
        query: Query,
        at: Timestamp,
        id: Option<RecordId>,
    ) -> LogsEffect {
        self.landing = Landing::At(at, id);
        self.seek = None;
        self.scanned = 0;
        let read = LogsEffect::Around {
            question,
            query,
            at,
        };
        self.ask(question, Reading::Around, read)
    }

    /// The page that follows the window on one side.
    pub fn page(&mut self, question: Question, query: Query, order: Order) -> LogsEffect {
        self.landing = Landing::Extend;
        let (what, after) = match order {
            Order::NewestFirst => (Reading::Older, self.rows.older_cursor()),
            Order::OldestFirst => {
                self.left_out = false;
                (Reading::Newer, self.rows.newer_cursor())
            }
        };
        let scanned = self.loading.map_or(0, |loading| loading.scanned);
        let read = LogsEffect::Page {
            question,
            query,
            range: TimeRange::ALL,
            order,
            after,
        };
        let read = self.ask(question, what, read);
        self.loading = Some(Loading { what, scanned });
        read
    }

    /// The next record of a kind, from `after` on.
    pub fn seek(
        &mut self,
        question: Question,
        seek: Seek,
        order: Order,
        after: Cursor,
    ) -> LogsEffect {
        self.scanned = 0;
        let what = Reading::Next(seek.what);
        let query = seek.query.clone();
        self.seek = Some(seek);
        let read = LogsEffect::Seek {
            question,
            query,
            order,
            after,
        };
        self.ask(question, what, read)
    }

    /// The same search from where it stopped; `None` when it was stopped.
    pub fn seek_on(
        &mut self,
        question: Question,
        order: Order,
        after: Cursor,
    ) -> Option<LogsEffect> {
        let scanned = self.scanned;
        let read = self.seek(question, self.seek.clone()?, order, after);
        self.scanned = scanned;
        if let Some(loading) = &mut self.loading {
            loading.scanned = scanned;
        }
        Some(read)
    }

    /// The last read once more.
    pub fn again(&self) -> Option<LogsEffect> {
        self.read.clone()
    }

    /// Which page to read because the focus has come near to an end that is not the store's.
    pub fn near_end(&self) -> Option<Order> {
        if self.loading.is_some() || self.rows.is_empty() {
            None
        } else if self.rows.focus() < NEAR_END && !self.rows.older_end {
            Some(Order::NewestFirst)
        } else if self.rows.focus() + NEAR_END >= self.rows.len() && !self.rows.newer_end {
            Some(Order::OldestFirst)
        } else {
            None
        }
    }

    /// Something is being looked for, which Esc stops.
    pub fn is_searching(&self) -> bool {
        let searching = |loading: &Loading| loading.what == Reading::Searching;
        self.seek.is_some() || self.loading.as_ref().is_some_and(searching)
    }

    /// Stops what is under way; false when nothing is. `question` is the number of the next one, so
    /// that what still comes is dropped.
    pub fn stop(&mut self, question: Question) -> bool {
        if self.loading.take().is_none() {
            return false;
        }
        self.seek = None;
        self.question = question;
        true
    }

    /// Rows of another filter would be wrong under the new title.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.read_at = None;
    }

    /// Takes what a read has brought.
    pub fn update(&mut self, brought: Brought, sight: Sight) -> Then {
        let pages = match &brought {
            Brought::Newest(page) | Brought::Page(page, _) | Brought::Sought(page, _) => {
                page.scanned.records
            }
            Brought::Around(older, newer) => older.scanned.records + newer.scanned.records,
        };
        self.scanned += pages;
        if !matches!(brought, Brought::Sought(..)) {
            self.read_at = Some(sight.now);
        }
        match brought {
            Brought::Newest(page) => self.newest_came(page, sight),
            Brought::Page(page, order) => self.page_came(page, order, sight),
            Brought::Around(older, newer) => self.both_came(older, newer, sight),
            Brought::Sought(page, order) => self.sought_came(&page, order),
        }
    }

    fn newest_came(&mut self, page: Page, sight: Sight) -> Then {
        self.rows.clear();
        self.rows.newer_end = true;
        self.rows.older_end = page.next.is_none();
        self.rows.older_from = page.next.map(|end| end.cursor);
        self.rows.merge(page.records);
        if sight.following {
            self.rows.to_end(sight.height);
        }
        let full = page.next.map(|end| end.full);
        self.on_if_short(full, Order::NewestFirst, sight)
    }

    fn page_came(&mut self, page: Page, order: Order, sight: Sight) -> Then {
        if self.landing == Landing::First {
            self.rows.clear();
            self.rows.older_end = true;
            self.landing = Landing::Extend;
        }
        let was_empty = self.rows.is_empty();
        self.rows.merge(page.records);
        let cursor = page.next.map(|end| end.cursor);
        match order {
            Order::NewestFirst => {
                self.rows.older_end = page.next.is_none();
                self.rows.older_from = cursor;
            }
            Order::OldestFirst => {
                self.rows.newer_end = page.next.is_none();
                self.rows.newer_from = cursor;
            }
        }
        if was_empty {
            self.rows.set_focus(0, sight.height);
        }
        if sight.following {
            self.rows.to_end(sight.height);
        }
        // Records that arrived while the last page was read are in neither.
        if order == Order::OldestFirst && page.next.is_none() && self.left_out {
            self.rows.newer_end = false;
            return Then::ReadOn(order);
        }
        self.on_if_short(page.next.map(|end| end.full), order, sight)
    }

    /// After a page that was cut short by the scan limit: goes on until the screen is full.
    fn on_if_short(&mut self, more: Option<bool>, order: Order, sight: Sight) -> Then {
        let full_screen = self.rows.len() >= sight.height * 2;
        if more.is_none() || more == Some(true) || full_screen {
            self.loading = None;
            return Then::Nothing;
        }
        self.loading = Some(Loading {
            what: Reading::Searching,
            scanned: self.scanned,
        });
        Then::ReadOn(order)
    }

    fn both_came(&mut self, older: Page, newer: Page, sight: Sight) -> Then {
        let Landing::At(at, id) = self.landing else {
            return Then::Nothing;
        };
        self.landing = Landing::Extend;
        self.loading = None;
        self.rows.clear();
        self.rows.older_end = older.next.is_none();
        self.rows.newer_end = newer.next.is_none();
        self.rows.older_from = older.next.map(|end| end.cursor);
        self.rows.newer_from = newer.next.map(|end| end.cursor);
        self.rows.merge(older.records);
        self.rows.merge(newer.records);
        let known = id.and_then(|id| self.rows.position(id, at));
        let focus = known.unwrap_or_else(|| self.rows.nearest(at));
        self.rows.set_focus(focus, sight.height);
        self.rows.center(sight.height);
        Then::Landed {
            at,
            missed: id.is_some() && known.is_none(),
        }
    }

    fn sought_came(&mut self, page: &Page, order: Order) -> Then {
        let Some(what) = self.seek.as_ref().map(|seek| seek.what) else {
            return Then::Nothing;
        };
        if let Some(record) = page.records.first() {
            return Then::Found(record.entry.timestamp, record.id());
        }
        if let Some(end) = page.next {
            return Then::SeekOn(order, end.cursor);
        }
        self.seek = None;
        self.loading = None;
        Then::Missing(what, order)
    }

    /// Puts arrivals in; those beyond an end that is not the store's own wait for its page.
    pub fn arrive(&mut self, records: Vec<Record>, sight: Sight) {
        let (inside, outside): (Vec<Record>, Vec<Record>) = records
            .into_iter()
            .partition(|record| self.rows.covers(record));
        // In an empty window there is nothing that it could hide.
        let inside = if self.rows.is_empty() && self.rows.newer_end {
            inside.into_iter().chain(outside).collect()
        } else {
            self.left_out |= !outside.is_empty();
            inside
        };
        if sight.following {
            self.rows.follow(inside, sight.height);
        } else {
            self.rows.merge(inside);
        }
    }
}
