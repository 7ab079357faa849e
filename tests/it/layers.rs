//! The arrows that no compiler guards: those between the modules of `src`. Between the crates below
//! them a wrong arrow does not compile.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module of `src` may use of the others, its tests included. Rows are in reading order:
/// a module uses only modules of earlier rows.
const ALLOWED: [(&str, &[&str]); 18] = [
    ("privacy", &[]),
    ("http", &[]),
    ("process_group", &[]),
    ("signals", &[]),
    ("shown", &[]),
    ("telemetry", &[]),
    ("text_file", &[]),
    ("config", &["text_file"]),
    ("source", &["http", "process_group"]),
    ("notify", &["config", "http", "process_group", "shown"]),
    (
        "service",
        &[
            "config",
            "http",
            "notify",
            "privacy",
            "shown",
            "source",
            "text_file",
        ],
    ),
    ("report", &["service", "shown"]),
    (
        "workers",
        &["config", "notify", "report", "service", "source"],
    ),
    ("host", &["config", "service", "telemetry", "workers"]),
    ("mcp", &["config", "report", "service", "shown"]),
    (
        "api",
        &["config", "mcp", "report", "service", "shown", "text_file"],
    ),
    (
        "tui",
        &["report", "service", "shown", "signals", "text_file"],
    ),
    (
        "cli",
        &[
            "api",
            "config",
            "host",
            "mcp",
            "notify",
            "report",
            "service",
            "shown",
            "signals",
            "source",
            "telemetry",
            "text_file",
            "tui",
            "workers",
        ],
    ),
];

/// Crates that only one module of `src` talks to.
const OWNED_CRATES: [(&str, &str); 6] = [
    ("axum", "api"),
    ("clap", "cli"),
    ("crossterm", "tui"),
    ("gix", "source"),
    ("indicatif", "cli"),
    ("ratatui", "tui"),
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

/// The module that a file belongs to; `None` for `lib.rs` and `main.rs`.
fn module_of(path: &Path, root: &Path) -> Option<String> {
    let first = path
        .strip_prefix(root)
        .unwrap()
        .components()
        .next()
        .unwrap();
    let name = Path::new(first.as_os_str()).file_stem()?.to_str()?;
    (name != "lib" && name != "main").then(|| name.to_owned())
}

/// Code without comments, whole: tests have no doors of their own.
fn code_of(text: &str) -> String {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn names_after<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let ends = |character: char| !character.is_alphanumeric() && character != '_';
    code.match_indices(prefix)
        .filter_map(move |(at, _)| code[at + prefix.len()..].split(ends).next())
}

/// What is wrong with one file.
fn faults(module: &str, code: &str) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let Some(below) = allowed.get(module) else {
        return vec![format!("module `{module}` has no row in the table")];
    };
    let up = names_after(code, "crate::")
        .filter(|used| *used != module && allowed.contains_key(used) && !below.contains(used))
        .map(|used| format!("`{module}` uses `{used}`"));
    let foreign = OWNED_CRATES
        .into_iter()
        .filter(|(name, owner)| *owner != module && code.contains(&format!("{name}::")))
        .map(|(name, _)| format!("`{module}` knows the crate `{name}`"));
    up.chain(foreign).collect()
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    let mut wrong = Vec::new();
    for path in &files {
        let Some(module) = module_of(path, &root) else {
            continue;
        };
        let code = code_of(&fs::read_to_string(path).unwrap());
        let told = faults(&module, &code);
        wrong.extend(
            told.into_iter()
                .map(|fault| format!("{}: {fault}", path.display())),
        );
    }
    assert!(
        wrong.is_empty(),
        "arrows that point up:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn rows_point_only_at_earlier_rows() {
    for (row, (module, below)) in ALLOWED.iter().enumerate() {
        for used in *below {
            let place = ALLOWED.iter().position(|(name, _)| name == used);
            assert!(place.is_some_and(|place| place < row), "{module} → {used}");
        }
    }
}

#[test]
fn a_wrong_arrow_is_seen_also_in_tests_and_in_macros() {
    let code = code_of(
        "use crate::tui::app;\n// use crate::cli;\n#[cfg(test)]\nmod tests { use crate::host::Host; }",
    );
    let told = faults("service", &code);
    assert_eq!(told, ["`service` uses `tui`", "`service` uses `host`"]);
    assert_eq!(
        faults("report", "clap::Parser"),
        ["`report` knows the crate `clap`"]
    );
    assert!(faults("cli", "use crate::tui; use clap::Parser;").is_empty());
}

/// What a lower crate may use of the others: the one table that `Cargo.toml` files are held to, so
/// that an arrow cannot be added by adding a dependency.
const CRATES: [(&str, &[&str]); 6] = [
    ("atalaya-domain", &[]),
    ("atalaya-archive", &["atalaya-domain"]),
    ("atalaya-query", &["atalaya-domain"]),
    ("atalaya-format", &["atalaya-domain"]),
    ("atalaya-store", &["atalaya-domain", "atalaya-query"]),
    (
        "atalaya-ingest",
        &["atalaya-domain", "atalaya-format", "atalaya-store"],
    ),
];

#[test]
fn crates_depend_only_on_crates_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    for (name, below) in CRATES {
        let manifest = fs::read_to_string(root.join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let dependencies = manifest["dependencies"].as_table().unwrap();
        for used in dependencies
            .keys()
            .filter(|used| used.starts_with("atalaya"))
        {
            assert!(below.contains(&used.as_str()), "{name} depends on {used}");
        }
        let screen = ["ratatui", "crossterm", "clap"];
        assert!(
            !screen.iter().any(|used| dependencies.contains_key(*used)),
            "{name}"
        );
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), CRATES.len());
}
