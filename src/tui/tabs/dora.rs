//! The DORA tab: five cards, the deployments under them, and behind each of them why.
//!
//! One read brings the facts and the report made from them; pages (a deployment, an explanation,
//! the weekly review) are drawn from these without a further question, so they always agree with
//! the card they were opened from.

use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::outage::Outages;
use crate::report::dora_markdown;
use crate::service::dora::{ReportRequest, Window};
use crate::tui::action::Action;
use crate::tui::ask::{
    self, Destination, Notice, PromptHint, PromptRequest, Prompted, Question, TabId,
};
use crate::tui::keymap::{Binding, Scope};
use crate::tui::tab::{Configured, Context, Screen, Tab, TabEvent, TabStatus};
use crate::tui::theme::Role;
use atalaya_domain::dora::{DeploymentLine, DoraReport, Metric};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::{TimeRange, Timestamp};

mod effect;
mod keys;
mod offer;
mod pages;
mod remarks;
mod scope;
#[cfg(test)]
pub(crate) mod screens;
mod view;

pub use effect::{DoraAnswer, DoraEffect, Figures};
use offer::Offer;
pub use offer::Reading;
use pages::PageLine;
use scope::{read_scope, scope_text};

/// The one read, for what fails.
const REPORT: &str = "report";
/// Figures older than this are read again while the tab is on the screen.
const FRESH: Duration = Duration::from_secs(60);
/// Windows that the key goes round.
const WINDOWS_DAYS: [u64; 3] = [7, 30, 90];

type Effect = ask::Effect<DoraEffect>;

/// A page over the overview, with its own cursor.
#[derive(Clone, Debug, PartialEq)]
struct Page {
    subject: Subject,
    cursor: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Subject {
    /// By id, so that it stays the same deployment when the figures are read again.
    Deployment(String),
    Explanation(Metric),
    Review,
}

/// Which half of the overview has the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panel {
    Cards,
    Deployments,
}

#[derive(Debug)]
pub struct DoraTab {
    request: ReportRequest,
    asked: Question,
    loading: bool,
    entered: bool,
    figures: Option<Arc<Figures>>,
    offer: Offer,
    /// Why the last read failed; the older figures stay.
    outages: Outages,
    panel: Panel,
    card: usize,
    row: usize,
    pages: Vec<Page>,
    /// What `]` goes forward to.
    ahead: Vec<Page>,
}

impl Default for DoraTab {
    fn default() -> Self {
        Self::new(ReportRequest::days(30))
    }
}

impl DoraTab {
    /// Starts with this report.
    pub fn new(request: ReportRequest) -> Self {
        Self {
            request,
            asked: Question::default(),
            loading: false,
            entered: false,
            figures: None,
            offer: Offer::default(),
            outages: Outages::default(),
            panel: Panel::Deployments,
            card: 0,
            row: 0,
            pages: Vec::new(),
            ahead: Vec::new(),
        }
    }

    fn report(&self) -> Option<&DoraReport> {
        self.figures.as_ref().map(|figures| &figures.report)
    }

    fn selected(&self) -> Option<&DeploymentLine> {
        self.report()?.deployments.get(self.row)
    }

    fn metric(&self) -> Metric {
        Metric::ALL[self.card.min(Metric::ALL.len() - 1)]
    }

    fn load(&mut self, context: &Context<'_>) -> Vec<Effect> {
        self.asked = self.asked.next();
        self.loading = true;
        let request = Box::new(self.request.clone());
        let mut effects = vec![Effect::Work(DoraEffect::Load {
            question: self.asked,
            request,
            now: context.now,
        })];
        if let Some(folder) = self.offer.to_look_at() {
            effects.push(Effect::Work(DoraEffect::Look { folder }));
        }
        effects
    }

    /// Reads the repository here, because a person says so.
    fn sync(&mut self, context: &Context<'_>) -> Vec<Effect> {
        match self.offer.start(context.now) {
            Some(reading) => vec![Effect::Work(DoraEffect::Sync(Box::new(reading)))],
            None if self.offer.running.is_some() => Vec::new(),
            None => vec![Effect::Notice(Notice::plain(
                "nothing to read by hand here; atalaya dora sync --repo PATH reads another",
            ))],
        }
    }

    /// Goes to the last window of the same length that has deployments.
    fn show_last(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let last = self
            .figures
            .as_ref()
            .and_then(|figures| figures.loaded.last_window);
        match last {
            Some(range) => {
                self.request.window = Window::Between(range);
                self.row = 0;
                self.load(context)
            }
            None => vec![Effect::Notice(Notice::plain(
                "this window has deployments, or there are none before it",
            ))],
        }
    }

    /// Opens a deployment that something leads to; where the window on the screen has it not, the
    /// window that ends with it.
    fn go_to(&mut self, id: String, at: Timestamp, context: &Context<'_>) -> Vec<Effect> {
        let is_elsewhere = self.figures.is_some() && self.line_of(&id).is_none();
        self.open(Subject::Deployment(id));
        if !is_elsewhere {
            return Vec::new();
        }
        let day = Duration::from_secs(86_400);
        let until = at.saturating_add(day).min(context.now);
        self.request.window =
            Window::Between(TimeRange::new(until.saturating_sub(day * 30), until));
        self.row = 0;
        self.load(context)
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        self.report()
            .is_none_or(|report| now.since(report.generated_at) >= FRESH)
    }

    fn page_lines(&self, width: usize, context: &Context<'_>) -> Vec<PageLine> {
        match (&self.figures, self.pages.last()) {
            (Some(figures), Some(page)) => {
                pages::lines(figures, &page.subject, width, context.zone)
            }
            _ => Vec::new(),
        }
    }

    fn open(&mut self, subject: Subject) {
        self.ahead.clear();
        self.pages.push(Page { subject, cursor: 0 });
    }

    /// The request under the cursor, of a page's line or of the chosen deployment.
    fn request_id(&self, context: &Context<'_>) -> Option<RequestId> {
        match self.pages.last() {
            None => self.selected()?.deployment.request_id.clone(),
            Some(page) => {
                let lines = self.page_lines(usize::from(context.area.width), context);
                let of_line = lines
                    .get(page.cursor)
                    .and_then(|line| line.request_id.clone());
                of_line.or_else(|| match &page.subject {
                    Subject::Deployment(id) => self.line_of(id)?.deployment.request_id.clone(),
                    _ => None,
                })
            }
        }
    }

    fn line_of(&self, id: &str) -> Option<&DeploymentLine> {
        self.report()?
            .deployments
            .iter()
            .find(|line| line.deployment.id == id)
    }

    fn move_by(&mut self, context: &Context<'_>, step: impl FnOnce(usize, usize) -> usize) {
        let lines = self
            .page_lines(usize::from(context.area.width), context)
            .len();
        let rows = self.report().map_or(0, |report| report.deployments.len());
        match self.pages.last_mut() {
            Some(page) => page.cursor = step(page.cursor, lines).min(lines.saturating_sub(1)),
            None => {
                self.panel = Panel::Deployments;
                self.row = step(self.row, rows).min(rows.saturating_sub(1));
            }
        }
    }

    fn act(&mut self, action: Action, context: &Context<'_>) -> Vec<Effect> {
        match action {
            Action::Left if self.pages.is_empty() => {
                self.panel = Panel::Cards;
                self.card = self.card.saturating_sub(1);
            }
            Action::Right if self.pages.is_empty() => {
                self.panel = Panel::Cards;
                self.card = (self.card + 1).min(Metric::ALL.len() - 1);
            }
            Action::NextPanel | Action::PreviousPanel if self.pages.is_empty() => {
                self.panel = if self.panel == Panel::Cards {
                    Panel::Deployments
                } else {
                    Panel::Cards
                };
            }
            Action::Open => self.open_under_cursor(context),
            Action::Explain if self.figures.is_some() => {
                let subject = Subject::Explanation(self.metric());
                if self.pages.last().is_none_or(|page| page.subject != subject) {
                    self.open(subject);
                }
            }
            keys::WEEKLY_REVIEW
                if self.figures.is_some()
                    && self
                        .pages
                        .last()
                        .is_none_or(|page| page.subject != Subject::Review) =>
            {
                self.open(Subject::Review);
            }
            Action::Back | Action::Close | Action::HistoryBack => {
                if let Some(page) = self.pages.pop() {
                    self.ahead.push(page);
                }
            }
            Action::HistoryForward => {
                if let Some(page) = self.ahead.pop() {
                    self.pages.push(page);
                }
            }
            Action::Trace => {
                return vec![match self.request_id(context) {
                    Some(id) => Effect::Go(Destination::Trace(vec![id])),
                    None => Effect::Notice(Notice::plain("this row carries no request id")),
                }];
            }
            keys::WINDOW => {
                let days = match self.request.window {
                    Window::Last(length) => length.as_secs() / 86_400,
                    Window::Between(_) => 0,
                };
                let next = WINDOWS_DAYS
                    .iter()
                    .find(|&&known| known > days)
                    .unwrap_or(&WINDOWS_DAYS[0]);
                self.request.window = Window::days(*next);
                self.row = 0;
                return self.load(context);
            }
            keys::LAST => return self.show_last(context),
            keys::SYNC => return self.sync(context),
            Action::Reload => return self.load(context),
            keys::SCOPE => {
                return vec![Effect::Prompt(PromptRequest {
                    kind: "scope",
                    label: "show ".to_owned(),
                    text: scope_text(&self.request),
                })];
            }
            Action::Copy => return self.copy(),
            keys::EXPORT if self.figures.is_some() => {
                let day = crate::tui::widgets::clock::day(context.now, context.zone);
                return vec![Effect::Prompt(PromptRequest {
                    kind: "export",
                    label: "write to ".to_owned(),
                    text: format!("dora-{day}.md"),
                })];
            }
            other => self.act_on_place(other, context),
        }
        Vec::new()
    }

    fn act_on_place(&mut self, action: Action, context: &Context<'_>) {
        let page = usize::from(context.area.height / 2).max(1);
        match action {
            Action::Down => self.move_by(context, |at, _| at + 1),
            Action::Up => self.move_by(context, |at, _| at.saturating_sub(1)),
            Action::HalfPageDown => self.move_by(context, |at, _| at + page / 2),
            Action::HalfPageUp => self.move_by(context, |at, _| at.saturating_sub(page / 2)),
            Action::PageDown => self.move_by(context, |at, _| at + page),
            Action::PageUp => self.move_by(context, |at, _| at.saturating_sub(page)),
            Action::First => self.move_by(context, |_, _| 0),
            Action::Last => self.move_by(context, |_, count| count.saturating_sub(1)),
            _ => {}
        }
    }

    fn open_under_cursor(&mut self, context: &Context<'_>) {
        let subject = match self.pages.last() {
            Some(page) => {
                let lines = self.page_lines(usize::from(context.area.width), context);
                lines
                    .get(page.cursor)
                    .and_then(|line| line.deployment.clone())
                    .map(Subject::Deployment)
            }
            None if self.panel == Panel::Cards => self
                .figures
                .is_some()
                .then(|| Subject::Explanation(self.metric())),
            None => self
                .selected()
                .map(|line| Subject::Deployment(line.deployment.id.clone())),
        };
        if let Some(subject) = subject
            && self.pages.last().is_none_or(|page| page.subject != subject)
        {
            self.open(subject);
        }
    }

    fn copy(&self) -> Vec<Effect> {
        let Some(report) = self.report() else {
            return Vec::new();
        };
        let (text, what) = match (self.pages.last().map(|page| &page.subject), self.panel) {
            (Some(Subject::Deployment(id)), _) => (id.clone(), "the deployment's id"),
            (None, Panel::Deployments) => match self.selected() {
                Some(line) => (line.deployment.id.clone(), "the deployment's id"),
                None => return Vec::new(),
            },
            _ => (
                dora_markdown::markdown(report, false),
                "the report as Markdown",
            ),
        };
        vec![Effect::Copy {
            text,
            what: what.to_owned(),
        }]
    }

    fn prompted(&mut self, kind: &str, step: Prompted, context: &Context<'_>) -> Vec<Effect> {
        match (kind, step) {
            ("scope", Prompted::Accepted(text)) => {
                match read_scope(&text, &self.request, context.now) {
                    Ok(request) => {
                        self.request = request;
                        self.row = 0;
                        self.load(context)
                    }
                    Err((_, _, reason)) => vec![Effect::Notice(Notice::trouble(reason))],
                }
            }
            ("export", Prompted::Accepted(path)) => self
                .report()
                .filter(|_| !path.trim().is_empty())
                .map(|report| Effect::WriteFile {
                    path,
                    text: dora_markdown::markdown(report, true),
                })
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    fn loaded(
        &mut self,
        question: Question,
        result: Result<Arc<Figures>, String>,
        context: &Context<'_>,
    ) {
        if question != self.asked {
            return; // the answer to an older question
        }
        self.loading = false;
        match result {
            Ok(figures) => {
                let chosen = self.selected().map(|line| line.deployment.id.clone());
                let lines = &figures.report.deployments;
                self.row = chosen
                    .and_then(|id| lines.iter().position(|line| line.deployment.id == id))
                    .unwrap_or(self.row)
                    .min(lines.len().saturating_sub(1));
                self.figures = Some(figures);
                self.outages.passed(REPORT);
            }
            Err(reason) => self.outages.failed(REPORT, reason, context.now),
        }
    }
}

impl Screen for DoraTab {
    fn scopes(&self) -> &'static [Scope] {
        &[keys::DORA, Scope::LIST]
    }

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        view::render(self, area, buffer, context);
    }

    fn status(&self, context: &Context<'_>) -> TabStatus {
        let mut pieces = Vec::new();
        if let Some(figures) = &self.figures {
            let report = &figures.report;
            let failed = report.failed().count();
            pieces.push((
                Role::Text,
                format!("{} deployments", report.deployments.len()),
            ));
            if failed > 0 {
                pieces.push((Role::Bad, format!("{failed} failed")));
            }
            if report
                .incidents
                .iter()
                .any(|line| line.incident.resolved_at.is_none())
            {
                pieces.push((Role::Warning, "incident open".to_owned()));
            }
        }
        if let Some(running) = &self.offer.running {
            pieces.push((Role::Accent, format!("reading {}", running.name)));
        } else if self.loading {
            pieces.push((Role::Muted, "reading".to_owned()));
        }
        TabStatus {
            pieces,
            data_at: self.report().map(|report| report.generated_at),
            live: false,
            banner: self.outages.banner(context.now, context.zone),
            hints: vec![
                Action::Open,
                if self.pages.is_empty() {
                    Action::Explain
                } else {
                    Action::Back
                },
                Action::Trace,
                keys::WINDOW,
                keys::LAST,
                keys::SYNC,
                keys::WEEKLY_REVIEW,
                keys::SCOPE,
                keys::EXPORT,
            ],
        }
    }

    fn is_idle(&self, action: Action) -> bool {
        match action {
            Action::Left | Action::Right | Action::NextPanel | Action::PreviousPanel => {
                !self.pages.is_empty()
            }
            Action::HistoryBack => self.pages.is_empty(),
            keys::LAST => self
                .figures
                .as_ref()
                .is_none_or(|figures| figures.loaded.last_window.is_none()),
            keys::SYNC => self.offer.new_name().is_none() || self.offer.running.is_some(),
            Action::HistoryForward => self.ahead.is_empty(),
            _ => false,
        }
    }

    fn at_top(&self) -> bool {
        self.pages.is_empty()
    }

    fn depth(&self) -> Option<usize> {
        Some(self.pages.len()).filter(|depth| *depth > 0)
    }

    fn shows(&self, destination: &Destination) -> bool {
        matches!(destination, Destination::Deployment { .. })
    }

    fn prompt_hint(
        &self,
        kind: &str,
        text: &str,
        _cursor: usize,
        context: &Context<'_>,
    ) -> PromptHint {
        match kind {
            "scope" => PromptHint {
                error: read_scope(text, &self.request, context.now).err(),
                completions: Vec::new(),
                help: "service: team: env: profile:dora|iact days: from: until: quarter:2026-Q3"
                    .to_owned(),
            },
            _ => PromptHint {
                help: "a new file; an existing one is not overwritten".to_owned(),
                ..PromptHint::default()
            },
        }
    }
}

impl Tab for DoraTab {
    const ID: TabId = TabId::new("dora", "DORA");
    const KEYS: &'static [Binding] = keys::KEYS;

    type Work = DoraEffect;
    type Saved = ();

    fn open(configured: &Configured, (): ()) -> Self {
        let mut tab = Self::new(configured.report.clone());
        tab.offer.from.clone_from(&configured.sync);
        tab
    }

    fn saved(&self) {}

    fn update(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect> {
        match event {
            TabEvent::Entered => {
                self.entered = true;
                if self.is_stale(context.now) && !self.loading {
                    return self.load(context);
                }
            }
            TabEvent::Left => self.entered = false,
            TabEvent::Go(Destination::Deployment { id, at }) => return self.go_to(id, at, context),
            // The count of what is being read goes on.
            TabEvent::Tick if self.offer.running.is_some() => {}
            TabEvent::Tick if self.entered && !self.loading => {
                // What failed is repeated in its own time, not each second.
                let again = !self.outages.due(context.now).is_empty();
                if again || self.outages.is_empty() && self.is_stale(context.now) {
                    return self.load(context);
                }
            }
            TabEvent::Action(action) => return self.act(action, context),
            TabEvent::Prompted { kind, step } => return self.prompted(kind, step, context),
            TabEvent::Ingest(_) | TabEvent::Health(_) => return vec![Effect::Unchanged],
            _ => {}
        }
        Vec::new()
    }

    fn answered(&mut self, answer: DoraAnswer, context: &Context<'_>) -> Vec<Effect> {
        match answer {
            DoraAnswer::Loaded { question, result } => self.loaded(question, result, context),
            DoraAnswer::Looked(here) => self.offer.here = Some(here),
            DoraAnswer::Synced(result) => {
                self.offer.running = None;
                self.offer.here = None;
                let mut effects = self.load(context);
                match result {
                    Ok(text) => effects.push(Effect::Notice(Notice::plain(text))),
                    Err(reason) => self.offer.refused = Some(reason),
                }
                return effects;
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
