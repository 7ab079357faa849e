//! What the database says of itself, for the health view. The statements are each database's own.

use async_trait::async_trait;

use super::sql::SqlDatabase;
use crate::error::StoreError;
use atalaya_domain::health::database::Database;

#[async_trait]
pub trait Vitals {
    /// What the database says of its size and its work. What it does not tell is left out; cheap
    /// enough for every few seconds.
    async fn vitals(&self) -> Result<Database, StoreError>;

    /// Why the store can only be read at present; `None` when it can be
    /// written, and for a store that says it only when it is written to.
    fn read_only(&self) -> Option<String>;
}

#[async_trait]
impl<D: SqlDatabase> Vitals for D {
    async fn vitals(&self) -> Result<Database, StoreError> {
        SqlDatabase::vitals(self).await
    }

    fn read_only(&self) -> Option<String> {
        SqlDatabase::read_only(self)
    }
}
