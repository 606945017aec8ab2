//! What comes back: receipts and replies reach the provider as they are and the journal as what they are.

use portcullis::gate::evidence::{Found, FoundDelivery, Query};
use portcullis::simulator::SimulatorOptions;
use portcullis_protocol::field::RegisteredDelivery;
use portcullis_protocol::pdu::{DeliverSm, SubmitSm};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::gate::PATIENCE;
use crate::provider::{OK, Provider, encoded, message_id, source, subscriber};
use crate::stage::{NOTICE, SERVICE_PORT, Stage, WILLING, options};

const REPLY: &str = "When will it be ready?";

/// A service message that asks for a receipt.
fn asking() -> Frame {
    let (data_coding, octets) = encoded(NOTICE);
    let message = SubmitSm {
        source: source(SERVICE_PORT),
        destination: subscriber(WILLING),
        registered_delivery: RegisteredDelivery(1),
        data_coding,
        short_message: &octets,
        ..SubmitSm::default()
    };
    Pdu::SubmitSm(message).to_frame(OK, 0)
}

/// A reply from the subscriber to the port.
fn reply() -> Frame {
    let (data_coding, octets) = encoded(REPLY);
    let reply = DeliverSm {
        source: subscriber(WILLING),
        destination: source(SERVICE_PORT),
        data_coding,
        short_message: &octets,
        ..DeliverSm::default()
    };
    Pdu::DeliverSm(reply).to_frame(OK, 0)
}

fn deliveries(stage: &Stage) -> Vec<FoundDelivery> {
    let found = stage.folder.find(Query { to: Some(WILLING.to_owned()), ..Query::default() });
    let delivery = |found| if let Found::Delivery(delivery) = found { Some(delivery) } else { None };
    found.into_iter().filter_map(delivery).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_comes_back_and_stands_in_the_journal_with_its_message() {
    let stage = Stage::with(SimulatorOptions { receipts: true, ..options() }, "", "").await;
    let mut provider = stage.herald().await;
    let answer = provider.ask(asking()).await;
    let message_id = message_id(&answer).expect("the carrier's");
    let receipt = provider.request().await;
    assert_eq!(receipt.command_id(), CommandId::DELIVER_SM);
    let text = String::from_utf8_lossy(receipt.body()).into_owned();
    assert!(text.contains(&format!("id:{message_id} ")) && text.contains("stat:DELIVRD"), "{text}");
    assert!(stage.carrier.wait_until(PATIENCE, |counts| counts.acknowledged == 1).await, "the answer gets back");

    let records = stage.folder.sent_to(WILLING);
    assert_eq!(records.len(), 1);
    let states: Vec<_> = records[0].receipts.iter().map(|receipt| receipt.state.as_deref()).collect();
    assert_eq!(states, [Some("DELIVRD")]);
    assert_eq!(stage.folder.status().totals.deliveries, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_reaches_a_receiver_byte_for_byte() {
    let stage = Stage::new().await;
    let mut receiver = Provider::connect(stage.address()).await;
    assert_eq!(receiver.bind(CommandId::BIND_RECEIVER, "herald", "s3cret").await, OK);
    let sent = reply();
    assert!(stage.carrier.deliver("herald", sent.clone()).await, "the carrier has a bind to deliver to");
    let taken = receiver.request().await;
    assert_eq!((taken.command_id(), taken.body()), (CommandId::DELIVER_SM, sent.body()));
    assert!(stage.carrier.wait_until(PATIENCE, |counts| counts.acknowledged == 1).await);
    let found = deliveries(&stage);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].text.as_deref(), found[0].state.as_deref()), (Some(REPLY), None));
    assert_eq!((found[0].source.as_str(), found[0].destination.as_str()), (WILLING, SERVICE_PORT));

    let refused = receiver.ask(asking()).await.command_status();
    assert_eq!(refused, CommandStatus::ESME_RINVBNDSTS, "a receiver may not send");
}

/// The carrier is told what the provider answered, error or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_refusal_of_a_delivery_goes_back() {
    let stage = Stage::new().await;
    let mut provider = stage.herald().await;
    assert!(stage.carrier.deliver("herald", reply()).await);
    let taken = provider.read().await.expect("a delivery");
    let answer = Frame::new(CommandId::DELIVER_SM_RESP, CommandStatus(0x0401), taken.sequence_number(), &[0]);
    provider.write(answer.as_bytes()).await;
    assert!(stage.carrier.wait_until(PATIENCE, |counts| counts.declined == 1).await);
    let answers = stage.carrier.received_of(CommandId::DELIVER_SM_RESP);
    assert_eq!(answers[0].frame.command_status(), CommandStatus(0x0401), "a vendor's code survives");
}
