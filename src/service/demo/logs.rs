//! The company's log records: requests through nginx, the services and the database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use atalaya_domain::delivery::{Deployment, DeploymentResult};
use atalaya_domain::record::{
    Entry, Frame, Layer, Level, Metadata, Origin, OriginId, RequestId, Text,
};
use atalaya_domain::time::Timestamp;

use super::delivery::{BAD_DEPLOY_AGO, HOTFIX_AGO, History, INCIDENT_AGO};
use super::{DAY, FAILING_REQUEST, HOUR, SERVICES, Service};

/// Mean time between two requests of the dense hours.
const REQUEST_EVERY: Duration = Duration::from_millis(4_000);
/// How much of the past has dense traffic.
const DENSE: Duration = Duration::from_secs(6 * 3_600);

const PATHS: [(&str, usize); 6] = [
    ("/cart", 0),
    ("/checkout", 0),
    ("/search?q=lamp", 2),
    ("/product/4711", 2),
    ("/pay", 1),
    ("/session", 0),
];

const POOL_TRACEBACK: &str = "Traceback (most recent call last):\n  File \"shop/checkout.py\", line 88, in place_order\n    with pool.connection() as connection:\n  File \"shop/db.py\", line 31, in connection\n    raise PoolTimeout(f\"no connection within {self.timeout} s\")\nshop.db.PoolTimeout: no connection within 5 s";

/// Collects entries by origin; frames are cut at the end.
#[derive(Default)]
struct Writer {
    entries: BTreeMap<(Layer, &'static str, &'static str), Vec<Entry>>,
}

impl Writer {
    fn add(&mut self, layer: Layer, source: &'static str, host: &'static str, entry: Entry) {
        self.entries
            .entry((layer, source, host))
            .or_default()
            .push(entry);
    }

    fn application(&mut self, service: &Service, entry: Entry) {
        self.add(
            Layer::Application,
            application_source(service),
            service.host,
            entry,
        );
    }

    /// One frame of at most 1,000 entries after the other; positions count from `salt` on, so that
    /// two runs over different times never share an identity.
    fn frames(self, salt: Timestamp) -> Vec<Frame> {
        let mut frames = Vec::new();
        for ((layer, source, host), mut entries) in self.entries {
            entries.sort_by_key(|entry| entry.timestamp);
            let id = OriginId::derive(&[
                b"demo",
                source.as_bytes(),
                host.as_bytes(),
                &salt.micros().to_le_bytes(),
            ]);
            let origin = Arc::new(Origin {
                id,
                layer,
                source: source.into(),
                host: host.into(),
            });
            for (index, entry) in entries.iter_mut().enumerate() {
                entry.position = index as u64;
            }
            let mut from = 0;
            for part in entries.chunks(1_000) {
                let until = from + part.len() as u64;
                frames.push(Frame {
                    origin: Arc::clone(&origin),
                    from,
                    until,
                    entries: part.to_vec(),
                });
                from = until;
            }
        }
        frames
    }
}

fn application_source(service: &Service) -> &'static str {
    match service.name {
        "payments" => "app/payments",
        "catalog" => "app/catalog",
        _ => "app/shop-web",
    }
}

/// Everything up to `now`.
pub fn frames(now: Timestamp, history: &History, random: &mut StdRng) -> Vec<Frame> {
    let mut writer = Writer::default();
    for deployment in &history.deployments {
        deployment_records(deployment, &mut writer);
    }
    let mut at = now.saturating_sub(DAY * 7);
    while at < now {
        let trouble = at >= now.saturating_sub(INCIDENT_AGO) && at < now.saturating_sub(HOTFIX_AGO);
        request(at, trouble, None, &mut writer, random);
        let dense = at >= now.saturating_sub(DENSE);
        at = at.saturating_add(if dense {
            super::about(REQUEST_EVERY, random)
        } else {
            HOUR / 12
        });
    }
    failing_request(now.saturating_sub(INCIDENT_AGO), &mut writer);
    system_records(now, &mut writer);
    writer.frames(now)
}

/// What arrives between two instants of the running demo.
pub fn traffic(from: Timestamp, until: Timestamp, random: &mut StdRng) -> Vec<Frame> {
    let mut writer = Writer::default();
    let mut at = from;
    while at < until {
        request(at, false, Some(until), &mut writer, random);
        at = at.saturating_add(super::about(REQUEST_EVERY / 4, random));
    }
    writer.frames(from)
}

/// One request: nginx, the service that answers, and sometimes the database.
fn request(
    at: Timestamp,
    trouble: bool,
    latest: Option<Timestamp>,
    writer: &mut Writer,
    random: &mut StdRng,
) {
    let id = RequestId::new(format!("req-{:06x}", random.random_range(0..0x00ff_ffff)));
    let (path, owner) = PATHS[random.random_range(0..PATHS.len())];
    let service = &SERVICES[owner];
    let user: Text = random.random_range(1..400).to_string().into();
    let took = random.random_range(4.0_f64..20.0).powi(2);
    let fails = trouble && owner == 0 && random.random_range(0..3) > 0;
    let odd = random.random_range(0..60);
    let status = match (fails, odd) {
        (true, _) => 502,
        (false, 0) => 404,
        (false, 1) => 500,
        _ => 200,
    };
    let step = |micros: u64| {
        let stamp = at.saturating_add(Duration::from_micros(micros));
        latest.map_or(stamp, |latest| stamp.min(latest))
    };
    let logger = service.loggers[random.random_range(0..3)];
    let own = |micros: u64, level: Level, message: String| Entry {
        timestamp: step(micros),
        level,
        logger: Some(logger.into()),
        message: message.into(),
        request_id: Some(id.clone()),
        user_id: Some(user.clone()),
        session_id: Some(format!("s-{user}").into()),
        ..Entry::default()
    };
    writer.application(
        service,
        own(900, Level::Info, format!("GET {path} accepted")),
    );
    if random.random_range(0..3) == 0 {
        writer.application(
            service,
            own(1_600, Level::Debug, format!("cache miss for {path}")),
        );
    }
    if fails {
        let mut entry = own(
            5_001_000,
            Level::Error,
            "no database connection left".to_owned(),
        );
        entry.traceback = Some(POOL_TRACEBACK.into());
        writer.application(service, entry);
    } else if status == 500 {
        writer.application(
            service,
            own(
                3_000,
                Level::Error,
                format!("GET {path} failed: upstream closed"),
            ),
        );
    } else if took > 300.0 {
        let mut entry = own(2_000, Level::Warning, format!("GET {path} was slow"));
        entry.duration_ms = Some((took * 10.0).round() / 10.0);
        writer.application(service, entry);
    }
    let millis = if fails { 5_002.0 } else { took };
    let end = (millis * 1_000.0) as u64 + 2_000;
    writer.add(
        Layer::Infrastructure,
        "nginx/access",
        "edge-1",
        Entry {
            timestamp: step(end),
            level: Level::from_http_status(status),
            message: format!("GET {path} HTTP/1.1").into(),
            request_id: Some(id),
            duration_ms: Some(millis.round()),
            metadata: fields(&[
                ("status", &status.to_string()),
                ("upstream", service.host),
                ("bytes", &random.random_range(300..40_000).to_string()),
            ]),
            ..Entry::default()
        },
    );
}

/// The request that a visitor follows: edge, shop, payments, database, and back.
fn failing_request(at: Timestamp, writer: &mut Writer) {
    let id = RequestId::new(FAILING_REQUEST);
    let [shop, payments, _] = &SERVICES;
    let entry = |millis: u64, level: Level, logger: &str, message: &str| Entry {
        timestamp: at.saturating_add(Duration::from_millis(millis)),
        level,
        logger: Some(logger.into()),
        message: message.into(),
        request_id: Some(id.clone()),
        user_id: Some("42".into()),
        session_id: Some("s-42".into()),
        ..Entry::default()
    };
    writer.application(
        shop,
        entry(
            3,
            Level::Info,
            "shop.checkout",
            "POST /checkout accepted, 3 items, 84.90 EUR",
        ),
    );
    writer.application(
        shop,
        entry(
            9,
            Level::Debug,
            "shop.checkout",
            "asking payments for an authorisation",
        ),
    );
    writer.application(
        payments,
        entry(
            14,
            Level::Info,
            "payments.gateway",
            "authorise 84.90 EUR for user 42",
        ),
    );
    writer.application(
        payments,
        entry(
            420,
            Level::Info,
            "payments.gateway",
            "authorised, reference 99-1204",
        ),
    );
    writer.application(
        payments,
        entry(
            431,
            Level::Warning,
            "payments.ledger",
            "waiting for a ledger lock",
        ),
    );
    writer.add(
        Layer::Infrastructure,
        "postgresql",
        "db-1",
        Entry {
            request_id: Some(id.clone()),
            duration_ms: Some(4_480.0),
            metadata: fields(&[("pid", "2211"), ("database", "shop")]),
            ..entry(
                4_920,
                Level::Warning,
                "postgres",
                "process 2211 still waiting for ShareLock on transaction 91823",
            )
        },
    );
    let mut failure = entry(
        5_012,
        Level::Error,
        "shop.checkout",
        "order not placed: no database connection left",
    );
    failure.traceback = Some(POOL_TRACEBACK.into());
    writer.application(shop, failure);
    writer.application(
        payments,
        entry(
            5_060,
            Level::Error,
            "payments.ledger",
            "authorisation 99-1204 left open: caller gone",
        ),
    );
    writer.add(
        Layer::Infrastructure,
        "nginx/error",
        "edge-1",
        entry(
            5_015,
            Level::Error,
            "nginx",
            "upstream prematurely closed connection while reading response header from upstream",
        ),
    );
    writer.add(
        Layer::Infrastructure,
        "nginx/access",
        "edge-1",
        Entry {
            duration_ms: Some(5_016.0),
            metadata: fields(&[("status", "502"), ("upstream", "web-1"), ("bytes", "552")]),
            ..entry(5_017, Level::Error, "nginx", "POST /checkout HTTP/1.1")
        },
    );
}

/// What a roll-out leaves in the logs, under the deployment's request id.
fn deployment_records(deployment: &Deployment, writer: &mut Writer) {
    let Some(request_id) = &deployment.request_id else {
        return;
    };
    let Some(service) = SERVICES
        .iter()
        .find(|service| service.name == deployment.service)
    else {
        return;
    };
    let finished = deployment.finished_at;
    let entry = |seconds_before: u64, level: Level, message: String| Entry {
        timestamp: finished.saturating_sub(Duration::from_secs(seconds_before)),
        level,
        logger: Some("deploy".into()),
        message: message.into(),
        request_id: Some(request_id.clone()),
        ..Entry::default()
    };
    let id = &deployment.id;
    writer.application(
        service,
        entry(200, Level::Info, format!("rolling out {id}")),
    );
    writer.application(
        service,
        entry(120, Level::Info, "migrations: nothing to do".to_owned()),
    );
    writer.application(
        service,
        entry(45, Level::Info, "3 of 3 instances answer".to_owned()),
    );
    writer.add(
        Layer::Infrastructure,
        "syslog",
        service.host,
        Entry {
            logger: Some("systemd".into()),
            ..entry(
                46,
                Level::Info,
                format!("Started {}.service.", service.name),
            )
        },
    );
    if deployment.result != DeploymentResult::Success {
        writer.application(
            service,
            entry(0, Level::Error, format!("health check failed after {id}")),
        );
    }
}

/// Background noise of the machines, and the database's view of today's incident.
fn system_records(now: Timestamp, writer: &mut Writer) {
    for quarter in 0..24 * 4 {
        let at = now.saturating_sub(HOUR / 4 * quarter + Duration::from_secs(30));
        writer.add(
            Layer::Infrastructure,
            "syslog",
            "db-1",
            Entry {
                timestamp: at,
                level: Level::Info,
                logger: Some("CRON".into()),
                message: "(root) CMD (/usr/lib/sysstat/debian-sa1)".into(),
                ..Entry::default()
            },
        );
    }
    let mut at = now.saturating_sub(BAD_DEPLOY_AGO);
    while at < now.saturating_sub(HOTFIX_AGO) {
        writer.add(
            Layer::Infrastructure,
            "postgresql",
            "db-1",
            Entry {
                timestamp: at,
                level: Level::Critical,
                logger: Some("postgres".into()),
                message: "remaining connection slots are reserved for superuser connections".into(),
                metadata: fields(&[("severity", "FATAL"), ("database", "shop")]),
                ..Entry::default()
            },
        );
        at = at.saturating_add(Duration::from_secs(95));
    }
}

fn fields(pairs: &[(&str, &str)]) -> Metadata {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}
