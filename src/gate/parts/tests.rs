use std::collections::HashMap;
use std::time::Duration;

use jiff::civil::date;
use portcullis_protocol::{CommandId, CommandStatus};
use proptest::prelude::*;

use super::*;
use crate::gate::mailbox;
use crate::store::journal::Day;

const TIMEOUT: Duration = Duration::from_secs(10);

fn parts(most: usize) -> Parts {
    Parts::new(Limits { timeout: TIMEOUT, parts: most, bytes: 1 << 20 })
}

fn key(reference: u16, total: u8) -> Key {
    let (source, destination) = (b"1069".to_vec(), b"8613".to_vec());
    Key { provider: "p".into(), source, destination, kind: Kind::Octet, reference, total }
}

fn part(number: u8, body: &str, ticket: u64) -> Part {
    let sequence = u32::try_from(ticket).unwrap();
    Part {
        number,
        frame: Frame::new(CommandId::SUBMIT_SM, CommandStatus::ESME_ROK, sequence, body.as_bytes()),
        received: Timestamp::UNIX_EPOCH,
        session: 1,
        holder: Holder::Waiting { ticket: Ticket::of(ticket), mailbox: mailbox::new().0 },
    }
}

fn id(number: u64) -> EntryId {
    EntryId { day: Day(date(2026, 11, 24)), number }
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin of virtual time")]
fn start() -> Instant {
    Instant::now()
}

fn numbers(added: &Added) -> Vec<u8> {
    match added {
        Added::Whole { parts, .. } => {
            let mut numbers: Vec<u8> = parts.iter().map(|part| part.number).collect();
            numbers.sort_unstable();
            numbers
        }
        other => panic!("not whole: {other:?}"),
    }
}

#[test]
fn any_order_makes_a_message_whole_once() {
    let (parts, now) = (parts(10), start());
    assert!(matches!(parts.add(&key(0, 3), part(3, "c", 1), now), Added::Waits { .. }));
    assert!(matches!(parts.add(&key(0, 3), part(1, "a", 2), now), Added::Waits { .. }));
    assert_eq!(numbers(&parts.add(&key(0, 3), part(2, "b", 3), now)), [1, 2, 3]);
    assert!(parts.expire(now + TIMEOUT).is_empty());
    assert_eq!(parts.held(), (0, 0));
}

#[test]
fn another_reference_total_or_number_is_another_message() {
    let (parts, now) = (parts(10), start());
    let others = [Key { destination: b"8614".to_vec(), ..key(1, 2) }, Key { kind: Kind::Word, ..key(1, 2) }];
    for key in [key(1, 2), key(2, 2), key(1, 3)].into_iter().chain(others) {
        assert!(matches!(parts.add(&key, part(1, "a", 1), now), Added::Waits { .. }));
    }
    assert_eq!(parts.expire(now + TIMEOUT).len(), 5);
}

#[test]
fn a_repeated_part_waits_beside_the_first() {
    let (parts, now) = (parts(10), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    assert!(matches!(parts.add(&key(1, 2), part(1, "a", 2), now), Added::Waits { .. }));
    assert_eq!(numbers(&parts.add(&key(1, 2), part(2, "b", 3), now)), [1, 1, 2]);
}

#[test]
fn other_octets_under_the_same_number_take_its_place() {
    let (parts, now) = (parts(10), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    parts.add(&key(1, 2), part(1, "a", 9), now);
    let Added::Waits { displaced } = parts.add(&key(1, 2), part(1, "x", 2), now) else { panic!("kept") };
    // Both that waited beside one another.
    assert!(displaced.len() == 2 && displaced.iter().all(|old| old.frame.body() == b"a"));
    let Added::Whole { parts, .. } = parts.add(&key(1, 2), part(2, "b", 3), now) else { panic!("not whole") };
    assert!(parts.iter().all(|part| part.frame.body() != b"a"));
}

#[test]
fn a_whole_message_answers_for_its_repetitions_only() {
    let (parts, now) = (parts(10), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    parts.add(&key(1, 2), part(2, "b", 2), now);
    assert!(matches!(parts.add(&key(1, 2), part(2, "b", 3), now), Added::Waits { .. }));
    let repeats = parts.take_repeats(&key(1, 2), Ticket::of(3), 1).expect("a mere repetition");
    assert_eq!((repeats.parts.len(), repeats.whole.len()), (1, 2));
    assert!(matches!(parts.add(&key(1, 2), part(2, "x", 4), now), Added::Waits { .. }));
    assert!(parts.take_repeats(&key(1, 2), Ticket::of(4), 1).is_none(), "something new");
    assert_eq!(parts.expire(now + TIMEOUT).len(), 1, "the new message is incomplete");
}

#[test]
fn a_repetition_that_was_acknowledged_goes_on_with_those_that_wait() {
    let (parts, now) = (parts(10), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    parts.add(&key(1, 2), part(2, "b", 2), now);
    parts.add(&key(1, 2), part(2, "b", 3), now);
    parts.add(&key(1, 2), part(2, "b", 4), now);
    assert_eq!(parts.acknowledge(&key(1, 2), Ticket::of(3), 1, |_| Some(id(5))), Some(id(5)));
    let repeats = parts.take_repeats(&key(1, 2), Ticket::of(4), 1).expect("a mere repetition");
    assert!(repeats.parts.iter().any(|part| part.acknowledged_as() == Some(id(5))));
    assert!(!parts.is_waiting(id(5)));
}

#[test]
fn a_reference_that_comes_again_is_another_message_though_its_first_part_be_the_same() {
    let (parts, now) = (parts(10), start());
    for second in ["b", "c", "c"] {
        assert!(matches!(parts.add(&key(0, 2), part(1, "a", 1), now), Added::Waits { .. }), "{second}");
        let Added::Whole { parts, .. } = parts.add(&key(0, 2), part(2, second, 2), now) else { panic!("{second}") };
        assert!(parts.iter().any(|part| part.frame.body() == second.as_bytes()));
    }
}

#[test]
fn an_acknowledged_part_is_known_by_its_id() {
    let (parts, now) = (parts(10), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    assert_eq!(parts.acknowledge(&key(1, 2), Ticket::of(9), 1, |_| Some(id(5))), None, "nobody's ticket");
    assert_eq!(parts.acknowledge(&key(1, 2), Ticket::of(1), 1, |_| Some(id(5))), Some(id(5)));
    assert!(matches!(parts.add(&key(1, 2), part(1, "a", 2), now), Added::Known(known) if known == id(5)));
    assert!(parts.is_waiting(id(5)));
    assert_eq!(numbers(&parts.add(&key(1, 2), part(2, "b", 3), now)), [1, 2]);
    assert!(!parts.is_waiting(id(5)));
    assert!(matches!(parts.add(&key(1, 2), part(1, "a", 4), now), Added::Known(known) if known == id(5)));
    assert!(!parts.is_waiting(id(5)), "it had its end");
    assert_eq!(numbers(&parts.add(&key(1, 2), part(2, "c", 5), now)), [1, 2], "and it begins the next message");
    parts.add(&key(1, 2), part(1, "a", 6), now);
    assert!(parts.expire(now + TIMEOUT).is_empty(), "a mere repetition is owed nothing");
}

#[test]
fn an_acknowledged_part_can_be_cancelled_until_the_message_is_whole() {
    let (parts, now) = (parts(10), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    parts.acknowledge(&key(1, 2), Ticket::of(1), 1, |_| Some(id(5)));
    assert_eq!(parts.cancel(id(5)).map(|part| part.number), Some(1));
    assert!(parts.cancel(id(5)).is_none());
    assert_eq!(parts.held(), (0, 0));
}

#[test]
fn a_session_that_ends_takes_its_waiting_parts_along() {
    let (parts, now) = (parts(10), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    assert!(parts.withdraw(&key(1, 2), Ticket::of(1), 2).is_none(), "another session's");
    assert!(parts.withdraw(&key(1, 2), Ticket::of(1), 1).is_some());
    assert!(matches!(parts.add(&key(1, 2), part(2, "b", 2), now), Added::Waits { .. }));
}

#[test]
fn whole_messages_give_way_before_a_part_is_refused() {
    let (parts, now) = (parts(3), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    parts.add(&key(1, 2), part(2, "b", 2), now);
    for reference in 2..5 {
        assert!(matches!(parts.add(&key(reference, 2), part(1, "a", 3), now), Added::Waits { .. }), "{reference}");
    }
    assert!(matches!(parts.add(&key(9, 2), part(1, "a", 4), now), Added::Over));
    let other = Key { provider: "q".into(), ..key(9, 2) };
    assert!(matches!(parts.add(&other, part(1, "a", 5), now), Added::Waits { .. }), "bounds are the provider's own");
}

#[test]
fn what_could_not_be_decided_on_waits_again_and_is_owed_an_end() {
    let (parts, now) = (parts(10), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    parts.acknowledge(&key(1, 2), Ticket::of(1), 1, |_| Some(id(5)));
    let Added::Whole { parts: whole, .. } = parts.add(&key(1, 2), part(2, "b", 2), now) else { panic!("not whole") };
    let acknowledged: Vec<Part> = whole.into_iter().filter(|part| part.acknowledged_as().is_some()).collect();
    parts.put_back(&key(1, 2), acknowledged, now);
    assert!(parts.is_waiting(id(5)));
    assert!(matches!(parts.add(&key(1, 2), part(2, "b", 3), now), Added::Whole { .. }), "its message becomes whole");
    parts.add(&key(2, 2), part(1, "a", 4), now);
    parts.acknowledge(&key(2, 2), Ticket::of(4), 1, |_| Some(id(6)));
    let Added::Whole { parts: whole, .. } = parts.add(&key(2, 2), part(2, "b", 5), now) else { panic!("not whole") };
    parts.put_back(&key(2, 2), whole.into_iter().filter(|part| part.acknowledged_as().is_some()).collect(), now);
    let expired = parts.expire(now + TIMEOUT);
    assert!(expired.iter().flat_map(|(_, parts)| parts).any(|part| part.acknowledged_as() == Some(id(6))));
    assert_eq!(parts.held(), (0, 0));
}

#[test]
fn what_is_remembered_of_whole_messages_goes_with_them() {
    let (parts, mut now) = (parts(1_000), start());
    for reference in 0..200 {
        parts.add(&key(reference, 2), part(1, "a", 1), now);
        parts.add(&key(reference, 2), part(2, "b", 2), now);
        now += TIMEOUT / 10;
        parts.expire(now);
    }
    assert!(parts.lock().usage["p"].whole.len() < 20);
}

#[test]
fn what_never_becomes_whole_is_given_back_in_time() {
    let (parts, now) = (parts(10), start());
    parts.add(&key(1, 2), part(1, "a", 1), now);
    parts.add(&key(2, 2), part(1, "a", 2), now + TIMEOUT / 2);
    assert!(parts.expire(now + TIMEOUT - Duration::from_millis(1)).is_empty());
    assert_eq!(parts.expire(now + TIMEOUT).len(), 1);
    assert_eq!(parts.expire(now + TIMEOUT * 2).len(), 1);
}

proptest! {
    /// Whatever comes, the figures are those of what is kept, and in the end nothing is.
    #[test]
    fn the_bounds_hold_and_nothing_stays(
        steps in proptest::collection::vec((0u16..3, 1u8..4, 0u8..3, 0u8..6, 0u64..3), 0..120),
    ) {
        let (parts, begin) = (parts(5), start());
        let mut now = begin;
        for (serial, (reference, number, body, what, wait)) in (1u64..).zip(steps) {
            let key = key(reference, 3);
            match what {
                0 => drop(parts.acknowledge(&key, Ticket::of(serial.saturating_sub(1)), 1, |_| Some(id(serial)))),
                1 => drop(parts.withdraw(&key, Ticket::of(serial.saturating_sub(2)), 1)),
                2 => drop(parts.cancel(id(serial.saturating_sub(3)))),
                3 => {
                    now += Duration::from_secs(wait * 4);
                    parts.expire(now);
                }
                _ => {
                    parts.add(&key, part(number, ["a", "b", "c"][usize::from(body)], serial), now);
                }
            }
            let table = parts.lock();
            let kept: usize = table.gatherings.values().map(|gathering| gathering.parts.len() + gathering.whole.len()).sum();
            let counted: usize = table.usage.values().map(|usage| usage.parts).sum();
            prop_assert_eq!(kept, counted);
            prop_assert!(kept <= 5);
            prop_assert_eq!(table.by_serial.len(), table.gatherings.len());
        }
        parts.expire(now + TIMEOUT);
        prop_assert_eq!(parts.held(), (0, 0));
        let table = parts.lock();
        prop_assert!(table.gatherings.is_empty() && table.acknowledged.is_empty() && table.due.is_empty());
    }
}

/// What became of every part, told by whatever the table gives out.
#[derive(Default)]
struct Ends {
    waiting: HashMap<Ticket, u32>,
    acknowledged: HashMap<EntryId, u32>,
}

impl Ends {
    fn of(&mut self, parts: impl IntoIterator<Item = Part>) {
        for part in parts {
            match part.holder {
                Holder::Waiting { ticket, .. } => *self.waiting.get_mut(&ticket).expect("a part that came") += 1,
                Holder::Acknowledged { id } => *self.acknowledged.get_mut(&id).expect("an acknowledged part") += 1,
            }
        }
    }

    fn added(&mut self, ticket: Ticket, added: Added) {
        self.waiting.insert(ticket, 0);
        match added {
            Added::Waits { displaced } => self.of(displaced),
            Added::Whole { parts, displaced } => self.of(parts.into_iter().chain(displaced)),
            Added::Known(id) => {
                assert!(self.acknowledged.contains_key(&id), "known by a name nobody gave");
                self.waiting.insert(ticket, 1);
            }
            Added::Over => drop(self.waiting.insert(ticket, 1)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever waits hears once; what was acknowledged has its end, or the account is owed one.
    #[test]
    fn every_part_has_its_end(
        steps in proptest::collection::vec((0u16..3, 1u8..4, 0u8..3, 0u8..10, 0u64..40), 0..200),
        most in 2usize..12,
    ) {
        let (parts, mut now, mut ends) = (parts(most), start(), Ends::default());
        for (serial, (reference, number, body, what, detail)) in (1u64..).zip(steps) {
            let key = key(reference, 3);
            let earlier = Ticket::of(serial.saturating_sub(1 + detail % 8));
            match what {
                0 | 1 => {
                    if let Some(id) = parts.acknowledge(&key, earlier, 1, |_| Some(id(serial))) {
                        ends.acknowledged.insert(id, 0);
                        *ends.waiting.get_mut(&earlier).expect("a part that came") += 1;
                    }
                }
                2 => ends.of(parts.withdraw(&key, earlier, 1)),
                3 => ends.of(parts.cancel(id(serial.saturating_sub(1 + detail % 8)))),
                4 => ends.of(parts.take_repeats(&key, earlier, 1).into_iter().flat_map(|repeats| repeats.parts)),
                5 => {
                    now += Duration::from_millis(detail * 100);
                    ends.of(parts.expire(now).into_iter().flat_map(|(_, expired)| expired));
                }
                _ => {
                    let added = parts.add(&key, part(number, ["a", "b", "c"][usize::from(body)], serial), now);
                    ends.added(Ticket::of(serial), added);
                }
            }
        }
        ends.of(parts.expire(now + TIMEOUT).into_iter().flat_map(|(_, expired)| expired));
        for (ticket, ends) in ends.waiting {
            prop_assert_eq!(ends, 1, "{:?}", ticket);
        }
        for (id, ends) in ends.acknowledged {
            prop_assert!(ends > 0, "{} was acknowledged and forgotten", id);
        }
    }
}
