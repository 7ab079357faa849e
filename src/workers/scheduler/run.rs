//! One run of a job: contained, limited in time, and told in one result with its output.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::super::jobs::{JobContext, JobOutcome, Planned, Planning};
use super::super::supervisor::text_of;
use crate::service::Stores;
use atalaya_domain::job::{Bounded, RunResult};
use atalaya_domain::lease::Fence;
use atalaya_ingest::contained::contained;
use atalaya_ingest::crash;
use atalaya_store::error::causes;
use atalaya_store::metrics::JobRun;

/// How long a run that was told to end may take for it.
const GRACE: Duration = Duration::from_secs(3);

/// What a run has said.
pub(super) type Output = Arc<Mutex<Bounded>>;

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub job: &'static str,
    pub run: i64,
    pub result: RunResult,
    pub output: String,
}

/// How much was ever said, and what is kept of it.
pub(super) fn said(output: &Output) -> (u64, String) {
    let output = output.lock().unwrap_or_else(PoisonError::into_inner);
    (output.pushed(), output.text())
}

pub(super) fn context(
    planning: &Planning,
    stores: &Stores,
    host: &str,
    run: &JobRun,
    fence: Fence,
    cancel: CancellationToken,
) -> JobContext {
    JobContext {
        settings: Arc::clone(&planning.settings),
        stores: Stores {
            logs: stores.logs.clone(),
            metrics: Arc::clone(&stores.metrics).fenced(fence.clone()),
        },
        host: host.to_owned(),
        slot: run.slot_at,
        cause: run.cause,
        cancel,
        fence,
        output: Arc::new(Mutex::new(Bounded::default())),
    }
}

/// Runs to its end, whatever that is.
pub(super) async fn contained_run(job: Planned, run: i64, context: JobContext) -> Ended {
    let limit = job.spec.limit;
    let work = contained(async {
        // A point of each job's own: others that begin in the same second are not meant.
        crash::point(job.spec.name);
        job.job.run(&context).await
    });
    let mut work = std::pin::pin!(AssertUnwindSafe(work).catch_unwind());
    let first = tokio::select! {
        done = &mut work => Some(done),
        () = context.cancel.cancelled() => None,
        () = tokio::time::sleep(limit) => None,
    };
    let (done, cut_off) = match first {
        Some(done) => (Some(done), None),
        None => {
            let cut_off = if context.cancel.is_cancelled() {
                RunResult::Interrupted
            } else {
                RunResult::TimedOut
            };
            context.cancel.cancel();
            (tokio::time::timeout(GRACE, work).await.ok(), Some(cut_off))
        }
    };
    let result = match (done, cut_off) {
        // Also when it was told to end and was done by then.
        (Some(Ok(Ok(JobOutcome::Done))), None | Some(RunResult::Interrupted)) => RunResult::Ok,
        (Some(Ok(Ok(JobOutcome::Skipped(reason)))), None | Some(RunResult::Interrupted)) => {
            context.say(reason);
            RunResult::Skipped
        }
        (Some(Err(panic)), _) => {
            context.say(format!("it panicked: {}", text_of(&*panic)));
            RunResult::Panicked
        }
        (done, Some(cut_off)) => {
            if let Some(Ok(Err(error))) = done {
                context.say(causes(error.as_ref()));
            }
            context.say(match cut_off {
                RunResult::TimedOut => format!("it was ended after {} s", limit.as_secs()),
                _ => "it was interrupted".to_owned(),
            });
            cut_off
        }
        (Some(Ok(Err(error))), None) => {
            context.say(causes(error.as_ref()));
            RunResult::Failed
        }
        (None, None) => RunResult::Interrupted,
    };
    let (_, output) = said(&context.output);
    Ended {
        job: job.spec.name,
        run,
        result,
        output,
    }
}
