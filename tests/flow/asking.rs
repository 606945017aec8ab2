//! R12: a sender asks a number for consent once, and silence is a refusal.

use std::num::NonZeroU64;
use std::time::Duration;

use portcullis::admin::api::{Line, Request};
use portcullis::clock;
use portcullis::simulator::Faults;
use portcullis::store::consents::{Held, Status};
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::{CommandStatus, Frame, Pdu};

use crate::gate::PATIENCE;
use crate::provider::{OK, encoded, source, submit, subscriber};
use crate::scene::{COMMERCIAL, OTHER_PORT, STRANGER, Scene, WILLING, sent};

const ASK: &str = "【麦香坊】想收到每周特惠吗？我们拟向您发送促销短信，每月不超过4条，为期12个月。同意请回复Y，不回复视为不同意。客服400-000-0077，拒收请回复R";
const ASK_OTHERWISE: &str = "【麦香坊】我们拟向您发送新品资讯短信，每周不超过1条，为期半年。同意请回复Y，不回复视为不同意。客服400-000-0077，拒收请回复R";

const ASKED: CommandStatus = CommandStatus(0x048C);
const REFUSED: CommandStatus = CommandStatus(0x0482);

/// Longer than a test takes to say something meanwhile.
const SOON: &str = "[profile.replies]\nrequest_window = \"2s\"";

fn ask(to: &str) -> Frame {
    submit(COMMERCIAL, to, ASK)
}

#[tokio::test]
async fn a_sender_asks_once_over_all_its_ports_and_restarts() {
    let mut scene = Scene::start("").await;
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, ask(STRANGER)).await, OK);
    assert_eq!(sent(&mut provider, ask(STRANGER)).await, ASKED, "it arrived");
    assert_eq!(sent(&mut provider, submit(OTHER_PORT, STRANGER, ASK_OTHERWISE)).await, ASKED);
    scene.kill_and_restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, submit(OTHER_PORT, STRANGER, ASK_OTHERWISE)).await, ASKED, "killed");
    scene.restart();
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, ask(STRANGER)).await, ASKED, "stopped");
    assert_eq!(sent(&mut provider, ask("8613900004444")).await, OK, "another number");
    assert_eq!(scene.carrier.counts().messages, 2);
}

#[tokio::test]
async fn a_request_that_may_not_have_arrived_may_come_again() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider().await;
    scene.carrier.set_faults(Faults { close_on_submit: NonZeroU64::new(1), ..Faults::default() });
    assert_eq!(sent(&mut provider, ask(STRANGER)).await, CommandStatus::ESME_RSYSERR);
    let refuse_every = Some((NonZeroU64::MIN, CommandStatus::ESME_RTHROTTLED));
    scene.carrier.set_faults(Faults { refuse_every, ..Faults::default() });
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, submit(COMMERCIAL, STRANGER, ASK_OTHERWISE)).await, ASKED, "another request");
    assert_eq!(sent(&mut provider, ask(STRANGER)).await, CommandStatus::ESME_RTHROTTLED, "the same passes the gate");
    scene.carrier.set_faults(Faults::default());
    assert_eq!(sent(&mut provider, ask(STRANGER)).await, OK);
    assert_eq!(sent(&mut provider, ask(STRANGER)).await, ASKED);
}

/// Exactly one of many at once.
#[tokio::test]
async fn of_many_requests_at_once_one_goes_out() {
    let scene = Scene::start("").await;
    let mut providers = Vec::new();
    for _ in 0..3 {
        let mut provider = scene.provider().await;
        for _ in 0..5 {
            provider.send(ask(STRANGER)).await;
        }
        providers.push(provider);
    }
    let mut passed = 0;
    for provider in &mut providers {
        for _ in 0..5 {
            let status = provider.read().await.expect("an answer").command_status();
            passed += u32::from(status == OK);
            assert!([OK, ASKED].contains(&status), "{status:?}");
        }
    }
    assert_eq!(passed, 1);
}

fn held(scene: &Scene, number: &str) -> Vec<Held> {
    let lines = scene.folder.ask(&Request::Show(number.parse().expect("a number")));
    lines.into_iter().filter_map(|line| if let Line::Held(held) = line { Some(held) } else { None }).collect()
}

/// Waits until somebody's silence stands among the consents.
async fn silence(scene: &Scene, number: &str) -> Held {
    let end = clock::monotonic() + PATIENCE;
    loop {
        if let Some(held) = held(scene, number).into_iter().find(|held| held.method == "silence") {
            return held;
        }
        assert!(clock::monotonic() < end, "no silence of {number}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn reply(scene: &Scene, from: &str, text: &str) {
    let (data_coding, octets) = encoded(text);
    let pdu = DeliverSm {
        source: subscriber(from),
        destination: source(COMMERCIAL),
        data_coding,
        short_message: &octets,
        ..DeliverSm::default()
    };
    assert!(scene.carrier.deliver("herald", Pdu::DeliverSm(pdu).to_frame(OK, 0)).await, "a bind that can receive");
}

#[tokio::test]
async fn silence_is_a_refusal_once_the_window_ends_and_restarts_do_not_forget() {
    let mut scene = Scene::start(SOON).await;
    let mut provider = scene.provider().await;
    for number in [STRANGER, WILLING, "8613900004444"] {
        assert_eq!(sent(&mut provider, ask(number)).await, OK);
    }
    reply(&scene, "8613900004444", "Y").await;
    provider.request().await;
    scene.kill_and_restart();
    let refusal = silence(&scene, STRANGER).await;
    assert_eq!((refusal.status, refusal.sender.as_str()), (Status::Refusal, "bakery"));
    assert!(refusal.evidence.starts_with("no answer to request 20"), "{}", refusal.evidence);
    // Those decided on before it or with it are decided on by now.
    for number in [WILLING, "8613900004444"] {
        let stands = |held: &Held| held.status == Status::Consent;
        assert!(held(&scene, number).iter().all(stands), "a consent is not ended by silence: {number}");
    }
    let mut provider = scene.provider().await;
    let offer = crate::scene::offer(STRANGER, 1);
    assert_eq!(sent(&mut provider, offer).await, REFUSED);
    assert_eq!(sent(&mut provider, crate::scene::offer(WILLING, 1)).await, OK);
    assert_eq!(sent(&mut provider, crate::scene::offer("8613900004444", 1)).await, OK);
}

#[tokio::test]
async fn where_the_rule_is_observed_silence_changes_nothing() {
    let scene = Scene::start(&format!("[profile]\nR12 = \"observe\"\nR09 = \"observe\"\n{SOON}")).await;
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, ask(STRANGER)).await, OK);
    assert_eq!(sent(&mut provider, ask(STRANGER)).await, OK);
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    assert_eq!(held(&scene, STRANGER), []);
}
