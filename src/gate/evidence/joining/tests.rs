use jiff::civil::date;

use super::*;
use crate::gate::evidence::{FoundDelivery, FoundMessage, Query};
use crate::gate::record::{self, Content, Origin, Outcome, Receipt, Submission, Taken, WireAddress};
use crate::store::journal::Day;

const SUBSCRIBER: &str = "8613800138001";
const PORT: &str = "10690001230801";

/// What a search has read so far.
struct Search {
    joining: Joining,
    number: u64,
}

impl Search {
    fn new(form: MessageIdForm) -> Self {
        Self { joining: Joining::new(form, false), number: 0 }
    }

    fn read(&mut self, record: &Record<'_>) -> EntryId {
        self.number += 1;
        let id = EntryId { day: Day(date(2026, 11, 24)), number: self.number };
        if self.joining.join(record, true, &Conditions::of(&Query::default())) == Joined::No {
            let found = match record {
                Record::Submission(record) => Found::Message(Box::new(FoundMessage::new(id, record))),
                Record::Delivery(record) => Found::Delivery(FoundDelivery::new(id, record)),
                _ => panic!("neither message nor delivery"),
            };
            assert_eq!(self.joining.hold(id, found, record, (true, false)), None);
        }
        id
    }

    fn sent(&mut self, to: &str, from: &str) -> EntryId {
        self.read(&Record::Submission(submission(to, from)))
    }

    fn answered(&mut self, of: EntryId, to: &str, message_id: &str) {
        let record = Outcome {
            at_ms: 0,
            subscriber: to.into(),
            port: PORT.into(),
            message_id: Some(message_id.into()),
            of: record::name(of),
            forwarded_ms: 0,
            outcome: "answered".into(),
            status: 0,
        };
        self.read(&Record::Outcome(record));
    }

    fn receipted(&mut self, from: &str, to: &str, message_id: &str, state: &str) -> EntryId {
        let receipt = Receipt { message_id: Some(message_id.into()), state: Some(state.into()), error: None };
        self.read(&Record::Delivery(delivery(from, to, Some(receipt))))
    }

    /// Of each message the receipts' states, then how many deliveries stand by themselves.
    fn end(self) -> (Vec<Vec<String>>, usize) {
        let (mut messages, mut alone) = (Vec::new(), 0);
        for found in self.joining.rest() {
            match found {
                Found::Message(message) => {
                    messages.push(message.receipts.into_iter().filter_map(|receipt| receipt.state).collect());
                }
                _ => alone += 1,
            }
        }
        (messages, alone)
    }
}

fn address(addr: &str) -> WireAddress<'_> {
    WireAddress { ton: 1, npi: 1, addr: addr.into() }
}

fn origin() -> Origin<'static> {
    Origin { provider: "agg".into(), session: 1, peer: "127.0.0.1:1".into() }
}

fn submission<'a>(to: &'a str, from: &'a str) -> Submission<'a> {
    Submission {
        received_ms: 0,
        source: address(from),
        destination: address(to),
        msisdn: to.parse().ok(),
        origin: origin(),
        command_id: 4,
        sequence_number: 1,
        port: None,
        sender: None,
        class: "service".into(),
        service_type: "".into(),
        flags: (0, 0, 1),
        part: None,
        content: Content::Text("hello".into()),
        verdict: "forward".into(),
        status: 0,
        findings: Vec::new(),
        profile: "p".into(),
        register: "r".into(),
    }
}

fn delivery<'a>(from: &'a str, to: &'a str, receipt: Option<Receipt<'a>>) -> record::Delivery<'a> {
    record::Delivery {
        received_ms: 7,
        source: address(from),
        destination: address(to),
        msisdn: from.parse().ok(),
        receipt,
        origin: origin(),
        flags: (4, 0),
        content: Content::Text("text".into()),
    }
}

fn states(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn receipts_in_every_spelling_are_joined() {
    for (answer, receipt) in
        [("4F2A", "4f2a"), ("4F2A", "20266"), ("20266", "4F2A"), ("0000000042", "42"), ("x-1", "X-1")]
    {
        let mut search = Search::new(MessageIdForm::Auto);
        let id = search.sent(SUBSCRIBER, PORT);
        search.answered(id, SUBSCRIBER, answer);
        search.receipted(SUBSCRIBER, PORT, receipt, "DELIVRD");
        assert_eq!(search.end(), (vec![states(&["DELIVRD"])], 0), "{answer} {receipt}");
    }
}

#[test]
fn a_receipt_before_the_answer_finds_its_message() {
    let mut search = Search::new(MessageIdForm::Auto);
    let id = search.sent(SUBSCRIBER, PORT);
    search.receipted(SUBSCRIBER, PORT, "20266", "ACCEPTD");
    search.receipted(SUBSCRIBER, PORT, "20266", "DELIVRD");
    search.answered(id, SUBSCRIBER, "4F2A");
    assert_eq!(search.end(), (vec![states(&["ACCEPTD", "DELIVRD"])], 0));
}

#[test]
fn the_addresses_must_be_the_messages() {
    let mut search = Search::new(MessageIdForm::Auto);
    let id = search.sent(SUBSCRIBER, PORT);
    search.answered(id, SUBSCRIBER, "42");
    search.receipted("8613800138002", PORT, "42", "DELIVRD");
    search.receipted(SUBSCRIBER, "10690001230802", "42", "DELIVRD");
    search.receipted(SUBSCRIBER, &format!("86{PORT}"), "42", "DELIVRD");
    assert_eq!(search.end(), (vec![states(&["DELIVRD"])], 2), "the port's country code does not matter");
}

#[test]
fn what_fits_two_messages_is_given_to_none_unless_the_form_is_known() {
    let two = |search: &mut Search| {
        // 0x64 is 100, 0x100 is 256.
        for answer in ["64", "100"] {
            let id = search.sent(SUBSCRIBER, PORT);
            search.answered(id, SUBSCRIBER, answer);
        }
    };
    let mut search = Search::new(MessageIdForm::Auto);
    two(&mut search);
    search.receipted(SUBSCRIBER, PORT, "100", "DELIVRD");
    assert_eq!(search.end(), (vec![states(&[]), states(&[])], 1));

    let mut search = Search::new(MessageIdForm::HexInAnswer);
    two(&mut search);
    search.receipted(SUBSCRIBER, PORT, "100", "DELIVRD");
    assert_eq!(search.end(), (vec![states(&["DELIVRD"]), states(&[])], 0));

    let mut search = Search::new(MessageIdForm::Auto);
    let id = search.sent(SUBSCRIBER, PORT);
    search.answered(id, SUBSCRIBER, "4F2A");
    search.receipted(SUBSCRIBER, PORT, "20266", "DELIVRD");
    two(&mut search);
    search.receipted(SUBSCRIBER, PORT, "100", "EXPIRED");
    let expected = vec![states(&["DELIVRD"]), states(&["EXPIRED"]), states(&[])];
    assert_eq!(search.end(), (expected, 0), "this carrier is known to write hexadecimal answers");
}

#[test]
fn a_message_ends_as_its_best_receipt_says() {
    let ended = |words: &[&str]| {
        let mut search = Search::new(MessageIdForm::Auto);
        let id = search.sent(SUBSCRIBER, PORT);
        search.answered(id, SUBSCRIBER, "7");
        for word in words {
            search.receipted(SUBSCRIBER, PORT, "7", word);
        }
        match search.joining.rest().next() {
            Some(Found::Message(message)) => {
                assert_eq!(message.final_state.is_some(), message.final_at.is_some());
                message.final_state
            }
            other => panic!("no message but {other:?}"),
        }
    };
    assert_eq!(ended(&["ACCEPTD", "DELIVRD", "DELIVRD"]).as_deref(), Some("DELIVRD"));
    assert_eq!(ended(&["DELIVRD", "ACCEPTD"]).as_deref(), Some("DELIVRD"));
    assert_eq!(ended(&["UNKNOWN", "DELIVRD"]).as_deref(), Some("DELIVRD"));
    assert_eq!(ended(&["FAILED"]).as_deref(), Some("UNDELIV"));
    assert_eq!(ended(&["BUFFRED", "0", "WHATEVER"]), None);
}

#[test]
fn a_reply_is_told_what_it_was_taken_for() {
    let mut search = Search::new(MessageIdForm::Auto);
    let id = search.read(&Record::Delivery(delivery(SUBSCRIBER, PORT, None)));
    search.read(&Record::Taken(Taken {
        at_ms: 8,
        subscriber: SUBSCRIBER.into(),
        port: PORT.into(),
        of: record::name(id),
        answers: None,
        rule: "R23".into(),
        effect: "refused".into(),
        senders: vec!["qinghe".into()],
    }));
    match search.joining.rest().next() {
        Some(Found::Delivery(reply)) => {
            assert_eq!(
                reply.taken.map(|taken| (taken.effect, taken.senders)),
                Some(("refused".into(), states(&["qinghe"])))
            );
        }
        other => panic!("no reply but {other:?}"),
    }
}

#[test]
fn what_nobody_asked_for_pushes_out_nothing_that_is_and_leaves_nothing_behind() {
    let mut search = Search::new(MessageIdForm::Auto);
    let id = search.sent(SUBSCRIBER, PORT);
    search.answered(id, SUBSCRIBER, "42");
    let foreign = |number: usize| (8_613_900_000_000 + number).to_string();
    let receipt = || Some(Receipt { message_id: Some("7".into()), state: None, error: None });
    for number in 0..BESIDE + 10 {
        let (from, id) = (foreign(number), EntryId { day: Day(date(2026, 11, 24)), number: 10 + number as u64 });
        let record = delivery(&from, PORT, receipt());
        let found = Found::Delivery(FoundDelivery::new(id, &record));
        assert_eq!(search.joining.hold(id, found, &Record::Delivery(record), (false, false)), None);
    }
    assert_eq!((search.joining.beside.len(), search.joining.early.len()), (BESIDE, BESIDE));
    assert_eq!((search.joining.held.len(), search.joining.places.len()), (BESIDE + 1, BESIDE + 1));
    search.number = 1 << 40;
    search.receipted(SUBSCRIBER, PORT, "42", "DELIVRD");
    assert_eq!(search.end(), (vec![states(&["DELIVRD"])], 0));
}
