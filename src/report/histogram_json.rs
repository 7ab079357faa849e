//! Counts of records over time as JSON.

use serde_json::{Value, json};

use atalaya_domain::record::Level;
use atalaya_store::engine::{Histogram, Scanned};

/// Bins with the count of each level.
pub fn histogram(found: &Histogram) -> Value {
    let mut at = found.range.from;
    let mut total = 0_u64;
    let bins: Vec<Value> = found
        .bins
        .iter()
        .map(|counts| {
            let mut bin = json!({ "start": at.to_rfc3339() });
            for level in Level::ALL {
                let count = counts.of(level);
                total += u64::from(count);
                bin[level.name()] = json!(count);
            }
            at = at.saturating_add(found.bin_width);
            bin
        })
        .collect();
    json!({
        "range": { "from": found.range.from.to_rfc3339(), "until": found.range.until.to_rfc3339() },
        "bin_seconds": found.bin_width.as_secs_f64(),
        "total": total,
        "bins": bins,
        "scanned": scanned(found.scanned),
    })
}

/// What an answer took.
pub fn scanned(scanned: Scanned) -> Value {
    json!({
        "records": scanned.records,
        "chunks": scanned.chunks,
        "chunks_read": scanned.chunks_read,
    })
}
