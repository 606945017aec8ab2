use super::*;

const DAY_S: u32 = 86_400;

fn now_s() -> u32 {
    u32::try_from(clock::wall().as_second()).unwrap()
}

fn moment(at_s: u32, mark: u32) -> Moment {
    Moment { at_s, mark, keep_days: 1, asks: false, fate: Fate::Open }
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
    let sends = Sends::open(dir.path()).unwrap();
    let begun = sends.kept_until_ms();
    add(&sends, one, moment(now_s(), 1));
    assert_eq!(sends.moments(one).unwrap().len(), 1);
    sends.flush().unwrap();
    assert_eq!(sends.inner.fresh.load(Relaxed), 0, "nothing is kept in memory that is on disk");
    assert_eq!(sends.moments(one).unwrap(), [moment(sends.moments(one).unwrap()[0].at_s, 1)]);
    add(&sends, one, Moment { fate: Fate::Taken, asks: true, keep_days: 200, ..moment(now_s(), 2) });
    assert_eq!(sends.moments(other).unwrap(), []);
    drop(sends);
    let sends = Sends::open(dir.path()).unwrap();
    assert!(sends.kept_until_ms() >= begun);
    let held = sends.moments(one).unwrap();
    let told: Vec<_> = held.iter().map(|m| (m.mark, m.asks, m.keep_days, m.fate)).collect();
    // Nobody will tell this process how the one left open by the last has ended.
    assert_eq!(told, [(1, false, 1, Fate::Unknown), (2, true, 200, Fate::Taken)]);
}

#[test]
fn a_pair_changed_while_it_is_written_stays_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let sends = Sends::open(dir.path()).unwrap();
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
    let sends = Sends::open(dir.path()).unwrap();
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
    let sends = Arc::new(Sends::open(dir.path()).unwrap());
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
