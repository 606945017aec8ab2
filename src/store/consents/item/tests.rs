use proptest::prelude::*;

use super::*;

fn moments() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        any::<u32>().prop_map(|s| EPOCH_MS + i64::from(s) * 1_000),
        (-5..5_i64).prop_map(|d| EPOCH_MS + d * DAY_MS)
    ]
}

fn arrivals() -> impl Strategy<Value = Option<Arrival>> {
    prop_oneof![
        Just(Some(Arrival::Unknown)),
        any::<u32>().prop_map(|number| Some(Arrival::Batch(number))),
        any::<i64>().prop_map(|at_ms| Some(Arrival::At(at_ms))),
        Just(None)
    ]
}

prop_compose! {
    fn items()(
        code in prop_oneof![any::<u64>(), 0..4_u64, (0..1_u64 << 37)], sender in any::<u32>(), refusal: bool,
        category in prop_oneof![any::<u32>(), 0..20_u32], at_ms in moments(),
        expires_at_ms in prop::option::of(prop_oneof![moments(), Just(i64::MAX)]), term in prop::option::of(0..500_i64),
        method in prop_oneof![any::<u32>(), 0..20_u32], evidence in any::<u64>(),
        frequency in prop_oneof![Just(0), 1..300_u32],
        delay in -90_000_000..9_000_000_000_000_i64, whole: bool, arrival in arrivals(),
    ) -> Item {
        let delay = if whole { delay / 1_000 * 1_000 } else { delay };
        let arrival = arrival.unwrap_or(Arrival::At(at_ms.wrapping_add(delay)));
        let term = term.and_then(|days| at_ms.checked_add(days * DAY_MS));
        let expires_at_ms = term.or(expires_at_ms);
        Item { code, sender, refusal, category, at_ms, expires_at_ms, method, evidence, frequency, arrival }
    }
}

fn octets_of(items: &[Item], shared: u32) -> Vec<u8> {
    let (mut octets, mut before) = (Vec::new(), None);
    for item in items {
        push(&mut octets, item, before, shared);
        before = Some(item.code);
    }
    octets
}

proptest! {
    #[test]
    fn items_read_back(mut items in prop::collection::vec(items(), 1..20), bits in 0..33_u32, low: u32, at: prop::sample::Index) {
        let shared = Shared { bits, low: u64::from(low) & mask(bits) };
        items.iter_mut().for_each(|item| item.code = item.code & !mask(bits) | shared.low);
        items.sort_by_key(Item::key);
        let octets = octets_of(&items, bits);
        prop_assert_eq!(take_all(&octets, shared).unwrap(), items.clone());
        let sought = at.get(&items).code;
        let mut found = Vec::new();
        find(&octets, shared, sought, &mut |item| found.push(item)).unwrap();
        prop_assert_eq!(found, items.iter().filter(|item| item.code == sought).copied().collect::<Vec<_>>());
        let cut = at.index(octets.len());
        prop_assert!(take_all(&octets[..cut], shared).is_none_or(|taken| taken.len() < items.len()));
    }

    #[test]
    fn any_octets_are_read_or_refused(octets: Vec<u8>, bits in 0..33_u32, code: u64) {
        let shared = Shared { bits, low: code & mask(bits) };
        take_all(&octets, shared);
        find(&octets, shared, code, &mut |_| {});
    }
}

#[test]
fn a_usual_consent_is_short() {
    let item = Item {
        code: 1_234_567_890,
        sender: 20,
        refusal: false,
        category: 2,
        at_ms: EPOCH_MS + 200_000_000_000,
        expires_at_ms: None,
        method: 1,
        evidence: 70,
        frequency: 0,
        arrival: Arrival::Batch(20),
    };
    let length = |item: &Item| {
        let mut octets = Vec::new();
        push(&mut octets, item, Some(item.code - 2_000_000_000_u64.min(item.code)), 18);
        octets.len()
    };
    assert_eq!(length(&item), 11);
    assert_eq!(length(&Item { expires_at_ms: Some(item.at_ms + 365 * DAY_MS), ..item }), 13);
    let at_ms = item.at_ms + 123;
    let said_now = Item { at_ms, arrival: Arrival::At(at_ms + 17), ..item };
    assert_eq!(length(&said_now), 12);
    assert_eq!(length(&Item { frequency: 1, ..said_now }), 14);
}

#[test]
fn codes_of_another_bucket_are_not_found() {
    let item = take_all(&octets_of(&[], 0), Shared::NOTHING).unwrap();
    assert!(item.is_empty());
    let shared = Shared { bits: 4, low: 3 };
    // 0x13 shares the bits, 0x14 does not.
    let one = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    for (code, count) in [(0x13, 1), (0x14, 0), (0x23, 0)] {
        let mut found = 0;
        find(&one, shared, code, &mut |_| found += 1).unwrap();
        assert_eq!(found, count, "{code:x}");
    }
}
