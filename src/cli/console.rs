//! `atalaya` without a subcommand, and `atalaya demo`: the console, with the background work of
//! this machine beside it.

use super::output::Form;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch::{self, Receiver};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::host::{Host, Opening};
use crate::service::ingest::Plan;
use crate::service::jobs::JobInfo;
use crate::service::{self, Stores, demo};
use crate::tui::{self, ConsoleInput, Ended};
use crate::workers::ingest::Contended;
use crate::workers::jobs::Planning;
use crate::workers::scheduler::SeatState;
use crate::workers::{self, WorkerError};
use atalaya_domain::time::Timestamp;
use atalaya_ingest::{IngestError, IngestStatus};
use atalaya_query::Zone;
use atalaya_store::metrics::MetricsStore;

use super::{Context, serve};

/// How often the demo's company writes.
const DEMO_EVERY: Duration = Duration::from_secs(1);

/// Opens the console on the configured stores and reads this machine's logs into them, as soon
/// as no other process does.
pub async fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let settings = &context.settings;
    let name = service::health::host_name();
    let (planning, planned_host) = (settings.clone(), name.clone());
    let plan = tokio::task::spawn_blocking(move || service::ingest::plan(&planning, &planned_host))
        .await??;
    match workers::ingest::ask(plan.config.clone()).await {
        // Somebody reads the files already, and remembers for both.
        Ok(()) | Err(IngestError::Locked { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let Some(host) = open(settings, Opening::Whenever).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let ended = watch(settings, &host, name, plan).await;
    host.stop().await;
    Ok(exit_code(ended??))
}

async fn open(settings: &Settings, opening: Opening) -> anyhow::Result<Option<Host>> {
    let cancel = CancellationToken::new();
    Ok(Host::open(settings, "console", opening, cancel, |_| {}).await?)
}

async fn watch(
    settings: &Settings,
    host: &Host,
    name: String,
    plan: Plan,
) -> anyhow::Result<Result<Ended, tui::ConsoleError>> {
    // Somebody may read the files already: then this console only watches, and takes over.
    let status = host.follow(plan, Contended::TakenOver).await?;
    host.sync_git();
    // The same service as `atalaya serve`, as long as no other process is it.
    let planning = Planning::configured(settings)?;
    let jobs = planning.infos(&name).into();
    let (_keep, planning) = watch::channel(Arc::new(planning));
    let seats = host.run_jobs(&planning);
    let input = ConsoleInput {
        jobs,
        ..console_input(settings, host, name, Some(status), seats)?
    };
    Ok(tui::run(input).await)
}

/// Arguments of `atalaya demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  atalaya demo\n  atalaya demo --serve\n  atalaya demo --fill /tmp/company && atalaya --data-dir /tmp/company trace req-7f3a9c"
)]
pub struct DemoArgs {
    /// Fill the stores of this new data directory and end, instead of opening the console.
    #[arg(long, value_name = "DIR")]
    pub fill: Option<PathBuf>,

    /// Answer HTTP over the company instead of opening the console, until Ctrl-C; prints a token.
    #[arg(long, conflicts_with = "fill")]
    pub serve: bool,

    /// The same number makes the same company.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

/// Opens the console on a made-up company in stores that are thrown away at the end.
pub async fn run_demo(args: &DemoArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.fill {
        return fill(folder, args.seed, settings).await;
    }
    let folder = tempfile::Builder::new()
        .prefix("atalaya-demo-")
        .tempdir()
        .context("cannot make a temporary directory for the demo's stores")?;
    let settings = settings.made_up_in(folder.path().to_path_buf());
    let Some(host) = open(&settings, Opening::Now).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let started = Timestamp::now();
    demo::fill(&host.stores, started, args.seed).await?;
    demo::look_back(&host.stores, &settings, started).await?;
    let stores = host.stores.clone();
    host.spawn("company", move |cancel| {
        keep_writing(stores.clone(), started, cancel)
    });
    // The same service as that of real data: alerts fire over what the company writes.
    let planning = Planning::configured(&settings)?;
    let jobs: Arc<[JobInfo]> = planning.infos(&service::health::host_name()).into();
    let (metrics, known) = (Arc::clone(&host.stores.metrics), Arc::clone(&jobs));
    host.spawn("first backup", move |cancel| {
        let (metrics, known) = (Arc::clone(&metrics), Arc::clone(&known));
        async move {
            cancel.run_until_cancelled(back_up(&*metrics, &known)).await;
            Ok(())
        }
    });
    let (_keep, planning) = watch::channel(Arc::new(planning));
    let seats = host.run_jobs(&planning);
    if args.serve {
        let ended = serve::demo(&host, &settings, &planning).await;
        host.stop().await;
        return ended.map(|()| ExitCode::SUCCESS);
    }
    let input = ConsoleInput {
        jobs,
        ..console_input(&settings, &host, "demo".to_owned(), None, seats)?
    };
    let ended = tui::run(input).await;
    host.stop().await;
    Ok(exit_code(ended?))
}

async fn fill(folder: &Path, seed: u64, settings: &Settings) -> anyhow::Result<ExitCode> {
    if folder.exists() {
        return Err(super::UsageError(format!(
            "{} exists already; made-up data only goes into a directory of its own",
            folder.display()
        ))
        .into());
    }
    let settings = settings.made_up_in(folder.to_path_buf());
    settings
        .mark_made_up()
        .with_context(|| format!("cannot write in {}", folder.display()))?;
    let stores = service::open_to_ingest(&settings).await?;
    let now = Timestamp::now();
    let made = demo::fill(&stores, now, seed).await?;
    demo::look_back(&stores, &settings, now).await?;
    super::output::print(
        Form::Text,
        &format!(
            "made up {} records, {} deployments and {} incidents in {}\n",
            made.records,
            made.deployments,
            made.incidents,
            folder.display()
        ),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Asks for a backup and then for its drill, once the jobs are known: nobody waits for a night here.
async fn back_up(metrics: &dyn MetricsStore, jobs: &[JobInfo]) {
    let mut tick = tokio::time::interval(DEMO_EVERY);
    for name in ["backup", "backup_drill"] {
        let Some(job) = jobs.iter().find(|job| job.name == name) else {
            return;
        };
        loop {
            tick.tick().await;
            let found = metrics.backups().await.unwrap_or_default();
            let may_begin = name == "backup" || found.iter().any(|one| one.verified_at.is_some());
            if may_begin && metrics.request_run(&job.lease, name, "demo").await.is_ok() {
                break;
            }
        }
    }
}

async fn keep_writing(
    stores: Stores,
    started: Timestamp,
    cancel: CancellationToken,
) -> Result<(), WorkerError> {
    let mut from = started;
    let mut tick = tokio::time::interval(DEMO_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while cancel.run_until_cancelled(tick.tick()).await.is_some() {
        let until = Timestamp::now();
        if let Err(error) = demo::live(&stores, from, until).await {
            tracing::warn!(%error, "the demo's company could not write");
        }
        from = until;
    }
    Ok(())
}

fn console_input(
    settings: &Settings,
    host: &Host,
    name: String,
    ingest: Option<Receiver<IngestStatus>>,
    seats: Vec<watch::Receiver<SeatState>>,
) -> anyhow::Result<ConsoleInput> {
    let demo = ingest.is_none();
    let zone = service::dora::zone(settings.ingest.timezone.as_deref());
    let dora = service::dora::ReportRequest::configured(30, &settings.dora, None, zone)
        .map_err(|error| super::UsageError(error.to_string()))?;
    let pdca = service::pdca::PdcaSettings::configured(&settings.dora, &settings.pdca, zone)
        .map_err(|error| super::UsageError(error.to_string()))?;
    // A configured repository is read by itself, and the demo's company has none.
    let sync = std::env::current_dir()
        .ok()
        .filter(|_| !demo && settings.dora.repository.is_none())
        .map(|here| {
            (
                here,
                service::dora::sync_options(&settings.dora, None, None),
            )
        });
    Ok(ConsoleInput {
        health: Some(host.measure_health(seats)),
        firing: Some(host.count_firing()),
        stores: host.stores.clone(),
        ingest,
        theme: settings.console.theme.clone(),
        themes_dir: settings.themes_dir.clone(),
        zone: if settings.console.utc {
            Zone::Utc
        } else {
            Zone::Local
        },
        mouse: settings.console.mouse,
        data_dir: settings.data_dir.clone(),
        host: name,
        demo,
        dora,
        sync,
        pdca,
        alerts: Some(Arc::new(settings.alerts.clone())),
        jobs: Arc::default(),
        keys: settings.console.keys.clone(),
    })
}

/// 0 when the user left; 128 and the signal's number when a signal ended it, as shells count.
fn exit_code(ended: Ended) -> ExitCode {
    match ended {
        Ended::Quit => ExitCode::SUCCESS,
        Ended::Signal(number) => {
            ExitCode::from(128_u8.saturating_add(u8::try_from(number).unwrap_or(0)))
        }
        Ended::HungUp => ExitCode::from(129),
    }
}
