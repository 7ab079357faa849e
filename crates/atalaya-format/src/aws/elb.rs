//! Access logs of the Application Load Balancer, of the classic one, and of the Network Load
//! Balancer's TLS listeners. Times are in UTC; a time of -1 means that there was no answer.
//!
//! Names: `listener_type`, `load_balancer`, `client`, `client_port`, `upstream` (the target),
//! `request_s`, `upstream_s`, `response_s`, `status`, `upstream_status`, `bytes_in`, `bytes`,
//! `method`, `path`, `protocol`, `user_agent`, `tls_cipher`, `tls_protocol`, `target_group`,
//! `trace_id` (whole; the part behind `Root=` is the request's id), `sni`, `certificate`,
//! `rule_priority`, `request_created`, `actions`, `redirect_url`, `error_reason`, `targets`,
//! `target_statuses`, `classification`, `classification_reason`, `connection_trace_id`, `rest`;
//! of the network load balancer `version`, `listener`, `connection_ms`, `handshake_ms`, `tls_alert`.
//! The duration is the sum of the three times.
//!
//! Source: <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#access-log-entry-format>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html#access-log-entry-format>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-access-logs.html>.

use super::super::web::{self, Scan};
use super::super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, SourceZone, TimeHint, time,
};
use atalaya_domain::record::{Layer, Level};

#[derive(Clone, Copy, Debug)]
pub struct Elb;

/// The first word of an application or network load balancer's line.
const TYPES: [&str; 7] = ["http ", "https ", "h2 ", "grpcs ", "ws ", "wss ", "tls "];

impl Format for Elb {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "aws-elb",
            source: "aws/elb",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS.or(Begins::these(b"hgwt")),
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let opens = match line.as_bytes() {
            // The classic one: its stamp has six digits behind the second.
            [b'0'..=b'9', _, _, _, b'-', .., _] => {
                matches!(line.as_bytes().get(10..28), Some([b'T', .., b'Z', b' ']))
            }
            _ => TYPES.iter().any(|kind| line.starts_with(kind)),
        };
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        parse(text, hint, out).ok_or_else(|| self.mismatch("not the line of a load balancer"))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let mut scan = Scan(text);
    let kind = TYPES
        .iter()
        .find(|kind| text.starts_with(**kind))
        .map(|kind| &text[..kind.len() - 1]);
    if kind.is_some() {
        scan.token();
    }
    if kind == Some("tls") {
        return network(text, scan, hint, out);
    }
    let stamp = scan.token()?;
    let name = scan.token()?;
    let (client, port) = web::split_port(scan.token()?).filter(|(client, _)| web::is_ip(client))?;
    put_time(stamp, hint, out)?;
    out.put("listener_type", kind.unwrap_or(""));
    out.put("load_balancer", name);
    out.put("client", client);
    out.put("client_port", port);
    out.put("upstream", scan.token()?);
    put_times(&mut scan, out)?;
    put_answer(&mut scan, out)?;
    let request = request(&mut scan)?;
    web::put_request(request, out);
    if scan.is_empty() {
        return Some(());
    }
    out.put("user_agent", quoted_before_bare(&mut scan)?);
    out.put("tls_cipher", scan.token()?);
    out.put("tls_protocol", scan.token()?);
    put_target(scan, out)
}

fn put_time<'a>(stamp: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let utc = TimeHint {
        reference: hint.reference,
        zone: SourceZone::Utc,
    };
    let cut = time::iso(stamp, &utc).filter(|cut| cut.rest.is_empty())?;
    out.set_time(cut.instant);
    out.zoned = true;
    Some(())
}

/// Seconds to take the request, to get the answer and to send it; -1 where there was none.
fn put_times<'a>(scan: &mut Scan<'a>, out: &mut Parsed<'a>) -> Option<()> {
    let mut total = Some(0.0);
    for name in ["request_s", "upstream_s", "response_s"] {
        let text = scan.token()?;
        let seconds: f64 = text.parse().ok()?;
        out.put(name, text);
        total = total
            .filter(|_| seconds >= 0.0)
            .map(|total| total + seconds);
    }
    // Through whole microseconds, or sums of fractions would show.
    out.duration_ms = total.map(|seconds| (seconds * 1e6).round() / 1e3);
    Some(())
}

/// Status of the balancer and of the target, bytes received and sent.
fn put_answer<'a>(scan: &mut Scan<'a>, out: &mut Parsed<'a>) -> Option<()> {
    let (status, upstream) = (scan.token()?, scan.token()?);
    let number = web::status_of(status);
    if number.is_none() && status != "-" && status != "0" {
        return None;
    }
    out.level = number.map_or(Level::Info, Level::from_http_status);
    out.put("status", status);
    out.put("upstream_status", upstream);
    for name in ["bytes_in", "bytes"] {
        out.put(
            name,
            scan.token()
                .filter(|bytes| *bytes == "-" || web::is_number(bytes))?,
        );
    }
    Some(())
}

/// The request line: its URL may hold quotes and blanks, and a protocol or `- ` ends it.
fn request<'a>(scan: &mut Scan<'a>) -> Option<&'a str> {
    let open = scan.0.strip_prefix('"')?;
    let ends = |at: usize| {
        let (request, after) = (&open[..at], &open[at + 1..]);
        let protocol = request
            .rsplit_once(' ')
            .is_some_and(|(_, word)| word.starts_with("HTTP/") || word == "-");
        (after.is_empty() || after.starts_with(" \"")) && (protocol || request.ends_with("- "))
    };
    let Some(end) = memchr::memchr_iter(b'"', open.as_bytes()).find(|&at| ends(at)) else {
        return scan.quoted();
    };
    scan.0 = open[end + 1..].strip_prefix(' ').unwrap_or("");
    Some(&open[..end])
}

/// The agent may hold quotes, and what follows it; the last place counts where two bare words do.
fn quoted_before_bare<'a>(scan: &mut Scan<'a>) -> Option<&'a str> {
    let open = scan.0.strip_prefix('"')?;
    let bare = |text: &str| {
        let mut rest = Scan(text);
        (0..2).all(|_| rest.token().is_some_and(|word| !word.contains('"')))
            && (rest.is_empty() || rest.0.starts_with("- ") || rest.0.starts_with("arn:"))
    };
    let end =
        memchr::memmem::rfind_iter(open.as_bytes(), b"\" ").find(|&at| bare(&open[at + 2..]))?;
    scan.0 = &open[end + 2..];
    Some(&open[..end])
}

/// What only the application load balancer has. Newer fields come behind, so all are optional.
fn put_target<'a>(mut scan: Scan<'a>, out: &mut Parsed<'a>) -> Option<()> {
    const NAMES: [&str; 14] = [
        "target_group",
        "trace_id",
        "sni",
        "certificate",
        "rule_priority",
        "request_created",
        "actions",
        "redirect_url",
        "error_reason",
        "targets",
        "target_statuses",
        "classification",
        "classification_reason",
        "connection_trace_id",
    ];
    for name in NAMES {
        if scan.is_empty() {
            break;
        }
        let value = scan.quoted_or_token()?;
        if name == "trace_id"
            && let Some((_, root)) = value.split_once("Root=")
        {
            let id = root.split(';').next().unwrap_or(root);
            out.request_id = (!id.is_empty()).then(|| id.into());
        }
        out.put(name, value);
    }
    out.put("rest", scan.0);
    Some(())
}

/// What follows the time that the connection took.
const TLS_NAMES: [&str; 10] = [
    "handshake_ms",
    "bytes_in",
    "bytes",
    "tls_alert",
    "certificate",
    "certificate_serial",
    "tls_cipher",
    "tls_protocol",
    "tls_group",
    "sni",
];

/// `2.0 time elb listener client:port target:port connection handshake received sent alert …`.
fn network<'a>(
    text: &'a str,
    mut scan: Scan<'a>,
    hint: &TimeHint,
    out: &mut Parsed<'a>,
) -> Option<()> {
    let version = scan
        .token()
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))?;
    put_time(scan.token()?, hint, out)?;
    out.put("listener_type", "tls");
    out.put("version", version);
    out.put("load_balancer", scan.token()?);
    out.put("listener", scan.token()?);
    let (client, port) = web::split_port(scan.token()?).filter(|(client, _)| web::is_ip(client))?;
    out.put("client", client);
    out.put("client_port", port);
    out.put("upstream", scan.token()?);
    let connected = scan.token()?;
    out.duration_ms = connected.parse().ok();
    out.put("connection_ms", connected);
    for name in TLS_NAMES {
        out.put(name, scan.token()?);
    }
    out.put("rest", scan.0);
    out.message = text.into();
    out.level = if web::has(out, "tls_alert") {
        Level::Warning
    } else {
        Level::Info
    };
    Some(())
}

#[cfg(test)]
mod tests;
