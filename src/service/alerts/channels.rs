//! The channels as they are configured now: each opened by itself, so that one that cannot be used
//! silences no other.

use std::sync::Arc;

use super::deliver::Courier;
use crate::config::Settings;
use crate::notify::{Heartbeat, Notifier};
use atalaya_domain::error_class::ErrorClass;

/// What messages go through.
pub struct Channels {
    pub courier: Courier,
    pub heartbeat: Option<Heartbeat>,
    /// What cannot be used, with the reason: `alerts.channels.ops.url_env: …`.
    pub broken: Vec<String>,
}

impl Channels {
    /// Reads secrets and certificates. Never fails: what cannot be used is told as such.
    pub async fn open(settings: Arc<Settings>) -> Self {
        let opened = tokio::task::spawn_blocking(move || Self::open_now(&settings));
        opened.await.unwrap_or_else(|lost| Self {
            courier: Courier::new(Notifier::default()),
            heartbeat: None,
            broken: vec![format!("alerts.channels: {lost}")],
        })
    }

    fn open_now(settings: &Settings) -> Self {
        let notifier = Notifier::open(settings.channels());
        let mut broken: Vec<String> = notifier.broken().map(str::to_owned).collect();
        let heartbeat = match settings.heartbeat() {
            Ok(None) => None,
            Ok(Some((url, ca_file))) => Heartbeat::open(url, ca_file.as_deref())
                .map_err(|why| broken.push(why))
                .ok(),
            Err(error) => {
                broken.push(error.to_string());
                None
            }
        };
        Self {
            courier: Courier::new(notifier),
            heartbeat,
            broken,
        }
    }

    /// For whoever is about to begin with a configuration: all of it must be usable.
    ///
    /// # Errors
    /// The first that is not, with its place.
    pub async fn check(settings: &Settings) -> Result<(), BrokenChannel> {
        let opened = Self::open(Arc::new(settings.clone())).await;
        opened
            .broken
            .into_iter()
            .next()
            .map_or(Ok(()), |why| Err(BrokenChannel(why)))
    }
}

/// A channel or the heartbeat cannot be used as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BrokenChannel(String);

impl BrokenChannel {
    /// Somebody has to mend the configuration, or what it names.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}
