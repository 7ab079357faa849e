//! The Alerts tab: what fires, why (with the evidence taken at that moment), and what to do; below
//! it what is over, beside it every rule with its present value.

mod detail;
mod keys;
#[cfg(test)]
mod tests;
mod view;
mod work;

use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::work::{AlertsAnswer, AlertsEffect, Change, silence_of};
use super::refresh::Refresh;
use crate::service::alerts::{AlertSettings, Board, RuleView};
use crate::tui::action::Action;
use crate::tui::ask::{
    self, Destination, Notice, PromptHint, PromptRequest, Prompted, Question, TabId,
};
use crate::tui::keymap::{Binding, Scope};
use crate::tui::tab::{Configured, Context, Screen, Tab, TabEvent, TabStatus};
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::alert::{Alert, State};
use atalaya_domain::time::Timestamp;

/// Rules are evaluated each minute; somebody who waits for one sees it soon after.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// Without an evaluation for this long nobody is watching, and the screen says so.
const EVALUATION_LATE_SECONDS: u64 = 5 * 60;

const ACKNOWLEDGE: &str = "alert-acknowledge";
const UNTIL_WORSE: &str = "alert-until-worse";
const SILENCE: &str = "alert-silence";

type Effect = ask::Effect<AlertsEffect>;

/// Which list has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Panel {
    #[default]
    Alerts,
    Rules,
}

#[derive(Debug, Default)]
pub struct AlertsTab {
    settings: Option<Arc<AlertSettings>>,
    board: Option<Board>,
    panel: Panel,
    /// Id of the alert under the cursor, and name of the rule: they come and go, the choice stays.
    chosen: Option<String>,
    chosen_rule: Option<String>,
    /// The first row of the opened detail; `None` while the list has the keys.
    opened: Option<usize>,
    refresh: Refresh,
    /// The number of the last change.
    asked: Question,
    /// It is not answered yet. A second one would take its place before it is written.
    writing: bool,
    /// Whom the open prompt is about: the list may be another one when it is accepted.
    about: Option<String>,
}

impl AlertsTab {
    fn alerts(&self) -> &[Alert] {
        self.board.as_ref().map_or(&[], |board| &board.alerts)
    }

    fn rules(&self) -> &[RuleView] {
        self.board.as_ref().map_or(&[], |board| &board.rules)
    }

    fn position(&self) -> usize {
        let found = match self.panel {
            Panel::Alerts => self
                .alerts()
                .iter()
                .position(|alert| Some(&alert.id) == self.chosen.as_ref()),
            Panel::Rules => self
                .rules()
                .iter()
                .position(|rule| Some(&rule.name) == self.chosen_rule.as_ref()),
        };
        found.unwrap_or(0)
    }

    fn current(&self) -> Option<&Alert> {
        (self.panel == Panel::Alerts)
            .then(|| self.alerts().get(self.position()))
            .flatten()
    }

    fn current_rule(&self) -> Option<&RuleView> {
        (self.panel == Panel::Rules)
            .then(|| self.rules().get(self.position()))
            .flatten()
    }

    fn move_to(&mut self, step: impl FnOnce(usize) -> usize) {
        if let Some(first_row) = &mut self.opened {
            *first_row = step(*first_row);
            return;
        }
        let wanted = step(self.position());
        match self.panel {
            Panel::Alerts => {
                let last = self.alerts().len().saturating_sub(1);
                let id = self.alerts().get(wanted.min(last));
                self.chosen = id.map(|alert| alert.id.clone());
            }
            Panel::Rules => {
                let last = self.rules().len().saturating_sub(1);
                let rule = self.rules().get(wanted.min(last));
                self.chosen_rule = rule.map(|rule| rule.name.clone());
            }
        }
    }

    fn read(&mut self, now: Timestamp) -> Vec<Effect> {
        vec![Effect::Work(AlertsEffect::Read {
            question: self.refresh.ask(),
            now,
            settings: self.settings.clone(),
        })]
    }

    fn write(&mut self, change: Change, now: Timestamp) -> Vec<Effect> {
        if self.writing {
            let notice = "the last change is still being written; try again when it is";
            return vec![Effect::Notice(Notice::trouble(notice.to_owned()))];
        }
        self.asked = self.asked.next();
        self.writing = true;
        vec![Effect::Work(AlertsEffect::Write {
            question: self.asked,
            change,
            now,
            settings: self.settings.clone(),
        })]
    }

    fn act(&mut self, action: Action, context: &Context<'_>) -> Vec<Effect> {
        let page = usize::from(context.area.height / 2).max(1);
        match action {
            Action::Down => self.move_to(|at| at + 1),
            Action::Up => self.move_to(|at| at.saturating_sub(1)),
            Action::HalfPageDown | Action::PageDown => self.move_to(|at| at + page),
            Action::HalfPageUp | Action::PageUp => self.move_to(|at| at.saturating_sub(page)),
            Action::First => self.move_to(|_| 0),
            Action::Last => self.move_to(|at| at.max(10_000)),
            Action::NextPanel | Action::PreviousPanel => {
                self.opened = None;
                self.panel = match self.panel {
                    Panel::Alerts => Panel::Rules,
                    Panel::Rules => Panel::Alerts,
                };
            }
            Action::Explain => self.opened = self.opened.xor(Some(0)),
            Action::Back | Action::Close => self.opened = None,
            Action::Reload => return self.read(context.now),
            Action::Open => return vec![self.logs_of_moment(context.now)],
            Action::Trace => return vec![self.trace()],
            keys::DEPLOYMENT => return vec![self.deployment()],
            keys::ACKNOWLEDGE => return vec![self.ask_acknowledge(ACKNOWLEDGE)],
            keys::UNTIL_WORSE => return vec![self.ask_acknowledge(UNTIL_WORSE)],
            keys::SILENCE => return vec![self.ask_silence()],
            _ => {}
        }
        Vec::new()
    }

    /// The records that the rule counts, at the moment when it began to fire.
    fn logs_of_moment(&self, now: Timestamp) -> Effect {
        let (query, at) = match (self.current(), self.current_rule()) {
            (Some(alert), _) => {
                let evidence = alert.evidence.as_ref().map(|evidence| evidence.at);
                (alert.rule.query.clone(), evidence.unwrap_or(alert.since()))
            }
            (None, Some(rule)) => (rule.query.clone(), rule.measured_at.unwrap_or(now)),
            (None, None) => return Effect::Notice(Notice::plain("there is nothing to open")),
        };
        match query {
            Some(filter) => Effect::Go(Destination::Logs {
                filter,
                at: Some(at),
            }),
            None => Effect::Go(Destination::Logs {
                filter: String::new(),
                at: Some(at),
            }),
        }
    }

    fn trace(&self) -> Effect {
        let ids = self
            .current()
            .and_then(|alert| alert.evidence.as_ref())
            .map(|evidence| evidence.request_ids.clone())
            .filter(|ids| !ids.is_empty());
        match ids {
            Some(ids) => Effect::Go(Destination::Trace(ids)),
            None => Effect::Notice(Notice::plain("its records carry no request id")),
        }
    }

    /// What went out last before it fired.
    fn deployment(&self) -> Effect {
        let evidence = self.current().and_then(|alert| alert.evidence.as_ref());
        let found =
            evidence.and_then(|evidence| Some((evidence.at, evidence.deployment.as_ref()?)));
        match found {
            Some((at, deployment)) => Effect::Go(Destination::Deployment {
                id: deployment.id.clone(),
                at: at.saturating_sub(Duration::from_secs(deployment.seconds_before)),
            }),
            None => Effect::Notice(Notice::plain("no deployment is known before it")),
        }
    }

    fn ask_acknowledge(&mut self, kind: &'static str) -> Effect {
        let firing = self
            .current()
            .filter(|alert| alert.state == State::Firing)
            .map(|alert| (alert.id.clone(), safe_text::line(&alert.rule.name)));
        match firing {
            Some((id, name)) => {
                self.about = Some(id);
                Effect::Prompt(PromptRequest {
                    kind,
                    label: format!("{name} is seen; note for the others "),
                    text: String::new(),
                })
            }
            None => Effect::Notice(Notice::plain("only an alert that fires is acknowledged")),
        }
    }

    fn ask_silence(&mut self) -> Effect {
        let alert = self.current().map(|alert| alert.rule.name.clone());
        let rule = alert.or_else(|| self.current_rule().map(|rule| rule.name.clone()));
        match rule {
            Some(rule) => {
                let label = format!("silence {} for, because ", safe_text::line(&rule));
                self.about = Some(rule);
                Effect::Prompt(PromptRequest {
                    kind: SILENCE,
                    label,
                    text: "2h ".to_owned(),
                })
            }
            None => Effect::Notice(Notice::plain("there is no rule to silence")),
        }
    }

    fn prompted(&mut self, kind: &str, text: &str, context: &Context<'_>) -> Vec<Effect> {
        let Some(about) = self.about.take() else {
            return Vec::new();
        };
        let text = text.trim();
        let change = match kind {
            SILENCE => match silence_of(text) {
                Ok((length, reason)) => Change::Silence {
                    rule: about,
                    length,
                    reason,
                },
                Err(help) => return vec![Effect::Notice(Notice::trouble(help))],
            },
            _ => Change::Acknowledge {
                id: about,
                note: Some(text.to_owned()).filter(|note| !note.is_empty()),
                until_worse: kind == UNTIL_WORSE,
            },
        };
        self.write(change, context.now)
    }

    /// Why what is shown may not be all: nobody evaluates.
    fn unwatched(&self, now: Timestamp) -> Option<String> {
        let board = self.board.as_ref()?;
        let late = match board.evaluated_at {
            None => "the rules were never evaluated".to_owned(),
            Some(at) if now.since(at).as_secs() > EVALUATION_LATE_SECONDS => format!(
                "the rules were last evaluated {} ago",
                clock::coarse(now.since(at))
            ),
            Some(_) => return None,
        };
        Some(format!(
            "{late}; `atalaya serve`, or a console that runs the jobs, does it"
        ))
    }
}

impl Screen for AlertsTab {
    fn scopes(&self) -> &'static [Scope] {
        &[keys::ALERTS, Scope::LIST]
    }

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        view::render(self, area, buffer, context);
    }

    fn status(&self, context: &Context<'_>) -> TabStatus {
        let mut pieces = Vec::new();
        if let Some(board) = &self.board {
            let count = |state| {
                let of_state = board.alerts.iter().filter(|alert| alert.state == state);
                of_state.count()
            };
            pieces.push(match count(State::Firing) {
                0 => (Role::Good, "nothing fires".to_owned()),
                firing => (Role::Bad, format!("{firing} firing")),
            });
            if count(State::Pending) > 0 {
                pieces.push((Role::Warning, format!("{} pending", count(State::Pending))));
            }
            pieces.push((Role::Muted, format!("{} rules", board.rules.len())));
            if !board.silences.is_empty() {
                pieces.push((Role::Muted, format!("{} silences", board.silences.len())));
            }
        }
        if self.writing {
            pieces.push((Role::Accent, "writing".to_owned()));
        }
        TabStatus {
            pieces,
            data_at: self.refresh.at(),
            live: false,
            banner: self
                .refresh
                .banner(context.now, context.zone)
                .or_else(|| self.unwatched(context.now)),
            hints: vec![
                Action::Open,
                Action::Explain,
                keys::ACKNOWLEDGE,
                keys::SILENCE,
                Action::Trace,
                keys::DEPLOYMENT,
                Action::NextPanel,
            ],
        }
    }

    fn at_top(&self) -> bool {
        self.opened.is_none()
    }

    fn is_idle(&self, action: Action) -> bool {
        match action {
            Action::Left | Action::Right | Action::HistoryBack | Action::HistoryForward => true,
            keys::ACKNOWLEDGE | keys::UNTIL_WORSE | Action::Trace => self.panel == Panel::Rules,
            _ => false,
        }
    }

    fn prompt_hint(
        &self,
        kind: &str,
        text: &str,
        _cursor: usize,
        _context: &Context<'_>,
    ) -> PromptHint {
        let help = match kind {
            SILENCE => match silence_of(text.trim()) {
                Ok((length, _)) => format!("silent for {}", clock::coarse(length)),
                Err(help) => help,
            },
            UNTIL_WORSE => "no reminders until its value is worse than now".to_owned(),
            _ => "no reminders until it is over".to_owned(),
        };
        PromptHint {
            help,
            ..PromptHint::default()
        }
    }
}

impl Tab for AlertsTab {
    const ID: TabId = TabId::new("alerts", "Alerts");
    const KEYS: &'static [Binding] = keys::KEYS;

    type Work = AlertsEffect;
    type Saved = ();

    fn open(configured: &Configured, (): ()) -> Self {
        Self {
            settings: configured.alerts.clone(),
            ..Self::default()
        }
    }

    fn saved(&self) {}

    fn update(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect> {
        match event {
            TabEvent::Entered | TabEvent::Tick
                if !self.writing && self.refresh.is_due(READ_AGAIN, context.now) =>
            {
                self.read(context.now)
            }
            TabEvent::Action(action) => self.act(action, context),
            TabEvent::Prompted {
                kind,
                step: Prompted::Accepted(text),
            } => self.prompted(kind, &text, context),
            _ => Vec::new(),
        }
    }

    fn answered(&mut self, answer: AlertsAnswer, context: &Context<'_>) -> Vec<Effect> {
        match answer {
            AlertsAnswer::Read {
                question,
                at,
                result,
            } => {
                if let Some(board) = self.refresh.answered(question, at, result, context.now) {
                    self.board = Some(board);
                }
                Vec::new()
            }
            AlertsAnswer::Written { question, .. } if question != self.asked => Vec::new(),
            AlertsAnswer::Written { result, .. } => {
                self.writing = false;
                let notice = match result {
                    Ok(done) => Notice::plain(safe_text::line(&done)),
                    Err(reason) => Notice::trouble(reason),
                };
                let mut effects = self.read(context.now);
                effects.push(Effect::Notice(notice));
                effects
            }
        }
    }
}
