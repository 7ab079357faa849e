//! Facility and severity: as the number of a priority, or in words.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc5424#section-6.2.1>; the words are those of syslog.conf(5).

use super::super::Parsed;
use atalaya_domain::record::Level;

const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

/// `<134>` at the start: its number, at most 191, and what follows.
pub fn number(text: &str) -> Option<(u8, &str)> {
    let rest = text.strip_prefix('<')?;
    let digits = rest.bytes().take(4).take_while(u8::is_ascii_digit).count();
    let number: u8 = rest.get(..digits)?.parse().ok()?;
    let rest = rest.get(digits..)?.strip_prefix('>')?;
    (number <= 191).then_some((number, rest))
}

/// Takes level, facility and severity from a number that is at most 191.
pub fn put(number: u8, out: &mut Parsed<'_>) {
    put_words(
        FACILITIES.get(usize::from(number / 8)).copied(),
        usize::from(number % 8),
        out,
    );
}

fn put_words(facility: Option<&'static str>, severity: usize, out: &mut Parsed<'_>) {
    out.level = Level::from_syslog_severity(u8::try_from(severity).unwrap_or(6));
    if let Some(facility) = facility {
        out.put("facility", facility);
    }
    if let Some(severity) = SEVERITIES.get(severity) {
        out.put("severity", severity);
    }
}

/// `auth.info`, or `4.6` as numbers: facility and severity.
pub type Words = (&'static str, usize);

/// Reads `facility.severity`, both in words or both as numbers; AIX parts them with a colon.
pub fn words(text: &str) -> Option<Words> {
    let (facility, severity) = text.split_once(['.', ':'])?;
    // AIX has two names for one facility.
    let facility = facility.strip_suffix("|security").unwrap_or(facility);
    if let (Ok(facility), Ok(severity)) = (facility.parse::<usize>(), severity.parse::<usize>()) {
        return (severity < SEVERITIES.len()).then_some((*FACILITIES.get(facility)?, severity));
    }
    let facility = FACILITIES.iter().find(|known| **known == facility)?;
    let severity = match severity {
        "error" => 3,
        "warn" => 4,
        "panic" => 0,
        word => SEVERITIES.iter().position(|known| *known == word)?,
    };
    Some((facility, severity))
}

/// [`put`] for words.
pub fn put_named((facility, severity): Words, out: &mut Parsed<'_>) {
    put_words(Some(facility), severity, out);
}
