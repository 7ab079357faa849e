//! Stands between the store and the server, knows a COMMIT when it passes, and cuts the connection
//! before or after the server has done it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// `COM_QUERY` and its text.
const COMMIT: &[u8] = b"\x03COMMIT";

#[derive(Debug, Default)]
struct Counts {
    before: AtomicU64,
    after: AtomicU64,
}

/// Cuts about half of the connections at a commit: one in four of the cuts before the server has
/// seen it, the others after it was done and before the answer has passed.
#[derive(Debug)]
pub struct CuttingProxy {
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

impl CuttingProxy {
    pub async fn start(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                let random = StdRng::seed_from_u64(random.random());
                tokio::spawn(pass(client, server, random, Arc::clone(&counted)));
            }
        });
        Self { address, counts }
    }

    pub fn cut_before(&self) -> u64 {
        self.counts.before.load(Ordering::Relaxed)
    }

    /// The server has committed, and nobody was told.
    pub fn cut_after(&self) -> u64 {
        self.counts.after.load(Ordering::Relaxed)
    }
}

/// Ends, and closes both sides, as soon as one of them ends or is cut.
async fn pass(client: TcpStream, server: TcpStream, random: StdRng, counts: Arc<Counts>) {
    // Small packets that wait for each other: 40 ms each without this.
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut_the_answer = Arc::new(AtomicBool::new(false));
    tokio::select! {
        () = statements(from_client, to_server, random, &cut_the_answer, &counts) => {}
        () = answers(from_server, to_client, &cut_the_answer, &counts) => {}
    }
}

async fn statements(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut random: StdRng,
    cut_the_answer: &AtomicBool,
    counts: &Counts,
) {
    while let Some(packet) = packet(&mut from).await {
        if packet[4..] == *COMMIT && random.random_bool(0.5) {
            if random.random_bool(0.25) {
                counts.before.fetch_add(1, Ordering::Relaxed);
                return;
            }
            // Requests and answers take turns, so the next answer is the one to this.
            cut_the_answer.store(true, Ordering::Relaxed);
        }
        if to.write_all(&packet).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    cut_the_answer: &AtomicBool,
    counts: &Counts,
) {
    while let Some(packet) = packet(&mut from).await {
        if cut_the_answer.load(Ordering::Relaxed) {
            assert_eq!(packet[4], 0, "the server said OK");
            counts.after.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if to.write_all(&packet).await.is_err() {
            return;
        }
    }
}

/// One packet with its header: three bytes of length, little end first, and a number.
async fn packet(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet).await.ok()?;
    let length =
        usize::from(packet[0]) | usize::from(packet[1]) << 8 | usize::from(packet[2]) << 16;
    packet.resize(4 + length, 0);
    from.read_exact(&mut packet[4..]).await.ok()?;
    Some(packet)
}
