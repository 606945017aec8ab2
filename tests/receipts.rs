//! Delivery receipts through the running gate, in every form that carriers send (quirks 42 to 50):
//! each reaches the provider unchanged, and the journal's message learns how and when it ended.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "replies/scene.rs"]
mod scene;

use std::time::Duration;

use portcullis::gate::evidence::{FoundMessage, Query};
use portcullis::simulator::{Answers, Faults, Form as AnswerForm};
use portcullis_protocol::field::EsmClass;

use gate::{PATIENCE, messages};
use provider::{OK, Provider, message_id};
use scene::{OTP, OTP_PORT, Reply, Scene};

const DATES: &str = "submit date:2611231015 done date:2611231016";

/// A receipt as a carrier sends it: what `{id}` stands for in its text is the carrier's id.
struct Form {
    quirk: &'static str,
    esm_class: u8,
    text: &'static str,
    /// Whether TLVs name the message, and the state they report.
    tlvs: Option<u8>,
    state: Option<&'static str>,
    done: Option<&'static str>,
}

const fn form(quirk: &'static str, esm_class: u8, text: &'static str, state: &'static str) -> Form {
    Form { quirk, esm_class, text, tlvs: None, state: Some(state), done: None }
}

const fn done(quirk: &'static str, text: &'static str, done: &'static str) -> Form {
    Form { done: Some(done), ..form(quirk, 4, text, "DELIVRD") }
}

const FORMS: &[Form] = &[
    form("42 esm_class 0x04", 0x04, "id:{id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:hi", "DELIVRD"),
    form("42 esm_class 0x44 without a header", 0x44, "id:{id} sub:001 dlvrd:001 stat:DELIVRD err:000", "DELIVRD"),
    form("42 esm_class 0x08", 0x08, "id:{id} stat:DELIVRD err:000", "DELIVRD"),
    form("42 esm_class 0x20", 0x20, "id:{id} stat:DELIVRD err:000", "DELIVRD"),
    form("42 esm_class unset", 0x00, "id:{id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:", "DELIVRD"),
    Form { tlvs: Some(2), ..form("42 TLVs only", 0x00, "", "DELIVRD") },
    Form { tlvs: Some(5), ..form("43 esm_class and TLVs without text", 0x04, "", "UNDELIV") },
    form("43 without sub and dlvrd", 0x04, "id:{id} stat:EXPIRED err:001", "EXPIRED"),
    form(
        "43 Text: and other fields",
        0x04,
        "id:{id} stat:DELIVRD err:0 mcc:460 mnc:00 price:0.03 Text:stat:UNDELIV",
        "DELIVRD",
    ),
    form("44 err of letters", 0x04, "id:{id} stat:UNDELIV err:E-SUB", "UNDELIV"),
    form("44 err of four digits", 0x04, "id:{id} stat:REJECTD err:0011", "REJECTD"),
    done(
        "45 done date",
        "id:{id} submit date:2611231015 done date:2611231016 stat:DELIVRD err:000",
        "2026-11-23T10:16:00",
    ),
    done(
        "45 with seconds",
        "id:{id} submit date:261123101501 done date:261123101602 stat:DELIVRD",
        "2026-11-23T10:16:02",
    ),
    done("45 with the century", "id:{id} done date:20261123101602 stat:DELIVRD", "2026-11-23T10:16:02"),
    form("46 FAILED", 0x04, "id:{id} stat:FAILED err:099", "UNDELIV"),
    Form { state: None, ..form("46 BUFFRED", 0x04, "id:{id} stat:BUFFRED err:000", "") },
    Form { state: None, ..form("46 BUFFERD", 0x04, "id:{id} stat:BUFFERD err:000", "") },
    Form { state: None, ..form("46 ACKED", 0x04, "id:{id} stat:ACKED err:000", "") },
    Form { state: None, ..form("46 0", 0x04, "id:{id} stat:0 err:000", "") },
    form("47 hexadecimal in the receipt", 0x04, "id:{hex} stat:DELIVRD err:000", "DELIVRD"),
    form("48 zero-padded", 0x04, "id:0000{id} stat:DELIVRD err:000", "DELIVRD"),
    form("48 upper case, zero-padded", 0x04, "id:0000{HEX} stat:DELIVRD err:000", "DELIVRD"),
];

impl Form {
    fn text(&self, id: &str) -> String {
        let number: u64 = id.parse().expect("the simulator's ids are decimal");
        let (hex, upper) = (format!("{number:x}"), format!("{number:X}"));
        self.text.replace("{id}", id).replace("{hex}", &hex).replace("{HEX}", &upper)
    }
}

fn receipt<'a>(subscriber: &'a str, esm_class: u8, text: &'a str) -> Reply<'a> {
    Reply { from: subscriber, to: OTP_PORT, esm_class: EsmClass(esm_class), ..Reply::of(text) }
}

fn the_one(scene: &Scene, subscriber: &str) -> FoundMessage {
    let mut found = scene.folder.sent_to(subscriber);
    assert_eq!(found.len(), 1, "{subscriber}");
    found.remove(0)
}

fn states(message: &FoundMessage) -> Vec<&str> {
    message.receipts.iter().filter_map(|receipt| receipt.state.as_deref()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_is_joined_to_its_message_and_passes_unchanged() {
    let mut scene = Scene::new().await;
    for (number, form) in FORMS.iter().enumerate() {
        let subscriber = format!("86138001381{number:02}");
        let id = scene.submit_for_id(OTP_PORT, &subscriber, OTP).await;
        let text = form.text(&id);
        let receipted = form.tlvs.map(|_| id.as_str());
        let receipt = Reply { receipted, message_state: form.tlvs, ..receipt(&subscriber, form.esm_class, &text) };
        scene.reply(&receipt).await;
        let message = the_one(&scene, &subscriber);
        assert_eq!(message.receipts.len(), 1, "{}", form.quirk);
        assert_eq!(message.final_state.as_deref(), form.state, "{}", form.quirk);
        let at = form.state.map(|_| message.receipts[0].received);
        assert_eq!(message.final_at, at, "{}", form.quirk);
        let done = message.receipts[0].done.map(|done| done.to_string());
        assert_eq!(done.as_deref(), form.done, "{}", form.quirk);
    }
    assert!(scene.replies().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quirk_31_a_receipt_in_data_sm_is_joined() {
    let mut scene = Scene::new().await;
    let subscriber = "8613800138206";
    let id = scene.submit_for_id(OTP_PORT, subscriber, OTP).await;
    let text = format!("id:{id} {DATES} stat:DELIVRD err:000");
    scene.reply(&Reply { data_sm: true, ..receipt(subscriber, 4, &text) }).await;
    assert_eq!(the_one(&scene, subscriber).final_state.as_deref(), Some("DELIVRD"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quirk_47_an_answer_in_hexadecimal_and_its_decimal_receipt_are_joined() {
    let mut scene = Scene::new().await;
    scene.carrier.set_faults(Faults { form: AnswerForm::HexadecimalId, ..Faults::default() });
    let subscriber = "8613800138207";
    let id = scene.submit_for_id(OTP_PORT, subscriber, OTP).await;
    let decimal = u64::from_str_radix(&id, 16).expect("hexadecimal digits");
    scene.reply(&receipt(subscriber, 4, &format!("id:{decimal} {DATES} stat:DELIVRD err:000"))).await;
    assert_eq!(the_one(&scene, subscriber).final_state.as_deref(), Some("DELIVRD"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quirk_49_a_receipt_before_the_answer_is_joined() {
    let mut scene = Scene::new().await;
    let subscriber = "8613800138201";
    let before: u64 = scene.submit_for_id(OTP_PORT, "8613800138200", OTP).await.parse().expect("digits");
    scene.carrier.set_faults(Faults { answers: Answers::Late(Duration::from_millis(400)), ..Faults::default() });
    let asked = scene.send(OTP_PORT, subscriber, OTP).await;
    assert!(scene.carrier.wait_until(PATIENCE, |counts| counts.messages == 2).await);
    let text = format!("id:{} sub:001 dlvrd:001 {DATES} stat:DELIVRD err:000 text:", before + 1);
    // Without a mark it could be the subscriber's own text: that an answer is still to come decides.
    scene.reply(&receipt(subscriber, 0, &text)).await;
    assert!(the_one(&scene, subscriber).outcome.is_none(), "the receipt did not come first");
    let answer = scene.answer_to(asked).await;
    assert_eq!(message_id(&answer), Some((before + 1).to_string()));
    let message = the_one(&scene, subscriber);
    assert_eq!((states(&message), message.final_state.as_deref()), (vec!["DELIVRD"], Some("DELIVRD")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quirks_23_and_50_receipts_come_on_any_bind_twice_and_with_an_extra_state() {
    let mut scene = Scene::new().await;
    let mut other = Provider::bound(scene.gate().address, "agg1", "").await;
    let subscriber = "8613800138202";
    let id = scene.submit_for_id(OTP_PORT, subscriber, OTP).await;
    for words in [["ACCEPTD", "DELIVRD"], ["DELIVRD", "ACCEPTD"]] {
        for word in words {
            let text = format!("id:{id} {DATES} stat:{word} err:000");
            scene.start_delivery(&receipt(subscriber, 4, &text)).await;
        }
        // The carrier takes its account's binds in turn: each has one.
        tokio::join!(scene.provider.request(), other.request());
    }
    assert!(scene.carrier.wait_until(PATIENCE, |counts| counts.acknowledged == 4).await);
    let message = the_one(&scene, subscriber);
    let mut told = states(&message);
    told.sort_unstable();
    assert_eq!(told, ["ACCEPTD", "ACCEPTD", "DELIVRD", "DELIVRD"]);
    assert_eq!(message.final_state.as_deref(), Some("DELIVRD"));
    let first = message.receipts.iter().find(|receipt| receipt.state.as_deref() == Some("DELIVRD"));
    assert_eq!(message.final_at, first.map(|receipt| receipt.received));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_of_another_subscriber_or_of_nobody_stands_by_itself() {
    let mut scene = Scene::new().await;
    let id = scene.submit_for_id(OTP_PORT, "8613800138203", OTP).await;
    for id in [id.as_str(), "77"] {
        scene.reply(&receipt("8613800138001", 4, &format!("id:{id} stat:DELIVRD err:000"))).await;
    }
    assert!(the_one(&scene, "8613800138203").receipts.is_empty());
    let alone: Vec<_> = scene.replies().into_iter().map(|receipt| receipt.receipt_of).collect();
    assert_eq!(alone, [Some(id), Some("77".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_found_by_any_spelling_of_its_id() {
    let mut scene = Scene::new().await;
    let subscriber = "8613800138204";
    let id = scene.submit_for_id(OTP_PORT, subscriber, OTP).await;
    let hex = format!("{:x}", id.parse::<u64>().expect("digits"));
    scene.reply(&receipt(subscriber, 4, &format!("id:{hex} stat:DELIVRD err:000"))).await;
    for spelling in [id.clone(), format!("000{id}"), hex.clone(), hex.to_uppercase(), format!("00{hex}")] {
        let query = Query { message_id: Some(spelling.clone()), ..Query::default() };
        let found = messages(scene.folder.find(query));
        assert_eq!(found.len(), 1, "{spelling}");
        assert_eq!(found[0].final_state.as_deref(), Some("DELIVRD"), "{spelling}");
    }
    let said = scene.folder.run(&["journal", "find", "--whole", "--to", subscriber]).ok();
    assert!(said.contains("ended DELIVRD"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_is_set_is_the_only_one() {
    let mut scene = Scene::new().await;
    scene.restart_with("message_id = \"hex-in-receipt\"").await;
    let subscriber = "8613800138205";
    let id = scene.submit_for_id(OTP_PORT, subscriber, OTP).await;
    let hex = format!("{:X}", id.parse::<u64>().expect("digits"));
    scene.reply(&receipt(subscriber, 4, &format!("id:{id} stat:UNDELIV err:000"))).await;
    scene.reply(&receipt(subscriber, 4, &format!("id:{hex} stat:DELIVRD err:000"))).await;
    let said = scene.folder.run(&["journal", "find", "--whole", "--to", subscriber, "--json"]).ok();
    assert_eq!(said.lines().count(), 2, "a message and a receipt of nobody: {said}");
    assert!(said.contains("\"final_state\":\"DELIVRD\""), "{said}");
    assert_eq!(scene.submit(OTP_PORT, subscriber, OTP).await, OK);
}
