//! nginx access log: `combined`, the packaged `main` (with the forwarded addresses), the two with
//! request time and request id behind, and the line of the ingress-nginx controller.
//!
//! Source: <https://nginx.org/en/docs/http/ngx_http_log_module.html> and, for the controller,
//! <https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/log-format/>.

use crate::domain::record::Layer;

use super::web::{self, Scan};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint};

#[derive(Clone, Copy, Debug)]
pub struct NginxAccess;

impl Format for NginxAccess {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "nginx-access",
            source: "nginx/access",
            layer: Layer::Infrastructure,
            begins: Begins::ANY,
            lines: Lines::One,
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
    let mut common = web::common(text, hint)?;
    put_head(common.head, out)?;
    common.put(out);
    if common.rest.is_empty() {
        return Err("no referrer and user agent");
    }
    web::put_referrer_and_agent(&mut common.rest, out)?;
    if common.rest.is_empty() {
        return Ok(());
    }
    if is_ingress(common.rest) { put_ingress(common.rest, out) } else { put_extras(common.rest, out) }
}

/// `client - user`, where the client may be a list of addresses.
fn put_head<'a>(head: &'a str, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let Some((before, user)) = head.rsplit_once(' ') else {
        out.put("client", head);
        return Ok(());
    };
    let (clients, identity) = before.rsplit_once(' ').ok_or("no user before the time")?;
    // Two names and no list: Apache's virtual host before the client.
    if clients.contains(' ') && !clients.contains([',', '"']) {
        return Err("two names before the user");
    }
    web::put_clients(clients, out);
    out.put("identity", identity);
    if user != "-" {
        out.user_id = Some(user.into());
    }
    Ok(())
}

/// Fields that people put behind `combined`, by their looks: nothing in the line names them.
fn put_extras<'a>(mut scan: Scan<'a>, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let mut lengths = 0;
    while !scan.is_empty() {
        if scan.0.starts_with('"') {
            let value = scan.quoted().ok_or("a quote is not closed")?;
            put_quoted(value, out);
            continue;
        }
        let token = scan.token().ok_or("a field is missing")?;
        if let Some((name, value)) = token.split_once('=') {
            put_named(name, value.trim_matches('"'), out);
        } else if token.contains('.') && web::seconds_to_ms(token).is_some() {
            put_time(token, out);
        } else if web::looks_like_id(token) {
            out.request_id = Some(token.into());
        } else if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) {
            lengths += 1;
            if lengths > 1 || scan.0.starts_with('"') {
                return Err("numbers after the user agent");
            }
            out.put("request_length", token);
        } else if token != "-" {
            return Err("unknown text after the user agent");
        }
    }
    Ok(())
}

/// The first time is the request's, the second its upstream's.
fn put_time<'a>(token: &'a str, out: &mut Parsed<'a>) {
    if out.duration_ms.is_none() {
        out.duration_ms = web::seconds_to_ms(token);
    } else {
        out.put("upstream_response_time", token);
    }
}

fn put_quoted<'a>(value: &'a str, out: &mut Parsed<'a>) {
    if web::looks_like_id(value) && value.len() > 16 {
        out.request_id = Some(value.into());
    } else if value.parse::<f64>().is_ok() {
        out.put("compression", value);
    } else {
        out.put("forwarded_for", value);
    }
}

fn put_named<'a>(name: &'a str, value: &'a str, out: &mut Parsed<'a>) {
    match name {
        "rt" | "request_time" => out.duration_ms = web::seconds_to_ms(value),
        "request_id" | "req_id" | "rid" | "trace_id" if value != "-" && !value.is_empty() => {
            out.request_id = Some(value.into());
        }
        _ => out.put(name, value),
    }
}

/// `request_length request_time [` is only the controller's.
fn is_ingress(scan: Scan<'_>) -> bool {
    let mut scan = scan;
    let number =
        |text: Option<&str>| text.is_some_and(|text| text.as_bytes().first().is_some_and(u8::is_ascii_digit));
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
    for name in ["upstream_address", "upstream_response_length", "upstream_response_time", "upstream_status"]
    {
        out.put(name, list(&mut scan).ok_or(SHORT)?);
    }
    if let Some(id) = scan.token()
        && id != "-"
    {
        out.request_id = Some(id.into());
    }
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
