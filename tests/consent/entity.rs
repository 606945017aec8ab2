//! A refusal is of the legal entity: no other signature, port, bind, provider or id brings a message through.

use crate::provider::Provider;
use crate::stage::{NO_CONSENT, OK, REFUSED, REGISTER, SUBSCRIBER, Stage, offer, reply, status, until};

async fn answered(provider: &mut Provider, signature: &str, port: &str) -> u32 {
    provider.ask(offer(signature, port, SUBSCRIBER)).await.command_status().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_holds_for_every_signature_port_bind_and_provider_of_the_entity() {
    let stage = Stage::new().await;
    let (mut first, mut second) = (stage.provider("agg1").await, stage.provider("agg2").await);
    stage.say("grant", "bakery", &["--at", "2026-01-01"]);
    stage.say("grant", "florist", &["--at", "2026-01-01"]);
    for (signature, port) in [("Bakery", "1069000101"), ("Bread Club", "1069000102"), ("Florist", "1069000103")] {
        assert_eq!(answered(&mut first, signature, port).await, OK, "{signature} {port}");
    }
    assert_eq!(answered(&mut second, "Bread Club", "1069000201").await, OK);
    // By a reply to one of the ports.
    reply(&stage, "TD").await;
    until("refused", async || answered(&mut first, "Bakery", "1069000101").await == REFUSED).await;
    let mut another_bind = stage.provider("agg1").await;
    for (signature, port) in [("Bakery", "1069000102"), ("Bread Club", "1069000101"), ("Bread Club", "1069000102")] {
        assert_eq!(answered(&mut first, signature, port).await, REFUSED, "{signature} {port}");
        assert_eq!(answered(&mut another_bind, signature, port).await, REFUSED, "{signature} {port}");
    }
    assert_eq!(answered(&mut second, "Bread Club", "1069000201").await, REFUSED);
    assert_eq!(answered(&mut first, "Florist", "1069000103").await, OK, "another entity");
}

/// The register may be written anew with other names for the same entity: the refusal is there still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_survives_a_new_signature_port_provider_and_id_of_the_entity() {
    let stage = Stage::new().await;
    stage.say("grant", "bakery", &["--at", "2026-01-01"]);
    stage.say("refuse", "bakery", &["--at", "2026-02-01"]);
    let renamed = REGISTER
        .replace("\"bakery\"", "\"boulangerie\"")
        .replace("id = \"boulangerie\"", "id = \"boulangerie\"\nformer_ids = [\"bakery\"]")
        .replace("\"Bread Club\"", "\"Croissants\"")
        .replace("1069000201", "1069000301")
        + "\n[[provider]]\nsystem_id = \"agg3\"\nports = [\"10690003\"]\n";
    stage.folder.write_register(&renamed);
    let mut third = loop_until_bound(&stage, "agg3").await;
    assert_eq!(answered(&mut third, "Croissants", "1069000301").await, REFUSED);
    // What is said to the old id is said to the entity.
    stage.say("grant", "bakery", &["--at", "2026-03-01"]);
    assert_eq!(answered(&mut third, "Croissants", "1069000301").await, OK);
    let shown =
        stage.run(&["consent", "show", "--whole", SUBSCRIBER, "--sender", "boulangerie", "--on", "2026-02-15"]).ok();
    assert!(shown.contains("as known today: refused"), "{shown}");
    // The same entity twice is refused by the register, however its code is spelled.
    let twice = renamed.replace("91310000TEST000078", "91310000 test-000077");
    std::fs::write(stage.folder.path().join("register.toml"), twice).expect("a register");
    let said = stage.run(&["check"]);
    assert!(said.code == Some(1) && said.stderr.contains("former_ids"), "{}", said.stderr);
}

async fn loop_until_bound(stage: &Stage, account: &str) -> Provider {
    stage.gate.await_log("register reloaded");
    stage.provider(account).await
}

/// `0000` speaks to every sender of the provider: those it gets later as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_senders_of_a_provider_are_refused_those_that_come_later_too() {
    let stage = Stage::new().await;
    let mut provider = stage.provider("agg1").await;
    stage.say("grant", "bakery", &["--at", "2026-01-01"]);
    assert_eq!(status(&mut provider, "1069000101", SUBSCRIBER).await, OK);
    reply(&stage, "0000").await;
    until("refused", async || status(&mut provider, "1069000101", SUBSCRIBER).await == REFUSED).await;
    assert_eq!(answered(&mut provider, "Florist", "1069000103").await, REFUSED);
    let later = REGISTER.to_owned()
        + "\n[[sender]]\nid = \"butcher\"\nname = \"Butcher\"\ncredential = \"91310000TEST000079\"\n\
           signatures = [\"Butcher\"]\nphones = [\"400-000-0077\"]\n\
           [[port]]\nnumber = \"1069000104\"\nclass = \"commercial\"\nsender = \"butcher\"\n\
           [[port]]\nnumber = \"1069000204\"\nclass = \"commercial\"\nsender = \"butcher\"\n";
    stage.folder.write_register(&later);
    stage.gate.await_log("register reloaded");
    assert_eq!(answered(&mut provider, "Butcher", "1069000104").await, REFUSED);
    let mut other = stage.provider("agg2").await;
    assert_eq!(answered(&mut other, "Butcher", "1069000204").await, NO_CONSENT, "another provider was not refused");
    stage.say("grant", "butcher", &[]);
    assert_eq!(answered(&mut provider, "Butcher", "1069000104").await, OK, "agreed since");
}
