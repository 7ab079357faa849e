//! The Infra tab: the host, the stores, and the account of every file that is ingested.
//!
//! Everything arrives by itself (measurements each few seconds, accounts as they change); the tab
//! asks no store anything, so it answers when the stores do not.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio_util::sync::CancellationToken;

use super::{Context, Tab, TabEvent, TabStatus};
use crate::domain::health::{Health, Status};
use crate::ingest::accounts::{FileAccount, IngestStatus, Unread};
use crate::query::term_text;
use crate::service::Stores;
use crate::tui::action::Action;
use crate::tui::effect::{Effect, Notice};
use crate::tui::keymap::Scope;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};

mod view;

#[cfg(test)]
pub(crate) mod tests;

/// This tab asks for no work.
#[derive(Clone, Debug)]
pub enum InfraEffect {}

impl InfraEffect {
    pub fn slot(&self) -> &'static str {
        match *self {}
    }
}

/// … and gets no answers.
#[derive(Debug)]
pub enum InfraAnswer {}

#[expect(clippy::unused_async, reason = "called as the work of the other tabs is")]
pub async fn perform(
    effect: InfraEffect,
    _stores: &Stores,
    _cancel: &CancellationToken,
) -> Option<InfraAnswer> {
    match effect {}
}

/// One line of the ingest table.
#[derive(Clone, Copy, Debug)]
enum Row<'a> {
    File(&'a FileAccount),
    /// Found, and not read.
    Unread(&'a Unread),
}

#[derive(Debug, Default)]
pub struct InfraTab {
    health: Option<Arc<Health>>,
    ingest: Option<Arc<IngestStatus>>,
    /// The path under the cursor: rows come and go, the choice stays.
    chosen: Option<std::path::PathBuf>,
    details: bool,
}

impl InfraTab {
    /// Trouble first, then by path; what is not read at the end.
    fn rows(&self) -> Vec<Row<'_>> {
        let Some(ingest) = &self.ingest else { return Vec::new() };
        let mut files: Vec<&FileAccount> = ingest.files.iter().collect();
        files.sort_by_key(|file| (!file.state.is_trouble(), &file.path));
        files.into_iter().map(Row::File).chain(ingest.unread.iter().map(Row::Unread)).collect()
    }

    fn position(&self, rows: &[Row<'_>]) -> usize {
        rows.iter().position(|row| Some(path_of(*row)) == self.chosen.as_deref()).unwrap_or(0)
    }

    fn move_to(&mut self, step: impl FnOnce(usize, usize) -> usize) {
        let rows = self.rows();
        if rows.is_empty() {
            return;
        }
        let wanted = step(self.position(&rows), rows.len()).min(rows.len() - 1);
        self.chosen = Some(path_of(rows[wanted]).to_path_buf());
    }

    fn act(&mut self, action: Action, context: &Context<'_>) -> Vec<Effect> {
        let page = usize::from(context.area.height / 2).max(1);
        match action {
            Action::Down => self.move_to(|at, _| at + 1),
            Action::Up => self.move_to(|at, _| at.saturating_sub(1)),
            Action::HalfPageDown | Action::PageDown => self.move_to(|at, _| at + page),
            Action::HalfPageUp | Action::PageUp => self.move_to(|at, _| at.saturating_sub(page)),
            Action::First => self.move_to(|_, _| 0),
            Action::Last => self.move_to(|_, count| count.saturating_sub(1)),
            Action::Open => self.details = !self.rows().is_empty(),
            Action::Back | Action::Close => self.details = false,
            Action::SourceLogs => {
                let rows = self.rows();
                if let Some(Row::File(FileAccount { source: Some(source), .. })) =
                    rows.get(self.position(&rows)).copied()
                {
                    return vec![Effect::OpenLogs { filter: term_text("source", source), at: None }];
                }
                return vec![Effect::Notice(Notice::plain("nothing is read of this file"))];
            }
            _ => {}
        }
        Vec::new()
    }
}

fn path_of(row: Row<'_>) -> &std::path::Path {
    match row {
        Row::File(file) => &file.path,
        Row::Unread(unread) => &unread.path,
    }
}

impl Tab for InfraTab {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Infra, Scope::List]
    }

    fn update(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect> {
        match event {
            TabEvent::Health(health) => self.health = Some(health),
            TabEvent::Ingest(ingest) => self.ingest = Some(ingest),
            TabEvent::Action(action) => return self.act(action, context),
            _ => {}
        }
        Vec::new()
    }

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        view::render(self, area, buffer, context);
    }

    fn status(&self, _context: &Context<'_>) -> TabStatus {
        let mut pieces = Vec::new();
        if let Some(health) = &self.health {
            let troubles = health.checks.iter().filter(|check| check.status != Status::Ok).count();
            pieces.push(match troubles {
                0 => (Role::Good, format!("{} checks ok", health.checks.len())),
                count => (Role::Warning, format!("{count} of {} checks not ok", health.checks.len())),
            });
        }
        if let Some(ingest) = &self.ingest {
            pieces.push((
                Role::Muted,
                format!(
                    "{} records stored by this run, {:.0}/s",
                    clock::count(ingest.totals.written),
                    ingest.rate
                ),
            ));
        }
        TabStatus {
            pieces,
            data_at: self.health.as_ref().map(|health| health.at),
            live: false,
            banner: self
                .ingest
                .as_ref()
                .and_then(|ingest| ingest.paused.as_deref())
                .map(|reason| format!("nothing is stored now: {}", safe_text::line(reason))),
            hints: vec![if self.details { Action::Back } else { Action::Open }, Action::SourceLogs],
        }
    }

    fn at_top(&self) -> bool {
        !self.details
    }

    fn is_idle(&self, action: Action) -> bool {
        // What is shown arrives by itself, in one panel that fits the width.
        matches!(
            action,
            Action::Left
                | Action::Right
                | Action::NextPanel
                | Action::PreviousPanel
                | Action::HistoryBack
                | Action::HistoryForward
                | Action::Reload
        )
    }
}
