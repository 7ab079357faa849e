//! What holds for every format and every input, and the rules of joining.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::super::{LineCut, SourceZone, all, by_name, detect::detect};
use super::*;
use atalaya_domain::record::PARSE_ERROR_FIELD;

const REFERENCE: Timestamp = Timestamp::from_seconds(1_795_314_069);

fn hint() -> TimeHint {
    TimeHint {
        reference: REFERENCE,
        zone: SourceZone::Utc,
    }
}

fn decode_lines(choice: Choice, lines: &[&[u8]]) -> (Vec<Entry>, DecodeCounts) {
    let mut decoder = Decoder::new(choice, hint());
    let mut entries = Vec::new();
    let mut position = 0;
    for bytes in lines {
        let next = position + bytes.len() as u64 + 1;
        decoder.line(
            Line {
                position,
                next,
                bytes,
                cut: None,
            },
            &mut |entry| entries.push(entry),
        );
        position = next;
        assert!(decoder.settled(position) <= position);
    }
    decoder.finish(&mut |entry| entries.push(entry));
    assert_eq!(decoder.settled(position), position);
    (entries, decoder.counts())
}

fn decode(name: &str, text: &str) -> Vec<Entry> {
    let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
    decode_lines(Choice::Only(by_name(name).unwrap()), &lines).0
}

#[test]
fn what_does_not_fit_is_kept_with_the_time_before_it() {
    let entries = decode(
        "nginx-access",
        "junk ERROR before\n1.2.3.4 - - [22/Nov/2026:02:21:09 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\"\njunk after",
    );
    let facts: Vec<_> = entries
        .iter()
        .map(|entry| (&*entry.message, entry.level, entry.metadata("time_source")))
        .collect();
    assert_eq!(
        facts,
        [
            ("junk ERROR before", Level::Error, Some("arrival")),
            ("GET / HTTP/1.1", Level::Info, None),
            ("junk after", Level::Info, Some("previous")),
        ]
    );
    assert_eq!(entries[0].timestamp, REFERENCE);
    assert_eq!(entries[2].timestamp, entries[1].timestamp);
    assert_eq!(
        entries[2].metadata("parse_error"),
        Some("not nginx-access: no time in brackets")
    );
}

#[test]
fn header_lines_beyond_the_bound_are_records() {
    let line = format!("#Remark: {}", "x".repeat(1_000));
    let lines = vec![line.as_bytes(); 50];
    let (entries, counts) = decode_lines(Choice::Any(None), &lines);
    let text: usize = entries
        .iter()
        .map(|entry| entry.message.len() + entry.metadata("header").map_or(0, str::len))
        .sum();
    assert!(
        text >= lines.len() * line.len() && entries.len() > 1,
        "{text}"
    );
    assert_eq!(
        counts.lines,
        counts.records + counts.joined + counts.skipped
    );
}

#[test]
fn records_that_are_ended_by_the_bound_are_counted() {
    // A trace that never ends, between whose lines another service writes.
    let begin = ["a-1  | Traceback (most recent call last):".to_owned()];
    let both = |at| {
        [
            format!("a-1  |   File \"a.py\", line {at}, in f"),
            format!("b-1  | order {at} placed"),
        ]
    };
    let lines: Vec<String> = begin.into_iter().chain((0..300).flat_map(both)).collect();
    let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    let (entries, counts) = decode_lines(Choice::Any(None), &lines);
    assert_eq!(entries.len() as u64, counts.records);
    assert!(counts.crowded > 0, "{counts:?}");
    assert_eq!(
        counts.lines,
        counts.records + counts.joined + counts.skipped
    );
}

#[test]
fn a_trace_goes_to_the_traceback_of_its_record() {
    let entries = decode(
        "plain",
        "2026-11-22 02:21:09 ERROR it broke\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n\n    g()\nValueError: bad\n2026-11-22 02:21:10 INFO next",
    );
    assert_eq!(entries.len(), 2);
    assert_eq!(&*entries[0].message, "ERROR it broke");
    assert_eq!(
        entries[0].traceback.as_deref(),
        Some(
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n\n    g()\nValueError: bad"
        )
    );
    assert_eq!(entries[1].traceback, None);
}

#[test]
fn blank_lines_count_as_skipped_unless_a_record_goes_on_after_them() {
    let plain = Choice::Only(Shape::Plain);
    let (entries, counts) = decode_lines(
        plain,
        &[
            b"",
            b"2026-11-22 02:21:09 one",
            b"",
            b"  more",
            b"",
            b"2026-11-22 02:21:10 two",
            b"",
        ],
    );
    assert_eq!(&*entries[0].message, "one\n\n  more");
    assert_eq!(
        counts,
        DecodeCounts {
            lines: 7,
            records: 2,
            joined: 2,
            skipped: 3,
            ..DecodeCounts::default()
        }
    );
}

#[test]
fn a_record_over_the_bounds_is_split_and_says_so() {
    let plain = Choice::Only(Shape::Plain);
    let mut lines: Vec<&[u8]> = vec![b"2026-11-22 02:21:09 ERROR first"];
    lines.extend(std::iter::repeat_n(
        b"  more".as_slice(),
        MAX_RECORD_LINES + 10,
    ));
    let (entries, counts) = decode_lines(plain, &lines);
    let split: Vec<_> = entries
        .iter()
        .map(|entry| (entry.metadata("split"), entry.level, entry.timestamp))
        .collect();
    let time = entries[0].timestamp;
    assert_eq!(
        split,
        [
            (Some("begins"), Level::Error, time),
            (Some("continues"), Level::Error, time)
        ]
    );
    assert_eq!(counts.lines, counts.records + counts.joined);

    let long = vec![b'x'; MAX_RECORD_BYTES / 2 - 100];
    let indented = [b" ".as_slice(), &long].concat();
    let (entries, _) = decode_lines(
        plain,
        &[
            b"2026-11-22 02:21:09 first",
            &indented,
            &indented,
            &indented,
        ],
    );
    assert_eq!(entries.len(), 2);
    assert!(
        entries
            .iter()
            .all(|entry| entry.message.len() <= MAX_RECORD_BYTES)
    );
}

#[test]
fn an_over_long_line_keeps_its_length_and_hash() {
    let mut decoder = Decoder::new(Choice::Only(Shape::Plain), hint());
    let mut entries = Vec::new();
    // The cut went through the second byte of an `é`.
    let bytes = b"2026-11-22 02:21:09 caf\xc3";
    let cut = Some(LineCut {
        length: 1_000,
        hash: 0xabc,
    });
    decoder.line(
        Line {
            position: 0,
            next: 1_001,
            bytes,
            cut,
        },
        &mut |entry| entries.push(entry),
    );
    decoder.finish(&mut |entry| entries.push(entry));
    assert_eq!(&*entries[0].message, "caf");
    assert_eq!(entries[0].metadata("truncated_bytes"), Some("977"));
    assert_eq!(
        entries[0].metadata("line_hash"),
        Some("00000000000000000000000000000abc")
    );
    assert_eq!(entries[0].metadata("escaped_bytes"), None);
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let (entries, _) = decode_lines(
        Choice::Only(Shape::Plain),
        &[b"\xef\xbb\xbf2026-11-22 02:21:09 x"],
    );
    assert_eq!(
        (&*entries[0].message, entries[0].metadata("time_source")),
        ("x", None)
    );
}

#[test]
fn names_of_metadata_are_unique() {
    let line = "<13>1 2026-11-22T02:21:09Z h app - - [a@1 k=\"1\" k=\"2\"] m";
    let entries = decode("syslog", line);
    let names: Vec<&str> = entries[0]
        .metadata
        .iter()
        .map(|(name, _)| &**name)
        .collect();
    assert_eq!(names.iter().filter(|name| **name == "a@1.k").count(), 1);
    assert_eq!(entries[0].metadata("a@1.k"), Some("1"));
}

/// Bytes of the lines that a record was made of are in its fields: for text that no format reads,
/// exactly.
#[test]
fn a_message_that_does_not_fit_gives_its_exact_bytes_back() {
    let bytes = b"no access line \\x41 \xff\xfe\xc3\x28 end";
    let (entries, _) = decode_lines(Choice::Only(by_name("nginx-access").unwrap()), &[bytes]);
    assert_eq!(entries[0].metadata("escaped_bytes"), Some("true"));
    assert_eq!(escape::unescape(&entries[0].message).unwrap(), bytes);
}

/// Lines that look like something: pieces of real formats, cut and mixed.
fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let pieces = prop::sample::select(vec![
        "1.2.3.4 - - [22/Nov/2026:02:21:09 +0000] ",
        "\"GET / HTTP/1.1\" ",
        "200 5 ",
        "\"-\" \"curl\"",
        " 0.5",
        " 12 0.5 [up] []",
        "2026/11/22 02:21:09 [error] 1#2: *3 ",
        ", client: 1.2.3.4, server: x",
        "[Sun Nov 22 02:21:09.1 2026] [core:error] ",
        "[pid 1:tid 2] ",
        "[client ::1:5] ",
        "Nov 22 02:21:09 host ",
        "<34>1 2026-11-22T02:21:09Z h a 1 m ",
        "[id k=\"v\\\"\"",
        "] ",
        "sshd[12]: Failed password for root from ::1 port 5 ssh2",
        "2026-11-22T02:21:09.123Z",
        "  at a.b(C.java:1)",
        "\t",
        "Traceback (most recent call last):",
        "Caused by: x",
        "I20261122 02:21:09.5 7 a.cc:9] ",
        "{\"",
        "MESSAGE\":[1,255",
        "\":1}",
        "{\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":\"x\"}",
        "web-1  | ",
        "[2026-11-22T02:21:09,1][INFO ][c] [n] [gc] ",
        "stdout P ",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-22T02:21:09Z\"}",
        "# Time: 2026-11-22T02:21:09Z",
        "# User@Host: a[a] @ b []",
        "SET timestamp=1795314069;",
        "2026-11-22 02:21:09.5 UTC [12] LOG:  statement: ",
        "level=info msg=\"a b",
        "=",
        "\u{1b}[31m",
        "é",
        "\u{10fe41}",
        "[pid: 1|app: 0|req: 1/1] ::1 () {1 vars in 2 bytes} [Sun Nov 22 02:21:09 2026] GET / => generated 4 bytes in 5 msecs (HTTP/1.1 200) x",
    ]);
    let part = prop_oneof![
        4 => pieces.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>().prop_filter("no line feed", |byte| *byte != b'\n'), 0..12),
        1 => "[ -~]{0,12}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(
        prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat()),
        0..12,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_input_crashes_a_format_and_the_counts_add_up(lines in lines()) {
        let slices: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        for format in all() {
            let (entries, counts) = decode_lines(Choice::Only(format), &slices);
            prop_assert_eq!(counts.lines, slices.len() as u64);
            prop_assert_eq!(counts.lines, counts.records + counts.joined + counts.skipped, "{}", format.name());
            prop_assert_eq!(counts.records, entries.len() as u64);
            prop_assert!(entries.is_sorted_by(|a, b| a.position < b.position));
            let errors = entries.iter().filter(|entry| entry.metadata(PARSE_ERROR_FIELD).is_some()).count();
            prop_assert_eq!(counts.mismatched, errors as u64);
            for entry in &entries {
                let mut names: Vec<&str> = entry.metadata.iter().map(|(name, _)| &**name).collect();
                names.sort_unstable();
                names.dedup();
                prop_assert_eq!(names.len(), entry.metadata.len(), "{}: {:?}", format.name(), entry);
            }
        }
        let texts: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        detect(std::path::Path::new("x"), &texts);
    }

    #[test]
    fn no_byte_of_what_does_not_fit_is_lost(bytes in prop::collection::vec(any::<u8>().prop_filter("no line feed", |byte| *byte != b'\n'), 1..80)) {
        prop_assume!(!bytes.trim_ascii().is_empty());
        prop_assume!(!bytes.starts_with(b"\xef\xbb\xbf"));
        // Terminal sequences are taken off: tests of their own say which.
        prop_assume!(!bytes.contains(&0x1b));
        let (entries, counts) = decode_lines(Choice::Only(by_name("uwsgi").unwrap()), &[&bytes]);
        if counts.skipped == 0 {
            let message = &entries[0].message;
            let exact = match entries[0].metadata("escaped_bytes") {
                Some(_) => escape::unescape(message).unwrap(),
                None => message.as_bytes().to_vec(),
            };
            prop_assert_eq!(exact, bytes);
        }
    }
}
