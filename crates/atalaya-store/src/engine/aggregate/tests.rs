//! Groups against a plain list of records.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::tests::{any_frames, records, runtime, stored};
use super::*;
use atalaya_domain::record::{Frame, Record};
use atalaya_query::{Query, QueryClock};

/// Of each kind: from summaries, from records, by an index, and what lies between.
const QUERIES: [&str; 9] = [
    "",
    "level>=warning",
    "source:source1,source2",
    "layer:app level:info",
    "request_id:r1",
    "has:request_id",
    "since:1969-12-31T23:59:59.999999Z until:1970-01-01T00:00:00.00002Z",
    "since:1970-01-01T00:05Z until:1970-01-01T00:17:00.000001Z",
    "level:error or meta.n>3",
];
const AGGREGATES: [&str; 10] = [
    "",
    "by level",
    "by source,level per minute",
    "by layer per hour top 1",
    "by request_id top 2",
    "by meta.n,level,source",
    "per 90s",
    "rate by source per second",
    "p50 p99 avg min max sum by source",
    "max meta.n by level per 10m top 2",
];

fn parsed(text: &str) -> Query {
    let clock = QueryClock {
        now: Timestamp::from_seconds(0),
        zone: Zone::Utc,
    };
    Query::parse(text, &clock).unwrap()
}

/// Every third record has a number, every second a duration.
fn with_numbers(mut frames: Vec<Frame>) -> Vec<Frame> {
    for entry in frames.iter_mut().flat_map(|frame| frame.entries.iter_mut()) {
        if entry.position % 3 == 0 {
            let number = (entry.position % 7).to_string();
            entry.metadata = vec![("N".into(), number.into())];
        }
        entry.duration_ms = (entry.position % 2 == 0).then_some((entry.position % 41) as f64);
    }
    frames
}

type Counted = BTreeMap<(Option<Timestamp>, Vec<Option<String>>), Vec<Record>>;

fn counted(frames: &[Frame], query: &Query, by: &Aggregate) -> Counted {
    let mut groups = Counted::new();
    for record in records(frames) {
        let at = record.entry.timestamp;
        if query.matches(&record) && holds(&query.range(), at) {
            let value = |field: &atalaya_query::GroupField| {
                let value = field.value(&record.origin, &record.entry);
                value.map(std::borrow::Cow::into_owned)
            };
            let key = by.by.iter().map(value).collect();
            let group = groups.entry((by.span_of(at, Zone::Utc), key)).or_default();
            group.push(record);
        }
    }
    groups
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn groups_are_those_of_the_list(
        frames in any_frames(),
        query in prop::sample::select(&QUERIES[..]),
        text in prop::sample::select(&AGGREGATES[..]),
    ) {
        let frames = with_numbers(frames);
        let (query, by) = (parsed(query), Aggregate::parse(text).unwrap());
        let cancel = CancellationToken::new();
        let found = runtime().block_on(async {
            let engine = stored(&frames).await;
            engine.aggregate(&query, &by, Zone::Utc, &cancel).await.unwrap()
        });
        let expected = counted(&frames, &query, &by);
        prop_assert_eq!(found.total, expected.values().map(|group| group.len() as u64).sum::<u64>());
        let keys: std::collections::BTreeSet<_> = expected.keys().map(|(_, key)| key).collect();
        prop_assert_eq!(found.groups, keys.len() as u64);
        prop_assert!(!found.cut);
        let shown: u64 = found.rows.iter().map(|row| row.count).sum();
        prop_assert_eq!(found.others, found.total - shown);
        let total_of = |key: &Vec<_>| -> usize {
            expected.iter().filter(|((_, other), _)| other == key).map(|(_, group)| group.len()).sum()
        };
        let shown_keys: std::collections::BTreeSet<_> = found.rows.iter().map(|row| &row.key).collect();
        prop_assert_eq!(shown_keys.len(), by.top.unwrap_or(usize::MAX).min(keys.len()));
        let least = shown_keys.iter().map(|key| total_of(key)).min();
        let left_out = keys.difference(&shown_keys).map(|key| total_of(key)).max();
        prop_assert!(left_out.is_none() || left_out <= least, "{:?} > {:?}", left_out, least);
        for row in &found.rows {
            let group = &expected[&(row.at, row.key.clone())];
            prop_assert_eq!(row.count, group.len() as u64);
            let numbers: Vec<f64> = group.iter().filter_map(|record| by.number.of(&record.entry)).collect();
            for (&statistic, &value) in by.statistics.iter().zip(&row.statistics) {
                let plain = match statistic {
                    Statistic::Average => stats::mean(&numbers),
                    Statistic::Least => stats::quantile(&numbers, 0.0),
                    Statistic::Most => stats::quantile(&numbers, 1.0),
                    Statistic::Sum => (!numbers.is_empty()).then(|| numbers.iter().sum()),
                    Statistic::Percentile(percent) => stats::quantile(&numbers, percent / 100.0),
                };
                let near = match (plain, value) {
                    (Some(plain), Some(value)) => (plain - value).abs() <= 1e-9 * plain.abs().max(1.0),
                    (plain, value) => plain == value,
                };
                prop_assert!(near, "{}: {:?} is not {:?}", statistic, value, plain);
            }
        }
        let sorted = found.rows.is_sorted_by(|one, next| {
            let more = total_of(&one.key).cmp(&total_of(&next.key)).reverse();
            one.at.cmp(&next.at).then(more).then_with(|| one.key.cmp(&next.key)).is_le()
        });
        prop_assert!(sorted);
    }

    /// More numbers than are kept as they are: within the error of the sketch, of any distribution.
    #[test]
    fn a_percentile_of_many_is_near(
        numbers in prop::collection::vec(prop_oneof![0.0..10.0, 0.5..1.0e7, Just(3.0)], 300..1_500),
        cuts in prop::collection::vec(0_usize..1_500, 0..4),
        percent in 1.0..99.0,
    ) {
        let mut all = Tallies::default();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(numbers.len())).collect();
        cuts.extend([0, numbers.len()]);
        cuts.sort_unstable();
        for range in cuts.windows(2) {
            let mut part = Tallies::default();
            for &number in &numbers[range[0]..range[1]] {
                part.add_number(number, true);
            }
            all.merge(part);
        }
        let found = all.statistic(Statistic::Percentile(percent)).unwrap();
        let mut sorted = numbers.clone();
        sorted.sort_by(f64::total_cmp);
        // The sketch answers with one of the two neighbours in rank, or nearly.
        let rank = percent / 100.0 * (sorted.len() - 1) as f64;
        let low = sorted[(rank.floor() as usize).saturating_sub(1)];
        let high = sorted[(rank.ceil() as usize + 1).min(sorted.len() - 1)];
        prop_assert!(low * (1.0 - SKETCH_ERROR) - 1e-6 <= found && found <= high * (1.0 + SKETCH_ERROR) + 1e-6,
            "p{} is {}, not between {} and {}", percent, found, low, high);
    }
}

#[test]
fn what_summaries_tell_reads_no_record() {
    let frames: Vec<Frame> = (0..3)
        .map(|origin| Frame {
            origin: Arc::new(Origin {
                id: atalaya_domain::record::OriginId::from_u128(origin),
                layer: atalaya_domain::record::Layer::Application,
                source: format!("app/{origin}").into(),
                host: "host".into(),
            }),
            from: 0,
            until: 100,
            entries: (0..100_u32)
                .map(|second| Entry {
                    timestamp: Timestamp::from_seconds(i64::from(second) * 7),
                    position: second.into(),
                    ..Entry::default()
                })
                .collect(),
        })
        .collect();
    let by = Aggregate::parse("by source,level per minute").unwrap();
    let cancel = CancellationToken::new();
    let found = runtime().block_on(async {
        let engine = stored(&frames).await;
        let query = parsed("level:info source:app/*");
        engine
            .aggregate(&query, &by, Zone::Utc, &cancel)
            .await
            .unwrap()
    });
    assert_eq!(
        (found.scanned.records, found.groups, found.total),
        (0, 3, 300)
    );
    assert_eq!(found.rows.len(), 3 * 12);
}

#[test]
fn groups_beyond_the_bound_are_counted_together() {
    let by = Aggregate::parse("p50 by request_id").unwrap();
    let mut tally = Tallied::new(&by, Zone::Utc, TimeRange::ALL);
    let origin = Origin {
        id: atalaya_domain::record::OriginId::from_u128(1),
        layer: atalaya_domain::record::Layer::Application,
        source: "app".into(),
        host: "host".into(),
    };
    let over = MOST_GROUPS_OF_NUMBERS as u64 + 5;
    for place in 0..over {
        let entry = Entry {
            request_id: Some(atalaya_domain::record::RequestId::new(format!("r{place}"))),
            ..Entry::default()
        };
        tally.add(&origin, &entry);
    }
    let found = tally.into_groups(Scanned::default());
    assert!(found.cut);
    assert_eq!(
        (found.rows.len(), found.others),
        (MOST_GROUPS_OF_NUMBERS, 5)
    );
    assert_eq!(found.total, over);
}
