//! Web server, proxy and system logs beside what beats, lnav and vrl make of them.

use atalaya::domain::record::Entry;

use super::golden::{Difference, Mapping, Ours, beats};

const DERIVED: Ours = Ours::Left("derived from url.original");

/// beats gives the version without `HTTP/`.
fn http_version(entry: &Entry) -> Option<String> {
    Some(
        entry
            .metadata("protocol")?
            .strip_prefix("HTTP/")?
            .to_owned(),
    )
}

/// beats sorts the list, and lists a single client too.
fn addresses(entry: &Entry) -> Option<String> {
    let mut list: Vec<&str> = entry
        .metadata("addresses")
        .or_else(|| entry.metadata("client"))?
        .split(',')
        .collect();
    list.sort_unstable();
    Some(list.join(","))
}

fn client_ip(entry: &Entry) -> Option<String> {
    entry
        .metadata("client")
        .filter(|client| client.parse::<std::net::IpAddr>().is_ok())
        .map(str::to_owned)
}

fn client_name(entry: &Entry) -> Option<String> {
    entry
        .metadata("client")
        .filter(|client| client.parse::<std::net::IpAddr>().is_err())
        .map(str::to_owned)
}

const ACCESS: Mapping = &[
    ("@timestamp", Ours::Time),
    ("http.request.method", Ours::Meta("method")),
    ("http.request.referrer", Ours::Meta("referrer")),
    ("http.response.body.bytes", Ours::Meta("bytes")),
    ("http.response.status_code", Ours::Meta("status")),
    ("http.version", Ours::Made(http_version)),
    ("http.request.id", Ours::RequestId),
    ("nginx.access.remote_ip_list", Ours::Made(addresses)),
    ("source.address", Ours::Meta("client")),
    ("source.ip", Ours::Made(client_ip)),
    ("source.domain", Ours::Made(client_name)),
    ("url.original", Ours::Meta("path")),
    ("url.path", DERIVED),
    ("url.query", DERIVED),
    ("url.extension", DERIVED),
    ("url.domain", DERIVED),
    ("url.scheme", DERIVED),
    ("user.name", Ours::UserId),
    ("user_agent.original", Ours::Meta("user_agent")),
    ("apache.access.ssl.cipher", Ours::Meta("tls_cipher")),
    ("apache.access.ssl.protocol", Ours::Meta("tls_protocol")),
    ("tls.cipher", Ours::Meta("tls_cipher")),
    (
        "tls.version",
        Ours::Left("derived from apache.access.ssl.protocol"),
    ),
    (
        "tls.version_protocol",
        Ours::Left("derived from apache.access.ssl.protocol"),
    ),
    ("event.duration", Ours::DurationNs),
    ("traefik.access.backend_url", Ours::Meta("server")),
    ("traefik.access.frontend_name", Ours::Meta("router")),
    ("traefik.access.request_count", Ours::Meta("request_count")),
    ("traefik.access.user_identifier", Ours::Meta("identity")),
];

const DIFFERENT: &[Difference] = &[];

#[test]
fn nginx_access_agrees_with_beats() {
    beats(
        "beats/filebeat/module/nginx/access/test/test.log",
        "nginx-access",
        ACCESS,
        DIFFERENT,
    );
}

#[test]
fn apache_access_agrees_with_beats() {
    for file in ["test", "darwin-2.4.23", "ssl-request"] {
        beats(
            &format!("beats/filebeat/module/apache/access/test/{file}.log"),
            "apache-access",
            ACCESS,
            DIFFERENT,
        );
    }
}

#[test]
fn traefik_access_agrees_with_beats() {
    beats(
        "beats/filebeat/module/traefik/access/test/test.log",
        "traefik-access",
        ACCESS,
        DIFFERENT,
    );
}

/// The last upstream that was tried: beats gives its parts.
fn upstream(entry: &Entry, part: fn(&str) -> Option<&str>) -> Option<String> {
    let last = entry.metadata("upstream_address")?.rsplit(", ").next()?;
    part(last).map(str::to_owned)
}

fn upstream_ip(entry: &Entry) -> Option<String> {
    upstream(entry, |address| Some(address.rsplit_once(':')?.0))
}

fn upstream_port(entry: &Entry) -> Option<String> {
    upstream(entry, |address| Some(address.rsplit_once(':')?.1))
}

fn listed(entry: &Entry, name: &str) -> Option<String> {
    let mut list: Vec<&str> = entry.metadata(name)?.split(", ").collect();
    list.sort_unstable(); // as the expectations do
    Some(list.join(","))
}

fn total(entry: &Entry, name: &str) -> Option<String> {
    let numbers = entry
        .metadata(name)?
        .split(", ")
        .map(|number| number.parse::<f64>().unwrap());
    Some(numbers.sum::<f64>().to_string())
}

fn last(entry: &Entry, name: &str) -> Option<String> {
    entry.metadata(name)?.rsplit(", ").next().map(str::to_owned)
}

fn request_seconds(entry: &Entry) -> Option<String> {
    entry.duration_ms.map(|ms| (ms / 1e3).to_string())
}

const INGRESS: Mapping = &[
    ("nginx.ingress_controller.http.request.id", Ours::RequestId),
    (
        "nginx.ingress_controller.http.request.length",
        Ours::Meta("request_length"),
    ),
    (
        "nginx.ingress_controller.http.request.time",
        Ours::Made(request_seconds),
    ),
    (
        "nginx.ingress_controller.remote_ip_list",
        Ours::Made(addresses),
    ),
    (
        "nginx.ingress_controller.upstream.alternative_name",
        Ours::Meta("upstream_alternative"),
    ),
    (
        "nginx.ingress_controller.upstream.ip",
        Ours::Made(upstream_ip),
    ),
    (
        "nginx.ingress_controller.upstream.name",
        Ours::Meta("upstream"),
    ),
    (
        "nginx.ingress_controller.upstream.port",
        Ours::Made(upstream_port),
    ),
    (
        "nginx.ingress_controller.upstream.response.length",
        Ours::Made(|entry| last(entry, "upstream_response_length")),
    ),
    (
        "nginx.ingress_controller.upstream.response.length_list",
        Ours::Made(|entry| listed(entry, "upstream_response_length")),
    ),
    (
        "nginx.ingress_controller.upstream.response.status_code",
        Ours::Made(|entry| last(entry, "upstream_status")),
    ),
    (
        "nginx.ingress_controller.upstream.response.status_code_list",
        Ours::Made(|entry| listed(entry, "upstream_status")),
    ),
    (
        "nginx.ingress_controller.upstream.response.time",
        Ours::Made(|entry| total(entry, "upstream_response_time")),
    ),
    (
        "nginx.ingress_controller.upstream.response.time_list",
        Ours::Made(|entry| listed(entry, "upstream_response_time")),
    ),
    (
        "nginx.ingress_controller.upstream_address_list",
        Ours::Made(|entry| listed(entry, "upstream_address")),
    ),
];

#[test]
fn nginx_ingress_agrees_with_beats() {
    let mapping: Vec<_> = ACCESS.iter().chain(INGRESS).copied().collect();
    beats(
        "beats/filebeat/module/nginx/ingress_controller/test/test.log",
        "nginx-access",
        mapping.leak(),
        DIFFERENT,
    );
}

const ERROR: Mapping = &[
    ("@timestamp", Ours::Time),
    ("log.level", Ours::Level),
    ("message", Ours::Message),
    ("process.pid", Ours::Meta("pid")),
    ("process.thread.id", Ours::Meta("tid")),
    ("nginx.error.connection_id", Ours::Meta("connection")),
    ("apache.error.module", Ours::Meta("module")),
    ("source.address", Ours::Meta("client")),
    ("source.ip", Ours::Meta("client")),
    ("source.port", Ours::Meta("client_port")),
    ("file.path", Ours::Meta("file")),
    ("http.request.referrer", Ours::Meta("referrer")),
];

#[test]
fn nginx_error_agrees_with_beats() {
    beats(
        "beats/filebeat/module/nginx/error/test/error.log",
        "nginx-error",
        ERROR,
        DIFFERENT,
    );
}

#[test]
fn apache_error_agrees_with_beats() {
    for file in ["test", "ubuntu-2.2.22"] {
        beats(
            &format!("beats/filebeat/module/apache/error/test/{file}.log"),
            "apache-error",
            ERROR,
            DIFFERENT,
        );
    }
}
