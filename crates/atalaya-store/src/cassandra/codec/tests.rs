#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use scylla::frame::response::result::{CollectionType, ColumnType, NativeType, UserDefinedType};
use scylla::serialize::value::SerializeValue as _;
use scylla::serialize::writers::CellWriter;
use scylla::value::{CqlTimestamp, CqlValue};

use super::*;
use crate::chunks::ChunkSettings;
use crate::engine::build::{bucket_of, build};
use atalaya_domain::record::{Frame, Text};

const TEXT: ColumnType<'static> = ColumnType::Native(NativeType::Text);
const BIGINT: ColumnType<'static> = ColumnType::Native(NativeType::BigInt);
const INT: ColumnType<'static> = ColumnType::Native(NativeType::Int);

fn list(of: ColumnType<'static>) -> ColumnType<'static> {
    ColumnType::Collection {
        frozen: true,
        typ: CollectionType::List(Box::new(of)),
    }
}

fn user_type(
    name: &'static str,
    fields: Vec<(&'static str, ColumnType<'static>)>,
) -> ColumnType<'static> {
    let field_types = fields
        .into_iter()
        .map(|(name, typ)| (name.into(), typ))
        .collect();
    let definition = UserDefinedType {
        name: name.into(),
        keyspace: "k".into(),
        field_types,
    };
    ColumnType::UserDefinedType {
        frozen: true,
        definition: Arc::new(definition),
    }
}

/// As `cql/0001_chunks.cql` declares them.
fn logs_type() -> ColumnType<'static> {
    let pair = ColumnType::Tuple(vec![TEXT, TEXT]);
    list(user_type(
        "application_record",
        vec![
            ("timestamp_us", BIGINT),
            ("position", BIGINT),
            ("level", TEXT),
            ("logger", TEXT),
            ("message", TEXT),
            ("request_id", TEXT),
            ("user_id", TEXT),
            ("session_id", TEXT),
            ("duration_ms", ColumnType::Native(NativeType::Double)),
            ("traceback", TEXT),
            ("metadata", list(pair)),
        ],
    ))
}

fn summary_type() -> ColumnType<'static> {
    let counts = ["debug", "info", "warning", "error", "critical"].map(|level| (level, INT));
    let minute = [("minute", ColumnType::Native(NativeType::Timestamp))];
    let minutes = user_type("minute_counts", minute.into_iter().chain(counts).collect());
    let levels = CollectionType::Map(Box::new(TEXT), Box::new(INT));
    user_type(
        "chunk_summary",
        vec![
            ("first_us", BIGINT),
            ("last_us", BIGINT),
            ("records", INT),
            ("bytes", INT),
            (
                "levels",
                ColumnType::Collection {
                    frozen: true,
                    typ: levels,
                },
            ),
            ("minutes", list(minutes)),
            ("host", TEXT),
            ("source", TEXT),
            ("origin", ColumnType::Native(NativeType::Uuid)),
        ],
    )
}

/// What a plain client reads.
fn generic(bytes: &[u8], typ: &ColumnType<'_>) -> CqlValue {
    CqlValue::deserialize(typ, Some(FrameSlice::new_borrowed(bytes))).unwrap()
}

/// What a plain client writes.
fn written(value: &CqlValue, typ: &ColumnType<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.serialize(typ, CellWriter::new(&mut bytes)).unwrap();
    bytes.split_off(4) // its length
}

fn any_text() -> impl Strategy<Value = Text> {
    prop_oneof![
        any::<String>(),
        Just(String::new()),
        "[a-z\\x00\\x1b]{0,80}"
    ]
    .prop_map(Into::into)
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let duration =
        prop::option::of(any::<f64>().prop_filter("equals itself", |value| !value.is_nan()));
    let numbers = (any::<i64>(), any::<u64>(), 0_usize..5, duration);
    let texts = prop::collection::vec(prop::option::of(any_text()), 5);
    let metadata = prop::collection::vec((any_text(), any_text()), 0..4);
    (numbers, any_text(), texts, metadata).prop_map(
        |((at, position, level, duration_ms), message, texts, metadata)| {
            let [logger, request_id, user_id, session_id, traceback] = texts.try_into().unwrap();
            Entry {
                timestamp: Timestamp::from_micros(at),
                position,
                level: Level::ALL[level],
                logger,
                message,
                request_id: request_id.map(RequestId::new),
                user_id,
                session_id,
                duration_ms,
                traceback,
                metadata,
            }
        },
    )
}

fn decode(value: &[u8]) -> Result<Vec<Entry>, Damage> {
    records(value)?.map(|record| record?.entry()).collect()
}

fn text_of(text: Option<&str>) -> Option<CqlValue> {
    text.map(|text| CqlValue::Text(text.to_owned()))
}

fn generic_record(entry: &Entry) -> CqlValue {
    let pairs = entry
        .metadata
        .iter()
        .map(|(name, value)| CqlValue::Tuple(vec![text_of(Some(name)), text_of(Some(value))]));
    let metadata = CqlValue::List(pairs.collect());
    let fields = [
        (
            "timestamp_us",
            Some(CqlValue::BigInt(entry.timestamp.micros())),
        ),
        (
            "position",
            Some(CqlValue::BigInt(entry.position.cast_signed())),
        ),
        ("level", text_of(Some(entry.level.name()))),
        ("logger", text_of(entry.logger.as_deref())),
        ("message", text_of(Some(&entry.message))),
        (
            "request_id",
            text_of(entry.request_id.as_ref().map(RequestId::as_str)),
        ),
        ("user_id", text_of(entry.user_id.as_deref())),
        ("session_id", text_of(entry.session_id.as_deref())),
        ("duration_ms", entry.duration_ms.map(CqlValue::Double)),
        ("traceback", text_of(entry.traceback.as_deref())),
        ("metadata", (!entry.metadata.is_empty()).then_some(metadata)),
    ];
    CqlValue::UserDefinedType {
        keyspace: "k".to_owned(),
        name: "application_record".to_owned(),
        fields: fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

proptest! {
    #[test]
    fn a_plain_client_reads_the_same_and_what_it_writes_is_read(
        entries in prop::collection::vec(any_entry(), 0..20),
    ) {
        let value = Records::new(&entries).encode();
        prop_assert_eq!(value.len(), Records::new(&entries).size());
        let plain = CqlValue::List(entries.iter().map(generic_record).collect());
        prop_assert_eq!(&generic(&value, &logs_type()), &plain);
        prop_assert_eq!(&written(&plain, &logs_type()), &value);
        prop_assert_eq!(decode(&value).unwrap(), entries);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        entries in prop::collection::vec(any_entry(), 0..5),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut value = Records::new(&entries).encode();
        decode(&value[..cut.index(value.len() + 1)]).ok();
        let at = at.index(value.len());
        value[at] = byte;
        decode(&value).ok();
        decode_visible(&value).ok();
        let bucket = |_| Bucket { layer: Layer::Application, start: Timestamp::default() };
        decode_summary(&value, Layer::Application, Uuid::nil(), bucket, &mut Origins::default()).ok();
        decode_request_chunks(&value, &RequestId::new("r"), |_, at| bucket(at)).ok();
    }

    #[test]
    fn summaries_index_rows_and_arrivals_come_back(
        entries in prop::collection::vec(any_entry(), 1..40),
        source in any_text(),
        host in any_text(),
    ) {
        let origin = Arc::new(Origin { id: OriginId::from_u128(u128::MAX - 5), layer: Layer::Infrastructure, source, host });
        let settings = ChunkSettings::default();
        let built = build(&Frame { origin, from: 0, until: 1, entries }, settings);
        let mut arrived = Vec::new();
        for chunk in &built.chunks {
            let key = chunk.summary.key;
            let value = encode_summary(&chunk.summary, 77, Levels::Named);
            let short = encode_summary(&chunk.summary, 77, Levels::Omitted);
            let back = |value: &[u8]| {
                let bucket = |at| bucket_of(Layer::Infrastructure, at, settings);
                decode_summary(value, Layer::Infrastructure, key.id, bucket, &mut Origins::default()).unwrap()
            };
            prop_assert_eq!(&back(&value).summary, &chunk.summary);
            prop_assert_eq!(&back(&short).summary, &chunk.summary);
            prop_assert_eq!(back(&value).bytes, 77);
            // Through a plain client and back.
            let plain = generic(&value, &summary_type());
            prop_assert_eq!(&written(&plain, &summary_type()), &value);
            let CqlValue::UserDefinedType { fields, .. } = plain else { panic!("a user type") };
            let first_minute = chunk.summary.minutes[0].minute.micros().div_euclid(MINUTE) * MINUTE_MS;
            let Some(CqlValue::List(minutes)) = &fields[5].1 else { panic!("minutes") };
            let CqlValue::UserDefinedType { fields: minute, .. } = &minutes[0] else { panic!("a minute") };
            prop_assert_eq!(&minute[0].1, &Some(CqlValue::Timestamp(CqlTimestamp(first_minute))));
            arrived.push((Layer::Infrastructure, key.id, value));
        }
        let value = encode_visible(arrived.iter().map(|(layer, id, summary)| (*layer, *id, summary.as_slice())));
        let back = decode_visible(&value).unwrap();
        prop_assert_eq!(back.len(), arrived.len());
        for ((layer, id, summary), found) in arrived.iter().zip(back) {
            prop_assert_eq!((*layer, *id, summary.as_slice()), found);
        }
        for row in &built.requests {
            let value = encode_request_chunks(&[row, row]);
            let back = decode_request_chunks(&value, &row.request_id, |layer, at| bucket_of(layer, at, settings));
            prop_assert_eq!(back.unwrap(), vec![row.clone(), row.clone()]);
        }
    }
}
