#![allow(clippy::unwrap_used, reason = "tests")]

use super::super::SourceZone;
use super::message::logged;
use super::*;
use atalaya_domain::time::Timestamp;

fn parse(text: &str) -> Parsed<'_> {
    let hint = TimeHint {
        reference: Timestamp::from_seconds(1_790_000_000),
        zone: SourceZone::Utc,
    };
    let mut out = Parsed::default();
    Postgresql.parse(text, &hint, &mut out).unwrap();
    out
}

fn meta(parsed: &Parsed<'_>) -> String {
    let pairs: Vec<String> = parsed
        .metadata
        .iter()
        .map(|(name, text)| format!("{name}={text}"))
        .collect();
    pairs.join(" ")
}

#[test]
fn prefixes_are_deduced() {
    for (text, metadata) in [
        ("2017-07-31 13:36:42.585 CEST [4974] LOG:  m", "pid=4974"),
        (
            "2017-07-31 13:36:42 UTC [4983] postgres@shop LOG:  m",
            "pid=4983 user=postgres dbname=shop",
        ),
        (
            "2017-07-31 13:36:42 UTC [4983] [unknown]@[unknown] LOG:  m",
            "pid=4983",
        ),
        (
            "2017-07-31 13:36:42 EST [835-1] a@b LOG:  m",
            "pid=835 line_num=1 user=a dbname=b",
        ),
        (
            "2017-07-31 13:36:42 UTC [20]: [7-1] user=u,db=d,app=psql - x y,client=1.2.3.4 LOG:  m",
            "pid=20 line_num=7 user=u dbname=d application_name=psql - x y remote_host=1.2.3.4",
        ),
        (
            "2017-07-31 13:36:42 UTC [20]: [7-1] user=,db=,app=,client= LOG:  m",
            "pid=20 line_num=7",
        ),
        (
            "2021-05-27 17:00:00 UTC:10.1.91.65(4321):user@my_db:[24743]:LOG:  m",
            "remote_host=10.1.91.65 remote_port=4321 user=user dbname=my_db pid=24743",
        ),
        ("2021-05-27 17:00:00 UTC::@:[5]:LOG:  m", "pid=5"),
        (
            "2022-02-17 14:45:10.440 UTC [691] [queryid=-108] p@s LOG:  m",
            "pid=691 query_id=-108 user=p dbname=s",
        ),
        ("2022-02-17 14:45:10 UTC-620e5f36.2b3-LOG:  m", ""),
        (
            "2022-02-17 14:45:10 UTC alice shop [12] LOG:  m",
            "pid=12 user=alice dbname=shop",
        ),
        ("1645109110.440 [12] LOG:  m", "pid=12"),
        (
            "2022-02-17 14:45:10 -03 [12] 3/41 LOG:  m",
            "pid=12 vxid=3/41",
        ),
        ("2022-02-17 14:45:10 XYZT [12] LOG:  m", "zone=XYZT pid=12"),
        ("LOG:  m", ""),
    ] {
        let parsed = parse(text);
        assert_eq!(
            meta(&parsed).trim_end_matches("severity=LOG").trim_end(),
            metadata,
            "{text}"
        );
        assert_eq!(parsed.message, "m", "{text}");
        assert_eq!(parsed.timestamp.is_some(), text != "LOG:  m", "{text}");
    }
    assert_eq!(
        parse("2022-02-17 14:45:10 UTC-620e5f36.2b3-LOG:  m")
            .session_id
            .as_deref(),
        Some("620e5f36.2b3")
    );
    assert_eq!(
        parse("2022-02-17 14:45:10 -03 [12] LOG:  m")
            .timestamp
            .unwrap()
            .to_rfc3339(),
        "2022-02-17T17:45:10.000000Z"
    );
}

#[test]
fn errors_of_other_programs_are_not_postgresql() {
    for text in [
        "ERROR: no such file",
        "INFO: text",
        "INFO:     127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK",
        "ERROR:    Application startup failed",
        "deploy INFO: copying",
        "app ERROR: x",
        "app ERROR:  x",
        "my app ERROR:  x",
        "main.c:12: ERROR:  x",
        "HINT:  try again",
        "FEHLER:  x",
        "2024-05-01 10:00:00 ERROR:  no zone",
        "2024-05-01 10:00:00,123 UTC ERROR:  comma",
        "2024-05-01T10:00:00Z ERROR:  x",
        "2024-05-01T10:00:00.123+00:00 app ERROR:  x",
        "2024-05-01 10:00:00 UTC ERROR: one blank, nobody",
        "[2024-05-01 10:00:00 UTC] WARNING: x",
        "2024-05-01 10:00:00 UTC worker ERROR: x",
        "2024-05-01 10:00:00 INFO ERROR:  x",
        "2026-01-01 00:00:00,123 ERROR: failed",
        "[2026-01-01 00:00:00] WARNING: x",
    ] {
        assert!(
            Postgresql
                .parse(
                    text,
                    &super::super::python::ANY_HINT,
                    &mut Parsed::default()
                )
                .is_err(),
            "{text}"
        );
    }
}

#[test]
fn parts_join_as_metadata() {
    let text = "2025-08-16 13:02:58.095 CEST [8] ERROR:  42601: bad at character 61\n\
    2025-08-16 13:02:58.095 CEST [8] DETAIL:  Token \"'\" is invalid.\n\tMore.\n\
    2025-08-16 13:02:58.095 CEST [8] STATEMENT:  SELECT 1 /*request_id='r-7'*/";
    for line in text.lines().skip(1) {
        assert_eq!(Postgresql.joins(text, line), Joins::Yes, "{line}");
    }
    let parsed = parse(text);
    assert_eq!(
        (parsed.level, parsed.message.as_ref()),
        (Level::Error, "bad at character 61")
    );
    assert_eq!(
        meta(&parsed),
        "pid=8 state_code=42601 detail=Token \"'\" is invalid.\nMore. statement=SELECT 1 /*request_id='r-7'*/"
    );
    assert_eq!(parsed.request_id.as_deref(), Some("r-7"));
}

#[test]
fn statements_and_durations() {
    for (message, duration, step, text) in [
        ("duration: 0.524 ms", Some(0.524), "", "duration: 0.524 ms"),
        (
            "duration: 37.118 ms  statement: SELECT 1",
            Some(37.118),
            "statement",
            "SELECT 1",
        ),
        (
            "duration: 1.0 ms  execute S_59: UPDATE t",
            Some(1.0),
            "execute",
            "UPDATE t",
        ),
        ("execute <unnamed>: SELECT 2", None, "execute", "SELECT 2"),
        ("statement: SHOW x;", None, "statement", "SHOW x;"),
        (
            "duration: 3.5 ms  plan:\nQuery Text: x",
            Some(3.5),
            "plan",
            "Query Text: x",
        ),
        ("parse error in file", None, "", "parse error in file"),
    ] {
        let logged = logged(message);
        assert_eq!(
            (logged.duration, logged.step, logged.text),
            (duration, step, text)
        );
    }
    assert_eq!(request_in_comment("SELECT request_id FROM t"), None);
    assert_eq!(
        request_in_comment("SELECT 1 /*app:x,request_id:ab-1,line:3*/"),
        Some("ab-1")
    );
}

#[test]
fn logplex_lines_of_one_number_are_one_record() {
    let lines = [
        "2019-03-14T00:23:00+00:00 app[postgres.4849]: [GREEN] [19-1]  sql_error_code = 40P01 ERROR:  deadlock detected",
        "2019-03-14T00:23:00+00:00 app[postgres.4849]: [GREEN] [19-2]  sql_error_code = 40P01 DETAIL:  Process 1",
        "2019-03-14T00:23:00+00:00 app[postgres.4849]: [GREEN] [19-3] \tProcess 2",
    ];
    assert_eq!(Postgresql.opens(lines[0]), Opens::Parsed);
    assert_eq!(Postgresql.joins(lines[0], lines[2]), Joins::Yes);
    let text = lines.join("\n");
    let parsed = parse(&text);
    assert_eq!(
        (parsed.level, parsed.message.as_ref()),
        (Level::Error, "deadlock detected")
    );
    assert_eq!(
        meta(&parsed),
        "pid=4849 color=GREEN state_code=40P01 detail=Process 1\nProcess 2"
    );
}

#[test]
fn one_blank_is_enough_where_the_prefix_says_the_rest() {
    let parsed = parse("2024-05-01 10:00:00 UTC [12] ana@shop ERROR: m");
    assert_eq!(
        (parsed.level, parsed.message.as_ref(), parsed.zoned),
        (Level::Error, "m", true)
    );
    let parsed = parse("2024-05-01 10:00:00 UTC [12] LOG:");
    assert_eq!((parsed.level, parsed.message.as_ref()), (Level::Info, ""));
}

#[test]
fn words_of_translations_are_read() {
    for (text, level, part) in [
        (
            "2024-05-01 10:00:00 CEST [7] FEHLER:  m\n2024-05-01 10:00:00 CEST [7] ANWEISUNG:  SELECT",
            Level::Error,
            "statement",
        ),
        (
            "2024-05-01 10:00:00 CEST [7] ERREUR:  m\n2024-05-01 10:00:00 CEST [7] DÉTAIL:  x",
            Level::Error,
            "detail",
        ),
        (
            "2024-05-01 10:00:00 MSK [7] ВАЖНО:  m\n2024-05-01 10:00:00 MSK [7] ПОДСКАЗКА:  x",
            Level::Critical,
            "hint",
        ),
    ] {
        let parsed = parse(text);
        assert_eq!(parsed.level, level, "{text}");
        assert!(
            meta(&parsed).contains(&format!("{part}=")),
            "{text}: {}",
            meta(&parsed)
        );
    }
}

#[test]
fn a_part_without_its_record_is_kept() {
    let parsed = parse("2024-05-01 10:00:00 UTC [7] DETAIL:  parameters: $1 = '7'");
    assert_eq!(
        (parsed.level, parsed.message.as_ref()),
        (Level::Info, "parameters: $1 = '7'")
    );
    assert_eq!(meta(&parsed), "pid=7 severity=DETAIL");
}
