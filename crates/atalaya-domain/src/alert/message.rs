//! Changes of state as people read them: one notice for each, many notices in one message.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rule::Comparison;
use super::{Alert, EvidenceDeployment, EvidenceRecord, NoticeKind, Severity, show_number};
use crate::record::RequestId;
use crate::time::Timestamp;

/// Notices that one message spells out; of the others it gives the number.
pub const LISTED: usize = 200;
/// Records of the evidence that a notice repeats; the alert has them all.
const NOTICE_RECORDS: usize = 3;

/// One change of state, as it was at that moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Alert and number: the same change has the same key, whoever tells it.
    pub key: String,
    pub kind: NoticeKind,
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    pub alert: String,
    pub rule: String,
    pub severity: Severity,
    pub measure: String,
    pub when: Comparison,
    pub threshold: f64,
    pub value: Option<f64>,
    pub worst: Option<f64>,
    #[serde(default, with = "crate::time::rfc3339::option")]
    pub firing_since: Option<Timestamp>,
    pub todo: String,
    /// Those of the rule, for whoever sorts messages.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub evidence: NoticeEvidence,
}

/// What a notice repeats of the evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoticeEvidence {
    pub query: Option<String>,
    pub records: Vec<EvidenceRecord>,
    pub request_ids: Vec<RequestId>,
    pub deployment: Option<EvidenceDeployment>,
}

impl Notice {
    /// Of an alert that [`tell`](super::tell) has just decided about.
    pub fn of(alert: &Alert, kind: NoticeKind, now: Timestamp) -> Self {
        let rule = &alert.rule;
        let mut evidence = NoticeEvidence {
            query: rule.query.clone(),
            ..NoticeEvidence::default()
        };
        if let Some(known) = alert
            .evidence
            .as_ref()
            .filter(|_| kind != NoticeKind::Resolved)
        {
            evidence.records = known.records.iter().take(NOTICE_RECORDS).cloned().collect();
            evidence.request_ids.clone_from(&known.request_ids);
            evidence.deployment.clone_from(&known.deployment);
        }
        Self {
            key: format!("{}-{}", alert.id, alert.told),
            kind,
            at: now,
            alert: alert.id.clone(),
            rule: rule.name.clone(),
            severity: rule.severity,
            measure: rule.measure.clone(),
            when: rule.when,
            threshold: rule.threshold,
            value: alert.value,
            worst: alert.worst,
            firing_since: alert.firing_since,
            todo: rule.todo.clone(),
            labels: rule.labels.clone(),
            evidence,
        }
    }

    /// `[critical] firing: shop-errors: 12 (records `level>=error` in 5 min >= 10)`.
    pub fn line(&self) -> String {
        let value = self
            .value
            .map_or_else(|| "no value".to_owned(), show_number);
        format!(
            "[{}] {}: {}: {value} ({} {} {})",
            self.severity,
            self.kind.name(),
            self.rule,
            self.measure,
            self.when.sign(),
            show_number(self.threshold)
        )
    }
}

/// What a channel is sent at once. It never changes once it was made: each try is the same message
/// with the same key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// For the receiver, to know a repetition by.
    pub key: String,
    pub channel: String,
    #[serde(with = "crate::time::rfc3339")]
    pub created_at: Timestamp,
    /// Changes that it tells of, also those that are not listed.
    pub count: u64,
    /// Of the listed ones and the others: how many are told for the first time, or again, as firing.
    pub firing: u64,
    pub resolved: u64,
    /// At most [`LISTED`]: the worst first, then in the order in which they came.
    pub notices: Vec<Notice>,
    /// Words that are no change of an alert; then there are no notices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

/// What the program itself has to say: a report, a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// Lines; of more than [`NOTE_CHARACTERS`] the rest is left out.
    pub text: String,
}

/// Longest text of a note in a message.
pub const NOTE_CHARACTERS: usize = 20_000;

/// How many of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub resolved: u64,
}

impl Message {
    /// Of the notices that are listed, and the tally of all.
    pub fn group(
        channel: &str,
        key: String,
        notices: Vec<Notice>,
        tally: Tally,
        now: Timestamp,
    ) -> Self {
        let mut notices = notices;
        notices.sort_by_key(|notice| std::cmp::Reverse(notice.severity));
        notices.truncate(LISTED);
        Self {
            key,
            channel: channel.to_owned(),
            created_at: now,
            count: tally.count,
            firing: tally.count.saturating_sub(tally.resolved),
            resolved: tally.resolved,
            notices,
            note: None,
        }
    }

    /// Of words of the program's own.
    pub fn of_note(channel: &str, key: String, mut note: Note, now: Timestamp) -> Self {
        if let Some((end, _)) = note.text.char_indices().nth(NOTE_CHARACTERS) {
            note.text.truncate(end);
            note.text.push_str("\n…");
        }
        Self {
            note: Some(note),
            ..Self::group(channel, key, Vec::new(), Tally::default(), now)
        }
    }

    /// Changes that are only counted.
    pub fn omitted(&self) -> u64 {
        self.count.saturating_sub(self.notices.len() as u64)
    }

    pub fn severity(&self) -> Severity {
        if let Some(note) = &self.note {
            return note.severity;
        }
        let worst = self.notices.iter().map(|notice| notice.severity).max();
        worst.unwrap_or_default()
    }

    /// One line over it all.
    pub fn title(&self) -> String {
        if let Some(note) = &self.note {
            return format!("[{}] {}", note.severity, note.title);
        }
        match &*self.notices {
            [only] if self.count == 1 => only.line(),
            _ => format!(
                "[{}] {} changes: {} firing, {} resolved",
                self.severity(),
                self.count,
                self.firing,
                self.resolved
            ),
        }
    }
}
