//! One evaluation of all rules: measure, move the states, decide who is told, take the evidence, and
//! write all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures::StreamExt as _;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::measure::{Gauge, KnownReading, known};
use super::{AlertError, RuleView, Rulebook, evidence};
use crate::config::{AlertSettings, DoraConfig, Settings};
use crate::service::Stores;
use atalaya_domain::alert::{Alert, Mute, Notice, Reading, Rule, Silence, advance, tell, withdraw};
use atalaya_domain::delivery::Deployment;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::AlertChange;

/// Rules measured at once.
const AT_ONCE: usize = 4;
/// Alerts of one evaluation whose records are looked up: the query of the others finds them too.
const WITH_RECORDS: usize = 50;

/// What evaluations need.
#[derive(Clone)]
pub struct Evaluator {
    stores: Stores,
    settings: AlertSettings,
    dora: DoraConfig,
    data_dir: PathBuf,
}

/// What one evaluation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluated {
    pub rules: usize,
    pub no_data: usize,
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
            settings: settings.alerts.clone(),
            dora: settings.dora.clone(),
            data_dir: settings.data_dir.clone(),
        }
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
        let book = Rulebook::load(store, &self.settings).await?;
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
                .filter(|known| known.value.is_none())
                .count(),
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
        let book = Rulebook::load(&*self.stores.metrics, &self.settings).await?;
        let readings = self.measure(&book, now, cancel).await?;
        for view in views {
            if let Some(known) = readings.get(&view.name) {
                view.value = known.value;
                view.reading = known.words();
                view.measured_at = Some(known.at);
                let rule = book.get(&view.name);
                view.distance = rule
                    .zip(known.value)
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
        let gauge = Gauge {
            stores: &self.stores,
            dora: &self.dora,
            data_dir: &self.data_dir,
            late: self.settings.late,
            now,
            known: known(&*self.stores.metrics).await?,
            health: OnceCell::new(),
            cancel: cancel.clone(),
        };
        let reads: Vec<_> = book
            .rules
            .iter()
            .map(|rule| {
                let gauge = &gauge;
                async move { (rule.name.clone(), gauge.read(rule).await) }
            })
            .collect();
        Ok(futures::stream::iter(reads)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await)
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
            let with_records = taken < WITH_RECORDS;
            taken += 1;
            let found = evidence::gather(
                &self.stores,
                alert,
                step.rule,
                &step.said,
                deployment,
                with_records,
                now,
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
        let channels = self.settings.channels.keys().filter(wanted);
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
        || Reading::NoData("not measured".to_owned()),
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
