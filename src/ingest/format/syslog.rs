//! System logs: BSD syslog (RFC 3164), the same with an ISO time (rsyslog's default on newer
//! systems) and RFC 5424, each with or without the priority in front.
//!
//! RFC 3164 carries neither year nor zone; both come from the hint. Without a priority the level
//! is guessed from the words. The process is the logger; the host stands in the metadata.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc3164>, <https://www.rfc-editor.org/rfc/rfc5424>.

use std::borrow::Cow;

use crate::domain::record::{HOST_FIELD, Layer, Level};

use super::web::Scan;
use super::{Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, TimeHint, auth, level, stream_of, time};

#[derive(Clone, Copy, Debug)]
pub struct Syslog;

impl Envelope for Syslog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "syslog",
            source: "syslog",
            layer: Layer::Infrastructure,
            begins: Begins::ANY,
            lines: Lines::OnlyTraces,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn open<'a>(
        &self,
        line: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<Inside, FormatMismatch> {
        parse(line, hint, out).map_err(|reason| self.mismatch(reason))?;
        let fact = |name: &str| {
            out.metadata.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_ref())
        };
        let parts = [fact(HOST_FIELD), out.logger.as_deref().unwrap_or(""), fact("pid")];
        Ok(Inside::line(stream_of(&parts), line.starts_with('<')))
    }

    /// Programs print several lines at once, and only the first gets the daemon's head.
    fn takes_bare_lines(&self) -> bool {
        true
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let (priority, rest) = match text.strip_prefix('<') {
        Some(rest) => priority(rest).ok_or("no priority between < and >")?,
        None => (None, text),
    };
    if let Some(rest) = rest.strip_prefix("1 ")
        && priority.is_some()
    {
        put_priority(priority, out);
        return rfc5424(rest, hint, out);
    }
    let iso = rest.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if iso {
        let cut = time::iso(rest, hint).ok_or("no time at the start")?;
        let zone = &rest[19..rest.len() - cut.rest.len()];
        if rest.as_bytes().get(10) != Some(&b'T') || !zone.contains(['Z', '+', '-']) {
            return Err("an ISO time without T and zone");
        }
        out.set_time(cut.instant);
        put_host_and_tag(cut.rest.strip_prefix(' ').ok_or("nothing after the time")?, true, out)?;
    } else {
        let cut = time::syslog(rest, hint).ok_or("no time at the start")?;
        out.set_time(cut.instant);
        // Cisco ends the stamp with a colon.
        let rest = cut.rest.strip_prefix(':').unwrap_or(cut.rest);
        put_host_and_tag(rest.strip_prefix(' ').ok_or("nothing after the time")?, false, out)?;
    }
    if priority.is_some() {
        put_priority(priority, out);
    } else {
        out.level = level::guess(&out.message);
    }
    if let (Some(Cow::Borrowed(process)), Cow::Borrowed(message)) = (&out.logger, &out.message) {
        let (process, message) = (*process, *message);
        auth::put(process, message, out);
    }
    Ok(())
}

fn priority(rest: &str) -> Option<(Option<u8>, &str)> {
    let (number, rest) = rest.split_once('>')?;
    let number: u8 = number.parse().ok()?;
    (number <= 191).then_some((Some(number), rest))
}

/// Facility and severity by their names in RFC 5424, section 6.2.1.
fn put_priority(priority: Option<u8>, out: &mut Parsed<'_>) {
    const FACILITIES: [&str; 24] = [
        "kern",
        "user",
        "mail",
        "daemon",
        "auth",
        "syslog",
        "lpr",
        "news",
        "uucp",
        "cron",
        "authpriv",
        "ftp",
        "ntp",
        "security",
        "console",
        "solaris-cron",
        "local0",
        "local1",
        "local2",
        "local3",
        "local4",
        "local5",
        "local6",
        "local7",
    ];
    const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    let Some(priority) = priority else { return };
    out.level = Level::from_syslog_severity(priority % 8);
    if let Some(facility) = FACILITIES.get(usize::from(priority / 8)) {
        out.put("facility", facility);
    }
    out.put("severity", SEVERITIES[usize::from(priority % 8)]);
}

/// `host tag[pid]: message`; host or tag may be missing.
fn put_host_and_tag<'a>(rest: &'a str, strict: bool, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let mut after_host = rest;
    if tag(rest).is_none() {
        let (host, after) = rest.split_once(' ').unwrap_or(("", rest));
        if is_host(host) && (!strict || level::from_word(host).is_none()) {
            out.put(HOST_FIELD, host);
            after_host = after;
        } else if strict {
            return Err("no host after the time");
        }
    }
    match tag(after_host) {
        Some((process, pid, message)) => {
            out.logger = Some(process.into());
            out.put("pid", pid);
            out.message = message.into();
        }
        None if strict => return Err("no process with a colon after the host"),
        None => out.message = after_host.into(),
    }
    Ok(())
}

fn is_host(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/'))
        && !word.ends_with(':')
}

/// `name:`, `name[pid]:`, `name[pid]` before a space; process, pid and the message after.
fn tag(text: &str) -> Option<(&str, &str, &str)> {
    let end = text.find([' ', ':', '['])?;
    let name = &text[..end];
    if name.is_empty() || !name.is_ascii() {
        return None;
    }
    let after = &text[end..];
    if let Some(rest) = after.strip_prefix('[') {
        let (pid, rest) = rest.split_once(']')?;
        if pid.contains(' ') {
            return None;
        }
        let rest = rest.strip_prefix(':').or_else(|| rest.starts_with(' ').then_some(rest))?;
        return Some((name, pid, rest.trim_start_matches(' ')));
    }
    let rest = after.strip_prefix(':')?;
    // `::1` and `a::b` are no tags.
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| (name, "", rest.trim_start_matches(' ')))
}

/// `TIMESTAMP HOST APP PROCID MSGID SD MSG` after the version.
fn rfc5424<'a>(rest: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const SHORT: &str = "a header of RFC 5424 ends early";
    let after_time = if let Some(after) = rest.strip_prefix("- ") {
        after
    } else {
        let cut = time::iso(rest, hint).ok_or("no time after the version")?;
        out.set_time(cut.instant);
        cut.rest.strip_prefix(' ').ok_or(SHORT)?
    };
    let mut scan = Scan(after_time);
    out.put(HOST_FIELD, scan.token().ok_or(SHORT)?);
    let app = scan.token().ok_or(SHORT)?;
    if app != "-" {
        out.logger = Some(app.into());
    }
    out.put("pid", scan.token().ok_or(SHORT)?);
    out.put("msgid", scan.token().ok_or(SHORT)?);
    let message = match scan.0.strip_prefix('-') {
        Some(after) => after,
        None if scan.0.starts_with('[') => structured_data(scan.0, out)?,
        None => return Err("no structured data"),
    };
    let message = message.strip_prefix(' ').unwrap_or(message);
    out.message = message.strip_prefix('\u{feff}').unwrap_or(message).into();
    Ok(())
}

/// `[id name="value" …][id …]`: metadata `id.name`; what is left after it.
fn structured_data<'a>(text: &'a str, out: &mut Parsed<'a>) -> Result<&'a str, &'static str> {
    const OPEN: &str = "structured data is not closed";
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let end = element.find([' ', ']']).ok_or(OPEN)?;
        let id = &element[..end];
        rest = &element[end..];
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(after) = rest.strip_prefix(']') {
                rest = after;
                break;
            }
            let (name, after) = rest.split_once('=').ok_or(OPEN)?;
            let after = after
                .trim_start_matches(' ')
                .strip_prefix('"')
                .ok_or("a value without quotes in structured data")?;
            let (value, after) = param_value(after).ok_or(OPEN)?;
            match name {
                "request_id" | "requestId" | "trace_id" | "traceId" if !value.is_empty() => {
                    out.request_id = Some(value);
                }
                _ => out.put_cow(format!("{id}.{name}"), value),
            }
            rest = after;
        }
    }
    Ok(rest)
}

/// A value up to its closing quote, with `\"`, `\\` and `\]` resolved.
fn param_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let mut at = memchr::memchr2(b'"', b'\\', bytes)?;
    if bytes[at] == b'"' {
        return Some((text[..at].into(), &text[at + 1..]));
    }
    let mut value = String::new();
    let mut start = 0;
    loop {
        value.push_str(&text[start..at]);
        if bytes[at] == b'"' {
            return Some((value.into(), &text[at + 1..]));
        }
        // A backslash before anything else stands for itself (RFC 5424, section 6.3.3).
        start = if matches!(bytes.get(at + 1), Some(b'"' | b'\\' | b']')) { at + 1 } else { at };
        let from = (at + 1 + usize::from(start == at + 1)).min(bytes.len());
        at = from + memchr::memchr2(b'"', b'\\', &bytes[from..])?;
    }
}
