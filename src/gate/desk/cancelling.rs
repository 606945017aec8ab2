//! A provider's `cancel_sm` that the carrier is to carry out: on record with its end.
//!
//! Owns what is remembered of it between the two. Refuses to decide whether it passes: `naming` does. What is still
//! with the gate is cancelled there, and reported.

use jiff::Timestamp;
use portcullis_protocol::pdu::CancelSm;
use portcullis_protocol::{Frame, Pdu};

use super::write::{Pen, named, wire_address};
use super::{Desk, Kind};
use crate::gate::record::{Change, Record, subscriber_key};
use crate::relay::{Outcome, Ticket};
use crate::rules::Msisdn;

/// What a provider asks to have cancelled.
#[derive(Debug)]
pub(super) struct Cancel {
    message_id: String,
    subscriber: String,
    port: String,
}

impl Desk {
    /// Has the end of a cancellation recorded; of any other request nothing.
    pub(super) fn note_cancel(&mut self, ticket: Ticket, frame: &Frame) {
        let Ok(Pdu::CancelSm(pdu)) = Pdu::decode(frame) else { return };
        if let Some(open) = self.open.get_mut(&ticket).filter(|open| matches!(open.kind, Kind::Recorded)) {
            open.kind = Kind::Cancel(Box::new(Cancel::of(&pdu)));
        }
    }
}

impl Cancel {
    fn of(pdu: &CancelSm<'_>) -> Self {
        let destination = wire_address(&pdu.destination);
        let msisdn = Msisdn::from_address(&pdu.destination).map(|msisdn| msisdn.0);
        Self {
            message_id: pdu.message_id.to_string(),
            subscriber: subscriber_key(msisdn, &destination.addr).into_owned(),
            port: wire_address(&pdu.source).addr.into_owned(),
        }
    }
}

impl Pen<'_> {
    /// How it ended; `None` where that could not be recorded.
    pub(super) fn write_cancel(self, cancel: &Cancel, outcome: Outcome, now: Timestamp) -> Option<u64> {
        let (word, status) = named(outcome);
        let who = format!("provider {}", self.provider);
        let change = Change::new(now.as_millisecond(), "cancel", &who, &cancel.message_id)
            .of(cancel.subscriber.as_str())
            .ending(format!("{word} {status:#010x}"))
            .with("source", cancel.port.as_str());
        match self.append(Record::Change(change)) {
            Ok(ticket) => Some(ticket.sequence),
            Err(error) => {
                tracing::error!(%error, "the end of a cancellation could not be recorded");
                None
            }
        }
    }
}
