//! Whether what is there is what was signed, before anything else is built and signed on it.
//!
//! Owns the comparison of the last tip with its day when the journal is opened: what differs is kept for the
//! verifier for good, and told; the journal goes on. Refuses to have a day rewritten or signed that is not what
//! its last head says, and to believe one without a chain where there should be one. Driven by whoever opens the journal, and by whoever rewrites a day.

use data_encoding::HEXLOWER;

use super::chain::Tip;
use super::day::DayStore;
use super::days::Days;
use super::heads::{Head, Reached, Running, Standing, Wrong};
use super::layout::{BLOCK, NUMBERS, VERSION_1, block_key, first_of, number_at, seal_key, segment_of};
use super::{Day, Incident};
use crate::clock;
use crate::store::StoreError;

impl Days {
    /// Has the tip that was signed last kept where the journal is not what it was signed for: the next one takes
    /// its place, and nothing else would tell that the end of a day, or the last head, was taken away.
    pub(super) fn compare_with_tip(&self) -> Result<(), StoreError> {
        let tip = self.heads.read_tip();
        let why = match &tip {
            Err(Wrong { file, what }) => Some(format!("{file} {what}")),
            Ok(Some(tip)) => self.differs_from(tip)?,
            Ok(None) => {
                let sealed = self.heads.list()?.iter().any(|known| known.head.standing == Standing::Sealed);
                sealed.then(|| "the tip is missing".to_owned())
            }
        };
        let Some(why) = why else { return Ok(()) };
        let day = tip.ok().flatten().and_then(|tip| tip.day.parse().ok());
        let day = day.unwrap_or_else(|| self.span(clock::wall().as_millisecond()).day);
        let aside = self.heads.doubt(&why);
        tracing::error!(tip = %aside.display(), why, "the journal is not what was signed last");
        self.tell(Incident { day, aside, why });
        Ok(())
    }

    /// Refuses a day that is not what its last head was signed for, and a table that has no head: a head is made
    /// before its table is in place. Nothing is built on such a day, and it is never signed again.
    pub(super) fn vouch(&self, store: &DayStore) -> Result<(), StoreError> {
        let day = store.day.to_string();
        // One begun anew has a chain of its own; that another was set aside is told for good.
        if !store.is_table() && self.times_set_aside(store.day)? > 0 {
            return Ok(());
        }
        let heads = self.heads.list()?;
        let of_day = heads.iter().rev().filter(|known| known.head.day == day);
        let Some((serial, extent)) =
            of_day.filter_map(|known| Some((known.head.serial, known.head.extent.as_ref()?))).next()
        else {
            let headless = "it has no head: that was deleted, or the table was put there";
            return if store.is_table() { Err(store.damaged(headless)) } else { Ok(()) };
        };
        let is_same = match store.is_table() {
            true => store.extent()? == *extent,
            false => store.tip_at(extent.blocks)?.is_some_and(|tip| {
                (tip.entries, HEXLOWER.encode(&tip.chain)) == (extent.entries, extent.chain.clone())
            }),
        };
        if is_same { Ok(()) } else { Err(store.damaged(format!("it is not what head {serial} was signed for"))) }
    }

    /// Why a day of layout 1, which whoever can write to the disk can invent, is not genuine: it was signed with a
    /// chain, or begins after the first signature. It is neither read nor brought to the present layout.
    pub(super) fn bars_layout_1(&self, day: Day) -> Result<Option<String>, StoreError> {
        let (heads, tips, name) = (self.heads.list()?, self.heads.tips()?, day.to_string());
        let is_chained = |head: &Head| head.day == name && head.layout != VERSION_1 && head.extent.is_some();
        if heads.iter().any(|known| is_chained(&known.head))
            || tips.iter().flat_map(Running::reached).any(|reached| reached.day == name)
        {
            return Ok(Some("is of layout 1, and was signed with a chain".to_owned()));
        }
        let made = heads.iter().map(|known| known.head.made).chain(tips.iter().map(|tip| tip.made)).min();
        let since = made.map(|made| self.span(made.as_millisecond()).day).filter(|since| *since < day);
        Ok(since.map(|since| format!("is of layout 1, and days have had a chain since {since}")))
    }

    /// What of a tip the journal does not match.
    fn differs_from(&self, tip: &Running) -> Result<Option<String>, StoreError> {
        let heads = self.heads.list()?;
        if let Some((serial, sha256)) = &tip.head
            && !heads.iter().any(|known| known.head.serial == *serial && known.sha256 == *sha256)
        {
            return Ok(Some(format!("head {serial} is missing or another")));
        }
        for reached in tip.reached() {
            if let Some(why) = self.differs_from_day(&reached)? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// What of one day that a tip speaks of.
    fn differs_from_day(&self, tip: &Reached) -> Result<Option<String>, StoreError> {
        let Ok(day) = tip.day.parse::<Day>() else { return Ok(None) };
        if self.heads.of(day)?.is_some_and(|known| known.head.standing != Standing::Sealed) {
            return Ok(None);
        }
        let there = match self.reader_with(day, self.cache()) {
            Ok(None) => return Ok(Some(format!("{day} is missing"))),
            Ok(Some(store)) => store.tip_at(tip.blocks),
            Err(e) => Err(e),
        };
        Ok(match there {
            Ok(Some(there)) if (there.entries, HEXLOWER.encode(&there.chain)) == (tip.entries, tip.chain.clone()) => {
                None
            }
            Ok(Some(_)) => Some(format!("{day} is another than was signed when it had {} entries", tip.entries)),
            Ok(None) => Some(format!("{day} has not all of the {} entries that were signed", tip.entries)),
            Err(e) => Some(e.to_string().replace('\n', " ")),
        })
    }
}

impl DayStore {
    /// Has the index say what the contents say, before it is signed: until then nothing else tells that a row of it
    /// was taken out, and what it led to would not be found any more.
    pub(super) fn right_index(&self) -> Result<(), StoreError> {
        let (mut from, mut wrong) = (0, 0);
        while from < NUMBERS {
            let row = self.engine.first(&block_key(from, 0), &[BLOCK + 1]).map_err(|e| self.failed(&e))?;
            let Some(segment) = row.and_then(|(key, _)| first_of(&key)).map(segment_of) else { break };
            let unwritten = self.unwritten();
            if !self.tail().segments.iter().any(|open| open.number == segment) {
                wrong += self.right_segment(segment)?;
            }
            drop(unwritten);
            from = number_at(segment, 0) + number_at(1, 0);
        }
        if wrong == 0 {
            return Ok(());
        }
        tracing::warn!(day = %self.day, rows = wrong, "rows of the index were not what the contents say, and are written anew");
        self.engine.sync().map_err(|e| self.failed(&e))
    }

    /// Writes the index rows of a segment that are not what its blocks say; gives how many.
    fn right_segment(&self, number: u32) -> Result<u64, StoreError> {
        let (mut segment, mut wrong) = (self.rebuild(number)?, 0);
        let mut right = |key: &[u8], plain: &[u8]| {
            let there = self.engine.get(key).map_err(|e| self.failed(&e))?;
            if there.is_some_and(|there| self.open_row(key, there).is_ok_and(|there| there == plain)) {
                return Ok(());
            }
            wrong += 1;
            self.put_sealed(key, plain)
        };
        while let Some((key, plain)) = segment.next_row() {
            right(&key, &plain)?;
        }
        let moments = [segment.from_ms.to_be_bytes(), segment.to_ms.to_be_bytes()].concat();
        right(&seal_key(number), &moments)?;
        Ok(wrong)
    }

    /// The chain when it had so many blocks; `None` where it has not come so far.
    fn tip_at(&self, blocks: u32) -> Result<Option<Tip>, StoreError> {
        let begin = Tip::of(self.day, self.generation());
        if blocks == 0 {
            return Ok(Some(begin));
        }
        let (mut low, mut high) = (0, self.next_number());
        while low < high {
            let middle = low + (high - low) / 2;
            let passed = self.raw_of(middle)?.and_then(|raw| raw.link).map_or(begin, |link| Tip::after(&link));
            match passed.blocks.cmp(&blocks) {
                std::cmp::Ordering::Equal => return Ok(Some(passed)),
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Less => low = middle + 1,
            }
        }
        Ok(None)
    }
}
