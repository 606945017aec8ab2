//! Whether a journal is as it was written: heads, days, and that none is missing.
//!
//! Owns the comparison of what is signed with what is there. Tells a day that has expired, and was signed
//! to have, from one that is missing. Changes nothing, and goes on after a fault to find the next. Driven
//! by the command line and by the gate, for whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::days::Days;
use super::heads::{Extent, Kept, KnownHead, Reached, Running, Standing, Wrong};
use super::layout::VERSION_1;
use super::swap::TABLE;
use super::{Day, EntryId};
use crate::store::StoreError;

mod walk;

use walk::{Signed, Walk};

/// What is to be verified; by default everything.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Check {
    /// Only this day, as in `20261124`, and all heads.
    pub day: Option<String>,
    /// Only the heads, and whether their days are there.
    pub heads_only: bool,
    /// Heads that were kept elsewhere.
    pub against: Vec<KnownHead>,
}

/// Something that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// The day it is in, or the file.
    pub place: String,
    /// The first entry of the block it is in, or from which on it is.
    pub entry: Option<String>,
    /// What is the matter.
    pub what: String,
}

/// What was verified.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Verified {
    /// Heads read.
    pub heads: u64,
    /// Days looked into.
    pub days: u64,
    /// Days that have expired.
    pub expired: u64,
    /// Days of layout 1, which has no chain.
    pub unchained: Vec<String>,
    /// Blocks followed.
    pub blocks: u64,
    /// Entries in them.
    pub entries: u64,
    /// What is not as it was written.
    pub faults: u64,
}

/// One verification.
struct Verifying<'v> {
    days: &'v Days,
    check: &'v Check,
    emit: &'v mut dyn FnMut(Fault) -> bool,
    found: Verified,
}

/// Goes on, or ends because nobody listens any more.
type Flow = ControlFlow<()>;

impl Days {
    pub(super) fn verify(&self, check: &Check, emit: &mut dyn FnMut(Fault) -> bool) -> Result<Verified, StoreError> {
        let mut verifying = Verifying { days: self, check, emit, found: Verified::default() };
        // Where nobody listens any more, what was found so far is all that is said.
        let _ = verifying.run()?;
        Ok(verifying.found)
    }
}

impl Verifying<'_> {
    fn run(&mut self) -> Result<Flow, StoreError> {
        let (heads, wrong) = self.days.heads.read()?;
        let tip = self.days.heads.read_tip();
        let kept = self.days.heads.kept_tips()?;
        let steps = self.wrong(wrong).is_break()
            || self.kept_tips(kept).is_break()
            || self.chain_of(&heads).is_break()
            || self.kept_elsewhere(&heads).is_break()
            || self.tip(&heads, &tip)?.is_break();
        if steps {
            return Ok(Flow::Break(()));
        }
        let tip = tip.ok().flatten();
        let mut last: BTreeMap<Day, &KnownHead> = BTreeMap::new();
        for known in &heads {
            if let Ok(day) = known.head.day.parse() {
                last.insert(day, known);
            }
        }
        let reached = tip.as_ref().map(Running::reached).unwrap_or_default();
        let written = reached.iter().filter_map(|reached| reached.day.parse().ok());
        let all: BTreeSet<Day> = last.keys().copied().chain(self.days.list()?).chain(written).collect();
        for day in all {
            if self.check.day.as_ref().is_some_and(|wanted| *wanted != day.to_string()) {
                continue;
            }
            let head = last.get(&day).copied();
            let tip = reached.iter().find(|reached| reached.day == day.to_string());
            // It is not rewritten, sealed or deleted meanwhile; what was signed since the heads were read counts.
            let _alone = self.days.alone();
            let since = self.days.heads.of(day)?.filter(|known| known.head.serial > heads.len() as u64);
            let checked = self.day(day, since.as_ref().or(head), tip);
            if checked.is_break() {
                return Ok(Flow::Break(()));
            }
        }
        self.set_aside()
    }

    fn fault(&mut self, place: impl Into<String>, entry: Option<EntryId>, what: impl Into<String>) -> Flow {
        self.found.faults += 1;
        let entry = entry.map(|entry| entry.to_string());
        match (self.emit)(Fault { place: place.into(), entry, what: what.into() }) {
            true => Flow::Continue(()),
            false => Flow::Break(()),
        }
    }

    fn wrong(&mut self, wrong: Vec<Wrong>) -> Flow {
        wrong.into_iter().try_for_each(|Wrong { file, what }| self.fault(format!("heads/{file}"), None, what))
    }

    /// What the journal once did not match, whatever was signed since.
    fn kept_tips(&mut self, kept: Vec<Kept>) -> Flow {
        kept.into_iter().try_for_each(|Kept { file, why, .. }| {
            self.fault(
                format!("heads/{file}"),
                None,
                format!("the journal was not as it was signed when it was opened: {why}"),
            )
        })
    }

    /// Each head names the one before.
    fn chain_of(&mut self, heads: &[KnownHead]) -> Flow {
        self.found.heads = heads.len() as u64;
        let mut before: Option<&KnownHead> = None;
        for known in heads {
            let expected = before.map_or(0, |before| before.head.serial) + 1;
            let names = known.head.before.as_ref();
            let place = format!("heads/{}", known.head.day);
            if known.head.serial > expected {
                let missing = known.head.serial - expected;
                self.fault(
                    place,
                    None,
                    format!("{missing} heads before the one with serial {} are missing", known.head.serial),
                )?;
            } else if known.head.serial < expected || names != before.map(|before| &before.sha256) {
                self.fault(place, None, format!("head {} does not name the one before it", known.head.serial))?;
            }
            before = Some(known);
        }
        Flow::Continue(())
    }

    fn kept_elsewhere(&mut self, heads: &[KnownHead]) -> Flow {
        for kept in &self.check.against {
            let place = format!("heads/{}", kept.head.day);
            match heads.iter().find(|known| known.head.serial == kept.head.serial) {
                Some(known) if known.sha256 == kept.sha256 => {}
                Some(_) => self.fault(
                    place,
                    None,
                    format!("head {} is another than the one kept elsewhere", kept.head.serial),
                )?,
                None => self.fault(place, None, format!("head {}, kept elsewhere, is missing", kept.head.serial))?,
            }
        }
        Flow::Continue(())
    }

    fn tip(&mut self, heads: &[KnownHead], tip: &Result<Option<Running>, Wrong>) -> Result<Flow, StoreError> {
        let place = "heads/tip";
        Ok(match tip {
            Err(Wrong { what, .. }) => self.fault(place, None, what),
            Ok(None) if heads.iter().any(|known| known.head.standing == Standing::Sealed) || self.has_open_day()? => {
                self.fault(place, None, "is missing: how far the last day had come is not known")
            }
            Ok(None) => Flow::Continue(()),
            Ok(Some(tip)) => {
                let named = tip.head.as_ref();
                let is_there = |(serial, sha256): &(u64, String)| {
                    heads.iter().any(|known| known.head.serial == *serial && known.sha256 == *sha256)
                };
                match named.filter(|named| !is_there(named)) {
                    Some((serial, _)) => {
                        self.fault(place, None, format!("names head {serial}, which is missing or another"))
                    }
                    None => Flow::Continue(()),
                }
            }
        })
    }

    /// Whether there is a day with a chain that is not sealed: who wrote it has signed how far it had come.
    fn has_open_day(&self) -> Result<bool, StoreError> {
        let keys = self.days.keys.names()?;
        let is_chained = |day: &Day| keys.iter().any(|name| name.starts_with(&format!("{day}-content")));
        let is_open = |day: &Day| !self.days.path(*day).join(TABLE).exists();
        Ok(self.days.list()?.iter().any(|day| is_chained(day) && is_open(day)))
    }

    /// A day whose folder is not there.
    fn gone(&mut self, day: Day, head: Option<&KnownHead>) -> Flow {
        if head.is_some_and(|known| known.head.standing == Standing::Expired) {
            self.found.expired += 1;
            return Flow::Continue(());
        }
        self.fault(day.to_string(), None, "the day is missing, and was not signed to have expired")
    }

    /// Whether a day was only about to begin: its keys are made before its first row.
    fn is_unbegun(&self, day: Day) -> bool {
        let has_key = |names: Vec<String>| names.iter().any(|name| name.starts_with(&format!("{day}-")));
        self.days.path(day).is_dir() && self.days.keys.names().is_ok_and(|names| !has_key(names))
    }

    fn day(&mut self, day: Day, head: Option<&KnownHead>, tip: Option<&Reached>) -> Flow {
        let expired = head.is_some_and(|known| known.head.standing == Standing::Expired);
        let store = match self.days.reader(day) {
            Ok(Some(store)) => store,
            Ok(None) if head.is_none() && tip.is_none() && self.is_unbegun(day) => return Flow::Continue(()),
            Ok(None) => return self.gone(day, head),
            Err(StoreError::Expired { .. }) if expired => {
                self.found.expired += 1;
                return Flow::Continue(());
            }
            Err(e) => return self.fault(day.to_string(), None, e.to_string()),
        };
        if store.layout == VERSION_1 {
            self.found.unchained.push(day.to_string());
            return Flow::Continue(());
        }
        self.found.days += 1;
        if self.check.heads_only {
            return Flow::Continue(());
        }
        let extents =
            head.filter(|_| !expired).and_then(|known| known.head.extent.as_ref().map(|extent| (known, extent)));
        let mut signed = Vec::new();
        if let Some((known, Extent { entries, blocks, chain, .. })) = extents {
            let by = format!("head {}", known.head.serial);
            signed.push(Signed { by, entries: *entries, blocks: *blocks, chain: chain.clone() });
        } else if store.is_table() && !expired && self.fault(day.to_string(), None, "the day has no head").is_break() {
            return Flow::Break(());
        }
        let rewritten = head.is_some_and(|known| known.head.standing != Standing::Sealed);
        if let Some(Reached { entries, blocks, chain, .. }) = tip.filter(|_| !rewritten) {
            let by = "the tip signed last".to_owned();
            signed.push(Signed { by, entries: *entries, blocks: *blocks, chain: chain.clone() });
        }
        let signalling_expired = head.is_some_and(|known| known.head.signalling_expired);
        let end = extents.filter(|_| store.is_table()).map(|(_, extent)| extent);
        let walk = Walk::new(&store, signed, end, signalling_expired);
        let flow = walk.run(&mut |entry, what| self.fault(day.to_string(), entry, what));
        match flow {
            Ok((blocks, entries)) => {
                self.found.blocks += blocks;
                // What is not in a block yet is sealed, and not in the chain.
                self.found.entries += entries + store.tail().pending.len() as u64;
                Flow::Continue(())
            }
            Err(flow) => flow,
        }
    }

    /// Days that could not be read once, and were set aside for new ones.
    fn set_aside(&mut self) -> Result<Flow, StoreError> {
        for name in self.days.names()? {
            if let Some((day, _)) = name.split_once(".broken-")
                && self.check.day.as_ref().is_none_or(|wanted| wanted == day)
                && self.fault(name.clone(), None, "could not be read, and was set aside for a new day").is_break()
            {
                return Ok(Flow::Break(()));
            }
        }
        Ok(Flow::Continue(()))
    }
}
