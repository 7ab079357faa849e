//! As much of the CQL binary protocol (version 4) as it takes to see that a node answers.
//!
//! A driver would be a large dependency for a build tool, and it hides what is asked for here:
//! this very node, now, without retries.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Larger answers than a person would ask for here are refused.
const LARGEST_ANSWER: usize = 1 << 20;

const ERROR: u8 = 0x00;
const STARTUP: u8 = 0x01;
const READY: u8 = 0x02;
const AUTHENTICATE: u8 = 0x03;
const OPTIONS: u8 = 0x05;
const SUPPORTED: u8 = 0x06;
const QUERY: u8 = 0x07;
const RESULT: u8 = 0x08;
const AUTH_RESPONSE: u8 = 0x0F;
const AUTH_SUCCESS: u8 = 0x10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    One = 1,
    Quorum = 4,
    All = 5,
}

/// User and password of a node that asks for them.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub user: &'a str,
    pub password: &'a str,
}

/// Whether something that speaks CQL answers there; needs no password.
pub fn ping(address: SocketAddr) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    match connection.ask(OPTIONS, &[])?.0 {
        SUPPORTED => Ok(()),
        other => bail!("{address} answered OPTIONS with opcode {other}"),
    }
}

/// Runs one statement on this node and fails with the server's own words. Answers with the bytes of
/// the result, which are good for comparing two answers to one question.
pub fn execute(
    address: SocketAddr,
    credentials: Option<Credentials<'_>>,
    statement: &str,
    consistency: Consistency,
) -> anyhow::Result<Vec<u8>> {
    let mut connection = Connection::open(address)?;
    let mut startup = 1_u16.to_be_bytes().to_vec();
    string(&mut startup, "CQL_VERSION");
    string(&mut startup, "3.0.0");
    match (connection.ask(STARTUP, &startup)?.0, credentials) {
        (READY, _) => {}
        (AUTHENTICATE, Some(credentials)) => {
            let token = format!("\0{}\0{}", credentials.user, credentials.password);
            let mut body = u32::try_from(token.len())?.to_be_bytes().to_vec();
            body.extend_from_slice(token.as_bytes());
            if connection.ask(AUTH_RESPONSE, &body)?.0 != AUTH_SUCCESS {
                bail!("{address} does not let {} in", credentials.user);
            }
        }
        (AUTHENTICATE, None) => bail!("{address} asks for a user and a password"),
        (other, _) => bail!("{address} answered STARTUP with opcode {other}"),
    }
    let mut query = u32::try_from(statement.len())?.to_be_bytes().to_vec();
    query.extend_from_slice(statement.as_bytes());
    query.extend_from_slice(&(consistency as u16).to_be_bytes());
    query.push(0); // no values, no paging
    match connection.ask(QUERY, &query)? {
        (RESULT, body) => Ok(body),
        (other, _) => bail!("{address} answered a query with opcode {other}"),
    }
}

struct Connection {
    stream: TcpStream,
}

impl Connection {
    fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_read_timeout(Some(TIMEOUT * 3))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// One request and its answer: opcode and body. An ERROR frame is an error here.
    fn ask(&mut self, opcode: u8, body: &[u8]) -> anyhow::Result<(u8, Vec<u8>)> {
        let mut frame = vec![0x04, 0, 0, 0, opcode];
        frame.extend_from_slice(&u32::try_from(body.len())?.to_be_bytes());
        frame.extend_from_slice(body);
        self.stream.write_all(&frame)?;

        let mut header = [0_u8; 9];
        self.stream.read_exact(&mut header)?;
        let [version, _, _, _, answer, length @ ..] = header;
        let length = u32::from_be_bytes(length) as usize;
        if version != 0x84 || length > LARGEST_ANSWER {
            bail!("not an answer of CQL version 4");
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        if answer == ERROR {
            let text = body.get(6..).unwrap_or_default();
            bail!("{}", String::from_utf8_lossy(text));
        }
        Ok((answer, body))
    }
}

fn string(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}
