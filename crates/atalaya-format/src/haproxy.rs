//! `HAProxy`, as it writes to syslog (whose head is taken off) or to a file: the HTTP log of
//! `option httplog`, the one with TLS behind of `option httpslog`, the TCP log of `option tcplog`,
//! and the line of a connection that failed early. 1.3 to 3.x.
//!
//! `HAProxy` replaces quotes and control characters of what it captures (`#22`), so the request ends
//! at the next quote. A status of -1 is none: nothing was sent.
//!
//! Names: `client`, `client_port`, `frontend`, `backend`, `server`, `request_ms` (Tq or TR),
//! `queue_ms` (Tw), `connect_ms` (Tc), `response_ms` (Tr), `total_ms` where the log was written
//! before the end (`+85`), `status`, `bytes`, `request_cookie`, `response_cookie`,
//! `termination_state`, `connections` (process, frontend, backend, server, retries), `queues`
//! (server, backend), `request_headers`, `response_headers`, `method`, `path`, `protocol`,
//! `tls_errors`, `sni`, `tls_protocol`, `tls_cipher`, `rest`. A `unique-id` before or behind is the
//! request's id.
//!
//! Source: <https://docs.haproxy.org/3.0/configuration.html#8.2>.

use atalaya_domain::record::{Layer, Level};

use super::web::{self, Scan};
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, time,
};

#[derive(Clone, Copy, Debug)]
pub struct Haproxy;

impl Format for Haproxy {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "haproxy",
            source: "haproxy",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS.or(Begins::LETTERS).or(Begins::these(b":[-")),
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"[/:")
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let head = &bytes[..bytes.len().min(160)];
        // The stamp stands behind at most three words: program, id, client.
        let found = memchr::memchr_iter(b'[', head).take(2).any(|at| {
            matches!(
                &bytes[at + 1..],
                [_, _, b'/', _, _, _, b'/', _, _, _, _, b':', ..]
            ) && head[..at].ends_with(b" ")
                && memchr::memchr_iter(b' ', &head[..at]).count() <= 3
                && memchr::memchr(b':', &head[..at]).is_some()
        });
        if found { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        parse(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let (head, rest) = text.split_once(" [").ok_or("no time in brackets")?;
    let cut = time::clf(rest, hint).ok_or("no time in brackets")?;
    let rest = cut.rest.strip_prefix("] ").ok_or("no time in brackets")?;
    put_head(head, out)?;
    out.set_time(cut.instant);
    if let Some(failure) = failed_early(rest, out) {
        out.level = Level::Warning;
        out.message = failure.into();
        return Ok(());
    }
    let mut scan = Scan(rest);
    out.put("frontend", scan.token().ok_or("no frontend")?);
    let backend = scan.token().ok_or("no backend")?;
    let (backend, server) = backend
        .split_once('/')
        .ok_or("no server behind the backend")?;
    out.put("backend", backend);
    out.put("server", server);
    let timers = scan.token().ok_or("no times")?;
    match timers.bytes().filter(|&byte| byte == b'/').count() {
        4 => put_http(timers, scan, out),
        2 => put_tcp(timers, scan, text, out),
        _ => Err("neither three nor five times"),
    }
}

/// `[haproxy[pid]: ][unique-id ]client:port`.
fn put_head<'a>(head: &'a str, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let mut scan = Scan(head);
    if let Some(tag) = head.split(' ').next().filter(|tag| tag.ends_with("]:")) {
        scan.token();
        let (program, pid) = tag
            .trim_end_matches("]:")
            .split_once('[')
            .unwrap_or((tag, ""));
        out.logger = Some(program.into());
        out.put("pid", pid);
    }
    if let Some((id, client)) = scan.0.split_once(' ') {
        if !is_id(id) {
            return Err("text before the client");
        }
        out.request_id = Some(id.into());
        scan = Scan(client);
    }
    let (client, port) = web::split_port(scan.0).ok_or("no client with a port")?;
    if client.contains(' ') {
        return Err("text before the client");
    }
    out.put("client", client);
    out.put("client_port", port);
    Ok(())
}

/// What `unique-id-format` makes in the manual's example and in practice: hex numbers with signs
/// between them, and a UUID.
fn is_id(text: &str) -> bool {
    text.len() >= 16
        && text.len() <= 128
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'_' | b'-' | b'.'))
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && !web::is_address(text)
}

/// `frontend/bind: SSL handshake failure`: the text, when the line is one of these.
fn failed_early<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<&'a str> {
    let (place, failure) = rest.split_once(": ")?;
    let (frontend, bind) = place.split_once('/')?;
    if place.contains(' ') {
        return None;
    }
    out.put("frontend", frontend);
    out.put("bind", bind);
    Some(failure)
}

fn put_times<'a>(
    names: &[&'static str],
    timers: &'a str,
    out: &mut Parsed<'a>,
) -> Result<(), &'static str> {
    const WRONG: &str = "a time is not a number";
    let mut timers = timers.split('/');
    for name in names {
        let timer = timers
            .next()
            .filter(|timer| is_signed(timer))
            .ok_or(WRONG)?;
        out.put(name, timer);
    }
    let total = timers.next().ok_or(WRONG)?;
    if web::is_number(total) {
        out.duration_ms = total.parse().ok();
    } else if is_signed(total) {
        // With `option logasap` the line is written before the end.
        out.put("total_ms", total);
    } else {
        return Err(WRONG);
    }
    Ok(())
}

fn is_signed(text: &str) -> bool {
    web::is_number(text.strip_prefix(['-', '+']).unwrap_or(text))
}

/// `TR/Tw/Tc/Tr/Ta status bytes cookie cookie state connections queues {…} {…} "request" …`.
fn put_http<'a>(
    timers: &'a str,
    mut scan: Scan<'a>,
    out: &mut Parsed<'a>,
) -> Result<(), &'static str> {
    put_times(
        &["request_ms", "queue_ms", "connect_ms", "response_ms"],
        timers,
        out,
    )?;
    let status = scan.token().ok_or("no status")?;
    let number = web::status_of(status);
    if number.is_none() && status != "-1" && status != "-" {
        return Err("the status is not a number");
    }
    out.level = number.map_or(Level::Info, Level::from_http_status);
    out.put("status", status);
    put_bytes(&mut scan, out)?;
    out.put("request_cookie", scan.token().ok_or("no cookie")?);
    out.put("response_cookie", scan.token().ok_or("no cookie")?);
    put_state(&mut scan, 4, out)?;
    for name in ["request_headers", "response_headers"] {
        if scan.0.starts_with('{') {
            out.put(
                name,
                braced(&mut scan).ok_or("captured headers are not closed")?,
            );
        }
    }
    if let Some((id, after)) = scan.0.split_once(' ')
        && is_id(id)
    {
        out.request_id = Some(id.into());
        scan = Scan(after);
    }
    let open = scan.0.strip_prefix('"').ok_or("no request in quotes")?;
    match open.split_once('"') {
        Some((request, rest)) => {
            web::put_request(request, out);
            put_tail(rest.strip_prefix(' ').unwrap_or(rest), out);
        }
        None => {
            // Syslog cuts lines at 1024 bytes.
            web::put_request(open, out);
            out.put("incomplete", "true");
        }
    }
    Ok(())
}

/// `Tw/Tc/Tt bytes state connections queues`.
fn put_tcp<'a>(
    timers: &'a str,
    mut scan: Scan<'a>,
    text: &'a str,
    out: &mut Parsed<'a>,
) -> Result<(), &'static str> {
    put_times(&["queue_ms", "connect_ms"], timers, out)?;
    put_bytes(&mut scan, out)?;
    let state = scan.0.as_bytes().first().copied().unwrap_or(b'-');
    put_state(&mut scan, 2, out)?;
    // The server or the proxy itself ended it: nobody answered, or nothing was allowed to.
    out.level = if matches!(state, b'S' | b's' | b'P' | b'R' | b'I' | b'D') {
        Level::Warning
    } else {
        Level::Info
    };
    out.message = text.into();
    put_tail(scan.0, out);
    Ok(())
}

fn put_bytes<'a>(scan: &mut Scan<'a>, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let bytes = scan
        .token()
        .filter(|bytes| is_signed(bytes))
        .ok_or("no size")?;
    out.put("bytes", bytes.trim_start_matches('+'));
    Ok(())
}

/// `SC-- 1/1/0/0/0 0/0`.
fn put_state<'a>(
    scan: &mut Scan<'a>,
    length: usize,
    out: &mut Parsed<'a>,
) -> Result<(), &'static str> {
    let state = scan.token().ok_or("no termination state")?;
    if state.len() != length
        || !state
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
    {
        return Err("no termination state");
    }
    out.put("termination_state", state);
    for (name, slashes) in [("connections", 3..5), ("queues", 1..2)] {
        let counts = scan.token().ok_or("no counts of connections")?;
        let digits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'/' | b'+' | b'-');
        let found = counts.bytes().filter(|&byte| byte == b'/').count();
        if !counts.bytes().all(digits) || !slashes.contains(&found) {
            return Err("no counts of connections");
        }
        out.put(name, counts);
    }
    Ok(())
}

/// Captured headers may hold braces; a space and what goes on stands behind the last one.
fn braced<'a>(scan: &mut Scan<'a>) -> Option<&'a str> {
    let text = scan.0;
    let end = memchr::memchr_iter(b'}', text.as_bytes()).find(|&end| {
        matches!(
            text.as_bytes().get(end + 1..end + 3),
            Some([b' ', b'{' | b'"' | b'0'..=b'9' | b'A'..=b'F' | b'a'..=b'f'])
        )
    })?;
    scan.0 = &text[end + 2..];
    Some(&text[1..end])
}

/// What `option httpslog` puts behind, a unique id, or anything else.
fn put_tail<'a>(tail: &'a str, out: &mut Parsed<'a>) {
    let mut scan = Scan(tail);
    while !scan.is_empty() {
        let here = scan.0;
        let token = scan.token().unwrap_or("");
        let slashes = token.bytes().filter(|&byte| byte == b'/').count();
        if out.request_id.is_none() && is_id(token.trim_matches('"')) {
            out.request_id = Some(token.trim_matches('"').into());
        } else if slashes == 4 && !web::has(out, "tls_errors") {
            out.put("tls_errors", token);
        } else if slashes == 2 && !web::has(out, "tls_protocol") && token.contains("/TLS") {
            let mut parts = token.split('/');
            for name in ["sni", "tls_protocol", "tls_cipher"] {
                out.put(name, parts.next().unwrap_or(""));
            }
        } else {
            out.put("rest", here);
            return;
        }
    }
}

#[cfg(test)]
mod tests;
