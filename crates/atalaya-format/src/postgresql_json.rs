//! PostgreSQL's jsonlog (since version 15): one object a line under its own names, which are
//! those of all our PostgreSQL metadata.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::fields::push_unique;
use super::json::scan::{Scan, Value};
use super::postgresql::{level_of, read_message, request_in_comment, stamp};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint};
use atalaya_domain::record::Layer;

/// `postgresql-json`.
#[derive(Clone, Copy, Debug)]
pub struct PostgresqlJson;

/// In every record of `jsonlog`.
static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error_severity\""));

impl Format for PostgresqlJson {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "postgresql-json",
            source: "postgresql",
            layer: Layer::Infrastructure,
            begins: Begins::these(b"{"),
            lines: Lines::One,
            traces: false,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        // Every line of JSON passes here: most are not looked at further.
        let severe = MARK.find(line.as_bytes()).is_some();
        if severe { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let mut severity: Option<Cow<'a, str>> = None;
        let mut message: Option<Cow<'a, str>> = None;
        let mut has_time = false;
        Scan::new(text)
            .object("", 1, &mut |name, value| match (name.as_ref(), value) {
                ("timestamp", Value::Text(text)) => match stamp(&text, hint) {
                    Some(cut) => {
                        out.set_time(cut.instant);
                        has_time = true;
                    }
                    None => push_unique(out, name, text),
                },
                ("error_severity", Value::Text(text)) => severity = Some(text),
                ("message", Value::Text(text)) => message = Some(text),
                ("session_id", Value::Text(text)) => out.session_id = Some(text),
                (_, value) => {
                    if let Some(text) = value.into_text() {
                        push_unique(out, name, text);
                    }
                }
            })
            .map_err(|reason| self.mismatch(reason))?;
        let severity = severity.ok_or_else(|| self.mismatch("no `error_severity`"))?;
        if !has_time {
            return Err(self.mismatch("no `timestamp`"));
        }
        read_message(message.unwrap_or_default(), out);
        if out.request_id.is_none() {
            let statement = out.metadata.iter().find(|(name, _)| name == "statement");
            out.request_id = statement
                .and_then(|(_, text)| request_in_comment(text))
                .map(|id| Cow::Owned(id.to_owned()));
        }
        out.level = level_of(&severity);
        if severity != out.level.name() {
            push_unique(out, "severity", severity);
        }
        Ok(())
    }
}
