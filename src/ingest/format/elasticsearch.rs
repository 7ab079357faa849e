//! Server log of Elasticsearch and `OpenSearch` in its text form:
//! `[2018-05-17T08:29:12,177][INFO ][component] [node] [index/id] message`.

use crate::domain::record::Layer;

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

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        parse(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const NO_TIME: &str = "no time in brackets";
    let cut = time::iso(text.strip_prefix('[').ok_or(NO_TIME)?, hint).ok_or(NO_TIME)?;
    let rest = cut.rest.strip_prefix("][").ok_or("no level after the time")?;
    let (word, rest) = rest.split_once(']').ok_or("no level after the time")?;
    level::from_word(word).ok_or("the word after the time is no level")?;
    let rest = rest.strip_prefix('[').ok_or("no component after the level")?;
    let (component, rest) = rest.split_once(']').ok_or("no component after the level")?;
    out.set_time(cut.instant);
    out.set_level(word.trim_end());
    out.logger = Some(component.trim_end().into());
    let mut rest = rest.strip_prefix(' ').unwrap_or(rest);
    // Without a node the message follows; it may begin with a bracket itself, but not like this.
    if let Some((node, after)) = leading(rest) {
        out.put("node", node);
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

/// `[word] ` at the start, without brackets inside.
fn leading(text: &str) -> Option<(&str, &str)> {
    let (inside, after) = text.strip_prefix('[')?.split_once(']')?;
    (!inside.contains('[')).then_some(())?;
    Some((inside, after.strip_prefix(' ')?))
}
