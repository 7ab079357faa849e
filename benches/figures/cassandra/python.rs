//! Runs the peer `benches/peers/cassandra_handler.py`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::{Cost, Meter};

#[derive(Deserialize)]
struct Printed {
    records: u64,
    seconds: f64,
    cpu_seconds: f64,
}

/// `None` when there is no Python with the driver; says how to get one. `ATALAYA_BENCH_PYTHON`
/// names the interpreter, of a virtual environment for example.
pub fn measure(node: SocketAddr, keyspace: &str, input: &Path, servers: &[u32]) -> Option<Cost> {
    let python = std::env::var("ATALAYA_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !Command::new(&python)
        .args(["-c", "import cassandra"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!(
            "{python} has no cassandra-driver: its row stays empty. Make one with: python3 -m venv V && V/bin/pip install cassandra-driver && ATALAYA_BENCH_PYTHON=V/bin/python …"
        );
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/cassandra_handler.py");
    let meter = Meter::start(servers);
    let output = Command::new(python)
        .arg(script)
        .args([
            node.ip().to_string(),
            node.port().to_string(),
            keyspace.to_owned(),
        ])
        .arg(input)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed: Printed = serde_json::from_slice(&output.stdout).unwrap();
    // Start and end of the interpreter do not count for it.
    Some(Cost {
        seconds: printed.seconds,
        client_seconds: printed.cpu_seconds,
        ..meter.stop(printed.records)
    })
}
