//! PDCA cycles in each state, judged on the company's own history like any other.

use chrono_tz::Tz;

use crate::config::{DoraConfig, PdcaConfig};
use crate::service::pdca::{self, Draft, PdcaSettings};
use atalaya_domain::dora::Metric;
use atalaya_domain::pdca::{Applied, Verdict};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::MetricsStore;

use super::{DAY, DemoError, HOUR, Stores};

/// A cycle of the past: planned, applied and looked at so many days ago.
struct Story {
    title: &'static str,
    metric: Metric,
    service: &'static str,
    hypothesis: &'static str,
    change: &'static str,
    owner: &'static str,
    planned: u32,
    applied: Option<u32>,
    /// Days ago of the looks, in order.
    looks: &'static [u32],
    decided: Option<(u32, Verdict, &'static str)>,
}

const STORIES: [Story; 5] = [
    Story {
        title: "Run the slow tests at night",
        metric: Metric::ChangeLeadTime,
        service: "shop-web",
        hypothesis: "Half of the lead time is waiting for the slow suite.",
        change: "Move the suite to a nightly job; keep the quick one before each merge.",
        owner: "ana",
        planned: 1,
        applied: None,
        looks: &[],
        decided: None,
    },
    Story {
        title: "Deploy the catalog on merge",
        metric: Metric::DeploymentFrequency,
        service: "catalog",
        hypothesis: "Changes wait for somebody to press the button.",
        change: "A merge to main starts the roll-out.",
        owner: "bruno",
        planned: 6,
        applied: Some(1),
        looks: &[],
        decided: None,
    },
    Story {
        title: "Two reviewers for the gateway",
        metric: Metric::ChangeFailureRate,
        service: "payments",
        hypothesis: "The failures of spring came from changes that one person had read.",
        change: "Changes of the gateway need two approvals.",
        owner: "carla",
        planned: 26,
        applied: Some(24),
        looks: &[22, 17, 10],
        decided: None,
    },
    Story {
        title: "Smaller changes in the shop",
        metric: Metric::ChangeLeadTime,
        service: "shop-web",
        hypothesis: "Large changes wait long for a review.",
        change: "No change over 300 lines without a reason in its text.",
        owner: "ana",
        planned: 52,
        applied: Some(50),
        looks: &[48, 43, 36, 22],
        decided: Some((
            21,
            Verdict::Apply,
            "The team wants to keep it, whatever the figure says.",
        )),
    },
    Story {
        title: "Freeze on Fridays",
        metric: Metric::DeploymentFrequency,
        service: "payments",
        hypothesis: "Friday's deployments cost the weekend.",
        change: "No deployment after Thursday, 18:00.",
        owner: "carla",
        planned: 54,
        applied: Some(52),
        looks: &[50, 45],
        decided: Some((
            44,
            Verdict::Revert,
            "Fewer deployments, and as many failures as before.",
        )),
    },
];

/// Adds the cycles, unless there are some already.
pub async fn fill(stores: &Stores, now: Timestamp) -> Result<(), DemoError> {
    let store = &*stores.metrics;
    if !pdca::list(store).await?.cycles.is_empty() {
        return Ok(());
    }
    let settings =
        PdcaSettings::configured(&DoraConfig::default(), &PdcaConfig::default(), Tz::UTC)?;
    for (index, story) in STORIES.iter().enumerate() {
        // An hour apart, so that no two are planned in one second.
        let now = now.saturating_sub(HOUR * u32::try_from(index).unwrap_or(0));
        tell(store, story, &settings, now).await?;
    }
    Ok(())
}

async fn tell(
    store: &dyn MetricsStore,
    story: &Story,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Result<(), DemoError> {
    let days_ago = |days: u32| now.saturating_sub(DAY * days);
    let draft = Draft {
        title: story.title.to_owned(),
        metric: story.metric,
        service: Some(story.service.to_owned()),
        hypothesis: story.hypothesis.to_owned(),
        change: story.change.to_owned(),
        owner: story.owner.to_owned(),
        team: None,
        expected_percent: None,
        guards: None,
    };
    let cycle = pdca::create(store, draft, settings, story.owner, days_ago(story.planned)).await?;
    let Some(applied) = story.applied else {
        return Ok(());
    };
    let applied = Applied {
        what: story.change.to_owned(),
        applied_at: days_ago(applied),
        request_id: None,
        commit: None,
    };
    pdca::start(
        store,
        &cycle.id,
        applied.clone(),
        story.owner,
        applied.applied_at,
    )
    .await?;
    for days in story.looks {
        pdca::check(store, &cycle.id, settings, story.owner, days_ago(*days)).await?;
    }
    if let Some((days, verdict, why)) = story.decided {
        pdca::decide(store, &cycle.id, verdict, why, story.owner, days_ago(days)).await?;
    }
    Ok(())
}
