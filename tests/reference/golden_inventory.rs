//! Every sample with an expected result, and the test that compares it, as `inventory` says.
//!
//! A file that no row names fails, as does a row with another number of files or with a test that is
//! gone: what is added to the samples cannot stay unread, and a test cannot be dropped unseen.

use std::collections::BTreeSet;
use std::path::Path;

use globset::{Glob, GlobMatcher};

use crate::golden::data_path;

/// A row of `inventory`.
struct Row<'a> {
    pattern: &'a str,
    /// How many files, and the test (`module::name`) that compares them; `None` for mere inputs.
    compared: Option<(usize, &'a str)>,
}

fn rows(inventory: &str) -> Vec<Row<'_>> {
    let lines = inventory
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(
            |line| match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["expected" | "told", files, pattern, test] => Row {
                    pattern,
                    compared: Some((files.parse().unwrap(), test)),
                },
                ["input", pattern] => Row {
                    pattern,
                    compared: None,
                },
                _ => panic!("no row of an inventory: {line}"),
            },
        )
        .collect()
}

fn files(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
    for entry in
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, root, found);
            continue;
        }
        let name = path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .to_ascii_uppercase();
        if !["LICENSE", "NOTICE", "APACHE-LICENSE", "README"]
            .iter()
            .any(|word| name.starts_with(word))
        {
            found.insert(
                path.strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
}

fn glob(pattern: &str) -> GlobMatcher {
    Glob::new(pattern).unwrap().compile_matcher()
}

/// Whether `module::name` is a test of this binary.
fn is_a_test(path: &str) -> bool {
    let (module, name) = path.split_once("::").unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/reference/{module}.rs"));
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    text.contains(&format!("#[test]\nfn {name}()"))
}

#[test]
fn every_file_with_an_expected_result_has_a_test() {
    let root = data_path("");
    let mut all = BTreeSet::new();
    files(&root, &root, &mut all);
    assert!(
        all.len() > 200,
        "the samples were not found: {} files",
        all.len()
    );
    let rows = rows(include_str!("inventory"));
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for Row { pattern, compared } in &rows {
        let Some((count, test)) = compared else {
            continue;
        };
        if !is_a_test(test) {
            wrong.push(format!("{test} is no test"));
        }
        let matcher = glob(pattern);
        let matching: Vec<&String> = all.iter().filter(|file| matcher.is_match(file)).collect();
        if matching.len() != *count {
            wrong.push(format!(
                "{pattern}: {} files, and the inventory says {count}",
                matching.len()
            ));
        }
        for file in matching {
            if !seen.insert(file) {
                wrong.push(format!("{file}: two rows"));
            }
        }
    }
    let inputs = rows.iter().filter(|row| row.compared.is_none());
    let inputs: Vec<GlobMatcher> = inputs.map(|row| glob(row.pattern)).collect();
    for file in all.difference(&seen.into_iter().cloned().collect()) {
        let looks_expected = [
            "expected",
            ".golden",
            ".out",
            "/want",
            "snapshot_tables/_tool",
        ]
        .iter()
        .any(|sign| file.contains(sign));
        if looks_expected || !inputs.iter().any(|matcher| matcher.is_match(file)) {
            wrong.push(format!("{file}: no test compares it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
