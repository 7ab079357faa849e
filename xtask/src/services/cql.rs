//! One statement on one very node, through the driver: no other node is asked, nothing is repeated.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::host_filter::AllowListHostFilter;
use scylla::policies::retry::FallthroughRetryPolicy;
pub use scylla::statement::Consistency;
use scylla::value::Row;

const TIMEOUT: Duration = Duration::from_secs(5);

/// User and password of a node that asks for them.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub user: &'a str,
    pub password: &'a str,
}

/// Runs one statement on this node and fails with the server's own words. Blocks; may be called
/// from anywhere, also from within a runtime. Answers with the rows, none for a statement that gives none.
pub fn execute(
    address: SocketAddr,
    credentials: Option<Credentials<'_>>,
    statement: &str,
    consistency: Consistency,
) -> anyhow::Result<Vec<Row>> {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| -> anyhow::Result<Vec<Row>> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let session = open(address, credentials, consistency).await?;
                let answer = session.query_unpaged(statement, ()).await?;
                if !answer.is_rows() {
                    return Ok(Vec::new());
                }
                Ok(answer
                    .into_rows_result()?
                    .rows()?
                    .collect::<Result<_, _>>()?)
            })
        });
        asked
            .join()
            .unwrap_or_else(|_| anyhow::bail!("the query's thread panicked"))
    })
}

async fn open(
    address: SocketAddr,
    credentials: Option<Credentials<'_>>,
    consistency: Consistency,
) -> anyhow::Result<Session> {
    let profile = ExecutionProfile::builder()
        .consistency(consistency)
        .request_timeout(Some(TIMEOUT))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .build();
    let mut builder = SessionBuilder::new()
        .known_node_addr(address)
        .host_filter(Arc::new(AllowListHostFilter::new([address])?))
        .pool_size(PoolSize::PerHost(std::num::NonZeroUsize::MIN))
        .connection_timeout(TIMEOUT)
        .fetch_schema_metadata(false)
        .default_execution_profile_handle(profile.into_handle());
    if let Some(Credentials { user, password }) = credentials {
        builder = builder.user(user, password);
    }
    builder
        .build()
        .await
        .with_context(|| format!("cannot connect to {address}"))
}
