//! A query as text. What is printed here parses back to the same query; that is what saved
//! queries, the command palette and the API rely on.

use std::fmt::{self, Display, Formatter};

use super::ast::{Expr, Field, LevelSet, Presence, Term};
use super::text::Glob;
use atalaya_domain::record::{Layer, Level};

/// `everything` prints as nothing at the top, and as `*` inside of another expression.
pub(super) fn print(expr: &Expr, formatter: &mut Formatter<'_>) -> fmt::Result {
    match expr {
        Expr::And(children) if children.is_empty() => Ok(()),
        other => inner(other, formatter),
    }
}

fn inner(expr: &Expr, formatter: &mut Formatter<'_>) -> fmt::Result {
    match expr {
        Expr::And(children) if children.is_empty() => formatter.write_str("*"),
        Expr::And(children) => joined(children, " ", formatter, |child| {
            matches!(child, Expr::Or(_))
        }),
        Expr::Or(children) => joined(children, " or ", formatter, |_| false),
        Expr::Not(child) => {
            formatter.write_str("-")?;
            let group = match &**child {
                Expr::And(children) => !children.is_empty(),
                Expr::Or(_) => true,
                _ => false,
            };
            grouped(child, group, formatter)
        }
        Expr::Term(term) => print_term(term, formatter),
    }
}

fn joined(
    children: &[Expr],
    separator: &str,
    formatter: &mut Formatter<'_>,
    group: impl Fn(&Expr) -> bool,
) -> fmt::Result {
    for (index, child) in children.iter().enumerate() {
        if index > 0 {
            formatter.write_str(separator)?;
        }
        grouped(child, group(child), formatter)?;
    }
    Ok(())
}

fn grouped(expr: &Expr, group: bool, formatter: &mut Formatter<'_>) -> fmt::Result {
    if !group {
        return inner(expr, formatter);
    }
    formatter.write_str("(")?;
    inner(expr, formatter)?;
    formatter.write_str(")")
}

pub(super) fn print_term(term: &Term, formatter: &mut Formatter<'_>) -> fmt::Result {
    match term {
        Term::Text(needle) => formatter.write_str(&word(needle.text())),
        Term::Regex(term) => {
            write!(
                formatter,
                "/{}/{}",
                term.source,
                if term.ignore_case { "i" } else { "" }
            )
        }
        Term::Level(levels) => print_levels(*levels, formatter),
        Term::Layer(layers) => list(formatter, "layer:", layers, |layer| {
            match layer {
                Layer::Application => "app",
                Layer::Infrastructure => "infra",
            }
            .to_owned()
        }),
        Term::RequestId { any_of, .. } => list(formatter, "request_id:", any_of, glob),
        Term::Field { field, any_of } => {
            list(formatter, &format!("{}:", field_name(field)), any_of, glob)
        }
        Term::Duration { compare, text, .. } => {
            write!(formatter, "duration{}{text}", compare.sign())
        }
        Term::MetaNumber {
            name,
            compare,
            text,
            ..
        } => {
            write!(formatter, "{}{}{text}", metadata_name(name), compare.sign())
        }
        Term::Id(ids) => list(formatter, "id:", ids, ToString::to_string),
        Term::Has(any_of) => list(formatter, "has:", any_of, |presence| match presence {
            Presence::Logger => "logger".to_owned(),
            Presence::RequestId => "request_id".to_owned(),
            Presence::User => "user".to_owned(),
            Presence::Session => "session".to_owned(),
            Presence::Duration => "duration".to_owned(),
            Presence::Traceback => "traceback".to_owned(),
            Presence::AnyMetadata => "meta".to_owned(),
            Presence::Meta(name) => metadata_name(name),
        }),
        Term::Time(term) => write!(formatter, "{}:{}", term.bound.name(), value(&term.text)),
    }
}

fn list<T>(
    formatter: &mut Formatter<'_>,
    name: &str,
    values: &[T],
    text: impl Fn(&T) -> String,
) -> fmt::Result {
    formatter.write_str(name)?;
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            formatter.write_str(",")?;
        }
        formatter.write_str(&text(value))?;
    }
    Ok(())
}

/// `level>=x` where the set is everything from a level up, `level<x` where it is empty or
/// everything below one, else the list.
fn print_levels(levels: LevelSet, formatter: &mut Formatter<'_>) -> fmt::Result {
    let lower = |level: Level| level.name().to_ascii_lowercase();
    let chosen: Vec<Level> = levels.levels().collect();
    match chosen.as_slice() {
        [] => formatter.write_str("level<debug"),
        [only] => write!(formatter, "level:{}", lower(*only)),
        [first, ..] if chosen.len() == Level::ALL.len() - first.index() => {
            write!(formatter, "level>={}", lower(*first))
        }
        [.., last] if chosen.len() == last.index() + 1 => {
            write!(formatter, "level<={}", lower(*last))
        }
        _ => list(formatter, "level:", &chosen, |level| lower(*level)),
    }
}

fn field_name(field: &Field) -> String {
    match field {
        Field::Source => "source".to_owned(),
        Field::Host => "host".to_owned(),
        Field::Logger => "logger".to_owned(),
        Field::User => "user".to_owned(),
        Field::Session => "session".to_owned(),
        Field::Message => "message".to_owned(),
        Field::Traceback => "traceback".to_owned(),
        Field::Meta(name) => metadata_name(name),
    }
}

/// Characters of a metadata name that need no quotes.
pub(super) fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-' | '@' | '/')
}

fn metadata_name(name: &str) -> String {
    if !name.is_empty() && name.chars().all(is_name) {
        format!("meta.{name}")
    } else {
        format!("meta.{}", quoted(name))
    }
}

fn glob(glob: &Glob) -> String {
    let pieces: Vec<String> = glob
        .pieces()
        .iter()
        .map(|piece| {
            if piece.is_empty() {
                String::new()
            } else {
                value(piece)
            }
        })
        .collect();
    let text = pieces.join("*");
    if text.is_empty() {
        "\"\"".to_owned()
    } else {
        text
    }
}

/// A value behind a field's operator.
pub(super) fn value(text: &str) -> String {
    let plain = |character: char| {
        !character.is_whitespace()
            && !character.is_control()
            && !matches!(character, ',' | '"' | '(' | ')' | '*')
    };
    // Behind `:` these would be taken for an operator.
    let bare = !text.is_empty() && text.chars().all(plain) && !text.starts_with(['<', '>', '=']);
    if bare { text.to_owned() } else { quoted(text) }
}

/// A bare word, or a phrase where the word would be read as something else.
fn word(text: &str) -> String {
    let first = |character: char| character.is_alphanumeric() || character == '_';
    let plain = |character: char| {
        first(character)
            || matches!(
                character,
                '.' | '-' | '/' | '@' | '#' | '%' | '+' | ',' | '\''
            )
    };
    let keyword = ["or", "and", "not"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(text));
    if text.starts_with(first) && text.chars().all(plain) && !keyword {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// `field:value` for a literal value, quoted where it must be: what "filter by this field" types.
pub fn term_text(field: &str, literal: &str) -> String {
    match field.strip_prefix("meta.") {
        Some(name) => format!("{}:{}", metadata_name(name), value(literal)),
        None => format!("{field}:{}", value(literal)),
    }
}

/// Displays one term by itself.
pub(super) struct Printed<'a>(pub &'a Expr);

impl Display for Printed<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        print(self.0, formatter)
    }
}
