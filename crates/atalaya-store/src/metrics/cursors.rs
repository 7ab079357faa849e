//! Reading piece by piece from a service: how far each of its lists was read, and the commits that
//! were met on the way.

use std::collections::HashSet;

use async_trait::async_trait;

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, locking, values};
use crate::error::StoreError;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

/// How far one list of a source was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCursor {
    /// `github:acme/shop`.
    pub source: String,
    /// Which of its lists: `pulls`, `deployments` …
    pub resource: String,
    /// JSON of whoever reads the source.
    pub body: String,
    pub changed_at: Timestamp,
}

/// A commit of a repository that is not on any disk here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCommit {
    pub sha: String,
    /// First parent first.
    pub parents: Vec<String>,
    /// Commits that it says it reverts.
    pub reverts: Vec<String>,
    pub authored_at: Timestamp,
    pub committed_at: Timestamp,
    pub title: String,
    pub request_id: Option<RequestId>,
}

#[async_trait]
pub trait Cursors {
    /// By source and resource.
    async fn put_cursor(&self, cursor: &SourceCursor) -> Result<(), StoreError>;

    async fn cursor(
        &self,
        source: &str,
        resource: &str,
    ) -> Result<Option<SourceCursor>, StoreError>;

    /// What the source itself says of a deployment, in place of what it said before.
    async fn put_source_words(
        &self,
        source: &str,
        deployment: &str,
        words: &[&str],
    ) -> Result<(), StoreError>;

    /// Each deployment of a source with each word about it.
    async fn source_words(&self, source: &str) -> Result<Vec<(String, String)>, StoreError>;

    /// Adds commits; a commit never changes, so one that is known stays. Returns how many are new.
    async fn put_source_commits(
        &self,
        source: &str,
        commits: &[SourceCommit],
    ) -> Result<u64, StoreError>;

    /// All of a source, newest first.
    async fn source_commits(&self, source: &str) -> Result<Vec<SourceCommit>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Cursors for D {
    async fn put_cursor(&self, cursor: &SourceCursor) -> Result<(), StoreError> {
        self.write(cursor.clone(), |connection, cursor| {
            Box::pin(put_cursor(connection, cursor))
        })
        .await
        .map(|_| ())
    }

    async fn cursor(
        &self,
        source: &str,
        resource: &str,
    ) -> Result<Option<SourceCursor>, StoreError> {
        let key = (source.to_owned(), resource.to_owned());
        self.read(View::Latest, key, |connection, (source, resource)| {
            Box::pin(cursor(connection, source, resource))
        })
        .await
    }

    async fn put_source_words(
        &self,
        source: &str,
        deployment: &str,
        words: &[&str],
    ) -> Result<(), StoreError> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let input = (source.to_owned(), deployment.to_owned(), words);
        self.write(input, |connection, (source, deployment, words)| {
            Box::pin(put_words(connection, source, deployment, words))
        })
        .await
    }

    async fn source_words(&self, source: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.read(View::Latest, source.to_owned(), |connection, source| {
            Box::pin(async move {
                let sql = "SELECT deployment, word FROM source_words WHERE source = ?
                     ORDER BY deployment, word";
                connection.rows(sql, values![source]).await
            })
        })
        .await
    }

    async fn put_source_commits(
        &self,
        source: &str,
        commits: &[SourceCommit],
    ) -> Result<u64, StoreError> {
        let input = (source.to_owned(), commits.to_vec());
        self.write(input, |connection, (source, commits)| {
            Box::pin(put_commits(connection, source, commits))
        })
        .await
    }

    async fn source_commits(&self, source: &str) -> Result<Vec<SourceCommit>, StoreError> {
        self.read(View::Latest, source.to_owned(), |connection, source| {
            Box::pin(commits(connection, source))
        })
        .await
    }
}

async fn put_cursor(
    connection: &mut Connection<'_>,
    cursor: &SourceCursor,
) -> Result<Written, Failure> {
    let known: Option<(i64,)> = connection
        .row(
            locking!("SELECT changed_at FROM source_cursors WHERE source = ? AND resource = ?"),
            values![&cursor.source, &cursor.resource],
        )
        .await?;
    // The same values in the same order for both.
    let (sql, written) = match known {
        Some(_) => (
            "UPDATE source_cursors SET body = ?, changed_at = ? WHERE source = ? AND resource = ?",
            Written::updated(1),
        ),
        None => (
            "INSERT INTO source_cursors (body, changed_at, source, resource) VALUES (?, ?, ?, ?)",
            Written::inserted(1),
        ),
    };
    let values = values![
        &cursor.body,
        cursor.changed_at,
        &cursor.source,
        &cursor.resource
    ];
    connection.execute(sql, values).await?;
    Ok(written)
}

async fn cursor(
    connection: &mut Connection<'_>,
    source: &str,
    resource: &str,
) -> Result<Option<SourceCursor>, Failure> {
    let row: Option<(String, i64)> = connection
        .row(
            "SELECT body, changed_at FROM source_cursors WHERE source = ? AND resource = ?",
            values![source, resource],
        )
        .await?;
    Ok(row.map(|(body, changed_at)| SourceCursor {
        source: source.to_owned(),
        resource: resource.to_owned(),
        body,
        changed_at: Timestamp::from_micros(changed_at),
    }))
}

async fn put_words(
    connection: &mut Connection<'_>,
    source: &str,
    deployment: &str,
    words: &[String],
) -> Result<(), Failure> {
    connection
        .execute(
            "DELETE FROM source_words WHERE source = ? AND deployment = ?",
            values![source, deployment],
        )
        .await?;
    let rows: Vec<_> = words
        .iter()
        .map(|word| values![source, deployment, word].to_vec())
        .collect();
    connection
        .insert("INSERT INTO source_words (source, deployment, word)", &rows)
        .await?;
    Ok(())
}

async fn put_commits(
    connection: &mut Connection<'_>,
    source: &str,
    commits: &[SourceCommit],
) -> Result<u64, Failure> {
    // The rows outlive their values, which are borrowed from them.
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    for commit in commits {
        let known: Option<(i64,)> = connection
            .row(
                locking!("SELECT committed_at FROM source_commits WHERE source = ? AND sha = ?"),
                values![source, &commit.sha],
            )
            .await?;
        if known.is_none() && seen.insert(&commit.sha) {
            rows.push((commit, commit.parents.join(" "), commit.reverts.join(" ")));
        }
    }
    let values: Vec<_> = rows
        .iter()
        .map(|(commit, parents, reverts)| {
            values![
                source,
                &commit.sha,
                parents,
                reverts,
                commit.authored_at,
                commit.committed_at,
                &commit.title,
                commit.request_id.as_ref().map(RequestId::as_str),
            ]
            .to_vec()
        })
        .collect();
    connection
        .insert(
            "INSERT INTO source_commits
                 (source, sha, parents, reverts, authored_at, committed_at, title, request_id)",
            &values,
        )
        .await?;
    Ok(rows.len() as u64)
}

#[derive(sqlx::FromRow)]
struct CommitRow {
    sha: String,
    parents: String,
    reverts: String,
    authored_at: i64,
    committed_at: i64,
    title: String,
    request_id: Option<String>,
}

async fn commits(
    connection: &mut Connection<'_>,
    source: &str,
) -> Result<Vec<SourceCommit>, Failure> {
    let rows: Vec<CommitRow> = connection
        .rows(
            "SELECT sha, parents, reverts, authored_at, committed_at, title, request_id
             FROM source_commits WHERE source = ? ORDER BY committed_at DESC, sha",
            values![source],
        )
        .await?;
    let ids = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    Ok(rows
        .into_iter()
        .map(|row| SourceCommit {
            parents: ids(&row.parents),
            reverts: ids(&row.reverts),
            sha: row.sha,
            authored_at: Timestamp::from_micros(row.authored_at),
            committed_at: Timestamp::from_micros(row.committed_at),
            title: row.title,
            request_id: row.request_id.map(RequestId::new),
        })
        .collect())
}
