//! What is reported on, as the prompt takes it.

use crate::service::dora::{ReportRequest, Window, WindowWords};
use crate::tui::widgets::safe_text;
use atalaya_domain::dora::{Profile, Scope};
use atalaya_domain::time::Timestamp;

/// The scope as the prompt takes it.
pub(super) fn scope_text(request: &ReportRequest) -> String {
    let scope = &request.scope;
    let mut words = Vec::new();
    if let Some(service) = &scope.service {
        words.push(format!("service:{service}"));
    }
    if let Some(team) = &scope.team {
        words.push(format!("team:{team}"));
    }
    words.push(format!("env:{}", scope.environment));
    words.push(format!("profile:{}", request.rules.profile.name()));
    if let Window::Between(range) = request.window {
        words.push(format!("from:{}", range.from.to_rfc3339()));
        words.push(format!("until:{}", range.until.to_rfc3339()));
    }
    words.join(" ")
}

/// `service:shop team:blue env:staging profile:iact quarter:2026-Q3`; a bare word is a service. The error has the
/// place (byte offset and length) and the reason.
pub(super) fn read_scope(
    text: &str,
    old: &ReportRequest,
    now: Timestamp,
) -> Result<ReportRequest, (usize, usize, String)> {
    let mut request = old.clone();
    let mut window = WindowWords::default();
    request.scope = Scope {
        environment: old.scope.environment.clone(),
        ..Scope::default()
    };
    for word in text.split_whitespace() {
        let offset = word.as_ptr() as usize - text.as_ptr() as usize;
        let (name, value) = word.split_once(':').unwrap_or(("service", word));
        let wrong = |reason: &str| {
            (
                offset,
                word.len(),
                format!("`{}`: {reason}", safe_text::line(word)),
            )
        };
        if value.is_empty() {
            return Err(wrong("a name must follow the colon"));
        }
        match name {
            "service" => request.scope.service = Some(value.to_owned()),
            "team" => request.scope.team = Some(value.to_owned()),
            "env" | "environment" => value.clone_into(&mut request.scope.environment),
            "profile" => {
                let profile =
                    Profile::from_word(value).ok_or_else(|| wrong("a profile is dora or iact"))?;
                if profile != request.rules.profile {
                    request.rules.profile = profile;
                    request.rules.thresholds = profile.default_thresholds();
                }
            }
            "days" => {
                let days = value.parse().ok().filter(|days| (1..=3_650).contains(days));
                window.days = Some(days.ok_or_else(|| wrong("a number of days, 1 to 3650"))?);
            }
            "from" => window.from = Some(value.to_owned()),
            "until" => window.until = Some(value.to_owned()),
            "quarter" => window.quarter = Some(value.to_owned()),
            _ => {
                return Err(wrong(
                    "use service:, team:, env:, profile:, days:, from:, until: or quarter:",
                ));
            }
        }
    }
    match window.read(request.rules.zone, now) {
        Ok(Some(window)) => request.window = window,
        Ok(None) => {}
        Err(error) => return Err((0, text.len(), safe_text::line(&error.to_string()))),
    }
    Ok(request)
}
