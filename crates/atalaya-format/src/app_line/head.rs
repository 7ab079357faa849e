//! The parts in front of the message, up to the level.

use super::super::fields::{Fields, keep_severity, push_unique, set_logger};
use super::super::json::scan::{Scan, Value};
use super::super::{Parsed, TimeHint, ids};
use super::gap::{self, Gap};
use super::stamp::stamp;
use super::tail::beside_header;
use super::words::{
    capital_level, file_and_line, is_dotted, is_id, is_ids, is_name, is_number, is_process,
    is_prose, is_thread, level_of, placed_level,
};

/// A header is short: no part of it stands further from the start.
const NEAR: usize = 240;
/// Parts between the stamp and the level.
const MOST_PARTS: usize = 8;
/// Words of a column, bytes of one, and of what stands in brackets.
const MOST_BYTES: usize = 160;

/// What was found so far.
#[derive(Debug, Default)]
pub struct Head<'a> {
    pub level: Option<&'a str>,
    pub logger: Option<&'a str>,
    thread: Option<&'a str>,
    pid: Option<&'a str>,
    file: Option<(&'a str, &'a str)>,
    function: Option<&'a str>,
    line: Option<&'a str>,
    pub request_id: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub project: Option<&'a str>,
    /// Names whose meaning depends on what follows.
    names: [Option<(&'a str, bool)>; 4],
    /// Texts that hold pairs.
    pairs: [Option<&'a str>; 4],
    /// Parts that nothing else is known of.
    context: [Option<&'a str>; 4],
    /// What could not be kept as any of these: then the line is not read.
    overflow: bool,
}

fn push<T>(slots: &mut [Option<T>], value: T) -> bool {
    match slots.iter_mut().find(|slot| slot.is_none()) {
        Some(slot) => {
            *slot = Some(value);
            true
        }
        None => false,
    }
}

/// The text in the brackets that open a text, and what follows them. Brackets of the kind may nest.
pub fn bracket(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let open = *bytes.first()?;
    let close = match open {
        b'[' => b']',
        b'(' => b')',
        b'{' => b'}',
        b'<' => b'>',
        _ => return None,
    };
    let mut depth = 0_usize;
    for (at, &byte) in bytes.iter().enumerate().take(MOST_BYTES) {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                return Some((text.get(1..at)?, text.get(at + 1..)?));
            }
        }
    }
    None
}

/// The word at the start of a text, and what follows it: up to a blank, a pipe, a semicolon or an
/// opening bracket.
pub fn word(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| matches!(byte, b' ' | b'\t' | b'|' | b';' | b'[' | b'(' | b'{'))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// A level with which a line begins, in brackets or not, and what follows it.
fn leading_level(line: &str) -> Option<(&str, &str)> {
    if line.starts_with(['[', '<', '(']) {
        let (inside, rest) = bracket(line)?;
        placed_level(inside)?;
        return Some((inside.trim_ascii(), rest));
    }
    let (first, _) = word(line);
    let bare = first.trim_end_matches([':', ',']);
    let bare = bare.split([':', ',']).next().unwrap_or(bare);
    capital_level(bare)?;
    Some((bare, line.get(bare.len()..)?))
}

impl<'a> Head<'a> {
    /// Reads the stamp, and the level where it stands before it or in its brackets. Gives what follows.
    pub fn front(
        &mut self,
        line: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Option<&'a str> {
        if let Some(rest) = self.stamped(line, hint, out) {
            return Some(rest);
        }
        let Some((level, rest)) = leading_level(line) else {
            // `[depot] <stamp>`
            let (name, rest) = line.starts_with('[').then(|| bracket(line))??;
            let name = name.trim_ascii();
            if !(is_name(name) || is_process(name) || is_thread(name))
                || !rest.starts_with([' ', '['])
            {
                return None;
            }
            self.note(name, true);
            return self.stamped(gap::skip(rest).0, hint, out);
        };
        let (mut rest, gap) = gap::skip(rest);
        self.level = Some(level);
        // `INFO  [main] <stamp>`, `INFO | jvm 1 | <stamp>`.
        for _ in 0..2 {
            if let Some(rest) = self.stamped(rest, hint, out) {
                return Some(rest);
            }
            let after = match bracket(rest) {
                Some((inside, after)) => {
                    self.note(inside, true);
                    after
                }
                None => {
                    let byte = gap.byte()?;
                    let end = memchr::memchr(byte, rest.as_bytes()).filter(|end| *end < 40)?;
                    self.note(rest.get(..end)?, false);
                    rest.get(end..)?
                }
            };
            rest = gap::skip(after).0;
        }
        self.stamped(rest, hint, out)
    }

    fn stamped(&mut self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<&'a str> {
        let close = match text.as_bytes().first()? {
            b'[' => ']',
            b'(' => ')',
            b'<' => '>',
            _ => {
                let cut = stamp(text, hint)?;
                out.set_time(cut.instant);
                return Some(cut.rest);
            }
        };
        let inner = text.get(1..)?;
        let cut = stamp(inner.trim_start_matches(' '), hint)?;
        let end = cut
            .rest
            .bytes()
            .take(NEAR)
            .position(|byte| byte == close as u8)?;
        out.set_time(cut.instant);
        self.inside(cut.rest.get(..end)?);
        cut.rest.get(end + 1..)
    }

    /// What stands with the stamp in its brackets: `[10:00:00 ERR Orders 0af7…]`.
    fn inside(&mut self, text: &'a str) {
        let mut first = true;
        for part in text
            .split([' ', '\t', '|', ','])
            .filter(|part| !part.is_empty())
        {
            let bare = part.trim_matches([':', '[', ']', '-']);
            if bare.is_empty() {
                continue;
            }
            if self.level.is_none()
                && (capital_level(bare).is_some() || first && placed_level(bare).is_some())
            {
                self.level = Some(bare);
            } else {
                self.note(bare, false);
            }
            first = false;
        }
    }

    /// Reads on to the level; gives what follows it, and what separates that.
    pub fn read_to_level(&mut self, text: &'a str) -> Option<(&'a str, Gap)> {
        let mut rest = text;
        let mut words = 0;
        for part in 0..MOST_PARTS {
            if text.len() - rest.len() > NEAR {
                return None;
            }
            let (at, gap) = gap::skip(rest);
            if at.is_empty() {
                return None;
            }
            if matches!(at.as_bytes()[0], b'[' | b'(' | b'{' | b'<') {
                let (inside, after) = bracket(at)?;
                rest = after;
                if self.bracketed_level(inside) {
                    return Some(gap::skip_one(after));
                }
                self.note(inside, true);
                continue;
            }
            if let Some(column) = column(at, gap) {
                rest = at.get(column.len()..)?;
                let column = column.trim_ascii();
                if placed_level(column).is_some() {
                    self.level = Some(column);
                    return Some(gap::skip_one(rest));
                }
                self.note(column, false);
                continue;
            }
            let (first, after) = word(at);
            let mut bare = first.trim_end_matches([':', ',']);
            // `...dules/git/command.go:200`: a path that its logger has cut.
            let cut = bare.strip_prefix("...").filter(|path| path.contains('/'));
            // `10:00:00:ERROR:depot:text`
            if gap == Gap::Tight {
                bare = bare.split(':').next().unwrap_or(bare);
            }
            rest = at.get(bare.len()..)?;
            if Self::is_level(bare, part, words, gap, rest) {
                self.level = Some(bare);
                return Some(gap::skip_one(rest));
            }
            if bare.is_empty() || after.is_empty() && gap != Gap::Tight {
                return None;
            }
            if is_number(bare) || bare.contains('=') {
                self.note(bare, false);
                continue;
            }
            let pid = after
                .strip_prefix('[')
                .and_then(|inside| inside.split_once(']'));
            if let Some((pid, after)) = pid.filter(|(pid, _)| is_process(pid)) {
                self.pid.get_or_insert(pid);
                rest = after;
            } else if !is_name(cut.unwrap_or(bare)) {
                return None;
            }
            // Sidekiq before version 6: `4711 TID-x1 Worker JID-y2 INFO: text`.
            if let Some(thread) = bare.strip_prefix("TID-") {
                self.set_thread(thread);
                continue;
            }
            if bare.starts_with("JID-") {
                self.add_context(bare);
                continue;
            }
            words += 1;
            if words > 2 || is_prose(bare) {
                return None;
            }
            self.note(bare, false);
        }
        None
    }

    /// Whether a word is the level by the way it stands: behind `part` parts, of which `words` are bare.
    fn is_level(word: &str, part: usize, words: usize, before: Gap, rest: &str) -> bool {
        const NAMES: [&str; 19] = [
            "debug",
            "info",
            "information",
            "warn",
            "warning",
            "error",
            "err",
            "fatal",
            "critical",
            "crit",
            "trace",
            "notice",
            "verbose",
            "severe",
            "panic",
            "alert",
            "emerg",
            "fail",
            "dbug",
        ];
        if capital_level(word).is_some() {
            return true;
        }
        let after = gap::skip(rest).1;
        if word.len() == 1 {
            return after == Gap::Pipe && placed_level(word).is_some();
        }
        let placed = words == 0 && after == Gap::Colon
            || before.is_column()
                && (after.is_column() || after == Gap::Wide || after == Gap::Colon)
            || part == 0 && before != Gap::None && after == Gap::Wide;
        placed && NAMES.iter().any(|name| name.eq_ignore_ascii_case(word))
    }

    /// A level in brackets, alone or with a name: `[ERROR]`, `[main/ERROR]`, `[ERROR main]`.
    fn bracketed_level(&mut self, inside: &'a str) -> bool {
        if self.level.is_some() {
            return false;
        }
        let bare = inside.trim_ascii();
        if placed_level(bare).is_some() {
            self.level = Some(bare);
            return true;
        }
        if let Some((thread, level)) = bare.rsplit_once(['/', '|'])
            && capital_level(level.trim_ascii()).is_some()
        {
            self.level = Some(level.trim_ascii());
            self.note(thread.trim_ascii(), true);
            return true;
        }
        if let Some((level, name)) = bare.split_once([' ', ':', '|'])
            && capital_level(level).is_some()
        {
            self.level = Some(level);
            self.note(name.trim_matches([' ', ':', '|']), true);
            return true;
        }
        false
    }

    /// Keeps a part that stands beside the level.
    pub fn note(&mut self, part: &'a str, bracketed: bool) {
        let part = part.trim_ascii();
        if matches!(part, "" | "-" | "--" | "---") {
            return;
        }
        if is_id(part) {
            if self.request_id.is_none() {
                self.request_id = Some(part);
                return;
            }
        } else if is_process(part) {
            let slot = if self.pid.is_none() {
                &mut self.pid
            } else {
                &mut self.thread
            };
            if slot.is_none() {
                *slot = Some(part);
                return;
            }
        } else if let Some(pid) = part.strip_prefix(['#', 'p']).filter(|pid| is_number(pid)) {
            self.pid.get_or_insert(pid);
            return;
        } else if let Some((file, line)) = file_and_line(part) {
            if self.file.is_none() {
                self.file = Some((file, line));
                return;
            }
        } else if let Some((name, value)) = numbered(part) {
            let slot = if name.starts_with(['p', 'P']) {
                &mut self.pid
            } else {
                &mut self.thread
            };
            slot.get_or_insert(value);
            return;
        } else if is_labelled(part) {
            // `myid:1` is no name with a line.
        } else if self.place(part) {
            return;
        } else if is_ids(part) {
            self.ids(part);
            return;
        } else if part.contains('=') && !part.starts_with('=') {
            self.overflow |= !push(&mut self.pairs, part);
            return;
        } else if push(&mut self.names, (part, bracketed)) {
            return;
        }
        self.overflow |= !push(&mut self.context, part);
    }

    /// `application,trace,span,true`: the first id is the request's.
    fn ids(&mut self, text: &'a str) {
        for part in text
            .split(',')
            .map(str::trim_ascii)
            .filter(|part| !part.is_empty())
        {
            if is_id(part) && self.request_id.is_none() {
                self.request_id = Some(part);
            } else {
                self.add_context(part);
            }
        }
    }

    /// `Pay:12`, `pay:charge:12`, `main:Pay@12`, `pay.charge:12`: a name with a line.
    pub fn place(&mut self, part: &'a str) -> bool {
        if self.line.is_some() {
            return false;
        }
        let Some((name, line)) = part.rsplit_once([':', '@']) else {
            return false;
        };
        let name = name.trim_ascii_end();
        if !is_number(line) || line.len() > 7 || !is_name(name) || self.logger.is_some() {
            return false;
        }
        self.line = Some(line);
        match name.rsplit_once(':') {
            Some((thread, class)) if part.contains('@') => {
                self.thread.get_or_insert(thread);
                self.logger = Some(class);
            }
            Some((module, function)) if !module.ends_with(':') && !function.is_empty() => {
                self.logger = Some(module);
                self.function = Some(function);
            }
            _ => self.logger = Some(name),
        }
        true
    }

    pub fn set_pid(&mut self, pid: &'a str) {
        self.pid.get_or_insert(pid);
    }

    pub fn set_thread(&mut self, thread: &'a str) {
        self.thread.get_or_insert(thread);
    }

    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    pub fn set_file(&mut self, file: &'a str, line: &'a str) {
        self.file.get_or_insert((file, line));
    }

    pub fn add_pairs(&mut self, pairs: &'a str) {
        self.overflow |= !push(&mut self.pairs, pairs);
    }

    pub fn add_context(&mut self, context: &'a str) {
        self.overflow |= !push(&mut self.context, context);
    }

    /// Gives everything its place in the record.
    pub fn finish(mut self, message: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
        let word = self.level?;
        self.decide_names();
        if self.overflow {
            return None;
        }
        let message = message.trim_ascii_end();
        let object = object_at_end(message);
        if self.pairs[0].is_some() || object.is_some() {
            let mut fields = Fields::new(out, hint);
            for pairs in self.pairs.iter().flatten() {
                each_pair(pairs, &mut fields);
            }
            let text = match object {
                Some((text, object)) => {
                    let read = Scan::new(object).object("", 8, &mut |name, value| {
                        beside_header(&mut fields, name, value);
                    });
                    read.ok()?;
                    text
                }
                None => message,
            };
            fields.default_message(text);
            fields.finish(message);
        } else {
            out.message = message.into();
        }
        if let Some(level) = level_of(word) {
            out.level = level;
            keep_severity(out, word.into());
        }
        if let Some(logger) = self.logger {
            set_logger(out, logger);
        }
        if out.request_id.is_none() {
            out.request_id = self.request_id.map(Into::into);
        } else if let Some(id) = self.request_id {
            push_unique(out, "trace_id", id);
        }
        if out.user_id.is_none() {
            out.user_id = self.user_id.map(Into::into);
        }
        // `[x-correlation-id:c-7]`
        if out.request_id.is_none()
            && let Some(thread) = self.thread.filter(|thread| thread.contains(':'))
        {
            out.request_id = ids::in_text(thread).request_id.map(Into::into);
        }
        let mut keep = |name: &'static str, value: Option<&'a str>| {
            if let Some(value) = value.filter(|value| *value != "-") {
                push_unique(out, name, value);
            }
        };
        keep("thread", self.thread);
        keep("pid", self.pid);
        keep("file", self.file.map(|(file, _)| file));
        keep("line", self.line.or(self.file.map(|(_, line)| line)));
        keep("function", self.function);
        keep("project", self.project);
        for context in self.context {
            keep("context", context);
        }
        Some(())
    }

    /// Which of the names is the logger, and which the thread.
    fn decide_names(&mut self) {
        for slot in &mut self.names {
            if let Some((name, _)) = *slot
                && self.thread.is_none()
                && is_thread(name)
                && !is_dotted(name)
            {
                self.thread = Some(name);
                *slot = None;
            }
        }
        for (name, bracketed) in self.names.into_iter().flatten() {
            if self.logger.is_none() && is_name(name) {
                self.logger = Some(name);
            } else if self.thread.is_none() && bracketed {
                self.thread = Some(name);
            } else {
                self.overflow |= !push(&mut self.context, name);
            }
        }
    }
}

/// `pid:4711`, `PID 4711`, `tid: 12`: what says itself which number it is.
fn numbered(part: &str) -> Option<(&str, &str)> {
    let (name, value) = part.split_once([':', ' '])?;
    let value = value.trim_ascii();
    let known = ["pid", "process", "p", "tid", "thread", "t"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name));
    (known && is_process(value)).then_some((name, value))
}

/// `myid:1`, `shard:7`: a number that says what it counts.
fn is_labelled(part: &str) -> bool {
    part.split_once(':').is_some_and(|(name, value)| {
        is_number(value)
            && matches!(
                name,
                "myid" | "id" | "node" | "shard" | "partition" | "rank" | "job" | "req" | "request"
            )
    })
}

/// The column at the start of a text, when it ends soon with the separator before it.
fn column(text: &str, gap: Gap) -> Option<&str> {
    let byte = gap.byte()?;
    let end = memchr::memchr(byte, text.as_bytes()).filter(|end| *end <= 80)?;
    let column = text.get(..end)?;
    (column.split_ascii_whitespace().count() <= 3).then_some(column)
}

/// A JSON object with which a message of one line ends, and the text before it.
fn object_at_end(message: &str) -> Option<(&str, &str)> {
    if !message.ends_with('}') || message.contains('\n') {
        return None;
    }
    let at = memchr::memmem::find(message.as_bytes(), b"{\"")?;
    let (text, object) = message.split_at(at);
    let text = text.trim_ascii_end();
    // An object that is the message stays one where the record would have no other.
    if text.is_empty() {
        return None;
    }
    let mut scan = Scan::new(object);
    scan.object("", 8, &mut |_, _| {}).ok()?;
    scan.rest()
        .trim_ascii()
        .is_empty()
        .then_some((text, object))
}

/// `a=b, c=d` or `a=b c=d`, as diagnostic contexts are printed.
fn each_pair<'a>(text: &'a str, fields: &mut Fields<'_, 'a>) {
    for pair in text.split([',', ' ', ';']) {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                beside_header(
                    fields,
                    name.into(),
                    Value::Text(value.trim_matches('"').into()),
                );
            }
            Some(_) => {}
            None if pair.is_empty() => {}
            None => fields.extra("context".into(), pair.into()),
        }
    }
}
