//! Makes a backup each night, verifies it and rotates; tries a restore out each month.

use std::time::Duration;

use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec, care};
use crate::service::backup::{self, Place, Wishes, Work};
use crate::service::stores;
use atalaya_domain::job::Seat;

#[derive(Debug)]
pub struct Backup;

#[async_trait]
impl Job for Backup {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "backup",
            what: "Backs up metrics and logs, reads the backup again, and deletes those that are old.",
            schedule: "0 2 * * *",
            seat: Seat::Store,
            limit: Duration::from_secs(6 * 3_600),
            jitter: Duration::from_secs(60),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let settings = &context.settings;
        let metrics = &context.stores.metrics;
        let work = Work::quiet(context.cancel.clone());
        let place = Place::configured(settings, None)?;
        // Our own tables only, and not the ones of others that the console shows beside them.
        let logs = stores::open_logs_at(&settings.logs_place, &settings.logs_database()).await?;
        let metrics_too = std::sync::Arc::clone(metrics);
        let made = backup::create(
            settings,
            &place,
            logs,
            metrics_too,
            Wishes::default(),
            &work,
        )
        .await?;
        metrics.put_backup(&made.record).await?;
        context.say(format!(
            "{}: {} records, {} rows, {} bytes",
            made.record.name, made.record.records, made.record.rows, made.record.bytes
        ));
        context.still_ours().await?;
        if settings.backup.cassandra_snapshot
            && let Err(reason) = care::snapshot(context, &made.record.name).await?
        {
            context.say(format!("no snapshot: {reason}"));
        }
        if place.is_for_others() {
            context.say("not verified: this host has no identity for it ([backup] identity_file)");
            return Ok(JobOutcome::Done);
        }
        let verified =
            backup::verify(settings, &place, &made.path, Some(&**metrics), &work).await?;
        context.say(format!(
            "read again and right, with {} archives",
            verified.archives
        ));
        context.still_ours().await?;
        for name in backup::rotate(settings, &place, &**metrics).await? {
            context.say(format!("{name} is deleted by [backup.keep]"));
        }
        Ok(JobOutcome::Done)
    }
}

#[derive(Debug)]
pub struct BackupDrill;

#[async_trait]
impl Job for BackupDrill {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "backup_drill",
            what: "Restores the newest backup into a folder that is thrown away, and keeps the figures.",
            schedule: "0 5 1 * *",
            seat: Seat::Store,
            limit: Duration::from_secs(6 * 3_600),
            jitter: Duration::from_secs(60),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let settings = &context.settings;
        let place = Place::configured(settings, None)?;
        let path = match place.find(None) {
            Ok(path) => path,
            Err(backup::BackupError::NoBackup { .. }) => {
                return Ok(JobOutcome::Skipped(
                    "there is no backup on this host".to_owned(),
                ));
            }
            Err(error) => return Err(error.into()),
        };
        let work = Work::quiet(context.cancel.clone());
        let drill = backup::drill(settings, &place, &path, &*context.stores.metrics, &work).await?;
        context.say(format!(
            "{}: {} records and {} rows in {} ms; {} s old",
            drill.backup, drill.records, drill.rows, drill.rto_ms, drill.rpo_seconds
        ));
        match drill.problem {
            None => Ok(JobOutcome::Done),
            Some(problem) => Err(anyhow::anyhow!("{problem}")),
        }
    }
}
