//! What a person can do about an error of a store, in the words of this program's command line.

use std::error::Error;

use atalaya_store::error::{Reason, Remedy, StoreError};

use super::alerts::AlertError;
use super::care::CareError;
use super::demo::DemoError;
use super::dora::{GatherError, IncidentError};
use super::pdca::PdcaError;
use super::tokens::TokenError;

/// An error with its causes on one line, and what to do about it.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let text = atalaya_store::error::describe(error);
    match advice(error) {
        Some(advice) => format!("{text}; {advice}"),
        None => text,
    }
}

/// Why something waits, and what to do about it.
pub fn say(reason: &Reason) -> String {
    match reason.remedy {
        Some(remedy) => format!("{}; {}", reason.why, words(remedy)),
        None => reason.why.clone(),
    }
}

/// The remedy of the store error among the causes, as a half-sentence.
pub fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut causes = std::iter::successors(Some(error), |cause| (*cause).source());
    causes.find_map(store_error)?.remedy().map(words)
}

const fn words(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::InitSchema => "run `atalaya db init`",
        Remedy::MigrateSchema => "run `atalaya db migrate`",
        Remedy::NewerProgram => "use a newer atalaya",
        Remedy::Restore => {
            "bring the file back from a backup; with since: and until: outside of that time the rest is read"
        }
        Remedy::Repair => {
            "`atalaya db check` says what is damaged, `atalaya db repair` keeps what can be read, `atalaya db set-aside` begins anew"
        }
        Remedy::OtherFolder => "let it be written, or choose another with --data-dir",
    }
}

/// An error that only passes a store's on says that one's words and causes, and is not among them.
fn store_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a StoreError> {
    error
        .downcast_ref::<StoreError>()
        .or_else(|| match error.downcast_ref()? {
            PdcaError::Store(error) => Some(error),
            _ => None,
        })
        .or_else(|| match error.downcast_ref()? {
            AlertError::Store(error) => Some(error),
            _ => None,
        })
        .or_else(|| match error.downcast_ref()? {
            GatherError::Store(error) => Some(error),
            _ => None,
        })
        .or_else(|| match error.downcast_ref()? {
            IncidentError::Store(error) => Some(error),
            _ => None,
        })
        .or_else(|| match error.downcast_ref()? {
            CareError::Store(error) => Some(error),
            _ => None,
        })
        .or_else(|| match error.downcast_ref()? {
            DemoError::Store(error) => Some(error),
            _ => None,
        })
        .or_else(|| match error.downcast_ref()? {
            TokenError::Store(error) => Some(error),
            _ => None,
        })
}
