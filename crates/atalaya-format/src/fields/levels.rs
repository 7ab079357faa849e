//! Levels as words and as the numbers of many loggers.

use std::borrow::Cow;

use super::push_unique;
use crate::{Parsed, level};
use atalaya_domain::record::Level;

/// What the numbers of a level mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Those that tell each other apart by their size, see [`numbered`].
    Usual,
    /// One letter, debug with a digit.
    Mongo,
    /// 0 to 7 as in syslog, 100 to 800 as in Google's logging.
    Severity,
    /// `levelno`, structlog's `level_number`.
    Python,
    /// 1 to 24.
    Otel,
    /// `intLevel`: 100 is fatal and 600 trace.
    Log4j,
    /// `LogLevel`: 0 is trace and 5 critical.
    DotNet,
}

impl Scale {
    pub(super) fn number(self, text: &str) -> Option<Level> {
        match self {
            Self::Usual => numbered(text),
            Self::Mongo => None,
            Self::Severity => severity(text),
            Self::Python => python(text),
            Self::Otel => otel(text.parse().ok()?),
            Self::Log4j => match text.parse::<u32>().ok()? {
                1..=100 => Some(Level::Critical),
                101..=200 => Some(Level::Error),
                201..=300 => Some(Level::Warning),
                301..=400 => Some(Level::Info),
                401..=600 => Some(Level::Debug),
                _ => None,
            },
            Self::DotNet => match text {
                "0" | "1" => Some(Level::Debug),
                "2" => Some(Level::Info),
                "3" => Some(Level::Warning),
                "4" => Some(Level::Error),
                "5" => Some(Level::Critical),
                _ => None,
            },
        }
    }

    pub(super) fn word(self, text: &str) -> Option<Level> {
        match self {
            Self::Mongo => mongo(text),
            _ => worded(text).or_else(|| self.number(text)),
        }
    }
}

/// Reads a level word: our own table, single letters and the cut words of consoles.
pub fn worded(word: &str) -> Option<Level> {
    let word = word.trim();
    if let &[letter] = word.as_bytes() {
        return level::from_letter(letter);
    }
    level::from_word(word).or_else(|| {
        const CUT: [(&str, Level); 14] = [
            ("debu", Level::Debug),
            ("erro", Level::Error),
            ("warni", Level::Warning),
            ("fata", Level::Critical),
            ("pani", Level::Critical),
            ("trac", Level::Debug),
            ("wrn", Level::Warning),
            ("dbg", Level::Debug),
            ("inf", Level::Info),
            ("ftl", Level::Critical),
            ("trc", Level::Debug),
            ("vrb", Level::Debug),
            ("pnc", Level::Critical),
            ("notset", Level::Debug),
        ];
        CUT.iter()
            .find(|(cut, _)| cut.eq_ignore_ascii_case(word))
            .map(|&(_, level)| level)
    })
}

/// `MongoDB`: one letter, debug with a digit.
fn mongo(text: &str) -> Option<Level> {
    match text {
        "I" => Some(Level::Info),
        "W" => Some(Level::Warning),
        "E" => Some(Level::Error),
        "F" => Some(Level::Critical),
        "D" | "D1" | "D2" | "D3" | "D4" | "D5" => Some(Level::Debug),
        _ => None,
    }
}

/// Numeric levels of bunyan and pino (10 to 60), Monolog (100 to 600), `java.util.logging` (700 to
/// 1000) and Logback (5000 to 50000). Smaller numbers mean different things in different places
/// and are no level.
fn numbered(text: &str) -> Option<Level> {
    match text.parse::<u32>().ok()? {
        10..30 | 100 | 5_000 | 10_000 => Some(Level::Debug),
        30..40 | 200 | 250 | 700 | 800 | 20_000 => Some(Level::Info),
        40..50 | 300 | 900 | 30_000 => Some(Level::Warning),
        50..60 | 400 | 1_000 | 40_000 => Some(Level::Error),
        60..100 | 500 | 550 | 600 | 50_000 => Some(Level::Critical),
        _ => None,
    }
}

/// Source: <https://docs.python.org/3/library/logging.html#logging-levels>.
pub(super) fn python(text: &str) -> Option<Level> {
    match text.parse::<u32>().ok()? {
        1..20 => Some(Level::Debug),
        20..30 => Some(Level::Info),
        30..40 => Some(Level::Warning),
        40..50 => Some(Level::Error),
        50..=100 => Some(Level::Critical),
        _ => None,
    }
}

/// Sources: RFC 5424, table 2;
/// <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity>. Numbers
/// between are those of OpenTelemetry, or pino's.
fn severity(text: &str) -> Option<Level> {
    match text.parse::<u32>().ok()? {
        severity @ 0..=7 => Some(Level::from_syslog_severity(severity as u8)),
        number @ (8 | 9 | 11..=19 | 21..=24) => otel(number),
        100 => Some(Level::Debug),
        200 | 300 => Some(Level::Info),
        400 => Some(Level::Warning),
        500 => Some(Level::Error),
        600 | 700 | 800 => Some(Level::Critical),
        _ => numbered(text),
    }
}

/// Source: <https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber>.
pub(crate) fn otel(number: u32) -> Option<Level> {
    match number {
        1..=8 => Some(Level::Debug),
        9..=12 => Some(Level::Info),
        13..=16 => Some(Level::Warning),
        17..=20 => Some(Level::Error),
        21..=24 => Some(Level::Critical),
        _ => None,
    }
}

/// A word for how something went, where no level is said.
pub(super) fn of_outcome(word: &str) -> Option<Level> {
    const WORDS: [(&str, Level); 12] = [
        ("failed", Level::Error),
        ("failure", Level::Error),
        ("fail", Level::Error),
        ("errored", Level::Error),
        ("exception", Level::Error),
        ("crashed", Level::Error),
        ("degraded", Level::Warning),
        ("ok", Level::Info),
        ("succeeded", Level::Info),
        ("success", Level::Info),
        ("completed", Level::Info),
        ("passed", Level::Info),
    ];
    if word.len() < 2 || word.len() > 13 {
        return None;
    }
    WORDS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(word))
        .map(|&(_, level)| level)
        .or_else(|| Level::from_word(word))
}

/// Keeps the source's word for the level where it is not ours.
pub fn keep_severity<'a>(out: &mut Parsed<'a>, word: Cow<'a, str>) {
    if !word.eq_ignore_ascii_case(out.level.name()) {
        push_unique(out, "severity", word);
    }
}
