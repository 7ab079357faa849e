//! The PDCA tab: cycles with baseline, target and what was found; the four phases of one; planning,
//! editing, starting, looking and deciding.

mod chart;
mod editor;
mod keys;
#[cfg(test)]
pub(crate) mod tests;
mod view;
mod work;

use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::editor::{Done, Editor, Purpose};
pub use self::work::{Change, PdcaAnswer, PdcaEffect};
use super::refresh::Refresh;
use crate::service::pdca::PdcaSettings;
use crate::tui::action::Action;
use crate::tui::ask::{
    self, Destination, Notice, PromptHint, PromptRequest, Prompted, Question, TabId,
};
use crate::tui::keymap::{Binding, Scope};
use crate::tui::tab::{Configured, Context, Screen, Tab, TabEvent, TabStatus};
use crate::tui::theme::Role;
use crate::tui::widgets::safe_text;
use atalaya_domain::dora::Metric;
use atalaya_domain::pdca::{BrokenCycle, Course, PdcaCycle, Proposal, Verdict};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

/// Cycles change by people's hands; a read once a minute is enough.
const READ_AGAIN: Duration = Duration::from_secs(60);

const START: &str = "pdca-start";
const DECIDE: &str = "pdca-decide";
const DISCARD: &str = "pdca-discard";

type Effect = ask::Effect<PdcaEffect>;

/// The course of the cycle with this id.
#[derive(Debug)]
struct ShownCourse {
    id: String,
    /// The last one that could be read; it stays while the next one is awaited.
    read: Option<Course>,
    /// Why the last answer brought none.
    trouble: Option<String>,
    /// The cycle was read again since.
    stale: bool,
}

#[derive(Debug, Default)]
pub struct PdcaTab {
    /// Thresholds, targets and baseline as configured.
    settings: Arc<PdcaSettings>,
    cycles: Option<Vec<PdcaCycle>>,
    /// What stands beside them and cannot be read.
    broken: Vec<BrokenCycle>,
    course: Option<ShownCourse>,
    /// The latest questions for a course, and for the form's forecast.
    asked_course: Question,
    asked_preview: Question,
    proposals: Vec<Proposal>,
    /// Id of the cycle under the cursor: cycles come and go, the choice stays.
    chosen: Option<String>,
    /// The first row of the opened cycle; `None` while the list has the keys.
    opened: Option<usize>,
    editor: Option<Editor>,
    /// Waits for a yes.
    decision: Option<(String, Verdict, String)>,
    refresh: Refresh,
    /// The number of the last change.
    asked: Question,
    writing: bool,
}

impl PdcaTab {
    pub fn new(settings: PdcaSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            ..Self::default()
        }
    }

    fn position(&self) -> usize {
        let cycles = self.cycles.as_deref().unwrap_or_default();
        cycles
            .iter()
            .position(|cycle| Some(&cycle.id) == self.chosen.as_ref())
            .unwrap_or(0)
    }

    fn current(&self) -> Option<&PdcaCycle> {
        self.cycles.as_ref()?.get(self.position())
    }

    fn move_to(&mut self, step: impl FnOnce(usize) -> usize) {
        if let Some(first_row) = &mut self.opened {
            *first_row = step(*first_row);
            return;
        }
        let at = self.position();
        let Some(cycles) = self.cycles.as_ref().filter(|cycles| !cycles.is_empty()) else {
            return;
        };
        let wanted = step(at).min(cycles.len() - 1);
        self.chosen = Some(cycles[wanted].id.clone());
    }

    /// Asks for the course of the chosen cycle, unless it is there and as new as the list.
    fn ask_course(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let Some(cycle) = self.current().cloned() else {
            return Vec::new();
        };
        let is_there = |course: &ShownCourse| course.id == cycle.id && !course.stale;
        if self.course.as_ref().is_some_and(is_there) {
            return Vec::new();
        }
        self.asked_course = self.asked_course.next();
        vec![Effect::Work(PdcaEffect::Course {
            question: self.asked_course,
            cycle: Box::new(cycle),
            now: context.now,
            settings: Arc::clone(&self.settings),
        })]
    }

    /// Asks what the form's plan can hope to find, when something of it has changed.
    fn ask_preview(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let Some(draft) = self.editor.as_mut().and_then(Editor::take_preview) else {
            return Vec::new();
        };
        self.asked_preview = self.asked_preview.next();
        vec![Effect::Work(PdcaEffect::Preview {
            question: self.asked_preview,
            draft: Box::new(draft),
            now: context.now,
            settings: Arc::clone(&self.settings),
        })]
    }

    fn read(&mut self, now: Timestamp) -> Vec<Effect> {
        vec![Effect::Work(PdcaEffect::Read {
            question: self.refresh.ask(),
            now,
            settings: Arc::clone(&self.settings),
        })]
    }

    fn write(&mut self, change: Change, now: Timestamp) -> Vec<Effect> {
        self.asked = self.asked.next();
        self.writing = true;
        vec![Effect::Work(PdcaEffect::Write {
            question: self.asked,
            change,
            now,
            settings: Arc::clone(&self.settings),
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
            Action::Open if self.current().is_some() => self.opened = self.opened.or(Some(0)),
            Action::Back | Action::Close => self.opened = None,
            Action::Reload => return self.read(context.now),
            keys::NEW => {
                let metric = self
                    .proposals
                    .first()
                    .map_or(Metric::ChangeLeadTime, |proposal| proposal.metric);
                self.editor = Some(Editor::plan(metric));
                return self.ask_preview(context);
            }
            _ => return self.act_on_cycle(action, context),
        }
        self.ask_course(context)
    }

    fn act_on_cycle(&mut self, action: Action, context: &Context<'_>) -> Vec<Effect> {
        let Some(cycle) = self.current().cloned() else {
            return Vec::new();
        };
        let prompt = |kind, label: String| {
            vec![Effect::Prompt(PromptRequest {
                kind,
                label,
                text: String::new(),
            })]
        };
        match action {
            keys::EDIT if cycle.state.is_closed() => {
                vec![Effect::Notice(Notice::plain(
                    "a closed cycle is not changed",
                ))]
            }
            keys::EDIT => {
                self.editor = Some(Editor::edit(&cycle));
                Vec::new()
            }
            keys::START => prompt(START, "what was applied ".to_owned()),
            keys::CHECK => self.write(Change::Check { id: cycle.id }, context.now),
            keys::DECIDE => prompt(DECIDE, "decision and why ".to_owned()),
            Action::Trace => vec![match request_of(&cycle) {
                Some(id) => Effect::Go(Destination::Trace(vec![id])),
                None => Effect::Notice(Notice::plain("this cycle carries no request id")),
            }],
            _ => Vec::new(),
        }
    }

    fn prompted(&mut self, kind: &str, text: &str, context: &Context<'_>) -> Vec<Effect> {
        let Some(id) = self.current().map(|cycle| cycle.id.clone()) else {
            return Vec::new();
        };
        match (kind, decision_of(text)) {
            (START, _) if !text.trim().is_empty() => self.write(
                Change::Start {
                    id,
                    what: text.trim().to_owned(),
                },
                context.now,
            ),
            (DECIDE, Some((verdict, why))) => {
                let question = format!(
                    "Record {verdict} for {}? It stays in its history.",
                    safe_text::line(&id)
                );
                self.decision = Some((id, verdict, why));
                vec![Effect::Confirm {
                    kind: DECIDE,
                    question,
                }]
            }
            (DECIDE, None) => vec![Effect::Notice(Notice::trouble(DECISION_HELP))],
            _ => Vec::new(),
        }
    }

    fn edited(&mut self, done: Done, context: &Context<'_>) -> Vec<Effect> {
        match done {
            Done::Still => self.ask_preview(context),
            Done::Closed => {
                self.editor = None;
                Vec::new()
            }
            Done::AskToDiscard => vec![Effect::Confirm {
                kind: DISCARD,
                question: "Throw away what was written here?".to_owned(),
            }],
            Done::Save => {
                let Some(editor) = self.editor.as_ref() else {
                    return Vec::new();
                };
                let change = match editor.purpose() {
                    Purpose::Plan => match editor.draft() {
                        Ok(draft) => Change::Plan(draft),
                        Err(reason) => return vec![Effect::Notice(Notice::trouble(reason))],
                    },
                    Purpose::Edit(id) => Change::Edit {
                        id: id.clone(),
                        texts: editor.texts(),
                    },
                };
                // The editor stays until the store has it: nothing written is lost to an error.
                self.write(change, context.now)
            }
        }
    }
}

/// The request that applied the change.
fn request_of(cycle: &PdcaCycle) -> Option<RequestId> {
    let id = cycle.applied.as_ref()?.request_id.as_ref()?;
    Some(RequestId::new(id.as_str()))
}

const DECISION_HELP: &str =
    "apply, revert, continue or escalate, and why: `apply faster, nothing got worse`";

/// `apply because …` as a decision with its reason; a decision without a reason is none.
fn decision_of(text: &str) -> Option<(Verdict, String)> {
    let (word, why) = text.trim().split_once(char::is_whitespace)?;
    Some((Verdict::from_word(word)?, why.trim().to_owned()))
}

impl Screen for PdcaTab {
    fn scopes(&self) -> &'static [Scope] {
        &[keys::PDCA, Scope::LIST]
    }

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        view::render(self, area, buffer, context);
    }

    fn status(&self, context: &Context<'_>) -> TabStatus {
        let cycles = self.cycles.as_deref().unwrap_or_default();
        let open = cycles
            .iter()
            .filter(|cycle| !cycle.state.is_closed())
            .count();
        let due = cycles
            .iter()
            .filter(|cycle| cycle.due_look(context.now).is_some())
            .count();
        let mut pieces = Vec::new();
        if self.cycles.is_some() {
            pieces.push((Role::Muted, format!("{} cycles, {open} open", cycles.len())));
        }
        if !self.broken.is_empty() {
            let text = format!("{} unreadable", self.broken.len());
            pieces.push((Role::Bad, text));
        }
        if due > 0 {
            pieces.push((Role::Warning, format!("{due} looks due")));
        }
        if self.writing {
            pieces.push((Role::Accent, "writing".to_owned()));
        }
        TabStatus {
            pieces,
            data_at: self.refresh.at(),
            live: false,
            banner: self.refresh.banner(context.now, context.zone),
            hints: vec![
                if self.opened.is_some() {
                    Action::Back
                } else {
                    Action::Open
                },
                keys::NEW,
                keys::EDIT,
                keys::START,
                keys::CHECK,
                keys::DECIDE,
            ],
        }
    }

    fn at_top(&self) -> bool {
        self.opened.is_none() && self.editor.is_none()
    }

    fn is_idle(&self, action: Action) -> bool {
        match action {
            Action::Left
            | Action::Right
            | Action::NextPanel
            | Action::PreviousPanel
            | Action::HistoryBack
            | Action::HistoryForward => true,
            Action::Open => self.opened.is_some() || self.current().is_none(),
            keys::EDIT | keys::START | keys::CHECK | keys::DECIDE => self.current().is_none(),
            Action::Trace => self.current().and_then(request_of).is_none(),
            _ => false,
        }
    }

    fn captures_keys(&self) -> bool {
        self.editor.is_some()
    }

    fn prompt_hint(
        &self,
        kind: &str,
        text: &str,
        _cursor: usize,
        _context: &Context<'_>,
    ) -> PromptHint {
        let mut hint = PromptHint::default();
        if kind == START {
            "from now on everything is \"after\"; Enter starts, Esc does not"
                .clone_into(&mut hint.help);
        } else if kind == DECIDE {
            DECISION_HELP.clone_into(&mut hint.help);
            if !text.contains(char::is_whitespace) {
                let typed = text.to_ascii_lowercase();
                hint.completions = Verdict::ALL
                    .into_iter()
                    .map(|verdict| verdict.name().to_ascii_lowercase())
                    .filter(|word| word.starts_with(&typed))
                    .collect();
            }
        }
        hint
    }
}

impl Tab for PdcaTab {
    const ID: TabId = TabId::new("pdca", "PDCA");
    const KEYS: &'static [Binding] = keys::KEYS;

    type Work = PdcaEffect;
    type Saved = ();

    fn open(configured: &Configured, (): ()) -> Self {
        Self::new(configured.pdca.clone())
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
            TabEvent::Confirmed { kind: DISCARD } => {
                self.editor = None;
                Vec::new()
            }
            TabEvent::Confirmed { kind: DECIDE } => match self.decision.take() {
                Some((id, verdict, why)) => {
                    self.write(Change::Decide { id, verdict, why }, context.now)
                }
                None => Vec::new(),
            },
            TabEvent::Key(key) => {
                let done = self
                    .editor
                    .as_mut()
                    .map_or(Done::Still, |editor| editor.key(key));
                self.edited(done, context)
            }
            TabEvent::Paste(text) => {
                if let Some(editor) = &mut self.editor {
                    editor.paste(&text);
                }
                self.ask_preview(context)
            }
            TabEvent::Ingest(_) | TabEvent::Health(_) => vec![Effect::Unchanged],
            _ => Vec::new(),
        }
    }

    fn answered(&mut self, answer: PdcaAnswer, context: &Context<'_>) -> Vec<Effect> {
        match answer {
            PdcaAnswer::Read {
                question,
                at,
                result,
            } => {
                let read = self.refresh.answered(question, at, result, context.now);
                if let Some((listing, proposals)) = read {
                    self.cycles = Some(listing.cycles);
                    self.broken = listing.broken;
                    if let Some(course) = &mut self.course {
                        course.stale = true;
                    }
                    self.proposals = proposals;
                }
                self.ask_course(context)
            }
            PdcaAnswer::Course {
                question,
                id,
                result,
            } if question == self.asked_course => {
                let before = self.course.take().filter(|course| course.id == id);
                let (read, trouble) = match result {
                    Ok(course) => (Some(course), None),
                    Err(reason) => (before.and_then(|course| course.read), Some(reason)),
                };
                self.course = Some(ShownCourse {
                    id,
                    read,
                    trouble,
                    stale: false,
                });
                Vec::new()
            }
            PdcaAnswer::Preview {
                question,
                sentences,
            } if question == self.asked_preview => {
                if let Some(editor) = &mut self.editor {
                    editor.show_preview(sentences);
                }
                Vec::new()
            }
            PdcaAnswer::Written { question, result } if question == self.asked => {
                self.writing = false;
                match result {
                    Ok(id) => {
                        self.editor = None;
                        self.chosen = Some(id);
                        self.read(context.now)
                    }
                    Err(reason) => vec![Effect::Notice(Notice::trouble(reason))],
                }
            }
            // The answer to an older question.
            _ => Vec::new(),
        }
    }
}
