//! Puts the layers on top of each other and remembers which one each value came from.

use crate::text_file;
use std::fmt;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::Table;

use atalaya_query::suggest;

use super::file::FileConfig;
use super::places::{CASSANDRA_PASSWORD, MYSQL_PASSWORD, redacted};
use super::{ConfigError, Location};

/// Prefix of the environment variables; `__` separates tables: `ATALAYA_CONSOLE__THEME=light`.
const PREFIX: &str = "ATALAYA_";
/// Variables of the project's own tests, which may run the program in their environment.
const TEST_PREFIX: &str = "ATALAYA_TEST_";
/// Variables with the prefix that are not configuration.
const OTHER_VARIABLES: [&str; 4] = [
    "ATALAYA_CONFIG",
    "ATALAYA_REQUEST_ID",
    CASSANDRA_PASSWORD,
    MYSQL_PASSWORD,
];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    File(PathBuf),
    Variable(String),
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Variable(name) => formatter.write_str(name),
        }
    }
}

/// One configured value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Dotted: `console.theme`.
    pub key: String,
    pub value: toml::Value,
    pub layer: Layer,
}

#[derive(Debug, Default)]
pub struct Loaded {
    pub config: FileConfig,
    pub values: Vec<Value>,
}

/// A configuration is written by hand.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the files that exist and the variables, checks each, and merges them in this order.
pub fn load(
    locations: &[Location],
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let mut merged = Table::new();
    let mut values = Vec::new();
    for location in locations {
        let text = match text_file::read(&location.path, MOST_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !location.required => {
                continue;
            }
            Err(source) => {
                return Err(ConfigError::Unreadable {
                    path: location.path.clone(),
                    source,
                });
            }
        };
        let place = location.path.display().to_string();
        check::<FileConfig>(&text, &place)?;
        let table = check::<Table>(&text, &place)?;
        note_values("", &table, &Layer::File(location.path.clone()), &mut values);
        merge(&mut merged, table);
    }
    let mut named: Vec<(String, String)> = variables
        .filter(|(name, _)| name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX))
        .filter(|(name, _)| !OTHER_VARIABLES.contains(&name.as_str()))
        .collect();
    named.sort();
    for (name, text) in named {
        let table = table_of_variable(&name, &text);
        let written = table.to_string();
        check::<FileConfig>(&written, &format!("environment variable {name}"))?;
        note_values("", &table, &Layer::Variable(name), &mut values);
        merge(&mut merged, table);
    }
    let config = check::<FileConfig>(&merged.to_string(), "the merged configuration")?;
    Ok(Loaded { config, values })
}

/// Parses TOML; the error names the place, shows the line and suggests a key when one is unknown.
fn check<T: DeserializeOwned>(text: &str, place: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let mut message = described(&error, text);
        if let Some(suggestion) = suggest(error.message()) {
            message.push_str("\ndid you mean `");
            message.push_str(&suggestion);
            message.push_str("`?");
        }
        ConfigError::Invalid {
            place: place.to_owned(),
            message,
        }
    })
}

/// With a picture of the line, unless that may show a password. A key that is meant to hold one is
/// answered with where a password goes.
fn described(error: &toml::de::Error, text: &str) -> String {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let key = line
        .split('=')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let secret_key = ["pass", "pwd", "secret", "token"]
        .iter()
        .any(|word| key.contains(word));
    // The address of a webhook is a secret as a whole.
    let address = line.contains("://") && !key.contains("logs") && !key.contains("metrics");
    if !secret_key && !address && redacted(line) == line {
        return error.to_string().trim_end().to_owned();
    }
    let number = text[..start].matches('\n').count() + 1;
    // A message may repeat the value too.
    let what = if error.message().starts_with("unknown field") {
        error.message()
    } else {
        "cannot be read"
    };
    let remedy = if key.trim_end().ends_with("_file") {
        ""
    } else if address {
        "; the address of a channel does not stand in the configuration: name a variable with `url_env` or a file with `url_file`"
    } else {
        "; a password does not stand in the configuration: set ATALAYA_CASSANDRA_PASSWORD or ATALAYA_MYSQL_PASSWORD, or name a file with `password_file`"
    };
    format!("line {number} (not shown, it may hold a password): {what}{remedy}")
}

/// The known key that is nearest to the unknown one in serde's message, when it is near.
fn suggest(message: &str) -> Option<String> {
    let list = message
        .strip_prefix("unknown field")
        .or_else(|| message.strip_prefix("unknown variant"))?;
    let mut quoted = list.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    suggest::nearest(unknown, quoted).map(str::to_owned)
}

/// `ATALAYA_DORA__TARGETS__LEAD_TIME_HOURS=24` as nested tables. A text that is no TOML value is a
/// string, so that `ATALAYA_CONSOLE__THEME=light` needs no quotes.
fn table_of_variable(name: &str, text: &str) -> Table {
    let path = name.trim_start_matches(PREFIX).to_ascii_lowercase();
    let leaf = toml::from_str::<Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()));
    let mut keys: Vec<&str> = path.split("__").collect();
    let mut table = Table::new();
    if let Some(last) = keys.pop() {
        table.insert(last.to_owned(), leaf);
    }
    for key in keys.into_iter().rev() {
        table = Table::from_iter([(key.to_owned(), toml::Value::Table(table))]);
    }
    table
}

/// Tables are merged key by key; anything else, lists too, is replaced.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn note_values(prefix: &str, table: &Table, layer: &Layer, values: &mut Vec<Value>) {
    for (key, value) in table {
        let key = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        if let toml::Value::Table(inner) = value {
            note_values(&key, inner, layer, values);
        } else {
            values.retain(|known| known.key != key);
            values.push(Value {
                key,
                value: value.clone(),
                layer: layer.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> Location {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Location {
            path,
            required: true,
        }
    }

    #[test]
    fn nothing_configured_gives_the_defaults() {
        let loaded = load(&[], variables(&[])).unwrap();
        assert_eq!(loaded.config, FileConfig::default());
        assert!(loaded.values.is_empty());
    }

    #[test]
    fn later_layers_win_value_by_value() {
        let dir = tempfile::tempdir().unwrap();
        let system = file(
            &dir,
            "system.toml",
            "[console]\ntheme = \"light\"\nmouse = true\n",
        );
        let own = file(&dir, "own.toml", "[console]\ntheme = \"high-contrast\"\n");
        let loaded = load(
            &[system, own],
            variables(&[("ATALAYA_CONSOLE__UTC", "true"), ("HOME", "x")]),
        )
        .unwrap();
        assert_eq!(loaded.config.console.theme, "high-contrast");
        assert!(loaded.config.console.mouse);
        assert!(loaded.config.console.utc);
        let theme = loaded
            .values
            .iter()
            .find(|value| value.key == "console.theme")
            .unwrap();
        assert!(matches!(&theme.layer, Layer::File(path) if path.ends_with("own.toml")));
    }

    #[test]
    fn a_variable_needs_no_quotes() {
        let loaded = load(&[], variables(&[("ATALAYA_CONSOLE__THEME", "light")])).unwrap();
        assert_eq!(loaded.config.console.theme, "light");
    }

    #[test]
    fn an_unknown_key_names_the_place_and_the_likely_one() {
        let dir = tempfile::tempdir().unwrap();
        let own = file(&dir, "own.toml", "[console]\nthem = \"light\"\n");
        let message = load(&[own], variables(&[])).unwrap_err().to_string();
        assert!(message.contains("own.toml"), "{message}");
        assert!(message.contains("line 2"), "{message}");
        assert!(message.contains("did you mean `theme`?"), "{message}");

        let message = load(&[], variables(&[("ATALAYA_CONSOL__THEME", "x")]))
            .unwrap_err()
            .to_string();
        assert!(message.contains("ATALAYA_CONSOL__THEME"), "{message}");
        assert!(message.contains("did you mean `console`?"), "{message}");
    }

    /// R42: passwords are not shown.
    #[test]
    fn a_line_that_may_hold_a_password_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let lines = [
            "[stores.cassandra]\npassword = \"canary-9\"\n",
            "[stores.mysql]\nsecret = \"canary-9\"\n",
            "[stores]\nlogs = \"cassandra://me:canary-9@a/logging\n",
            "[stores]\nlog = \"cassandra://me:canary-9@a/logging\"\n",
            "[stores.cassandra]\npassword = canary-9\n",
            "[stores.mysql]\npassword_file = [\"canary-9\"]\n",
            "\n[alerts.channels.a]\nurl = \"https://hooks.slack.com/canary-9\"\nkind = \"slack\"\n",
            "[alerts]\nheartbeat = { addres = \"https://a.example/canary-9\" }\n",
        ];
        for text in lines {
            let own = file(&dir, "own.toml", text);
            let message = load(&[own], variables(&[])).unwrap_err().to_string();
            assert!(
                message.contains("own.toml") && message.contains("line 2"),
                "{message}"
            );
            assert!(!message.contains("canary"), "{message}");
        }
        for name in [
            "ATALAYA_CASSANDRA_PASSWROD",
            "ATALAYA_STORES__MYSQL__PASSWORD",
            "ATALAYA_STORES__LOG",
        ] {
            let message = load(&[], variables(&[(name, "x://me:canary-9@a/b")]))
                .unwrap_err()
                .to_string();
            assert!(
                message.contains(name) && !message.contains("canary"),
                "{message}"
            );
        }
        assert!(
            load(
                &[],
                variables(&[
                    (CASSANDRA_PASSWORD, "x"),
                    (MYSQL_PASSWORD, "y"),
                    ("ATALAYA_TEST_SEED", "7")
                ])
            )
            .is_ok()
        );
    }

    #[test]
    fn a_wrong_word_suggests_the_likely_one() {
        let message = load(
            &[],
            variables(&[("ATALAYA_STORES__CASSANDRA__CONSISTENCY", "local_quorom")]),
        )
        .unwrap_err();
        assert!(
            message.to_string().contains("did you mean `local_quorum`?"),
            "{message}"
        );
    }

    #[test]
    fn a_named_file_must_exist() {
        let missing = Location {
            path: PathBuf::from("no-such-file.toml"),
            required: true,
        };
        assert!(matches!(
            load(&[missing], variables(&[])),
            Err(ConfigError::Unreadable { .. })
        ));
    }
}
