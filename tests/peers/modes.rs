//! Binds of every type, in every encoding; passwords; what comes back, and to whom.

use std::path::Path;

use serde_json::json;

use crate::messages::{COMMERCIAL, OK, TEXTS, WILLING, message, messages, plan};
use crate::party::{Esme, Script, folder, numbers, strings, wait_until};
use crate::stage::Gate;

/// Runs the ESMEs one after the other in one mode; all messages through the node carrier.
fn judged_and_relayed(peers: &Path, mode: &str) {
    let (mut carrier, address) = Script::carrier(peers, json!({}));
    let gate = Gate::start(address);
    let (messages, statuses) = messages();
    let esmes = Esme::scripted(peers);
    for which in &esmes {
        let (before, unbinds) = (carrier.events("submit").len(), carrier.events("unbind").len());
        let mut esme = Script::esme(peers, *which, plan(gate.address, mode, &messages, 0));
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
    assert_eq!(strings(&carrier.events("bind"), "mode"), vec![mode; esmes.len()]);
    assert_eq!(numbers(&carrier.events("link"), "status"), vec![0; esmes.len()], "the carrier's enquire_link");
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
    for which in Esme::scripted(&peers) {
        // Another gate for each: it slows those who guess.
        let gate = Gate::start(address);
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
        assert!(!gate.log().contains("guess"), "a password in the log");
    }
}

#[test]
fn receipts_and_replies_come_back_to_a_transceiver() {
    let Some(peers) = folder() else { return };
    let replies = ["What time?", "谢谢，明天见"];
    let (carrier, address) = Script::carrier(&peers, json!({ "replies": replies }));
    let gate = Gate::start(address);
    let esmes = Esme::scripted(&peers);
    for which in &esmes {
        let mut asked = message(COMMERCIAL, WILLING, "ucs2", TEXTS[2].1[0]);
        asked["registered_delivery"] = json!(1);
        let mut esme = Script::esme(&peers, *which, plan(gate.address, "transceiver", &[asked], 3));
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
    assert!(wait_until(|| carrier.events("deliver_answer").len() == 3 * esmes.len()), "answers at the carrier");
    assert_eq!(numbers(&carrier.events("deliver_answer"), "status"), vec![0; 3 * esmes.len()]);
}

#[test]
fn a_receiver_gets_what_its_transmitter_brought_about() {
    let Some(peers) = folder() else { return };
    let (_carrier, address) = Script::carrier(&peers, json!({ "replies": ["Merci"] }));
    let gate = Gate::start(address);
    let mut asked = message(COMMERCIAL, WILLING, "latin1", TEXTS[1].1[0]);
    asked["registered_delivery"] = json!(1);
    let esmes = Esme::scripted(&peers);
    for (&listening, &sending) in esmes.iter().zip(esmes.iter().cycle().skip(1)) {
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
    let gate = Gate::start(address);
    // Only npm `smpp` tries: smpplib refuses to send it.
    let messages = [message(COMMERCIAL, WILLING, "gsm7", TEXTS[0].1[0])];
    let mut esme = Script::esme(&peers, Esme::Node, plan(gate.address, "receiver", &messages, 0));
    esme.finish();
    assert_eq!(numbers(&esme.events("answer"), "status"), [0x04]);
    assert_eq!(numbers(&esme.events("link"), "status"), [0], "the bind survives");
    assert!(carrier.events("submit").is_empty());
}
