//! Instants and ranges. Everything is UTC with microseconds; zones exist only at the edges
//! (parsing a line, drawing a screen).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(i64);

/// A clock may stand before 1970 (a board without a battery): that is an instant like others.
impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        let micros = |distance: Duration| i64::try_from(distance.as_micros()).unwrap_or(i64::MAX);
        match at.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(micros(after)),
            Err(before) => Self(micros(before.duration()).saturating_neg()),
        }
    }
}

impl Timestamp {
    pub const MIN: Self = Self(i64::MIN);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The wall clock, now. Only edges call this; `domain` itself never does.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The same instant for calendar arithmetic; instants beyond chrono's range are clamped.
    pub fn to_utc(self) -> DateTime<Utc> {
        Utc.timestamp_micros(self.0)
            .single()
            .unwrap_or(if self.0 < 0 {
                DateTime::<Utc>::MIN_UTC
            } else {
                DateTime::<Utc>::MAX_UTC
            })
    }

    /// RFC 3339, UTC, always six decimals: `2026-03-02T10:20:04.118000Z`.
    pub fn to_rfc3339(self) -> String {
        self.to_utc().to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(duration)))
    }

    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(duration)))
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl<Tz: TimeZone> From<DateTime<Tz>> for Timestamp {
    fn from(at: DateTime<Tz>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_rfc3339())
    }
}

/// Instants in JSON as people and other programs read them: RFC 3339 with six decimals. What an
/// older program wrote, a number of microseconds, is read as well.
///
/// For `#[serde(with = "…::time::rfc3339")]`; `rfc3339::option` for an instant that may be absent.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use super::Timestamp;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Micros(i64),
        Text(String),
    }

    impl Written {
        fn instant<E: serde::de::Error>(self) -> Result<Timestamp, E> {
            match self {
                Self::Micros(micros) => Ok(Timestamp::from_micros(micros)),
                Self::Text(text) => chrono::DateTime::parse_from_rfc3339(&text)
                    .map(Timestamp::from)
                    .map_err(|error| E::custom(format!("`{text}` is no instant: {error}"))),
            }
        }
    }

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Written::deserialize(from)
            .map_err(|_| D::Error::custom("an instant is a text like 2026-03-02T10:20:04Z"))?
            .instant()
    }

    /// The same for an instant that may be absent; give it `default` as well.
    pub mod option {
        use serde::{Deserialize, Deserializer, Serializer};

        use super::{Timestamp, Written};

        pub fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => serializer.collect_str(at),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            let written: Option<Written> = Option::deserialize(from)?;
            written.map(Written::instant).transpose()
        }
    }
}

/// Half-open: `from` is inside, `until` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl TimeRange {
    pub const ALL: Self = Self {
        from: Timestamp::MIN,
        until: Timestamp::MAX,
    };

    pub const fn new(from: Timestamp, until: Timestamp) -> Self {
        Self { from, until }
    }

    /// The `length` that ends at `until`.
    pub fn ending(until: Timestamp, length: Duration) -> Self {
        Self {
            from: until.saturating_sub(length),
            until,
        }
    }

    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    pub fn is_empty(&self) -> bool {
        self.from >= self.until
    }

    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self {
            from: self.from.max(other.from),
            until: self.until.min(other.until),
        }
    }

    pub fn length(&self) -> Duration {
        self.until.since(self.from)
    }

    /// The range of the same length that ends where this one begins.
    #[must_use]
    pub fn previous(&self) -> Self {
        Self {
            from: self.from.saturating_sub(self.length()),
            until: self.from,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_1970_is_a_clock() {
        for micros in [-400_000_000_000_000_i64, -1, 0, 1, 1_800_000_000_000_001] {
            let distance = Duration::from_micros(micros.unsigned_abs());
            let at = if micros < 0 {
                UNIX_EPOCH - distance
            } else {
                UNIX_EPOCH + distance
            };
            assert_eq!(Timestamp::from(at).micros(), micros);
        }
    }
}
