use std::sync::Arc;

use jiff::tz::TimeZone;

use super::*;
use crate::gate::evidence::search;
use crate::gate::measures::settle;
use crate::gate::record::{
    self, Content, Delivery, Finding, Name, Origin, Outcome, Receipt, RecordSchema, Session, Submission, Taken,
    WireAddress,
};
use crate::store::{JournalOptions, Ticket};

const PORTS: [&str; 3] = ["10690001230801", "10690001230802", "1065500012399"];
const DAY_MS: i64 = 86_400_000;

fn opened(folder: &tempfile::TempDir, time_zone: TimeZone) -> Journal {
    let options = JournalOptions { time_zone, ..JournalOptions::default() };
    Journal::open(folder.path(), Arc::new(RecordSchema), options).unwrap()
}

/// A journal of its own.
struct Book {
    journal: Journal,
    last: Option<Ticket>,
    folder: tempfile::TempDir,
}

impl Book {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = opened(&folder, TimeZone::UTC);
        Self { journal, last: None, folder }
    }

    fn write(&mut self, record: &Record<'_>) -> Name {
        let ticket = self.journal.append(record.encode(Vec::new())).unwrap();
        self.last = Some(ticket);
        record::name(ticket.id)
    }

    /// Three days of messages to few numbers, their answers, receipts and replies, in no tidy order.
    fn of_everything(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut book, mut owed) = (Self::new(), Vec::new());
        for step in 0..160_i64 {
            let at_ms = 1_795_000_000_000 + step * DAY_MS / 55;
            let (to, port) = (random.u64(8_613_800_000_001..8_613_800_000_006).to_string(), PORTS[random.usize(..3)]);
            match random.u8(..10) {
                0 => _ = book.write(&session(at_ms)),
                1 => {
                    let of = book.write(&delivery(at_ms, &to, port, None, "TD"));
                    if random.bool() {
                        book.write(&taken(at_ms, &to, port, of));
                    }
                }
                2..=4 if !owed.is_empty() => {
                    let (of, to, port, id): (Name, String, &str, String) = owed.swap_remove(random.usize(..owed.len()));
                    let answered = answered(at_ms, &to, port, &id, of);
                    let receipt = delivery(at_ms, &to, port, Some(&id), "stat:DELIVRD");
                    // Now and then the receipt is first.
                    let both = if random.bool() { [answered, receipt] } else { [receipt, answered] };
                    both.iter().for_each(|record| _ = book.write(record));
                }
                _ => {
                    let forward = random.u8(..4) > 0;
                    let of = book.write(&submission(at_ms, &to, port, forward, step));
                    if forward {
                        owed.push((of, to, port, format!("{step:x}")));
                    }
                }
            }
        }
        book
    }

    fn all(&self, query: &Query) -> Vec<Found> {
        settle(&self.journal, self.last.unwrap()).unwrap();
        let mut all = Vec::new();
        let mut collect = |found| {
            all.push(found);
            true
        };
        let more = search(&self.journal, query, &mut collect).unwrap();
        assert_eq!(more, None);
        all
    }

    fn pages(&self, query: &Query, limit: usize) -> Vec<Found> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (before, page) = (all.len(), Query { limit, after, ..query.clone() });
            let mut collect = |found| {
                all.push(found);
                true
            };
            let more = search(&self.journal, &page, &mut collect).unwrap();
            assert!(all.len() - before <= limit);
            let Some(more) = more else { return all };
            assert_eq!(all.len() - before, limit, "a page that is not the last is full");
            after = Some(more.to_string());
        }
    }
}

fn address(addr: &str) -> WireAddress<'_> {
    WireAddress { ton: 1, npi: 1, addr: addr.into() }
}

fn origin() -> Origin<'static> {
    Origin { provider: "agg".into(), session: 7, peer: "127.0.0.1:4000".into() }
}

fn session(at_ms: i64) -> Record<'static> {
    Record::Session(Session { at_ms, origin: origin(), event: "bound".into() })
}

fn submission<'a>(at_ms: i64, to: &'a str, port: &'a str, forward: bool, step: i64) -> Record<'a> {
    let why = Finding { rule: "R09".into(), effect: "failed".into(), why: "no consent".into() };
    Record::Submission(Submission {
        received_ms: at_ms,
        source: address(port),
        destination: address(to),
        msisdn: to.parse().ok(),
        origin: origin(),
        command_id: 4,
        sequence_number: 9,
        port: Some((port.into(), "commercial".into())),
        sender: Some(if port == PORTS[2] { "bank" } else { "shop" }.into()),
        class: "commercial".into(),
        service_type: "".into(),
        flags: (0, 8, 1),
        part: None,
        content: Content::Text(format!("offer {}", step % 7).into()),
        verdict: if forward { "forward" } else { "reject" }.into(),
        status: 0,
        findings: if forward { Vec::new() } else { vec![why] },
        profile: "cn-2020-draft".into(),
        register: "abc".into(),
    })
}

fn answered<'a>(at_ms: i64, to: &'a str, port: &'a str, id: &str, of: Name) -> Record<'a> {
    let message_id = Some(id.to_owned().into());
    let (subscriber, port) = (to.into(), port.into());
    let outcome = "answered".into();
    Record::Outcome(Outcome { at_ms, subscriber, port, message_id, of, forwarded_ms: at_ms, outcome, status: 0 })
}

fn delivery<'a>(at_ms: i64, from: &'a str, port: &'a str, of: Option<&str>, text: &'a str) -> Record<'a> {
    let receipt =
        of.map(|id| Receipt { message_id: Some(id.to_owned().into()), state: Some("DELIVRD".into()), error: None });
    Record::Delivery(Delivery {
        received_ms: at_ms,
        source: address(from),
        destination: address(port),
        msisdn: from.parse().ok(),
        receipt,
        origin: origin(),
        flags: (0, 0),
        content: Content::Text(text.into()),
    })
}

fn taken<'a>(at_ms: i64, from: &'a str, port: &'a str, of: Name) -> Record<'a> {
    let (rule, effect) = ("R23".into(), "refused".into());
    let (subscriber, port) = (from.into(), port.into());
    Record::Taken(Taken { at_ms, subscriber, port, of, answers: None, rule, effect, senders: vec!["shop".into()] })
}

fn queries() -> Vec<Query> {
    let some = |text: &str| Some(text.to_owned());
    let base = Query::default;
    vec![
        base(),
        Query { to: some("13800000003"), ..base() },
        Query { from: some(PORTS[1]), ..base() },
        Query { sender: some("bank"), ..base() },
        Query { sender: some("shop"), kind: Some(Kind::Message), ..base() },
        Query { rule: some("R09"), ..base() },
        Query { rule: some("R23"), ..base() },
        Query { rule: some("R09"), sender: some("shop"), ..base() },
        Query { rule: some("R23"), provider: some("agg"), ..base() },
        Query { rule: some("R23"), text: some("td"), ..base() },
        Query { verdict: some("reject"), ..base() },
        Query { kind: Some(Kind::Message), provider: some("agg"), ..base() },
        Query { class: some("commercial"), sender: some("bank"), ..base() },
        Query { verdict: some("forward"), text: some("OFFER 3"), ..base() },
        Query { kind: Some(Kind::Reply), ..base() },
        Query { sessions: true, port: None, ..base() },
        Query { since_ms: Some(1_795_000_000_000 + DAY_MS), until_ms: Some(1_795_000_000_000 + 2 * DAY_MS), ..base() },
    ]
}

/// Replies that were taken for something are listed where that is on record, just behind them.
fn in_order(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| found.id().parse::<EntryId>().unwrap());
    found
}

#[test]
fn pages_in_either_direction_are_the_whole_with_all_that_was_joined() {
    for seed in [1, 20_261_124] {
        let book = Book::of_everything(seed);
        for query in queries() {
            let all = in_order(book.all(&query));
            assert!(!all.is_empty(), "{query:?}");
            for newest_first in [false, true] {
                let pages = book.pages(&Query { newest_first, ..query.clone() }, 11);
                assert_eq!(in_order(pages), all, "seed {seed}: {query:?}, newest first: {newest_first}");
            }
        }
    }
}

/// Says that nobody listens any more when it is told how far a search is.
struct Gone {
    walked: u64,
}

impl Finder for Gone {
    fn found(&mut self, _: Found) -> bool {
        true
    }

    fn walked(&mut self, entries: u64, _: i64) -> bool {
        self.walked = entries;
        false
    }
}

#[test]
fn a_search_that_finds_nothing_ends_when_nobody_listens() {
    let mut book = Book::new();
    for _ in 0..2 * A_STRETCH + 10 {
        book.write(&session(1_795_000_000_000));
    }
    settle(&book.journal, book.last.unwrap()).unwrap();
    for limit in [1, usize::MAX] {
        let query = Query { text: Some("not there".to_owned()), limit, ..Query::default() };
        let mut gone = Gone { walked: 0 };
        search(&book.journal, &query, &mut gone).unwrap();
        assert_eq!(gone.walked, A_STRETCH);
    }
}

/// Keeps what is found, and the entries.
#[derive(Debug, Default)]
struct Extract {
    found: Vec<Found>,
    entries: Vec<String>,
    wanting: Vec<String>,
}

impl Finder for Extract {
    fn found(&mut self, found: Found) -> bool {
        self.found.push(found);
        true
    }

    fn wanting(&mut self, what: String) {
        self.wanting.push(what);
    }

    fn wants_entries(&self) -> bool {
        true
    }

    fn entry(&mut self, id: EntryId, _: &Parts) -> bool {
        self.entries.push(id.to_string());
        true
    }
}

impl Book {
    fn extract(&self, query: &Query) -> Extract {
        settle(&self.journal, self.last.unwrap()).unwrap();
        let mut extract = Extract::default();
        search(&self.journal, query, &mut extract).unwrap();
        extract.entries.sort_unstable();
        extract
    }
}

const AT: i64 = 1_795_000_000_000;

fn shown(name: Name) -> String {
    entry_id(name).unwrap().to_string()
}

#[test]
fn a_carriers_id_used_again_is_found_in_the_time_asked_for_alone() {
    let mut book = Book::new();
    let mut sent = Vec::new();
    for at_ms in [AT, AT + 40 * DAY_MS] {
        let of = book.write(&submission(at_ms, "8613800000001", PORTS[0], true, 1));
        book.write(&answered(at_ms, "8613800000001", PORTS[0], "4F2A", of));
        sent.push(shown(of));
    }
    let query = Query { message_id: Some("4F2A".to_owned()), since_ms: Some(AT + DAY_MS), ..Query::default() };
    let found: Vec<String> = book.all(&query).iter().map(|found| found.id().to_owned()).collect();
    assert_eq!(found, sent[1..]);
    assert_eq!(book.pages(&query, 5).iter().map(|found| found.id().to_owned()).collect::<Vec<_>>(), sent[1..]);
}

#[test]
fn a_port_asked_for_is_told_what_came_back_to_it_in_another_spelling() {
    let mut book = Book::new();
    let of = book.write(&submission(AT, "8613800000001", PORTS[0], true, 1));
    book.write(&answered(AT + 1, "8613800000001", PORTS[0], "4F2A", of));
    let abroad = format!("86{}", PORTS[0]);
    book.write(&delivery(AT + 2, "8613800000001", &abroad, Some("4F2A"), "stat:DELIVRD"));
    book.write(&delivery(AT + 3, "8613800000001", &abroad, None, "hello"));
    let query = Query { from: Some(PORTS[0].to_owned()), ..Query::default() };
    let all = book.all(&query);
    let [Found::Message(message)] = all.as_slice() else { panic!("one message is asked for: {all:?}") };
    assert_eq!((message.receipts.len(), message.replies.len()), (1, 1));
    assert_eq!(book.pages(&query, 5), all);
}

#[test]
fn entries_are_those_of_all_that_is_found_and_of_nothing_else() {
    let mut book = Book::new();
    let (to, other) = ("8613800000001", "8613800000002");
    let mut expected = vec![book.write(&submission(AT, to, PORTS[2], true, 1))];
    // Before its answer, and the answer of another in between.
    expected.push(book.write(&delivery(AT + 1, to, PORTS[2], Some("a"), "stat:DELIVRD")));
    let foreign = book.write(&submission(AT + 2, other, PORTS[0], true, 2));
    book.write(&answered(AT + 3, other, PORTS[0], "b", foreign));
    expected.push(book.write(&answered(AT + 4, to, PORTS[2], "a", expected[0])));
    // A reply that is asked for by what it was taken for, and one that belongs to the message.
    let refusal = book.write(&delivery(AT + 5, other, PORTS[0], None, "TD"));
    book.write(&taken(AT + 6, other, PORTS[0], refusal));
    let reply = book.write(&delivery(AT + 7, to, PORTS[2], None, "TD"));
    expected.extend([reply, book.write(&taken(AT + 8, to, PORTS[2], reply))]);
    let extract = book.extract(&Query { sender: Some("bank".to_owned()), ..Query::default() });
    assert_eq!(extract.entries, expected.into_iter().map(shown).collect::<Vec<_>>());
    let [Found::Message(message)] = extract.found.as_slice() else { panic!("{:?}", extract.found) };
    assert_eq!((message.receipts.len(), message.replies.len()), (1, 1));
    let extract =
        book.extract(&Query { rule: Some("R23".to_owned()), sender: Some("shop".to_owned()), ..Query::default() });
    assert_eq!((extract.found.len(), extract.entries.len()), (2, 4), "{extract:?}");
}

#[test]
fn what_comes_back_after_many_more_messages_is_shown_by_itself() {
    let mut book = Book::new();
    let first = book.write(&submission(AT, "8613800000001", PORTS[0], true, 1));
    book.write(&answered(AT, "8613800000001", PORTS[0], "4F2A", first));
    for step in 0..10_100 {
        let to = (8_613_900_000_000_i64 + step).to_string();
        book.write(&submission(AT + step, &to, PORTS[0], false, step));
    }
    let late = AT + 20_000;
    let receipt = book.write(&delivery(late, "8613800000001", PORTS[0], Some("4F2A"), "stat:DELIVRD"));
    let reply = book.write(&delivery(late, "8613800000001", PORTS[0], None, "hello"));
    book.write(&delivery(late, "8613800000001", PORTS[2], None, "to another"));
    let extract = book.extract(&Query { sender: Some("shop".to_owned()), ..Query::default() });
    let alone = extract.found.iter().filter(|found| matches!(found, Found::Delivery(_)));
    assert_eq!(alone.map(Found::id).collect::<Vec<_>>(), [shown(receipt), shown(reply)]);
    assert!([receipt, reply].into_iter().all(|late| extract.entries.contains(&shown(late))));
}

#[test]
fn a_day_that_cannot_be_read_is_not_passed_over() {
    let mut book = Book::new();
    let first = book.write(&submission(AT, "8613800000001", PORTS[0], true, 1));
    book.write(&submission(AT + 5 * DAY_MS, "8613800000001", PORTS[0], true, 2));
    let query = Query { to: Some("13800000001".to_owned()), ..Query::default() };
    assert_eq!((book.extract(&query).found.len(), book.extract(&query).wanting.len()), (2, 0));
    let Book { journal, folder, .. } = book;
    drop(journal);
    let day = entry_id(first).unwrap().day;
    let aside = format!("{day}.broken-1");
    std::fs::create_dir(folder.path().join(&aside)).unwrap();
    let key = folder.path().join(format!("keys/{day}-content.key"));
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let journal = opened(&folder, TimeZone::UTC);
    let error = search(&journal, &query, &mut Extract::default()).unwrap_err().to_string();
    assert!(error.contains(&day.to_string()) && error.contains("key was deleted"), "{error}");
    drop(journal);
    std::fs::write(&key, kept).unwrap();
    let journal = opened(&folder, TimeZone::UTC);
    let mut extract = Extract::default();
    search(&journal, &query, &mut extract).unwrap();
    assert!(extract.found.len() == 2 && extract.wanting.len() == 1, "{extract:?}");
    assert!(extract.wanting[0].contains(&aside), "{:?}", extract.wanting);
    // What has expired is no fault, and needs no word.
    assert!(journal.drop_day(day).unwrap());
    std::fs::remove_dir(folder.path().join(&aside)).unwrap();
    let mut extract = Extract::default();
    search(&journal, &query, &mut extract).unwrap();
    assert_eq!((extract.found.len(), extract.wanting.len()), (1, 0));
}

#[test]
fn the_edges_of_a_time_are_found_after_a_change_of_the_zone() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book { journal: opened(&folder, TimeZone::get("Asia/Shanghai").unwrap()), last: None, folder };
    let evening = TimeZone::UTC.to_datetime(jiff::Timestamp::from_millisecond(AT).unwrap()).date().at(17, 0, 0, 0);
    let at_ms = TimeZone::UTC.to_timestamp(evening).unwrap().as_millisecond();
    let of = book.write(&submission(at_ms, "8613800000001", PORTS[0], true, 1));
    settle(&book.journal, book.last.unwrap()).unwrap();
    let Book { journal, folder, .. } = book;
    drop(journal);
    let journal = opened(&folder, TimeZone::UTC);
    let query = Query { since_ms: Some(at_ms - 1000), until_ms: Some(at_ms + 1000), ..Query::default() };
    let mut extract = Extract::default();
    search(&journal, &query, &mut extract).unwrap();
    assert_eq!(extract.found.iter().map(Found::id).collect::<Vec<_>>(), [shown(of)]);
}
