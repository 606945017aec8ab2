//! The journal over many days: how long it takes to open and to find, what it weighs in memory and on disk, and
//! how long a day takes to go.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::store::{Index, Journal, JournalOptions, Keys, MasterSource, Query};

use super::records::{NOON, Records, Text};
use super::{ms, resident};

const DAYS: u64 = 150;
const DAY_MS: i64 = 86_400_000;

/// Entries that may be under way, so that groups are as large as under load.
const UNDER_WAY: u64 = 16_384;

/// Look-ups of each kind.
const LOOK_UPS: u64 = 40;

/// Fills a journal in `dir` and measures it.
pub(super) fn measure(dir: &Path, records: u64) {
    println!("{records} records over {DAYS} days");
    let start = Instant::now();
    fill(&open(dir), records);
    println!("  filled               {:.0} records/s", records as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let journal = open(dir);
    println!("  opening              {:.0} ms, resident {} MB", ms(start.elapsed()), resident() >> 10);
    let bytes = size(dir);
    println!("  on disk              {:.1} octets a record, {} MB", bytes as f64 / records as f64, bytes >> 20);
    for round in ["cold", "warm"] {
        find(&journal, records, round);
    }
    println!("  resident             {} MB", resident() >> 10);
    let days = journal.days().unwrap();
    let mut times = Vec::new();
    for day in &days[..days.len().min(5)] {
        let start = Instant::now();
        assert!(journal.drop_day(*day).unwrap());
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("  dropping one day     p50 {:.1} max {:.1} ms", ms(times[times.len() / 2]), ms(times[times.len() - 1]));
}

fn open(dir: &Path) -> Journal {
    let keys = Keys::open(&dir.join("keys"), &MasterSource::Text("5c".repeat(32))).unwrap();
    let options = JournalOptions { keys: Some(keys), ..JournalOptions::default() };
    Journal::open(&dir.join("journal"), Arc::new(Text), options).unwrap()
}

fn moment(n: u64, records: u64) -> i64 {
    let each = records.div_ceil(DAYS).max(1);
    // Over ten hours from noon, so that a day stays within itself.
    let (day, place) = ((n / each).cast_signed(), (n % each).cast_signed());
    NOON + day * DAY_MS + place * 36_000_000 / each.cast_signed()
}

fn fill(journal: &Journal, records: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut progress = journal.progress();
    let mut made = Records::new(0, 1);
    for n in 0..records {
        let sequence = journal.append(made.record(n, moment(n, records))).unwrap().sequence;
        if sequence.is_multiple_of(UNDER_WAY / 2) {
            let oldest = sequence.saturating_sub(UNDER_WAY);
            runtime.block_on(progress.wait_for(|now| now.durable >= oldest)).map(drop).unwrap();
        }
    }
    runtime.block_on(progress.wait_for(|now| now.durable >= records)).map(drop).unwrap();
}

fn find(journal: &Journal, records: u64, round: &str) {
    let mut made = Records::new(0, 1);
    let ask = |key: Vec<u8>, index, span: Option<i64>| {
        let since_ms = span.map(|at| at - DAY_MS / 2);
        Query { key: Some((index, key)), since_ms, until_ms: span.map(|at| at + DAY_MS / 2), ..Query::default() }
    };
    let mut kinds: Vec<(&str, Vec<Query>)> = Vec::new();
    let all = |f: &mut dyn FnMut(u64) -> Query| (0..LOOK_UPS).map(|n| f(n * (records / LOOK_UPS))).collect::<Vec<_>>();
    kinds.push(("number, of all days", all(&mut |n| ask(made.key(Index::Destination, n), Index::Destination, None))));
    let mut made = Records::new(0, 1);
    let at = |n| Some(moment(n, records));
    kinds.push(("number, of a day", all(&mut |n| ask(made.key(Index::Destination, n), Index::Destination, at(n)))));
    kinds
        .push(("a number not there", all(&mut |n| ask(format!("86139{n:08}").into_bytes(), Index::Destination, None))));
    let mut made = Records::new(0, 1);
    kinds.push(("message_id", all(&mut |n| ask(made.key(Index::MessageId, n), Index::MessageId, None))));
    for (what, queries) in kinds {
        let (mut times, mut hits): (Vec<Duration>, usize) = Default::default();
        for query in queries {
            let start = Instant::now();
            hits += journal.find(query).unwrap().map(Result::unwrap).count();
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let (p50, last) = (times[times.len() / 2], times[times.len() - 1]);
        println!("  {round} {what:20} p50 {:.2} max {:.2} ms, {hits} found", ms(p50), ms(last));
    }
}

/// Octets of all files below.
pub(super) fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}
