//! A long message is judged as its whole text is, wherever it is cut and however its parts come.
//!
//! Every text is first sent whole in one PDU; then in parts: at every seam, in every form, in any
//! order, repeated, over several binds, with other messages of the account between. The parts
//! must get the verdict of the whole, and the carrier all of them or none.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "long/parts.rs"]
mod parts;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[path = "long_seams/stage.rs"]
mod stage;

use std::time::Duration;

use bytes::BytesMut;
use portcullis_protocol::pdu::SubmitSm;
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{CommandStatus, Frame, Pdu};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;

use parts::{Form, Long};
use provider::{OK, encoded, source, subscriber};
use stage::{Sent, Stage};

const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["10690007770001"]
long_messages = "hold"

[[provider]]
system_id = "courier"
password = "s3cret"
ports = ["10690007770001"]
long_messages = "acknowledge"

[[sender]]
id = "bakery"
name = "Bakery Ltd"
credential = "91310000TEST000077"
signatures = ["Bakery", "麦香坊"]
phones = ["400-000-0077"]

[[port]]
number = "10690007770001"
class = "commercial"
sender = "bakery"
"#;

const PORT: &str = "10690007770001";
const WILLING: &str = "8613900001111";

/// Every way parts are told, in `submit_sm` and in `data_sm`.
const FORMS: [Form; 7] =
    [Form::Udh8, Form::Udh16, Form::Second, Form::Sar, Form::SarPayload, Form::UdhPayload, Form::Data];

/// Compliant, then each short of one thing, in both alphabets; characters that take two code
/// units (🥐) or two septets ([ ] {) stand where they may be cut.
const TEXTS: [&str; 9] = [
    "【麦香坊】新炉面包🥐今日出炉，全场八折，会员另享赠品🥖一份。订购热线400-000-0077，拒收请回复R",
    "【麦香坊】新炉面包🥐今日出炉，全场八折，会员另享赠品🥖一份。门店地址见公众号，拒收请回复R",
    "【麦香坊】新炉面包🥐今日出炉，全场八折，会员另享赠品🥖一份。订购热线400-000-0077，欢迎光临",
    "新炉面包🥐今日出炉，全场八折，会员另享赠品🥖一份，欢迎到店。订购热线400-000-0077，拒收请回复R",
    "【麦香坊】【松风茶舍】新炉面包🥐今日出炉，全场八折。订购热线400-000-0077，拒收请回复R",
    "[Bakery] {Fresh} bread ~ all 20% off this week | call 400-000-0077. Reply TD to unsubscribe",
    "[Bakery] {Fresh} bread ~ all 20% off this week | see our shop. Reply TD to unsubscribe",
    "[Bakery] {Fresh} bread ~ all 20% off this week | call 400-000-0077. See you",
    "{Fresh} bread ~ all 20% off this week | call 400-000-0077. Reply TD to unsubscribe",
];

fn hold(binds: usize) -> Stage {
    Stage::new(REGISTER, "herald", binds, 8_613_900_001_111)
}

/// The text in one PDU.
fn whole(text: &str) -> Frame {
    let (data_coding, octets) = encoded(text);
    let mut tlvs = BytesMut::new();
    push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, &octets);
    let submit = SubmitSm {
        source: source(PORT),
        destination: subscriber(WILLING),
        data_coding,
        tlvs: Tlvs::from_bytes(&tlvs),
        ..SubmitSm::default()
    };
    Pdu::SubmitSm(submit).to_frame(OK, 0)
}

/// What the whole text is answered.
fn verdict(stage: &mut Stage, text: &str) -> CommandStatus {
    let sent = stage.send(0, &whole(text));
    let answer = stage.answer(sent).expect("an answer at once");
    assert_eq!(stage.carried().len(), usize::from(answer == OK));
    answer
}

/// The parts of a text cut at these octets.
fn cut(text: &str, reference: u16, form: Form, seams: &[usize]) -> Vec<Frame> {
    let (_, octets) = encoded(text);
    let ends: Vec<usize> = seams.iter().copied().chain([octets.len()]).collect();
    let total = u8::try_from(ends.len()).expect("few parts");
    let long = Long { from: PORT, to: WILLING, text, reference, form };
    let mut begin = 0;
    (1..=total)
        .zip(ends)
        .map(|(number, end)| {
            let piece = &octets[begin..end];
            begin = end;
            long.part(number, total, piece, 0)
        })
        .collect()
}

fn bodies(frames: &[Frame]) -> Vec<Vec<u8>> {
    let mut bodies: Vec<_> = frames.iter().map(|frame| frame.body().to_vec()).collect();
    bodies.sort();
    bodies
}

#[test]
fn the_texts_are_compliant_and_offending() {
    let mut stage = hold(1);
    let verdicts = TEXTS.map(|text| verdict(&mut stage, text).0);
    assert_eq!(verdicts, [0, 0x484, 0x485, 0x483, 0x488, 0, 0x484, 0x485, 0x483]);
}

#[test]
fn every_seam_in_every_form_gets_the_verdict_of_the_whole() {
    let mut stage = hold(2);
    let mut reference = 0;
    for text in TEXTS {
        let expected = verdict(&mut stage, text);
        let length = encoded(text).1.len();
        for form in FORMS {
            for seam in 1..length {
                reference = (reference + 1) % 256;
                let parts = cut(text, reference, form, &[seam]);
                // The last part first as often as not, over one bind or two.
                let (one, other) = if seam % 2 == 0 { (0, 1) } else { (1, 0) };
                let first = stage.send(seam % 3 % 2, &parts[one]);
                assert_eq!(stage.answer(first), None, "answered before the whole is known");
                let second = stage.send(0, &parts[other]);
                let answers = [first, second].map(|sent| stage.answer(sent));
                assert_eq!(answers, [Some(expected); 2], "{form:?}, seam {seam} of {text}");
                let carried = stage.carried();
                let all: &[Frame] = if expected == OK { &parts } else { &[] };
                assert_eq!(bodies(&carried), bodies(all), "{form:?}, seam {seam} of {text}");
            }
        }
        // Kept for repetitions only, and not for long.
        stage.pass(Duration::from_secs(11));
        assert_eq!(stage.kept(), 0);
    }
}

/// A message as it is sent: its text, its form, and where it is cut.
#[derive(Clone, Debug)]
struct Plan {
    text: usize,
    form: Form,
    seams: Vec<usize>,
}

fn plans() -> impl Strategy<Value = Plan> {
    (0..TEXTS.len(), 0..FORMS.len()).prop_flat_map(|(text, form)| {
        let places: Vec<usize> = (1..encoded(TEXTS[text]).1.len()).collect();
        let form = FORMS[form];
        subsequence(places, 1..6).prop_map(move |seams| Plan { text, form, seams })
    })
}

/// Parts of several messages, shuffled together, each with its bind; some are sent again.
fn sendings(plans: &[Plan], order: &[(u16, u8)]) -> Vec<(usize, Frame, usize)> {
    let mut all = Vec::new();
    for (at, plan) in plans.iter().enumerate() {
        let reference = u16::try_from(at).unwrap_or(0);
        for frame in cut(TEXTS[plan.text], reference, plan.form, &plan.seams) {
            let (key, detail) = order[all.len() % order.len()];
            all.push((at, frame.clone(), usize::from(detail % 3), key));
            if detail.is_multiple_of(5) {
                all.push((at, frame, usize::from(detail / 5 % 3), key.rotate_left(5)));
            }
        }
    }
    all.sort_by_key(|(.., key)| *key);
    all.into_iter().map(|(at, frame, over, _)| (at, frame, over)).collect()
}

/// Sends them all; each with its answer once the silence was long enough for repetitions too.
fn play(stage: &mut Stage, sendings: &[(usize, Frame, usize)]) -> Vec<(usize, Frame, Option<CommandStatus>)> {
    let sent: Vec<Sent> = sendings.iter().map(|(_, frame, over)| stage.send(*over, frame)).collect();
    stage.pass(Duration::from_millis(600));
    stage.pass(Duration::from_secs(11));
    let answers = sent.into_iter().map(|sent| stage.answer(sent));
    sendings.iter().zip(answers).map(|((at, frame, _), answer)| (*at, frame.clone(), answer)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Held parts: every answer is the verdict of the whole, repetitions included.
    #[test]
    fn held_parts_in_any_order_get_the_verdict_of_the_whole(
        plans in vec(plans(), 1..4),
        order in vec(any::<(u16, u8)>(), 24),
    ) {
        let mut stage = hold(3);
        let verdicts: Vec<_> = plans.iter().map(|plan| verdict(&mut stage, TEXTS[plan.text])).collect();
        let sendings = sendings(&plans, &order);
        for (at, frame, answer) in play(&mut stage, &sendings) {
            prop_assert_eq!(answer, Some(verdicts[at]), "{:?} of {:?}", frame, plans[at]);
        }
        let carried = bodies(&stage.carried());
        let passing: Vec<Frame> =
            sendings.iter().filter(|(at, ..)| verdicts[*at] == OK).map(|(_, frame, _)| frame.clone()).collect();
        prop_assert_eq!(carried, bodies(&passing));
        prop_assert_eq!(stage.kept(), 0);
    }

    /// Acknowledged parts: what the carrier gets is all of a message that may pass, once, or nothing.
    #[test]
    fn acknowledged_parts_reach_the_carrier_all_or_none(
        plans in vec(plans(), 1..4),
        order in vec(any::<(u16, u8)>(), 24),
    ) {
        let mut stage = Stage::new(REGISTER, "courier", 3, 8_613_900_001_111);
        let verdicts: Vec<_> = plans.iter().map(|plan| verdict(&mut stage, TEXTS[plan.text])).collect();
        let sendings = sendings(&plans, &order);
        for (at, frame, answer) in play(&mut stage, &sendings) {
            let told = answer == Some(OK) || answer == Some(verdicts[at]);
            prop_assert!(told, "{:?} to {:?} of {:?}", answer, frame, plans[at]);
        }
        let carried = bodies(&stage.carried());
        for (at, plan) in plans.iter().enumerate() {
            for part in cut(TEXTS[plan.text], u16::try_from(at).unwrap_or(0), plan.form, &plan.seams) {
                let times = carried.iter().filter(|body| **body == *part.body()).count();
                prop_assert_eq!(times > 0, verdicts[at] == OK, "{} times: {:?} of {:?}", times, part, plan);
            }
        }
        prop_assert_eq!(stage.kept(), 0);
    }
}
