//! `portcullis explain` on real records: messages of every kind, replies, and what leads to them.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "explain/scene.rs"]
mod scene;

use portcullis::admin::api::Line;
use portcullis::admin::api::Request;
use portcullis::admin::entries::Page;
use portcullis::clock;
use portcullis::gate::evidence::{Found, Query};
use portcullis::gate::record::Record;
use portcullis_protocol::pdu::{DeliverSm, Destination};
use portcullis_protocol::{CommandStatus, Pdu};
use serde_json::Value;

use gate::PATIENCE;
use provider::{OK, encoded, message_id, source, submit, subscriber};
use scene::{
    COMMERCIAL, NO_PHONE, NOTICE, OFFER, SERVICE, SILENT, Scene, UNWILLING, WILLING, explained, multi, replacement,
};

/// The account of one rule.
fn rule<'v>(account: &'v Value, id: &str) -> &'v Value {
    let rules = account["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["rule"] == id).unwrap_or_else(|| panic!("no {id}: {account:#}"))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_accounted_for_rule_by_rule() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.send(submit(COMMERCIAL, SILENT, NO_PHONE)).await, CommandStatus(0x0484));
    let record = scene.last_to(SILENT);
    let account = scene.explained(&record.id);
    assert_eq!(account["rules"].as_array().map(Vec::len), Some(26), "every rule");
    for (id, outcome, why) in [
        ("R01", "passed", "sane form"),
        ("R04", "passed", "qinghe"),
        ("R05", "passed", "青禾鲜生"),
        ("R06", "failed", "no contact phone"),
        ("R07", "passed", "keyword R, honoured"),
        ("R09", "failed", "has not agreed"),
        ("R10", "passed", "its port is"),
        ("R13", "does not apply", "not sheltered"),
        ("R18", "passed", "no hours"),
        ("R23", "elsewhere", "reply"),
    ] {
        let told = rule(&account, id);
        assert_eq!(text(told, "outcome"), outcome, "{told:#}");
        assert!(text(told, "why").contains(why), "{told:#}");
        assert!(!text(told, "article").is_empty() && !text(told, "sentence").is_empty());
    }
    let labels: Vec<&str> =
        account["spans"].as_array().expect("spans").iter().map(|span| text(span, "label")).collect();
    assert_eq!(labels, ["signature", "opt-out"]);
    let opt_out = &account["spans"][1];
    let place = |key: &str| opt_out[key].as_u64().and_then(|at| usize::try_from(at).ok()).expect("a place");
    assert_eq!(&NO_PHONE[place("start")..place("end")], "拒收请回复R");
    assert_eq!(account["judged_by"]["is_same"], true);
    assert!(account["again"].as_array().expect("verdicts").iter().all(|again| again["is_same"] == true), "{account:#}");

    let printed = scene.folder.run(&["explain", "--whole", &record.id]).ok();
    assert!(printed.contains("⟦signature 【青禾鲜生】⟧") && printed.contains("⟦opt-out 拒收请回复R⟧"), "{printed}");
    assert!(printed.contains("R06 phone") && printed.contains("Art 19"), "{printed}");

    scene.send(submit(SERVICE, SILENT, NOTICE)).await;
    let service = scene.explained(&scene.last_to(SILENT).id);
    for id in ["R06", "R07", "R09", "R11", "R18"] {
        assert_eq!(text(rule(&service, id), "outcome"), "does not apply", "{id}");
        assert!(text(rule(&service, id), "why").contains("R13"), "{id}");
    }
    assert!(text(&service, "class").starts_with("service"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consent_is_shown_as_it_was_known_then_and_as_it_is_known_today() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.send(submit(COMMERCIAL, WILLING, OFFER)).await, OK);
    let record = scene.last_to(WILLING);
    let before = scene.explained(&record.id);
    let standing = &before["standing"];
    assert_eq!((&standing["is_recorded"], &standing["is_same"]), (&true.into(), &true.into()), "{standing:#}");
    assert!(text(standing, "then").contains("2026-01-05T01:00:00Z"), "{standing:#}");
    assert_eq!(standing["then_by"][0]["evidence"], "form 12");
    assert_eq!(standing["then_by"][0]["method"], "web");
    assert_eq!(text(rule(&before, "R09"), "outcome"), "passed");

    // Said before the message, heard of after it.
    let refuse = ["consent", "refuse", "--msisdn", WILLING, "--sender", "qinghe", "--at", "2026-03-01T00:00:00Z"];
    scene.folder.run(&refuse).ok();
    let Scene { folder, gate, provider, carrier: _carrier, .. } = scene;
    drop(provider);
    assert!(gate.stop().success());
    let after = explained(folder.run(&["explain", "--whole", &record.id, "--json"]));
    let standing = &after["standing"];
    assert_eq!(standing["is_same"], false, "{standing:#}");
    assert_eq!(standing["then_by"][0]["evidence"], "form 12", "what it rested on is still shown");
    assert!(text(standing, "today").contains("refusal of 2026-03-01"), "{standing:#}");
    let [then, today, now] = after["again"].as_array().expect("verdicts").as_slice() else { panic!("{after:#}") };
    assert_eq!((&then["is_same"], &then["verdict"]), (&true.into(), &"forward".into()));
    assert_eq!((&today["is_same"], &today["verdict"]), (&false.into(), &"reject".into()));
    assert!(today["differs"].to_string().contains("R11 failed now"), "{today:#}");
    assert_eq!(now["verdict"], "reject");
    assert_eq!(text(rule(&after, "R11"), "outcome"), "passed", "as it was judged");
    let printed = folder.run(&["explain", "--whole", &record.id]).ok();
    assert!(printed.contains("form 12") && printed.contains("today  a refusal"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_profile_shows_what_it_changes() {
    let mut scene = Scene::new().await;
    scene.send(submit(COMMERCIAL, WILLING, NO_PHONE)).await;
    let record = scene.last_to(WILLING);
    let carrier = scene.carrier.address();
    scene.folder.configure("", carrier, "[profile]\nbase = \"cn-2015-31\"");
    let account = scene.explained(&record.id);
    assert_eq!(account["judged_by"]["is_same"], false);
    let phone = rule(&account, "R06");
    assert_eq!((text(phone, "outcome"), text(phone, "why")), ("failed", "the text has no contact phone"));
    assert!(text(phone, "now").starts_with("passed"), "{phone:#}");
    assert_eq!(account["again"][0]["verdict"], "forward");
    assert!(account["again"][0]["differs"].to_string().contains("R06 failed no longer"), "{account:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_request_is_accounted_for() {
    let mut scene = Scene::new().await;
    let to = [WILLING, UNWILLING, SILENT].map(|number| Destination::Sme(subscriber(number)));
    scene.send(multi(&to, OFFER)).await;
    let account = scene.explained(&scene.last_to(UNWILLING).id);
    let others: Vec<&str> =
        account["others"].as_array().expect("others").iter().map(|o| text(o, "destination")).collect();
    assert_eq!(others, [WILLING, SILENT], "{account:#}");
    assert!(text(rule(&account, "R11"), "why").contains("2026-02-05"));

    assert_eq!(scene.send_parts(OFFER, 2, 2).await, OK);
    let long = scene.last_to(WILLING);
    let account = scene.explained(&long.id);
    assert_eq!(account["message"]["parts"].as_array().map(Vec::len), Some(2), "{account:#}");
    assert_eq!(account["again"][0]["is_same"], true);

    let answer = scene.provider.ask(submit(COMMERCIAL, WILLING, OFFER)).await;
    let id = message_id(&answer).expect("the carrier's id");
    let named = explained(scene.folder.run(&["explain", "--whole", "--message-id", &id, "--json"]));
    assert_eq!(named["message"]["id"], scene.last_to(WILLING).id);
    assert_eq!(named["message"]["outcome"]["message_id"], id);
    scene.send(replacement(&id, NO_PHONE)).await;
    let replaced = scene.explained(&scene.last_to(WILLING).id);
    assert_eq!(replaced["message"]["operation"], "replace_sm");
    assert_eq!(text(rule(&replaced, "R06"), "outcome"), "failed");

    scene.send_unjudged().await;
    let mut turned_away = scene.folder.find(Query::default()).into_iter().filter_map(|found| match found {
        Found::Message(message) if message.class.is_empty() => Some(message.id),
        _ => None,
    });
    let first = turned_away.next().expect("a request that was turned away");
    let account = scene.explained(&first);
    assert!(text(&account, "unjudged").contains("schedule_delivery_time"), "{account:#}");
    let incomplete = turned_away.next().expect("an incomplete one");
    assert!(text(&scene.explained(&incomplete), "unjudged").starts_with("never whole"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_accounted_for_with_what_it_answered() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.send(submit(COMMERCIAL, WILLING, OFFER)).await, OK);
    let (data_coding, octets) = encoded("R");
    let reply = DeliverSm {
        source: subscriber(WILLING),
        destination: source(COMMERCIAL),
        data_coding,
        short_message: &octets,
        ..DeliverSm::default()
    };
    assert!(scene.carrier.deliver("agg1", Pdu::DeliverSm(reply).to_frame(OK, 0)).await, "a bind to deliver to");
    // The receipt of the message comes as well, in no order.
    while scene.provider.request().await.body().windows(3).any(|octets| octets == b"id:") {}
    // What it was taken for is written before the reply goes on, and on disk soon after.
    let end = clock::monotonic() + PATIENCE;
    let id = loop {
        let found = scene.folder.find(Query { to: Some(WILLING.to_owned()), ..Query::default() });
        let taken = found.into_iter().find_map(|found| match found {
            Found::Delivery(delivery) if delivery.taken.is_some() => Some(delivery.id),
            _ => None,
        });
        if let Some(id) = taken {
            break id;
        }
        assert!(clock::monotonic() < end, "the reply is taken for nothing");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let account = scene.explained(&id);
    assert!(text(&account, "taken").starts_with("R23 mo-refusal (Art 16, 19)"), "{account:#}");
    assert_eq!(account["answers"]["text"], OFFER);
    assert!(text(&account, "again").contains("refuses the port's sender"));
    assert_eq!(account["events"][0]["method"], "mo", "{account:#}");
}

/// Whatever the journal holds is explained, or leads to what is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_of_the_journal_has_its_account() {
    let mut scene = Scene::new().await;
    scene.send_operations().await;
    scene.send_unjudged().await;
    let lines = scene.folder.ask(&Request::Entries(Page { limit: 1000, ..Page::default() }));
    let entries =
        lines.into_iter().flat_map(|line| if let Line::Entries(entries) = line { entries } else { Vec::new() });
    let mut kinds = std::collections::BTreeSet::new();
    for entry in entries {
        let (id, payload) = entry.read().expect("an entry");
        let record = Record::decode(&payload).expect("a record");
        let kind = format!("{record:?}").split('(').next().unwrap_or_default().to_owned();
        // One of each kind through a process of its own; messages all have theirs judged again in the replay.
        if kinds.insert(kind) {
            let account = scene.explained(&id.to_string());
            assert!(account["kind"].is_string(), "{id}: {account:#}");
        }
    }
    assert!(kinds.len() >= 5, "{kinds:?}");
    let missing = scene.folder.run(&["explain", "20200101-000000001"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("no record 20200101-000000001"), "{}", missing.stderr);
    let nonsense = scene.folder.run(&["explain", "last"]);
    assert!(nonsense.code == Some(1) && nonsense.stderr.contains("20261124-000000123"), "{}", nonsense.stderr);
}
