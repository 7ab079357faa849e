//! The names that a query can use, their other spellings, and what each takes.

use super::ast::{Bound, Field};
use super::suggest;

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Level,
    Layer,
    RequestId,
    Field(Field),
    Duration,
    Id,
    Has,
    Time(Bound),
}

/// One name of the language, as help and completion show it.
#[derive(Clone, Copy, Debug)]
pub struct FieldHelp {
    pub name: &'static str,
    /// What to put behind the name so that values can follow.
    pub insert: &'static str,
    pub aliases: &'static [&'static str],
    pub about: &'static str,
}

/// Every field, in the order in which help lists them.
pub const FIELDS: &[FieldHelp] = &[
    FieldHelp {
        name: "level",
        insert: "level>=",
        aliases: &["lvl", "severity"],
        about: "debug, info, warning, error, critical",
    },
    FieldHelp {
        name: "source",
        insert: "source:",
        aliases: &["src"],
        about: "what wrote it, such as nginx/*",
    },
    FieldHelp {
        name: "request_id",
        insert: "request_id:",
        aliases: &["req", "rid", "trace", "trace_id"],
        about: "the request it belongs to",
    },
    FieldHelp {
        name: "logger",
        insert: "logger:",
        aliases: &[],
        about: "logger or module",
    },
    FieldHelp {
        name: "message",
        insert: "message:",
        aliases: &["msg"],
        about: "text inside the message",
    },
    FieldHelp {
        name: "user",
        insert: "user:",
        aliases: &["user_id"],
        about: "user id",
    },
    FieldHelp {
        name: "session",
        insert: "session:",
        aliases: &["session_id"],
        about: "session id",
    },
    FieldHelp {
        name: "host",
        insert: "host:",
        aliases: &["hostname"],
        about: "host that the line names, else was read on",
    },
    FieldHelp {
        name: "layer",
        insert: "layer:",
        aliases: &[],
        about: "app or infra",
    },
    FieldHelp {
        name: "duration",
        insert: "duration>",
        aliases: &["duration_ms", "dur"],
        about: "time taken, such as >1s or <=250ms",
    },
    FieldHelp {
        name: "meta",
        insert: "meta.",
        aliases: &["m", "metadata"],
        about: "meta.status:502, meta.status>=500",
    },
    FieldHelp {
        name: "traceback",
        insert: "traceback:",
        aliases: &["exception"],
        about: "text inside the traceback",
    },
    FieldHelp {
        name: "has",
        insert: "has:",
        aliases: &[],
        about: "has:traceback, has:request_id, has:meta.status",
    },
    FieldHelp {
        name: "since",
        insert: "since:",
        aliases: &["after"],
        about: "15m, 2h, 3d, 12:30, today, 2026-11-21",
    },
    FieldHelp {
        name: "until",
        insert: "until:",
        aliases: &["before"],
        about: "the same, where the time ends",
    },
    FieldHelp {
        name: "at",
        insert: "at:",
        aliases: &[],
        about: "the minute, second or day that a time names",
    },
    FieldHelp {
        name: "id",
        insert: "id:",
        aliases: &[],
        about: "one record by its id",
    },
];

/// The field of a name or alias, in any case; `meta.*` names are the parser's.
pub(super) fn target(name: &str) -> Option<Target> {
    let field = FIELDS.iter().find(|field| {
        field.name.eq_ignore_ascii_case(name)
            || field
                .aliases
                .iter()
                .any(|alias| alias.eq_ignore_ascii_case(name))
    })?;
    Some(match field.name {
        "level" => Target::Level,
        "source" => Target::Field(Field::Source),
        "request_id" => Target::RequestId,
        "logger" => Target::Field(Field::Logger),
        "message" => Target::Field(Field::Message),
        "user" => Target::Field(Field::User),
        "session" => Target::Field(Field::Session),
        "host" => Target::Field(Field::Host),
        "layer" => Target::Layer,
        "duration" => Target::Duration,
        "traceback" => Target::Field(Field::Traceback),
        "has" => Target::Has,
        "since" => Target::Time(Bound::Since),
        "until" => Target::Time(Bound::Until),
        "at" => Target::Time(Bound::At),
        "id" => Target::Id,
        _ => return None,
    })
}

/// The name of a field that is no metadata value.
pub(super) const fn name_of(field: &Field) -> &'static str {
    match field {
        Field::Source => "source",
        Field::Host => "host",
        Field::Logger => "logger",
        Field::User => "user",
        Field::Session => "session",
        Field::Message => "message",
        Field::Traceback => "traceback",
        Field::Meta(_) => "meta",
    }
}

/// The part behind `meta.`, `m.` or `metadata.`.
pub(super) fn metadata_name(name: &str) -> Option<&str> {
    let (prefix, rest) = name.split_once('.')?;
    ["meta", "m", "metadata"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(prefix))
        .then_some(rest)
}

/// The known name that is most like a mistyped one.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let known = FIELDS
        .iter()
        .flat_map(|field| field.aliases.iter().chain([&field.name]).copied());
    let near = suggest::nearest(name, known)?;
    FIELDS
        .iter()
        .find(|field| field.name == near || field.aliases.contains(&near))
        .map(|field| field.name)
}

/// `level, source, …` for error messages.
pub(super) fn list() -> String {
    let names: Vec<&str> = FIELDS
        .iter()
        .map(|field| {
            if field.name == "meta" {
                "meta.NAME"
            } else {
                field.name
            }
        })
        .collect();
    names.join(", ")
}
