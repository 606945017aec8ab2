//! Parts answered before their message was whole: what becomes of the gate's word.

use std::time::Duration;

use portcullis::gate::evidence::Query;
use portcullis::simulator::{Answers, Faults};
use portcullis_protocol::field::EsmClass;
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::gate::{PATIENCE, messages};
use crate::parts::{Form, Long};
use crate::provider::{self, OK, Provider, message_id};
use crate::scene::*;

#[tokio::test]
async fn refused_after_its_acknowledgement_a_part_has_a_receipt() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: NO_WAY_OUT, reference: 4, form: Form::Udh8 };
    let parts = long.parts_with_receipts(60);
    let answers = send_all(&mut provider, &parts).await;
    let (last, acknowledged) = answers.split_last().expect("answers");
    assert_eq!(statuses(acknowledged), vec![OK; parts.len() - 1]);
    assert_eq!(last.command_status(), OPT_OUT, "the part that was not answered yet is refused at once");
    let mut told = Vec::new();
    for _ in acknowledged {
        let (id, state) = receipt(&provider.request().await);
        assert_eq!(state, 8);
        told.push(id);
    }
    let mut ids: Vec<String> = acknowledged.iter().filter_map(message_id).collect();
    ids.sort();
    told.sort();
    assert_eq!(told, ids);
    assert!(scene.carried().is_empty());
    // Who asked for none gets none; the journal says what became of each part.
    let quiet = Long { reference: 5, ..long }.parts(60);
    send_all(&mut provider, &quiet).await;
    assert_eq!(provider.ask(provider::bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK);
    scene.reports(WILLING, "REJECTD", 2 * acknowledged.len()).await;
    assert_eq!(scene.folder.sent_to(WILLING).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_parts_survive_a_kill() {
    let mut scene = Scene::start("").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts_with_receipts(60);
    let (last, first) = parts.split_last().expect("parts");
    let answers = send_all(&mut provider, first).await;
    let mut ids: Vec<String> = answers.iter().filter_map(message_id).collect();
    assert_eq!(ids.len(), first.len());
    scene.restart();
    let mut provider = scene.provider("courier").await;
    let answer = provider.ask(last.clone()).await;
    assert_eq!(answer.command_status(), OK);
    scene.carries(parts.len() as u64).await;
    let (mut seen, mut sent) = (bodies(&scene.carried()), bodies(&parts));
    seen.sort();
    sent.sort();
    assert_eq!(seen, sent, "each part once");
    // A second restart finds nothing left to do.
    scene.restart();
    let mut provider = scene.provider("courier").await;
    assert_eq!(provider.ask(provider::bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK);
    assert_eq!(scene.carried().len(), parts.len());
    ids.extend(message_id(&answer));
    for id in &ids {
        let by_id = Query { message_id: Some(id.clone()), ..Default::default() };
        assert_eq!(messages(scene.folder.find(by_id)).len(), 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_becomes_whole_after_a_kill_is_reported() {
    let mut scene = Scene::start("[long_messages]\ntimeout = \"1s\"\npatience = \"900ms\"").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts_with_receipts(60);
    let answers = send_all(&mut provider, &parts[..2]).await;
    scene.restart();
    let mut provider = scene.provider("courier").await;
    let mut told = vec![receipt(&provider.request().await), receipt(&provider.request().await)];
    told.sort();
    let mut expected: Vec<_> = answers.iter().filter_map(message_id).map(|id| (id, 5)).collect();
    expected.sort();
    assert_eq!(told, expected);
    assert!(scene.carried().is_empty());
    // Reported once: the next process has nothing to say.
    scene.reports(WILLING, "UNDELIV", 2).await;
    scene.restart();
    let mut provider = scene.provider("courier").await;
    assert_eq!(provider.ask(provider::bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK);
}

/// Every message is refused for now.
fn throttling() -> Faults {
    let every = std::num::NonZeroU64::new(1).map(|one| (one, CommandStatus::ESME_RTHROTTLED));
    Faults { refuse_every: every, ..Faults::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_carrier_throttles_is_sent_again_and_survives_an_orderly_end() {
    let mut scene = Scene::start("").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts_with_receipts(60);
    scene.carrier.set_faults(throttling());
    let answers = send_all(&mut provider, &parts).await;
    let (last, acknowledged) = answers.split_last().expect("answers");
    assert_eq!(last.command_status(), CommandStatus::ESME_RTHROTTLED, "the carrier's own word to who can try again");
    assert_eq!(statuses(acknowledged), vec![OK; parts.len() - 1]);
    // Asked again after a while: the acknowledged parts are the gate's to send.
    scene.carries(2 * parts.len() as u64 - 1).await;
    assert!(scene.gate.take().expect("a running gate").stop().success());
    scene.carrier.set_faults(Faults::default());
    let before = scene.carrier.counts().messages;
    scene.gate = Some(scene.folder.start());
    let mut provider = scene.provider("courier").await;
    let other = provider::submit(SERVICE, SILENT, "[Bakery] Your order is ready.");
    assert_eq!(provider.ask(other).await.command_status(), OK);
    scene.carries(before + parts.len() as u64).await;
    let taken: Vec<_> = scene.carried().split_off(usize::try_from(before).expect("few"));
    for part in &parts[..parts.len() - 1] {
        assert!(taken.iter().any(|frame| frame.body() == part.body()), "an acknowledged part is lost");
    }
}

/// Everything the gate delivers until so many have come.
async fn deliveries(provider: &mut Provider, count: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    while frames.len() < count {
        let frame = provider.request().await;
        if frame.command_id() == CommandId::DELIVER_SM {
            frames.push(frame);
        }
    }
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_name_acknowledged_parts_as_the_provider_does() {
    let mut scene = Scene::start("").await;
    let mut provider = scene.provider("courier").await;
    for (reference, form) in [(1, Form::Udh8), (2, Form::SarPayload)] {
        let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference, form };
        let parts = long.parts_with_receipts(60);
        let answers = send_all(&mut provider, &parts).await;
        let mut known: Vec<(String, u8)> = answers.iter().filter_map(message_id).map(|id| (id, 2)).collect();
        // The carrier's receipts may overtake its answers to the gate's own requests.
        let mut told: Vec<_> = deliveries(&mut provider, parts.len()).await.iter().map(receipt).collect();
        known.sort();
        told.sort();
        assert_eq!(told, known, "{form:?}");
    }
    // A receipt that comes after a restart finds its part as well.
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 3, form: Form::Udh8 };
    let own = message_id(&send_all(&mut provider, &long.parts(60)).await[0]).expect("a message_id");
    let by_id = Query { message_id: Some(own.clone()), ..Default::default() };
    let carriers = tokio::time::timeout(PATIENCE, async {
        loop {
            let found = messages(scene.folder.find(by_id.clone()));
            let part =
                found.iter().flat_map(|message| &message.parts).find(|part| part.message_id.as_ref() == Some(&own));
            if let Some(id) = part.and_then(|part| part.outcome.as_ref()?.message_id.clone()) {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let carriers = carriers.await.expect("the carrier's name for the part");
    scene.restart();
    let mut provider = scene.provider("courier").await;
    let text = format!(
        "id:{carriers} sub:001 dlvrd:001 submit date:2611241200 done date:2611241201 stat:DELIVRD err:000 text:"
    );
    let mut tlvs = bytes::BytesMut::new();
    push(&mut tlvs, TlvTag::RECEIPTED_MESSAGE_ID, format!("{carriers}\0").as_bytes());
    push(&mut tlvs, TlvTag::MESSAGE_STATE, &[2]);
    let late = DeliverSm {
        source: provider::subscriber(WILLING),
        destination: provider::source(COMMERCIAL),
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: text.as_bytes(),
        tlvs: Tlvs::from_bytes(&tlvs),
        ..DeliverSm::default()
    };
    assert!(scene.carrier.deliver("courier", Pdu::DeliverSm(late).to_frame(OK, 0)).await);
    assert_eq!(receipt(&provider.request().await), (own, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_next_process_sends_the_one_after_does_not_send_again() {
    let mut scene = Scene::start("").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts_with_receipts(60);
    let acknowledged = parts.len() as u64 - 1;
    scene.carrier.set_faults(throttling());
    send_all(&mut provider, &parts).await;
    assert!(scene.gate.take().expect("a running gate").stop().success());
    // The next process sends them to a carrier that does not answer, and is killed.
    scene.carrier.set_faults(Faults { answers: Answers::Never, ..Faults::default() });
    let before = scene.carrier.counts().messages;
    scene.gate = Some(scene.folder.start());
    let provider = scene.provider("courier").await;
    scene.carries(before + acknowledged).await;
    scene.restart();
    drop(provider);
    scene.carrier.set_faults(Faults::default());
    let mut provider = scene.provider("courier").await;
    let mut told: Vec<_> =
        deliveries(&mut provider, parts.len() - 1).await.iter().map(|frame| receipt(frame).1).collect();
    told.dedup();
    assert_eq!(told, [7], "whether the carrier has them is not known");
    assert_eq!(scene.carrier.counts().messages, before + acknowledged, "sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_only_observed_stops_nothing() {
    let scene = Scene::start("[profile]\nR11 = \"observe\"\nR09 = \"observe\"").await;
    let refused = ["consent", "refuse", "--msisdn", WILLING, "--sender", "bakery"];
    let said = scene.folder.run(&refused);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts(60);
    assert_eq!(statuses(&send_all(&mut provider, &parts).await), vec![OK; parts.len()]);
    scene.carries(parts.len() as u64).await;
}
