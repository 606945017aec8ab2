//! A gate between a provider and a carrier, and what is said there.

use std::time::Duration;

use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::gate::{Folder, Gate, PATIENCE};
use crate::provider::Provider;

pub(crate) const REGISTER: &str = r#"
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

pub(crate) const CONSENTS: &str = "msisdn,sender,category,status,at,method,evidence,expires_at\n\
    8613900001111,bakery,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n";

pub(crate) const COMMERCIAL: &str = "10690007770001";
pub(crate) const SERVICE: &str = "1065500777";
pub(crate) const WILLING: &str = "8613900001111";
pub(crate) const SILENT: &str = "8613900002222";

/// Name, phone and way to refuse, the last of them at the very end.
pub(crate) const COMPLIANT: &str = "【麦香坊】新炉面包今日出炉，全场八折，会员另享赠品一份，数量有限先到先得，欢迎到店选购。\
    订购热线400-000-0077，门店地址见公众号，营业时间早七点到晚九点，周末延长一小时，拒收请回复R";
pub(crate) const NO_PHONE: &str = "【麦香坊】新炉面包今日出炉，全场八折，会员另享赠品一份，数量有限先到先得，欢迎到店选购。\
    门店地址见公众号，营业时间早七点到晚九点，周末延长一小时，提前预订更有惊喜好礼相送，拒收请回复R";
pub(crate) const NO_WAY_OUT: &str = "【麦香坊】新炉面包今日出炉，全场八折，会员另享赠品一份，数量有限先到先得，欢迎到店选购。\
    订购热线400-000-0077，门店地址见公众号，营业时间早七点到晚九点，周末延长一小时，欢迎光临";

pub(crate) const PHONE: CommandStatus = CommandStatus(0x0484);
pub(crate) const OPT_OUT: CommandStatus = CommandStatus(0x0485);
pub(crate) const CONSENT: CommandStatus = CommandStatus(0x0481);
pub(crate) const INCOMPLETE: CommandStatus = CommandStatus::ESME_RX_T_APPN;

/// A gate between a provider and a carrier that keeps what it sees.
pub(crate) struct Scene {
    pub(crate) folder: Folder,
    pub(crate) gate: Option<Gate>,
    pub(crate) carrier: Simulator,
}

impl Scene {
    /// A gate that holds parts however long their peer is silent.
    pub(crate) async fn holding() -> Self {
        Self::start("[long_messages]\npatience = \"9s\"").await
    }

    pub(crate) async fn start(top: &str) -> Self {
        Self::with(top, SimulatorOptions { keep: 1_000, receipts: true, ..SimulatorOptions::default() }).await
    }

    pub(crate) async fn with(top: &str, options: SimulatorOptions) -> Self {
        let carrier = Simulator::start(options).await.expect("the simulator listens");
        let folder = Folder::new(REGISTER, carrier.address());
        folder.configure("", carrier.address(), top);
        std::fs::write(folder.path().join("consents.csv"), CONSENTS).expect("consents");
        folder.run(&["consent", "import", folder.path().join("consents.csv").to_str().expect("a path")]).ok();
        let gate = folder.start();
        Self { folder, gate: Some(gate), carrier }
    }

    pub(crate) fn gate(&self) -> &Gate {
        self.gate.as_ref().expect("a running gate")
    }

    pub(crate) async fn provider(&self, system_id: &str) -> Provider {
        Provider::bound(self.gate().address, system_id, "s3cret").await
    }

    /// The messages the carrier has, in the order they came.
    pub(crate) fn carried(&self) -> Vec<Frame> {
        self.carrier.received_of(CommandId::SUBMIT_SM).into_iter().map(|received| received.frame).collect()
    }

    pub(crate) async fn carries(&self, messages: u64) {
        let there = self.carrier.wait_until(PATIENCE, |counts| counts.messages >= messages).await;
        assert!(there, "{messages} messages at the carrier: {:?}", self.carrier.counts());
    }
}

/// Sends all parts at once and gives the answers in the order of the parts given.
pub(crate) async fn send_all(provider: &mut Provider, parts: &[Frame]) -> Vec<Frame> {
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

pub(crate) fn statuses(answers: &[Frame]) -> Vec<CommandStatus> {
    answers.iter().map(Frame::command_status).collect()
}

pub(crate) fn bodies(frames: &[Frame]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.body().to_vec()).collect()
}

impl Scene {
    /// Waits until so many parts to a number are recorded as reported in this state.
    pub(crate) async fn reports(&self, to: &str, state: &str, parts: usize) {
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
    pub(crate) fn restart(&mut self) {
        self.gate.take().expect("a running gate").kill();
        self.gate = Some(self.folder.start());
    }
}

/// What a receipt says: the message it is about, and its state.
pub(crate) fn receipt(frame: &Frame) -> (String, u8) {
    let Ok(Pdu::DeliverSm(pdu)) = Pdu::decode(frame) else { panic!("no deliver_sm: {frame:?}") };
    assert!(pdu.esm_class.is_delivery_receipt());
    let id = pdu.tlvs.receipted_message_id().expect("a message_id").to_string();
    let text = String::from_utf8_lossy(pdu.short_message).into_owned();
    assert!(text.starts_with(&format!("id:{id} ")), "{text}");
    (id, pdu.tlvs.message_state().expect("a state").0)
}
