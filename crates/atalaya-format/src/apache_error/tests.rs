//! Clients before and behind the number of an error.

use super::super::web::testing::check;

#[test]
fn clients_of_all_kinds() {
    for (rest, client, port, message) in [
        (
            "[client [2001:db8::1]:51548] AH01630: denied",
            "2001:db8::1",
            "51548",
            "AH01630: denied",
        ),
        (
            "[client 2001:db8::1:51548] AH01630: denied",
            "2001:db8::1",
            "51548",
            "AH01630: denied",
        ),
        (
            "[client 192.0.2.5:59307] AH01630: denied",
            "192.0.2.5",
            "59307",
            "AH01630: denied",
        ),
        (
            "[remote 192.0.2.5:443] AH01630: denied",
            "192.0.2.5",
            "443",
            "AH01630: denied",
        ),
        (
            "[client 192.0.2.5:1] [client 6.6.6.6:2] x",
            "192.0.2.5",
            "1",
            "[client 6.6.6.6:2] x",
        ),
        (
            "(70008)Partial results are valid but processing is incomplete: [client 192.0.2.5:59307] AH01075: Error",
            "192.0.2.5",
            "59307",
            "(70008)Partial results are valid but processing is incomplete: [client 192.0.2.5:59307] AH01075: Error",
        ),
        (
            "(20014)Internal error (specific information not available): [client [::1]:7] AH01102: error",
            "::1",
            "7",
            "(20014)Internal error (specific information not available): [client [::1]:7] AH01102: error",
        ),
        (
            "mod_authz_core.c(817): [client 192.0.2.5:59307] AH01626: result",
            "192.0.2.5",
            "59307",
            "mod_authz_core.c(817): [client 192.0.2.5:59307] AH01626: result",
        ),
        (
            "(111)Connection refused: AH00957: HTTP: attempt to connect failed",
            "",
            "",
            "(111)Connection refused: AH00957: HTTP: attempt to connect failed",
        ),
        (
            "AH00489: Apache configured -- [client 6.6.6.6:2]",
            "",
            "",
            "AH00489: Apache configured -- [client 6.6.6.6:2]",
        ),
    ] {
        let line =
            format!("[Wed May 01 22:11:44.147674 2024] [proxy:error] [pid 17540:tid 1] {rest}");
        let fields = [
            ("client", client),
            ("client_port", port),
            ("@message", message),
            ("@level", "ERROR"),
            ("pid", "17540"),
            ("tid", "1"),
        ];
        check(&line, "apache-error", &fields);
    }
}

#[test]
fn older_and_other_brackets() {
    check(
        "[Wed May 01 22:11:44 2024] [error] [client 2001:db8::5:1] File does not exist: /srv/x, referer: http://r/, referer: x",
        "apache-error",
        &[
            ("client", "2001:db8::5:1"),
            ("client_port", ""),
            ("referrer", "x"),
            (
                "@message",
                "File does not exist: /srv/x, referer: http://r/, referer: x",
            ),
        ],
    );
    check(
        "[Wed May 01 22:11:44 2024] [a:warn] [pid 3] [client 192.0.2.5:9] [host shop.example] [unique-id Zx-7] AH00128: gone",
        "apache-error",
        &[
            ("http_host", "shop.example"),
            ("@id", "Zx-7"),
            ("code", "AH00128"),
            ("@level", "WARNING"),
            ("@message", "AH00128: gone"),
        ],
    );
    check(
        "[Wed May 01 22:11:44.1 2024] [security2:error] [pid 1:tid 2] [client 192.0.2.5:9] [client 192.0.2.5] ModSecurity: Warning. [uri \"/x\"] [unique_id \"Zx@7\"], referer: http://r/",
        "apache-error",
        &[
            ("@id", "Zx@7"),
            ("client", "192.0.2.5"),
            ("referrer", "http://r/"),
        ],
    );
    check(
        "[Wed May 01 22:11:44.1 2024] [proxy:error] [pid 1:tid 2] (111)Connection refused: AH00957: HTTP: attempt failed",
        "apache-error",
        &[("code", "AH00957")],
    );
}
