//! Level words as inputs spell them, and the guess for text that no format reads.

use crate::domain::record::Level;

/// How far into a text the guess looks: levels stand near the start, and a scan must stay cheap.
const GUESS_BYTES: usize = 256;
/// A level word in lower case counts only among the first words; later it is prose.
const GUESS_WORDS: usize = 6;

/// A level word with what inputs hang on it: `debug2`, `trace8`, `[WARN]`, `INFO:`.
pub fn from_word(word: &str) -> Option<Level> {
    if let Some(level) = fast(word) {
        return Some(level);
    }
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    if word.is_empty() || word.len() > 13 { None } else { Level::from_word(word) }
}

/// The spellings that nearly all lines use, without a walk through the table.
fn fast(word: &str) -> Option<Level> {
    Some(match word {
        "info" | "INFO" | "notice" => Level::Info,
        "error" | "ERROR" => Level::Error,
        "warn" | "WARN" | "warning" | "WARNING" => Level::Warning,
        "debug" | "DEBUG" => Level::Debug,
        _ => return None,
    })
}

/// Whether any level word begins with the same two letters: most words of a text do not, and need
/// no walk through the table.
fn may_be_level(word: &str) -> bool {
    let Some(&[first, second]) = word.as_bytes().first_chunk() else { return false };
    matches!(
        &[first.to_ascii_lowercase(), second.to_ascii_lowercase()],
        b"de"
            | b"tr"
            | b"ve"
            | b"fi"
            | b"db"
            | b"in"
            | b"no"
            | b"lo"
            | b"sy"
            | b"su"
            | b"st"
            | b"co"
            | b"wa"
            | b"er"
            | b"se"
            | b"cr"
            | b"fa"
            | b"pa"
            | b"al"
            | b"em"
            | b"dp"
    )
}

/// Levels written with one letter: `I`, `W`, `E`, `F` (glog, klog), `D`, `T`, `V`, `N`, `C`.
pub fn from_letter(letter: u8) -> Option<Level> {
    Some(match letter.to_ascii_uppercase() {
        b'T' | b'D' | b'V' => Level::Debug,
        b'I' | b'N' => Level::Info,
        b'W' => Level::Warning,
        b'E' => Level::Error,
        b'F' | b'C' | b'P' => Level::Critical,
        _ => return None,
    })
}

/// The level that a text says by its words; INFO when it says none.
///
/// A word in capitals counts anywhere near the start, one in lower case only among the first
/// words or before a colon, or `no error found` would be one.
pub fn guess(text: &str) -> Level {
    let mut end = text.len().min(GUESS_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = &text[..end];
    if head.starts_with("Traceback (most recent call last)") || head.starts_with("panic: ") {
        return Level::Error;
    }
    let bytes = head.as_bytes();
    let mut at = 0;
    let mut words = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && bytes[at].is_ascii_alphanumeric() {
            at += 1;
        }
        let word = &head[start..at];
        // Parts of a stamp are no words.
        words += usize::from(!word.starts_with(|c: char| c.is_ascii_digit()));
        if !(3..=13).contains(&word.len()) {
            continue;
        }
        let capitals = word.bytes().all(|byte| !byte.is_ascii_lowercase());
        let before_colon = bytes.get(at) == Some(&b':') || bytes.get(at) == Some(&b']');
        if !(capitals || before_colon || words <= GUESS_WORDS) {
            continue;
        }
        // Words that are levels in some formats and plain prose in a text.
        if matches!(word, "log" | "system" | "fine" | "note" | "config" | "stats" | "success" | "LOG") {
            continue;
        }
        if may_be_level(word)
            && let Some(level) = from_word(word)
        {
            return level;
        }
    }
    Level::Info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_trimmings_are_read() {
        for (word, level) in [
            ("debug2", Some(Level::Debug)),
            ("trace8", Some(Level::Debug)),
            ("[WARN]", Some(Level::Warning)),
            ("INFO:", Some(Level::Info)),
            ("emerg", Some(Level::Critical)),
            ("invalid", None),
            ("", None),
            ("8", None),
        ] {
            assert_eq!(from_word(word), level, "{word}");
        }
    }

    #[test]
    fn a_guess_takes_the_first_level_that_stands_like_one() {
        for (text, level) in [
            ("2016-06-30 12:00:07 fatal fatalmessage", Level::Critical),
            ("ERROR something broke", Level::Error),
            ("app.py: WARNING: old call", Level::Warning),
            ("it went well and there was not a single error", Level::Info),
            ("Traceback (most recent call last):", Level::Error),
            ("", Level::Info),
        ] {
            assert_eq!(guess(text), level, "{text}");
        }
    }
}
