//! The default line, Istio's, and what strangers put into them.

use super::super::web::testing::check;

#[test]
fn the_default_and_istio() {
    let head = r#"[2024-05-01T08:00:00.123Z] "GET /a HTTP/1.1""#;
    let tail = r#"0 91 12 11 "192.0.2.7" "curl/8" "0f3b6c1e-2d77-4f4c-9a39-2b8f6c1d0e55" "shop.example" "10.0.0.9:8080""#;
    let istio = "outbound|80||shop.default.svc.cluster.local 10.0.0.1:4 10.0.0.2:80 10.0.0.3:55 sni.example default";
    let known = [
        ("@time", "2024-05-01T08:00:00.123000Z"),
        ("@level", "ERROR"),
        ("@message", "GET /a HTTP/1.1"),
        ("@ms", "12"),
        ("@id", "0f3b6c1e-2d77-4f4c-9a39-2b8f6c1d0e55"),
        ("status", "503"),
        ("response_flags", "UF,URX"),
        ("bytes_in", "0"),
        ("bytes", "91"),
        ("upstream_ms", "11"),
        ("forwarded_for", "192.0.2.7"),
        ("user_agent", "curl/8"),
        ("http_host", "shop.example"),
        ("upstream", "10.0.0.9:8080"),
    ];
    check(&format!("{head} 503 UF,URX {tail}"), "envoy-access", &known);
    for (details, fields) in [
        (
            r#"via_upstream - "-""#,
            [
                ("response_details", "via_upstream"),
                ("termination_details", ""),
                ("transport_failure", ""),
            ],
        ),
        (
            r#"upstream_reset{x} a b "TLS error: 1 2""#,
            [
                ("response_details", "upstream_reset{x}"),
                ("termination_details", "a b"),
                ("transport_failure", "TLS error: 1 2"),
            ],
        ),
        (
            r#""-" "delayed""#,
            [
                ("response_details", ""),
                ("termination_details", ""),
                ("transport_failure", "delayed"),
            ],
        ),
    ] {
        let line = format!("{head} 503 UF,URX {details} {tail} {istio}");
        check(&line, "envoy-access", &known);
        check(&line, "envoy-access", &fields);
        check(
            &line,
            "envoy-access",
            &[
                ("client", "10.0.0.3"),
                ("client_port", "55"),
                ("sni", "sni.example"),
                ("route", "default"),
                (
                    "upstream_cluster",
                    "outbound|80||shop.default.svc.cluster.local",
                ),
            ],
        );
    }
}

#[test]
fn tcp_quotes_and_missing_values() {
    for (line, fields) in [
        (
            r#"[2024-05-01T08:00:00.123Z] "- - -" 0 UF,URX - - "-" 0 0 5 - "-" "-" "-" "-" "10.0.0.9:1" outbound|1||x - 10.0.0.2:1 10.0.0.3:55 - -"#,
            &[
                ("@level", "WARNING"),
                ("@message", "- - -"),
                ("upstream", "10.0.0.9:1"),
                ("client", "10.0.0.3"),
            ][..],
        ),
        (
            r#"[2024-05-01T08:00:00.123Z] "- - -" 0 - 10 20 5 - "-" "-" "-" "-" "10.0.0.9:1""#,
            &[("@level", "INFO"), ("bytes", "20")],
        ),
        (
            r#"[2024-05-01T08:00:00.123Z] "GET /a"b HTTP/2" 404 NR 0 0 0 - "-" "x" 1 "y" z" "id-1" "h" "-""#,
            &[
                ("@message", r#"GET /a"b HTTP/2"#),
                ("user_agent", r#"x" 1 "y" z"#),
                ("@id", "id-1"),
                ("http_host", "h"),
                ("@level", "WARNING"),
            ],
        ),
        (
            r#"[2024-05-01T08:00:00.123Z] "GET /" 200 - HTTP/2" 404 NR 0 0 0 - "-" "x" "-" "h" "-""#,
            &[("status", "404"), ("@id", "")],
        ),
    ] {
        check(line, "envoy-access", fields);
    }
}
