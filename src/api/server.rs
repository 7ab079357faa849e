//! Connections (R37): HTTP/1.1 on an accept loop of our own, as the framework's has no time limit for
//! a head. Every limit ends in an answer or a closed connection, and none in waiting.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::links::{Held, Links, Most};
use super::request::{self, Desk};
use super::tls::{Certificate, TlsError};
use super::{Shared, memory, peer, routes};

/// Most bytes and lines of a head.
const HEAD_BYTES: usize = 16 << 10;
const HEAD_LINES: usize = 64;
/// A client that takes nothing of its answer for so long is gone.
const WRITE_LIMIT: Duration = Duration::from_secs(15);
/// Requests under way are answered before the end, for at most so long.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often the certificate is looked at.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// What was counted of tokens is written down so often: a process that is killed forgets no more.
const REMEMBER_EVERY: Duration = Duration::from_secs(1);
/// After an error of accepting (no file descriptor is left) it is tried again after so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the API does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error(
        "the API cannot listen at {address}: {source}; choose another address with `[api] listen`, or switch it off with `enabled = false`"
    )]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the API has no certificate: {0}")]
    Tls(#[from] TlsError),
    #[error("the API's certificate cannot be read: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

/// Listens until it is cancelled; `told` hears where.
///
/// # Errors
/// It cannot listen, or has no certificate.
pub async fn run(
    api: Shared,
    told: &(dyn Fn(&str) + Send + Sync),
    cancel: CancellationToken,
) -> Result<(), ApiError> {
    let settings = &api.settings.api;
    let certificate = match settings.tls.clone() {
        None => None,
        Some((certificate, key)) => {
            let opening = move || Certificate::open(&certificate, &key);
            Some(Arc::new(tokio::task::spawn_blocking(opening).await??))
        }
    };
    let address = settings.listen;
    let wrong = |source| ApiError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    let scheme = if certificate.is_some() {
        "https"
    } else {
        "http"
    };
    told(&format!("the API listens on {scheme}://{bound}"));
    if certificate.is_none() && !bound.ip().is_loopback() {
        told(
            "anybody on the way can read the API's tokens: set `tls_cert_file` and `tls_key_file` of [api], or put a proxy with TLS before it",
        );
    }
    memory::restore(&api).await;
    let limits = settings.config.limits;
    let server = Server {
        links: Links::new(Most {
            all: limits.connections as usize,
            of_peer: limits.connections_per_peer as usize,
        }),
        desk: Arc::new(Desk::new(Arc::clone(&api), routes::router(&api))),
        certificate,
        head_limit: Duration::from_secs(limits.header_seconds.into()),
        ending: cancel.clone(),
        tasks: TaskTracker::new(),
    };
    server.accept(listener, &api, &cancel).await;
    server.end(&api).await;
    Ok(())
}

struct Server {
    links: Links,
    desk: Arc<Desk>,
    certificate: Option<Arc<Certificate>>,
    head_limit: Duration,
    /// Cancelled when no further request is taken.
    ending: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    async fn accept(&self, listener: TcpListener, api: &Shared, cancel: &CancellationToken) {
        let mut renew = tokio::time::interval(RENEW_EVERY);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut remember = tokio::time::interval(REMEMBER_EVERY);
        remember.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = renew.tick() => self.renew(),
                _ = remember.tick() => memory::remember(api, &self.tasks),
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => self.take(stream, from, api),
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, from: SocketAddr, api: &Shared) {
        let address = from.ip().to_canonical();
        let trusted = &api.settings.api.trusted_proxies;
        let is_proxy = trusted.iter().any(|net| net.contains(&address));
        let counted = (!is_proxy).then(|| peer::key(address));
        // Without room it is closed, which the client sees at once.
        let Some(held) = self.links.take(address, counted) else {
            return;
        };
        let connection = Connection {
            desk: Arc::clone(&self.desk),
            certificate: self.certificate.clone(),
            head_limit: self.head_limit,
            ending: self.ending.clone(),
        };
        self.tasks.spawn(connection.serve(stream, held));
    }

    fn renew(&self) {
        let Some(certificate) = self.certificate.clone() else {
            return;
        };
        self.tasks
            .spawn_blocking(move || match certificate.renew() {
                Ok(true) => tracing::info!("the API has a new certificate"),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the API keeps its old certificate"),
            });
    }

    async fn end(self, api: &Shared) {
        self.tasks.close();
        if timeout(STOP_LIMIT, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = self.links.count(),
                "requests were not answered in time"
            );
        }
        memory::keep(api).await;
    }
}

/// What one connection needs.
struct Connection {
    desk: Arc<Desk>,
    certificate: Option<Arc<Certificate>>,
    head_limit: Duration,
    ending: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream, held: Held) {
        // Answers are written whole: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_LIMIT));
        let stream = Box::pin(stream);
        match self.certificate.as_ref().map(|own| own.acceptor()) {
            None => self.talk(stream, held).await,
            Some(acceptor) => match timeout(self.head_limit, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.talk(stream, held).await,
                Ok(Err(error)) => tracing::debug!(%error, "a client did not agree on TLS"),
                Err(_) => tracing::debug!("a client did not agree on TLS in time"),
            },
        }
    }

    async fn talk<Stream>(self, stream: Stream, held: Held)
    where
        Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (desk, link) = (Arc::clone(&self.desk), Arc::clone(&held.link));
        let service = service_fn(move |asked| {
            let (desk, link) = (Arc::clone(&desk), Arc::clone(&link));
            async move { Ok::<_, Infallible>(request::answer(&desk, &link, asked).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.head_limit)
            .max_headers(HEAD_LINES)
            .max_buf_size(HEAD_BYTES);
        let serving = http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(serving);
        let mut is_ending = false;
        loop {
            tokio::select! {
                ended = &mut serving => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended before its time");
                    }
                    return;
                }
                () = held.link.closed.cancelled() => return,
                () = self.ending.cancelled(), if !is_ending => {
                    is_ending = true;
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
