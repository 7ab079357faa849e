//! Where a record's stamp stands in its first line: at the start, or behind a level word, a
//! process, a host or brackets, and not inside a sentence.

use super::super::{TimeHint, level};
use super::cut::{packed, time_of_day, time_of_half_day};
use super::numeric::{Reading, run};
use super::parts::{digits, two};
use super::zone::Instant;
use super::{Cut, any};

/// A stamp begins within this many bytes of a record.
const REACH: usize = 100;
/// It ends within this many: its clock stands behind a date in words at most.
const NEAR: usize = 256;
/// How many words may stand before it.
const TOKENS: usize = 3;

/// A stamp found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// What stands before the stamp, an opening bracket or a quote included.
    pub before: &'a str,
    pub instant: Instant,
    /// What follows the stamp, its separator or closing bracket included.
    pub rest: &'a str,
    /// The stamp is a time of day without a day.
    pub time_only: bool,
}

/// The stamp of the record that a text begins, in any spelling of this module.
///
/// It begins within the first 100 bytes of the first line, at a word's beginning, and no more than
/// three words stand before it: a level, a process, a host, brackets, a key that says *time*. Words
/// of a sentence before it say that it is the sentence's. A bare number since 1970 counts only at the
/// start or in brackets, a time of day also behind a level word.
///
/// One walk over the words before the stamp; it ends at the first word that excludes one, so a
/// text without a stamp costs a few words.
pub fn find<'a>(text: &'a str, hint: &TimeHint) -> Option<Found<'a>> {
    let bytes = text.as_bytes();
    // glog and klog: the level's letter is glued to the stamp.
    if let [b'I' | b'W' | b'E' | b'F' | b'D', b'0'..=b'9', ..] = bytes
        && let Some(cut) = packed(&text[1..], hint)
    {
        return Some(Found {
            before: &text[..1],
            instant: cut.instant,
            rest: cut.rest,
            time_only: false,
        });
    }
    if let Some(found) = behind_process(text, hint) {
        return Some(found);
    }
    if !may_hold_clock(bytes) {
        return None;
    }
    Walk {
        text,
        bytes,
        hint,
        tokens: 0,
        token: None,
        first_plain: true,
        closing: 0,
        prose: false,
        inner: 0,
    }
    .run()
}

/// Whether a time of day stands where one of a stamp could: with a colon, or as `08.30.00` or
/// `083000`, of which four bytes are looked for: `.30.` or any four digits. (So has a number since
/// 1970.) Much text has none, and is told off without a walk.
fn may_hold_clock(bytes: &[u8]) -> bool {
    let near = bytes.get(..NEAR).unwrap_or(bytes);
    if memchr::memchr(b':', near).is_some() {
        return true;
    }
    // Of any four bytes that follow each other one is looked at.
    let mut at = 3;
    while let Some(byte) = near.get(at) {
        if matches!(byte, b'.' | b'0'..=b'9') {
            let around = near.get(at - 3..near.len().min(at + 4)).unwrap_or_default();
            if around.windows(4).any(is_of_clock) {
                return true;
            }
        }
        at += 4;
    }
    false
}

fn is_of_clock(four: &[u8]) -> bool {
    matches!(
        four,
        [b'.', b'0'..=b'9', b'0'..=b'9', b'.']
            | [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9']
    )
}

/// Zabbix glues the process to the stamp: `  4711:20240501:080000.123 text`.
fn behind_process<'a>(text: &'a str, hint: &TimeHint) -> Option<Found<'a>> {
    const WIDEST: usize = 12;
    let bytes = text.as_bytes();
    let colon = bytes
        .iter()
        .take(WIDEST)
        .position(|byte| !matches!(byte, b' ' | b'0'..=b'9'))?;
    let glued = bytes.get(colon) == Some(&b':')
        && bytes.get(colon + 9) == Some(&b':')
        && bytes.get(colon + 1) == Some(&b'2');
    if !glued {
        return None;
    }
    let cut = any(text.get(colon + 1..)?, hint)?;
    Some(Found {
        before: text.get(..=colon)?,
        instant: cut.instant,
        rest: cut.rest,
        time_only: false,
    })
}

/// What a byte is to the walk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Blank,
    /// Sets fields apart as a blank does.
    List,
    Open,
    Close,
    /// A quote or an equals sign: what follows may be a value.
    Value,
    Colon,
    End,
    Other,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Other; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = match at as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'@' | 0x80.. => Class::Word,
            b' ' | b'\t' => Class::Blank,
            b'|' | b';' | b',' => Class::List,
            b'[' | b'(' | b'<' | b'{' => Class::Open,
            b']' | b')' | b'>' | b'}' => Class::Close,
            b'"' | b'\'' | b'=' => Class::Value,
            b':' => Class::Colon,
            b'\n' => Class::End,
            _ => Class::Other,
        };
        at += 1;
    }
    table
}

struct Walk<'a, 'h> {
    text: &'a str,
    bytes: &'a [u8],
    hint: &'h TimeHint,
    /// Words done with.
    tokens: usize,
    /// Where the word under way began.
    token: Option<usize>,
    /// The first word is letters only.
    first_plain: bool,
    /// The bracket that ends the one under way; 0 outside.
    closing: u8,
    /// Inside a bracket: words of a sentence, and how many words.
    prose: bool,
    inner: usize,
}

impl<'a> Walk<'a, '_> {
    fn run(mut self) -> Option<Found<'a>> {
        let limit = self.bytes.len().min(REACH);
        let mut at = 0;
        // A stamp may begin here; nothing but punctuation came so far; where a bracket's word began.
        let (mut may, mut bare, mut inside) = (true, true, 0);
        while at < limit {
            let byte = *self.bytes.get(at)?;
            match class(byte) {
                Class::Word => {
                    if may && let Some(found) = self.stamp(at, bare) {
                        // The time of something else: what follows it is that too.
                        return key_fits(found.before).then_some(found);
                    }
                    self.token.get_or_insert(at);
                    while at < limit
                        && self
                            .bytes
                            .get(at)
                            .is_some_and(|byte| class(*byte) == Class::Word)
                    {
                        at += 1;
                    }
                    (may, bare) = (false, false);
                    continue;
                }
                Class::Blank | Class::List => {
                    self.end_word(at, inside)?;
                    (may, inside) = (true, at + 1);
                }
                Class::Open => {
                    may = !self.is_glued(at) || self.closing == 0 && self.opens_stamp(at);
                    if self.closing == 0 {
                        (self.closing, self.prose, self.inner) = (closing(byte), false, 0);
                        inside = at + 1;
                        self.token.get_or_insert(at);
                    }
                }
                Class::Close => {
                    if byte == self.closing {
                        self.closing = 0;
                    }
                    may = true;
                }
                Class::Value => may = self.quotes_stamp(at, byte),
                Class::Colon => may = self.colon(at),
                Class::End => return None,
                // Rulers and bullets at the start: `--2024-05-01 …`, `*** …`.
                Class::Other => may = bare,
            }
            at += 1;
        }
        None
    }

    /// At a blank: whether a stamp may still come.
    fn end_word(&mut self, at: usize, inside: usize) -> Option<()> {
        if self.closing != 0 {
            if let Some(word) = self.text.get(inside..at).filter(|word| !word.is_empty()) {
                self.prose |= is_prose(word);
                self.inner += 1;
            }
            return Some(());
        }
        let Some(start) = self.token.take() else {
            return Some(());
        };
        let word = self.text.get(start..at)?;
        if self.tokens == 0 {
            self.first_plain = word
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte >= 0x80);
        } else if is_prose(word) {
            // `web-7f9c nginx 2024-…`: the second word may be a program behind a host.
            let program = self.tokens == 1 && !self.first_plain && !is_particle(word);
            if !program {
                return None;
            }
        }
        self.tokens += 1;
        (self.tokens <= TOKENS).then_some(())
    }

    fn is_glued(&self, at: usize) -> bool {
        at > 0
            && self
                .bytes
                .get(at - 1)
                .is_some_and(|byte| class(*byte) == Class::Word)
    }

    /// Whether the value behind a quote or an equals sign may be a stamp: not an argument of a
    /// call, nor a value of an SQL statement.
    fn quotes_stamp(&self, at: usize, byte: u8) -> bool {
        let last = if at == 0 {
            b' '
        } else {
            self.bytes.get(at - 1).copied().unwrap_or(b' ')
        };
        match byte {
            b'=' => true,
            b'\'' => self.closing == 0 && matches!(last, b' ' | b'=' | b':'),
            _ => last != b'(',
        }
    }

    /// Whether a bracket that is glued to a word opens a stamp: `INFO[2024-…`, `audit(1714…`.
    fn opens_stamp(&self, at: usize) -> bool {
        let word = self
            .token
            .and_then(|start| self.text.get(start..at))
            .unwrap_or("");
        word.ends_with("audit") || level::of_any_word(word).is_some()
    }

    /// Behind a colon only the widest spellings begin: `INFO:root:2024-05-01 …`,
    /// `[4711:4711:0501/080000.123:…`.
    fn colon(&self, at: usize) -> bool {
        digits(self.bytes, at + 1, 4) == 4 && matches!(self.bytes.get(at + 5), Some(b'-' | b'/'))
    }

    /// Tries a stamp at `at`; `bare`: nothing but punctuation stands before it.
    fn stamp(&self, at: usize, bare: bool) -> Option<Found<'a>> {
        let rest = self.text.get(at..)?;
        let first = *self.bytes.get(at)?;
        let (cut, time_only) = match first {
            b'0'..=b'9' => match (
                digits(self.bytes, at, 19),
                self.bytes.get(at + 2),
                self.bytes.get(at + 1),
            ) {
                (2, Some(b':'), _) | (1, _, Some(b':')) => {
                    (self.time_of_day(at, rest, bare)?, true)
                }
                (4, _, _)
                    if self.bytes.get(at + 4) == Some(&b'/')
                        && digits(self.bytes, at + 5, 6) == 6 =>
                {
                    (self.chromium(rest)?, false)
                }
                (14 | 17, _, _) => (run(rest, self.hint)?, false),
                (count @ 9.., _, _) => (self.epoch(at, count, rest)?, false),
                _ => (any(rest, self.hint)?, false),
            },
            _ => (any(rest, self.hint)?, false),
        };
        let before = self.text.get(..at)?;
        if self.closing != 0 && (self.prose || self.inner >= TOKENS) {
            return None;
        }
        let goes_on = cut
            .rest
            .as_bytes()
            .first()
            .is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_');
        (!goes_on).then_some(Found {
            before,
            instant: cut.instant,
            rest: cut.rest,
            time_only,
        })
    }

    /// A time of day: at the start, in opening brackets there, or behind one level word.
    fn time_of_day(&self, at: usize, rest: &'a str, bare: bool) -> Option<Cut<'a>> {
        let indented = self
            .bytes
            .first()
            .is_some_and(|first| class(*first) == Class::Blank);
        let behind_level = || {
            level::at_start(self.text).is_some_and(|(_, behind)| {
                behind
                    .trim_start_matches(['[', '(', ' ', '\t', '-', '|'])
                    .len()
                    == self.text.len() - at
            })
        };
        if indented || !(bare || behind_level()) {
            return None;
        }
        let cut = time_of_half_day(rest, self.hint).or_else(|| time_of_day(rest, self.hint))?;
        // `12:34:56:78:9a:bc` is a card's address.
        let goes_on = match cut.rest.as_bytes() {
            [b':', next, ..] => next.is_ascii_alphanumeric(),
            _ => false,
        };
        (!goes_on).then_some(cut)
    }

    /// A number since 1970: at the start or in brackets, of a width that says its unit, in years in
    /// which there were logs.
    fn epoch(&self, at: usize, count: usize, rest: &'a str) -> Option<Cut<'a>> {
        const YEARS: std::ops::Range<i64> = 631_152_000_000_000..4_102_444_800_000_000;
        let opened = at == 0
            || self
                .bytes
                .get(at - 1)
                .is_some_and(|byte| class(*byte) == Class::Open);
        if !opened || !matches!(count, 10 | 13 | 16 | 19) {
            return None;
        }
        let cut =
            super::epoch(rest, self.hint).filter(|cut| YEARS.contains(&cut.instant.at.micros()))?;
        let goes_on = cut.rest.starts_with(['-', '/', '.', '%']);
        (!goes_on).then_some(cut)
    }

    /// `0501/080000.123456`: month, day and clock of Chromium and what is built on it.
    fn chromium(&self, rest: &'a str) -> Option<Cut<'a>> {
        let bytes = rest.as_bytes();
        let date = two(*bytes.first()?, *bytes.get(1)?).zip(two(*bytes.get(2)?, *bytes.get(3)?))?;
        Reading::new(rest.get(5..)?)?.cut_yearless(date.0, date.1, self.hint)
    }
}

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

const fn closing(open: u8) -> u8 {
    match open {
        b'[' => b']',
        b'(' => b')',
        b'<' => b'>',
        _ => b'}',
    }
}

/// An ordinary word of a sentence: small letters only, and no level.
fn is_prose(word: &str) -> bool {
    word.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte >= 0x80)
        && level::of_any_word(word).is_none()
}

/// Small words that stand before a time in a sentence, and before no stamp of a record.
fn is_particle(word: &str) -> bool {
    const PARTICLES: [&str; 24] = [
        "of", "at", "on", "in", "to", "for", "by", "from", "since", "until", "till", "before",
        "after", "between", "with", "the", "is", "was", "and", "or", "than", "as", "am", "um",
    ];
    PARTICLES.contains(&word)
}

/// Whether a value behind what stands before it may be the time of the record: no key at all, or
/// one that says so. `expires=2024-…` and `Last-Modified: Wed, …` are times of something else.
fn key_fits(before: &str) -> bool {
    const TIMES: [&str; 22] = [
        "time",
        "ts",
        "t",
        "timestamp",
        "@timestamp",
        "date",
        "datetime",
        "date_time",
        "at",
        "asctime",
        "when",
        "logtime",
        "log_time",
        "eventtime",
        "event_time",
        "@t",
        "time_local",
        "time_iso8601",
        "stamp",
        "received",
        "utc",
        "start_time",
    ];
    const OTHERS: [&str; 18] = [
        "expires",
        "expiry",
        "expiration",
        "last-modified",
        "if-modified-since",
        "if-unmodified-since",
        "created",
        "modified",
        "updated",
        "access",
        "modify",
        "change",
        "birth",
        "until",
        "since",
        "deadline",
        "notbefore",
        "notafter",
    ];
    if before.is_empty() {
        return true;
    }
    let bare = before.trim_end_matches(['"', '\'', ' ']);
    let (key, times) = match bare.as_bytes().last() {
        // A ruler, as Erlang draws it, is no key.
        Some(b'=') if !bare.ends_with("==") => (bare.trim_end_matches('='), true),
        // JSON: the colon stands behind the key's quote.
        Some(b':') if bare.ends_with("\":") => (bare.trim_end_matches(':'), true),
        Some(b':') => (bare.trim_end_matches(':'), false),
        _ => return true,
    };
    let key = key.trim_end_matches(['"', '\'', ' ']);
    let start = key
        .bytes()
        .rposition(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'@')))
        .map_or(0, |at| at + 1);
    let key = key.get(start..).unwrap_or(key);
    if times {
        key.is_empty() || TIMES.iter().any(|time| time.eq_ignore_ascii_case(key))
    } else {
        !OTHERS.iter().any(|other| other.eq_ignore_ascii_case(key))
    }
}
