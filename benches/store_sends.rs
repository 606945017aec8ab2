//! What was sent to whom: counting, looking, putting on disk; size there and in memory.
//!
//! `cargo bench --bench store_sends -- [PAIRS [LOOKS [DIR]]]`

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench measures, and fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis::store::sends::{Fate, Moment, Pair};
use portcullis::store::{Keys, MasterSource, Sends};

/// Pairs counted before they are put on disk.
const GROUP: u64 = 250_000;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let pairs: u64 = arguments.next().map_or(2_000_000, |n| n.parse().unwrap());
    let looks: u64 = arguments.next().map_or(200_000, |n| n.parse().unwrap());
    let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).unwrap();
    println!("{pairs} pairs, {looks} looks, {}", dir.path().display());
    let before = resident();
    let keys = Keys::open(&dir.path().join("keys"), &MasterSource::Beside).unwrap();
    let sends = Sends::open(dir.path(), &keys).unwrap();
    for round in 0..2 {
        let (mut counting, mut writing) = (Duration::ZERO, Duration::ZERO);
        for first in (0..pairs).step_by(usize::try_from(GROUP).unwrap()) {
            let start = Instant::now();
            (first..pairs.min(first + GROUP)).for_each(|n| count(&sends, pair(n), round));
            counting += start.elapsed();
            let start = Instant::now();
            sends.flush().unwrap();
            writing += start.elapsed();
        }
        println!(
            "counted {}: {:.2} us each, put on disk {:.0} k/s, {:.1} octets each on disk, resident {} MB more",
            if round == 0 { "first" } else { "again" },
            micros(counting) / real(pairs),
            real(pairs) / writing.as_secs_f64() / 1000.0,
            real(size(dir.path())) / real(pairs),
            resident().saturating_sub(before) >> 10,
        );
    }
    let mut times: Vec<Duration> = (0..looks)
        .map(|n| {
            let start = Instant::now();
            assert_eq!(sends.moments(pair(mixed(n) % pairs)).unwrap().len(), 2);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| micros(times[times.len() * share / 1000]);
    println!("look: p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us", at(500), at(990), at(999));
    drop(sends);
    let start = Instant::now();
    let sends = Sends::open(dir.path(), &keys).unwrap();
    println!("opened in {:.0} ms", micros(start.elapsed()) / 1000.0);
    assert_eq!(sends.moments(pair(pairs - 1)).unwrap().len(), 2);
}

fn pair(n: u64) -> Pair {
    Pair::new("bakery", 8_613_000_000_000 + mixed(n) % 100_000_000_000)
}

fn count(sends: &Sends, pair: Pair, round: u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let moment =
        Moment { at_s: u32::try_from(now).unwrap(), mark: round, nth: 0, keep_days: 31, asks: false, fate: Fate::Open };
    let changed = sends.change(pair, |moments| {
        moments.push(moment);
        true
    });
    assert!(changed.unwrap());
}

const fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "for printing")]
const fn real(number: u64) -> f64 {
    number as f64
}

fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

/// Kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
