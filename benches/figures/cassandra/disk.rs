//! What a keyspace takes on a node's disk.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use xtask::services::cluster::Cluster;

/// Compacts, and prints the bytes of each table for each record, with its compressor.
pub async fn print_disk(
    ring: &Cluster,
    session: &Session,
    keyspace: &str,
    records: u64,
    input_bytes: u64,
) {
    ring.nodetool(0, &["flush", keyspace]).unwrap();
    ring.nodetool(0, &["compact", keyspace]).unwrap();
    let printed = ring
        .nodetool(0, &["tablestats", "-F", "json", keyspace])
        .unwrap();
    // nodetool writes its warnings in front of the object.
    let object = &printed[printed.find('{').unwrap()..];
    let stats: serde_json::Value = serde_json::from_str(object).unwrap();
    let compressors = compressors(session, keyspace).await;
    let mut total = 0.0;
    for (table, values) in stats[keyspace]["tables"].as_object().unwrap() {
        let bytes: f64 = values["space_used_live"].as_str().unwrap().parse().unwrap();
        total += bytes;
        // Each table has some kilobytes of its own.
        if bytes / records as f64 >= 0.1 {
            println!(
                "  {table:<28} {:>8.2} bytes/record  {}",
                bytes / records as f64,
                compressors[table]
            );
        }
    }
    println!(
        "{keyspace} on disk after compaction: {:.1} bytes/record for {:.1} of input ({:.0} % saved)",
        total / records as f64,
        input_bytes as f64 / records as f64,
        100.0 - total * 100.0 / input_bytes as f64
    );
}

/// As the server itself names them, by table.
async fn compressors(session: &Session, keyspace: &str) -> BTreeMap<String, String> {
    let select = "SELECT table_name, compression FROM system_schema.tables WHERE keyspace_name = ?";
    let answer = session
        .query_unpaged(select, (keyspace,))
        .await
        .unwrap()
        .into_rows_result()
        .unwrap();
    let rows = answer.rows::<(String, BTreeMap<String, String>)>().unwrap();
    rows.map(|row| {
        let (table, options) = row.unwrap();
        let of = |name: &str| options.get(name).map_or("", String::as_str);
        let class = of("class").rsplit('.').next().unwrap_or_default();
        let level = if of("compression_level").is_empty() {
            String::new()
        } else {
            format!(", level {}", of("compression_level"))
        };
        (
            table,
            format!("{class}, {} KiB{level}", of("chunk_length_in_kb")),
        )
    })
    .collect()
}
