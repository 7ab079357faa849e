#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const SCHEMA: Schema = Schema {
    name: "test",
    application_id: 7,
    readable_from: None,
    migrations: &[
        "CREATE TABLE one (n INTEGER PRIMARY KEY)",
        "CREATE TABLE two (n INTEGER PRIMARY KEY)",
    ],
    mirrored: Mirrored::Every,
};

fn older() -> Schema {
    Schema {
        migrations: &SCHEMA.migrations[..1],
        ..SCHEMA
    }
}

#[tokio::test]
async fn migrates_step_by_step_and_refuses_a_newer_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/test.sqlite");
    SqliteFile::open(&path, &older(), Durability::EachCommit)
        .await
        .unwrap()
        .close()
        .await;
    let file = SqliteFile::open(&path, &SCHEMA, Durability::EachCommit)
        .await
        .unwrap();
    sqlx::query("SELECT * FROM one, two")
        .fetch_all(&file.readers().await.unwrap())
        .await
        .unwrap();
    file.close().await;
    let error = SqliteFile::open(&path, &older(), Durability::EachCommit)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::NewerSchema {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn refuses_the_file_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.sqlite");
    SqliteFile::open(&path, &SCHEMA, Durability::EachCommit)
        .await
        .unwrap()
        .close()
        .await;
    let other = Schema {
        application_id: 8,
        ..SCHEMA
    };
    let error = SqliteFile::open(&path, &other, Durability::EachCommit)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    std::fs::write(
        folder.path().join("text"),
        "plainly no database, and long enough to see it",
    )
    .unwrap();
    let error = SqliteFile::open(&folder.path().join("text"), &SCHEMA, Durability::EachCommit)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::DamagedFile { .. }), "{error}");
}

#[tokio::test]
async fn many_may_create_the_same_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.sqlite");
    let opened = futures::future::join_all(
        (0..8).map(|_| SqliteFile::open(&path, &SCHEMA, Durability::EachCommit)),
    );
    for file in opened.await {
        file.unwrap();
    }
}

#[tokio::test]
async fn readers_cannot_write_and_a_failed_write_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(
        &folder.path().join("test.sqlite"),
        &SCHEMA,
        Durability::Cache,
    )
    .await
    .unwrap();
    let error = sqlx::query("INSERT INTO one VALUES (1)")
        .execute(&file.readers().await.unwrap())
        .await
        .unwrap_err();
    assert!(matches!(file.error(error), StoreError::NotWritable { .. }));
    let failed = file.write(|connection| {
        Box::pin(async move {
            sqlx::raw_sql("INSERT INTO one VALUES (1); INSERT INTO one VALUES (1)")
                .execute(connection)
                .await
        })
    });
    assert!(failed.await.is_err());
    file.write(|connection| {
        Box::pin(async move {
            sqlx::query("INSERT INTO one VALUES (2)")
                .execute(connection)
                .await
        })
    })
    .await
    .unwrap();
    let rows: Vec<i64> = sqlx::query_scalar("SELECT n FROM one")
        .fetch_all(&file.readers().await.unwrap())
        .await
        .unwrap();
    assert_eq!(rows, [2]);
}
