//! The consents: import, look-up, durable updates, size on disk and in memory; beside them a bare
//! file that takes the same updates by append and fdatasync.
//!
//! `cargo bench --bench store_consents -- [CONSENTS [UPDATES [DIR]]]`

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a bench measures, and fails by panicking"
)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis::store::consents::{ConsentsOptions, Status, Towards};
use portcullis::store::{Consents, Event};

/// Updates a second that the size on disk is measured after.
const RATE: f64 = 23_000.0;

/// Updates that one call makes durable.
const GROUP: usize = 64;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let consents: u64 = arguments.next().map_or(2_000_000, |n| n.parse().unwrap());
    let updates: u64 = arguments.next().map_or(200_000, |n| n.parse().unwrap());
    let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).unwrap();
    println!("{consents} consents, {updates} updates, {}", dir.path().display());
    let name = dir.path().join("consents");
    let store = open(&name);
    import(&store, consents, "import");
    sizes(&name, &store, "imported");
    look_up(&store, consents, "warm");
    bare_file(&dir.path().join("bare"), updates);
    update(&store, consents, updates, GROUP, RATE, "updates at a rate");
    sizes(&name, &store, "updated");
    update(&store, consents, updates.min(5_000), 1, f64::INFINITY, "updates one by one");
    update(&store, consents, updates, GROUP, f64::INFINITY, "updates by 64");
    sizes(&name, &store, "once more");
    look_up(&store, consents, "updated");
    import(&store, consents.min(1_000_000), "import again");
    drop(store);
    let start = Instant::now();
    let store = open(&name);
    println!("opening                {:.0} ms, resident {} MB", ms(start.elapsed()), resident() >> 10);
    look_up(&store, consents, "reopened");
    sizes(&name, &store, "reopened");
}

fn open(dir: &Path) -> Consents {
    Consents::open(dir, &ConsentsOptions::default()).unwrap()
}

fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

const SENDERS: [&str; 8] = ["qinghe", "yuanshan", "yunqi", "kuaijie", "jiangcheng", "chenguang", "yuedong", "songhe"];
const CATEGORIES: [&str; 3] = ["offers", "events", "loyalty"];
const PAPERS: [&str; 4] = ["batch 2026-03 sha256:5f70", "landing page 7", "shop form scan 12", "hotline protocol"];

fn event(n: u64, later_ms: i64) -> Event<'static> {
    let random = mixed(n);
    Event {
        msisdn: 8_613_000_000_000 + random % 900_000_000_000 / 9,
        sender: SENDERS[(random >> 40) as usize % 8],
        category: CATEGORIES[(random >> 44) as usize % 3],
        status: if later_ms > 0 && random.is_multiple_of(3) { Status::Refusal } else { Status::Consent },
        at_ms: 1_790_000_000_000 + (random % 4_000_000).cast_signed() * 1_000 + later_ms,
        method: "web",
        evidence: PAPERS[(random >> 48) as usize % 4],
        expires_at_ms: None,
        ..Event::default()
    }
}

fn import(store: &Consents, consents: u64, what: &str) {
    let start = Instant::now();
    let mut import = store.import();
    for n in 0..consents {
        import.push(&event(n, 0)).unwrap();
    }
    let applied = import.finish().unwrap();
    println!("{what:22} {:.0} rows/s, {applied:?}", consents as f64 / start.elapsed().as_secs_f64());
}

fn look_up(store: &Consents, consents: u64, what: &str) {
    let mut times = Vec::new();
    for n in 0..100_000_u64 {
        let event = event(mixed(n ^ 0x55) % (consents * 11 / 10), 0);
        let start = Instant::now();
        let standing = store
            .standing(Towards { sender: event.sender, former: &[], provider: Some("agg1") }, event.msisdn, i64::MAX)
            .unwrap();
        times.push(start.elapsed());
        std::hint::black_box(standing);
    }
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e6;
    println!("look-up, {what:13} p50 {:.1} p99 {:.1} p99.9 {:.1} us", at(0.5), at(0.99), at(0.999));
}

/// Updates, as fast as they go or at a steady `rate` a second.
fn update(store: &Consents, consents: u64, updates: u64, group: usize, rate: f64, what: &str) {
    let later = if rate.is_finite() { 0 } else { 10_000_000 * group as i64 };
    let start = Instant::now();
    let mut times = Vec::new();
    for first in (0..updates).step_by(group) {
        let events: Vec<_> = (first..first + group as u64)
            .map(|n| event(mixed(n ^ 0xAA) % consents, 5_000 + later + n.cast_signed()))
            .collect();
        let due = Duration::from_secs_f64(first as f64 / rate);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let begun = Instant::now();
        store.apply(&events).unwrap();
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!("{what:22} {:.0}/s durable, p50 {:.2} ms", updates as f64 / start.elapsed().as_secs_f64(), ms(median));
}

fn bare_file(path: &Path, updates: u64) {
    let mut file = File::create(path).unwrap();
    let start = Instant::now();
    for first in (0..updates).step_by(GROUP) {
        let records: Vec<u8> =
            (first..first + GROUP as u64).flat_map(|n| [n.to_be_bytes(), [0; 8], [1; 8]].concat()).collect();
        file.write_all(&records).unwrap();
        file.sync_data().unwrap();
    }
    println!("bare file, by 64       {:.0}/s durable", updates as f64 / start.elapsed().as_secs_f64());
}

fn sizes(dir: &Path, store: &Consents, what: &str) {
    let octets = std::fs::metadata(dir.join("db/db")).unwrap().len();
    let held = store.held().unwrap();
    let each = octets as f64 / held as f64;
    println!(
        "on disk, {what:13} {each:.1} octets each of {held} held, {} MB; resident {} MB",
        octets >> 20,
        resident() >> 10
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
