//! `atalaya track` with real commands: they must not notice.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn track(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("TZ", "UTC");
    command.args([
        "--data-dir",
        "data",
        "track",
        "--feature",
        "FEAT-1",
        "--service",
        "shop",
    ]);
    command
}

fn run(home: &Path, phase: &str, script: &str) -> Output {
    track(home)
        .args(["--phase", phase, "--", "sh", "-c", script])
        .output()
        .unwrap()
}

fn report(home: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args([
            "--data-dir",
            "data",
            "dora",
            "report",
            "--format",
            "json",
            "--profile",
            "iact",
        ])
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// Decisions and metadata of the testing phases, through the rows that explain the older figure.
fn testing(home: &Path) -> Vec<String> {
    let report = report(home);
    let rows = report["details"]["change_failure_rate"]["explanation"]["rows"]
        .as_array()
        .unwrap();
    rows.iter()
        .map(|row| row["note"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn output_input_and_exit_code_are_the_commands_own() {
    let home = tempfile::tempdir().unwrap();
    let mut child = track(home.path())
        .args([
            "--phase",
            "testing",
            "--",
            "sh",
            "-c",
            "cat; printf 'to stderr \\377' >&2; exit 3",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"through \x00 and \xff through")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"through \x00 and \xff through");
    assert_eq!(output.stderr, b"to stderr \xff");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(testing(home.path()), ["FEAT-1 no-go"]);
    assert!(run(home.path(), "testing", "exit 0").status.success());
    assert_eq!(testing(home.path()), ["FEAT-1 no-go", "FEAT-1 go"]);
}

#[test]
fn death_by_signal_and_commands_that_are_not_there() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(
        run(home.path(), "testing", "kill -9 $$").status.code(),
        Some(137)
    );
    assert_eq!(
        run(home.path(), "testing", "kill -TERM $$").status.code(),
        Some(143)
    );
    let missing = track(home.path())
        .args(["--phase", "testing", "--", "no-such-command-here"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-command-here"));
    let folder = track(home.path())
        .args(["--phase", "testing", "--", "/"])
        .output()
        .unwrap();
    assert_eq!(folder.status.code(), Some(126));
    let wrong = track(home.path())
        .args(["--phase", "launch", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(testing(home.path()).len(), 2);
}

#[test]
fn signals_are_passed_on() {
    let home = tempfile::tempdir().unwrap();
    for (signal, name) in [
        (rustix::process::Signal::TERM, "TERM"),
        (rustix::process::Signal::INT, "INT"),
        (rustix::process::Signal::USR1, "USR1"),
    ] {
        let script = format!(
            "trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.02; done"
        );
        let mut child = track(home.path())
            .args(["--phase", "testing", "--", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, format!("got {name}\n"));
        assert_eq!(child.wait().unwrap().code(), Some(7), "{name}");
    }
}

#[test]
fn the_request_id_is_handed_down() {
    let home = tempfile::tempdir().unwrap();
    let show = "echo $ATALAYA_REQUEST_ID $REQUEST_ID $TRACEPARENT";
    let made = String::from_utf8(run(home.path(), "testing", show).stdout).unwrap();
    let parts: Vec<&str> = made.split_whitespace().collect();
    assert_eq!(parts.len(), 3, "{made}");
    assert_eq!(parts[0], parts[1]);
    assert_eq!(parts[2].split('-').nth(1), Some(parts[0]));
    let again = String::from_utf8(run(home.path(), "testing", show).stdout).unwrap();
    assert_ne!(made, again);

    let inherited = track(home.path())
        .env("REQUEST_ID", "req-42")
        .args(["--phase", "testing", "--", "sh", "-c", show])
        .output()
        .unwrap();
    assert_eq!(inherited.stdout, b"req-42 req-42\n");
    let report = report(home.path());
    let rows = report["details"]["change_failure_rate"]["explanation"]["rows"]
        .as_array()
        .unwrap();
    assert_eq!(rows.last().unwrap()["request_id"], "req-42");
}

#[test]
fn a_tracked_deployment_is_a_deployment() {
    let home = tempfile::tempdir().unwrap();
    assert!(run(home.path(), "deployment", "exit 0").status.success());
    let output = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args(["--data-dir", "data", "dora", "report", "--format", "json"])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let deployment = &report["deployments"][0];
    assert_eq!(
        (deployment["id"].as_str(), deployment["origin"].as_str()),
        (Some("FEAT-1/deployment#1"), Some("track"))
    );
    assert_eq!(deployment["service"], "shop");
    assert!(
        deployment["request_id"]
            .as_str()
            .is_some_and(|id| id.len() == 32)
    );
}

#[test]
fn a_store_that_fails_disturbs_nothing_and_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(
        data.join("metrics.db"),
        "this is not a database, and long enough to be sure of it",
    )
    .unwrap();
    for code in [0, 4] {
        let output = run(home.path(), "testing", &format!("echo out; exit {code}"));
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (&b"out\n"[..], &b""[..])
        );
        assert_eq!(output.status.code(), Some(code));
    }
    let waiting = || {
        std::fs::read_dir(data.join("pending-phases"))
            .unwrap()
            .count()
    };
    assert_eq!(waiting(), 2);
    std::fs::write(
        data.join("pending-phases/00000000000000000000-1.json"),
        "{ half a",
    )
    .unwrap();

    std::fs::remove_file(data.join("metrics.db")).unwrap();
    assert_eq!(run(home.path(), "testing", "exit 0").status.code(), Some(0));
    assert_eq!(
        testing(home.path()),
        ["FEAT-1 go", "FEAT-1 no-go", "FEAT-1 go"]
    );
    let names: Vec<String> = std::fs::read_dir(data.join("pending-phases"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["00000000000000000000-1.bad"]);
}

#[test]
fn without_any_place_to_keep_it_the_command_still_runs_and_the_loss_is_said() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("data"),
        "a file where the directory should be",
    )
    .unwrap();
    let output = run(home.path(), "testing", "echo out; exit 5");
    assert_eq!(
        (output.stdout.as_slice(), output.status.code()),
        (&b"out\n"[..], Some(5))
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("could not be recorded"));
}

/// The records that carry this request id, as the program prints them.
fn kept(home: &Path, request: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args([
            "--data-dir",
            "data",
            "logs",
            "--json",
            &format!("request_id:{request}"),
        ])
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn captured_output_is_passed_on_unchanged_and_kept_line_by_line() {
    let home = tempfile::tempdir().unwrap();
    let script = "echo one; printf 'to stderr \\377\\n' >&2; printf 'no newline'; exit 3";
    let output = track(home.path())
        .env("ATALAYA_REQUEST_ID", "req-cap")
        .args(["--phase", "testing", "--capture", "--", "sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"one\nno newline");
    assert_eq!(output.stderr, b"to stderr \xff\n");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(testing(home.path()), ["FEAT-1 no-go"]);
    let mut found: Vec<(String, String)> = kept(home.path(), "req-cap")
        .iter()
        .map(|record| {
            assert_eq!(record["source"], "app/shop", "{record}");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&record["message"]),
                text(&record["metadata"]["stream"]),
            )
        })
        .collect();
    found.sort_unstable();
    let of = |message: &str, stream: &str| (message.to_owned(), stream.to_owned());
    let expected = [
        of("no newline", "stdout"),
        of("one", "stdout"),
        of("to stderr \\xff", "stderr"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn capturing_neither_holds_up_nor_outlives_whoever_reads() {
    let home = tempfile::tempdir().unwrap();
    // Whoever reads goes away: so does the command, as it would without us.
    let mut child = track(home.path())
        .args(["--phase", "testing", "--capture", "--", "yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut [0; 10])
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 13));
    // A child that keeps the output open is not waited for.
    let output = track(home.path())
        .args([
            "--phase",
            "testing",
            "--capture",
            "--",
            "sh",
            "-c",
            "echo said; sleep 600 & echo $! >&2",
        ])
        .output();
    // (Its end of our own pipes is ours: the sleeper has only the command's.)
    let output = output.unwrap();
    assert_eq!(output.stdout, b"said\n");
    let sleeper = String::from_utf8(output.stderr).unwrap();
    assert!(
        Command::new("kill")
            .arg(sleeper.trim())
            .status()
            .unwrap()
            .success(),
        "it went on"
    );
}
