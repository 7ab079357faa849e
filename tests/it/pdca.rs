//! A PDCA cycle from plan to decision in a real store, with the samples that a report gives.

#![expect(clippy::unwrap_used, reason = "tests")]

use atalaya_domain::error_class::ErrorClass;
use std::sync::Arc;
use std::time::Duration;

use atalaya::config::{DoraConfig, PdcaConfig};
use atalaya::domain::delivery::{DeployedCommit, Deployment, DeploymentKind, DeploymentResult};
use atalaya::domain::dora::{Metric, Scope};
use atalaya::domain::pdca::{Applied, Evidence, Measure, Refusal, State, Texts, Verdict};
use atalaya::domain::time::Timestamp;
use atalaya::service::pdca::{self, Draft, PdcaError, PdcaSettings};
use atalaya::store::metrics::{DeliveryFacts as _, MetricsStore, SourceRun, Sources as _};
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_hours(1);

fn day(number: u32) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000).saturating_add(HOUR * 24 * number)
}

/// One commit a deployment, which took `lead_hours` to get out.
fn deployment(id: u32, at: Timestamp, lead_hours: u32) -> Deployment {
    let authored_at = at.saturating_sub(HOUR * lead_hours);
    Deployment {
        id: format!("d{id}"),
        service: "shop".to_owned(),
        team: None,
        environment: "production".to_owned(),
        commit: Some(format!("c{id}")),
        started_at: None,
        finished_at: at,
        result: DeploymentResult::Success,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "test".to_owned(),
        taken_back_by: None,
        commits: Some(vec![DeployedCommit {
            sha: format!("c{id}"),
            authored_at,
            committed_at: authored_at,
            title: "change".to_owned(),
            reverts: false,
        }]),
    }
}

/// Four weeks with a deployment a day at about 40 hours, then a week at a fourth of that.
async fn shop() -> (Arc<dyn MetricsStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteMetricsStore::open(&folder.path().join("metrics.sqlite"))
        .await
        .unwrap();
    let mut deployments = Vec::new();
    for number in 0..28 {
        let lead = 30 + number * 7 % 20;
        deployments.push(deployment(number, day(number).saturating_add(HOUR), lead));
    }
    for number in 28..36 {
        deployments.push(deployment(
            number,
            day(number).saturating_add(HOUR),
            8 + number % 5,
        ));
    }
    store.put_deployments(&deployments).await.unwrap();
    let run = SourceRun {
        name: "test".to_owned(),
        gives_deployments: true,
        gives_incidents: true,
        synced_at: day(36),
    };
    store.put_source(&run).await.unwrap();
    (Arc::new(store), folder)
}

fn settings() -> PdcaSettings {
    PdcaSettings::configured(
        &DoraConfig::default(),
        &PdcaConfig::default(),
        chrono_tz::Tz::UTC,
    )
    .unwrap()
}

fn draft() -> Draft {
    Draft {
        title: "Smaller changes".to_owned(),
        metric: Metric::ChangeLeadTime,
        service: Some("shop".to_owned()),
        team: None,
        hypothesis: "reviews wait for size".to_owned(),
        change: "at most 200 lines".to_owned(),
        expected_percent: None,
        owner: "ana".to_owned(),
        guards: None,
    }
}

fn applied(at: Timestamp) -> Applied {
    Applied {
        what: "the limit is on".to_owned(),
        applied_at: at,
        request_id: None,
        commit: Some("c28".to_owned()),
    }
}

#[tokio::test]
async fn from_plan_to_decision() {
    let (store, _folder) = shop().await;
    let store = store.as_ref();
    let settings = settings();
    let cycle = pdca::create(store, draft(), &settings, "ana", day(28))
        .await
        .unwrap();
    assert_eq!(
        (cycle.state, cycle.plan.baseline.samples),
        (State::Plan, 28)
    );
    assert!((30.0..50.0).contains(&cycle.plan.baseline.value.unwrap()));
    assert_eq!(
        cycle.plan.guards,
        [Metric::ChangeFailureRate, Metric::RecoveryTime]
    );
    let id = cycle.id;

    let early = pdca::check(store, &id, &settings, "ana", day(29))
        .await
        .unwrap_err();
    assert!(
        matches!(early, PdcaError::Refused(Refusal::NotStarted(_))),
        "{early}"
    );
    pdca::start(store, &id, applied(day(28)), "ana", day(28))
        .await
        .unwrap();
    let early = pdca::check(store, &id, &settings, "ana", day(29))
        .await
        .unwrap_err();
    assert!(
        matches!(early, PdcaError::TooEarly { number: 1, due_at, .. } if due_at == day(30)),
        "{early}"
    );

    // Two days give two deployments: no answer, whatever they show.
    let cycle = pdca::check(store, &id, &settings, "ana", day(30))
        .await
        .unwrap();
    let look = cycle.last_look().unwrap();
    assert_eq!(
        (look.evidence, look.proposed, cycle.state),
        (Evidence::Insufficient, Verdict::Continue, State::Check)
    );
    let primary = look.primary().unwrap();
    assert_eq!(
        (primary.metric, primary.n_base, primary.n_post),
        (Metric::ChangeLeadTime, 8, 2)
    );
    assert_eq!(
        look.seeds_rule_decision,
        Some(Verdict::Apply),
        "the plain rule would jump at it"
    );

    let cycle = pdca::check(store, &id, &settings, "ana", day(36))
        .await
        .unwrap();
    let look = cycle.last_look().unwrap();
    assert_eq!(
        (look.number, look.evidence, look.proposed),
        (2, Evidence::Better, Verdict::Apply)
    );
    let primary = look.primary().unwrap();
    assert_eq!((primary.n_base, primary.n_post), (28, 7));
    assert!(primary.percent.unwrap() > 60.0, "{primary:?}");
    assert_eq!(cycle.state, State::Act, "proposed, not decided");

    pdca::note(store, &id, "the team likes it", "ben", day(36))
        .await
        .unwrap();
    let cycle = pdca::decide(store, &id, Verdict::Apply, "faster", "ana", day(36))
        .await
        .unwrap();
    assert_eq!(cycle.state, State::Applied);
    let closed = pdca::check(store, &id, &settings, "ana", day(60))
        .await
        .unwrap_err();
    assert!(
        matches!(closed, PdcaError::Refused(Refusal::Closed(..))),
        "{closed}"
    );

    let (read, events) = pdca::show(store, &id).await.unwrap();
    assert_eq!(read, cycle, "what was written reads back the same");
    assert_eq!(
        events
            .iter()
            .map(|event| event.happening.name())
            .collect::<Vec<_>>(),
        [
            "planned", "started", "checked", "checked", "noted", "decided"
        ]
    );
    assert_eq!(pdca::list(store).await.unwrap().cycles, [cycle]);
}

#[tokio::test]
async fn what_is_refused() {
    let (store, _folder) = shop().await;
    let store = store.as_ref();
    let untitled = Draft {
        title: " ".to_owned(),
        ..draft()
    };
    let error = pdca::create(store, untitled, &settings(), "ana", day(28))
        .await
        .unwrap_err();
    assert!(matches!(error, PdcaError::NoTitle) && error.class() == ErrorClass::Usage);
    let error = pdca::show(store, "pdca-0").await.unwrap_err();
    assert!(matches!(&error, PdcaError::Unknown(id) if id == "pdca-0"));

    let first = pdca::create(store, draft(), &settings(), "ana", day(28))
        .await
        .unwrap();
    let second = pdca::create(store, draft(), &settings(), "ben", day(28))
        .await
        .unwrap();
    assert_eq!(
        second.id,
        format!("{}-2", first.id),
        "two plans in one second are two plans"
    );
    for (at, now) in [(day(27), day(28)), (day(30), day(29))] {
        let error = pdca::start(store, &first.id, applied(at), "ana", now)
            .await
            .unwrap_err();
        assert!(matches!(error, PdcaError::WrongTime { .. }), "{error}");
    }
    let texts = Texts {
        hypothesis: Some("reviews wait for people".to_owned()),
        ..Texts::default()
    };
    let edited = pdca::edit(store, &first.id, texts, "ana", day(29))
        .await
        .unwrap();
    assert_eq!(edited.plan.hypothesis, "reviews wait for people");
    assert_eq!(
        (edited.plan.title.as_str(), edited.plan.metric),
        ("Smaller changes", Metric::ChangeLeadTime)
    );
}

#[tokio::test]
async fn proposals_come_from_missed_targets() {
    let (store, _folder) = shop().await;
    let scope = Scope::default();
    assert_eq!(
        pdca::proposals(store.as_ref(), &scope, &settings(), day(28))
            .await
            .unwrap(),
        []
    );
    let mut strict = settings();
    strict.dora.targets.lead_time_hours = Some(24.0);
    let proposals = pdca::proposals(store.as_ref(), &scope, &strict, day(28))
        .await
        .unwrap();
    assert_eq!(proposals.len(), 1);
    assert_eq!(
        (
            proposals[0].metric,
            proposals[0].target,
            proposals[0].samples
        ),
        (Metric::ChangeLeadTime, 24.0, 28)
    );
}

/// Numbers that are none never reach the history, from whichever side; the list goes on.
#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    let (store, _folder) = shop().await;
    let store = store.as_ref();
    for number in [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -30.0,
        100.5,
    ] {
        let draft = Draft {
            expected_percent: Some(number),
            ..draft()
        };
        let error = pdca::create(store, draft, &settings(), "ana", day(28))
            .await
            .unwrap_err();
        assert!(
            matches!(error, PdcaError::WrongExpectation(_)) && error.class() == ErrorClass::Usage,
            "{number}: {error}"
        );
    }
    assert_eq!(pdca::list(store).await.unwrap().cycles, []);
}

/// PLAN says what it can hope to find.
#[tokio::test]
async fn a_plan_foretells_its_power() {
    let (store, _folder) = shop().await;
    let cycle = pdca::create(store.as_ref(), draft(), &settings(), "ana", day(28))
        .await
        .unwrap();
    let forecast = cycle.plan.baseline.forecast.unwrap();
    assert_eq!(forecast.weeks, 4);
    assert!((forecast.samples_per_day - 1.0).abs() < 1e-9);
    assert!(forecast.twice_as_good.by_last_look > 0.9, "{forecast:?}");
    assert!(forecast.expected.by_last_look <= forecast.twice_as_good.by_last_look);
    let sentences = forecast.sentences(Metric::ChangeLeadTime, Measure::Standard);
    assert!(
        sentences[1].contains("1.0 deployments a day"),
        "{sentences:?}"
    );
    let course = pdca::course(store.as_ref(), &cycle, &settings(), day(36))
        .await
        .unwrap();
    assert_eq!((course.before.len(), course.after.len()), (4, 0));
}

/// Without commits a plan on lead time stands on the cycle times that were recorded, by that name.
#[tokio::test]
async fn without_git_a_plan_stands_on_cycle_times() {
    use atalaya::domain::delivery::{Decision, Phase, PhaseRecord};
    let (with_git, _folder) = shop().await;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteMetricsStore::open(&folder.path().join("metrics.sqlite"))
        .await
        .unwrap();
    let mut deployments = Vec::new();
    let mut phases = Vec::new();
    for number in 0..28 {
        let at = day(number).saturating_add(HOUR);
        let hours = 30 + number * 7 % 20;
        let cycle_id = format!("cycle-{number}");
        deployments.push(Deployment {
            commits: None,
            commit: None,
            cycle_id: Some(cycle_id.clone()),
            ..deployment(number, at, hours)
        });
        phases.push(PhaseRecord {
            cycle_id,
            feature_id: "F-1".to_owned(),
            phase: Phase::Planning,
            attempt: 1,
            decision: Decision::Go,
            duration: HOUR,
            // A phase is recorded at its end.
            recorded_at: at.saturating_sub(HOUR * (hours - 1)),
            metadata: std::collections::BTreeMap::new(),
        });
    }
    store.put_deployments(&deployments).await.unwrap();
    store.record_phases(&phases).await.unwrap();
    let cycle = pdca::create(&store, draft(), &settings(), "ana", day(28))
        .await
        .unwrap();
    assert_eq!(
        cycle.plan.baseline.measure,
        atalaya::domain::pdca::Measure::CycleTime
    );
    assert!((30.0..50.0).contains(&cycle.plan.baseline.value.unwrap()));
    assert!(cycle.plan.baseline.forecast.is_some());
    let git = pdca::create(with_git.as_ref(), draft(), &settings(), "ana", day(28))
        .await
        .unwrap();
    assert_eq!(
        git.plan.baseline.measure,
        atalaya::domain::pdca::Measure::Standard
    );
}
