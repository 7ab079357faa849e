//! Two samples of positive times: is one of them slower, and by how much.

use serde::{Deserialize, Serialize};

use super::{Interval, normal_p, sorted, z_of};

/// How a p-value was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PValueMethod {
    /// By counting every way to divide these ranks, ties included.
    Exact,
    /// By the normal approximation with tie and continuity correction.
    Normal,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MannWhitney {
    /// Pairs in which the first sample is the larger one; ties count one half.
    pub u: f64,
    pub p: f64,
    pub method: PValueMethod,
}

/// Pairs up to which untied ranks are counted exactly: 100 against 100.
const UNTIED_LIMIT: usize = 10_000;
/// Additions that counting with ties may take; some ten milliseconds.
const COUNTING_LIMIT: usize = 20_000_000;

/// Mann-Whitney rank sum test. `None` when a sample is empty or has a value that is not a number.
///
/// The p-value is twice the smaller tail, at most 1. It is counted exactly, over the ranks as they
/// are tied, as long as that is cheap (100 against 100, with ties about 45 against 45), else
/// approximated.
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Option<MannWhitney> {
    if first.is_empty()
        || second.is_empty()
        || first.iter().chain(second).any(|value| value.is_nan())
    {
        return None;
    }
    let ranks = doubled_midranks(first, second);
    let (m, n) = (first.len(), second.len());
    let doubled_sum: usize = ranks.iter().take(m).sum();
    let u = (doubled_sum - m * (m + 1)) as f64 / 2.0;
    if m * n <= UNTIED_LIMIT && !is_tied(&ranks) {
        let smaller_u = u.min((m * n) as f64 - u) as usize;
        let tail: f64 = u_lower_half(m, n).iter().take(smaller_u + 1).sum();
        return Some(MannWhitney {
            u,
            p: (2.0 * tail).min(1.0),
            method: PValueMethod::Exact,
        });
    }
    // Counting over the smaller sample is cheaper; the tails are the same.
    let (few, sum) = if m <= n {
        (m, doubled_sum)
    } else {
        (n, ranks.iter().skip(m).sum())
    };
    let (p, method) = exact_p(&ranks, few, sum).map_or_else(
        || (approximate_p(&ranks, m, n, u), PValueMethod::Normal),
        |p| (p, PValueMethod::Exact),
    );
    Some(MannWhitney { u, p, method })
}

/// Twice the mean rank of each value of both samples, so that ties stay whole numbers.
fn doubled_midranks(first: &[f64], second: &[f64]) -> Vec<usize> {
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|&one, &other| all[one].total_cmp(&all[other]));
    let mut ranks = vec![0; all.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        // -0.0 and 0.0 are ordered but equal.
        while end < order.len() && all[order[end]] <= all[order[start]] {
            end += 1;
        }
        for &index in &order[start..end] {
            ranks[index] = start + 1 + end; // the mean of start+1 ..= end, twice
        }
        start = end;
    }
    ranks
}

fn is_tied(doubled_ranks: &[usize]) -> bool {
    let mut ranks = doubled_ranks.to_vec();
    ranks.sort_unstable();
    ranks.windows(2).any(|pair| pair[0] == pair[1])
}

/// Counts the subsets of `few` ranks by their sum: c(k, s) gains c(k-1, s - rank) with each rank.
fn exact_p(doubled_ranks: &[usize], few: usize, sum: usize) -> Option<f64> {
    let mut largest = doubled_ranks.to_vec();
    largest.sort_unstable();
    let highest: usize = largest.iter().rev().take(few).sum();
    if doubled_ranks
        .len()
        .saturating_mul(few)
        .saturating_mul(highest)
        > COUNTING_LIMIT
    {
        return None;
    }
    let width = highest + 1;
    let mut ways = vec![0.0_f64; (few + 1) * width];
    ways[0] = 1.0;
    for (seen, &rank) in doubled_ranks.iter().enumerate() {
        for size in (1..=few.min(seen + 1)).rev() {
            let (smaller, larger) = ways.split_at_mut(size * width);
            let smaller = &smaller[(size - 1) * width..];
            for (total, count) in larger[..width].iter_mut().enumerate().skip(rank) {
                *count += smaller[total - rank];
            }
        }
    }
    let of_size = &ways[few * width..];
    let all: f64 = of_size.iter().sum();
    let below: f64 = of_size[..=sum].iter().sum();
    let above: f64 = of_size[sum..].iter().sum();
    Some((2.0 * below.min(above) / all).min(1.0))
}

fn approximate_p(doubled_ranks: &[usize], m: usize, n: usize, u: f64) -> f64 {
    let total = (m + n) as f64;
    let product = (m * n) as f64;
    let mut ranks = doubled_ranks.to_vec();
    ranks.sort_unstable();
    let ties: f64 = ranks
        .chunk_by(|one, other| one == other)
        .map(|tied| (tied.len() as f64).powi(3) - tied.len() as f64)
        .sum();
    let variance = product / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return 1.0; // all values are equal
    }
    normal_p(((u - product / 2.0).abs() - 0.5).max(0.0) / variance.sqrt())
}

/// How many times as long `after` is as `before`: below 1 is faster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatioEstimate {
    pub ratio: f64,
    /// `None` when so few samples cannot hold the confidence.
    pub interval: Option<Interval>,
}

/// Hodges-Lehmann shift of the logarithms, as a ratio, with the interval that belongs to the
/// Mann-Whitney test. `None` when a sample is empty or a value is not above zero.
///
/// Source: Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, section 4.3.
pub fn hodges_lehmann_ratio(
    before: &[f64],
    after: &[f64],
    confidence: f64,
) -> Option<RatioEstimate> {
    let usable = |samples: &[f64]| {
        !samples.is_empty()
            && samples
                .iter()
                .all(|value| *value > 0.0 && value.is_finite())
    };
    if !usable(before) || !usable(after) {
        return None;
    }
    let shifts: Vec<f64> = after
        .iter()
        .flat_map(|late| before.iter().map(move |early| (late / early).ln()))
        .collect();
    let shifts = sorted(&shifts);
    let ratio = super::median(&shifts)?.exp();
    let interval = outer_shifts(before.len(), after.len(), confidence).and_then(|left_out| {
        let low = *shifts.get(left_out)?;
        let high = *shifts.get(shifts.len().checked_sub(left_out + 1)?)?;
        Some(Interval::new(low.exp(), high.exp()))
    });
    Some(RatioEstimate { ratio, interval })
}

/// How many of the smallest and of the largest shifts lie outside of the interval.
///
/// It is the largest k with P(U < k) <= (1 - confidence) / 2, and `None` when even the outermost
/// shifts do not hold the confidence (k = 0: three against two, say).
fn outer_shifts(m: usize, n: usize, confidence: f64) -> Option<usize> {
    let tail = (1.0 - confidence) / 2.0;
    let k = if m * n <= UNTIED_LIMIT {
        let mut below = 0.0;
        u_lower_half(m, n)
            .iter()
            .take_while(|chance| {
                below += **chance;
                below <= tail
            })
            .count()
    } else {
        let (product, total) = ((m * n) as f64, (m + n) as f64);
        let k = product / 2.0 - z_of(confidence) * (product * (total + 1.0) / 12.0).sqrt();
        k.max(0.0) as usize
    };
    k.checked_sub(1)
}

/// Chance of each U from 0 to half of m·n when there is no difference and no tie; the other half
/// mirrors it.
///
/// The numbers of ways are the coefficients of the Gaussian binomial, built by multiplying with
/// (1 - x^(n+i)) and dividing by (1 - x^i): each intermediate is one again, so all are positive and
/// a coefficient depends on lower ones only, which keeps the tail exact to the last digits.
fn u_lower_half(m: usize, n: usize) -> Vec<f64> {
    let half = m * n / 2;
    let mut ways = vec![0.0_f64; half + 1];
    ways[0] = 1.0;
    for i in 1..=m.min(n) {
        let skipped = m.max(n) + i;
        for u in (skipped..=half).rev() {
            ways[u] -= ways[u - skipped];
        }
        for u in i..=half {
            ways[u] += ways[u - i];
        }
    }
    let sum: f64 = ways.iter().sum();
    // With an even m·n the middle one is its own mirror image.
    let middle = if (m * n).is_multiple_of(2) {
        ways[half]
    } else {
        0.0
    };
    let all = 2.0 * sum - middle;
    ways.into_iter().map(|count| count / all).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::super::assert_close;
    use super::*;

    fn p(first: &[f64], second: &[f64]) -> f64 {
        mann_whitney(first, second).unwrap().p
    }

    #[test]
    fn complete_separation_is_counted_right_from_both_sides() {
        assert_close(p(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 0.1, 1e-12);
        assert_close(p(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]), 0.1, 1e-12);
        let base: Vec<f64> = (10..40).map(f64::from).collect();
        for (post, expected) in [(1, 2.0 / 31.0), (2, 2.0 / 496.0), (3, 2.0 / 5_456.0)] {
            let post: Vec<f64> = (0..post).map(f64::from).collect();
            assert_close(p(&base, &post), expected, 1e-12);
            assert_close(p(&post, &base), expected, 1e-12);
        }
        let five: Vec<f64> = (0..5).map(f64::from).collect();
        assert_close(p(&five, &base), 2.0 / 324_632.0, 1e-12);
    }

    #[test]
    fn known_values() {
        // R: wilcox.test(c(1.1,2.2,3.3,4.4), c(2.5,3.5,4.5,5.5,6.5)): W = 3, p = 0.1111
        let found = mann_whitney(&[1.1, 2.2, 3.3, 4.4], &[2.5, 3.5, 4.5, 5.5, 6.5]).unwrap();
        assert_close(found.u, 3.0, 1e-12);
        assert_close(found.p, 14.0 / 126.0, 1e-12);
        assert_eq!(found.method, PValueMethod::Exact);
        // {1,2,2} against {2,3}: of the ten ways to choose the pair, 2 have a rank sum as large.
        assert_close(p(&[1.0, 2.0, 2.0], &[2.0, 3.0]), 0.6, 1e-12);
        assert_close(p(&[5.0; 4], &[5.0; 6]), 1.0, 1e-12);
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[f64::NAN], &[1.0]), None);
    }

    #[test]
    fn the_approximation_takes_over_smoothly() {
        let first: Vec<f64> = (0..45).map(|i| f64::from(i * 7 % 45)).collect();
        let second: Vec<f64> = (0..40).map(|i| f64::from(i * 11 % 40) + 8.5).collect();
        let exact = mann_whitney(&first, &second).unwrap();
        assert_eq!(exact.method, PValueMethod::Exact);
        let ranks = doubled_midranks(&first, &second);
        assert_close(approximate_p(&ranks, 45, 40, exact.u), exact.p, 2e-3);
        let many: Vec<f64> = (0..400).map(f64::from).collect();
        let shifted: Vec<f64> = many.iter().map(|value| value + 60.0).collect();
        let large = mann_whitney(&many, &shifted).unwrap();
        assert_eq!(large.method, PValueMethod::Normal);
        assert!(large.p < 1e-5);
    }

    #[test]
    fn chances_of_u() {
        for (found, expected) in
            u_lower_half(2, 2)
                .into_iter()
                .zip([1.0 / 6.0, 1.0 / 6.0, 2.0 / 6.0])
        {
            assert_close(found, expected, 1e-15);
        }
        assert_eq!(u_lower_half(3, 1), [0.25, 0.25]);
        assert_close(u_lower_half(5, 30)[0], 1.0 / 324_632.0, 1e-18);
    }

    /// The two ways of counting agree where both apply.
    #[test]
    fn untied_and_tied_counting_agree() {
        for (m, n) in [(1, 6), (4, 5), (5, 30), (12, 9)] {
            let first: Vec<f64> = (0..m).map(|i| f64::from(i * 7 % 31) + 0.5).collect();
            let second: Vec<f64> = (0..n).map(f64::from).collect();
            let ranks = doubled_midranks(&first, &second);
            assert!(!is_tied(&ranks));
            let sum = ranks[..first.len()].iter().sum();
            assert_close(
                p(&first, &second),
                exact_p(&ranks, first.len(), sum).unwrap(),
                1e-12,
            );
        }
    }

    #[test]
    fn ratio_of_two_samples() {
        let before = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
        let half: Vec<f64> = before.iter().map(|value| value / 2.0).collect();
        let found = hodges_lehmann_ratio(&before, &half, 0.95).unwrap();
        assert_close(found.ratio, 0.5, 1e-12);
        let interval = found.interval.unwrap();
        assert!(
            interval.contains(0.5) && interval.low < 0.1 && interval.high > 2.0,
            "{interval:?}"
        );
        // wilcox.test(1:6, c(7,9,11,13)+.5, conf.int=TRUE) leaves 2 of 24 shifts out on each side.
        assert_eq!(outer_shifts(6, 4, 0.95), Some(2));
        // Three against two cannot hold 95 %.
        assert_eq!(
            hodges_lehmann_ratio(&[1.0, 2.0, 3.0], &[1.0, 2.0], 0.95)
                .unwrap()
                .interval,
            None
        );
        assert_eq!(hodges_lehmann_ratio(&[1.0, 0.0], &[1.0], 0.95), None);
        assert_eq!(hodges_lehmann_ratio(&[], &[1.0], 0.95), None);
    }

    proptest! {
        #[test]
        fn exact_p_is_symmetric_and_a_probability(
            first in prop::collection::vec(0_i32..12, 1..9),
            second in prop::collection::vec(0_i32..12, 1..9),
        ) {
            let first: Vec<f64> = first.into_iter().map(f64::from).collect();
            let second: Vec<f64> = second.into_iter().map(f64::from).collect();
            let (one, other) = (mann_whitney(&first, &second).unwrap(), mann_whitney(&second, &first).unwrap());
            prop_assert!((one.p - other.p).abs() < 1e-12);
            prop_assert!(one.p > 0.0 && one.p <= 1.0);
            prop_assert!((one.u + other.u - (first.len() * second.len()) as f64).abs() < 1e-12);
        }
    }
}
