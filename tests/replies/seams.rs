//! The sample replies in every coding they fit, whole and cut in every place, over real sockets.
//!
//! Each comes from a subscriber of its own, after the message its context names. However it comes, it changes
//! what it says and nothing else, and reaches the provider byte for byte.

use bytes::BytesMut;
use portcullis::store::consents::Status;
use portcullis_protocol::field::{DataCoding, EsmClass};
use portcullis_protocol::pdu::{DataSm, DeliverSm};
use portcullis_protocol::text::{gb18030, gsm7, latin1, ucs2};
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{Frame, Pdu};

use crate::gate::PATIENCE;
use crate::provider::{OK, source, subscriber};
use crate::samples::{Sample, samples};
use crate::scene::{ASK, Scene};

/// `data_coding` and the octets, where the text fits.
type Encode = fn(&str) -> Option<Vec<u8>>;

const ENCODINGS: [(u8, Encode); 5] = [
    (0, gsm7::encode),
    (1, |text| text.is_ascii().then(|| text.as_bytes().to_vec())),
    (3, latin1),
    (8, |text| Some(ucs2::encode(text))),
    (15, |text| Some(gb18030(text))),
];

/// How a delivery carries its octets, and where it tells its place among others.
#[derive(Clone, Copy, Debug)]
enum Carried {
    ShortMessage,
    Payload,
    DataSm,
    Udh8,
    Udh16,
    Sar,
}

const WHOLE: [Carried; 3] = [Carried::ShortMessage, Carried::Payload, Carried::DataSm];
const CUT: [Carried; 3] = [Carried::Udh8, Carried::Udh16, Carried::Sar];

/// One way for a sample to come.
struct Way {
    data_coding: u8,
    pieces: Vec<Vec<u8>>,
    carried: Carried,
}

fn ways(text: &str) -> Vec<Way> {
    let mut ways = Vec::new();
    for (turn, (data_coding, encode)) in ENCODINGS.into_iter().enumerate() {
        let Some(octets) = encode(text) else { continue };
        ways.extend(WHOLE.map(|carried| Way { data_coding, pieces: vec![octets.clone()], carried }));
        ways.extend((1..octets.len()).map(|seam| {
            let (head, tail) = octets.split_at(seam);
            let carried = CUT[(seam + turn) % CUT.len()];
            Way { data_coding, pieces: vec![head.to_vec(), tail.to_vec()], carried }
        }));
    }
    ways
}

impl Way {
    fn frames(&self, sample: &Sample, from: &str) -> Vec<Frame> {
        let mut frames: Vec<Frame> =
            (1..).zip(&self.pieces).map(|(number, piece)| self.frame(sample, from, number, piece)).collect();
        // The last part first every other time.
        if self.pieces[0].len().is_multiple_of(2) {
            frames.reverse();
        }
        frames
    }

    fn frame(&self, sample: &Sample, from: &str, number: u8, piece: &[u8]) -> Frame {
        let total = u8::try_from(self.pieces.len()).expect("two parts at most");
        let header: &[u8] = match self.carried {
            Carried::Udh8 => &[5, 0, 3, 9, total, number],
            Carried::Udh16 => &[6, 8, 4, 1, 9, total, number],
            _ => &[],
        };
        let receipt = if sample.context == "esm_class receipt" { 4 } else { 0 };
        let esm_class = EsmClass(receipt | if header.is_empty() { 0 } else { EsmClass::UDHI.0 });
        let octets = [header, piece].concat();
        let mut tlvs = BytesMut::new();
        if matches!(self.carried, Carried::Sar) {
            push(&mut tlvs, TlvTag::SAR_MSG_REF_NUM, &[0, 9]);
            push(&mut tlvs, TlvTag::SAR_TOTAL_SEGMENTS, &[total]);
            push(&mut tlvs, TlvTag::SAR_SEGMENT_SEQNUM, &[number]);
        }
        let in_payload = matches!(self.carried, Carried::Payload | Carried::DataSm) || octets.len() > 254;
        if in_payload {
            push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, &octets);
        }
        let (source, destination) = (subscriber(from), source(&sample.destination));
        let (data_coding, tlvs) = (DataCoding(self.data_coding), Tlvs::from_bytes(&tlvs));
        if matches!(self.carried, Carried::DataSm) {
            let data = DataSm { source, destination, esm_class, data_coding, tlvs, ..DataSm::default() };
            return Pdu::DataSm(data).to_frame(OK, 0);
        }
        let short_message = if in_payload { &[] } else { &octets[..] };
        let deliver =
            DeliverSm { source, destination, esm_class, data_coding, short_message, tlvs, ..DeliverSm::default() };
        Pdu::DeliverSm(deliver).to_frame(OK, 0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_samples_change_the_same_in_every_coding_wherever_they_are_cut() {
    let mut scene = Scene::new().await;
    let (mut number, mut came) = (8_613_800_300_000_u64, 0);
    for sample in samples() {
        let ways = ways(&sample.text);
        let first = number + 1;
        number += ways.len() as u64;
        if !sample.context.contains("S18") {
            consent(&scene, first..=number);
        }
        for (from, way) in (first..).zip(&ways) {
            play(&mut scene, &sample, &from.to_string(), way).await;
            came += 1;
        }
    }
    assert!(came > 400, "only {came} replies");
}

/// Every subscriber of these has agreed to the commercial port's sender.
fn consent(scene: &Scene, numbers: std::ops::RangeInclusive<u64>) {
    let rows: String = numbers.map(|number| format!("{number},qinghe,,consent,2025-01-01,web,form 12,\n")).collect();
    let csv = format!("msisdn,sender,category,status,at,method,evidence,expires_at\n{rows}");
    scene.folder.feed(&["consent", "import", "-"], &csv).ok();
}

async fn play(scene: &mut Scene, sample: &Sample, from: &str, way: &Way) {
    let place = format!("{} in {:#x}, {:?}, {:?}", sample.id, way.data_coding, way.carried, way.pieces);
    if let Some((port, text)) = sample.before() {
        assert_eq!(scene.submit(port, from, text).await, OK, "{place}");
    }
    let frames = way.frames(sample, from);
    let before = scene.carrier.counts().acknowledged;
    for frame in &frames {
        assert!(scene.carrier.deliver("agg1", frame.clone()).await, "{place}");
        let came = scene.provider.request().await;
        assert_eq!((came.command_id(), came.body()), (frame.command_id(), frame.body()), "{place}");
    }
    let all = before + frames.len() as u64;
    assert!(scene.carrier.wait_until(PATIENCE, |counts| counts.acknowledged >= all).await, "{place}");
    let held: Vec<_> = scene.held(from).into_iter().filter(|row| row.method == "mo").collect();
    let changes: Vec<_> = held.iter().map(|row| (row.sender.as_str(), row.status)).collect();
    assert_eq!(changes, sample.changes(), "{place}");
    for row in held {
        assert!(row.evidence.contains(&sample.text), "{place}: {}", row.evidence);
        assert_eq!(row.evidence.contains(ASK), row.status == Status::Consent, "{place}: {}", row.evidence);
    }
}
