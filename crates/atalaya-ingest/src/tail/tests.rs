#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::*;
use atalaya_domain::record::{Entry, Layer};
use atalaya_format::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, Shape, plain};

const OLD: &str = "old 1\nold 2\nold 3\n";

/// Changes the file while a turn at it is under way: when the last old line is parsed.
#[derive(Debug)]
struct Meddling {
    path: PathBuf,
    how: fn(&Path),
}

impl Format for Meddling {
    fn spec(&self) -> &FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "meddling",
            source: "app/test",
            layer: Layer::Application,
            begins: Begins::ANY,
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }
    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        if text == "old 3" {
            (self.how)(&self.path);
        }
        plain::read(text, hint, out);
        Ok(())
    }
}

/// Reads a file of [`OLD`] in one turn, in pieces of its size.
fn one_turn(how: fn(&Path)) -> (Turn, u64, Vec<Entry>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    fs::write(&path, OLD).unwrap();
    // A format lives as long as the program.
    let format: &'static Meddling = Box::leak(Box::new(Meddling {
        path: path.clone(),
        how,
    }));
    let input = IngestInput {
        format: Some(Shape::Format(format)),
        ..IngestInput::detected(path.to_string_lossy().into_owned())
    };
    let limits = Limits::default();
    let reading = Reading {
        input: &input,
        host: "host",
        path: &path,
        limits: &limits,
        there_until: OLD.len() as u64,
        modified: Timestamp::from_seconds(1_000),
        wall: Timestamp::from_seconds(9_000),
    };
    let now = Instant::now();
    let start = Start {
        origin: OriginId::from_u128(1),
        content: Content::Plain(File::open(&path).unwrap()),
        offset: 0,
        from: None,
        print: Fingerprint::default(),
        format: None,
    };
    let mut tail = Tail::new(start, now).unwrap();
    let (mut buffer, mut frames) = ([0; 64], Vec::new());
    let turn = tail
        .turn(&mut buffer, 1 << 20, reading, now, &mut frames)
        .unwrap();
    tail.give_complete(&mut frames);
    (
        turn,
        tail.read_to(),
        frames.into_iter().flat_map(|frame| frame.entries).collect(),
    )
}

/// The piece of a line that was there when the file was opened is no line of its own, however much
/// came behind it: neither for the turn nor for the end of the reading.
#[test]
fn a_line_begun_before_the_opening_and_ended_after_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let lines: Vec<String> = (0..9).map(|line| format!("line {line} of nine")).collect();
    let text = lines.join("\n") + "\n";
    let input = IngestInput::detected(path.to_string_lossy().into_owned());
    let limits = Limits::default();
    let now = Instant::now();
    for there in 1..text.len() {
        for (at_turn, at_end) in [(there, text.len()), (text.len(), text.len())] {
            let reading = Reading {
                input: &input,
                host: "host",
                path: &path,
                limits: &limits,
                there_until: there as u64,
                modified: Timestamp::from_seconds(1_000),
                wall: Timestamp::from_seconds(9_000),
            };
            let (mut buffer, mut entries, mut offset) = ([0; 40], Vec::new(), 0);
            for length in [at_turn, at_end, at_end] {
                fs::write(&path, &text[..length]).unwrap();
                let start = Start {
                    origin: OriginId::from_u128(1),
                    content: Content::Plain(File::open(&path).unwrap()),
                    offset,
                    from: None,
                    print: Fingerprint::default(),
                    format: None,
                };
                let (mut tail, mut frames) = (Tail::new(start, now).unwrap(), Vec::new());
                while tail
                    .turn(&mut buffer, 40, reading, now, &mut frames)
                    .unwrap()
                    == Turn::More
                {}
                if length == at_turn && tail.has_partial() {
                    // It grows between the last look and the end of the reading.
                    fs::write(&path, &text[..at_end]).unwrap();
                    let has_begun = tail.decoder.is_some();
                    if !has_begun {
                        tail.finish(StillThere::Yes, &mut buffer, reading, now, &mut frames);
                    }
                }
                tail.settle(&limits, None, &mut frames);
                offset = tail.given();
                entries.extend(frames.into_iter().flat_map(|frame| frame.entries));
            }
            assert_eq!(messages(&entries), lines, "{there}, {at_turn}");
        }
    }
}

fn messages(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.message).collect()
}

/// Between two reads of one turn: only a look after each reading sees it.
#[test]
fn a_file_truncated_and_regrown_within_a_turn_is_not_read_on_in_its_middle() {
    let (turn, read_to, entries) = one_turn(|path| {
        // The same inode, and longer than what was read of it.
        fs::write(
            path,
            "new 1 of the next content\nnew 2 of the next content\n",
        )
        .unwrap();
    });
    assert_eq!(messages(&entries), ["old 1", "old 2", "old 3"]);
    assert_eq!((turn, read_to), (Turn::Changed, OLD.len() as u64));
}

#[test]
fn what_was_there_has_the_time_of_the_file_and_what_comes_its_arrival() {
    let (turn, _, entries) = one_turn(|path| {
        fs::write(path, format!("{OLD}new 1\nnew 2\n")).unwrap();
    });
    assert_eq!(turn, Turn::CaughtUp);
    assert_eq!(
        messages(&entries),
        ["old 1", "old 2", "old 3", "new 1", "new 2"]
    );
    let times: Vec<_> = entries
        .iter()
        .map(|entry| (entry.timestamp.micros(), entry.metadata("time_source")))
        .collect();
    let (modified, arrival) = (
        (1_000_000_000, Some("modified")),
        (9_000_000_000, Some("arrival")),
    );
    assert_eq!(times, [modified, modified, modified, arrival, arrival]);
}
