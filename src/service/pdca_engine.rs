//! The PDCA engine: what the service does for cycles by itself.
//!
//! Weekly it plans a cycle for each metric that misses its target and has none that is open;
//! hourly it takes the looks that are due, and with `pdca.auto_decide` records what
//! [`automatically`] lets it. Each of these is an event of its own name, and is told to the channels
//! of the alerts. Everything else is a person's.
//!
//! Each step may be begun anew after a crash: a plan is made only where none is open, a look is
//! taken once, a look is decided on once, and a message has the key of its event.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::alerts::put_note;
use super::pdca::{self, Draft, PdcaError, PdcaSettings};
use crate::config::AlertSettings;
use atalaya_domain::alert::{Note, Severity};
use atalaya_domain::dora::Scope;
use atalaya_domain::pdca::{
    Act, Automatic, Happening, PdcaCycle, PdcaEvent, Proposal, automatically,
};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::MetricsStore;

/// Who the engine's events are by.
pub const ENGINE: &str = "atalaya";
/// An event is told within this long, or no more: messages are remembered for longer.
const TELL_WITHIN: Duration = Duration::from_secs(14 * 86_400);

/// What a run did, in words, and what it could not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub lines: Vec<String>,
    pub failures: Vec<String>,
}

/// PLAN: a cycle for each metric that misses its target, unless one on it is open.
///
/// # Errors
/// The store cannot be read or written.
pub async fn propose(
    store: &dyn MetricsStore,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Result<Done, PdcaError> {
    let scope = Scope {
        environment: settings.environment.clone(),
        ..Scope::default()
    };
    let open: BTreeSet<&'static str> = pdca::list(store)
        .await?
        .cycles
        .iter()
        .filter(|cycle| !cycle.state.is_closed())
        .filter(|cycle| cycle.plan.service.is_none() && cycle.plan.team.is_none())
        .map(|cycle| cycle.plan.metric.key())
        .collect();
    let mut done = Done::default();
    for proposal in pdca::proposals(store, &scope, settings, now).await? {
        let name = proposal.metric.title();
        if open.contains(proposal.metric.key()) {
            done.lines
                .push(format!("{name} misses its target; a cycle on it is open"));
            continue;
        }
        let cycle = pdca::create(store, draft(&proposal), settings, ENGINE, now).await?;
        done.lines.push(format!("{name}: planned {}", cycle.id));
    }
    if done.lines.is_empty() {
        done.lines.push("no metric misses its target".to_owned());
    }
    Ok(done)
}

fn draft(proposal: &Proposal) -> Draft {
    let unit = proposal.metric.unit();
    let (current, target) = (unit.show(proposal.current), unit.show(proposal.target));
    let name = proposal.metric.title();
    Draft {
        title: format!("{name}: {current} misses the target of {target}"),
        metric: proposal.metric,
        service: None,
        team: None,
        hypothesis: String::new(),
        change: String::new(),
        expected_percent: Some(proposal.expected_percent),
        owner: String::new(),
        guards: None,
    }
}

/// CHECK and ACT: the looks that are due, and what may be decided without a person.
///
/// # Errors
/// The store cannot be read. What goes wrong with one cycle is in the result, and the others go on.
pub async fn check(
    store: &dyn MetricsStore,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Result<Done, PdcaError> {
    let listing = pdca::list(store).await?;
    let mut done = Done::default();
    for broken in &listing.broken {
        done.failures
            .push(format!("{}: {}", broken.id, broken.reason));
    }
    for cycle in listing.cycles {
        let id = cycle.id.clone();
        if let Err(error) = attend(store, cycle, settings, now, &mut done.lines).await {
            done.failures
                .push(format!("{id}: {}", super::describe(&error)));
        }
    }
    Ok(done)
}

async fn attend(
    store: &dyn MetricsStore,
    mut cycle: PdcaCycle,
    settings: &PdcaSettings,
    now: Timestamp,
    lines: &mut Vec<String>,
) -> Result<(), PdcaError> {
    if cycle.due_look(now).is_some() {
        cycle = pdca::check(store, &cycle.id, settings, ENGINE, now).await?;
        if let Some(look) = cycle.last_look() {
            lines.push(format!(
                "{}: look {}: {} ({})",
                cycle.id, look.number, look.proposed, look.reason
            ));
        }
    }
    if !settings.auto_decide || cycle.state.is_closed() {
        return Ok(());
    }
    let Some(checked) = cycle.looks.last() else {
        return Ok(());
    };
    // A person who decided after the look had the last word.
    let decided = cycle.decisions.last();
    if decided.is_some_and(|decided| decided.at >= checked.at) {
        return Ok(());
    }
    match automatically(&checked.look) {
        Automatic::Decide { verdict, why } => {
            lines.push(format!("{}: {verdict} ({why})", cycle.id));
            let act = Act {
                verdict,
                why,
                automatic: true,
            };
            let event = cycle.next_event(now, ENGINE, Happening::Decided(act))?;
            store.append_pdca_event(&event).await?;
        }
        Automatic::Wait { .. } => {}
        Automatic::AskPerson { why } => {
            lines.push(format!("{}: a person decides: {why}", cycle.id));
        }
    }
    Ok(())
}

/// Tells what the engine did lately, each event once. Returns how many messages were put.
///
/// # Errors
/// Those of the store; what was not told is told the next time.
pub async fn announce(
    store: &dyn MetricsStore,
    settings: &PdcaSettings,
    alerts: &AlertSettings,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let since = now.saturating_sub(TELL_WITHIN);
    let events = store.pdca_events(None).await?;
    let mut titles = BTreeMap::new();
    for event in &events {
        if let Happening::Planned(plan) = &event.happening {
            titles.insert(event.pdca_id.clone(), plan.title.clone());
        }
    }
    let mut told = 0;
    for event in events
        .iter()
        .filter(|event| event.by == ENGINE && event.at >= since)
    {
        let title = titles.get(&event.pdca_id).map_or("", String::as_str);
        let Some((severity, what, text)) = words(event, title, settings.auto_decide) else {
            continue;
        };
        let key = format!("{}-{}", event.pdca_id, event.seq);
        let title = format!("PDCA {}: {what}", event.pdca_id);
        let note = Note {
            severity,
            title,
            text,
        };
        told += put_note(store, alerts, &[], &key, &note, now).await?;
    }
    Ok(told)
}

/// How bad it is, what happened in a few words, and all of it.
fn words(event: &PdcaEvent, title: &str, auto_decide: bool) -> Option<(Severity, String, String)> {
    let id = &event.pdca_id;
    match &event.happening {
        Happening::Planned(plan) => Some((
            Severity::Info,
            format!("proposed: {title}"),
            format!(
                "{title}\nexpected: {:.0} % better\nwhat to do: say what is to be changed (`atalaya pdca show {id}`), apply it, and `atalaya pdca start {id}`",
                plan.expected_percent
            ),
        )),
        Happening::Checked(look) => {
            let ask = match automatically(look) {
                Automatic::Wait { .. } => "nothing to do until the next look".to_owned(),
                Automatic::Decide { .. } if auto_decide => "the service decides".to_owned(),
                Automatic::Decide { why, .. } | Automatic::AskPerson { why } => {
                    format!("a person decides: {why}; `atalaya pdca decide {id}`")
                }
            };
            let severity = if look.guards_worse.is_empty() {
                Severity::Info
            } else {
                Severity::Warning
            };
            Some((
                severity,
                format!("look {} proposes {}", look.number, look.proposed),
                format!("{title}\n{}\nwhat to do: {ask}", look.reason),
            ))
        }
        Happening::Decided(act) => Some((
            Severity::Warning,
            format!("{} by the service", act.verdict),
            format!("{title}\nwhy: {}", act.why),
        )),
        _ => None,
    }
}
