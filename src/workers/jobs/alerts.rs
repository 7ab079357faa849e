//! Evaluates the rules of alerts; what comes of it is sent by [`workers::notify`](super::super::notify).

use std::time::Duration;

use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec};
use crate::config::Settings;
use crate::service::alerts::{self, Evaluator};
use atalaya_domain::job::Seat;
use atalaya_domain::length::Length;
use atalaya_domain::time::Timestamp;

/// Measures all rules and moves their alerts.
#[derive(Debug)]
pub struct Alerts;

#[async_trait]
impl Job for Alerts {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "alerts",
            what: "Evaluates the rules of alerts, and writes down who is to be told.",
            schedule: "1m",
            seat: Seat::Store,
            limit: Duration::from_secs(2 * 60),
            jitter: Duration::ZERO,
        }
    }

    fn configured_schedule(&self, settings: &Settings) -> Option<String> {
        Some(Length(settings.alerts.evaluate).to_string())
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let settings = &context.settings;
        if !settings.alerts.enabled {
            return Ok(JobOutcome::Skipped(
                "switched off: `enabled = false` in [alerts]".to_owned(),
            ));
        }
        let evaluator = Evaluator::new(context.stores.clone(), settings);
        // By the store's clock, which is the same for whichever host evaluates.
        let done = evaluator.evaluate(context.slot, &context.cancel).await?;
        context.say(format!(
            "{} rules, {} without data; {} fire, {} changes to tell",
            done.rules, done.no_data, done.firing, done.notices
        ));
        if done.waiting > 0 {
            context.say(format!(
                "{} rules had no turn: the others took too long; they are the first of the next evaluation",
                done.waiting
            ));
        }
        if done.refused > 0 {
            context.say(format!("{} changed meanwhile: next time", done.refused));
        }
        for (rule, why) in &done.unusable {
            context.say(format!("rule `{rule}` cannot be used as it is: {why}"));
        }
        let dropped =
            alerts::drop_unknown(&*context.stores.metrics, &settings.alerts, Timestamp::now());
        let dropped = dropped.await?;
        if dropped > 0 {
            context.say(format!(
                "{dropped} for channels that are no longer configured"
            ));
        }
        Ok(JobOutcome::Done)
    }
}
