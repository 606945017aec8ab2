//! How far the day being written has come, signed now and then.
//!
//! Owns the file of the tip, which is replaced each time and speaks of every day that has no head yet, and what is kept of one that the journal did not
//! match when it was opened: it stays beside for good, with the reason. Driven by the writer, and by whoever
//! makes a head, which the tip names from then on.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::PoisonError;

use data_encoding::HEXLOWER;

use super::{Heads, KnownHead, Reached, Running, Standing, Wrong, file_name, put};
use crate::clock;
use crate::store::StoreError;
use crate::store::journal::Day;
use crate::store::journal::chain::Tip;
use crate::store::keys::verify;
use crate::store::lock::sync_dir;

/// A tip that the journal did not match once, with the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::store::journal) struct Kept {
    pub(in crate::store::journal) file: String,
    pub(in crate::store::journal) why: String,
    pub(in crate::store::journal) tip: Option<Running>,
}

const TIP: &str = "tip";

/// How the names of tips begin that the journal did not match.
const KEPT: &str = "tip.";

impl Heads {
    /// Signs how far the days being written have come.
    pub(in crate::store::journal) fn sign_tip(&self, open: &[(Day, Tip)]) -> Result<(), StoreError> {
        let Some((newest, _)) = open.iter().max_by_key(|(day, _)| *day) else { return Ok(()) };
        let known = self.known()?;
        let known = known.as_deref().unwrap_or_default();
        let mut reached: Vec<Reached> = open.iter().map(|(day, tip)| Reached::of(*day, tip)).collect();
        // A day that is let go of is signed for until its head is.
        for former in self.believed_tip().iter().flat_map(Running::reached) {
            if !reached.iter().any(|open| open.day == former.day) {
                reached.push(former);
            }
        }
        let Some(at) = reached.iter().position(|open| open.day == newest.to_string()) else { return Ok(()) };
        let Reached { day, entries, blocks, chain } = reached.swap_remove(at);
        let head = known.last().map(|known| (known.head.serial, known.sha256.clone()));
        self.write_tip(Running { day, entries, blocks, chain, head, made: clock::wall(), former: reached }, known)
    }

    /// The tip signed last, unless the journal did not match it.
    fn believed_tip(&self) -> Option<Running> {
        let is_doubted = self.doubt.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        self.read_tip().ok().flatten().filter(|_| !is_doubted)
    }

    /// Whoever calls this holds what is known of the heads.
    fn write_tip(&self, mut running: Running, known: &[KnownHead]) -> Result<(), StoreError> {
        let failed = |e| StoreError::io(&self.dir, "write the tip", e);
        running.former.retain(|former| !former.is_said_by(known));
        running.former.sort_by(|a, b| a.day.cmp(&b.day));
        let line = serde_json::to_string(&running).map_err(|e| failed(io::Error::other(e)))?;
        let signature = HEXLOWER.encode(&self.keys.signer()?.sign(line.as_bytes()));
        self.make_dir()?;
        self.keep_doubted()?;
        put(&self.dir, TIP, format!("{line}\n{signature}\n").as_bytes()).map_err(failed)
    }

    /// The last head that a tip names: where it is gone, its serial is not given again, and the gap stays.
    pub(super) fn named_by_tips(&self) -> Result<u64, StoreError> {
        let tips = self.tips()?;
        Ok(tips.iter().filter_map(|tip| tip.head.as_ref()).map(|(serial, _)| *serial).max().unwrap_or(0))
    }

    /// Has the tip name the head that was just made, so that it cannot be taken away. One that names a head that
    /// is not there stays as it is.
    pub(super) fn name_in_tip(&self, known: &[KnownHead]) -> Result<(), StoreError> {
        let (Ok(Some(tip)), Some(last)) = (self.read_tip(), known.last()) else { return Ok(()) };
        let is_there = |(serial, sha256): &(u64, String)| {
            known.iter().any(|known| known.head.serial == *serial && known.sha256 == *sha256)
        };
        if !tip.head.as_ref().is_none_or(is_there) {
            return Ok(());
        }
        let head = Some((last.head.serial, last.sha256.clone()));
        self.write_tip(Running { head, made: clock::wall(), ..tip }, known)
    }

    /// The tip signed last; `None` where there is none.
    pub(in crate::store::journal) fn read_tip(&self) -> Result<Option<Running>, Wrong> {
        let wrong = |what: &str| Wrong { file: TIP.to_owned(), what: what.to_owned() };
        let text = match fs::read_to_string(self.dir.join(TIP)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| wrong(&e.to_string()))?,
        };
        self.opened_tip(&text).map(Some).map_err(|what| wrong(&what))
    }

    fn opened_tip(&self, text: &str) -> Result<Running, String> {
        let (line, signature) = text.split_once('\n').ok_or("is cut short")?;
        let signature = signature.strip_suffix('\n').and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
        let public_key = self.keys.signer().map_err(|e| e.to_string())?.public_key();
        if !signature.is_some_and(|signature| verify(&public_key, line.as_bytes(), &signature)) {
            return Err("is not as it was signed".to_owned());
        }
        serde_json::from_str(line).map_err(|e| e.to_string())
    }

    /// The journal does not match the tip: the next one takes its place only once it is kept. Gives its file.
    pub(in crate::store::journal) fn doubt(&self, why: &str) -> PathBuf {
        *self.doubt.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
        self.dir.join(TIP)
    }

    /// Keeps the tip for good, as it is or is not there, where the journal does not match it.
    fn keep_doubted(&self) -> Result<(), StoreError> {
        let mut doubt = self.doubt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = doubt.as_ref() {
            self.keep_tip(why)?;
        }
        *doubt = None;
        Ok(())
    }

    fn keep_tip(&self, why: &str) -> Result<(), StoreError> {
        let failed = |e| StoreError::io(&self.dir, "keep the tip", e);
        let tip = match fs::read(self.dir.join(TIP)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(failed)?,
        };
        let text = [why.replace('\n', " ").as_bytes(), b"\n", &tip].concat();
        let mut number = 1_u32;
        loop {
            let name = format!("{KEPT}{number}");
            match fs::read(self.dir.join(&name)) {
                Ok(there) if there == text => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    self.make_dir()?;
                    put(&self.dir, &name, &text).map_err(failed)?;
                    return sync_dir(&self.dir);
                }
                other => other.map_err(failed)?,
            };
            number += 1;
        }
    }

    /// The tips that the journal did not match once.
    pub(in crate::store::journal) fn kept_tips(&self) -> Result<Vec<Kept>, StoreError> {
        let mut kept = Vec::new();
        if !self.dir.is_dir() {
            return Ok(kept);
        }
        let failed = |e| StoreError::io(&self.dir, "read the tips that were kept", e);
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let file = file_name(&path);
            if file.starts_with(KEPT) {
                let text = String::from_utf8_lossy(&fs::read(&path).map_err(failed)?).into_owned();
                let (why, tip) = text.split_once('\n').unwrap_or((&text, ""));
                kept.push(Kept { file, why: why.to_owned(), tip: self.opened_tip(tip).ok() });
            }
        }
        kept.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(kept)
    }

    /// All that was signed of days that were being written and is still there.
    pub(in crate::store::journal) fn tips(&self) -> Result<Vec<Running>, StoreError> {
        let kept = self.kept_tips()?.into_iter().filter_map(|kept| kept.tip);
        Ok(kept.chain(self.read_tip().ok().flatten()).collect())
    }
}

impl Running {
    /// Every day it speaks of.
    pub(in crate::store::journal) fn reached(&self) -> Vec<Reached> {
        let Self { day, entries, blocks, chain, former, .. } = self;
        let newest = Reached { day: day.clone(), entries: *entries, blocks: *blocks, chain: chain.clone() };
        former.iter().cloned().chain([newest]).collect()
    }
}

impl Reached {
    fn of(day: Day, tip: &Tip) -> Self {
        let (entries, blocks, chain) = (tip.entries, tip.blocks, HEXLOWER.encode(&tip.chain));
        Self { day: day.to_string(), entries, blocks, chain }
    }

    /// Whether the last head of the day says as much.
    fn is_said_by(&self, known: &[KnownHead]) -> bool {
        let last = known.iter().rev().find(|known| known.head.day == self.day);
        last.is_some_and(|KnownHead { head, .. }| {
            let blocks = head.extent.as_ref().map_or(0, |extent| extent.blocks);
            head.standing != Standing::Sealed || blocks >= self.blocks
        })
    }
}
