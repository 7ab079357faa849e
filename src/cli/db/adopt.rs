//! `atalaya db adopt`: a table of others, one record a row, copied into chunks.

use super::super::output::Form;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::str::FromStr;

use indicatif::ProgressBar;
use serde_json::json;

use crate::config::places::LogsPlace;
use crate::service::adopt::{self, Adopted, Adoption, Counts, Progress};
use crate::shown::Shown;
use atalaya_domain::record::Level;
use atalaya_domain::time::Timestamp;

use super::super::{Context, UsageError, output, progress};
use crate::signals;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The table must be on the ring of `stores.logs`, into which its records go. The tables
application_logs and infrastructure_logs of the older layout are known; any other one needs an entry
in [[stores.cassandra.foreign]], as for reading it in place.

The table is only read. Running it again goes on where it was ended, and finds rows that came later;
at the end both sides are counted, and compared window by window. Rows older than the retention of
the keyspace are counted and left out. Once a table is adopted, take its entry out of the
configuration: its records are in our own tables now. While the entry stays nothing is shown twice,
but every screen goes on reading the table too.

Exit code: 0 everything is there, 1 something is missing or failed, 2 wrong usage.

Examples:
  atalaya db adopt --from old.application_logs --dry-run
  atalaya db adopt --from old.application_logs
  atalaya db adopt --from old.infrastructure_logs --json | jq .missing")]
pub struct Args {
    /// The table to copy.
    #[arg(long, value_name = "KEYSPACE.TABLE")]
    pub from: TableName,

    /// Only count what would be copied.
    #[arg(long)]
    pub dry_run: bool,

    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `keyspace.table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub keyspace: String,
    pub table: String,
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((keyspace, table)) if !keyspace.is_empty() && !table.is_empty() => Ok(Self {
                keyspace: keyspace.to_owned(),
                table: table.to_owned(),
            }),
            _ => Err("a table is named KEYSPACE.TABLE, as in `old.application_logs`".to_owned()),
        }
    }
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let LogsPlace::Cassandra(place) = &context.settings.logs_place else {
        return Err(UsageError(
            "the logs are kept in SQLite here; name the ring with `stores.logs = \"cassandra://…\"`"
                .to_owned(),
        )
        .into());
    };
    let TableName { keyspace, table } = &args.from;
    let Some(mapping) = adopt::mapping(place, keyspace, table) else {
        return Err(UsageError(format!(
            "what the columns of {keyspace}.{table} mean is not known; say it in `[[stores.cassandra.foreign]]`"
        ))
        .into());
    };
    let cancel = signals::cancelled_by_signals();
    let bar = progress::rows("");
    let adoption = Box::pin(Adoption::open(place, mapping)).await?;
    let adopted = adoption
        .run(args.dry_run, &cancel, &|progress| show(&bar, progress))
        .await;
    bar.finish_and_clear();
    let adopted = adopted?;
    let name = format!("{keyspace}.{table}");
    output::print(
        Form::of(args.json),
        &if args.json {
            format!("{}\n", json_of(&name, &adoption, &adopted, args.dry_run))
        } else {
            text(&name, &adoption, &adopted, args.dry_run)?
        },
    )?;
    let done = args.dry_run || adopted.is_complete();
    Ok(if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Draws on standard error, and only on a terminal.
fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_message(progress.stage.name());
    bar.set_length(progress.total.max(progress.done));
    bar.set_position(progress.done);
}

fn levels(counts: &Counts) -> String {
    let named = Level::ALL
        .into_iter()
        .zip(counts.0)
        .filter(|(_, count)| *count > 0);
    named
        .map(|(level, count)| format!("{level} {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn text(
    name: &str,
    adoption: &Adoption,
    adopted: &Adopted,
    dry_run: bool,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let name = Shown::line(name);
    let table = &adopted.table;
    if dry_run {
        writeln!(
            text,
            "{name}: {} rows in {} days: {}",
            table.total(),
            adopted.partitions,
            levels(table)
        )?;
    } else {
        writeln!(
            text,
            "{name}: {} of {} rows are in the store, {} copied now{}",
            table.total() - adopted.missing,
            table.total(),
            adopted.copied,
            if adopted.resumed {
                " (went on with an earlier run)"
            } else {
                ""
            },
        )?;
        writeln!(text, "  table  {}", levels(table))?;
        writeln!(text, "  store  {}", levels(&adopted.store))?;
    }
    if adopted.late > 0 {
        writeln!(
            text,
            "  {} rows had come into days that were copied before",
            adopted.late
        )?;
    }
    if adopted.missing > 0 {
        writeln!(text, "  {} rows are MISSING; run it again", adopted.missing)?;
    }
    if adopted.beyond > 0 {
        writeln!(
            text,
            "  {} records more are in the store: the table has lost or changed them",
            adopted.beyond
        )?;
    }
    if adopted.older > 0 {
        let since = adoption
            .keep_since()
            .map(Timestamp::to_rfc3339)
            .unwrap_or_default();
        writeln!(
            text,
            "  {} rows from before {since} are older than the retention: left out",
            adopted.older
        )?;
    }
    if adopted.misplaced > 0 {
        writeln!(
            text,
            "  {} rows have a time months away from their day: LEFT OUT",
            adopted.misplaced
        )?;
    }
    Ok(text)
}

fn json_of(name: &str, adoption: &Adoption, adopted: &Adopted, dry_run: bool) -> serde_json::Value {
    let counts = |counts: &Counts| {
        let levels = Level::ALL.into_iter().zip(counts.0);
        json!({
            "rows": counts.total(),
            "levels": levels.map(|(level, count)| (level.name(), count)).collect::<std::collections::BTreeMap<_, _>>(),
        })
    };
    json!({
        "from": name,
        "dry_run": dry_run,
        "complete": !dry_run && adopted.is_complete(),
        "resumed": adopted.resumed,
        "days": adopted.partitions,
        "table": counts(&adopted.table),
        "store": counts(&adopted.store),
        "copied": adopted.copied,
        "late": adopted.late,
        "missing": adopted.missing,
        "beyond": adopted.beyond,
        "older_than_retention": adopted.older,
        "retention_since": adoption.keep_since().map(Timestamp::to_rfc3339),
        "misplaced": adopted.misplaced,
    })
}
