//! Very much hostile input: no text crashes a parser or the query language.
//!
//! Beside the property tests of the modules, which shrink what fails, these run through a hundred
//! thousand seeded texts each; `ATALAYA_TEST_LONG=1` makes it a million.

use atalaya::domain::time::Timestamp;
use atalaya::ingest::format::{Parsed, Shape, SourceZone, TimeHint, all};
use atalaya::query::{Query, QueryClock, Zone};

fn cases() -> usize {
    if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        1_000_000
    } else {
        100_000
    }
}

/// splitmix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }
}

/// Lines of the formats, to be cut and mixed: their inner branches are reached only from near.
const LINES: [&str; 26] = [
    "1.2.3.4 - - [22/Nov/2026:02:21:09 +0000] \"GET /a?b=c HTTP/1.1\" 200 5 \"-\" \"curl\" req-1 0.5",
    "2026/11/22 02:21:09 [error] 12#34: *5 open() \"/x\" failed (2: No such file), client: 1.2.3.4",
    "[Sat Aug 12 04:05:51 2006] [notice] [pid 12:tid 3] [client 1.2.3.4:5] AH1: x",
    "Nov 22 10:00:00 host app[12]: message",
    "<165>1 2003-10-11T22:14:15.003Z host app 123 ID47 [a@1 b=\"c\\\"d\"] message",
    "2017-07-31 13:36:43.557 CEST [4983] postgres@postgres LOG:  duration: 37.118 ms  statement: SELECT 1",
    "2021-01-04 00:05:58.232 UTC,\"a\",\"b\",36,\"1.2.3.4:5\",5f.6,2,\"x\",2021-01-04 00:05:58 UTC,3/9,0,FATAL,28P01,\"m\"",
    "{\"timestamp\":\"2024-06-27 00:00:07.369 CEST\",\"error_severity\":\"LOG\",\"message\":\"m\\n\"}",
    "2024-01-01T01:02:03.5Z 42 [ERROR] [MY-010131] [Server] x",
    "# Time: 071218 11:48:27",
    "# User@Host: a[b] @ c [1.2.3.4]  Id:     5",
    "# Query_time: 2.4  Lock_time: 0.0 Rows_sent: 1",
    "SET timestamp=1553436105.25;",
    "{\"level\":50,\"time\":1767225600123,\"a\":{\"b\":[1,{}]},\"err\":{\"stack\":\"x\\u00e9\\ud83d\"}}",
    "time=\"2022/09/11 16:31:21\" level=info msg=\"a \\\"b\" err=&{x [y z]} took=1m2s",
    "{\"log\":\"a\\tb\\n\",\"stream\":\"stdout\",\"time\":\"2016-03-02T22:58:51.338462311Z\"}",
    "2016-10-06T00:17:09.669794202Z stdout P log content",
    "2026-01-01 00:00:00,123 - a.b - WARNING - d",
    "2026-01-01T00:00:00.000Z  INFO 1 --- [a] [b] c.D : m",
    "Nov 22 10:00:00 |INFO| message key=value other=\"x y\"",
    "{\"__REALTIME_TIMESTAMP\":\"1534860261221373\",\"MESSAGE\":[104,105,255],\"PRIORITY\":\"3\"}",
    "[2018-05-11T07:46:31,112][INFO ][o.e.n.Node] [node-0] [index/id] message",
    "I20210131 14:48:54.411655 15520 main.c++:9] Hello",
    "2026-11-22 10:00:00 status installed bash:amd64 5.2",
    "[pid: 1|app: 0|req: 1/1] 127.0.0.1 () {3 vars in 4 bytes} [Sun Mar 13 22:49:15 2016] GET / => generated 1 bytes in 0 msecs (HTTP/1.1 200)",
    "web-1  | 2024-04-25T05:54:43.000Z hello",
];

const ODD: [&str; 16] = [
    "\"",
    "\\",
    "[",
    "]",
    "{",
    "}",
    "\0",
    "\u{202e}",
    "é",
    "日",
    "\u{1b}[",
    "=",
    ":",
    "99999999999999999999",
    "-",
    "\u{e000}",
];

/// A part of a line, at the bounds of characters.
fn part(line: &str, numbers: &mut Numbers) -> String {
    let characters: Vec<char> = line.chars().collect();
    let from = numbers.below(characters.len());
    let until = from + numbers.below(characters.len() - from + 1);
    // Mostly from the beginning: that is where formats look first.
    let from = if numbers.below(3) == 0 { from } else { 0 };
    characters[from..until].iter().collect()
}

#[test]
fn no_line_crashes_a_parser() {
    let hint = TimeHint {
        reference: Timestamp::from_seconds(1_790_000_000),
        zone: SourceZone::Utc,
    };
    let mut numbers = Numbers(1);
    let formats: Vec<Shape> = all().collect();
    let mut read = 0;
    for case in 0..cases() {
        let mut text = part(numbers.of(&LINES), &mut numbers);
        for _ in 0..numbers.below(4) {
            text.push_str(numbers.of(&ODD));
            if numbers.below(2) == 0 {
                text.push_str(&part(numbers.of(&LINES), &mut numbers));
            }
            if numbers.below(8) == 0 {
                text.push('\n');
            }
        }
        let format = formats[case % formats.len()];
        let mut parsed = Parsed::default();
        let found = match format {
            Shape::Format(format) => {
                let first = text.lines().next().unwrap_or_default();
                let _ = (
                    format.opens(first),
                    format.joins(first, text.lines().last().unwrap_or_default()),
                );
                format.parse(&text, &hint, &mut parsed).is_ok()
            }
            Shape::Envelope(envelope) => envelope.open(&text, &hint, &mut parsed).is_ok(),
            Shape::Plain => false,
        };
        read += usize::from(found);
        assert!(
            parsed.duration_ms.is_none_or(f64::is_finite),
            "{}: {text:?}",
            format.name()
        );
    }
    assert!(
        read > cases() / 100,
        "only {read} texts were read: the lines are too far from real ones"
    );
}

const WORDS: [&str; 44] = [
    "level",
    "level>=",
    "level:",
    "warning",
    "error",
    "source:",
    "nginx/*",
    "request_id:",
    "req-42",
    "user:",
    "session:",
    "duration>",
    "1s",
    "250ms",
    "meta.status:",
    "meta.\"a b\":",
    "502",
    "\"exact phrase\"",
    "\"",
    "/regex/",
    "/re[/",
    "/a+b/i",
    "-",
    "-noise",
    "since:",
    "15m",
    "until:",
    "12:30",
    "at:",
    "2026-11-21T12:30",
    "or",
    "OR",
    "and",
    "(",
    ")",
    "*",
    "a*b",
    "has:",
    "traceback:",
    "layer:",
    "app",
    "infra",
    ",",
    "\\",
];

#[test]
fn no_text_crashes_the_query_language_and_what_it_prints_it_reads() {
    let clock = QueryClock {
        now: Timestamp::from_seconds(1_790_000_000),
        zone: Zone::Utc,
    };
    let mut numbers = Numbers(2);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..cases() {
        let mut text = String::new();
        for _ in 0..=numbers.below(7) {
            text.push_str(match numbers.below(10) {
                0 => numbers.of(&ODD),
                _ => numbers.of(&WORDS),
            });
            if numbers.below(3) > 0 {
                text.push(' ');
            }
        }
        match Query::parse(&text, &clock) {
            Ok(query) => {
                good += 1;
                let printed = query.to_string();
                let again = Query::parse(&printed, &clock)
                    .unwrap_or_else(|error| panic!("{text:?} prints as {printed:?}: {error}"));
                assert_eq!(again.to_string(), printed, "{text:?}");
            }
            Err(error) => {
                bad += 1;
                // Where something is missing at the end, the mark stands behind the text.
                assert!(error.offset <= text.len(), "{text:?}: {error:?}");
                assert!(text.is_char_boundary(error.offset), "{text:?}: {error:?}");
            }
        }
    }
    assert!(
        good > cases() / 50 && bad > cases() / 50,
        "{good} good and {bad} bad ones"
    );
}
