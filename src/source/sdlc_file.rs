//! Reads `.dora_sdlc_metrics.json`, the file that the older tool's recorder writes.
//!
//! Shape: `{"cycles": [{cycle_id, feature_id, start_time, phases: [{phase, decision, timestamp,
//! duration_seconds, metadata}], …}], "last_updated": …}`. Both of its spellings are read: phases
//! with `duration` instead of `duration_seconds`, and times with an offset or `Z` or, mostly,
//! without: then they are local to a zone that the caller names.
//!
//! Nothing is dropped in silence. A word that is not ours is kept in the metadata, an entry that
//! cannot be a phase is named among [`Import::flags`]. Reading a file again gives the same facts.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use serde_json::Value;

use super::phases::{deployment_of, incident_of};
use atalaya_domain::delivery::{
    Decision, Deployment, DeploymentResult, Incident, Phase, PhaseRecord,
};
use atalaya_domain::dora::iact::PHASE_WORD;
use atalaya_domain::time::Timestamp;

/// Origin of everything from such a file.
pub const ORIGIN: &str = "sdlc-file";
/// Metadata name under which a decision's own word is kept where it is not ours.
pub const DECISION_WORD: &str = "decision_word";

/// Something that was not as expected, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// `cycles[3].phases[0]`
    pub place: String,
    pub message: String,
}

impl fmt::Display for Flag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

/// What a file gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    pub cycles: usize,
    pub phases: Vec<PhaseRecord>,
    pub deployments: Vec<Deployment>,
    pub incidents: Vec<Incident>,
    pub flags: Vec<Flag>,
}

#[derive(Debug, thiserror::Error)]
pub enum SdlcFileError {
    #[error("not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("no `cycles` list at the top; is this the recorder's .dora_sdlc_metrics.json?")]
    NoCycles,
}

/// How to read what the file does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Zone of times without one.
    pub zone: Tz,
    /// Service and team of cycles that name none.
    pub service: Option<String>,
    pub team: Option<String>,
}

/// Reads a whole file.
pub fn read(bytes: &[u8], reading: &Reading) -> Result<Import, SdlcFileError> {
    // The recorder's editors on other systems leave a byte order mark.
    let file: Value = serde_json::from_slice(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))?;
    let cycles = file
        .get("cycles")
        .and_then(Value::as_array)
        .ok_or(SdlcFileError::NoCycles)?;
    let mut parser = Parser {
        reading,
        import: Import::default(),
        features: HashMap::new(),
    };
    for (index, cycle) in cycles.iter().enumerate() {
        parser.cycle(index, cycle);
    }
    Ok(parser.import)
}

struct Parser<'r> {
    reading: &'r Reading,
    import: Import,
    /// Feature of each cycle id seen: ids have a resolution of one second and collide.
    features: HashMap<String, String>,
}

impl Parser<'_> {
    fn flag(&mut self, place: &str, message: impl Into<String>) {
        self.import.flags.push(Flag {
            place: place.to_owned(),
            message: message.into(),
        });
    }

    fn cycle(&mut self, index: usize, cycle: &Value) {
        let place = format!("cycles[{index}]");
        let text = |name: &str| {
            cycle
                .get(name)
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let Some(cycle_id) = text("cycle_id") else {
            return self.flag(&place, "left out: it has no cycle_id");
        };
        let feature_id = text("feature_id").unwrap_or(cycle_id).to_owned();
        let mut cycle_id = cycle_id.to_owned();
        if self
            .features
            .get(&cycle_id)
            .is_some_and(|feature| *feature != feature_id)
        {
            let renamed = format!("{cycle_id}~{feature_id}");
            self.flag(
                &place,
                format!("`{cycle_id}` is used by two features; kept as `{renamed}`"),
            );
            cycle_id = renamed;
        }
        self.features.insert(cycle_id.clone(), feature_id.clone());
        self.import.cycles += 1;

        let fallback_at = ["end_time", "start_time"]
            .into_iter()
            .find_map(|name| self.time(cycle.get(name)));
        let mut common: BTreeMap<String, Value> = BTreeMap::new();
        for (name, given) in [
            ("service", &self.reading.service),
            ("team", &self.reading.team),
        ] {
            if let Some(value) = text(name).map(str::to_owned).or_else(|| given.clone()) {
                common.insert(name.to_owned(), value.into());
            }
        }
        let Some(phases) = cycle.get("phases").and_then(Value::as_array) else {
            return self.flag(&place, "it has no phases");
        };
        let mut records = Vec::new();
        for (number, phase) in phases.iter().enumerate() {
            let place = format!("{place}.phases[{number}]");
            if let Some(record) =
                self.phase(&place, phase, &cycle_id, &feature_id, fallback_at, &common)
            {
                records.push(record);
            }
        }
        // Stable, so that phases of one instant keep the order of the file.
        records.sort_by_key(|record| record.recorded_at);
        let mut attempts: HashMap<Phase, u32> = HashMap::new();
        for record in &mut records {
            let attempt = attempts.entry(record.phase).or_default();
            *attempt += 1;
            record.attempt = *attempt;
        }
        self.derive(&records);
        self.import.phases.extend(records);
    }

    fn phase(
        &mut self,
        place: &str,
        phase: &Value,
        cycle_id: &str,
        feature_id: &str,
        fallback_at: Option<Timestamp>,
        common: &BTreeMap<String, Value>,
    ) -> Option<PhaseRecord> {
        let mut metadata = common.clone();
        if let Some(own) = phase.get("metadata").and_then(Value::as_object) {
            metadata.extend(
                own.iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        let Some(word) = ["phase", "phase_name"]
            .into_iter()
            .find_map(|name| phase.get(name)?.as_str())
        else {
            self.flag(place, "left out: it names no phase");
            return None;
        };
        let kind = Phase::from_word(word);
        if kind.is_none_or(|kind| kind.name() != word) {
            metadata.insert(PHASE_WORD.to_owned(), word.into());
        }
        let kind = kind.unwrap_or_else(|| {
            self.flag(
                place,
                format!("unknown phase `{word}`, kept as implementation with its own word"),
            );
            Phase::Implementation // in no formula
        });
        let word = phase
            .get("decision")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let decision = Decision::from_word(word);
        if decision.is_none_or(|decision| decision.name() != word) {
            metadata.insert(DECISION_WORD.to_owned(), word.into());
        }
        let decision = decision.unwrap_or_else(|| {
            self.flag(
                place,
                format!(
                    "unknown decision `{word}`, kept as review (not decided) with its own word"
                ),
            );
            Decision::Review
        });
        let Some(recorded_at) = self.time(phase.get("timestamp")).or_else(|| {
            self.flag(
                place,
                "no readable timestamp: the cycle's own time is taken",
            );
            fallback_at
        }) else {
            self.flag(
                place,
                "left out: neither it nor its cycle has a readable time",
            );
            return None;
        };
        Some(PhaseRecord {
            cycle_id: cycle_id.to_owned(),
            feature_id: feature_id.to_owned(),
            phase: kind,
            attempt: 1,
            decision,
            duration: self.duration(place, phase),
            recorded_at,
            metadata,
        })
    }

    fn duration(&mut self, place: &str, phase: &Value) -> Duration {
        let seconds = ["duration_seconds", "duration"]
            .into_iter()
            .find_map(|name| number(phase.get(name)?));
        match seconds.map(Duration::try_from_secs_f64) {
            Some(Ok(duration)) => duration,
            Some(Err(_)) => {
                self.flag(place, "its duration is negative or too long: kept as 0 s");
                Duration::ZERO
            }
            None => {
                self.flag(place, "no duration: kept as 0 s");
                Duration::ZERO
            }
        }
    }

    /// Deployments and incidents of one cycle; an incident is laid to the cycle's last deployment
    /// before it.
    fn derive(&mut self, records: &[PhaseRecord]) {
        let deployments: Vec<Deployment> = records
            .iter()
            .filter_map(|record| deployment_of(record, ORIGIN))
            .collect();
        for mut incident in records
            .iter()
            .filter_map(|record| incident_of(record, ORIGIN))
        {
            incident.caused_by = deployments
                .iter()
                .rev()
                .find(|deployment| {
                    deployment.result != DeploymentResult::Aborted
                        // The opening is computed from a rounded duration: it may come out before the deployment.
                        && (deployment.finished_at <= incident.opened_at || incident.resolved_at.is_none_or(|at| deployment.finished_at <= at))
                })
                .map(|deployment| deployment.id.clone());
            self.import.incidents.push(incident);
        }
        self.import.deployments.extend(deployments);
    }

    fn time(&self, value: Option<&Value>) -> Option<Timestamp> {
        parse_time(value?.as_str()?, self.reading.zone)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// ISO 8601 with `T` or a blank, with an offset or, without one, local to `zone`.
///
/// An hour that the zone has twice is taken as the earlier one; one that it skips is moved past the
/// gap.
pub fn parse_time(text: &str, zone: Tz) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(Timestamp::from(at));
    }
    let local = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
    ]
    .into_iter()
    .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    zone.from_local_datetime(&local)
        .earliest()
        .or_else(|| {
            zone.from_local_datetime(&(local + TimeDelta::hours(1)))
                .earliest()
        })
        .map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const EXAMPLE: &str = r#"{"cycles":[{"cycle_id":"cycle-20260302-091500","feature_id":"FEAT-77","start_time":"2026-03-02T09:15:00.120000","start_phase":"planning",
      "phases":[{"phase":"testing","decision":"go","timestamp":"2026-03-02T10:02:11.000400","duration_seconds":1260.4,"metadata":{"tests_passed":58,"tests_failed":2}},
                {"phase":"deployment","decision":"success","timestamp":"2026-03-02T10:20:05.310000","duration_seconds":95.2,"metadata":{"request_id":"req-5f1c"}}],
      "metrics":{"deployment_frequency":0.4,"lead_time":1.08,"change_failure_rate":3.33,"mttr":null},"end_time":"2026-03-02T10:20:06.000000","final_decision":"success","status":"completed","total_duration_seconds":3906.0}],
      "last_updated":"2026-03-02T10:20:06.001000"}"#;

    fn reading() -> Reading {
        Reading {
            zone: Tz::Europe__Madrid,
            service: Some("shop".to_owned()),
            team: None,
        }
    }

    fn one(phases: &str) -> Import {
        let file = format!(
            r#"{{"cycles":[{{"cycle_id":"c1","feature_id":"F","start_time":"2026-03-02T09:00:00Z","phases":[{phases}]}}]}}"#
        );
        read(file.as_bytes(), &reading()).unwrap()
    }

    #[test]
    fn the_documented_example() {
        let import = read(EXAMPLE.as_bytes(), &reading()).unwrap();
        assert_eq!(
            (import.cycles, import.phases.len(), import.flags.len()),
            (1, 2, 0)
        );
        assert_eq!(
            import.phases[0].duration,
            Duration::from_micros(1_260_400_000)
        );
        // 10:20:05.31 in Madrid in March is 09:20:05.31 UTC.
        assert_eq!(
            import.phases[1].recorded_at.to_rfc3339(),
            "2026-03-02T09:20:05.310000Z"
        );
        let deployment = &import.deployments[0];
        assert_eq!(deployment.id, "cycle-20260302-091500/deployment#1");
        assert_eq!(
            (deployment.service.as_str(), deployment.result),
            ("shop", DeploymentResult::Success)
        );
        assert_eq!(deployment.request_id.as_ref().unwrap().as_str(), "req-5f1c");
        assert!(import.incidents.is_empty());
        assert_eq!(read(EXAMPLE.as_bytes(), &reading()).unwrap(), import);
    }

    #[test]
    fn the_other_spelling() {
        let import = one(
            r#"{"phase":"planning","decision":"approved","timestamp":"2026-03-02T10:00:00Z","duration":30}"#,
        );
        assert_eq!(import.phases[0].duration, Duration::from_secs(30));
        assert_eq!(
            import.phases[0].recorded_at.to_rfc3339(),
            "2026-03-02T10:00:00.000000Z"
        );
        assert_eq!(import.phases[0].decision, Decision::Go);
        assert_eq!(
            import.phases[0].text(DECISION_WORD).as_deref(),
            Some("approved")
        );
        assert!(import.flags.is_empty());
    }

    #[test]
    fn unknown_words_are_kept_and_flagged() {
        let import = one(
            r#"{"phase":"launch","decision":"unknown","timestamp":"2026-03-02T10:00:00","duration":1}"#,
        );
        assert_eq!(import.phases[0].text(PHASE_WORD).as_deref(), Some("launch"));
        assert_eq!(
            import.phases[0].text(DECISION_WORD).as_deref(),
            Some("unknown")
        );
        assert_eq!(import.phases[0].decision, Decision::Review);
        let places: Vec<String> = import.flags.iter().map(Flag::to_string).collect();
        assert_eq!(places.len(), 2);
        assert!(
            places[0].starts_with("cycles[0].phases[0]: unknown phase `launch`"),
            "{places:?}"
        );
    }

    #[test]
    fn repeated_phases_are_attempts_in_the_order_of_time() {
        let import = one(
            r#"{"phase":"testing","decision":"go","timestamp":"2026-03-02T12:00:00","duration":1},
               {"phase":"testing","decision":"no-go","timestamp":"2026-03-02T11:00:00","duration":1}"#,
        );
        let attempts: Vec<(Decision, u32)> = import
            .phases
            .iter()
            .map(|phase| (phase.decision, phase.attempt))
            .collect();
        assert_eq!(attempts, [(Decision::NoGo, 1), (Decision::Go, 2)]);
    }

    #[test]
    fn maintenance_that_mended_is_an_incident_of_the_deployment_before_it() {
        let import = one(
            r#"{"phase":"deployment","decision":"success","timestamp":"2026-03-02T10:00:00","duration":60},
               {"phase":"maintenance","decision":"fixed","timestamp":"2026-03-02T13:00:00","duration":3600},
               {"phase":"maintenance","decision":"go","timestamp":"2026-03-02T15:00:00","duration":60},
               {"phase":"incident","decision":"blocked","timestamp":"2026-03-02T16:00:00","duration":60,"metadata":{"incident_duration_hours":2}}"#,
        );
        assert_eq!(import.incidents.len(), 2);
        let mended = &import.incidents[0];
        assert_eq!(mended.caused_by.as_deref(), Some("c1/deployment#1"));
        assert_eq!(
            mended.resolved_at.unwrap().since(mended.opened_at),
            Duration::from_hours(1)
        );
        let open = &import.incidents[1];
        assert_eq!(open.resolved_at, None);
        assert_eq!(open.opened_at.to_rfc3339(), "2026-03-02T13:00:00.000000Z");
    }

    #[test]
    fn colliding_cycle_ids_are_kept_apart() {
        let file = r#"{"cycles":[
            {"cycle_id":"c","feature_id":"A","phases":[{"phase":"testing","decision":"go","timestamp":"2026-03-02T10:00:00","duration":1}]},
            {"cycle_id":"c","feature_id":"B","phases":[{"phase":"testing","decision":"go","timestamp":"2026-03-02T10:00:00","duration":1}]},
            {"feature_id":"nameless"}]}"#;
        let import = read(file.as_bytes(), &reading()).unwrap();
        let ids: Vec<&str> = import
            .phases
            .iter()
            .map(|phase| phase.cycle_id.as_str())
            .collect();
        assert_eq!(ids, ["c", "c~B"]);
        assert_eq!(import.flags.len(), 2);
    }

    #[test]
    fn bad_values_are_flagged_and_bad_files_refused() {
        let import = one(
            r#"{"phase":"testing","decision":"go","timestamp":"yesterday","duration":-4},
               {"phase":"testing","decision":"go","timestamp":"2026-03-02T10:00:00"},
               {"decision":"go"}, 7"#,
        );
        assert_eq!(import.phases.len(), 2);
        assert_eq!(import.flags.len(), 5);
        assert!(matches!(
            read(b"{}", &reading()),
            Err(SdlcFileError::NoCycles)
        ));
        assert!(matches!(
            read(b"{", &reading()),
            Err(SdlcFileError::NotJson(_))
        ));
    }

    #[test]
    fn hours_that_a_zone_has_twice_or_never() {
        let at = |text| parse_time(text, Tz::Europe__Madrid).unwrap().to_rfc3339();
        assert_eq!(at("2026-10-25T02:30:00"), "2026-10-25T00:30:00.000000Z");
        assert_eq!(at("2026-03-29T02:30:00"), "2026-03-29T01:30:00.000000Z");
    }
}
