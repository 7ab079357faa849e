//! The one JSON shape of a backup in a list: what `--json` prints and the API answers.

use serde_json::{Value, json};

use crate::service::backup::Listed;

pub fn listed(listed: &Listed) -> Value {
    let manifest = listed.manifest.as_ref().ok();
    let record = listed.record.as_ref();
    json!({
        "name": listed.name.name,
        "path": listed.path,
        "bytes": listed.bytes,
        "created_at": listed.name.created_at().to_rfc3339(),
        "encrypted": listed.name.is_encrypted(),
        "records": manifest.and_then(|manifest| manifest.logs.as_ref()).map(|logs| logs.total.records),
        "rows": manifest.and_then(|manifest| manifest.metrics.as_ref()).map(atalaya_domain::backup::MetricsFacts::rows),
        "builds_on": manifest.map(|manifest| manifest.chain.iter().map(|link| &link.name).collect::<Vec<_>>()),
        "verified_at": record.and_then(|record| record.verified_at).map(atalaya_domain::time::Timestamp::to_rfc3339),
        "problem": record.and_then(|record| record.problem.clone()).or_else(|| listed.manifest.as_ref().err().cloned()),
    })
}
