#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use atalaya_domain::chunk::{Bucket, ChunkKey};
use atalaya_domain::record::OriginId;

const CLOCK: QueryClock = QueryClock {
    now: Timestamp::from_seconds(1_795_350_896),
    zone: Zone::Utc,
};

fn query(text: &str) -> Query {
    Query::parse(text, &CLOCK).unwrap_or_else(|wrong| panic!("{}", wrong.render(text)))
}

fn origin() -> Origin {
    Origin {
        id: OriginId::from_u128(7),
        layer: Layer::Infrastructure,
        source: "nginx/access".into(),
        host: "web1".into(),
    }
}

fn record() -> Record {
    Record {
        origin: Arc::new(origin()),
        entry: Entry {
            timestamp: CLOCK.now.saturating_sub(std::time::Duration::from_mins(10)),
            position: 0x2a,
            level: Level::Error,
            logger: Some("shop.Checkout".into()),
            message: "GET /api/users HTTP/1.1: upstream timed out".into(),
            request_id: Some(RequestId::new("req-42")),
            user_id: Some("42".into()),
            session_id: None,
            duration_ms: Some(1500.0),
            traceback: Some("Traceback (most recent call last):\n  ValueError: größe".into()),
            metadata: vec![
                ("status".into(), "502".into()),
                ("http.path".into(), "/api, v2/users".into()),
            ],
        },
    }
}

fn summary(levels: &[Level]) -> ChunkSummary {
    let mut counts = LevelCounts::default();
    for level in levels {
        counts.add(*level);
    }
    let at = record().entry.timestamp;
    ChunkSummary {
        key: ChunkKey {
            bucket: Bucket {
                layer: Layer::Infrastructure,
                start: at,
            },
            first_at: at,
            id: Uuid::nil(),
        },
        last_at: at,
        origin: Arc::new(origin()),
        levels: counts,
        minutes: Vec::new(),
    }
}

#[test]
fn records_match() {
    for text in [
        "",
        "*",
        "TIMED",
        "timed out",
        "\"timed out\"",
        "/api/users",
        "/tim.*OUT/i",
        "/upstream timed/",
        "level:error",
        "level>=warning",
        "level!=info",
        "level:warn|err",
        "lvl>warn",
        "source:nginx/*",
        "src:syslog,NGINX/ACCESS",
        "request_id:req-42",
        "rid:req-*",
        "req-42",
        "user:42",
        "host:web*",
        "layer:infra",
        "logger:shop.*",
        "duration>1s",
        "duration<=1500",
        "duration:1.5s",
        "duration>=1s500ms",
        "meta.status:502",
        "m.status>=500",
        "meta.STATUS<503",
        "meta.\"http.path\":\"/api, v2/users\"",
        "meta.http.path:/api*",
        "\"v2/users\"",
        "message:upstream*out",
        "msg:\"timed out\"",
        "traceback:GRÖSSE or traceback:GRÖßE",
        "GRÖßE",
        "has:traceback",
        "has:session,request_id has:meta.status has:duration",
        "-has:session",
        "not debug -noise",
        "-session:s1",
        "since:15m",
        "until:now since:11m",
        "-since:5m",
        "id:00000000000000000000000000000007-2a",
        "nothing or (level:error and (timed or x))",
        "a::b or http://x or timed",
        "12:30 or timed",
    ] {
        assert!(query(text).matches(&record()), "{text} → {}", query(text));
    }
}

#[test]
fn records_do_not_match() {
    for text in [
        "-*",
        "absent",
        "\"out timed\"",
        "/TIMED/",
        "level:info",
        "level<error",
        "level>critical",
        "source:nginx",
        "source:syslog",
        "request_id:REQ-42",
        "user:4",
        "session:s1",
        "layer:app",
        "duration>1500ms",
        "meta.status>502",
        "meta.http.path>1",
        "meta.absent:x",
        "meta.absent>0",
        "message:req-42",
        "since:5m",
        "until:15m",
        "at:15m",
        "has:session",
        "-timed",
        "-(level:error source:nginx/*)",
        "timed level:info",
        "web1",
        "id:00000000000000000000000000000007-2b",
    ] {
        assert!(!query(text).matches(&record()), "{text} → {}", query(text));
    }
}

#[test]
fn a_query_prints_canonically() {
    for (text, printed) in [
        ("", ""),
        ("*", ""),
        ("a   b", "a b"),
        ("a AND b", "a b"),
        ("a or b c", "a or b c"),
        ("(a or b) c", "(a or b) c"),
        ("((a))", "a"),
        ("not not a", "a"),
        ("not (a b)", "-(a b)"),
        ("NOT a", "-a"),
        ("a or *", "a or *"),
        ("\"or\" \"-x\" \"a b\"", "\"or\" \"-x\" \"a b\""),
        ("\"word\"", "word"),
        ("level>warn", "level>=error"),
        ("level:error,critical", "level>=error"),
        ("level:debug,error", "level:debug,error"),
        ("level<=info", "level<=info"),
        ("status_code", "status_code"),
        ("lvl:err src:\"nginx\"*", "level:error source:nginx*"),
        ("source!=a", "-source:a"),
        ("m.a:**x**", "meta.a:*x*"),
        ("source:\"a*b\"", "source:\"a*b\""),
        ("source:\"\"", "source:\"\""),
        ("meta.\"odd name\":1", "meta.\"odd name\":1"),
        (
            "since:15m until:\"2026-11-21 12:30\"",
            "since:15m until:\"2026-11-21 12:30\"",
        ),
        ("rid:A,b-*", "request_id:A,b-*"),
        ("duration:>=1s", "duration>=1s"),
        ("/a b\\/c/i", "/a b\\/c/i"),
        ("/api/users", "\"/api/users\""),
        ("\"a\\\"b\\\\c\\nd\"", "\"a\\\"b\\\\c\\nd\""),
        ("main() x", "\"main()\" x"),
        ("(main() or y)", "\"main()\" or y"),
        ("http://x/y", "\"http://x/y\""),
    ] {
        let parsed = query(text);
        assert_eq!(parsed.to_string(), printed, "{text}");
        assert_eq!(query(printed), parsed, "{text}");
    }
}

#[test]
fn errors_say_where_and_what() {
    for (text, at, message, expected) in [
        (
            "levle:error",
            "levle",
            "unknown field `levle`",
            "did you mean `level`?",
        ),
        (
            "status:500",
            "status",
            "unknown field `status`",
            "`meta.status`",
        ),
        (
            "level:loud",
            "loud",
            "`loud` does not fit here",
            "debug, info, warning",
        ),
        (
            "a level:",
            ":",
            "no value for `level`",
            "\"\" for an empty one",
        ),
        (
            "source>a",
            ">",
            "`source` cannot be compared with `>`",
            "`source:`",
        ),
        (
            "since:soon",
            "soon",
            "`soon` does not fit here",
            "15m, 2h, 3d",
        ),
        ("since:1h,2h", "2h", "more than one value", "one value"),
        ("duration>fast", "fast", "`fast` does not fit here", "250ms"),
        ("meta.status>x", "x", "`x` does not fit here", "a number"),
        ("(a b", "(", "this `(` is not closed", "`)`"),
        ("a)", ")", "`)` without a `(`", "a term"),
        ("a or", "or", "nothing after `or`", "a term after"),
        ("or a", "or", "nothing before `or`", "quotes"),
        ("a and", "and", "`and` without", "before and after"),
        ("a - b", "-", "nothing after `-`", "quotes"),
        ("\"open", "\"open", "this quote is not closed", "closing"),
        ("\"\"", "\"\"", "an empty phrase", "text between"),
        ("\"a\"b", "b", "text right after a closing quote", "space"),
        (
            "x /a(b/",
            "(",
            "not a regular expression: unclosed group",
            "quotes",
        ),
        (
            "/a.*",
            "/a.*",
            "this regular expression is not closed",
            "`/`",
        ),
        ("()", ")", "nothing to look for", "a term"),
        ("id:zz", "zz", "`zz` does not fit here", "record id"),
        (
            "has:level",
            "level",
            "`level` does not fit here",
            "traceback",
        ),
        ("layer:x", "x", "`x` does not fit here", "app or infra"),
        ("meta.:1", "meta.", "no name behind `meta.`", "meta.status"),
    ] {
        let wrong = Query::parse(text, &CLOCK).unwrap_err();
        assert_eq!(
            &text[wrong.offset..wrong.offset + wrong.length],
            at,
            "{text}: {wrong:?}"
        );
        assert!(wrong.message.contains(message), "{text}: {wrong:?}");
        assert!(wrong.expected.contains(expected), "{text}: {wrong:?}");
    }
}

#[test]
fn an_error_is_drawn_below_the_text() {
    let text = "größe\tlevle:error";
    let wrong = Query::parse(text, &CLOCK).unwrap_err();
    let drawn = wrong.render(text);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[0], "unknown field `levle`");
    assert_eq!(lines[1], "  größe levle:error");
    assert_eq!(lines[2], "        ^^^^^");
    assert!(lines[3].starts_with("expected did you mean `level`?"));
}

#[test]
fn hostile_sizes_are_refused() {
    let deep = "(".repeat(4_000) + "a";
    assert!(
        Query::parse(&deep, &CLOCK)
            .unwrap_err()
            .message
            .contains("parentheses")
    );
    let nested = format!("{}a{}", "-(b or ".repeat(30), ")".repeat(30));
    assert!(query(&nested).matches(&record()) || !query(&nested).matches(&record()));
    assert!(
        Query::parse(&"a ".repeat(1_000), &CLOCK)
            .unwrap_err()
            .message
            .contains("too many terms")
    );
    assert!(
        Query::parse(&"a".repeat(10_000), &CLOCK)
            .unwrap_err()
            .message
            .contains("bytes long")
    );
    assert!(
        Query::parse("/(a{1000}){1000}/", &CLOCK)
            .unwrap_err()
            .message
            .contains("too large")
    );
    assert!(
        Query::parse(
            &format!("/{}a{}/", "(".repeat(500), ")".repeat(500)),
            &CLOCK
        )
        .is_err()
    );
    assert_eq!(query(&("-".repeat(4_000) + "a")), query("a"));
}

/// Whether the counts of a summary say all, for each of its levels.
fn surely_matches(query: &Query, chunk: &ChunkSummary) -> bool {
    query.matching_levels(chunk).is_some_and(|matching| {
        Level::ALL
            .iter()
            .all(|level| chunk.levels.of(*level) == 0 || matching[level.index()])
    })
}

#[test]
fn summaries_prune() {
    let chunk = summary(&[Level::Error, Level::Info]);
    for (text, may, surely) in [
        ("", true, true),
        ("level:debug", false, false),
        ("level:error", true, false),
        ("level:error,info", true, true),
        ("-level:debug", true, true),
        ("source:nginx/*", true, true),
        ("source:syslog", false, false),
        ("layer:app", false, false),
        ("-layer:app", true, true),
        ("timeout", true, false),
        ("-timeout", true, false),
        ("timeout or layer:infra", true, true),
        ("timeout level:debug", false, false),
        ("since:15m", true, true),
        ("since:5m", false, true),
        ("-since:5m", true, true),
        ("id:00000000000000000000000000000007-2a", true, false),
        ("id:00000000000000000000000000000008-2a", false, false),
        ("host:other", true, false),
    ] {
        assert_eq!(query(text).may_match(&chunk), may, "{text}");
        assert_eq!(surely_matches(&query(text), &chunk), surely, "{text}");
    }
    assert_eq!(
        query("level>=error since:5m").matching_levels(&chunk),
        Some([false, false, false, true, false])
    );
    assert_eq!(query("level>=error x").matching_levels(&chunk), None);
    assert_eq!(
        query("level:debug x").matching_levels(&chunk),
        Some([false; 5])
    );
    for (text, levels) in [
        ("timeout", [true; 5]),
        (
            "level>=error since:5m -x",
            [false, false, false, true, true],
        ),
        ("level:info or x", [true; 5]),
        (
            "level:info or level:debug x",
            [true, true, false, false, false],
        ),
        ("-level:info source:a", [true, false, true, true, true]),
        ("level:info level:debug", [false; 5]),
    ] {
        assert_eq!(query(text).levels(), levels, "{text}");
    }
}

#[test]
fn a_query_says_what_it_needs() {
    assert_eq!(
        query("request_id:a level:error").request_id(),
        Some(&RequestId::new("a"))
    );
    for text in [
        "request_id:a*",
        "request_id:a,b",
        "-request_id:a",
        "request_id:a or b",
    ] {
        assert_eq!(query(text).request_id(), None, "{text}");
    }
    assert_eq!(query("layer:app").layers(), [Layer::Application]);
    assert_eq!(query("-layer:app x").layers(), [Layer::Infrastructure]);
    assert_eq!(query("layer:app or x").layers(), Layer::ALL);
    assert!(query("layer:app layer:infra").layers().is_empty());

    let now = CLOCK.now;
    let hour = std::time::Duration::from_hours(1);
    assert_eq!(
        query("since:2h until:1h").range(),
        TimeRange::new(now.saturating_sub(2 * hour), now.saturating_sub(hour))
    );
    assert_eq!(
        query("since:2h or since:1h").range().from,
        now.saturating_sub(2 * hour)
    );
    assert_eq!(query("since:2h or x").range(), TimeRange::ALL);
    assert_eq!(query("-since:2h").range(), TimeRange::ALL);

    assert_eq!(
        query("Timeout -x message:\"Big*\"*end rid:Req-1 /a+(bcd)/ größe host:web1 source:x")
            .required_literals(),
        ["timeout", "big*", "req-1", "bcd"]
    );
    assert!(query("a or b").required_literals().is_empty());
    assert_eq!(
        query("level:error rid:x timeout").explain().to_string(),
        "index of ids: request_id:x; pruned by summary: level:error; needs reading: timeout"
    );
    assert_eq!(query("a -b (c or d)").highlights(), ["a", "c", "d"]);
}

#[test]
fn a_relative_time_stays_relative() {
    let later = QueryClock {
        now: CLOCK.now.saturating_add(std::time::Duration::from_mins(1)),
        ..CLOCK
    };
    let (now, then) = (
        query("since:15m"),
        Query::parse("since:15m", &later).unwrap(),
    );
    assert_eq!(now, then);
    assert_ne!(now.range(), then.range());
}

#[test]
fn until_a_clock_time_is_the_first_after_since() {
    // The clock stands at 12:34:56.
    let span = |text: &str| query(text).range().length().as_secs();
    assert_eq!(span("since:12:30 until:12:40"), 600);
    assert_eq!(span("since:23:00 until:01:00"), 7_200);
    assert_eq!(span("until:11:30 since:11:00"), 1_800);
}

/// Texts made of what the language is made of, so that many of them parse.
fn query_text() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[a-zA-Z0-9_./:@\\\\<>=-]{1,8}",
        "\"[a-z*,()\\\\\\\\ é\\n]{0,6}\"",
        "[a-z]{0,3}\\*[a-z]{1,3}",
        Just("*".to_owned()),
        Just("\"a\"*\"b c\"".to_owned()),
    ];
    let field = prop_oneof![
        "(source|src|host|logger|user|session|message|traceback|rid|meta\\.[a-z.-]{1,4}|meta\\.\"a b\")(:|=|!=)",
    ];
    let term = prop_oneof![
        (field, prop::collection::vec(value.clone(), 1..3))
            .prop_map(|(name, values)| name + &values.join(",")),
        "(level|lvl)(:|>|>=|<|<=|!=)(debug|info|warn|error|fatal)",
        "duration(>|<=|:)[0-9]{1,3}(ms|s|m|)",
        "meta\\.x(>|<|>=|<=)-?[0-9]{1,3}(\\.5)?",
        "(since|until|at):([0-9]{1,2}[mhd]|1[0-9]:[0-5][0-9]|2026-11-[12][0-9]|today|\"2026-11-21 10:00\")",
        "has:(traceback|user|meta\\.x|meta),duration",
        "layer:(app|infra|app,infra)",
        "/[a-z.*+ ()\\[\\]\\\\/]{1,6}/i?",
        value,
        "[a-zA-Z0-9(),.*:/-]{1,8}",
        "\\PC{1,4}",
    ];
    let leaf = ("(-|not |--|)", term).prop_map(|(sign, term)| sign + &term);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|terms| terms.join(" ")),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|terms| terms.join(" or ")),
            inner.clone().prop_map(|term| format!("({term})")),
            inner.prop_map(|term| format!("-({term})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn printing_parses_back(text in query_text()) {
        if let Ok(parsed) = Query::parse(&text, &CLOCK) {
            let printed = parsed.to_string();
            let again = Query::parse(&printed, &CLOCK);
            prop_assert_eq!(again.as_ref(), Ok(&parsed), "printed as {}", printed);
            prop_assert_eq!(again.unwrap().to_string(), printed);
            let _ = parsed.matches(&record());
            // What surely matches does match, and what cannot match does not.
            let chunk = summary(&[Level::Error]);
            let matches = parsed.matches(&record());
            prop_assert!(parsed.may_match(&chunk) || !matches);
            let within = parsed.range().contains(record().entry.timestamp);
            prop_assert!(within || !matches);
            prop_assert!(!surely_matches(&parsed, &chunk) || !within || matches);
            prop_assert!(parsed.layers().contains(&Layer::Infrastructure) || !matches);
        }
    }

    #[test]
    fn what_is_required_is_there(text in query_text()) {
        if let Ok(parsed) = Query::parse(&text, &CLOCK) && parsed.matches(&record()) {
            let entry = record().entry;
            let mut all = vec![entry.message.to_string(), entry.logger.unwrap().to_string(), "req-42".into(), "42".into()];
            all.push(entry.traceback.unwrap().to_string());
            all.extend(entry.metadata.iter().map(|(_, value)| value.to_string()));
            for literal in parsed.required_literals() {
                prop_assert!(all.iter().any(|text| text.to_ascii_lowercase().contains(&literal)), "{literal}");
            }
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}|[-()\"/*:,<>=a-f \\\\\n]{0,40}", cursor in 0_usize..50) {
        if let Err(wrong) = Query::parse(&text, &CLOCK) {
            let _ = wrong.render(&text);
            prop_assert!(wrong.length > 0);
        }
        let _ = complete(&text, cursor);
    }

    #[test]
    fn a_literal_value_finds_itself(value in "\\PC{0,12}|[-()\"/*:,<>=a \\\\\n\t]{0,12}") {
        let mut record = record();
        record.entry.metadata = vec![("x".into(), value.as_str().into())];
        record.entry.request_id = Some(RequestId::new(value.as_str()));
        let by_meta = query(&term_text("meta.x", &value));
        prop_assert!(by_meta.matches(&record), "{}", by_meta);
        let by_id = query(&term_text("request_id", &value));
        prop_assert_eq!(by_id.request_id(), record.entry.request_id.as_ref());
    }
}
