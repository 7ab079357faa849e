//! A generation that this run has looked at: its open file, if any, and its account.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::accounts::{Counts, FileState};
use crate::format::Shape;
use crate::format::decoder::Tally;
use crate::generation::Generation;
use crate::tail::Tail;
use atalaya_domain::record::Origin;
use atalaya_domain::time::Timestamp;

#[derive(Debug)]
pub(super) struct Active {
    pub path: PathBuf,
    pub input: usize,
    pub tail: Option<Tail>,
    pub state: FileState,
    /// The file is the one that its writer writes to now.
    pub current: bool,
    /// Some directory entry that is looked at holds it.
    pub attached: bool,
    /// What a turn at it knows about the times of its lines.
    pub times: Times,
    /// Its head is in the checkpoint: frames may be sent.
    pub durable: bool,
    pub stopped: bool,
    pub progress: Progress,
    pub account: Account,
    pub retired: Option<Instant>,
}

/// How far it is.
#[derive(Debug)]
pub(super) struct Progress {
    /// Given out in frames by tails that are closed.
    pub given: u64,
    pub acknowledged: u64,
    pub size: u64,
    /// Counts of tails that are closed.
    pub before: Counts,
    pub written: u64,
}

/// What people are told of it.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub format: Option<&'static str>,
    pub formats: Tally,
    pub origin: Option<Arc<Origin>>,
    pub errors: u64,
    pub last_error: Option<String>,
    pub lag_since: Option<Instant>,
    pub rate: Rate,
}

impl Active {
    pub fn new(path: PathBuf, input: usize, offset: u64) -> Self {
        Self {
            path,
            input,
            tail: None,
            state: FileState::Reading,
            current: true,
            attached: true,
            times: Times::default(),
            durable: false,
            stopped: false,
            progress: Progress {
                given: offset,
                acknowledged: offset,
                size: offset,
                before: Counts::default(),
                written: 0,
            },
            account: Account::default(),
            retired: None,
        }
    }

    pub fn counts(&self) -> Counts {
        let mut counts = self.progress.before;
        if let Some(tail) = &self.tail {
            counts.add(&tail.counts());
        }
        counts.written = self.progress.written;
        counts
    }

    pub fn given(&self) -> u64 {
        self.tail.as_ref().map_or(self.progress.given, Tail::given)
    }

    /// Everything that was given out is stored.
    pub fn is_stored(&self) -> bool {
        self.progress.acknowledged >= self.given()
    }

    pub fn note_error(&mut self, error: String) {
        self.account.errors += 1;
        self.account.last_error = Some(error);
    }

    /// Takes what the tail knows of its records.
    pub fn note_formats(&mut self) {
        if let Some(tail) = &self.tail {
            self.account.format = tail.shape().map(Shape::name);
            self.account.formats = tail.tally();
            self.account.origin = tail.record_origin().cloned();
        }
    }

    /// Closes the file; what is known of its bytes goes into the checkpoint.
    pub fn close(&mut self, generation: Option<&mut Generation>) {
        self.note_formats();
        if let Some(tail) = self.tail.take() {
            if let Some(generation) = generation {
                generation.print = tail.print.clone();
                generation.format = tail.shape().map(|shape| shape.name().to_owned());
            }
            self.progress.given = tail.given();
            self.progress.before.add(&tail.counts());
            // Lines that were read and not given out are read again: they do not count twice.
            self.progress.before.lines -= self.progress.before.pending();
        }
    }
}

/// Bytes that were in a file when it was opened, and when they were last written to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub there_until: u64,
    pub modified: Timestamp,
}

/// Records a second, smoothed over some seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
    value: f64,
    last: Option<(Instant, u64)>,
}

impl Rate {
    pub fn update(&mut self, now: Instant, total: u64) -> f64 {
        let Some((then, before)) = self.last else {
            self.last = Some((now, total));
            return 0.0;
        };
        let seconds = now.duration_since(then).as_secs_f64();
        if seconds >= 0.2 {
            let present = total.saturating_sub(before) as f64 / seconds;
            let weight = (seconds / 3.0).min(1.0);
            self.value = self.value * (1.0 - weight) + present * weight;
            if self.value < 0.05 {
                self.value = 0.0;
            }
            self.last = Some((now, total));
        }
        self.value
    }
}
