//! The policy RNF-002, checked: what is built in, what is configured, what runs.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{Stores, describe};
use crate::config::Settings;
use crate::config::alerts::ChannelConfig;
use crate::config::places::{LogsPlace, MetricsPlace};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::MetricsStore;

/// What was built: of the whole workspace, optional parts and tests too.
const LOCK: &str = include_str!("../../Cargo.lock");

/// What must not be there, and the words by which it is known.
const FORBIDDEN: [(&str, &[&str]); 4] = [
    ("Redis", &["redis", "rediss", "fred", "valkey"]),
    ("Prometheus", &["prometheus", "pushgateway", "promtail"]),
    ("Grafana", &["grafana"]),
    ("SMTP", &["smtp", "smtps", "lettre", "sendmail"]),
];
/// Ports on which these answer.
const PORTS: [(u16, &str); 8] = [
    (6379, "Redis"),
    (6380, "Redis"),
    (9090, "Prometheus"),
    (9091, "Prometheus"),
    (3000, "Grafana"),
    (25, "SMTP"),
    (465, "SMTP"),
    (587, "SMTP"),
];
/// Domains of services that somebody else keeps.
const HOSTED: [&str; 10] = [
    "amazonaws.com",
    "azure.com",
    "windows.net",
    "googleapis.com",
    "datastax.com",
    "aivencloud.com",
    "psdb.cloud",
    "mongodb.net",
    "scylla.cloud",
    "digitalocean.com",
];

/// One rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Stable, for scripts.
    pub name: &'static str,
    pub compliant: bool,
    /// What was looked at, and what was found.
    pub evidence: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compliance {
    pub checked_at: Timestamp,
    pub rules: Vec<Rule>,
}

impl Compliance {
    pub fn is_compliant(&self) -> bool {
        self.rules.iter().all(|rule| rule.compliant)
    }
}

/// Checks everything now. What cannot be looked at does not pass.
pub async fn check(stores: &Stores, settings: &Settings) -> Compliance {
    let running = tokio::task::spawn_blocking(connections);
    let mut rules = vec![dependencies(), configuration(settings), mail(settings)];
    rules.push(match running.await {
        Ok(found) => running_rule(&found),
        Err(lost) => broken("running", &lost.to_string()),
    });
    rules.push(tokens(&*stores.metrics).await);
    rules.push(self_hosted(settings));
    Compliance {
        checked_at: Timestamp::now(),
        rules,
    }
}

fn broken(name: &'static str, why: &str) -> Rule {
    Rule {
        name,
        compliant: false,
        evidence: format!("it was not checked: {why}"),
    }
}

/// Which forbidden thing a name is of: by its words, so that `deadpool-redis` is one.
fn forbidden(name: &str) -> Option<&'static str> {
    let words: BTreeSet<String> = name
        .split(|character: char| !character.is_ascii_alphanumeric())
        .map(str::to_ascii_lowercase)
        .collect();
    FORBIDDEN
        .into_iter()
        .find(|(_, known)| known.iter().any(|word| words.contains(*word)))
        .map(|(what, _)| what)
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// Whether this program was built with mail.
const HAS_MAIL: bool = cfg!(feature = "mail");

fn dependencies() -> Rule {
    static FOUND: LazyLock<Rule> = LazyLock::new(|| of_lock(LOCK, HAS_MAIL));
    FOUND.clone()
}

/// The lock file names optional crates too; `lettre` alone is one, and counts only where it is built in.
fn of_lock(text: &str, has_mail: bool) -> Rule {
    let lock: Lock = match toml::from_str(text) {
        Ok(lock) => lock,
        Err(error) => return broken("dependencies", &error.to_string()),
    };
    let count = lock.package.len();
    let found: Vec<String> = lock
        .package
        .iter()
        .filter(|package| has_mail || package.name != "lettre")
        .filter_map(|package| {
            forbidden(&package.name)
                .map(|what| format!("{} {} ({what})", package.name, package.version))
        })
        .collect();
    let without = if has_mail {
        ""
    } else {
        "; lettre is optional and not built in"
    };
    Rule {
        name: "dependencies",
        compliant: found.is_empty(),
        evidence: if found.is_empty() {
            format!(
                "{count} packages of the lock file, none of Redis, Prometheus, Grafana or SMTP{without}"
            )
        } else {
            format!("the lock file has {}", found.join(", "))
        },
    }
}

fn configuration(settings: &Settings) -> Rule {
    let values = settings
        .values
        .iter()
        .map(|value| (value.key.as_str(), &value.value));
    let found: Vec<String> = values
        .filter(|(key, _)| !key.starts_with("policy."))
        .filter_map(|(key, value)| named_in(value).map(|what| format!("{key} names {what}")))
        .collect();
    Rule {
        name: "configuration",
        compliant: found.is_empty(),
        evidence: if found.is_empty() {
            format!(
                "{} configured values, none of which names Redis, Prometheus, Grafana or SMTP",
                settings.values.len()
            )
        } else {
            // Values are not shown: one may be a secret.
            found.join(", ")
        },
    }
}

/// What the address in a value is of: only addresses are looked at, as a log file may be called
/// anything.
fn named_in(value: &toml::Value) -> Option<&'static str> {
    match value {
        toml::Value::String(text) => of_address(text),
        toml::Value::Array(all) => all.iter().find_map(named_in),
        toml::Value::Table(table) => table.values().find_map(named_in),
        _ => None,
    }
}

fn of_address(text: &str) -> Option<&'static str> {
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    forbidden(scheme).or_else(|| forbidden(host))
}

fn mail(settings: &Settings) -> Rule {
    let channels = settings.alerts.channels.iter();
    let by_mail: Vec<&str> = channels
        .filter(|(_, channel)| matches!(channel, ChannelConfig::Mail { .. }))
        .map(|(name, _)| name.as_str())
        .collect();
    let allowed = settings.alerts.policy.allow_email;
    let built = if HAS_MAIL { "is" } else { "is not" };
    let policy = if allowed {
        "permits"
    } else {
        "does not permit"
    };
    Rule {
        name: "mail",
        compliant: by_mail.is_empty() && !(HAS_MAIL && allowed),
        evidence: format!(
            "mail {built} built in, the configuration {policy} it, {} of {} channels send it{}",
            by_mail.len(),
            settings.alerts.channels.len(),
            if by_mail.is_empty() {
                String::new()
            } else {
                format!(" ({})", by_mail.join(", "))
            }
        ),
    }
}

/// Connections of the processes of this program on this host.
struct Running {
    processes: usize,
    remote_ports: Vec<u16>,
    problem: Option<String>,
}

fn running_rule(found: &Running) -> Rule {
    if let Some(problem) = &found.problem {
        return broken("running", problem);
    }
    let bad: Vec<String> = found
        .remote_ports
        .iter()
        .filter_map(|port| {
            let (_, what) = PORTS.iter().find(|(known, _)| known == port)?;
            Some(format!("a connection to port {port} ({what})"))
        })
        .collect();
    Rule {
        name: "running",
        compliant: bad.is_empty(),
        evidence: if bad.is_empty() {
            format!(
                "{} processes of this program on this host with {} connections, none to a port of Redis, Prometheus, Grafana or SMTP",
                found.processes,
                found.remote_ports.len()
            )
        } else {
            bad.join(", ")
        },
    }
}

/// Reads `/proc`: which processes run this program, and which connections are theirs.
fn connections() -> Running {
    let mut running = Running {
        processes: 0,
        remote_ports: Vec::new(),
        problem: None,
    };
    let ours = match std::fs::read_link("/proc/self/exe") {
        Ok(ours) => ours,
        Err(error) => {
            running.problem = Some(format!("/proc cannot be read: {error}"));
            return running;
        }
    };
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for folder in folders {
        // `self` and `thread-self` are one of the numbers, once more.
        if !folder
            .file_name()
            .as_encoded_bytes()
            .iter()
            .all(u8::is_ascii_digit)
        {
            continue;
        }
        let folder = folder.path();
        // Processes of others, and those that have just ended, say nothing.
        if std::fs::read_link(folder.join("exe")).is_ok_and(|program| program == ours) {
            running.processes += 1;
            running.remote_ports.extend(remote_ports(&folder));
        }
    }
    running
}

fn remote_ports(process: &Path) -> Vec<u16> {
    let sockets: BTreeSet<String> = std::fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|open| std::fs::read_link(open.path()).ok())
        .filter_map(|target| {
            let target = target.to_str()?;
            Some(
                target
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    ["net/tcp", "net/tcp6"]
        .into_iter()
        .filter_map(|table| std::fs::read_to_string(process.join(table)).ok())
        .flat_map(|table| ports_of(&table, &sockets))
        .collect()
}

/// The remote ports of these sockets in a table of the kernel. A listening socket has none.
fn ports_of(table: &str, sockets: &BTreeSet<String>) -> Vec<u16> {
    let port = |line: &str| {
        let mut fields = line.split_whitespace();
        let remote = fields.nth(2)?;
        let inode = fields.nth(6)?;
        let (_, port) = remote.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (port != 0 && sockets.contains(inode)).then_some(port)
    };
    table.lines().skip(1).filter_map(port).collect()
}

async fn tokens(store: &dyn MetricsStore) -> Rule {
    let place = format!("{} at {}", store.backend(), store.address());
    match store.tokens().await {
        Ok(tokens) => Rule {
            name: "tokens",
            compliant: true,
            evidence: format!(
                "{} tokens in `api_tokens` of {place}; there are no sessions",
                tokens.len()
            ),
        },
        Err(error) => broken("tokens", &describe(&error)),
    }
}

fn self_hosted(settings: &Settings) -> Rule {
    let mut hosts: Vec<String> = Vec::new();
    if let LogsPlace::Cassandra(place) = &settings.logs_place {
        hosts.extend(place.nodes.iter().cloned());
    }
    if let MetricsPlace::MySql(place) = &settings.metrics_place {
        hosts.push(place.host.clone());
    }
    let bad: Vec<&String> = hosts.iter().filter(|host| is_hosted(host)).collect();
    Rule {
        name: "self_hosted",
        compliant: bad.is_empty(),
        evidence: if !bad.is_empty() {
            format!("{bad:?} are kept by somebody else")
        } else if hosts.is_empty() {
            "both stores are files of this host".to_owned()
        } else {
            format!("the servers of the stores are {}", hosts.join(", "))
        },
    }
}

fn is_hosted(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    HOSTED
        .iter()
        .any(|domain| name == *domain || name.ends_with(&format!(".{domain}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(names: &[&str]) -> String {
        names
            .iter()
            .map(|name| format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n"))
            .collect()
    }

    #[test]
    fn this_program_holds_its_policy() {
        let rule = of_lock(LOCK, false);
        assert!(rule.compliant, "{}", rule.evidence);
    }

    #[test]
    fn forbidden_crates_are_known_by_their_words() {
        for bad in [
            "redis",
            "deadpool-redis",
            "prometheus",
            "opentelemetry-prometheus",
            "grafana_api",
            "async-smtp",
            "redis-rs",
        ] {
            assert!(!of_lock(&lock(&["serde", bad]), false).compliant, "{bad}");
        }
        for good in ["rediscover", "serde", "lettre", "predis"] {
            assert!(of_lock(&lock(&[good]), false).compliant, "{good}");
        }
        assert!(!of_lock(&lock(&["lettre"]), true).compliant);
        assert!(!of_lock("not a lock", false).compliant);
    }

    #[test]
    fn addresses_are_looked_at_and_names_of_files_are_not() {
        for bad in [
            "redis://cache:6379/0",
            "https://grafana.intern/api",
            "http://prometheus:9090",
            "smtp://u@mail",
            "https://user@redis.intern",
        ] {
            assert!(of_address(bad).is_some(), "{bad}");
        }
        for good in [
            "/var/log/redis/redis.log",
            "https://hooks.intern/redis-alerts",
            "level:error redis",
        ] {
            assert_eq!(of_address(good), None, "{good}");
        }
    }

    #[test]
    fn connections_are_read_as_the_kernel_tells_them() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
           0: 0100007F:20E4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1\n\
           1: 0100007F:B2C4 0100007F:18EB 01 00000000:00000000 00:00000000 00000000     0        0 12 1\n\
           2: 0100007F:B2C5 0100007F:0CEA 01 00000000:00000000 00:00000000 00000000     0        0 99 1\n";
        let ours = BTreeSet::from(["11".to_owned(), "12".to_owned()]);
        assert_eq!(ports_of(table, &ours), [6_379]);
        let found = Running {
            processes: 1,
            remote_ports: vec![6_379],
            problem: None,
        };
        assert!(!running_rule(&found).compliant);
    }

    #[test]
    fn a_hosted_service_is_none_of_our_own() {
        assert!(is_hosted("db.eu-1.rds.amazonaws.com:3306") && is_hosted("AZURE.com."));
        assert!(!is_hosted("notamazonaws.com") && !is_hosted("10.0.0.1:9042"));
    }
}
