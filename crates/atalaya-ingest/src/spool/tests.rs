#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests; the seed is shown when one fails"
)]

mod damage;
mod model;
mod power;
pub(crate) mod rig;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{SpoolConfig, SpoolError, SpoolState, SpooledSink, quarantine};
use crate::pipeline::FrameSink;
use atalaya_domain::record::{Entry, Frame, Layer, Origin, OriginId, RecordId};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::{Backend, StoreError};

/// What a store does with an append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Takes,
    Unreachable,
    /// Does not answer until its mood changes.
    Slow,
    /// Its schema is missing: a person has to do something.
    Unusable,
    /// Refuses frames with an entry whose message is `poison`.
    Picky,
}

/// A store that keeps what it is given by position, as the real ones do by key.
#[derive(Debug, Default)]
struct Store {
    mood: Mutex<Mood>,
    /// (origin, from) to entries, and how often it was written.
    frames: Mutex<BTreeMap<(OriginId, u64), (usize, u32)>>,
    order: Mutex<Vec<u64>>,
    outages: AtomicU64,
    marks: Mutex<BTreeMap<OriginId, u64>>,
}

impl Store {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn records(&self) -> usize {
        self.frames
            .lock()
            .unwrap()
            .values()
            .map(|(entries, _)| *entries)
            .sum()
    }
}

#[async_trait]
impl FrameSink for Store {
    async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError> {
        tokio::task::yield_now().await;
        while *self.mood.lock().unwrap() == Mood::Slow {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Unreachable => return Err(unreachable_store()),
            Mood::Unusable => {
                return Err(StoreError::NewerSchema {
                    address: "here".to_owned(),
                    found: 9,
                    known: 1,
                });
            }
            Mood::Picky
                if frames
                    .iter()
                    .flat_map(|frame| &frame.entries)
                    .any(|entry| &*entry.message == "poison") =>
            {
                return Err(StoreError::Poison {
                    backend: Backend::Cassandra,
                    what: "row",
                    reason: "too bad".to_owned(),
                });
            }
            Mood::Picky | Mood::Takes | Mood::Slow => {}
        }
        for frame in &*frames {
            let mut kept = self.frames.lock().unwrap();
            let place = kept
                .entry((frame.origin.id, frame.from))
                .or_insert((frame.entries.len(), 0));
            place.1 += 1;
            self.order.lock().unwrap().push(frame.from);
        }
        Ok(0)
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        if *self.mood.lock().unwrap() == Mood::Unreachable {
            return Err(unreachable_store());
        }
        Ok(self.marks.lock().unwrap().get(&origin).copied())
    }

    fn outages(&self) -> u64 {
        self.outages.load(Ordering::Relaxed)
    }
}

fn unreachable_store() -> StoreError {
    StoreError::Unavailable {
        backend: Backend::Cassandra,
        address: "10.0.0.1:9042".to_owned(),
        source: "refused".into(),
    }
}

fn frame(origin: u128, from: u64, records: usize, message: &str) -> Frame {
    let entries = (0..records as u64)
        .map(|number| Entry {
            position: from + number,
            message: message.into(),
            ..Entry::default()
        })
        .collect();
    Frame {
        origin: Arc::new(Origin {
            id: OriginId::from_u128(origin),
            layer: Layer::Application,
            source: "app/test".into(),
            host: "host".into(),
        }),
        from,
        until: from + records as u64,
        entries,
    }
}

fn config(dir: &tempfile::TempDir) -> SpoolConfig {
    SpoolConfig {
        keep: Duration::ZERO,
        ..SpoolConfig::new(dir.path().join("spool"))
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .is_ok(),
        "{what} did not come about"
    );
}

fn adds_up(spool: &SpooledSink) {
    let status = spool.status();
    assert_eq!(
        status.recovered + status.spooled,
        status.acked + status.quarantined + status.damaged + status.waiting_records,
        "{status:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_reaches_the_store_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::default());
    let spool = SpooledSink::open(
        SpoolConfig {
            in_flight: 1,
            ..config(&dir)
        },
        store.clone(),
    )
    .unwrap();
    for number in 0..200 {
        assert_eq!(
            spool
                .append([frame(1, number * 10, 10, "m")].into())
                .await
                .unwrap(),
            10
        );
    }
    until("the drain", || spool.status().is_drained()).await;
    assert_eq!(store.records(), 2_000);
    assert!(store.order.lock().unwrap().is_sorted());
    assert_eq!(
        spool.watermark(OriginId::from_u128(1)).await.unwrap(),
        Some(2_000)
    );
    let status = spool.status();
    assert_eq!(
        (status.spooled, status.acked, status.state),
        (2_000, 2_000, SpoolState::Passing)
    );
    adds_up(&spool);
    // Nothing stays once its time has passed but the positions.
    until("the removal", || spool.status().bytes == 0).await;
    spool.close().await;
    assert!(matches!(
        spool.append([frame(1, 0, 1, "m")].into()).await,
        Err(StoreError::Cancelled)
    ));
    let spool = SpooledSink::open(config(&dir), store).unwrap();
    assert_eq!(
        spool.watermark(OriginId::from_u128(1)).await.unwrap(),
        Some(2_000)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_gets_everything_when_it_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::default());
    store.set(Mood::Unreachable);
    let spool = SpooledSink::open(config(&dir), store.clone()).unwrap();
    for number in 0..50 {
        spool
            .append([frame(1, number * 10, 10, &"m".repeat(50_000))].into())
            .await
            .unwrap();
    }
    until("the pause", || {
        matches!(spool.status().state, SpoolState::Away { .. })
    })
    .await;
    let status = spool.status();
    assert_eq!((status.waiting_records, status.waiting_groups), (500, 50));
    assert!(status.oldest_waiting.is_some());
    let sentence = status.sentence(ToString::to_string).unwrap();
    assert!(
        sentence.contains("Cassandra is unreachable at 10.0.0.1:9042: refused; 2 % of 1 GiB"),
        "{sentence}"
    );
    adds_up(&spool);
    // The spool answers for what it holds, and for what began after it: nobody else can have sent
    // that. For anything else there is only the store.
    let other = OriginId::from_u128(2);
    assert_eq!(
        spool.watermark(OriginId::from_u128(1)).await.unwrap(),
        Some(500)
    );
    assert!(spool.watermark(other).await.is_err());
    let now = Timestamp::now();
    let later = now.saturating_add(Duration::from_secs(5));
    assert_eq!(
        spool.watermark_of_new(other, Some(later)).await.unwrap(),
        None
    );
    assert_eq!(
        spool
            .watermark_of_new(OriginId::from_u128(1), Some(later))
            .await
            .unwrap(),
        Some(500)
    );
    let earlier = now.saturating_sub(Duration::from_secs(600));
    assert!(spool.watermark_of_new(other, Some(earlier)).await.is_err());
    assert!(spool.watermark_of_new(other, None).await.is_err());
    spool.close().await;

    let spool = SpooledSink::open(config(&dir), store.clone()).unwrap();
    assert_eq!(spool.status().recovered, 500);
    spool.append([frame(1, 500, 10, "m")].into()).await.unwrap();
    store.set(Mood::Takes);
    until("the drain", || spool.status().is_drained()).await;
    assert_eq!(store.records(), 510);
    assert_eq!(spool.status().acked, 510);
    adds_up(&spool);
    spool.close().await;
}

/// In virtual time, in which the shorter wait always ends first.
#[tokio::test(start_paused = true)]
async fn a_reader_of_files_waits_a_moment_for_a_slow_store_and_not_for_one_that_is_away() {
    const SHORT: Duration = Duration::from_millis(100);
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::default());
    store.set(Mood::Slow);
    let config = SpoolConfig {
        in_flight: 1,
        ..config(&dir)
    };
    let spool = SpooledSink::open(config, Arc::clone(&store) as _).unwrap();
    assert!(
        tokio::time::timeout(SHORT, spool.room()).await.is_ok(),
        "nothing waits yet"
    );
    for number in 0..4 {
        spool
            .append([frame(1, number * 100, 100, &"x".repeat(40_000))].into())
            .await
            .unwrap();
    }
    assert!(
        tokio::time::timeout(SHORT, spool.room()).await.is_err(),
        "12 MB wait in memory"
    );
    // It does not keep a reader for good from a file that is about to be rotated.
    assert!(tokio::time::timeout(SHORT * 4, spool.room()).await.is_ok());
    store.set(Mood::Unreachable);
    until("the outage", || {
        matches!(spool.status().state, SpoolState::Away { .. })
    })
    .await;
    assert!(
        tokio::time::timeout(SHORT, spool.room()).await.is_ok(),
        "the disk is for outages"
    );
    store.set(Mood::Takes);
    until("the end", || spool.status().is_drained()).await;
    assert!(tokio::time::timeout(SHORT, spool.room()).await.is_ok());
    assert_eq!(store.records(), 400);
    spool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_what_was_acknowledged_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::default());
    let kept = SpoolConfig {
        keep: Duration::from_secs(60),
        ..config(&dir)
    };
    let spool = SpooledSink::open(kept, store.clone()).unwrap();
    for number in 0..30 {
        spool
            .append([frame(1, number * 10, 10, "m")].into())
            .await
            .unwrap();
    }
    until("the first drain", || spool.status().is_drained()).await;
    // The store forgets what it said it had.
    store.frames.lock().unwrap().clear();
    store.set(Mood::Unreachable);
    spool.append([frame(1, 300, 10, "m")].into()).await.unwrap();
    until("the pause", || {
        matches!(spool.status().state, SpoolState::Away { .. })
    })
    .await;
    store.set(Mood::Takes);
    until("the replay", || store.records() == 310).await;
    until("its count", || spool.status().replayed >= 300).await;
    adds_up(&spool);

    // The same when the store itself noticed.
    store.frames.lock().unwrap().clear();
    store.outages.store(1, Ordering::Relaxed);
    spool.append([frame(1, 310, 10, "m")].into()).await.unwrap();
    until("the second replay", || store.records() == 320).await;
    adds_up(&spool);
    spool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_frames_are_found_and_kept_and_the_others_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::default());
    store.set(Mood::Picky);
    let spool = SpooledSink::open(config(&dir), store.clone()).unwrap();
    let mut frames: Vec<Frame> = (0..8)
        .map(|number| frame(1, number * 10, 10, "good"))
        .collect();
    frames[2].entries[4].message = "poison".into();
    frames[7].entries[9].message = "poison".into();
    spool.append(frames.clone().into()).await.unwrap();
    spool
        .append([frame(1, 80, 10, "good")].into())
        .await
        .unwrap();
    until("the drain", || spool.status().is_drained()).await;
    let status = spool.status();
    assert_eq!(
        (store.records(), status.acked, status.quarantined),
        (88, 88, 2)
    );
    adds_up(&spool);
    spool.close().await;

    let folder = quarantine::folder(&dir.path().join("spool"));
    let mut ids = quarantine::ids(&folder).unwrap();
    ids.sort_unstable();
    let kept: Vec<_> = ids
        .iter()
        .map(|id| quarantine::open(&folder, id).unwrap())
        .collect();
    assert_eq!(kept.len(), 2);
    for (kept, (frame, entry)) in kept.iter().zip([(2, 4), (7, 9)]) {
        let bad = &frames[frame].entries[entry];
        assert!(kept.reason.contains("too bad"), "{}", kept.reason);
        assert_eq!(
            kept.frames.as_ref().unwrap()[0].entries,
            std::slice::from_ref(bad),
            "only the bad record"
        );
        assert_eq!(
            kept.id,
            RecordId {
                origin: frames[frame].origin.id,
                position: bad.position
            }
            .to_string()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_has_to_mend_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::default());
    store.set(Mood::Unusable);
    let spool = SpooledSink::open(config(&dir), store.clone()).unwrap();
    spool.append([frame(1, 0, 10, "m")].into()).await.unwrap();
    until("the pause", || {
        spool
            .status()
            .sentence(ToString::to_string)
            .is_some_and(|text| text.contains("this program knows up to"))
    })
    .await;
    assert_eq!(spool.status().waiting_records, 10);
    store.set(Mood::Takes);
    until("the drain", || spool.status().is_drained()).await;
    assert_eq!((store.records(), spool.status().quarantined), (10, 0));
    spool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_refuses_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::default());
    store.set(Mood::Unreachable);
    let small = SpoolConfig {
        max_bytes: 1 << 20,
        segment_bytes: 64 << 10,
        ..config(&dir)
    };
    let spool = SpooledSink::open(small, store.clone()).unwrap();
    let text = "m".repeat(10_000);
    let mut taken = 0;
    let refusal = loop {
        match spool.append([frame(1, taken, 1, &text)].into()).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(
        refusal.is_transient() && refusal.to_string().contains("it is full (1 MiB"),
        "{refusal}"
    );
    assert!((95..110).contains(&taken), "{taken}");
    let status = spool.status();
    assert!(
        status.bytes <= 1 << 20 && status.stuck.is_some(),
        "{status:?}"
    );
    store.set(Mood::Takes);
    until("room", || spool.status().bytes < 500_000).await;
    spool
        .append([frame(1, taken, 1, &text)].into())
        .await
        .unwrap();
    until("the drain", || spool.status().is_drained()).await;
    assert_eq!(store.records() as u64, taken + 1);
    assert_eq!(spool.status().stuck, None);
    adds_up(&spool);
    spool.close().await;
}

/// R7: one reader of a state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::default());
    let first = SpooledSink::open(config(&dir), store.clone()).unwrap();
    assert!(matches!(
        SpooledSink::open(config(&dir), store.clone()),
        Err(SpoolError::Locked { .. })
    ));
    first.close().await;
    assert!(SpooledSink::open(config(&dir), store).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_at_the_same_time_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::default());
    let spool = Arc::new(SpooledSink::open(config(&dir), store.clone()).unwrap());
    let appends: Vec<_> = (0..400)
        .map(|number| {
            let spool = Arc::clone(&spool);
            tokio::spawn(async move {
                spool
                    .append([frame(number, 0, 1, "m")].into())
                    .await
                    .unwrap()
            })
        })
        .collect();
    for append in appends {
        append.await.unwrap();
    }
    let status = spool.status();
    assert_eq!(status.groups, 400);
    assert!(status.syncs < 200, "{} syncs", status.syncs);
    until("the drain", || spool.status().is_drained()).await;
    assert_eq!(store.records(), 400);
    spool.close().await;
}
