//! A made-up company in throw-away stores, so that every screen can be tried: three services,
//! twelve weeks of deployments, two incidents, and requests that cross both log layers.
//!
//! The same seed and the same `now` give the same company. Nothing here ever reaches a store that
//! a user configured: `atalaya demo` opens stores of its own in a temporary directory.

use atalaya_domain::error_class::ErrorClass;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::SourceRun;

use super::Stores;
use super::alerts::AlertError;
use super::dora::UnknownWord;
use super::pdca::PdcaError;

mod alerts;
pub use alerts::look_back;
mod delivery;
mod logs;
mod pdca;

/// How long the company's delivery history is.
pub const WEEKS: u64 = 12;

/// One of the company's services.
#[derive(Clone, Copy, Debug)]
struct Service {
    name: &'static str,
    team: &'static str,
    host: &'static str,
    loggers: [&'static str; 3],
    /// Mean time between deployments.
    deploys_every: Duration,
}

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

const SERVICES: [Service; 3] = [
    Service {
        name: "shop-web",
        team: "storefront",
        host: "web-1",
        loggers: ["shop.checkout", "shop.cart", "shop.session"],
        deploys_every: Duration::from_secs(30 * 3_600),
    },
    Service {
        name: "payments",
        team: "payments",
        host: "pay-1",
        loggers: ["payments.gateway", "payments.ledger", "payments.fraud"],
        deploys_every: Duration::from_secs(60 * 3_600),
    },
    Service {
        name: "catalog",
        team: "discovery",
        host: "web-2",
        loggers: ["catalog.search", "catalog.prices", "catalog.images"],
        deploys_every: Duration::from_secs(80 * 3_600),
    },
];

/// The request that fails across both layers: what a visitor of the demo is led to.
pub const FAILING_REQUEST: &str = "req-7f3a9c";

/// What was made, for the first line of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    pub records: u64,
    pub deployments: u64,
    pub incidents: u64,
}

/// Why the company could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the demo's PDCA cycles")]
    Pdca(#[from] PdcaError),
    #[error("the demo's settings")]
    Settings(#[from] UnknownWord),
    #[error("the demo's alerts")]
    Alerts(#[from] AlertError),
}

impl DemoError {
    /// Who has to do what before the same succeeds.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(error) => error.class(),
            Self::Pdca(error) => error.class(),
            Self::Settings(_) => ErrorClass::Usage,
            Self::Alerts(error) => error.class(),
        }
    }
}

/// Fills empty stores with the company as it stands at `now`.
pub async fn fill(stores: &Stores, now: Timestamp, seed: u64) -> Result<Made, DemoError> {
    let mut random = StdRng::seed_from_u64(seed);
    let history = delivery::history(now, &mut random);
    stores.metrics.put_deployments(&history.deployments).await?;
    stores.metrics.put_incidents(&history.incidents).await?;
    stores.metrics.record_phases(&history.phases).await?;
    stores
        .metrics
        .put_source(&SourceRun {
            name: "demo".to_owned(),
            gives_deployments: true,
            gives_incidents: true,
            synced_at: now,
        })
        .await?;
    pdca::fill(stores, now).await?;
    let frames = logs::frames(now, &history, &mut random);
    let records = stores.logs.append(&frames).await?;
    Ok(Made {
        records,
        deployments: history.deployments.len() as u64,
        incidents: history.incidents.len() as u64,
    })
}

/// Records that the company writes between two instants, for the live tail of the demo.
pub async fn live(stores: &Stores, from: Timestamp, until: Timestamp) -> Result<u64, StoreError> {
    let mut random = StdRng::seed_from_u64(from.micros().unsigned_abs());
    stores
        .logs
        .append(&logs::traffic(from, until, &mut random))
        .await
}

/// A duration spread round `mean` by up to half of it, either way.
fn about(mean: Duration, random: &mut StdRng) -> Duration {
    mean.mul_f64(random.random_range(0.5..1.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_790_000_000)
    }

    #[test]
    fn the_same_seed_makes_the_same_company() {
        let make = || {
            let mut random = StdRng::seed_from_u64(7);
            let history = delivery::history(now(), &mut random);
            let frames = logs::frames(now(), &history, &mut random);
            (history.deployments, frames)
        };
        assert_eq!(make(), make());
    }

    #[test]
    fn the_failing_request_crosses_both_layers() {
        let mut random = StdRng::seed_from_u64(7);
        let history = delivery::history(now(), &mut random);
        let frames = logs::frames(now(), &history, &mut random);
        let layers: std::collections::BTreeSet<_> = frames
            .iter()
            .filter(|frame| {
                frame.entries.iter().any(|entry| {
                    entry
                        .request_id
                        .as_ref()
                        .is_some_and(|id| id.as_str() == FAILING_REQUEST)
                })
            })
            .map(|frame| frame.origin.layer)
            .collect();
        assert_eq!(layers.len(), 2);
    }

    #[test]
    fn nothing_is_made_in_the_future_and_positions_grow() {
        let mut random = StdRng::seed_from_u64(7);
        let history = delivery::history(now(), &mut random);
        for frame in logs::frames(now(), &history, &mut random) {
            assert!(frame.entries.iter().all(|entry| entry.timestamp <= now()));
            assert!(
                frame
                    .entries
                    .windows(2)
                    .all(|pair| pair[0].position < pair[1].position)
            );
        }
        assert!(
            history
                .deployments
                .iter()
                .all(|deployment| deployment.finished_at <= now())
        );
        assert_eq!(history.incidents.len(), 2);
    }
}
