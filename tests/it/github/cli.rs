//! `atalaya dora sync --github` and the job, through the binary.

use std::path::Path;
use std::process::{Command, Output};

use atalaya::domain::time::Timestamp;
use serde_json::Value;

use super::server::{Fault, Github, http};
use super::world::World;
use super::{DAY, HOUR, NOW, deployed, issue, line};

const TOKEN: &str = "ghp_c4nary0f0urs";

struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::write(home.path().join("atalaya.toml"), config).unwrap();
        home
    }

    fn reading(github: &Github) -> Self {
        let url = github.url();
        Self::new(&format!(
            "[github]\nbase_url = \"{url}\"\n[[github.repositories]]\nname = \"acme/shop\"\n"
        ))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_atalaya"))
            .args(["--config", "atalaya.toml", "--data-dir", "data"])
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("TZ", "UTC")
            .env("GITHUB_TOKEN", TOKEN)
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(output: &Output) -> (Option<i32>, String) {
    let all = text(&output.stdout) + &text(&output.stderr);
    assert!(!all.contains(TOKEN), "{all}");
    (output.status.code(), all)
}

fn json(output: &Output) -> Value {
    said(output);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

/// The world of [`NOW`], brought to the clock of the machine.
fn today(mut world: World) -> World {
    let by = Timestamp::now().micros() / 1_000_000 - NOW;
    for one in &mut world.commits {
        one.at += by;
    }
    for one in &mut world.deployments {
        one.created += by;
        for (_, at) in &mut one.statuses {
            *at += by;
        }
    }
    for one in &mut world.issues {
        one.created += by;
        one.updated += by;
        one.closed = one.closed.map(|at| at + by);
    }
    world
}

fn shop() -> Github {
    Github::start(today(World {
        commits: line(5, 3 * DAY),
        deployments: vec![
            deployed(1, 1, NOW - 50 * HOUR),
            deployed(2, 2, NOW - 40 * HOUR),
            deployed(3, 4, NOW - 30 * HOUR),
        ],
        issues: vec![issue(12, NOW - 29 * HOUR, Some(NOW - 26 * HOUR))],
        ..World::default()
    }))
}

#[test]
fn the_command_reads_and_the_report_tells() {
    let github = shop();
    let home = Home::reading(&github);
    let first = json(&home.run(&["dora", "sync", "--github", "--json"]));
    let one = &first["repositories"][0];
    assert_eq!(one["repository"], "acme/shop");
    assert_eq!(one["deployments"]["inserted"], 3);
    assert_eq!(one["incidents"]["inserted"], 1);
    assert_eq!(one["complete"], true);
    let got = github.got();
    assert!(got.iter().all(|got| {
        got.header("authorization") == Some(&format!("Bearer {TOKEN}"))
            && got
                .header("user-agent")
                .is_some_and(|agent| agent.starts_with("atalaya/"))
    }));
    let (code, told) = said(&home.run(&["dora", "sync", "--github"]));
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("acme/shop: deployments 0 new, 0 changed"),
        "{told}"
    );

    let report = json(&home.run(&["dora", "report", "--format", "json"]));
    let samples = |metric: &str| report["details"][metric]["samples"].as_u64();
    assert_eq!(samples("deployment_frequency"), Some(3), "{report:#}");
    assert_eq!(
        samples("change_lead_time"),
        Some(3),
        "those of the second and third"
    );
    assert_eq!(samples("failed_deployment_recovery_time"), Some(1));
    assert_eq!(report["metrics"]["mttr_hours"], 3.0);
}

#[test]
fn a_repository_needs_no_configuration() {
    let github = shop();
    let home = Home::new(&format!("[github]\nbase_url = \"{}\"\n", github.url()));
    let read = json(&home.run(&["dora", "sync", "--github", "acme/shop", "--json"]));
    assert_eq!(read["repositories"][0]["deployments"]["inserted"], 3);
    let (code, told) = said(&home.run(&["dora", "sync", "--github"]));
    assert_eq!(code, Some(2));
    assert!(told.contains("[[github.repositories]]"), "{told}");
    let (code, told) = said(&home.run(&["dora", "sync", "--github", "shop"]));
    assert_eq!(code, Some(2));
    assert!(
        told.contains("`shop` is no repository; write owner and name"),
        "{told}"
    );
    let (code, told) = said(&home.run(&["dora", "sync", "--github", "acme/other"]));
    assert_eq!(code, Some(2), "{told}");
    assert!(
        told.contains("see to the name of the repository and to the token"),
        "{told}"
    );
}

#[test]
fn the_exit_code_says_whether_to_try_again() {
    let github = shop();
    let home = Home::reading(&github);
    github.script(|_, before, _| {
        (before >= 3).then(|| http("429 Too Many Requests", "Retry-After: 900\r\n"))
    });
    let output = home.run(&["dora", "sync", "--github", "--json"]);
    let (code, told) = said(&output);
    assert_eq!(code, Some(75), "{told}");
    let one = json(&output)["repositories"][0].clone();
    assert_eq!(
        (&one["complete"], &one["failures"][0]["try_again"]),
        (&false.into(), &true.into())
    );
    assert!(one["failures"][0]["not_before"].is_string(), "{one}");
    assert!(text(&output.stderr).contains("rate limit"), "{told}");

    let home = Home::reading(&github);
    github.script(|_, _, _| Some(http("401 Unauthorized", "")));
    let (code, told) = said(&home.run(&["dora", "sync", "--github"]));
    assert_eq!(code, Some(2), "{told}");
    github.script(|_, _, _| Some(Fault::Http("200 OK", String::new(), "{}".to_owned())));
    let (code, told) = said(&home.run(&["dora", "sync", "--github"]));
    assert_eq!(code, Some(1), "{told}");
    github.script(|_, _, _| Some(Fault::HangUp));
    let (code, told) = said(&home.run(&["dora", "sync", "--github"]));
    assert_eq!(code, Some(75), "{told}");
}

#[test]
fn what_github_says_acts_on_no_terminal() {
    let mut world = World {
        issues: vec![issue(12, NOW - 29 * HOUR, None)],
        ..World::default()
    };
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J";
    hostile.clone_into(&mut world.issues[0].title);
    let mut odd = deployed(1, 0, NOW - HOUR);
    odd.environment = format!("pr{hostile}");
    world.deployments.push(odd);
    let mut traversal = deployed(2, 0, NOW - HOUR);
    traversal.sha = "../../../user?x=".to_owned();
    world.deployments.push(traversal);
    let github = Github::start(today(world));
    let home = Home::reading(&github);
    for arguments in [
        &["dora", "sync", "--github"][..],
        &["dora", "sync", "--github", "--json"],
        &["dora", "report"],
    ] {
        let (_, told) = said(&home.run(arguments));
        assert!(
            !told.contains('\u{1b}') && !told.contains('\u{7}'),
            "{told:?}"
        );
    }
    assert!(
        github
            .got()
            .iter()
            .all(|got| got.place.starts_with("/repos/acme/shop/"))
    );
}

#[test]
fn the_job_reads_what_is_configured() {
    let github = shop();
    let home = Home::reading(&github);
    let (code, told) = said(&home.run(&["jobs", "run", "github_sync"]));
    assert_eq!(code, Some(0), "{told}");
    let (_, told) = said(&home.run(&["jobs", "show", "github_sync"]));
    assert!(
        told.contains("acme/shop: 3 new deployments, 1 new incidents"),
        "{told}"
    );
    let bare = Home::new("");
    said(&bare.run(&["jobs", "run", "github_sync"]));
    let (_, told) = said(&bare.run(&["jobs", "show", "github_sync"]));
    assert!(
        told.contains("no repository is configured (github.repositories)"),
        "{told}"
    );
}

#[test]
fn mistakes_of_the_configuration_are_named() {
    for (config, words) in [
        (
            "[github]\nbase_url = \"http://example.org\"",
            "github.base_url",
        ),
        ("[github]\ntoken = \"x\"", "token_file"),
        (
            "[[github.repositories]]\nname = \"shop\"",
            "github.repositories[0].name",
        ),
        ("[[github.repositories]]\nnam = \"a/b\"", "nam"),
    ] {
        let (code, told) = said(&Home::new(config).run(&["config", "check"]));
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(words), "{told}");
    }
    let home = Home::new("[github]\ntoken_file = \"token\"\n");
    std::fs::write(home.path().join("token"), "x").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args([
            "--config",
            "atalaya.toml",
            "--data-dir",
            "data",
            "dora",
            "sync",
            "--github",
            "a/b",
        ])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    let (code, told) = said(&output);
    assert_eq!(code, Some(2));
    assert!(told.contains("chmod 600"), "{told}");
}
