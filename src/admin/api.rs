//! Requests and answers of the socket, and the answering of those that need only the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::asker::Asker;
use super::backup;
use super::entries::{self, Entry, Page};
use super::record;
use super::searching;
use super::signing::{self, Signed};
use crate::gate::changes;
use crate::gate::complaint::{self, FoundComplaint, Plea, Stride};
use crate::gate::evidence::{self, Found};
use crate::gate::measures::{self, FoundStep, MeasureStatus, Measures, Order, StepTotals};
use crate::gate::readings::{FoundReading, Reading, ReadingQuery};
use crate::gate::record::Change;
use crate::gate::retention::{Hold, HoldOrder, Plan, Purged, Retention, RetentionStatus};
use crate::gate::{LostRoutes, Probe, SessionStatus, Totals};
use crate::register::Register;
use crate::store::consents::Held;
use crate::store::keys::Master;
use crate::store::{Applied, Consents, Journal, Keys, journal};

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
    /// Every consent and refusal that stands.
    Export,
    /// The listening sockets, for a successor; the gate drains then. Answered with descriptors.
    TakeOver,
    /// A search of the journal.
    Find(evidence::Query),
    /// One entry of the journal, by its name.
    Entry(String),
    /// Entries of the journal as they are kept, a page of them.
    Entries(Page),
    /// Whether the journal is as it was written.
    Verify(journal::Check),
    /// What was signed of its days.
    Heads,
    /// Every event of a subscriber, in the order in which they happened.
    History(u64),
    /// Every event of every subscriber.
    ExportHistory,
    /// The measures in force.
    Measures,
    /// The steps taken since this moment, UTC milliseconds.
    MeasureHistory(Option<i64>),
    /// Suspends or resumes somebody.
    Measure(Order),
    /// A complaint.
    Complain(Plea),
    /// The complaints since this moment, UTC milliseconds.
    Complaints(Option<i64>),
    /// A reply that nobody sent, to see whether it would be honoured.
    Probe {
        /// The number it is sent to.
        port: String,
        /// What it says.
        keyword: String,
    },
    /// Events of an import, to be kept with the next commit of the same conversation.
    Stage(Vec<Held>),
    /// The end of what was staged: durable when it is answered.
    Commit,
    /// The keys there are.
    Keys,
    /// Wraps all keys anew, under the master key in this file.
    RotateKeys(PathBuf),
    /// A copy of everything that is kept.
    Backup(backup::Order),
    /// What this conversation is about to read: on record, and on disk, when it is answered.
    Reading(Reading),
    /// The end of that, with so many results.
    Read(u64),
    /// Who read what.
    Readings(ReadingQuery),
    /// What goes when, seen from that day; from today where none is given.
    RetentionPlan(Option<Date>),
    /// Lets go of what has expired; with `true`, whatever the clock did and however many days it is.
    Purge(bool),
    /// Every legal hold.
    Holds,
    /// Sets a legal hold.
    Hold(HoldOrder),
    /// Lifts the hold of that name, with the reason.
    LiftHold(String, String),
    /// The beginning or the end of an import, for the record.
    Imported(Imported),
    /// A search of the journal, with the entries as they are kept.
    Extract(evidence::Query),
    /// A signature of a list of files and hashes.
    Sign(String),
    /// A step in the course of a complaint.
    ComplaintStep(Stride),
}

impl Request {
    /// Whether answering may take long, and is not urgent.
    pub(super) fn is_long(&self) -> bool {
        match self {
            Self::Entries(_) | Self::Extract(_) | Self::Verify(_) | Self::Purge(_) => true,
            Self::Find(query) => query.to.is_none() && query.message_id.is_none(),
            _ => false,
        }
    }
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
    /// Something in the journal that is not as it was written.
    Fault(journal::Fault),
    /// What of the journal was verified.
    Verified(journal::Verified),
    /// What was signed of a day.
    Head(Box<journal::KnownHead>),
    /// One measure in force.
    Measure(MeasureStatus),
    /// One step of a measure, in the past.
    Step(FoundStep),
    /// One complaint.
    Complaint(FoundComplaint),
    /// What became of a synthetic reply.
    Probe(Box<Probe>),
    /// The keys.
    Keys(KeyRing),
    /// One file of a backup.
    Copied(backup::Copied),
    /// What the backup has come to.
    Backup(backup::Made),
    /// Somebody read something.
    Reading(FoundReading),
    /// What goes when.
    RetentionPlan(Box<Plan>),
    /// What became of a purge.
    Purged(Box<Purged>),
    /// A legal hold.
    Hold(Box<Hold>),
    /// What follows is read without being on record, because of this.
    Unrecorded(String),
    /// How far a long search is: entries read, and the moment of the last.
    Walked {
        /// How many.
        entries: u64,
        /// UTC milliseconds.
        at_ms: i64,
    },
    /// There may be more behind this entry.
    More(String),
    /// A signature.
    Signed(Signed),
    /// Something that was asked for and cannot be looked at.
    Wanting(String),
    /// Nothing more.
    End,
    /// Nothing more, because of this.
    Error(String),
}

/// An import of consents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// `import`, `restore-import` or `recycle-import`.
    pub what: String,
    /// The file.
    pub file: String,
    /// Its SHA-256, once all of it was read.
    pub sha256: Option<String>,
    /// What became of its rows: read, changed, unchanged, superseded, faulty.
    pub rows: [u64; 5],
    /// The line it went on from, where it was interrupted before.
    pub from_line: u64,
}

/// What may be told of the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRing {
    /// Where they lie.
    pub dir: PathBuf,
    /// What the master key that wraps them is known by.
    pub master: String,
    /// What each opens.
    pub names: Vec<String>,
    /// How many were wrapped anew.
    pub wrapped: usize,
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
    /// Whether the consents can be read and written.
    #[serde(default)]
    pub consents: String,
    /// The measures in force.
    #[serde(default)]
    pub measures: Vec<MeasureStatus>,
    /// The steps of measures since the start.
    #[serde(default)]
    pub steps: StepTotals,
    /// What was purged last, and what is held.
    #[serde(default)]
    pub retention: RetentionStatus,
    /// Ports that no reply comes in to, by provider; told where the profile has `reply_route_dead_after`.
    #[serde(default)]
    pub lost_routes: Vec<LostRoutes>,
}

/// The store, for answering.
pub struct Books<'s> {
    /// Consents and refusals.
    pub consents: &'s Consents,
    /// The send records.
    pub journal: &'s Journal,
    /// The measures in force.
    pub measures: &'s Measures,
    /// What is kept is sealed with these.
    pub keys: &'s Keys,
    /// What expires, and what is held.
    pub retention: &'s Retention,
    /// Who owns which port, where a gate has it at hand.
    pub register: Option<Arc<Register>>,
    /// Who asks.
    pub asker: &'s Asker,
    /// The time of the asking.
    pub now: Timestamp,
}

impl Books<'_> {
    /// Answers line by line until the asker takes no more; what is read is on record before.
    pub fn answer(&self, request: &Request, emit: &mut dyn FnMut(Line) -> bool) {
        let begun = match self.asker.admit(self.journal, request, self.now.as_millisecond()) {
            Err(refused) => {
                emit(Line::Error(refused));
                return;
            }
            Ok((_, Some(why))) if !emit(Line::Unrecorded(why.clone())) => return,
            Ok((begun, _)) => begun,
        };
        let mut results = 0_u64;
        self.answer_admitted(request, &mut |line| {
            results += results_in(&line);
            emit(line)
        });
        if let Some(begun) = begun {
            self.asker.end(self.journal, &begun, results, self.now.as_millisecond());
        }
    }

    fn answer_admitted(&self, request: &Request, emit: &mut dyn FnMut(Line) -> bool) {
        let now_ms = self.now.as_millisecond();
        let outcome = match request {
            Request::Status
            | Request::TakeOver
            | Request::Probe { .. }
            | Request::Stage(_)
            | Request::Commit
            | Request::Backup(_) => Err("no gate is running".to_owned()),
            Request::Apply(rows) => self.apply(rows).map(|applied| vec![applied]),
            Request::Show(msisdn) => {
                self.consents.show(*msisdn).map(|held| held.into_iter().map(Line::Held).collect()).map_err(said)
            }
            Request::History(msisdn) => {
                self.consents.history(*msisdn).map(|held| held.into_iter().map(Line::Held).collect()).map_err(said)
            }
            Request::Find(query) => searching::search(self.journal, query, false, emit),
            Request::Extract(query) => searching::search(self.journal, query, true, emit),
            Request::Sign(list) => signing::sign(self.keys, list).map(|signed| vec![Line::Signed(signed)]),
            Request::Entry(id) => entries::one(self.journal, id).map(|entry| vec![Line::Entries(entry)]),
            Request::Entries(page) => {
                entries::page(self.journal, page, &mut |entries| emit(Line::Entries(entries))).map(|()| Vec::new())
            }
            Request::Verify(_) | Request::Heads => self.unaltered(request, emit),
            Request::Export => return self.export(false, emit),
            Request::ExportHistory => return self.export(true, emit),
            Request::Keys => self.key_ring(0).map(|keys| vec![keys]),
            Request::RotateKeys(file) => self.rotate_keys(file).map(|keys| vec![keys]),
            Request::Measures => Ok(self.measures.list(now_ms).into_iter().map(Line::Measure).collect()),
            Request::MeasureHistory(since) => {
                measures::history(self.journal, *since, &mut |step| emit(Line::Step(step)))
                    .map(|()| Vec::new())
                    .map_err(said)
            }
            Request::Measure(order) => self.obey(order, now_ms).map(|()| Vec::new()),
            Request::Complain(plea) => {
                one(complaint::open(self.journal, self.measures, plea, self.asker.who(), self.now))
            }
            Request::Reading(_) | Request::Read(_) => Ok(Vec::new()),
            Request::RetentionPlan(_) | Request::Purge(_) => self.keeping(request),
            Request::Holds | Request::Hold(_) | Request::LiftHold(..) => self.keeping(request),
            Request::Imported(import) => {
                changes::note(self.journal, record::imported(import, self.asker.who(), now_ms));
                Ok(Vec::new())
            }
            Request::Readings(query) => self.readings(query, emit),
            Request::ComplaintStep(stride) => one(complaint::step(self.journal, stride, self.asker.who(), self.now)),
            Request::Complaints(since) => {
                complaint::list(self.journal, *since, &mut |complaint| emit(Line::Complaint(complaint)))
                    .map(|()| Vec::new())
                    .map_err(said)
            }
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

    fn key_ring(&self, wrapped: usize) -> Result<Line, String> {
        let names = self.keys.names().map_err(said)?;
        Ok(Line::Keys(KeyRing { dir: self.keys.dir().to_owned(), master: self.keys.master_id(), names, wrapped }))
    }

    fn rotate_keys(&self, file: &Path) -> Result<Line, String> {
        let before = self.keys.master_id();
        let wrapped = Master::load(file).and_then(|master| self.keys.rotate(master)).map_err(said)?;
        let change = Change::new(self.now.as_millisecond(), "key", self.asker.who(), "master")
            .with("id", self.keys.master_id())
            .with("id-before", before)
            .with("wrapped", wrapped.to_string());
        changes::note(self.journal, change);
        self.key_ring(wrapped)
    }

    fn apply(&self, rows: &[Held]) -> Result<Line, String> {
        let events: Vec<_> = rows.iter().map(Held::as_event).collect();
        let Applied { changed, unchanged, stale } = self.consents.apply(&events).map_err(said)?;
        for row in rows {
            changes::note(self.journal, record::consented(row, self.asker.who(), self.now.as_millisecond()));
        }
        Ok(Line::Applied { changed, unchanged, stale })
    }

    fn obey(&self, order: &Order, now_ms: i64) -> Result<(), String> {
        self.measures.obey(self.journal, order, now_ms).map_err(said)?;
        changes::note(self.journal, record::ordered(order, self.asker.who(), now_ms));
        Ok(())
    }

    fn export(&self, history: bool, emit: &mut dyn FnMut(Line) -> bool) {
        for held in self.consents.export(history) {
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

/// How many results a line holds.
fn results_in(line: &Line) -> u64 {
    match line {
        Line::Held(_) | Line::Found(_) | Line::Complaint(_) | Line::Reading(_) => 1,
        Line::Entries(entries) => entries.len() as u64,
        _ => 0,
    }
}

fn one(complaint: Result<FoundComplaint, complaint::ComplaintError>) -> Result<Vec<Line>, String> {
    complaint.map(|complaint| vec![Line::Complaint(complaint)]).map_err(said)
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
