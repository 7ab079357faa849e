//! Does a record match; can anything in a chunk match; does all of it.

use regex::Regex;

use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::record::{Entry, HOST_FIELD, Layer, Level, LevelCounts, Origin, RequestId};
use atalaya_domain::time::TimeRange;

use super::ast::{Expr, Field, Presence, Term};
use super::text::Glob;

pub(super) fn matches(expr: &Expr, origin: &Origin, entry: &Entry) -> bool {
    match expr {
        Expr::And(children) => {
            // What costs a comparison first, what reads text last.
            children
                .iter()
                .filter(|child| !child.reads_text())
                .all(|child| matches(child, origin, entry))
                && children
                    .iter()
                    .filter(|child| child.reads_text())
                    .all(|child| matches(child, origin, entry))
        }
        Expr::Or(children) => children.iter().any(|child| matches(child, origin, entry)),
        Expr::Not(inner) => !matches(inner, origin, entry),
        Expr::Term(term) => term_matches(term, origin, entry),
    }
}

impl Expr {
    fn reads_text(&self) -> bool {
        match self {
            Self::Term(Term::Field { field, .. }) => field.is_prose(),
            Self::Term(Term::Text(_) | Term::Regex(_)) | Self::And(_) | Self::Or(_) => true,
            Self::Term(_) => false,
            Self::Not(inner) => inner.reads_text(),
        }
    }
}

fn term_matches(term: &Term, origin: &Origin, entry: &Entry) -> bool {
    match term {
        Term::Text(needle) => any_text(entry, |text| needle.is_in(text)),
        Term::Regex(term) => regex_matches(&term.regex, entry),
        Term::Level(levels) => levels.contains(entry.level),
        Term::Layer(layers) => layers.contains(&origin.layer),
        Term::RequestId { any_of, .. } => {
            one_of(any_of, entry.request_id.as_ref().map(RequestId::as_str))
        }
        Term::Field {
            field: Field::Meta(name),
            any_of,
        } => metadata(entry, name).any(|value| any_of.iter().any(|glob| glob.matches(value))),
        Term::Field { field, any_of } => one_of(any_of, value_of(field, origin, entry)),
        Term::Duration {
            compare, millis, ..
        } => entry
            .duration_ms
            .is_some_and(|duration| compare.holds(&duration, millis)),
        Term::MetaNumber {
            name,
            compare,
            number,
            ..
        } => metadata(entry, name)
            .filter_map(|value| value.trim().parse::<f64>().ok())
            .any(|value| compare.holds(&value, number)),
        Term::Id(ids) => ids
            .iter()
            .any(|id| id.origin == origin.id && id.position == entry.position),
        Term::Has(any_of) => any_of.iter().any(|presence| has(presence, entry)),
        Term::Time(term) => term.range.contains(entry.timestamp),
    }
}

/// The record's own texts, in the order in which a hit is likely. What it shares with its whole
/// file (source, host, layer) is asked for by name only.
fn any_text(entry: &Entry, mut found: impl FnMut(&str) -> bool) -> bool {
    found(&entry.message)
        || entry.logger.as_deref().is_some_and(&mut found)
        || entry
            .request_id
            .as_ref()
            .is_some_and(|id| found(id.as_str()))
        || entry.user_id.as_deref().is_some_and(&mut found)
        || entry.session_id.as_deref().is_some_and(&mut found)
        || entry.metadata.iter().any(|(_, value)| found(value))
        || entry.traceback.as_deref().is_some_and(&mut found)
}

fn regex_matches(regex: &Regex, entry: &Entry) -> bool {
    any_text(entry, |text| regex.is_match(text))
}

fn one_of(any_of: &[Glob], value: Option<&str>) -> bool {
    value.is_some_and(|value| any_of.iter().any(|glob| glob.matches(value)))
}

pub(super) fn value_of<'a>(field: &Field, origin: &'a Origin, entry: &'a Entry) -> Option<&'a str> {
    match field {
        Field::Source => Some(&origin.source),
        Field::Host => Some(entry.metadata(HOST_FIELD).unwrap_or(&origin.host)),
        Field::Logger => entry.logger.as_deref(),
        Field::User => entry.user_id.as_deref(),
        Field::Session => entry.session_id.as_deref(),
        Field::Message => Some(&entry.message),
        Field::Traceback => entry.traceback.as_deref(),
        Field::Meta(name) => first_metadata(entry, name),
    }
}

/// Values under a name, whose case does not matter.
pub(super) fn metadata<'a>(entry: &'a Entry, name: &'a str) -> impl Iterator<Item = &'a str> {
    entry
        .metadata
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| &**value)
}

fn has(presence: &Presence, entry: &Entry) -> bool {
    match presence {
        Presence::Logger => entry.logger.is_some(),
        Presence::RequestId => entry.request_id.is_some(),
        Presence::User => entry.user_id.is_some(),
        Presence::Session => entry.session_id.is_some(),
        Presence::Duration => entry.duration_ms.is_some(),
        Presence::Traceback => entry.traceback.is_some(),
        Presence::AnyMetadata => !entry.metadata.is_empty(),
        Presence::Meta(name) => metadata(entry, name).next().is_some(),
    }
}

/// The first of these values, as [`metadata`] finds them.
fn first_metadata<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry
        .metadata
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| &**value)
}

/// How much of a group of records matches, as far as can be told without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    None,
    Some,
    All,
}

impl Share {
    fn of(any: bool, all: bool) -> Self {
        match (any, all) {
            (false, _) => Self::None,
            (true, true) => Self::All,
            (true, false) => Self::Some,
        }
    }
}

/// What is known of a group of records.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'a> {
    pub levels: Option<&'a LevelCounts>,
    pub layer: Option<Layer>,
    pub origin: Option<&'a Origin>,
    pub range: Option<TimeRange>,
    /// Bounds in time that every match must fulfil are the caller's to check.
    pub time_is_checked: bool,
}

impl<'a> Known<'a> {
    pub fn of(chunk: &'a ChunkSummary) -> Self {
        Self {
            levels: Some(&chunk.levels),
            layer: Some(chunk.origin.layer),
            origin: Some(&chunk.origin),
            range: Some(chunk.range()),
            time_is_checked: false,
        }
    }
}

pub(super) fn share(expr: &Expr, known: &Known<'_>) -> Share {
    let inner = Known {
        time_is_checked: false,
        ..*known
    };
    match expr {
        Expr::And(children) => {
            let mut all = true;
            for child in children {
                match share(child, known) {
                    Share::None => return Share::None,
                    Share::Some => all = false,
                    Share::All => {}
                }
            }
            Share::of(true, all)
        }
        Expr::Or(children) => {
            let mut any = false;
            for child in children {
                match share(child, &inner) {
                    Share::All => return Share::All,
                    Share::Some => any = true,
                    Share::None => {}
                }
            }
            Share::of(any, false)
        }
        Expr::Not(child) => match share(child, &inner) {
            Share::None => Share::All,
            Share::Some => Share::Some,
            Share::All => Share::None,
        },
        Expr::Term(term) => term_share(term, known),
    }
}

fn term_share(term: &Term, known: &Known<'_>) -> Share {
    match term {
        Term::Level(levels) => known.levels.map_or(Share::Some, |counts| {
            let present = || Level::ALL.into_iter().filter(|level| counts.of(*level) > 0);
            Share::of(
                present().any(|level| levels.contains(level)),
                present().all(|level| levels.contains(level)),
            )
        }),
        Term::Layer(layers) => known.layer.map_or(Share::Some, |layer| {
            let within = layers.contains(&layer);
            Share::of(within, within)
        }),
        Term::Field {
            field: Field::Source,
            any_of,
        } => known.origin.map_or(Share::Some, |origin| {
            let within = one_of(any_of, Some(&origin.source));
            Share::of(within, within)
        }),
        Term::Id(ids) => {
            let possible = known
                .origin
                .is_none_or(|origin| ids.iter().any(|id| id.origin == origin.id));
            Share::of(possible, false)
        }
        Term::Time(_) if known.time_is_checked => Share::All,
        Term::Time(term) => known.range.map_or(Share::Some, |range| {
            let common = range.intersect(&term.range);
            Share::of(!common.is_empty(), common == range)
        }),
        _ => Share::Some,
    }
}

/// The span outside of which nothing matches.
pub(super) fn range(expr: &Expr) -> TimeRange {
    match expr {
        Expr::And(children) => children
            .iter()
            .map(range)
            .fold(TimeRange::ALL, |common, child| common.intersect(&child)),
        Expr::Or(children) => children
            .iter()
            .map(range)
            .filter(|range| !range.is_empty())
            .reduce(|hull, child| {
                TimeRange::new(hull.from.min(child.from), hull.until.max(child.until))
            })
            .unwrap_or(TimeRange::new(TimeRange::ALL.from, TimeRange::ALL.from)),
        Expr::Term(Term::Time(term)) => term.range,
        Expr::Not(_) | Expr::Term(_) => TimeRange::ALL,
    }
}

/// Lower-cased texts that every match contains; of each term the longest.
pub(super) fn literals(expr: &Expr) -> Vec<String> {
    let mut out = Vec::new();
    for child in expr.conjuncts() {
        let Expr::Term(term) = child else { continue };
        let longest = match term {
            Term::Text(needle) => needle.literal().map(str::to_owned),
            Term::Regex(term) => term.literals.iter().max_by_key(|text| text.len()).cloned(),
            // The host may be the origin's, and the source is: neither need be in the record.
            Term::Field {
                field: Field::Source | Field::Host,
                ..
            } => None,
            Term::RequestId { any_of, .. } | Term::Field { any_of, .. } => only(any_of),
            _ => None,
        };
        out.extend(longest.filter(|text| !text.is_empty()));
    }
    out
}

fn only(any_of: &[Glob]) -> Option<String> {
    match any_of {
        [glob] => glob.literals().max_by_key(String::len),
        _ => None,
    }
}
