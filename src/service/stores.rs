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
use atalaya_store::sqlite::closing::close_all;
use atalaya_store::sqlite::metrics::SqliteMetricsStore;
use atalaya_store::union::Union;

use super::{Finding, Stores, describe, quarantine};

/// Folding a large write-ahead log into its file takes a second or two on a slow disk.
const CLOSING_LIMIT: Duration = Duration::from_secs(3);

/// The log store, now and to be written to; the metrics whenever they can be opened.
///
/// # Errors
/// The log store cannot be opened, or only be read.
pub async fn open_to_ingest(settings: &Settings) -> Result<Stores, StoreError> {
    Ok(Stores {
        logs: LogEngine::new(writable(open_logs(settings).await?)?),
        metrics: attach_metrics(settings).await,
    })
}

/// As [`open_to_ingest`], but a server that is away is no error: its store says so in every answer
/// and connects by itself.
pub async fn attach_to_ingest(settings: &Settings) -> Result<Stores, StoreError> {
    let logs = match &settings.logs_place {
        LogsPlace::Embedded => writable(open_logs(settings).await?)?,
        LogsPlace::Cassandra(place) => attach_cassandra(settings, place),
    };
    Ok(Stores {
        logs: LogEngine::new(logs),
        metrics: attach_metrics(settings).await,
    })
}

/// Both stores, each on its own: one that cannot be opened says why in every answer, with the
/// remedy, and is opened when it can be. The other one does not feel it.
pub async fn attach_stores(settings: &Settings) -> Stores {
    let logs = match &settings.logs_place {
        LogsPlace::Embedded => match open_logs(settings).await {
            Ok(open) => open,
            Err(_) => attach_embedded_logs(settings),
        },
        LogsPlace::Cassandra(place) => attach_cassandra(settings, place),
    };
    Stores {
        logs: LogEngine::new(logs),
        metrics: attach_metrics(settings).await,
    }
}

/// Both stores, each tried once: the one that cannot be opened has the reason in every answer.
pub async fn try_stores(settings: &Settings) -> Stores {
    let (logs, metrics) = tokio::join!(open_logs(settings), open_metrics(settings));
    let (logs_backend, logs_address) = logs_name(settings);
    let (metrics_backend, metrics_address) = metrics_name(settings);
    let logs = logs.unwrap_or_else(|reason| {
        let away = Background::<dyn ChunkStore>::away(logs_backend, logs_address, reason);
        Arc::new(away)
    });
    let metrics = metrics.unwrap_or_else(|reason| match metrics_backend {
        Backend::MySql => Arc::new(Background::<MySqlMetricsStore>::away(
            metrics_backend,
            metrics_address,
            reason,
        )) as Arc<dyn MetricsStore>,
        _ => Arc::new(Background::<SqliteMetricsStore>::away(
            metrics_backend,
            metrics_address,
            reason,
        )),
    });
    Stores {
        logs: LogEngine::new(logs),
        metrics,
    }
}

/// Closes the embedded stores, so that nothing stays beside their files. For the end of the process,
/// which a stuck disk does not hold up.
pub async fn close_stores() {
    let _ = tokio::time::timeout(CLOSING_LIMIT, close_all()).await;
}

/// What the configured log store is, and where.
pub fn logs_name(settings: &Settings) -> (Backend, String) {
    match &settings.logs_place {
        LogsPlace::Embedded => (
            Backend::Sqlite,
            settings.logs_database().display().to_string(),
        ),
        LogsPlace::Cassandra(place) => (Backend::Cassandra, cassandra_options(place).address()),
    }
}

/// What the configured metrics store is, and where.
pub fn metrics_name(settings: &Settings) -> (Backend, String) {
    match &settings.metrics_place {
        MetricsPlace::Embedded => (
            Backend::Sqlite,
            settings.metrics_database().display().to_string(),
        ),
        MetricsPlace::MySql(place) => (Backend::MySql, mysql_options(place).address()),
    }
}

/// A store that can only be read is of no use to who writes: the reason is better said at once.
fn writable(store: Arc<dyn ChunkStore>) -> Result<Arc<dyn ChunkStore>, StoreError> {
    match store.read_only() {
        None => Ok(store),
        Some(reason) => Err(StoreError::NotWritable {
            backend: store.backend(),
            address: store.address(),
            reason,
        }),
    }
}

fn attach_embedded_logs(settings: &Settings) -> Arc<dyn ChunkStore> {
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

fn attach_cassandra(settings: &Settings, place: &CassandraPlace) -> Arc<dyn ChunkStore> {
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
    Arc::new(Background::<dyn ChunkStore>::start(
        Backend::Cassandra,
        address,
        Box::new(connect),
    ))
}

async fn attach_metrics(settings: &Settings) -> Arc<dyn MetricsStore> {
    match &settings.metrics_place {
        MetricsPlace::Embedded => match open_metrics(settings).await {
            Ok(open) => open,
            Err(_) => attach_embedded_metrics(settings),
        },
        MetricsPlace::MySql(place) => {
            let options = mysql_options(place);
            let address = options.address();
            let connect =
                move || -> BoxFuture<'static, _> { Box::pin(connect_mysql(options.clone())) };
            Arc::new(Background::<MySqlMetricsStore>::start(
                Backend::MySql,
                address,
                Box::new(connect),
            ))
        }
    }
}

fn attach_embedded_metrics(settings: &Settings) -> Arc<dyn MetricsStore> {
    let file = settings.metrics_database();
    let address = file.display().to_string();
    let connect = move || -> BoxFuture<'static, _> {
        let file = file.clone();
        Box::pin(async move { Ok(Arc::new(SqliteMetricsStore::open(&file).await?)) })
    };
    Arc::new(Background::<SqliteMetricsStore>::start(
        Backend::Sqlite,
        address,
        Box::new(connect),
    ))
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
