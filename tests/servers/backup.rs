//! R27 on the servers: a backup of Cassandra and MariaDB into SQLite, and into emptied servers
//! again, compared record by record and row by row.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use atalaya::store::chunks::ChunkStore;
use atalaya::store::metrics::MetricsStore;
use atalaya::store::metrics::snapshot::table_sums;
use atalaya::store::mysql::MySqlMetricsStore;
use serde_json::Value;
use xtask::services::cassandra_server::Installation;

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

/// The job makes a snapshot of our keyspace on each node by the real nodetool; `clear_snapshots` leaves
/// the newest of these, and what somebody else made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backups_snapshots_are_made_and_cleared_and_no_others() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let keyspace = Keyspace::unmade().await;
    let command = Installation::prepare()
        .unwrap()
        .nodetool(xtask::services::commands::JMX_PORT);
    let words: Vec<String> = [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let config = format!(
        "[stores]\nlogs = \"cassandra://{}/{}\"\n[stores.cassandra]\nnodetool = {words:?}\n\
         [backup]\ndir = \"backups\"\ncassandra_snapshot = true\n",
        keyspace.options.nodes.join(","),
        keyspace.name(),
    );
    std::fs::write(home.join("c.toml"), config).unwrap();
    let run = |arguments: &[&str]| {
        let base = ["--config", "c.toml", "--data-dir", "work"];
        done(&atalaya(home, &[&base, arguments].concat()))
    };
    run(&["db", "init"]);
    let nodetool = |arguments: &[&str]| {
        let output = std::process::Command::new(&words[0])
            .args(&words[1..])
            .args(arguments)
            .output()
            .unwrap();
        done(&output)
    };
    let snapshots = || -> BTreeSet<String> {
        nodetool(&["listsnapshots"])
            .lines()
            .filter(|line| line.split_whitespace().nth(1) == Some(keyspace.name()))
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    };
    nodetool(&["snapshot", "-t", "before-upgrade", "--", keyspace.name()]);
    let made = |count: usize| {
        run(&["jobs", "run", "backup"]);
        assert_eq!(snapshots().len(), count + 1);
    };
    made(1);
    made(2);
    let before = snapshots();
    run(&["jobs", "run", "clear_snapshots"]);
    let newest = before
        .iter()
        .filter(|name| name.starts_with("atalaya-backup-"))
        .max();
    let left = BTreeSet::from(["before-upgrade".to_owned(), newest.unwrap().clone()]);
    assert_eq!(snapshots(), left);
    nodetool(&["clearsnapshot", "--all", "--", keyspace.name()]);
}
