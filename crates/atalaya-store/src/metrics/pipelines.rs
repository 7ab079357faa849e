//! Runs of pipelines, as they are resumed and as people see them.

use async_trait::async_trait;

use super::sql::{Connection, Failure, SqlDatabase, View, corrupt, locking, values};
use crate::error::StoreError;
use atalaya_domain::pipeline::Run;

/// A run with the version of it that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptRun {
    pub run: Run,
    pub version: i64,
}

#[async_trait]
pub trait Pipelines {
    /// A new run, as its first version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one of this id.
    async fn add_run(&self, run: &Run) -> Result<KeptRun, StoreError>;

    /// Replaces the run if nobody changed it since this version was read. `None`: somebody did.
    async fn change_run(&self, changed: &KeptRun) -> Result<Option<KeptRun>, StoreError>;

    async fn run(&self, id: &str) -> Result<Option<KeptRun>, StoreError>;

    /// Newest first, at most `limit`.
    async fn runs(&self, limit: u32) -> Result<Vec<KeptRun>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Pipelines for D {
    async fn add_run(&self, run: &Run) -> Result<KeptRun, StoreError> {
        let first = KeptRun {
            run: run.clone(),
            version: 1,
        };
        self.write(first.clone(), |connection, first| {
            Box::pin(add(connection, first))
        })
        .await?;
        Ok(first)
    }

    async fn change_run(&self, changed: &KeptRun) -> Result<Option<KeptRun>, StoreError> {
        let is_changed = self
            .write(changed.clone(), |connection, changed| {
                Box::pin(change(connection, changed))
            })
            .await?;
        Ok(is_changed.then(|| KeptRun {
            version: changed.version + 1,
            ..changed.clone()
        }))
    }

    async fn run(&self, id: &str) -> Result<Option<KeptRun>, StoreError> {
        self.read(View::Latest, id.to_owned(), |connection, id| {
            Box::pin(async move {
                let sql = "SELECT id, version, body FROM pipeline_runs WHERE id = ?";
                let row: Option<Row> = connection.row(sql, values![id]).await?;
                row.map(kept).transpose()
            })
        })
        .await
    }

    async fn runs(&self, limit: u32) -> Result<Vec<KeptRun>, StoreError> {
        self.read(View::Latest, limit, |connection, limit| {
            Box::pin(async move {
                let sql = "SELECT id, version, body FROM pipeline_runs
                     ORDER BY started_at DESC, id DESC LIMIT ?";
                let rows: Vec<Row> = connection.rows(sql, values![i64::from(*limit)]).await?;
                rows.into_iter().map(kept).collect()
            })
        })
        .await
    }
}

/// Id, version, body.
type Row = (String, i64, String);

fn kept((id, version, body): Row) -> Result<KeptRun, Failure> {
    let run = serde_json::from_str(&body).map_err(|error| corrupt("pipeline_runs", &id, error))?;
    Ok(KeptRun { run, version })
}

fn body(run: &Run) -> Result<String, Failure> {
    Ok(serde_json::to_string(run).map_err(|error| corrupt("pipeline_runs", &run.id, error))?)
}

async fn add(connection: &mut Connection<'_>, first: &KeptRun) -> Result<(), Failure> {
    let run = &first.run;
    let sql = locking!("SELECT id FROM pipeline_runs WHERE id = ?");
    let known: Option<(String,)> = connection.row(sql, values![&run.id]).await?;
    if known.is_some() {
        return Err(connection.conflict(format!("there is a run `{}` already", run.id)));
    }
    connection
        .execute(
            "INSERT INTO pipeline_runs (id, state, version, started_at, body)
             VALUES (?, ?, ?, ?, ?)",
            values![
                &run.id,
                run.state.name(),
                first.version,
                run.started_at,
                &body(run)?,
            ],
        )
        .await
        .map(drop)
}

async fn change(connection: &mut Connection<'_>, changed: &KeptRun) -> Result<bool, Failure> {
    let run = &changed.run;
    let changes = connection
        .execute(
            "UPDATE pipeline_runs SET state = ?, version = ?, body = ?
             WHERE id = ? AND version = ?",
            values![
                run.state.name(),
                changed.version + 1,
                &body(run)?,
                &run.id,
                changed.version,
            ],
        )
        .await?;
    Ok(changes > 0)
}
