//! What a configuration that is read again changes in a service that runs.

use std::collections::BTreeMap;

use crate::config::Settings;

/// The keys that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// In force from now on.
    pub applied: Vec<String>,
    /// What is open or being read goes on as it was.
    pub after_restart: Vec<String>,
}

impl Reload {
    pub const fn is_empty(&self) -> bool {
        self.applied.is_empty() && self.after_restart.is_empty()
    }
}

/// What was opened at the start stays as it was.
const AT_THE_START: [&str; 4] = ["data_dir", "stores", "ingest", "api"];
/// Below those, what is asked for only when it is used.
const LATER: [&str; 1] = ["stores.cassandra.nodetool"];

/// Which values differ; a value that is a default in one of them counts.
pub fn compare(old: &Settings, new: &Settings) -> Reload {
    let values = |settings: &Settings| -> BTreeMap<String, String> {
        let values = settings.values.iter();
        values
            .map(|value| (value.key.clone(), value.value.to_string()))
            .collect()
    };
    let (before, after) = (values(old), values(new));
    let mut reload = Reload::default();
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        if before.get(key) == after.get(key) {
            continue;
        }
        let within = |name: &str| {
            key.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let waits = AT_THE_START.into_iter().any(within) && !LATER.into_iter().any(within);
        if waits {
            reload.after_restart.push(key.clone());
        } else {
            reload.applied.push(key.clone());
        }
    }
    reload
}

/// The new settings with what was opened at the start.
pub fn merged(old: &Settings, new: Settings) -> Settings {
    Settings {
        data_dir: old.data_dir.clone(),
        logs_place: old.logs_place.clone(),
        metrics_place: old.metrics_place.clone(),
        ingest: old.ingest.clone(),
        api: old.api.clone(),
        ..new
    }
}
