//! What stands before the stamp, and requests that look like something else.

use super::testing::check;

#[test]
fn clients_lists_and_virtual_hosts() {
    let rest = r#" [01/May/2024:11:05:07 +0100] "GET /a HTTP/1.1" 200 571 "-" "curl/8""#;
    for (head, client, vhost, user) in [
        ("192.0.2.1 - -", "192.0.2.1", "", ""),
        ("192.0.2.1", "192.0.2.1", "", ""),
        ("2001:db8::1 - bob", "2001:db8::1", "", "bob"),
        ("fe80::1%eth0 - bob", "fe80::1%eth0", "", "bob"),
        ("[2001:db8::1]:4711 - -", "2001:db8::1", "", ""),
        ("192.0.2.1:4711 - -", "192.0.2.1", "", ""),
        ("unix: - -", "unix:", "", ""),
        ("client.example - -", "client.example", "", ""),
        ("client.example ident bob", "client.example", "", "bob"),
        ("10.0.0.2, 10.0.0.1, 127.0.0.1 - -", "10.0.0.2", "", ""),
        ("10.0.0.2, 192.0.2.9 - -", "192.0.2.9", "", ""),
        ("10.1.1.1 10.2.2.2 - -", "10.1.1.1", "", ""),
        ("- 10.2.2.2 - -", "10.2.2.2", "", ""),
        ("\"10.0.0.2, 192.0.2.9\" 10.1.1.1 - -", "192.0.2.9", "", ""),
        ("10.1.1.1 \"10.0.0.2, 192.0.2.9\" - -", "192.0.2.9", "", ""),
        (
            "shop.example 10.0.0.2, 10.0.0.1, 127.0.0.1 - -",
            "10.0.0.2",
            "shop.example",
            "",
        ),
        (
            "shop.example:443 10.0.0.2, 10.0.0.1 - bob",
            "10.0.0.2",
            "shop.example:443",
            "bob",
        ),
        ("_ \"10.0.0.2, 10.0.0.1\" - -", "10.0.0.2", "_", ""),
        ("192.0.2.1 - bob smith", "192.0.2.1", "", "bob smith"),
        ("192.0.2.1 - [bob] x]", "192.0.2.1", "", "[bob] x]"),
        ("192.0.2.1 - 10.9.9.9 - -", "192.0.2.1", "", "10.9.9.9 - -"),
        ("192.0.2.1 - - x", "192.0.2.1", "", "- x"),
        (
            "192.0.2.1 - a [01/May/2024:11:05:07 +0100] \\x22GET",
            "192.0.2.1",
            "",
            "a [01/May/2024:11:05:07 +0100] \\x22GET",
        ),
    ] {
        let fields = [
            ("client", client),
            ("vhost", vhost),
            ("@user", user),
            ("@time", "2024-05-01T10:05:07.000000Z"),
            ("status", "200"),
        ];
        check(&format!("{head}{rest}"), "nginx-access", &fields);
    }
    for (head, client, vhost) in [
        (
            "shop.example:80 192.0.2.1 - -",
            "192.0.2.1",
            "shop.example:80",
        ),
        (
            "shop.example 2001:db8::1 - bob smith",
            "2001:db8::1",
            "shop.example",
        ),
        (
            "shop.example:443 client.example - -",
            "client.example",
            "shop.example:443",
        ),
    ] {
        check(
            &format!("{head}{rest}"),
            "apache-access",
            &[("client", client), ("vhost", vhost)],
        );
    }
}

#[test]
fn requests_end_where_a_status_follows() {
    for (request, message) in [
        ("GET / HTTP/1.1", "GET / HTTP/1.1"),
        ("", "-"),
        ("-", "-"),
        (r"\x16\x03\x01\x00\xEE", r"\x16\x03\x01\x00\xEE"),
        (r#"GET /a"b HTTP/1.1"#, r#"GET /a"b HTTP/1.1"#),
        (
            r#"GET /" 200 12 "-" "evil HTTP/1.1"#,
            r#"GET /" 200 12 "-" "evil HTTP/1.1"#,
        ),
        (r#"GET /a\"b HTTP/1.1"#, r#"GET /a\"b HTTP/1.1"#),
        (r"GET /a\", r"GET /a\"),
        ("GET /my file HTTP/1.1", "GET /my file HTTP/1.1"),
    ] {
        let line = format!(
            r#"192.0.2.1 - - [01/May/2024:11:05:07 +0100] "{request}" 404 571 "-" "curl/8""#
        );
        check(
            &line,
            "nginx-access",
            &[
                ("@message", message),
                ("status", "404"),
                ("bytes", "571"),
                ("@level", "WARNING"),
            ],
        );
    }
}

#[test]
fn what_only_resembles_an_access_line_is_none() {
    for line in [
        r#"192.0.2.1 - - [01/May/2024:11:05:07 +0100] "GET / HTTP/1.1" 20 571"#,
        r#"192.0.2.1 - - [01/May/2024:11:05:07 +0100] "GET / HTTP/1.1" 200 5k"#,
        r"192.0.2.1 - - [01/May/2024:11:05:07 +0100] GET / HTTP/1.1 200 5",
        r#"the line [01/May/2024:11:05:07 +0100] "GET / HTTP/1.1" 200 571 of a test"#,
        r#"192.0.2.1 - - [01/Foo/2024:11:05:07 +0100] "GET / HTTP/1.1" 200 571"#,
        r#"INFO:werkzeug:192.0.2.1 - - [01/May/2024:11:05:07] "GET / HTTP/1.1" 200 571"#,
    ] {
        let (format, _) = super::testing::read(line);
        assert!(!format.ends_with("access"), "{format}: {line}");
    }
}

#[test]
fn lines_made_to_be_slow_are_not() {
    let start = std::time::Instant::now();
    for part in [
        "[01/May/2024:11:05:07 +0100] ",
        "\" 200 5 ",
        "\\\"",
        "a, ",
        ", client: 1.1.1.1, server: s, request: \"x\"",
        " port 5 ssh2",
        "\" \"",
        "[",
        "- ",
    ] {
        let noise = part.repeat(60_000 / part.len());
        for line in [
            format!("192.0.2.1 - {noise}"),
            format!("192.0.2.1 - - [01/May/2024:11:05:07 +0100] \"{noise}"),
            format!("2024/05/01 08:00:00 [error] 1#1: *1 \"{noise}"),
            format!("May  1 08:04:52 bastion sshd[1]: Failed password for {noise}"),
            format!("[2024-05-01T08:00:00.000Z] \"GET {noise}\" 200 - 0 1 2 3 \"{noise}"),
            format!(
                "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] fe be/srv 1/1/1/1/1 200 5 - - ---- 1/1/1/1/0 0/0 {{{noise}"
            ),
            format!("1286536308.779 180 192.0.2.1 TCP_MISS/200 411 GET {noise}"),
        ] {
            super::testing::read(&line);
        }
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

proptest::proptest! {
    #[test]
    fn no_line_panics(line in r#"(10\.0\.0\.1|a|"|\[|\]|\{|\}|=|,|:|#|-| |/|'|[0-9]{3}|\[01/May/2024:11:05:07 \+0100\]|é|HTTP/1\.1|GET|, client: | port 5| from |user |TCP_MISS/200|\t){0,40}"#) {
        for head in ["", "10.0.0.1 - - [01/May/2024:11:05:07 +0100] \"", "2024/05/01 08:00:00 [error] 1#1: *1 a, client: ",
            "[2024-05-01T08:00:00.000Z] \"", "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] ", "1286536308.779 180 ", "http 2022-05-12T06:41:29.051646Z app/x 10.0.0.1:5 ",
            "ab bucket [01/May/2024:11:05:07 +0100] ", "INFO:     ", "Started GET \"", "Completed ", "May  1 08:04:52 h sshd[1]: Failed ",
            "May  1 08:04:52 h sshd[1]: Disconnected from ", "May  1 08:04:52 h sudo: bob : ", "[Wed May 01 22:11:44.147674 2024] [a:error] [", "[Wed May 01 22:11:44.147674 2024] [a:error] (70)",
            "#Fields: date time c-ip cs-method\n2024-05-01 08:00:00 "] {
            super::testing::read(&format!("{head}{line}"));
        }
    }
}
