//! The columns of RFC 5424: `TIMESTAMP HOST APP PROCID MSGID SD MSG`.
//!
//! Behind a priority and a version they are read as far as they go: many senders leave out the
//! structured data, or write text where a column should be.

use std::borrow::Cow;

use super::super::split;
use super::super::{Parsed, TimeHint, time, web::Scan};
use super::Found;
use super::head::{self, Tag, all_digits};
use atalaya_domain::record::HOST_FIELD;

/// Reads the columns behind `<34>1 `. `None` when there is no stamp.
pub fn columns<'a>(rest: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<Found<'a>> {
    let after = stamp(rest, hint, out)?;
    let mut scan = Scan(after);
    let host = nil(scan.token().unwrap_or("-"));
    out.put(HOST_FIELD, host);
    let app = scan.token().unwrap_or("-");
    let behind_app = scan.0;
    let found = Found {
        host,
        graded: true,
        ..Found::default()
    };
    let tag = |program, pid, text| {
        Some(Tag {
            program,
            pid,
            closed: true,
            level: None,
            text,
        })
    };
    let mut ahead = Scan(behind_app);
    let (process, message_id) = (ahead.token().unwrap_or("-"), ahead.token().unwrap_or(""));
    let is_process = process == "-" || all_digits(process);
    let in_columns = match app.strip_suffix(':') {
        Some(program) => program.is_empty() || (is_process && has_data(ahead.0)),
        None => has_data(ahead.0) || is_process || message_id == "-",
    };
    if !in_columns {
        // Columns of another kind, or the head of BSD syslog, behind a newer one: the rest is text.
        let program = app.strip_suffix(':').unwrap_or(app);
        let (program, pid) = match program
            .strip_suffix(']')
            .and_then(|tag| tag.split_once('['))
        {
            Some((program, pid)) => (program, pid),
            None => (program, ""),
        };
        return Some(Found {
            tag: tag(program, pid, behind_app),
            text: behind_app,
            ..found
        });
    }
    let program = nil(app.strip_suffix(':').unwrap_or(app));
    let pid = nil(scan.token().unwrap_or("-"));
    out.put("msgid", nil(scan.token().unwrap_or("-")));
    let text = data_and_text(scan.0, out);
    let tag = if program.is_empty() && pid.is_empty() {
        None
    } else {
        tag(program, pid, text)
    };
    Some(Found { tag, text, ..found })
}

/// The same columns without priority, as files have them: nothing may be missing.
pub fn without_priority<'a>(
    line: &'a str,
    hint: &TimeHint,
    out: &mut Parsed<'a>,
) -> Option<Found<'a>> {
    if line.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let (stamp_text, rest) = split::once(line, b' ')?;
    let mut scan = Scan(rest);
    let (host, app) = (scan.token()?, scan.token()?);
    let (pid, message_id) = (scan.token()?, scan.token()?);
    let named = (host == "-" || head::is_host(host))
        && !head::is_level(host)
        && !head::is_level(app)
        && !app.ends_with([':', ']', ','])
        && !app.starts_with(['[', '(', '"'])
        && (pid == "-" || all_digits(pid))
        && !message_id.ends_with([':', ']'])
        && has_data(scan.0);
    if !named {
        return None;
    }
    stamp(line, hint, out)?;
    if !stamp_text.ends_with('Z') && !stamp_text.get(19..)?.contains(['+', '-']) {
        return None;
    }
    let (host, program, pid) = (nil(host), nil(app), nil(pid));
    out.put(HOST_FIELD, host);
    out.put("msgid", nil(message_id));
    let text = data_and_text(scan.0, out);
    let tag = Tag {
        program,
        pid,
        closed: true,
        level: None,
        text,
    };
    Some(Found {
        host,
        tag: Some(tag),
        text,
        graded: false,
    })
}

fn nil(word: &str) -> &str {
    if word == "-" { "" } else { word }
}

/// `-`, an ISO stamp, or seconds since 1970 as some devices have them; gives what follows its blank.
fn stamp<'a>(rest: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<&'a str> {
    if let Some(after) = rest.strip_prefix('-') {
        return if after.is_empty() {
            Some(after)
        } else {
            after.strip_prefix(' ')
        };
    }
    let cut = time::iso(rest, hint).or_else(|| time::epoch(rest, hint))?;
    let after = if cut.rest.is_empty() {
        ""
    } else {
        cut.rest.strip_prefix(' ')?
    };
    let used = rest.get(..rest.len() - cut.rest.len())?;
    out.set_time(cut.instant);
    out.zoned |= used
        .get(19..)
        .is_none_or(|tail| tail.contains(['Z', '+', '-']));
    Some(after)
}

/// Whether structured data, or the sign for none, stands here.
fn has_data(text: &str) -> bool {
    match text.strip_prefix('-') {
        Some(after) => after.is_empty() || after.starts_with(' '),
        None => text.starts_with('[') && structured_data(text).is_some(),
    }
}

/// Takes the structured data; the text behind it. What is no structured data is text.
pub fn data_and_text<'a>(text: &'a str, out: &mut Parsed<'a>) -> &'a str {
    let message = match text.strip_prefix('-') {
        Some(after) if after.is_empty() || after.starts_with(' ') => after,
        _ => match structured_data(text) {
            Some((elements, after)) => {
                for value in elements {
                    value.put(out);
                }
                after
            }
            None => text,
        },
    };
    let message = message.strip_prefix(' ').unwrap_or(message);
    message.strip_prefix('\u{feff}').unwrap_or(message)
}

/// One value, or an element that has none.
struct Datum<'a> {
    id: &'a str,
    name: &'a str,
    value: Cow<'a, str>,
}

impl<'a> Datum<'a> {
    fn put(self, out: &mut Parsed<'a>) {
        match self.name {
            // Said by being there.
            "" if !out.metadata.iter().any(|(known, _)| known == self.id) => {
                out.metadata.push((self.id.into(), Cow::Borrowed("")));
            }
            "" => {}
            "request_id" | "requestId" | "trace_id" | "traceId" if !self.value.is_empty() => {
                out.request_id = Some(self.value);
            }
            name => out.put_cow(format!("{}.{name}", self.id), self.value),
        }
    }
}

/// `[id name="value" name=value][id] `, and what is left behind it.
fn structured_data(text: &str) -> Option<(Vec<Datum<'_>>, &str)> {
    let mut data = Vec::new();
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let end = element.find([' ', ']'])?;
        let id = element.get(..end)?;
        // A name: brackets of a text hold other things.
        if id.is_empty() || id.contains(['=', '"', '[', ':']) {
            return if data.is_empty() {
                None
            } else {
                Some((data, rest))
            };
        }
        let before = data.len();
        rest = element.get(end..)?;
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(after) = rest.strip_prefix(']') {
                rest = after;
                break;
            }
            let (name, after) = rest.split_once('=')?;
            if name.is_empty() || name.contains([' ', ']', '"']) {
                return None;
            }
            let after = after.trim_start_matches(' ');
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => param_value(quoted)?,
                None => bare_value(after)?,
            };
            data.push(Datum { id, name, value });
            rest = after;
        }
        if data.len() == before {
            data.push(Datum {
                id,
                name: "",
                value: Cow::Borrowed(""),
            });
        }
    }
    (rest.is_empty() || rest.starts_with(' ')).then_some((data, rest))
}

/// A value without quotes, as `ESXi` writes it: up to a blank or the bracket. It may hold brackets
/// in pairs.
fn bare_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => open += 1,
            b']' if open > 0 => open -= 1,
            b' ' | b']' => return Some((text.get(..at)?.into(), text.get(at..)?)),
            _ => {}
        }
    }
    None
}

/// A value up to its closing quote, with `\"`, `\\` and `\]` resolved.
fn param_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let mut at = memchr::memchr2(b'"', b'\\', bytes)?;
    if bytes.get(at) == Some(&b'"') {
        return Some((text.get(..at)?.into(), text.get(at + 1..)?));
    }
    let mut value = String::new();
    let mut start = 0;
    loop {
        value.push_str(text.get(start..at)?);
        if bytes.get(at) == Some(&b'"') {
            return Some((value.into(), text.get(at + 1..)?));
        }
        // A backslash before anything else stands for itself (RFC 5424, section 6.3.3).
        start = if matches!(bytes.get(at + 1), Some(b'"' | b'\\' | b']')) {
            at + 1
        } else {
            at
        };
        let from = at + 1 + usize::from(start == at + 1);
        at = from + memchr::memchr2(b'"', b'\\', bytes.get(from..)?)?;
    }
}
