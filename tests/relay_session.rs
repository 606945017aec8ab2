//! One session from bind to unbind, the way a driver takes it.

use std::time::{Duration, Instant};

use portcullis::relay::{Action, BindGrant, Decision, Ending, Event, Leg, Outcome, Relay, RelayConfig};
use portcullis::rules::Permit;
use portcullis_protocol::{CommandId, CommandStatus, Frame};

fn request(command: CommandId, sequence: u32) -> Frame {
    Frame::new(command, CommandStatus::ESME_ROK, sequence, b"\0\0\0\0\0\0\0\0\0")
}

fn sent(relay: &mut Relay, to: Leg) -> Frame {
    match relay.poll_action() {
        Some(Action::Send { leg, frame }) if leg == to => frame,
        other => panic!("expected a PDU to the {to:?}, got {other:?}"),
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "an arbitrary origin of virtual time")]
fn a_submit_goes_through_and_comes_back_after_its_record() {
    let now = Instant::now();
    let mut relay = Relay::new(RelayConfig::default(), now);
    let received = |leg, frame| Event::Received { leg, frame };

    relay.handle_event(received(Leg::Provider, request(CommandId::BIND_TRANSCEIVER, 7)), now);
    assert!(matches!(relay.poll_action(), Some(Action::JudgeBind { .. })));
    assert!(!relay.wants_input(Leg::Provider), "what follows the bind waits");
    relay.handle_event(Event::BindJudged { decision: Ok(BindGrant::default()) }, now);
    assert!(matches!(relay.poll_action(), Some(Action::Connect)));
    relay.handle_event(Event::CarrierConnected, now);
    let bind = sent(&mut relay, Leg::Carrier);
    let accepted = Frame::new(bind.command_id().response(), CommandStatus::ESME_ROK, bind.sequence_number(), b"smsc\0");
    relay.handle_event(received(Leg::Carrier, accepted), now);
    assert_eq!(sent(&mut relay, Leg::Provider).sequence_number(), 7);
    assert!(relay.wants_input(Leg::Provider));

    relay.handle_event(received(Leg::Provider, request(CommandId::SUBMIT_SM, 0)), now);
    let Some(Action::Judge { ticket, leg: Leg::Provider, frame }) = relay.poll_action() else { panic!("no question") };
    let decision = Decision::Forward(Permit::unjudged("test"));
    relay.handle_event(Event::Judged { ticket, frame, decision }, now);
    let forwarded = sent(&mut relay, Leg::Carrier);
    let answer = Frame::new(CommandId(0x8000_0004), CommandStatus::ESME_ROK, forwarded.sequence_number(), b"id\0");
    relay.handle_event(received(Leg::Carrier, answer), now + Duration::from_millis(3));
    let outcome = Outcome::Answered(CommandStatus::ESME_ROK);
    assert!(matches!(relay.poll_action(), Some(Action::Record { outcome: o, .. }) if o == outcome));
    assert_eq!(relay.answer(ticket).unwrap().body(), b"id\0");
    assert!(relay.poll_action().is_none(), "no answer before its record");
    relay.handle_event(Event::Recorded { ticket, answer: None }, now);
    assert_eq!(sent(&mut relay, Leg::Provider).as_bytes()[12..], *b"\0\0\0\0id\0");

    relay.handle_event(received(Leg::Provider, request(CommandId::UNBIND, 9)), now);
    let unbind = sent(&mut relay, Leg::Carrier);
    assert_eq!(unbind.command_id(), CommandId::UNBIND);
    relay.handle_event(
        received(
            Leg::Carrier,
            Frame::new(CommandId(0x8000_0006), CommandStatus::ESME_ROK, unbind.sequence_number(), &[]),
        ),
        now,
    );
    assert_eq!(sent(&mut relay, Leg::Provider).sequence_number(), 9);
    assert!(matches!(relay.poll_action(), Some(Action::Close { leg: Leg::Carrier })));
    assert!(matches!(relay.poll_action(), Some(Action::Close { leg: Leg::Provider })));
    assert!(matches!(relay.poll_action(), Some(Action::Ended(Ending::ProviderUnbound))));
    assert!(relay.poll_action().is_none());
}
