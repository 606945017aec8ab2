//! Messages that later requests and replies speak of.

use portcullis_protocol::field::COctetString;
use portcullis_protocol::pdu::{CancelSm, DeliverSm, QuerySm, ReplaceSm};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::gate::PATIENCE;
use crate::parts::{Form, Long};
use crate::provider::{self, OK, message_id};
use crate::scene::*;

fn naming(message_id: &str, command: CommandId, text: &str) -> Frame {
    let id = COctetString(message_id.as_bytes());
    let source = provider::source(COMMERCIAL);
    match command {
        CommandId::QUERY_SM => Pdu::QuerySm(QuerySm { message_id: id, source, ..QuerySm::default() }).to_frame(OK, 0),
        CommandId::CANCEL_SM => {
            Pdu::CancelSm(CancelSm { message_id: id, source, ..CancelSm::default() }).to_frame(OK, 0)
        }
        _ => {
            let (_, octets) = provider::encoded(text);
            let pdu = ReplaceSm { message_id: id, source, short_message: &octets, ..ReplaceSm::default() };
            Pdu::ReplaceSm(pdu).to_frame(OK, 0)
        }
    }
}

/// What a `query_sm_resp` says: whose state, and which.
fn state(answer: &Frame) -> (String, u8) {
    let Ok(Pdu::QuerySmResp(pdu)) = Pdu::decode(answer) else { panic!("no query_sm_resp: {answer:?}") };
    let found = pdu.found.expect("a state");
    (found.message_id.to_string(), found.message_state.0)
}

#[tokio::test]
async fn the_provider_asks_and_cancels_by_the_name_it_knows() {
    let scene = Scene::start("[long_messages]\ntimeout = \"9s\"").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts(60);
    let own = message_id(&provider.ask(parts[0].clone()).await).expect("a message_id");
    // Still with the gate: it answers itself.
    let answer = provider.ask(naming(&own, CommandId::QUERY_SM, "")).await;
    assert_eq!(state(&answer), (own.clone(), 1));
    assert_eq!(provider.ask(naming(&own, CommandId::CANCEL_SM, "")).await.command_status(), OK);
    let again = provider.ask(naming(&own, CommandId::CANCEL_SM, "")).await;
    assert_eq!(again.command_status(), CommandStatus::ESME_RCANCELFAIL);
    assert_eq!(state(&provider.ask(naming(&own, CommandId::QUERY_SM, "")).await), (own, 4));
    assert!(scene.carrier.received_of(CommandId::QUERY_SM).is_empty());
    // With the carrier: asked for under its name, told under the provider's.
    let own = message_id(&provider.ask(parts[0].clone()).await).expect("a message_id");
    send_all(&mut provider, &parts[1..]).await;
    scene.carries(parts.len() as u64).await;
    let id = own.clone();
    let answer = tokio::time::timeout(PATIENCE, async move {
        loop {
            let answer = provider.ask(naming(&id, CommandId::QUERY_SM, "")).await;
            // Until the outcome is on disk the part counts as being with the gate.
            if state(&answer).1 != 1 {
                return answer;
            }
        }
    });
    let answer = answer.await.expect("the carrier's answer");
    assert_eq!(state(&answer).0, own);
    let asked = scene.carrier.received_of(CommandId::QUERY_SM);
    let Ok(Pdu::QuerySm(asked)) = Pdu::decode(&asked.last().expect("a query").frame) else { panic!() };
    assert_ne!(asked.message_id.to_string(), own);
}

#[tokio::test]
async fn a_replacement_is_judged_for_the_subscriber_of_the_first_text() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("herald").await;
    let first = provider.ask(provider::submit(COMMERCIAL, WILLING, COMPLIANT)).await;
    let id = message_id(&first).expect("a message_id");
    let replaced = provider.ask(naming(&id, CommandId::REPLACE_SM, NO_PHONE)).await;
    assert_eq!(replaced.command_status(), PHONE);
    assert!(scene.carrier.received_of(CommandId::REPLACE_SM).is_empty());
    let good = COMPLIANT.replace("八折", "七折");
    // The simulator has delivered it already and says so; what counts is that it was asked.
    provider.ask(naming(&id, CommandId::REPLACE_SM, &good)).await;
    assert_eq!(scene.carrier.received_of(CommandId::REPLACE_SM).len(), 1);
    // A message nobody knows, another provider's, and a part of a long one.
    let fails = CommandStatus::ESME_RREPLACEFAIL;
    assert_eq!(provider.ask(naming("4711", CommandId::REPLACE_SM, &good)).await.command_status(), fails);
    let mut other = scene.provider("courier").await;
    assert_eq!(other.ask(naming(&id, CommandId::REPLACE_SM, &good)).await.command_status(), fails);
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 }.parts(60);
    let answers = send_all(&mut provider, &parts).await;
    let part = message_id(&answers[0]).expect("a message_id");
    assert_eq!(provider.ask(naming(&part, CommandId::REPLACE_SM, &good)).await.command_status(), fails);
    assert_eq!(scene.carrier.received_of(CommandId::REPLACE_SM).len(), 1);
}

/// A subscriber's reply.
fn reply(from: &str, text: &str) -> Frame {
    let pdu = DeliverSm {
        source: provider::subscriber(from),
        destination: provider::source(COMMERCIAL),
        short_message: text.as_bytes(),
        ..DeliverSm::default()
    };
    Pdu::DeliverSm(pdu).to_frame(OK, 0)
}

#[tokio::test]
async fn a_refusal_stops_what_has_not_been_forwarded() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 1, form: Form::Udh8 };
    // One goes through and offers R; of the next, all parts but the last are there when R comes back.
    assert!(statuses(&send_all(&mut provider, &long.parts(60)).await).iter().all(|status| *status == OK));
    let parts = Long { reference: 2, ..long }.parts(60);
    let (last, first) = parts.split_last().expect("parts");
    let mut sent = Vec::new();
    for part in first {
        sent.push(provider.send(part.clone()).await);
    }
    assert!(scene.carrier.deliver("herald", reply(WILLING, "R")).await);
    let came = provider.request().await;
    assert_eq!(came.body(), reply(WILLING, "R").body(), "the reply reaches the provider as it came");
    let refused = CommandStatus(0x0482);
    sent.push(provider.send(last.clone()).await);
    for number in sent {
        assert_eq!(provider.answer_to(number).await.command_status(), refused);
    }
    assert_eq!(scene.carried().len(), parts.len());
}

#[tokio::test]
async fn a_replacement_without_a_name_does_not_pass() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("herald").await;
    for name in ["", "\u{7f}\u{80}"] {
        let answer = provider.ask(naming(name, CommandId::REPLACE_SM, NO_PHONE)).await;
        assert_eq!(answer.command_status(), CommandStatus::ESME_RREPLACEFAIL, "{name:?}");
    }
    assert!(scene.carrier.received_of(CommandId::REPLACE_SM).is_empty());
}
