//! The tails of combined lines.

use super::super::web::testing::check;

const LINE: &str = r#"192.0.2.1 - bob [01/May/2024:11:05:07 +0100] "GET /a HTTP/1.1" 502 571 "http://r/" "curl/8""#;

#[test]
fn known_tails() {
    const ID: &str = "0123456789abcdef0123456789abcdef";
    for (tail, fields) in [
        (r#""-""#, &[("forwarded_for", ""), ("rest", "")][..]),
        (
            r#""192.0.2.7, 10.0.0.1""#,
            &[("forwarded_for", "192.0.2.7, 10.0.0.1")],
        ),
        ("0.125", &[("@ms", "125")]),
        (
            "0.125 0.100",
            &[("@ms", "125"), ("upstream_response_time", "0.100")],
        ),
        ("345 0.125", &[("request_length", "345"), ("@ms", "125")]),
        ("rt=0.125 request_id=x-7", &[("@ms", "125"), ("@id", "x-7")]),
        (
            r#"rt=0.125 ua="10.0.0.1:80, 10.0.0.2:80" us="502, 200""#,
            &[
                ("@ms", "125"),
                ("ua", "10.0.0.1:80, 10.0.0.2:80"),
                ("us", "502, 200"),
            ],
        ),
        (
            r#"kong_request_id: "0123456789abcdef0123456789abcdef""#,
            &[("@id", ID)],
        ),
        (r#""2.75""#, &[("compression", "2.75")]),
        (ID, &[("@id", ID)]),
    ] {
        check(&format!("{LINE} {tail}"), "nginx-access", fields);
    }
}

#[test]
fn an_unknown_tail_is_kept_whole() {
    for (tail, rest) in [
        ("here it ends", "here it ends"),
        (r#""10.0.0.1:80" "0.005""#, r#""10.0.0.1:80" "0.005""#),
        (r#""192.0.2.7" "192.0.2.8" MISS"#, r#""192.0.2.8" MISS"#),
        ("status=200", "status=200"),
        (r#"41234 003 "fe" "be""#, r#"41234 003 "fe" "be""#),
        ("0.125 0.100 0.050", "0.050"),
        (r#""not closed"#, r#""not closed"#),
    ] {
        let fields = [
            ("rest", rest),
            ("client", "192.0.2.1"),
            ("@user", "bob"),
            ("status", "502"),
            ("bytes", "571"),
            ("@level", "ERROR"),
            ("@message", "GET /a HTTP/1.1"),
            ("referrer", "http://r/"),
            ("user_agent", "curl/8"),
        ];
        check(&format!("{LINE} {tail}"), "nginx-access", &fields);
    }
}

#[test]
fn named_fields_are_found_behind_unknown_ones() {
    check(
        &format!(
            r#"{LINE} "-" "shop.example" sn="_" rt=0.125 ua="10.0.0.1:80" request_id=x-7 status=200"#
        ),
        "nginx-access",
        &[
            ("@ms", "125"),
            ("@id", "x-7"),
            ("ua", "10.0.0.1:80"),
            ("status", "502"),
            (
                "rest",
                r#""shop.example" sn="_" rt=0.125 ua="10.0.0.1:80" request_id=x-7 status=200"#,
            ),
        ],
    );
}

#[test]
fn tomcat_jetty_and_undertow() {
    let common = r#"192.0.2.1 - - [01/May/2024:11:05:07 +0100] "GET /a HTTP/1.1" 404 571"#;
    for (tail, fields) in [
        ("", &[("status", "404")][..]),
        (" 15", &[("response_time", "15")]),
        (" 0.015", &[("@ms", "15")]),
        (
            " 15 http-nio-8080-exec-3",
            &[("response_time", "15"), ("thread", "http-nio-8080-exec-3")],
        ),
        (
            r#" "-" "curl/8" 15 20"#,
            &[("bytes_in", "15"), ("bytes_out", "20")],
        ),
        (r#" "-" "curl/8" D=1500"#, &[("@ms", "1.5")]),
        (
            r#" "curl/8""#,
            &[("rest", r#""curl/8""#), ("status", "404")],
        ),
        (r#" "-" 0.015"#, &[("@ms", "15"), ("user_agent", "")]),
        (
            r#" "http://cut"#,
            &[("rest", r#""http://cut"#), ("client", "192.0.2.1")],
        ),
        (
            " what else",
            &[("rest", "what else"), ("client", "192.0.2.1")],
        ),
        (r#" - "curl/8""#, &[("user_agent", "curl/8")]),
    ] {
        let combined = tail.matches('"').count() >= 4 || tail.starts_with(" - ");
        let format = if combined && !tail.ends_with("20") {
            "nginx-access"
        } else {
            "apache-access"
        };
        check(&format!("{common}{tail}"), format, fields);
    }
}

#[test]
fn traefik_of_all_versions() {
    for (tail, router, server, agent) in [
        (
            r#""-" "curl/8" 1 "Host-shop-0" "http://10.0.0.8:80" 47ms"#,
            "Host-shop-0",
            "http://10.0.0.8:80",
            "curl/8",
        ),
        (r#""-" "-" 4157 "-" "-" 47ms"#, "", "", ""),
        (
            r#""-" "a "quoted" \"agent\"" 12 "web@docker" "-" 47ms"#,
            "web@docker",
            "",
            r#"a "quoted" \"agent\""#,
        ),
        (r#"- "x" 12 "web@docker" - 47ms"#, "web@docker", "", "x"),
        (
            r#""-" "x" 9 "a" "b" 1ms" 12 "web@docker" "http://10.0.0.5:1" 47ms"#,
            "web@docker",
            "http://10.0.0.5:1",
            r#"x" 9 "a" "b" 1ms"#,
        ),
    ] {
        let line = format!(
            r#"192.0.2.1 - bob [01/May/2024:11:05:07 +0000] "GET /a HTTP/2.0" 502 19 {tail}"#
        );
        let fields = [
            ("router", router),
            ("server", server),
            ("user_agent", agent),
            ("@ms", "47"),
            ("@user", "bob"),
            ("@level", "ERROR"),
        ];
        check(&line, "traefik-access", &fields);
    }
}

#[test]
fn ruby_and_others() {
    for (line, format, fields) in [
        (
            r#"192.0.2.1 - - [01/May/2024:11:05:07 CEST] "GET /a HTTP/1.1" 404 571"#,
            "apache-access",
            &[("@time", "2024-05-01T09:05:07.000000Z")][..],
        ),
        (
            r#"192.0.2.1 - - [01/May/2024:11:05:07 +0000] "GET /a HTTP/1.1" 404 571 0.0050"#,
            "apache-access",
            &[("@ms", "5")],
        ),
        (
            r#"192.0.2.1:55 - - [01/May/2024:11:05:07] "GET /a" 404 571"#,
            "apache-access",
            &[("client_port", "55")],
        ),
        (
            r#"192.0.2.1 [01/May/2024:11:05:07 +0000] "GET /a HTTP/1.1" 404 571 "-" "curl""#,
            "nginx-access",
            &[("client", "192.0.2.1")],
        ),
    ] {
        check(line, format, fields);
    }
}
