//! What a rotated file is called: `x.log` becomes `x.log.1`, `x.log.2.gz`, `x.log-20261122`,
//! `x-2026-11-30T10-20-04.123.log`, `x.log.bak`. A name only says which unknown files to compare;
//! whether one continues another is decided by where they live and by their bytes (see
//! [`super::identity`]).

/// How a file is packed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    Bzip2,
    Zstd,
    Xz,
}

impl Packing {
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Bzip2, Self::Zstd, Self::Xz];

    /// What its file names end with.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Bzip2 => ".bz2",
            Self::Zstd => ".zst",
            Self::Xz => ".xz",
        }
    }
}

/// A file name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotatedName {
    /// The name that the writer writes to.
    pub base: String,
    /// Whether anything was stripped to get it.
    pub rotated: bool,
    pub packing: Option<Packing>,
}

impl RotatedName {
    pub fn of(name: &str) -> Self {
        let (rest, packing) = unpacked(name);
        let mut base = rest.to_owned();
        while let Some(shorter) = without_suffix(&base).or_else(|| without_inner(&base)) {
            base = shorter;
        }
        Self {
            rotated: base != name,
            base,
            packing,
        }
    }
}

/// The name with its numbers left out, packed or not: what the names of one rotation have in common.
/// `None` for a name without numbers.
pub fn shape(name: &str) -> Option<String> {
    let (name, _) = unpacked(name);
    let mut shape = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            other => shape.push(other),
        }
    }
    shape.contains('#').then_some(shape)
}

fn unpacked(name: &str) -> (&str, Option<Packing>) {
    for packing in Packing::ALL {
        if let Some(rest) = name.strip_suffix(packing.suffix())
            && !rest.is_empty()
        {
            return (rest, Some(packing));
        }
    }
    (name, None)
}

/// What old files are marked with.
const WORDS: [&str; 9] = [
    "old", "bak", "prev", "previous", "orig", "save", "backup", "last", "rotated",
];
const SEPARATORS: [char; 4] = ['.', '-', '_', '@'];

/// Without one rotation suffix: `x.log.1`, `x.log-20261122`, `x.log.bak`, `x.log~`.
fn without_suffix(name: &str) -> Option<String> {
    let stem = name
        .strip_suffix('~')
        .map(|stem| match stem.rsplit_once(".~") {
            // The numbered backups of editors and of `mv --backup`.
            Some((stem, number)) if is_number(number, 1..=9) => stem,
            _ => stem,
        })
        .or_else(|| before_stamp(name))
        .or_else(|| {
            let (stem, word) = name.rsplit_once(SEPARATORS)?;
            let word = word.trim_end_matches(|digit: char| digit.is_ascii_digit());
            WORDS
                .contains(&word.to_ascii_lowercase().as_str())
                .then_some(stem)
        })?;
    (!stem.is_empty()).then(|| stem.to_owned())
}

/// Without a stamp before the extension or at the front: `x-20261122.log`, `x.1.log`,
/// `2026-11-30-x.log`.
fn without_inner(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let is_extension = matches!(extension.len(), 1..=8)
        && extension.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_extension || stem.is_empty() {
        return None;
    }
    if let Some(front) = before_stamp(stem) {
        return Some(format!("{front}.{extension}"));
    }
    let rest = after_date(name)?.strip_prefix(SEPARATORS)?;
    let (front, _) = rest.rsplit_once('.')?;
    front
        .starts_with(|first: char| first.is_ascii_alphabetic())
        .then(|| rest.to_owned())
}

/// What stands before the longest stamp that the text ends with.
fn before_stamp(text: &str) -> Option<&str> {
    text.char_indices()
        .filter(|(at, letter)| *at > 0 && SEPARATORS.contains(letter))
        .find(|(at, letter)| is_stamp(*letter, &text[at + 1..]))
        .map(|(at, _)| &text[..at])
}

/// A number or an instant, as rotations append them.
fn is_stamp(separator: char, text: &str) -> bool {
    let counter = match separator {
        '.' => is_number(text, 1..=5),
        '_' => is_number(text, 3..=3),
        _ => false,
    };
    // Seconds and milliseconds since 1970.
    let epoch = is_number(text, 10..=10) || is_number(text, 13..=13);
    counter || epoch || after_date(text).is_some_and(is_time)
}

fn is_number(text: &str, digits: std::ops::RangeInclusive<usize>) -> bool {
    digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What follows `20261130`, `2026-11-30`, `2026_11_30`, `2026.11.30` or `2026-11`.
fn after_date(text: &str) -> Option<&str> {
    let (year, rest) = digits(text, 4)?;
    if !(1990..=2199).contains(&year) {
        return None;
    }
    let (rest, separated) = separator(rest, &['-', '_', '.']);
    let (month, rest) = digits(rest, 2)?;
    let (day_at, day_separated) = separator(rest, &['-', '_', '.']);
    let day = (day_separated == separated)
        .then(|| digits(day_at, 2))
        .flatten();
    match day {
        Some((day, rest)) if (1..=12).contains(&month) && (1..=31).contains(&day) => Some(rest),
        // By months and weeks.
        None if separated && month <= 53 => Some(rest),
        _ => None,
    }
}

/// Hours and finer, a zone, counters: all that may follow a date.
fn is_time(text: &str) -> bool {
    let mut rest = separator(text, &['T', 't', '-', '_', '.', ' ']).0;
    for _ in 0..3 {
        match digits(rest, 2) {
            Some((_, after)) => rest = separator(after, &['-', ':', '_', '.', 'h', 'm', 's']).0,
            None => break,
        }
    }
    // Fractions of a second, a zone, a counter, in any number.
    rest.bytes().all(|byte| {
        byte.is_ascii_digit()
            || matches!(byte, b'.' | b',' | b'-' | b'_' | b'+' | b':' | b'Z' | b'z')
    })
}

fn separator<'a>(text: &'a str, allowed: &[char]) -> (&'a str, bool) {
    text.strip_prefix(allowed)
        .map_or((text, false), |rest| (rest, true))
}

fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    is_number(number, count..=count)
        .then(|| number.parse().ok().map(|number| (number, rest)))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rotations_lead_to_the_base() {
        let cases = [
            ("x.log", "x.log", false),
            ("x.log.1", "x.log", true),
            ("x.log.12.gz", "x.log", true),
            ("x.log-20261122", "x.log", true),
            ("x.log-20261122.zst", "x.log", true),
            ("x.log-1763800000", "x.log", true),
            ("x.log.2026-11-22", "x.log", true),
            ("x.log-2026-11-22.bz2", "x.log", true),
            ("x-20261122.log", "x.log", true),
            ("x-20261122.log.gz", "x.log", true),
            ("x.log.old", "x.log", true),
            ("x.log.1.gz", "x.log", true),
            ("syslog", "syslog", false),
            ("syslog.1", "syslog", true),
            ("postgresql-16-main.log", "postgresql-16-main.log", false),
            ("app-1.log", "app-1.log", false),
            (".gz", ".gz", false),
            ("1", "1", false),
            (".1", ".1", false),
            ("0.log.20261130-102004", "0.log", true),
            ("0.log.20261130-102004.gz", "0.log", true),
            ("x-2026-11-30T10-20-04.123.log", "x.log", true),
            ("x-2026-11-30T10-20-04.123.log.gz", "x.log", true),
            ("x.2026-11-30.0.log", "x.log", true),
            ("x.1.log", "x.log", true),
            ("x.log.2026-11-30_10-20", "x.log", true),
            ("x.log.2026-11-30_10", "x.log", true),
            ("x.log.2026-11-30-10", "x.log", true),
            ("x.log.2026-11", "x.log", true),
            ("x.log.bak", "x.log", true),
            ("x.log.bak2", "x.log", true),
            ("x.log~", "x.log", true),
            ("x.log.~3~", "x.log", true),
            ("x.log.prev", "x.log", true),
            ("x.log_20261130", "x.log", true),
            ("x_20261130.log", "x.log", true),
            ("x.log-202611301020", "x.log", true),
            ("x.log.20261130102004", "x.log", true),
            ("x.log.12345", "x.log", true),
            ("x_001.log", "x.log", true),
            ("postgresql-2026-11-30_102004.log", "postgresql.log", true),
            ("2026-11-30-x.log", "x.log", true),
            ("2026-11-30.log", "2026-11-30.log", false),
            ("x.log.1234567", "x.log.1234567", false),
            ("old", "old", false),
            ("x.log.conf", "x.log.conf", false),
            ("threshold", "threshold", false),
            ("ñ-2026-11-22", "ñ", true),
            ("\u{1F600}2026-11-22", "\u{1F600}2026-11-22", false),
        ];
        for (name, base, rotated) in cases {
            let found = RotatedName::of(name);
            assert_eq!(
                (found.base.as_str(), found.rotated),
                (base, rotated),
                "{name}"
            );
        }
        assert_eq!(RotatedName::of("x.log.2.gz").packing, Some(Packing::Gzip));
        assert_eq!(RotatedName::of("x.log.xz").packing, Some(Packing::Xz));
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics_and_a_base_is_its_own_base(name in "[a-z0-9.ñ-]{0,24}") {
            let base = RotatedName::of(&name).base;
            let again = RotatedName::of(&base);
            proptest::prop_assert!(again.base.len() <= base.len());
        }
    }
}
