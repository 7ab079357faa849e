//! What the background service costs: the evaluation of alert rules over five million stored records.

use std::time::{Duration, Instant};

use atalaya::config::{Request, Settings};
use atalaya::domain::time::Timestamp;
use atalaya::service::Stores;
use atalaya::service::alerts::Evaluator;
use atalaya::store::engine::LogEngine;
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use tokio_util::sync::CancellationToken;

use crate::query;
use crate::query::data::{Data, RECORDS};

/// Rules evaluated each minute.
const RULES: usize = 200;
const ROUNDS: usize = 20;

pub fn run(arguments: &[String]) {
    let records = arguments
        .first()
        .map_or(RECORDS, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let data = Data::new(records, query::END);
    runtime.block_on(evaluation(data)).unwrap();
}

async fn evaluation(data: Data) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = query::prepared(data).await?;
    let metrics = SqliteMetricsStore::open(&folder.path().join("metrics.db")).await?;
    let stores = Stores {
        logs: LogEngine::new(store.clone()),
        metrics: std::sync::Arc::new(metrics),
    };
    // In the middle of the newest day, where every minute has its records.
    let now = Timestamp::from_micros(query::END - 3_600_000_000);
    for rules in [1, RULES] {
        let settings = settings(folder.path(), rules)?;
        let evaluator = Evaluator::new(stores.clone(), &settings);
        let mut times = Vec::with_capacity(ROUNDS);
        let before = cpu_seconds()?;
        for round in 0..ROUNDS {
            let at = now.saturating_add(Duration::from_secs(60 * round as u64));
            let begin = Instant::now();
            evaluator.evaluate(at, &CancellationToken::new()).await?;
            times.push(begin.elapsed());
        }
        let cpu = (cpu_seconds()? - before) / ROUNDS as f64;
        times.sort_unstable();
        println!(
            "{rules} rules over 5 minutes of {} records: p50 {:.1} ms, p95 {:.1} ms; {:.2} % of a core when evaluated each minute",
            data.records(),
            times[ROUNDS / 2].as_secs_f64() * 1_000.0,
            times[ROUNDS * 95 / 100].as_secs_f64() * 1_000.0,
            cpu / 60.0 * 100.0
        );
    }
    store.close().await;
    Ok(())
}

/// Counts by level and source, each other than the last.
fn settings(folder: &std::path::Path, rules: usize) -> anyhow::Result<Settings> {
    let built_in = atalaya::domain::alert::built_in::rules();
    let off: Vec<String> = built_in
        .iter()
        .map(|rule| format!("{:?}", rule.name))
        .collect();
    let mut text = format!("[alerts]\ndisable = [{}]\n", off.join(", "));
    for number in 0..rules {
        let level = ["warning", "error", "critical", "info"][number % 4];
        text.push_str(&format!(
            "[[alerts.rules]]\nname = \"rule-{number}\"\nmeasure = {{ kind = \"count\", query = \"level>={level} -source:nobody-{number}\", window = \"5m\" }}\nwhen = \">= 1000000\"\n"
        ));
    }
    let file = folder.join("config.toml");
    std::fs::write(&file, text)?;
    Ok(Settings::load(&Request {
        file: Some(file),
        data_dir: Some(folder.to_path_buf()),
    })?)
}

/// User and system time of this process so far.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok());
    // `utime` and `stime`, the 14th and 15th of proc(5), in hundredths of a second.
    Ok((ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0)
}
