//! A rule as people write it, in a file or in the store, and the checked one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use atalaya_domain::alert::{Comparison, Measure, Rule, RuleOrigin, Severity, health};
use atalaya_domain::dora::Metric;
use atalaya_domain::job;
use atalaya_domain::length::Length;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Query, QueryClock, Zone, suggest};

use super::ChannelConfig;

/// Longest name of a rule.
const NAME_LENGTH: usize = 100;
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 86_400);
const LONGEST_HOLD: Duration = Duration::from_secs(7 * 86_400);
const MOST_DAYS: u32 = 365;

/// `[[alerts.rules]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    pub name: String,
    pub measure: MeasureConfig,
    /// A comparison and a number: `>= 10`, `> 0.05`, `< 1`.
    pub when: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Length>,
    #[serde(default)]
    pub severity: Severity,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    #[serde(default)]
    pub todo: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inhibited_by: Vec<String>,
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}

/// `measure = { kind = …, … }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum MeasureConfig {
    Count {
        query: String,
        window: Length,
    },
    Ratio {
        query: String,
        of: String,
        window: Length,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fast: Option<Length>,
        #[serde(default = "few")]
        least: u64,
    },
    Absence {
        query: String,
    },
    Dora {
        metric: String,
        #[serde(default = "month")]
        days: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<String>,
    },
    Health {
        measure: String,
    },
    Job {
        job: String,
    },
}

const fn few() -> u64 {
    20
}

const fn month() -> u32 {
    30
}

impl RuleConfig {
    /// The rule, or what is wrong with it and what to write.
    pub fn rule(&self) -> Result<Rule, String> {
        check_name(&self.name)?;
        let measure = measure(&self.measure)?;
        let (when, threshold) = condition(&self.when)?;
        if matches!(measure, Measure::Ratio { .. }) && !(0.0..=1.0).contains(&threshold) {
            return Err(format!(
                "when: a part is between 0 and 1; for 5 % write `{} 0.05`",
                when.sign()
            ));
        }
        if matches!(measure, Measure::Absence { .. }) && !(when.is_upward() && threshold >= 1.0) {
            return Err("when: an absence is measured in minutes; write `>= 10`".to_owned());
        }
        let hold = self.hold.map_or(Duration::ZERO, |hold| hold.0);
        if hold > LONGEST_HOLD {
            return Err("hold: longer than a week; write `5m`".to_owned());
        }
        let rule = Rule {
            name: self.name.clone(),
            measure,
            when,
            threshold,
            clear: self.clear,
            hold,
            severity: self.severity,
            labels: self.labels.clone(),
            channels: self.channels.clone(),
            todo: self.todo.clone(),
            inhibited_by: self.inhibited_by.clone(),
            origin: RuleOrigin::Configured,
        };
        if let Some(clear) = self.clear
            && (!clear.is_finite()
                || rule.is_breached(clear) && clear.to_bits() != threshold.to_bits())
        {
            return Err(format!(
                "clear: {clear} is on the wrong side of `{}`, so the alert would end before it began; write a value that is well",
                self.when
            ));
        }
        Ok(rule)
    }
}

/// What a name may be made of: it stands in addresses, patterns and on the command line.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
    if !name.is_empty() && name.len() <= NAME_LENGTH && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "name: `{}` cannot be a name; take up to {NAME_LENGTH} letters, digits, `-`, `_` and `.`, as in `shop-errors`",
        name.chars().take(NAME_LENGTH).collect::<String>()
    ))
}

fn measure(written: &MeasureConfig) -> Result<Measure, String> {
    Ok(match written {
        MeasureConfig::Count { query, window } => Measure::Count {
            query: checked_query("query", query)?,
            window: checked_window("window", *window)?,
        },
        MeasureConfig::Ratio {
            query,
            of,
            window,
            fast,
            least,
        } => {
            let long = checked_window("window", *window)?;
            let fast = fast.map(|fast| checked_window("fast", fast)).transpose()?;
            if fast.is_some_and(|fast| fast >= long) {
                return Err("fast: must be shorter than `window`; write `fast = \"5m\"` beside `window = \"1h\"`".to_owned());
            }
            Measure::Ratio {
                query: checked_query("query", query)?,
                of: checked_query("of", of)?,
                window: long,
                fast,
                least: (*least).max(1),
            }
        }
        MeasureConfig::Absence { query } => Measure::Absence {
            query: checked_query("query", query)?,
        },
        MeasureConfig::Dora {
            metric,
            days,
            service,
            team,
        } => Measure::Dora {
            metric: Metric::from_word(metric).ok_or_else(|| {
                let known: Vec<&str> = Metric::ALL.iter().map(|metric| metric.key()).collect();
                format!(
                    "metric: `{metric}` is no metric; use one of {}",
                    known.join(", ")
                )
            })?,
            days: Some(*days)
                .filter(|days| (1..=MOST_DAYS).contains(days))
                .ok_or_else(|| {
                    format!("days: {days} is not between 1 and {MOST_DAYS}; write 30")
                })?,
            service: service.clone(),
            team: team.clone(),
        },
        MeasureConfig::Health { measure } => Measure::Health {
            measure: checked_health(measure)?,
        },
        MeasureConfig::Job { job } => Measure::JobAge {
            job: checked_job(job)?,
        },
    })
}

fn checked_query(key: &str, text: &str) -> Result<String, String> {
    let clock = QueryClock {
        now: Timestamp::from_seconds(0),
        zone: Zone::Utc,
    };
    let query =
        Query::parse(text, &clock).map_err(|error| format!("{key}: {}", error.render(text)))?;
    if query.range() != TimeRange::ALL {
        return Err(format!(
            "{key}: the rule has a window of its own; take `since:`, `until:` and `at:` out of `{text}`"
        ));
    }
    Ok(text.to_owned())
}

fn checked_window(key: &str, window: Length) -> Result<Duration, String> {
    let seconds = window.0.as_secs();
    if seconds == 0 || !seconds.is_multiple_of(60) || window.0 > LONGEST_WINDOW {
        return Err(format!(
            "{key}: {window} is not a whole number of minutes from 1m to 7d; write `5m`"
        ));
    }
    Ok(window.0)
}

/// A known measure, or the `component.measure` of a health sample.
fn checked_health(name: &str) -> Result<String, String> {
    let known = || health::MEASURES.iter().map(|(known, _)| *known);
    if known().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let near = suggest::nearest(name, known());
    match near {
        Some(near) => Err(format!(
            "measure: `{name}` is not measured; did you mean `{near}`?"
        )),
        None if name.contains('.') => Ok(name.to_owned()),
        None => Err(format!(
            "measure: `{name}` is not measured; use one of {}, or the component and measure of a health sample, as in `backup.age_hours`",
            known().collect::<Vec<_>>().join(", ")
        )),
    }
}

fn checked_job(name: &str) -> Result<String, String> {
    if job::NAMES.contains(&name) {
        return Ok(name.to_owned());
    }
    let remedy = suggest::nearest(name, job::NAMES).map_or_else(
        || format!("use one of {}", job::NAMES.join(", ")),
        |near| format!("did you mean `{near}`? There are {}", job::NAMES.join(", ")),
    );
    Err(format!("job: there is no job `{name}`; {remedy}"))
}

/// `>= 10`.
fn condition(text: &str) -> Result<(Comparison, f64), String> {
    let trimmed = text.trim();
    let known = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        (">", Comparison::Above),
        ("<", Comparison::Below),
    ];
    let found = known
        .iter()
        .find_map(|(sign, when)| Some((*when, trimmed.strip_prefix(sign)?)));
    found
        .and_then(|(when, number)| Some((when, number.trim().parse::<f64>().ok()?)))
        .filter(|(_, number)| number.is_finite())
        .ok_or_else(|| {
            format!("when: `{text}` is no condition; write a comparison and a number, as in `>= 10` or `< 0.5`")
        })
}

/// Each channel of a rule is there.
pub fn check_channels(
    rule: &Rule,
    channels: &BTreeMap<String, ChannelConfig>,
) -> Result<(), String> {
    for name in &rule.channels {
        if channels.contains_key(name) {
            continue;
        }
        let near = suggest::nearest(name, channels.keys().map(String::as_str));
        let remedy = near.map_or_else(
            || format!("make one with [alerts.channels.{name}]"),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(format!("channels: there is no channel `{name}`; {remedy}"));
    }
    Ok(())
}

/// Each rule that hides others is there, and none hides itself, also not by way of others: both would
/// be silent for ever. The rule at fault, and why.
pub fn check_inhibitions(rules: &BTreeMap<String, Rule>) -> Result<(), (String, String)> {
    for rule in rules.values() {
        for by in &rule.inhibited_by {
            if !rules.contains_key(by) {
                let near = suggest::nearest(by, rules.keys().map(String::as_str));
                let remedy = near.map_or_else(
                    || "name one that `atalaya alerts rules` lists".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("inhibited_by: there is no rule `{by}`; {remedy}");
                return Err((rule.name.clone(), message));
            }
        }
    }
    check_circles(rules)
}

/// None hides itself, also not by way of others; a name that is not there hides nothing.
pub fn check_circles(rules: &BTreeMap<String, Rule>) -> Result<(), (String, String)> {
    for rule in rules.values() {
        let mut seen = Vec::new();
        let mut next: Vec<&str> = rule.inhibited_by.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            if name == rule.name {
                let message = "inhibited_by: leads back to the rule itself, so that all of them would be silent; take one out";
                return Err((rule.name.clone(), message.to_owned()));
            }
            if !seen.contains(&name) {
                seen.push(name);
                let behind = rules.get(name).map(|rule| &rule.inhibited_by);
                next.extend(behind.into_iter().flatten().map(String::as_str));
            }
        }
    }
    Ok(())
}
