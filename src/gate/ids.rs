//! The carrier's names for parts the provider knows by the gate's.
//!
//! Owns the translation for receipts, in whichever spelling they have the name, and the renaming
//! itself. Refuses to take one subscriber's message for another's. What is too old for memory is
//! still in the journal. Driven by the desks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use portcullis_protocol::pdu::{DataSm, DeliverSm};
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{Frame, Pdu};

use super::message_id::Key;
use super::record::port_key;
use crate::config::MessageIdForm;
use crate::store::EntryId;

/// Names kept in memory.
const RECENT: usize = 500_000;

#[derive(Debug)]
pub(super) struct Ids {
    form: MessageIdForm,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    parts: HashMap<Key, Vec<Named>>,
    order: VecDeque<(String, EntryId)>,
    /// Parts on their way to the carrier, whose names will be known: so many to each subscriber.
    expected: HashMap<String, usize>,
}

/// A part that the carrier has named.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Named {
    id: EntryId,
    subscriber: String,
    port: String,
}

impl Ids {
    pub(super) fn new(form: MessageIdForm) -> Self {
        Self { form, recent: Mutex::default() }
    }

    /// A part to this subscriber goes to the carrier.
    pub(super) fn expect(&self, subscriber: &str) {
        *self.lock().expected.entry(subscriber.to_owned()).or_default() += 1;
    }

    /// Its answer has come, or will not come.
    pub(super) fn expect_no_more(&self, subscriber: &str) {
        let mut recent = self.lock();
        let Some(count) = recent.expected.get_mut(subscriber) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            recent.expected.remove(subscriber);
        }
    }

    /// Whether a part to this subscriber waits for its answer: a receipt may be there before it.
    pub(super) fn expects(&self, subscriber: &str) -> bool {
        self.lock().expected.contains_key(subscriber)
    }

    /// The carrier has given a part this `message_id`.
    pub(super) fn learn(&self, carriers: &str, id: EntryId, subscriber: &str, port: &str) {
        let mut recent = self.lock();
        let named = Named { id, subscriber: subscriber.to_owned(), port: port_key(port).to_owned() };
        for key in Key::of_answer(carriers, self.form) {
            recent.parts.entry(key).or_default().push(named.clone());
        }
        recent.order.push_back((carriers.to_owned(), id));
        if recent.order.len() <= RECENT {
            return;
        }
        let Some((oldest, id)) = recent.order.pop_front() else { return };
        for key in Key::of_answer(&oldest, self.form) {
            let left = recent.parts.get_mut(&key).is_some_and(|parts| {
                parts.retain(|named| named.id != id);
                !parts.is_empty()
            });
            if !left {
                recent.parts.remove(&key);
            }
        }
    }

    /// The gate's name for the part a receipt speaks of; `None` where it is not one, or not certainly.
    pub(super) fn find(&self, receipted: &str, subscriber: &str, port: &str) -> Option<EntryId> {
        let (recent, port) = (self.lock(), port_key(port));
        Key::of_receipt(receipted, self.form).iter().find_map(|key| {
            let is_between = |named: &&Named| named.subscriber == subscriber && named.port == port;
            let mut fitting = recent.parts.get(key)?.iter().filter(is_between).map(|named| named.id);
            let id = fitting.next()?;
            fitting.all(|other| other == id).then_some(id)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A receipt under the name its provider knows the part by: in the parameter and in the text.
pub(super) fn renamed(receipt: &Frame, carriers: &str, own: EntryId) -> Option<Frame> {
    let own = own.to_string();
    match Pdu::decode(receipt).ok()? {
        Pdu::DeliverSm(pdu) => {
            let tlvs = renamed_tlvs(pdu.tlvs, &own);
            let text = renamed_text(pdu.short_message, carriers, &own);
            let pdu = DeliverSm { short_message: &text, tlvs: Tlvs::from_bytes(&tlvs), ..pdu };
            Some(Pdu::DeliverSm(pdu).to_frame(receipt.command_status(), receipt.sequence_number()))
        }
        Pdu::DataSm(pdu) => {
            let tlvs = renamed_tlvs(pdu.tlvs, &own);
            let pdu = DataSm { tlvs: Tlvs::from_bytes(&tlvs), ..pdu };
            Some(Pdu::DataSm(pdu).to_frame(receipt.command_status(), receipt.sequence_number()))
        }
        _ => None,
    }
}

fn renamed_tlvs(tlvs: Tlvs<'_>, own: &str) -> BytesMut {
    let mut renamed = BytesMut::new();
    for tlv in tlvs {
        match tlv.tag {
            TlvTag::RECEIPTED_MESSAGE_ID => push(&mut renamed, tlv.tag, format!("{own}\0").as_bytes()),
            tag => push(&mut renamed, tag, tlv.value),
        }
    }
    renamed.extend_from_slice(tlvs.rest());
    renamed
}

/// The text with `id:` and the carrier's name replaced, where they stand together.
fn renamed_text(text: &[u8], carriers: &str, own: &str) -> Vec<u8> {
    let sought = [b"id:", carriers.as_bytes()].concat();
    let stands = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let after = text.get(at + sought.len());
        before.is_none_or(u8::is_ascii_whitespace) && after.is_none_or(u8::is_ascii_whitespace)
    };
    let found = text.windows(sought.len()).enumerate().find(|(at, octets)| *octets == sought && stands(*at));
    match found {
        Some((at, _)) => [&text[..at], b"id:", own.as_bytes(), &text[at + sought.len()..]].concat(),
        None => text.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use portcullis_protocol::CommandStatus;

    use super::*;
    use crate::store::journal::Day;

    fn id(number: u64) -> EntryId {
        EntryId { day: Day(date(2026, 11, 24)), number }
    }

    #[test]
    fn a_receipt_finds_its_part_in_any_spelling_and_between_the_same_two_only() {
        let ids = Ids::new(MessageIdForm::Auto);
        ids.learn("00004F2A", id(1), "8613", "1069");
        for spelling in ["00004F2A", "4f2a", "20266"] {
            assert_eq!(ids.find(spelling, "8613", "1069"), Some(id(1)), "{spelling}");
        }
        assert_eq!(ids.find("4f2a", "8614", "1069"), None);
        assert_eq!(ids.find("4f2a", "8613", "1065"), None);
        assert_eq!(ids.find("4f2b", "8613", "1069"), None);
    }

    #[test]
    fn the_latest_names_are_known_and_the_oldest_go() {
        let ids = Ids::new(MessageIdForm::AsIs);
        for number in 0..=RECENT as u64 {
            ids.learn(&number.to_string(), id(number), "s", "p");
        }
        assert_eq!(ids.find("0", "s", "p"), None);
        assert_eq!(ids.find("1", "s", "p"), Some(id(1)));
        assert_eq!(ids.find(&RECENT.to_string(), "s", "p"), Some(id(RECENT as u64)));
    }

    #[test]
    fn what_is_expected_is_counted() {
        let ids = Ids::new(MessageIdForm::Auto);
        ids.expect("s");
        ids.expect("s");
        ids.expect_no_more("s");
        assert!(ids.expects("s") && !ids.expects("t"));
        ids.expect_no_more("s");
        ids.expect_no_more("s");
        assert!(!ids.expects("s"));
    }

    #[test]
    fn a_receipt_is_renamed_in_text_and_parameter_and_nowhere_else() {
        let pdu = DeliverSm {
            short_message: b"id:4f2a sub:001 dlvrd:001 stat:DELIVRD err:000 text:id:4f2a",
            tlvs: Tlvs::from_bytes(b"\x14\x01\x00\x01x\x00\x1E\x00\x054f2a\0\x04\x27\x00\x01\x02"),
            ..DeliverSm::default()
        };
        let frame = Pdu::DeliverSm(pdu).to_frame(CommandStatus::ESME_ROK, 9);
        let renamed = renamed(&frame, "4f2a", id(5)).unwrap();
        let Ok(Pdu::DeliverSm(pdu)) = Pdu::decode(&renamed) else { panic!("no deliver_sm") };
        assert_eq!(pdu.short_message, b"id:20261124-000000005 sub:001 dlvrd:001 stat:DELIVRD err:000 text:id:4f2a");
        assert_eq!(pdu.tlvs.receipted_message_id().unwrap().0, b"20261124-000000005");
        let tags: Vec<u16> = pdu.tlvs.iter().map(|tlv| tlv.tag.0).collect();
        assert_eq!(tags, [0x1401, 0x001E, 0x0427]);
        assert_eq!(renamed.sequence_number(), 9);
    }

    #[test]
    fn a_name_inside_another_is_left() {
        assert_eq!(renamed_text(b"id:12 stat:x", "1", "own"), b"id:12 stat:x");
        assert_eq!(renamed_text(b"mid:1 id:1", "1", "own"), b"mid:1 id:own");
    }
}
