//! R12: random sequences of everything that can happen to the spool, against what must come of it.

use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::rig::{ORIGINS, Rig};
use crate::fs::made_up::{Fault, Loss};

#[derive(Clone, Debug)]
pub enum Step {
    Append {
        origin: u8,
        sizes: Vec<u16>,
    },
    Take(u8),
    Store(u8),
    Pass(u8),
    Outage,
    /// A clean stop and start.
    Stop,
    /// The process dies: everything written is there, synced or not.
    Killed,
    PowerFails(u64),
    EverythingUnsyncedGoes,
    SyncFails,
    WriteFails,
    DiskIsFull(u16),
}

/// The order of steps is free: what must hold is checked by the rig.
pub struct Free;

impl ReferenceStateMachine for Free {
    type State = ();
    type Transition = Step;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Step> {
        prop_oneof![
            8 => (any::<u8>(), prop::collection::vec(0_u16..900, 1..4))
                .prop_map(|(origin, sizes)| Step::Append { origin, sizes }),
            4 => (1_u8..6).prop_map(Step::Take),
            5 => any::<u8>().prop_map(Step::Store),
            2 => (1_u8..90).prop_map(Step::Pass),
            1 => Just(Step::Outage),
            1 => Just(Step::Stop),
            1 => Just(Step::Killed),
            1 => any::<u64>().prop_map(Step::PowerFails),
            1 => Just(Step::EverythingUnsyncedGoes),
            1 => Just(Step::SyncFails),
            1 => Just(Step::WriteFails),
            1 => (0_u16..900).prop_map(Step::DiskIsFull),
        ]
        .boxed()
    }

    fn apply((): (), _: &Step) {}
}

struct Spool;

impl StateMachineTest for Spool {
    type SystemUnderTest = Rig;
    type Reference = Free;

    fn init_test((): &()) -> Rig {
        Rig::new()
    }

    fn apply(mut rig: Rig, (): &(), step: Step) -> Rig {
        match step {
            Step::Append { origin, sizes } => {
                let sizes: Vec<usize> = sizes.into_iter().map(usize::from).collect();
                rig.append(u128::from(origin) % ORIGINS, &sizes);
            }
            Step::Take(count) => rig.take(count.into()),
            Step::Store(which) => rig.store(which.into()),
            Step::Pass(seconds) => rig.pass(seconds.into()),
            Step::Outage => rig.outage(),
            Step::Stop => rig.stop(),
            Step::Killed => crash(&mut rig, Loss::Nothing),
            Step::PowerFails(seed) => crash(&mut rig, Loss::Random(seed)),
            Step::EverythingUnsyncedGoes => crash(&mut rig, Loss::Everything),
            Step::SyncFails => rig.disk.set_fault(Some(Fault::Sync)),
            Step::WriteFails => rig.disk.set_fault(Some(Fault::Write)),
            Step::DiskIsFull(room) => rig.disk.set_fault(Some(Fault::NoSpace(room.into()))),
        }
        rig
    }

    fn teardown(mut rig: Rig, (): ()) {
        rig.settle();
    }
}

fn crash(rig: &mut Rig, loss: Loss) {
    rig.disk.crash(loss);
    rig.restart();
}

fn cases() -> u32 {
    if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        10_000
    } else {
        512
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: cases(), failure_persistence: None, ..Config::default() })]

    #[test]
    fn nothing_is_lost_or_doubled_whatever_happens(sequential 1..128 => Spool);
}
