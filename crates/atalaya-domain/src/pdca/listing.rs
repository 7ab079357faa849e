//! All cycles of a store, with those that cannot be read beside the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Happening, PdcaCycle, PdcaEvent, Refusal};
use crate::time::Timestamp;

/// A row of a history that is not what this program writes. It is kept as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// As stored.
    pub body: String,
    pub reason: String,
}

/// A cycle whose history cannot be read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenCycle {
    pub id: String,
    /// Of the plan, where that can be read.
    pub title: Option<String>,
    pub created_at: Timestamp,
    /// Which event, and what is wrong with it.
    pub reason: String,
}

/// Both newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    pub cycles: Vec<PdcaCycle>,
    pub broken: Vec<BrokenCycle>,
}

impl Listing {
    /// The cycles that a mixed list of events makes. Events of one cycle are in order.
    pub fn of(events: Vec<PdcaEvent>) -> Self {
        let mut by_cycle: BTreeMap<String, Vec<PdcaEvent>> = BTreeMap::new();
        for event in events {
            by_cycle
                .entry(event.pdca_id.clone())
                .or_default()
                .push(event);
        }
        let mut listing = Self::default();
        for (id, events) in by_cycle {
            match PdcaCycle::fold(&events) {
                Ok(cycle) => listing.cycles.push(cycle),
                Err(refusal) => listing.broken.push(broken(id, &events, refusal)),
            }
        }
        listing
            .cycles
            .sort_by(|one, other| (other.created_at, &other.id).cmp(&(one.created_at, &one.id)));
        listing
            .broken
            .sort_by(|one, other| (other.created_at, &other.id).cmp(&(one.created_at, &one.id)));
        listing
    }
}

fn broken(id: String, events: &[PdcaEvent], refusal: Refusal) -> BrokenCycle {
    let title = events.iter().find_map(|event| match &event.happening {
        Happening::Planned(plan) => Some(plan.title.clone()),
        _ => None,
    });
    BrokenCycle {
        id,
        title,
        created_at: events.first().map_or(Timestamp::MIN, |event| event.at),
        reason: match refusal {
            Refusal::Broken(_, why) => why,
            other => other.to_string(),
        },
    }
}
