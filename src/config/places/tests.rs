#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;

use secrecy::ExposeSecret as _;

use super::*;

fn nothing(_: &str) -> Option<String> {
    None
}

fn ring(url: &str) -> Result<CassandraPlace, Mistake> {
    cassandra("logs", url, &CassandraConfig::default(), &nothing)
}

fn server(url: &str) -> Result<MySqlPlace, Mistake> {
    mysql("metrics", url, &MySqlConfig::default(), &nothing)
}

#[test]
fn addresses_are_taken_apart() {
    let place = ring("cassandra://me%40home@10.0.0.1:9999,node2,[::1],[::2]:7/logging").unwrap();
    assert_eq!(
        place.nodes,
        ["10.0.0.1:9999", "node2:9042", "[::1]:9042", "[::2]:7"]
    );
    assert_eq!(place.keyspace, "logging");
    assert_eq!(place.user.as_deref(), Some("me@home"));
    let place = server("mysql://atalaya@db1/metrics").unwrap();
    assert_eq!(place.user, "atalaya");
    assert_eq!(
        (place.host.as_str(), place.port, place.database.as_str()),
        ("db1", 3306, "metrics")
    );
    assert!(server("mysql://me@[::1]:3307/metrics").is_ok_and(|place| place.host == "::1"));
}

#[test]
fn what_is_wrong_with_an_address_is_said_with_the_form() {
    let cases = [
        ("10.0.0.1/logging", "is no address"),
        (
            "mysql://10.0.0.1/logging",
            "`mysql://` is not supported here",
        ),
        ("cassandra://10.0.0.1", "names no keyspace"),
        ("cassandra://10.0.0.1/", "names no keyspace"),
        ("cassandra:///logging", "names no host"),
        ("cassandra://a,,b/logging", "names no host"),
        ("cassandra://a:port/logging", "what follows `a:` is no port"),
        ("cassandra://a:0/logging", "what follows `a:` is no port"),
        ("cassandra://[::1/logging", "no closing bracket"),
        ("cassandra://a b/logging", "is no host"),
        ("cassandra://a/logging?ssl=1", "[stores.cassandra]"),
    ];
    for (url, expected) in cases {
        let mistake = ring(url).unwrap_err();
        assert!(mistake.message.contains(expected), "{url}: {mistake}");
        assert!(
            mistake
                .message
                .contains("cassandra://user@10.0.0.1:9042,10.0.0.2/logging"),
            "{mistake}"
        );
        assert_eq!(mistake.key, "logs");
    }
    assert!(
        ring("cassandra://a/Logging")
            .unwrap_err()
            .message
            .contains("lower-case")
    );
    assert!(
        ring("cassandra://a/x;DROP")
            .unwrap_err()
            .message
            .contains("cannot be a keyspace")
    );
    assert!(
        server("mysql://me@a,b/atalaya")
            .unwrap_err()
            .message
            .contains("several hosts")
    );
    assert!(
        server("mysql://a/atalaya")
            .unwrap_err()
            .message
            .contains("names no user")
    );
    assert!(
        server("mysql://a/at`alaya")
            .unwrap_err()
            .message
            .contains("cannot be a database")
    );
}

/// R42: passwords are not shown.
#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    for url in [
        "cassandra://me:canary-7@a/logging",
        "cassandra://me:can@ary-7@a/logging",
    ] {
        let message = ring(url).unwrap_err().message;
        assert!(
            message.contains(CASSANDRA_PASSWORD) && message.contains("password_file"),
            "{message}"
        );
        assert!(!message.contains("ary-7"), "{message}");
    }
    assert!(
        !ring("me:canary-7@a/logging")
            .unwrap_err()
            .message
            .contains("canary")
    );
    assert_eq!(
        redacted("at cassandra://me:p@ss@a/b and x@y"),
        "at cassandra://***@a/b and ***@y"
    );
}

/// R42: passwords are not shown.
#[test]
fn a_password_comes_from_the_variable_or_from_a_file_of_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "canary-8\n").unwrap();
    let config = CassandraConfig {
        password_file: Some(path.clone()),
        ..CassandraConfig::default()
    };
    let place = |variable: &dyn Fn(&str) -> Option<String>| {
        cassandra("logs", "cassandra://me@a/logging", &config, variable)
    };
    for mode in [0o644, 0o640, 0o604, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mistake = place(&nothing).unwrap_err();
        assert_eq!(mistake.key, "cassandra.password_file");
        assert!(
            mistake.message.contains(&format!("mode {mode:04o}")),
            "{mistake}"
        );
        assert!(mistake.message.contains("chmod 600"), "{mistake}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let found = place(&nothing).unwrap();
    assert!(!format!("{found:?}").contains("canary"));
    assert_eq!(found.password.unwrap().secret.expose_secret(), "canary-8");
    let of_variable =
        place(&|name| (name == CASSANDRA_PASSWORD).then(|| "other".to_owned())).unwrap();
    assert_eq!(of_variable.password.unwrap().found_in, CASSANDRA_PASSWORD);
    // A password without a user would be silently unused.
    let mistake = cassandra("logs", "cassandra://a/logging", &config, &nothing).unwrap_err();
    assert!(mistake.message.contains("names no user"), "{mistake}");
    // What systemd was given, whose mode is not what keeps it from others.
    let given = folder.path().join("atalaya_cassandra_password");
    fs::write(&given, "canary-9\n").unwrap();
    fs::set_permissions(&given, fs::Permissions::from_mode(0o440)).unwrap();
    let credentials =
        |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.path().display().to_string());
    let plain = CassandraConfig::default();
    let of_systemd = cassandra("logs", "cassandra://me@a/logging", &plain, &credentials).unwrap();
    let password = of_systemd.password.unwrap();
    assert_eq!(password.secret.expose_secret(), "canary-9");
    let of_file = place(&credentials).unwrap().password.unwrap();
    assert_eq!(of_file.secret.expose_secret(), "canary-8");
    fs::write(&path, "\n").unwrap();
    assert!(place(&nothing).unwrap_err().message.contains("is empty"));
    fs::remove_file(&path).unwrap();
    assert!(place(&nothing).unwrap_err().message.contains("cannot read"));
}

#[test]
fn values_outside_of_their_limits_name_the_key() {
    let with = |change: fn(&mut CassandraConfig)| {
        let mut config = CassandraConfig::default();
        change(&mut config);
        cassandra("logs", "cassandra://a/logging", &config, &nothing).unwrap_err()
    };
    let cases: [(fn(&mut CassandraConfig), &str); 8] = [
        (
            |config| config.retention_days = Some(MOST_RETENTION_DAYS + 1),
            "cassandra.retention_days",
        ),
        (
            |config| config.bucket_minutes = Some(7),
            "cassandra.bucket_minutes",
        ),
        (
            |config| config.bucket_minutes = Some(0),
            "cassandra.bucket_minutes",
        ),
        (|config| config.shards = Some(0), "cassandra.shards"),
        (
            |config| config.window_days = Some(0),
            "cassandra.window_days",
        ),
        (
            |config| config.request_timeout_s = 0,
            "cassandra.request_timeout_s",
        ),
        (
            |config| config.replication = Some("many".to_owned()),
            "cassandra.replication",
        ),
        (
            |config| config.client_key = Some("key.pem".into()),
            "cassandra.client_key",
        ),
    ];
    for (change, key) in cases {
        assert_eq!(with(change).key, key);
    }
}

#[test]
fn without_an_address_everything_is_embedded() {
    let (logs, metrics) = resolve(&StoresConfig::default(), &nothing).unwrap();
    assert!(matches!(logs, LogsPlace::Embedded) && matches!(metrics, MetricsPlace::Embedded));
}
