//! Keeps the measures of this host and of what it sees of the stores, for trends.

use std::time::Duration;

use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec};
use crate::service;
use atalaya_domain::job::Seat;

#[derive(Debug)]
pub struct HealthSample;

#[async_trait]
impl Job for HealthSample {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "health_sample",
            what: "Measures host, stores and ingest, and keeps the values for 30 days.",
            schedule: "5m",
            seat: Seat::Host,
            limit: Duration::from_secs(60),
            jitter: Duration::from_secs(10),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let health = service::health::measure(&context.stores, &context.settings).await;
        let samples = service::health_history::samples_of(&health, &context.host, context.slot);
        let written = context.stores.metrics.put_health_samples(&samples).await?;
        context.say(format!(
            "{} values kept; {}",
            written.inserted,
            health.status().name()
        ));
        Ok(JobOutcome::Done)
    }
}
