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
    answer: Answer,
    /// Whether the carrier gets to see it, as it is.
    forwarded: bool,
}

const NACK: CommandId = CommandId::GENERIC_NACK;
const SUBMIT_RESP: CommandId = CommandId::SUBMIT_SM_RESP;
const LINK_RESP: CommandId = CommandId::ENQUIRE_LINK_RESP;
const OK: CommandStatus = CommandStatus::ESME_ROK;

/// The operation that answers, and the status where only one is right.
type Answer = Option<(CommandId, Option<CommandStatus>)>;

const PASSES: Answer = fails(OK);

const fn fails(status: CommandStatus) -> Answer {
    Some((SUBMIT_RESP, Some(status)))
}

/// Each with a sequence number of its own, so that answers tell them apart.
fn probes() -> Vec<Probe> {
    submit_probes().into_iter().chain(other_probes()).collect()
}

/// A good `submit_sm` with something done to it.
fn submit_probes() -> Vec<Probe> {
    let message = good();
    let body = message.body();
    let (text, before_length) = (encoded(GOOD).1, body.len() - encoded(GOOD).1.len() - 1);
    let behind = |more: &[u8]| [body, more].concat();
    let with_text = |length: u8, text: &[u8]| [&body[..before_length], &[length], text].concat();
    let mut long = text.clone();
    long.resize(255, b'x');
    let vendors = [&b"\x14\x01\0\x13"[..], &[b'1'; 19]].concat();
    let submit =
        |sequence, name, body: Vec<u8>, answer| Probe::new(name, CommandId::SUBMIT_SM, sequence, &body, answer);
    vec![
        submit(0, "sequence_number 0", body.to_vec(), PASSES),
        submit(u32::MAX, "sequence_number 0xFFFFFFFF", body.to_vec(), PASSES),
        submit(1, "a NUL behind short_message", behind(&[0]), PASSES),
        submit(2, "sm_length too long", with_text(255, &text), fails(CommandStatus::ESME_RINVMSGLEN)),
        submit(3, "a vendor's TLV", behind(&vendors), PASSES),
        submit(4, "a TLV past the end", behind(b"\x02\x04\0\x08\x01"), PASSES),
        submit(5, "three stray octets", behind(&[1, 2, 3]), PASSES),
        submit(6, "half a TLV's header", behind(b"\x02\x04\0"), PASSES),
        submit(7, "two bodies", behind(b"\x04\x24\0\x03abc"), fails(CommandStatus::ESME_ROPTPARNOTALLWD)),
        submit(8, "a short_message of 255 octets", with_text(255, &long), PASSES),
        submit(9, "no body", Vec::new(), fails(CommandStatus::ESME_RINVSERTYP)),
        submit(10, "cut within source_addr", body[..4].to_vec(), fails(CommandStatus::ESME_RINVSRCADR)),
    ]
}

fn other_probes() -> Vec<Probe> {
    let unknown = Some((NACK, Some(CommandStatus::ESME_RINVCMDID)));
    let bound = Some((CommandId::BIND_TRANSCEIVER_RESP, Some(CommandStatus::ESME_RALYBND)));
    let wrong_side = Some((CommandId::DELIVER_SM_RESP, Some(CommandStatus::ESME_RINVBNDSTS)));
    let (link, linked) = (CommandId::ENQUIRE_LINK, Some((LINK_RESP, Some(OK))));
    let queried = Some((CommandId::QUERY_SM_RESP, None));
    let delivery = [good().body(), b"\x02\x04\0\x02\0\x07"].concat();
    vec![
        Probe::new("an unknown command_id", CommandId(0x0100_0002), 11, &[1, 2, 3], unknown),
        Probe::new("a reserved command_id", CommandId(0x0A), 12, &[], unknown),
        Probe::new("enquire_link with one octet", link, 13, &[0], linked),
        Probe::new("enquire_link with sequence_number 0", link, 0, &[], linked),
        Probe::new("a second bind", CommandId::BIND_TRANSCEIVER, 14, bind().body(), bound),
        Probe::new("deliver_sm from the wrong side", CommandId::DELIVER_SM, 15, &delivery, wrong_side),
        Probe::new("query_sm of nothing", CommandId::QUERY_SM, 16, b"42\0\0\0\0", queried),
        Probe::new("an answer to nothing", SUBMIT_RESP, 17, b"42\0", None),
        Probe::new("an answer of no operation", CommandId(0x8000_00FF), 18, b"42", None),
        Probe::new("generic_nack to nothing", NACK, 19, &[], None),
        Probe::new("unbind_resp to nothing", CommandId::UNBIND_RESP, 20, &[], None),
    ]
}

impl Probe {
    fn new(name: &'static str, command: CommandId, sequence_number: u32, body: &[u8], answer: Answer) -> Self {
        let octets = Frame::new(command, OK, sequence_number, body).as_bytes().to_vec();
        Self { name, octets, answer, forwarded: answer == PASSES }
    }

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

/// Sends the octets with a good `enquire_link` and a good `submit_sm` behind them; the answers to
/// the octets once these two and so many others are there.
async fn answers(wire: &mut Wire, octets: &[u8], manner: Manner, others: usize) -> Vec<Frame> {
    let [link, submit] = [bare(CommandId::ENQUIRE_LINK), good()].map(|request| wire.stamp(request));
    let all = [octets, link.as_bytes(), submit.as_bytes()].concat();
    match manner {
        Manner::Whole => wire.write(&all).await,
        Manner::OctetByOctet => wire.dribble(&all).await,
    }
    let (mut answers, mut good) = (Vec::new(), 0);
    while good < 2 || answers.len() < others {
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
    let found = answers.remove(found).command_status();
    assert!(status.is_none_or(|status| status == found), "{}: {found}", probe.name);
}

#[tokio::test]
async fn no_probe_ends_the_bind() {
    let stage = Stage::judging().await;
    let mut wire = Wire::bound(stage.gate.address).await;
    for probe in probes() {
        let before = stage.simulator.received_of(CommandId::SUBMIT_SM).len();
        let mut answers = answers(&mut wire, &probe.octets, Manner::Whole, usize::from(probe.answer.is_some())).await;
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
    let answered = probes.iter().filter(|probe| probe.answer.is_some()).count();
    let mut answers = answers(&mut wire, &octets, manner, answered).await;
    for probe in &probes {
        assert_answered(probe, &mut answers);
    }
    assert!(answers.is_empty(), "more answers than questions: {answers:?}");
    let link = wire.ask(bare(CommandId::ENQUIRE_LINK)).await;
    assert_eq!(link.command_status(), OK);
}

/// A frame fault ends the connection, and only that: the next one is welcome. The simulator needs
/// a thread of its own while the log is waited for.
async fn ends_the_connection(octets: &[u8]) {
    let stage = Stage::judging().await;
    let mut wire = Wire::bound(stage.gate.address).await;
    assert!(answers(&mut wire, &[], Manner::Whole, 0).await.is_empty());
    wire.write(octets).await;
    let rest = wire.rest().await;
    let said: Vec<_> = rest.iter().map(|frame| (frame.command_id(), frame.command_status())).collect();
    assert_eq!(said, [(NACK, CommandStatus::ESME_RINVCMDLEN)]);
    assert!(stage.gate.await_log("session ended").contains("command_length"), "{}", stage.gate.log());
    let mut wire = Wire::bound(stage.gate.address).await;
    assert!(answers(&mut wire, &[], Manner::Whole, 0).await.is_empty());
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
    assert!(answers(&mut wire, &[], Manner::Whole, 0).await.is_empty());
}

#[tokio::test]
async fn bind_and_submit_in_one_segment() {
    let stage = Stage::judging().await;
    let mut wire = Wire::connect(stage.gate.address).await;
    let bind = wire.stamp(bind());
    let early = answers(&mut wire, bind.as_bytes(), Manner::Whole, 1).await;
    assert_eq!(early.len(), 1, "{early:?}");
    assert_eq!((early[0].command_id(), early[0].command_status()), (CommandId::BIND_TRANSCEIVER_RESP, OK));
}

#[tokio::test]
async fn bind_and_submit_octet_by_octet() {
    let stage = Stage::judging().await;
    let mut wire = Wire::connect(stage.gate.address).await;
    let bind = wire.stamp(bind());
    assert_eq!(answers(&mut wire, bind.as_bytes(), Manner::OctetByOctet, 1).await.len(), 1);
}
