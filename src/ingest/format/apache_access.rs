//! Apache access log: `common`, `combined`, both with the virtual host in front
//! (`vhost_combined`), with bytes in and out behind (`combinedio`), and the `ssl_request_log`.
//!
//! Source: <https://httpd.apache.org/docs/2.4/mod/mod_log_config.html>.

use crate::domain::record::{Layer, Level};

use super::web::{self, Scan};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint, time};

#[derive(Clone, Copy, Debug)]
pub struct ApacheAccess;

impl Format for ApacheAccess {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "apache-access",
            source: "apache/access",
            layer: Layer::Infrastructure,
            begins: Begins::ANY,
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        let read = if text.starts_with('[') { ssl_request(text, hint, out) } else { access(text, hint, out) };
        read.map_err(|reason| self.mismatch(reason))
    }
}

fn access<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let mut common = web::common(text, hint)?;
    put_head(common.head, out)?;
    common.put(out);
    if !common.rest.is_empty() {
        web::put_referrer_and_agent(&mut common.rest, out)?;
        put_extras(common.rest, out)?;
    }
    Ok(())
}

/// `[vhost:port] client identity user`.
fn put_head<'a>(head: &'a str, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let Some((before, user)) = head.rsplit_once(' ') else {
        out.put("client", head);
        return Ok(());
    };
    let (clients, identity) = before.rsplit_once(' ').ok_or("no user before the time")?;
    match clients.split_once(' ') {
        Some((vhost, client)) if !clients.contains([',', '"']) => {
            if client.contains(' ') {
                return Err("too many names before the user");
            }
            out.put("vhost", vhost);
            out.put("client", client);
        }
        _ => web::put_clients(clients, out),
    }
    out.put("identity", identity);
    if user != "-" {
        out.user_id = Some(user.into());
    }
    Ok(())
}

fn put_extras<'a>(mut scan: Scan<'a>, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((input, output)) = scan.0.split_once(' ')
        && is_number(input)
        && is_number(output)
    {
        out.put("bytes_in", input);
        out.put("bytes_out", output);
        return Ok(());
    }
    while !scan.is_empty() {
        if scan.0.starts_with('"') {
            out.put("forwarded_for", scan.quoted().ok_or("a quote is not closed")?);
            continue;
        }
        let token = scan.token().ok_or("a field is missing")?;
        if token.contains('.') && web::seconds_to_ms(token).is_some() {
            out.duration_ms = web::seconds_to_ms(token);
        } else if let Some(micros) = token.strip_suffix("us").or_else(|| token.strip_prefix("D=")) {
            out.duration_ms = micros.parse::<f64>().ok().map(|micros| micros / 1e3);
        } else if is_number(token) && scan.is_empty() {
            // %T or %D: seconds or microseconds, and nothing says which.
            out.put("response_time", token);
        } else if web::looks_like_id(token) || is_unique_id(token) {
            out.request_id = Some(token.into());
        } else if token != "-" {
            return Err("unknown text after the user agent");
        }
    }
    Ok(())
}

/// What `mod_unique_id` makes: 24 or 27 characters of its base 64.
fn is_unique_id(text: &str) -> bool {
    matches!(text.len(), 24 | 27)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'-' | b'_'))
}

/// `[time] client protocol cipher "request" bytes`.
fn ssl_request<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let cut = time::clf(&text[1..], hint).ok_or("no time in brackets")?;
    let mut scan = Scan(cut.rest.strip_prefix("] ").ok_or("no time in brackets")?);
    out.set_time(cut.instant);
    out.level = Level::Info;
    let client = scan.token().ok_or("no client")?;
    let protocol = scan.token().ok_or("no protocol")?;
    let cipher = scan.token().ok_or("no cipher")?;
    let request = scan.quoted().ok_or("no request in quotes")?;
    out.put("client", client);
    out.put("tls_protocol", protocol);
    out.put("tls_cipher", cipher);
    web::put_request(request, out);
    out.put("bytes", scan.token().ok_or("no size")?);
    Ok(())
}
