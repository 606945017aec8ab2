use std::path::Path;

use portcullis_protocol::pdu::EnquireLink;
use portcullis_protocol::{CommandStatus, Pdu};
use proptest::prelude::*;

use super::*;
use crate::gate::accounts::{Accounts, Bound};
use crate::gate::mailbox;
use crate::gate::owed::{Owed, Report, State};
use crate::store::EntryId;
use crate::store::journal::Day;

fn at(second: i64) -> Timestamp {
    Timestamp::new(second, 0).unwrap()
}

fn range(text: &str) -> AddressRange {
    AddressRange::new(text.as_bytes())
}

/// A register in which `agg1` has the numbers 10690001 and `agg2` the numbers 10690002.
fn register(ports: &[&str]) -> Register {
    let mut text = "[[provider]]\nsystem_id = \"agg1\"\nports = [\"10690001\"]\n\
                    [[provider]]\nsystem_id = \"agg2\"\nports = [\"10690002\"]\n\
                    [[sender]]\nid = \"s\"\nname = \"S\"\ncredential = \"C\"\nsignatures = [\"S1\"]\n"
        .to_owned();
    for port in ports {
        text.push_str(&format!("[[port]]\nnumber = \"{port}\"\nclass = \"commercial\"\nsender = \"s\"\n"));
    }
    Register::parse(Path::new("r.toml"), &text).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

fn routes(ports: &[&str]) -> Routes {
    let routes = Routes::default();
    routes.follow(&register(ports), at(0));
    routes
}

fn sorted(names: &[Box<str>]) -> Vec<&str> {
    let mut names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_route_is_lost_with_the_last_bind_for_its_port() {
    let routes = routes(&["1069000101", "1069000102", "1069000201"]);
    assert_eq!(routes.lost("agg1", "1069000101", at(5)), Some(at(0)), "never seen: from when it was known");
    let (_, turn) = routes.open("agg1", 1, range("^1069000101$"));
    assert_eq!((sorted(&turn.opened), turn.of), (vec![OTHERS, "1069000101"], 3));
    let (_, turn) = routes.open("agg1", 2, range(""));
    assert_eq!(sorted(&turn.opened), ["1069000102"]);
    assert_eq!(routes.lost("agg1", "1069000102", at(6)), None);

    assert_eq!(sorted(&routes.close("agg1", 2, Some(at(7))).lost), ["1069000102"]);
    assert!(routes.close("agg1", 2, Some(at(8))).is_empty(), "closed once");
    let lost = |port, now| routes.lost("agg1", port, at(now));
    assert_eq!((lost("1069000101", 9), lost("1069000102", 9)), (None, Some(at(7))), "only its own are dead");
    assert_eq!((lost(OTHERS, 9), lost("1069000201", 9)), (None, None), "any bind takes what is not the provider's own");
    assert_eq!(routes.lost("agg2", "1069000201", at(9)), Some(at(0)), "each provider has its own");
    assert_eq!(routes.close("agg1", 1, Some(at(10))).lost.len(), 2);
    assert_eq!((lost("1069000101", 11), lost(OTHERS, 11)), (Some(at(10)), Some(at(10))));
}

#[test]
fn a_route_that_broke_off_counts_from_when_it_is_asked_about() {
    let routes = routes(&["1069000101"]);
    routes.open("agg1", 1, range(""));
    assert_eq!(routes.close("agg1", 1, None).lost.len(), 2);
    assert_eq!(routes.lost("agg1", "1069000101", at(7)), Some(at(7)));
    assert_eq!(routes.lost("agg1", "1069000101", at(9)), Some(at(7)));
    assert_eq!(routes.lost("nobody", "1069000101", at(9)), Some(at(9)));
}

#[test]
fn a_range_for_none_of_the_ports_or_that_is_none_counts_as_all_and_is_told() {
    let routes = routes(&["1069000101", "1069000102"]);
    for (session, said) in [(1, "^8613"), (2, "*")] {
        routes.open("agg1", session, range(said));
        assert_eq!(routes.lost("agg1", "1069000102", at(1)), None, "{said}");
    }
    let seen = routes.see("agg1", "1069000101");
    let told: Vec<&str> = seen.taking.iter().map(|bind| bind.range.as_str()).collect();
    let expected = [
        "address_range \"^8613\", which is for none of its ports and counts as all",
        "address_range \"*\", which is no regular expression and counts as all",
    ];
    assert_eq!((told, seen.refusing.len()), (expected.to_vec(), 0));
}

#[test]
fn a_register_that_changes_brings_ports_in_and_takes_others_out() {
    let routes = routes(&["1069000101"]);
    let (reach, _) = routes.open("agg1", 1, range("1069000101"));
    let turns = routes.follow(&register(&["1069000101", "1069000102"]), at(5));
    assert_eq!(turns.len(), 1);
    assert_eq!((sorted(&turns[0].lost), sorted(&turns[0].opened)), (vec!["1069000102"], vec![]));
    assert!(reach.takes("1069000101") && !reach.takes("1069000102"));
    assert_eq!(routes.lost("agg1", "1069000102", at(6)), Some(at(5)));
    let lost = routes.lost_ones(at(6));
    assert_eq!((lost.len(), lost[0].ports, lost[0].of, lost[0].since), (1, 1, 2, at(5)));

    assert!(routes.follow(&register(&["1069000101", "1069000102"]), at(7)).is_empty(), "nothing is new");
    let turns = routes.follow(&register(&["1069000102"]), at(8));
    assert_eq!(sorted(&turns[0].opened), ["1069000102"], "the range is for none any more, and so for all");
    assert_eq!(routes.lost("agg1", "1069000101", at(9)), None, "it is one of the others now");
}

#[test]
fn a_short_port_is_tried_by_the_numbers_its_providers_have_of_it() {
    let routes = routes(&["1069", "1069000101"]);
    routes.open("agg1", 1, range("^10690001$"));
    assert_eq!(routes.lost("agg1", "1069", at(1)), None);
    assert_eq!(routes.lost("agg1", "1069000101", at(1)), Some(at(0)));
    assert_eq!(routes.lost("agg2", "1069", at(1)), Some(at(0)));
}

#[test]
fn a_receipt_of_the_gates_own_waits_for_a_bind_that_takes_its_port() {
    let (routes, accounts) = (routes(&["1069000101", "1069000102"]), Accounts::default());
    let bind = |session, said| {
        let (reach, _) = routes.open("agg1", session, range(said));
        let (mailbox, mail) = mailbox::new();
        accounts.join("agg1", Bound { session, kind: BindKind::Receiver, reach, mailbox });
        mail
    };
    let post = |route: &str| {
        let id = EntryId { day: Day(jiff::civil::date(2026, 11, 24)), number: 1 };
        let frame = Pdu::EnquireLink(EnquireLink::default()).to_frame(CommandStatus::ESME_ROK, 0);
        let (provider, subscriber, port, route) = ("agg1".into(), String::new(), route.into(), route.into());
        let (state, attempts, not_before) = (State::Unknown, 0, None);
        accounts.post(Owed::Report(Report {
            provider,
            id,
            frame,
            subscriber,
            port,
            route,
            state,
            attempts,
            not_before,
        }))
    };
    let mut one = bind(1, "0101$");
    assert!(post("1069000102").is_none() && one.try_recv().is_err(), "it is kept");
    assert!(post("1069000101").is_none() && one.try_recv().is_ok());
    assert!(post("").is_none() && one.try_recv().is_ok(), "of a number that is not in the register");
    let mut other = bind(2, "0102$");
    assert!(other.try_recv().is_ok() && one.try_recv().is_err());

    // What a changed register gives to a bind goes out then.
    drop(other);
    accounts.leave(2);
    assert!(post("1069000102").is_none() && one.try_recv().is_err());
    routes.follow(&register(&["1069000102"]), at(1));
    accounts.try_again();
    assert!(one.try_recv().is_ok(), "its range is for none of the ports now, and so for all");
}

const PORTS: [&str; 4] = ["1069000101", "1069000102", "1069000111", "1069000112"];
const RANGES: [&str; 6] = ["", "*", "^10690001", "1$", "^106900010", "86"];

#[derive(Clone, Debug)]
enum Step {
    Open(u64, usize),
    Close(u64),
    Register(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u64..6, 0..RANGES.len()).prop_map(|(session, range)| Step::Open(session, range)),
        (0u64..6).prop_map(Step::Close),
        (0u8..16).prop_map(Step::Register),
    ]
}

/// What is open, worked out from the start: by the ranges as people would read them.
fn is_open(port: &str, ports: &[&str], binds: &BTreeMap<u64, usize>) -> bool {
    let takes = |range: usize, port: &str| match RANGES[range] {
        "" | "*" => true,
        "1$" => port.ends_with('1'),
        "86" => port.contains("86"),
        begin => port.starts_with(&begin[1..]),
    };
    let is_for = |range: usize| takes(range, port) || !ports.iter().any(|port| takes(range, port));
    binds.values().any(|&range| is_for(range))
}

proptest! {
    /// Whatever comes and goes, each port's route is as the binds and the register of the moment make it, it is lost
    /// since it last closed, and each turn tells exactly what changed.
    #[test]
    fn routes_follow_binds_and_register(steps in proptest::collection::vec(step(), 1..40)) {
        let mut ports: Vec<&str> = PORTS.to_vec();
        let routes = routes(&ports);
        let mut binds = BTreeMap::new();
        let mut known: HashMap<&str, Option<Timestamp>> = ports.iter().map(|&port| (port, Some(at(0)))).collect();
        for (second, step) in (1..).zip(steps) {
            let now = at(second);
            let turns = match step {
                Step::Open(session, _) if binds.contains_key(&session) => continue,
                Step::Open(session, said) => {
                    binds.insert(session, said);
                    vec![routes.open("agg1", session, range(RANGES[said])).1]
                }
                Step::Close(session) => {
                    binds.remove(&session);
                    vec![routes.close("agg1", session, Some(now))]
                }
                Step::Register(bits) => {
                    ports = (0..4).filter(|n| bits & (1 << n) != 0).map(|n| PORTS[n]).collect();
                    routes.follow(&register(&ports), now)
                }
            };
            let told = |names: fn(&Turn) -> &Vec<Box<str>>| -> HashSet<String> {
                turns.iter().flat_map(names).map(ToString::to_string).collect()
            };
            let (mut opened, mut lost) = (told(|turn| &turn.opened), told(|turn| &turn.lost));
            known.retain(|port, _| ports.contains(port));
            for &port in &ports {
                let before = known.get(port).copied();
                let open = is_open(port, &ports, &binds);
                let since = match before {
                    _ if open => None,
                    Some(Some(since)) => Some(since),
                    Some(None) | None => Some(now),
                };
                prop_assert_eq!(routes.lost("agg1", port, now), since, "{} after {} s", port, second);
                prop_assert_eq!(opened.remove(port), open && before != Some(None), "{}", port);
                prop_assert_eq!(lost.remove(port), !open && !matches!(before, Some(Some(_))), "{}", port);
                known.insert(port, since);
            }
            opened.remove(OTHERS);
            lost.remove(OTHERS);
            prop_assert!(opened.is_empty() && lost.is_empty(), "{:?} {:?}", opened, lost);
        }
    }
}
