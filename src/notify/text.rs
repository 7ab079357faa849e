//! A message in words, for channels that people read. Everything in it that came from outside has
//! gone through [`Shown`]; each channel then escapes it in its own way.

use crate::shown::Shown;
use atalaya_domain::alert::{Message, Notice, show_labels, show_number};

/// Changes that are spelt out; the others are counted.
const SPELT_OUT: usize = 15;
/// Longest line, in characters.
const LINE: usize = 300;
/// Request ids that are named.
const REQUESTS: usize = 5;

/// One change: its own line, and what belongs to it.
pub(super) struct Part {
    pub line: String,
    pub details: Vec<String>,
}

pub(super) fn parts(message: &Message) -> Vec<Part> {
    if let Some(note) = &message.note {
        return vec![Part {
            line: title(message),
            details: note.text.lines().map(safe).collect(),
        }];
    }
    message.notices.iter().take(SPELT_OUT).map(part).collect()
}

/// How many changes are not spelt out, in words; `None` when all are.
pub(super) fn rest(message: &Message) -> Option<String> {
    let shown = message.notices.len().min(SPELT_OUT) as u64;
    let left = message.count.saturating_sub(shown);
    (left > 0).then(|| format!("and {left} more: atalaya alerts list"))
}

pub(super) fn title(message: &Message) -> String {
    safe(&message.title())
}

fn part(notice: &Notice) -> Part {
    let mut details = Vec::new();
    if let (Some(worst), true) = (notice.worst, notice.worst != notice.value) {
        details.push(format!("worst: {}", show_number(worst)));
    }
    if !notice.todo.is_empty() && notice.kind != atalaya_domain::alert::NoticeKind::Resolved {
        details.push(safe(&format!("what to do: {}", notice.todo)));
    }
    if !notice.labels.is_empty() {
        details.push(safe(&format!("labels: {}", show_labels(&notice.labels))));
    }
    let evidence = &notice.evidence;
    if let Some(deployment) = &evidence.deployment {
        details.push(safe(&format!(
            "last deployment: {} of {}, {} min before",
            deployment.id,
            deployment.service,
            deployment.seconds_before / 60
        )));
    }
    if !evidence.request_ids.is_empty() {
        let ids: Vec<&str> = evidence
            .request_ids
            .iter()
            .take(REQUESTS)
            .map(atalaya_domain::record::RequestId::as_str)
            .collect();
        details.push(safe(&format!("requests: {}", ids.join(", "))));
    }
    for record in &evidence.records {
        details.push(safe(&format!(
            "{} {} {}: {}",
            record.at, record.level, record.source, record.message
        )));
    }
    Part {
        line: safe(&notice.line()),
        details,
    }
}

fn safe(text: &str) -> String {
    Shown::line(text).as_str().chars().take(LINE).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use atalaya_domain::alert::message::{NoticeEvidence, Tally};
    use atalaya_domain::alert::{Comparison, EvidenceRecord, NoticeKind, Severity};
    use atalaya_domain::record::RequestId;
    use atalaya_domain::time::Timestamp;

    /// One alert of which everything that comes from outside says this.
    pub fn message_saying(said: &str) -> Message {
        let now = Timestamp::from_seconds(1_800_000_000);
        let record = EvidenceRecord {
            id: "1-1".to_owned(),
            at: now,
            level: "ERROR".to_owned(),
            source: said.to_owned(),
            host: said.to_owned(),
            request_id: Some(RequestId::new(said)),
            message: said.to_owned(),
        };
        let notice = Notice {
            key: "abc-1".to_owned(),
            kind: NoticeKind::Firing,
            at: now,
            alert: "abc".to_owned(),
            rule: "errors".to_owned(),
            severity: Severity::Critical,
            measure: format!("records `{said}` in 5 min"),
            when: Comparison::AtLeast,
            threshold: 10.0,
            value: Some(12.0),
            worst: Some(14.0),
            firing_since: Some(now),
            todo: said.to_owned(),
            labels: std::collections::BTreeMap::from([(said.to_owned(), said.to_owned())]),
            evidence: NoticeEvidence {
                query: Some(said.to_owned()),
                request_ids: vec![RequestId::new(said)],
                records: vec![record.clone(), record],
                deployment: None,
            },
        };
        let tally = Tally {
            count: 1,
            resolved: 0,
        };
        Message::group("ops", "m-1".to_owned(), vec![notice], tally, now)
    }

    #[test]
    fn what_is_not_spelt_out_is_counted() {
        let mut message = message_saying("x");
        assert_eq!(rest(&message), None);
        message.count = 10_000;
        assert_eq!(
            rest(&message).as_deref(),
            Some("and 9999 more: atalaya alerts list")
        );
        assert!(
            title(&message).contains("10000 changes"),
            "{}",
            title(&message)
        );
    }
}
