//! How many statements may be in flight (an AIMD limiter), and whether any but a probe may go at
//! all (a circuit breaker: the gate is closed where that is called open, and a probe is its
//! half-open state). Arithmetic only: the time and the dice come from the caller.
//!
//! The limit rises by one with each answer until it reaches where it last met overload, from there
//! by one a round; a round that met overload halves it (additive increase, multiplicative
//! decrease, as TCP's window). An attempt that began before the last cut cuts no further.

use std::time::Duration;

use tokio::time::Instant;

use atalaya_domain::backoff::Backoff;

use super::super::errors::Strain;
use super::{AttemptOutcome, Change, RetrySettings};

/// Faults in a row, over all callers, that close the gate. With one statement in five failing by
/// chance this happens once in three thousand.
const FAULTS_TO_CLOSE: u32 = 5;

#[derive(Debug)]
pub(super) struct Gate {
    settings: RetrySettings,
    limit: f64,
    /// Below it the limit rises with each answer, above it with each round.
    careful_from: f64,
    in_flight: usize,
    attempts: u64,
    /// Attempts up to this number began before the last cut.
    cut_at: u64,
    faults_in_a_row: u32,
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Closed {
    /// When the next probe may go.
    next: Instant,
    probing: bool,
    probes: u32,
}

/// Of one attempt.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    probe: bool,
}

#[derive(Debug)]
pub(super) enum Admission {
    Go(Ticket),
    /// Not before this, unless the gate changes.
    WaitUntil(Instant),
    Wait,
}

impl Gate {
    pub(super) fn new(settings: RetrySettings) -> Self {
        let most = settings.most_in_flight.max(1) as f64;
        Self {
            settings,
            limit: most,
            careful_from: most,
            in_flight: 0,
            attempts: 0,
            cut_at: 0,
            faults_in_a_row: 0,
            closed: None,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn attempts(&self) -> u64 {
        self.attempts
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        let limit = self.limit();
        let probe = match &mut self.closed {
            Some(closed) if closed.probing => return Admission::Wait,
            Some(closed) if now < closed.next => return Admission::WaitUntil(closed.next),
            Some(closed) => {
                closed.probing = true;
                true
            }
            None if self.in_flight >= limit => return Admission::Wait,
            None => false,
        };
        self.attempts += 1;
        self.in_flight += 1;
        Admission::Go(Ticket {
            number: self.attempts,
            probe,
        })
    }

    /// `chance`, of 0 to 1, is the part of a pause between probes that is waited.
    pub(super) fn give_back(
        &mut self,
        ticket: &Ticket,
        outcome: AttemptOutcome,
        now: Instant,
        chance: f64,
    ) -> Change {
        self.in_flight -= 1;
        match outcome {
            AttemptOutcome::Answered => self.answered(),
            AttemptOutcome::Failed(strain) => self.failed(ticket, strain, now, chance),
            AttemptOutcome::Abandoned => match &mut self.closed {
                Some(closed) if ticket.probe => {
                    closed.probing = false;
                    Change::Probed
                }
                Some(_) => Change::None,
                None => Change::Places(1),
            },
        }
    }

    fn answered(&mut self) -> Change {
        self.faults_in_a_row = 0;
        if self.closed.take().is_some() {
            return Change::Opened;
        }
        let before = self.limit();
        let step = if self.limit < self.careful_from {
            1.0
        } else {
            1.0 / self.limit
        };
        self.limit = (self.limit + step).min(self.settings.most_in_flight.max(1) as f64);
        Change::Places(1 + self.limit() - before)
    }

    fn failed(&mut self, ticket: &Ticket, strain: Strain, now: Instant, chance: f64) -> Change {
        self.faults_in_a_row = self.faults_in_a_row.saturating_add(1);
        if strain == Strain::Overload && ticket.number > self.cut_at && self.closed.is_none() {
            self.limit = (self.limit / 2.0).max(1.0);
            self.careful_from = self.limit;
            self.cut_at = self.attempts;
        }
        match &mut self.closed {
            Some(closed) if ticket.probe => {
                closed.probing = false;
                closed.probes += 1;
                closed.next = now + probe_pause(self.settings, closed.probes, chance);
                Change::Probed
            }
            Some(_) => Change::None,
            None if self.faults_in_a_row >= FAULTS_TO_CLOSE => {
                let next = now + probe_pause(self.settings, 0, chance);
                self.closed = Some(Closed {
                    next,
                    probing: false,
                    probes: 0,
                });
                // Begins with one again, and doubles each round up to where it was.
                self.careful_from = self.limit;
                self.limit = 1.0;
                self.cut_at = self.attempts;
                Change::Closed
            }
            None => Change::Places(1),
        }
    }
}

fn probe_pause(settings: RetrySettings, probes: u32, chance: f64) -> Duration {
    Backoff::new(settings.first_pause, settings.longest_probe_pause)
        .jittered(probes + 1, chance)
        .max(settings.shortest_probe_pause)
}
