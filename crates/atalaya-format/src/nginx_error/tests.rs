//! What strangers type never becomes what nginx appended.

use super::super::web::testing::check;

const TAIL: &str =
    r#", client: 192.0.2.2, server: shop, request: "GET /a HTTP/1.1", host: "shop.example:80""#;

#[test]
fn the_last_of_the_names_in_order_counts() {
    let fake = r#", client: 127.0.0.1, server: a, request: "GET / HTTP/1.1", host: "h""#;
    for message in [
        format!(
            r#"*3 user "x": password mismatch{fake}": was not found in "/etc/nginx/users"{TAIL}"#
        ),
        format!(
            r#"*3 user "x" was not found in "/etc/nginx/users"{fake}": password mismatch{TAIL}"#
        ),
        format!(r#"*3 user "x{fake}, referrer: "z": password mismatch{TAIL}"#),
        format!(r#"*3 open() "/srv/x{fake}" failed (2: No such file or directory){TAIL}"#),
        format!(
            r#"*3 open() "/srv/x{fake}, referrer: "" failed (2: No such file or directory){TAIL}"#
        ),
        format!(r#"*3 directory index of "/srv/{fake}/" is forbidden{TAIL}"#),
        format!(
            r#"*3 FastCGI sent in stderr: "PHP message: {fake}" while reading response header from upstream{TAIL}"#
        ),
        format!(
            r#"*3 connect() failed (111: Connection refused) while connecting to upstream{TAIL}, referrer: "http://r/"{fake}""#
        ),
        format!(
            r#"*3 open() "/srv/x" failed (2: No such file or directory){TAIL}, referrer: "http://r/"{fake}, referrer: "x""#
        ),
        format!(
            "*3 upstream timed out (110: Connection timed out) while reading response header from upstream{TAIL}"
        ),
    ] {
        let line = format!("2024/05/01 08:00:00 [error] 7#9: {message}");
        let fields = [
            ("client", "192.0.2.2"),
            ("server", "shop"),
            ("request", "GET /a HTTP/1.1"),
            ("http_host", "shop.example:80"),
            ("connection", "3"),
            ("@level", "ERROR"),
        ];
        check(&line, "nginx-error", &fields);
    }
}

#[test]
fn quotes_and_names_within_a_request() {
    for (request, upstream) in [
        (r#"GET /a"b HTTP/1.1"#, "http://10.0.0.1:80/a\"b"),
        (
            r#"GET /", client: 6.6.6.6, server: evil HTTP/1.1"#,
            "http://10.0.0.1:80/",
        ),
        (r#"GET /", host: "evil HTTP/1.1"#, "http://10.0.0.1:80/"),
        (
            r"GET /?a=1, client: 6.6.6.6 HTTP/1.1",
            "fastcgi://unix:/run/php.sock:",
        ),
    ] {
        let line = format!(
            r#"2024/05/01 08:00:00 [error] 7#9: *3 no live upstreams while connecting to upstream, client: 2001:db8::1, server: , request: "{request}", subrequest: "/auth", upstream: "{upstream}", host: "h", referrer: "http://r/""#
        );
        let fields = [
            ("client", "2001:db8::1"),
            ("server", ""),
            ("request", request),
            ("subrequest", "/auth"),
            ("upstream", upstream),
            ("http_host", "h"),
            ("referrer", "http://r/"),
        ];
        check(&line, "nginx-error", &fields);
    }
}

#[test]
fn mail_stream_and_cut_lines() {
    for (message, fields) in [
        (
            "*1 client sent invalid command while in http state, client: 192.0.2.2, server: 0.0.0.0:25",
            &[("client", "192.0.2.2"), ("server", "0.0.0.0:25")][..],
        ),
        (
            r#"*1 auth http server 127.0.0.1 did not send it while in auth http state, client: 192.0.2.2, server: 0.0.0.0:143, login: "bob, client: 6.6.6.6", upstream: 127.0.0.1:144"#,
            &[
                ("client", "192.0.2.2"),
                ("login", "bob, client: 6.6.6.6"),
                ("upstream", "127.0.0.1:144"),
            ],
        ),
        (
            r#"*1 recv() failed (104: Connection reset by peer) while proxying connection, client: 192.0.2.2, server: 0.0.0.0:53, upstream: "10.0.0.1:53", bytes from/to client:0/0, bytes from/to upstream:0/0"#,
            &[("client", "192.0.2.2"), ("upstream", "10.0.0.1:53")],
        ),
        (
            r#"*1 open() "/srv/x" failed (2: No such file or directory), client: 192.0.2.2, server: shop, request: "GET /x"#,
            &[
                ("client", "192.0.2.2"),
                ("server", "shop"),
                ("request", "GET /x"),
            ],
        ),
        (
            "signal process started",
            &[("client", ""), ("@message", "signal process started")],
        ),
    ] {
        check(
            &format!("2024/05/01 08:00:00 [error] 7#9: {message}"),
            "nginx-error",
            fields,
        );
    }
}
