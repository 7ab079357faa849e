//! The slow query log of MySQL, MariaDB and Percona Server: `# Time`, `# User@Host`,
//! `# Query_time` and more comment lines, `use db;`, `SET timestamp=…;`, the statement.
//!
//! The statement is the message, `Query_time` the duration, the other values of the comments are
//! metadata under their names in lower case (times in seconds, as logged). The record's time is
//! that of `# Time` when it has a zone; else `SET timestamp`, which is an instant whatever the
//! server's zone is; else `# Time` in the source's zone.

use std::borrow::Cow;

use super::fields::durations::milliseconds;
use super::fields::push_unique;
use super::postgresql::request_in_comment;
use super::python::ANY_HINT;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, TimeHint, mysql_error,
    split, time,
};
use atalaya_domain::record::Layer;
use atalaya_domain::time::Timestamp;

mod statement;

/// `mysql-slow`.
#[derive(Clone, Copy, Debug)]
pub struct MysqlSlow;

impl Format for MysqlSlow {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "mysql-slow",
            source: "mysql/slow",
            layer: Layer::Infrastructure,
            // `#`, and what the path of the server's program in the banner begins with.
            begins: Begins::these(b"#/mTABCDEFGHIJKLMNOPQRSUVWXYZ\\"),
            lines: Lines::Stamped,
            traces: false,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if line.starts_with('#') {
            return if is_time(line) || is_user(line) {
                Opens::Unfinished
            } else {
                Opens::No
            };
        }
        if is_banner(line) {
            Opens::Header
        } else {
            Opens::No
        }
    }

    /// A statement may hold any text, on any number of lines, up to its semicolon; in a string it may
    /// hold the first lines of an event too.
    fn joins(&self, pending: &str, line: &str) -> Joins {
        let in_head = || {
            let near = pending.get(..HEAD_BYTES).unwrap_or(pending);
            !near.contains("# User@Host: ")
        };
        match self.opens(line) {
            Opens::Unfinished if is_user(line) && in_head() => Joins::Yes,
            Opens::Header | Opens::Unfinished if statement::is_open(pending) => Joins::Yes,
            Opens::Header | Opens::Unfinished => Joins::No,
            // Behind a semicolon more of the statement may follow, or another log.
            _ if is_complete(pending)
                && (line.starts_with(['{', '[', '<']) || super::plain::begins_own(line)) =>
            {
                Joins::Unsaid
            }
            _ => Joins::Yes,
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no `# User@Host` or `# Query_time`"))
    }
}

/// `# Time: 240501 10:00:00`, `# Time: 2024-05-01T10:00:00.123456Z`.
fn is_time(line: &str) -> bool {
    line.strip_prefix("# Time: ").is_some_and(|stamp| {
        let stamp = stamp.trim_ascii_start();
        mysql_error::yymmdd(stamp, &ANY_HINT)
            .or_else(|| time::iso(stamp, &ANY_HINT))
            .is_some()
    })
}

/// `# User@Host: root[root] @ localhost [127.0.0.1]`.
fn is_user(line: &str) -> bool {
    line.strip_prefix("# User@Host: ").is_some_and(|user| {
        memchr::memmem::find(user.as_bytes(), b"] @ ").is_some_and(|at| {
            let (account, host) = user.as_bytes().split_at(at);
            memchr::memchr(b'[', account).is_some() && memchr::memchr(b'[', host).is_some()
        })
    })
}

/// The comment lines above a statement are shorter together.
const HEAD_BYTES: usize = 512;

/// Whether the statement has ended: its last line ends in a semicolon and is none of the head's.
fn is_complete(pending: &str) -> bool {
    let last = split::last(pending, b'\n').map_or(pending, |(_, last)| last);
    let bare = last.trim_ascii_end();
    (bare.ends_with(';') && !bare.starts_with("SET timestamp=") && !is_use(bare))
        || bare.starts_with("# administrator command")
}

/// The lines that the server writes when it opens the file.
fn is_banner(line: &str) -> bool {
    line.starts_with("Tcp port: ")
        || (line.starts_with("Time") && line.contains("Id Command"))
        || (line.ends_with("started with:") && line.contains(", Version: "))
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let mut rest = text;
    let mut stated: Option<time::Instant> = None;
    let mut set: Option<time::Instant> = None;
    let mut schema = "";
    let mut used = "";
    let mut used_line = "";
    let mut found = false;
    loop {
        let (line, after) = split::line(rest);
        if let Some(comment) = line.strip_prefix('#') {
            let mut comment = comment.trim_ascii();
            if comment.starts_with("administrator command: ") {
                // The command, and whatever joined the record behind it.
                push_unique(out, "admin", "true");
                out.message = rest.trim_start_matches(['#', ' ']).trim_ascii_end().into();
                rest = after;
                break;
            }
            if let Some(stamp) = comment.strip_prefix("Time: ") {
                let stamp = stamp.trim_ascii_start();
                let cut = mysql_error::yymmdd(stamp, hint)
                    .map(|cut| (cut, false))
                    .or_else(|| {
                        let cut = time::iso(stamp, hint)?;
                        let used = stamp.get(..stamp.len() - cut.rest.len())?;
                        Some((
                            cut,
                            used.len() > 19
                                && (used.ends_with('Z') || used.get(19..)?.contains(['+', '-'])),
                        ))
                    });
                if let Some((cut, zoned)) = cut {
                    if zoned {
                        stated = Some(cut.instant);
                    } else {
                        set = set.or(Some(cut.instant));
                    }
                    comment = cut.rest.trim_ascii().trim_start_matches(['#', ' ']);
                }
            }
            if let Some(user) = comment.strip_prefix("User@Host: ") {
                found = true;
                comment = read_user(user, out);
            }
            if let Some(plan) = comment.strip_prefix("explain: ") {
                explain(plan, out);
            } else if !comment.is_empty() && !comment.contains(':') {
                // `No InnoDB statistics available for this query`
                push_unique(out, "comment", comment);
            } else {
                found |= read_values(comment, &mut schema, out);
            }
        } else if used_line.is_empty() && set_is_open(rest) && is_use(line) {
            used_line = line;
            used = line
                .get(4..)?
                .trim_ascii()
                .trim_end_matches(';')
                .trim_matches('`');
        } else if let Some(at) = set_timestamp(line) {
            set = Some(time::Instant::exact(at));
            rest = after;
            break;
        } else {
            break;
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    if !found {
        return None;
    }
    // `use` may stand on either side of SET, and may be the statement itself.
    let mut statement = rest.trim_ascii();
    if used_line.is_empty() {
        let (line, after) = split::line(statement);
        if is_use(line) {
            used = line
                .get(4..)?
                .trim_ascii()
                .trim_end_matches(';')
                .trim_matches('`');
            if !after.trim_ascii().is_empty() {
                statement = after.trim_ascii();
            }
        }
    } else if statement.is_empty() {
        statement = used_line;
    }
    if let Some(command) = statement
        .strip_prefix("# ")
        .filter(|command| command.starts_with("administrator command: "))
    {
        push_unique(out, "admin", "true");
        statement = command;
    }
    if let Some(instant) = stated.or(set) {
        out.set_time(instant);
    }
    let database = if used.is_empty() { schema } else { used };
    if !schema.is_empty() && schema != database {
        push_unique(out, "schema", schema);
    }
    push_unique(out, "db", database);
    if out.message.is_empty() {
        out.message = statement.into();
    }
    out.request_id = request_in_comment(statement).map(Into::into);
    Some(())
}

/// True while no `SET timestamp` came: behind it `use` is the statement.
fn set_is_open(rest: &str) -> bool {
    !rest.starts_with("SET ")
}

fn is_use(line: &str) -> bool {
    line.get(..4)
        .is_some_and(|word| word.eq_ignore_ascii_case("use "))
        && line.trim_ascii_end().ends_with(';')
}

/// `SET timestamp=1528898676;`, also with `insert_id` and `last_insert_id`.
fn set_timestamp(line: &str) -> Option<Timestamp> {
    let body = line
        .strip_prefix("SET ")?
        .trim_ascii_end()
        .strip_suffix(';')?;
    let mut at = None;
    for assignment in body.split(',') {
        match assignment.trim_ascii().split_once('=')? {
            ("timestamp", number) => {
                let (seconds, fraction) = number.split_once('.').unwrap_or((number, ""));
                let mut micros = seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?;
                for (digit, scale) in fraction.bytes().zip([100_000, 10_000, 1_000, 100, 10, 1]) {
                    micros +=
                        i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?) * scale;
                }
                at = Some(Timestamp::from_micros(micros));
            }
            ("insert_id" | "last_insert_id", _) => {}
            _ => return None,
        }
    }
    at
}

/// `root[root] @ localhost [127.0.0.1]  Id: 14`; gives what follows the address.
fn read_user<'a>(text: &'a str, out: &mut Parsed<'a>) -> &'a str {
    let (user, rest) = text.split_once(" @ ").unwrap_or((text, ""));
    let user = user.trim_ascii();
    // A replication thread has no name of its own: `[SQL_SLAVE]`.
    let name = match user.split_once('[') {
        Some((name, _)) if !name.is_empty() => name,
        _ => user,
    };
    push_unique(out, "user", name);
    let (host, rest) = rest.split_once('[').unwrap_or((rest, ""));
    push_unique(out, "client_host", host.trim_ascii());
    let (address, rest) = rest.split_once(']').unwrap_or((rest, ""));
    push_unique(out, "client", address.trim_ascii());
    rest.trim_ascii()
}

/// `Name: value` pairs; a name may have no value.
fn read_values<'a>(comment: &'a str, schema: &mut &'a str, out: &mut Parsed<'a>) -> bool {
    let mut found = false;
    let mut words = comment.split_ascii_whitespace().peekable();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_suffix(':') else {
            push_unique(out, "comment", word);
            continue;
        };
        let Some(value) = words.next_if(|next| !next.ends_with(':')) else {
            continue;
        };
        // A head that was cut may have parts of another behind it: what is there twice is kept twice.
        match name {
            "Query_time" if out.duration_ms.is_none() => {
                out.duration_ms = value
                    .parse::<f64>()
                    .ok()
                    .filter(|seconds| seconds.is_finite())
                    .map(|seconds| milliseconds(seconds, 1_000.0));
                found = true;
            }
            "Schema" if schema.is_empty() => *schema = value,
            "Id" | "Thread_id" => {
                let known =
                    |(name, text): &(Cow<'_, str>, _)| name == "thread_id" && *text == value;
                if !out.metadata.iter().any(known) {
                    push_unique(out, "thread_id", value);
                }
            }
            _ => push_unique(out, name.to_ascii_lowercase(), value),
        }
    }
    found
}

/// MariaDB's `# explain:` lines, a table.
fn explain<'a>(line: &'a str, out: &mut Parsed<'a>) {
    match out.metadata.iter_mut().find(|(name, _)| name == "explain") {
        Some((_, text)) => {
            let text = text.to_mut();
            text.push('\n');
            text.push_str(line);
        }
        None => push_unique(out, "explain", line),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn parse(text: &str) -> Parsed<'_> {
        let mut out = Parsed::default();
        MysqlSlow.parse(text, &ANY_HINT, &mut out).unwrap();
        out
    }

    fn get<'p>(parsed: &'p Parsed<'_>, name: &str) -> Option<&'p str> {
        parsed
            .metadata
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, text)| text.as_ref())
    }

    #[test]
    fn an_event_with_everything() {
        let parsed = parse(
            "# Time: 2019-03-24T14:01:47.811234Z\n# User@Host: root[root] @ localhost [127.0.0.1]  Id:    14\n\
             # Query_time: 2.475469  Lock_time: 0.000287 Rows_sent: 10  Rows_examined: 3145718\nuse employees;\n\
             SET timestamp=1553436105;\nSELECT 1\nFROM t /* request_id:q9 */;",
        );
        assert_eq!(
            parsed.timestamp.unwrap().to_rfc3339(),
            "2019-03-24T14:01:47.811234Z"
        );
        assert_eq!(parsed.message, "SELECT 1\nFROM t /* request_id:q9 */;");
        assert_eq!(parsed.request_id.as_deref(), Some("q9"));
        assert!((parsed.duration_ms.unwrap() - 2475.469).abs() < 1e-6);
        for (name, text) in [
            ("user", "root"),
            ("client_host", "localhost"),
            ("client", "127.0.0.1"),
            ("thread_id", "14"),
            ("lock_time", "0.000287"),
            ("db", "employees"),
        ] {
            assert_eq!(get(&parsed, name), Some(text), "{name}");
        }
    }

    #[test]
    fn odd_events() {
        let parsed = parse(
            "# Time: 071218 11:48:27 # User@Host: [SQL_SLAVE] @  []\n# Thread_id: 10\n# Query_time: 0.000012  Lock_time: 0\nBEGIN;",
        );
        assert_eq!(
            (get(&parsed, "user"), parsed.message.as_ref()),
            (Some("[SQL_SLAVE]"), "BEGIN;")
        );
        assert_eq!(
            parsed.timestamp.unwrap().to_rfc3339(),
            "2007-12-18T11:48:27.000000Z"
        );
        let parsed =
            parse("# User@Host: a[a] @ b []\n# Query_time: 1\nSET timestamp=1415210700;\nuse `x`;");
        assert_eq!(
            (get(&parsed, "db"), parsed.message.as_ref()),
            (Some("x"), "use `x`;")
        );
        let parsed = parse(
            "# User@Host: a[a] @ b []\n# Query_time: 1\nSET timestamp=1415210700;\n# administrator command: Quit;",
        );
        assert_eq!(
            (get(&parsed, "admin"), parsed.message.as_ref()),
            (Some("true"), "administrator command: Quit;")
        );
        let parsed = parse("# User@Host: a[a] @ b []\n# Query_time: 1\nuse db;\nSET NAMES utf8;");
        assert_eq!(
            (get(&parsed, "db"), parsed.message.as_ref()),
            (Some("db"), "SET NAMES utf8;")
        );
        assert!(
            MysqlSlow
                .parse("SELECT 1;", &ANY_HINT, &mut Parsed::default())
                .is_err()
        );
        let user = "# User@Host: a[a] @ b []";
        assert_eq!(MysqlSlow.joins("# Time: 240501  9:00:00", user), Joins::Yes);
        assert_eq!(
            MysqlSlow.joins(&format!("{user}\nselect 1;"), user),
            Joins::No
        );
    }

    #[test]
    fn statements_hold_any_text() {
        let head = "# User@Host: a[a] @ b []\n# Query_time: 1\nSET timestamp=1714557600;\n";
        let time = "# Time: 240501 10:00:00";
        for (statement, line, joins) in [
            ("INSERT INTO t VALUES ('a", time, Joins::Yes),
            ("INSERT INTO t VALUES ('a;", time, Joins::Yes),
            ("INSERT INTO t VALUES ('a\\'", time, Joins::Yes),
            ("INSERT INTO t VALUES ('a''b');", time, Joins::No),
            ("SELECT 1 -- don't\n;", time, Joins::No),
            ("SELECT 1 # don't\n;", time, Joins::No),
            ("SELECT /* don't */ 1;", time, Joins::No),
            ("SELECT /* not closed", time, Joins::Yes),
            ("SELECT `it's`;", time, Joins::No),
            ("SELECT 1", time, Joins::No),
            ("SELECT 1,", "# Time: not a stamp", Joins::Yes),
            ("SELECT 1,", "# User@Host: nobody", Joins::Yes),
            ("BEGIN\nSET a=1;", "SET b=2;", Joins::Yes),
            (
                "SELECT 1;",
                "2024-05-01T10:00:00.123456Z 7 [Note] [MY-1] [Server] x",
                Joins::Unsaid,
            ),
        ] {
            assert_eq!(
                MysqlSlow.joins(&format!("{head}{statement}"), line),
                joins,
                "{statement} {line}"
            );
        }
        assert_eq!(
            MysqlSlow.opens("# Time: 240501  9:00:00"),
            Opens::Unfinished
        );
        assert_eq!(MysqlSlow.opens("# Time: flies"), Opens::No);
        assert_eq!(MysqlSlow.opens("# User@Host: x"), Opens::No);
    }

    #[test]
    fn lines_of_percona_are_kept() {
        let parsed = parse(
            "# Time: 240501  9:00:00\n# User@Host: a[a] @ b []  Id: 7\n# Schema: shop  Last_errno: 0  Killed: 0\n\
             # Query_time: 0.5  Lock_time: 0.1\n# No InnoDB statistics available for this query\nSELECT 1;",
        );
        assert_eq!(
            get(&parsed, "comment"),
            Some("No InnoDB statistics available for this query")
        );
        assert_eq!(
            (get(&parsed, "db"), get(&parsed, "killed")),
            (Some("shop"), Some("0"))
        );
        assert_eq!(
            parsed.timestamp.unwrap().to_rfc3339(),
            "2024-05-01T09:00:00.000000Z"
        );
    }
}
