//! Requests and answers of the socket, and the answering of those that need only the store.

use data_encoding::BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::gate::evidence::{self, Found};
use crate::gate::{SessionStatus, Totals};
use crate::store::consents::{Event, Held};
use crate::store::{Applied, Consents, EntryId, Journal, Query};

/// Entries in one line of an answer: a few tens of kilobytes, as a rule.
const ENTRIES_A_LINE: usize = 128;

/// One line to the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// How the gate is.
    Status,
    /// What subscribers said, to be kept.
    Apply(Vec<Held>),
    /// Where a subscriber stands with every sender.
    Show(u64),
    /// Every consent and refusal.
    Export,
    /// The listening sockets, for a successor; the gate drains then. Answered with descriptors.
    TakeOver,
    /// A search of the journal.
    Find(evidence::Query),
    /// One entry of the journal, by its name.
    Entry(String),
    /// Entries of the journal as they are kept, a page of them.
    Entries(Page),
}

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
}

/// One line from the gate; `End` or `Error` is the last of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// How the gate is.
    Status(Box<Status>),
    /// What became of the applied rows.
    Applied {
        /// Now held.
        changed: u64,
        /// Held already.
        unchanged: u64,
        /// Older than what is held.
        stale: u64,
    },
    /// One consent or refusal.
    Held(Held),
    /// One thing found in the journal.
    Found(Found),
    /// Entries of the journal, in their order.
    Entries(Vec<Entry>),
    /// Nothing more.
    End,
    /// Nothing more, because of this.
    Error(String),
}

/// How a gate is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Since when it runs.
    pub started: Timestamp,
    /// Its clock.
    pub now: Timestamp,
    /// Who is connected.
    pub sessions: Vec<SessionStatus>,
    /// What happened since the start.
    pub totals: Totals,
    /// Messages judged a second, over the last ten.
    pub messages_per_second: u64,
    /// The profile it judges by.
    pub profile: String,
    /// The register's version.
    pub register: String,
    /// Whether the journal can write.
    pub journal: String,
    /// Parts of long messages kept now, and their octets.
    pub parts: (usize, usize),
    /// Journal entries made durable since the start.
    pub durable: u64,
}

/// The store, for answering.
pub struct Books<'s> {
    /// Consents and refusals.
    pub consents: &'s Consents,
    /// The send records.
    pub journal: &'s Journal,
}

impl Books<'_> {
    /// Answers line by line until the asker takes no more.
    pub fn answer(&self, request: &Request, emit: &mut dyn FnMut(Line) -> bool) {
        let outcome = match request {
            Request::Status | Request::TakeOver => Err("no gate is running".to_owned()),
            Request::Apply(rows) => self.apply(rows).map(|applied| vec![applied]),
            Request::Show(msisdn) => {
                self.consents.show(*msisdn).map(|held| held.into_iter().map(Line::Held).collect()).map_err(said)
            }
            Request::Find(query) => evidence::find(self.journal, query, &mut |found| emit(Line::Found(found)))
                .map(|()| Vec::new())
                .map_err(said),
            Request::Entry(id) => self.entry(id).map(|entry| vec![Line::Entries(entry.into_iter().collect())]),
            Request::Entries(page) => self.entries(page, emit).map(|()| Vec::new()),
            Request::Export => return self.export(emit),
        };
        match outcome {
            Err(error) => {
                emit(Line::Error(error));
            }
            Ok(lines) => {
                lines.into_iter().chain([Line::End]).all(emit);
            }
        }
    }

    fn apply(&self, rows: &[Held]) -> Result<Line, String> {
        let events: Vec<_> = rows.iter().map(event).collect();
        let Applied { changed, unchanged, stale } = self.consents.apply(&events).map_err(said)?;
        Ok(Line::Applied { changed, unchanged, stale })
    }

    fn entry(&self, id: &str) -> Result<Option<Entry>, String> {
        let id: EntryId = id.parse().map_err(said)?;
        let payload = self.journal.get(id).map_err(said)?;
        Ok(payload.map(|payload| Entry::new(id, &payload)))
    }

    fn entries(&self, page: &Page, emit: &mut dyn FnMut(Line) -> bool) -> Result<(), String> {
        let after = page.after.as_deref().map(str::parse).transpose().map_err(said)?;
        let Page { since_ms, until_ms, limit, .. } = *page;
        let query = Query { since_ms, until_ms, after, limit, ..Query::default() };
        let mut line = Vec::with_capacity(ENTRIES_A_LINE);
        for entry in self.journal.find(query).map_err(said)? {
            let (id, payload) = entry.map_err(said)?;
            line.push(Entry::new(id, &payload));
            if line.len() == ENTRIES_A_LINE && !emit(Line::Entries(std::mem::take(&mut line))) {
                return Ok(());
            }
        }
        if !line.is_empty() {
            emit(Line::Entries(line));
        }
        Ok(())
    }

    fn export(&self, emit: &mut dyn FnMut(Line) -> bool) {
        for held in self.consents.export() {
            match held {
                Ok(held) => {
                    if !emit(Line::Held(held)) {
                        return;
                    }
                }
                Err(error) => {
                    emit(Line::Error(error.to_string()));
                    return;
                }
            }
        }
        emit(Line::End);
    }
}

impl Entry {
    fn new(id: EntryId, payload: &[u8]) -> Self {
        Self { id: id.to_string(), payload: BASE64.encode(payload) }
    }

    /// Its name and octets.
    pub fn read(&self) -> Result<(EntryId, Vec<u8>), String> {
        let payload = BASE64.decode(self.payload.as_bytes()).map_err(said)?;
        Ok((self.id.parse().map_err(said)?, payload))
    }
}

/// A row as the store takes it.
pub fn event(row: &Held) -> Event<'_> {
    Event {
        msisdn: row.msisdn,
        sender: &row.sender,
        category: &row.category,
        status: row.status,
        at_ms: row.at_ms,
        method: &row.method,
        evidence: &row.evidence,
        expires_at_ms: row.expires_at_ms,
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
