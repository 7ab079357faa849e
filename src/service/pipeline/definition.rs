//! The file of a pipeline.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PipelineError;
use crate::text_file;
use atalaya_domain::delivery::Phase;
use atalaya_domain::length::Length;
use atalaya_domain::pipeline::Step;

const MOST_BYTES: u64 = 256 << 10;
const MOST_PHASES: usize = 100;
const MOST_RETRIES: u32 = 20;
const NAME_BYTES: usize = 100;
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
const DEFAULT_LIMIT: Duration = Duration::from_secs(3_600);

/// A pipeline as its file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What runs are called [default: the file's name].
    #[serde(default)]
    pub name: String,
    /// What is being worked on, unless the command line says.
    #[serde(default)]
    pub feature: Option<String>,
    #[serde(default)]
    pub service: Option<String>,
    #[serde(default)]
    pub team: Option<String>,
    #[serde(default)]
    pub environment: Option<String>,
    #[serde(rename = "phase", default)]
    pub phases: Vec<PhaseDefinition>,
}

/// One phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseDefinition {
    /// planning, feasibility, design, implementation, testing, deployment, maintenance, recovery.
    pub phase: Phase,
    /// Unique [default: the phase].
    #[serde(default)]
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// After so long the command is ended [default: 1h].
    #[serde(default)]
    pub timeout: Option<Length>,
    /// How often a command that fails without an answer of its own is started again [default: 0].
    #[serde(default)]
    pub retries: u32,
    /// Where the command runs, from the directory of the file [default: there].
    #[serde(default)]
    pub directory: Option<String>,
    /// Added to the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What passes with less confidence waits for a person.
    #[serde(default)]
    pub min_confidence: Option<f64>,
}

impl PhaseDefinition {
    pub fn limit(&self) -> Duration {
        self.timeout.map_or(DEFAULT_LIMIT, |limit| limit.0)
    }
}

impl Definition {
    /// Reads and checks a file; gives its text too.
    ///
    /// # Errors
    /// [`PipelineError::Wrong`] with the place.
    pub fn read(file: &Path) -> Result<(Self, String), PipelineError> {
        let place = file.display().to_string();
        let text = text_file::read(file, MOST_BYTES).map_err(|error| PipelineError::Wrong {
            place: place.clone(),
            reason: error.to_string(),
        })?;
        let stem = file.file_stem().map(|stem| stem.to_string_lossy());
        let definition = Self::parse(&text, &place, stem.as_deref().unwrap_or("pipeline"))?;
        Ok((definition, text))
    }

    /// Checks a text; `name` is taken where it has none.
    ///
    /// # Errors
    /// [`PipelineError::Wrong`] with the place.
    pub fn parse(text: &str, place: &str, name: &str) -> Result<Self, PipelineError> {
        let wrong = |reason: String| PipelineError::Wrong {
            place: place.to_owned(),
            reason,
        };
        let mut read: Self =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        if read.name.trim().is_empty() {
            name.clone_into(&mut read.name);
        }
        for phase in &mut read.phases {
            if phase.name.trim().is_empty() {
                phase.phase.name().clone_into(&mut phase.name);
            }
        }
        read.check().map_err(wrong)?;
        Ok(read)
    }

    fn check(&self) -> Result<(), String> {
        if self.phases.is_empty() {
            return Err(
                "it has no phase; write a `[[phase]]` with `phase` and `command`".to_owned(),
            );
        }
        if self.phases.len() > MOST_PHASES {
            return Err(format!("more than {MOST_PHASES} phases"));
        }
        if self.name.len() > NAME_BYTES || self.name.chars().any(char::is_control) {
            return Err(format!(
                "`name` is longer than {NAME_BYTES} bytes, or not one line"
            ));
        }
        let mut names = BTreeSet::new();
        for phase in &self.phases {
            let name = &phase.name;
            phase
                .check()
                .map_err(|reason| format!("phase `{name}`: {reason}"))?;
            if !names.insert(name) {
                return Err(format!(
                    "two phases are called `{name}`; give each a `name` of its own"
                ));
            }
        }
        Ok(())
    }

    pub fn steps(&self) -> Vec<Step> {
        self.phases
            .iter()
            .map(|phase| Step::new(phase.name.clone(), phase.phase))
            .collect()
    }
}

impl PhaseDefinition {
    fn check(&self) -> Result<(), String> {
        if self.name.len() > NAME_BYTES || self.name.chars().any(char::is_control) {
            return Err(format!(
                "`name` is longer than {NAME_BYTES} bytes, or not one line"
            ));
        }
        if self.command.first().is_none_or(String::is_empty) {
            return Err(
                "`command` is empty; name a program, as in [\"cargo\", \"test\"]".to_owned(),
            );
        }
        if self.command.iter().any(|part| part.contains('\0')) {
            return Err("`command` holds a zero byte".to_owned());
        }
        let limit = self.limit();
        if limit.is_zero() || limit > LONGEST {
            return Err("`timeout` is not from 1s to 7d".to_owned());
        }
        if self.retries > MOST_RETRIES {
            return Err(format!("`retries` is more than {MOST_RETRIES}"));
        }
        if let Some(least) = self.min_confidence
            && !(0.0..=1.0).contains(&least)
        {
            return Err("`min_confidence` is not from 0 to 1".to_owned());
        }
        let odd = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
        if let Some(name) = self.env.keys().find(odd) {
            return Err(format!("`env` has a name that is none: `{name}`"));
        }
        if self.env.values().any(|value| value.contains('\0')) {
            return Err("`env` holds a zero byte".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn parse(text: &str) -> Result<Definition, String> {
        Definition::parse(text, "x.toml", "x").map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let read = parse("[[phase]]\nphase = 'testing'\ncommand = ['true']\n").unwrap();
        assert_eq!(
            (read.name.as_str(), read.phases[0].name.as_str()),
            ("x", "testing")
        );
        assert_eq!(read.phases[0].limit(), DEFAULT_LIMIT);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, reason) in [
            ("", "no phase"),
            (
                "[[phase]]\nphase = 'tasting'\ncommand = ['true']",
                "tasting",
            ),
            (
                "[[phase]]\nphase = 'testing'\ncommand = []",
                "`command` is empty",
            ),
            ("[[phase]]\nphase = 'testing'", "command"),
            (
                "[[phase]]\nphase = 'testing'\ncommand = ['x']\ntimeout = '0s'",
                "timeout",
            ),
            (
                "[[phase]]\nphase = 'testing'\ncommand = ['x']\ntimeout = 'soon'",
                "soon",
            ),
            (
                "[[phase]]\nphase = 'testing'\ncommand = ['x']\nretrys = 1",
                "retrys",
            ),
            (
                "[[phase]]\nphase = 'testing'\ncommand = ['x']\nretries = 21",
                "retries",
            ),
            (
                "[[phase]]\nphase = 'testing'\ncommand = ['x']\nmin_confidence = nan",
                "min_confidence",
            ),
            (
                "[[phase]]\nphase = 'testing'\ncommand = ['x']\n[[phase]]\nphase = 'testing'\ncommand = ['y']",
                "two phases",
            ),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(
                wrong.starts_with("x.toml: ") && wrong.contains(reason),
                "{wrong}"
            );
        }
    }
}
