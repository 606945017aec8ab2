//! The same message under other settings: what a profile and a provider's modes make of it.

use portcullis_protocol::CommandStatus;

use crate::provider::{OK, submit};
use crate::stage::{COMMERCIAL_PORT, NO_CONSENT, SILENT, Stage, WILLING, offer, sent};

const WITHOUT_PHONE: &str = "[Bakery] Saturday: all bread half price. Reply TD to unsubscribe";
const NO_PHONE: CommandStatus = CommandStatus(0x0484);

/// The rules of the record of the only message to a number, each with its effect.
fn findings(stage: &Stage, to: &str) -> Vec<(String, String)> {
    let records = stage.folder.sent_to(to);
    assert_eq!(records.len(), 1);
    records[0].findings.iter().map(|found| (found.rule.clone(), found.effect.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_observed_is_recorded_and_not_acted_on() {
    let stage = Stage::with_herald("mode = \"observe\"", "").await;
    assert_eq!(sent(&mut stage.herald().await, offer(SILENT)).await.0, OK);
    assert_eq!(findings(&stage, SILENT), [("R09".to_owned(), "observed".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_can_be_off_for_all_and_observed_for_one() {
    let stage = Stage::with_herald("rules = { R06 = \"observe\" }", "[profile]\nR09 = \"off\"").await;
    let message = submit(COMMERCIAL_PORT, SILENT, WITHOUT_PHONE);
    assert_eq!(sent(&mut stage.herald().await, message).await.0, OK);
    assert_eq!(findings(&stage, SILENT), [("R06".to_owned(), "observed".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nearest_word_on_a_rule_counts() {
    let rules = "rules = { R06 = \"off\", R09 = \"off\", commercial = { R09 = \"observe\" } }";
    let stage = Stage::with_herald(rules, "[profile.commercial]\nR06 = \"enforce\"\nR09 = \"enforce\"").await;
    let message = submit(COMMERCIAL_PORT, SILENT, WITHOUT_PHONE);
    assert_eq!(sent(&mut stage.herald().await, message).await.0, OK);
    assert_eq!(findings(&stage, SILENT), [("R09".to_owned(), "observed".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_2015_asks_for_no_phone() {
    for (profile, status) in [("cn-2020-draft", NO_PHONE), ("cn-2015-31", OK)] {
        let stage = Stage::with_herald("", &format!("[profile]\nbase = \"{profile}\"")).await;
        stage.consent(WILLING);
        let message = submit(COMMERCIAL_PORT, WILLING, WITHOUT_PHONE);
        assert_eq!(sent(&mut stage.herald().await, message).await.0, status, "{profile}");
        assert_eq!(stage.folder.sent_to(WILLING)[0].profile, profile);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_can_have_standard_codes_and_a_carrier_account_of_its_own() {
    let own = "codes = \"standard\"\ncarrier_system_id = \"own\"\ncarrier_password = \"own-pw\"";
    let stage = Stage::with_herald(own, "").await;
    let mut provider = stage.herald().await;
    assert_eq!(sent(&mut provider, offer(SILENT)).await.0, CommandStatus::ESME_RSUBMITFAIL);
    assert_ne!(CommandStatus::ESME_RSUBMITFAIL, NO_CONSENT);
    stage.consent(SILENT);
    assert_eq!(sent(&mut provider, offer(SILENT)).await.0, OK);
    let seen: Vec<_> = stage.carrier.received().iter().map(|received| received.system_id.to_string()).collect();
    assert!(seen.iter().any(|system_id| system_id == "own") && !seen.iter().any(|system_id| system_id == "herald"));
}
