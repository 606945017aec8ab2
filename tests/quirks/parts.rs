//! Long messages cut where it hurts, and sent over several binds: judged whole all the same.
//!
//! All on the commercial port, so that what cannot be read whole is refused.

use portcullis_protocol::field::{DataCoding, EsmClass};
use portcullis_protocol::pdu::SubmitSm;
use portcullis_protocol::text::{gsm7, ucs2};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::provider::{source, subscriber};
use crate::stage::{COMMERCIAL, SUBSCRIBER, Stage};
use crate::wire::Wire;

const OK: CommandStatus = CommandStatus::ESME_ROK;
/// No way to refuse.
const OPT_OUT: CommandStatus = CommandStatus(0x0485);
const CONSENT: &str = "msisdn,sender,category,status,at,method,evidence,expires_at\n\
    8613900001111,bakery,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n";

/// A part behind a concatenation element with an 8-bit reference.
fn part(data_coding: DataCoding, reference: u8, total: u8, number: u8, octets: &[u8]) -> Frame {
    let message = [&[5, 0, 3, reference, total, number], octets].concat();
    let submit = SubmitSm {
        source: source(COMMERCIAL),
        destination: subscriber(SUBSCRIBER),
        esm_class: EsmClass(0x40),
        data_coding,
        short_message: &message,
        ..SubmitSm::default()
    };
    Pdu::SubmitSm(submit).to_frame(OK, 0)
}

/// Sends the pieces as parts, each over the next of these binds; the statuses of their answers.
async fn send(stage: &Stage, binds: usize, coding: DataCoding, pieces: &[&[u8]]) -> Vec<CommandStatus> {
    let csv = stage.folder.path().join("consents.csv");
    std::fs::write(&csv, CONSENT).expect("consents");
    stage.folder.run(&["consent", "import", csv.to_str().expect("a UTF-8 path")]).ok();
    let mut wires = Vec::new();
    for _ in 0..binds {
        wires.push(Wire::bound(stage.gate.address).await);
    }
    let total = u8::try_from(pieces.len()).expect("few parts");
    let mut expected = vec![0; binds];
    for (number, octets) in (1..).zip(pieces) {
        let bind = usize::from(number - 1) % binds;
        let part = wires[bind].stamp(part(coding, 7, total, number, octets));
        wires[bind].write(part.as_bytes()).await;
        expected[bind] += 1;
    }
    let mut statuses = Vec::new();
    for (wire, answers) in wires.iter_mut().zip(expected) {
        for _ in 0..answers {
            statuses.push(wire.response().await.command_status());
        }
    }
    statuses
}

/// The carrier has exactly these pieces, in whatever order.
fn assert_forwarded(stage: &Stage, pieces: &[&[u8]]) {
    let seen = stage.simulator.received_of(CommandId::SUBMIT_SM);
    for piece in pieces {
        let ends_so = |frame: &Frame| frame.body().ends_with(piece);
        assert!(seen.iter().any(|seen| ends_so(&seen.frame)), "{piece:02x?} is not at the carrier");
    }
    assert_eq!(seen.len(), pieces.len());
}

async fn forwarded(binds: usize, coding: DataCoding, octets: &[u8], cuts: &[usize]) {
    let stage = Stage::judging().await;
    let pieces = cut(octets, cuts);
    assert_eq!(send(&stage, binds, coding, &pieces).await, vec![OK; pieces.len()]);
    assert_forwarded(&stage, &pieces);
}

fn cut<'a>(octets: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let ends = cuts.iter().copied().chain([octets.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts.zip(ends).map(|(from, to)| &octets[from..to]).collect()
}

fn position(octets: &[u8], wanted: &[u8]) -> usize {
    octets.windows(wanted.len()).position(|window| window == wanted).expect("in the text")
}

const COMPLIANT: &str = "[Bakery] Bread at €1 until noon. Call 400-000-0077. Reply TD to unsubscribe";
const NO_WAY_OUT: &str = "[Bakery] Bread at €1 until noon, and every cake at half its price. Call 400-000-0077.";
const CHINESE: &str = "【Bakery】🍞面包半价至中午,客服400-000-0077,拒收请回复R";

#[tokio::test]
async fn parts_over_two_binds_are_one_message() {
    let octets = gsm7::encode(COMPLIANT).expect("GSM 7-bit");
    forwarded(2, DataCoding::DEFAULT, &octets, &[20, 45]).await;
}

#[tokio::test]
async fn parts_over_two_binds_are_refused_together() {
    let stage = Stage::judging().await;
    let octets = gsm7::encode(NO_WAY_OUT).expect("GSM 7-bit");
    let pieces = cut(&octets, &[30, 60]);
    assert_eq!(send(&stage, 2, DataCoding::DEFAULT, &pieces).await, [OPT_OUT; 3]);
    assert_forwarded(&stage, &[]);
}

#[tokio::test]
async fn an_escape_pair_is_cut_between_parts() {
    let octets = gsm7::encode(COMPLIANT).expect("GSM 7-bit");
    // Within the euro sign, which is an escape and an e.
    let within = position(&octets, &[0x1B, b'e']) + 1;
    forwarded(1, DataCoding::DEFAULT, &octets, &[within]).await;
}

#[tokio::test]
async fn a_surrogate_pair_is_cut_between_parts() {
    let octets = ucs2::encode(CHINESE);
    let within = position(&octets, &[0xD8, 0x3C]) + 2;
    forwarded(1, DataCoding::UCS2, &octets, &[within]).await;
}

#[tokio::test]
async fn ucs2_is_cut_at_an_odd_octet() {
    let octets = ucs2::encode(CHINESE);
    forwarded(1, DataCoding::UCS2, &octets, &[31]).await;
}

#[tokio::test]
async fn the_phone_and_the_way_to_refuse_are_cut_between_parts() {
    let octets = gsm7::encode(COMPLIANT).expect("GSM 7-bit");
    let (phone, way_out) = (position(&octets, b"400") + 5, position(&octets, b"unsub") + 2);
    forwarded(1, DataCoding::DEFAULT, &octets, &[phone, way_out]).await;
}
