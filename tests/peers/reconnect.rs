//! The carrier or the gate goes away, and each ESME comes back by itself.

use serde_json::{Value, json};

use crate::messages::{COMMERCIAL, OK, TEXTS, WILLING, message};
use crate::party::{Carrier, Esme, Script, folder, numbers, strings, wait_until};
use crate::stage::Stage;

/// What goes away.
enum Lost {
    Carrier,
    Gate,
}

/// One message before the loss and one after it.
fn messages() -> [Value; 2] {
    let before = message(COMMERCIAL, WILLING, "gsm7", TEXTS[0].1[0]);
    let mut after = message(COMMERCIAL, WILLING, "ucs2", TEXTS[2].1[0]);
    after["after_loss"] = json!(true);
    [before, after]
}

fn comes_back(which: Esme, carrier: Carrier, lost: Lost) {
    let Some(peers) = folder() else { return };
    if !which.is_there(&peers) || !carrier.is_there(&peers) {
        return;
    }
    let mut stage = Stage::set(&peers, carrier, json!({}));
    let messages = messages();
    let mut esme = stage.esme(which, &messages, 0);
    await_event(&esme, "waiting");
    let mut submitted = stage.submitted();
    match lost {
        Lost::Carrier => stage.kill_carrier(),
        Lost::Gate => stage.gate.kill(),
    }
    // What cannot be reached stays so until the ESME has noticed.
    await_event(&esme, "close");
    match lost {
        Lost::Carrier => stage.start_carrier_again(),
        Lost::Gate => {
            submitted.clear();
            stage.gate.start_again();
        }
    }
    esme.finish();
    submitted.extend(stage.submitted());
    assert_eq!(numbers(&esme.events("bind"), "status"), [0, 0], "{:#?}", esme.said());
    assert_eq!(numbers(&esme.events("answer"), "status"), [OK, OK], "{:#?}", esme.said());
    assert_eq!(strings(&submitted, "source"), [COMMERCIAL, COMMERCIAL], "what the carrier saw");
    stage.assert_decodes();
}

fn await_event(esme: &Script, kind: &str) {
    assert!(wait_until(|| !esme.events(kind).is_empty()), "no {kind}: {:#?}", esme.said());
}

#[test]
fn node_smpp_comes_back_when_the_carrier_went_away() {
    comes_back(Esme::Node, Carrier::Smpp34, Lost::Carrier);
}

#[test]
fn smpplib_comes_back_when_the_carrier_went_away() {
    comes_back(Esme::Python, Carrier::Node, Lost::Carrier);
}

#[test]
fn net_smpp_comes_back_when_the_carrier_went_away() {
    comes_back(Esme::Perl, Carrier::Smpp34, Lost::Carrier);
}

#[test]
fn kannel_comes_back_when_the_carrier_went_away() {
    comes_back(Esme::Kannel, Carrier::Node, Lost::Carrier);
}

#[test]
fn node_smpp_comes_back_when_the_gate_went_away() {
    comes_back(Esme::Node, Carrier::Node, Lost::Gate);
}

#[test]
fn smpplib_comes_back_when_the_gate_went_away() {
    comes_back(Esme::Python, Carrier::Smpp34, Lost::Gate);
}

#[test]
fn net_smpp_comes_back_when_the_gate_went_away() {
    comes_back(Esme::Perl, Carrier::Node, Lost::Gate);
}

#[test]
fn kannel_comes_back_when_the_gate_went_away() {
    comes_back(Esme::Kannel, Carrier::Smpp34, Lost::Gate);
}
