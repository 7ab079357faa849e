//! Columns by their head and by default.

use super::super::web::testing::{check, field, read};

#[test]
fn iis() {
    let head = "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2024-05-01 08:00:00\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n";
    let line = "2024-05-01 08:00:01 10.0.0.1 GET /a.aspx x=1&y=2 443 SHOP\\bob 192.0.2.7 Mozilla/5.0+(X11) - 503 0 64 1500";
    let fields = [
        ("@time", "2024-05-01T08:00:01.000000Z"),
        ("@level", "ERROR"),
        ("@message", "GET /a.aspx?x=1&y=2"),
        ("@user", "SHOP\\bob"),
        ("@ms", "1500"),
        ("client", "192.0.2.7"),
        ("path", "/a.aspx"),
        ("query", "x=1&y=2"),
        ("status", "503"),
        ("win32_status", "64"),
        ("user_agent", "Mozilla/5.0+(X11)"),
    ];
    check(&format!("{head}{line}"), "w3c", &fields);
    check(line, "w3c", &fields);
    check(&line.replace(" - 503", " 503"), "w3c", &fields);
    // Another order, and another after a restart.
    let (_, entries) = read(&format!(
        "{head}{line}\n#Version: 1.0\n#Fields: time c-ip sc-status cs-uri-stem\n#Date: 2024-05-02 00:00:00\n08:00:03 192.0.2.8 404 /b\n"
    ));
    assert_eq!(entries.len(), 2);
    assert_eq!(field(&entries[1], "@time"), "2024-05-02T08:00:03.000000Z");
    assert_eq!(field(&entries[1], "client"), "192.0.2.8");
    assert_eq!(field(&entries[1], "@message"), "/b");
}

#[test]
fn cloudfront_firewall_and_others() {
    let head = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query x-edge-request-id time-taken cs-protocol-version\n";
    let line = "2024-05-01\t08:00:01\tFRA2-C1\t512\t2001:db8::7\tGET\td1.cloudfront.net\t/b.jpg\t403\t-\tcurl%208\t-\tPz-E4N==\t0.002\tHTTP/2.0";
    check(
        &format!("{head}{line}"),
        "w3c",
        &[
            ("@time", "2024-05-01T08:00:01.000000Z"),
            ("@level", "WARNING"),
            ("@id", "Pz-E4N=="),
            ("@ms", "2"),
            ("client", "2001:db8::7"),
            ("http_host", "d1.cloudfront.net"),
            ("@message", "GET /b.jpg HTTP/2.0"),
            ("x-edge-location", "FRA2-C1"),
        ],
    );
    check(
        &format!("{head}{}", line.replace("\t0.002", "\t3")),
        "w3c",
        &[("@ms", "3000")],
    );
    let firewall = "#Version: 1.5\n#Software: Microsoft Windows Firewall\n#Time Format: Local\n#Fields: date time action protocol src-ip dst-ip src-port dst-port size\n2024-05-01 08:00:01 DROP TCP 192.0.2.7 10.0.0.1 555 22 0";
    check(
        firewall,
        "w3c",
        &[
            ("client", "192.0.2.7"),
            ("action", "DROP"),
            ("server_port", "22"),
            ("@level", "WARNING"),
            ("protocol", "TCP"),
        ],
    );
    let quoted = "#Fields: date time c-ip cs(User-Agent) sc-status\n2024-05-01 08:00:01 192.0.2.7 \"a b\" 200";
    check(quoted, "w3c", &[("user_agent", "a b"), ("status", "200")]);
}

#[test]
fn exchange() {
    let line = "2024-05-01T08:00:00.052Z,192.0.2.7,mx1,\"a, b\",RECEIVE";
    let text = format!(
        "#Software: Microsoft Exchange Server\n#Version: 15.0.0.0\n#Log-type: Message Tracking Log\n#Date: 2024-05-01T00:00:00.000Z\n#Fields: date-time,client-ip,server-hostname,source-context,event-id\n{line}"
    );
    let fields = [
        ("@time", "2024-05-01T08:00:00.052000Z"),
        ("client", "192.0.2.7"),
        ("source-context", "a, b"),
        ("event-id", "RECEIVE"),
        ("@message", line),
    ];
    check(&text, "w3c", &fields);
}

#[test]
fn other_text_is_not_taken() {
    for text in [
        "2024-05-01 08:00:01 INFO GET /a.aspx - 443 - 192.0.2.7 Mozilla - 503 0 64 1500",
        "#Fields: date time c-ip\n2024-05-01 08:00:01 started the server at port 80",
        "#Fields: date time c-ip sc-status\n2024-05-01 08:00:01 192.0.2.1 twenty",
        "2024-05-01 08:00:01 10.0.0.1 connected",
    ] {
        assert_ne!(read(text).0, "w3c", "{text}");
    }
}
