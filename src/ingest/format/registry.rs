//! The table of built-in formats.

use super::{Format, apache_access, apache_error, nginx_access, nginx_error, plain, traefik};

/// In the order of detection: strict and particular formats first, text that anything fits last.
/// Where two formats read the same number of lines, the earlier one is taken.
static FORMATS: &[&dyn Format] = &[
    &nginx_access::NginxAccess,
    &apache_access::ApacheAccess,
    &traefik::Traefik,
    &nginx_error::NginxError,
    &apache_error::ApacheError,
    // Last: it reads everything.
    &plain::Plain,
];

/// All formats, in the order in which detection tries them.
pub fn all() -> &'static [&'static dyn Format] {
    FORMATS
}

/// The format with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// Names as `--format` takes them, in the order of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|format| format.name())
}
