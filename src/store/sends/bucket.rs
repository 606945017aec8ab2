//! A bucket: what is held of some pairs, read and written as one row.
//!
//! Owns the row before it is sealed: pairs in order, each its name(8), a count(1) and its moments(12 each). A bucket of twenty
//! million pairs has some ten of them, and room for sixty moments of each. Refuses rows that are too long
//! for the engine: what is oldest goes, and that somebody was asked for consent goes last.

use super::{Fate, MOST, MOST_ALIKE, Moment, Pair};
use crate::store::sealed::PLAIN_BYTES;

pub(super) const BUCKET: u8 = b'P';

/// A row that was found damaged.
const ASIDE: u8 = b'X';

/// Bits of a pair that choose its bucket.
const BITS: u32 = 21;

/// Octets of a moment.
const MOMENT: usize = 12;

/// Which octet of a moment has its flags.
const FLAGS: usize = 10;

/// Octets before a pair's moments.
const HEAD: usize = 9;

const ASKS: u8 = 1;
const TAKEN: u8 = 1 << 1;
const UNKNOWN: u8 = 1 << 2;

/// Above the flags: which it is of those that are the same otherwise.
const NTH: u32 = 3;

const DAY_S: i64 = 86_400;

pub(super) const fn number(pair: Pair) -> u32 {
    (pair.0 >> (u64::BITS - BITS)) as u32
}

pub(super) fn key(pair: Pair) -> [u8; 5] {
    key_of(number(pair))
}

pub(super) fn key_of(number: u32) -> [u8; 5] {
    let [a, b, c, d] = number.to_be_bytes();
    [BUCKET, a, b, c, d]
}

/// Where a damaged row is set aside.
pub(super) fn key_aside(number: u32) -> [u8; 5] {
    let [_, rest @ ..] = key_of(number);
    let [a, b, c, d] = rest;
    [ASIDE, a, b, c, d]
}

/// The moments of one pair; `None` where the row is not whole.
pub(super) fn find(mut row: &[u8], pair: Pair, opening: u8) -> Option<Vec<Moment>> {
    while !row.is_empty() {
        let (found, moments) = take(&mut row)?;
        if found == pair {
            return Some(moments.chunks_exact(MOMENT).filter_map(|octets| decode(octets, opening)).collect());
        }
        if found > pair {
            break;
        }
    }
    Some(Vec::new())
}

/// Every pair of a row and its moments; `None` where the row is not whole.
pub(super) fn all(mut row: &[u8], opening: u8) -> Option<Vec<(Pair, Vec<Moment>)>> {
    let mut pairs = Vec::new();
    while !row.is_empty() {
        let (pair, moments) = take(&mut row)?;
        pairs.push((pair, moments.chunks_exact(MOMENT).filter_map(|octets| decode(octets, opening)).collect()));
    }
    Some(pairs)
}

/// The row with fresh pairs, in order, in the place of the old ones, and without what no longer matters.
pub(super) fn merged<'m>(
    mut row: &[u8],
    fresh: impl Iterator<Item = (Pair, &'m [Moment])>,
    opening: u8,
    now_s: i64,
) -> Option<Vec<u8>> {
    let mut pairs: Vec<(Pair, Vec<Stored>)> = Vec::new();
    while !row.is_empty() {
        let (pair, octets) = take(&mut row)?;
        pairs.push((pair, octets.chunks_exact(MOMENT).filter_map(|octets| octets.try_into().ok()).collect()));
    }
    for (pair, moments) in fresh {
        let stored: Vec<Stored> = moments.iter().map(|moment| encode(moment, opening)).collect();
        match pairs.binary_search_by_key(&pair, |(pair, _)| *pair) {
            Ok(at) => pairs[at].1 = stored,
            Err(at) => pairs.insert(at, (pair, stored)),
        }
    }
    for (_, moments) in &mut pairs {
        moments.retain(|moment| ends_s(moment) > now_s);
        while moments.len() > MOST
            && let Some((at, _)) = first_to_go(moments)
        {
            moments.remove(at);
        }
    }
    pairs.retain(|(_, moments)| !moments.is_empty());
    make_room(&mut pairs);
    let mut row = Vec::with_capacity(pairs.len() * 24);
    for (pair, moments) in pairs.iter().filter(|(_, moments)| !moments.is_empty()) {
        row.extend(pair.0.to_be_bytes());
        row.push(u8::try_from(moments.len()).unwrap_or(u8::MAX));
        row.extend(moments.iter().flatten());
    }
    Some(row)
}

/// Whether a moment of the row no longer matters; `None` where the row is not whole.
pub(super) fn has_ended(mut row: &[u8], now_s: i64) -> Option<bool> {
    let mut ended = false;
    while !row.is_empty() {
        let (_, octets) = take(&mut row)?;
        ended |= octets.as_chunks::<MOMENT>().0.iter().any(|moment| ends_s(moment) <= now_s);
    }
    Some(ended)
}

type Stored = [u8; MOMENT];

/// Takes out what is oldest until the row fits; a request for consent must not be sent again, so it goes last.
fn make_room(pairs: &mut [(Pair, Vec<Stored>)]) {
    let mut octets: usize = pairs.iter().map(|(_, moments)| HEAD + moments.len() * MOMENT).sum();
    let mut dropped = 0_usize;
    while octets > PLAIN_BYTES {
        let each = pairs.iter_mut().filter_map(|(_, moments)| {
            let (at, rank) = first_to_go(moments)?;
            Some((moments, at, rank))
        });
        let Some((moments, at, _)) = each.min_by_key(|(_, _, rank)| *rank) else { break };
        moments.remove(at);
        octets -= MOMENT + if moments.is_empty() { HEAD } else { 0 };
        dropped += 1;
    }
    if dropped > 0 {
        tracing::warn!(dropped, "a bucket of counts is full: what is oldest counts no more");
    }
}

/// The moment that matters least, and how much it does.
fn first_to_go(moments: &[Stored]) -> Option<(usize, (bool, i64))> {
    let rank = |stored: &Stored| (stored[FLAGS] & ASKS != 0, at_s(stored));
    moments.iter().map(rank).enumerate().min_by_key(|(_, rank)| *rank)
}

fn take<'r>(row: &mut &'r [u8]) -> Option<(Pair, &'r [u8])> {
    let (pair, rest) = row.split_first_chunk()?;
    let (&count, rest) = rest.split_first()?;
    let (moments, rest) = rest.split_at_checked(usize::from(count) * MOMENT)?;
    *row = rest;
    Some((Pair(u64::from_be_bytes(*pair)), moments))
}

fn encode(moment: &Moment, opening: u8) -> Stored {
    let fate = match moment.fate {
        Fate::Open => 0,
        Fate::Taken => TAKEN,
        Fate::Unknown => UNKNOWN,
    };
    let asks = if moment.asks { ASKS } else { 0 };
    let [a, b, c, d] = moment.at_s.to_le_bytes();
    let [e, f, g, h] = moment.mark.to_le_bytes();
    let [i, j] = moment.keep_days.to_le_bytes();
    [a, b, c, d, e, f, g, h, i, j, fate | asks | moment.nth.min(MOST_ALIKE) << NTH, opening]
}

fn decode(octets: &[u8], opening: u8) -> Option<Moment> {
    let [a, b, c, d, e, f, g, h, i, j, flags, opened] = *<&Stored>::try_from(octets).ok()?;
    let fate = match (flags & TAKEN != 0, flags & UNKNOWN != 0 || opened != opening) {
        (true, _) => Fate::Taken,
        (false, true) => Fate::Unknown,
        (false, false) => Fate::Open,
    };
    Some(Moment {
        at_s: u32::from_le_bytes([a, b, c, d]),
        mark: u32::from_le_bytes([e, f, g, h]),
        keep_days: u16::from_le_bytes([i, j]),
        asks: flags & ASKS != 0,
        nth: flags >> NTH,
        fate,
    })
}

fn at_s(stored: &Stored) -> i64 {
    let [a, b, c, d, ..] = *stored;
    i64::from(u32::from_le_bytes([a, b, c, d]))
}

fn ends_s(stored: &Stored) -> i64 {
    let [.., i, j, _, _] = *stored;
    // A day more, for whatever zone the days are of.
    at_s(stored) + (i64::from(u16::from_le_bytes([i, j])) + 1) * DAY_S
}
