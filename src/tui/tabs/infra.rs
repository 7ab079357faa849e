//! The Infra tab: the host, the stores, the ring behind them, and the account of every file that is
//! ingested.
//!
//! Everything arrives by itself (measurements each few seconds, accounts as they change); the tab
//! asks no store anything, so it answers when the stores do not. What a ring said last stays on the
//! screen, with its time, when it goes away.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::outage::Outages;
use crate::service::advice;
use crate::tui::action::Action;
use crate::tui::ask::{self, Destination, Notice, TabId};
use crate::tui::keymap::{Binding, Scope};
use crate::tui::tab::{Configured, Context, NoWork, Screen, Tab, TabEvent, TabStatus};
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::health::ring::Ring;
use atalaya_domain::health::{Health, Status};
use atalaya_domain::time::Timestamp;
use atalaya_ingest::accounts::{FileAccount, IngestStatus, Unread};
use atalaya_query::term_text;

mod account;
mod cells;
mod checks;
mod files;
mod host;
mod keys;
mod node;
mod ring;
mod sheet;
mod spool;
mod view;

#[cfg(test)]
pub(crate) mod tests;

/// This tab asks for no work.
type Effect = ask::Effect<NoWork>;

/// One line of the ingest table.
#[derive(Clone, Copy, Debug)]
enum Row<'a> {
    File(&'a FileAccount),
    /// Found, and not read.
    Unread(&'a Unread),
}

/// Which table has the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panel {
    Ring,
    Files,
}

/// What lies over the tables, and the first line in sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Over {
    what: Subject,
    top: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Of the file or the node under the cursor.
    Details,
    Checks,
}

#[derive(Debug, Default)]
pub struct InfraTab {
    health: Option<Arc<Health>>,
    /// The last measurement that reached the ring: what was on the screen stays when it goes away.
    ring: Option<Arc<Health>>,
    ingest: Option<Arc<IngestStatus>>,
    /// The path under the cursor: rows come and go, the choice stays.
    chosen: Option<std::path::PathBuf>,
    /// The node under the cursor, by address.
    chosen_node: Option<String>,
    /// `None` until somebody chose: then the files, or the ring when there are none.
    panel: Option<Panel>,
    over: Option<Over>,
    /// Stores that do not answer the measurement.
    outages: Outages,
}

impl InfraTab {
    /// Trouble first, then by path; what is not read at the end.
    fn rows(&self) -> Vec<Row<'_>> {
        let Some(ingest) = &self.ingest else {
            return Vec::new();
        };
        let mut files: Vec<&FileAccount> = ingest.files.iter().collect();
        files.sort_by_key(|file| (!file.state.is_trouble(), &file.path));
        files
            .into_iter()
            .map(Row::File)
            .chain(ingest.unread.iter().map(Row::Unread))
            .collect()
    }

    fn position(&self, rows: &[Row<'_>]) -> usize {
        rows.iter()
            .position(|row| Some(path_of(*row)) == self.chosen.as_deref())
            .unwrap_or(0)
    }

    fn ring(&self) -> Option<&Ring> {
        self.ring.as_ref()?.ring.as_ref()
    }

    /// When the ring on the screen was measured, if that is not the last measurement.
    fn ring_is_older(&self) -> Option<Timestamp> {
        let (ring, last) = (self.ring.as_ref()?, self.health.as_ref()?);
        (ring.at < last.at).then_some(ring.at)
    }

    fn ring_has_keys(&self) -> bool {
        self.ring().is_some()
            && match self.panel {
                Some(panel) => panel == Panel::Ring,
                None => self.rows().is_empty(),
            }
    }

    fn node_position(&self, ring: &Ring) -> usize {
        let chosen = self.chosen_node.as_deref();
        ring.nodes
            .iter()
            .position(|node| Some(node.address.as_str()) == chosen)
            .unwrap_or(0)
    }

    fn move_to(&mut self, context: &Context<'_>, step: impl FnOnce(usize, usize) -> usize) {
        if let Some(Over { what, top }) = self.over {
            let last = sheet::last_top(self, what, context);
            self.over = Some(Over {
                what,
                top: step(top, last + 1).min(last),
            });
            return;
        }
        if self.ring_has_keys() {
            let Some(ring) = self.ring().filter(|ring| !ring.nodes.is_empty()) else {
                return;
            };
            let wanted = step(self.node_position(ring), ring.nodes.len()).min(ring.nodes.len() - 1);
            self.chosen_node = Some(ring.nodes[wanted].address.clone());
            return;
        }
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
            Action::Down => self.move_to(context, |at, _| at + 1),
            Action::Up => self.move_to(context, |at, _| at.saturating_sub(1)),
            Action::HalfPageDown | Action::PageDown => self.move_to(context, |at, _| at + page),
            Action::HalfPageUp | Action::PageUp => {
                self.move_to(context, |at, _| at.saturating_sub(page));
            }
            Action::First => self.move_to(context, |_, _| 0),
            Action::Last => self.move_to(context, |_, count| count.saturating_sub(1)),
            // An empty table takes no keys.
            Action::NextPanel | Action::PreviousPanel
                if self.over.is_none() && !self.rows().is_empty() =>
            {
                self.panel = Some(if self.ring_has_keys() {
                    Panel::Files
                } else {
                    Panel::Ring
                });
            }
            Action::Explain if self.over.is_none_or(|over| over.what != Subject::Checks) => {
                self.over = self.health.is_some().then_some(Over {
                    what: Subject::Checks,
                    top: 0,
                });
            }
            Action::Open if self.over.is_none() => {
                let something = self.ring_has_keys() || !self.rows().is_empty();
                self.over = something.then_some(Over {
                    what: Subject::Details,
                    top: 0,
                });
            }
            Action::Open | Action::Back | Action::Close | Action::Explain => self.over = None,
            keys::SOURCE_LOGS => {
                let rows = self.rows();
                if let Some(Row::File(FileAccount {
                    source: Some(source),
                    ..
                })) = rows
                    .get(self.position(&rows))
                    .copied()
                    .filter(|_| !self.ring_has_keys())
                {
                    return vec![Effect::Go(Destination::Logs {
                        filter: term_text("source", source),
                        at: None,
                    })];
                }
                return vec![Effect::Notice(Notice::plain(
                    "nothing is read of this file",
                ))];
            }
            _ => {}
        }
        Vec::new()
    }

    fn measured(&mut self, health: Arc<Health>) {
        for store in &health.stores {
            match &store.problem {
                Some(problem) => {
                    self.outages
                        .failed(store.name, safe_text::line(problem), health.at);
                }
                None => {
                    self.outages.passed(store.name);
                }
            }
        }
        if health.ring.is_some() {
            self.ring = Some(Arc::clone(&health));
        }
        self.health = Some(health);
    }
}

fn path_of(row: Row<'_>) -> &std::path::Path {
    match row {
        Row::File(file) => &file.path,
        Row::Unread(unread) => &unread.path,
    }
}

impl Screen for InfraTab {
    fn scopes(&self) -> &'static [Scope] {
        &[keys::INFRA, Scope::LIST]
    }

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        view::render(self, area, buffer, context);
    }

    fn status(&self, context: &Context<'_>) -> TabStatus {
        let mut pieces = Vec::new();
        if let Some(health) = &self.health {
            let troubles = health
                .checks
                .iter()
                .filter(|check| check.status != Status::Ok)
                .count();
            if let Some(ring) = self.ring() {
                let (up, all) = (ring.up(), ring.nodes.len());
                let role = if up == all { Role::Good } else { Role::Warning };
                pieces.push((role, format!("{up} of {all} nodes up")));
            }
            pieces.push(match troubles {
                0 => (Role::Good, format!("{} checks ok", health.checks.len())),
                count => (
                    Role::Warning,
                    format!("{count} of {} checks not ok", health.checks.len()),
                ),
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
                .and_then(|ingest| ingest.paused.as_ref())
                .map(|reason| {
                    format!(
                        "nothing is stored now: {}",
                        safe_text::line(&advice::say(reason))
                    )
                })
                .or_else(|| self.outages.banner(context.now, context.zone)),
            hints: vec![
                if self.over.is_some() {
                    Action::Back
                } else {
                    Action::Open
                },
                Action::Explain,
                Action::NextPanel,
                keys::SOURCE_LOGS,
            ],
        }
    }

    fn at_top(&self) -> bool {
        self.over.is_none()
    }

    fn is_idle(&self, action: Action) -> bool {
        match action {
            // What is shown arrives by itself, in tables that fit the width.
            Action::Left
            | Action::Right
            | Action::HistoryBack
            | Action::HistoryForward
            | Action::Reload => true,
            Action::NextPanel | Action::PreviousPanel => {
                self.ring().is_none() || self.rows().is_empty()
            }
            keys::SOURCE_LOGS => self.ring_has_keys(),
            _ => false,
        }
    }
}

impl Tab for InfraTab {
    const ID: TabId = TabId::new("infra", "Infra");
    const KEYS: &'static [Binding] = keys::KEYS;

    type Work = NoWork;
    type Saved = ();

    fn open(_configured: &Configured, (): ()) -> Self {
        Self::default()
    }

    fn saved(&self) {}

    fn update(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect> {
        match event {
            TabEvent::Health(health) => self.measured(health),
            TabEvent::Ingest(ingest) => {
                let known = self.ingest.replace(Arc::clone(&ingest));
                if known.is_some_and(|known| known.says_the_same(&ingest)) {
                    return vec![Effect::Unchanged];
                }
            }
            TabEvent::Troubles(troubles) => self
                .outages
                .set_under_way(troubles.reads.or(troubles.writes)),
            TabEvent::Action(action) => return self.act(action, context),
            _ => {}
        }
        Vec::new()
    }

    fn answered(&mut self, answer: NoWork, _context: &Context<'_>) -> Vec<Effect> {
        match answer {}
    }
}
