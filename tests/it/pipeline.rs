//! `atalaya pipeline` with real commands, killed at random moments.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::copied::{atalaya, command, text};

const PHASES: [&str; 7] = [
    "planning",
    "feasibility",
    "design",
    "implementation",
    "testing",
    "deployment",
    "maintenance",
];

fn call(home: &Path, arguments: &[&str]) -> Output {
    atalaya(
        home,
        &[&["--data-dir", "data", "pipeline"], arguments].concat(),
    )
}

fn start(home: &Path, arguments: &[&str]) -> Child {
    command(
        home,
        &[&["--data-dir", "data", "pipeline"], arguments].concat(),
    )
    .stdin(Stdio::null())
    .stdout(Stdio::null())
    .stderr(Stdio::null())
    .spawn()
    .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

/// A phase as TOML, with a script for `sh`.
fn phase(place: usize, phase: &str, more: &str, script: &str) -> String {
    let script = script.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "[[phase]]\nname = \"step {place}\"\nphase = \"{phase}\"\n{more}\ncommand = [\"sh\", \"-c\", \"{script}\"]\n"
    )
}

fn write(home: &Path, phases: &[String]) {
    fs::write(home.join("p.toml"), phases.concat()).unwrap();
}

fn one(home: &Path, more: &str, script: &str) -> (Output, Value) {
    write(home, &[phase(0, "testing", more, script)]);
    let output = call(home, &["run", "p.toml", "--feature", "F", "--json"]);
    let run = json(&output);
    (output, run)
}

/// The phases that a trace of the run has.
fn recorded(home: &Path, run: &Value) -> Vec<String> {
    let id = run["request_id"].as_str().unwrap();
    let output = atalaya(home, &["--data-dir", "data", "trace", id, "--json"]);
    let rows = text(&output.stdout);
    let rows = rows
        .lines()
        .map(|row| serde_json::from_str::<Value>(row).unwrap());
    rows.filter(|row| row["source"] == "phase")
        .map(|row| row["metadata"]["phase"].as_str().unwrap().to_owned())
        .collect()
}

/// However often whoever drives it is killed, each command is started once and each phase is recorded
/// once: what it answered is kept, and what still runs is waited for.
#[test]
fn killed_at_random_moments_no_command_runs_twice() {
    let seed = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |text| text.parse().unwrap());
    println!("ATALAYA_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let pipelines = if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        200
    } else {
        3
    };
    for _ in 0..pipelines {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let count = random.random_range(2..6);
        let mut phases = Vec::new();
        let mut names = Vec::new();
        for place in 0..count {
            let name = PHASES[random.random_range(0..PHASES.len())];
            let sleep = f64::from(random.random_range(0..30)) / 100.0;
            let script = format!(
                "cat > context{place}; echo {place} >> began; sleep {sleep}; echo {place} >> answered; echo '{{\"decision\": \"go\", \"confidence\": 0.9}}'"
            );
            phases.push(phase(place, name, "", &script));
            names.push(name);
        }
        write(home, &phases);
        let mut child = start(home, &["run", "p.toml", "--feature", "F"]);
        let begun = Instant::now();
        let run = loop {
            std::thread::sleep(Duration::from_millis(random.random_range(20..400)));
            child.kill().unwrap();
            child.wait().unwrap();
            let runs = json(&call(home, &["list", "--json"]));
            let Some(run) = runs.get(0).cloned() else {
                // Killed before it was written down: nothing ran.
                assert!(!home.join("began").exists(), "seed {seed}");
                child = start(home, &["run", "p.toml", "--feature", "F"]);
                continue;
            };
            let late = begun.elapsed() > Duration::from_secs(20);
            let id = run["id"].as_str().unwrap();
            if run["resumable"] == false {
                break run;
            }
            if late {
                call(home, &["resume", id]);
            }
            child = start(home, &["resume", id]);
        };
        let expected: String = (0..count).map(|place| format!("{place}\n")).collect();
        assert_eq!(run["state"], "succeeded", "seed {seed}: {run}");
        for file in ["began", "answered"] {
            assert_eq!(
                fs::read_to_string(home.join(file)).unwrap(),
                expected,
                "seed {seed}"
            );
        }
        let mut found = recorded(home, &run);
        names.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, names, "seed {seed}");
        // Each was told what came before.
        let last = fs::read_to_string(home.join(format!("context{}", count - 1))).unwrap();
        let last: Value = serde_json::from_str(&last).unwrap();
        assert_eq!(last["results"].as_array().unwrap().len(), count - 1);
        assert_eq!(last["request_id"], run["request_id"]);
    }
}

#[test]
fn answers_of_every_kind_end_as_they_should() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for (more, script, code, state, part) in [
        ("", "exit 0", 0, "succeeded", "go"),
        ("", "exit 3", 1, "failed", "ended with code 3"),
        ("", "echo '{\"decision\":\"no-go\"}'", 1, "stopped", "no-go"),
        (
            "",
            "echo '{\"decision\":\"blocked\"}'; exit 4",
            1,
            "stopped",
            "blocked",
        ),
        (
            "",
            "echo '{\"decision\":\"review\"}'",
            3,
            "waiting",
            "review",
        ),
        (
            "min_confidence = 0.8",
            "echo '{\"decision\":\"go\",\"confidence\":0.7}'",
            3,
            "waiting",
            "review",
        ),
        (
            "",
            "echo '{\"decision\":\"perhaps\"}'",
            1,
            "failed",
            "perhaps",
        ),
        ("", "echo '{\"decision\":'", 0, "succeeded", "go"),
        ("", "kill -9 $$", 1, "failed", "signal 9"),
        (
            "timeout = '1s'",
            "trap '' TERM; echo here; sleep 60 & wait; sleep 60",
            1,
            "failed",
            "within 1 s",
        ),
        // What it leaves behind holds its output.
        (
            "",
            "sleep 30 & echo '{\"decision\":\"no-go\"}'",
            1,
            "stopped",
            "no-go",
        ),
        (
            "",
            "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo '{\"decision\":\"no-go\"}'",
            1,
            "stopped",
            "left out",
        ),
        (
            "retries = 2",
            "echo x >> tries; [ $(wc -l < tries) = 3 ]",
            0,
            "succeeded",
            "go",
        ),
    ] {
        let (output, run) = one(home, more, script);
        assert_eq!(output.status.code(), Some(code), "{script}: {run}");
        assert_eq!(run["state"], state, "{script}: {run}");
        let step = run["steps"][0].to_string();
        assert!(step.contains(part), "{script}: {step}");
        assert!(step.len() < 200_000, "{}", step.len());
    }
    let missing = "[[phase]]\nphase = \"design\"\ncommand = [\"/nowhere/agent\"]\n";
    fs::write(home.join("p.toml"), missing).unwrap();
    let output = call(home, &["run", "p.toml", "--feature", "F"]);
    assert!(
        text(&output.stderr).contains("/nowhere/agent"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_person_lets_it_pass_or_stops_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let ask = phase(0, "design", "", "echo '{\"decision\":\"escalate\"}'");
    let next = phase(1, "testing", "", "echo next >> ran");
    write(home, &[ask, next]);
    for approved in [true, false] {
        let output = call(home, &["run", "p.toml", "--feature", "F", "--json"]);
        assert_eq!(output.status.code(), Some(3));
        let run = json(&output);
        let id = run["id"].as_str().unwrap();
        // Resuming decides nothing.
        assert_eq!(call(home, &["resume", id]).status.code(), Some(3));
        let word = if approved { "approve" } else { "reject" };
        let said = call(home, &[word, id, "--by", "ana", "--note", "read it"]);
        assert!(said.status.success(), "{}", text(&said.stderr));
        let again = call(home, &["approve", id]);
        assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
        let output = call(home, &["resume", id, "--json"]);
        let run = json(&output);
        assert_eq!(run["steps"][0]["verdict"]["by"], "ana");
        if approved {
            assert_eq!(
                (output.status.code(), &run["state"]),
                (Some(0), &"succeeded".into())
            );
        } else {
            assert_eq!(
                (output.status.code(), &run["state"]),
                (Some(1), &"stopped".into())
            );
        }
    }
    assert_eq!(fs::read_to_string(home.join("ran")).unwrap(), "next\n");
    let wrong = call(home, &["resume", "run-none"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
}

/// Ctrl-C ends the command as well; it is started again when the run is taken up.
#[test]
fn a_signal_ends_the_command_and_the_run_can_be_resumed() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let script = "echo x >> began; [ $(wc -l < began) = 2 ] || sleep 60";
    write(home, &[phase(0, "testing", "", script)]);
    let mut child = start(home, &["run", "p.toml", "--feature", "F"]);
    let begun = Instant::now();
    while !home.join("began").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let runs = json(&call(home, &["list", "--json"]));
    assert_eq!(
        (&runs[0]["state"], &runs[0]["resumable"]),
        (&"running".into(), &true.into())
    );
    let output = call(home, &["resume", runs[0]["id"].as_str().unwrap(), "--json"]);
    assert_eq!(json(&output)["state"], "succeeded");
    assert_eq!(fs::read_to_string(home.join("began")).unwrap(), "x\nx\n");
}
