//! Messages out: one try of one message to one channel. When, in which order and how often is not
//! decided here.
//!
//! Promises: a try ends within [`Notifier::limit`]; no redirect is followed, no proxy used, and of an
//! answer at most 4 KiB are read; what comes from a log is escaped for where it goes; an address, a secret
//! or a header with one is in no error.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::config::alerts::ChannelKind;
use atalaya_domain::alert::Message;
use atalaya_domain::time::Timestamp;

mod command;
mod file;
mod http;
#[cfg(feature = "mail")]
mod mail;
mod slack;
mod text;
mod webhook;

pub use http::Http;

/// What one try by network may take.
pub const LIMIT: Duration = crate::http::LIMIT;

/// Why a try did not deliver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{answer}")]
pub struct SendError {
    /// What was answered, or what stood in the way: short, untrusted, without secrets.
    pub answer: String,
    pub again: Again,
}

/// Whether the same message may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    Yes,
    /// Not before this long.
    After(Duration),
    /// The receiver understood it and does not want it: no repetition changes that.
    No,
}

impl SendError {
    fn later(answer: impl fmt::Display) -> Self {
        Self {
            answer: cut(&answer.to_string()),
            again: Again::Yes,
        }
    }
}

/// Longest answer that is kept, in characters.
const ANSWER: usize = 500;

fn cut(text: &str) -> String {
    text.chars().take(ANSWER).collect()
}

/// The opened channels.
#[derive(Default)]
pub struct Notifier {
    channels: BTreeMap<String, Opened>,
}

enum Opened {
    File(PathBuf),
    Slack(Http, SecretString),
    Webhook(Http, SecretString, Option<SecretString>),
    Command(Vec<String>, Duration),
    #[cfg(feature = "mail")]
    Mail(mail::Mailer),
    /// It cannot be used as it is configured, for this reason. What it is sent waits.
    Broken(String),
}

impl Notifier {
    /// Blocking: reads certificates. A channel that cannot be used is one that takes nothing, and
    /// the others are as they would be without it.
    pub fn open<E: fmt::Display>(
        channels: impl IntoIterator<Item = (String, Result<ChannelKind, E>)>,
    ) -> Self {
        let opened = channels.into_iter().map(|(name, channel)| {
            let opened = channel.map_err(|error| error.to_string()).and_then(|kind| {
                open(kind).map_err(|why| format!("alerts.channels.{name}: {why}"))
            });
            (name, opened.unwrap_or_else(Opened::Broken))
        });
        Self {
            channels: opened.collect(),
        }
    }

    /// Why channels cannot be used, each with its name.
    pub fn broken(&self) -> impl Iterator<Item = &str> {
        self.channels.values().filter_map(|channel| match channel {
            Opened::Broken(why) => Some(why.as_str()),
            _ => None,
        })
    }

    /// By name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.keys().map(String::as_str)
    }

    pub fn has(&self, channel: &str) -> bool {
        self.channels.contains_key(channel)
    }

    pub fn is_broken(&self, channel: &str) -> bool {
        matches!(self.channels.get(channel), Some(Opened::Broken(_)))
    }

    /// What one try of this channel may take.
    pub fn limit(&self, channel: &str) -> Duration {
        match self.channels.get(channel) {
            Some(Opened::Command(_, timeout)) => *timeout,
            _ => LIMIT,
        }
    }

    /// One try of one message to the channel that it names. `now` is part of signatures.
    ///
    /// # Errors
    /// It was not delivered, as far as is known.
    pub async fn send(&self, message: &Message, now: Timestamp) -> Result<(), SendError> {
        let Some(channel) = self.channels.get(&message.channel) else {
            return Err(SendError {
                answer: format!("there is no channel `{}`", message.channel),
                again: Again::No,
            });
        };
        match channel {
            Opened::File(path) => file::append(path.clone(), message).await,
            Opened::Slack(http, url) => slack::send(http, url, message).await,
            Opened::Webhook(http, url, secret) => {
                webhook::send(http, url, secret.as_ref(), message, now).await
            }
            Opened::Command(command, timeout) => command::run(command, *timeout, message).await,
            #[cfg(feature = "mail")]
            Opened::Mail(mailer) => mailer.send(message).await,
            Opened::Broken(why) => Err(SendError::later(why)),
        }
    }
}

fn open(kind: ChannelKind) -> Result<Opened, String> {
    let http = |ca_file: Option<PathBuf>| Http::new(ca_file.as_deref());
    Ok(match kind {
        ChannelKind::File { path } => Opened::File(path),
        ChannelKind::Slack { url, ca_file } => Opened::Slack(http(ca_file)?, url),
        ChannelKind::Webhook {
            url,
            secret,
            ca_file,
        } => Opened::Webhook(http(ca_file)?, url, secret),
        ChannelKind::Command { command, timeout } => Opened::Command(command, timeout),
        #[cfg(feature = "mail")]
        ChannelKind::Mail(place) => Opened::Mail(mail::Mailer::new(place)?),
        #[cfg(not(feature = "mail"))]
        ChannelKind::Mail(_) => return Err("`mail` is not compiled in".to_owned()),
    })
}

/// The dead man's switch: somebody outside misses it when it stops.
pub struct Heartbeat {
    http: Http,
    url: SecretString,
}

impl Heartbeat {
    /// Blocking: reads certificates.
    ///
    /// # Errors
    /// The `ca_file` cannot be read; in words.
    pub fn open(url: SecretString, ca_file: Option<&Path>) -> Result<Self, String> {
        let http = Http::new(ca_file).map_err(|why| format!("alerts.heartbeat: {why}"))?;
        Ok(Self { http, url })
    }

    /// One request.
    ///
    /// # Errors
    /// It was not answered well.
    pub async fn beat(&self) -> Result<(), SendError> {
        self.http.get(self.url.expose_secret()).await
    }
}

/// As JSON on one line, in which nothing can act on a terminal.
fn json_line(message: &Message) -> Result<String, SendError> {
    let text = serde_json::to_string(message).map_err(SendError::later)?;
    Ok(crate::shown::json(&text).into_owned())
}
