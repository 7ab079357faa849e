//! Silences: for a while nobody is told of some alerts, with the reason.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{TimeRange, Timestamp};

/// Why nobody is told of an alert that fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mute {
    /// By the silence of this id.
    Silenced {
        silence: String,
        #[serde(with = "crate::time::rfc3339")]
        until: Timestamp,
    },
    /// This rule fires, and explains it.
    Inhibited { by: String },
}

impl fmt::Display for Mute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silenced { silence, until } => {
                write!(formatter, "silenced until {until} ({silence})")
            }
            Self::Inhibited { by } => write!(formatter, "behind {by}"),
        }
    }
}

/// No notices of some rules for a while. The alerts themselves are kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    /// Name of a rule; `*` stands for any letters.
    pub rule: String,
    pub reason: String,
    pub by: String,
    #[serde(with = "crate::time::rfc3339")]
    pub from: Timestamp,
    #[serde(with = "crate::time::rfc3339")]
    pub until: Timestamp,
}

impl Silence {
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.range().contains(now)
    }

    pub fn range(&self) -> TimeRange {
        TimeRange::new(self.from, self.until)
    }

    pub fn covers(&self, rule: &str) -> bool {
        matches(self.rule.as_bytes(), rule.as_bytes())
    }

    /// Whether both silence one rule at one time, by what the patterns allow.
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.range().intersect(&other.range()).is_empty()
            && intersect(self.rule.as_bytes(), other.rule.as_bytes())
    }

    pub fn mute(&self) -> Mute {
        Mute::Silenced {
            silence: self.id.clone(),
            until: self.until,
        }
    }
}

/// Whether a name fits a pattern with `*`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the last star stood, and what of the name it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, read));
            at += 1;
        } else if pattern.get(at) == name.get(read) {
            at += 1;
            read += 1;
        } else if let Some((of, swallowed)) = star {
            star = Some((of, swallowed + 1));
            at = of + 1;
            read = swallowed + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|sign| *sign == b'*')
}

/// Whether some name fits both patterns.
fn intersect(left: &[u8], right: &[u8]) -> bool {
    // `meet[j]`: whether what is left of `left` and `right[j..]` can be one name; from the ends.
    let ends_in_stars = |rest: &[u8]| rest.iter().all(|sign| *sign == b'*');
    let mut meet: Vec<bool> = (0..=right.len())
        .map(|at| ends_in_stars(&right[at..]))
        .collect();
    for at in (0..left.len()).rev() {
        let mut here = vec![false; right.len() + 1];
        here[right.len()] = ends_in_stars(&left[at..]);
        for other in (0..right.len()).rev() {
            here[other] = if left[at] == b'*' || right[other] == b'*' {
                // One star stands for nothing more, or for the sign of the other side.
                meet[other] || here[other + 1]
            } else {
                left[at] == right[other] && meet[other + 1]
            };
        }
        meet = here;
    }
    meet[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn silence(rule: &str, from: i64, until: i64) -> Silence {
        Silence {
            id: "s".to_owned(),
            rule: rule.to_owned(),
            reason: "work".to_owned(),
            by: "me".to_owned(),
            from: Timestamp::from_seconds(from),
            until: Timestamp::from_seconds(until),
        }
    }

    #[test]
    fn a_silence_holds_for_its_rules_and_its_time() {
        let silence = silence("shop-*", 10, 20);
        assert!(silence.covers("shop-errors") && silence.covers("shop-"));
        assert!(!silence.covers("shop") && !silence.covers("my-shop-errors"));
        let active = [9, 10, 19, 20].map(|at| silence.is_active(Timestamp::from_seconds(at)));
        assert_eq!(active, [false, true, true, false]);
    }

    #[test]
    fn silences_overlap_when_one_rule_could_be_silenced_twice() {
        let first = silence("shop-*", 10, 20);
        assert!(first.overlaps(&silence("*-errors", 15, 30)));
        assert!(!first.overlaps(&silence("*-errors", 20, 30)));
        assert!(!first.overlaps(&silence("billing", 15, 30)));
    }

    proptest! {
        /// Against all names of up to four letters.
        #[test]
        fn patterns_meet_where_a_name_fits_both(left in "[ab*]{0,3}", right in "[ab*]{0,3}") {
            let mut names = vec![String::new()];
            let mut last = names.clone();
            for _ in 0..6 {
                last = last.iter().flat_map(|name| ["a", "b"].map(|letter| format!("{name}{letter}"))).collect();
                names.extend(last.iter().cloned());
            }
            let both = names.iter().any(|name| {
                matches(left.as_bytes(), name.as_bytes()) && matches(right.as_bytes(), name.as_bytes())
            });
            prop_assert_eq!(intersect(left.as_bytes(), right.as_bytes()), both);
        }
    }
}
