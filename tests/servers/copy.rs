//! `atalaya db copy` between the embedded stores and the servers, both ways.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use atalaya::store::cassandra::schema::SchemaSettings;
use atalaya::store::chunks::ChunkStore;
use atalaya::store::metrics::MetricsStore;
use atalaya::store::mysql::MySqlMetricsStore;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::copied::{self, atalaya, command, done};
use crate::keyspace::Keyspace;
use crate::mysql_store::OwnDatabase;

/// Writes the configuration, fills the embedded stores of `source`, and makes the servers' tables.
async fn prepare(home: &Path, keyspace: &Keyspace, database: &OwnDatabase) {
    let options = &database.options;
    let config = format!(
        "[stores]\nlogs = \"cassandra://{}/{}\"\nmetrics = \"mysql://{}@{}:{}/{}\"\n",
        keyspace.options.nodes.join(","),
        keyspace.name(),
        options.user,
        options.host,
        options.port,
        options.database
    );
    std::fs::write(home.join("c.toml"), config).unwrap();
    copied::fill(&home.join("source")).await;
    done(&atalaya(home, &["--config", "c.toml", "db", "init"]));
}

async fn assert_on_servers(home: &Path, keyspace: &Keyspace, database: &OwnDatabase) {
    let (from, to) = (home.join("source"), keyspace.store().await);
    let to: Arc<dyn ChunkStore> = Arc::new(to);
    copied::assert_same_logs(&copied::logs(&from).await, &to).await;
    let to: Arc<dyn MetricsStore> =
        Arc::new(MySqlMetricsStore::connect(&database.options).await.unwrap());
    copied::assert_same_metrics(&copied::metrics(&from).await, &to).await;
}

const COPY: [&str; 9] = [
    "--config",
    "c.toml",
    "--data-dir",
    "source",
    "db",
    "copy",
    "--from",
    "embedded",
    "--to",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_to_the_servers_and_back() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (keyspace, database) = (Keyspace::unmade().await, OwnDatabase::named());
    prepare(home, &keyspace, &database).await;
    let to_servers = [&COPY[..], &["configured"]].concat();
    let told = done(&atalaya(home, &to_servers));
    assert_eq!(told.matches(" equal: ").count(), 9, "{told}");
    assert_on_servers(home, &keyspace, &database).await;
    done(&atalaya(home, &to_servers));
    assert_on_servers(home, &keyspace, &database).await;

    let back = [
        "--config",
        "c.toml",
        "db",
        "copy",
        "--from",
        "configured",
        "--to",
        "sqlite:back",
    ];
    done(&atalaya(home, &back));
    let (from, to) = (home.join("source"), home.join("back"));
    copied::assert_same_logs(&copied::logs(&from).await, &copied::logs(&to).await).await;
    copied::assert_same_metrics(&copied::metrics(&from).await, &copied::metrics(&to).await).await;

    // And every command answers from the servers as it did from the files.
    for arguments in [
        &["trace", copied::REQUEST, "--json"][..],
        &["logs", "level>=error", "--limit", "0", "--json"],
        &["pdca", "list", "--json"],
    ] {
        let embedded = done(&atalaya(
            home,
            &[&["--data-dir", "source"], arguments].concat(),
        ));
        let servers = done(&atalaya(
            home,
            &[&["--config", "c.toml"], arguments].concat(),
        ));
        assert!(embedded.len() > 100);
        assert_eq!(values(&servers), values(&embedded), "{arguments:?}");
    }
}

/// As JSON, because the order of metadata is not content.
fn values(lines: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(lines)
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_on_the_way_to_the_servers_it_is_finished_by_the_next_run() {
    let seed: u64 = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |text| text.parse().unwrap());
    println!("ATALAYA_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (keyspace, database) = (Keyspace::unmade().await, OwnDatabase::named());
    prepare(home, &keyspace, &database).await;
    let to_servers = [&COPY[..], &["configured"]].concat();
    let mut killed = 0;
    for _ in 0..8 {
        let mut run = command(home, &to_servers)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The moment of the kill is what is random here, not what is waited for.
        std::thread::sleep(Duration::from_millis(random.random_range(50..1_500)));
        run.kill().unwrap();
        killed += u32::from(run.wait().unwrap().code().is_none());
    }
    assert!(killed >= 4, "most runs ended before they were killed");
    done(&atalaya(home, &to_servers));
    assert_on_servers(home, &keyspace, &database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_keyspace_does_not_keep_so_long_is_counted() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    // Of the records over ninety days, two thirds are too old here.
    let settings = SchemaSettings {
        retention_days: 30,
        bucket_minutes: 60,
        ..SchemaSettings::default()
    };
    let keyspace = Keyspace::make(&settings).await;
    let place = format!(
        "cassandra://{}/{}",
        keyspace.options.nodes.join(","),
        keyspace.name()
    );
    copied::fill(&home.join("source")).await;
    let arguments = [
        "--data-dir",
        "source",
        "db",
        "copy",
        "--from",
        "embedded",
        "--to",
        &place,
        "--logs",
        "--json",
    ];
    let copied: Value = serde_json::from_str(&done(&atalaya(home, &arguments))).unwrap();
    let logs = &copied["logs"];
    assert_eq!(copied["equal"], true);
    let expired = logs["expired_records"].as_u64().unwrap();
    assert!(expired >= 60, "{copied}");
    let kept = logs["records_to"]["count"].as_u64().unwrap();
    let store: Arc<dyn ChunkStore> = Arc::new(keyspace.store().await);
    assert_eq!(copied::counted(&store).await, kept);
    let all = copied::counted(&copied::logs(&home.join("source")).await).await;
    assert_eq!(kept + expired, all);
}
