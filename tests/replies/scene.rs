//! A provider, the gate and a carrier, with the samples' register: what goes one way, what comes back.
//!
//! Owns the running parts and the form of what the carrier delivers; every wait is bounded.
//! Refuses to know what should become of it. Driven by the tests of replies and receipts.

use std::path::Path;

use bytes::BytesMut;
use portcullis::admin::api::{Line, Request};
use portcullis::clock;
use portcullis::gate::evidence::{Found, FoundDelivery, FoundTaken, Query};
use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis::store::consents::{Held, Status};
use portcullis_protocol::field::{DataCoding, EsmClass};
use portcullis_protocol::pdu::{DataSm, DeliverSm};
use portcullis_protocol::text::{gb18030, ucs2};
use portcullis_protocol::tlv::{self, TlvTag, Tlvs};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::gate::{Folder, Gate, PATIENCE};
use crate::provider::{OK, Provider, encoded, message_id, source, submit, subscriber};

pub(crate) const COMMERCIAL: &str = "10690001230801";
pub(crate) const OTP_PORT: &str = "1065500012399";
pub(crate) const SUBSCRIBER: &str = "8613800138001";

pub(crate) const OFFERS_R: &str = "【青禾鲜生】老会员专享：本周六全场水果满50减12。客服400-000-0000，拒收请回复R";
pub(crate) const OFFERS_T: &str = "【青禾鲜生】新鲜樱桃到店，满50减12。客服400-000-0000，退订回T";
pub(crate) const OTP: &str = "【云帆支付】验证码 482913，5分钟内有效，请勿告诉他人。";
pub(crate) const ASK: &str = "【青禾鲜生】想收到每周特惠吗？我们拟向您发送促销短信，每月不超过4条，为期12个月。同意请回复Y，不回复视为不同意。客服400-000-0000，拒收请回复R";

const ACCOUNT: &str = "agg1";

pub(crate) struct Scene {
    pub(crate) folder: Folder,
    pub(crate) carrier: Simulator,
    gate: Option<Gate>,
    pub(crate) provider: Provider,
}

/// What the carrier delivers: a subscriber's text, or a receipt's.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) text: &'a str,
    pub(crate) esm_class: EsmClass,
    /// GB 18030 in place of UCS-2.
    pub(crate) gb18030: bool,
    /// In `message_payload`.
    pub(crate) payload: bool,
    pub(crate) data_sm: bool,
    /// Number and total, and whether `sar_*` say so in place of a header.
    pub(crate) part: Option<(u8, u8, bool)>,
    pub(crate) receipted: Option<&'a str>,
    pub(crate) message_state: Option<u8>,
}

impl<'a> Reply<'a> {
    pub(crate) const fn of(text: &'a str) -> Self {
        Self {
            from: SUBSCRIBER,
            to: COMMERCIAL,
            text,
            esm_class: EsmClass(0),
            gb18030: false,
            payload: false,
            data_sm: false,
            part: None,
            receipted: None,
            message_state: None,
        }
    }

    pub(crate) const fn part(text: &'a str, total: u8, number: u8, sar: bool) -> Self {
        Self { part: Some((number, total, sar)), ..Self::of(text) }
    }

    fn frame(&self) -> Frame {
        let (data_coding, mut octets) = match (self.gb18030, self.part) {
            (true, _) => (DataCoding(15), gb18030(self.text)),
            (false, Some(_)) => (DataCoding::UCS2, ucs2::encode(self.text)),
            (false, None) => encoded(self.text),
        };
        let mut esm_class = self.esm_class;
        let mut tlvs = BytesMut::new();
        match self.part {
            Some((number, total, false)) => {
                octets = [&[5, 0, 3, 7, total, number], &octets[..]].concat();
                esm_class = EsmClass(esm_class.0 | EsmClass::UDHI.0);
            }
            Some((number, total, true)) => {
                tlv::push(&mut tlvs, TlvTag::SAR_MSG_REF_NUM, &[0, 7]);
                tlv::push(&mut tlvs, TlvTag::SAR_TOTAL_SEGMENTS, &[total]);
                tlv::push(&mut tlvs, TlvTag::SAR_SEGMENT_SEQNUM, &[number]);
            }
            None => {}
        }
        if let Some(id) = self.receipted {
            tlv::push(&mut tlvs, TlvTag::RECEIPTED_MESSAGE_ID, &[id.as_bytes(), &[0]].concat());
        }
        if let Some(state) = self.message_state {
            tlv::push(&mut tlvs, TlvTag::MESSAGE_STATE, &[state]);
        }
        let as_payload = self.payload || self.data_sm || octets.len() > 254;
        if as_payload {
            tlv::push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, &octets);
            octets.clear();
        }
        let (from, to) = (subscriber(self.from), source(self.to));
        let tlvs = Tlvs::from_bytes(&tlvs);
        if self.data_sm {
            let data = DataSm { source: from, destination: to, esm_class, data_coding, tlvs, ..DataSm::default() };
            return Pdu::DataSm(data).to_frame(OK, 0);
        }
        let short_message = &octets;
        let deliver = DeliverSm {
            source: from,
            destination: to,
            esm_class,
            data_coding,
            short_message,
            tlvs,
            ..DeliverSm::default()
        };
        Pdu::DeliverSm(deliver).to_frame(OK, 0)
    }
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let options = SimulatorOptions { keep: 1000, ..SimulatorOptions::default() };
        let carrier = Simulator::start(options).await.expect("a free port");
        let register = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rulebook/register-samples.toml");
        let register = std::fs::read_to_string(register).expect("the samples' register");
        let folder = Folder::new(&register, carrier.address());
        let gate = folder.start();
        let provider = Provider::bound(gate.address, ACCOUNT, "").await;
        Self { folder, carrier, gate: Some(gate), provider }
    }

    pub(crate) fn gate(&self) -> &Gate {
        self.gate.as_ref().expect("a running gate")
    }

    /// SIGKILL, and a new gate on the same data.
    pub(crate) async fn kill_and_start_again(&mut self) {
        self.gate.take().expect("a running gate").kill();
        self.start().await;
    }

    /// The gate anew, with more configuration after `[carrier]`'s addresses.
    pub(crate) async fn restart_with(&mut self, more: &str) {
        self.gate.take().expect("a running gate").kill();
        self.folder.configure("", self.carrier.address(), more);
        self.start().await;
    }

    async fn start(&mut self) {
        let gate = self.folder.start();
        self.provider = Provider::bound(gate.address, ACCOUNT, "").await;
        self.gate = Some(gate);
    }

    /// The status of the answer to a message.
    pub(crate) async fn submit(&mut self, from: &str, to: &str, text: &str) -> CommandStatus {
        self.provider.ask(submit(from, to, text)).await.command_status()
    }

    /// The carrier's name for a message it took.
    pub(crate) async fn submit_for_id(&mut self, from: &str, to: &str, text: &str) -> String {
        let answer = self.provider.ask(submit(from, to, text)).await;
        assert_eq!(answer.command_status(), OK);
        message_id(&answer).expect("a message id")
    }

    /// A message whose answer is waited for later.
    pub(crate) async fn send(&mut self, from: &str, to: &str, text: &str) -> u32 {
        self.provider.send(submit(from, to, text)).await
    }

    pub(crate) async fn answer_to(&mut self, sequence_number: u32) -> Frame {
        self.provider.answer_to(sequence_number).await
    }

    /// Has the carrier deliver it, the provider take it unchanged, and waits for the carrier's answer.
    pub(crate) async fn reply(&mut self, reply: &Reply<'_>) {
        let before = self.carrier.counts();
        self.start_delivery(reply).await;
        let came = self.provider.request().await;
        let sent = reply.frame();
        assert_eq!((came.command_id(), came.body()), (sent.command_id(), sent.body()), "{}", reply.text);
        let answered = self.carrier.wait_until(PATIENCE, |counts| counts.acknowledged > before.acknowledged).await;
        assert!(answered, "{:?} is not acknowledged", reply.text);
    }

    /// The frame that reaches the provider, which does not answer yet.
    pub(crate) async fn forwarded(&mut self, reply: &Reply<'_>) -> Frame {
        self.start_delivery(reply).await;
        self.provider.read().await.expect("a request before the end")
    }

    pub(crate) async fn write(&mut self, frame: &Frame) {
        self.provider.write(frame.as_bytes()).await;
    }

    /// Has the carrier deliver what the gate does not take; gives the status it answers.
    pub(crate) async fn deliver(&mut self, reply: &Reply<'_>) -> CommandStatus {
        let before = self.carrier.counts().declined;
        self.start_delivery(reply).await;
        let declined = self.carrier.wait_until(PATIENCE, |counts| counts.declined > before).await;
        assert!(declined, "{:?} is not declined", reply.text);
        let answers = self.carrier.received_of(CommandId::DELIVER_SM_RESP);
        answers.last().expect("an answer").frame.command_status()
    }

    /// Delivers it as a carrier does, again and again until it is taken.
    pub(crate) async fn redeliver_until_taken(&mut self, reply: &Reply<'_>) {
        let end = clock::monotonic() + PATIENCE;
        loop {
            let before = self.carrier.counts();
            let sum = before.acknowledged + before.declined;
            self.start_delivery(reply).await;
            tokio::select! {
                _ = self.provider.request() => {}
                _ = self.carrier.wait_until(PATIENCE, |counts| counts.declined > before.declined) => {}
            }
            let answered =
                self.carrier.wait_until(PATIENCE, |counts| counts.acknowledged + counts.declined > sum).await;
            assert!(answered, "{:?} is not answered", reply.text);
            if self.carrier.counts().acknowledged > before.acknowledged {
                return;
            }
            assert!(clock::monotonic() < end, "never taken:\n{}", self.gate().log());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn start_delivery(&self, reply: &Reply<'_>) {
        deliver(&self.carrier, reply).await;
    }

    /// The subscriber's consent to the commercial port's sender; gives all that is held then.
    pub(crate) fn consent_from_web(&self) -> Vec<Held> {
        let row = Held {
            msisdn: SUBSCRIBER.parse().expect("digits"),
            sender: "qinghe".into(),
            category: String::new(),
            status: Status::Consent,
            at_ms: 1_760_000_000_000,
            method: "web".into(),
            evidence: "form 12".into(),
            expires_at_ms: None,
            ..Held::default()
        };
        self.folder.ask(&Request::Apply(vec![row]));
        self.held(SUBSCRIBER)
    }

    /// All that is held of a subscriber, by sender.
    pub(crate) fn held(&self, number: &str) -> Vec<Held> {
        let lines = self.folder.ask(&Request::Show(number.parse().expect("digits")));
        let mut held: Vec<Held> =
            lines.into_iter().filter_map(|line| if let Line::Held(held) = line { Some(held) } else { None }).collect();
        held.sort_by(|a, b| a.sender.cmp(&b.sender).then(a.at_ms.cmp(&b.at_ms)));
        held
    }

    /// Replies and receipts of nobody in the journal, oldest first.
    pub(crate) fn replies(&self) -> Vec<FoundDelivery> {
        let found = self.folder.find(Query { to: Some(SUBSCRIBER.to_owned()), ..Query::default() });
        let deliveries =
            found.into_iter().filter_map(|one| if let Found::Delivery(one) = one { Some(one) } else { None });
        deliveries.collect()
    }

    /// The same, when what the first was taken for is in the journal: nothing waits for that.
    pub(crate) async fn replies_once_taken(&self) -> Vec<FoundDelivery> {
        let end = clock::monotonic() + PATIENCE;
        loop {
            let replies = self.replies();
            if replies.first().is_some_and(|reply| reply.taken.is_some()) {
                return replies;
            }
            assert!(clock::monotonic() < end, "taken for nothing: {replies:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// What the first of them was taken for, once the journal says so.
    pub(crate) async fn meaning(&self) -> FoundTaken {
        let end = clock::monotonic() + PATIENCE;
        loop {
            if let Some(taken) = self.replies()[0].taken.clone() {
                return taken;
            }
            assert!(clock::monotonic() < end, "no meaning of the reply");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Takes the consents' database away from under the running gate.
    pub(crate) fn break_consents(&self) {
        std::fs::rename(self.consents("db"), self.consents("aside")).expect("a folder to move");
    }

    /// Puts it back.
    pub(crate) fn mend_consents(&self) {
        if self.consents("db").exists() {
            std::fs::remove_dir_all(self.consents("db")).expect("a folder to remove");
        }
        std::fs::rename(self.consents("aside"), self.consents("db")).expect("a folder to move");
    }

    fn consents(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("data/consents").join(name)
    }
}

/// Has the carrier send it to a bind of the account.
pub(crate) async fn deliver(carrier: &Simulator, reply: &Reply<'_>) {
    assert!(carrier.deliver(ACCOUNT, reply.frame()).await, "no bind to deliver to");
}
