#![expect(clippy::unwrap_used, reason = "tests")]

use atalaya_domain::delivery::cycle_facts::deployment_of;
use atalaya_domain::delivery::{Deployment, DeploymentResult};

use super::*;

#[derive(Debug, PartialEq)]
struct Import {
    cycles: usize,
    phases: Vec<PhaseRecord>,
    deployments: Vec<Deployment>,
    flags: Vec<Flag>,
}

fn import(bytes: &[u8]) -> Result<Import, SdlcFileError> {
    let mut phases = Vec::new();
    let now = parse_time("2026-11-01T00:00:00Z", Tz::UTC).unwrap();
    check(bytes)?;
    let read = read(bytes, &reading(), now, &mut |more| phases.extend(more))?;
    Ok(Import {
        cycles: read.cycles,
        deployments: phases
            .iter()
            .filter_map(|phase| deployment_of(phase, ORIGIN))
            .collect(),
        phases,
        flags: read.flags.kept,
    })
}

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
    import(file.as_bytes()).unwrap()
}

#[test]
fn the_documented_example() {
    let import = self::import(EXAMPLE.as_bytes()).unwrap();
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
    assert_eq!(self::import(EXAMPLE.as_bytes()).unwrap(), import);
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
fn pythons_own_numbers_are_not_given() {
    let import = one(
        r#"{"phase":"deployment","decision":"success","timestamp":"2026-03-02T10:00:00","duration_seconds":NaN,
            "metadata":{"title":"NaN, \"Infinity\" and -Infinity","coverage":-Infinity,"x":[Infinity,NaN,-1]}}"#,
    );
    let phase = &import.phases[0];
    assert_eq!(phase.duration, Duration::ZERO);
    assert_eq!(
        phase.text("title").as_deref(),
        Some("NaN, \"Infinity\" and -Infinity")
    );
    assert_eq!(phase.metadata["coverage"], Value::Null);
    assert_eq!(phase.metadata["x"], serde_json::json!([null, null, -1]));
    let last = &import.flags[1];
    assert!(last.message.starts_with("4 values are NaN"), "{last}");
}

#[test]
fn what_lies_in_the_future_is_flagged() {
    let import = one(
        r#"{"phase":"deployment","decision":"success","timestamp":"2027-03-02T10:00:00","duration":1}"#,
    );
    assert_eq!(import.phases.len(), 1);
    assert!(import.flags[0].message.contains("future"));
}

#[test]
fn flags_of_a_file_where_all_is_odd_are_counted() {
    let phases = vec!["7"; 1_000].join(",");
    let mut flags = Flags::default();
    flags.append(Flags {
        kept: one(&phases).flags,
        more: 0,
    });
    assert_eq!((flags.kept.len(), flags.more), (FLAGS, 0));
    flags.push(flags.kept[0].clone());
    assert_eq!(flags.more, 1);
}

#[test]
fn colliding_cycle_ids_are_kept_apart() {
    let file = r#"{"cycles":[
        {"cycle_id":"c","feature_id":"A","phases":[{"phase":"testing","decision":"go","timestamp":"2026-03-02T10:00:00","duration":1}]},
        {"cycle_id":"c","feature_id":"B","phases":[{"phase":"testing","decision":"go","timestamp":"2026-03-02T10:00:00","duration":1}]},
        {"cycle_id":"d","feature_id":"A","team":"red","phases":[{"phase":"testing","decision":"go","timestamp":"2026-03-02T10:00:00","duration":1}]},
        {"cycle_id":"d","feature_id":"A","team":"blue","phases":[{"phase":"testing","decision":"go","timestamp":"2026-03-02T10:00:00","duration":1}]},
        {"feature_id":"nameless"}]}"#;
    let import = self::import(file.as_bytes()).unwrap();
    let ids: Vec<&str> = import
        .phases
        .iter()
        .map(|phase| phase.cycle_id.as_str())
        .collect();
    assert_eq!(ids, ["c", "c~B", "d", "d~blue"]);
    assert_eq!(import.flags.len(), 3);
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
    assert!(matches!(self::import(b"{}"), Err(SdlcFileError::NoCycles)));
    assert!(matches!(self::import(b"{"), Err(SdlcFileError::NotJson(_))));
}

#[test]
fn hours_that_a_zone_has_twice_or_never() {
    let at = |text| parse_time(text, Tz::Europe__Madrid).unwrap().to_rfc3339();
    assert_eq!(at("2026-10-25T02:30:00"), "2026-10-25T00:30:00.000000Z");
    assert_eq!(at("2026-03-29T02:30:00"), "2026-03-29T01:30:00.000000Z");
}
