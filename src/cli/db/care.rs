//! `atalaya db check | repair | set-aside`: is everything as it was written, and what to do when not.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use indicatif::ProgressBar;
use serde_json::json;

use crate::cli::output::Form;
use crate::cli::{Context, UsageError, output, progress};
use crate::service::care::{self, Replaced, Report, Which};
use crate::shown::Shown;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::damage::{Damages, Progress};

/// As it is typed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Store {
    Logs,
    Metrics,
}

impl From<Store> for Which {
    fn from(store: Store) -> Self {
        match store {
            Store::Logs => Self::Logs,
            Store::Metrics => Self::Metrics,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing. Embedded stores are read whole: SQLite's own structure, every chunk with its
checksum, every row with its second copy, and what was made from them. Of logs in Cassandra all
chunks are read with their checksums, or those of the last days (--days); of metrics in MySQL it is
looked whether all rows belong together.

Exit code: 0 everything is as it was written, 1 something is damaged or could not be read.

Examples:
  atalaya db check
  atalaya db check metrics --json | jq '.[].damages.listed'
  atalaya db check logs --days 7")]
pub struct CheckArgs {
    /// Only this one.
    pub store: Option<Store>,

    /// Of logs on a server, only those of the last days.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub days: Option<u32>,

    /// A JSON list with one object a store.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Of logs every chunk is taken whose checksum is right, of metrics every row that is sure by its
second copy; the rest is listed. The new file takes the place of the old one only when it is whole,
and the old one is kept beside it under a dated name. Refused while another process has the store
open.

Exit code: 0 everything was taken over, 1 something was lost or nothing was changed, 75 it is open
elsewhere.

Examples:
  atalaya db repair logs
  atalaya db repair metrics --json | jq .salvaged.lost")]
pub struct RepairArgs {
    /// The store to repair.
    pub store: Store,

    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file is kept under a dated name beside the new one, which is empty. What the log files still hold
is read again into a new log store. Refused while another process has the store open.

Exit code: 0 done, 1 nothing was changed, 2 it was not confirmed, 75 it is open elsewhere.

Examples:
  atalaya db set-aside metrics
  atalaya db set-aside logs --yes")]
pub struct SetAsideArgs {
    /// The store to put aside.
    pub store: Store,

    /// Do not ask.
    #[arg(long)]
    pub yes: bool,

    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

pub async fn check(args: CheckArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let range = args.days.map_or(TimeRange::ALL, |days| {
        let day = 86_400_000_000;
        let from = Timestamp::now().micros() - i64::from(days) * day;
        TimeRange::new(Timestamp::from_micros(from), Timestamp::MAX)
    });
    let mut reports = Vec::new();
    for which in Which::ALL {
        if args.store.is_none_or(|only| Which::from(only) == which) {
            let bar = progress::rows(which.name());
            let told = |progress| show(&bar, progress);
            reports.push(care::check(&context.settings, which, range, &told).await);
            bar.finish_and_clear();
        }
    }
    output::print(
        Form::of(args.json),
        &if args.json {
            format!("{:#}\n", json!(reports))
        } else {
            reports.iter().map(text).collect::<Result<String, _>>()?
        },
    )?;
    let damaged: Vec<&str> = reports
        .iter()
        .filter(|report| !report.damages.is_empty() && report.backend == "SQLite")
        .map(|report| report.store)
        .collect();
    for store in damaged {
        output::note(&format!(
            "`atalaya db repair {store}` keeps what can be read of the {store}, `atalaya db set-aside {store}` begins anew"
        ));
    }
    Ok(if reports.iter().all(Report::is_whole) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_message(progress.stage);
    bar.set_length(progress.total.max(progress.done));
    bar.set_position(progress.done);
}

fn text(report: &Report) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "{:8} {} at {}: ",
        report.store,
        report.backend,
        Shown::line(&report.address)
    );
    match (&report.problem, report.damages.count) {
        (Some(problem), _) => write!(text, "FAIL: {}", Shown::line(problem))?,
        (None, 0) => text.push_str("whole"),
        (None, count) => write!(text, "DAMAGED in {count} places")?,
    }
    let counts = [
        (report.chunks, "chunks"),
        (report.records, "records"),
        (report.rows, "rows"),
    ];
    for (count, what) in counts {
        if count > 0 {
            write!(text, ", {count} {what}")?;
        }
    }
    text.push('\n');
    for note in &report.notes {
        writeln!(text, "         note: {}", Shown::line(note))?;
    }
    list(&mut text, &report.damages)?;
    Ok(text)
}

fn list(text: &mut String, damages: &Damages) -> std::fmt::Result {
    for damage in &damages.listed {
        write!(text, "         {}", Shown::line(&damage.what))?;
        if !damage.key.is_empty() {
            write!(text, " {}", Shown::line(&damage.key))?;
        }
        if let (Some(from), Some(until)) = (damage.from, damage.until) {
            write!(text, ", {} to {}", from.to_rfc3339(), until.to_rfc3339())?;
        }
        if let Some(records) = damage.records {
            write!(text, ", {records} records")?;
        }
        writeln!(text, ": {}", Shown::line(&damage.reason))?;
    }
    let more = damages.count - damages.listed.len() as u64;
    if more > 0 {
        writeln!(text, "         and {more} more")?;
    }
    Ok(())
}

pub async fn repair(args: RepairArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let which = Which::from(args.store);
    let bar = progress::rows(which.name());
    let told = |progress| show(&bar, progress);
    let replaced = care::repair(&context.settings, which, &told).await;
    bar.finish_and_clear();
    let replaced = replaced?;
    print(&replaced, args.json)?;
    let lost = replaced.salvaged.is_some_and(|kept| !kept.lost.is_empty());
    Ok(if lost {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

pub async fn set_aside(args: SetAsideArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let which = Which::from(args.store);
    if !args.yes {
        confirm(which).await?;
    }
    let replaced = care::set_aside(&context.settings, which).await?;
    print(&replaced, args.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn confirm(store: Which) -> anyhow::Result<()> {
    let name = store.name();
    if !std::io::stdin().is_terminal() {
        return Err(UsageError(format!(
            "nobody is there to be asked; `atalaya db set-aside {name} --yes` does it"
        ))
        .into());
    }
    let answer = tokio::task::spawn_blocking(move || {
        let mut stderr = std::io::stderr().lock();
        write!(
            stderr,
            "Put the {name} aside and begin with an empty store? [y/N] "
        )?;
        stderr.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok::<String, std::io::Error>(answer)
    });
    match answer.await??.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(UsageError("nothing was changed".to_owned()).into()),
    }
}

fn print(replaced: &Replaced, json: bool) -> anyhow::Result<()> {
    let text = if json {
        format!(
            "{:#}\n",
            json!({
                "store": replaced.store,
                "file": replaced.file.to_string_lossy(),
                "aside": replaced.aside.to_string_lossy(),
                "salvaged": replaced.salvaged,
            })
        )
    } else {
        in_words(replaced)?
    };
    Ok(output::print(Form::of(json), &text)?)
}

fn in_words(replaced: &Replaced) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let file = replaced.file.to_string_lossy();
    match &replaced.salvaged {
        None => writeln!(
            text,
            "{:8} {}: new and empty",
            replaced.store,
            Shown::line(&file)
        )?,
        Some(salvaged) => {
            let kept: Vec<String> = salvaged
                .kept
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(what, count)| format!("{count} {what}"))
                .collect();
            let kept = if kept.is_empty() {
                "nothing".to_owned()
            } else {
                kept.join(", ")
            };
            writeln!(
                text,
                "{:8} {}: kept {}; lost in {} places",
                replaced.store,
                Shown::line(&file),
                Shown::line(&kept),
                salvaged.lost.count
            )?;
            for note in &salvaged.notes {
                writeln!(text, "         note: {}", Shown::line(note))?;
            }
            list(&mut text, &salvaged.lost)?;
        }
    }
    let aside = replaced.aside.to_string_lossy();
    writeln!(
        text,
        "         the old file is kept as {}",
        Shown::line(&aside)
    )?;
    Ok(text)
}
