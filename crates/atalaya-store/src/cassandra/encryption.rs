//! Why a connection to a node did not come about, where that is a matter of its encryption: the
//! driver only says that the connection broke.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};
use scylla::errors::{
    BrokenConnectionError, BrokenConnectionErrorKind, ConnectionError, ConnectionPoolError,
    ConnectionSetupRequestErrorKind, FrameHeaderParseError, MetadataError, NewSessionError,
};

use crate::error::{Backend, StoreError, describe};

use super::connect::CassandraOptions;
use super::errors::store_error;

/// The error of a session that was not opened, as the rest of the program sees it.
pub(super) fn session_error(error: NewSessionError, options: &CassandraOptions) -> StoreError {
    let (backend, address) = (Backend::Cassandra, options.address());
    let connection = match &error {
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(
            ConnectionPoolError::Broken {
                last_connection_error,
            },
        )) => Some(last_connection_error),
        _ => None,
    };
    if let Some(tls) = connection.and_then(io_error).and_then(tls_error) {
        return StoreError::NotEncrypted {
            backend,
            address,
            reason: reason(tls),
        };
    }
    // A node hangs up on whoever does not begin with TLS, or shows no certificate; so does one that
    // dies.
    let advice = match &options.tls {
        None => Some("if the ring wants encryption, set ca_file or tls in [stores.cassandra]"),
        Some(tls) if tls.client.is_none() => Some(
            "if the ring asks for a certificate, set client_cert and client_key in [stores.cassandra]",
        ),
        Some(_) => None,
    };
    if let Some(advice) = advice.filter(|_| connection.is_some_and(|error| broken(error).is_some()))
    {
        let source = format!("{}; {advice}", describe(&error));
        return StoreError::Unavailable {
            backend,
            address,
            source: source.into(),
        };
    }
    store_error(error, &address, "session")
}

/// What is wrong, and which setting to look at.
fn reason(error: &TlsError) -> String {
    let advice = match error {
        TlsError::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "the node's certificate is of an authority that is not trusted here; name the ring's own with ca_file in [stores.cassandra]"
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "the node's certificate is not for its address; it needs one that names the address which the ring gives for it (rpc_address)"
        }
        TlsError::InvalidCertificate(_) => {
            "the node's certificate cannot be accepted; renew it, or look at the clocks"
        }
        TlsError::InvalidMessage(_) => {
            "the node does not speak TLS; turn it on there, or take tls, ca_file and client_cert out of [stores.cassandra]"
        }
        TlsError::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::HandshakeFailure,
        ) => {
            "the node wants a certificate of an authority that it trusts; name one with client_cert and client_key in [stores.cassandra]"
        }
        _ => "look at tls, ca_file and client_cert in [stores.cassandra]",
    };
    format!("{advice} ({error})")
}

fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// What the socket said. In TLS 1.3 a node refuses our certificate only after our side is done with
/// the handshake: then the first answer fails and not the connection.
fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    if let ConnectionError::IoError(error) = error {
        return Some(&**error);
    }
    match broken(error)?.downcast_ref()? {
        BrokenConnectionErrorKind::FrameHeaderParseError(FrameHeaderParseError::HeaderIoError(
            error,
        ))
        | BrokenConnectionErrorKind::WriteError(error) => Some(error),
        _ => None,
    }
}

/// The connection was there and ended before it could be used.
fn broken(error: &ConnectionError) -> Option<&BrokenConnectionError> {
    match error {
        ConnectionError::BrokenConnection(broken) => Some(broken),
        ConnectionError::ConnectionSetupRequestError(setup) => match setup.get_error() {
            ConnectionSetupRequestErrorKind::BrokenConnection(broken) => Some(broken),
            _ => None,
        },
        _ => None,
    }
}
