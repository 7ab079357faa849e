//! Golden files: input of third parties beside what their own parsers make of it.
//!
//! A [`Suite`] runs the decoder over a whole file and compares every expected field with ours
//! through a mapping table. A field without a mapping fails the test, and so does a listed
//! difference that does not occur: neither can rot unseen.

#![allow(dead_code, reason = "each test module uses its part of this one")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read as _;
use std::path::PathBuf;

use atalaya::domain::record::{Entry, Level};
use atalaya::domain::time::Timestamp;
use atalaya::ingest::format::{Shape, SourceZone, TimeHint};
use serde_json::Value;

pub use crate::decoded::{Decoded, cut_lines, decode, format, hint, instant};

/// Where a file of the samples is: below the folder that `cargo xtask test --reference` names, or
/// where that looks for it by itself.
pub fn data_path(path: &str) -> PathBuf {
    let folder = std::env::var_os("ATALAYA_REFERENCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    assert!(
        folder.is_dir(),
        "no third-party samples in {}: cargo xtask test --reference <folder>",
        folder.display()
    );
    folder.join(path)
}

/// The bytes of a file of the samples, decompressed when it is `.gz` or `.bz2`.
pub fn read(path: &str) -> Vec<u8> {
    let full = data_path(path);
    let raw = std::fs::read(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()));
    let mut bytes = Vec::new();
    match full.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            _ = flate2::read::MultiGzDecoder::new(raw.as_slice())
                .read_to_end(&mut bytes)
                .unwrap();
        }
        Some("bz2") => {
            _ = bzip2::read::MultiBzDecoder::new(raw.as_slice())
                .read_to_end(&mut bytes)
                .unwrap();
        }
        _ => bytes = raw,
    }
    bytes
}

pub fn read_json(path: &str) -> Value {
    serde_json::from_slice(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a file with these first lines is.
pub fn detect(lines: &[&str]) -> Shape {
    atalaya::ingest::format::detect::detect(std::path::Path::new("x.log"), lines).shape
}

/// The zone that the beats expectations assume.
pub fn beats_hint() -> TimeHint {
    TimeHint {
        zone: SourceZone::Fixed(chrono::FixedOffset::west_opt(7_200).unwrap()),
        ..hint("2022-01-13T00:00:00Z")
    }
}

/// Where one of ours stands that an expectation names.
#[derive(Clone, Copy)]
pub enum Ours {
    /// The instant, compared to the milliseconds that the expectation has.
    Time,
    /// The level that the expected word means.
    Level,
    Message,
    /// The message, then the traceback after a line feed: expectations that do not take them apart.
    Text,
    Traceback,
    Logger,
    RequestId,
    UserId,
    SessionId,
    /// `duration_ms`, expected in nanoseconds.
    DurationNs,
    /// `duration_ms`, expected in seconds.
    DurationSeconds,
    Meta(&'static str),
    /// Anything else that can be made from an entry.
    Made(fn(&Entry) -> Option<String>),
    /// Not ours to have; the reason stands beside it.
    Left(&'static str),
}

/// A field that is different on purpose.
pub struct Difference {
    /// End of the input's path.
    pub file: &'static str,
    pub field: &'static str,
    /// Index of the record in the file; `None` for all.
    pub record: Option<usize>,
    pub reason: &'static str,
}

pub type Mapping = &'static [(&'static str, Ours)];

/// Fields of the beats expectations that say nothing of the line.
const BEATS_LEFT: [&str; 12] = [
    "event.category",
    "event.kind",
    "event.type",
    "event.outcome",
    "event.dataset",
    "event.module",
    "event.timezone",
    "event.original",
    "fileset.",
    "input.type",
    "service.type",
    "tags",
];

/// Compares a beats module file with its `-expected.json`, positions included.
pub fn beats(path: &str, format_name: &str, mapping: Mapping, differences: &[Difference]) {
    let bytes = read(path);
    let decoded = decode(format(format_name), &bytes, beats_hint());
    let expected = read_json(&format!("{path}-expected.json"));
    let expected = expected.as_array().unwrap();
    // The harness upstream keeps the first 100 events only.
    if expected.len() < 100 {
        assert_eq!(
            decoded.entries.len(),
            expected.len(),
            "{path}: records; ours: {:#?}",
            decoded.entries
        );
    } else {
        assert!(
            decoded.entries.len() >= expected.len(),
            "{path}: {} records",
            decoded.entries.len()
        );
    }
    let rows: Vec<BTreeMap<String, Value>> = expected
        .iter()
        .map(|event| {
            let fields = event.as_object().unwrap().iter();
            fields
                .filter(|(name, _)| {
                    !(BEATS_LEFT.iter().any(|left| name.starts_with(left))
                        || name.contains(".geo.")
                        || name.contains(".as.")
                        || name.starts_with("related.")
                        || name.as_str() == "log.flags"
                        || (name.starts_with("user_agent.")
                            && name.as_str() != "user_agent.original"))
                })
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        })
        .collect();
    compare(path, &decoded.entries, &rows, mapping, differences);
}

/// Compares entries with rows of expected fields, in order. `log.offset` is the position.
pub fn compare(
    path: &str,
    entries: &[Entry],
    rows: &[BTreeMap<String, Value>],
    mapping: Mapping,
    differences: &[Difference],
) {
    let mut wrong = Vec::new();
    let mut used = vec![false; differences.len()];
    for (index, (entry, row)) in entries.iter().zip(rows).enumerate() {
        for (name, want) in row {
            if name == "log.offset" {
                if want.as_u64() != Some(entry.position) {
                    wrong.push(format!(
                        "record {index}: begins at {}, expected {want}",
                        entry.position
                    ));
                }
                continue;
            }
            let Some((_, ours)) = mapping.iter().find(|(known, _)| known == name) else {
                wrong.push(format!("record {index}: no mapping for {name} = {want}"));
                continue;
            };
            let Err(difference) = agrees(entry, *ours, want) else {
                continue;
            };
            let listed = differences.iter().position(|listed| {
                path.ends_with(listed.file)
                    && listed.field == name
                    && listed.record.is_none_or(|record| record == index)
            });
            match listed {
                Some(listed) => used[listed] = true,
                None => wrong.push(format!(
                    "record {index}: {name}: {difference}\n   in {entry:?}"
                )),
            }
        }
    }
    for (difference, used) in differences.iter().zip(used) {
        if path.ends_with(difference.file) && !used {
            wrong.push(format!(
                "{} does not differ ({})",
                difference.field, difference.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{path}:\n{}", wrong.join("\n"));
}

fn agrees(entry: &Entry, ours: Ours, want: &Value) -> Result<(), String> {
    let got: Option<String> = match ours {
        Ours::Left(_) => return Ok(()),
        Ours::Time => {
            let want = want
                .as_str()
                .and_then(instant)
                .ok_or_else(|| format!("no instant: {want}"))?;
            return if entry.timestamp.micros().div_euclid(1_000) == want.micros().div_euclid(1_000)
            {
                Ok(())
            } else {
                Err(format!("{} instead of {want}", entry.timestamp))
            };
        }
        Ours::Level => {
            let word = want.as_str().ok_or_else(|| format!("no word: {want}"))?;
            let want = Level::from_word(word.trim_end_matches(|c: char| c.is_ascii_digit()));
            return if want == Some(entry.level) {
                Ok(())
            } else {
                Err(format!("{} for {word}", entry.level))
            };
        }
        Ours::Message => Some(entry.message.to_string()),
        Ours::Text => Some(match &entry.traceback {
            Some(traceback) => format!("{}\n{traceback}", entry.message),
            None => entry.message.to_string(),
        }),
        Ours::Traceback => entry.traceback.as_deref().map(str::to_owned),
        Ours::Logger => entry.logger.as_deref().map(str::to_owned),
        Ours::RequestId => entry.request_id.as_ref().map(|id| id.as_str().to_owned()),
        Ours::UserId => entry.user_id.as_deref().map(str::to_owned),
        Ours::SessionId => entry.session_id.as_deref().map(str::to_owned),
        Ours::DurationNs => entry.duration_ms.map(|ms| (ms * 1e6).round().to_string()),
        Ours::DurationSeconds => entry.duration_ms.map(|ms| (ms / 1e3).to_string()),
        Ours::Meta(name) => entry.metadata(name).map(str::to_owned),
        Ours::Made(make) => make(entry),
    };
    let want = match want {
        Value::Null => None,
        Value::String(text) if text.is_empty() || text == "-" => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(
            items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect::<Vec<_>>()
                .join(","),
        ),
        other => Some(other.to_string()),
    };
    let same = match (&got, &want) {
        (Some(got), Some(want)) => {
            got == want
                || matches!((got.parse::<f64>(), want.parse::<f64>()), (Ok(a), Ok(b)) if (a - b).abs() <= 1e-9 * b.abs())
        }
        (None, None) => true,
        _ => false,
    };
    if same {
        Ok(())
    } else {
        Err(format!("{got:?} instead of {want:?}"))
    }
}

// Tables.

pub type TableRow = HashMap<String, String>;

/// The rows of a CSV file with a header line. Quoted cells may hold commas, doubled quotes and line
/// feeds.
pub fn csv_table(path: &str) -> Vec<TableRow> {
    let text = String::from_utf8(read(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut rows = csv_cells(&text).into_iter();
    let names = rows.next().unwrap_or_else(|| panic!("{path}: empty"));
    rows.enumerate()
        .map(|(index, cells)| {
            assert_eq!(cells.len(), names.len(), "{path}: row {index}");
            names.iter().cloned().zip(cells).collect()
        })
        .collect()
}

fn csv_cells(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![Vec::new()];
    let mut cell = String::new();
    let mut quoted = false;
    let mut characters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => rows.last_mut().unwrap().push(std::mem::take(&mut cell)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                rows.last_mut().unwrap().push(std::mem::take(&mut cell));
                rows.push(Vec::new());
            }
            other => cell.push(other),
        }
    }
    let last = rows.last_mut().unwrap();
    if !cell.is_empty() || !last.is_empty() {
        last.push(cell);
    }
    rows.retain(|row| !row.is_empty() && row.as_slice() != [""]);
    rows
}

/// Where one of ours stands that a column of an expected table names.
pub enum Column<T> {
    /// The text that the column must have.
    Ours(fn(&T) -> String),
    /// The same, for an instant: however it is spelled there.
    At(fn(&T) -> Option<Timestamp>),
    /// Not ours to have; the reason stands beside it.
    Left(&'static str),
}

/// Compares the rows of an expected table with values of ours, one to one by the row's key. A column
/// without a mapping fails, and so does a mapping without a column.
pub fn compare_table<T>(
    path: &str,
    key_of_row: impl Fn(&TableRow) -> String,
    ours: &BTreeMap<String, T>,
    columns: &[(&str, Column<T>)],
) {
    let rows = csv_table(path);
    assert_eq!(rows.len(), ours.len(), "{path}: rows");
    let mut wrong = Vec::new();
    for row in &rows {
        let key = key_of_row(row);
        let Some(value) = ours.get(&key) else {
            wrong.push(format!("{key}: not among ours"));
            continue;
        };
        let known: BTreeSet<&str> = columns.iter().map(|(name, _)| *name).collect();
        let present: BTreeSet<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(present, known, "{path}: the columns that are mapped");
        for (name, column) in columns {
            let want = &row[*name];
            let (got, want) = match column {
                Column::Left(_) => continue,
                Column::Ours(make) => (make(value), want.clone()),
                Column::At(make) => (
                    make(value).map(Timestamp::to_rfc3339).unwrap_or_default(),
                    if want.is_empty() {
                        String::new()
                    } else {
                        table_time(want).to_rfc3339()
                    },
                ),
            };
            if got != want {
                wrong.push(format!("{key}: {name} is {got:?} and not {want:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{path}:\n{}", wrong.join("\n"));
}

/// `2023-4-10 6:51:47`, with or without milliseconds, or RFC 3339; all UTC.
pub fn table_time(text: &str) -> Timestamp {
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        return at.into();
    }
    chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
        .and_utc()
        .into()
}

#[test]
fn cells_of_a_table_may_be_quoted() {
    let rows = csv_cells("a,b\r\n\"x, \"\"y\"\"\nz\",\n1,2");
    assert_eq!(
        rows,
        [vec!["a", "b"], vec!["x, \"y\"\nz", ""], vec!["1", "2"]]
    );
}
