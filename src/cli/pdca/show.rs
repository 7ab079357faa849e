//! PDCA cycles as text and as JSON.

use std::fmt::Write as _;

use crate::shown::Shown;
use atalaya_domain::pdca::effect::show_p;
use atalaya_domain::pdca::propose::Proposal;
use atalaya_domain::pdca::{
    Automatic, Effect, Evidence, Listing, Look, Measure, PdcaCycle, automatically,
};
use atalaya_domain::time::Timestamp;

// Writing to a string cannot fail; the results are dropped for that reason throughout.

pub fn list(listing: &Listing, now: Timestamp) -> String {
    if listing.cycles.is_empty() && listing.broken.is_empty() {
        return "no PDCA cycles; `atalaya pdca propose` names metrics worth one\n".to_owned();
    }
    let mut text = String::new();
    for cycle in &listing.cycles {
        let plan = &cycle.plan;
        let unit = plan.metric.unit();
        let shown =
            |value: Option<f64>| value.map_or_else(|| "N/A".to_owned(), |value| unit.show(value));
        let now_shown = cycle
            .last_look()
            .and_then(Look::primary)
            .map_or_else(|| waiting(cycle, now), Effect::show);
        let _ = writeln!(
            text,
            "{:<22} {:<8} {:<12} {} -> {}  {}\n{:22} {}",
            cycle.id,
            cycle.state,
            one_line(plan.service.as_deref().unwrap_or("all")),
            shown(plan.baseline.value),
            shown(plan.target()),
            now_shown,
            "",
            format_args!("{}: {}", plan.title_of_metric(), one_line(&plan.title)),
        );
    }
    for cycle in &listing.broken {
        let _ = writeln!(
            text,
            "{:<22} unreadable   {}\n{:22} {}",
            one_line(&cycle.id),
            one_line(&cycle.reason),
            "",
            one_line(
                cycle
                    .title
                    .as_deref()
                    .unwrap_or("(no plan that can be read)")
            ),
        );
    }
    text
}

/// What the cycle waits for.
fn waiting(cycle: &PdcaCycle, now: Timestamp) -> String {
    match cycle.next_look_at() {
        Some((look, due_at)) if due_at <= now => {
            format!("look {} ({}) is due", look.number, look.title())
        }
        Some((look, due_at)) => format!(
            "look {} ({}) at {}",
            look.number,
            look.title(),
            minute(due_at)
        ),
        None if cycle.applied.is_none() => "not started".to_owned(),
        None => "no look left".to_owned(),
    }
}

/// The four phases of one cycle.
pub fn cycle(cycle: &PdcaCycle, now: Timestamp) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  {}  ({})",
        cycle.id,
        one_line(&cycle.plan.title),
        cycle.state
    );
    plan(&mut text, cycle);
    applied(&mut text, cycle);
    looks(&mut text, cycle, now);
    decisions(&mut text, cycle);
    for note in &cycle.notes {
        let _ = writeln!(
            text,
            "\nNOTE   {} {}: {}",
            minute(note.at),
            one_line(&note.by),
            one_line(&note.text)
        );
    }
    text
}

fn plan(text: &mut String, cycle: &PdcaCycle) {
    let plan = &cycle.plan;
    let unit = plan.metric.unit();
    let shown =
        |value: Option<f64>| value.map_or_else(|| "N/A".to_owned(), |value| unit.show(value));
    let measured = match plan.baseline.measure {
        Measure::Standard => plan.metric.title(),
        Measure::CycleTime => "Cycle time (no source knows the commits)",
    };
    let _ = writeln!(
        text,
        "\nPLAN   {measured} of {}",
        one_line(plan.service.as_deref().unwrap_or("all services"))
    );
    let interval = plan.baseline.interval.map_or_else(String::new, |interval| {
        format!(
            ", 95 % {} to {}",
            unit.show(interval.low),
            unit.show(interval.high)
        )
    });
    let _ = writeln!(
        text,
        "  baseline    {} (n {}{interval}), {} to {}",
        shown(plan.baseline.value),
        plan.baseline.samples,
        minute(plan.baseline.window.from),
        minute(plan.baseline.window.until)
    );
    let _ = writeln!(
        text,
        "  target      {} ({:.0} % better)",
        shown(plan.target()),
        plan.expected_percent
    );
    let _ = writeln!(
        text,
        "  worth it    from {:.0} % better",
        plan.smallest_effect_percent
    );
    match &plan.baseline.forecast {
        None => {
            let _ = writeln!(
                text,
                "  to expect   too few samples to say what can be found"
            );
        }
        Some(forecast) => {
            for (name, sentence) in ["to expect", "", ""]
                .into_iter()
                .zip(forecast.sentences(plan.metric, plan.baseline.measure))
            {
                let _ = writeln!(text, "  {name:<11} {sentence}");
            }
        }
    }
    let guards: Vec<&str> = plan.guards.iter().map(|metric| metric.title()).collect();
    let guards = match guards.join(", ") {
        none if none.is_empty() => "none".to_owned(),
        guards => guards,
    };
    for (name, value) in [
        ("hypothesis", &plan.hypothesis),
        ("change", &plan.change),
        ("owner", &plan.owner),
        ("guards", &guards),
    ] {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<11} {}", one_line(value));
        }
    }
    for warning in &plan.baseline.warnings {
        let _ = writeln!(text, "  note        {warning}");
    }
}

fn applied(text: &mut String, cycle: &PdcaCycle) {
    let _ = writeln!(text, "\nDO");
    let Some(applied) = &cycle.applied else {
        let _ = writeln!(text, "  not started");
        return;
    };
    let _ = writeln!(
        text,
        "  {}  {}",
        minute(applied.applied_at),
        one_line(&applied.what)
    );
    for (name, value) in [
        ("request", &applied.request_id),
        ("commit", &applied.commit),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<11} {}", one_line(value));
        }
    }
}

fn looks(text: &mut String, cycle: &PdcaCycle, now: Timestamp) {
    let _ = writeln!(text, "\nCHECK");
    for checked in &cycle.looks {
        look(text, &checked.look);
    }
    if let Some(look) = cycle.last_look().filter(|_| !cycle.state.is_closed()) {
        let _ = writeln!(text, "  by itself   {}", by_itself(look));
    }
    if cycle.applied.is_some() && !cycle.state.is_closed() {
        let _ = writeln!(text, "  next        {}", waiting(cycle, now));
    }
}

/// What `pdca.auto_decide` would make of the latest look.
fn by_itself(look: &Look) -> String {
    match automatically(look) {
        Automatic::Decide { verdict, why } => {
            format!("with pdca.auto_decide the service would {verdict}: {why}")
        }
        Automatic::Wait { .. } => "with pdca.auto_decide the service would wait".to_owned(),
        Automatic::AskPerson { why } => {
            format!("also with pdca.auto_decide a person decides: {why}")
        }
    }
}

fn decisions(text: &mut String, cycle: &PdcaCycle) {
    let _ = writeln!(text, "\nACT");
    for decided in &cycle.decisions {
        let _ = writeln!(
            text,
            "  {}  {} by {}: {}",
            minute(decided.at),
            decided.act.verdict,
            one_line(&decided.by),
            one_line(&decided.act.why)
        );
    }
    if cycle.decisions.is_empty() {
        let _ = writeln!(text, "  nothing decided");
    }
}

fn look(text: &mut String, look: &Look) {
    let _ = writeln!(
        text,
        "  look {}      to {}, against {} days before; evidence: {}",
        look.number,
        minute(look.after.until),
        look.before_days,
        look.evidence
    );
    for effect in &look.effects {
        let p = effect
            .p_adjusted
            .map_or_else(String::new, |p| format!(", p {}", show_p(p)));
        let _ = writeln!(
            text,
            "    {:<32} {} [{}{p}] {}",
            effect.title(),
            effect.show(),
            effect.test.name(),
            effect.evidence
        );
        if let Some(spread) = &effect.spread {
            let _ = writeln!(text, "      {}", spread.show());
        }
        for flag in &effect.flags {
            let _ = writeln!(text, "      {flag}");
        }
    }
    for guard in &look.guards {
        let state = match guard.evidence {
            _ if look.guards_worse.contains(&guard.metric) => "WORSE",
            Evidence::Insufficient => "unknown, too few",
            _ => "holds",
        };
        let _ = writeln!(
            text,
            "    guard {:<26} {state}, n {}/{}",
            guard.title(),
            guard.n_base,
            guard.n_post
        );
    }
    let _ = writeln!(text, "    proposed: {}: {}", look.proposed, look.reason);
    if let (Some(score), Some(verdict)) = (look.seeds_score, look.seeds_rule_decision) {
        let _ = writeln!(
            text,
            "    the plain rule on point estimates would say {verdict} (score {score:+.1})"
        );
    }
}

pub fn proposals(proposals: &[Proposal]) -> String {
    if proposals.is_empty() {
        return "no metric with a number misses its target\n".to_owned();
    }
    let mut text = String::new();
    for proposal in proposals {
        let unit = proposal.metric.unit();
        let _ = writeln!(
            text,
            "{:<32} {} (n {}), target {}: plan {:+.0} %",
            proposal.metric.title(),
            unit.show(proposal.current),
            proposal.samples,
            unit.show(proposal.target),
            proposal.expected_percent
        );
    }
    text
}

fn minute(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%MZ").to_string()
}

/// Somebody else's text on one line, with nothing in it that a terminal would obey.
fn one_line(text: &str) -> String {
    Shown::line(text).into_text().into_owned()
}
