//! What the tests of `atalaya db copy` share, with and without servers: a source that holds
//! something of everything, and the comparison of two stores record by record.

#![allow(dead_code, reason = "each of the two test binaries uses its part")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use atalaya::domain::record::{
    Entry, Frame, Layer, Level, Origin, OriginId, Record, RecordId, RequestId,
};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::query::Query;
use atalaya::store::chunks::{ChunkStore, FrameChunks, Order};
use atalaya::store::engine::{LogEngine, PageRequest};
use atalaya::store::metrics::{DeliveryFilter, HealthSample, MetricsStore, Target};
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use tokio_util::sync::CancellationToken;

/// An origin that was read and gave no record.
pub(crate) const SILENT: OriginId = OriginId::from_u128(0x51_1e_47);
/// Spans both layers and ninety days.
pub(crate) const REQUEST: &str = "req-copied";

pub(crate) fn atalaya(home: &Path, arguments: &[&str]) -> Output {
    command(home, arguments).output().unwrap()
}

pub(crate) fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home);
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command says, which must have succeeded.
pub(crate) fn done(output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out
}

pub(crate) async fn logs(folder: &Path) -> Arc<dyn ChunkStore> {
    Arc::new(
        SqliteChunkStore::open(&folder.join("logs.db"))
            .await
            .unwrap(),
    )
}

pub(crate) async fn metrics(folder: &Path) -> Arc<dyn MetricsStore> {
    Arc::new(
        SqliteMetricsStore::open(&folder.join("metrics.db"))
            .await
            .unwrap(),
    )
}

/// A company of three services, and what a company does not have: hostile texts, records of one
/// microsecond, a request over ninety days, an origin without records, targets and samples.
pub(crate) async fn fill(folder: &Path) {
    let home = folder.parent().unwrap();
    done(&atalaya(
        home,
        &["demo", "--fill", folder.to_str().unwrap()],
    ));
    let store = logs(folder).await;
    let engine = LogEngine::new(Arc::clone(&store));
    let now = Timestamp::now().micros();
    let day = 86_400_000_000;
    for layer in Layer::ALL {
        let origin = Arc::new(Origin {
            id: OriginId::derive(&[layer.name().as_bytes()]),
            layer,
            source: "app/hostile\u{202e}".into(),
            host: "h\u{f6}st".into(),
        });
        let entries: Vec<Entry> = (0..90)
            .map(|index| Entry {
                timestamp: Timestamp::from_micros(now - (index / 3) * 3 * day + day / 2),
                position: index.unsigned_abs() * 1_000,
                level: Level::ALL[(index % 5) as usize],
                message: format!("line {index} \x1b[2J\0 日本 \u{1f600}").into(),
                logger: (index % 2 == 0).then(|| "a.b".into()),
                request_id: Some(RequestId::new(REQUEST)),
                user_id: Some(" u ".into()),
                session_id: (index % 7 == 0).then(|| "".into()),
                duration_ms: (index % 4 == 0).then_some(0.1 + index as f64),
                traceback: (index % 9 == 0).then(|| "Trace\n  at x\n".into()),
                metadata: vec![("b".into(), "2".into()), ("a".into(), "".into())],
            })
            .collect();
        engine
            .append(&[Frame {
                origin,
                from: 0,
                until: 90_000,
                entries,
            }])
            .await
            .unwrap();
    }
    store
        .put(vec![FrameChunks {
            origin: SILENT,
            until: 77,
            chunks: Vec::new(),
            requests: Vec::new(),
        }])
        .await
        .unwrap();
    let metrics = metrics(folder).await;
    for service in [None, Some("shop".to_owned())] {
        let set_at = Timestamp::now();
        let metric = "change_lead_time".to_owned();
        metrics
            .put_target(&Target {
                metric,
                service,
                team: None,
                value: 0.1,
                set_at,
            })
            .await
            .unwrap();
    }
    let samples: Vec<HealthSample> = (0..12_000)
        .map(|index| HealthSample {
            component: format!("c{}", index % 7),
            measure: "latency_ms".to_owned(),
            taken_at: Timestamp::from_micros(now - (index / 7) * 1_000),
            value: index as f64 / 3.0,
        })
        .collect();
    metrics.put_health_samples(&samples).await.unwrap();
}

/// Every record of a store, by what it is.
pub(crate) async fn records(store: &Arc<dyn ChunkStore>) -> BTreeMap<RecordId, Record> {
    let engine = LogEngine::new(Arc::clone(store));
    let mut request = PageRequest {
        query: Query::everything(),
        range: TimeRange::ALL,
        order: Order::OldestFirst,
        after: None,
        limit: 5_000,
        scan_limit: u64::MAX,
        cancel: CancellationToken::new(),
    };
    let mut records = BTreeMap::new();
    loop {
        let page = engine.page(&request).await.unwrap();
        for mut record in page.records {
            // Not every store keeps their order.
            record.entry.metadata.sort();
            let again = records.insert(record.id(), record);
            assert_eq!(again, None, "a record is there twice");
        }
        let Some(end) = page.next else { return records };
        request.after = Some(end.cursor);
    }
}

/// Records that a store holds by its summaries: more than there are when something is stored twice.
pub(crate) async fn counted(store: &Arc<dyn ChunkStore>) -> u64 {
    let mut count = 0;
    for layer in Layer::ALL {
        let buckets = store
            .buckets(layer, TimeRange::ALL, Order::OldestFirst, usize::MAX)
            .await
            .unwrap();
        for bucket in buckets {
            let summaries = store.summaries(bucket).await.unwrap();
            count += summaries
                .iter()
                .map(|summary| u64::from(summary.records()))
                .sum::<u64>();
        }
    }
    count
}

pub(crate) async fn assert_same_logs(from: &Arc<dyn ChunkStore>, to: &Arc<dyn ChunkStore>) {
    let expected = records(from).await;
    assert!(expected.len() > 1_000);
    assert_eq!(records(to).await, expected);
    assert_eq!(
        counted(to).await,
        expected.len() as u64,
        "something is stored twice"
    );
    let mut after = None;
    loop {
        let page = from.watermarks(after, 100).await.unwrap();
        let Some(&(last, _)) = page.last() else { break };
        after = Some(last);
        for (origin, until) in page {
            assert_eq!(to.watermark(origin).await.unwrap(), Some(until), "{origin}");
        }
    }
    assert_eq!(to.watermark(SILENT).await.unwrap(), Some(77));
    let trace = |store: &Arc<dyn ChunkStore>| {
        let engine = LogEngine::new(Arc::clone(store));
        async move {
            engine
                .trace(&RequestId::new(REQUEST), 1_000)
                .await
                .unwrap()
                .records
        }
    };
    let (traced, expected) = (trace(to).await, trace(from).await);
    assert_eq!(expected.len(), 180);
    assert_eq!(
        traced.iter().map(Record::id).collect::<Vec<_>>(),
        expected.iter().map(Record::id).collect::<Vec<_>>()
    );
}

pub(crate) async fn assert_same_metrics(from: &Arc<dyn MetricsStore>, to: &Arc<dyn MetricsStore>) {
    let all = DeliveryFilter::default();
    let deployments = from.deployments(&all).await.unwrap().read;
    assert!(deployments.len() > 50);
    assert_eq!(to.deployments(&all).await.unwrap().read, deployments);
    assert_eq!(
        to.incidents(&all).await.unwrap(),
        from.incidents(&all).await.unwrap()
    );
    assert_eq!(
        to.phases(&all).await.unwrap().read,
        from.phases(&all).await.unwrap().read
    );
    assert_eq!(
        to.cycles(&all, 10_000).await.unwrap(),
        from.cycles(&all, 10_000).await.unwrap()
    );
    assert_eq!(
        to.pdca_events(None).await.unwrap(),
        from.pdca_events(None).await.unwrap()
    );
    assert_eq!(to.targets().await.unwrap(), from.targets().await.unwrap());
    assert_eq!(to.sources().await.unwrap(), from.sources().await.unwrap());
    let samples = to
        .health_samples(None, TimeRange::ALL, 100_000)
        .await
        .unwrap();
    assert_eq!(samples.len(), 12_000);
    assert_eq!(
        samples,
        from.health_samples(None, TimeRange::ALL, 100_000)
            .await
            .unwrap()
    );
}
