//! One session to the ring: where it is, who we are, how long anything may take.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use scylla::authentication::PlainTextAuthenticator;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::StoreError;

use super::consistency::ConsistencyLevel;
use super::encryption::session_error;
use super::errors::refused;

/// How to reach a ring. The keyspace is not part of the session: every statement names it.
#[derive(Clone, Debug)]
pub struct CassandraOptions {
    /// `host:port` of some nodes; the others are found through them.
    pub nodes: Vec<String>,
    pub keyspace: String,
    pub user: Option<String>,
    pub password: Option<SecretString>,
    /// Nodes of this datacenter are asked; `None` asks all.
    pub datacenter: Option<String>,
    pub tls: Option<TlsOptions>,
    pub consistency: ConsistencyLevel,
    /// After this the client gives an attempt up; the server may still do it.
    pub request_timeout: Duration,
    pub connect_timeout: Duration,
}

impl CassandraOptions {
    /// `LOCAL_QUORUM`, 10 s a request, 5 s a connection, neither password nor TLS.
    pub fn new(
        nodes: impl IntoIterator<Item = impl Into<String>>,
        keyspace: impl Into<String>,
    ) -> Self {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            keyspace: keyspace.into(),
            user: None,
            password: None,
            datacenter: None,
            tls: None,
            consistency: ConsistencyLevel::LocalQuorum,
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
        }
    }

    /// For messages: `127.0.0.1:9042/logging`.
    pub fn address(&self) -> String {
        format!("{}/{}", self.nodes.join(","), self.keyspace)
    }
}

/// Files of the transport encryption, all PEM.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Who may sign a node's certificate; `None` takes the system's own list.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and key, where the ring asks for one.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Opens a session. The driver itself never repeats a request: what may be repeated, and when, is
/// decided above it, by the [retry layer](super::retry).
pub async fn connect(options: &CassandraOptions) -> Result<Session, StoreError> {
    let mut balancing = DefaultPolicy::builder().token_aware(true);
    if let Some(datacenter) = &options.datacenter {
        balancing = balancing
            .prefer_datacenter(datacenter.clone())
            .permit_dc_failover(false);
    }
    let profile = ExecutionProfile::builder()
        .consistency(options.consistency.into())
        .request_timeout(Some(options.request_timeout))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .load_balancing_policy(balancing.build())
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(&options.nodes)
        .connection_timeout(options.connect_timeout)
        // What the driver reads anew after each change of any schema; of ours it needs the replication.
        .keyspaces_to_fetch([options.keyspace.as_str()])
        .default_execution_profile_handle(profile.into_handle());
    if let Some(user) = &options.user {
        let password = options
            .password
            .as_ref()
            .map_or("", |password| password.expose_secret());
        builder = builder.authenticator_provider(Arc::new(PlainTextAuthenticator::new(
            user.clone(),
            password.to_owned(),
        )));
    }
    if let Some(tls) = options.tls.clone() {
        let config = tokio::task::spawn_blocking(move || tls_config(&tls))
            .await
            .map_err(refused)??;
        builder = builder.tls_context(Some(Arc::new(config)));
    }
    builder
        .build()
        .await
        .map_err(|error| session_error(error, options))
}

/// Nodes must show a certificate that the given authority, or one the system trusts, has signed for
/// their address. There is no way to switch that off.
fn tls_config(tls: &TlsOptions) -> Result<ClientConfig, StoreError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &tls.ca_file {
        for certificate in certificates("stores.cassandra.ca_file", file)? {
            roots
                .add(certificate)
                .map_err(|error| bad_file("stores.cassandra.ca_file", file, &error))?;
        }
    } else {
        // Some systems carry certificates that do not parse; those that do are enough.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(StoreError::BadSetting {
                name: "stores.cassandra.ca_file",
                reason:
                    "the system trusts no certificate authority; name a file with the ring's own"
                        .to_owned(),
            });
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &tls.client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("stores.cassandra.client_cert", certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| bad_file("stores.cassandra.client_key", key, &error))?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|error| bad_file("stores.cassandra.client_cert", certificate, &error))
}

fn certificates(
    name: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| bad_file(name, file, &error))?;
    if found.is_empty() {
        return Err(bad_file(name, file, &"there is no PEM certificate in it"));
    }
    Ok(found)
}

fn bad_file(name: &'static str, file: &Path, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::BadSetting {
        name,
        reason: format!("{}: {reason}", file.display()),
    }
}
