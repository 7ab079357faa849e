//! What stands behind a name, once its values are read: each field takes its own kind of value.

use std::ops::Range;

use atalaya_domain::record::{Layer, Level, RecordId, RequestId};

use crate::ast::{Compare, Field, LevelSet, Presence, Term, TimeTerm};
use crate::fields::{self, Target};
use crate::text::{Glob, GlobMode};
use crate::{QueryClock, QueryError, time};

use super::error;

/// A value behind an operator: literal pieces with `*` between them.
pub(super) struct FieldValue {
    pub pieces: Vec<String>,
    pub at: Range<usize>,
}

impl FieldValue {
    /// The value of a field that takes no wildcards.
    fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// A field as it was written, before its values are looked at.
pub(super) struct FieldTerm<'a> {
    pub name: &'a str,
    pub compare: Compare,
    pub operator_at: Range<usize>,
    pub values: Vec<FieldValue>,
}

pub(super) fn term(
    target: Target,
    written: FieldTerm<'_>,
    clock: &QueryClock,
) -> Result<Term, QueryError> {
    check_form(&target, &written)?;
    let FieldTerm {
        compare, values, ..
    } = written;
    match target {
        Target::Level => levels(compare, &values),
        Target::Layer => layers(&values),
        Target::RequestId => request_id(values),
        Target::Field(Field::Meta(name)) if compare != Compare::Equal => {
            meta_number(name, compare, &values)
        }
        Target::Field(field) => {
            let mode = match &field {
                field if field.is_prose() => GlobMode::Inside,
                field if field.is_exact() => GlobMode::Exact,
                _ => GlobMode::Whole,
            };
            Ok(Term::Field {
                any_of: globs(values, mode)?,
                field,
            })
        }
        Target::Duration => duration(compare, &values),
        Target::Id => Ok(Term::Id(each(
            &values,
            "a record id: <32 hex digits>-<hex>",
            |text| text.parse::<RecordId>().ok(),
        )?)),
        Target::Has => each(
            &values,
            "one of logger, request_id, user, session, duration, traceback, meta or meta.NAME",
            presence,
        )
        .map(Term::Has),
        Target::Time(bound) => {
            let (text, range) = one(&values, time::EXPECTED, |text| {
                time::resolve(bound, text, clock).map(|range| (text.to_owned(), range))
            })?;
            Ok(Term::Time(TimeTerm { bound, text, range }))
        }
    }
}

/// Whether the field can be compared this way, and takes so many values.
fn check_form(target: &Target, written: &FieldTerm<'_>) -> Result<(), QueryError> {
    let ordered = written.compare != Compare::Equal;
    let takes_order = matches!(
        target,
        Target::Level | Target::Duration | Target::Field(Field::Meta(_))
    );
    if ordered && !takes_order {
        let (name, sign) = (written.name, written.compare.sign());
        return Err(error(
            written.operator_at.clone(),
            format!("`{name}` cannot be compared with `{sign}`"),
            format!("`{name}:` and a value"),
        ));
    }
    if let Some(second) = written.values.get(1)
        && (ordered || matches!(target, Target::Time(_) | Target::Duration))
    {
        return Err(error(
            second.at.clone(),
            "more than one value",
            "one value here",
        ));
    }
    Ok(())
}

fn layers(values: &[FieldValue]) -> Result<Term, QueryError> {
    let mut layers: Vec<Layer> = each(values, "app or infra", |text| {
        text.to_ascii_lowercase().parse().ok()
    })?;
    layers.sort_unstable();
    layers.dedup();
    Ok(Term::Layer(layers))
}

fn request_id(values: Vec<FieldValue>) -> Result<Term, QueryError> {
    let any_of = globs(values, GlobMode::Exact)?;
    let only = match any_of.as_slice() {
        [glob] => glob.plain().map(RequestId::new),
        _ => None,
    };
    Ok(Term::RequestId { any_of, only })
}

fn meta_number(name: String, compare: Compare, values: &[FieldValue]) -> Result<Term, QueryError> {
    let expected = "a number; for equality use `:`";
    let (number, text) = one(values, expected, |text| {
        text.parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(|number| (number, text.to_owned()))
    })?;
    Ok(Term::MetaNumber {
        name,
        compare,
        number,
        text,
    })
}

fn duration(compare: Compare, values: &[FieldValue]) -> Result<Term, QueryError> {
    let expected = "a duration such as 250ms, 1s, 2m (a bare number is ms)";
    let (millis, text) = one(values, expected, |text| {
        let lower = text.to_lowercase();
        let plain = lower
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let length = if plain {
            time::duration(&format!("{lower}ms"))
        } else {
            time::duration(&lower)
        };
        length.map(|length| (length.as_secs_f64() * 1_000.0, text.to_owned()))
    })?;
    Ok(Term::Duration {
        compare,
        millis,
        text,
    })
}

fn each<T>(
    values: &[FieldValue],
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, QueryError> {
    values
        .iter()
        .map(|value| {
            value.literal().and_then(&read).ok_or_else(|| {
                let shown = value
                    .literal()
                    .map_or_else(|| value.pieces.join("*"), str::to_owned);
                error(
                    value.at.clone(),
                    format!("`{shown}` does not fit here"),
                    expected,
                )
            })
        })
        .collect()
}

fn one<T>(
    values: &[FieldValue],
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, QueryError> {
    let mut all = each(values, expected, read)?;
    all.pop().ok_or_else(|| error(0..0, "no value", expected))
}

fn globs(values: Vec<FieldValue>, mode: GlobMode) -> Result<Vec<Glob>, QueryError> {
    values
        .into_iter()
        .map(|value| {
            Glob::new(value.pieces, mode)
                .map_err(|_| error(value.at, "this pattern is too long", "a shorter one"))
        })
        .collect()
}

fn levels(compare: Compare, values: &[FieldValue]) -> Result<Term, QueryError> {
    let expected = "debug, info, warning, error or critical";
    let words: Vec<Vec<Level>> = each(values, expected, |text| {
        text.split('|').map(Level::from_word).collect()
    })?;
    let mut set = LevelSet::default();
    for level in words.iter().flatten() {
        if compare == Compare::Equal {
            set.add(*level);
        } else if words.iter().flatten().count() == 1 {
            set = LevelSet::compared(compare, *level);
        } else {
            return Err(error(
                values[0].at.clone(),
                "more than one level to compare with",
                "one level",
            ));
        }
    }
    Ok(Term::Level(set))
}

fn presence(text: &str) -> Option<Presence> {
    if let Some(name) = fields::metadata_name(text) {
        return (!name.is_empty()).then(|| Presence::Meta(name.to_owned()));
    }
    let lower = text.to_ascii_lowercase();
    if ["meta", "metadata"].contains(&lower.as_str()) {
        return Some(Presence::AnyMetadata);
    }
    if lower == atalaya_domain::record::PARSE_ERROR_FIELD {
        return Some(Presence::Meta(lower));
    }
    match fields::target(text)? {
        Target::RequestId => Some(Presence::RequestId),
        Target::Duration => Some(Presence::Duration),
        Target::Field(Field::Logger) => Some(Presence::Logger),
        Target::Field(Field::User) => Some(Presence::User),
        Target::Field(Field::Session) => Some(Presence::Session),
        Target::Field(Field::Traceback) => Some(Presence::Traceback),
        _ => None,
    }
}
