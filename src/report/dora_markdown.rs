//! A DORA report as Markdown (GitHub's tables), for reviews and the monthly file.

use std::fmt::Write as _;

use super::dora::{
    delta, level, minute, overall, plain, samples, scope, score, span, sparkline, target,
};
use atalaya_domain::dora::quick_check::{INDUSTRY_OVERALL, industry};
use atalaya_domain::dora::{DoraReport, show_hours};

/// How many left-out rows of one metric are named before they are only counted.
const LEFT_OUT: usize = 20;

/// The whole report; `explain` adds the rows behind every metric.
pub fn markdown(report: &DoraReport, explain: bool) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report, explain);
    out
}

/// A cell: no line break, no column break, no markup that the text did not mean.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in plain(text).chars() {
        if matches!(letter, '|' | '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn write(out: &mut String, report: &DoraReport, explain: bool) -> std::fmt::Result {
    let zone = report.rules.zone;
    writeln!(out, "# DORA metrics: {}\n", cell(&scope(report)))?;
    writeln!(
        out,
        "{:.0} days, {} to {} ({zone}). Profile `{}`, limits `{}`. Overall: **{}**.\n",
        report.days(),
        minute(report.window.from, zone),
        minute(report.window.until, zone),
        report.rules.profile.name(),
        report.rules.thresholds.name(),
        cell(&overall(report)),
    )?;
    writeln!(
        out,
        "| metric | value | level | n | before | change | target | score (industry) | 12 weeks |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    for metric in &report.metrics {
        writeln!(
            out,
            "| {} | **{}** | {} | {} | {} | {} | {} | {} ({:.1}) | {} |",
            metric.title,
            cell(&metric.show()),
            level(metric),
            samples(metric),
            cell(&metric.previous.show(metric.measured.unit)),
            delta(metric.delta.as_ref(), metric.measured.unit),
            target(metric),
            score(metric.score),
            industry(metric.metric),
            sparkline(&metric.weeks, true),
        )?;
    }
    let quick = report.overall.quick_check;
    writeln!(
        out,
        "\nQuick Check 2025: {} of 10 (throughput {}, stability {}; industry {INDUSTRY_OVERALL}).",
        score(quick.overall),
        score(quick.throughput),
        score(quick.stability)
    )?;
    slowest(out, report)?;
    failed(out, report)?;
    incidents(out, report)?;
    how(out, report, explain)?;
    if !report.notes.is_empty() {
        writeln!(out, "\n## Notes\n")?;
        for note in &report.notes {
            writeln!(out, "- {}", cell(&note.text))?;
        }
    }
    writeln!(
        out,
        "\nMade {} ({zone}).",
        minute(report.generated_at, zone)
    )
}

fn slowest(out: &mut String, report: &DoraReport) -> std::fmt::Result {
    if report.slowest.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n## Longest lead times\n\n| lead time | commit | deployment | request | subject |\n|---|---|---|---|---|"
    )?;
    for change in &report.slowest {
        writeln!(
            out,
            "| {} | {:.12} | {} | {} | {} |",
            show_hours(change.hours),
            cell(&change.sha),
            cell(&change.deployment),
            cell(change.request_id.as_ref().map_or("-", |id| id.as_str())),
            cell(&change.title)
        )?;
    }
    Ok(())
}

fn failed(out: &mut String, report: &DoraReport) -> std::fmt::Result {
    if report.failed().next().is_none() {
        return Ok(());
    }
    writeln!(
        out,
        "\n## Failed deployments\n\n| when | deployment | why | recovery | request |\n|---|---|---|---|---|"
    )?;
    for line in report.failed() {
        let recovery = match line.recovery {
            Some(recovery) if recovery.open => format!("open for {}", show_hours(recovery.hours())),
            Some(recovery) => show_hours(recovery.hours()),
            None => "unknown".to_owned(),
        };
        writeln!(
            out,
            "| {} | {} | {} | {recovery} | {} |",
            minute(line.deployment.finished_at, report.rules.zone),
            cell(&line.deployment.id),
            cell(line.failed.as_deref().unwrap_or_default()),
            cell(
                line.deployment
                    .request_id
                    .as_ref()
                    .map_or("-", |id| id.as_str())
            ),
        )?;
    }
    Ok(())
}

fn incidents(out: &mut String, report: &DoraReport) -> std::fmt::Result {
    if report.incidents.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n## Incidents\n\n| opened | incident | title | resolved | deployment | link |\n|---|---|---|---|---|---|"
    )?;
    for line in &report.incidents {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            minute(line.incident.opened_at, report.rules.zone),
            cell(&line.incident.id),
            cell(&line.incident.title),
            line.incident
                .resolved_at
                .map_or_else(|| "**open**".to_owned(), |at| minute(at, report.rules.zone)),
            cell(line.deployment.as_deref().unwrap_or("-")),
            cell(&line.basis),
        )?;
    }
    Ok(())
}

fn how(out: &mut String, report: &DoraReport, explain: bool) -> std::fmt::Result {
    writeln!(out, "\n## How the figures were made")?;
    for metric in &report.metrics {
        let told = &metric.measured.explanation;
        writeln!(
            out,
            "\n**{}**: {}. {}.",
            metric.title,
            cell(&told.rule),
            cell(&metric.level_rule)
        )?;
        for detail in &metric.measured.details {
            writeln!(
                out,
                "- {}: {} (n {})",
                detail.title,
                cell(&detail.value.show(detail.unit)),
                detail.samples
            )?;
        }
        for note in &told.notes {
            writeln!(out, "- {}", cell(note))?;
        }
        if explain {
            for row in &told.rows {
                writeln!(
                    out,
                    "- {} {} ({}): {} {}",
                    row.kind.name(),
                    cell(&row.id),
                    span(row, report.rules.zone),
                    metric.measured.unit.show(row.value),
                    cell(&row.note)
                )?;
            }
        }
        for left in told.left_out.iter().take(LEFT_OUT) {
            writeln!(
                out,
                "- left out: {} {}: {}",
                left.kind.name(),
                cell(&left.id),
                cell(&left.reason)
            )?;
        }
        if let Some(more) = told
            .left_out
            .len()
            .checked_sub(LEFT_OUT)
            .filter(|&more| more > 0)
        {
            writeln!(out, "- left out: {more} more")?;
        }
    }
    Ok(())
}
