//! Tokens of the HTTP API: what they look like, what they permit, and what is kept of them.
//!
//! `atl_ID_SECRET`: the id (64 bits) is not secret and finds the token in the store; the secret is
//! 256 random bits and the first 32 bits of a checksum, so that a slip of the hand or a cut copy is
//! told from a wrong token without asking the store, and scanners know a token that was published.
//! Only a hash is stored: a slow one adds nothing to 256 bits.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::time::Timestamp;

const PREFIX: &str = "atl_";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const CHECK_BYTES: usize = 4;

/// What a token permits. Admin includes the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To read everything that the console shows.
    Read,
    /// To send log records, phases and what else adds to the stores.
    Write,
    /// To look after tokens and the service.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A word that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope; use one of read, write, admin")]
pub struct NoScope(String);

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(word: &str) -> Result<Self, NoScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == word);
        found.ok_or_else(|| NoScope(word.chars().take(40).collect()))
    }
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenRecord {
    pub id: String,
    /// What it is for, in somebody's words.
    pub name: String,
    /// Hexadecimal BLAKE3 of the whole token.
    #[serde(skip)]
    pub hash: String,
    pub scopes: BTreeSet<Scope>,
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl TokenRecord {
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Neither revoked nor expired.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires| now < expires)
    }

    /// `valid`, `expired` or `revoked`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.revoked_at, self.is_valid(now)) {
            (Some(_), _) => "revoked",
            (None, true) => "valid",
            (None, false) => "expired",
        }
    }
}

/// A token as its owner has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    text: String,
}

impl Token {
    /// From random bits.
    pub fn new(id: [u8; ID_BYTES], secret: [u8; SECRET_BYTES]) -> Self {
        let id = hex(&id);
        let body = format!("{PREFIX}{id}_{}", hex(&secret));
        let text = format!("{body}{}", check_of(&body));
        Self { id, text }
    }

    /// `None`: this was never a token, or is not all of it.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (id, secret) = rest.split_once('_')?;
        let is_hex = |part: &str| {
            part.bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let fits = id.len() == 2 * ID_BYTES && secret.len() == 2 * (SECRET_BYTES + CHECK_BYTES);
        if !fits || !is_hex(id) || !is_hex(secret) {
            return None;
        }
        let (body, check) = text.split_at_checked(text.len() - 2 * CHECK_BYTES)?;
        (check_of(body) == check).then(|| Self {
            id: id.to_owned(),
            text: text.to_owned(),
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret itself: shown once, to who made it.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is stored: hexadecimal BLAKE3.
    pub fn hash(&self) -> String {
        blake3::hash(self.text.as_bytes()).to_hex().to_string()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({PREFIX}{}_…)", self.id)
    }
}

fn check_of(body: &str) -> String {
    hex(&blake3::hash(body.as_bytes()).as_bytes()[..CHECK_BYTES])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_is_read_again_and_a_changed_one_is_not(
            id: [u8; 8], secret: [u8; 32], place: prop::sample::Index, sign in "[0-9a-f_A-Z]",
        ) {
            let token = Token::new(id, secret);
            let text = token.reveal();
            prop_assert_eq!(Token::parse(text), Some(token.clone()));
            let at = place.index(text.len());
            let mut changed = text.to_owned();
            changed.replace_range(at..=at, &sign);
            prop_assert_eq!(Token::parse(&changed).is_some(), changed == text);
            prop_assert_eq!(Token::parse(&text[..at]), None);
        }

        #[test]
        fn whatever_comes_is_no_token(text in "(atl_)?\\PC{0,120}") {
            prop_assert_eq!(Token::parse(&text), None);
        }

        #[test]
        fn the_secret_is_not_shown_by_accident(id: [u8; 8], secret: [u8; 32]) {
            let token = Token::new(id, secret);
            let shown = format!("{token:?}");
            prop_assert!(!shown.contains(&token.reveal()[21..]));
            prop_assert!(shown.contains(token.id()));
        }
    }

    #[test]
    fn admin_includes_the_others_and_nothing_else_does() {
        let with = |scopes: &[Scope]| TokenRecord {
            id: "id".to_owned(),
            name: "n".to_owned(),
            hash: String::new(),
            scopes: scopes.iter().copied().collect(),
            created_at: Timestamp::from_seconds(0),
            expires_at: Some(Timestamp::from_seconds(10)),
            last_used_at: None,
            revoked_at: None,
        };
        for (scopes, allowed) in [
            (&[Scope::Read][..], [true, false, false]),
            (&[Scope::Write], [false, true, false]),
            (&[Scope::Read, Scope::Write], [true, true, false]),
            (&[Scope::Admin], [true, true, true]),
        ] {
            assert_eq!(Scope::ALL.map(|scope| with(scopes).allows(scope)), allowed);
        }
        let token = with(&[Scope::Read]);
        assert!(token.is_valid(Timestamp::from_micros(9_999_999)));
        assert_eq!(token.state(Timestamp::from_seconds(10)), "expired");
        assert_eq!("admin".parse::<Scope>().unwrap(), Scope::Admin);
        assert!("Admin".parse::<Scope>().is_err());
    }
}
