//! Messages whose story goes on after the carrier took them: requests that may be answered (R12), and what is
//! scheduled for later (R21).

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use portcullis_protocol::{Frame, Pdu};

use super::Sent;
use super::ruling::Judgement;
use super::write::{Pen, wire_address};
use crate::gate::reading::Reading;
use crate::gate::record::{self, Record, WireAddress, name};
use crate::gate::replies::port_of;
use crate::gate::scheduled::{Whose, Withdrawal};
use crate::store::EntryId;

/// What has to be known of a scheduled message once the carrier has it.
#[derive(Clone, Debug)]
pub(in crate::gate) struct Schedule {
    deliver_at: Timestamp,
    /// The carrier's name for it where that is known before its answer: of a replacement.
    message_id: Option<String>,
    service_type: String,
    source: WireAddress<'static>,
    destination: WireAddress<'static>,
    marketing: Option<(String, u64)>,
    /// The schedule this takes the place of: its record, and its time.
    replaces: Option<(EntryId, i64)>,
}

impl Schedule {
    /// It is that of a replacement.
    pub(super) fn take_place_of(&mut self, replaced: Option<(EntryId, i64)>) {
        self.replaces = replaced;
    }
}

impl Pen<'_> {
    /// The schedule of a message, where it has one.
    pub(super) fn schedule(
        self,
        frame: &Frame,
        reading: &Reading<'_>,
        judgement: &Judgement<'_, '_>,
    ) -> Option<Box<Schedule>> {
        let deliver_at = judgement.deliver_at?;
        let message_id = match Pdu::decode(frame) {
            Ok(Pdu::ReplaceSm(pdu)) => Some(pdu.message_id.to_string()),
            _ => None,
        };
        Some(Box::new(Schedule {
            deliver_at,
            message_id,
            service_type: reading.service_type.to_string(),
            source: owned(wire_address(&reading.source)),
            destination: owned(wire_address(&judgement.to)),
            marketing: self.gate.marketing_of(judgement),
            replaces: None,
        }))
    }

    /// The carrier has taken the message under this name.
    pub(super) fn write_awaited(self, sent: &Sent, is_first: bool, message_id: Option<&str>, now: Timestamp) {
        if is_first && sent.counted.is_some_and(|counted| counted.asks()) {
            self.write_asked(sent, now);
        }
        let Some(schedule) = &sent.schedule else { return };
        self.write_scheduled(sent, schedule, message_id, now);
        if let Some((replaced, at_ms)) = schedule.replaces {
            self.gate.scheduled.remove(replaced, at_ms);
        }
    }

    /// The carrier may have the message: what is scheduled is withdrawn as if it had, and what it may have
    /// taken the place of as well.
    pub(super) fn write_uncertain(self, sent: &Sent, now: Timestamp) {
        if let Some(schedule) = &sent.schedule {
            self.write_scheduled(sent, schedule, None, now);
        }
    }

    fn write_asked(self, sent: &Sent, now: Timestamp) {
        let register = self.gate.register.load();
        let (Some(port), _) = port_of(&register, &sent.port) else { return };
        let Ok(msisdn) = sent.subscriber.parse() else { return };
        let window = self.gate.profile.replies.request_window;
        let until = now.saturating_add(window).unwrap_or(Timestamp::MAX);
        let record = Record::Asked(record::Asked {
            at_ms: now.as_millisecond(),
            subscriber: sent.subscriber.as_str().into(),
            port: sent.port.as_str().into(),
            of: name(sent.id),
            sender: port.sender.as_str().into(),
            msisdn,
            category: port.category.as_deref().unwrap_or_default().into(),
            until_ms: until.as_millisecond(),
        });
        match self.append(record) {
            // The record has to be found when the time has come.
            Ok(_) => self.gate.silence.expect(until.saturating_add(SETTLING).unwrap_or(until)),
            Err(error) => tracing::error!(%error, request = %sent.id, "silence on a request will not be noticed"),
        }
    }

    fn write_scheduled(self, sent: &Sent, schedule: &Schedule, message_id: Option<&str>, now: Timestamp) {
        let message_id = schedule.message_id.as_deref().or(message_id);
        let (marketing, deliver_ms) = (&schedule.marketing, schedule.deliver_at.as_millisecond());
        let record = Record::Scheduled(record::Scheduled {
            at_ms: now.as_millisecond(),
            subscriber: sent.subscriber.as_str().into(),
            port: sent.port.as_str().into(),
            message_id: message_id.map(Cow::Borrowed),
            of: name(sent.id),
            provider: self.provider.into(),
            deliver_ms,
            service_type: schedule.service_type.as_str().into(),
            source: schedule.source.clone(),
            destination: schedule.destination.clone(),
            marketing: marketing.as_ref().map(|(sender, msisdn)| (sender.as_str().into(), *msisdn)),
        });
        match (self.append(record), marketing) {
            (Ok(ticket), Some((sender, msisdn))) => {
                let whose = Whose { sender: sender.clone(), provider: self.provider.to_owned() };
                self.gate.scheduled.add(ticket.id, deliver_ms, whose, *msisdn);
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                tracing::error!(%error, message = %sent.id, "a refusal will not withdraw a scheduled message")
            }
        }
    }

    /// What became of the withdrawal of a scheduled message.
    pub(super) fn write_withdrawn(self, withdrawal: &Withdrawal, outcome: &str, status: u32, now: Timestamp) {
        tracing::info!(message = %withdrawal.id, outcome, status, "the withdrawal of a scheduled message has ended");
        let record = Record::Withdrawn(record::Withdrawn {
            at_ms: now.as_millisecond(),
            subscriber: withdrawal.subscriber.as_str().into(),
            port: withdrawal.port.as_str().into(),
            of: name(withdrawal.id),
            message: withdrawal.message,
            outcome: outcome.into(),
            status,
        });
        if let Err(error) = self.append(record) {
            tracing::error!(%error, message = %withdrawal.id, "a withdrawal could not be recorded");
        }
    }
}

/// What a record may take to be found in the journal.
const SETTLING: SignedDuration = SignedDuration::from_millis(200);

fn owned(address: WireAddress<'_>) -> WireAddress<'static> {
    WireAddress { ton: address.ton, npi: address.npi, addr: address.addr.into_owned().into() }
}
