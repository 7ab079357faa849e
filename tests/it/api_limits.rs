//! R37, R38: what one may have of the API, and that those who take too much harm nobody.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rand::RngExt as _;

use crate::api_client::{Api, Reply, token};
use crate::serving::{home, wait_for};

/// How many requests one token may make is kept over a kill, and no header makes another one of it.
#[test]
fn more_than_the_limit_is_refused_also_after_a_restart() {
    let most = rand::rng().random_range(3..12);
    println!("most {most}");
    let home = home(&format!(
        "[api.limits]\nper_minute = {most}\nper_hour = 1000\n"
    ));
    let read = token(home.path(), "read");
    let mut api = Api::start(home.path());
    let bearer = format!("Bearer {read}");
    let ask = |api: &Api, forged: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-forwarded-for", forged),
        ];
        api.ask("GET", "/api/alerts", &headers, "")
    };
    for number in 1..=most {
        let reply = ask(&api, &format!("10.0.0.{number}"));
        assert_eq!(reply.status, 200, "{number}");
        assert_eq!(reply.header("x-ratelimit-limit").unwrap(), most.to_string());
        let left = (most - number).to_string();
        assert_eq!(reply.header("x-ratelimit-remaining").unwrap(), left);
    }
    let refused = ask(&api, "10.0.1.1");
    assert_eq!(refused.status, 429, "{}", refused.text());
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(refused.json()["code"], "too_many_requests");
    let other = token(home.path(), "read");
    assert_eq!(
        api.get("/api/alerts", &other).status,
        200,
        "another token's"
    );
    wait_for("what is counted to be written down", || {
        let path = home.path().join(".local/share/atalaya/api-limits.json");
        let text = std::fs::read_to_string(path).ok()?;
        (text.matches(',').count() + 1 >= most).then_some(())
    });
    api.kill();
    let api = Api::start(home.path());
    assert_eq!(
        ask(&api, "10.0.2.1").status,
        429,
        "a restart forgets nothing"
    );
}

#[test]
fn who_goes_on_failing_has_to_wait_and_a_valid_token_does_not() {
    let home = home("[api.limits]\nfailures_per_minute = 5\n");
    let read = token(home.path(), "read");
    let api = Api::start(home.path());
    let wrong = [
        String::new(),
        "Basic YTpi".to_owned(),
        "Bearer ".to_owned(),
        "Bearer atl_0_0".to_owned(),
        format!("Bearer {}0", &read[..read.len() - 1]),
    ];
    for (number, header) in wrong.iter().enumerate() {
        let forged = format!("192.0.2.{number}");
        let headers = [
            ("authorization", header.as_str()),
            ("x-forwarded-for", &forged),
        ];
        assert_eq!(
            api.ask("GET", "/api/alerts", &headers, "").status,
            401,
            "{header}"
        );
    }
    let refused = api.ask("GET", "/api/alerts", &[], "");
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(api.get("/api/alerts", &read).status, 200);
    assert_eq!(api.ask("GET", "/healthz", &[], "").status, 200);
}

/// R37: heads and bodies that come slowly or never hold up nobody, and are gone.
#[test]
fn slow_clients_shut_nobody_out() {
    let home = home(
        "[api.limits]\nper_minute = 0\nper_hour = 0\nheader_seconds = 2\nrequest_seconds = 3\n",
    );
    let read = token(home.path(), "read");
    let api = Api::start(home.path());
    let slow_heads: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = api.connect();
            let _ = stream.write_all(b"GET /api/alerts HTTP/1.1\r\nhost: x\r\nx-a: ");
            stream
        })
        .collect();
    let head = format!(
        "POST /api/alerts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {read}\r\ncontent-length: 1000\r\n\r\nabc"
    );
    let slow_bodies: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = api.connect();
            let _ = stream.write_all(head.as_bytes());
            stream
        })
        .collect();
    for _ in 0..30 {
        assert_eq!(api.get("/api/alerts", &read).status, 200);
    }
    // Reading ends only when the server ends it.
    for mut stream in slow_heads {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    let ends: Vec<u16> = slow_bodies
        .into_iter()
        .map(|stream| Reply::read(stream).status)
        .collect();
    assert!(
        ends.iter().all(|status| matches!(status, 408 | 0)),
        "{ends:?}"
    );
    assert_eq!(api.get("/api/alerts", &read).status, 200);
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    let home = home("[api.limits]\nper_minute = 0\nper_hour = 0\n");
    let read = token(home.path(), "read");
    let api = Api::start(home.path());
    let bearer = format!("Bearer {read}");
    let stated = format!(
        "POST /api/alerts HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ncontent-length: 1073741824\r\n\r\nx"
    );
    let reply = api.raw(stated.as_bytes());
    assert_eq!(reply.status, 413, "{}", reply.head);
    // The same without saying how much it is: chunks of 64 KiB until it is refused.
    let mut stream = api.connect();
    let head = format!(
        "POST /api/alerts HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b'['; 0x10000], b"\r\n".to_vec()].concat();
    let sent = (0..1_000)
        .take_while(|_| stream.write_all(&chunk).is_ok())
        .count();
    assert!(sent < 1_000, "64 MB were taken");
    let many: String = (0..100)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    let lines = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    assert_eq!(api.raw(lines.as_bytes()).status, 431);
    let long = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(32 << 10)
    );
    assert_eq!(api.raw(long.as_bytes()).status, 431);
    for rubbish in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let status = api.raw(rubbish).status;
        assert!(status == 400 || status == 505 || status == 0, "{status}");
    }
    assert_eq!(api.ask("GET", "/healthz", &[], "").status, 200);
}

/// Ten thousand connections, of which nothing comes.
#[test]
fn connections_without_number_leave_room() {
    let home = home("[api.limits]\nper_minute = 0\nper_hour = 0\n");
    let read = token(home.path(), "read");
    let api = Api::start(home.path());
    let mut held = std::collections::VecDeque::new();
    for number in 0..10_000 {
        if let Ok(stream) = TcpStream::connect(&api.address) {
            held.push_back(stream);
        }
        // This process may not have so many files open.
        if held.len() > 200 {
            held.pop_front();
        }
        if number % 1_000 == 0 {
            assert_eq!(api.get("/api/alerts", &read).status, 200, "after {number}");
        }
    }
    assert_eq!(api.get("/api/alerts", &read).status, 200);
}
