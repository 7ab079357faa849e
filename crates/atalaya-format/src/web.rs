//! What access log lines share: cutting fields, who asked, the request line, the status.
//!
//! Strangers type the user name, the request, the referrer and the agent. None of them may become
//! another field, so a line is read from where only the server wrote: the stamp that a quote
//! follows ends the user name, and the status and size behind a quote end the request.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use memchr::{memchr, memchr_iter, memrchr};

use atalaya_domain::record::Level;
use atalaya_domain::time::Timestamp;

use super::{Begins, Parsed, SourceZone, TimeHint, split, time};

mod head;

pub use head::{put_client, put_head};

/// What an access line can begin with: an address, a name, a list in quotes.
pub const CLIENT_BEGINS: Begins = Begins::DIGITS
    .or(Begins::LETTERS)
    .or(Begins::these(b"-:\"[_*~"));

/// How far into a line the stamp is looked for: lists of addresses may stand before it.
const HEAD_BYTES: usize = 512;

/// What is left of a line, cut from the left. Each cut takes the space after it along.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a>(pub &'a str);

impl<'a> Scan<'a> {
    /// Text up to the next space or the end; `None` at the end.
    pub fn token(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr(b' ', self.0.as_bytes()).unwrap_or(self.0.len());
        let text = &self.0[..end];
        self.0 = self.0.get(end + 1..).unwrap_or("");
        Some(text)
    }

    /// Text between `"` and the next `"` that no backslash escapes and that ends a field: a space
    /// or nothing follows. Text without its closing quote is not taken.
    pub fn quoted(&mut self) -> Option<&'a str> {
        let bytes = self.0.as_bytes();
        if bytes.first() != Some(&b'"') {
            return None;
        }
        let end = closing_quote(bytes, 1)?;
        let text = &self.0[1..end];
        self.0 = self.0[end + 1..]
            .strip_prefix(' ')
            .unwrap_or(&self.0[end + 1..]);
        Some(text)
    }

    /// Quoted text, or a token that stands for it bare (`-`).
    pub fn quoted_or_token(&mut self) -> Option<&'a str> {
        if self.0.starts_with('"') {
            self.quoted()
        } else {
            self.token()
        }
    }

    /// Quoted text, or `-` bare.
    fn quoted_or_dash(&mut self) -> Option<&'a str> {
        if self.0.starts_with('"') {
            return self.quoted();
        }
        let rest = self
            .0
            .strip_prefix('-')
            .filter(|rest| rest.is_empty() || rest.starts_with(' '))?;
        self.0 = rest.strip_prefix(' ').unwrap_or(rest);
        Some("-")
    }

    /// Text between `[` and `]`.
    pub fn bracketed(&mut self) -> Option<&'a str> {
        if !self.0.starts_with('[') {
            return None;
        }
        let end = memchr(b']', self.0.as_bytes())?;
        let text = &self.0[1..end];
        self.0 = self.0[end + 1..]
            .strip_prefix(' ')
            .unwrap_or(&self.0[end + 1..]);
        Some(text)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The quote that ends a field: no backslash escapes it, and a space or nothing follows. Where
/// there is none such the first that no backslash escapes: some programs glue fields together.
fn closing_quote(bytes: &[u8], from: usize) -> Option<usize> {
    let mut glued = None;
    for found in memchr_iter(b'"', &bytes[from..]) {
        let at = from + found;
        if is_escaped(bytes, at, from) {
            continue;
        }
        if matches!(bytes.get(at + 1), None | Some(b' ')) {
            return Some(at);
        }
        glued = glued.or(Some(at));
    }
    glued
}

fn is_escaped(bytes: &[u8], at: usize, from: usize) -> bool {
    bytes[from..at]
        .iter()
        .rev()
        .take_while(|&&byte| byte == b'\\')
        .count()
        % 2
        == 1
}

pub fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether an access line's stamp stands near the start: `[22/Nov/` or `[-] "`.
pub fn has_stamp(line: &str) -> bool {
    let bytes = line.as_bytes();
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    memchr_iter(b'[', head).any(|open| match &bytes[open + 1..] {
        [_, _, b'/', _, _, _, b'/', ..] => true,
        inside => inside.starts_with(b"-] \""),
    })
}

/// Whether a virtual host stands before the client, which is a bare address, as `put_head` finds it;
/// no where it takes more than a glance.
pub fn has_vhost(line: &str) -> bool {
    let Some((first, rest)) = split::once(line, b' ') else {
        return false;
    };
    // Nearly always the identity is next.
    if rest.starts_with("- ") {
        return false;
    }
    let bare = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| !matches!(byte, b',' | b'"' | b'[' | b'\''))
    };
    let client = split::once(rest, b' ').filter(|(_, rest)| rest.starts_with("- "));
    client.is_some_and(|(client, _)| is_ip(client))
        && first != "-"
        && bare(first)
        && !is_address(first)
}

/// The common part of an access line: everything up to the size of the answer.
#[derive(Debug)]
pub struct Common<'a> {
    /// What stands before the time: addresses, identity, user.
    pub head: &'a str,
    pub instant: Option<time::Instant>,
    pub request: &'a str,
    pub status: Option<u16>,
    pub status_text: &'a str,
    pub bytes: &'a str,
    pub rest: Scan<'a>,
}

/// `head [time] "request" status bytes rest…`; the reason when it is something else.
pub fn common<'a>(line: &'a str, hint: &TimeHint) -> Result<Common<'a>, &'static str> {
    common_with(line, |inside| {
        let cut = time::clf(inside, hint)?;
        if cut.rest.starts_with(']') {
            Some(cut)
        } else {
            with_zone_name(inside, hint).or(Some(cut))
        }
    })
}

/// `22/Nov/2026:02:21:09 CET`, as `WEBrick` has it.
fn with_zone_name<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let utc = TimeHint {
        reference: hint.reference,
        zone: SourceZone::Utc,
    };
    let cut = time::clf(text, &utc)?;
    let (name, _) = cut.rest.strip_prefix(' ')?.split_once(']')?;
    let micros = i64::from(time::zone_seconds(name)?) * 1_000_000;
    let at = Timestamp::from_micros(cut.instant.at.micros() - micros);
    Some(time::Cut {
        instant: time::Instant::exact(at),
        rest: &cut.rest[1 + name.len()..],
    })
}

/// [`common`] with another spelling of the stamp.
pub fn common_with<'a>(
    line: &'a str,
    stamp: impl Fn(&'a str) -> Option<time::Cut<'a>>,
) -> Result<Common<'a>, &'static str> {
    let (head, instant, rest) = at_stamp(line, stamp).ok_or("no time in brackets")?;
    let (end, answer) =
        request_end(rest).ok_or("no request in quotes with status and size behind")?;
    Ok(Common {
        head: head.trim_end_matches(' '),
        instant,
        request: &rest[..end],
        status: answer.number,
        status_text: answer.status,
        bytes: answer.bytes,
        rest: answer.rest,
    })
}

/// What stands before the stamp, the stamp, and what follows the quote behind it. A user name may
/// hold brackets, and stamps in brackets; the one that a quote follows is the server's.
fn at_stamp<'a>(
    line: &'a str,
    stamp: impl Fn(&'a str) -> Option<time::Cut<'a>>,
) -> Option<(&'a str, Option<time::Instant>, &'a str)> {
    memchr_iter(b'[', line.as_bytes()).find_map(|open| {
        let inside = &line[open + 1..];
        let (instant, rest) = match stamp(inside) {
            Some(cut) => (Some(cut.instant), cut.rest),
            None => (None, inside.strip_prefix('-')?),
        };
        Some((&line[..open], instant, rest.strip_prefix("] \"")?))
    })
}

/// Status, size and what follows.
#[derive(Clone, Copy)]
struct Answer<'a> {
    number: Option<u16>,
    status: &'a str,
    bytes: &'a str,
    rest: Scan<'a>,
}

/// Where the request ends, in the text behind its opening quote. A quote within a request that the
/// server did not escape is told from the closing one by what follows; and of two that a status
/// follows, the one behind a protocol counts, for a request without any has no further headers.
fn request_end(text: &str) -> Option<(usize, Answer<'_>)> {
    let bytes = text.as_bytes();
    let mut bare = None;
    let mut escaped = None;
    for at in memchr_iter(b'"', bytes) {
        let Some(answer) = answer(&text[at + 1..]) else {
            continue;
        };
        if is_escaped(bytes, at, 0) {
            escaped = escaped.or(Some((at, answer)));
        } else if ends_with_protocol(&bytes[..at]) {
            return Some((at, answer));
        } else {
            bare = bare.or(Some((at, answer)));
        }
    }
    bare.or(escaped)
}

fn ends_with_protocol(request: &[u8]) -> bool {
    if let [.., b' ', b'H', b'T', b'T', b'P', b'/', _, b'.', _] = request {
        return true;
    }
    let near = &request[request.len().saturating_sub(10)..];
    let word = near
        .iter()
        .rposition(|&byte| byte == b' ')
        .map_or(&near[..0], |space| &near[space + 1..]);
    is_protocol(word)
}

/// `HTTP/1.1`; hypercorn leaves the name away.
fn is_protocol(word: &[u8]) -> bool {
    word.starts_with(b"HTTP/") || matches!(word, b"1.0" | b"1.1" | b"2" | b"2.0" | b"3")
}

fn answer(text: &str) -> Option<Answer<'_>> {
    let bytes = text.as_bytes();
    let (number, start) = match bytes {
        [
            b' ',
            a @ b'0'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            b' ',
            ..,
        ] => (Some(three(*a, *b, *c)), 5),
        [b' ', b'-', b' ', ..] => (None, 3),
        _ => return None,
    };
    let digits = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let end = start
        + if digits == 0 && bytes.get(start) == Some(&b'-') {
            1
        } else {
            digits
        };
    if end == start || !matches!(bytes.get(end), None | Some(b' ')) {
        return None;
    }
    let rest = Scan(text.get(end + 1..).unwrap_or(""));
    Some(Answer {
        number,
        status: &text[1..start - 1],
        bytes: &text[start..end],
        rest,
    })
}

fn three(a: u8, b: u8, c: u8) -> u16 {
    u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
}

/// A status of three digits.
pub fn status_of(text: &str) -> Option<u16> {
    let &[a, b, c] = text.as_bytes() else {
        return None;
    };
    if !(a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit()) {
        return None;
    }
    Some(three(a, b, c))
}

impl<'a> Common<'a> {
    /// Time, level, message, and the fields of the request and the answer.
    pub fn put(&self, out: &mut Parsed<'a>) {
        if let Some(instant) = self.instant {
            out.set_time(instant);
        }
        out.level = self.status.map_or(Level::Info, Level::from_http_status);
        put_request(self.request, out);
        out.put("status", self.status_text);
        out.put("bytes", self.bytes);
    }
}

/// The request line as message, and its parts.
pub fn put_request<'a>(request: &'a str, out: &mut Parsed<'a>) {
    out.message = Cow::Borrowed(if request.is_empty() { "-" } else { request });
    let Some(space) = memchr(b' ', request.as_bytes()) else {
        return;
    };
    let (method, rest) = (&request[..space], &request[space + 1..]);
    // Scanners send anything at all; what is not a request line stays in the message only.
    if !is_method(method) {
        return;
    }
    out.put("method", method);
    match memrchr(b' ', rest.as_bytes()) {
        Some(space) if is_protocol(&rest.as_bytes()[space + 1..]) => {
            out.put("path", &rest[..space]);
            out.put("protocol", &rest[space + 1..]);
        }
        _ => out.put("path", rest),
    }
}

pub fn is_method(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
}

/// Referrer and user agent after the common part, each in quotes or `-`; no, and nothing taken,
/// where something else stands there. An agent that the line ends in the middle of is taken as far
/// as it goes.
pub fn put_referrer_and_agent<'a>(scan: &mut Scan<'a>, out: &mut Parsed<'a>) -> bool {
    let mut rest = *scan;
    let Some(referrer) = rest.quoted_or_dash() else {
        return false;
    };
    let mut incomplete = "";
    let agent = match (rest.quoted_or_dash(), rest.0.strip_prefix('"')) {
        (Some(agent), _) => agent,
        (None, Some(open)) => {
            rest.0 = "";
            incomplete = "true";
            open
        }
        (None, None) => return false,
    };
    *scan = rest;
    out.put("referrer", referrer);
    out.put("user_agent", agent);
    out.put("incomplete", incomplete);
    true
}

/// Whether a field of this name is there already. The decoder keeps the first of equal names, so
/// what would come second belongs in the rest.
pub fn has(out: &Parsed<'_>, name: &str) -> bool {
    out.metadata.iter().any(|(known, _)| known == name)
}

/// A field that says its name, as people put it behind the known ones: `rt=0.125`,
/// `ua="10.0.0.1:80, 10.0.0.2:80"`, `kong_request_id: "…"`. Nothing is taken otherwise.
pub fn named<'a>(scan: &mut Scan<'a>) -> Option<(&'a str, &'a str)> {
    let text = scan.0;
    let end = text
        .bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')))?;
    let (name, after) = text.split_at(end);
    let value = after
        .strip_prefix('=')
        .or_else(|| after.strip_prefix(": ").filter(|v| v.starts_with('"')))?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let mut rest = Scan(value);
    let value = if value.starts_with('"') {
        rest.quoted()?
    } else {
        rest.token().unwrap_or("")
    };
    *scan = rest;
    Some((name, value))
}

/// Takes a named field of the tail; no when there is one of that name.
pub fn put_named<'a>(name: &'a str, value: &'a str, out: &mut Parsed<'a>) -> bool {
    let says_nothing = value.is_empty() || value == "-";
    match name {
        "rt" | "request_time" if out.duration_ms.is_none() && !says_nothing => {
            out.duration_ms = seconds_to_ms(value);
            out.duration_ms.is_some()
        }
        // Apache's manual: `D=%D`, in microseconds.
        "D" if out.duration_ms.is_none() && is_number(value) => {
            out.duration_ms = value.parse().ok().map(|micros: f64| micros / 1e3);
            true
        }
        "request_id" | "req_id" | "rid" | "trace_id" | "kong_request_id"
            if out.request_id.is_none() && !says_nothing =>
        {
            out.request_id = Some(value.into());
            true
        }
        _ if has(out, name) => false,
        _ => {
            out.put(name, value);
            true
        }
    }
}

/// Keeps what nothing tells as `rest`; fields in it that say their names are copied.
pub fn put_rest<'a>(rest: &'a str, out: &mut Parsed<'a>) {
    let mut scan = Scan(rest);
    while !scan.is_empty() {
        if let Some((name, value)) = named(&mut scan) {
            put_named(name, value, out);
        } else if scan.quoted_or_token().is_none() {
            break;
        }
    }
    out.put("rest", rest);
}

/// Whether these are addresses, with `, ` between them: what proxies pass on.
pub fn is_forwarded(list: &str) -> bool {
    !list.is_empty()
        && list
            .split(',')
            .map(str::trim_ascii)
            .all(|part| part == "unknown" || part.parse::<IpAddr>().is_ok())
}

/// `0.125` seconds as milliseconds.
pub fn seconds_to_ms(text: &str) -> Option<f64> {
    let seconds: f64 = text.parse().ok()?;
    // Through whole microseconds, or 0.129 s would be 129.00000000000003 ms.
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds * 1e6).round() / 1e3)
}

/// `address:port`, with the address in brackets or not: IPv6 addresses stand bare in many logs.
pub fn split_port(text: &str) -> Option<(&str, &str)> {
    let (address, port) = text.rsplit_once(':')?;
    if !is_number(port) || port.len() > 5 || address.is_empty() {
        return None;
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'))
        .unwrap_or(address);
    Some((bare, port))
}

/// Whether a token is an IP address, also with a port, in brackets or as `unix:`.
pub fn is_address(token: &str) -> bool {
    let bytes = token.as_bytes();
    match bytes.first() {
        Some(b'u') => token.starts_with("unix:"),
        Some(b'[') => {
            token.parse::<SocketAddr>().is_ok() || token[1..].strip_suffix(']').is_some_and(is_ip)
        }
        Some(byte) if byte.is_ascii_hexdigit() || *byte == b':' => {
            bytes.len() > 1 && (is_ip(token) || token.parse::<SocketAddr>().is_ok())
        }
        _ => false,
    }
}

pub fn is_ip(text: &str) -> bool {
    // Most words are none: all have a dot or a colon.
    text.bytes().any(|byte| matches!(byte, b'.' | b':')) && text.parse::<IpAddr>().is_ok()
}

/// `1m2.5s`, `112.3µs`: a duration as Go prints it, in milliseconds.
pub fn go_duration_ms(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let number = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
            .count();
        let unit = rest[number..]
            .bytes()
            .take_while(|byte| !(byte.is_ascii_digit() || *byte == b'.'))
            .count();
        let factor = match &rest[number..number + unit] {
            "ns" => 1e-6,
            "us" | "µs" | "μs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            _ => return None,
        };
        total += rest[..number].parse::<f64>().ok()? * factor;
        rest = &rest[number + unit..];
    }
    // Through whole nanoseconds, or the factors would show.
    (!text.is_empty()).then(|| (total * 1e6).round() / 1e6)
}

/// 32 hex digits, or a UUID: what request ids look like.
pub fn looks_like_id(text: &str) -> bool {
    matches!(text.len(), 16 | 32 | 36)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && text.bytes().any(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
