//! Series over weeks and months, from the same facts as a report.

use super::{Loaded, ReportRequest, Window, load};
use atalaya_domain::dora::analytics::{
    self, AnomalyReport, Asked, Comparison, ForecastReport, Measure, Monthly, TrendReport,
};
use atalaya_domain::dora::{Rules, Scope};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{DeliveryFilter, MetricsStore};

/// The longest period in days, and the most months.
pub const MOST_DAYS: u32 = 3_650;
pub const MOST_MONTHS: u32 = 36;

/// What can be asked; of days and months the number. The running week and month count in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Analysis {
    /// Whole weeks of the last days.
    Trend { measure: Measure, days: u32 },
    /// The last days, and those before them.
    Compare { days: u32, before: u32 },
    /// The last whole calendar months.
    Monthly { months: u32 },
    /// Deployments of the last days that took unusually long or short.
    Anomalies { days: u32 },
    /// The running month from the whole ones before it.
    Forecast { months: u32 },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Trend(TrendReport),
    Compare(Comparison),
    Monthly(Monthly),
    Anomalies(AnomalyReport),
    Forecast(ForecastReport),
}

/// An answer with what it was asked of.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub analysis: Analysis,
    pub scope: Scope,
    pub rules: Rules,
    pub generated_at: Timestamp,
    pub found: Found,
}

impl Analysis {
    /// When the oldest facts begin that the answer is about.
    fn from(self, now: Timestamp, rules: &Rules) -> Timestamp {
        match self {
            Self::Trend { days, .. } | Self::Anomalies { days } => days_before(now, days),
            Self::Compare { days, before } => days_before(now, days.saturating_add(before)),
            Self::Monthly { months } => analytics::whole_months(now, months, rules.zone)
                .first()
                .map_or(now, |(_, month)| month.from),
            Self::Forecast { .. } => analytics::oldest(now, rules.zone),
        }
    }

    fn find(self, asked: &Asked<'_>) -> Found {
        let now = asked.now;
        match self {
            Self::Trend { measure, days } => Found::Trend(analytics::trend(asked, measure, days)),
            Self::Compare { days, before } => {
                let middle = days_before(now, days);
                let previous = TimeRange::new(days_before(middle, before), middle);
                let current = TimeRange::new(middle, now);
                Found::Compare(analytics::compare(asked, current, previous))
            }
            Self::Monthly { months } => Found::Monthly(analytics::monthly(asked, months)),
            Self::Anomalies { days } => {
                let period = TimeRange::new(days_before(now, days), now);
                Found::Anomalies(analytics::anomalies(asked, period))
            }
            Self::Forecast { months } => Found::Forecast(analytics::forecast(asked, months)),
        }
    }
}

fn days_before(at: Timestamp, days: u32) -> Timestamp {
    at.saturating_sub(std::time::Duration::from_secs(u64::from(days) * 86_400))
}

/// Answers by the scope and the rules of `request`; its window does not matter.
pub async fn analyse(
    store: &dyn MetricsStore,
    request: &ReportRequest,
    analysis: Analysis,
    now: Timestamp,
) -> Result<Told, StoreError> {
    let from = analysis.from(now, &request.rules);
    let request = ReportRequest {
        window: Window::Between(TimeRange::new(from, now)),
        ..request.clone()
    };
    let loaded = load(store, &request, now).await?;
    let begins = begins(store, &loaded, &request.scope, from).await?;
    let found = analysis.find(&Asked {
        facts: &loaded.facts(),
        scope: &request.scope,
        rules: &request.rules,
        now,
        begins,
    });
    Ok(Told {
        analysis,
        scope: request.scope,
        rules: request.rules,
        generated_at: now,
        found,
    })
}

/// When what is known of the scope begins, as far as `from` can tell: a team that deployed before
/// had quiet weeks since, one that did not had none yet.
async fn begins(
    store: &dyn MetricsStore,
    loaded: &Loaded,
    scope: &Scope,
    from: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let before = DeliveryFilter {
        range: Some(TimeRange::new(Timestamp::MIN, from)),
        service: scope.service.clone(),
        team: scope.team.clone(),
        environment: Some(scope.environment.clone()),
    };
    if store.last_deployed(&before).await?.is_some() {
        return Ok(Some(from));
    }
    let deployments = loaded
        .deployments
        .iter()
        .filter(|deployment| scope.admits(deployment))
        .map(|deployment| deployment.finished_at);
    let phases = loaded.phases.iter().map(|phase| phase.recorded_at);
    Ok(deployments.chain(phases).min())
}
