//! nginx error log: `2026/11/22 02:21:09 [error] pid#tid: *connection message, client: …`.
//!
//! The message stays whole; what nginx appends to it by name is copied to the metadata: `client`,
//! `server`, `login`, `request`, `subrequest`, `upstream`, `http_host` and `referrer`, in this order;
//! beside `pid`, `tid` and `connection`.
//!
//! Source: <https://nginx.org/en/docs/ngx_core_module.html#error_log>; what is appended is in the
//! error handlers `ngx_http_log_error_handler`, `ngx_stream_log_error` and `ngx_mail_log_error` of
//! nginx itself, <https://github.com/nginx/nginx>.

use atalaya_domain::record::Layer;

use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};

mod appended;

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

    fn opens(&self, line: &str) -> Opens {
        match line.as_bytes() {
            [_, _, _, _, b'/', _, _, b'/', ..] => Opens::Parsed,
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
    let cut = time::slashed(text, hint).ok_or("no time at the start")?;
    let rest = cut.rest.strip_prefix(" [").ok_or("no level in brackets")?;
    let (level, rest) = rest.split_once("] ").ok_or("no level in brackets")?;
    let (process, rest) = rest.split_once(": ").ok_or("no process and thread")?;
    let (pid, tid) = process.split_once('#').ok_or("no process and thread")?;
    if !pid
        .bytes()
        .chain(tid.bytes())
        .all(|byte| byte.is_ascii_digit())
    {
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
    appended::put(message, out);
    Ok(())
}

#[cfg(test)]
mod tests;
