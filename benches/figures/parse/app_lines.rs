//! Lines of the database, application and container formats.

use std::fmt::Write as _;

use super::lines::{MESSAGES, Maker, PATHS, address, clock};

const LEVELS: [&str; 6] = ["INFO", "INFO", "INFO", "DEBUG", "WARNING", "ERROR"];
const LOGGERS: [&str; 4] = [
    "shop.orders.views",
    "shop.cart",
    "django.request",
    "payments.gateway.client",
];
const STATEMENTS: [&str; 3] = [
    "SELECT o.id, o.total, o.state FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email = $1 ORDER BY o.id DESC LIMIT 20",
    "UPDATE carts SET updated_at = now(), items = items + 1 WHERE id = $1",
    "INSERT INTO payments (order_id, amount, currency) VALUES ($1, $2, $3)",
];

pub const MAKERS: &[(&str, Maker)] = &[
    ("json", |out, random, index| {
        _ = write!(
            out,
            "{{\"timestamp\":\"2026-11-22T{}.{:06}Z\",\"level\":\"{}\",\"logger\":\"{}\",\"message\":\"{}\",\"module\":\"views\",\"function\":\"checkout\",\"line\":{},\"request_id\":\"{}\",\"user_id\":{},\"path\":\"{}\",\"status\":200,\"duration_ms\":{}.5}}",
            clock(index),
            random.below(1_000_000),
            random.pick(&LEVELS),
            random.pick(&LOGGERS),
            random.pick(&MESSAGES),
            random.below(900),
            random.hex(),
            random.below(90_000),
            random.pick(&PATHS),
            random.below(900)
        );
    }),
    ("logfmt", |out, random, index| {
        _ = write!(
            out,
            "time=\"2026-11-22T{}Z\" level={} msg=\"{}\" component=api request_id={} user_id=u{} path={} status=200 duration_ms={}",
            clock(index),
            random.pick(&LEVELS),
            random.pick(&MESSAGES),
            random.hex(),
            random.below(9_000),
            random.pick(&PATHS),
            random.below(900)
        );
    }),
    ("docker-json", |out, random, index| {
        _ = write!(
            out,
            "{{\"log\":\"2026-11-22 {},{:03} - {} - {} - {}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-22T{}.{:09}Z\"}}",
            clock(index),
            random.below(1_000),
            random.pick(&LOGGERS),
            random.pick(&LEVELS),
            random.pick(&MESSAGES),
            clock(index),
            random.below(1_000_000_000)
        );
    }),
    ("cri", |out, random, index| {
        _ = write!(
            out,
            "2026-11-22T{}.{:09}Z stdout F {{\"level\":\"{}\",\"msg\":\"{}\",\"request_id\":\"{}\"}}",
            clock(index),
            random.below(1_000_000_000),
            random.pick(&LEVELS),
            random.pick(&MESSAGES),
            random.hex()
        );
    }),
    ("postgresql", |out, random, index| {
        _ = write!(
            out,
            "2026-11-22 {}.{:03} UTC [{}] shop@orders LOG:  duration: {}.{:03} ms  statement: {}",
            clock(index),
            random.below(1_000),
            random.below(30_000),
            random.below(900),
            random.below(1_000),
            random.pick(&STATEMENTS)
        );
    }),
    ("postgresql-csv", |out, random, index| {
        _ = write!(
            out,
            "2026-11-22 {}.{:03} UTC,\"shop\",\"orders\",{},\"{}:42304\",65f1c2d3.{:x},{index},\"SELECT\",2026-11-22 00:00:00 UTC,3/81,0,LOG,00000,\"duration: {}.189 ms  statement: {}\",,,,,,,,,\"psql\"",
            clock(index),
            random.below(1_000),
            random.below(30_000),
            address(random),
            random.below(65_000),
            random.below(900),
            random.pick(&STATEMENTS)
        );
    }),
    ("postgresql-json", |out, random, index| {
        _ = write!(
            out,
            "{{\"timestamp\":\"2026-11-22 {}.{:03} UTC\",\"user\":\"shop\",\"dbname\":\"orders\",\"pid\":{},\"session_id\":\"667c8f67.e327\",\"line_num\":{index},\"vxid\":\"21/52610848\",\"txid\":0,\"error_severity\":\"LOG\",\"message\":\"duration: {}.5 ms  statement: {}\",\"backend_type\":\"client backend\",\"query_id\":0}}",
            clock(index),
            random.below(1_000),
            random.below(30_000),
            random.below(900),
            random.pick(&STATEMENTS)
        );
    }),
    ("mysql-error", |out, random, index| {
        _ = write!(
            out,
            "2026-11-22T{}.{:06}Z {} [Warning] [MY-010068] [Server] {}",
            clock(index),
            random.below(1_000_000),
            random.below(90),
            random.pick(&MESSAGES)
        );
    }),
    ("mysql-slow", |out, random, index| {
        _ = write!(
            out,
            "# Time: 2026-11-22T{}.{:06}Z\n# User@Host: shop[shop] @ localhost [{}]  Id: {index}\n# Query_time: {}.{:06}  Lock_time: 0.000287 Rows_sent: 10  Rows_examined: {}\nSET timestamp=1795314069;\n{};",
            clock(index),
            random.below(1_000_000),
            address(random),
            random.below(20),
            random.below(1_000_000),
            random.below(3_000_000),
            random.pick(&STATEMENTS)
        );
    }),
    ("python", |out, random, index| {
        _ = write!(
            out,
            "2026-11-22 {},{:03} - {} - {} - {}",
            clock(index),
            random.below(1_000),
            random.pick(&LOGGERS),
            random.pick(&LEVELS),
            random.pick(&MESSAGES)
        );
    }),
    ("log4j", |out, random, index| {
        _ = write!(
            out,
            "2026-11-22 {},{:03} [http-nio-8080-exec-{}] {} com.example.{} - {}",
            clock(index),
            random.below(1_000),
            random.below(200),
            random.pick(&LEVELS),
            random.pick(&LOGGERS),
            random.pick(&MESSAGES)
        );
    }),
    ("humanlog", |out, random, index| {
        _ = write!(
            out,
            "Nov 22 {} |INFO| {} request_id={} status={}",
            clock(index),
            random.pick(&MESSAGES),
            random.hex(),
            random.below(600)
        );
    }),
    ("structlog", |out, random, index| {
        _ = write!(
            out,
            "2026-11-22 {} [info    ] {}                     {{\"duration_ms\":{},\"request_id\":\"req-{}\"}}",
            clock(index),
            random.pick(&MESSAGES),
            random.below(1_000),
            random.hex()
        );
    }),
];
