//! The journal beside a bare file with the same group commit: durable records a second, latency,
//! processor time, size, look-ups, deletion of a day.
//!
//! `cargo bench --bench store_journal -- [RECORDS [IN_FLIGHT [DIR]]]`, or over 150 days (1 M records unless given;
//! 50 M take some 5 GB of disk): `cargo bench --bench store_journal -- days [RECORDS [DIR]]`

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a bench measures, and fails by panicking"
)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portcullis::store::{Index, Journal, JournalOptions, Query};
use rustix::time::{ClockId, clock_gettime};

#[path = "../tests/store/records.rs"]
mod records;

#[path = "store_journal/days.rs"]
mod days;

use records::{Records, Text};

const THREADS: u64 = 4;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    if arguments.next_if(|argument| argument == "days").is_some() {
        let records = arguments.next().map_or(1_000_000, |n| n.parse().unwrap());
        let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
        return days::measure(tempfile::tempdir_in(dir).unwrap().path(), records);
    }
    let records: u64 = arguments.next().map_or(1_000_000, |n| n.parse().unwrap());
    let in_flight: u64 = arguments.next().map_or(200, |n| n.parse().unwrap());
    let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).unwrap();
    println!("{records} records, {THREADS} threads, {in_flight} in flight, {}", dir.path().display());
    let few = records.min(500_000);
    let bare = bare_file(&dir.path().join("bare"), few, in_flight);
    let name = dir.path().join("journal");
    let journal = open(&name, None);
    let journalled = append(&journal, "journal, group commit", records, in_flight);
    println!("the journal writes       {:.2} of what a bare file does", journalled / bare);
    drop(journal);
    look_up(&name, records);
    let by_interval = dir.path().join("interval");
    let journal = open(&by_interval, Some(Duration::from_millis(100)));
    append(&journal, "journal, every 100 ms", few, 100_000);
    drop(journal);
}

fn open(dir: &Path, interval: Option<Duration>) -> Journal {
    Journal::open(dir, Arc::new(Text), JournalOptions { interval, ..JournalOptions::default() }).unwrap()
}

fn processor(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What all threads of a run measured.
#[derive(Default)]
struct Run {
    latencies: Vec<Duration>,
    callers: Duration,
    bytes: u64,
}

/// Gives the records a second.
fn report(what: &str, records: u64, start: (Instant, Duration), mut run: Run) -> f64 {
    let wall = start.0.elapsed();
    let all = processor(ClockId::ProcessCPUTime) - start.1;
    run.latencies.sort_unstable();
    let at = |share: f64| run.latencies[(run.latencies.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / records as f64;
    println!(
        "{what:24} {:7.0} records/s of {} octets; settled after p50 {:.2} p99 {:.2} p99.9 {:.2} ms; processor {:.2} us a record, of it appending {:.2}",
        records as f64 / wall.as_secs_f64(),
        run.bytes / records,
        at(0.5),
        at(0.99),
        at(0.999),
        each(all),
        each(run.callers),
    );
    records as f64 / wall.as_secs_f64()
}

fn append(journal: &Journal, what: &str, records: u64, in_flight: u64) -> f64 {
    let start = (Instant::now(), processor(ClockId::ProcessCPUTime));
    let run = Mutex::new(Run::default());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let run = &run;
            scope.spawn(move || {
                let mine = append_some(journal, thread, records / THREADS, in_flight / THREADS);
                let mut run = run.lock().unwrap();
                run.latencies.extend(mine.latencies);
                run.callers += mine.callers;
                run.bytes += mine.bytes;
            });
        }
    });
    report(what, records / THREADS * THREADS, start, run.into_inner().unwrap())
}

fn append_some(journal: &Journal, thread: u64, records: u64, in_flight: u64) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut progress = journal.progress();
    let mut run = Run::default();
    let mut made = Records::new(thread, THREADS);
    let mut waiting = std::collections::VecDeque::new();
    let mut left = records;
    let mut batch = Vec::new();
    while left > 0 || !waiting.is_empty() {
        let room = (in_flight as usize - waiting.len()).min(left as usize);
        batch.clear();
        batch.extend(std::iter::repeat_with(|| made.next().unwrap()).take(room));
        let before = processor(ClockId::ThreadCPUTime);
        for record in &batch {
            waiting.push_back((journal.append(record).unwrap().sequence, Instant::now()));
        }
        run.callers += processor(ClockId::ThreadCPUTime) - before;
        run.bytes += batch.iter().map(|record| record.len() as u64).sum::<u64>();
        left -= room as u64;
        let oldest = waiting.front().unwrap().0;
        let durable = runtime.block_on(progress.wait_for(|now| now.durable >= oldest)).unwrap().durable;
        while let Some((_, since)) = waiting.pop_front_if(|(sequence, _)| *sequence <= durable) {
            run.latencies.push(since.elapsed());
        }
    }
    run
}

/// Group commit into a bare file: what had gathered is written and synced as one.
fn bare_file(path: &Path, records: u64, in_flight: u64) -> f64 {
    #[derive(Default)]
    struct Shared {
        bytes: Vec<u8>,
        appended: u64,
        durable: u64,
    }
    let shared = (Mutex::new(Shared::default()), Condvar::new());
    let mut file = File::create(path).unwrap();
    let start = (Instant::now(), processor(ClockId::ProcessCPUTime));
    let run = Mutex::new(Run::default());
    let total = records / THREADS * THREADS;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (shared, run) = (&shared, &run);
            scope.spawn(move || {
                let mut made = Records::new(thread, THREADS);
                let (mut left, mut mine) = (records / THREADS, Run::default());
                while left > 0 {
                    let batch: Vec<_> = std::iter::repeat_with(|| made.next().unwrap())
                        .take(left.min(in_flight / THREADS) as usize)
                        .collect();
                    left -= batch.len() as u64;
                    let since = Instant::now();
                    let mut state = shared.0.lock().unwrap();
                    for record in &batch {
                        state.bytes.extend_from_slice(record);
                        state.appended += 1;
                        mine.bytes += record.len() as u64;
                    }
                    let last = state.appended;
                    shared.1.notify_all();
                    let done = shared.1.wait_while(state, |state| state.durable < last).unwrap();
                    drop(done);
                    mine.latencies.extend(batch.iter().map(|_| since.elapsed()));
                }
                let mut run = run.lock().unwrap();
                run.latencies.extend(mine.latencies);
                run.bytes += mine.bytes;
            });
        }
        let mut durable = 0;
        while durable < total {
            let mut state = shared.1.wait_while(shared.0.lock().unwrap(), |state| state.bytes.is_empty()).unwrap();
            let (bytes, upto) = (std::mem::take(&mut state.bytes), state.appended);
            drop(state);
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
            durable = upto;
            shared.0.lock().unwrap().durable = upto;
            shared.1.notify_all();
        }
    });
    report("bare file, group commit", total, start, run.into_inner().unwrap())
}

fn look_up(dir: &Path, records: u64) {
    let start = Instant::now();
    let journal = open(dir, None);
    println!("opening                  {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let mut made = Records::new(0, 1);
    for (what, index) in [("number", Index::Destination), ("message_id", Index::MessageId)] {
        let mut times = Vec::new();
        let mut hits = 0;
        for n in 0..500 {
            let key = made.key(index, n * (records / 500));
            let start = Instant::now();
            hits += journal.find(Query { key: Some((index, key)), ..Query::default() }).unwrap().count();
            times.push(start.elapsed());
        }
        times.sort_unstable();
        println!("find by {what:16} p50 {:.2} p99 {:.2} ms, {hits} found", ms(times[250]), ms(times[495]));
    }
    let start = Instant::now();
    let newest =
        Query { key: Some((Index::Source, made.key(Index::Source, 1))), newest_first: true, ..Query::default() };
    let found = journal.find(Query { limit: 10, ..newest }).unwrap().count();
    println!("newest {found} of a source     {:.2} ms", ms(start.elapsed()));
    drop(journal);
    let size = days::size(dir);
    println!("on disk                  {:.1} octets a record, {} MB", size as f64 / records as f64, size >> 20);
    println!("resident                 {} MB", resident() >> 10);
    let journal = open(dir, None);
    let later = made.at_later_day();
    let ticket = journal.append(later).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut progress = journal.progress();
    runtime.block_on(progress.wait_for(|now| now.durable >= ticket.sequence)).map(drop).unwrap();
    let start = Instant::now();
    assert!(journal.drop_day(journal.days().unwrap()[0]).unwrap());
    println!("dropping the day         {:.1} ms", ms(start.elapsed()));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
