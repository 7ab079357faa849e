//! Kubernetes CRI (containerd, CRI-O): `2026-01-01T00:00:00.123456789Z stdout F text`.
//!
//! Tag `P` marks a piece of a line that goes on, `F` its end. Pieces of stdout and stderr may
//! alternate; a piece joins only a record of its own stream.
//!
//! Source: <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>.

use std::borrow::Cow;

use super::container;
use super::{Format, FormatMismatch, LineRole, Parsed, TimeHint, time};
use crate::domain::record::Layer;

/// `cri`.
#[derive(Clone, Copy, Debug)]
pub struct Cri;

/// One line of the file.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    stamp: &'a str,
    stream: &'a str,
    partial: bool,
    text: &'a str,
}

fn piece(line: &str) -> Option<Piece<'_>> {
    let (stamp, rest) = line.split_once(' ')?;
    let (stream, rest) = rest.split_once(' ')?;
    if !matches!(stream, "stdout" | "stderr")
        || stamp.len() < 20
        || !stamp.starts_with(|first: char| first.is_ascii_digit())
    {
        return None;
    }
    let (tags, text) = rest.split_once(' ').unwrap_or((rest, ""));
    // Further tags may follow after a colon; the first is the one defined.
    let partial = match tags.split(':').next()? {
        "P" => true,
        "F" => false,
        _ => return None,
    };
    Some(Piece { stamp, stream, partial, text })
}

impl Format for Cri {
    fn name(&self) -> &'static str {
        "cri"
    }

    fn default_source(&self) -> &'static str {
        "kubernetes"
    }

    fn default_layer(&self) -> Layer {
        Layer::Application
    }

    fn role(&self, line: &str) -> LineRole {
        if line.trim_ascii().is_empty() {
            return LineRole::Skip;
        }
        match piece(line) {
            Some(piece) if piece.text.starts_with([' ', '\t']) => LineRole::Continues,
            _ => LineRole::Starts,
        }
    }

    fn role_after(&self, pending: &str, line: &str) -> LineRole {
        let Some(next) = piece(line) else { return self.role(line) };
        let Some(last) = piece(pending.rsplit('\n').next().unwrap_or("")) else { return self.role(line) };
        if last.stream != next.stream {
            return LineRole::Starts;
        }
        if last.partial {
            return LineRole::Continues;
        }
        let head = last.text.starts_with("Traceback")
            || last.text.starts_with("Caused by")
            || last.text.starts_with("goroutine ");
        if !last.text.starts_with([' ', '\t']) && !head {
            return container::role("", next.text);
        }
        let mut before = String::new();
        let start = memchr::memrchr_iter(b'\n', pending.as_bytes()).nth(100).map_or(0, |at| at + 1);
        for piece in pending.get(start..).unwrap_or("").split('\n').filter_map(piece) {
            before.push_str(piece.text);
            before.push('\n');
        }
        container::role(before.trim_end_matches('\n'), next.text)
    }

    fn traces(&self) -> bool {
        true
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        let mut log: Cow<'a, str> = Cow::Borrowed("");
        let mut ended = false;
        for (index, line) in text.split('\n').enumerate() {
            let Some(piece) = piece(line) else {
                return Err(self.mismatch("no `time stream tag text`"));
            };
            if index == 0 {
                let cut = time::iso(piece.stamp, hint).ok_or_else(|| self.mismatch("no time"))?;
                out.set_time(cut.instant);
                out.put("stream", piece.stream);
                log = Cow::Borrowed(piece.text);
            } else {
                let log = log.to_mut();
                if ended {
                    log.push('\n');
                }
                log.push_str(piece.text);
            }
            ended = !piece.partial;
        }
        container::read(log, hint, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::domain::record::Level;
    use crate::domain::time::Timestamp;
    use crate::ingest::format::SourceZone;

    #[test]
    fn pieces_join_within_their_stream() {
        let first = "2016-10-06T00:17:09.669794202Z stdout P log content 1 ";
        let second = "2016-10-06T00:17:09.669794203Z stdout F log content 2";
        let other = "2016-10-06T00:17:10.113242941Z stderr F level=error msg=bad req_id=7";
        assert_eq!(Cri.role_after(first, second), LineRole::Continues);
        assert_eq!(Cri.role_after(first, other), LineRole::Starts);
        assert_eq!(Cri.role_after(second, other), LineRole::Starts);
        let hint = TimeHint { reference: Timestamp::from_seconds(1_790_000_000), zone: SourceZone::Utc };
        let text = format!("{first}\n{second}");
        let mut out = Parsed::default();
        Cri.parse(&text, &hint, &mut out).unwrap();
        assert_eq!(out.message, "log content 1 log content 2");
        let mut out = Parsed::default();
        Cri.parse(other, &hint, &mut out).unwrap();
        assert_eq!(
            (out.level, out.message.as_ref(), out.request_id.as_deref()),
            (Level::Error, "bad", Some("7"))
        );
        assert_eq!(out.timestamp.unwrap().to_rfc3339(), "2016-10-06T00:17:10.113242Z");
        assert!(Cri.parse("2016-10-06T00:17:10Z stdnull F x", &hint, &mut Parsed::default()).is_err());
    }
}
