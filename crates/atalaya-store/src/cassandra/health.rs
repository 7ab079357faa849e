//! The health of the ring over CQL: every node is asked for itself.
//!
//! A node's virtual tables speak of that node only, so each question is pinned to its node. Which
//! tables there are differs by version; the node is asked for the list first, and what it lacks is
//! left out. Everything is bounded: nodes at once, questions at once, rows, and time; a node that
//! does not answer is down, with the reason and with what the others say of it.
//!
//! Nothing here needs nodetool. What CQL does not tell is left out: the compactions that a strategy
//! plans but has not queued, and dropped messages by verb.

mod fields;
mod keyspace;
mod node;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use scylla::client::session::Session;

use crate::sync::lock;
use atalaya_domain::health::design::Design;
use atalaya_domain::health::ring::{Node, Ring, Sight};

use self::node::{Answered, GossipRow};

/// Nodes asked at once.
const NODES_AT_ONCE: usize = 16;
/// How long the keyspace's design stays as it was found: its sample reads rows.
const DESIGN_STAYS: Duration = Duration::from_secs(60);

/// Asks a ring, again and again, through one session.
pub struct RingProbe {
    session: Arc<Session>,
    keyspace: String,
    design: Mutex<Option<(Instant, Design)>>,
}

impl std::fmt::Debug for RingProbe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RingProbe")
            .field("keyspace", &self.keyspace)
            .finish_non_exhaustive()
    }
}

impl RingProbe {
    pub fn new(session: Arc<Session>, keyspace: impl Into<String>) -> Self {
        Self {
            session,
            keyspace: keyspace.into(),
            design: Mutex::new(None),
        }
    }

    /// One measurement, in about ten seconds at the worst.
    pub async fn measure(&self) -> Ring {
        let cluster = self.session.get_cluster_state();
        let known: Vec<_> = cluster.get_nodes_info().to_vec();
        let asking = futures::stream::iter(known)
            .map(|node| node::ask(&self.session, node, &self.keyspace))
            .buffer_unordered(NODES_AT_ONCE)
            .collect::<Vec<Answered>>();
        let (answered, mut design) = tokio::join!(asking, self.design());
        let mut nodes = join_views(answered);
        nodes.sort_by_cached_key(|node| {
            let host = node
                .address
                .rsplit_once(':')
                .map_or(node.address.as_str(), |(host, _)| host);
            let ip = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
            (
                node.datacenter.clone(),
                node.rack.clone(),
                ip,
                node.address.clone(),
            )
        });
        if let Some(design) = &mut design {
            design.nodes = count_by_datacenter(&nodes);
        }
        Ring {
            cluster: cluster.cluster_name().to_owned(),
            keyspace: self.keyspace.clone(),
            nodes,
            design,
        }
    }

    /// As found lately, else read anew; `None` when no node could tell.
    async fn design(&self) -> Option<Design> {
        let known = lock(&self.design).clone();
        if let Some((at, design)) = &known
            && at.elapsed() < DESIGN_STAYS
        {
            return Some(design.clone());
        }
        match keyspace::read(&self.session, &self.keyspace).await {
            Some(design) => {
                let kept = Some((Instant::now(), design.clone()));
                *lock(&self.design) = kept;
                Some(design)
            }
            // The ring is away: the copies it keeps have not changed, so the quorum is still known.
            None => known.map(|(_, design)| design),
        }
    }
}

fn count_by_datacenter(nodes: &[Node]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for node in nodes {
        *counts
            .entry(node.datacenter.clone().unwrap_or_default())
            .or_insert(0) += 1;
    }
    counts
}

/// Puts what the nodes say of each other beside the node that it is about.
fn join_views(answered: Vec<Answered>) -> Vec<Node> {
    let mut nodes = Vec::with_capacity(answered.len());
    let mut gossip: Vec<(String, GossipRow)> = Vec::new();
    for Answered { node, gossip: rows } in answered {
        gossip.extend(rows.into_iter().map(|row| (node.address.clone(), row)));
        nodes.push(node);
    }
    for (from, row) in gossip {
        let Some(about) = nodes.iter_mut().find(|node| {
            node.host_id.is_some() && node.host_id == row.host_id
                || node.address == row.native_address
        }) else {
            // A node on its way in is known to the others before it takes clients.
            if row.is_joining() {
                nodes.push(row.into_node());
            }
            continue;
        };
        if about.address == from {
            continue;
        }
        if !about.is_up() {
            about.state = about.state.take().or_else(|| row.state.clone());
            about.version = about.version.take().or_else(|| row.version.clone());
            about.load_bytes = about.load_bytes.or(row.load_bytes);
        }
        // Of a node that answers only the hints are news.
        if !about.is_up() || row.hint_files > 0 {
            about.seen_by.push(Sight {
                from,
                state: row
                    .failure_detector
                    .or(row.state)
                    .unwrap_or_else(|| "unknown".to_owned()),
                hint_files: row.hint_files,
                oldest_hint: row.oldest_hint,
            });
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(address: &str, host_id: &str, problem: Option<&str>) -> Node {
        Node {
            address: address.to_owned(),
            host_id: Some(host_id.to_owned()),
            problem: problem.map(str::to_owned),
            ..Node::default()
        }
    }

    fn row(host_id: &str, state: &str) -> GossipRow {
        GossipRow {
            host_id: Some(host_id.to_owned()),
            state: Some(state.to_owned()),
            ..GossipRow::default()
        }
    }

    #[test]
    fn the_others_tell_of_a_silent_node() {
        let hinted = GossipRow {
            hint_files: 2,
            failure_detector: Some("DOWN".to_owned()),
            ..row("b", "shutdown")
        };
        let nodes = join_views(vec![
            Answered {
                node: node("10.0.0.1:9042", "a", None),
                gossip: vec![row("a", "NORMAL"), hinted],
            },
            Answered {
                node: node("10.0.0.2:9042", "b", Some("connection refused")),
                gossip: Vec::new(),
            },
        ]);
        assert_eq!(nodes[0].seen_by, []);
        assert_eq!(nodes[1].state.as_deref(), Some("shutdown"));
        assert_eq!(nodes[1].seen_by.len(), 1);
        assert_eq!(nodes[1].seen_by[0].state, "DOWN");
        assert_eq!(nodes[1].seen_by[0].hint_files, 2);
        assert_eq!(nodes[1].letters(), "DS");
    }

    #[test]
    fn a_joining_node_is_shown_before_it_takes_clients() {
        let joining = GossipRow {
            native_address: "10.0.0.3:9042".to_owned(),
            ..row("c", "BOOT_REPLACE")
        };
        let gone = row("d", "LEFT");
        let nodes = join_views(vec![Answered {
            node: node("10.0.0.1:9042", "a", None),
            gossip: vec![joining, gone],
        }]);
        assert_eq!(nodes.len(), 2);
        assert_eq!(nodes[1].address, "10.0.0.3:9042");
        assert_eq!(nodes[1].letters(), "UJ");
    }
}
