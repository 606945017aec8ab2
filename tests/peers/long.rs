//! Long messages, split by each ESME in its own way and judged whole.
//!
//! All parts at once, and by a peer that waits for the answer to each before it sends the next.

use serde_json::{Value, json};

use crate::messages::{COMMERCIAL, OK, OPT_OUT, WILLING, message, octets};
use crate::party::{Carrier, Esme, Script, folder, numbers, strings};
use crate::stage::Stage;

/// Three parts of 153 septets: the phone lies over the first seam, the way to refuse is the
/// third part's last word.
const GSM7: &str = "[Brasserie] This week at the quay: oysters from Cancale, whelks with aioli, a platter for two with \
    half a lobster, and on Sunday the brunch. Call us on 400-000-0077 before noon to book a table by the window. Our \
    terrace is open again from eleven until late, children eat for half the price, and the first glass of cider is on \
    the house for everybody who shows this message. Reply TD to unsubscribe";
/// Three parts of 67 characters.
const UCS2: &str = "【夏日食堂】本周码头市集开张:新鲜生蚝、香煎扇贝、双人海鲜拼盘半价,周日早午餐加赠冷萃一杯。请于中午前致电\
    客服预订靠窗座位,电话400-000-0077。露台每日十一点营业至深夜,十二岁以下儿童半价,出示本条短信即可免费领取苹果汁一杯,每桌限领两杯,\
    活动至月底结束。如不愿再收到此类优惠消息,拒收请回复R";
/// The same without the way to refuse.
const UCS2_NO_WAY_OUT: &str = "【夏日食堂】本周码头市集开张:新鲜生蚝、香煎扇贝、双人海鲜拼盘半价,周日早午餐加赠冷萃一杯。请于中午前\
    致电客服预订靠窗座位,电话400-000-0077。露台每日十一点营业至深夜,十二岁以下儿童半价,出示本条短信即可免费领取苹果汁一杯,每桌限领两杯,\
    活动至月底结束。欢迎各位老会员携亲友前来品尝";
const PARTS: usize = 3;

fn long(encoding: &str, text: &str) -> Value {
    let mut message = message(COMMERCIAL, WILLING, encoding, text);
    message["split"] = json!(true);
    message
}

/// The statuses of the answers to message `n`, in the order of its parts.
fn statuses(esme: &Script, n: u64) -> Vec<u64> {
    let mut answers = esme.events("answer");
    answers.retain(|answer| answer["n"] == n);
    answers.sort_by_key(|answer| answer["part"].as_u64());
    numbers(&answers, "status")
}

/// Kannel reports a message once, whatever it is split into.
fn reported(which: Esme) -> usize {
    if which == Esme::Kannel { 1 } else { PARTS }
}

/// The carrier saw these messages, each in `PARTS` pieces that together are the text.
fn assert_submitted(stage: &Stage, messages: &[&Value]) {
    let submitted = stage.submitted();
    let mut pieces: Vec<_> = submitted.iter().filter_map(|submit| submit["octets"].as_str()).collect();
    let whole: Vec<_> = messages.iter().map(|message| octets(message)).collect();
    let mut wanted: Vec<_> = messages.iter().zip(&whole).flat_map(|(message, whole)| split(message, whole)).collect();
    assert_eq!(wanted.len(), PARTS * messages.len(), "the texts of these tests");
    // In whatever order: each part says which it is.
    pieces.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(pieces, wanted, "what the carrier saw");
}

/// The octets in hexadecimal as every ESME here splits them.
fn split<'a>(message: &Value, whole: &'a str) -> Vec<&'a str> {
    let digits = 2 * if message["encoding"] == "gsm7" { 153 } else { 134 };
    (0..whole.len()).step_by(digits).map(|from| &whole[from..whole.len().min(from + digits)]).collect()
}

fn split_at_once(which: Esme, carrier: Carrier) {
    let Some(peers) = folder() else { return };
    if !which.is_there(&peers) || !carrier.is_there(&peers) {
        return;
    }
    let stage = Stage::set(&peers, carrier, json!({}));
    let messages = [long("gsm7", GSM7), long("ucs2", UCS2), long("ucs2", UCS2_NO_WAY_OUT)];
    let mut esme = stage.esme(which, &messages, 0);
    esme.finish();
    for (n, status) in [(0, OK), (1, OK), (2, OPT_OUT)] {
        assert_eq!(statuses(&esme, n), vec![status; reported(which)], "message {n}: {:#?}", esme.said());
    }
    assert_submitted(&stage, &[&messages[0], &messages[1]]);
    stage.assert_decodes();
}

/// The whole in one PDU.
fn in_one_payload(which: Esme, carrier: Carrier) {
    let Some(peers) = folder() else { return };
    if !which.is_there(&peers) || !carrier.is_there(&peers) {
        return;
    }
    let stage = Stage::set(&peers, carrier, json!({}));
    let mut messages = [long("gsm7", GSM7), long("ucs2", UCS2), long("ucs2", UCS2_NO_WAY_OUT)];
    for message in &mut messages {
        message["payload"] = json!(true);
    }
    let mut esme = stage.esme(which, &messages, 0);
    esme.finish();
    assert_eq!(numbers(&esme.events("answer"), "status"), [OK, OK, OPT_OUT], "{:#?}", esme.said());
    let wanted: Vec<_> = messages[..2].iter().map(octets).collect();
    assert_eq!(strings(&stage.submitted(), "octets"), wanted, "what the carrier saw");
    stage.assert_decodes();
}

/// A stop-and-wait peer must neither stand still nor get anything past the rules.
fn one_by_one(which: Esme) {
    let Some(peers) = folder() else { return };
    if !which.is_there(&peers) {
        return;
    }
    let stage = Stage::set(&peers, Carrier::Node, json!({}));
    let mut messages = [long("gsm7", GSM7), long("ucs2", UCS2)];
    for message in &mut messages {
        message["one_by_one"] = json!(true);
    }
    // Kannel's way to wait.
    let mut esme = stage.esme_with(which, &messages, |plan| plan["window"] = json!(1));
    esme.finish();
    for n in [0, 1] {
        assert_eq!(statuses(&esme, n), vec![OK; reported(which)], "message {n}: {:#?}", esme.said());
    }
    assert_submitted(&stage, &[&messages[0], &messages[1]]);
    stage.assert_decodes();
}

/// Every part of a refused message comes to one bad end: an answer, or a receipt where it was
/// already acknowledged.
fn refused_one_by_one(which: Esme) {
    let Some(peers) = folder() else { return };
    if !which.is_there(&peers) {
        return;
    }
    let stage = Stage::set(&peers, Carrier::Node, json!({}));
    let mut refused = long("ucs2", UCS2_NO_WAY_OUT);
    refused["one_by_one"] = json!(true);
    refused["registered_delivery"] = json!(1);
    let mut esme = stage.esme_with(which, &[refused], |plan| plan["receipts_for_accepted"] = json!(true));
    esme.finish();
    let answers = statuses(&esme, 0);
    let receipts = esme.events("deliver");
    let acknowledged = answers.iter().filter(|status| **status == OK).count();
    assert!(answers.iter().all(|status| [OK, OPT_OUT].contains(status)), "{:#?}", esme.said());
    assert_eq!((answers.len(), receipts.len()), (PARTS, acknowledged), "{:#?}", esme.said());
    for receipt in &receipts {
        assert_eq!(receipt["state"], REJECTED, "{:#?}", esme.said());
        assert!(receipt["text"].as_str().is_some_and(|text| text.contains("stat:REJECTD")), "{receipt:#?}");
    }
    assert!(stage.submitted().is_empty(), "nothing of it at the carrier");
    stage.assert_decodes();
}

/// `message_state` REJECTED.
const REJECTED: u64 = 8;

#[test]
fn node_smpp_splits_by_header() {
    split_at_once(Esme::Node, Carrier::Node);
}

#[test]
fn smpplib_splits_with_make_parts() {
    split_at_once(Esme::Python, Carrier::Smpp34);
}

#[test]
fn net_smpp_splits_by_sar() {
    split_at_once(Esme::Perl, Carrier::Smpp34);
}

#[test]
fn kannel_splits_what_sendsms_was_given() {
    split_at_once(Esme::Kannel, Carrier::Node);
}

#[test]
fn node_smpp_sends_a_payload() {
    in_one_payload(Esme::Node, Carrier::Smpp34);
}

#[test]
fn net_smpp_sends_a_payload() {
    in_one_payload(Esme::Perl, Carrier::Node);
}

#[test]
fn node_smpp_waits_for_each_part() {
    one_by_one(Esme::Node);
}

#[test]
fn smpplib_waits_for_each_part() {
    one_by_one(Esme::Python);
}

#[test]
fn net_smpp_waits_for_each_part() {
    one_by_one(Esme::Perl);
}

#[test]
fn kannel_waits_for_each_part() {
    one_by_one(Esme::Kannel);
}

#[test]
fn node_smpp_waits_and_is_refused() {
    refused_one_by_one(Esme::Node);
}

#[test]
fn smpplib_waits_and_is_refused() {
    refused_one_by_one(Esme::Python);
}

#[test]
fn net_smpp_waits_and_is_refused() {
    refused_one_by_one(Esme::Perl);
}
