//! Every event is kept, and answers why a message was sent on a day.

use std::path::PathBuf;

use serde_json::Value;

use crate::stage::{SUBSCRIBER, Stage};

const HEADER: &str = "msisdn,sender,category,status,at,method,evidence,expires_at,frequency,wording,recorded_by";

/// A year of one subscriber.
const YEAR: [&str; 4] = [
    "bakery,bread,consent,2026-01-02T10:00:00+08:00,web,form 1,2026-12-31,4/month,同意接收面包优惠,agg1",
    "bakery,,refusal,2026-03-01T09:00:00+08:00,mo,TD,,,,",
    "bakery,bread,consent,2026-05-01T10:00:00+08:00,paper,form 2,,每周1条,,",
    "florist,,consent,2026-02-01T10:00:00+08:00,web,form 3,,,,",
];

fn csv(rows: &[&str]) -> String {
    let rows: String = rows.iter().map(|row| format!("{SUBSCRIBER},{row}\n")).collect();
    format!("{HEADER}\n{rows}")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_tells_every_event_in_its_order_with_its_proof() {
    let stage = Stage::new().await;
    for row in YEAR.iter().rev() {
        stage.folder.feed(&["consent", "import", "-", "--recorded-by", "agg1 upload"], &csv(&[row])).ok();
    }
    let shown = stage.run(&["consent", "show", "--whole", "--msisdn", SUBSCRIBER, "--history", "--json"]).ok();
    let events = lines(&shown);
    let of = |key: &str| events.iter().map(|event| event[key].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>();
    assert_eq!(of("status"), ["consent", "consent", "refusal", "consent"]);
    assert_eq!(of("evidence"), ["form 1", "form 3", "TD", "form 2"]);
    assert_eq!(of("frequency"), ["4/month", "", "", "1/week"]);
    assert_eq!(of("recorded_by"), ["agg1", "agg1 upload", "agg1 upload", "agg1 upload"]);
    assert_eq!(events[0]["wording"], "同意接收面包优惠");
    assert!(events.iter().all(|event| event["recorded_at"].is_string()), "each with its arrival");
    let state = stage.run(&["consent", "show", "--whole", SUBSCRIBER]).ok();
    assert_eq!(state.lines().count(), 4, "the header and what stands: {state}");
    let told = stage.run(&["consent", "show", "--whole", SUBSCRIBER, "--history", "--sender", "bakery"]).ok();
    assert!(
        told.contains("2026-01-02T10:00:00+08:00  consent  bakery (bread), 4/month, until 2026-12-31T00:00:00+08:00")
    );
    assert!(told.contains("wording \"同意接收面包优惠\"") && !told.contains("florist"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_for_a_day_is_by_what_is_known_today_and_by_what_was_known_then() {
    let stage = Stage::new().await;
    // As recorded at the time: the consent at once, the refusal nine days late.
    let header = format!("{HEADER},recorded_at");
    let rows = [
        format!(
            "{SUBSCRIBER},bakery,bread,consent,2026-01-02T10:00:00+08:00,web,form 1,,,,agg1,2026-01-02T10:05:00+08:00"
        ),
        format!(
            "{SUBSCRIBER},bakery,,refusal,2026-03-01T09:00:00+08:00,letter,letter 8,,,,anna,2026-03-10T09:00:00+08:00"
        ),
    ];
    let csv = format!("{header}\n{}\n", rows.join("\n"));
    stage.folder.feed(&["consent", "import", "-", "--restore"], &csv).ok();
    let on = |time: &str| {
        let shown = stage
            .run(&["consent", "show", "--whole", "--msisdn", SUBSCRIBER, "--sender", "bakery", "--on", time, "--json"])
            .ok();
        let answer = lines(&shown).remove(0);
        let word = |which: &str| answer[which]["standing"].as_str().unwrap_or("").to_owned();
        let evidence = answer["as_known_then"]["events"][0]["evidence"].as_str().unwrap_or("").to_owned();
        (word("as_known_today"), word("as_known_then"), evidence)
    };
    let told = |today: &str, then: &str, evidence: &str| (today.to_owned(), then.to_owned(), evidence.to_owned());
    assert_eq!(on("2026-01-01"), told("none", "none", ""));
    assert_eq!(on("2026-02-01T12:00:00+08:00"), told("active", "active", "form 1"));
    assert_eq!(on("2026-03-05T10:00:00+08:00"), told("refused", "active", "form 1"), "sent in good faith");
    assert_eq!(on("2026-03-10T09:00:00+08:00"), told("refused", "refused", "letter 8"));
    let text = stage.run(&["consent", "show", "--whole", SUBSCRIBER, "--sender", "bakery", "--on", "2026-03-05"]).ok();
    assert!(text.contains("as known today: refused") && text.contains("as known then: a consent held"), "{text}");
    assert!(
        text.contains("evidence letter 8") && text.contains("recorded 2026-03-10T09:00:00+08:00 by anna"),
        "{text}"
    );
}

/// All of it goes out and comes in again into another store, arrivals included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_with_its_history_comes_back_as_it_was() {
    let stage = Stage::new().await;
    stage.folder.feed(&["consent", "import", "-"], &csv(&YEAR)).ok();
    stage.say("refuse", "provider:agg1", &["--msisdn", "+14155550123"]);
    stage.run(&["consent", "recycle", "--msisdn", SUBSCRIBER, "--at", "2026-06-01"]).ok();
    let scan = stage.folder.path().join("scan.pdf");
    std::fs::write(&scan, b"a signed form").expect("a file");
    stage.say("grant", "bakery", &["--evidence-file", scan.to_str().expect("UTF-8"), "--wording", "two\nlines"]);
    for form in ["csv", "json"] {
        let flags: &[&str] = if form == "json" { &["--json"] } else { &[] };
        let papers = stage.folder.path().join("papers");
        let mut export =
            vec!["consent", "export", "--whole", "--history", "--evidence", papers.to_str().expect("UTF-8")];
        export.extend(flags);
        let exported = stage.run(&export).ok();
        let other = Stage::new().await;
        let file: PathBuf = other.folder.path().join(if form == "json" { "all.jsonl" } else { "all.csv" });
        std::fs::write(&file, &exported).expect("a file");
        let papers = papers.to_str().expect("UTF-8");
        let import = ["consent", "import", file.to_str().expect("UTF-8"), "--restore", "--evidence-dir", papers];
        let said = other.run(&import).ok();
        assert_eq!(said, "7 rows: 7 changed, 0 unchanged, 0 superseded by what is held, 0 faulty\n");
        assert!(
            other.run(&["consent", "show", "--whole", SUBSCRIBER, "--history"]).ok().contains(": whole"),
            "its file came along"
        );
        let mut export = vec!["consent", "export", "--whole", "--history"];
        export.extend(flags);
        assert_eq!(sorted(&other.run(&export).ok()), sorted(&exported), "{form}");
        assert!(other.run(&import).ok().contains(" 0 changed, 7 unchanged"), "again it changes nothing");
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}
