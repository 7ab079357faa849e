//! From files to the log engine: tail, cut into lines, parse, batch into frames, append, and move
//! the checkpoint once the store has acknowledged.
//!
//! The promise: every line of a file that could be read is in the store exactly once, whatever is
//! done to the file (rename, copytruncate, compression, deletion) and whenever the program dies.
//! It rests on three facts:
//!
//! - A [`identity`] names content by where it lives and what it begins with, never by its path.
//! - The store keeps how far each origin is stored (its watermark) in the same transaction as the
//!   records, so a restart reads on exactly there.
//! - The [`checkpoint`] remembers which content is which; it is durable before the first frame of
//!   a new generation is sent.
//!
//! One thread ([`reader`]) finds files, reads and decodes; one task ([`pipeline`]) appends. Between
//! them is a bounded channel: when the store is slow or gone, reading waits and the files keep
//! the lines. Before a store on a server stands the [`spool`]: then the lines are durable on this
//! host first, and reading waits only when it is full.

use atalaya_domain::error_class::ErrorClass;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use atalaya_domain::record::{Layer, Text};
use atalaya_domain::time::Timestamp;

pub use atalaya_format as format;

pub mod accounts;
pub mod checkpoint;
pub mod contained;
pub mod content;
pub mod crash;
pub mod descriptors;
pub mod discover;
pub mod fs;
pub mod generation;
pub mod identity;
pub mod lines;
pub mod pipeline;
pub mod reader;
pub mod rotation;
pub mod sender;
pub mod spool;
pub mod tail;
pub mod watch_files;

pub use accounts::{Counts, FileAccount, FileState, IngestStatus, Unread};

pub use pipeline::FrameSink;

use atalaya_format::SourceZone;
use spool::SpoolError;

/// One configured input: a path or a glob, and what its lines are.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestInput {
    /// A path or a glob (`/var/log/nginx/*.log`); a relative one is taken from the working directory.
    pub pattern: String,
    /// The very file, where its name is no UTF-8: `pattern` then only shows it.
    pub file: Option<PathBuf>,
    /// What every line is to be read by ([`atalaya_format::by_name`]); `None` decides line by line.
    pub format: Option<atalaya_format::Shape>,
    /// `None` takes the format's own.
    pub source: Option<Text>,
    /// `None` takes the format's own.
    pub layer: Option<Layer>,
    /// Zone of stamps that name none.
    pub zone: SourceZone,
}

impl IngestInput {
    /// The file that it names; a glob as it was typed.
    pub fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(&self.pattern))
    }

    /// Everything detected, zone of this host.
    pub fn detected(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            file: None,
            format: None,
            source: None,
            layer: None,
            zone: SourceZone::Local,
        }
    }
}

/// Whether to stay for what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Follow files and rotations until stopped.
    Follow,
    /// Read what is there, the last unterminated line included, then end.
    Once,
}

/// What to read and how; the configuration layer fills it.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    pub inputs: Vec<IngestInput>,
    /// Holds the checkpoint and the lock; made if missing.
    pub state_dir: PathBuf,
    /// Part of each record's identity: the same for ever on one machine.
    pub host: Text,
    pub mode: Mode,
    pub limits: Limits,
    /// Directories that rotated files are moved to (logrotate's `olddir`), besides those that are
    /// found: that of the file, those right below it, that of a link's target.
    pub old_dirs: Vec<PathBuf>,
    /// Since when the inputs are asked for, if they were not before: what is rotated from then on is
    /// theirs, also when it happens before the first look.
    pub asked: Timestamp,
}

impl IngestConfig {
    pub fn new(
        inputs: Vec<IngestInput>,
        state_dir: impl Into<PathBuf>,
        host: impl Into<Text>,
        mode: Mode,
    ) -> Self {
        Self {
            inputs,
            state_dir: state_dir.into(),
            host: host.into(),
            mode,
            limits: Limits::default(),
            old_dirs: Vec::new(),
            asked: Timestamp::now(),
        }
    }
}

/// Times and bounds; the defaults are what the documents promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files held open at a time, if the process may have so many descriptors (see
    /// [`descriptors`]); quiet files beyond it are closed and looked at each second.
    pub open_files: usize,
    /// Lines of one frame.
    pub frame_lines: usize,
    /// Bytes of line text of one frame.
    pub frame_bytes: usize,
    /// How long a frame of a live file may wait for more lines.
    pub frame_age: Duration,
    /// Quiet after which the last record is taken as complete. Shorter than a second, so that a
    /// single line is on the screen within the second that the live tail promises.
    pub record_quiet: Duration,
    /// Quiet after which a file that was rotated away or removed is taken as ended: writers close late.
    pub file_quiet: Duration,
    /// Directories are looked at this often even when no event came.
    pub poll: Duration,
    /// How long a checkpoint may lag behind.
    pub checkpoint_age: Duration,
    /// How long a run that has read everything waits for a store that takes nothing from the spool.
    pub drain_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_files: 16_384,
            frame_lines: 1_000,
            frame_bytes: 1 << 20,
            frame_age: Duration::from_millis(500),
            record_quiet: Duration::from_millis(500),
            file_quiet: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            checkpoint_age: Duration::from_secs(1),
            drain_patience: Duration::from_secs(60),
        }
    }
}

/// Why the ingest could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The exit code of this one is 75.
    #[error(
        "another atalaya is reading files with the state in {}; stop it, or give this one a data directory of its own",
        dir.display()
    )]
    Locked { dir: PathBuf },
    #[error("the state directory {} cannot be used", dir.display())]
    StateDir {
        dir: PathBuf,
        source: std::io::Error,
    },
    #[error("`{pattern}` is not a usable path or glob: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("the spool cannot be used")]
    Spool(#[source] SpoolError),
    #[error("the thread that reads files could not be started")]
    Thread { source: std::io::Error },
    #[error(
        "the thread that reads files ended unexpectedly; what was acknowledged is safe, start again"
    )]
    Died,
}

impl IngestError {
    /// Whether the same start may succeed later: the directory may become writable.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::StateDir { .. })
    }

    /// Who has to do what before the same start succeeds.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Locked { .. } => ErrorClass::Busy,
            Self::StateDir { .. } => ErrorClass::Transient,
            Self::Pattern { .. } => ErrorClass::Usage,
            Self::Spool(_) | Self::Thread { .. } | Self::Died => ErrorClass::Broken,
        }
    }
}

impl From<SpoolError> for IngestError {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Locked { dir } => Self::Locked { dir },
            SpoolError::Open { dir, source } => Self::StateDir {
                dir,
                source: std::io::Error::new(source.kind(), source),
            },
            other => Self::Spool(other),
        }
    }
}

/// Starts ingests; see [`Ingest::start`].
#[derive(Debug)]
pub struct Ingest;

impl Ingest {
    /// Remembers, durably, that these inputs are asked for: the first thing that a follower does,
    /// before a store is opened that may take its time. [`Ingest::start`] does it too.
    pub fn ask(config: &IngestConfig) -> Result<(), IngestError> {
        let failed = |source| IngestError::StateDir {
            dir: config.state_dir.clone(),
            source,
        };
        let (mut state, loaded) = checkpoint::StateDir::open(&config.state_dir)?;
        let patterns = config.inputs.iter().map(|input| input.pattern.as_str());
        let known: Vec<_> = loaded.generations.iter().collect();
        state.ask(patterns, config.asked, &known).map_err(failed)
    }

    /// Takes the lock of the state directory, reads the checkpoint and starts reading. Must be
    /// called within a tokio runtime; returns at once, the work goes on in the background.
    pub fn start(
        config: IngestConfig,
        sink: Arc<dyn FrameSink>,
        cancel: CancellationToken,
    ) -> Result<IngestHandle, IngestError> {
        pipeline::start(config, sink, cancel, None)
    }

    /// The same for one stream that cannot be read twice (standard input), under an identity that
    /// the caller chose: with the same `key`, bytes already stored are skipped.
    pub fn start_stream(
        config: IngestConfig,
        stream: StreamInput,
        sink: Arc<dyn FrameSink>,
        cancel: CancellationToken,
    ) -> Result<IngestHandle, IngestError> {
        pipeline::start(config, sink, cancel, Some(stream))
    }
}

/// Input without a file, such as standard input.
pub struct StreamInput {
    /// What the status shows instead of a path.
    pub name: String,
    /// Names the content: the same key is the same content.
    pub key: String,
    pub reader: Box<dyn std::io::Read + Send>,
    /// Format, source, layer and zone; its pattern is not used.
    pub input: IngestInput,
}

/// A running ingest. Dropping it stops the ingest without waiting.
#[derive(Debug)]
pub struct IngestHandle {
    status: watch::Receiver<IngestStatus>,
    cancel: CancellationToken,
    done: Option<tokio::task::JoinHandle<Result<(), IngestError>>>,
}

impl IngestHandle {
    pub fn status(&self) -> watch::Receiver<IngestStatus> {
        self.status.clone()
    }

    /// Waits until everything is read and stored ([`Mode::Once`]) or the ingest was cancelled.
    pub async fn finished(&mut self) -> Result<IngestStatus, IngestError> {
        if let Some(done) = &mut self.done {
            let ended = done.await; // stays in its place if this future is dropped meanwhile
            self.done = None;
            ended.map_err(|_| IngestError::Died)??;
        }
        Ok(self.status.borrow().clone())
    }

    /// Stops reading, stores what was read (unless the store does not take it), writes the
    /// checkpoint and gives up the lock.
    pub async fn stop(mut self) -> Result<IngestStatus, IngestError> {
        self.cancel.cancel();
        self.finished().await
    }
}

impl Drop for IngestHandle {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
