//! What a follower of files says of itself to other processes: a small file beside its checkpoint,
//! so that `health` and a second console know of an ingest that is not theirs.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::advice::say;
use crate::text_file;
use atalaya_domain::health::{Check, IngestLag, Status};
use atalaya_domain::time::Timestamp;
use atalaya_ingest::IngestStatus;
use atalaya_ingest::spool::{SpoolState, SpoolStatus};

/// How often a follower says that it lives.
pub const EVERY: Duration = Duration::from_secs(5);
/// Silence after which it is taken as hung or killed.
const SILENT_AFTER: Duration = Duration::from_secs(30);
const FILE: &str = "follower.json";
const MOST_BYTES: u64 = 64 << 10;

/// The last word of a follower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FollowerState {
    pub at: Timestamp,
    pub pid: u32,
    pub files: usize,
    /// Bytes in the files that are not in the store yet.
    pub lag_bytes: u64,
    /// How long the oldest of them has waited.
    #[serde(default)]
    pub lag_seconds: f64,
    /// Used part of the spool, 0 to 1; `None` without a spool.
    #[serde(default)]
    pub spool_used: Option<f64>,
    /// Records stored by this run.
    pub written: u64,
    /// Why nothing is written at the moment.
    pub paused: Option<String>,
    /// Why records gather in the spool.
    #[serde(default)]
    pub spooling: Option<String>,
}

impl FollowerState {
    /// Of this process, now.
    pub fn of(status: &IngestStatus) -> Self {
        Self {
            at: Timestamp::now(),
            pid: std::process::id(),
            files: status.files.len(),
            lag_bytes: status.lag_bytes(),
            lag_seconds: status.lag_seconds(),
            spool_used: status.spool.as_ref().map(SpoolStatus::fill),
            written: status.totals.written,
            paused: status.paused.as_ref().map(say),
            spooling: status.spool.as_ref().and_then(|spool| match &spool.state {
                SpoolState::Away { reason, .. } => Some(say(reason)),
                SpoolState::Draining | SpoolState::Passing => None,
            }),
        }
    }

    /// Puts it in place of the last one, as a whole. Blocking.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn write(&self, state_dir: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(state_dir)?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        file.persist(path(state_dir))?;
        Ok(())
    }

    /// What the follower with this state said last; `None` when none runs. Blocking.
    ///
    /// # Errors
    /// The file is there and cannot be read or understood.
    pub fn read(state_dir: &Path) -> io::Result<Option<Self>> {
        match text_file::read(&path(state_dir), MOST_BYTES) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The lag by now: of one that is silent it has grown since.
    pub fn lag(&self, now: Timestamp) -> IngestLag {
        let silent = now.since(self.at);
        let grown = if silent > SILENT_AFTER {
            silent.as_secs_f64()
        } else {
            0.0
        };
        IngestLag {
            seconds: self.lag_seconds + grown,
            bytes: self.lag_bytes,
            spool_used_ratio: self.spool_used,
        }
    }

    /// The verdict on it.
    pub fn check(&self, now: Timestamp) -> Check {
        let age = Duration::from_micros(
            u64::try_from(now.micros().saturating_sub(self.at.micros())).unwrap_or(0),
        );
        let (status, message) = if age > SILENT_AFTER {
            let message = format!(
                "process {} has said nothing for {} s; look whether it still runs, and start it again",
                self.pid,
                age.as_secs()
            );
            (Status::Failing, message)
        } else if let Some(reason) = &self.paused {
            (Status::Degraded, format!("waits: {reason}"))
        } else if let Some(reason) = &self.spooling {
            let message = format!("records wait in the spool: {reason}");
            (Status::Degraded, message)
        } else {
            let message = format!(
                "process {} follows {} files, {} bytes behind",
                self.pid, self.files, self.lag_bytes
            );
            (Status::Ok, message)
        };
        Check {
            name: "ingest".to_owned(),
            status,
            message,
        }
    }
}

/// Takes the word back: a follower that ends well leaves none. Blocking.
pub fn forget(state_dir: &Path) {
    // Left behind, it is told as silence: too careful rather than too trusting.
    let _ = fs::remove_file(path(state_dir));
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::*;
    use atalaya_ingest::spool::SpoolStatus;
    use atalaya_store::error::{Reason, StoreError};

    #[test]
    fn is_told_until_it_is_forgotten_and_silence_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(FollowerState::read(folder.path()).unwrap(), None);
        let mut state = FollowerState::of(&IngestStatus::default());
        state.write(folder.path()).unwrap();
        assert_eq!(
            FollowerState::read(folder.path()).unwrap().as_ref(),
            Some(&state)
        );
        assert_eq!(state.check(state.at).status, Status::Ok);
        let later = state.at.saturating_add(Duration::from_secs(31));
        assert_eq!(state.check(later).status, Status::Failing);
        state.paused = Some("disk full".to_owned());
        let check = state.check(state.at);
        assert_eq!(
            (check.status, &*check.message),
            (Status::Degraded, "waits: disk full")
        );
        forget(folder.path());
        assert_eq!(FollowerState::read(folder.path()).unwrap(), None);
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        FollowerState::read(folder.path()).unwrap_err();
    }

    /// Whatever a store says that has a remedy, others hear the remedy too: paused or spooling.
    #[test]
    fn what_to_do_is_said_to_others() {
        let older = StoreError::OlderSchema {
            address: "10.0.0.1:9042".to_owned(),
            found: 1,
            known: 2,
        };
        let reason = Reason::from(&StoreError::NotOpen(Arc::new(older)));
        let paused = IngestStatus {
            paused: Some(reason.clone()),
            ..IngestStatus::default()
        };
        let spooling = IngestStatus {
            spool: Some(SpoolStatus {
                state: SpoolState::Away {
                    since: Timestamp::now(),
                    reason,
                },
                ..SpoolStatus::default()
            }),
            ..IngestStatus::default()
        };
        for status in [paused, spooling] {
            let state = FollowerState::of(&status);
            let check = state.check(state.at);
            assert_eq!(check.status, Status::Degraded);
            assert!(
                check.message.ends_with("; run `atalaya db migrate`"),
                "{}",
                check.message
            );
        }
    }
}
