//! Each format and envelope on a small file of our own, whose records a person wrote down by reading it.
//!
//! `tests/data/formats/<name>.log` is read as `atalaya ingest` reads a file: nobody names its format.
//! `<name>.jsonl` has one line for each record, in order, with what it should say; before them a line
//! `{"file": {"timezone": …}}` where the file needs one. A format without a fixture fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use atalaya::ingest::format::{Choice, Decoder, SourceZone, TimeHint, names};
use serde_json::Value;

use crate::decoded::{cut_lines, instant};
use crate::mixtures::NOW;
use crate::readers::record_differences;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats")
}

/// The names of the fixtures, from one of the two endings.
fn fixtures(ending: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    entries
        .filter_map(|name| Some(name.to_str().unwrap().strip_suffix(ending)?.to_owned()))
        .collect()
}

#[test]
fn every_format_has_a_file_and_every_file_its_records() {
    let known: BTreeSet<String> = names().map(str::to_owned).collect();
    assert_eq!(fixtures(".log"), known);
    assert_eq!(fixtures(".jsonl"), known);
}

/// What we read otherwise than a person does: fixture, the part of the difference that names it, and
/// why. One that does not occur any more fails as well.
const OTHERWISE: &[(&str, &str, &str)] = &[(
    "hclog",
    "it read",
    "an offset without a colon (`+0200`) is left to python, which says the same",
)];

#[test]
fn files_give_the_records_that_a_person_reads_in_them() {
    let mut wrong: Vec<String> = fixtures(".log")
        .iter()
        .flat_map(|name| differences(name))
        .collect();
    for (name, part, reason) in OTHERWISE {
        let before = wrong.len();
        wrong.retain(|one| !(one.starts_with(name) && one.contains(part)));
        if wrong.len() == before {
            wrong.push(format!(
                "{name}: {part} does not differ any more ({reason})"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn differences(name: &str) -> Vec<String> {
    let bytes = std::fs::read(folder().join(format!("{name}.log"))).unwrap();
    let text = std::fs::read_to_string(folder().join(format!("{name}.jsonl"))).unwrap();
    let mut expected: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut zone = SourceZone::Utc;
    if let Some(file) = expected.first().and_then(|first| first.get("file")) {
        zone = SourceZone::Named(file["timezone"].as_str().unwrap().parse().unwrap());
        expected.remove(0);
    }
    let mut decoder = Decoder::new(
        Choice::Any(None),
        TimeHint {
            reference: instant(NOW).unwrap(),
            zone,
        },
    );
    decoder.set_head(&bytes, false);
    let mut entries = Vec::new();
    for line in cut_lines(&bytes) {
        decoder.line(line, &mut |entry| entries.push(entry));
    }
    decoder.finish(&mut |entry| entries.push(entry));

    let mut wrong = Vec::new();
    if entries.len() != expected.len() {
        wrong.push(format!(
            "{name}: {} records instead of {}",
            entries.len(),
            expected.len()
        ));
    }
    let read = decoder.tally().of(name);
    if name != "plain" && read != entries.len() as u64 {
        let labels: Vec<String> = decoder
            .tally()
            .labels()
            .map(|(label, n)| format!("{n} {label}"))
            .collect();
        wrong.push(format!(
            "{name}: it read {read} of {} records: {}",
            entries.len(),
            labels.join(", ")
        ));
    }
    for (index, (want, entry)) in expected.iter().zip(&entries).enumerate() {
        wrong.extend(
            record_differences(want, entry)
                .into_iter()
                .map(|one| format!("{name}, record {index}: {one}")),
        );
    }
    wrong
}
