//! The carrier's names for parts the provider knows by the gate's.
//!
//! Owns the translation for receipts, in whichever spelling they have the name, and the renaming
//! itself. Refuses to take one subscriber's message for another's. What is too old for memory is
//! still in the journal. Driven by the desks.
//!
//! A name is kept as a digest of itself and its two parties: two hundred thousand parts, each under up
//! to four names, would be hundreds of megabytes as text. 128 bits under secret keys meet by no accident.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use portcullis_protocol::pdu::{DataSm, DeliverSm};
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{Frame, Pdu};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::message_id::Key;
use super::receipt;
use super::record::port_key;
use crate::config::MessageIdForm;
use crate::store::EntryId;

/// Names kept in memory.
const RECENT: usize = 200_000;

#[derive(Debug)]
pub(super) struct Ids {
    form: MessageIdForm,
    /// Another for each process, so that nobody can make names that meet.
    hasher: SipHasher13,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    parts: HashMap<u128, Named>,
    order: VecDeque<Box<[u128]>>,
    /// Parts on their way to the carrier, whose names will be known: so many to each subscriber.
    expected: HashMap<String, usize>,
}

/// The parts that go by one name between the same two.
#[derive(Debug)]
struct Named {
    /// The latest of them.
    id: EntryId,
    /// How often the name was given.
    times: u32,
    /// How often of these, last, to this very part.
    same: u32,
}

impl Ids {
    pub(super) fn new(form: MessageIdForm) -> Self {
        let random = RandomState::new();
        let hasher = SipHasher13::new_with_keys(random.hash_one(0), random.hash_one(1));
        Self { form, hasher, recent: Mutex::default() }
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
        let names: Box<[u128]> =
            Key::of_answer(carriers, self.form).iter().map(|key| self.digest(key, subscriber, port)).collect();
        let mut recent = self.lock();
        for name in &names {
            let named = recent.parts.entry(*name).or_insert(Named { id, times: 0, same: 0 });
            named.same = if named.id == id { named.same + 1 } else { 1 };
            named.times += 1;
            named.id = id;
        }
        recent.order.push_back(names);
        if recent.order.len() > RECENT {
            recent.forget_oldest();
        }
    }

    /// The gate's name for the part a receipt speaks of; `None` where it is not one, or not certainly.
    pub(super) fn find(&self, receipted: &str, subscriber: &str, port: &str) -> Option<EntryId> {
        let recent = self.lock();
        Key::of_receipt(receipted, self.form).iter().find_map(|key| {
            let named = recent.parts.get(&self.digest(key, subscriber, port))?;
            (named.same == named.times).then_some(named.id)
        })
    }

    fn digest(&self, key: &Key, subscriber: &str, port: &str) -> u128 {
        let mut hasher = self.hasher;
        (key, subscriber, port_key(port)).hash(&mut hasher);
        hasher.finish128().as_u128()
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    /// Names are forgotten in the order they were given: what is left of one is its latest.
    fn forget_oldest(&mut self) {
        for name in self.order.pop_front().unwrap_or_default() {
            let Entry::Occupied(mut named) = self.parts.entry(name) else { continue };
            let left = named.get().times - 1;
            if left == 0 {
                named.remove();
            } else {
                named.get_mut().times = left;
                named.get_mut().same = named.get().same.min(left);
            }
        }
    }
}

/// A receipt under the name its provider knows the part by: in the parameter, and in the text wherever that is.
pub(super) fn renamed(receipt: &Frame, own: EntryId) -> Option<Frame> {
    let own = own.to_string();
    match Pdu::decode(receipt).ok()? {
        Pdu::DeliverSm(pdu) => {
            let tlvs = renamed_tlvs(pdu.tlvs, &own);
            let text = renamed_text(pdu.short_message, &own);
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
            TlvTag::MESSAGE_PAYLOAD => push(&mut renamed, tlv.tag, &renamed_text(tlv.value, own)),
            tag => push(&mut renamed, tag, tlv.value),
        }
    }
    renamed.extend_from_slice(tlvs.rest());
    renamed
}

/// The text with another id, however the carrier spells the one it has; one without stays as it is.
fn renamed_text(octets: &[u8], own: &str) -> Vec<u8> {
    let range = std::str::from_utf8(octets).ok().and_then(receipt::id_range);
    match range {
        Some(range) => [&octets[..range.start], own.as_bytes(), &octets[range.end..]].concat(),
        None => octets.to_vec(),
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
    fn a_name_given_to_two_parts_is_certain_again_once_one_is_forgotten() {
        let ids = Ids::new(MessageIdForm::AsIs);
        ids.learn("1", id(1), "s", "p");
        ids.learn("1", id(1), "s", "p");
        assert_eq!(ids.find("1", "s", "p"), Some(id(1)));
        ids.learn("1", id(2), "s", "p");
        assert_eq!(ids.find("1", "s", "p"), None);
        for _ in 0..2 {
            ids.lock().forget_oldest();
        }
        assert_eq!(ids.find("1", "s", "p"), Some(id(2)));
        ids.lock().forget_oldest();
        assert_eq!(ids.find("1", "s", "p"), None);
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
        let renamed = renamed(&frame, id(5)).unwrap();
        let Ok(Pdu::DeliverSm(pdu)) = Pdu::decode(&renamed) else { panic!("no deliver_sm") };
        assert_eq!(pdu.short_message, b"id:20261124-000000005 sub:001 dlvrd:001 stat:DELIVRD err:000 text:id:4f2a");
        assert_eq!(pdu.tlvs.receipted_message_id().unwrap().0, b"20261124-000000005");
        let tags: Vec<u16> = pdu.tlvs.iter().map(|tlv| tlv.tag.0).collect();
        assert_eq!(tags, [0x1401, 0x001E, 0x0427]);
        assert_eq!(renamed.sequence_number(), 9);
    }

    #[test]
    fn the_id_is_found_however_it_is_spelt_and_wherever_the_text_is() {
        for (text, expected) in [
            ("id:12 stat:DELIVRD", "id:own stat:DELIVRD"),
            ("ID:0012, stat:DELIVRD text:id:12", "ID:own, stat:DELIVRD text:id:12"),
            ("id: 4f2a sub:001 stat:DELIVRD", "id: own sub:001 stat:DELIVRD"),
            ("mid:1 stat:DELIVRD", "mid:1 stat:DELIVRD"),
            ("", ""),
        ] {
            assert_eq!(renamed_text(text.as_bytes(), "own"), expected.as_bytes(), "{text}");
        }
        let payload = b"\x04\x24\x00\x09id:4 stat";
        assert!(renamed_tlvs(Tlvs::from_bytes(payload), "own").ends_with(b"id:own stat"));
    }
}
