//! Carries a run on: one phase after the other, each answer kept before the next command starts.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use super::PipelineError;
use super::definition::{Definition, PhaseDefinition};
use super::keeper::{Claim, Order, Try};
use crate::service::dora::{RUN_ID, record_anyway};
use atalaya_domain::backoff::Backoff;
use atalaya_domain::delivery::PhaseRecord;
use atalaya_domain::pipeline::{Answer, Ended, Next, Run, RunState, answer};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::{KeptRun, MetricsStore};

/// How often a command is looked at that somebody else started.
const LOOK: Duration = Duration::from_millis(200);
/// Between two tries of a command.
const RETRIES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
/// How long a keeper has to end what it keeps.
const STOPPING: Duration = Duration::from_secs(15);

/// What happens in a run, for who looks on.
#[derive(Debug)]
pub enum Event<'a> {
    Started {
        name: &'a str,
        attempt: u32,
    },
    /// It was started by a process that is gone, and is waited for.
    Awaited {
        name: &'a str,
    },
    /// It failed, and is tried again.
    Failed {
        name: &'a str,
        reason: &'a str,
    },
    Answered {
        name: &'a str,
        answer: &'a Answer,
    },
}

/// Who runs it and for what.
#[derive(Clone, Debug)]
pub struct New<'a> {
    pub definition: &'a Definition,
    /// The text that the definition was read from.
    pub text: &'a str,
    /// In which the file lies.
    pub directory: &'a Path,
    pub feature: &'a str,
    /// [default: the run's id].
    pub cycle: Option<&'a str>,
    pub request_id: &'a str,
}

/// Writes down a new run.
///
/// # Errors
/// Those of the store.
pub async fn begin(store: &dyn MetricsStore, new: New<'_>) -> Result<KeptRun, PipelineError> {
    let now = Timestamp::now();
    let random: [u8; 3] = rand::random();
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let id = format!("run-{}-{random}", now.to_utc().format("%Y%m%d-%H%M%S"));
    let run = Run {
        pipeline: new.definition.name.clone(),
        feature_id: new.feature.to_owned(),
        cycle_id: new.cycle.unwrap_or(&id).to_owned(),
        request_id: new.request_id.to_owned(),
        state: RunState::Running,
        host: crate::service::health::host_name(),
        started_at: now,
        updated_at: now,
        definition: new.text.to_owned(),
        directory: new.directory.display().to_string(),
        steps: new.definition.steps(),
        id,
    };
    Ok(store.add_run(&run).await?)
}

/// Carries runs on, on this host.
pub struct Runner<'a> {
    store: &'a dyn MetricsStore,
    /// A folder for each run.
    folder: PathBuf,
    stop: CancellationToken,
}

impl<'a> Runner<'a> {
    pub fn new(store: &'a dyn MetricsStore, data_dir: &Path, stop: CancellationToken) -> Self {
        Self {
            store,
            folder: data_dir.join("pipelines"),
            stop,
        }
    }

    /// Carries a run on until it is over, waits for a person, or the runner is stopped (its state is
    /// [`RunState::Running`] then).
    ///
    /// # Errors
    /// Another process works on it, it runs on another host, or disk or store fail; it can be carried
    /// on later.
    pub async fn drive(
        &self,
        mut kept: KeptRun,
        mut on: impl FnMut(Event<'_>) + Send,
    ) -> Result<Run, PipelineError> {
        let host = crate::service::health::host_name();
        if kept.run.host != host {
            let why = format!("runs on {}; resume it there", kept.run.host);
            return Err(PipelineError::NotNow {
                id: kept.run.id,
                why,
            });
        }
        let place = format!("the pipeline of run {}", kept.run.id);
        let definition = Definition::parse(&kept.run.definition, &place, &kept.run.pipeline)?;
        let _lock = self.lock(&kept.run.id).await?;
        // Whoever had it may have gone further since it was read.
        kept = super::find(self.store, &kept.run.id).await?;
        loop {
            if self.record(&definition, &mut kept).await? {
                continue;
            }
            let next = match kept.run.next() {
                Next::Start(_) if self.stop.is_cancelled() => return Ok(kept.run),
                Next::Start(place) => place,
                Next::Person(_) | Next::End(_) => {
                    let state = kept.run.derived_state();
                    if kept.run.state == state {
                        return Ok(kept.run);
                    }
                    kept.run.state = state;
                    self.change(&mut kept).await?;
                    continue;
                }
            };
            let phase = definition
                .phases
                .get(next)
                .ok_or_else(|| PipelineError::Wrong {
                    place: place.clone(),
                    reason: "it has fewer phases than the run".to_owned(),
                })?;
            self.step(&mut kept, next, phase, &mut on).await?;
        }
    }

    async fn lock(&self, id: &str) -> Result<File, PipelineError> {
        let folder = self.folder.join(id);
        blocking(&folder.clone(), move || {
            std::fs::create_dir_all(&folder)?;
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join("run.lock"))?;
            let free = file.try_lock().is_ok();
            Ok(free.then_some(file))
        })
        .await?
        .ok_or_else(|| PipelineError::Busy(id.to_owned()))
    }

    /// Keeps the change, or takes what somebody else made of the run meanwhile.
    async fn change(&self, kept: &mut KeptRun) -> Result<bool, PipelineError> {
        kept.run.updated_at = Timestamp::now();
        if let Some(changed) = self.store.change_run(kept).await? {
            *kept = changed;
            return Ok(true);
        }
        *kept = super::find(self.store, &kept.run.id).await?;
        Ok(false)
    }

    /// Records an answer that is not recorded yet as a phase; false: there is none.
    async fn record(
        &self,
        definition: &Definition,
        kept: &mut KeptRun,
    ) -> Result<bool, PipelineError> {
        let run = &kept.run;
        let unrecorded = run.steps.iter().enumerate().find_map(|(place, step)| {
            let answer = step.answer.as_ref().filter(|_| !step.recorded)?;
            Some((place, phase_of(run, place, answer, definition)))
        });
        let Some((place, phase)) = unrecorded else {
            return Ok(false);
        };
        // The run's id in it makes recording it twice recording it once.
        record_anyway(self.store, phase, "pipeline").await?;
        kept.run.steps[place].recorded = true;
        self.change(kept).await?;
        Ok(true)
    }

    /// Brings the step to its answer, or as far as the runner may go.
    async fn step(
        &self,
        kept: &mut KeptRun,
        place: usize,
        phase: &PhaseDefinition,
        on: &mut (impl FnMut(Event<'_>) + Send),
    ) -> Result<(), PipelineError> {
        let name = phase.name.as_str();
        let earlier = if kept.run.steps[place].attempts > 0 {
            self.earlier(&kept.run, place, on).await?
        } else {
            Earlier::Nothing
        };
        let mut ended = match earlier {
            Earlier::Ended(ended) => ended,
            Earlier::Stopped => return Ok(()),
            Earlier::Nothing => match self.start(kept, place, phase, on).await? {
                Some(ended) => ended,
                None => return Ok(()),
            },
        };
        let answer = loop {
            let failure = match answer(phase.phase, &ended, phase.min_confidence) {
                Ok(answer) => break answer,
                Err(failure) => *failure,
            };
            let failures = kept.run.steps[place].failures;
            if failures >= phase.retries {
                break failure.1;
            }
            let reason = &failure.0;
            on(Event::Failed { name, reason });
            tokio::select! {
                () = tokio::time::sleep(RETRIES.after(failures)) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
            // Kept together with the next try: else it would count twice.
            kept.run.steps[place].failures += 1;
            match self.start(kept, place, phase, on).await? {
                Some(next) => ended = next,
                None => return Ok(()),
            }
        };
        kept.run.steps[place].answer = Some(answer.clone());
        if self.change(kept).await? {
            let answer = &answer;
            on(Event::Answered { name, answer });
        }
        Ok(())
    }

    fn attempt(&self, run: &Run, place: usize) -> Try {
        let attempts = run.steps[place].attempts;
        let folder = self.folder.join(&run.id);
        Try::new(folder.join(format!("{place:03}-{attempts}")))
    }

    /// What became of the last try of a step, which another process began.
    async fn earlier(
        &self,
        run: &Run,
        place: usize,
        on: &mut (impl FnMut(Event<'_>) + Send),
    ) -> Result<Earlier, PipelineError> {
        let attempt = self.attempt(run, place);
        let mut is_told = false;
        loop {
            match self.claim(&attempt).await? {
                Claim::Ended(ended) => return Ok(Earlier::Ended(ended)),
                Claim::Revoked => return Ok(Earlier::Nothing),
                Claim::Kept => {}
            }
            if !is_told {
                let name = &run.steps[place].name;
                on(Event::Awaited { name });
                is_told = true;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.stop.cancelled() => return Ok(Earlier::Stopped),
            }
        }
    }

    async fn claim(&self, attempt: &Try) -> Result<Claim, PipelineError> {
        let attempt = attempt.clone();
        blocking(&self.folder, move || attempt.claim()).await
    }

    /// Starts the next try and waits for its end. `None`: the runner was stopped, or somebody else
    /// changed the run meanwhile.
    async fn start(
        &self,
        kept: &mut KeptRun,
        place: usize,
        phase: &PhaseDefinition,
        on: &mut (impl FnMut(Event<'_>) + Send),
    ) -> Result<Option<Ended>, PipelineError> {
        let step = &mut kept.run.steps[place];
        step.attempts += 1;
        step.started_at = Some(Timestamp::now());
        if !self.change(kept).await? {
            return Ok(None);
        }
        let attempt = self.attempt(&kept.run, place);
        let order = order_of(&kept.run, place, phase);
        let ordered = attempt.clone();
        let child = blocking(&self.folder, move || {
            ordered.order(&order)?;
            ordered.start()
        });
        let mut child = child.await?;
        on(Event::Started {
            name: &phase.name,
            attempt: kept.run.steps[place].attempts,
        });
        tokio::select! {
            _ = child.wait() => {}
            () = self.stop.cancelled() => {
                stop(&mut child).await;
                return Ok(None);
            }
        }
        Ok(Some(match self.claim(&attempt).await? {
            Claim::Ended(ended) => ended,
            Claim::Kept | Claim::Revoked => Ended {
                exit_code: None,
                problem: Some("the process that kept it was ended".to_owned()),
                last_line: String::new(),
                output: String::new(),
                finished_at: Timestamp::now(),
                duration_ms: 0,
            },
        }))
    }
}

/// What became of a try that another process began.
enum Earlier {
    Ended(Ended),
    /// It has no answer and gets none.
    Nothing,
    /// The runner was stopped while it waited.
    Stopped,
}

/// Asks the keeper to end its command, and waits until it has.
async fn stop(child: &mut Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::TERM);
    }
    let _ = tokio::time::timeout(STOPPING, child.wait()).await;
}

fn order_of(run: &Run, place: usize, phase: &PhaseDefinition) -> Order {
    let directory = Path::new(&run.directory);
    let mut env: BTreeMap<String, String> = [
        ("ATALAYA_REQUEST_ID", &run.request_id),
        ("REQUEST_ID", &run.request_id),
        ("ATALAYA_FEATURE", &run.feature_id),
        ("ATALAYA_CYCLE", &run.cycle_id),
        ("ATALAYA_PIPELINE_RUN", &run.id),
        ("ATALAYA_PHASE", &phase.name),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.replace('\0', "")))
    .collect();
    env.extend(phase.env.clone());
    Order {
        command: phase.command.clone(),
        directory: phase
            .directory
            .as_ref()
            .map_or_else(|| directory.to_owned(), |below| directory.join(below)),
        env,
        limit_ms: u64::try_from(phase.limit().as_millis()).unwrap_or(u64::MAX),
        context: format!("{}\n", context_of(run, place)),
    }
}

/// What a command reads on its standard input.
fn context_of(run: &Run, place: usize) -> Value {
    let results = run.steps[..place].iter().filter_map(|step| {
        let answer = step.answer.as_ref()?;
        Some(json!({
            "name": step.name,
            "phase": step.phase.name(),
            "decision": answer.decision.name(),
            "confidence": answer.confidence,
            "metadata": answer.metadata,
            "duration_seconds": answer.duration_ms as f64 / 1_000.0,
            "approved_by": step.verdict.as_ref().map(|verdict| &verdict.by),
        }))
    });
    let step = &run.steps[place];
    json!({
        "run_id": run.id,
        "pipeline": run.pipeline,
        "feature_id": run.feature_id,
        "cycle_id": run.cycle_id,
        "request_id": run.request_id,
        "phase": step.phase.name(),
        "name": step.name,
        "attempt": step.attempts,
        "results": results.collect::<Vec<_>>(),
    })
}

/// The answer as a phase of the cycle. What the pipeline knows stands over what the command says.
fn phase_of(run: &Run, place: usize, answer: &Answer, definition: &Definition) -> PhaseRecord {
    let step = &run.steps[place];
    let mut metadata = answer.metadata.clone();
    let known = [
        ("service", definition.service.as_deref()),
        ("team", definition.team.as_deref()),
        ("environment", definition.environment.as_deref()),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            metadata
                .entry(name.to_owned())
                .or_insert_with(|| value.into());
        }
    }
    let own = [
        (RUN_ID, json!(format!("{}/{}", run.id, step.name))),
        ("request_id", json!(run.request_id)),
        ("pipeline", json!(run.pipeline)),
        ("attempts", json!(step.attempts)),
        ("exit_code", json!(answer.exit_code)),
        ("confidence", json!(answer.confidence)),
        ("problem", json!(answer.problem)),
    ];
    let own = own.into_iter().filter(|(_, value)| !value.is_null());
    metadata.extend(own.map(|(name, value)| (name.to_owned(), value)));
    PhaseRecord {
        cycle_id: run.cycle_id.clone(),
        feature_id: run.feature_id.clone(),
        phase: step.phase,
        attempt: 0,
        decision: answer.decision,
        duration: Duration::from_millis(answer.duration_ms),
        recorded_at: answer.finished_at,
        metadata,
    }
}

async fn blocking<T: Send + 'static>(
    place: &Path,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, PipelineError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(std::io::Error::other)
        .and_then(|result| result)
        .map_err(PipelineError::disk(place))
}
