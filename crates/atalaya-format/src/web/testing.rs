//! Reads lines as the decoder does, without naming a format, and compares fields.

use atalaya_domain::record::Entry;
use atalaya_domain::time::Timestamp;

use super::super::{SourceZone, TimeHint};

/// All records of a text, and what read the first.
pub fn read(text: &str) -> (&'static str, Vec<Entry>) {
    let hint = TimeHint {
        reference: Timestamp::from_seconds(1_795_314_069),
        zone: SourceZone::Utc,
    };
    let (entries, decoder) = crate::testing::decoded(text, hint);
    (
        decoder
            .tally()
            .by_shape()
            .first()
            .map_or("", |(name, _)| *name),
        entries,
    )
}

/// A field by its name in the metadata, or `@time`, `@level`, `@message`, `@user`, `@id`, `@ms`,
/// `@logger`. Empty where there is none.
pub fn field(entry: &Entry, name: &str) -> String {
    match name {
        "@time" => entry.timestamp.to_rfc3339(),
        "@level" => entry.level.name().to_owned(),
        "@message" => entry.message.to_string(),
        "@user" => entry.user_id.as_deref().unwrap_or_default().to_owned(),
        "@id" => entry
            .request_id
            .as_ref()
            .map_or_else(String::new, |id| id.as_str().to_owned()),
        "@ms" => entry
            .duration_ms
            .map_or_else(String::new, |ms| ms.to_string()),
        "@logger" => entry.logger.as_deref().unwrap_or_default().to_owned(),
        _ => entry.metadata(name).unwrap_or_default().to_owned(),
    }
}

/// One record, by this format, with these fields.
#[track_caller]
pub fn check(text: &str, format: &str, fields: &[(&str, &str)]) {
    let (found, entries) = read(text);
    assert_eq!((found, entries.len()), (format, 1), "{text}\n{entries:#?}");
    for (name, value) in fields {
        assert_eq!(
            &field(&entries[0], name),
            value,
            "{name} of {text}\n{:#?}",
            entries[0]
        );
    }
}
