//! The lines of Rails around a request: `Started GET "/x" for 192.0.2.1 at 2024-05-01 08:00:00 +0000`
//! and `Completed 200 OK in 12ms (Views: 8.1ms | ActiveRecord: 2.0ms)`, bare or behind tags.
//!
//! Names: `method`, `path`, `client`; `status`, `reason`. A tag that looks like an id is the
//! request's.
//!
//! Source: `Rails::Rack::Logger` and `ActionController::LogSubscriber`,
//! <https://github.com/rails/rails>.

use atalaya_domain::record::{Layer, Level};

use super::web::{self, Scan};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};

#[derive(Clone, Copy, Debug)]
pub struct Rails;

impl Format for Rails {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "rails",
            source: "rails",
            layer: Layer::Application,
            begins: Begins::these(b"SC["),
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let opens = match line.as_bytes() {
            [b'S', ..] => line.starts_with("Started "),
            [b'C', ..] => line.starts_with("Completed "),
            bytes => {
                let end = memchr::memchr(b']', &bytes[..bytes.len().min(64)]);
                end.and_then(|end| Some((line.get(1..end)?, line.get(end + 1..)?)))
                    .is_some_and(|(tag, rest)| {
                        web::looks_like_id(tag)
                            || rest.starts_with(" Started ")
                            || rest.starts_with(" Completed ")
                    })
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
        let mut message = text;
        while let Some((tag, rest)) = message
            .strip_prefix('[')
            .and_then(|inside| inside.split_once("] "))
        {
            if web::looks_like_id(tag) && out.request_id.is_none() {
                out.request_id = Some(tag.into());
            } else if !web::has(out, "tag") {
                out.put("tag", tag);
            } else {
                break;
            }
            message = rest;
        }
        started(message, hint, out)
            .or_else(|| completed(message, out))
            .ok_or_else(|| self.mismatch("neither the start nor the end of a request"))?;
        out.message = message.into();
        Ok(())
    }
}

/// The path may hold anything, quotes too; address and time come last.
fn started<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (method, rest) = text.strip_prefix("Started ")?.split_once(" \"")?;
    let (path, rest) = rest.rsplit_once("\" for ")?;
    let (client, stamp) = rest.split_once(" at ")?;
    let cut = time::iso(stamp, hint).filter(|cut| cut.rest.is_empty())?;
    if !web::is_method(method) || !web::is_ip(client) {
        return None;
    }
    out.set_time(cut.instant);
    out.level = Level::Info;
    out.put("method", method);
    out.put("path", path);
    out.put("client", client);
    Some(())
}

/// `Completed 200 OK in 12ms (…)`.
fn completed<'a>(text: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let mut scan = Scan(text.strip_prefix("Completed ")?);
    let status = scan.token()?;
    let number = web::status_of(status)?;
    let (reason, rest) = scan.0.split_once("in ")?;
    let (millis, _) = rest.split_once("ms")?;
    out.duration_ms = Some(
        millis
            .parse()
            .ok()
            .filter(|millis: &f64| millis.is_finite() && *millis >= 0.0)?,
    );
    out.level = Level::from_http_status(number);
    out.put("status", status);
    out.put("reason", reason.trim_end());
    Some(())
}

#[cfg(test)]
mod tests;
