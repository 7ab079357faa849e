//! PostgreSQL's csvlog: the columns of `postgres_log` in order, text quoted, over several lines
//! where the text has several.
//!
//! Source: <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG>.

use std::borrow::Cow;

use super::fields::push_unique;
use super::postgresql::{level_of, read_message, request_in_comment, stamp};
use super::python::ANY_HINT;
use super::{Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, TimeHint};
use crate::domain::record::Layer;

/// `postgresql-csv`.
#[derive(Clone, Copy, Debug)]
pub struct PostgresqlCsv;

/// Names of the columns, those of jsonlog; columns 0, 11 and 13 are time, severity and message.
const COLUMNS: [&str; 26] = [
    "timestamp",
    "user",
    "dbname",
    "pid",
    "remote_host",
    "session_id",
    "line_num",
    "ps",
    "session_start",
    "vxid",
    "txid",
    "error_severity",
    "state_code",
    "message",
    "detail",
    "hint",
    "internal_query",
    "internal_position",
    "context",
    "statement",
    "cursor_position",
    "location",
    "application_name",
    "backend_type",
    "leader_pid",
    "query_id",
];

impl Format for PostgresqlCsv {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "postgresql-csv",
            source: "postgresql",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS.or(Begins::these(b"\"")),
            lines: Lines::Stamped,
            traces: false,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let start = line.strip_prefix('"').unwrap_or(line);
        let stamped = stamp(start, &ANY_HINT).is_some_and(|cut| cut.rest.starts_with([',', '"']));
        match (stamped, count_columns(line)) {
            (true, Columns::Open(seen)) if seen > MESSAGE => Opens::Unfinished,
            (true, Columns::Closed(seen)) if seen >= LEAST_COLUMNS => Opens::Parsed,
            _ => Opens::No,
        }
    }

    /// Text goes on while its quote is open: it may look like anything.
    fn joins(&self, pending: &str, _line: &str) -> Joins {
        match count_columns(pending) {
            Columns::Open(_) => Joins::Yes,
            Columns::Closed(_) => Joins::Unsaid,
        }
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        let mut severity = Cow::Borrowed("");
        let mut columns = 0;
        let mut rest = text.trim_ascii_end();
        for (index, name) in COLUMNS.into_iter().enumerate() {
            let (value, after) = field(rest).ok_or_else(|| self.mismatch("a quoted field does not end"))?;
            columns = index + 1;
            match index {
                0 => {
                    let cut =
                        stamp(&value, hint).ok_or_else(|| self.mismatch("no time in the first column"))?;
                    out.set_time(cut.instant);
                }
                4 => {
                    let port = value
                        .rsplit_once(':')
                        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
                    if let Some((host, port)) = port {
                        push_unique(out, name, host.to_owned());
                        push_unique(out, "remote_port", port.to_owned());
                    } else {
                        push_unique(out, name, value);
                    }
                }
                5 => out.session_id = Some(value).filter(|value| !value.is_empty()),
                11 => severity = value,
                13 => read_message(value, out),
                19 => {
                    if out.request_id.is_none() {
                        out.request_id = request_in_comment(&value).map(|id| Cow::Owned(id.to_owned()));
                    }
                    push_unique(out, name, value);
                }
                _ => push_unique(out, name, value),
            }
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        if columns < 20 {
            return Err(self.mismatch("fewer than 20 columns"));
        }
        out.level = level_of(&severity);
        if severity != out.level.name() {
            push_unique(out, "severity", severity);
        }
        Ok(())
    }
}

/// Index of the message's column: text that goes on over lines stands there or behind it.
const MESSAGE: usize = 13;
/// PostgreSQL 9.0 writes 23 columns; fewer are somebody else's table.
const LEAST_COLUMNS: usize = 22;

/// How many columns a text has begun, and whether the last one's quote is open at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Columns {
    Open(usize),
    Closed(usize),
}

fn count_columns(text: &str) -> Columns {
    let mut quoted = false;
    let mut columns = 1;
    for at in memchr::memchr2_iter(b'"', b',', text.as_bytes()) {
        match text.as_bytes().get(at) {
            Some(b'"') => quoted = !quoted,
            _ if !quoted => columns += 1,
            _ => {}
        }
    }
    if quoted { Columns::Open(columns) } else { Columns::Closed(columns) }
}

/// One field, and the text after its comma; `None` in the latter at the end of the record.
fn field(text: &str) -> Option<(Cow<'_, str>, Option<&str>)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return Some(match text.split_once(',') {
            Some((value, rest)) => (Cow::Borrowed(value), Some(rest)),
            None => (Cow::Borrowed(text), None),
        });
    };
    let bytes = quoted.as_bytes();
    let mut at = 0;
    let mut doubled = false;
    loop {
        at += memchr::memchr(b'"', bytes.get(at..)?)?;
        if bytes.get(at + 1) == Some(&b'"') {
            doubled = true;
            at += 2;
            continue;
        }
        let inside = quoted.get(..at)?;
        let value = if doubled { Cow::Owned(inside.replace("\"\"", "\"")) } else { Cow::Borrowed(inside) };
        let after = quoted.get(at + 1..)?;
        return Some((value, after.strip_prefix(',')));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::domain::record::Level;

    #[test]
    fn quoted_text_over_lines() {
        let text = "2021-01-04 00:05:58.232 UTC,\"azlev\",\"azlev\",36,\"172.24.0.1:42326\",5ff25be6.24,2,\"authentication\",2021-01-04 00:05:58 UTC,3/9,0,FATAL,28P01,\"password failed for \"\"azlev\"\"\",\"Role\n\nmatched\",,,,,,,,\"\"";
        let mut out = Parsed::default();
        PostgresqlCsv.parse(text, &ANY_HINT, &mut out).unwrap();
        assert_eq!((out.level, out.message.as_ref()), (Level::Critical, "password failed for \"azlev\""));
        assert_eq!(out.session_id.as_deref(), Some("5ff25be6.24"));
        let get =
            |name: &str| out.metadata.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_ref());
        assert_eq!(get("detail"), Some("Role\n\nmatched"));
        assert_eq!((get("remote_host"), get("remote_port")), (Some("172.24.0.1"), Some("42326")));
        assert_eq!(PostgresqlCsv.opens(text), Opens::Parsed);
        assert_eq!(PostgresqlCsv.opens("LIMIT 1000\",,,"), Opens::No);
        assert!(
            PostgresqlCsv
                .parse("2021-01-04 00:05:58.232 UTC,a,b", &ANY_HINT, &mut Parsed::default())
                .is_err()
        );
    }
}
