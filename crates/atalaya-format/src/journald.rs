//! `journalctl -o json`: one object a line. `__REALTIME_TIMESTAMP` is in microseconds, a field
//! that is not text is an array of bytes, one that occurs twice an array of texts. Fields over
//! 4096 bytes are printed as `null` unless `--all` is given.
//!
//! Its other outputs (`-o short…`, `-o with-unit`) are lines as of [`super::syslog`].
//!
//! Source: <https://systemd.io/JOURNAL_EXPORT_FORMATS/#journal-json-format>.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};

use atalaya_domain::record::{HOST_FIELD, Layer, Level};
use atalaya_domain::time::Timestamp;

use super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, Piece, TimeHint, auth,
    escape, stream_of, time,
};

#[derive(Clone, Copy, Debug)]
pub struct Journald;

/// In every record of the journal.
const MARKS: [&str; 1] = ["\"__REALTIME_TIMESTAMP\""];
static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARKS[0]));

impl Envelope for Journald {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "journald",
            source: "journald",
            layer: Layer::Infrastructure,
            begins: Begins::these(b"{"),
            lines: Lines::OnlyTraces,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn marks(&self) -> &'static [&'static str] {
        &MARKS
    }

    fn open<'a>(
        &self,
        text: &'a str,
        _hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<Inside, FormatMismatch> {
        // Every line of JSON passes here: most are not looked at further.
        if MARK.find(text.as_bytes()).is_none() {
            return Err(self.mismatch("no __REALTIME_TIMESTAMP"));
        }
        let fields: Fields<'a> =
            serde_json::from_str(text).map_err(|_| self.mismatch("not a JSON object"))?;
        let piece = put(fields, out).map_err(|reason| self.mismatch(reason))?;
        let fact = |name: &str| {
            out.metadata
                .iter()
                .find(|(known, _)| known == name)
                .map_or("", |(_, value)| value.as_ref())
        };
        let parts = [
            fact(HOST_FIELD),
            out.logger.as_deref().unwrap_or(""),
            fact("pid"),
        ];
        Ok(Inside {
            stream: stream_of(&parts),
            piece,
            graded: !fact("priority").is_empty(),
        })
    }
}

/// Metadata name: the text was too long for `journalctl` to print, which then says `null`.
const MESSAGE_OMITTED_FIELD: &str = "message_omitted";

fn put<'a>(fields: Fields<'a>, out: &mut Parsed<'a>) -> Result<Piece, &'static str> {
    let mut identifier = None;
    let mut command = None;
    let mut has_message = false;
    let mut piece = Piece::Line;
    for (name, value) in fields.0 {
        let value = match value {
            Value::Text(text) => text,
            Value::Bytes(bytes) => match String::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(error) => {
                    out.carried = true;
                    escape::carry_forced(error.as_bytes()).into()
                }
            },
            Value::Nothing => {
                if name == "MESSAGE" {
                    has_message = true;
                    piece = Piece::Whole;
                    out.put(MESSAGE_OMITTED_FIELD, "true");
                }
                continue;
            }
        };
        match &*name {
            "__REALTIME_TIMESTAMP" => {
                let micros = value
                    .parse()
                    .map_err(|_| "__REALTIME_TIMESTAMP is not a number")?;
                out.set_time(time::Instant::exact(Timestamp::from_micros(micros)));
                out.zoned = true;
            }
            "MESSAGE" => {
                has_message = true;
                out.message = value;
            }
            "PRIORITY" => {
                out.level = value
                    .parse()
                    .map_or(Level::Info, Level::from_syslog_severity);
                out.put_cow("priority", value);
            }
            "_HOSTNAME" => out.put_cow(HOST_FIELD, value),
            "_PID" => out.put_cow("pid", value),
            "SYSLOG_IDENTIFIER" => identifier = Some(value),
            "_COMM" => command = Some(value),
            "_SYSTEMD_UNIT" => out.put_cow("unit", value),
            "REQUEST_ID" | "TRACE_ID" => out.request_id = Some(value),
            "USER_ID" => out.user_id = Some(value),
            // The cursor names the place in the journal, which the record's own position does.
            "__CURSOR" => {}
            _ => out.put_cow(name, value),
        }
    }
    if out.timestamp.is_none() {
        return Err("no __REALTIME_TIMESTAMP");
    }
    if !has_message {
        return Err("no MESSAGE");
    }
    if let (Some(_), Some(command)) = (&identifier, &command) {
        out.put_cow("command", command.clone());
    }
    out.logger = identifier.or(command);
    if let Some(program) = out.logger.clone() {
        out.typed = auth::is_typed(&program);
        if let Cow::Borrowed(message) = out.message {
            auth::put(&program, message, out);
        }
    }
    Ok(piece)
}

/// The object as pairs in the order of the line.
struct Fields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

enum Value<'a> {
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
    Nothing,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(32));
                while let Some((name, value)) = map.next_entry::<Text<'de>, Value<'de>>()? {
                    pairs.push((name.0, value));
                }
                Ok(Fields(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Text borrowed from the line when it holds no escape.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(text.to_owned().into()))
            }
        }
        deserializer.deserialize_str(Any)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, a number, null, or an array of bytes or texts")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Value::Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Value::Text(text.to_owned().into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Value::Text(number.to_string().into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Value::Text(number.to_string().into()))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Value::Nothing)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                #[serde(untagged)]
                enum Item {
                    Byte(u8),
                    Text(String),
                    Bytes(Vec<u8>),
                    Nothing(()),
                }
                let mut bytes = Vec::new();
                let mut texts = 0;
                while let Some(item) = items.next_element()? {
                    let part = match item {
                        Item::Byte(byte) => {
                            bytes.push(byte);
                            continue;
                        }
                        Item::Text(text) => text.into_bytes(),
                        Item::Bytes(more) => more,
                        Item::Nothing(()) => continue,
                    };
                    if texts > 0 {
                        bytes.push(b',');
                    }
                    texts += 1;
                    bytes.extend(part);
                }
                Ok(Value::Bytes(bytes))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::python::ANY_HINT;
    use super::*;
    use atalaya_domain::record::Entry;

    fn decode(text: &str) -> Vec<Entry> {
        crate::testing::decoded(text, ANY_HINT).0
    }

    #[test]
    fn an_entry_without_its_text_is_kept() {
        let line = |message: &str| {
            format!(
                "{{\"__REALTIME_TIMESTAMP\":\"1714557600000000\",\"PRIORITY\":\"3\",\"_HOSTNAME\":\"n7\",\"_PID\":\"5\",\"SYSLOG_IDENTIFIER\":\"pay\",\"MESSAGE\":{message}}}"
            )
        };
        let glog = line("\"E0501 10:00:00.000001    5 a.go:3] bad\"");
        let entries = decode(
            &[
                glog.as_str(),
                &line("null"),
                &line("[111,107]"),
                &line("\"\""),
            ]
            .join("\n"),
        );
        let messages: Vec<&str> = entries.iter().map(|entry| &*entry.message).collect();
        assert_eq!(messages, ["bad", "", "ok"]);
        assert_eq!(entries[1].metadata("message_omitted"), Some("true"));
        assert_eq!(
            (entries[1].level, entries[1].metadata("host")),
            (Level::Error, Some("n7"))
        );
        assert_eq!(entries[0].metadata("file"), Some("a.go"));
    }

    #[test]
    fn other_objects_are_not_entries() {
        for line in [
            "{\"MESSAGE\":\"x\"}",
            "{\"__REALTIME_TIMESTAMP\":\"x\",\"MESSAGE\":\"x\"}",
            "{",
            "{}",
        ] {
            assert!(
                Journald
                    .open(line, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{line}"
            );
        }
    }
}
