//! To the next record of a kind: hit, error, warning, of the same request, gap, bookmark.

use super::actions::notice;
use super::list::{Seek, Wanted};
use super::work::Effect;
use super::{Context, LogsTab, View};
use crate::tui::action::Action;
use crate::tui::widgets::safe_text;
use atalaya_domain::record::{Level, Record};
use atalaya_query::{Query, term_text};
use atalaya_store::chunks::Order;

impl LogsTab {
    /// `None`: another kind of action.
    pub(super) fn act_on_next(
        &mut self,
        action: Action,
        context: &Context<'_>,
    ) -> Option<Vec<Effect>> {
        Some(match action {
            Action::NextHit => self.step_hit(true, context),
            Action::PreviousHit => self.step_hit(false, context),
            Action::NextError => self.step_level(true, Wanted::Error, context),
            Action::PreviousError => self.step_level(false, Wanted::Error, context),
            Action::NextWarning => self.step_level(true, Wanted::Warning, context),
            Action::PreviousWarning => self.step_level(false, Wanted::Warning, context),
            Action::NextSameRequest => self.step_request(true, context),
            Action::PreviousSameRequest => self.step_request(false, context),
            Action::NextGap => self.step_gap(true, context),
            Action::PreviousGap => self.step_gap(false, context),
            Action::NextBookmark => self.step_bookmark(true, context),
            Action::PreviousBookmark => self.step_bookmark(false, context),
            _ => return None,
        })
    }

    pub(super) fn first_hit(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let focus = self.focus_index();
        let Some(search) = &self.search else {
            return Vec::new();
        };
        if search.count() == 0 {
            return notice(format!(
                "`{}` is not in the loaded records; `f` searches the store",
                safe_text::line(&search.needle)
            ));
        }
        // The hit under the cursor counts; else the nearest older one, since reading goes upwards from the newest.
        if !search.is_on_hit(focus)
            && let Some((index, _)) = search.next(focus, false)
        {
            self.jump(index, context);
        }
        Vec::new()
    }

    fn step_hit(&mut self, forward: bool, context: &Context<'_>) -> Vec<Effect> {
        let Some(search) = &self.search else {
            return notice("nothing is searched for; `/` begins");
        };
        match search.next(self.focus_index(), forward) {
            None => notice(format!(
                "`{}` is not in the loaded records",
                safe_text::line(&search.needle)
            )),
            Some((index, wrapped)) => {
                self.jump(index, context);
                let mut effects = self.load_if_near_end();
                if wrapped {
                    effects.extend(notice(if forward {
                        "the search went on from the first hit"
                    } else {
                        "the search went on from the last hit"
                    }));
                }
                effects
            }
        }
    }

    /// To the next row that fulfils `is`: of the window, else of the store.
    fn step_to(
        &mut self,
        forward: bool,
        what: Wanted,
        query: Option<Query>,
        is: impl Fn(&Record) -> bool,
        context: &Context<'_>,
    ) -> Vec<Effect> {
        let found = match &self.view {
            View::List => self.list.rows.find(forward, &is),
            View::Context(view) => view.rows.find(forward, &is),
            View::Trace(trace) => trace.find(forward, |index| trace.record(index).is_some_and(&is)),
        };
        if let Some(index) = found {
            self.jump(index, context);
            return self.load_if_near_end();
        }
        let rows = &self.list.rows;
        let (at_end, cursor, order) = if forward {
            (rows.newer_end, rows.newer_cursor(), Order::OldestFirst)
        } else {
            (rows.older_end, rows.older_cursor(), Order::NewestFirst)
        };
        match (&self.view, query, cursor) {
            (View::List, Some(query), Some(after)) if !at_end => {
                let query = self.filter.query.and(&query);
                self.follow.pause();
                let question = self.ask();
                let read = self.list.seek(question, Seek { query, what }, order, after);
                vec![Effect::Work(read)]
            }
            _ => notice(format!(
                "no {} {} this one",
                what.words(),
                if forward { "after" } else { "before" }
            )),
        }
    }

    fn step_level(&mut self, forward: bool, what: Wanted, context: &Context<'_>) -> Vec<Effect> {
        let warning = what == Wanted::Warning;
        let text = if warning {
            "level:warning"
        } else {
            "level>=error"
        };
        let query = Query::parse(text, &Self::clock(context)).ok();
        let is = move |record: &Record| {
            if warning {
                record.entry.level == Level::Warning
            } else {
                record.entry.level >= Level::Error
            }
        };
        self.step_to(forward, what, query, is, context)
    }

    fn step_request(&mut self, forward: bool, context: &Context<'_>) -> Vec<Effect> {
        let Some(id) = self.request_id() else {
            return notice("this record carries no request id");
        };
        let query = Query::parse(&term_text("request_id", id.as_str()), &Self::clock(context)).ok();
        self.step_to(
            forward,
            Wanted::SameRequest,
            query,
            move |record| record.entry.request_id.as_ref() == Some(&id),
            context,
        )
    }

    fn step_gap(&mut self, forward: bool, context: &Context<'_>) -> Vec<Effect> {
        let View::Trace(trace) = &self.view else {
            return Vec::new();
        };
        match trace.find(forward, |index| trace.gap(index).is_some()) {
            Some(index) => {
                self.jump(index, context);
                Vec::new()
            }
            None => notice("no further gap"),
        }
    }

    fn step_bookmark(&mut self, forward: bool, context: &Context<'_>) -> Vec<Effect> {
        if self.bookmarks.is_empty() {
            return notice("no bookmarks; `m` sets one");
        }
        let Some((at, id)) = self.bookmarks.next(self.current(), forward) else {
            return Vec::new();
        };
        self.view = View::List;
        match self.list.rows.position(id, at) {
            Some(index) => {
                self.jump(index, context);
                self.load_if_near_end()
            }
            None => {
                self.remember_place();
                self.load_around(at, Some(id))
            }
        }
    }
}
