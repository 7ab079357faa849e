//! A database whose every write is made on behalf of a lease, and refused when the lease is
//! another's by then.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Connection, Failure, SqlDatabase, View, Work};
use crate::error::{Backend, StoreError};
use crate::metrics::lease::hold_fence;
use atalaya_domain::health::database::Database;
use atalaya_domain::lease::Fence;

pub(crate) struct Fenced<D> {
    pub inner: Arc<D>,
    pub fence: Fence,
}

fn inside<'c, I, T>(
    connection: &'c mut Connection<'_>,
    input: &'c (Fence, I, Work<I, T>),
) -> BoxFuture<'c, Result<T, Failure>>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    let (fence, input, work) = input;
    Box::pin(async move {
        hold_fence(connection, fence).await?;
        work(connection, input).await
    })
}

impl<D: SqlDatabase<Bare = D>> SqlDatabase for Fenced<D> {
    type Bare = D;

    fn bare(self: Arc<Self>) -> Arc<D> {
        Arc::clone(&self.inner)
    }

    fn backend(&self) -> Backend {
        SqlDatabase::backend(&*self.inner)
    }

    fn address(&self) -> String {
        SqlDatabase::address(&*self.inner)
    }

    async fn write<I, T>(&self, input: I, work: Work<I, T>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.inner
            .write((self.fence.clone(), input, work), inside::<I, T>)
            .await
    }

    async fn read<I, T>(&self, view: View, input: I, work: Work<I, T>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.inner.read(view, input, work).await
    }

    async fn vitals(&self) -> Result<Database, StoreError> {
        SqlDatabase::vitals(&*self.inner).await
    }

    async fn snapshot(&self, into: &Path) -> Result<Vec<String>, StoreError> {
        SqlDatabase::snapshot(&*self.inner, into).await
    }
}
