//! Reads `.dora_sdlc_metrics.json`, the file that the older tool's recorder writes.
//!
//! Shape: `{"cycles": [{cycle_id, feature_id, start_time, phases: [{phase, decision, timestamp,
//! duration_seconds, metadata}], …}], "last_updated": …}`. Both of its spellings are read: phases
//! with `duration` instead of `duration_seconds`, and times with an offset or `Z` or, mostly,
//! without: then they are local to a zone that the caller names. Python's `NaN` and `Infinity`, which
//! are no JSON, are read as not given.
//!
//! Nothing is dropped in silence. A word that is not ours is kept in the metadata, an entry that
//! cannot be a phase is named among [`Read::flags`]. Reading a file again gives the same facts.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use std::{fmt, io};

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use serde_json::Value;

use atalaya_domain::delivery::{Decision, Phase, PhaseRecord};
use atalaya_domain::dora::iact::PHASE_WORD;
use atalaya_domain::time::Timestamp;

mod stream;

/// Origin of everything from such a file.
pub const ORIGIN: &str = "sdlc-file";
/// Metadata name under which a decision's own word is kept where it is not ours.
pub const DECISION_WORD: &str = "decision_word";

/// Something that was not as expected, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// `cycles[3].phases[0]`
    pub place: String,
    pub message: String,
}

impl fmt::Display for Flag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

/// Flags that are kept as they are; of a file where everything is odd the rest is counted.
const FLAGS: usize = 200;

/// The first [`FLAGS`] flags and how many more there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub kept: Vec<Flag>,
    pub more: usize,
}

impl Flags {
    pub fn push(&mut self, flag: Flag) {
        if self.kept.len() < FLAGS {
            self.kept.push(flag);
        } else {
            self.more += 1;
        }
    }

    pub fn append(&mut self, other: Self) {
        for flag in other.kept {
            self.push(flag);
        }
        self.more += other.more;
    }
}

/// What a file gave beside its phases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    pub cycles: usize,
    pub flags: Flags,
}

#[derive(Debug, thiserror::Error)]
pub enum SdlcFileError {
    #[error("not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("no `cycles` list at the top; is this the recorder's .dora_sdlc_metrics.json?")]
    NoCycles,
}

/// How to read what the file does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Zone of times without one.
    pub zone: Tz,
    /// Service and team of cycles that name none.
    pub service: Option<String>,
    pub team: Option<String>,
}

/// Whether it is JSON to its end, with a list of cycles.
pub fn check(file: impl io::Read) -> Result<(), SdlcFileError> {
    stream::cycles(file, &mut |_, _| {}).map(|_| ())
}

/// Reads a file, one cycle in memory at a time; `take` gets the phases of each.
///
/// `now` tells what lies in the future.
pub fn read(
    file: impl io::Read,
    reading: &Reading,
    now: Timestamp,
    take: &mut dyn FnMut(Vec<PhaseRecord>),
) -> Result<Read, SdlcFileError> {
    let mut parser = Parser {
        reading,
        now,
        read: Read::default(),
        owners: HashMap::new(),
    };
    let not_numbers = stream::cycles(file, &mut |index, cycle| {
        let phases = parser.cycle(index, &cycle);
        if !phases.is_empty() {
            take(phases);
        }
    })?;
    if not_numbers > 0 {
        parser.flag(
            "the file",
            format!("{not_numbers} values are NaN or Infinity: read as not given"),
        );
    }
    Ok(parser.read)
}

/// Feature and team that a cycle id was seen with.
type Owner = (String, Option<String>);

struct Parser<'r> {
    reading: &'r Reading,
    now: Timestamp,
    read: Read,
    /// Whose each cycle id is: ids have a resolution of one second and collide.
    owners: HashMap<String, Owner>,
}

impl Parser<'_> {
    fn flag(&mut self, place: &str, message: impl Into<String>) {
        self.read.flags.push(Flag {
            place: place.to_owned(),
            message: message.into(),
        });
    }

    /// The phases of a cycle; none of one that has no id.
    fn cycle(&mut self, index: usize, cycle: &Value) -> Vec<PhaseRecord> {
        let place = format!("cycles[{index}]");
        let text = |name: &str| {
            cycle
                .get(name)
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let Some(cycle_id) = text("cycle_id") else {
            self.flag(&place, "left out: it has no cycle_id");
            return Vec::new();
        };
        let feature_id = text("feature_id").unwrap_or(cycle_id).to_owned();
        let mut common: BTreeMap<String, Value> = BTreeMap::new();
        for (name, given) in [
            ("service", &self.reading.service),
            ("team", &self.reading.team),
        ] {
            if let Some(value) = text(name).map(str::to_owned).or_else(|| given.clone()) {
                common.insert(name.to_owned(), value.into());
            }
        }
        let team = common
            .get("team")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let cycle_id = self.own_id(&place, cycle_id, &feature_id, team);
        self.read.cycles += 1;

        let fallback_at = ["end_time", "start_time"]
            .into_iter()
            .find_map(|name| self.time(cycle.get(name)));
        let Some(phases) = cycle.get("phases").and_then(Value::as_array) else {
            self.flag(&place, "it has no phases");
            return Vec::new();
        };
        let mut records = Vec::new();
        for (number, phase) in phases.iter().enumerate() {
            let place = format!("{place}.phases[{number}]");
            if let Some(record) =
                self.phase(&place, phase, &cycle_id, &feature_id, fallback_at, &common)
            {
                records.push(record);
            }
        }
        // Stable, so that phases of one instant keep the order of the file.
        records.sort_by_key(|record| record.recorded_at);
        let mut attempts: HashMap<Phase, u32> = HashMap::new();
        for record in &mut records {
            let attempt = attempts.entry(record.phase).or_default();
            *attempt += 1;
            record.attempt = *attempt;
        }
        records
    }

    /// The cycle's id, or one of its own where another feature or team has it already.
    fn own_id(
        &mut self,
        place: &str,
        cycle_id: &str,
        feature_id: &str,
        team: Option<String>,
    ) -> String {
        let mut id = cycle_id.to_owned();
        let owner = (feature_id.to_owned(), team);
        if let Some((feature, team)) = self.owners.get(&id) {
            let what = if *feature != owner.0 {
                Some(("features", owner.0.as_str()))
            } else if team.is_some() && owner.1.is_some() && *team != owner.1 {
                Some(("teams", owner.1.as_deref().unwrap_or_default()))
            } else {
                None
            };
            if let Some((what, own)) = what {
                let renamed = format!("{id}~{own}");
                self.flag(
                    place,
                    format!("`{id}` is used by two {what}; kept as `{renamed}`"),
                );
                id = renamed;
            }
        }
        self.owners.entry(id.clone()).or_insert(owner);
        id
    }

    fn phase(
        &mut self,
        place: &str,
        phase: &Value,
        cycle_id: &str,
        feature_id: &str,
        fallback_at: Option<Timestamp>,
        common: &BTreeMap<String, Value>,
    ) -> Option<PhaseRecord> {
        let mut metadata = common.clone();
        if let Some(own) = phase.get("metadata").and_then(Value::as_object) {
            metadata.extend(
                own.iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        let Some(word) = ["phase", "phase_name"]
            .into_iter()
            .find_map(|name| phase.get(name)?.as_str())
        else {
            self.flag(place, "left out: it names no phase");
            return None;
        };
        let kind = Phase::from_word(word);
        if kind.is_none_or(|kind| kind.name() != word) {
            metadata.insert(PHASE_WORD.to_owned(), word.into());
        }
        let kind = kind.unwrap_or_else(|| {
            self.flag(
                place,
                format!("unknown phase `{word}`, kept as implementation with its own word"),
            );
            Phase::Implementation // in no formula
        });
        let word = phase
            .get("decision")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let decision = Decision::from_word(word);
        if decision.is_none_or(|decision| decision.name() != word) {
            metadata.insert(DECISION_WORD.to_owned(), word.into());
        }
        let decision = decision.unwrap_or_else(|| {
            self.flag(
                place,
                format!(
                    "unknown decision `{word}`, kept as review (not decided) with its own word"
                ),
            );
            Decision::Review
        });
        let Some(recorded_at) = self.time(phase.get("timestamp")).or_else(|| {
            self.flag(
                place,
                "no readable timestamp: the cycle's own time is taken",
            );
            fallback_at
        }) else {
            self.flag(
                place,
                "left out: neither it nor its cycle has a readable time",
            );
            return None;
        };
        if recorded_at > self.now {
            self.flag(place, "it is dated in the future: in no window yet");
        }
        Some(PhaseRecord {
            cycle_id: cycle_id.to_owned(),
            feature_id: feature_id.to_owned(),
            phase: kind,
            attempt: 1,
            decision,
            duration: self.duration(place, phase),
            recorded_at,
            metadata,
        })
    }

    fn duration(&mut self, place: &str, phase: &Value) -> Duration {
        let seconds = ["duration_seconds", "duration"]
            .into_iter()
            .find_map(|name| number(phase.get(name)?));
        match seconds.map(Duration::try_from_secs_f64) {
            Some(Ok(duration)) => duration,
            Some(Err(_)) => {
                self.flag(place, "its duration is negative or too long: kept as 0 s");
                Duration::ZERO
            }
            None => {
                self.flag(place, "no duration: kept as 0 s");
                Duration::ZERO
            }
        }
    }

    fn time(&self, value: Option<&Value>) -> Option<Timestamp> {
        parse_time(value?.as_str()?, self.reading.zone)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// ISO 8601 with `T` or a blank, with an offset or, without one, local to `zone`.
///
/// An hour that the zone has twice is taken as the earlier one; one that it skips is moved past the
/// gap.
pub fn parse_time(text: &str, zone: Tz) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(Timestamp::from(at));
    }
    let local = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
    ]
    .into_iter()
    .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    zone.from_local_datetime(&local)
        .earliest()
        .or_else(|| {
            zone.from_local_datetime(&(local + TimeDelta::hours(1)))
                .earliest()
        })
        .map(Timestamp::from)
}

#[cfg(test)]
mod tests;
