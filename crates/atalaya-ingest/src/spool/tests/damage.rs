//! R5: bits flip and files are cut. What is not damaged is delivered, what is damaged is kept aside
//! and counted, and the start neither fails nor loops.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::rig::{self, Rig};
use crate::fs::made_up::{Disk, Loss};
use atalaya_domain::time::Timestamp;

fn rounds() -> u64 {
    if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        10_000
    } else {
        200
    }
}

/// A spool with several segments, the newest one open, some groups stored.
fn filled(random: &mut StdRng) -> Rig {
    let mut rig = Rig::new();
    for _ in 0..30 {
        let origin = random.random_range(0..rig::ORIGINS);
        rig.append(origin, &[random.random_range(0..500)]);
    }
    rig.take(6);
    for _ in 0..6 {
        rig.store(0);
    }
    rig.pass(61);
    rig
}

#[test]
fn whatever_is_damaged_the_rest_is_delivered() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut groups, mut delivered) = (0, 0);
    for round in 0..rounds() {
        let rig = filled(&mut random);
        let before: HashSet<(u128, u64)> = places(&rig.disk);
        assert!(before.len() >= 20, "round {round}: {}", before.len());
        let files = rig.disk.files();
        let (path, length) = files[random.random_range(0..files.len())].clone();
        let what = random.random_range(0..4);
        let mut touched = 0..0;
        rig.disk.damage(&path, |bytes| match what {
            0 | 1 if length > 0 => {
                let at = random.random_range(0..length);
                bytes[at] ^= 1 << random.random_range(0..8);
                touched = at..at + 1;
            }
            2 => {
                let at = random.random_range(0..=length);
                bytes.truncate(at);
                touched = at..length;
            }
            _ => {
                let at = random.random_range(0..=length);
                let end = random.random_range(at..=length);
                bytes[at..end].fill(0);
                touched = at..end;
            }
        });
        rig.disk.crash(Loss::Nothing);
        let (found, ledger) = rig::contents(&rig.disk);
        let after: HashSet<(u128, u64)> = found
            .iter()
            .flat_map(|group| group.frames.iter().map(rig::place))
            .collect();
        assert!(
            after.is_subset(&before),
            "round {round}: something was invented"
        );
        let name = path.file_name().unwrap().to_str().unwrap();
        // Only a segment holds groups, and damage to a few bytes costs one of them.
        let may_be_lost = match what {
            _ if path.extension().is_none_or(|kind| kind != "seg") => 0,
            0 | 1 => 1,
            _ => before.len(),
        };
        let lost = before.len() - after.len();
        assert!(
            lost <= may_be_lost,
            "round {round}: {lost} groups lost to {touched:?} of {name}"
        );
        if what < 2 {
            groups += before.len();
            delivered += after.len();
        }
        if lost > 0 {
            let look = ledger.look();
            assert!(
                look.totals.damaged > 0
                    || look.totals.damaged_bytes > 0
                    || rig.quarantined() > 0
                    || what == 2,
                "round {round}: {lost} groups lost without a word, {touched:?} of {name}: {look:?}"
            );
        }
        // The next start finds it in order.
        let (again, _) = rig::contents(&rig.disk);
        assert_eq!(again.len(), found.len(), "round {round}");
    }
    // Each round flips a bit in one of some thirty groups: nothing beyond that one may go.
    assert!(delivered * 100 >= groups * 96, "{delivered} of {groups}");
}

fn places(disk: &Disk) -> HashSet<(u128, u64)> {
    let (groups, _) = rig::contents(disk);
    groups
        .iter()
        .flat_map(|group| group.frames.iter().map(rig::place))
        .collect()
}

#[test]
fn a_missing_segment_and_one_of_another_version_do_not_stop_the_others() {
    let mut random = StdRng::seed_from_u64(5);
    let rig = filled(&mut random);
    let before = places(&rig.disk).len();
    let segments: Vec<_> = rig
        .disk
        .files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.extension().is_some_and(|kind| kind == "seg"))
        .collect();
    assert!(segments.len() >= 4);
    crate::fs::Fs::remove(&rig.disk, &segments[1]).unwrap();
    // Its index stays: the loss is noticed.
    let last = segments.last().unwrap();
    let _ = crate::fs::Fs::remove(&rig.disk, &last.with_extension("idx"));
    rig.disk.damage(last, |bytes| {
        bytes[8] = 7;
        let sum = crc32c::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&sum.to_le_bytes());
    });
    let start =
        crate::spool::recover::recover(&rig.disk, &rig::dir(), Timestamp::from_seconds(900))
            .unwrap();
    assert_eq!(start.notices.len(), 2, "{:?}", start.notices);
    assert!(
        start
            .notices
            .iter()
            .any(|notice| notice.contains("is missing")),
        "{:?}",
        start.notices
    );
    assert!(
        start
            .notices
            .iter()
            .any(|notice| notice.contains("is of version 7")),
        "{:?}",
        start.notices
    );
    let (found, _) = rig::contents(&rig.disk);
    assert!(!found.is_empty() && found.len() < before);
}
