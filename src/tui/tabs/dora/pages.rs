//! What stands on the pages: lines of safe text, each with what it leads to.

use crate::report::dora::{delta, level, samples, score, target};
use crate::report::dora_text;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::delivery::Deployment;
use atalaya_domain::dora::{DeploymentLine, Metric, MetricReport, Row, RowKind, show_hours};
use atalaya_domain::record::RequestId;
use atalaya_query::Zone;

use super::{Figures, Subject};

/// One line of a page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PageLine {
    pub role: Role,
    /// Safe to show.
    pub text: String,
    /// Where `t` goes.
    pub request_id: Option<RequestId>,
    /// Where Enter goes: a deployment's id.
    pub deployment: Option<String>,
}

#[derive(Default)]
struct Page {
    lines: Vec<PageLine>,
    width: usize,
}

impl Page {
    fn put(&mut self, role: Role, text: &str) {
        self.lines.push(PageLine {
            role,
            text: safe_text::line(text),
            request_id: None,
            deployment: None,
        });
    }

    /// Breaks at blanks; continuation lines are indented by two.
    fn wrap(&mut self, role: Role, text: &str) {
        let mut line = String::new();
        for word in safe_text::line(text).split(' ') {
            if !line.trim().is_empty()
                && safe_text::width(&line) + safe_text::width(word) + 1 > self.width
            {
                self.put(role, &line);
                "  ".clone_into(&mut line);
            } else if !line.is_empty() && !line.ends_with("  ") {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.put(role, &line);
    }

    fn title(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.put(Role::Text, "");
        }
        self.put(Role::Title, text);
    }

    fn last(&mut self, request_id: Option<RequestId>, deployment: Option<String>) {
        if let Some(line) = self.lines.last_mut() {
            line.request_id = request_id;
            line.deployment = deployment;
        }
    }
}

pub(super) fn title(subject: &Subject) -> String {
    match subject {
        Subject::Deployment(id) => format!("Deployment {}", safe_text::line(id)),
        Subject::Explanation(metric) => format!("{}: where the number comes from", metric.title()),
        Subject::Review => "Weekly review".to_owned(),
    }
}

pub(super) fn lines(
    figures: &Figures,
    subject: &Subject,
    width: usize,
    zone: Zone,
) -> Vec<PageLine> {
    let mut page = Page {
        lines: Vec::new(),
        width: width.saturating_sub(2).max(20),
    };
    match subject {
        Subject::Review => {
            for line in dora_text::text(&figures.report, false).lines() {
                // Details are indented; what stands at the margin is read first.
                let role = if line.starts_with(' ') {
                    Role::Muted
                } else {
                    Role::Text
                };
                page.wrap(role, line);
            }
        }
        Subject::Explanation(metric) => {
            if let Some(metric) = figures.report.metric(*metric) {
                explanation(&mut page, metric, zone);
            }
        }
        Subject::Deployment(id) => {
            match figures
                .report
                .deployments
                .iter()
                .find(|line| line.deployment.id == *id)
            {
                Some(line) => deployment(&mut page, figures, line, zone),
                None => page.put(
                    Role::Muted,
                    "This deployment is not in the window any more.",
                ),
            }
        }
    }
    page.lines
}

fn explanation(page: &mut Page, metric: &MetricReport, zone: Zone) {
    let measured = &metric.measured;
    let told = &measured.explanation;
    page.put(
        Role::Text,
        &format!(
            "{}   level {}   score {}",
            metric.show(),
            level(metric),
            score(metric.score)
        ),
    );
    page.wrap(Role::Muted, &format!("n {}", samples(metric)));
    page.wrap(
        Role::Muted,
        &format!(
            "before {} (n {}), {}; target {}",
            metric.previous.show(measured.unit),
            metric.previous_samples,
            delta(metric.delta.as_ref(), measured.unit),
            target(metric)
        ),
    );
    page.title("The rule");
    page.wrap(Role::Text, &told.rule);
    page.wrap(Role::Muted, &metric.level_rule);
    for detail in &measured.details {
        page.wrap(
            Role::Muted,
            &format!(
                "{}: {} (n {})",
                detail.title,
                detail.value.show(detail.unit),
                detail.samples
            ),
        );
    }
    for note in &told.notes {
        page.wrap(Role::Warning, note);
    }
    rows(page, metric, zone);
}

/// What counted, and what was left out.
fn rows(page: &mut Page, metric: &MetricReport, zone: Zone) {
    let measured = &metric.measured;
    let told = &measured.explanation;
    page.title(&format!("The rows ({})", told.rows.len()));
    for row in &told.rows {
        let value = match (metric.metric, row.value) {
            (Metric::DeploymentFrequency, _) => "counts".to_owned(),
            (Metric::ChangeFailureRate | Metric::ReworkRate, value) if value > 0.0 => {
                "counts".to_owned()
            }
            (Metric::ChangeFailureRate | Metric::ReworkRate, _) => "does not".to_owned(),
            (_, value) => measured.unit.show(value),
        };
        page.put(
            if row.value > 0.0 {
                Role::Text
            } else {
                Role::Muted
            },
            &format!(
                "{}  {:>12}  {}  {}",
                span(row, zone),
                value,
                short(row),
                row.note
            ),
        );
        page.last(
            row.request_id.clone(),
            (row.kind == RowKind::Deployment).then(|| row.id.clone()),
        );
    }
    page.title(&format!("Left out ({})", told.left_out.len()));
    for left in &told.left_out {
        page.wrap(
            Role::Muted,
            &format!(
                "{}  {} {}: {}",
                clock::format(left.at, zone, "%m-%d %H:%M"),
                left.kind.name(),
                left.id,
                left.reason
            ),
        );
    }
}

/// The instants that a row's value was taken from.
fn span(row: &Row, zone: Zone) -> String {
    let at = clock::format(row.at, zone, "%m-%d %H:%M");
    match row.until {
        Some(until) => format!("{at} to {}", clock::format(until, zone, "%m-%d %H:%M")),
        None => at,
    }
}

/// Commit ids are long and their beginning is enough.
fn short(row: &Row) -> &str {
    if row.kind == RowKind::Commit {
        row.id.get(..10).unwrap_or(&row.id)
    } else {
        &row.id
    }
}

fn deployment(page: &mut Page, figures: &Figures, line: &DeploymentLine, zone: Zone) {
    let deployment = &line.deployment;
    let mut what = format!(
        "{} in {}, {}",
        deployment.service,
        deployment.environment,
        deployment.kind.name()
    );
    if let Some(team) = &deployment.team {
        what.push_str(&format!(", team {team}"));
    }
    if line.redeploy {
        what.push_str(", this commit was out before");
    }
    page.wrap(Role::Text, &what);
    page.put(
        Role::Muted,
        &format!(
            "finished {}   from {}",
            clock::exact(deployment.finished_at, zone),
            deployment.origin
        ),
    );
    if let Some(commit) = &deployment.commit {
        page.put(Role::Muted, &format!("commit {commit}"));
    }
    if let Some(before) = &line.previous {
        page.put(Role::Muted, &format!("after {before}"));
        page.last(None, Some(before.clone()));
    }
    if let Some(id) = &deployment.request_id {
        page.put(Role::Link, &format!("request {}", id.as_str()));
        page.last(Some(id.clone()), None);
    }
    if let Some(why) = &line.failed {
        page.wrap(Role::Bad, &format!("FAILED: {why}"));
    }
    if let Some(recovery) = line.recovery {
        let (role, state) = if recovery.open {
            (Role::Bad, "open for")
        } else {
            (Role::Text, "recovered in")
        };
        page.put(role, &format!("{state} {}", show_hours(recovery.hours())));
    }
    for incident in figures
        .loaded
        .incidents
        .iter()
        .filter(|incident| line.incidents.contains(&incident.id))
    {
        page.put(
            Role::Warning,
            &format!(
                "{}  {}  {}",
                clock::format(incident.opened_at, zone, "%m-%d %H:%M"),
                incident.id,
                incident.title
            ),
        );
        page.last(incident.request_id.clone(), None);
    }
    lead_time(page, line);
    phases(page, figures, line, zone);
    commits(page, deployment, zone);
}

fn lead_time(page: &mut Page, line: &DeploymentLine) {
    if let Some(hours) = line.cycle_hours {
        page.title("Cycle time");
        page.put(
            Role::Text,
            &format!("{} since its cycle began", show_hours(hours)),
        );
    }
    if let Some(lead) = line.lead {
        page.title("Lead time");
        page.put(
            Role::Text,
            &format!(
                "median {}   longest {}   of {} commits",
                show_hours(lead.median_hours),
                show_hours(lead.longest_hours),
                lead.commits
            ),
        );
        let deploying = lead
            .deploying_hours
            .map(|hours| format!("   deploying {}", show_hours(hours)))
            .unwrap_or_default();
        page.put(
            Role::Muted,
            &format!(
                "writing {}   waiting {}{deploying}",
                show_hours(lead.writing_hours),
                show_hours(lead.waiting_hours)
            ),
        );
    }
}

fn commits(page: &mut Page, deployment: &Deployment, zone: Zone) {
    page.title(&match &deployment.commits {
        Some(commits) => format!("Commits ({})", commits.len()),
        None => {
            "Commits: unknown (the first deployment seen, or a source without commits)".to_owned()
        }
    });
    for commit in deployment.commits.iter().flatten().rev() {
        page.put(
            Role::Text,
            &format!(
                "{}  {}  {}",
                clock::format(commit.authored_at, zone, "%m-%d %H:%M"),
                commit.sha.get(..10).unwrap_or(&commit.sha),
                commit.title
            ),
        );
    }
}

fn phases(page: &mut Page, figures: &Figures, line: &DeploymentLine, zone: Zone) {
    let Some(cycle) = &line.deployment.cycle_id else {
        return;
    };
    page.title(&format!("Cycle {cycle}"));
    for phase in figures
        .loaded
        .phases
        .iter()
        .filter(|phase| phase.cycle_id == *cycle)
    {
        let role = if phase.decision.failed() {
            Role::Bad
        } else {
            Role::Text
        };
        page.put(
            role,
            &format!(
                "{}  {:<14} #{:<2} {:<11} {}",
                clock::format(phase.recorded_at, zone, "%m-%d %H:%M"),
                phase.phase.name(),
                phase.attempt,
                phase.decision.name(),
                show_hours(phase.duration.as_secs_f64() / 3_600.0)
            ),
        );
        page.last(phase.request_id(), None);
    }
}
