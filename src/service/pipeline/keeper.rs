//! The process round one command: it outlives whoever started it, and what the command answered is a
//! file before anybody else knows. It holds a lock as long as it lives, so that a run that is taken
//! up knows whether to wait.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{privacy, text_file};
use atalaya_domain::pipeline::Ended;
use atalaya_domain::time::Timestamp;

const ORDER: &str = "order.json";
const ENDED: &str = "ended.json";
const LOCK: &str = "lock";
const REVOKED: &str = "revoked";
/// Of what the command prints: its beginning and its end.
const HEAD_BYTES: usize = 16 << 10;
const TAIL_BYTES: usize = 48 << 10;
/// Longer last lines are no answer.
const LINE_BYTES: usize = 64 << 10;
/// More than a keeper writes: two streams and a line, of which JSON makes six bytes of one, and the
/// words round them.
const ENDED_BYTES: u64 = 6 * (2 * (HEAD_BYTES + TAIL_BYTES) + LINE_BYTES) as u64 + (16 << 10);
/// Between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(5);
/// How long output is waited for when the command is gone: something that it left behind may hold
/// the pipe.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub command: Vec<String>,
    pub directory: PathBuf,
    pub env: BTreeMap<String, String>,
    pub limit_ms: u64,
    /// For its standard input.
    pub context: String,
}

/// The folder of one try.
#[derive(Clone, Debug)]
pub(super) struct Try {
    folder: PathBuf,
}

impl Try {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Prepares the folder. Blocking.
    pub fn order(&self, order: &Order) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        text_file::replace(&self.folder.join(ORDER), &serde_json::to_vec(order)?)
    }

    /// Starts the keeper, in a process group of its own: what ends ours need not end it.
    pub fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["pipeline", "keep"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        privacy::as_inherited(|| command.spawn())
    }

    /// What became of it. One that has no keeper and no answer is revoked: a keeper that was started
    /// and has not begun yet will not run the command any more. Blocking.
    pub fn claim(&self) -> io::Result<Claim> {
        std::fs::create_dir_all(&self.folder)?;
        let lock = open_lock(&self.folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(Claim::Kept),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        if let Some(ended) = self.ended()? {
            return Ok(Claim::Ended(ended));
        }
        text_file::replace(&self.folder.join(REVOKED), b"")?;
        Ok(Claim::Revoked)
    }

    /// How it ended; `None`: it did not, or nobody saw it. Blocking.
    fn ended(&self) -> io::Result<Option<Ended>> {
        match text_file::read(&self.folder.join(ENDED), ENDED_BYTES) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What became of a try.
#[derive(Debug)]
pub(super) enum Claim {
    /// Its keeper is alive.
    Kept,
    Ended(Ended),
    /// It ends without an answer.
    Revoked,
}

fn open_lock(folder: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))
}

/// The work of a keeper, to its end: `atalaya pipeline keep FOLDER`.
///
/// # Errors
/// The folder cannot be read or written, or another keeper has it.
pub async fn keep(folder: &Path, stop: &CancellationToken) -> io::Result<()> {
    let lock = open_lock(folder)?;
    lock.try_lock()?;
    if folder.join(REVOKED).exists() || folder.join(ENDED).exists() {
        return Ok(());
    }
    let text = tokio::fs::read(folder.join(ORDER)).await?;
    let order: Order = serde_json::from_slice(&text)?;
    let ended = run(&order, stop).await;
    // Asked to end: the command has no answer, and is started again when the run is taken up.
    if let Some(ended) = ended {
        text_file::replace(&folder.join(ENDED), &serde_json::to_vec(&ended)?)?;
    }
    drop(lock);
    Ok(())
}

/// `None`: it was stopped.
async fn run(order: &Order, stop: &CancellationToken) -> Option<Ended> {
    let begun = Instant::now();
    let ended = |exit_code, problem: Option<String>, printed: Printed| Ended {
        exit_code,
        problem,
        last_line: printed.last_line,
        output: printed.text,
        finished_at: Timestamp::now(),
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let mut child = match spawn(order) {
        Ok(child) => child,
        Err(problem) => return Some(ended(None, Some(problem), Printed::default())),
    };
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let group = group.and_then(Pid::from_raw);
    if let Some(mut stdin) = child.stdin.take() {
        let context = order.context.clone();
        // It may end without having read: then its exit code speaks.
        tokio::spawn(async move {
            let _ = stdin.write_all(context.as_bytes()).await;
        });
    }
    let output = child.stdout.take().map(Pipe::read);
    let errors = child.stderr.take().map(Pipe::read);
    let limit = Duration::from_millis(order.limit_ms);
    let status = tokio::select! {
        status = child.wait() => Ok(status),
        () = tokio::time::sleep(limit) => Err(Some(limit)),
        () = stop.cancelled() => Err(None),
    };
    let (exit_code, problem) = match status {
        Ok(Ok(status)) => outcome(status),
        Ok(Err(error)) => (None, Some(error.to_string())),
        Err(why) => {
            end(&mut child, group).await;
            let limit = why?;
            let seconds = limit.as_secs();
            (
                None,
                Some(format!("it was not done within {seconds} s, and was ended")),
            )
        }
    };
    Some(ended(exit_code, problem, Printed::of(output, errors).await))
}

fn spawn(order: &Order) -> Result<Child, String> {
    let (program, arguments) = order.command.split_first().ok_or("there is no command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&order.directory)
        .envs(&order.env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    privacy::as_inherited(|| command.spawn()).map_err(|error| {
        let directory = order.directory.display();
        format!("{program} cannot be run in {directory}: {error}")
    })
}

fn outcome(status: ExitStatus) -> (Option<u8>, Option<String>) {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let problem = status
        .signal()
        .map(|signal| format!("signal {signal} ended it"));
    (code, problem)
}

/// The command and what it started, asked first.
async fn end(child: &mut Child, group: Option<Pid>) {
    for signal in [Signal::TERM, Signal::KILL] {
        if let Some(group) = group {
            // There may be nobody left.
            let _ = kill_process_group(group, signal);
        }
        let _ = timeout(GRACE, child.wait()).await;
    }
}

/// One stream of a command while it is read.
struct Pipe {
    kept: Arc<Mutex<Kept>>,
    done: oneshot::Receiver<()>,
}

impl Pipe {
    fn read(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (ending, done) = oneshot::channel();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let into = Arc::clone(&kept);
        tokio::spawn(async move {
            let mut part = [0; 8 << 10];
            while let Ok(read @ 1..) = pipe.read(&mut part).await {
                locked(&into).push(&part[..read]);
            }
            let _ = ending.send(()); // nobody waits any more
        });
        Self { kept, done }
    }
}

fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The beginning and the end of a stream, and its last line.
#[derive(Default)]
struct Kept {
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    dropped: u64,
    line: Vec<u8>,
    last_line: Vec<u8>,
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.head.len() < HEAD_BYTES {
                self.head.push(byte);
            } else {
                if self.tail.len() == TAIL_BYTES {
                    self.tail.pop_front();
                    self.dropped += 1;
                }
                self.tail.push_back(byte);
            }
            if byte == b'\n' {
                self.end_line();
            } else if self.line.len() <= LINE_BYTES {
                self.line.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        if !self.line.trim_ascii().is_empty() {
            self.last_line = std::mem::take(&mut self.line);
        }
        self.line.clear();
    }

    fn text(mut self) -> (String, String) {
        self.end_line();
        let (front, back) = self.tail.as_slices();
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if self.dropped > 0 {
            text = format!("{text}\n… {} bytes are left out …\n", self.dropped);
        }
        text.push_str(&String::from_utf8_lossy(&[front, back].concat()));
        let line = if self.last_line.len() > LINE_BYTES {
            String::new()
        } else {
            String::from_utf8_lossy(&self.last_line).into_owned()
        };
        (text, line)
    }
}

/// What a command printed.
#[derive(Default)]
struct Printed {
    text: String,
    last_line: String,
}

impl Printed {
    async fn of(output: Option<Pipe>, errors: Option<Pipe>) -> Self {
        let (output, last_line) = read_to_end(output).await;
        let (errors, _) = read_to_end(errors).await;
        let between = if output.is_empty() || errors.is_empty() || output.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        Self {
            text: format!("{output}{between}{errors}"),
            last_line,
        }
    }
}

async fn read_to_end(pipe: Option<Pipe>) -> (String, String) {
    let Some(pipe) = pipe else {
        return <_>::default();
    };
    // Else something that it left behind holds the pipe: what was said so far counts.
    let _ = timeout(OUTPUT_WAIT, pipe.done).await;
    std::mem::take(&mut *locked(&pipe.kept)).text()
}
