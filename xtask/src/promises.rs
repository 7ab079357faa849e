//! The tables of `docs/reliability.md`: which test holds which promise.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use xtask::tools::root;

const PAGE: &str = "docs/reliability.md";

/// A test that the page names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Of the row: `R1`; empty where it has none.
    pub id: String,
    /// From the top folder.
    pub file: PathBuf,
    pub test: String,
}

/// All of them, in the order of the page.
///
/// # Errors
/// The page cannot be read, or names a file in a way that leads nowhere.
pub fn held() -> anyhow::Result<Vec<Held>> {
    let page = std::fs::read_to_string(root().join(PAGE)).context(PAGE)?;
    let mut held = Vec::new();
    let (mut id, mut file) = (String::new(), PathBuf::new());
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let first = cells.first().copied().unwrap_or_default();
        // A row without an id goes on with the one above it.
        if !first.is_empty() {
            let named = if is_id(first) { first } else { "" };
            named.clone_into(&mut id);
        }
        for name in row.split('`').skip(1).step_by(2) {
            let Some((place, test)) = name.split_once("::") else {
                continue;
            };
            // The same file as before.
            if place != "…" {
                file = file_of(place).with_context(|| format!("{PAGE}: {name}"))?;
            }
            held.push(Held {
                id: id.clone(),
                file: file.clone(),
                test: test.to_owned(),
            });
        }
    }
    ensure!(!held.is_empty(), "{PAGE} names no test");
    Ok(held)
}

fn is_id(cell: &str) -> bool {
    cell.strip_prefix('R')
        .is_some_and(|number| number.parse::<u32>().is_ok())
}

/// The short ways of the page, which it explains.
fn file_of(place: &str) -> anyhow::Result<PathBuf> {
    const SHORT: [(&str, &str); 6] = [
        ("it/", "tests/it/"),
        ("servers/", "tests/servers/"),
        ("ingest/", "crates/atalaya-ingest/"),
        ("store/", "crates/atalaya-store/src/"),
        ("format/", "crates/atalaya-format/src/"),
        ("domain/", "crates/atalaya-domain/src/"),
    ];
    let long = SHORT
        .iter()
        .find_map(|(short, long)| Some(format!("{long}{}", place.strip_prefix(short)?)));
    let file = PathBuf::from(long.unwrap_or_else(|| place.to_owned()));
    ensure!(
        root().join(&file).is_file(),
        "there is no {}",
        file.display()
    );
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use super::*;

    #[test]
    fn every_test_that_is_named_is_there() {
        for held in held().unwrap() {
            let code = std::fs::read_to_string(root().join(&held.file)).unwrap();
            let head = format!("fn {}(", held.test);
            let at = code.find(&head);
            let file = held.file.to_string_lossy();
            let at = at.unwrap_or_else(|| panic!("{file} has no {}", held.test));
            // Its attributes stand right above it. The cases of a suite have none: they are listed
            // where each store runs them.
            let above = code[..at].rsplit("\n\n").next().unwrap();
            let is_test = if file.contains("_suite") && !above.contains("#[") {
                suite(&held.file).contains(&held.test)
            } else {
                above.contains("test") && !above.contains("#[ignore")
            };
            assert!(is_test, "{}: {} is no test", held.id, held.test);
        }
    }

    /// The page of a suite that lists its cases.
    fn suite(file: &Path) -> String {
        let folder = file.ancestors().find(|folder| {
            folder.extension().is_none() && folder.to_string_lossy().ends_with("_suite")
        });
        let list = folder.map_or(file.to_owned(), |folder| folder.with_extension("rs"));
        std::fs::read_to_string(root().join(list)).unwrap()
    }

    #[test]
    fn every_promise_that_can_be_tested_has_a_test() {
        let held = held().unwrap();
        for number in (1..=11).chain(20..=24).chain(30..=36).chain(42..=44) {
            let id = format!("R{number}");
            assert!(held.iter().any(|held| held.id == id), "{id} has no test");
        }
    }
}
