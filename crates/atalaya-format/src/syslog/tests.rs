#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::SourceZone;
use super::*;
use atalaya_domain::record::Entry;
use atalaya_domain::time::Timestamp;

/// 2024-05-02T00:00:00Z.
const REFERENCE: Timestamp = Timestamp::from_seconds(1_714_608_000);

fn hint() -> TimeHint {
    TimeHint {
        reference: REFERENCE,
        zone: SourceZone::Utc,
    }
}

/// Reads a text with all formats.
fn decode(text: &str) -> Vec<Entry> {
    crate::testing::decoded(text, hint()).0
}

fn one(line: &str) -> Entry {
    let mut entries = decode(line);
    assert_eq!(entries.len(), 1, "{line}");
    entries.remove(0)
}

/// `time|host|program|pid|message`, with `-` for what is missing.
fn shown(line: &str) -> String {
    let entry = one(line);
    let time = if entry.metadata("time_source").is_some() {
        "-".into()
    } else {
        entry.timestamp.to_rfc3339()
    };
    format!(
        "{}|{}|{}|{}|{}",
        time.trim_start_matches("2024-")
            .trim_end_matches('Z')
            .trim_end_matches(".000000"),
        entry.metadata("host").unwrap_or("-"),
        entry.logger.as_deref().unwrap_or("-"),
        entry.metadata("pid").unwrap_or("-"),
        entry.message
    )
}

#[test]
fn lines_without_a_priority() {
    for (line, want) in [
        (
            "Apr  9 07:08:09 cart3 pay[12]: ok",
            "04-09T07:08:09|cart3|pay|12|ok",
        ),
        (
            "Apr 09 07:08:09.25 cart3 pay: ok",
            "04-09T07:08:09.250000|cart3|pay|-|ok",
        ),
        (
            "Apr  9 07:08:09 cart3 CRON(root)[12]: ok",
            "04-09T07:08:09|cart3|CRON(root)|12|ok",
        ),
        (
            "Apr  9 07:08:09 cart3 postfix/qmgr[12]: ok",
            "04-09T07:08:09|cart3|postfix/qmgr|12|ok",
        ),
        (
            "Apr  9 07:08:09 cart3 systemd[1]: Started x.",
            "04-09T07:08:09|cart3|systemd|1|Started x.",
        ),
        (
            "Apr  9 07:08:09 cart3 kernel: [  1.25] usb up",
            "04-09T07:08:09|cart3|kernel|-|[  1.25] usb up",
        ),
        (
            "Apr  9 07:08:09 a@relay/cart3 pay: ok",
            "04-09T07:08:09|a@relay/cart3|pay|-|ok",
        ),
        (
            "Apr  9 07:08:09 fe80::7 pay: ok",
            "04-09T07:08:09|fe80::7|pay|-|ok",
        ),
        (
            "Apr  9 07:08:09 mini Image Capture Tool[7]: ok",
            "04-09T07:08:09|mini|Image Capture Tool|7|ok",
        ),
        (
            "Apr  9 07:08:09 cart3 klogd 1.5.0#6: exiting",
            "04-09T07:08:09|cart3|klogd 1.5.0#6|-|exiting",
        ),
        ("Apr  9 07:08:09  pay[7]: ok", "04-09T07:08:09|-|pay|7|ok"),
        ("Apr  9 07:08:09 pay[7]: ok", "04-09T07:08:09|-|pay|7|ok"),
        (
            "Apr  9 07:08:09 cart3 last message repeated 3 times",
            "04-09T07:08:09|cart3|-|-|last message repeated 3 times",
        ),
        (
            "Apr  9 07:08:09 last message repeated 3 times",
            "04-09T07:08:09|-|-|-|last message repeated 3 times",
        ),
        (
            "Apr  9 07:08:09 cart3 -- MARK --",
            "04-09T07:08:09|cart3|-|-|-- MARK --",
        ),
        (
            "Apr  9 07:08:09 <daemon.err> cart3 pay[1]: bad",
            "04-09T07:08:09|cart3|pay|1|bad",
        ),
        (
            "Apr  9 07:08:09 <4.6> cart3 pay[1]: ok",
            "04-09T07:08:09|cart3|pay|1|ok",
        ),
        (
            "Apr  9 07:08:09 cart3 user.notice pay: ok",
            "04-09T07:08:09|cart3|pay|-|ok",
        ),
        (
            "Tue Apr  9 07:08:09 2024 daemon.info pay[3]: ok",
            "04-09T07:08:09|-|pay|3|ok",
        ),
        (
            "Tue 2024-04-09 07:08:09 CEST cart3 pay[3]: ok",
            "04-09T05:08:09|cart3|pay|3|ok",
        ),
        (
            "Tue 2024-04-09 07:08:09.123456 UTC cart3 pay.service[3]: ok",
            "04-09T07:08:09.123456|cart3|pay.service|3|ok",
        ),
        (
            "Apr 09 07:08:09.123456 cart3 pay[3]: ok",
            "04-09T07:08:09.123456|cart3|pay|3|ok",
        ),
        (
            "Apr  9 07:08:09 2024 mx3 rpd[3]: ok",
            "04-09T07:08:09|mx3|rpd|3|ok",
        ),
        (
            "1712646489.250000 cart3 pay[3]: ok",
            "04-09T07:08:09.250000|cart3|pay|3|ok",
        ),
        (
            "2024-04-09T07:08:09+0200 cart3 pay[3]: ok",
            "04-09T05:08:09|cart3|pay|3|ok",
        ),
        (
            "2024-04-09T07:08:09.123456+02:00 bastion pay: ok",
            "04-09T05:08:09.123456|bastion|pay|-|ok",
        ),
        (
            "2024-04-09T07:08:09 cart3 pay[3]: ok",
            "04-09T07:08:09|cart3|pay|3|ok",
        ),
        (
            "2024-04-09 07:08:09 cart3 kernel: ok",
            "04-09T07:08:09|cart3|kernel|-|ok",
        ),
        (
            "2024-04-09 07:08:09.5 cart3 pay[3]: ok",
            "04-09T07:08:09.500000|cart3|pay|3|ok",
        ),
        (
            "2024-04-09T07:08:09Z db.example.org pay: ok",
            "04-09T07:08:09|db.example.org|pay|-|ok",
        ),
        (
            "2024-04-09T07:08:09Z cart3 pay 12 - - ok",
            "04-09T07:08:09|cart3|pay|12|ok",
        ),
        (
            "1 2024-04-09T07:08:09Z cart3 pay 12 M7 [a@1 b=\"c\"] ok",
            "04-09T07:08:09|cart3|pay|12|ok",
        ),
        (
            "2024-04-09T07:08:09Z In(166) Hostd[21]: [Originator@6876 sub=Vim] ok",
            "04-09T07:08:09|-|Hostd|21|ok",
        ),
        (
            "2024-04-09T07:08:09Z error vpxd[0A7F] [Originator@6876 sub=x[1]] bad",
            "04-09T07:08:09|-|vpxd|0A7F|bad",
        ),
    ] {
        assert_eq!(shown(line), want, "{line}");
    }
}

#[test]
fn lines_with_a_priority() {
    for (line, want) in [
        (
            "<30>Apr  9 07:08:09 cart3 pay[12]: ok",
            "04-09T07:08:09|cart3|pay|12|ok",
        ),
        (
            "<30>  Apr  9 07:08:09 cart3 pay[12]: ok",
            "04-09T07:08:09|cart3|pay|12|ok",
        ),
        (
            "<30>Apr  9 07:08:09 pay: 13[X] ok",
            "04-09T07:08:09|-|pay|-|13[X] ok",
        ),
        (
            "<30>2024-04-09 07:08:09 cart3 pay: ok",
            "04-09T07:08:09|cart3|pay|-|ok",
        ),
        (
            "<30>2024-04-09T07:08:09Z cart3",
            "04-09T07:08:09|cart3|-|-|",
        ),
        (
            "<30>Apr  9 07:08:09 cart3 up again",
            "04-09T07:08:09|cart3|-|-|up again",
        ),
        (
            "<30>Apr  9 07:08:09 cart3 [notice] up",
            "04-09T07:08:09|cart3|-|-|[notice] up",
        ),
        (
            "<30>Apr  9 07:08:09 cart3 ERROR: bad",
            "04-09T07:08:09|cart3|-|-|ERROR: bad",
        ),
        (
            "<30>1712646489 cart3 pay[9]: ok",
            "04-09T07:08:09|cart3|pay|9|ok",
        ),
        (
            "<30>2024 Apr  9 07:08:09 cart3 pay[9]: ok",
            "04-09T07:08:09|cart3|pay|9|ok",
        ),
        (
            "<30>Tue Apr  9 07:08:09 2024 cart3 pay[9]: ok",
            "04-09T07:08:09|cart3|pay|9|ok",
        ),
        (
            "<30>Apr  9 07:08:09 cart3 CEF:0|a|b",
            "04-09T07:08:09|cart3|-|-|CEF:0|a|b",
        ),
        (
            "<30>Apr  9 07:08:09 cart3 System: ok",
            "04-09T07:08:09|cart3|System|-|ok",
        ),
        ("<6>[   12.250001] usb up", "-|-|-|-|[   12.250001] usb up"),
        ("<30>pay[9]: ok", "-|-|pay|9|ok"),
        ("<30>cart3 pay[9]: ok", "-|cart3|pay|9|ok"),
        ("<3>no program, no date", "-|-|-|-|no program, no date"),
        (
            "<2>kernel panic: bad page",
            "-|-|-|-|kernel panic: bad page",
        ),
        (
            "61 <30>1 2024-04-09T07:08:09Z cart3 pay 12 M7 - ok",
            "04-09T07:08:09|cart3|pay|12|ok",
        ),
        (
            "<30>1 2024-04-09T07:08:09Z cart3 pay 12 M7 - \u{feff}ok",
            "04-09T07:08:09|cart3|pay|12|ok",
        ),
        (
            "<30>1 2024-04-09T07:08:09Z cart3 pay web.1 - State changed",
            "04-09T07:08:09|cart3|pay|web.1|State changed",
        ),
        (
            "<30>1 2024-04-09T07:08:09Z cart3 pay: words [a] b c",
            "04-09T07:08:09|cart3|pay|-|words [a] b c",
        ),
        (
            "<30>1 2024-04-09T07:08:09Z cart3 pay: 12 M7 - ok",
            "04-09T07:08:09|cart3|pay|12|ok",
        ),
        (
            "<30>1 2024-04-09T07:08:09Z cart3 pay words of a text",
            "04-09T07:08:09|cart3|pay|-|words of a text",
        ),
        ("<30>1 - cart3 pay - - - ok", "-|cart3|pay|-|ok"),
        (
            "<30>1 1712646489.5 cart3 urls src=1.2.3.4",
            "04-09T07:08:09.500000|cart3|urls|-|src=1.2.3.4",
        ),
        (
            "<30>1 2024-04-09T07:08:09Z cart3 pay 12 M7 [not data: x] ok",
            "04-09T07:08:09|cart3|pay|12|[not data: x] ok",
        ),
    ] {
        assert_eq!(shown(line), want, "{line}");
    }
    for (line, level, facility) in [
        ("<27>Apr  9 07:08:09 cart3 pay: ok", Level::Error, "daemon"),
        ("<12>a: INFO x", Level::Warning, "user"),
        ("<191>Apr  9 07:08:09 cart3 pay: ok", Level::Debug, "local7"),
        (
            "Apr  9 07:08:09 sol3 pay[1]: [ID 800047 auth.error] no",
            Level::Error,
            "auth",
        ),
        (
            "<38>Apr  9 07:08:09 sol3 pay[1]: [ID 800047 auth.error] no",
            Level::Info,
            "auth",
        ),
        (
            "Apr  9 07:08:09 aix3 auth|security:crit su: no",
            Level::Critical,
            "auth",
        ),
        (
            "Apr  9 07:08:09 aix3 local1:warn pay[1]: no",
            Level::Warning,
            "local1",
        ),
        (
            "Apr  9 07:08:09 <auth.crit> cart3 pay: ok",
            Level::Critical,
            "auth",
        ),
        (
            "Apr  9 07:08:09 cart3 daemon.err pay: ok",
            Level::Error,
            "daemon",
        ),
    ] {
        let entry = one(line);
        assert_eq!(
            (entry.level, entry.metadata("facility")),
            (level, Some(facility)),
            "{line}"
        );
    }
}

#[test]
fn what_says_the_level() {
    for (line, level) in [
        ("Apr  9 07:08:09 cart3 pay: ERROR it broke", Level::Error),
        ("Apr  9 07:08:09 cart3 pay: it went well", Level::Info),
        (
            "<30>Apr  9 07:08:09 cart3 pay: {\"level\":\"error\",\"msg\":\"x\"}",
            Level::Error,
        ),
        ("Apr  9 07:08:09 mini mds[35] <Warning>: x", Level::Warning),
        (
            "2024-04-09T07:08:09Z warning hostd[9A] [Originator@6876 sub=x] y",
            Level::Warning,
        ),
        ("2024-04-09T07:08:09Z Er(27) vmkernel[9]: y", Level::Error),
        ("*Apr  9 07:08:09.123: %LINK-3-UPDOWN: y", Level::Error),
        (
            "<189>12: Apr  9 07:08:09.123: %LINK-3-UPDOWN: y",
            Level::Info,
        ),
    ] {
        assert_eq!(one(line).level, level, "{line}");
    }
}

#[test]
fn devices_of_cisco() {
    for (line, want) in [
        (
            "<187>44: *Apr  9 07:08:09.123: %SYS-3-X: bad",
            "04-09T07:08:09.123000|-|SYS|-|%SYS-3-X: bad",
        ),
        (
            "<187>Apr  9 07:08:09 10.1.2.3 44: 45: Apr  9 07:08:08.9: %SYS-3-X: bad",
            "04-09T07:08:09|10.1.2.3|SYS|-|%SYS-3-X: bad",
        ),
        (
            "<187>Apr  9 07:08:09 10.1.2.3: %SYS-3-X: bad",
            "04-09T07:08:09|10.1.2.3|SYS|-|%SYS-3-X: bad",
        ),
        (
            "<166>Apr 09 2024 07:08:09: %ASA-6-302013: Built",
            "04-09T07:08:09|-|ASA|-|%ASA-6-302013: Built",
        ),
        (
            "<166>Apr 09 2024 07:08:09 fw1 : %ASA-6-302013: Built",
            "04-09T07:08:09|fw1|ASA|-|%ASA-6-302013: Built",
        ),
        (
            "<166>:Apr 09 07:08:09 UTC: %ASA-6-302013: Built",
            "04-09T07:08:09|-|ASA|-|%ASA-6-302013: Built",
        ),
        (
            "<189>: 2024 Apr  9 07:08:09 CEST: %ETHPORT-5-IF_UP: up",
            "04-09T05:08:09|-|ETHPORT|-|%ETHPORT-5-IF_UP: up",
        ),
        (
            "2024 Apr  9 07:08:09.5 n9k %ETHPORT-5-IF_UP: up",
            "04-09T07:08:09.500000|n9k|ETHPORT|-|%ETHPORT-5-IF_UP: up",
        ),
        (
            "000044: Apr  9 07:08:09 CEST: %SYS-5-X: ok",
            "04-09T05:08:09|-|SYS|-|%SYS-5-X: ok",
        ),
        (
            ".Apr  9 07:08:09: %SYS-5-X: ok",
            "04-09T07:08:09|-|SYS|-|%SYS-5-X: ok",
        ),
    ] {
        assert_eq!(shown(line), want, "{line}");
    }
    let entry = one("<187>Apr  9 07:08:09 10.1.2.3 44: 45: Apr  9 07:08:08.9: %SYS-3-X: bad");
    assert_eq!(entry.metadata("sequence"), Some("44: 45"));
    assert_eq!(
        entry.metadata("inner_time"),
        Some("2024-04-09T07:08:08.900000Z")
    );
}

#[test]
fn other_lines_are_not_syslog() {
    for line in [
        "2024-05-01 10:00:00 INFO app: x",
        "2024-05-01 10:00:00,123 web1 app[1]: x",
        "2024-05-01T10:00:00.123Z Server listening: 3000",
        "2024-05-01T10:00:00.123456Z ERROR depot::pay: x",
        "2024-05-01T10:00:00.123456+00:00 Connection refused: x",
        "2024-05-01T10:00:00.123456Z mysqld_safe Starting mysqld daemon",
        "2024-05-01 10:00:00 7f00a1 InnoDB: x",
        "2024-05-01 10:00:00 UTC [12] LOG:  x",
        "2024-05-01 10:00:00 UTC ana[12]: LOG:  x",
        "2024-05-01T10:00:00Z stdout F text",
        "2024-05-01T10:00:00Z 0 [System] [MY-010116] [Server] x",
        "2024-05-01T10:00:00Z INFO app 12 - - x",
        "2024-05-01T10:00:00Z a b c d [x] y",
        "Jan is a month name",
        "May  1 10:00:00 ERROR it broke",
        "10.1.2.3 - - [01/May/2024:08:00:00 +0000] \"GET / HTTP/1.1\" 200 12",
        "<html>",
        "<500>x",
        "<0.123.0> Erlang",
        "<13>",
        "*** text",
        "12: text",
        "1 2",
        "Wed 2024-05-01 text",
        "",
    ] {
        let mut out = Parsed::default();
        assert!(
            Syslog.open(line, &hint(), &mut out).is_err(),
            "{line}: {out:?}"
        );
    }
}

#[test]
fn structured_data_of_any_shape() {
    let entry = one(
        "<30>1 2024-04-09T07:08:09Z c3 pay 1 - [a@1 x=\"q \\\" \\] \\n\" y=bare z=p[1]q][only][b@2 requestId=\"r-5\"] ok",
    );
    assert_eq!(entry.metadata("a@1.x"), Some("q \" ] \\n"));
    assert_eq!(entry.metadata("a@1.y"), Some("bare"));
    assert_eq!(entry.metadata("a@1.z"), Some("p[1]q"));
    assert_eq!(entry.metadata("only"), Some(""));
    assert_eq!(entry.request_id.as_ref().unwrap().as_str(), "r-5");
    assert_eq!(&*entry.message, "ok");
}

#[test]
fn escapes_of_rsyslog_are_resolved() {
    let entry = one(
        "Apr  9 07:08:09 cart3 pay[4]: ERROR it broke#012java.lang.IllegalStateException: x#012#011at a.B.c(B.java:7)",
    );
    assert_eq!(&*entry.message, "ERROR it broke");
    assert_eq!(
        entry.traceback.as_deref(),
        Some("java.lang.IllegalStateException: x\n\tat a.B.c(B.java:7)")
    );
    let entry = one("Apr  9 07:08:09 cart3 pay[4]: see #0121 and #015 and #01");
    assert_eq!(&*entry.message, "see #0121 and #015 and #01");
}

#[test]
fn pieces_of_postgresql_are_one_record() {
    let entries = decode(
        "Apr  9 07:08:09 db3 postgres[71]: [4-1] 2024-04-09 07:08:09.5 UTC [71] ana@shop ERROR:  no such table#012x\n\
         Apr  9 07:08:09 db3 postgres[72]: [9-1] 2024-04-09 07:08:09.6 UTC [72] bea@shop LOG:  statement: SELECT 1\n\
         Apr  9 07:08:09 db3 postgres[71]: [4-2] 2024-04-09 07:08:09.5 UTC [71] ana@shop STATEMENT:  SELECT *\n\
         Apr  9 07:08:09 db3 postgres[71]: [4-3] #011FROM t",
    );
    assert_eq!(entries.len(), 2);
    assert_eq!(
        (entries[0].level, &*entries[0].message),
        (Level::Error, "no such table\nx")
    );
    assert_eq!(entries[0].metadata("statement"), Some("SELECT *\n\tFROM t"));
    assert_eq!(
        (entries[0].metadata("user"), entries[0].metadata("host")),
        (Some("ana"), Some("db3"))
    );
    assert_eq!(&*entries[1].message, "SELECT 1");
}

#[test]
fn what_programs_write_is_read_by_all_formats() {
    let entry = one(
        "Apr  9 07:08:09 c3 pay[4]: @cee: {\"level\":\"warn\",\"msg\":\"low\",\"request_id\":\"r-1\"}",
    );
    assert_eq!((entry.level, &*entry.message), (Level::Warning, "low"));
    assert_eq!(entry.request_id.as_ref().unwrap().as_str(), "r-1");
    let entry =
        one("Apr  9 07:08:09 c3 kubelet[4]: E0409 07:08:09.250000    4 pod.go:3] cannot mount");
    assert_eq!(
        (entry.level, &*entry.message, entry.metadata("file")),
        (Level::Error, "cannot mount", Some("pod.go"))
    );
    let entry = one(
        "<30>Apr  9 07:08:09 c3 nginx: 10.1.2.3 - ana [09/Apr/2024:07:08:09 +0000] \"GET /a HTTP/1.1\" 502 7 \"-\" \"curl\"",
    );
    assert_eq!(
        (entry.level, entry.metadata("status")),
        (Level::Error, Some("502"))
    );
    let entry = one("Apr  9 07:08:09 c3 agent[4]: level=error msg=\"no route\" id=7");
    assert_eq!(
        (entry.level, &*entry.message, entry.logger.as_deref()),
        (Level::Error, "no route", Some("agent"))
    );
    let entry = one(
        "Apr  9 07:08:09 c3 sshd(pam_unix)[4]: authentication failure; rhost=10.1.2.3  user=root",
    );
    assert_eq!(entry.logger.as_deref(), Some("sshd(pam_unix)"));
}

#[test]
fn lines_of_the_journal_itself_are_records() {
    let entries = decode(
        "Apr 09 07:08:09 mini pay[4]: one\n-- Boot 5b8e0f --\nApr 09 07:08:10 mini pay[4]: two\n-- other\n-- Reboot --",
    );
    let messages: Vec<&str> = entries.iter().map(|entry| &*entry.message).collect();
    assert_eq!(
        messages,
        ["one", "-- Boot 5b8e0f --", "two\n-- other", "-- Reboot --"]
    );
}

#[test]
fn bare_lines_belong_to_the_line_before() {
    let entries = decode(
        "Apr 09 07:08:09 mini pay[4]: state = {\n\t  speed = 12.250001;\n\t  1712646489123\n\t}\nApr 09 07:08:10 mini pay[4]: end",
    );
    assert_eq!(entries.len(), 2);
    assert_eq!(
        &*entries[0].message,
        "state = {\n\t  speed = 12.250001;\n\t  1712646489123\n\t}"
    );
}

mod never {
    use proptest::prelude::*;

    use super::super::super::{all, registry};
    use super::*;

    fn pieces() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "<30>",
            "<191>1 ",
            "61 ",
            " ",
            "  ",
            ":",
            ": ",
            "Apr  9 07:08:09",
            "Apr  9 2024 07:08:09.5 CEST: ",
            "2024 Apr  9 07:08:09",
            "Tue Apr  9 07:08:09 2024 ",
            "Tue 2024-04-09 07:08:09 CEST ",
            "2024-04-09T07:08:09.123456+00:00 ",
            "2024-04-09 07:08:09 ",
            "2024-04-09T07:08:09Z ",
            "240409  7:08:09 ",
            "1712646489.5 ",
            "cart3 ",
            "a@b/c ",
            "pay[12]: ",
            "Image Tool[7]",
            "klogd 1.5.0#6: ",
            "app[web.1]: ",
            "%LINK-3-UPDOWN: ",
            "44: ",
            "*",
            "[a@1 b=\"c\\\"",
            " d=e[f]",
            "]",
            "[ID 7 auth.info] ",
            "daemon.info ",
            "#011#012#01",
            "[7-2] ",
            "postgres[7]: ",
            "DETAIL:  ",
            "FEHLER:  ",
            "UTC:10.1.1.1(7):a@b:[7]:LOG:  ",
            "mysqld got signal 11 ;",
            "[Note] [MY-1] [Server] ",
            "# Time: ",
            "# User@Host: a[a] @ b []",
            "'\\\\",
            "\"",
            ",",
            "Start-Date: 2024-04-09  07:08:09",
            "Log started: 2024-04-09  07:08:09",
            "[pod/a/b] ",
            "a › b │ ",
            "web  | ",
            "{\"textPayload\":\"x\\n\",\"severity\":\"INFO\"}",
            "{\"log\":\"x\",\"date\":1712646489.5,\"a\":",
            "\u{feff}é\u{10fe41}",
        ]);
        prop::collection::vec(
            prop_oneof![5 => pieces.prop_map(str::to_owned), 1 => ".{0,6}"],
            0..9,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn no_text_crashes_a_reader(texts in prop::collection::vec(pieces(), 1..4)) {
            let text = texts.join("\n");
            let line = texts.first().map_or("", String::as_str);
            for envelope in registry::envelopes() {
                _ = envelope.open(line, &hint(), &mut Parsed::default());
            }
            for format in registry::formats() {
                _ = format.opens(line);
                _ = format.joins(&text, line);
                _ = format.parse(&text, &hint(), &mut Parsed::default());
            }
            prop_assert!(all().count() > 20);
            let entries = decode(&text);
            prop_assert!(entries.len() <= text.lines().count());
        }
    }
}
