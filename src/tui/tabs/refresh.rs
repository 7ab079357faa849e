//! The read of a tab that is repeated by itself: when it is due, and what became of it.

use std::time::Duration;

use super::outage::Outages;
use crate::tui::ask::Question;
use atalaya_domain::time::Timestamp;
use atalaya_query::Zone;

/// For what fails; there is one read.
const READ: &str = "read";

/// What is on the screen stays while the read fails.
#[derive(Debug, Default)]
pub struct Refresh {
    asked: Question,
    /// Asking again would cancel what is under way.
    under_way: bool,
    /// When what is on the screen was read.
    at: Option<Timestamp>,
    outages: Outages,
}

impl Refresh {
    /// The number of a read that is made now; answers to those before it are dropped.
    #[must_use]
    pub fn ask(&mut self) -> Question {
        self.asked = self.asked.next();
        self.under_way = true;
        self.asked
    }

    /// Whether it is to be made now: what is there is `old`, or what failed is to be tried again.
    pub fn is_due(&mut self, old: Duration, now: Timestamp) -> bool {
        let old = self.at.is_none_or(|at| now.since(at) >= old);
        // What failed is repeated in its own time, not each second.
        let again = !self.outages.due(now).is_empty();
        !self.under_way && (again || old && self.outages.is_empty())
    }

    /// What was read at `at`; `None` when it failed, or is the answer to an older question. A
    /// reason is safe to show.
    pub fn answered<T>(
        &mut self,
        question: Question,
        at: Timestamp,
        result: Result<T, String>,
        now: Timestamp,
    ) -> Option<T> {
        if question != self.asked {
            return None;
        }
        self.under_way = false;
        match result {
            Ok(read) => {
                self.at = Some(at);
                self.outages.passed(READ);
                Some(read)
            }
            Err(reason) => {
                self.outages.failed(READ, reason, now);
                None
            }
        }
    }

    pub const fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// Why it fails at present.
    pub fn banner(&self, now: Timestamp, zone: Zone) -> Option<String> {
        self.outages.banner(now, zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_790_000_000 + seconds)
    }

    #[test]
    fn it_is_read_once_then_when_it_is_old_and_after_a_failure_in_its_own_time() {
        let mut refresh = Refresh::default();
        let is_due =
            |refresh: &mut Refresh, seconds| refresh.is_due(Duration::from_secs(60), at(seconds));
        assert!(is_due(&mut refresh, 0), "nothing was read yet");
        let first = refresh.ask();
        assert!(!is_due(&mut refresh, 0), "it is under way");
        let second = refresh.ask();
        assert_eq!(refresh.answered(first, at(0), Ok(1), at(0)), None);
        assert!(!is_due(&mut refresh, 0), "the second is under way still");
        assert_eq!(refresh.answered(second, at(0), Ok(2), at(0)), Some(2));
        assert_eq!(refresh.at(), Some(at(0)));
        assert!(!is_due(&mut refresh, 59));
        assert!(is_due(&mut refresh, 60));
        let third = refresh.ask();
        let failed: Result<u8, String> = Err("it is away".to_owned());
        assert_eq!(refresh.answered(third, at(60), failed, at(60)), None);
        assert!(refresh.banner(at(60), Zone::Utc).is_some());
        assert_eq!(refresh.at(), Some(at(0)), "what is on the screen is older");
        assert!(!is_due(&mut refresh, 60));
        assert!(is_due(&mut refresh, 61));
    }
}
