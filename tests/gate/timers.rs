//! Time as the running gate keeps it: silence, lateness and idleness end in the promised way.

use std::time::Duration;

use portcullis::simulator::{Answers, Faults};
use portcullis_protocol::{CommandId, CommandStatus};

use crate::gate::PATIENCE;
use crate::provider::{OK, Provider, bare};
use crate::stage::{Stage, WILLING, notice, options, sent};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_bind_is_let_go() {
    let stage = Stage::with(options(), "", "[session]\nsession_init_timeout = \"500ms\"").await;
    let mut silent = Provider::connect(stage.address()).await;
    assert!(silent.read().await.is_none());
    let mut talkative = Provider::connect(stage.address()).await;
    assert_eq!(talkative.ask(bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK);
    assert!(talkative.read().await.is_none());
    stage.gate.await_log("session-init-timeout");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_legs_are_asked_for_life_and_stay_bound_while_they_answer() {
    let stage = Stage::with(options(), "", "[session]\nenquire_link_interval = \"300ms\"").await;
    let mut provider = stage.herald().await;
    for _ in 0..3 {
        assert_eq!(provider.request().await.command_id(), CommandId::ENQUIRE_LINK);
    }
    assert!(stage.carrier.wait_until(PATIENCE, |counts| counts.enquire_links >= 3).await, "the carrier is asked too");
    assert_eq!(sent(&mut provider, notice(WILLING)).await.0, OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_is_dead_ends_the_session_for_its_provider_too() {
    let more = "enquire_link = \"300ms\"\n[session]\nresponse_timeout = \"500ms\"";
    let stage = Stage::with(options(), "", more).await;
    let mut provider = stage.herald().await;
    stage.carrier.set_faults(Faults { ignore_enquire_link: true, ignore_unbind: true, ..Faults::default() });
    while provider.request().await.command_id() != CommandId::UNBIND {}
    stage.gate.await_log("ending=carrier-silent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_too_late_is_nobodys_and_the_bind_goes_on() {
    let stage = Stage::with(options(), "", "response_timeout = \"500ms\"").await;
    let mut provider = stage.herald().await;
    let late = Answers::Late(Duration::from_millis(700));
    stage.carrier.set_faults(Faults { answers: late, ..Faults::default() });
    let first = provider.send(notice(WILLING)).await;
    assert_eq!(provider.answer_to(first).await.command_status(), CommandStatus::ESME_RSYSERR);
    stage.carrier.set_faults(Faults::default());
    // The carrier answers in order: what is sent now may have to wait behind the late answer.
    let mut tries = 1;
    while sent(&mut provider, notice(WILLING)).await.0 != OK {
        tries += 1;
        assert!(tries < 20, "the bind does not go on");
    }
    let outcomes: Vec<_> = stage.folder.sent_to(WILLING).into_iter().filter_map(|record| record.outcome).collect();
    let named: Vec<_> = outcomes.iter().map(|outcome| outcome.outcome.as_str()).collect();
    let (last, before) = named.split_last().expect("outcomes");
    assert_eq!((*last, before.len()), ("answered", tries));
    assert!(before.iter().all(|outcome| *outcome == "timed-out"), "{named:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_with_nothing_to_say_is_ended_where_that_is_asked_for() {
    let stage = Stage::with(options(), "", "[session]\ninactivity_timeout = \"700ms\"").await;
    let mut provider = stage.herald().await;
    assert_eq!(provider.request().await.command_id(), CommandId::UNBIND);
    assert!(provider.read().await.is_none());
    stage.gate.await_log("ending=inactive");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_is_lost_is_told_to_the_provider_message_by_message() {
    let stage = Stage::new().await;
    let mut provider = stage.herald().await;
    stage.carrier.set_faults(Faults { answers: Answers::Never, ..Faults::default() });
    let open = provider.send(notice(WILLING)).await;
    assert!(stage.carrier.wait_until(PATIENCE, |counts| counts.messages == 1).await);
    stage.carrier.cut_connections();
    assert_eq!(provider.answer_to(open).await.command_status(), CommandStatus::ESME_RSYSERR);
    assert_eq!(provider.request().await.command_id(), CommandId::UNBIND);
    let outcome = stage.folder.sent_to(WILLING).remove(0).outcome.expect("an outcome");
    assert_eq!(outcome.outcome, "carrier-lost");
}
