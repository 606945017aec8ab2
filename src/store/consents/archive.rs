//! Old events of the few subscribers who say very much, out of their bucket's way.
//!
//! Owns rows `H` code of the subscriber(8) sender(4) refusal(1) category(4) first moment(8), each a run of events
//! of one name. A bucket stays small that way whoever says what how often. An event may lie here
//! and in its bucket for a moment, never in neither. Driven by the ledger.

use super::item::{self, Item, Shared};
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
        let mut octets = Vec::new();
        let mut before = None;
        for item in run {
            item::push(&mut octets, item, before, Shared::NOTHING.bits);
            before = Some(item.code);
        }
        if let Some(first) = run.first() {
            engine.put(&free_key(first, engine)?, &octets)?;
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

/// All of a subscriber's that lie here.
pub(super) fn of(code: u64, engine: &dyn Engine) -> Result<Vec<Item>, EngineError> {
    let bound = |code: u64| [&[ARCHIVE][..], &code.to_be_bytes()].concat();
    let until = code.checked_add(1).map_or(vec![ARCHIVE + 1], bound);
    let (mut items, mut whole) = (Vec::new(), true);
    engine.scan(&bound(code), &until, &mut |_, octets| {
        match item::take_all(octets, Shared::NOTHING) {
            Some(run) => items.extend(run),
            None => whole = false,
        }
        whole
    })?;
    match whole {
        true => Ok(items),
        false => Err(EngineError { fault: Fault::Broken, what: "archived events of a subscriber".to_owned() }),
    }
}
