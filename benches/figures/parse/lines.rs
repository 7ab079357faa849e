//! Realistic lines of every format, with fields that vary from line to line.

use std::fmt::Write as _;

/// Appends one record, without the last line feed.
pub type Maker = fn(&mut String, &mut Random, usize);

/// A small generator, so that every run measures the same bytes (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    pub fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    pub fn hex(&mut self) -> String {
        (0..4)
            .map(|_| format!("{:08x}", self.below(u32::MAX as usize)))
            .collect()
    }
}

pub const PATHS: [&str; 8] = [
    "/",
    "/cart",
    "/checkout",
    "/static/app.4f2c91.js",
    "/api/v1/orders",
    "/api/v1/products/search?q=red+shoes&page=2",
    "/images/banner.webp",
    "/account/settings",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "curl/8.5.0",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
];
const STATUS: [&str; 8] = ["200", "200", "200", "200", "304", "404", "301", "502"];
pub const MESSAGES: [&str; 4] = [
    "connection from peer accepted after handshake",
    "request finished, nothing left in the queue",
    "cache entry expired and was fetched again from the origin",
    "retrying in 250 ms because the upstream was busy",
];

/// What makes lines for a format; `None` for one that has none here.
pub fn maker(format: &str) -> Option<Maker> {
    MAKERS
        .iter()
        .chain(super::app_lines::MAKERS)
        .find(|(name, _)| *name == format)
        .map(|(_, make)| *make)
}

const MAKERS: &[(&str, Maker)] = &[
    // A quarter with request time and request id behind, as sites that trace requests log them.
    ("nginx-access", |out, random, index| {
        combined(out, random, index);
        if index.is_multiple_of(4) {
            _ = write!(out, " 0.{:03} {}", random.below(1_000), random.hex());
        }
    }),
    ("apache-access", |out, random, index| {
        out.push_str("www.example.com:443 ");
        combined(out, random, index);
    }),
    ("traefik-access", |out, random, index| {
        combined(out, random, index);
        _ = write!(
            out,
            " {index} \"web@docker\" \"http://10.0.0.{}:8080\" {}ms",
            random.below(250),
            random.below(900)
        );
    }),
    ("nginx-error", |out, random, index| {
        _ = write!(
            out,
            "2026/11/22 {} [error] 31#31: *{index} open() \"/srv/www{}\" failed (2: No such file or directory), client: {}, server: shop.example.com, request: \"GET {} HTTP/1.1\", host: \"shop.example.com\"",
            clock(index),
            random.pick(&PATHS),
            address(random),
            random.pick(&PATHS)
        );
    }),
    ("apache-error", |out, random, index| {
        _ = write!(
            out,
            "[Sun Nov 22 {}.{:06} 2026] [core:error] [pid {}:tid 140213] [client {}:51234] AH00128: File does not exist: /srv/www{}",
            clock(index),
            random.below(1_000_000),
            random.below(30_000),
            address(random),
            random.pick(&PATHS)
        );
    }),
    ("journald", |out, random, index| {
        _ = write!(
            out,
            "{{\"__REALTIME_TIMESTAMP\":\"1795314069{:06}\",\"__MONOTONIC_TIMESTAMP\":\"{index}\",\"_BOOT_ID\":\"0dc874d3fbd44bdbb6fbcfaa27481492\",\"PRIORITY\":\"{}\",\"_HOSTNAME\":\"web-1\",\"SYSLOG_IDENTIFIER\":\"worker\",\"_PID\":\"{}\",\"_UID\":\"0\",\"_COMM\":\"worker\",\"_SYSTEMD_UNIT\":\"worker.service\",\"_TRANSPORT\":\"stdout\",\"MESSAGE\":\"{}\"}}",
            random.below(1_000_000),
            random.below(8),
            random.below(30_000),
            random.pick(&MESSAGES)
        );
    }),
    ("elasticsearch", |out, random, index| {
        _ = write!(
            out,
            "[2026-11-22T{},{:03}][INFO ][o.e.c.m.MetaDataMappingService] [node-{}] [orders-2026/aOGgDwbURfCV57AScqbCgw] {}",
            clock(index),
            random.below(1_000),
            random.below(9),
            random.pick(&MESSAGES)
        );
    }),
    ("uwsgi", |out, random, index| {
        _ = write!(
            out,
            "[pid: {}|app: 0|req: 1/{index}] {} () {{38 vars in 696 bytes}} [Sun Nov 22 {} 2026] POST {} => generated 47 bytes in {} msecs (HTTP/1.1 200) 9 headers in 378 bytes (1 switches on core 3)",
            random.below(90_000),
            address(random),
            clock(index),
            random.pick(&PATHS),
            random.below(500)
        );
    }),
    ("glog", |out, random, index| {
        _ = write!(
            out,
            "I20261122 {}.{:06} {} server.cc:{}] {}",
            clock(index),
            random.below(1_000_000),
            random.below(90_000),
            random.below(900),
            random.pick(&MESSAGES)
        );
    }),
    ("syslog", |out, random, index| {
        _ = write!(
            out,
            "Nov 22 {} web-{} worker[{}]: {} ({index})",
            clock(index),
            random.below(9),
            random.below(30_000),
            random.pick(&MESSAGES)
        );
    }),
    ("dpkg", |out, random, index| {
        _ = write!(
            out,
            "2026-11-22 {} status installed libexample{}:amd64 1.{}-1",
            clock(index),
            random.below(99),
            random.below(30)
        );
    }),
    ("docker-compose", |out, random, index| {
        _ = write!(
            out,
            "web-{}  | 2026-11-22T{}.{:09}Z {}",
            random.below(9),
            clock(index),
            random.below(1_000_000_000),
            random.pick(&MESSAGES)
        );
    }),
    ("plain", |out, random, index| {
        _ = write!(
            out,
            "2026-11-22 {}.{:03} INFO worker-{} {}",
            clock(index),
            random.below(1_000),
            random.below(9),
            random.pick(&MESSAGES)
        );
    }),
];

/// A combined access line.
fn combined(out: &mut String, random: &mut Random, index: usize) {
    _ = write!(
        out,
        "{} - - [22/Nov/2026:{} +0000] \"GET {} HTTP/1.1\" {} {} \"https://shop.example.com{}\" \"{}\"",
        address(random),
        clock(index),
        random.pick(&PATHS),
        random.pick(&STATUS),
        random.below(90_000),
        random.pick(&PATHS),
        random.pick(&AGENTS)
    );
}

pub fn address(random: &mut Random) -> String {
    format!(
        "{}.{}.{}.{}",
        1 + random.below(220),
        random.below(256),
        random.below(256),
        random.below(256)
    )
}

/// A second of the day, advancing every 20 lines.
pub fn clock(index: usize) -> String {
    let second = index / 20;
    format!(
        "{:02}:{:02}:{:02}",
        second / 3_600 % 24,
        second / 60 % 60,
        second % 60
    )
}
