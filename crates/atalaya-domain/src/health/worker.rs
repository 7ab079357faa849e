//! Background workers as values: what each one does now, and how often it had to be started again.

use std::time::Duration;

use serde::Serialize;

use super::{Check, Status};
use crate::time::Timestamp;

/// What a worker does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum WorkerState {
    Running,
    /// It failed and waits to be started again.
    Waiting {
        until: Timestamp,
    },
    /// It had nothing more to do.
    Done,
}

/// One supervised worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// Stable, for scripts: `ingest`, `git sync` …
    pub name: &'static str,
    #[serde(flatten)]
    pub state: WorkerState,
    /// How often it was started again in this process.
    pub restarts: u32,
    /// Why it failed last, and when.
    pub failure: Option<(Timestamp, String)>,
}

/// A worker that failed this lately is shown as degraded although it runs again.
const SHOWN_FOR: Duration = Duration::from_secs(60 * 60);

impl Worker {
    pub const fn started(name: &'static str) -> Self {
        Self {
            name,
            state: WorkerState::Running,
            restarts: 0,
            failure: None,
        }
    }

    /// Waiting is failing; a restart within the last hour is degraded.
    pub fn check(&self, now: Timestamp) -> Check {
        let name = format!("worker {}", self.name);
        let why = self
            .failure
            .as_ref()
            .map_or("no reason was given", |(_, why)| why);
        let (status, message) = match (&self.state, &self.failure) {
            (WorkerState::Waiting { until }, _) => {
                let seconds = until.micros().saturating_sub(now.micros()).max(0) / 1_000_000;
                let again = format!("failed, starts again in {seconds} s: {why}");
                (Status::Failing, again)
            }
            (_, Some((at, _)))
                if now.micros().saturating_sub(at.micros()) < SHOWN_FOR.as_micros() as i64 =>
            {
                let message = format!("runs again after restart {}: {why}", self.restarts);
                (Status::Degraded, message)
            }
            (WorkerState::Done, _) => (Status::Ok, "has nothing to do".to_owned()),
            (WorkerState::Running, _) => (Status::Ok, "runs".to_owned()),
        };
        Check {
            name,
            status,
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn is_failing_while_it_waits_and_degraded_for_an_hour_after() {
        let mut worker = Worker::started("ingest");
        assert_eq!(worker.check(at(0)).status, Status::Ok);
        worker.failure = Some((at(100), "the disk is full".to_owned()));
        worker.state = WorkerState::Waiting { until: at(110) };
        let check = worker.check(at(100));
        assert_eq!(check.status, Status::Failing);
        assert_eq!(
            check.message,
            "failed, starts again in 10 s: the disk is full"
        );
        worker.state = WorkerState::Running;
        worker.restarts = 1;
        assert_eq!(worker.check(at(200)).status, Status::Degraded);
        assert_eq!(worker.check(at(100 + 3_600)).status, Status::Ok);
    }
}
