//! Old events of the few subscribers who say very much, out of their bucket's way.
//!
//! Owns rows `H` code of the subscriber(8) sender(4) refusal(1) category(4) first moment(8), each a run of events
//! of one name. A bucket stays small that way whoever says what how often. An event may lie here
//! and in its bucket for a moment, never in neither. Driven by the ledger.

use std::collections::HashSet;

use super::item::{self, Item, Key, Shared};
use crate::store::engine::{Engine, EngineError, Fault};

pub(super) const ARCHIVE: u8 = b'H';

/// Events in one row: each takes less than 80 octets.
const RUN: usize = 64;

fn key(first: &Item) -> Vec<u8> {
    let (code, sender, refusal, category) = first.name();
    let mut key = vec![ARCHIVE];
    key.extend(code.to_be_bytes());
    key.extend(sender.to_be_bytes());
    key.push(refusal.into());
    key.extend(category.to_be_bytes());
    // Moments before 1970 come first as well.
    key.extend((first.at_ms.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key
}

/// Puts events of one name, in their order, without those that lie here already.
pub(super) fn put(items: &[Item], engine: &dyn Engine) -> Result<(), EngineError> {
    let Some(first) = items.first() else { return Ok(()) };
    let old = of(first.code, engine)?;
    let new: Vec<Item> = items.iter().filter(|item| !old.iter().any(|old| old.key() == item.key())).copied().collect();
    for run in new.chunks(RUN) {
        if let Some(first) = run.first() {
            engine.put(&free_key(first, engine)?, &encode(run))?;
        }
    }
    Ok(())
}

/// The key of a run; where another run began at the same moment, the next one that is free.
fn free_key(first: &Item, engine: &dyn Engine) -> Result<Vec<u8>, EngineError> {
    let mut key = key(first);
    while engine.get(&key)?.is_some() {
        key.push(0);
    }
    Ok(key)
}

/// Takes out some of a subscriber's, run by run.
pub(super) fn remove(code: u64, gone: &HashSet<Key>, engine: &dyn Engine) -> Result<(), EngineError> {
    let mut runs = Vec::new();
    let (from, until) = bounds(code);
    engine.scan(&from, &until, &mut |key, octets| {
        runs.push((key.to_vec(), item::take_all(octets, Shared::NOTHING)));
        true
    })?;
    for (key, run) in runs {
        let mut run = run.ok_or_else(damaged)?;
        let before = run.len();
        run.retain(|item| !gone.contains(&item.key()));
        match run.len() {
            0 => engine.remove(&key)?,
            left if left < before => engine.put(&key, &encode(&run))?,
            _ => {}
        }
    }
    Ok(())
}

/// All of a subscriber's that lie here.
pub(super) fn of(code: u64, engine: &dyn Engine) -> Result<Vec<Item>, EngineError> {
    let (from, until) = bounds(code);
    let (mut items, mut whole) = (Vec::new(), true);
    engine.scan(&from, &until, &mut |_, octets| {
        match item::take_all(octets, Shared::NOTHING) {
            Some(run) => items.extend(run),
            None => whole = false,
        }
        whole
    })?;
    if whole { Ok(items) } else { Err(damaged()) }
}

fn bounds(code: u64) -> (Vec<u8>, Vec<u8>) {
    let bound = |code: u64| [&[ARCHIVE][..], &code.to_be_bytes()].concat();
    (bound(code), code.checked_add(1).map_or(vec![ARCHIVE + 1], bound))
}

fn damaged() -> EngineError {
    EngineError { fault: Fault::Broken, what: "archived events of a subscriber".to_owned() }
}

fn encode(run: &[Item]) -> Vec<u8> {
    let (mut octets, mut before) = (Vec::new(), None);
    for item in run {
        item::push(&mut octets, item, before, Shared::NOTHING.bits);
        before = Some(item.code);
    }
    octets
}
