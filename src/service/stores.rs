//! Opens the configured stores: at once and with a clear error for a command that needs them now,
//! or in the background for a console that must open whatever a server does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::config::Settings;
use crate::config::places::{
    CASSANDRA_PASSWORD, CassandraPlace, LogsPlace, MYSQL_PASSWORD, MetricsPlace, MySqlPlace,
    TlsFiles,
};
use atalaya_domain::time::Timestamp;
use atalaya_store::background::Background;
use atalaya_store::cassandra::foreign::{ForeignStore, Mapping};
use atalaya_store::cassandra::retry::{Resilience, RetrySettings};
use atalaya_store::cassandra::{CassandraLogStore, CassandraOptions, TlsOptions, connect, probe};
use atalaya_store::chunks::ChunkStore;
use atalaya_store::engine::LogEngine;
use atalaya_store::error::{Backend, StoreError};
use atalaya_store::metrics::MetricsStore;
use atalaya_store::mysql::{MySqlMetricsStore, MySqlOptions};
use atalaya_store::quarantine::Quarantine;
use atalaya_store::sqlite::chunks::SqliteChunkStore;
use atalaya_store::sqlite::metrics::SqliteMetricsStore;
use atalaya_store::union::Union;

use super::{Finding, Stores, describe, quarantine};

/// Opens the configured stores, creating embedded ones that do not exist yet.
pub async fn open_stores(settings: &Settings) -> Result<Stores, StoreError> {
    Ok(Stores {
        logs: LogEngine::new(open_logs(settings).await?),
        metrics: open_metrics(settings).await?,
    })
}

/// As [`open_stores`], but a server that is away is no error: its store says so in every answer and
/// connects by itself.
pub async fn attach_servers(settings: &Settings) -> Result<Stores, StoreError> {
    Ok(Stores {
        logs: LogEngine::new(attach_logs(settings).await?),
        metrics: attach_metrics(settings).await?,
    })
}

/// As [`attach_servers`], and a data directory that cannot be written is none either: an embedded
/// store is opened when it can be.
pub async fn attach_stores(settings: &Settings) -> Result<Stores, StoreError> {
    let logs = match attach_logs(settings).await {
        Err(error) if error.is_transient() => {
            let address = settings.logs_database().display().to_string();
            let settings = settings.clone();
            let connect = move || -> BoxFuture<'static, _> {
                let settings = settings.clone();
                Box::pin(async move { open_logs(&settings).await })
            };
            Arc::new(Background::<dyn ChunkStore>::start(
                Backend::Sqlite,
                address,
                Box::new(connect),
            ))
        }
        attached => attached?,
    };
    let metrics = match attach_metrics(settings).await {
        Err(error) if error.is_transient() => {
            let address = settings.metrics_database().display().to_string();
            let settings = settings.clone();
            let connect = move || -> BoxFuture<'static, _> {
                let settings = settings.clone();
                Box::pin(async move {
                    let store = SqliteMetricsStore::open(&settings.metrics_database()).await?;
                    Ok(Arc::new(store))
                })
            };
            Arc::new(Background::<SqliteMetricsStore>::start(
                Backend::Sqlite,
                address,
                Box::new(connect),
            ))
        }
        attached => attached?,
    };
    Ok(Stores {
        logs: LogEngine::new(logs),
        metrics,
    })
}

async fn attach_logs(settings: &Settings) -> Result<Arc<dyn ChunkStore>, StoreError> {
    let LogsPlace::Cassandra(place) = &settings.logs_place else {
        return open_logs(settings).await;
    };
    let options = cassandra_options(place);
    let address = options.address();
    let foreign = place.foreign.clone();
    let aside = Some(quarantine::keeper(settings));
    let connect = move || -> BoxFuture<'static, _> {
        Box::pin(connect_cassandra(
            options.clone(),
            foreign.clone(),
            aside.clone(),
        ))
    };
    Ok(Arc::new(Background::<dyn ChunkStore>::start(
        Backend::Cassandra,
        address,
        Box::new(connect),
    )))
}

async fn attach_metrics(settings: &Settings) -> Result<Arc<dyn MetricsStore>, StoreError> {
    let MetricsPlace::MySql(place) = &settings.metrics_place else {
        return open_metrics(settings).await;
    };
    let options = mysql_options(place);
    let address = options.address();
    let connect = move || -> BoxFuture<'static, _> { Box::pin(connect_mysql(options.clone())) };
    Ok(Arc::new(Background::<MySqlMetricsStore>::start(
        Backend::MySql,
        address,
        Box::new(connect),
    )))
}

/// Only the log store.
pub async fn open_logs(settings: &Settings) -> Result<Arc<dyn ChunkStore>, StoreError> {
    match &settings.logs_place {
        LogsPlace::Embedded => open_logs_at(&settings.logs_place, &settings.logs_database()).await,
        LogsPlace::Cassandra(place) => {
            let aside = Some(quarantine::keeper(settings));
            connect_cassandra(cassandra_options(place), place.foreign.clone(), aside).await
        }
    }
}

/// The log store of any place, without the tables of others and without a quarantine: what it can
/// never take is an error. `file` is the embedded one.
pub async fn open_logs_at(
    place: &LogsPlace,
    file: &Path,
) -> Result<Arc<dyn ChunkStore>, StoreError> {
    match place {
        LogsPlace::Embedded => Ok(Arc::new(SqliteChunkStore::open(file).await?)),
        LogsPlace::Cassandra(place) => {
            connect_cassandra(cassandra_options(place), Vec::new(), None).await
        }
    }
}

/// Only the metrics store, for commands that need no logs.
pub async fn open_metrics(settings: &Settings) -> Result<Arc<dyn MetricsStore>, StoreError> {
    open_metrics_at(&settings.metrics_place, &settings.metrics_database()).await
}

/// The metrics store of any place; `file` is the embedded one.
pub async fn open_metrics_at(
    place: &MetricsPlace,
    file: &Path,
) -> Result<Arc<dyn MetricsStore>, StoreError> {
    match place {
        MetricsPlace::Embedded => Ok(Arc::new(SqliteMetricsStore::open(file).await?)),
        MetricsPlace::MySql(place) => Ok(connect_mysql(mysql_options(place)).await?),
    }
}

/// Opens each store on its own, so that one that fails does not hide the other, and asks a server
/// whether this role may write as well.
pub async fn check_stores(settings: &Settings) -> Vec<Finding> {
    let logs = async {
        match &settings.logs_place {
            LogsPlace::Embedded => (
                settings.logs_database().display().to_string(),
                open_logs(settings).await.map(drop),
            ),
            LogsPlace::Cassandra(place) => {
                let options = cassandra_options(place);
                (
                    format!("{} at {}", Backend::Cassandra, options.address()),
                    check_cassandra(options, place.foreign.clone()).await,
                )
            }
        }
    };
    let metrics = async {
        let name = match &settings.metrics_place {
            MetricsPlace::Embedded => settings.metrics_database().display().to_string(),
            MetricsPlace::MySql(place) => {
                format!("{} at {}", Backend::MySql, mysql_options(place).address())
            }
        };
        (name, check_metrics(settings).await)
    };
    let (logs, metrics) = tokio::join!(logs, metrics);
    [("logs", logs), ("metrics", metrics)]
        .into_iter()
        .map(|(store, (name, outcome))| Finding {
            what: format!("{store} store {name}"),
            problem: outcome.err().map(|error| describe(&error)),
        })
        .collect()
}

async fn check_cassandra(
    options: CassandraOptions,
    foreign: Vec<Mapping>,
) -> Result<(), StoreError> {
    connect_cassandra(options.clone(), foreign, None).await?;
    let session = Box::pin(connect::connect(&options))
        .await
        .map_err(advised_logs)?;
    probe::writable(&session, &options).await
}

async fn check_metrics(settings: &Settings) -> Result<(), StoreError> {
    // Deletes nothing: no sample is older than the beginning of time.
    open_metrics(settings)
        .await?
        .prune_health_samples(Timestamp::MIN)
        .await
        .map(drop)
}

/// Our own tables, and those of others beside them. What can never be stored goes `aside`.
async fn connect_cassandra(
    options: CassandraOptions,
    foreign: Vec<Mapping>,
    aside: Option<Arc<dyn Quarantine>>,
) -> Result<Arc<dyn ChunkStore>, StoreError> {
    // Boxed, as a driver's futures are large and every command holds this one.
    let mut own = Box::pin(CassandraLogStore::connect(&options))
        .await
        .map_err(advised_logs)?;
    if let Some(aside) = aside {
        own = own.with_quarantine(aside);
    }
    if foreign.is_empty() {
        return Ok(Arc::new(own));
    }
    let resilience = Arc::new(Resilience::new(options.address(), RetrySettings::reads()));
    let clock = Arc::new(Timestamp::now);
    let part = Box::pin(ForeignStore::open(
        own.session(),
        &resilience,
        foreign,
        own.settings(),
        clock,
    ))
    .await?;
    Ok(Arc::new(Union::new(Arc::new(own), Arc::new(part))))
}

pub(super) fn advised_logs(error: StoreError) -> StoreError {
    advised(error, "stores.logs", CASSANDRA_PASSWORD)
}

pub(super) fn advised_metrics(error: StoreError) -> StoreError {
    advised(error, "stores.metrics", MYSQL_PASSWORD)
}

/// The error of an attempt to connect, with what to look at.
fn advised(error: StoreError, key: &str, variable: &str) -> StoreError {
    match error {
        StoreError::Unavailable {
            backend,
            address,
            source,
        } => StoreError::Unavailable {
            backend,
            address,
            source: format!(
                "{}; is it running, and is {key} its address?",
                describe(&*source)
            )
            .into(),
        },
        StoreError::NotAuthenticated {
            backend,
            address,
            reason,
        } => StoreError::NotAuthenticated {
            backend,
            address,
            reason: format!("{reason}; check the user in {key}, and {variable} or password_file"),
        },
        error => error,
    }
}

async fn connect_mysql(options: MySqlOptions) -> Result<Arc<MySqlMetricsStore>, StoreError> {
    Ok(Arc::new(
        Box::pin(MySqlMetricsStore::connect(&options))
            .await
            .map_err(advised_metrics)?,
    ))
}

/// The driver's options of a configured server.
pub fn mysql_options(place: &MySqlPlace) -> MySqlOptions {
    MySqlOptions {
        port: place.port,
        password: place
            .password
            .as_ref()
            .map(|password| password.secret.clone()),
        ca_file: place.ca_file.clone(),
        ..MySqlOptions::new(
            place.host.clone(),
            place.database.clone(),
            place.user.clone(),
        )
    }
}

/// The driver's options of a configured ring.
pub fn cassandra_options(place: &CassandraPlace) -> CassandraOptions {
    CassandraOptions {
        user: place.user.clone(),
        password: place
            .password
            .as_ref()
            .map(|password| password.secret.clone()),
        datacenter: place.datacenter.clone(),
        tls: place.tls.as_ref().map(tls_options),
        consistency: place.consistency,
        request_timeout: Duration::from_secs(place.request_timeout_s.into()),
        ..CassandraOptions::new(place.nodes.iter().cloned(), place.keyspace.clone())
    }
}

fn tls_options(files: &TlsFiles) -> TlsOptions {
    TlsOptions {
        ca_file: files.ca_file.clone(),
        client: files.client.clone(),
    }
}
