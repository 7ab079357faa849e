//! Servers of Python.

use super::super::web::testing::{check, read};

#[test]
fn bare_lines() {
    for (line, fields) in [
        (
            r#"INFO:     127.0.0.1:5123 - "GET /a HTTP/1.1" 200 OK"#,
            &[
                ("client", "127.0.0.1"),
                ("client_port", "5123"),
                ("status", "200"),
                ("@level", "INFO"),
                ("@message", "GET /a HTTP/1.1"),
                ("path", "/a"),
            ][..],
        ),
        (
            r#"INFO:     192.0.2.1:0 - "GET /a HTTP/1.1" 500 Internal Server Error"#,
            &[("@level", "ERROR"), ("reason", "Internal Server Error")],
        ),
        (
            r#"ERROR:    192.0.2.1:0 - "GET /a HTTP/1.1" 404 Not Found"#,
            &[("@level", "ERROR")],
        ),
        (
            r#"INFO:      - "GET /a HTTP/1.1" 404"#,
            &[("client", ""), ("@level", "WARNING")],
        ),
        (
            r#"      INFO   127.0.0.1:51234 - "GET /a"b HTTP/1.1" 418 I'm a Teapot"#,
            &[("client", "127.0.0.1"), ("path", "/a\"b")],
        ),
        (
            r#"INFO:     ::1:5123 - "WebSocket /ws" 403"#,
            &[("status", "403")],
        ),
    ] {
        check(line, "uvicorn-access", fields);
    }
    for line in [
        r#"INFO: 127.0.0.1 - "a" is no request"#,
        r#"INFO:     127.0.0.1:5 - "WebSocket /ws" [accepted]"#,
    ] {
        assert_ne!(read(line).0, "uvicorn-access", "{line}");
    }
}

#[test]
fn hypercorn_gunicorn_and_development_servers() {
    let combined = r#"127.0.0.1:5 - - [01/May/2024:08:00:00 +0200] "GET /a 1.1" 404 12 "-" "x HTTP/1.1" 500 1""#;
    let fields = [
        ("client", "127.0.0.1"),
        ("client_port", "5"),
        ("status", "404"),
        ("protocol", "1.1"),
        ("path", "/a"),
        ("@time", "2024-05-01T06:00:00.000000Z"),
    ];
    check(combined, "nginx-access", &fields);
    check(
        &format!("[2024-05-01 08:00:00 +0200] [7] [INFO] {combined}"),
        "uvicorn-access",
        &fields,
    );
    for (line, fields) in [
        (
            r#"127.0.0.1 - - [01/May/2024 08:00:00] "GET /a HTTP/1.1" 404 -"#,
            &[
                ("client", "127.0.0.1"),
                ("status", "404"),
                ("@level", "WARNING"),
                ("@time", "2024-05-01T08:00:00.000000Z"),
            ][..],
        ),
        (
            r#"::1 - - [01/May/2024 08:00:00] "GET /a HTTP/1.1" 200 15"#,
            &[("client", "::1"), ("bytes", "15")],
        ),
        (
            "127.0.0.1 - - [01/May/2024 08:00:00] code 404, message File not found",
            &[
                ("@message", "File not found"),
                ("status", "404"),
                ("@level", "WARNING"),
            ],
        ),
        (
            r#"[01/May/2024 08:00:00] "GET /a HTTP/1.1" 500 12"#,
            &[("client", ""), ("@level", "ERROR"), ("bytes", "12")],
        ),
    ] {
        check(line, "werkzeug-access", fields);
    }
}
