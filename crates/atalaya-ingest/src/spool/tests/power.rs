//! R2: at every moment of a long run the power fails, and everything that was acknowledged is
//! there afterwards.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::rig::{self, Rig};
use crate::fs::made_up::{Disk, Fault, Loss, State};
use crate::spool::ledger::Trust;
use atalaya_domain::record::OriginId;

/// Operations of the disk.
const OPERATIONS: u64 = 2_000;

/// What the operation under way must not lose.
#[derive(Default)]
struct Expected {
    needed: HashSet<(u128, u64)>,
    acked: BTreeMap<(u128, u64), u64>,
    stored_until: BTreeMap<u128, u64>,
    checked: u64,
}

impl Expected {
    fn take(&mut self, rig: &Rig) {
        self.needed = rig.needed();
        self.acked = rig.acked.clone();
        self.stored_until = (0..rig::ORIGINS)
            .map(|origin| (origin, rig.stored_until(origin)))
            .collect();
    }
}

fn check(state: &State, loss: Loss, expected: &Expected) {
    let disk = Disk::of(state.after(loss));
    let (groups, ledger) = rig::contents(&disk);
    let found: HashSet<(u128, u64)> = groups
        .iter()
        .flat_map(|group| group.frames.iter().map(rig::place))
        .collect();
    let lost: Vec<_> = expected.needed.difference(&found).collect();
    assert!(
        lost.is_empty(),
        "{loss:?} after {} operations: {lost:?} are lost",
        expected.checked
    );
    for group in &groups {
        for frame in &*group.frames {
            let until = expected.acked.get(&rig::place(frame));
            assert!(
                until.is_none_or(|until| *until == frame.until),
                "a group came back changed"
            );
        }
    }
    for (&(origin, _), &until) in &expected.acked {
        let (known, trust) = ledger.known(OriginId::from_u128(origin));
        let stored = if trust == Trust::Full {
            0
        } else {
            expected.stored_until.get(&origin).copied().unwrap_or(0)
        };
        let reached = known.unwrap_or(0).max(stored);
        assert!(
            reached >= until,
            "{loss:?}: origin {origin} was acknowledged to {until}, known is {reached}"
        );
    }
}

fn run(seed: u64) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut rig = Rig::new();
    let expected = Arc::new(Mutex::new(Expected::default()));
    rig.disk.watch({
        let expected = Arc::clone(&expected);
        move |state| {
            let mut expected = expected.lock().unwrap();
            expected.checked += 1;
            let seed = seed.wrapping_add(expected.checked);
            // The two plain ways in turn, and one of the many others each time.
            let plain = if seed % 2 == 0 {
                Loss::Everything
            } else {
                Loss::Nothing
            };
            for loss in [plain, Loss::Random(seed)] {
                check(state, loss, &expected);
            }
        }
    });
    while expected.lock().unwrap().checked < OPERATIONS {
        match random.random_range(0..20) {
            0..8 => {
                let origin = random.random_range(0..rig::ORIGINS);
                let sizes: Vec<usize> = (0..random.random_range(1..4))
                    .map(|_| random.random_range(0..900))
                    .collect();
                rig.append(origin, &sizes);
            }
            8..12 => rig.take(random.random_range(1..5)),
            12..17 => rig.store(random.random_range(0..8)),
            17 => {
                rig.time += Duration::from_secs(random.random_range(1..40));
                // What is safe by now may go, and what is not may not.
                expected.lock().unwrap().take(&rig);
                rig.maintain();
            }
            18 => rig.disk.set_fault(Some(match random.random_range(0..3) {
                0 => Fault::Sync,
                1 => Fault::Write,
                _ => Fault::NoSpace(random.random_range(0..700)),
            })),
            _ => rig.outage(),
        }
        expected.lock().unwrap().take(&rig);
    }
    rig.settle();
    assert!(
        rig.acked.len() > 50,
        "only {} groups were written",
        rig.acked.len()
    );
}

#[test]
fn a_power_failure_at_any_moment_loses_nothing_that_was_acknowledged() {
    let runs = if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        20
    } else {
        1
    };
    for _ in 0..runs {
        run(rand::random());
    }
}
