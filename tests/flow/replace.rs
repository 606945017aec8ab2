//! R22: a replacement is judged as the original was.

use portcullis_protocol::field::COctetString;
use portcullis_protocol::pdu::ReplaceSm;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::provider::{OK, Provider, encoded, message_id, source};
use crate::scene::{COMMERCIAL, SERVICE, Scene, WILLING, offer, offer_with, sent, text};
use crate::schedule::in_seconds;

const FAILS: CommandStatus = CommandStatus::ESME_RREPLACEFAIL;
const QUIET: CommandStatus = CommandStatus::ESME_RTHROTTLED;

fn replacement(id: &str, from: &str, text: &str, schedule: &str) -> Frame {
    let (_, octets) = encoded(text);
    let pdu = ReplaceSm {
        message_id: COctetString(id.as_bytes()),
        source: source(from),
        schedule_delivery_time: COctetString(schedule.as_bytes()),
        short_message: &octets,
        ..ReplaceSm::default()
    };
    Pdu::ReplaceSm(pdu).to_frame(OK, 0)
}

/// A message for later, by its id.
async fn later(provider: &mut Provider, seconds: i64) -> String {
    let at = in_seconds(seconds);
    let schedule = at.leak().as_bytes();
    let answer = provider.ask(offer_with(WILLING, 1, |pdu| pdu.schedule_delivery_time = COctetString(schedule))).await;
    assert_eq!(answer.command_status(), OK);
    message_id(&answer).expect("an id")
}

/// Hours of delivery that begin an hour from now: what is judged for now must wait, what is for later not.
fn opens_in_an_hour() -> String {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    let at = |hours: i64| {
        let at = portcullis::clock::wall().saturating_add(jiff::SignedDuration::from_hours(hours)).expect("a time");
        at.to_zoned_datetime(zone.clone()).strftime("%H:%M").to_string()
    };
    format!("[profile]\nquiet_hours = \"{}-{}\"", at(1), at(5))
}

#[tokio::test]
async fn a_replacement_keeps_the_schedule_of_its_original() {
    let scene = Scene::start(&opens_in_an_hour()).await;
    let mut provider = scene.provider().await;
    assert_eq!(sent(&mut provider, offer(WILLING, 9)).await, QUIET, "now is a quiet hour");
    let id = later(&mut provider, 2 * 3600).await;
    let kept = replacement(&id, COMMERCIAL, &text(2), "");
    assert_eq!(sent(&mut provider, kept).await, OK, "judged for the original's time");
    let moved = in_seconds(6 * 3600);
    assert_eq!(sent(&mut provider, replacement(&id, COMMERCIAL, &text(3), &moved)).await, QUIET, "for its own");
    let moved = in_seconds(3 * 3600);
    assert_eq!(sent(&mut provider, replacement(&id, COMMERCIAL, &text(4), &moved)).await, OK);
    assert_eq!(sent(&mut provider, replacement(&id, COMMERCIAL, &text(5), "")).await, OK, "for the last one's");
    assert_eq!(scene.carried(CommandId::REPLACE_SM).len(), 3);
    let bad = "[Bakery] Half price. Reply TD to unsubscribe";
    assert_eq!(sent(&mut provider, replacement(&id, COMMERCIAL, bad, "")).await, CommandStatus(0x0484));
}

#[tokio::test]
async fn what_the_gate_does_not_know_cannot_be_replaced() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider().await;
    let id = later(&mut provider, 3600).await;
    assert_eq!(sent(&mut provider, replacement("4711", COMMERCIAL, &text(2), "")).await, FAILS);
    assert_eq!(sent(&mut provider, replacement(&id, SERVICE, &text(2), "")).await, FAILS, "another source");
    assert!(scene.carried(CommandId::REPLACE_SM).is_empty());
}

/// It is then a text to nobody, whom no consent can be found for.
#[tokio::test]
async fn where_the_rule_is_observed_an_unknown_original_is_only_remarked() {
    let scene = Scene::start("[profile]\nR22 = \"observe\"").await;
    let mut provider = scene.provider().await;
    let unknown = replacement("4711", COMMERCIAL, &text(2), "");
    assert_eq!(sent(&mut provider, unknown).await, CommandStatus(0x0481));
    let service = replacement("4711", SERVICE, "[Bakery] Your order 4711 is ready.", "");
    assert_eq!(sent(&mut provider, service).await, FAILS, "the carrier's own word");
    assert_eq!(scene.carried(CommandId::REPLACE_SM).len(), 1);
}

/// The cap on messages is not used up by a text that takes another's place.
#[tokio::test]
async fn a_replacement_is_no_further_message() {
    let scene = Scene::start("[profile]\nfrequency = \"1/day\"").await;
    let mut provider = scene.provider().await;
    let id = later(&mut provider, 60).await;
    assert_eq!(sent(&mut provider, replacement(&id, COMMERCIAL, &text(2), "")).await, OK);
}
