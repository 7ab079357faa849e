//! Lines as the humanlog viewer prints them: `Nov 22 10:00:00 |INFO| message key=value`.

use std::borrow::Cow;

use super::fields::{Fields, worded};
use super::json::scan::Value;
use super::split;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, time,
};
use atalaya_domain::record::Layer;

/// `humanlog`.
#[derive(Clone, Copy, Debug)]
pub struct Humanlog;

impl Format for Humanlog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "humanlog",
            source: "app/humanlog",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::LETTERS).or(Begins::these(b"<")),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"|")
    }

    fn opens(&self, line: &str) -> Opens {
        const NEAR: usize = 48;
        let near = line.as_bytes().get(..NEAR.min(line.len())).unwrap_or(&[]);
        let bar =
            memchr::memchr(b'|', near).filter(|at| *at > 0 && near.get(at - 1) == Some(&b' '));
        if bar.is_some() {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let (line, more) = split::line(text);
        let (stamp, rest) = line
            .split_once(" |")
            .ok_or_else(|| self.mismatch("no |LEVEL|"))?;
        let (word, rest) = rest
            .split_once("| ")
            .ok_or_else(|| self.mismatch("no |LEVEL|"))?;
        if stamp == "<no time>" {
        } else if let Some(cut) = time::any(stamp, hint) {
            out.set_time(cut.instant);
        } else {
            return Err(self.mismatch("no time before |LEVEL|"));
        }
        if word.len() > 12 || word.contains(' ') {
            return Err(self.mismatch("no |LEVEL|"));
        }
        let mut fields = Fields::new(out, hint);
        if worded(word).is_some() {
            fields.default_level(word);
        } else if !word.is_empty() {
            fields.extra("severity".into(), word.into());
        }
        let message = tail(rest, &mut fields);
        if message != "<no msg>" {
            fields.default_message(message);
        }
        fields.finish(rest);
        if !more.is_empty() {
            out.traceback = Some(more.into());
        }
        Ok(())
    }
}

/// Reads the `key=value` pairs at the end of a text, unquoted values with spaces included, and
/// gives the text before them.
pub fn tail<'a>(text: &'a str, fields: &mut Fields<'_, 'a>) -> &'a str {
    let Some(first) = next_key(text, 0) else {
        return text.trim_ascii_end();
    };
    let mut start = first;
    loop {
        let pair = text.get(start..).unwrap_or("");
        let Some((key, _)) = pair.split_once('=') else {
            break;
        };
        let value_at = start + key.len() + 1;
        let quote = text
            .as_bytes()
            .get(value_at)
            .copied()
            .filter(|byte| matches!(byte, b'"' | b'\''));
        let closing = quote.and_then(|quote| {
            let inside = text.as_bytes().get(value_at + 1..)?;
            memchr::memchr(quote, inside).map(|found| value_at + 1 + found)
        });
        let next = next_key(text, closing.unwrap_or(value_at));
        let value = text
            .get(value_at..next.unwrap_or(text.len()))
            .unwrap_or("")
            .trim_ascii();
        let value = match quote {
            Some(quote) if value.len() >= 2 && value.ends_with(char::from(quote)) => {
                value.get(1..value.len() - 1).unwrap_or("")
            }
            _ => value,
        };
        fields.value(Cow::Borrowed(key), Value::Text(Cow::Borrowed(value)));
        match next {
            Some(next) => start = next,
            None => break,
        }
    }
    text.get(..first).unwrap_or("").trim_ascii_end()
}

/// Where the next `key=` begins that stands after a space or at the start.
fn next_key(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        let found = at + memchr::memchr(b'=', bytes.get(at..)?)?;
        let mut start = found;
        while start > from
            && bytes.get(start - 1).is_some_and(|&byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@')
            })
        {
            start -= 1;
        }
        let begins = start < found && bytes.get(start).is_some_and(u8::is_ascii_alphabetic);
        if begins
            && (start == 0
                || bytes
                    .get(start - 1)
                    .is_some_and(|&byte| byte == b' ' || byte == b'\t'))
        {
            return Some(start);
        }
        at = found + 1;
    }
}
