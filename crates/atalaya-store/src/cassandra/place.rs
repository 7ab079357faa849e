//! Where a row stands and how long it lives: partition, write time and TTL, all derived from the
//! records, so that writing them again writes the same cells.

use scylla::value::CqlDate;
use uuid::Uuid;

use crate::chunks::ChunkSettings;
use crate::engine::build::MINUTE;
use atalaya_domain::chunk::{Bucket, ChunkKey};
use atalaya_domain::record::{Layer, RequestId};
use atalaya_domain::time::Timestamp;

use super::schema::SchemaSettings;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;
/// Partitions of one period of the request index, for each shard of the chunks.
const INDEX_SHARDS: u64 = 256;
/// A longer request id stands in the index by its beginning and its hash.
const INDEX_NAME: usize = 200;

/// A partition of a chunk table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) day: i64,
    pub(super) bucket: i16,
    pub(super) shard: i16,
}

impl Place {
    pub(super) fn of(key: &ChunkKey, settings: &SchemaSettings) -> Self {
        let (day, bucket) = day_and_window(key.bucket, settings);
        Self {
            day,
            bucket,
            shard: shard_of(key.id, settings.shards),
        }
    }

    pub(super) fn date(&self) -> CqlDate {
        date_of(self.day)
    }
}

/// The UTC day of a bucket, counted from 1970, and which window of it the bucket is.
pub(super) fn day_and_window(bucket: Bucket, settings: &SchemaSettings) -> (i64, i16) {
    let start = bucket.start.micros();
    // The first bucket of all begins within its window, at the first instant there is.
    let window = start.rem_euclid(DAY) / width(settings);
    (
        start.div_euclid(DAY),
        i16::try_from(window).unwrap_or(i16::MAX),
    )
}

pub(super) fn bucket_at(layer: Layer, day: i64, window: i16, settings: &SchemaSettings) -> Bucket {
    let start =
        i128::from(day) * i128::from(DAY) + i128::from(window) * i128::from(width(settings));
    let start = start.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    Bucket {
        layer,
        start: Timestamp::from_micros(i64::try_from(start).unwrap_or(i64::MAX)),
    }
}

fn width(settings: &SchemaSettings) -> i64 {
    i64::from(settings.bucket_minutes.max(1)) * MINUTE
}

pub(super) fn chunk_settings(settings: &SchemaSettings) -> ChunkSettings {
    ChunkSettings {
        bucket_minutes: settings.bucket_minutes,
    }
}

/// From the chunk's id, which is a hash: a key alone finds its partition.
fn shard_of(id: Uuid, shards: u16) -> i16 {
    let low = id.as_u128() as u64;
    i16::try_from(low % u64::from(shards.max(1))).unwrap_or(0)
}

/// Cassandra counts days from 5,877,641 BC, with 1970 in the middle.
pub(super) fn date_of(day: i64) -> CqlDate {
    CqlDate(u32::try_from(day + (1 << 31)).unwrap_or(0))
}

pub(super) fn day_of(date: CqlDate) -> i64 {
    i64::from(date.0) - (1 << 31)
}

/// Milliseconds, rounded down: what a `timestamp` holds.
pub(super) fn millis_of(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000)
}

/// First day of the period of the request index that a chunk's bucket falls in.
pub(super) fn period_of(day: i64, settings: &SchemaSettings) -> i64 {
    let days = i64::from(settings.window_days.max(1));
    day.div_euclid(days) * days
}

pub(super) fn index_shard_of(name: &str, settings: &SchemaSettings) -> i16 {
    let hash = blake3::hash(name.as_bytes());
    let number = hash.as_bytes()[..8]
        .iter()
        .fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
    i16::try_from(number % (INDEX_SHARDS * u64::from(settings.shards.max(1)))).unwrap_or(0)
}

/// What a request is called in the index: a key must be short.
pub(super) fn index_name(id: &RequestId) -> std::borrow::Cow<'_, str> {
    let id = id.as_str();
    if id.len() <= INDEX_NAME {
        return id.into();
    }
    let cut = id.floor_char_boundary(INDEX_NAME / 2);
    format!("{}…{}", &id[..cut], blake3::hash(id.as_bytes()).to_hex()).into()
}

/// How long rows live, and as of when they were written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// `None` keeps for ever.
    retention_seconds: Option<i64>,
    pub(super) now: Timestamp,
}

impl Life {
    pub(super) fn new(settings: &SchemaSettings, now: Timestamp) -> Self {
        let seconds = i64::from(settings.retention_days) * 86_400;
        Self {
            retention_seconds: (seconds > 0).then_some(seconds),
            now,
        }
    }

    /// The TTL of what is as new as `newest`: 0 for one that never ends, `None` when it has ended.
    ///
    /// Counted from the record and not from now: a replay writes the same end. A record of the
    /// future lives as long as one of now.
    pub(super) fn ttl(&self, newest: Timestamp) -> Option<i32> {
        let Some(retention) = self.retention_seconds else {
            return Some(0);
        };
        let now = self.now.micros().div_euclid(SECOND);
        let ends = newest
            .micros()
            .div_euclid(SECOND)
            .min(now)
            .saturating_add(retention);
        i32::try_from(ends.saturating_sub(now))
            .ok()
            .filter(|&ttl| ttl > 0)
    }

    /// `USING TIMESTAMP` of what is as new as `newest`: its own time, but not before 1970 and not
    /// after now, which would put its file into a window of its own.
    pub(super) fn written_at(&self, newest: Timestamp) -> i64 {
        newest.micros().clamp(0, self.now.micros().max(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::build::bucket_of;

    fn settings(bucket_minutes: u16, shards: u16, retention_days: u32) -> SchemaSettings {
        SchemaSettings {
            bucket_minutes,
            shards,
            retention_days,
            ..SchemaSettings::default()
        }
    }

    proptest! {
        #[test]
        fn a_bucket_is_found_by_its_day_and_window(
            at in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(-1), Just(0)],
            minutes in prop::sample::select(vec![1_u16, 10, 60, 1_440]),
        ) {
            let settings = settings(minutes, 1, 90);
            let bucket = bucket_of(Layer::Application, Timestamp::from_micros(at), chunk_settings(&settings));
            let (day, window) = day_and_window(bucket, &settings);
            prop_assert_eq!(bucket_at(Layer::Application, day, window, &settings), bucket);
            prop_assert_eq!(day_of(date_of(day)), day);
            prop_assert!((0..1_440 / i16::try_from(minutes).unwrap_or(1)).contains(&window));
        }

        #[test]
        fn an_index_name_is_short_and_its_own(id in "\\PC{0,400}") {
            let request = RequestId::new(id.clone());
            let name = index_name(&request);
            prop_assert!(name.len() <= 200);
            if id.len() <= 200 {
                prop_assert_eq!(&*name, id.as_str());
            }
            prop_assert!((0..256).contains(&index_shard_of(&name, &settings(10, 1, 90))));
        }
    }

    #[test]
    fn ttl_counts_from_the_record() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let day = std::time::Duration::from_secs(86_400);
        let life = Life::new(&settings(10, 1, 90), now);
        assert_eq!(life.ttl(now), Some(90 * 86_400));
        assert_eq!(life.ttl(now.saturating_sub(day)), Some(89 * 86_400));
        assert_eq!(life.ttl(now.saturating_sub(day * 90)), None);
        assert_eq!(life.ttl(Timestamp::MIN), None);
        assert_eq!(
            life.ttl(Timestamp::MAX),
            Some(90 * 86_400),
            "the future lives as long as now"
        );
        // A replay a minute later ends at the same second.
        let later = Life::new(
            &settings(10, 1, 90),
            now.saturating_add(std::time::Duration::from_secs(60)),
        );
        assert_eq!(later.ttl(now), Some(90 * 86_400 - 60));
        let kept = Life::new(&settings(10, 1, 0), now);
        assert_eq!(
            (kept.ttl(now), kept.ttl(Timestamp::MIN)),
            (Some(0), Some(0))
        );
        assert_eq!(life.written_at(Timestamp::MIN), 0);
        assert_eq!(life.written_at(Timestamp::MAX), now.micros());
        assert_eq!(life.written_at(Timestamp::from_micros(5)), 5);
    }
}
