//! Questions: only what is known, in bounds that the error names.

use std::fmt;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::problem::Problem;

const REMEDY: &str = "GET /api/openapi.json says what this address takes";

/// The query of an address. Every type has `deny_unknown_fields`.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        let Query(query) = read.map_err(|rejection| {
            let text = rejection.body_text();
            let text = text
                .strip_prefix("Failed to deserialize query string: ")
                .unwrap_or(&text);
            Problem::bad_request(shortened(text), REMEDY)
        })?;
        Ok(Self(query))
    }
}

/// A part of the path, decoded.
#[derive(Debug)]
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        read.map(|Path(name)| Self(name))
            .map_err(|rejection| Problem::bad_request(shortened(&rejection.body_text()), REMEDY))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

/// A whole number in a range. Whatever else comes is told with the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const LEAST: u32, const MOST: u32>(pub u32);

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().ok();
        number
            .filter(|number| (LEAST..=MOST).contains(number))
            .map(Self)
            .ok_or_else(|| D::Error::custom(OutOfRange::<LEAST, MOST>(text)))
    }
}

struct OutOfRange<const LEAST: u32, const MOST: u32>(String);

impl<const LEAST: u32, const MOST: u32> fmt::Display for OutOfRange<LEAST, MOST> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(40).collect();
        write!(
            formatter,
            "`{shown}` is not a whole number from {LEAST} to {MOST}"
        )
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use axum::http::Uri;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Days {
        days: Option<Whole<1, 365>>,
    }

    fn read(query: &str) -> Result<Option<u32>, String> {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        let read = Query::<Days>::try_from_uri(&uri);
        read.map(|Query(days)| days.days.map(|days| days.0))
            .map_err(|rejection| rejection.body_text())
    }

    proptest! {
        #[test]
        fn a_number_is_taken_in_its_range_and_else_refused_with_it(number: i64) {
            let range = 1..=365;
            match read(&format!("days={number}")) {
                Ok(days) => prop_assert!(range.contains(&i64::from(days.unwrap()))),
                Err(text) => {
                    prop_assert!(!range.contains(&number));
                    prop_assert!(text.contains("days") && text.contains("from 1 to 365"), "{}", text);
                }
            }
        }
    }

    #[test]
    fn what_is_unknown_or_twice_is_refused() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("days=30"), Ok(Some(30)));
        for wrong in [
            "day=30",
            "days=1&days=2",
            "days=",
            "days=1.5",
            "days=99999999999999999999",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
