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
        assert!(
            text(&output.stdout).contains("Examples:"),
            "`{command} --help` has no examples"
        );
    }
}

#[test]
fn completions_and_man_pages_need_no_configuration() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = atalaya_with(
            home.path(),
            &["completions", shell],
            &[("ATALAYA_NO_SUCH_KEY", "1")],
        );
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
    assert!(
        message.contains("mine.toml") && message.contains("did you mean `theme`?"),
        "{message}"
    );
    assert!(!message.contains("panicked"), "{message}");

    let missing = atalaya(home.path(), &["--config", "absent.toml", "config", "show"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("absent.toml"));

    let variable = atalaya_with(
        home.path(),
        &["config", "show"],
        &[("ATALAYA_DORA__PROFIL", "x")],
    );
    assert_eq!(variable.status.code(), Some(2));
    assert!(text(&variable.stderr).contains("ATALAYA_DORA__PROFIL"));
}

#[test]
fn config_show_says_where_each_value_came_from() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/atalaya");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "[console]\ntheme = \"light\"\n").unwrap();
    let shown = atalaya_with(
        home.path(),
        &["config", "show"],
        &[("ATALAYA_CONSOLE__UTC", "true")],
    );
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("theme = \"light\"") && shown.contains("utc = true"),
        "{shown}"
    );
    assert!(
        shown.contains("# console.utc from ATALAYA_CONSOLE__UTC"),
        "{shown}"
    );
    assert!(shown.contains("config.toml"), "{shown}");

    let path = text(&atalaya(home.path(), &["config", "path"]).stdout);
    assert!(
        path.contains(".config/atalaya/config.toml (read)"),
        "{path}"
    );
    assert!(path.contains(".local/share/atalaya"), "{path}");
}

#[test]
fn wrong_usage_ends_with_two() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["nonsense"][..],
        &["--nonsense"],
        &["completions", "tcsh-of-old"],
    ] {
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
    std::fs::write(
        data.join("logs.db"),
        "this is no database, it is a text file ".repeat(100),
    )
    .unwrap();
    let broken = atalaya(home.path(), &["--data-dir", "data", "config", "check"]);
    assert_eq!(broken.status.code(), Some(1));
    let report = text(&broken.stdout);
    assert!(report.contains("FAIL  logs store"), "{report}");
    assert!(report.contains("ok    metrics store"), "{report}");
    assert!(
        std::fs::read_to_string(data.join("logs.db"))
            .unwrap()
            .starts_with("this is no database")
    );
}

#[test]
fn health_measures_this_machine() {
    let home = tempfile::tempdir().unwrap();
    let output = atalaya(home.path(), &["health", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report["summary"]["total"].as_u64(),
        report["checks"].as_array().map(|all| all.len() as u64)
    );
    assert!(
        report["components"]["host"]["memory_total_bytes"]
            .as_u64()
            .unwrap()
            > 0
    );
    let expected = match report["summary"]["status"].as_str().unwrap() {
        "ok" => 0,
        "degraded" => 1,
        _ => 2,
    };
    assert_eq!(output.status.code(), Some(expected));
}

/// R42: passwords are not shown.
#[test]
fn passwords_are_found_and_never_shown() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = tempfile::tempdir().unwrap();
    let secret = home.path().join("secret");
    std::fs::write(&secret, "canary-77\n").unwrap();
    std::fs::write(
        home.path().join("c.toml"),
        "[stores]\nlogs = \"cassandra://me@127.0.0.1/logging\"\nmetrics = \"mysql://me@127.0.0.1/atalaya\"\n\
         [stores.cassandra]\npassword_file = \"secret\"\n",
    )
    .unwrap();
    let show = |variables: &[(&str, &str)]| {
        atalaya_with(
            home.path(),
            &["--config", "c.toml", "config", "show"],
            variables,
        )
    };
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = show(&[]);
    assert_eq!(open.status.code(), Some(2));
    let told = text(&open.stderr);
    assert!(
        told.contains("c.toml: stores.cassandra.password_file") && told.contains("chmod 600"),
        "{told}"
    );
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let shown = text(&show(&[("ATALAYA_MYSQL_PASSWORD", "canary-78")]).stdout);
    assert!(
        shown.contains("# password of stores.logs: *** from secret"),
        "{shown}"
    );
    assert!(
        shown.contains("# password of stores.metrics: *** from ATALAYA_MYSQL_PASSWORD"),
        "{shown}"
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn embedded_stores_need_no_init() {
    let home = tempfile::tempdir().unwrap();
    let before = atalaya(home.path(), &["--data-dir", "data", "db", "status"]);
    assert!(before.status.success());
    assert_eq!(text(&before.stdout).matches("not there yet").count(), 2);
    assert!(
        !home.path().join("data").exists(),
        "looking changes nothing"
    );
    assert!(
        atalaya(home.path(), &["--data-dir", "data", "db", "init"])
            .status
            .success()
    );
    let after = atalaya(
        home.path(),
        &["--data-dir", "data", "db", "status", "--json"],
    );
    let reports: serde_json::Value = serde_json::from_slice(&after.stdout).unwrap();
    assert_eq!(reports[0]["state"], "current");
    assert_eq!(reports[0]["notes"], serde_json::json!([]));
    for wrong in [
        &["db", "init", "--bucket-minutes", "7"][..],
        &["db", "init", "--replication", "dc1"],
        &["db", "init", "--replication-factor", "0"],
        &[
            "db",
            "init",
            "--replication",
            "dc1=1",
            "--replication-factor",
            "1",
        ],
        &["db"],
    ] {
        assert_eq!(
            atalaya(home.path(), wrong).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
}
