//! `atalaya serve`: the background work without a screen, under systemd or any other supervisor.
//!
//! SIGTERM and SIGINT end it within 10 s; SIGHUP reads the configuration again. Exit code: 0 it was
//! told to end; 1 it cannot start; 2 a mistake in the configuration.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api};
use crate::config::{Request, Settings};
use crate::host::{Host, Opening};
use crate::service;
use crate::service::alerts::Channels;
use crate::service::reload::{self, Reload};
use crate::service::tokens::{self, NewToken};
use crate::shown::Shown;
use crate::signals;
use crate::workers::ingest::Contended;
use crate::workers::jobs::Planning;
use crate::workers::scheduler::SeatState;
use crate::workers::{self};
use atalaya_domain::time::Timestamp;
use atalaya_domain::token::Scope;
use atalaya_ingest::{IngestError, IngestStatus};
use atalaya_store::error::causes;

use super::output::Form;
use super::{Context, output};

/// A demo is not open for longer.
const DEMO_TOKEN: Duration = Duration::from_secs(86_400);

/// Arguments of `atalaya serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It follows the configured files into the store, measures health, runs the jobs (`atalaya jobs list`)
and answers HTTP (`[api]`; `atalaya token create` makes a token). Several may share a store: each reads its host's files, and one of them runs the jobs.

SIGTERM ends it within 10 s; SIGHUP reads the configuration again and says what changed.

Examples:
  atalaya serve
  atalaya --config /etc/atalaya/config.toml serve
  systemctl enable --now atalaya        # with the unit of packaging/systemd")]
pub struct Args {
    /// Run the jobs only; another process reads the files.
    #[arg(long)]
    pub no_ingest: bool,
}

pub async fn run(args: &Args, context: &Context, request: &Request) -> anyhow::Result<ExitCode> {
    let settings = &context.settings;
    let mut signals = Signals::listen()?;
    let name = service::health::host_name();
    let planned = (settings.clone(), name.clone());
    let plan = tokio::task::spawn_blocking(move || service::ingest::plan(&planned.0, &planned.1))
        .await??;
    if !args.no_ingest {
        match workers::ingest::ask(plan.config.clone()).await {
            Ok(()) | Err(IngestError::Locked { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let planning = Planning::configured(settings)?;
    // What cannot be sent through is told now, and not when it is needed.
    Channels::check(settings).await?;
    let cancel = CancellationToken::new();
    let opened = Host::open(settings, "serve", Opening::Whenever, cancel.clone(), |_| {}).await?;
    let Some(host) = opened else {
        return Ok(ExitCode::SUCCESS);
    };
    let (sender, receiver) = watch::channel(Arc::new(planning));
    let seats = host.run_jobs(&receiver);
    let ingest = if args.no_ingest {
        None
    } else {
        match host.follow(plan, Contended::TakenOver).await {
            Ok(status) => Some(status),
            Err(error) => {
                host.stop().await;
                return Err(error.into());
            }
        }
    };
    serve_api(&host, settings, &receiver);
    say("started");
    notify(&[NotifyState::Ready]).await;
    let mut pulse = tokio::time::interval(pulse_every());
    pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = pulse.tick() => {
                let status = status_line(&seats, ingest.as_ref());
                let mut states = vec![NotifyState::Status(&status)];
                if runtime_works().await {
                    states.push(NotifyState::Watchdog);
                }
                notify(&states).await;
            }
            told = signals.next() => match told {
                Told::End => break,
                Told::Reload => reload_now(request, &sender).await,
            }
        }
    }
    say("ending");
    notify(&[NotifyState::Stopping]).await;
    host.stop().await;
    say("ended");
    Ok(ExitCode::SUCCESS)
}

/// The company of `atalaya demo --serve`: answers HTTP until it is told to end.
pub(super) async fn demo(
    host: &Host,
    settings: &Settings,
    planning: &watch::Receiver<Arc<Planning>>,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let new = NewToken {
        name: "demo".to_owned(),
        scopes: BTreeSet::from([Scope::Read]),
        lifetime: Some(DEMO_TOKEN),
    };
    let (token, _) = tokens::create(&*host.stores.metrics, new, Timestamp::now()).await?;
    // For a shell to take; the store of the token goes with the demo.
    output::print(
        Form::Text,
        &format!("export ATALAYA_TOKEN={}\n", token.reveal()),
    )?;
    serve_api(host, settings, planning);
    while !matches!(signals.next().await, Told::End) {}
    Ok(())
}

/// Answers HTTP beside everything else, where it is switched on.
fn serve_api(host: &Host, settings: &Settings, planning: &watch::Receiver<Arc<Planning>>) {
    if !settings.api.config.enabled {
        return;
    }
    let planning = planning.clone();
    let infos = Box::new(move || {
        let planned = Arc::clone(&planning.borrow());
        planned.infos(&service::health::host_name())
    });
    let api = Api::new(host.stores.clone(), settings.clone(), infos);
    let said = Arc::new(Mutex::new(String::new()));
    host.spawn("api", move |cancel| {
        let (api, said) = (Arc::clone(&api), Arc::clone(&said));
        async move {
            let ended = api::run(api, &say, cancel).await;
            if let Err(error) = &ended {
                // It is tried again and again; the same reason is said once.
                let text = error.to_string();
                let mut before = said.lock().unwrap_or_else(PoisonError::into_inner);
                if *before != text {
                    say(&text);
                    *before = text;
                }
            }
            Ok(ended?)
        }
    });
}

/// Into our own log, and on standard error for whoever keeps that (the journal).
fn say(what: &str) {
    tracing::info!("{what}");
    output::note(what);
}

enum Told {
    End,
    Reload,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        signals::take();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::End,
            _ = self.terminate.recv() => Told::End,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// How often systemd hears of us: at least twice in the time after which it takes us for hung.
fn pulse_every() -> Duration {
    const SLOWEST: Duration = Duration::from_secs(10);
    sd_notify::watchdog_enabled().map_or(SLOWEST, |limit| (limit / 3).min(SLOWEST))
}

/// Whether tasks are run at all: a job that holds up every thread of the runtime is a hang that only
/// a restart ends.
async fn runtime_works() -> bool {
    let round = tokio::spawn(async {});
    tokio::time::timeout(Duration::from_secs(5), round)
        .await
        .is_ok()
}

async fn notify(states: &[NotifyState<'_>]) {
    // A datagram to a local socket: it does not wait for anybody. Without systemd it is nothing.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
    tokio::task::yield_now().await;
}

/// One line for `systemctl status`.
fn status_line(
    seats: &[watch::Receiver<SeatState>],
    ingest: Option<&watch::Receiver<IngestStatus>>,
) -> String {
    let mut parts = Vec::new();
    if let Some(status) = ingest {
        let status = status.borrow();
        parts.push(match &status.paused {
            Some(reason) => format!("ingest waits: {reason}"),
            None => format!(
                "{} files followed, {} bytes behind",
                status.files.len(),
                status.lag_bytes()
            ),
        });
    }
    parts.extend(seats.iter().map(|seat| seat.borrow().sentence()));
    Shown::line(&parts.join("; ")).to_string()
}

/// Reads the configuration again; what is wrong with it changes nothing.
async fn reload_now(request: &Request, planning: &watch::Sender<Arc<Planning>>) {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]).await;
    }
    match read_again(request, planning).await {
        Ok(reload) => {
            if reload.is_empty() {
                say("the configuration was read again; nothing changed");
            }
            for key in &reload.applied {
                say(&format!("changed: {key}"));
            }
            for key in &reload.after_restart {
                say(&format!("changed, but only after a restart: {key}"));
            }
        }
        Err(error) => say(&format!(
            "the configuration was not taken, the old one stays: {}",
            causes(error.as_ref())
        )),
    }
    notify(&[NotifyState::Ready]).await;
}

async fn read_again(
    request: &Request,
    planning: &watch::Sender<Arc<Planning>>,
) -> anyhow::Result<Reload> {
    let asked = request.clone();
    let fresh = tokio::task::spawn_blocking(move || Settings::load(&asked)).await??;
    let old = Arc::clone(&planning.borrow().settings);
    Channels::check(&fresh).await?;
    let reload = reload::compare(&old, &fresh);
    let next = Planning::configured(&reload::merged(&old, fresh))?;
    planning.send_replace(Arc::new(next));
    Ok(reload)
}
