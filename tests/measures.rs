//! Measures (R25) and complaints, over real sockets: what is counted, what is done about it, who lifts it again.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "long/parts.rs"]
mod parts;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "gate/stage.rs"]
mod stage;

use portcullis::admin::api::{Line, Request};
use portcullis::gate::measures::FoundStep;
use portcullis::rules::r25_measures::{Kind, Step};
use portcullis_protocol::CommandStatus;

use gate::Folder;
use parts::{Form, Long};
use provider::{OK, Provider, submit};
use stage::{COMMERCIAL_PORT, NO_CONSENT, OFFER, SERVICE_PORT, SILENT, Stage, WILLING, notice, offer, sent};

const SUSPENDED: CommandStatus = CommandStatus(0x048E);
const TOO_FAST: CommandStatus = CommandStatus::ESME_RTHROTTLED;

async fn status(provider: &mut Provider, message: portcullis_protocol::Frame) -> CommandStatus {
    sent(provider, message).await.0
}

/// Every step the running gate has taken: whom against, what, by whom.
fn steps(folder: &Folder) -> Vec<(String, String, String)> {
    let said = folder.ask(&Request::MeasureHistory(None));
    said.into_iter()
        .filter_map(|line| if let Line::Step(step) = line { Some(step) } else { None })
        .map(|FoundStep { kind, name, step, by, .. }| (format!("{kind} {name}"), step, by))
        .collect()
}

/// Waits until somebody is under a measure of this step.
fn await_step(stage: &Stage, kind: Kind, step: Step) {
    stage.folder.await_status("taken", |status| {
        status.measures.iter().any(|measure| measure.kind == kind && measure.step == step)
    });
}

fn order(stage: &Stage, arguments: &[&str]) -> String {
    stage.folder.run(&[&["measures"], arguments].concat()).ok()
}

async fn begun(more: &str) -> (Stage, Provider) {
    let stage = Stage::with_herald("", more).await;
    stage.consent(WILLING);
    let provider = stage.herald().await;
    (stage, provider)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_by_hand_outlives_the_process_and_stops_marketing_only() {
    let (stage, mut provider) = begun("").await;
    for (kind, name) in [("provider", "herald"), ("sender", "bakery"), ("port", COMMERCIAL_PORT)] {
        assert_eq!(status(&mut provider, offer(WILLING)).await, OK);
        order(&stage, &["suspend", kind, name, "--reason", "ticket 117"]);
        assert_eq!(status(&mut provider, offer(WILLING)).await, SUSPENDED, "{kind}");
        assert_eq!(status(&mut provider, notice(WILLING)).await, OK, "R13: {kind}");
        let again = stage.folder.run(&["measures", "suspend", kind, name, "--reason", "again"]);
        assert!(again.code == Some(1) && again.stderr.contains("suspended already"), "{}", again.stderr);
        order(&stage, &["resume", kind, name, "--reason", "ticket 118"]);
    }
    assert_eq!(status(&mut provider, offer(WILLING)).await, OK);
    order(&stage, &["suspend", "sender", "bakery", "--reason", "ticket 119"]);
    let Stage { gate, folder, carrier } = stage;
    gate.kill();
    let stage = Stage { gate: folder.start(), folder, carrier };
    stage.gate.await_log("measure in force from before");
    let mut provider = stage.herald().await;
    assert_eq!(status(&mut provider, offer(WILLING)).await, SUSPENDED, "after a crash");
    let found = stage.folder.sent_to(WILLING).pop().expect("a record");
    assert_eq!((found.verdict.as_str(), found.findings[0].rule.as_str()), ("reject", "R25"));
    assert!(found.findings[0].why.contains("sender bakery is suspended: ticket 119"), "{}", found.findings[0].why);
    let message = ["judge", "--source", COMMERCIAL_PORT, "--destination", WILLING, "--text", OFFER];
    let judged = stage.folder.run(&message).ok();
    assert!(judged.contains("ticket 119") && judged.contains("0x0000048e"), "a dry run knows: {judged}");
    let shown = stage.folder.run(&["status"]).ok();
    assert!(shown.contains("sender bakery: suspend by operator") && shown.contains("ticket 119"), "{shown}");
    let taken: Vec<_> = steps(&stage.folder).into_iter().map(|(_, step, by)| (step, by)).collect();
    let expected = ["suspend", "resume", "suspend", "resume", "suspend", "resume", "suspend"];
    assert_eq!(taken, expected.map(|step| (step.to_owned(), "operator".to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_stopped_only_where_the_operator_says_so() {
    let (stage, mut provider) = begun("").await;
    order(&stage, &["suspend", "provider", "herald", "--everything", "--reason", "account taken over"]);
    assert_eq!(status(&mut provider, notice(WILLING)).await, SUSPENDED);
    assert_eq!(status(&mut provider, offer(WILLING)).await, SUSPENDED);
    order(&stage, &["resume", "provider", "herald", "--reason", "given back"]);
    assert_eq!(status(&mut provider, notice(WILLING)).await, OK);
    let unknown = stage.folder.run(&["measures", "suspend", "sender", "bakry", "--reason", "x"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("did you mean \"bakery\"?"), "{}", unknown.stderr);
    let free = stage.folder.run(&["measures", "resume", "sender", "bakery", "--reason", "x"]);
    assert!(free.code == Some(1) && free.stderr.contains("is under no measure"), "{}", free.stderr);
}

/// Without a running gate the store itself takes the order; losing the file loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_reach_the_store_and_the_journal_stands_in_for_the_file() {
    let (stage, provider) = begun("").await;
    drop(provider);
    let Stage { gate, folder, carrier } = stage;
    gate.stop();
    folder.run(&["measures", "suspend", "port", COMMERCIAL_PORT, "--reason", "by night"]).ok();
    let listed = folder.run(&["measures", "list"]).ok();
    assert!(listed.contains("suspend by operator") && listed.contains("by night"), "{listed}");
    let file = folder.config().data.join("measures.json");
    std::fs::write(&file, "{").expect("a file to damage");
    let refused = folder.run(&["measures", "list"]);
    let says = refused.stderr.contains("measures.json") && refused.stderr.contains("restore the file, or remove it");
    assert!(refused.code != Some(0) && says, "a suspension may be in it: {}", refused.stderr);
    std::fs::remove_file(&file).expect("a file to remove");
    let gate = folder.start();
    let mut provider = Provider::bound(gate.address, "herald", "s3cret").await;
    assert_eq!(status(&mut provider, offer(WILLING)).await, SUSPENDED);
    drop(provider);
    gate.stop();
    drop(carrier);
}

const REJECTS: &str = "[profile.measures]\nslow_rate = 1\ncalm_after = \"1h\"\n\
    rejects = { window = \"1h\", minimum = 4, alert = \"20%\", slow = \"40%\", suspend = \"60%\" }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejects_warn_then_slow_down_then_suspend() {
    let (stage, mut provider) = begun(REJECTS).await;
    for _ in 0..3 {
        assert_eq!(status(&mut provider, offer(WILLING)).await, OK);
    }
    // 1 of 4 is 25%.
    assert_eq!(status(&mut provider, offer(SILENT)).await, NO_CONSENT);
    await_step(&stage, Kind::Port, Step::Alert);
    assert_eq!(status(&mut provider, offer(WILLING)).await, OK, "an alert stops nothing");
    // 3 of 7 is 43%.
    assert_eq!(status(&mut provider, offer(SILENT)).await, NO_CONSENT);
    assert_eq!(status(&mut provider, offer(SILENT)).await, NO_CONSENT);
    await_step(&stage, Kind::Port, Step::Slow);
    await_step(&stage, Kind::Provider, Step::Slow);
    let mut tries = 0;
    while status(&mut provider, offer(WILLING)).await != TOO_FAST {
        tries += 1;
        assert!(tries < 10_000, "never too fast");
    }
    assert_eq!(status(&mut provider, notice(WILLING)).await, OK, "R13");
    // Whatever passed meanwhile: more than 60% are rejects now.
    for _ in 0..2 * (tries + 20) {
        let answer = status(&mut provider, offer(SILENT)).await;
        assert!([NO_CONSENT, SUSPENDED].contains(&answer), "{answer:?}");
    }
    await_step(&stage, Kind::Port, Step::Suspend);
    await_step(&stage, Kind::Provider, Step::Suspend);
    await_step(&stage, Kind::Sender, Step::Suspend);
    assert_eq!(status(&mut provider, offer(WILLING)).await, SUSPENDED);
    assert_eq!(status(&mut provider, notice(WILLING)).await, OK, "R13");
    let of_port: Vec<String> =
        steps(&stage.folder).into_iter().filter(|step| step.0.starts_with("port")).map(|step| step.1).collect();
    assert_eq!(of_port, ["alert", "slow", "suspend"], "each step with its record, in order");
    stage.gate.await_log("step=\"suspend\"");
    let totals = stage.folder.status().steps;
    assert_eq!((totals.alerts, totals.slowed, totals.suspended, totals.resumed), (3, 3, 3, 0));
    let Stage { gate, folder, carrier } = stage;
    drop(provider);
    gate.kill();
    let stage = Stage { gate: folder.start(), folder, carrier };
    let mut provider = stage.herald().await;
    assert_eq!(status(&mut provider, offer(WILLING)).await, SUSPENDED, "after a crash");
    // Resumed by hand it counts anew, and does not fall back at once.
    for (kind, name) in [("provider", "herald"), ("sender", "bakery"), ("port", COMMERCIAL_PORT)] {
        order(&stage, &["resume", kind, name, "--reason", "talked to"]);
    }
    assert_eq!(status(&mut provider, offer(WILLING)).await, OK);
    assert!(stage.folder.status().measures.is_empty());
}

/// A part that was told to be accepted waits with the part that is told to come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_slowed_down_loses_no_acknowledged_part() {
    let more =
        "[profile.measures]\nslow_rate = 1\nbursts = { alert = 2, slow = 3 }\n[long_messages]\ntimeout = \"60s\"";
    let stage = Stage::with_herald("long_messages = \"acknowledge\"", more).await;
    stage.consent(WILLING);
    let mut provider = stage.herald().await;
    for _ in 0..3 {
        assert_eq!(status(&mut provider, offer(WILLING)).await, OK);
    }
    await_step(&stage, Kind::Provider, Step::Slow);
    let text = "[Bakery] Meet the bakers at the harvest fair. Call 400-000-0077. Reply TD to unsubscribe";
    // A second that passes at the wrong moment earns a message: then it is tried with another one.
    let mut reference = 0;
    let last = loop {
        reference += 1;
        let long = Long { from: COMMERCIAL_PORT, to: WILLING, text, reference, form: Form::Udh8 };
        let [first, last]: [_; 2] = long.parts_with_receipts(60).try_into().expect("two parts");
        assert_eq!(status(&mut provider, first).await, OK, "acknowledged");
        while status(&mut provider, offer(WILLING)).await == OK {}
        if status(&mut provider, last.clone()).await == TOO_FAST {
            break last;
        }
    };
    let before = stage.carrier.received().len();
    loop {
        match status(&mut provider, last.clone()).await {
            OK => break,
            answer => assert_eq!(answer, TOO_FAST),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let arrived = async {
        while stage.carrier.received().len() < before + 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(gate::PATIENCE, arrived).await.expect("both parts at the carrier");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_ends_a_slow_down_and_that_is_recorded() {
    let rejects =
        REJECTS.replace("calm_after = \"1h\"", "calm_after = \"1s\"").replace("window = \"1h\"", "window = \"8s\"");
    let (stage, mut provider) = begun(&rejects.replace("60%", "off")).await;
    for to in [WILLING, WILLING, SILENT, SILENT] {
        status(&mut provider, offer(to)).await;
    }
    await_step(&stage, Kind::Port, Step::Slow);
    stage.folder.await_status("over", |status| status.measures.is_empty());
    let of_port: Vec<(String, String)> = steps(&stage.folder)
        .into_iter()
        .filter(|step| step.0.starts_with("port"))
        .map(|(_, step, by)| (step, by))
        .collect();
    assert_eq!(of_port.last(), Some(&("resume".to_owned(), "gate".to_owned())), "{of_port:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_one_new_text_is_noticed_whatever_names_and_figures_are_in_it() {
    let bursts = "[profile.measures]\nbursts = { window = \"1h\", alert = 6, suspend = 12 }";
    let (stage, mut provider) = begun(bursts).await;
    for n in 0..5 {
        let text =
            OFFER.replace("Saturday", ["Saturday", "Sunday"][n % 2]).replace("half price", &format!("at {n} yuan"));
        assert_eq!(status(&mut provider, submit(COMMERCIAL_PORT, WILLING, &text)).await, OK);
        let other = format!(
            "[Bakery] {}. Call 400-000-0077. Reply TD to unsubscribe",
            [
                "Coffee is free with every breakfast",
                "Our new shop on Market Street opens",
                "Birthday cakes to order until noon",
                "Rye rolls and pretzels from the stone oven",
                "Meet the bakers at the harvest fair"
            ][n]
        );
        assert_eq!(status(&mut provider, submit(COMMERCIAL_PORT, WILLING, &other)).await, OK);
    }
    assert!(stage.folder.status().measures.is_empty(), "ten messages of six texts are no burst");
    assert_eq!(status(&mut provider, offer(WILLING)).await, OK);
    await_step(&stage, Kind::Sender, Step::Alert);
    for _ in 0..7 {
        status(&mut provider, offer(WILLING)).await;
    }
    await_step(&stage, Kind::Sender, Step::Suspend);
    assert_eq!(status(&mut provider, offer(WILLING)).await, SUSPENDED);
    assert_eq!(status(&mut provider, notice(WILLING)).await, OK);
}

/// One-time passwords are one text to many: that is no burst.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_messages_are_no_burst_and_what_is_observed_stops_nothing() {
    let more = "[profile]\nR25 = \"observe\"\n[profile.measures]\nbursts = { alert = 2, suspend = 3 }";
    let (stage, mut provider) = begun(more).await;
    for _ in 0..10 {
        assert_eq!(status(&mut provider, notice(WILLING)).await, OK);
    }
    order(&stage, &["suspend", "port", SERVICE_PORT, "--reason", "x"]);
    assert_eq!(stage.folder.status().measures.len(), 1, "that one only");
    for _ in 0..3 {
        assert_eq!(status(&mut provider, offer(WILLING)).await, OK);
    }
    await_step(&stage, Kind::Port, Step::Suspend);
    stage.folder.await_status("all three", |status| {
        status.measures.iter().filter(|measure| measure.step == Step::Suspend).count() == 4
    });
    assert_eq!(status(&mut provider, offer(WILLING)).await, OK);
    let found = stage.folder.sent_to(WILLING).pop().expect("a record");
    assert_eq!((found.findings[0].rule.as_str(), found.findings[0].effect.as_str()), ("R25", "observed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_complaint_finds_its_message_and_counts_against_who_sent_it() {
    let more = "[profile.measures]\ncomplaints = { window = \"24h\", minimum = 2, alert = \"1%\", suspend = \"50%\" }";
    let (stage, mut provider) = begun(more).await;
    stage.consent(SILENT);
    for to in [WILLING, SILENT] {
        assert_eq!(status(&mut provider, offer(to)).await, OK);
        assert_eq!(status(&mut provider, notice(to)).await, OK);
    }
    let at = stage.folder.sent_to(WILLING)[0].received.to_string();
    let plea = |msisdn: &str, more: &[&str]| {
        let open = ["complaint", "open", "--whole", "--msisdn", msisdn, "--about", &at, "--json"];
        let said = stage.folder.run(&[&open, more].concat()).ok();
        serde_json::from_str::<serde_json::Value>(said.trim()).expect("JSON")
    };
    let first = plea(WILLING, &["--text", "all bread HALF price", "--reference", "12321-7"]);
    assert_eq!(first["messages"].as_array().map(Vec::len), Some(1), "{first}");
    assert_eq!(first["messages"][0], stage.folder.sent_to(WILLING)[0].id.as_str());
    let against = serde_json::json!([["provider", "herald"], ["sender", "bakery"], ["port", COMMERCIAL_PORT]]);
    assert_eq!(first["against"], against);
    let second = plea(WILLING, &["--port", COMMERCIAL_PORT]);
    assert_eq!(second["repeats"], first["id"], "the same subscriber and message");
    assert!(stage.folder.status().measures.is_empty(), "one complaint is no rate");

    let Stage { gate, folder, carrier } = stage;
    drop(provider);
    gate.kill();
    let stage = Stage { gate: folder.start(), folder, carrier };
    let third = [
        "complaint",
        "open",
        "--whole",
        "--msisdn",
        SILENT,
        "--about",
        &at,
        "--sender",
        "bakery",
        "--port",
        "106900077700011",
    ];
    let said = stage.folder.run(&third).ok();
    assert!(said.contains("counts against provider herald, sender bakery, port 10690007770001"), "{said}");
    // Two about at most four messages: by the first alone, before the crash, it would not be one.
    await_step(&stage, Kind::Port, Step::Suspend);
    let listed = stage.folder.run(&["complaint", "list", "--whole"]).ok();
    assert_eq!(listed.lines().filter(|line| line.contains("complains of")).count(), 3, "{listed}");
    assert!(listed.contains("12321-7") && listed.contains("counted before"), "{listed}");
    let mut provider = stage.herald().await;
    assert_eq!(status(&mut provider, offer(WILLING)).await, SUSPENDED);
    assert_eq!(status(&mut provider, notice(WILLING)).await, OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_suspended_or_resumed_that_cannot_be_recorded() {
    let (stage, mut provider) = begun("").await;
    assert_eq!(status(&mut provider, offer(WILLING)).await, OK);
    let journal = stage.folder.config().data.join("journal");
    std::fs::rename(&journal, journal.with_extension("away")).expect("a journal to take away");
    std::fs::write(&journal, "in the way").expect("a file in its place");
    assert_eq!(status(&mut provider, notice(WILLING)).await, OK);
    stage.gate.await_log("the journal cannot write");
    let refused = stage.folder.run(&["measures", "suspend", "port", COMMERCIAL_PORT, "--reason", "x"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("nothing was changed"), "{}", refused.stderr);
    assert!(stage.folder.status().measures.is_empty());
}
