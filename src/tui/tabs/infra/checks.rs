//! Every check with its limit, what is not well first, and the advice below.

use crate::tui::theme::Role;
use crate::tui::widgets::{gauge, safe_text};
use atalaya_domain::health::{Health, Status};

/// Label, words, and how they are drawn.
pub fn lines(health: &Health) -> Vec<(String, String, Role)> {
    let mut checks: Vec<_> = health.checks.iter().collect();
    // Stable: within one verdict in the order of the measurement.
    checks.sort_by_key(|check| std::cmp::Reverse(check.status));
    let mut lines: Vec<(String, String, Role)> = checks
        .into_iter()
        .map(|check| {
            let (role, letters) = gauge::verdict(check.status);
            let role = if check.status == Status::Ok {
                Role::Text
            } else {
                role
            };
            let words = format!(
                "{} · {}",
                safe_text::line(&check.name),
                safe_text::line(&check.message)
            );
            (letters.to_owned(), words, role)
        })
        .collect();
    lines.extend(health.advice.iter().map(|advice| {
        (
            "advice".to_owned(),
            safe_text::line(&advice.message),
            Role::Accent,
        )
    }));
    lines
}
