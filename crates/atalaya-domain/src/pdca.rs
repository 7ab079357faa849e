//! Plan-Do-Check-Act cycles: did the last change help?
//!
//! A cycle is its events and nothing else: each thing that happens is appended, and the state is
//! the fold of them ([`PdcaCycle::fold`]). PLAN fixes in advance what is measured, against which
//! baseline and when it is looked at; CHECK may not choose later ([`looks`]). What a look found is
//! an effect with an interval and a state of evidence ([`effect`]); what to do about it stands on
//! the interval, never on the point estimate alone ([`rules`]). All of it is before against after:
//! without a control, so part of any gain after a bad month is luck, and reports say so.

pub mod course;
pub mod effect;
pub mod forecast;
pub mod listing;
pub mod looks;
pub mod propose;
pub mod rules;
pub mod series;
pub mod simulate;
pub mod weeks;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::dora::Metric;
use super::stats::Interval;
use super::time::{TimeRange, Timestamp};

pub use course::{Course, CoursePoint};
pub use effect::{Effect, Evidence};
pub use forecast::{Forecast, Power};
pub use listing::{BrokenCycle, Listing, Unreadable};
pub use looks::{LOOKS, PlannedLook};
pub use propose::{Proposal, propose};
pub use rules::{Automatic, PdcaRules, Verdict, automatically};
pub use series::{Measure, Observation, Series};
pub use weeks::{Basis, Spread};

/// Metrics that must not get worse unless a plan says otherwise.
pub fn usual_guards(metric: Metric) -> Vec<Metric> {
    [Metric::ChangeFailureRate, Metric::RecoveryTime]
        .into_iter()
        .filter(|guard| *guard != metric)
        .collect()
}

/// What the plan starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Whole weeks, so that every weekday counts the same.
    pub window: TimeRange,
    /// What the value was made of.
    pub samples: u64,
    /// In the metric's unit; `None` when there was nothing to measure.
    pub value: Option<f64>,
    /// 95 %, in the metric's unit.
    pub interval: Option<Interval>,
    /// What a reader must know: too few samples, no control …
    pub warnings: Vec<String>,
    /// Since when there are facts to see weeks vary in; the baseline's start where a plan is older
    /// than this field.
    #[serde(default)]
    pub history_from: Option<Timestamp>,
    /// What the plan can hope to find; `None` where the baseline is too thin to say.
    #[serde(default)]
    pub forecast: Option<Forecast>,
    /// What a lead time of this plan is measured from.
    #[serde(default)]
    pub measure: Measure,
}

impl Baseline {
    /// From the first fact that was known at PLAN to the end of the baseline.
    pub fn history(&self) -> TimeRange {
        let from = self.history_from.unwrap_or(self.window.from);
        TimeRange::new(from.min(self.window.from), self.window.until)
    }
}

/// PLAN: what is tried and how it will be judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub title: String,
    pub metric: Metric,
    /// `None` is all services together.
    pub service: Option<String>,
    pub team: Option<String>,
    pub environment: String,
    pub baseline: Baseline,
    pub hypothesis: String,
    /// What will be changed.
    pub change: String,
    /// In per cent of the baseline, better being positive.
    pub expected_percent: f64,
    /// Less than this is not worth the change.
    pub smallest_effect_percent: f64,
    pub owner: String,
    /// Metrics that must not get worse.
    pub guards: Vec<Metric>,
}

impl Plan {
    /// What its metric is called as it is measured.
    pub const fn title_of_metric(&self) -> &'static str {
        self.baseline.measure.title(self.metric)
    }

    /// The baseline's value after the expected improvement, in the metric's unit.
    pub fn target(&self) -> Option<f64> {
        let factor = self.expected_percent / 100.0;
        let sign = if self.metric.more_is_better() {
            1.0
        } else {
            -1.0
        };
        self.baseline
            .value
            .map(|value| (value * (1.0 + sign * factor)).max(0.0))
    }
}

/// DO: what was applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    pub what: String,
    /// From here on everything is "after".
    pub applied_at: Timestamp,
    pub request_id: Option<String>,
    pub commit: Option<String>,
}

/// CHECK: one look, with everything that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// 1 to 4.
    pub number: u32,
    pub after: TimeRange,
    /// Time spent before, compared with: the same weekdays of the baseline.
    pub before_days: f64,
    /// Chance of a false alarm that this look may spend.
    pub alpha: f64,
    /// The plan's metric first, then the others of the score, each at most once.
    pub effects: Vec<Effect>,
    pub guards: Vec<Effect>,
    /// Guards that got worse.
    pub guards_worse: Vec<Metric>,
    /// Weighted over the plan's metric and every other one with evidence, per cent.
    pub score: Option<f64>,
    /// Of the score, at the confidence of this look.
    pub score_interval: Option<Interval>,
    pub evidence: Evidence,
    pub proposed: Verdict,
    pub reason: String,
    /// Whether the program may act on its own: only on a guard.
    pub automatic: bool,
    /// The older tool's plain rule on point estimates, for comparison only.
    pub seeds_score: Option<f64>,
    pub seeds_rule_decision: Option<Verdict>,
}

impl Look {
    /// What was found about the plan's own metric.
    pub fn primary(&self) -> Option<&Effect> {
        self.effects.first()
    }
}

/// ACT: what was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    pub verdict: Verdict,
    pub why: String,
    /// Taken by the program because a guard failed, not by a person.
    pub automatic: bool,
}

/// The texts that may be edited while a cycle is open; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    pub title: Option<String>,
    pub hypothesis: Option<String>,
    pub change: Option<String>,
}

/// What may happen to a cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Happening {
    Planned(Plan),
    Edited(Texts),
    Noted(String),
    Started(Applied),
    Checked(Box<Look>),
    Decided(Act),
    /// Read from a store, and not made out; never written by this program.
    #[serde(skip_deserializing)]
    Unreadable(Unreadable),
}

impl Happening {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Planned(_) => "planned",
            Self::Edited(_) => "edited",
            Self::Noted(_) => "noted",
            Self::Started(_) => "started",
            Self::Checked(_) => "checked",
            Self::Decided(_) => "decided",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// One row of a cycle's history; never changed once written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PdcaEvent {
    pub pdca_id: String,
    /// From 1, without gaps.
    pub seq: u32,
    pub at: Timestamp,
    pub by: String,
    pub happening: Happening,
}

/// Where a cycle stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not applied yet.
    Plan,
    /// Applied; no look was taken.
    Do,
    /// Looks were taken; none closed it.
    Check,
    /// A look proposes something that a person has to decide, or has been asked to.
    Act,
    Applied,
    Reverted,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Do => "do",
            Self::Check => "check",
            Self::Act => "act",
            Self::Applied => "applied",
            Self::Reverted => "reverted",
        }
    }

    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Applied | Self::Reverted)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Something that was said about a cycle.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Note {
    pub at: Timestamp,
    pub by: String,
    pub text: String,
}

/// A decision with its time and person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decided {
    pub at: Timestamp,
    pub by: String,
    pub act: Act,
}

/// A look with the time it was taken at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    pub at: Timestamp,
    pub look: Look,
}

/// The fold of a cycle's events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PdcaCycle {
    pub id: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Events so far; the next one is one more.
    pub events: u32,
    pub state: State,
    pub plan: Plan,
    pub applied: Option<Applied>,
    pub looks: Vec<Checked>,
    pub decisions: Vec<Decided>,
    pub notes: Vec<Note>,
}

/// Why something cannot happen to a cycle now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("PDCA cycle `{0}` was {1}; a closed cycle is not changed, plan a new one")]
    Closed(String, State),
    #[error("PDCA cycle `{0}` was already started; take a look with `check`")]
    AlreadyStarted(String),
    #[error("PDCA cycle `{0}` was not started yet; `start` it when the change is applied")]
    NotStarted(String),
    #[error("look {1} of PDCA cycle `{0}` was taken already")]
    LookTaken(String, u32),
    #[error(
        "PDCA cycle `{0}` has no look yet that a decision could stand on; take one with `check`"
    )]
    NothingChecked(String),
    #[error("the history of PDCA cycle `{0}` does not hold together: {1}")]
    Broken(String, String),
}

fn unreadable(event: &PdcaEvent, row: &Unreadable) -> Refusal {
    Refusal::Broken(
        event.pdca_id.clone(),
        format!("event {} cannot be read: {}", event.seq, row.reason),
    )
}

impl PdcaCycle {
    /// The cycle that these events make; `events` are of one cycle, in order.
    pub fn fold(events: &[PdcaEvent]) -> Result<Self, Refusal> {
        let broken = |id: &str, why: &str| Refusal::Broken(id.to_owned(), why.to_owned());
        let first = events
            .first()
            .ok_or_else(|| broken("", "there are no events"))?;
        let plan = match &first.happening {
            Happening::Planned(plan) => plan,
            Happening::Unreadable(row) => return Err(unreadable(first, row)),
            _ => return Err(broken(&first.pdca_id, "it does not begin with a plan")),
        };
        let mut cycle = Self {
            id: first.pdca_id.clone(),
            created_at: first.at,
            updated_at: first.at,
            events: first.seq,
            state: State::Plan,
            plan: plan.clone(),
            applied: None,
            looks: Vec::new(),
            decisions: Vec::new(),
            notes: Vec::new(),
        };
        for event in &events[1..] {
            cycle.apply(event)?;
        }
        Ok(cycle)
    }

    /// The next event of this cycle, checked against its state; nothing is changed yet.
    pub fn next_event(
        &self,
        at: Timestamp,
        by: &str,
        happening: Happening,
    ) -> Result<PdcaEvent, Refusal> {
        let event = PdcaEvent {
            pdca_id: self.id.clone(),
            seq: self.events + 1,
            at,
            by: by.to_owned(),
            happening,
        };
        self.clone().apply(&event)?;
        Ok(event)
    }

    /// Takes the next event in. Notes may be added to a closed cycle, nothing else.
    pub fn apply(&mut self, event: &PdcaEvent) -> Result<(), Refusal> {
        let id = || self.id.clone();
        if event.pdca_id != self.id || event.seq != self.events + 1 {
            return Err(Refusal::Broken(
                id(),
                format!("event {} follows event {}", event.seq, self.events),
            ));
        }
        if self.state.is_closed() && !matches!(event.happening, Happening::Noted(_)) {
            return Err(Refusal::Closed(id(), self.state));
        }
        match &event.happening {
            Happening::Planned(_) => {
                return Err(Refusal::Broken(id(), "it is planned twice".to_owned()));
            }
            Happening::Unreadable(row) => return Err(unreadable(event, row)),
            Happening::Edited(texts) => self.edit(texts),
            Happening::Noted(text) => {
                self.notes.push(Note {
                    at: event.at,
                    by: event.by.clone(),
                    text: text.clone(),
                });
            }
            Happening::Started(applied) => {
                if self.applied.is_some() {
                    return Err(Refusal::AlreadyStarted(id()));
                }
                self.applied = Some(applied.clone());
                self.state = State::Do;
            }
            Happening::Checked(look) => {
                if self.applied.is_none() {
                    return Err(Refusal::NotStarted(id()));
                }
                if self
                    .looks
                    .last()
                    .is_some_and(|last| last.look.number >= look.number)
                {
                    return Err(Refusal::LookTaken(id(), look.number));
                }
                self.state = if look.proposed == Verdict::Continue {
                    State::Check
                } else {
                    State::Act
                };
                self.looks.push(Checked {
                    at: event.at,
                    look: (**look).clone(),
                });
            }
            Happening::Decided(act) => {
                if self.applied.is_none() {
                    return Err(Refusal::NotStarted(id()));
                }
                // Taking a change back needs no proof; keeping it does.
                if self.looks.is_empty() && act.verdict != Verdict::Revert {
                    return Err(Refusal::NothingChecked(id()));
                }
                self.state = match act.verdict {
                    Verdict::Apply => State::Applied,
                    Verdict::Revert => State::Reverted,
                    Verdict::Continue => State::Check,
                    Verdict::Escalate => State::Act,
                };
                self.decisions.push(Decided {
                    at: event.at,
                    by: event.by.clone(),
                    act: act.clone(),
                });
            }
        }
        self.events = event.seq;
        self.updated_at = event.at;
        Ok(())
    }

    fn edit(&mut self, texts: &Texts) {
        let Texts {
            title,
            hypothesis,
            change,
        } = texts.clone();
        self.plan.title = title.unwrap_or_else(|| std::mem::take(&mut self.plan.title));
        self.plan.hypothesis =
            hypothesis.unwrap_or_else(|| std::mem::take(&mut self.plan.hypothesis));
        self.plan.change = change.unwrap_or_else(|| std::mem::take(&mut self.plan.change));
    }

    /// The latest look.
    pub fn last_look(&self) -> Option<&Look> {
        self.looks.last().map(|checked| &checked.look)
    }

    /// The look that can be taken now: the latest one whose time has come and that was not taken.
    pub fn due_look(&self, now: Timestamp) -> Option<PlannedLook> {
        let applied = self.applied.as_ref().filter(|_| !self.state.is_closed())?;
        let taken = self.last_look().map_or(0, |look| look.number);
        LOOKS
            .into_iter()
            .rfind(|look| look.number > taken && look.due_at(applied.applied_at) <= now)
    }

    /// When the next look that was not taken is due; `None` before the start, at the end, and after
    /// the last one.
    pub fn next_look_at(&self) -> Option<(PlannedLook, Timestamp)> {
        let applied = self.applied.as_ref().filter(|_| !self.state.is_closed())?;
        let taken = self.last_look().map_or(0, |look| look.number);
        LOOKS
            .into_iter()
            .find(|look| look.number > taken)
            .map(|look| (look, look.due_at(applied.applied_at)))
    }
}

#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
#[cfg(test)]
mod tests;
