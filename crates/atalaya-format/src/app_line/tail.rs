//! `key=value` pairs at the end of a message, as loggers with fields print them.

use std::borrow::Cow;

use super::super::fields::Fields;
use super::super::json::scan::{Value, unescape};
use super::super::{Parsed, TimeHint};

/// Further on a line is no longer looked at: what is longer keeps its pairs in the message.
const MOST_BYTES: usize = 16 * 1024;

/// Where the run of pairs begins with which a text ends; `None` when it does not end with pairs.
///
/// A value is a word, something quoted, or something in brackets. The value of an error may be a text
/// without quotes: `error=connection refused attempt=3`. One pass, whatever the text.
pub fn start(text: &str) -> Option<usize> {
    if text.len() > MOST_BYTES || !text.contains('=') || text.contains('\n') {
        return None;
    }
    let mut first = None;
    let mut is_text = false;
    let mut is_number = false;
    let mut at = 0;
    while let Some(next) = token(text, at) {
        match next {
            Token::Pair { start, value, end } => {
                first.get_or_insert(start);
                is_text = is_text_of(text.get(start..value).unwrap_or(""));
                is_number = text.get(value..end).is_some_and(|value| {
                    value
                        .bytes()
                        .all(|byte| byte.is_ascii_digit() || byte == b'.')
                });
                at = end;
            }
            Token::Word { end } => {
                // `latency=12 ms`
                let is_unit = is_number
                    && matches!(
                        text.get(at..end).map(str::trim_ascii),
                        Some("ns" | "us" | "µs" | "μs" | "ms" | "s")
                    );
                is_number = false;
                if !is_text && !is_unit {
                    first = None;
                }
                at = end;
            }
        }
    }
    first
}

/// Gives the pairs of a text that is nothing else to the fields.
pub fn read<'a>(text: &'a str, fields: &mut Fields<'_, 'a>) {
    let mut at = 0;
    while let Some(next) = token(text, at) {
        match next {
            Token::Pair {
                start,
                value,
                mut end,
            } => {
                let key = text.get(start..value).unwrap_or("").trim_end_matches('=');
                // Words behind an error are part of it.
                while let Some(Token::Word { end: more }) = token(text, end) {
                    end = more;
                }
                beside_header(
                    fields,
                    Cow::Borrowed(key),
                    value_of(text.get(value..end).unwrap_or("")),
                );
                at = end;
            }
            Token::Word { end } => at = end,
        }
    }
}

/// Takes the pairs off the message of a record whose header has been read.
pub fn take_off(hint: &TimeHint, out: &mut Parsed<'_>) -> bool {
    let Cow::Borrowed(message) = out.message else {
        return false;
    };
    let Some(at) = start(message) else {
        return false;
    };
    let kept = (out.level, out.logger.take(), out.request_id.take());
    let mut fields = Fields::new(out, hint);
    read(message.get(at..).unwrap_or(""), &mut fields);
    finish(message.get(..at).unwrap_or(""), fields);
    (out.level, out.logger) = (kept.0, kept.1.or(out.logger.take()));
    out.request_id = kept.2.or(out.request_id.take());
    true
}

/// Finishes the fields of a record whose message is this, or, when there is none, what its fields say.
pub fn finish<'a>(message: &'a str, mut fields: Fields<'_, 'a>) {
    let message = message.trim_ascii_end();
    if !message.is_empty() {
        fields.default_message(message);
    }
    fields.finish(message);
}

/// Splits a message before its pairs, and gives those to the fields.
pub fn split<'a>(text: &'a str, fields: &mut Fields<'_, 'a>) -> &'a str {
    match start(text) {
        Some(at) => {
            read(text.get(at..).unwrap_or(""), fields);
            text.get(..at).unwrap_or("").trim_ascii_end()
        }
        None => text,
    }
}

/// Gives a value to its field, where it stands beside a header that has said level, time and message
/// already: names of those stay in the metadata.
pub fn beside_header<'a>(fields: &mut Fields<'_, 'a>, name: Cow<'a, str>, value: Value<'a>) {
    const SAID: [&str; 17] = [
        "message",
        "msg",
        "event",
        "text",
        "body",
        "level",
        "lvl",
        "severity",
        "log_level",
        "time",
        "ts",
        "timestamp",
        "@timestamp",
        "date",
        "datetime",
        "logger",
        "name",
    ];
    if SAID.iter().any(|said| said.eq_ignore_ascii_case(&name)) {
        if let Some(text) = value.into_text() {
            fields.extra(name, text);
        }
    } else {
        fields.value(name, value);
    }
}

enum Token {
    /// Where the key, its value and what follows begin.
    Pair {
        start: usize,
        value: usize,
        end: usize,
    },
    Word {
        end: usize,
    },
}

fn token(text: &str, from: usize) -> Option<Token> {
    let bytes = text.as_bytes();
    let blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let start = from + bytes.get(from..)?.iter().position(|byte| !blank(*byte))?;
    let key = bytes
        .get(start..)?
        .iter()
        .take_while(|byte| is_key(**byte))
        .count();
    let value = start + key + 1;
    if key > 0
        && bytes.get(start + key) == Some(&b'=')
        && !bytes[start].is_ascii_digit()
        && bytes[start] != b'-'
    {
        let end = value_end(bytes, value);
        if bytes
            .get(end)
            .is_none_or(|byte| blank(*byte) || *byte == b',')
        {
            let comma = usize::from(bytes.get(end) == Some(&b','));
            // `a=1,b=2`: the comma is the value's.
            if comma == 0 || bytes.get(end + 1).is_none_or(|byte| blank(*byte)) {
                return Some(Token::Pair {
                    start,
                    value,
                    end: end + comma,
                });
            }
        }
    }
    let end = bytes
        .get(start..)?
        .iter()
        .position(|byte| blank(*byte))
        .map_or(bytes.len(), |end| start + end);
    Some(Token::Word { end })
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/')
}

/// Where a value ends: a quoted string with its quote, brackets with what is in them, else a word.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let Some(&quote @ (b'"' | b'\'' | b'`')) = bytes.get(start) else {
        return word_end(bytes, start);
    };
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quote != b'`' => at += 1,
            _ if byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    word_end(bytes, start)
}

/// A word; blanks and quoted strings inside of open brackets belong to it.
fn word_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut first_blank = None;
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b' ' | b'\t' => {
                // `Order { id: 7 }`, as Rust prints structures.
                let is_structure =
                    bytes.get(at + 1) == Some(&b'{') && bytes[start].is_ascii_uppercase();
                if depth == 0 && !is_structure {
                    return at;
                }
                first_blank.get_or_insert(at);
            }
            _ => {}
        }
        at += 1;
    }
    // A bracket that nothing closes is a part of its word only.
    if depth > 0 {
        first_blank.unwrap_or(at)
    } else {
        at
    }
}

/// Keys whose values are texts.
fn is_text_of(key: &str) -> bool {
    let key = key.trim_end_matches('=');
    let last = key.rsplit(['.', '_']).next().unwrap_or(key);
    matches!(
        last,
        "error"
            | "err"
            | "e"
            | "reason"
            | "cause"
            | "exception"
            | "message"
            | "source"
            | "description"
    )
}

fn value_of(text: &str) -> Value<'_> {
    let text = text.strip_suffix(',').unwrap_or(text);
    if let Some(inside) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    {
        let text = if inside.contains('\\') {
            unescape(inside).into()
        } else {
            inside.into()
        };
        return Value::Text(text);
    }
    for quote in ['\'', '`'] {
        if let Some(inside) = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote))
        {
            return Value::Text(inside.into());
        }
    }
    let is_number = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_digit());
    if is_number {
        Value::Number(text)
    } else {
        Value::Text(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_at_the_end_and_nowhere_else() {
        for (text, message) in [
            ("charge failed request_id=req-9 n=3", "charge failed"),
            (
                "charge failed error=connection refused attempt=3",
                "charge failed",
            ),
            ("charge failed error=\"no account\" p=le", "charge failed"),
            (
                "retry with n=3 attempts left",
                "retry with n=3 attempts left",
            ),
            ("finished latency=12 ms status=200", "finished"),
            ("a=1 b=2", ""),
            (
                "stored order=Order { id: 7, lines: [1, 2] } ok=true",
                "stored",
            ),
            ("opened map=(unclosed x", "opened map=(unclosed x"),
            ("GET /a?b=1&c=2", "GET /a?b=1&c=2"),
            ("x == y", "x == y"),
            ("no pairs", "no pairs"),
            ("paid, total=12, user=ana", "paid,"),
            ("", ""),
        ] {
            let at = start(text).unwrap_or(text.len());
            assert_eq!(text[..at].trim_ascii_end(), message, "{text}");
        }
    }
}
