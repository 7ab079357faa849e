//! Measures this host and asks every store a small question.

use std::path::Path;
use std::time::{Duration, Instant};

use sysinfo::{Disks, System};
use tokio::time::timeout;

use super::follower_state::FollowerState;
use atalaya_domain::health::{Check, Disk, Health, Host, Status, StoreHealth};
use atalaya_domain::record::OriginId;
use atalaya_domain::time::Timestamp;
use atalaya_ingest::spool::quarantine;
use atalaya_store::error::StoreError;

use super::Stores;
use crate::config::Settings;

/// A store or a server that says nothing for this long is told as silent. Longer than the limit of
/// slowness, so that slow and silent are told apart.
const PATIENCE: Duration = Duration::from_secs(12);

/// One measurement. Never fails: what does not answer is in the result, with the reason; and never
/// takes much longer than [`PATIENCE`].
pub async fn measure(stores: &Stores, settings: &Settings) -> Health {
    let data_dir = settings.data_dir.clone();
    let backup_dir = settings.backup_dir();
    let aside = super::quarantine::folder(&data_dir);
    let state_dir = settings.ingest_state_dir();
    let measuring = tokio::task::spawn_blocking(move || {
        let kept = quarantine::ids(&aside)
            .map(|ids| ids.len())
            .map_err(|error| error.to_string());
        let follower = FollowerState::read(&state_dir).map_err(|error| error.to_string());
        let disk = disk_of(&backup_dir);
        (measure_host(&data_dir), disk, kept, follower)
    });
    let (measured, logs, metrics, ring, database, backups) = tokio::join!(
        measuring,
        ask_logs(stores),
        ask_metrics(stores),
        timeout(PATIENCE, stores.logs.store().ring()),
        timeout(PATIENCE, stores.metrics.vitals()),
        timeout(PATIENCE, super::backup::trust(&*stores.metrics)),
    );
    let (host, backup_disk, kept, follower) = match measured {
        Ok((host, disk, kept, follower)) => (
            host.map_err(|error| error.to_string()),
            disk,
            kept,
            follower,
        ),
        Err(lost) => {
            let lost = lost.to_string();
            (Err(lost.clone()), None, Err(lost.clone()), Err(lost))
        }
    };
    let now = Timestamp::now();
    let ingest = follower.as_ref().ok().and_then(Option::as_ref);
    let ingest = ingest.map(|follower| follower.lag(now));
    let follower = match follower {
        Ok(follower) => follower.map(|follower| follower.check(now)),
        Err(reason) => Some(Check {
            name: "ingest".to_owned(),
            status: Status::Degraded,
            message: format!("what the follower says cannot be read: {reason}"),
        }),
    };
    let backups = backups.ok().and_then(Result::ok);
    // A database that refuses its vitals is told by the store's own check.
    let database = database.ok().and_then(Result::ok);
    Health::new(now, host, vec![logs, metrics])
        .with_places(backup_disk, ingest)
        .with_checks(follower)
        .with_checks(backups.and_then(|trust| trust.check(now)))
        .with_quarantine(kept)
        .with_servers(ring.ok().flatten(), database)
}

/// The answer, or why there is none, within [`PATIENCE`].
async fn patiently<T>(question: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match timeout(PATIENCE, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(super::describe(&error)),
        Err(_) => Err(format!("did not answer within {} s", PATIENCE.as_secs())),
    }
}

async fn ask_logs(stores: &Stores) -> StoreHealth {
    let store = stores.logs.store();
    let started = Instant::now();
    // One small read tells how the store answers; counting what it holds takes longer, or is kept.
    let mut latency = None;
    let answer = patiently(async {
        store.watermark(OriginId::from_u128(0)).await?;
        latency = Some(started.elapsed());
        store.stats().await
    });
    let answer = answer.await;
    let latency = latency.unwrap_or_else(|| started.elapsed());
    let (records, disk_bytes, problem) = match answer {
        Ok(stats) => (Some(stats.records), Some(stats.disk_bytes), None),
        Err(reason) => (None, None, Some(reason)),
    };
    StoreHealth {
        name: "logs",
        backend: store.backend().to_string(),
        address: store.address(),
        latency,
        records,
        disk_bytes,
        problem,
        read_only: store.read_only(),
    }
}

async fn ask_metrics(stores: &Stores) -> StoreHealth {
    let store = &stores.metrics;
    let started = Instant::now();
    let answer = patiently(store.sources()).await;
    let latency = started.elapsed();
    StoreHealth {
        name: "metrics",
        backend: store.backend().to_string(),
        address: store.address(),
        latency,
        records: None,
        disk_bytes: None,
        problem: answer.err(),
        read_only: store.read_only(),
    }
}

/// The disk that a folder is on, or will be on when it is made: asked by the folder and not by the
/// list of mounts, in which a bind mount may be left out.
fn disk_of(folder: &Path) -> Option<Disk> {
    let there = folder.ancestors().find(|ancestor| ancestor.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    // As `df` reckons: what is kept back for root is neither used nor free.
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    Some(Disk {
        mount: there.display().to_string(),
        total_bytes: used
            .saturating_add(found.f_bavail)
            .saturating_mul(found.f_frsize),
        available_bytes: found.f_bavail.saturating_mul(found.f_frsize),
    })
}

fn measure_host(data_dir: &Path) -> Result<Host, sysinfo::Error> {
    let mut system = System::new()?;
    system.refresh_memory();
    let load = System::load_average()?;
    let found = Disks::new_with_refreshed_list()?;
    let mut disks: Vec<Disk> = Vec::new();
    for disk in found.iter().filter_map(|disk| disk_of(disk.mount_point())) {
        // Bind mounts and overlays list one device many times; one line each is enough.
        let twin = |known: &Disk| {
            known.total_bytes == disk.total_bytes && known.available_bytes == disk.available_bytes
        };
        let listed = |known: &Disk| known.mount == disk.mount || twin(known);
        if disk.total_bytes > 0 && !disks.iter().any(listed) {
            disks.push(disk);
        }
    }
    disks.sort_by(|left, right| left.mount.cmp(&right.mount));
    let data_mount = disks
        .iter()
        .filter(|disk| data_dir.starts_with(&disk.mount))
        .max_by_key(|disk| disk.mount.len())
        .map(|disk| disk.mount.clone());
    Ok(Host {
        name: host_name(),
        uptime: Duration::from_secs(System::uptime()?),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        load: [load.one, load.five, load.fifteen],
        memory_total_bytes: system.total_memory(),
        memory_available_bytes: system.available_memory(),
        swap_total_bytes: system.total_swap(),
        swap_used_bytes: system.used_swap(),
        disks,
        data_mount,
    })
}

/// This machine's name; `localhost` when it has none.
pub fn host_name() -> String {
    hostname::get().map_or_else(
        |_| "localhost".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
