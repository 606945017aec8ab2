//! A gate that is asked to end: answers are awaited, both legs unbound, and it does end.

use std::time::Duration;

use portcullis::gate::evidence::Query;
use portcullis::simulator::{Answers, Faults, SimulatorOptions};
use portcullis_protocol::{CommandId, CommandStatus};
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::gate::{Folder, PATIENCE, messages};
use crate::provider::{OK, Provider, message_id};
use crate::stage::{Stage, notice, options};

const NUMBERS: [&str; 3] = ["8613800138011", "8613800138012", "8613800138013"];

/// Sends a message to each number and waits until the carrier has them, unanswered.
async fn send_all(stage: &Stage, provider: &mut Provider) -> Vec<u32> {
    let mut open = Vec::new();
    for number in NUMBERS {
        open.push(provider.send(notice(number)).await);
    }
    let all = NUMBERS.len() as u64;
    assert!(stage.carrier.wait_until(PATIENCE, |counts| counts.messages == all).await, "the carrier has all");
    open
}

/// What the journal has of the three messages once the gate is gone.
fn outcomes(folder: &Folder) -> Vec<(String, String)> {
    let journal = folder.journal();
    let mut found = Vec::new();
    let mut take = |one| {
        found.push(one);
        true
    };
    portcullis::gate::evidence::find(&journal, &Query::default(), &mut take).expect("the journal reads");
    let outcome = |message: portcullis::gate::evidence::FoundMessage| {
        (message.destination, message.outcome.map_or_else(|| "none".to_owned(), |outcome| outcome.outcome))
    };
    messages(found).into_iter().map(outcome).collect()
}

async fn answers_are_awaited_after(signal: Signal) {
    let stage = Stage::with(SimulatorOptions { latency: Duration::from_millis(300), ..options() }, "", "").await;
    let mut provider = stage.herald().await;
    let mut open = send_all(&stage, &mut provider).await;
    stage.gate.signal(signal);
    stage.gate.await_log("draining");

    while !open.is_empty() {
        let answer = provider.read().await.expect("every answer before the end");
        assert_eq!((answer.command_id(), answer.command_status()), (CommandId::SUBMIT_SM_RESP, OK));
        assert!(message_id(&answer).is_some_and(|id| !id.is_empty()), "the carrier's own answer");
        open.retain(|sequence_number| *sequence_number != answer.sequence_number());
    }
    assert_eq!(provider.request().await.command_id(), CommandId::UNBIND);
    assert!(provider.read().await.is_none(), "then the connection ends");
    drop(provider);
    let Stage { gate, folder, carrier } = stage;
    let address = gate.address;
    assert!(gate.ended().success());
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    assert!(carrier.wait_until(PATIENCE, |counts| counts.unbinds == 1 && counts.sessions == 0).await);
    assert_eq!(outcomes(&folder), NUMBERS.map(|number| (number.to_owned(), "answered".to_owned())));
    assert!(!portcullis::admin::socket_path(&folder.config().data).exists(), "the socket is removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_drains() {
    answers_are_awaited_after(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_drains() {
    answers_are_awaited_after(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_never_answers_does_not_hold_the_gate_up() {
    let stage = Stage::with(options(), "drain_timeout = \"1s\"", "").await;
    stage.carrier.set_faults(Faults { answers: Answers::Never, ignore_unbind: true, ..Faults::default() });
    let mut provider = stage.herald().await;
    let open = send_all(&stage, &mut provider).await;
    stage.gate.ask_to_end();
    for sequence_number in open {
        let status = provider.answer_to(sequence_number).await.command_status();
        assert_eq!(status, CommandStatus::ESME_RSYSERR, "the carrier may have it");
    }
    drop(provider);
    let Stage { gate, folder, carrier: _carrier } = stage;
    assert!(gate.ended().success());
    assert_eq!(outcomes(&folder), NUMBERS.map(|number| (number.to_owned(), "abandoned".to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let stage = Stage::with(options(), "drain_timeout = \"1h\"", "").await;
    stage.carrier.set_faults(Faults { answers: Answers::Never, ignore_unbind: true, ..Faults::default() });
    let mut provider = stage.herald().await;
    send_all(&stage, &mut provider).await;
    stage.gate.ask_to_end();
    stage.gate.await_log("draining");
    stage.gate.signal(Signal::INT);
    assert!(stage.gate.ended().success());
}
