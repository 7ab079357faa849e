//! Package logs of Debian and Ubuntu: `dpkg.log` and `alternatives.log`.

use atalaya_domain::record::Layer;

use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, level, split, time,
};

#[derive(Clone, Copy, Debug)]
pub struct Dpkg;

impl Format for Dpkg {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "dpkg",
            source: "dpkg",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS.or(Begins::these(b"u")),
            lines: Lines::One,
            traces: false,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let named = |rest: &str| ACTIONS.iter().any(|(action, _)| rest.starts_with(action));
        let opens = match line.as_bytes().first() {
            Some(b'u') => line.starts_with(ALTERNATIVES),
            _ => line.as_bytes().get(19) == Some(&b' ') && line.get(20..).is_some_and(named),
        };
        if opens { Opens::Parsed } else { Opens::No }
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

const ALTERNATIVES: &str = "update-alternatives ";

/// The words of dpkg(1), section "LOGFILE", each with the names of what follows.
const ACTIONS: [(&str, &[&str]); 11] = [
    ("startup", &["type", "command"]),
    ("status", &["state", "package", "version"]),
    ("install", &["package", "old_version", "version"]),
    ("upgrade", &["package", "old_version", "version"]),
    ("configure", &["package", "version"]),
    ("trigproc", &["package", "version"]),
    ("triggered", &["package", "version"]),
    ("disappear", &["package", "version"]),
    ("remove", &["package", "version", "available_version"]),
    ("purge", &["package", "version", "available_version"]),
    ("conffile", &["file", "decision"]),
];

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    if let Some(rest) = text.strip_prefix(ALTERNATIVES) {
        let cut = time::iso(rest, hint).ok_or("no time after update-alternatives")?;
        out.set_time(cut.instant);
        out.logger = Some("update-alternatives".into());
        out.message = cut
            .rest
            .strip_prefix(": ")
            .ok_or("no colon after the time")?
            .into();
        out.level = level::guess(&out.message);
        return Ok(());
    }
    // Its stamps have neither fraction nor zone.
    if text.as_bytes().get(19) != Some(&b' ') {
        return Err("no time at the start");
    }
    let cut = time::iso(text, hint).ok_or("no time at the start")?;
    let rest = cut.rest.strip_prefix(' ').ok_or("nothing after the time")?;
    let next =
        |text| split::once(text, b' ').map_or((text, None), |(word, rest)| (word, Some(rest)));
    let (action, mut behind) = next(rest);
    let (_, names) = ACTIONS
        .iter()
        .find(|(known, _)| *known == action)
        .ok_or("the word after the time is no action")?;
    out.set_time(cut.instant);
    out.message = rest.into();
    out.put("action", action);
    for name in *names {
        let Some(rest) = behind else { break };
        let word;
        (word, behind) = next(rest);
        if word != "<none>" {
            out.put(name, word);
        }
    }
    Ok(())
}
