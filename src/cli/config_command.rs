//! `atalaya config show|check|path`.

use super::output::Form;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::places::Password;
use crate::config::{self, LogsPlace, MetricsPlace, Request, Settings};
use crate::service;
use crate::telemetry;
use crate::workers::jobs::Planning;

use super::output;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  atalaya config path\n  atalaya config show\n  ATALAYA_CONSOLE__THEME=light atalaya config show\n  atalaya config check"
)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Action {
    /// Print every value that is in force, with the file or variable that it came from.
    Show,
    /// Read the configuration, open the stores, and say what works.
    Check,
    /// Print the files that are read and where data is kept.
    Path,
}

pub async fn run(args: &Args, request: &Request) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Path => path(request),
        Action::Show => show(&Settings::load(request)?),
        Action::Check => check(&Settings::load(request)?).await,
    }
}

fn path(request: &Request) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    for location in config::user_locations(request) {
        let state = if location.path.exists() {
            "read"
        } else {
            "not there"
        };
        writeln!(text, "configuration  {} ({state})", location.path.display())?;
    }
    // The paths help most when the configuration itself is broken.
    match Settings::load(request) {
        Ok(settings) => {
            let log = telemetry::folder(&settings.data_dir);
            writeln!(text, "data           {}", settings.data_dir.display())?;
            writeln!(text, "our own log    {}", log.display())?;
        }
        Err(error) => writeln!(text, "data           unknown: {error}")?,
    }
    output::print(Form::Text, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn show(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut text = toml::to_string(&settings.in_force())?;
    text.push('\n');
    if settings.values.is_empty() {
        text.push_str("# every value is a default\n");
    }
    for value in &settings.values {
        writeln!(text, "# {} from {}", value.key, value.layer)?;
    }
    for (store, password) in passwords(settings) {
        writeln!(
            text,
            "# password of stores.{store}: *** from {}",
            password.found_in
        )?;
    }
    output::print(Form::Text, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn passwords(settings: &Settings) -> impl Iterator<Item = (&'static str, &Password)> {
    let logs = match &settings.logs_place {
        LogsPlace::Cassandra(place) => place.password.as_ref(),
        LogsPlace::Embedded => None,
    };
    let metrics = match &settings.metrics_place {
        MetricsPlace::MySql(place) => place.password.as_ref(),
        MetricsPlace::Embedded => None,
    };
    [("logs", logs), ("metrics", metrics)]
        .into_iter()
        .filter_map(|(store, password)| password.map(|password| (store, password)))
}

async fn check(settings: &Settings) -> anyhow::Result<ExitCode> {
    service::ingest::define_formats(settings)?;
    Planning::configured(settings)?;
    let inputs = settings.clone();
    tokio::task::spawn_blocking(move || service::ingest::plan(&inputs, "")).await??;
    service::alerts::Channels::check(settings).await?;
    let mut text = String::from("ok    configuration\n");
    let mut healthy = true;
    for finding in service::check_stores(settings).await {
        healthy &= finding.problem.is_none();
        match finding.problem {
            None => writeln!(text, "ok    {}", finding.what)?,
            Some(problem) => writeln!(text, "FAIL  {}: {problem}", finding.what)?,
        }
    }
    output::print(Form::Text, &text)?;
    Ok(if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
