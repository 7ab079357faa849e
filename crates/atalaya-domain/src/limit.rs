//! How often somebody may ask: never more than a number of requests in *any* span of a length,
//! also not over the edge of a minute.
//!
//! Each admitted request is remembered until it is out of every span, so that the answer is exact;
//! the number that a limit admits is the bound of that memory. Instants are those of a steady clock
//! that the caller reads: a wall clock that jumps neither opens nor closes anything.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// At most `most` requests in any span of `length`, its ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub most: u32,
    pub length: Duration,
}

/// What becomes of one request, and what is left; of the limit that leaves the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub is_admitted: bool,
    pub limit: Limit,
    /// Requests that are admitted after this one without any pause.
    pub remaining: u32,
    /// Until the oldest counted request is forgotten: for a refused one, until the next is admitted.
    pub reset: Duration,
}

impl Verdict {
    /// [`Verdict::reset`] in whole seconds, never too few: after that many the next is admitted.
    pub fn reset_seconds(&self) -> u64 {
        self.reset.as_secs() + 1
    }
}

/// The admitted requests of one who asks, oldest first.
#[derive(Clone, Debug, Default)]
struct History(VecDeque<Duration>);

impl History {
    /// Forgets what is in no span that ends now.
    fn forget(&mut self, longest: Duration, now: Duration) {
        while let Some(first) = self.0.front()
            && now.saturating_sub(*first) > longest
        {
            self.0.pop_front();
        }
    }

    /// How many are in the span of this length that ends now, and how long until the oldest of them
    /// is out of it.
    fn within(&self, length: Duration, now: Duration) -> (u32, Duration) {
        let first = self
            .0
            .partition_point(|at| now.saturating_sub(*at) > length);
        let count = u32::try_from(self.0.len() - first).unwrap_or(u32::MAX);
        let reset = self.0.get(first).map_or(Duration::ZERO, |oldest| {
            length.saturating_sub(now.saturating_sub(*oldest))
        });
        (count, reset)
    }
}

/// The limits of everybody, each by a name of their own.
#[derive(Clone, Debug)]
pub struct Limiter {
    limits: Vec<Limit>,
    most_names: usize,
    histories: HashMap<String, History>,
}

impl Limiter {
    /// Keeps at most `most_names` names; beyond, the one that was quiet for longest is forgotten.
    /// Limits that admit nothing admit one.
    pub fn new(limits: &[Limit], most_names: usize) -> Self {
        let limits = limits.iter().map(|limit| Limit {
            most: limit.most.max(1),
            ..*limit
        });
        Self {
            limits: limits.collect(),
            most_names: most_names.max(1),
            histories: HashMap::new(),
        }
    }

    /// Admits or refuses a request; an admitted one counts. `None`: there is no limit.
    pub fn ask(&mut self, name: &str, now: Duration) -> Option<Verdict> {
        let longest = self.longest()?;
        if !self.histories.contains_key(name) {
            self.make_room(now);
        }
        let history = self.histories.entry(name.to_owned()).or_default();
        history.forget(longest, now);
        let refusal = verdicts(&self.limits, history, now).find(|verdict| !verdict.is_admitted);
        if refusal.is_some() {
            // Of several that refuse, the one that does so for longest.
            return verdicts(&self.limits, history, now)
                .filter(|verdict| !verdict.is_admitted)
                .max_by_key(|verdict| verdict.reset);
        }
        // A clock that stands still or goes back keeps the order.
        let at = history.0.back().map_or(now, |last| now.max(*last));
        history.0.push_back(at);
        verdicts(&self.limits, history, now)
            .min_by_key(|verdict| verdict.remaining)
            .map(|verdict| Verdict {
                is_admitted: true,
                ..verdict
            })
    }

    /// What [`Limiter::ask`] would say, without counting anything.
    pub fn look(&self, name: &str, now: Duration) -> Option<Verdict> {
        let empty = History::default();
        let history = self.histories.get(name).unwrap_or(&empty);
        verdicts(&self.limits, history, now).min_by_key(|verdict| verdict.remaining)
    }

    /// What is still counted, for who starts again: names with the ages of their requests, oldest
    /// first.
    pub fn ages(&self, now: Duration) -> Vec<(String, Vec<Duration>)> {
        let Some(longest) = self.longest() else {
            return Vec::new();
        };
        let of = |history: &History| {
            let ages = history.0.iter().map(|at| now.saturating_sub(*at));
            ages.filter(|age| *age <= longest).collect::<Vec<_>>()
        };
        let all = self.histories.iter();
        all.map(|(name, history)| (name.clone(), of(history)))
            .filter(|(_, ages)| !ages.is_empty())
            .collect()
    }

    /// Counts what another process counted before.
    pub fn restore(&mut self, ages: Vec<(String, Vec<Duration>)>, now: Duration) {
        let Some(longest) = self.longest() else {
            return;
        };
        for (name, mut ages) in ages.into_iter().take(self.most_names) {
            ages.retain(|age| *age <= longest && *age <= now);
            ages.sort_unstable_by(|left, right| right.cmp(left));
            let instants = ages.into_iter().map(|age| now.saturating_sub(age));
            self.histories.insert(name, History(instants.collect()));
        }
    }

    pub fn names(&self) -> usize {
        self.histories.len()
    }

    fn longest(&self) -> Option<Duration> {
        self.limits.iter().map(|limit| limit.length).max()
    }

    fn make_room(&mut self, now: Duration) {
        if self.histories.len() < self.most_names {
            return;
        }
        let longest = self.longest().unwrap_or_default();
        self.histories.retain(|_, history| {
            history.forget(longest, now);
            !history.0.is_empty()
        });
        if self.histories.len() < self.most_names {
            return;
        }
        let quiet = self
            .histories
            .iter()
            .min_by_key(|(_, history)| history.0.back().copied());
        if let Some(name) = quiet.map(|(name, _)| name.clone()) {
            self.histories.remove(&name);
        }
    }
}

fn verdicts<'l>(
    limits: &'l [Limit],
    history: &'l History,
    now: Duration,
) -> impl Iterator<Item = Verdict> + 'l {
    limits.iter().map(move |limit| {
        let (count, reset) = history.within(limit.length, now);
        Verdict {
            is_admitted: count < limit.most,
            limit: *limit,
            remaining: limit.most.saturating_sub(count),
            reset,
        }
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn usual() -> [Limit; 2] {
        [
            Limit {
                most: 100,
                length: seconds(60),
            },
            Limit {
                most: 1_000,
                length: seconds(3_600),
            },
        ]
    }

    #[test]
    fn the_edge_of_a_minute_opens_nothing() {
        let mut limiter = Limiter::new(&usual(), 10);
        let mut admitted = 0;
        for at in (59_000..61_000).step_by(10) {
            let verdict = limiter.ask("a", Duration::from_millis(at)).unwrap();
            admitted += u32::from(verdict.is_admitted);
        }
        assert_eq!(admitted, 100);
        let verdict = limiter.ask("a", seconds(100)).unwrap();
        assert_eq!((verdict.is_admitted, verdict.remaining), (false, 0));
        assert_eq!(verdict.reset_seconds(), 20);
        assert!(limiter.ask("b", seconds(100)).unwrap().is_admitted);
        assert!(limiter.ask("a", seconds(120)).unwrap().is_admitted);
    }

    #[test]
    fn what_is_left_is_told_of_the_limit_that_leaves_least() {
        let mut limiter = Limiter::new(&usual(), 10);
        let verdict = limiter.ask("a", seconds(1)).unwrap();
        assert_eq!((verdict.limit.most, verdict.remaining), (100, 99));
        for minute in 1..10 {
            for _ in 0..100 {
                assert!(
                    limiter
                        .ask("a", seconds(minute * 61 + 1))
                        .unwrap()
                        .is_admitted
                );
            }
        }
        for _ in 0..99 {
            assert!(limiter.ask("a", seconds(700)).unwrap().is_admitted);
        }
        let refused = limiter.ask("a", seconds(800)).unwrap();
        assert_eq!((refused.is_admitted, refused.limit.most), (false, 1_000));
        assert!(Limiter::new(&[], 10).ask("a", seconds(1)).is_none());
    }

    #[test]
    fn names_are_bounded_and_the_quiet_one_goes() {
        let mut limiter = Limiter::new(&usual(), 3);
        for (at, name) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
            limiter.ask(name, seconds(at as u64)).unwrap();
        }
        assert_eq!(limiter.names(), 3);
        assert_eq!(limiter.look("a", seconds(5)).unwrap().remaining, 98);
        assert_eq!(limiter.look("b", seconds(5)).unwrap().remaining, 100);
    }

    /// Pauses in milliseconds: bursts, edges of the spans, and long ones.
    fn pauses() -> impl Strategy<Value = Vec<u64>> {
        let pause = prop_oneof![
            4 => 0_u64..50,
            2 => 0_u64..2_000,
            1 => 59_000_u64..61_001,
            1 => 3_590_000_u64..3_610_000,
        ];
        proptest::collection::vec(pause, 1..600)
    }

    fn limits() -> impl Strategy<Value = Vec<Limit>> {
        let small = (1_u32..8, 1_u64..120).prop_map(|(most, length)| Limit {
            most,
            length: Duration::from_secs(length),
        });
        prop_oneof![
            Just(usual().to_vec()),
            proptest::collection::vec(small, 1..4)
        ]
    }

    proptest! {
        /// R38, by counting again over every span: no span holds more, nobody is refused who had
        /// room, the pause that is asked for is enough, and one second less is not. A restart in the
        /// middle changes none of it.
        #[test]
        fn no_span_holds_more_and_no_request_is_refused_without_need(
            pauses in pauses(), limits in limits(), restart in 0_usize..600,
        ) {
            let mut limiter = Limiter::new(&limits, 5);
            let mut admitted: Vec<Duration> = Vec::new();
            let mut now = Duration::from_secs(10_000);
            for (index, pause) in pauses.into_iter().enumerate() {
                now += Duration::from_millis(pause);
                if index == restart {
                    let ages = limiter.ages(now);
                    // Another steady clock, which knows nothing of this one.
                    now += Duration::from_secs(1_000_000);
                    for at in &mut admitted {
                        *at += Duration::from_secs(1_000_000);
                    }
                    limiter = Limiter::new(&limits, 5);
                    limiter.restore(ages, now);
                }
                let fits = |admitted: &[Duration], at: Duration| limits.iter().all(|limit| {
                    let count = admitted.iter().filter(|before| at.saturating_sub(**before) <= limit.length).count();
                    count < limit.most as usize
                });
                let verdict = limiter.ask("a", now).unwrap();
                prop_assert_eq!(verdict.is_admitted, fits(&admitted, now));
                if verdict.is_admitted {
                    admitted.push(now);
                } else {
                    let pause = verdict.reset_seconds();
                    prop_assert!(fits(&admitted, now + seconds(pause)));
                    prop_assert!(!fits(&admitted, now + seconds(pause.saturating_sub(1))));
                }
            }
            for limit in &limits {
                for (first, at) in admitted.iter().enumerate() {
                    let within = admitted[first..].iter().take_while(|other| other.saturating_sub(*at) <= limit.length);
                    prop_assert!(within.count() <= limit.most as usize);
                }
            }
        }
    }
}
