//! Message patterns: equal messages folded into one, with a count. Two messages are equal when they
//! differ only in numbers, ids and quoted texts.

use std::collections::HashMap;

use super::record::{Level, Record, RecordId};
use super::time::Timestamp;

/// Longest quoted text that is taken for one value; an apostrophe is no quote.
const LONGEST_QUOTE: usize = 256;
/// Longest part of a message that counts for its pattern, in bytes.
const LONGEST_MESSAGE: usize = 512;
const UUID_LENGTH: usize = 36;

/// The message with `<n>` for numbers (also addresses, times and versions), `<id>` for long mixed
/// or hexadecimal words and `<text>` for what is quoted. Only the first line counts.
///
/// Numbers that only single signs part (`10.0.0.1:80`, `12:30:15.5`) are one.
pub fn fold(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let end = (0..=line.len().min(LONGEST_MESSAGE))
        .rev()
        .find(|&at| line.is_char_boundary(at))
        .unwrap_or(0);
    let line = &line[..end];
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let width = match first {
            '"' | '\'' | '`' if !out.ends_with(char::is_alphanumeric) => {
                match quoted(rest, first) {
                    Some(width) => {
                        out.push_str("<text>");
                        width
                    }
                    None => plain(&mut out, first),
                }
            }
            word if is_word(word) && is_uuid(rest) => {
                out.push_str("<id>");
                UUID_LENGTH
            }
            word if is_word(word) => {
                let width = rest.find(|next| !is_word(next)).unwrap_or(rest.len());
                fold_word(&rest[..width], &mut out);
                width
            }
            other => plain(&mut out, other),
        };
        rest = &rest[width..];
    }
    out
}

/// A regular expression that the messages of a pattern match, from their first character on. It may
/// match others too: what a placeholder stood for is only known by its kind.
pub fn regex_of(pattern: &str) -> String {
    const PLACEHOLDERS: [(&str, &str); 3] = [
        ("<n>", r"\d+(?:[.:,/T-]\d+)*"),
        ("<id>", r"[0-9A-Za-z_-]+"),
        ("<text>", "[\"'`][^\"'`]*[\"'`]"),
    ];
    let mut out = "^".to_owned();
    let mut rest = pattern;
    while !rest.is_empty() {
        let next = PLACEHOLDERS
            .iter()
            .filter_map(|(word, class)| Some((rest.find(word)?, *word, *class)))
            .min_by_key(|(at, _, _)| *at);
        let Some((at, word, class)) = next else {
            out.push_str(&regex::escape(rest));
            break;
        };
        out.push_str(&regex::escape(&rest[..at]));
        out.push_str(class);
        rest = &rest[at + word.len()..];
    }
    out
}

fn plain(out: &mut String, character: char) -> usize {
    out.push(character);
    character.len_utf8()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Width of a quoted text with its quotes.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let close = text[1..].find(quote)?;
    (close <= LONGEST_QUOTE).then_some(close + 2)
}

fn fold_word(word: &str, out: &mut String) {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        // `deadbeef` without a digit is rarer than `feedback`; words stay words.
        out.push_str(word);
        return;
    }
    if digits == word.len() {
        number(out);
        return;
    }
    let hexadecimal = word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mixed = word.len() >= 8 && digits >= 2 && word.is_ascii();
    if hexadecimal || mixed {
        out.push_str("<id>");
        return;
    }
    let mut in_number = false;
    for character in word.chars() {
        if character.is_ascii_digit() {
            if !in_number {
                number(out);
            }
            in_number = true;
        } else {
            out.push(character);
            in_number = false;
        }
    }
}

/// Appends `<n>`, or lets the number before it stand for both when one sign parts them.
fn number(out: &mut String) {
    let parted = out
        .strip_suffix(['.', ':', ',', '/', '-', 'T'])
        .is_some_and(|before| before.ends_with("<n>"));
    if parted {
        out.pop();
    } else {
        out.push_str("<n>");
    }
}

/// Whether the text begins with `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` in hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .get(UUID_LENGTH)
        .is_none_or(|next| !next.is_ascii_alphanumeric())
        && bytes.get(..UUID_LENGTH).is_some_and(|uuid| {
            uuid.iter().enumerate().all(|(index, byte)| match index {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
        })
}

/// One pattern and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub text: String,
    pub count: u64,
    pub worst: Level,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The record it was first seen in.
    pub example: RecordId,
}

/// Counts patterns in bounded memory: past `limit` patterns, new ones are only counted together.
#[derive(Clone, Debug)]
pub struct Patterns {
    by_text: HashMap<String, Pattern>,
    limit: usize,
    others: u64,
}

impl Patterns {
    pub fn new(limit: usize) -> Self {
        Self {
            by_text: HashMap::new(),
            limit,
            others: 0,
        }
    }

    pub fn add(&mut self, record: &Record) {
        let text = fold(&record.entry.message);
        let (at, level) = (record.entry.timestamp, record.entry.level);
        if let Some(known) = self.by_text.get_mut(&text) {
            known.count += 1;
            known.worst = known.worst.max(level);
            known.first = known.first.min(at);
            known.last = known.last.max(at);
        } else if self.by_text.len() < self.limit {
            let pattern = Pattern {
                text: text.clone(),
                count: 1,
                worst: level,
                first: at,
                last: at,
                example: record.id(),
            };
            self.by_text.insert(text, pattern);
        } else {
            self.others += 1;
        }
    }

    /// The most frequent first; equal counts by text.
    pub fn ranked(&self) -> Vec<&Pattern> {
        let mut ranked: Vec<&Pattern> = self.by_text.values().collect();
        ranked.sort_unstable_by(|left, right| {
            right
                .count
                .cmp(&left.count)
                .then_with(|| left.text.cmp(&right.text))
        });
        ranked
    }

    /// Records of patterns that came after the limit was reached.
    pub fn others(&self) -> u64 {
        self.others
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::record::{Entry, Layer, Origin, OriginId};

    #[test]
    fn what_varies_is_masked() {
        for (message, pattern) in [
            (
                "connection to 10.0.0.1:5432 refused",
                "connection to <n> refused",
            ),
            ("took 15ms, 1.5 s", "took <n>ms, <n> s"),
            (
                "user \"alice\" on 'db 1' can't",
                "user <text> on <text> can't",
            ),
            ("req 835136ae24486dbb4156dcbe21f5d402 done", "req <id> done"),
            ("id 0af76519-16cd-43dd-8448-eb211c80319c.", "id <id>."),
            ("id 12345678-1234-43dd-8448-123456789012", "id <id>"),
            ("at 2026-11-22T12:30:15.250Z up", "at <n>Z up"),
            ("worker7 of utf8", "worker<n> of utf<n>"),
            ("GET /api/users/42?page=3", "GET /api/users/<n>?page=<n>"),
            ("Größe 5 \u{1b}[0m\nsecond line 7", "Größe <n> \u{1b}[<n>m"),
            ("it's 5 o'clock", "it's <n> o'clock"),
            ("", ""),
        ] {
            assert_eq!(fold(message), pattern, "{message}");
        }
    }

    fn record(message: &str, level: Level, seconds: i64) -> Record {
        let origin = Origin {
            id: OriginId::from_u128(1),
            layer: Layer::Application,
            source: "a".into(),
            host: "h".into(),
        };
        let entry = Entry {
            timestamp: Timestamp::from_seconds(seconds),
            position: seconds.unsigned_abs(),
            level,
            message: message.into(),
            ..Entry::default()
        };
        Record {
            origin: Arc::new(origin),
            entry,
        }
    }

    #[test]
    fn equal_messages_are_counted_together_in_bounded_memory() {
        let mut patterns = Patterns::new(2);
        for (index, message) in ["a 1", "b", "a 2", "c", "a 3"].into_iter().enumerate() {
            let level = if index == 2 {
                Level::Error
            } else {
                Level::Info
            };
            patterns.add(&record(message, level, i64::try_from(index).unwrap_or(0)));
        }
        let ranked = patterns.ranked();
        let seen: Vec<_> = ranked
            .iter()
            .map(|pattern| (pattern.text.as_str(), pattern.count))
            .collect();
        assert_eq!(seen, [("a <n>", 3), ("b", 1)]);
        assert_eq!(
            (ranked[0].worst, ranked[0].last),
            (Level::Error, Timestamp::from_seconds(4))
        );
        assert_eq!(patterns.others(), 1);
    }

    #[test]
    fn a_pattern_finds_its_messages_again() {
        for message in [
            "connection to 10.0.0.1:5432 refused (5.2 s)",
            "user \"alice\" of [team] left",
            "req 835136ae24486dbb4156dcbe21f5d402 done",
            "id 0af76519-16cd-43dd-8448-eb211c80319c.",
            "GET /api/users/42?page=3",
        ] {
            let pattern = regex_of(&fold(message));
            let regex = regex::Regex::new(&pattern);
            assert!(
                regex.is_ok_and(|regex| regex.is_match(message)),
                "{message}: {pattern}"
            );
        }
        assert_eq!(regex_of("a.b"), r"^a\.b");
    }

    proptest! {
        #[test]
        fn any_message_folds(message in "\\PC{0,60}|[a-f0-9\"' .:-]{0,60}", number in 0_u32..100_000) {
            let _ = fold(&message);
            let with = |number: u32| fold(&format!("x {number} y"));
            prop_assert_eq!(with(number), with(7));
        }
    }
}
