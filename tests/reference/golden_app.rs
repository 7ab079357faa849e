//! Database, application and container logs beside what their own tools make of them.

use std::collections::BTreeMap;

use atalaya::domain::record::{Entry, Level};
use atalaya::domain::time::Timestamp;
use serde_json::Value;

use super::golden::{
    Decoded, Difference, Mapping, Ours, beats, beats_hint, compare, csv_table, cut_lines,
    data_path, decode, detect, format, hint, instant, read, read_json,
};

type Row = BTreeMap<String, Value>;

const NOW: &str = "2026-01-01T00:00:00Z";

fn decode_file(path: &str, name: &str) -> Decoded {
    decode(format(name), &read(path), hint(NOW))
}

/// The rows of a beats expectation, without what says nothing of the line.
fn beats_rows(path: &str) -> Vec<Row> {
    const LEFT: [&str; 12] = [
        "event.category",
        "event.kind",
        "event.type",
        "event.outcome",
        "event.dataset",
        "event.module",
        "fileset.",
        "input.type",
        "service.type",
        "log.flags",
        "related.",
        "tags",
    ];
    read_json(&format!("{path}-expected.json"))
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let fields = event.as_object().unwrap().iter();
            fields
                .filter(|(name, _)| !LEFT.iter().any(|left| name.starts_with(left)))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        })
        .collect()
}

/// beats computes durations in single precision: six digits are what can be compared.
fn round_duration(row: &mut Row) {
    if let Some(duration) = row.get("event.duration").and_then(Value::as_f64) {
        row.insert(
            "event.duration".into(),
            Value::from(format!("{duration:.5e}")),
        );
    }
}

fn rounded_duration(entry: &Entry) -> Option<String> {
    entry.duration_ms.map(|ms| format!("{:.5e}", ms * 1e6))
}

fn text<'v>(row: &'v Row, name: &str) -> &'v str {
    row.get(name).and_then(Value::as_str).unwrap_or("")
}

// ---- PostgreSQL -------------------------------------------------------------------------------

fn session_start(entry: &Entry) -> Option<String> {
    let start = entry.metadata("session_start")?.strip_suffix(" UTC")?;
    Some(format!("{}.000Z", start.replace(' ', "T")))
}

const POSTGRESQL: Mapping = &[
    ("@timestamp", Ours::Time),
    ("log.level", Ours::Level),
    ("message", Ours::Message),
    ("event.duration", Ours::Made(rounded_duration)),
    ("event.timezone", Ours::Left("in the stamp")),
    ("process.pid", Ours::Meta("pid")),
    ("user.name", Ours::Meta("user")),
    (
        "postgresql.log.timestamp",
        Ours::Left("the text of @timestamp"),
    ),
    (
        "postgresql.log.application_name",
        Ours::Meta("application_name"),
    ),
    ("postgresql.log.backend_type", Ours::Meta("backend_type")),
    ("postgresql.log.client_addr", Ours::Meta("remote_host")),
    ("postgresql.log.client_port", Ours::Meta("remote_port")),
    ("postgresql.log.command_tag", Ours::Meta("ps")),
    ("postgresql.log.database", Ours::Meta("dbname")),
    ("postgresql.log.detail", Ours::Meta("detail")),
    ("postgresql.log.query", Ours::Meta("statement")),
    ("postgresql.log.query_name", Ours::Meta("query_name")),
    ("postgresql.log.query_step", Ours::Meta("query_step")),
    ("postgresql.log.session_id", Ours::SessionId),
    ("postgresql.log.session_line_number", Ours::Meta("line_num")),
    (
        "postgresql.log.session_start_time",
        Ours::Made(session_start),
    ),
    ("postgresql.log.sql_state_code", Ours::Meta("state_code")),
    ("postgresql.log.transaction_id", Ours::Meta("txid")),
    ("postgresql.log.virtual_transaction_id", Ours::Meta("vxid")),
    ("ours.detail", Ours::Meta("detail")),
    ("ours.hint", Ours::Meta("hint")),
    ("ours.context", Ours::Meta("context")),
    ("ours.statement", Ours::Meta("statement")),
    ("ours.location", Ours::Meta("location")),
];

/// Continuing lines of beats keep the tab that PostgreSQL puts before them.
fn without_tabs(text: &str) -> Value {
    Value::from(text.replace("\n\t", "\n").trim_end())
}

/// beats has an event for each DETAIL, HINT, CONTEXT, STATEMENT and LOCATION line; ours join the
/// record that they explain.
fn fold_parts(rows: Vec<Row>) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::new();
    for mut row in rows {
        let severity = text(&row, "log.level").to_owned();
        let part = matches!(
            severity.as_str(),
            "DETAIL" | "HINT" | "CONTEXT" | "STATEMENT" | "LOCATION"
        );
        if part && let Some(last) = out.last_mut() {
            let part = format!("ours.{}", severity.to_ascii_lowercase());
            last.insert(part, without_tabs(text(&row, "message")));
            continue;
        }
        if part {
            row.remove("log.level");
        }
        round_duration(&mut row);
        // The statement is our message; beats keeps the line's or has it twice.
        if row.contains_key("postgresql.log.query_step")
            && let Some(query) = row.remove("postgresql.log.query")
        {
            row.insert("message".into(), query);
        }
        let message = text(&row, "message");
        let message = without_tabs(message.strip_prefix("statement: ").unwrap_or(message));
        row.insert("message".into(), message);
        if let Some(detail) = row.get("postgresql.log.detail").and_then(Value::as_str) {
            let detail = without_tabs(detail);
            row.insert("postgresql.log.detail".into(), detail);
        }
        // Who has not said who he is is nobody.
        row.retain(|_, value| !matches!(value.as_str(), Some("[unknown]" | "unknown")));
        // beats reads EST in July as -04:00; by its name it is -05:00.
        if text(&row, "event.timezone") == "EST" {
            row.remove("@timestamp");
        }
        out.push(row);
    }
    out
}

const POSTGRESQL_DIFFERENCES: &[Difference] = &[];

#[test]
fn beats_postgresql() {
    let folder = "beats/filebeat/module/postgresql/log/test";
    let mut files = 0;
    for file in std::fs::read_dir(data_path(folder)).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if std::path::Path::new(&name)
            .extension()
            .is_none_or(|extension| extension != "log")
        {
            continue;
        }
        files += 1;
        let path = format!("{folder}/{name}");
        let bytes = read(&path);
        let csv = name.ends_with(".csv.log");
        let found = detect(
            &std::str::from_utf8(&bytes)
                .unwrap()
                .lines()
                .take(64)
                .collect::<Vec<_>>(),
        );
        let want = if csv { "postgresql-csv" } else { "postgresql" };
        assert_eq!(found.name(), want, "{path}");
        let decoded = decode(found, &bytes, beats_hint());
        assert_eq!(decoded.counts.mismatched, 0, "{path}");
        let rows = fold_parts(beats_rows(&path));
        assert_eq!(
            decoded.entries.len(),
            rows.len(),
            "{path}: {:#?}",
            decoded.entries
        );
        compare(
            &path,
            &decoded.entries,
            &rows,
            POSTGRESQL,
            POSTGRESQL_DIFFERENCES,
        );
    }
    assert_eq!(files, 12);
}

fn meta_count(decoded: &Decoded, name: &str, value: &str) -> usize {
    decoded
        .entries
        .iter()
        .filter(|entry| entry.metadata(name) == Some(value))
        .count()
}

#[test]
fn pgbadger_totals() {
    let light = decode_file("pgbadger/t/fixtures/light.postgres.log.bz2", "postgresql");
    let timed = light
        .entries
        .iter()
        .filter(|entry| entry.duration_ms.is_some());
    assert_eq!(timed.clone().count(), 629);
    assert!(
        timed
            .clone()
            .all(|entry| entry.metadata("dbname") == Some("postgres"))
    );
    assert_eq!(light.entries.len(), 630);
    assert_eq!(light.counts.mismatched, 0);

    let sessions = decode_file("pgbadger/t/fixtures/begin_end.log", "postgresql");
    let ended = |until: &str| {
        let until = instant(until).unwrap();
        sessions
            .entries
            .iter()
            .filter(|entry| {
                entry.timestamp <= until && entry.message.starts_with("disconnection: session time")
            })
            .count()
    };
    // The bounds are in the log's zone, CET.
    assert_eq!(
        [
            ended("2021-02-14T19:30:00Z"),
            ended("2021-02-15T19:30:00Z"),
            ended("2022-01-01T00:00:00Z")
        ],
        [3, 7, 8]
    );

    let kinds = decode_file("pgbadger/t/fixtures/stmt_type.log", "postgresql");
    let begins = |words: &[&str]| {
        kinds
            .entries
            .iter()
            .filter(|entry| words.iter().any(|word| entry.message.starts_with(word)))
            .count()
    };
    assert_eq!(kinds.entries.len(), 12);
    let copies = |direction: &str| {
        let copies = kinds
            .entries
            .iter()
            .filter(|entry| entry.message.starts_with("COPY"));
        copies
            .filter(|entry| entry.message.contains(direction))
            .count()
    };
    let expected = String::from_utf8(read("pgbadger/t/exp/stmt_type.out")).unwrap();
    assert_eq!(expected.lines().count(), 10);
    for line in expected.lines() {
        let (kind, rest) = line.split_once(": ").unwrap();
        let count = match kind {
            "COPY FROM" => copies(" FROM "),
            "COPY TO" => copies(" TO "),
            "CTE" => begins(&["WITH"]),
            "DDL" => begins(&["CREATE"]),
            "TCL" => begins(&["BEGIN", "COMMIT"]),
            "CURSOR" => begins(&["DECLARE", "FETCH"]),
            word => begins(&[word]),
        };
        let want: usize = rest.split_whitespace().next().unwrap().parse().unwrap();
        assert_eq!(count, want, "{line}");
    }
    assert!(
        kinds
            .entries
            .iter()
            .any(|entry| entry.message.contains("камень & почка"))
    );

    let zones = decode_file("pgbadger/t/fixtures/pg-timezones.log", "postgresql");
    let times: Vec<String> = zones
        .entries
        .iter()
        .map(|entry| entry.timestamp.to_rfc3339())
        .collect();
    assert_eq!(
        times,
        ["2021-05-27T17:00:00.000000Z", "2021-05-27T17:46:39.000000Z"]
    );
    assert_eq!(zones.entries[0].metadata("remote_host"), Some("10.1.91.65"));
    assert_eq!(zones.entries[0].duration_ms, Some(0.054));

    let plex = decode_file("pgbadger/t/fixtures/logplex.gz", "postgresql");
    assert_eq!(plex.counts.mismatched, 0);
    let green = plex.entries.iter().filter(|entry| {
        entry.metadata("color") == Some("GREEN") && entry.message.starts_with("WITH ")
    });
    let total: f64 = green.filter_map(|entry| entry.duration_ms).sum();
    assert!((total - 21_761.546).abs() < 1e-6, "{total}");
    let aqua = plex
        .entries
        .iter()
        .find(|entry| entry.metadata("color") == Some("AQUA"))
        .unwrap();
    assert_eq!(aqua.message.lines().count(), 6);

    let parameters = decode_file("pgbadger/t/fixtures/multiline_param.log", "postgresql");
    assert_eq!(parameters.counts.mismatched, 0);
    assert!(
        parameters
            .entries
            .iter()
            .all(|entry| !entry.message.is_empty() && entry.metadata("user") == Some("user1"))
    );
    let lines = read("pgbadger/t/fixtures/multiline_param.log");
    let heads = String::from_utf8(lines)
        .unwrap()
        .lines()
        .filter(|line| line.contains(" LOG:  "))
        .count();
    assert_eq!(parameters.entries.len(), heads);
    assert!(parameters.entries.iter().any(|entry| {
        entry
            .metadata("detail")
            .is_some_and(|detail| detail.contains("'njchar\nhello'"))
    }));

    let temporary = decode_file("pgbadger/t/fixtures/tempfile_only.log.gz", "postgresql");
    let files = temporary
        .entries
        .iter()
        .filter(|entry| entry.message.starts_with("temporary file"));
    assert!(files.clone().count() > 0);
    assert!(
        files
            .clone()
            .all(|entry| entry.metadata("statement").is_some())
    );

    let queries = decode_file("pgbadger/t/fixtures/queryid.log.gz", "postgresql");
    assert_eq!(queries.counts.mismatched, 0);
    assert!(
        queries
            .entries
            .iter()
            .all(|entry| entry.metadata("query_id").is_some())
    );
    assert!(
        queries
            .entries
            .iter()
            .any(|entry| entry.message.ends_with("ORDER BY 1,2;"))
    );

    let weeks = decode_file("pgbadger/t/fixtures/weeknumber.log", "postgresql-csv");
    let days: Vec<String> = weeks
        .entries
        .iter()
        .map(|entry| entry.timestamp.to_rfc3339()[..10].to_owned())
        .collect();
    assert_eq!(
        days,
        [
            "2021-01-01",
            "2021-01-02",
            "2021-01-03",
            "2021-01-04",
            "2021-01-05",
            "2021-07-05"
        ]
    );
}

#[test]
fn pgbadger_jsonlog() {
    let decoded = decode_file("pgbadger/t/fixtures/pg_vacuums.json.gz", "postgresql-json");
    assert_eq!(
        (decoded.entries.len(), decoded.counts.mismatched),
        (3544, 0)
    );
    let begins = |word: &'static str| {
        decoded
            .entries
            .iter()
            .filter(move |entry| entry.message.contains(word))
    };
    assert_eq!(
        (
            begins("automatic analyze").count(),
            begins("automatic vacuum").count()
        ),
        (1450, 2094)
    );
    let at_hour = |word: &'static str, local: i64| {
        begins(word)
            .filter(|entry| (entry.timestamp.micros() / 3_600_000_000 + 2) % 24 == local)
            .count()
    };
    assert_eq!(
        (
            at_hour("automatic analyze", 1),
            at_hour("automatic vacuum", 2)
        ),
        (474, 730)
    );
    let first = &decoded.entries[0];
    assert_eq!(first.session_id.as_deref(), Some("667c8f67.e327"));
    for (name, value) in [
        ("pid", "58151"),
        ("line_num", "1"),
        ("vxid", "21/52610848"),
        ("txid", "3949960645"),
    ] {
        assert_eq!(first.metadata(name), Some(value));
    }
    assert_eq!(first.timestamp.to_rfc3339(), "2024-06-26T22:00:07.369000Z");
}

// ---- MySQL ------------------------------------------------------------------------------------

/// beats has code and subsystem as fields, and leaves them in the message too.
fn with_code(entry: &Entry) -> Option<String> {
    let message = &entry.message;
    Some(match (entry.metadata("code"), &entry.logger) {
        (Some(code), Some(subsystem)) => format!("[{code}] [{subsystem}] {message}"),
        _ => message.to_string(),
    })
}

const MYSQL_ERROR: Mapping = &[
    ("@timestamp", Ours::Time),
    ("log.level", Ours::Level),
    ("message", Ours::Made(with_code)),
    ("event.timezone", Ours::Left("of the test")),
    ("event.code", Ours::Meta("code")),
    ("event.provider", Ours::Logger),
    ("mysql.thread_id", Ours::Meta("thread_id")),
];

#[test]
fn beats_mysql_error() {
    for (file, complete) in [
        ("error.log", true),
        ("mysql-ubuntu-5.5.53.log", false),
        ("mysql-ubuntu-8.0.15.log", true),
    ] {
        let path = format!("beats/filebeat/module/mysql/error/test/{file}");
        let decoded = decode(format("mysql-error"), &read(&path), beats_hint());
        let mut rows = beats_rows(&path);
        for row in &mut rows {
            // A blank line at the end of a record says nothing.
            let message = Value::from(text(row, "message").trim());
            row.insert("message".into(), message);
        }
        assert_eq!(decoded.counts.mismatched, 0, "{path}");
        if complete {
            assert_eq!(decoded.entries.len(), rows.len(), "{path}");
        } else {
            assert!(decoded.entries.len() > rows.len(), "{path}");
        }
        compare(&path, &decoded.entries, &rows, MYSQL_ERROR, &[]);
    }
}

fn seconds(entry: &Entry) -> Option<String> {
    Some(format!("{}.000Z", &entry.timestamp.to_rfc3339()[..19]))
}

fn schema(entry: &Entry) -> Option<String> {
    entry
        .metadata("schema")
        .or_else(|| entry.metadata("db"))
        .map(str::to_owned)
}

/// MySQL 8 and Percona Server have different names for the same three values.
fn last_errno(entry: &Entry) -> Option<String> {
    entry
        .metadata("last_errno")
        .or_else(|| entry.metadata("errno"))
        .map(str::to_owned)
}

fn tmp_tables(entry: &Entry) -> Option<String> {
    entry
        .metadata("tmp_tables")
        .or_else(|| entry.metadata("created_tmp_tables"))
        .map(str::to_owned)
}

fn tmp_disk_tables(entry: &Entry) -> Option<String> {
    entry
        .metadata("tmp_disk_tables")
        .or_else(|| entry.metadata("created_tmp_disk_tables"))
        .map(str::to_owned)
}

const MYSQL_SLOW: Mapping = &[
    ("@timestamp", Ours::Made(seconds)),
    ("event.duration", Ours::Made(rounded_duration)),
    ("event.start", Ours::Meta("start")),
    ("event.end", Ours::Meta("end")),
    ("mysql.thread_id", Ours::Meta("thread_id")),
    ("user.name", Ours::Meta("user")),
    ("source.domain", Ours::Meta("client_host")),
    ("source.ip", Ours::Meta("client")),
    ("mysql.slowlog.query", Ours::Message),
    (
        "mysql.slowlog.current_user",
        Ours::Left("the account in brackets, the user's in every sample"),
    ),
    ("mysql.slowlog.schema", Ours::Made(schema)),
    ("mysql.slowlog.bytes_received", Ours::Meta("bytes_received")),
    ("mysql.slowlog.bytes_sent", Ours::Meta("bytes_sent")),
    ("mysql.slowlog.filesort", Ours::Meta("filesort")),
    (
        "mysql.slowlog.filesort_on_disk",
        Ours::Meta("filesort_on_disk"),
    ),
    ("mysql.slowlog.full_join", Ours::Meta("full_join")),
    ("mysql.slowlog.full_scan", Ours::Meta("full_scan")),
    (
        "mysql.slowlog.innodb.io_r_bytes",
        Ours::Meta("innodb_io_r_bytes"),
    ),
    (
        "mysql.slowlog.innodb.io_r_ops",
        Ours::Meta("innodb_io_r_ops"),
    ),
    (
        "mysql.slowlog.innodb.io_r_wait.sec",
        Ours::Meta("innodb_io_r_wait"),
    ),
    (
        "mysql.slowlog.innodb.pages_distinct",
        Ours::Meta("innodb_pages_distinct"),
    ),
    (
        "mysql.slowlog.innodb.queue_wait.sec",
        Ours::Meta("innodb_queue_wait"),
    ),
    (
        "mysql.slowlog.innodb.rec_lock_wait.sec",
        Ours::Meta("innodb_rec_lock_wait"),
    ),
    ("mysql.slowlog.innodb.trx_id", Ours::Meta("innodb_trx_id")),
    ("mysql.slowlog.killed", Ours::Meta("killed")),
    ("mysql.slowlog.last_errno", Ours::Made(last_errno)),
    ("mysql.slowlog.lock_time.sec", Ours::Meta("lock_time")),
    (
        "mysql.slowlog.log_slow_rate_limit",
        Ours::Meta("log_slow_rate_limit"),
    ),
    (
        "mysql.slowlog.log_slow_rate_type",
        Ours::Meta("log_slow_rate_type"),
    ),
    ("mysql.slowlog.merge_passes", Ours::Meta("merge_passes")),
    ("mysql.slowlog.priority_queue", Ours::Meta("priority_queue")),
    ("mysql.slowlog.query_cache_hit", Ours::Meta("qc_hit")),
    ("mysql.slowlog.read_first", Ours::Meta("read_first")),
    ("mysql.slowlog.read_key", Ours::Meta("read_key")),
    ("mysql.slowlog.read_last", Ours::Meta("read_last")),
    ("mysql.slowlog.read_next", Ours::Meta("read_next")),
    ("mysql.slowlog.read_prev", Ours::Meta("read_prev")),
    ("mysql.slowlog.read_rnd", Ours::Meta("read_rnd")),
    ("mysql.slowlog.read_rnd_next", Ours::Meta("read_rnd_next")),
    ("mysql.slowlog.rows_affected", Ours::Meta("rows_affected")),
    ("mysql.slowlog.rows_examined", Ours::Meta("rows_examined")),
    ("mysql.slowlog.rows_sent", Ours::Meta("rows_sent")),
    (
        "mysql.slowlog.sort_merge_passes",
        Ours::Meta("sort_merge_passes"),
    ),
    (
        "mysql.slowlog.sort_range_count",
        Ours::Meta("sort_range_count"),
    ),
    ("mysql.slowlog.sort_rows", Ours::Meta("sort_rows")),
    (
        "mysql.slowlog.sort_scan_count",
        Ours::Meta("sort_scan_count"),
    ),
    ("mysql.slowlog.tmp_disk_tables", Ours::Made(tmp_disk_tables)),
    ("mysql.slowlog.tmp_table", Ours::Meta("tmp_table")),
    (
        "mysql.slowlog.tmp_table_on_disk",
        Ours::Meta("tmp_table_on_disk"),
    ),
    (
        "mysql.slowlog.tmp_table_sizes",
        Ours::Meta("tmp_table_sizes"),
    ),
    ("mysql.slowlog.tmp_tables", Ours::Made(tmp_tables)),
];

const SLOW_DIFFERENCES: &[Difference] = &[Difference {
    file: "mysql-ubuntu-8.0.15.log",
    field: "@timestamp",
    record: None,
    reason: "MySQL 8 sets the timestamp of the statement's start; a record's time is when it was logged (`# Time`), as lnav has it",
}];

/// `Yes` and `No` as the log writes them.
fn yes_no(row: &mut Row) {
    for value in row.values_mut() {
        if let Value::Bool(yes) = value {
            *value = Value::from(if *yes { "Yes" } else { "No" });
        }
    }
}

#[test]
fn beats_mysql_slow() {
    for file in [
        "mariadb-10.1.21",
        "mariadb-10.2.12",
        "mysql-5.7.22",
        "mysql-debian-5.7.17",
        "mysql-ubuntu-8.0.15",
        "percona-ubuntu-5.7.19",
    ] {
        let path = format!("beats/filebeat/module/mysql/slowlog/test/{file}.log");
        let decoded = decode(format("mysql-slow"), &read(&path), beats_hint());
        let mut rows = beats_rows(&path);
        assert_eq!(decoded.entries.len(), rows.len(), "{path}");
        assert_eq!(decoded.counts.mismatched, 0, "{path}");
        for row in &mut rows {
            // beats begins an event at `# User@Host`, ours at the `# Time` before it.
            row.remove("log.offset");
            yes_no(row);
            round_duration(row);
        }
        compare(&path, &decoded.entries, &rows, MYSQL_SLOW, SLOW_DIFFERENCES);
    }
}

#[test]
fn go_mysql_events() {
    for number in ["001", "002", "004", "006", "008", "012", "013", "023"] {
        let expected = read_json(&format!("go-mysql/expected-events/slow{number}.json"));
        let path = format!("go-mysql/test/slow-logs/slow{number}.log");
        let bytes = read(&path);
        let decoded = decode(format("mysql-slow"), &bytes, hint(NOW));
        let events = expected["events"].as_array().unwrap();
        assert_eq!(decoded.counts.mismatched, 0, "{path}");
        assert_eq!(
            decoded.entries.len(),
            events.len(),
            "{path}: {:#?}",
            decoded.entries
        );
        for (entry, event) in decoded.entries.iter().zip(events) {
            let place = format!("{path}: {event:#}\nours: {entry:#?}");
            assert_eq!(event["Offset"].as_u64(), Some(entry.position), "{place}");
            let query = entry.message.trim_end_matches(';');
            let query = query
                .strip_prefix("administrator command: ")
                .unwrap_or(query);
            assert_eq!(
                event["Query"].as_str().unwrap().trim_end(),
                query.trim_end(),
                "{place}"
            );
            assert_eq!(
                event["Admin"].as_bool().unwrap_or(false),
                entry.metadata("admin") == Some("true"),
                "{place}"
            );
            for (field, name) in [("User", "user"), ("Host", "client_host"), ("Db", "db")] {
                assert_eq!(
                    event[field].as_str().unwrap_or(""),
                    entry.metadata(name).unwrap_or(""),
                    "{field} {place}"
                );
            }
            if let Some(at) = event["Ts"].as_str() {
                let text = std::str::from_utf8(&bytes[entry.position as usize..]).unwrap();
                let has_set = text
                    .split("\n# ")
                    .take_while(|part| !part.starts_with("Time"))
                    .any(|part| part.contains("SET timestamp="));
                // Its zone is an assumption; with SET timestamp ours knows better.
                if !has_set {
                    assert_eq!(instant(at), Some(entry.timestamp), "{place}");
                }
            }
            for (name, value) in event["TimeMetrics"]
                .as_object()
                .unwrap()
                .iter()
                .chain(event["NumberMetrics"].as_object().unwrap())
            {
                let ours = match name.as_str() {
                    "Query_time" => entry.duration_ms.map(|ms| ms / 1000.0),
                    _ => entry
                        .metadata(&name.to_ascii_lowercase())
                        .and_then(|text| text.parse().ok()),
                };
                let ours = ours.unwrap_or_else(|| panic!("no {name} in {place}"));
                assert!(
                    (ours - value.as_f64().unwrap()).abs() < 1e-9,
                    "{name} {place}"
                );
            }
            for (name, value) in event["BoolMetrics"].as_object().unwrap() {
                let word = if value.as_bool().unwrap() {
                    "Yes"
                } else {
                    "No"
                };
                assert_eq!(
                    entry.metadata(&name.to_ascii_lowercase()),
                    Some(word),
                    "{name} {place}"
                );
            }
        }
    }
    assert!(
        decode_file("go-mysql/test/slow-logs/empty.log", "mysql-slow")
            .entries
            .is_empty()
    );
}

#[test]
fn go_mysql_totals() {
    for number in ["001", "010", "018", "020", "023", "025"] {
        let golden = read_json(&format!("go-mysql/event/testdata/slow{number}.golden"));
        let global = &golden["Global"];
        let decoded = decode_file(
            &format!("go-mysql/test/slow-logs/slow{number}.log"),
            "mysql-slow",
        );
        let want = &global["Metrics"]["TimeMetrics"]["Query_time"];
        let times: Vec<f64> = decoded
            .entries
            .iter()
            .filter_map(|entry| entry.duration_ms)
            .map(|ms| ms / 1000.0)
            .collect();
        let near = |ours: f64, field: &str| {
            let want = want[field].as_f64().unwrap();
            assert!(
                (ours - want).abs() < 1e-6,
                "slow{number}: {field} {ours} instead of {want}"
            );
        };
        // With a rate limit each logged query stands for that many, but those of ten seconds and
        // more are always logged.
        let weights: Vec<f64> = decoded
            .entries
            .iter()
            .map(|entry| match entry.metadata("log_slow_rate_limit") {
                Some(rate) if entry.duration_ms.is_some_and(|ms| ms < 10_000.0) => {
                    rate.parse().unwrap()
                }
                _ => 1.0,
            })
            .collect();
        assert_eq!(
            times.len() as u64,
            want["Cnt"].as_u64().unwrap(),
            "slow{number}"
        );
        assert_eq!(
            weights.iter().sum::<f64>() as u64,
            global["TotalQueries"].as_u64().unwrap(),
            "slow{number}"
        );
        near(
            times
                .iter()
                .zip(&weights)
                .map(|(time, weight)| time * weight)
                .sum(),
            "Sum",
        );
        near(times.iter().copied().fold(f64::INFINITY, f64::min), "Min");
        near(times.iter().copied().fold(0.0, f64::max), "Max");
    }
}

// ---- JSON of Kibana and Logstash, files of filebeat ----------------------------------------------

fn sorted_tags(entry: &Entry) -> Option<String> {
    let mut tags: Vec<String> =
        serde_json::from_str(entry.metadata("tags").unwrap_or("[]")).unwrap();
    tags.sort_unstable();
    Some(tags.join(","))
}

const KIBANA: Mapping = &[
    ("@timestamp", Ours::Time),
    ("message", Ours::Message),
    ("event.duration", Ours::DurationNs),
    ("http.request.method", Ours::Meta("method")),
    ("http.request.referrer", Ours::Meta("req.referer")),
    ("http.response.body.bytes", Ours::Meta("res.contentLength")),
    ("http.response.status_code", Ours::Meta("statusCode")),
    (
        "kibana.log.meta.req.headers.accept",
        Ours::Meta("req.headers.accept"),
    ),
    (
        "kibana.log.meta.req.headers.accept-encoding",
        Ours::Meta("req.headers.accept-encoding"),
    ),
    (
        "kibana.log.meta.req.headers.accept-language",
        Ours::Meta("req.headers.accept-language"),
    ),
    (
        "kibana.log.meta.req.headers.connection",
        Ours::Meta("req.headers.connection"),
    ),
    (
        "kibana.log.meta.req.headers.host",
        Ours::Meta("req.headers.host"),
    ),
    (
        "kibana.log.meta.req.headers.if-modified-since",
        Ours::Meta("req.headers.if-modified-since"),
    ),
    (
        "kibana.log.meta.req.headers.if-none-match",
        Ours::Meta("req.headers.if-none-match"),
    ),
    (
        "kibana.log.meta.req.headers.origin",
        Ours::Meta("req.headers.origin"),
    ),
    ("kibana.log.meta.req.userAgent", Ours::Meta("req.userAgent")),
    ("kibana.log.meta.type", Ours::Meta("type")),
    ("kibana.log.tags", Ours::Made(sorted_tags)),
    ("process.pid", Ours::Meta("pid")),
    ("service.name", Ours::Left("the name of the module")),
    ("source.address", Ours::Meta("req.remoteAddress")),
    ("source.ip", Ours::Meta("req.remoteAddress")),
    ("url.original", Ours::Meta("req.url")),
    ("user_agent.original", Ours::Meta("req.headers.user-agent")),
];

const LOGSTASH: Mapping = &[
    ("@timestamp", Ours::Time),
    ("log.level", Ours::Level),
    ("message", Ours::Message),
    ("logstash.log.module", Ours::Logger),
    ("logstash.log.thread", Ours::Meta("thread")),
    ("logstash.log.log_event.count", Ours::Meta("logEvent.count")),
    (
        "logstash.log.log_event.pipeline_id",
        Ours::Meta("logEvent.pipeline_id"),
    ),
    ("logstash.log.log_event.port", Ours::Meta("logEvent.port")),
    (
        "logstash.log.log_event.status",
        Ours::Meta("logEvent.status"),
    ),
    (
        "logstash.log.log_event.thread",
        Ours::Meta("logEvent.thread"),
    ),
    (
        "logstash.log.log_event.action",
        Ours::Left("beats prints the nested values in Java's notation"),
    ),
    (
        "logstash.log.log_event.running_pipelines",
        Ours::Left("nested JSON, keys sorted by beats"),
    ),
];

#[test]
fn beats_kibana_and_logstash() {
    // Tags are compared as a sorted list; an empty one is no text.
    let path = "beats/filebeat/module/kibana/log/test/test.log";
    let decoded = decode(format("json"), &read(path), beats_hint());
    let mut rows = beats_rows(path);
    for row in &mut rows {
        if row
            .get("kibana.log.tags")
            .and_then(Value::as_array)
            .is_some_and(Vec::is_empty)
        {
            row.remove("kibana.log.tags");
        }
    }
    assert_eq!(decoded.entries.len(), rows.len());
    compare(path, &decoded.entries, &rows, KIBANA, &[]);
    beats(
        "beats/filebeat/module/logstash/log/test/logstash-json.log",
        "json",
        LOGSTASH,
        &[],
    );
}

#[test]
fn filebeat_files() {
    let docker = decode_file("beats/filebeat/tests/files/logs/docker.log", "docker-json");
    assert_eq!((docker.entries.len(), docker.counts.mismatched), (21, 0));
    assert_eq!(
        &*docker.entries[0].message,
        "Fetching main repository github.com/elastic/beats..."
    );
    assert_eq!(
        docker.entries[0].timestamp.to_rfc3339(),
        "2016-03-02T22:58:51.338462Z"
    );
    assert_eq!(meta_count(&docker, "stream", "stdout"), 21);

    let lines = decode_file(
        "beats/filebeat/tests/files/logs/docker_multiline.log",
        "docker-json",
    );
    assert_eq!(lines.counts.mismatched, 0);
    assert!(lines.entries.iter().any(|entry| {
        entry
            .message
            .starts_with("[log] This one is\n on multiple\n lines")
    }));

    let elastic = decode_file(
        "beats/filebeat/tests/files/logs/elasticsearch-multiline-log.log",
        "log4j",
    );
    let raw = String::from_utf8(read(
        "beats/filebeat/tests/files/logs/elasticsearch-multiline-log.log",
    ))
    .unwrap();
    assert_eq!(
        elastic.entries.len(),
        raw.lines().filter(|line| line.starts_with("[20")).count()
    );
    assert_eq!(elastic.counts.mismatched, 0);
    let failed = elastic
        .entries
        .iter()
        .find(|entry| entry.message.starts_with("failed to put mappings"))
        .unwrap();
    assert_eq!(failed.level, Level::Debug);
    assert!(failed.message.contains("\nMergeMappingException["));
    assert!(
        failed
            .traceback
            .as_ref()
            .unwrap()
            .starts_with("\tat org.elasticsearch.cluster")
    );

    let json = decode_file("beats/filebeat/tests/files/logs/json.log", "json");
    assert_eq!((json.entries.len(), json.read()), (3, 3));
    assert_eq!(
        json.entries[1].timestamp.to_rfc3339(),
        "2016-02-25T13:00:01.000000Z"
    );
    let stamps = decode_file("beats/filebeat/tests/files/logs/json_timestamp.log", "json");
    assert_eq!((stamps.entries.len(), stamps.read()), (5, 5));
    assert_eq!(stamps.entries[1].metadata("@timestamp"), Some("invalid"));
    assert_eq!(
        stamps.entries[4].timestamp.to_rfc3339(),
        "2016-04-05T18:47:18.000000Z"
    );
}

// ---- lnav -------------------------------------------------------------------------------------

fn lnav_expected(id: &str) -> String {
    String::from_utf8(read(&format!("lnav/test/expected/{id}.out"))).unwrap()
}

/// The instant of the record that each physical line belongs to.
fn line_times(decoded: &Decoded, bytes: &[u8]) -> Vec<String> {
    cut_lines(bytes)
        .iter()
        .map(|line| {
            let entry = decoded
                .entries
                .iter()
                .rev()
                .find(|entry| entry.position <= line.position)
                .unwrap();
            let at = chrono::DateTime::from_timestamp_micros(entry.timestamp.micros()).unwrap();
            at.format("%b %d %H:%M:%S %Y -- %3f").to_string()
        })
        .collect()
}

#[test]
fn lnav_line_times() {
    for (input, output, name) in [
        (
            "logfile_postgres.0",
            "test_logfile.sh_74590bc7d516f6a6b9191774ca98b3880658cf3f",
            "postgresql",
        ),
        (
            "logfile_mysql_slow.0",
            "test_logfile.sh_1fdc7973d954c6eee8aeb0dbd022d62cb16ba500",
            "mysql-slow",
        ),
        (
            "logfile_mysql_error.0",
            "test_logfile.sh_bc6cce54323b875e451dddadbab989fbfa5d1631",
            "mysql-error",
        ),
    ] {
        let bytes = read(&format!("lnav/test/{input}"));
        let decoded = decode(format(name), &bytes, hint(NOW));
        assert_eq!(decoded.counts.mismatched, 0, "{input}");
        assert_eq!(
            line_times(&decoded, &bytes),
            lnav_expected(output).lines().collect::<Vec<_>>(),
            "{input}"
        );
    }
    let joined = decode_file("lnav/test/logfile_postgres.2", "postgresql");
    assert_eq!(joined.entries.len(), 2);
    for name in ["detail", "context", "statement"] {
        assert!(
            joined
                .entries
                .iter()
                .all(|entry| entry.metadata(name).is_some()),
            "{name}"
        );
    }
}

#[test]
fn lnav_json() {
    let rows: Vec<Value> = serde_json::from_str(&lnav_expected(
        "test_json_format.sh_40223ac4742883f883ccc61044bfffd6e102cca6",
    ))
    .unwrap();
    let decoded = decode_file("lnav/test/logfile_json.json", "json");
    assert_eq!(decoded.entries.len(), rows.len());
    for (entry, row) in decoded.entries.iter().zip(&rows) {
        assert_eq!(
            instant(row["log_time"].as_str().unwrap()),
            Some(entry.timestamp),
            "{row}"
        );
        assert_eq!(row["logger"].as_str(), entry.logger.as_deref(), "{row}");
        assert_eq!(row["user"].as_str(), entry.metadata("user"), "{row}");
        match row["lvl"].as_str() {
            Some(word) => assert_eq!(
                Level::from_word(word.trim_end_matches(|last: char| last.is_ascii_digit())),
                Some(entry.level)
            ),
            // The line with `"ts": "xxx"`: invalid there; here its time is that of the line before.
            None => assert_eq!(
                (entry.metadata("ts"), entry.metadata("time_source")),
                (Some("xxx"), Some("previous"))
            ),
        }
    }
    // The same file once more as a table, with the structured fields.
    let table = csv_table(
        "lnav/test/expected/test_json_format.sh_85d03b1b41a7f819af135d2521a8f2c59418e907.out",
    );
    assert_eq!(table.len(), decoded.entries.len());
    for (entry, row) in decoded.entries.iter().zip(&table) {
        let cell = |name: &str| Some(row[name].as_str()).filter(|&text| text != "<NULL>");
        assert_eq!(instant(&row["log_time"]), Some(entry.timestamp), "{row:?}");
        assert_eq!(cell("logger"), entry.logger.as_deref(), "{row:?}");
        assert_eq!(cell("user"), entry.metadata("user"), "{row:?}");
        assert_eq!(cell("arr"), entry.metadata("arr"), "{row:?}");
        let inner: Value =
            cell("obj").map_or(Value::Null, |json| serde_json::from_str(json).unwrap());
        for (name, want) in inner.as_object().into_iter().flatten() {
            let want = want
                .as_str()
                .map_or_else(|| want.to_string(), str::to_owned);
            assert_eq!(
                entry.metadata(&format!("obj.{name}")),
                Some(&*want),
                "{row:?}"
            );
        }
        let word =
            cell("lvl").map(|word| word.trim_end_matches(|last: char| last.is_ascii_digit()));
        assert!(
            word.is_none_or(|word| Level::from_word(word) == Some(entry.level)),
            "{row:?}"
        );
    }
    assert_eq!(decoded.entries[13].metadata("obj.field1"), Some("hi"));
    assert_eq!(
        decoded.entries[13].metadata("arr"),
        Some(r#"["hi", {"sub1": true}]"#)
    );

    let decoded = decode_file("lnav/test/logfile_json2.json", "json");
    let rows = lnav_expected("test_json_format.sh_6fbe20faa161ab9fa77df7568fff84bf3e47e920");
    assert_eq!(decoded.entries.len(), 3);
    for (entry, row) in decoded.entries.iter().zip(rows.lines().skip(1)) {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(instant(cells[1]), Some(entry.timestamp));
        assert_eq!(entry.metadata("user").unwrap_or("<NULL>"), cells[3]);
        assert_eq!(entry.metadata("cl"), Some(cells[4]));
    }
    // Its levels 0 and 10 are that file's own; 10 is bunyan's TRACE, 0 is nobody's.
    assert_eq!(decoded.entries[0].metadata("lvl"), Some("0"));
}

#[test]
fn lnav_logfmt_and_ecs() {
    let rows: Vec<Value> = serde_json::from_str(&lnav_expected(
        "test_sql.sh_4563a807311d0ce3d1f912843e615a6ca579cffa",
    ))
    .unwrap();
    let decoded = decode_file("lnav/test/logfile_logfmt.0", "logfmt");
    assert_eq!(decoded.entries.len(), rows.len());
    for (entry, row) in decoded.entries.iter().zip(&rows) {
        for (name, value) in row["fields"].as_object().unwrap() {
            // Empty values are dropped.
            assert_eq!(
                entry.metadata(name).unwrap_or(""),
                value.as_str().unwrap(),
                "{name}"
            );
        }
    }
    let display = lnav_expected("test_logfile.sh_9bea66018e06d77d91a372c7644f1549411c3337");
    for (entry, line) in decoded.entries.iter().zip(display.lines()) {
        let plain = without_ansi(line);
        let mut words = plain.split(' ');
        assert_eq!(instant(words.next().unwrap()), Some(entry.timestamp));
        assert_eq!(Level::from_word(words.next().unwrap()), Some(entry.level));
    }

    let decoded = decode_file("lnav/test/logfile_ecs_log.json", "json");
    let display = lnav_expected("test_json_format.sh_f6db98502e24192143576adf49dafef7494c768c");
    let ours: Vec<String> = decoded
        .entries
        .iter()
        .map(|entry| {
            let at = chrono::DateTime::from_timestamp_micros(entry.timestamp.micros()).unwrap();
            let level = entry.level.name().to_ascii_lowercase();
            let logger = entry.logger.as_deref().unwrap_or("");
            format!(
                "{} {logger} [{}] {}",
                at.format("%y-%m-%d %H:%M:%S%.3f"),
                &level[..4],
                entry.message
            )
        })
        .collect();
    assert_eq!(ours, display.lines().map(without_ansi).collect::<Vec<_>>());
    assert_eq!(
        decoded.entries[0].metadata("log.origin.file.name"),
        Some("es_logger.py")
    );
}

fn without_ansi(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    out + rest
}

// ---- fluent-bit -------------------------------------------------------------------------------

fn fluent_logs(path: &str) -> Vec<String> {
    let text = String::from_utf8(read(path)).unwrap();
    text.lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["log"]
                .as_str()
                .unwrap()
                .trim_end_matches('\n')
                .to_owned()
        })
        .collect()
}

#[test]
fn fluent_bit_docker() {
    let folder = "fluent-bit/tests/runtime/data/tail";
    for file in ["dockermode", "dockermode_splitted_line"] {
        let decoded = decode_file(&format!("{folder}/log/{file}.log"), "docker-json");
        let messages: Vec<String> = decoded
            .entries
            .iter()
            .map(|entry| entry.message.to_string())
            .collect();
        assert_eq!(
            messages,
            fluent_logs(&format!("{folder}/out/{file}.out")),
            "{file}"
        );
    }
    // Deliberate difference: that test tells the parser that records begin with a date. Without
    // being told, lines at the margin are records of their own.
    let decoded = decode_file(
        &format!("{folder}/log/dockermode_multiple_lines.log"),
        "docker-json",
    );
    let joined: Vec<&str> = decoded
        .entries
        .iter()
        .map(|entry| &*entry.message)
        .collect();
    assert_eq!(
        joined.join("\n"),
        fluent_logs(&format!("{folder}/out/dockermode_multiple_lines.out")).join("\n")
    );
    // Deliberate difference: the same with JSON lines whose messages are a stack trace.
    let decoded = decode_file(&format!("{folder}/log/multiline_001.log"), "json");
    let want: Value =
        serde_json::from_slice(&read(&format!("{folder}/out/multiline_001.out"))).unwrap();
    let joined: Vec<&str> = decoded
        .entries
        .iter()
        .map(|entry| &*entry.message)
        .collect();
    assert_eq!(joined.join("\n"), want["message"].as_str().unwrap());
    assert_eq!(decoded.entries[0].metadata("key1"), Some("12345"));
}

#[test]
fn fluent_bit_encodings() {
    // fluent-bit is told the encoding; without that the bytes are kept escaped, line by line.
    let folder = "fluent-bit/tests/runtime/data/tail";
    for file in [
        "generic_enc_gbk",
        "generic_enc_sjis",
        "generic_enc_win1251",
        "generic_enc_win1252",
        "3943",
    ] {
        let bytes = read(&format!("{folder}/log/{file}.log"));
        let decoded = decode(format("plain"), &bytes, hint(NOW));
        let want = fluent_logs(&format!("{folder}/out/{file}.out"));
        // The expectations of the encodings leave out the last line of their inputs.
        let left_out = usize::from(file.starts_with("generic_enc"));
        let filled = want.iter().filter(|line| !line.is_empty()).count();
        assert_eq!(decoded.entries.len(), filled + left_out, "{file}");
        for (entry, want) in decoded
            .entries
            .iter()
            .zip(want.iter().filter(|line| !line.is_empty()))
        {
            if want.is_ascii() {
                assert_eq!(&*entry.message, want, "{file}");
            } else {
                // Some of these bytes are UTF-8 by chance.
                let line = bytes[entry.position as usize..]
                    .split(|&byte| byte == b'\n')
                    .next()
                    .unwrap();
                let escaped = entry.metadata("escaped_bytes") == Some("true");
                assert_eq!(escaped, std::str::from_utf8(line).is_err(), "{file}");
            }
        }
    }
}

#[test]
fn fluent_bit_kubernetes() {
    let folder = "fluent-bit/tests/runtime/data/kubernetes";
    for (file, message) in [
        ("options/options_merge-log-enabled_json", "Simple text"),
        (
            "annotations-parser/annotations-parser_json-with-time_json",
            "Simple text",
        ),
        (
            "core/core_unescaping_json",
            "quoted \"text with embedded quoted \\\"text\\\"\"",
        ),
    ] {
        let want: Value =
            serde_json::from_slice(&read(&format!("{folder}/out/{file}.out"))).unwrap();
        let decoded = decode_file(&format!("{folder}/log/{file}.log"), "docker-json");
        assert_eq!(decoded.entries.len(), 1, "{file}");
        let entry = &decoded.entries[0];
        // The expectation is rounded to microseconds; ours are cut.
        let micros = (want[0].as_f64().unwrap() * 1e6).round() as i64;
        // A stamp inside that names no zone does not replace the envelope's, and is kept beside it.
        let inner = entry.metadata("inner_time").and_then(instant);
        let at = inner.unwrap_or(entry.timestamp);
        assert!((at.micros() - micros).abs() <= 1, "{file}: {at}");
        assert_eq!(&*entry.message, message, "{file}");
        assert_eq!(entry.metadata("stream"), Some("stdout"), "{file}");
    }
}

// ---- humanlog, hl, klp, angle-grinder, fblog, django-structlog, vrl ------------------------------

#[test]
fn humanlog_cases() {
    for case in ["00001-json", "00002-logfmt", "00004-mixed"] {
        let input = String::from_utf8(read(&format!("humanlog/test/cases/{case}/input"))).unwrap();
        let want = String::from_utf8(read(&format!("humanlog/test/cases/{case}/want"))).unwrap();
        assert_eq!(input.lines().count(), want.lines().count(), "{case}");
        let printed = decode(format("humanlog"), want.as_bytes(), hint(NOW));
        assert_eq!(
            (printed.entries.len(), printed.counts.mismatched),
            (want.lines().count(), 0),
            "{case}"
        );
        for ((line, want), printed) in input.lines().zip(want.lines()).zip(&printed.entries) {
            let name = if line.starts_with('{') {
                "json"
            } else {
                "logfmt"
            };
            let entries = decode(format(name), line.as_bytes(), hint(NOW)).entries;
            let entry = &entries[0];
            assert_eq!(entry.metadata("parse_error"), None, "{line}");
            let (time, rest) = want.split_once(" |").unwrap();
            let (level, rest) = rest.split_once("| ").unwrap();
            if time == "<no time>" {
                assert!(entry.metadata("time_source").is_some(), "{line}");
            } else {
                let at = chrono::DateTime::from_timestamp_micros(entry.timestamp.micros()).unwrap();
                assert_eq!(at.format("%b %_d %H:%M:%S").to_string(), time, "{line}");
            }
            let expected = match level {
                "DEBU" => Level::Debug,
                "INFO" | "" | "SOME" => Level::Info,
                "WARN" => Level::Warning,
                "ERRO" => Level::Error,
                "FATA" | "PANI" => Level::Critical,
                other => panic!("{other}"),
            };
            assert_eq!((entry.level, printed.level), (expected, expected), "{line}");
            if rest.starts_with("<no msg>") {
                // Where there is no message, ours is the line or a summary, never nothing.
                assert!(!entry.message.is_empty(), "{line}");
            } else {
                assert!(
                    rest.starts_with(&*entry.message),
                    "{line}\n{rest}\n{}",
                    entry.message
                );
            }
        }
    }
    let decoded = decode_file("humanlog/test/cases/00001-json/input", "json");
    assert!(decoded.entries.iter().any(|entry| {
        entry
            .request_id
            .as_ref()
            .is_some_and(|id| id.as_str() == "01FCV6S9YJXD2SYG3HTGWXHX0G")
    }));
}

/// Lines that hold a text.
fn holding(bytes: &[u8], needle: &str) -> usize {
    String::from_utf8_lossy(bytes)
        .lines()
        .filter(|line| line.contains(needle))
        .count()
}

#[test]
fn humanlog_samples() {
    for (path, name, id) in [
        (
            "golang-logrus/sample-logrus-text.log.gz",
            "logfmt",
            "request_id=",
        ),
        ("js-ts-bunyan/sample-bunyan.log.gz", "json", "\"req\":{"),
        (
            "python-structlog/sample-structlog.log.gz",
            "structlog",
            "\"request_id\"",
        ),
    ] {
        let path = format!("humanlog/test/benchmark/{path}");
        let bytes = read(&path);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let found = detect(&text.lines().take(64).collect::<Vec<_>>());
        assert_eq!(found.name(), name, "{path}");
        let decoded = decode(found, &bytes, hint(NOW));
        assert_eq!(
            (decoded.entries.len(), decoded.counts.mismatched),
            (1000, 0),
            "{path}"
        );
        let with_id = decoded
            .entries
            .iter()
            .filter(|entry| entry.request_id.is_some())
            .count();
        let ids = holding(&bytes, id)
            + holding(
                &bytes,
                if name == "logfmt" {
                    " trace_id="
                } else {
                    "\"trace_id\""
                },
            )
            + if name == "logfmt" {
                holding(&bytes, "correlation_id=")
            } else {
                0
            };
        assert_eq!(with_id, ids, "{path}");
        assert!(
            decoded
                .entries
                .iter()
                .all(|entry| entry.metadata("time_source").is_none()),
            "{path}"
        );
    }
    let bunyan = decode_file(
        "humanlog/test/benchmark/js-ts-bunyan/sample-bunyan.log.gz",
        "json",
    );
    let bytes = read("humanlog/test/benchmark/js-ts-bunyan/sample-bunyan.log.gz");
    for (level, number) in [
        (Level::Debug, 20),
        (Level::Info, 30),
        (Level::Warning, 40),
        (Level::Error, 50),
    ] {
        let want = holding(&bytes, &format!("\"level\":{number},"));
        let also = if level == Level::Debug {
            holding(&bytes, "\"level\":10,")
        } else {
            0
        };
        assert_eq!(
            bunyan
                .entries
                .iter()
                .filter(|entry| entry.level == level)
                .count(),
            want + also,
            "{number}"
        );
    }
    let failed = bunyan
        .entries
        .iter()
        .find(|entry| entry.level == Level::Error)
        .unwrap();
    assert!(failed.traceback.as_ref().unwrap().contains("\n    at "));
    let structlog = decode_file(
        "humanlog/test/benchmark/python-structlog/sample-structlog.log.gz",
        "structlog",
    );
    assert_eq!(
        structlog
            .entries
            .iter()
            .filter(|entry| entry.duration_ms.is_some())
            .count(),
        485
    );
    assert_eq!(
        structlog
            .entries
            .iter()
            .filter(|entry| entry.level == Level::Critical)
            .count(),
        19
    );
}

#[test]
fn json_and_logfmt_samples() {
    for (path, name) in [
        ("hl/sample/kitchen-sink.log", "json"),
        ("hl/sample/prometheus.log", "json"),
        ("klp/examples/alertmanager.logfmt", "logfmt"),
        ("klp/examples/mylog.logfmt", "logfmt"),
        ("angle-grinder/test_files/test_json.log", "json"),
        ("angle-grinder/test_files/test_logfmt.log", "logfmt"),
        ("angle-grinder/test_files/test_nested_logfmt.log", "json"),
        ("angle-grinder/test_files/test_partial_json.log", "json"),
        ("fblog/sample_elastic.log", "json"),
        ("django-structlog/logs/json.log", "json"),
    ] {
        let bytes = read(path);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(
            detect(&text.lines().collect::<Vec<_>>()).name(),
            name,
            "{path}"
        );
        let decoded = decode(format(name), &bytes, hint(NOW));
        assert_eq!(decoded.entries.len(), text.lines().count(), "{path}");
        assert_eq!(decoded.counts.mismatched, 0, "{path}");
    }
    let django = decode_file("django-structlog/logs/json.log", "json");
    for entry in &django.entries {
        assert_eq!(entry.user_id.as_deref(), Some("1"));
        assert!(
            entry.request_id.is_some()
                && entry.logger.is_some()
                && entry.metadata("ip") == Some("0.0.0.0")
        );
    }
    assert_eq!(&*django.entries[0].message, "request_started");
    let partial = decode_file("angle-grinder/test_files/test_partial_json.log", "json");
    let levels: Vec<Level> = partial.entries.iter().map(|entry| entry.level).collect();
    assert_eq!(
        levels,
        [
            Level::Info,
            Level::Error,
            Level::Error,
            Level::Info,
            Level::Info,
            Level::Warning
        ]
    );
    let sink = decode_file("hl/sample/kitchen-sink.log", "json");
    assert_eq!(
        sink.entries
            .iter()
            .filter_map(|entry| entry.duration_ms)
            .collect::<Vec<_>>(),
        [12.5, 45.7, 60_222.0, 15_000.0]
    );
    let walrus = decode_file("klp/examples/mylog.logfmt", "logfmt");
    assert_eq!(
        walrus.entries[6].metadata("err"),
        Some(
            "&{0x2082280c0 map[animal:orca size:9009] 2015-03-26 01:27:38.441574009 -0400 EDT panic It's over 9000!}"
        )
    );
    let filter = decode_file("angle-grinder/test_files/filter_test.log", "plain");
    assert_eq!(filter.entries[1].level, Level::Warning);

    let fblog = decode_file("fblog/sample.json.log", "json");
    assert_eq!((fblog.entries.len(), fblog.counts.mismatched), (8, 2));
    assert_eq!(&*fblog.entries[0].message, "test");
    assert_eq!(fblog.entries[3].metadata("prefix"), Some("with prefix"));
    assert_eq!(
        fblog.entries[5].timestamp.to_rfc3339(),
        "2024-05-21T11:50:13.381000Z"
    );
    assert_eq!(
        &*fblog.entries[6].message,
        "Content-Type set both in header (application/json) and attached to entity (text/plain; charset=utf-8), ignoring content type from entity. To remove this warning, use Result.as(...) to set the content type, rather than setting the header manually."
    );
    assert_eq!(fblog.entries[6].level, Level::Warning);
    let elastic = decode_file("fblog/sample_elastic.log", "json");
    assert!(
        elastic.entries[0]
            .traceback
            .as_ref()
            .unwrap()
            .starts_with("java.lang.RuntimeException\n\tat")
    );
}

#[test]
fn vrl_key_value() {
    /// Options of a general key-value reader that logfmt does not have.
    const OTHER_GRAMMARS: [&str; 6] = [
        "parse_key_value/delimited",
        "parse_key_value/delimited_with_spaces",
        "parse_key_value/missing_separator_delimited",
        "parse_key_value/multi_line_with_quotes",
        "parse_key_value/duplicate_keys_no_value",
        "parse_key_value/error",
    ];
    let cases = read_json("vrl/cases/parse_key_value.json");
    let mut compared = 0;
    for case in cases.as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        if OTHER_GRAMMARS.contains(&id) {
            continue;
        }
        compared += 1;
        let decoded = decode(
            format("logfmt"),
            case["input"].as_str().unwrap().as_bytes(),
            hint(NOW),
        );
        let entry = &decoded.entries[0];
        assert_eq!(entry.metadata("parse_error"), None, "{id}");
        for (name, want) in case["want"].as_object().unwrap() {
            let want = want
                .as_str()
                .map_or_else(|| want.to_string(), str::to_owned);
            let got = match name.as_str() {
                "request_id" => entry.request_id.as_ref().map(|id| id.as_str().to_owned()),
                "msg" => Some(entry.message.to_string()),
                "level" => Some(entry.level.name().to_ascii_lowercase()),
                "service" => entry.duration_ms.map(|ms| format!("{ms}ms")),
                _ => entry.metadata(name).map(str::to_owned),
            };
            assert_eq!(got.unwrap_or_default(), want, "{id}: {name}");
        }
    }
    assert_eq!(compared, 5);
    let error = decode(format("logfmt"), b"I am not a valid line.", hint(NOW));
    assert!(error.entries[0].metadata("parse_error").is_some());
}

// ---- hostile input ----------------------------------------------------------------------------

mod hostile {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 13] = [
        "postgresql",
        "postgresql-csv",
        "postgresql-json",
        "mysql-error",
        "mysql-slow",
        "json",
        "logfmt",
        "docker-json",
        "cri",
        "python",
        "log4j",
        "humanlog",
        "structlog",
    ];

    /// Lines near to those that the formats read, so that the inner branches are reached.
    const SEEDS: [&str; 16] = [
        "2017-07-31 13:36:43.557 CEST [4983] postgres@postgres LOG:  duration: 37.118 ms  statement: SELECT 1",
        "2019-03-14T00:22:56+00:00 app[postgres.4882]: [GREEN] [15-1]  sql_error_code = 00000 LOG:  m",
        "2021-01-04 00:05:58.232 UTC,\"a\",\"b\",36,\"1.2.3.4:5\",5f.6,2,\"x\",2021-01-04 00:05:58 UTC,3/9,0,FATAL,28P01,\"m\"\"\",\"d\",,,,,,,,\"\"",
        "{\"timestamp\":\"2024-06-27 00:00:07.369 CEST\",\"error_severity\":\"LOG\",\"message\":\"m\\n\"}",
        "2024-01-01  1:02:03 42 [ERROR] [MY-1] [Server] x",
        "161209  4:18:50  InnoDB: x",
        "# Time: 071218 11:48:27 # User@Host: a[b] @ c [d]  Id: 5",
        "# Query_time: 2.4  Lock_time: 0.0 Schema: x",
        "SET insert_id=3,timestamp=1553436105.25;",
        "{\"level\":50,\"time\":1767225600123,\"a\":{\"b\":[1,{}]},\"err\":{\"stack\":\"x\\u00e9\"}}",
        "time=\"2022/09/11 16:31:21\" level=info msg=\"a \\\"b\" err=&{x [y z]} took=1m2s",
        "{\"log\":\"a\\tb\\n\",\"stream\":\"stdout\",\"time\":\"2016-03-02T22:58:51.338462311Z\"}",
        "2016-10-06T00:17:09.669794202Z stdout P log content",
        "[2026-01-01 00:00:00,123: WARNING/Fork] a.b[c]: d",
        "2026-01-01T00:00:00.000Z  INFO 1 --- [a] [b] c.D : m",
        "Nov 22 10:00:00 |INFO| message key=value other=\"x y\"",
    ];

    fn survives(text: &str) {
        for name in NAMES {
            let decoded = decode(format(name), text.as_bytes(), hint(NOW));
            for entry in decoded.entries {
                let mut names: Vec<&str> = entry.metadata.iter().map(|(name, _)| &**name).collect();
                let all = names.len();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), all, "{name}: {text:?}");
                assert!(
                    entry.duration_ms.is_none_or(f64::is_finite),
                    "{name}: {text:?}"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn any_text(text in "(.{0,40}\n){0,3}") {
            survives(&text);
        }

        #[test]
        fn damaged_lines(
            picks in prop::collection::vec((0..SEEDS.len(), 0..120_usize, 0..120_usize, ".{0,3}"), 1..5),
        ) {
            let mut text = String::new();
            for (index, cut, skip, insert) in picks {
                let seed: Vec<char> = SEEDS[index].chars().collect();
                let cut = cut.min(seed.len());
                text.extend(&seed[..cut]);
                text.push_str(&insert);
                text.extend(&seed[(cut + skip % 7).min(seed.len())..]);
                text.push('\n');
            }
            survives(&text);
        }
    }

    #[test]
    fn extremes() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        let many: String = (0..20_000)
            .map(|number| format!("k{number}={number} "))
            .collect();
        let twins: String = (0..2_000).map(|_| "k=1 ").collect();
        let quotes = "\"".repeat(50_000);
        let slashes = format!("{{\"a\":\"{}", "\\".repeat(50_001));
        for text in [
            deep,
            objects,
            many,
            twins,
            quotes,
            slashes,
            "\0\0\0".into(),
            "=".repeat(10_000),
            "a=(".repeat(10_000),
        ] {
            for name in NAMES {
                let decoded = decode(format(name), text.as_bytes(), hint(NOW));
                assert_eq!(decoded.entries.len(), 1, "{name}");
            }
        }
    }

    #[test]
    fn stamps_do_not_run_away() {
        let decoded = decode(
            format("json"),
            br#"{"ts":9223372036854775807,"msg":"x"}"#,
            hint(NOW),
        );
        assert!(decoded.entries[0].timestamp < Timestamp::from_seconds(10_000_000_000));
    }
}
