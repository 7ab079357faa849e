//! The score of DORA's 2025 Quick Check: 0 to 10, 10 best, for every metric and for all together.
//!
//! Unlike the yearly levels it can be computed from telemetry. Source: dora.dev's quick check.

use serde::Serialize;

use super::Metric;

/// Scores; each `None` when none of its metrics has a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct QuickCheck {
    /// Mean over the metrics that have a score.
    pub overall: Option<f64>,
    /// Lead time, frequency, recovery.
    pub throughput: Option<f64>,
    /// Failure rate and rework rate.
    pub stability: Option<f64>,
    /// How many of the five took part.
    pub metrics: usize,
}

/// Mean score of the industry in the 2025 survey, all five together.
pub const INDUSTRY_OVERALL: f64 = 6.72;

/// Mean score of the industry in the 2025 survey.
pub const fn industry(metric: Metric) -> f64 {
    match metric {
        Metric::ChangeLeadTime => 5.5,
        Metric::DeploymentFrequency => 4.8,
        Metric::RecoveryTime => 7.4,
        Metric::ChangeFailureRate => 8.1,
        Metric::ReworkRate => 7.8,
    }
}

/// Score of one value. Rates are deployments per calendar day, times hours, ratios 0 to 1.
pub fn score(metric: Metric, value: f64) -> f64 {
    const HOUR: f64 = 1.0;
    const DAY: f64 = 24.0 * HOUR;
    const MONTH: f64 = 365.0 / 12.0 * DAY;
    // The survey asks for one of six answers; the score is (answer - 1) * 2.
    let answer = match metric {
        Metric::ChangeLeadTime | Metric::RecoveryTime => [6.0 * MONTH, MONTH, 7.0 * DAY, DAY, HOUR]
            .iter()
            .filter(|&&limit| value < limit)
            .count(),
        Metric::DeploymentFrequency => [2.0 / 365.0, 12.0 / 365.0, 1.0 / 7.0, 1.0, 24.0]
            .iter()
            .filter(|&&limit| value >= limit)
            .count(),
        Metric::ChangeFailureRate | Metric::ReworkRate => {
            return (10.0 - value * 10.0).clamp(0.0, 10.0);
        }
    };
    answer as f64 * 2.0
}

/// Means over whatever has a score.
pub fn combine(scores: &[(Metric, Option<f64>)]) -> QuickCheck {
    let mean = |wanted: &dyn Fn(Metric) -> bool| {
        let known: Vec<f64> = scores
            .iter()
            .filter(|(metric, _)| wanted(*metric))
            .filter_map(|(_, score)| *score)
            .collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let stability =
        |metric: Metric| matches!(metric, Metric::ChangeFailureRate | Metric::ReworkRate);
    QuickCheck {
        overall: mean(&|_| true),
        throughput: mean(&|metric| !stability(metric)),
        stability: mean(&stability),
        metrics: scores.iter().filter(|(_, score)| score.is_some()).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::float_cmp,
        reason = "scores are even whole numbers or exact tenths"
    )]
    fn answers_of_the_survey() {
        let cases = [
            (Metric::ChangeLeadTime, 0.5, 10.0),
            (Metric::ChangeLeadTime, 1.0, 8.0),
            (Metric::ChangeLeadTime, 24.0, 6.0),
            (Metric::ChangeLeadTime, 24.0 * 7.0, 4.0),
            (Metric::ChangeLeadTime, 24.0 * 31.0, 2.0),
            (Metric::ChangeLeadTime, 24.0 * 200.0, 0.0),
            (Metric::DeploymentFrequency, 0.001, 0.0),
            (Metric::DeploymentFrequency, 0.01, 2.0),
            (Metric::DeploymentFrequency, 0.1, 4.0),
            (Metric::DeploymentFrequency, 0.5, 6.0),
            (Metric::DeploymentFrequency, 1.0, 8.0),
            (Metric::DeploymentFrequency, 30.0, 10.0),
            (Metric::ChangeFailureRate, 0.0, 10.0),
            (Metric::ReworkRate, 0.25, 7.5),
        ];
        for (metric, value, expected) in cases {
            assert_eq!(score(metric, value), expected, "{metric:?} {value}");
        }
    }

    #[test]
    fn the_industry_means_agree_with_each_other() {
        let mean = Metric::ALL.into_iter().map(industry).sum::<f64>() / 5.0;
        assert!((mean - INDUSTRY_OVERALL).abs() < 0.01);
    }

    #[test]
    fn nothing_known_gives_no_score() {
        let none = Metric::ALL.map(|metric| (metric, None));
        assert_eq!(combine(&none), QuickCheck::default());
    }
}
