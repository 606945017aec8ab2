//! The samples in every coding they fit, in one part and cut in every place: always the verdict they say.
//!
//! Real relays and desks over a store of each sample's own, at the sample's own time; the sockets' turn is in
//! tests/gate/samples.rs. A cut comes in each form in turn, so that every place is met in every coding and
//! every form in every coding.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "long/parts.rs"]
mod parts;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/samples.rs"]
mod sample;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "long_seams/stage.rs"]
mod stage;

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use portcullis::register::Register;
use portcullis::store::consents::{Event as Said, Status};
use portcullis_protocol::field::DataCoding;
use portcullis_protocol::pdu::{DataSm, SubmitSm};
use portcullis_protocol::text::{gb18030, gsm7, latin1, ucs2};
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{CommandStatus, Frame, Pdu};

use parts::{Form, Long};
use provider::{OK, source, subscriber};
use sample::{PROVIDER, REGISTER, Sample, samples};
use stage::Stage;

const HOURS: &str = "quiet_hours = \"08:00-21:00\"";

/// A way to write a text as octets.
struct Encoding {
    name: &'static str,
    data_coding: u8,
    /// What the register says of the provider, so that it is read so.
    setting: &'static str,
    /// `None` where the text does not fit.
    encode: fn(&str) -> Option<Vec<u8>>,
    /// The whole only: its parts are no pieces of it.
    whole_only: bool,
}

const fn of(
    name: &'static str,
    data_coding: u8,
    setting: &'static str,
    encode: fn(&str) -> Option<Vec<u8>>,
) -> Encoding {
    Encoding { name, data_coding, setting, encode, whole_only: false }
}

const ENCODINGS: [Encoding; 15] = [
    of("GSM-7", 0, "", gsm7::encode),
    Encoding { whole_only: true, ..of("GSM-7, packed", 0, "packed_gsm7 = true", packed) },
    of("GSM-7 with a message class", 0xF1, "", gsm7::encode),
    of("IA5", 1, "", ascii),
    of("Latin-1", 3, "", latin1),
    of("Latin-1 by default", 0, "default_alphabet = \"latin1\"", latin1),
    of("ISO 8859-5", 6, "", ascii),
    of("ISO 8859-8", 7, "", ascii),
    of("UCS-2", 8, "", big_endian),
    of("UCS-2 with a message class", 0x19, "", big_endian),
    of("UCS-2 by default", 0, "default_alphabet = \"utf-16\"", big_endian),
    Encoding { whole_only: true, ..of("UCS-2, little-endian with a mark", 8, "", little_endian) },
    of("GB 18030", 15, "", gb),
    of("GB 18030 by default", 0, "default_alphabet = \"gb18030\"", gb),
    of("UTF-8 by default", 0, "default_alphabet = \"utf-8\"", utf8),
];

fn packed(text: &str) -> Option<Vec<u8>> {
    gsm7::encode(text).map(|septets| gsm7::pack(&septets, 0))
}

fn ascii(text: &str) -> Option<Vec<u8>> {
    text.is_ascii().then(|| text.as_bytes().to_vec())
}

fn big_endian(text: &str) -> Option<Vec<u8>> {
    Some(ucs2::encode(text))
}

fn little_endian(text: &str) -> Option<Vec<u8>> {
    Some([0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect())
}

fn gb(text: &str) -> Option<Vec<u8>> {
    Some(gb18030(text))
}

fn utf8(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

/// Every way parts are told.
const FORMS: [Form; 7] =
    [Form::Udh8, Form::Udh16, Form::Second, Form::Sar, Form::SarPayload, Form::UdhPayload, Form::Data];

/// A sample on its stage, in one encoding.
struct Trial<'s> {
    sample: &'s Sample,
    encoding: &'s Encoding,
    octets: Vec<u8>,
    stage: Stage,
    /// Who has said nothing yet is a new recipient each time: a request is sent once to a number.
    next: u64,
    reference: u16,
}

impl<'s> Trial<'s> {
    fn new(sample: &'s Sample, encoding: &'s Encoding, octets: Vec<u8>) -> Self {
        let own = format!("system_id = \"{PROVIDER}\"\n{}\n", encoding.setting);
        let register = REGISTER.replacen(&format!("system_id = \"{PROVIDER}\"\n"), &own, 1);
        let known =
            Register::parse(Path::new("register.toml"), &register).unwrap_or_else(|faults| panic!("{}", faults[0]));
        let at =
            |day: &str| format!("{day}T00:00:00+08:00").parse::<jiff::Timestamp>().expect("a day").as_millisecond();
        let said = sample.said().into_iter().flat_map(|(status, day, end)| {
            known.senders().iter().map(move |sender| Said {
                msisdn: sample.recipient().parse().expect("digits"),
                sender: &sender.id,
                category: "",
                status: if status == "consent" { Status::Consent } else { Status::Refusal },
                at_ms: at(day),
                method: "web",
                evidence: "form",
                expires_at_ms: (!end.is_empty()).then(|| at(end)),
                frequency: "",
                wording: "",
                sha256: None,
                recorded_by: "",
                recorded_at_ms: None,
            })
        });
        let said: Vec<Said<'_>> = said.collect();
        let stage = Stage::open(&register, PROVIDER, 2, HOURS, &said, sample.at);
        Self { sample, encoding, octets, stage, next: 8_615_000_000_000, reference: 0 }
    }

    fn recipient(&mut self) -> String {
        if self.sample.said().is_some() {
            return self.sample.recipient();
        }
        self.next += 1;
        self.next.to_string()
    }

    fn check(&mut self, sent: &[stage::Sent], frames: &[Frame], how: &str) {
        let expected = self.sample.status();
        let answers: Vec<Option<CommandStatus>> = sent.iter().map(|sent| self.stage.answer(*sent)).collect();
        let place = || format!("{} in {}, {how}", self.sample.id, self.encoding.name);
        assert!(answers.iter().all(|answer| *answer == Some(expected)), "{}: {answers:?}, not {expected:?}", place());
        let bodies = |frames: &[Frame]| {
            let mut bodies: Vec<_> = frames.iter().map(|frame| frame.body().to_vec()).collect();
            bodies.sort();
            bodies
        };
        let carried = self.stage.carried();
        let all: &[Frame] = if expected == OK { frames } else { &[] };
        assert_eq!(bodies(&carried), bodies(all), "{}: the carrier gets all or nothing", place());
    }

    fn whole(&mut self) {
        for how in ["short_message", "message_payload", "data_sm"] {
            if how == "short_message" && self.octets.len() > 254 {
                continue;
            }
            let to = self.recipient();
            let frame = whole(how, DataCoding(self.encoding.data_coding), &self.octets, &self.sample.source, &to);
            let sent = self.stage.send(0, &frame);
            self.check(&[sent], &[frame], how);
        }
    }

    fn cut(&mut self, seam: usize, form: Form) {
        self.reference = (self.reference + 1) % 256;
        let to = self.recipient();
        let (from, text, reference) = (&*self.sample.source, &*self.sample.text, self.reference);
        let long = Long { from, to: &to, text, reference, form };
        let coding = DataCoding(self.encoding.data_coding);
        let (head, tail) = self.octets.split_at(seam);
        let parts = [long.part_in(coding, 1, 2, head, 0), long.part_in(coding, 2, 2, tail, 0)];
        // The last part first as often as not, over one bind or two.
        let order = if seam.is_multiple_of(2) { [0, 1] } else { [1, 0] };
        let sent = order.map(|part| self.stage.send(seam % 3 % 2 * part, &parts[part]));
        self.check(&sent, &parts, &format!("{form:?}, cut at {seam}"));
    }
}

fn whole(how: &str, data_coding: DataCoding, octets: &[u8], from: &str, to: &str) -> Frame {
    let (source, destination) = (source(from), subscriber(to));
    let mut tlvs = BytesMut::new();
    let mut short_message = octets;
    if how != "short_message" {
        push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, octets);
        short_message = &[];
    }
    let tlvs = Tlvs::from_bytes(&tlvs);
    if how == "data_sm" {
        return Pdu::DataSm(DataSm { source, destination, data_coding, tlvs, ..DataSm::default() }).to_frame(OK, 0);
    }
    let submit = SubmitSm { source, destination, data_coding, short_message, tlvs, ..SubmitSm::default() };
    Pdu::SubmitSm(submit).to_frame(OK, 0)
}

fn play(samples: &[Sample]) -> (usize, usize) {
    let (mut wholes, mut cuts) = (0, 0);
    for sample in samples {
        for (turn, encoding) in ENCODINGS.iter().enumerate() {
            let Some(octets) = (encoding.encode)(&sample.text) else { continue };
            let length = octets.len();
            let mut trial = Trial::new(sample, encoding, octets);
            trial.whole();
            wholes += 1;
            if encoding.whole_only {
                continue;
            }
            for seam in 1..length {
                trial.cut(seam, FORMS[(seam + turn) % FORMS.len()]);
                cuts += 1;
            }
            trial.stage.pass(Duration::from_secs(11));
            assert_eq!(trial.stage.kept(), 0, "kept for repetitions only, and not for long");
        }
    }
    (wholes, cuts)
}

#[test]
fn every_sample_gets_its_verdict_in_every_coding_wherever_it_is_cut() {
    let samples = samples();
    let (one, other) = samples.split_at(samples.len() / 2);
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| play(one));
        (play(other), first.join().expect("no failure"))
    });
    let (wholes, cuts) = (first.0 + second.0, first.1 + second.1);
    assert!(wholes > 150 && cuts > 14_000, "only {wholes} wholes and {cuts} cuts");
    println!("{} samples: {wholes} codings, {cuts} cuts", samples.len());
}
