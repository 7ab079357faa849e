//! The reads of the DORA tab, and the one write: a repository read by hand.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::offer::{self, Reading};
use crate::service::Stores;
use crate::service::dora::{self, Here, Loaded, ReportRequest};
use crate::tui::ask::Question;
use crate::tui::tab::{Work, reason_of};
use atalaya_domain::dora::DoraReport;
use atalaya_domain::time::Timestamp;

/// What the tab asks for.
#[derive(Clone, Debug)]
pub enum DoraEffect {
    Load {
        question: Question,
        request: Box<ReportRequest>,
        now: Timestamp,
    },
    /// Whether a folder holds a repository, and one that the store knows.
    Look {
        folder: PathBuf,
    },
    Sync(Box<Reading>),
}

/// What one read brought.
#[derive(Debug)]
pub struct Figures {
    pub loaded: Loaded,
    pub report: DoraReport,
}

#[derive(Debug)]
pub enum DoraAnswer {
    Loaded {
        question: Question,
        result: Result<Arc<Figures>, String>,
    },
    Looked(Here),
    Synced(Result<String, String>),
}

impl Work for DoraEffect {
    type Answer = DoraAnswer;

    fn slot(&self) -> &'static str {
        match self {
            Self::Load { .. } => "report",
            Self::Look { .. } => "look",
            Self::Sync(_) => "sync",
        }
    }

    async fn perform(self, stores: &Stores, _cancel: &CancellationToken) -> Option<DoraAnswer> {
        let (question, request, now) = match self {
            Self::Load {
                question,
                request,
                now,
            } => (question, request, now),
            Self::Look { folder } => {
                return Some(DoraAnswer::Looked(offer::look(stores, &folder).await));
            }
            Self::Sync(reading) => {
                return Some(DoraAnswer::Synced(offer::read(stores, *reading).await));
            }
        };
        let result = match dora::load(&*stores.metrics, &request, now).await {
            // Thousands of rows take milliseconds, but a frame must not wait even for those.
            Ok(loaded) => tokio::task::spawn_blocking(move || {
                let report = dora::compute(&loaded, &request, now);
                Arc::new(Figures { loaded, report })
            })
            .await
            .map_err(|error| reason_of(&error)),
            Err(error) => Err(reason_of(&error)),
        };
        Some(DoraAnswer::Loaded { question, result })
    }
}
