//! The parts between the level and the message.

use super::gap::{self, Gap};
use super::head::{Head, bracket, word};
use super::words::{
    file_and_line, is_dotted, is_id, is_ids, is_name, is_no_logger, is_number, is_process,
    is_thread,
};

/// Parts that are looked at.
const MOST_PARTS: usize = 6;

impl<'a> Head<'a> {
    /// Reads threads, processes, ids and the logger; gives the message. `text` stands behind the level
    /// and `gap`.
    pub fn names(&mut self, text: &'a str, gap: Gap) -> &'a str {
        let (mut rest, mut gap) = (text, gap);
        for _ in 0..MOST_PARTS {
            let after = match rest.as_bytes().first() {
                Some(b'[') => self.square(rest),
                Some(b'(') => self.round(rest),
                Some(b'{') => self.curly(rest),
                Some(b'<') => self.angle(rest),
                Some(_) => match self.named(rest, gap) {
                    Some((after, true)) => return after,
                    Some((after, false)) => Some(after),
                    None => None,
                },
                None => None,
            };
            let Some(after) = after else { break };
            (rest, gap) = gap::skip_one(after);
        }
        rest
    }

    /// `[…]` behind the level: header when what is inside looks like it, else the message begins.
    fn square(&mut self, text: &'a str) -> Option<&'a str> {
        let (inside, after) = bracket(text)?;
        let bare = inside.trim_ascii();
        let ends =
            after.is_empty() || after.starts_with([' ', '\t', ':', '[', '(', '|', ';', '-', '{']);
        if !ends {
            return None;
        }
        if bare.is_empty() {
            return Some(after);
        }
        if bare.starts_with("http") && bare.contains("://") {
            return None;
        }
        let one_word = !bare.contains([' ', '"', '=']);
        let is_header = is_id(bare)
            || is_process(bare)
            || bare.strip_prefix('#').is_some_and(is_number)
            || file_and_line(bare).is_some()
            || one_word && (is_name(bare) || is_thread(bare))
            || is_thread(bare) && bare.len() <= 40 && bare.split(' ').count() <= 3
            || is_pairs(bare)
            || is_ids(bare)
            || is_marked(bare)
            // Hive: `[7a1b main([])]: c.e.Pay`.
            || after.strip_prefix(": ").is_some_and(|rest| is_dotted(word(rest).0.trim_end_matches(':')));
        if !is_header {
            return None;
        }
        self.note(bare, true);
        Some(after)
    }

    /// `(4711)`, `(MainThread)`, `(depot/4711 on host)`, `(Pay.java:12)`.
    fn round(&mut self, text: &'a str) -> Option<&'a str> {
        let (inside, after) = bracket(text)?;
        let bare = inside.trim_ascii();
        if !(after.starts_with([' ', ':', '\t']) || after.is_empty()) || bare.is_empty() {
            return None;
        }
        if let Some((name, host)) = bare.split_once(" on ") {
            // pino-pretty.
            if !after.starts_with(':') {
                return None;
            }
            self.program(name);
            self.add_context(host);
            return Some(after);
        }
        if after.starts_with(':') && bare.contains('/') && self.program(bare) {
            return Some(after);
        }
        let is_header = is_process(bare)
            || file_and_line(bare).is_some()
            || is_id(bare)
            || is_dotted(bare)
            || is_thread(bare) && bare.split(' ').count() <= 3
            || after.starts_with(':') && is_name(bare);
        is_header.then(|| {
            self.note(bare, true);
            after
        })
    }

    /// `depot/4711`: a program and its process.
    fn program(&mut self, text: &'a str) -> bool {
        if is_number(text) {
            self.set_pid(text);
            return true;
        }
        match text.rsplit_once('/') {
            Some((name, pid)) if is_number(pid) && is_name(name) => {
                self.set_pid(pid);
                self.logger.get_or_insert(name);
                true
            }
            _ => false,
        }
    }

    /// `{requestId=r-7, user=42}`, `{}`, `{file.py:12}`.
    fn curly(&mut self, text: &'a str) -> Option<&'a str> {
        let (inside, after) = bracket(text)?;
        let bare = inside.trim_ascii();
        if !after.starts_with([' ', ':', '\t', '[']) {
            return None;
        }
        if bare.is_empty() {
            return Some(after);
        }
        if is_pairs(bare) {
            self.add_pairs(bare);
            return Some(after);
        }
        let (file, line) = file_and_line(bare)?;
        self.set_file(file, line);
        Some(after)
    }

    /// `<0.123.0>`: a process of Erlang.
    fn angle(&mut self, text: &'a str) -> Option<&'a str> {
        let (inside, after) = bracket(text)?;
        let is_pid = inside.split('.').count() == 3 && inside.split('.').all(is_number);
        is_pid.then(|| {
            self.set_pid(inside);
            after
        })
    }

    /// A logger, a place in the source or a number, and what separates it from the message. True when
    /// the message follows for sure.
    fn named(&mut self, text: &'a str, before: Gap) -> Option<(&'a str, bool)> {
        let (first, after) = word(text);
        if first.is_empty() || first.len() > 160 {
            return None;
        }
        // `10:00:00:ERROR:depot:text`
        if before == Gap::Tight {
            let (name, rest) = text.split_once(':')?;
            if !is_name(name) || name.contains(':') || rest.starts_with([' ', '/', ':']) {
                return None;
            }
            self.logger_or_context(name);
            return Some((rest, true));
        }
        if let Some(name) = first.strip_suffix(':')
            && (after.is_empty() || after.starts_with([' ', '\t']))
        {
            return self
                .before_colon(name)
                .then_some((gap::skip_one(after).0, true));
        }
        if is_number(first) || first.starts_with("0x") && is_process(first) {
            // `4711 --- [main]`
            return gap::skip_one(after).1.is_column().then(|| {
                self.note(first, false);
                (after, false)
            });
        }
        if let Some((pid, rest)) = after
            .strip_prefix('[')
            .and_then(|inside| inside.split_once(']'))
            && is_process(pid)
            && is_name(first)
            && let Some(rest) = rest.strip_prefix(':')
        {
            self.set_pid(pid);
            self.logger_or_context(first);
            return Some((gap::skip_one(rest).0, true));
        }
        self.before_separator(text, first, after, before)
    }

    /// A name before `: `.
    fn before_colon(&mut self, name: &'a str) -> bool {
        if let Some((file, line)) = file_and_line(name) {
            if self.has_file() {
                return false;
            }
            self.set_file(file, line);
            return true;
        }
        if !is_name(name) || is_no_logger(name) {
            return false;
        }
        if !self.place(name) {
            self.logger_or_context(name);
        }
        true
    }

    /// A name before ` - `, ` : `, ` | ` or a tab, with brackets between them or not; or a class before
    /// a blank.
    fn before_separator(
        &mut self,
        text: &'a str,
        first: &'a str,
        after: &'a str,
        before: Gap,
    ) -> Option<(&'a str, bool)> {
        let place = file_and_line(first);
        if place.is_none() && !is_name(first) {
            return None;
        }
        let (next, gap) = gap::skip_one(after);
        if let Some(message) = next.strip_prefix("> ").filter(|_| gap >= Gap::Space) {
            self.logger_or_place(first, place);
            return Some((message, true));
        }
        if first == "from"
            && let Some((rest, message)) = next.split_once(" - ")
            && let Some((logger, thread)) = rest.split_once(" in ")
            && is_name(logger)
            && thread.len() <= 80
        {
            // Play.
            self.logger_or_context(logger);
            self.set_thread(thread);
            return Some((message, true));
        }
        let same_column = before.byte().is_some_and(|_| gap == before);
        if same_column {
            // Behind a logger a column is header only when it can be nothing else.
            if self.logger.is_some()
                && place.is_none()
                && !is_thread(first)
                && !is_id(first)
                && !is_dotted(first)
            {
                return None;
            }
            if is_thread(first) || is_id(first) {
                self.note(first, true);
            } else {
                self.logger_or_place(first, place);
            }
            return Some((after, false));
        }
        if matches!(gap, Gap::Dash | Gap::Colon | Gap::Pipe) {
            self.logger_or_place(first, place);
            return Some((next, true));
        }
        if let Some((inside, behind)) = between(after) {
            let (next, gap) = gap::skip_one(behind);
            if is_oslo(inside) && is_name(first) {
                self.oslo(inside);
                self.logger_or_context(first);
                return Some((next, true));
            }
            if matches!(gap, Gap::Dash | Gap::Colon) && is_dotted(first) {
                self.logger_or_place(first, place);
                if let Some((file, line)) = inside.split_once(':').filter(|(file, _)| is_name(file))
                {
                    self.set_file(file, line);
                } else if is_pairs(inside) {
                    self.add_pairs(inside);
                } else if !matches!(inside, "" | "(null)") {
                    self.add_context(inside);
                }
                return Some((next, true));
            }
        }
        if is_dotted(first) && !is_no_logger(first) && gap >= Gap::Space || place.is_some() {
            self.logger_or_place(first, place);
            return Some((next, true));
        }
        self.two_words(text, first, after)
    }

    /// `depot odoo.http: text`, `admin c.e.Pay - text`, `views 4711 140123 text`.
    fn two_words(
        &mut self,
        text: &'a str,
        first: &'a str,
        after: &'a str,
    ) -> Option<(&'a str, bool)> {
        let after = after.strip_prefix(' ')?;
        let (second, behind) = word(after);
        if is_number(second) {
            let (third, behind) = word(behind.strip_prefix(' ')?);
            if !is_number(third) || !behind.starts_with(' ') {
                return None;
            }
            self.logger_or_context(first);
            self.set_pid(second);
            self.set_thread(third);
            return Some((gap::skip_one(behind).0, true));
        }
        let name = second.trim_end_matches(':');
        let (next, gap) = gap::skip_one(behind);
        let ends = name.len() < second.len() && behind.starts_with(' ') || gap == Gap::Dash;
        if !(is_dotted(name) && ends) || is_no_logger(name) || text.len() > 4096 && first.len() > 60
        {
            return None;
        }
        self.logger_or_context(name);
        self.add_context(first);
        Some((next, true))
    }

    /// `req-… user project - - -`: the context of a request of `OpenStack`, which may have the id of a
    /// request over several services in front.
    fn oslo(&mut self, text: &'a str) {
        let mut parts = text.split(' ').filter(|part| !part.is_empty());
        let mut id = None;
        let mut rest = None;
        for part in parts.by_ref() {
            if part.starts_with("req-") {
                if let Some(global) = id.replace(part) {
                    self.add_context(global);
                }
            } else if part != "None" {
                rest = Some(part);
                break;
            }
        }
        self.request_id = self.request_id.or(id);
        self.user_id = rest.filter(|user| *user != "-");
        self.project = parts.next().filter(|project| *project != "-");
        for part in parts.filter(|part| *part != "-") {
            self.add_context(part);
        }
    }

    fn logger_or_place(&mut self, name: &'a str, place: Option<(&'a str, &'a str)>) {
        match place {
            Some((file, line)) if !self.has_file() => self.set_file(file, line),
            _ if self.place(name) => {}
            _ => self.logger_or_context(name),
        }
    }

    fn logger_or_context(&mut self, name: &'a str) {
        if self.logger.is_none() {
            self.logger = Some(name);
        } else {
            self.add_context(name);
        }
    }
}

/// `[…]`, `(…)` or `{…}` behind a logger, with or without a blank.
fn between(text: &str) -> Option<(&str, &str)> {
    let bare = text.strip_prefix(' ').unwrap_or(text);
    if !bare.starts_with(['[', '(', '{']) {
        return None;
    }
    let (inside, after) = bracket(bare)?;
    Some((inside.trim_ascii(), after))
}

/// Solr: `c:orders s:shard1 r:core_node1`.
fn is_marked(text: &str) -> bool {
    text.contains(' ')
        && text.split(' ').all(|part| {
            part.split_once(':')
                .is_some_and(|(name, value)| name.len() == 1 && !value.is_empty())
        })
}

/// The context of a request as `oslo.log` prints it.
fn is_oslo(text: &str) -> bool {
    text.starts_with("req-") || text.starts_with("None req-") || text == "-"
}

/// Pairs and nothing else: `a=b, c=d`.
fn is_pairs(text: &str) -> bool {
    let mut pairs = 0;
    for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((name, _)) if is_name(name) => pairs += 1,
            _ => return false,
        }
    }
    pairs > 0
}
