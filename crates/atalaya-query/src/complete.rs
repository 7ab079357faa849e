//! What could stand at the cursor of a query line: field names, levels, times, layers.

use std::ops::Range;

use super::fields::{self, FIELDS, Target};

/// One completion: replace `replace` (bytes of the text) by `insert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    pub replace: Range<usize>,
    pub insert: String,
    pub about: &'static str,
}

const LEVELS: [(&str, &str); 5] = [
    ("debug", "everything"),
    ("info", "normal operation"),
    ("warning", "something may be wrong"),
    ("error", "something failed"),
    ("critical", "something must be done now"),
];
const TIMES: [(&str, &str); 9] = [
    ("5m", "five minutes ago"),
    ("15m", "a quarter of an hour ago"),
    ("1h", "an hour ago"),
    ("6h", "six hours ago"),
    ("1d", "24 hours ago"),
    ("7d", "a week ago"),
    ("today", "since midnight"),
    ("yesterday", "the day before"),
    ("12:30", "the last time it was that late"),
];
const LAYERS: [(&str, &str); 2] = [
    ("app", "application logs"),
    ("infra", "operating system and services"),
];
const PRESENCE: [(&str, &str); 7] = [
    ("traceback", "with a stack trace"),
    ("request_id", "with a request id"),
    ("duration", "with a duration"),
    ("user", "with a user id"),
    ("session", "with a session id"),
    ("logger", "with a logger"),
    ("parse_error", "lines that did not fit their format"),
];
const DURATIONS: [(&str, &str); 4] = [
    ("100ms", "a tenth of a second"),
    ("1s", "a second"),
    ("10s", "ten seconds"),
    ("1m", "a minute"),
];

/// Completions of the word that ends at `cursor` (a byte offset; moved back to a character's
/// start). Empty inside of quotes and for values that only the store knows.
pub fn complete(text: &str, cursor: usize) -> Vec<Suggestion> {
    let cursor = (0..=cursor.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    let before = &text[..cursor];
    if quoted(before) {
        return Vec::new();
    }
    let start = before
        .rfind(|character: char| character.is_whitespace() || character == '(')
        .map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
    let start = start + (before[start..].len() - before[start..].trim_start_matches('-').len());
    let word = &before[start..];
    let Some(operator) = word.find([':', '=', '<', '>']) else {
        return field_names(word, start..cursor);
    };
    let values = word[operator..].trim_start_matches([':', '=', '<', '>', '!']);
    let value = values.rsplit([',', '|']).next().unwrap_or(values);
    let options: &[(&str, &'static str)] =
        match fields::target(word[..operator].trim_end_matches('!')) {
            Some(Target::Level) => &LEVELS,
            Some(Target::Layer) => &LAYERS,
            Some(Target::Has) => &PRESENCE,
            Some(Target::Time(_)) => &TIMES,
            Some(Target::Duration) => &DURATIONS,
            _ => &[],
        };
    options
        .iter()
        .filter(|(option, _)| starts_with(option, value) && *option != value)
        .map(|(option, about)| Suggestion {
            replace: cursor - value.len()..cursor,
            insert: (*option).to_owned(),
            about,
        })
        .collect()
}

fn field_names(word: &str, replace: Range<usize>) -> Vec<Suggestion> {
    FIELDS
        .iter()
        .filter(|field| {
            starts_with(field.name, word)
                || (!word.is_empty() && field.aliases.iter().any(|alias| starts_with(alias, word)))
        })
        .map(|field| Suggestion {
            replace: replace.clone(),
            insert: field.insert.to_owned(),
            about: field.about,
        })
        .collect()
}

fn starts_with(option: &str, typed: &str) -> bool {
    option
        .get(..typed.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(typed))
}

/// Whether a quote is open at the end of the text.
fn quoted(text: &str) -> bool {
    let (mut open, mut escaped) = (false, false);
    for character in text.chars() {
        match character {
            '"' if !escaped => open = !open,
            _ => {}
        }
        escaped = open && character == '\\' && !escaped;
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inserts(text: &str) -> Vec<String> {
        complete(text, text.len())
            .into_iter()
            .map(|suggestion| suggestion.insert)
            .collect()
    }

    #[test]
    fn the_word_at_the_cursor_is_completed() {
        assert_eq!(inserts("le"), ["level>="]);
        assert_eq!(inserts("timeout -so"), ["source:"]);
        assert_eq!(inserts("(rid"), ["request_id:"]);
        assert_eq!(inserts("level>=w"), ["warning"]);
        assert_eq!(inserts("level:error,c"), ["critical"]);
        assert_eq!(inserts("layer:"), ["app", "infra"]);
        assert_eq!(inserts("since:1"), ["15m", "1h", "1d", "12:30"]);
        assert!(inserts("\"le").is_empty());
        assert!(inserts("source:n").is_empty());
        assert_eq!(inserts("").len(), FIELDS.len());
    }

    #[test]
    fn what_is_typed_is_replaced_and_no_cursor_panics() {
        let text = "élan level>=w more";
        let suggestion = complete(text, "élan level>=w".len()).remove(0);
        assert_eq!(&text[suggestion.replace], "w");
        for cursor in 0..40 {
            let _ = complete(text, cursor);
        }
    }
}
