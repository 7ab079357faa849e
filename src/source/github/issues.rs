//! `GET /repos/{owner}/{repo}/issues`, one element: an issue that says that something broke.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::{GithubError, Instant, read};
use atalaya_domain::delivery::Incident;

#[derive(Deserialize)]
struct Answer {
    number: u64,
    title: String,
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
    created_at: Instant,
    closed_at: Option<Instant>,
    /// Every pull request is an issue too.
    pull_request: Option<Value>,
}

/// As a thing, or by its name alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Thing { name: Option<String> },
    Name(String),
}

impl Label {
    fn name(&self) -> &str {
        match self {
            Self::Thing { name } => name.as_deref().unwrap_or_default(),
            Self::Name(name) => name,
        }
    }
}

/// Reads one issue as an incident of `service`; `None` for a pull request.
///
/// Labels may say more: `service:mail`, `severity-critical`, `sev1`, `P0`. The text may name the
/// commit that broke it (`root cause: c0ffee1`) and the request (`request_id=req-7`).
///
/// # Errors
/// [`GithubError::Shape`] when it is not an issue.
pub fn incident(
    json: &str,
    repository: &str,
    service: &str,
    origin: &str,
) -> Result<Option<Incident>, GithubError> {
    let issue: Answer = read("issue", json)?;
    if issue.pull_request.is_some() {
        return Ok(None);
    }
    let labels = || issue.labels.iter().map(Label::name);
    let body = issue.body.unwrap_or_default();
    Ok(Some(Incident {
        id: format!("{repository}#{}", issue.number),
        title: issue.title,
        service: Some(
            labels()
                .find_map(|label| after(label, &["service"]))
                .unwrap_or(service)
                .to_owned(),
        ),
        severity: labels().find_map(severity),
        opened_at: issue.created_at.into(),
        resolved_at: issue.closed_at.map(Into::into),
        cause: cause(&body),
        caused_by: None,
        request_id: crate::source::git::request_id(&body),
        origin: origin.to_owned(),
    }))
}

/// What follows one of the words and a separator.
fn after<'l>(label: &'l str, words: &[&str]) -> Option<&'l str> {
    let (word, rest) = label.split_once([':', '/', '-', '='])?;
    let rest = rest.trim();
    let is_one = words
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word.trim()));
    (is_one && !rest.is_empty()).then_some(rest)
}

fn severity(label: &str) -> Option<String> {
    let short = label.to_ascii_lowercase();
    let digits = short
        .strip_prefix("sev")
        .or_else(|| short.strip_prefix('p'))
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
    if digits {
        return Some(short);
    }
    after(label, &["severity", "sev", "priority"]).map(str::to_lowercase)
}

fn cause(body: &str) -> Option<String> {
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"(?im)^[\s*_>-]*(?:root[ -]?cause|caused by|cause)[\s*_]*:[\s*_`]*([0-9a-f]{7,40})\b",
        )
        .ok()
    });
    let found = WORDS.as_ref()?.captures(body)?;
    Some(found[1].to_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn read_issue(labels: &str, body: &str) -> Incident {
        let body = serde_json::to_string(body).unwrap();
        let json = format!(
            r#"{{"number": 12, "title": "it is down", "body": {body}, "labels": {labels},
                "created_at": "2026-01-01T00:00:00Z", "closed_at": null}}"#
        );
        incident(&json, "acme/shop", "shop", "github:github.com/acme/shop")
            .unwrap()
            .unwrap()
    }

    #[test]
    fn labels_say_service_and_severity() {
        for (labels, service, severity) in [
            (r#"["incident"]"#, "shop", None),
            (
                r#"[{"name": "incident"}, {"name": "service:mail"}, {"name": "severity-High"}]"#,
                "mail",
                Some("high"),
            ),
            (
                r#"[{"name": null}, {"name": "SEV1"}]"#,
                "shop",
                Some("sev1"),
            ),
            (r#"["P0", "service: "]"#, "shop", Some("p0")),
            (r#"["priority/low", "performance"]"#, "shop", Some("low")),
        ] {
            let incident = read_issue(labels, "");
            assert_eq!(incident.service.as_deref(), Some(service), "{labels}");
            assert_eq!(incident.severity.as_deref(), severity, "{labels}");
            assert_eq!(incident.id, "acme/shop#12");
        }
    }

    #[test]
    fn the_text_names_cause_and_request() {
        for (body, cause, request) in [
            (
                "Root cause: C0FFEE1\nrequest_id=req-7",
                Some("c0ffee1"),
                Some("req-7"),
            ),
            ("**Root cause:** `deadbeef12`", Some("deadbeef12"), None),
            ("- caused by: abcdef0.", Some("abcdef0"), None),
            ("root cause: unknown", None, None),
            ("because: deadbeef", None, None),
            ("", None, None),
        ] {
            let incident = read_issue("[]", body);
            assert_eq!(incident.cause.as_deref(), cause, "{body}");
            assert_eq!(
                incident
                    .request_id
                    .map(|id| id.as_str().to_owned())
                    .as_deref(),
                request,
                "{body}"
            );
        }
    }

    #[test]
    fn a_pull_request_is_no_incident() {
        let json = r#"{"number": 1, "title": "", "body": null, "created_at": "2026-01-01T00:00:00Z",
            "pull_request": {"url": "x"}}"#;
        assert_eq!(incident(json, "a/b", "b", "o").unwrap(), None);
    }
}
