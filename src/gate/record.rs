//! What the journal keeps: the send record and what later became of it (rulebook §5).
//!
//! Owns the schema and its encoding: one version octet, then postcard; new kinds are added at the
//! end, so that older entries stay readable. Refuses to know how entries are stored. Driven by the
//! desk (writing) and by queries (reading); the store sees the bytes and, through
//! [`RecordSchema`], the keys they are found by.

use std::borrow::Cow;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::store::EntryId;
use crate::store::journal::Day;

mod case;
mod change;
mod delivery;
mod grounds;
mod keys;
mod measure;
mod pending;
mod signalling;

pub use case::CaseStep;
pub use change::{Accessed, Change};
pub use delivery::{Delivery, Receipt};
pub use grounds::{Ground, Grounds, Handling};
pub use keys::{
    ACCESSES, ACKNOWLEDGED, ASKED, CHANGES, COMPLAINTS, MEASURES, REPLY_ROUTE, RecordSchema, SCHEDULED, SILENCE,
    accessed_key, change_key, port_key, short_subscriber_key, subscriber_key,
};
pub use measure::{Complaint, Measure};
pub use pending::{Asked, Scheduled, Silence, Withdrawn};
pub use signalling::{ACCEPTED, Bind, Kept, Signalling};

/// Written before every record; readers of a later schema keep reading this one.
const VERSION: u8 = 1;

/// Written before a record whose signalling is kept beside it, to expire before it does.
const SPLIT: u8 = 2;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub enum Record<'a> {
    /// A message was judged.
    Submission(Submission<'a>),
    /// What became of a forwarded message.
    Outcome(Outcome<'a>),
    /// A receipt or a subscriber's reply from the carrier.
    Delivery(Delivery<'a>),
    /// A bind began, was refused or ended.
    Session(Session<'a>),
    /// A long message was judged, or given up for want of a part.
    Long(Long<'a>),
    /// A part was answered before its message was whole: what the gate owes from then on.
    Part(Part<'a>),
    /// What became of a forwarded part.
    PartOutcome(PartOutcome<'a>),
    /// The provider was told of a part's end by a receipt.
    Report(Report<'a>),
    /// What a subscriber's reply was taken for.
    Taken(Taken<'a>),
    /// A measure was taken or ended (R25).
    Measure(Measure<'a>),
    /// Somebody complained of a message.
    Complaint(Complaint<'a>),
    /// A do-not-disturb list was read anew.
    List(List<'a>),
    /// A consent request went out.
    Asked(Asked<'a>),
    /// Nobody answered it in time.
    Silence(Silence<'a>),
    /// The carrier took a message that is to be delivered later.
    Scheduled(Scheduled<'a>),
    /// Such a message was withdrawn, or could not be.
    Withdrawn(Withdrawn<'a>),
    /// Something changed beside messages, or was refused to.
    Change(Change<'a>),
    /// Somebody read records or consents.
    Accessed(Accessed<'a>),
    /// A complaint went a step further.
    CaseStep(CaseStep<'a>),
}

/// A send record as later ones name it: year, month and day of its entry's name, and its number.
pub type Name = (i16, i8, i8, u64);

/// An address as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireAddress<'a> {
    /// `addr_ton`
    pub ton: u8,
    /// `addr_npi`
    pub npi: u8,
    /// The address octets as text; octets outside ASCII are escaped.
    #[serde(borrow)]
    pub addr: Cow<'a, str>,
}

/// The send record: who, when, to whom, what, and the verdict with its grounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission<'a> {
    /// UTC milliseconds.
    pub received_ms: i64,
    /// `source_addr`
    #[serde(borrow)]
    pub source: WireAddress<'a>,
    /// `destination_addr`
    pub destination: WireAddress<'a>,
    /// The canonical subscriber number, where the destination is one.
    pub msisdn: Option<u64>,
    /// Where it came from.
    pub origin: Origin<'a>,
    /// `command_id` of the request.
    pub command_id: u32,
    /// The provider's own `sequence_number`.
    pub sequence_number: u32,
    /// The registered port the source belongs to, and its class.
    pub port: Option<(Cow<'a, str>, Cow<'a, str>)>,
    /// The sender (legal entity) id.
    pub sender: Option<Cow<'a, str>>,
    /// The message's class as judged (R10).
    pub class: Cow<'a, str>,
    /// `service_type`
    pub service_type: Cow<'a, str>,
    /// `esm_class`, `data_coding`, `registered_delivery`.
    pub flags: (u8, u8, u8),
    /// Reference, total and number, of a part of a long message.
    pub part: Option<(u16, u8, u8)>,
    /// The text in full, or why it could not be read and its octets.
    pub content: Content<'a>,
    /// `forward`, `reject` or `hold`.
    pub verdict: Cow<'a, str>,
    /// The status answered, 0 where forwarded.
    pub status: u32,
    /// Every rule that failed, alerted or was only observed.
    pub findings: Vec<Finding<'a>>,
    /// The profile judged by.
    pub profile: Cow<'a, str>,
    /// The version of the register judged by.
    pub register: Cow<'a, str>,
}

/// A message in several parts, whole or given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Long<'a> {
    /// As of a message in one PDU: the fields are the first part's, the text is that of all.
    #[serde(borrow)]
    pub submission: Submission<'a>,
    /// Every part that came, repetitions included.
    pub parts: Vec<PartOf>,
}

/// One part among a message's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    /// UTC milliseconds.
    pub received_ms: i64,
    /// Its place, from 1.
    pub number: u8,
    /// The gate's number of the session it came over.
    pub session: u64,
    /// Its own `sequence_number`.
    pub sequence_number: u32,
    /// The record it was acknowledged under, where it was.
    pub acknowledged: Option<Name>,
}

/// A part the provider was told to be accepted, before its message was whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<'a> {
    /// UTC milliseconds.
    pub received_ms: i64,
    /// `source_addr`
    #[serde(borrow)]
    pub source: WireAddress<'a>,
    /// `destination_addr`
    pub destination: WireAddress<'a>,
    /// The canonical subscriber number, where the destination is one.
    pub msisdn: Option<u64>,
    /// Where it came from.
    pub origin: Origin<'a>,
    /// The PDU as it came.
    pub frame: Cow<'a, [u8]>,
}

/// The session a record belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin<'a> {
    /// The provider's `system_id`.
    #[serde(borrow)]
    pub provider: Cow<'a, str>,
    /// The gate's number of the session.
    pub session: u64,
    /// The provider's network address.
    pub peer: Cow<'a, str>,
}

/// A message's text as the rules saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content<'a> {
    /// Decoded text.
    #[serde(borrow)]
    Text(Cow<'a, str>),
    /// Not readable: the reason R16 gives, and the user data as it came.
    Opaque(Cow<'a, str>, Cow<'a, [u8]>),
}

/// One rule's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding<'a> {
    /// `R05`
    #[serde(borrow)]
    pub rule: Cow<'a, str>,
    /// `failed`, `alert` or `observed`.
    pub effect: Cow<'a, str>,
    /// The sentence an operator reads.
    pub why: Cow<'a, str>,
}

/// What became of a forwarded message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome<'a> {
    /// When its end was known, UTC milliseconds.
    pub at_ms: i64,
    /// The key of the send record's subscriber, so that both are found together.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The send record's source, for the same reason.
    pub port: Cow<'a, str>,
    /// The carrier's `message_id`.
    pub message_id: Option<Cow<'a, str>>,
    /// The send record this belongs to.
    pub of: Name,
    /// When the message was handed to the carrier, UTC milliseconds.
    pub forwarded_ms: i64,
    /// `answered`, `timed-out`, `carrier-lost` and so on.
    pub outcome: Cow<'a, str>,
    /// The status the carrier answered, or the gate in its place.
    pub status: u32,
}

/// What became of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOutcome<'a> {
    /// As of a message in one PDU.
    #[serde(borrow)]
    pub outcome: Outcome<'a>,
    /// Which part, from 1.
    pub number: u8,
    /// The record it was acknowledged under, where it was.
    pub acknowledged: Option<Name>,
}

/// A receipt of the gate's own for a part it had acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report<'a> {
    /// When the provider answered it, or when there was nothing to send; UTC milliseconds.
    pub at_ms: i64,
    /// The part's subscriber.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The part's source.
    pub port: Cow<'a, str>,
    /// The record the part was acknowledged under.
    pub of: Name,
    /// `REJECTD`, `UNDELIV` or `UNKNOWN`; with no receipt asked for, what it would have said.
    pub state: Cow<'a, str>,
    /// Whether a receipt was asked for.
    pub sent: bool,
}

/// What a subscriber's reply was taken for (R23, R24).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// The key of the reply's subscriber, so that both are found together.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The port it went to, for the same reason.
    pub port: Cow<'a, str>,
    /// The reply's own record.
    pub of: Name,
    /// The message it answers, where that mattered.
    pub answers: Option<Name>,
    /// `R23` or `R24`
    pub rule: Cow<'a, str>,
    /// `refused`, `consented`, `observed` or `recorded`.
    pub effect: Cow<'a, str>,
    /// The senders it speaks to.
    pub senders: Vec<Cow<'a, str>>,
}

/// A new state of a do-not-disturb list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Its file.
    pub file: Cow<'a, str>,
    /// Whole numbers on it.
    pub numbers: u64,
    /// Prefixes on it.
    pub prefixes: u64,
    /// Entries that are new.
    pub added: u64,
    /// Entries that are there no longer.
    pub removed: u64,
}

/// A bind began, was refused or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// The session.
    #[serde(borrow)]
    pub origin: Origin<'a>,
    /// `bound`, `refused: …`, or the ending's name.
    pub event: Cow<'a, str>,
}

/// An entry that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a later portcullis.
    #[error("journal record of schema version {0}: this portcullis reads up to version {SPLIT}")]
    Version(u8),
    /// No octets at all.
    #[error("empty journal record")]
    Empty,
    /// Not this schema.
    #[error("journal record does not decode: {0}")]
    Damaged(#[from] postcard::Error),
}

impl<'a> Record<'a> {
    /// Appends the bytes the journal keeps to `out`.
    pub fn encode(&self, mut out: Vec<u8>) -> Vec<u8> {
        out.push(VERSION);
        // Plain data into growing memory: postcard has no failing path here.
        postcard::to_extend(self, out).expect("a record always encodes")
    }

    /// Reads what [`Record::encode`] wrote.
    pub fn decode(payload: &'a [u8]) -> Result<Self, RecordError> {
        let (&version, body) = payload.split_first().ok_or(RecordError::Empty)?;
        if !is_known(version) {
            return Err(RecordError::Version(version));
        }
        Ok(postcard::from_bytes(body)?)
    }

    /// When this happened, UTC milliseconds.
    pub fn at_ms(&self) -> i64 {
        match self {
            Self::Submission(record) => record.received_ms,
            Self::Outcome(record) => record.at_ms,
            Self::Delivery(record) => record.received_ms,
            Self::Session(record) => record.at_ms,
            Self::Long(record) => record.submission.received_ms,
            Self::Part(record) => record.received_ms,
            Self::PartOutcome(record) => record.outcome.at_ms,
            Self::Report(record) => record.at_ms,
            Self::Taken(record) => record.at_ms,
            Self::Measure(record) => record.at_ms,
            Self::Complaint(record) => record.at_ms,
            Self::List(record) => record.at_ms,
            Self::Asked(record) => record.at_ms,
            Self::Silence(record) => record.at_ms,
            Self::Scheduled(record) => record.at_ms,
            Self::Withdrawn(record) => record.at_ms,
            Self::Change(record) => record.at_ms,
            Self::Accessed(record) => record.at_ms,
            Self::CaseStep(record) => record.at_ms,
        }
    }
}

/// Whether this is a schema version that is read here.
const fn is_known(version: u8) -> bool {
    matches!(version, VERSION | SPLIT)
}

/// An entry's name as records hold it.
pub fn name(id: EntryId) -> Name {
    (id.day.0.year(), id.day.0.month(), id.day.0.day(), id.number)
}

/// The entry of that name; `None` where the date is none.
pub fn entry_id((year, month, day, number): Name) -> Option<EntryId> {
    Some(EntryId { day: Day(Date::new(year, month, day).ok()?), number })
}

#[cfg(test)]
mod tests;
