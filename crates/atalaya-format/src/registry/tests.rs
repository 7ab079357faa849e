//! Which format reads a line: for each format lines that are its own, among all the others.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::{SourceZone, TimeHint};
use atalaya_domain::record::Entry;
use atalaya_domain::time::Timestamp;

fn decode(text: &str) -> (Vec<Entry>, String) {
    let hint = TimeHint {
        reference: Timestamp::from_seconds(1_714_600_000),
        zone: SourceZone::Utc,
    };
    let (entries, decoder) = crate::testing::decoded(text, hint);
    let read: Vec<&str> = decoder
        .tally()
        .by_shape()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    (entries, read.join("+"))
}

const LINES: &[(&str, &str)] = &[
    (
        "nginx-access",
        "10.1.0.1 - - [01/May/2024:08:00:00 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"",
    ),
    (
        "nginx-error",
        "2024/05/01 08:00:00 [error] 30708#0: *3 open() failed, client: 192.0.2.2, server: a",
    ),
    (
        "apache-error",
        "[Wed May 01 08:00:00.123456 2024] [core:error] [pid 7:tid 8] [client 10.1.0.1:5] AH1: x",
    ),
    (
        "elasticsearch",
        "[2024-05-01T08:00:00,123][INFO ][o.e.n.Node] [node-a] started",
    ),
    (
        "glog",
        "I0501 08:00:00.411655       1 pods.go:84] \"Pod updated\" pod=\"shop/api\"",
    ),
    ("glog", "E20240501 08:00:00.411655 15520 main.cc:9] no"),
    ("redis", "1:M 01 May 2024 08:00:00.946 * DB saved on disk"),
    ("redis", "534:S 28 Apr 11:30:29.988 # down"),
    (
        "logcat",
        "05-01 08:00:00.123  1234  5678 E DepotPay: failed",
    ),
    ("logcat", "W/Depot( 123): slow"),
    (
        "php",
        "[01-May-2024 08:00:00 UTC] PHP Warning:  no $q in /srv/a.php on line 4",
    ),
    (
        "php",
        "[01-May-2024 08:00:00] NOTICE: fpm is running, pid 1",
    ),
    (
        "monolog",
        "[2024-05-01 08:00:00] local.ERROR: no total {\"userId\":7}",
    ),
    (
        "ruby",
        "E, [2024-05-01T08:00:00.123456 #4711] ERROR -- depot: broke",
    ),
    (
        "rails-tagged",
        "[6ad1e5c4-0817-4d5c-9f37-7ed2755a72e1] Processing by CartController#show as HTML",
    ),
    (
        "sidekiq",
        "2024-05-01T08:00:00.123Z pid=1 tid=x class=Pay jid=y INFO: start",
    ),
    (
        "sidekiq",
        "2024-05-01T08:00:00.123Z 1 TID-x Pay JID-y INFO: start",
    ),
    (
        "lambda",
        "START RequestId: 0879de55-0817-4d5c-9f37-7ed2755a72e1 Version: $LATEST",
    ),
    (
        "lambda",
        "2024-05-01T08:00:00.341Z\t0879de55-0817-4d5c-9f37-7ed2755a72e1\tINFO\tpaid",
    ),
    (
        "zap",
        "2024-05-01T08:00:00.000Z\tERROR\tpay/charge.go:17\tfailed\t{\"request_id\": \"r-5\"}",
    ),
    (
        "mongodb",
        "2024-05-01T08:00:00.000+0000 I NETWORK  [conn1] end connection",
    ),
    (
        "mssql",
        "2024-05-01 08:00:00.86 spid51      Error: 18456, Severity: 14, State: 8.",
    ),
    (
        "windows-setup",
        "2024-05-01 08:00:00, Info                  CBS    Starting",
    ),
    (
        "logrus",
        "INFO[0012] listening                      addr=10.0.0.1",
    ),
    (
        "node",
        "[Nest] 4711  - 05/01/2024, 8:00:00 AM     LOG [NestFactory] Starting",
    ),
    ("node", "npm ERR! code E404"),
    ("dotnet-console", "info: Depot.Pay[0] paid"),
    (
        "json",
        "{\"time\":\"2024-05-01T08:00:00Z\",\"level\":\"info\",\"msg\":\"x\"}",
    ),
    (
        "postgresql",
        "2024-05-01 08:00:00.499 UTC [71] ana@depot LOG:  checkpoint complete",
    ),
    (
        "postgresql",
        "2024-05-01 08:00:00 UTC:10.1.0.0(4711):app@depot:[900]:ERROR:  no table",
    ),
    (
        "mysql-error",
        "2024-05-01T08:00:00.000123Z 12 [Warning] [MY-010055] [Server] IP address",
    ),
    (
        "mysql-error",
        "2024-05-01 08:00:00 0 [Note] InnoDB: Buffer pool",
    ),
    ("mysql-error", "240501  8:00:00 [ERROR] no table"),
    (
        "structlog",
        "2024-05-01 08:00:00 [info     ] paid                           order=7",
    ),
    (
        "zerolog",
        "2024-05-01T08:00:00+02:00 DBG charge.go:84 > paid order=7",
    ),
    ("zerolog", "8:00AM ERR broke error=\"no route\""),
    (
        "hclog",
        "2024-05-01T08:00:00.000Z [ERROR] core.raft: cannot reach: peer=10.0.0.1",
    ),
    (
        "rust-tracing",
        "2024-05-01T08:00:00.5Z ERROR depot::pay: failed request_id=r-9",
    ),
    (
        "rust-tracing",
        "2024-05-01T08:00:00.5Z  INFO request{id=7}: depot: paid",
    ),
    ("go-log", "2024/05/01 08:00:00 pay.go:12: no route"),
    ("go-log", "2024/05/01 08:00:00 INFO paid order=7"),
    (
        "python",
        "2024-05-01 08:00:00,123 - depot.pay - ERROR - broke",
    ),
    ("python", "2024-05-01 08:00:00,123 ERROR depot: broke"),
    ("python", "ERROR:root:broke"),
    (
        "python",
        "[2024-05-01 08:00:00 +0000] [42] [INFO] Booting worker",
    ),
    (
        "python",
        "2024-05-01 08:00:00.123 | ERROR    | depot.pay:run:12 - broke",
    ),
    ("uvicorn", "INFO:     Application startup complete."),
    ("uvicorn", "WARNING:  changes found"),
    (
        "redis",
        "1:signal-handler (1714550400) Received SIGTERM scheduling shutdown...",
    ),
    (
        "log4j",
        "2024-05-01 08:00:00,123 ERROR [main] c.e.Pay - broke",
    ),
    (
        "log4j",
        "2024-05-01T08:00:00.123Z  INFO 1 --- [shop] [main] c.e.Pay : up",
    ),
    (
        "log4j",
        "[2024-05-01 08:00:00,123] INFO up (kafka.server.KafkaServer)",
    ),
    ("humanlog", "2024-05-01T08:00:00Z |INFO| paid order=7"),
    ("crash", "panic: boom"),
    ("crash", "Exception in thread \"main\" java.lang.Boom: x"),
    (
        "app-line",
        "2024-05-01 08:00:00.1234|ERROR|Depot.Orders|order 1 placed, total 0",
    ),
    ("app-line", "2024-05-01 08:00:00 [ERROR] [depot.pay] broke"),
    ("app-line", "2024-05-01 08:00:00;WARN;batch 0, 1, 2 stored"),
    (
        "app-line",
        "2024-05-01 08:00:00,123 - ERROR [main:Pay@12] - broke",
    ),
    ("app-line", "[09:19:23 ERR] broke"),
    (
        "app-line",
        "2024-05-01 08:00:00.123 4711 ERROR nova.compute [req-1 u p - - -] broke",
    ),
    ("app-line", "INFO 2024-05-01 08:00:00,123 pay.py:265 - paid"),
    (
        "logfmt",
        "time=2024-05-01T08:00:00Z level=info msg=paid order=7",
    ),
    ("json", "INFO paid {\"order\": 7}"),
    ("plain", "2024-05-01 08:00:00 hello there"),
    ("plain", "hello there"),
    ("plain", "2024-05-01,c1,c2,INFO,c4"),
    ("plain", "2024/05/01 08:00:00 listening on :8080"),
    ("plain", "2024-05-01 08:00:00 it was an ERROR of mine"),
    (
        "jul",
        "Nov 20, 2024 10:00:00 AM com.example.App main\nINFO: Hello",
    ),
    (
        "erlang",
        "=ERROR REPORT==== 1-May-2024::08:00:00 ===\nclosing",
    ),
    ("dotnet-console", "fail: Depot.Pay[0]\n      charge failed"),
];

#[test]
fn each_line_is_read_by_its_own_format() {
    for (name, text) in LINES {
        let (entries, read) = decode(text);
        assert_eq!(
            (entries.len(), read.as_str()),
            (1, *name),
            "{text}: {entries:?}"
        );
        assert_eq!(entries[0].metadata("parse_error"), None, "{text}");
    }
}

#[test]
fn no_line_changes_how_its_neighbours_are_read() {
    let single: Vec<&(&str, &str)> = LINES
        .iter()
        .filter(|(name, text)| !text.contains('\n') && *name != "plain")
        .collect();
    for (_, before) in &single {
        for (_, line) in &single {
            let (alone, _) = decode(line);
            let (both, _) = decode(&format!("{before}\n{line}"));
            assert_eq!(both.len(), 2, "{before}\n{line}");
            assert_eq!(
                (&both[1].message, both[1].level),
                (&alone[0].message, alone[0].level),
                "{before}\n{line}"
            );
        }
    }
}

/// Lines of one container: each in an envelope, the blank ones too.
fn wrapped(text: &str) -> String {
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| format!("2024-05-01T08:00:00.{at:09}Z stderr F {line}\n"))
        .collect()
}

#[test]
fn traces_in_containers_are_one_record() {
    for (text, records, level, has) in [
        (
            "2024-05-01 08:00:00,767 - depot - ERROR - broke\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g(\n    ^^\ndepot.Refused: no\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3, in g\n    h()\nKeyError: 'o'\n2024-05-01 08:00:01,000 - depot - INFO - next",
            2,
            "ERROR",
            "KeyError",
        ),
        (
            "2024-05-01 08:00:00.120 ERROR 7 --- [exec-3] c.e.Advice : failed\njava.lang.IllegalStateException: no\n\tat a.B.c(B.java:7)\nCaused by: java.io.IOException: x\n\t... 40 common frames omitted\n\n2024-05-01 08:00:01.000  INFO 7 --- [exec-4] c.e.Access : done",
            2,
            "ERROR",
            "40 common",
        ),
        (
            "listening\npanic: boom\n\ngoroutine 1 [running]:\nmain.f({0x1, 0x2})\n\t/src/main.go:21\n\ngoroutine 18 [chan receive]:\ncreated by main.g in goroutine 1\n\t/src/pool.go:22 +0x96\nexit status 2\nlistening again",
            3,
            "CRITICAL",
            "pool.go:22",
        ),
        (
            "thread 'main' panicked at src/main.rs:2:5:\nout of bounds\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\ngoing on",
            2,
            "ERROR",
            "RUST_BACKTRACE",
        ),
        (
            "/srv/pay.js:10\n    throw new Error('x');\n    ^\n\nError: no route\n    at f (/srv/pay.js:10:11) {\n  code: 'E1'\n}\n\nNode.js v20.1.0\ngoing on",
            2,
            "ERROR",
            "Node.js v20",
        ),
        (
            "[2024-05-01 08:00:00] local.ERROR: no total {\"exception\":\"[object] (E(code: 0): x at /srv/a.php:1)\n[stacktrace]\n#0 /srv/a.php(1): f()\n\"} \n[2024-05-01 08:00:01] local.INFO: ok",
            2,
            "ERROR",
            "[stacktrace]",
        ),
        (
            "10:00:00.123 [error] GenServer Depot.Pay terminating\n** (RuntimeError) no route\n    (depot 1.0.0) lib/pay.ex:12: Depot.Pay.charge/2\nLast message: :charge\n10:00:00.124 [info] up",
            2,
            "ERROR",
            "Last message",
        ),
        (
            "2024-05-01T08:00:00.000Z\tERROR\tpay/charge.go:17\tfailed\t{\"error\": \"x\"}\ngithub.com/depot/pay.(*Pay).Charge\n\t/src/pay/charge.go:17\nmain.main\n\t/src/main.go:4\n2024-05-01T08:00:00.000Z\tINFO\tpay/charge.go:20\tretry",
            2,
            "ERROR",
            "main.go:4",
        ),
    ] {
        for text in [text.to_owned(), wrapped(text)] {
            let (entries, _) = decode(&text);
            assert_eq!(entries.len(), records, "{text}\n{entries:#?}");
            let entry = entries
                .iter()
                .find(|entry| format!("{entry:?}").contains(has))
                .unwrap();
            assert_eq!(entry.level.name(), level, "{text}\n{entry:#?}");
            assert!(entry.traceback.is_some(), "{text}\n{entry:#?}");
        }
    }
}
