//! The servers themselves: shared ones are found, own ones start, die, return and keep their data.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use xtask::services::cluster::Cluster;
use xtask::services::cql::{self, Consistency, Credentials};
use xtask::services::mariadb_server::MariaDb;

fn run(address: SocketAddr, statement: &str, consistency: Consistency) -> anyhow::Result<()> {
    cql::execute(address, None, statement, consistency).map(|_| ())
}

#[test]
fn the_shared_servers_answer() {
    for address in xtask::services::cassandra().unwrap() {
        run(
            address,
            "SELECT cluster_name FROM system.local",
            Consistency::One,
        )
        .unwrap();
    }
    assert!(xtask::services::mariadb().unwrap().starts_with("mysql://"));
}

#[test]
fn a_ring_of_three_survives_the_death_of_one_and_takes_it_back() {
    let ring = Cluster::builder().nodes(3).start().unwrap();
    let [first, second, third] = ring.addresses()[..] else {
        panic!("three nodes")
    };
    ring.cql("CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}")
        .unwrap();
    ring.cql("CREATE TABLE k.t (id int PRIMARY KEY, text text)")
        .unwrap();
    run(
        first,
        "INSERT INTO k.t (id, text) VALUES (1, 'before')",
        Consistency::All,
    )
    .unwrap();

    ring.kill(1);
    assert!(!ring.is_running(1));
    assert!(TcpStream::connect(second).is_err());
    run(
        third,
        "INSERT INTO k.t (id, text) VALUES (2, 'during')",
        Consistency::Quorum,
    )
    .unwrap();
    ring.restart(1).unwrap();
    // Every copy is needed again, and every copy is there.
    run(
        second,
        "INSERT INTO k.t (id, text) VALUES (3, 'after')",
        Consistency::All,
    )
    .unwrap();
    run(first, "SELECT text FROM k.t WHERE id = 1", Consistency::All).unwrap();
}

#[test]
fn a_node_with_passwords_lets_nobody_in_without() {
    let ring = Cluster::builder().authentication().start().unwrap();
    let address = ring.addresses()[0];
    ring.cql("CREATE ROLE reader WITH PASSWORD = 'right' AND LOGIN = true")
        .unwrap();
    let query = "SELECT cluster_name FROM system.local";
    let ask = |user, password| {
        cql::execute(
            address,
            Some(Credentials { user, password }),
            query,
            Consistency::One,
        )
    };
    ask("reader", "right").unwrap();
    ask("reader", "wrong").unwrap_err();
    run(address, query, Consistency::One).unwrap_err();
    let denied = cql::execute(
        address,
        Some(Credentials {
            user: "reader",
            password: "right",
        }),
        "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        Consistency::One,
    );
    assert!(
        denied.unwrap_err().to_string().contains("reader"),
        "the server says who may not"
    );
}

#[test]
fn a_database_of_a_test_dies_and_returns_with_its_data() {
    let server = MariaDb::start().unwrap();
    server
        .sql("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1)")
        .unwrap();
    server.kill();
    assert!(TcpStream::connect(server.address()).is_err());
    server.restart().unwrap();
    server.sql("INSERT INTO d.t VALUES (1)").unwrap_err();
    server.sql("INSERT INTO d.t VALUES (2)").unwrap();
}

#[test]
fn a_node_with_tls_speaks_it_and_nothing_else() {
    let ring = Cluster::builder().tls().start().unwrap();
    let address = ring.addresses()[0];
    let certificates = ring.certificates().unwrap();
    assert_eq!(
        options_over_tls(address, &certificates.authority).unwrap(),
        0x06,
        "SUPPORTED"
    );
    let refused = options_over_tls(address, &certificates.stranger).unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer"), "{refused}");
    cql::execute(
        address,
        None,
        "SELECT cluster_name FROM system.local",
        Consistency::One,
    )
    .unwrap_err();
}

/// The opcode that a node answers to OPTIONS, through TLS that trusts this authority alone.
fn options_over_tls(address: SocketAddr, authority: &Path) -> std::io::Result<u8> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::from(address.ip());
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address)?;
    let mut stream = rustls::Stream::new(&mut client, &mut socket);
    stream.write_all(&[0x04, 0, 0, 0, 0x05, 0, 0, 0, 0])?;
    let mut header = [0; 9];
    stream.read_exact(&mut header)?;
    Ok(header[4])
}
