//! `atalaya ingest`: files (or standard input) into the log store, once or following.
//!
//! Running it again takes only what is new: the store knows how far each file is stored. Exit
//! code: 0 everything was stored; 1 a file could not be read or its records were refused; 2 a
//! missing file or an unknown name; 75 another process ingests with the same data directory.

use super::output::Form;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar};
use serde_json::json;
use tokio::sync::watch::Receiver;

use crate::host::{Host, Opening};
use crate::service::ingest::Plan;
use crate::service::{self, advice};
use crate::shown::Shown;
use crate::signals;
use crate::workers::{self, ingest::Contended};
use atalaya_domain::record::Layer;
use atalaya_ingest::spool::{self, SpoolState, SpoolStatus};
use atalaya_ingest::{
    FileAccount, Ingest, IngestConfig, IngestInput, IngestStatus, Mode, StreamInput,
};

use atalaya_store::error::StoreError;

use super::{Context, UsageError, output, progress};

mod explain;

/// Arguments of `atalaya ingest`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is stored once: a second run takes only what is new, also after rotation. Packed files
(.gz, .bz2, .xz, .zst) are read unpacked.

Exit code: 0 all stored, 1 something was not, 2 wrong usage, 75 another process ingests.

Examples:
  atalaya ingest /var/log/nginx/access.log
  atalaya ingest --follow '/srv/app/log/*.log' --source app/shop
  zcat old.log.gz | atalaya ingest - --format syslog --key old-syslog
  atalaya ingest --explain odd.log          # stores nothing: says what reads which lines
  atalaya ingest access.log --json | jq .totals")]
pub struct Args {
    /// Files or globs; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<OsString>,

    /// Format of the lines [default: found from the first lines].
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,

    /// What the records are called: `app/shop`, `nginx/access` … [default: the format's own].
    #[arg(long)]
    pub source: Option<String>,

    /// `app` or `infra` [default: the format's own].
    #[arg(long)]
    pub layer: Option<Layer>,

    /// Zone of stamps that name none: UTC, local, Europe/Madrid, +02:00 [default: as configured, else local].
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub timezone: Option<String>,

    /// Stay and take new lines as they come, through rotations, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,

    /// Name of what comes on standard input: with the same key, what is stored is skipped
    /// [default: new each time].
    #[arg(long)]
    pub key: Option<String>,

    /// Store nothing; say which formats were considered, what each reads strictly, which won, and
    /// the first lines that fit nothing.
    #[arg(long, conflicts_with_all = ["follow", "key", "source", "layer"])]
    pub explain: bool,

    /// The accounts as one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let inputs = inputs(&args, context)?;
    if args.explain {
        return explain::run(inputs, args.json).await;
    }
    let takes_stdin = args.files.iter().any(|file| file == "-");
    if takes_stdin && args.files.len() > 1 {
        return Err(UsageError(
            "`-` (standard input) goes alone; ingest the files in a run of their own".into(),
        )
        .into());
    }
    if takes_stdin && args.follow {
        return Err(UsageError(
            "standard input is read to its end anyway; leave out --follow".into(),
        )
        .into());
    }
    let opening = if args.follow {
        Opening::Waiting
    } else {
        Opening::Now
    };
    let waiting = |error: &StoreError| {
        let why = Shown::line(&service::describe(error)).to_string();
        output::note(&format!("waiting for the store: {why}"));
    };
    let cancel = signals::cancelled_by_signals();
    if args.follow {
        let state_dir = context.settings.ingest_state_dir();
        let name = service::health::host_name();
        workers::ingest::ask(IngestConfig::new(
            inputs.clone(),
            state_dir,
            name,
            Mode::Follow,
        ))
        .await?;
    }
    let opened = Host::open(&context.settings, "ingest", opening, cancel, waiting).await?;
    let Some(host) = opened else {
        return Ok(ExitCode::SUCCESS);
    };
    let aside_before = set_aside(context).await?;
    let started = Instant::now();
    let read = if args.follow {
        follow(&host, inputs, context).await
    } else {
        read_once(&args, inputs, context, &host).await
    };
    let interrupted = host.cancel().is_cancelled();
    host.stop().await;
    let status = read?;
    let finished = status.finished || (args.follow && interrupted);
    let text = if args.json {
        format!(
            "{}\n",
            serde_json::to_string(&to_json(&status, started.elapsed(), finished))?
        )
    } else {
        summary(&status, started.elapsed(), finished)
    };
    output::print(Form::of(args.json), &text)?;
    let aside = set_aside(context).await?.saturating_sub(aside_before);
    if aside > 0 {
        output::note(&format!(
            "{aside} records were refused and set aside; `atalaya quarantine list` has the reasons"
        ));
    }
    let damaged = status.spool.as_ref().is_some_and(|spool| spool.damaged > 0);
    let troubled = aside > 0 || damaged || status.files.iter().any(|file| file.state.is_trouble());
    let refused = status.unread.iter().any(|unread| unread.refused);
    let untouched = status.files.is_empty() && !takes_stdin && !status.unread.is_empty();
    let left_out = !args.follow && (refused || untouched);
    Ok(if troubled || left_out || !finished {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Reads what is there, then ends.
async fn read_once(
    args: &Args,
    inputs: Vec<IngestInput>,
    context: &Context,
    host: &Host,
) -> anyhow::Result<IngestStatus> {
    let settings = &context.settings;
    let logs = host.stores.logs.clone();
    let name = service::health::host_name();
    let state_dir = settings.ingest_state_dir();
    let cancel = host.cancel().clone();
    let takes_stdin = args.files.iter().any(|file| file == "-");
    let total = (!takes_stdin).then(|| bytes_of(&inputs));
    // Held until the stream is read.
    let mut _of_the_stream = None;
    let mut handle = if takes_stdin {
        let folder = service::ingest::stream_folder(&state_dir, args.key.as_deref())?;
        let config = IngestConfig::new(Vec::new(), folder.path(), name, Mode::Once);
        _of_the_stream = Some(folder);
        let stream = StreamInput {
            name: "standard input".to_owned(),
            key: args
                .key
                .clone()
                .unwrap_or_else(|| format!("{:032x}", rand::random::<u128>())),
            reader: Box::new(std::io::stdin()),
            input: inputs
                .into_iter()
                .next()
                .unwrap_or_else(|| IngestInput::detected("-")),
        };
        let sink = service::ingest::stream_sink(settings, logs).await?;
        Ingest::start_stream(config, stream, sink, cancel)?
    } else {
        let sink = service::ingest::sink(settings, logs).await?;
        let config = IngestConfig::new(inputs, state_dir, name, Mode::Once);
        Ingest::start(config, sink, cancel)?
    };
    let status = handle.status();
    watch(status, total, async { Ok(handle.finished().await?) }).await
}

/// Follows until a signal ends it; the supervisor of the host starts it again when it fails.
async fn follow(
    host: &Host,
    inputs: Vec<IngestInput>,
    context: &Context,
) -> anyhow::Result<IngestStatus> {
    let state_dir = context.settings.ingest_state_dir();
    let name = service::health::host_name();
    let plan = Plan {
        config: IngestConfig {
            old_dirs: context.settings.ingest.old_dirs.clone(),
            ..IngestConfig::new(inputs, state_dir, name, Mode::Follow)
        },
        passed_over: Vec::new(),
    };
    let status = host.follow(plan, Contended::Refused).await?;
    let last = status.clone();
    let ended = async {
        host.cancel().cancelled().await;
        host.stop_workers().await;
        Ok(last.borrow().clone())
    };
    watch(status, None, ended).await
}

/// How many records lie in the quarantine.
async fn set_aside(context: &Context) -> anyhow::Result<usize> {
    let folder = service::quarantine::folder(&context.settings.data_dir);
    Ok(
        tokio::task::spawn_blocking(move || spool::quarantine::ids(&folder))
            .await??
            .len(),
    )
}

fn inputs(args: &Args, context: &Context) -> anyhow::Result<Vec<IngestInput>> {
    let usage = |error: service::ingest::InputError| UsageError(error.to_string());
    let format = args
        .format
        .as_deref()
        .map(service::ingest::find_format)
        .transpose()
        .map_err(usage)?;
    let zone = args
        .timezone
        .as_deref()
        .or(context.settings.ingest.timezone.as_deref())
        .unwrap_or("local");
    let zone = service::ingest::parse_zone(zone).map_err(usage)?;
    let mut inputs = Vec::with_capacity(args.files.len());
    for file in &args.files {
        let name = file.to_str();
        let is_glob = name.is_some_and(|name| name.contains(['*', '?', '[', '{']));
        if file != "-" && !is_glob {
            check_readable(Path::new(file), args.follow)?;
        }
        inputs.push(IngestInput {
            pattern: file.to_string_lossy().into_owned(),
            file: name.is_none().then(|| file.into()),
            format,
            source: args.source.as_deref().map(Into::into),
            layer: args.layer,
            zone,
        });
    }
    Ok(inputs)
}

/// A file that is named must be there, unless it is waited for.
fn check_readable(path: &Path, follow: bool) -> Result<(), UsageError> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(UsageError(format!(
            "{shown} is a directory; name its files, or a glob such as '{}'",
            path.join("*.log").display()
        ))),
        Ok(metadata) if !metadata.is_file() => Err(UsageError(format!(
            "{shown} is not a regular file; pipe it in: `atalaya ingest - < {shown}`"
        ))),
        Ok(_) => std::fs::File::open(path)
            .map(drop)
            .map_err(|error| unreadable(path, &error)),
        Err(error) if follow && error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> UsageError {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => {
            "; run as a user or group that may read it (`ls -l` names them)"
        }
        _ => "",
    };
    UsageError(format!("cannot read {}: {error}{remedy}", path.display()))
}

/// Sizes of the named files, for the progress bar; a packed file counts with its packed size.
fn bytes_of(inputs: &[IngestInput]) -> u64 {
    inputs
        .iter()
        .filter_map(|input| std::fs::metadata(input.path()).ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// Shows the progress on a terminal until the ingest has ended; its last status.
async fn watch(
    mut status: Receiver<IngestStatus>,
    total: Option<u64>,
    ended: impl Future<Output = anyhow::Result<IngestStatus>>,
) -> anyhow::Result<IngestStatus> {
    let bar = progress::bytes(total);
    let told = AtomicUsize::new(0);
    let mut told_of_the_spool = 0;
    let mut told_of_waiting = None;
    let showing = async {
        while status.changed().await.is_ok() {
            let now = status.borrow_and_update().clone();
            tell_new(&now, &told, &bar);
            let of_the_spool = now.spool.as_ref().map_or(&[][..], |spool| &spool.notices);
            for notice in of_the_spool.iter().skip(told_of_the_spool) {
                bar.suspend(|| output::note(&Shown::line(notice).to_string()));
            }
            told_of_the_spool = of_the_spool.len().max(told_of_the_spool);
            bar.set_position(now.totals.bytes_read);
            let mut message = format!("{} records, {:.0}/s", now.totals.written, now.rate);
            let paused = now.paused.as_ref().map(advice::say);
            if let Some(reason) = &paused {
                let _ = write!(message, ", waiting: {}", Shown::line(reason));
            }
            // Nobody sees the bar of a service: its journal gets a line for each change.
            let waiting = paused
                .map(|reason| format!("waiting: {reason}"))
                .or_else(|| now.spool.as_ref().and_then(spooling));
            if bar.is_hidden() && waiting != told_of_waiting {
                output::note(waiting.as_deref().unwrap_or("goes on"));
            }
            told_of_waiting = waiting;
            let sentence = now.spool.as_ref().map(|spool| spool.sentence(advice::say));
            if let Some(sentence) = sentence.flatten() {
                let _ = write!(message, ", {}", Shown::line(&sentence));
            }
            bar.set_message(message);
        }
        // The sender is gone; the end is not far.
        std::future::pending::<Infallible>().await
    };
    let last = tokio::select! {
        last = ended => last?,
        never = showing => match never {},
    };
    tell_new(&last, &told, &bar); // of the last moment
    bar.finish_and_clear();
    Ok(last)
}

/// Why records gather in the spool; nothing that changes while they do.
fn spooling(spool: &SpoolStatus) -> Option<String> {
    match &spool.state {
        SpoolState::Away { reason, .. } => Some(format!(
            "records wait in the spool: {}",
            advice::say(reason)
        )),
        SpoolState::Draining | SpoolState::Passing => None,
    }
}

/// Says the notices that were not told yet.
fn tell_new(status: &IngestStatus, told: &AtomicUsize, bar: &ProgressBar) {
    for notice in status.notices.iter().skip(told.load(Ordering::Relaxed)) {
        bar.suspend(|| output::note(&Shown::line(notice).to_string()));
    }
    told.fetch_max(status.notices.len(), Ordering::Relaxed);
}

fn summary(status: &IngestStatus, took: Duration, finished: bool) -> String {
    let mut text = String::new();
    for file in &status.files {
        let _ = writeln!(text, "{}", file_line(file));
    }
    for unread in &status.unread {
        let path = unread.path.to_string_lossy();
        let _ = writeln!(
            text,
            "{}: not read: {}",
            Shown::line(&path),
            Shown::line(&unread.reason)
        );
    }
    let totals = &status.totals;
    let seconds = took.as_secs_f64().max(0.001);
    let _ = writeln!(
        text,
        "{}: {} read in {seconds:.1} s, {} lines = {} records + {} joined + {} skipped{}; {} stored, {} did not fit their format, {} cut; {:.0} records/s",
        if finished { "done" } else { "stopped" },
        HumanBytes(totals.bytes_read),
        totals.lines,
        totals.records,
        totals.joined,
        totals.skipped,
        if totals.pending() > 0 {
            format!(" + {} pending", totals.pending())
        } else {
            String::new()
        },
        totals.written,
        totals.mismatched,
        totals.cut,
        totals.written as f64 / seconds,
    );
    if let Some(spool) = &status.spool {
        text.push_str(&spool_lines(spool));
    }
    if let Some(reason) = &status.paused {
        let _ = writeln!(
            text,
            "not everything is stored: {}; run it again and it goes on there",
            Shown::line(&advice::say(reason))
        );
    }
    text
}

/// The accounts of the spool, and what has to be done about them.
fn spool_lines(spool: &SpoolStatus) -> String {
    let mut text = format!("spool: {} written", spool.spooled);
    if spool.recovered > 0 {
        let _ = write!(text, " + {} of an earlier run", spool.recovered);
    }
    let _ = write!(text, " = {} acknowledged by the store", spool.acked);
    for (records, what) in [
        (spool.waiting_records, "waiting"),
        (spool.quarantined, "refused and set aside"),
        (spool.damaged, "damaged on disk"),
    ] {
        if records > 0 {
            let _ = write!(text, " + {records} {what}");
        }
    }
    text.push('\n');
    if spool.waiting_records > 0 {
        let why = match &spool.state {
            SpoolState::Away { reason, .. } => format!(": {}", Shown::line(&advice::say(reason))),
            SpoolState::Passing | SpoolState::Draining => String::new(),
        };
        let _ = writeln!(
            text,
            "{} records wait in the spool{why}; they are safe, and the next `atalaya ingest` or console sends them",
            spool.waiting_records
        );
    }
    text
}

fn file_line(file: &FileAccount) -> String {
    let path: PathBuf = file.path.clone();
    let path = path.to_string_lossy();
    let counts = &file.counts;
    let mut line = format!(
        "{}: {} ({}), {} records stored, byte {} of {}",
        Shown::line(&path),
        file.state.name(),
        file.format.unwrap_or("format not known yet"),
        counts.written,
        file.acknowledged,
        file.size,
    );
    if let Some(reason) = file.state.reason() {
        let _ = write!(line, ": {}", Shown::line(reason));
    }
    line
}

fn to_json(status: &IngestStatus, took: Duration, finished: bool) -> serde_json::Value {
    json!({
        "finished": finished,
        "seconds": took.as_secs_f64(),
        "totals": status.totals,
        "files": status.files,
        "unread": status.unread,
        "notices": status.notices,
        "paused": status.paused.as_ref().map(advice::say),
        "spool": status.spool,
    })
}
