//! The alerts of the company's last hour: its rules, evaluated over its records minute by minute as the
//! service would have done it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::DemoError;
use super::delivery::{HOTFIX_AGO, INCIDENT_AGO};
use crate::config::Settings;
use crate::service::Stores;
use crate::service::alerts::Evaluator;
use atalaya_domain::alert::Measure;
use atalaya_domain::time::Timestamp;

const STEP: Duration = Duration::from_secs(120);
/// Quiet before the incident and after its end.
const QUIET: Duration = Duration::from_secs(600);

/// Evaluates the rules over logs from before the incident until after its end, and once shortly
/// before `now`. What others measure was never measured then.
///
/// # Errors
/// A store cannot be read or written.
pub async fn look_back(
    stores: &Stores,
    settings: &Settings,
    now: Timestamp,
) -> Result<(), DemoError> {
    let mut settings = settings.clone();
    settings.alerts.rules.retain(|rule| {
        matches!(
            rule.measure,
            Measure::Count { .. } | Measure::Ratio { .. } | Measure::Absence { .. }
        )
    });
    let evaluator = Evaluator::new(stores.clone(), &settings).looking_back();
    let cancel = CancellationToken::new();
    let mut at = now.saturating_sub(INCIDENT_AGO + QUIET);
    while at < now.saturating_sub(HOTFIX_AGO).saturating_add(QUIET) {
        evaluator.evaluate(at, &cancel).await?;
        at = at.saturating_add(STEP);
    }
    evaluator
        .evaluate(now.saturating_sub(STEP), &cancel)
        .await?;
    Ok(())
}
