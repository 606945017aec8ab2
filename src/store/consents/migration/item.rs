//! Items as layouts 1 and 2 had them, to be read.
//!
//! Owns the decoding. Where later items have a code, these have the number itself. Refuses to write any.
//! Driven by the migration.

use crate::store::consents::item::{Arrival, Item};
use crate::store::varint;

const REFUSAL: u8 = 1;
const SAME_NUMBER: u8 = 1 << 1;
const SECONDS: u8 = 1 << 2;
const ENDS_IN_DAYS: u8 = 1 << 3;
const ENDS_IN_SECONDS: u8 = 2 << 3;
const ENDS: u8 = 3 << 3;
const SMALL_NAMES: u8 = 1 << 5;
const FREQUENCY: u8 = 1 << 6;
const RECORDED: u8 = 1 << 7;

/// 2020-01-01T00:00:00Z: moments in whole seconds of the 136 years from here take four octets.
const EPOCH_MS: i64 = 1_577_836_800_000;

const DAY_MS: i64 = 86_400_000;

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn undelay(delay: u64, at_ms: i64) -> i64 {
    let unit = if delay & 1 == 1 { 1_000 } else { 1 };
    at_ms.wrapping_add(unzigzag(delay >> 1).wrapping_mul(unit))
}

/// Takes all items; `None` where there is one that is not whole. Each has its number in the place of the code.
pub(super) fn take_all(mut octets: &[u8]) -> Option<Vec<Item>> {
    let mut items: Vec<Item> = Vec::with_capacity(octets.len() / 16);
    while !octets.is_empty() {
        let item = take(&mut octets, items.last().map(|item| item.code))?;
        items.push(item);
    }
    Some(items)
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

/// Takes an item off the front; `None` where there is no whole one.
fn take(octets: &mut &[u8], before: Option<u64>) -> Option<Item> {
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
    let arrival = match flags & RECORDED {
        0 => Arrival::Unknown,
        _ => Arrival::At(undelay(varint::take(octets)?, at_ms)),
    };
    let refusal = flags & REFUSAL != 0;
    let item =
        Item { code: msisdn, sender, refusal, category, at_ms, expires_at_ms, method, evidence, frequency, arrival };
    Some(item)
}

fn take_octets<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(*taken)
}
