//! Application, classic and network load balancers.

use super::super::super::web::testing::{check, read};

#[test]
fn application() {
    let head = "https 2024-05-12T06:41:30.135052Z app/shop-lb/a32a5528b8fdaa6b 192.0.2.7:50599 10.0.0.5:80";
    let line = format!(
        r#"{head} 0.001 0.052 0.000 502 200 589 2084 "POST https://shop.example:443/api/pay?x=1 HTTP/1.1" "curl/7 "x" - - - y" ECDHE-RSA TLSv1.2 arn:aws:x "Self=1-2-3;Root=1-605112f0-31f3" "shop.example" "arn:aws:acm:x" 0 2024-05-12T06:41:30.081000Z "waf,forward" "-" "-" "10.0.0.5:80" "200" "-" "-" TID_7 "new" "field""#
    );
    let fields = [
        ("@time", "2024-05-12T06:41:30.135052Z"),
        ("@level", "ERROR"),
        (
            "@message",
            "POST https://shop.example:443/api/pay?x=1 HTTP/1.1",
        ),
        ("@ms", "53"),
        ("@id", "1-605112f0-31f3"),
        ("client", "192.0.2.7"),
        ("client_port", "50599"),
        ("upstream", "10.0.0.5:80"),
        ("status", "502"),
        ("upstream_status", "200"),
        ("bytes_in", "589"),
        ("bytes", "2084"),
        ("user_agent", r#"curl/7 "x" - - - y"#),
        ("tls_protocol", "TLSv1.2"),
        ("sni", "shop.example"),
        ("actions", "waf,forward"),
        ("connection_trace_id", "TID_7"),
        ("rest", r#""new" "field""#),
    ];
    check(&line, "aws-elb", &fields);
    let odd = r#"http 2024-05-12T06:41:29.051646Z app/a/3 2001:db8::1:41542 - -1 -1 -1 301 - 233 390 "GET http://127.0.0.1:80/x" "y" z 200 HTTP/1.1" "Hello, world" - - - "-" "-" "-" 0 2024-05-12T06:41:29.051000Z "redirect" "-" "-" "-" "-" "Acceptable" "SpaceInUri""#;
    check(
        odd,
        "aws-elb",
        &[
            ("client", "2001:db8::1"),
            ("@ms", ""),
            ("status", "301"),
            ("path", r#"http://127.0.0.1:80/x" "y" z 200"#),
            ("user_agent", "Hello, world"),
            ("classification_reason", "SpaceInUri"),
        ],
    );
}

#[test]
fn classic_and_network() {
    let head =
        "2024-05-13T23:39:43.945958Z my-lb 192.0.2.7:2817 10.0.0.1:80 0.000073 0.001048 0.000057";
    check(
        &format!(r#"{head} 404 404 0 29 "GET http://www.example:80/ HTTP/1.1" "curl/7.38.0" - -"#),
        "aws-elb",
        &[
            ("@level", "WARNING"),
            ("@ms", "1.178"),
            ("client", "192.0.2.7"),
            ("load_balancer", "my-lb"),
            ("user_agent", "curl/7.38.0"),
        ],
    );
    check(
        &format!(r#"{head} 200 200 0 29 "GET http://www.example:80/ HTTP/1.1""#),
        "aws-elb",
        &[("status", "200")],
    );
    check(
        &format!(r#"{head} - - 82 305 "- - - " "-" - -"#),
        "aws-elb",
        &[("status", ""), ("bytes", "305")],
    );
    let tls = "tls 2.0 2024-12-20T02:59:40 net/my-nlb/c6e7 g3d4 192.0.2.7:51341 10.0.0.1:443 5 2 98 246 - arn:aws:acm:x - ECDHE-RSA tlsv12 - shop.example - - - 2024-12-20T02:59:30";
    check(
        tls,
        "aws-elb",
        &[
            ("@time", "2024-12-20T02:59:40.000000Z"),
            ("@ms", "5"),
            ("client", "192.0.2.7"),
            ("bytes", "246"),
            ("sni", "shop.example"),
            ("tls_cipher", "ECDHE-RSA"),
            ("@message", tls),
        ],
    );
    for line in [
        "http 2024 is a year",
        "https://shop.example/ is down",
        "2024-05-13T23:39:43.945958Z INFO 10.0.0.1:80 listens",
    ] {
        assert_ne!(read(line).0, "aws-elb", "{line}");
    }
}
