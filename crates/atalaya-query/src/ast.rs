//! What a checked query is made of. Built only by the parser, so every value here is canonical:
//! `And` and `Or` are flat and never hold one child, `Not` never holds a `Not`, and the empty `And`
//! is the query that matches everything.

use regex::Regex;

use atalaya_domain::record::{Layer, Level, RecordId, RequestId};
use atalaya_domain::time::TimeRange;

use super::text::{Glob, Needle};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Term(Term),
}

impl Default for Expr {
    fn default() -> Self {
        Self::And(Vec::new())
    }
}

impl Expr {
    /// All of them, flat.
    pub fn all_of(children: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(children.len());
        for child in children {
            match child {
                Self::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 {
            flat.swap_remove(0)
        } else {
            Self::And(flat)
        }
    }

    /// Any of them, flat; `children` is not empty.
    pub fn any_of(children: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(children.len());
        for child in children {
            match child {
                Self::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 {
            flat.swap_remove(0)
        } else {
            Self::Or(flat)
        }
    }

    pub fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// The conditions that every match must fulfil.
    pub fn conjuncts(&self) -> &[Self] {
        match self {
            Self::And(children) => children,
            other => std::slice::from_ref(other),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    /// Somewhere in the record's own texts.
    Text(Needle),
    Regex(RegexTerm),
    Level(LevelSet),
    /// Sorted, without repeats.
    Layer(Vec<Layer>),
    /// Any of these ids; `only` when it is exactly one without a wildcard.
    RequestId {
        any_of: Vec<Glob>,
        only: Option<RequestId>,
    },
    Field {
        field: Field,
        any_of: Vec<Glob>,
    },
    Duration {
        compare: Compare,
        millis: f64,
        /// As it was written: `250ms`.
        text: String,
    },
    MetaNumber {
        name: String,
        compare: Compare,
        number: f64,
        text: String,
    },
    Id(Vec<RecordId>),
    Has(Vec<Presence>),
    Time(TimeTerm),
}

#[derive(Clone, Debug)]
pub(super) struct RegexTerm {
    /// As it stands between the slashes.
    pub source: String,
    pub ignore_case: bool,
    pub regex: Regex,
    /// Lower-cased pieces that every match contains.
    pub literals: Vec<String>,
}

impl PartialEq for RegexTerm {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.ignore_case) == (&other.source, other.ignore_case)
    }
}

/// Fields that hold text and are compared with patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Source,
    Host,
    Logger,
    User,
    Session,
    Message,
    Traceback,
    Meta(String),
}

impl Field {
    /// `message` and `traceback` are long texts: a value is looked for inside of them.
    pub const fn is_prose(&self) -> bool {
        matches!(self, Self::Message | Self::Traceback)
    }

    /// Opaque identifiers are compared with case.
    pub const fn is_exact(&self) -> bool {
        matches!(self, Self::User | Self::Session)
    }
}

/// What `has:` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Logger,
    RequestId,
    User,
    Session,
    Duration,
    Traceback,
    AnyMetadata,
    Meta(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Compare {
    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }

    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => ":",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// Levels that are asked for, indexed by [`Level::index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct LevelSet(pub [bool; 5]);

impl LevelSet {
    pub fn compared(compare: Compare, level: Level) -> Self {
        Self(Level::ALL.map(|candidate| compare.holds(&candidate, &level)))
    }

    pub fn add(&mut self, level: Level) {
        self.0[level.index()] = true;
    }

    pub fn contains(self, level: Level) -> bool {
        self.0[level.index()]
    }

    pub fn levels(self) -> impl Iterator<Item = Level> {
        Level::ALL
            .into_iter()
            .filter(move |level| self.contains(*level))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Since,
    Until,
    At,
}

impl Bound {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Since => "since",
            Self::Until => "until",
            Self::At => "at",
        }
    }
}

/// A bound in time: the text as written, and what it meant when it was parsed. Two terms are
/// equal when their texts are: `since:15m` of now is the `since:15m` of tomorrow.
#[derive(Clone, Debug)]
pub(super) struct TimeTerm {
    pub bound: Bound,
    pub text: String,
    pub range: TimeRange,
}

impl PartialEq for TimeTerm {
    fn eq(&self, other: &Self) -> bool {
        (self.bound, &self.text) == (other.bound, &other.text)
    }
}
