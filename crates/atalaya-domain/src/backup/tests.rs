#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;

use super::rotation::expired;
use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn hash() -> String {
    "0".repeat(64)
}

fn part(name: &str) -> Part {
    Part {
        name: name.to_owned(),
        bytes: 1,
        blake3: hash(),
    }
}

fn manifest(parts: &[&str]) -> Manifest {
    Manifest {
        format: FORMAT,
        program: "0".to_owned(),
        name: "atalaya-backup-20260131_020000".to_owned(),
        created_at: Timestamp::default(),
        host: "h".to_owned(),
        chain: Vec::new(),
        metrics: parts.contains(&METRICS).then(|| MetricsFacts {
            store: String::new(),
            schema: 1,
            schema_hash: hash(),
            tables: Vec::new(),
        }),
        logs: parts.contains(&LOGS).then(|| LogsFacts {
            store: String::new(),
            bucket_minutes: 10,
            from: Timestamp::MIN,
            total: LogsSum::default(),
            own: LogsSum::default(),
        }),
        parts: parts.iter().map(|name| part(name)).collect(),
        left_out: Vec::new(),
    }
}

#[test]
fn what_the_program_writes_is_taken() {
    for parts in [
        &[BUCKETS, CONFIGURATION, METRICS, LOGS][..],
        &[METRICS],
        &[
            BUCKETS,
            LOGS,
            "quarantine/a-1.group",
            "quarantine/a-1.reason.txt",
        ],
    ] {
        assert_eq!(manifest(parts).check(), Ok(()), "{parts:?}");
    }
}

#[test]
fn names_that_lead_elsewhere_and_unknown_ones_are_not() {
    for parts in [
        &["/etc/passwd"][..],
        &["../metrics.db"],
        &["metrics.db/../x"],
        &["x"],
        &[""],
        &[METRICS, METRICS],
        &[METRICS, BUCKETS, LOGS],
        &["quarantine/../x.group"],
        &["quarantine/..group"],
        &["quarantine/.group"],
        &["quarantine/a/b.group"],
        &["quarantine/a.else"],
        &["quarantine/b.group", "quarantine/a.group"],
    ] {
        assert!(manifest(parts).check().is_err(), "{parts:?}");
    }
    let mut newer = manifest(&[METRICS]);
    newer.format = FORMAT + 1;
    assert!(newer.check().is_err());
    let mut untold = manifest(&[METRICS]);
    untold.metrics = None;
    assert!(untold.check().is_err());
    let mut missing = manifest(&[BUCKETS, LOGS]);
    missing.parts.remove(0);
    assert!(missing.check().is_err());
}

#[test]
fn a_chain_goes_forward_in_time() {
    let link = |stamp: &str| Link {
        name: format!("atalaya-backup-{stamp}"),
        seal: hash(),
    };
    let with = |chain: Vec<Link>| {
        Manifest {
            chain,
            ..manifest(&[METRICS])
        }
        .check()
    };
    assert_eq!(
        with(vec![link("20260129_020000"), link("20260130_020000")]),
        Ok(())
    );
    assert!(with(vec![link("20260130_020000"), link("20260129_020000")]).is_err());
    assert!(with(vec![link("20260130_020000"), link("20260130_020000")]).is_err());
    assert!(with(vec![link("20260131_020000")]).is_err());
    assert!(with(vec![link("../../etc")]).is_err());
}

proptest! {
    /// Whatever a hostile archive calls itself, only names that are one file of ours are taken.
    #[test]
    fn no_part_leaves_its_folder(name in "(quarantine/)?[a-z./\\\\\\-_ \u{0}\n]{0,20}(\\.group|\\.reason.txt|\\.db)?") {
        if manifest(&[]).check().is_ok() && (Manifest { parts: vec![part(&name)], ..manifest(&[]) }).check().is_ok() {
            prop_assert!(!name.starts_with('/') && !name.contains("..") && !name.contains('\\'));
        }
    }

    #[test]
    fn a_name_is_read_as_it_is_written(seconds in 0_i64..253_402_300_799, gzip: bool, encrypted: bool) {
        let at = Timestamp::from_seconds(seconds);
        let compression = if gzip { Compression::Gzip } else { Compression::Zstd };
        let name = ArchiveName::new(at, compression, encrypted);
        let read: ArchiveName = name.to_string().parse().unwrap();
        prop_assert_eq!(&read, &name);
        prop_assert_eq!(read.created_at(), at);
        prop_assert_eq!((read.compression(), read.is_encrypted()), (compression, encrypted));
    }

    #[test]
    fn other_files_are_none(name in ".{0,60}") {
        if let Ok(archive) = name.parse::<ArchiveName>() {
            prop_assert_eq!(archive.to_string(), name);
        }
    }

    #[test]
    fn a_bucket_is_read_as_it_is_written(chunks: u64, records: u64, keys: u128, sum: u128, link: u32, start: i64) {
        let bucket = Bucket { layer: crate::record::Layer::ALL[0], start: Timestamp::from_micros(start) };
        let state = BucketState { bucket, chunks, records, keys, sum, link };
        let text = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<BucketState>(&text).unwrap(), state);
    }
}

/// Backups at random instants, in chains of random length, as a scheduler and people make them.
fn histories() -> impl Strategy<Value = Vec<Kept>> {
    let one = (
        0_u32..60 * 24,
        any::<bool>(),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.02),
    );
    prop::collection::vec(one, 0..120).prop_map(|steps| {
        let mut at = Timestamp::from_seconds(1_700_000_000);
        let mut chain: Vec<String> = Vec::new();
        let mut backups = Vec::new();
        for (index, (hours, whole, verified, unknown)) in steps.into_iter().enumerate() {
            at = at.saturating_add(Duration::from_secs(u64::from(hours) * 3_600 / 6));
            if whole || chain.len() > 6 {
                chain.clear();
            }
            let name = format!("{index:04}");
            backups.push(Kept {
                name: name.clone(),
                created_at: at,
                verified,
                bases: if unknown { Vec::new() } else { chain.clone() },
                unknown,
            });
            chain.push(name);
        }
        backups
    })
}

proptest! {
    #[test]
    fn rotation_never_takes_what_is_needed(
        backups in histories(), days in 0_u32..60, weeks in 0_u32..20, months in 0_u32..20, later in 0_u64..800,
    ) {
        let keep = Keep { days, weeks, months };
        let last = backups.last().map_or(Timestamp::default(), |backup| backup.created_at);
        let now = last.saturating_add(DAY * u32::try_from(later).unwrap());
        let gone = expired(&backups, keep, now);
        let is_gone = |name: &str| gone.iter().any(|gone| gone == name);
        if let Some(verified) = backups.iter().rev().find(|backup| backup.verified) {
            prop_assert!(!is_gone(&verified.name), "the last verified one");
        }
        for backup in &backups {
            if is_gone(&backup.name) {
                prop_assert!(backup.created_at < now.saturating_sub(DAY * days), "of the last days");
            } else {
                for base in &backup.bases {
                    prop_assert!(!is_gone(base), "{} builds on {base}", backup.name);
                }
                if backup.unknown {
                    prop_assert!(backups.iter().all(|older| older.created_at > backup.created_at || !is_gone(&older.name)));
                }
            }
        }
        // Once is enough: of what stays nothing goes.
        let staying: Vec<Kept> = backups.iter().filter(|backup| !is_gone(&backup.name)).cloned().collect();
        prop_assert_eq!(expired(&staying, keep, now), Vec::<String>::new());
        // A week or a month that had a backup still has one, as long as it is to be kept.
        for backup in &backups {
            let age = now.since(backup.created_at);
            if age <= DAY * 7 * weeks.saturating_sub(1) {
                let week = |at: Timestamp| (at.micros().div_euclid(86_400_000_000) + 3).div_euclid(7);
                prop_assert!(staying.iter().any(|kept| week(kept.created_at) == week(backup.created_at)));
            }
        }
    }

    #[test]
    fn what_is_old_and_needed_by_nobody_goes(count in 1_usize..50) {
        let backups: Vec<Kept> = (0..count).map(|index| Kept {
            name: format!("{index:04}"),
            created_at: Timestamp::from_seconds(1_700_000_000).saturating_add(DAY * u32::try_from(index).unwrap()),
            verified: true,
            bases: Vec::new(),
            unknown: false,
        }).collect();
        let now = Timestamp::from_seconds(1_900_000_000);
        prop_assert_eq!(expired(&backups, Keep::default(), now).len(), count - 1);
    }
}

/// The trust line says what is wrong, and is not there where nobody makes backups.
#[test]
fn the_trust_line_is_degraded_when_the_backup_is_late_damaged_or_not_restorable() {
    use crate::health::Status;
    let now = Timestamp::from_seconds(1_800_000_000);
    let record = |hours: u32| BackupRecord {
        name: "b".to_owned(),
        created_at: now.saturating_sub(Duration::from_secs(3_600) * hours),
        host: String::new(),
        seal: String::new(),
        bytes: 0,
        records: 0,
        rows: 0,
        base: None,
        verified_at: Some(now),
        problem: None,
    };
    let drill = |problem: Option<&str>| DrillRecord {
        at: now.saturating_sub(DAY * 12),
        backup: "b".to_owned(),
        rto_ms: 14_200,
        rpo_seconds: 1_200,
        records: 0,
        rows: 0,
        problem: problem.map(str::to_owned),
    };
    let line = |newest: Option<BackupRecord>, drill| {
        let verified = newest.clone().filter(|one| one.verified_at.is_some());
        Trust {
            newest,
            verified,
            drill,
        }
        .check(now)
    };
    assert_eq!(line(None, None), None);
    let good = line(Some(record(3)), Some(drill(None))).unwrap();
    assert_eq!(good.status, Status::Ok);
    assert_eq!(
        good.message,
        "3 h old (limit 25 h), verified 0 min ago; drill 12 d ago: RTO 14.2 s, RPO 20 min"
    );
    let unverified = BackupRecord {
        verified_at: None,
        ..record(1)
    };
    let damaged = BackupRecord {
        problem: Some("cut".to_owned()),
        verified_at: None,
        ..record(1)
    };
    for (newest, drill) in [
        (record(26), None),
        (unverified, None),
        (damaged, None),
        (record(1), Some(drill(Some("different")))),
    ] {
        assert_eq!(line(Some(newest), drill).unwrap().status, Status::Degraded);
    }
}
