//! Identities of what is read in place: derived from the row's own key, so that every host and
//! every read gives a record the same one.
//!
//! - An **origin** is one partition, source and host of a table.
//! - A **position** is the row's time within the origin and, where the time is not the whole key, a
//!   hash of the rest of it.
//! - A **chunk** is a slice of one partition between two instants, of one origin. Its id says which,
//!   so that a key can be read without remembering anything.

use chrono::{Days, NaiveDate};
use uuid::Uuid;

use atalaya_domain::chunk::{Bucket, ChunkKey};
use atalaya_domain::record::{Layer, OriginId};
use atalaya_domain::time::Timestamp;

pub(super) const DAY_MS: i64 = 86_400_000;
const TAG_BITS: u32 = 54;
const END_BITS: u32 = 27;
const SOURCE_BITS: u32 = 38;
/// Where 1970 stands among the positions of a table with nothing but the time in its key.
const EPOCH: i64 = 1 << 61;
/// Positions of a table with more than the time in its key: this many bits are the hash.
const HASH_BITS: u32 = 30;
/// And this long before its day a partition's positions begin; they reach as far behind it.
const POSITION_SLACK_MS: i64 = 1 << 33;

/// A partition by its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub(super) i32);

impl Day {
    /// The UTC day of an instant; days beyond the calendar are clamped.
    pub(super) fn of(at: Timestamp) -> Self {
        let days = at.micros().div_euclid(DAY_MS * 1_000);
        Self(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN / 2 } else { i32::MAX / 2 }))
    }

    pub(super) fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    pub(super) fn start_ms(self) -> i64 {
        i64::from(self.0) * DAY_MS
    }

    pub(super) fn to_date(self) -> Option<NaiveDate> {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
        let days = u64::from(self.0.unsigned_abs());
        if self.0 < 0 {
            epoch.checked_sub_days(Days::new(days))
        } else {
            epoch.checked_add_days(Days::new(days))
        }
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_date() {
            Some(date) => date.fmt(formatter),
            None => write!(formatter, "day {}", self.0),
        }
    }
}

/// The origin of a partition's records of one source and host.
pub fn origin_id(table: &str, day: Day, layer: Layer, source: &str, host: &str) -> OriginId {
    OriginId::derive(&[
        b"foreign",
        table.as_bytes(),
        &day.0.to_be_bytes(),
        layer.name().as_bytes(),
        source.as_bytes(),
        host.as_bytes(),
    ])
}

/// The position of a row: rises with the time. `rest` is the encoded remainder of its key, `None`
/// when the time is the whole of it. `None` for a time so far from its day that no position is left.
pub(super) fn position(day: Day, at_ms: i64, rest: Option<&[u8]>) -> Option<u64> {
    let Some(rest) = rest else {
        // Exact, and below the half of what a position can be, beyond which no store is at ease.
        return at_ms
            .checked_add(EPOCH)
            .and_then(|position| u64::try_from(position).ok());
    };
    let offset = at_ms
        .checked_sub(day.start_ms())?
        .checked_add(POSITION_SLACK_MS)?;
    let offset = u64::try_from(offset)
        .ok()
        .filter(|offset| *offset < 1 << 34)?;
    let mut hash = [0_u8; 8];
    hash.copy_from_slice(&blake3::hash(rest).as_bytes()[..8]);
    Some((offset << HASH_BITS) | (u64::from_be_bytes(hash) >> (64 - HASH_BITS)))
}

/// The first instant, in milliseconds, of which a row can have this position or a greater one.
pub(super) fn instant_of(day: Day, position: u64, has_rest: bool) -> i64 {
    if has_rest {
        (position >> HASH_BITS) as i64 - POSITION_SLACK_MS + day.start_ms()
    } else {
        position as i64 - EPOCH
    }
}

/// The position before all rows after this instant.
pub(super) fn position_after(day: Day, at_ms: i64, has_rest: bool) -> u64 {
    position(day, at_ms.saturating_add(1), has_rest.then_some(&[][..])).map_or(
        i64::MAX as u64,
        |next| {
            if has_rest {
                next & !((1 << HASH_BITS) - 1)
            } else {
                next
            }
        },
    )
}

/// What a chunk's id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SliceId {
    /// Which table.
    pub(super) tag: u64,
    /// The partition's day, counted from the bucket's: -1, 0 or 1.
    pub(super) day: i32,
    /// The last instant, in milliseconds from the bucket's start.
    pub(super) end_ms: i64,
    /// Which source and host.
    pub(super) source: u64,
    /// Announced to a follower: holds only what was new then.
    pub(super) announced: bool,
}

/// Of a table, for [`SliceId::tag`].
pub(super) fn table_tag(table: &str) -> u64 {
    short_hash(&[b"tag", table.as_bytes()], TAG_BITS)
}

/// Of a source and host, for [`SliceId::source`].
pub(super) fn source_tag(source: &str, host: &str) -> u64 {
    short_hash(
        &[b"source", source.as_bytes(), host.as_bytes()],
        SOURCE_BITS,
    )
}

fn short_hash(parts: &[&[u8]], bits: u32) -> u64 {
    (OriginId::derive(parts).as_u128() >> (128 - bits)) as u64
}

impl SliceId {
    /// As a version 8 identifier: the 122 bits that such a one leaves free.
    pub(super) fn to_uuid(self) -> Uuid {
        let mut bits = u128::from(self.tag);
        bits = (bits << 2) | (self.day + 1) as u128;
        bits = (bits << END_BITS) | self.end_ms as u128;
        bits = (bits << 1) | u128::from(self.announced);
        bits = (bits << SOURCE_BITS) | u128::from(self.source);
        let high = bits >> 74;
        let middle = (bits >> 62) & 0xfff;
        let low = bits & ((1 << 62) - 1);
        Uuid::from_u128((high << 80) | (8 << 76) | (middle << 64) | (0b10 << 62) | low)
    }

    pub(super) fn of(id: Uuid) -> Self {
        let id = id.as_u128();
        let mut bits = ((id >> 80) << 74) | (((id >> 64) & 0xfff) << 62) | (id & ((1 << 62) - 1));
        let mut take = |width: u32| {
            let value = bits & ((1 << width) - 1);
            bits >>= width;
            value as u64
        };
        let source = take(SOURCE_BITS);
        let announced = take(1) == 1;
        let end_ms = take(END_BITS) as i64;
        let day = take(2) as i32 - 1;
        Self {
            tag: take(TAG_BITS),
            day,
            end_ms,
            source,
            announced,
        }
    }
}

/// The slice of a partition that a key asks for, in milliseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) day: Day,
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
    pub(super) source: u64,
}

pub(super) fn slice_of(key: &ChunkKey) -> Slice {
    let id = SliceId::of(key.id);
    let start_ms = key.bucket.start.micros().div_euclid(1_000);
    Slice {
        day: Day::of(key.bucket.start).plus(id.day),
        from_ms: key.first_at.micros().div_euclid(1_000),
        until_ms: start_ms + id.end_ms,
        source: id.source,
    }
}

/// The key of a slice that lies in one bucket.
pub(super) fn chunk_key(
    bucket: Bucket,
    tag: u64,
    day: Day,
    first_at: Timestamp,
    last_at: Timestamp,
    source: u64,
    announced: bool,
) -> ChunkKey {
    let start_ms = bucket.start.micros().div_euclid(1_000);
    let id = SliceId {
        tag,
        day: day.0 - Day::of(bucket.start).0,
        end_ms: last_at.micros().div_euclid(1_000) - start_ms,
        source,
        announced,
    };
    ChunkKey {
        bucket,
        first_at,
        id: id.to_uuid(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_says_its_slice(
            tag in 0..1_u64 << TAG_BITS,
            day in -1..=1_i32,
            end_ms in 0..DAY_MS,
            source in 0..1_u64 << SOURCE_BITS,
            announced: bool,
        ) {
            let slice = SliceId { tag, day, end_ms, source, announced };
            let id = slice.to_uuid();
            prop_assert_eq!((id.get_version_num(), id.get_variant()), (8, uuid::Variant::RFC4122));
            prop_assert_eq!(SliceId::of(id), slice);
        }

        #[test]
        fn positions_rise_with_the_time_and_lead_back_to_it(
            day in -10_000..40_000_i32,
            first in -DAY_MS * 90..DAY_MS * 90,
            second in -DAY_MS * 90..DAY_MS * 90,
            rest in any::<Option<[u8; 3]>>(),
        ) {
            let day = Day(day);
            let place = |offset: i64| {
                position(day, day.start_ms() + offset, rest.as_ref().map(|rest| &rest[..])).unwrap()
            };
            if first != second {
                prop_assert_eq!(place(first) < place(second), first < second);
            }
            prop_assert_eq!(instant_of(day, place(first), rest.is_some()) - day.start_ms(), first);
            let next = position_after(day, day.start_ms() + first, rest.is_some());
            prop_assert!(next > place(first) && next <= place(first + 1));
            prop_assert_eq!(instant_of(day, next, rest.is_some()) - day.start_ms(), first + 1);
        }
    }

    #[test]
    fn a_time_far_from_its_day_has_a_position_only_where_it_is_the_whole_key() {
        let day = Day::of(Timestamp::from_seconds(1_772_000_000));
        assert!(position(day, 0, None).is_some());
        assert_eq!(position(day, 0, Some(b"x")), None);
        assert_eq!(day.to_string(), "2026-02-25");
    }
}
