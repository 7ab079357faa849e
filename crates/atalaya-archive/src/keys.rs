//! Who may read an encrypted archive: recipients of `age` (X25519), and the identities that answer
//! to them. Format: <https://age-encryption.org/v1>.

use std::str::FromStr as _;

use age::x25519;
use secrecy::{ExposeSecret as _, SecretString};

/// What is no key; never shows one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("`{0}` is no recipient: it begins with age1 (made by `age-keygen`)")]
    Recipient(String),
    #[error("line {0} is no identity: it begins with AGE-SECRET-KEY-1 (made by `age-keygen`)")]
    Identity(usize),
    #[error("there is no identity in it")]
    NoIdentity,
}

/// Those who can read what is written; none: it is not encrypted.
#[derive(Clone, Default)]
pub struct Recipients(pub(crate) Vec<x25519::Recipient>);

impl Recipients {
    pub fn parse<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, KeyError> {
        let parse = |key: &str| {
            let found = x25519::Recipient::from_str(key.trim());
            // Somebody may have put the secret half here.
            let shown: String = key.chars().take(8).collect();
            found.map_err(|_| KeyError::Recipient(format!("{shown}…")))
        };
        let keys: Result<Vec<_>, _> = keys.into_iter().map(parse).collect();
        Ok(Self(keys?))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The secret halves.
#[derive(Clone, Default)]
pub struct Identities(pub(crate) Vec<x25519::Identity>);

impl Identities {
    /// A file as `age-keygen` writes it: comments, and one identity a line.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.expose_secret().lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            keys.push(x25519::Identity::from_str(line).map_err(|_| KeyError::Identity(number))?);
        }
        if keys.is_empty() {
            return Err(KeyError::NoIdentity);
        }
        Ok(Self(keys))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Identities({})", self.0.len())
    }
}

impl std::fmt::Debug for Recipients {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Recipients({})", self.0.len())
    }
}
