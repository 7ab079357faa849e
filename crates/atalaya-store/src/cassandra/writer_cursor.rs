//! The cursor of a follower where many writers number their arrivals: how far each one was read,
//! and which chunks were seen lately, since a writer that repeats a put announces it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

/// Chunks remembered. At 100,000 records a second these are those of the last four minutes, and a
/// writer repeats what it sent in the last one; at less, of hours.
const REMEMBERED: usize = 1 << 17;

/// How far each writer's arrivals were read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct WriterCursor {
    pub writers: BTreeMap<Uuid, WriterPlace>,
    pub seen: SeenChunks,
}

/// The next arrival to read of one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WriterPlace {
    pub seq: i64,
    /// How many chunks of that arrival were given already.
    pub given: u32,
}

/// Ids of chunks that were given, up to [`REMEMBERED`] of the latest.
///
/// Cloning is cheap: the ids are in a few sorted runs that are shared and never change. New ones
/// become a run of their own; runs of about one size are merged.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SeenChunks {
    /// Oldest first.
    runs: Vec<Arc<[Uuid]>>,
}

impl SeenChunks {
    pub fn contains(&self, id: &Uuid) -> bool {
        self.runs
            .iter()
            .rev()
            .any(|run| run.binary_search(id).is_ok())
    }

    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum()
    }

    /// Remembers these, and forgets the oldest runs beyond the bound.
    pub fn add(&mut self, mut ids: Vec<Uuid>) {
        if ids.is_empty() {
            return;
        }
        ids.sort_unstable();
        ids.dedup();
        // A run may grow to a quarter of what is remembered, so that forgetting one forgets little.
        while let Some(last) = self.runs.pop_if(|last| {
            last.len() <= ids.len().saturating_mul(2) && last.len() + ids.len() <= REMEMBERED / 4
        }) {
            ids.extend_from_slice(&last);
            ids.sort_unstable();
        }
        self.runs.push(ids.into());
        while self.len() > REMEMBERED {
            self.runs.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_latest_and_forgets_the_oldest() {
        let mut seen = SeenChunks::default();
        let total = REMEMBERED as u128 * 2;
        let mut next = 0;
        let mut step = 1;
        while next < total {
            let ids: Vec<Uuid> = (next..next + step)
                .map(|id| Uuid::from_u128(id * 7_919 % (1 << 90)))
                .collect();
            next += step;
            step = step % 50 + 1;
            seen.add(ids);
            assert!(seen.len() <= REMEMBERED);
            assert!(seen.runs.len() < 64, "{}", seen.runs.len());
        }
        let known = |id: u128| seen.contains(&Uuid::from_u128(id * 7_919 % (1 << 90)));
        assert!((next - REMEMBERED as u128 / 2..next).all(known));
        assert!(!known(0));
        assert!(!known(next));
    }
}
