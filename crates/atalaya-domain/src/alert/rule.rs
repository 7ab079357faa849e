//! Rules: what is measured, and from which value on it is too much.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{RuleFacts, Severity, show_number};
use crate::dora::Metric;
use crate::length::Length;

/// Which side of the threshold is the wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Comparison {
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }

    /// Whether more is worse.
    pub const fn is_upward(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }

    pub fn is_breached(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }

    /// Whether `value` is further on the wrong side than `than`.
    pub fn is_worse(self, value: f64, than: f64) -> bool {
        if self.is_upward() {
            value > than
        } else {
            value < than
        }
    }
}

/// What a rule looks at. Windows are whole minutes; a minute is the unit that summaries count by.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Records that match, in any window of this length.
    Count { query: String, window: Duration },
    /// The part of the records of `of` that match `query` too, 0 to 1. With a `fast` window both have
    /// to be beyond the threshold: the long one says that it matters, the short one that it goes on.
    Ratio {
        query: String,
        of: String,
        window: Duration,
        fast: Option<Duration>,
        /// With fewer records than this in the long window nothing is said.
        least: u64,
    },
    /// Minutes since the last record that matches.
    Absence { query: String },
    /// A delivery metric over days, in its own unit.
    Dora {
        metric: Metric,
        days: u32,
        service: Option<String>,
        team: Option<String>,
    },
    /// A measured value of the system by its name, as `atalaya alerts rules --measures` lists them.
    Health { measure: String },
    /// Hours since a job ended well for the last time.
    JobAge { job: String },
}

impl Measure {
    /// The query of the records behind it.
    pub fn query(&self) -> Option<&str> {
        match self {
            Self::Count { query, .. } | Self::Ratio { query, .. } | Self::Absence { query } => {
                Some(query)
            }
            Self::Dora { .. } | Self::Health { .. } | Self::JobAge { .. } => None,
        }
    }

    /// How far back it looks.
    pub fn window(&self) -> Option<Duration> {
        match self {
            Self::Count { window, .. } | Self::Ratio { window, .. } => Some(*window),
            Self::Dora { days, .. } => Some(Duration::from_secs(u64::from(*days) * 86_400)),
            Self::Absence { .. } | Self::Health { .. } | Self::JobAge { .. } => None,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { query, window } => {
                write!(
                    formatter,
                    "records `{query}` in {}",
                    Length(*window).words()
                )
            }
            Self::Ratio {
                query,
                of,
                window,
                fast,
                ..
            } => {
                write!(formatter, "part `{query}` of `{of}` in ")?;
                if let Some(fast) = fast {
                    write!(formatter, "{} and in ", Length(*fast).words())?;
                }
                formatter.write_str(&Length(*window).words())
            }
            Self::Absence { query } => write!(formatter, "minutes without `{query}`"),
            Self::Dora {
                metric,
                days,
                service,
                team,
            } => {
                write!(formatter, "{} over {days} days", metric.key())?;
                if let Some(service) = service {
                    write!(formatter, " of service {service}")?;
                }
                if let Some(team) = team {
                    write!(formatter, " of team {team}")?;
                }
                Ok(())
            }
            Self::Health { measure } => formatter.write_str(measure),
            Self::JobAge { job } => {
                write!(formatter, "hours since the job `{job}` last succeeded")
            }
        }
    }
}

/// Where a rule was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleOrigin {
    BuiltIn,
    /// In the metrics store, by `atalaya alerts rules --add`.
    Stored,
    /// In a configuration file.
    Configured,
}

impl RuleOrigin {
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Stored => "stored",
            Self::Configured => "configured",
        }
    }
}

/// What is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Letters, digits, `-`, `_` and `.`; unique.
    pub name: String,
    pub measure: Measure,
    pub when: Comparison,
    /// In the unit of the measure.
    pub threshold: f64,
    /// A firing alert resolves only when the value is no longer beyond this one; the threshold
    /// when `None`.
    pub clear: Option<f64>,
    /// How long it has to last before it fires.
    pub hold: Duration,
    pub severity: Severity,
    pub labels: BTreeMap<String, String>,
    /// Empty: every channel.
    pub channels: Vec<String>,
    /// What to do, in a sentence.
    pub todo: String,
    /// While one of these rules fires, nobody is told of this one.
    pub inhibited_by: Vec<String>,
    pub origin: RuleOrigin,
}

impl Rule {
    pub fn is_breached(&self, value: f64) -> bool {
        self.when.is_breached(value, self.threshold)
    }

    /// Whether a firing alert goes on with this value.
    pub fn goes_on(&self, value: f64) -> bool {
        self.when
            .is_breached(value, self.clear.unwrap_or(self.threshold))
    }

    pub fn facts(&self) -> RuleFacts {
        RuleFacts {
            name: self.name.clone(),
            severity: self.severity,
            measure: self.measure.to_string(),
            query: self.measure.query().map(str::to_owned),
            when: self.when,
            threshold: self.threshold,
            todo: self.todo.clone(),
            labels: self.labels.clone(),
            channels: self.channels.clone(),
        }
    }

    /// `records `level>=error` in 5 min >= 10`.
    pub fn condition(&self) -> String {
        format!(
            "{} {} {}",
            self.measure,
            self.when.sign(),
            show_number(self.threshold)
        )
    }

    /// How far the value is from the threshold, as a part of it: negative on the right side, 0 at it,
    /// positive beyond. `None` when the threshold is 0.
    pub fn distance(&self, value: f64) -> Option<f64> {
        if self.threshold.abs() < f64::EPSILON {
            return None;
        }
        let beyond = (value - self.threshold) / self.threshold.abs();
        Some(if self.when.is_upward() {
            beyond
        } else {
            -beyond
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_belongs_to_the_side_that_the_comparison_says() {
        for (when, below, at, above) in [
            (Comparison::Above, false, false, true),
            (Comparison::AtLeast, false, true, true),
            (Comparison::Below, true, false, false),
            (Comparison::AtMost, true, true, false),
        ] {
            let breached = [9.0, 10.0, 11.0].map(|value| when.is_breached(value, 10.0));
            assert_eq!(breached, [below, at, above], "{when:?}");
        }
    }
}
