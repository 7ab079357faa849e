//! `[api]`: where the HTTP API listens, and how much of it one may have.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use atalaya_domain::limit::Limit;

use super::places::Mistake;

/// `[api]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    pub enabled: bool,
    /// `ADDRESS:PORT`; port 0 takes any that is free.
    pub listen: String,
    /// Certificate with its chain, PEM; read again when the file changes.
    pub tls_cert_file: Option<PathBuf>,
    /// Its key, PEM; for its owner only.
    pub tls_key_file: Option<PathBuf>,
    /// Addresses or networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    pub limits: ApiLimitsConfig,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: "127.0.0.1:8420".to_owned(),
            tls_cert_file: None,
            tls_key_file: None,
            trusted_proxies: Vec::new(),
            limits: ApiLimitsConfig::default(),
        }
    }
}

/// `[api.limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiLimitsConfig {
    /// Requests of one token in any 60 s; 0: no limit.
    pub per_minute: u32,
    /// Requests of one token in any 3,600 s; 0: no limit.
    pub per_hour: u32,
    /// Requests without a valid token, of one peer in any 60 s.
    pub failures_per_minute: u32,
    pub connections: u32,
    pub connections_per_peer: u32,
    /// Requests that are answered at the same time.
    pub in_flight: u32,
    pub body_bytes: u32,
    /// Until the head of a request is there.
    pub header_seconds: u32,
    /// Until the answer to a request begins.
    pub request_seconds: u32,
}

impl Default for ApiLimitsConfig {
    fn default() -> Self {
        Self {
            per_minute: 100,
            per_hour: 1_000,
            failures_per_minute: 20,
            connections: 256,
            connections_per_peer: 16,
            in_flight: 64,
            body_bytes: 1 << 20,
            header_seconds: 5,
            request_seconds: 10,
        }
    }
}

/// What `[api]` says, checked.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// As it was written, for `config show`.
    pub config: ApiConfig,
    pub listen: SocketAddr,
    /// Certificate and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub trusted_proxies: Vec<IpNet>,
}

impl ApiSettings {
    /// What one token may ask.
    pub fn of_token(&self) -> Vec<Limit> {
        let limits = self.config.limits;
        [(limits.per_minute, 60), (limits.per_hour, 3_600)]
            .into_iter()
            .filter(|(most, _)| *most > 0)
            .map(|(most, seconds)| Limit {
                most,
                length: Duration::from_secs(seconds),
            })
            .collect()
    }

    /// What one peer may ask without a valid token.
    pub fn of_failures(&self) -> Vec<Limit> {
        vec![Limit {
            most: self.config.limits.failures_per_minute,
            length: Duration::from_secs(60),
        }]
    }
}

/// Checks everything that can be checked without opening anything.
pub fn resolve(config: &ApiConfig) -> Result<ApiSettings, Mistake> {
    let listen = config.listen.parse().map_err(|_| {
        let message = format!(
            "`{}` is no address with a port; write `127.0.0.1:8420` or `[::1]:8420`",
            config.listen
        );
        Mistake::new("listen", message)
    })?;
    let tls = match (&config.tls_cert_file, &config.tls_key_file) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) => return Err(half("tls_cert_file", "tls_key_file")),
        (None, Some(_)) => return Err(half("tls_key_file", "tls_cert_file")),
    };
    let trusted_proxies = config.trusted_proxies.iter().map(|text| network(text));
    check_limits(&config.limits)?;
    Ok(ApiSettings {
        listen,
        tls,
        trusted_proxies: trusted_proxies.collect::<Result<_, _>>()?,
        config: config.clone(),
    })
}

fn half(given: &str, missing: &str) -> Mistake {
    Mistake::new(given, format!("needs `{missing}` beside it"))
}

fn network(text: &str) -> Result<IpNet, Mistake> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| {
        let message = format!("`{text}` is neither an address nor a network; write `10.0.0.0/8`");
        Mistake::new("trusted_proxies", message)
    })
}

/// Every bound is one: neither nothing nor more than the program can hold.
fn check_limits(limits: &ApiLimitsConfig) -> Result<(), Mistake> {
    let bounds = [
        ("per_minute", limits.per_minute, 0, 1_000_000),
        ("per_hour", limits.per_hour, 0, 10_000_000),
        ("failures_per_minute", limits.failures_per_minute, 1, 10_000),
        ("connections", limits.connections, 1, 65_536),
        (
            "connections_per_peer",
            limits.connections_per_peer,
            1,
            65_536,
        ),
        ("in_flight", limits.in_flight, 1, 4_096),
        ("body_bytes", limits.body_bytes, 1_024, 64 << 20),
        ("header_seconds", limits.header_seconds, 1, 60),
        ("request_seconds", limits.request_seconds, 1, 300),
    ];
    for (key, value, least, most) in bounds {
        if !(least..=most).contains(&value) {
            let message = format!("{value} is not between {least} and {most}");
            return Err(Mistake::new(format!("limits.{key}"), message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn mistake(config: &ApiConfig) -> (String, String) {
        let mistake = resolve(config).unwrap_err();
        (mistake.key, mistake.message)
    }

    #[test]
    fn the_default_listens_on_loopback_only() {
        let settings = resolve(&ApiConfig::default()).unwrap();
        assert!(settings.listen.ip().is_loopback());
        assert_eq!(settings.of_token().len(), 2);
    }

    #[test]
    fn mistakes_name_the_key_and_what_to_write() {
        let with = |change: fn(&mut ApiConfig)| {
            let mut config = ApiConfig::default();
            change(&mut config);
            mistake(&config)
        };
        for (config, key, part) in [
            (
                with(|config| config.listen = "8420".to_owned()),
                "listen",
                "write `127.0.0.1:8420`",
            ),
            (
                with(|config| config.tls_cert_file = Some("a.pem".into())),
                "tls_cert_file",
                "needs `tls_key_file`",
            ),
            (
                with(|config| config.trusted_proxies = vec!["10.0.0.0/99".to_owned()]),
                "trusted_proxies",
                "`10.0.0.0/99`",
            ),
            (
                with(|config| config.limits.in_flight = 0),
                "limits.in_flight",
                "between 1 and 4096",
            ),
        ] {
            assert_eq!(config.0, key);
            assert!(config.1.contains(part), "{}", config.1);
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let config = ApiConfig {
            trusted_proxies: ["10.0.0.0/8", "192.0.2.7", "fd00::/8"]
                .map(Into::into)
                .to_vec(),
            ..ApiConfig::default()
        };
        let settings = resolve(&config).unwrap();
        let believed = |text: &str| {
            let address: IpAddr = text.parse().unwrap();
            settings
                .trusted_proxies
                .iter()
                .any(|net| net.contains(&address))
        };
        assert!(believed("10.1.2.3") && believed("192.0.2.7") && believed("fd12::1"));
        assert!(!believed("192.0.2.8") && !believed("127.0.0.1"));
    }

    #[test]
    fn no_limit_is_none() {
        let mut config = ApiConfig::default();
        config.limits.per_minute = 0;
        let limits = resolve(&config).unwrap().of_token();
        assert_eq!(limits.len(), 1);
        assert_eq!(limits[0].most, 1_000);
    }
}
