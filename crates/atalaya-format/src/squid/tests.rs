//! Results, peers and URLs.

use super::super::web::testing::check;

#[test]
fn native_lines() {
    for (line, fields) in [
        (
            "1714550400.779    180 192.0.2.224 TCP_MISS/502 411 GET http://www.example/ bob HIER_DIRECT/93.184.216.34 text/html",
            &[
                ("@time", "2024-05-01T08:00:00.779000Z"),
                ("@level", "ERROR"),
                ("@ms", "180"),
                ("@user", "bob"),
                ("@message", "GET http://www.example/"),
                ("client", "192.0.2.224"),
                ("cache_result", "TCP_MISS"),
                ("status", "502"),
                ("bytes", "411"),
                ("upstream", "93.184.216.34"),
                ("hierarchy", "HIER_DIRECT"),
                ("content_type", "text/html"),
            ][..],
        ),
        (
            "1714550400.001      0 2001:db8::1 TCP_DENIED/407 3912 CONNECT shop.example:443 - HIER_NONE/- text/html",
            &[
                ("client", "2001:db8::1"),
                ("@level", "WARNING"),
                ("upstream", ""),
                ("path", "shop.example:443"),
            ],
        ),
        (
            "1714550400.001      0 192.0.2.1 NONE/000 0 NONE error:transaction-end-before-headers - HIER_NONE/- -",
            &[("@level", "INFO"), ("status", "000")],
        ),
        (
            "1714550400.001      0 192.0.2.1 TCP_MISS/200 9 GET http://x/a b c - DIRECT/x text/html [User-Agent: a] []",
            &[("path", "http://x/a b c"), ("rest", "[User-Agent: a] []")],
        ),
    ] {
        check(line, "squid-access", fields);
    }
}
