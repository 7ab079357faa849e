//! `POST /api/dora/metrics`: one phase of a cycle, as `atalaya dora record` records it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::Use;
use crate::api::answer::Answer;
use crate::api::body::Content;
use crate::api::problem::Problem;
use crate::report::catalog_json;
use crate::service::dora::{self, Posted};
use atalaya_domain::delivery::{Decision, Phase, PhaseRecord};
use atalaya_domain::time::Timestamp;

/// Of the deployments and incidents that are new by it.
const ORIGIN: &str = "api";
/// What the column of the table holds.
const LONGEST_ID: usize = 50;
const MOST_SECONDS: f64 = 99_999_999.99;
const FIELDS: [&str; 7] = [
    "cycle_id",
    "feature_id",
    "phase_name",
    "decision",
    "duration_seconds",
    "metadata",
    "attempt",
];

/// Records a phase. With an `Idempotency-Key` the same request may be sent again: it is recorded once.
/// Without one, a phase that is known to the last detail is a duplicate, and another one of the same
/// kind is its next attempt.
#[utoipa::path(post, path = "/api/dora/metrics", tag = "dora", operation_id = "record_phase",
    params(("idempotency-key" = Option<String>, Header, description = "1 to 128 characters of one's own")),
    request_body(content = Value, example = json!({"cycle_id": "c-7", "feature_id": "FEAT-1", "phase_name": "deployment", "decision": "success", "duration_seconds": 95.2, "metadata": {"service": "shop", "request_id": "req-5f1c"}})),
    security(("token" = ["write"])),
    responses(
        (status = 201, description = "id, cycle_id, created_at and the rest of the row", body = Value),
        (status = 200, description = "The key was used before: the row as it was recorded then", body = Value),
        (status = 400, description = "`errors` has the mistakes by field", body = Value),
        (status = 409, description = "It is recorded already, or the cycle is another feature's", body = Value),
    ))]
pub async fn phase(
    State(api): Use,
    headers: HeaderMap,
    Content(fields): Content<Map<String, Value>>,
) -> Result<(StatusCode, Answer), Problem> {
    let key = key_of(&headers)?;
    let mut phase = read(&fields).map_err(|errors| invalid(&errors))?;
    if let Some(key) = key {
        phase.metadata.insert(dora::RUN_ID.to_owned(), key.into());
    }
    // It is never closed; without a turn two at once could take the same attempt.
    let _turn = api.recording.acquire().await.ok();
    match dora::post(&*api.stores.metrics, phase, ORIGIN).await? {
        Posted::New(row) => Ok((StatusCode::CREATED, answer(&row))),
        Posted::Known(row) => Ok((StatusCode::OK, answer(&row))),
        Posted::Duplicate(row) => Err(duplicate(format!(
            "this {} of cycle `{}` is recorded already, as attempt {}",
            row.phase.name(),
            row.cycle_id,
            row.attempt
        ))),
        Posted::Conflict(conflict) => Err(duplicate(format!("{conflict}; nothing was recorded"))),
    }
}

fn answer(row: &PhaseRecord) -> Answer {
    let mut value = catalog_json::phase(row);
    value["id"] = json!(format!(
        "phase:{}:{}:{}",
        row.cycle_id,
        row.phase.name(),
        row.attempt
    ));
    Answer::new(value)
}

fn duplicate(detail: String) -> Problem {
    Problem::conflict(
        "duplicate_cycle",
        detail,
        "name another cycle, or say what is different; to send again safely use an `Idempotency-Key`",
    )
    .with("error", json!("duplicate_cycle"))
}

fn invalid(errors: &BTreeMap<String, Vec<String>>) -> Problem {
    let fields: Vec<&str> = errors.keys().map(String::as_str).collect();
    Problem::invalid(
        format!("wrong: {}", fields.join(", ")),
        "`errors` says for each field what it takes",
    )
    .with("error", json!("validation_error"))
    .with("errors", json!(errors))
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .ok()
        .filter(|text| (1..=128).contains(&text.len()));
    text.map(|text| Some(text.to_owned())).ok_or_else(|| {
        Problem::bad_request(
            "the `Idempotency-Key` is empty, too long or not plain",
            "use 1 to 128 characters, as in a UUID",
        )
    })
}

/// The phase, or what is wrong with each field.
fn read(fields: &Map<String, Value>) -> Result<PhaseRecord, BTreeMap<String, Vec<String>>> {
    let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut wrong = |field: &str, why: String| {
        let field: String = field.chars().take(60).collect();
        errors.entry(field).or_default().push(why);
    };
    for field in fields
        .keys()
        .filter(|field| !FIELDS.contains(&field.as_str()))
    {
        wrong(field, format!("unknown; there are {}", FIELDS.join(", ")));
    }
    let mut text = |field: &str, most: usize| {
        let given = fields
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default();
        let fits = !given.trim().is_empty() && given.chars().count() <= most;
        if !fits {
            wrong(field, format!("a text of 1 to {most} characters"));
        }
        given.to_owned()
    };
    let cycle_id = text("cycle_id", LONGEST_ID);
    let feature_id = text("feature_id", LONGEST_ID);
    let phase_name = text("phase_name", LONGEST_ID);
    let decision = text("decision", LONGEST_ID);
    let phase = Phase::from_word(&phase_name);
    if phase.is_none() {
        let known = Phase::ALL.map(Phase::name).join(", ");
        wrong("phase_name", format!("one of {known}"));
    }
    let decision = Decision::from_word(&decision);
    if decision.is_none() {
        let known = Decision::ALL.map(Decision::name).join(", ");
        wrong("decision", format!("one of {known}"));
    }
    let seconds = fields.get("duration_seconds").and_then(Value::as_f64);
    let seconds = seconds.filter(|seconds| (0.0..=MOST_SECONDS).contains(seconds));
    if seconds.is_none() {
        wrong(
            "duration_seconds",
            format!("a number from 0 to {MOST_SECONDS}"),
        );
    }
    let metadata = match fields.get("metadata") {
        None | Some(Value::Null) => Some(BTreeMap::new()),
        Some(Value::Object(members)) => Some(members.clone().into_iter().collect()),
        Some(_) => None,
    };
    if metadata.is_none() {
        wrong("metadata", "an object".to_owned());
    }
    let attempt = match fields.get("attempt") {
        None | Some(Value::Null) => Some(0),
        Some(number) => number
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (1..=1_000_000).contains(number)),
    };
    if attempt.is_none() {
        wrong("attempt", "a whole number from 1 to 1000000".to_owned());
    }
    match (phase, decision, seconds, metadata, attempt) {
        (Some(phase), Some(decision), Some(seconds), Some(metadata), Some(attempt))
            if errors.is_empty() =>
        {
            Ok(PhaseRecord {
                cycle_id,
                feature_id,
                phase,
                attempt,
                decision,
                duration: Duration::from_secs_f64(seconds),
                recorded_at: Timestamp::now(),
                metadata,
            })
        }
        _ => Err(errors),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn whole() -> Map<String, Value> {
        let value = json!({
            "cycle_id": "c-1", "feature_id": "FEAT-1", "phase_name": "testing",
            "decision": "no-go", "duration_seconds": 12.5, "metadata": {"team": "shop"},
        });
        value.as_object().unwrap().clone()
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let phase = read(&whole()).unwrap();
        assert_eq!(phase.duration, Duration::from_millis(12_500));
        assert_eq!(phase.metadata["team"], "shop");
        let errors = read(&Map::new()).unwrap_err();
        let named: Vec<&str> = errors.keys().map(String::as_str).collect();
        assert_eq!(
            named,
            [
                "cycle_id",
                "decision",
                "duration_seconds",
                "feature_id",
                "phase_name"
            ]
        );
        for (field, value) in [
            ("cycle_id", json!("x".repeat(51))),
            ("feature_id", json!(" ")),
            ("phase_name", json!("lunch")),
            ("decision", json!(1)),
            ("duration_seconds", json!(-0.5)),
            ("duration_seconds", json!("12")),
            ("metadata", json!([1])),
            ("attempt", json!(0)),
            ("team", json!("shop")),
        ] {
            let mut fields = whole();
            fields.insert(field.to_owned(), value);
            let errors = read(&fields).unwrap_err();
            assert_eq!(errors.keys().collect::<Vec<_>>(), [field]);
        }
    }

    proptest! {
        /// Whatever number comes: a phase or an error with its field, and never a panic.
        #[test]
        fn any_number_is_a_duration_or_a_mistake(seconds in proptest::num::f64::ANY) {
            let mut fields = whole();
            fields.insert("duration_seconds".to_owned(), json!(seconds));
            match read(&fields) {
                Ok(phase) => prop_assert!((phase.duration.as_secs_f64() - seconds).abs() < 0.001),
                Err(errors) => {
                    prop_assert!(!(0.0..=MOST_SECONDS).contains(&seconds));
                    prop_assert!(errors.contains_key("duration_seconds"));
                }
            }
        }
    }
}
