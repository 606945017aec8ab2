//! R19: how often a sender writes to a number.

use std::num::NonZeroU64;

use portcullis::simulator::{Answers, Faults};
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass};
use portcullis_protocol::text::ucs2;
use portcullis_protocol::{CommandStatus, Frame};

use crate::gate::Folder;
use crate::provider::{OK, Provider, message_id, submit};
use crate::replace::replacement;
use crate::scene::{
    COMMERCIAL, OTHER_PORT, REGISTER, SERVICE, Scene, TOO_OFTEN, WILLING, WILLING_TOO, offer, offer_with, sent, text,
};
use crate::schedule::in_seconds;

const TWICE: &str = "[profile]\nfrequency = \"2/day\"";
const ONCE: &str = "[profile]\nfrequency = \"1/day\"";

#[tokio::test]
async fn no_more_than_the_profile_allows_over_all_ports_and_binds() {
    let scene = Scene::start(TWICE).await;
    let (mut one, mut other) = (scene.provider().await, scene.provider().await);
    assert_eq!(sent(&mut one, offer(WILLING, 1)).await, OK);
    assert_eq!(sent(&mut other, submit(OTHER_PORT, WILLING, &text(1))).await, OK, "another message");
    assert_eq!(sent(&mut one, offer(WILLING, 3)).await, TOO_OFTEN);
    assert_eq!(sent(&mut other, submit(OTHER_PORT, WILLING, &text(4))).await, TOO_OFTEN);
    assert_eq!(sent(&mut one, offer(WILLING_TOO, 3)).await, OK, "another number");
    let code = submit(SERVICE, WILLING, "[Bakery] Your order 4711 is ready.");
    assert_eq!(sent(&mut one, code).await, OK, "R13: a service message is not counted");
    let record = scene.folder.sent_to(WILLING).into_iter().find(|record| record.verdict == "reject").expect("one");
    let why = &record.findings.iter().find(|finding| finding.rule == "R19").expect("R19").why;
    assert_eq!(why, "the profile allows 2 a day and 2 went to the recipient in this one");
}

#[tokio::test]
async fn neither_kill_nor_restart_forgets() {
    let mut scene = Scene::start(TWICE).await;
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, OK);
    scene.kill_and_restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 2)).await, OK);
    scene.restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 3)).await, TOO_OFTEN);
    scene.kill_and_restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 4)).await, TOO_OFTEN);
}

/// Of many that come over several binds at once, exactly as many pass as may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_place_is_given_once() {
    let scene = Scene::start(TWICE).await;
    let mut tasks = Vec::new();
    for bind in 0..4 {
        let mut provider = scene.provider().await;
        tasks.push(tokio::spawn(async move {
            for n in 0..25 {
                provider.send(offer(WILLING, bind * 100 + n)).await;
            }
            let mut passed = 0;
            for _ in 0..25 {
                match provider.read().await.expect("an answer").command_status() {
                    OK => passed += 1,
                    status => assert_eq!(status, TOO_OFTEN),
                }
            }
            passed
        }));
    }
    let mut passed = 0;
    for task in tasks {
        passed += task.await.expect("a task");
    }
    assert_eq!(passed, 2);
    assert_eq!(scene.carrier.counts().messages, 2);
}

#[tokio::test]
async fn what_does_not_arrive_does_not_count() {
    let scene = Scene::start(ONCE).await;
    let mut provider = scene.provider().await;
    let nobody = submit("10690007770001", WILLING, "[Bakery] Half price today. Reply TD to unsubscribe");
    assert_eq!(sent(&mut provider, nobody).await, CommandStatus(0x0484), "a rejected message");
    for status in [CommandStatus::ESME_RINVDSTADR, CommandStatus::ESME_RTHROTTLED, CommandStatus::ESME_RMSGQFUL] {
        let refuse_every = Some((NonZeroU64::MIN, status));
        scene.carrier.set_faults(Faults { refuse_every, ..Faults::default() });
        assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, status);
    }
    scene.carrier.set_faults(Faults::default());
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, OK);
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, TOO_OFTEN, "it has arrived: the same again is another");
}

/// The carrier may have it or not: the same again takes its place, another does not find one.
#[tokio::test]
async fn the_same_after_a_time_out_counts_once() {
    let settings = format!("response_timeout = \"300ms\"\n{ONCE}");
    let mut scene = Scene::start(&settings).await;
    let mut provider = scene.provider().await;
    scene.carrier.set_faults(Faults { answers: Answers::Never, ..Faults::default() });
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, CommandStatus::ESME_RSYSERR);
    assert_eq!(sent(&mut provider, offer(WILLING, 2)).await, TOO_OFTEN);
    scene.kill_and_restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 2)).await, TOO_OFTEN);
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, CommandStatus::ESME_RSYSERR, "again without an answer");
    scene.carrier.set_faults(Faults::default());
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, OK);
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, TOO_OFTEN);
}

#[tokio::test]
async fn the_same_after_the_carrier_was_lost_counts_once() {
    let scene = Scene::start(ONCE).await;
    let mut provider = scene.provider().await;
    scene.carrier.set_faults(Faults { close_on_submit: NonZeroU64::new(1), ..Faults::default() });
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, CommandStatus::ESME_RSYSERR);
    scene.carrier.set_faults(Faults::default());
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 2)).await, TOO_OFTEN);
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, OK);
}

fn part(to: &str, number: u8, text: &str) -> Frame {
    let octets = [&[5, 0, 3, 9, 2, number], &ucs2::encode(text)[..]].concat();
    offer_with(to, 0, |pdu| {
        pdu.esm_class = EsmClass::UDHI;
        pdu.data_coding = DataCoding::UCS2;
        pdu.short_message = octets.leak();
    })
}

async fn both(provider: &mut Provider, to: &str) -> [CommandStatus; 2] {
    let first = provider.send(part(to, 1, "【麦香坊】新炉面包今日出炉，全场八折，欢迎到店选购。")).await;
    let second = provider.send(part(to, 2, "订购热线400-000-0077，拒收请回复R")).await;
    [provider.answer_to(first).await.command_status(), provider.answer_to(second).await.command_status()]
}

#[tokio::test]
async fn the_parts_of_a_message_count_once() {
    let scene = Scene::start(&format!("{TWICE}\n[long_messages]\npatience = \"9s\"")).await;
    let mut provider = scene.provider().await;
    assert_eq!(both(&mut provider, WILLING).await, [OK, OK]);
    assert_eq!(both(&mut provider, WILLING).await, [OK, OK]);
    assert_eq!(both(&mut provider, WILLING).await, [TOO_OFTEN, TOO_OFTEN]);
}

#[tokio::test]
async fn observed_it_only_says_what_it_would_have_done() {
    let scene = Scene::start("[profile]\nfrequency = \"1/day\"\nR19 = \"observe\"").await;
    let mut provider = scene.provider().await;
    for n in 0..3 {
        assert_eq!(sent(&mut provider, offer(WILLING, n)).await, OK);
    }
    let observed = scene.folder.sent_to(WILLING).into_iter().flat_map(|record| record.findings);
    assert_eq!(observed.filter(|finding| finding.rule == "R19" && finding.effect == "observed").count(), 2);
}

#[tokio::test]
async fn a_consent_has_a_frequency_of_its_own() {
    const SELDOM: &str = "8613900005555";
    let mut scene = Scene::start("").await;
    let consents = format!(
        "msisdn,sender,category,status,at,method,evidence,expires_at,frequency\n\
         {SELDOM},bakery,,consent,2026-01-05,web,form 14,,1/week\n"
    );
    scene.folder.feed(&["consent", "import", "-"], &consents).ok();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(SELDOM, 1)).await, OK);
    assert_eq!(sent(&mut provider, offer(SELDOM, 2)).await, TOO_OFTEN);
    assert_eq!(sent(&mut provider, offer(WILLING, 2)).await, OK, "who did not limit it is not limited");
    assert_eq!(sent(&mut provider, offer(WILLING, 3)).await, OK);
    let record = scene.folder.sent_to(SELDOM).into_iter().find(|record| record.verdict == "reject").expect("one");
    let why = &record.findings.iter().find(|finding| finding.rule == "R19").expect("R19").why;
    assert_eq!(why, "the consent allows 1 a week and 1 went to the recipient in this one");
    scene.kill_and_restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(SELDOM, 3)).await, TOO_OFTEN);
}

/// Each gives back its own place: the one that arrived keeps counting.
#[tokio::test]
async fn of_two_that_are_the_same_the_refused_one_gives_its_place_back() {
    let scene = Scene::start(TWICE).await;
    let mut provider = scene.provider().await;
    let refuse_every = NonZeroU64::new(2).map(|every| (every, CommandStatus::ESME_RINVDSTADR));
    scene.carrier.set_faults(Faults { refuse_every, ..Faults::default() });
    let (one, other) = (provider.send(offer(WILLING, 1)).await, provider.send(offer(WILLING, 1)).await);
    assert_eq!(provider.answer_to(one).await.command_status(), OK);
    assert_eq!(provider.answer_to(other).await.command_status(), CommandStatus::ESME_RINVDSTADR);
    scene.carrier.set_faults(Faults::default());
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, OK);
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, TOO_OFTEN);
}

/// What is scheduled counts on its day and once, whatever replaced it.
#[tokio::test]
async fn a_kill_moves_nothing_to_another_day() {
    let mut scene = Scene::start(TWICE).await;
    let later = |n: u32| {
        let at = in_seconds(2 * 86_400).leak();
        offer_with(WILLING, n, |pdu| pdu.schedule_delivery_time = COctetString(at.as_bytes()))
    };
    let mut provider = scene.provider().await;
    let id = message_id(&provider.ask(later(1)).await).expect("an id");
    assert_eq!(sent(&mut provider, replacement(&id, COMMERCIAL, &text(2), "")).await, OK);
    scene.kill_and_restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, later(3)).await, OK, "the second of that day");
    assert_eq!(sent(&mut provider, later(4)).await, TOO_OFTEN);
    assert_eq!(sent(&mut provider, offer(WILLING, 5)).await, OK);
    assert_eq!(sent(&mut provider, offer(WILLING, 6)).await, OK);
    assert_eq!(sent(&mut provider, offer(WILLING, 7)).await, TOO_OFTEN);
}

#[tokio::test]
async fn a_kill_does_not_count_a_repetition_beside_what_it_repeats() {
    let mut scene = Scene::start(&format!("response_timeout = \"300ms\"\n{TWICE}")).await;
    let mut provider = scene.provider().await;
    scene.carrier.set_faults(Faults { answers: Answers::Never, ..Faults::default() });
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, CommandStatus::ESME_RSYSERR);
    scene.carrier.set_faults(Faults::default());
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, OK);
    scene.kill_and_restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 2)).await, OK);
    assert_eq!(sent(&mut provider, offer(WILLING, 3)).await, TOO_OFTEN);
    scene.kill_and_restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 3)).await, TOO_OFTEN, "nor does another");
}

#[tokio::test]
async fn a_new_id_of_a_sender_does_not_begin_anew() {
    let mut scene = Scene::start(ONCE).await;
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, OK);
    let renamed = REGISTER
        .replace("id = \"bakery\"", "id = \"mill\"\nformer_ids = [\"bakery\"]")
        .replace("sender = \"bakery\"", "sender = \"mill\"");
    scene.folder.write_register(&renamed);
    scene.restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 2)).await, TOO_OFTEN);
    assert_eq!(sent(&mut provider, offer(WILLING_TOO, 3)).await, OK);
}

/// What cannot be counted waits with the provider (R26), what need not be counted goes on; no restart is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_counts_are_gone_only_what_counts_waits() {
    let scene = Scene::start(TWICE).await;
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 1)).await, OK);
    let file = scene.folder.config().data.join("sends/db/db");
    let away = scene.folder.path().join("away");
    std::fs::rename(&file, &away).expect("a file to move");
    assert_eq!(sent(&mut provider, offer(WILLING, 2)).await, OK, "nothing tells of it yet");
    scene.gate().await_log("the counts failed");
    assert_eq!(sent(&mut provider, offer(WILLING_TOO, 3)).await, CommandStatus::ESME_RX_T_APPN);
    assert_eq!(sent(&mut provider, offer(WILLING, 3)).await, TOO_OFTEN, "memory knows it");
    let code = submit(SERVICE, WILLING_TOO, "[Bakery] Your order 4711 is ready.");
    assert_eq!(sent(&mut provider, code).await, OK, "R13: not counted, not stopped");
    std::fs::rename(&away, &file).expect("a file to move back");
    scene.gate().await_log("the counts are open again");
    assert_eq!(sent(&mut provider, offer(WILLING_TOO, 3)).await, OK);
    assert_eq!(sent(&mut provider, offer(WILLING, 3)).await, TOO_OFTEN, "nothing is forgotten");
}

#[test]
fn a_bad_frequency_is_told_with_its_place() {
    let folder = Folder::new(REGISTER, std::net::SocketAddr::from(([127, 0, 0, 1], 2776)));
    for (setting, told) in [
        ("frequency = \"2/fortnight\"", "\"2/fortnight\" is not a number of messages, 1 to 255, and a period"),
        ("frequency = \"256/year\"", "\"256/year\" is not a number of messages, 1 to 255"),
        ("frequency = 2", "expected a string"),
        ("resubmission_window = \"1000h\"", "must be no longer than 744h"),
        ("schedule_at_most = \"soon\"", "\"soon\" is not a length of time"),
        ("validity_at_most = \"0s\"", "\"0s\" is not a length of time"),
        ("quiet_hours = \"late\"", "\"late\" is not the hours of delivery"),
    ] {
        folder.configure("", std::net::SocketAddr::from(([127, 0, 0, 1], 2776)), &format!("[profile]\n{setting}"));
        let said = folder.run(&["check"]);
        let key = setting.split(' ').next().expect("a key");
        assert_eq!(said.code, Some(1), "{setting}");
        let all = said.stdout + &said.stderr;
        assert!(all.contains(told) && all.contains("portcullis.toml:9") && all.contains(key), "{setting}: {all}");
    }
}
