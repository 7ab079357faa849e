//! PDCA cycles in each state.

use crate::domain::time::Timestamp;
use crate::store::error::StoreError;

use super::Stores;

pub async fn fill(stores: &Stores, now: Timestamp) -> Result<(), StoreError> {
    let _ = (stores, now);
    Ok(())
}
