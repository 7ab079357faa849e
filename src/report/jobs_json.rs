//! The one JSON shape of jobs and their runs: what `--json` prints and the API answers. Instants are
//! as elsewhere, in RFC 3339.

use serde_json::{Value, json};

use crate::service::jobs::JobsView;
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::JobRun;

/// One run.
pub fn run(run: &JobRun) -> Value {
    json!({
        "id": run.id,
        "job": run.job,
        "lease": run.lease,
        "slot_at": run.slot_at.to_rfc3339(),
        "attempt": run.attempt,
        "cause": run.cause,
        "fence": run.fence,
        "host": run.host,
        "started_at": run.started_at.to_rfc3339(),
        "finished_at": run.finished_at.map(Timestamp::to_rfc3339),
        "result": run.result,
        "output": run.output,
    })
}

/// All jobs and leases.
pub fn view(view: &JobsView) -> Value {
    let jobs = view.jobs.iter().map(|job| {
        json!({
            "name": job.info.name,
            "what": job.info.what,
            "lease": job.info.lease,
            "schedule": job.info.schedule,
            "zone": job.info.zone,
            "enabled": job.is_enabled(),
            "switched_by_hand": job.switched,
            "next_run_at": job.next_run_at.map(Timestamp::to_rfc3339),
            "requested_at": job.requested_at.map(Timestamp::to_rfc3339),
            "last_success_at": job.last_success_at.map(Timestamp::to_rfc3339),
            "last": job.last.as_ref().map(run),
        })
    });
    let leases = view.leases.iter().map(|lease| {
        json!({
            "name": lease.name,
            "holder": lease.holder,
            "fence": lease.fence,
            "taken_at": lease.taken_at.to_rfc3339(),
            "renewed_at": lease.renewed_at.to_rfc3339(),
            "expires_at": lease.expires_at.to_rfc3339(),
            "held": !lease.is_free(view.at),
        })
    });
    json!({
        "at": view.at.to_rfc3339(),
        "jobs": jobs.collect::<Vec<_>>(),
        "leases": leases.collect::<Vec<_>>(),
    })
}
