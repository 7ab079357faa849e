//! `atalaya backup`: create, list, verify, restore, drill.
//!
//! Exit code: 0 done and right; 1 a backup is damaged, or something failed; 2 wrong usage, or there
//! is no such backup; 75 another backup or restore is at work.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use indicatif::{HumanBytes, ProgressBar};
use serde_json::{Value, json};

use super::output::Form;
use super::{Context, output, progress};
use crate::report::backup_json;
use crate::service::backup::{self, BackupError, Goal, Listed, Place, Wishes, Work};
use crate::service::{describe, stores};
use crate::shown::Shown;
use crate::signals;
use atalaya_domain::backup::{BackupRecord, DrillRecord};
use atalaya_store::metrics::MetricsStore;

/// Arguments of `atalaya backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A backup is one file, atalaya-backup-YYYYMMDD_HHMMSS.tar.zst: the metrics as one transaction sees
them, the log records of the last days, the configuration without secrets. It builds on the last
one that was found right, and needs that one beside it. [backup] says where, how long and for whom.

Examples:
  atalaya backup create
  atalaya backup list
  atalaya backup verify --all
  atalaya backup restore --into /srv/atalaya-restored
  atalaya backup restore atalaya-backup-20260131_020000 --into configured --force
  atalaya backup drill --json")]
pub struct Args {
    /// File of an age identity, for encrypted backups; instead of `backup.identity_file`.
    #[arg(long, global = true, value_name = "FILE")]
    pub identity: Option<PathBuf>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a backup, read it again, and delete those that are old.
    #[command(after_help = "\
Examples:
  atalaya backup create
  atalaya backup create --whole --json")]
    Create {
        /// It builds on none before it.
        #[arg(long)]
        whole: bool,
        /// Neither read it again nor delete old ones.
        #[arg(long)]
        no_verify: bool,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
    /// The backups that there are, newest first.
    #[command(after_help = "\
Examples:
  atalaya backup list
  atalaya backup list --json | jq -r '.[] | select(.verified_at == null) | .name'")]
    List {
        /// One JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Read a backup again, with all that it builds on: every byte, row and record.
    #[command(after_help = "\
Examples:
  atalaya backup verify
  atalaya backup verify atalaya-backup-20260131_020000
  atalaya backup verify /mnt/usb/atalaya-backup-20260131_020000.tar.zst
  atalaya backup verify --all")]
    Verify {
        /// A name of `list`, or a file; the newest without it.
        #[arg(value_name = "BACKUP")]
        backup: Option<String>,
        /// Each one that there is.
        #[arg(long, conflicts_with = "backup")]
        all: bool,
        /// One JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Restore a backup, into a new data directory or into the configured stores.
    #[command(after_help = "\
Everything is read and checked before anything is written. It is built under another name, compared,
and then put in its place; what was there is kept aside, and its name printed. When it is ended,
the same command goes on where it was.

Stop atalaya before restoring into the configured stores. A ring keeps what it has: records are
added to it. A database is replaced in one transaction.

Examples:
  atalaya backup restore --into /srv/restored && atalaya --data-dir /srv/restored
  atalaya backup restore atalaya-backup-20260131_020000 --into configured --force")]
    Restore {
        /// A name of `list`, or a file; the newest without it.
        #[arg(value_name = "BACKUP")]
        backup: Option<String>,
        /// A directory, or `configured` for the stores of the configuration.
        #[arg(long, value_name = "DIR")]
        into: PathBuf,
        /// Replace what is there.
        #[arg(long)]
        force: bool,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Try a restore out in a folder that is thrown away; keeps how long it took.
    #[command(after_help = "\
Examples:
  atalaya backup drill
  atalaya backup drill atalaya-backup-20260131_020000 --json")]
    Drill {
        /// A name of `list`, or a file; the newest without it.
        #[arg(value_name = "BACKUP")]
        backup: Option<String>,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let place = Place::configured(&context.settings, args.identity.as_deref())?;
    match args.command {
        Command::Create {
            whole,
            no_verify,
            json,
        } => create(context, &place, Wishes { whole }, !no_verify, json).await,
        Command::List { json } => list(context, &place, json).await,
        Command::Verify { backup, all, json } => {
            verify(context, &place, backup.as_deref(), all, json).await
        }
        Command::Restore {
            backup,
            into,
            force,
            json,
        } => {
            let path = place.find(backup.as_deref())?;
            restore(context, &place, &path, into, force, json).await
        }
        Command::Drill { backup, json } => {
            let path = place.find(backup.as_deref())?;
            drill(context, &place, &path, json).await
        }
    }
}

/// A bar on a terminal, and Ctrl-C.
fn work() -> (Work, ProgressBar) {
    let bar = progress::staged();
    let shown = bar.clone();
    let work = Work {
        cancel: signals::cancelled_by_signals(),
        watch: Arc::new(move |progress: backup::Progress| {
            let stage = progress.stage;
            progress::show_stage(
                &shown,
                stage.name(),
                stage.is_bytes(),
                progress.done,
                progress.total,
            );
        }),
    };
    (work, bar)
}

/// The memory of backups is a help, not a condition: archives are looked at without it.
async fn memory(context: &Context) -> Option<Arc<dyn MetricsStore>> {
    let settings = &context.settings;
    let embedded = matches!(
        settings.metrics_place,
        crate::config::MetricsPlace::Embedded
    );
    if embedded && !settings.metrics_database().exists() {
        return None;
    }
    match stores::open_metrics(settings).await {
        Ok(metrics) => Some(metrics),
        Err(error) => {
            output::note(&format!(
                "the metrics store is away, so nothing is known of earlier verifications: {}",
                describe(&error)
            ));
            None
        }
    }
}

async fn create(
    context: &Context,
    place: &Place,
    wishes: Wishes,
    verify: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let settings = &context.settings;
    let logs = stores::open_logs_at(&settings.logs_place, &settings.logs_database()).await?;
    let metrics = stores::open_metrics(settings).await?;
    let (work, bar) = work();
    let made = backup::create(settings, place, logs, Arc::clone(&metrics), wishes, &work).await;
    bar.finish_and_clear();
    let made = made?;
    metrics.put_backup(&made.record).await?;
    let mut record = made.record.clone();
    let mut rotated = Vec::new();
    if verify && place.is_for_others() {
        output::note(
            "it is not verified: this host has no identity for it (--identity, backup.identity_file)",
        );
    } else if verify {
        let verified = backup::verify(settings, place, &made.path, Some(&*metrics), &work).await;
        bar.finish_and_clear();
        record = verified?.record;
        rotated = backup::rotate(settings, place, &*metrics).await?;
    }
    let logs = made.manifest.logs.as_ref();
    let own = logs.map_or(0, |logs| logs.own.records);
    if json {
        let all = json!({
            "path": made.path,
            "backup": record_json(&record),
            "own_records": own,
            "left_out": made.manifest.left_out,
            "deleted": rotated,
        });
        output::print(Form::Json, &format!("{all:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!(
        "{}\n  {} records ({own} of them in this file), {} rows, {}\n",
        Shown::line(&made.path.display().to_string()),
        record.records,
        record.rows,
        HumanBytes(record.bytes),
    );
    if let Some(base) = &record.base {
        writeln!(text, "  builds on {}", Shown::line(base))?;
    }
    if record.verified_at.is_some() {
        text.push_str("  read again, and right\n");
    }
    for what in &made.manifest.left_out {
        writeln!(text, "  left out: {}", Shown::line(what))?;
    }
    for name in &rotated {
        writeln!(text, "  deleted by [backup.keep]: {}", Shown::line(name))?;
    }
    output::print(Form::Text, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// With instants as people and other tools write them.
fn record_json(record: &BackupRecord) -> Value {
    json!({
        "name": record.name,
        "created_at": record.created_at.to_rfc3339(),
        "host": record.host,
        "seal": record.seal,
        "bytes": record.bytes,
        "records": record.records,
        "rows": record.rows,
        "base": record.base,
        "verified_at": record.verified_at.map(atalaya_domain::time::Timestamp::to_rfc3339),
        "problem": record.problem,
    })
}

async fn list(context: &Context, place: &Place, json: bool) -> anyhow::Result<ExitCode> {
    let metrics = memory(context).await;
    let listed = backup::list(place, metrics.as_deref()).await?;
    if json {
        let all: Vec<Value> = listed.iter().map(backup_json::listed).collect();
        output::print(Form::Json, &format!("{:#}\n", Value::from(all)))?;
    } else if listed.is_empty() {
        output::note(&format!(
            "there is no backup in {}; `atalaya backup create` makes one",
            place.dir.display()
        ));
    } else {
        output::print(
            Form::Text,
            &listed.iter().map(listed_line).collect::<String>(),
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn listed_line(listed: &Listed) -> String {
    let what = match &listed.manifest {
        Ok(manifest) => {
            let records = manifest.logs.as_ref().map_or(0, |logs| logs.total.records);
            let rows = manifest
                .metrics
                .as_ref()
                .map_or(0, atalaya_domain::backup::MetricsFacts::rows);
            let kind = if manifest.chain.is_empty() {
                "whole".to_owned()
            } else {
                format!("builds on {}", manifest.chain.len())
            };
            format!("{records:>10} records {rows:>8} rows  {kind:12}")
        }
        Err(problem) => format!("unreadable: {}", Shown::line(problem)),
    };
    let record = listed.record.as_ref();
    let trust = match record {
        Some(record) if record.problem.is_some() => {
            format!(
                "DAMAGED: {}",
                Shown::line(record.problem.as_deref().unwrap_or_default())
            )
        }
        Some(record) => record.verified_at.map_or("not verified".to_owned(), |at| {
            format!("verified {}", at.to_rfc3339())
        }),
        None => "not verified".to_owned(),
    };
    format!(
        "{}  {:>10}  {what}  {trust}\n",
        Shown::line(&listed.name.name),
        HumanBytes(listed.bytes).to_string(),
    )
}

async fn verify(
    context: &Context,
    place: &Place,
    wanted: Option<&str>,
    all: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let paths = if all {
        place
            .archives()?
            .into_iter()
            .map(|(_, path)| path)
            .collect()
    } else {
        vec![place.find(wanted)?]
    };
    let metrics = memory(context).await;
    let (work, bar) = work();
    let mut found = Vec::new();
    for path in paths {
        let verified =
            backup::verify(&context.settings, place, &path, metrics.as_deref(), &work).await;
        bar.finish_and_clear();
        match verified {
            Err(error) if !all => return Err(error.into()),
            Err(BackupError::Cancelled) => return Err(BackupError::Cancelled.into()),
            outcome => found.push((path, outcome)),
        }
    }
    let right = found.iter().all(|(_, outcome)| outcome.is_ok());
    if json {
        let all: Vec<Value> = found
            .iter()
            .map(|(path, outcome)| match outcome {
                Ok(verified) => json!({
                    "path": path, "right": true, "archives": verified.archives,
                    "records": verified.record.records, "rows": verified.record.rows,
                }),
                Err(error) => json!({ "path": path, "right": false, "problem": describe(error) }),
            })
            .collect();
        output::print(Form::Json, &format!("{:#}\n", Value::from(all)))?;
    } else {
        let mut text = String::new();
        for (path, outcome) in &found {
            let path = path.display().to_string();
            match outcome {
                Ok(verified) => writeln!(
                    text,
                    "right   {}: {} records, {} rows, in {} archives",
                    Shown::line(&path),
                    verified.record.records,
                    verified.record.rows,
                    verified.archives
                )?,
                Err(error) => writeln!(
                    text,
                    "DAMAGED {}: {}",
                    Shown::line(&path),
                    Shown::line(&describe(error))
                )?,
            }
        }
        output::print(Form::Text, &text)?;
    }
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn restore(
    context: &Context,
    place: &Place,
    path: &Path,
    into: PathBuf,
    force: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let goal = if into.as_os_str() == "configured" {
        Goal::Configured
    } else {
        Goal::Folder(into)
    };
    let (work, bar) = work();
    let restored = backup::restore(&context.settings, place, path, &goal, force, &work).await;
    bar.finish_and_clear();
    let restored = restored?;
    if json {
        let all = json!({
            "backup": restored.name,
            "records": restored.records,
            "expired_records": restored.expired,
            "rows": restored.rows,
            "resumed": restored.resumed,
            "kept": restored.kept,
        });
        output::print(Form::Json, &format!("{all:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!(
        "{} is restored: {} records, {} rows, compared and equal{}\n",
        Shown::line(&restored.name),
        restored.records,
        restored.rows,
        if restored.resumed {
            " (went on with an earlier run)"
        } else {
            ""
        }
    );
    if restored.expired > 0 {
        writeln!(
            text,
            "  {} records are older than the store keeps any, and were left out",
            restored.expired
        )?;
    }
    for path in &restored.kept {
        writeln!(
            text,
            "  what was there before is in {}",
            Shown::line(&path.display().to_string())
        )?;
    }
    output::print(Form::Text, &text)?;
    Ok(ExitCode::SUCCESS)
}

async fn drill(
    context: &Context,
    place: &Place,
    path: &Path,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let metrics = stores::open_metrics(&context.settings).await?;
    let (work, bar) = work();
    let drill = backup::drill(&context.settings, place, path, &*metrics, &work).await;
    bar.finish_and_clear();
    let drill = drill?;
    let text = if json {
        format!(
            "{:#}\n",
            json!({
                "at": drill.at.to_rfc3339(),
                "backup": drill.backup,
                "rto_ms": drill.rto_ms,
                "rpo_seconds": drill.rpo_seconds,
                "records": drill.records,
                "rows": drill.rows,
                "problem": drill.problem,
            })
        )
    } else {
        drill_line(&drill)
    };
    output::print(Form::of(json), &text)?;
    Ok(if drill.problem.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn drill_line(drill: &DrillRecord) -> String {
    let verdict = drill.problem.as_ref().map_or_else(
        || "equal to what was backed up".to_owned(),
        |problem| format!("FAILED: {}", Shown::line(problem)),
    );
    format!(
        "{}: {} records and {} rows in {:.1} s; {}\n  it is {} min old: so much would have been lost\n",
        Shown::line(&drill.backup),
        drill.records,
        drill.rows,
        drill.rto_ms as f64 / 1_000.0,
        verdict,
        drill.rpo_seconds / 60,
    )
}
