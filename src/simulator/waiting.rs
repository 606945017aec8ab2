//! Messages the simulated carrier was asked to deliver later.
//!
//! Owns which of them wait, bounded in number: only those can be cancelled and replaced. Refuses to deliver
//! them: their time comes, and that is all. Driven by the conversations.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{Span, Timestamp};
use portcullis_protocol::address::Address;
use portcullis_protocol::field::COctetString;
use portcullis_protocol::pdu::{CancelSm, Pdu, ReplaceSm};
use portcullis_protocol::time::SmppTime;

/// Messages that may wait; then the one that is due first goes.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<u64, Message>>);

#[derive(Debug)]
struct Message {
    due: Timestamp,
    source: Vec<u8>,
    destination: Vec<u8>,
}

impl Waiting {
    /// Takes in a message under its id, if it is for later.
    pub(super) fn take(&self, id: u64, pdu: &Pdu<'_>, now: Timestamp) -> bool {
        let Pdu::SubmitSm(submit) = pdu else { return false };
        let Some(due) = due(submit.schedule_delivery_time, now) else { return false };
        let octets = |address: Address<'_>| address.addr.0.to_vec();
        let message = Message { due, source: octets(submit.source), destination: octets(submit.destination) };
        self.with(|messages| {
            messages.retain(|_, message| message.due > now);
            let first = messages.iter().min_by_key(|(_, message)| message.due).map(|(id, _)| *id);
            if messages.len() >= MOST
                && let Some(first) = first
            {
                messages.remove(&first);
            }
            messages.insert(id, message);
        });
        true
    }

    /// Whether the message still waits.
    pub(super) fn has(&self, id: u64, now: Timestamp) -> bool {
        self.with(|messages| messages.get(&id).is_some_and(|message| message.due > now))
    }

    /// Whether it waited and will not be delivered: its id and both addresses have to be right. Without an id
    /// it is all between the two.
    pub(super) fn cancel(&self, pdu: &CancelSm<'_>, now: Timestamp) -> bool {
        let id = number(pdu.message_id);
        if id.is_none() && !pdu.message_id.0.is_empty() {
            return false;
        }
        self.with(|messages| {
            let before = messages.len();
            messages.retain(|own, message| {
                let is_it = message.due > now
                    && id.is_none_or(|id| id == *own)
                    && message.source == pdu.source.addr.0
                    && message.destination == pdu.destination.addr.0;
                !is_it
            });
            messages.len() < before
        })
    }

    /// Whether it waited and has another text, and another time where one is given.
    pub(super) fn replace(&self, pdu: &ReplaceSm<'_>, now: Timestamp) -> bool {
        let Some(id) = number(pdu.message_id) else { return false };
        self.with(|messages| {
            let waiting =
                messages.get_mut(&id).filter(|message| message.due > now && message.source == pdu.source.addr.0);
            let Some(message) = waiting else { return false };
            message.due = due(pdu.schedule_delivery_time, now).unwrap_or(message.due);
            true
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<u64, Message>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The moment a field names, where that is later than now.
fn due(field: COctetString<'_>, now: Timestamp) -> Option<Timestamp> {
    let at = match SmppTime::of(field).ok()?? {
        SmppTime::Absolute(time) => Timestamp::from_millisecond(time.unix_ms()).ok()?,
        SmppTime::Relative(span) => {
            let days = Span::new().years(span.years).months(span.months).days(span.days);
            let span = days.hours(span.hours).minutes(span.minutes).seconds(span.seconds);
            now.to_zoned_datetime(jiff::tz::TimeZone::UTC).checked_add(span).ok()?.timestamp()
        }
    };
    (at > now).then_some(at)
}

/// The number that an id is the digits of.
pub(super) fn number(id: COctetString<'_>) -> Option<u64> {
    id.as_str()?.parse().ok()
}
