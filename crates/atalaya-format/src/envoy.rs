//! Access log of Envoy in its default text form, and the longer one of Istio (also its older one
//! and the lines of TCP connections). Times are in UTC.
//!
//! Names: `method`, `path`, `protocol`, `status`, `response_flags`, `response_details`,
//! `termination_details`, `transport_failure`, `bytes_in` (received), `bytes` (sent),
//! `upstream_ms`, `forwarded_for`, `user_agent`, `http_host` (the authority), `upstream` (its
//! address), `upstream_cluster`, `upstream_local_address`, `local_address`, `client`,
//! `client_port`, `sni`, `route`, `rest`. The duration is in milliseconds.
//!
//! Source: <https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#default-format-string>
//! and <https://istio.io/latest/docs/tasks/observability/logs/access-log/#default-access-log-format>.

use atalaya_domain::record::{Layer, Level};

use super::web::{self, Scan};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};

#[derive(Clone, Copy, Debug)]
pub struct Envoy;

impl Format for Envoy {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "envoy-access",
            source: "envoy/access",
            layer: Layer::Infrastructure,
            begins: Begins::these(b"["),
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        match line.as_bytes() {
            [b'[', _, _, _, _, b'-', _, _, b'-', _, _, b'T', ..] => Opens::Parsed,
            _ => Opens::No,
        }
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

/// Status, flags and what lies between them and the first number.
struct Answer<'a> {
    status: &'a str,
    flags: &'a str,
    details: Details<'a>,
    numbers: [&'a str; 4],
    rest: Scan<'a>,
}

#[derive(Default)]
struct Details<'a> {
    response: &'a str,
    termination: &'a str,
    failure: &'a str,
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let inside = text.strip_prefix('[').ok_or("no time in brackets")?;
    let cut = time::iso(inside, hint).ok_or("no time in brackets")?;
    let rest = cut
        .rest
        .strip_prefix("] \"")
        .ok_or("no request behind the time")?;
    // The request may hold quotes: what follows the closing one is status and flags.
    let (request, answer) = memchr::memchr_iter(b'"', rest.as_bytes())
        .find_map(|at| Some((&rest[..at], answer(&rest[at + 1..])?)))
        .ok_or("no status, flags and sizes behind the request")?;
    out.set_time(cut.instant);
    out.zoned = text
        .as_bytes()
        .get(..cut_length(inside, cut.rest))
        .is_some_and(|stamp| stamp.ends_with(b"Z"));
    web::put_request(request, out);
    out.level = level(answer.status, answer.flags);
    out.put("status", answer.status);
    out.put("response_flags", answer.flags);
    out.put("response_details", answer.details.response);
    out.put("termination_details", answer.details.termination);
    out.put("transport_failure", answer.details.failure);
    let [received, sent, duration, upstream] = answer.numbers;
    out.put("bytes_in", received);
    out.put("bytes", sent);
    out.duration_ms = duration.parse().ok();
    out.put("upstream_ms", upstream);
    put_tail(answer.rest, out)
}

/// Bytes of the bracket and the stamp.
fn cut_length(inside: &str, rest: &str) -> usize {
    1 + inside.len() - rest.len()
}

fn answer(text: &str) -> Option<Answer<'_>> {
    let mut scan = Scan(text.strip_prefix(' ')?);
    let status = scan
        .token()
        .filter(|status| *status == "0" || web::status_of(status).is_some())?;
    let flags = scan.token().filter(|flags| is_flags(flags))?;
    let mut details = Details::default();
    if !is_four_numbers(scan) {
        if scan.0.starts_with('"') {
            // Istio before 1.8: the status of its mixer, then the failure.
            details.response = scan.quoted()?;
        } else {
            details.response = scan.token()?;
            if !scan.0.starts_with('"') {
                details.termination = until_quote(&mut scan)?;
            }
        }
        details.failure = scan.quoted()?;
    }
    let numbers = [scan.token()?, scan.token()?, scan.token()?, scan.token()?];
    if !numbers
        .iter()
        .all(|number| *number == "-" || web::is_number(number))
        || !scan.0.starts_with('"')
    {
        return None;
    }
    Some(Answer {
        status,
        flags,
        details,
        numbers,
        rest: scan,
    })
}

fn is_flags(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b',' | b'_'))
}

fn is_four_numbers(mut scan: Scan<'_>) -> bool {
    (0..4).all(|_| {
        scan.token()
            .is_some_and(|token| token == "-" || web::is_number(token))
    }) && scan.0.starts_with('"')
}

/// The details of a termination may have several words.
fn until_quote<'a>(scan: &mut Scan<'a>) -> Option<&'a str> {
    let at = memchr::memmem::find(scan.0.as_bytes(), b" \"")?;
    let text = &scan.0[..at];
    scan.0 = &scan.0[at + 1..];
    Some(text)
}

/// By the status; a TCP connection has none, and one that reached nobody is worth a look.
fn level(status: &str, flags: &str) -> Level {
    match web::status_of(status) {
        Some(status) => Level::from_http_status(status),
        None if flags.split(',').all(|flag| matches!(flag, "-" | "DC")) => Level::Info,
        None => Level::Warning,
    }
}

fn put_tail<'a>(mut scan: Scan<'a>, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const SHORT: &str = "a field in quotes is missing";
    let forwarded = scan.quoted().ok_or(SHORT)?;
    out.put("forwarded_for", forwarded);
    // The agent may hold quotes, too: the other fields are counted from behind it.
    let (agent, after) = agent(scan).ok_or(SHORT)?;
    scan = after;
    out.put("user_agent", agent);
    let id = scan.quoted().ok_or(SHORT)?;
    if !(id.is_empty() || id == "-") {
        out.request_id = Some(id.into());
    }
    out.put("http_host", scan.quoted().ok_or(SHORT)?);
    out.put("upstream", scan.quoted().ok_or(SHORT)?);
    for name in [
        "upstream_cluster",
        "upstream_local_address",
        "local_address",
        "client",
        "sni",
        "route",
    ] {
        let token = scan.token().unwrap_or("");
        if name == "client" {
            web::put_client(token, out);
        } else {
            out.put(name, token);
        }
    }
    out.put("rest", scan.0);
    Ok(())
}

/// The agent, and what follows: three fields in quotes and no further quote before bare words.
fn agent(scan: Scan<'_>) -> Option<(&str, Scan<'_>)> {
    let open = scan.0.strip_prefix('"')?;
    let ends = memchr::memmem::find_iter(open.as_bytes(), b"\" \"");
    let mut last: [Option<usize>; 3] = [None; 3];
    for end in ends {
        last = [last[1], last[2], Some(end)];
    }
    let end = last[0]?;
    Some((&open[..end], Scan(&open[end + 2..])))
}

#[cfg(test)]
mod tests;
