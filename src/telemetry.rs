//! Our own log: files in the data directory, bounded in size and number. Never the terminal, which
//! belongs to the console.

use std::backtrace::Backtrace;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic;
use std::path::{Path, PathBuf};

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use atalaya_ingest::contained::is_contained;

/// Bytes after which a file is put aside as `.1`; with [`FILES_KEPT`] about 48 MiB at most.
const FILE_BYTES: usize = 8 << 20;
/// Older files kept beside the one that is written.
const FILES_KEPT: usize = 5;

/// Where our own logs are.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}

/// Starts writing to `<data_dir>/log/<command>.log`, readable by its owner alone. `RUST_LOG`
/// narrows or widens it; the default is `info`. Each long command has a file of its own, so that a
/// console and a follower on one machine do not rotate each other's.
///
/// Returns `None` when the folder cannot be written: a program that watches logs must not fail for
/// want of its own. The guard writes what is left when it is dropped.
pub fn start(data_dir: &Path, command: &str) -> Option<WorkerGuard> {
    let folder = folder(data_dir);
    std::fs::create_dir_all(&folder).ok()?;
    let path = folder.join(format!("{command}.log"));
    let mut options = OpenOptions::new();
    options.read(true).create(true).append(true).mode(0o600);
    // The writer keeps silent about a file that it cannot open.
    options.open(&path).ok()?;
    let file = FileRotate::new(
        path,
        AppendCount::new(FILES_KEPT),
        ContentLimit::BytesSurpassed(FILE_BYTES),
        Compression::None,
        Some(options),
    );
    // Bounded: when the disk cannot keep up, lines of our own log are dropped, not the caller held.
    let (writer, guard) = tracing_appender::non_blocking(file);
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt()
        .with_writer(writer)
        .with_ansi(false)
        .with_env_filter(filter)
        .try_init()
        .ok()?;
    log_contained_panics();
    Some(guard)
}

/// A panic of background work goes to the log, with its backtrace: the supervisor answers it, and
/// whoever sits at the terminal has no use for it there.
fn log_contained_panics() {
    let otherwise = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if is_contained() {
            tracing::error!(%info, backtrace = %Backtrace::force_capture(), "background work panicked");
        } else {
            otherwise(info);
        }
    }));
}
