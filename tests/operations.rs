//! The operations beside `submit_sm` through a running gate: none carries text past the rules.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;

use bytes::BytesMut;
use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass};
use portcullis_protocol::pdu::{BroadcastSm, DataSm, Destination, Destinations, SubmitMulti, SubmitSm};
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use gate::{Folder, Gate};
use provider::{OK, Provider, message_id};

const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["1069000777", "1065500777"]

[[provider]]
system_id = "trusted"
ports = ["1069000777", "1065500777"]
distribution_lists = true
broadcasts = true

[[sender]]
id = "bakery"
name = "Bakery Ltd"
credential = "91310000TEST000077"
signatures = ["Bakery"]
phones = ["400-000-0077"]

[[port]]
number = "10690007770001"
class = "commercial"
sender = "bakery"

[[port]]
number = "1065500777"
class = "service"
sender = "bakery"
"#;

const CONSENTS: &str = "msisdn,sender,category,status,at,method,evidence,expires_at\n\
    8613900001111,bakery,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n\
    8613900004444,bakery,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,2026-12-01T00:00:00+08:00\n\
    8613900003333,bakery,marketing,refusal,2026-02-05T09:00:00+08:00,mo,TD,\n";

const COMMERCIAL: &str = "10690007770001";
const SERVICE: &str = "1065500777";
const WILLING: &str = "8613900001111";
const SILENT: &str = "8613900002222";
const UNWILLING: &str = "8613900003333";
/// Consents until the end of November.
const FOR_NOW: &str = "8613900004444";

const GOOD: &str = "[Bakery] Fresh bread half price today. Call 400-000-0077. Reply TD to unsubscribe";
const NO_PHONE_TEXT: &str = "[Bakery] Fresh bread half price today. Reply TD to unsubscribe";

const CONSENT: CommandStatus = CommandStatus(0x0481);
const REFUSED: CommandStatus = CommandStatus(0x0482);
const PHONE: CommandStatus = CommandStatus(0x0484);
const OPAQUE: CommandStatus = CommandStatus(0x048A);

struct Scene {
    folder: Folder,
    gate: Gate,
    carrier: Simulator,
}

impl Scene {
    async fn start() -> Self {
        let options = SimulatorOptions { keep: 100, ..SimulatorOptions::default() };
        let carrier = Simulator::start(options).await.expect("the simulator listens");
        let folder = Folder::new(REGISTER, carrier.address());
        std::fs::write(folder.path().join("consents.csv"), CONSENTS).expect("consents");
        folder.run(&["consent", "import", folder.path().join("consents.csv").to_str().expect("a path")]).ok();
        let gate = folder.start();
        Self { folder, gate, carrier }
    }

    async fn provider(&self, system_id: &str) -> Provider {
        Provider::bound(self.gate.address, system_id, "s3cret").await
    }

    fn carried(&self, command: CommandId) -> Vec<Frame> {
        self.carrier.received_of(command).into_iter().map(|received| received.frame).collect()
    }
}

/// The text in the default alphabet, whose brackets take two septets.
fn octets(text: &str) -> &'static [u8] {
    provider::encoded(text).1.leak()
}

fn sme(number: &str) -> Destination<'_> {
    Destination::Sme(provider::subscriber(number))
}

fn multi(from: &str, to: &[Destination<'_>], text: &str) -> Frame {
    let mut entries = BytesMut::new();
    to.iter().for_each(|destination| destination.encode(&mut entries));
    let (data_coding, octets) = provider::encoded(text);
    let pdu = SubmitMulti {
        source: provider::source(from),
        destinations: Destinations::from_bytes(&entries).expect("a list"),
        data_coding,
        short_message: &octets,
        ..SubmitMulti::default()
    };
    Pdu::SubmitMulti(pdu).to_frame(OK, 0)
}

/// Whom a `submit_multi_resp` names as not served, each with the status.
fn unserved(answer: &Frame) -> Vec<(String, u32)> {
    let Ok(Pdu::SubmitMultiResp(pdu)) = Pdu::decode(answer) else { panic!("no submit_multi_resp: {answer:?}") };
    let list = pdu.accepted.and_then(|accepted| accepted.unsuccessful);
    let entries = list.iter().flat_map(portcullis_protocol::pdu::UnsuccessfulSmes::iter);
    entries.map(|entry| (entry.destination.addr.to_string(), entry.error_status_code.0)).collect()
}

#[tokio::test]
async fn submit_multi_goes_on_without_those_who_are_refused() {
    let scene = Scene::start().await;
    let mut provider = scene.provider("herald").await;
    let to = [sme(SILENT), sme(WILLING), sme(UNWILLING)];
    let answer = provider.ask(multi(COMMERCIAL, &to, GOOD)).await;
    assert_eq!(answer.command_status(), OK);
    assert!(message_id(&answer).is_some_and(|id| !id.is_empty()), "the carrier's own id");
    assert_eq!(unserved(&answer), [(SILENT.to_owned(), CONSENT.0), (UNWILLING.to_owned(), REFUSED.0)]);
    let [carried] = scene.carried(CommandId::SUBMIT_MULTI).try_into().expect("one PDU");
    let Ok(Pdu::SubmitMulti(pdu)) = Pdu::decode(&carried) else { panic!("no submit_multi") };
    assert_eq!(pdu.destinations.iter().collect::<Vec<_>>(), [sme(WILLING)]);
    assert_eq!(pdu.short_message, octets(GOOD));
    for (number, verdict) in [(SILENT, "reject"), (WILLING, "forward"), (UNWILLING, "reject")] {
        let [record] = scene.folder.sent_to(number).try_into().expect("one record each");
        assert_eq!(record.verdict, verdict, "{number}");
        assert_eq!(record.outcome.is_some(), verdict == "forward", "{number}: only who was served has an outcome");
    }
}

#[tokio::test]
async fn submit_multi_that_nobody_may_have_goes_nowhere() {
    let scene = Scene::start().await;
    let mut provider = scene.provider("herald").await;
    let answer = provider.ask(multi(COMMERCIAL, &[sme(SILENT), sme(UNWILLING)], GOOD)).await;
    assert_eq!(answer.command_status(), CONSENT);
    assert_eq!(unserved(&answer), [(SILENT.to_owned(), CONSENT.0), (UNWILLING.to_owned(), REFUSED.0)]);
    let all = provider.ask(multi(COMMERCIAL, &[sme(WILLING)], NO_PHONE_TEXT)).await;
    assert_eq!((all.command_status(), unserved(&all)), (PHONE, vec![(WILLING.to_owned(), PHONE.0)]));
    assert!(scene.carried(CommandId::SUBMIT_MULTI).is_empty());
}

#[tokio::test]
async fn distribution_lists_are_for_whom_the_register_says() {
    let scene = Scene::start().await;
    let list = Destination::DistributionList(COctetString(b"customers"));
    let mut provider = scene.provider("herald").await;
    let answer = provider.ask(multi(COMMERCIAL, &[sme(WILLING), list], GOOD)).await;
    assert_eq!(answer.command_status(), CommandStatus::ESME_RCNTSUBDL);
    let mut trusted = scene.provider("trusted").await;
    assert_eq!(trusted.ask(multi(COMMERCIAL, &[list], NO_PHONE_TEXT)).await.command_status(), PHONE);
    assert_eq!(trusted.ask(multi(COMMERCIAL, &[list], GOOD)).await.command_status(), OK);
    assert_eq!(scene.carried(CommandId::SUBMIT_MULTI).len(), 1);
}

fn broadcast(from: &str, text: &str) -> Frame {
    let mut tlvs = BytesMut::new();
    push(&mut tlvs, TlvTag::BROADCAST_AREA_IDENTIFIER, b"\0district");
    push(&mut tlvs, TlvTag::BROADCAST_CONTENT_TYPE, &[0, 0, 16]);
    push(&mut tlvs, TlvTag::BROADCAST_REP_NUM, &[0, 1]);
    push(&mut tlvs, TlvTag::BROADCAST_FREQUENCY_INTERVAL, &[8, 0, 1]);
    push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, octets(text));
    let pdu = BroadcastSm { source: provider::source(from), tlvs: Tlvs::from_bytes(&tlvs), ..BroadcastSm::default() };
    Pdu::BroadcastSm(pdu).to_frame(OK, 0)
}

#[tokio::test]
async fn a_broadcast_is_judged_by_what_can_be_judged() {
    let scene = Scene::start().await;
    let mut provider = scene.provider("herald").await;
    assert_eq!(provider.ask(broadcast(COMMERCIAL, GOOD)).await.command_status(), CONSENT);
    provider.ask(broadcast(SERVICE, "[Bakery] The shop is closed on Monday.")).await;
    assert_eq!(scene.carried(CommandId::BROADCAST_SM).len(), 1, "a service message goes on");
    let mut trusted = scene.provider("trusted").await;
    assert_eq!(trusted.ask(broadcast(COMMERCIAL, NO_PHONE_TEXT)).await.command_status(), PHONE);
    trusted.ask(broadcast(COMMERCIAL, GOOD)).await;
    assert_eq!(scene.carried(CommandId::BROADCAST_SM).len(), 2);
}

#[tokio::test]
async fn data_sm_is_judged_like_submit_sm() {
    let scene = Scene::start().await;
    let mut provider = scene.provider("herald").await;
    for (text, to, status) in [(GOOD, WILLING, OK), (NO_PHONE_TEXT, WILLING, PHONE), (GOOD, UNWILLING, REFUSED)] {
        let mut tlvs = BytesMut::new();
        push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, octets(text));
        let pdu = DataSm {
            source: provider::source(COMMERCIAL),
            destination: provider::subscriber(to),
            tlvs: Tlvs::from_bytes(&tlvs),
            ..DataSm::default()
        };
        assert_eq!(provider.ask(Pdu::DataSm(pdu).to_frame(OK, 0)).await.command_status(), status, "{text} {to}");
    }
    assert_eq!(scene.carried(CommandId::DATA_SM).len(), 1);
}

/// A message that may pass, with one field of its own.
fn with(change: impl FnOnce(&mut SubmitSm<'_>), from: &str) -> Frame {
    let mut pdu = SubmitSm {
        source: provider::source(from),
        destination: provider::subscriber(WILLING),
        short_message: octets(if from == SERVICE { "[Bakery] Your order 4711 is ready." } else { GOOD }),
        ..SubmitSm::default()
    };
    change(&mut pdu);
    Pdu::SubmitSm(pdu).to_frame(OK, 0)
}

#[tokio::test]
async fn what_a_subscriber_cannot_read_or_keep_is_opaque() {
    type Change = fn(&mut SubmitSm<'_>);
    let cases: [(&str, Change); 10] = [
        ("flash, general group", |pdu| pdu.data_coding = DataCoding(0x10)),
        ("flash, class group", |pdu| pdu.data_coding = DataCoding(0xF0)),
        ("waiting indication, discard", |pdu| pdu.data_coding = DataCoding(0xC8)),
        ("type 0", |pdu| pdu.protocol_id = 0x40),
        ("card data", |pdu| pdu.protocol_id = 0x7F),
        ("binary", |pdu| pdu.data_coding = DataCoding::BINARY_8BIT),
        ("canned", |pdu| pdu.sm_default_msg_id = 3),
        ("display only", |pdu| pdu.tlvs = Tlvs::from_bytes(b"\x00\x05\x00\x01\x01")),
        ("push, by parameter", |pdu| pdu.tlvs = Tlvs::from_bytes(b"\x02\x0B\x00\x02\x0B\x84")),
        ("national table", |pdu| {
            pdu.esm_class = EsmClass::UDHI;
            pdu.short_message = b"\x03\x25\x01\x01[Bakery] Call 400-000-0077. Reply TD to unsubscribe";
        }),
    ];
    let scene = Scene::start().await;
    let mut provider = scene.provider("herald").await;
    for (what, change) in cases {
        assert_eq!(provider.ask(with(change, COMMERCIAL)).await.command_status(), OPAQUE, "{what}, commercial");
        assert_eq!(provider.ask(with(change, SERVICE)).await.command_status(), OK, "{what}, service");
    }
    let alerts = scene.folder.sent_to(WILLING);
    let alerts = alerts.iter().filter(|record| record.verdict == "forward" && record.findings[0].rule == "R16");
    assert_eq!(alerts.count(), cases.len());
}

#[tokio::test]
async fn the_time_of_delivery_is_what_counts() {
    let scene = Scene::start().await;
    let mut provider = scene.provider("herald").await;
    let scheduled = |time: &'static [u8]| {
        let change = |pdu: &mut SubmitSm<'_>| {
            pdu.destination = provider::subscriber(FOR_NOW);
            pdu.schedule_delivery_time = COctetString(time);
        };
        with(change, COMMERCIAL)
    };
    // Relative, a year on: the consent is over then.
    assert_eq!(provider.ask(scheduled(b"010000000000000R")).await.command_status(), CONSENT);
    assert_eq!(provider.ask(scheduled(b"991231235959000+")).await.command_status(), CONSENT);
    let invalid = CommandStatus::ESME_RINVSCHED;
    assert_eq!(provider.ask(scheduled(b"tomorrow at noon")).await.command_status(), invalid);
    assert_eq!(provider.ask(provider::bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK, "the bind goes on");
    assert!(scene.carried(CommandId::SUBMIT_SM).is_empty());
}

#[tokio::test]
async fn a_header_and_parameters_that_disagree_are_a_fault() {
    let scene = Scene::start().await;
    let mut provider = scene.provider("herald").await;
    let change = |pdu: &mut SubmitSm<'_>| {
        pdu.esm_class = EsmClass::UDHI;
        pdu.short_message = b"\x05\x00\x03\x07\x02\x01part";
        pdu.tlvs = Tlvs::from_bytes(b"\x02\x0C\x00\x02\x00\x07\x02\x0E\x00\x01\x03\x02\x0F\x00\x01\x01");
    };
    assert_eq!(provider.ask(with(change, COMMERCIAL)).await.command_status(), CommandStatus::ESME_ROPTPARNOTALLWD);
    assert!(scene.carried(CommandId::SUBMIT_SM).is_empty());
}

#[tokio::test]
async fn an_unnumbered_source_does_not_hide_behind_a_list() {
    let scene = Scene::start().await;
    let mut trusted = scene.provider("trusted").await;
    let list = Destination::DistributionList(COctetString(b"customers"));
    let mut frame = multi("", &[list], GOOD);
    frame.restamp(1);
    assert_eq!(trusted.ask(frame).await.command_status(), CommandStatus::ESME_RINVSRCADR);
    let unnamed = Address::new(Ton::ALPHANUMERIC, Npi::UNKNOWN, b"Nobody");
    let pdu = SubmitSm {
        source: unnamed,
        destination: provider::subscriber(WILLING),
        short_message: GOOD.as_bytes(),
        ..SubmitSm::default()
    };
    let answer = trusted.ask(Pdu::SubmitSm(pdu).to_frame(OK, 0)).await;
    assert_eq!(answer.command_status(), CommandStatus::ESME_RINVSRCADR);
}

#[tokio::test]
async fn a_place_that_is_none_is_a_fault() {
    let scene = Scene::start().await;
    let mut provider = scene.provider("herald").await;
    // Part 9 of 2, part 0 of 2, and one parameter with two values.
    for tlvs in [
        b"\x02\x0C\x00\x02\x00\x07\x02\x0E\x00\x01\x02\x02\x0F\x00\x01\x09".as_slice(),
        b"\x02\x0C\x00\x02\x00\x07\x02\x0E\x00\x01\x02\x02\x0F\x00\x01\x00",
        b"\x02\x0C\x00\x02\x00\x07\x02\x0E\x00\x01\x02\x02\x0F\x00\x01\x01\x02\x0F\x00\x01\x02",
    ] {
        let answer = provider.ask(with(|pdu| pdu.tlvs = Tlvs::from_bytes(tlvs), COMMERCIAL)).await;
        let status = answer.command_status();
        let faults = [CommandStatus::ESME_RINVOPTPARAMVAL, CommandStatus::ESME_ROPTPARNOTALLWD];
        assert!(faults.contains(&status), "{status:?}");
    }
    assert!(scene.carried(CommandId::SUBMIT_SM).is_empty());
}

#[tokio::test]
async fn parts_that_replace_one_another_are_not_one_text() {
    let scene = Scene::start().await;
    let mut provider = scene.provider("herald").await;
    let (one, two) = octets(GOOD).split_at(40);
    for (reference, change) in [
        (1, (|pdu: &mut SubmitSm<'_>| pdu.protocol_id = 0x41) as fn(&mut SubmitSm<'_>)),
        (2, |pdu| pdu.replace_if_present_flag = 1),
    ] {
        let mut sent = Vec::new();
        for (number, text) in [(1, one), (2, two)] {
            let message = [&[5, 0, 3, reference, 2, number], text].concat().leak();
            let frame = with(
                |pdu| {
                    pdu.esm_class = EsmClass::UDHI;
                    pdu.short_message = message;
                    change(pdu);
                },
                COMMERCIAL,
            );
            sent.push(provider.send(frame).await);
        }
        for number in sent {
            assert_eq!(provider.answer_to(number).await.command_status(), OPAQUE);
        }
    }
}
