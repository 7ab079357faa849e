//! The drill-down history: where one was, and back and forward in it.

use atalaya_domain::record::{RecordId, RequestId};
use atalaya_domain::time::Timestamp;

const MOST_PLACES: usize = 100;

/// A stop of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub filter: String,
    pub trace: Option<Vec<RequestId>>,
    /// `None`: at the newest, following.
    pub at: Option<(Timestamp, RecordId)>,
}

#[derive(Debug, Default)]
pub struct History {
    back: Vec<Place>,
    ahead: Vec<Place>,
}

impl History {
    /// How many places one can go back to.
    pub fn depth(&self) -> usize {
        self.back.len()
    }

    /// Goes on from a place; what lay ahead is no more.
    pub fn update(&mut self, here: Place) {
        if self.back.last() != Some(&here) {
            self.back.push(here);
        }
        if self.back.len() > MOST_PLACES {
            self.back.remove(0);
        }
        self.ahead.clear();
    }

    /// The place before, from which `here` lies ahead.
    pub fn back(&mut self, here: Place) -> Option<Place> {
        let place = self.back.pop()?;
        self.ahead.push(here);
        Some(place)
    }

    pub fn forward(&mut self, here: Place) -> Option<Place> {
        let place = self.ahead.pop()?;
        self.back.push(here);
        Some(place)
    }
}
