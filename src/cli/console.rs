//! `atalaya` without a subcommand, and `atalaya demo`: the console, with the background work of
//! this machine beside it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::service::{self, Stores, demo};
use crate::source::git;
use crate::telemetry;
use crate::tui::{self, ConsoleInput, Ended};
use atalaya_domain::health::Health;
use atalaya_domain::time::Timestamp;
use atalaya_ingest::{IngestError, IngestStatus};
use atalaya_query::Zone;

use super::Context;

/// How often host and stores are measured while the console is open.
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// How often the repository is read again (specification, section 9).
const SYNC_EVERY: Duration = Duration::from_secs(15 * 60);
/// … and when that did not work: the store may have come meanwhile.
const SYNC_AGAIN: Duration = Duration::from_secs(60);
/// How often the demo's company writes.
const DEMO_EVERY: Duration = Duration::from_secs(1);
/// How long the end may take to store what was read.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Opens the console on the configured stores and reads this machine's logs into them, unless
/// another process already does.
pub async fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let settings = &context.settings;
    let _log = telemetry::start(&settings.data_dir);
    let stores = service::attach_stores(settings).await?;
    let host = service::health::host_name();
    let cancel = CancellationToken::new();

    let planning = settings.clone();
    let planned_host = host.clone();
    let plan = tokio::task::spawn_blocking(move || service::ingest::plan(&planning, &planned_host))
        .await??;
    let ingest = match service::ingest::attach(settings, plan, stores.logs.clone(), &cancel).await {
        Ok(ingest) => Some(ingest),
        // Somebody reads the files already: this console only watches.
        Err(IngestError::Locked { dir }) => {
            tracing::info!(dir = %dir.display(), "another process ingests; this console only watches");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let status = ingest.as_ref().map(|ingest| ingest.status.clone());
    let input = console_input(settings, stores.clone(), host, status, &cancel, false)?;
    tokio::spawn(sync_git(settings.clone(), stores, cancel.clone()));
    let ended = tui::run(input).await;
    cancel.cancel();
    if let Some(ingest) = ingest {
        match tokio::time::timeout(STOP_LIMIT, ingest.ended()).await {
            Ok(ended) => ended?,
            // What was not stored is read again at the next start.
            Err(_) => tracing::warn!(
                "the ingest did not stop in time; it resumes from its last checkpoint"
            ),
        }
    }
    Ok(exit_code(ended?))
}

/// Reads the deployments of the configured repository, or of the one that the console was started
/// in, now and then. Outside of a repository there is nothing to read.
async fn sync_git(settings: Settings, stores: Stores, cancel: CancellationToken) {
    let configured = settings.dora.repository.clone();
    let Some(repository) = configured.clone().or_else(|| std::env::current_dir().ok()) else {
        return;
    };
    let asked = repository.clone();
    let found = tokio::task::spawn_blocking(move || git::is_repository(&asked)).await;
    // A configured path that is no repository is an error worth its message below.
    if configured.is_none() && !matches!(found, Ok(true)) {
        return;
    }
    let mut tick = tokio::time::interval(SYNC_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let options = service::dora::sync_options(&settings.dora, None, None);
        let synced = service::dora::sync_git(
            &*stores.metrics,
            &repository,
            options,
            Timestamp::now(),
            |_| {},
        )
        .await;
        match synced {
            Ok(outcome) => tracing::info!(
                repository = %outcome.git.repository.display(),
                deployments = outcome.git.deployments.len(),
                "read the deployments of the repository"
            ),
            Err(error) => {
                tracing::warn!(error = %service::describe(&error), "the repository could not be read");
                tick.reset_after(SYNC_AGAIN);
            }
        }
    }
}

/// Arguments of `atalaya demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  atalaya demo\n  atalaya demo --fill /tmp/company && atalaya --data-dir /tmp/company trace req-7f3a9c"
)]
pub struct DemoArgs {
    /// Fill the stores of this new data directory and end, instead of opening the console.
    #[arg(long, value_name = "DIR")]
    pub fill: Option<PathBuf>,

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
    let settings = settings.embedded_in(folder.path().to_path_buf());
    let _log = telemetry::start(&settings.data_dir);
    let stores = service::open_stores(&settings).await?;
    let started = Timestamp::now();
    demo::fill(&stores, started, args.seed).await?;
    let cancel = CancellationToken::new();
    let company = tokio::spawn(keep_writing(stores.clone(), started, cancel.clone()));
    let input = console_input(&settings, stores, "demo".to_owned(), None, &cancel, true)?;
    let ended = tui::run(input).await;
    cancel.cancel();
    company.await?;
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
    let settings = settings.embedded_in(folder.to_path_buf());
    let stores = service::open_stores(&settings).await?;
    let made = demo::fill(&stores, Timestamp::now(), seed).await?;
    super::output::print(&format!(
        "made up {} records, {} deployments and {} incidents in {}\n",
        made.records,
        made.deployments,
        made.incidents,
        folder.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn keep_writing(stores: Stores, started: Timestamp, cancel: CancellationToken) {
    let mut from = started;
    let mut tick = tokio::time::interval(DEMO_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let until = Timestamp::now();
        if let Err(error) = demo::live(&stores, from, until).await {
            tracing::warn!(%error, "the demo's company could not write");
        }
        from = until;
    }
}

fn console_input(
    settings: &Settings,
    stores: Stores,
    host: String,
    ingest: Option<watch::Receiver<IngestStatus>>,
    cancel: &CancellationToken,
    demo: bool,
) -> anyhow::Result<ConsoleInput> {
    let zone = service::dora::zone(settings.ingest.timezone.as_deref());
    let dora = service::dora::ReportRequest::configured(30, &settings.dora, None, zone)
        .map_err(|error| super::UsageError(error.to_string()))?;
    let pdca = service::pdca::PdcaSettings::configured(&settings.dora, &settings.pdca, zone)
        .map_err(|error| super::UsageError(error.to_string()))?;
    Ok(ConsoleInput {
        health: Some(watch_health(
            stores.clone(),
            settings.data_dir.clone(),
            cancel.clone(),
        )),
        stores,
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
        host,
        demo,
        dora,
        pdca,
        keys: settings.console.keys.clone(),
    })
}

/// Measures now and then, until cancelled. The receiver changes with each measurement.
fn watch_health(
    stores: Stores,
    data_dir: PathBuf,
    cancel: CancellationToken,
) -> watch::Receiver<Health> {
    let unmeasured = Health::new(
        Timestamp::now(),
        Err("not measured yet".to_owned()),
        Vec::new(),
    );
    let (sender, receiver) = watch::channel(unmeasured);
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(HEALTH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = tick.tick() => {}
            }
            if sender
                .send(service::health::measure(&stores, &data_dir).await)
                .is_err()
            {
                return;
            }
        }
    });
    receiver
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
