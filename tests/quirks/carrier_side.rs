//! Every PDU of testdata/pdu, sent to the gate by a carrier over one bind.
//!
//! Requests with a good `deliver_sm` behind them; responses as the answer to a `submit_sm`, or
//! to nothing. What the provider gets is what the carrier sent, octet for octet.

use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::case::Case;
use crate::provider::{source, subscriber};
use crate::provider_side::{cases, frame_of};
use crate::stage::{COMMERCIAL, Played, SUBSCRIBER, good};
use crate::wire::Wire;

/// A reply that goes through.
fn reply(text: &str) -> Frame {
    let reply = DeliverSm {
        source: subscriber(SUBSCRIBER),
        destination: source(COMMERCIAL),
        short_message: text.as_bytes(),
        ..DeliverSm::default()
    };
    Pdu::DeliverSm(reply).to_frame(CommandStatus::ESME_ROK, 0)
}

fn is_broken(case: &Case) -> bool {
    matches!(case.expect.as_deref(), Some("frame too short" | "frame too long" | "incomplete"))
}

/// Sends the octets and a good `deliver_sm` behind them, until that one and so many others are
/// answered: what the provider got, and the carrier. A reply that is looked into may be overtaken.
async fn pass(provider: &mut Wire, carrier: &mut Wire, octets: &[u8], answers: usize) -> (Vec<Frame>, Vec<Frame>) {
    let last = carrier.stamp(reply("What time?"));
    carrier.write(&[octets, last.as_bytes()].concat()).await;
    let (mut got, mut others, mut answered) = (Vec::new(), Vec::new(), false);
    while !answered || others.len() < answers {
        tokio::select! {
            request = provider.frame() => {
                if request.command_id().wants_response() {
                    provider.answer(&request, &[0]).await;
                }
                got.push(request);
            }
            answer = carrier.response() => {
                let is_last = answer.sequence_number() == last.sequence_number();
                if is_last && answer.command_id() == CommandId::DELIVER_SM_RESP {
                    assert_eq!(answer.command_status(), CommandStatus::ESME_ROK, "{answer:?}");
                    answered = true;
                } else {
                    others.push(answer);
                }
            }
        }
    }
    got.retain(|request| request.command_id() != last.command_id() || request.body() != last.body());
    (got, others)
}

#[tokio::test]
async fn no_request_ends_the_bind() {
    let played = Played::set().await;
    let (mut provider, mut carrier) = played.session().await;
    let (mut sent, mut faults) = (0, Vec::new());
    for case in cases().iter().filter(|case| !is_broken(case)) {
        let frame = frame_of(case);
        if frame.command_id() == CommandId::UNBIND || frame.command_id().is_response() {
            continue;
        }
        let wanted = usize::from(frame.command_id().wants_response());
        let (got, answers) = pass(&mut provider, &mut carrier, &case.bytes, wanted).await;
        let answered = answers.iter().filter(|answer| answer.sequence_number() == frame.sequence_number()).count();
        if (answers.len(), answered) != (wanted, wanted) {
            faults.push(format!("{}: answered {answers:?}", case.name));
        }
        if must_arrive(case, &frame) && !got.iter().any(|got| got.as_bytes()[16..] == case.bytes[16..]) {
            faults.push(format!("{}: not at the provider, which got {got:?}", case.name));
        }
        sent += 1;
    }
    assert!(faults.is_empty(), "{} of {sent}\n{}", faults.len(), faults.join("\n"));
    assert!(sent > 150, "only {sent} PDUs");
}

/// Whether a carrier may send it, and it can be read.
fn must_arrive(case: &Case, frame: &Frame) -> bool {
    let goes_on = [CommandId::DELIVER_SM, CommandId::DATA_SM, CommandId::ALERT_NOTIFICATION];
    goes_on.contains(&frame.command_id()) && case.expect.as_deref().is_none_or(|how| how == "survives")
}

#[tokio::test]
async fn no_response_ends_the_bind() {
    let played = Played::set().await;
    let (mut provider, mut carrier) = played.session().await;
    let (mut sent, mut faults) = (0, Vec::new());
    for case in cases().iter().filter(|case| !is_broken(case)) {
        let mut response = frame_of(case);
        if !response.command_id().is_response() {
            continue;
        }
        sent += 1;
        let request = provider.stamp(good());
        provider.write(request.as_bytes()).await;
        let submit = carrier.next_of(CommandId::SUBMIT_SM).await;
        let is_answer = [CommandId::SUBMIT_SM_RESP, CommandId::GENERIC_NACK].contains(&response.command_id());
        if is_answer && response.sequence_number() != 0 {
            response.restamp(submit.sequence_number());
        }
        carrier.write(response.as_bytes()).await;
        // Late and repeated, where the first one was the answer.
        carrier.answer(&submit, b"late\0").await;
        let answer = provider.response().await;
        if answer.sequence_number() != request.sequence_number() {
            faults.push(format!("{}: {answer:?}", case.name));
        }
        let readable = case.expect.as_deref().is_none_or(|how| how == "survives");
        let is_resp = response.command_id() == CommandId::SUBMIT_SM_RESP;
        let same = answer.as_bytes()[16..] == case.bytes[16..] && answer.command_status() == response.command_status();
        if readable && is_resp && !same {
            faults.push(format!("{}: became {answer:?} {:02x?}", case.name, answer.body()));
        }
    }
    assert!(faults.is_empty(), "{} of {sent}\n{}", faults.len(), faults.join("\n"));
    assert!(sent > 60, "only {sent} PDUs");
    let (got, others) = pass(&mut provider, &mut carrier, &[], 0).await;
    assert!(got.is_empty() && others.is_empty(), "{got:?} {others:?}");
}

#[tokio::test]
async fn a_broken_length_costs_the_provider_its_bind_and_no_more() {
    let played = Played::set().await;
    for case in cases().into_iter().filter(|case| is_broken(case) && case.expect.as_deref() != Some("incomplete")) {
        let (mut provider, mut carrier) = played.session().await;
        carrier.write(&case.bytes).await;
        let said: Vec<_> = carrier.rest().await.iter().map(Frame::command_id).collect();
        assert!(said.iter().all(|command| *command == CommandId::GENERIC_NACK), "{}: {said:?}", case.name);
        assert_eq!(provider.frame().await.command_id(), CommandId::UNBIND, "{}", case.name);
    }
}

#[tokio::test]
async fn a_deliver_sm_behind_bind_resp_is_kept() {
    let played = Played::set().await;
    let mut provider = Wire::connect(played.gate.address).await;
    let request = provider.stamp(crate::wire::bind());
    provider.write(request.as_bytes()).await;
    let mut carrier = Wire::accept(&played.listener).await;
    let bind = carrier.frame().await;
    let response = CommandId::BIND_TRANSCEIVER_RESP;
    let accepted = Frame::new(response, CommandStatus::ESME_ROK, bind.sequence_number(), b"played\0");
    let waiting = carrier.stamp(reply("See you"));
    carrier.write(&[accepted.as_bytes(), waiting.as_bytes()].concat()).await;
    assert_eq!(provider.frame().await.command_id(), response);
    let delivered = provider.frame().await;
    assert_eq!(delivered.body(), waiting.body());
    provider.answer(&delivered, &[0]).await;
    assert_eq!(carrier.response().await.sequence_number(), waiting.sequence_number());
}
