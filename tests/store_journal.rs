//! The journal from outside: what is appended is found, before and after reopening.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::store::journal::AppendError;
use portcullis::store::{Index, Journal, JournalOptions, Query, Schema, StoreError, Ticket};

/// `at_ms(8) number(8) source(2) message_id…`
struct Fixed;

impl Schema for Fixed {
    fn at_ms(&self, payload: &[u8]) -> i64 {
        payload.get(..8).and_then(|at| at.try_into().ok()).map(i64::from_be_bytes).unwrap_or_default()
    }

    fn keys(&self, payload: &[u8], emit: &mut dyn FnMut(Index, &[u8])) {
        let part = |range| payload.get(range).unwrap_or_default();
        emit(Index::Destination, part(8..16));
        emit(Index::Source, part(16..18));
        emit(Index::MessageId, payload.get(18..).unwrap_or_default());
    }
}

const NOON: i64 = 1_795_492_800_000;

fn entry(at_ms: i64, number: u64, source: u16, message_id: &str) -> Vec<u8> {
    let mut payload = at_ms.to_be_bytes().to_vec();
    payload.extend(number.to_be_bytes());
    payload.extend(source.to_be_bytes());
    payload.extend(message_id.as_bytes());
    payload
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, Arc::new(Fixed), JournalOptions::default()).unwrap()
}

async fn settle(journal: &Journal, ticket: Ticket) {
    let mut progress = journal.progress();
    let durable = progress.wait_for(|progress| progress.durable >= ticket.sequence);
    tokio::time::timeout(Duration::from_secs(30), durable).await.unwrap().unwrap();
}

fn find(journal: &Journal, query: Query) -> Vec<Vec<u8>> {
    journal.find(query).unwrap().map(|found| found.unwrap().1).collect()
}

#[tokio::test]
async fn entries_are_found_by_every_key_and_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    let entries: Vec<_> = (0..300_u16)
        .map(|n| entry(NOON + i64::from(n) * 500_000, u64::from(n) % 7, n % 3, &format!("id-{n}")))
        .collect();
    let tickets: Vec<_> = entries.iter().map(|payload| journal.append(payload).unwrap()).collect();
    settle(&journal, tickets[299]).await;
    for reopened in [false, true] {
        if reopened {
            drop(journal);
            journal = open(dir.path());
        }
        for (ticket, payload) in tickets.iter().zip(&entries) {
            assert_eq!(journal.get(ticket.id).unwrap().as_ref(), Some(payload));
        }
        let by_number = Query { key: Some((Index::Destination, 3u64.to_be_bytes().to_vec())), ..Query::default() };
        let expected: Vec<_> = entries.iter().skip(3).step_by(7).cloned().collect();
        assert_eq!(find(&journal, by_number.clone()), expected);
        let newest = Query { newest_first: true, limit: 2, ..by_number };
        assert_eq!(find(&journal, newest), expected.iter().rev().take(2).cloned().collect::<Vec<_>>());
        let by_id = Query { key: Some((Index::MessageId, b"id-250".to_vec())), ..Query::default() };
        assert_eq!(find(&journal, by_id), [entries[250].clone()]);
        let by_time = Query { since_ms: Some(NOON + 500_000), until_ms: Some(NOON + 1_500_000), ..Query::default() };
        assert_eq!(find(&journal, by_time), entries[1..3]);
        let page = Query { after: Some(tickets[100].id), limit: 5, ..Query::default() };
        assert_eq!(find(&journal, page), entries[101..106]);
    }
}

#[tokio::test]
async fn numbering_goes_on_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).append(entry(NOON, 1, 1, "a")).unwrap();
    let journal = open(dir.path());
    let second = journal.append(entry(NOON, 1, 1, "b")).unwrap();
    assert_eq!((first.id.number, second.id.number), (0, 1));
    assert_eq!(first.id.to_string().len(), "20261124-000000000".len());
    settle(&journal, second).await;
    assert_eq!(find(&journal, Query::default()).len(), 2);
}

#[tokio::test]
async fn a_day_is_dropped_whole() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    journal.append(entry(NOON, 1, 1, "old")).unwrap();
    let ticket = journal.append(entry(NOON + 86_400_000, 1, 1, "new")).unwrap();
    settle(&journal, ticket).await;
    let days = journal.days().unwrap();
    assert_eq!(days.len(), 2);
    assert!(journal.drop_day(days[0]).unwrap());
    assert_eq!(journal.days().unwrap(), days[1..]);
    assert_eq!(find(&journal, Query::default()), [entry(NOON + 86_400_000, 1, 1, "new")]);
    assert!(!journal.drop_day(days[0]).unwrap());
}

/// Whoever is killed while it begins a day leaves a folder without a database.
#[tokio::test]
async fn a_day_that_was_only_about_to_begin_hinders_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let now = portcullis::clock::wall();
    let today = JournalOptions::default().time_zone.to_datetime(now).strftime("%Y%m%d").to_string();
    for day in ["20261123", &today] {
        std::fs::create_dir_all(dir.path().join(day).join("blobs")).unwrap();
        std::fs::write(dir.path().join(day).join("conf"), "").unwrap();
    }
    let journal = open(dir.path());
    assert_eq!(find(&journal, Query::default()), Vec::<Vec<u8>>::new());
    let entry = entry(now.as_millisecond(), 7, 1, "id");
    let ticket = journal.append(&entry).unwrap();
    assert_eq!(ticket.id.number, 0, "the day's first");
    settle(&journal, ticket).await;
    drop(journal);
    assert_eq!(find(&open(dir.path()), Query::default()), [entry]);
}

#[test]
fn a_held_journal_is_not_opened_twice() {
    let dir = tempfile::tempdir().unwrap();
    let _held = open(dir.path());
    let again = Journal::open(dir.path(), Arc::new(Fixed), JournalOptions::default());
    assert!(matches!(again, Err(StoreError::Held { .. })));
}

#[test]
fn an_entry_beyond_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let refused = journal.append(vec![0; 300_000]);
    assert!(matches!(refused, Err(AppendError::TooLong { bytes: 300_000, .. })));
}
