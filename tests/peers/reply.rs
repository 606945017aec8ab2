//! A subscriber answers R: the next commercial message is refused, to each ESME's eyes.

use serde_json::json;

use crate::messages::{COMMERCIAL, OK, REFUSED, SERVICE, TEXTS, WILLING, message};
use crate::party::{Carrier, Esme, folder, numbers, strings};
use crate::stage::Stage;

fn reply_refuses(which: Esme, carrier: Carrier) {
    let Some(peers) = folder() else { return };
    if !which.is_there(&peers) || !carrier.is_there(&peers) {
        return;
    }
    // Whatever is submitted is answered R.
    let stage = Stage::set(&peers, carrier, json!({ "replies": ["R"] }));
    let offered = message(COMMERCIAL, WILLING, "ucs2", TEXTS[2].1[0]);
    let mut again = message(COMMERCIAL, WILLING, "gsm7", TEXTS[0].1[0]);
    again["after"] = json!(1);
    let service = message(SERVICE, WILLING, "ucs2", "【夏日食堂】您的验证码是482913。");
    let mut esme = stage.esme(which, &[offered, again, service], 2);
    esme.finish();
    assert_eq!(numbers(&esme.events("answer"), "status"), [OK, REFUSED, OK], "{:#?}", esme.said());
    let replies = esme.events("deliver");
    assert_eq!(strings(&replies, "text"), ["R", "R"], "the replies reach the provider");
    assert_eq!(strings(&replies, "source"), [WILLING, WILLING], "the replies reach the provider");
    assert_eq!(strings(&replies, "destination"), [COMMERCIAL, SERVICE], "the replies reach the provider");
    assert_eq!(strings(&stage.submitted(), "source"), [COMMERCIAL, SERVICE], "what the carrier saw");
    stage.assert_decodes();
}

#[test]
fn node_smpp_is_refused_after_a_reply_of_r() {
    reply_refuses(Esme::Node, Carrier::Node);
}

#[test]
fn smpplib_is_refused_after_a_reply_of_r() {
    reply_refuses(Esme::Python, Carrier::Smpp34);
}

#[test]
fn net_smpp_is_refused_after_a_reply_of_r() {
    reply_refuses(Esme::Perl, Carrier::Node);
}

#[test]
fn kannel_is_refused_after_a_reply_of_r() {
    reply_refuses(Esme::Kannel, Carrier::Smpp34);
}
