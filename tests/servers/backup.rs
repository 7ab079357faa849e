//! R27 on the servers: a backup of Cassandra and MariaDB into SQLite, and into emptied servers
//! again, compared record by record and row by row.

use std::path::Path;
use std::sync::Arc;

use atalaya::store::chunks::ChunkStore;
use atalaya::store::metrics::MetricsStore;
use atalaya::store::metrics::snapshot::table_sums;
use atalaya::store::mysql::MySqlMetricsStore;
use serde_json::Value;

use crate::copied::{self, atalaya, done, text};
use crate::keyspace::Keyspace;
use crate::mysql_store::OwnDatabase;

fn configure(home: &Path, name: &str, keyspace: &Keyspace, database: &OwnDatabase) {
    let options = &database.options;
    let config = format!(
        "[stores]\nlogs = \"cassandra://{}/{}\"\nmetrics = \"mysql://{}@{}:{}/{}\"\n[backup]\ndir = \"backups\"\n",
        keyspace.options.nodes.join(","),
        keyspace.name(),
        options.user,
        options.host,
        options.port,
        options.database
    );
    std::fs::write(home.join(name), config).unwrap();
    done(&atalaya(home, &["--config", name, "db", "init"]));
}

fn backup(home: &Path, config: &str, arguments: &[&str]) -> std::process::Output {
    atalaya(
        home,
        &[
            &["--config", config, "--data-dir", "work", "backup"],
            arguments,
        ]
        .concat(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_the_servers_is_restored_into_files_and_into_other_servers() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (keyspace, database) = (Keyspace::unmade().await, OwnDatabase::named());
    configure(home, "c.toml", &keyspace, &database);
    copied::fill(&home.join("source")).await;
    done(&atalaya(
        home,
        &[
            "--config",
            "c.toml",
            "--data-dir",
            "source",
            "db",
            "copy",
            "--from",
            "embedded",
            "--to",
            "configured",
        ],
    ));
    let made: Value =
        serde_json::from_str(&done(&backup(home, "c.toml", &["create", "--json"]))).unwrap();
    assert!(made["backup"]["records"].as_u64() > Some(1_000), "{made:#}");
    // A second one builds on it, and holds nothing of logs that did not change.
    let next: Value =
        serde_json::from_str(&done(&backup(home, "c.toml", &["create", "--json"]))).unwrap();
    assert_eq!(next["own_records"], 0, "{next:#}");

    // Into files.
    done(&backup(home, "c.toml", &["restore", "--into", "files"]));
    let (from, to) = (home.join("source"), home.join("files"));
    copied::assert_same_logs(&copied::logs(&from).await, &copied::logs(&to).await).await;
    copied::assert_same_metrics(&copied::metrics(&from).await, &copied::metrics(&to).await).await;

    // Into other servers, which are empty.
    let (keyspace, database) = (Keyspace::unmade().await, OwnDatabase::named());
    configure(home, "other.toml", &keyspace, &database);
    done(&backup(
        home,
        "other.toml",
        &["restore", "--into", "configured"],
    ));
    let logs: Arc<dyn ChunkStore> = Arc::new(keyspace.store().await);
    copied::assert_same_logs(&copied::logs(&from).await, &logs).await;
    let store = MySqlMetricsStore::connect(&database.options).await.unwrap();
    let again = home.join("again.db");
    let metrics: Arc<dyn MetricsStore> = Arc::new(store);
    copied::assert_same_metrics(&copied::metrics(&from).await, &metrics).await;
    metrics.snapshot(&again).await.unwrap();
    assert!(
        table_sums(&again)
            .await
            .unwrap()
            .iter()
            .any(|table| table.rows > 10_000)
    );

    // Not over what is there, unless by force; and a file's backup into the servers.
    let refused = backup(home, "other.toml", &["restore", "--into", "configured"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    done(&backup(
        home,
        "other.toml",
        &["restore", "--into", "configured", "--force"],
    ));
    copied::assert_same_metrics(&copied::metrics(&from).await, &metrics).await;
    done(&backup(home, "c.toml", &["drill"]));
}
