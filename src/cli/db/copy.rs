//! `atalaya db copy`: what one store holds, into another one.

use super::super::output::Form;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use indicatif::ProgressBar;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::config::places::{self, LogsPlace, MetricsPlace};
use crate::service::copy::logs::LogsCopied;
use crate::service::copy::metrics::TableCopied;
use crate::service::copy::{self, Progress, Sum};
use crate::service::stores;
use crate::shown::Shown;
use atalaya_store::metrics::MetricsStore;

use super::super::{Context, UsageError, output, progress};
use crate::signals;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Places:
  embedded             the SQLite files of the data directory
  configured           the stores of [stores]
  sqlite:FOLDER        logs.db and metrics.db of another folder
  cassandra://H/KEYS   a keyspace (logs only); the rest as in [stores.cassandra]
  mysql://U@H/DB       a database (metrics only); the rest as in [stores.mysql]

The source is only read. Running it again goes on where it was ended, and changes nothing that is
copied already; at the end both sides are read again and compared. Stop the ingest meanwhile, or run
the copy again after it moved: what arrives at the source while it runs may not be copied.

Exit code: 0 both sides are equal, 1 something is missing or failed, 2 wrong usage.

Examples:
  atalaya db copy --from embedded --to configured
  atalaya db copy --from embedded --to cassandra://10.0.0.1/logging
  atalaya db copy --from configured --to sqlite:/srv/archive --logs
  atalaya db copy --from mysql://atalaya@db1/atalaya --to embedded")]
pub struct Args {
    /// Where to read.
    #[arg(long, value_name = "PLACE")]
    pub from: Place,

    /// Where to write.
    #[arg(long, value_name = "PLACE")]
    pub to: Place,

    /// Only the logs.
    #[arg(long, conflicts_with = "metrics")]
    pub logs: bool,

    /// Only the metrics.
    #[arg(long)]
    pub metrics: bool,

    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// One side of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Embedded,
    Configured,
    Sqlite(PathBuf),
    Cassandra(String),
    MySql(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `cassandra:cassandra://…` says it twice and means the same.
        let address = |scheme: &str| {
            let rest = text.strip_prefix(scheme)?.strip_prefix(':')?;
            Some(if rest.starts_with(scheme) {
                rest.to_owned()
            } else {
                text.to_owned()
            })
        };
        if let Some(address) = address("cassandra") {
            return Ok(Self::Cassandra(address));
        }
        if let Some(address) = address("mysql") {
            return Ok(Self::MySql(address));
        }
        match text {
            "embedded" => Ok(Self::Embedded),
            "configured" => Ok(Self::Configured),
            _ => match text.strip_prefix("sqlite:") {
                Some(path) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
                _ => Err("a place is `embedded`, `configured`, `sqlite:FOLDER`, `cassandra://HOST/KEYSPACE` or `mysql://USER@HOST/DATABASE`".to_owned()),
            },
        }
    }
}

impl Place {
    const fn has_logs(&self) -> bool {
        !matches!(self, Self::MySql(_))
    }

    const fn has_metrics(&self) -> bool {
        !matches!(self, Self::Cassandra(_))
    }

    /// Where the logs of this side are; the embedded ones with their file. Tables of others, which
    /// a ring may show beside ours, are no part of it: `db adopt` takes these.
    fn logs(&self, context: &Context) -> Result<(LogsPlace, PathBuf), UsageError> {
        let settings = &context.settings;
        let embedded = settings.logs_database();
        let (mut place, file) = match self {
            Self::Embedded | Self::MySql(_) => (LogsPlace::Embedded, embedded),
            Self::Configured => (settings.logs_place.clone(), embedded),
            Self::Sqlite(folder) => (LogsPlace::Embedded, folder.join("logs.db")),
            Self::Cassandra(url) => {
                let place =
                    places::cassandra("the place", url, &settings.stores.cassandra, &variable);
                (
                    LogsPlace::Cassandra(place.map_err(|mistake| in_words(&mistake))?),
                    embedded,
                )
            }
        };
        if let LogsPlace::Cassandra(place) = &mut place {
            place.foreign.clear();
        }
        Ok((place, file))
    }

    fn metrics(&self, context: &Context) -> Result<(MetricsPlace, PathBuf), UsageError> {
        let settings = &context.settings;
        let embedded = settings.metrics_database();
        Ok(match self {
            Self::Embedded | Self::Cassandra(_) => (MetricsPlace::Embedded, embedded),
            Self::Configured => (settings.metrics_place.clone(), embedded),
            Self::Sqlite(folder) => (MetricsPlace::Embedded, folder.join("metrics.db")),
            Self::MySql(url) => {
                let place = places::mysql("the place", url, &settings.stores.mysql, &variable);
                (
                    MetricsPlace::MySql(place.map_err(|mistake| in_words(&mistake))?),
                    embedded,
                )
            }
        })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn in_words(mistake: &places::Mistake) -> UsageError {
    UsageError(format!("{}: {}", mistake.key, mistake.message))
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let wanted = Wanted::of(&args)?;
    let cancel = signals::cancelled_by_signals();
    let mut done = Done::default();
    if wanted.logs {
        done.logs = copy_logs(&args, context, &cancel).await?;
    }
    if wanted.metrics {
        done.metrics = copy_metrics(&args, context, &cancel).await?;
    }
    let same = [
        ("logs", wanted.logs && done.logs.is_none()),
        ("metrics", wanted.metrics && done.metrics.is_none()),
    ];
    let same: Vec<&str> = same
        .into_iter()
        .filter(|(_, same)| *same)
        .map(|(layer, _)| layer)
        .collect();
    if done.logs.is_none() && done.metrics.is_none() {
        return Err(UsageError(format!(
            "both places are the same store of {}; name another one with --to",
            same.join(" and ")
        ))
        .into());
    }
    for layer in same {
        output::note(&format!(
            "the {layer} of both places are the same store: nothing to copy"
        ));
    }
    output::print(
        Form::of(args.json),
        &if args.json {
            format!("{}\n", done.json())
        } else {
            done.text()?
        },
    )?;
    Ok(if done.is_equal() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[derive(Clone, Copy)]
struct Wanted {
    logs: bool,
    metrics: bool,
}

impl Wanted {
    /// What was named, else what both sides have.
    fn of(args: &Args) -> Result<Self, UsageError> {
        let can_logs = args.from.has_logs() && args.to.has_logs();
        let can_metrics = args.from.has_metrics() && args.to.has_metrics();
        if (args.logs && !can_logs) || (args.metrics && !can_metrics) || (!can_logs && !can_metrics)
        {
            return Err(UsageError(
                "these two places do not hold the same: Cassandra keeps logs, MySQL keeps metrics; name `embedded`, `configured` or `sqlite:FOLDER` on the other side".to_owned(),
            ));
        }
        Ok(match (args.logs, args.metrics) {
            (false, false) => Self {
                logs: can_logs,
                metrics: can_metrics,
            },
            (logs, metrics) => Self { logs, metrics },
        })
    }
}

/// `None` when both sides are the same store.
async fn copy_logs(
    args: &Args,
    context: &Context,
    cancel: &CancellationToken,
) -> anyhow::Result<Option<LogsCopied>> {
    let (from, from_file) = args.from.logs(context)?;
    let (to, to_file) = args.to.logs(context)?;
    check_there(&from, &from_file, |place| {
        matches!(place, LogsPlace::Embedded)
    })?;
    let from = stores::open_logs_at(&from, &from_file).await?;
    let to = stores::open_logs_at(&to, &to_file).await?;
    if (from.backend(), from.address()) == (to.backend(), to.address()) {
        return Ok(None);
    }
    let folder = context.settings.data_dir.join("copies");
    let bar = progress::rows("logs");
    let copied =
        copy::logs::copy(from, to, &folder, cancel, &|progress| show(&bar, progress)).await;
    bar.finish_and_clear();
    Ok(Some(copied?))
}

async fn copy_metrics(
    args: &Args,
    context: &Context,
    cancel: &CancellationToken,
) -> anyhow::Result<Option<Vec<TableCopied>>> {
    let (from, from_file) = args.from.metrics(context)?;
    let (to, to_file) = args.to.metrics(context)?;
    check_there(&from, &from_file, |place| {
        matches!(place, MetricsPlace::Embedded)
    })?;
    let from: Arc<dyn MetricsStore> = stores::open_metrics_at(&from, &from_file).await?;
    let to: Arc<dyn MetricsStore> = stores::open_metrics_at(&to, &to_file).await?;
    if (from.backend(), from.address()) == (to.backend(), to.address()) {
        return Ok(None);
    }
    let bar = progress::rows("metrics");
    let copied = copy::metrics::copy(&*from, &*to, cancel, &|progress| show(&bar, progress)).await;
    bar.finish_and_clear();
    Ok(Some(copied?))
}

/// Opening an embedded store makes it; as a source it must be there.
fn check_there<P>(
    place: &P,
    file: &Path,
    is_embedded: impl Fn(&P) -> bool,
) -> Result<(), UsageError> {
    if is_embedded(place) && !file.exists() {
        return Err(UsageError(format!(
            "there is nothing to copy from: {} does not exist; name its folder with `sqlite:FOLDER`",
            file.display()
        )));
    }
    Ok(())
}

/// Draws on standard error, and only on a terminal.
fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_message(progress.stage.name());
    bar.set_length(progress.total.max(progress.done));
    bar.set_position(progress.done);
}

#[derive(Default)]
struct Done {
    logs: Option<LogsCopied>,
    metrics: Option<Vec<TableCopied>>,
}

impl Done {
    fn tables(&self) -> impl Iterator<Item = &TableCopied> {
        self.metrics.iter().flatten()
    }

    fn is_equal(&self) -> bool {
        self.logs
            .as_ref()
            .is_none_or(|logs| logs.compared.is_equal())
            && self.tables().all(TableCopied::is_equal)
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        if let Some(logs) = &self.logs {
            let compared = &logs.compared;
            writeln!(
                text,
                "logs     {}: {} of {} records in {} chunks from {} origins, sum {}{}",
                verdict(compared.is_equal()),
                compared.records_to.count,
                compared.records_from.count,
                compared.chunks_to,
                logs.origins,
                sums(compared.records_from, compared.records_to),
                if logs.resumed {
                    " (went on with an earlier run)"
                } else {
                    ""
                },
            )?;
            if compared.expired > 0 {
                writeln!(
                    text,
                    "         {} records are older than the destination keeps any, and were left out",
                    compared.expired
                )?;
            }
            if compared.missing > 0 {
                write!(
                    text,
                    "         {} chunks are missing, for example",
                    compared.missing
                )?;
                for key in &compared.missing_examples {
                    write!(text, " {} of {}", key.id, key.first_at.to_rfc3339())?;
                }
                text.push_str("; the next run copies everything again\n");
            }
            if compared.requests_missing > 0 {
                writeln!(
                    text,
                    "         {} of {} request ids looked up are missing in the index",
                    compared.requests_missing, compared.requests
                )?;
            }
            if compared.origins_behind > 0 {
                writeln!(
                    text,
                    "         {} origins are behind",
                    compared.origins_behind
                )?;
            }
        }
        for table in self.tables() {
            writeln!(
                text,
                "metrics  {}: {:15} {} of {} rows, sum {} ({} new, {} changed)",
                verdict(table.is_equal()),
                table.name,
                table.to.count,
                table.from.count,
                sums(table.from, table.to),
                table.written.inserted,
                table.written.updated,
            )?;
            if !table.is_equal() {
                writeln!(
                    text,
                    "         missing: {}",
                    Shown::line(&table.missing_examples.join(", "))
                )?;
            }
        }
        Ok(text)
    }

    fn json(&self) -> serde_json::Value {
        let sum = |sum: Sum| json!({ "count": sum.count, "sum": format!("{:032x}", sum.sum) });
        json!({
            "equal": self.is_equal(),
            "logs": self.logs.as_ref().map(|logs| json!({
                "resumed": logs.resumed,
                "written_chunks": logs.chunks,
                "written_records": logs.records,
                "origins": logs.origins,
                "origins_behind": logs.compared.origins_behind,
                "chunks_from": logs.compared.chunks_from,
                "chunks_to": logs.compared.chunks_to,
                "records_from": sum(logs.compared.records_from),
                "records_to": sum(logs.compared.records_to),
                "expired_records": logs.compared.expired,
                "missing_chunks": logs.compared.missing,
                "requests_looked_up": logs.compared.requests,
                "requests_missing": logs.compared.requests_missing,
            })),
            "metrics": self.tables().map(|table| json!({
                "table": table.name,
                "from": sum(table.from),
                "to": sum(table.to),
                "written": table.written,
                "missing": table.missing_examples,
            })).collect::<Vec<_>>(),
        })
    }
}

const fn verdict(equal: bool) -> &'static str {
    if equal { "equal" } else { "DIFFERENT" }
}

fn sums(from: Sum, to: Sum) -> String {
    let short = |sum: Sum| format!("{:016x}", sum.sum >> 64);
    if from == to {
        short(from)
    } else {
        format!("{} instead of {}", short(to), short(from))
    }
}
