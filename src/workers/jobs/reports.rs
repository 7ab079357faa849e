//! Reports of full months and weeks, into files and, where it is configured, to channels.

use std::time::Duration;

use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec, zone};
use crate::report::{dora as words, dora_json, dora_markdown};
use crate::service::alerts::put_note;
use crate::service::reports::{self, Period};
use atalaya_domain::alert::{Note, Severity};
use atalaya_domain::job::Seat;
use atalaya_domain::time::Timestamp;

/// Of a month or a week.
#[derive(Clone, Copy, Debug)]
pub struct DoraReport(pub Period);

#[async_trait]
impl Job for DoraReport {
    fn spec(&self) -> JobSpec {
        let (name, what, schedule) = match self.0 {
            Period::Month => (
                "dora_report",
                "Writes the DORA report of the last full month; the first is the baseline.",
                "0 0 1 * *",
            ),
            Period::Week => (
                "dora_report_weekly",
                "Writes the DORA report of the last full week.",
                "0 0 * * MON",
            ),
        };
        JobSpec {
            name,
            what,
            schedule,
            seat: Seat::Store,
            limit: Duration::from_secs(10 * 60),
            jitter: Duration::from_secs(30),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let settings = &context.settings;
        let zone = zone(settings)?;
        let store = &*context.stores.metrics;
        let (name, report) = reports::make(store, settings, self.0, zone, context.slot).await?;
        let markdown = dora_markdown::markdown(&report, false);
        let json = format!("{:#}\n", dora_json::json(&report));
        let note = Note {
            severity: Severity::Info,
            title: format!("DORA {name}: {}", words::overall(&report)),
            text: markdown.clone(),
        };
        context.still_ours().await?;
        let (settings, period) = (settings.clone(), name.clone());
        let kept = tokio::task::spawn_blocking(move || {
            reports::keep(&settings, &period, &report, &markdown, &json)
        });
        let kept = kept.await??;
        context.say(format!("written: {}", kept.path.display()));
        if kept.is_baseline {
            context.say("it is the baseline: `atalaya dora report --baseline`");
        }
        let channels = &context.settings.reports.channels;
        if !channels.is_empty() {
            let alerts = &context.settings.alerts;
            let key = format!("dora-report-{name}");
            let put = put_note(store, alerts, channels, &key, &note, Timestamp::now()).await?;
            context.say(format!("sent to {put} channels"));
        }
        Ok(JobOutcome::Done)
    }
}
