//! What a refusal says besides its status: every rule in the record, and the sentence for who asked for it.

use portcullis_protocol::field::{COctetString, InterfaceVersion};
use portcullis_protocol::pdu::{Bind, DataSm};
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use bytes::BytesMut;

use crate::provider::{OK, Provider, encoded, source, submit, subscriber};
use crate::stage::{COMMERCIAL_PORT, NO_CONSENT, OFFER, SILENT, Stage, WILLING, multi, offer};

/// No name, no phone, nobody who agreed.
const BAD: &str = "Saturday: all bread half price. Reply TD to unsubscribe";
const NO_NAME: CommandStatus = CommandStatus(0x0483);

async fn bound(stage: &Stage, version: InterfaceVersion) -> Provider {
    let mut provider = Provider::connect(stage.address()).await;
    let bind = Bind {
        system_id: COctetString(b"herald"),
        password: COctetString(b"s3cret"),
        interface_version: version,
        ..Bind::default()
    };
    let frame = Pdu::BindTransceiver(bind).to_frame(OK, 0);
    assert_eq!(provider.ask(frame).await.command_status(), OK);
    provider
}

fn text(answer: &Frame) -> Option<String> {
    let tlvs = match Pdu::decode(answer).expect("an answer that can be read") {
        Pdu::SubmitSmResp(pdu) => pdu.tlvs,
        Pdu::SubmitMultiResp(pdu) => pdu.tlvs,
        Pdu::DataSmResp(pdu) => pdu.tlvs,
        other => panic!("{other:?}"),
    };
    tlvs.additional_status_info_text().map(|text| text.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_errors_are_recorded_and_the_first_in_the_order_of_the_rules_is_answered() {
    let stage = Stage::with_herald("explain = true", "").await;
    let answer = bound(&stage, InterfaceVersion::V5_0).await.ask(submit(COMMERCIAL_PORT, SILENT, BAD)).await;
    assert_eq!(answer.command_status(), NO_NAME);
    let record = stage.folder.sent_to(SILENT).pop().expect("a record");
    let found: Vec<_> = record.findings.iter().map(|found| (found.rule.as_str(), found.effect.as_str())).collect();
    assert_eq!(found, [("R05", "failed"), ("R06", "failed"), ("R09", "failed")]);
    let said = text(&answer).expect("a sentence");
    let expected: Vec<String> = record.findings.iter().map(|found| format!("{} ", found.rule)).collect();
    assert!(expected.iter().all(|rule| said.contains(rule)), "{said}");
    assert!(said.starts_with("R05 name: the text does not start with a signature [...]; R06 phone: "), "{said}");
    // Empty message_id, tag 0x001D, length, text, NUL.
    let body = answer.body();
    assert_eq!((body[0], &body[1..3], body.last()), (0, &[0x00, 0x1D][..], Some(&0)));
    assert_eq!(usize::from(u16::from_be_bytes([body[3], body[4]])), body.len() - 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_who_did_not_ask_or_speaks_an_older_version() {
    let asked = Stage::with_herald("explain = true", "").await;
    let answer = bound(&asked, InterfaceVersion::V3_4).await.ask(offer(SILENT)).await;
    assert_eq!((answer.command_status(), answer.body()), (NO_CONSENT, &[][..]));
    let stage = Stage::new().await;
    let answer = bound(&stage, InterfaceVersion::V5_0).await.ask(offer(SILENT)).await;
    assert_eq!((answer.command_status(), answer.body()), (NO_CONSENT, &[][..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_operations_say_why_as_well() {
    let stage = Stage::with_herald("explain = true", "").await;
    stage.consent(WILLING);
    let mut provider = bound(&stage, InterfaceVersion::V5_0).await;
    let mut payload = BytesMut::new();
    let (data_coding, octets) = encoded(OFFER);
    push(&mut payload, TlvTag::MESSAGE_PAYLOAD, &octets);
    let data = DataSm {
        source: source(COMMERCIAL_PORT),
        destination: subscriber(SILENT),
        data_coding,
        tlvs: Tlvs::from_bytes(&payload),
        ..DataSm::default()
    };
    let answer = provider.ask(Pdu::DataSm(data).to_frame(OK, 0)).await;
    assert_eq!(answer.command_status(), NO_CONSENT);
    assert!(text(&answer).is_some_and(|said| said.starts_with("R09 consent: ")), "{answer:?}");

    for (recipients, status) in [(&[SILENT][..], NO_CONSENT), (&[WILLING, SILENT], OK)] {
        let answer = provider.ask(multi(COMMERCIAL_PORT, recipients, OFFER)).await;
        assert_eq!((answer.command_id(), answer.command_status()), (CommandId::SUBMIT_MULTI_RESP, status));
        assert!(text(&answer).is_some_and(|said| said.starts_with("R09 consent: ")), "{answer:?}");
        let Ok(Pdu::SubmitMultiResp(pdu)) = Pdu::decode(&answer) else { panic!("{answer:?}") };
        let refused = pdu.accepted.and_then(|accepted| accepted.unsuccessful).expect("who was refused");
        assert_eq!(refused.len(), 1);
    }
    // A body that cannot be read is explained as well.
    let answer = provider.ask(Frame::new(CommandId::SUBMIT_SM, OK, 0, &[0, 0])).await;
    assert!(answer.command_status() != OK && text(&answer).is_some_and(|said| said.contains("expected")), "{answer:?}");
    assert_eq!(text(&provider.ask(offer(WILLING)).await), None, "nothing to explain");
}
