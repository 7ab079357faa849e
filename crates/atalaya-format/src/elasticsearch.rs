//! Server log of Elasticsearch and `OpenSearch` in its text form:
//! `[2018-05-17T08:29:12,177][INFO ][component] [node] [index/id] message`, and that of Logstash:
//! `[2018-05-17T08:29:12,177][INFO ][component][pipeline] message`.

use atalaya_domain::record::Layer;

use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint, level, time};

#[derive(Clone, Copy, Debug)]
pub struct Elasticsearch;

impl Format for Elasticsearch {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "elasticsearch",
            source: "elasticsearch",
            layer: Layer::Infrastructure,
            begins: Begins::these(b"["),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        parse(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const NO_TIME: &str = "no time in brackets";
    let cut = time::iso(text.strip_prefix('[').ok_or(NO_TIME)?, hint).ok_or(NO_TIME)?;
    let after = cut
        .rest
        .strip_prefix(']')
        .ok_or("no level after the time")?;
    let (word, rest) = bracket(after).ok_or("no level after the time")?;
    level::from_word(word).ok_or("the word after the time is no level")?;
    let (component, rest) = bracket(rest).ok_or("no component after the level")?;
    // With blanks between the brackets it is the padding that tells it from other programs.
    if !after.starts_with('[') && !word.ends_with(' ') && !component.ends_with(' ') {
        return Err("blanks between the brackets");
    }
    out.set_time(cut.instant);
    out.set_level(word.trim_end());
    out.logger = Some(component.trim_end().into());
    // A pipeline of Logstash follows without a blank.
    let of_pipeline = rest.starts_with('[');
    let mut rest = rest.strip_prefix(' ').unwrap_or(rest);
    // Without a node the message follows; it may begin with a bracket itself, but not like this.
    if let Some((node, after)) = leading(rest) {
        out.put(
            if of_pipeline { "pipeline" } else { "node" },
            node.trim_end(),
        );
        rest = after;
        if let Some(after) = rest.strip_prefix("[gc]") {
            if let Some(end) = after.find("] ") {
                out.put("gc", &after[..=end]);
                rest = &after[end + 2..];
            }
        } else if let Some((index, after)) = leading(rest) {
            match index.split_once('/') {
                Some((name, id)) => {
                    out.put("index", name);
                    out.put("index_id", id);
                }
                None => out.put("index", index),
            }
            rest = after;
        }
    }
    out.message = rest.into();
    Ok(())
}

/// `[word]` at the start, also behind a blank.
fn bracket(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(' ')
        .unwrap_or(text)
        .strip_prefix('[')?
        .split_once(']')
}

/// `[word] ` at the start, without brackets inside.
fn leading(text: &str) -> Option<(&str, &str)> {
    let (inside, after) = text.strip_prefix('[')?.split_once(']')?;
    (!inside.contains('[')).then_some(())?;
    Some((inside, after.strip_prefix(' ')?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::python::ANY_HINT;
    use super::*;
    use atalaya_domain::record::Level;

    #[test]
    fn padding_and_blanks() {
        for (text, logger, name, value) in [
            (
                "[2024-05-01T08:00:00,177][WARN ][o.e.c.Node          ] [n-1] m",
                "o.e.c.Node",
                "node",
                "n-1",
            ),
            (
                "[2024-05-01T08:00:00,177] [WARN ] [o.e.c.Node          ] [n-1] m",
                "o.e.c.Node",
                "node",
                "n-1",
            ),
            (
                "[2024-05-01T08:00:00,177][WARN ][o.e.c.Node] [n-1 ] m",
                "o.e.c.Node",
                "node",
                "n-1",
            ),
            (
                "[2024-05-01T08:00:00,177][WARN ][logstash.runner          ][main] m",
                "logstash.runner",
                "pipeline",
                "main",
            ),
        ] {
            let mut out = Parsed::default();
            Elasticsearch.parse(text, &ANY_HINT, &mut out).unwrap();
            assert_eq!(
                (out.level, out.message.as_ref()),
                (Level::Warning, "m"),
                "{text}"
            );
            assert_eq!(out.logger.as_deref(), Some(logger), "{text}");
            assert!(
                out.metadata.contains(&(name.into(), value.into())),
                "{text}: {out:?}"
            );
        }
        for text in [
            "[2024-05-01 08:00:00] [INFO] [main] m",
            "[2024-05-01T08:00:00,177][x][y] m",
        ] {
            assert!(
                Elasticsearch
                    .parse(text, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{text}"
            );
        }
    }
}
