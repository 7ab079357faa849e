//! Gin, chi and morgan.

use super::super::web::testing::{check, read};

#[test]
fn access_lines() {
    for (line, fields) in [
        (
            "[GIN] 2024/05/01 - 08:00:00 | 404 |     112.3µs |       192.0.2.1 | GET      \"/x|y\"",
            &[
                ("@time", "2024-05-01T08:00:00.000000Z"),
                ("@ms", "0.1123"),
                ("client", "192.0.2.1"),
                ("status", "404"),
                ("@level", "WARNING"),
                ("path", "/x|y"),
                ("method", "GET"),
            ][..],
        ),
        (
            "[GIN] 2024/05/01 - 08:00:00 | 500 | 1m2.5s | ::1 | POST \"/x\"",
            &[("@ms", "62500"), ("client", "::1"), ("@level", "ERROR")],
        ),
        (
            "2024/05/01 08:00:00 \"GET http://h/x HTTP/1.1\" from 192.0.2.1:55 - 502 12B in 1.25ms",
            &[
                ("@time", "2024-05-01T08:00:00.000000Z"),
                ("client", "192.0.2.1"),
                ("client_port", "55"),
                ("@ms", "1.25"),
                ("bytes", "12"),
                ("@level", "ERROR"),
                ("@message", "GET http://h/x HTTP/1.1"),
            ],
        ),
        (
            "GET /x 200 5.123 ms - 12",
            &[
                ("@ms", "5.123"),
                ("bytes", "12"),
                ("path", "/x"),
                ("status", "200"),
            ],
        ),
        (
            "GET /x 404 - - 5.123 ms",
            &[("@ms", "5.123"), ("@level", "WARNING")],
        ),
        (
            "::1 - GET /x HTTP/1.1 500 12 - 5.1 ms",
            &[
                ("client", "::1"),
                ("protocol", "HTTP/1.1"),
                ("@level", "ERROR"),
            ],
        ),
    ] {
        check(line, "web-framework", fields);
    }
    for line in [
        "GET the milk, it takes 5 ms",
        "the query took 12 ms",
        "[GIN] 2024/05/01 - soon | 200",
        "2024/05/01 08:00:00 \"a\" from b",
    ] {
        assert_ne!(read(line).0, "web-framework", "{line}");
    }
}
