//! One event of one subscriber, and how it lies in a bucket.
//!
//! Owns the order of events, in which the last of a name is the one that stands, and the encoding,
//! which keeps the whole code of the number but for the low bits that all of a bucket share: no collision
//! can show one subscriber another's consent. Earlier events stay beside the last one, which costs nothing
//! where there is one. Driven by the ledger.

use std::cmp::Reverse;

use super::address::mask;
use crate::store::varint;

/// A consent to a category, a refusal of a sender, or a change of the number's holder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Item {
    /// The code of the subscriber's number.
    pub(super) code: u64,
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
    pub(super) arrival: Arrival,
}

/// When the store took an event in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// Nobody knows: it is from before that was kept.
    Unknown,
    /// Together with very many others, at the moment of this number.
    Batch(u32),
    /// At this moment.
    At(i64),
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
        (self.code, self.sender, self.refusal, if self.refusal { 0 } else { self.category })
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

// The first octet. What follows it: more flags where it says so; how far the code's high bits are from those
// of the item before, unless they are the same; sender, names, moment, evidence, end, frequency, arrival.
const REFUSAL: u8 = 1;
const SAME_NUMBER: u8 = 1 << 1;
const SMALL_NAMES: u8 = 1 << 2;
const MILLISECONDS: u8 = 1 << 3;
const ENDS: u8 = 3 << 4;
const ENDS_IN_DAYS: u8 = 1 << 4;
const ENDS_IN_SECONDS: u8 = 2 << 4;
/// An octet more says how it ends, and what is rare.
const MORE: u8 = 3 << 4;
const ARRIVAL: u8 = 3 << 6;
const IN_BATCH: u8 = 1 << 6;
const LATER_BY_SECONDS: u8 = 2 << 6;
const LATER_BY_MILLISECONDS: u8 = 3 << 6;

// The octet more. Its end is written as in the first octet, or whole.
const ENDS_AT: u8 = MORE;
const FREQUENCY: u8 = 1;
const ODD_MOMENT: u8 = 1 << 1;

/// 2020-01-01T00:00:00Z: from here, 136 years of moments in whole seconds take four octets, and 34 of any in five.
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

fn small_seconds(at_ms: i64) -> Option<u32> {
    let after = at_ms.checked_sub(EPOCH_MS).filter(|after| after % 1_000 == 0)?;
    u32::try_from(after / 1_000).ok()
}

fn small_milliseconds(at_ms: i64) -> Option<[u8; 5]> {
    let [a, b, c, d, e, 0, 0, 0] = at_ms.checked_sub(EPOCH_MS)?.to_le_bytes() else { return None };
    Some([a, b, c, d, e])
}

/// How an end is written, relative to the beginning where that is short.
fn ending(item: &Item) -> (u8, Option<u64>) {
    let Some(end) = item.expires_at_ms else { return (0, None) };
    let after = end.checked_sub(item.at_ms).and_then(|after| u64::try_from(after).ok());
    match after {
        Some(after) if after % DAY_MS.cast_unsigned() == 0 => (ENDS_IN_DAYS, Some(after / DAY_MS.cast_unsigned())),
        Some(after) if after % 1_000 == 0 => (ENDS_IN_SECONDS, Some(after / 1_000)),
        _ => (ENDS_AT, Some(zigzag(end.wrapping_sub(item.at_ms)))),
    }
}

/// How an arrival is written.
fn arriving(item: &Item) -> (u8, Option<u64>) {
    match item.arrival {
        Arrival::Unknown => (0, None),
        Arrival::Batch(number) => (IN_BATCH, Some(number.into())),
        Arrival::At(at_ms) => match at_ms.wrapping_sub(item.at_ms) {
            delay if delay % 1_000 == 0 => (LATER_BY_SECONDS, Some(zigzag(delay / 1_000))),
            delay => (LATER_BY_MILLISECONDS, Some(zigzag(delay))),
        },
    }
}

/// Appends an item without the `shared` low bits of its code; `before` is the code of the item before it.
pub(super) fn push(out: &mut Vec<u8>, item: &Item, before: Option<u64>, shared: u32) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let (seconds, milliseconds) = (small_seconds(item.at_ms), small_milliseconds(item.at_ms));
    let is_odd = seconds.is_none() && milliseconds.is_none();
    let ((ends, end), (arrives, arrival), names) = (ending(item), arriving(item), small_names(item));
    let has_more = ends == ENDS_AT || item.frequency > 0 || is_odd;
    let is_same = before == Some(item.code);
    let shape = flag(names.is_some(), SMALL_NAMES) | flag(seconds.is_none(), MILLISECONDS) | arrives;
    let ends_or_more = if has_more { MORE } else { ends };
    out.push(flag(item.refusal, REFUSAL) | flag(is_same, SAME_NUMBER) | shape | ends_or_more);
    if has_more {
        out.push(ends | flag(item.frequency > 0, FREQUENCY) | flag(is_odd, ODD_MOMENT));
    }
    if !is_same {
        varint::push(out, high(item.code, shared).wrapping_sub(before.map_or(0, |before| high(before, shared))));
    }
    varint::push(out, item.sender.into());
    match names {
        Some(names) => out.push(names),
        None => {
            varint::push(out, item.category.into());
            varint::push(out, item.method.into());
        }
    }
    match (seconds, milliseconds) {
        (Some(seconds), _) => out.extend(seconds.to_le_bytes()),
        (None, Some(milliseconds)) => out.extend(milliseconds),
        (None, None) => varint::push(out, zigzag(item.at_ms.wrapping_sub(EPOCH_MS))),
    }
    varint::push(out, item.evidence);
    end.into_iter().for_each(|end| varint::push(out, end));
    if item.frequency > 0 {
        varint::push(out, item.frequency.into());
    }
    arrival.into_iter().for_each(|arrival| varint::push(out, arrival));
}

/// A code without its low bits.
fn high(code: u64, shared: u32) -> u64 {
    code >> shared
}

/// The bits that all codes among some octets share: how many, and which.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    pub(super) bits: u32,
    pub(super) low: u64,
}

impl Shared {
    /// Of items that lie among nobody else's.
    pub(super) const NOTHING: Self = Self { bits: 0, low: 0 };

    fn whole(self, high: u64) -> Option<u64> {
        let code = high << self.bits | self.low;
        (code >> self.bits == high).then_some(code)
    }
}

/// Shows the items of one code among octets in order of their names; steps over those before.
/// `None` where one of them is not whole.
pub(super) fn find(mut octets: &[u8], shared: Shared, code: u64, see: &mut dyn FnMut(Item)) -> Option<()> {
    if (code ^ shared.low) & mask(shared.bits) != 0 {
        return Some(());
    }
    let (sought, mut before) = (high(code, shared.bits), None);
    while !octets.is_empty() {
        let mut rest = octets;
        let head = Head::take(&mut rest, before)?;
        if head.high > sought {
            break;
        }
        if head.high == sought {
            see(head.take_item(&mut rest, shared)?);
        } else {
            head.skip_item(&mut rest)?;
        }
        octets = rest;
        before = Some(head.high);
    }
    Some(())
}

/// What an item begins with.
#[derive(Clone, Copy)]
struct Head {
    flags: u8,
    more: u8,
    /// Its code without the low bits.
    high: u64,
}

impl Head {
    fn take(octets: &mut &[u8], before: Option<u64>) -> Option<Self> {
        let [flags] = take_octets(octets)?;
        // Without another octet the first one says it all.
        let more = match flags & ENDS {
            MORE => take_octets::<1>(octets)?[0],
            ends => ends,
        };
        let high = match flags & SAME_NUMBER {
            0 => before.unwrap_or(0).wrapping_add(varint::take(octets)?),
            _ => before?,
        };
        Some(Self { flags, more, high })
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Steps over what follows.
    fn skip_item(self, octets: &mut &[u8]) -> Option<()> {
        varint::skip(octets)?;
        match self.has(SMALL_NAMES) {
            true => drop(take_octets::<1>(octets)?),
            false => varint::skip(octets).and_then(|()| varint::skip(octets))?,
        }
        match (self.more & ODD_MOMENT != 0, self.has(MILLISECONDS)) {
            (true, _) => varint::skip(octets)?,
            (false, true) => drop(take_octets::<5>(octets)?),
            (false, false) => drop(take_octets::<4>(octets)?),
        }
        varint::skip(octets)?;
        for is_there in [self.more & ENDS != 0, self.more & FREQUENCY != 0, self.has(ARRIVAL)] {
            if is_there {
                varint::skip(octets)?;
            }
        }
        Some(())
    }

    /// Takes what follows off the front.
    fn take_item(self, octets: &mut &[u8], shared: Shared) -> Option<Item> {
        let sender = varint::take(octets)?.try_into().ok()?;
        let (category, method) = match self.has(SMALL_NAMES) {
            false => (varint::take(octets)?.try_into().ok()?, varint::take(octets)?.try_into().ok()?),
            true => {
                let [names] = take_octets(octets)?;
                (u32::from(names >> 4), u32::from(names & 0xF))
            }
        };
        let at_ms = self.take_moment(octets)?;
        let evidence = varint::take(octets)?;
        let after = |unit: i64, count: u64| at_ms.checked_add(i64::try_from(count).ok()?.checked_mul(unit)?);
        let expires_at_ms = match self.more & ENDS {
            0 => None,
            ENDS_IN_DAYS => Some(after(DAY_MS, varint::take(octets)?)?),
            ENDS_IN_SECONDS => Some(after(1_000, varint::take(octets)?)?),
            _ => Some(at_ms.wrapping_add(unzigzag(varint::take(octets)?))),
        };
        let frequency = match self.more & FREQUENCY {
            0 => 0,
            _ => varint::take(octets)?.try_into().ok()?,
        };
        let arrival = match self.flags & ARRIVAL {
            0 => Arrival::Unknown,
            IN_BATCH => Arrival::Batch(varint::take(octets)?.try_into().ok()?),
            LATER_BY_SECONDS => Arrival::At(at_ms.wrapping_add(unzigzag(varint::take(octets)?).wrapping_mul(1_000))),
            _ => Arrival::At(at_ms.wrapping_add(unzigzag(varint::take(octets)?))),
        };
        let (code, refusal) = (shared.whole(self.high)?, self.has(REFUSAL));
        Some(Item { code, sender, refusal, category, at_ms, expires_at_ms, method, evidence, frequency, arrival })
    }

    fn take_moment(self, octets: &mut &[u8]) -> Option<i64> {
        if self.more & ODD_MOMENT != 0 {
            return Some(EPOCH_MS.wrapping_add(unzigzag(varint::take(octets)?)));
        }
        if self.has(MILLISECONDS) {
            let [a, b, c, d, e] = take_octets(octets)?;
            return Some(EPOCH_MS + i64::from_le_bytes([a, b, c, d, e, 0, 0, 0]));
        }
        Some(EPOCH_MS + i64::from(u32::from_le_bytes(take_octets(octets)?)) * 1_000)
    }
}

/// Takes all items; `None` where there is one that is not whole.
pub(super) fn take_all(mut octets: &[u8], shared: Shared) -> Option<Vec<Item>> {
    let (mut items, mut before) = (Vec::with_capacity(octets.len() / 10), None);
    while !octets.is_empty() {
        let head = Head::take(&mut octets, before)?;
        items.push(head.take_item(&mut octets, shared)?);
        before = Some(head.high);
    }
    Some(items)
}

fn take_octets<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests;
