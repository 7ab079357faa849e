//! Counts how often a node was lost. A node that dies has acknowledged writes of the last moments
//! that it had not synced (its commit log is synced every 10 s); whoever kept them sends them again.
//!
//! Failed requests do not tell: a node may die while nothing is asked of it, and the retry layer
//! hides a death that is over within its budget. The connections do: a killed process closes them
//! at once, and no node starts within the time between two looks.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use scylla::client::session::Session;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// A node takes seconds to start; no death fits between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks at the connections of a session for as long as both live.
#[derive(Debug)]
pub(super) struct Outages {
    count: Arc<AtomicU64>,
    _watch: AbortOnDropHandle<()>,
}

impl Outages {
    /// Must be called within a runtime.
    pub fn watch(session: &Arc<Session>) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let watch = tokio::spawn(look(Arc::downgrade(session), Arc::clone(&count)));
        Self {
            count,
            _watch: AbortOnDropHandle::new(watch),
        }
    }

    /// Nodes lost so far, each as often as it was.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

async fn look(session: Weak<Session>, count: Arc<AtomicU64>) {
    let mut connected = HashSet::new();
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(session) = session.upgrade() else {
            return;
        };
        let state = session.get_cluster_state();
        let nodes = state
            .get_nodes_info()
            .iter()
            .map(|node| (node.host_id, node.is_connected()));
        let lost = lost(&mut connected, nodes);
        if lost > 0 {
            count.fetch_add(lost, Ordering::Relaxed);
            tracing::warn!(nodes = lost, "the connection to a node was lost");
        }
    }
}

/// How many nodes were connected before and are not now. A node that left the ring is not lost.
fn lost(connected: &mut HashSet<Uuid>, nodes: impl Iterator<Item = (Uuid, bool)>) -> u64 {
    let mut lost = 0;
    for (id, is_connected) in nodes {
        if is_connected {
            connected.insert(id);
        } else if connected.remove(&id) {
            lost += 1;
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_lost_once_for_each_time_it_goes() {
        let [one, two] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let mut connected = HashSet::new();
        let looks = [
            (vec![(one, true), (two, false)], 0), // the second one was never there
            (vec![(one, false), (two, false)], 1),
            (vec![(one, false), (two, true)], 0),
            (vec![(one, true), (two, false)], 1),
            (vec![(one, true)], 0), // the second one has left the ring
            (vec![(one, false)], 1),
        ];
        for (nodes, expected) in looks {
            assert_eq!(lost(&mut connected, nodes.into_iter()), expected);
        }
    }
}
