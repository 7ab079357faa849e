//! Columns of W3C extended logs: how they are cut, what they are, and which there are by default.

use super::web;

/// What a column is to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    Date,
    Time,
    /// Both, with `T` between them.
    Stamp,
    Method,
    Stem,
    Query,
    Protocol,
    /// What a firewall did.
    Action,
    Status,
    User,
    RequestId,
    Taken,
    /// Metadata under our name.
    Named(&'static str),
    /// Metadata under its own.
    Unknown,
}

/// Names of columns, in the W3C draft and of IIS, `CloudFront` and proxies.
pub fn known(name: &str) -> Is {
    match name {
        "date" | "date-local" => Is::Date,
        "time" | "time-local" => Is::Time,
        "date-time" | "datetime" => Is::Stamp,
        "cs-method" => Is::Method,
        "cs-uri-stem" | "cs-uri" | "cs-uri-path" => Is::Stem,
        "cs-uri-query" => Is::Query,
        "cs-version" | "cs-protocol-version" => Is::Protocol,
        "action" => Is::Action,
        "sc-status" => Is::Status,
        "cs-username" | "cs-user" => Is::User,
        "x-edge-request-id" | "x-request-id" | "cs(X-Request-ID)" | "cs(X-Request-Id)" => {
            Is::RequestId
        }
        "time-taken" => Is::Taken,
        "c-ip" | "src-ip" | "client-ip" => Is::Named("client"),
        "c-port" | "src-port" => Is::Named("client_port"),
        "s-ip" | "dst-ip" | "server-ip" => Is::Named("server_address"),
        "s-port" | "dst-port" => Is::Named("server_port"),
        "s-computername" => Is::Named("server"),
        "s-sitename" => Is::Named("site"),
        "cs-host" | "cs(Host)" => Is::Named("http_host"),
        "cs(User-Agent)" => Is::Named("user_agent"),
        "cs(Referer)" => Is::Named("referrer"),
        "cs(Cookie)" => Is::Named("cookie"),
        "cs(X-Forwarded-For)" | "X-Forwarded-For" | "x-forwarded-for" => Is::Named("forwarded_for"),
        "sc-substatus" => Is::Named("substatus"),
        "sc-win32-status" => Is::Named("win32_status"),
        "sc-bytes" => Is::Named("bytes"),
        "cs-bytes" => Is::Named("bytes_in"),
        "ssl-protocol" => Is::Named("tls_protocol"),
        "ssl-cipher" => Is::Named("tls_cipher"),
        "x-edge-location" => Is::Named("x-edge-location"),
        "x-edge-result-type" => Is::Named("x-edge-result-type"),
        "x-edge-response-result-type" => Is::Named("x-edge-response-result-type"),
        "x-edge-detailed-result-type" => Is::Named("x-edge-detailed-result-type"),
        "x-host-header" => Is::Named("x-host-header"),
        "cs-protocol" => Is::Named("cs-protocol"),
        "time-to-first-byte" => Is::Named("time-to-first-byte"),
        "sc-content-type" => Is::Named("sc-content-type"),
        "sc-content-len" => Is::Named("sc-content-len"),
        "sc-range-start" => Is::Named("sc-range-start"),
        "sc-range-end" => Is::Named("sc-range-end"),
        "fle-status" => Is::Named("fle-status"),
        "fle-encrypted-fields" => Is::Named("fle-encrypted-fields"),
        _ => Is::Unknown,
    }
}

/// The columns of one line: between tabs where there are some, else between blanks; text in quotes
/// is one column.
pub struct Columns<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Columns<'a> {
    /// Between these bytes.
    pub fn at(separator: u8, text: &'a str) -> Self {
        Self {
            rest: Some(text.trim_end_matches('\r')),
            separator,
        }
    }

    pub fn new(text: &'a str) -> Self {
        let separator = if memchr::memchr(b'\t', text.as_bytes()).is_some() {
            b'\t'
        } else {
            b' '
        };
        let text = text.trim_end_matches([' ', '\r']);
        Self {
            rest: Some(text),
            separator,
        }
    }
}

impl<'a> Iterator for Columns<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        if let Some(open) = rest.strip_prefix('"') {
            let end = memchr::memchr_iter(b'"', open.as_bytes()).find(|&end| {
                open.as_bytes()
                    .get(end + 1)
                    .is_none_or(|&byte| byte == self.separator)
            });
            if let Some(end) = end {
                self.rest = open.get(end + 2..);
                return Some(&open[..end]);
            }
        }
        let end = memchr::memchr(self.separator, rest.as_bytes()).unwrap_or(rest.len());
        self.rest = rest.get(end + 1..);
        Some(&rest[..end])
    }
}

/// The columns of a line without a head, when their count and looks are those of a default.
pub fn by_default(text: &str) -> Option<&'static str> {
    /// IIS 7 and later; from 8.5 on with the referrer.
    const IIS: [&str; 2] = [
        "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) \
         sc-status sc-substatus sc-win32-status time-taken",
        "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) \
         cs(Referer) sc-status sc-substatus sc-win32-status time-taken",
    ];
    const CLOUDFRONT: &str = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem \
         sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type \
         x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol \
         ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields \
         c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len \
         sc-range-start sc-range-end";
    const CLOUDFRONT_COLUMNS: usize = 33;
    let separator = text.as_bytes().get(10)?;
    if *separator == b'\t' {
        let columns = Columns::new(text);
        let mut looks = Columns::new(text).skip(3);
        let sized =
            looks.next().is_some_and(web::is_number) && looks.next().is_some_and(web::is_ip);
        return (sized && columns.count() == CLOUDFRONT_COLUMNS).then_some(CLOUDFRONT);
    }
    // Most text has a word there.
    let address = text
        .as_bytes()
        .get(20)
        .is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b':');
    if !address {
        return None;
    }
    let mut looks = Columns::new(text).skip(2);
    if *separator != b' '
        || !looks.next().is_some_and(web::is_ip)
        || !looks.next().is_some_and(web::is_method)
    {
        return None;
    }
    let mut looks = Columns::new(text).skip(6);
    if !(looks.next().is_some_and(web::is_number) && looks.nth(1).is_some_and(web::is_ip)) {
        return None;
    }
    match Columns::new(text).count() {
        14 => Some(IIS[0]),
        15 => Some(IIS[1]),
        _ => None,
    }
}
