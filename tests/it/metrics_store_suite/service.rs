//! Leases, fenced writes and the runs of jobs.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use atalaya::domain::job::{Cause, MOST_ATTEMPTS, RunResult};
use atalaya::domain::lease::{Answer, Fence, Holder, Lease};
use atalaya::store::metrics::{Claimed, JobRun, RunClaim, RunFilter, RunPrune};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const LONG: Duration = Duration::from_secs(600);

fn holder(number: usize) -> Holder {
    Holder {
        id: format!("process {number}"),
        host: format!("host {number}"),
        pid: 7,
    }
}

async fn ask(store: &Store, who: usize, length: Duration) -> Answer {
    let asked = store.ask_for_lease("store", &holder(who), length).await;
    asked.unwrap().0
}

/// Takes the lease, which somebody may hold: after this they do not.
async fn take(store: &Store, who: usize) -> Lease {
    for known in store.leases().await.unwrap().0 {
        store.release_lease(&known.fence()).await.unwrap();
    }
    match ask(store, who, LONG).await {
        Answer::Held(lease) => lease,
        Answer::Others(lease) => panic!("it was given back: {lease:?}"),
    }
}

fn target(value: f64) -> Target {
    Target {
        metric: "deployment_frequency".to_owned(),
        service: None,
        team: None,
        value,
        set_at: at(1),
    }
}

fn claim(slot: Timestamp) -> RunClaim {
    RunClaim {
        job: "any".to_owned(),
        slot_at: slot,
        cause: Cause::Schedule,
        next_run_at: Some(slot.saturating_add(Duration::from_secs(60))),
        host: "here".to_owned(),
    }
}

async fn known_job(store: &Store, fence: &Fence) {
    let jobs = [("any".to_owned(), "1m".to_owned(), Some(at(0)))];
    store.begin_jobs(fence, &jobs).await.unwrap();
}

async fn begun(store: &Store, fence: &Fence, slot: Timestamp) -> JobRun {
    match store.claim_run(fence, &claim(slot)).await.unwrap() {
        Claimed::Begun(run) => run,
        Claimed::Over => panic!("the slot was not run yet"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "asked in place of unwrapped")]
fn is_fenced<T>(outcome: Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Fenced { .. }))
}

pub async fn a_lease_has_one_holder(store: Store) {
    let asked = futures::future::join_all((0..6).map(|who| ask(&store, who, LONG))).await;
    let held: Vec<&Lease> = asked
        .iter()
        .filter_map(|answer| match answer {
            Answer::Held(lease) => Some(lease),
            Answer::Others(_) => None,
        })
        .collect();
    let [first] = held[..] else {
        panic!("one of six holds it: {asked:?}")
    };
    for answer in &asked {
        if let Answer::Others(lease) = answer {
            assert_eq!(lease.holder, first.holder);
        }
    }
    let number: usize = first.holder.id[8..].parse().unwrap();
    let Answer::Held(renewed) = ask(&store, number, LONG).await else {
        panic!("it is renewed")
    };
    assert_eq!(
        (renewed.fence, renewed.taken_at),
        (first.fence, first.taken_at)
    );
    assert!(renewed.expires_at >= first.expires_at);
    let (leases, now) = store.leases().await.unwrap();
    assert_eq!(leases, std::slice::from_ref(&renewed));
    assert!(renewed.renewed_at <= now && now < renewed.expires_at);
    assert!(store.release_lease(&first.fence()).await.unwrap());
    let next = take(&store, 9).await;
    assert!(next.fence > first.fence);
    assert!(!store.release_lease(&first.fence()).await.unwrap());
    assert!(matches!(ask(&store, number, LONG).await, Answer::Others(_)));
}

pub async fn what_a_former_holder_writes_is_refused(store: Store) {
    let first = take(&store, 1).await.fence();
    let of_first = Arc::clone(&store).fenced(first.clone());
    of_first.put_target(&target(1.0)).await.unwrap();
    let second = take(&store, 2).await.fence();
    let of_second = Arc::clone(&store).fenced(second.clone());
    match of_first.put_target(&target(2.0)).await {
        Err(StoreError::Fenced { lease, holder, .. }) => {
            assert_eq!((lease.as_str(), holder.as_str()), ("store", "host 2"));
        }
        other => panic!("{other:?}"),
    }
    // Another kind of write, and fenced by what was fenced before.
    let sample = HealthSample {
        component: "host".to_owned(),
        measure: "load".to_owned(),
        taken_at: at(1),
        value: 1.0,
    };
    assert!(is_fenced(of_first.put_health_samples(&[sample]).await));
    assert!(is_fenced(store.check_fence(&first).await));
    store.check_fence(&second).await.unwrap();
    let again = Arc::clone(&of_first).fenced(second.clone());
    assert!(again.put_target(&target(3.0)).await.is_ok());
    of_second.put_target(&target(4.0)).await.unwrap();
    let stored = of_first.targets().await.unwrap()[0].value;
    assert!((stored - 4.0).abs() < f64::EPSILON);
    assert!(
        store
            .health_samples(None, TimeRange::ALL, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let nobody = Fence {
        lease: "nobody's".to_owned(),
        ..second
    };
    assert!(is_fenced(store.check_fence(&nobody).await));
}

pub async fn a_slot_is_run_once(store: Store) {
    let fence = take(&store, 1).await.fence();
    assert!(matches!(
        store.claim_run(&fence, &claim(at(1))).await,
        Err(StoreError::Dangling { .. })
    ));
    known_job(&store, &fence).await;
    let run = begun(&store, &fence, at(1)).await;
    assert_eq!((run.attempt, run.result, run.slot_at), (1, None, at(1)));
    // The answer was lost: the same run.
    assert_eq!(begun(&store, &fence, at(1)).await, run);
    store
        .finish_run(&fence, run.id, RunResult::Ok, "did it\n")
        .await
        .unwrap();
    // … and that of its end.
    store
        .finish_run(&fence, run.id, RunResult::Failed, "no")
        .await
        .unwrap();
    let ended = store.job_run(run.id).await.unwrap().unwrap();
    assert_eq!(
        (ended.result, ended.output.as_str()),
        (Some(RunResult::Ok), "did it\n")
    );
    assert!(ended.finished_at.unwrap() >= ended.started_at);
    assert_eq!(
        store.claim_run(&fence, &claim(at(1))).await.unwrap(),
        Claimed::Over
    );
    // A failure is a run, too.
    let run = begun(&store, &fence, at(2)).await;
    store
        .finish_run(&fence, run.id, RunResult::Failed, "")
        .await
        .unwrap();
    assert_eq!(
        store.claim_run(&fence, &claim(at(2))).await.unwrap(),
        Claimed::Over
    );
    assert_eq!(
        store.job_states().await.unwrap()[0].next_run_at,
        Some(at(3))
    );
    let found = store.run_of_slot("store", "any", at(1)).await.unwrap();
    assert_eq!(found, Some(ended));
    assert!(
        store
            .last_start("store", "any", RunResult::Ok)
            .await
            .unwrap()
            .is_some()
    );
}

pub async fn runs_of_a_former_holder_are_taken_up(store: Store) {
    let mut fence = take(&store, 0).await.fence();
    known_job(&store, &fence).await;
    for attempt in 1..=MOST_ATTEMPTS {
        let run = begun(&store, &fence, at(5)).await;
        assert_eq!(run.attempt, attempt);
        let next = take(&store, attempt as usize).await.fence();
        assert!(is_fenced(
            store.finish_run(&fence, run.id, RunResult::Ok, "").await
        ));
        assert!(is_fenced(store.claim_run(&fence, &claim(at(6))).await));
        assert!(is_fenced(store.begin_jobs(&fence, &[]).await));
        assert_eq!(store.begin_jobs(&next, &[]).await.unwrap(), 1);
        assert_eq!(store.begin_jobs(&next, &[]).await.unwrap(), 0);
        let lost = store.job_run(run.id).await.unwrap().unwrap();
        assert_eq!(lost.result, Some(RunResult::Lost));
        let waited_for = store.job_states().await.unwrap()[0].next_run_at;
        let again = attempt < MOST_ATTEMPTS;
        assert_eq!(waited_for, Some(if again { at(5) } else { at(6) }));
        fence = next;
    }
    assert_eq!(
        store.claim_run(&fence, &claim(at(5))).await.unwrap(),
        Claimed::Over
    );
    // What was told to end is begun again, too.
    let run = begun(&store, &fence, at(7)).await;
    store
        .finish_run(&fence, run.id, RunResult::Interrupted, "")
        .await
        .unwrap();
    assert_eq!(
        store.job_states().await.unwrap()[0].next_run_at,
        Some(at(7))
    );
    assert_eq!(begun(&store, &fence, at(7)).await.attempt, 2);
    let all = RunFilter {
        job: None,
        limit: 10,
    };
    assert_eq!(store.job_runs(&all).await.unwrap().len(), 2);
}

pub async fn jobs_are_asked_for_and_switched(store: Store) {
    assert!(matches!(
        store.request_run("store", "any", "me").await,
        Err(StoreError::Dangling { .. })
    ));
    store.switch_job("store", "any", Some(false)).await.unwrap();
    let fence = take(&store, 1).await.fence();
    known_job(&store, &fence).await;
    let slot = store.request_run("store", "any", "me").await.unwrap();
    assert_eq!(
        store.request_run("store", "any", "you").await.unwrap(),
        slot
    );
    let state = store.job_states().await.unwrap().remove(0);
    assert_eq!(state.enabled, Some(false));
    assert_eq!(
        (state.requested_at, state.requested_by.as_deref()),
        (Some(slot), Some("me"))
    );
    assert_eq!(
        (state.next_run_at, state.schedule.as_str()),
        (Some(at(0)), "1m")
    );
    let asked = RunClaim {
        cause: Cause::Request,
        next_run_at: state.next_run_at,
        ..claim(slot)
    };
    assert!(matches!(
        store.claim_run(&fence, &asked).await.unwrap(),
        Claimed::Begun(_)
    ));
    store.switch_job("store", "any", None).await.unwrap();
    let state = store.job_states().await.unwrap().remove(0);
    assert_eq!(
        (state.requested_at, state.enabled, state.next_run_at),
        (None, None, Some(at(0)))
    );
    // Known again: what was waited for stays.
    let jobs = [("any".to_owned(), "5m".to_owned(), Some(at(9)))];
    store.begin_jobs(&fence, &jobs).await.unwrap();
    let state = store.job_states().await.unwrap().remove(0);
    assert_eq!(
        (state.next_run_at, state.schedule.as_str()),
        (Some(at(0)), "5m")
    );
}

pub async fn old_runs_go_and_the_last_success_stays(store: Store) {
    let fence = take(&store, 1).await.fence();
    known_job(&store, &fence).await;
    for minute in 0..30 {
        let run = begun(&store, &fence, at(minute)).await;
        let result = if minute == 3 {
            RunResult::Ok
        } else {
            RunResult::Failed
        };
        store.finish_run(&fence, run.id, result, "").await.unwrap();
    }
    let running = begun(&store, &fence, at(40)).await;
    let mut prune = RunPrune {
        lease: "store".to_owned(),
        job: "any".to_owned(),
        before: Timestamp::MIN,
        most: 10,
        dry_run: true,
    };
    let all = RunFilter {
        job: Some(("store".to_owned(), "any".to_owned())),
        limit: 100,
    };
    let would = store.prune_job_runs(&prune).await.unwrap();
    assert_eq!(store.job_runs(&all).await.unwrap().len(), 31);
    prune.dry_run = false;
    assert_eq!(store.prune_job_runs(&prune).await.unwrap(), would);
    let left: BTreeSet<Timestamp> = store
        .job_runs(&all)
        .await
        .unwrap()
        .into_iter()
        .map(|run| run.slot_at)
        .collect();
    assert!(left.contains(&at(3)) && left.contains(&at(29)) && left.contains(&at(40)));
    assert_eq!(left.len() as u64, 31 - would);
    prune.before = Timestamp::MAX;
    store.prune_job_runs(&prune).await.unwrap();
    let left = store.job_runs(&all).await.unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0].id, running.id);
}

/// Hosts that take the lease from each other at any moment, and go on as if nothing had happened.
pub async fn in_any_history_a_slot_ends_once_and_only_holders_write(store: Store) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    // What each host believes.
    let mut believed: BTreeMap<usize, Fence> = BTreeMap::new();
    let mut running: BTreeMap<usize, JobRun> = BTreeMap::new();
    let mut holder_now = None;
    let mut ended: BTreeMap<Timestamp, u32> = BTreeMap::new();
    let mut value = 0.0;
    for step in 0..300 {
        let who = random.random_range(0..4);
        let slot = at(random.random_range(0..12));
        let Some(fence) = believed
            .get(&who)
            .cloned()
            .filter(|_| random.random_range(0..6) > 0)
        else {
            let lease = take(&store, who).await;
            known_job(&store, &lease.fence()).await;
            believed.insert(who, lease.fence());
            holder_now = Some(who);
            continue;
        };
        let rightly = holder_now == Some(who);
        match random.random_range(0..3) {
            0 => {
                value += 1.0;
                let mine = Arc::clone(&store).fenced(fence.clone());
                let wrote = mine.put_target(&target(value)).await;
                assert_eq!(!is_fenced(wrote), rightly, "step {step}");
                let stored = store.targets().await.unwrap();
                let seen = stored
                    .iter()
                    .any(|target| (target.value - value).abs() < f64::EPSILON);
                assert_eq!(seen, rightly, "step {step}");
            }
            1 => match store.claim_run(&fence, &claim(slot)).await {
                Ok(Claimed::Begun(run)) => {
                    assert!(
                        rightly && !ended.contains_key(&slot),
                        "step {step}: {run:?}"
                    );
                    running.insert(who, run);
                }
                Ok(Claimed::Over) => assert!(rightly),
                Err(error) => {
                    assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
                    assert!(!rightly, "step {step}");
                }
            },
            _ => {
                let Some(run) = running.remove(&who) else {
                    continue;
                };
                let before = store.job_run(run.id).await.unwrap().unwrap();
                let finish = store.finish_run(&fence, run.id, RunResult::Ok, "").await;
                assert_eq!(is_fenced(finish), !rightly, "step {step}");
                let after = store.job_run(run.id).await.unwrap().unwrap();
                if before.result.is_none() && after.result == Some(RunResult::Ok) {
                    assert!(rightly);
                    *ended.entry(run.slot_at).or_default() += 1;
                }
            }
        }
    }
    assert!(ended.values().all(|times| *times == 1), "{ended:?}");
    let rows = store
        .job_runs(&RunFilter {
            job: None,
            limit: 1_000,
        })
        .await
        .unwrap();
    let slots: BTreeSet<Timestamp> = rows.iter().map(|run| run.slot_at).collect();
    assert_eq!(slots.len(), rows.len(), "a slot has one row");
}
