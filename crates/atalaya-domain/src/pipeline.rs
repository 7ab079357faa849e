//! Runs of pipelines: phases of a cycle that are configured commands, with gates and people in them.
//! What comes next is decided here, purely; commands, stores and people are elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::delivery::{Decision, Phase};
use super::time::Timestamp;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Somebody works on it, or was killed while doing so: it can be resumed.
    Running,
    /// A person has to approve or to reject.
    Waiting,
    /// A phase said no-go or blocked, or a person rejected.
    Stopped,
    /// A phase failed.
    Failed,
    Succeeded,
}

impl RunState {
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::Waiting,
        Self::Stopped,
        Self::Failed,
        Self::Succeeded,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Succeeded => "succeeded",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == word)
    }

    /// Nothing comes after it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed | Self::Succeeded)
    }
}

/// What a command answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub decision: Decision,
    /// From 0 to 1, as the command said.
    pub confidence: Option<f64>,
    pub metadata: BTreeMap<String, Value>,
    /// `None`: a signal or its time limit ended it, or it could not be run.
    pub exit_code: Option<u8>,
    /// Why it is a failure that the command did not speak of itself.
    pub problem: Option<String>,
    pub finished_at: Timestamp,
    pub duration_ms: u64,
    /// The end of what it printed.
    pub output: String,
}

/// What a person said to a phase that wanted one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub approved: bool,
    pub by: String,
    pub at: Timestamp,
    pub note: Option<String>,
}

/// One phase of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in its pipeline.
    pub name: String,
    pub phase: Phase,
    /// How often its command was started.
    #[serde(default)]
    pub attempts: u32,
    /// How many of these failed without an answer of their own.
    #[serde(default)]
    pub failures: u32,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub answer: Option<Answer>,
    /// Whether the answer stands among the phases of the cycle.
    #[serde(default)]
    pub recorded: bool,
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

impl Step {
    pub const fn new(name: String, phase: Phase) -> Self {
        Self {
            name,
            phase,
            attempts: 0,
            failures: 0,
            started_at: None,
            answer: None,
            recorded: false,
            verdict: None,
        }
    }

    /// A person has to speak, and has not.
    pub fn waits(&self) -> bool {
        self.verdict.is_none() && self.wants_a_person()
    }

    fn wants_a_person(&self) -> bool {
        self.answer
            .as_ref()
            .is_some_and(|answer| matches!(answer.decision, Decision::Review | Decision::Escalate))
    }
}

/// One execution of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: String,
    pub pipeline: String,
    pub feature_id: String,
    pub cycle_id: String,
    pub request_id: String,
    pub state: RunState,
    /// Where its commands run.
    pub host: String,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    /// The pipeline as it was when the run began, and the directory that it lies in.
    pub definition: String,
    pub directory: String,
    pub steps: Vec<Step>,
}

/// What a run needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The command of this step.
    Start(usize),
    /// Somebody who approves or rejects this step.
    Person(usize),
    End(RunState),
}

impl Run {
    /// What comes next, from what was answered and said so far.
    pub fn next(&self) -> Next {
        for (place, step) in self.steps.iter().enumerate() {
            let Some(answer) = &step.answer else {
                return Next::Start(place);
            };
            match (answer.decision, &step.verdict) {
                (Decision::Go | Decision::Success | Decision::Resolved, _) => {}
                (Decision::Review | Decision::Escalate, None) => return Next::Person(place),
                (Decision::Review | Decision::Escalate, Some(verdict)) if verdict.approved => {}
                (Decision::Failed | Decision::RolledBack, _) => return Next::End(RunState::Failed),
                (Decision::Review | Decision::Escalate | Decision::NoGo | Decision::Blocked, _) => {
                    let failed = answer.problem.is_some();
                    return Next::End(if failed {
                        RunState::Failed
                    } else {
                        RunState::Stopped
                    });
                }
            }
        }
        Next::End(RunState::Succeeded)
    }

    /// The state that follows from the steps.
    pub fn derived_state(&self) -> RunState {
        match self.next() {
            Next::Start(_) => RunState::Running,
            Next::Person(_) => RunState::Waiting,
            Next::End(state) => state,
        }
    }

    /// A run in which anything is still to be done or to be recorded.
    pub fn is_resumable(&self) -> bool {
        matches!(self.next(), Next::Start(_))
            || self
                .steps
                .iter()
                .any(|step| step.answer.is_some() && !step.recorded)
            || self.state != self.derived_state()
    }
}

/// How a command ended, before anybody understood what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// `None`: a signal ended it, or it never ran.
    pub exit_code: Option<u8>,
    /// What was wrong beside the exit code: its time limit, a signal, that it is not there.
    pub problem: Option<String>,
    /// The last line on its standard output that is not blank.
    pub last_line: String,
    pub output: String,
    pub finished_at: Timestamp,
    pub duration_ms: u64,
}

impl Ended {
    pub const fn duration(&self) -> Duration {
        Duration::from_millis(self.duration_ms)
    }
}

/// What is in a last line that is an answer.
struct Said {
    decision: Decision,
    confidence: Option<f64>,
    metadata: BTreeMap<String, Value>,
}

/// The answer of a command. `Err` with the reason is no answer: the command may be tried again, and
/// the answer of the last try is what is given beside.
///
/// A last line that is a JSON object with `decision` counts before the exit code, unless it says that
/// all is well and the exit code says that it is not.
pub fn answer(
    phase: Phase,
    ended: &Ended,
    least_confidence: Option<f64>,
) -> Result<Answer, Box<(String, Answer)>> {
    let ok = ended.exit_code == Some(0) && ended.problem.is_none();
    let fail = |problem: String| {
        let answer = Answer {
            decision: Decision::of_ending(phase, false),
            confidence: None,
            metadata: BTreeMap::new(),
            exit_code: ended.exit_code,
            problem: Some(problem.clone()),
            finished_at: ended.finished_at,
            duration_ms: ended.duration_ms,
            output: ended.output.clone(),
        };
        Err(Box::new((problem, answer)))
    };
    if let Some(problem) = &ended.problem {
        return fail(problem.clone());
    }
    let code = ended
        .exit_code
        .map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
    let said = match said(&ended.last_line) {
        Err(wrong) => return fail(format!("it answered what is no answer: {wrong}")),
        Ok(Some(said)) if said.decision.passed() && !ok => {
            return fail(format!(
                "it said {} and ended with {code}",
                said.decision.name()
            ));
        }
        Ok(None) if !ok => return fail(format!("it ended with {code}")),
        Ok(said) => said,
    };
    let said = said.unwrap_or_else(|| Said {
        decision: Decision::Go,
        confidence: None,
        metadata: BTreeMap::new(),
    });
    let unsure = said
        .confidence
        .zip(least_confidence)
        .is_some_and(|(confidence, least)| confidence < least);
    let decision = match said.decision {
        decision if decision.passed() && unsure => Decision::Review,
        decision if decision.passed() => Decision::of_ending(phase, true),
        decision => decision,
    };
    Ok(Answer {
        decision,
        confidence: said.confidence,
        metadata: said.metadata,
        exit_code: ended.exit_code,
        problem: None,
        finished_at: ended.finished_at,
        duration_ms: ended.duration_ms,
        output: ended.output.clone(),
    })
}

/// `None`: the line is no answer but something that the command printed.
fn said(line: &str) -> Result<Option<Said>, String> {
    let Ok(Value::Object(mut object)) = serde_json::from_str::<Value>(line.trim()) else {
        return Ok(None);
    };
    let Some(decision) = object.remove("decision") else {
        return Ok(None);
    };
    let known = decision.as_str().and_then(Decision::from_word);
    let Some(decision) = known else {
        return Err(format!(
            "decision {decision} is none of go, no-go, review, blocked, escalate"
        ));
    };
    let confidence = match object.remove("confidence") {
        None | Some(Value::Null) => None,
        Some(value) => match value.as_f64() {
            Some(number) if (0.0..=1.0).contains(&number) => Some(number),
            _ => return Err(format!("confidence {value} is no number from 0 to 1")),
        },
    };
    // What stands beside these is kept as it is: recommendations, risks, artifacts.
    let mut metadata: BTreeMap<String, Value> = match object.remove("metadata") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(metadata)) => metadata.into_iter().collect(),
        Some(other) => return Err(format!("metadata {other} is no object")),
    };
    for (name, value) in object {
        metadata.entry(name).or_insert(value);
    }
    Ok(Some(Said {
        decision,
        confidence,
        metadata,
    }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn ended(exit_code: Option<u8>, last_line: &str) -> Ended {
        Ended {
            exit_code,
            problem: None,
            last_line: last_line.to_owned(),
            output: last_line.to_owned(),
            finished_at: Timestamp::from_seconds(1),
            duration_ms: 5,
        }
    }

    fn decided(phase: Phase, code: u8, line: &str) -> Result<Decision, String> {
        answer(phase, &ended(Some(code), line), Some(0.6))
            .map(|answer| answer.decision)
            .map_err(|failure| failure.0)
    }

    #[test]
    fn an_answer_is_a_last_line_or_an_exit_code() {
        for (phase, code, line, decision) in [
            (Phase::Testing, 0, "", Decision::Go),
            (Phase::Deployment, 0, "42 passed", Decision::Success),
            (
                Phase::Maintenance,
                0,
                "{\"level\":\"info\"}",
                Decision::Resolved,
            ),
            (Phase::Testing, 0, r#"{"decision":"no-go"}"#, Decision::NoGo),
            (Phase::Testing, 1, r#"{"decision":"no-go"}"#, Decision::NoGo),
            (
                Phase::Testing,
                3,
                r#"{"decision":"review"}"#,
                Decision::Review,
            ),
            (
                Phase::Design,
                0,
                r#" {"decision":"ESCALATE"} "#,
                Decision::Escalate,
            ),
            (
                Phase::Design,
                0,
                r#"{"decision":"blocked","confidence":null}"#,
                Decision::Blocked,
            ),
            (
                Phase::Planning,
                0,
                r#"{"decision":"go","confidence":0.59}"#,
                Decision::Review,
            ),
            (
                Phase::Planning,
                0,
                r#"{"decision":"go","confidence":0.6}"#,
                Decision::Go,
            ),
            (
                Phase::Deployment,
                0,
                r#"{"decision":"go","confidence":1}"#,
                Decision::Success,
            ),
        ] {
            assert_eq!(decided(phase, code, line), Ok(decision), "{code} {line}");
        }
        for (code, line, reason) in [
            (1, "", "ended with code 1"),
            (1, r#"{"decision":"go"}"#, "said go and ended with code 1"),
            (0, r#"{"decision":"maybe"}"#, "maybe"),
            (0, r#"{"decision":7}"#, "7"),
            (0, r#"{"decision":"go","confidence":1.5}"#, "1.5"),
            (0, r#"{"decision":"go","confidence":"high"}"#, "high"),
            (0, r#"{"decision":"go","metadata":[]}"#, "metadata"),
        ] {
            let wrong = decided(Phase::Testing, code, line).unwrap_err();
            assert!(wrong.contains(reason), "{line}: {wrong}");
        }
    }

    #[test]
    fn what_stands_beside_an_answer_is_kept() {
        let line = r#"{"decision":"go","risks":[1],"metadata":{"story_points":5,"risks":"own"}}"#;
        let answer = answer(Phase::Planning, &ended(Some(0), line), None).unwrap();
        assert_eq!(answer.metadata["story_points"], 5);
        assert_eq!(answer.metadata["risks"], "own");
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let answer = prop::option::weighted(
            0.9,
            (prop::sample::select(&Decision::ALL[..]), any::<bool>()),
        );
        let verdict = prop::option::of(any::<bool>());
        (answer, verdict).prop_map(|(answer, verdict)| Step {
            answer: answer.map(|(decision, problem)| Answer {
                decision,
                confidence: None,
                metadata: BTreeMap::new(),
                exit_code: Some(0),
                problem: problem.then(|| "no".to_owned()),
                finished_at: Timestamp::from_seconds(1),
                duration_ms: 1,
                output: String::new(),
            }),
            verdict: verdict.map(|approved| Verdict {
                approved,
                by: "ana".to_owned(),
                at: Timestamp::from_seconds(2),
                note: None,
            }),
            ..Step::new("x".to_owned(), Phase::Testing)
        })
    }

    proptest! {
        #[test]
        fn no_line_panics_and_only_a_decision_speaks(line in ".{0,40}|\\{\"decision\":.{0,20}\\}", code in 0_u8..3) {
            if let Ok(decision) = decided(Phase::Testing, code, &line) {
                prop_assert!(code == 0 || !decision.passed());
                prop_assert!(decision.passed() || line.contains("decision"));
            }
        }

        /// Nothing runs past a step that did not pass, and a run succeeds only when all did.
        #[test]
        fn what_comes_next_follows_from_what_was_said(steps in prop::collection::vec(any_step(), 0..6)) {
            let run = Run {
                id: "r".to_owned(),
                pipeline: "p".to_owned(),
                feature_id: "f".to_owned(),
                cycle_id: "c".to_owned(),
                request_id: "q".to_owned(),
                state: RunState::Running,
                host: "h".to_owned(),
                started_at: Timestamp::from_seconds(0),
                updated_at: Timestamp::from_seconds(0),
                definition: String::new(),
                directory: String::new(),
                steps,
            };
            let passed = |step: &Step| step.answer.as_ref().is_some_and(|answer| {
                answer.decision.passed()
                    || (step.wants_a_person() && step.verdict.as_ref().is_some_and(|verdict| verdict.approved))
            });
            let first = run.steps.iter().position(|step| !passed(step));
            match run.next() {
                Next::Start(place) => {
                    prop_assert_eq!(Some(place), first);
                    prop_assert!(run.steps[place].answer.is_none());
                }
                Next::Person(place) => {
                    prop_assert_eq!(Some(place), first);
                    prop_assert!(run.steps[place].waits());
                }
                Next::End(state) => {
                    prop_assert_eq!(state == RunState::Succeeded, first.is_none());
                    prop_assert!(state.is_over());
                }
            }
        }
    }
}
