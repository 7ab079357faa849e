//! The console on a data directory that cannot be written: it opens, says why nothing is kept, and
//! goes on by itself.

use std::fs;
use std::process::Command;

use portable_pty::CommandBuilder;

use super::ingest_full_disk::SmallDisk;
use super::pty::{Pty, console, with_args};

/// The screen's words with one blank between them, so that a sentence may go over the end of a row.
fn words(screen: &vt100::Screen) -> String {
    screen
        .contents()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// R24: a full or read-only disk.
#[test]
fn a_console_on_a_read_only_directory_opens_says_why_and_goes_on() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = SmallDisk::mount(&home.path().join("disk"), "size=24m,ro");
    let log = home.path().join("x.log");
    fs::write(&log, "the first line\n").unwrap();
    let config = home.path().join(".config/atalaya/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let files = format!(
        "[[ingest.files]]\npath = '{}'\nformat = 'plain'\n",
        log.display()
    );
    fs::write(&config, format!("[ingest]\ndiscover = false\n{files}")).unwrap();
    let data = disk.0.join("data");
    let command = || -> CommandBuilder {
        with_args(
            console(home.path()),
            ["--data-dir".as_ref(), data.as_os_str()],
        )
    };
    let health = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
        command
            .arg("--data-dir")
            .arg(&data)
            .arg("health")
            .env_clear()
            .env("HOME", home.path());
        command.output().unwrap()
    };

    let mut terminal = Pty::start(command(), 24, 120);
    terminal.wait("the reason", |screen| {
        let words = words(screen);
        words.contains("SQLite cannot write at") && words.contains("Read-only file system")
    });
    terminal.send("3");
    terminal.wait("the reason on Infra", |screen| {
        let words = words(screen);
        words.contains("nothing is stored now") && words.contains("Read-only file system")
    });
    let told = health();
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told.status.code(), Some(2), "{said}");
    assert!(
        said.contains("Read-only file system") && said.contains("--data-dir"),
        "{said}"
    );

    terminal.send("2");
    disk.make_writable();
    terminal.wait_for_text("the first line");
    terminal.wait_until_gone("cannot");
    terminal.wait_for_text("● following");
    terminal.send("q");
    assert!(terminal.ended().success());

    // The same with everything there already.
    disk.remount("ro");
    let mut terminal = Pty::start(command(), 24, 120);
    // What is there is shown, and that nothing is kept.
    terminal.wait_for_text("the first line");
    terminal.wait_for_text("ingest waits: ");
    terminal.send("3");
    terminal.wait("the reason on Infra", |screen| {
        let words = words(screen);
        words.contains("nothing is stored now") && words.contains("Read-only file system")
    });
    terminal.send("2");
    disk.make_writable();
    let mut text = fs::read_to_string(&log).unwrap();
    text.push_str("the second line\n");
    fs::write(&log, text).unwrap();
    terminal.wait_for_text("the second line");
    terminal.wait_until_gone("cannot");
    assert_eq!(terminal.text().matches("the first line").count(), 1);
    terminal.send("q");
    assert!(terminal.ended().success());
}
