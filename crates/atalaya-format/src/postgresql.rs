//! PostgreSQL's log on stderr, with whatever `log_line_prefix` the server has: the prefix is
//! deduced from the line. Also the form in which Heroku's logplex delivers it.
//!
//! `DETAIL`, `HINT`, `CONTEXT`, `STATEMENT` and the like join the record before them, as metadata
//! under the names that PostgreSQL's own jsonlog has (`detail`, `hint`, …); the same names stand
//! for the parts of the prefix (`user`, `dbname`, `remote_host`, …), so all three of PostgreSQL's
//! formats read alike. A logged statement is the message, its `duration: … ms` the duration.
//!
//! Many programs write `ERROR: text`. PostgreSQL puts two blanks behind the colon, and before it a
//! stamp with its zone, the process or the user; or nothing at all.
//!
//! Source: <https://www.postgresql.org/docs/current/runtime-config-logging.html>.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::app_line::ANY_HINT;
use super::fields::push_unique;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, Signs, TimeHint,
    split, time,
};
use atalaya_domain::record::{Layer, Level};

mod message;
mod prefix;
mod words;

use message::{strip_state, trim_end};
use prefix::read_prefix;
use words::{Meaning, meaning};

pub use message::{read_message, request_in_comment};
pub use prefix::stamp;

/// `postgresql`.
#[derive(Clone, Copy, Debug)]
pub struct Postgresql;

/// How far into a line the severity is looked for: prefixes are shorter.
const PREFIX_BYTES: usize = 500;

impl Format for Postgresql {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "postgresql",
            source: "postgresql",
            layer: Layer::Infrastructure,
            begins: Begins::ANY,
            lines: Lines::Stamped,
            traces: false,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b":")
    }

    fn opens(&self, line: &str) -> Opens {
        if line.starts_with(['\t', ' ']) {
            return Opens::No;
        }
        if let Some(plex) = logplex(line) {
            return if plex.part == 1 {
                Opens::Parsed
            } else {
                Opens::No
            };
        }
        if head(line).is_some() {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    /// `DETAIL:` and the like have the prefix of a record and are none, unless it is missing.
    fn joins(&self, pending: &str, line: &str) -> Joins {
        if line.starts_with('\t') || logplex(line).is_some_and(|plex| plex.part > 1) {
            return Joins::Yes;
        }
        if !begins_part(line) {
            return Joins::Unsaid;
        }
        // The record that it belongs to is missing where the one before is another session's.
        let first = pending.split('\n').next().unwrap_or("");
        if is_of_session(line, first) {
            Joins::Yes
        } else {
            Joins::No
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
    let (first, more) =
        split::once(text, b'\n').map_or((text, None), |(first, more)| (first, Some(more)));
    let (Some(begin), _) = head_of(first) else {
        return Err("no severity such as `LOG:`");
    };
    if let Some(plex) = logplex(first) {
        let cut = time::iso(plex.stamp, hint).ok_or("no time")?;
        out.set_time(cut.instant);
        out.zoned = true;
        out.put("pid", plex.pid);
        out.put("color", plex.color);
        read_prefix(begin.prefix, hint, out);
    } else {
        check(&begin, hint, out)?;
    }
    let mut current = Cow::Borrowed(begin.rest);
    let mut meaning = begin.meaning;
    let mut parts: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
    let mut message = None;
    let mut keep = |meaning: Meaning, text: Cow<'a, str>| match meaning {
        Meaning::Severity(_) => message = Some(text),
        Meaning::Part(name) => parts.push((name, text)),
    };
    for line in more.into_iter().flat_map(|more| more.split('\n')) {
        let (next, body) = head_of(line);
        if let Some(Head {
            meaning: Meaning::Part(name),
            rest,
            ..
        }) = next
        {
            keep(
                meaning,
                std::mem::replace(&mut current, Cow::Borrowed(rest)),
            );
            meaning = Meaning::Part(name);
        } else {
            let current = current.to_mut();
            current.push('\n');
            current.push_str(body.strip_prefix('\t').unwrap_or(body));
        }
    }
    keep(meaning, current);
    match (message, begin.meaning) {
        (Some(text), Meaning::Severity(level)) => {
            read_message(strip_state(text, out), out);
            out.level = level;
        }
        // The line that it belongs to is missing.
        _ if !parts.is_empty() => out.message = trim_end(parts.remove(0).1),
        _ => {}
    }
    if begin.word != out.level.name() {
        push_unique(out, "severity", begin.word);
    }
    for (name, text) in parts {
        if name == "statement" && out.request_id.is_none() {
            out.request_id = request_in_comment(&text).map(|id| Cow::Owned(id.to_owned()));
        }
        push_unique(out, name, trim_end(text));
    }
    Ok(())
}

/// Reads the prefix, and refuses what other programs write.
fn check<'a>(begin: &Head<'a>, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const OTHERS: &str = "neither two blanks behind the severity nor a prefix of PostgreSQL's";
    let is_part = matches!(begin.meaning, Meaning::Part(_));
    if begin.prefix.trim_ascii().is_empty() {
        // More blanks than two are the columns of another program.
        let own = begin.blanks == 2 && !begin.rest.starts_with(' ') && !is_part && begin.english;
        return if own { Ok(()) } else { Err(OTHERS) };
    }
    let prefix = read_prefix(begin.prefix, hint, out);
    if prefix.stamped && !prefix.has_zone && !(prefix.zone_unknown && prefix.process) {
        return Err("a time without the zone that PostgreSQL writes");
    }
    let named = match begin.blanks {
        2 => prefix.stamped || (prefix.identified && prefix.all_known && !is_part),
        _ => prefix.stamped && (prefix.process || prefix.user),
    };
    if named { Ok(()) } else { Err(OTHERS) }
}

/// A line cut at its severity.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Head<'a> {
    prefix: &'a str,
    word: &'a str,
    meaning: Meaning,
    /// Not one of the words of PostgreSQL's translations.
    english: bool,
    /// Between the colon and the text, up to two.
    blanks: usize,
    rest: &'a str,
}

/// [`head`] of any line of a record, and the line without what logplex put around it.
fn head_of(line: &str) -> (Option<Head<'_>>, &str) {
    let body = logplex(line).map_or(line, |plex| plex.body);
    let is_text = body.starts_with(['\t', ' ']) && body.len() == line.len();
    (if is_text { None } else { head(body) }, body)
}

/// Finds the first severity word with its colon and two blanks; without such a one, with one blank.
fn head(line: &str) -> Option<Head<'_>> {
    let bytes = line.as_bytes();
    let near = bytes.get(..PREFIX_BYTES.min(bytes.len()))?;
    let of_word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || !byte.is_ascii();
    let mut other = None;
    for colon in memchr::memchr_iter(b':', near) {
        // Those of a time are told off first.
        if bytes.get(colon + 1).is_some_and(|next| *next != b' ') {
            continue;
        }
        let length = near
            .get(..colon)?
            .iter()
            .rev()
            .take_while(|byte| of_word(**byte))
            .count();
        let start = colon - length;
        if !(3..=24).contains(&length) {
            continue;
        }
        let before = start.checked_sub(1).and_then(|before| near.get(before));
        if !before.is_none_or(|byte| {
            matches!(byte, b' ' | b':' | b']' | b'-' | b',' | b')' | b'>' | b'|')
        }) {
            continue;
        }
        let (Some(word), Some(prefix), Some(rest)) = (
            line.get(start..colon),
            line.get(..start),
            line.get(colon + 1..),
        ) else {
            continue;
        };
        let Some((meaning, english)) = meaning(word) else {
            continue;
        };
        let blanks = rest
            .bytes()
            .take(2)
            .take_while(|byte| *byte == b' ')
            .count();
        if blanks == 0 && !rest.is_empty() {
            continue;
        }
        let found = Head {
            prefix,
            word,
            meaning,
            english,
            blanks,
            rest: rest.get(blanks..).unwrap_or(""),
        };
        if blanks == 2 {
            return Some(found);
        }
        other = other.or(Some(found));
    }
    other
}

/// Whether a line begins a further part of a message: `… DETAIL:  text`.
pub fn begins_part(line: &str) -> bool {
    head(line).is_some_and(|head| {
        matches!(head.meaning, Meaning::Part(_)) && (head.blanks == 2 || !head.prefix.is_empty())
    })
}

/// Whether the prefix of a further part says nothing of its session that the record's does not.
fn is_of_session(part: &str, first: &str) -> bool {
    const SESSION: [&str; 6] = [
        "pid",
        "user",
        "dbname",
        "application_name",
        "remote_host",
        "remote_port",
    ];
    let prefix_of = |line| head_of(line).0.map_or("", |head| head.prefix);
    let (prefix, own) = (prefix_of(part), prefix_of(first));
    if prefix.is_empty() || prefix == own {
        return true;
    }
    let (mut of_part, mut of_first) = (Parsed::default(), Parsed::default());
    read_prefix(prefix, &ANY_HINT, &mut of_part);
    read_prefix(own, &ANY_HINT, &mut of_first);
    let session = |parsed: &Parsed<'_>| parsed.session_id.is_some();
    (!session(&of_part) || of_part.session_id == of_first.session_id)
        && of_part
            .metadata
            .iter()
            .filter(|(name, _)| SESSION.contains(&name.as_ref()))
            .all(|fact| of_first.metadata.contains(fact))
}

/// PostgreSQL's severities as levels; INFO for a word that is none.
pub fn level_of(severity: &str) -> Level {
    match meaning(severity) {
        Some((Meaning::Severity(level), _)) => level,
        _ => Level::Info,
    }
}

/// Whether a word is one of PostgreSQL's severities, in English.
pub fn is_severity(word: &str) -> bool {
    matches!(meaning(word), Some((Meaning::Severity(_), true)))
}

/// `2019-03-14T00:22:56+00:00 app[postgres.4882]: [GREEN] [15-1]  …`.
#[derive(Clone, Copy, Debug)]
struct Logplex<'a> {
    stamp: &'a str,
    pid: &'a str,
    color: &'a str,
    part: u32,
    body: &'a str,
}

/// Built once: the search costs less than its preparation.
static PLEX: LazyLock<memchr::memmem::Finder<'static>> =
    LazyLock::new(|| memchr::memmem::Finder::new(b"app[postgres."));

fn logplex(line: &str) -> Option<Logplex<'_>> {
    if line.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let near = line.as_bytes().get(..PREFIX_BYTES.min(line.len()))?;
    let at = PLEX.find(near)?;
    let (pid, rest) = line.get(at + "app[postgres.".len()..)?.split_once(']')?;
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim_ascii_start();
    let (color, rest) = rest.strip_prefix('[')?.split_once("] [")?;
    let (number, body) = rest.split_once("] ")?;
    let (_, part) = number.split_once('-')?;
    Some(Logplex {
        stamp: line.split(' ').next()?,
        pid,
        color,
        part: part.parse().ok()?,
        body,
    })
}

#[cfg(test)]
mod tests;
