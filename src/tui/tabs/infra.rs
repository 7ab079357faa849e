//! The Infra tab: the host, the stores, the ring behind them, the account of every file that is
//! ingested, and the jobs of the service.
//!
//! Measurements and accounts arrive by themselves; only the jobs, their runs and the history of the
//! measures are read from the metrics store, so the rest answers when that store does not. What a
//! ring said last stays on the screen, with its time, when it goes away.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::outage::Outages;
use crate::service::advice;
use crate::tui::action::Action;
use crate::tui::ask::{self, Destination, Notice, TabId};
use crate::tui::keymap::{Binding, Scope};
use crate::tui::tab::{Configured, Context, Screen, Tab, TabEvent, TabStatus};
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
mod history;
mod host;
mod jobs;
mod keys;
mod node;
mod ring;
mod sheet;
mod spool;
mod view;
mod work;

use self::history::Histories;
use self::jobs::Jobs;
pub use self::work::{InfraAnswer, InfraEffect};

#[cfg(test)]
pub(crate) mod tests;

/// Asked before a job runs out of its schedule.
const RUN: &str = "job-run";

type Effect = ask::Effect<InfraEffect>;

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
    Jobs,
}

/// What lies over the tables, and the first line in sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Over {
    what: Subject,
    top: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Of the file, the node or the job under the cursor.
    Details,
    Checks,
    History,
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
    /// `None` until somebody chose.
    panel: Option<Panel>,
    over: Option<Over>,
    jobs: Jobs,
    histories: Histories,
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

    /// The tables that something stands in, as they follow each other on the screen.
    fn panels(&self) -> impl Iterator<Item = Panel> + '_ {
        let stands = |panel: &Panel| match panel {
            Panel::Ring => self.ring().is_some(),
            Panel::Files => !self.rows().is_empty(),
            Panel::Jobs => !self.jobs.list().is_empty(),
        };
        [Panel::Ring, Panel::Files, Panel::Jobs]
            .into_iter()
            .filter(stands)
    }

    /// The table that has the keys: the one that was chosen while something stands in it, else the
    /// files, else the first.
    fn panel(&self) -> Option<Panel> {
        let stands = |wanted| self.panels().any(|panel| panel == wanted);
        self.panel
            .filter(|panel| stands(*panel))
            .or_else(|| Some(Panel::Files).filter(|panel| stands(*panel)))
            .or_else(|| self.panels().next())
    }

    fn has_keys(&self, panel: Panel) -> bool {
        self.panel() == Some(panel)
    }

    /// The table `step` further, round and round.
    fn turn_panel(&mut self, back: bool) {
        let panels: Vec<Panel> = self.panels().collect();
        let here = panels.iter().position(|panel| self.has_keys(*panel));
        let Some(here) = here else { return };
        let step = if back { panels.len() - 1 } else { 1 };
        self.panel = panels.get((here + step) % panels.len()).copied();
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
        match self.panel() {
            None => {}
            Some(Panel::Jobs) => self.jobs.move_to(step),
            Some(Panel::Ring) => {
                let Some(ring) = self.ring().filter(|ring| !ring.nodes.is_empty()) else {
                    return;
                };
                let last = ring.nodes.len() - 1;
                let wanted = step(self.node_position(ring), ring.nodes.len()).min(last);
                self.chosen_node = Some(ring.nodes[wanted].address.clone());
            }
            Some(Panel::Files) => {
                let rows = self.rows();
                let wanted = step(self.position(&rows), rows.len()).min(rows.len() - 1);
                self.chosen = Some(path_of(rows[wanted]).to_path_buf());
            }
        }
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
            Action::NextPanel | Action::PreviousPanel if self.over.is_none() => {
                self.turn_panel(action == Action::PreviousPanel);
            }
            Action::Explain if self.over.is_none_or(|over| over.what != Subject::Checks) => {
                self.over = self.health.is_some().then_some(over(Subject::Checks));
            }
            keys::HISTORY => {
                self.over = Some(over(Subject::History));
                return vec![Effect::Work(self.histories.ask(context.now))];
            }
            Action::Open if self.over.is_none() => {
                self.over = self.panel().map(|_| over(Subject::Details));
                if self.has_keys(Panel::Jobs) {
                    return self
                        .jobs
                        .open_runs()
                        .map(Effect::Work)
                        .into_iter()
                        .collect();
                }
            }
            Action::Open | Action::Back | Action::Close | Action::Explain => self.over = None,
            Action::Reload => return vec![Effect::Work(self.jobs.ask(context.now))],
            keys::RUN => return vec![self.ask_run()],
            keys::SOURCE_LOGS => {
                let rows = self.rows();
                if let Some(Row::File(FileAccount {
                    source: Some(source),
                    ..
                })) = rows
                    .get(self.position(&rows))
                    .copied()
                    .filter(|_| self.has_keys(Panel::Files))
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

    fn ask_run(&mut self) -> Effect {
        let job = self.jobs.current().filter(|_| self.has_keys(Panel::Jobs));
        match job.map(|job| job.info.name) {
            Some(name) => {
                self.jobs.about = Some(name);
                Effect::Confirm {
                    kind: RUN,
                    question: format!("run {name} now?"),
                }
            }
            None => Effect::Notice(Notice::plain("Tab goes to the jobs: R runs the chosen one")),
        }
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

const fn over(what: Subject) -> Over {
    Over { what, top: 0 }
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
                .or_else(|| self.outages.banner(context.now, context.zone))
                .or_else(|| self.jobs.refresh.banner(context.now, context.zone)),
            hints: vec![
                if self.over.is_some() {
                    Action::Back
                } else {
                    Action::Open
                },
                Action::Explain,
                Action::NextPanel,
                keys::HISTORY,
                keys::RUN,
                keys::SOURCE_LOGS,
            ],
        }
    }

    fn at_top(&self) -> bool {
        self.over.is_none()
    }

    fn is_idle(&self, action: Action) -> bool {
        match action {
            // The tables fit the width.
            Action::Left | Action::Right | Action::HistoryBack | Action::HistoryForward => true,
            Action::NextPanel | Action::PreviousPanel => self.panels().count() < 2,
            keys::SOURCE_LOGS => !self.has_keys(Panel::Files),
            keys::RUN => !self.has_keys(Panel::Jobs),
            _ => false,
        }
    }
}

impl Tab for InfraTab {
    const ID: TabId = TabId::new("infra", "Infra");
    const KEYS: &'static [Binding] = keys::KEYS;

    type Work = InfraEffect;
    type Saved = ();

    fn open(configured: &Configured, (): ()) -> Self {
        Self {
            jobs: Jobs::of(Arc::clone(&configured.jobs)),
            ..Self::default()
        }
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
            TabEvent::Entered | TabEvent::Tick if self.jobs.is_due(context.now) => {
                return vec![Effect::Work(self.jobs.ask(context.now))];
            }
            TabEvent::Confirmed { kind: RUN } => {
                return self.jobs.run().map(Effect::Work).into_iter().collect();
            }
            _ => {}
        }
        Vec::new()
    }

    fn answered(&mut self, answer: InfraAnswer, context: &Context<'_>) -> Vec<Effect> {
        match answer {
            InfraAnswer::Jobs {
                question,
                at,
                result,
            } => {
                self.jobs.read(question, at, result, context.now);
                let is_open = self.over.is_some_and(|over| over.what == Subject::Details);
                if is_open && self.has_keys(Panel::Jobs) {
                    return self.jobs.ask_runs().map(Effect::Work).into_iter().collect();
                }
            }
            InfraAnswer::Runs { question, result } => self.jobs.read_runs(question, result),
            InfraAnswer::History { question, result } => self.histories.read(question, result),
            InfraAnswer::Asked(Ok(done)) => {
                let read = Effect::Work(self.jobs.ask(context.now));
                return vec![Effect::Notice(Notice::plain(done)), read];
            }
            InfraAnswer::Asked(Err(reason)) => {
                return vec![Effect::Notice(Notice::trouble(reason))];
            }
        }
        Vec::new()
    }
}
