//! Apache access log: `common`, `combined`, both with the virtual host in front
//! (`vhost_combined`), with bytes in and out behind (`combinedio`), and the `ssl_request_log`. The
//! access logs of Tomcat, Jetty and Undertow are the same, with times or the thread behind.
//!
//! Names: `vhost`, `client`, `client_port`, `addresses`, `identity`, `method`, `path`, `protocol`,
//! `status`, `bytes`, `referrer`, `user_agent`, `forwarded_for`, `bytes_in`, `bytes_out`,
//! `response_time` (its unit is the configuration's), `thread`, `tls_protocol`, `tls_cipher`,
//! `incomplete`; what nothing tells stands in `rest`.
//!
//! Source: <https://httpd.apache.org/docs/2.4/mod/mod_log_config.html> and, for Tomcat,
//! <https://tomcat.apache.org/tomcat-10.1-doc/config/valve.html#Access_Log_Valve>.

use atalaya_domain::record::{Layer, Level};

use super::web::{self, Scan};
use super::{
    Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, time, traefik,
};

#[derive(Clone, Copy, Debug)]
pub struct ApacheAccess;

impl Format for ApacheAccess {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "apache-access",
            source: "apache/access",
            layer: Layer::Infrastructure,
            begins: web::CLIENT_BEGINS,
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"[")
    }

    fn opens(&self, line: &str) -> Opens {
        if web::has_stamp(line) && !traefik::is_whole(line) {
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
        let read = if text.starts_with('[') {
            ssl_request(text, hint, out)
        } else {
            access(text, hint, out)
        };
        read.map_err(|reason| self.mismatch(reason))
    }
}

fn access<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let mut common = web::common(text, hint)?;
    web::put_head(common.head, out)?;
    common.put(out);
    web::put_referrer_and_agent(&mut common.rest, out);
    put_extras(common.rest, out)
}

/// Fields behind the known ones, up to the first that nothing tells.
fn put_extras<'a>(mut scan: Scan<'a>, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    if let Some((input, output)) = scan.0.split_once(' ')
        && web::is_number(input)
        && web::is_number(output)
    {
        out.put("bytes_in", input);
        out.put("bytes_out", output);
        return Ok(());
    }
    while !scan.is_empty() {
        let here = scan.0;
        if !put_extra(&mut scan, out).unwrap_or(false) {
            if traefik::is_tail(here) {
                return Err("the count, router, server and duration of Traefik");
            }
            web::put_rest(here, out);
            return Ok(());
        }
    }
    Ok(())
}

fn put_extra<'a>(scan: &mut Scan<'a>, out: &mut Parsed<'a>) -> Option<bool> {
    if scan.0.starts_with('"') {
        let value = scan.quoted()?;
        let new = web::is_forwarded(value) && !web::has(out, "forwarded_for");
        if new {
            out.put("forwarded_for", value);
        }
        return Some(new || value.is_empty() || value == "-");
    }
    if let Some((name, value)) = web::named(scan) {
        return Some(web::put_named(name, value, out));
    }
    let token = scan.token()?;
    if token.contains('.') && out.duration_ms.is_none() && web::seconds_to_ms(token).is_some() {
        out.duration_ms = web::seconds_to_ms(token);
    } else if let Some(micros) = token
        .strip_suffix("us")
        .filter(|micros| web::is_number(micros))
    {
        out.duration_ms = micros.parse::<f64>().ok().map(|micros| micros / 1e3);
    } else if let Some(millis) = token
        .strip_suffix("ms")
        .filter(|millis| web::is_number(millis))
    {
        out.duration_ms = millis.parse::<f64>().ok();
    } else if web::is_number(token) && !scan.0.starts_with(|c: char| c == '"' || c.is_ascii_digit())
    {
        // %T or %D: seconds or microseconds (milliseconds of Tomcat), and nothing says which.
        if web::has(out, "response_time") {
            return Some(false);
        }
        out.put("response_time", token);
    } else if (web::looks_like_id(token) || is_unique_id(token)) && out.request_id.is_none() {
        out.request_id = Some(token.into());
    } else if is_thread(token) && !web::has(out, "thread") {
        out.put("thread", token);
    } else {
        return Some(token == "-");
    }
    Some(true)
}

/// A thread as Java's servers name them: `http-nio-8080-exec-1`, `XNIO-1`, `qtp12-34`.
fn is_thread(token: &str) -> bool {
    let pool = [
        "http-",
        "https-",
        "ajp-",
        "catalina-",
        "XNIO-",
        "qtp",
        "default",
        "tomcat-",
    ];
    pool.iter().any(|pool| token.starts_with(pool)) && token.ends_with(|c: char| c.is_ascii_digit())
}

/// What `mod_unique_id` makes: 24 or 27 characters of its base 64.
fn is_unique_id(text: &str) -> bool {
    matches!(text.len(), 24 | 27)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'-' | b'_'))
}

/// `[time] client protocol cipher "request" bytes`.
fn ssl_request<'a>(
    text: &'a str,
    hint: &TimeHint,
    out: &mut Parsed<'a>,
) -> Result<(), &'static str> {
    let cut = time::clf(&text[1..], hint).ok_or("no time in brackets")?;
    let mut scan = Scan(cut.rest.strip_prefix("] ").ok_or("no time in brackets")?);
    out.set_time(cut.instant);
    out.level = Level::Info;
    let client = scan
        .token()
        .filter(|client| !client.starts_with('"'))
        .ok_or("no client")?;
    let protocol = scan.token().ok_or("no protocol")?;
    let cipher = scan.token().ok_or("no cipher")?;
    let request = scan.quoted().ok_or("no request in quotes")?;
    let bytes = scan
        .token()
        .filter(|bytes| *bytes == "-" || web::is_number(bytes))
        .ok_or("no size")?;
    web::put_client(client, out);
    out.put("tls_protocol", protocol);
    out.put("tls_cipher", cipher);
    web::put_request(request, out);
    out.put("bytes", bytes);
    out.put("rest", scan.0);
    Ok(())
}
