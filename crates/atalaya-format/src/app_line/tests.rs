//! Lines of loggers with patterns of all kinds, and lines that only resemble them.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

struct Want {
    level: &'static str,
    logger: Option<&'static str>,
    message: &'static str,
    metadata: &'static [(&'static str, &'static str)],
}

fn parse(text: &str) -> Option<Parsed<'_>> {
    let mut out = Parsed::default();
    (AppLine.opens(text) == Opens::Parsed).then_some(())?;
    AppLine.parse(text, &ANY_HINT, &mut out).ok()?;
    Some(out)
}

fn meta<'p>(parsed: &'p Parsed<'_>, name: &str) -> Option<&'p str> {
    if name == "request_id" {
        return parsed.request_id.as_deref();
    }
    parsed
        .metadata
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, text)| text.as_ref())
}

fn check(cases: &[(&str, Want)]) {
    for (text, want) in cases {
        let Some(parsed) = parse(text) else {
            panic!("not read: {text}")
        };
        assert_eq!(parsed.level.name(), want.level, "{text}");
        assert_eq!(parsed.logger.as_deref(), want.logger, "{text}");
        assert_eq!(parsed.message, want.message, "{text}");
        for (name, value) in want.metadata {
            assert_eq!(
                meta(&parsed, name),
                Some(*value),
                "{name} of {text}: {:?}",
                parsed.metadata
            );
        }
        assert!(parsed.timestamp.is_some(), "{text}");
    }
}

macro_rules! want {
    ($level:literal, $logger:expr, $message:literal $(, $name:literal = $value:literal)*) => {
        Want { level: $level, logger: $logger, message: $message, metadata: &[$(($name, $value)),*] }
    };
}

#[test]
fn the_level_behind_the_stamp() {
    check(&[
        (
            "2024-05-01 10:00:00,123 ERROR depot: broke",
            want!("ERROR", Some("depot"), "broke"),
        ),
        (
            "2024-05-01T10:00:00,123 ERROR depot order 0 placed",
            want!("ERROR", None, "depot order 0 placed"),
        ),
        (
            "2024-05-01 10:00:00 [ERROR] depot.pay: broke",
            want!("ERROR", Some("depot.pay"), "broke"),
        ),
        (
            "2024-05-01 10:00:00 [ERROR] [depot.pay] broke",
            want!("ERROR", Some("depot.pay"), "broke"),
        ),
        (
            "[2024-05-01 10:00:00,123] ERROR: it broke",
            want!("ERROR", None, "it broke"),
        ),
        (
            "[2024-05-01 10:00:00] [warning] slow",
            want!("WARNING", None, "slow"),
        ),
        (
            "2024-05-01 10:00:00 error: it broke",
            want!("ERROR", None, "it broke"),
        ),
        (
            "2024-05-01T10:00:00.000Z [depot] warn: slow",
            want!("WARNING", Some("depot"), "slow"),
        ),
        (
            "2024-05-01 10:00:00 | WARN | low disk",
            want!("WARNING", None, "low disk"),
        ),
        (
            "2024-05-01 10:00:00.123 +02:00 [ERR] it broke",
            want!("ERROR", None, "it broke"),
        ),
        (
            "16:07:12.773 - ERR : No value",
            want!("ERROR", None, "No value"),
        ),
        ("16:07:11.479 - INFO: -----", want!("INFO", None, "-----")),
        ("09:19:23 WRN low disk", want!("WARNING", None, "low disk")),
        (
            "24/05/01 10:00:00 WARN util.NativeCodeLoader: no",
            want!("WARNING", Some("util.NativeCodeLoader"), "no"),
        ),
        (
            "2024-05-01 10:00:00,123 INFO spawned: 'web' with pid 7",
            want!("INFO", None, "spawned: 'web' with pid 7"),
        ),
        (
            "2024-05-01 10:00:00,123 ERROR ValueError: bad",
            want!("ERROR", None, "ValueError: bad"),
        ),
        (
            "2024-05-01 10:00:00.123 ERROR (MainThread) [house.core] broke",
            want!(
                "ERROR",
                Some("house.core"),
                "broke",
                "thread" = "MainThread"
            ),
        ),
        (
            "2024-05-01 10:00:00,123 INFO pay.py:12 - paid",
            want!("INFO", None, "paid", "file" = "pay.py", "line" = "12"),
        ),
        (
            "2024-05-01 10:00:00,123 INFO     [depot.pay:42] paid",
            want!("INFO", Some("depot.pay"), "paid", "line" = "42"),
        ),
        (
            "2024-05-01 10:00:00 INFO  (qtp1-12) [c:x s:shard1 r:n1] o.a.s.Request done",
            want!(
                "INFO",
                Some("o.a.s.Request"),
                "done",
                "thread" = "qtp1-12",
                "context" = "c:x s:shard1 r:n1"
            ),
        ),
        (
            "2024-05-01 10:00:00,123 [INFO] from play.api.Play in main - up",
            want!("INFO", Some("play.api.Play"), "up", "thread" = "main"),
        ),
        (
            "2024-05-01T10:00:00,123 INFO  [7a1b main([])]: metastore.Store (Store.java:init(285)) - up",
            want!(
                "INFO",
                Some("metastore.Store"),
                "up",
                "thread" = "7a1b main([])"
            ),
        ),
        (
            "2024-05-01 10:00:00.123+00:00 [error] <0.123.0> closing",
            want!("ERROR", None, "closing", "pid" = "0.123.0"),
        ),
        (
            "[10:00:00.123] INFO (depot/4711 on web1): listening",
            want!(
                "INFO",
                Some("depot"),
                "listening",
                "pid" = "4711",
                "context" = "web1"
            ),
        ),
        (
            "[2024-05-01T10:00:00.123Z]  INFO: depot/4711 on web1: listening",
            want!("INFO", None, "depot/4711 on web1: listening"),
        ),
        (
            "2024-05-01 10:00:00 INFO depot: paid {\"request_id\": \"r-7\"}",
            want!("INFO", Some("depot"), "paid", "request_id" = "r-7"),
        ),
    ]);
}

#[test]
fn names_and_numbers_before_the_level() {
    check(&[
        (
            "2024-05-01 10:00:00,123 - depot - ERROR - broke",
            want!("ERROR", Some("depot"), "broke"),
        ),
        (
            "2024-05-01 10:00:00,123 depot ERROR broke",
            want!("ERROR", Some("depot"), "broke"),
        ),
        (
            "2024-05-01 10:00:00,123 [4711] ERROR depot: broke",
            want!("ERROR", Some("depot"), "broke", "pid" = "4711"),
        ),
        (
            "2024-05-01 10:00:00,123 depot[4711] ERROR: broke",
            want!("ERROR", Some("depot"), "broke", "pid" = "4711"),
        ),
        (
            "2024-05-01 10:00:00,123 4711 INFO shop odoo.http: done",
            want!(
                "INFO",
                Some("odoo.http"),
                "done",
                "pid" = "4711",
                "context" = "shop"
            ),
        ),
        (
            "2024-05-01 10:00:00 [scrapy.core.engine] INFO: Spider opened",
            want!("INFO", Some("scrapy.core.engine"), "Spider opened"),
        ),
        (
            "2024-05-01 10:00:00,123 [salt.minion      :123 ][WARNING ][4711] slow",
            want!(
                "WARNING",
                Some("salt.minion"),
                "slow",
                "line" = "123",
                "pid" = "4711"
            ),
        ),
        (
            "[2024-05-01 10:00:00,123] {jobs.py:12} WARNING - slow",
            want!("WARNING", None, "slow", "file" = "jobs.py", "line" = "12"),
        ),
        (
            "2024-05-01 10:00:00.123 o.a.s.d.worker main [INFO] up",
            want!("INFO", Some("o.a.s.d.worker"), "up", "thread" = "main"),
        ),
        (
            "2024-05-01 10:00:00,123 [myid:1] - INFO  [main:Quorum@136] - up",
            want!(
                "INFO",
                Some("Quorum"),
                "up",
                "thread" = "main",
                "line" = "136",
                "context" = "myid:1"
            ),
        ),
        (
            "[2024-05-01 10:00:00,123] p4711 {pay.py:42} INFO - paid",
            want!("INFO", None, "paid", "pid" = "4711", "file" = "pay.py"),
        ),
        (
            "[10:00:00] [Server thread/WARN]: Can't keep up!",
            want!(
                "WARNING",
                None,
                "Can't keep up!",
                "thread" = "Server thread"
            ),
        ),
        (
            "2018-08-21 09:36:48.598 traceId=2824573f069cb79b564128a6ba9a3475, spanId=2ee45f861c6fdd36 DEBUG 5456 --- [nio-8080-exec-8] o.s.Filter  : Bound",
            want!(
                "DEBUG",
                Some("o.s.Filter"),
                "Bound",
                "request_id" = "2824573f069cb79b564128a6ba9a3475",
                "pid" = "5456",
                "thread" = "nio-8080-exec-8"
            ),
        ),
        (
            "2018-08-21 09:36:48.700 traceId=, spanId= ERROR 5456 --- [main] c.e.Web  : outside",
            want!("ERROR", Some("c.e.Web"), "outside"),
        ),
        (
            "2024-05-01 10:00:00.123+0000 [id=23]\tINFO\thudson.WebAppMain$3#run: up",
            want!("INFO", Some("hudson.WebAppMain$3#run"), "up", "id" = "23"),
        ),
        (
            "2024-05-01T10:00:00.123Z [jfrt ] [INFO ] [2824573f069cb79b] [o.a.Pay:123] [main                ] - up",
            want!(
                "INFO",
                Some("o.a.Pay"),
                "up",
                "request_id" = "2824573f069cb79b",
                "line" = "123",
                "thread" = "main"
            ),
        ),
    ]);
}

#[test]
fn the_level_in_front_or_with_the_stamp() {
    check(&[
        (
            "INFO 2016-06-08 10:11:08,241 Controller.py:265 - Heartbeat (id = 1)",
            want!(
                "INFO",
                None,
                "Heartbeat (id = 1)",
                "file" = "Controller.py",
                "line" = "265"
            ),
        ),
        (
            "INFO  [2024-05-01 10:00:00,123] org.jetty.Server: Started",
            want!("INFO", Some("org.jetty.Server"), "Started"),
        ),
        (
            "[INFO] 2024-05-01 10:00:00 started",
            want!("INFO", None, "started"),
        ),
        (
            "ERROR:2024-05-01 10:00:00,123:it broke",
            want!("ERROR", None, "it broke"),
        ),
        (
            "INFO   | jvm 1    | 2024/05/01 10:00:00 | started",
            want!("INFO", None, "started"),
        ),
        (
            "INFO 2024-05-01 10:00:00,123 views 4711 140123 paid",
            want!(
                "INFO",
                Some("views"),
                "paid",
                "pid" = "4711",
                "thread" = "140123"
            ),
        ),
        (
            "[2024-05-01T10:00:00Z ERROR depot::pay] broke",
            want!("ERROR", Some("depot::pay"), "broke"),
        ),
        ("[09:19:23 ERR] it broke", want!("ERROR", None, "it broke")),
        (
            "[09:19:23.676 ERR Depot.Pay b497765b27218d428f9a6fd04a4951bf]  it broke",
            want!(
                "ERROR",
                Some("Depot.Pay"),
                "it broke",
                "request_id" = "b497765b27218d428f9a6fd04a4951bf"
            ),
        ),
        (
            "[10:00:00 INFO]: Done (3.2s)!",
            want!("INFO", None, "Done (3.2s)!"),
        ),
        (
            "[depot] 2024-05-01 10:00:00 ERROR broke",
            want!("ERROR", Some("depot"), "broke"),
        ),
    ]);
}

#[test]
fn columns_and_colons() {
    check(&[
        (
            "2024-05-01 10:00:00.1234|ERROR|Depot.Orders|order 1 placed, total 0",
            want!("ERROR", Some("Depot.Orders"), "order 1 placed, total 0"),
        ),
        (
            "2024-05-01 10:00:00.1|Info|Bootstrap|Starting",
            want!("INFO", Some("Bootstrap"), "Starting"),
        ),
        (
            "2024-05-01 10:00:00;WARN;batch 0, 1, 2 stored",
            want!("WARNING", None, "batch 0, 1, 2 stored"),
        ),
        (
            "2024-05-01 10:00:00\tWARN\tbatch 0, 1",
            want!("WARNING", None, "batch 0, 1"),
        ),
        (
            "2024-05-01 10:00:00: WARN: batch 0, 1",
            want!("WARNING", None, "batch 0, 1"),
        ),
        (
            "2024-05-01 10:00:00,123:ERROR:depot:broke",
            want!("ERROR", Some("depot"), "broke"),
        ),
        (
            "2024-05-01 10:00:00, Error                 CBS    broke",
            want!("ERROR", None, "CBS    broke"),
        ),
        (
            "2024-05-01T10:00:00.123Z\tINFO\tmain\tc.e.depot.Pay\tup",
            want!("INFO", Some("c.e.depot.Pay"), "up", "thread" = "main"),
        ),
    ]);
}

#[test]
fn what_only_resembles_a_header_is_left() {
    for text in [
        "",
        "hello",
        "2024-05-01 10:00:00 hello there",
        "2024-05-01 10:00:00 The ERROR was found",
        "2024-05-01 10:00:00 it was an ERROR of mine",
        "2024-05-01 10:00:00 error opening the file",
        "2024-05-01,c1,c2,INFO,c4",
        "ERROR something broke",
        "[1/3] INFO text",
        "[ERROR] no stamp here",
        "69.01998901367188 ERROR",
        "10.1.0.1 - - [01/May/2024:08:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
        "2024-05-01 10:00:00 POST /x INFO",
        "            2024-05-01 10:00:00 ERROR deep",
        "240501 10:00:00 [Note] ready",
        "2024-05-01 10:00:00 12 [Warning] IP address",
        "2024-05-01 10:00:00 UTC [71] ana@depot LOG:  text",
    ] {
        assert!(parse(text).is_none(), "{text}");
    }
}

#[test]
fn further_lines_stay_with_the_message() {
    let parsed =
        parse("2024-05-01 10:00:00 ERROR depot: broke\nat once\n\tat a.B.c(D.java:1)").unwrap();
    assert_eq!(parsed.message, "broke\nat once\n\tat a.B.c(D.java:1)");
}
