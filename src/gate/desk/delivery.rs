//! What comes back from the carrier: receipts and subscribers' replies.

use jiff::Timestamp;
use portcullis_protocol::address::Address;
use portcullis_protocol::text::TextSettings;
use portcullis_protocol::{Frame, Pdu};

use super::write::{Written, content, wire_address};
use super::{Desk, Judged, Open, Sent, Settling, TRY_AGAIN};
use crate::gate::reading::{Reading, Recipients};
use crate::gate::receipt;
use crate::gate::record::{self, Record};
use crate::register::Register;
use crate::relay::{self, Ticket};
use crate::rules::{Msisdn, Permit};

impl Desk {
    /// Receipts and replies are recorded and passed on as they are.
    pub(super) fn pass_delivery(
        &mut self,
        register: &Register,
        ticket: Ticket,
        frame: &Frame,
        now: Timestamp,
    ) -> Judged {
        let settings = self.provider.as_deref().and_then(|id| register.provider(id)).map(|provider| provider.text);
        let written = self.write_delivery(frame, &settings.unwrap_or_default(), now);
        let Ok(records) = written else {
            self.gate.counters.unrecorded();
            return self.refuse(ticket, Open::unrecorded(now), TRY_AGAIN);
        };
        self.gate.counters.delivered();
        self.open.insert(ticket, Open::recorded(records, now));
        let permit = Permit::unjudged("what a carrier delivers is recorded and passed on");
        Judged { decision: relay::Decision::Forward(permit), settling: Settling::NOW, frame: None }
    }

    fn write_delivery(&self, frame: &Frame, settings: &TextSettings, now: Timestamp) -> Written {
        let reading = match Reading::of(frame, settings) {
            Ok(reading) => reading,
            Err(fault) => return self.pen().write_turned_away(frame, &fault, now),
        };
        let to = match reading.recipients {
            Recipients::One(to) => to,
            Recipients::Many(_) => Address::default(),
        };
        let msisdn = Msisdn::from_address(&reading.source).map(|msisdn| msisdn.0);
        let pdu = Pdu::decode(frame).ok();
        let record = Record::Delivery(record::Delivery {
            received_ms: now.as_millisecond(),
            origin: self.pen().origin(),
            source: wire_address(&reading.source),
            destination: wire_address(&to),
            msisdn,
            flags: (reading.esm_class.0, reading.data_coding.0),
            receipt: pdu.as_ref().and_then(|pdu| receipt::read(pdu, reading.text.readable())),
            content: content(&reading),
        });
        let ticket = self.pen().append(&record)?;
        Ok(vec![Sent { id: ticket.id, sequence: ticket.sequence, subscriber: String::new(), port: String::new() }])
    }
}
