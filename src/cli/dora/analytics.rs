//! `atalaya dora analytics`: series over whole weeks and months.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::super::output::Form;
use super::super::{Context, UsageError, output};
use crate::report::{analytics_json, analytics_text};
use crate::service;
use crate::service::dora::analytics::{Analysis, MOST_DAYS, MOST_MONTHS, analyse};
use crate::service::dora::{self, Question};
use atalaya_domain::dora::analytics::Measure;
use atalaya_domain::time::Timestamp;

const EXAMPLES: &str = "\
The running week and month are in no trend. What is not known is a gap and not 0. Where the older
tool's rule gives another answer, both are told.

Examples:
  atalaya dora analytics trend deployment-frequency --days 180
  atalaya dora analytics trend lead-time --service shop
  atalaya dora analytics compare --days 30 --previous-days 90
  atalaya dora analytics monthly --months 12
  atalaya dora analytics anomalies --days 90
  atalaya dora analytics forecast --json | jq .forecasts";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    kind: Kind,
    /// Only this service.
    #[arg(long, global = true)]
    service: Option<String>,
    /// Only this team.
    #[arg(long, global = true)]
    team: Option<String>,
    /// The environment that counts [default: the configured one, production].
    #[arg(long, global = true)]
    environment: Option<String>,
    /// Formulas: dora or iact (the older tool's) [default: the configured one, dora].
    #[arg(long, global = true)]
    profile: Option<String>,
    /// The shape of the HTTP API.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Each whole week, and where the weeks are going.
    #[command(after_help = EXAMPLES)]
    Trend {
        metric: TrendMetric,
        /// Only the whole weeks of these last days count.
        #[arg(long, default_value_t = 90, value_parser = days())]
        days: u32,
    },
    /// The last days against those before them, by the day.
    #[command(after_help = EXAMPLES)]
    Compare {
        #[arg(long, default_value_t = 30, value_parser = days())]
        days: u32,
        #[arg(long, default_value_t = 30, value_parser = days())]
        previous_days: u32,
    },
    /// Each whole calendar month.
    #[command(after_help = EXAMPLES)]
    Monthly {
        #[arg(long, default_value_t = 6, value_parser = months())]
        months: u32,
    },
    /// Deployments that took unusually long or short.
    #[command(after_help = EXAMPLES)]
    Anomalies {
        #[arg(long, default_value_t = 30, value_parser = days())]
        days: u32,
    },
    /// What the running month will have been, with intervals, and how far off the rule was before.
    #[command(after_help = EXAMPLES)]
    Forecast {
        /// Whole months that it is made from.
        #[arg(long, default_value_t = 6, value_parser = months())]
        months: u32,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TrendMetric {
    DeploymentFrequency,
    LeadTime,
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MOST_DAYS))
}

fn months() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MOST_MONTHS))
}

impl Kind {
    const fn analysis(&self) -> Analysis {
        match *self {
            Self::Trend { metric, days } => Analysis::Trend {
                measure: match metric {
                    TrendMetric::DeploymentFrequency => Measure::DeploymentFrequency,
                    TrendMetric::LeadTime => Measure::LeadTime,
                },
                days,
            },
            Self::Compare {
                days,
                previous_days,
            } => Analysis::Compare {
                days,
                before: previous_days,
            },
            Self::Monthly { months } => Analysis::Monthly { months },
            Self::Anomalies { days } => Analysis::Anomalies { days },
            Self::Forecast { months } => Analysis::Forecast { months },
        }
    }
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let question = Question {
        service: args.service,
        team: args.team,
        environment: args.environment,
        profile: args.profile,
        ..Question::default()
    };
    let zone = dora::zone(context.settings.ingest.timezone.as_deref());
    let request = question
        .read(&context.settings.dora, zone, now)
        .map_err(|error| UsageError(error.to_string()))?;
    let store = service::open_metrics(&context.settings).await?;
    let told = analyse(&*store, &request, args.kind.analysis(), now).await?;
    let text = if args.json {
        format!("{:#}\n", analytics_json::json(&told))
    } else {
        analytics_text::text(&told)
    };
    output::print(Form::of(args.json), &text)?;
    Ok(ExitCode::SUCCESS)
}
