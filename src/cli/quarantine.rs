//! `atalaya quarantine`: records that a store refused for good, and sending them once more.
//!
//! Exit code: 0 done; 1 some stay in the quarantine, or the store is away; 2 an unknown id.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::service::quarantine;
use crate::shown::Shown;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;
use atalaya_ingest::spool::quarantine::Kept;

use super::{Context, UsageError, output};

/// Arguments of `atalaya quarantine`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A record that a store can never take (too large, a value that it refuses) is set aside with the
reason, and the rest is stored. It stays here until it is sent again and stored.

Examples:
  atalaya quarantine list
  atalaya quarantine show 5d41402abc4b2a76b9719d911017c592-78
  atalaya quarantine retry --all
  atalaya quarantine list --json | jq -r '.[].reason' | sort | uniq -c")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What is set aside, when and why; oldest first.
    List {
        /// One JSON array.
        #[arg(long)]
        json: bool,
    },
    /// The records of one, with all their fields.
    Show {
        #[arg(value_name = "ID")]
        id: String,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Send to the store again; what is stored leaves the quarantine. Twice is once.
    Retry {
        #[arg(value_name = "ID", required_unless_present = "all")]
        ids: Vec<String>,
        /// Everything that is set aside.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { json } => list(context, json).await,
        Command::Show { id, json } => show(context, id, json).await,
        Command::Retry { ids, all } => retry(context, ids, all).await,
    }
}

async fn kept(context: &Context) -> anyhow::Result<Vec<Kept>> {
    let settings = context.settings.clone();
    Ok(tokio::task::spawn_blocking(move || quarantine::list(&settings)).await??)
}

async fn list(context: &Context, json: bool) -> anyhow::Result<ExitCode> {
    let kept = kept(context).await?;
    if json {
        let all: Vec<_> = kept.iter().map(|one| to_json(one, Fields::Few)).collect();
        output::print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
    } else if kept.is_empty() {
        output::note("nothing is set aside");
    } else {
        output::print(&kept.iter().map(line).collect::<String>())?;
        output::note(
            "`atalaya quarantine show ID` has the record, `retry ID` or `retry --all` sends it again",
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(context: &Context, id: String, json: bool) -> anyhow::Result<ExitCode> {
    let settings = context.settings.clone();
    let found = tokio::task::spawn_blocking({
        let id = id.clone();
        move || quarantine::open(&settings, &id)
    })
    .await?;
    let kept = found.map_err(|error| unknown(&id, &error))?;
    if json {
        output::print(&format!(
            "{}\n",
            serde_json::to_string_pretty(&to_json(&kept, Fields::All))?
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = line(&kept);
    for frame in kept.frames.iter().flatten() {
        for entry in &frame.entries {
            let _ = writeln!(
                text,
                "\n{} {} byte {}",
                entry.timestamp.to_rfc3339(),
                entry.level.name(),
                entry.position
            );
            let request = entry.request_id.as_ref().map(RequestId::as_str);
            let fields = [
                ("logger", entry.logger.as_deref()),
                ("request_id", request),
                ("user_id", entry.user_id.as_deref()),
                ("session_id", entry.session_id.as_deref()),
            ];
            let fields = fields
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)));
            for (name, value) in fields.chain(
                entry
                    .metadata
                    .iter()
                    .map(|(name, value)| (&**name, &**value)),
            ) {
                let _ = writeln!(text, "  {}: {}", Shown::line(name), Shown::line(value));
            }
            let _ = writeln!(text, "  message: {}", Shown::line(&entry.message));
            if let Some(traceback) = &entry.traceback {
                let _ = writeln!(text, "  traceback: {}", Shown::line(traceback));
            }
        }
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn retry(context: &Context, ids: Vec<String>, all: bool) -> anyhow::Result<ExitCode> {
    let ids = if all {
        kept(context)
            .await?
            .into_iter()
            .map(|kept| kept.id)
            .collect()
    } else {
        let settings = context.settings.clone();
        tokio::task::spawn_blocking(move || -> anyhow::Result<Vec<String>> {
            // All of them, before the first is sent.
            for id in &ids {
                quarantine::open(&settings, id).map_err(|error| unknown(id, &error))?;
            }
            Ok(ids)
        })
        .await??
    };
    if ids.is_empty() {
        output::note("nothing is set aside");
        return Ok(ExitCode::SUCCESS);
    }
    let retried = quarantine::retry(&context.settings, &ids).await?;
    let (mut text, mut stored, mut stay) = (String::new(), 0, 0);
    for one in &retried {
        match &one.outcome {
            Ok(records) => stored += records,
            Err(reason) => {
                stay += 1;
                let _ = writeln!(
                    text,
                    "{}: stays: {}",
                    Shown::line(&one.id),
                    Shown::line(reason)
                );
            }
        }
    }
    let _ = writeln!(
        text,
        "{stored} records stored, {stay} stay in the quarantine"
    );
    output::print(&text)?;
    Ok(if stay > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn unknown(id: &str, error: &std::io::Error) -> UsageError {
    UsageError(format!(
        "{} is not in the quarantine ({error}); `atalaya quarantine list` has the ids",
        Shown::line(id)
    ))
}

/// `<id>  2026-11-22T…Z  app/shop  web1  1 record: <reason>`.
fn line(kept: &Kept) -> String {
    let at = kept
        .at
        .map_or_else(|| "?".to_owned(), Timestamp::to_rfc3339);
    let what = match &kept.frames {
        Ok(frames) => {
            let records: usize = frames.iter().map(|frame| frame.entries.len()).sum();
            let of = frames.first().map_or_else(String::new, |frame| {
                format!(
                    "{}  {}  ",
                    Shown::line(&frame.origin.source),
                    Shown::line(&frame.origin.host)
                )
            });
            format!(
                "{of}{records} record{}",
                if records == 1 { "" } else { "s" }
            )
        }
        Err(reason) => reason.clone(),
    };
    format!(
        "{}  {at}  {what}: {}\n",
        Shown::line(&kept.id),
        Shown::line(&kept.reason)
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fields {
    Few,
    All,
}

fn to_json(kept: &Kept, fields: Fields) -> serde_json::Value {
    let frames = kept.frames.as_deref().unwrap_or_default();
    let mut value = json!({
        "id": kept.id,
        "set_aside_at": kept.at.map(Timestamp::to_rfc3339),
        "reason": kept.reason,
        "bytes": kept.bytes,
        "records": frames.iter().map(|frame| frame.entries.len()).sum::<usize>(),
        "origin": frames.first().map(|frame| &*frame.origin),
        "problem": kept.frames.as_ref().err(),
    });
    if fields == Fields::All {
        value["entries"] = frames
            .iter()
            .flat_map(|frame| &frame.entries)
            .map(|entry| json!(entry))
            .collect();
    }
    value
}
