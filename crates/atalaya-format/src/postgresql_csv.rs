//! PostgreSQL's csvlog: the columns of `postgres_log` in order, text quoted, over several lines
//! where the text has several.
//!
//! Source: <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG>.

use std::borrow::Cow;

use super::fields::push_unique;
use super::postgresql::{is_severity, level_of, read_message, request_in_comment, stamp};
use super::python::ANY_HINT;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, Signs, TimeHint,
    split, time,
};
use atalaya_domain::record::Layer;

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

    fn needs(&self) -> Signs {
        Signs::these(b",")
    }

    fn opens(&self, line: &str) -> Opens {
        if !may_begin(line) {
            return Opens::No;
        }
        match count_columns(line) {
            Columns::Open(seen) if seen > MESSAGE && begins(line) => Opens::Unfinished,
            Columns::Closed(seen) if seen >= LEAST_COLUMNS => Opens::Parsed,
            _ => Opens::No,
        }
    }

    /// Text goes on while its quote is open: it may look like anything.
    fn joins(&self, pending: &str, line: &str) -> Joins {
        let quotes = memchr::memchr_iter(b'"', pending.as_bytes()).count();
        if quotes.is_multiple_of(2) {
            Joins::Unsaid
        } else if line.contains(",\"") && begins(line) {
            // Quotes within a quoted text are doubled: where they are not, a record begins, and the
            // one before was cut off.
            Joins::No
        } else {
            Joins::Yes
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

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const OTHERS: &str = "not the columns of PostgreSQL's csvlog";
    if !may_begin(text) {
        return Err(OTHERS);
    }
    let first_line = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    let text = text.trim_ascii_end();
    let mut severity = Cow::Borrowed("");
    let mut rest = Some(text);
    let mut columns = 0;
    while let Some(at) = rest {
        let field = field(at);
        // All columns before the message stand in the first line, as in [`begins`].
        if columns < MESSAGE
            && !(field.ends_by(text, first_line) && is_column(columns, &field.value))
        {
            return Err(OTHERS);
        }
        let value = field.value;
        match columns {
            0 => {
                let cut = stamp(&value, hint)
                    .filter(|cut| has_zone(&value, cut))
                    .ok_or(OTHERS)?;
                out.set_time(cut.instant);
                out.zoned = true;
            }
            4 => put_client(value, out),
            5 => out.session_id = Some(value).filter(|value| !value.is_empty()),
            11 => severity = value,
            MESSAGE => read_message(value, out),
            _ => match COLUMNS.get(columns) {
                Some(name) => {
                    if *name == "statement" && out.request_id.is_none() {
                        out.request_id =
                            request_in_comment(&value).map(|id| Cow::Owned(id.to_owned()));
                    }
                    push_unique(out, *name, value);
                }
                // Of a version to come.
                None => push_unique(out, format!("column_{}", columns + 1), value),
            },
        }
        if field.cut {
            push_unique(out, "incomplete", "true");
        }
        rest = field.rest;
        columns += 1;
    }
    if columns <= MESSAGE {
        return Err("no column of the message");
    }
    out.level = level_of(&severity);
    if severity != out.level.name() {
        push_unique(out, "severity", severity);
    }
    Ok(())
}

fn put_client<'a>(value: Cow<'a, str>, out: &mut Parsed<'a>) {
    let port = value
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some((host, port)) = port {
        push_unique(out, "remote_host", host.to_owned());
        push_unique(out, "remote_port", port.to_owned());
    } else {
        push_unique(out, "remote_host", value);
    }
}

/// Index of the message's column: text that goes on over lines stands there or behind it.
const MESSAGE: usize = 13;
/// PostgreSQL 8.4 writes 22 columns; fewer are somebody else's table.
const LEAST_COLUMNS: usize = 22;

/// A look at the first bytes: a date in the first column.
fn may_begin(line: &str) -> bool {
    let start = line.strip_prefix('"').unwrap_or(line);
    let dated = start.as_bytes().get(4) == Some(&b'-')
        && start.as_bytes().get(10) == Some(&b' ')
        && start.as_bytes().get(13) == Some(&b':');
    // The column of the stamp ends soon.
    let near = line
        .as_bytes()
        .get(19..line.len().min(96))
        .unwrap_or_default();
    dated && memchr::memchr(b',', near).is_some()
}

/// Whether a line has what every record has before its message: a stamp with its zone, a process,
/// a session, a number, a severity and a state.
fn begins(line: &str) -> bool {
    if !may_begin(line) {
        return false;
    }
    let mut rest = Some(line);
    for index in 0..MESSAGE {
        let Some(at) = rest else { return false };
        let field = field(at);
        let is_stamp = || {
            let cut = stamp(&field.value, &ANY_HINT);
            cut.is_some_and(|cut| has_zone(&field.value, &cut))
        };
        if field.cut || !is_column(index, &field.value) || (index == 0 && !is_stamp()) {
            return false;
        }
        rest = field.rest;
    }
    rest.is_some()
}

/// Whether the stamp of the first column names its zone.
fn has_zone(column: &str, cut: &time::Cut<'_>) -> bool {
    let zone = column.get(19..column.len() - cut.rest.len()).unwrap_or("");
    let named = |text: &str| {
        text.bytes()
            .any(|byte| byte.is_ascii_alphabetic() || byte == b'+' || byte == b'-')
    };
    // A zone that nobody knows is left behind the time.
    (cut.rest.is_empty() && named(zone)) || (cut.rest.starts_with(' ') && named(cut.rest))
}

/// Whether this may be the value of a column; the first, which is the stamp's, is left to others.
fn is_column(index: usize, value: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match index {
        3 | 6 => digits(value),
        5 => value.split_once('.').is_some_and(|(start, process)| {
            let hexadecimal = |text: &str| {
                (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            hexadecimal(start) && hexadecimal(process)
        }),
        11 => is_severity(value),
        12 => {
            value.len() == 5
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        }
        _ => true,
    }
}

/// How many columns a text has begun, and whether the last one's quote is open at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Columns {
    Open(usize),
    Closed(usize),
}

fn count_columns(text: &str) -> Columns {
    let mut quoted = false;
    let mut columns = 1;
    // The columns are short: a step for each byte costs less than a search for each column.
    for byte in text.bytes() {
        quoted ^= byte == b'"';
        columns += usize::from(byte == b',' && !quoted);
    }
    if quoted {
        Columns::Open(columns)
    } else {
        Columns::Closed(columns)
    }
}

/// One field of a record.
struct Field<'a> {
    value: Cow<'a, str>,
    /// The text behind its comma; `None` at the end of the record.
    rest: Option<&'a str>,
    /// Its quote does not end.
    cut: bool,
}

impl Field<'_> {
    /// Whether it ends, and a comma behind it, before this place of the text that it was cut from.
    fn ends_by(&self, text: &str, place: usize) -> bool {
        !self.cut
            && self
                .rest
                .is_some_and(|rest| text.len() - rest.len() <= place)
    }
}

fn field(text: &str) -> Field<'_> {
    let Some(quoted) = text.strip_prefix('"') else {
        return match split::once(text, b',') {
            Some((value, rest)) => Field {
                value: Cow::Borrowed(value),
                rest: Some(rest),
                cut: false,
            },
            None => Field {
                value: Cow::Borrowed(text),
                rest: None,
                cut: false,
            },
        };
    };
    let bytes = quoted.as_bytes();
    let mut at = 0;
    let mut doubled = false;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) {
        at += found;
        match bytes.get(at + 1) {
            Some(b'"') => {
                doubled = true;
                at += 2;
            }
            // What follows a quote is a comma or the end; anything else is a part of the text.
            Some(b',') | None => {
                let value = undoubled(quoted.get(..at).unwrap_or(""), doubled);
                return Field {
                    value,
                    rest: quoted.get(at + 2..),
                    cut: false,
                };
            }
            Some(_) => at += 1,
        }
    }
    Field {
        value: undoubled(quoted, doubled),
        rest: None,
        cut: true,
    }
}

fn undoubled(text: &str, doubled: bool) -> Cow<'_, str> {
    if doubled {
        Cow::Owned(text.replace("\"\"", "\""))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::testing::decoded;
    use super::*;
    use atalaya_domain::record::Level;

    #[test]
    fn quoted_text_over_lines() {
        let text = "2021-01-04 00:05:58.232 UTC,\"azlev\",\"azlev\",36,\"172.24.0.1:42326\",5ff25be6.24,2,\"authentication\",2021-01-04 00:05:58 UTC,3/9,0,FATAL,28P01,\"password failed for \"\"azlev\"\"\",\"Role\n\nmatched\",,,,,,,,\"\"";
        let mut out = Parsed::default();
        PostgresqlCsv.parse(text, &ANY_HINT, &mut out).unwrap();
        assert_eq!(
            (out.level, out.message.as_ref()),
            (Level::Critical, "password failed for \"azlev\"")
        );
        assert_eq!(out.session_id.as_deref(), Some("5ff25be6.24"));
        let get = |name: &str| {
            out.metadata
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, text)| text.as_ref())
        };
        assert_eq!(get("detail"), Some("Role\n\nmatched"));
        assert_eq!(
            (get("remote_host"), get("remote_port")),
            (Some("172.24.0.1"), Some("42326"))
        );
        assert_eq!(PostgresqlCsv.opens(text), Opens::Parsed);
        assert_eq!(PostgresqlCsv.opens("LIMIT 1000\",,,"), Opens::No);
        assert!(
            PostgresqlCsv
                .parse(
                    "2021-01-04 00:05:58.232 UTC,a,b",
                    &ANY_HINT,
                    &mut Parsed::default()
                )
                .is_err()
        );
    }

    #[test]
    fn only_the_columns_of_postgresql_are_read() {
        let columns = |stamp: &str, pid: &str, session: &str, severity: &str, state: &str| {
            format!(
                "{stamp},\"a\",\"b\",{pid},\"[local]\",{session},1,\"idle\",2024-05-01 10:00:00 UTC,3/4,0,{severity},{state},\"m\",,,,,,,,,\"psql\""
            )
        };
        let good = columns(
            "2024-05-01 10:00:00.123 UTC",
            "7",
            "66a1.1f",
            "LOG",
            "00000",
        );
        assert_eq!(PostgresqlCsv.opens(&good), Opens::Parsed);
        let zoned = columns(
            "2024-05-01 10:00:00.123 +0545",
            "7",
            "66a1.1f",
            "FATAL",
            "3D000",
        );
        assert_eq!(PostgresqlCsv.opens(&zoned), Opens::Parsed);
        for bad in [
            columns("2024-05-01 10:00:00.123", "7", "66a1.1f", "LOG", "00000"),
            columns("2024-05-01T10:00:00.123Z", "7", "66a1.1f", "LOG", "00000"),
            columns(
                "2024-05-01 10:00:00.123 UTC",
                "x",
                "66a1.1f",
                "LOG",
                "00000",
            ),
            columns("2024-05-01 10:00:00.123 UTC", "7", "66a1", "LOG", "00000"),
            columns(
                "2024-05-01 10:00:00.123 UTC",
                "7",
                "66a1.1f",
                "HINT",
                "00000",
            ),
            columns("2024-05-01 10:00:00.123 UTC", "7", "66a1.1f", "LOG", "0"),
            columns("1714557600.123", "7", "66a1.1f", "LOG", "00000"),
            "2024-05-01 10:00:00 UTC,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23"
                .to_owned(),
        ] {
            let (_, decoder) = decoded(&bad, ANY_HINT);
            assert_eq!(decoder.tally().of("postgresql-csv"), 0, "{bad}");
            assert!(
                PostgresqlCsv
                    .parse(&bad, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn later_columns_and_cut_text_are_kept() {
        let head = "2024-05-01 10:00:00.123 UTC,\"a\",\"b\",7,,66a1.1f,1,\"idle\",2024-05-01 10:00:00 UTC,3/4,0,LOG,00000,";
        let text = format!("{head}\"m\",,,,,,,,,\"psql\",\"client backend\",,0,\"new\",more");
        let mut out = Parsed::default();
        PostgresqlCsv.parse(&text, &ANY_HINT, &mut out).unwrap();
        assert!(
            out.metadata.contains(&("column_27".into(), "new".into())),
            "{out:?}"
        );
        assert!(out.metadata.contains(&("column_28".into(), "more".into())));

        let text = format!("{head}\"SELECT \"\"a\"\"\n2024-05-01 10:00:01 UTC,x");
        assert_eq!(
            PostgresqlCsv.opens(text.lines().next().unwrap()),
            Opens::Unfinished
        );
        assert_eq!(
            PostgresqlCsv.joins(text.lines().next().unwrap(), "2024-05-01 10:00:01 UTC,x"),
            Joins::Yes
        );
        let whole = format!("{head}\"m\",,,,,,,,,\"psql\"");
        assert_eq!(
            PostgresqlCsv.joins(text.lines().next().unwrap(), &whole),
            Joins::No
        );
        let mut out = Parsed::default();
        PostgresqlCsv.parse(&text, &ANY_HINT, &mut out).unwrap();
        assert_eq!(out.message, "SELECT \"a\"\n2024-05-01 10:00:01 UTC,x");
        assert!(out.metadata.contains(&("incomplete".into(), "true".into())));
    }
}
