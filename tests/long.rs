//! Long messages through a running gate: judged whole, whatever way their parts come.
//!
//! The gate as a child process, the simulator as carrier, a provider that sends part by part.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "long/parts.rs"]
mod parts;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;

use std::time::Duration;

use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use gate::{Folder, Gate, PATIENCE};
use parts::{Form, Long};
use provider::{OK, Provider, message_id};

const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["1069000777", "1065500777"]

[[provider]]
system_id = "courier"
ports = ["1069000777", "1065500777"]
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

[[port]]
number = "1065500777"
class = "service"
sender = "bakery"
"#;

const CONSENTS: &str = "msisdn,sender,category,status,at,method,evidence,expires_at\n\
    8613900001111,bakery,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n";

const COMMERCIAL: &str = "10690007770001";
const SERVICE: &str = "1065500777";
const WILLING: &str = "8613900001111";
const SILENT: &str = "8613900002222";

/// Name, phone and way to refuse, the last of them at the very end.
const COMPLIANT: &str = "【麦香坊】新炉面包今日出炉，全场八折，会员另享赠品一份，数量有限先到先得，欢迎到店选购。\
    订购热线400-000-0077，门店地址见公众号，营业时间早七点到晚九点，周末延长一小时，拒收请回复R";
const NO_PHONE: &str = "【麦香坊】新炉面包今日出炉，全场八折，会员另享赠品一份，数量有限先到先得，欢迎到店选购。\
    门店地址见公众号，营业时间早七点到晚九点，周末延长一小时，提前预订更有惊喜好礼相送，拒收请回复R";
const NO_WAY_OUT: &str = "【麦香坊】新炉面包今日出炉，全场八折，会员另享赠品一份，数量有限先到先得，欢迎到店选购。\
    订购热线400-000-0077，门店地址见公众号，营业时间早七点到晚九点，周末延长一小时，欢迎光临";

const PHONE: CommandStatus = CommandStatus(0x0484);
const OPT_OUT: CommandStatus = CommandStatus(0x0485);
const CONSENT: CommandStatus = CommandStatus(0x0481);
const INCOMPLETE: CommandStatus = CommandStatus::ESME_RX_T_APPN;

/// A gate between a provider and a carrier that keeps what it sees.
struct Scene {
    folder: Folder,
    gate: Option<Gate>,
    carrier: Simulator,
}

impl Scene {
    async fn start(top: &str) -> Self {
        Self::with(top, SimulatorOptions { keep: 1_000, receipts: true, ..SimulatorOptions::default() }).await
    }

    async fn with(top: &str, options: SimulatorOptions) -> Self {
        let carrier = Simulator::start(options).await.expect("the simulator listens");
        let folder = Folder::new(REGISTER, carrier.address());
        folder.configure("", carrier.address(), top);
        std::fs::write(folder.path().join("consents.csv"), CONSENTS).expect("consents");
        folder.run(&["consent", "import", folder.path().join("consents.csv").to_str().expect("a path")]).ok();
        let gate = folder.start();
        Self { folder, gate: Some(gate), carrier }
    }

    fn gate(&self) -> &Gate {
        self.gate.as_ref().expect("a running gate")
    }

    async fn provider(&self, system_id: &str) -> Provider {
        Provider::bound(self.gate().address, system_id, "s3cret").await
    }

    /// The messages the carrier has, in the order they came.
    fn carried(&self) -> Vec<Frame> {
        self.carrier.received_of(CommandId::SUBMIT_SM).into_iter().map(|received| received.frame).collect()
    }

    async fn carries(&self, messages: u64) {
        let there = self.carrier.wait_until(PATIENCE, |counts| counts.messages >= messages).await;
        assert!(there, "{messages} messages at the carrier: {:?}", self.carrier.counts());
    }
}

/// Sends all parts at once and gives the answers in the order of the parts given.
async fn send_all(provider: &mut Provider, parts: &[Frame]) -> Vec<Frame> {
    let mut sent = Vec::new();
    for part in parts {
        sent.push(provider.send(part.clone()).await);
    }
    let mut answers: Vec<Option<Frame>> = vec![None; sent.len()];
    for _ in &sent {
        let answer = loop {
            let frame = provider.read().await.expect("an answer before the end");
            if frame.command_id().is_response() {
                break frame;
            }
            provider.keep(frame).await;
        };
        let at = sent.iter().position(|number| *number == answer.sequence_number()).expect("an answer to a part");
        assert!(answers[at].replace(answer).is_none(), "two answers to one part");
    }
    answers.into_iter().flatten().collect()
}

fn statuses(answers: &[Frame]) -> Vec<CommandStatus> {
    answers.iter().map(Frame::command_status).collect()
}

fn bodies(frames: &[Frame]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.body().to_vec()).collect()
}

#[tokio::test]
async fn every_form_is_judged_whole_and_forwarded_byte_for_byte() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("herald").await;
    let mut carried = 0;
    for (reference, form) in (0u16..).zip(Form::ALL) {
        let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference, form };
        let mut parts = long.parts(60);
        assert!(parts.len() >= 3, "{form:?}");
        // The last part first: the phrase that ends the text is in it alone.
        parts.reverse();
        assert_eq!(statuses(&send_all(&mut provider, &parts).await), vec![OK; parts.len()], "{form:?}");
        let mut seen = bodies(&scene.carried().split_off(carried));
        carried += parts.len();
        let mut sent = bodies(&parts);
        seen.sort();
        sent.sort();
        assert_eq!(seen, sent, "{form:?}");
    }
}

#[tokio::test]
async fn what_the_whole_lacks_refuses_every_part() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("herald").await;
    for (reference, (text, to, status)) in
        (0u16..).zip([(NO_PHONE, WILLING, PHONE), (NO_WAY_OUT, WILLING, OPT_OUT), (COMPLIANT, SILENT, CONSENT)])
    {
        for form in Form::ALL {
            let parts = Long { from: COMMERCIAL, to, text, reference, form }.parts(50);
            assert_eq!(statuses(&send_all(&mut provider, &parts).await), vec![status; parts.len()], "{form:?} {text}");
        }
    }
    assert!(scene.carried().is_empty());
}

#[tokio::test]
async fn one_record_lists_all_parts() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("herald").await;
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 7, form: Form::Udh8 }.parts(60);
    let answers = send_all(&mut provider, &parts).await;
    let [record] = scene.folder.sent_to(WILLING).try_into().expect("one record");
    assert_eq!(record.text.as_deref(), Some(COMPLIANT));
    assert_eq!(record.verdict, "forward");
    let ids: Vec<_> = record.parts.iter().map(|part| part.outcome.as_ref()?.message_id.clone()).collect();
    assert_eq!(ids, answers.iter().map(message_id).collect::<Vec<_>>());
    let numbers: Vec<_> = record.parts.iter().map(|part| usize::from(part.number)).collect();
    assert_eq!(numbers, (1..=parts.len()).collect::<Vec<_>>());
}

#[tokio::test]
async fn parts_may_come_over_several_binds_of_the_account() {
    let scene = Scene::start("").await;
    let (mut one, mut other) = (scene.provider("herald").await, scene.provider("herald").await);
    for (text, status) in [(COMPLIANT, OK), (NO_PHONE, PHONE)] {
        let parts = Long { from: COMMERCIAL, to: WILLING, text, reference: 3, form: Form::Udh16 }.parts(60);
        let (first, rest) = parts.split_first().expect("parts");
        let sent = one.send(first.clone()).await;
        assert_eq!(statuses(&send_all(&mut other, rest).await), vec![status; rest.len()]);
        assert_eq!(one.answer_to(sent).await.command_status(), status);
    }
    // Each part goes over the bind it came by.
    let sessions: Vec<u64> = scene.carrier.received_of(CommandId::SUBMIT_SM).iter().map(|part| part.session).collect();
    assert!(sessions.contains(&1) && sessions.contains(&2), "{sessions:?}");
}

#[tokio::test]
async fn a_message_that_never_becomes_whole_is_answered_recorded_and_forgotten() {
    let scene = Scene::start("[long_messages]\ntimeout = \"1s\"\npatience = \"900ms\"").await;
    let (mut one, mut other) = (scene.provider("herald").await, scene.provider("herald").await);
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 3, form: Form::Udh8 }.parts(60);
    // The session is not silent, so nothing is acknowledged: the part is answered when its time is up.
    let sent = one.send(parts[0].clone()).await;
    let answered = async {
        let answer = one.answer_to(sent).await;
        (answer.command_status(), one)
    };
    let noise = async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(
                other.ask(provider::submit(SERVICE, SILENT, "[Bakery] Your code is 4711.")).await.command_status(),
                OK
            );
        }
    };
    let ((status, _one), ()) = tokio::join!(answered, noise);
    // A silent peer is acknowledged first; either way nobody waits for ever and nothing is forwarded.
    assert!(status == INCOMPLETE || status == OK, "{status:?}");
    assert!(scene.carried().iter().all(|frame| !parts.iter().any(|part| part.body() == frame.body())));
    let record = scene.folder.sent_to(WILLING).into_iter().find(|record| record.verdict == "incomplete");
    let record = record.expect("a record of the incomplete message");
    assert!(record.findings[0].why.contains("did not come in time"), "{record:?}");
    assert_eq!(scene.folder.status().totals.incomplete, 1);
}
