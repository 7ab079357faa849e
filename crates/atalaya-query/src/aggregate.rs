//! Counting what a query finds: by fields, over time, with statistics of a number.
//!
//! ```text
//! by source,meta.status top 20
//! by level per hour
//! rate by source per minute
//! p50 p90 p99 duration by logger
//! max meta.bytes
//! ```
//!
//! The words come in any order, each once; every group has its count.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use atalaya_domain::record::{Entry, Level, Origin, RequestId};
use atalaya_domain::time::Timestamp;

use super::ast::Field;
use super::fields::{self, Target};
use super::{QueryError, Zone, eval, suggest, time};

/// Most fields that groups are made of.
pub const MOST_FIELDS: usize = 3;
/// Most statistics of one number.
const MOST_STATISTICS: usize = 8;
/// Groups beyond this are no answer to anybody.
const MOST_TOP: usize = 10_000;
const MEASURES: &str = "count, rate, avg, min, max, sum, p50, p90, p95, p99";

/// What groups are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Level,
    Layer,
    RequestId,
    Field(Field),
}

/// One field of a group, under the name by which it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupField {
    name: String,
    key: Key,
}

impl GroupField {
    /// The name in the language: `level`, `meta.status`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value that a record has; `None`: it has none.
    pub fn value<'a>(&self, origin: &'a Origin, entry: &'a Entry) -> Option<Cow<'a, str>> {
        match &self.key {
            Key::Level => Some(Cow::Borrowed(entry.level.name())),
            Key::Layer => Some(Cow::Borrowed(origin.layer.name())),
            Key::RequestId => entry
                .request_id
                .as_ref()
                .map(RequestId::as_str)
                .map(Cow::Borrowed),
            Key::Field(field) => eval::value_of(field, origin, entry).map(Cow::Borrowed),
        }
    }

    /// The value of all records of this level that an origin has, where it depends on nothing else.
    pub fn value_in_summary<'a>(&self, origin: &'a Origin, level: Level) -> Option<Cow<'a, str>> {
        match &self.key {
            Key::Level => Some(Cow::Borrowed(level.name())),
            Key::Layer => Some(Cow::Borrowed(origin.layer.name())),
            Key::Field(Field::Source) => Some(Cow::Borrowed(&*origin.source)),
            Key::RequestId | Key::Field(_) => None,
        }
    }

    const fn is_in_summaries(&self) -> bool {
        matches!(
            self.key,
            Key::Level | Key::Layer | Key::Field(Field::Source)
        )
    }
}

/// The number of which statistics are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Number {
    /// In milliseconds.
    #[default]
    Duration,
    /// A metadata value that is a number.
    Meta(String),
}

impl Number {
    /// `None`: the record has no such number.
    pub fn of(&self, entry: &Entry) -> Option<f64> {
        match self {
            Self::Duration => entry.duration_ms,
            Self::Meta(name) => eval::metadata(entry, name)
                .find_map(|value| value.trim().parse::<f64>().ok())
                .filter(|number| number.is_finite()),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration => formatter.write_str("duration"),
            Self::Meta(name) => write!(formatter, "meta.{name}"),
        }
    }
}

/// One figure over the numbers of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    Average,
    Least,
    Most,
    Sum,
    /// From above 0 to below 100.
    Percentile(f64),
}

impl fmt::Display for Statistic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Average => formatter.write_str("avg"),
            Self::Least => formatter.write_str("min"),
            Self::Most => formatter.write_str("max"),
            Self::Sum => formatter.write_str("sum"),
            Self::Percentile(percent) => write!(formatter, "p{percent}"),
        }
    }
}

/// How what a query finds is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aggregate {
    pub by: Vec<GroupField>,
    /// A count for each span of this length; whole seconds.
    pub per: Option<Duration>,
    /// Only the groups with the most records.
    pub top: Option<usize>,
    /// Records a second beside the count.
    pub rate: bool,
    pub statistics: Vec<Statistic>,
    /// What the statistics are of.
    pub number: Number,
}

impl Aggregate {
    /// # Errors
    /// Says where the text is wrong and what was expected there.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Reading::new(text).read()
    }

    /// Whether counts can be taken from the summaries of chunks.
    pub fn is_in_summaries(&self) -> bool {
        self.statistics.is_empty() && self.by.iter().all(GroupField::is_in_summaries)
    }

    /// Where the span begins that an instant falls into; days are those of the zone.
    pub fn span_of(&self, at: Timestamp, zone: Zone) -> Option<Timestamp> {
        let width = self.per?;
        let offset = time::offset_micros(at, zone);
        let width = i64::try_from(width.as_micros()).unwrap_or(i64::MAX).max(1);
        let local = at.micros().saturating_add(offset);
        Some(Timestamp::from_micros(
            local
                .saturating_sub(local.rem_euclid(width))
                .saturating_sub(offset),
        ))
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        if self.rate {
            words.push("rate".to_owned());
        }
        words.extend(self.statistics.iter().map(ToString::to_string));
        if !self.statistics.is_empty() {
            words.push(self.number.to_string());
        }
        if !self.by.is_empty() {
            let names: Vec<&str> = self.by.iter().map(GroupField::name).collect();
            words.push(format!("by {}", names.join(",")));
        }
        if let Some(per) = self.per {
            words.push(format!("per {}s", per.as_secs()));
        }
        if let Some(top) = self.top {
            words.push(format!("top {top}"));
        }
        if words.is_empty() {
            words.push("count".to_owned());
        }
        formatter.write_str(&words.join(" "))
    }
}

/// A word with its place in the text.
#[derive(Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    offset: usize,
}

impl Word<'_> {
    fn wrong(&self, message: String, expected: impl Into<String>) -> QueryError {
        QueryError {
            offset: self.offset,
            length: self.text.len(),
            message,
            expected: expected.into(),
        }
    }
}

struct Reading<'t> {
    text: &'t str,
    words: std::iter::Peekable<std::vec::IntoIter<Word<'t>>>,
    found: Aggregate,
    number: Option<Number>,
}

impl<'t> Reading<'t> {
    fn new(text: &'t str) -> Self {
        let parts = text.split([' ', '\t', '\n', ',', '=']);
        let words: Vec<Word<'t>> = parts
            .filter(|part| !part.is_empty())
            .map(|part| Word {
                text: part,
                // A part of the text: its address is behind that of the text.
                offset: part.as_ptr() as usize - text.as_ptr() as usize,
            })
            .collect();
        Self {
            text,
            words: words.into_iter().peekable(),
            found: Aggregate::default(),
            number: None,
        }
    }

    fn read(mut self) -> Result<Aggregate, QueryError> {
        while let Some(word) = self.words.next() {
            match word.text.to_ascii_lowercase().as_str() {
                "by" => self.by(word)?,
                "per" | "every" => self.per(word)?,
                "top" => self.top(word)?,
                "count" => {}
                "rate" => self.found.rate = true,
                name => self.measure(word, name)?,
            }
        }
        match (self.number, self.found.statistics.is_empty()) {
            (Some(number), true) => Err(QueryError {
                offset: 0,
                length: self.text.len(),
                message: format!("`{number}` without a statistic"),
                expected: "one of avg, min, max, sum, p50, p90, p95, p99 before it".to_owned(),
            }),
            (number, _) => {
                self.found.number = number.unwrap_or_default();
                Ok(self.found)
            }
        }
    }

    fn by(&mut self, by: Word<'t>) -> Result<(), QueryError> {
        if !self.found.by.is_empty() {
            return Err(by.wrong("`by` twice".to_owned(), "one list of fields"));
        }
        while let Some(word) = self.words.peek().copied() {
            // A word of this language ends the list.
            if is_keyword(word.text) || statistic(&word.text.to_ascii_lowercase()).is_some() {
                break;
            }
            self.words.next();
            if self.found.by.len() == MOST_FIELDS {
                return Err(word.wrong(
                    format!("more than {MOST_FIELDS} fields"),
                    format!("at most {MOST_FIELDS} after `by`"),
                ));
            }
            self.found.by.push(group_field(word)?);
        }
        if self.found.by.is_empty() {
            return Err(by.wrong(
                "`by` without a field".to_owned(),
                "a list such as source,meta.status",
            ));
        }
        Ok(())
    }

    fn per(&mut self, per: Word<'t>) -> Result<(), QueryError> {
        const EXPECTED: &str = "second, minute, hour, day, or a length such as 5m or 2h";
        if self.found.per.is_some() {
            return Err(per.wrong("`per` twice".to_owned(), "one span of time"));
        }
        let Some(word) = self.words.next() else {
            return Err(per.wrong("`per` without a span".to_owned(), EXPECTED));
        };
        let lower = word.text.to_ascii_lowercase();
        let length = time::duration(&lower).or_else(|| time::duration(&format!("1{lower}")));
        // What does not divide a day or is not made of days would begin anywhere.
        let whole = length.filter(|length| length.as_secs() >= 1 && length.subsec_nanos() == 0);
        self.found.per = Some(whole.ok_or_else(|| {
            word.wrong(
                format!("`{}` is no span of whole seconds", word.text),
                EXPECTED,
            )
        })?);
        Ok(())
    }

    fn top(&mut self, top: Word<'t>) -> Result<(), QueryError> {
        let expected = format!("a number from 1 to {MOST_TOP}");
        let Some(word) = self.words.next() else {
            return Err(top.wrong("`top` without a number".to_owned(), expected));
        };
        let number = word.text.parse().ok();
        let number = number.filter(|number| (1..=MOST_TOP).contains(number));
        match number {
            Some(_) if self.found.top.is_some() => {
                Err(top.wrong("`top` twice".to_owned(), "one number of groups"))
            }
            Some(number) => {
                self.found.top = Some(number);
                Ok(())
            }
            None => Err(word.wrong(format!("`{}` is no number of groups", word.text), expected)),
        }
    }

    /// A statistic, or the number that statistics are of.
    fn measure(&mut self, word: Word<'t>, lower: &str) -> Result<(), QueryError> {
        if let Some(statistic) = statistic(lower) {
            if self.found.statistics.len() == MOST_STATISTICS {
                return Err(word.wrong(
                    format!("more than {MOST_STATISTICS} statistics"),
                    format!("at most {MOST_STATISTICS}"),
                ));
            }
            if !self.found.statistics.contains(&statistic) {
                self.found.statistics.push(statistic);
            }
            return Ok(());
        }
        let number = match fields::target(word.text) {
            Some(Target::Duration) => Number::Duration,
            _ => match fields::metadata_name(word.text) {
                Some(name) if !name.is_empty() => Number::Meta(name.to_owned()),
                _ => return Err(unknown(word)),
            },
        };
        if self.number.is_some() {
            return Err(word.wrong(
                "statistics of two numbers".to_owned(),
                "one of duration or meta.NAME",
            ));
        }
        self.number = Some(number);
        Ok(())
    }
}

fn is_keyword(text: &str) -> bool {
    ["by", "per", "every", "top", "count", "rate"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(text))
}

fn statistic(lower: &str) -> Option<Statistic> {
    match lower {
        "avg" | "mean" => Some(Statistic::Average),
        "min" => Some(Statistic::Least),
        "max" => Some(Statistic::Most),
        "sum" => Some(Statistic::Sum),
        "median" => Some(Statistic::Percentile(50.0)),
        _ => {
            let percent = lower.strip_prefix('p')?;
            if !percent.starts_with(|first: char| first.is_ascii_digit()) {
                return None;
            }
            let percent: f64 = percent.parse().ok()?;
            (percent > 0.0 && percent < 100.0).then_some(Statistic::Percentile(percent))
        }
    }
}

fn unknown(word: Word<'_>) -> QueryError {
    let known = [
        "by", "per", "top", "count", "rate", "avg", "min", "max", "sum", "duration",
    ];
    let near = suggest::nearest(word.text, known);
    let expected = near.map_or_else(
        || format!("{MEASURES}, duration, meta.NAME, `by` fields, `per` span or `top` number"),
        |near| format!("perhaps `{near}`"),
    );
    word.wrong(format!("unknown word `{}`", word.text), expected)
}

fn group_field(word: Word<'_>) -> Result<GroupField, QueryError> {
    let key = match fields::target(word.text) {
        Some(Target::Level) => Some(Key::Level),
        Some(Target::Layer) => Some(Key::Layer),
        Some(Target::RequestId) => Some(Key::RequestId),
        Some(Target::Field(field)) => Some(Key::Field(field)),
        Some(Target::Duration | Target::Id | Target::Has | Target::Time(_)) => {
            return Err(word.wrong(
                format!("`{}` makes no groups", word.text),
                "level, source, layer, host, logger, request_id, user, session, message or meta.NAME",
            ));
        }
        None => fields::metadata_name(word.text)
            .filter(|name| !name.is_empty())
            .map(|name| Key::Field(Field::Meta(name.to_owned()))),
    };
    let Some(key) = key else {
        let meta = format!("a metadata value is meta.{}", word.text);
        let expected = match fields::nearest(word.text) {
            Some(near) => format!("perhaps `{near}`; {meta}"),
            None => format!("{}; {meta}", fields::list()),
        };
        return Err(word.wrong(format!("unknown field `{}`", word.text), expected));
    };
    let name = match &key {
        Key::Level => "level".to_owned(),
        Key::Layer => "layer".to_owned(),
        Key::RequestId => "request_id".to_owned(),
        Key::Field(Field::Meta(name)) => format!("meta.{name}"),
        Key::Field(field) => fields::name_of(field).to_owned(),
    };
    Ok(GroupField { name, key })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_ask_for_is_read() {
        for (text, canonical) in [
            ("", "count"),
            ("by=source,meta.status", "by source,meta.status"),
            ("by src, m.status top 20", "by source,meta.status top 20"),
            ("rate by level per minute", "rate by level per 60s"),
            ("per 5m count", "per 300s"),
            ("p50 p90 p95 p99 duration", "p50 p90 p95 p99 duration"),
            ("by logger p99.9", "p99.9 duration by logger"),
            ("max meta.bytes by req", "max meta.bytes by request_id"),
            ("median duration_ms per day", "p50 duration per 86400s"),
        ] {
            let read = Aggregate::parse(text).unwrap();
            assert_eq!(read.to_string(), canonical, "{text}");
            assert_eq!(Aggregate::parse(canonical).unwrap(), read);
        }
    }

    #[test]
    fn what_is_wrong_is_marked() {
        for (text, at, expected) in [
            ("by", 0, "source,meta.status"),
            ("by sorce", 3, "source"),
            ("by status", 3, "meta.status"),
            ("by level,host,user,logger", 19, "at most 3"),
            ("per", 0, "minute"),
            ("per fortnight", 4, "minute"),
            ("per 10ms", 4, "minute"),
            ("top none", 4, "number"),
            ("top 0", 4, "number"),
            ("cout", 0, "count"),
            ("p100", 0, "p99"),
            ("duration", 0, "p99"),
            ("avg duration meta.x", 13, "one of"),
            ("by since", 3, "level"),
        ] {
            let wrong = Aggregate::parse(text).unwrap_err();
            assert_eq!(wrong.offset, at, "{text}: {wrong}");
            assert!(wrong.expected.contains(expected), "{text}: {wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_prints_as_itself(
            text in "((by|per|top|rate|p95|avg|duration|level|source|meta\\.[a-zé]{1,3}|[0-9]{1,3}[smh]?|.{0,3})[ ,=]){0,8}",
        ) {
            match Aggregate::parse(&text) {
                Ok(read) => prop_assert_eq!(Aggregate::parse(&read.to_string()).unwrap(), read),
                Err(wrong) => prop_assert!(!wrong.render(&text).is_empty()),
            }
        }

        #[test]
        fn an_instant_is_in_its_span(micros in any::<i32>(), seconds in 1_u64..200_000) {
            let of = Aggregate { per: Some(Duration::from_secs(seconds)), ..Aggregate::default() };
            let at = Timestamp::from_micros(i64::from(micros) * 1_000_003);
            let begun = of.span_of(at, Zone::Utc).unwrap();
            prop_assert!(begun <= at && at < begun.saturating_add(Duration::from_secs(seconds)));
            prop_assert_eq!(of.span_of(begun, Zone::Utc), Some(begun));
        }
    }
}
