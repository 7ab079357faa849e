//! Access lines of Python's servers that are not plain `combined`: uvicorn (`INFO:     client:port -
//! "request" 200 OK`, without a stamp), hypercorn's and gunicorn's with the head of their own log,
//! Werkzeug's and `http.server`'s (a blank within the stamp), and Django's development server
//! (no client).
//!
//! Names: `client`, `client_port`, `method`, `path`, `protocol`, `status`, `bytes`, `referrer`,
//! `user_agent`, `pid`, `rest`. The level is the status's, and not lower than the line's own word.
//!
//! Source: <https://github.com/encode/uvicorn/blob/master/uvicorn/logging.py>,
//! <https://hypercorn.readthedocs.io/en/latest/how_to_guides/logging.html>,
//! <https://docs.gunicorn.org/en/stable/settings.html#access-log-format>,
//! <https://github.com/pallets/werkzeug/blob/main/src/werkzeug/serving.py>,
//! <https://docs.djangoproject.com/en/stable/topics/logging/#django-server>.

use atalaya_domain::record::{Layer, Level};

use super::web::{self, Scan};
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, level,
    nginx_access, time,
};

#[derive(Clone, Copy, Debug)]
pub struct Uvicorn;

impl Format for Uvicorn {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "uvicorn-access",
            source: "uvicorn/access",
            layer: Layer::Infrastructure,
            begins: Begins::these(b"IWEDCT ["),
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let opens = match bytes.first() {
            // `[2024-05-01 08:00:00 +0000] [7] [INFO] …`
            Some(b'[') => {
                let end = bytes
                    .get(5..40)
                    .filter(|near| near[0] == b'-')
                    .and_then(|near| memchr::memchr(b']', near));
                end.is_some_and(|end| {
                    matches!(
                        bytes.get(end + 5..),
                        Some([b']', b' ', b'[', b'0'..=b'9', ..])
                    )
                })
            }
            _ => {
                let head = &bytes[..bytes.len().min(80)];
                memchr::memmem::find(head, b" - \"").is_some()
            }
        };
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let read = if text.starts_with('[') {
            behind_head(text, hint, out)
        } else {
            bare(text, out)
        };
        read.ok_or_else(|| self.mismatch("not an access line of uvicorn, hypercorn or gunicorn"))
    }
}

/// `INFO:     127.0.0.1:5 - "GET / HTTP/1.1" 200 OK`; the address is missing on a socket file.
fn bare<'a>(text: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let text = text.trim_start_matches(' ');
    let end = text.find([':', ' '])?;
    let (word, rest) = text.split_at(end);
    let own =
        level::from_word(word).filter(|_| word.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (client, rest) = rest.split_once("- \"")?;
    let client = client.trim_matches(' ');
    if !(client.is_empty() || web::is_address(client)) {
        return None;
    }
    let (request, status, phrase) = memchr::memchr_iter(b'"', rest.as_bytes()).find_map(|at| {
        let mut scan = Scan(rest[at + 1..].strip_prefix(' ')?);
        let status = scan
            .token()
            .filter(|status| web::status_of(status).is_some())?;
        is_phrase(scan.0).then_some((&rest[..at], status, scan.0))
    })?;
    web::put_client(client, out);
    web::put_request(request, out);
    out.put("status", status);
    out.put("reason", phrase);
    out.level = web::status_of(status)
        .map_or(own, Level::from_http_status)
        .max(own);
    Some(())
}

/// `OK`, `Not Found`, `I'm a Teapot`, `Non-Authoritative Information`, or nothing.
fn is_phrase(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'-' | b'\''))
}

/// `[2024-05-01 08:00:00 +0000] [7] [INFO] ` before a combined line.
fn behind_head<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let cut = time::iso(text.strip_prefix('[')?, hint)?;
    let (pid, rest) = cut.rest.strip_prefix("] [")?.split_once("] [")?;
    let (word, line) = rest.split_once("] ")?;
    let own = level::from_word(word).filter(|_| web::is_number(pid))?;
    if !web::has_stamp(line) {
        return None;
    }
    nginx_access::parse(line, hint, out).ok()?;
    if out.timestamp.is_none() {
        out.set_time(cut.instant);
    }
    out.put("pid", pid);
    out.level = out.level.max(own);
    Some(())
}

/// The development servers of Python.
#[derive(Clone, Copy, Debug)]
pub struct Werkzeug;

impl Format for Werkzeug {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "werkzeug-access",
            source: "werkzeug/access",
            layer: Layer::Infrastructure,
            begins: web::CLIENT_BEGINS,
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"[/")
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let head = &bytes[..bytes.len().min(120)];
        let stamped = memchr::memchr(b'[', head).is_some_and(|open| {
            matches!(
                &bytes[open + 1..],
                [_, _, b'/', _, _, _, b'/', _, _, _, _, b' ', ..]
            )
        });
        if stamped { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        werkzeug(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

fn werkzeug<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let (head, rest) = text.split_once('[').ok_or("no time in brackets")?;
    if !head.is_empty() {
        web::put_head(head.trim_end_matches(' '), out)?;
    }
    if let Some((instant, message)) = with_blank(rest, hint)
        .and_then(|cut| Some((cut.instant, cut.rest.strip_prefix("] code ")?)))
    {
        // `http.server` says why before it says what.
        let (status, reason) = message
            .split_once(", message ")
            .ok_or("no message behind the code")?;
        let number = web::status_of(status).ok_or("the status is not a number")?;
        out.set_time(instant);
        out.level = Level::from_http_status(number);
        out.put("status", status);
        out.message = reason.into();
        return Ok(());
    }
    let common = web::common_with(text, |inside| with_blank(inside, hint))?;
    common.put(out);
    out.put("rest", common.rest.0);
    Ok(())
}

/// `01/May/2024 08:00:00`.
fn with_blank<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let mut stamp: [u8; 20] = *text.as_bytes().first_chunk()?;
    if std::mem::replace(&mut stamp[11], b':') != b' ' {
        return None;
    }
    let cut = time::clf(std::str::from_utf8(&stamp).ok()?, hint)?;
    Some(time::Cut {
        instant: cut.instant,
        rest: text.get(20..)?,
    })
}

#[cfg(test)]
mod tests;
