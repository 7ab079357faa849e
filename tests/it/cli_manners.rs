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

#[test]
fn config_check_opens_each_store_and_says_which_fails() {
    let home = tempfile::tempdir().unwrap();
    let fine = atalaya(home.path(), &["config", "check"]);
    assert!(fine.status.success(), "{}", text(&fine.stderr));
    assert_eq!(text(&fine.stdout).matches("ok ").count(), 3);

    // A file that is no database stands where the logs should be.
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("logs.db"), "this is no database, it is a text file ".repeat(100)).unwrap();
    let broken = atalaya(home.path(), &["--data-dir", "data", "config", "check"]);
    assert_eq!(broken.status.code(), Some(1));
    let report = text(&broken.stdout);
    assert!(report.contains("FAIL  logs store"), "{report}");
    assert!(report.contains("ok    metrics store"), "{report}");
    assert!(std::fs::read_to_string(data.join("logs.db")).unwrap().starts_with("this is no database"));
}

#[test]
fn health_measures_this_machine() {
    let home = tempfile::tempdir().unwrap();
    let output = atalaya(home.path(), &["health", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["summary"]["total"].as_u64(), report["checks"].as_array().map(|all| all.len() as u64));
    assert!(report["components"]["host"]["memory_total_bytes"].as_u64().unwrap() > 0);
    let expected = match report["summary"]["status"].as_str().unwrap() {
        "ok" => 0,
        "degraded" => 1,
        _ => 2,
    };
    assert_eq!(output.status.code(), Some(expected));
}
