//! Entries of the journal as they are kept, one by name or page by page.
//!
//! Owns how they travel in a line of JSON. Refuses to read them: whoever asks does, in a process of
//! its own. A page at a time keeps what is under way small, and the asker free to stop.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use crate::store::{EntryId, Journal, Query};

/// Entries in one line of an answer: a few tens of kilobytes, as a rule.
pub(super) const A_LINE: usize = 128;

/// Which entries, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Not before this moment, UTC milliseconds.
    pub since_ms: Option<i64>,
    /// Before this moment, UTC milliseconds.
    pub until_ms: Option<i64>,
    /// Behind this entry: the last of the page before.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// One entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub id: String,
    /// Its octets, in base64.
    pub payload: String,
    /// Those of its signalling, where they were asked for and have not expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signalling: Option<String>,
}

impl Entry {
    pub(super) fn new(id: EntryId, payload: &[u8]) -> Self {
        Self { id: id.to_string(), payload: BASE64.encode(payload), signalling: None }
    }

    pub(super) fn with(self, signalling: Option<&Vec<u8>>) -> Self {
        Self { signalling: signalling.map(|octets| BASE64.encode(octets)), ..self }
    }

    /// The octets of its signalling.
    pub fn signalling(&self) -> Result<Option<Vec<u8>>, String> {
        self.signalling.as_ref().map(|text| BASE64.decode(text.as_bytes())).transpose().map_err(said)
    }

    /// Its name and octets.
    pub fn read(&self) -> Result<(EntryId, Vec<u8>), String> {
        let payload = BASE64.decode(self.payload.as_bytes()).map_err(said)?;
        Ok((self.id.parse().map_err(said)?, payload))
    }
}

/// The entry of that name, or none.
pub(super) fn one(journal: &Journal, id: &str) -> Result<Vec<Entry>, String> {
    let id: EntryId = id.parse().map_err(said)?;
    let kept = journal.get_parts(id).map_err(said)?;
    Ok(kept.iter().map(|kept| Entry::new(id, &kept.content).with(kept.signalling.as_ref())).collect())
}

/// A page of entries, a line of them at a time, until the asker takes no more.
pub(super) fn page(journal: &Journal, page: &Page, emit: &mut dyn FnMut(Vec<Entry>) -> bool) -> Result<(), String> {
    let after = page.after.as_deref().map(str::parse).transpose().map_err(said)?;
    let Page { since_ms, until_ms, limit, .. } = *page;
    let query = Query { since_ms, until_ms, after, limit, ..Query::default() };
    let mut line = Vec::with_capacity(A_LINE);
    for entry in journal.find(query).map_err(said)? {
        let (id, payload) = entry.map_err(said)?;
        line.push(Entry::new(id, &payload));
        if line.len() == A_LINE && !emit(std::mem::take(&mut line)) {
            return Ok(());
        }
    }
    if !line.is_empty() {
        emit(line);
    }
    Ok(())
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
