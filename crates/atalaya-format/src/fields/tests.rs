#![allow(clippy::unwrap_used, reason = "tests")]

use crate::testing::{at, meta};
use crate::{Format, Parsed, SourceZone, TimeHint, json, logfmt};
use atalaya_domain::record::Level;
use atalaya_domain::time::Timestamp;

fn hint() -> TimeHint {
    TimeHint {
        reference: Timestamp::from_seconds(1_790_000_000),
        zone: SourceZone::Utc,
    }
}

fn read(text: &str) -> Parsed<'_> {
    let mut out = Parsed::default();
    if text.starts_with('{') {
        json::Json.parse(text, &hint(), &mut out).unwrap();
    } else {
        logfmt::Logfmt.parse(text, &hint(), &mut out).unwrap();
    }
    out
}

#[test]
fn level_and_message_below_envelopes() {
    for (text, level, message) in [
        (
            r#"{"@fields":{"lvl":"ERROR","msg":"down"}}"#,
            Level::Error,
            "down",
        ),
        (
            r#"{"fields":{"level":"warn","message":"slow"}}"#,
            Level::Warning,
            "slow",
        ),
        (
            r#"{"jsonPayload":{"severity":"CRITICAL","message":"down"}}"#,
            Level::Critical,
            "down",
        ),
        (
            r#"{"log":{"level":"ERROR"},"message":"m"}"#,
            Level::Error,
            "m",
        ),
        (r#"{"log.level":"ERROR","message":"m"}"#, Level::Error, "m"),
        (
            r#"{"message":{"level":"error","msg":"in an object"}}"#,
            Level::Error,
            "in an object",
        ),
        (
            r#"{"body":{"Level":"Warning","Message":"m"}}"#,
            Level::Warning,
            "m",
        ),
        (
            r#"{"data":{"record":{"levelname":"DEBUG","message":"deep"}}}"#,
            Level::Debug,
            "deep",
        ),
        (
            r#"{"log_processed":{"level":"fatal","msg":"m"},"stream":"stderr"}"#,
            Level::Critical,
            "m",
        ),
        // What stands at the top wins, also when it comes later.
        (
            r#"{"fields":{"level":"error","message":"in"},"level":"info","msg":"out"}"#,
            Level::Info,
            "out",
        ),
        (
            r#"{"level":"info","msg":"out","fields":{"level":"error","message":"in"}}"#,
            Level::Info,
            "out",
        ),
        // The level of something else.
        (
            r#"{"battery":{"level":"critical"},"msg":"m"}"#,
            Level::Info,
            "m",
        ),
        (r#"{"error":{"message":"in"},"msg":"m"}"#, Level::Error, "m"),
        (r#"{"error":null,"err":"","msg":"m"}"#, Level::Info, "m"),
    ] {
        let parsed = read(text);
        assert_eq!(
            (parsed.level, parsed.message.as_ref()),
            (level, message),
            "{text}"
        );
    }
    let parsed = read(r#"{"level":"info","msg":"out","fields":{"level":"error","message":"in"}}"#);
    assert_eq!(meta(&parsed, "fields.level"), Some("error"));
    assert_eq!(meta(&parsed, "fields.message"), Some("in"));
}

#[test]
fn ids_under_many_names() {
    let trace = "5af7651916cd43dd8448eb211c803111";
    for (member, id) in [
        (r#""mdc":{"requestId":"i"}"#, "i"),
        (r#""MDC":{"X-Request-ID":"i"}"#, "i"),
        (r#""contextMap":{"traceId":"i"}"#, "i"),
        (r#""context":{"reqId":"i"}"#, "i"),
        (r#""attributes":{"http.request.id":"i"}"#, "i"),
        (r#""attributes":{"trace":{"id":"i"}}"#, "i"),
        (r#""labels":{"trace_id":"i"}"#, "i"),
        (r#""headers":{"x-request-id":"i"}"#, "i"),
        (r#""request":{"headers":{"X-Request-Id":["i"]}}"#, "i"),
        (r#""req":{"headers":{"x-correlation-id":"i"}}"#, "i"),
        (r#""dd":{"trace_id":"i"}"#, "i"),
        (r#""dd.trace_id":"i""#, "i"),
        (
            r#""logging.googleapis.com/trace":"projects/p/traces/i""#,
            "i",
        ),
        (r#""trace":"projects/p/traces/i""#, "i"),
        (r#""otelTraceID":"i""#, "i"),
        (r#""_trace_id":"i""#, "i"),
        (
            r#""X-Amzn-Trace-Id":"Root=1-5759e988-bd86;Sampled=1""#,
            "1-5759e988-bd86",
        ),
        (r#""X-B3-TraceId":"i""#, "i"),
        (r#""requestID":"i""#, "i"),
        (r#""request_uuid":"i""#, "i"),
        (
            r#""traceparent":"00-5af7651916cd43dd8448eb211c803111-b7ad6b7169203331-01""#,
            trace,
        ),
        (
            r#""headers":{"traceparent":"00-5af7651916cd43dd8448eb211c803111-b7ad6b7169203331-01"}"#,
            trace,
        ),
        (r#""uber-trace-id":"i:2:0:1""#, "i"),
        // The kind counts before the depth and the order.
        (
            r#""trace_id":"t","mdc":{"correlationId":"c","requestId":"i"}"#,
            "i",
        ),
        (r#""mdc":{"requestId":"in"},"requestId":"i""#, "i"),
        (r#""request_id":null,"trace_id":"i""#, "i"),
        (r#""request_id":"None","trace_id":"i""#, "i"),
        (r#""request_id":"-","trace_id":"i""#, "i"),
    ] {
        let text = format!("{{\"msg\":\"m\",{member}}}");
        assert_eq!(read(&text).request_id.as_deref(), Some(id), "{text}");
    }
    for member in [
        r#""parent":{"request_id":"i"}"#,
        r#""span_id":"i""#,
        r#""trace":"at a.b""#,
        r#""id":"i""#,
    ] {
        let text = format!("{{\"msg\":\"m\",{member}}}");
        assert_eq!(read(&text).request_id, None, "{text}");
    }
    let parsed = read(r#"{"Extra":{"user":{"id":7}},"attributes":{"session.id":"s"}}"#);
    assert_eq!(
        (parsed.user_id.as_deref(), parsed.session_id.as_deref()),
        (Some("7"), Some("s"))
    );
    let parsed = read(
        r#"{"fields":{"message":"m"},"span":{"name":"db"},"spans":[{"name":"request","request_id":"i"},{"name":"db"}]}"#,
    );
    assert_eq!(
        (
            parsed.request_id.as_deref(),
            meta(&parsed, "spans").is_some()
        ),
        (Some("i"), true)
    );
    let parsed =
        read(r#"{"Message":"m","Scopes":[{"Message":"..","RequestId":"i:1","UserId":"7"}]}"#);
    assert_eq!(
        (parsed.request_id.as_deref(), parsed.user_id.as_deref()),
        (Some("i:1"), Some("7"))
    );
    // The rest of a header is kept.
    let parsed =
        read(r#"{"traceparent":"00-5af7651916cd43dd8448eb211c803111-b7ad6b7169203331-01"}"#);
    assert_eq!(
        meta(&parsed, "traceparent"),
        Some("00-5af7651916cd43dd8448eb211c803111-b7ad6b7169203331-01")
    );
    // Also when a better id comes, and then once.
    let parsed = read(
        r#"{"traceparent":"00-5af7651916cd43dd8448eb211c803111-b7ad6b7169203331-01","requestId":"r"}"#,
    );
    assert_eq!(parsed.request_id.as_deref(), Some("r"));
    assert_eq!(parsed.metadata.len(), 1);
}

#[test]
fn numbers_as_levels() {
    for (text, level) in [
        (r#"{"level":20,"msg":"pino"}"#, Level::Debug),
        (r#"{"level":60,"msg":"bunyan"}"#, Level::Critical),
        (r#"{"level":20,"msg":"python","funcName":"f"}"#, Level::Info),
        (r#"{"levelno":40,"msg":"python"}"#, Level::Error),
        (r#"{"level_number":30,"event":"structlog"}"#, Level::Warning),
        (r#"{"short_message":"gelf","level":4}"#, Level::Warning),
        (r#"{"PRIORITY":"3","MESSAGE":"journal"}"#, Level::Error),
        (r#"{"syslog_severity":2,"msg":"m"}"#, Level::Critical),
        (r#"{"severity":4,"msg":"syslog"}"#, Level::Warning),
        (r#"{"severity":"7","msg":"syslog"}"#, Level::Debug),
        (
            r#"{"log":{"syslog":{"severity":{"code":3,"name":"Error"}}},"message":"ecs"}"#,
            Level::Error,
        ),
        (r#"{"severity":500,"msg":"google"}"#, Level::Error),
        (
            r#"{"reqId":"q","level":0,"message":"nextcloud"}"#,
            Level::Debug,
        ),
        (
            r#"{"reqId":"q","level":2,"message":"nextcloud"}"#,
            Level::Warning,
        ),
        (r#"{"SeverityNumber":17,"Body":"otel"}"#, Level::Error),
        (r#"{"severityNumber":13,"body":"otel"}"#, Level::Warning),
        (r#"{"level":550,"message":"monolog"}"#, Level::Critical),
        (r#"{"level_value":40000,"message":"logback"}"#, Level::Error),
        (r#"{"intLevel":200,"message":"log4j"}"#, Level::Error),
        (r#"{"level":900,"message":"jul"}"#, Level::Warning),
        (r#"{"LogLevel":4,"Message":"dotnet"}"#, Level::Error),
        (
            r#"{"LogLevel":"Warning","Category":"A.B","Message":"dotnet"}"#,
            Level::Warning,
        ),
        (r#"{"level":"dpanic","msg":"zap"}"#, Level::Critical),
        // Small numbers of unknown programs say nothing.
        (r#"{"level":3,"msg":"m"}"#, Level::Info),
        (r#"{"level":3,"short_message":1,"a":2}"#, Level::Error),
    ] {
        assert_eq!(read(text).level, level, "{text}");
    }
    let parsed = read(r#"{"level":3,"msg":"m"}"#);
    assert_eq!(meta(&parsed, "level"), Some("3"));
}

#[test]
fn a_status_says_the_level_where_no_level_is() {
    for (text, level) in [
        (r#"{"status":"error","msg":"m"}"#, Level::Error),
        (r#"{"status":"failed","msg":"m"}"#, Level::Error),
        (
            r#"{"event":{"outcome":"failure"},"message":"m"}"#,
            Level::Error,
        ),
        (r#"{"status":"active","msg":"m"}"#, Level::Info),
        (
            r#"{"status":"error","level":"info","msg":"m"}"#,
            Level::Info,
        ),
        (r#"{"status_code":404,"msg":"m"}"#, Level::Warning),
        (r#"{"response":{"status":503},"msg":"m"}"#, Level::Error),
        (r#"{"res":{"statusCode":500},"msg":"m"}"#, Level::Error),
        (r#"{"httpRequest":{"status":500},"msg":"m"}"#, Level::Error),
        (r#"{"sc-status":"404","cs-method":"GET"}"#, Level::Warning),
        (
            r#"{"elb_status_code":"504","target_status_code":"200"}"#,
            Level::Error,
        ),
        (r#"{"level":"info","status":500,"msg":"m"}"#, Level::Info),
        (r#"{"status":7,"msg":"m"}"#, Level::Info),
        (
            r#"{"level":"info","logger":"http.log.access","msg":"handled request","status":503}"#,
            Level::Error,
        ),
        (
            r#"{"level":"error","logger":"http.log.access.x","msg":"handled request","status":200}"#,
            Level::Error,
        ),
        (
            r#"{"level":"info","DownstreamStatus":404,"msg":""}"#,
            Level::Warning,
        ),
        ("method=GET path=/x status=502", Level::Error),
    ] {
        assert_eq!(read(text).level, level, "{text}");
    }
    // The level that the record had is not lost.
    let parsed =
        read(r#"{"level":"info","logger":"http.log.access","msg":"handled request","status":503}"#);
    assert_eq!(
        (meta(&parsed, "level"), meta(&parsed, "status")),
        (Some("info"), Some("503"))
    );
}

#[test]
fn how_long_it_took() {
    for (text, milliseconds) in [
        (r#"{"Extra":{"duration_ms":612.4}}"#, Some(612.4)),
        (r#"{"db":{"elapsed_us":1500}}"#, Some(1.5)),
        (r#"{"elapsedMilliseconds":12}"#, Some(12.0)),
        (r#"{"duration_s":0.25}"#, Some(250.0)),
        (r#"{"durations":3}"#, None),
        (r#"{"took":"12ms"}"#, Some(12.0)),
        (r#"{"took":12}"#, None),
        (r#"{"elapsed":"00:00:01.2"}"#, Some(1200.0)),
        (r#"{"duration":"PT0.5S"}"#, Some(500.0)),
        (r#"{"latencies":{"request":431,"proxy":3}}"#, Some(431.0)),
        (r#"{"event":{"duration":2500000}}"#, Some(2.5)),
        (r#"{"request_time":"0.005","msg":"nginx"}"#, Some(5.0)),
        (r#"{"request_time":"10/May/2019:11:37:47 +0000"}"#, None),
        (r#"{"httpRequest":{"latency":"0.120s"}}"#, Some(120.0)),
        (
            r#"{"Duration":5726712,"DownstreamStatus":200}"#,
            Some(5.726_712),
        ),
        (r#"{"Duration":5726712}"#, None),
        (
            r#"{"logger":"http.log.access","duration":0.5}"#,
            Some(500.0),
        ),
        (
            r#"{"duration":12,"response_flags":"-","method":"GET"}"#,
            Some(12.0),
        ),
        (
            "method=GET path=/x controller=A action=show status=200 duration=58.33",
            Some(58.33),
        ),
        (
            r#"{"Elapsed":34.06,"RequestPath":"/x","StatusCode":200}"#,
            Some(34.06),
        ),
        (r#"{"duration_ms":"fast"}"#, None),
    ] {
        let found = read(text).duration_ms;
        let near = |ours: f64, want: f64| (ours - want).abs() < 1e-6;
        assert!(
            near(found.unwrap_or(-1.0), milliseconds.unwrap_or(-1.0)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn where_the_time_stands() {
    for (text, time) in [
        (
            "date=2023-05-10 time=11:37:47 tz=+0200 msg=m",
            "2023-05-10T09:37:47.000000Z",
        ),
        (
            r#"{"date":"2023-05-10","time":"11:37:47.25","msg":"m"}"#,
            "2023-05-10T11:37:47.250000Z",
        ),
        (
            r#"{"time":"11:37:47","date":"2023/05/10","tz":"-01:00"}"#,
            "2023-05-10T12:37:47.000000Z",
        ),
        (
            r#"{"meta":{"time_logged":"2023-05-10T11:37:47Z"},"msg":"m"}"#,
            "2023-05-10T11:37:47.000000Z",
        ),
        (
            r#"{"requestTimeEpoch":1683718667250,"msg":"m"}"#,
            "2023-05-10T11:37:47.250000Z",
        ),
        (
            r#"{"started_at":1683718667250}"#,
            "2023-05-10T11:37:47.250000Z",
        ),
        (
            r#"{"start_time":"2023-05-10T11:37:47Z"}"#,
            "2023-05-10T11:37:47.000000Z",
        ),
        (
            r#"{"timeUnixNano":"1683718667250000000"}"#,
            "2023-05-10T11:37:47.250000Z",
        ),
        (
            r#"{"__REALTIME_TIMESTAMP":"1683718667250000","MESSAGE":"m"}"#,
            "2023-05-10T11:37:47.250000Z",
        ),
        (
            r#"{"StartUTC":"2023-05-10T11:37:47.5Z","time":"2023-05-10T11:37:48Z"}"#,
            "2023-05-10T11:37:48.000000Z",
        ),
        (
            r#"{"msec":"1683718667.250","status":"200"}"#,
            "2023-05-10T11:37:47.250000Z",
        ),
        (
            r#"{"eventTime":"2023-05-10T11:37:47Z"}"#,
            "2023-05-10T11:37:47.000000Z",
        ),
        (
            r#"{"record":{"time":"2023-05-10T11:37:47Z"},"ts":"2023-05-10T11:37:49Z"}"#,
            "2023-05-10T11:37:49.000000Z",
        ),
        // Other moments than that of the record.
        (
            r#"{"expires_at_time":"2023-05-10T11:37:47Z","msg":"m"}"#,
            "",
        ),
        (
            r#"{"user":{"creation_date":"2023-05-10T11:37:47Z"},"msg":"m"}"#,
            "",
        ),
        (r#"{"uptime_ns":1683718667250000000,"msg":"m"}"#, ""),
        (r#"{"total_time_spent":168371866,"msg":"m"}"#, ""),
    ] {
        assert_eq!(at(&read(text)), time, "{text}");
    }
    let parsed = read("date=2023-05-10 time=11:37:47 tz=+0200 msg=m");
    assert_eq!(parsed.metadata, [("tz".into(), "+0200".into())]);
    let parsed = read(r#"{"meta":{"time_logged":"2023-05-10T11:37:47Z"},"msg":"m"}"#);
    assert!(meta(&parsed, "meta.time_logged").is_some());
    let parsed = read(r#"{"time":"11:37:47","msg":"m"}"#);
    assert!(parsed.day_missing && parsed.metadata.is_empty());
}

#[test]
fn requests_without_message() {
    for (text, message) in [
        (
            r#"{"RequestMethod":"GET","RequestPath":"/a","DownstreamStatus":502,"msg":""}"#,
            "GET /a 502",
        ),
        (
            r#"{"request":{"method":"POST","uri":"/b"},"response":{"status":201}}"#,
            "POST /b 201",
        ),
        (
            r#"{"httpRequest":{"requestMethod":"GET","requestUrl":"http://h/c","status":200}}"#,
            "GET http://h/c 200",
        ),
        (
            r#"{"request":"GET /d HTTP/1.1","status":"404"}"#,
            "GET /d 404",
        ),
        (
            r#"{"cs-method":"GET","cs-uri-stem":"/e","sc-status":"200"}"#,
            "GET /e 200",
        ),
        (r#"{"http":{"method":"GET","path":"/f"}}"#, "GET /f"),
        (r#"{"error":"no route"}"#, "no route"),
    ] {
        assert_eq!(read(text).message, message, "{text}");
    }
}

#[test]
fn the_record_in_an_operators_envelope() {
    let parsed = read(
        r#"{"level":"info","ts":1714550401.5,"logger":"postgres","msg":"record","logging_pod":"till-2","record":{"log_time":"2024-05-01 08:00:00.250 UTC","user_name":"eva","database_name":"till","process_id":"88","connection_from":"[local]","session_id":"663.1f","error_severity":"ERROR","sql_state_code":"42P01","message":"relation \"x\" does not exist","detail":"none such"}}"#,
    );
    assert_eq!(at(&parsed), "2024-05-01T08:00:00.250000Z");
    assert_eq!(
        (parsed.level, parsed.message.as_ref()),
        (Level::Error, "relation \"x\" does not exist")
    );
    assert_eq!(parsed.session_id.as_deref(), Some("663.1f"));
    for (name, text) in [
        ("pid", "88"),
        ("user", "eva"),
        ("dbname", "till"),
        ("msg", "record"),
        ("level", "info"),
        ("ts", "1714550401.5"),
        ("logging_pod", "till-2"),
        ("record.detail", "none such"),
        ("record.sql_state_code", "42P01"),
    ] {
        assert_eq!(meta(&parsed, name), Some(text), "{name}");
    }
    let parsed = read(
        r#"{"logger":"postgres","msg":"record","record":{"error_severity":"LOG","message":"duration: 12.5 ms  statement: SELECT 1"}}"#,
    );
    assert_eq!(
        (parsed.level, parsed.duration_ms, parsed.message.as_ref()),
        (Level::Info, Some(12.5), "SELECT 1")
    );
    // The operator's own records.
    let parsed = read(r#"{"level":"error","logger":"instance-manager","msg":"cannot start"}"#);
    assert_eq!(
        (parsed.level, parsed.message.as_ref()),
        (Level::Error, "cannot start")
    );
}

#[test]
fn nothing_is_lost() {
    let text = r#"{"time":"2023-05-10T11:37:47Z","time":"later","level":"info","level":"error","user":"a","user":"b","traceparent":"x","request_id":["a","b"],"requestId":"r","requestId":"s","msg":"m","Extra":{"level":"debug"},"duration_ms":1,"duration_ms":2}"#;
    let parsed = read(text);
    let all: Vec<&str> = parsed
        .metadata
        .iter()
        .map(|(_, text)| text.as_ref())
        .collect();
    for value in [
        "later",
        "error",
        "a",
        "b",
        "x",
        r#"["a","b"]"#,
        "s",
        "debug",
        "2",
    ] {
        assert!(all.contains(&value), "{value} of {all:?}");
    }
    assert_eq!(parsed.request_id.as_deref(), Some("r"));
    // Indices of what was noted hold although losers are put back before it.
    let parsed = read(
        r#"{"trace_id":"t","DownstreamStatus":500,"correlation_id":"c","request_id":"r","RequestMethod":"GET","RequestPath":"/x"}"#,
    );
    assert_eq!(
        (parsed.message.as_ref(), parsed.level),
        ("GET /x 500", Level::Error)
    );
    assert_eq!(
        (meta(&parsed, "trace_id"), meta(&parsed, "correlation_id")),
        (Some("t"), Some("c"))
    );
}
