//! Kubernetes CRI (containerd, CRI-O): `2026-01-01T00:00:00.123456789Z stdout F text`.
//!
//! Tag `P` marks a piece of a line that goes on, `F` its end. Pieces of stdout and stderr may
//! alternate; a piece joins only a record of its own stream.
//!
//! Source: <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>.

use super::split;
use super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, Piece as Goes, TimeHint,
    stream_of, time,
};
use atalaya_domain::record::Layer;

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
    if line.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let (stamp, rest) = split::once(line, b' ')?;
    let (stream, rest) = split::once(rest, b' ')?;
    if !matches!(stream, "stdout" | "stderr")
        || stamp.len() < 20
        || !stamp.starts_with(|first: char| first.is_ascii_digit())
    {
        return None;
    }
    let (tags, text) = split::once(rest, b' ').unwrap_or((rest, ""));
    // Further tags may follow after a colon; the first is the one defined.
    let partial = match tags.split(':').next()? {
        "P" => true,
        "F" => false,
        _ => return None,
    };
    Some(Piece {
        stamp,
        stream,
        partial,
        text,
    })
}

impl Envelope for Cri {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "cri",
            source: "kubernetes",
            layer: Layer::Application,
            begins: Begins::DIGITS,
            lines: Lines::Trace,
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
        let piece = piece(line).ok_or_else(|| self.mismatch("no `time stream tag text`"))?;
        let cut = time::iso(piece.stamp, hint)
            .filter(|cut| cut.rest.is_empty())
            .ok_or_else(|| self.mismatch("no time"))?;
        out.set_time(cut.instant);
        out.zoned |= piece
            .stamp
            .get(19..)
            .is_some_and(|tail| tail.contains(['Z', '+', '-']));
        out.put("stream", piece.stream);
        out.message = piece.text.into();
        let how = if piece.partial {
            Goes::Open
        } else {
            Goes::Line
        };
        Ok(Inside {
            stream: stream_of(&[piece.stream]),
            piece: how,
            graded: false,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::SourceZone;
    use atalaya_domain::time::Timestamp;

    #[test]
    fn tags_say_whether_the_line_ends() {
        let hint = TimeHint {
            reference: Timestamp::from_seconds(1_790_000_000),
            zone: SourceZone::Utc,
        };
        let open = |line: &'static str| {
            let mut out = Parsed::default();
            Cri.open(line, &hint, &mut out)
                .map(|inside| (inside.piece, out.message.into_owned()))
        };
        let first = open("2016-10-06T00:17:09.669794202Z stdout P part one ").unwrap();
        assert_eq!(first, (Goes::Open, "part one ".to_owned()));
        let second = open("2016-10-06T00:17:09.669794203+02:00 stderr F part two").unwrap();
        assert_eq!(second, (Goes::Line, "part two".to_owned()));
        assert_eq!(open("2016-10-06T00:17:09Z stdout F ").unwrap().1, "");
        assert!(open("2016-10-06T00:17:10Z stdnull F x").is_err());
        assert!(open("2016-10-06T00:17:10 and more stdout F x").is_err());
    }
}
