//! `atalaya jobs`: what runs by a schedule, when it ran, and running it now.
//!
//! Exit code: 0 done; 1 the run failed, or a store is away; 2 an unknown job or run.

use super::output::Form;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;
use tokio::sync::watch;

use crate::report::jobs_json;
use crate::service;
use crate::service::jobs::{self, JobInfo, JobView, JobsView};
use crate::shown::Shown;
use crate::signals;
use crate::workers::jobs::{Planned, Planning};
use crate::workers::{Supervisor, scheduler};
use atalaya_domain::job::RunResult;
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::{JobRun, MetricsStore};

use super::{Context, UsageError, output};

/// Arguments of `atalaya jobs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Jobs are run by `atalaya serve`, and by a console when no service runs. Schedules are configured:

  [jobs.retention]
  schedule = \"30 3 * * *\"      # minute hour day month weekday, or an interval: 15m
  enabled = true

Examples:
  atalaya jobs list
  atalaya jobs show retention
  atalaya jobs run health_sample
  atalaya jobs history retention --limit 5
  atalaya jobs disable git_sync
  atalaya jobs list --json | jq -r '.jobs[] | select(.last.result == \"failed\") | .name'")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every job: its schedule, its next and its last run, and who runs it.
    List {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// One job with the output of its last run, or one run by its number.
    Show {
        #[arg(value_name = "JOB|RUN")]
        what: String,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Run a job now and print its output: where the service runs, or here when none does.
    Run {
        #[arg(value_name = "JOB")]
        name: String,
        /// The run as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// The runs of one job, or of all; newest first.
    History {
        #[arg(value_name = "JOB")]
        name: Option<String>,
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// One JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Let a job run by its schedule again.
    Enable {
        #[arg(value_name = "JOB")]
        name: String,
    },
    /// Keep a job from running by its schedule; `jobs run` still runs it.
    Disable {
        #[arg(value_name = "JOB")]
        name: String,
    },
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let planning = Planning::configured(&context.settings)?;
    match args.command {
        Command::List { json } => list(context, &planning, json).await,
        Command::Show { what, json } => show(context, &planning, &what, json).await,
        Command::Run { name, json } => run_now(context, planning, &name, json).await,
        Command::History { name, limit, json } => {
            history(context, &planning, name.as_deref(), limit, json).await
        }
        Command::Enable { name } => switch(context, &planning, &name, true).await,
        Command::Disable { name } => switch(context, &planning, &name, false).await,
    }
}

async fn metrics(context: &Context) -> anyhow::Result<Arc<dyn MetricsStore>> {
    Ok(service::open_metrics(&context.settings).await?)
}

fn info(planning: &Planning, name: &str) -> anyhow::Result<JobInfo> {
    planning.job(name)?;
    let infos = planning.infos(&service::health::host_name());
    let found = infos.into_iter().find(|info| info.name == name);
    found.ok_or_else(|| UsageError(format!("there is no job `{name}`")).into())
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(output::print(Form::Json, &format!("{text}\n"))?)
}

async fn list(context: &Context, planning: &Planning, json: bool) -> anyhow::Result<ExitCode> {
    let metrics = metrics(context).await?;
    let view = jobs::view(&*metrics, planning.infos(&service::health::host_name())).await?;
    if json {
        print_json(&jobs_json::view(&view))?;
    } else {
        output::print(Form::Text, &table(&view))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(view: &JobsView) -> String {
    let mut text = String::new();
    let width = |of: fn(&JobView) -> usize| view.jobs.iter().map(of).max().unwrap_or(0);
    let names = width(|job| job.info.name.len());
    let schedules = width(|job| job.info.schedule.len());
    for job in &view.jobs {
        let next = match (job.is_enabled(), job.next_run_at) {
            (false, _) if job.switched == Some(false) => "off, by hand".to_owned(),
            (false, _) => "off, as configured".to_owned(),
            (true, Some(next)) => format!("next {}", seconds(next)),
            (true, None) => "not seen by a service yet".to_owned(),
        };
        let last = match &job.last {
            None => "never run".to_owned(),
            Some(run) => format!("last {}", ended(run)),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<names$}  {:<schedules$}  {next}, {last}",
            job.info.name,
            Shown::line(&job.info.schedule).to_string(),
        );
    }
    for (lease, what) in leases_of(view) {
        let who = match view.holder(lease) {
            Some(held) => format!(
                "run by {} (process {}) since {}",
                Shown::line(&held.holder.host),
                held.holder.pid,
                seconds(held.taken_at)
            ),
            None => "run by nobody now: start `atalaya serve`, or the console".to_owned(),
        };
        let _ = writeln!(text, "{what}: {who}");
    }
    text
}

fn leases_of(view: &JobsView) -> Vec<(&str, &'static str)> {
    let mut leases: Vec<(&str, &'static str)> = Vec::new();
    for job in &view.jobs {
        let lease = job.info.lease.as_str();
        let what = if lease == "store" {
            "jobs of the store"
        } else {
            "jobs of this host"
        };
        if !leases.iter().any(|(known, _)| *known == lease) {
            leases.push((lease, what));
        }
    }
    leases
}

fn seconds(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// How a run ended, when and where.
fn ended(run: &JobRun) -> String {
    let result = run.result.map_or("running", RunResult::name);
    let took = match run.finished_at {
        Some(finished) => format!(
            " after {:.1} s",
            finished.since(run.started_at).as_secs_f64()
        ),
        None => String::new(),
    };
    format!(
        "{} {result}{took} on {}",
        seconds(run.started_at),
        Shown::line(&run.host)
    )
}

async fn show(
    context: &Context,
    planning: &Planning,
    what: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    if let Ok(id) = what.parse::<i64>() {
        let found = metrics(context).await?.job_run(id).await?;
        let run = found.ok_or_else(|| {
            UsageError(format!(
                "there is no run {id}; `atalaya jobs history` lists them"
            ))
        })?;
        if json {
            print_json(&jobs_json::run(&run))?;
        } else {
            output::print(Form::Text, &run_text(&run))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let info = info(planning, what)?;
    let metrics = metrics(context).await?;
    let mut view = jobs::view(&*metrics, vec![info]).await?;
    if let Some(job) = view.jobs.first_mut()
        && let Some(last) = &job.last
    {
        job.last = metrics.job_run(last.id).await?;
    }
    if json {
        print_json(&jobs_json::view(&view))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for job in &view.jobs {
        let _ = writeln!(text, "{}: {}", job.info.name, job.info.what);
        let schedule = Shown::line(&job.info.schedule).to_string();
        let _ = writeln!(text, "schedule: {schedule} ({})", job.info.zone);
        if let Some(success) = job.last_success_at {
            let _ = writeln!(text, "last success: {}", seconds(success));
        }
    }
    text.push_str(&table(&view));
    if let Some(run) = view.jobs.first().and_then(|job| job.last.as_ref()) {
        text.push('\n');
        text.push_str(&run_text(run));
    }
    output::print(Form::Text, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn run_text(run: &JobRun) -> String {
    let mut text = format!(
        "run {} of {} for {} ({}, attempt {}): {}\n",
        run.id,
        Shown::line(&run.job),
        seconds(run.slot_at),
        run.cause.name(),
        run.attempt,
        ended(run)
    );
    for line in run.output.lines() {
        let _ = writeln!(text, "  {}", Shown::line(line));
    }
    text
}

/// Longer than a job may take, by the time in which a lease is taken and the request is found.
const BESIDE_THE_RUN: Duration = Duration::from_secs(30);

async fn run_now(
    context: &Context,
    planning: Planning,
    name: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let info = info(&planning, name)?;
    let job: Planned = planning.job(name)?.clone();
    let patience = job.spec.limit + planning.lease + BESIDE_THE_RUN;
    let stores = context.stores().await?;
    let by = format!("a command on {}", service::health::host_name());
    let metrics = Arc::clone(&stores.metrics);
    let cancel = signals::cancelled_by_signals();
    // It takes the lease when nobody has it, and else leaves the run to whoever does.
    let supervisor = Supervisor::new(cancel.clone());
    let (_keep, planning) = watch::channel(Arc::new(planning.only(name)));
    let host = service::health::host_name();
    scheduler::start(&supervisor, job.spec.seat, host, stores, planning);
    let ended = tokio::select! {
        ended = jobs::run_and_wait(&*metrics, &info, &by, patience) => Some(ended),
        () = cancel.cancelled() => None,
    };
    supervisor.stop(Duration::from_secs(10)).await;
    let Some(run) = ended.transpose()?.flatten() else {
        output::note(&format!(
            "the run did not end while this command waited; `atalaya jobs show {name}` has what became of it"
        ));
        return Ok(ExitCode::FAILURE);
    };
    if json {
        print_json(&jobs_json::run(&run))?;
    } else {
        output::print(Form::Text, &run_text(&run))?;
    }
    let good = run.result.is_some_and(RunResult::is_success);
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn history(
    context: &Context,
    planning: &Planning,
    name: Option<&str>,
    limit: u32,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let info = name.map(|name| info(planning, name)).transpose()?;
    let job = info.as_ref().map(|info| (info.lease.as_str(), info.name));
    let runs = jobs::history(&*metrics(context).await?, job, limit).await?;
    if json {
        let runs: Vec<Value> = runs.iter().map(jobs_json::run).collect();
        print_json(&Value::from(runs))?;
    } else if runs.is_empty() {
        output::note("nothing was run yet");
    } else {
        let mut text = String::new();
        for run in &runs {
            let _ = writeln!(
                text,
                "{:>6}  {}  {} ({}, attempt {})",
                run.id,
                Shown::line(&run.job),
                ended(run),
                run.cause.name(),
                run.attempt
            );
        }
        output::print(Form::Text, &text)?;
        output::note("`atalaya jobs show RUN` has the output of one");
    }
    Ok(ExitCode::SUCCESS)
}

async fn switch(
    context: &Context,
    planning: &Planning,
    name: &str,
    enabled: bool,
) -> anyhow::Result<ExitCode> {
    let info = info(planning, name)?;
    metrics(context)
        .await?
        .switch_job(&info.lease, info.name, Some(enabled))
        .await?;
    output::print(
        Form::Text,
        &format!("{name} is {}\n", if enabled { "on" } else { "off" }),
    )?;
    Ok(ExitCode::SUCCESS)
}
