//! How the DORA tab is drawn: one line of context, five cards, the deployments, or a page.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{DoraTab, Panel, pages, remarks};
use crate::report::dora::{delta, scope, score, sparkline};
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, empty, frame, safe_text};
use atalaya_domain::dora::quick_check::INDUSTRY_OVERALL;
use atalaya_domain::dora::{
    DeploymentLine, Direction, DoraReport, LeadBasis, Metric, MetricReport, PerformanceLevel,
    Value, show_hours,
};

/// Title, value, level, change, target, sparkline, marks.
const CARD_ROWS: u16 = 7;
/// Columns from which a card says `missed goal 4 h 00 min`; narrower ones leave out the word, all alike.
const FULL_GOAL: usize = 22;

pub(super) fn render(tab: &DoraTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let Some(report) = tab.report() else {
        let message = if tab.loading {
            "Reading the delivery facts …"
        } else {
            "The five delivery metrics are not loaded yet."
        };
        empty::render(area, buffer, context.theme, message, &[]);
        return;
    };
    if let Some(page) = tab.pages.last() {
        render_page(
            tab,
            &pages::title(&page.subject),
            page.cursor,
            area,
            buffer,
            context,
        );
        return;
    }
    let mut rest = area;
    headline(report, row(&mut rest), buffer, context);
    cards(tab, report, rest, buffer, context);
    rest = below(rest, CARD_ROWS + 1);
    for (role, text) in remarks::lines(tab, report, area.height) {
        put(buffer, row(&mut rest), area.x + 1, &text, role, context);
    }
    let title = format!("Deployments ({})", report.deployments.len());
    let line = row(&mut rest);
    frame::rule(
        line,
        buffer,
        context.theme,
        &title,
        tab.panel == Panel::Deployments,
    );
    deployments(tab, report, rest, buffer, context);
}

/// Takes the first row off `area`.
fn row(area: &mut Rect) -> Rect {
    let first = Rect {
        height: area.height.min(1),
        ..*area
    };
    *area = below(*area, 1);
    first
}

fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    }
}

/// Writes safe text into one row; returns the column after it.
fn put(
    buffer: &mut Buffer,
    area: Rect,
    x: u16,
    text: &str,
    role: Role,
    context: &Context<'_>,
) -> u16 {
    if area.height == 0 || x >= area.right() {
        return x;
    }
    let text = safe_text::cut(text, usize::from(area.right() - x));
    safe_text::put(buffer, x, area.y, &text, context.theme.style(role));
    x + u16::try_from(safe_text::width(&text)).unwrap_or(0)
}

fn headline(report: &DoraReport, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let mut x = put(
        buffer,
        area,
        area.x + 1,
        &remarks::window(report, context),
        Role::Accent,
        context,
    );
    x = put(
        buffer,
        area,
        x + 2,
        &safe_text::line(&scope(report)),
        Role::Text,
        context,
    );
    let level = report
        .overall
        .level
        .map_or("no overall level", PerformanceLevel::name);
    x = put(buffer, area, x + 2, level, Role::Title, context);
    let quick = format!(
        "score {} (industry {INDUSTRY_OVERALL:.1})",
        score(report.overall.quick_check.overall)
    );
    x = put(buffer, area, x + 2, &quick, Role::Text, context);
    let rules = format!(
        "{} · {}",
        report.rules.profile.name(),
        report.rules.thresholds.name()
    );
    // Half a name would be a wrong one.
    if usize::from(area.right().saturating_sub(x + 2)) >= safe_text::width(&rules) {
        put(buffer, area, x + 2, &rules, Role::Muted, context);
    }
}

fn cards(
    tab: &DoraTab,
    report: &DoraReport,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
) {
    let width = area.width / 5;
    for (index, metric) in report.metrics.iter().enumerate() {
        let x = area.x + width * u16::try_from(index).unwrap_or(0);
        let card = Rect {
            x: x + 1,
            width: width.saturating_sub(2),
            height: area.height.min(CARD_ROWS),
            ..area
        };
        let chosen = tab.card == index;
        draw_card(
            metric,
            report,
            card,
            chosen && tab.panel == Panel::Cards,
            chosen,
            buffer,
            context,
        );
    }
}

/// A title that fits: the short one where the long one does not.
fn title(metric: &MetricReport, columns: u16) -> &'static str {
    // A cycle time has a short name already.
    if metric.title.len() <= usize::from(columns) || metric.title != metric.metric.title() {
        return metric.title;
    }
    match metric.metric {
        Metric::DeploymentFrequency => "Deployments",
        Metric::ChangeLeadTime => "Lead time",
        Metric::ChangeFailureRate => "Failure rate",
        Metric::RecoveryTime => "Recovery",
        Metric::ReworkRate => "Rework rate",
    }
}

fn level_role(level: Option<PerformanceLevel>) -> Role {
    match level {
        Some(PerformanceLevel::Elite | PerformanceLevel::High) => Role::Good,
        Some(PerformanceLevel::Medium) => Role::Warning,
        Some(PerformanceLevel::Low) => Role::Bad,
        None => Role::Muted,
    }
}

fn draw_card(
    metric: &MetricReport,
    report: &DoraReport,
    area: Rect,
    focused: bool,
    chosen: bool,
    buffer: &mut Buffer,
    context: &Context<'_>,
) {
    let mut rest = area;
    let line = row(&mut rest);
    let mark = match (chosen, context.unicode) {
        (true, true) => "▸",
        (true, false) => ">",
        (false, _) => " ",
    };
    let x = put(buffer, line, line.x, mark, Role::Accent, context);
    let role = if focused { Role::Accent } else { Role::Title };
    put(
        buffer,
        line,
        x,
        title(metric, line.width.saturating_sub(1)),
        role,
        context,
    );

    let value_line = indented(row(&mut rest));
    let (second, third) = (indented(row(&mut rest)), indented(row(&mut rest)));
    draw_value(metric, [value_line, second, third], buffer, context);
    let line = indented(row(&mut rest));
    let (text, role) = goal(metric, usize::from(line.width), context.unicode);
    put(buffer, line, line.x, &text, role, context);
    let line = indented(row(&mut rest));
    let text = sparkline(&metric.weeks, context.unicode);
    put(buffer, line, line.x, &text, Role::Accent, context);
    let line = indented(row(&mut rest));
    let text = marks(metric, report, context.unicode);
    put(buffer, line, line.x, &text, Role::Mark, context);
}

fn indented(line: Rect) -> Rect {
    Rect {
        x: line.x + 1,
        width: line.width.saturating_sub(1),
        ..line
    }
}

/// The value with its count, then level and change, or why there is none.
fn draw_value(
    metric: &MetricReport,
    [line, second, third]: [Rect; 3],
    buffer: &mut Buffer,
    context: &Context<'_>,
) {
    let measured = &metric.measured;
    if let Value::NotAvailable { reason } = measured.value {
        put(buffer, line, line.x, "N/A", Role::Muted, context);
        let why = reason.to_string();
        let (first_half, second_half) = halves(&why, usize::from(second.width));
        put(buffer, second, second.x, first_half, Role::Muted, context);
        put(buffer, third, third.x, second_half, Role::Muted, context);
        return;
    }
    let value = measured.value.show(measured.unit);
    let x = put(buffer, line, line.x, &value, Role::Text, context);
    let count = format!("n {}", measured.samples);
    // Half a count would be a wrong one.
    if usize::from(line.right().saturating_sub(x + 1)) >= count.len() {
        put(buffer, line, x + 1, &count, Role::Faint, context);
    }
    let level = metric.level.map_or("no level", PerformanceLevel::name);
    let role = level_role(metric.level);
    let x = put(buffer, second, second.x, level, role, context);
    let shown = score(metric.score);
    put(buffer, second, x + 1, &shown, Role::Muted, context);
    let role = match metric.delta.map(|delta| delta.direction) {
        Some(Direction::Better) => Role::Good,
        Some(Direction::Worse) => Role::Bad,
        _ => Role::Muted,
    };
    let change = delta(metric.delta.as_ref(), measured.unit);
    put(buffer, third, third.x, &change, role, context);
}

/// Breaks a reason at the last blank that fits.
fn halves(text: &str, columns: usize) -> (&str, &str) {
    if text.len() <= columns {
        return (text, "");
    }
    let end = text
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|&at| at <= columns)
        .last()
        .unwrap_or(0);
    match text[..end].rfind(' ') {
        Some(blank) => (&text[..blank], &text[blank + 1..]),
        None => (text, ""),
    }
}

/// The target with a mark that says whether it is met; without the word in a narrow card.
fn goal(metric: &MetricReport, columns: usize, unicode: bool) -> (String, Role) {
    let Some(target) = metric.target else {
        return ("no goal".to_owned(), Role::Muted);
    };
    let value = metric.metric.unit().show(target.value);
    let (mark, role) = match (target.met, unicode) {
        (Some(true), true) => ("✓ ", Role::Good),
        (Some(true), false) => ("ok ", Role::Good),
        (Some(false), true) => ("✗ ", Role::Bad),
        (Some(false), false) => ("missed ", Role::Bad),
        (None, _) => ("", Role::Muted),
    };
    let word = match target.met {
        _ if columns >= FULL_GOAL => "goal ",
        // Without a mark the bare figure would look like a measured one.
        None => "to ",
        Some(_) => "",
    };
    (format!("{mark}{word}{value}"), role)
}

/// Under each week whether anything was deployed in it.
fn marks(metric: &MetricReport, report: &DoraReport, unicode: bool) -> String {
    let starts: Vec<_> = metric.weeks.iter().map(|week| week.start).collect();
    starts
        .iter()
        .enumerate()
        .map(|(index, &start)| {
            let until = starts
                .get(index + 1)
                .copied()
                .unwrap_or_else(|| start.saturating_add(std::time::Duration::from_hours(168)));
            let any = report.marks.iter().any(|&at| start <= at && at < until);
            match (any, unicode) {
                (true, true) => '▴',
                (true, false) => '^',
                (false, _) => ' ',
            }
        })
        .collect()
}

/// The time of a whole cycle, where no source knows commits.
fn cycle_time(line: &DeploymentLine) -> String {
    hours(line.cycle_hours)
}

/// One column of the table: its title, its width and its text.
type Column = (&'static str, usize, fn(&DeploymentLine) -> String);

fn hours(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), show_hours)
}

fn state(line: &DeploymentLine) -> String {
    let mut words = Vec::new();
    match (&line.failed, line.recovery) {
        (Some(_), Some(recovery)) if recovery.open => words.push("FAILED, open"),
        (Some(_), _) => words.push("FAILED"),
        (None, _) => {}
    }
    if line.deployment.kind.unplanned() {
        words.push(line.deployment.kind.name());
    }
    if line.redeploy {
        words.push("again");
    }
    words.join(" ")
}

const NARROW: [Column; 4] = [
    ("n", 4, |line| {
        line.lead
            .map_or_else(|| "-".to_owned(), |lead| lead.commits.to_string())
    }),
    ("lead", 11, |line| {
        hours(line.lead.map(|lead| lead.median_hours))
    }),
    ("recovery", 11, |line| {
        hours(line.recovery.map(|recovery| recovery.hours()))
    }),
    ("state", 16, state),
];

const WIDE: [Column; 8] = [
    ("n", 5, |line| {
        line.lead
            .map_or_else(|| "-".to_owned(), |lead| lead.commits.to_string())
    }),
    ("lead", 13, |line| {
        hours(line.lead.map(|lead| lead.median_hours))
    }),
    ("writing", 13, |line| {
        hours(line.lead.map(|lead| lead.writing_hours))
    }),
    ("waiting", 13, |line| {
        hours(line.lead.map(|lead| lead.waiting_hours))
    }),
    ("deploying", 13, |line| {
        hours(line.lead.and_then(|lead| lead.deploying_hours))
    }),
    ("recovery", 13, |line| {
        hours(line.recovery.map(|recovery| recovery.hours()))
    }),
    ("state", 20, state),
    ("request", 34, |line| {
        line.deployment
            .request_id
            .as_ref()
            .map_or_else(|| "-".to_owned(), |id| id.as_str().to_owned())
    }),
];

fn deployments(
    tab: &DoraTab,
    report: &DoraReport,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
) {
    if report.deployments.is_empty() {
        let mut hints = Vec::new();
        if let Some(last) = tab.last_window_named(report.rules.zone) {
            hints.push(format!("D  shows {last}"));
        }
        if let Some(name) = tab.offer.new_name() {
            hints.push(format!(
                "S  reads the deployments of {}",
                safe_text::line(name)
            ));
        }
        hints.push("atalaya dora sync --repo PATH  reads those of another repository".to_owned());
        empty::render(
            area,
            buffer,
            context.theme,
            "No deployment in this window.",
            &hints,
        );
        return;
    }
    let columns: &[Column] = if area.width >= 160 { &WIDE } else { &NARROW };
    let columns: Vec<Column> = columns
        .iter()
        .map(|&(title, width, of)| match (title, report.lead_basis) {
            ("lead", LeadBasis::Cycles) => ("cycle time", width, cycle_time as fn(&_) -> _),
            _ => (title, width, of),
        })
        .collect();
    let taken: usize = columns.iter().map(|(_, width, _)| width + 1).sum();
    let name = usize::from(area.width).saturating_sub(taken + 14).max(8);
    let mut rest = area;
    let line = row(&mut rest);
    let mut heading = format!(
        " {} {}",
        safe_text::fit("finished", 11),
        safe_text::fit("deployment", name)
    );
    for (title, width, _) in &columns {
        heading.push(' ');
        heading.push_str(&safe_text::fit(title, *width));
    }
    put(buffer, line, line.x, &heading, Role::Muted, context);
    let visible = usize::from(rest.height).max(1);
    let first = tab.row.saturating_sub(visible - 1);
    for (index, deployment) in report
        .deployments
        .iter()
        .enumerate()
        .skip(first)
        .take(visible)
    {
        let line = row(&mut rest);
        if line.height == 0 {
            break;
        }
        let mut text = format!(
            " {} {}",
            clock::format(
                deployment.deployment.finished_at,
                context.zone,
                "%m-%d %H:%M"
            ),
            safe_text::fit(&safe_text::line(&deployment.deployment.id), name)
        );
        for (_, width, of) in &columns {
            text.push(' ');
            text.push_str(&safe_text::fit(&safe_text::line(&of(deployment)), *width));
        }
        let role = if deployment.failed.is_some() {
            Role::Bad
        } else {
            Role::Text
        };
        put(buffer, line, line.x, &text, role, context);
        if index == tab.row {
            let role = if tab.panel == Panel::Deployments {
                Role::Selection
            } else {
                Role::SelectionIdle
            };
            buffer.set_style(line, context.theme.style(role));
        }
    }
}

fn render_page(
    tab: &DoraTab,
    title: &str,
    cursor: usize,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
) {
    let mut rest = area;
    let line = row(&mut rest);
    frame::rule(line, buffer, context.theme, title, true);
    let lines = tab.page_lines(usize::from(area.width), context);
    let visible = usize::from(rest.height).max(1);
    let first = cursor.saturating_sub(visible - 1);
    for (index, page_line) in lines.iter().enumerate().skip(first).take(visible) {
        let line = row(&mut rest);
        put(
            buffer,
            line,
            line.x + 1,
            &page_line.text,
            page_line.role,
            context,
        );
        if index == cursor && line.height > 0 {
            buffer.set_style(line, context.theme.style(Role::Selection));
        }
    }
}
