//! A power cut leaves what was synced, and nothing else: every acknowledged entry and every
//! acknowledged consent is in it.
//!
//! A child process writes under a preloaded library (`store/power_cut.c`) that copies each
//! file to a shadow when it is synced. The child is killed at a random moment; the shadow is
//! what the disk would have. POWER_CUT_ROUNDS changes the number of rounds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use portcullis::store::consents::{ConsentsOptions, Status, Towards};
use portcullis::store::{Consents, Event, Index, Journal, JournalOptions, Query, Schema};

/// Set in the child: where it writes.
const LIVE: &str = "POWER_CUT_LIVE";

/// Entries and consents are acknowledged in groups of this many.
const GROUP: u64 = 48;

/// A moment at noon, so that a run stays within a day.
const NOON: i64 = 1_795_492_800_000;

struct Numbered;

impl Schema for Numbered {
    fn at_ms(&self, _payload: &[u8]) -> i64 {
        NOON
    }

    fn keys(&self, payload: &[u8], emit: &mut dyn FnMut(Index, &[u8])) {
        emit(Index::Destination, payload.get(..8).unwrap_or_default());
    }
}

fn payload(number: u64) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    // Of differing lengths, and not to be compressed away.
    payload.extend(
        (0..number % 200).map(|at| (number.wrapping_mul(0x9E37_79B9).wrapping_add(at * at) >> 3).to_le_bytes()[0] | 1),
    );
    payload
}

fn open_journal(dir: &Path) -> Journal {
    Journal::open(&dir.join("journal"), Arc::new(Numbered), JournalOptions::default()).unwrap()
}

fn open_consents(dir: &Path) -> Consents {
    Consents::open(&dir.join("consents"), &ConsentsOptions::default()).unwrap()
}

/// The child's part; does nothing in an ordinary run.
#[tokio::test]
async fn child_writes_until_it_is_killed() {
    let Some(live) = std::env::var_os(LIVE).map(PathBuf::from) else { return };
    let first: u64 = std::env::var("POWER_CUT_FIRST").unwrap().parse().unwrap();
    let (journal, consents) = (open_journal(&live), open_consents(&live));
    let mut progress = journal.progress();
    let mut out = std::io::stdout();
    for group in 0.. {
        let numbers = first + group * GROUP..first + (group + 1) * GROUP;
        let mut last = 0;
        for number in numbers.clone() {
            last = journal.append(payload(number)).unwrap().sequence;
        }
        progress.wait_for(|progress| progress.durable >= last).await.unwrap();
        writeln!(out, "journal {}", numbers.end).unwrap();
        let events: Vec<_> = numbers.clone().map(event).collect();
        consents.apply(&events).unwrap();
        writeln!(out, "consents {}", numbers.end).unwrap();
        out.flush().unwrap();
    }
}

fn event(number: u64) -> Event<'static> {
    Event {
        msisdn: 8_613_900_000_000 + number,
        sender: "shop",
        category: "promotion",
        status: if number.is_multiple_of(5) { Status::Refusal } else { Status::Consent },
        at_ms: NOON,
        method: "web",
        evidence: "form",
        expires_at_ms: None,
        ..Event::default()
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    if std::env::var_os(LIVE).is_some() {
        return;
    }
    let rounds: u64 = std::env::var("POWER_CUT_ROUNDS").map_or(8, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let library = compile(folder.path());
    let (live, shadow) = (folder.path().join("live"), folder.path().join("shadow"));
    fs::create_dir(&live).unwrap();
    let (mut journal, mut consents) = (0, 0);
    for round in 0..rounds {
        let first = journal.max(consents) + 10_000;
        let mut child = spawn(&library, &live, &shadow, first);
        let acknowledged = watch(&mut child, round);
        // The power is gone: the next round runs on what the disk kept.
        fs::remove_dir_all(&live).unwrap();
        copy_tree(&shadow, &live);
        check_journal(&live, first, acknowledged.journal);
        check_consents(&live, first, acknowledged.consents);
        fs::remove_dir_all(&shadow).unwrap();
        fs::remove_dir_all(folder.path().join("shadow.files")).unwrap();
        copy_tree(&live, &shadow);
        println!(
            "round {round}: {} entries and {} consents acknowledged, none lost",
            acknowledged.journal.saturating_sub(first),
            acknowledged.consents.saturating_sub(first)
        );
        (journal, consents) = (acknowledged.journal.max(first), acknowledged.consents.max(first));
    }
}

fn compile(folder: &Path) -> PathBuf {
    let library = folder.join("power_cut.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/power_cut.c");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(&library)
        .arg(source)
        .args(["-ldl", "-lpthread"])
        .status()
        .unwrap();
    assert!(status.success(), "the library does not compile");
    library
}

fn spawn(library: &Path, live: &Path, shadow: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_it_is_killed", "--nocapture"])
        .env("LD_PRELOAD", library)
        .env(LIVE, live)
        .env("POWER_CUT_SHADOW", shadow)
        .env("POWER_CUT_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[derive(Default)]
struct Acknowledged {
    journal: u64,
    consents: u64,
}

/// Reads acknowledgements, pulls the plug after some of them, and reads what was still said.
fn watch(child: &mut Child, round: u64) -> Acknowledged {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = Acknowledged::default();
    let note = |line: &str, acknowledged: &mut Acknowledged| match line.split_once(' ') {
        Some(("journal", upto)) => acknowledged.journal = upto.parse().unwrap(),
        Some(("consents", upto)) => acknowledged.consents = upto.parse().unwrap(),
        _ => {}
    };
    // Enough for blocks and segments of the journal to come about in some of the rounds.
    for line in lines.by_ref().take(20 + usize::try_from(round * 37 % 300).unwrap()) {
        note(&line, &mut acknowledged);
    }
    std::thread::sleep(Duration::from_micros(round * 7919 % 5000));
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines {
        note(&line, &mut acknowledged);
    }
    assert!(acknowledged.journal > 0 && acknowledged.consents > 0, "the child acknowledged nothing");
    acknowledged
}

fn check_journal(live: &Path, first: u64, upto: u64) {
    let journal = open_journal(live);
    let kept: HashSet<_> = journal.find(Query::default()).unwrap().map(|entry| entry.unwrap().1).collect();
    let lost: Vec<_> = (first..upto).filter(|&number| !kept.contains(&payload(number))).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged entries lost: {lost:?}", lost.len(), upto - first);
    for number in [first, upto - 1] {
        let key = Some((Index::Destination, number.to_be_bytes().to_vec()));
        let found = journal.find(Query { key, ..Query::default() }).unwrap().count();
        assert_eq!(found, 1, "entry {number} by its key");
    }
}

fn check_consents(live: &Path, first: u64, upto: u64) {
    let consents = open_consents(live);
    for number in first..upto {
        let standing = consents
            .standing(Towards { sender: "shop", former: &[], provider: None }, 8_613_900_000_000 + number, NOON)
            .unwrap();
        let refused = standing.refused_at_ms.is_some();
        assert_eq!(refused, number.is_multiple_of(5), "{number} of {first}..{upto}: {standing:?}");
        assert!(refused || standing.categories.iter().any(|category| category.status == Status::Consent), "{number}");
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
