//! What is typed to the Logs tab: the commands of the `:` prompt, times and request ids.

use std::time::Duration;

use super::work::Effect;
use super::{Context, LogsTab, View};
use super::{keys, note};
use crate::report::incident_note;
use crate::tui::ask::Notice;
use crate::tui::widgets::safe_text;
use atalaya_domain::record::{Record, RequestId};
use atalaya_domain::time::Timestamp;
use atalaya_query::{Query, QueryClock};

fn trouble(text: impl Into<String>) -> Vec<Effect> {
    vec![Effect::Notice(Notice::trouble(text))]
}

impl LogsTab {
    pub(super) fn command(
        &mut self,
        name: &str,
        argument: &str,
        context: &Context<'_>,
    ) -> Vec<Effect> {
        match name {
            keys::GO_TO => self.go_to_time(argument, context),
            keys::FILTER => self.set_filter(argument, context),
            keys::SAVE => self.save_query(argument),
            keys::REQUEST => {
                let ids = request_ids(argument);
                if ids.is_empty() {
                    return trouble("give a request id: `:req ID`");
                }
                self.open_trace(ids)
            }
            keys::WRITE if argument.is_empty() => trouble("give a file: `:w FILE`"),
            keys::WRITE => {
                let text = match &self.view {
                    View::List => lines_of(self.list.rows.iter()),
                    View::Context(view) => lines_of(view.rows.iter()),
                    View::Trace(trace) => incident_note::of_trace(&trace.data),
                };
                vec![Effect::WriteFile {
                    path: argument.to_owned(),
                    text,
                }]
            }
            _ => trouble(format!("no command `{}`", safe_text::line(name))),
        }
    }

    /// Goes to a time as it is typed; see [`read_time`].
    pub(super) fn go_to_time(&mut self, text: &str, context: &Context<'_>) -> Vec<Effect> {
        let here = self.current().map(|record| record.entry.timestamp);
        match read_time(text, here, &Self::clock(context)) {
            Some(at) => {
                self.remember_place();
                self.view = View::List;
                self.menu = None;
                self.show_time(at, context)
            }
            None => trouble(format!(
                "`{}` is not a time; try 14:32, 2026-03-02T10:20, -30m or +5m",
                safe_text::line(text)
            )),
        }
    }
}

fn lines_of<'a>(records: impl Iterator<Item = &'a Record>) -> String {
    records
        .map(|record| note::record_line(record) + "\n")
        .collect()
}

/// A time as the query language reads it (`14:32`, `2026-03-02T10:20`), `-30m` back from now, or
/// `+5m` on from the record under the cursor, since nothing lies ahead of now.
fn read_time(text: &str, here: Option<Timestamp>, clock: &QueryClock) -> Option<Timestamp> {
    let text = text.trim();
    let since = |word: &str| {
        let query = Query::parse(&format!("since:{word}"), clock).ok()?;
        (!word.is_empty()).then(|| query.range().from)
    };
    if let Some(length) = text.strip_prefix('+') {
        return Some(
            here.unwrap_or(clock.now)
                .saturating_add(length_of(length, clock)?),
        );
    }
    since(&text.trim_start_matches('-').replace(' ', "T"))
}

/// `5m`, `1h30m`: a length of time and no time of the day.
fn length_of(text: &str, clock: &QueryClock) -> Option<Duration> {
    let is_length = text.starts_with(|first: char| first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_alphabetic())
        && text.chars().all(|each| each.is_ascii_alphanumeric());
    let query = Query::parse(&format!("since:{text}"), clock).ok()?;
    is_length.then(|| clock.now.since(query.range().from))
}

/// Request ids separated by blanks. One with blanks or quotes in it stands in double quotes, in
/// which `\` takes the next character as it is (`\n` is a line break).
pub(super) fn request_ids(text: &str) -> Vec<RequestId> {
    let mut ids = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (id, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        if !id.is_empty() {
            ids.push(RequestId::new(id));
        }
        rest = after.trim_start();
    }
    ids
}

/// What stands before the closing quote, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let mut id = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (id, &text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => id.push('\n'),
                Some((_, 't')) => id.push('\t'),
                Some((_, 'r')) => id.push('\r'),
                Some((_, other)) => id.push(other),
                None => {}
            },
            other => id.push(other),
        }
    }
    (id, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_query::Zone;

    #[test]
    fn ids_are_typed_as_they_are_or_in_quotes() {
        let read = |text: &str| -> Vec<String> {
            let ids = request_ids(text);
            ids.iter().map(|id| id.as_str().to_owned()).collect()
        };
        assert_eq!(read(" a  b "), ["a", "b"]);
        assert_eq!(read(r#""req 42" a"b"#), ["req 42", "a\"b"]);
        assert_eq!(read(r#""a\"b\\\n" c"#), ["a\"b\\\n", "c"]);
        assert_eq!(read(r#""left open"#), ["left open"]);
        assert!(read("\"\"").is_empty());
    }

    #[test]
    fn times_are_read_back_from_now_and_on_from_the_cursor() {
        let now = Timestamp::from_seconds(100_000);
        let here = Timestamp::from_seconds(50_000);
        let clock = QueryClock {
            now,
            zone: Zone::Utc,
        };
        let read = |text: &str| read_time(text, Some(here), &clock);
        assert_eq!(read("-30m"), Some(Timestamp::from_seconds(98_200)));
        assert_eq!(read("+5m"), Some(Timestamp::from_seconds(50_300)));
        assert_eq!(read("+1h30m"), Some(Timestamp::from_seconds(55_400)));
        assert_eq!(
            read_time("+5m", None, &clock),
            Some(Timestamp::from_seconds(100_300))
        );
        for wrong in ["", "+", "-", "+14:32", "+now", "++5m", "half past", "+5"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
