//! What subscribers send back, through the running gate: refusals and consents are stored before
//! their reply is answered, and every reply reaches the provider unchanged.
//!
//! The samples of testdata/rulebook/replies-samples.jsonl are played with their context: the
//! message before each is really sent.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "long/parts.rs"]
mod parts;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[path = "replies/samples.rs"]
mod samples;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "replies/scene.rs"]
mod scene;
#[path = "replies/seams.rs"]
mod seams;

use portcullis::store::consents::{Held, Status};
use portcullis_protocol::field::EsmClass;
use portcullis_protocol::{CommandId, CommandStatus, Frame};

use gate::PATIENCE;
use parts::{Form, Long};
use provider::OK;
use samples::samples;
use scene::{ASK, COMMERCIAL, OFFERS_R, OTP, OTP_PORT, Reply, SUBSCRIBER, Scene};

const REFUSED: CommandStatus = CommandStatus(0x0482);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_samples_come_out_as_they_say() {
    for sample in samples() {
        let mut scene = Scene::new().await;
        // Messages on a commercial port need a consent, a request does not.
        let asks = sample.context.contains("S18");
        let held_before = if asks { Vec::new() } else { scene.consent_from_web() };
        if let Some((port, text)) = sample.before() {
            assert_eq!(scene.submit(port, &sample.source, text).await, OK, "{}", sample.id);
        }
        let receipt = sample.context == "esm_class receipt";
        let reply = Reply { from: &sample.source, to: &sample.destination, ..Reply::of(&sample.text) };
        let reply = Reply { esm_class: if receipt { EsmClass(4) } else { EsmClass(0) }, ..reply };
        scene.reply(&reply).await;
        let mut held = scene.held(&sample.source);
        held.retain(|row| !held_before.contains(row));
        let changes: Vec<_> = held.iter().map(|row| (row.sender.as_str(), row.status)).collect();
        assert_eq!(changes, sample.changes(), "{}", sample.id);
        for row in &held {
            assert_eq!(row.method, "mo", "{}", sample.id);
            assert!(row.evidence.contains(&sample.text), "{}: {}", sample.id, row.evidence);
            assert_eq!(row.evidence.contains(ASK), asks, "{}: {}", sample.id, row.evidence);
        }
        if sample.before().is_some_and(|(port, _)| port == OTP_PORT) {
            assert_eq!(scene.submit(OTP_PORT, &sample.source, OTP).await, OK, "service messages go on");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_applies_from_its_answer_on_and_its_evidence_is_in_the_journal() {
    let mut scene = Scene::new().await;
    scene.consent_from_web();
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, OK);
    let forwarded = scene.forwarded(&Reply::of("R")).await;
    let is_refused = |held: &[Held]| held.iter().any(|row| row.status == Status::Refusal);
    assert!(is_refused(&scene.held(SUBSCRIBER)), "stored before the provider, and so the carrier, has any answer");
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, REFUSED);
    let answer = Frame::new(CommandId::DELIVER_SM_RESP, OK, forwarded.sequence_number(), &[0]);
    scene.write(&answer).await;
    let taken = scene.meaning().await;
    let replies = scene.replies();
    assert_eq!((taken.rule.as_str(), taken.effect.as_str()), ("R23", "refused"));
    assert_eq!(taken.senders, ["qinghe"]);
    let held = scene.held(SUBSCRIBER);
    let refusal = held.iter().find(|row| row.status == Status::Refusal).expect("a refusal");
    assert_eq!(refusal.evidence, format!("reply {}: R", replies[0].id));
    assert_eq!(refusal.at_ms, replies[0].received.as_millisecond());
    let sent = scene.folder.sent_to(SUBSCRIBER);
    assert_eq!(taken.answers.as_deref(), Some(sent[0].id.as_str()));
    assert_eq!(scene.folder.status().totals.refusals, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_outlives_a_kill_right_after_its_answer() {
    let mut scene = Scene::new().await;
    scene.consent_from_web();
    scene.reply(&Reply::of("退订")).await;
    scene.kill_and_start_again().await;
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, REFUSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_consent_opens_the_port_for_its_term_and_a_repeated_yes_changes_nothing() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, ASK).await, OK);
    scene.reply(&Reply::of("Ｙ。")).await;
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, OK);
    let first = scene.held(SUBSCRIBER);
    assert_eq!(first.len(), 1);
    let replies = scene.replies();
    assert!(first[0].evidence.starts_with(&format!("reply {}: Ｙ。\nto request ", replies[0].id)), "{:?}", first[0]);
    assert_eq!((first[0].wording.as_str(), first[0].frequency.as_str()), (ASK, "4/month"), "as the request says");
    let term = first[0].expires_at_ms.expect("a term") - first[0].at_ms;
    let day = 24 * 60 * 60 * 1000;
    assert!((365 * day..=366 * day).contains(&term), "{term}");
    scene.reply(&Reply::of("Y")).await;
    assert_eq!(scene.held(SUBSCRIBER), first);
    // The carrier repeats the yes after a no: the no stands.
    scene.reply(&Reply::of("退订")).await;
    scene.reply(&Reply::of("Ｙ。")).await;
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, REFUSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_two_parts_is_answered_as_one() {
    let mut scene = Scene::new().await;
    let request = Long { from: COMMERCIAL, to: SUBSCRIBER, text: ASK, reference: 3, form: Form::Udh8 };
    let parts = request.parts(134);
    assert_eq!(parts.len(), 2);
    let mut sent = Vec::new();
    for part in parts {
        sent.push(scene.provider.send(part).await);
    }
    for sequence_number in sent {
        assert_eq!(scene.provider.answer_to(sequence_number).await.command_status(), OK);
    }
    scene.reply(&Reply::of("同意")).await;
    let held = scene.held(SUBSCRIBER);
    assert_eq!(held.len(), 1);
    assert!(held[0].status == Status::Consent && held[0].evidence.ends_with(ASK), "{:?}", held[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_refusals_is_stored_whole() {
    const BURST: u64 = 300;
    let mut scene = Scene::new().await;
    let number = |index: u64| (8_613_800_200_000 + index).to_string();
    let carrier = &scene.carrier;
    let deliveries = async {
        for index in 0..BURST {
            scene::deliver(carrier, &Reply { from: &number(index), ..Reply::of("TD") }).await;
        }
    };
    let provider = &mut scene.provider;
    let requests = async {
        for _ in 0..BURST {
            provider.request().await;
        }
    };
    tokio::join!(deliveries, requests);
    assert!(scene.carrier.wait_until(PATIENCE, |counts| counts.acknowledged == BURST).await);
    let refused = |index| scene.held(&number(index)).iter().any(|row| row.status == Status::Refusal);
    assert_eq!((0..BURST).filter(|index| refused(*index)).count() as u64, BURST);
    assert_eq!(scene.folder.status().totals.refusals, BURST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_count_in_every_coding_and_operation_and_pass_byte_for_byte() {
    for (number, reply) in [
        Reply::of("退订"),
        Reply { gb18030: true, ..Reply::of("我要退订") },
        Reply { payload: true, ..Reply::of("别再发了，我要退订") },
        Reply { data_sm: true, ..Reply::of("ＴＤ") },
        Reply { to: "8610690001230801", ..Reply::of("拒收") },
        Reply::of("Stop sending me these"),
    ]
    .iter()
    .enumerate()
    {
        let mut scene = Scene::new().await;
        scene.consent_from_web();
        scene.reply(reply).await;
        let status = scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await;
        assert_eq!(status, REFUSED, "reply {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_reply_is_read_whole_whatever_carries_its_parts() {
    for sar in [false, true] {
        let mut scene = Scene::new().await;
        scene.consent_from_web();
        // 退订 is cut in two; by itself neither part refuses.
        let parts = [Reply::part("你们的短信实在太多了，我现在就要退", 2, 1, sar), Reply::part("订，谢谢", 2, 2, sar)];
        scene.reply(&parts[1]).await;
        assert!(scene.held(SUBSCRIBER).iter().all(|row| row.status == Status::Consent));
        scene.reply(&parts[0]).await;
        assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, REFUSED, "sar: {sar}");
        // The same, declining: 不 at the end of the first part.
        let mut scene = Scene::new().await;
        scene.consent_from_web();
        scene.reply(&Reply::part("我不", 2, 1, sar)).await;
        scene.reply(&Reply::part("退订", 2, 2, sar)).await;
        assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, OK, "sar: {sar}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_cannot_be_stored_comes_again() {
    let mut scene = Scene::new().await;
    scene.consent_from_web();
    scene.break_consents();
    assert_eq!(scene.deliver(&Reply::of("退订")).await, CommandStatus::ESME_RX_T_APPN);
    scene.gate().await_log("a reply that may refuse or agree is not taken");
    scene.mend_consents();
    scene.redeliver_until_taken(&Reply::of("退订")).await;
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, REFUSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_long_refusal_that_cannot_be_stored_the_last_part_is_enough_again() {
    let mut scene = Scene::new().await;
    scene.consent_from_web();
    scene.reply(&Reply::part("我现在就要退", 2, 1, false)).await;
    scene.break_consents();
    let last = Reply::part("订，谢谢", 2, 2, false);
    assert_eq!(scene.deliver(&last).await, CommandStatus::ESME_RX_T_APPN);
    scene.mend_consents();
    scene.redeliver_until_taken(&last).await;
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, REFUSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observed_providers_subscribers_still_refuse_but_an_observed_rule_changes_nothing() {
    let mut scene = Scene::new().await;
    scene.consent_from_web();
    let register = std::fs::read_to_string(scene.folder.path().join("register.toml")).expect("the register");
    let observed = register.replace("mode = \"enforce\"", "mode = \"observe\"");
    assert_ne!(register, observed);
    scene.folder.write_register(&observed);
    scene.restart_with("").await;
    scene.reply(&Reply::of("退订")).await;
    assert!(scene.held(SUBSCRIBER).iter().any(|row| row.status == Status::Refusal));
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, OK, "the message is only observed");

    let mut scene = Scene::new().await;
    scene.consent_from_web();
    scene.restart_with("[profile]\nR23 = \"observe\"").await;
    scene.reply(&Reply::of("退订")).await;
    // Nothing waits for this record.
    let taken = scene.meaning().await;
    assert_eq!((taken.rule.as_str(), taken.effect.as_str()), ("R23", "observed"));
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_looks_like_a_receipt_is_still_a_reply() {
    let mut scene = Scene::new().await;
    scene.consent_from_web();
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, OK);
    scene.reply(&Reply::of("id:0123456789 stat:DELIVRD 我要退订")).await;
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, REFUSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmarked_receipt_is_no_reply_whatever_it_repeats() {
    let mut scene = Scene::new().await;
    scene.consent_from_web();
    let message_id = scene.submit_for_id(COMMERCIAL, SUBSCRIBER, OFFERS_R).await;
    let texts = [
        format!("id:{message_id} sub:001 dlvrd:001 done date:2611231016 stat:DELIVRD err:000 text:退订"),
        format!("id:{message_id} stat:UNDELIV 退订"),
        "id:77 sub:001 dlvrd:000 done date:2611231016 stat:DELIVRD err:000 text:我要退订".to_owned(),
    ];
    for text in &texts {
        scene.reply(&Reply::of(text)).await;
    }
    assert_eq!(scene.submit(COMMERCIAL, SUBSCRIBER, OFFERS_R).await, OK);
}
