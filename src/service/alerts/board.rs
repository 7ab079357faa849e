//! Alerts, rules and silences as of one moment: what a screen shows of them, each read once.

use std::collections::BTreeMap;

use super::measure::{KnownReading, readings};
use super::{AlertError, RuleView, Rulebook, sorted};
use crate::config::AlertSettings;
use atalaya_domain::alert::{Alert, Rule, Silence};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::{AlertFilter, MetricsStore};

/// What is shown at once.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// Firing first, then pending, then those that are over, newest first.
    pub alerts: Vec<Alert>,
    /// By name; none without settings.
    pub rules: Vec<RuleView>,
    /// Those that are not over yet.
    pub silences: Vec<Silence>,
    /// When the rules were evaluated last; `None`: never.
    pub evaluated_at: Option<Timestamp>,
}

/// Reads all of it; of alerts that are over, up to `past`.
///
/// # Errors
/// Those of the store.
pub async fn board(
    store: &dyn MetricsStore,
    settings: Option<&AlertSettings>,
    past: u32,
    now: Timestamp,
) -> Result<Board, AlertError> {
    let mut board = Board {
        alerts: sorted(store.active_alerts().await?),
        silences: store.silences(now).await?,
        ..Board::default()
    };
    let (evaluated_at, readings) = readings(store).await?.unzip();
    board.evaluated_at = evaluated_at;
    if let Some(settings) = settings {
        let book = Rulebook::load(store, settings).await?;
        board.rules = views(&book, &readings.unwrap_or_default(), &board, now);
    }
    if past > 0 {
        let filter = AlertFilter {
            limit: past,
            ..AlertFilter::default()
        };
        let past = store.alert_history(&filter).await?;
        let over = past.into_iter().filter(|alert| !alert.is_active());
        board.alerts.extend(over);
    }
    Ok(board)
}

fn views(
    book: &Rulebook,
    readings: &BTreeMap<String, KnownReading>,
    board: &Board,
    now: Timestamp,
) -> Vec<RuleView> {
    let active: BTreeMap<&str, &Alert> = board
        .alerts
        .iter()
        .map(|alert| (alert.rule.name.as_str(), alert))
        .collect();
    let view = |rule: &Rule| {
        let alert = active.get(rule.name.as_str()).copied();
        let known = readings.get(&rule.name);
        let value = known.and_then(KnownReading::value);
        let silenced = board
            .silences
            .iter()
            .find(|silence| silence.is_active(now) && silence.covers(&rule.name));
        let muted = silenced.map(|silence| silence.mute().to_string());
        let told_by_alert = || Some(alert?.muted.as_ref()?.to_string());
        RuleView {
            name: rule.name.clone(),
            origin: rule.origin,
            severity: rule.severity,
            condition: rule.condition(),
            threshold: rule.threshold,
            query: rule.measure.query().map(str::to_owned),
            todo: rule.todo.clone(),
            labels: rule.labels.clone(),
            state: alert.map(|alert| alert.state),
            value,
            reading: known.map_or_else(
                || "not evaluated yet; `atalaya serve` does".to_owned(),
                KnownReading::words,
            ),
            measured_at: known.map(|known| known.at),
            distance: value.and_then(|value| rule.distance(value)),
            muted: muted.or_else(told_by_alert),
        }
    };
    book.rules.iter().map(view).collect()
}
