//! Apache error log, 2.2 (`[time] [level] [client address] message`) and 2.4
//! (`[time] [module:level] [pid n:tid n] [client address:port] message`), also with the number and
//! text of an error, or a file and line of Apache's source, before the client.
//!
//! Names: `module`, `pid`, `tid`, `client`, `client_port`, `http_host`, `vhost`, `connection`, `code`
//! (`AH01630`), `file`, `referrer`.
//!
//! Source: <https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat>.

use atalaya_domain::record::Layer;

use super::web::{self, Scan};
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, level, time,
};

#[derive(Clone, Copy, Debug)]
pub struct ApacheError;

impl Format for ApacheError {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "apache-error",
            source: "apache/error",
            layer: Layer::Infrastructure,
            begins: Begins::these(b"["),
            lines: Lines::Stamped,
            traces: true,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        match line.as_bytes() {
            // `[Wed May `, `[01/Mar/`, `[2026/11/` or `[2026-11-`
            [b'[', _, _, _, b' ' | b'/', ..]
            | [b'[', _, _, _, _, b'-' | b'/', ..]
            | [b'[', _, _, b'/', ..] => Opens::Parsed,
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

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const NO_TIME: &str = "no time in brackets";
    let inside = text.strip_prefix('[').ok_or(NO_TIME)?;
    let cut = time::ctime(inside, hint)
        .or_else(|| time::clf(inside, hint))
        .or_else(|| time::slashed(inside, hint))
        .or_else(|| time::iso(inside, hint))
        .ok_or(NO_TIME)?;
    let mut scan = Scan(cut.rest.strip_prefix("] ").ok_or(NO_TIME)?);
    if !(scan.0.starts_with('[') || scan.0.starts_with("- ")) {
        return Err("no level in brackets");
    }
    out.set_time(cut.instant);
    if let Some(severity) = scan.bracketed() {
        let word = match severity.split_once(':') {
            Some((module, word)) => {
                out.put("module", module);
                word
            }
            None => severity,
        };
        if level::from_word(word).is_none() {
            return Err("the word in the second brackets is no level");
        }
        // log4js: `[2024-05-01T08:00:00.123] [ERROR] depot - text`. Apache writes its levels small.
        if word.starts_with(|first: char| first.is_ascii_uppercase())
            && inside.as_bytes().get(10) == Some(&b'T')
        {
            return Err("a level in capitals behind an ISO stamp");
        }
        out.set_level(word);
    }
    let by_module = out.metadata.iter().any(|(name, _)| name == "module");
    while put_prefix(&mut scan, by_module, out) {}
    out.message = scan.0.into();
    put_client_behind_error(scan.0, out);
    put_appended(scan.0, out);
    Ok(())
}

/// One of the brackets that stand before the message, when it is of a known name and the first of
/// it: what a program prints may begin with such a bracket too.
fn put_prefix<'a>(scan: &mut Scan<'a>, with_port: bool, out: &mut Parsed<'a>) -> bool {
    // An IPv6 address stands in brackets of its own, so the end is a bracket before a space.
    let Some(rest) = scan.0.strip_prefix('[') else {
        return false;
    };
    let Some(end) = memchr::memchr_iter(b']', rest.as_bytes())
        .find(|end| rest.as_bytes().get(end + 1) == Some(&b' '))
    else {
        return false;
    };
    let (inside, after) = (&rest[..end], &rest[end + 2..]);
    let Some((name, value)) = inside.split_once([' ', ':']) else {
        return false;
    };
    let value = value.trim_ascii();
    match name {
        "pid" if !web::has(out, "pid") => put_process(inside, out),
        "client" | "remote" if !web::has(out, "client") => put_client(value, with_port, out),
        "host" if !web::has(out, "http_host") => out.put("http_host", value),
        "vhost" if !web::has(out, "vhost") => out.put("vhost", value),
        "C" if !web::has(out, "connection") => out.put("connection", value),
        "unique-id" | "unique_id" | "R" if out.request_id.is_none() => {
            if !(value.is_empty() || value == "-") {
                out.request_id = Some(value.into());
            }
        }
        _ => return false,
    }
    scan.0 = after;
    true
}

/// `(70008)Partial results are valid but processing is incomplete: [client …] …`, also behind
/// `file.c(123): `. The text of an error number is the system's and holds nothing typed.
fn put_client_behind_error<'a>(message: &'a str, out: &mut Parsed<'a>) {
    let mut rest = message;
    if let Some((place, after)) = rest.split_once(' ')
        && let Some((file, line)) = place
            .strip_suffix("):")
            .and_then(|place| place.split_once(".c("))
        && !file.is_empty()
        && web::is_number(line)
    {
        rest = after;
    }
    if let Some((number, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        if !web::is_number(number) {
            return;
        }
        // Behind the first colon, or a path in the message could bring a client.
        let Some(at) = memchr::memmem::find(after.as_bytes(), b": ") else {
            return;
        };
        rest = &after[at + 2..];
    } else if rest.len() == message.len() {
        return;
    }
    let mut scan = Scan(rest);
    while put_prefix(&mut scan, true, out) {}
    if !web::has(out, "code") {
        put_code(scan.0, out);
    }
}

/// `pid 35708:tid 4328636416`.
fn put_process<'a>(process: &'a str, out: &mut Parsed<'a>) {
    for part in process.split(':') {
        match part.split_once(' ') {
            Some(("pid", pid)) => out.put("pid", pid),
            Some(("tid", tid)) => out.put("tid", tid),
            _ => {}
        }
    }
}

/// `address` (2.2), `address:port`, `[v6]:port`, and an IPv6 address with its port behind a colon.
fn put_client<'a>(address: &'a str, with_port: bool, out: &mut Parsed<'a>) {
    match web::split_port(address) {
        // 2.4 always adds the port; 2.2 never does, so there the last group is the address's.
        Some((host, port))
            if address.starts_with('[')
                || !host.contains(':')
                || (with_port && web::is_ip(host)) =>
        {
            out.put("client", host);
            out.put("client_port", port);
        }
        _ => out.put("client", address.trim_matches(['[', ']'])),
    }
}

fn put_code<'a>(message: &'a str, out: &mut Parsed<'a>) {
    if let Some(code) = message.get(..7)
        && code.strip_prefix("AH").is_some_and(web::is_number)
        && message[7..].starts_with(": ")
    {
        out.put("code", code);
    }
}

/// `AH00094: …` at the start, `…, referer: …` at the end.
fn put_appended<'a>(message: &'a str, out: &mut Parsed<'a>) {
    put_code(message, out);
    let mut rest = message;
    if let Some((before, referrer)) = message.rsplit_once(", referer: ") {
        out.put("referrer", referrer);
        rest = before;
    }
    // What `ModSecurity` adds; the address of the request stands before it.
    if out.request_id.is_none()
        && let Some(before) = rest.strip_suffix("\"]")
        && let Some((_, id)) = before.rsplit_once("[unique_id \"")
    {
        out.request_id = Some(id.into());
    }
    if let Some((_, path)) = rest.rsplit_once("File does not exist: ") {
        out.put("file", path);
    }
}

#[cfg(test)]
mod tests;
