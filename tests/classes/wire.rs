//! Templates and declarations over real sockets.

use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::pdu::SubmitSm;
use portcullis_protocol::tlv::{self, TlvTag, Tlvs};
use portcullis_protocol::{CommandStatus, Frame, Pdu};

use crate::gate::{Folder, Gate};
use crate::provider::{OK, Provider, encoded, source, submit, subscriber};

const REGISTER: &str = r#"
templates = ["more.jsonl"]

[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["1065500777"]
class_tlv = { tag = "0x1400", values = { promo = "commercial", 0x02 = "commercial", notice = "service" } }

[[sender]]
id = "bank"
name = "Bank Ltd"
credential = "91310000TEST000077"
signatures = ["滨江银行"]

[[sender]]
id = "shop"
name = "Shop Ltd"
credential = "91310000TEST000078"
signatures = ["青禾"]

[[port]]
number = "10655007771"
class = "service"
sender = "bank"

[[port]]
number = "10655007772"
class = "service"
sender = "shop"

[[template]]
id = "T1"
sender = "bank"
class = "service"
text = "${name:chinese,1-8}您好，您的验证码是${code:digits,4-6}，${any,0-20}"

[[template]]
id = "T2"
sender = "bank"
class = "commercial"
text = "尊敬的客户，${product:any,2-20}正在发售，详询网点"

[[template]]
id = "T4"
sender = "bank"
class = "service"
text = "通知：${any,1-200}"
"#;

const MORE: &str = r#"{"id": "T3", "sender": "bank", "class": "service", "text": "【滨江银行】您尾号${no:digits,4}的账户收到优惠券${n:digits,1-3}张，全场五折券请到网点领取${any,0-20}"}
"#;

const BANK: &str = "10655007771";
const SHOP: &str = "10655007772";
const PURPOSE: CommandStatus = CommandStatus(0x0487);
const IDENTITY: CommandStatus = CommandStatus(0x0488);

struct Stage {
    gate: Gate,
    folder: Folder,
    _carrier: Simulator,
}

impl Stage {
    async fn new(more: &str) -> Self {
        let carrier = Simulator::start(SimulatorOptions::default()).await.expect("the carrier listens");
        let folder = Folder::new(REGISTER, carrier.address());
        std::fs::write(folder.path().join("more.jsonl"), MORE).expect("the templates");
        folder.configure("", carrier.address(), more);
        Self { gate: folder.start(), folder, _carrier: carrier }
    }

    async fn herald(&self) -> Provider {
        Provider::bound(self.gate.address, "herald", "s3cret").await
    }

    /// Why the last message to a number was refused.
    fn why(&self, number: &str) -> String {
        let found = self.folder.sent_to(number);
        let findings = found.iter().flat_map(|message| &message.findings);
        findings.map(|finding| format!("{}: {}\n", finding.rule, finding.why)).collect()
    }
}

async fn status(provider: &mut Provider, frame: Frame) -> CommandStatus {
    provider.ask(frame).await.command_status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_keeps_to_its_templates() {
    let stage = Stage::new("").await;
    let mut herald = stage.herald().await;
    for (to, text, expected) in [
        ("8613800138001", "【滨江银行】王小明您好，您的验证码是482913，请勿告诉他人", OK),
        ("8613800138002", "【滨江银行】王小明您好，您的验证码是48291A，请勿告诉他人", IDENTITY),
        ("8613800138003", "【滨江银行】您尾号6621的账户收到优惠券3张，全场五折券请到网点领取，谢谢", OK),
        ("8613800138004", "【滨江银行】您尾号6621的账户收到优惠券3张，全场五折券请到网点领取，限时抢购特惠", PURPOSE),
        ("8613800138005", "【滨江银行】尊敬的客户，大额存单正在发售，详询网点", PURPOSE),
        ("8613800138006", "【滨江银行】您好，停电通知", IDENTITY),
        ("8613800138009", "【滨江银行】通知：您的包裹已到，请凭取件码领取", OK),
        ("8613800138010", "【滨江银行】通知：周末亲子农场摘草莓，大手牵小手，一大一小9.9元", PURPOSE),
    ] {
        assert_eq!(status(&mut herald, submit(BANK, to, text)).await, expected, "{text}");
    }
    let shop = submit(SHOP, "8613800138007", "【青禾】您的订单已发货，请留意");
    assert_eq!(status(&mut herald, shop).await, OK, "who has filed none writes what it likes");
    let why = stage.why("8613800138002");
    assert!(why.contains("R20") && why.contains("T1") && why.contains("digits"), "{why}");
    assert!(stage.why("8613800138005").contains("template T2, which is filed as commercial"));

    std::fs::write(stage.folder.path().join("more.jsonl"), MORE.replace("账户收到", "账户已收到")).expect("a change");
    stage.gate.await_log("register reloaded");
    let text = "【滨江银行】您尾号6621的账户已收到优惠券3张，全场五折券请到网点领取，谢谢";
    assert_eq!(status(&mut herald, submit(BANK, "8613800138008", text)).await, OK, "files it names are followed too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_are_observed_where_the_profile_says_so() {
    let stage = Stage::new("[profile]\nR20 = \"observe\"").await;
    let mut herald = stage.herald().await;
    assert_eq!(status(&mut herald, submit(BANK, "8613800138001", "【滨江银行】停电通知")).await, OK);
    assert!(stage.why("8613800138001").contains("keeps to none of the templates"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_declares_a_message_commercial() {
    let stage = Stage::new("").await;
    let mut herald = stage.herald().await;
    for (to, value, expected) in [
        ("8613800138001", &b"promo"[..], PURPOSE),
        ("8613800138002", b"promo\0", PURPOSE),
        ("8613800138003", b"\x02", PURPOSE),
        ("8613800138004", b"notice", OK),
        ("8613800138005", b"whatever", OK),
    ] {
        let (data_coding, octets) = encoded("【青禾】您的订单已发货，请留意");
        let mut tail = bytes::BytesMut::new();
        tlv::push(&mut tail, TlvTag(0x1400), value);
        let message = SubmitSm {
            source: source(SHOP),
            destination: subscriber(to),
            data_coding,
            short_message: &octets,
            tlvs: Tlvs::from_bytes(&tail),
            ..SubmitSm::default()
        };
        assert_eq!(status(&mut herald, Pdu::SubmitSm(message).to_frame(OK, 0)).await, expected, "{value:?}");
    }
    assert!(stage.why("8613800138001").contains("class_tlv"));
}
