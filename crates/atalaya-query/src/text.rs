//! Looking for text without case, fast enough for millions of records, and patterns with `*`.
//!
//! A needle of ASCII letters is compared with ASCII case folding: `memchr` jumps to the rarest of
//! its bytes, in both cases, and only there the whole is compared; nothing is allocated. Any other
//! needle goes through the regex engine with Unicode case folding.

use std::ops::Range;

use memchr::{memchr, memchr2};
use regex::{Regex, RegexBuilder};

/// Largest compiled form of a needle or pattern with letters outside of ASCII.
const FOLDED_SIZE_LIMIT: usize = 8 << 20;

/// A text to be found inside of others, without case. Never empty.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    text: String,
    search: Search,
}

#[derive(Clone, Debug)]
enum Search {
    Ascii { lower: Box<[u8]>, rarest: usize },
    Folded(Regex),
}

impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Needle {
    pub fn new(text: String) -> Result<Self, regex::Error> {
        let search = if text.is_ascii() {
            let lower: Box<[u8]> = text.to_ascii_lowercase().into_bytes().into();
            let rarest = (0..lower.len())
                .min_by_key(|&index| commonness(lower[index]))
                .unwrap_or(0);
            Search::Ascii { lower, rarest }
        } else {
            Search::Folded(folded(&regex::escape(&text))?)
        };
        Ok(Self { text, search })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_in(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// First occurrence, as a byte range of `text`.
    pub fn find(&self, text: &str) -> Option<Range<usize>> {
        match &self.search {
            Search::Ascii { lower, rarest } => {
                let start = find_ascii(text.as_bytes(), lower, *rarest)?;
                Some(start..start + lower.len())
            }
            Search::Folded(regex) => regex.find(text).map(|found| found.range()),
        }
    }

    /// A lower-cased text that is in the ASCII-lower-cased form of whatever the needle is in.
    pub fn literal(&self) -> Option<&str> {
        match &self.search {
            Search::Ascii { lower, .. } => std::str::from_utf8(lower).ok(),
            // `ı` and the Kelvin sign fold to ASCII letters, so no part of it is sure.
            Search::Folded(_) => None,
        }
    }
}

fn folded(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .size_limit(FOLDED_SIZE_LIMIT)
        .build()
}

fn find_ascii(text: &[u8], lower: &[u8], rarest: usize) -> Option<usize> {
    let last_start = text.len().checked_sub(lower.len())?;
    let byte = *lower.get(rarest)?;
    let other = byte.to_ascii_uppercase();
    // The rarest byte can only stand where the whole needle still fits around it.
    let region = &text[..=last_start + rarest];
    let mut from = rarest;
    while from < region.len() {
        let found = if byte == other {
            memchr(byte, &region[from..])
        } else {
            memchr2(byte, other, &region[from..])
        };
        let at = from + found?;
        let start = at - rarest;
        if text[start..start + lower.len()].eq_ignore_ascii_case(lower) {
            return Some(start);
        }
        from = at + 1;
    }
    None
}

/// How often a (lower-case) byte occurs in logs, roughly; only the order matters.
fn commonness(byte: u8) -> u8 {
    const LETTERS: &[u8; 26] = b"etaoinrslcdupmghfbyvwkxjqz";
    match byte {
        b' ' | b'.' | b'/' | b'0' | b'1' | b'2' => 200,
        b'3'..=b'9' | b'-' | b':' | b'_' | b'"' | b'=' | b',' => 150,
        b'a'..=b'z' => LETTERS
            .iter()
            .position(|&letter| letter == byte)
            .map_or(50, |rank| 199 - 7 * rank as u8),
        b'(' | b')' | b'[' | b']' | b'\'' | b'%' | b'+' | b';' | b'?' | b'&' => 60,
        _ => 10,
    }
}

/// How the pieces of a pattern are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GlobMode {
    /// The whole value, without case.
    Whole,
    /// The whole value, with case: opaque identifiers.
    Exact,
    /// In order somewhere inside, without case.
    Inside,
}

/// A pattern: literal pieces with `*` between them. One piece is a plain value.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    pieces: Vec<String>,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    Ascii,
    Exact,
    Folded(Regex),
    Inside(Vec<Needle>),
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }
}

impl Glob {
    /// `pieces` holds at least one (possibly empty) text.
    pub fn new(pieces: Vec<String>, mode: GlobMode) -> Result<Self, regex::Error> {
        let matcher = match mode {
            GlobMode::Exact => Matcher::Exact,
            GlobMode::Whole if pieces.iter().all(|piece| piece.is_ascii()) => Matcher::Ascii,
            GlobMode::Whole => {
                let escaped: Vec<String> =
                    pieces.iter().map(|piece| regex::escape(piece)).collect();
                Matcher::Folded(folded(&format!("^{}$", escaped.join(".*")))?)
            }
            GlobMode::Inside => Matcher::Inside(
                pieces
                    .iter()
                    .filter(|piece| !piece.is_empty())
                    .cloned()
                    .map(Needle::new)
                    .collect::<Result<_, _>>()?,
            ),
        };
        Ok(Self { pieces, matcher })
    }

    pub fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// The value itself, when there is no wildcard.
    pub fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    pub fn matches(&self, value: &str) -> bool {
        match &self.matcher {
            Matcher::Ascii => self.matches_bytes(value.as_bytes(), <[u8]>::eq_ignore_ascii_case),
            Matcher::Exact => self.matches_bytes(value.as_bytes(), |left, right| left == right),
            Matcher::Folded(regex) => regex.is_match(value),
            Matcher::Inside(needles) => {
                let mut rest = value;
                for needle in needles {
                    let Some(found) = needle.find(rest) else {
                        return false;
                    };
                    rest = &rest[found.end..];
                }
                true
            }
        }
    }

    fn matches_bytes(&self, value: &[u8], same: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        let [first, between @ ..] = self.pieces.as_slice() else {
            return false;
        };
        let Some((last, between)) = between.split_last() else {
            return same(value, first.as_bytes());
        };
        let (first, last) = (first.as_bytes(), last.as_bytes());
        if value.len() < first.len() + last.len()
            || !same(&value[..first.len()], first)
            || !same(&value[value.len() - last.len()..], last)
        {
            return false;
        }
        // Leftmost is enough: an earlier place of a piece leaves more for those after it.
        let mut rest = &value[first.len()..value.len() - last.len()];
        for piece in between
            .iter()
            .map(String::as_bytes)
            .filter(|piece| !piece.is_empty())
        {
            let Some(at) = rest
                .windows(piece.len())
                .position(|window| same(window, piece))
            else {
                return false;
            };
            rest = &rest[at + piece.len()..];
        }
        true
    }

    /// Lower-cased pieces that are in the ASCII-lower-cased form of every value it matches.
    pub fn literals(&self) -> impl Iterator<Item = String> + '_ {
        self.pieces
            .iter()
            .filter(|piece| !piece.is_empty() && piece.is_ascii())
            .map(|piece| piece.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str, mode: GlobMode) -> Glob {
        Glob::new(text.split('*').map(str::to_owned).collect(), mode).unwrap()
    }

    #[test]
    fn a_needle_is_found_without_case() {
        for (needle, text, at) in [
            ("timeout", "Connection TimeOut while reading", Some(11)),
            ("e", "E", Some(0)),
            ("zz", "z", None),
            ("zz", "zaz zZ", Some(4)),
            ("502", "status=502", Some(7)),
            ("größe", "Die GRÖßE zählt", Some(4)),
            ("ошибка", "фатальная ОШИБКА", Some(19)),
            ("é", "e", None),
        ] {
            let needle = Needle::new(needle.to_owned()).unwrap();
            assert_eq!(
                needle.find(text).map(|found| found.start),
                at,
                "{needle:?} in {text}"
            );
        }
    }

    #[test]
    fn a_pattern_is_about_the_whole_value() {
        for (pattern, value, expected) in [
            ("nginx/*", "nginx/access", true),
            ("nginx/*", "NGINX/", true),
            ("nginx/*", "xnginx/access", false),
            ("*", "", true),
            ("*/error", "mysql/error", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
            ("ß*", "ßx", true),
            ("é*É", "É--é", true),
        ] {
            assert_eq!(
                glob(pattern, GlobMode::Whole).matches(value),
                expected,
                "{pattern} on {value}"
            );
        }
        assert!(!glob("Req-*", GlobMode::Exact).matches("req-1"));
        assert!(glob("disk*full", GlobMode::Inside).matches("the Disk is nearly FULL now"));
        assert!(!glob("full*disk", GlobMode::Inside).matches("the Disk is nearly FULL now"));
    }

    proptest! {
        #[test]
        fn finding_ascii_is_finding_in_the_lower_cased(needle in "[a-cA-C .0]{1,4}", text in "[a-cA-C .0é]{0,30}") {
            let expected = text.to_ascii_lowercase().find(&needle.to_ascii_lowercase());
            let found = Needle::new(needle).unwrap().find(&text).map(|found| found.start);
            prop_assert_eq!(found, expected);
        }
    }
}
