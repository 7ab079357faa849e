//! The retry layer above the driver, which itself never repeats anything: backoff with
//! full jitter, an adaptive limit of what is in flight (AIMD), and a circuit breaker.
//!
//! Everything that goes through [`Resilience::run`] must be safe to repeat. Three things hold
//! together:
//!
//! - **A statement** that met a passing fault waits a random part of a pause that doubles from 50 ms
//!   to 30 s, without holding a place, and tries again until its budget is spent. Then the caller
//!   gets a transient [`StoreError`] and keeps the data (the spool does).
//! - **The places** in flight (the AIMD limiter) follow the servers: half as many after a round that met overload,
//!   one more for each round that did not ([`gate`]).
//! - **The gate** (the circuit breaker; closed here is what the field calls an open one) closes when nothing but faults comes back: then one probe goes out at a time, at
//!   most five a second over all callers, and the first answer opens it for everyone at once,
//!   whatever pause they were in. So a ring that is overloaded is left alone, and full speed is
//!   back within the longest pause between probes (2 s) and a few round trips.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::{Backend, StoreError, describe};
use crate::health::Trouble;
use crate::sync::lock;

use atalaya_domain::backoff::Backoff;

use super::errors::{DriverError, Fault, Strain, store_error};

mod gate;
mod streak;

#[cfg(test)]
mod tests;

use gate::{Admission, Gate, Ticket};
use streak::Streak;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetrySettings {
    /// How long one call is repeated after its first fault, before it is given up; an attempt under
    /// way then is let finish.
    pub budget: Duration,
    /// The upper end of a statement's first pause; each further one is twice as long.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// Between two probes of servers that answer nothing.
    pub shortest_probe_pause: Duration,
    pub longest_probe_pause: Duration,
    /// Most statements in flight at once.
    pub most_in_flight: usize,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(30),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(30),
            shortest_probe_pause: Duration::from_millis(200),
            longest_probe_pause: Duration::from_secs(2),
            most_in_flight: 64,
        }
    }
}

impl RetrySettings {
    /// A screen waits for a read; it rather says why there is none. What was asked and is not
    /// answered yet is waited for: that takes as long as it takes.
    pub fn reads() -> Self {
        Self {
            budget: Duration::from_secs(3),
            ..Self::default()
        }
    }
}

/// What the layer knows of the servers, for the health view and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Statements that may be in flight at present.
    pub limit: usize,
    pub in_flight: usize,
    /// Attempts since the start, repeats among them.
    pub attempts: u64,
    pub repeats: u64,
    /// Nothing but faults comes back: only probes go out.
    pub closed: bool,
}

/// Repeats statements for one session. Shared by all callers: the limit is the process's. Reads
/// and writes get one each, so that a screen never queues behind the ingest.
#[derive(Debug)]
pub struct Resilience {
    address: String,
    settings: RetrySettings,
    inner: Mutex<Inner>,
    /// A place may be free, or the gate has changed.
    places: Notify,
    /// The gate has opened: every pause ends.
    opened: Notify,
}

#[derive(Debug)]
struct Inner {
    gate: Gate,
    random: StdRng,
    repeats: u64,
    streak: Streak,
}

impl Resilience {
    /// `address` is for messages.
    pub fn new(address: impl Into<String>, settings: RetrySettings) -> Self {
        Self::seeded(address, settings, rand::random())
    }

    /// As [`new`](Self::new), with the pauses that this seed gives.
    pub fn seeded(address: impl Into<String>, settings: RetrySettings, seed: u64) -> Self {
        Self {
            address: address.into(),
            settings,
            inner: Mutex::new(Inner {
                gate: Gate::new(settings),
                random: StdRng::seed_from_u64(seed),
                repeats: 0,
                streak: Streak::default(),
            }),
            places: Notify::new(),
            opened: Notify::new(),
        }
    }

    pub fn settings(&self) -> RetrySettings {
        self.settings
    }

    pub fn load(&self) -> Load {
        let inner = self.lock();
        Load {
            limit: inner.gate.limit(),
            in_flight: inner.gate.in_flight(),
            attempts: inner.gate.attempts(),
            repeats: inner.repeats,
            closed: inner.gate.is_closed(),
        }
    }

    /// What the calls that are being repeated meet, and since when; `None` also when there are none.
    pub fn trouble(&self) -> Option<Trouble> {
        self.lock().streak.trouble(&self.address)
    }

    /// Runs `attempt` until it succeeds, meets a fault that stays, or the budget is spent. `what`
    /// names the data in a message (`chunk`, `index row`).
    ///
    /// Only for what may be repeated: the server may have done what an attempt that failed asked
    /// for. May be dropped at any await.
    pub async fn run<T, E, F>(
        &self,
        what: &'static str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, StoreError>
    where
        E: DriverError,
        F: Future<Output = Result<T, E>>,
    {
        let mut faults = 0;
        let mut repeating: Option<Repeating<'_>> = None;
        let mut last = None;
        while let Some(place) = self
            .place(repeating.as_ref().map(|repeating| repeating.until))
            .await
        {
            match attempt().await {
                Ok(answer) => {
                    place.answered();
                    return Ok(answer);
                }
                Err(error) => match error.fault() {
                    Fault::Passing(strain) => {
                        place.failed(strain);
                        faults += 1;
                        let error = store_error(error, &self.address, what);
                        self.lock().streak.failed(cause_of(&error));
                        last = Some(error);
                        let until = repeating.get_or_insert_with(|| Repeating::of(self)).until;
                        self.pause(faults, until).await;
                    }
                    Fault::Poison(_) | Fault::Fatal(_) => {
                        place.answered();
                        return Err(store_error(error, &self.address, what));
                    }
                },
            }
        }
        Err(last.unwrap_or_else(|| {
            // The gate was closed all the time: others know why.
            let reason = self
                .lock()
                .streak
                .reason()
                .unwrap_or("it is being probed")
                .to_owned();
            StoreError::Unavailable {
                backend: Backend::Cassandra,
                address: self.address.clone(),
                source: reason.into(),
            }
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Waits for a place; `None` when there was none until the deadline. Without one it waits for as
    /// long as others are answered, and for the budget while only probes go out.
    async fn place(&self, mut deadline: Option<Instant>) -> Option<Permit<'_>> {
        loop {
            let mut changed = std::pin::pin!(self.places.notified());
            // Registered before the look, so that no change in between is missed.
            changed.as_mut().enable();
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return None;
            }
            let until = {
                let mut inner = self.lock();
                if inner.gate.is_closed() && deadline.is_none() {
                    deadline = Some(now + self.settings.budget);
                }
                match inner.gate.admit(now) {
                    Admission::Go(ticket) => {
                        inner.streak.asked();
                        return Some(Permit {
                            of: self,
                            ticket: Some(ticket),
                        });
                    }
                    Admission::WaitUntil(at) => {
                        Some(deadline.map_or(at, |deadline| at.min(deadline)))
                    }
                    Admission::Wait => deadline,
                }
            };
            match until {
                Some(until) => {
                    let _ = timeout_at(until, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// A statement's own pause. None while the gate is closed: that has the pauses of all.
    async fn pause(&self, faults: u32, deadline: Instant) {
        let mut opened = std::pin::pin!(self.opened.notified());
        opened.as_mut().enable();
        let until = {
            let mut inner = self.lock();
            inner.repeats += 1;
            if inner.gate.is_closed() {
                return;
            }
            let pauses = Backoff::new(self.settings.first_pause, self.settings.longest_pause);
            let chance = inner.random.random_range(0.0..=1.0);
            Instant::now() + pauses.jittered(faults, chance)
        };
        tokio::select! {
            () = opened => {}
            () = sleep_until(until.min(deadline)) => {}
        }
    }

    fn give_back(&self, ticket: &Ticket, outcome: AttemptOutcome) {
        let change = {
            let mut inner = self.lock();
            inner.streak.ended();
            if outcome == AttemptOutcome::Answered {
                inner.streak.answered();
            }
            let chance = inner.random.random_range(0.0..=1.0);
            inner
                .gate
                .give_back(ticket, outcome, Instant::now(), chance)
        };
        match change {
            Change::None => {}
            Change::Places(free) => (0..free).for_each(|_| self.places.notify_one()),
            Change::Closed => {
                tracing::warn!(
                    address = self.address,
                    "nothing but faults: only probes until one is answered"
                );
                self.places.notify_waiters();
            }
            Change::Probed => self.places.notify_waiters(),
            Change::Opened => {
                tracing::info!(address = self.address, "answered again");
                self.opened.notify_waiters();
                self.places.notify_waiters();
            }
        }
    }
}

/// A call that has met a fault, until its end.
struct Repeating<'a> {
    of: &'a Resilience,
    /// Then it is given up.
    until: Instant,
}

impl<'a> Repeating<'a> {
    fn of(of: &'a Resilience) -> Self {
        of.lock().streak.repeats();
        Self {
            of,
            until: Instant::now() + of.settings.budget,
        }
    }
}

impl Drop for Repeating<'_> {
    fn drop(&mut self) {
        self.of.lock().streak.gives_up();
    }
}

/// What lies below "unreachable".
fn cause_of(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable { source, .. } => describe(&**source),
        error => describe(error),
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AttemptOutcome {
    /// The servers did what was asked, or said clearly why not.
    Answered,
    Failed(Strain),
    /// The caller went away before the end: nothing is known.
    Abandoned,
}

/// What a place given back means for those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Places(usize),
    Closed,
    /// A probe has ended without an answer: there is a new time for the next one.
    Probed,
    Opened,
}

/// A place among those in flight.
struct Permit<'a> {
    of: &'a Resilience,
    ticket: Option<Ticket>,
}

impl Permit<'_> {
    fn answered(self) {
        self.end(AttemptOutcome::Answered);
    }

    fn failed(self, strain: Strain) {
        self.end(AttemptOutcome::Failed(strain));
    }

    fn end(mut self, outcome: AttemptOutcome) {
        if let Some(ticket) = self.ticket.take() {
            self.of.give_back(&ticket, outcome);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.of.give_back(&ticket, AttemptOutcome::Abandoned);
        }
    }
}
