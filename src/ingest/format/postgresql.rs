//! PostgreSQL's log on stderr, with whatever `log_line_prefix` the server has: the prefix is
//! deduced from the line. Also the form in which Heroku's logplex delivers it.
//!
//! `DETAIL`, `HINT`, `CONTEXT`, `STATEMENT` and the like join the record before them, as metadata
//! under the names that PostgreSQL's own jsonlog has (`detail`, `hint`, …); the same names stand
//! for the parts of the prefix (`user`, `dbname`, `remote_host`, …), so all three of PostgreSQL's
//! formats read alike. A logged statement is the message, its `duration: … ms` the duration.
//!
//! Source: <https://www.postgresql.org/docs/current/runtime-config-logging.html>.

use std::borrow::Cow;

use super::fields::push_unique;
use super::{Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, SourceZone, TimeHint, time};
use crate::domain::record::{Layer, Level};

/// `postgresql`.
#[derive(Clone, Copy, Debug)]
pub struct Postgresql;

/// How far into a line the severity is looked for: prefixes are shorter.
const PREFIX_BYTES: usize = 500;

impl Format for Postgresql {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "postgresql",
            source: "postgresql",
            layer: Layer::Infrastructure,
            begins: Begins::ANY,
            lines: Lines::Stamped,
            traces: false,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if line.starts_with(['\t', ' ']) {
            return Opens::No;
        }
        if let Some(plex) = logplex(line) {
            return if plex.part == 1 { Opens::Parsed } else { Opens::No };
        }
        match head(line) {
            Some(head) if is_severity(head.severity) => Opens::Parsed,
            _ => Opens::No,
        }
    }

    /// `DETAIL:` and the like have the prefix of a record and are none.
    fn joins(&self, _pending: &str, line: &str) -> Joins {
        if line.starts_with('\t') || logplex(line).is_some_and(|plex| plex.part > 1) {
            return Joins::Yes;
        }
        match head(line) {
            Some(head) if is_part(head.severity) => Joins::Yes,
            _ => Joins::Unsaid,
        }
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        let mut lines = text.split('\n');
        let first = lines.next().unwrap_or("");
        let mut severity = "";
        let mut parts: Vec<(&'a str, Cow<'a, str>)> = Vec::new();
        let head_of = |line: &'a str| -> (Option<Head<'a>>, &'a str) {
            let body = logplex(line).map_or(line, |plex| plex.body);
            (if body.starts_with(['\t', ' ']) && body.len() == line.len() { None } else { head(body) }, body)
        };
        let (Some(begin), _) = head_of(first) else {
            return Err(self.mismatch("no severity such as `LOG:`"));
        };
        if let Some(plex) = logplex(first) {
            let cut = time::iso(plex.stamp, hint).ok_or_else(|| self.mismatch("no time"))?;
            out.set_time(cut.instant);
            out.put("pid", plex.pid);
            out.put("color", plex.color);
            read_prefix(begin.prefix, hint, out);
        } else {
            // Many programs write `ERROR: text`; PostgreSQL puts two spaces when nothing is before.
            if begin.prefix.trim_ascii().is_empty() && !first.contains(":  ") {
                return Err(self.mismatch("neither a prefix nor two spaces behind the severity"));
            }
            if !read_prefix(begin.prefix, hint, out) {
                return Err(self.mismatch("a time without the zone that PostgreSQL writes"));
            }
        }
        let mut current = Cow::Borrowed(begin.rest);
        let mut name = begin.severity;
        for line in lines {
            let (next, body) = head_of(line);
            match next {
                Some(next) if is_part(next.severity) => {
                    parts.push((name, std::mem::replace(&mut current, Cow::Borrowed(next.rest))));
                    name = next.severity;
                }
                _ => {
                    let current = current.to_mut();
                    current.push('\n');
                    current.push_str(body.strip_prefix('\t').unwrap_or(body));
                }
            }
        }
        parts.push((name, current));
        let mut parts = parts.into_iter();
        if let Some((word, message)) = parts.next() {
            severity = word;
            read_message(strip_state(message, out), out);
        }
        out.level = level_of(severity);
        if severity != out.level.name() {
            push_unique(out, "severity", severity);
        }
        for (name, text) in parts {
            let name = match name {
                "DETAIL" => "detail",
                "HINT" => "hint",
                "CONTEXT" => "context",
                "STATEMENT" => "statement",
                "QUERY" => "internal_query",
                "LOCATION" => "location",
                _ => "backtrace",
            };
            if name == "statement" && out.request_id.is_none() {
                out.request_id = request_in_comment(&text).map(|id| Cow::Owned(id.to_owned()));
            }
            push_unique(out, name, trim_end(text));
        }
        Ok(())
    }
}

/// A line cut at its severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head<'a> {
    prefix: &'a str,
    severity: &'a str,
    rest: &'a str,
}

/// Finds the first severity word with its colon.
fn head(line: &str) -> Option<Head<'_>> {
    let bytes = line.as_bytes();
    let near = bytes.get(..PREFIX_BYTES.min(bytes.len()))?;
    for colon in memchr::memchr_iter(b':', near) {
        let mut start = colon;
        while start > 0 && (bytes[start - 1].is_ascii_uppercase() || bytes[start - 1].is_ascii_digit()) {
            start -= 1;
        }
        if colon - start < 3 || !bytes[start].is_ascii_uppercase() {
            continue;
        }
        if start > 0 && !matches!(bytes[start - 1], b' ' | b':' | b']' | b'-' | b',' | b')' | b'>' | b'|') {
            continue;
        }
        let word = line.get(start..colon)?;
        if !is_severity(word) && !is_part(word) {
            continue;
        }
        let rest = line.get(colon + 1..)?;
        if !rest.is_empty() && !rest.starts_with(' ') {
            continue;
        }
        let rest = rest.strip_prefix("  ").or_else(|| rest.strip_prefix(' ')).unwrap_or(rest);
        return Some(Head { prefix: line.get(..start)?, severity: word, rest });
    }
    None
}

/// Whether a line begins a further part of a message: `… DETAIL:  text`.
pub fn begins_part(line: &str) -> bool {
    head(line).is_some_and(|head| is_part(head.severity))
}

fn is_severity(word: &str) -> bool {
    matches!(
        word,
        "LOG"
            | "ERROR"
            | "FATAL"
            | "PANIC"
            | "WARNING"
            | "NOTICE"
            | "INFO"
            | "DEBUG"
            | "DEBUG1"
            | "DEBUG2"
            | "DEBUG3"
            | "DEBUG4"
            | "DEBUG5"
    )
}

/// Words that begin a further part of a message.
fn is_part(word: &str) -> bool {
    matches!(word, "DETAIL" | "HINT" | "CONTEXT" | "STATEMENT" | "QUERY" | "LOCATION" | "BACKTRACE")
}

/// PostgreSQL's severities as levels.
pub fn level_of(severity: &str) -> Level {
    match severity {
        "ERROR" => Level::Error,
        "FATAL" | "PANIC" => Level::Critical,
        "WARNING" => Level::Warning,
        word if word.starts_with("DEBUG") => Level::Debug,
        _ => Level::Info,
    }
}

/// `2019-03-14T00:22:56+00:00 app[postgres.4882]: [GREEN] [15-1]  …`.
#[derive(Clone, Copy, Debug)]
struct Logplex<'a> {
    stamp: &'a str,
    pid: &'a str,
    color: &'a str,
    part: u32,
    body: &'a str,
}

fn logplex(line: &str) -> Option<Logplex<'_>> {
    if line.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let near = line.as_bytes().get(..PREFIX_BYTES.min(line.len()))?;
    let at = memchr::memmem::find(near, b"app[postgres.")?;
    let (pid, rest) = line.get(at + "app[postgres.".len()..)?.split_once(']')?;
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim_ascii_start();
    let (color, rest) = rest.strip_prefix('[')?.split_once("] [")?;
    let (number, body) = rest.split_once("] ")?;
    let (_, part) = number.split_once('-')?;
    Some(Logplex { stamp: line.split(' ').next()?, pid, color, part: part.parse().ok()?, body })
}

/// The stamp of PostgreSQL: `%t` and `%m` with a zone name or a numeric one, or `%n`.
pub fn stamp<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let Some(cut) = time::iso_named(text, hint) else {
        return time::epoch(text, hint)
            .filter(|cut| !cut.rest.starts_with(|next: char| next.is_ascii_alphanumeric()));
    };
    let Some(zone) = cut.rest.strip_prefix(' ') else { return Some(cut) };
    let end = zone.find([' ', ':', ',', ']', '[', '"']).unwrap_or(zone.len());
    let name = zone.get(..end)?;
    // Zones without a name of their own are printed as their offset: `+03`, `-0330`.
    let signed = name
        .strip_prefix('+')
        .map(|digits| (1, digits))
        .or_else(|| name.strip_prefix('-').map(|digits| (-1, digits)));
    if let Some((sign, digits)) = signed
        && matches!(digits.len(), 2 | 4)
        && let Ok(number) = digits.parse::<i32>()
    {
        let minutes = if digits.len() == 2 { number * 60 } else { number / 100 * 60 + number % 100 };
        let zone = chrono::FixedOffset::east_opt(sign * minutes * 60)?;
        let hint = TimeHint { zone: SourceZone::Fixed(zone), reference: hint.reference };
        let instant = time::iso(text.get(..text.len() - cut.rest.len())?, &hint)?.instant;
        return Some(time::Cut { instant, rest: cut.rest.get(1 + end..)? });
    }
    Some(cut)
}

/// Reads what stands before the severity. What it cannot name is kept as `prefix`. False when the
/// time has no zone: `%t` and `%m` always have one, the lines of other programs seldom.
fn read_prefix<'a>(prefix: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> bool {
    let mut rest = prefix.trim_start_matches(['[', '<', ' ']);
    let mut has_zone = true;
    if out.timestamp.is_none()
        && let Some(cut) = stamp(rest, hint)
    {
        out.set_time(cut.instant);
        let used = rest.get(..rest.len() - cut.rest.len()).unwrap_or("");
        has_zone = used.as_bytes().get(4) != Some(&b'-')
            || used.ends_with(|last: char| last.is_ascii_alphabetic())
            || used.get(19..).is_some_and(|tail| tail.contains(['+', '-']));
        rest = cut.rest;
    }
    let mut words: [&'a str; 2] = ["", ""];
    let mut count = 0;
    let mut unknown = 0;
    loop {
        rest = rest.trim_start_matches([' ', ':', ',', ';', '|', '-', '>', '(', ')', ']', '\t']);
        if rest.is_empty() {
            break;
        }
        if let Some(equals) = key_end(rest) {
            rest = read_pair(rest, equals, out);
            continue;
        }
        if rest.starts_with('[') {
            let end = rest.find(']').map_or(rest.len(), |at| at + 1);
            let (inside, after) = rest.split_at(end);
            if !after.starts_with('@') {
                read_bracket(inside.trim_matches(['[', ']']).trim_ascii(), out);
                rest = after;
                continue;
            }
        }
        let end = word_end(rest);
        let (word, after) = rest.split_at(end);
        rest = after;
        if !read_word(word, out) {
            if count < words.len() {
                words[count] = word;
            }
            count += 1;
            unknown += usize::from(!word.is_empty());
        }
        if end == 0 {
            break;
        }
    }
    match (count, unknown) {
        (0, _) => {}
        // Two bare words are `%u %d`, in this order in every prefix seen.
        (2, 2) if !has(out, "user") => {
            put_known(out, "user", words[0]);
            put_known(out, "dbname", words[1]);
        }
        (1, _) => put_known(out, "prefix", words[0]),
        _ => put_known(out, "prefix", prefix.trim_ascii()),
    }
    has_zone || has(out, "zone")
}

fn has(out: &Parsed<'_>, name: &str) -> bool {
    out.metadata.iter().any(|(known, _)| known == name)
}

fn put_known<'a>(out: &mut Parsed<'a>, name: &'a str, text: &'a str) {
    if !matches!(text, "" | "[unknown]" | "-" | "[N/A]") {
        push_unique(out, name, text);
    }
}

/// Where the key of `key=value` ends at the start of a text.
fn key_end(text: &str) -> Option<usize> {
    let end = text.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_'))?;
    let after = text.get(end..)?;
    // Heroku writes `sql_error_code = 00000`.
    let equals = end + after.len() - after.trim_ascii_start().len();
    (end > 0 && text.as_bytes().get(equals) == Some(&b'=')).then_some(equals)
}

/// Reads `key=value` at the start; the value may hold spaces (`app=psql - x,client=…`).
fn read_pair<'a>(text: &'a str, equals: usize, out: &mut Parsed<'a>) -> &'a str {
    let key = text.get(..equals).unwrap_or("").trim_ascii_end();
    let after = text.get(equals + 1..).unwrap_or("").trim_start_matches(' ');
    let bytes = after.as_bytes();
    let mut end = 0;
    while let Some(&byte) = bytes.get(end) {
        let separates = match byte {
            b',' | b';' => true,
            b' ' => {
                let next = after.get(end + 1..).unwrap_or("");
                next.trim_ascii().is_empty() || key_end(next).is_some() || next.starts_with('[')
            }
            _ => false,
        };
        if separates {
            break;
        }
        end += 1;
    }
    let (value, rest) = after.split_at(end);
    let value = value.trim_ascii().trim_end_matches([':', '-', ' ']);
    match key {
        "user" | "u" | "usr" => put_known(out, "user", value),
        "db" | "d" | "database" | "dbname" => put_known(out, "dbname", value),
        "app" | "a" | "application" | "application_name" | "appname" => {
            put_known(out, "application_name", value);
        }
        "client" | "host" | "h" | "r" | "remote" | "ip" => client(value, out),
        "pid" | "p" => put_known(out, "pid", value),
        "queryid" | "query_id" | "qid" => put_known(out, "query_id", value),
        "sql_error_code" | "sqlstate" | "state" | "e" => put_known(out, "state_code", value),
        "session" | "session_id" | "sid" => {
            if !value.is_empty() {
                out.session_id = Some(value.into());
            }
        }
        "xid" | "tx" | "txid" => put_known(out, "txid", value),
        "vxid" | "vtx" | "virtual" => put_known(out, "vxid", value),
        "line" | "l" => put_known(out, "line_num", value),
        "cmd" | "tag" | "command" | "ps" => put_known(out, "ps", value),
        "backend" | "backend_type" | "b" => put_known(out, "backend_type", value),
        _ => put_known(out, key, value),
    }
    rest
}

/// An address, with its port in parentheses where it has one.
pub fn client<'a>(text: &'a str, out: &mut Parsed<'a>) {
    match text.strip_suffix(')').and_then(|text| text.rsplit_once('(')) {
        Some((host, port)) => {
            put_known(out, "remote_host", host);
            put_known(out, "remote_port", port);
        }
        None => put_known(out, "remote_host", text),
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `%c`: two hexadecimal numbers with a dot.
fn is_session(text: &str) -> bool {
    text.split_once('.').is_some_and(|(left, right)| {
        left.len() == 8
            && (1..=8).contains(&right.len())
            && text
                .bytes()
                .all(|byte| byte == b'.' || (byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()))
    })
}

fn read_bracket<'a>(inside: &'a str, out: &mut Parsed<'a>) {
    if inside.is_empty() || inside == "unknown" {
        return;
    }
    if let Some(equals) = key_end(inside) {
        let rest = read_pair(inside, equals, out);
        if !rest.is_empty() {
            read_bracket(rest.trim_start_matches([',', ' ']), out);
        }
        return;
    }
    if inside == "local" {
        put_known(out, "remote_host", "[local]");
    } else if !read_word(inside, out) {
        put_known(out, "prefix", inside);
    }
}

/// Where a word of the prefix ends; colons belong to IPv6 addresses only.
fn word_end(text: &str) -> usize {
    let end = text.find([' ', ',', ';', '|', '\t']).unwrap_or(text.len());
    let word = text.get(..end).unwrap_or("");
    let is_v6 = word.matches(':').count() >= 2
        && word.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'(' | b')'));
    if is_v6 { word.trim_end_matches(':').len() } else { word.find(':').unwrap_or(end) }
}

/// Names a word by its form; false when the form says nothing.
fn read_word<'a>(word: &'a str, out: &mut Parsed<'a>) -> bool {
    let word = word.trim_end_matches([':', '-']);
    let word = if word.contains('[') { word } else { word.trim_end_matches(']') };
    if all_digits(word) {
        put_known(out, if has(out, "pid") { "line_num" } else { "pid" }, word);
        return true;
    }
    if let Some((left, right)) = word.split_once('-')
        && all_digits(left)
        && all_digits(right)
    {
        // `[%p-%l]`, or `[%l-1]` where the process stands elsewhere.
        if has(out, "pid") {
            put_known(out, "line_num", left);
        } else {
            put_known(out, "pid", left);
            put_known(out, "line_num", right);
        }
        return true;
    }
    if let Some((user, database)) = word.rsplit_once('@') {
        put_known(out, "user", user);
        put_known(out, "dbname", database);
        return true;
    }
    if is_session(word) {
        out.session_id = Some(word.into());
        return true;
    }
    let address = word.split('(').next().unwrap_or("");
    if word == "[local]" || word == "localhost" || address.parse::<std::net::IpAddr>().is_ok() {
        client(word, out);
        return true;
    }
    if let Some((left, right)) = word.split_once('/')
        && all_digits(left)
        && all_digits(right)
    {
        put_known(out, "vxid", word);
        return true;
    }
    // A zone that the stamp's reader does not know.
    if out.metadata.is_empty()
        && (2..=5).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_uppercase())
    {
        put_known(out, "zone", word);
        return true;
    }
    word.is_empty() || word == "[unknown]"
}

fn trim_end(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii_end()),
        Cow::Owned(mut text) => {
            text.truncate(text.trim_ascii_end().len());
            Cow::Owned(text)
        }
    }
}

/// Cuts off the SQLSTATE that `log_error_verbosity = verbose` puts before the message.
fn strip_state<'a>(message: Cow<'a, str>, out: &mut Parsed<'a>) -> Cow<'a, str> {
    let has_state = message.as_bytes().get(5) == Some(&b':')
        && message.as_bytes().get(6) == Some(&b' ')
        && message.bytes().take(5).all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && message.bytes().take(5).any(|byte| byte.is_ascii_digit());
    if !has_state {
        return message;
    }
    match message {
        Cow::Borrowed(text) => {
            push_unique(out, "state_code", text.get(..5).unwrap_or(""));
            Cow::Borrowed(text.get(7..).unwrap_or(""))
        }
        Cow::Owned(text) => {
            push_unique(out, "state_code", text.get(..5).unwrap_or("").to_owned());
            Cow::Owned(text.get(7..).unwrap_or("").to_owned())
        }
    }
}

/// Takes the duration and the statement out of a message.
pub fn read_message<'a>(message: Cow<'a, str>, out: &mut Parsed<'a>) {
    match trim_end(message) {
        Cow::Borrowed(text) => {
            let logged = logged(text);
            out.duration_ms = logged.duration;
            put_known(out, "query_step", logged.step);
            put_known(out, "query_name", logged.name);
            out.message = logged.text.into();
        }
        Cow::Owned(text) => {
            let logged = logged(&text);
            out.duration_ms = logged.duration;
            if !logged.step.is_empty() {
                push_unique(out, "query_step", logged.step.to_owned());
            }
            if !logged.name.is_empty() {
                push_unique(out, "query_name", logged.name.to_owned());
            }
            out.message = if logged.text.len() == text.len() {
                Cow::Owned(text)
            } else {
                Cow::Owned(logged.text.to_owned())
            };
        }
    }
    if out.metadata.iter().any(|(name, _)| name == "query_step") {
        out.request_id = match &out.message {
            Cow::Borrowed(text) => request_in_comment(text).map(Cow::Borrowed),
            Cow::Owned(text) => request_in_comment(text).map(|id| Cow::Owned(id.to_owned())),
        };
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Logged<'a> {
    duration: Option<f64>,
    step: &'a str,
    name: &'a str,
    text: &'a str,
}

fn logged(text: &str) -> Logged<'_> {
    let mut found = Logged { text, ..Logged::default() };
    let mut rest = text;
    if let Some(after) = text.strip_prefix("duration: ")
        && let Some((number, after)) = after.split_once(" ms")
        && let Ok(duration) = number.parse()
    {
        found.duration = Some(duration);
        rest = after.trim_ascii_start();
        if rest.is_empty() {
            return found;
        }
        found.text = rest;
    }
    for step in ["statement", "execute", "parse", "bind", "fetch", "plan"] {
        let Some(after) = rest.strip_prefix(step) else { continue };
        if let Some(after) = after.strip_prefix(':') {
            found.step = step;
            found.text = after.trim_ascii_start();
            return found;
        }
        // `execute name: …`, `execute fetch from name: …`
        let Some((name, after)) = after.strip_prefix(' ').and_then(|after| after.split_once(": ")) else {
            continue;
        };
        if name.len() < 200 && !name.contains('\n') {
            found.step = step;
            found.name = name.rsplit(' ').next().unwrap_or(name);
            found.text = after;
            return found;
        }
    }
    found
}

/// The request id that an application left in a comment of its statement: sqlcommenter's
/// `/*request_id='x'*/`, Marginalia's `/*request_id:x*/`.
pub fn request_in_comment(statement: &str) -> Option<&str> {
    let bytes = statement.as_bytes();
    let at = memchr::memmem::find(bytes, b"request_id")?;
    memchr::memmem::rfind(bytes.get(..at)?, b"/*")?;
    let rest = statement.get(at + "request_id".len()..)?.trim_ascii_start();
    let rest = rest.strip_prefix([':', '='])?.trim_ascii_start().trim_start_matches(['\'', '"']);
    let end = rest.find(['\'', '"', ',', ' ', '*']).unwrap_or(rest.len());
    let id = rest.get(..end)?;
    (!id.is_empty() && id.len() <= 200).then_some(id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::domain::time::Timestamp;

    fn parse(text: &str) -> Parsed<'_> {
        let hint = TimeHint { reference: Timestamp::from_seconds(1_790_000_000), zone: SourceZone::Utc };
        let mut out = Parsed::default();
        Postgresql.parse(text, &hint, &mut out).unwrap();
        out
    }

    fn meta(parsed: &Parsed<'_>) -> String {
        let pairs: Vec<String> =
            parsed.metadata.iter().map(|(name, text)| format!("{name}={text}")).collect();
        pairs.join(" ")
    }

    #[test]
    fn prefixes_are_deduced() {
        for (text, metadata) in [
            ("2017-07-31 13:36:42.585 CEST [4974] LOG:  m", "pid=4974"),
            ("2017-07-31 13:36:42 UTC [4983] postgres@shop LOG:  m", "pid=4983 user=postgres dbname=shop"),
            ("2017-07-31 13:36:42 UTC [4983] [unknown]@[unknown] LOG:  m", "pid=4983"),
            ("2017-07-31 13:36:42 EST [835-1] a@b LOG:  m", "pid=835 line_num=1 user=a dbname=b"),
            (
                "2017-07-31 13:36:42 UTC [20]: [7-1] user=u,db=d,app=psql - x y,client=1.2.3.4 LOG:  m",
                "pid=20 line_num=7 user=u dbname=d application_name=psql - x y remote_host=1.2.3.4",
            ),
            ("2017-07-31 13:36:42 UTC [20]: [7-1] user=,db=,app=,client= LOG:  m", "pid=20 line_num=7"),
            (
                "2021-05-27 17:00:00 UTC:10.1.91.65(4321):user@my_db:[24743]:LOG:  m",
                "remote_host=10.1.91.65 remote_port=4321 user=user dbname=my_db pid=24743",
            ),
            ("2021-05-27 17:00:00 UTC::@:[5]:LOG:  m", "pid=5"),
            (
                "2022-02-17 14:45:10.440 UTC [691] [queryid=-108] p@s LOG:  m",
                "pid=691 query_id=-108 user=p dbname=s",
            ),
            ("2022-02-17 14:45:10 UTC-620e5f36.2b3-LOG:  m", ""),
            ("2022-02-17 14:45:10 UTC alice shop [12] LOG:  m", "pid=12 user=alice dbname=shop"),
            ("1645109110.440 [12] LOG:  m", "pid=12"),
            ("2022-02-17 14:45:10 -03 [12] 3/41 LOG:  m", "pid=12 vxid=3/41"),
            ("2022-02-17 14:45:10 XYZT [12] LOG:  m", "zone=XYZT pid=12"),
            ("LOG:  m", ""),
        ] {
            let parsed = parse(text);
            assert_eq!(meta(&parsed).trim_end_matches("severity=LOG").trim_end(), metadata, "{text}");
            assert_eq!(parsed.message, "m", "{text}");
            assert_eq!(parsed.timestamp.is_some(), text != "LOG:  m", "{text}");
        }
        assert_eq!(
            parse("2022-02-17 14:45:10 UTC-620e5f36.2b3-LOG:  m").session_id.as_deref(),
            Some("620e5f36.2b3")
        );
        assert_eq!(
            parse("2022-02-17 14:45:10 -03 [12] LOG:  m").timestamp.unwrap().to_rfc3339(),
            "2022-02-17T17:45:10.000000Z"
        );
    }

    #[test]
    fn errors_of_other_programs_are_not_postgresql() {
        for text in [
            "ERROR: no such file",
            "2026-01-01 00:00:00,123 ERROR: failed",
            "[2026-01-01 00:00:00] WARNING: x",
        ] {
            assert!(
                Postgresql.parse(text, &super::super::python::ANY_HINT, &mut Parsed::default()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn parts_join_as_metadata() {
        let text = "2025-08-16 13:02:58.095 CEST [8] ERROR:  42601: bad at character 61\n\
            2025-08-16 13:02:58.095 CEST [8] DETAIL:  Token \"'\" is invalid.\n\tMore.\n\
            2025-08-16 13:02:58.095 CEST [8] STATEMENT:  SELECT 1 /*request_id='r-7'*/";
        for line in text.lines().skip(1) {
            assert_ne!(Postgresql.opens(line), Opens::Parsed, "{line}");
        }
        let parsed = parse(text);
        assert_eq!((parsed.level, parsed.message.as_ref()), (Level::Error, "bad at character 61"));
        assert_eq!(
            meta(&parsed),
            "pid=8 state_code=42601 detail=Token \"'\" is invalid.\nMore. statement=SELECT 1 /*request_id='r-7'*/"
        );
        assert_eq!(parsed.request_id.as_deref(), Some("r-7"));
    }

    #[test]
    fn statements_and_durations() {
        for (message, duration, step, text) in [
            ("duration: 0.524 ms", Some(0.524), "", "duration: 0.524 ms"),
            ("duration: 37.118 ms  statement: SELECT 1", Some(37.118), "statement", "SELECT 1"),
            ("duration: 1.0 ms  execute S_59: UPDATE t", Some(1.0), "execute", "UPDATE t"),
            ("execute <unnamed>: SELECT 2", None, "execute", "SELECT 2"),
            ("statement: SHOW x;", None, "statement", "SHOW x;"),
            ("duration: 3.5 ms  plan:\nQuery Text: x", Some(3.5), "plan", "Query Text: x"),
            ("parse error in file", None, "", "parse error in file"),
        ] {
            let logged = logged(message);
            assert_eq!((logged.duration, logged.step, logged.text), (duration, step, text));
        }
        assert_eq!(request_in_comment("SELECT request_id FROM t"), None);
        assert_eq!(request_in_comment("SELECT 1 /*app:x,request_id:ab-1,line:3*/"), Some("ab-1"));
    }

    #[test]
    fn logplex_lines_of_one_number_are_one_record() {
        let lines = [
            "2019-03-14T00:23:00+00:00 app[postgres.4849]: [GREEN] [19-1]  sql_error_code = 40P01 ERROR:  deadlock detected",
            "2019-03-14T00:23:00+00:00 app[postgres.4849]: [GREEN] [19-2]  sql_error_code = 40P01 DETAIL:  Process 1",
            "2019-03-14T00:23:00+00:00 app[postgres.4849]: [GREEN] [19-3] \tProcess 2",
        ];
        assert_eq!(Postgresql.opens(lines[0]), Opens::Parsed);
        assert_eq!(Postgresql.joins(lines[0], lines[2]), Joins::Yes);
        let text = lines.join("\n");
        let parsed = parse(&text);
        assert_eq!((parsed.level, parsed.message.as_ref()), (Level::Error, "deadlock detected"));
        assert_eq!(meta(&parsed), "pid=4849 color=GREEN state_code=40P01 detail=Process 1\nProcess 2");
    }
}
