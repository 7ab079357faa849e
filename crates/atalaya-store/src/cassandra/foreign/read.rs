//! Page after page of one statement, each through the retry layer, so that neither a partition of
//! millions of rows nor a node that goes away in the middle is a problem.

use std::sync::Arc;

use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::PrepareError;
use scylla::response::PagingState;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use crate::error::StoreError;

use super::super::retry::Resilience;

/// What a row read means for the rest.
pub(super) type Go = Result<bool, StoreError>;

pub(super) async fn prepare(
    session: &Arc<Session>,
    resilience: &Resilience,
    text: &str,
) -> Result<PreparedStatement, StoreError> {
    resilience
        .run::<_, PrepareError, _>("statement", || session.prepare(text))
        .await
}

/// Calls `row` for each row until it says `false`.
pub(super) async fn pages<R>(
    session: &Arc<Session>,
    resilience: &Resilience,
    prepared: &PreparedStatement,
    values: &(impl SerializeRow + Sync),
    mut row: impl FnMut(R) -> Go + Send,
) -> Result<(), StoreError>
where
    R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
{
    let mut place = PagingState::start();
    loop {
        let (answer, next) = resilience
            .run("read", || {
                session.execute_single_page(prepared, values, place.clone())
            })
            .await?;
        if !each::<R>(answer, &mut row)? {
            return Ok(());
        }
        match next.into_paging_control_flow() {
            std::ops::ControlFlow::Break(()) => return Ok(()),
            std::ops::ControlFlow::Continue(next) => place = next,
        }
        // Building a page of records takes milliseconds: others are let in between.
        tokio::task::yield_now().await;
    }
}

/// Calls `row` for each row of a page; `false` when it said so.
pub(super) fn each<R>(answer: QueryResult, mut row: impl FnMut(R) -> Go) -> Go
where
    R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
{
    let answer = answer.into_rows_result().map_err(|error| damaged(&error))?;
    for read in answer.rows::<R>().map_err(|error| damaged(&error))? {
        if !row(read.map_err(|error| damaged(&error))?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn damaged(error: &dyn std::error::Error) -> StoreError {
    StoreError::Corrupt {
        table: "a foreign table",
        detail: error.to_string(),
    }
}
