//! One event of one subscriber, and how it lies in a bucket.
//!
//! Owns the order of events, in which the last of a name is the one that stands, and the encoding,
//! which keeps the whole number: no collision can show one subscriber another's consent. Earlier
//! events stay beside the last one, which costs nothing where there is one. Driven by the ledger.

use std::cmp::Reverse;

use crate::store::varint;

/// A consent to a category, a refusal of a sender, or a change of the number's holder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Item {
    pub(super) msisdn: u64,
    pub(super) sender: u32,
    pub(super) refusal: bool,
    /// Of a refusal: the category it was said under, which limits nothing.
    pub(super) category: u32,
    pub(super) at_ms: i64,
    pub(super) expires_at_ms: Option<i64>,
    pub(super) method: u32,
    pub(super) evidence: u64,
    /// The number of how often a consent allows messages, and one more; 0 where it does not say.
    pub(super) frequency: u32,
    /// When the store took it in; events from before that was kept have none.
    pub(super) recorded_at_ms: Option<i64>,
}

/// Events of the same name replace each other: subscriber, sender, refusal or not, category.
pub(super) type Name = (u64, u32, bool, u32);

/// What orders the events of a bucket, and tells one from another.
pub(super) type Key = (Name, i64, Reverse<i64>);

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Held now, and nothing of its name was before.
    Added,
    /// Held now, and later than all of its name.
    Replaced,
    /// Held already.
    Unchanged,
    /// Held now among what was; a later one stands.
    Stale,
}

impl Item {
    /// All refusals of a sender have one name, and all consents to a category.
    pub(super) fn name(&self) -> Name {
        (self.msisdn, self.sender, self.refusal, if self.refusal { 0 } else { self.category })
    }

    /// Of two events of one name the later stands, and of two at the same moment the one that ends sooner.
    pub(super) fn key(&self) -> Key {
        (self.name(), self.at_ms, Reverse(self.expires_at_ms.unwrap_or(i64::MAX)))
    }
}

/// The events of one name among events in their order.
pub(super) fn named(items: &[Item], name: Name) -> &[Item] {
    let from = items.partition_point(|item| item.name() < name);
    let count = items[from..].partition_point(|item| item.name() == name);
    &items[from..from + count]
}

/// The last of each name among events in their order: what stands.
pub(super) fn last_of_each(items: &[Item]) -> impl Iterator<Item = &Item> {
    items.chunk_by(|a, b| a.name() == b.name()).filter_map(<[Item]>::last)
}

const REFUSAL: u8 = 1;
const SAME_NUMBER: u8 = 1 << 1;
const SECONDS: u8 = 1 << 2;
const ENDS_IN_DAYS: u8 = 1 << 3;
const ENDS_IN_SECONDS: u8 = 2 << 3;
const ENDS_AT: u8 = 3 << 3;
const ENDS: u8 = 3 << 3;
const SMALL_NAMES: u8 = 1 << 5;
const FREQUENCY: u8 = 1 << 6;
const RECORDED: u8 = 1 << 7;

/// 2020-01-01T00:00:00Z: moments in whole seconds of the 136 years from here take four octets.
const EPOCH_MS: i64 = 1_577_836_800_000;

const DAY_MS: i64 = 86_400_000;

/// Numbers of either sign as numbers without one, small ones small.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Category and method in one octet: most registers have few of either.
fn small_names(item: &Item) -> Option<u8> {
    let (category, method) = (u8::try_from(item.category).ok()?, u8::try_from(item.method).ok()?);
    (category < 16 && method < 16).then_some(category << 4 | method)
}

fn short_moment(at_ms: i64) -> Option<u32> {
    let after = at_ms.checked_sub(EPOCH_MS).filter(|after| after % 1_000 == 0)?;
    u32::try_from(after / 1_000).ok()
}

/// How an end is written, relative to the beginning where that is short.
fn ending(item: &Item) -> (u8, Option<u64>) {
    let Some(end) = item.expires_at_ms else { return (0, None) };
    let after = end.checked_sub(item.at_ms).and_then(|after| u64::try_from(after).ok());
    match after {
        Some(after) if after % DAY_MS.cast_unsigned() == 0 => (ENDS_IN_DAYS, Some(after / DAY_MS.cast_unsigned())),
        Some(after) if after % 1_000 == 0 => (ENDS_IN_SECONDS, Some(after / 1_000)),
        _ => (ENDS_AT, Some(end.cast_unsigned())),
    }
}

/// Appends an item; `before` is the number of the item before it.
pub(super) fn push(out: &mut Vec<u8>, item: &Item, before: Option<u64>) {
    let short = short_moment(item.at_ms);
    let (ends, end) = ending(item);
    let same = before == Some(item.msisdn);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let names = small_names(item);
    let small = flag(names.is_some(), SMALL_NAMES);
    let more = flag(item.frequency > 0, FREQUENCY) | flag(item.recorded_at_ms.is_some(), RECORDED);
    let moment = flag(short.is_some(), SECONDS) | ends;
    out.push(flag(item.refusal, REFUSAL) | flag(same, SAME_NUMBER) | moment | small | more);
    if !same {
        varint::push(out, item.msisdn.wrapping_sub(before.unwrap_or(0)));
    }
    varint::push(out, item.sender.into());
    match names {
        Some(names) => out.push(names),
        None => {
            varint::push(out, item.category.into());
            varint::push(out, item.method.into());
        }
    }
    match short {
        Some(seconds) => out.extend(seconds.to_le_bytes()),
        None => varint::push(out, zigzag(item.at_ms.wrapping_sub(EPOCH_MS))),
    }
    varint::push(out, item.evidence);
    end.into_iter().for_each(|end| varint::push(out, end));
    if item.frequency > 0 {
        varint::push(out, item.frequency.into());
    }
    item.recorded_at_ms.into_iter().for_each(|recorded| varint::push(out, delay(recorded, item.at_ms)));
}

/// How long after it was said an event was recorded: in seconds where it is whole ones.
fn delay(recorded_at_ms: i64, at_ms: i64) -> u64 {
    let delay = recorded_at_ms.wrapping_sub(at_ms);
    match delay.rem_euclid(1_000) {
        0 => zigzag(delay / 1_000) << 1 | 1,
        // Two bits short: a delay of more than 70 million years is none, and reads back as another.
        _ => zigzag(delay) << 1,
    }
}

fn undelay(delay: u64, at_ms: i64) -> i64 {
    let unit = if delay & 1 == 1 { 1_000 } else { 1 };
    at_ms.wrapping_add(unzigzag(delay >> 1).wrapping_mul(unit))
}

/// Shows the items of one number among octets in order of their names; steps over those before.
/// `None` where one of them is not whole.
pub(super) fn find(mut octets: &[u8], msisdn: u64, see: &mut dyn FnMut(Item)) -> Option<()> {
    let mut before = None;
    while !octets.is_empty() {
        let mut rest = octets;
        let (flags, number) = take_number(&mut rest, before)?;
        if number > msisdn {
            break;
        }
        if number == msisdn {
            see(take(&mut octets, before)?);
        } else {
            skip_fields(flags, &mut rest)?;
            octets = rest;
        }
        before = Some(number);
    }
    Some(())
}

/// Takes an item's flags and its number off the front.
fn take_number(octets: &mut &[u8], before: Option<u64>) -> Option<(u8, u64)> {
    let (&flags, rest) = octets.split_first()?;
    *octets = rest;
    let msisdn = match flags & SAME_NUMBER {
        0 => before.unwrap_or(0).wrapping_add(varint::take(octets)?),
        _ => before?,
    };
    Some((flags, msisdn))
}

/// Steps over what follows an item's number.
fn skip_fields(flags: u8, octets: &mut &[u8]) -> Option<()> {
    varint::skip(octets)?;
    match flags & SMALL_NAMES {
        0 => varint::skip(octets).and_then(|()| varint::skip(octets))?,
        _ => drop(take_octets::<1>(octets)?),
    }
    match flags & SECONDS {
        0 => varint::skip(octets)?,
        _ => drop(take_octets::<4>(octets)?),
    }
    varint::skip(octets)?;
    for more in [ENDS, FREQUENCY, RECORDED] {
        if flags & more != 0 {
            varint::skip(octets)?;
        }
    }
    Some(())
}

/// Takes an item off the front; `None` where there is no whole one.
pub(super) fn take(octets: &mut &[u8], before: Option<u64>) -> Option<Item> {
    let (flags, msisdn) = take_number(octets, before)?;
    let sender = varint::take(octets)?.try_into().ok()?;
    let (category, method) = match flags & SMALL_NAMES {
        0 => (varint::take(octets)?.try_into().ok()?, varint::take(octets)?.try_into().ok()?),
        _ => {
            let [names] = take_octets(octets)?;
            (u32::from(names >> 4), u32::from(names & 0xF))
        }
    };
    let at_ms = match flags & SECONDS {
        0 => EPOCH_MS.wrapping_add(unzigzag(varint::take(octets)?)),
        _ => EPOCH_MS + i64::from(u32::from_le_bytes(take_octets(octets)?)) * 1_000,
    };
    let evidence = varint::take(octets)?;
    let after = |unit: i64, count: u64| at_ms.checked_add(i64::try_from(count).ok()?.checked_mul(unit)?);
    let expires_at_ms = match flags & ENDS {
        0 => None,
        ENDS_IN_DAYS => Some(after(DAY_MS, varint::take(octets)?)?),
        ENDS_IN_SECONDS => Some(after(1_000, varint::take(octets)?)?),
        _ => Some(varint::take(octets)?.cast_signed()),
    };
    let frequency = match flags & FREQUENCY {
        0 => 0,
        _ => varint::take(octets)?.try_into().ok()?,
    };
    let recorded_at_ms = match flags & RECORDED {
        0 => None,
        _ => Some(undelay(varint::take(octets)?, at_ms)),
    };
    let refusal = flags & REFUSAL != 0;
    Some(Item { msisdn, sender, refusal, category, at_ms, expires_at_ms, method, evidence, frequency, recorded_at_ms })
}

fn take_octets<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moments() -> impl Strategy<Value = i64> {
        prop_oneof![
            any::<i64>(),
            any::<u32>().prop_map(|s| EPOCH_MS + i64::from(s) * 1_000),
            (-5..5_i64).prop_map(|d| EPOCH_MS + d * DAY_MS)
        ]
    }

    prop_compose! {
        fn items()(
            msisdn in prop_oneof![any::<u64>(), 8_613_000_000_000..8_613_000_000_004_u64],
            sender in any::<u32>(), refusal: bool, category in prop_oneof![any::<u32>(), 0..20_u32], at_ms in moments(),
            expires_at_ms in prop::option::of(moments()), method in prop_oneof![any::<u32>(), 0..20_u32], evidence in any::<u64>(),
            frequency in prop_oneof![Just(0), 1..300_u32], delay in prop::option::of(-90_000_000..9_000_000_000_000_i64), whole: bool,
        ) -> Item {
            let delay = delay.map(|delay| if whole { delay / 1_000 * 1_000 } else { delay });
            let recorded_at_ms = delay.map(|delay| at_ms.wrapping_add(delay));
            Item { msisdn, sender, refusal, category, at_ms, expires_at_ms, method, evidence, frequency, recorded_at_ms }
        }
    }

    proptest! {
        #[test]
        fn items_read_back(mut items in prop::collection::vec(items(), 1..20)) {
            items.sort_by_key(Item::key);
            let mut octets = Vec::new();
            let mut before = None;
            for item in &items {
                push(&mut octets, item, before);
                before = Some(item.msisdn);
            }
            let (mut left, mut before) = (octets.as_slice(), None);
            for item in &items {
                let read = take(&mut left, before);
                prop_assert_eq!(read.as_ref(), Some(item));
                before = Some(item.msisdn);
            }
            prop_assert!(left.is_empty());
        }

        #[test]
        fn any_octets_are_read_or_refused(octets: Vec<u8>) {
            let (mut left, mut before) = (octets.as_slice(), None);
            while let Some(item) = take(&mut left, before) {
                before = Some(item.msisdn);
            }
        }
    }

    #[test]
    fn a_usual_consent_is_short() {
        let item = Item {
            msisdn: 8_613_800_138_000,
            sender: 300,
            refusal: false,
            category: 2,
            at_ms: EPOCH_MS + 200_000_000_000,
            expires_at_ms: Some(EPOCH_MS + 200_000_000_000 + 365 * DAY_MS),
            method: 1,
            evidence: 70_000,
            frequency: 0,
            recorded_at_ms: None,
        };
        let length = |item: &Item| {
            let mut octets = Vec::new();
            push(&mut octets, item, Some(item.msisdn - 1_000_000_000));
            octets.len()
        };
        assert_eq!(length(&item), 18);
        let imported = Item { recorded_at_ms: Some(item.at_ms + 100 * DAY_MS), ..item };
        assert_eq!(length(&imported), 22);
        let said_now = Item { recorded_at_ms: Some(item.at_ms + 17), frequency: 1, ..item };
        assert_eq!(length(&said_now), 20);
    }

    /// As rows of the first layout have it: no frequency, no arrival.
    #[test]
    fn an_item_of_the_first_layout_is_read() {
        let octets = [0b10_0100, 0x80, 0x01, 5, 0x21, 1, 0, 0, 0, 9];
        let item = take(&mut octets.as_slice(), None).unwrap();
        assert_eq!((item.msisdn, item.sender, item.category, item.method), (128, 5, 2, 1));
        assert_eq!((item.at_ms, item.evidence), (EPOCH_MS + 1_000, 9));
        assert_eq!((item.frequency, item.recorded_at_ms), (0, None));
    }
}
