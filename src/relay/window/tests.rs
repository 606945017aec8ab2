use std::time::Duration;

use portcullis_protocol::CommandStatus;

use super::*;

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin of virtual time")]
fn now() -> Instant {
    Instant::now()
}

fn admit(window: &mut Window) -> Ticket {
    window.admit(CommandId::SUBMIT_SM, Some(9), true).unwrap()
}

fn answer() -> Frame {
    Frame::new(CommandId::SUBMIT_SM.response(), CommandStatus::ESME_ROK, 9, &[])
}

#[test]
fn numbers_begin_anew_after_the_last_and_zero_is_never_used() {
    let mut window = Window::new(Leg::Provider, 10);
    window.next_sequence = LAST_SEQUENCE - 1;
    let now = now();
    let own: Vec<_> = (0..4)
        .map(|_| {
            let ticket = admit(&mut window);
            window.launch(ticket, now).unwrap()
        })
        .collect();
    assert_eq!(own, [LAST_SEQUENCE - 1, LAST_SEQUENCE, 1, 2]);
    assert!(own.iter().all(|&own| window.find(own).is_some()));
    assert!(window.was_used(LAST_SEQUENCE) && window.was_used(7), "after the last, every number was used");
    assert!(!window.was_used(0));
}

#[test]
fn a_number_in_flight_is_skipped() {
    let mut window = Window::new(Leg::Provider, 10);
    let now = now();
    let stuck = admit(&mut window);
    let first = window.launch(stuck, now).unwrap();
    for _ in 0..1000 {
        let ticket = admit(&mut window);
        let own = window.launch(ticket, now).unwrap();
        assert_ne!(window.find(first).unwrap().ticket, ticket);
        assert_eq!(window.find(own).unwrap().ticket, ticket);
        window.release(ticket);
        assert!(window.find(own).is_none());
    }
    window.next_sequence = first;
    assert_ne!(window.next_sequence(), first);
}

#[test]
fn only_the_number_itself_finds_its_request() {
    let mut window = Window::new(Leg::Provider, 4);
    let ticket = admit(&mut window);
    let own = window.launch(ticket, now()).unwrap();
    for bit in 0..32 {
        assert!(window.find(own ^ (1 << bit)).is_none(), "bit {bit}");
    }
}

#[test]
fn a_ticket_of_the_past_names_nothing() {
    let mut window = Window::new(Leg::Carrier, 1);
    let first = admit(&mut window);
    window.release(first);
    let second = admit(&mut window);
    assert!(window.get(first).is_none());
    assert!(window.release(first).is_none());
    assert!(window.get(second).is_some());
    assert_eq!(Window::leg_of(second), Leg::Carrier);
}

#[test]
fn memory_follows_the_window_and_not_the_traffic() {
    let mut window = Window::new(Leg::Provider, 100);
    let now = now();
    let stuck = admit(&mut window);
    window.launch(stuck, now).unwrap();
    for round in 0..1000 {
        let tickets: Vec<_> = std::iter::from_fn(|| window.admit(CommandId::SUBMIT_SM, Some(round), true)).collect();
        assert_eq!(tickets.len(), 99);
        assert!(window.is_full());
        for &ticket in &tickets {
            window.launch(ticket, now + Duration::from_secs(u64::from(round))).unwrap();
        }
        for &ticket in &tickets {
            window.land(ticket, answer());
            window.release(ticket);
        }
    }
    assert_eq!(window.slots.len(), 100);
    assert!(window.ring.len() <= 512, "{} places for 100 requests", window.ring.len());
    assert_eq!(window.oldest(), Some(stuck));
}

#[test]
fn answers_fall_due_in_the_order_of_sending_even_when_the_clock_steps_back() {
    let mut window = Window::new(Leg::Provider, 10);
    let now = now() + Duration::from_secs(100);
    let [first, second, third] = [0; 3].map(|_| admit(&mut window));
    window.launch(first, now);
    window.launch(second, now.checked_sub(Duration::from_secs(50)).unwrap());
    window.launch(third, now + Duration::from_secs(1));
    assert_eq!((window.oldest(), window.oldest_deadline()), (Some(first), Some(now)));
    window.land(first, answer());
    assert_eq!((window.oldest(), window.oldest_deadline()), (Some(second), Some(now)));
    window.release(second);
    assert_eq!((window.oldest(), window.oldest_deadline()), (Some(third), Some(now + Duration::from_secs(1))));
    window.release(third);
    assert_eq!(window.oldest(), None);
}

#[test]
fn a_request_is_launched_once() {
    let mut window = Window::new(Leg::Provider, 10);
    let ticket = admit(&mut window);
    let now = now();
    assert!(window.launch(ticket, now).is_some());
    assert!(window.launch(ticket, now).is_none());
    window.land(ticket, answer());
    assert!(window.launch(ticket, now).is_none());
}
