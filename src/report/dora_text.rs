//! A DORA report as text for a terminal: no colour, no escape sequences, 100 columns where it can.

use std::fmt::Write as _;

use super::dora::{
    delta, level, minute, overall, plain, samples, scope, score, span, sparkline, target,
};
use atalaya_domain::dora::quick_check::INDUSTRY_OVERALL;
use atalaya_domain::dora::{DoraReport, MetricReport, show_hours};

/// The whole report; `explain` adds the rows, the rule and what was left out of each metric.
pub fn text(report: &DoraReport, explain: bool) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report, explain);
    out
}

fn write(out: &mut String, report: &DoraReport, explain: bool) -> std::fmt::Result {
    heading(out, report)?;
    for found in &report.metrics {
        metric(out, found)?;
        if explain {
            explanation(out, report, found)?;
        }
    }
    slowest(out, report)?;
    failed(out, report)?;
    incidents(out, report)?;
    for note in &report.notes {
        writeln!(out, "\nNote: {}", plain(&note.text))?;
    }
    Ok(())
}

fn heading(out: &mut String, report: &DoraReport) -> std::fmt::Result {
    let zone = report.rules.zone;
    writeln!(out, "DORA metrics: {}", scope(report))?;
    writeln!(
        out,
        "{:.0} days, {} to {} ({zone}); profile {}, limits {}",
        report.days(),
        minute(report.window.from, zone),
        minute(report.window.until, zone),
        report.rules.profile.name(),
        report.rules.thresholds.name(),
    )?;
    writeln!(out, "Overall: {}", overall(report))?;
    let quick = report.overall.quick_check;
    writeln!(
        out,
        "Quick Check 2025: {} of 10 (throughput {}, stability {}; industry {INDUSTRY_OVERALL})\n",
        score(quick.overall),
        score(quick.throughput),
        score(quick.stability)
    )
}

fn metric(out: &mut String, metric: &MetricReport) -> std::fmt::Result {
    writeln!(
        out,
        "{:<32} {:<18} {:<7} {}",
        metric.title,
        metric.show(),
        level(metric),
        sparkline(&metric.weeks, true)
    )?;
    writeln!(
        out,
        "    n {}; before {}, {}; target {}; score {}",
        samples(metric),
        metric.previous.show(metric.measured.unit),
        delta(metric.delta.as_ref(), metric.measured.unit),
        target(metric),
        score(metric.score)
    )?;
    for detail in metric
        .measured
        .details
        .iter()
        .filter(|detail| detail.value.number().is_some_and(|value| value != 0.0))
    {
        writeln!(
            out,
            "    {}: {} (n {})",
            detail.title,
            detail.value.show(detail.unit),
            detail.samples
        )?;
    }
    writeln!(out, "    {}", metric.level_rule)
}

fn slowest(out: &mut String, report: &DoraReport) -> std::fmt::Result {
    if !report.slowest.is_empty() {
        writeln!(out, "\nLongest lead times")?;
    }
    for change in &report.slowest {
        writeln!(
            out,
            "  {:>12}  {:.12}  {}  {}",
            show_hours(change.hours),
            plain(&change.sha),
            plain(&change.deployment),
            plain(&change.title)
        )?;
    }
    Ok(())
}

fn failed(out: &mut String, report: &DoraReport) -> std::fmt::Result {
    if report.failed().next().is_some() {
        writeln!(out, "\nFailed deployments")?;
    }
    for line in report.failed() {
        let recovery = match line.recovery {
            Some(recovery) if recovery.open => {
                format!("open for {}", show_hours(recovery.hours()))
            }
            Some(recovery) => format!("recovered in {}", show_hours(recovery.hours())),
            None => "recovery unknown".to_owned(),
        };
        let request = line
            .deployment
            .request_id
            .as_ref()
            .map(|id| format!(", request {}", plain(id.as_str())))
            .unwrap_or_default();
        writeln!(
            out,
            "  {}  {}: {}; {recovery}{request}",
            minute(line.deployment.finished_at, report.rules.zone),
            plain(&line.deployment.id),
            plain(line.failed.as_deref().unwrap_or_default()),
        )?;
    }
    Ok(())
}

/// Each with its deployment, or why it has none and which one is nearest.
fn incidents(out: &mut String, report: &DoraReport) -> std::fmt::Result {
    if !report.incidents.is_empty() {
        writeln!(out, "\nIncidents")?;
    }
    let zone = report.rules.zone;
    for line in &report.incidents {
        let incident = &line.incident;
        let end = incident
            .resolved_at
            .map_or_else(|| "open".to_owned(), |at| minute(at, zone));
        let deployment = match &line.deployment {
            Some(deployment) => format!("{deployment} ({})", line.basis),
            None => format!("unlinked: {}", line.basis),
        };
        let request = incident
            .request_id
            .as_ref()
            .map(|id| format!(", request {}", id.as_str()))
            .unwrap_or_default();
        writeln!(
            out,
            "  {} to {end}  {}  {}: {}",
            minute(incident.opened_at, zone),
            plain(&incident.id),
            plain(&incident.title),
            plain(&format!("{deployment}{request}")),
        )?;
    }
    Ok(())
}

fn explanation(out: &mut String, report: &DoraReport, metric: &MetricReport) -> std::fmt::Result {
    let zone = report.rules.zone;
    let told = &metric.measured.explanation;
    writeln!(out, "    rule: {}", told.rule)?;
    for row in &told.rows {
        writeln!(
            out,
            "      {}  {:<10} {}  {}  {}",
            span(row, zone),
            row.kind.name(),
            plain(&row.id),
            metric.measured.unit.show(row.value),
            plain(&row.note)
        )?;
    }
    for left in &told.left_out {
        writeln!(
            out,
            "      left out: {} {} ({}): {}",
            left.kind.name(),
            plain(&left.id),
            minute(left.at, zone),
            plain(&left.reason)
        )?;
    }
    for note in &told.notes {
        writeln!(out, "      note: {}", plain(note))?;
    }
    Ok(())
}
