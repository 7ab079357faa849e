//! The jobs of the service: when each runs next, what its last run came to, and that it is to run
//! now.

use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::put;
use super::work::InfraEffect;
use crate::service::jobs::{JobInfo, JobView, JobsView};
use crate::tui::ask::Question;
use crate::tui::tab::Context;
use crate::tui::tabs::refresh::Refresh;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, frame, safe_text};
use atalaya_domain::job::RunResult;
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::JobRun;

/// The shortest job runs each minute.
const READ_AGAIN: Duration = Duration::from_secs(10);
/// While one runs or was asked for, somebody waits for it.
const READ_SOON: Duration = Duration::from_secs(2);

/// What the tab knows of the jobs.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    infos: Arc<[JobInfo]>,
    view: Option<JobsView>,
    /// Name of the one under the cursor.
    chosen: Option<&'static str>,
    pub(super) refresh: Refresh,
    /// Of the opened job.
    runs: Option<Result<Vec<JobRun>, String>>,
    asked_runs: Question,
    /// What the open question is about: the list may be another one when it is answered.
    pub(super) about: Option<&'static str>,
}

impl Jobs {
    pub(super) fn of(infos: Arc<[JobInfo]>) -> Self {
        Self {
            infos,
            ..Self::default()
        }
    }

    pub(super) fn list(&self) -> &[JobView] {
        self.view.as_ref().map_or(&[], |view| &view.jobs)
    }

    fn position(&self) -> usize {
        let found = self
            .list()
            .iter()
            .position(|job| Some(job.info.name) == self.chosen);
        found.unwrap_or(0)
    }

    pub(super) fn current(&self) -> Option<&JobView> {
        self.list().get(self.position())
    }

    pub(super) fn move_to(&mut self, step: impl FnOnce(usize, usize) -> usize) {
        let count = self.list().len();
        let wanted = step(self.position(), count).min(count.saturating_sub(1));
        self.chosen = self.list().get(wanted).map(|job| job.info.name);
    }

    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        let is_awaited = |job: &JobView| job.requested_at.is_some() || job.is_running();
        let old = if self.list().iter().any(is_awaited) {
            READ_SOON
        } else {
            READ_AGAIN
        };
        !self.infos.is_empty() && self.refresh.is_due(old, now)
    }

    pub(super) fn ask(&mut self, now: Timestamp) -> InfraEffect {
        InfraEffect::Jobs {
            question: self.refresh.ask(),
            now,
            infos: Arc::clone(&self.infos),
        }
    }

    pub(super) fn read(
        &mut self,
        question: Question,
        at: Timestamp,
        result: Result<JobsView, String>,
        now: Timestamp,
    ) {
        if let Some(view) = self.refresh.answered(question, at, result, now) {
            self.view = Some(view);
        }
    }

    /// The runs of the job that is opened.
    pub(super) fn open_runs(&mut self) -> Option<InfraEffect> {
        self.runs = None;
        self.ask_runs()
    }

    /// The runs of the opened job again; those on the screen stay until then.
    pub(super) fn ask_runs(&mut self) -> Option<InfraEffect> {
        let (lease, job) = self
            .current()
            .map(|job| (job.info.lease.clone(), job.info.name))?;
        self.asked_runs = self.asked_runs.next();
        Some(InfraEffect::Runs {
            question: self.asked_runs,
            lease,
            job,
        })
    }

    pub(super) fn read_runs(&mut self, question: Question, result: Result<Vec<JobRun>, String>) {
        if question == self.asked_runs {
            self.runs = Some(result);
        }
    }

    /// The run that somebody said yes to.
    pub(super) fn run(&mut self) -> Option<InfraEffect> {
        let name = self.about.take()?;
        let job = self.list().iter().find(|job| job.info.name == name)?;
        Some(InfraEffect::Run {
            lease: job.info.lease.clone(),
            job: name,
        })
    }

    /// With the rule above them.
    pub(super) fn wanted_height(&self) -> u16 {
        match self.list().len() {
            0 => 0,
            count => u16::try_from(count + 2).unwrap_or(u16::MAX),
        }
    }

    pub(super) fn render(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        context: &Context<'_>,
        focused: bool,
    ) {
        let Some(view) = self.view.as_ref().filter(|_| area.height > 0) else {
            return;
        };
        let theme = context.theme;
        let rule = Rect { height: 1, ..area };
        frame::rule(rule, buffer, theme, &title(view), focused);
        let columns = Columns::of(&view.jobs);
        let head = area.y + 1;
        columns.row(
            buffer,
            (area, head),
            context,
            &["job", "last run", "next run", "schedule"]
                .map(|title| (title.to_owned(), Role::Muted)),
        );
        let visible = usize::from(area.height.saturating_sub(2));
        let chosen = self.position();
        let first = chosen.saturating_sub(visible.saturating_sub(1));
        for (y, (index, job)) in
            (area.y + 2..).zip(view.jobs.iter().enumerate().skip(first).take(visible))
        {
            columns.row(buffer, (area, y), context, &cells(job, context.now));
            if focused && index == chosen {
                let line = Rect {
                    y,
                    height: 1,
                    ..area
                };
                buffer.set_style(line, theme.style(Role::Selection));
            }
        }
    }

    /// Everything that is known of the chosen job.
    pub(super) fn lines(&self, context: &Context<'_>) -> Vec<(String, String, Role)> {
        let Some((view, job)) = self.view.as_ref().zip(self.current()) else {
            return Vec::new();
        };
        let line = |label: &str, text: String| (label.to_owned(), text, Role::Text);
        let exact = |at: Timestamp| clock::exact(at, context.zone);
        let schedule = safe_text::line(&job.info.schedule);
        let mut lines = vec![
            line("what", job.info.what.to_owned()),
            line("schedule", format!("{schedule} ({})", job.info.zone)),
            line("next run", next(job, context.now).0),
            line("run by", held_by(view, &job.info.lease)),
        ];
        if let Some(at) = job.last_success_at {
            lines.push(line("last success", exact(at)));
        }
        match &self.runs {
            None => lines.push((
                String::new(),
                "its runs are being read …".to_owned(),
                Role::Muted,
            )),
            Some(Err(reason)) => lines.push((String::new(), reason.clone(), Role::Error)),
            Some(Ok(runs)) => {
                for (index, run) in runs.iter().enumerate() {
                    let label = if index == 0 { "runs" } else { "" };
                    let (result, role) = result_of(run, context.now);
                    let host = safe_text::line(&run.host);
                    let cause = run.cause.name();
                    let text = format!("{} {result} on {host} ({cause})", exact(run.started_at));
                    lines.push((label.to_owned(), text, role));
                    if index == 0 {
                        let output = run.output.lines().map(safe_text::line);
                        lines.extend(output.map(|text| line("", format!("  {text}"))));
                    }
                }
            }
        }
        lines
    }
}

fn title(view: &JobsView) -> String {
    let mut title = format!("Jobs · {}", view.jobs.len());
    let lease = view.jobs.first().map(|job| job.info.lease.as_str());
    if let Some(lease) = lease {
        title.push_str(" · run by ");
        title.push_str(&held_by(view, lease));
    }
    title
}

fn held_by(view: &JobsView, lease: &str) -> String {
    match view.holder(lease) {
        Some(held) => format!(
            "{} (process {})",
            safe_text::line(&held.holder.host),
            held.holder.pid
        ),
        None => "nobody now: start `atalaya serve`".to_owned(),
    }
}

/// Where the columns begin: names are ours and schedules short, so what is there decides.
struct Columns([u16; 4]);

/// `cut off after 12 min, 3 h ago`.
const LAST: u16 = 30;
const NEXT: u16 = 16;

impl Columns {
    fn of(jobs: &[JobView]) -> Self {
        let longest = jobs
            .iter()
            .map(|job| job.info.name.len())
            .max()
            .unwrap_or(0);
        let last = u16::try_from(longest).unwrap_or(u16::MAX).saturating_add(3);
        let next = last.saturating_add(LAST);
        Self([1, last, next, next.saturating_add(NEXT)])
    }

    fn row(
        &self,
        buffer: &mut Buffer,
        (area, y): (Rect, u16),
        context: &Context<'_>,
        cells: &[(String, Role); 4],
    ) {
        let ends = self.0.iter().skip(1).copied().chain([u16::MAX]);
        for ((from, until), (text, role)) in self.0.iter().zip(ends).zip(cells) {
            let room = usize::from(until.saturating_sub(*from).saturating_sub(1));
            let text = safe_text::cut(text, room);
            let x = area.x.saturating_add(*from);
            put(buffer, area, x, y, &text, context.theme, *role);
        }
    }
}

fn cells(job: &JobView, now: Timestamp) -> [(String, Role); 4] {
    let last = match &job.last {
        None => ("never".to_owned(), Role::Muted),
        Some(run) => result_of(run, now),
    };
    [
        (job.info.name.to_owned(), Role::Text),
        last,
        next(job, now),
        (safe_text::line(&job.info.schedule), Role::Muted),
    ]
}

fn next(job: &JobView, now: Timestamp) -> (String, Role) {
    match (job.is_enabled(), job.next_run_at) {
        (false, _) if job.switched == Some(false) => ("off, by hand".to_owned(), Role::Warning),
        (false, _) => ("off, configured".to_owned(), Role::Muted),
        _ if job.requested_at.is_some() => ("asked for".to_owned(), Role::Accent),
        (true, None) => ("not seen yet".to_owned(), Role::Muted),
        (true, Some(at)) if at <= now => ("now".to_owned(), Role::Text),
        (true, Some(at)) => (format!("in {}", clock::coarse(at.since(now))), Role::Text),
    }
}

/// How a run ended and how long ago; what is not well has a word for it, not only a colour.
fn result_of(run: &JobRun, now: Timestamp) -> (String, Role) {
    let ago = |at: Timestamp| clock::coarse(now.since(at));
    let (Some(result), Some(finished)) = (run.result, run.finished_at) else {
        return (format!("runs since {}", ago(run.started_at)), Role::Accent);
    };
    let took = clock::precise(finished.since(run.started_at));
    let role = match result {
        RunResult::Ok => Role::Good,
        _ if result.is_success() => Role::Muted,
        _ => Role::Error,
    };
    let text = format!("{} in {took}, {} ago", result.name(), ago(finished));
    (text, role)
}
