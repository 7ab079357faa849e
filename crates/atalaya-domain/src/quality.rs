//! How good the recorded phases are as data: five dimensions as the older tool weighs them, and its
//! second score from rates.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::delivery::{Phase, PhaseRecord};
use crate::stats;
use crate::time::Timestamp;

/// A longer phase is no valid one.
const LONGEST: Duration = Duration::from_secs(86_400);
/// What a duration may reasonably be.
const REASONABLE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(7_200));
const FRESH: Duration = Duration::from_secs(86_400);

/// One side of quality.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dimension {
    pub name: &'static str,
    /// 0 to 100.
    pub score: f64,
    /// Of the overall score; the weights add to 1.
    pub weight: f64,
    /// From here on it is healthy.
    pub healthy_from: f64,
    /// What was counted for it, and how it is called in answers.
    pub counted: (&'static str, usize),
}

impl Dimension {
    pub fn is_healthy(&self) -> bool {
        self.score >= self.healthy_from
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Rows that were looked at, with those that cannot be read.
    pub total: usize,
    /// 0 to 100; 0 of no rows.
    pub overall: f64,
    /// Empty of no rows.
    pub dimensions: Vec<Dimension>,
    /// By column: rows without a value.
    pub nulls: BTreeMap<&'static str, usize>,
    pub issues: Vec<String>,
    pub recommendation: &'static str,
}

/// Assesses rows as seen at `now`; `unreadable` ones are there and say nothing that is valid.
pub fn assess(rows: &[PhaseRecord], unreadable: usize, now: Timestamp) -> Quality {
    let total = rows.len() + unreadable;
    if total == 0 {
        return Quality {
            total,
            overall: 0.0,
            dimensions: Vec::new(),
            nulls: BTreeMap::new(),
            issues: vec!["no rows in this period: nothing is assessed".to_owned()],
            recommendation: recommendation(0.0),
        };
    }
    let nulls = nulls(rows);
    let dimensions = dimensions(rows, total, nulls.values().sum(), now);
    let overall = dimensions.iter().map(|one| one.score * one.weight).sum();
    Quality {
        total,
        overall,
        issues: issues(&dimensions),
        dimensions,
        nulls,
        recommendation: recommendation(overall),
    }
}

fn nulls(rows: &[PhaseRecord]) -> BTreeMap<&'static str, usize> {
    let empty = |text: fn(&PhaseRecord) -> &str| {
        rows.iter()
            .filter(|row| text(row).trim().is_empty())
            .count()
    };
    BTreeMap::from([
        ("cycle_id", empty(|row| &row.cycle_id)),
        ("feature_id", empty(|row| &row.feature_id)),
        // A row without one of these cannot be read at all.
        ("phase_name", 0),
        ("decision", 0),
    ])
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        100.0
    } else {
        part as f64 / whole as f64 * 100.0
    }
}

fn dimensions(rows: &[PhaseRecord], total: usize, nulls: usize, now: Timestamp) -> Vec<Dimension> {
    let count =
        |wanted: &dyn Fn(&PhaseRecord) -> bool| rows.iter().filter(|row| wanted(row)).count();
    let valid = count(&|row| row.duration <= LONGEST);
    let fresh = count(&|row| row.recorded_at > now.saturating_sub(FRESH));
    let reasonable = count(&|row| (REASONABLE.0..=REASONABLE.1).contains(&row.duration));
    let cycles = features_of_cycles(rows);
    let consistent = cycles
        .values()
        .filter(|features| features.len() == 1)
        .count();
    let fields = 4 * rows.len();
    let dimension = |name, weight, healthy_from, score, counted| Dimension {
        name,
        score,
        weight,
        healthy_from,
        counted,
    };
    vec![
        dimension(
            "completeness",
            0.25,
            95.0,
            share(fields - nulls.min(fields), fields),
            ("nulls", nulls),
        ),
        dimension(
            "validity",
            0.25,
            95.0,
            share(valid, total),
            ("invalid_records", total - valid),
        ),
        dimension(
            "consistency",
            0.20,
            90.0,
            share(consistent, cycles.len()),
            ("inconsistent_cycles", cycles.len() - consistent),
        ),
        dimension(
            "timeliness",
            0.15,
            50.0,
            share(fresh, total),
            ("recent_records", fresh),
        ),
        dimension(
            "accuracy",
            0.15,
            90.0,
            share(reasonable, total),
            ("reasonable_durations", reasonable),
        ),
    ]
}

fn features_of_cycles(rows: &[PhaseRecord]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut cycles: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        cycles
            .entry(&row.cycle_id)
            .or_default()
            .insert(&row.feature_id);
    }
    cycles
}

fn issues(dimensions: &[Dimension]) -> Vec<String> {
    let issues: Vec<String> = dimensions
        .iter()
        // As the older tool has it: an odd duration may be true.
        .filter(|one| !one.is_healthy() && one.name != "accuracy")
        .map(|one| {
            let (what, count) = one.counted;
            format!(
                "{} is {:.2}, below {:.0} ({} {count})",
                one.name,
                one.score,
                one.healthy_from,
                what.replace('_', " ")
            )
        })
        .collect();
    if issues.is_empty() {
        vec!["No issues detected".to_owned()]
    } else {
        issues
    }
}

const fn recommendation(overall: f64) -> &'static str {
    if overall >= 95.0 {
        "excellent: keep recording as it is done"
    } else if overall >= 85.0 {
        "good: look at the dimensions that need attention"
    } else if overall >= 70.0 {
        "fair: mend the sources that the issues name"
    } else {
        "poor: figures of this period say little until the issues are mended"
    }
}

/// The second score of the older tool: 100 less what the rates (0 to 1) weigh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    pub rows: usize,
    pub null_rate: f64,
    /// `None` where too few rows say what is usual.
    pub anomaly_rate: Option<f64>,
    pub violations: usize,
}

impl Rates {
    /// 0 to 100; `None` of no rows. Below 70 somebody should look.
    pub fn score(&self) -> Option<f64> {
        let violations = self.violations as f64 / self.rows as f64;
        let lost =
            20.0 * self.null_rate + 30.0 * self.anomaly_rate.unwrap_or(0.0) + 50.0 * violations;
        (self.rows > 0).then_some(100.0 - lost)
    }
}

/// Of the phases: a violation is a row that cannot be read or a duration of more than a day.
pub fn rates_of_phases(rows: &[PhaseRecord], unreadable: usize) -> Rates {
    let seconds: Vec<f64> = rows
        .iter()
        .filter(|row| row.phase == Phase::Deployment)
        .map(|row| row.duration.as_secs_f64())
        .collect();
    let long = rows.iter().filter(|row| row.duration > LONGEST).count();
    Rates {
        rows: rows.len() + unreadable,
        null_rate: ratio(nulls(rows).values().sum(), 4 * rows.len()),
        anomaly_rate: stats::iqr_anomalies(&seconds)
            .map(|found| ratio(found.found.len(), seconds.len())),
        violations: long + unreadable,
    }
}

/// Of the cycles: a violation is one that several features claim; an anomaly one of over a week.
pub fn rates_of_cycles(rows: &[PhaseRecord]) -> Rates {
    let cycles = features_of_cycles(rows);
    let mut extent: BTreeMap<&str, (Timestamp, Timestamp)> = BTreeMap::new();
    for row in rows {
        let known = extent
            .entry(&row.cycle_id)
            .or_insert((row.recorded_at, row.recorded_at));
        *known = (known.0.min(row.recorded_at), known.1.max(row.recorded_at));
    }
    let week = Duration::from_secs(7 * 86_400);
    let long = extent
        .values()
        .filter(|(first, last)| last.since(*first) > week)
        .count();
    let unnamed = cycles
        .values()
        .filter(|features| features.contains(""))
        .count();
    Rates {
        rows: cycles.len(),
        null_rate: ratio(unnamed, cycles.len()),
        anomaly_rate: (!cycles.is_empty()).then(|| ratio(long, cycles.len())),
        violations: cycles
            .values()
            .filter(|features| features.len() > 1)
            .count(),
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::delivery::Decision;
    use crate::dora::fixtures::{hour, phase};

    fn row(cycle: &str, at: f64, seconds: u64) -> PhaseRecord {
        phase(cycle, Phase::Testing, Decision::Go, at, seconds)
    }

    #[test]
    fn the_older_tools_example() {
        let rows = [
            row("a", 1.0, 600),
            row("b", 1.0, 600),
            row("c", 1.0, 90_000),
            row("d", 1.0, 600),
        ];
        let found = assess(&rows, 0, hour(2.0));
        let scores: Vec<f64> = found.dimensions.iter().map(|one| one.score).collect();
        assert_eq!(scores, [100.0, 75.0, 100.0, 100.0, 75.0]);
        assert!((found.overall - (25.0 + 18.75 + 20.0 + 15.0 + 11.25)).abs() < 1e-9);
        assert_eq!(found.issues.len(), 1, "{:?}", found.issues);
    }

    #[test]
    fn nothing_is_no_quality() {
        let found = assess(&[], 0, hour(0.0));
        assert_eq!((found.overall.abs() < 1e-12, found.issues.len()), (true, 1));
        assert_eq!(rates_of_phases(&[], 0).score(), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_valid() {
        let found = assess(&[row("a", 1.0, 600)], 1, hour(2.0));
        let validity = found.dimensions[1];
        assert!((validity.score - 50.0).abs() < 1e-12 && validity.counted.1 == 1);
    }

    proptest! {
        #[test]
        fn scores_stay_in_their_range(
            rows in proptest::collection::vec((0_u8..5, 0.0..500.0_f64, 0_u64..200_000), 0..60),
            unreadable in 0_usize..5,
        ) {
            let rows: Vec<PhaseRecord> = rows
                .into_iter()
                .map(|(cycle, at, seconds)| row(&format!("c{cycle}"), at, seconds))
                .collect();
            let found = assess(&rows, unreadable, hour(250.0));
            prop_assert!((0.0..=100.0001).contains(&found.overall));
            for one in &found.dimensions {
                prop_assert!((0.0..=100.0).contains(&one.score), "{:?}", one);
            }
            for rates in [rates_of_phases(&rows, unreadable), rates_of_cycles(&rows)] {
                if let Some(score) = rates.score() {
                    prop_assert!((0.0..=100.0).contains(&score), "{:?}", rates);
                }
            }
        }
    }

    #[test]
    fn two_features_of_one_cycle_are_a_violation() {
        let mut other = row("a", 2.0, 60);
        other.feature_id = "FEAT-2".to_owned();
        let rates = rates_of_cycles(&[row("a", 1.0, 60), other, row("b", 1.0, 60)]);
        assert_eq!((rates.rows, rates.violations), (2, 1));
        assert!((rates.score().unwrap() - 75.0).abs() < 1e-12);
    }
}
