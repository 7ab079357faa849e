//! What read the records of a file, as counts.

use super::super::plain;

/// How many records each format gave, and out of which envelope, in the order in which they were
/// seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(Vec<Share>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    envelope: Option<&'static str>,
    format: Option<&'static str>,
    records: u64,
}

impl Tally {
    pub(super) fn add(&mut self, envelope: Option<&'static str>, format: Option<&'static str>) {
        match self
            .0
            .iter_mut()
            .find(|known| known.envelope == envelope && known.format == format)
        {
            Some(share) => share.records += 1,
            None => self.0.push(Share {
                envelope,
                format,
                records: 1,
            }),
        }
    }

    /// Records by what a file would be called after them: the envelope, else the format.
    pub fn by_shape(&self) -> Vec<(&'static str, u64)> {
        let mut counts: Vec<(&'static str, u64)> = Vec::new();
        for share in &self.0 {
            let name = share.envelope.or(share.format).unwrap_or(plain::SPEC.name);
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += share.records,
                None => counts.push((name, share.records)),
            }
        }
        counts
    }

    /// Records by what read them, as `syslog`, `python` or, in an envelope, `docker-json/python`.
    pub fn labels(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        self.0.iter().map(|share| {
            let label = match (share.envelope, share.format) {
                (Some(envelope), Some(format)) => format!("{envelope}/{format}"),
                (one, other) => one.or(other).unwrap_or(plain::SPEC.name).to_owned(),
            };
            (label, share.records)
        })
    }

    /// Records that this format or envelope had a part in.
    pub fn of(&self, name: &str) -> u64 {
        let of = |share: &&Share| share.envelope == Some(name) || share.format == Some(name);
        self.0.iter().filter(of).map(|share| share.records).sum()
    }
}

impl serde::Serialize for Tally {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.labels())
    }
}
