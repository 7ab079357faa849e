//! Formats from the configuration: a regular expression with named groups.
//!
//! The groups `timestamp`, `level`, `logger`, `message`, `request_id`, `user_id`, `session_id` and
//! `duration_ms` fill the fields of these names, any other named group becomes metadata. A line
//! that the expression does not match continues the record before it.

use std::borrow::Cow;

use chrono::format::{Item, Parsed as ChronoParsed, StrftimeItems};
use regex::{CaptureLocations, Regex};

use atalaya_domain::record::Layer;

use super::fields::push_unique;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Parsed, TimeHint, level, time, trace,
};

/// What the configuration says of a format.
#[derive(Clone, Debug)]
pub struct Definition {
    pub name: String,
    /// Matched against the first line of a record from its start; `(?s)` and a `.*` at the end
    /// take the continuing lines too.
    pub pattern: String,
    /// `strftime` spelling of the group `timestamp`, as chrono reads it; absent means any spelling
    /// that the built-in formats know.
    pub time_format: Option<String>,
    /// Absent means the name of the format.
    pub source: Option<String>,
    pub layer: Layer,
}

/// Why a definition cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    #[error("format `{name}`: {reason}")]
    Pattern { name: String, reason: String },
    #[error("format `{name}`: the pattern has no group named `message`; add `(?P<message>.*)`")]
    NoMessage { name: String },
    #[error(
        "format `{name}`: `{spelling}` is not a time format; an example is `%Y-%m-%d %H:%M:%S%.f`"
    )]
    TimeFormat { name: String, spelling: String },
    #[error(
        "format `{name}`: a built-in format or another definition has this name; choose another"
    )]
    NameTaken { name: String },
    #[error("the formats of the configuration are defined already")]
    DefinedTwice,
}

/// Which field a group fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Timestamp,
    Level,
    Logger,
    Message,
    RequestId,
    UserId,
    SessionId,
    DurationMs,
    Metadata,
}

/// A format made from its [`Definition`].
#[derive(Debug)]
pub struct UserDefined {
    spec: FormatSpec,
    pattern: Regex,
    groups: Vec<(usize, &'static str, Field)>,
    time_items: Option<Vec<Item<'static>>>,
}

impl UserDefined {
    /// Compiles a definition. Formats live as long as the program (their number is that of the
    /// configuration's entries), so the names are leaked once here and borrowed everywhere.
    pub fn new(definition: Definition) -> Result<&'static Self, DefinitionError> {
        let name = definition.name;
        let pattern = match Regex::new(&definition.pattern) {
            Ok(pattern) => pattern,
            Err(error) => {
                return Err(DefinitionError::Pattern {
                    name,
                    reason: error.to_string(),
                });
            }
        };
        let groups: Vec<(usize, &'static str, Field)> = pattern
            .capture_names()
            .enumerate()
            .filter_map(|(index, group)| Some((index, leak(group?.to_owned()), field(group?))))
            .collect();
        if !groups.iter().any(|(_, _, field)| *field == Field::Message) {
            return Err(DefinitionError::NoMessage { name });
        }
        let mut time_items = None;
        if let Some(spelling) = definition.time_format {
            let items = StrftimeItems::new(&spelling).parse_to_owned();
            time_items = Some(items.map_err(|_| DefinitionError::TimeFormat {
                name: name.clone(),
                spelling,
            })?);
        }
        let name = leak(name);
        let source = definition.source.map_or(name, leak);
        let spec = FormatSpec {
            name,
            source,
            layer: definition.layer,
            begins: Begins::ANY,
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        Ok(Box::leak(Box::new(Self {
            spec,
            pattern,
            groups,
            time_items,
        })))
    }

    fn captures(&self, text: &str) -> Option<CaptureLocations> {
        let mut locations = self.pattern.capture_locations();
        self.pattern.captures_read(&mut locations, text)?;
        // Somewhere in a line is not the line.
        (locations.get(0)?.0 == 0).then_some(locations)
    }

    fn instant(&self, text: &str, hint: &TimeHint) -> Option<time::Instant> {
        let Some(items) = &self.time_items else {
            return time::any(text, hint)
                .or_else(|| time::time_of_day(text, hint))
                .map(|cut| cut.instant);
        };
        let mut parsed = ChronoParsed::new();
        chrono::format::parse(&mut parsed, text, items.iter()).ok()?;
        if let Some(seconds) = parsed.timestamp() {
            let micros = i64::from(parsed.nanosecond().unwrap_or(0) / 1_000);
            return Some(time::Instant::exact(
                atalaya_domain::time::Timestamp::from_micros(
                    seconds.checked_mul(1_000_000)?.checked_add(micros)?,
                ),
            ));
        }
        let offset = parsed.offset();
        let clock = parsed.to_naive_time().ok()?;
        if parsed.year().is_none() && parsed.year_mod_100().is_none() {
            // Any leap year lets 29 February through; the real one is found below.
            parsed.set_year(2000).ok()?;
            let date = parsed.to_naive_date().ok()?;
            return time::yearless(&civil(date, clock)?, hint);
        }
        let date = parsed.to_naive_date().ok()?;
        Some(time::resolve(&civil(date, clock)?, offset, hint.zone))
    }
}

impl Format for UserDefined {
    fn spec(&self) -> &FormatSpec {
        &self.spec
    }

    /// A pattern that fits anything must not tear traces apart.
    fn joins(&self, pending: &str, line: &str) -> Joins {
        if trace::continues_after(pending, line) {
            Joins::Yes
        } else {
            Joins::Unsaid
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let locations = self
            .captures(text)
            .ok_or_else(|| self.mismatch("the pattern does not match"))?;
        let mut message_end = text.len();
        let mut stamped = Ok(());
        for &(index, name, field) in &self.groups {
            let Some((start, end)) = locations.get(index) else {
                continue;
            };
            let value = &text[start..end];
            let filled = || Some(Cow::Borrowed(value));
            match field {
                Field::Timestamp => match self.instant(value, hint) {
                    Some(instant) => out.set_time(instant),
                    None => stamped = Err(self.mismatch("the group `timestamp` is no time")),
                },
                Field::Level => out.set_level(value),
                Field::Logger => out.logger = filled(),
                Field::Message => {
                    out.message = value.into();
                    message_end = end;
                }
                Field::RequestId => out.request_id = filled(),
                Field::UserId => out.user_id = filled(),
                Field::SessionId => out.session_id = filled(),
                Field::DurationMs => {
                    out.duration_ms = value.parse().ok().filter(|ms: &f64| ms.is_finite());
                }
                // A group may be named as the level's own word is kept: both stay.
                Field::Metadata if super::says_nothing(value) => {}
                Field::Metadata => push_unique(out, name, value),
            }
        }
        stamped?;
        // `.` does not match a line feed: what continues goes with the message.
        if let Some(lines) = memchr::memchr(b'\n', text.as_bytes())
            && message_end <= lines
        {
            let mut message = out.message.to_string();
            message.push_str(&text[lines..]);
            out.message = message.into();
        }
        if !self
            .groups
            .iter()
            .any(|(_, _, field)| *field == Field::Level)
        {
            out.level = level::guess(&out.message);
        }
        Ok(())
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn field(group: &str) -> Field {
    match group {
        "timestamp" => Field::Timestamp,
        "level" => Field::Level,
        "logger" => Field::Logger,
        "message" => Field::Message,
        "request_id" => Field::RequestId,
        "user_id" => Field::UserId,
        "session_id" => Field::SessionId,
        "duration_ms" => Field::DurationMs,
        _ => Field::Metadata,
    }
}

fn civil(date: chrono::NaiveDate, clock: chrono::NaiveTime) -> Option<time::Civil> {
    use chrono::{Datelike as _, Timelike as _};
    // chrono keeps a leap second as a nanosecond over one second.
    let leap = clock.nanosecond() >= 1_000_000_000;
    Some(time::Civil {
        year: date.year(),
        month: u8::try_from(date.month()).ok()?,
        day: u8::try_from(date.day()).ok()?,
        hour: u8::try_from(clock.hour()).ok()?,
        minute: u8::try_from(clock.minute()).ok()?,
        second: u8::try_from(clock.second()).ok()? + u8::from(leap),
        micros: (clock.nanosecond() % 1_000_000_000) / 1_000,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::SourceZone;
    use super::*;
    use atalaya_domain::record::Level;
    use atalaya_domain::time::Timestamp;

    fn hint() -> TimeHint {
        TimeHint {
            reference: Timestamp::from_seconds(1_795_314_069),
            zone: SourceZone::Utc,
        } // 2026-11-22
    }

    fn define(
        pattern: &str,
        time_format: Option<&str>,
    ) -> Result<&'static UserDefined, DefinitionError> {
        UserDefined::new(Definition {
            name: "mine".into(),
            pattern: pattern.into(),
            time_format: time_format.map(str::to_owned),
            source: Some("app/mine".into()),
            layer: Layer::Application,
        })
    }

    #[test]
    fn groups_fill_the_fields_of_their_names() {
        let format = define(
            r"^(?P<timestamp>\S+ \S+) \[(?P<level>\w+)\] (?P<logger>\S+) (?P<request_id>\S+) (?P<duration_ms>[\d.]+)ms (?P<shard>\d+) (?P<message>.*)",
            None,
        )
        .unwrap();
        let text = "2026-11-22 02:21:09.5 [WARN] shop.cart r-17 12.5ms 3 slow cart\n  at line two";
        let mut out = Parsed::default();
        format.parse(text, &hint(), &mut out).unwrap();
        assert_eq!(
            out.timestamp.unwrap().to_rfc3339(),
            "2026-11-22T02:21:09.500000Z"
        );
        assert_eq!(out.level, Level::Warning);
        assert_eq!(out.logger.as_deref(), Some("shop.cart"));
        assert_eq!(out.request_id.as_deref(), Some("r-17"));
        assert_eq!(out.duration_ms, Some(12.5));
        assert_eq!(out.message, "slow cart\n  at line two");
        assert!(out.metadata.contains(&("shard".into(), "3".into())));
        assert!(out.metadata.contains(&("severity".into(), "WARN".into())));
        assert_eq!(format.spec().source, "app/mine");
    }

    #[test]
    fn a_time_format_is_read_with_and_without_a_year() {
        for (spelling, stamp, expected) in [
            (
                "%d.%m.%Y %H:%M:%S",
                "22.11.2026 02:21:09",
                Some("2026-11-22T02:21:09.000000Z"),
            ),
            (
                "%d.%m. %H:%M:%S",
                "31.12. 23:00:00",
                Some("2025-12-31T23:00:00.000000Z"),
            ),
            (
                "%d.%m. %H:%M:%S",
                "29.02. 12:00:00",
                Some("2024-02-29T12:00:00.000000Z"),
            ),
            (
                "%Y-%m-%dT%H:%M:%S%z",
                "2026-11-22T02:21:09+0200",
                Some("2026-11-22T00:21:09.000000Z"),
            ),
            ("%s", "1795314069", Some("2026-11-22T02:21:09.000000Z")),
            ("%d.%m.%Y %H:%M:%S", "22.13.2026 02:21:09", None),
        ] {
            let format =
                define(r"^<(?P<timestamp>[^>]+)> (?P<message>.*)", Some(spelling)).unwrap();
            let text = format!("<{stamp}> hello");
            let mut out = Parsed::default();
            let read = format.parse(&text, &hint(), &mut out);
            assert_eq!(read.is_ok(), expected.is_some(), "{spelling}");
            if read.is_ok() {
                assert_eq!(
                    out.timestamp.map(Timestamp::to_rfc3339).as_deref(),
                    expected,
                    "{spelling}"
                );
            }
        }
    }

    #[test]
    fn a_definition_that_cannot_work_says_why() {
        assert!(matches!(
            define("(", None),
            Err(DefinitionError::Pattern { .. })
        ));
        assert!(matches!(
            define("(?P<level>x)", None),
            Err(DefinitionError::NoMessage { .. })
        ));
        assert!(matches!(
            define("(?P<message>x)", Some("%Q")),
            Err(DefinitionError::TimeFormat { .. })
        ));
    }
}
