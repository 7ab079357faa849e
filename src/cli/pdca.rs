//! `atalaya pdca`: Plan-Do-Check-Act cycles from the command line.

use super::output::Form;
use std::process::ExitCode;

use clap::Subcommand;

use crate::report::pdca_json;
use crate::service::pdca::{self, Draft, PdcaSettings};
use atalaya_domain::dora::{Metric, Scope};
use atalaya_domain::pdca::{Applied, PdcaCycle, Texts, Verdict};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::MetricsStore;

use super::{Context, UsageError, output};

mod show;

const EXAMPLES: &str = "\
Examples:
  atalaya pdca propose                                    metrics that miss their targets
  atalaya pdca new --metric change_lead_time --service shop 'Smaller changes' --change 'at most 200 lines'
  atalaya pdca start pdca-20260306-170000 --what 'the limit is on' --commit 4f1c2d9
  atalaya pdca check pdca-20260306-170000                 take the look that is due (48 h, 7, 14, 28 d)
  atalaya pdca decide pdca-20260306-170000 apply --why 'faster, and nothing else got worse'";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    /// JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,

    /// Who does this; the login name unless given.
    #[arg(long, global = true, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// All cycles, newest first.
    List,
    /// The four phases of one cycle.
    Show { id: String },
    /// Metrics that miss their targets, as plans worth making.
    Propose {
        #[arg(long)]
        service: Option<String>,
        #[arg(long)]
        team: Option<String>,
    },
    /// PLAN: fix metric, baseline and expectation before anything is changed.
    New(NewArgs),
    /// DO: say what was applied, and when; from then on everything is "after".
    Start {
        id: String,
        /// What was applied.
        #[arg(long)]
        what: String,
        /// When, as RFC 3339; now unless given.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        #[arg(long)]
        request_id: Option<String>,
        #[arg(long)]
        commit: Option<String>,
    },
    /// CHECK: take the look that is due: 48 hours, 7, 14 or 28 days after the change.
    Check { id: String },
    /// ACT: record a decision (apply, revert, continue, escalate).
    Decide {
        id: String,
        verdict: String,
        #[arg(long)]
        why: String,
    },
    /// Write something down about a cycle.
    Note { id: String, text: String },
    /// Change the texts of a plan; what it measures stays as it was fixed.
    Edit {
        id: String,
        #[arg(long)]
        title: Option<String>,
        #[arg(long)]
        hypothesis: Option<String>,
        #[arg(long)]
        change: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
pub struct NewArgs {
    pub title: String,
    /// The metric that should get better, by its name in reports.
    #[arg(long)]
    pub metric: String,
    #[arg(long)]
    pub service: Option<String>,
    #[arg(long)]
    pub team: Option<String>,
    #[arg(long, default_value = "")]
    pub hypothesis: String,
    /// What will be changed.
    #[arg(long, default_value = "")]
    pub change: String,
    /// Expected improvement in per cent; the usual step for the metric unless given.
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub expect: Option<f64>,
    /// Metrics that must not get worse; change failure rate and recovery time unless given.
    #[arg(long = "guard", value_name = "METRIC")]
    pub guards: Vec<String>,
    #[arg(long)]
    pub owner: Option<String>,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let settings = &context.settings;
    let rules = PdcaSettings::configured(&settings.dora, &settings.pdca, chrono_tz::Tz::UTC)
        .map_err(|error| UsageError(error.to_string()))?;
    let stores = context.stores().await?;
    let store = stores.metrics.as_ref();
    let by = args.by.clone().unwrap_or_else(pdca::login_name);
    let now = Timestamp::now();
    let text = match args.command {
        Command::List => {
            let listing = pdca::list(store).await?;
            if args.json {
                line(&pdca_json::list(&listing)?)
            } else {
                show::list(&listing, now)
            }
        }
        Command::Show { id } => {
            let (cycle, events) = pdca::show(store, &id).await?;
            if args.json {
                line(&pdca_json::history(&cycle, &events)?)
            } else {
                show::cycle(&cycle, now)
            }
        }
        Command::Propose { service, team } => {
            let scope = Scope {
                service,
                team,
                environment: rules.environment.clone(),
            };
            let proposals = pdca::proposals(store, &scope, &rules, now).await?;
            if args.json {
                line(&pdca_json::value(&proposals)?)
            } else {
                show::proposals(&proposals)
            }
        }
        other => {
            let cycle = change(other, store, &rules, &by, now).await?;
            if args.json {
                line(&pdca_json::value(&cycle)?)
            } else {
                show::cycle(&cycle, now)
            }
        }
    };
    output::print(Form::of(args.json), &text)?;
    Ok(ExitCode::SUCCESS)
}

fn line(value: &serde_json::Value) -> String {
    format!("{value}\n")
}

async fn change(
    command: Command,
    store: &dyn MetricsStore,
    rules: &PdcaSettings,
    by: &str,
    now: Timestamp,
) -> anyhow::Result<PdcaCycle> {
    let done = match command {
        Command::New(new) => {
            let guards = new
                .guards
                .iter()
                .map(|word| metric(word))
                .collect::<Result<Vec<_>, _>>()?;
            let draft = Draft {
                metric: metric(&new.metric)?,
                title: new.title,
                service: new.service,
                team: new.team,
                hypothesis: new.hypothesis,
                change: new.change,
                expected_percent: new.expect,
                owner: new.owner.unwrap_or_else(|| by.to_owned()),
                guards: (!guards.is_empty()).then_some(guards),
            };
            pdca::create(store, draft, rules, by, now).await
        }
        Command::Start {
            id,
            what,
            at,
            request_id,
            commit,
        } => {
            let applied_at = at.as_deref().map_or(Ok(now), instant)?;
            pdca::start(
                store,
                &id,
                Applied {
                    what,
                    applied_at,
                    request_id,
                    commit,
                },
                by,
                now,
            )
            .await
        }
        Command::Check { id } => pdca::check(store, &id, rules, by, now).await,
        Command::Decide { id, verdict, why } => {
            let verdict = Verdict::from_word(&verdict).ok_or_else(|| {
                UsageError(format!(
                    "`{verdict}` is no decision; use one of apply, revert, continue, escalate"
                ))
            })?;
            pdca::decide(store, &id, verdict, &why, by, now).await
        }
        Command::Note { id, text } => pdca::note(store, &id, &text, by, now).await,
        Command::Edit {
            id,
            title,
            hypothesis,
            change,
        } => {
            pdca::edit(
                store,
                &id,
                Texts {
                    title,
                    hypothesis,
                    change,
                },
                by,
                now,
            )
            .await
        }
        // Read-only commands were answered before.
        Command::List | Command::Show { .. } | Command::Propose { .. } => {
            anyhow::bail!("this command changes nothing")
        }
    };
    Ok(done?)
}

fn metric(word: &str) -> Result<Metric, UsageError> {
    Metric::from_word(word).ok_or_else(|| {
        let known: Vec<&str> = Metric::ALL.iter().map(|metric| metric.key()).collect();
        UsageError(format!(
            "`{word}` is no metric; use one of {}",
            known.join(", ")
        ))
    })
}

fn instant(text: &str) -> Result<Timestamp, UsageError> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(Timestamp::from)
        .map_err(|error| {
            UsageError(format!(
                "`{text}` is no time ({error}); write it as 2026-03-06T17:00:00Z"
            ))
        })
}
