//! The certificate of the API, read again when its file changes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::text_file;

/// A certificate with its chain is a few kilobytes.
const MOST_BYTES: u64 = 1 << 20;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// When the two files were last changed.
type Changed = [Option<SystemTime>; 2];

/// Certificate and key.
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: Mutex<(TlsAcceptor, Changed)>,
}

impl Certificate {
    /// Reads both. Blocking.
    ///
    /// # Errors
    /// One cannot be read, others may read the key, or they do not belong together.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let changed = changed(certificate, key);
        let acceptor = read(certificate, key)?;
        Ok(Self {
            chain: certificate.to_path_buf(),
            key: key.to_path_buf(),
            current: Mutex::new((acceptor, changed)),
        })
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        self.lock().0.clone()
    }

    /// Reads both again if one changed; whether it did. Blocking. When they cannot be used, the old
    /// ones stay, and it is tried again with the next change.
    ///
    /// # Errors
    /// As [`Certificate::open`].
    pub fn renew(&self) -> Result<bool, TlsError> {
        let changed = changed(&self.chain, &self.key);
        if self.lock().1 == changed {
            return Ok(false);
        }
        self.lock().1 = changed;
        let acceptor = read(&self.chain, &self.key)?;
        self.lock().0 = acceptor;
        Ok(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (TlsAcceptor, Changed)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn changed(certificate: &Path, key: &Path) -> Changed {
    [certificate, key].map(|path| {
        let metadata = std::fs::metadata(path);
        metadata.and_then(|metadata| metadata.modified()).ok()
    })
}

fn read(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let wrong = |path: &Path, why: &dyn std::fmt::Display| {
        TlsError(format!("cannot use {}: {why}", path.display()))
    };
    let text = text_file::read(certificate, MOST_BYTES).map_err(|e| wrong(certificate, &e))?;
    let chain = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, &"there is no certificate in it"));
    }
    let metadata = std::fs::metadata(key).map_err(|error| wrong(key, &error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let why = format!(
            "others may read it (mode {mode:04o}); it must have mode 0600: `chmod 600 {}`",
            key.display()
        );
        return Err(wrong(key, &why));
    }
    let text = text_file::read(key, MOST_BYTES).map_err(|error| wrong(key, &error))?;
    let secret =
        PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| wrong(certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
