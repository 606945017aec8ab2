//! The journal against a list in memory: any sequence of appends, reopenings and deletions of days
//! leaves exactly what the list has, by every key and in every order.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::store::{EntryId, Index, Journal, JournalOptions, Query, Ticket};
use proptest::prelude::*;

#[path = "store/records.rs"]
mod records;

use records::{NOON, Records, Text};

const DAY: i64 = 86_400_000;

fn open(dir: &Path) -> Journal {
    Journal::open(dir, Arc::new(Text), JournalOptions::default()).unwrap()
}

fn settle(journal: &Journal, ticket: Ticket) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut progress = journal.progress();
        let durable = progress.wait_for(|progress| progress.durable >= ticket.sequence);
        tokio::time::timeout(Duration::from_secs(60), durable).await.unwrap().map(drop).unwrap();
    });
}

/// Most entries have some, of their own.
fn signalling(payload: &[u8]) -> Vec<u8> {
    let length = usize::from(payload.last().copied().unwrap_or_default() % 5) * 7;
    payload.iter().rev().take(length).copied().collect()
}

#[derive(Clone, Debug)]
enum Step {
    /// Appends so many entries on a day, then waits until they are durable.
    Append {
        count: usize,
        day: i64,
        settle: bool,
    },
    /// Appends an entry that fits neither a hot row nor one row of a block.
    AppendLong {
        octets: usize,
    },
    Reopen,
    DropDay {
        which: usize,
    },
    Find {
        of: u64,
        index: u8,
        since: Option<i64>,
        until: Option<i64>,
        newest_first: bool,
        limit: usize,
    },
    Page {
        size: usize,
        newest_first: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let moment = || prop::option::of((0..3 * DAY).prop_map(|after| NOON + after));
    let step = prop_oneof![
        6 => (1..200_usize, 0..3_i64, any::<bool>()).prop_map(|(count, day, settle)| Step::Append { count, day, settle }),
        1 => (2_000..60_000_usize).prop_map(|octets| Step::AppendLong { octets }),
        2 => Just(Step::Reopen),
        1 => (0..3_usize).prop_map(|which| Step::DropDay { which }),
        4 => (0..900_u64, 0..4_u8, moment(), moment(), any::<bool>(), prop_oneof![Just(usize::MAX), 1..9_usize])
            .prop_map(|(of, index, since, until, newest_first, limit)| Step::Find {
                of, index, since, until, newest_first, limit
            }),
        1 => (1..40_usize, any::<bool>()).prop_map(|(size, newest_first)| Step::Page { size, newest_first }),
    ];
    prop::collection::vec(step, 1..24)
}

struct Model {
    journal: Option<Journal>,
    dir: tempfile::TempDir,
    made: u64,
    entries: Vec<(EntryId, i64, Vec<u8>)>,
}

impl Model {
    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    fn append(&mut self, at_ms: i64, long: usize) -> Ticket {
        let mut payload = Records::new(0, 1).record(self.made, at_ms);
        payload.extend((0..long as u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56).to_le_bytes()[0] | 1));
        self.made += 1;
        let ticket = self.journal().append_parts(&payload, &signalling(&payload)).unwrap();
        self.entries.push((ticket.id, at_ms, payload));
        ticket
    }

    fn expected(&self, query: &Query) -> Vec<(EntryId, Vec<u8>)> {
        let keyed = |payload: &[u8]| {
            let Some((index, key)) = &query.key else { return true };
            let at = [Index::Destination, Index::Source, Index::MessageId].iter().position(|i| i == index).unwrap();
            payload.split(|octet| *octet == b' ').nth(at + 1) == Some(key)
        };
        let mut found: Vec<_> = self.entries.iter().collect();
        found.sort_by_key(|(id, ..)| *id);
        if query.newest_first {
            found.reverse();
        }
        let after =
            |id: &EntryId| query.after.is_none_or(|after| if query.newest_first { *id < after } else { *id > after });
        found
            .into_iter()
            .filter(|(id, at_ms, payload)| {
                after(id)
                    && query.since_ms.is_none_or(|since| *at_ms >= since)
                    && query.until_ms.is_none_or(|until| *at_ms < until)
                    && keyed(payload)
            })
            .map(|(id, _, payload)| (*id, payload.clone()))
            .take(query.limit)
            .collect()
    }

    fn check(&self, query: &Query) {
        let found: Vec<_> = self.journal().find(query.clone()).unwrap().map(Result::unwrap).collect();
        let expected = self.expected(query);
        let ids = |entries: &[(EntryId, Vec<u8>)]| entries.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(&found), ids(&expected), "{query:?}");
        assert!(found == expected, "payloads differ: {query:?}");
        let whole = self.journal().find_parts(query.clone()).unwrap().map(|found| found.unwrap().1);
        for (parts, (_, payload)) in whole.zip(&expected) {
            assert_eq!((&parts.content, parts.signalling), (payload, Some(signalling(payload))));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append { count, day, settle: wait } => {
                for n in 0..count {
                    let ticket = self.append(NOON + day * DAY + i64::try_from(n).unwrap(), 0);
                    if n + 1 == count || (wait && n % 20 == 0) {
                        settle(self.journal(), ticket);
                    }
                }
            }
            Step::AppendLong { octets } => {
                let ticket = self.append(NOON, octets);
                settle(self.journal(), ticket);
            }
            Step::Reopen => {
                self.journal = None;
                self.journal = Some(open(self.dir.path()));
            }
            Step::DropDay { which } => {
                if let Some(day) = self.journal().days().unwrap().get(which).copied()
                    && self.journal().drop_day(day).unwrap()
                {
                    self.entries.retain(|(id, ..)| id.day != day);
                }
            }
            Step::Find { of, index, since: since_ms, until: until_ms, newest_first, limit } => {
                let index = [Index::Destination, Index::Source, Index::MessageId].get(usize::from(index)).copied();
                let key = index.map(|index| (index, Records::new(0, 1).key(index, of)));
                self.check(&Query { key, since_ms, until_ms, after: None, newest_first, limit });
            }
            Step::Page { size, newest_first } => self.page(size, newest_first),
        }
    }

    /// Pages put together are the whole.
    fn page(&self, size: usize, newest_first: bool) {
        let mut query = Query { newest_first, limit: size, ..Query::default() };
        let mut paged = Vec::new();
        loop {
            let page: Vec<_> = self.journal().find(query.clone()).unwrap().map(Result::unwrap).collect();
            let Some((last, _)) = page.last() else { break };
            query.after = Some(*last);
            paged.extend(page);
        }
        assert!(paged == self.expected(&Query { newest_first, ..Query::default() }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_has_what_the_list_has(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model { journal: Some(open(dir.path())), dir, made: 0, entries: Vec::new() };
        for step in steps {
            model.step(step);
        }
        model.check(&Query::default());
        for (id, _, payload) in &model.entries {
            let got = model.journal().get_parts(*id).unwrap().unwrap();
            prop_assert_eq!((&got.content, got.signalling), (payload, Some(signalling(payload))));
        }
    }
}

#[test]
fn full_segments_are_sealed_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model { journal: Some(open(dir.path())), dir, made: 0, entries: Vec::new() };
    for part in [70_000, 30_000, 50_000] {
        for n in 0..part {
            let ticket = model.append(NOON + n / 100, 0);
            if n % 500 == 499 {
                settle(model.journal(), ticket);
            }
        }
        for index in [Index::Destination, Index::MessageId, Index::Source] {
            for of in [0, 1, 65_535, 65_536, 69_999, 99_998, 149_999] {
                let key = Some((index, Records::new(0, 1).key(index, of)));
                let query = Query { key, limit: 50, ..Query::default() };
                model.check(&query);
                model.check(&Query { newest_first: true, since_ms: Some(NOON + 200), ..query });
            }
        }
        let span = Query { since_ms: Some(NOON + 250), until_ms: Some(NOON + 253), ..Query::default() };
        model.check(&span);
        model.step(Step::Reopen);
    }
    let last = model.entries.last().unwrap().0;
    assert_eq!(last.number, 149_999);
    let blobs = model.dir.path().join(last.day.to_string()).join("blobs");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0, "values outside the log are not synced");
}
