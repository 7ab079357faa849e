//! All rules there are: built-in ones, those of the store, and the configured ones. Of one name the
//! later one counts: what stands in a file is what its author sees.

use std::collections::BTreeMap;

use super::AlertError;
use crate::config::AlertSettings;
use crate::config::alerts::{RuleConfig, rules as checks};
use atalaya_domain::alert::Rule;
use atalaya_domain::alert::rule::RuleOrigin;
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::{MetricsStore, StoredRule};

/// Rules of the store; each costs a little at each evaluation.
const MOST_STORED: usize = 10_000;

/// The rules that are evaluated.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    /// By name.
    pub rules: Vec<Rule>,
    /// Stored rules that cannot be used, with the reason: an older or newer program wrote them.
    pub unusable: Vec<(String, String)>,
}

impl Rulebook {
    pub async fn load(
        store: &dyn MetricsStore,
        settings: &AlertSettings,
    ) -> Result<Self, AlertError> {
        let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
        let mut unusable = Vec::new();
        let add = |rule: &Rule, rules: &mut BTreeMap<String, Rule>| {
            rules.insert(rule.name.clone(), rule.clone());
        };
        for rule in settings
            .rules
            .iter()
            .filter(|rule| rule.origin == RuleOrigin::BuiltIn)
        {
            add(rule, &mut rules);
        }
        for stored in store.alert_rules().await? {
            match usable(&stored, settings) {
                Ok(Some(rule)) => add(&rule, &mut rules),
                Ok(None) => {
                    rules.remove(&stored.name);
                }
                Err(why) => unusable.push((stored.name, why)),
            }
        }
        for rule in settings
            .rules
            .iter()
            .filter(|rule| rule.origin == RuleOrigin::Configured)
        {
            add(rule, &mut rules);
        }
        rules.retain(|name, _| !settings.disabled.contains(name));
        // Rules of files and of the store may name each other in a circle only together.
        while let Err((name, why)) = checks::check_circles(&rules) {
            if let Some(rule) = rules.get_mut(&name) {
                rule.inhibited_by.clear();
            }
            unusable.push((name, why));
        }
        Ok(Self {
            rules: rules.into_values().collect(),
            unusable,
        })
    }

    pub fn get(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

/// The rule; `None` when it is switched off.
fn usable(stored: &StoredRule, settings: &AlertSettings) -> Result<Option<Rule>, String> {
    let written: RuleConfig =
        serde_json::from_str(&stored.body).map_err(|error| error.to_string())?;
    let mut rule = written.rule()?;
    rule.origin = RuleOrigin::Stored;
    checks::check_channels(&rule, &settings.channels)?;
    Ok(written.enabled.then_some(rule))
}

/// Keeps a rule in the store, for all hosts on it. `text` is TOML, as in `[[alerts.rules]]`.
pub async fn add_rule(
    store: &dyn MetricsStore,
    settings: &AlertSettings,
    text: &str,
    by: &str,
    now: Timestamp,
) -> Result<Rule, AlertError> {
    let wrong = |message: String| AlertError::Wrong(message);
    let written: RuleConfig =
        toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
    let mut rule = written.rule().map_err(wrong)?;
    rule.origin = RuleOrigin::Stored;
    checks::check_channels(&rule, &settings.channels).map_err(wrong)?;
    let book = Rulebook::load(store, settings).await?;
    let known = book.get(&rule.name);
    if known.is_some_and(|known| known.origin == RuleOrigin::Configured) {
        return Err(AlertError::Wrong(format!(
            "name: a configuration file has a rule `{}`, which would win; take another name, or change it there",
            rule.name
        )));
    }
    if book.rules.len() >= MOST_STORED && known.is_none() {
        return Err(AlertError::Wrong(format!(
            "there are {MOST_STORED} rules already; remove some"
        )));
    }
    let mut all: BTreeMap<String, Rule> = book
        .rules
        .into_iter()
        .map(|rule| (rule.name.clone(), rule))
        .collect();
    all.insert(rule.name.clone(), rule.clone());
    checks::check_inhibitions(&all).map_err(|(name, why)| wrong(format!("{name}: {why}")))?;
    let body = serde_json::to_string(&written).map_err(|error| wrong(error.to_string()))?;
    let stored = StoredRule {
        name: rule.name.clone(),
        body,
        changed_at: now,
        changed_by: by.to_owned(),
    };
    store.put_alert_rule(&stored).await?;
    Ok(rule)
}

/// Takes a rule out of the store.
pub async fn remove_rule(store: &dyn MetricsStore, name: &str) -> Result<(), AlertError> {
    if store.remove_alert_rule(name).await? {
        return Ok(());
    }
    Err(AlertError::Wrong(format!(
        "the store has no rule `{name}`; rules of files are changed there, built-in ones are switched off with `disable` in [alerts]"
    )))
}
