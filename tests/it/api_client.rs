//! A service that answers HTTP, and a client that writes and reads exactly what it is told to.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::heads;
use crate::serving::{PATIENCE, atalaya, run, wait_for};

/// A service that ends with its test.
pub struct Api {
    child: Child,
    pub address: String,
    said: Arc<Mutex<String>>,
}

impl Api {
    pub fn start(home: &Path) -> Self {
        Self::of(atalaya(home, &["serve"]))
    }

    pub fn of(mut command: Command) -> Self {
        command.stdout(Stdio::null());
        Self::with_output(command)
    }

    /// The same, whose standard output goes where the command says.
    pub fn with_output(command: Command) -> Self {
        let mut api = Self::silent(command);
        let said = Arc::clone(&api.said);
        api.address = wait_for("the address of the API", || {
            let said = said.lock().unwrap();
            let line = said
                .lines()
                .find(|line| line.contains("the API listens on "))?;
            Some(line.rsplit("//").next().unwrap().to_owned())
        });
        api
    }

    /// One that need not listen.
    pub fn silent(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (child.stderr.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self {
            child,
            address: String::new(),
            said,
        }
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends these bytes and reads to the end.
    pub fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        // A server that has said no need not read the rest.
        let _ = stream.write_all(bytes);
        Reply::read(stream)
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        self.raw(format!("{text}\r\n{body}").as_bytes())
    }

    pub fn get(&self, path: &str, token: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        self.ask("GET", path, &[("authorization", &bearer)], "")
    }

    pub fn json(&self, path: &str, token: &str) -> Value {
        let reply = self.get(path, token);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One answer.
#[derive(Debug)]
pub struct Reply {
    /// 0: the connection was closed without one.
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A connection that is cut gives what came before.
        let mut part = [0; 16 << 10];
        while let Ok(size @ 1..) = stream.read(&mut part) {
            bytes.extend_from_slice(&part[..size]);
        }
        let _ = stream.shutdown(Shutdown::Both);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = match end {
            Some(end) => (bytes[..end].to_vec(), bytes[end + 4..].to_vec()),
            None => (bytes, Vec::new()),
        };
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head,
            body,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        heads::header(&self.head, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error} in {}", self.text());
        })
    }
}

/// A token of these scopes.
pub fn token(home: &Path, scopes: &str) -> String {
    let output = run(home, &["token", "create", "test", "--scope", scopes]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
