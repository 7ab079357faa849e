//! What the service does for PDCA cycles by itself, and the reports that it keeps.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use atalaya::config::{DoraConfig, PdcaConfig, Request, Settings};
use atalaya::domain::delivery::{DeployedCommit, Deployment, DeploymentKind, DeploymentResult};
use atalaya::domain::dora::Metric;
use atalaya::domain::pdca::{Applied, State, Verdict};
use atalaya::domain::time::Timestamp;
use atalaya::service::pdca::{self, Draft, PdcaSettings};
use atalaya::service::pdca_engine::{self, ENGINE};
use atalaya::store::metrics::{MetricsStore, SourceRun};
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_hours(1);
/// The change is applied at the beginning of this day.
const CHANGE: u32 = 84;

fn day(number: u32) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000).saturating_add(HOUR * 24 * number)
}

fn deployment(id: u32, at: Timestamp, lead_hours: u32, failed: bool) -> Deployment {
    let authored_at = at.saturating_sub(HOUR * lead_hours);
    Deployment {
        id: format!("d{id}"),
        service: "shop".to_owned(),
        team: None,
        environment: "production".to_owned(),
        commit: Some(format!("c{id}")),
        started_at: None,
        finished_at: at,
        result: if failed {
            DeploymentResult::Failed
        } else {
            DeploymentResult::Success
        },
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "test".to_owned(),
        taken_back_by: None,
        commits: Some(vec![DeployedCommit {
            sha: format!("c{id}"),
            authored_at,
            committed_at: authored_at,
            title: "change".to_owned(),
            reverts: false,
        }]),
    }
}

/// Twelve weeks of two deployments a day with long lead times, then four weeks after the change.
async fn shop(seed: u64, lead_after: u32, failures_after: f64) -> (Arc<dyn MetricsStore>, TempDir) {
    let mut dice = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteMetricsStore::open(&folder.path().join("metrics.sqlite"))
        .await
        .unwrap();
    let store: Arc<dyn MetricsStore> = Arc::new(store);
    let mut deployments = Vec::new();
    for number in 0..(CHANGE + 30) * 2 {
        let after = number / 2 >= CHANGE;
        let base = if after { lead_after } else { 60 };
        let lead = base + dice.random_range(0..=base / 3);
        let failed = dice.random_bool(if after { failures_after } else { 0.02 });
        let at = day(number / 2).saturating_add(HOUR * (1 + number % 2 * 9));
        deployments.push(deployment(number, at, lead, failed));
    }
    store.put_deployments(&deployments).await.unwrap();
    let run = SourceRun {
        name: "test".to_owned(),
        gives_deployments: true,
        gives_incidents: true,
        synced_at: day(CHANGE + 30),
    };
    store.put_source(&run).await.unwrap();
    (store, folder)
}

fn settings(auto_decide: bool) -> PdcaSettings {
    let pdca = PdcaConfig {
        auto_decide,
        ..PdcaConfig::default()
    };
    PdcaSettings::configured(&DoraConfig::default(), &pdca, chrono_tz::Tz::UTC).unwrap()
}

fn channels() -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let text = "[alerts.channels.one]\nkind = \"file\"\npath = \"/nowhere/1\"\n[alerts.channels.two]\nkind = \"file\"\npath = \"/nowhere/2\"\n";
    std::fs::write(&file, text).unwrap();
    Settings::load(&Request {
        file: Some(file),
        data_dir: Some(folder.path().join("data")),
    })
    .unwrap()
}

async fn waiting(store: &dyn MetricsStore) -> Vec<u64> {
    let states = store.channel_states().await.unwrap();
    states.iter().map(|state| state.queued).collect()
}

#[tokio::test]
async fn what_misses_its_target_is_planned_once_and_told_once() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let (store, _folder) = shop(seed, 60, 0.0).await;
    let (settings, alerts) = (settings(true), channels().alerts);
    let mut planned = 0;
    for week in 0..3 {
        let now = day(CHANGE + 7 * week);
        for _ in 0..2 {
            pdca_engine::propose(&*store, &settings, now).await.unwrap();
            pdca_engine::announce(&*store, &settings, &alerts, now)
                .await
                .unwrap();
        }
        let listing = pdca::list(&*store).await.unwrap();
        let metrics: Vec<Metric> = listing
            .cycles
            .iter()
            .map(|cycle| cycle.plan.metric)
            .collect();
        if week == 0 {
            planned = metrics.len();
            assert!(metrics.contains(&Metric::ChangeLeadTime), "{metrics:?}");
        }
        let once: std::collections::BTreeSet<&str> =
            metrics.iter().map(|metric| metric.key()).collect();
        assert_eq!(once.len(), metrics.len(), "one open cycle for each metric");
        assert!(
            listing
                .cycles
                .iter()
                .all(|cycle| cycle.state == State::Plan)
        );
        let waiting = waiting(&*store).await;
        assert_eq!(
            waiting,
            [metrics.len() as u64; 2],
            "{planned} planned first"
        );
    }
    let message = store
        .claim_message("one", day(200), day(201))
        .await
        .unwrap()
        .unwrap()
        .message;
    assert!(message.title().contains("proposed:"), "{}", message.title());
}

async fn begun(store: &dyn MetricsStore, settings: &PdcaSettings) -> String {
    let draft = Draft {
        title: "Smaller changes".to_owned(),
        metric: Metric::ChangeLeadTime,
        service: None,
        team: None,
        hypothesis: String::new(),
        change: "at most 200 lines".to_owned(),
        expected_percent: None,
        owner: "ana".to_owned(),
        guards: None,
    };
    let now = day(CHANGE);
    let cycle = pdca::create(store, draft, settings, "ana", now)
        .await
        .unwrap();
    let applied = Applied {
        what: "on".to_owned(),
        applied_at: now,
        request_id: None,
        commit: None,
    };
    pdca::start(store, &cycle.id, applied, "ana", now)
        .await
        .unwrap();
    cycle.id
}

/// The hourly job over five weeks, with hours left out and hours done twice.
async fn five_weeks(store: &dyn MetricsStore, settings: &PdcaSettings, seed: u64) -> String {
    let mut dice = StdRng::seed_from_u64(seed);
    let alerts = channels().alerts;
    let id = begun(store, settings).await;
    let mut hour = 1;
    while hour < 35 * 24 {
        let now = day(CHANGE).saturating_add(HOUR * hour);
        for _ in 0..dice.random_range(1..3) {
            let done = pdca_engine::check(store, settings, now).await.unwrap();
            assert_eq!(done.failures, [""; 0]);
            pdca_engine::announce(store, settings, &alerts, now)
                .await
                .unwrap();
        }
        hour += dice.random_range(1..40);
    }
    id
}

#[tokio::test]
async fn looks_are_taken_when_they_are_due_and_the_decision_is_left_to_a_person() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let (store, _folder) = shop(seed, 5, 0.02).await;
    let id = five_weeks(&*store, &settings(false), seed).await;
    let (cycle, events) = pdca::show(&*store, &id).await.unwrap();
    let numbers: Vec<u32> = cycle
        .looks
        .iter()
        .map(|checked| checked.look.number)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(cycle.decisions, []);
    let ours = events.iter().filter(|event| event.by == ENGINE).count() as u64;
    assert_eq!(ours, 4);
    assert_eq!(
        waiting(&*store).await,
        [ours; 2],
        "each is told once, to each channel"
    );
}

#[tokio::test]
async fn with_auto_decide_a_proven_gain_is_kept_and_a_worse_guard_takes_it_back() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    for (failures, expected, verdict) in [
        (0.0, State::Applied, Verdict::Apply),
        (0.6, State::Reverted, Verdict::Revert),
    ] {
        let (store, _folder) = shop(seed, 5, failures).await;
        let id = five_weeks(&*store, &settings(true), seed).await;
        let (cycle, events) = pdca::show(&*store, &id).await.unwrap();
        assert_eq!(cycle.state, expected, "{:?}", cycle.last_look());
        let [decided] = &cycle.decisions[..] else {
            panic!("{:?}", cycle.decisions)
        };
        assert_eq!(
            (decided.act.verdict, decided.act.automatic),
            (verdict, true)
        );
        assert_eq!(decided.by, ENGINE);
        let ours = events.iter().filter(|event| event.by == ENGINE).count() as u64;
        assert_eq!(waiting(&*store).await, [ours; 2]);
    }
}

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", "/usr/bin:/bin")
        .args(["--config", "config.toml"])
        .args(arguments)
        .output()
        .unwrap()
}

fn well(folder: &TempDir, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn reports_are_kept_and_the_first_is_the_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let config = |text: &str| {
        let text = format!("[ingest]\ndiscover = false\n{text}");
        std::fs::write(folder.path().join("config.toml"), text).unwrap();
    };
    config("[reports]\nchannels = [\"flie\"]\n");
    let wrong = run(&folder, &["config", "check"]);
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        said.contains("reports.channels: there is no channel `flie`"),
        "{said}"
    );
    config("[reports]\nchannels = [\"file\"]\n");
    // Nothing is known yet: that is no baseline.
    well(
        &folder,
        &["--data-dir", "empty", "jobs", "run", "dora_report"],
    );
    let none = run(
        &folder,
        &["--data-dir", "empty", "dora", "report", "--baseline"],
    );
    let said = String::from_utf8_lossy(&none.stderr);
    assert_eq!(none.status.code(), Some(2), "{said}");
    assert!(said.contains("atalaya jobs run dora_report"), "{said}");
    well(&folder, &["demo", "--fill", "company"]);
    let company =
        |arguments: &[&str]| well(&folder, &[&["--data-dir", "company"], arguments].concat());
    for _ in 0..2 {
        company(&["jobs", "run", "dora_report"]);
        company(&["jobs", "run", "dora_report_weekly"]);
    }
    let kept: Vec<String> = std::fs::read_dir(folder.path().join("company/reports"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(kept.len(), 4, "{kept:?}");
    let baseline = company(&["dora", "report", "--baseline"]);
    assert!(baseline.starts_with("# DORA metrics"), "{baseline}");
    let json = company(&["dora", "report", "--baseline", "--format", "json"]);
    let _: serde_json::Value = serde_json::from_str(&json).unwrap();
    let channels: serde_json::Value =
        serde_json::from_str(&company(&["alerts", "channels", "--json"])).unwrap();
    assert_eq!(
        channels[0]["messages_waiting"], 2,
        "each report once: {channels}"
    );
    company(&["dora", "record", "--help"]);
    company(&["jobs", "run", "pdca_proposals"]);
    company(&["jobs", "run", "pdca_checks"]);
    assert_eq!(company(&["dora", "report", "--baseline"]), baseline);
}
