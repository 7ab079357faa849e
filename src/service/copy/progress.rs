//! How far a copy of logs is, on disk, so that it goes on where it was ended.
//!
//! Beside it stand the watermarks that the source had when the copy began: they are written to the
//! destination last, so that no host believes something stored that is not there yet.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use atalaya_domain::record::{Layer, OriginId};
use atalaya_domain::time::Timestamp;

use super::CopyError;

const VERSION: u32 = 1;
const STATE: &str = "state.json";
const WATERMARKS: &str = "watermarks";

/// What is known of a copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    /// For people who find the file.
    from: String,
    to: String,
    /// By layer: start of the last bucket that is wholly stored, as all before it are.
    pub finished: BTreeMap<Layer, Timestamp>,
    /// Stored so far, by all runs.
    pub chunks: u64,
    pub records: u64,
}

/// The folder of one copy.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The place below `parent` that belongs to this source and destination.
    pub fn of(parent: &Path, from: &str, to: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        for side in [from, to] {
            hasher.update(&(side.len() as u64).to_le_bytes());
            hasher.update(side.as_bytes());
        }
        Self {
            path: parent.join(&hasher.finalize().to_hex()[..16]),
        }
    }

    pub fn failed(&self, source: io::Error) -> CopyError {
        CopyError::Progress {
            path: self.path.clone(),
            source,
        }
    }

    /// What an earlier run left; `None` when there was none, or what it left is unusable: then
    /// everything is copied again, which changes nothing.
    pub async fn load(&self) -> Result<Option<Saved>, CopyError> {
        let text = match tokio::fs::read(self.path.join(STATE)).await {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        Ok(serde_json::from_slice::<Saved>(&text)
            .ok()
            .filter(|saved| saved.version == VERSION))
    }

    /// Begins a copy: the watermarks are on the disk before the state says so.
    pub async fn begin(
        &self,
        from: &str,
        to: &str,
        watermarks: Snapshot,
    ) -> Result<Saved, CopyError> {
        let path = self.path.clone();
        blocking(move || watermarks.finish(&path))
            .await
            .map_err(|error| self.failed(error))?;
        let saved = Saved {
            version: VERSION,
            from: from.to_owned(),
            to: to.to_owned(),
            finished: BTreeMap::new(),
            chunks: 0,
            records: 0,
        };
        self.save(&saved).await?;
        Ok(saved)
    }

    /// Starts the list of watermarks anew.
    pub async fn snapshot(&self) -> Result<Snapshot, CopyError> {
        let path = self.path.clone();
        blocking(move || {
            fs::create_dir_all(&path)?;
            match fs::remove_file(path.join(STATE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            Ok(Snapshot {
                file: BufWriter::new(File::create(temporary(&path, WATERMARKS))?),
            })
        })
        .await
        .map_err(|error| self.failed(error))
    }

    pub async fn save(&self, saved: &Saved) -> Result<(), CopyError> {
        let path = self.path.clone();
        let saved = saved.clone();
        blocking(move || {
            let mut file = File::create(temporary(&path, STATE))?;
            file.write_all(&serde_json::to_vec(&saved).map_err(io::Error::other)?)?;
            rename(&file, &path, STATE)
        })
        .await
        .map_err(|error| self.failed(error))
    }

    /// The watermarks that the copy began with.
    pub fn watermarks(&self) -> Result<Watermarks, CopyError> {
        let file = File::open(self.path.join(WATERMARKS)).map_err(|error| self.failed(error))?;
        Ok(Watermarks {
            lines: BufReader::new(file),
        })
    }

    /// Forgets a copy that came to its end.
    pub async fn remove(&self) -> Result<(), CopyError> {
        // The state first: without it the rest means nothing.
        for name in [STATE, WATERMARKS] {
            match tokio::fs::remove_file(self.path.join(name)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed(error));
                }
                _ => {}
            }
        }
        match tokio::fs::remove_dir(&self.path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(error)),
            _ => Ok(()),
        }
    }

    /// `None`: a line is damaged.
    pub fn unreadable(&self, error: Option<io::Error>) -> CopyError {
        self.failed(error.unwrap_or_else(|| {
            io::Error::other(format!(
                "a line of `{WATERMARKS}` is damaged; remove the folder and copy again"
            ))
        }))
    }
}

/// A list of watermarks that is being written.
pub(super) struct Snapshot {
    file: BufWriter<File>,
}

impl Snapshot {
    pub fn add(&mut self, origin: OriginId, until: u64) -> io::Result<()> {
        writeln!(self.file, "{origin} {until}")
    }

    fn finish(self, folder: &Path) -> io::Result<()> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        rename(&file, folder, WATERMARKS)
    }
}

/// Reads a list of watermarks; a line is 50 bytes, so that reading some never takes long.
pub(super) struct Watermarks {
    lines: BufReader<File>,
}

impl Watermarks {
    /// At most `count`; none at the end. `Err(None)` for a damaged line.
    pub fn next(&mut self, count: usize) -> Result<Vec<(OriginId, u64)>, Option<io::Error>> {
        let mut page = Vec::new();
        let mut line = String::new();
        while page.len() < count {
            line.clear();
            if self.lines.read_line(&mut line).map_err(Some)? == 0 {
                break;
            }
            let (origin, until) = line.trim_end().split_once(' ').ok_or(None)?;
            let origin = u128::from_str_radix(origin, 16).map_err(|_| None)?;
            page.push((
                OriginId::from_u128(origin),
                until.parse().map_err(|_| None)?,
            ));
        }
        Ok(page)
    }
}

fn temporary(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.new"))
}

/// Puts a written file in its place; it survives a power failure from then on.
fn rename(file: &File, folder: &Path, name: &str) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(temporary(folder, name), folder.join(name))?;
    File::open(folder)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
