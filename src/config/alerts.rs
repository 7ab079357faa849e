//! `[alerts]`: what is watched, and who is told.
//!
//! The shape is checked with the rest of the configuration; the secrets of channels are only read by
//! whoever sends something ([`channels::resolve`]), so that `atalaya logs` needs none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use atalaya_domain::alert::{Rule, Severity, built_in};
use atalaya_domain::length::Length;

use super::places::Mistake;

pub mod channels;
pub mod rules;

pub use channels::{ChannelConfig, ChannelKind};
use rules::MeasureConfig;
pub use rules::RuleConfig;

/// Most rules that are configured: each costs a little at each evaluation.
const MOST_RULES: usize = 10_000;

/// `[alerts]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    pub enabled: bool,
    /// How often the rules are evaluated, from 1 s to 1 h.
    pub evaluate: Length,
    /// How late records may arrive and still count; at most 1 h.
    pub late: Length,
    /// Built-in rules that are switched off.
    pub disable: Vec<String>,
    /// Hosts that messages may be sent to, beside `hooks.slack.com`.
    pub allow_hosts: Vec<String>,
    pub heartbeat: Option<HeartbeatConfig>,
    pub rules: Vec<RuleConfig>,
    /// Absent: one of kind `file` called `file`.
    pub channels: BTreeMap<String, ChannelConfig>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            evaluate: Length(Duration::from_secs(60)),
            late: Length(Duration::from_secs(60)),
            disable: Vec::new(),
            allow_hosts: Vec::new(),
            heartbeat: None,
            rules: Vec::new(),
            channels: BTreeMap::new(),
        }
    }
}

/// `[alerts.heartbeat]`: a request each minute while the rules are evaluated, to somebody who says
/// so when it stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatConfig {
    pub url: Option<String>,
    pub url_env: Option<String>,
    pub url_file: Option<std::path::PathBuf>,
    pub ca_file: Option<std::path::PathBuf>,
}

/// `[policy]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Messages may be sent as mail; the program must be built with the feature `mail` too.
    pub allow_email: bool,
}

/// What `[alerts]` says, checked.
#[derive(Clone, Debug)]
pub struct AlertSettings {
    pub enabled: bool,
    pub evaluate: Duration,
    pub late: Duration,
    /// Built-in and configured ones, by name. A configured rule takes the place of a built-in one.
    pub rules: Vec<Rule>,
    /// Names that are switched off.
    pub disabled: BTreeSet<String>,
    /// By name; at least one.
    pub channels: BTreeMap<String, ChannelConfig>,
    pub heartbeat: Option<HeartbeatConfig>,
    /// Lower case.
    pub allow_hosts: BTreeSet<String>,
    pub policy: PolicyConfig,
}

impl AlertsConfig {
    /// One rule more than there always are: answers of the demo's company are slow now and then.
    pub fn of_made_up_data() -> Self {
        Self {
            rules: vec![RuleConfig {
                name: "slow-answers".to_owned(),
                measure: MeasureConfig::Count {
                    query: "level:warning source:app/*".to_owned(),
                    window: Length(Duration::from_secs(300)),
                },
                when: ">= 5".to_owned(),
                clear: Some(2.0),
                hold: None,
                severity: Severity::Warning,
                labels: BTreeMap::new(),
                channels: Vec::new(),
                todo: "look at what the slow requests have in common".to_owned(),
                inhibited_by: Vec::new(),
                enabled: true,
            }],
            ..Self::default()
        }
    }
}

/// Checks everything that can be checked without a secret.
pub fn resolve(config: &AlertsConfig, policy: PolicyConfig) -> Result<AlertSettings, Mistake> {
    between("evaluate", config.evaluate, 1, 3_600)?;
    between("late", config.late, 0, 3_600)?;
    let mut names = config.channels.clone();
    if names.is_empty() {
        names.insert("file".to_owned(), ChannelConfig::File { path: None });
    }
    let settings = AlertSettings {
        enabled: config.enabled,
        evaluate: config.evaluate.0,
        late: config.late.0,
        rules: all_rules(config, &names)?,
        disabled: disabled(&config.disable)?,
        channels: names,
        heartbeat: config.heartbeat.clone(),
        allow_hosts: channels::hosts(&config.allow_hosts)?,
        policy,
    };
    for (name, channel) in &settings.channels {
        channels::check(name, channel, &settings)
            .map_err(|mistake| mistake.below(&format!("channels.{name}")))?;
    }
    if let Some(heartbeat) = &settings.heartbeat {
        channels::check_address(&heartbeat.address(), &settings.allow_hosts)
            .map_err(|mistake| mistake.below("heartbeat"))?;
    }
    Ok(settings)
}

/// Each of these channels is configured.
pub fn check_names(
    names: &[String],
    channels: &BTreeMap<String, ChannelConfig>,
) -> Result<(), Mistake> {
    let Some(name) = names.iter().find(|name| !channels.contains_key(*name)) else {
        return Ok(());
    };
    let known: Vec<&str> = channels.keys().map(String::as_str).collect();
    let message = format!(
        "there is no channel `{name}`; there are {}",
        known.join(", ")
    );
    Err(Mistake::new("channels", message))
}

impl HeartbeatConfig {
    pub fn address(&self) -> channels::Address<'_> {
        channels::Address {
            url: self.url.as_deref(),
            env: self.url_env.as_deref(),
            file: self.url_file.as_deref(),
        }
    }
}

fn between(key: &str, length: Length, least: u64, most: u64) -> Result<(), Mistake> {
    if (least..=most).contains(&length.0.as_secs()) {
        return Ok(());
    }
    let message = format!("{length} is not between {least}s and {most}s; write `1m`");
    Err(Mistake::new(key, message))
}

fn all_rules(
    config: &AlertsConfig,
    channels: &BTreeMap<String, ChannelConfig>,
) -> Result<Vec<Rule>, Mistake> {
    if config.rules.len() > MOST_RULES {
        let message = format!(
            "{} rules are more than {MOST_RULES}; one rule can watch many sources (`source:shop/*`)",
            config.rules.len()
        );
        return Err(Mistake::new("rules", message));
    }
    let mut known: BTreeMap<String, Rule> = built_in::rules()
        .into_iter()
        .map(|rule| (rule.name.clone(), rule))
        .collect();
    let mut seen = BTreeSet::new();
    for (number, written) in (1..).zip(&config.rules) {
        let place = format!("rules[{number}] `{}`", written.name);
        let wrong = |message: String| Mistake::new(place.clone(), message);
        let rule = written.rule().map_err(&wrong)?;
        if !seen.insert(rule.name.clone()) {
            return Err(wrong(
                "another rule has this name; give it one of its own".to_owned(),
            ));
        }
        rules::check_channels(&rule, channels).map_err(&wrong)?;
        known.insert(rule.name.clone(), rule);
    }
    rules::check_inhibitions(&known)
        .map_err(|(rule, message)| Mistake::new(format!("rules `{rule}`"), message))?;
    // One that is configured and switched off is as if it were not there.
    for written in config.rules.iter().filter(|rule| !rule.enabled) {
        known.remove(&written.name);
    }
    Ok(known.into_values().collect())
}

fn disabled(names: &[String]) -> Result<BTreeSet<String>, Mistake> {
    let known: Vec<String> = built_in::rules()
        .into_iter()
        .map(|rule| rule.name)
        .collect();
    for name in names {
        if !known.contains(name) {
            let list = known.join(", ");
            let message = format!("`{name}` is no built-in rule; there are {list}");
            return Err(Mistake::new("disable", message));
        }
    }
    Ok(names.iter().cloned().collect())
}

#[cfg(test)]
mod tests;
