//! The command line: one thin file per subcommand, which parses, calls a use case and prints.
//!
//! Exit codes: 0 done; 1 what was asked for failed or is unhealthy; 2 wrong usage or input (a
//! query, a configuration key, a file, a format, a repository); 75 another process holds the lock.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, ConfigError, Settings};
use crate::service::alerts::{AlertError, BrokenChannel};
use crate::service::backup::BackupError;
use crate::service::care::CareError;
use crate::service::copy::CopyError;
use crate::service::demo::DemoError;
use crate::service::dora::{GatherError, IncidentError};
use crate::service::ingest::InputError;
use crate::service::pdca::PdcaError;
use crate::service::pipeline::PipelineError;
use crate::service::reports::ReportError;
use crate::service::tokens::TokenError;
use crate::service::{self, Stores};
use crate::signals;
use crate::tui::ConsoleError;
use crate::workers::jobs::{Planning, PlanningError};
use atalaya_domain::error_class::ErrorClass;
use atalaya_ingest::IngestError;
use atalaya_store::error::StoreError;

pub mod alerts;
pub mod backup;
pub mod completions;
pub mod compliance;
pub mod config_command;
pub mod console;
pub mod db;
pub mod dora;
pub mod health;
pub mod ingest;
pub mod jobs;
pub mod logs;
pub mod man;
pub mod mcp;
pub mod output;
pub mod pdca;
pub mod pipeline;
pub mod progress;
pub mod quarantine;
pub mod retention;
pub mod serve;
pub mod token;
pub mod trace;
pub mod track;

/// A mistake in what the user wrote: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

const EXAMPLES: &str = "\
Examples:
  atalaya                                   open the console on this machine's logs
  atalaya logs 'level>=error since:1h'      errors of the last hour
  atalaya trace req-42                      one request over all its logs
  atalaya dora report --format markdown     the five DORA metrics of this repository
  atalaya demo                              try every screen on made-up data

With no configuration everything is kept in SQLite files in the data directory (`atalaya config path`).";

/// A terminal observability console: DORA metrics, logs by request id, health and PDCA cycles.
#[derive(Debug, Parser)]
#[command(name = "atalaya", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub struct Invocation {
    /// Configuration file, read after /etc/atalaya/config.toml and instead of the user's own.
    #[arg(long, global = true, value_name = "FILE", env = "ATALAYA_CONFIG")]
    pub config: Option<PathBuf>,

    /// Where the embedded stores, checkpoints and the console's state are kept.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the records that match a query.
    Logs(logs::Args),
    /// Print everything that carries a request id, in time order.
    Trace(trace::Args),
    /// Measure this host and ask every store; the exit code is the verdict.
    Health(health::Args),
    /// Open the console on a made-up company in throw-away stores.
    Demo(console::DemoArgs),
    /// Run the background work without a screen: ingest, health samples, jobs.
    Serve(serve::Args),
    /// What runs by a schedule: list, show, run, history, enable, disable.
    Jobs(jobs::Args),
    /// What is kept for how long, and deleting what is older.
    Retention(retention::Args),
    /// Read log files, or standard input, into the store; each line once.
    Ingest(ingest::Args),
    /// The five DORA metrics: report, sync from git, import, record.
    Dora(dora::Args),
    /// Run a command unchanged and record it as a phase of a cycle.
    Track(track::Args),
    /// The phases of a cycle as configured commands: run, resume, list, approve, reject.
    Pipeline(pipeline::Args),
    /// Plan-Do-Check-Act cycles: did the last change help?
    Pdca(pdca::Args),
    /// What fires and who has seen it: list, acknowledge, silence, rules, channels.
    Alerts(alerts::Args),
    /// Records that a store refused for good: list, show, send again.
    Quarantine(quarantine::Args),
    /// Make, migrate and look at the databases of the stores; copy from one to another.
    Db(db::Args),
    /// Back up metrics and logs; verify, restore, and try a restore out.
    Backup(backup::Args),
    /// Check the policy: what is built in, configured and running.
    Compliance(compliance::Args),
    /// Serve language models on standard input and output; it only reads.
    Mcp(mcp::Args),
    /// Who may ask the HTTP API: create, list, revoke.
    Token(token::Args),
    /// Show, check or locate the configuration.
    Config(config_command::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Print the manual page (roff).
    Man(man::Args),
}

/// What every subcommand gets: the settings, and the stores when it asks for them.
#[derive(Debug)]
pub struct Context {
    pub settings: Settings,
}

impl Context {
    /// Opens the configured stores, creating embedded ones that do not exist yet. One that cannot be
    /// opened has the reason in its answers; one that can only be read is named at once.
    pub async fn stores(&self) -> anyhow::Result<Stores> {
        let stores = service::try_stores(&self.settings).await;
        let (logs, metrics) = (stores.logs.store(), &stores.metrics);
        only_read("logs", &logs.address(), logs.read_only());
        only_read("metrics", &metrics.address(), metrics.read_only());
        Ok(stores)
    }
}

fn only_read(layer: &str, address: &str, reason: Option<String>) {
    if let Some(reason) = reason {
        output::note(&format!("the {layer} at {address} are only read: {reason}"));
    }
}

/// Reads the arguments; help, version and usage errors are printed here.
pub fn parse() -> Result<Invocation, ExitCode> {
    Invocation::try_parse().map_err(|error| {
        if error.use_stderr() {
            // It repeats the arguments, which may hold anything.
            output::aside(&error.render().to_string());
            return ExitCode::from(2);
        }
        // A closed pipe while printing help is not worth a message.
        let _ = error.print();
        ExitCode::SUCCESS
    })
}

/// Runs the command. However it ends, also by a signal, the stores are closed before.
pub async fn run(invocation: Invocation) -> anyhow::Result<ExitCode> {
    signals::end_after(service::close_stores);
    let outcome = Box::pin(dispatch(invocation)).await;
    signals::leave_it_to_them().await;
    service::close_stores().await;
    outcome
}

async fn dispatch(invocation: Invocation) -> anyhow::Result<ExitCode> {
    match invocation.command {
        // These work whatever the configuration says.
        Some(Command::Completions(args)) => return completions::run(&args),
        Some(Command::Man(args)) => return man::run(&args),
        _ => {}
    }
    let request = config::Request {
        file: invocation.config,
        data_dir: invocation.data_dir,
    };
    if let Some(Command::Config(args)) = &invocation.command {
        return Box::pin(config_command::run(args, &request)).await;
    }
    let context = Context {
        settings: Settings::load(&request)?,
    };
    service::ingest::define_formats(&context.settings)?;
    Planning::configured(&context.settings)?;
    match invocation.command {
        Some(Command::Logs(args)) => logs::run(args, &context).await,
        Some(Command::Trace(args)) => trace::run(args, &context).await,
        Some(Command::Health(args)) => health::run(&args, &context).await,
        Some(Command::Demo(args)) => Box::pin(console::run_demo(&args, &context.settings)).await,
        Some(Command::Ingest(args)) => ingest::run(args, &context).await,
        Some(Command::Serve(args)) => Box::pin(serve::run(&args, &context, &request)).await,
        Some(Command::Retention(args)) => Box::pin(retention::run(&args, &context)).await,
        Some(Command::Jobs(args)) => Box::pin(jobs::run(args, &context)).await,
        Some(Command::Dora(args)) => dora::run(args, &context).await,
        Some(Command::Track(args)) => track::run(args, &context).await,
        Some(Command::Pipeline(args)) => Box::pin(pipeline::run(args, &context)).await,
        Some(Command::Pdca(args)) => pdca::run(args, &context).await,
        Some(Command::Alerts(args)) => Box::pin(alerts::run(args, &context)).await,
        Some(Command::Quarantine(args)) => Box::pin(quarantine::run(args, &context)).await,
        Some(Command::Db(args)) => Box::pin(db::run(args, &context)).await,
        Some(Command::Backup(args)) => Box::pin(backup::run(args, &context)).await,
        Some(Command::Compliance(args)) => Box::pin(compliance::run(&args, &context)).await,
        Some(Command::Mcp(args)) => Box::pin(mcp::run(&args, &context)).await,
        Some(Command::Token(args)) => Box::pin(token::run(args, &context)).await,
        None | Some(Command::Config(_) | Command::Completions(_) | Command::Man(_)) => {
            console::run(&context).await
        }
    }
}

/// Prints an error with its causes on standard error and chooses the exit code.
pub fn report_error(error: &anyhow::Error) -> ExitCode {
    if output::is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    output::print_error(error);
    ExitCode::from(exit_code(error))
}

/// What a script reads of an error: the class of the outermost cause that has one. What a store
/// refuses was asked for rightly, whoever has to mend it.
fn exit_code(error: &anyhow::Error) -> u8 {
    let of_a_store = error
        .chain()
        .any(<dyn std::error::Error + 'static>::is::<StoreError>);
    match error.chain().find_map(known_class) {
        Some(ErrorClass::Busy) => 75,
        Some(ErrorClass::Usage | ErrorClass::Missing) if !of_a_store => 2,
        _ => 1,
    }
}

fn known_class(cause: &(dyn std::error::Error + 'static)) -> Option<ErrorClass> {
    fn of<E: std::error::Error + 'static>(
        cause: &(dyn std::error::Error + 'static),
        class: impl Fn(&E) -> ErrorClass,
    ) -> Option<ErrorClass> {
        cause.downcast_ref().map(class)
    }
    of::<UsageError>(cause, |_| ErrorClass::Usage)
        .or_else(|| of::<InputError>(cause, |_| ErrorClass::Usage))
        .or_else(|| of(cause, ConfigError::class))
        .or_else(|| of(cause, PlanningError::class))
        .or_else(|| of(cause, ConsoleError::class))
        .or_else(|| of(cause, IngestError::class))
        .or_else(|| of(cause, GatherError::class))
        .or_else(|| of(cause, IncidentError::class))
        .or_else(|| of(cause, PdcaError::class))
        .or_else(|| of(cause, BackupError::class))
        .or_else(|| of(cause, CareError::class))
        .or_else(|| of(cause, AlertError::class))
        .or_else(|| of(cause, BrokenChannel::class))
        .or_else(|| of(cause, PipelineError::class))
        .or_else(|| of(cause, ReportError::class))
        .or_else(|| of(cause, CopyError::class))
        .or_else(|| of(cause, TokenError::class))
        .or_else(|| of(cause, DemoError::class))
        .or_else(|| of(cause, StoreError::class))
}
