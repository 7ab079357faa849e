//! What every [`MetricsStore`] must do, whatever is behind it. Each case gets an empty store.
//!
//! A backend runs all of it with [`metrics_store_suite!`]; nothing in here knows which one it is.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atalaya::domain::delivery::{
    Decision, DeployedCommit, Deployment, DeploymentKind, DeploymentResult, Incident, Phase,
    PhaseRecord,
};
use atalaya::domain::pdca::{Happening, PdcaEvent};
use atalaya::domain::record::RequestId;
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::store::error::StoreError;
use atalaya::store::metrics::{
    DeliveryFilter, HealthSample, MetricsStore, PointsDuration, SourceRun, Target, TeamDeployments,
    Written,
};
use serde_json::json;

#[path = "metrics_store_suite/aggregates.rs"]
mod aggregates;
#[path = "metrics_store_suite/alerts.rs"]
mod alerts;
#[path = "metrics_store_suite/asked.rs"]
mod asked;
#[path = "metrics_store_suite/cursors.rs"]
mod cursors;
#[path = "metrics_store_suite/cycles.rs"]
mod cycles;
#[path = "metrics_store_suite/delivery.rs"]
mod delivery;
#[path = "metrics_store_suite/service.rs"]
mod service;
#[path = "metrics_store_suite/tokens.rs"]
mod tokens;

pub use aggregates::*;
pub use alerts::*;
pub use asked::*;
pub use cursors::*;
pub use cycles::*;
pub use delivery::*;
pub use service::*;
pub use tokens::*;

type Store = Arc<dyn MetricsStore>;

/// Runs every case of the suite against the stores that `$open` makes: an async function that
/// returns a new empty store and whatever must outlive it.
macro_rules! metrics_store_suite {
    ($open:path) => {
        $crate::metrics_store_suite::metrics_store_suite!($open;
            writing_again_changes_nothing,
            a_changed_row_is_updated,
            one_write_with_the_same_key_twice,
            phases_come_back_as_they_were,
            a_cycle_is_folded_from_its_parts,
            a_cycle_does_not_depend_on_the_order_of_writing,
            a_moved_deployment_leaves_its_cycle,
            unknown_commits_are_not_no_commits,
            deployments_are_filtered_and_in_order,
            ranges_are_half_open,
            incidents_open_within_the_range,
            an_incident_of_an_unknown_deployment_is_refused,
            a_request_finds_its_events,
            cycles_newest_first_and_limited,
            an_incident_is_laid_to_what_broke,
            cycles_do_not_depend_on_how_they_are_recorded,
            a_cycle_id_of_others_is_a_conflict,
            incidents_are_opened_resolved_and_linked,
            a_persons_word_about_an_incident_stays,
            the_last_deployment_that_reached_users,
            repositories_are_remembered,
            sources_are_remembered,
            a_cursor_is_kept_by_source_and_list,
            commits_of_a_source_are_added_once,
            words_of_a_source_are_replaced,
            pull_requests_come_back_as_they_were,
            the_four_questions,
            questions_without_rows,
            story_points_as_text,
            pdca_events_are_appended_once,
            an_unreadable_pdca_event_stands_among_the_others,
            a_pdca_event_that_cannot_be_read_back_is_refused,
            a_pdca_event_out_of_turn_is_refused,
            targets_keep_their_time,
            health_samples_newest_and_pruned,
            hostile_text_comes_back,
            an_empty_write_is_fine,
            writers_at_once_lose_nothing,
            a_dropped_caller_leaves_no_open_transaction,
            a_lease_has_one_holder,
            what_a_former_holder_writes_is_refused,
            a_slot_is_run_once,
            runs_of_a_former_holder_are_taken_up,
            jobs_are_asked_for_and_switched,
            old_runs_go_and_the_last_success_stays,
            in_any_history_a_slot_ends_once_and_only_holders_write,
            an_alert_changes_only_from_the_version_that_was_read,
            evaluations_at_once_tell_each_change_once,
            silences_that_overlap_are_refused,
            rules_and_readings_are_kept,
            notices_become_one_message_a_minute,
            messages_go_in_order_and_to_one_who_asks,
            tokens_are_known_again_and_revoked_once,
            a_token_id_is_one_tokens_alone,
        );
    };
    ($open:path; $($case:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _guard) = $open().await;
                $crate::metrics_store_suite::$case(store).await;
            }
        )+
    };
}
pub(crate) use metrics_store_suite;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000 + minutes * 60)
}

fn phase(cycle: &str, phase: Phase, minutes: i64) -> PhaseRecord {
    PhaseRecord {
        cycle_id: cycle.to_owned(),
        feature_id: format!("FEAT-{cycle}"),
        phase,
        attempt: 1,
        decision: Decision::Go,
        duration: Duration::from_secs(60),
        recorded_at: at(minutes),
        metadata: BTreeMap::new(),
    }
}

fn with(mut record: PhaseRecord, metadata: serde_json::Value) -> PhaseRecord {
    let serde_json::Value::Object(fields) = metadata else {
        panic!("metadata is an object")
    };
    record.metadata = fields.into_iter().collect();
    record
}

fn commit(sha: &str, minutes: i64) -> DeployedCommit {
    DeployedCommit {
        sha: sha.to_owned(),
        authored_at: at(minutes),
        committed_at: at(minutes + 1),
        title: format!("Change {sha}"),
        reverts: false,
    }
}

fn deployment(id: &str, minutes: i64) -> Deployment {
    Deployment {
        id: id.to_owned(),
        service: "shop".to_owned(),
        team: Some("red".to_owned()),
        environment: "production".to_owned(),
        commit: Some("c0ffee".to_owned()),
        started_at: Some(at(minutes - 5)),
        finished_at: at(minutes),
        result: DeploymentResult::Success,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "suite".to_owned(),
        taken_back_by: None,
        commits: Some(vec![commit("a1", minutes - 90), commit("b2", minutes - 60)]),
    }
}

fn incident(id: &str, opened: i64, resolved: Option<i64>) -> Incident {
    Incident {
        id: id.to_owned(),
        title: "checkout fails".to_owned(),
        service: Some("shop".to_owned()),
        severity: None,
        opened_at: at(opened),
        resolved_at: resolved.map(at),
        cause: None,
        caused_by: None,
        request_id: None,
        origin: "suite".to_owned(),
    }
}

fn written(inserted: u64, updated: u64, unchanged: u64) -> Written {
    Written {
        inserted,
        updated,
        unchanged,
    }
}

fn within(from: i64, until: i64) -> TimeRange {
    TimeRange::new(at(from), at(until))
}

fn ids(deployments: &[Deployment]) -> Vec<&str> {
    deployments
        .iter()
        .map(|deployment| deployment.id.as_str())
        .collect()
}

pub async fn hostile_text_comes_back(store: Store) {
    let nasty = "'; DROP TABLE deployments; -- \u{202e}\u{1b}[2J é 漢 🦀 \"\\%_";
    let record = PhaseRecord {
        feature_id: nasty.to_owned(),
        ..with(
            phase(nasty, Phase::Testing, 1),
            json!({"team": nasty, "request_id": nasty}),
        )
    };
    store
        .record_phases(std::slice::from_ref(&record))
        .await
        .unwrap();
    let shipped = Deployment {
        team: Some(nasty.to_owned()),
        service: nasty.to_owned(),
        ..deployment(nasty, 2)
    };
    store
        .put_deployments(std::slice::from_ref(&shipped))
        .await
        .unwrap();
    assert_eq!(
        store.cycle(nasty).await.unwrap().unwrap().phases,
        std::slice::from_ref(&record)
    );
    assert_eq!(
        store
            .events_of_request(&RequestId::new(nasty))
            .await
            .unwrap()
            .phases,
        [record]
    );
    let filter = DeliveryFilter {
        service: Some(nasty.to_owned()),
        ..DeliveryFilter::default()
    };
    assert_eq!(store.deployments(&filter).await.unwrap().read, [shipped]);
}

pub async fn an_empty_write_is_fine(store: Store) {
    assert_eq!(store.record_phases(&[]).await.unwrap(), Written::default());
    assert_eq!(
        store.put_deployments(&[]).await.unwrap(),
        Written::default()
    );
    assert_eq!(store.put_incidents(&[]).await.unwrap(), Written::default());
    assert_eq!(
        store.put_health_samples(&[]).await.unwrap(),
        Written::default()
    );
}

/// R21: nobody sees a busy store.
pub async fn writers_at_once_lose_nothing(store: Store) {
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut total = Written::default();
                for number in 0..25 {
                    // Half of the keys are shared by all writers, so they race for them.
                    let cycle = if number % 2 == 0 {
                        format!("shared-{number}")
                    } else {
                        format!("{writer}-{number}")
                    };
                    let done = store
                        .record_phases(&[phase(&cycle, Phase::Testing, number)])
                        .await
                        .unwrap();
                    total.inserted += done.inserted;
                    total.updated += done.updated;
                    total.unchanged += done.unchanged;
                }
                total
            })
        })
        .collect();
    let mut total = Written::default();
    for task in tasks {
        let done = task.await.unwrap();
        total.inserted += done.inserted;
        total.updated += done.updated;
        total.unchanged += done.unchanged;
    }
    assert_eq!(total, written(13 + 8 * 12, 0, 7 * 13));
    assert_eq!(
        store
            .phases(&DeliveryFilter::default())
            .await
            .unwrap()
            .read
            .len(),
        109
    );
}

/// A write whose caller goes away either happens or does not; the next one meets a clean store.
///
/// R22: a caller that goes away.
pub async fn a_dropped_caller_leaves_no_open_transaction(store: Store) {
    for number in 0..100_i64 {
        let writer = store.clone();
        let task = tokio::spawn(async move {
            let phases: Vec<_> = (0..20)
                .map(|part| phase(&format!("c{number}-{part}"), Phase::Testing, part))
                .collect();
            writer.record_phases(&phases).await
        });
        for _ in 0..number % 17 {
            tokio::task::yield_now().await;
        }
        task.abort();
        let _aborted_or_done = task.await;
    }
    let all = store
        .record_phases(&[phase("after", Phase::Testing, 0)])
        .await
        .unwrap();
    assert_eq!(all, written(1, 0, 0));
    // Writes stand in one line, so the last one has seen all the others through.
    let mut sizes: BTreeMap<String, u32> = BTreeMap::new();
    for found in store.phases(&DeliveryFilter::default()).await.unwrap().read {
        let batch = found
            .cycle_id
            .split('-')
            .next()
            .unwrap_or_default()
            .to_owned();
        *sizes.entry(batch).or_default() += 1;
    }
    assert_eq!(sizes.remove("after"), Some(1));
    assert!(
        sizes.values().all(|size| *size == 20),
        "whole transactions only: {sizes:?}"
    );
}
