//! `atalaya db …`: the schemas of the configured stores, and their content.
//!
//! Exit code: 0 everything is as this program needs it; 1 something is missing, older, newer or
//! away; 2 wrong usage.

use super::output::Form;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::config::places::{LayoutWishes, Replication};
use crate::service::database::{self, SchemaReport, Task};
use crate::shown::Shown;

use super::{Context, UsageError, output};

pub mod adopt;
pub mod care;
pub mod copy;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
With nothing configured both stores are SQLite files that make themselves. Moving to servers is two
lines of configuration and `atalaya db init`:

  [stores]
  logs = \"cassandra://10.0.0.1,10.0.0.2/logging\"
  metrics = \"mysql://atalaya@db1/atalaya\"

Passwords come from ATALAYA_CASSANDRA_PASSWORD and ATALAYA_MYSQL_PASSWORD, or from files that
`password_file` in [stores.cassandra] and [stores.mysql] names.

Exit code: 0 everything is as this program needs it, 1 something is missing, older, newer or away,
2 wrong usage.

Examples:
  atalaya db init --replication dc1=3
  atalaya db status --json | jq '.[].state'
  atalaya db migrate
  atalaya db check
  atalaya db copy --from embedded --to configured")]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make keyspace, database and tables, as far as they are missing.
    Init(InitArgs),
    /// Bring the tables of an older atalaya up to this one.
    Migrate(JsonArgs),
    /// Say which version and settings each store has, and what to do about it.
    Status(JsonArgs),
    /// Read everything the stores hold, and name what is damaged.
    Check(care::CheckArgs),
    /// Take what can be read of a damaged embedded store into a new one; the old file is kept.
    Repair(care::RepairArgs),
    /// Put an embedded store aside under a dated name, and begin a new one.
    SetAside(care::SetAsideArgs),
    /// Take logs and metrics along from one store to another.
    Copy(copy::Args),
    /// Copy a table of others, one record a row, into our own.
    Adopt(adopt::Args),
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct JsonArgs {
    /// A JSON list with one object a store.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The values are kept in the keyspace, so that all hosts agree; they are chosen once. A keyspace that
is there already keeps its own, and what is missing in it is added. Without these options the values
of [stores.cassandra] are taken, and the defaults for the rest.

Examples:
  atalaya db init
  atalaya db init --replication dc1=3,dc2=2
  atalaya db init --replication-factor 3 --retention-days 30")]
pub struct InitArgs {
    /// Copies by datacenter: `dc1=3,dc2=2`.
    #[arg(long, value_name = "DC=N,…", conflicts_with = "replication_factor")]
    pub replication: Option<Replication>,

    /// Copies, for a ring in one datacenter [default: 1].
    #[arg(long, value_name = "N")]
    pub replication_factor: Option<u16>,

    /// Width of a partition in minutes; divides a day [default: 10].
    #[arg(long, value_name = "N")]
    pub bucket_minutes: Option<u16>,

    /// Partitions of one bucket, for layers of more than 100,000 records in its time [default: 1].
    #[arg(long, value_name = "N")]
    pub shards: Option<u16>,

    /// Compaction window in days: a thirtieth of the retention is right [default: 3].
    #[arg(long, value_name = "N")]
    pub window_days: Option<u16>,

    /// Days until a record is gone; 0 keeps it for ever [default: 90].
    #[arg(long, value_name = "N")]
    pub retention_days: Option<u16>,

    /// A JSON list with one object a store.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let (task, json) = match args.action {
        Action::Init(args) => (Task::Init(wishes(&args)?), args.json),
        Action::Migrate(args) => (Task::Migrate, args.json),
        Action::Status(args) => (Task::Status, args.json),
        Action::Check(args) => return Box::pin(care::check(args, context)).await,
        Action::Repair(args) => return care::repair(args, context).await,
        Action::SetAside(args) => return care::set_aside(args, context).await,
        Action::Copy(args) => return copy::run(args, context).await,
        Action::Adopt(args) => return Box::pin(adopt::run(args, context)).await,
    };
    let reports = database::run(&context.settings, &task).await;
    let current = reports.iter().all(SchemaReport::is_current);
    output::print(
        Form::of(json),
        &if json {
            format!("{:#}\n", json!(reports))
        } else {
            text(&reports)?
        },
    )?;
    Ok(if current {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn wishes(args: &InitArgs) -> Result<LayoutWishes, UsageError> {
    let factor = args
        .replication_factor
        .map(|copies| copies.to_string().parse())
        .transpose();
    let factor = factor.map_err(|_| {
        UsageError("--replication-factor is the number of copies of each row, 1 to 100".to_owned())
    })?;
    let wishes = LayoutWishes {
        replication: args.replication.clone().or(factor),
        bucket_minutes: args.bucket_minutes,
        shards: args.shards,
        window_days: args.window_days,
        retention_days: args.retention_days,
    };
    wishes.check().map_err(|mistake| {
        UsageError(format!(
            "--{}: {}",
            mistake.key.replace('_', "-"),
            mistake.message
        ))
    })?;
    Ok(wishes)
}

fn text(reports: &[SchemaReport]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for report in reports {
        write!(
            text,
            "{:8} {} at {}: ",
            report.store,
            report.backend,
            Shown::line(&report.address)
        )?;
        if let (Some(version), Some(needed)) = (report.version, report.needed) {
            write!(text, "version {version} of {needed}, ")?;
        }
        write!(text, "{}", report.state.name())?;
        if let Some(server) = &report.server {
            write!(text, " ({})", Shown::line(server))?;
        }
        text.push('\n');
        if !report.settings.is_empty() {
            let settings: Vec<String> = report
                .settings
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            writeln!(text, "         {}", Shown::line(&settings.join(", ")))?;
        }
        for step in &report.migrations {
            writeln!(
                text,
                "         {} {} on {} by {}",
                step.version,
                Shown::line(&step.name),
                step.applied_at,
                Shown::line(&step.applied_by)
            )?;
        }
        for note in &report.notes {
            writeln!(text, "         note: {}", Shown::line(note))?;
        }
        if let Some(problem) = &report.problem {
            writeln!(text, "         FAIL: {}", Shown::line(problem))?;
        }
    }
    Ok(text)
}
