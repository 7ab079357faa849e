//! Where a stamp counts as the record's.

use proptest::prelude::*;

use super::super::find;
use super::{at, berlin, utc};

#[test]
fn the_records_stamp_is_found() {
    // What stands before it, the stamp, what stands behind it: joined they are the line.
    let rows: &[(&str, &str, &str, &str)] = &[
        (
            "",
            "2024-05-01 08:00:00,123",
            " ERROR [main] c.d.Pay - lost",
            "2024-05-01T08:00:00.123Z",
        ),
        (
            "  ",
            "2024-05-01 08:00:00",
            " indented",
            "2024-05-01T08:00:00Z",
        ),
        (
            "[",
            "2024-05-01T08:00:00,123",
            "][INFO ][o.e.n] up",
            "2024-05-01T08:00:00.123Z",
        ),
        (
            "ERROR ",
            "2024-05-01 08:00:00,123",
            " Pay.py:7 - lost",
            "2024-05-01T08:00:00.123Z",
        ),
        (
            "INFO  [main] ",
            "2024-05-01 08:00:00,123",
            " Daemon.java:7 - up",
            "2024-05-01T08:00:00.123Z",
        ),
        (
            "[INFO] [worker pool 7] ",
            "2024-05-01 08:00:00",
            " up",
            "2024-05-01T08:00:00Z",
        ),
        (
            "534:M ",
            "28 Apr 2024 11:30:29.988",
            " * loaded",
            "2024-04-28T11:30:29.988Z",
        ),
        (
            "I, [",
            "2024-05-01T08:00:00.123456",
            " #77]  INFO -- : up",
            "2024-05-01T08:00:00.123456Z",
        ),
        (
            "INFO:root:",
            "2024-05-01 08:00:00,123",
            ":up",
            "2024-05-01T08:00:00.123Z",
        ),
        (
            "app.log:12:",
            "2024-05-01 08:00:00",
            " up",
            "2024-05-01T08:00:00Z",
        ),
        (
            "time=\"",
            "2024-05-01T08:00:00Z",
            "\" level=info",
            "2024-05-01T08:00:00Z",
        ),
        ("ts=", "1714550400.123", " level=info", ""),
        (
            "{\"time\":\"",
            "2024-05-01T08:00:00Z",
            "\",\"msg\":\"cut off",
            "2024-05-01T08:00:00Z",
        ),
        (
            "=INFO REPORT==== ",
            "1-May-2024::08:00:00",
            " ===",
            "2024-05-01T08:00:00Z",
        ),
        (
            "####<",
            "May 1, 2024 8:00:00,123 AM CEST",
            "> <Notice>",
            "2024-05-01T06:00:00.123Z",
        ),
        (
            "[",
            "5/13/24 8:00:00:123 CEST",
            "] 0000001a Servlet I up",
            "2024-05-13T06:00:00.123Z",
        ),
        (
            "L ",
            "05/13/2024 - 08:00:00",
            ": \"Ann\" joined",
            "2024-05-13T08:00:00Z",
        ),
        (
            "<13>",
            "May  1 08:00:00",
            " web1 app: up",
            "2026-05-01T08:00:00Z",
        ),
        (
            "I",
            "20240501 08:00:00.123456",
            "  77 flush.cc:8] up",
            "2024-05-01T08:00:00.123456Z",
        ),
        (
            "[4711:4711:",
            "0501/080000.123456",
            ":ERROR:gpu.cc(12)] lost",
            "2026-05-01T08:00:00.123456Z",
        ),
        (
            "[",
            "0501/080000.123",
            ":ERROR:crash.cc(12)] lost",
            "2026-05-01T08:00:00.123Z",
        ),
        (
            "--",
            "2024-05-01 08:00:00",
            "--  https://shop.example/",
            "2024-05-01T08:00:00Z",
        ),
        (
            "INFO[",
            "2024-05-01T08:00:00+02:00",
            "] up",
            "2024-05-01T06:00:00Z",
        ),
        (
            "type=SYSCALL msg=audit(",
            "1714550400.123",
            ":456): arch=x",
            "2024-05-01T08:00:00.123Z",
        ),
        (
            "[",
            "1714550400",
            "] SERVICE ALERT: x",
            "2024-05-01T08:00:00Z",
        ),
        (
            "(",
            "1714550400.123456",
            ")  can0  044#2a",
            "2024-05-01T08:00:00.123456Z",
        ),
        (
            "",
            "1714550400.123",
            "    54 192.0.2.7 TCP_MISS/200",
            "2024-05-01T08:00:00.123Z",
        ),
        (
            "",
            "@400000006632000a00000000",
            " up",
            "2024-05-01T08:40:32Z",
        ),
        (
            "https ",
            "2024-05-01T08:00:00.5Z",
            " app/lb/3 192.0.2.7:4",
            "2024-05-01T08:00:00.5Z",
        ),
        (
            "192.0.2.7 - ann [",
            "01/May/2024:08:00:00 +0000",
            "] \"GET / HTTP/1.1\"",
            "2024-05-01T08:00:00Z",
        ),
        (
            "web-7f9c nginx ",
            "2024-05-01T08:00:00Z",
            " up",
            "2024-05-01T08:00:00Z",
        ),
        (
            "web-1  | ",
            "2024-05-01 08:00:00",
            " up",
            "2024-05-01T08:00:00Z",
        ),
        (
            "host1;app;",
            "2024-05-01 08:00:00",
            ";up",
            "2024-05-01T08:00:00Z",
        ),
        (
            "sshd[77]: ",
            "2024-05-01 08:00:00",
            " up",
            "2024-05-01T08:00:00Z",
        ),
        (
            "date=",
            "2024-05-01 time=08:00:00",
            " devname=\"fw1\"",
            "2024-05-01T08:00:00Z",
        ),
        (
            "level=info ts=",
            "2024-05-01T08:00:00Z",
            " caller=x",
            "2024-05-01T08:00:00Z",
        ),
        (
            "Übung ",
            "1. März 2024 08:00:00",
            " läuft",
            "2024-03-01T08:00:00Z",
        ),
        (
            "",
            "Nov 20, 2024 10:00:00\u{202f}AM",
            " com.x.App main",
            "2024-11-20T10:00:00Z",
        ),
    ];
    let mut wrong = Vec::new();
    for &(before, stamp, rest, instant) in rows {
        let text = format!("{before}{stamp}{rest}");
        let found = find(&text, &utc());
        let want = (!instant.is_empty()).then(|| (before, at(instant), rest, false));
        if found.map(|found| (found.before, found.instant.at, found.rest, found.time_only)) != want
        {
            wrong.push(format!("{text}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_time_of_day_counts_where_a_record_begins() {
    for (text, before, rest) in [
        ("02:20:00.428 - INFO: up", "", " - INFO: up"),
        ("[02:20:00 INF] up", "[", " INF] up"),
        (
            "[02:20:00] [Server thread/INFO]: up",
            "[",
            "] [Server thread/INFO]: up",
        ),
        ("02:20:00,123 INFO  [org.x] up", "", " INFO  [org.x] up"),
        ("INFO 02:20:00 up", "INFO ", " up"),
        ("[WARN] 02:20:00 up", "[WARN] ", " up"),
        ("DEBUG: [02:20:00] up", "DEBUG: [", "] up"),
        ("2:20:00 AM up", "", " up"),
        ("[2:20:00.5 am] up", "[", "] up"),
    ] {
        let found = find(text, &utc()).unwrap();
        assert_eq!(
            (found.before, found.rest, found.time_only),
            (before, rest, true),
            "{text}"
        );
        assert_eq!(
            found.instant.at.to_utc().format("%F %H:%M").to_string(),
            "2026-11-22 02:20",
            "{text}"
        );
        assert!(found.instant.day_missing);
    }
}

#[test]
fn the_time_of_something_else_is_no_stamp() {
    let far = format!("{} 2024-05-01 08:00:00 up", "x".repeat(120));
    for text in [
        "backup of 2024-05-01 10:00:00 finished",
        "the backup 2024-05-01 10:00:00 is the last",
        "Started GET \"/\" for 192.0.2.7 at 2024-05-01 08:00:00 +0000",
        "retry at 2024-05-01 08:00:00",
        "Next run is 2024-05-01 08:00:00",
        "a b-1 c-2 d-3 e-4 2024-05-01 08:00:00",
        "expires=2024-05-01T08:00:00Z id=7",
        "id=7 valid_until=\"2024-05-01T08:00:00Z\"",
        "Last-Modified: Wed, 01 May 2024 08:00:00 GMT",
        "Modify: 2024-05-01 08:00:00.000000000 +0200",
        "VALUES ('2024-05-01 08:00:00', 7)",
        "call load(7, '2024-05-01 08:00:00')",
        "date(2024-05-01 08:00:00)",
        "file-2024-05-01 08:00:00.log",
        "v2024-05-01 08:00:00",
        "x1714550400 up",
        "took 1714550400 ns",
        "id 1714550400123",
        "  ConclusionDelay = 1714550400.123;",
        "  1714550400 up",
        "123456789 up",
        "12345678901234567890 up",
        "1714550400-77 up",
        "[5551234567] is a phone",
        "  02:20:00 indented",
        "took 02:20:00 in all",
        "job-7 02:20:00 up",
        "02:20:00:1a:2b:3c up",
        "12:34:56:78:9a:bc up",
        "9:19:23 up",
        "GET /cart HTTP/1.1 200",
        "ConclusionDelay = 0.123456789012345;",
        "at com.x.App.main(App.java:7)",
        "May the road rise",
        "\n2024-05-01 08:00:00",
        "first\n2024-05-01 08:00:00",
        "2024-05-01",
        "E1 is a road",
        "",
        &far,
    ] {
        assert_eq!(find(text, &utc()), None, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_crashes_the_search(
        text in "[0-9A-Za-z:/., +TZ\\[\\](){}<>|=;\"'@ä\u{202f}\n-]{0,120}|[ -~]{0,10}2024-0[1-9]-01.08:00:00[ -~]{0,9}|.{0,60}",
    ) {
        if let Some(found) = find(&text, &berlin()) {
            prop_assert!(text.starts_with(found.before));
            prop_assert!(text.ends_with(found.rest));
            prop_assert!(found.before.len() < 100 && found.before.len() + found.rest.len() < text.len());
        }
    }

    #[test]
    fn no_damaged_stamp_crashes_the_search(
        stamp in proptest::sample::select(vec![
            "2024-05-01T08:00:00.123+02:00[Europe/Berlin] x", "7/16/2021 11:46:59 AM-0600 x", "@4000000037c219bf2ef02e94 x",
            "Nov 20, 2024 10:00:00\u{202f}AM x", "segunda-feira, 1 de março de 2024 08:00:00 x", "I0501 08:00:00.1 7 x",
            "Wed May 01 2024 08:00:00 GMT+0200 (Central European Summer Time) x", "[1:2:0501/080000.123:E] x",
            "2021-07-06-08.02.03.000004+060 x", "20240501080000123 x", "24/05/01 08:00:00 INFO x", "01-MAY-24 08.00.00 AM x",
            "2024-05-01 08:00:00 +0200 CEST m=+0.01", "audit(1714550400.123:456): x", "INFO 9:19:23 p. m. x",
        ]),
        at in 0_usize..60,
        put in "\\PC{0,2}",
        cut in 0_usize..3,
    ) {
        let mut letters: Vec<char> = stamp.chars().collect();
        let at = at.min(letters.len());
        letters.splice(at..(at + cut).min(letters.len()), put.chars());
        let text: String = letters.into_iter().collect();
        for hint in [utc(), berlin()] {
            if let Some(found) = find(&text, &hint) {
                prop_assert!(text.starts_with(found.before) && text.ends_with(found.rest));
            }
            if let Some(cut) = super::super::any(&text, &hint) {
                prop_assert!(text.ends_with(cut.rest));
            }
        }
    }
}
