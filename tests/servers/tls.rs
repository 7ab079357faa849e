//! Encrypted rings through the real program: what fits works, and each way not to fit is one clear
//! message with the remedy and an exit code, never a connection that merely "broke".

use std::fmt::Write as _;
use std::path::Path;

use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions, TlsOptions};
use xtask::services::certificates::Certificates;
use xtask::services::cluster::Cluster;

use super::errors::ask;

const VARIABLE: &str = "ATALAYA_CASSANDRA_PASSWORD";

/// One way to connect, and what each command must say; nothing for one that fits.
struct Case<'a> {
    name: &'a str,
    /// Lines of `[stores.cassandra]`.
    files: &'a [(&'a str, &'a Path)],
    password: Option<&'a str>,
    says: &'a [&'a str],
}

fn check(home: &Path, address: &str, case: &Case) {
    let mut config = format!(
        "[ingest]\ndiscover = false\n\n[stores]\nlogs = '{address}'\n\n[stores.cassandra]\n"
    );
    for (key, file) in case.files {
        writeln!(config, "{key} = '{}'", file.display()).unwrap();
    }
    let password = case.password.map(|password| (VARIABLE, password));
    for (arguments, failed) in [
        (&["logs", "--limit", "1"][..], 1),
        (&["db", "status"], 1),
        (&["health"], 2),
    ] {
        let asked = ask(home, &config, password, arguments);
        let place = format!("{}, {arguments:?}:\n{}", case.name, asked.text);
        if case.says.is_empty() {
            // What the machine itself is like is another matter.
            assert!(asked.code == Some(0) || arguments == ["health"], "{place}");
            let wrong = ["unreachable", "do not agree", "did not accept", "FAIL"];
            assert!(
                !wrong.iter().any(|word| asked.text.contains(word)),
                "{place}"
            );
            continue;
        }
        assert_eq!(asked.code, Some(failed), "{place}");
        for says in case.says {
            assert!(asked.text.contains(says), "`{says}` is not said: {place}");
        }
    }
}

fn made(home: &Path, config: &str, password: Option<(&str, &str)>) {
    let made = ask(home, config, password, &["db", "init"]);
    assert_eq!(made.code, Some(0), "{}", made.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_with_tls_is_spoken_to_or_the_message_says_why_not() {
    let ring = Cluster::builder().tls().start().unwrap();
    let node = ring.addresses()[0];
    let Certificates {
        authority,
        stranger,
        server_key,
        ..
    } = ring.certificates().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let address = format!("cassandra://{node}/logging");
    let encrypted = format!(
        "[stores]\nlogs = '{address}'\n[stores.cassandra]\nca_file = '{}'\n",
        authority.display()
    );
    made(home, &encrypted, None);
    let check = |name, files: &[(&str, &Path)], says: &[&str]| {
        check(
            home,
            &address,
            &Case {
                name,
                files,
                password: None,
                says,
            },
        );
    };

    check("its own authority", &[("ca_file", authority)], &[]);
    check(
        "another authority",
        &[("ca_file", stranger)],
        &[
            "do not agree on encryption",
            "authority that is not trusted here",
            "ca_file",
        ],
    );
    check(
        "no encryption",
        &[],
        &["encryption", "ca_file or tls in [stores.cassandra]"],
    );
    let nowhere = home.join("nowhere.pem");
    check(
        "a file that is not there",
        &[("ca_file", &nowhere)],
        &["stores.cassandra.ca_file", "nowhere.pem"],
    );
    check(
        "a file that is none",
        &[("ca_file", server_key)],
        &["no PEM certificate in it"],
    );

    let options = CassandraOptions {
        tls: Some(TlsOptions {
            ca_file: Some(authority.clone()),
            client: None,
        }),
        ..CassandraOptions::new([node.to_string()], "logging")
    };
    let store = CassandraLogStore::connect(&options).await.unwrap();
    assert_eq!(
        atalaya::store::health::StoreHealth::stats(&store)
            .await
            .unwrap()
            .records,
        0
    );
}

#[test]
fn a_ring_that_asks_for_certificate_and_password_gets_both_or_says_which_is_missing() {
    let ring = Cluster::builder()
        .authentication()
        .mutual_tls()
        .start()
        .unwrap();
    let node = ring.addresses()[0];
    let Certificates {
        authority,
        client,
        client_key,
        ..
    } = ring.certificates().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let address = format!("cassandra://cassandra@{node}/logging");
    let files: [(&str, &Path); 3] = [
        ("ca_file", authority),
        ("client_cert", client),
        ("client_key", client_key),
    ];
    let config = format!(
        "[stores]\nlogs = '{address}'\n[stores.cassandra]\nca_file = '{}'\nclient_cert = '{}'\nclient_key = '{}'\n",
        authority.display(),
        client.display(),
        client_key.display()
    );
    made(home, &config, Some((VARIABLE, "cassandra")));

    let case = Case {
        name: "all of it",
        files: &files,
        password: Some("cassandra"),
        says: &[],
    };
    check(home, &address, &case);
    let says = [
        "Cassandra did not accept the user and password",
        VARIABLE,
        "the user in stores.logs",
    ];
    check(
        home,
        &address,
        &Case {
            name: "wrong password",
            password: Some("wrong"),
            says: &says,
            ..case
        },
    );
    let says = ["client_cert and client_key in [stores.cassandra]"];
    check(
        home,
        &address,
        &Case {
            name: "no certificate",
            files: &files[..1],
            says: &says,
            ..case
        },
    );
}

#[test]
fn a_ring_without_tls_is_said_to_be_one() {
    let node = xtask::services::cassandra().unwrap()[0];
    let folder = tempfile::tempdir().unwrap();
    let made = xtask::services::certificates::write(folder.path(), &[node.ip()]).unwrap();
    let case = Case {
        name: "TLS to a plain node",
        files: &[("ca_file", &made.authority)],
        password: None,
        says: &[
            "do not agree on encryption",
            "does not speak TLS",
            "[stores.cassandra]",
        ],
    };
    check(folder.path(), &format!("cassandra://{node}/logging"), &case);
}
