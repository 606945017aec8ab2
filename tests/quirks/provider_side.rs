//! Every PDU of testdata/pdu, sent to the gate by a provider over one bind.
//!
//! Behind each a good `enquire_link` and a good `submit_sm` on the same bind. What has a fault
//! gets the answer its file names; what can be read reaches the carrier octet for octet.

use portcullis_protocol::text::Udh;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::case::{self, Case};
use crate::provider::bare;
use crate::stage::{Stage, good};
use crate::wire::Wire;

/// What the gate must do with the octets of a file.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// The connection ends.
    Broken,
    /// The rest never comes.
    Incomplete,
    /// The provider leaves.
    Leaves,
    /// The bind goes on; the answer, where there must be one.
    Survives(Option<Answer>),
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    command: CommandId,
    /// The only status it may have; else any that the gate or the carrier finds right.
    status: Option<CommandStatus>,
}

impl Answer {
    /// To an operation that no specification has.
    const UNKNOWN: Self = Self { command: CommandId::GENERIC_NACK, status: Some(CommandStatus::ESME_RINVCMDID) };
}

pub(crate) fn frame_of(case: &Case) -> Frame {
    let header = |at: usize| u32::from_be_bytes(case.bytes[at..at + 4].try_into().expect("four octets"));
    Frame::new(CommandId(header(4)), CommandStatus(header(8)), header(12), &case.bytes[16..])
}

/// Whether it is one part of a message whose others never come.
fn is_part(case: &Case) -> bool {
    let promised =
        case.fields.iter().any(|(name, value)| ["concatenation", "sar"].contains(&name.as_str()) && value != "none");
    promised || case.bytes.len() > 16 && has_concatenation(&frame_of(case))
}

fn has_concatenation(frame: &Frame) -> bool {
    let Ok(Pdu::SubmitSm(submit)) = Pdu::decode(frame) else { return false };
    let header = submit.message().ok().filter(|_| submit.esm_class.0 & 0x40 != 0).and_then(|it| Udh::split(it).ok());
    header.is_some_and(|(header, _)| header.concatenation().is_some())
}

fn fate(case: &Case) -> Fate {
    match case.expect.as_deref() {
        Some("frame too short" | "frame too long") => return Fate::Broken,
        Some("incomplete") => return Fate::Incomplete,
        _ => {}
    }
    let frame = frame_of(case);
    let command = frame.command_id();
    if command == CommandId::UNBIND {
        return Fate::Leaves;
    }
    if !command.wants_response() || is_part(case) {
        return Fate::Survives(None);
    }
    if command.name().is_none() {
        return Fate::Survives(Some(Answer::UNKNOWN));
    }
    let status = match case.expect.as_deref() {
        // A bound provider cannot bind, whatever its second bind says; nor deliver, nor outbind.
        _ if is_bind(command) => Some(CommandStatus::ESME_RALYBND),
        _ if command == CommandId::DELIVER_SM => Some(CommandStatus::ESME_RINVBNDSTS),
        Some(how) => how.rsplit_once(' ').and_then(|(_, status)| named(status)),
        None => None,
    };
    // Only what the gate reads itself has the status the file names; the rest is the carrier's to judge.
    let reads = [CommandId::SUBMIT_SM, CommandId::SUBMIT_MULTI, CommandId::DATA_SM, CommandId::BROADCAST_SM];
    let status = status.filter(|_| reads.contains(&command) || is_bind(command) || command == CommandId::DELIVER_SM);
    Fate::Survives(Some(Answer { command: command.response(), status }))
}

fn is_bind(command: CommandId) -> bool {
    [CommandId::BIND_TRANSMITTER, CommandId::BIND_RECEIVER, CommandId::BIND_TRANSCEIVER].contains(&command)
}

fn named(status: &str) -> Option<CommandStatus> {
    (0..=0xFFFF).map(CommandStatus).find(|known| known.name() == Some(status))
}

/// Whether the carrier must see the same octets behind another sequence number. What is against
/// the specification and can be read all the same may be refused instead.
fn goes_on(case: &Case, answers: &[Frame]) -> bool {
    let command = frame_of(case).command_id();
    let refused = answers.iter().any(|answer| answer.command_status() != CommandStatus::ESME_ROK);
    let survives = case.expect.as_deref().is_none_or(|how| how == "survives" && !refused);
    survives && !is_part(case) && [CommandId::SUBMIT_SM, CommandId::DATA_SM].contains(&command)
}

/// Sends a case and the two good requests; every answer that is not to one of these.
async fn send(wire: &mut Wire, case: &Case, answer: &Option<Answer>) -> Vec<Frame> {
    let octets = if is_part(case) { wire.stamp(frame_of(case)).as_bytes().to_vec() } else { case.bytes.clone() };
    let [link, submit] = [bare(CommandId::ENQUIRE_LINK), good()].map(|request| wire.stamp(request));
    wire.write(&[&octets, link.as_bytes(), submit.as_bytes()].concat()).await;
    let good = [link.sequence_number(), submit.sequence_number()];
    let (mut others, mut answered) = (Vec::new(), 0);
    while answered < 2 || (answer.is_some() && others.is_empty()) {
        let frame = wire.response().await;
        if good.contains(&frame.sequence_number()) && frame.command_id() != CommandId::GENERIC_NACK {
            assert_eq!(frame.command_status(), CommandStatus::ESME_ROK, "{}: {frame:?}", case.name);
            answered += 1;
        } else if !wire.has_stamped(frame.sequence_number()) {
            // Not the late answer to a part whose others never came.
            others.push(frame);
        }
    }
    others
}

/// Why the answers are not those to a case.
fn fault(case: &Case, answer: &Option<Answer>, answers: &[Frame]) -> Option<String> {
    let Some(wanted) = answer else { return None };
    let sequence_number = frame_of(case).sequence_number();
    let [only] = answers else { return Some(format!("{answers:?}")) };
    let right = only.command_id() == wanted.command
        && only.sequence_number() == sequence_number
        && wanted.status.is_none_or(|status| only.command_status() == status)
        && Pdu::decode(only).is_ok();
    (!right).then(|| format!("wanted {wanted:?}, got {only:?}"))
}

/// Every file, valid ones first.
pub(crate) fn cases() -> Vec<Case> {
    case::all("valid").into_iter().chain(case::all("malformed")).collect()
}

#[tokio::test]
async fn no_pdu_ends_the_bind() {
    let stage = Stage::observing().await;
    let mut wire = Wire::bound(stage.gate.address).await;
    let (mut sent, mut faults) = (0, Vec::new());
    for case in cases() {
        let Fate::Survives(answer) = fate(&case) else { continue };
        let answers = send(&mut wire, &case, &answer).await;
        faults.extend(fault(&case, &answer, &answers).map(|fault| format!("{}: {fault}", case.name)));
        sent += 1;
        if !goes_on(&case, &answers) {
            continue;
        }
        let seen = stage.simulator.received_of(frame_of(&case).command_id());
        if !seen.iter().any(|seen| seen.frame.as_bytes()[16..] == case.bytes[16..]) {
            faults.push(format!("{}: not at the carrier: {answers:?}", case.name));
        }
    }
    assert!(faults.is_empty(), "{} of {sent}\n{}", faults.len(), faults.join("\n"));
    assert_eq!(stage.simulator.counts().binds, 1, "the same bind throughout");
    assert!(sent > 200, "only {sent} PDUs");
}

#[tokio::test]
async fn a_broken_length_ends_only_its_connection() {
    let stage = Stage::observing().await;
    for case in cases().into_iter().filter(|case| fate(case) == Fate::Broken) {
        let mut wire = Wire::bound(stage.gate.address).await;
        wire.write(&case.bytes).await;
        let said: Vec<_> = wire.rest().await.iter().map(Frame::command_id).collect();
        assert!(said.iter().all(|command| *command == CommandId::GENERIC_NACK), "{}: {said:?}", case.name);
    }
    Wire::bound(stage.gate.address).await;
}

#[tokio::test]
async fn what_is_no_smpp_is_closed_before_the_bind() {
    let stage = Stage::observing().await;
    for case in cases().into_iter().filter(|case| case.command == "not-smpp") {
        let mut wire = Wire::connect(stage.gate.address).await;
        wire.write(&case.bytes).await;
        let said: Vec<_> = wire.rest().await.iter().map(Frame::command_id).collect();
        assert!(said.iter().all(|command| *command == CommandId::GENERIC_NACK), "{}: {said:?}", case.name);
    }
    assert_eq!(stage.simulator.counts().connections, 0, "nothing of it reaches the carrier");
    Wire::bound(stage.gate.address).await;
}

#[tokio::test]
async fn half_a_pdu_waits_for_its_rest() {
    let stage = Stage::observing().await;
    for case in cases().into_iter().filter(|case| fate(case) == Fate::Incomplete) {
        let mut wire = Wire::bound(stage.gate.address).await;
        wire.write(&case.bytes).await;
        drop(wire);
    }
    Wire::bound(stage.gate.address).await;
}

#[tokio::test]
async fn a_bind_that_cannot_be_read_may_be_tried_again() {
    let stage = Stage::observing().await;
    for case in cases().into_iter().filter(is_bind_with_fault) {
        let frame = frame_of(&case);
        let mut wire = Wire::connect(stage.gate.address).await;
        wire.write(&case.bytes).await;
        let answer = wire.response().await;
        assert_eq!(answer.command_id(), frame.command_id().response(), "{}", case.name);
        assert_eq!(answer.sequence_number(), frame.sequence_number(), "{}", case.name);
        let status = case.expect.as_deref().and_then(|how| how.rsplit_once(' ')).and_then(|(_, status)| named(status));
        assert_eq!(Some(answer.command_status()), status, "{}", case.name);
        assert_eq!(wire.bind().await, CommandStatus::ESME_ROK, "{}", case.name);
    }
}

fn is_bind_with_fault(case: &Case) -> bool {
    case.expect.as_deref().is_some_and(|how| how.starts_with("fault")) && is_bind(frame_of(case).command_id())
}
