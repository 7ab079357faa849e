//! What `atalaya alerts` prints.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::service::alerts::{RuleView, value_line};
use atalaya_domain::alert::{Alert, Evidence, Silence, health, show_labels};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::ChannelState;

fn json_text(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// `2 d 4 h`, `3 h 12 min`, `5 min`, `40 s`.
fn ago(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

pub(super) fn list(alerts: &[Alert], as_json: bool, now: Timestamp) -> anyhow::Result<String> {
    if as_json {
        return json_text(&alerts);
    }
    if alerts.is_empty() {
        return Ok("nothing fires\n".to_owned());
    }
    let mut text = String::new();
    for alert in alerts {
        writeln!(
            text,
            "{}  {:8}  {:8}  {:24}  {}  since {}{}",
            alert.id,
            alert.rule.severity,
            alert.state,
            alert.rule.name,
            value_line(alert),
            ago(now.since(alert.since())),
            remarks(alert)
        )?;
    }
    Ok(text)
}

fn remarks(alert: &Alert) -> String {
    let mut text = String::new();
    if let Some(seen) = &alert.acknowledged {
        text.push_str(&format!("  seen by {}", seen.by));
    }
    if let Some(mute) = &alert.muted {
        text.push_str(&format!("  {mute}"));
    }
    if let Some(why) = alert.no_data.as_ref().filter(|_| alert.is_active()) {
        text.push_str(&format!("  no data: {why}"));
    }
    text
}

pub(super) fn one(alert: &Alert, as_json: bool, now: Timestamp) -> anyhow::Result<String> {
    if as_json {
        return json_text(alert);
    }
    let mut text = String::new();
    let rule = &alert.rule;
    writeln!(text, "{}  {}  {}", alert.id, rule.severity, alert.state)?;
    writeln!(text, "rule        {}", rule.name)?;
    writeln!(text, "value       {}", value_line(alert))?;
    if let Some(worst) = alert.worst {
        writeln!(
            text,
            "worst       {}",
            atalaya_domain::alert::show_number(worst)
        )?;
    }
    if !rule.todo.is_empty() {
        writeln!(text, "what to do  {}", rule.todo)?;
    }
    if !rule.labels.is_empty() {
        writeln!(text, "labels      {}", show_labels(&rule.labels))?;
    }
    writeln!(text, "pending     {}", alert.pending_since)?;
    if let Some(at) = alert.firing_since {
        writeln!(text, "firing      {at} ({} ago)", ago(now.since(at)))?;
    }
    if let Some(at) = alert.resolved_at {
        writeln!(text, "resolved    {at} ({} ago)", ago(now.since(at)))?;
    }
    match alert.told_at {
        Some(at) => writeln!(text, "told        {} times, last {at}", alert.told)?,
        None => writeln!(text, "told        nobody yet")?,
    }
    if let Some(seen) = &alert.acknowledged {
        let until = seen.until_worse_than.map_or_else(String::new, |value| {
            format!(
                ", until it is worse than {}",
                atalaya_domain::alert::show_number(value)
            )
        });
        let note = seen
            .note
            .as_deref()
            .map_or_else(String::new, |note| format!(": {note}"));
        writeln!(
            text,
            "seen        by {} at {}{until}{note}",
            seen.by, seen.at
        )?;
    }
    if let Some(mute) = &alert.muted {
        writeln!(text, "quiet       {mute}")?;
    }
    if let Some(why) = &alert.no_data {
        writeln!(text, "no data     {why}")?;
    }
    if let Some(found) = &alert.evidence {
        evidence(&mut text, found, rule.query.as_deref())?;
    }
    Ok(text)
}

fn evidence(text: &mut String, evidence: &Evidence, query: Option<&str>) -> std::fmt::Result {
    writeln!(text, "\nevidence of {}", evidence.at)?;
    writeln!(text, "reading     {}", evidence.reading)?;
    if let Some(query) = query {
        writeln!(text, "query       {query}")?;
    }
    if let Some(deployment) = &evidence.deployment {
        let before = ago(Duration::from_secs(deployment.seconds_before));
        writeln!(
            text,
            "deployment  {} of {} ({}), {before} before",
            deployment.id, deployment.service, deployment.environment
        )?;
    }
    for id in &evidence.request_ids {
        writeln!(text, "request     {id}")?;
    }
    for record in &evidence.records {
        let message = record.message.lines().next().unwrap_or_default();
        writeln!(
            text,
            "record      {} {} {} {message}",
            record.at, record.level, record.source
        )?;
    }
    for missing in &evidence.missing {
        writeln!(text, "missing     {missing}")?;
    }
    Ok(())
}

pub(super) fn history(alerts: &[Alert], as_json: bool, now: Timestamp) -> anyhow::Result<String> {
    if as_json {
        return json_text(&alerts);
    }
    if alerts.is_empty() {
        return Ok("nothing has fired\n".to_owned());
    }
    let mut text = String::new();
    for alert in alerts {
        let began = alert.firing_since.unwrap_or(alert.pending_since);
        let lasted = alert.resolved_at.unwrap_or(now).since(began);
        writeln!(
            text,
            "{}  {began}  {:8}  {:8}  {:24}  for {}  {}",
            alert.id,
            alert.rule.severity,
            alert.state,
            alert.rule.name,
            ago(lasted),
            value_line(alert)
        )?;
    }
    Ok(text)
}

pub(super) fn silences(
    silences: &[Silence],
    as_json: bool,
    now: Timestamp,
) -> anyhow::Result<String> {
    if as_json {
        return json_text(&silences);
    }
    if silences.is_empty() {
        return Ok("no silence\n".to_owned());
    }
    let mut text = String::new();
    for silence in silences {
        let state = if silence.is_active(now) {
            "now"
        } else if silence.until <= now {
            "over"
        } else {
            "later"
        };
        writeln!(
            text,
            "{}  {state:5}  {:24}  {} to {}  by {}: {}",
            silence.id, silence.rule, silence.from, silence.until, silence.by, silence.reason
        )?;
    }
    Ok(text)
}

pub(super) fn rules(views: &[RuleView], as_json: bool) -> anyhow::Result<String> {
    if as_json {
        return json_text(&views);
    }
    let mut text = String::new();
    for view in views {
        let state = view.state.map_or("ok", atalaya_domain::alert::State::name);
        let state = if view.value.is_none() && view.state.is_none() {
            "-"
        } else {
            state
        };
        writeln!(
            text,
            "{:8}  {:8}  {:24}  {}  [{}]",
            state,
            view.severity,
            view.name,
            view.condition,
            view.origin.name()
        )?;
        let distance = view.distance.map_or_else(String::new, |distance| {
            let side = if distance < 0.0 { "below" } else { "beyond" };
            format!("; {:.0} % {side} the threshold", distance.abs() * 100.0)
        });
        writeln!(text, "          {}{distance}", view.reading)?;
        if !view.labels.is_empty() {
            writeln!(text, "          labels: {}", show_labels(&view.labels))?;
        }
        if let Some(muted) = &view.muted {
            writeln!(text, "          {muted}")?;
        }
    }
    Ok(text)
}

pub(super) fn measures(as_json: bool) -> anyhow::Result<String> {
    if as_json {
        let all = health::MEASURES.map(|(name, what)| json!({ "name": name, "what": what }));
        return json_text(&all);
    }
    let lines = health::MEASURES.map(|(name, what)| format!("{name:28}  {what}\n"));
    Ok(lines.concat()
        + "and every health sample, as `component.measure`: `atalaya health --history`\n")
}

pub(super) fn channels(
    channels: &[(ChannelState, &'static str)],
    as_json: bool,
) -> anyhow::Result<String> {
    if as_json {
        let all: Vec<_> = channels
            .iter()
            .map(|(state, kind)| {
                json!({
                    "channel": state.channel,
                    "kind": kind,
                    "notices_waiting": state.notices,
                    "messages_waiting": state.queued,
                    "oldest_waiting": state.oldest_queued.map(Timestamp::to_rfc3339),
                    "delivered": state.delivered,
                    "last_delivered": state.last_delivered.map(Timestamp::to_rfc3339),
                    "given_up": state.dead,
                    "last_answer": state.last_answer,
                })
            })
            .collect();
        return json_text(&all);
    }
    let mut text = String::new();
    for (state, kind) in channels {
        writeln!(
            text,
            "{:20}  {kind:8}  {} waiting  {} delivered  {} given up{}",
            state.channel,
            state.queued + u64::from(state.notices > 0),
            state.delivered,
            state.dead,
            state
                .last_delivered
                .map_or_else(String::new, |at| format!("  last {at}"))
        )?;
        if let Some(answer) = &state.last_answer {
            writeln!(text, "                      last answer: {answer}")?;
        }
    }
    Ok(text)
}

pub(super) fn tests(
    results: &[(String, Result<(), String>)],
    as_json: bool,
) -> anyhow::Result<String> {
    if as_json {
        let all: Vec<_> = results
            .iter()
            .map(|(channel, sent)| {
                json!({ "channel": channel, "ok": sent.is_ok(), "problem": sent.as_ref().err() })
            })
            .collect();
        return json_text(&all);
    }
    let mut text = String::new();
    for (channel, sent) in results {
        match sent {
            Ok(()) => writeln!(text, "ok    {channel}")?,
            Err(why) => writeln!(text, "FAIL  {channel}: {why}")?,
        }
    }
    Ok(text)
}
