//! Runs jobs at their slots, on whichever process holds the lease.
//!
//! One scheduler for each [`Seat`]: `store` has one lease for all processes that share the store,
//! `host` one for those of this machine. It asks for the lease, renews it well before it ends, and
//! while it holds it looks for due jobs each second. Its promises:
//!
//! - A slot is begun by one process, once: beginning it is one transaction that looks at the fence
//!   and at the slot's row. A run that was cut off by the end of its process is begun again by the
//!   next holder, up to three times.
//! - Never two runs of one job at a time.
//! - A process that does not know whether it still holds the lease stops its runs; what one of them
//!   writes all the same is refused by the store ([`MetricsStore::fenced`]).
//! - A run that fails, panics or takes too long is recorded as that, and nothing else stops for it.
//!
//! [`MetricsStore::fenced`]: atalaya_store::metrics::MetricsStore::fenced

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::jobs::{Planned, Planning};
use super::supervisor::{Supervisor, WorkerError};
use crate::service::{Stores, describe};
use atalaya_domain::job::{Cause, Due, RunResult, Seat};
use atalaya_domain::lease::{Answer, Fence, FenceNumber, Holder, Lease};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{Claimed, JobRun, JobState, RunClaim};

mod run;
mod state;

use run::{Ended, Output};
pub use state::SeatState;

/// How often a holder looks for due and requested jobs.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the output of a run that goes on is written down.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// How long the end waits for what is being asked of the store …
const END_TURN: Duration = Duration::from_secs(1);
/// … for runs that were told to end …
const END_RUNS: Duration = Duration::from_secs(4);
/// … and then for the store, to record them and give the lease back.
const END_STORE: Duration = Duration::from_secs(3);

/// The name of a seat's lease.
pub fn lease_name(seat: Seat, host: &str) -> String {
    match seat {
        Seat::Store => "store".to_owned(),
        Seat::Host => format!("host/{host}"),
    }
}

/// Starts the scheduler of a seat. The planning may change; the state changes with what happens.
pub fn start(
    supervisor: &Supervisor,
    seat: Seat,
    host: String,
    stores: Stores,
    planning: watch::Receiver<Arc<Planning>>,
) -> watch::Receiver<SeatState> {
    let (sender, state) = watch::channel(SeatState::default());
    let name = match seat {
        Seat::Store => "jobs of the store",
        Seat::Host => "jobs of this host",
    };
    supervisor.spawn(name, move |cancel| {
        Scheduler::new(
            seat,
            host.clone(),
            stores.clone(),
            planning.clone(),
            sender.clone(),
        )
        .run(cancel)
    });
    state
}

struct Held {
    lease: Lease,
    /// By our own steady clock.
    trusted_until: Instant,
    /// The store's time at an instant of ours.
    clock: (Timestamp, Instant),
    /// The jobs are known and the runs of former holders given up.
    begun: bool,
}

impl Held {
    fn is_trusted(&self) -> bool {
        Instant::now() < self.trusted_until
    }

    fn now(&self) -> Timestamp {
        let (at, instant) = self.clock;
        at.saturating_add(instant.elapsed())
    }
}

struct Running {
    run: JobRun,
    cancel: CancellationToken,
    output: Output,
    /// How much of the output the store knows, and since when.
    noted: (u64, Instant),
}

struct Scheduler {
    seat: Seat,
    lease: String,
    holder: Holder,
    stores: Stores,
    planning: watch::Receiver<Arc<Planning>>,
    state: watch::Sender<SeatState>,
    held: Option<Held>,
    /// Of the lease that was held last: the same one may come back after the store was away.
    last_fence: Option<FenceNumber>,
    asked_at: Option<Instant>,
    running: BTreeMap<&'static str, Running>,
    tasks: JoinSet<Ended>,
    /// Ended here, and not yet recorded by the store.
    unrecorded: Vec<Ended>,
    /// Claimed without an answer: claimed again, so that a run that was begun is one that runs.
    doubtful: Vec<RunClaim>,
}

impl Scheduler {
    fn new(
        seat: Seat,
        host: String,
        stores: Stores,
        planning: watch::Receiver<Arc<Planning>>,
        state: watch::Sender<SeatState>,
    ) -> Self {
        Self {
            seat,
            lease: lease_name(seat, &host),
            holder: Holder {
                // Another one for each scheduler that is made anew after a failure: what the former
                // one left unfinished is then taken up as a stranger's.
                id: format!("{:032x}", rand::random::<u128>()),
                host,
                pid: std::process::id(),
            },
            stores,
            planning,
            state,
            held: None,
            last_fence: None,
            asked_at: None,
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
            unrecorded: Vec::new(),
            doubtful: Vec::new(),
        }
    }

    async fn run(mut self, cancel: CancellationToken) -> Result<(), WorkerError> {
        while !cancel.is_cancelled() {
            let turn = {
                let mut turn = std::pin::pin!(self.turn());
                tokio::select! {
                    turn = &mut turn => turn,
                    // A lease that is being taken has to be known, to be given back.
                    () = cancel.cancelled() => match timeout(END_TURN, &mut turn).await {
                        Ok(turn) => turn,
                        Err(_) => break,
                    },
                }
            };
            self.tell(turn.err().map(|error| describe(&error)));
            let pause = self.pause();
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
                Ok(()) = self.planning.changed() => {
                    if let Some(held) = &mut self.held {
                        held.begun = false;
                    }
                }
                Some(ended) = self.tasks.join_next() => self.note_end(ended),
            }
        }
        self.end().await;
        Ok(())
    }

    /// Until something has to be done: the next look, or the next question for the lease.
    fn pause(&self) -> Duration {
        let every = Lease::renewed_every(self.planning.borrow().lease);
        match &self.held {
            Some(_) => LOOK_EVERY.min(every),
            None => every,
        }
    }

    async fn turn(&mut self) -> Result<(), StoreError> {
        self.keep_lease().await?;
        if self.held.is_none() {
            return Ok(());
        }
        let outcome = self.work().await;
        if let Err(StoreError::Fenced { holder, .. }) = &outcome {
            tracing::warn!(lease = self.lease, holder, "another host took over");
            self.lose();
            return Ok(());
        }
        outcome
    }

    /// Asks for the lease or renews it, when it is time to.
    async fn keep_lease(&mut self) -> Result<(), StoreError> {
        let length = self.planning.borrow().lease;
        let every = Lease::renewed_every(length);
        if self.asked_at.is_some_and(|asked| asked.elapsed() < every) && self.is_trusted() {
            return Ok(());
        }
        let asked_at = Instant::now();
        self.asked_at = Some(asked_at);
        let metrics = Arc::clone(&self.stores.metrics);
        let asking = metrics.ask_for_lease(&self.lease, &self.holder, length);
        // Not longer than the lease is believed in: a store that is silent must not keep runs alive.
        let patience = self.held.as_ref().map_or(length, |held| {
            held.trusted_until.saturating_duration_since(asked_at)
        });
        let answer = match timeout(patience.max(Duration::from_millis(100)), asking).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::TimedOut {
                backend: metrics.backend(),
                limit: patience,
            }),
        };
        match answer {
            Ok((Answer::Held(lease), now)) => self.hold(lease, asked_at, now),
            Ok((Answer::Others(lease), _)) => {
                if self.held.is_some() {
                    tracing::warn!(
                        lease = self.lease,
                        holder = lease.holder.host,
                        "the lease is another host's by now"
                    );
                }
                self.lose();
                self.state.send_if_modified(|state| {
                    let changed = state.lease.as_ref() != Some(&lease);
                    state.lease = Some(lease);
                    changed
                });
            }
            Err(error) => {
                if !self.is_trusted() {
                    self.lose();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn is_trusted(&self) -> bool {
        self.held.as_ref().is_none_or(Held::is_trusted)
    }

    fn hold(&mut self, lease: Lease, asked_at: Instant, now: Timestamp) {
        let same = self.last_fence == Some(lease.fence);
        if !same {
            tracing::info!(lease = self.lease, fence = lease.fence.0, "holds the lease");
            self.stop_runs();
            // What is not recorded by now is given up as that of a former holder.
            self.unrecorded.clear();
            self.doubtful.clear();
        }
        self.last_fence = Some(lease.fence);
        let begun = same && self.held.as_ref().is_some_and(|held| held.begun);
        self.held = Some(Held {
            trusted_until: asked_at + lease.trusted_for(),
            clock: (now, Instant::now()),
            lease,
            begun,
        });
    }

    /// The lease is not ours any more, or nobody knows.
    fn lose(&mut self) {
        self.held = None;
        self.stop_runs();
    }

    fn stop_runs(&self) {
        for running in self.running.values() {
            running.cancel.cancel();
        }
    }

    /// What a holder does: records what ended, and begins what is due.
    async fn work(&mut self) -> Result<(), StoreError> {
        let planning = self.planning.borrow_and_update().clone();
        let Some(held) = &self.held else {
            return Ok(());
        };
        let (fence, now) = (held.lease.fence(), held.now());
        let metrics = Arc::clone(&self.stores.metrics);
        let jobs: Vec<&Planned> = planning
            .jobs
            .iter()
            .filter(|job| job.spec.seat == self.seat)
            .collect();
        if !held.begun {
            let known: Vec<_> = jobs
                .iter()
                .map(|job| {
                    let name = job.spec.name.to_owned();
                    (name, job.plan.schedule.to_string(), job.plan.first(now))
                })
                .collect();
            let lost = metrics.begin_jobs(&fence, &known).await?;
            if lost > 0 {
                tracing::warn!(
                    lease = self.lease,
                    lost,
                    "took up the runs of a former holder"
                );
            }
            if let Some(held) = &mut self.held {
                held.begun = true;
            }
        }
        while let Some(ended) = self.unrecorded.last() {
            metrics
                .finish_run(&fence, ended.run, ended.result, &ended.output)
                .await?;
            self.unrecorded.pop();
        }
        self.note_outputs(&fence).await?;
        for claim in self.doubtful.clone() {
            self.claim(&planning, claim).await?;
        }
        let states = metrics.job_states().await?;
        for job in jobs {
            let state = states
                .iter()
                .find(|state| state.lease == self.lease && state.name == job.spec.name);
            if let Some(state) = state {
                self.look(&planning, job, state, now).await?;
            }
        }
        Ok(())
    }

    /// So that whoever watches a long run sees how far it is.
    async fn note_outputs(&mut self, fence: &Fence) -> Result<(), StoreError> {
        let metrics = Arc::clone(&self.stores.metrics);
        for running in self.running.values_mut() {
            let (known, since) = running.noted;
            if since.elapsed() < NOTE_EVERY {
                continue;
            }
            let (pushed, text) = run::said(&running.output);
            running.noted = (pushed, Instant::now());
            if pushed != known {
                metrics.note_output(fence, running.run.id, &text).await?;
            }
        }
        Ok(())
    }

    /// Begins a job when it is due or asked for.
    async fn look(
        &mut self,
        planning: &Planning,
        job: &Planned,
        state: &JobState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.running.contains_key(job.spec.name) {
            return Ok(());
        }
        let claim = |due: Due, host: &str| RunClaim {
            job: job.spec.name.to_owned(),
            slot_at: due.slot,
            cause: due.cause,
            next_run_at: due.next,
            host: host.to_owned(),
        };
        if let Some(requested) = state.requested_at {
            let due = Due {
                slot: requested,
                cause: Cause::Request,
                next: state.next_run_at,
            };
            let claim = claim(due, &self.holder.host);
            return self.claim(planning, claim).await;
        }
        if planning.requests_only {
            return Ok(());
        }
        let next = job.plan.remembered(state.next_run_at, now);
        let due = next.and_then(|next| job.plan.due(next, now));
        match due {
            Some(due) if state.enabled.unwrap_or(job.enabled) => {
                let claim = claim(due, &self.holder.host);
                self.claim(planning, claim).await
            }
            // A job that is off is not caught up with when it is switched on again.
            Some(due) => self.wait_for(job, due.next).await,
            None if next != state.next_run_at => self.wait_for(job, next).await,
            None => Ok(()),
        }
    }

    async fn wait_for(&self, job: &Planned, next: Option<Timestamp>) -> Result<(), StoreError> {
        let Some(held) = &self.held else {
            return Ok(());
        };
        self.stores
            .metrics
            .set_next_run(&held.lease.fence(), job.spec.name, next)
            .await
    }

    async fn claim(&mut self, planning: &Planning, claim: RunClaim) -> Result<(), StoreError> {
        let Some(held) = self.held.as_ref().filter(|held| held.is_trusted()) else {
            return Ok(());
        };
        let fence = held.lease.fence();
        let answer = self.stores.metrics.claim_run(&fence, &claim).await;
        self.doubtful.retain(|known| *known != claim);
        match answer {
            Ok(Claimed::Begun(run)) => {
                let job = planning.jobs.iter().find(|job| job.spec.name == claim.job);
                if let Some(job) = job {
                    self.begin(planning, job, run);
                }
                Ok(())
            }
            Ok(Claimed::Over) => Ok(()),
            Err(error) => {
                if error.is_transient() {
                    self.doubtful.push(claim);
                }
                Err(error)
            }
        }
    }

    fn begin(&mut self, planning: &Planning, job: &Planned, run: JobRun) {
        let (Some(held), false) = (&self.held, self.running.contains_key(job.spec.name)) else {
            return;
        };
        let cancel = CancellationToken::new();
        let context = run::context(
            planning,
            &self.stores,
            &self.holder.host,
            &run,
            held.lease.fence(),
            cancel.clone(),
        );
        tracing::info!(job = job.spec.name, slot = %run.slot_at, cause = run.cause.name(), "a job begins");
        let output = Arc::clone(&context.output);
        self.tasks
            .spawn(run::contained_run(job.clone(), run.id, context));
        let running = Running {
            run,
            cancel,
            output,
            noted: (0, Instant::now()),
        };
        self.running.insert(job.spec.name, running);
    }

    fn note_end(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        // The task contains panics; it ends otherwise only with the runtime.
        let Ok(ended) = ended else { return };
        let Some(running) = self.running.remove(ended.job) else {
            return;
        };
        let took = running.run.started_at;
        if ended.result.is_success() {
            tracing::info!(job = ended.job, result = ended.result.name(), "a job ended");
        } else {
            tracing::warn!(job = ended.job, result = ended.result.name(), started = %took, "a job ended");
        }
        let ours = self
            .held
            .as_ref()
            .is_none_or(|held| held.lease.fence == running.run.fence);
        // Of a lease that is not known to be lost: it may be ours again.
        if ours {
            self.unrecorded.push(ended);
        }
    }

    fn tell(&self, problem: Option<String>) {
        let running: Vec<&'static str> = self.running.keys().copied().collect();
        self.state.send_if_modified(|state| {
            let next = SeatState {
                lease: match &self.held {
                    Some(held) => Some(held.lease.clone()),
                    None => state.lease.clone(),
                },
                ours: self.held.is_some(),
                running,
                problem,
            };
            let changed = *state != next;
            *state = next;
            changed
        });
    }

    /// Ends the runs, records how far they came, and gives the lease back.
    async fn end(mut self) {
        self.stop_runs();
        let deadline = Instant::now() + END_RUNS;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.tasks.join_next()).await
        {
            self.note_end(ended);
        }
        let Some(held) = self.held.take() else { return };
        let fence = held.lease.fence();
        // What did not end in time is left to the end of the process.
        let left = self.running.values().map(|running| Ended {
            job: "",
            run: running.run.id,
            result: RunResult::Interrupted,
            output: "it did not end in time when the service was stopped\n".to_owned(),
        });
        let unrecorded: Vec<Ended> = self.unrecorded.drain(..).chain(left).collect();
        let metrics = &self.stores.metrics;
        let giving_back = async {
            for ended in unrecorded {
                metrics
                    .finish_run(&fence, ended.run, ended.result, &ended.output)
                    .await?;
            }
            metrics.release_lease(&fence).await
        };
        match timeout(END_STORE, giving_back).await {
            Ok(Ok(_)) => tracing::info!(lease = self.lease, "gave the lease back"),
            Ok(Err(error)) => {
                tracing::warn!(lease = self.lease, error = %describe(&error), "the lease ends by itself");
            }
            Err(_) => tracing::warn!(
                lease = self.lease,
                "the store is silent; the lease ends by itself"
            ),
        }
    }
}
