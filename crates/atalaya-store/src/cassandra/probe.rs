//! Whether a role may write, asked without leaving anything behind.

use scylla::client::session::Session;
use scylla::statement::unprepared::Statement;
use uuid::Uuid;

use crate::error::StoreError;

use super::CassandraOptions;
use super::errors::store_error;

/// Deletes the watermark of an origin that there cannot be (no origin is all zeros: it is a hash).
/// That needs the same permission as writing one.
pub async fn writable(session: &Session, options: &CassandraOptions) -> Result<(), StoreError> {
    let mut statement = Statement::new(format!(
        "DELETE FROM {}.watermarks WHERE origin = ?",
        options.keyspace
    ));
    statement.set_is_idempotent(true);
    session
        .query_unpaged(statement, (Uuid::nil(),))
        .await
        .map_err(|error| store_error(error, &options.address(), "a probe"))?;
    Ok(())
}
