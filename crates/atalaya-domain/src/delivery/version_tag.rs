//! Release tags as people write them: `v1.2.3`, `syslog-ng-4.11.0`, `@acme/shop@1.0.0`,
//! `services/mail/v1.2.0`, `deploy-1711334567`, `release-2024-03-25`, `REL_14_2`, `go1.21.3`,
//! `4.1.0-stable`, `v0.5.2rc1`.
//!
//! A tag is a name, a separator, a version and a suffix, of which only the version must be there.
//! The name is a part of the repository with a life of its own (a service), unless it is a word
//! that only says "release". What follows the version says whether it is a pre-release: a word
//! that nobody uses for a release, and, as in <https://semver.org>, every unknown word after a
//! hyphen.

/// Words before a version that name no part of the repository.
const RELEASE_NAMES: [&str; 20] = [
    "release",
    "releases",
    "released",
    "rel",
    "version",
    "versions",
    "ver",
    "v",
    "tag",
    "tags",
    "deploy",
    "deploys",
    "deployed",
    "deployment",
    "prod",
    "production",
    "stable",
    "live",
    "hotfix",
    "ship",
];

/// Of these, one number alone is a version: `deploy-1711334567`, `release-42`.
const DEPLOY_NAMES: [&str; 10] = [
    "release",
    "releases",
    "rel",
    "deploy",
    "deploys",
    "deployed",
    "deployment",
    "prod",
    "production",
    "live",
];

/// A name with one of these words marks a place in the history and no release.
const MARKER_WORDS: [&str; 11] = [
    "before", "after", "backup", "wip", "tmp", "temp", "old", "archive", "archived", "nightly",
    "snapshot",
];

/// Words after a version that say it is not out yet.
const PRE_WORDS: [&str; 22] = [
    "alpha",
    "beta",
    "rc",
    "pre",
    "preview",
    "prerelease",
    "dev",
    "snapshot",
    "nightly",
    "canary",
    "next",
    "ea",
    "cr",
    "candidate",
    "test",
    "testing",
    "experimental",
    "milestone",
    "unstable",
    "wip",
    "draft",
    "edge",
];

/// Short for a word of [`PRE_WORDS`] when a number follows: `1.0a1`, `2.0.0-M3`.
const PRE_LETTERS: [&str; 4] = ["a", "b", "c", "m"];

/// Words after a version that say it is out.
const OUT_WORDS: [&str; 22] = [
    "stable",
    "final",
    "ga",
    "release",
    "released",
    "lts",
    "prod",
    "production",
    "hotfix",
    "hot",
    "fix",
    "patch",
    "security",
    "emergency",
    "post",
    "sp",
    "pl",
    "p",
    "r",
    "rev",
    "update",
    "build",
];

/// What a tag says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionTag<'t> {
    /// The part of the repository that it is a release of; `None` for the whole.
    pub owner: Option<&'t str>,
    /// The tag without its owner.
    pub version: &'t str,
    pub numbers: Vec<u64>,
    /// What follows the numbers, in small letters and without separators.
    pub suffix: String,
    pub prerelease: bool,
}

impl VersionTag<'_> {
    /// Whether this is the same version as `other`, or a name that moves on with it (`v1` and
    /// `v1.2` beside `v1.2.3`).
    pub fn floats_over(&self, other: &Self) -> bool {
        other.numbers.starts_with(&self.numbers)
            && (self.suffix == other.suffix || self.numbers.len() < other.numbers.len())
    }
}

/// Reads a tag; `None` when it names no version.
pub fn read(tag: &str) -> Option<VersionTag<'_>> {
    if tag.chars().any(char::is_whitespace) {
        return None;
    }
    // From the left, so that the longest version is found: `1.2.3` and not `2.3`.
    (0..tag.len())
        .filter(|&at| tag.is_char_boundary(at))
        .find_map(|at| read_at(tag, at))
}

/// Reads a tag whose version begins at this byte.
fn read_at(tag: &str, at: usize) -> Option<VersionTag<'_>> {
    let (before, version) = tag.split_at(at);
    let (name, separator) = name_of(before)?;
    let digits = version
        .strip_prefix(['v', 'V'])
        .filter(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()));
    let marked = digits.is_some();
    let digits = digits.unwrap_or(version);
    let (numbers, suffix) = numbers_of(digits)?;
    // `foo1.2` is `foo` directly before a version; a digit or a `v` before it would be part of it.
    if separator == Separator::None
        && !name.is_empty()
        && (marked || !name.bytes().all(|letter| letter.is_ascii_alphabetic()))
    {
        return None;
    }
    if !is_enough(name, separator, marked, &numbers, digits) {
        return None;
    }
    let (prerelease, suffix) = read_suffix(suffix)?;
    let owner = owner_of(name, separator);
    Some(VersionTag {
        owner,
        version: match owner {
            Some(_) => version,
            None => tag,
        },
        numbers,
        suffix,
        prerelease,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    /// At the beginning, or a name that runs into the version.
    None,
    /// `-` or `_`, which are also parts of names.
    Soft,
    /// `@` or `/`, which stand before a version for nothing else.
    Hard,
}

/// The name before a version with what parts them; `None` when it is not a name.
fn name_of(before: &str) -> Option<(&str, Separator)> {
    let (name, separator) = match before.as_bytes().last() {
        None => return Some(("", Separator::None)),
        Some(b'@' | b'/') => (&before[..before.len() - 1], Separator::Hard),
        Some(b'-' | b'_') => (&before[..before.len() - 1], Separator::Soft),
        Some(b'=') => (before.trim_end_matches('='), Separator::Hard),
        Some(_) => (before, Separator::None),
    };
    let plain = name.strip_prefix('@').unwrap_or(name);
    let first = plain.chars().next()?;
    let is_name = first.is_alphanumeric()
        && name
            .chars()
            .all(|letter| letter.is_alphanumeric() || "@/._-+".contains(letter))
        && name.ends_with(char::is_alphanumeric);
    let marks = plain
        .split(|letter: char| !letter.is_alphanumeric())
        .any(|word| MARKER_WORDS.contains(&word.to_lowercase().as_str()));
    (is_name && !marks).then_some((name, separator))
}

/// Whether so many numbers are a version after such a name.
fn is_enough(
    name: &str,
    separator: Separator,
    marked: bool,
    numbers: &[u64],
    digits: &str,
) -> bool {
    if numbers.len() > 1 {
        return true;
    }
    let one_word = !name.contains(['-', '_', '.', '/']);
    let last = last_word(name).to_lowercase();
    match separator {
        // `v3`, `20240325`
        Separator::None => name.is_empty() && (marked || is_day(digits)),
        Separator::Soft => {
            DEPLOY_NAMES.contains(&last.as_str()) || is_day(digits) || marked && one_word
        }
        Separator::Hard => marked || DEPLOY_NAMES.contains(&last.as_str()) || is_day(digits),
    }
}

fn last_word(name: &str) -> &str {
    name.rsplit(['-', '_', '/', '@']).next().unwrap_or(name)
}

/// Eight digits that are a day: `20240325`.
fn is_day(digits: &str) -> bool {
    let day = digits
        .split(|letter: char| !letter.is_ascii_digit())
        .next()
        .unwrap_or_default();
    day.len() == 8
        && chrono::NaiveDate::parse_from_str(day, "%Y%m%d").is_ok()
        && (day.starts_with("19") || day.starts_with("20"))
}

/// `1.2.3`, `14_2`, `2024-03-25`: at most six numbers with one kind of separator, and the rest.
fn numbers_of(text: &str) -> Option<(Vec<u64>, &str)> {
    let mut numbers = Vec::new();
    let mut rest = text;
    let mut kind = None;
    loop {
        let end = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        if end == 0 {
            return None;
        }
        numbers.push(rest[..end].parse().ok()?);
        rest = &rest[end..];
        let next = rest.bytes().next();
        let goes_on = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
            && match next {
                Some(b'.' | b'_') => kind.is_none() || kind == next,
                // A hyphen parts the numbers of a day only; elsewhere a suffix follows.
                Some(b'-') => is_date(text) && (kind.is_none() || kind == next),
                _ => false,
            };
        if !goes_on || numbers.len() == 6 {
            return Some((numbers, rest));
        }
        kind = next;
        rest = &rest[1..];
    }
}

/// Begins with `2024-03-25`.
fn is_date(text: &str) -> bool {
    text.get(..10)
        .is_some_and(|day| chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok())
}

/// Whether what follows the numbers makes a pre-release; `None` when it makes no version at all.
fn read_suffix(suffix: &str) -> Option<(bool, String)> {
    let (told, _build) = suffix.split_once('+').unwrap_or((suffix, ""));
    let Some(first) = told.chars().next() else {
        return Some((false, String::new()));
    };
    if !first.is_ascii_alphabetic() && !"-._".contains(first) {
        return None;
    }
    if !told
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter))
        || !told.ends_with(|letter: char| letter.is_ascii_alphanumeric())
    {
        return None;
    }
    let words = words_of(&told.to_ascii_lowercase());
    // `v1.2.x` is a line of versions, not one.
    if words == ["x"] {
        return None;
    }
    let is_number = |word: &str| word.bytes().all(|letter| letter.is_ascii_digit());
    let mut prerelease = false;
    for (index, word) in words.iter().enumerate() {
        let numbered = words.get(index + 1).is_some_and(|next| is_number(next));
        let known = OUT_WORDS.contains(&word.as_str()) || is_number(word);
        let early =
            PRE_WORDS.contains(&word.as_str()) || numbered && PRE_LETTERS.contains(&word.as_str());
        // `1.1.1k`: one letter that runs into the numbers counts repairs.
        let repair = index == 0 && word.len() == 1 && first.is_ascii_alphabetic();
        if early {
            prerelease = true;
            break;
        }
        if !known && !repair {
            prerelease = true;
        }
    }
    let out = words
        .iter()
        .any(|word| word == "hotfix" || word == "emergency");
    let early = words.iter().any(|word| PRE_WORDS.contains(&word.as_str()));
    Some((prerelease && (early || !out), words.concat()))
}

/// Runs of letters and runs of digits: `rc1` is two words.
fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = None;
    for letter in text.chars() {
        let kind = (letter.is_ascii_digit(), letter.is_ascii_alphanumeric());
        if kind.1 {
            match (last == Some(kind), words.last_mut()) {
                (true, Some(word)) => word.push(letter),
                _ => words.push(letter.to_string()),
            }
        }
        last = Some(kind);
    }
    words
}

/// The name without the words that only say "release"; `None` when nothing is left.
fn owner_of(name: &str, separator: Separator) -> Option<&str> {
    // A few letters that run into the version are a spelling of "version": `go1.21`, `n4.3`.
    if separator == Separator::None {
        return None;
    }
    let generic = |word: &str| RELEASE_NAMES.contains(&word.to_lowercase().as_str());
    let mut owner = name;
    loop {
        let before = owner;
        if let Some((rest, last)) = owner.rsplit_once(['-', '_', '/', '@'])
            && generic(last)
        {
            owner = rest;
        }
        if let Some((first, rest)) = owner.split_once(['-', '_', '/'])
            && generic(first)
        {
            owner = rest;
        }
        if owner == before {
            break;
        }
    }
    (!owner.is_empty() && owner != "@" && !generic(owner)).then_some(owner)
}

#[cfg(test)]
mod tests;
