use super::*;

const SENDER: Towards<'static> = Towards { sender: "qinghe", former: &[], provider: Some("agg1") };

fn held(status: Status, at_ms: i64, recorded_at_ms: i64) -> Held {
    Held { sender: "qinghe".into(), status, at_ms, recorded_at_ms: Some(recorded_at_ms), ..Held::default() }
}

fn yes(at_ms: i64, recorded_at_ms: i64) -> Held {
    held(Status::Consent, at_ms, recorded_at_ms)
}

fn no(at_ms: i64, recorded_at_ms: i64) -> Held {
    held(Status::Refusal, at_ms, recorded_at_ms)
}

fn change(at_ms: i64, recorded_at_ms: i64) -> Held {
    Held { sender: String::new(), ..held(Status::HolderChange, at_ms, recorded_at_ms) }
}

/// Whether a consent held, by what is known today and by what was known then.
fn as_of(events: &[Held], at_ms: i64) -> (bool, bool) {
    let as_of = standing_as_of(events, SENDER, None, at_ms);
    let agreed = |stood: &Stood<'_>| matches!(stood, Stood::Agreed(_));
    let today = Standing::of_events(events, SENDER, at_ms);
    let holds = |c: &Category| c.status == Status::Consent && c.expires_at_ms.is_none_or(|end| at_ms < end);
    assert_eq!(today.categories.iter().any(holds), agreed(&as_of.today), "both ways come to the same");
    (agreed(&as_of.today), agreed(&as_of.then))
}

#[test]
fn what_is_recorded_late_was_not_known_then() {
    let late_refusal = [yes(100, 100), no(200, 900)];
    assert_eq!(as_of(&late_refusal, 150), (true, true));
    assert_eq!(as_of(&late_refusal, 300), (false, true), "sent in good faith");
    assert_eq!(as_of(&late_refusal, 900), (false, false));
    let late_consent = [yes(100, 900)];
    assert_eq!(as_of(&late_consent, 300), (true, false), "sent without knowing");
    let unknown_arrival = [Held { recorded_at_ms: None, ..yes(100, 0) }];
    assert_eq!(as_of(&unknown_arrival, 300), (true, true));
}

#[test]
fn a_consent_counts_from_its_own_time_on() {
    let ahead = [no(100, 100), yes(1_000, 200)];
    assert_eq!(as_of(&ahead, 999), (false, false));
    assert_eq!(Standing::of_events(&ahead, SENDER, 999).refused_at_ms, Some(100));
    assert_eq!(as_of(&ahead, 1_000), (true, true));
    let renewed = [yes(100, 100), yes(1_000, 200)];
    assert_eq!(as_of(&renewed, 500), (true, true), "the one before goes on until then");
}

#[test]
fn a_refusal_counts_at_once_whatever_its_clock() {
    let ahead = [yes(100, 100), no(1_000, 200)];
    assert_eq!(as_of(&ahead, 150), (true, true));
    assert_eq!(as_of(&ahead, 200), (false, false));
    let imported_late = [yes(100, 100), no(300, 5_000)];
    assert_eq!(as_of(&imported_late, 250), (true, true));
    assert_eq!(as_of(&imported_late, 300), (false, true));
}

#[test]
fn a_tie_is_a_refusal_in_any_order() {
    for events in [[yes(100, 100), no(100, 200)], [no(100, 200), yes(100, 100)]] {
        assert_eq!(as_of(&events, 300), (false, false));
    }
}

#[test]
fn another_holder_has_agreed_to_nothing_and_the_refusal_stays() {
    let agreed = [yes(100, 100), change(200, 250)];
    assert_eq!(as_of(&agreed, 199), (true, true));
    assert_eq!(as_of(&agreed, 200), (false, true));
    assert!(matches!(standing_as_of(&agreed, SENDER, None, 300).today, Stood::HolderChanged(..)));
    let late = [change(200, 250), yes(100, 900)];
    assert_eq!(as_of(&late, 900), (false, false), "the old holder's, imported late");
    let anew = [yes(100, 100), change(200, 250), yes(300, 300)];
    assert_eq!(as_of(&anew, 300), (true, true));
    let refused = [yes(50, 50), no(100, 100), change(200, 250)];
    assert_eq!(Standing::of_events(&refused, SENDER, 300).refused_at_ms, Some(100));
    let same_moment = [yes(200, 200), change(200, 250)];
    assert_eq!(as_of(&same_moment, 300), (false, false));
}

#[test]
fn all_senders_of_a_provider_are_refused_also_those_that_come_later() {
    let all = Held { sender: "provider:agg1".into(), ..no(100, 100) };
    assert_eq!(as_of(std::slice::from_ref(&all), 200), (false, false));
    assert_eq!(Standing::of_events(std::slice::from_ref(&all), SENDER, 200).refused_at_ms, Some(100));
    let other = Towards { provider: Some("agg2"), ..SENDER };
    assert_eq!(Standing::of_events(std::slice::from_ref(&all), other, 200), Standing::default());
    assert_eq!(as_of(&[all, yes(150, 150)], 200), (true, true), "agreed anew since, to this sender");
}

#[test]
fn what_was_said_under_a_former_id_holds() {
    let former = ["qh".to_owned()];
    let renamed = Towards { former: &former, ..SENDER };
    let events = [Held { sender: "qh".into(), ..no(200, 200) }, yes(100, 100)];
    assert_eq!(Standing::of_events(&events, renamed, 300).refused_at_ms, Some(200));
    assert_eq!(Standing::of_events(&events, SENDER, 300).refused_at_ms, None);
}

#[test]
fn a_consent_to_one_category_lifts_the_refusal_there_alone() {
    let events = [
        Held { category: "wine".into(), ..yes(50, 50) },
        no(100, 100),
        Held { category: "bread".into(), ..yes(200, 200) },
    ];
    let stood = |category| standing_as_of(&events, SENDER, Some(category), 300).today;
    assert!(matches!(stood("bread"), Stood::Agreed(_)));
    assert!(matches!(stood("wine"), Stood::Refused(_)));
    assert!(matches!(stood("cheese"), Stood::Refused(_)));
}

#[test]
fn a_term_ends() {
    let events = [Held { expires_at_ms: Some(500), ..yes(100, 100) }];
    assert_eq!(as_of(&events, 499), (true, true));
    assert_eq!(as_of(&events, 500), (false, false));
    assert!(matches!(standing_as_of(&events, SENDER, None, 500).today, Stood::Expired(_)));
    assert_eq!(standing_as_of(&[], SENDER, None, 500).today, Stood::Nothing);
}
