//! The gate between implementations that others wrote.
//!
//! npm `smpp` and PyPI `smpplib` as ESME, the npm `smpp` server and the simulator as carrier,
//! `portcullis run` in between. `.ci/peers DIR` installs the peers; PORTCULLIS_PEERS=DIR runs
//! the tests, which otherwise skip with a loud line.

#[path = "peers/capture.rs"]
mod capture;
#[path = "peers/party.rs"]
mod party;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::command::CommandId;

use party::{Esme, Gate, Passed, Script, Tap, folder, wait_until};

const COMMERCIAL: &str = "10690007770001";
const SERVICE: &str = "1065500777";
/// Consents.
const WILLING: &str = "8613900001111";
/// Says nothing.
const SILENT: &str = "8613900002222";
/// Has refused.
const UNWILLING: &str = "8613900003333";

const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["1069000777", "1065500777"]

[[provider]]
system_id = "courier"
ports = ["1069000777", "1065500777"]

[[sender]]
id = "brasserie"
name = "Brasserie Été SARL"
credential = "91310000TEST000077"
signatures = ["Brasserie Été", "Brasserie", "夏日食堂"]
phones = ["400-000-0077"]

[[port]]
number = "10690007770001"
class = "commercial"
sender = "brasserie"

[[port]]
number = "1065500777"
class = "service"
sender = "brasserie"
"#;

const CONSENTS: &str = "msisdn,sender,category,status,at,method,evidence,expires_at\n\
    8613900001111,brasserie,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n\
    8613900003333,brasserie,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n\
    8613900003333,brasserie,marketing,refusal,2026-02-05T09:00:00+08:00,mo,TD,\n";

/// One encoding's texts: compliant, then without name, phone and way to refuse.
const TEXTS: [(&str, [&str; 4]); 3] = [
    (
        "gsm7",
        [
            "[Brasserie] Oysters {half price} until 8, only €9. Call 400-000-0077. Reply TD to unsubscribe",
            "Oysters {half price} until 8, only €9. Call 400-000-0077. Reply TD to unsubscribe",
            "[Brasserie] Oysters {half price} until 8, only €9. Reply TD to unsubscribe",
            "[Brasserie] Oysters {half price} until 8, only €9. Call 400-000-0077.",
        ],
    ),
    (
        "latin1",
        [
            "[Brasserie Été] Crème brûlée ½ price today. Call 400-000-0077. Reply TD to unsubscribe",
            "Crème brûlée ½ price today. Call 400-000-0077. Reply TD to unsubscribe",
            "[Brasserie Été] Crème brûlée ½ price today. Reply TD to unsubscribe",
            "[Brasserie Été] Crème brûlée ½ price today. Call 400-000-0077.",
        ],
    ),
    (
        "ucs2",
        [
            "【夏日食堂】今晚生蚝半价,会员专享。客服400-000-0077,拒收请回复R",
            "今晚生蚝半价,会员专享。客服400-000-0077,拒收请回复R",
            "【夏日食堂】今晚生蚝半价,会员专享。拒收请回复R",
            "【夏日食堂】今晚生蚝半价,会员专享。客服400-000-0077",
        ],
    ),
];

const OK: u64 = 0;
const NAME: u64 = 0x0483;
const PHONE: u64 = 0x0484;
const OPT_OUT: u64 = 0x0485;
const NO_CONSENT: u64 = 0x0481;
const REFUSED: u64 = 0x0482;

fn message(source: &str, destination: &str, encoding: &str, text: &str) -> Value {
    json!({ "source": source, "destination": destination, "encoding": encoding, "text": text })
}

/// Every message of the conversation, and the status it must be answered with.
fn messages() -> (Vec<Value>, Vec<u64>) {
    let mut messages = Vec::new();
    for (encoding, texts) in TEXTS {
        for (text, status) in texts.into_iter().zip([OK, NAME, PHONE, OPT_OUT]) {
            messages.push((message(COMMERCIAL, WILLING, encoding, text), status));
        }
        messages.push((message(COMMERCIAL, SILENT, encoding, texts[0]), NO_CONSENT));
        messages.push((message(COMMERCIAL, UNWILLING, encoding, texts[0]), REFUSED));
    }
    // A service message restricts nobody.
    messages.push((message(SERVICE, UNWILLING, "gsm7", "[Brasserie] Your code is 482913."), OK));
    messages.into_iter().unzip()
}

fn plan(gate: SocketAddr, mode: &str, messages: &[Value], deliveries: usize) -> Value {
    json!({ "host": "127.0.0.1", "port": gate.port(), "system_id": "herald", "password": "s3cret", "mode": mode,
            "messages": messages, "deliveries": deliveries })
}

fn numbers(events: &[Value], field: &str) -> Vec<u64> {
    events.iter().filter_map(|event| event[field].as_u64()).collect()
}

fn strings<'a>(events: impl IntoIterator<Item = &'a Value>, field: &str) -> Vec<String> {
    events.into_iter().filter_map(|event| event[field].as_str()).map(str::to_owned).collect()
}

/// Runs both ESMEs one after the other in one mode; all messages through the node carrier.
fn judged_and_relayed(peers: &Path, mode: &str) {
    let (mut carrier, address) = Script::carrier(peers, json!({}));
    let gate = Gate::start(address, REGISTER, CONSENTS);
    let (messages, statuses) = messages();
    for which in [Esme::Node, Esme::Python] {
        let (before, unbinds) = (carrier.events("submit").len(), carrier.events("unbind").len());
        let mut esme = Script::esme(peers, which, plan(gate.address, mode, &messages, 0));
        esme.finish();
        assert_eq!(numbers(&esme.events("bind"), "status"), [0], "{which:?}: bind");
        assert_eq!(numbers(&esme.events("answer"), "status"), statuses, "{which:?}: {:#?}", esme.events("answer"));
        assert_eq!(numbers(&esme.events("link"), "status"), [0], "{which:?}: enquire_link");
        assert_eq!(numbers(&esme.events("unbind"), "status"), [0], "{which:?}: unbind");
        let relayed = carrier.events("submit").split_off(before);
        let accepted = messages.iter().zip(&statuses).filter(|(_, status)| **status == OK).map(|(message, _)| message);
        assert_eq!(strings(&relayed, "text"), strings(accepted, "text"), "{which:?}: what the carrier saw");
        let ids = strings(&relayed, "message_id");
        let answered: Vec<_> = esme.events("answer").into_iter().filter(|answer| answer["status"] == OK).collect();
        assert_eq!(strings(&answered, "message_id"), ids, "{which:?}: the carrier's message ids");
        assert!(wait_until(|| carrier.events("unbind").len() > unbinds), "{which:?}: no unbind at the carrier");
    }
    assert_eq!(strings(&carrier.events("bind"), "mode"), [mode, mode]);
    assert_eq!(numbers(&carrier.events("link"), "status"), [0, 0], "the carrier's enquire_link");
    carrier.hang_up();
}

#[test]
fn transceivers_are_judged_in_every_encoding() {
    let Some(peers) = folder() else { return };
    judged_and_relayed(&peers, "transceiver");
}

#[test]
fn transmitters_are_judged_in_every_encoding() {
    let Some(peers) = folder() else { return };
    judged_and_relayed(&peers, "transmitter");
}

#[test]
fn a_wrong_password_does_not_get_in() {
    let Some(peers) = folder() else { return };
    let (carrier, address) = Script::carrier(&peers, json!({ "password": "carriers" }));
    let gate = Gate::start(address, REGISTER, CONSENTS);
    for which in [Esme::Node, Esme::Python] {
        // The gate knows herald's password; courier's is for the carrier to check.
        for (system_id, status, asked) in [("herald", 0x0E, false), ("courier", 0x0E, true), ("stranger", 0x0F, false)]
        {
            let before = carrier.events("bind").len();
            let mut plan = plan(gate.address, "transceiver", &[], 0);
            plan["system_id"] = json!(system_id);
            plan["password"] = json!("guess");
            let mut esme = Script::esme(&peers, which, plan);
            esme.finish();
            assert_eq!(numbers(&esme.events("bind"), "status"), [status], "{which:?}: {system_id}");
            assert_eq!(carrier.events("bind").len() > before, asked, "{which:?}: {system_id} at the carrier");
        }
    }
    assert!(!gate.log().contains("guess"), "a password in the log");
}

#[test]
fn receipts_and_replies_come_back_to_a_transceiver() {
    let Some(peers) = folder() else { return };
    let replies = ["What time?", "谢谢，明天见"];
    let (carrier, address) = Script::carrier(&peers, json!({ "replies": replies }));
    let gate = Gate::start(address, REGISTER, CONSENTS);
    for which in [Esme::Node, Esme::Python] {
        let mut asked = message(COMMERCIAL, WILLING, "ucs2", TEXTS[2].1[0]);
        asked["registered_delivery"] = json!(1);
        let mut esme = Script::esme(&peers, which, plan(gate.address, "transceiver", &[asked], 3));
        esme.finish();
        let (receipts, mo): (Vec<_>, Vec<_>) =
            esme.events("deliver").into_iter().partition(|delivery| delivery["esm_class"] == 4);
        let answers = esme.events("answer");
        assert_eq!(strings(&receipts, "message_id"), strings(&answers, "message_id"), "{which:?}: receipt");
        assert_eq!(numbers(&receipts, "state"), [2], "{which:?}: receipt");
        assert_eq!(strings(&mo, "text"), replies, "{which:?}: replies");
        assert_eq!(strings(&mo, "source"), [WILLING, WILLING], "{which:?}: replies");
        assert_eq!(strings(&mo, "destination"), [COMMERCIAL, COMMERCIAL], "{which:?}: replies");
    }
    assert!(wait_until(|| carrier.events("deliver_answer").len() == 6), "answers at the carrier");
    assert_eq!(numbers(&carrier.events("deliver_answer"), "status"), [0; 6]);
}

#[test]
fn a_receiver_gets_what_its_transmitter_brought_about() {
    let Some(peers) = folder() else { return };
    let (_carrier, address) = Script::carrier(&peers, json!({ "replies": ["Merci"] }));
    let gate = Gate::start(address, REGISTER, CONSENTS);
    let mut asked = message(COMMERCIAL, WILLING, "latin1", TEXTS[1].1[0]);
    asked["registered_delivery"] = json!(1);
    for (listening, sending) in [(Esme::Node, Esme::Python), (Esme::Python, Esme::Node)] {
        let mut receiver = Script::esme(&peers, listening, plan(gate.address, "receiver", &[], 2));
        assert!(wait_until(|| !receiver.events("link").is_empty()), "{listening:?}: {:#?}", receiver.said());
        let mut transmitter =
            Script::esme(&peers, sending, plan(gate.address, "transmitter", std::slice::from_ref(&asked), 0));
        transmitter.finish();
        receiver.finish();
        assert_eq!(numbers(&transmitter.events("answer"), "status"), [OK], "{sending:?}");
        let delivered = receiver.events("deliver");
        assert_eq!(numbers(&delivered, "esm_class"), [4, 0], "{listening:?}: {delivered:#?}");
        assert_eq!(delivered[1]["text"], "Merci", "{listening:?}");
        assert_eq!(numbers(&receiver.events("unbind"), "status"), [0], "{listening:?}");
    }
}

#[test]
fn a_receiver_cannot_submit() {
    let Some(peers) = folder() else { return };
    let (carrier, address) = Script::carrier(&peers, json!({}));
    let gate = Gate::start(address, REGISTER, CONSENTS);
    // Only npm `smpp` tries: smpplib refuses to send it.
    let messages = [message(COMMERCIAL, WILLING, "gsm7", TEXTS[0].1[0])];
    let mut esme = Script::esme(&peers, Esme::Node, plan(gate.address, "receiver", &messages, 0));
    esme.finish();
    assert_eq!(numbers(&esme.events("answer"), "status"), [0x04]);
    assert_eq!(numbers(&esme.events("link"), "status"), [0], "the bind survives");
    assert!(carrier.events("submit").is_empty());
}

/// What tshark makes of a tap: no fault, and this many of each operation.
fn assert_decodes(leg: &str, tap: &Tap, counts: &[(&str, usize)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("capture.pcap");
    std::fs::write(&file, capture::pcap(&tap.passed())).expect("a capture file");
    let faults = capture::tshark(&file, capture::FAULTS, "frame.number");
    assert!(faults.is_empty(), "{leg} leg: faults in packets {faults:?}");
    let commands = capture::tshark(&file, "smpp", "smpp.command_id");
    for (command, wanted) in counts {
        let found = commands.iter().filter(|found| found == command).count();
        assert_eq!(found, *wanted, "{leg} leg: {command} in {commands:?}");
    }
}

#[test]
fn tshark_would_see_a_fault() {
    if folder().is_none() || !capture::has_tshark() {
        return;
    }
    // A submit_sm that ends in the middle of its source address.
    let octets = b"\0\0\0\x15\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\x31\x30".to_vec();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("capture.pcap");
    let passed = [Passed { connection: 0, forth: true, octets }];
    std::fs::write(&file, capture::pcap(&passed)).expect("a capture file");
    assert_eq!(capture::tshark(&file, capture::FAULTS, "frame.number"), ["1"]);
}

/// Runs both ESMEs against `address`, every message asking for a receipt; the deliveries each
/// waits for are `deliveries` of every accepted message.
fn run_both(peers: &Path, address: SocketAddr, messages: &[Value], statuses: &[u64], deliveries: usize) {
    let accepted = statuses.iter().filter(|status| **status == OK).count();
    for which in [Esme::Node, Esme::Python] {
        let mut esme = Script::esme(peers, which, plan(address, "transceiver", messages, deliveries * accepted));
        esme.finish();
        assert_eq!(numbers(&esme.events("answer"), "status"), statuses, "{which:?}");
        assert_eq!(esme.events("deliver").len(), deliveries * accepted, "{which:?}");
    }
}

fn asking_for_receipts() -> (Vec<Value>, Vec<u64>) {
    let (mut messages, statuses) = messages();
    for message in &mut messages {
        message["registered_delivery"] = json!(1);
    }
    (messages, statuses)
}

fn simulator(runtime: &tokio::runtime::Runtime) -> Simulator {
    let options =
        SimulatorOptions { receipts: true, reply_with: Some("好的".into()), keep: 1_000, ..Default::default() };
    runtime.block_on(Simulator::start(options)).expect("the simulator listens")
}

#[test]
fn tshark_finds_no_fault_in_what_passed() {
    let Some(peers) = folder() else { return };
    if !capture::has_tshark() {
        return eprintln!("SKIPPED: no tshark to decode the captured run");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let simulator = simulator(&runtime);
    let carrier_leg = Tap::start(simulator.address());
    let gate = Gate::start(carrier_leg.address, REGISTER, CONSENTS);
    let provider_leg = Tap::start(gate.address);
    let (messages, statuses) = asking_for_receipts();
    run_both(&peers, provider_leg.address, &messages, &statuses, 2);
    let accepted = 2 * statuses.iter().filter(|status| **status == OK).count();
    assert_eq!(simulator.received_of(CommandId::SUBMIT_SM).len(), accepted);
    for (leg, tap, submitted) in [("provider", &provider_leg, 2 * messages.len()), ("carrier", &carrier_leg, accepted)]
    {
        assert_decodes(
            leg,
            tap,
            &[
                ("0x00000009", 2),
                ("0x00000004", submitted),
                ("0x80000004", submitted),
                ("0x00000005", 2 * accepted),
                ("0x80000005", 2 * accepted),
            ],
        );
    }
}

#[test]
fn the_simulator_itself_gets_on_with_them() {
    let Some(peers) = folder() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let simulator = simulator(&runtime);
    let leg = Tap::start(simulator.address());
    let (messages, statuses) = asking_for_receipts();
    let all = 2 * messages.len();
    run_both(&peers, leg.address, &messages, &vec![OK; statuses.len()], 2);
    assert_eq!(simulator.received_of(CommandId::SUBMIT_SM).len(), all);
    assert_eq!(simulator.counts().acknowledged, 2 * u64::try_from(all).expect("a small number"));
    if capture::has_tshark() {
        assert_decodes("simulator", &leg, &[("0x00000004", all), ("0x80000004", all), ("0x00000005", 2 * all)]);
    }
}
