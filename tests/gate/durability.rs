//! When records are durable: `before-forward` before the carrier sees the message, `interval` at the end at the latest.

use portcullis::gate::evidence::{self, Query};
use portcullis::simulator::{Answers, Faults};
use portcullis_protocol::{CommandId, Pdu};

use crate::gate::{PATIENCE, messages};
use crate::provider::OK;
use crate::stage::{Stage, notice, options, sent};

/// Messages sent in one go, and how many the carrier has when the gate is killed.
const SENT: u64 = 400;
const TAKEN: u64 = 100;

fn number(serial: u64) -> String {
    format!("86138001{serial:05}")
}

/// No answer ever comes, so that nothing but the forwarding itself can have waited for the journal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_finds_the_record_of_every_message_the_carrier_has() {
    let more = "[journal]\ndurability = \"before-forward\"\n[session]\nwindow = 1000";
    let stage = Stage::with(options(), "", more).await;
    stage.carrier.set_faults(Faults { answers: Answers::Never, ..Faults::default() });
    let mut provider = stage.herald().await;
    for serial in 0..SENT {
        provider.send(notice(&number(serial))).await;
    }
    assert!(stage.carrier.wait_until(PATIENCE, |counts| counts.messages >= TAKEN).await, "the carrier has some");
    let Stage { gate, folder, carrier } = stage;
    gate.kill();
    assert!(carrier.wait_until(PATIENCE, |counts| counts.sessions == 0).await, "it has read what there was");

    let _gate = folder.start();
    let taken = carrier.received_of(CommandId::SUBMIT_SM);
    assert!(taken.len() as u64 >= TAKEN);
    for received in taken {
        let Ok(Pdu::SubmitSm(message)) = Pdu::decode(&received.frame) else { panic!("{received:?}") };
        let to = message.destination.addr.to_string();
        assert_eq!(folder.sent_to(&to).len(), 1, "{to} is with the carrier and not in the journal");
    }
}

/// Nothing is written for a minute, so every answer came before its record; the drain writes them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_interval_is_written_when_the_gate_ends() {
    let stage = Stage::with(options(), "", "[journal]\ndurability = \"interval\"\ninterval = \"60s\"").await;
    let mut provider = stage.herald().await;
    for serial in 0..50 {
        assert_eq!(sent(&mut provider, notice(&number(serial))).await.0, OK);
    }
    assert!(stage.folder.status().durable < 50, "the answers waited for nothing");
    drop(provider);
    let Stage { gate, folder, carrier: _carrier } = stage;
    assert!(gate.stop().success());
    let mut found = Vec::new();
    let mut take = |one| {
        found.push(one);
        true
    };
    let journal = folder.journal();
    evidence::find(&journal, &Query::default(), &mut take).expect("the journal reads");
    let answered = messages(found).into_iter().filter(|message| message.outcome.is_some()).count();
    assert_eq!(answered, 50);
}
