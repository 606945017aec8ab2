//! Bytes as peers really send them: several PDUs in one segment, bodies that cannot be, lengths that cannot be.

use std::time::Duration;

use bytes::BytesMut;
use portcullis_protocol::frame::{self, DEFAULT_LIMIT};
use portcullis_protocol::pdu::SubmitSm;
use portcullis_protocol::tlv::{self, TlvTag, Tlvs};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::gate::{Folder, PATIENCE};
use crate::provider::{OK, Provider, bare, bind, encoded, source, subscriber};
use crate::stage::{
    COMMERCIAL_PORT, NO_CONSENT, OFFER, REGISTER, SERVICE_PORT, SILENT, Stage, WILLING, notice, offer, sent,
};

/// A write that takes so long has stalled.
const STALL: Duration = Duration::from_millis(500);

/// Request and answer carry the same number: restamps a message for a hand-made segment.
fn numbered(mut frame: Frame, sequence_number: u32) -> Frame {
    frame.restamp(sequence_number);
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_in_the_segment_of_the_bind_is_not_lost() {
    let stage = Stage::new().await;
    let mut provider = Provider::connect(stage.address()).await;
    let mut segment = bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").as_bytes().to_vec();
    segment.extend_from_slice(numbered(notice(WILLING), 2).as_bytes());
    segment.extend_from_slice(numbered(offer(SILENT), 3).as_bytes());
    segment.extend_from_slice(numbered(bare(CommandId::ENQUIRE_LINK), 4).as_bytes());
    provider.write(&segment).await;

    let mut answers = Vec::new();
    for _ in 0..4 {
        let answer = provider.read().await.expect("an answer");
        answers.push((answer.sequence_number(), answer.command_status()));
    }
    answers.sort_unstable();
    assert_eq!(answers, [(1, OK), (2, OK), (3, NO_CONSENT), (4, OK)]);
    assert_eq!(stage.carrier.counts().messages, 1);
}

/// One octet at a time is slower and comes to the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pdu_in_pieces_is_one_pdu() {
    let stage = Stage::new().await;
    let mut provider = stage.herald().await;
    for octet in numbered(notice(WILLING), 2).as_bytes() {
        provider.write(std::slice::from_ref(octet)).await;
    }
    assert_eq!(provider.answer_to(2).await.command_status(), OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_carrier_sends_in_the_segment_of_its_bind_response_is_not_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let folder = Folder::new(REGISTER, listener.local_addr().expect("its address"));
    let gate = folder.start();
    let carrier = tokio::spawn(async move { answer_bind_with_delivery(listener).await });

    let mut provider = Provider::bound(gate.address, "herald", "s3cret").await;
    let delivery = provider.request().await;
    assert_eq!(delivery.command_id(), CommandId::DELIVER_SM);
    let answer = timeout(PATIENCE, carrier).await.expect("its answer").expect("a carrier");
    assert_eq!((answer.command_id(), answer.sequence_number()), (CommandId::DELIVER_SM_RESP, 77));
}

/// Answers the bind and delivers a message in one write; returns what comes back.
async fn answer_bind_with_delivery(listener: TcpListener) -> Frame {
    let (mut stream, _) = listener.accept().await.expect("the gate dials");
    let mut input = BytesMut::new();
    let bind = next(&mut stream, &mut input).await;
    let mut segment =
        Frame::new(bind.command_id().response(), OK, bind.sequence_number(), b"smsc\0").as_bytes().to_vec();
    let reply = portcullis_protocol::pdu::DeliverSm {
        source: subscriber(WILLING),
        destination: source(COMMERCIAL_PORT),
        short_message: b"R",
        ..Default::default()
    };
    segment.extend_from_slice(Pdu::DeliverSm(reply).to_frame(OK, 77).as_bytes());
    stream.write_all(&segment).await.expect("the gate reads");
    next(&mut stream, &mut input).await
}

async fn next(stream: &mut TcpStream, input: &mut BytesMut) -> Frame {
    loop {
        if let Some(frame) = frame::split(input, DEFAULT_LIMIT).expect("a sound frame") {
            return frame;
        }
        assert_ne!(stream.read_buf(input).await.expect("an open connection"), 0, "the gate has closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_bodies_in_one_message_are_a_fault_and_the_bind_goes_on() {
    let stage = Stage::new().await;
    stage.consent(WILLING);
    let mut provider = stage.herald().await;
    let mut payload = BytesMut::new();
    tlv::push(&mut payload, TlvTag::MESSAGE_PAYLOAD, OFFER.as_bytes());
    for port in [COMMERCIAL_PORT, SERVICE_PORT] {
        let both = SubmitSm {
            source: source(port),
            destination: subscriber(WILLING),
            short_message: OFFER.as_bytes(),
            tlvs: Tlvs::from_bytes(&payload),
            ..SubmitSm::default()
        };
        let answer = provider.ask(Pdu::SubmitSm(both).to_frame(OK, 0)).await;
        assert_eq!(answer.command_status(), CommandStatus::ESME_ROPTPARNOTALLWD, "from {port}");
    }
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, OK);
    assert_eq!(stage.carrier.counts().messages, 1, "only the sound message goes on");
    assert_eq!(stage.folder.status().totals.malformed, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_in_message_payload_is_judged_as_in_short_message() {
    let stage = Stage::new().await;
    let mut provider = stage.herald().await;
    let (data_coding, octets) = encoded(OFFER);
    let mut payload = BytesMut::new();
    tlv::push(&mut payload, TlvTag::MESSAGE_PAYLOAD, &octets);
    let message = SubmitSm {
        data_coding,
        source: source(COMMERCIAL_PORT),
        destination: subscriber(WILLING),
        tlvs: Tlvs::from_bytes(&payload),
        ..SubmitSm::default()
    };
    let message = Pdu::SubmitSm(message).to_frame(OK, 0);
    assert_eq!(sent(&mut provider, message.clone()).await.0, NO_CONSENT);
    stage.consent(WILLING);
    assert_eq!(sent(&mut provider, message).await.0, OK);
    assert_eq!(stage.folder.sent_to(WILLING)[1].text.as_deref(), Some(OFFER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_cut_short_costs_that_pdu_and_a_broken_length_the_connection() {
    let stage = Stage::new().await;
    let mut provider = stage.herald().await;
    let sound = notice(WILLING);
    let cut = Frame::new(CommandId::SUBMIT_SM, OK, 0, &sound.body()[..10]);
    let answer = provider.ask(cut).await;
    assert_eq!(answer.command_id(), CommandId::SUBMIT_SM_RESP);
    assert_ne!(answer.command_status(), OK);
    let unknown = Frame::new(CommandId(0x0100_0001), OK, 0, b"vendor");
    let answer = provider.ask(unknown).await;
    assert_eq!(
        (answer.command_id(), answer.command_status()),
        (CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDID)
    );
    assert_eq!(sent(&mut provider, sound).await.0, OK, "the bind goes on");

    provider.write(&[0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 4]).await;
    let told = provider.read().await.expect("a word before the end");
    assert_eq!((told.command_id(), told.command_status()), (CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDLEN));
    stage.gate.await_log("provider-frame-fault");
    assert!(stage.carrier.wait_until(PATIENCE, |counts| counts.sessions == 0).await, "the carrier's leg ends too");
}

/// Requests in one write, and how many such writes a connection that is not read may swallow: far more
/// than the buffers of both kernels hold.
const BURST: usize = 4_096;
const BURSTS: usize = 1_000;

/// A provider that sends and never reads is not read any more, and nobody else feels it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_holds_up_itself_alone() {
    let stage = Stage::new().await;
    let mut deaf = Provider::connect(stage.address()).await;
    assert_eq!(deaf.bind(CommandId::BIND_TRANSCEIVER, "narrow", "").await, OK);
    let burst = bare(CommandId::ENQUIRE_LINK).as_bytes().repeat(BURST);
    let mut stalled = false;
    for _ in 0..BURSTS {
        stalled = timeout(STALL, deaf.write(&burst)).await.is_err();
        if stalled {
            break;
        }
    }
    assert!(stalled, "{} octets were taken from a peer that reads nothing", BURST * BURSTS * 16);
    let mut other = stage.herald().await;
    for _ in 0..100 {
        assert_eq!(sent(&mut other, notice(WILLING)).await.0, OK);
    }
}
