//! Channels: where messages go, and with which secrets.

use atalaya_domain::length::Length;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::AlertSettings;
use crate::config::places::{self, Mistake};

/// Where Slack's incoming webhooks are.
const SLACK_HOST: &str = "hooks.slack.com";
const COMMAND_SECONDS: std::ops::RangeInclusive<u64> = 1..=120;

/// `[alerts.channels.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ChannelConfig {
    /// A line of JSON for each message.
    File {
        /// Absent: `alerts.jsonl` in the data directory.
        path: Option<PathBuf>,
    },
    /// An incoming webhook; its address is a secret.
    Slack {
        url_env: Option<String>,
        url_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
    },
    /// JSON by POST, signed when there is a secret.
    Webhook {
        /// Without anything secret in it.
        url: Option<String>,
        url_env: Option<String>,
        url_file: Option<PathBuf>,
        secret_env: Option<String>,
        secret_file: Option<PathBuf>,
        /// PEM: who may sign the server's certificate, beside those that this system trusts.
        ca_file: Option<PathBuf>,
    },
    /// A program with the message as JSON on its standard input.
    Command {
        command: Vec<String>,
        timeout: Option<Length>,
    },
    /// SMTP over TLS; see `policy.allow_email`.
    Mail {
        server: String,
        from: String,
        to: Vec<String>,
        user: Option<String>,
        password_env: Option<String>,
        password_file: Option<PathBuf>,
    },
}

impl ChannelConfig {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Slack { .. } => "slack",
            Self::Webhook { .. } => "webhook",
            Self::Command { .. } => "command",
            Self::Mail { .. } => "mail",
        }
    }

    fn address(&self) -> Option<Address<'_>> {
        match self {
            Self::Slack {
                url_env, url_file, ..
            } => Some(Address {
                url: None,
                env: url_env.as_deref(),
                file: url_file.as_deref(),
            }),
            Self::Webhook {
                url,
                url_env,
                url_file,
                ..
            } => Some(Address {
                url: url.as_deref(),
                env: url_env.as_deref(),
                file: url_file.as_deref(),
            }),
            Self::File { .. } | Self::Command { .. } | Self::Mail { .. } => None,
        }
    }
}

/// Where the address of a request is written: exactly one of these.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    pub url: Option<&'a str>,
    pub env: Option<&'a str>,
    pub file: Option<&'a Path>,
}

/// A channel with its secrets.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    File {
        path: PathBuf,
    },
    Slack {
        url: SecretString,
        ca_file: Option<PathBuf>,
    },
    Webhook {
        url: SecretString,
        secret: Option<SecretString>,
        ca_file: Option<PathBuf>,
    },
    Command {
        command: Vec<String>,
        timeout: Duration,
    },
    Mail(MailPlace),
}

/// A mail server and who writes to whom.
#[derive(Clone, Debug)]
pub struct MailPlace {
    pub server: String,
    pub from: String,
    pub to: Vec<String>,
    /// User and password.
    pub login: Option<(String, SecretString)>,
}

/// What can be checked without a secret.
pub(super) fn check(
    name: &str,
    config: &ChannelConfig,
    settings: &AlertSettings,
) -> Result<(), Mistake> {
    super::rules::check_name(name).map_err(|message| Mistake::new("name", message))?;
    if let Some(address) = config.address() {
        check_address(&address, &settings.allow_hosts)?;
    }
    match config {
        ChannelConfig::Command { command, timeout } => {
            if command.first().is_none_or(std::string::String::is_empty) {
                let message = "is empty; write the program and its arguments, as in [\"/usr/local/bin/page\", \"--team\", \"ops\"]";
                return Err(Mistake::new("command", message));
            }
            if let Some(timeout) = timeout
                && !COMMAND_SECONDS.contains(&timeout.0.as_secs())
            {
                let message = format!("{timeout} is not between 1s and 120s; write `10s`");
                return Err(Mistake::new("timeout", message));
            }
        }
        ChannelConfig::Webhook {
            secret_env,
            secret_file,
            ..
        } => one_at_most("secret", secret_env.as_deref(), secret_file.as_deref())?,
        ChannelConfig::Mail {
            server,
            from,
            to,
            user,
            password_env,
            password_file,
        } => {
            check_mail(settings.policy.allow_email, server, from, to)?;
            one_at_most(
                "password",
                password_env.as_deref(),
                password_file.as_deref(),
            )?;
            if user.is_some() != (password_env.is_some() || password_file.is_some()) {
                let message = "a user and a password belong together; set `user` and one of `password_env` and `password_file`";
                return Err(Mistake::new("user", message));
            }
        }
        ChannelConfig::File { .. } | ChannelConfig::Slack { .. } => {}
    }
    Ok(())
}

fn check_mail(allowed: bool, server: &str, from: &str, to: &[String]) -> Result<(), Mistake> {
    if !cfg!(feature = "mail") {
        let message = "`mail` is not compiled into this program; build it with `--features mail`, or use slack, webhook, command or file";
        return Err(Mistake::new("kind", message));
    }
    if !allowed {
        let message = "mail is not permitted here; set `allow_email = true` in [policy], or use slack, webhook, command or file";
        return Err(Mistake::new("kind", message));
    }
    let address = |text: &str| {
        let (user, host) = text.split_once('@').unwrap_or_default();
        !user.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace)
    };
    if server.is_empty() || !address(from) || to.is_empty() || !to.iter().all(|to| address(to)) {
        let message = "needs a server, one sender and at least one receiver, as in `server = \"mail.example.org\"`, `from = \"atalaya@example.org\"`, `to = [\"ops@example.org\"]`";
        return Err(Mistake::new("server", message));
    }
    Ok(())
}

fn one_at_most(what: &str, env: Option<&str>, file: Option<&Path>) -> Result<(), Mistake> {
    if env.is_some() && file.is_some() {
        let message = format!("stands beside `{what}_file`; keep one of them");
        return Err(Mistake::new(format!("{what}_env"), message));
    }
    env.map_or(Ok(()), |env| check_variable(&format!("{what}_env"), env))
}

fn check_variable(key: &str, name: &str) -> Result<(), Mistake> {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    if name.is_empty() || !name.chars().all(plain) {
        let message = "is no name of an environment variable; write the name and not the value, as in `SLACK_URL`";
        return Err(Mistake::new(key, message));
    }
    if name.starts_with("ATALAYA_") {
        let message = format!(
            "`{name}` would be read as configuration; take a name without ATALAYA_ in front"
        );
        return Err(Mistake::new(key, message));
    }
    Ok(())
}

/// Exactly one place, and what is written openly is allowed.
pub(super) fn check_address(
    address: &Address<'_>,
    allowed: &BTreeSet<String>,
) -> Result<(), Mistake> {
    let places = [
        address.url.is_some(),
        address.env.is_some(),
        address.file.is_some(),
    ];
    if places.iter().filter(|given| **given).count() != 1 {
        let message = "the address is needed once; name a variable with `url_env` or a file with `url_file` (mode 0600)";
        return Err(Mistake::new("url_env", message));
    }
    if let Some(env) = address.env {
        check_variable("url_env", env)?;
    }
    if let Some(url) = address.url {
        let open = check_url(url, allowed).map_err(|message| Mistake::new("url", message))?;
        if !open {
            let message = "has a user, a password or a query, which may be secret; name a variable with `url_env` or a file with `url_file`";
            return Err(Mistake::new("url", message));
        }
    }
    Ok(())
}

/// Whether the address shows nothing that may be secret; an error for what may not be asked. Never
/// repeats the address.
fn check_url(url: &str, allowed: &BTreeSet<String>) -> Result<bool, String> {
    let parsed = reqwest::Url::parse(url.trim())
        .map_err(|error| format!("is no address ({error}); write `https://host/path`"))?;
    let host = parsed.host_str().unwrap_or_default().to_lowercase();
    let here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && here) {
        return Err("must begin with `https://`; plain http goes to this machine only".to_owned());
    }
    if host != SLACK_HOST && !allowed.contains(&host) {
        return Err(format!(
            "`{host}` is not allowed; add it to `allow_hosts` in [alerts]"
        ));
    }
    Ok(parsed.username().is_empty() && parsed.password().is_none() && parsed.query().is_none())
}

/// Host names, in lower case.
pub(super) fn hosts(names: &[String]) -> Result<BTreeSet<String>, Mistake> {
    for name in names {
        let plain = |sign: char| sign.is_ascii_alphanumeric() || "-._:[]".contains(sign);
        if name.is_empty() || !name.chars().all(plain) {
            let message = format!(
                "`{}` is no host; write its name alone, as in `alerts.example.org`",
                places::redacted(name)
            );
            return Err(Mistake::new("allow_hosts", message));
        }
    }
    Ok(names.iter().map(|name| name.to_lowercase()).collect())
}

/// Every channel with its secrets, by name, or what is wrong with it. `variable` reads the
/// environment.
pub fn resolve(
    settings: &AlertSettings,
    data_dir: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, Result<ChannelKind, Mistake>)> {
    let channels = settings.channels.iter();
    channels
        .map(|(name, config)| {
            let kind = kind(config, settings, data_dir, variable)
                .map_err(|mistake| mistake.below(&format!("channels.{name}")));
            (name.clone(), kind)
        })
        .collect()
}

/// The address of a request, checked against what is allowed.
pub fn url(
    address: &Address<'_>,
    settings: &AlertSettings,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<SecretString, Mistake> {
    if let Some(url) = address.url {
        return Ok(url.trim().into());
    }
    let secret = places::secret("url", address.env, address.file, variable)?
        .ok_or_else(|| Mistake::new("url_env", "names no address"))?;
    let text = secrecy::ExposeSecret::expose_secret(&secret);
    let key = if address.env.is_some() {
        "url_env"
    } else {
        "url_file"
    };
    check_url(text, &settings.allow_hosts)
        .map_err(|message| Mistake::new(key, format!("what it holds {message}")))?;
    Ok(text.trim().into())
}

fn kind(
    config: &ChannelConfig,
    settings: &AlertSettings,
    data_dir: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<ChannelKind, Mistake> {
    let request = || match config.address() {
        Some(address) => url(&address, settings, variable),
        None => Err(Mistake::new("url_env", "names no address")),
    };
    Ok(match config {
        ChannelConfig::File { path } => ChannelKind::File {
            path: path
                .clone()
                .unwrap_or_else(|| data_dir.join("alerts.jsonl")),
        },
        ChannelConfig::Slack { ca_file, .. } => ChannelKind::Slack {
            url: request()?,
            ca_file: ca_file.clone(),
        },
        ChannelConfig::Webhook {
            secret_env,
            secret_file,
            ca_file,
            ..
        } => ChannelKind::Webhook {
            url: request()?,
            secret: places::secret(
                "secret",
                secret_env.as_deref(),
                secret_file.as_deref(),
                variable,
            )?,
            ca_file: ca_file.clone(),
        },
        ChannelConfig::Command { command, timeout } => ChannelKind::Command {
            command: command.clone(),
            timeout: timeout.map_or(Duration::from_secs(10), |timeout| timeout.0),
        },
        ChannelConfig::Mail {
            server,
            from,
            to,
            user,
            password_env,
            password_file,
        } => {
            let password = places::secret(
                "password",
                password_env.as_deref(),
                password_file.as_deref(),
                variable,
            )?;
            ChannelKind::Mail(MailPlace {
                server: server.clone(),
                from: from.clone(),
                to: to.clone(),
                login: user.clone().zip(password),
            })
        }
    })
}
