#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use proptest::prelude::*;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

use super::*;

fn answer(error: DbError) -> ExecutionError {
    ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, String::new()))
}

fn resilience(budget: Duration) -> Resilience {
    Resilience::seeded(
        "ring/logging",
        RetrySettings {
            budget,
            ..RetrySettings::default()
        },
        1,
    )
}

#[tokio::test(start_paused = true)]
async fn a_passing_fault_is_repeated_and_others_are_not() {
    let resilience = resilience(Duration::from_secs(60));
    let attempts = Cell::new(0);
    let done = resilience.run("chunk", || {
        attempts.set(attempts.get() + 1);
        let ready = attempts.get() > 4;
        async move {
            if ready {
                Ok(7)
            } else {
                Err(answer(DbError::WriteFailure {
                    consistency: scylla::statement::Consistency::One,
                    received: 0,
                    required: 1,
                    numfailures: 1,
                    write_type: scylla::errors::WriteType::Simple,
                }))
            }
        }
    });
    assert_eq!(done.await.unwrap(), 7);
    assert_eq!((attempts.get(), resilience.load().repeats), (5, 4));

    for (error, poison) in [(DbError::Invalid, true), (DbError::Unauthorized, false)] {
        attempts.set(0);
        let outcome: Result<(), _> = resilience
            .run("chunk", || {
                attempts.set(attempts.get() + 1);
                let error = answer(error.clone());
                async { Err(error) }
            })
            .await;
        let told = outcome.unwrap_err();
        assert_eq!(
            (attempts.get(), told.is_poison(), told.is_transient()),
            (1, poison, false),
            "{told}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_is_a_transient_error_with_the_last_cause() {
    let resilience = resilience(Duration::from_secs(20));
    let began = Instant::now();
    let outcome: Result<(), _> = resilience
        .run("chunk", || async { Err(answer(DbError::IsBootstrapping)) })
        .await;
    let told = outcome.unwrap_err();
    assert!(
        told.is_transient() && matches!(told, StoreError::Unavailable { .. }),
        "{told:?}"
    );
    assert_eq!(began.elapsed(), Duration::from_secs(20));
    let load = resilience.load();
    assert!(
        load.closed && load.in_flight == 0 && load.attempts > 5,
        "{load:?}"
    );
}

/// A server that is overloaded for a minute, with the times of all attempts.
struct Server {
    began: Instant,
    overloaded_until: Duration,
    attempts: std::sync::Mutex<Vec<Duration>>,
    answered: AtomicU64,
}

impl Server {
    async fn ask(&self) -> Result<(), ExecutionError> {
        let at = self.began.elapsed();
        self.attempts.lock().unwrap().push(at);
        tokio::time::sleep(Duration::from_millis(20)).await;
        if at >= Duration::from_secs(10) && at < self.overloaded_until {
            return Err(answer(DbError::Overloaded));
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn between(&self, from: Duration, until: Duration) -> usize {
        self.attempts
            .lock()
            .unwrap()
            .iter()
            .filter(|&&at| from <= at && at < until)
            .count()
    }
}

/// In virtual time, at full length: 200 writers without a pause, ten good seconds, sixty in
/// which every request is answered with Overloaded, and then good ones again.
///
/// R14: an overloaded ring is left alone.
#[tokio::test(start_paused = true)]
async fn a_minute_of_overload_is_probed_and_full_speed_is_back_within_five_seconds() {
    for seed in 0..2 {
        let settings = RetrySettings {
            budget: Duration::from_secs(30),
            ..RetrySettings::default()
        };
        let resilience = Resilience::seeded("ring/logging", settings, seed);
        let server = Server {
            began: Instant::now(),
            overloaded_until: Duration::from_secs(70),
            attempts: std::sync::Mutex::new(Vec::new()),
            answered: AtomicU64::new(0),
        };
        let end = server.began + Duration::from_secs(77);
        join_all((0..200).map(|_| async {
            while Instant::now() < end {
                // A call that is given up is made again, as the spool does.
                let _ = resilience.run("chunk", || server.ask()).await;
            }
        }))
        .await;
        let second = Duration::from_secs(1);
        let full = server.between(5 * second, 6 * second);
        assert!(
            full > 3_000,
            "64 places of 20 ms give 3,200 a second: {full}"
        );
        // What was on its way when the first answer came cannot be called back.
        let on_the_way = server.between(10 * second, 10 * second + Duration::from_millis(100));
        assert!(on_the_way <= 64 + 10, "{on_the_way}");
        for slice in 0..599 {
            let from = 10 * second + Duration::from_millis(100) * (slice + 1);
            let attempts = server.between(from, (from + second).min(70 * second));
            assert!(
                attempts <= 10,
                "{attempts} attempts in the second from {from:?}, seed {seed}"
            );
        }
        let whole = server.between(11 * second, 70 * second);
        assert!(
            (59 / 2..590).contains(&whole),
            "it was probed all the time: {whole}"
        );
        let again = server.between(75 * second, 76 * second);
        assert!(
            again * 10 >= full * 9,
            "{again} a second after five seconds, {full} before, seed {seed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_partition_that_is_away_does_not_slow_the_others() {
    let resilience = resilience(Duration::from_secs(100));
    let served = AtomicU64::new(0);
    let away = AtomicU64::new(0);
    let unavailable = || {
        answer(DbError::Unavailable {
            consistency: scylla::statement::Consistency::LocalQuorum,
            required: 2,
            alive: 1,
        })
    };
    let end = Instant::now() + Duration::from_secs(100);
    let others = join_all((0..50).map(|_| async {
        while Instant::now() < end {
            let good = resilience.run("chunk", || async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok::<(), ExecutionError>(())
            });
            good.await.unwrap();
            served.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let gone = resilience.run("chunk", || {
        away.fetch_add(1, Ordering::Relaxed);
        async { Err::<(), _>(unavailable()) }
    });
    let (_, outcome) = tokio::join!(others, gone);
    assert!(outcome.unwrap_err().is_transient());
    assert!(served.load(Ordering::Relaxed) > 90_000, "{served:?}");
    assert!(
        (5..60).contains(&away.load(Ordering::Relaxed)),
        "its pauses grew to seconds: {away:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_went_away_leaves_the_gate_to_the_next() {
    let resilience = Arc::new(resilience(Duration::from_secs(5)));
    let failed: Result<(), _> = resilience
        .run("chunk", || async { Err(answer(DbError::Overloaded)) })
        .await;
    failed.unwrap_err();
    assert!(resilience.load().closed);
    let hanging = tokio::spawn({
        let resilience = Arc::clone(&resilience);
        async move {
            resilience
                .run("chunk", std::future::pending::<Result<(), ExecutionError>>)
                .await
        }
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(resilience.load().in_flight, 1, "it is the probe");
    hanging.abort();
    assert!(hanging.await.unwrap_err().is_cancelled());
    resilience
        .run("chunk", || async { Ok::<(), ExecutionError>(()) })
        .await
        .unwrap();
    let load = resilience.load();
    assert!(!load.closed && load.in_flight == 0, "{load:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever comes back, in whatever order: places are never lost, never above the limit when
    /// handed out, and a closed gate has at most one probe.
    #[test]
    fn places_are_neither_lost_nor_too_many(
        steps in prop::collection::vec((0..5_u8, any::<prop::sample::Index>(), 0.0..=1.0_f64), 1..400),
        most in 1..20_usize,
    ) {
        let settings = RetrySettings { most_in_flight: most, ..RetrySettings::default() };
        let mut gate = Gate::new(settings);
        let mut now = Instant::now();
        let mut out: Vec<Ticket> = Vec::new();
        for (step, which, chance) in steps {
            if step == 4 {
                now += Duration::from_millis(100);
            }
            match gate.admit(now) {
                Admission::Go(ticket) => {
                    out.push(ticket);
                    prop_assert!(gate.is_closed() || out.len() <= most);
                }
                Admission::WaitUntil(at) => prop_assert!(gate.is_closed() && at > now),
                Admission::Wait => prop_assert!(!out.is_empty(), "someone must come back"),
            }
            if step < 4 && !out.is_empty() {
                let ticket = out.swap_remove(which.index(out.len()));
                let outcome = [
                    AttemptOutcome::Answered,
                    AttemptOutcome::Failed(Strain::Overload),
                    AttemptOutcome::Failed(Strain::Absence),
                    AttemptOutcome::Abandoned,
                ][usize::from(step)];
                gate.give_back(&ticket, outcome, now, chance);
            }
            prop_assert_eq!(gate.in_flight(), out.len());
            prop_assert!((1..=most).contains(&gate.limit()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_repeated_calls_meet_is_told_while_they_go_on() {
    let resilience = Arc::new(resilience(Duration::from_secs(20)));
    let call = tokio::spawn({
        let resilience = Arc::clone(&resilience);
        async move {
            resilience
                .run("chunk", || async {
                    Err::<(), _>(answer(DbError::IsBootstrapping))
                })
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(
        resilience.trouble(),
        None,
        "one that is over soon is nobody's business"
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    let told = resilience.trouble().unwrap();
    assert!(
        told.reason
            .starts_with("Cassandra is unreachable at ring/logging: "),
        "{told:?}"
    );
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(
        crate::error::describe(&error),
        told.reason,
        "the error says the same"
    );
    assert_eq!(
        resilience.trouble(),
        None,
        "nobody asks any more: the error was told"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_the_trouble_and_silence_is_one() {
    let resilience = Arc::new(resilience(Duration::from_secs(3)));
    let slow = tokio::spawn({
        let resilience = Arc::clone(&resilience);
        async move {
            let answer = || async {
                tokio::time::sleep(Duration::from_secs(9)).await;
                Ok::<_, ExecutionError>(7)
            };
            resilience.run("read", answer).await
        }
    });
    tokio::time::sleep(Duration::from_millis(1_900)).await;
    assert_eq!(resilience.trouble(), None);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(
        resilience
            .trouble()
            .unwrap()
            .reason
            .contains("gives no answer at ring/logging")
    );
    resilience
        .run("read", || async { Ok::<(), ExecutionError>(()) })
        .await
        .unwrap();
    assert_eq!(resilience.trouble(), None, "another one was answered");
    assert_eq!(
        slow.await.unwrap().unwrap(),
        7,
        "what is slow is not cut, whatever the budget"
    );
    assert_eq!(resilience.trouble(), None);
}
