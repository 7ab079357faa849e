//! What a record says about a request: its status, its line, and durations without unit of
//! programs that document theirs.

use std::borrow::Cow;

use super::levels::of_outcome;
use super::names::{Note, Slot};
use super::{Fields, durations, levels, table};
use atalaya_domain::record::Level;

impl<'a> Fields<'_, 'a> {
    /// The level out of what the record says besides. True when that is worse than the level that
    /// the record has.
    pub(super) fn grade(&mut self) -> bool {
        self.grade_by_number();
        if self.lacks_level() {
            if let Some(level) = self.noted_text(Note::Severity).and_then(levels::worded) {
                self.out.level = level;
            } else if let Some(status) = self.status() {
                self.out.level = Level::from_http_status(status);
            } else if let Some(level) = self.noted_text(Note::Status).and_then(of_outcome) {
                self.out.level = level;
            } else if let Some(level) = self.buried_level() {
                self.out.level = level;
            } else if self.has_fault() {
                self.out.level = Level::Error;
            }
        } else if self.is_access()
            && let Some(level) = self.status().map(Level::from_http_status)
            && level > self.out.level
        {
            // Servers log every answer as information, also that they could not give one.
            self.out.level = level;
            return true;
        }
        false
    }

    /// Small numbers that only one kind of program writes so.
    fn grade_by_number(&mut self) {
        if let Some(held) = &self.held[Slot::Level(levels::Scale::Usual).index()] {
            // Pino's numbers are Python's moved by ten: Python's loggers say where they stand.
            let number =
                held.text.len() == 2 && held.text.bytes().all(|byte| byte.is_ascii_digit());
            if number
                && held.name == "level"
                && self.has(&["lineno", "funcName", "pathname", "threadName"])
            {
                self.out.level = levels::python(&held.text).unwrap_or(self.out.level);
            }
            return;
        }
        let Some(at) = self
            .out
            .metadata
            .iter()
            .position(|(name, text)| name == "level" && text.len() == 1)
        else {
            return;
        };
        let Some(number) = self
            .out
            .metadata
            .get(at)
            .and_then(|(_, text)| text.parse::<u8>().ok())
        else {
            return;
        };
        let named = |slot: Slot, name: &str| {
            self.held[slot.index()]
                .as_ref()
                .is_some_and(|held| held.name == name)
        };
        // GELF counts levels as syslog does, and only GELF has a `short_message`. Nextcloud counts up.
        let level = if named(Slot::Message, "short_message") {
            (number <= 7).then(|| Level::from_syslog_severity(number))
        } else if named(Slot::Request(super::shape::Shape::Whole), "reqId") {
            [
                Level::Debug,
                Level::Info,
                Level::Warning,
                Level::Error,
                Level::Critical,
            ]
            .get(usize::from(number))
            .copied()
        } else {
            None
        };
        if let Some(level) = level {
            self.out.level = level;
            let (name, text) = self.remove(at);
            self.hold(Slot::Level(levels::Scale::Usual), 9, name, text);
        }
    }

    /// A level below names that nobody knows: it is the record's where nothing else says one.
    fn buried_level(&self) -> Option<Level> {
        // A `battery.level` has no message beside it.
        let is_wrapped = self.lacks_message() && self.buried().is_some();
        let names = &["level", "lvl", "loglevel", "levelname", "severity"];
        self.last_named(names)
            .filter(|_| is_wrapped)
            .and_then(|text| levels::worded(text))
    }

    /// A message below such names.
    pub(super) fn buried(&self) -> Option<Cow<'a, str>> {
        self.last_named(&["message", "msg"]).cloned()
    }

    /// The only value whose name ends with one of these parts.
    fn last_named(&self, lasts: &[&str]) -> Option<&Cow<'a, str>> {
        let mut found = self.out.metadata.iter().filter(|(name, _)| {
            name.rsplit_once('.')
                .is_some_and(|(_, last)| lasts.iter().any(|known| known.eq_ignore_ascii_case(last)))
        });
        let (_, text) = found.next()?;
        found.next().is_none().then_some(text)
    }

    /// Whether the record tells of an error that happened.
    fn has_fault(&self) -> bool {
        const NONE: [&str; 9] = [
            "false",
            "null",
            "none",
            "nil",
            "no",
            "0",
            "-",
            "<nil>",
            "undefined",
        ];
        let told = self.out.metadata.iter().any(|(name, text)| {
            ERRORS.contains(&name.as_ref())
                && !NONE.iter().any(|none| none.eq_ignore_ascii_case(text))
        });
        told || self.held[Slot::Trace.index()]
            .as_ref()
            .is_some_and(|held| held.text.contains('\n'))
    }

    fn has(&self, names: &[&str]) -> bool {
        self.out
            .metadata
            .iter()
            .any(|(known, _)| names.contains(&known.as_ref()))
    }

    fn status(&self) -> Option<u16> {
        let text = self.noted_text(Note::Status)?;
        text.parse()
            .ok()
            .filter(|status| (100..600).contains(status))
    }

    /// Traefik tells itself by the names of its status.
    fn is_access(&self) -> bool {
        matches!(
            self.noted[Note::Status.index()].rank,
            table::DOWNSTREAM | table::ORIGIN
        ) || self.is_caddy()
    }

    fn is_caddy(&self) -> bool {
        self.held[Slot::Logger.index()]
            .as_ref()
            .is_some_and(|held| held.text.starts_with("http.log."))
            || (self.held[Slot::Message.index()]
                .as_ref()
                .is_some_and(|held| held.text == "handled request")
                && self.has(&["request.uri"]))
    }

    /// A duration as a bare number, where the program is told by what stands beside.
    ///
    /// Sources: <https://caddyserver.com/docs/caddyfile/directives/log#duration-formats> (seconds);
    /// <https://doc.traefik.io/traefik/observability/access-logs/> (nanoseconds);
    /// <https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage>,
    /// <https://github.com/serilog/serilog-aspnetcore> and
    /// <https://github.com/roidrage/lograge> (milliseconds).
    pub(super) fn measure(&mut self) {
        let Some(at) = self.noted_at(Note::Length) else {
            return;
        };
        let Some((name, text)) = self.out.metadata.get(at) else {
            return;
        };
        let Some(number) = text
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite() && *number >= 0.0)
        else {
            return;
        };
        let unit = match name.as_ref() {
            "duration" if self.is_caddy() => 1000.0,
            "Duration" if self.has(&["DownstreamStatus", "OriginDuration", "OriginStatus"]) => {
                0.000_001
            }
            "duration"
                if self.has(&[
                    "response_flags",
                    "upstream_cluster",
                    "upstream_service_time",
                ]) || (self.has(&["controller"]) && self.has(&["action"])) =>
            {
                1.0
            }
            "Elapsed" if self.has(&["RequestPath", "StatusCode"]) => 1.0,
            _ => return,
        };
        self.out.duration_ms = Some(durations::milliseconds(number, unit));
        self.remove(at);
    }

    /// A line for a record without message: the request that it is about, or its error.
    pub(super) fn summary(&self) -> Option<String> {
        if let Some(path) = self.noted_text(Note::Path) {
            let status = self
                .noted_text(Note::Status)
                .filter(|status| status.len() <= 16);
            let method = self
                .noted_text(Note::Method)
                .filter(|method| is_method(method));
            let line = match method {
                Some(method) => Some(format!("{method} {path}")),
                None => request_line(path).map(str::to_owned),
            };
            if let Some(line) = line {
                return Some(
                    status.map_or_else(|| line.clone(), |status| format!("{line} {status}")),
                );
            }
        }
        ERRORS.iter().find_map(|name| {
            self.out
                .metadata
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, text)| text.to_string())
        })
    }
}

/// Under which names programs tell what went wrong.
const ERRORS: [&str; 7] = [
    "error",
    "err",
    "error.message",
    "err.message",
    "exception.message",
    "error_message",
    "errorMessage",
];

fn is_method(word: &str) -> bool {
    (3..=12).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// `GET /path` out of `GET /path HTTP/1.1`.
fn request_line(text: &str) -> Option<&str> {
    let (line, version) = text.rsplit_once(' ')?;
    let (method, path) = line.split_once(' ')?;
    (version.starts_with("HTTP/") && is_method(method) && !path.is_empty()).then_some(line)
}
