//! The one query language of the console, the command line and the API: parse and check (pure),
//! match a record, prune by a chunk's summary, and print back.
//!
//! ```text
//! level>=warning source:nginx/*,syslog request_id:req-42 duration>1s meta.status:502
//! "exact phrase" /regex/i -noise since:15m until:12:30 (timeout or refused)
//! ```
//!
//! - Terms are joined by AND; `or`, `not`, `-term` and parentheses work.
//! - A word or a phrase is found without case anywhere in a record's own texts: message, logger,
//!   request, user and session id, traceback and metadata values. Quotes only keep spaces and
//!   signs together. `*` is a wildcard in field values and an asterisk in words.
//! - A regular expression sees the same texts, one at a time, with case unless `/i`.
//! - Field values are compared whole and without case (`*` is a wildcard), except that ids
//!   (`request_id`, `user`, `session`) keep their case, and `message:` and `traceback:` look inside.
//!   Several values with commas are any of them. A record without the field does not match, so
//!   `-user:42` finds those without a user too.
//! - `meta.NAME>500` compares as numbers; values that are no numbers do not match.
//! - Times are described in `query/time.rs`, the grammar in `query/parse.rs`.

mod aggregate;
mod ast;
mod complete;
mod eval;
mod explain;
mod fields;
mod parse;
mod print;
pub mod suggest;
mod text;
mod time;

use std::fmt;

use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::record::{Entry, Layer, Level, LevelCounts, Origin, Record, RequestId, Whose};
use atalaya_domain::time::{TimeRange, Timestamp};

pub use aggregate::{Aggregate, GroupField, MOST_FIELDS, Number, Statistic};
pub use complete::{Suggestion, complete};
pub use explain::Explanation;
pub use fields::{FIELDS, FieldHelp};
pub use parse::{MAX_DEPTH, MAX_LENGTH, MAX_TERMS};
pub use print::term_text;

use ast::{Expr, Field, Term};
use eval::{Known, Share};
use text::Glob;

/// Against what a relative time is read: `since:15m`, `until:12:30`.
#[derive(Clone, Copy, Debug)]
pub struct QueryClock {
    pub now: Timestamp,
    pub zone: Zone,
}

/// The zone in which clock times without a zone are read and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    Utc,
    Local,
}

/// Why a query text was refused: where (byte offset and length in the text), what was found and
/// what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {}; expected {expected}", offset + 1)]
pub struct QueryError {
    pub offset: usize,
    pub length: usize,
    pub message: String,
    pub expected: String,
}

impl QueryError {
    /// The query with the place marked below it, then what was expected; several lines, without a
    /// final line break. Control characters of the text are replaced, so that columns agree.
    pub fn render(&self, text: &str) -> String {
        use unicode_width::UnicodeWidthStr;

        /// Long queries are cut around the place.
        const AROUND: usize = 60;
        let clean: String = text
            .chars()
            .map(|character| {
                if character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .collect();
        let boundary = |at: usize| {
            (0..=at.min(text.len()))
                .rev()
                .find(|&at| text.is_char_boundary(at))
                .unwrap_or(0)
        };
        let columns_to = |at: usize| text[..boundary(at)].chars().count();
        let (from, to) = (
            columns_to(self.offset),
            columns_to(self.offset.saturating_add(self.length)),
        );
        let skip = from.saturating_sub(AROUND);
        let part = |from: usize, to: usize| -> String {
            clean
                .chars()
                .skip(from)
                .take(to.saturating_sub(from))
                .collect()
        };
        let cut = if skip > 0 { "…" } else { "" };
        let line = format!("{cut}{}", part(skip, from + AROUND));
        let indent = format!("{cut}{}", part(skip, from)).width();
        let marks = part(from, to.min(from + AROUND)).width().max(1);
        format!(
            "{}\n  {line}\n  {}{}\nexpected {}",
            self.message,
            " ".repeat(indent),
            "^".repeat(marks),
            self.expected
        )
    }
}

/// A checked query. Its text form parses back to the same query.
///
/// Equality is that of the texts' meaning: a relative time equals itself whenever it was parsed.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Query {
    expr: Expr,
}

impl Query {
    /// Matches every record.
    pub fn everything() -> Self {
        Self::default()
    }

    pub fn parse(text: &str, clock: &QueryClock) -> Result<Self, QueryError> {
        parse::parse(text, clock).map(|expr| Self { expr })
    }

    /// Both must match.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            expr: Expr::all_of(vec![self.expr.clone(), other.expr.clone()]),
        }
    }

    pub fn matches(&self, record: &Record) -> bool {
        self.matches_entry(&record.origin, &record.entry)
    }

    /// The same for an entry that is not joined with its origin yet.
    pub fn matches_entry(&self, origin: &Origin, entry: &Entry) -> bool {
        eval::matches(&self.expr, origin, entry)
    }

    /// False only when no record of the chunk can match: the chunk is then not read.
    pub fn may_match(&self, chunk: &ChunkSummary) -> bool {
        eval::share(&self.expr, &Known::of(chunk)) != Share::None
    }

    /// The levels of which every record of the chunk matches, when it depends on nothing else
    /// (indexed by [`Level::index`]): counts by level may then be taken from the summary. `None`
    /// when records must be read. Time bounds are the caller's to check.
    pub fn matching_levels(&self, chunk: &ChunkSummary) -> Option<[bool; 5]> {
        let mut matching = [false; 5];
        for level in Level::ALL
            .into_iter()
            .filter(|level| chunk.levels.of(*level) > 0)
        {
            let mut only = LevelCounts::default();
            only.add(level);
            let known = Known {
                time_is_checked: true,
                levels: Some(&only),
                ..Known::of(chunk)
            };
            match eval::share(&self.expr, &known) {
                Share::None => {}
                Share::All => matching[level.index()] = true,
                Share::Some => return None,
            }
        }
        Some(matching)
    }

    /// The span outside of which nothing can match, from `since:`, `until:` and `at:`.
    pub fn range(&self) -> TimeRange {
        eval::range(&self.expr)
    }

    /// Layers in which something can match.
    pub fn layers(&self) -> Vec<Layer> {
        let possible = |layer: &Layer| {
            eval::share(
                &self.expr,
                &Known {
                    layer: Some(*layer),
                    ..Known::default()
                },
            ) != Share::None
        };
        Layer::ALL.into_iter().filter(possible).collect()
    }

    /// Levels of which something can match (indexed by [`Level::index`]).
    pub fn levels(&self) -> [bool; 5] {
        Level::ALL.map(|level| {
            let mut only = LevelCounts::default();
            only.add(level);
            eval::share(
                &self.expr,
                &Known {
                    levels: Some(&only),
                    ..Known::default()
                },
            ) != Share::None
        })
    }

    /// The request id that every match must carry, when the query asks for exactly one: the
    /// engine then reads the request index instead of scanning.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.expr.conjuncts().iter().find_map(|child| match child {
            Expr::Term(Term::RequestId { only, .. }) => only.as_ref(),
            _ => None,
        })
    }

    /// The user or the session that every match is of, when the query asks for exactly one: a store
    /// may have an index of these too.
    pub fn whose(&self) -> Option<Whose<'_>> {
        self.expr.conjuncts().iter().find_map(|child| match child {
            Expr::Term(Term::Field { field, any_of }) => whose(field, any_of),
            _ => None,
        })
    }

    /// Texts that every match contains in one of its own fields (message, logger, ids, traceback,
    /// metadata values), as stored and with ASCII letters lower-cased. A chunk whose records do
    /// not hold all of them (compared with ASCII letters lower-cased) cannot match. May be empty.
    pub fn required_literals(&self) -> Vec<String> {
        eval::literals(&self.expr)
    }

    /// What of the query is answered by index, by summary, and by reading.
    pub fn explain(&self) -> Explanation {
        Explanation::of(&self.expr)
    }

    /// Words and phrases that must occur, to be highlighted in what is shown.
    pub fn highlights(&self) -> Vec<String> {
        fn collect(expr: &Expr, out: &mut Vec<String>) {
            match expr {
                Expr::And(children) | Expr::Or(children) => {
                    for child in children {
                        collect(child, out);
                    }
                }
                Expr::Term(Term::Text(needle)) => out.push(needle.text().to_owned()),
                Expr::Not(_) | Expr::Term(_) => {}
            }
        }
        let mut out = Vec::new();
        collect(&self.expr, &mut out);
        out
    }
}

/// One user or one session, without a wildcard.
fn whose<'t>(field: &Field, any_of: &'t [Glob]) -> Option<Whose<'t>> {
    let [glob] = any_of else { return None };
    match field {
        Field::User => glob.plain().map(Whose::User),
        Field::Session => glob.plain().map(Whose::Session),
        _ => None,
    }
}

impl fmt::Display for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::print(&self.expr, formatter)
    }
}

#[cfg(test)]
mod tests;
