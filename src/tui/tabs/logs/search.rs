//! Search in what is loaded: highlight and "3/41". It hides nothing, so neighbours stay in sight.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

use atalaya_domain::record::Record;

#[derive(Clone, Debug)]
pub struct Search {
    pub needle: String,
    pattern: Option<Regex>,
    /// Rows of the present list that hold the needle, ascending.
    hits: Vec<usize>,
}

impl Search {
    /// Without case; the needle is text, not a pattern.
    pub fn new(needle: &str) -> Self {
        let pattern = (!needle.is_empty())
            .then(|| {
                RegexBuilder::new(&regex::escape(needle))
                    .case_insensitive(true)
                    .size_limit(1 << 20)
                    .build()
                    .ok()
            })
            .flatten();
        Self {
            needle: needle.to_owned(),
            pattern,
            hits: Vec::new(),
        }
    }

    pub fn is_hit(&self, text: &str) -> bool {
        self.pattern
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(text))
    }

    /// Anywhere in the record: the raw text is searched, whatever is shown of it.
    pub fn matches(&self, record: &Record) -> bool {
        let entry = &record.entry;
        let own = [
            &entry.logger,
            &entry.user_id,
            &entry.session_id,
            &entry.traceback,
        ];
        self.is_hit(&entry.message)
            || self.is_hit(&record.origin.source)
            || entry
                .request_id
                .as_ref()
                .is_some_and(|id| self.is_hit(id.as_str()))
            || own
                .iter()
                .any(|field| field.as_ref().is_some_and(|text| self.is_hit(text)))
            || entry.metadata.iter().any(|(_, value)| self.is_hit(value))
    }

    /// Byte ranges of the hits in a shown text.
    pub fn ranges(&self, shown: &str) -> Vec<Range<usize>> {
        self.pattern
            .as_ref()
            .map(|pattern| pattern.find_iter(shown).map(|hit| hit.range()).collect())
            .unwrap_or_default()
    }

    /// Takes the rows that hold the needle now.
    pub fn update(&mut self, hits: Vec<usize>) {
        self.hits = hits;
    }

    pub fn count(&self) -> usize {
        self.hits.len()
    }

    pub fn is_on_hit(&self, focus: usize) -> bool {
        self.hits.binary_search(&focus).is_ok()
    }

    /// `3/41`, or `-/41` while the focus is on no hit.
    pub fn counter(&self, focus: usize) -> String {
        match self.hits.binary_search(&focus) {
            Ok(at) => format!("{}/{}", at + 1, self.hits.len()),
            Err(_) => format!("-/{}", self.hits.len()),
        }
    }

    /// The next hit from `focus` on, and whether it wrapped.
    pub fn next(&self, focus: usize, forward: bool) -> Option<(usize, bool)> {
        let (first, last) = (*self.hits.first()?, *self.hits.last()?);
        Some(if forward {
            self.hits
                .iter()
                .find(|hit| **hit > focus)
                .map_or((first, true), |hit| (*hit, false))
        } else {
            self.hits
                .iter()
                .rev()
                .find(|hit| **hit < focus)
                .map_or((last, true), |hit| (*hit, false))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_wraps() {
        let mut search = Search::new("a.b");
        assert!(search.is_hit("xA.By") && !search.is_hit("aXb"));
        search.update(vec![2, 5, 9]);
        assert_eq!(search.counter(5), "2/3");
        assert_eq!(search.counter(6), "-/3");
        assert_eq!(search.next(5, true), Some((9, false)));
        assert_eq!(search.next(9, true), Some((2, true)));
        assert_eq!(search.next(2, false), Some((9, true)));
        assert_eq!(Search::new("").next(0, true), None);
    }
}
