//! What was read lately of the past, so that a screen that looks again costs nothing. Bounded: the
//! least used half goes when it is full.
//!
//! Nobody tells us of rows that are written late, so an answer is believed for a tenth of the age
//! of what it is about, at most an hour; what is younger than a minute is asked each time.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use atalaya_domain::time::Timestamp;

const YOUNG: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
pub(super) struct Known<K, V> {
    entries: HashMap<K, Remembered<V>>,
    weight: usize,
    most: usize,
    tick: u64,
}

#[derive(Debug)]
struct Remembered<V> {
    value: V,
    weight: usize,
    used: u64,
    until: Timestamp,
}

impl<K: Eq + Hash + Copy, V: Clone> Known<K, V> {
    /// `most` is the sum of the weights that are kept.
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            weight: 0,
            most,
            tick: 0,
        }
    }

    pub(super) fn get(&mut self, key: &K, now: Timestamp) -> Option<V> {
        self.tick += 1;
        let found = self
            .entries
            .get_mut(key)
            .filter(|found| now < found.until)?;
        found.used = self.tick;
        Some(found.value.clone())
    }

    /// `end` is the last instant that the answer is about.
    pub(super) fn put(&mut self, key: K, value: V, weight: usize, end: Timestamp, now: Timestamp) {
        let age = now.since(end);
        if age < YOUNG || weight > self.most {
            return;
        }
        self.tick += 1;
        let until = now.saturating_add((age / 10).min(LONGEST));
        let weight = weight.max(1);
        let before = self.entries.insert(
            key,
            Remembered {
                value,
                weight,
                used: self.tick,
                until,
            },
        );
        self.weight += weight;
        self.weight -= before.map_or(0, |before| before.weight);
        if self.weight > self.most {
            let mut used: Vec<u64> = self.entries.values().map(|entry| entry.used).collect();
            let middle = used.len() / 2;
            let (_, &mut median, _) = used.select_nth_unstable(middle);
            self.entries.retain(|_, entry| entry.used > median);
            self.weight = self.entries.values().map(|entry| entry.weight).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_believed_for_a_while_and_the_least_used_goes() {
        let at = Timestamp::from_seconds;
        let mut known: Known<u32, u32> = Known::new(10);
        known.put(1, 1, 1, at(950), at(1_000));
        assert_eq!(
            known.get(&1, at(1_000)),
            None,
            "50 seconds old: asked again"
        );
        known.put(1, 1, 1, at(0), at(1_000));
        assert_eq!(
            (known.get(&1, at(1_099)), known.get(&1, at(1_100))),
            (Some(1), None)
        );
        known.put(1, 1, 1, at(-1_000_000), at(1_000));
        assert_eq!(
            (known.get(&1, at(4_599)), known.get(&1, at(4_600))),
            (Some(1), None)
        );
        for key in 0..100 {
            known.put(key, key, 1, at(0), at(1_000));
            assert_eq!(known.get(&0, at(1_001)), Some(0), "used all the time");
            assert!(known.entries.len() <= 10 && known.weight == known.entries.len());
        }
        known.put(7, 7, 11, at(0), at(1_000));
        assert!(known.weight <= 10, "larger than all that is kept");
    }
}
