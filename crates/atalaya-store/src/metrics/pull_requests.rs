//! Pull requests: when each was opened, answered and merged, and what its branch held.

use async_trait::async_trait;

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, locking, values};
use crate::error::StoreError;
use atalaya_domain::delivery::pull_request::PullSummary;
use atalaya_domain::time::{TimeRange, Timestamp};

#[async_trait]
pub trait PullRequests {
    /// By id.
    async fn put_pull_requests(&self, pulls: &[PullSummary]) -> Result<Written, StoreError>;

    /// All of one repository, by number.
    async fn pull_requests(&self, repository: &str) -> Result<Vec<PullSummary>, StoreError>;

    /// Those of all repositories that were merged within a range, oldest first.
    async fn merged_pull_requests(&self, range: TimeRange) -> Result<Vec<PullSummary>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> PullRequests for D {
    async fn put_pull_requests(&self, pulls: &[PullSummary]) -> Result<Written, StoreError> {
        self.write(pulls.to_vec(), |connection, pulls| {
            Box::pin(put(connection, pulls))
        })
        .await
    }

    async fn pull_requests(&self, repository: &str) -> Result<Vec<PullSummary>, StoreError> {
        self.read(View::Latest, repository.to_owned(), |connection, name| {
            Box::pin(async move {
                let sql = "SELECT * FROM pull_requests WHERE repository = ? ORDER BY number";
                let rows: Vec<Row> = connection.rows(sql, values![name]).await?;
                Ok(rows.into_iter().map(Row::into_pull).collect())
            })
        })
        .await
    }

    async fn merged_pull_requests(&self, range: TimeRange) -> Result<Vec<PullSummary>, StoreError> {
        self.read(View::Latest, range, |connection, range| {
            Box::pin(async move {
                let sql = "SELECT * FROM pull_requests WHERE merged_at >= ? AND merged_at < ?
                     ORDER BY merged_at, id";
                let values = values![range.from, range.until];
                let rows: Vec<Row> = connection.rows(sql, values).await?;
                Ok(rows.into_iter().map(Row::into_pull).collect())
            })
        })
        .await
    }
}

/// The same values in the same order for both statements.
const INSERT: &str = "INSERT INTO pull_requests
     (repository, number, title, author, head_branch, head_sha, first_commit_at, last_commit_at,
      opened_at, first_review_at, merged_at, closed_at, merge_sha, id)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const UPDATE: &str = "UPDATE pull_requests SET
     repository = ?, number = ?, title = ?, author = ?, head_branch = ?, head_sha = ?,
     first_commit_at = ?, last_commit_at = ?, opened_at = ?, first_review_at = ?, merged_at = ?,
     closed_at = ?, merge_sha = ?
 WHERE id = ?";

async fn put(connection: &mut Connection<'_>, pulls: &[PullSummary]) -> Result<Written, Failure> {
    let mut written = Written::default();
    let mut ordered: Vec<&PullSummary> = pulls.iter().collect();
    // Two writers do not wait for each other crosswise.
    ordered.sort_by(|one, other| one.id.cmp(&other.id));
    for pull in ordered {
        let known: Option<Row> = connection
            .row(
                locking!("SELECT * FROM pull_requests WHERE id = ?"),
                values![&pull.id],
            )
            .await?;
        let known = known.map(Row::into_pull);
        let sql = match known {
            Some(known) if known == *pull => {
                written.unchanged += 1;
                continue;
            }
            Some(_) => {
                written.updated += 1;
                UPDATE
            }
            None => {
                written.inserted += 1;
                INSERT
            }
        };
        let values = values![
            &pull.repository,
            i64::try_from(pull.number).unwrap_or(i64::MAX),
            &pull.title,
            &pull.author,
            &pull.head_branch,
            &pull.head_sha,
            pull.first_commit_at,
            pull.last_commit_at,
            pull.opened_at,
            pull.first_review_at,
            pull.merged_at,
            pull.closed_at,
            &pull.merge_sha,
            &pull.id,
        ];
        connection.execute(sql, values).await?;
    }
    Ok(written)
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    repository: String,
    number: i64,
    title: String,
    author: Option<String>,
    head_branch: Option<String>,
    head_sha: Option<String>,
    first_commit_at: Option<i64>,
    last_commit_at: Option<i64>,
    opened_at: i64,
    first_review_at: Option<i64>,
    merged_at: Option<i64>,
    closed_at: Option<i64>,
    merge_sha: Option<String>,
}

impl Row {
    fn into_pull(self) -> PullSummary {
        let at = |micros: Option<i64>| micros.map(Timestamp::from_micros);
        PullSummary {
            id: self.id,
            repository: self.repository,
            number: u64::try_from(self.number).unwrap_or_default(),
            title: self.title,
            author: self.author,
            head_branch: self.head_branch,
            head_sha: self.head_sha,
            first_commit_at: at(self.first_commit_at),
            last_commit_at: at(self.last_commit_at),
            opened_at: Timestamp::from_micros(self.opened_at),
            first_review_at: at(self.first_review_at),
            merged_at: at(self.merged_at),
            closed_at: at(self.closed_at),
            merge_sha: self.merge_sha,
        }
    }
}
