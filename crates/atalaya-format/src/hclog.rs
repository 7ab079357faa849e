//! hclog, which Vault, Consul, Nomad and Terraform write with:
//! `2024-05-01T10:00:00.000Z [ERROR] core: cannot unseal: attempt=3 error="no key"`.
//!
//! Source: <https://pkg.go.dev/github.com/hashicorp/go-hclog>.

use std::borrow::Cow;

use super::app_line::{self, stamp::behind_iso, tail};
use super::split;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint};
use atalaya_domain::record::Layer;

/// `hclog`.
#[derive(Clone, Copy, Debug)]
pub struct Hclog;

impl Format for Hclog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "hclog",
            source: "app/hclog",
            layer: Layer::Application,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"[]=")
    }

    fn opens(&self, line: &str) -> Opens {
        // With `T`: the same with a blank is Python's, whose messages keep their pairs.
        let is_iso = line.as_bytes().get(10) == Some(&b'T');
        let opens = is_iso
            && behind_iso(line)
                .and_then(|rest| rest.strip_prefix(" ["))
                .is_some_and(|rest| {
                    [
                        "TRACE]", "DEBUG]", "INFO] ", "INFO]", "WARN] ", "WARN]", "ERROR]",
                    ]
                    .iter()
                    .any(|word| rest.starts_with(word))
                        && rest.contains(": ")
                        && rest.contains('=')
                });
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let (line, more) = split::line(text);
        app_line::read(line, hint, out).ok_or_else(|| self.mismatch("no stamp and [LEVEL]"))?;
        if out.logger.is_none() || !tail::take_off(hint, out) {
            return Err(self.mismatch("no name and pairs"));
        }
        if let Cow::Borrowed(message) = out.message {
            // The colon stands for the pairs to come.
            out.message = message.strip_suffix(':').unwrap_or(message).into();
        }
        if !more.is_empty() {
            out.traceback = Some(match out.traceback.take() {
                Some(first) => format!("{first}\n{more}").into(),
                None => more.into(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn a_name_a_text_and_pairs() {
        let text = "2024-05-01T10:00:00.000Z [WARN]  core.raft: cannot reach peer: peer=10.0.0.1:8201 error=\"timed out\" request_id=r-7";
        let mut out = Parsed::default();
        assert_eq!(Hclog.opens(text), Opens::Parsed);
        assert!(Hclog.parse(text, &ANY_HINT, &mut out).is_ok());
        assert_eq!(
            (out.level.name(), out.logger.as_deref()),
            ("WARNING", Some("core.raft"))
        );
        assert_eq!(
            (out.message.as_ref(), out.request_id.as_deref()),
            ("cannot reach peer", Some("r-7"))
        );
        assert!(out.timestamp.is_some());
        for text in [
            "2024-05-01T10:00:00.000Z [INFO] ready",
            "2024-05-01T10:00:00.000Z [INFO] core: a=1 is so",
            "2024-05-01 10:00:00 [INFO] core: x: a=1",
        ] {
            let mut out = Parsed::default();
            assert!(
                Hclog.opens(text) == Opens::No || Hclog.parse(text, &ANY_HINT, &mut out).is_err(),
                "{text}"
            );
        }
    }
}
