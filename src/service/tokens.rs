//! Tokens of the HTTP API: made, listed, revoked, and known again.

use std::collections::BTreeSet;
use std::time::Duration;

use subtle::ConstantTimeEq as _;

use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::time::Timestamp;
use atalaya_domain::token::{Scope, Token, TokenRecord};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::MetricsStore;

/// A name is for people.
const LONGEST_NAME: usize = 100;
/// A use is remembered to the minute: each one would be a write for each request.
const USE_STEP: Duration = Duration::from_secs(60);
/// What the secret of an unknown id is compared with: nothing has this hash.
const NOBODYS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Why a token cannot be made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    Missing(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Wrong(_) => ErrorClass::Usage,
            Self::Missing(_) => ErrorClass::Missing,
            Self::Store(error) => error.class(),
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    /// From now; `None`: it does not expire.
    pub lifetime: Option<Duration>,
}

/// Makes a token. It is in the answer, and from then on nowhere but with its owner.
///
/// # Errors
/// The name is empty or too long, there is no scope, or the store does not take it.
pub async fn create(
    store: &dyn MetricsStore,
    new: NewToken,
    now: Timestamp,
) -> Result<(Token, TokenRecord), TokenError> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        let message = format!("a token needs a name of 1 to {LONGEST_NAME} characters");
        return Err(TokenError::Wrong(message));
    }
    if new.scopes.is_empty() {
        let message = "a token needs a scope: read, write or admin".to_owned();
        return Err(TokenError::Wrong(message));
    }
    if new.lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
        let message = "a token that expires at once is of no use; give it some time".to_owned();
        return Err(TokenError::Wrong(message));
    }
    let token = Token::new(rand::random(), rand::random());
    let record = TokenRecord {
        id: token.id().to_owned(),
        name: name.to_owned(),
        hash: token.hash(),
        scopes: new.scopes,
        created_at: now,
        expires_at: new.lifetime.map(|lifetime| now.saturating_add(lifetime)),
        last_used_at: None,
        revoked_at: None,
    };
    store.add_token(&record).await?;
    Ok((token, record))
}

/// Every token that was ever made, newest first.
///
/// # Errors
/// Those of the store.
pub async fn list(store: &dyn MetricsStore) -> Result<Vec<TokenRecord>, TokenError> {
    Ok(store.tokens().await?)
}

/// Revokes the token of this id, or of this name when only one valid token has it.
///
/// # Errors
/// There is none, or several; or the store does not take it.
pub async fn revoke(
    store: &dyn MetricsStore,
    wanted: &str,
    now: Timestamp,
) -> Result<TokenRecord, TokenError> {
    // Who pastes the whole token means its id.
    let id = Token::parse(wanted).map_or_else(|| wanted.to_owned(), |token| token.id().to_owned());
    if let Some(revoked) = store.revoke_token(&id, now).await? {
        return Ok(revoked);
    }
    let all = store.tokens().await?;
    let mut named = all
        .iter()
        .filter(|token| token.name == wanted && token.is_valid(now));
    match (named.next(), named.next()) {
        (Some(token), None) => {
            let revoked = store.revoke_token(&token.id, now).await?;
            revoked.ok_or_else(|| missing(wanted))
        }
        (Some(_), Some(_)) => Err(TokenError::Wrong(format!(
            "several tokens are called `{wanted}`; name one by its id (`atalaya token list`)"
        ))),
        (None, _) => Err(missing(wanted)),
    }
}

fn missing(wanted: &str) -> TokenError {
    let shown: String = wanted.chars().take(LONGEST_NAME).collect();
    TokenError::Missing(format!(
        "there is no token `{shown}`; `atalaya token list` names them"
    ))
}

/// Whose token a text is; `None` when it is nobody's, wrong, expired or revoked, all alike.
///
/// # Errors
/// Those of the store: then nobody knows.
pub async fn authenticate(
    store: &dyn MetricsStore,
    text: &str,
    now: Timestamp,
) -> Result<Option<TokenRecord>, StoreError> {
    let Some(token) = Token::parse(text) else {
        return Ok(None);
    };
    let known = store.token(token.id()).await?;
    let expected = known.as_ref().map_or(NOBODYS, |known| known.hash.as_str());
    let is_right: bool = token.hash().as_bytes().ct_eq(expected.as_bytes()).into();
    let Some(known) = known.filter(|known| is_right && known.is_valid(now)) else {
        return Ok(None);
    };
    let is_due = known
        .last_used_at
        .is_none_or(|last| now.since(last) >= USE_STEP);
    if is_due && let Err(error) = store.note_token_use(&known.id, now).await {
        // A store that is only read still says whose a token is.
        tracing::debug!(%error, "the use of a token was not remembered");
    }
    Ok(Some(known))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use atalaya_store::sqlite::metrics::SqliteMetricsStore;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_790_000_000 + seconds)
    }

    async fn store() -> (tempfile::TempDir, SqliteMetricsStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteMetricsStore::open(&folder.path().join("metrics.db"))
            .await
            .unwrap();
        (folder, store)
    }

    fn new(name: &str, lifetime: Option<u64>) -> NewToken {
        NewToken {
            name: name.to_owned(),
            scopes: BTreeSet::from([Scope::Read]),
            lifetime: lifetime.map(Duration::from_secs),
        }
    }

    #[tokio::test]
    async fn a_token_is_known_until_it_expires_or_is_revoked() {
        let (_folder, store) = store().await;
        let (token, record) = create(&store, new("shop", Some(100)), at(0)).await.unwrap();
        let who = |text: String, now| {
            let store = &store;
            async move { authenticate(store, &text, now).await.unwrap() }
        };
        let text = token.reveal().to_owned();
        assert_eq!(who(text.clone(), at(1)).await.unwrap().id, record.id);
        assert_eq!(who(text.clone(), at(100)).await, None, "expired");
        let wrong = Token::parse(&text).map(|_| {
            let mut id = [0_u8; 8];
            for (byte, two) in id.iter_mut().zip(record.id.as_bytes().chunks(2)) {
                *byte = u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
            }
            Token::new(id, [7; 32])
        });
        let wrong = wrong.unwrap();
        assert_eq!(
            wrong.id(),
            record.id,
            "the id is right and the secret is not"
        );
        assert_eq!(who(wrong.reveal().to_owned(), at(1)).await, None);
        let unknown = Token::new([9; 8], [9; 32]);
        assert_eq!(who(unknown.reveal().to_owned(), at(1)).await, None);
        assert_eq!(who("Bearer".to_owned(), at(1)).await, None);
        revoke(&store, &record.id, at(2)).await.unwrap();
        assert_eq!(who(text, at(2)).await, None, "revoked");
        let kept = &list(&store).await.unwrap()[0];
        assert_eq!(kept.last_used_at, Some(at(1)));
        assert!(!format!("{kept:?}").contains(&token.reveal()[21..]));
    }

    #[tokio::test]
    async fn a_name_revokes_only_when_it_is_one_tokens() {
        let (_folder, store) = store().await;
        for _ in 0..2 {
            create(&store, new("twice", None), at(0)).await.unwrap();
        }
        let (once, _) = create(&store, new("once", None), at(0)).await.unwrap();
        assert_eq!(revoke(&store, "once", at(1)).await.unwrap().id, once.id());
        let error = revoke(&store, "twice", at(1)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Usage);
        let error = revoke(&store, "never", at(1)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Missing);
        let (whole, _) = create(&store, new("whole", None), at(0)).await.unwrap();
        let revoked = revoke(&store, whole.reveal(), at(1)).await.unwrap();
        assert_eq!(revoked.id, whole.id());
    }

    #[tokio::test]
    async fn what_is_of_no_use_is_not_made() {
        let (_folder, store) = store().await;
        let none = NewToken {
            scopes: BTreeSet::new(),
            ..new("shop", None)
        };
        for wrong in [
            new(" ", None),
            new(&"x".repeat(101), None),
            none,
            new("x", Some(0)),
        ] {
            let error = create(&store, wrong, at(0)).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Usage);
        }
        assert_eq!(list(&store).await.unwrap(), []);
    }
}
