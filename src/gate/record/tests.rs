use std::collections::HashMap;

use super::*;
use crate::store::{Index, Schema};

fn address(addr: &str) -> WireAddress<'_> {
    WireAddress { ton: 1, npi: 1, addr: addr.into() }
}

fn origin() -> Origin<'static> {
    Origin { provider: "agg".into(), session: 7, peer: "127.0.0.1:4000".into() }
}

fn submission() -> Record<'static> {
    Record::Submission(judged())
}

fn judged() -> Submission<'static> {
    Submission {
        received_ms: 1_795_000_000_123,
        source: address("10690001230801"),
        destination: address("8613900001111"),
        msisdn: Some(8_613_900_001_111),
        origin: origin(),
        command_id: 4,
        sequence_number: 9,
        port: Some(("10690001230801".into(), "commercial".into())),
        sender: Some("shop".into()),
        class: "commercial".into(),
        service_type: "".into(),
        flags: (0, 8, 1),
        part: None,
        content: Content::Opaque("binary data".into(), vec![0, 255].into()),
        verdict: "reject".into(),
        status: 0x483,
        findings: vec![Finding { rule: "R05".into(), effect: "failed".into(), why: "no name".into() }],
        profile: "cn-2020-draft".into(),
        register: "abc".into(),
    }
}

fn long() -> Record<'static> {
    let part =
        PartOf { received_ms: 3, number: 2, session: 7, sequence_number: 10, acknowledged: Some((2026, 11, 24, 4)) };
    Record::Long(Long { submission: judged(), parts: vec![PartOf { number: 1, acknowledged: None, ..part }, part] })
}

fn part() -> Record<'static> {
    let Submission { received_ms, source, destination, msisdn, origin, .. } = judged();
    let frame = vec![0, 0, 0, 17, 4].into();
    Record::Part(Part { received_ms, source, destination, msisdn, origin, frame })
}

fn part_outcome() -> Record<'static> {
    Record::PartOutcome(PartOutcome { outcome: answered(), number: 2, acknowledged: Some((2026, 11, 24, 4)) })
}

fn report() -> Record<'static> {
    Record::Report(Report {
        at_ms: 77,
        subscriber: "8613900001111".into(),
        port: "10690001230801".into(),
        of: (2026, 11, 24, 4),
        state: "REJECTD".into(),
        sent: true,
    })
}

fn outcome() -> Record<'static> {
    Record::Outcome(answered())
}

fn answered() -> Outcome<'static> {
    Outcome {
        at_ms: 1_795_000_000_456,
        subscriber: "8613900001111".into(),
        port: "10690001230801".into(),
        message_id: Some("4f2a".into()),
        of: (2026, 11, 24, 5),
        forwarded_ms: 1_795_000_000_124,
        outcome: "answered".into(),
        status: 0,
    }
}

fn measure() -> Record<'static> {
    Record::Measure(Measure {
        at_ms: 78,
        kind: "port".into(),
        name: "10690001230801".into(),
        step: "suspend".into(),
        everything: false,
        reason: "complaints".into(),
        by: "operator".into(),
        until_ms: None,
    })
}

fn complaint() -> Record<'static> {
    Record::Complaint(Complaint {
        at_ms: 79,
        subscriber: "8613900001111".into(),
        port: "10690001230801".into(),
        about_ms: 70,
        text: "".into(),
        reference: "12321-7".into(),
        messages: vec![(2026, 11, 24, 5)],
        against: vec![("sender".into(), "shop".into())],
        repeats: None,
    })
}

fn case_step() -> Record<'static> {
    Record::CaseStep(CaseStep {
        at_ms: 80,
        subscriber: "8613900001111".into(),
        port: "10690001230801".into(),
        of: (2026, 11, 24, 8),
        step: "opened".into(),
        done_ms: 78,
        by: "user:clerk".into(),
        note: "".into(),
        channel: "12321".into(),
        reached_ms: Some(79),
        hold: Some("H1".into()),
    })
}

fn all() -> Vec<Record<'static>> {
    let plain = [
        submission(),
        outcome(),
        delivery(),
        session(),
        long(),
        part(),
        part_outcome(),
        report(),
        taken(),
        measure(),
        complaint(),
        list(),
    ];
    plain.into_iter().chain(pending()).chain([change(), accessed(), case_step()]).collect()
}

fn change() -> Record<'static> {
    let change = Change::new(80, "grant", "alice (uid 1000)", "shop").of("8613900001111").with("method", "web");
    Record::Change(change)
}

fn accessed() -> Record<'static> {
    Record::Accessed(Accessed {
        at_ms: 81,
        subscriber: "8613900001111".into(),
        who: "alice (uid 1000)".into(),
        what: "journal find".into(),
        query: "--to 139****1111".into(),
        whole: true,
        results: 3,
        complete: false,
        of: Some((2026, 11, 24, 5)),
    })
}

/// What waits for its time, and what became of it.
fn pending() -> [Record<'static>; 4] {
    let (subscriber, port) = (|| "8613900001111".into(), || "10690001230801".into());
    [
        Record::Asked(Asked {
            at_ms: 1,
            subscriber: subscriber(),
            port: port(),
            of: (2026, 11, 24, 5),
            sender: "shop".into(),
            msisdn: 8_613_900_001_111,
            category: "".into(),
            until_ms: 99,
        }),
        Record::Silence(Silence {
            at_ms: 2,
            subscriber: subscriber(),
            port: port(),
            of: (2026, 11, 24, 6),
            asked_ms: 1,
            sender: "shop".into(),
            effect: "refused".into(),
        }),
        Record::Scheduled(Scheduled {
            at_ms: 3,
            subscriber: subscriber(),
            port: port(),
            message_id: Some("4f2a".into()),
            of: (2026, 11, 24, 5),
            provider: "agg".into(),
            deliver_ms: 99,
            service_type: "".into(),
            source: address("10690001230801"),
            destination: address("8613900001111"),
            marketing: Some(("shop".into(), 8_613_900_001_111)),
        }),
        Record::Withdrawn(Withdrawn {
            at_ms: 4,
            subscriber: subscriber(),
            port: port(),
            of: (2026, 11, 24, 7),
            message: (2026, 11, 24, 5),
            outcome: "cancelled".into(),
            status: 0,
        }),
    ]
}

fn delivery() -> Record<'static> {
    Record::Delivery(Delivery {
        received_ms: -5,
        source: address("not-a-number"),
        destination: address("10690001230801"),
        msisdn: None,
        receipt: Some(Receipt { message_id: Some("4f2a".into()), state: Some("DELIVRD".into()), error: None }),
        origin: origin(),
        flags: (4, 0),
        content: Content::Text("id:4f2a".into()),
    })
}

fn session() -> Record<'static> {
    Record::Session(Session { at_ms: 42, origin: origin(), event: "bind accepted".into() })
}

fn taken() -> Record<'static> {
    Record::Taken(Taken {
        at_ms: 1_795_000_000_789,
        subscriber: "8613900001111".into(),
        port: "10690001230801".into(),
        of: (2026, 11, 24, 7),
        answers: Some((2026, 11, 24, 5)),
        rule: "R24".into(),
        effect: "consented".into(),
        senders: vec!["shop".into()],
    })
}

fn list() -> Record<'static> {
    Record::List(List {
        at_ms: 43,
        name: "national".into(),
        file: "dnd.txt".into(),
        numbers: 5_000_000,
        prefixes: 3,
        added: 12,
        removed: 1,
    })
}

fn keys(record: &Record<'_>) -> Vec<(Index, String)> {
    keys_of(&record.encode(Vec::new()))
}

fn keys_of(payload: &[u8]) -> Vec<(Index, String)> {
    let mut keys = Vec::new();
    let mut emit = |index, key: &[u8]| keys.push((index, String::from_utf8(key.to_vec()).unwrap()));
    RecordSchema.keys(payload, &mut emit);
    keys
}

#[test]
fn a_record_comes_back_as_it_was() {
    for record in all() {
        assert_eq!(Record::decode(&record.encode(Vec::new())).unwrap(), record);
    }
}

#[test]
fn the_head_alone_tells_the_time_of_every_kind() {
    for record in all() {
        assert_eq!(RecordSchema.at_ms(&record.encode(Vec::new())), record.at_ms());
    }
}

#[test]
fn a_message_and_its_outcome_are_found_by_the_same_number_and_port() {
    let number = (Index::Destination, "8613900001111".to_owned());
    let port = (Index::Source, "10690001230801".to_owned());
    let judged = [
        (Index::Provider, "agg".to_owned()),
        (Index::Sender, "shop".to_owned()),
        (Index::Verdict, "reject".to_owned()),
        (Index::Rule, "R05".to_owned()),
    ];
    assert_eq!(keys(&submission()), [vec![number.clone(), port.clone()], judged.to_vec()].concat());
    assert_eq!(keys(&taken()), [number.clone(), port.clone()]);
    assert_eq!(keys(&outcome()), [number, port, (Index::MessageId, "4f2a".to_owned())]);
}

#[test]
fn a_long_message_is_found_as_a_short_one_is() {
    let acknowledged = (Index::Source, String::from_utf8(ACKNOWLEDGED.to_vec()).unwrap());
    let own = (Index::MessageId, "20261124-000000004".to_owned());
    let with = |more: &[&(Index, String)], keys: Vec<(Index, String)>| {
        more.iter().copied().cloned().chain(keys).collect::<Vec<_>>()
    };
    assert_eq!(keys(&long()), with(&[&acknowledged, &own], keys(&submission())));
    let of_provider = keys(&submission())[..3].to_vec();
    assert_eq!(keys(&part()), with(&[&acknowledged], of_provider.clone()));
    assert_eq!(keys(&report()), with(&[&acknowledged, &own], of_provider[..2].to_vec()));
    assert_eq!(keys(&part_outcome()), with(&[&acknowledged, &own], keys(&outcome())));
}

#[test]
fn what_waits_for_its_time_is_found_by_its_kind_too() {
    let kinds = pending().map(|record| keys(&record)[0].clone());
    assert_eq!(kinds, ["asked", "silence", "scheduled", "scheduled"].map(|kind| (Index::Source, format!("\0{kind}"))));
    for record in pending() {
        let keys = keys(&record);
        assert_eq!(keys[1..3], super::tests::keys(&submission())[..2], "{record:?}");
        let id = (Index::MessageId, "4f2a".to_owned());
        assert_eq!(keys.contains(&id), matches!(record, Record::Scheduled(_)));
    }
}

#[test]
fn a_receipt_is_found_by_its_subscriber_its_port_and_its_message() {
    let expected =
        [(Index::Destination, "not-a-number"), (Index::Source, "10690001230801"), (Index::MessageId, "4f2a")];
    assert_eq!(keys(&delivery()), expected.map(|(index, key)| (index, key.to_owned())));
}

#[test]
fn a_message_id_is_found_whatever_its_case_and_leading_zeros() {
    let Record::Outcome(outcome) = outcome() else { unreachable!() };
    let record = Record::Outcome(Outcome { message_id: Some("0004F2A".into()), ..outcome });
    let ids: Vec<_> = keys(&record).into_iter().filter(|(index, _)| *index == Index::MessageId).collect();
    assert_eq!(ids, ["0004F2A", "4f2a"].map(|id| (Index::MessageId, id.to_owned())));
}

#[test]
fn measures_and_complaints_are_found_together() {
    let of = |key: &[u8]| (Index::Source, String::from_utf8(key.to_vec()).unwrap());
    assert_eq!(keys(&measure()), [of(MEASURES)]);
    assert_eq!(keys(&complaint()), [vec![of(COMPLAINTS)], keys(&taken())].concat());
    assert_eq!(keys(&case_step()), keys(&complaint()));
}

#[test]
fn changes_are_found_by_kind_and_by_subscriber_and_readings_by_whom_they_are_about() {
    let of = |key: &[u8]| (Index::Source, String::from_utf8(key.to_vec()).unwrap());
    let number = (Index::Destination, "8613900001111".to_owned());
    assert_eq!(keys(&change()), [of(CHANGES), of(&change_key("grant")), number]);
    let gates = Record::Change(Change::new(1, "start", "gate", "data"));
    assert_eq!(keys(&gates), [of(CHANGES), of(&change_key("start"))]);
    assert_eq!(keys(&accessed()), [of(ACCESSES), of(&accessed_key("8613900001111"))]);
}

/// What was written by the schema of 2026-11-24, every kind there was; entries like these are on disks.
#[test]
fn entries_of_earlier_schemas_are_read_for_ever() {
    let file = include_str!("../../../testdata/records/version-1.txt");
    let known: HashMap<String, Record<'_>> = all().into_iter().map(|record| (kind(&record), record)).collect();
    let mut read = 0;
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let (name, hex) = line.split_once(' ').unwrap();
        let payload = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        let (record, grounds) = Grounds::decode(&payload).unwrap();
        assert_eq!(Record::decode(&payload).unwrap(), record);
        if let Some(kind) = name.strip_suffix("+grounds") {
            assert_eq!(kind, self::kind(&record));
            assert_eq!(grounds.unwrap().iter().cloned().collect::<Vec<_>>(), every_ground());
        } else {
            assert_eq!((Some(&record), grounds), (known.get(name), None), "{name}");
        }
        read += 1;
    }
    assert_eq!(read, 19);
}

fn kind(record: &Record<'_>) -> String {
    let debug = format!("{record:?}");
    debug.split('(').next().unwrap_or_default().to_owned()
}

/// Every kind of fact that the schema of 2026-11-24 knows.
fn every_ground() -> Vec<Ground<'static>> {
    vec![
        Ground::Profile(*b"settings"),
        Ground::Consent(1_795_000_000_123, "promotion".into()),
        Ground::Expired(-5, "".into()),
        Ground::Refused(Some(1_795_000_000_124)),
        Ground::Refused(None),
        Ground::DoNotDisturb,
        Ground::AskedBefore,
        Ground::Vouched,
        Ground::Unanswered,
        Ground::DeliverAt(1_796_000_000_000),
        Ground::ValidUntil(1_797_000_000_000),
        Ground::Canned(3),
        Ground::Flash,
        Ground::Silent,
        Ground::Replacing,
        Ground::ClassTlv(vec![1, 2].into()),
        Ground::RouteLost(1_794_000_000_000),
        Ground::ReplacesUnknown,
    ]
}

/// Content and signalling as the desk hands them to the journal.
fn split(record: &Record<'static>, tls: &'static str) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut record = record.clone();
    let taken = record.take_signalling()?;
    let signalling = Signalling { tls: tls.into(), ..taken };
    Some((record.encode_split(Vec::new()), signalling.encode(Vec::new())))
}

#[test]
fn what_was_taken_out_comes_back_and_content_alone_says_that_it_is_gone() {
    let mut kinds = Vec::new();
    for record in all() {
        let Some((content, signalling)) = split(&record, "TLS 1.3, no certificate") else { continue };
        kinds.push(kind(&record));
        let kept = Kept::decode(&content, Some(&signalling)).unwrap();
        let expected = match record.clone() {
            Record::Session(session) => {
                Record::Session(Session { event: "bind accepted, TLS 1.3, no certificate".into(), ..session })
            }
            other => other,
        };
        assert_eq!((kept.record, kept.is_expired), (expected, false));
        assert_eq!(keys_of(&content), keys(&record), "found without its signalling");
        assert_eq!(RecordSchema.at_ms(&content), record.at_ms());
        for gone in [None, Some(&[][..]), Some(&[77, 1][..]), Some(&signalling[..signalling.len() - 1])] {
            let kept = Kept::decode(&content, gone).unwrap();
            assert!(kept.is_expired && kept.grounds.is_none());
            let shown = format!("{:?}", kept.record);
            assert!(!shown.contains("127.0.0.1") && !shown.contains("session: 7"), "{shown}");
        }
    }
    assert_eq!(kinds, ["Submission", "Delivery", "Session", "Long", "Part"]);
}

#[test]
fn a_verdict_is_reached_again_from_the_content_alone() {
    let Record::Long(Long { submission, parts }) = long() else { panic!("a long message") };
    let submission = Submission { part: Some((300, 2, 1)), ..submission };
    let (content, _) = split(&Record::Long(Long { submission: submission.clone(), parts }), "").unwrap();
    let kept = Kept::decode(&content, None).unwrap();
    let Record::Long(Long { submission: left, parts }) = kept.record else { panic!("a long message") };
    assert_eq!((left.part, parts.len()), (Some((0, 2, 1)), 2));
    let blank = |submission: Submission<'static>| Submission {
        sequence_number: 0,
        flags: (0, 0, 0),
        part: None,
        origin: Origin { session: 0, peer: "".into(), ..submission.origin },
        ..submission
    };
    assert_eq!(Submission { part: None, ..left }, blank(submission), "nothing else is gone");
}

/// What was written by the schema that keeps signalling apart, on 2026-11-24.
#[test]
fn entries_with_signalling_apart_are_read_for_ever() {
    let file = include_str!("../../../testdata/records/version-2.txt");
    let known: HashMap<String, Record<'_>> = all().into_iter().map(|record| (kind(&record), record)).collect();
    let mut read = 0;
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split(' ');
        let (name, content, signalling) = (fields.next(), fields.next(), fields.next());
        let octets = |hex: Option<&str>| data_encoding::HEXLOWER.decode(hex.unwrap().as_bytes()).unwrap();
        let (content, signalling) = (octets(content), octets(signalling));
        let kept = Kept::decode(&content, Some(&signalling)).unwrap();
        assert_eq!(kept.signalling.bind, bind());
        assert_eq!(Some(&kept.record), known.get(name.unwrap()));
        read += 1;
    }
    assert_eq!(read, 5);
}

fn bind() -> Option<Bind<'static>> {
    Some(Bind { command_id: 9, interface_version: 0x34, system_type: "sms".into() })
}

#[test]
fn octets_that_are_no_record_are_an_error_and_have_no_keys() {
    assert!(matches!(Record::decode(&[]), Err(RecordError::Empty)));
    assert!(matches!(Record::decode(&[9, 1, 2]), Err(RecordError::Version(9))));
    assert!(matches!(Record::decode(&[VERSION, 200]), Err(RecordError::Damaged(_))));
    RecordSchema.keys(&[VERSION, 200], &mut |_, _| panic!("a key out of nothing"));
    assert_eq!(RecordSchema.at_ms(&[VERSION]), 0);
}

#[test]
fn a_port_is_known_with_and_without_the_country_code() {
    for port in ["10690001230801", "+8610690001230801", "008610690001230801", "8610690001230801"] {
        assert_eq!(port_key(port), "10690001230801", "{port}");
    }
    assert_eq!((port_key("QINGHE"), port_key("+4477"), port_key("8620")), ("QINGHE", "4477", "8620"));
}
