//! The one JSON shape of PDCA cycles: what `--json` prints and the API answers.

use serde::Serialize;
use serde_json::{Value, json};

use atalaya_domain::pdca::{BrokenCycle, Listing, PdcaCycle, PdcaEvent, automatically};
use atalaya_domain::time::Timestamp;

/// One array: the cycles, and those that cannot be read with the state `unreadable`.
pub fn list(listing: &Listing) -> Result<Value, serde_json::Error> {
    let unreadable = |cycle: &BrokenCycle| {
        json!({
            "id": cycle.id,
            "state": "unreadable",
            "title": cycle.title,
            "created_at": cycle.created_at,
            "reason": cycle.reason,
        })
    };
    let mut rows = listing
        .cycles
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<_>, _>>()?;
    rows.extend(listing.broken.iter().map(unreadable));
    value(&rows)
}

/// One cycle with everything that happened to it.
pub fn history(cycle: &PdcaCycle, events: &[PdcaEvent]) -> Result<Value, serde_json::Error> {
    value(&json!({
        "cycle": cycle,
        "events": events,
        "automatic": cycle.last_look().map(automatically),
    }))
}

/// A part of a cycle, with its instants in RFC 3339.
pub fn value(part: &impl Serialize) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(part)?;
    readable_times(&mut value);
    Ok(value)
}

/// Instants are kept as microseconds; people and scripts get RFC 3339.
fn readable_times(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(readable_times),
        Value::Object(fields) => {
            for (name, field) in fields {
                let instant =
                    name == "at" || name == "from" || name == "until" || name.ends_with("_at");
                match field.as_i64().filter(|_| instant) {
                    Some(micros) => {
                        *field = Value::String(Timestamp::from_micros(micros).to_rfc3339());
                    }
                    None => readable_times(field),
                }
            }
        }
        _ => {}
    }
}
