//! Apache error log, 2.2 (`[time] [level] [client address] message`) and 2.4
//! (`[time] [module:level] [pid n:tid n] [client address:port] message`).
//!
//! Source: <https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat>.

use crate::domain::record::Layer;

use super::web::Scan;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint, level, time};

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

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
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
        out.set_level(word);
    }
    if scan.0.starts_with("[pid ") {
        put_process(scan.bracketed().unwrap_or_default(), out);
    }
    if scan.0.starts_with("[client ") || scan.0.starts_with("[remote ") {
        put_client(scan.bracketed().unwrap_or_default(), out);
    }
    out.message = scan.0.into();
    put_appended(scan.0, out);
    Ok(())
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

/// `client address`, `client address:port`, `client [v6]:port`.
fn put_client<'a>(client: &'a str, out: &mut Parsed<'a>) {
    let address = client.split_once(' ').map_or(client, |(_, address)| address);
    match address.rsplit_once(':') {
        // More than one colon without brackets is an IPv6 address; 2.4 always adds the port.
        Some((host, port))
            if !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_digit())
                && !(host.contains(':') && host.ends_with(':')) =>
        {
            out.put("client", host.trim_matches(['[', ']']));
            out.put("client_port", port);
        }
        _ => out.put("client", address),
    }
}

/// `AH00094: …` at the start, `…, referer: …` at the end.
fn put_appended<'a>(message: &'a str, out: &mut Parsed<'a>) {
    if let Some((code, _)) = message.split_once(": ")
        && code.len() == 7
        && code.starts_with("AH")
        && code.bytes().skip(2).all(|byte| byte.is_ascii_digit())
    {
        out.put("code", code);
    }
    let mut rest = message;
    if let Some((before, referrer)) = message.rsplit_once(", referer: ") {
        out.put("referrer", referrer);
        rest = before;
    }
    if let Some((_, path)) = rest.rsplit_once("File does not exist: ") {
        out.put("file", path);
    }
}
