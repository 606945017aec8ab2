//! Receipts and replies as a search gives them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::gate::evidence::{text, time};
use crate::gate::{receipt, record};
use crate::store::EntryId;

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundReceipt {
    /// When it came.
    pub received: Timestamp,
    /// The message it speaks of, as it writes it.
    pub message_id: Option<String>,
    /// The state it reports.
    pub state: Option<String>,
    /// The error it reports.
    pub error: Option<String>,
    /// When the message ended by the carrier's own clock, whose zone is not told.
    pub done: Option<DateTime>,
}

/// A reply or a receipt by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundDelivery {
    /// The record's name.
    pub id: String,
    /// When it came.
    pub received: Timestamp,
    /// The provider it went to.
    pub provider: String,
    /// The subscriber.
    pub source: String,
    /// The port.
    pub destination: String,
    /// The text.
    pub text: Option<String>,
    /// Why there is no text, and the octets in hex.
    pub opaque: Option<String>,
    /// The message a receipt is about.
    pub receipt_of: Option<String>,
    /// The state a receipt reports.
    pub state: Option<String>,
    /// What a reply was taken for, where it was taken for anything.
    pub taken: Option<FoundTaken>,
}

/// A reply, as it stands with the message it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundReply {
    /// The reply's own record.
    pub id: String,
    /// When it came.
    pub received: Timestamp,
    /// The text.
    pub text: Option<String>,
    /// What it was taken for, where it was taken for anything.
    pub taken: Option<FoundTaken>,
}

/// What a reply was taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTaken {
    /// `R23` or `R24`
    pub rule: String,
    /// `refused`, `consented`, `observed` or `recorded`.
    pub effect: String,
    /// The senders it speaks to.
    pub senders: Vec<String>,
    /// The record of the message it answers.
    pub answers: Option<String>,
}

impl FoundReceipt {
    pub(in crate::gate::evidence) fn new(record: &record::Delivery<'_>) -> Self {
        let receipt = record.receipt.as_ref();
        let done = match &record.content {
            record::Content::Text(text) => receipt::done_date(text),
            record::Content::Opaque(..) => None,
        };
        Self {
            received: time(record.received_ms),
            message_id: receipt.and_then(|receipt| receipt.message_id.as_ref()).map(ToString::to_string),
            done,
            state: receipt.and_then(|receipt| receipt.state.as_ref()).map(ToString::to_string),
            error: receipt.and_then(|receipt| receipt.error.as_ref()).map(ToString::to_string),
        }
    }
}

impl FoundDelivery {
    /// From its record.
    pub fn new(id: EntryId, record: &record::Delivery<'_>) -> Self {
        let (text, opaque) = text(&record.content);
        let receipt = record.receipt.as_ref();
        Self {
            id: id.to_string(),
            received: time(record.received_ms),
            provider: record.origin.provider.to_string(),
            source: record.source.addr.to_string(),
            destination: record.destination.addr.to_string(),
            text,
            opaque,
            receipt_of: receipt.and_then(|receipt| receipt.message_id.as_ref()).map(ToString::to_string),
            state: receipt.and_then(|receipt| receipt.state.as_ref()).map(ToString::to_string),
            taken: None,
        }
    }
}

impl FoundReply {
    pub(in crate::gate::evidence) fn new(id: EntryId, record: &record::Delivery<'_>) -> Self {
        let (text, _) = text(&record.content);
        Self { id: id.to_string(), received: time(record.received_ms), text, taken: None }
    }

    pub(in crate::gate::evidence) fn of(delivery: &FoundDelivery) -> Self {
        let FoundDelivery { id, received, text, taken, .. } = delivery.clone();
        Self { id, received, text, taken }
    }
}

impl FoundTaken {
    pub(in crate::gate::evidence) fn new(record: &record::Taken<'_>) -> Self {
        Self {
            rule: record.rule.to_string(),
            effect: record.effect.to_string(),
            senders: record.senders.iter().map(ToString::to_string).collect(),
            answers: record.answers.and_then(record::entry_id).map(|id| id.to_string()),
        }
    }
}
