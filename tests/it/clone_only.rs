//! Whoever has the clone can run these tests: nothing that they read is elsewhere.

use std::path::{Path, PathBuf};

/// What only `tests/reference` may name. In two parts, so that this file does not name it either.
const ELSEWHERE: [&str; 2] = [concat!("shared", "/data"), concat!("ATALAYA", "_REFERENCE")];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    }; // `crates` may not be there
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn nothing_here_names_the_third_party_samples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for folder in [
        "src",
        "crates",
        "benches",
        "tests/it",
        "tests/servers",
        "tests/data",
    ] {
        files(&root.join(folder), &mut all);
    }
    assert!(all.len() > 100, "the sources were not found");
    let mut wrong = Vec::new();
    for path in all {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        for name in ELSEWHERE {
            if text.contains(name) {
                wrong.push(format!("{} names {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
