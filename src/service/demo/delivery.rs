//! The company's deployments, incidents and cycles.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;

use atalaya_domain::delivery::{
    Decision, DeployedCommit, Deployment, DeploymentKind, DeploymentResult, Incident, Phase,
    PhaseRecord,
};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

use super::{DAY, HOUR, SERVICES, Service, WEEKS, about};

const ORIGIN: &str = "demo";

const TITLES: [&str; 12] = [
    "Show the delivery date in the cart",
    "Retry the ledger on a lost connection",
    "Cache prices by region",
    "Drop the old session table",
    "Translate the address form",
    "Log the upstream's answer time",
    "Resize product images on upload",
    "Ask for the postal code first",
    "Limit the search to 200 hits",
    "Round totals half to even",
    "Move fraud rules out of the gateway",
    "Rename the coupon field",
];

/// What `metrics` gets.
#[derive(Debug, Default)]
pub struct History {
    pub deployments: Vec<Deployment>,
    pub incidents: Vec<Incident>,
    pub phases: Vec<PhaseRecord>,
}

/// Minutes before `now` at which today's incident began with a deployment of `shop-web`.
pub const BAD_DEPLOY_AGO: Duration = Duration::from_secs(70 * 60);
/// … was noticed …
pub const INCIDENT_AGO: Duration = Duration::from_secs(62 * 60);
/// … and ended with a hotfix.
pub const HOTFIX_AGO: Duration = Duration::from_secs(25 * 60);

pub fn history(now: Timestamp, random: &mut StdRng) -> History {
    let mut history = History::default();
    let start = now.saturating_sub(DAY * 7 * WEEKS as u32);
    for service in &SERVICES {
        let mut at = start.saturating_add(about(service.deploys_every, random));
        let mut number = 1;
        // The last hours belong to today's incident.
        while at < now.saturating_sub(HOUR * 6) {
            let deployment = planned(service, number, at, random);
            history.phases.extend(phases(&deployment, number, random));
            history.deployments.push(deployment);
            number += 1;
            at = at.saturating_add(about(service.deploys_every, random));
        }
    }
    old_incident(now, &mut history, random);
    todays_incident(now, &mut history, random);
    history
        .deployments
        .sort_by_key(|deployment| deployment.finished_at);
    history
}

fn planned(
    service: &Service,
    number: u32,
    finished_at: Timestamp,
    random: &mut StdRng,
) -> Deployment {
    let count = random.random_range(1..=6);
    let commits: Vec<DeployedCommit> = (0..count)
        .map(|_| {
            // Most changes wait for hours, a few for days: lead times are skewed in real life too.
            let hours = random.random_range(2.0_f64..9.0).powi(2) / 2.0;
            let committed_at = finished_at.saturating_sub(Duration::from_secs_f64(hours * 3_600.0));
            DeployedCommit {
                sha: format!(
                    "{:032x}{:08x}",
                    random.random::<u128>(),
                    random.random::<u32>()
                ),
                authored_at: committed_at.saturating_sub(Duration::from_secs(900)),
                committed_at,
                title: TITLES[random.random_range(0..TITLES.len())].to_owned(),
                reverts: false,
            }
        })
        .collect();
    // One in fourteen needs a rollback.
    let failed = random.random_range(0..14) == 0;
    let id = format!("{}-{number}", service.name);
    Deployment {
        service: service.name.to_owned(),
        team: Some(service.team.to_owned()),
        environment: "production".to_owned(),
        commit: commits.last().map(|commit| commit.sha.clone()),
        started_at: Some(finished_at.saturating_sub(about(Duration::from_secs(240), random))),
        finished_at,
        result: if failed {
            DeploymentResult::RolledBack
        } else {
            DeploymentResult::Success
        },
        kind: DeploymentKind::Normal,
        request_id: Some(RequestId::new(format!("deploy-{id}"))),
        cycle_id: Some(format!("cycle-{id}")),
        origin: ORIGIN.to_owned(),
        taken_back_by: None,
        commits: (number > 1).then_some(commits),
        id,
    }
}

/// The phases that led to a deployment.
fn phases(deployment: &Deployment, number: u32, random: &mut StdRng) -> Vec<PhaseRecord> {
    let Some(cycle_id) = deployment.cycle_id.clone() else {
        return Vec::new();
    };
    let points = [1, 2, 3, 5, 8][random.random_range(0..5)];
    let failed_tests = u32::from(random.random_range(0..8) == 0);
    let steps = [
        (Phase::Planning, HOUR * 3, 48),
        (Phase::Implementation, HOUR * 14, 30),
        (Phase::Testing, Duration::from_secs(35 * 60), 2),
        (Phase::Deployment, Duration::from_secs(4 * 60), 0),
    ];
    steps
        .into_iter()
        .map(|(phase, usual, hours_before)| {
            let mut metadata = BTreeMap::from([
                ("service".to_owned(), json!(deployment.service)),
                ("team".to_owned(), json!(deployment.team)),
                ("story_points".to_owned(), json!(points)),
            ]);
            if phase == Phase::Testing {
                metadata.insert("tests_passed".to_owned(), json!(180 + number));
                metadata.insert("tests_failed".to_owned(), json!(failed_tests));
            }
            if let (Phase::Deployment, Some(request_id)) = (phase, &deployment.request_id) {
                metadata.insert("request_id".to_owned(), json!(request_id.as_str()));
            }
            let decision = match (phase, deployment.result) {
                (Phase::Deployment, DeploymentResult::Success) => Decision::Success,
                (Phase::Deployment, _) => Decision::RolledBack,
                _ => Decision::Go,
            };
            PhaseRecord {
                cycle_id: cycle_id.clone(),
                feature_id: format!("{}-{}", deployment.service.to_uppercase(), 100 + number),
                phase,
                attempt: 1,
                decision,
                duration: about(usual, random),
                recorded_at: deployment.finished_at.saturating_sub(HOUR * hours_before),
                metadata,
            }
        })
        .collect()
}

/// Five weeks ago: the payments gateway refused cards until a rollback.
fn old_incident(now: Timestamp, history: &mut History, random: &mut StdRng) {
    let around = now.saturating_sub(DAY * 35);
    let Some(cause) = history
        .deployments
        .iter_mut()
        .filter(|deployment| deployment.service == "payments" && deployment.finished_at < around)
        .max_by_key(|deployment| deployment.finished_at)
    else {
        return;
    };
    cause.result = DeploymentResult::Failed;
    let opened_at = cause
        .finished_at
        .saturating_add(Duration::from_secs(11 * 60));
    let resolved_at = opened_at.saturating_add(HOUR * 2);
    let incident = Incident {
        id: "INC-41".to_owned(),
        title: "Card payments refused after the fraud rules moved".to_owned(),
        service: Some("payments".to_owned()),
        severity: Some("critical".to_owned()),
        opened_at,
        resolved_at: Some(resolved_at),
        cause: None,
        caused_by: Some(cause.id.clone()),
        request_id: cause.request_id.clone(),
        origin: ORIGIN.to_owned(),
    };
    let rollback = Deployment {
        id: "payments-rollback".to_owned(),
        kind: DeploymentKind::Rollback,
        result: DeploymentResult::Success,
        finished_at: resolved_at,
        started_at: Some(resolved_at.saturating_sub(about(Duration::from_secs(180), random))),
        request_id: Some(RequestId::new("deploy-payments-rollback")),
        cycle_id: None,
        commits: Some(Vec::new()),
        ..cause.clone()
    };
    history.deployments.push(rollback);
    history.incidents.push(incident);
}

/// This hour: a deployment of the shop exhausted the database's connections until a hotfix.
fn todays_incident(now: Timestamp, history: &mut History, random: &mut StdRng) {
    let shop = &SERVICES[0];
    let mut bad = planned(shop, 900, now.saturating_sub(BAD_DEPLOY_AGO), random);
    "shop-web-900".clone_into(&mut bad.id);
    bad.result = DeploymentResult::Failed;
    let mut hotfix = planned(shop, 901, now.saturating_sub(HOTFIX_AGO), random);
    hotfix.result = DeploymentResult::Success;
    hotfix.kind = DeploymentKind::Hotfix;
    history.phases.extend(phases(&bad, 900, random));
    history.phases.extend(phases(&hotfix, 901, random));
    history.incidents.push(Incident {
        id: "INC-57".to_owned(),
        title: "Checkout answers 502: no database connection left".to_owned(),
        service: Some(shop.name.to_owned()),
        severity: Some("high".to_owned()),
        opened_at: now.saturating_sub(INCIDENT_AGO),
        resolved_at: Some(now.saturating_sub(HOTFIX_AGO)),
        cause: None,
        caused_by: Some(bad.id.clone()),
        request_id: Some(RequestId::new(super::FAILING_REQUEST)),
        origin: ORIGIN.to_owned(),
    });
    history.deployments.push(bad);
    history.deployments.push(hotfix);
}
