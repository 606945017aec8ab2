//! A little of everything through a gate: sent and refused, received, replied to.

use portcullis::simulator::SimulatorOptions;
use serde_json::Value;

use crate::gate::{Folder, PATIENCE};
use crate::provider::{OK, Provider, submit};
use crate::stage::{COMMERCIAL_PORT, NO_CONSENT, SILENT, Stage, WILLING, notice, offer, options, sent};

/// The text of the offer that the willing subscriber replies to.
pub(crate) const OFFER: &str = crate::stage::OFFER;

/// A gate that has sent two offers and a notice to the willing, one of them replied to with a refusal, and has
/// refused one to the silent.
pub(crate) async fn scene() -> (Stage, Provider) {
    let options = SimulatorOptions { receipts: true, ..options() };
    let stage = Stage::with(options, "", "").await;
    agree(&stage.folder);
    let mut provider = stage.herald().await;
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, OK);
    let other =
        submit(COMMERCIAL_PORT, WILLING, &OFFER.replace("[Bakery]", "【Bakery】").replace("Saturday", "Ｓunday"));
    assert_eq!(sent(&mut provider, other).await.0, OK);
    assert_eq!(sent(&mut provider, notice(WILLING)).await.0, OK);
    assert_eq!(sent(&mut provider, offer(SILENT)).await.0, NO_CONSENT);
    // A receipt for each that asked for one, and then the reply.
    reply(&stage, &mut provider, "TD").await;
    (stage, provider)
}

/// The willing subscriber's consent, with a paper.
fn agree(folder: &Folder) {
    let paper = folder.path().join("form.txt");
    std::fs::write(&paper, "Yes, send me offers.\n").expect("a paper");
    let paper = paper.to_str().expect("UTF-8");
    let wording = "I want the bakery's offers, four a month, for a year";
    let grant = ["consent", "grant", "--msisdn", WILLING, "--sender", "bakery", "--wording", wording];
    folder.run(&[&grant[..], &["--method", "paper", "--evidence-file", paper]].concat()).ok();
}

/// The willing subscriber replies to the commercial port; the reply has reached the provider when this returns.
pub(crate) async fn reply(stage: &Stage, provider: &mut Provider, text: &str) {
    let before = stage.carrier.counts().acknowledged;
    assert!(stage.carrier.deliver("herald", crate::find::delivery(WILLING, COMMERCIAL_PORT, text)).await);
    provider.request().await;
    let taken = stage.carrier.wait_until(PATIENCE, |counts| counts.acknowledged > before).await;
    assert!(taken, "the reply is not taken:\n{}", stage.gate.log());
}

/// The lines of a command's output as JSON.
pub(crate) fn lines(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}
