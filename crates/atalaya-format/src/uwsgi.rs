//! Request log of uWSGI: `[pid: 1|app: 0|req: 1/1] 127.0.0.1 () {38 vars in 696 bytes}
//! [Sun Mar 13 22:49:12 2016] POST /path => generated 47 bytes in 129 msecs (HTTP/1.1 200) …`.
//!
//! Names: `client`, `method`, `path`, `protocol`, `status`, `bytes`, `pid`, `app`, `request_count`,
//! `request_size` (`38 vars in 696 bytes`), `rest`.
//!
//! Source: <https://uwsgi-docs.readthedocs.io/en/latest/LogFormat.html>.

use atalaya_domain::record::{Layer, Level};

use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};

#[derive(Clone, Copy, Debug)]
pub struct Uwsgi;

impl Format for Uwsgi {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "uwsgi",
            source: "uwsgi",
            layer: Layer::Infrastructure,
            begins: Begins::these(b"["),
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if line.starts_with("[pid: ") {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        parse(text, hint, out)
            .ok_or_else(|| self.mismatch("not the line that uWSGI writes by default"))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (head, rest) = text.strip_prefix("[pid: ")?.split_once("] ")?;
    let (client, rest) = rest.split_once(" (")?;
    let (user, rest) = rest.split_once(") {")?;
    let (size, rest) = rest.split_once("} [")?;
    let cut = time::ctime(rest, hint)?;
    let rest = cut.rest.strip_prefix("] ")?;
    let (request, rest) = rest.rsplit_once(" => generated ")?;
    let (bytes, rest) = rest.split_once(" bytes in ")?;
    let (taken, rest) = rest.split_once(" (")?;
    let (protocol, rest) = rest.split_once(' ')?;
    let (status, behind) = rest.split_once(')')?;
    let (number, unit) = taken.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    out.set_time(cut.instant);
    out.level = Level::from_http_status(status.parse().ok()?);
    out.duration_ms = Some(if unit == "micros" {
        number / 1e3
    } else {
        number
    });
    out.message = request.into();
    out.put("client", client);
    if !user.is_empty() {
        out.user_id = Some(user.into());
    }
    if let Some((method, path)) = request.split_once(' ') {
        out.put("method", method);
        out.put("path", path);
    }
    out.put("protocol", protocol);
    out.put("status", status);
    out.put("bytes", bytes);
    out.put("request_size", size);
    out.put("rest", behind.trim_start());
    for (name, part) in ["pid", "app", "request_count"]
        .into_iter()
        .zip(head.split('|'))
    {
        out.put(name, part.rsplit_once(' ').map_or(part, |(_, value)| value));
    }
    Some(())
}
