//! The one JSON shape of a record: what `--json` prints, the API answers and the console copies.
//!
//! Keys: id, timestamp, layer, source, level, logger, message, `request_id`, `user_id`,
//! `session_id`, `duration_ms`, traceback, host, metadata. Absent values are null; strings are
//! exactly as stored; metadata is an object of strings in the order of the input.

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::service::trace::{TraceEvent, TraceRow};
use atalaya_domain::record::{Metadata, Record, RequestId};

#[derive(Clone, Debug, Serialize)]
pub struct RecordJson<'a> {
    pub id: String,
    /// RFC 3339, UTC, microseconds.
    pub timestamp: String,
    pub layer: &'static str,
    pub source: &'a str,
    pub level: &'static str,
    pub logger: Option<&'a str>,
    pub message: &'a str,
    pub request_id: Option<&'a str>,
    pub user_id: Option<UserId<'a>>,
    pub session_id: Option<&'a str>,
    pub duration_ms: Option<f64>,
    pub traceback: Option<&'a str>,
    pub host: Option<&'a str>,
    #[serde(serialize_with = "object")]
    pub metadata: &'a Metadata,
}

/// A JSON number when the id is a whole number in its usual form, so that it comes back as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UserId<'a> {
    Number(i64),
    Text(&'a str),
}

impl<'a> UserId<'a> {
    fn of(id: &'a str) -> Self {
        match id.parse::<i64>() {
            // `007` and `+7` are texts: a number would not give them back.
            Ok(number) if number.to_string() == id => Self::Number(number),
            _ => Self::Text(id),
        }
    }
}

impl<'a> RecordJson<'a> {
    pub fn of(record: &'a Record) -> Self {
        let entry = &record.entry;
        Self {
            id: record.id().to_string(),
            timestamp: entry.timestamp.to_rfc3339(),
            layer: record.origin.layer.name(),
            source: &record.origin.source,
            level: entry.level.name(),
            logger: entry.logger.as_deref(),
            message: &entry.message,
            request_id: entry.request_id.as_ref().map(RequestId::as_str),
            user_id: entry.user_id.as_deref().map(UserId::of),
            session_id: entry.session_id.as_deref(),
            duration_ms: entry.duration_ms.filter(|duration| duration.is_finite()),
            traceback: entry.traceback.as_deref(),
            host: Some(record.host()),
            metadata: &entry.metadata,
        }
    }

    /// One line without the line break.
    pub fn line(record: &'a Record) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Self::of(record))
    }
}

/// A row of a trace in the same shape: metrics events have the layer `metrics`, their kind as
/// source, and their own fields as metadata.
pub fn trace_line(row: &TraceRow) -> Result<String, serde_json::Error> {
    if let TraceEvent::Record(record) = &row.event {
        return RecordJson::line(record);
    }
    let (id, duration_ms, metadata) = facts(&row.event);
    serde_json::to_string(&RecordJson {
        id,
        timestamp: row.at.to_rfc3339(),
        layer: "metrics",
        source: row.event.source(),
        level: row.event.level().name(),
        logger: None,
        message: &row.event.message(),
        request_id: Some(row.request_id.as_str()),
        user_id: None,
        session_id: None,
        duration_ms,
        traceback: None,
        host: None,
        metadata: &metadata,
    })
}

fn facts(event: &TraceEvent) -> (String, Option<f64>, Metadata) {
    let mut metadata = Metadata::new();
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            metadata.push((name.into(), value.into()));
        }
    };
    match event {
        TraceEvent::Record(record) => (
            record.id().to_string(),
            record.entry.duration_ms,
            record.entry.metadata.clone(),
        ),
        TraceEvent::Phase(phase) => {
            add("cycle_id", Some(&phase.cycle_id));
            add("feature_id", Some(&phase.feature_id));
            add("phase", Some(phase.phase.name()));
            add("attempt", Some(&phase.attempt.to_string()));
            add("decision", Some(phase.decision.name()));
            for name in phase.metadata.keys().filter(|name| *name != "request_id") {
                add(name, phase.text(name).as_deref());
            }
            let id = format!(
                "phase:{}:{}:{}",
                phase.cycle_id,
                phase.phase.name(),
                phase.attempt
            );
            (id, Some(phase.duration.as_secs_f64() * 1_000.0), metadata)
        }
        TraceEvent::DeploymentStarted(deployment) | TraceEvent::DeploymentFinished(deployment) => {
            let finished = matches!(event, TraceEvent::DeploymentFinished(_));
            add("deployment_id", Some(&deployment.id));
            add("service", Some(&deployment.service));
            add("team", deployment.team.as_deref());
            add("environment", Some(&deployment.environment));
            add("commit", deployment.commit.as_deref());
            add("result", finished.then_some(deployment.result.name()));
            add("kind", Some(deployment.kind.name()));
            add("cycle_id", deployment.cycle_id.as_deref());
            let length = deployment
                .started_at
                .map(|started| deployment.finished_at.since(started));
            let moment = if finished { "finished" } else { "started" };
            let duration_ms = length
                .filter(|_| finished)
                .map(|length| length.as_secs_f64() * 1_000.0);
            (
                format!("deployment:{}:{moment}", deployment.id),
                duration_ms,
                metadata,
            )
        }
        TraceEvent::IncidentOpened(incident) | TraceEvent::IncidentResolved(incident) => {
            let moment = if matches!(event, TraceEvent::IncidentOpened(_)) {
                "opened"
            } else {
                "resolved"
            };
            add("incident_id", Some(&incident.id));
            add("service", incident.service.as_deref());
            add("severity", incident.severity.as_deref());
            add("caused_by", incident.caused_by.as_deref());
            (format!("incident:{}:{moment}", incident.id), None, metadata)
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde asks for"
)]
fn object<S: Serializer>(metadata: &&Metadata, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(metadata.len()))?;
    for (name, value) in *metadata {
        map.serialize_entry(&**name, &**value)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use atalaya_domain::record::{Entry, Layer, Level, Origin, OriginId};
    use atalaya_domain::time::Timestamp;

    fn record(entry: Entry) -> Record {
        let origin = Origin {
            id: OriginId::from_u128(1),
            layer: Layer::Infrastructure,
            source: "syslog".into(),
            host: "web1".into(),
        };
        Record {
            origin: Arc::new(origin),
            entry,
        }
    }

    #[test]
    fn every_key_is_there_and_absent_values_are_null() {
        let line = RecordJson::line(&record(Entry {
            position: 255,
            ..Entry::default()
        }))
        .unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            value,
            json!({
                "id": "00000000000000000000000000000001-ff", "timestamp": "1970-01-01T00:00:00.000000Z",
                "layer": "infrastructure", "source": "syslog", "level": "INFO", "logger": null, "message": "",
                "request_id": null, "user_id": null, "session_id": null, "duration_ms": null,
                "traceback": null, "host": "web1", "metadata": {},
            })
        );
    }

    #[test]
    fn texts_come_back_exactly() {
        let hostile = "\x1b]0;x\x07\u{202e}\u{9b}\0\t\n日本\u{fffd}\"\\";
        let entry = Entry {
            timestamp: Timestamp::from_micros(1_234_567),
            level: Level::Critical,
            message: hostile.into(),
            request_id: Some(RequestId::new(hostile)),
            traceback: Some(hostile.into()),
            duration_ms: Some(0.25),
            metadata: vec![("b".into(), hostile.into()), ("a".into(), "1".into())],
            ..Entry::default()
        };
        let line = RecordJson::line(&record(entry)).unwrap();
        assert!(!line.contains('\n'));
        assert!(
            line.find("\"b\"") < line.find("\"a\""),
            "the order of the input"
        );
        let value: Value = serde_json::from_str(&line).unwrap();
        for key in ["message", "request_id", "traceback"] {
            assert_eq!(value[key], hostile, "{key}");
        }
        assert_eq!(value["metadata"]["b"], hostile);
        assert_eq!(value["duration_ms"], 0.25);
        assert_eq!(value["timestamp"], "1970-01-01T00:00:01.234567Z");
    }

    #[test]
    fn a_user_id_is_a_number_only_when_it_would_come_back() {
        for (id, expected) in [
            ("42", json!(42)),
            ("-1", json!(-1)),
            ("007", json!("007")),
            ("+7", json!("+7")),
            ("1e3", json!("1e3")),
            ("99999999999999999999", json!("99999999999999999999")),
            ("alice", json!("alice")),
        ] {
            assert_eq!(serde_json::to_value(UserId::of(id)).unwrap(), expected);
        }
    }
}
