//! One row of somebody else's table as an entry.
//!
//! Nothing is dropped: a level that is no word of ours stands in the metadata beside `INFO`, and a
//! column that the mapping does not name becomes metadata under its own name.

use scylla::value::{CqlValue, Row};

use atalaya_domain::record::{Entry, Level, Metadata, RequestId};
use atalaya_domain::time::Timestamp;

use super::mapping::{Mapping, Shape};

/// 100 ns steps between the start of the Gregorian calendar and 1970.
const GREGORIAN_TICKS: i64 = 0x01B2_1DD2_1381_4000;
/// Metadata name of a level word that is not ours.
const LEVEL_FIELD: &str = "level";

/// What is known of a row without its texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Brief {
    pub(super) at: Timestamp,
    pub(super) level: Level,
    pub(super) source: Option<String>,
    pub(super) host: Option<String>,
    /// The key beyond the time, encoded.
    pub(super) rest: Option<Vec<u8>>,
}

/// Where the columns of a statement stand.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// In the order of the statement.
    pub(super) columns: Vec<String>,
    rest: std::ops::Range<usize>,
    level: Option<usize>,
    source: Option<usize>,
    host: Option<usize>,
    fields: Option<Fields>,
}

#[derive(Clone, Debug)]
struct Fields {
    message: usize,
    logger: Option<usize>,
    request_id: Option<usize>,
    user_id: Option<usize>,
    session_id: Option<usize>,
    duration_ms: Option<usize>,
    traceback: Option<usize>,
    metadata: Option<usize>,
    /// Name in the metadata, and column.
    extra: Vec<(String, usize)>,
}

impl Layout {
    /// The columns of a row without its texts.
    pub(super) fn brief(mapping: &Mapping, shape: &Shape) -> Self {
        let mut columns = vec![mapping.columns.timestamp.clone()];
        columns.extend(shape.rest.iter().cloned());
        let rest = 1..columns.len();
        let mut add = |name: &Option<String>| {
            name.as_ref().map(|name| {
                columns.push(name.clone());
                columns.len() - 1
            })
        };
        let level = add(&mapping.columns.level);
        let source = add(&mapping.columns.source);
        let host = add(&mapping.columns.host);
        Self {
            columns,
            rest,
            level,
            source,
            host,
            fields: None,
        }
    }

    /// All columns of a row.
    pub(super) fn full(mapping: &Mapping, shape: &Shape) -> Self {
        let mut layout = Self::brief(mapping, shape);
        let columns = &mut layout.columns;
        let mut push = |name: &str| {
            columns.push(name.to_owned());
            columns.len() - 1
        };
        let message = push(&mapping.columns.message);
        let mut add = |name: &Option<String>| name.as_deref().map(&mut push);
        layout.fields = Some(Fields {
            message,
            logger: add(&mapping.columns.logger),
            request_id: add(&mapping.columns.request_id),
            user_id: add(&mapping.columns.user_id),
            session_id: add(&mapping.columns.session_id),
            duration_ms: add(&mapping.columns.duration_ms),
            traceback: add(&mapping.columns.traceback),
            metadata: add(&mapping.columns.metadata),
            extra: mapping
                .columns
                .extra
                .iter()
                .map(|(name, column)| (name.clone(), column))
                .chain(shape.others.iter().map(|column| (column.clone(), column)))
                .map(|(name, column)| (name, push(column)))
                .collect(),
        });
        layout
    }

    /// `None` for a row without a time, which no table has.
    pub(super) fn read_brief(&self, row: &Row) -> Option<Brief> {
        let text_at = |index: Option<usize>| index.and_then(|index| text_of(row, index));
        Some(Brief {
            at: time_of(row.columns.first()?.as_ref()?)?,
            level: self
                .level
                .and_then(|index| level_of(row.columns.get(index)?.as_ref()?))
                .unwrap_or_default(),
            source: text_at(self.source),
            host: text_at(self.host),
            rest: (!self.rest.is_empty()).then(|| self.rest_of(row)),
        })
    }

    fn rest_of(&self, row: &Row) -> Vec<u8> {
        let mut bytes = Vec::new();
        for index in self.rest.clone() {
            let text = row
                .columns
                .get(index)
                .and_then(Option::as_ref)
                .map(text)
                .unwrap_or_default();
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// The entry of a row, at a position that the caller knows.
    pub(super) fn read_entry(&self, row: &mut Row, brief: &Brief, position: u64) -> Entry {
        let Some(fields) = &self.fields else {
            return Entry {
                timestamp: brief.at,
                position,
                level: brief.level,
                ..Entry::default()
            };
        };
        let mut metadata = Metadata::new();
        if let Some(value) = fields
            .metadata
            .and_then(|index| row.columns.get_mut(index)?.take())
        {
            match value {
                CqlValue::Map(pairs) => {
                    metadata.extend(
                        pairs
                            .into_iter()
                            .map(|(name, value)| (into_text(name).into(), into_text(value).into())),
                    );
                }
                other => metadata.push(("metadata".into(), into_text(other).into())),
            }
        }
        let word = self
            .level
            .and_then(|index| row.columns.get(index)?.as_ref());
        if let Some(word) = word.filter(|value| level_of(value).is_none()) {
            add(&mut metadata, LEVEL_FIELD, text(word));
        }
        for (name, index) in &fields.extra {
            if let Some(value) = row.columns.get_mut(*index).and_then(Option::take) {
                add(&mut metadata, name, into_text(value));
            }
        }
        let duration_ms = fields
            .duration_ms
            .and_then(|index| row.columns.get(index)?.as_ref())
            .and_then(|value| text(value).parse().ok());
        let mut take = |index: Option<usize>| {
            index
                .and_then(|index| row.columns.get_mut(index)?.take())
                .map(into_text)
                .filter(|text| !text.is_empty())
        };
        Entry {
            timestamp: brief.at,
            position,
            level: brief.level,
            message: take(Some(fields.message)).unwrap_or_default().into(),
            logger: take(fields.logger).map(Into::into),
            request_id: take(fields.request_id).map(RequestId::new),
            user_id: take(fields.user_id).map(Into::into),
            session_id: take(fields.session_id).map(Into::into),
            duration_ms,
            traceback: take(fields.traceback).map(Into::into),
            metadata,
        }
    }
}

/// Adds a value under a name that is still free: the one given, or one that says it is a column.
fn add(metadata: &mut Metadata, name: &str, value: String) {
    let mut name = name.to_owned();
    while metadata.iter().any(|(known, _)| **known == *name) {
        name.push_str("_column");
    }
    metadata.push((name.into(), value.into()));
}

fn text_of(row: &Row, index: usize) -> Option<String> {
    row.columns
        .get(index)?
        .as_ref()
        .map(text)
        .filter(|text| !text.is_empty())
}

/// The instant of a `timestamp` or `timeuuid`.
pub(super) fn time_of(value: &CqlValue) -> Option<Timestamp> {
    match value {
        CqlValue::Timestamp(at) => Some(Timestamp::from_millis(at.0)),
        CqlValue::Timeuuid(id) => {
            let bytes = id.as_bytes();
            let ticks = (u64::from(u16::from_be_bytes([bytes[6] & 0x0f, bytes[7]])) << 48)
                | (u64::from(u16::from_be_bytes([bytes[4], bytes[5]])) << 32)
                | u64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            Some(Timestamp::from_micros(
                (ticks as i64 - GREGORIAN_TICKS).div_euclid(10),
            ))
        }
        _ => None,
    }
}

/// A level by its word, or by the number of syslog's severities.
fn level_of(value: &CqlValue) -> Option<Level> {
    match value {
        CqlValue::Text(word) | CqlValue::Ascii(word) => Level::from_word(word.trim()),
        CqlValue::TinyInt(_) | CqlValue::SmallInt(_) | CqlValue::Int(_) => {
            let severity = text(value)
                .parse::<u8>()
                .ok()
                .filter(|severity| *severity <= 7)?;
            Some(Level::from_syslog_severity(severity))
        }
        _ => None,
    }
}

fn into_text(value: CqlValue) -> String {
    match value {
        CqlValue::Text(text) | CqlValue::Ascii(text) => text,
        other => text(&other),
    }
}

/// Any value as a person would write it.
fn text(value: &CqlValue) -> String {
    let join = |values: &[CqlValue]| values.iter().map(text).collect::<Vec<_>>().join(", ");
    match value {
        CqlValue::Ascii(text) | CqlValue::Text(text) => text.clone(),
        CqlValue::Boolean(value) => value.to_string(),
        CqlValue::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        CqlValue::Counter(value) => value.0.to_string(),
        CqlValue::Decimal(value) => {
            let (bytes, scale) = value.as_signed_be_bytes_slice_and_exponent();
            decimal(bytes, scale)
        }
        CqlValue::Varint(value) => decimal(value.as_signed_bytes_be_slice(), 0),
        CqlValue::Date(date) => super::key::Day((i64::from(date.0) - (1 << 31)) as i32).to_string(),
        CqlValue::Double(value) => value.to_string(),
        CqlValue::Float(value) => value.to_string(),
        CqlValue::TinyInt(value) => value.to_string(),
        CqlValue::SmallInt(value) => value.to_string(),
        CqlValue::Int(value) => value.to_string(),
        CqlValue::BigInt(value) => value.to_string(),
        CqlValue::Timestamp(at) => Timestamp::from_millis(at.0).to_rfc3339(),
        CqlValue::Inet(address) => address.to_string(),
        CqlValue::Uuid(id) => id.to_string(),
        CqlValue::Timeuuid(id) => id.to_string(),
        CqlValue::List(values) | CqlValue::Set(values) | CqlValue::Vector(values) => {
            format!("[{}]", join(values))
        }
        CqlValue::Map(pairs) => {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{}: {}", text(name), text(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        CqlValue::Empty => String::new(),
        other => format!("{other:?}"),
    }
}

/// A signed big-endian number times ten to the power of minus `scale`.
fn decimal(bytes: &[u8], scale: i32) -> String {
    if bytes.len() > 16 {
        return format!(
            "0x{}",
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        );
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut padded = [if negative { 0xff } else { 0 }; 16];
    padded[16 - bytes.len()..].copy_from_slice(bytes);
    let number = i128::from_be_bytes(padded);
    match usize::try_from(scale) {
        Ok(0) => number.to_string(),
        Ok(scale) if scale <= 64 => {
            let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
            let (whole, part) = digits.split_at(digits.len() - scale);
            format!("{}{whole}.{part}", if number < 0 { "-" } else { "" })
        }
        _ => format!("{number}e{}", -i64::from(scale)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use scylla::value::{CqlDate, CqlDecimal, CqlTimestamp, CqlTimeuuid};

    use super::*;
    use crate::cassandra::foreign::mapping::TimeKind;

    #[test]
    fn values_read_as_a_person_would_write_them() {
        let number = |bytes: &[u8], scale| {
            CqlValue::Decimal(CqlDecimal::from_signed_be_bytes_slice_and_exponent(
                bytes, scale,
            ))
        };
        for (value, expected) in [
            (number(&[0x04, 0xd2], 2), "12.34"),
            (number(&[0xfb, 0x2e], 2), "-12.34"),
            (number(&[5], 3), "0.005"),
            (number(&[7], 0), "7"),
            (CqlValue::Date(CqlDate((1 << 31) + 20_509)), "2026-02-25"),
            (
                CqlValue::Timestamp(CqlTimestamp(1_500)),
                "1970-01-01T00:00:01.500000Z",
            ),
            (
                CqlValue::List(vec![CqlValue::Int(1), CqlValue::Text("a".into())]),
                "[1, a]",
            ),
            (CqlValue::Blob(vec![0, 255]), "00ff"),
            (CqlValue::Boolean(true), "true"),
        ] {
            assert_eq!(text(&value), expected);
        }
        let uuid: uuid::Uuid = "c6054fc0-1600-11f1-8de9-0242ac120002".parse().unwrap();
        let at = time_of(&CqlValue::Timeuuid(CqlTimeuuid::from(uuid))).unwrap();
        let (seconds, nanos) = uuid.get_timestamp().unwrap().to_unix();
        assert_eq!(
            at.micros(),
            seconds as i64 * 1_000_000 + i64::from(nanos) / 1_000
        );
    }

    #[test]
    fn a_row_keeps_everything_that_it_holds() {
        let mut mapping = Mapping::built_in("old", "application_logs").unwrap();
        mapping
            .columns
            .extra
            .insert("pod".to_owned(), "pod_name".to_owned());
        let shape = Shape {
            time: TimeKind::Timestamp,
            rest: vec!["seq".to_owned()],
            request_indexed: false,
            others: vec!["region".to_owned()],
        };
        let layout = Layout::full(&mapping, &shape);
        let some = |text: &str| Some(CqlValue::Text(text.to_owned()));
        let value = |name: &str| match name {
            "timestamp" => Some(CqlValue::Timestamp(CqlTimestamp(1_000))),
            "seq" => Some(CqlValue::Int(4)),
            "level" => some("AUDIT"),
            "message" => some("hello"),
            "request_id" => some(""),
            "user_id" => Some(CqlValue::Int(42)),
            "duration_ms" => Some(CqlValue::Double(1.5)),
            "metadata" => {
                let pair = |name: &str, value: &str| {
                    (CqlValue::Text(name.into()), CqlValue::Text(value.into()))
                };
                Some(CqlValue::Map(vec![pair("level", "x"), pair("path", "/a")]))
            }
            "pod_name" => some("web-1"),
            "region" => some("eu"),
            _ => None,
        };
        let mut row = Row {
            columns: layout.columns.iter().map(|name| value(name)).collect(),
        };
        let brief = layout.read_brief(&row).unwrap();
        assert_eq!(brief.level, Level::Info);
        let rest = brief.rest.clone().unwrap();
        assert_eq!((rest.len(), rest.last()), (9, Some(&b'4')));
        let entry = layout.read_entry(&mut row, &brief, 9);
        assert_eq!(
            (&*entry.message, entry.request_id, entry.user_id.as_deref()),
            ("hello", None, Some("42"))
        );
        assert_eq!(
            (entry.duration_ms, entry.timestamp),
            (Some(1.5), Timestamp::from_seconds(1))
        );
        let metadata: Vec<(&str, &str)> = entry
            .metadata
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            metadata,
            [
                ("level", "x"),
                ("path", "/a"),
                ("level_column", "AUDIT"),
                ("pod", "web-1"),
                ("region", "eu")
            ]
        );
    }
}
