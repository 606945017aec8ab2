//! What a search gives, in the form that is printed and sent over the socket.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use portcullis_protocol::{CommandId, CommandStatus};
use serde::{Deserialize, Serialize};

use super::{FoundChange, FoundList, text, time};
use crate::gate::message_id::loose;
use crate::gate::receipt::{self, Ending};
use crate::gate::record::{self, Kept};
use crate::store::EntryId;

mod delivery;
mod facts;

pub use delivery::{FoundDelivery, FoundReceipt, FoundReply, FoundTaken};
pub use facts::{FoundBasis, FoundFacts};

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Found {
    /// A message with its verdict and what became of it.
    Message(Box<FoundMessage>),
    /// A reply, or a receipt of a message that is not among the found.
    Delivery(FoundDelivery),
    /// A bind began, was refused or ended.
    Session(FoundSession),
    /// A do-not-disturb list was read anew.
    List(FoundList),
    /// Something changed beside messages, or was refused to.
    Change(FoundChange),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundMessage {
    /// The record's name.
    pub id: String,
    /// When the gate received it.
    pub received: Timestamp,
    /// The provider's `system_id`.
    pub provider: String,
    /// The gate's number of the session, and the provider's address.
    pub session: u64,
    /// The provider's network address.
    pub peer: String,
    /// The operation's name.
    pub operation: String,
    /// The provider's `sequence_number`.
    pub sequence_number: u32,
    /// `source_addr`
    pub source: String,
    /// `destination_addr` as it came.
    pub destination: String,
    /// The canonical number.
    pub msisdn: Option<u64>,
    /// The registered port.
    pub port: Option<String>,
    /// The sender's id.
    pub sender: Option<String>,
    /// The message's class.
    pub class: String,
    /// `data_coding`
    pub data_coding: u8,
    /// `esm_class`
    pub esm_class: u8,
    /// The text in full.
    pub text: Option<String>,
    /// Why there is no text, and the octets in hex.
    pub opaque: Option<String>,
    /// `forward`, `reject` or `hold`.
    pub verdict: String,
    /// The rules that spoke, in order, each with what it did and why.
    pub findings: Vec<FoundFinding>,
    /// The status of the verdict.
    pub status: String,
    /// Profile and register version judged by.
    pub profile: String,
    /// The register's version.
    pub register: String,
    /// What became of it, where it was forwarded and its end is known.
    pub outcome: Option<FoundOutcome>,
    /// The receipts that came for it.
    pub receipts: Vec<FoundReceipt>,
    /// How it ended by those, in the specification's word; of several, that it arrived counts most.
    pub final_state: Option<String>,
    /// When the gate heard so.
    pub final_at: Option<Timestamp>,
    /// That the gate withdrew it at the carrier before its scheduled delivery, or tried to (R21).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<FoundWithdrawal>,
    /// The parts it came in, where it is a long message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<FoundPart>,
    /// What its subscriber replied to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<FoundReply>,
    /// What its verdict rested on, and how it was to be handled.
    #[serde(flatten)]
    pub facts: FoundFacts,
}

/// A part of a long message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPart {
    /// Its place, from 1.
    pub number: u8,
    /// When it came.
    pub received: Timestamp,
    /// The gate's number of the session it came over.
    pub session: u64,
    /// Its own `sequence_number`.
    pub sequence_number: u32,
    /// The gate's own `message_id`, where the part was acknowledged before the message was whole.
    pub message_id: Option<String>,
    /// What became of it, where it was forwarded.
    pub outcome: Option<FoundOutcome>,
    /// What the gate's own receipt told of it, where the carrier had nothing to tell.
    pub reported: Option<String>,
}

/// What became of a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundWithdrawal {
    /// When.
    pub at: Timestamp,
    /// `cancelled`, `failed` or `too-late`.
    pub outcome: String,
    /// What the carrier answered.
    pub status: String,
}

/// One rule's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundFinding {
    /// `R05`
    pub rule: String,
    /// `failed`, `alert`, `observed` or `held`.
    pub effect: String,
    /// The sentence.
    pub why: String,
}

/// What became of a forwarded message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundOutcome {
    /// When it went to the carrier.
    pub forwarded: Timestamp,
    /// When its end was known.
    pub at: Timestamp,
    /// `answered`, `timed-out`, `carrier-lost`, …
    pub outcome: String,
    /// The status answered.
    pub status: String,
    /// The carrier's name for it.
    pub message_id: Option<String>,
}

/// A bind began, was refused or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundSession {
    /// The record's name.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The `system_id`.
    pub provider: String,
    /// The gate's number of the session.
    pub session: u64,
    /// The provider's network address.
    pub peer: String,
    /// What happened.
    pub event: String,
    /// How it bound: operation, `interface_version` and `system_type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<FoundBind>,
    /// The signalling has expired: session and peer are no longer known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signalling_expired: bool,
}

/// How somebody bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundBind {
    /// `bind_transceiver` and so on.
    pub operation: String,
    /// `interface_version`
    pub interface_version: u8,
    /// `system_type`
    pub system_type: String,
}

impl Found {
    /// Whose numbers stand in it.
    pub fn subscribers(&self) -> Vec<String> {
        match self {
            Self::Message(message) => {
                let known = message.msisdn.map(|msisdn| msisdn.to_string());
                known.into_iter().chain([message.destination.clone()]).collect()
            }
            Self::Delivery(delivery) => vec![delivery.source.clone()],
            Self::Change(change) => change.subscriber.iter().cloned().collect(),
            Self::Session(_) | Self::List(_) => Vec::new(),
        }
    }

    /// Leaves out octets that may hold a number in a form nobody can look for.
    pub fn hide_octets(&mut self) {
        let opaque = match self {
            Self::Message(message) => &mut message.opaque,
            Self::Delivery(delivery) => &mut delivery.opaque,
            Self::Session(_) | Self::List(_) | Self::Change(_) => return,
        };
        if let Some(shown) = opaque {
            hide_octets(shown);
        }
    }

    /// The record's name.
    pub fn id(&self) -> &str {
        match self {
            Self::Message(message) => &message.id,
            Self::Delivery(delivery) => &delivery.id,
            Self::Session(session) => &session.id,
            Self::List(list) => &list.id,
            Self::Change(change) => &change.id,
        }
    }
}

/// The reason alone, and how many octets there are: `opaque` as it is shown without `--whole`.
pub fn hide_octets(opaque: &mut String) {
    if let Some((reason, hex)) = opaque.rsplit_once(": ") {
        *opaque = format!("{reason}: {} octets", hex.len() / 2);
    }
}

fn status(code: u32) -> String {
    let (number, name) = (format!("{code:#010x}"), CommandStatus(code).to_string());
    if name.starts_with("ESME_") { format!("{number} {name}") } else { number }
}

impl FoundMessage {
    pub(super) fn new(id: EntryId, record: &record::Submission<'_>) -> Self {
        let (text, opaque) = text(&record.content);
        let findings = record
            .findings
            .iter()
            .map(|finding| FoundFinding {
                rule: finding.rule.to_string(),
                effect: finding.effect.to_string(),
                why: finding.why.to_string(),
            })
            .collect();
        Self {
            id: id.to_string(),
            received: time(record.received_ms),
            provider: record.origin.provider.to_string(),
            session: record.origin.session,
            peer: record.origin.peer.to_string(),
            operation: CommandId(record.command_id).to_string(),
            sequence_number: record.sequence_number,
            source: record.source.addr.to_string(),
            destination: record.destination.addr.to_string(),
            msisdn: record.msisdn,
            port: record.port.as_ref().map(|(number, _)| number.to_string()),
            sender: record.sender.as_ref().map(ToString::to_string),
            class: record.class.to_string(),
            data_coding: record.flags.1,
            esm_class: record.flags.0,
            text,
            opaque,
            verdict: record.verdict.to_string(),
            findings,
            status: status(record.status),
            profile: record.profile.to_string(),
            register: record.register.to_string(),
            outcome: None,
            receipts: Vec::new(),
            final_state: None,
            final_at: None,
            withdrawn: None,
            parts: Vec::new(),
            replies: Vec::new(),
            facts: FoundFacts::of(record),
        }
    }

    /// With what stands behind its record and beside it.
    pub(super) fn with(self, kept: &Kept<'_>) -> Self {
        let facts = self.facts.with(kept);
        Self { facts, ..self }
    }

    /// What became of it.
    pub(super) fn end(&mut self, outcome: FoundOutcome) {
        self.facts.answered = (!outcome.is_provisional()).then_some(outcome.at);
        self.outcome = Some(outcome);
    }

    pub(super) fn of_parts(id: EntryId, record: &record::Long<'_>) -> Self {
        let part = |part: &record::PartOf| FoundPart {
            number: part.number,
            received: time(part.received_ms),
            session: part.session,
            sequence_number: part.sequence_number,
            message_id: part.acknowledged.and_then(record::entry_id).map(|id| id.to_string()),
            outcome: None,
            reported: None,
        };
        Self { parts: record.parts.iter().map(part).collect(), ..Self::new(id, &record.submission) }
    }

    /// Whether no outcome is to come any more.
    pub(super) fn is_told(&self) -> bool {
        let told = match self.parts.as_slice() {
            [] => self.outcome.is_some(),
            parts => parts.iter().all(|part| part.outcome.is_some() || part.reported.is_some()),
        };
        told || self.verdict != "forward"
    }

    /// What became of one of its parts; the last one's outcome stands for the message.
    pub(super) fn tell(&mut self, told: &record::PartOutcome<'_>) {
        let outcome = FoundOutcome::new(&told.outcome);
        let acknowledged = told.acknowledged.and_then(record::entry_id).map(|id| id.to_string());
        let of = |part: &&mut FoundPart| {
            let is_open = part.outcome.as_ref().is_none_or(FoundOutcome::is_provisional);
            part.number == told.number && part.message_id == acknowledged && is_open
        };
        if let Some(part) = self.parts.iter_mut().find(of) {
            part.outcome = Some(outcome.clone());
        }
        self.end(outcome);
    }

    pub(super) fn reported(&mut self, of: record::Name, report: &record::Report<'_>) {
        let Some(id) = record::entry_id(of).map(|id| id.to_string()) else { return };
        for part in self.parts.iter_mut().filter(|part| part.message_id.as_ref() == Some(&id)) {
            part.reported = Some(report.state.to_string());
        }
    }

    /// Takes a receipt in, and what it says of the end.
    pub(super) fn receive(&mut self, receipt: FoundReceipt) {
        self.receipts.push(receipt);
        let mut best: HashMap<Cow<'_, str>, (Ending, &FoundReceipt)> = HashMap::new();
        for receipt in &self.receipts {
            let ending = receipt.state.as_deref().map_or(Ending::None, |given| receipt::state(given).1);
            // Each part has an id of its own; a message in one PDU has one, however it is spelt.
            let of = if self.parts.is_empty() { "" } else { receipt.message_id.as_deref().unwrap_or_default() };
            let known = best.get(&loose(of)).map(|(ending, _)| *ending);
            // The first of equals: repetitions come later.
            if ending > Ending::Unclear && known.is_none_or(|known| ending > known) {
                best.insert(loose(of), (ending, receipt));
            }
        }
        // A message arrives when all of its parts do.
        let last = best.into_values().min_by_key(|(ending, receipt)| (*ending, Reverse(receipt.received)));
        let last = last.map(|(_, receipt)| (receipt.state.as_deref().unwrap_or_default(), receipt.received));
        let (state, at) = last.map(|(given, at)| (receipt::state(given).0.into_owned(), at)).unzip();
        (self.final_state, self.final_at) = (state, at);
    }
}

impl FoundOutcome {
    /// Whether a process that ended could not see to it: the next one's outcome takes its place.
    fn is_provisional(&self) -> bool {
        matches!(self.outcome.as_str(), "sending" | "not-forwarded")
    }

    pub(super) fn new(record: &record::Outcome<'_>) -> Self {
        Self {
            forwarded: time(record.forwarded_ms),
            at: time(record.at_ms),
            outcome: record.outcome.to_string(),
            status: status(record.status),
            message_id: record.message_id.as_ref().map(ToString::to_string),
        }
    }
}

impl FoundWithdrawal {
    pub(super) fn new(record: &record::Withdrawn<'_>) -> Self {
        let status = CommandStatus(record.status).to_string();
        Self { at: time(record.at_ms), outcome: record.outcome.to_string(), status }
    }
}

impl FoundSession {
    /// From its record.
    pub fn new(id: EntryId, record: &record::Session<'_>) -> Self {
        Self {
            id: id.to_string(),
            at: time(record.at_ms),
            provider: record.origin.provider.to_string(),
            session: record.origin.session,
            peer: record.origin.peer.to_string(),
            event: record.event.to_string(),
            bind: None,
            signalling_expired: false,
        }
    }

    /// With what stands beside its record.
    #[must_use]
    pub fn with(self, kept: &Kept<'_>) -> Self {
        let bind = kept.signalling.bind.as_ref().map(|bind| FoundBind {
            operation: CommandId(bind.command_id).to_string(),
            interface_version: bind.interface_version,
            system_type: bind.system_type.to_string(),
        });
        Self { bind, signalling_expired: kept.is_expired, ..self }
    }
}
