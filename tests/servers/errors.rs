//! What goes wrong between us and a server, through the real program: one clear message with the
//! remedy, the right exit code, and never a password.

use std::path::Path;
use std::process::{Command, Output};

use xtask::services::cluster::Cluster;
use xtask::services::mariadb_server::MariaDb;

/// Every password of these tests holds it; no output may.
const CANARY: &str = "canary";
const RIGHT: &str = "canary-right-31";
const WRONG: &str = "canary-wrong-32";

/// One way to be wrong (or right), and what each command must end with.
struct Case<'a> {
    name: &'a str,
    address: &'a str,
    password: Option<&'a str>,
    /// All of them stand in the message of a command that fails.
    says: &'a [&'a str],
    /// Exit codes of reading, of `db status`, of `config check`.
    codes: [i32; 3],
}

pub(crate) struct Asked {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    errors: String,
}

/// Runs the program on this configuration with nothing else in its environment.
pub(crate) fn ask(
    home: &Path,
    config: &str,
    password: Option<(&str, &str)>,
    arguments: &[&str],
) -> Asked {
    std::fs::write(home.join("c.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command
        .args(["--config", "c.toml", "--data-dir", "data"])
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .envs(password);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let errors = String::from_utf8(stderr).unwrap();
    let text = format!("{}{errors}", String::from_utf8(stdout).unwrap());
    assert!(
        !text.contains(CANARY),
        "{arguments:?} shows a password:\n{text}"
    );
    assert!(!text.contains("panicked"), "{arguments:?}:\n{text}");
    Asked {
        code: status.code(),
        text,
        errors,
    }
}

/// `read` is a command that needs the store; its message must be one line.
fn check(home: &Path, key: &str, variable: &str, read: &[&str], case: &Case) {
    let config = format!("[stores]\n{key} = \"{}\"\n", case.address);
    let password = case.password.map(|password| (variable, password));
    for (arguments, code) in [read, &["db", "status"], &["config", "check"]]
        .into_iter()
        .zip(case.codes)
    {
        let asked = ask(home, &config, password, arguments);
        let place = format!("{}, {arguments:?}:\n{}", case.name, asked.text);
        assert_eq!(asked.code, Some(code), "{place}");
        if code != 0 {
            for says in case.says {
                assert!(asked.text.contains(says), "`{says}` is not said: {place}");
            }
        }
        if code != 0 && arguments == read {
            assert!(asked.errors.starts_with("atalaya: "), "{place}");
            assert_eq!(asked.errors.trim_end().lines().count(), 1, "{place}");
        }
    }
}

#[test]
fn cassandra_says_what_is_wrong_and_what_to_do() {
    let ring = Cluster::builder().authentication().start().unwrap();
    let node = ring.addresses()[0];
    for role in ["writer", "reader"] {
        ring.cql(&format!(
            "CREATE ROLE {role} WITH PASSWORD = '{RIGHT}' AND LOGIN = true"
        ))
        .unwrap();
    }
    ring.cql("GRANT ALL PERMISSIONS ON ALL KEYSPACES TO writer")
        .unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let variable = "ATALAYA_CASSANDRA_PASSWORD";
    let read = ["logs", "--limit", "1"];
    let check = |case: &Case| check(home, "logs", variable, &read, case);
    let writer = format!("cassandra://writer@{node}/logging");
    let as_writer = |arguments: &[&str]| {
        ask(
            home,
            &format!("[stores]\nlogs = \"{writer}\"\n"),
            Some((variable, RIGHT)),
            arguments,
        )
    };

    check(&Case {
        name: "wrong address",
        address: "cassandra://writer@127.0.0.1:1/logging",
        password: Some(RIGHT),
        says: &[
            "Cassandra is unreachable at 127.0.0.1:1/logging",
            "is stores.logs its address?",
        ],
        codes: [1; 3],
    });
    let refused = [
        "Cassandra did not accept the user and password",
        "the user in stores.logs",
        variable,
    ];
    check(&Case {
        name: "wrong password",
        address: &writer,
        password: Some(WRONG),
        says: &refused,
        codes: [1; 3],
    });
    check(&Case {
        name: "no password",
        address: &format!("cassandra://{node}/logging"),
        password: None,
        says: &refused,
        codes: [1; 3],
    });
    check(&Case {
        name: "missing keyspace",
        address: &writer,
        password: Some(RIGHT),
        says: &[
            "Cassandra has no tables of this program",
            "run `atalaya db init`",
        ],
        codes: [1; 3],
    });
    let migrated = as_writer(&["db", "migrate"]);
    assert_eq!(migrated.code, Some(1), "{}", migrated.text);
    assert!(
        migrated.text.contains("run `atalaya db init`"),
        "{}",
        migrated.text
    );

    let made = as_writer(&["db", "init"]);
    assert_eq!(made.code, Some(0), "{}", made.text);
    let fine = Case {
        name: "all is well",
        address: &writer,
        password: Some(RIGHT),
        says: &[],
        codes: [0; 3],
    };
    check(&fine);

    let newest = made
        .text
        .split("version ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    ring.cql(&format!(
        "DELETE FROM logging.schema_migrations WHERE version = {newest}"
    ))
    .unwrap();
    check(&Case {
        name: "older schema",
        address: &writer,
        password: Some(RIGHT),
        says: &["this program needs", "run `atalaya db migrate`"],
        codes: [1; 3],
    });
    let migrated = as_writer(&["db", "migrate"]);
    assert_eq!(migrated.code, Some(0), "{}", migrated.text);
    check(&fine);

    ring.cql(
        "INSERT INTO logging.schema_migrations (version, name, applied_at, applied_by)
              VALUES (99, 'x', toTimestamp(now()), 'elsewhere')",
    )
    .unwrap();
    check(&Case {
        name: "newer schema",
        address: &writer,
        password: Some(RIGHT),
        says: &["is version 99", "use a newer atalaya"],
        codes: [1; 3],
    });
    ring.cql("DELETE FROM logging.schema_migrations WHERE version = 99")
        .unwrap();

    ring.cql("GRANT SELECT ON KEYSPACE logging TO reader")
        .unwrap();
    let reader = format!("cassandra://reader@{node}/logging");
    check(&Case {
        name: "read-only role",
        address: &reader,
        password: Some(RIGHT),
        says: &["Cassandra does not permit this", "grant it to the role"],
        codes: [0, 0, 1],
    });
    let config = format!("[stores]\nlogs = \"{reader}\"\n");
    std::fs::write(home.join("x.log"), "a line\n").unwrap();
    for arguments in [
        &["db", "init"][..],
        &["ingest", "x.log", "--format", "plain"],
    ] {
        let asked = ask(home, &config, Some((variable, RIGHT)), arguments);
        assert_eq!(asked.code, Some(1), "{arguments:?}: {}", asked.text);
        assert!(
            asked.text.contains("does not permit this"),
            "{arguments:?}: {}",
            asked.text
        );
    }
}

#[test]
fn mysql_says_what_is_wrong_and_what_to_do() {
    let server = MariaDb::start().unwrap();
    let node = server.address();
    server
        .sql(&format!(
            "CREATE USER writer@'%' IDENTIFIED BY '{RIGHT}'; GRANT ALL ON *.* TO writer@'%';
             CREATE USER reader@'%' IDENTIFIED BY '{RIGHT}'; GRANT SELECT ON atalaya.* TO reader@'%'"
        ))
        .unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let variable = "ATALAYA_MYSQL_PASSWORD";
    let read = ["dora", "report"];
    let check = |case: &Case| check(home, "metrics", variable, &read, case);
    let writer = format!("mysql://writer@{node}/atalaya");
    let as_writer = |arguments: &[&str]| {
        ask(
            home,
            &format!("[stores]\nmetrics = \"{writer}\"\n"),
            Some((variable, RIGHT)),
            arguments,
        )
    };

    check(&Case {
        name: "wrong address",
        address: "mysql://writer@127.0.0.1:1/atalaya",
        password: Some(RIGHT),
        says: &[
            "MySQL is unreachable at 127.0.0.1:1/atalaya",
            "is stores.metrics its address?",
        ],
        codes: [1; 3],
    });
    let refused = [
        "MySQL did not accept the user and password",
        "the user in stores.metrics",
        variable,
    ];
    for password in [Some(WRONG), None] {
        check(&Case {
            name: "wrong password",
            address: &writer,
            password,
            says: &refused,
            codes: [1; 3],
        });
    }
    let missing = [
        "MySQL has no tables of this program",
        "run `atalaya db init`",
    ];
    check(&Case {
        name: "missing database",
        address: &writer,
        password: Some(RIGHT),
        says: &missing,
        codes: [1; 3],
    });
    server.sql("CREATE DATABASE atalaya").unwrap();
    check(&Case {
        name: "empty database",
        address: &writer,
        password: Some(RIGHT),
        says: &missing,
        codes: [1; 3],
    });
    let migrated = as_writer(&["db", "migrate"]);
    assert_eq!(migrated.code, Some(1), "{}", migrated.text);
    server.sql("DROP DATABASE atalaya").unwrap();

    let made = as_writer(&["db", "init"]);
    assert_eq!(made.code, Some(0), "{}", made.text);
    let fine = Case {
        name: "all is well",
        address: &writer,
        password: Some(RIGHT),
        says: &[],
        codes: [0; 3],
    };
    check(&fine);

    server
        .sql(
            "UPDATE atalaya.schema_migrations SET finished_at = NULL ORDER BY version DESC LIMIT 1",
        )
        .unwrap();
    check(&Case {
        name: "older schema",
        address: &writer,
        password: Some(RIGHT),
        says: &["this program needs", "run `atalaya db migrate`"],
        codes: [1; 3],
    });
    let migrated = as_writer(&["db", "migrate"]);
    assert_eq!(migrated.code, Some(0), "{}", migrated.text);
    check(&fine);

    server
        .sql("INSERT INTO atalaya.schema_migrations VALUES (99, 'x', 1, 1)")
        .unwrap();
    check(&Case {
        name: "newer schema",
        address: &writer,
        password: Some(RIGHT),
        says: &["is version 99", "use a newer atalaya"],
        codes: [1; 3],
    });
    server
        .sql("DELETE FROM atalaya.schema_migrations WHERE version = 99")
        .unwrap();

    let reader = format!("mysql://reader@{node}/atalaya");
    check(&Case {
        name: "read-only role",
        address: &reader,
        password: Some(RIGHT),
        says: &["MySQL does not permit this", "grant it to the role"],
        codes: [0, 0, 1],
    });
    let config = format!("[stores]\nmetrics = \"{reader}\"\n");
    let record = [
        "dora",
        "record",
        "--feature",
        "F",
        "--phase",
        "testing",
        "--decision",
        "go",
        "--duration",
        "1s",
    ];
    let asked = ask(home, &config, Some((variable, RIGHT)), &record);
    assert_eq!(asked.code, Some(1), "{}", asked.text);
    assert!(
        asked.text.contains("does not permit this"),
        "{}",
        asked.text
    );
}
