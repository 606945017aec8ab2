//! R21: schedules and validity within bounds, and refusals in between.

use std::num::NonZeroU64;
use std::time::Duration;

use portcullis::clock;
use portcullis::simulator::{Faults, Form};
use portcullis_protocol::field::COctetString;
use portcullis_protocol::pdu::{CancelSm, DeliverSm};
use portcullis_protocol::time::{Absolute, SmppTime};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::gate::PATIENCE;
use crate::provider::{OK, Provider, encoded, message_id, source, subscriber};
use crate::scene::{COMMERCIAL, SERVICE, Scene, WILLING, WILLING_TOO, offer_with, sent};

const BOUNDS: &str = "[profile]\nschedule_at_most = \"7d\"\nvalidity_at_most = \"14d\"";

/// So many seconds from now, as the wire has it.
pub(crate) fn in_seconds(seconds: i64) -> String {
    let at = clock::wall().as_millisecond() + seconds * 1000;
    SmppTime::Absolute(Absolute::from_unix_ms(at)).to_string()
}

fn scheduled(n: u32, schedule: &str, validity: &str) -> Frame {
    let (schedule, validity) = (schedule.to_owned().leak().as_bytes(), validity.to_owned().leak().as_bytes());
    offer_with(WILLING, n, |pdu| {
        pdu.schedule_delivery_time = COctetString(schedule);
        pdu.validity_period = COctetString(validity);
    })
}

#[tokio::test]
async fn schedules_and_validity_have_bounds() {
    let scene = Scene::start(BOUNDS).await;
    let mut provider = scene.provider().await;
    let (schedule, validity) = (CommandStatus::ESME_RINVSCHED, CommandStatus::ESME_RINVEXPIRY);
    let (hour, day) = (3600, 86_400);
    let at = in_seconds;
    let cases = [
        ("nothing", String::new(), String::new(), OK),
        ("within", at(6 * day), at(8 * day), OK),
        ("relative, within", "000006000000000R".into(), "000008000000000R".into(), OK),
        ("just past is at once", at(-20), String::new(), OK),
        ("past", at(-hour), String::new(), schedule),
        ("too far", at(8 * day), String::new(), schedule),
        ("relative, too far", "000100000000000R".into(), String::new(), schedule),
        ("unreadable", "tomorrow at nine".into(), String::new(), schedule),
        ("no such day", "261131120000000+".into(), String::new(), schedule),
        ("over before it begins", at(2 * day), at(day), validity),
        ("over already", String::new(), at(-hour), validity),
        ("relative, over before it begins", "000002000000000R".into(), "000001000000000R".into(), validity),
        ("valid too long", String::new(), at(15 * day), validity),
        ("relative, too long", String::new(), "000015000000000R".into(), validity),
    ];
    for (n, (what, schedule, validity, status)) in (0..).zip(cases) {
        assert_eq!(sent(&mut provider, scheduled(n, &schedule, &validity)).await, status, "{what}");
    }
}

#[tokio::test]
async fn a_wrong_clock_keeps_no_notice_from_anybody() {
    let scene = Scene::start(BOUNDS).await;
    let mut provider = scene.provider().await;
    let out_of_bounds = [
        (in_seconds(-3600), String::new()),
        (String::new(), in_seconds(-3600)),
        (in_seconds(8 * 86_400), String::new()),
    ];
    for (schedule, validity) in out_of_bounds {
        let notice = offer_with(WILLING, 1, |pdu| {
            pdu.source = source(SERVICE);
            pdu.schedule_delivery_time = COctetString(schedule.leak().as_bytes());
            pdu.validity_period = COctetString(validity.leak().as_bytes());
            pdu.short_message = encoded("[Bakery] Your order 4711 is ready.").1.leak();
        });
        assert_eq!(sent(&mut provider, notice).await, OK);
        let last = scene.folder.sent_to(WILLING).pop().expect("its record");
        let alerts: Vec<_> =
            last.findings.iter().map(|finding| (finding.rule.as_str(), finding.effect.as_str())).collect();
        assert_eq!(alerts, [("R21", "alert")]);
    }
}

/// A message of a provider that the carrier keeps until `seconds` from now.
async fn kept(provider: &mut Provider, n: u32, to: &str, seconds: i64) -> String {
    let at = in_seconds(seconds).leak();
    let message = offer_with(to, n, |pdu| pdu.schedule_delivery_time = COctetString(at.as_bytes()));
    let answer = provider.ask(message).await;
    assert_eq!(answer.command_status(), OK);
    message_id(&answer).expect("a message_id")
}

/// Waits until the journal says how the withdrawal of the message to a number ended.
async fn withdrawn(scene: &Scene, to: &str) -> String {
    let end = clock::monotonic() + PATIENCE;
    loop {
        let found = scene.folder.sent_to(to).into_iter().find_map(|message| message.withdrawn);
        if let Some(withdrawal) = found {
            return format!("{} {}", withdrawal.outcome, withdrawal.status);
        }
        assert!(clock::monotonic() < end, "no withdrawal of the message to {to}:\n{}", scene.gate().log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn refuse(scene: &Scene, number: &str) {
    scene.folder.run(&["consent", "refuse", "--msisdn", number, "--sender", "bakery", "--evidence", "a call"]).ok();
}

fn cancelled(scene: &Scene) -> Vec<(String, String, String)> {
    let told = |frame: Frame| {
        let Ok(Pdu::CancelSm(pdu)) = Pdu::decode(&frame) else { panic!("no cancel_sm: {frame:?}") };
        (pdu.message_id.to_string(), pdu.source.addr.to_string(), pdu.destination.addr.to_string())
    };
    scene.carried(CommandId::CANCEL_SM).into_iter().map(told).collect()
}

#[tokio::test]
async fn a_refusal_in_between_cancels_at_the_carrier() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider().await;
    let id = kept(&mut provider, 1, WILLING, 3600).await;
    kept(&mut provider, 2, WILLING_TOO, 3600).await;
    refuse(&scene, WILLING);
    assert_eq!(withdrawn(&scene, WILLING).await, "cancelled ESME_ROK");
    assert_eq!(cancelled(&scene), [(id, COMMERCIAL.to_owned(), WILLING.to_owned())], "and nobody else's");
}

#[tokio::test]
async fn a_reply_in_between_cancels_whatever_it_refuses() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider().await;
    kept(&mut provider, 1, WILLING, 3600).await;
    kept(&mut provider, 2, WILLING, 7200).await;
    let pdu = DeliverSm {
        source: subscriber(WILLING),
        destination: source(COMMERCIAL),
        short_message: b"0000",
        ..DeliverSm::default()
    };
    assert!(scene.carrier.deliver("herald", Pdu::DeliverSm(pdu).to_frame(OK, 0)).await);
    provider.request().await;
    withdrawn(&scene, WILLING).await;
    let end = clock::monotonic() + PATIENCE;
    while cancelled(&scene).len() < 2 {
        assert!(clock::monotonic() < end, "both are cancelled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Nobody is bound when the refusal comes, and the gate is killed: the next bind of the account sends it.
#[tokio::test]
async fn a_withdrawal_waits_for_a_bind_and_survives_a_kill() {
    let mut scene = Scene::start("").await;
    let id = kept(&mut scene.provider().await, 1, WILLING, 3600).await;
    scene.gate().await_log("session ended");
    refuse(&scene, WILLING);
    scene.kill_and_restart();
    assert!(cancelled(&scene).is_empty());
    let _bound = scene.provider().await;
    assert_eq!(withdrawn(&scene, WILLING).await, "cancelled ESME_ROK");
    assert_eq!(cancelled(&scene), [(id, COMMERCIAL.to_owned(), WILLING.to_owned())]);
    scene.kill_and_restart();
    let mut bound = scene.provider().await;
    assert_eq!(sent(&mut bound, crate::scene::offer(WILLING_TOO, 2)).await, OK);
    assert_eq!(cancelled(&scene).len(), 1, "once");
}

#[tokio::test]
async fn what_the_carrier_will_not_cancel_is_recorded_so() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider().await;
    let id = kept(&mut provider, 1, WILLING, 3600).await;
    let cancel = CancelSm {
        message_id: COctetString(b"unknown to nobody"),
        source: source(COMMERCIAL),
        destination: subscriber(WILLING),
        ..CancelSm::default()
    };
    let answer = provider.ask(Pdu::CancelSm(cancel).to_frame(OK, 0)).await;
    assert_eq!(answer.command_status(), CommandStatus::ESME_RCANCELFAIL, "the simulator tells messages apart");
    let cancel = CancelSm { message_id: COctetString(id.as_bytes()), ..cancel };
    assert_eq!(provider.ask(Pdu::CancelSm(cancel).to_frame(OK, 0)).await.command_status(), OK, "by its provider");
    refuse(&scene, WILLING);
    assert!(withdrawn(&scene, WILLING).await.starts_with("failed "));
}

/// The carrier took it, and its answer was lost.
#[tokio::test]
async fn what_the_carrier_may_have_is_withdrawn_without_a_name() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider().await;
    scene.carrier.set_faults(Faults { close_on_submit: NonZeroU64::new(1), ..Faults::default() });
    let at = in_seconds(3600).leak();
    let message = offer_with(WILLING, 1, |pdu| pdu.schedule_delivery_time = COctetString(at.as_bytes()));
    assert_eq!(sent(&mut provider, message).await, CommandStatus::ESME_RSYSERR);
    scene.carrier.set_faults(Faults::default());
    let mut provider = scene.provider().await;
    kept(&mut provider, 2, WILLING_TOO, 3600).await;
    refuse(&scene, WILLING);
    let ended = withdrawn(&scene, WILLING).await;
    assert!(ended.starts_with("failed "), "this carrier did not have it: {ended}");
    assert_eq!(cancelled(&scene), [(String::new(), COMMERCIAL.to_owned(), WILLING.to_owned())]);
}

#[tokio::test]
async fn what_the_carrier_gave_no_name_is_withdrawn_all_the_same() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider().await;
    scene.carrier.set_faults(Faults { form: Form::WithoutMessageId, ..Faults::default() });
    let at = in_seconds(3600).leak();
    let message = offer_with(WILLING, 1, |pdu| pdu.schedule_delivery_time = COctetString(at.as_bytes()));
    assert_eq!(sent(&mut provider, message).await, OK);
    refuse(&scene, WILLING);
    assert_eq!(withdrawn(&scene, WILLING).await, "cancelled ESME_ROK");
}

#[tokio::test]
async fn a_do_not_disturb_list_in_between_cancels_too() {
    let mut scene = Scene::start("").await;
    let list = |scene: &Scene, text: &str| std::fs::write(scene.folder.path().join("dnd.csv"), text).expect("a list");
    list(&scene, "13800000000\n");
    scene.folder.configure("", scene.carrier.address(), "[[do_not_disturb]]\nfile = \"dnd.csv\"");
    scene.restart();
    let mut provider = scene.provider().await;
    let id = kept(&mut provider, 1, WILLING, 3600).await;
    list(&scene, &format!("{WILLING}\n"));
    assert_eq!(withdrawn(&scene, WILLING).await, "cancelled ESME_ROK");
    assert_eq!(cancelled(&scene), [(id, COMMERCIAL.to_owned(), WILLING.to_owned())]);
}
