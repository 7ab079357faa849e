//! Series over weeks and months by the real binary: the API says what the command line says, and both
//! what was recorded.

#![expect(clippy::unwrap_used, reason = "tests")]

use chrono::{DateTime, Duration, Utc};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::api_client::{Api, token};
use crate::serving::{home, json as cli, run};

/// One deployment as it was recorded.
pub struct Deployed {
    pub at: DateTime<Utc>,
    pub seconds: f64,
}

/// Cycles of the older tool's file over some months, quiet weeks among them.
pub fn history(random: &mut StdRng) -> (Value, Vec<Deployed>) {
    let now = Utc::now();
    let (mut cycles, mut deployed) = (Vec::new(), Vec::new());
    let oldest = random.random_range(150..280);
    let quiet = random.random_range(20..120);
    for number in 0..random.random_range(30..90) {
        let days = if number == 0 {
            oldest
        } else {
            random.random_range(1..oldest)
        };
        if number > 0 && (quiet..quiet + 21).contains(&days) {
            continue;
        }
        let at = now - Duration::days(days) - Duration::seconds(random.random_range(0..80_000));
        let at = DateTime::from_timestamp(at.timestamp(), 0).unwrap();
        let seconds = f64::from(random.random_range(30..4_000));
        let start = at - Duration::hours(random.random_range(2..90));
        let phase = |name: &str, decision: &str, at: DateTime<Utc>, seconds: f64| json!({"phase": name, "decision": decision, "timestamp": at.to_rfc3339(), "duration_seconds": seconds, "metadata": {}});
        cycles.push(json!({
            "cycle_id": format!("cycle-{number}"),
            "feature_id": format!("FEAT-{}", number % 7),
            "start_time": start.to_rfc3339(),
            "start_phase": "planning",
            "phases": [
                phase("planning", "go", start + Duration::minutes(30), 1_800.0),
                phase("deployment", "success", at, seconds),
            ],
            "end_time": at.to_rfc3339(),
            "final_decision": "success",
            "status": "completed",
        }));
        deployed.push(Deployed { at, seconds });
    }
    (json!({ "cycles": cycles }), deployed)
}

/// Without the instants that each question has of its own.
fn timeless(mut answer: Value) -> Value {
    let object = answer.as_object_mut().unwrap();
    for key in [
        "generated_at",
        "window",
        "current_period",
        "previous_period",
    ] {
        object.remove(key);
    }
    answer
}

#[test]
fn the_api_and_the_command_line_say_what_was_recorded() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = home("[api.limits]\nper_minute = 0\nper_hour = 0\n");
    let home = home.path();
    let (file, deployed) = history(&mut random);
    std::fs::write(home.join("metrics.json"), file.to_string()).unwrap();
    let output = run(home, &["dora", "import", "metrics.json"]);
    assert!(output.status.success(), "{output:?}");
    let api = Api::start(home);
    let read = token(home, "read");
    for (address, arguments) in [
        (
            "trends/deployment-frequency?days=200",
            "trend deployment-frequency --days 200",
        ),
        ("trends/lead-time?days=120", "trend lead-time --days 120"),
        (
            "comparative/period-over-period?current_days=20&previous_days=50",
            "compare --days 20 --previous-days 50",
        ),
        ("historical/monthly?months=8", "monthly --months 8"),
        ("anomalies?days=300", "anomalies --days 300"),
        (
            "forecast/?months=7&profile=iact",
            "forecast --months 7 --profile iact",
        ),
    ] {
        let arguments: Vec<&str> = ["dora", "analytics", "--json"]
            .into_iter()
            .chain(arguments.split(' '))
            .collect();
        let told = api.json(&format!("/api/dora/analytics/{address}"), &read);
        assert_eq!(timeless(told), timeless(cli(home, &arguments)), "{address}");
    }

    let weekly = api.json(
        "/api/dora/analytics/trends/deployment-frequency?days=250",
        &read,
    );
    let starts = weekly["weekly_data"]["starts"].as_array().unwrap();
    let first = deployed.iter().map(|one| one.at).min().unwrap();
    for (start, count) in starts
        .iter()
        .zip(weekly["weekly_data"]["counts"].as_array().unwrap())
    {
        let start: DateTime<Utc> = start.as_str().unwrap().parse().unwrap();
        let end = start + Duration::days(7);
        assert!(
            end <= Utc::now() + Duration::hours(1),
            "the running week is none"
        );
        // A planning phase before the first deployment is known, too.
        if end < first - Duration::days(5) {
            assert!(count.is_null(), "nothing is known of {start}: {count}");
        } else if !count.is_null() {
            let within = deployed
                .iter()
                .filter(|one| (start..end).contains(&one.at))
                .count();
            assert_eq!(count, within, "week of {start}");
        }
    }
    assert!(weekly["data_points"].as_u64().unwrap() >= 4, "{weekly}");

    let unusual = api.json("/api/dora/analytics/anomalies?days=3650", &read);
    assert_eq!(unusual["total_deployments"], deployed.len());
    let upper = unusual["thresholds"]["upper_seconds"].as_f64().unwrap();
    let lower = unusual["thresholds"]["lower_seconds"].as_f64().unwrap();
    let outside = deployed
        .iter()
        .filter(|one| one.seconds > upper || one.seconds < lower);
    assert_eq!(unusual["anomalies_detected"], outside.count());

    let foretold = &api.json("/api/dora/analytics/forecast", &read)["forecasts"];
    for name in ["deployment_frequency", "lead_time_hours"] {
        let one = &foretold[name];
        let edge = |interval: &str, edge: &str| one[interval][edge].as_f64().unwrap();
        let predicted = one["predicted"].as_f64().unwrap();
        assert!(
            edge("interval_95", "low") <= edge("interval_80", "low"),
            "{one}"
        );
        assert!((edge("interval_80", "low")..=edge("interval_80", "high")).contains(&predicted));
        assert!(
            one["backtest"].is_object() || one["backtest"].is_null(),
            "{one}"
        );
        assert!(one["plain_rule"]["predicted"].is_number(), "{one}");
    }
}

#[test]
fn too_little_says_how_much_would_do() {
    let home = home("");
    let api = Api::start(home.path());
    let read = token(home.path(), "read");
    for (address, needed) in [
        ("trends/deployment-frequency", 4),
        ("trends/lead-time", 4),
        ("anomalies", 10),
        ("forecast", 3),
    ] {
        let told = api.json(&format!("/api/dora/analytics/{address}"), &read);
        assert_eq!(told["status"], "insufficient_data", "{address}: {told}");
        assert_eq!(
            (&told["needed"], &told["available"]),
            (&json!(needed), &json!(0))
        );
    }
    let wrong = api.get("/api/dora/analytics/forecast?months=37", &read);
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("from 1 to 36"), "{}", wrong.text());
}
