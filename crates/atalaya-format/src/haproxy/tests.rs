//! HTTP, TCP and early failures, 1.x to 3.x.

use super::super::web::testing::{check, field, read};

#[test]
fn http() {
    let line = r#"10.0.1.2:33317 [06/Feb/2024:12:14:14.655] http-in~ static/srv1 10/0/30/69/109 503 2750 - - SC-- 1/2/3/4/0 5/6 {1wt.eu|curl/8 {x}} {} "GET /index.html HTTP/1.1""#;
    let fields = [
        ("@time", "2024-02-06T12:14:14.655000Z"),
        ("@level", "ERROR"),
        ("@message", "GET /index.html HTTP/1.1"),
        ("@ms", "109"),
        ("client", "10.0.1.2"),
        ("client_port", "33317"),
        ("frontend", "http-in~"),
        ("backend", "static"),
        ("server", "srv1"),
        ("request_ms", "10"),
        ("connect_ms", "30"),
        ("response_ms", "69"),
        ("status", "503"),
        ("bytes", "2750"),
        ("termination_state", "SC--"),
        ("connections", "1/2/3/4/0"),
        ("queues", "5/6"),
        ("request_headers", "1wt.eu|curl/8 {x}"),
        ("method", "GET"),
        ("path", "/index.html"),
        ("protocol", "HTTP/1.1"),
    ];
    check(line, "haproxy", &fields);
    let inside = [
        ("@logger", "haproxy"),
        ("host", "lb1"),
        ("pid", "14389"),
        ("status", "503"),
        ("@level", "ERROR"),
        ("client", "10.0.1.2"),
    ];
    check(
        &format!("<134>Feb  6 12:14:14 lb1 haproxy[14389]: {line}"),
        "syslog",
        &inside,
    );
    check(
        &format!("Feb  6 12:14:14 lb1 haproxy[14389]: {line}"),
        "syslog",
        &inside,
    );
    check(
        &format!("haproxy[14389]: {line}"),
        "haproxy",
        &[
            ("@logger", "haproxy"),
            ("pid", "14389"),
            ("client", "10.0.1.2"),
        ],
    );
}

#[test]
fn ids_captures_and_odd_requests() {
    const ID: &str = "7F000001:8296_7F00001E:1F90_4F7B0A69_0003:790E";
    const UUID: &str = "0f3b6c1e-2d77-4f4c-9a39-2b8f6c1d0e55";
    let common = "2001:db8::1:33317 [06/Feb/2024:12:14:14.655] fe be/<NOSRV>";
    for (line, fields) in [
        (format!(r#"{common} -1/-1/-1/-1/2 400 187 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>""#), &[("client", "2001:db8::1"), ("@message", "<BADREQ>"), ("@level", "WARNING"), ("server", "<NOSRV>"), ("@ms", "2")][..]),
        (format!(r#"{common} -1/-1/-1/-1/2 -1 0 - - CR-- 1/1/0/0/0 0/0 "<BADREQ>""#), &[("status", "-1"), ("@level", "INFO")]),
        (format!(r#"{common} 0/0/0/1/+2 200 +187 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#), &[("total_ms", "+2"), ("@ms", ""), ("bytes", "187")]),
        (format!(r#"{common} 0/0/0/1/2 200 187 sid=1 sid=2 --VN 1/1/0/0/0 0/0 {{a|}} {ID} "GET / HTTP/1.1""#), &[("@id", ID), ("request_cookie", "sid=1"), ("response_cookie", "sid=2"), ("request_headers", "a|")]),
        (format!(r#"{common} 0/0/0/1/2 200 187 - - ---- 1/1/0/0/+3 0/0 "GET / HTTP/1.1" {UUID}"#), &[("@id", UUID), ("connections", "1/1/0/0/+3")]),
        (format!(r#"{ID} {common} 0/0/0/1/2 200 187 - - ---- 1/1/0/0/0 0/0 "GET /#22 HTTP/1.1""#), &[("@id", ID), ("path", "/#22"), ("client", "2001:db8::1")]),
        (format!(r#"{common} 0/0/0/1/2 200 187 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1" 0/0000000000000000/0/0/0 shop.example/TLSv1.3/TLS_AES_256_GCM_SHA384"#), &[("sni", "shop.example"), ("tls_protocol", "TLSv1.3"), ("tls_cipher", "TLS_AES_256_GCM_SHA384"), ("rest", "")]),
        (format!(r#"{common} 0/0/0/1/2 200 187 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1" what else"#), &[("rest", "what else")]),
        (format!(r#"{common} 0/0/0/1/2 200 187 - - ---- 1/1/0/0/0 0/0 "GET /cut"#), &[("@message", "GET /cut"), ("incomplete", "true")]),
        (format!(r#"{common} 0/0/0/1/2 200 187 - - ---- 1/1/0/0/0 0/0 "GET / 10.9.9.9:1 HTTP/1.1""#), &[("client", "2001:db8::1")]),
        (r#"unix:1 [06/Feb/2024:12:14:14.655] fe be/srv 0/0/0/1/2 200 187 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#.to_owned(), &[("client", "unix")]),
    ] {
        check(&line, "haproxy", fields);
    }
}

#[test]
fn tcp_and_early_failures() {
    for (rest, fields) in [
        (
            "fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
            &[
                ("@level", "INFO"),
                ("@ms", "5007"),
                ("bytes", "212"),
                ("server", "srv1"),
                ("queue_ms", "0"),
                ("connect_ms", "0"),
            ][..],
        ),
        (
            "fnt bck/<NOSRV> -1/-1/0 0 SC 0/0/0/0/3 0/0",
            &[
                ("@level", "WARNING"),
                ("termination_state", "SC"),
                ("connect_ms", "-1"),
            ],
        ),
        (
            "fnt/1: SSL handshake failure",
            &[
                ("@level", "WARNING"),
                ("@message", "SSL handshake failure"),
                ("frontend", "fnt"),
                ("bind", "1"),
            ],
        ),
    ] {
        check(
            &format!("10.0.1.2:33317 [06/Feb/2024:12:14:14.655] {rest}"),
            "haproxy",
            fields,
        );
    }
    for line in [
        "10.0.1.2:33317 [06/Feb/2024:12:14:14.655] what is this",
        "Proxy http-in started.",
        "10.0.1.2:33317 [06/Feb/2024:12:14:14.655] a b/c 1/2 3 -- 0/0/0/0/0 0/0",
    ] {
        let (format, entries) = read(line);
        assert_eq!(
            (format, field(&entries[0], "client")),
            ("plain", String::new()),
            "{line}"
        );
    }
}
