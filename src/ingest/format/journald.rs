//! `journalctl -o json`: one object a line. `__REALTIME_TIMESTAMP` is in microseconds, a field
//! that is not text is an array of bytes, one that occurs twice an array of texts.
//!
//! Source: <https://systemd.io/JOURNAL_EXPORT_FORMATS/#journal-json-format>.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};

use crate::domain::record::{HOST_FIELD, Layer, Level};
use crate::domain::time::Timestamp;

use super::{Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, TimeHint, escape, stream_of, time};

#[derive(Clone, Copy, Debug)]
pub struct Journald;

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

    fn open<'a>(
        &self,
        text: &'a str,
        _hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<Inside, FormatMismatch> {
        if !text.trim_ascii_start().starts_with('{') {
            return Err(self.mismatch("no JSON object"));
        }
        let fields: Fields<'a> =
            serde_json::from_str(text).map_err(|_| self.mismatch("not a JSON object"))?;
        put(fields, out).map_err(|reason| self.mismatch(reason))?;
        let fact = |name: &str| {
            out.metadata.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_ref())
        };
        let parts = [fact(HOST_FIELD), out.logger.as_deref().unwrap_or(""), fact("pid")];
        Ok(Inside::line(stream_of(&parts), fact("priority") != ""))
    }
}

fn put<'a>(fields: Fields<'a>, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let mut identifier = None;
    let mut command = None;
    let mut has_message = false;
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
            Value::Nothing => continue,
        };
        match &*name {
            "__REALTIME_TIMESTAMP" => {
                let micros = value.parse().map_err(|_| "__REALTIME_TIMESTAMP is not a number")?;
                out.set_time(time::Instant::exact(Timestamp::from_micros(micros)));
            }
            "MESSAGE" => {
                has_message = true;
                out.message = value;
            }
            "PRIORITY" => {
                out.level = value.parse().map_or(Level::Info, Level::from_syslog_severity);
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
    Ok(())
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
