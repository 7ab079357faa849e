//! What a rotated file is called: `x.log` becomes `x.log.1`, `x.log.2.gz`, `x.log-20261122`,
//! `x-20261122.log`. A name only says which files to compare; whether one continues another is
//! decided by their bytes (see [`super::identity`]).

/// How a file is packed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    Bzip2,
    Zstd,
    /// Recognised, not read: no decoder is built in.
    Xz,
}

impl Packing {
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Bzip2, Self::Zstd, Self::Xz];

    /// What its file names end with.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Bzip2 => ".bz2",
            Self::Zstd => ".zst",
            Self::Xz => ".xz",
        }
    }
}

/// A file name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotatedName {
    /// The name that the writer writes to.
    pub base: String,
    /// Whether anything was stripped to get it.
    pub rotated: bool,
    pub packing: Option<Packing>,
}

impl RotatedName {
    pub fn of(name: &str) -> Self {
        let (mut rest, packing) = unpacked(name);
        loop {
            let shorter = without_suffix(rest);
            if shorter.len() == rest.len() {
                break;
            }
            rest = shorter;
        }
        let base = without_inner_date(rest).unwrap_or_else(|| rest.to_owned());
        Self {
            rotated: base != name,
            base,
            packing,
        }
    }
}

fn unpacked(name: &str) -> (&str, Option<Packing>) {
    for packing in Packing::ALL {
        if let Some(rest) = name.strip_suffix(packing.suffix())
            && !rest.is_empty()
        {
            return (rest, Some(packing));
        }
    }
    (name, None)
}

/// Without one rotation suffix; the same text when there is none.
fn without_suffix(name: &str) -> &str {
    let Some(at) = name.rfind(['.', '-']) else {
        return name;
    };
    let (stem, suffix) = (&name[..at], &name[at + 1..]);
    if stem.is_empty() {
        return name;
    }
    let digits = !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit());
    let is_rotation = match name.as_bytes()[at] {
        b'.' => (digits && matches!(suffix.len(), 1..=4 | 8)) || suffix == "old",
        // A date, a date with hours or a time in seconds, as logrotate's `dateext` writes them.
        _ => digits && matches!(suffix.len(), 8 | 10 | 12 | 14),
    };
    if is_rotation {
        return stem;
    }
    // `x.log-2026-11-22` and `x.log.2026-11-22`
    match name.len().checked_sub(11) {
        Some(at) if at > 0 && is_dashed_date(&name.as_bytes()[at..]) => &name[..at],
        _ => name,
    }
}

/// `-2026-11-22` or `.2026-11-22`
fn is_dashed_date(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(index, byte)| match index {
        0 => matches!(byte, b'.' | b'-'),
        5 | 8 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    })
}

/// `x-20261122.log` is `x.log`.
fn without_inner_date(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let (front, date) = stem.rsplit_once('-')?;
    let is_date = matches!(date.len(), 8 | 10) && date.bytes().all(|byte| byte.is_ascii_digit());
    (is_date && !front.is_empty()).then(|| format!("{front}.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rotations_lead_to_the_base() {
        let cases = [
            ("x.log", "x.log", false),
            ("x.log.1", "x.log", true),
            ("x.log.12.gz", "x.log", true),
            ("x.log-20261122", "x.log", true),
            ("x.log-20261122.zst", "x.log", true),
            ("x.log-1763800000", "x.log", true),
            ("x.log.2026-11-22", "x.log", true),
            ("x.log-2026-11-22.bz2", "x.log", true),
            ("x-20261122.log", "x.log", true),
            ("x-20261122.log.gz", "x.log", true),
            ("x.log.old", "x.log", true),
            ("x.log.1.gz", "x.log", true),
            ("syslog", "syslog", false),
            ("syslog.1", "syslog", true),
            ("postgresql-16-main.log", "postgresql-16-main.log", false),
            ("app-1.log", "app-1.log", false),
            (".gz", ".gz", false),
            ("1", "1", false),
            (".1", ".1", false),
            ("ñ-2026-11-22", "ñ", true),
            ("\u{1F600}2026-11-22", "\u{1F600}2026-11-22", false),
        ];
        for (name, base, rotated) in cases {
            let found = RotatedName::of(name);
            assert_eq!(
                (found.base.as_str(), found.rotated),
                (base, rotated),
                "{name}"
            );
        }
        assert_eq!(RotatedName::of("x.log.2.gz").packing, Some(Packing::Gzip));
        assert_eq!(RotatedName::of("x.log.xz").packing, Some(Packing::Xz));
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics_and_a_base_is_its_own_base(name in "[a-z0-9.ñ-]{0,24}") {
            let base = RotatedName::of(&name).base;
            let again = RotatedName::of(&base);
            proptest::prop_assert!(again.base.len() <= base.len());
        }
    }
}
