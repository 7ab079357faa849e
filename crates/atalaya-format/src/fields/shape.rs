//! How an id stands in its value.

/// Where the trace id is in the value of a header or a field of its own notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The value is the id.
    Whole,
    /// `00-<trace>-<span>-01`. Source: <https://www.w3.org/TR/trace-context/#traceparent-header>.
    Traceparent,
    /// `Root=1-…;Parent=…;Sampled=1`.
    /// Source: <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.
    Amazon,
    /// `projects/<project>/traces/<trace>`.
    /// Source: <https://cloud.google.com/logging/docs/structured-logging>.
    Google,
    /// `<trace>/<span>;o=1`.
    CloudContext,
    /// `<trace>:<span>:<parent>:<flags>`.
    /// Source: <https://www.jaegertracing.io/docs/1.76/architecture/apis/#propagation-format>.
    Jaeger,
}

impl Shape {
    /// The id in the value; `None` when the value has another shape or is none.
    pub(crate) fn id(self, value: &str) -> Option<&str> {
        let id = match self {
            Self::Whole => value,
            Self::Traceparent => {
                let mut parts = value.split('-');
                let version = parts.next()?;
                let trace = parts.next()?;
                if version.len() != 2
                    || !is_hex(trace)
                    || trace.len() != 32
                    || !is_hex(parts.next()?)
                {
                    return None;
                }
                trace
            }
            Self::Amazon => {
                let root = value
                    .split(';')
                    .find_map(|part| part.trim_ascii().strip_prefix("Root="));
                root.unwrap_or(value)
            }
            Self::Google => value.rsplit_once("/traces/")?.1,
            Self::CloudContext => value.split(['/', ';']).next()?,
            Self::Jaeger => value.split(':').next()?,
        };
        (!is_nothing(id) && !is_zero(id)).then_some(id)
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Tracers write an id of zeros where there is no trace.
fn is_zero(id: &str) -> bool {
    id.bytes().all(|byte| byte == b'0') && (id.len() == 1 || id.len() >= 16)
}

/// Words that stand where an id would, and say that there is none.
pub(crate) fn is_nothing(value: &str) -> bool {
    const WORDS: [&str; 9] = [
        "-",
        "--",
        "null",
        "none",
        "nil",
        "undefined",
        "<nil>",
        "(null)",
        "n/a",
    ];
    match value.as_bytes().first() {
        None => true,
        // Ids are many, and few begin like one of these.
        Some(b'-' | b'n' | b'N' | b'u' | b'U' | b'<' | b'(') => {
            WORDS.iter().any(|word| word.eq_ignore_ascii_case(value))
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_out_of_their_notations() {
        let trace = "5af7651916cd43dd8448eb211c803111";
        for (shape, value, id) in [
            (Shape::Whole, "r-1", Some("r-1")),
            (Shape::Whole, "None", None),
            (Shape::Whole, "7", Some("7")),
            (Shape::Whole, "0000000000000000", None),
            (
                Shape::Traceparent,
                "00-5af7651916cd43dd8448eb211c803111-b7ad6b7169203331-01",
                Some(trace),
            ),
            (
                Shape::Traceparent,
                "00-5af7651916cd43dd8448eb211c803111",
                None,
            ),
            (
                Shape::Traceparent,
                "00-00000000000000000000000000000000-b7ad6b7169203331-00",
                None,
            ),
            (Shape::Traceparent, "r-1", None),
            (
                Shape::Amazon,
                "Self=1-a-b;Root=1-67891233-abcdef;Sampled=1",
                Some("1-67891233-abcdef"),
            ),
            (
                Shape::Amazon,
                "1-67891233-abcdef",
                Some("1-67891233-abcdef"),
            ),
            (Shape::Google, "projects/shop/traces/4f8a", Some("4f8a")),
            (Shape::Google, "at a.b (c.js:1)", None),
            (
                Shape::CloudContext,
                "105445aa7843bc8b/1;o=1",
                Some("105445aa7843bc8b"),
            ),
            (Shape::Jaeger, "3af1:0b2c:0:1", Some("3af1")),
        ] {
            assert_eq!(shape.id(value), id, "{shape:?} {value}");
        }
    }
}
