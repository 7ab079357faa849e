//! Lengths of time as people write and read them: `90s`, `5m`, `1h30m`, `30d`; in words `5 min`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A whole number of seconds, minutes, hours or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Length(pub Duration);

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no length of time; write a whole number with its unit, as in `90s`, `5m`, `4h` or `30d`"
)]
pub struct NoLength(String);

impl FromStr for Length {
    type Err = NoLength;

    fn from_str(text: &str) -> Result<Self, NoLength> {
        let wrong = || NoLength(text.chars().take(40).collect());
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut seconds = 0_u64;
        while !rest.is_empty() {
            let digits = rest
                .find(|sign: char| !sign.is_ascii_digit())
                .ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = rest[digits..].trim_start();
            let letters = rest
                .find(|sign: char| !sign.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "s" => 1,
                "m" | "min" => 60,
                "h" => 3_600,
                "d" => 86_400,
                _ => return Err(wrong()),
            };
            let part = number.checked_mul(unit).ok_or_else(wrong)?;
            seconds = seconds.checked_add(part).ok_or_else(wrong)?;
            rest = rest[letters..].trim_start();
        }
        Ok(Self(Duration::from_secs(seconds)))
    }
}

impl TryFrom<String> for Length {
    type Error = NoLength;

    fn try_from(text: String) -> Result<Self, NoLength> {
        text.parse()
    }
}

impl Length {
    /// The largest unit that is exact, and how many of it.
    const fn largest(self) -> (u64, &'static str) {
        let seconds = self.0.as_secs();
        match seconds {
            0 => (0, "s"),
            _ if seconds.is_multiple_of(86_400) => (seconds / 86_400, "d"),
            _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, "h"),
            _ if seconds.is_multiple_of(60) => (seconds / 60, "m"),
            _ => (seconds, "s"),
        }
    }

    /// In a sentence: `90 s`, `5 min`, `4 h`, `30 d`.
    pub fn words(self) -> String {
        match self.largest() {
            (number, "m") => format!("{number} min"),
            (number, unit) => format!("{number} {unit}"),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = self.largest();
        formatter.pad(&format!("{number}{unit}"))
    }
}

impl From<Length> for String {
    fn from(length: Length) -> Self {
        length.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_length_says_how_one_is_written() {
        for text in [
            "",
            "5",
            "m",
            "5 weeks",
            "-5m",
            "1.5h",
            "99999999999999999999s",
            "213503982334602d",
            "5mm",
            "1h30",
            "1h-30m",
        ] {
            let error = text.parse::<Length>().unwrap_err();
            assert!(error.to_string().contains("`5m`"), "{error}");
        }
    }

    #[test]
    fn words_take_the_largest_exact_unit() {
        let shown = [0, 90, 300, 3_600, 5_400, 86_400]
            .map(|seconds| Length(Duration::from_secs(seconds)).words());
        assert_eq!(shown, ["0 s", "90 s", "5 min", "1 h", "90 min", "1 d"]);
    }

    proptest! {
        #[test]
        fn parts_add_up(parts in proptest::collection::vec((0_u64..10_000, 0_usize..4), 1..5), gap in " ?") {
            let units = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];
            let text: Vec<String> = parts.iter().map(|(number, unit)| format!("{number}{gap}{}", units[*unit].0)).collect();
            let seconds = parts.iter().map(|(number, unit)| number * units[*unit].1).sum();
            let length: Length = text.join(&gap).parse().unwrap();
            prop_assert_eq!(length.0, Duration::from_secs(seconds));
        }

        #[test]
        fn every_length_is_written_so_that_it_reads_back(seconds in 0_u64..10_000_000_000) {
            let length = Length(Duration::from_secs(seconds));
            prop_assert_eq!(length.to_string().parse::<Length>().unwrap(), length);
        }

        #[test]
        fn no_text_panics(text in ".{0,12}") {
            let _ = text.parse::<Length>();
        }
    }
}
