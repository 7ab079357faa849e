//! System and service logs beside what beats, lnav and vrl make of them, and third-party files
//! without an expectation that must be read in full.

use std::collections::BTreeMap;

use atalaya::domain::record::{Entry, Level};
use atalaya::ingest::format::{Parsed, Shape, SourceZone, TimeHint, escape};
use serde_json::Value;

use super::golden::{
    Difference, Mapping, Ours, beats, compare, decode, detect, format, hint, instant, read,
    read_json,
};

const IN_MESSAGE: Ours = Ours::Left("stands in the message");

const SYSLOG: Mapping = &[
    ("host.hostname", Ours::Meta("host")),
    ("message", Ours::Message),
    ("process.name", Ours::Logger),
    ("process.pid", Ours::Meta("pid")),
    ("event.action", Ours::Left("derived from the event")),
    ("group.id", Ours::Meta("gid")),
    ("group.name", Ours::Meta("group_name")),
    ("source.ip", Ours::Meta("client")),
    ("source.port", Ours::Meta("client_port")),
    ("system.auth.ssh.dropped_ip", Ours::Meta("client")),
    ("system.auth.ssh.event", Ours::Meta("ssh_event")),
    ("system.auth.ssh.method", Ours::Meta("ssh_method")),
    ("system.auth.ssh.signature", Ours::Meta("ssh_signature")),
    ("system.auth.sudo.command", Ours::Meta("sudo_command")),
    ("system.auth.sudo.error", Ours::Meta("sudo_error")),
    ("system.auth.sudo.pwd", Ours::Meta("sudo_pwd")),
    ("system.auth.sudo.tty", Ours::Meta("sudo_tty")),
    ("system.auth.sudo.user", Ours::Meta("sudo_user")),
    ("system.auth.useradd.home", Ours::Meta("home")),
    ("system.auth.useradd.shell", Ours::Meta("shell")),
    ("user.effective.name", Ours::Meta("sudo_user")),
    ("user.id", Ours::Meta("uid")),
    ("user.name", Ours::UserId),
];

const DIFFERENT: &[Difference] = &[
    Difference {
        file: "elasticsearch/server/test/test.log",
        field: "message",
        record: Some(16),
        reason: "beats puts the whole line into the message of this one",
    },
    Difference {
        file: "elasticsearch/server/test/test-json.log",
        field: "message",
        record: Some(36),
        reason: "beats cuts `[controller/25947]` off for an index; it is the program that says it",
    },
    Difference {
        file: "elasticsearch/server/test/test.log",
        field: "message",
        record: Some(18),
        reason: "the blank line at the end of the file is in no record",
    },
];

#[test]
fn syslog_agrees_with_beats() {
    for file in [
        "syslog/test/darwin-syslog-sample",
        "syslog/test/suse-syslog",
        "auth/test/test",
        "auth/test/secure-rhel7",
    ] {
        beats(
            &format!("beats/filebeat/module/system/{file}.log"),
            "syslog",
            SYSLOG,
            DIFFERENT,
        );
    }
}

#[test]
fn syslog_with_iso_times_takes_the_time_from_the_line() {
    let bytes = read("beats/filebeat/module/system/syslog/test/suse-syslog.log");
    let decoded = decode(format("syslog"), &bytes, hint("2022-01-13T00:00:00Z"));
    let first = decoded.entries.first().unwrap();
    assert_eq!(
        first.timestamp,
        instant("2018-08-14T12:30:02.203151Z").unwrap()
    );
}

/// `[gc][young][3449979][986594]`: the words after `gc`.
fn gc_part(entry: &Entry, from_end: usize) -> Option<String> {
    let parts: Vec<&str> = entry
        .metadata("gc")?
        .split(['[', ']'])
        .filter(|part| !part.is_empty())
        .collect();
    parts
        .iter()
        .rev()
        .nth(from_end)
        .map(|part| (*part).to_owned())
}

const ELASTICSEARCH: Mapping = &[
    ("@timestamp", Ours::Time),
    ("log.level", Ours::Level),
    ("message", Ours::Text),
    ("elasticsearch.component", Ours::Logger),
    ("elasticsearch.node.name", Ours::Meta("node")),
    ("elasticsearch.index.name", Ours::Meta("index")),
    ("elasticsearch.index.id", Ours::Meta("index_id")),
    (
        "elasticsearch.server.gc.young.one",
        Ours::Made(|entry| gc_part(entry, 1)),
    ),
    (
        "elasticsearch.server.gc.young.two",
        Ours::Made(|entry| gc_part(entry, 0)),
    ),
    (
        "elasticsearch.server.gc.overhead_seq",
        Ours::Made(|entry| gc_part(entry, 0)),
    ),
    ("elasticsearch.server.gc.collection_duration.ms", IN_MESSAGE),
    (
        "elasticsearch.server.gc.observation_duration.ms",
        IN_MESSAGE,
    ),
];

#[test]
fn elasticsearch_text_agrees_with_beats() {
    beats(
        "beats/filebeat/module/elasticsearch/server/test/test.log",
        "elasticsearch",
        ELASTICSEARCH,
        DIFFERENT,
    );
    let bytes = read("beats/filebeat/module/elasticsearch/server/test/test.log");
    let decoded = decode(
        format("elasticsearch"),
        &bytes,
        hint("2022-01-13T00:00:00Z"),
    );
    let traces: Vec<&str> = decoded
        .entries
        .iter()
        .filter_map(|entry| entry.traceback.as_deref())
        .collect();
    assert_eq!(traces.len(), 3);
    assert!(
        traces
            .iter()
            .all(|trace| trace.starts_with("org.elasticsearch."))
    );
}

const ELASTICSEARCH_JSON: Mapping = &[
    ("@timestamp", Ours::Time),
    ("log.level", Ours::Level),
    ("message", Ours::Message),
    ("elasticsearch.cluster.name", Ours::Meta("cluster.name")),
    ("elasticsearch.cluster.uuid", Ours::Meta("cluster.uuid")),
    ("elasticsearch.component", Ours::Meta("component")),
    ("elasticsearch.node.id", Ours::Meta("node.id")),
    ("elasticsearch.node.name", Ours::Meta("node.name")),
    ("elasticsearch.server.stacktrace", Ours::Made(sorted_trace)),
    ("host.id", Ours::Left("beats copies node.id")),
    ("elasticsearch.index.id", OF_THE_CONTROLLER),
    ("elasticsearch.index.name", OF_THE_CONTROLLER),
];

const OF_THE_CONTROLLER: Ours =
    Ours::Left("beats takes `[controller/25947]`, a program and its pid, for an index");

/// beats sorts the lines of a stack trace.
fn sorted_trace(entry: &Entry) -> Option<String> {
    let mut lines: Vec<&str> = entry.traceback.as_deref()?.lines().collect();
    lines.sort_unstable();
    Some(lines.join(","))
}

#[test]
fn elasticsearch_json_agrees_with_beats() {
    beats(
        "beats/filebeat/module/elasticsearch/server/test/test-json.log",
        "json",
        ELASTICSEARCH_JSON,
        DIFFERENT,
    );
}

// lnav

fn csv(path: &str) -> Vec<BTreeMap<String, Value>> {
    let text = String::from_utf8(read(path)).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            let values = line.split(',').map(|value| {
                if value == "<NULL>" {
                    Value::Null
                } else {
                    value.into()
                }
            });
            names
                .iter()
                .map(|name| (*name).to_owned())
                .zip(values)
                .collect()
        })
        .collect()
}

const NOT_OF_THE_LINE: Ours = Ours::Left("lnav's own columns");
const GUESSED: Ours = Ours::Left("lnav guesses levels from the status or from words");

fn uri(entry: &Entry, of_query: bool) -> Option<String> {
    let path = entry.metadata("path")?;
    match path.split_once('?') {
        Some((stem, query)) => Some(if of_query { query } else { stem }.to_owned()),
        None => (!of_query).then(|| path.to_owned()),
    }
}

const LNAV: Mapping = &[
    ("log_line", NOT_OF_THE_LINE),
    ("log_part", NOT_OF_THE_LINE),
    ("log_idle_msecs", NOT_OF_THE_LINE),
    ("log_mark", NOT_OF_THE_LINE),
    ("log_comment", NOT_OF_THE_LINE),
    ("log_tags", NOT_OF_THE_LINE),
    ("log_annotations", NOT_OF_THE_LINE),
    ("log_filters", NOT_OF_THE_LINE),
    ("log_level", GUESSED),
    ("log_time", Ours::Time),
    ("c_ip", Ours::Meta("client")),
    ("cs_method", Ours::Meta("method")),
    ("cs_referer", Ours::Meta("referrer")),
    ("cs_uri_query", Ours::Made(|entry| uri(entry, true))),
    ("cs_uri_stem", Ours::Made(|entry| uri(entry, false))),
    ("cs_user_agent", Ours::Meta("user_agent")),
    ("cs_username", Ours::UserId),
    ("cs_version", Ours::Meta("protocol")),
    ("sc_bytes", Ours::Meta("bytes")),
    ("sc_status", Ours::Meta("status")),
    ("cs_host", Ours::Meta("vhost")),
    ("log_hostname", Ours::Meta("host")),
    ("log_msgid", Ours::Meta("msgid")),
    ("log_pid", Ours::Meta("pid")),
    ("log_pri", Ours::Left("no priority in these lines")),
    ("log_procname", Ours::Logger),
    (
        "log_struct",
        Ours::Left("no structured data in these lines"),
    ),
    ("log_syslog_tag", Ours::Left("process and pid stand apart")),
    ("syslog_version", Ours::Left("no version in these lines")),
];

fn lnav(input: &str, output: &str, format_name: &str) {
    let reference = hint("2007-11-03T12:00:00Z");
    let decoded = decode(
        format(format_name),
        &read(&format!("lnav/test/{input}")),
        reference,
    );
    let rows = csv(&format!("lnav/test/expected/{output}"));
    assert_eq!(decoded.entries.len(), rows.len(), "{input}");
    compare(input, &decoded.entries, &rows, LNAV, DIFFERENT);
}

#[test]
fn access_and_syslog_agree_with_lnav() {
    lnav(
        "logfile_access_log.0",
        "test_sql.sh_ffbc3dbf8464455358a77acffa10a8dd8a080374.out",
        "nginx-access",
    );
    lnav(
        "logfile_access_log.0",
        "test_sql.sh_ffbc3dbf8464455358a77acffa10a8dd8a080374.out",
        "apache-access",
    );
    lnav(
        "logfile_syslog.0",
        "test_sql.sh_2ed3f3b18ef4ecc68e4dd3cc8041b61fcf2a59af.out",
        "syslog",
    );
    let text = String::from_utf8(read(
        "lnav/test/expected/test_cmds.sh_eb22c3e94c536a1bfaeae0c40d271b5b4b08f4fc.out",
    ))
    .unwrap();
    let rows: Vec<BTreeMap<String, Value>> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let decoded = decode(
        format("nginx-access"),
        &read("lnav/test/logfile_access_log.0"),
        hint("2009-07-21T00:00:00Z"),
    );
    assert_eq!(decoded.entries.len(), rows.len());
    compare(
        "logfile_access_log.0",
        &decoded.entries,
        &rows,
        LNAV,
        DIFFERENT,
    );
}

#[test]
fn levels_agree_with_lnav() {
    let rows = csv(
        "lnav/test/expected/test_format_loader.sh_15e861d2327512a721fd42ae51dc5427689e0bb6.out",
    );
    let decoded = decode(
        format("plain"),
        &read("lnav/test/logfile_leveltest.0"),
        hint("2016-07-01T00:00:00Z"),
    );
    let mut mapping = LNAV.to_vec();
    mapping.retain(|(name, _)| *name != "log_level");
    mapping.push(("log_level", Ours::Level));
    assert_eq!(decoded.entries.len(), rows.len());
    compare(
        "logfile_leveltest.0",
        &decoded.entries,
        &rows,
        mapping.leak(),
        DIFFERENT,
    );
}

#[test]
fn journald_agrees_with_lnav() {
    let decoded = decode(
        format("journald"),
        &read("lnav/test/logfile_journald.json"),
        hint("2018-08-21T00:00:00Z"),
    );
    let text = String::from_utf8(read(
        "lnav/test/expected/test_json_format.sh_84a71e94dc34661a70bb9015b67ba00e93e9cfb5.out",
    ))
    .unwrap();
    let shown: Vec<String> = text.lines().map(without_colours).collect();
    let ours: Vec<String> = decoded
        .entries
        .iter()
        .map(|entry| {
            let level = if entry.level == Level::Critical {
                "FATAL"
            } else {
                entry.level.name()
            };
            format!(
                "{} {} {} {}[{}] {level} {}",
                entry.timestamp,
                entry.metadata("__MONOTONIC_TIMESTAMP").unwrap(),
                entry.metadata("unit").unwrap(),
                entry.logger.as_deref().unwrap(),
                entry.metadata("pid").unwrap(),
                entry.message
            )
        })
        .collect();
    assert_eq!(ours, shown);
}

#[test]
fn journald_reads_messages_of_bytes() {
    let line = br#"{"__REALTIME_TIMESTAMP":"1534860261221373","MESSAGE":[104,105,255,92],"PRIORITY":"3","_COMM":"x","REQUEST_ID":"r-1","MULTI":["a","b"]}"#;
    let decoded = decode(format("journald"), line, hint("2018-08-21T00:00:00Z"));
    let entry = &decoded.entries[0];
    assert_eq!(entry.level, Level::Error);
    assert_eq!(entry.metadata("escaped_bytes"), Some("true"));
    assert_eq!(escape::unescape(&entry.message).unwrap(), b"hi\xff\\");
    assert_eq!(entry.request_id.as_ref().unwrap().as_str(), "r-1");
    assert_eq!(entry.metadata("MULTI"), Some("a,b"));
}

#[test]
fn docker_compose_agrees_with_lnav() {
    let decoded = decode(
        format("docker-compose"),
        &read("lnav/test/logfile_docker_compose_with_ts.0"),
        hint("2024-04-25T00:00:00Z"),
    );
    let text = String::from_utf8(read(
        "lnav/test/expected/test_demux.sh_f8cbb968fccbc0442a831c0f69c6dbdfe5413339.out",
    ))
    .unwrap();
    // A level at the start of a line is the record's level and no longer a part of its text; Redis's own
    // head (`1:C 25 Apr 2024 05:32:35.018 # `) is read as in a file of its own.
    let expect = |line: &str| {
        let line = without_colours(line).replacen(" WARNING: ", " ", 1);
        let has_head = line.starts_with("1:C ") || line.starts_with("1:M ");
        if has_head {
            return line[31..].to_owned();
        }
        let signal = line
            .strip_prefix("1:signal-handler (")
            .and_then(|rest| rest.split_once(") "));
        signal.map_or(line.clone(), |(_, text)| text.to_owned())
    };
    let mut expected: Vec<String> = text.lines().map(expect).collect();
    let mut ours: Vec<String> = decoded
        .entries
        .iter()
        .map(|entry| {
            let message = without_colours(&entry.message);
            let service = entry.metadata("program").or(entry.logger.as_deref());
            if service == Some("redis-1") {
                // lnav shows an epoch in the text as a date.
                return message.replace("(1714024483)", "(25 Apr 2024 05:54:43.000)");
            }
            assert_eq!(service, Some("web-1"));
            format!(
                "{} {message}",
                entry.timestamp.to_rfc3339().replace('Z', "+0000")
            )
        })
        .collect();
    expected.sort();
    ours.sort();
    assert_eq!(ours, expected);
}

#[test]
fn times_without_a_date_roll_over_midnight() {
    // Read back from the end of the file: three hours before the first midnight.
    let decoded = decode(
        format("plain"),
        &read("lnav/test/logfile_rollover.0"),
        hint("2007-11-02T00:00:00Z"),
    );
    let days: Vec<String> = decoded
        .entries
        .iter()
        .map(|entry| entry.timestamp.to_rfc3339()[..16].to_owned())
        .collect();
    assert_eq!(
        days,
        [
            "2007-11-02T00:00",
            "2007-11-02T01:00",
            "2007-11-02T02:00",
            "2007-11-02T03:00",
            "2007-11-03T00:00",
            "2007-11-03T00:01"
        ]
    );
    assert!(
        decoded
            .entries
            .iter()
            .all(|entry| entry.level == Level::Debug
                && entry.metadata("time_source") == Some("date"))
    );
}

#[test]
fn plain_text_keeps_lines_bytes_and_line_ends_apart() {
    let multiline = decode(
        format("plain"),
        &read("lnav/test/logfile_multiline.0"),
        hint("2009-07-21T00:00:00Z"),
    );
    let messages: Vec<&str> = multiline
        .entries
        .iter()
        .map(|entry| &*entry.message)
        .collect();
    assert_eq!(
        messages,
        [
            "DEBUG:Hello, World!\n  How are you today?",
            "ERROR:Goodbye, World!"
        ]
    );
    assert_eq!(multiline.entries[1].level, Level::Error);
    assert_eq!(
        multiline.entries[0].timestamp,
        instant("2009-07-20T22:59:27.672Z").unwrap()
    );

    let crlf = decode(
        format("plain"),
        &read("lnav/test/logfile_crlf.0"),
        hint("2015-01-01T00:00:00Z"),
    );
    let messages: Vec<&str> = crlf.entries.iter().map(|entry| &*entry.message).collect();
    assert_eq!(messages, ["DEBUG:foo bar baz", "WARN:foo bar baz"]);

    let bytes = read("lnav/test/logfile_invalid_utf8.0");
    let invalid = decode(format("plain"), &bytes, hint("2015-04-01T00:00:00Z"));
    assert_eq!(invalid.entries.len(), 1);
    let entry = &invalid.entries[0];
    assert_eq!(entry.metadata("escaped_bytes"), Some("true"));
    let exact = escape::unescape(&entry.message).unwrap();
    let mut expected: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|&byte| byte != b'\r')
        .collect();
    assert_eq!(expected.pop(), Some(b'\n'));
    let stamp = b"2015-03-12T23:16:52.071:";
    assert_eq!(exact, expected[stamp.len()..]);
    assert_eq!(memchr::memchr_iter(b'\n', &exact).count(), 5);
}

fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        rest = &after[end + 1..];
    }
    out + rest
}

// Files without an expectation: every line a record that its format reads.

#[test]
fn files_without_an_expectation_are_read_in_full() {
    for (path, format_name, records) in [
        ("lnav/test/logfile_access_log.1", "nginx-access", 1),
        ("lnav/test/logfile_bad_access_log.0", "nginx-access", 3),
        ("lnav/test/logfile_syslog.3", "syslog", 7),
        ("lnav/test/logfile_uwsgi.0", "uwsgi", 19),
        ("lnav/test/logfile_shop_access_log.0", "nginx-access", 1_000),
        (
            "elastic-examples/apache_logs/apache_logs",
            "apache-access",
            10_000,
        ),
        (
            "elastic-examples/apache_logs/apache_logs",
            "nginx-access",
            10_000,
        ),
    ] {
        let decoded = decode(
            format(format_name),
            &read(path),
            hint("2020-01-01T00:00:00Z"),
        );
        assert_eq!(
            (decoded.entries.len(), decoded.read()),
            (records, records),
            "{path}"
        );
    }
}

#[test]
fn the_agent_that_a_line_ends_in_is_kept() {
    let decoded = decode(
        format("apache-access"),
        &read("elastic-examples/apache_logs/apache_logs"),
        hint("2016-01-01T00:00:00Z"),
    );
    let cut: Vec<usize> = (0..decoded.entries.len())
        .filter(|&at| decoded.entries[at].metadata("incomplete").is_some())
        .collect();
    assert_eq!(cut, [8_898]);
}

#[test]
fn uwsgi_fields_are_read() {
    let decoded = decode(
        format("uwsgi"),
        &read("lnav/test/logfile_uwsgi.0"),
        hint("2020-01-01T00:00:00Z"),
    );
    let third = &decoded.entries[2];
    assert_eq!(third.duration_ms, Some(0.068));
    assert_eq!(third.metadata("status"), Some("200"));
    assert_eq!(third.timestamp, instant("2016-03-13T22:49:15Z").unwrap());
}

// vrl

#[test]
fn vrl_cases_agree() {
    // Fields of theirs, and ours. `client` of an error line, `host` of an access line and so on.
    let names: &[(&str, &str, Ours)] = &[
        ("", "timestamp", Ours::Time),
        ("parse_nginx_log", "client", Ours::Meta("client")),
        ("parse_nginx_log", "remote_addr", Ours::Meta("client")),
        ("parse_nginx_log", "user", Ours::UserId),
        ("parse_nginx_log", "size", Ours::Meta("bytes")),
        ("parse_nginx_log", "body_bytes_size", Ours::Meta("bytes")),
        ("parse_nginx_log", "referer", Ours::Meta("referrer")),
        ("parse_nginx_log", "http_referer", Ours::Meta("referrer")),
        ("parse_nginx_log", "agent", Ours::Meta("user_agent")),
        (
            "parse_nginx_log",
            "http_user_agent",
            Ours::Meta("user_agent"),
        ),
        (
            "parse_nginx_log",
            "http_x_forwarded_for",
            Ours::Meta("forwarded_for"),
        ),
        ("parse_nginx_log", "compression", Ours::Meta("compression")),
        (
            "parse_nginx_log",
            "request_length",
            Ours::Meta("request_length"),
        ),
        ("parse_nginx_log", "request_time", Ours::DurationSeconds),
        (
            "parse_nginx_log",
            "proxy_upstream_name",
            Ours::Meta("upstream"),
        ),
        (
            "parse_nginx_log",
            "upstream_addr",
            Ours::Meta("upstream_address"),
        ),
        (
            "parse_nginx_log",
            "upstream_response_length",
            Ours::Meta("upstream_response_length"),
        ),
        (
            "parse_nginx_log",
            "upstream_response_time",
            Ours::Meta("upstream_response_time"),
        ),
        (
            "parse_nginx_log",
            "upstream_status",
            Ours::Meta("upstream_status"),
        ),
        ("parse_nginx_log", "req_id", Ours::RequestId),
        ("parse_nginx_log", "cid", Ours::Meta("connection")),
        ("parse_nginx_log", "server", Ours::Meta("server")),
        ("parse_nginx_log", "upstream", Ours::Meta("upstream")),
        ("parse_nginx_log", "host", Ours::Meta("http_host")),
        (
            "parse_nginx_log",
            "request",
            Ours::Made(|entry| {
                entry
                    .metadata("request")
                    .or(Some(&*entry.message))
                    .map(str::to_owned)
            }),
        ),
        // beats and nginx itself keep the appended fields in the message; vrl cuts them off.
        (
            "parse_nginx_log",
            "message",
            Ours::Made(|entry| {
                let message = entry.message.split(", client: ").next()?;
                Some(message.split(", excess: ").next()?.to_owned())
            }),
        ),
        ("parse_nginx_log", "excess", IN_MESSAGE),
        ("parse_nginx_log", "zone", IN_MESSAGE),
        ("", "status", Ours::Meta("status")),
        ("", "severity", Ours::Level),
        ("", "level", Ours::Level),
        ("", "pid", Ours::Meta("pid")),
        ("", "tid", Ours::Meta("tid")),
        ("", "message", Ours::Message),
        ("parse_syslog", "hostname", Ours::Meta("host")),
        ("parse_syslog", "appname", Ours::Logger),
        ("parse_syslog", "procid", Ours::Meta("pid")),
        ("parse_syslog", "msgid", Ours::Meta("msgid")),
        ("parse_syslog", "facility", Ours::Meta("facility")),
        ("parse_syslog", "version", Ours::Left("always 1")),
        (
            "parse_syslog",
            "empty",
            Ours::Left("an element without values"),
        ),
        (
            "parse_syslog",
            "exampleSDID@32473",
            Ours::Left("compared below, value by value"),
        ),
        ("parse_glog", "id", Ours::Meta("thread")),
        ("parse_glog", "file", Ours::Meta("file")),
        ("parse_glog", "line", Ours::Meta("line")),
        ("", "host", Ours::Meta("client")),
        ("", "identity", Ours::Meta("identity")),
        ("", "user", Ours::UserId),
        ("", "method", Ours::Meta("method")),
        ("", "path", Ours::Meta("path")),
        ("", "protocol", Ours::Meta("protocol")),
        ("", "size", Ours::Meta("bytes")),
        ("", "referrer", Ours::Meta("referrer")),
        ("", "agent", Ours::Meta("user_agent")),
        ("", "module", Ours::Meta("module")),
        ("", "thread", Ours::Meta("tid")),
        ("", "client", Ours::Meta("client")),
        ("", "port", Ours::Meta("client_port")),
    ];
    let mut compared = 0;
    for file in [
        "parse_nginx_log",
        "parse_glog",
        "parse_common_log",
        "parse_apache_log",
        "parse_syslog",
    ] {
        for case in read_json(&format!("vrl/cases/{file}.json"))
            .as_array()
            .unwrap()
        {
            let id = case["id"].as_str().unwrap();
            // Placeholders only, not even brackets: nothing says that this is an access log.
            if id == "parse_apache_log/log_line_valid_empty" {
                continue;
            }
            let of_error = case["options"]["format"] == "error";
            let format_name = match (file, of_error) {
                ("parse_nginx_log", true) => "nginx-error",
                ("parse_nginx_log", false) => "nginx-access",
                ("parse_glog", _) => "glog",
                ("parse_syslog", _) => "syslog",
                (_, true) => "apache-error",
                (_, false) => "apache-access",
            };
            let zone = case["assumed_timezone"]
                .as_str()
                .map_or(SourceZone::Utc, |zone| {
                    SourceZone::Named(zone.parse().unwrap())
                });
            let hint = TimeHint {
                zone,
                ..hint("2026-07-01T00:00:00Z")
            };
            let decoded = decode(
                format(format_name),
                case["input"].as_str().unwrap().as_bytes(),
                hint,
            );
            compared += 1;
            if case["want_error"] == true {
                assert_eq!(decoded.counts.mismatched, 1, "{id}");
                continue;
            }
            assert_eq!(
                (decoded.counts.records, decoded.counts.mismatched),
                (1, 0),
                "{id}: {:?}",
                decoded.entries
            );
            let mut row: BTreeMap<String, Value> =
                serde_json::from_value(case["want"].clone()).unwrap();
            if let Some(Value::String(time)) = row.get_mut("timestamp") {
                *time = time.replace("YYYY", "2026");
            }
            if let Some(values) = row.get("exampleSDID@32473") {
                for (name, value) in values.as_object().unwrap() {
                    assert_eq!(
                        decoded.entries[0].metadata(&format!("exampleSDID@32473.{name}")),
                        value.as_str(),
                        "{id}"
                    );
                }
            }
            let mapping: Vec<(&str, Ours)> = names
                .iter()
                .filter(|(of, _, _)| of.is_empty() || *of == file)
                .map(|&(_, name, ours)| (name, ours))
                .collect();
            compare(id, &decoded.entries, &[row], mapping.leak(), DIFFERENT);
        }
    }
    assert_eq!(compared, 28);
}

#[test]
fn every_file_is_detected_as_what_it_is() {
    let module = "beats/filebeat/module";
    for (path, name) in [
        (
            format!("{module}/nginx/access/test/test.log"),
            "nginx-access",
        ),
        (
            format!("{module}/nginx/ingress_controller/test/test.log"),
            "nginx-access",
        ),
        (
            format!("{module}/nginx/error/test/error.log"),
            "nginx-error",
        ),
        (
            format!("{module}/apache/access/test/test.log"),
            "apache-access",
        ),
        (
            format!("{module}/apache/access/test/darwin-2.4.23.log"),
            "apache-access",
        ),
        (
            format!("{module}/apache/access/test/ssl-request.log"),
            "apache-access",
        ),
        (
            format!("{module}/apache/error/test/test.log"),
            "apache-error",
        ),
        (
            format!("{module}/apache/error/test/ubuntu-2.2.22.log"),
            "apache-error",
        ),
        (
            format!("{module}/traefik/access/test/test.log"),
            "traefik-access",
        ),
        (
            format!("{module}/system/syslog/test/darwin-syslog-sample.log"),
            "syslog",
        ),
        (
            format!("{module}/system/syslog/test/suse-syslog.log"),
            "syslog",
        ),
        (format!("{module}/system/auth/test/test.log"), "syslog"),
        (
            format!("{module}/elasticsearch/server/test/test.log"),
            "elasticsearch",
        ),
        ("lnav/test/logfile_access_log.0".into(), "nginx-access"),
        ("lnav/test/logfile_shop_access_log.0".into(), "nginx-access"),
        ("lnav/test/logfile_syslog.0".into(), "syslog"),
        ("lnav/test/logfile_syslog.3".into(), "syslog"),
        ("lnav/test/logfile_journald.json".into(), "journald"),
        (
            "lnav/test/logfile_docker_compose_with_ts.0".into(),
            "docker-compose",
        ),
        ("lnav/test/logfile_uwsgi.0".into(), "uwsgi"),
        ("lnav/test/logfile_leveltest.0".into(), "plain"),
        ("lnav/test/logfile_rollover.0".into(), "app-line"),
        ("lnav/test/logfile_multiline.0".into(), "app-line"),
        (
            "elastic-examples/apache_logs/apache_logs".into(),
            "nginx-access",
        ),
    ] {
        let bytes = read(&path);
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().take(64).collect();
        assert_eq!(detect(&lines).name(), name, "{path}");
    }
    let vhost = "example.com:80 10.1.2.3 - - [22/Nov/2026:02:21:09 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\"";
    assert_eq!(detect(&[vhost]).name(), "apache-access");
    let mut parsed = Parsed::default();
    let Shape::Format(apache) = format("apache-access") else {
        panic!("a format")
    };
    apache
        .parse(vhost, &hint("2026-01-01T00:00:00Z"), &mut parsed)
        .unwrap();
    assert_eq!(
        parsed.metadata[0],
        ("vhost".into(), "example.com:80".into())
    );
    assert_eq!(parsed.metadata[1], ("client".into(), "10.1.2.3".into()));
}
