//! Traffic of every kind through a running gate: the rulebook's cases and the operations beside them.
//!
//! Owns the gate, its register, the subscribers' words and what is sent. Refuses to know what should
//! become of it. Driven by the tests of `explain` and `replay`.

use std::path::Path;

use bytes::BytesMut;
use portcullis::clock;
use portcullis::gate::evidence::FoundMessage;
use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass};
use portcullis_protocol::pdu::{BroadcastSm, DataSm, Destination, Destinations, ReplaceSm, SubmitMulti, SubmitSm};
use portcullis_protocol::text::ucs2;
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{CommandStatus, Frame, Pdu};
use serde_json::Value;

use crate::gate::{Folder, Gate, PATIENCE, Said};
use crate::provider::{OK, Provider, encoded, message_id, source, submit, subscriber};

pub(crate) const COMMERCIAL: &str = "10690001230801";
pub(crate) const SERVICE: &str = "1065500012399";

/// Agreed; refused; said nothing; agreed until yesterday's year.
pub(crate) const WILLING: &str = "8613900001111";
pub(crate) const UNWILLING: &str = "8613900003333";
pub(crate) const SILENT: &str = "8613900002222";
pub(crate) const LAPSED: &str = "8613900004444";

pub(crate) const OFFER: &str = "【青禾鲜生】老会员专享：本周六全场水果满50减12。客服400-000-0000，拒收请回复R";
pub(crate) const NO_PHONE: &str = "【青禾鲜生】老会员专享：本周六全场水果满50减12。拒收请回复R";
pub(crate) const ASK: &str = "【青禾鲜生】想收到每周特惠吗？我们拟向您发送促销短信，每月不超过4条，为期12个月。同意请回复Y，不回复视为不同意。客服400-000-0000，拒收请回复R";
pub(crate) const NOTICE: &str = "【云帆支付】您的账单已出。";

const CONSENTS: &str = "msisdn,sender,category,status,at,method,evidence,expires_at\n\
    8613900001111,qinghe,,consent,2026-01-05T09:00:00+08:00,web,form 12,\n\
    8613900004444,qinghe,,consent,2025-01-05T09:00:00+08:00,paper,form 13,2025-12-31T00:00:00+08:00\n\
    8613900003333,qinghe,,refusal,2026-02-05T09:00:00+08:00,mo,TD,\n";

pub(crate) struct Scene {
    pub(crate) folder: Folder,
    pub(crate) gate: Gate,
    pub(crate) carrier: Simulator,
    pub(crate) provider: Provider,
    /// Of the last long message: a part under an old one would be its repetition.
    reference: u8,
}

/// The register of the rulebook's cases.
pub(crate) fn register() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rulebook/register.toml");
    std::fs::read_to_string(file).expect("the register of the cases")
}

impl Scene {
    /// A gate that trusts `agg1` with lists and broadcasts, and gives up incomplete messages soon.
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// The same with more settings.
    pub(crate) async fn with(more: &str) -> Self {
        let options = SimulatorOptions { keep: 2000, receipts: true, ..SimulatorOptions::default() };
        let carrier = Simulator::start(options).await.expect("the carrier listens");
        let account = "system_id = \"agg1\"";
        let trusted = format!("{account}\ndistribution_lists = true\nbroadcasts = true");
        let folder = Folder::new(&register().replace(account, &trusted), carrier.address());
        let long = "[long_messages]\ntimeout = \"1500ms\"\npatience = \"1s\"";
        folder.configure("", carrier.address(), &format!("{long}\n{more}"));
        folder.feed(&["consent", "import", "-"], CONSENTS).ok();
        let gate = folder.start();
        let provider = Provider::bound(gate.address, "agg1", "").await;
        Self { folder, gate, carrier, provider, reference: 0 }
    }

    /// The status of the answer.
    pub(crate) async fn send(&mut self, request: Frame) -> CommandStatus {
        self.provider.ask(request).await.command_status()
    }

    /// The record of the last message to a number.
    pub(crate) fn last_to(&self, number: &str) -> FoundMessage {
        self.folder.sent_to(number).pop().expect("a record")
    }

    /// The account of a record, as JSON.
    pub(crate) fn explained(&self, record: &str) -> Value {
        explained(self.folder.run(&["explain", "--whole", record, "--json"]))
    }

    /// Sends every case of the rulebook that has a text, and gives their number: each recipient stands as its case says.
    pub(crate) async fn send_rulebook(&mut self) -> u64 {
        let cases = cases();
        let rows: String = cases.iter().enumerate().map(|(index, case)| consents(&recipient(index), case)).collect();
        let csv = format!("msisdn,sender,category,status,at,method,evidence,expires_at\n{rows}");
        self.folder.feed(&["consent", "import", "-"], &csv).ok();
        for account in ["agg1", "agg2", "watched", "tuned"] {
            let mut provider = Provider::bound(self.gate.address, account, "").await;
            for (index, case) in cases.iter().enumerate() {
                if case["provider"].as_str().unwrap_or("agg1") == account {
                    let text = case["text"].as_str().expect("a text");
                    let from = case["source"].as_str().expect("a source");
                    provider.ask(submit(from, &recipient(index), text)).await;
                }
            }
        }
        cases.len() as u64
    }

    /// Sends what is no plain `submit_sm`; gives the number of records that it makes.
    pub(crate) async fn send_operations(&mut self) -> u64 {
        let list = Destination::DistributionList(COctetString(b"customers"));
        let to = [Destination::Sme(subscriber(WILLING)), Destination::Sme(subscriber(UNWILLING)), list];
        self.send(multi(&to, OFFER)).await;
        self.send(data(WILLING, NO_PHONE)).await;
        self.send(broadcast(COMMERCIAL, OFFER)).await;
        self.send(broadcast(SERVICE, NOTICE)).await;
        let changes: [fn(&mut SubmitSm<'_>); 7] = [
            |pdu| pdu.data_coding = DataCoding(0x18), // UCS-2, class 0.
            |pdu| pdu.protocol_id = 0x40,
            |pdu| pdu.data_coding = DataCoding::BINARY_8BIT,
            |pdu| pdu.data_coding = DataCoding(0x0D),
            |pdu| pdu.sm_default_msg_id = 3,
            |pdu| pdu.schedule_delivery_time = COctetString(b"000001000000000R"),
            |pdu| pdu.source = Address::new(Ton::ALPHANUMERIC, Npi::UNKNOWN, b"N\xC3obody\\"),
        ];
        for change in changes {
            for (from, text) in [(COMMERCIAL, OFFER), (SERVICE, NOTICE)] {
                self.send(changed(from, text, change)).await;
            }
        }
        let long = format!("{OFFER}{OFFER}").replacen("，拒收请回复R", "", 1);
        for text in [long.as_str(), OFFER] {
            self.send_parts(text, 2, 2).await;
        }
        let sent = self.provider.ask(submit(COMMERCIAL, WILLING, OFFER)).await;
        let id = message_id(&sent).expect("the carrier's id");
        self.send(replacement(&id, NO_PHONE)).await;
        // 3 recipients, data_sm, two broadcasts, 14 changed ones, two long ones, one and its replacement.
        3 + 1 + 2 + 14 + 2 + 2
    }

    /// Sends what no rule judges: turned away, and never whole. Gives the number of each.
    pub(crate) async fn send_unjudged(&mut self) -> (u64, u64) {
        let change = |pdu: &mut SubmitSm<'_>| pdu.schedule_delivery_time = COctetString(b"tomorrow at noon");
        assert_eq!(self.send(changed(COMMERCIAL, OFFER, change)).await, CommandStatus::ESME_RINVSCHED);
        // Acknowledged after a while, and given up after another.
        self.send_parts(OFFER, 2, 1).await;
        let end = clock::monotonic() + PATIENCE;
        while !self.folder.sent_to(WILLING).iter().any(|message| message.verdict == "incomplete") {
            assert!(clock::monotonic() < end, "never given up");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        (1, 1)
    }

    /// Sends the first parts of a text cut into so many; gives the last answer.
    pub(crate) async fn send_parts(&mut self, text: &str, total: u8, sent: u8) -> CommandStatus {
        let units: Vec<u8> = ucs2::encode(text);
        let length = units.len().div_ceil(2 * usize::from(total)) * 2;
        let mut waiting = Vec::new();
        self.reference += 1;
        for (number, piece) in (1..=sent).zip(units.chunks(length)) {
            let message = [&[5, 0, 3, self.reference, total, number], piece].concat();
            let pdu = SubmitSm {
                source: source(COMMERCIAL),
                destination: subscriber(WILLING),
                esm_class: EsmClass::UDHI,
                data_coding: DataCoding::UCS2,
                short_message: &message,
                ..SubmitSm::default()
            };
            waiting.push(self.provider.send(Pdu::SubmitSm(pdu).to_frame(OK, 0)).await);
        }
        let mut status = OK;
        for number in waiting {
            status = self.provider.answer_to(number).await.command_status();
        }
        status
    }
}

/// The account in a command's output.
pub(crate) fn explained(said: Said) -> Value {
    serde_json::from_str(&said.ok()).expect("JSON")
}

/// The cases of messages: those of replies have no source of their own.
fn cases() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rulebook");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let is_cases = |file: &&std::path::PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".jsonl") && !name.starts_with("replies")
    };
    let texts = files.iter().filter(is_cases).map(|file| std::fs::read_to_string(file).expect("a file"));
    let lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let cases = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    cases.filter(|case| case["text"].is_string() && case["source"].is_string()).collect()
}

fn recipient(index: usize) -> String {
    (8_613_700_000_000 + index as u64).to_string()
}

fn consents(msisdn: &str, case: &Value) -> String {
    let (status, end) = match case["consent"].as_str() {
        Some("active") => ("consent", ""),
        Some("expired") => ("consent", "2025-12-31"),
        Some("refused") => ("refusal", ""),
        _ => return String::new(),
    };
    let senders = ["qinghe", "yunfan"];
    senders.map(|sender| format!("{msisdn},{sender},,{status},2025-01-01,web,form,{end}\n")).concat()
}

pub(crate) fn multi(to: &[Destination<'_>], text: &str) -> Frame {
    let mut entries = BytesMut::new();
    to.iter().for_each(|destination| destination.encode(&mut entries));
    let (data_coding, octets) = encoded(text);
    let pdu = SubmitMulti {
        source: source(COMMERCIAL),
        destinations: Destinations::from_bytes(&entries).expect("a list"),
        data_coding,
        short_message: &octets,
        ..SubmitMulti::default()
    };
    Pdu::SubmitMulti(pdu).to_frame(OK, 0)
}

fn data(to: &str, text: &str) -> Frame {
    let mut tlvs = BytesMut::new();
    push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, &encoded(text).1);
    let tlvs = Tlvs::from_bytes(&tlvs);
    let data_coding = encoded(text).0;
    let pdu =
        DataSm { source: source(COMMERCIAL), destination: subscriber(to), data_coding, tlvs, ..DataSm::default() };
    Pdu::DataSm(pdu).to_frame(OK, 0)
}

fn broadcast(from: &str, text: &str) -> Frame {
    let mut tlvs = BytesMut::new();
    push(&mut tlvs, TlvTag::BROADCAST_AREA_IDENTIFIER, b"\0district");
    push(&mut tlvs, TlvTag::BROADCAST_CONTENT_TYPE, &[0, 0, 16]);
    push(&mut tlvs, TlvTag::BROADCAST_REP_NUM, &[0, 1]);
    push(&mut tlvs, TlvTag::BROADCAST_FREQUENCY_INTERVAL, &[8, 0, 1]);
    let (data_coding, octets) = encoded(text);
    push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, &octets);
    let tlvs = Tlvs::from_bytes(&tlvs);
    Pdu::BroadcastSm(BroadcastSm { source: source(from), data_coding, tlvs, ..BroadcastSm::default() }).to_frame(OK, 0)
}

/// A message to who agreed, with one field of its own.
fn changed(from: &str, text: &str, change: impl FnOnce(&mut SubmitSm<'_>)) -> Frame {
    let (data_coding, octets) = encoded(text);
    let mut pdu = SubmitSm {
        source: source(from),
        destination: subscriber(WILLING),
        data_coding,
        short_message: &octets,
        ..SubmitSm::default()
    };
    change(&mut pdu);
    Pdu::SubmitSm(pdu).to_frame(OK, 0)
}

pub(crate) fn replacement(id: &str, text: &str) -> Frame {
    let octets = ucs2::encode(text);
    let pdu = ReplaceSm {
        message_id: COctetString(id.as_bytes()),
        source: source(COMMERCIAL),
        short_message: &octets,
        ..ReplaceSm::default()
    };
    Pdu::ReplaceSm(pdu).to_frame(OK, 0)
}
