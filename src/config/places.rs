//! What `[stores]` means: addresses taken apart, passwords found, every value within its limits.
//!
//! Promises: a password never stands in a configuration file, an address or a message; it comes
//! from an environment variable or from a file that only its owner can read. What cannot be used
//! is refused with the key that it stands under and the remedy.

use crate::text_file;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

pub use atalaya_domain::layout::Replication;
use atalaya_domain::layout::{MOST_RETENTION_DAYS, SHARDS, WINDOW_DAYS, divides_a_day};
use atalaya_store::cassandra::ConsistencyLevel;
use atalaya_store::cassandra::foreign::Mapping;

use super::foreign;
use super::stores::{CassandraConfig, MySqlConfig, StoresConfig};

pub const CASSANDRA_PASSWORD: &str = "ATALAYA_CASSANDRA_PASSWORD";
pub const MYSQL_PASSWORD: &str = "ATALAYA_MYSQL_PASSWORD";

const CASSANDRA_PORT: u16 = 9042;
const MYSQL_PORT: u16 = 3306;
/// Longer files are no password.
const PASSWORD_BYTES: u64 = 4096;
const TIMEOUT_SECONDS: std::ops::RangeInclusive<u32> = 1..=600;
/// Where the logs are.
#[derive(Clone, Debug)]
pub enum LogsPlace {
    /// `logs.db` of the data directory.
    Embedded,
    Cassandra(CassandraPlace),
}

/// Where the metrics are.
#[derive(Clone, Debug)]
pub enum MetricsPlace {
    /// `metrics.db` of the data directory.
    Embedded,
    MySql(MySqlPlace),
}

/// A keyspace of a ring, and how to get there.
#[derive(Clone, Debug)]
pub struct CassandraPlace {
    /// `host:port`.
    pub nodes: Vec<String>,
    pub keyspace: String,
    pub user: Option<String>,
    pub password: Option<Password>,
    pub datacenter: Option<String>,
    pub tls: Option<TlsFiles>,
    pub consistency: ConsistencyLevel,
    pub request_timeout_s: u32,
    pub layout: LayoutWishes,
    pub foreign: Vec<Mapping>,
}

/// What `db init` is to make; `None` takes the default of the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayoutWishes {
    pub replication: Option<Replication>,
    pub bucket_minutes: Option<u16>,
    pub shards: Option<u16>,
    pub window_days: Option<u16>,
    pub retention_days: Option<u16>,
}

impl LayoutWishes {
    /// These, and the others where these say nothing.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self {
            replication: self.replication.or_else(|| others.replication.clone()),
            bucket_minutes: self.bucket_minutes.or(others.bucket_minutes),
            shards: self.shards.or(others.shards),
            window_days: self.window_days.or(others.window_days),
            retention_days: self.retention_days.or(others.retention_days),
        }
    }

    /// Refuses what no keyspace could be made with; names are those of the configuration.
    pub fn check(&self) -> Result<(), Mistake> {
        if let Some(minutes) = self.bucket_minutes
            && !divides_a_day(minutes)
        {
            return Err(Mistake::new(
                "bucket_minutes",
                format!(
                    "{minutes} does not divide a day of 1440 minutes; write 5, 10, 15, 30 or 60"
                ),
            ));
        }
        if let Some(shards) = self.shards
            && !SHARDS.contains(&shards)
        {
            return Err(Mistake::new(
                "shards",
                format!("{shards} is not between 1 and 64; write 1"),
            ));
        }
        if let Some(days) = self.window_days
            && !WINDOW_DAYS.contains(&days)
        {
            return Err(Mistake::new(
                "window_days",
                format!("{days} is not between 1 and 365; write 3"),
            ));
        }
        if let Some(days) = self.retention_days
            && days > MOST_RETENTION_DAYS
        {
            return Err(Mistake::new(
                "retention_days",
                format!(
                    "{days} is above {MOST_RETENTION_DAYS}, Cassandra's longest; 0 keeps everything for ever"
                ),
            ));
        }
        Ok(())
    }
}

/// A database of a server, and how to get there.
#[derive(Clone, Debug)]
pub struct MySqlPlace {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Option<Password>,
    /// Who may sign the server's certificate.
    pub ca_file: Option<PathBuf>,
}

/// Encryption of the connection, all files PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// `None`: the authorities that this system trusts.
    pub ca_file: Option<PathBuf>,
    /// Certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// A password with where it was found; only the place is ever shown.
#[derive(Clone, Debug)]
pub struct Password {
    pub secret: SecretString,
    pub found_in: String,
}

/// What cannot be used, by the key below `[stores]` that it stands under.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// Dotted, without `stores.`: `logs`, `cassandra.shards`.
    pub key: String,
    pub message: String,
}

impl Mistake {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }

    pub(super) fn below(self, table: &str) -> Self {
        Self {
            key: format!("{table}.{}", self.key),
            ..self
        }
    }
}

/// Both places of a configuration. `variable` reads the environment.
pub fn resolve(
    stores: &StoresConfig,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(LogsPlace, MetricsPlace), Mistake> {
    let logs = match stores.logs.as_deref() {
        None => LogsPlace::Embedded,
        Some(url) => LogsPlace::Cassandra(cassandra("logs", url, &stores.cassandra, variable)?),
    };
    let metrics = match stores.metrics.as_deref() {
        None => MetricsPlace::Embedded,
        Some(url) => MetricsPlace::MySql(mysql("metrics", url, &stores.mysql, variable)?),
    };
    Ok((logs, metrics))
}

/// A ring by its address, with everything else from the configuration. `key` is where the address
/// stands, for messages.
pub fn cassandra(
    key: &str,
    url: &str,
    config: &CassandraConfig,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<CassandraPlace, Mistake> {
    let form = AddressForm {
        key,
        scheme: "cassandra",
        example: "cassandra://user@10.0.0.1:9042,10.0.0.2/logging",
        password_variable: CASSANDRA_PASSWORD,
        table: "cassandra",
        unit: "keyspace",
        port: CASSANDRA_PORT,
    };
    let address = form.parse(url)?;
    let plain = address.name.len() <= 48
        && address
            .name
            .starts_with(|letter: char| letter.is_ascii_lowercase())
        && address
            .name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if !plain {
        return Err(Mistake::new(
            key,
            format!(
                "`{}` cannot be a keyspace here; take up to 48 lower-case letters, digits and `_`, a letter first, as in `logging`",
                address.name
            ),
        ));
    }
    let in_table = |mistake: Mistake| mistake.below("cassandra");
    if !TIMEOUT_SECONDS.contains(&config.request_timeout_s) {
        return Err(in_table(Mistake::new(
            "request_timeout_s",
            format!(
                "{} is not between 1 and 600 seconds; write 10",
                config.request_timeout_s
            ),
        )));
    }
    let client = match (&config.client_cert, &config.client_key) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) => {
            return Err(in_table(Mistake::new(
                "client_cert",
                "needs `client_key` beside it, the PEM file of its key",
            )));
        }
        (None, Some(_)) => {
            return Err(in_table(Mistake::new(
                "client_key",
                "needs `client_cert` beside it, the PEM file of the certificate",
            )));
        }
    };
    let layout = LayoutWishes {
        replication: config
            .replication
            .as_deref()
            .map(Replication::from_str)
            .transpose()
            .map_err(|error| in_table(Mistake::new("replication", error.to_string())))?,
        bucket_minutes: config.bucket_minutes,
        shards: config.shards,
        window_days: config.window_days,
        retention_days: config.retention_days,
    };
    layout.check().map_err(in_table)?;
    let password = password(
        CASSANDRA_PASSWORD,
        config.password_file.as_deref(),
        variable,
    )
    .map_err(in_table)?;
    form.check_user(&address, password.as_ref())?;
    Ok(CassandraPlace {
        nodes: address
            .hosts
            .into_iter()
            .map(|(host, port)| join(&host, port))
            .collect(),
        keyspace: address.name,
        user: address.user,
        password,
        datacenter: config.datacenter.clone(),
        tls: (config.tls || config.ca_file.is_some() || client.is_some()).then(|| TlsFiles {
            ca_file: config.ca_file.clone(),
            client,
        }),
        consistency: config.consistency,
        request_timeout_s: config.request_timeout_s,
        layout,
        foreign: foreign::mappings(&config.foreign).map_err(in_table)?,
    })
}

/// A database by its address, with everything else from the configuration.
pub fn mysql(
    key: &str,
    url: &str,
    config: &MySqlConfig,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<MySqlPlace, Mistake> {
    let form = AddressForm {
        key,
        scheme: "mysql",
        example: "mysql://atalaya@db1:3306/atalaya",
        password_variable: MYSQL_PASSWORD,
        table: "mysql",
        unit: "database",
        port: MYSQL_PORT,
    };
    let mut address = form.parse(url)?;
    let plain = address.name.len() <= 64
        && address
            .name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-$".contains(letter));
    if !plain {
        return Err(Mistake::new(
            key,
            format!(
                "`{}` cannot be a database here; take up to 64 letters, digits, `_`, `-` and `$`, as in `atalaya`",
                address.name
            ),
        ));
    }
    if address.hosts.len() > 1 {
        return Err(Mistake::new(
            key,
            format!(
                "names several hosts; metrics are kept by one server: `{}`",
                form.example
            ),
        ));
    }
    let (host, port) = address.hosts.remove(0);
    let password = password(MYSQL_PASSWORD, config.password_file.as_deref(), variable)
        .map_err(|mistake| mistake.below("mysql"))?;
    let Some(user) = address.user else {
        return Err(form.mistake("names no user"));
    };
    Ok(MySqlPlace {
        host,
        port,
        database: address.name,
        user,
        password,
        ca_file: config.ca_file.clone(),
    })
}

/// An IPv6 address needs its brackets again.
fn join(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// How an address of one kind of store is written.
struct AddressForm<'a> {
    key: &'a str,
    scheme: &'static str,
    example: &'static str,
    password_variable: &'static str,
    /// Table of its settings below `[stores]`.
    table: &'static str,
    /// What the last part names.
    unit: &'static str,
    port: u16,
}

struct Address {
    user: Option<String>,
    /// At least one.
    hosts: Vec<(String, u16)>,
    name: String,
}

impl AddressForm<'_> {
    fn mistake(&self, what: impl fmt::Display) -> Mistake {
        Mistake::new(
            self.key,
            format!("{what}; an address looks like `{}`", self.example),
        )
    }

    fn parse(&self, url: &str) -> Result<Address, Mistake> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(self.mistake(format_args!("`{}` is no address", redacted(url))));
        };
        if scheme != self.scheme {
            return Err(self.mistake(format_args!(
                "`{scheme}://` is not supported here, only `{}://`",
                self.scheme
            )));
        }
        // The last `@`, because a password may hold one: it must not be taken for a host.
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(Mistake::new(
                self.key,
                format!(
                    "holds a password, which others can read there; take it out (`{}`) and set {} or name a file with `password_file` in [stores.{}]",
                    self.example, self.password_variable, self.table
                ),
            ));
        }
        let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
        let name = name.trim_end_matches('/');
        if name.contains(['?', '#']) {
            return Err(self.mistake(format_args!(
                "options do not go into the address but into [stores.{}]",
                self.table
            )));
        }
        if name.is_empty() {
            return Err(self.mistake(format_args!("names no {} after the host", self.unit)));
        }
        let hosts = hosts
            .split(',')
            .map(|host| self.host(host.trim()))
            .collect::<Result<Vec<_>, _>>()?;
        let user = user
            .filter(|user| !user.is_empty())
            .map(|user| {
                percent_decode_str(user)
                    .decode_utf8()
                    .map(std::borrow::Cow::into_owned)
            })
            .transpose()
            .map_err(|_| self.mistake("the user is not UTF-8"))?;
        Ok(Address {
            user,
            hosts,
            name: name.to_owned(),
        })
    }

    /// `host`, `host:port`, `[::1]` or `[::1]:port`.
    fn host(&self, text: &str) -> Result<(String, u16), Mistake> {
        let (host, port) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (host, rest) = bracketed
                    .split_once(']')
                    .ok_or_else(|| self.mistake(format_args!("`{text}` has no closing bracket")))?;
                (host, rest.strip_prefix(':'))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        if host.is_empty() {
            return Err(self.mistake("names no host"));
        }
        if host.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(self.mistake(format_args!("`{host}` is no host")));
        }
        let port = match port {
            None => self.port,
            Some(port) => port
                .parse()
                .ok()
                .filter(|&port: &u16| port > 0)
                // Not repeated: it may be a password whose host was forgotten.
                .ok_or_else(|| self.mistake(format_args!("what follows `{host}:` is no port")))?,
        };
        Ok((host.to_owned(), port))
    }

    fn check_user(&self, address: &Address, password: Option<&Password>) -> Result<(), Mistake> {
        match password {
            Some(password) if address.user.is_none() => Err(self.mistake(format_args!(
                "a password is set ({}), but the address names no user",
                password.found_in
            ))),
            _ => Ok(()),
        }
    }
}

/// The password of a store.
fn password(
    name: &str,
    file: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Password>, Mistake> {
    found("password", name, &name.to_ascii_lowercase(), file, variable)
}

/// A secret that need not be there: the variable wins over the file, the file over what systemd was
/// given (`LoadCredential=atalaya:…`, with `credential` as its name), and an empty variable counts as
/// none.
pub(super) fn found(
    what: &str,
    name: &str,
    credential: &str,
    file: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Password>, Mistake> {
    if let Some(text) = variable(name).filter(|text| !text.is_empty()) {
        return Ok(Some(Password {
            secret: text.into(),
            found_in: name.to_owned(),
        }));
    }
    // systemd keeps them from others by its own means, which the mode does not show.
    let given = variable("CREDENTIALS_DIRECTORY")
        .map(|folder| Path::new(&folder).join(credential))
        .filter(|path| file.is_none() && path.exists());
    let guard = if given.is_some() {
        Guard::Systemd
    } else {
        Guard::Mode
    };
    let Some(path) = file.or(given.as_deref()) else {
        return Ok(None);
    };
    Ok(Some(Password {
        secret: owners_file(what, path, guard)?,
        found_in: path.display().to_string(),
    }))
}

/// What keeps a secret's file from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    Mode,
    Systemd,
}

/// A secret of which the configuration names the variable or the file; `None` when it names neither.
/// `what` is the beginning of both keys: `url`, `secret`.
pub(super) fn secret(
    what: &str,
    env: Option<&str>,
    file: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<SecretString>, Mistake> {
    if let Some(name) = env {
        let text = variable(name).filter(|text| !text.is_empty());
        let message = || {
            let message = format!(
                "the variable {name} is not set; set it for this program, or name a file with `{what}_file`"
            );
            Mistake::new(format!("{what}_env"), message)
        };
        return text.map(|text| Some(text.into())).ok_or_else(message);
    }
    file.map(|path| owners_file(what, path, Guard::Mode))
        .transpose()
}

/// The secret in a file that only its owner can read.
fn owners_file(what: &str, path: &Path, guard: Guard) -> Result<SecretString, Mistake> {
    let shown = path.display();
    let wrong = |message: String| Mistake::new(format!("{what}_file"), message);
    let unreadable = |error: std::io::Error| wrong(format!("cannot read {shown}: {error}"));
    let mut file = text_file::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 && guard == Guard::Mode {
        return Err(wrong(format!(
            "others may read {shown} (mode {mode:04o}); it must have mode 0600: `chmod 600 {shown}`"
        )));
    }
    let mut text = String::new();
    (&mut file)
        .take(PASSWORD_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > PASSWORD_BYTES {
        return Err(wrong(format!(
            "{shown} is longer than a {what}; it must hold the {what} and nothing else"
        )));
    }
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(wrong(format!(
            "{shown} is empty; it must hold the {what} and nothing else"
        )));
    }
    Ok(text.into())
}

/// A text with what stands between `://` (or its start) and the last `@` replaced, as it may hold a
/// password.
pub fn redacted(text: &str) -> String {
    text.split_inclusive(char::is_whitespace)
        .map(|word| match word.rsplit_once('@') {
            Some((before, after)) => {
                let kept = before
                    .split_once("://")
                    .map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
                format!("{kept}***@{after}")
            }
            None => word.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
