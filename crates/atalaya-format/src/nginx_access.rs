//! nginx access log: `combined`, the packaged `main` (with the forwarded addresses), the two with
//! request time and request id behind, and the line of the ingress-nginx controller. Hypercorn,
//! gunicorn, Caddy, Varnish and many others write `combined` too.
//!
//! What people put behind `combined` without a name is known by its looks; from where it is not,
//! the line stands in the metadata as `rest`.
//!
//! Names: `client`, `client_port`, `addresses`, `vhost`, `identity`, `method`, `path`, `protocol`,
//! `status`, `bytes`, `referrer`, `user_agent`, `forwarded_for`, `request_length`, `compression`,
//! `upstream_response_time`, `rest`, `incomplete`; of the controller also `upstream`,
//! `upstream_alternative`, `upstream_address`, `upstream_response_length` and `upstream_status`;
//! and whatever a line names by itself (`ua="…"`).
//!
//! Source: <https://nginx.org/en/docs/http/ngx_http_log_module.html> and, for the controller,
//! <https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/log-format/>.

use atalaya_domain::record::Layer;

use super::web::{self, Scan};
use super::{Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, traefik};

#[derive(Clone, Copy, Debug)]
pub struct NginxAccess;

impl Format for NginxAccess {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "nginx-access",
            source: "nginx/access",
            layer: Layer::Infrastructure,
            begins: web::CLIENT_BEGINS,
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if web::has_stamp(line) && !web::has_vhost(line) && !traefik::is_whole(line) {
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
        parse(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

pub(super) fn parse<'a>(
    text: &'a str,
    hint: &TimeHint,
    out: &mut Parsed<'a>,
) -> Result<(), &'static str> {
    let mut common = web::common(text, hint)?;
    if !common.rest.0.starts_with(['"', '-']) {
        return Err("no referrer and user agent");
    }
    if web::put_head(common.head, out)? {
        return Err("a virtual host before the client");
    }
    common.put(out);
    if !web::put_referrer_and_agent(&mut common.rest, out) {
        return Err("no referrer and user agent");
    }
    if common.rest.is_empty() {
        return Ok(());
    }
    if is_ingress(common.rest) {
        put_ingress(common.rest, out)
    } else {
        put_extras(common.rest, out)
    }
}

/// Fields that people put behind `combined`, up to the first that nothing tells.
fn put_extras<'a>(mut scan: Scan<'a>, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    while !scan.is_empty() {
        let here = scan.0;
        if !put_extra(&mut scan, out).unwrap_or(false) {
            if traefik::is_tail(here) {
                return Err("the count, router, server and duration of Traefik");
            }
            if here.split(' ').all(web::is_number) {
                return Err("numbers after the user agent");
            }
            web::put_rest(here, out);
            return Ok(());
        }
    }
    Ok(())
}

/// One field by its looks: nothing in the line names it, unless it does so itself.
fn put_extra<'a>(scan: &mut Scan<'a>, out: &mut Parsed<'a>) -> Option<bool> {
    if scan.0.starts_with('"') {
        return scan.quoted().map(|value| put_quoted(value, out));
    }
    if let Some((name, value)) = web::named(scan) {
        return Some(web::put_named(name, value, out));
    }
    let token = scan.token()?;
    Some(if token == "-" {
        true
    } else if token.contains('.') && web::seconds_to_ms(token).is_some() {
        put_time(token, out)
    } else if web::looks_like_id(token) && out.request_id.is_none() {
        out.request_id = Some(token.into());
        true
    } else if web::is_number(token)
        && !web::has(out, "request_length")
        && !scan
            .0
            .starts_with(|c: char| c == '"' || c.is_ascii_digit() && !scan.0.contains('.'))
    {
        out.put("request_length", token);
        true
    } else {
        false
    })
}

/// The first time is the request's, the second its upstream's.
fn put_time<'a>(token: &'a str, out: &mut Parsed<'a>) -> bool {
    if out.duration_ms.is_none() {
        out.duration_ms = web::seconds_to_ms(token);
    } else if web::has(out, "upstream_response_time") {
        return false;
    } else {
        out.put("upstream_response_time", token);
    }
    true
}

fn put_quoted<'a>(value: &'a str, out: &mut Parsed<'a>) -> bool {
    if value.is_empty() || value == "-" {
        return true;
    }
    let name = if web::looks_like_id(value) && value.len() > 16 && out.request_id.is_none() {
        out.request_id = Some(value.into());
        return true;
    } else if out.duration_ms.is_none() && value.parse::<f64>().is_ok() {
        "compression"
    } else if web::is_forwarded(value) {
        "forwarded_for"
    } else {
        return false;
    };
    let new = !web::has(out, name);
    if new {
        out.put(name, value);
    }
    new
}

/// `request_length request_time [` is only the controller's.
fn is_ingress(scan: Scan<'_>) -> bool {
    let mut scan = scan;
    let number = |text: Option<&str>| {
        text.is_some_and(|text| text.as_bytes().first().is_some_and(u8::is_ascii_digit))
    };
    number(scan.token()) && number(scan.token()) && scan.0.starts_with('[')
}

fn put_ingress<'a>(mut scan: Scan<'a>, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const SHORT: &str = "an ingress line ends early";
    out.put("request_length", scan.token().ok_or(SHORT)?);
    out.duration_ms = web::seconds_to_ms(scan.token().ok_or(SHORT)?);
    out.put("upstream", scan.bracketed().ok_or(SHORT)?);
    if scan.0.starts_with('[') {
        out.put("upstream_alternative", scan.bracketed().ok_or(SHORT)?);
    }
    for name in [
        "upstream_address",
        "upstream_response_length",
        "upstream_response_time",
        "upstream_status",
    ] {
        out.put(name, list(&mut scan).ok_or(SHORT)?);
    }
    if let Some(id) = scan.token()
        && id != "-"
    {
        out.request_id = Some(id.into());
    }
    out.put("rest", scan.0);
    Ok(())
}

/// A token, or several joined by `, `: nginx lists one value for each upstream it tried.
fn list<'a>(scan: &mut Scan<'a>) -> Option<&'a str> {
    let whole = scan.0;
    let mut token = scan.token()?;
    let mut length = token.len();
    while token.ends_with(',') {
        token = scan.token()?;
        length += 1 + token.len();
    }
    Some(&whole[..length])
}

#[cfg(test)]
mod tests;
