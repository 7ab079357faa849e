//! The schema of a keyspace: made twice and by two at once, older, newer, missing; and what a user
//! is told.

use atalaya::domain::record::Layer;
use atalaya::store::cassandra::schema::{self, Replication, SchemaSettings};
use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions, connect};
use atalaya::store::chunks::ChunkStore as _;
use atalaya::store::engine::LogEngine;
use atalaya::store::error::{Remedy, StoreError};
use xtask::services::cluster::Cluster;

use crate::keyspace::{Keyspace, for_ever};
use crate::log_store_suite::{frame, origin};

const START: i64 = 1_790_000_000_000_000;

async fn refused(options: &CassandraOptions) -> StoreError {
    CassandraLogStore::connect(options)
        .await
        .map(drop)
        .unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_make_it_at_once_and_a_third_later() {
    let keyspace = Keyspace::unmade().await;
    let other = connect(&keyspace.options).await.unwrap();
    let settings = [
        SchemaSettings {
            bucket_minutes: 10,
            ..for_ever()
        },
        SchemaSettings {
            bucket_minutes: 5,
            ..for_ever()
        },
    ];
    let (one, two) = tokio::join!(
        schema::init(&keyspace.session, &keyspace.options, &settings[0]),
        schema::init(&other, &keyspace.options, &settings[1]),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one, two);
    assert_eq!(one.version, Some(schema::VERSION));
    assert_eq!(
        one.migrations.len() as i64,
        schema::VERSION,
        "each applied once"
    );
    let chosen = one.settings.clone().unwrap();
    assert!(
        settings.contains(&chosen),
        "the settings of one of them, whole"
    );

    let again = SchemaSettings {
        bucket_minutes: 60,
        ..for_ever()
    };
    assert_eq!(
        schema::init(&other, &keyspace.options, &again)
            .await
            .unwrap(),
        one,
        "nothing changes"
    );
    assert_eq!(
        schema::migrate(&other, &keyspace.options).await.unwrap(),
        one
    );
    let store = keyspace.store().await;
    assert_eq!(store.settings().bucket_minutes, chosen.bucket_minutes);
    assert_eq!(store.schema_settings(), &chosen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_older_or_newer_is_said_with_the_remedy() {
    let keyspace = Keyspace::unmade().await;
    let (session, options) = (&keyspace.session, &keyspace.options);
    let missing = refused(options).await;
    assert!(
        matches!(missing, StoreError::MissingSchema { .. }),
        "{missing:?}"
    );
    assert_eq!(missing.remedy(), Some(Remedy::InitSchema), "{missing}");
    let nothing = schema::migrate(session, options).await.unwrap_err();
    assert!(
        matches!(nothing, StoreError::MissingSchema { .. }),
        "{nothing:?}"
    );
    let status = schema::status(session, options).await.unwrap();
    assert_eq!(
        (status.version, status.settings, status.known),
        (None, None, schema::VERSION)
    );

    let settings = SchemaSettings {
        replication: Replication::Simple(1),
        shards: 3,
        ..for_ever()
    };
    schema::init(session, options, &settings).await.unwrap();
    let run = async |text: &str| {
        session
            .query_unpaged(text.replace("{ks}", keyspace.name()), ())
            .await
            .unwrap();
    };
    run("DROP TABLE {ks}.watermarks").await;
    run("DELETE FROM {ks}.schema_migrations WHERE version IN (4, 5)").await;
    let older = refused(options).await;
    assert!(
        matches!(
            older,
            StoreError::OlderSchema {
                found: 3,
                known: schema::VERSION,
                ..
            }
        ),
        "{older:?}"
    );
    assert_eq!(older.remedy(), Some(Remedy::MigrateSchema), "{older}");
    let zstd = "{'class': 'ZstdCompressor', 'chunk_length_in_kb': 64}";
    run(&format!(
        "ALTER TABLE {{ks}}.application_summaries WITH compression = {zstd}"
    ))
    .await;
    assert_eq!(
        schema::migrate(session, options).await.unwrap().version,
        Some(schema::VERSION)
    );
    let found = session
        .query_unpaged(
            "SELECT compression['chunk_length_in_kb'] FROM system_schema.tables \
             WHERE keyspace_name = ? AND table_name = 'application_summaries'",
            (keyspace.name(),),
        )
        .await
        .unwrap();
    let block: (String,) = found.into_rows_result().unwrap().single_row().unwrap();
    assert_eq!(block.0, "8", "an older table is changed by the migration");
    let store = keyspace.store().await;
    assert_eq!(store.schema_settings(), &settings);
    LogEngine::new(std::sync::Arc::new(store))
        .append(&[frame(&origin(1, Layer::Application), 0, [START])])
        .await
        .unwrap();

    run(
        "INSERT INTO {ks}.schema_migrations (version, name, applied_at, applied_by) \
         VALUES (99, 'later', toTimestamp(now()), 'x')",
    )
    .await;
    let newer = refused(options).await;
    assert!(
        matches!(newer, StoreError::NewerSchema { found: 99, .. }),
        "{newer:?}"
    );
    assert_eq!(newer.remedy(), Some(Remedy::NewerProgram), "{newer}");
    let newer = schema::migrate(session, options).await.unwrap_err();
    assert!(
        matches!(newer, StoreError::NewerSchema { found: 99, .. }),
        "{newer:?}"
    );

    let nowhere = CassandraOptions {
        nodes: vec!["127.0.0.1:1".to_owned()],
        ..options.clone()
    };
    let away = refused(&nowhere).await;
    assert!(
        matches!(away, StoreError::Unavailable { .. }) && away.is_transient(),
        "{away:?}"
    );
    assert!(away.to_string().contains("127.0.0.1:1"), "{away}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_not_a_wrong_address_and_a_reader_may_read() {
    let ring = tokio::task::spawn_blocking(|| Cluster::builder().authentication().start().unwrap());
    let ring = ring.await.unwrap();
    let address = ring.addresses()[0].to_string();
    let as_user = |user: &str, password: &str| CassandraOptions {
        user: Some(user.to_owned()),
        password: Some(password.to_owned().into()),
        ..CassandraOptions::new([address.clone()], "logging")
    };
    let admin = as_user("cassandra", "cassandra");
    let session = connect(&admin).await.unwrap();
    schema::init(&session, &admin, &for_ever()).await.unwrap();
    for statement in [
        "CREATE ROLE reader WITH PASSWORD = 'right' AND LOGIN = true",
        "GRANT SELECT ON KEYSPACE logging TO reader",
    ] {
        session.query_unpaged(statement, ()).await.unwrap();
    }
    let written = [frame(&origin(1, Layer::Application), 0, [START])];
    let writer = LogEngine::new(std::sync::Arc::new(
        CassandraLogStore::connect(&admin).await.unwrap(),
    ));
    writer.append(&written).await.unwrap();

    for wrong in [as_user("reader", "wrong"), as_user("nobody", "right")] {
        let rejected = refused(&wrong).await;
        assert!(
            matches!(rejected, StoreError::NotAuthenticated { .. }),
            "{rejected:?}"
        );
        assert!(!rejected.to_string().contains("wrong\""), "{rejected}");
    }
    let anonymous = CassandraOptions {
        user: None,
        password: None,
        ..admin.clone()
    };
    let rejected = refused(&anonymous).await;
    assert!(
        matches!(rejected, StoreError::NotAuthenticated { .. }),
        "{rejected:?}"
    );

    let reader = CassandraLogStore::connect(&as_user("reader", "right"))
        .await
        .unwrap();
    assert_eq!(
        reader.watermark(written[0].origin.id).await.unwrap(),
        Some(1)
    );
    let denied = LogEngine::new(std::sync::Arc::new(reader))
        .append(&written)
        .await
        .unwrap_err();
    assert!(
        matches!(denied, StoreError::NotAuthorised { .. }) && !denied.is_transient(),
        "{denied:?}"
    );
    assert!(denied.to_string().contains("reader"), "{denied}");
    let session = connect(&as_user("reader", "right")).await.unwrap();
    let elsewhere = CassandraOptions {
        keyspace: "other".to_owned(),
        ..as_user("reader", "right")
    };
    let denied = schema::init(&session, &elsewhere, &for_ever())
        .await
        .unwrap_err();
    assert!(
        matches!(denied, StoreError::NotAuthorised { .. }),
        "{denied:?}"
    );
}
