//! Killed, on a full disk, and damaged.

use std::time::Instant;

use super::*;
use crate::ingest_full_disk::SmallDisk;

/// Times that something is done: all of them in the long form.
fn rounds(long: u32, short: u32) -> u32 {
    if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        long
    } else {
        short
    }
}

/// R25: killed at 50 random moments (`ATALAYA_TEST_LONG`; else 8), there is the old set or a complete new archive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_leaves_whole_archives_only() {
    let mut random = seeded();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    copied::fill(&home.join("source")).await;
    let begun = Instant::now();
    done(&backup(home, &["create", "--whole", "--no-verify"]));
    let whole_run = begun.elapsed();
    let mut known = archives(home);
    let mut killed = 0;
    let rounds = rounds(50, 8);
    for _ in 0..rounds {
        let arguments = [
            "--data-dir",
            "source",
            "backup",
            "create",
            "--whole",
            "--no-verify",
        ];
        let mut run = command(home, &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The moment of the kill is what is random here, not what is waited for.
        std::thread::sleep(whole_run.mul_f64(random.random_range(0.0..1.1)));
        run.kill().unwrap();
        killed += u32::from(run.wait().unwrap().code().is_none());
        let found = archives(home);
        for (name, bytes) in &known {
            assert_eq!(found.get(name), Some(bytes), "{name} was there before");
        }
        for name in found.keys().filter(|name| !known.contains_key(*name)) {
            let path = home.join("source/backups").join(name);
            atalaya_archive::check(&path, &Identities::default(), &|_| true).unwrap();
        }
        known = found;
    }
    assert!(
        killed >= rounds / 3,
        "most runs ended before they were killed"
    );
    done(&backup(home, &["create"]));
    assert_eq!(
        leftovers(&home.join("source/backups")),
        Vec::<PathBuf>::new()
    );
    assert_restored_to(home, "restored").await;
}

/// R25: the disk is full at 20 random places (`ATALAYA_TEST_LONG`; else 5).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_the_old_set_stays() {
    let mut random = seeded();
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let home = home.path();
    copied::fill(&home.join("source")).await;
    let disk = SmallDisk::mount(&home.join("source/backups"), "size=64m");
    done(&backup(home, &["create", "--whole"]));
    let needs = {
        let parts: u64 = ["metrics.db", "logs.db"]
            .iter()
            .map(|name| {
                std::fs::metadata(home.join("source").join(name))
                    .unwrap()
                    .len()
            })
            .sum();
        2 * parts
    };
    let ballast = disk.0.join("ballast");
    let mut failed = 0;
    for _ in 0..rounds(20, 5) {
        let free = {
            let space = rustix::fs::statvfs(&disk.0).unwrap();
            space.f_bavail * space.f_frsize
        };
        let left = random.random_range(0..needs);
        std::fs::write(
            &ballast,
            vec![1; usize::try_from(free.saturating_sub(left)).unwrap()],
        )
        .unwrap();
        let before = archives(home);
        let made = backup(home, &["create", "--whole", "--no-verify"]);
        let mut after = archives(home);
        after.remove("ballast");
        if made.status.success() {
            let new: Vec<_> = after
                .keys()
                .filter(|name| !before.contains_key(*name))
                .cloned()
                .collect();
            assert_eq!(new.len(), 1);
            let path = disk.0.join(&new[0]);
            atalaya_archive::check(&path, &Identities::default(), &|_| true).unwrap();
            std::fs::remove_file(path).unwrap();
        } else {
            failed += 1;
            assert_eq!(made.status.code(), Some(1), "{}", text(&made.stderr));
            let said = text(&made.stderr);
            assert!(said.contains("free"), "it says what to do: {said}");
            for (name, bytes) in before.iter().filter(|(name, _)| *name != "ballast") {
                assert_eq!(after.get(name), Some(bytes));
            }
            assert_eq!(
                after.len(),
                before.keys().filter(|name| *name != "ballast").count()
            );
        }
        assert_eq!(leftovers(&disk.0), Vec::<PathBuf>::new());
        std::fs::remove_file(&ballast).unwrap();
    }
    assert!(failed >= 5, "the disk was seldom full");
    done(&backup(home, &["create"]));
    assert_restored_to(home, "restored").await;
}

/// R26 through the binary: damage is found, named, remembered, and nothing is restored from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_found_and_restores_nothing() {
    let mut random = seeded();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    copied::fill(&home.join("source")).await;
    let made = json(&backup(home, &["create", "--json"]));
    let path = home.join(made["path"].as_str().unwrap());
    let whole = std::fs::read(&path).unwrap();
    for round in 0..rounds(20, 8) {
        let mut bytes = whole.clone();
        if round % 4 == 3 {
            bytes.truncate(random.random_range(0..whole.len()));
        } else {
            let at = random.random_range(0..whole.len());
            bytes[at] ^= 1 << random.random_range(0..8);
        }
        std::fs::write(&path, &bytes).unwrap();
        let verified = backup(home, &["verify"]);
        assert_eq!(
            verified.status.code(),
            Some(1),
            "round {round}: {}",
            text(&verified.stdout)
        );
        let said = text(&verified.stderr);
        assert!(
            said.contains(path.file_name().unwrap().to_str().unwrap()),
            "{said}"
        );
        let restored = backup(home, &["restore", "--into", "never"]);
        assert_eq!(restored.status.code(), Some(1));
        assert!(!home.join("never").exists());
        let listed = json(&backup(home, &["list", "--json"]));
        assert!(listed[0]["problem"].is_string(), "{listed:#}");
        assert_eq!(listed[0]["verified_at"], Value::Null);
    }
    std::fs::write(&path, &whole).unwrap();
    json(&backup(home, &["verify", "--json"]));
    // What was found damaged once and is right again is a base again.
    let next = json(&backup(home, &["create", "--json"]));
    assert!(next["backup"]["base"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_goes_on_and_leaves_no_half_store() {
    let mut random = seeded();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    copied::fill(&home.join("source")).await;
    done(&backup(home, &["create"]));
    let begun = Instant::now();
    done(&backup(home, &["restore", "--into", "measured"]));
    let whole_run = begun.elapsed();
    let mut killed = 0;
    let kills = rounds(15, 4);
    for _ in 0..kills {
        let arguments = [
            "--data-dir",
            "source",
            "backup",
            "restore",
            "--into",
            "restored",
        ];
        let mut run = command(home, &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole_run.mul_f64(random.random_range(0.05..0.9)));
        run.kill().unwrap();
        killed += u32::from(run.wait().unwrap().code().is_none());
        if home.join("restored").exists() {
            assert_restored(home, "restored").await;
            std::fs::remove_dir_all(home.join("restored")).unwrap();
        }
    }
    assert!(
        killed * 4 >= kills,
        "{killed} of {kills} were killed before they ended"
    );
    done(&backup(home, &["restore", "--into", "restored"]));
    assert_restored(home, "restored").await;
    assert!(!home.join("restored.restoring").exists());
}
