//! What a stranger chose comes back from every subcommand without being able to act on a terminal:
//! in output, in errors, in JSON.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::{Command, Output};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Recolours, retitles, reverses, hides, types.
const PARTS: [&str; 10] = [
    "\u{1b}[31m",
    "\u{1b}]0;title\u{7}",
    "\u{9b}2J",
    "\u{202e}",
    "\u{2066}",
    "\u{e0041}",
    "\u{200b}",
    "\u{7f}",
    "\r",
    "\u{85}",
];

/// Texts made of these and of words, in an order that nobody chose.
fn hostile(random: &mut Xoshiro256PlusPlus) -> String {
    (0..random.random_range(2..6))
        .map(|_| {
            let part = PARTS[random.random_range(0..PARTS.len())];
            format!("a{part}b")
        })
        .collect()
}

fn run(home: &Path, arguments: &[OsString]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("TERM", "xterm-256color")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

/// A line break is ours, everything else that acts is not.
fn acting(bytes: &[u8]) -> Vec<char> {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|character| {
            let code = u32::from(*character);
            (character.is_control() && *character != '\n')
                || matches!(code, 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2069)
                || (0xe0000..=0xe007f).contains(&code)
        })
        .collect()
}

#[test]
fn every_subcommand_says_strange_things_harmlessly() {
    let seed = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("ATALAYA_TEST_SEED={seed}");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("x.log");
    let odd = hostile(&mut random);
    std::fs::write(
        &log,
        format!("2026-11-29 10:00:00,000 ERROR {odd}: said {odd} request_id={odd}\n"),
    )
    .unwrap();
    let commands: [&[&str]; 33] = [
        &["ingest", "x.log"],
        &["ingest", "?"],
        &["ingest", "x.log", "--format", "?"],
        &["ingest", "x.log", "--timezone", "?"],
        &["ingest", "x.log", "--layer", "?"],
        &["ingest", "--explain", "x.log"],
        &["ingest", "--explain", "--json", "x.log"],
        &["logs", "since:2020-01-01"],
        &["logs", "--json", "since:2020-01-01"],
        &["logs", "?"],
        &["logs", "level>=?"],
        &["trace", "?"],
        &["trace", "--json", "?"],
        &["health", "--data-dir", "?"],
        &["--config", "?", "health"],
        &["config", "path", "--data-dir", "?"],
        &["config", "check", "--data-dir", "?"],
        &["config", "show", "--data-dir", "?"],
        &["config", "?"],
        &["dora", "report", "--service", "?"],
        &["dora", "report", "--service", "?", "--format", "json"],
        &["dora", "report", "--service", "?", "--format", "markdown"],
        &["dora", "sync", "--repo", "?"],
        &["dora", "import", "?"],
        &[
            "dora",
            "record",
            "--feature",
            "?",
            "--phase",
            "planning",
            "--decision",
            "go",
        ],
        &[
            "dora",
            "record",
            "--feature",
            "f",
            "--phase",
            "?",
            "--decision",
            "go",
            "--json",
        ],
        &["pdca", "show", "?"],
        &["pdca", "list", "--json"],
        &["quarantine", "show", "?"],
        &["db", "copy", "--to", "?"],
        &["track", "--feature", "?", "--phase", "?", "--", "true"],
        &["man", "?"],
        &["?"],
    ];
    for arguments in commands {
        for _ in 0..2 {
            let arguments: Vec<OsString> = arguments
                .iter()
                .map(|word| word.replace('?', &hostile(&mut random)).into())
                .collect();
            let said = run(home.path(), &arguments);
            for (stream, bytes) in [("output", &said.stdout), ("errors", &said.stderr)] {
                let found = acting(bytes);
                assert!(found.is_empty(), "{arguments:?}: {stream}: {found:?}");
            }
        }
    }
    // A name that is no UTF-8 is one too.
    let name = OsString::from_vec(b"bad\xff\x1b[31m.log".to_vec());
    let said = run(home.path(), &["ingest".into(), name]);
    assert!(acting(&said.stderr).is_empty(), "{said:?}");
}
