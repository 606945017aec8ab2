//! `[failure]`: what becomes of each class while the store cannot do its part, as an operator has it.

use std::fs;

use portcullis::gate::evidence::FoundMessage;
use portcullis_protocol::CommandStatus;

use crate::outage::{give_back, take_away};
use crate::provider::{OK, Provider, submit};
use crate::stage::{COMMERCIAL_PORT, NOTICE, SERVICE_PORT, SILENT, Stage, WILLING, multi, notice, offer, sent};

const TRY_AGAIN: CommandStatus = CommandStatus(0x64);
const NO_NAME: CommandStatus = CommandStatus(0x0483);
const OTHER: &str = "8613800138033";

/// A gate whose journal works no more, and how to give it back.
async fn without_journal(more: &str) -> (Stage, Provider, impl AsyncFnOnce(&Stage, &mut Provider)) {
    let stage = Stage::with_herald("explain = true", more).await;
    stage.consent(WILLING);
    let mut provider = stage.herald().await;
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, OK);
    let journal = stage.folder.config().data.join("journal");
    let away = take_away(&journal);
    // Only a record that cannot be written shows that none can.
    sent(&mut provider, notice(OTHER)).await;
    stage.gate.await_log("the journal cannot write; entries wait in memory");
    let heal = async move |stage: &Stage, provider: &mut Provider| {
        give_back(&journal, &away);
        stage.gate.await_log("the journal writes again");
        // Its record is on disk before its answer, and all that waited are before it.
        assert_eq!(sent(provider, offer(WILLING)).await.0, OK);
    };
    (stage, provider, heal)
}

/// Verdict of the last record to a number, and what R26 did there.
fn last(stage: &Stage, to: &str) -> (String, Option<String>) {
    of(stage.folder.sent_to(to).last())
}

/// The same of the first record that came after the one sent while all was well.
fn first(stage: &Stage, to: &str) -> (String, Option<String>) {
    of(stage.folder.sent_to(to).get(1))
}

fn of(record: Option<&FoundMessage>) -> (String, Option<String>) {
    let record = record.expect("a record");
    let evidence = record.findings.iter().find(|found| found.rule == "R26");
    (record.verdict.clone(), evidence.map(|found| found.effect.clone()))
}

fn told(verdict: &str, effect: &str) -> (String, Option<String>) {
    (verdict.to_owned(), Some(effect.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_itself_marketing_waits_and_the_rest_goes_on_and_both_are_told() {
    let (stage, mut provider, heal) = without_journal("").await;
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, TRY_AGAIN);
    assert_eq!(sent(&mut provider, notice(SILENT)).await.0, OK);
    heal(&stage, &mut provider).await;
    assert_eq!(first(&stage, WILLING), told("hold", "held"));
    assert_eq!(last(&stage, SILENT), told("forward", "alert"));
    assert_eq!(sent(&mut provider, notice(SILENT)).await.0, OK);
    assert_eq!(last(&stage, SILENT), ("forward".to_owned(), None), "nothing is amiss any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marketing_can_be_refused_for_good_and_service_can_be_made_to_wait() {
    let more = "[profile.failure]\ncommercial = \"reject\"\nservice = \"hold\"";
    let (stage, mut provider, heal) = without_journal(more).await;
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, CommandStatus::ESME_RSUBMITFAIL);
    assert_eq!(sent(&mut provider, notice(SILENT)).await.0, TRY_AGAIN);
    heal(&stage, &mut provider).await;
    assert_eq!(first(&stage, WILLING), told("reject", "failed"));
    assert_eq!(last(&stage, SILENT), told("hold", "held"));
    assert_eq!(sent(&mut provider, notice(SILENT)).await.0, OK);
    let said = stage.folder.run(&["check"]);
    assert!(said.code == Some(0) && said.stderr.contains("failure.service"), "a warning: {}", said.stderr);
}

/// What can be judged still is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marketing_goes_on_with_nobody_knowing_who_agreed_only_in_so_many_words() {
    let stage = Stage::with_herald("", "[profile.failure]\ncommercial = \"forward-unjudged\"").await;
    stage.consent(WILLING);
    let mut provider = stage.herald().await;
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, OK);
    fs::remove_dir_all(stage.folder.config().data.join("consents")).expect("consents to delete");
    // A write shows that they are gone.
    stage.folder.run(&["consent", "refuse", "--msisdn", OTHER, "--sender", "bakery"]);
    stage.gate.await_log("the consents failed");
    assert!(stage.folder.status().consents.starts_with("down: "), "status says so");
    assert_eq!(sent(&mut provider, offer(SILENT)).await.0, OK);
    assert_eq!(last(&stage, SILENT), told("forward", "alert"));
    let nameless = submit(COMMERCIAL_PORT, SILENT, "All bread half price. Call 400-000-0077. Reply TD to unsubscribe");
    assert_eq!(sent(&mut provider, nameless).await.0, NO_NAME);
    let said = stage.folder.run(&["check"]);
    assert!(said.code == Some(0) && said.stderr.contains("failure.commercial"), "a warning: {}", said.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_not_even_memory_has_room_service_goes_on_only_if_the_operator_says_so() {
    const FILLING: usize = 40;
    for (word, full) in [("hold", TRY_AGAIN), ("forward-unrecorded", OK)] {
        let more = format!("[journal]\nspool_entries = 20\n[profile.failure]\nspool_full = \"{word}\"");
        let (stage, mut provider, heal) = without_journal(&more).await;
        for _ in 0..FILLING {
            sent(&mut provider, notice(OTHER)).await;
        }
        assert_eq!(sent(&mut provider, notice(SILENT)).await.0, full, "{word}");
        assert_eq!(sent(&mut provider, offer(WILLING)).await.0, TRY_AGAIN, "{word}");
        assert!(stage.folder.status().totals.unrecorded > 1);
        heal(&stage, &mut provider).await;
    }
}

/// Whatever is left of the room: a recipient's record never says that a message went on of which the others have none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_not_all_recipients_records_find_room_none_is_written() {
    const THREE: [&str; 3] = ["8613800138041", "8613800138042", "8613800138043"];
    for entries in 20..24 {
        let more = format!("[journal]\nspool_entries = {entries}");
        let (stage, mut provider, heal) = without_journal(&more).await;
        let mut refused = 0;
        for _ in 0..20 {
            let answer = provider.ask(multi(SERVICE_PORT, &THREE, NOTICE)).await;
            refused += usize::from(answer.command_status() == TRY_AGAIN);
        }
        assert!((1..20).contains(&refused), "{refused} of 20 with room for {entries}");
        heal(&stage, &mut provider).await;
        for to in THREE {
            assert_eq!(stage.folder.sent_to(to).len(), 20 - refused, "{to} with room for {entries}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_is_not_a_matter_of_modes() {
    let stage = Stage::new().await;
    for mode in ["observe", "off"] {
        stage.folder.configure("", stage.carrier.address(), &format!("[profile]\nR26 = \"{mode}\""));
        let said = stage.folder.run(&["check"]);
        assert!(said.code == Some(1) && said.stderr.contains("profile.R26: R26 evidence holds"), "{}", said.stderr);
    }
}
