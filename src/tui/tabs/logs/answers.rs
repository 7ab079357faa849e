//! What the store brought: into the window, the chart, the trace; with the reason when it failed.

use std::time::Duration;

use super::work::Effect;
use super::{
    CONTEXT, Context, FOLLOW, FOLLOW_PAUSE, HISTOGRAM, LIST, Landing, Loading, LogsAnswer,
    LogsEffect, LogsTab, Order, RETRY, Reading, TRACE, View,
};
use crate::tui::ask::Notice;
use atalaya_domain::record::Record;
use atalaya_store::engine::Page;

impl LogsTab {
    pub(super) fn take(&mut self, answer: LogsAnswer, context: &Context<'_>) -> Vec<Effect> {
        match answer {
            LogsAnswer::Newest { question, result } if question == self.list_question => {
                match result {
                    Ok((page, follower)) => {
                        self.follower = Some(follower);
                        self.follow_running = false;
                        self.newest(page, context)
                    }
                    Err(reason) => self.list_failed(reason, context),
                }
            }
            LogsAnswer::Page {
                question,
                order,
                result,
            } if question == self.list_question => match result {
                Ok(page) => self.page(page, order, context),
                Err(reason) => self.list_failed(reason, context),
            },
            LogsAnswer::Around { question, result } if question == self.list_question => {
                match result {
                    Ok((older, newer)) => self.around(older, newer, context),
                    Err(reason) => self.list_failed(reason, context),
                }
            }
            LogsAnswer::Sought {
                question,
                order,
                result,
            } if question == self.list_question => match result {
                Ok(page) => self.sought(&page, order),
                Err(reason) => self.list_failed(reason, context),
            },
            LogsAnswer::Arrived {
                question,
                follower,
                result,
            } if question == self.follow_question => {
                self.follow_running = false;
                self.follower = Some(follower);
                self.arrived(result, context)
            }
            LogsAnswer::Histogram { question, result } if question == self.chart.question => {
                self.chart.loading = false;
                match result {
                    Ok(data) => {
                        self.chart.data = Some(data);
                        self.chart.failed = None;
                        self.outages.passed(HISTOGRAM);
                    }
                    Err(reason) => {
                        self.outages.failed(HISTOGRAM, reason.clone(), context.now);
                        self.chart.failed = Some(reason);
                    }
                }
                Vec::new()
            }
            LogsAnswer::Deployments { question, result } if question == self.chart.question => {
                match result {
                    Ok(deployments) => self.chart.deployments = deployments,
                    Err(reason) => self.chart.failed = Some(reason),
                }
                Vec::new()
            }
            LogsAnswer::Context { question, result } => {
                self.context_arrived(question, result, context)
            }
            LogsAnswer::Trace { question, result } => {
                let height = self.list_height(context);
                let View::Trace(trace) = &mut self.view else {
                    return Vec::new();
                };
                if trace.question != question {
                    return Vec::new();
                }
                match result {
                    Ok(data) => {
                        trace.fill(data, context.now);
                        trace.set_focus(trace.focus, height.saturating_sub(1));
                        self.outages.passed(TRACE);
                    }
                    Err(reason) => {
                        self.outages.failed(TRACE, reason.clone(), context.now);
                        trace.failed = Some(reason);
                    }
                }
                self.refresh_search();
                Vec::new()
            }
            // The answer to an older question.
            _ => vec![Effect::Unchanged],
        }
    }

    /// The read stays under way until it has worked or was stopped: it is repeated by the clock.
    fn list_failed(&mut self, reason: String, context: &Context<'_>) -> Vec<Effect> {
        self.outages.failed(LIST, reason, context.now);
        Vec::new()
    }

    fn newest(&mut self, page: Page, context: &Context<'_>) -> Vec<Effect> {
        self.outages.passed(LIST);
        self.outages.passed(FOLLOW);
        self.read_at = Some(context.now);
        self.scanned += page.scanned.records;
        self.rows.clear();
        self.rows.newer_end = true;
        self.rows.older_end = page.next.is_none();
        self.rows.older_from = page.next.map(|end| end.cursor);
        let first_load = self.chart.follows_clock();
        let newest = page.records.first().map(|record| record.entry.timestamp);
        self.rows.merge(page.records);
        if self.following {
            self.rows.to_end(self.list_height(context));
        }
        self.refresh_search();
        let mut effects =
            self.go_on_if_short(page.next.map(|end| end.full), Order::NewestFirst, context);
        effects.extend(self.follow_on(FOLLOW_PAUSE));
        // Old logs: the chart of the last hour would be empty, so it goes to where the records are.
        if let Some(newest) = newest.filter(|_| first_load)
            && self.chart.show(newest, context.now)
        {
            effects.extend(self.load_chart(context));
        }
        effects
    }

    /// After a page that was cut short by the scan limit: goes on until the screen is full.
    fn go_on_if_short(
        &mut self,
        more: Option<bool>,
        order: Order,
        context: &Context<'_>,
    ) -> Vec<Effect> {
        let full_screen = self.rows.len() >= self.list_height(context) * 2;
        if more.is_none() || more == Some(true) || full_screen {
            self.loading = None;
            return Vec::new();
        }
        self.loading = Some(Loading {
            what: Reading::Searching,
            scanned: self.scanned,
        });
        self.load_page(order)
    }

    fn page(&mut self, page: Page, order: Order, context: &Context<'_>) -> Vec<Effect> {
        self.outages.passed(LIST);
        self.read_at = Some(context.now);
        self.scanned += page.scanned.records;
        let height = self.list_height(context);
        if self.landing == Landing::First {
            self.rows.clear();
            self.rows.older_end = true;
            self.landing = Landing::Extend;
        }
        let before = self.rows.len();
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
        if before == 0 {
            self.rows.set_focus(0, height);
        }
        if self.following {
            self.rows.to_end(height);
        }
        self.refresh_search();
        // Records that arrived while the last page was read are in neither.
        if order == Order::OldestFirst && page.next.is_none() && self.left_out {
            self.rows.newer_end = false;
            return self.load_page(order);
        }
        self.go_on_if_short(page.next.map(|end| end.full), order, context)
    }

    fn around(&mut self, older: Page, newer: Page, context: &Context<'_>) -> Vec<Effect> {
        let Landing::At(at, id) = self.landing else {
            return Vec::new();
        };
        self.outages.passed(LIST);
        self.landing = Landing::Extend;
        self.loading = None;
        self.read_at = Some(context.now);
        self.scanned += older.scanned.records + newer.scanned.records;
        self.rows.clear();
        self.rows.older_end = older.next.is_none();
        self.rows.newer_end = newer.next.is_none();
        self.rows.older_from = older.next.map(|end| end.cursor);
        self.rows.newer_from = newer.next.map(|end| end.cursor);
        self.rows.merge(older.records);
        self.rows.merge(newer.records);
        let height = self.list_height(context);
        let known = id.and_then(|id| self.rows.position(id, at));
        self.rows
            .set_focus(known.unwrap_or_else(|| self.rows.nearest(at)), height);
        self.rows.center(height);
        self.following = false;
        self.unseen = 0;
        self.refresh_search();
        let mut effects = self.follow_on(FOLLOW_PAUSE);
        if self.chart.show(at, context.now) {
            effects.extend(self.load_chart(context));
        }
        if id.is_some() && known.is_none() {
            effects.push(Effect::Notice(Notice::plain(
                "that record is not among what the filter shows; this is the nearest",
            )));
        }
        effects
    }

    fn sought(&mut self, page: &Page, order: Order) -> Vec<Effect> {
        self.outages.passed(LIST);
        self.scanned += page.scanned.records;
        let Some(seek) = self.seek.clone() else {
            return Vec::new();
        };
        if let Some(record) = page.records.first() {
            let (at, id) = (record.entry.timestamp, record.id());
            return self.load_around(at, Some(id));
        }
        if let Some(end) = page.next {
            let question = self.ask();
            self.list_question = question;
            self.loading = Some(Loading {
                what: Reading::Next(seek.what),
                scanned: self.scanned,
            });
            return self.read_list(LogsEffect::Seek {
                question,
                query: seek.query,
                order,
                after: end.cursor,
            });
        }
        self.seek = None;
        self.loading = None;
        let side = if order == Order::NewestFirst {
            "before"
        } else {
            "after"
        };
        vec![Effect::Notice(Notice::plain(format!(
            "no {} {side} this one",
            seek.what.words()
        )))]
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
            .read_at
            .is_none_or(|at| context.now.since(at) >= Duration::from_secs(10));
        self.read_at = Some(context.now);
        if records.is_empty() {
            let mut effects = self.follow_on(FOLLOW_PAUSE);
            if !had_failed && !was_old {
                effects.push(Effect::Unchanged);
            }
            return effects;
        }
        self.chart.count(records.iter());
        let arrived = records.len() as u64;
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
        if self.following {
            self.rows.follow(inside, self.list_height(context));
        } else {
            self.rows.merge(inside);
            self.unseen += arrived;
        }
        if matches!(self.view, View::List) {
            self.refresh_search();
        }
        self.follow_on(FOLLOW_PAUSE)
    }

    fn context_arrived(
        &mut self,
        question: crate::tui::ask::Question,
        result: Result<Vec<Record>, String>,
        context: &Context<'_>,
    ) -> Vec<Effect> {
        let height = self.list_height(context);
        let View::Context(view) = &mut self.view else {
            return Vec::new();
        };
        if view.question != question {
            return Vec::new();
        }
        match result {
            Ok(records) => {
                self.outages.passed(CONTEXT);
                view.rows.clear();
                view.rows.merge(records);
                let (id, at) = (view.anchor.id(), view.anchor.entry.timestamp);
                let index = view
                    .rows
                    .position(id, at)
                    .unwrap_or_else(|| view.rows.nearest(at));
                view.rows.set_focus(index, height);
                view.rows.center(height);
            }
            Err(reason) => {
                view.failed = Some(reason.clone());
                self.outages.failed(CONTEXT, reason, context.now);
            }
        }
        self.refresh_search();
        Vec::new()
    }
}
