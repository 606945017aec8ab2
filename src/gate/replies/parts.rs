//! Long replies, joined from their parts to be read; every part goes on by itself meanwhile.
//!
//! Owns the octets of parts until their reply is whole and for some time after: a carrier that was
//! told to try again repeats the last part alone. Bounded in number and octets, the oldest go first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use portcullis_protocol::field::{DataCoding, EsmClass};
use portcullis_protocol::text::{Piece, Text, TextSettings, read_joined};

/// Octets of parts that are kept.
const MOST_OCTETS: usize = 16 << 20;

/// Replies that are kept.
const MOST_REPLIES: usize = 20_000;

/// From a reply's first part to its last.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// What a part costs beside its octets.
const OVERHEAD: usize = 128;

/// What the parts of one reply have in common, whichever bind they come over.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::gate) struct Key {
    pub(in crate::gate) subscriber: String,
    pub(in crate::gate) port: String,
    pub(in crate::gate) reference: u16,
    pub(in crate::gate) total: u8,
}

/// One part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::gate) struct Part {
    pub(in crate::gate) number: u8,
    pub(in crate::gate) data_coding: DataCoding,
    pub(in crate::gate) esm_class: EsmClass,
    pub(in crate::gate) octets: Vec<u8>,
}

#[derive(Debug, Default)]
pub(in crate::gate) struct Parts(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    replies: HashMap<Key, Gathered>,
    /// In the order in which they began; outlives the reply it names.
    order: VecDeque<(u64, Key)>,
    octets: usize,
    last_serial: u64,
}

#[derive(Debug)]
struct Gathered {
    serial: u64,
    began: Timestamp,
    parts: Vec<Part>,
}

impl Parts {
    /// Takes a part in; the whole text once none is missing, and again when one of them is repeated.
    pub(in crate::gate) fn add(
        &self,
        key: Key,
        part: Part,
        settings: &TextSettings,
        now: Timestamp,
    ) -> Option<Text<'static>> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.make_room(cost(&part), now);
        table.put(key.clone(), part, now);
        let parts = &mut table.replies.get_mut(&key)?.parts;
        if parts.len() < usize::from(key.total) {
            return None;
        }
        parts.sort_by_key(|part| part.number);
        let pieces = parts.iter().map(|part| Piece {
            data_coding: part.data_coding,
            esm_class: part.esm_class,
            octets: &part.octets,
        });
        Some(read_joined(pieces, settings))
    }
}

impl Table {
    fn put(&mut self, key: Key, part: Part, now: Timestamp) {
        // Other octets under a number that is there begin a reply of the same reference anew.
        let clashes = |held: &Part| held.number == part.number && *held != part;
        if self.replies.get(&key).is_some_and(|gathered| gathered.parts.iter().any(clashes)) {
            self.forget(&key);
        }
        if !self.replies.contains_key(&key) {
            self.last_serial += 1;
            self.order.push_back((self.last_serial, key.clone()));
        }
        let fresh = Gathered { serial: self.last_serial, began: now, parts: Vec::new() };
        let gathered = self.replies.entry(key).or_insert(fresh);
        if !gathered.parts.contains(&part) {
            self.octets += cost(&part);
            gathered.parts.push(part);
        }
    }

    fn make_room(&mut self, octets: usize, now: Timestamp) {
        while let Some((serial, key)) = self.order.front() {
            let gathered = self.replies.get(key).filter(|gathered| gathered.serial == *serial);
            let is_late = gathered.is_none_or(|gathered| now.duration_since(gathered.began) > PATIENCE);
            let is_full = self.octets + octets > MOST_OCTETS || self.order.len() >= MOST_REPLIES;
            if !is_late && !is_full {
                return;
            }
            let is_held = gathered.is_some();
            if let Some((_, key)) = self.order.pop_front()
                && is_held
            {
                self.forget(&key);
            }
        }
    }

    fn forget(&mut self, key: &Key) {
        let gone = self.replies.remove(key);
        self.octets -= gone.map_or(0, |gone| gone.parts.iter().map(cost).sum());
    }
}

const fn cost(part: &Part) -> usize {
    part.octets.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use portcullis_protocol::text::ucs2;

    use super::*;

    fn key(reference: u16, total: u8) -> Key {
        Key { subscriber: "8613800138000".into(), port: "1069".into(), reference, total }
    }

    fn part(number: u8, octets: &[u8]) -> Part {
        Part { number, data_coding: DataCoding::UCS2, esm_class: EsmClass(0), octets: octets.to_vec() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn add(parts: &Parts, key: Key, part: Part, second: i64) -> Option<String> {
        let text = parts.add(key, part, &TextSettings::default(), at(second))?;
        Some(text.readable().unwrap().to_owned())
    }

    #[test]
    fn parts_in_any_order_are_read_across_the_seam() {
        let parts = Parts::default();
        let octets = ucs2::encode("我要😀退订");
        let (first, second) = octets.split_at(6); // Within the surrogate pair.
        assert_eq!(add(&parts, key(0, 2), part(2, second), 0), None);
        assert_eq!(add(&parts, key(0, 2), part(1, first), 1).as_deref(), Some("我要😀退订"));
        assert_eq!(add(&parts, key(0, 2), part(1, first), 2).as_deref(), Some("我要😀退订"), "a part repeated");
        assert_eq!(add(&parts, key(1, 2), part(1, first), 3), None, "another reference");
    }

    #[test]
    fn a_reference_used_again_begins_anew() {
        let parts = Parts::default();
        add(&parts, key(7, 2), part(1, &ucs2::encode("不")), 0);
        add(&parts, key(7, 2), part(2, &ucs2::encode("退订")), 1);
        assert_eq!(add(&parts, key(7, 2), part(2, &ucs2::encode("好")), 2), None);
        assert_eq!(add(&parts, key(7, 2), part(1, &ucs2::encode("你")), 3).as_deref(), Some("你好"));
    }

    #[test]
    fn what_is_late_or_too_much_goes() {
        let parts = Parts::default();
        add(&parts, key(7, 2), part(1, &ucs2::encode("退")), 0);
        assert_eq!(add(&parts, key(7, 2), part(2, &ucs2::encode("订")), 3601), None);
        let big = vec![0; 60_000];
        for number in 0..1000 {
            let mut key = key(number, 2);
            key.subscriber = number.to_string();
            add(&parts, key, part(1, &big), 3602);
        }
        let table = parts.0.lock().unwrap();
        assert!(table.octets <= MOST_OCTETS && table.replies.len() < 300, "{} octets", table.octets);
        assert_eq!(table.octets, table.replies.values().flat_map(|g| &g.parts).map(cost).sum::<usize>());
    }
}
