#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

#[test]
fn names_of_request_ids() {
    for (text, id) in [
        ("charge failed request_id=r-1", Some("r-1")),
        ("charge failed req_id=r-1, retry", Some("r-1")),
        ("[requestId: r-1] charge failed", Some("r-1")),
        ("[req-id: r-1] charge failed", Some("r-1")),
        ("X-Request-Id: r-1; user=7", Some("r-1")),
        ("reqid:r-1", Some("r-1")),
        ("rid=r-1 done", Some("r-1")),
        ("rid: r-1 done", None),
        ("correlationId = 'r 1'", Some("r 1")),
        ("(trace.id=\"r-1\")", Some("r-1")),
        ("x-b3-traceid: 80f198ee56343ba8", Some("80f198ee56343ba8")),
        ("dd.trace_id=73 dd.span_id=9", Some("73")),
        (
            "traceparent=00-5af7651916cd43dd8448eb211c803111-b7ad6b7169203331-01",
            Some("5af7651916cd43dd8448eb211c803111"),
        ),
        (
            "X-Amzn-Trace-Id: Root=1-67891233-abcdef;Parent=53",
            Some("1-67891233-abcdef"),
        ),
        (
            "START RequestId: 0879de55-0817-4d5c Version: $LATEST",
            Some("0879de55-0817-4d5c"),
        ),
        (
            "request{method=GET request_id=r-7}:db: query ran",
            Some("r-7"),
        ),
        ("span{request_id=r-7}: x", Some("r-7")),
        ("request_id=r-7: x", Some("r-7")),
        ("failed for request_id=r-7.", Some("r-7")),
        ("{\"request_id\": \"r-8\", \"n\": 1}", Some("r-8")),
        ("payload {\\\"requestId\\\":\\\"r-9\\\"}", Some("r-9")),
        ("{'request_id': 'r-8'}", Some("r-8")),
        ("GET /x?request_id=5&page=2", Some("5")),
        ("request_id=<nil>", None),
        ("request_id=- user", None),
        ("request_id=null", None),
        ("request_id: None", None),
        ("request_id=, x", None),
        ("request_id=", None),
        ("request_id={requestId}", None),
        ("parent_request_id=5", None),
        ("request id 4711", None),
        ("trace_id=00000000000000000000000000000000", None),
        ("paid: 5 void=1 invalid: x", None),
        ("span_id=5", None),
        (
            "2016-01-01  INFO [orders,4bf92f3577b34da6,00f067aa0ba902b7,true] 1 --- taken",
            Some("4bf92f3577b34da6"),
        ),
        ("2016-01-01  INFO [orders,,,] 1 --- taken", None),
        (
            "INFO [4bf92f3577b34da64bf92f3577b34da6-00f067aa0ba902b7] taken",
            Some("4bf92f3577b34da64bf92f3577b34da6"),
        ),
        ("", None),
        ("=", None),
        (":", None),
    ] {
        assert_eq!(in_text(text).request_id, id, "{text}");
    }
}

#[test]
fn the_kind_of_an_id_counts_before_its_place() {
    let found = in_text("trace_id=t correlation_id=c request_id=r x-request-id=r2");
    assert_eq!(found.request_id, Some("r"));
    assert_eq!(
        found.others,
        [
            ("trace_id", "t"),
            ("correlation_id", "c"),
            ("x-request-id", "r2")
        ]
    );
    assert_eq!(in_text("traceId=t rid=r").request_id, Some("r"));
    let found = in_text("trace_id=t traceId=u");
    assert_eq!(
        (found.request_id, found.others),
        (Some("t"), vec![("traceId", "u")])
    );
    assert_eq!(in_text("request_id=r requestId=r").others, []);
}

#[test]
fn users_and_sessions() {
    let found = in_text("login userId=42, session_id: 'ab c' sid=9");
    assert_eq!(
        (found.user_id, found.session_id),
        (Some("42"), Some("ab c"))
    );
    assert_eq!(found.others, [("sid", "9")]);
    for text in [
        "user-id=42",
        "user_id: 42",
        "enduser.id=42",
        "user.id=\"42\"",
    ] {
        assert_eq!(in_text(text).user_id, Some("42"), "{text}");
    }
    for text in ["uid=42", "user=ana", "sid: 4", "userid 42"] {
        let found = in_text(text);
        assert!(found.is_empty(), "{text}");
    }
    assert_eq!(in_text("JSESSIONID=A1; Path=/").session_id, Some("A1"));
}

#[test]
fn durations() {
    for (text, milliseconds) in [
        ("query took 12 ms", Some(12.0)),
        ("query took 1.2s for 5 rows", Some(1200.0)),
        ("Took 3 seconds.", Some(3000.0)),
        ("took=12ms", Some(12.0)),
        ("duration=1.2s rows=5", Some(1200.0)),
        ("duration: 12.5 ms", Some(12.5)),
        ("duration_ms=12", Some(12.0)),
        ("took_ms: 12, rows 4", Some(12.0)),
        ("latency_ms=1.5", Some(1.5)),
        ("elapsed: 00:00:01.2", Some(1200.0)),
        ("elapsed=300ms", Some(300.0)),
        ("elapsed=1m30s", Some(90_000.0)),
        ("elapsed=250µs", Some(0.25)),
        ("done in 12 ms", Some(12.0)),
        ("done in 12ms.", Some(12.0)),
        ("built (in 1.5s)", Some(1500.0)),
        ("SELECT 1 (12.3ms)", Some(12.3)),
        (
            "Completed 200 OK in 12ms (Views: 8.6ms | ActiveRecord: 1.0ms)",
            Some(12.0),
        ),
        ("duration=12", None),
        ("duration_ms=fast", None),
        ("took a walk in 12 ms or so", None),
        ("retry in 12 days", None),
        ("Retrying connection in 5s", None),
        ("token expires in 30 minutes", None),
        ("next run in 10s", None),
        (
            "REPORT RequestId: 1f Duration: 12.34 ms Billed Duration: 13 ms",
            Some(12.34),
        ),
        ("it took us in", None),
        ("mistook 12 ms", None),
        ("waiting up to 30s", None),
        ("items", None),
    ] {
        let found = in_text(text).duration_ms;
        let near = |ours: f64, want: f64| (ours - want).abs() < 1e-6;
        assert!(
            near(found.unwrap_or(-1.0), milliseconds.unwrap_or(-1.0)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn bounds() {
    let far = format!("{} request_id=r", "x".repeat(MOST_BYTES));
    assert_eq!(in_text(&far).request_id, None);
    let many = format!("{} request_id=r", "paid: ".repeat(MOST_CANDIDATES));
    assert_eq!(in_text(&many).request_id, None);
    assert_eq!(
        in_text(&format!("request_id={}", "x".repeat(500))).request_id,
        None
    );
    assert!(in_text(&"é".repeat(MOST_BYTES)).is_empty());
}

#[test]
fn configured_names() {
    assert!(matches!(
        configure(&["é".into()], &[], &[]),
        Err(NamesError::NoName { .. })
    ));
    configure(
        &["zz_job_key".into()],
        &["zz_who".into()],
        &["zz_tab7".into()],
    )
    .unwrap();
    let found = in_text("zz_job_key=j1 zz_who: ana zz-tab7=x trace_id=t");
    assert_eq!(
        (found.request_id, found.user_id, found.session_id),
        (Some("j1"), Some("ana"), Some("x"))
    );
    assert_eq!(in_text("zz_job_key=j1 request_id=r").request_id, Some("r"));
    assert_eq!(configure(&[], &[], &[]), Err(NamesError::SetTwice));
}

fn is_within(text: &str, part: &str) -> bool {
    text.as_bytes().as_ptr_range().contains(&part.as_ptr()) && text.contains(part)
}

proptest! {
    #[test]
    fn never_panics_and_cuts_from_the_text(
        noise in ".{0,80}",
        pairs in prop::collection::vec(
            ("(request_id|traceparent|x-amzn-trace-id|user.id|sid|took|elapsed|duration_ms)?", "[=:] ?", ".{0,12}"),
            0..6,
        ),
    ) {
        let mut text = noise;
        for (name, separator, value) in &pairs {
            text.push_str(name);
            text.push_str(separator);
            text.push_str(value);
        }
        let found = in_text(&text);
        let ids = [found.request_id, found.user_id, found.session_id].into_iter().flatten();
        let others = found.others.iter().flat_map(|&(name, value)| [name, value]);
        for part in ids.chain(others) {
            prop_assert!(is_within(&text, part), "{part:?} of {text:?}");
        }
        prop_assert!(found.duration_ms.is_none_or(|duration| duration >= 0.0 && duration.is_finite()));
    }
}
