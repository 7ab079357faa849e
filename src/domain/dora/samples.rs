//! The few statistics that the metrics need, on plain slices of hours and counts.

use super::Interval;

/// 97.5 % point of the normal distribution: two-sided 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Quantile of type 7 (linear between order statistics, as R and `NumPy` default to).
///
/// `q` is 0 to 1. `None` for no samples.
pub(super) fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = q.clamp(0.0, 1.0) * last as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(last);
    Some((at - at.floor()).mul_add(sorted[high] - sorted[low], sorted[low]))
}

pub(super) fn median(samples: &[f64]) -> Option<f64> {
    quantile(samples, 0.5)
}

pub(super) fn mean(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| samples.iter().sum::<f64>() / samples.len() as f64)
}

/// 95 % interval of the median from order statistics; needs six samples to reach 95 %.
pub(super) fn median_interval(samples: &[f64]) -> Option<Interval> {
    let n = samples.len();
    if n < 6 {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = n as f64 / 2.0;
    let reach = Z * (n as f64).sqrt() / 2.0;
    let low = (half - reach).floor().max(1.0) as usize;
    let high = ((half + reach).ceil() as usize + 1).min(n);
    Some(Interval { low: sorted[low - 1], high: sorted[high - 1], method: "order statistics" })
}

/// 95 % interval of `k` out of `n`: Wilson, and the rule of three when nothing was counted.
pub(super) fn proportion(k: usize, n: usize) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let count = n as f64;
    if k == 0 {
        return Some(Interval { low: 0.0, high: (3.0 / count).min(1.0), method: "rule of three" });
    }
    let share = k as f64 / count;
    let scale = 1.0 + Z * Z / count;
    let centre = (share + Z * Z / (2.0 * count)) / scale;
    let reach = Z / scale * (share * (1.0 - share) / count + Z * Z / (4.0 * count * count)).sqrt();
    Some(Interval { low: (centre - reach).max(0.0), high: (centre + reach).min(1.0), method: "Wilson" })
}

/// 95 % interval of the rate of `count` events in `days` (Byar's approximation of the Poisson one).
pub(super) fn rate(count: usize, days: f64) -> Option<Interval> {
    if days <= 0.0 {
        return None;
    }
    let limit = |n: f64, sign: f64| n * (1.0 - 1.0 / (9.0 * n) + sign * Z / (3.0 * n.sqrt())).powi(3);
    let n = count as f64;
    let low = if count == 0 { 0.0 } else { limit(n, -1.0).max(0.0) };
    Some(Interval { low: low / days, high: limit(n + 1.0, 1.0) / days, method: "Poisson" })
}

/// Kaplan-Meier median of (hours, ended): whoever has not ended counts as still going on.
///
/// The flag is true where the curve does not come down to one half: the longest time seen is then
/// a lower bound. Without open ones this is the plain median. `None` for no samples.
pub(super) fn survival_median(times: &[(f64, bool)]) -> Option<(f64, bool)> {
    if times.iter().all(|&(_, ended)| ended) {
        let all: Vec<f64> = times.iter().map(|&(hours, _)| hours).collect();
        return median(&all).map(|value| (value, false));
    }
    let mut sorted = times.to_vec();
    // An end and a still-open one at the same time: the end comes first, as is the convention.
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let mut alive = 1.0;
    for (index, &(hours, ended)) in sorted.iter().enumerate() {
        if ended {
            let at_risk = (sorted.len() - index) as f64;
            alive *= 1.0 - 1.0 / at_risk;
            if alive <= 0.5 + 1e-12 {
                return Some((hours, false));
            }
        }
    }
    sorted.last().map(|&(hours, _)| (hours, true))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-3
    }

    #[test]
    fn quantiles_are_of_type_seven() {
        let samples = [4.0, 1.0, 3.0, 2.0];
        assert!(near(quantile(&samples, 0.5).unwrap(), 2.5));
        assert!(near(quantile(&samples, 0.9).unwrap(), 3.7));
        assert!(quantile(&[], 0.5).is_none());
    }

    #[test]
    fn wilson_and_rule_of_three() {
        let half = proportion(5, 10).unwrap();
        assert!(near(half.low, 0.2366) && near(half.high, 0.7634), "{half:?}");
        let none = proportion(0, 60).unwrap();
        assert!(near(none.high, 0.05) && none.method == "rule of three");
        assert!(proportion(0, 2).unwrap().high <= 1.0);
    }

    #[test]
    fn byar_is_close_to_the_exact_poisson_interval() {
        let ten = rate(10, 1.0).unwrap(); // exact: 4.795 to 18.39
        assert!((ten.low - 4.795).abs() < 0.02 && (ten.high - 18.39).abs() < 0.02, "{ten:?}");
        let none = rate(0, 1.0).unwrap(); // exact: 0 to 3.689
        assert!(near(none.low, 0.0) && (none.high - 3.689).abs() < 0.1, "{none:?}");
    }

    #[test]
    fn open_ones_hold_the_median_up() {
        assert_eq!(survival_median(&[(1.0, true), (3.0, true)]), Some((2.0, false)));
        assert_eq!(survival_median(&[(1.0, true), (2.0, true), (100.0, false)]), Some((2.0, false)));
        assert_eq!(survival_median(&[(1.0, true), (5.0, false), (9.0, false)]), Some((9.0, true)));
        assert_eq!(survival_median(&[]), None);
    }
}
