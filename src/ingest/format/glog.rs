//! Google's glog (`I20210131 14:48:54.411655 15520 main.cc:9] text`) and Kubernetes' klog (the
//! same without a year: `I0131 14:48:54.411655 …`).

use crate::domain::record::Layer;

use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint, level, time};

#[derive(Clone, Copy, Debug)]
pub struct Glog;

impl Format for Glog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "glog",
            source: "glog",
            layer: Layer::Application,
            begins: Begins::LETTERS,
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
    let letter = *text.as_bytes().first().ok_or("empty")?;
    if !matches!(letter, b'I' | b'W' | b'E' | b'F') {
        return Err("no level letter at the start");
    }
    let cut = time::packed(&text[1..], hint).ok_or("no time after the level letter")?;
    let (head, message) = cut.rest.trim_start_matches(' ').split_once("] ").ok_or("no ] before the text")?;
    let (thread, place) = head.split_once(' ').ok_or("no thread and place")?;
    thread.parse::<u64>().map_err(|_| "the thread is not a number")?;
    let (file, line) = place.rsplit_once(':').ok_or("no line number")?;
    out.set_time(cut.instant);
    out.level = level::from_letter(letter).unwrap_or_default();
    out.message = message.into();
    out.put("thread", thread);
    out.put("file", file);
    out.put("line", line);
    Ok(())
}
