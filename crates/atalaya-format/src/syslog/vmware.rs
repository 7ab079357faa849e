//! The services of `ESXi` and of `vCenter` write a level where syslog has the host:
//!
//! - `2024-05-01T08:00:00.347Z warning hostd[33781B70] [Originator@6876 sub=Vimsvc] text`
//! - `2024-05-01T08:00:00.347Z In(166) Hostd[2099]: [Originator@6876 sub=Vimsvc] text` (`ESXi` 8)
//!
//! An envelope by itself because lines without a stamp stand between these by accident, while
//! they belong to a record of syslog.
//!
//! Source: <https://knowledge.broadcom.com/external/article/306962>.

use super::super::split;
use super::super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, TimeHint, stream_of, time,
};
use super::head::{self, Tag};
use super::rfc5424;
use atalaya_domain::record::{Layer, Level};

/// `vmware`.
#[derive(Clone, Copy, Debug)]
pub struct Vmware;

impl Envelope for Vmware {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "vmware",
            source: "vmware",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS,
            lines: Lines::OnlyTraces,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn open<'a>(
        &self,
        line: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<Inside, FormatMismatch> {
        let service =
            service(line).ok_or_else(|| self.mismatch("no `time level program[process]`"))?;
        let cut = time::iso(line, hint).ok_or_else(|| self.mismatch("no time"))?;
        out.set_time(cut.instant);
        out.zoned = true;
        out.level = service.level;
        if service.word != service.level.name() {
            out.put("severity", service.word);
        }
        let Tag {
            program, pid, text, ..
        } = service.tag;
        out.logger = Some(program.into());
        out.put("pid", pid);
        let text = if text.starts_with("[Originator@") {
            rfc5424::data_and_text(text, out)
        } else {
            text
        };
        out.message = text.into();
        Ok(Inside::line(stream_of(&[program, pid]), true))
    }
}

struct Service<'a> {
    level: Level,
    word: &'a str,
    tag: Tag<'a>,
}

fn service(line: &str) -> Option<Service<'_>> {
    if line.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let blank = line
        .as_bytes()
        .get(19..40.min(line.len()))?
        .iter()
        .position(|byte| *byte == b' ')?;
    let (stamp, rest) = line.split_at_checked(19 + blank)?;
    let rest = rest.get(1..)?;
    // Levels in capitals are other programs'.
    match rest.as_bytes() {
        [b'a'..=b'z', ..] | [_, _, b'(', ..] => {}
        _ => return None,
    }
    let (word, after) = split::once(rest, b' ')?;
    // ESXi 8 writes the priority behind two letters of its severity.
    let (level, numbered) = match word.strip_suffix(')').and_then(|word| word.split_once('(')) {
        Some((letters, number)) => {
            let number: u8 = number.parse().ok().filter(|number| *number <= 191)?;
            let known = ["Em", "Al", "Cr", "Er", "Wa", "No", "In", "Db"].contains(&letters);
            (
                known.then(|| Level::from_syslog_severity(number % 8))?,
                true,
            )
        }
        None => (level_of(word)?, false),
    };
    if !stamp.ends_with('Z') && !stamp.get(19..)?.contains(['+', '-']) {
        return None;
    }
    let tag = head::tag(after)?;
    let is_id = !tag.pid.is_empty() && tag.pid.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let sure = if numbered {
        tag.closed
    } else {
        is_id && (tag.closed || tag.text.starts_with('['))
    };
    sure.then_some(Service { level, word, tag })
}

fn level_of(word: &str) -> Option<Level> {
    Some(match word {
        "verbose" | "trivia" | "debug" => Level::Debug,
        "info" | "notice" => Level::Info,
        "warning" => Level::Warning,
        "error" => Level::Error,
        "panic" | "critical" | "alert" | "emergency" => Level::Critical,
        _ => return None,
    })
}
