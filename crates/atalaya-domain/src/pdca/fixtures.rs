//! A plan for tests.

use super::{Baseline, Measure, Plan};
use crate::dora::Metric;
use crate::time::{TimeRange, Timestamp};

/// A fixed instant and so many days.
pub fn day(number: i64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000 + number * 86_400)
}

/// Smaller changes for the shop: 30 % better, judged against the four weeks before day 28.
pub fn plan(metric: Metric) -> Plan {
    Plan {
        title: "Smaller changes".to_owned(),
        metric,
        service: Some("shop".to_owned()),
        team: None,
        environment: "production".to_owned(),
        baseline: Baseline {
            window: TimeRange::new(day(0), day(28)),
            samples: 30,
            value: Some(40.0),
            interval: None,
            warnings: Vec::new(),
            history_from: None,
            forecast: None,
            measure: Measure::Standard,
        },
        hypothesis: "reviews wait for size".to_owned(),
        change: "limit a change to 200 lines".to_owned(),
        expected_percent: 30.0,
        smallest_effect_percent: 15.0,
        owner: "ana".to_owned(),
        guards: vec![Metric::ChangeFailureRate],
    }
}
