//! What every list needs: whom to ask, where to keep what, and how far it is.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{MetricsStore, SourceCursor};

use super::GithubProgress;
use crate::source::github::{Answer, AskError, Client, Page};

/// Pages of one thing that are read at once: of the commits between two deployments, of a branch.
const PAGES: usize = 50;

/// One repository while it is read.
pub(super) struct Reader<'a> {
    pub store: &'a dyn MetricsStore,
    pub client: &'a Client,
    /// Origin of its facts: `github:github.com/acme/shop`.
    pub source: String,
    /// `acme/shop`.
    pub repository: &'a str,
    /// Nothing older is read.
    pub oldest: Timestamp,
    pub now: Timestamp,
    pub progress: &'a (dyn Fn(GithubProgress<'_>) + Send + Sync),
}

impl Reader<'_> {
    /// What is remembered of a list; nothing when it was never read, or by another version.
    pub async fn load<T: DeserializeOwned + Default>(
        &self,
        resource: &str,
    ) -> Result<T, StoreError> {
        let known = self.store.cursor(&self.source, resource).await?;
        Ok(known
            .and_then(|known| serde_json::from_str(&known.body).ok())
            .unwrap_or_default())
    }

    pub async fn save<T: Serialize>(&self, resource: &str, value: &T) -> Result<(), StoreError> {
        put(self.store, &self.source, resource, value, self.now).await
    }

    /// The address of something of this repository.
    pub fn place(&self, rest: &str) -> String {
        format!("repos/{}/{rest}", self.repository)
    }

    pub fn says(&self, what: &'static str) {
        (self.progress)(GithubProgress {
            repository: self.repository,
            what,
            requests: self.client.counts().0,
        });
    }

    /// One page or thing that is needed whatever was known of it.
    pub async fn page(&self, place: &str) -> Result<Page, AskError> {
        match self.client.get(place, None).await? {
            Answer::Page(page) => Ok(page),
            Answer::NotModified => Err(AskError::Odd {
                path: place.to_owned(),
                why: "it says \"not modified\" to somebody who has nothing".to_owned(),
            }),
        }
    }

    /// All pages of a short list, of which `part` takes the things out; `None` when it is not there.
    pub async fn all(
        &self,
        place: &str,
        mut part: impl FnMut(Value) -> Option<Vec<Value>>,
    ) -> Result<Option<Vec<Value>>, AskError> {
        let mut things = Vec::new();
        let mut next = Some(place.to_owned());
        for _ in 0..PAGES {
            let Some(place) = next else { break };
            let page = match self.page(&place).await {
                Ok(page) => page,
                Err(AskError::Missing { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let found = part(page.body).ok_or_else(|| no_list(&place))?;
            things.extend(found);
            next = page.next;
        }
        Ok(Some(things))
    }
}

/// The things of a list that is the whole answer.
pub(super) fn list(body: Value) -> Option<Vec<Value>> {
    match body {
        Value::Array(things) => Some(things),
        _ => None,
    }
}

pub(super) fn no_list(place: &str) -> AskError {
    AskError::Odd {
        path: place.to_owned(),
        why: "it is no list".to_owned(),
    }
}

async fn put<T: Serialize>(
    store: &dyn MetricsStore,
    source: &str,
    resource: &str,
    value: &T,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Ok(body) = serde_json::to_string(value) else {
        return Ok(()); // plain values of ours; without it the list is read anew
    };
    store
        .put_cursor(&SourceCursor {
            source: source.to_owned(),
            resource: resource.to_owned(),
            body,
            changed_at: now,
        })
        .await
}

/// The limit of a server, remembered for the next run: asking on is what GitHub bans for.
pub(super) struct Limit<'a> {
    store: &'a dyn MetricsStore,
    source: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Until {
    until: i64,
}

impl<'a> Limit<'a> {
    pub fn new(store: &'a dyn MetricsStore, host: &str) -> Self {
        Self {
            store,
            source: format!("github:{host}"),
        }
    }

    pub async fn known(&self) -> Result<Option<Timestamp>, StoreError> {
        let known = self.store.cursor(&self.source, "limit").await?;
        Ok(known
            .and_then(|known| serde_json::from_str::<Until>(&known.body).ok())
            .map(|known| Timestamp::from_micros(known.until)))
    }

    pub async fn remember(&self, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let until = Until {
            until: until.micros(),
        };
        put(self.store, &self.source, "limit", &until, now).await
    }
}
