//! Runs a command unchanged and records it as a phase.
//!
//! The command has our standard input, output and error (with `--capture`, pipes to them), our process group and our environment
//! plus its request id, and its end is ours: the same exit code, or 128 + n when signal n killed it.
//! Whatever goes wrong with the recording, the command does not notice: a phase that the metrics
//! store cannot take waits as a file and is recorded by a later run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{privacy, text_file};
use atalaya_domain::delivery::cycle_facts::REACHED_USERS;
use atalaya_domain::delivery::{Decision, Phase, PhaseRecord};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::MetricsStore;

use super::dora::{RUN_ID, Recorded, record_anyway};

pub use capture::Capture;

mod capture;

/// Variables that carry a request id, the strongest first.
const REQUEST_VARIABLES: [&str; 3] = ["ATALAYA_REQUEST_ID", "REQUEST_ID", "TRACEPARENT"];
/// Longer ids are not ids.
const REQUEST_ID_BYTES: usize = 256;
/// Phases that wait at most; then the newest is refused, and says so.
const PENDING_FILES: usize = 1_000;
const PENDING_BYTES: u64 = 64 << 10;
/// How long the end of a command is held back by the store.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// What to run and as what.
#[derive(Clone, Debug)]
pub struct TrackRequest {
    pub cycle_id: String,
    pub feature_id: String,
    pub phase: Phase,
    /// `service`, `team`, `environment`, `commit` … as far as they are known.
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// Whether a deployment that fails had reached users already.
    pub reached_users: bool,
    pub command: Vec<OsString>,
}

/// How a command ended, and the phase that it was.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// The command's own, or 128 + n.
    pub exit_code: u8,
    pub phase: PhaseRecord,
}

#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    #[error("no command was given; put it after `--`, as in `-- cargo test`")]
    NoCommand,
    #[error("cannot run {command}: {source}")]
    NotRun { command: String, source: io::Error },
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
}

impl TrackError {
    /// As shells have it: 127 not found, 126 found and not runnable.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotRun { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::NotRun { .. } => 126,
            Self::NoCommand => 2,
            Self::Signals(_) => 1,
        }
    }
}

/// The request id that the environment hands down, or a new one, and what to hand on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    pub id: RequestId,
    /// Set where none was inherited and the id can be a trace id.
    pub traceparent: Option<String>,
}

/// `lookup` reads one variable; `random` gives 16 bytes for a new id.
pub fn request_context(
    lookup: impl Fn(&str) -> Option<String>,
    random: [u8; 16],
) -> RequestContext {
    let usable = |text: String| {
        let text = text.trim().to_owned();
        (!text.is_empty() && text.len() <= REQUEST_ID_BYTES && !text.chars().any(char::is_control))
            .then_some(text)
    };
    for name in REQUEST_VARIABLES {
        let Some(text) = lookup(name).and_then(usable) else {
            continue;
        };
        let id = if name == "TRACEPARENT" {
            trace_id(&text)
        } else {
            Some(text.as_str())
        };
        if let Some(id) = id {
            return RequestContext {
                id: RequestId::new(id),
                traceparent: None,
            };
        }
    }
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let span = &id[16..];
    RequestContext {
        traceparent: Some(format!("00-{id}-{span}-01")),
        id: RequestId::new(id),
    }
}

/// The second part of `00-<32 hex>-<16 hex>-<2 hex>`; all zeros is no id.
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    let valid = id.len() == 32
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && id.bytes().any(|byte| byte != b'0');
    valid.then_some(id)
}

/// Runs the command to its end.
///
/// With `capture` its output goes through us, and its lines are kept.
pub async fn run(
    request: TrackRequest,
    context: &RequestContext,
    capture: Option<&Capture>,
) -> Result<Tracked, TrackError> {
    let (program, arguments) = request.command.split_first().ok_or(TrackError::NoCommand)?;
    // Before the child exists, so that no signal meant for it ends us first.
    let mut signals = Signals::watch().map_err(TrackError::Signals)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("ATALAYA_REQUEST_ID", context.id.as_str())
        .env("REQUEST_ID", context.id.as_str());
    if let Some(traceparent) = &context.traceparent {
        command.env("TRACEPARENT", traceparent);
    }
    if capture.is_some() {
        Capture::redirect(&mut command);
    }
    let not_run = |source| TrackError::NotRun {
        command: program.to_string_lossy().into_owned(),
        source,
    };
    let clock = Instant::now();
    let mut child = privacy::as_inherited(|| command.spawn()).map_err(not_run)?;
    let pumps = capture
        .map_or_else(|| Ok(Vec::new()), |capture| capture.begin(&mut child))
        .map_err(not_run)?;
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(rustix::process::Pid::from_raw);
    let status = loop {
        tokio::select! {
            status = child.wait() => {
                break status.map_err(not_run)?;
            }
            number = signals.next() => {
                if let Some(pid) = pid {
                    // It may have ended in between; then there is nobody to tell.
                    let _ = rustix::process::kill_process(pid, number);
                }
            }
        }
    };
    let duration = clock.elapsed();
    for pump in pumps {
        pump.finish().await;
    }
    Ok(Tracked {
        exit_code: exit_code(status),
        phase: phase(request, context, status, duration),
    })
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn phase(
    request: TrackRequest,
    context: &RequestContext,
    status: ExitStatus,
    duration: Duration,
) -> PhaseRecord {
    let recorded_at = Timestamp::now();
    let mut metadata = request.metadata;
    let run: [u8; 8] = rand::random();
    let run: String = run.iter().map(|byte| format!("{byte:02x}")).collect();
    metadata.insert(RUN_ID.to_owned(), run.into());
    metadata.insert("request_id".to_owned(), context.id.as_str().into());
    metadata.insert("exit_code".to_owned(), exit_code(status).into());
    // A run that failed before users saw anything is no deployment and no failure.
    if request.phase == Phase::Deployment && !status.success() {
        metadata.insert(REACHED_USERS.to_owned(), request.reached_users.into());
    }
    if let Some(signal) = status.signal() {
        metadata.insert("signal".to_owned(), signal.into());
    }
    // The program only: arguments may hold secrets.
    if let Some(program) = request.command.first() {
        metadata.insert(
            "command".to_owned(),
            program.to_string_lossy().into_owned().into(),
        );
    }
    PhaseRecord {
        cycle_id: request.cycle_id,
        feature_id: request.feature_id,
        phase: request.phase,
        attempt: 0,
        decision: Decision::of_ending(request.phase, status.success()),
        duration,
        recorded_at,
        metadata,
    }
}

/// The signals that are passed on.
struct Signals {
    term: Signal,
    hangup: Signal,
    interrupt: Signal,
    quit: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next signal that the child has not received by itself: the keys of a terminal go to the
    /// whole foreground group, and a second Ctrl-C means "at once" to many programs.
    async fn next(&mut self) -> rustix::process::Signal {
        loop {
            let (number, by_key) = tokio::select! {
                _ = self.term.recv() => (rustix::process::Signal::TERM, false),
                _ = self.hangup.recv() => (rustix::process::Signal::HUP, false),
                _ = self.interrupt.recv() => (rustix::process::Signal::INT, true),
                _ = self.quit.recv() => (rustix::process::Signal::QUIT, true),
                _ = self.user1.recv() => (rustix::process::Signal::USR1, false),
                _ = self.user2.recv() => (rustix::process::Signal::USR2, false),
            };
            if !(by_key && in_terminal_foreground()) {
                return number;
            }
        }
    }
}

fn in_terminal_foreground() -> bool {
    let own = rustix::process::getpgrp();
    [
        rustix::stdio::stdin().as_raw_group(),
        rustix::stdio::stderr().as_raw_group(),
    ]
    .into_iter()
    .flatten()
    .any(|group| group == own)
}

/// The foreground process group of a descriptor, if it is a terminal.
trait TerminalGroup {
    fn as_raw_group(&self) -> Option<rustix::process::Pid>;
}

impl TerminalGroup for std::os::fd::BorrowedFd<'_> {
    fn as_raw_group(&self) -> Option<rustix::process::Pid> {
        rustix::termios::tcgetpgrp(self).ok()
    }
}

/// A phase that waits for the store.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    version: u32,
    phase: PhaseRecord,
}

/// What became of a phase.
#[derive(Debug)]
pub enum Kept {
    /// In the store, with how many that had waited before it.
    Recorded {
        earlier: usize,
        recorded: Box<Recorded>,
    },
    /// In a file, because of this.
    Waiting { file: PathBuf, reason: String },
    /// Nowhere: neither the store nor the disk took it.
    Lost { reason: String },
}

/// Records a phase, and those that waited; what cannot be recorded waits in `folder`.
///
/// `open` opens the store; it gets a few seconds together with the recording.
pub async fn keep<F>(phase: PhaseRecord, folder: &Path, open: F) -> Kept
where
    F: Future<Output = Result<std::sync::Arc<dyn MetricsStore>, StoreError>>,
{
    let work = async {
        let store = open.await?;
        let earlier = drain(&*store, folder).await?;
        let recorded = record_anyway(&*store, phase.clone(), "track").await?;
        Ok::<_, StoreError>((earlier, Box::new(recorded)))
    };
    let reason = match tokio::time::timeout(STORE_PATIENCE, work).await {
        Ok(Ok((earlier, recorded))) => return Kept::Recorded { earlier, recorded },
        Ok(Err(error)) => super::describe(&error),
        Err(_) => format!("the metrics store did not answer within {STORE_PATIENCE:?}"),
    };
    match wait(phase, folder) {
        Ok(file) => Kept::Waiting { file, reason },
        Err(error) => Kept::Lost {
            reason: format!("{reason}; and {}: {error}", folder.display()),
        },
    }
}

/// Records what waits, oldest first; returns how many. A file that cannot be read is set aside as
/// `.bad`, never deleted.
pub async fn drain(store: &dyn MetricsStore, folder: &Path) -> Result<usize, StoreError> {
    let mut recorded = 0;
    for file in waiting(folder) {
        match read(&file) {
            Ok(pending) => {
                record_anyway(store, pending.phase, "track").await?;
                // If this fails, the run id keeps the next drain from recording it twice.
                let _ = std::fs::remove_file(&file);
                recorded += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // another run was quicker
            Err(_) => {
                let _ = std::fs::rename(&file, file.with_extension("bad"));
            }
        }
    }
    Ok(recorded)
}

/// Waiting files by name, which begins with their time.
fn waiting(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .take(PENDING_FILES)
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> io::Result<Pending> {
    if std::fs::metadata(file)?.len() > PENDING_BYTES {
        return Err(io::Error::other("larger than any phase"));
    }
    let pending: Pending = serde_json::from_slice(&std::fs::read(file)?)?;
    if pending.version == 1 {
        Ok(pending)
    } else {
        Err(io::Error::other("written by a newer atalaya"))
    }
}

fn wait(phase: PhaseRecord, folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    if waiting(folder).len() >= PENDING_FILES {
        return Err(io::Error::other(format!(
            "{PENDING_FILES} phases wait already"
        )));
    }
    let name = format!(
        "{:020}-{}",
        phase.recorded_at.micros().max(0),
        std::process::id()
    );
    let content = serde_json::to_vec(&Pending { version: 1, phase })?;
    let file = folder.join(format!("{name}.json"));
    text_file::replace(&file, &content)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(variables: &[(&str, &str)]) -> RequestContext {
        request_context(
            |name| {
                variables
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            },
            [0xab; 16],
        )
    }

    #[test]
    fn a_request_id_is_inherited_in_order_or_made() {
        const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let own = context(&[
            ("REQUEST_ID", "b"),
            ("ATALAYA_REQUEST_ID", "a"),
            ("TRACEPARENT", PARENT),
        ]);
        assert_eq!(own.id.as_str(), "a");
        assert_eq!(
            context(&[("REQUEST_ID", "b"), ("ATALAYA_REQUEST_ID", "  ")])
                .id
                .as_str(),
            "b"
        );
        assert_eq!(
            context(&[("TRACEPARENT", PARENT)]).id.as_str(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        let made = context(&[
            (
                "TRACEPARENT",
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            ),
            ("REQUEST_ID", "a\nb"),
        ]);
        assert_eq!(made.id.as_str(), "ab".repeat(16));
        assert_eq!(
            made.traceparent,
            Some(format!("00-{}-{}-01", "ab".repeat(16), "ab".repeat(8)))
        );
    }

    #[test]
    fn each_phase_has_its_words() {
        assert_eq!(Decision::of_ending(Phase::Testing, false), Decision::NoGo);
        assert_eq!(Decision::of_ending(Phase::Testing, true), Decision::Go);
        assert_eq!(
            Decision::of_ending(Phase::Deployment, true),
            Decision::Success
        );
        assert_eq!(
            Decision::of_ending(Phase::Recovery, true),
            Decision::Resolved
        );
        assert_eq!(
            Decision::of_ending(Phase::Maintenance, false),
            Decision::Failed
        );
    }

    #[test]
    fn death_by_signal_is_128_and_its_number() {
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
    }
}
