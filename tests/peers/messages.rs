//! What the peers send, and how it must be answered.
//!
//! Owns the register, the consents, the texts and the plans the scripts follow.

use std::net::SocketAddr;

use portcullis_protocol::text::{gsm7, ucs2};
use serde_json::{Value, json};

pub(crate) const COMMERCIAL: &str = "10690007770001";
pub(crate) const SERVICE: &str = "1065500777";
/// Consents.
pub(crate) const WILLING: &str = "8613900001111";
/// Says nothing.
pub(crate) const SILENT: &str = "8613900002222";
/// Has refused.
pub(crate) const UNWILLING: &str = "8613900003333";

pub(crate) const REGISTER: &str = r#"
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

pub(crate) const CONSENTS: &str = "msisdn,sender,category,status,at,method,evidence,expires_at\n\
    8613900001111,brasserie,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n\
    8613900003333,brasserie,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n\
    8613900003333,brasserie,marketing,refusal,2026-02-05T09:00:00+08:00,mo,TD,\n";

/// One encoding's texts: compliant, then without name, phone and way to refuse.
pub(crate) const TEXTS: [(&str, [&str; 4]); 3] = [
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

pub(crate) const OK: u64 = 0;
pub(crate) const NAME: u64 = 0x0483;
pub(crate) const PHONE: u64 = 0x0484;
pub(crate) const OPT_OUT: u64 = 0x0485;
pub(crate) const NO_CONSENT: u64 = 0x0481;
pub(crate) const REFUSED: u64 = 0x0482;

pub(crate) fn message(source: &str, destination: &str, encoding: &str, text: &str) -> Value {
    json!({ "source": source, "destination": destination, "encoding": encoding, "text": text })
}

/// Every message of the conversation, and the status it must be answered with.
pub(crate) fn messages() -> (Vec<Value>, Vec<u64>) {
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

pub(crate) fn plan(gate: SocketAddr, mode: &str, messages: &[Value], deliveries: usize) -> Value {
    json!({ "host": "127.0.0.1", "port": gate.port(), "system_id": "herald", "password": "s3cret", "mode": mode,
            "messages": messages, "deliveries": deliveries })
}

/// The octets of a message's text, in hexadecimal.
pub(crate) fn octets(message: &Value) -> String {
    let text = message["text"].as_str().expect("a text");
    let octets = match message["encoding"].as_str() {
        Some("gsm7") => gsm7::encode(text).expect("a text in GSM 7-bit"),
        Some("ucs2") => ucs2::encode(text),
        other => panic!("no encoding of these tests: {other:?}"),
    };
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
