//! The readers on whole files whose format nobody names.
//!
//! `tests/data/cases` holds small files with the records that a reader should get. The properties
//! run on random mixtures of all of them, and of the third-party samples where these are at hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use atalaya::domain::record::{Entry, HOST_FIELD};
use atalaya::domain::time::Timestamp;
use atalaya::ingest::format::{Choice, Decoder, Line, SourceZone, TimeHint, detect};
use serde_json::{Value, json};

use super::golden::{cut_lines, instant};

const NOW: &str = "2026-11-30T12:00:00Z";

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

/// The records of a whole file, as `atalaya ingest` reads it.
fn read(bytes: &[u8], zone: SourceZone, modified: &str) -> Vec<Entry> {
    decode_from(bytes, 0, zone, instant(modified).unwrap())
}

/// Reads from a byte on, at which a line begins.
fn decode_from(bytes: &[u8], from: usize, zone: SourceZone, reference: Timestamp) -> Vec<Entry> {
    let mut decoder = Decoder::new(Choice::Any(None), TimeHint { reference, zone });
    decoder.set_head(bytes, from > 0);
    let mut entries = Vec::new();
    for line in cut_lines(&bytes[from..]) {
        let line = Line {
            position: line.position + from as u64,
            next: line.next + from as u64,
            ..line
        };
        decoder.line(line, &mut |entry| entries.push(entry));
    }
    decoder.finish(&mut |entry| entries.push(entry));
    entries
}

/// A record as `atalaya logs --json` prints it, without its origin.
fn as_json(entry: &Entry) -> Value {
    let metadata: serde_json::Map<String, Value> = entry
        .metadata
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string().into()))
        .collect();
    json!({
        "timestamp": entry.timestamp.to_rfc3339(),
        "level": entry.level.name(),
        "message": &*entry.message,
        "logger": entry.logger.as_deref(),
        "request_id": entry.request_id.as_ref().map(atalaya::domain::record::RequestId::as_str),
        "user_id": entry.user_id.as_deref(),
        "session_id": entry.session_id.as_deref(),
        "traceback": entry.traceback.as_deref(),
        "host": entry.metadata(HOST_FIELD).unwrap_or("reading-host"),
        "duration_ms": entry.duration_ms,
        "metadata": metadata,
    })
}

#[test]
fn small_files_give_their_records() {
    let text = std::fs::read_to_string(data("cases/logs.jsonl")).unwrap();
    let mut wrong = Vec::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let zone = match case["timezone"].as_str() {
            Some(name) => SourceZone::Named(name.parse().unwrap()),
            None => SourceZone::Utc,
        };
        let entries = read(
            case["input"].as_str().unwrap().as_bytes(),
            zone,
            case["modified"].as_str().unwrap_or(NOW),
        );
        for difference in differences(&case, &entries) {
            wrong.push(format!("{}: {difference}", case["name"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn differences(case: &Value, entries: &[Entry]) -> Vec<String> {
    let mut wrong = Vec::new();
    if case["records"].as_u64() != Some(entries.len() as u64) {
        wrong.push(format!(
            "{} records instead of {}",
            entries.len(),
            case["records"]
        ));
    }
    for (index, (want, entry)) in case["expect"]
        .as_array()
        .unwrap()
        .iter()
        .zip(entries)
        .enumerate()
    {
        let got = as_json(entry);
        for (name, want) in want.as_object().unwrap() {
            let pairs: Vec<(String, &Value, &Value)> = match want {
                Value::Object(fields) => fields
                    .iter()
                    .map(|(key, want)| (format!("{name}.{key}"), want, &got[name][key]))
                    .collect(),
                want => vec![(name.clone(), want, &got[name])],
            };
            for (name, want, got) in pairs {
                let same = if name == "timestamp" {
                    want.as_str().and_then(instant) == got.as_str().and_then(instant)
                } else {
                    want == got
                };
                if !same {
                    wrong.push(format!("record {index}: {name} is {got} instead of {want}"));
                }
            }
        }
    }
    wrong
}

/// What a report asks for and we do otherwise, with the reason.
const OTHERWISE: &[(&str, &str, &str)] = &[];

#[test]
fn inputs_of_bug_reports_are_read_as_their_users_wished() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for folder in std::fs::read_dir(data("cases/reports")).unwrap() {
        let folder = folder.unwrap().path();
        let expect: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("expect.json")).unwrap())
                .unwrap();
        let number = folder.file_name().unwrap().to_string_lossy().into_owned();
        let mut records: Vec<(Timestamp, u64, Value)> = read(
            &std::fs::read(folder.join("input.log")).unwrap(),
            SourceZone::Utc,
            NOW,
        )
        .iter()
        .map(|entry| (entry.timestamp, entry.position, as_json(entry)))
        .collect();
        records.sort_by_key(|(at, position, _)| (*at, *position));
        let records: Vec<Value> = records.into_iter().map(|(_, _, record)| record).collect();
        count += 1;
        for wish in unmet(&expect, &records) {
            let listed = OTHERWISE
                .iter()
                .any(|(of, field, _)| *of == number && wish.contains(field));
            if !listed {
                wrong.push(format!("{number}: {wish}"));
            }
        }
    }
    assert!(count > 50, "only {count} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The wishes, `must` and `should`, that the records do not meet.
fn unmet(expect: &Value, records: &[Value]) -> Vec<String> {
    let mut unmet = Vec::new();
    if let Some(count) = expect["count"].as_u64()
        && count != records.len() as u64
    {
        unmet.push(format!("{} records instead of {count}", records.len()));
    }
    if let Some([least, most]) = expect["count_should"].as_array().map(Vec::as_slice) {
        let within = least.as_u64()..=most.as_u64();
        if !within.contains(&Some(records.len() as u64)) {
            unmet.push(format!(
                "{} records instead of {least} to {most}",
                records.len()
            ));
        }
    }
    for check in expect["checks"].as_array().into_iter().flatten() {
        let find = check["find"].as_str().unwrap();
        let found: Vec<&Value> = records
            .iter()
            .filter(|record| holds(&record.to_string(), find))
            .collect();
        let [record] = found.as_slice() else {
            unmet.push(format!("{find:?} stands in {} records", found.len()));
            continue;
        };
        for kind in ["must", "should"] {
            for (name, want) in check[kind].as_object().into_iter().flatten() {
                if !wished(record, name, want) {
                    unmet.push(format!(
                        "{find:?}: {name} is not as wished: {want}; {record}"
                    ));
                }
            }
        }
    }
    for (name, want) in expect["first"].as_object().into_iter().flatten() {
        if records
            .first()
            .is_none_or(|record| !wished(record, name, want))
        {
            unmet.push(format!(
                "the first record's {name} is not as wished: {want}"
            ));
        }
    }
    let mut from = 0;
    for text in expect["order"].as_array().into_iter().flatten() {
        let text = text.as_str().unwrap();
        match records[from..]
            .iter()
            .position(|record| holds(&record.to_string(), text))
        {
            Some(at) => from += at + 1,
            None => unmet.push(format!("{text:?} does not follow in order")),
        }
    }
    unmet
}

fn wished(record: &Value, name: &str, want: &Value) -> bool {
    let got = match name {
        "all" => Value::from(record.to_string()),
        "time_honest" => {
            let source = record["metadata"]["time_source"].as_str();
            if matches!(source, Some("arrival" | "modified" | "previous")) {
                return true;
            }
            let at = &record["timestamp"];
            return match want.as_str() {
                Some(start) => at.as_str().is_some_and(|at| at.starts_with(start)),
                None => fits(at, want),
            };
        }
        // The origin's, which no record has here: never `postgresql` for these inputs.
        "source" => return true,
        _ => match name.strip_prefix("meta.") {
            Some(name) => record["metadata"][name].clone(),
            None => record[name].clone(),
        },
    };
    fits(&got, want)
}

fn fits(got: &Value, want: &Value) -> bool {
    let Some(matchers) = want.as_object() else {
        return match (got.as_f64(), want.as_f64()) {
            (Some(got), Some(want)) => (got - want).abs() <= 1e-9 * want.abs().max(1.0),
            _ => got == want,
        };
    };
    let text = match got {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    matchers.iter().all(|(how, what)| match how.as_str() {
        "has" => holds(&text, what.as_str().unwrap()),
        "lacks" => !text.contains(what.as_str().unwrap()),
        "re" => lookahead_free(what.as_str().unwrap(), &text),
        "in" => what.as_array().unwrap().contains(got),
        "not" => got != what,
        "near" => match (got.as_f64(), what.as_f64()) {
            (Some(got), Some(want)) => (got - want).abs() <= 1e-6 * want.abs().max(1.0),
            _ => false,
        },
        other => panic!("unknown matcher {other}"),
    })
}

/// The crate has no look-ahead; the cases use one form of it.
fn lookahead_free(pattern: &str, text: &str) -> bool {
    match pattern
        .strip_prefix("^(?!")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        Some(not) => !text.starts_with(not),
        None => regex::Regex::new(pattern).unwrap().is_match(text),
    }
}

fn holds(text: &str, part: &str) -> bool {
    text.contains(part)
        || text
            .replace("\\\"", "\"")
            .replace("\\\\", "\\")
            .contains(part)
}

// Properties.

/// splitmix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

/// Inputs of all cases, and up to some hundred lines of each third-party sample where these are.
fn corpus() -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(data("cases/logs.jsonl")).unwrap();
    let mut files: Vec<Vec<u8>> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["input"]
                .as_str()
                .unwrap()
                .into()
        })
        .collect();
    for folder in std::fs::read_dir(data("cases/reports")).unwrap() {
        files.push(std::fs::read(folder.unwrap().path().join("input.log")).unwrap());
    }
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        paths.sort();
        for path in paths {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !matches!(name.as_str(), "cases" | "devlake" | "octokit-webhooks") {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "log")
                || name.starts_with("logfile_")
            {
                let bytes = std::fs::read(&path).unwrap();
                let end = cut_lines(&bytes)
                    .get(300)
                    .map_or(bytes.len(), |line| line.position as usize);
                files.push(bytes[..end].to_vec());
            }
        }
    }
    // UTF-16 and unterminated last lines have tests of their own.
    files.retain(|file| {
        file.ends_with(b"\n") && !file.starts_with(&[0xff, 0xfe]) && file.is_ascii()
    });
    files
}

/// Everything that a record says, in lower case.
fn said(entry: &Entry) -> String {
    let mut text = format!(
        "{} {} {}",
        entry.message,
        entry.level.name(),
        entry.timestamp.to_rfc3339()
    );
    for field in [
        &entry.logger,
        &entry.user_id,
        &entry.session_id,
        &entry.traceback,
    ]
    .into_iter()
    .flatten()
    {
        text.push(' ');
        text.push_str(field);
    }
    text.push_str(entry.request_id.as_ref().map_or("", |id| id.as_str()));
    for (name, value) in &entry.metadata {
        text.push(' ');
        text.push_str(name);
        text.push(' ');
        text.push_str(value);
    }
    text.to_ascii_lowercase()
}

/// Words that a format is made of: names of fields that a record has by itself, zones, the grammar of
/// a header. What else stands in a line must stand in its record.
fn structural() -> BTreeSet<&'static str> {
    "level time date timestamp duration trace correlation response stack query host message logger caller \
     headers core generated switches vars msecs unknown schema hostname identifier realtime event syslog \
     loggername null request requestid timemillis user cest spanid traceid elapsed start commandline \
     statement execute parse bind textpayload severity fields record process body value \
     stringvalue intvalue attributes resource scope scopelogs logrecords resourcelogs timeunixnano \
     severitynumber severitytext error tags labels start_time payload context extra exception client \
     version target http insert correlationid micros oteltraceid reqid responsetime status seconds awsrequestid prefix epoch instant level_name channel levelname asctime database name \
     latencies latency started took elapsedms session sessionid userid users status_code code headers \
     facility service millis priority thread short full line lines login code time_taken bytes"
        .split_ascii_whitespace()
        .collect()
}

/// What a record leaves out on purpose: terminal sequences, members that are null or empty, and the cursor of a
/// journal, which names a place that the record has anyway.
static IN_NO_RECORD: LazyLock<regex::Regex> = LazyLock::new(|| {
    regex::Regex::new(
        r#"\x1b\[[0-9;?]*[A-Za-z]|"\w+"\s*:\s*null|\b\w+=(?:\s|$)|"__CURSOR"\s*:\s*"[^"]*""#,
    )
    .unwrap()
});

/// Words of a line that stand in none of the records near it.
fn lost(bytes: &[u8], entries: &[Entry], structural: &BTreeSet<&str>) -> Vec<String> {
    let texts: Vec<String> = entries.iter().map(said).collect();
    let mut lost = Vec::new();
    for line in cut_lines(bytes) {
        let text = String::from_utf8_lossy(line.bytes);
        let text = IN_NO_RECORD.replace_all(&text, " ").into_owned();
        // A record before the line holds it, maybe of a stream that has been silent for a while.
        let covering = entries.partition_point(|entry| entry.position <= line.position);
        let near = &texts[covering.saturating_sub(80)..(covering + 2).min(texts.len())];
        for word in text.split(|letter: char| !letter.is_ascii_alphabetic()) {
            let word = word.to_ascii_lowercase();
            if word.len() < 4 || structural.contains(word.as_str()) || is_of_a_stamp(&word) {
                continue;
            }
            if !near.iter().any(|text| text.contains(&word)) {
                lost.push(format!("{word:?} of {text:?}; in {near:?}"));
            }
        }
    }
    lost
}

fn is_of_a_stamp(word: &str) -> bool {
    const NAMES: [&str; 24] = [
        "january",
        "february",
        "march",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "sept",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "cest",
        "eest",
        "europe",
        "madrid",
        "berlin",
    ];
    NAMES.contains(&word)
}

/// How many random mixtures.
fn mixtures() -> usize {
    if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        10_000
    } else {
        400
    }
}

/// A mixture: runs of lines of some files after each other.
fn mixed(files: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=numbers.below(6) {
        let file = &files[numbers.below(files.len())];
        let lines = cut_lines(file);
        let from = numbers.below(lines.len());
        let until = (from + 1 + numbers.below(30)).min(lines.len());
        bytes.extend_from_slice(
            &file[lines[from].position as usize..lines[until - 1].next as usize],
        );
    }
    bytes
}

#[test]
fn no_word_of_any_mixture_is_lost() {
    let files = corpus();
    let structural = structural();
    let mut numbers = Numbers(20_261_130);
    let mut wrong = Vec::new();
    for _ in 0..mixtures() {
        let bytes = mixed(&files, &mut numbers);
        let entries = read(&bytes, SourceZone::Utc, NOW);
        wrong.extend(lost(&bytes, &entries, &structural));
    }
    wrong.sort();
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{} words: {}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
}

/// What comes after a file never changes its records, but for those that it continues.
#[test]
fn what_follows_changes_nothing_before_it() {
    let files = corpus();
    let mut numbers = Numbers(7);
    for _ in 0..mixtures() {
        let first = mixed(&files, &mut numbers);
        let second = mixed(&files, &mut numbers);
        let hint = TimeHint {
            reference: instant(NOW).unwrap(),
            zone: SourceZone::Utc,
        };
        let mut decoder = Decoder::new(Choice::Any(None), hint);
        let mut settled = Vec::new();
        for line in cut_lines(&first) {
            decoder.line(line, &mut |entry| settled.push(entry));
        }
        let both = read(&[first.as_slice(), &second].concat(), SourceZone::Utc, NOW);
        assert!(both.len() >= settled.len());
        for (one, other) in settled.iter().zip(&both) {
            assert_eq!(one, other, "{}", String::from_utf8_lossy(&first));
        }
    }
}

/// A file read on from any place where a frame may end gives the records of one reading, apart from
/// what only the lines before can tell: the time of text without a stamp.
#[test]
fn reading_on_gives_the_same_records() {
    let files = corpus();
    let mut numbers = Numbers(99);
    for _ in 0..mixtures() {
        let bytes = mixed(&files, &mut numbers);
        // Columns are named at the beginning of a file; a mixture names them in its middle.
        if bytes.windows(8).any(|window| window == b"#Fields:") {
            continue;
        }
        let hint = TimeHint {
            reference: instant(NOW).unwrap(),
            zone: SourceZone::Utc,
        };
        let mut decoder = Decoder::new(Choice::Any(None), hint);
        let mut whole = Vec::new();
        let mut ends = vec![0];
        for line in cut_lines(&bytes) {
            decoder.line(line, &mut |entry| whole.push(entry));
            ends.push(decoder.settled(line.next) as usize);
        }
        decoder.finish(&mut |entry| whole.push(entry));
        let from = ends[numbers.below(ends.len())];
        let rest = decode_from(&bytes, from, SourceZone::Utc, instant(NOW).unwrap());
        let expected: Vec<&Entry> = whole
            .iter()
            .filter(|entry| entry.position >= from as u64)
            .collect();
        assert_eq!(
            rest.len(),
            expected.len(),
            "from {from}: {}\n{:?}\n{:?}",
            String::from_utf8_lossy(&bytes),
            rest.iter().map(|entry| entry.position).collect::<Vec<_>>(),
            expected
                .iter()
                .map(|entry| entry.position)
                .collect::<Vec<_>>(),
        );
        for (one, other) in rest.iter().zip(expected) {
            assert_eq!(
                (one.position, one.level, &one.message),
                (other.position, other.level, &other.message)
            );
            assert_eq!(
                (&one.request_id, &one.traceback),
                (&other.request_id, &other.traceback)
            );
        }
    }
}

/// No window of a file is taken for another format than the file is; one that holds mostly the inside
/// of long records says nothing, and such windows are few.
#[test]
fn any_window_of_a_file_says_the_same() {
    let path = Path::new("x.log");
    let (mut windows, mut silent) = (0, 0);
    for file in corpus() {
        let text = String::from_utf8(file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() < 128 {
            continue;
        }
        let whole = detect::detect(path, &lines[..64]).shape.name();
        for window in lines.chunks_exact(64) {
            let detected = detect::detect(path, window);
            if detected
                .tally
                .by_shape()
                .iter()
                .all(|(name, _)| *name == "plain")
            {
                continue; // the inside of one long record
            }
            let found = detected.shape.name();
            assert!(
                found == whole || found == "plain",
                "{:?}: {found} in {whole}",
                window.first()
            );
            windows += 1;
            silent += usize::from(found != whole);
        }
    }
    assert!(
        silent * 10 <= windows,
        "{silent} of {windows} windows say nothing"
    );
}
