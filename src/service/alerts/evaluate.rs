//! One evaluation of all rules: measure, move the states, decide who is told, take the evidence, and
//! write all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::measure::{Gauge, KnownReading, health_values, readings};
use super::{AlertError, RuleView, Rulebook, evidence};
use crate::config::Settings;
use crate::service::Stores;
use atalaya_domain::alert::{
    Alert, Measure, Mute, Notice, Reading, Rule, Silence, advance, tell, withdraw,
};
use atalaya_domain::delivery::Deployment;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::AlertChange;

/// Rules measured at once.
const AT_ONCE: usize = 4;
/// Alerts of one evaluation whose records are looked up: the query of the others finds them too.
const WITH_RECORDS: usize = 50;
/// What measuring all rules may take, whatever their number: rules are of now, and the next
/// evaluation begins with those whose turn did not come.
const MEASURE_LIMIT: Duration = Duration::from_secs(40);
/// What taking evidence may take in one evaluation.
const EVIDENCE_LIMIT: Duration = Duration::from_secs(10);

/// What evaluations need.
#[derive(Clone)]
pub struct Evaluator {
    stores: Stores,
    settings: Arc<Settings>,
    measure_limit: Duration,
    ahead: Duration,
}

/// What one evaluation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluated {
    pub rules: usize,
    pub no_data: usize,
    /// Rules whose turn did not come in time.
    pub waiting: usize,
    pub firing: usize,
    /// Changes of state that somebody is told of.
    pub notices: usize,
    /// Alerts that somebody else changed meanwhile: the next evaluation sees to them.
    pub refused: usize,
    /// Stored rules that cannot be used, with the reason.
    pub unusable: Vec<(String, String)>,
}

/// A rule, its alert before and after, and what was measured.
struct Step<'a> {
    rule: &'a Rule,
    before: Option<Alert>,
    after: Option<Alert>,
    said: String,
}

impl Evaluator {
    pub fn new(stores: Stores, settings: &Settings) -> Self {
        Self {
            stores,
            settings: Arc::new(settings.clone()),
            measure_limit: MEASURE_LIMIT,
            ahead: evidence::AHEAD,
        }
    }

    /// The same that measures for no longer than this, for tests.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.measure_limit = limit;
        self
    }

    /// The same for instants of the past, whose evidence holds nothing that came after them.
    #[must_use]
    pub fn looking_back(mut self) -> Self {
        self.ahead = Duration::ZERO;
        self
    }

    /// Evaluates every rule at this instant. What it decides is written at its end or not at all, so
    /// it may be ended and begun anew at any time.
    ///
    /// # Errors
    /// The metrics store cannot be read or written; the next evaluation makes up for it. A log store
    /// that is away is no data for the rules that ask it.
    pub async fn evaluate(
        &self,
        now: Timestamp,
        cancel: &CancellationToken,
    ) -> Result<Evaluated, AlertError> {
        let store = &*self.stores.metrics;
        let book = Rulebook::load(store, &self.settings.alerts).await?;
        let mut active: BTreeMap<String, Alert> = store
            .active_alerts()
            .await?
            .into_iter()
            .map(|alert| (alert.rule.name.clone(), alert))
            .collect();
        let silences = store.silences(now).await?;
        let readings = self.measure(&book, now, cancel).await?;
        if cancel.is_cancelled() {
            return Err(StoreError::Cancelled.into());
        }
        let mut steps: Vec<Step<'_>> = book
            .rules
            .iter()
            .map(|rule| {
                step(
                    rule,
                    active.remove(&rule.name),
                    readings.get(&rule.name),
                    now,
                )
            })
            .collect();
        self.take_evidence(&mut steps, now).await;
        let told = Told {
            firing: firing(&steps),
            silences,
            now,
        };
        let evaluated = Evaluated {
            rules: book.rules.len(),
            no_data: readings
                .values()
                .filter(|known| known.value().is_none())
                .count(),
            waiting: (book.rules.len() - readings.len())
                + readings.values().filter(|known| known.waits).count(),
            firing: told.firing.len(),
            unusable: book.unusable.clone(),
            ..Evaluated::default()
        };
        let withdrawn = active.into_values().filter_map(|alert| {
            let after = withdraw(&alert, "the rule is no longer there, or switched off", now);
            self.change(Some(&alert), after, None, now)
        });
        let moved = steps.into_iter().filter_map(|step| {
            let mute = told.mute(step.rule);
            self.change(step.before.as_ref(), step.after, mute, now)
        });
        let changes: Vec<AlertChange> = withdrawn.chain(moved).collect();
        let notices = changes
            .iter()
            .filter(|change| !change.notices.is_empty())
            .count();
        let refused = store.put_alerts(changes).await?.len();
        self.keep(&readings, now).await?;
        Ok(Evaluated {
            notices,
            refused,
            ..evaluated
        })
    }

    /// Measures every rule now, into the views; nothing is written.
    ///
    /// # Errors
    /// The metrics store cannot be read.
    pub async fn look(
        &self,
        views: &mut [RuleView],
        now: Timestamp,
        cancel: &CancellationToken,
    ) -> Result<(), AlertError> {
        let book = Rulebook::load(&*self.stores.metrics, &self.settings.alerts).await?;
        let readings = self.measure(&book, now, cancel).await?;
        for view in views {
            if let Some(known) = readings.get(&view.name) {
                view.value = known.value();
                view.reading = known.words();
                view.measured_at = Some(known.at);
                let rule = book.get(&view.name);
                view.distance = rule
                    .zip(view.value)
                    .and_then(|(rule, value)| rule.distance(value));
            }
        }
        Ok(())
    }

    async fn measure(
        &self,
        book: &Rulebook,
        now: Timestamp,
        cancel: &CancellationToken,
    ) -> Result<BTreeMap<String, KnownReading>, AlertError> {
        let started = Instant::now();
        let names_health = |rule: &Rule| matches!(rule.measure, Measure::Health { .. });
        let health = if book.rules.iter().any(names_health) {
            health_values(&self.stores, &self.settings, now).await
        } else {
            BTreeMap::new()
        };
        let (_, known) = readings(&*self.stores.metrics).await?.unzip();
        // Also what is dropped at the deadline ends.
        let cancel = cancel.child_token();
        let _ends = cancel.clone().drop_guard();
        let gauge = Gauge {
            stores: &self.stores,
            settings: &self.settings,
            now,
            known: known.unwrap_or_default(),
            health,
            cancel,
        };
        // Those that were not measured for longest first, so that each has its turn some day.
        let mut order: Vec<&Rule> = book.rules.iter().collect();
        order.sort_by_key(|rule| gauge.known.get(&rule.name).map(|known| known.at));
        let reads: Vec<_> = order
            .into_iter()
            .map(|rule| {
                let gauge = &gauge;
                async move { (rule.name.clone(), gauge.read(rule).await) }
            })
            .collect();
        let mut readings: BTreeMap<String, KnownReading> = futures::stream::iter(reads)
            .buffer_unordered(AT_ONCE)
            .take_until(tokio::time::sleep_until(started + self.measure_limit))
            .collect()
            .await;
        for rule in &book.rules {
            if !readings.contains_key(&rule.name)
                && let Some(before) = gauge.before(rule)
            {
                readings.insert(rule.name.clone(), before.clone().waiting());
            }
        }
        Ok(readings)
    }

    async fn keep(
        &self,
        readings: &BTreeMap<String, KnownReading>,
        now: Timestamp,
    ) -> Result<(), AlertError> {
        let body = serde_json::to_string(readings)
            .map_err(|error| AlertError::Wrong(error.to_string()))?;
        let kept = self.stores.metrics.put_alert_readings(now, &body).await;
        Ok(kept?)
    }

    async fn take_evidence(&self, steps: &mut [Step<'_>], now: Timestamp) {
        let started = Instant::now();
        let mut taken = 0;
        let mut deployment: Option<Result<Option<Deployment>, String>> = None;
        for step in steps {
            let Some(alert) = &mut step.after else {
                continue;
            };
            if !alert.is_firing() || alert.evidence.is_some() {
                continue;
            }
            if deployment.is_none() {
                deployment = Some(evidence::last_deployment(&self.stores, now).await);
            }
            let Some(deployment) = &deployment else {
                continue;
            };
            let with_records = taken < WITH_RECORDS && started.elapsed() < EVIDENCE_LIMIT;
            taken += 1;
            let found = evidence::gather(
                &self.stores,
                alert,
                step.rule,
                &step.said,
                deployment,
                with_records,
                evidence::Moment {
                    now,
                    ahead: self.ahead,
                },
            );
            alert.evidence = Some(found.await);
        }
    }

    /// What is written of an alert, if anything of it changed, and who is told.
    fn change(
        &self,
        before: Option<&Alert>,
        after: Option<Alert>,
        mute: Option<Mute>,
        now: Timestamp,
    ) -> Option<AlertChange> {
        let from = before.map(|before| before.version);
        let Some(mut after) = after else {
            return before.map(|before| AlertChange {
                id: before.id.clone(),
                from,
                alert: None,
                notices: Vec::new(),
            });
        };
        let kind = tell(&mut after, mute, now);
        if before == Some(&after) {
            return None;
        }
        after.version = from.map_or(0, |version| version + 1);
        let notice = kind.map(|kind| Notice::of(&after, kind, now));
        Some(AlertChange {
            id: after.id.clone(),
            from,
            notices: notice.map_or_else(Vec::new, |notice| self.for_channels(&after, &notice)),
            alert: Some(after),
        })
    }

    /// To the channels of the rule, or to all.
    fn for_channels(&self, alert: &Alert, notice: &Notice) -> Vec<(String, Notice)> {
        let wanted =
            |name: &&String| alert.rule.channels.is_empty() || alert.rule.channels.contains(name);
        let channels = self.settings.alerts.channels.keys().filter(wanted);
        channels
            .map(|name| (name.clone(), notice.clone()))
            .collect()
    }
}

fn step<'a>(
    rule: &'a Rule,
    before: Option<Alert>,
    known: Option<&KnownReading>,
    now: Timestamp,
) -> Step<'a> {
    let reading = known.map_or_else(
        || {
            Reading::NoData(
                "its turn has not come yet: the rules before it took too long".to_owned(),
            )
        },
        KnownReading::reading,
    );
    Step {
        after: advance(before.as_ref(), rule, &reading, now),
        said: known.map(|known| known.said.clone()).unwrap_or_default(),
        rule,
        before,
    }
}

fn firing(steps: &[Step<'_>]) -> BTreeSet<String> {
    let fires = |step: &&Step<'_>| step.after.as_ref().is_some_and(Alert::is_firing);
    let names = steps
        .iter()
        .filter(fires)
        .map(|step| step.rule.name.clone());
    names.collect()
}

/// By what is decided who is told.
struct Told {
    firing: BTreeSet<String>,
    silences: Vec<Silence>,
    now: Timestamp,
}

impl Told {
    fn mute(&self, rule: &Rule) -> Option<Mute> {
        let silence = self
            .silences
            .iter()
            .find(|silence| silence.is_active(self.now) && silence.covers(&rule.name));
        silence.map(Silence::mute).or_else(|| {
            let by = rule
                .inhibited_by
                .iter()
                .find(|by| self.firing.contains(*by))?;
            Some(Mute::Inhibited { by: by.clone() })
        })
    }
}
