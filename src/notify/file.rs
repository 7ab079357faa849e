//! A line of JSON for each message, in a file that is its owner's and is bounded.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};

use super::{SendError, json_line};
use atalaya_domain::alert::Message;

/// Bytes after which a file is put aside as `.1`, and how many of those are kept.
const FILE_BYTES: usize = 8 << 20;
const FILES_KEPT: usize = 5;

pub(super) async fn append(path: PathBuf, message: &Message) -> Result<(), SendError> {
    let line = json_line(message)?;
    let written = tokio::task::spawn_blocking(move || {
        write(&path, &line).map_err(|error| format!("{}: {error}", path.display()))
    });
    written
        .await
        .map_err(SendError::later)?
        .map_err(SendError::later)
}

fn write(path: &Path, line: &str) -> std::io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        let kind = std::io::ErrorKind::InvalidInput;
        return Err(std::io::Error::new(kind, "it is no regular file; name one"));
    }
    let mut options = OpenOptions::new();
    options.read(true).create(true).append(true).mode(0o600);
    // The one that rotates keeps silent about a file that it cannot open.
    let mut file = options.open(path)?;
    // A line that was cut by a crash stays as it is, and does not spoil this one.
    let torn = file.seek(SeekFrom::End(0))? > 0 && {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        last != *b"\n"
    };
    let mut rotating = FileRotate::new(
        path,
        AppendCount::new(FILES_KEPT),
        ContentLimit::BytesSurpassed(FILE_BYTES),
        Compression::None,
        Some(options),
    );
    let begin = if torn { "\n" } else { "" };
    rotating.write_all(format!("{begin}{line}\n").as_bytes())?;
    rotating.flush()?;
    file.sync_data()
}
