//! The metrics database at 100,000 rows: the four questions of the specification's section 3.1, and
//! inserts, on the shared MariaDB server and beside it on the embedded store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use atalaya::domain::delivery::{
    Decision, DeployedCommit, Deployment, DeploymentKind, DeploymentResult, Phase, PhaseRecord,
};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::store::metrics::{HealthSample, MetricsStore};
use atalaya::store::mysql::{self, MySqlMetricsStore, MySqlOptions};
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};

const CYCLES: u64 = 12_500;
const PHASES: usize = Phase::ALL.len();
/// Cycles of one write while the store is filled.
const BATCH: u64 = 100;
/// The cycles lie in the 400 days before it.
const END: i64 = 1_790_000_000_000_000;
const DAY: i64 = 86_400_000_000;
const DAYS: i64 = 400;
const REPEATS: usize = 300;

pub fn run(_: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(figures()).unwrap();
}

async fn figures() -> anyhow::Result<()> {
    let server: MySqlConnectOptions = xtask::services::mariadb()?.parse()?;
    let database = format!("bench_mysql_{:016x}", rand::random::<u64>());
    let mut options = MySqlOptions::new(server.get_host(), &database, server.get_username());
    options.port = server.get_port();
    let status = mysql::init(&options).await?;
    let outcome = async {
        measure(
            &status.server,
            Arc::new(MySqlMetricsStore::connect(&options).await?),
        )
        .await?;
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let embedded = SqliteMetricsStore::open(&folder.path().join("metrics.sqlite")).await?;
        measure("SQLite (embedded)", Arc::new(embedded)).await
    };
    let outcome = outcome.await;
    let mut administrator = server.connect().await?;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE `{database}`")))
        .execute(&mut administrator)
        .await?;
    outcome
}

async fn measure(name: &str, store: Arc<dyn MetricsStore>) -> anyhow::Result<()> {
    println!("{name}");
    let begin = Instant::now();
    for batch in 0..CYCLES / BATCH {
        let cycles = batch * BATCH..(batch + 1) * BATCH;
        let phases: Vec<PhaseRecord> = cycles.flat_map(|cycle| phases_of(cycle, "")).collect();
        store.record_phases(&phases).await?;
    }
    let rows = CYCLES as f64 * PHASES as f64;
    println!(
        "{rows:.0} phases, {:.0} a second in writes of {}",
        rows / begin.elapsed().as_secs_f64(),
        { BATCH as usize * PHASES }
    );
    println!("{:<52} {:>9} {:>9}", "", "p50", "p95");
    questions(&*store).await?;
    inserts(&*store).await?;
    println!();
    Ok(())
}

async fn questions(store: &dyn MetricsStore) -> anyhow::Result<()> {
    let mut random = SmallRng::seed_from_u64(1);
    for (span, days) in [("30 days", 30), ("400 days", DAYS)] {
        let mut range = || {
            let until = END - random.random_range(0..=DAYS - days) * DAY;
            TimeRange::new(
                Timestamp::from_micros(until - days * DAY),
                Timestamp::from_micros(until),
            )
        };
        let name = |question: &str| format!("{question}, {span}");

        let mut times = Vec::new();
        for _ in 0..REPEATS {
            let range = range();
            let begin = Instant::now();
            let found = store.phase_durations(Phase::Deployment, range).await?;
            times.push(begin.elapsed());
            anyhow::ensure!(found.phases > 0);
        }
        row(&name("mean duration of deployments"), times);

        let mut times = Vec::new();
        for _ in 0..REPEATS {
            let range = range();
            let begin = Instant::now();
            let found = store.deployments_per_team(range).await?;
            times.push(begin.elapsed());
            anyhow::ensure!(found.len() == 12);
        }
        row(&name("deployments per team"), times);

        let mut times = Vec::new();
        for _ in 0..REPEATS {
            let range = range();
            let begin = Instant::now();
            let found = store.testing_failures(range).await?;
            times.push(begin.elapsed());
            anyhow::ensure!(found.no_go > 0);
        }
        row(&name("change failure rate"), times);

        let mut times = Vec::new();
        for _ in 0..REPEATS {
            let range = range();
            let begin = Instant::now();
            let found = store.testing_by_story_points(range).await?;
            times.push(begin.elapsed());
            anyhow::ensure!(found.len() == 6);
        }
        row(&name("testing duration by story points"), times);
    }
    Ok(())
}

async fn inserts(store: &dyn MetricsStore) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for number in 0..REPEATS as u64 {
        let [phase, ..] = &phases_of(number, "new-")[..] else {
            anyhow::bail!("a cycle has phases")
        };
        let begin = Instant::now();
        let written = store.record_phases(std::slice::from_ref(phase)).await?;
        times.push(begin.elapsed());
        anyhow::ensure!(written.inserted == 1);
    }
    row("insert: one phase of a new cycle", times);

    let mut times = Vec::new();
    for number in 0..REPEATS as u64 {
        let mut phase = phases_of(number, "").pop().context("a cycle has phases")?;
        phase.attempt = 2;
        let begin = Instant::now();
        let written = store.record_phases(&[phase]).await?;
        times.push(begin.elapsed());
        anyhow::ensure!(written.inserted == 1);
    }
    row("insert: one phase of a cycle that has eight", times);

    let mut times = Vec::new();
    for number in 0..REPEATS as u64 {
        let begin = Instant::now();
        let written = store.put_deployments(&[deployment(number)]).await?;
        times.push(begin.elapsed());
        anyhow::ensure!(written.inserted == 1);
    }
    row("insert: one deployment with ten commits", times);

    let mut times = Vec::new();
    for number in 0..REPEATS as i64 {
        let samples: Vec<HealthSample> = (0..20)
            .map(|measure| HealthSample {
                component: "host".to_owned(),
                measure: format!("measure-{measure}"),
                taken_at: Timestamp::from_micros(END + number),
                value: 0.5,
            })
            .collect();
        let begin = Instant::now();
        let written = store.put_health_samples(&samples).await?;
        times.push(begin.elapsed());
        anyhow::ensure!(written.inserted == 20);
    }
    row("insert: twenty health samples", times);
    Ok(())
}

/// The eight phases of one cycle, over eight days.
fn phases_of(cycle: u64, prefix: &str) -> Vec<PhaseRecord> {
    let mut random = SmallRng::seed_from_u64(cycle);
    let began = END - DAYS * DAY + cycle as i64 * ((DAYS - 8) * DAY / CYCLES as i64);
    let team = format!("team-{}", cycle % 12);
    let points = [1, 2, 3, 5, 8, 13][(cycle % 6) as usize];
    let service = format!("service-{}", cycle % 40);
    (0..)
        .zip(Phase::ALL)
        .map(|(day, phase)| PhaseRecord {
            cycle_id: format!("{prefix}cycle-{cycle:08}"),
            feature_id: format!("FEAT-{cycle:08}"),
            phase,
            attempt: 1,
            decision: match (phase, random.random_range(0..10)) {
                (Phase::Maintenance | Phase::Recovery, _) => Decision::Resolved,
                (_, 0) => Decision::NoGo,
                _ => Decision::Go,
            },
            duration: Duration::from_micros(random.random_range(1_000_000..90_000_000_000)),
            recorded_at: Timestamp::from_micros(began + day * DAY),
            metadata: BTreeMap::from([
                ("team".to_owned(), team.as_str().into()),
                ("service".to_owned(), service.as_str().into()),
                ("story_points".to_owned(), points.into()),
                ("request_id".to_owned(), format!("req-{cycle:016x}").into()),
                (
                    "tests".to_owned(),
                    serde_json::json!({"passed": 58, "failed": 2, "coverage": 0.87}),
                ),
            ]),
        })
        .collect()
}

fn deployment(number: u64) -> Deployment {
    let finished_at = Timestamp::from_micros(END + number as i64);
    let commit = |position: u64| DeployedCommit {
        sha: format!("{:040x}", number * 100 + position),
        authored_at: finished_at,
        committed_at: finished_at,
        title: "Change something that a customer asked for".to_owned(),
        reverts: false,
    };
    Deployment {
        id: format!("bench:{number}"),
        service: "service-1".to_owned(),
        team: Some("team-1".to_owned()),
        environment: "production".to_owned(),
        commit: Some(format!("{:040x}", number * 100)),
        started_at: Some(finished_at),
        finished_at,
        result: DeploymentResult::Success,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: Some(format!("cycle-{number:08}")),
        origin: "bench".to_owned(),
        taken_back_by: None,
        commits: Some((0..10).map(commit).collect()),
    }
}

fn row(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |ratio: f64| {
        times[((times.len() as f64 * ratio).ceil() as usize).clamp(1, times.len()) - 1]
    };
    let shown = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1_000.0);
    println!("{name:<52} {:>9} {:>9}", shown(at(0.5)), shown(at(0.95)));
}
