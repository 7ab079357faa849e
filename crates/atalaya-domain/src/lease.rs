//! Who of several processes does what only one may do.
//!
//! A lease is a row of the store. Its holder renews it well before it ends; when it does not, the
//! next one who asks takes it, with a greater *fence*. Every write of the holder carries its fence,
//! and the store takes it only while that is the lease's: a host that was suspended for an hour and
//! goes on as if nothing had happened changes nothing.
//!
//! The clock is the store's, so that hosts need not agree on the time. What a holder itself may
//! believe between two renewals is by its own steady clock: [`Lease::trusted_for`].

use std::time::Duration;

use serde::Serialize;

use crate::time::Timestamp;

/// Counts the holders of a lease: each new one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FenceNumber(pub i64);

/// What a write carries to say on whose behalf it is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Fence {
    /// The name of the lease.
    pub lease: String,
    pub number: FenceNumber,
}

/// Who asks for a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// This process and no other, ever.
    pub id: String,
    /// For people: the host's name.
    pub host: String,
    pub pid: u32,
}

/// A lease as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    pub name: String,
    pub holder: Holder,
    pub fence: FenceNumber,
    /// What its holder asked for.
    #[serde(skip)]
    pub length: Duration,
    pub taken_at: Timestamp,
    pub renewed_at: Timestamp,
    /// From then on it may be taken by another.
    pub expires_at: Timestamp,
}

/// What somebody who asks for a lease gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is the asker's: as the store is to keep it.
    Held(Lease),
    /// It is another's.
    Others(Lease),
}

impl Lease {
    pub fn fence(&self) -> Fence {
        Fence {
            lease: self.name.clone(),
            number: self.fence,
        }
    }

    /// Whether anybody may take it.
    ///
    /// A lease that ends later than its holder could have asked for is one of a clock that has gone
    /// back since: waiting for it could take hours. Taking it from a holder that lives costs that
    /// one its lease and nobody a wrong write.
    pub fn is_free(&self, now: Timestamp) -> bool {
        self.expires_at <= now || self.expires_at.since(now) > self.length * 2
    }

    /// How long after asking for it its holder may believe in it, by its own steady clock. A part
    /// is left for what is under way then.
    pub fn trusted_for(&self) -> Duration {
        self.length * 9 / 10
    }

    /// How often its holder renews it: several may fail before it ends.
    pub fn renewed_every(length: Duration) -> Duration {
        length / 4
    }

    /// The same, given back.
    #[must_use]
    pub fn released(self, now: Timestamp) -> Self {
        Self {
            expires_at: now,
            ..self
        }
    }
}

/// Answers somebody who asks for a lease at `now` by the store's clock. `known` is what is stored.
pub fn ask(
    known: Option<Lease>,
    name: &str,
    asker: &Holder,
    length: Duration,
    now: Timestamp,
) -> Answer {
    let expires_at = now.saturating_add(length);
    match known {
        // Also when it has ended meanwhile and nobody took it: nobody else wrote in its name.
        Some(lease) if lease.holder.id == asker.id => Answer::Held(Lease {
            length,
            renewed_at: now,
            expires_at,
            ..lease
        }),
        Some(lease) if !lease.is_free(now) => Answer::Others(lease),
        known => Answer::Held(Lease {
            name: name.to_owned(),
            holder: asker.clone(),
            fence: FenceNumber(known.map_or(0, |lease| lease.fence.0).saturating_add(1)),
            length,
            taken_at: now,
            renewed_at: now,
            expires_at,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(15);

    fn holder(number: u8) -> Holder {
        Holder {
            id: format!("h{number}"),
            host: "host".to_owned(),
            pid: 1,
        }
    }

    #[test]
    fn a_clock_that_went_back_does_not_keep_a_dead_holders_lease() {
        let now = Timestamp::from_seconds(100_000);
        let Answer::Held(lease) = ask(None, "store", &holder(1), LENGTH, now) else {
            unreachable!("it was free")
        };
        let hour_back = now.saturating_sub(Duration::from_secs(3_600));
        assert!(lease.is_free(hour_back));
        assert!(!lease.is_free(now.saturating_sub(Duration::from_secs(5))));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ask(u8),
        Release(u8),
        /// Of the store's clock, seconds.
        Pass(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_u8..5).prop_map(Step::Ask),
            1 => (0_u8..5).prop_map(Step::Release),
            3 => (-4_000_i64..4_000).prop_map(Step::Pass),
            4 => (0_i64..20).prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// In any history a fence has one holder, and each new holder a greater one.
        #[test]
        fn a_fence_is_one_holders(steps in prop::collection::vec(step(), 1..200)) {
            let mut now = Timestamp::from_seconds(1_000_000);
            let mut stored: Option<Lease> = None;
            let mut fences: std::collections::BTreeMap<FenceNumber, String> = std::collections::BTreeMap::default();
            for step in steps {
                match step {
                    Step::Pass(seconds) => now = Timestamp::from_micros(now.micros() + seconds * 1_000_000),
                    Step::Release(who) => {
                        stored = stored.map(|lease| {
                            if lease.holder == holder(who) { lease.released(now) } else { lease }
                        });
                    }
                    Step::Ask(who) => match ask(stored.clone(), "store", &holder(who), LENGTH, now) {
                        Answer::Held(lease) => {
                            prop_assert_eq!(&lease.holder, &holder(who));
                            let first = fences.entry(lease.fence).or_insert_with(|| lease.holder.id.clone());
                            prop_assert_eq!(&*first, &lease.holder.id);
                            prop_assert_eq!(fences.last_key_value().unwrap().0, &lease.fence);
                            prop_assert_eq!(lease.expires_at.since(now), LENGTH);
                            stored = Some(lease);
                        }
                        Answer::Others(lease) => {
                            prop_assert_ne!(&lease.holder, &holder(who));
                            // It ends within two lengths, whatever the clock did.
                            prop_assert!(lease.expires_at.since(now) <= LENGTH * 2);
                        }
                    },
                }
            }
        }
    }
}
