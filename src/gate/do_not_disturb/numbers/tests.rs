use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn list(text: &str) -> Numbers {
    of_text(text).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

#[test]
fn every_spelling_of_a_line_is_read() {
    let numbers = list(
        "\u{feff}msisdn,added\n# a comment\n\n13800138001\n8613800138002,2026-01-01\n\"+86 138-0013-8003\";x\n\
         008613800138004 # since spring\r\n+6591234567\n1390013*\n+86150 0013*\n+44791*\n",
    );
    for msisdn in [8_613_800_138_001, 8_613_800_138_002, 8_613_800_138_003, 8_613_800_138_004, 6_591_234_567] {
        assert!(numbers.has(msisdn), "{msisdn}");
    }
    for msisdn in [8_613_900_130_000, 8_613_900_139_999, 8_615_000_131_234, 447_911_123_456] {
        assert!(numbers.has(msisdn), "{msisdn}");
    }
    for msisdn in [8_613_800_138_005, 8_613_900_140_000, 447_811_123_456, 1_390_013, 0, u64::MAX] {
        assert!(!numbers.has(msisdn), "{msisdn}");
    }
    assert_eq!(numbers.counts(), (5, 3));
}

#[test]
fn every_faulty_line_is_told_up_to_a_bound() {
    let wrong = of_text("13800138001\n12321\nmsisdn\n13*\n+8*\n138001380011*\nabc*\n").unwrap_err();
    assert_eq!(wrong.iter().map(|(line, _)| line.unwrap()).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7]);
    assert!(wrong[0].1.contains("\"12321\"") && wrong[0].1.contains("1380013*"));
    assert_eq!(of_text(&"x1\n".repeat(1_000)).unwrap_err().len(), TOLD + 1);
    for empty in ["", "# nobody\n", "msisdn\n"] {
        assert!(of_text(empty).unwrap_err()[0].1.contains("no number"), "{empty:?}");
    }
}

#[test]
fn a_refresh_tells_what_came_and_went() {
    let old = list("13800138001\n13800138002\n1390013*\n+6591234567\n");
    let new = list("13800138002\n13800138003\n13800138004\n1390014*\n+6591234567\n");
    assert_eq!(old.difference(&new), super::super::Difference { added: 3, removed: 2 });
    assert_eq!(new.difference(&old), super::super::Difference { added: 2, removed: 3 });
    assert_eq!(old.difference(&old), super::super::Difference { added: 0, removed: 0 });
}

proptest! {
    #[test]
    fn it_has_what_it_was_given_and_nothing_else(
        given in prop::collection::btree_set(8_613_000_000_000..8_619_999_999_999_u64, 1..200),
        asked in prop::collection::vec(8_613_000_000_000..8_619_999_999_999_u64, 50),
        later in prop::collection::btree_set(8_613_000_000_000..8_613_000_000_100_u64, 1..50),
    ) {
        let numbers = Numbers::of(given.iter().copied().collect(), Vec::new());
        for msisdn in given.iter().chain(&asked) {
            prop_assert_eq!(numbers.has(*msisdn), given.contains(msisdn));
        }
        let whole: BTreeSet<u64> = numbers.all().map(|(_, number)| number).collect();
        prop_assert_eq!(&whole, &given);
        let next = Numbers::of(later.iter().copied().collect(), Vec::new());
        let difference = numbers.difference(&next);
        prop_assert_eq!(difference.added, later.difference(&given).count());
        prop_assert_eq!(difference.removed, given.difference(&later).count());
    }
}
