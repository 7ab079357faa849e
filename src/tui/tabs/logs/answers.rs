//! What the store brought: into the list, the chart, the trace; with the reason when it failed.

use std::time::Duration;

use super::list::{Brought, Then};
use super::work::Effect;
use super::{
    CONTEXT, FOLLOW, FOLLOW_PAUSE, HISTOGRAM, LIST, LogsAnswer, LogsTab, RETRY, TRACE, View,
};
use crate::tui::ask::{Notice, Question};
use crate::tui::tab::Context;
use atalaya_domain::record::Record;
use atalaya_store::chunks::Order;
use atalaya_store::engine::{Follower, Page};

impl LogsTab {
    pub(super) fn take(&mut self, answer: LogsAnswer, context: &Context<'_>) -> Vec<Effect> {
        if !self.is_awaited(&answer) {
            return vec![Effect::Unchanged];
        }
        match answer {
            LogsAnswer::Newest { result, .. } => self.newest_came(result, context),
            LogsAnswer::Page { order, result, .. } => {
                self.came(result.map(|page| Brought::Page(page, order)), context)
            }
            LogsAnswer::Around { result, .. } => {
                let brought = result.map(|(older, newer)| Brought::Around(older, newer));
                self.came(brought, context)
            }
            LogsAnswer::Sought { order, result, .. } => {
                self.came(result.map(|page| Brought::Sought(page, order)), context)
            }
            LogsAnswer::Arrived {
                follower, result, ..
            } => {
                self.follow.update(follower);
                self.arrived(result, context)
            }
            LogsAnswer::Histogram { result, .. } => {
                self.noted(HISTOGRAM, result.as_ref(), context);
                self.chart.update(result);
                Vec::new()
            }
            LogsAnswer::Marks { result, .. } => {
                self.chart.update_marks(result);
                Vec::new()
            }
            LogsAnswer::Context { result, .. } => {
                self.noted(CONTEXT, result.as_ref(), context);
                let height = self.list_height(context);
                if let View::Context(view) = &mut self.view {
                    view.update(result, height);
                }
                self.refresh_search();
                Vec::new()
            }
            LogsAnswer::Trace { result, .. } => {
                self.noted(TRACE, result.as_ref(), context);
                let height = self.list_height(context);
                if let View::Trace(trace) = &mut self.view {
                    trace.update(result, context.now, height.saturating_sub(1));
                }
                self.refresh_search();
                Vec::new()
            }
        }
    }

    /// Not the answer to an older question.
    fn is_awaited(&self, answer: &LogsAnswer) -> bool {
        let (question, last): (&Question, Option<Question>) = match answer {
            LogsAnswer::Newest { question, .. }
            | LogsAnswer::Page { question, .. }
            | LogsAnswer::Around { question, .. }
            | LogsAnswer::Sought { question, .. } => (question, Some(self.list.question)),
            LogsAnswer::Arrived { question, .. } => (question, Some(self.follow.question)),
            LogsAnswer::Histogram { question, .. } | LogsAnswer::Marks { question, .. } => {
                (question, Some(self.chart.question))
            }
            LogsAnswer::Context { question, .. } => match &self.view {
                View::Context(view) => (question, Some(view.question)),
                _ => (question, None),
            },
            LogsAnswer::Trace { question, .. } => match &self.view {
                View::Trace(trace) => (question, Some(trace.question)),
                _ => (question, None),
            },
        };
        last == Some(*question)
    }

    /// Tells the banner how a read went.
    fn noted<T>(&mut self, read: &'static str, result: Result<&T, &String>, context: &Context<'_>) {
        match result {
            Ok(_) => _ = self.outages.passed(read),
            Err(reason) => self.outages.failed(read, reason.clone(), context.now),
        }
    }

    fn newest_came(
        &mut self,
        result: Result<(Page, Follower), String>,
        context: &Context<'_>,
    ) -> Vec<Effect> {
        let (page, follower) = match result {
            Ok(both) => both,
            Err(reason) => return self.came(Err(reason), context),
        };
        self.follow.update(follower);
        self.outages.passed(FOLLOW);
        let first_load = self.chart.follows_clock();
        let newest = page.records.first().map(|record| record.entry.timestamp);
        let mut effects = self.came(Ok(Brought::Newest(page)), context);
        effects.extend(self.follow_on(FOLLOW_PAUSE));
        // Old logs: the chart of the last hour would be empty, so it goes to where the records are.
        if let Some(newest) = newest.filter(|_| first_load)
            && self.chart.show(newest, context.now)
        {
            effects.extend(self.load_chart(context));
        }
        effects
    }

    /// A read of the list has ended, well or not. One that failed stays under way until it has
    /// worked or was stopped: it is repeated by the clock.
    fn came(&mut self, brought: Result<Brought, String>, context: &Context<'_>) -> Vec<Effect> {
        self.noted(LIST, brought.as_ref(), context);
        let Ok(brought) = brought else {
            return Vec::new();
        };
        let then = self.list.update(brought, self.sight(context));
        if let Then::Landed { .. } = then {
            self.follow.state = super::follow::FollowState::Paused;
            self.follow.unseen = 0;
        }
        self.refresh_search();
        self.go_on(then, context)
    }

    fn go_on(&mut self, then: Then, context: &Context<'_>) -> Vec<Effect> {
        match then {
            Then::Nothing => Vec::new(),
            Then::ReadOn(order) => self.load_page(order),
            Then::Found(at, id) => self.load_around(at, Some(id)),
            Then::SeekOn(order, after) => {
                let question = self.ask();
                let read = self.list.seek_on(question, order, after);
                read.map(Effect::Work).into_iter().collect()
            }
            Then::Landed { at, missed } => {
                let mut effects = self.follow_on(FOLLOW_PAUSE);
                if self.chart.show(at, context.now) {
                    effects.extend(self.load_chart(context));
                }
                if missed {
                    effects.push(Effect::Notice(Notice::plain(
                        "that record is not among what the filter shows; this is the nearest",
                    )));
                }
                effects
            }
            Then::Missing(what, order) => {
                let side = match order {
                    Order::NewestFirst => "before",
                    Order::OldestFirst => "after",
                };
                vec![Effect::Notice(Notice::plain(format!(
                    "no {} {side} this one",
                    what.words()
                )))]
            }
        }
    }

    fn arrived(
        &mut self,
        result: Result<Vec<Record>, String>,
        context: &Context<'_>,
    ) -> Vec<Effect> {
        let records = match result {
            Ok(records) => records,
            Err(reason) => {
                self.outages.failed(FOLLOW, reason, context.now);
                return self.follow_on(RETRY);
            }
        };
        let had_failed = self.outages.passed(FOLLOW);
        // Told by age only when it was not live: otherwise the header would have to be drawn again.
        let was_old = self
            .list
            .read_at
            .is_none_or(|at| context.now.since(at) >= Duration::from_secs(10));
        self.list.read_at = Some(context.now);
        if records.is_empty() {
            let mut effects = self.follow_on(FOLLOW_PAUSE);
            if !had_failed && !was_old {
                effects.push(Effect::Unchanged);
            }
            return effects;
        }
        self.chart.count(records.iter());
        if !self.follow.is_on() {
            self.follow.unseen += records.len() as u64;
        }
        self.list.arrive(records, self.sight(context));
        if matches!(self.view, View::List) {
            self.refresh_search();
        }
        self.follow_on(FOLLOW_PAUSE)
    }
}
