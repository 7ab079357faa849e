//! The open connections: how many there are, and which one goes when there are too many.
//!
//! A connection on which nothing is being answered (its request is not there yet, or none came since
//! the last) gives way to a new one, the oldest first: clients that hold connections open shut nobody
//! out. One on which something is being answered stays.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub all: usize,
    pub of_peer: usize,
}

/// One connection.
#[derive(Debug)]
pub struct Link {
    pub address: IpAddr,
    /// What it is counted under; `None`: a proxy, which brings many.
    peer: Option<IpAddr>,
    is_answering: AtomicBool,
    /// Cancelled when it is to end at once.
    pub closed: CancellationToken,
}

impl Link {
    /// From now until the guard goes it stays.
    pub fn answering(self: &Arc<Self>) -> Answering {
        self.is_answering.store(true, Ordering::Relaxed);
        Answering(Arc::clone(self))
    }
}

/// Something is being answered.
#[derive(Debug)]
pub struct Answering(Arc<Link>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.is_answering.store(false, Ordering::Relaxed);
    }
}

/// All of them, oldest first.
#[derive(Clone, Debug)]
pub struct Links {
    most: Most,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    links: BTreeMap<u64, Arc<Link>>,
}

/// Takes the connection off the list when it ends.
#[derive(Debug)]
pub struct Held {
    pub link: Arc<Link>,
    number: u64,
    links: Links,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.links.lock().links.remove(&self.number);
    }
}

impl Links {
    pub fn new(most: Most) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Each change is one call to the map.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn count(&self) -> usize {
        self.lock().links.len()
    }

    /// Takes a new connection, for which an old one may have to go. `None`: there is no room.
    pub fn take(&self, address: IpAddr, peer: Option<IpAddr>) -> Option<Held> {
        let mut open = self.lock();
        if let Some(peer) = peer {
            let is_same = |link: &Link| link.peer == Some(peer);
            if open.count(is_same) >= self.most.of_peer && !open.make_room(is_same) {
                return None;
            }
        }
        if open.links.len() >= self.most.all && !open.make_room(|_| true) {
            return None;
        }
        let link = Arc::new(Link {
            address,
            peer,
            is_answering: AtomicBool::new(false),
            closed: CancellationToken::new(),
        });
        let number = open.next;
        open.next += 1;
        open.links.insert(number, Arc::clone(&link));
        Some(Held {
            link,
            number,
            links: self.clone(),
        })
    }
}

impl Open {
    fn count(&self, of: impl Fn(&Link) -> bool) -> usize {
        self.links.values().filter(|link| of(link)).count()
    }

    /// Ends the oldest of them on which nothing is being answered; whether there was one.
    fn make_room(&mut self, of: impl Fn(&Link) -> bool) -> bool {
        let waits = |link: &Link| of(link) && !link.is_answering.load(Ordering::Relaxed);
        let oldest = self.links.iter().find(|(_, link)| waits(link));
        let Some(number) = oldest.map(|(number, _)| *number) else {
            return false;
        };
        if let Some(link) = self.links.remove(&number) {
            link.closed.cancel();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn the_oldest_that_waits_gives_way_and_one_that_is_answered_does_not() {
        let links = Links::new(Most { all: 4, of_peer: 2 });
        let take = |last: u8| links.take(address(last), Some(address(last)));
        let (first, second) = (take(1).unwrap(), take(1).unwrap());
        let busy = first.link.answering();
        let third = take(1).unwrap();
        assert!(second.link.closed.is_cancelled() && !first.link.closed.is_cancelled());
        let also = third.link.answering();
        assert!(take(1).is_none(), "both are being answered");
        assert!(take(2).is_some(), "which is not another peer's trouble");
        drop((busy, also));
        assert!(take(1).is_some());
        assert!(first.link.closed.is_cancelled());
        drop((first, second, third));
        assert_eq!(links.count(), 0);
    }

    proptest! {
        #[test]
        fn there_are_never_more_than_may_be(
            steps in proptest::collection::vec((0_u8..6, 0_u8..4, any::<bool>()), 1..200),
        ) {
            let most = Most { all: 12, of_peer: 4 };
            let links = Links::new(most);
            let mut held: Vec<(Held, Option<Answering>)> = Vec::new();
            for (last, what, answers) in steps {
                if what == 0 && !held.is_empty() {
                    held.remove(usize::from(last) % held.len());
                } else if let Some(new) = links.take(address(last), Some(address(last))) {
                    let guard = answers.then(|| new.link.answering());
                    held.push((new, guard));
                }
                held.retain(|(one, _)| !one.link.closed.is_cancelled());
                prop_assert!(links.count() <= most.all);
                prop_assert_eq!(links.count(), held.len());
                for peer in 0..6 {
                    let of = held.iter().filter(|(one, _)| one.link.address == address(peer));
                    prop_assert!(of.count() <= most.of_peer);
                }
            }
        }
    }
}
