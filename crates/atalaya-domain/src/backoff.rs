//! How long to wait between attempts. Arithmetic only: who waits has the clock and the dice.

use std::time::Duration;

/// Exponential backoff: the first pause, doubled after each further failure, up to the longest.
///
/// With [`jittered`](Self::jittered) it is "full jitter": callers that failed together do not come
/// back together. Source:
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pause after so many failures in a row: `first` after one (and after none).
    pub fn after(self, failures: u32) -> Duration {
        let times = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.first.saturating_mul(times).min(self.longest)
    }

    /// A part of that pause; `chance` is drawn evenly from 0 to 1.
    pub fn jittered(self, failures: u32, chance: f64) -> Duration {
        self.after(failures).mul_f64(chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest_and_stays_there() {
        let ladder = Backoff::new(Duration::from_millis(50), Duration::from_secs(30));
        let ms = |failures| ladder.after(failures).as_millis();
        assert_eq!([0, 1, 2, 3, 4].map(ms), [50, 50, 100, 200, 400]);
        assert_eq!(
            [10, 11, 33, 1_000, u32::MAX].map(ms),
            [25_600, 30_000, 30_000, 30_000, 30_000]
        );
    }

    #[test]
    fn jitter_is_a_part_of_the_pause() {
        let ladder = Backoff::new(Duration::from_millis(50), Duration::from_secs(30));
        let ms = |chance| ladder.jittered(2, chance).as_millis();
        assert_eq!([-1.0, 0.0, 0.5, 1.0, 7.0].map(ms), [0, 0, 50, 100, 100]);
    }
}
