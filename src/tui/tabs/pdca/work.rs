//! What the PDCA tab asks of the stores, and what comes back.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::service::Stores;
use crate::service::pdca::{self, Draft, PdcaError, PdcaSettings, login_name};
use crate::tui::ask::Question;
use crate::tui::tab::{Work, reason_of};
use atalaya_domain::dora::Scope as DoraScope;
use atalaya_domain::pdca::{Applied, Course, Listing, PdcaCycle, Proposal, Texts, Verdict};
use atalaya_domain::time::Timestamp;

/// Work for the runner.
#[derive(Clone, Debug)]
pub enum PdcaEffect {
    Read {
        question: Question,
        now: Timestamp,
        settings: Arc<PdcaSettings>,
    },
    /// The chosen cycle's metric, week by week.
    Course {
        question: Question,
        cycle: Box<PdcaCycle>,
        now: Timestamp,
        settings: Arc<PdcaSettings>,
    },
    /// What a plan of the form could hope to find.
    Preview {
        question: Question,
        draft: Box<Draft>,
        now: Timestamp,
        settings: Arc<PdcaSettings>,
    },
    Write {
        question: Question,
        change: Change,
        now: Timestamp,
        settings: Arc<PdcaSettings>,
    },
}

/// What the user did to a cycle.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Plan(Draft),
    Edit {
        id: String,
        texts: Texts,
    },
    Start {
        id: String,
        what: String,
    },
    Check {
        id: String,
    },
    Decide {
        id: String,
        verdict: Verdict,
        why: String,
    },
}

/// What the work brought.
#[derive(Debug)]
pub enum PdcaAnswer {
    Read {
        question: Question,
        at: Timestamp,
        result: Result<(Listing, Vec<Proposal>), String>,
    },
    Course {
        question: Question,
        id: String,
        result: Result<Course, String>,
    },
    /// Sentences for the form.
    Preview {
        question: Question,
        sentences: Vec<String>,
    },
    /// The id of the cycle that was changed.
    Written {
        question: Question,
        result: Result<String, String>,
    },
}

impl Work for PdcaEffect {
    type Answer = PdcaAnswer;

    fn slot(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Course { .. } => "course",
            Self::Preview { .. } => "preview",
            // A write is never cancelled half-way by the next one: the store finishes it anyway.
            Self::Write { .. } => "write",
        }
    }

    async fn perform(self, stores: &Stores, _cancel: &CancellationToken) -> Option<PdcaAnswer> {
        Some(match self {
            Self::Read {
                question,
                now,
                settings,
            } => PdcaAnswer::Read {
                question,
                at: now,
                result: read(stores, &settings, now)
                    .await
                    .map_err(|error| reason_of(&error)),
            },
            Self::Course {
                question,
                cycle,
                now,
                settings,
            } => PdcaAnswer::Course {
                question,
                result: pdca::course(stores.metrics.as_ref(), &cycle, &settings, now)
                    .await
                    .map_err(|error| reason_of(&error)),
                id: cycle.id,
            },
            Self::Preview {
                question,
                draft,
                now,
                settings,
            } => PdcaAnswer::Preview {
                question,
                sentences: preview(stores, &draft, &settings, now).await,
            },
            Self::Write {
                question,
                change,
                now,
                settings,
            } => {
                let result = write(stores, change, &settings, now)
                    .await
                    .map(|cycle| cycle.id)
                    .map_err(|error| reason_of(&error));
                PdcaAnswer::Written { question, result }
            }
        })
    }
}

async fn read(
    stores: &Stores,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Result<(Listing, Vec<Proposal>), PdcaError> {
    let store = stores.metrics.as_ref();
    let listing = pdca::list(store).await?;
    let scope = DoraScope {
        environment: settings.environment.clone(),
        ..DoraScope::default()
    };
    let proposals = pdca::proposals(store, &scope, settings, now).await?;
    Ok((listing, proposals))
}

async fn preview(
    stores: &Stores,
    draft: &Draft,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Vec<String> {
    match pdca::baseline_of(stores.metrics.as_ref(), draft, settings, now).await {
        Ok(baseline) => baseline.forecast.map_or_else(
            || vec!["too few samples to say what can be found".to_owned()],
            |forecast| forecast.sentences(draft.metric, baseline.measure),
        ),
        Err(error) => vec![reason_of(&error)],
    }
}

async fn write(
    stores: &Stores,
    change: Change,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Result<PdcaCycle, PdcaError> {
    let store = stores.metrics.as_ref();
    let by = login_name();
    match change {
        Change::Plan(draft) => {
            let owner = if draft.owner.is_empty() {
                by.clone()
            } else {
                draft.owner.clone()
            };
            pdca::create(store, Draft { owner, ..draft }, settings, &by, now).await
        }
        Change::Edit { id, texts } => pdca::edit(store, &id, texts, &by, now).await,
        Change::Start { id, what } => {
            let applied = Applied {
                what,
                applied_at: now,
                request_id: None,
                commit: None,
            };
            pdca::start(store, &id, applied, &by, now).await
        }
        Change::Check { id } => pdca::check(store, &id, settings, &by, now).await,
        Change::Decide { id, verdict, why } => {
            pdca::decide(store, &id, verdict, &why, &by, now).await
        }
    }
}
