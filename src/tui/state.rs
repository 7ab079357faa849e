//! What the console remembers between runs: `console.json` in the data directory.
//!
//! Written to a new file that then takes the old one's place, so a crash leaves one or the other.
//! A file that cannot be read is put aside as `console.json.bad` and the console starts fresh.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::tabs::TabId;

const FILE: &str = "console.json";
/// More than anyone sets by hand; keeps the file small.
pub const MAX_BOOKMARKS: usize = 500;
pub const MAX_FILTERS: usize = 50;
pub const MAX_QUERIES: usize = 200;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    pub tab: Option<TabId>,
    /// The theme chosen in the console, and the configured one it was chosen over: when the
    /// configuration names another one later, that wins.
    pub theme: Option<(String, String)>,
    pub logs: SavedLogs,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedLogs {
    pub filter: String,
    /// Earlier filters, newest first.
    pub filters: Vec<String>,
    /// Name and query, in the order of the names.
    pub queries: Vec<(String, String)>,
    /// Record ids with the time they are at, in microseconds.
    pub bookmarks: Vec<(String, i64)>,
    pub histogram: Option<String>,
}

/// The saved state; a fresh one when there is none, with a reason when it could not be used.
pub fn load(data_dir: &Path) -> (Saved, Option<String>) {
    let path = data_dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Saved::default(), None),
        Err(error) => {
            return (
                Saved::default(),
                Some(format!("cannot read {}: {error}", path.display())),
            );
        }
    };
    match serde_json::from_str(&text) {
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
    let path = data_dir.join(FILE);
    let fresh = data_dir.join(format!(".{FILE}.{}", std::process::id()));
    let mut file = fs::File::create(&fresh)?;
    file.write_all(&serde_json::to_vec_pretty(saved)?)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&fresh, &path).inspect_err(|_| {
        let _ = fs::remove_file(&fresh);
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_saved_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let saved = Saved {
            tab: Some(TabId::Logs),
            theme: Some(("light".into(), "dark".into())),
            logs: SavedLogs {
                filter: "level>=error".into(),
                bookmarks: vec![("ab-1".into(), 7)],
                ..SavedLogs::default()
            },
        };
        save(dir.path(), &saved).unwrap();
        assert_eq!(load(dir.path()), (saved, None));
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
        let (saved, reason) = load(dir.path());
        assert_eq!(saved, Saved::default());
        assert!(reason.unwrap().contains("console.json.bad"));
        assert_eq!(
            fs::read_to_string(dir.path().join("console.json.bad")).unwrap(),
            "{ half"
        );
        assert_eq!(load(dir.path()).1, None);
    }
}
