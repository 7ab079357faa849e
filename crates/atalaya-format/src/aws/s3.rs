//! Server access log of Amazon S3: `owner bucket [time] address requester request-id operation key
//! "request" status error bytes size total turn-around "referrer" "agent" version …`.
//!
//! Names: `bucket_owner`, `bucket`, `client`, `operation`, `key`, `method`, `path`, `protocol`,
//! `status`, `error_code`, `bytes`, `object_size`, `turn_around_ms`, `referrer`, `user_agent`,
//! `version_id`, `host_id`, `signature_version`, `tls_cipher`, `authentication`, `http_host`,
//! `tls_protocol`, `access_point`, `acl_required`, `rest`. The requester is the user, the total
//! time (in milliseconds) the duration.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html>.

use super::super::web::{self, Scan};
use super::super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, time,
};
use atalaya_domain::record::{Layer, Level};

#[derive(Clone, Copy, Debug)]
pub struct S3Access;

impl Format for S3Access {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "aws-s3",
            source: "aws/s3",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS.or(Begins::these(b"abcdef-")),
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"[/")
    }

    /// Owner and bucket, then the stamp.
    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let head = &bytes[..bytes.len().min(160)];
        let stamped = memchr::memchr(b'[', head).is_some_and(|at| {
            matches!(&bytes[at + 1..], [_, _, b'/', _, _, _, b'/', ..])
                && head[..at].ends_with(b" ")
                && memchr::memchr_iter(b' ', &head[..at]).count() == 2
        });
        if stamped { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        parse(text, hint, out).ok_or_else(|| self.mismatch("not a line of S3's access log"))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (head, rest) = text.split_once(" [")?;
    let (owner, bucket) = head.split_once(' ')?;
    let cut = time::clf(rest, hint)?;
    let mut scan = Scan(cut.rest.strip_prefix("] ")?);
    let client = scan
        .token()
        .filter(|client| *client == "-" || web::is_ip(client))?;
    let requester = scan.token()?;
    let id = scan.token()?;
    let operation = scan.token()?;
    let key = scan.token()?;
    // Keys and URLs are encoded: no blanks. Quotes in a URL are told by the status behind.
    let (request, status, error, after) = request(scan.0)?;
    scan = Scan(after);
    out.set_time(cut.instant);
    out.put("bucket_owner", owner);
    out.put("bucket", bucket);
    out.put("client", client);
    if requester != "-" {
        out.user_id = Some(requester.into());
    }
    out.request_id = (id != "-").then(|| id.into());
    out.put("operation", operation);
    out.put("key", key);
    web::put_request(request, out);
    if request == "-" {
        out.message = operation.into();
    }
    out.level = web::status_of(status).map_or(Level::Info, Level::from_http_status);
    out.put("status", status);
    out.put("error_code", error);
    for name in ["bytes", "object_size", "duration_ms", "turn_around_ms"] {
        let number = scan
            .token()
            .filter(|number| *number == "-" || web::is_number(number))?;
        match name {
            "duration_ms" => out.duration_ms = number.parse().ok(),
            _ => out.put(name, number),
        }
    }
    put_tail(scan, out)
}

/// Request, status, error code and what follows; an operation of S3 itself has no request.
fn request(text: &str) -> Option<(&str, &str, &str, &str)> {
    let answer = |rest: &'_ str| -> Option<(usize, usize, usize)> {
        let mut scan = Scan(rest.strip_prefix(' ')?);
        let status = scan
            .token()
            .filter(|status| *status == "-" || web::status_of(status).is_some())?;
        let error = scan.token().filter(|error| !error.contains('"'))?;
        Some((status.len(), error.len(), rest.len() - scan.0.len()))
    };
    let cut = |end: usize, behind: usize| {
        let rest = &text[behind..];
        let (status, error, used) = answer(rest)?;
        let error = &rest[2 + status..2 + status + error];
        Some((
            &text[usize::from(behind != end)..end],
            &rest[1..=status],
            error,
            &rest[used..],
        ))
    };
    if text.starts_with("- ") {
        return cut(1, 1);
    }
    let open = text.strip_prefix('"')?;
    memchr::memchr_iter(b'"', open.as_bytes()).find_map(|at| cut(at + 1, at + 2))
}

fn put_tail<'a>(mut scan: Scan<'a>, out: &mut Parsed<'a>) -> Option<()> {
    const NAMES: [&str; 11] = [
        "referrer",
        "user_agent",
        "version_id",
        "host_id",
        "signature_version",
        "tls_cipher",
        "authentication",
        "http_host",
        "tls_protocol",
        "access_point",
        "acl_required",
    ];
    for name in NAMES {
        if scan.is_empty() {
            break;
        }
        out.put(name, scan.quoted_or_token()?);
    }
    out.put("rest", scan.0);
    Some(())
}

#[cfg(test)]
mod tests;
