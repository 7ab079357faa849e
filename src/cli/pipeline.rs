//! `atalaya pipeline`: phases of a cycle as configured commands, with gates and people in them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::output::{self, Form};
use super::{Context, UsageError};
use crate::report::pipeline_json;
use crate::service::pdca::login_name;
use crate::service::pipeline::{self, Definition, Event, New, Runner};
use crate::service::{self, track};
use crate::signals;
use atalaya_domain::pipeline::{Run, RunState};
use atalaya_store::metrics::{KeptRun, MetricsStore};

mod show;

/// How often a waiting run is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What a run that waits for a person ends with.
const WAITS: u8 = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A pipeline is a TOML file with a `[[phase]]` for each step: `phase`, `command`, and if wanted `name`,
`timeout`, `retries`, `directory`, `env`, `min_confidence`. A command reads its context as JSON on
standard input, and answers with its exit code or with a last line such as
{\"decision\": \"go\", \"confidence\": 0.9, \"metadata\": {}}: go, no-go, review, blocked or escalate.

Exit code: 0 succeeded, 1 stopped or failed, 2 wrong usage, 3 waits for a person, 75 another process
works on the run, 130 or 143 ended by a signal; it can be resumed then.

Examples:
  atalaya pipeline run release.toml --feature FEAT-1
  atalaya pipeline run release.toml --wait        stay until somebody approves
  atalaya pipeline approve run-2026 --note 'looked at the plan'
  atalaya pipeline resume run-20261130-101500-a1b2c3
  atalaya pipeline list --json | jq '.[] | select(.state == \"waiting\") | .id'")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the phases of a file, from the first.
    Run {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What is being worked on [default: the file's `feature`].
        #[arg(long)]
        feature: Option<String>,
        /// The cycle that the phases belong to [default: the run].
        #[arg(long)]
        cycle: Option<String>,
        /// Stay while a person is asked, and go on when they approve.
        #[arg(long)]
        wait: bool,
        /// The run as one JSON object, at its end.
        #[arg(long)]
        json: bool,
    },
    /// Go on with a run that was killed, or that somebody approved.
    Resume {
        /// The id of the run, or its beginning.
        #[arg(value_name = "RUN")]
        id: String,
        /// Stay while a person is asked, and go on when they approve.
        #[arg(long)]
        wait: bool,
        /// The run as one JSON object, at its end.
        #[arg(long)]
        json: bool,
    },
    /// The runs, newest first.
    List {
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// One JSON array.
        #[arg(long)]
        json: bool,
    },
    /// One run with its phases and what they printed.
    Show {
        /// The id of the run, or its beginning.
        #[arg(value_name = "RUN")]
        id: String,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Let the phase that waits pass.
    Approve(Verdict),
    /// Stop the run at the phase that waits.
    Reject(Verdict),
    /// The process round one command of a run.
    #[command(hide = true)]
    Keep {
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Verdict {
    /// The id of the run, or its beginning.
    #[arg(value_name = "RUN")]
    id: String,
    /// Who decides [default: the user].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[arg(long)]
    note: Option<String>,
    /// The run as one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if let Command::Keep { folder } = &args.command {
        let stop = signals::cancelled_by_signals();
        pipeline::keep(folder, &stop).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = service::open_metrics(&context.settings).await?;
    let store = store.as_ref();
    match args.command {
        Command::Run {
            file,
            feature,
            cycle,
            wait,
            json,
        } => {
            let kept = begin(store, &file, feature, cycle.as_deref()).await?;
            output::note(&format!("run {}", kept.run.id));
            drive(store, context, kept, wait, json).await
        }
        Command::Resume { id, wait, json } => {
            let kept = pipeline::find(store, &id).await?;
            drive(store, context, kept, wait, json).await
        }
        Command::List { limit, json } => {
            let runs = store.runs(limit).await?;
            if json {
                let runs: Vec<Value> = runs
                    .iter()
                    .map(|kept| pipeline_json::run(&kept.run))
                    .collect();
                print_json(&Value::Array(runs))?;
            } else {
                output::print(Form::Text, &show::list(&runs))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Show { id, json } => {
            let kept = pipeline::find(store, &id).await?;
            print(&kept.run, json)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Approve(verdict) => decide(store, verdict, true).await,
        Command::Reject(verdict) => decide(store, verdict, false).await,
        Command::Keep { .. } => Ok(ExitCode::SUCCESS),
    }
}

async fn begin(
    store: &dyn MetricsStore,
    file: &std::path::Path,
    feature: Option<String>,
    cycle: Option<&str>,
) -> anyhow::Result<KeptRun> {
    let (definition, text) = Definition::read(file)?;
    let feature = feature.or_else(|| definition.feature.clone());
    let feature = feature.filter(|feature| !feature.trim().is_empty());
    let Some(feature) = feature else {
        return Err(UsageError(
            "no feature is named; add --feature FEAT-1, or `feature` to the file".to_owned(),
        )
        .into());
    };
    let file = std::path::absolute(file)?;
    let request = track::request_context(|name| std::env::var(name).ok(), rand::random());
    let new = New {
        definition: &definition,
        text: &text,
        directory: file.parent().unwrap_or_else(|| std::path::Path::new("/")),
        feature: &feature,
        cycle,
        request_id: request.id.as_str(),
    };
    Ok(pipeline::begin(store, new).await?)
}

async fn drive(
    store: &dyn MetricsStore,
    context: &Context,
    mut kept: KeptRun,
    wait: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let stop = signals::cancelled_by_signals();
    let runner = Runner::new(store, &context.settings.data_dir, stop.clone());
    let mut is_told = false;
    let run = loop {
        let run = runner.drive(kept, |event| tell(&event)).await?;
        if !(wait && run.state == RunState::Waiting) || stop.is_cancelled() {
            break run;
        }
        if !is_told {
            output::note(&show::how_to_decide(&run));
            is_told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => break run,
        }
        kept = pipeline::find(store, &run.id).await?;
    };
    if json {
        print_json(&pipeline_json::run(&run))?;
    }
    Ok(match run.state {
        RunState::Succeeded => {
            output::note(&format!("{} succeeded", run.id));
            ExitCode::SUCCESS
        }
        RunState::Waiting => {
            output::note(&show::how_to_decide(&run));
            ExitCode::from(WAITS)
        }
        RunState::Stopped | RunState::Failed => {
            output::note(&show::why_over(&run));
            ExitCode::FAILURE
        }
        RunState::Running => {
            output::note(&format!("go on with `atalaya pipeline resume {}`", run.id));
            ExitCode::from(130)
        }
    })
}

fn tell(event: &Event<'_>) {
    output::note(&match event {
        Event::Started { name, attempt: 1 } => format!("{name}: started"),
        Event::Started { name, attempt } => format!("{name}: started, try {attempt}"),
        Event::Awaited { name } => format!("{name}: still runs, from before; waiting for it"),
        Event::Failed { name, reason } => format!("{name}: {reason}; it is tried again"),
        Event::Answered { name, answer } => format!("{name}: {}", show::answer(answer)),
    });
}

async fn decide(
    store: &dyn MetricsStore,
    verdict: Verdict,
    approved: bool,
) -> anyhow::Result<ExitCode> {
    let by = verdict.by.clone().unwrap_or_else(login_name);
    let run = pipeline::decide(store, &verdict.id, approved, &by, verdict.note.as_deref()).await?;
    if verdict.json {
        print_json(&pipeline_json::run(&run))?;
    } else if run.state == RunState::Running {
        output::print(
            Form::Text,
            &format!(
                "approved; go on with `atalaya pipeline resume {}`\n",
                run.id
            ),
        )?;
    } else {
        output::print(Form::Text, &format!("{} is {}\n", run.id, run.state.name()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(run: &Run, json: bool) -> anyhow::Result<()> {
    if json {
        print_json(&pipeline_json::run(run))
    } else {
        Ok(output::print(Form::Text, &show::run(run))?)
    }
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(output::print(Form::Json, &format!("{text}\n"))?)
}
