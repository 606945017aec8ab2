//! R18: quiet hours, and the gate's own queue where a provider asks for it.

use std::num::NonZeroU64;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use portcullis::clock;
use portcullis::simulator::{Faults, SimulatorOptions};
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass, RegisteredDelivery};
use portcullis_protocol::pdu::{CancelSm, QuerySm, ReplaceSm, SubmitSm};
use portcullis_protocol::text::ucs2;
use portcullis_protocol::tlv::MessageState;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::gate::PATIENCE;
use crate::provider::{OK, Provider, message_id, source, submit, subscriber};
use crate::scene::{COMMERCIAL, REGISTER, SERVICE, STRANGER, Scene, WILLING, WILLING_TOO, offer, offer_with, sent};
use crate::schedule::in_seconds;

const QUIET: CommandStatus = CommandStatus::ESME_RTHROTTLED;

/// Hours of delivery that begin and end so many seconds from now.
fn hours(from: i64, until: i64) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(8));
    let at = |seconds: i64| {
        let at = clock::wall().saturating_add(SignedDuration::from_secs(seconds)).expect("a time");
        at.to_zoned_datetime(zone.clone()).strftime("%H:%M:%S").to_string()
    };
    format!("quiet_hours = \"{}-{}\"", at(from), at(until))
}

fn quiet_for(seconds: i64) -> String {
    format!("[profile]\n{}", hours(seconds, seconds + 6 * 3600))
}

/// A gate that queues for its provider.
async fn queueing(settings: &str) -> Scene {
    let register = REGISTER.replace("password = \"s3cret\"", "password = \"s3cret\"\nquiet_hours = \"queue\"");
    let options = SimulatorOptions { receipts: true, ..SimulatorOptions::default() };
    Scene::with(&register, settings, options).await
}

/// A fresh process whose quiet hours are over.
fn open_up(scene: &mut Scene, is_killed: bool, settings: &str) {
    let gate = scene.gate.take().expect("a running gate");
    if is_killed {
        gate.kill();
    } else {
        gate.stop();
    }
    scene.folder.configure("", scene.carrier.address(), settings);
    scene.gate = Some(scene.folder.start());
}

/// Sends what is queued; gives the gate's `message_id`.
async fn queued(provider: &mut Provider, message: Frame) -> String {
    let answer = provider.ask(message).await;
    assert_eq!(answer.command_status(), OK);
    let id = message_id(&answer).expect("a message_id");
    assert!(id.contains('-'), "the gate's own: {id}");
    id
}

fn carried(scene: &Scene) -> Vec<Frame> {
    scene.carried(CommandId::SUBMIT_SM)
}

#[tokio::test]
async fn without_a_queue_the_provider_keeps_it() {
    let scene = Scene::start(&quiet_for(3600)).await;
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, QUIET);
    let service = submit(SERVICE, WILLING, "[Bakery] Your order 4711 is ready.");
    assert_eq!(sent(&mut provider, service).await, OK, "R13");
    let at = in_seconds(2 * 3600).leak();
    let later = offer_with(WILLING, 1, |pdu| pdu.schedule_delivery_time = COctetString(at.as_bytes()));
    assert_eq!(sent(&mut provider, later).await, OK, "judged for its delivery");
}

#[tokio::test]
async fn a_queued_message_goes_on_when_the_hours_end_under_its_name() {
    let scene = queueing(&quiet_for(10)).await;
    let mut provider = scene.provider().await;
    let message = offer_with(WILLING, 1, |pdu| pdu.registered_delivery = RegisteredDelivery(1));
    let id = queued(&mut provider, message.clone()).await;
    assert_eq!(state(&mut provider, &id).await, MessageState::ENROUTE);
    assert!(carried(&scene).is_empty());
    scene.carries(1).await;
    assert_eq!(carried(&scene)[0].body(), message.body(), "byte for byte");
    let receipt = provider.request().await;
    let Ok(Pdu::DeliverSm(pdu)) = Pdu::decode(&receipt) else { panic!("no receipt: {receipt:?}") };
    assert_eq!(pdu.tlvs.receipted_message_id().map(|id| id.to_string()), Some(id.clone()), "the gate's own name");
    assert_eq!(pdu.tlvs.message_state(), Some(MessageState::DELIVERED));
    let end = clock::monotonic() + PATIENCE;
    while state(&mut provider, &id).await != MessageState::DELIVERED {
        assert!(clock::monotonic() < end, "asked at the carrier, once its name for it is in the journal");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let records: Vec<String> = scene.folder.sent_to(WILLING).into_iter().map(|record| record.verdict).collect();
    assert_eq!(records, ["hold", "forward"], "both verdicts are kept");
}

async fn state(provider: &mut Provider, id: &str) -> MessageState {
    let query = QuerySm { message_id: COctetString(id.as_bytes()), source: source(COMMERCIAL), ..QuerySm::default() };
    let answer = provider.ask(Pdu::QuerySm(query).to_frame(OK, 0)).await;
    let Ok(Pdu::QuerySmResp(pdu)) = Pdu::decode(&answer) else { panic!("no query_sm_resp: {answer:?}") };
    pdu.found.expect("a state").message_state
}

/// Consent and refusal hold at the delivery; killed or stopped, nothing is lost and nothing goes twice.
#[tokio::test]
async fn it_is_judged_again_and_survives_kill_and_stop() {
    for is_killed in [true, false] {
        let mut scene = queueing(&quiet_for(3600)).await;
        let mut provider = scene.provider().await;
        let asks = |pdu: &mut SubmitSm<'_>| pdu.registered_delivery = RegisteredDelivery(1);
        let refused = queued(&mut provider, offer_with(WILLING, 1, asks)).await;
        queued(&mut provider, offer(WILLING_TOO, 2)).await;
        assert_eq!(sent(&mut provider, offer(STRANGER, 3)).await, CommandStatus(0x0481), "never queued");
        let refuse = ["consent", "refuse", "--msisdn", WILLING, "--sender", "bakery", "--evidence", "a call"];
        scene.folder.run(&refuse).ok();
        open_up(&mut scene, is_killed, "");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(carried(&scene).is_empty(), "nobody is bound who could send it");
        let mut provider = scene.provider().await;
        scene.carries(1).await;
        let receipt = provider.request().await;
        let Ok(Pdu::DeliverSm(pdu)) = Pdu::decode(&receipt) else { panic!("no receipt: {receipt:?}") };
        assert_eq!(pdu.tlvs.receipted_message_id().map(|id| id.to_string()), Some(refused));
        assert_eq!(pdu.tlvs.message_state(), Some(MessageState::REJECTED));
        let messages = carried(&scene);
        let Ok(Pdu::SubmitSm(pdu)) = Pdu::decode(&messages[0]) else { panic!("no message") };
        assert_eq!(pdu.destination, subscriber(WILLING_TOO));
        open_up(&mut scene, is_killed, "");
        let mut provider = scene.provider().await;
        assert_eq!(sent(&mut provider, submit(SERVICE, WILLING, "[Bakery] Your order 4711 is ready.")).await, OK);
        assert_eq!(carried(&scene).len(), 2, "nothing twice");
    }
}

#[tokio::test]
async fn the_morning_is_no_burst() {
    let mut scene = queueing(&quiet_for(3600)).await;
    let mut provider = scene.provider().await;
    for n in 0..20 {
        queued(&mut provider, offer(WILLING, n)).await;
    }
    open_up(&mut scene, false, "[queue]\nper_second = 10");
    let _bound = scene.provider().await;
    scene.carries(1).await;
    let begun = clock::monotonic();
    scene.carries(20).await;
    // Two at once and ten a second: it cannot be faster, however slow this machine is.
    assert!(clock::monotonic() - begun >= Duration::from_millis(1_500), "{:?}", clock::monotonic() - begun);
}

#[tokio::test]
async fn beyond_its_bound_the_provider_keeps_it() {
    let scene = queueing(&format!("{}\n[queue]\nmax_messages = 2", quiet_for(3600))).await;
    let mut provider = scene.provider().await;
    queued(&mut provider, offer(WILLING, 1)).await;
    let id = queued(&mut provider, offer(WILLING, 2)).await;
    assert_eq!(sent(&mut provider, offer(WILLING, 3)).await, QUIET);
    assert_eq!(sent(&mut provider, cancel(&id)).await, OK);
    assert_eq!(state(&mut provider, &id).await, MessageState::DELETED);
    assert_eq!(sent(&mut provider, cancel(&id)).await, CommandStatus::ESME_RCANCELFAIL, "once");
    let id = queued(&mut provider, offer(WILLING, 3)).await;
    let replaced = ReplaceSm {
        message_id: COctetString(id.as_bytes()),
        source: source(COMMERCIAL),
        short_message: b"anything",
        ..ReplaceSm::default()
    };
    let status = sent(&mut provider, Pdu::ReplaceSm(replaced).to_frame(OK, 0)).await;
    assert_eq!(status, CommandStatus::ESME_RREPLACEFAIL, "still with the gate");
}

fn cancel(id: &str) -> Frame {
    let pdu = CancelSm {
        message_id: COctetString(id.as_bytes()),
        source: source(COMMERCIAL),
        destination: subscriber(WILLING),
        ..CancelSm::default()
    };
    Pdu::CancelSm(pdu).to_frame(OK, 0)
}

/// A cancelled one stays cancelled, over a kill.
#[tokio::test]
async fn what_was_cancelled_does_not_go_on_after_a_kill() {
    let mut scene = queueing(&quiet_for(3600)).await;
    let mut provider = scene.provider().await;
    let id = queued(&mut provider, offer(WILLING, 1)).await;
    queued(&mut provider, offer(WILLING_TOO, 2)).await;
    assert_eq!(sent(&mut provider, cancel(&id)).await, OK);
    open_up(&mut scene, true, "");
    let _bound = scene.provider().await;
    scene.carries(1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(carried(&scene).len(), 1);
}

#[tokio::test]
async fn validity_and_schedule_count_from_the_submission() {
    let mut scene = queueing(&quiet_for(1800)).await;
    let mut provider = scene.provider().await;
    let valid =
        |period: &'static str| offer_with(WILLING, 1, |pdu| pdu.validity_period = COctetString(period.as_bytes()));
    let over = valid("000000002000000R");
    assert_eq!(sent(&mut provider, over).await, CommandStatus::ESME_RINVEXPIRY, "it ends before the hours do");
    queued(&mut provider, valid("000000010000000R")).await;
    let soon = in_seconds(1).leak();
    let scheduled = offer_with(WILLING, 2, |pdu| pdu.schedule_delivery_time = COctetString(soon.as_bytes()));
    queued(&mut provider, scheduled).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    open_up(&mut scene, false, "");
    let _bound = scene.provider().await;
    scene.carries(2).await;
    let times: Vec<(String, String)> = carried(&scene)
        .iter()
        .map(|frame| {
            let Ok(Pdu::SubmitSm(pdu)) = Pdu::decode(frame) else { panic!("no message") };
            (pdu.schedule_delivery_time.to_string(), pdu.validity_period.to_string())
        })
        .collect();
    let (rest, last) = (&times[0].1, &times[1]);
    assert!(rest.ends_with('+') && rest.len() == 16, "what is left of the hour, as a moment: {rest}");
    assert_eq!(*last, (String::new(), String::new()), "its time is past: at once");
}

fn part(number: u8, text: &str) -> Frame {
    let octets = [&[5, 0, 3, 9, 2, number], &ucs2::encode(text)[..]].concat();
    offer_with(WILLING, 0, |pdu| {
        pdu.esm_class = EsmClass::UDHI;
        pdu.data_coding = DataCoding::UCS2;
        pdu.short_message = octets.leak();
    })
}

#[tokio::test]
async fn a_long_message_waits_whole() {
    let mut scene = queueing(&format!("{}\n[long_messages]\npatience = \"9s\"", quiet_for(3600))).await;
    let mut provider = scene.provider().await;
    let parts =
        [part(1, "【麦香坊】新炉面包今日出炉，全场八折，欢迎到店选购。"), part(2, "订购热线400-000-0077，拒收请回复R")];
    let numbers = [provider.send(parts[0].clone()).await, provider.send(parts[1].clone()).await];
    let mut ids = Vec::new();
    for number in numbers {
        let answer = provider.answer_to(number).await;
        assert_eq!(answer.command_status(), OK);
        ids.push(message_id(&answer).expect("an id"));
    }
    assert!(ids[0].contains('-') && ids[0] != ids[1], "{ids:?}");
    open_up(&mut scene, true, "");
    let _bound = scene.provider().await;
    scene.carries(2).await;
    let bodies: Vec<_> = carried(&scene).iter().map(|frame| frame.body().to_vec()).collect();
    assert_eq!(bodies, parts.map(|part| part.body().to_vec()));
    let end = clock::monotonic() + PATIENCE;
    while scene.folder.sent_to(WILLING).last().is_none_or(|record| record.verdict != "forward") {
        assert!(clock::monotonic() < end, "its record");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Released, but not out when the hours are quiet again: it waits once more, over a kill too.
#[tokio::test]
async fn what_did_not_get_out_in_time_waits_for_the_next_morning() {
    let mut scene = queueing(&quiet_for(3600)).await;
    let mut provider = scene.provider().await;
    queued(&mut provider, offer(WILLING, 1)).await;
    let refuse_every = Some((NonZeroU64::MIN, CommandStatus::ESME_RTHROTTLED));
    scene.carrier.set_faults(Faults { refuse_every, ..Faults::default() });
    open_up(&mut scene, false, &format!("[profile]\n{}", hours(-3600, 10)));
    let _bound = scene.provider().await;
    scene.carries(1).await;
    let end = clock::monotonic() + PATIENCE;
    let is_back = |scene: &Scene| {
        let parts = scene.folder.sent_to(WILLING).into_iter().flat_map(|record| record.parts);
        parts.filter_map(|part| part.outcome).any(|outcome| outcome.outcome == "not-forwarded")
    };
    while !is_back(&scene) {
        assert!(clock::monotonic() < end, "the hours are quiet again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    scene.carrier.set_faults(Faults::default());
    let tried = carried(&scene).len();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(carried(&scene).len(), tried, "nothing goes out in quiet hours");
    open_up(&mut scene, true, "");
    let _bound = scene.provider().await;
    scene.carries(u64::try_from(tried).expect("few") + 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(carried(&scene).len(), tried + 1, "once");
}

#[tokio::test]
async fn what_is_for_days_ahead_stays_with_its_provider() {
    let scene = queueing(&format!("[profile]\n{}", hours(3 * 3600, 5 * 3600))).await;
    let mut provider = scene.provider().await;
    let scheduled = |n, seconds| {
        let at = in_seconds(seconds).leak();
        offer_with(WILLING, n, |pdu| pdu.schedule_delivery_time = COctetString(at.as_bytes()))
    };
    assert_eq!(sent(&mut provider, scheduled(1, 5 * 86_400)).await, QUIET, "the queue keeps nothing for that long");
    queued(&mut provider, scheduled(2, 86_400)).await;
}
