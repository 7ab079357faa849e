//! Pipelines: the phases of a cycle as configured commands, with gates and people in them.
//!
//! What a command answered is on disk before anybody acts on it ([`keeper`]), and what was decided is
//! in the metrics store before the next command starts. So a run that is killed at any moment is taken
//! up at the phase that was under way: an answer that is there is taken, a command that still runs is
//! waited for, and only one that ended without an answer is started again.
//!
//! The pipeline executes; the recorder of phases measures and does not know it.

mod definition;
mod keeper;
mod runner;

use std::path::PathBuf;

use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::pipeline::{Run, Verdict};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{KeptRun, MetricsStore};

pub use definition::{Definition, PhaseDefinition};
pub use keeper::keep;
pub use runner::{Event, New, Runner, begin};

#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The definition, with the place in it.
    #[error("{place}: {reason}")]
    Wrong { place: String, reason: String },
    #[error("there is no run `{0}`; `atalaya pipeline list` names them")]
    NoRun(String),
    #[error("the run `{id}` {why}")]
    NotNow { id: String, why: String },
    #[error("another process works on the run `{0}`")]
    Busy(String),
    #[error("{}: {source}", path.display())]
    Disk {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PipelineError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Wrong { .. } | Self::NotNow { .. } => ErrorClass::Usage,
            Self::NoRun(_) => ErrorClass::Missing,
            Self::Busy(_) => ErrorClass::Busy,
            Self::Disk { .. } => ErrorClass::Broken,
            Self::Store(error) => error.class(),
        }
    }

    fn disk(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { path, source }
    }
}

/// The run of an id, or of the beginning of one if only one run begins so.
///
/// # Errors
/// [`PipelineError::NoRun`], or those of the store.
pub async fn find(store: &dyn MetricsStore, id: &str) -> Result<KeptRun, PipelineError> {
    /// Runs among which a beginning is looked for.
    const LOOKED_AT: u32 = 1_000;
    if let Some(kept) = store.run(id).await? {
        return Ok(kept);
    }
    let mut beginning = store.runs(LOOKED_AT).await?;
    beginning.retain(|kept| !id.is_empty() && kept.run.id.starts_with(id));
    match (beginning.pop(), beginning.len()) {
        (Some(kept), 0) => Ok(kept),
        _ => Err(PipelineError::NoRun(id.chars().take(100).collect())),
    }
}

/// What a person says to the phase that waits. Says nothing twice.
///
/// # Errors
/// [`PipelineError::NotNow`] when no phase waits.
pub async fn decide(
    store: &dyn MetricsStore,
    id: &str,
    approved: bool,
    by: &str,
    note: Option<&str>,
) -> Result<Run, PipelineError> {
    loop {
        let mut kept = find(store, id).await?;
        let run = &mut kept.run;
        let Some(step) = run.steps.iter_mut().find(|step| step.waits()) else {
            return Err(PipelineError::NotNow {
                id: run.id.clone(),
                why: format!("waits for nobody: it is {}", run.state.name()),
            });
        };
        let now = Timestamp::now();
        step.verdict = Some(Verdict {
            approved,
            by: by.to_owned(),
            at: now,
            note: note.map(str::to_owned),
        });
        run.state = run.derived_state();
        run.updated_at = now;
        if let Some(kept) = store.change_run(&kept).await? {
            return Ok(kept.run);
        }
    }
}
