//! What the console remembers between runs: `console.json` in the data directory.
//!
//! Written to a new file that then takes the old one's place, so a crash leaves one or the other.
//! A file that cannot be read is put aside as `console.json.bad` and the console starts fresh.

use crate::text_file;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

const FILE: &str = "console.json";
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// The name of the tab that was on the screen.
    pub tab: Option<String>,
    /// The theme chosen in the console, and the configured one it was chosen over: when the
    /// configuration names another one later, that wins.
    pub theme: Option<(String, String)>,
    /// What each tab remembers, by its name.
    #[serde(flatten)]
    pub tabs: BTreeMap<String, Value>,
}

/// Far more than the console ever writes.
const MOST_BYTES: u64 = 4 << 20;

/// The saved state; a fresh one when there is none, with a reason when it could not be used.
/// `readable` looks into what the tabs have saved.
pub fn load(
    data_dir: &Path,
    readable: impl FnOnce(&BTreeMap<String, Value>) -> serde_json::Result<()>,
) -> (Saved, Option<String>) {
    let path = data_dir.join(FILE);
    let text = match text_file::read(&path, MOST_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Saved::default(), None),
        Err(error) => {
            return (
                Saved::default(),
                Some(format!("cannot read {}: {error}", path.display())),
            );
        }
    };
    let read =
        serde_json::from_str(&text).and_then(|saved: Saved| readable(&saved.tabs).map(|()| saved));
    match read {
        Ok(saved) => (saved, None),
        Err(error) => {
            let aside = path.with_extension("json.bad");
            let _ = fs::rename(&path, &aside);
            (
                Saved::default(),
                Some(format!(
                    "the saved state was not readable ({error}); kept as {}",
                    aside.display()
                )),
            )
        }
    }
}

/// Writes the state atomically.
pub fn save(data_dir: &Path, saved: &Saved) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    text_file::replace(&data_dir.join(FILE), &serde_json::to_vec_pretty(saved)?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what `load` takes")]
    fn anything(_: &BTreeMap<String, Value>) -> serde_json::Result<()> {
        Ok(())
    }

    #[test]
    fn what_a_tab_cannot_read_is_kept_aside_too() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), r#"{"tab":"logs","logs":7}"#).unwrap();
        let (saved, reason) = load(dir.path(), |tabs| {
            serde_json::from_value::<String>(tabs["logs"].clone()).map(|_| ())
        });
        assert_eq!(saved, Saved::default());
        assert!(reason.unwrap().contains("console.json.bad"));
    }

    #[test]
    fn what_is_saved_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let saved = Saved {
            tab: Some("logs".into()),
            theme: Some(("light".into(), "dark".into())),
            tabs: BTreeMap::from([("logs".into(), json!({"filter": "level>=error"}))]),
        };
        save(dir.path(), &saved).unwrap();
        assert_eq!(load(dir.path(), anything), (saved, None));
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn an_unreadable_file_is_kept_aside_and_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{ half").unwrap();
        let (saved, reason) = load(dir.path(), anything);
        assert_eq!(saved, Saved::default());
        assert!(reason.unwrap().contains("console.json.bad"));
        assert_eq!(
            fs::read_to_string(dir.path().join("console.json.bad")).unwrap(),
            "{ half"
        );
        assert_eq!(load(dir.path(), anything).1, None);
    }
}
