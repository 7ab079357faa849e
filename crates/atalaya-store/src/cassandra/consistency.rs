//! Consistency levels under a name of our own, so that the driver stays inside this folder.

use scylla::statement::Consistency;
use serde::{Deserialize, Serialize};

/// How many replicas must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyLevel {
    One,
    Two,
    Three,
    Quorum,
    All,
    LocalOne,
    LocalQuorum,
    EachQuorum,
}

impl From<ConsistencyLevel> for Consistency {
    fn from(level: ConsistencyLevel) -> Self {
        match level {
            ConsistencyLevel::One => Self::One,
            ConsistencyLevel::Two => Self::Two,
            ConsistencyLevel::Three => Self::Three,
            ConsistencyLevel::Quorum => Self::Quorum,
            ConsistencyLevel::All => Self::All,
            ConsistencyLevel::LocalOne => Self::LocalOne,
            ConsistencyLevel::LocalQuorum => Self::LocalQuorum,
            ConsistencyLevel::EachQuorum => Self::EachQuorum,
        }
    }
}
