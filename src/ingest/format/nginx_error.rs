//! nginx error log: `2026/11/22 02:21:09 [error] pid#tid: *connection message, client: …`.
//!
//! The message stays whole; what nginx appends to it by name is copied to the metadata.

use crate::domain::record::Layer;

use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint, time};

#[derive(Clone, Copy, Debug)]
pub struct NginxError;

impl Format for NginxError {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "nginx-error",
            source: "nginx/error",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        parse(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let cut = time::slashed(text, hint).ok_or("no time at the start")?;
    let rest = cut.rest.strip_prefix(" [").ok_or("no level in brackets")?;
    let (level, rest) = rest.split_once("] ").ok_or("no level in brackets")?;
    let (process, rest) = rest.split_once(": ").ok_or("no process and thread")?;
    let (pid, tid) = process.split_once('#').ok_or("no process and thread")?;
    if !pid.bytes().chain(tid.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err("no process and thread");
    }
    out.set_time(cut.instant);
    out.set_level(level);
    out.put("pid", pid);
    out.put("tid", tid);
    let mut message = rest;
    if let Some((connection, after)) = rest.strip_prefix('*').and_then(|rest| rest.split_once(' '))
        && !connection.is_empty()
        && connection.bytes().all(|byte| byte.is_ascii_digit())
    {
        out.put("connection", connection);
        message = after;
    }
    out.message = message.into();
    put_appended(message, out);
    Ok(())
}

/// Copies what nginx appends by name. Source: the error handler of the HTTP module in nginx.
fn put_appended<'a>(message: &'a str, out: &mut Parsed<'a>) {
    // It stands at the end and begins with the client; the text before may hold anything.
    let Some(start) = memchr::memmem::find(message.as_bytes(), b", client: ") else { return };
    let mut rest = &message[start..];
    while let Some((name, after)) = rest.strip_prefix(", ").and_then(|rest| rest.split_once(": ")) {
        let value;
        (value, rest) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => {
                let end = memchr::memmem::find(after.as_bytes(), b", ").unwrap_or(after.len());
                after.split_at(end)
            }
        };
        match name {
            "client" | "server" | "request" | "subrequest" | "upstream" | "referrer" | "login" => {
                out.put(name, value);
            }
            "host" => out.put("http_host", value),
            "request_id" => out.request_id = Some(value.into()),
            _ => return,
        }
    }
}
