//! The readers on whole files whose format nobody names.
//!
//! `tests/data/cases` holds small files with the records that a reader should get: `logs.jsonl` those
//! that issue 10 came with, `own.jsonl` more of each of its kinds, as real software writes them. What holds of any
//! file is asked of random mixtures of all of them.

use std::path::{Path, PathBuf};

use atalaya::domain::record::{Entry, HOST_FIELD};
use atalaya::domain::time::Timestamp;
use atalaya::ingest::format::SourceZone;
use serde_json::{Value, json};

use crate::decoded::instant;
use crate::mixtures::{self, NOW, mixable, own_cases, read};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
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
    let text = ["logs", "own"]
        .map(|name| std::fs::read_to_string(data(&format!("cases/{name}.jsonl"))).unwrap())
        .concat();
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
        wrong.extend(
            record_differences(want, entry)
                .into_iter()
                .map(|one| format!("record {index}: {one}")),
        );
    }
    wrong
}

/// Fields of a record that are not as expected; what is not named is not compared.
pub fn record_differences(want: &Value, entry: &Entry) -> Vec<String> {
    let got = as_json(entry);
    let mut wrong = Vec::new();
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
                wrong.push(format!("{name} is {got} instead of {want}"));
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

/// Our own cases.
fn corpus() -> Vec<Vec<u8>> {
    mixable(own_cases())
}

#[test]
fn no_word_of_any_mixture_is_lost() {
    mixtures::no_word_of_any_mixture_is_lost(&corpus());
}

#[test]
fn what_follows_changes_nothing_before_it() {
    mixtures::what_follows_changes_nothing_before_it(&corpus());
}

#[test]
fn reading_on_gives_the_same_records() {
    mixtures::reading_on_gives_the_same_records(&corpus());
}

#[test]
fn any_window_of_a_file_says_the_same() {
    mixtures::any_window_of_a_file_says_the_same(&corpus());
}
