//! Every ESME with every carrier: bind, messages in GSM and Chinese, refusals, receipts.

use serde_json::{Value, json};

use crate::messages::{COMMERCIAL, NAME, NO_CONSENT, OK, SERVICE, SILENT, TEXTS, UNWILLING, WILLING, message, octets};
use crate::party::{Carrier, Esme, folder, numbers, strings, wait_until};
use crate::stage::Stage;

/// What is sent, and the status it must be answered with. The accepted commercial ones ask
/// for receipts.
fn messages() -> (Vec<Value>, Vec<u64>) {
    let (gsm7, ucs2) = (TEXTS[0].1, TEXTS[2].1);
    let mut messages = [
        (message(COMMERCIAL, WILLING, "gsm7", gsm7[0]), OK),
        (message(COMMERCIAL, WILLING, "ucs2", ucs2[0]), OK),
        (message(COMMERCIAL, WILLING, "ucs2", ucs2[1]), NAME),
        (message(COMMERCIAL, SILENT, "gsm7", gsm7[0]), NO_CONSENT),
        (message(SERVICE, UNWILLING, "ucs2", "【夏日食堂】您的验证码是482913。"), OK),
    ];
    for (message, _) in &mut messages[..2] {
        message["registered_delivery"] = json!(1);
    }
    messages.into_iter().unzip()
}

fn converses(which: Esme, carrier: Carrier) {
    converses_as(which, carrier, "transceiver");
}

fn converses_as(which: Esme, carrier: Carrier, mode: &str) {
    let Some(peers) = folder() else { return };
    if !which.is_there(&peers) || !carrier.is_there(&peers) {
        return;
    }
    // Over two binds nothing keeps a receipt behind the answer to its message, which some ESMEs need.
    let separate = mode == "pair";
    let mut stage = Stage::set(&peers, carrier, json!({ "hold_receipts": separate }));
    let (messages, statuses) = messages();
    let mut esme = stage.esme_with(which, &messages, |plan| {
        plan["mode"] = json!(mode);
        plan["deliveries"] = json!(2);
    });
    if separate {
        assert!(wait_until(|| esme.events("answer").len() == messages.len()), "{:#?}", esme.said());
        stage.carrier.as_mut().expect("a carrier").send_receipts();
    }
    esme.finish();
    assert_eq!(numbers(&esme.events("bind"), "status"), [0], "bind");
    let answers = esme.events("answer");
    assert_eq!(numbers(&answers, "status"), statuses, "{answers:#?}");
    let accepted: Vec<_> = messages.iter().zip(&statuses).filter(|(_, status)| **status == OK).collect();
    let submitted = stage.submitted();
    let wanted: Vec<_> = accepted.iter().map(|(message, _)| octets(message)).collect();
    assert_eq!(strings(&submitted, "octets"), wanted, "what the carrier saw");
    let ids = strings(&submitted, "message_id");
    let answered: Vec<_> = answers.into_iter().filter(|answer| answer["status"] == OK).collect();
    assert_eq!(strings(&answered, "message_id"), ids, "the carrier's message ids");
    let receipts = esme.events("deliver");
    let mut receipted = strings(&receipts, "message_id");
    // Kannel tells of each in a request of its own, whose order nothing keeps.
    receipted.sort();
    assert_eq!(receipted, ids[..2], "receipts");
    assert_eq!(numbers(&receipts, "state"), [2, 2], "receipts");
    stage.assert_decodes();
}

#[test]
fn node_smpp_with_a_carrier_on_node_smpp() {
    converses(Esme::Node, Carrier::Node);
}

#[test]
fn node_smpp_with_a_carrier_on_smpp34() {
    converses(Esme::Node, Carrier::Smpp34);
}

#[test]
fn smpplib_with_a_carrier_on_node_smpp() {
    converses(Esme::Python, Carrier::Node);
}

#[test]
fn smpplib_with_a_carrier_on_smpp34() {
    converses(Esme::Python, Carrier::Smpp34);
}

#[test]
fn net_smpp_with_a_carrier_on_node_smpp() {
    converses(Esme::Perl, Carrier::Node);
}

#[test]
fn net_smpp_with_a_carrier_on_smpp34() {
    converses(Esme::Perl, Carrier::Smpp34);
}

#[test]
fn kannel_with_a_carrier_on_node_smpp() {
    converses(Esme::Kannel, Carrier::Node);
}

#[test]
fn kannel_with_a_carrier_on_smpp34() {
    converses(Esme::Kannel, Carrier::Smpp34);
}

#[test]
fn kannel_over_a_transmitter_and_a_receiver() {
    converses_as(Esme::Kannel, Carrier::Node, "pair");
}
