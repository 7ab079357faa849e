//! What holds of any file, whatever it is made of: asked of random mixtures of the files of a corpus.
//!
//! The corpus is the caller's: our own cases, or third-party samples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use atalaya::domain::record::Entry;
use atalaya::domain::time::Timestamp;
use atalaya::ingest::format::{Choice, Decoder, Line, SourceZone, TimeHint, detect};

use crate::decoded::{cut_lines, instant};

pub const NOW: &str = "2026-11-30T12:00:00Z";

/// The records of a whole file, as `atalaya ingest` reads it.
pub fn read(bytes: &[u8], zone: SourceZone, modified: &str) -> Vec<Entry> {
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

/// Inputs of all cases and formats of our own, in the same order everywhere.
pub fn own_cases() -> Vec<Vec<u8>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let text = ["cases/logs.jsonl", "cases/own.jsonl"]
        .map(|name| std::fs::read_to_string(data.join(name)).unwrap())
        .concat();
    let cases = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut files: Vec<Vec<u8>> = cases
        .map(|case| case["input"].as_str().unwrap().into())
        .collect();
    let below = |folder: &str| {
        let entries = std::fs::read_dir(data.join(folder)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    files.extend(
        below("cases/reports")
            .iter()
            .map(|path| std::fs::read(path.join("input.log")).unwrap()),
    );
    let is_log = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "log");
    files.extend(
        below("formats")
            .iter()
            .filter(is_log)
            .map(|path| std::fs::read(path).unwrap()),
    );
    files
}

/// Those files of a corpus of which mixtures can be made: UTF-16 and unterminated last lines have tests
/// of their own.
pub fn mixable(mut files: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    files.retain(|file| {
        file.ends_with(b"\n") && !file.starts_with(&[0xff, 0xfe]) && file.is_ascii()
    });
    files
}

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
     facility service millis priority thread short full line lines login code time_taken bytes nest report requested systemd \
     info loglevel category module sourcecontext renderedmessage jsonpayload datetime eventtime timecreated logtime logdate \
     leveldisplayname durationmillis epochsecond extendedstacktrace stacktrace contextmap durationms metrics kong juni junho"
        .split_ascii_whitespace()
        .collect()
}

/// What a record leaves out on purpose: terminal sequences and the escapes of JSON, members that are null or empty, the cursor
/// of a journal, which names a place that the record has anyway, blank lines of a container, and
/// uvicorn's word on an answer whose status says otherwise.
static IN_NO_RECORD: LazyLock<regex::Regex> = LazyLock::new(|| {
    let parts = [
        r"(?:\x1b|\\u001b)\[[0-9;?]*[A-Za-z]",
        r"\\[nrt]",
        r#""\w+"\s*:\s*null"#,
        r"\b\w+=(?:\s|$)",
        r#""__CURSOR"\s*:\s*"[^"]*""#,
        r#"^INFO:\s+\S+ - ""#,
        r"^\S+ std(?:out|err) [FP] ?$",
        r"^\w{3} [ \d]\d \S+ \S+ \w+\[\d+\]: ?$",
        r#"^\{"log": ?"\\n", ?"stream": ?"\w+""#,
    ];
    regex::Regex::new(&parts.join("|")).unwrap()
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

/// Every word of a line stands in a record near it.
pub fn no_word_of_any_mixture_is_lost(files: &[Vec<u8>]) {
    let structural = structural();
    let mut numbers = Numbers(20_261_130);
    let mut wrong = Vec::new();
    for _ in 0..mixtures() {
        let bytes = mixed(files, &mut numbers);
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
pub fn what_follows_changes_nothing_before_it(files: &[Vec<u8>]) {
    let mut numbers = Numbers(7);
    for _ in 0..mixtures() {
        let first = mixed(files, &mut numbers);
        let second = mixed(files, &mut numbers);
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
pub fn reading_on_gives_the_same_records(files: &[Vec<u8>]) {
    let mut numbers = Numbers(99);
    for _ in 0..mixtures() {
        let bytes = mixed(files, &mut numbers);
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
pub fn any_window_of_a_file_says_the_same(files: &[Vec<u8>]) {
    let path = Path::new("x.log");
    let (mut windows, mut silent) = (0, 0);
    for file in files {
        let text = std::str::from_utf8(file).unwrap();
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
