//! Access lines of web frameworks: Gin (`[GIN] 2024/05/01 - 08:00:00 | 200 | 1.2ms | 192.0.2.1 | GET
//! "/x"`), chi's `middleware.Logger` behind the stamp of Go's `log`, and the formats `dev`, `tiny` and
//! `short` of Express' morgan.
//!
//! Names: `client`, `client_port`, `method`, `path`, `protocol`, `status`, `bytes`, `rest`.
//!
//! Source: <https://github.com/gin-gonic/gin/blob/master/logger.go>,
//! <https://github.com/go-chi/chi/blob/master/middleware/logger.go>,
//! <https://expressjs.com/en/resources/middleware/morgan.html>.

use atalaya_domain::record::{Layer, Level};

use super::web::{self, Scan};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};

#[derive(Clone, Copy, Debug)]
pub struct Gin;

impl Format for Gin {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "web-framework",
            source: "web/access",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::these(b"[:GPDHOC")),
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let opens = match line.as_bytes() {
            [b'[', rest @ ..] => rest.starts_with(b"GIN] "),
            [_, _, _, _, b'/', _, _, b'/', _, _, b' ', ..] => line.get(19..21) == Some(" \""),
            [.., b' ', b'm', b's'] => true,
            _ => begins_with_method(line) && line.contains(" ms"),
        };
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        gin(text, hint, out)
            .or_else(|| chi(text, hint, out))
            .or_else(|| morgan(text, out))
            .ok_or_else(|| self.mismatch("not an access line of a web framework"))
    }
}

const METHODS: [&str; 7] = [
    "GET ", "POST ", "PUT ", "PATCH ", "DELETE ", "HEAD ", "OPTIONS ",
];

fn begins_with_method(text: &str) -> bool {
    METHODS.iter().any(|method| text.starts_with(method))
}

/// `[GIN] 2024/05/01 - 08:00:00 | 200 |     112.3µs |       192.0.2.1 | GET      "/x"`.
fn gin<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let rest = text.strip_prefix("[GIN] ")?;
    // The stamp has a dash between date and time: put together on the stack.
    let mut stamp = [b' '; 19];
    stamp[..10].copy_from_slice(rest.as_bytes().get(..10)?);
    stamp[11..].copy_from_slice(rest.as_bytes().get(13..21)?);
    let cut = time::slashed(std::str::from_utf8(&stamp).ok()?, hint)?;
    let mut fields = rest
        .get(21..)?
        .strip_prefix(" |")?
        .splitn(4, '|')
        .map(str::trim_ascii);
    let (status, taken, client, request) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let number = web::status_of(status)?;
    let (method, path) = request.split_once(' ')?;
    out.duration_ms = Some(web::go_duration_ms(taken)?);
    out.set_time(cut.instant);
    out.level = Level::from_http_status(number);
    out.put("client", client);
    out.put("method", method);
    // The padding of the column and the quotes are the table's.
    let path = path.trim_ascii_start();
    let path = path
        .strip_prefix('"')
        .and_then(|path| path.strip_suffix('"'))
        .unwrap_or(path);
    out.message = format!("{method} {path}").into();
    out.put("path", path);
    out.put("status", status);
    Some(())
}

/// `2024/05/01 08:00:00 "GET http://h/x HTTP/1.1" from 192.0.2.1:5 - 200 12B in 1.2ms`.
fn chi<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let cut = time::slashed(text, hint)?;
    let (request, rest) = cut.rest.strip_prefix(" \"")?.rsplit_once("\" from ")?;
    let (client, rest) = rest.split_once(" - ")?;
    let mut scan = Scan(rest);
    let status = scan.token()?;
    let number = web::status_of(status)?;
    let bytes = scan
        .token()?
        .strip_suffix('B')
        .filter(|bytes| web::is_number(bytes))?;
    out.duration_ms = Some(web::go_duration_ms(scan.0.strip_prefix("in ")?)?);
    out.set_time(cut.instant);
    out.level = Level::from_http_status(number);
    web::put_request(request, out);
    web::put_client(client, out);
    out.put("status", status);
    out.put("bytes", bytes);
    Some(())
}

/// `dev`: `GET /x 200 5.1 ms - 12`; `tiny`: `GET /x 200 12 - 5.1 ms`; `short`: the client and its
/// user before the request line.
fn morgan<'a>(text: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let mut scan = Scan(text);
    if !begins_with_method(text) {
        let client = scan.token().filter(|client| web::is_address(client))?;
        let user = scan.token()?;
        web::put_client(client, out);
        if user != "-" {
            out.user_id = Some(user.into());
        }
    }
    if !begins_with_method(scan.0) {
        return None;
    }
    let line = scan.0;
    let (before, bytes, taken) = if let Some(before) = line.strip_suffix(" ms") {
        let (before, taken) = before.rsplit_once(" - ")?;
        let (before, bytes) = before.rsplit_once(' ')?;
        (before, bytes, taken)
    } else {
        let (before, bytes) = line.rsplit_once(" ms - ")?;
        let (before, taken) = before.rsplit_once(' ')?;
        (before, bytes, taken)
    };
    let (request, status) = before.rsplit_once(' ')?;
    let number = web::status_of(status)?;
    let taken = taken
        .parse::<f64>()
        .ok()
        .filter(|taken| taken.is_finite() && *taken >= 0.0)?;
    if !(bytes == "-" || web::is_number(bytes)) {
        return None;
    }
    out.duration_ms = Some(taken);
    out.level = Level::from_http_status(number);
    web::put_request(request, out);
    out.put("status", status);
    out.put("bytes", bytes);
    Some(())
}

#[cfg(test)]
mod tests;
