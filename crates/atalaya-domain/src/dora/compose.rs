//! The whole report from facts, scope, window, rules and "now".

use std::collections::BTreeSet;

use super::failures::{Delivered, LinkBasis};
use super::levels::{averaged, voted};
use super::trend::{delta, whole_weeks};
use super::{
    DeploymentLine, DoraReport, Facts, IncidentLine, LeadBasis, Measured, Metric, MetricReport,
    Note, NoteKind, Overall, PerformanceLevel, Profile, Rules, Scope, SlowChange, Target, Unit,
    Value, WeekPoint, iact, lead_time, metrics, quick_check, recovery, show_hours,
};
use crate::time::{TimeRange, Timestamp};

/// How many of the longest lead times a report names.
const SLOWEST: usize = 5;

/// Computes everything. `window` may reach past `now`; what has not happened yet has no rows.
pub fn report(
    facts: &Facts<'_>,
    scope: &Scope,
    window: TimeRange,
    rules: &Rules,
    now: Timestamp,
) -> DoraReport {
    let delivered = Delivered::link(facts, &scope.environment, rules.link_cap);
    let previous = window.previous();
    let weeks = whole_weeks(window.until.min(now), rules.weeks, rules.zone);
    let lead_basis = LeadBasis::of(&delivered, scope, window);
    let at = Context {
        lead_basis,
        facts,
        scope,
        rules,
        now,
        delivered: &delivered,
    };

    let metrics: Vec<MetricReport> = Metric::ALL
        .into_iter()
        .map(|metric| at.metric(metric, window, &weeks))
        .collect();
    let overall = overall(&metrics, rules.profile);
    let trend = TimeRange::new(
        weeks
            .first()
            .map_or(window.from, |week| week.from)
            .min(window.from),
        window.until,
    );
    let indices: Vec<usize> = delivered.within(scope, window).collect();
    DoraReport {
        scope: scope.clone(),
        rules: rules.clone(),
        window,
        previous,
        generated_at: now,
        overall,
        lead_basis,
        deployments: indices.iter().rev().map(|&index| at.line(index)).collect(),
        incidents: at.incidents(window),
        slowest: slowest(&delivered, &indices),
        marks: delivered
            .within(scope, trend)
            .map(|index| delivered.deployments[index].finished_at)
            .collect(),
        cycles: iact::phases(facts, scope, window)
            .map(|phase| &phase.cycle_id)
            .collect::<BTreeSet<_>>()
            .len(),
        notes: at.notes(window, &indices),
        metrics,
    }
}

/// By what a metric is measured over a range.
pub(super) struct Context<'a> {
    /// One for window, previous period and weeks: only like is compared with like.
    pub lead_basis: LeadBasis,
    pub facts: &'a Facts<'a>,
    pub scope: &'a Scope,
    pub rules: &'a Rules,
    pub now: Timestamp,
    pub delivered: &'a Delivered<'a>,
}

impl Context<'_> {
    pub fn measure(&self, metric: Metric, range: TimeRange) -> Measured {
        let &Self {
            lead_basis,
            facts,
            scope,
            rules,
            now,
            delivered,
        } = self;
        match (rules.profile, metric) {
            (Profile::Iact, _) => iact::measure(facts, scope, metric, range),
            (Profile::Dora, Metric::DeploymentFrequency) => {
                metrics::frequency(delivered, facts, scope, range, rules.zone)
            }
            (Profile::Dora, Metric::ChangeLeadTime) => {
                lead_time::measure(delivered, facts, scope, range, lead_basis)
            }
            (Profile::Dora, Metric::ChangeFailureRate) => {
                metrics::failure_rate(delivered, facts, scope, range)
            }
            (Profile::Dora, Metric::RecoveryTime) => {
                recovery::measure(delivered, facts, scope, range, now)
            }
            (Profile::Dora, Metric::ReworkRate) => {
                metrics::rework_rate(delivered, facts, scope, range)
            }
        }
    }

    fn metric(&self, metric: Metric, window: TimeRange, weeks: &[TimeRange]) -> MetricReport {
        let measured = self.measure(metric, window);
        let before = self.measure(metric, window.previous());
        // Limits, scores and goals are of lead times: a cycle begins long before a commit.
        let is_cycle_time =
            metric == Metric::ChangeLeadTime && self.rules.has_cycle_time(self.lead_basis);
        let (level, level_rule) = if is_cycle_time {
            (
                None,
                "nobody has published levels of cycle times".to_owned(),
            )
        } else {
            self.rules.thresholds.level(metric, &measured)
        };
        let number = measured.value.number();
        // Scores and targets of the frequency are per day, also where the profile counts.
        let comparable = if measured.unit == Unit::Count {
            measured
                .detail("per_day")
                .and_then(|detail| detail.value.number())
        } else {
            number.filter(|_| !is_cycle_time)
        };
        let nothing = metric == Metric::DeploymentFrequency && measured.samples == 0;
        MetricReport {
            metric,
            title: if is_cycle_time {
                self.lead_basis.title()
            } else {
                metric.title()
            },
            level,
            level_rule,
            score: comparable
                .filter(|_| !nothing)
                .map(|value| quick_check::score(metric, value)),
            target: self.rules.targets.of(metric).map(|target| Target {
                value: target,
                met: comparable.and_then(|value| met(metric, measured.value, value, target)),
            }),
            delta: delta(metric, measured.value, before.value),
            previous: before.value,
            previous_samples: before.samples,
            weeks: weeks
                .iter()
                .map(|&week| {
                    let measured = self.measure(metric, week);
                    WeekPoint {
                        start: week.from,
                        value: measured.value,
                        samples: measured.samples,
                    }
                })
                .collect(),
            measured,
        }
    }

    fn line(&self, index: usize) -> DeploymentLine {
        let delivered = self.delivered;
        let deployment = delivered.deployments[index];
        let failure = delivered.failures.get(&index);
        DeploymentLine {
            deployment: deployment.clone(),
            previous: delivered.previous[index]
                .map(|before| delivered.deployments[before].id.clone()),
            lead: lead_time::breakdown(delivered, index),
            cycle_hours: lead_time::cycle_hours(delivered, index),
            failed: failure.map(super::failures::Failure::show),
            incidents: failure
                .map(|failure| {
                    failure
                        .incidents
                        .iter()
                        .map(|(incident, _)| incident.id.clone())
                        .collect()
                })
                .unwrap_or_default(),
            recovery: failure.and_then(|failure| recovery::of(deployment, failure, self.now)),
            redeploy: delivered.redeploys.contains(&index),
        }
    }

    fn incidents(&self, window: TimeRange) -> Vec<IncidentLine> {
        let delivered = self.delivered;
        let mut lines: Vec<IncidentLine> = delivered
            .incidents
            .iter()
            .enumerate()
            .filter(|(index, (incident, _))| {
                window.contains(incident.opened_at) && delivered.admits_incident(self.scope, *index)
            })
            .map(|(_, (incident, link))| {
                let (deployment, basis) = match link {
                    Ok((index, basis)) => {
                        (Some(delivered.deployments[*index].id.clone()), basis.show())
                    }
                    Err(why) => (None, why.show(self.rules.link_cap)),
                };
                IncidentLine {
                    incident: (*incident).clone(),
                    deployment,
                    basis,
                }
            })
            .collect();
        lines.reverse();
        lines
    }

    fn notes(&self, window: TimeRange, indices: &[usize]) -> Vec<Note> {
        let delivered = self.delivered;
        let mut notes = Vec::new();
        let services: BTreeSet<&str> = indices
            .iter()
            .map(|&index| delivered.deployments[index].service.as_str())
            .collect();
        if services.len() > 1 {
            notes.push(format!(
                "{} services are blended here; the metrics mean most for one service at a time",
                services.len()
            ));
        }
        let opened = || {
            delivered
                .incidents
                .iter()
                .enumerate()
                .filter(|(index, (incident, _))| {
                    window.contains(incident.opened_at)
                        && delivered.admits_incident(self.scope, *index)
                })
        };
        let unlinked = opened().filter(|(_, (_, link))| link.is_err()).count();
        if unlinked > 0 {
            notes.push(format!(
                "{unlinked} incidents are laid to no deployment and count in no failure rate; \
                 `atalaya dora incident link` names the cause of one"
            ));
        }
        let guessed = opened()
            .filter(|(_, (_, link))| matches!(link, Ok((_, LinkBasis::Time { .. }))))
            .count();
        if guessed > 0 {
            notes.push(format!(
                "{guessed} incidents are laid to a deployment by time alone, at most {} after it",
                show_hours(self.rules.link_cap.as_secs_f64() / 3_600.0)
            ));
        }
        if self.rules.profile == Profile::Iact {
            notes.push("profile iact: the older tool's formulas, not those of dora.dev".to_owned());
        }
        notes
            .into_iter()
            .map(|text| Note::new(NoteKind::Caution, text))
            .collect()
    }
}

/// A lower bound above the limit misses it; below, nothing is decided yet.
fn met(metric: Metric, value: Value, number: f64, target: f64) -> Option<bool> {
    let reached = if metric.more_is_better() {
        number >= target
    } else {
        number <= target
    };
    match value {
        Value::AtLeast(_) if reached != metric.more_is_better() => None,
        Value::NotAvailable { .. } => None,
        _ => Some(reached),
    }
}

fn overall(metrics: &[MetricReport], profile: Profile) -> Overall {
    let levels: Vec<PerformanceLevel> = metrics.iter().filter_map(|metric| metric.level).collect();
    let (level, name) = match profile {
        Profile::Dora => (averaged(&levels), "mean of the single levels"),
        Profile::Iact => (
            voted(&levels),
            "the older tool's vote (3 Elite, else 2 High, else 2 Medium, else Low)",
        ),
    };
    let scores: Vec<(Metric, Option<f64>)> = metrics
        .iter()
        .map(|metric| (metric.metric, metric.score))
        .collect();
    Overall {
        level,
        level_rule: if levels.is_empty() {
            "insufficient data: no metric has a level".to_owned()
        } else {
            format!(
                "{name}, from {} of 4 metrics that can have one",
                levels.len()
            )
        },
        quick_check: quick_check::combine(&scores),
    }
}

/// The slowest first; of equally slow ones the newest deployment first, as a reader of the week would.
fn slowest(delivered: &Delivered<'_>, indices: &[usize]) -> Vec<SlowChange> {
    let mut changes: Vec<lead_time::Change<'_>> = indices
        .iter()
        .flat_map(|&index| lead_time::changes(delivered, index).measured)
        .filter(|change| !change.unplanned())
        .collect();
    changes.sort_by(|a, b| {
        b.hours
            .total_cmp(&a.hours)
            .then_with(|| b.deployment.finished_at.cmp(&a.deployment.finished_at))
            .then_with(|| a.commit.sha.cmp(&b.commit.sha))
    });
    changes.truncate(SLOWEST);
    changes
        .into_iter()
        .map(|change| SlowChange {
            sha: change.commit.sha.clone(),
            title: change.commit.title.clone(),
            deployment: change.deployment.id.clone(),
            hours: change.hours,
            request_id: change.deployment.request_id.clone(),
        })
        .collect()
}
