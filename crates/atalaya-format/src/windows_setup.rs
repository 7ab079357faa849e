//! Windows' servicing logs (`CBS.log`, `setupact.log`, `DISM`):
//! `2024-05-01 10:00:00, Error                 CBS    Failed to resolve the package`.
//!
//! Source: <https://learn.microsoft.com/en-us/windows-hardware/manufacture/desktop/deployment-troubleshooting-and-log-files>.

use super::app_line::words::is_name;
use super::fields::keep_severity;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};
use atalaya_domain::record::{Layer, Level};

/// `windows-setup`.
#[derive(Clone, Copy, Debug)]
pub struct WindowsSetup;

impl Format for WindowsSetup {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "windows-setup",
            source: "windows/setup",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let opens = bytes.get(19) == Some(&b',')
            && bytes.get(20) == Some(&b' ')
            && bytes.get(4) == Some(&b'-');
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no level in its column"))
    }
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let cut = time::iso(text.get(..19)?, hint)?;
    let rest = text.get(21..)?;
    let (word, rest) = rest.split_once("  ")?;
    out.level = match word {
        "Info" | "Perf" => Level::Info,
        "Warning" => Level::Warning,
        "Error" => Level::Error,
        "Fatal" | "Fatal Error" => Level::Critical,
        "Debug" | "Trace" => Level::Debug,
        _ => return None,
    };
    out.set_time(cut.instant);
    keep_severity(out, word.into());
    let rest = rest.trim_start_matches(' ');
    match rest.split_once("  ") {
        Some((component, message)) if is_name(component) && component.len() <= 12 => {
            out.logger = Some(component.into());
            out.message = message.trim_start_matches(' ').into();
        }
        _ => out.message = rest.into(),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn columns_of_servicing() {
        let mut out = Parsed::default();
        let text = "2024-05-01 10:00:00, Error                 CBS    Failed to resolve [HRESULT = 0x800f0831]";
        assert_eq!(WindowsSetup.opens(text), Opens::Parsed);
        assert!(WindowsSetup.parse(text, &ANY_HINT, &mut out).is_ok());
        assert_eq!(
            (out.level.name(), out.logger.as_deref()),
            ("ERROR", Some("CBS"))
        );
        assert_eq!(out.message, "Failed to resolve [HRESULT = 0x800f0831]");
        for text in [
            "2024-05-01 10:00:00, Error in the text",
            "2024-05-01 10:00:00,123 ERROR x",
        ] {
            let mut out = Parsed::default();
            assert!(
                WindowsSetup.opens(text) == Opens::No
                    || WindowsSetup.parse(text, &ANY_HINT, &mut out).is_err()
            );
        }
    }
}
