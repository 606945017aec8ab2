use super::*;
use crate::store::MasterSource;

fn keys(dir: &Path) -> Keys {
    Keys::open(&dir.join("keys"), &MasterSource::Beside).unwrap()
}

fn open(dir: &Path) -> Result<Sends, StoreError> {
    Sends::open(dir, &keys(dir))
}

const DAY_S: u32 = 86_400;

fn now_s() -> u32 {
    u32::try_from(clock::wall().as_second()).unwrap()
}

fn moment(at_s: u32, mark: u32) -> Moment {
    Moment { at_s, mark, nth: 0, keep_days: 1, asks: false, fate: Fate::Open }
}

fn add(sends: &Sends, pair: Pair, moment: Moment) {
    assert!(
        sends
            .change(pair, |moments| {
                moments.push(moment);
                true
            })
            .unwrap()
    );
}

#[test]
fn what_is_counted_is_there_at_once_after_a_flush_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (Pair::new("bakery", 8_613_900_001_111), Pair::new("bakery", 8_613_900_001_112));
    let sends = open(dir.path()).unwrap();
    let begun = sends.kept_until_ms();
    add(&sends, one, moment(now_s(), 1));
    assert_eq!(sends.moments(one).unwrap().len(), 1);
    sends.flush().unwrap();
    assert_eq!(sends.inner.fresh.load(Relaxed), 0, "nothing is kept in memory that is on disk");
    assert_eq!(sends.moments(one).unwrap(), [moment(sends.moments(one).unwrap()[0].at_s, 1)]);
    add(&sends, one, Moment { fate: Fate::Taken, asks: true, keep_days: 200, ..moment(now_s(), 2) });
    assert_eq!(sends.moments(other).unwrap(), []);
    drop(sends);
    let sends = open(dir.path()).unwrap();
    assert!(sends.kept_until_ms() >= begun);
    let held = sends.moments(one).unwrap();
    let told: Vec<_> = held.iter().map(|m| (m.mark, m.asks, m.keep_days, m.fate)).collect();
    // Nobody will tell this process how the one left open by the last has ended.
    assert_eq!(told, [(1, false, 1, Fate::Unknown), (2, true, 200, Fate::Taken)]);
}

#[test]
fn what_was_seen_is_changed_only_while_it_is_so() {
    let dir = tempfile::tempdir().unwrap();
    let sends = open(dir.path()).unwrap();
    let pair = Pair::new("bakery", 1);
    let push = |seen: &Seen, mark: u32| {
        let moment = moment(now_s(), mark);
        sends.change_seen(pair, seen, move |moments| moments.push(moment)).unwrap()
    };
    let nothing = sends.look(pair).unwrap();
    assert!(push(&nothing, 1));
    assert!(!push(&nothing, 2), "in memory there is another");
    let one = sends.look(pair).unwrap();
    sends.flush().unwrap();
    assert!(!push(&nothing, 2), "and on disk");
    assert!(push(&one, 2), "where it lies does not matter");
    assert!(!push(&one, 3));
    let marks: Vec<u32> = sends.moments(pair).unwrap().iter().map(|moment| moment.mark).collect();
    assert_eq!(marks, [1, 2]);
}

#[test]
fn a_pair_changed_while_it_is_written_stays_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let sends = open(dir.path()).unwrap();
    let pair = Pair::new("bakery", 1);
    add(&sends, pair, moment(now_s(), 1));
    let written = sends.inner.shard(pair).pairs[&pair].clone();
    add(&sends, pair, moment(now_s(), 2));
    sends.inner.forget([(pair, written)].into_iter());
    assert_eq!(sends.moments(pair).unwrap().len(), 2);
}

#[test]
fn what_no_longer_matters_goes_with_the_next_change_of_its_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let sends = open(dir.path()).unwrap();
    let pair = Pair::new("bakery", 1);
    add(&sends, pair, moment(now_s() - 3 * DAY_S, 1));
    add(&sends, pair, Moment { keep_days: 180, ..moment(now_s() - 3 * DAY_S, 2) });
    add(&sends, pair, moment(now_s(), 3));
    sends.flush().unwrap();
    let marks: Vec<u32> = sends.moments(pair).unwrap().iter().map(|m| m.mark).collect();
    assert_eq!(marks, [2, 3]);
}

#[test]
fn a_bucket_keeps_no_more_than_a_row_takes() {
    let moments: Vec<Moment> = (0..300).map(|n| moment(now_s() + n, n)).collect();
    let pairs: Vec<(Pair, &[Moment])> = (0..10).map(|n| (Pair(n), moments.as_slice())).collect();
    let row = bucket::merged(&[], pairs.into_iter(), 1, now_s().into()).unwrap();
    assert!(row.len() <= crate::store::engine::VALUE_BYTES);
    let last = bucket::find(&row, Pair(9), 1).unwrap();
    assert_eq!(last.last().map(|m| m.mark), Some(299), "the newest are kept");
    assert_eq!(bucket::find(&row[..row.len() - 1], Pair(9), 1), None, "half a row is no row");
}

#[test]
fn many_count_at_once_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let sends = Arc::new(open(dir.path()).unwrap());
    let count = |worker: u32| {
        let sends = Arc::clone(&sends);
        std::thread::spawn(move || {
            for n in 0..200 {
                add(&sends, Pair::new("bakery", u64::from(n % 20)), moment(now_s(), worker * 1000 + n));
                if n % 50 == 0 {
                    sends.flush().unwrap();
                }
            }
        })
    };
    let workers: Vec<_> = (0..4).map(count).collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let held: usize = (0..20).map(|n| sends.moments(Pair::new("bakery", n)).unwrap().len()).sum();
    assert_eq!(held, 4 * 200);
}

#[test]
fn a_request_for_consent_is_the_last_to_go() {
    let moments: Vec<Moment> = (0..300).map(|n| Moment { asks: n == 0, ..moment(now_s() + n, n) }).collect();
    let pairs: Vec<(Pair, &[Moment])> = (0..10).map(|n| (Pair(n), moments.as_slice())).collect();
    let row = bucket::merged(&[], pairs.into_iter(), 1, now_s().into()).unwrap();
    assert!((0..10).all(|n| bucket::find(&row, Pair(n), 1).unwrap().iter().any(|moment| moment.asks)));
    let dir = tempfile::tempdir().unwrap();
    let sends = open(dir.path()).unwrap();
    moments.iter().for_each(|moment| add(&sends, Pair(1), *moment));
    let held = sends.moments(Pair(1)).unwrap();
    assert_eq!((held.len(), held[0].asks, held[1].mark), (MOST, true, 46), "nor does memory keep more");
}

#[test]
fn a_damaged_bucket_is_set_aside_and_the_others_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let sends = open(dir.path()).unwrap();
    let (sick, well) = (Pair(1), Pair(u64::MAX));
    add(&sends, sick, moment(now_s(), 1));
    sends.inner.disk.put_raw(sick, b"no row");
    add(&sends, well, moment(now_s(), 2));
    sends.flush().unwrap();
    assert_eq!(sends.moments(sick).unwrap().len(), 1, "what was fresh is not lost with it");
    assert_eq!(sends.moments(well).unwrap().len(), 1);
    sends.inner.disk.put_raw(sick, b"no row");
    assert!(sends.moments(sick).is_err());
    sends.inner.mend();
    assert_eq!(sends.moments(sick).unwrap(), [], "it begins anew");
}

/// An engine that fails on demand, and counts how often it was opened.
#[derive(Debug, Default)]
struct Sick {
    is_sick: Arc<std::sync::atomic::AtomicBool>,
    opened: AtomicUsize,
}

#[derive(Debug)]
struct SickEngine {
    engine: Arc<dyn super::super::engine::Engine>,
    is_sick: Arc<std::sync::atomic::AtomicBool>,
}

mod sick {
    use super::*;
    use crate::store::engine::{Engine, EngineError, Fault, Row};

    fn check(is_sick: &std::sync::atomic::AtomicBool) -> Result<(), EngineError> {
        let what = "input/output error".to_owned();
        if is_sick.load(Relaxed) { Err(EngineError { fault: Fault::System, what }) } else { Ok(()) }
    }

    impl Engines for Sick {
        fn open(&self, dir: &Path, cache: u64, create: bool) -> Result<Arc<dyn Engine>, EngineError> {
            self.opened.fetch_add(1, Relaxed);
            check(&self.is_sick)?;
            let engine = Sled.open(dir, cache, create)?;
            Ok(Arc::new(SickEngine { engine, is_sick: Arc::clone(&self.is_sick) }))
        }
        fn holds(&self, dir: &Path) -> bool {
            Sled.holds(dir)
        }
    }

    impl Engine for SickEngine {
        fn put(&self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
            check(&self.is_sick).and_then(|()| self.engine.put(key, value))
        }
        fn remove(&self, key: &[u8]) -> Result<(), EngineError> {
            check(&self.is_sick).and_then(|()| self.engine.remove(key))
        }
        fn sync(&self) -> Result<(), EngineError> {
            check(&self.is_sick).and_then(|()| self.engine.sync())
        }
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
            check(&self.is_sick).and_then(|()| self.engine.get(key))
        }
        fn first(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
            self.engine.first(from, until)
        }
        fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
            self.engine.last(from, until)
        }
        fn scan(&self, a: &[u8], b: &[u8], see: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), EngineError> {
            self.engine.scan(a, b, see)
        }
    }
}

#[test]
fn only_the_writer_opens_a_sick_disk_anew() {
    let dir = tempfile::tempdir().unwrap();
    let sick = Arc::new(Sick::default());
    let sends = Sends::open_with(dir.path(), &keys(dir.path()), Arc::clone(&sick) as Arc<dyn Engines>).unwrap();
    let (known, other) = (Pair::new("bakery", 1), Pair::new("bakery", 2));
    add(&sends, known, moment(now_s(), 1));
    // While this is held, the writer waits.
    let writing = sends.inner.writing.lock().unwrap();
    sick.is_sick.store(true, Relaxed);
    for _ in 0..100 {
        assert!(sends.moments(other).is_err());
    }
    assert_eq!(sick.opened.load(Relaxed), 1, "nobody who asks opens it");
    assert_eq!(sends.moments(known).unwrap().len(), 1, "what is in memory can be asked");
    drop(writing);
    sends.inner.mend();
    assert!(sends.moments(other).is_err(), "it is sick still");
    sick.is_sick.store(false, Relaxed);
    sends.inner.mend();
    assert_eq!(sends.moments(other).unwrap(), []);
    sends.flush().unwrap();
    assert_eq!(sends.moments(known).unwrap().len(), 1);
}

/// As the program before sealed nothing: pairs under their own names, rows as they are.
fn old_layout(dir: &Path, pair: Pair, moments: &[Moment]) {
    let engine = Sled.open(&dir.join("db"), 8 << 20, true).unwrap();
    let row = bucket::merged(&[], [(pair, moments)].into_iter(), 7, i64::from(now_s())).unwrap();
    engine.put(&bucket::key(pair), &row).unwrap();
    let meta = [&1_795_000_000_000_i64.to_le_bytes()[..], &[7], &1_794_000_000_000_i64.to_le_bytes()].concat();
    engine.put(b"M", &meta).unwrap();
    engine.sync().unwrap();
}

#[test]
fn counts_that_were_not_sealed_are_brought_up() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::new("bakery", 8_613_900_001_111);
    let moments = [moment(now_s(), 1), Moment { fate: Fate::Taken, asks: true, keep_days: 200, ..moment(now_s(), 2) }];
    old_layout(dir.path(), pair, &moments);
    let sends = open(dir.path()).unwrap();
    assert_eq!((sends.kept_until_ms(), sends.began_before_ms()), (1_795_000_000_000, 1_794_000_000_000));
    let brought = [Moment { fate: Fate::Unknown, ..moments[0] }, moments[1]];
    assert_eq!(sends.moments(pair).unwrap(), brought);
    drop(sends);
    assert_eq!(open(dir.path()).unwrap().moments(pair).unwrap(), brought);
    assert!(!dir.path().join("db.old").exists() && !dir.path().join("db.new").exists());
}

#[test]
fn without_the_key_the_counts_stay_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::new("bakery", 8_613_900_001_111);
    let sends = open(dir.path()).unwrap();
    add(&sends, pair, moment(now_s(), 1));
    drop(sends);
    let keys = keys(dir.path());
    let (key, aside) = (dir.path().join("keys/sends.key"), dir.path().join("aside"));
    std::fs::rename(&key, &aside).unwrap();
    let error = Sends::open(dir.path(), &keys).unwrap_err().to_string();
    assert!(error.contains("sends.key is missing"), "{error}");
    std::fs::rename(&aside, &key).unwrap();
    assert_eq!(open(dir.path()).unwrap().moments(pair).unwrap().len(), 1);
    let engine = Sled.open(&dir.path().join("db"), 8 << 20, false).unwrap();
    let mut rows = Vec::new();
    engine
        .scan(&[0], &[255], &mut |key, value| {
            rows.extend_from_slice(key);
            rows.extend_from_slice(value);
            true
        })
        .unwrap();
    for name in [pair.0.to_be_bytes(), pair.0.to_le_bytes()] {
        assert!(!rows.windows(8).any(|octets| octets == name), "a pair is hidden");
    }
    assert!(!rows.windows(4).any(|octets| octets == bucket::number(pair).to_be_bytes()), "and so is its bucket");
}

/// Nobody sends to them any more, and so nobody touches their bucket.
#[test]
fn what_no_longer_matters_goes_though_nobody_touches_it() {
    let dir = tempfile::tempdir().unwrap();
    let sends = open(dir.path()).unwrap();
    let pairs: Vec<Pair> = (0..200).map(|n| Pair::new("bakery", n)).collect();
    let (old, young) = (moment(now_s() - 9 * DAY_S, 1), moment(now_s(), 2));
    let long = Moment { keep_days: 180, ..old };
    let held = |at: usize| if at.is_multiple_of(2) { vec![old] } else { vec![old, long, young] };
    let all: Vec<_> = pairs.iter().enumerate().map(|(at, pair)| (*pair, held(at))).collect();
    let then = i64::from(now_s() - 9 * DAY_S);
    sends.inner.disk.put_all(all.iter().map(|(pair, moments)| (*pair, moments.as_slice())), then).unwrap();
    let rows = |sends: &Sends| {
        let mut rows = 0;
        let engine = sends.lend().unwrap()().unwrap();
        engine
            .scan(&[bucket::BUCKET], &[bucket::BUCKET + 1], &mut |_, _| {
                rows += 1;
                true
            })
            .unwrap();
        rows
    };
    let before = rows(&sends);
    assert!(before > 150, "{before}");
    let mut sweep = Sweep { from: Some(vec![bucket::BUCKET]), again_at: clock::monotonic() };
    while sweep.from.is_some() {
        sends.inner.sweep(&mut sweep);
    }
    assert!(rows(&sends) <= 100, "{} of {before}", rows(&sends));
    for (at, pair) in pairs.iter().enumerate() {
        let left: Vec<_> = sends.moments(*pair).unwrap().iter().map(|moment| moment.mark).collect();
        assert_eq!(left, if at.is_multiple_of(2) { vec![] } else { vec![1, 2] });
    }
    sends.inner.sweep(&mut sweep);
    assert!(sweep.from.is_none(), "not again before its time");
}
