//! Our own log: a file in the data directory, one a day, a week kept. Never the terminal, which
//! belongs to the console.

use std::path::Path;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;

/// Files kept; the oldest is removed when a day begins.
const DAYS_KEPT: usize = 7;

/// Starts writing to `<data_dir>/log/`. `RUST_LOG` narrows or widens it; the default is `info`.
///
/// Returns `None` when the folder cannot be written: a program that watches logs must not fail for
/// want of its own. The guard writes what is left when it is dropped.
pub fn start(data_dir: &Path) -> Option<WorkerGuard> {
    let folder = data_dir.join("log");
    // The appender would complain on standard error about a folder that is not there yet.
    std::fs::create_dir_all(&folder).ok()?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .max_log_files(DAYS_KEPT)
        .filename_prefix("atalaya")
        .filename_suffix("log")
        .build(folder)
        .ok()?;
    // Bounded: when the disk cannot keep up, lines of our own log are dropped, not the caller held.
    let (writer, guard) = tracing_appender::non_blocking(appender);
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt()
        .with_writer(writer)
        .with_ansi(false)
        .with_env_filter(filter)
        .try_init()
        .ok()?;
    Some(guard)
}
