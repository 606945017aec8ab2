//! A search of the journal as lines of an answer.
//!
//! Owns how what is found, how far the search is and, for exports, the entries themselves travel. Refuses to go
//! on when nobody reads any more: a search that finds nothing tells how far it is, and so notices. Driven by
//! the socket and by the command line on its own store.

use super::api::Line;
use super::entries::{A_LINE, Entry};
use crate::gate::evidence::{self, Finder, Found, Query};
use crate::store::journal::Parts;
use crate::store::{EntryId, Journal};

/// Hands over what a query finds, and with `whole` the entries it was found in.
pub(super) fn search(
    journal: &Journal,
    query: &Query,
    whole: bool,
    emit: &mut dyn FnMut(Line) -> bool,
) -> Result<Vec<Line>, String> {
    let mut lines = Lines { emit, whole, entries: Vec::new() };
    let more = evidence::search(journal, query, &mut lines).map_err(|error| error.to_string())?;
    let rest = std::mem::take(&mut lines.entries);
    let rest = (!rest.is_empty()).then_some(Line::Entries(rest));
    Ok(rest.into_iter().chain(more.map(|id| Line::More(id.to_string()))).collect())
}

struct Lines<'e> {
    emit: &'e mut dyn FnMut(Line) -> bool,
    whole: bool,
    entries: Vec<Entry>,
}

impl Finder for Lines<'_> {
    fn found(&mut self, found: Found) -> bool {
        (self.emit)(Line::Found(found))
    }

    fn walked(&mut self, entries: u64, at_ms: i64) -> bool {
        (self.emit)(Line::Walked { entries, at_ms })
    }

    fn wanting(&mut self, what: String) {
        (self.emit)(Line::Wanting(what));
    }

    fn wants_entries(&self) -> bool {
        self.whole
    }

    fn entry(&mut self, id: EntryId, parts: &Parts) -> bool {
        if !self.whole {
            return true;
        }
        self.entries.push(Entry::new(id, &parts.content).with(parts.signalling.as_ref()));
        self.entries.len() < A_LINE || (self.emit)(Line::Entries(std::mem::take(&mut self.entries)))
    }
}
