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

use portcullis::simulator::{Faults, Simulator, SimulatorOptions};
use portcullis_protocol::field::{COctetString, EsmClass};
use portcullis_protocol::pdu::{CancelSm, DeliverSm, QuerySm, ReplaceSm};
use portcullis_protocol::tlv::{TlvTag, Tlvs};
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
    /// A gate that holds parts however long their peer is silent.
    async fn holding() -> Self {
        Self::start("[long_messages]\npatience = \"9s\"").await
    }

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
    let scene = Scene::holding().await;
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
    let scene = Scene::holding().await;
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
    let scene = Scene::holding().await;
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
    let scene = Scene::holding().await;
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

#[tokio::test]
async fn a_repeated_part_does_not_become_another_message() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 }.parts(60);
    let repeated = [&parts[..1], &parts[..]].concat();
    assert_eq!(statuses(&send_all(&mut provider, &repeated).await), vec![OK; repeated.len()]);
    // After the message is whole, a repetition is judged with the whole and goes on by itself.
    let last = parts.last().expect("parts").clone();
    assert_eq!(provider.ask(last).await.command_status(), OK);
    assert_eq!(scene.carried().len(), parts.len() + 2);
}

#[tokio::test]
async fn other_text_under_a_number_takes_the_place_of_the_first() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    let good = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 };
    let parts = good.parts(60);
    let total = u8::try_from(parts.len()).expect("few parts");
    let (_, other) = provider::encoded("加微信领红包加微信领红包加微信");
    let smuggled = good.part(2, total, &other, 0);
    // The smuggled part comes last of all: it is judged with the rest, or not at all.
    let sent: Vec<Frame> = [&parts[..], std::slice::from_ref(&smuggled)].concat();
    let mut numbers = Vec::new();
    for part in &sent {
        numbers.push(provider.send(part.clone()).await);
    }
    // They are answered in the order of their numbers, not in that of their coming.
    for number in &numbers[..parts.len()] {
        assert_eq!(provider.answer_to(*number).await.command_status(), OK);
    }
    assert!(scene.carried().iter().all(|frame| frame.body() != smuggled.body()));
}

#[tokio::test]
async fn a_part_of_a_changed_total_belongs_to_no_message() {
    let scene = Scene::start("[long_messages]\ntimeout = \"1s\"\npatience = \"900ms\"").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 };
    let parts = long.parts(60);
    let total = u8::try_from(parts.len()).expect("few parts");
    let (_, text) = provider::encoded(COMPLIANT);
    provider.send(parts[0].clone()).await;
    provider.send(long.part(2, total + 1, &text[60..120], 0)).await;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let incomplete = scene.folder.sent_to(WILLING).into_iter().filter(|record| record.verdict == "incomplete");
    assert_eq!(incomplete.count(), 2);
    assert!(scene.carried().is_empty());
}

#[tokio::test]
async fn a_peer_that_waits_for_each_answer_does_not_wait_for_ever() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("herald").await;
    for (reference, form) in [(1, Form::Udh8), (2, Form::Sar), (3, Form::Data)] {
        let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference, form }.parts(60);
        let before = scene.carrier.counts().messages;
        for part in &parts {
            assert_eq!(provider.ask(part.clone()).await.command_status(), OK, "{form:?}");
        }
        scene.carries(before + parts.len() as u64).await;
    }
}

#[tokio::test]
async fn a_window_full_of_held_parts_is_opened() {
    let scene = Scene::start("[session]\nwindow = 2\n[long_messages]\npatience = \"9s\"").await;
    let mut provider = scene.provider("herald").await;
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 }.parts(40);
    assert!(parts.len() > 3);
    assert_eq!(statuses(&send_all(&mut provider, &parts).await), vec![OK; parts.len()]);
    scene.carries(parts.len() as u64).await;
}

/// What a receipt says: the message it is about, and its state.
fn receipt(frame: &Frame) -> (String, u8) {
    let Ok(Pdu::DeliverSm(pdu)) = Pdu::decode(frame) else { panic!("no deliver_sm: {frame:?}") };
    assert!(pdu.esm_class.is_delivery_receipt());
    let id = pdu.tlvs.receipted_message_id().expect("a message_id").to_string();
    let text = String::from_utf8_lossy(pdu.short_message).into_owned();
    assert!(text.starts_with(&format!("id:{id} ")), "{text}");
    (id, pdu.tlvs.message_state().expect("a state").0)
}

#[tokio::test]
async fn refused_after_its_acknowledgement_a_part_has_a_receipt() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: NO_WAY_OUT, reference: 4, form: Form::Udh8 };
    let parts = long.parts_with_receipts(60);
    let answers = send_all(&mut provider, &parts).await;
    let (last, acknowledged) = answers.split_last().expect("answers");
    assert_eq!(statuses(acknowledged), vec![OK; parts.len() - 1]);
    assert_eq!(last.command_status(), OPT_OUT, "the part that was not answered yet is refused at once");
    let mut told = Vec::new();
    for _ in acknowledged {
        let (id, state) = receipt(&provider.request().await);
        assert_eq!(state, 8);
        told.push(id);
    }
    let mut ids: Vec<String> = acknowledged.iter().filter_map(message_id).collect();
    ids.sort();
    told.sort();
    assert_eq!(told, ids);
    assert!(scene.carried().is_empty());
    // Who asked for none gets none; the journal says what became of each part.
    let quiet = Long { reference: 5, ..long }.parts(60);
    send_all(&mut provider, &quiet).await;
    assert_eq!(provider.ask(provider::bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK);
    scene.reports(WILLING, "REJECTD", 2 * acknowledged.len()).await;
    assert_eq!(scene.folder.sent_to(WILLING).len(), 2);
}

#[tokio::test]
async fn what_waits_is_bounded_for_each_provider() {
    let scene = Scene::start("[long_messages]\nmax_parts = 4\npatience = \"9s\"").await;
    let mut provider = scene.provider("herald").await;
    for reference in 0..4 {
        let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference, form: Form::Udh8 }.parts(60);
        provider.send(parts[0].clone()).await;
    }
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 }.parts(60);
    assert_eq!(provider.ask(parts[0].clone()).await.command_status(), CommandStatus::ESME_RTHROTTLED);
    let mut other = scene.provider("courier").await;
    assert_eq!(other.ask(parts[0].clone()).await.command_status(), OK, "each provider has its own bound");
}

impl Scene {
    /// Waits until so many parts to a number are recorded as reported in this state.
    async fn reports(&self, to: &str, state: &str, parts: usize) {
        let counted = async {
            loop {
                let records = self.folder.sent_to(to);
                let told = records.iter().flat_map(|record| &record.parts);
                if told.filter(|part| part.reported.as_deref() == Some(state)).count() == parts {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, counted).await.expect("as many reports in the journal");
    }

    /// SIGKILL, and a fresh process on the same data.
    fn restart(&mut self) {
        self.gate.take().expect("a running gate").kill();
        self.gate = Some(self.folder.start());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_parts_survive_a_kill() {
    let mut scene = Scene::start("").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts_with_receipts(60);
    let (last, first) = parts.split_last().expect("parts");
    let answers = send_all(&mut provider, first).await;
    let mut ids: Vec<String> = answers.iter().filter_map(message_id).collect();
    assert_eq!(ids.len(), first.len());
    scene.restart();
    let mut provider = scene.provider("courier").await;
    let answer = provider.ask(last.clone()).await;
    assert_eq!(answer.command_status(), OK);
    scene.carries(parts.len() as u64).await;
    let (mut seen, mut sent) = (bodies(&scene.carried()), bodies(&parts));
    seen.sort();
    sent.sort();
    assert_eq!(seen, sent, "each part once");
    // A second restart finds nothing left to do.
    scene.restart();
    let mut provider = scene.provider("courier").await;
    assert_eq!(provider.ask(provider::bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK);
    assert_eq!(scene.carried().len(), parts.len());
    ids.extend(message_id(&answer));
    for id in &ids {
        let by_id = portcullis::gate::evidence::Query { message_id: Some(id.clone()), ..Default::default() };
        assert_eq!(gate::messages(scene.folder.find(by_id)).len(), 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_becomes_whole_after_a_kill_is_reported() {
    let mut scene = Scene::start("[long_messages]\ntimeout = \"1s\"\npatience = \"900ms\"").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts_with_receipts(60);
    let answers = send_all(&mut provider, &parts[..2]).await;
    scene.restart();
    let mut provider = scene.provider("courier").await;
    let mut told = vec![receipt(&provider.request().await), receipt(&provider.request().await)];
    told.sort();
    let mut expected: Vec<_> = answers.iter().filter_map(message_id).map(|id| (id, 5)).collect();
    expected.sort();
    assert_eq!(told, expected);
    assert!(scene.carried().is_empty());
    // Reported once: the next process has nothing to say.
    scene.reports(WILLING, "UNDELIV", 2).await;
    scene.restart();
    let mut provider = scene.provider("courier").await;
    assert_eq!(provider.ask(provider::bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK);
}

fn naming(message_id: &str, command: CommandId, text: &str) -> Frame {
    let id = COctetString(message_id.as_bytes());
    let source = provider::source(COMMERCIAL);
    match command {
        CommandId::QUERY_SM => Pdu::QuerySm(QuerySm { message_id: id, source, ..QuerySm::default() }).to_frame(OK, 0),
        CommandId::CANCEL_SM => {
            Pdu::CancelSm(CancelSm { message_id: id, source, ..CancelSm::default() }).to_frame(OK, 0)
        }
        _ => {
            let (_, octets) = provider::encoded(text);
            let pdu = ReplaceSm { message_id: id, source, short_message: &octets, ..ReplaceSm::default() };
            Pdu::ReplaceSm(pdu).to_frame(OK, 0)
        }
    }
}

/// What a `query_sm_resp` says: whose state, and which.
fn state(answer: &Frame) -> (String, u8) {
    let Ok(Pdu::QuerySmResp(pdu)) = Pdu::decode(answer) else { panic!("no query_sm_resp: {answer:?}") };
    let found = pdu.found.expect("a state");
    (found.message_id.to_string(), found.message_state.0)
}

#[tokio::test]
async fn the_provider_asks_and_cancels_by_the_name_it_knows() {
    let scene = Scene::start("[long_messages]\ntimeout = \"9s\"").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts(60);
    let own = message_id(&provider.ask(parts[0].clone()).await).expect("a message_id");
    // Still with the gate: it answers itself.
    let answer = provider.ask(naming(&own, CommandId::QUERY_SM, "")).await;
    assert_eq!(state(&answer), (own.clone(), 1));
    assert_eq!(provider.ask(naming(&own, CommandId::CANCEL_SM, "")).await.command_status(), OK);
    let again = provider.ask(naming(&own, CommandId::CANCEL_SM, "")).await;
    assert_eq!(again.command_status(), CommandStatus::ESME_RCANCELFAIL);
    assert_eq!(state(&provider.ask(naming(&own, CommandId::QUERY_SM, "")).await), (own, 4));
    assert!(scene.carrier.received_of(CommandId::QUERY_SM).is_empty());
    // With the carrier: asked for under its name, told under the provider's.
    let own = message_id(&provider.ask(parts[0].clone()).await).expect("a message_id");
    send_all(&mut provider, &parts[1..]).await;
    scene.carries(parts.len() as u64).await;
    let id = own.clone();
    let answer = tokio::time::timeout(PATIENCE, async move {
        loop {
            let answer = provider.ask(naming(&id, CommandId::QUERY_SM, "")).await;
            // Until the outcome is on disk the part counts as being with the gate.
            if state(&answer).1 != 1 {
                return answer;
            }
        }
    });
    let answer = answer.await.expect("the carrier's answer");
    assert_eq!(state(&answer).0, own);
    let asked = scene.carrier.received_of(CommandId::QUERY_SM);
    let Ok(Pdu::QuerySm(asked)) = Pdu::decode(&asked.last().expect("a query").frame) else { panic!() };
    assert_ne!(asked.message_id.to_string(), own);
}

#[tokio::test]
async fn a_replacement_is_judged_for_the_subscriber_of_the_first_text() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("herald").await;
    let first = provider.ask(provider::submit(COMMERCIAL, WILLING, COMPLIANT)).await;
    let id = message_id(&first).expect("a message_id");
    let replaced = provider.ask(naming(&id, CommandId::REPLACE_SM, NO_PHONE)).await;
    assert_eq!(replaced.command_status(), PHONE);
    assert!(scene.carrier.received_of(CommandId::REPLACE_SM).is_empty());
    let good = COMPLIANT.replace("八折", "七折");
    // The simulator has delivered it already and says so; what counts is that it was asked.
    provider.ask(naming(&id, CommandId::REPLACE_SM, &good)).await;
    assert_eq!(scene.carrier.received_of(CommandId::REPLACE_SM).len(), 1);
    // A message nobody knows, another provider's, and a part of a long one.
    let fails = CommandStatus::ESME_RREPLACEFAIL;
    assert_eq!(provider.ask(naming("4711", CommandId::REPLACE_SM, &good)).await.command_status(), fails);
    let mut other = scene.provider("courier").await;
    assert_eq!(other.ask(naming(&id, CommandId::REPLACE_SM, &good)).await.command_status(), fails);
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 }.parts(60);
    let answers = send_all(&mut provider, &parts).await;
    let part = message_id(&answers[0]).expect("a message_id");
    assert_eq!(provider.ask(naming(&part, CommandId::REPLACE_SM, &good)).await.command_status(), fails);
    assert_eq!(scene.carrier.received_of(CommandId::REPLACE_SM).len(), 1);
}

/// Every message is refused for now.
fn throttling() -> Faults {
    let every = std::num::NonZeroU64::new(1).map(|one| (one, CommandStatus::ESME_RTHROTTLED));
    Faults { refuse_every: every, ..Faults::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_carrier_throttles_is_sent_again_and_survives_an_orderly_end() {
    let mut scene = Scene::start("").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 };
    let parts = long.parts_with_receipts(60);
    scene.carrier.set_faults(throttling());
    let answers = send_all(&mut provider, &parts).await;
    let (last, acknowledged) = answers.split_last().expect("answers");
    assert_eq!(last.command_status(), CommandStatus::ESME_RTHROTTLED, "the carrier's own word to who can try again");
    assert_eq!(statuses(acknowledged), vec![OK; parts.len() - 1]);
    // Asked again after a while: the acknowledged parts are the gate's to send.
    scene.carries(2 * parts.len() as u64 - 1).await;
    assert!(scene.gate.take().expect("a running gate").stop().success());
    scene.carrier.set_faults(Faults::default());
    let before = scene.carrier.counts().messages;
    scene.gate = Some(scene.folder.start());
    let mut provider = scene.provider("courier").await;
    let other = provider::submit(SERVICE, SILENT, "[Bakery] Your order is ready.");
    assert_eq!(provider.ask(other).await.command_status(), OK);
    scene.carries(before + parts.len() as u64).await;
    let taken: Vec<_> = scene.carried().split_off(usize::try_from(before).expect("few"));
    for part in &parts[..parts.len() - 1] {
        assert!(taken.iter().any(|frame| frame.body() == part.body()), "an acknowledged part is lost");
    }
}

/// Everything the gate delivers until so many have come.
async fn deliveries(provider: &mut Provider, count: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    while frames.len() < count {
        let frame = provider.request().await;
        if frame.command_id() == CommandId::DELIVER_SM {
            frames.push(frame);
        }
    }
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_name_acknowledged_parts_as_the_provider_does() {
    let mut scene = Scene::start("").await;
    let mut provider = scene.provider("courier").await;
    for (reference, form) in [(1, Form::Udh8), (2, Form::SarPayload)] {
        let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference, form };
        let parts = long.parts_with_receipts(60);
        let answers = send_all(&mut provider, &parts).await;
        let mut known: Vec<(String, u8)> = answers.iter().filter_map(message_id).map(|id| (id, 2)).collect();
        // The carrier's receipts may overtake its answers to the gate's own requests.
        let mut told: Vec<_> = deliveries(&mut provider, parts.len()).await.iter().map(receipt).collect();
        known.sort();
        told.sort();
        assert_eq!(told, known, "{form:?}");
    }
    // A receipt that comes after a restart finds its part as well.
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 3, form: Form::Udh8 };
    let own = message_id(&send_all(&mut provider, &long.parts(60)).await[0]).expect("a message_id");
    let by_id = portcullis::gate::evidence::Query { message_id: Some(own.clone()), ..Default::default() };
    let carriers = tokio::time::timeout(PATIENCE, async {
        loop {
            let found = gate::messages(scene.folder.find(by_id.clone()));
            let part =
                found.iter().flat_map(|message| &message.parts).find(|part| part.message_id.as_ref() == Some(&own));
            if let Some(id) = part.and_then(|part| part.outcome.as_ref()?.message_id.clone()) {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let carriers = carriers.await.expect("the carrier's name for the part");
    scene.restart();
    let mut provider = scene.provider("courier").await;
    let text = format!(
        "id:{carriers} sub:001 dlvrd:001 submit date:2611241200 done date:2611241201 stat:DELIVRD err:000 text:"
    );
    let mut tlvs = bytes::BytesMut::new();
    portcullis_protocol::tlv::push(&mut tlvs, TlvTag::RECEIPTED_MESSAGE_ID, format!("{carriers}\0").as_bytes());
    portcullis_protocol::tlv::push(&mut tlvs, TlvTag::MESSAGE_STATE, &[2]);
    let late = DeliverSm {
        source: provider::subscriber(WILLING),
        destination: provider::source(COMMERCIAL),
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: text.as_bytes(),
        tlvs: Tlvs::from_bytes(&tlvs),
        ..DeliverSm::default()
    };
    assert!(scene.carrier.deliver("courier", Pdu::DeliverSm(late).to_frame(OK, 0)).await);
    assert_eq!(receipt(&provider.request().await), (own, 2));
}

/// A subscriber's reply.
fn reply(from: &str, text: &str) -> Frame {
    let pdu = DeliverSm {
        source: provider::subscriber(from),
        destination: provider::source(COMMERCIAL),
        short_message: text.as_bytes(),
        ..DeliverSm::default()
    };
    Pdu::DeliverSm(pdu).to_frame(OK, 0)
}

#[tokio::test]
async fn a_refusal_stops_what_has_not_been_forwarded() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 1, form: Form::Udh8 };
    // One goes through and offers R; of the next, all parts but the last are there when R comes back.
    assert!(statuses(&send_all(&mut provider, &long.parts(60)).await).iter().all(|status| *status == OK));
    let parts = Long { reference: 2, ..long }.parts(60);
    let (last, first) = parts.split_last().expect("parts");
    let mut sent = Vec::new();
    for part in first {
        sent.push(provider.send(part.clone()).await);
    }
    assert!(scene.carrier.deliver("herald", reply(WILLING, "R")).await);
    let came = provider.request().await;
    assert_eq!(came.body(), reply(WILLING, "R").body(), "the reply reaches the provider as it came");
    let refused = CommandStatus(0x0482);
    sent.push(provider.send(last.clone()).await);
    for number in sent {
        assert_eq!(provider.answer_to(number).await.command_status(), refused);
    }
    assert_eq!(scene.carried().len(), parts.len());
}
