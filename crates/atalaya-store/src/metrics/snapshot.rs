//! Everything that a metrics store holds, at one moment, as a file of the embedded kind.

use std::path::Path;

use async_trait::async_trait;

use super::sql::SqlDatabase;
use crate::error::StoreError;

pub use crate::sqlite::metrics::examine;
pub use crate::sqlite::rows::table_sums;

#[async_trait]
pub trait Snapshots {
    /// Writes all tables, as one transaction sees them, into the new file `into`: the schema of this
    /// program's version, and nothing else. Returns the names of what was there and is not ours.
    ///
    /// When the schema changes meanwhile it is begun anew.
    async fn snapshot(&self, into: &Path) -> Result<Vec<String>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Snapshots for D {
    async fn snapshot(&self, into: &Path) -> Result<Vec<String>, StoreError> {
        SqlDatabase::snapshot(self, into).await
    }
}
