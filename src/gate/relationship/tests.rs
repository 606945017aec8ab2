use std::collections::BTreeSet;

use jiff::ToSpan;
use proptest::prelude::*;

use super::*;
use crate::store::consents::{Standing, Towards};

const SHOP: Towards<'static> = Towards { sender: "shop", former: &[], provider: None };

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// Noon of a day, as an event has it.
fn noon(day: &str, zone: &TimeZone) -> i64 {
    zone.to_timestamp(date(day).at(12, 0, 0, 0)).unwrap().as_millisecond()
}

fn said(status: Status, at_ms: i64) -> Held {
    Held { msisdn: 1, sender: "shop".into(), status, at_ms, recorded_at_ms: Some(at_ms), ..Held::default() }
}

/// What goes on a day, where the shop left the register at some moment or never.
fn goes(events: &[Held], today: Date, left: Option<i64>, zone: &TimeZone) -> Vec<bool> {
    let entity = |id: &str| if id == "store" { "shop".to_owned() } else { id.to_owned() };
    let terms = Terms {
        evidence_months: 5,
        subscription_months: 5,
        zone,
        today,
        entity: &entity,
        left_at_ms: &|_| left,
        is_held: &|held| held.category == "held",
    };
    expired(events, &terms)
}

#[track_caller]
fn assert_goes_first_on(events: &[Held], left: Option<i64>, first: &str, expected: &[bool]) {
    let zone = shanghai();
    let day = date(first);
    assert_eq!(goes(events, day.yesterday().unwrap(), left, &zone), vec![false; events.len()], "the day before");
    assert_eq!(goes(events, day, left, &zone), expected);
}

#[test]
fn what_was_refused_goes_five_months_later_but_for_the_refusal() {
    let zone = shanghai();
    let yes = said(Status::Consent, noon("2025-01-10", &zone));
    let no = said(Status::Refusal, noon("2025-09-30", &zone));
    // To the end of the last day of February, which has no 30th.
    assert_goes_first_on(&[yes.clone(), no.clone()], None, "2026-03-01", &[true, false]);
    assert_goes_first_on(std::slice::from_ref(&no), None, "2026-03-01", &[false]);
    // A consent that stands is a relationship.
    let again = said(Status::Consent, no.at_ms + 1);
    assert_eq!(goes(&[yes, no, again], date("2036-01-01"), None, &zone), [false; 3]);
}

#[test]
fn a_term_that_is_over_ends_it_and_a_longer_one_does_not() {
    let zone = shanghai();
    let begin = noon("2025-01-10", &zone);
    let consent = |category: &str, until: Option<&str>| Held {
        category: category.into(),
        expires_at_ms: until.map(|day| noon(day, &zone)),
        ..said(Status::Consent, begin)
    };
    let short = consent("food", Some("2027-09-29"));
    // 29 February of a leap year.
    assert_goes_first_on(std::slice::from_ref(&short), None, "2028-03-01", &[true]);
    let long = consent("wine", Some("2027-10-01"));
    assert_goes_first_on(&[short.clone(), long], None, "2028-03-02", &[true, true]);
    assert_eq!(goes(&[short, consent("wine", None)], date("2040-01-01"), None, &zone), [false, false]);
    // Of two at once the one that ends sooner stands.
    assert_goes_first_on(&[consent("food", Some("2025-03-31")), consent("food", None)], None, "2025-09-01", &[true; 2]);
}

#[test]
fn another_holder_and_a_sender_that_left_end_it() {
    let zone = shanghai();
    let yes = said(Status::Consent, noon("2025-01-10", &zone));
    let change = Held { sender: String::new(), ..said(Status::HolderChange, noon("2025-03-31", &zone)) };
    assert_goes_first_on(&[yes.clone(), change.clone()], None, "2025-09-01", &[true, false]);
    let later = Held { at_ms: noon("2025-04-01", &zone), ..change.clone() };
    assert_goes_first_on(&[change, later], None, "2025-09-02", &[true, false]);
    let left = noon("2025-06-15", &zone);
    assert_goes_first_on(std::slice::from_ref(&yes), Some(left), "2025-11-16", &[true]);
    // The consent ended before, the refusal protected until the sender left.
    let no = said(Status::Refusal, noon("2025-03-31", &zone));
    assert_goes_first_on(&[yes.clone(), no.clone()], Some(left), "2025-09-01", &[true, false]);
    assert_eq!(goes(&[yes.clone(), no.clone()], date("2025-11-15"), Some(left), &zone), [true, false]);
    assert_eq!(goes(&[yes, no], date("2025-11-16"), Some(left), &zone), [true, true]);
}

#[test]
fn a_refusal_of_a_providers_senders_stays_while_an_older_consent_does_though_the_provider_left() {
    let zone = shanghai();
    let said_on = |status, day| said(status, noon(day, &zone));
    let no = Held { sender: format!("{ALL_SENDERS_OF}agg1"), ..said_on(Status::Refusal, "2025-02-10") };
    let left = noon("2025-03-15", &zone);
    let goes = |events: &[Held]| {
        let terms = Terms {
            evidence_months: 5,
            subscription_months: 5,
            zone: &zone,
            today: date("2025-09-01"),
            entity: &str::to_owned,
            left_at_ms: &|entity| is_provider(entity).then_some(left),
            is_held: &|_| false,
        };
        expired(events, &terms)
    };
    assert_eq!(goes(std::slice::from_ref(&no)), [true]);
    let yes = said_on(Status::Consent, "2025-01-10");
    assert_eq!(goes(&[no.clone(), yes.clone()]), [false, false], "the account may come back");
    assert_eq!(goes(&[yes.clone(), no.clone()]), [false, false]);
    let over = Held { expires_at_ms: Some(noon("2025-01-20", &zone)), ..yes };
    assert_eq!(goes(&[no.clone(), over]), [true, true]);
    let later = said_on(Status::Consent, "2025-02-11");
    assert_eq!(goes(&[no, later]), [true, false]);
}

#[test]
fn holds_and_late_proofs_keep_all_of_a_relationship() {
    let zone = shanghai();
    let yes = said(Status::Consent, noon("2025-01-10", &zone));
    let no = said(Status::Refusal, noon("2025-02-10", &zone));
    let held = Held { category: "held".into(), ..yes.clone() };
    assert_eq!(goes(&[held, no.clone()], date("2030-01-01"), None, &zone), [false, false]);
    let late = Held { recorded_at_ms: Some(noon("2025-08-31", &zone)), ..yes };
    assert_goes_first_on(&[late, no], None, "2026-02-01", &[true, false]);
}

#[test]
fn what_was_said_to_an_id_of_before_belongs_to_the_same_relationship() {
    let zone = shanghai();
    let yes = Held { sender: "store".into(), ..said(Status::Consent, noon("2025-01-10", &zone)) };
    let no = said(Status::Refusal, noon("2025-02-10", &zone));
    assert_goes_first_on(&[yes, no], None, "2025-07-11", &[true, false]);
}

const DAY_MS: i64 = 86_400_000;

prop_compose! {
    fn events()(
        kind in 0..5_u8, category in 0..2_usize, sender in prop::sample::select(vec!["shop", "store"]),
        hours in 0..24 * 1_500_i64, term in prop::option::of(0..400_i64), late in prop_oneof![3 => Just(0), 1 => 0..90_i64],
    ) -> Held {
        let at_ms = 1_609_459_200_000 + hours * 3_600_000;
        let status = [Status::Consent, Status::Consent, Status::Consent, Status::Refusal, Status::HolderChange][usize::from(kind)];
        let is_consent = status == Status::Consent;
        Held {
            sender: if status == Status::HolderChange { String::new() } else { sender.into() },
            category: if is_consent { ["food", "wine"][category].into() } else { String::new() },
            expires_at_ms: term.filter(|_| is_consent).map(|days| at_ms + days * DAY_MS),
            recorded_at_ms: Some(at_ms + late * DAY_MS),
            ..said(status, at_ms)
        }
    }
}

/// Whether marketing may be sent, by all that was said.
fn permits(events: &[Held], at_ms: i64) -> Vec<String> {
    let former = ["store".to_owned()];
    let standing = Standing::of_events(events, Towards { former: &former, ..SHOP }, at_ms);
    let active = standing
        .categories
        .into_iter()
        .filter(|category| category.status == Status::Consent && category.expires_at_ms.is_none_or(|end| end > at_ms));
    let mut names: Vec<String> = active.map(|category| category.name.to_string()).collect();
    names.sort();
    names
}

fn zones() -> impl Strategy<Value = TimeZone> {
    let names = ["Asia/Shanghai", "UTC", "America/St_Johns", "Pacific/Apia", "Europe/London"];
    prop::sample::select(names.to_vec()).prop_map(|name| TimeZone::get(name).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever goes on whatever day, nobody is permitted what was not before, nor refused what was permitted.
    #[test]
    fn no_answer_changes(
        events in prop::collection::vec(events(), 1..9), zone in zones(), days in 0..2_200_i64, later in 0..900_i64,
        old in events(),
    ) {
        let today = date("2021-01-01").saturating_add(days.days());
        let kept: Vec<Held> = events.iter().zip(goes(&events, today, None, &zone)).filter(|(_, goes)| !goes).map(|(held, _)| held.clone()).collect();
        let now = zone.to_timestamp(today.at(0, 0, 0, 0)).unwrap().as_millisecond();
        for at_ms in [now, now + later * DAY_MS] {
            prop_assert_eq!(permits(&kept, at_ms), permits(&events, at_ms), "{:?}", events);
        }
        // A consent of before that is imported after all is no "yes" either, where it was none.
        let old = Held { status: Status::Consent, sender: "shop".into(), category: "food".into(), ..old };
        let with = |events: &[Held]| permits(&[events, std::slice::from_ref(&old)].concat(), now);
        let ended = events.iter().filter(|held| held.status != Status::Consent && held.at_ms <= now);
        if ended.map(|held| held.at_ms).max().is_some_and(|ended| old.at_ms <= ended) {
            prop_assert!(with(&kept).iter().all(|name| with(&events).contains(name)), "{:?} {:?}", events, old);
        }
    }

    /// Nothing goes before five months are over since the end, and nothing stays for a day more, but for what protects.
    #[test]
    fn nothing_goes_early_and_nothing_stays_late(events in prop::collection::vec(events(), 1..6), zone in zones()) {
        let last = events.iter().map(|held| held.at_ms.max(held.expires_at_ms.unwrap_or(0))).max().unwrap();
        // The store holds none twice.
        let own: Vec<Held> = events.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let shop: Vec<Held> = own.iter().filter(|held| held.status != Status::HolderChange).cloned().collect();
        prop_assume!(!shop.is_empty());
        let until = last + 500 * DAY_MS;
        let said_last = shop.iter().map(|held| held.at_ms).max().unwrap();
        let end = permits(&own, until).is_empty().then(|| end_of_shop(&own, said_last));
        let protecting = shop.iter().filter(|held| held.status == Status::Refusal).map(|held| held.at_ms).max();
        let recorded = shop.iter().filter_map(|held| held.recorded_at_ms).max().unwrap();
        let gone = |today: Date| -> usize {
            let goes = goes(&own, today, None, &zone);
            own.iter().zip(goes).filter(|(held, goes)| *goes && held.status != Status::HolderChange).count()
        };
        let Some(end) = end else {
            prop_assert_eq!(gone(date("2060-01-01")), 0, "a consent stands");
            return Ok(());
        };
        let kept_on = |ms: i64| day_of(ms, &zone).saturating_add(5.months());
        let first = kept_on(end).max(kept_on(recorded)).tomorrow().unwrap();
        prop_assert_eq!(gone(first.yesterday().unwrap()), 0, "early");
        let stay = shop.iter().filter(|held| held.status == Status::Refusal && Some(held.at_ms) == protecting).count().min(1);
        prop_assert!(gone(first) + stay >= shop.len(), "late: {:?}", own);
    }
}

/// The end of what was said to the shop: its last word, or the last moment that something was permitted, exactly.
fn end_of_shop(events: &[Held], said_last: i64) -> i64 {
    let mut moments: Vec<i64> =
        events.iter().flat_map(|held| [Some(held.at_ms), held.expires_at_ms]).flatten().collect();
    moments.sort_unstable();
    // Between two moments nothing changes; what was permitted in between ended with the second.
    let ended =
        moments.windows(2).filter(|pair| pair[0] < pair[1] && !permits(events, pair[0]).is_empty()).map(|pair| pair[1]);
    ended.max().unwrap_or(said_last).max(said_last)
}
