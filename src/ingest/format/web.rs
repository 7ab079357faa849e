//! What access log lines share: cutting fields, the request line, the status.

use std::borrow::Cow;
use std::net::IpAddr;

use memchr::{memchr, memchr_iter};

use crate::domain::record::Level;

use super::{Parsed, TimeHint, time};

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
        Some(self.take(end, end))
    }

    /// Text between `"` and the next `"` that no backslash escapes. Text without its closing
    /// quote is not taken.
    pub fn quoted(&mut self) -> Option<&'a str> {
        let bytes = self.0.as_bytes();
        if bytes.first() != Some(&b'"') {
            return None;
        }
        let end = closing_quote(bytes, 1)?;
        let text = &self.0[1..end];
        self.0 = self.0[end + 1..].strip_prefix(' ').unwrap_or(&self.0[end + 1..]);
        Some(text)
    }

    /// Quoted text, or a token that stands for it bare (`-`).
    pub fn quoted_or_token(&mut self) -> Option<&'a str> {
        if self.0.starts_with('"') { self.quoted() } else { self.token() }
    }

    /// Text between `[` and `]`.
    pub fn bracketed(&mut self) -> Option<&'a str> {
        if !self.0.starts_with('[') {
            return None;
        }
        let end = memchr(b']', self.0.as_bytes())?;
        let text = &self.0[1..end];
        self.0 = self.0[end + 1..].strip_prefix(' ').unwrap_or(&self.0[end + 1..]);
        Some(text)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, end: usize, used: usize) -> &'a str {
        let text = &self.0[..end];
        self.0 = self.0.get(used + 1..).unwrap_or("");
        text
    }
}

fn closing_quote(bytes: &[u8], from: usize) -> Option<usize> {
    for found in memchr_iter(b'"', &bytes[from..]) {
        let at = from + found;
        let backslashes = bytes[from..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(at);
        }
    }
    None
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
    const NO_TIME: &str = "no time in brackets";
    let bytes = line.as_bytes();
    let mut found = None;
    // A user name may hold a bracket; the stamp decides which one is meant.
    for open in memchr_iter(b'[', bytes).take(4) {
        if let Some(cut) = time::clf(&line[open + 1..], hint) {
            found = Some((open, Some(cut.instant), cut.rest.strip_prefix(']').ok_or(NO_TIME)?));
            break;
        }
        if let Some(rest) = line[open + 1..].strip_prefix("-]") {
            found = Some((open, None, rest));
            break;
        }
    }
    let (open, instant, rest) = found.ok_or(NO_TIME)?;
    let mut scan = Scan(rest.strip_prefix(' ').ok_or("nothing after the time")?);
    let request = scan.quoted().ok_or("no request in quotes")?;
    let status_text = scan.token().ok_or("no status")?;
    let status = match status_text {
        "-" => None,
        text => Some(status_of(text).ok_or("the status is not a number")?),
    };
    let bytes = scan.token().ok_or("no size")?;
    if bytes != "-" && !bytes.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the size is not a number");
    }
    Ok(Common {
        head: line[..open].trim_end_matches(' '),
        instant,
        request,
        status,
        status_text,
        bytes,
        rest: scan,
    })
}

fn status_of(text: &str) -> Option<u16> {
    let &[a, b, c] = text.as_bytes() else { return None };
    if !(a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit()) {
        return None;
    }
    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
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
    let Some(space) = memchr(b' ', request.as_bytes()) else { return };
    let (method, rest) = (&request[..space], &request[space + 1..]);
    // Scanners send anything at all; what is not a request line stays in the message only.
    if method.is_empty()
        || !method.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
    {
        return;
    }
    out.put("method", method);
    match memchr::memrchr(b' ', rest.as_bytes()) {
        Some(space) if rest[space + 1..].starts_with("HTTP/") => {
            out.put("path", &rest[..space]);
            out.put("protocol", &rest[space + 1..]);
        }
        _ => out.put("path", rest),
    }
}

/// Referrer and user agent after the common part. An agent that the line ends in the middle of is
/// taken as far as it goes.
pub fn put_referrer_and_agent<'a>(scan: &mut Scan<'a>, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let referrer = scan.quoted_or_token().ok_or("no referrer")?;
    out.put("referrer", referrer);
    if scan.0.starts_with('"') && closing_quote(scan.0.as_bytes(), 1).is_none() {
        out.put("user_agent", &scan.0[1..]);
        out.put("incomplete", "true");
        scan.0 = "";
        return Ok(());
    }
    out.put("user_agent", scan.quoted_or_token().ok_or("no user agent")?);
    Ok(())
}

/// Client and its proxies: `client` is the first address that is not of a private network (else
/// the first), `addresses` the whole list when there are several.
pub fn put_clients<'a>(list: &'a str, out: &mut Parsed<'a>) {
    if !list.contains([' ', '"']) {
        out.put("client", list);
        return;
    }
    let parts = || list.split([',', ' ', '"']).filter(|part| !part.is_empty());
    let public = parts().find(|part| part.parse::<IpAddr>().is_ok_and(|address| is_public(&address)));
    if let Some(client) = public.or_else(|| parts().next()) {
        out.put("client", client);
    }
    out.put_cow("addresses", parts().collect::<Vec<_>>().join(","));
}

fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()),
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified())
        }
    }
}

/// `0.125` seconds as milliseconds.
pub fn seconds_to_ms(text: &str) -> Option<f64> {
    let seconds: f64 = text.parse().ok()?;
    // Through whole microseconds, or 0.129 s would be 129.00000000000003 ms.
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds * 1e6).round() / 1e3)
}

/// 32 hex digits, or a UUID: what request ids look like.
pub fn looks_like_id(text: &str) -> bool {
    matches!(text.len(), 16 | 32 | 36)
        && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && text.bytes().any(|byte| byte.is_ascii_hexdigit())
}
