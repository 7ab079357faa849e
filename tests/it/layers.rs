//! The arrows between modules, read from the `crate::` paths of every source file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each top-level module may use besides itself. Rows are in reading order: a module uses only
/// modules of earlier rows, except that `tui` and `cli` do not know each other's inside.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("domain", &[]),
    ("query", &["domain"]),
    ("store", &["domain", "query"]),
    ("source", &["domain", "store"]),
    ("ingest", &["domain", "query", "store"]),
    ("config", &["domain", "store"]),
    ("shown", &[]),
    ("telemetry", &[]),
    ("report", &["domain", "query", "store", "service", "shown"]),
    (
        "service",
        &["config", "domain", "ingest", "query", "source", "store"],
    ),
    (
        "tui",
        &[
            "config", "domain", "ingest", "query", "report", "service", "shown", "store",
        ],
    ),
    (
        "cli",
        &[
            "config",
            "domain",
            "ingest",
            "query",
            "report",
            "service",
            "shown",
            "source",
            "store",
            "telemetry",
            "tui",
        ],
    ),
];

/// Crates that a layer must not know, whatever it is tempted to do.
const FORBIDDEN_CRATES: [(&str, &[&str]); 5] = [
    ("domain", &["tokio", "ratatui", "sqlx", "crossterm"]),
    ("query", &["tokio", "ratatui", "sqlx", "crossterm"]),
    ("store", &["ratatui", "crossterm", "clap"]),
    ("ingest", &["ratatui", "crossterm", "clap", "sqlx"]),
    ("tui", &["sqlx", "clap", "gix"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level module that a file belongs to; `None` for `lib.rs` and `main.rs`.
fn module_of(path: &Path, root: &Path) -> Option<String> {
    let first = path
        .strip_prefix(root)
        .unwrap()
        .components()
        .next()
        .unwrap();
    let name = Path::new(first.as_os_str())
        .file_stem()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    (name != "lib" && name != "main").then_some(name)
}

/// Code without comments and without the test module at its end.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn names_after<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(prefix).map(move |(at, _)| {
        let rest = &code[at + prefix.len()..];
        rest.split(|character: char| !character.is_alphanumeric() && character != '_')
            .next()
            .unwrap()
    })
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let forbidden: BTreeMap<&str, &[&str]> = FORBIDDEN_CRATES.into_iter().collect();
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    let mut wrong = Vec::new();
    for path in &files {
        let Some(module) = module_of(path, &root) else {
            continue;
        };
        let text = fs::read_to_string(path).unwrap();
        let code = code_of(&text);
        let Some(below) = allowed.get(module.as_str()) else {
            wrong.push(format!(
                "{}: module `{module}` has no row in the table",
                path.display()
            ));
            continue;
        };
        for used in names_after(&code, "crate::") {
            if used != module && !below.contains(&used) && allowed.contains_key(used) {
                wrong.push(format!("{}: `{module}` uses `{used}`", path.display()));
            }
        }
        for name in forbidden
            .get(module.as_str())
            .into_iter()
            .copied()
            .flatten()
        {
            if code.contains(&format!("use {name}::")) || code.contains(&format!(" {name}::")) {
                wrong.push(format!(
                    "{}: `{module}` knows the crate `{name}`",
                    path.display()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that point up:\n{}",
        wrong.join("\n")
    );
}
