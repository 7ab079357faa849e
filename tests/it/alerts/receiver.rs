//! A receiver of messages, as unfriendly as a test wants it.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::heads;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Got {
    pub head: String,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        heads::header(&self.head, name)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status line and further headers, with a body.
    Http(&'static str, &'static str),
    /// Hangs up without an answer.
    HangUp,
    /// Says nothing for so long.
    Silence(Duration),
}

pub const OK: Reply = Reply::Http("200 OK", "ok");

type Script = Box<dyn FnMut(&Got) -> Reply + Send>;

/// Listens on this machine until the test process ends.
pub struct Receiver {
    pub port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    script: Arc<Mutex<Script>>,
}

impl Receiver {
    pub fn start() -> Self {
        Self::listen(None)
    }

    /// With TLS, by this certificate and key.
    pub fn encrypted(certificate: &std::path::Path, key: &std::path::Path) -> Self {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::listen(Some(Arc::new(config)))
    }

    fn listen(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            got: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(|_| OK))),
        };
        let (got, script) = (Arc::clone(&receiver.got), Arc::clone(&receiver.script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (got, script, tls) = (Arc::clone(&got), Arc::clone(&script), tls.clone());
                std::thread::spawn(move || match tls {
                    // A handshake that fails ends the connection.
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        serve(StreamOwned::new(connection, stream), &got, &script);
                    }
                    None => serve::<TcpStream>(stream, &got, &script),
                });
            }
        });
        receiver
    }

    /// From now on it answers like this.
    pub fn answers(&self, script: impl FnMut(&Got) -> Reply + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Every request so far, also those that were not answered well.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

fn serve<S: Read + Write>(stream: S, got: &Mutex<Vec<Got>>, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line == "\r\n" => break,
            Ok(_) => head.push_str(&line),
        }
    }
    let request = Got {
        head,
        body: String::new(),
    };
    let length = request
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let request = Got {
        body: String::from_utf8(body).unwrap(),
        ..request
    };
    got.lock().unwrap().push(request.clone());
    let reply = (script.lock().unwrap())(&request);
    match reply {
        Reply::Http(status, body) => {
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let stream = reader.get_mut();
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.flush();
        }
        Reply::HangUp => {}
        Reply::Silence(length) => std::thread::sleep(length),
    }
}
