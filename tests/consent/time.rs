//! Event time decides, not arrival; a refusal wins ties.

use crate::provider::Provider;
use crate::stage::{NO_CONSENT, OK, REFUSED, SUBSCRIBER, Stage, status};

const PORT: &str = "1069000101";
const HEADER: &str = "msisdn,sender,category,status,at,method,evidence,expires_at";

async fn stage() -> (Stage, Provider) {
    let stage = Stage::new().await;
    let provider = stage.provider("agg1").await;
    (stage, provider)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_import_does_not_bring_back_what_was_refused() {
    let (stage, mut provider) = stage().await;
    stage.say("grant", "bakery", &["--at", "2026-01-01"]);
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, OK);
    stage.say("refuse", "bakery", &["--at", "2026-03-01"]);
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, REFUSED);
    let late = format!("{HEADER}\n{SUBSCRIBER},bakery,,consent,2026-02-01,web,form 9,\n");
    stage.folder.feed(&["consent", "import", "-"], &late).ok();
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, REFUSED);
    let tie = format!("{HEADER}\n{SUBSCRIBER},bakery,,consent,2026-03-01,web,form 9,\n");
    stage.folder.feed(&["consent", "import", "-"], &tie).ok();
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, REFUSED);
    let said = stage.run(&["consent", "grant", "--msisdn", SUBSCRIBER, "--sender", "bakery", "--at", "2026-02-15"]);
    assert!(said.code == Some(1) && said.stderr.contains("does not stand: a refusal"), "{}", said.stderr);
    stage.say("grant", "bakery", &["--at", "2026-03-02"]);
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_in_the_future_is_refused_and_counts_only_from_then_on() {
    let (stage, mut provider) = stage().await;
    let csv = format!("{HEADER}\n{SUBSCRIBER},bakery,,consent,2099-01-01,web,form 9,\n");
    let said = stage.folder.feed(&["consent", "import", "-"], &csv);
    assert!(
        said.code == Some(1) && said.stderr.contains("line 2: at \"2099-01-01\" is in the future"),
        "{}",
        said.stderr
    );
    let grant = ["consent", "grant", "--msisdn", SUBSCRIBER, "--sender", "bakery", "--at", "2099-01-01"];
    let said = stage.run(&grant);
    assert!(said.code == Some(1) && said.stderr.contains("future"), "{}", said.stderr);
    // One that is in the store all the same, as an older program left it: it lifts no refusal before its time.
    stage.say("refuse", "bakery", &["--at", "2026-03-01"]);
    use portcullis::admin::api::Request;
    use portcullis::store::consents::{Held, Status};
    let ahead = Held {
        msisdn: SUBSCRIBER.parse().expect("digits"),
        sender: "bakery".to_owned(),
        status: Status::Consent,
        at_ms: 4_070_880_000_000,
        ..Held::default()
    };
    stage.folder.ask(&Request::Apply(vec![ahead]));
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, REFUSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_holder_has_agreed_to_nothing_and_what_was_refused_stays_refused() {
    let (stage, mut provider) = stage().await;
    stage.say("grant", "bakery", &["--at", "2026-01-01"]);
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, OK);
    let said = stage.run(&["consent", "recycle", "--msisdn", "13800138001", "--at", "2026-02-01"]);
    assert_eq!(said.ok(), "1 rows: 1 changed, 0 unchanged, 0 superseded by what is held, 0 faulty\n");
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, NO_CONSENT);
    let late = format!("{HEADER}\n{SUBSCRIBER},bakery,,consent,2026-01-20,web,form 9,\n");
    stage.folder.feed(&["consent", "import", "-"], &late).ok();
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, NO_CONSENT, "the old holder's");
    stage.say("grant", "bakery", &["--at", "2026-02-02"]);
    assert_eq!(status(&mut provider, PORT, SUBSCRIBER).await, OK, "the new holder's own");

    let other = "8613800138002";
    stage.say("refuse", "bakery", &["--msisdn", other, "--at", "2026-01-01"]);
    let file = stage.folder.path().join("recycled.csv");
    std::fs::write(&file, "msisdn,at\n+86 138-0013-8002,2026-02-01\n138,2026-02-01\n").expect("a file");
    let said = stage.run(&["consent", "recycle", file.to_str().expect("UTF-8")]);
    assert!(said.code == Some(1) && said.stdout.starts_with("2 rows: 1 changed") && said.stderr.contains("line 3"));
    assert_eq!(status(&mut provider, PORT, other).await, REFUSED);
}

/// Whatever the spelling in a file, a command or on the wire, it is one subscriber.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_spelling_of_a_number_is_one_subscriber() {
    let (stage, mut provider) = stage().await;
    let spellings =
        ["13800138001", "8613800138001", "+8613800138001", "008613800138001", "+86 138 0013 8001", "86-13800138001"];
    for (day, spelling) in spellings.iter().enumerate() {
        stage.say("grant", "bakery", &["--msisdn", spelling, "--at", &format!("2026-01-{:02}", 2 * day + 1)]);
        for wire in ["13800138001", "8613800138001", "+8613800138001", "008613800138001"] {
            assert_eq!(status(&mut provider, PORT, wire).await, OK, "{spelling} {wire}");
        }
        let csv = format!("{HEADER}\n{spelling},bakery,,refusal,2026-01-{:02},counter,,\n", 2 * day + 2);
        stage.folder.feed(&["consent", "import", "-"], &csv).ok();
        for wire in ["13800138001", "8613800138001", "+8613800138001", "008613800138001"] {
            assert_eq!(status(&mut provider, PORT, wire).await, REFUSED, "{spelling} {wire}");
        }
        let shown = stage.run(&["consent", "show", "--whole", spelling]).ok();
        assert_eq!(shown.lines().count(), 3, "{spelling}: {shown}");
    }
    stage.say("grant", "bakery", &["--msisdn", "+6591234567", "--at", "2026-01-01"]);
    assert_eq!(status(&mut provider, PORT, "+6591234567").await, OK);
    assert_eq!(status(&mut provider, PORT, "006591234567").await, OK);
    assert!(stage.run(&["consent", "show", "--whole", "+6591234567"]).ok().contains("\n+6591234567,bakery"));
}
