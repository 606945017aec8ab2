//! What ends binds elsewhere, sent to the gate: one by one, all in one segment, octet by octet.
//!
//! After each, the same bind must answer a good `enquire_link` and a good `submit_sm`; only a
//! `command_length` that cannot be believed ends a connection.

use portcullis_protocol::{CommandId, CommandStatus, Frame};

use crate::provider::{bare, encoded};
use crate::stage::{GOOD, Stage, good};
use crate::wire::{Wire, bind};

/// Octets for a bound transceiver, and how they must be answered.
struct Probe {
    name: &'static str,
    octets: Vec<u8>,
    answer: Option<(CommandId, CommandStatus)>,
    /// Whether the carrier gets to see it, as it is.
    forwarded: bool,
}

const NACK: CommandId = CommandId::GENERIC_NACK;
const SUBMIT_RESP: CommandId = CommandId::SUBMIT_SM_RESP;
const LINK_RESP: CommandId = CommandId::ENQUIRE_LINK_RESP;
const OK: CommandStatus = CommandStatus::ESME_ROK;

/// Each with a sequence number of its own, so that answers tell them apart.
fn probes() -> Vec<Probe> {
    let passes = Some((SUBMIT_RESP, OK));
    let fails = |status| Some((SUBMIT_RESP, status));
    let (message, text) = (good(), encoded(GOOD).1.len());
    let body = message.body();
    let without_text = &body[..body.len() - text - 1];
    let with_text =
        |octets: &[u8]| [without_text, &[u8::try_from(octets.len()).expect("a short text")], octets].concat();
    let tail = |more: &[u8]| [body, more].concat();
    let mut long = encoded(GOOD).1;
    long.resize(255, b'x');
    let submit = CommandId::SUBMIT_SM;
    let wrong_length = [without_text, &[255], &body[body.len() - text..]].concat();
    let both = tail(b"\x04\x24\0\x03abc");
    let rows: Vec<(&str, CommandId, u32, Vec<u8>, Option<(CommandId, CommandStatus)>)> = vec![
        ("sequence_number 0", submit, 0, body.to_vec(), passes),
        ("sequence_number 0xFFFFFFFF", submit, u32::MAX, body.to_vec(), passes),
        ("a NUL behind short_message", submit, 1, tail(&[0]), passes),
        ("sm_length too long", submit, 2, wrong_length, fails(CommandStatus::ESME_RINVMSGLEN)),
        ("a vendor's TLV", submit, 3, tail(b"\x14\x01\0\x13" as &[u8]).into_iter().chain([b'1'; 19]).collect(), passes),
        ("a TLV past the end", submit, 4, tail(b"\x02\x04\0\x08\x01"), passes),
        ("three stray octets", submit, 5, tail(&[1, 2, 3]), passes),
        ("half a TLV's header", submit, 6, tail(b"\x02\x04\0"), passes),
        ("short_message and message_payload", submit, 7, both, fails(CommandStatus::ESME_ROPTPARNOTALLWD)),
        ("a short_message of 255 octets", submit, 8, with_text(&long), passes),
        ("no body", submit, 9, Vec::new(), fails(CommandStatus::ESME_RINVSERTYP)),
        ("cut within source_addr", submit, 10, body[..4].to_vec(), fails(CommandStatus::ESME_RINVSRCADR)),
        (
            "an unknown command_id",
            CommandId(0x0100_0002),
            11,
            vec![1, 2, 3],
            Some((NACK, CommandStatus::ESME_RINVCMDID)),
        ),
        ("a reserved command_id", CommandId(0x0A), 12, Vec::new(), Some((NACK, CommandStatus::ESME_RINVCMDID))),
        ("enquire_link with one octet", CommandId::ENQUIRE_LINK, 13, vec![0], Some((LINK_RESP, OK))),
        ("enquire_link with sequence_number 0", CommandId::ENQUIRE_LINK, 0, Vec::new(), Some((LINK_RESP, OK))),
        (
            "a second bind",
            CommandId::BIND_TRANSCEIVER,
            14,
            bind().body().to_vec(),
            Some((CommandId::BIND_TRANSCEIVER_RESP, CommandStatus::ESME_RALYBND)),
        ),
        (
            "deliver_sm from the wrong side",
            CommandId::DELIVER_SM,
            15,
            tail(b"\x02\x04\0\x02\0\x07"),
            Some((CommandId::DELIVER_SM_RESP, CommandStatus::ESME_RINVBNDSTS)),
        ),
        ("query_sm of nothing", CommandId::QUERY_SM, 16, b"42\0\0\0\0".to_vec(), None),
        ("an answer to nothing", SUBMIT_RESP, 17, b"42\0".to_vec(), None),
        ("an answer of no operation", CommandId(0x8000_00FF), 18, b"42".to_vec(), None),
        ("generic_nack to nothing", NACK, 19, Vec::new(), None),
        ("unbind_resp to nothing", CommandId::UNBIND_RESP, 20, Vec::new(), None),
    ];
    let make =
        |(name, command, sequence, body, answer): (_, _, u32, Vec<u8>, Option<(CommandId, CommandStatus)>)| Probe {
            name,
            octets: Frame::new(command, OK, sequence, &body).as_bytes().to_vec(),
            answer,
            forwarded: answer == passes,
        };
    rows.into_iter().map(make).collect()
}

impl Probe {
    fn sequence_number(&self) -> u32 {
        u32::from_be_bytes(self.octets[12..16].try_into().expect("four octets"))
    }
}

/// How octets are put on the wire.
#[derive(Clone, Copy)]
enum Manner {
    Whole,
    OctetByOctet,
}

/// Sends the octets with a good `enquire_link` and a good `submit_sm` behind them; every answer until both are there.
async fn answers(wire: &mut Wire, octets: &[u8], manner: Manner) -> Vec<Frame> {
    let [link, submit] = [bare(CommandId::ENQUIRE_LINK), good()].map(|request| wire.stamp(request));
    let all = [octets, link.as_bytes(), submit.as_bytes()].concat();
    match manner {
        Manner::Whole => wire.write(&all).await,
        Manner::OctetByOctet => wire.dribble(&all).await,
    }
    let (mut answers, mut good) = (Vec::new(), 0);
    while good < 2 {
        let answer = wire.response().await;
        if ![link.sequence_number(), submit.sequence_number()].contains(&answer.sequence_number()) {
            answers.push(answer);
            continue;
        }
        assert_eq!(answer.command_status(), OK, "{answer:?}");
        good += 1;
    }
    answers
}

/// Takes the answer to a probe out of those that came.
fn assert_answered(probe: &Probe, answers: &mut Vec<Frame>) {
    let Some((command, status)) = probe.answer else { return };
    let found = answers
        .iter()
        .position(|answer| answer.sequence_number() == probe.sequence_number() && answer.command_id() == command);
    let found = found.unwrap_or_else(|| panic!("{}: no answer among {answers:?}", probe.name));
    assert_eq!(answers.remove(found).command_status(), status, "{}", probe.name);
}

#[tokio::test]
async fn no_probe_ends_the_bind() {
    let stage = Stage::judging().await;
    let mut wire = Wire::bound(stage.gate.address).await;
    for probe in probes() {
        let before = stage.simulator.received_of(CommandId::SUBMIT_SM).len();
        let mut answers = answers(&mut wire, &probe.octets, Manner::Whole).await;
        assert_answered(&probe, &mut answers);
        let seen = stage.simulator.received_of(CommandId::SUBMIT_SM).split_off(before);
        let same = |frame: &Frame| frame.as_bytes()[16..] == probe.octets[16..];
        assert_eq!(seen.iter().any(|seen| same(&seen.frame)), probe.forwarded, "{}: at the carrier", probe.name);
    }
    assert_eq!(stage.simulator.counts().binds, 1, "the same bind throughout");
}

#[tokio::test]
async fn all_probes_in_one_segment() {
    all_at_once(Manner::Whole).await;
}

#[tokio::test]
async fn all_probes_octet_by_octet() {
    all_at_once(Manner::OctetByOctet).await;
}

async fn all_at_once(manner: Manner) {
    let stage = Stage::judging().await;
    let mut wire = Wire::bound(stage.gate.address).await;
    let probes = probes();
    let octets: Vec<u8> = probes.iter().flat_map(|probe| probe.octets.clone()).collect();
    let mut answers = answers(&mut wire, &octets, manner).await;
    for probe in &probes {
        assert_answered(probe, &mut answers);
    }
    let link = wire.ask(bare(CommandId::ENQUIRE_LINK)).await;
    assert_eq!(link.command_status(), OK);
}

/// A frame fault ends the connection, and only that: the next one is welcome. The simulator needs
/// a thread of its own while the log is waited for.
async fn ends_the_connection(octets: &[u8]) {
    let stage = Stage::judging().await;
    let mut wire = Wire::bound(stage.gate.address).await;
    assert!(answers(&mut wire, &[], Manner::Whole).await.is_empty());
    wire.write(octets).await;
    let rest = wire.rest().await;
    let said: Vec<_> = rest.iter().map(|frame| (frame.command_id(), frame.command_status())).collect();
    assert_eq!(said, [(NACK, CommandStatus::ESME_RINVCMDLEN)]);
    assert!(stage.gate.await_log("session ended").contains("command_length"), "{}", stage.gate.log());
    let mut wire = Wire::bound(stage.gate.address).await;
    assert!(answers(&mut wire, &[], Manner::Whole).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_of_15_ends_the_connection() {
    ends_the_connection(b"\0\0\0\x0F\0\0\0\x15\0\0\0\0\0\0\0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_of_0x7fffffff_ends_the_connection() {
    ends_the_connection(b"\x7F\xFF\xFF\xFF\0\0\0\x04\0\0\0\0\0\0\0\x01").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_of_0_ends_the_connection() {
    ends_the_connection(&[0; 16]).await;
}

#[tokio::test]
async fn enquire_link_before_bind_is_answered() {
    let stage = Stage::judging().await;
    let mut wire = Wire::connect(stage.gate.address).await;
    assert_eq!(wire.ask(bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK);
    let early = wire.ask(good()).await;
    assert_eq!(early.command_status(), CommandStatus::ESME_RINVBNDSTS);
    assert_eq!(wire.bind().await, OK);
    assert!(answers(&mut wire, &[], Manner::Whole).await.is_empty());
}

#[tokio::test]
async fn bind_and_submit_in_one_segment() {
    let stage = Stage::judging().await;
    let mut wire = Wire::connect(stage.gate.address).await;
    let bind = wire.stamp(bind());
    let early = answers(&mut wire, bind.as_bytes(), Manner::Whole).await;
    assert_eq!(early.len(), 1, "{early:?}");
    assert_eq!((early[0].command_id(), early[0].command_status()), (CommandId::BIND_TRANSCEIVER_RESP, OK));
}

#[tokio::test]
async fn bind_and_submit_octet_by_octet() {
    let stage = Stage::judging().await;
    let mut wire = Wire::connect(stage.gate.address).await;
    let bind = wire.stamp(bind());
    assert_eq!(answers(&mut wire, bind.as_bytes(), Manner::OctetByOctet).await.len(), 1);
}
