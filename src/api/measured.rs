//! The health view, measured when somebody asks and kept for a minute: a question costs little, and
//! many at once cost what one does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::config::Settings;
use crate::service::{Stores, health};
use atalaya_domain::health::Health;
use atalaya_ingest::contained::contained;

const GOOD_FOR: Duration = Duration::from_secs(60);

pub struct Measured {
    last: Mutex<Option<(Instant, Arc<Health>)>>,
    /// One measures, the others wait for it.
    turn: Semaphore,
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            last: Mutex::new(None),
            turn: Semaphore::new(1),
        }
    }
}

impl Measured {
    /// At most a minute old. A client that does not wait for it leaves it to the next one.
    pub async fn health(
        self: &Arc<Self>,
        stores: &Stores,
        settings: &Settings,
    ) -> Result<Arc<Health>, Problem> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let (this, stores, settings) = (Arc::clone(self), stores.clone(), settings.clone());
        let measuring = contained(async move { this.measure(&stores, &settings).await });
        tokio::spawn(measuring).await.map_err(|error| {
            tracing::error!(%error, "health was not measured");
            Problem::internal()
        })
    }

    async fn measure(&self, stores: &Stores, settings: &Settings) -> Arc<Health> {
        // The semaphore is never closed; without a turn it is only measured twice.
        let _turn = self.turn.acquire().await.ok();
        if let Some(known) = self.known() {
            return known;
        }
        let fresh = Arc::new(health::measure(stores, settings).await);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), Arc::clone(&fresh)));
        fresh
    }

    fn known(&self) -> Option<Arc<Health>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, health) = last.as_ref()?;
        (at.elapsed() < GOOD_FOR).then(|| Arc::clone(health))
    }
}
