//! What comes back at odd times and over odd binds, and what a carrier says when it is full.

use portcullis_protocol::field::EsmClass;
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::provider::{source, subscriber};
use crate::stage::{Played, SERVICE, SUBSCRIBER, good};
use crate::wire::Wire;

const OK: CommandStatus = CommandStatus::ESME_ROK;
const SUBMIT: CommandId = CommandId::SUBMIT_SM;

fn receipt(message_id: &str, stat: &str) -> Frame {
    let text = format!(
        "id:{message_id} sub:001 dlvrd:001 submit date:2611240900 done date:2611240901 stat:{stat} err:000 text:"
    );
    let receipt = DeliverSm {
        source: subscriber(SUBSCRIBER),
        destination: source(SERVICE),
        esm_class: EsmClass(0x04),
        short_message: text.as_bytes(),
        ..DeliverSm::default()
    };
    Pdu::DeliverSm(receipt).to_frame(OK, 0)
}

/// The provider submits; the request as the carrier got it, and the number the provider gave it.
async fn submit(provider: &mut Wire, carrier: &mut Wire) -> (Frame, u32) {
    let request = provider.stamp(good());
    provider.write(request.as_bytes()).await;
    (carrier.next_of(SUBMIT).await, request.sequence_number())
}

/// The carrier delivers; the provider gets the same octets, and its answer comes back.
async fn deliver(provider: &mut Wire, carrier: &mut Wire, request: Frame) {
    let request = carrier.stamp(request);
    carrier.write(request.as_bytes()).await;
    let delivered = provider.frame().await;
    assert_eq!(delivered.command_id(), CommandId::DELIVER_SM, "{delivered:?}");
    assert_eq!(delivered.body(), request.body());
    provider.answer(&delivered, &[0]).await;
    let answer = carrier.response().await;
    assert_eq!((answer.sequence_number(), answer.command_status()), (request.sequence_number(), OK));
}

#[tokio::test]
async fn a_receipt_comes_over_another_bind_of_the_account() {
    let played = Played::set().await;
    let (mut first, mut first_carrier) = played.session().await;
    let (mut second, mut second_carrier) = played.session().await;
    let (at_carrier, number) = submit(&mut first, &mut first_carrier).await;
    first_carrier.answer(&at_carrier, b"0A1\0").await;
    assert_eq!(first.response().await.sequence_number(), number);
    deliver(&mut second, &mut second_carrier, receipt("0A1", "DELIVRD")).await;
}

#[tokio::test]
async fn a_receipt_comes_before_the_answer() {
    let played = Played::set().await;
    let (mut provider, mut carrier) = played.session().await;
    let (at_carrier, number) = submit(&mut provider, &mut carrier).await;
    deliver(&mut provider, &mut carrier, receipt("0A2", "DELIVRD")).await;
    carrier.answer(&at_carrier, b"0A2\0").await;
    let answer = provider.response().await;
    assert_eq!((answer.sequence_number(), answer.body()), (number, &b"0A2\0"[..]));
}

#[tokio::test]
async fn a_receipt_stays_behind_the_answer_it_came_behind() {
    let played = Played::durable().await;
    let (mut provider, mut carrier) = played.session().await;
    for message_id in ["0B1", "0B2", "0B3"] {
        let (at_carrier, number) = submit(&mut provider, &mut carrier).await;
        let body = format!("{message_id}\0");
        let answer = Frame::new(SUBMIT.response(), OK, at_carrier.sequence_number(), body.as_bytes());
        let receipt = carrier.stamp(receipt(message_id, "DELIVRD"));
        carrier.write(&[answer.as_bytes(), receipt.as_bytes()].concat()).await;
        let answer = provider.frame().await;
        assert_eq!((answer.sequence_number(), answer.body()), (number, body.as_bytes()), "{answer:?}");
        let delivered = provider.frame().await;
        assert_eq!(delivered.body(), receipt.body());
        provider.answer(&delivered, &[0]).await;
        assert_eq!(carrier.response().await.sequence_number(), receipt.sequence_number());
    }
}

#[tokio::test]
async fn receipts_nobody_asked_for_come_through() {
    let played = Played::set().await;
    let (mut provider, mut carrier) = played.session().await;
    let (at_carrier, number) = submit(&mut provider, &mut carrier).await;
    carrier.answer(&at_carrier, b"0A3\0").await;
    assert_eq!(provider.response().await.sequence_number(), number);
    // One too many of a message that asked for none, and one of a message never sent.
    for (message_id, stat) in [("0A3", "ACCEPTD"), ("0A3", "DELIVRD"), ("0A3", "DELIVRD"), ("0FF", "DELIVRD")] {
        deliver(&mut provider, &mut carrier, receipt(message_id, stat)).await;
    }
}

#[tokio::test]
async fn a_full_carrier_is_told_of_as_it_said_it() {
    let played = Played::set().await;
    let (mut provider, mut carrier) = played.session().await;
    for status in [CommandStatus::ESME_RMSGQFUL, CommandStatus::ESME_RTHROTTLED, OK] {
        let (at_carrier, number) = submit(&mut provider, &mut carrier).await;
        let answer = Frame::new(SUBMIT.response(), status, at_carrier.sequence_number(), b"1\0");
        carrier.write(answer.as_bytes()).await;
        let answer = provider.response().await;
        assert_eq!((answer.sequence_number(), answer.command_status()), (number, status));
    }
}

#[tokio::test]
async fn an_answer_comes_three_times() {
    let played = Played::set().await;
    let (mut provider, mut carrier) = played.session().await;
    let (at_carrier, number) = submit(&mut provider, &mut carrier).await;
    for message_id in [&b"1\0"[..], b"1\0", b"2\0"] {
        carrier.answer(&at_carrier, message_id).await;
    }
    let answer = provider.response().await;
    assert_eq!((answer.sequence_number(), answer.body()), (number, &b"1\0"[..]));
    // The next answer is the next message's.
    let (at_carrier, number) = submit(&mut provider, &mut carrier).await;
    carrier.answer(&at_carrier, b"3\0").await;
    let answer = provider.response().await;
    assert_eq!((answer.sequence_number(), answer.body()), (number, &b"3\0"[..]));
}

#[tokio::test]
async fn a_carrier_that_closes_instead_of_unbinding_ends_the_session() {
    let played = Played::set().await;
    let (mut provider, carrier) = played.session().await;
    drop(carrier);
    assert_eq!(provider.next_of(CommandId::UNBIND).await.command_status(), OK);
    // The gate is there for the next.
    let (mut provider, mut carrier) = played.session().await;
    let (at_carrier, number) = submit(&mut provider, &mut carrier).await;
    carrier.answer(&at_carrier, b"4\0").await;
    assert_eq!(provider.response().await.sequence_number(), number);
}
