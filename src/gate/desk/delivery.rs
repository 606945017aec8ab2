//! What comes back from the carrier: receipts and subscribers' replies.
//!
//! Owns the telling apart of the two, and which reply must wait: one that may refuse or agree is
//! passed on only when that is stored. All of it is recorded and goes on byte for byte.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_protocol::address::Address;
use portcullis_protocol::text::TextSettings;
use portcullis_protocol::{Frame, Pdu};

use super::write::{content, wire_address};
use super::{Desk, Judged, Late, Open, Sent, Settling, TRY_AGAIN};
use crate::gate::Gate;
use crate::gate::ids::renamed;
use crate::gate::mailbox::Mail;
use crate::gate::reading::{Reading, Recipients};
use crate::gate::receipt::{self, Mark};
use crate::gate::record::{self, Record, subscriber_key};
use crate::gate::replies::{self, Reply};
use crate::register::{Provider, Register};
use crate::relay::{self, Ticket};
use crate::rules::reply::{Said, Taken, hear, take};
use crate::rules::{Msisdn, Permit};
use crate::store::EntryId;
use crate::store::journal::AppendError;

/// What a delivery was written down as, and whether more has to be found out about it.
struct Delivered {
    records: Vec<Sent>,
    reply: Option<Reply>,
    receipt: Option<Receipted>,
}

/// What a carrier's receipt speaks of, as the carrier names it.
#[derive(Debug)]
struct Receipted {
    carriers: String,
    subscriber: String,
    port: String,
}

/// How long a receipt waits for the answer that names its part.
const EARLY: Duration = Duration::from_secs(5);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// A delivery on which nothing is decided yet.
#[derive(Debug)]
pub(in crate::gate) struct Waiting {
    ticket: Ticket,
    open: Open,
}

impl Waiting {
    /// It goes on.
    pub(in crate::gate) fn passed(self) -> Late {
        Late { ticket: self.ticket, judged: passed(), open: self.open }
    }

    /// The carrier is to deliver it again.
    pub(in crate::gate) fn refused(self) -> Late {
        let decision = relay::Decision::Refuse { status: TRY_AGAIN, body: bytes::Bytes::new() };
        let judged = Judged { decision, settling: Settling::Now, frame: None };
        Late { ticket: self.ticket, judged, open: self.open }
    }
}

impl Receipted {
    fn find(&self, gate: &Gate) -> Option<EntryId> {
        gate.ids.find(&self.carriers, &self.subscriber, &self.port)
    }
}

fn passed() -> Judged {
    let permit = Permit::unjudged("what a carrier delivers is recorded and passed on");
    Judged { decision: relay::Decision::Forward(permit), settling: Settling::Now, frame: None }
}

impl Desk {
    /// Receipts and replies are recorded and passed on as they are; `None` for a reply that has to
    /// be looked into first.
    pub(super) fn pass_delivery(
        &mut self,
        register: &Register,
        ticket: Ticket,
        frame: &Frame,
        now: Timestamp,
    ) -> Option<Judged> {
        let settings = self.provider.as_deref().and_then(|id| register.provider(id)).map(|provider| provider.text);
        let delivered = match Reading::of(frame, &settings.unwrap_or_default()) {
            Ok(reading) => self.write_delivery(register, frame, &reading, &settings.unwrap_or_default(), now),
            // A body that cannot be read is recorded as it is, and passed on.
            Err(fault) => self.pen().write_turned_away(frame, &fault, now).map(|records| Delivered {
                records,
                reply: None,
                receipt: None,
            }),
        };
        let Ok(delivered) = delivered else {
            self.gate.counters.unrecorded();
            return Some(self.refuse(ticket, Open::unrecorded(now), TRY_AGAIN));
        };
        self.gate.counters.delivered();
        let open = Open::recorded(delivered.records, now);
        if let Some(receipt) = delivered.receipt {
            return self.pass_receipt(receipt, Waiting { ticket, open }, frame);
        }
        let Some(reply) = delivered.reply else {
            self.open.insert(ticket, open);
            return Some(passed());
        };
        let turned_away = replies::consider(&self.gate, reply, Waiting { ticket, open }, self.mailbox.clone())?;
        Some(self.take(turned_away.refused()).1)
    }

    /// A receipt for an acknowledged part goes on under the name the provider knows; one that may be
    /// there before the answer to its part waits a little for it.
    fn pass_receipt(&mut self, receipt: Receipted, waiting: Waiting, frame: &Frame) -> Option<Judged> {
        if let Some(own) = receipt.find(&self.gate) {
            let Waiting { ticket, open } = waiting;
            self.open.insert(ticket, open);
            return Some(Judged { frame: renamed(frame, own), ..passed() });
        }
        if !self.gate.ids.expects(&receipt.subscriber) {
            let Waiting { ticket, open } = waiting;
            self.open.insert(ticket, open);
            return Some(passed());
        }
        let (gate, mailbox, frame) = (Arc::clone(&self.gate), self.mailbox.clone(), frame.clone());
        tokio::spawn(async move {
            let found = async {
                while gate.ids.expects(&receipt.subscriber) && receipt.find(&gate).is_none() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            // After that it goes on as it came.
            let _late = tokio::time::timeout(EARLY, found).await;
            let frame = receipt.find(&gate).and_then(|own| renamed(&frame, own));
            let mut late = waiting.passed();
            late.judged.frame = frame;
            // A session that is gone has recorded it already.
            mailbox.try_send(Mail::Judged(Box::new(late))).ok();
        });
        None
    }

    /// What is heard in a delivery that nobody sent, recorded as one; it goes on to nobody.
    pub(in crate::gate) fn hear_probe(
        &mut self,
        register: &Register,
        provider: &Provider,
        frame: &Frame,
        now: Timestamp,
    ) -> Result<Option<Reply>, String> {
        self.provider = Some(provider.system_id.clone());
        "probe".clone_into(&mut self.peer_text);
        let reading = Reading::of(frame, &provider.text).map_err(|fault| fault.to_string())?;
        let delivered = self
            .write_delivery(register, frame, &reading, &provider.text, now)
            .map_err(|error| format!("the journal takes no record: {error}"))?;
        Ok(delivered.reply.map(|reply| Reply { synthetic: true, ..reply }))
    }

    fn write_delivery(
        &self,
        register: &Register,
        frame: &Frame,
        reading: &Reading<'_>,
        settings: &TextSettings,
        now: Timestamp,
    ) -> Result<Delivered, AppendError> {
        let to = match reading.recipients {
            Recipients::One(to) => to,
            Recipients::Many(_) => Address::default(),
        };
        let (source, destination) = (wire_address(&reading.source), wire_address(&to));
        let msisdn = Msisdn::from_address(&reading.source).map(|msisdn| msisdn.0);
        let (subscriber, port) = (subscriber_key(msisdn, &source.addr).into_owned(), destination.addr.to_string());
        let pdu = Pdu::decode(frame).ok();
        let receipt = pdu.as_ref().and_then(|pdu| receipt::read(pdu, reading.text.readable()));
        let (receipt, mark) = receipt.unzip();
        let claims = receipt.as_ref().and_then(|receipt| receipt.message_id.as_deref()).map(str::to_owned);
        let record = Record::Delivery(record::Delivery {
            received_ms: now.as_millisecond(),
            origin: self.pen().origin(),
            source,
            destination,
            msisdn,
            flags: (reading.esm_class.0, reading.data_coding.0),
            receipt,
            content: content(reading),
        });
        let written = self.pen().append(record)?;
        let records = vec![Sent::nobody(written)];
        // A text alone may be a subscriber's, unless it names a part that went to them from there.
        let is_known = claims.as_deref().is_some_and(|id| self.gate.ids.find(id, &subscriber, &port).is_some());
        if mark == Some(Mark::Carrier) || is_known {
            let receipt = claims.map(|carriers| Receipted { carriers, subscriber, port });
            return Ok(Delivered { records, reply: None, receipt });
        }
        let reply = Reply {
            entry: written.id,
            sequence: written.sequence,
            received: now,
            msisdn,
            subscriber,
            port,
            provider: self.provider.clone().unwrap_or_default(),
            text: String::new(),
            said: Said::Nothing,
            claims,
            synthetic: false,
        };
        Ok(Delivered { records, reply: self.heard(register, reading, settings, reply), receipt: None })
    }

    /// The reply with its text, if that may mean anything.
    fn heard(
        &self,
        register: &Register,
        reading: &Reading<'_>,
        settings: &TextSettings,
        reply: Reply,
    ) -> Option<Reply> {
        let (port, class) = replies::port_of(register, &reply.port);
        let text = match reading.part.filter(|part| part.total > 1) {
            Some(part) => {
                let key = replies::Key {
                    subscriber: reply.subscriber.clone(),
                    port: reply.port.clone(),
                    reference: part.reference,
                    total: part.total,
                };
                let part = replies::Part {
                    number: part.number,
                    data_coding: reading.data_coding,
                    esm_class: reading.esm_class,
                    octets: reading.octets.to_vec(),
                };
                self.gate.replies.parts.add(key, part, settings, reply.received)?
            }
            None => reading.text.clone().into_owned(),
        };
        let text = text.readable()?;
        let own = if reply.claims.is_some() { receipt::own_words(text) } else { text };
        let said = hear(own, &self.gate.profile, port);
        // On such a port nothing is looked up.
        let is_idle = class.is_sheltered()
            && take(&said, class, port, None, &self.gate.profile, reply.received) == Taken::Nothing;
        (said != Said::Nothing && !is_idle).then(|| Reply { text: text.to_owned(), said, ..reply })
    }
}
