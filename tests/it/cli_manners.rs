//! What the command line answers in an empty environment: help, completions, configuration, errors.

use std::path::Path;
use std::process::{Command, Output};

fn atalaya(home: &Path, arguments: &[&str]) -> Output {
    atalaya_with(home, arguments, &[])
}

fn atalaya_with(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_subcommand_has_help_with_examples() {
    let home = tempfile::tempdir().unwrap();
    let help = text(&atalaya(home.path(), &["--help"]).stdout);
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 4, "{help}");
    for command in commands {
        let output = atalaya(home.path(), &[command, "--help"]);
        assert!(output.status.success(), "{command}");
        assert!(text(&output.stdout).contains("Examples:"), "`{command} --help` has no examples");
    }
}

#[test]
fn completions_and_man_pages_need_no_configuration() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = atalaya_with(home.path(), &["completions", shell], &[("ATALAYA_NO_SUCH_KEY", "1")]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("atalaya"));
    }
    let page = atalaya(home.path(), &["man"]);
    assert!(text(&page.stdout).contains(".TH atalaya"));
    let unknown = atalaya(home.path(), &["man", "nonsense"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("nonsense"));
}

#[test]
fn a_wrong_key_names_its_place_and_ends_with_two() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mine.toml");
    std::fs::write(&file, "[console]\nthem = \"light\"\n").unwrap();
    let output = atalaya(home.path(), &["--config", "mine.toml", "config", "show"]);
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(message.contains("mine.toml") && message.contains("did you mean `theme`?"), "{message}");
    assert!(!message.contains("panicked"), "{message}");

    let missing = atalaya(home.path(), &["--config", "absent.toml", "config", "show"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("absent.toml"));

    let variable = atalaya_with(home.path(), &["config", "show"], &[("ATALAYA_DORA__PROFIL", "x")]);
    assert_eq!(variable.status.code(), Some(2));
    assert!(text(&variable.stderr).contains("ATALAYA_DORA__PROFIL"));
}

#[test]
fn config_show_says_where_each_value_came_from() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/atalaya");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "[console]\ntheme = \"light\"\n").unwrap();
    let shown = atalaya_with(home.path(), &["config", "show"], &[("ATALAYA_CONSOLE__UTC", "true")]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("theme = \"light\"") && shown.contains("utc = true"), "{shown}");
    assert!(shown.contains("# console.utc from ATALAYA_CONSOLE__UTC"), "{shown}");
    assert!(shown.contains("config.toml"), "{shown}");

    let path = text(&atalaya(home.path(), &["config", "path"]).stdout);
    assert!(path.contains(".config/atalaya/config.toml (read)"), "{path}");
    assert!(path.contains(".local/share/atalaya"), "{path}");
}

#[test]
fn wrong_usage_ends_with_two() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["nonsense"][..], &["--nonsense"], &["completions", "tcsh-of-old"]] {
        let output = atalaya(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
