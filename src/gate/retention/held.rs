//! Which entries of a day a hold speaks of.
//!
//! Owns the reading of a record as a hold sees it, and the walk through a day: what a hold names is held with all that
//! belongs to it, so that a message keeps its parts, outcome, receipts and replies. Refuses to delete anything.
//! Driven by the purge and by plans.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::ToSpan;

use super::holds::{Hold, HoldOrder};
use crate::gate::record::{self, Measure, Name, Record, Submission, entry_id, port_key, subscriber_key};
use crate::register::Register;
use crate::store::consents::{ALL_SENDERS_OF, Held as Said, all_senders_of};
use crate::store::journal::Day;
use crate::store::{EntryId, Journal, Query, StoreError};

/// Entries of earlier days whose holding is remembered for those that belong to them.
const REMEMBERED: usize = 50_000;

/// How long after a hold's time what comes back may speak of a message in it, in milliseconds: it may have been
/// scheduled for a month ahead.
const AFTERWARDS_MS: i64 = 32 * 24 * 3_600_000;

/// How far what belongs to what is followed: a withdrawal, its schedule, its message.
const DEPTH: u8 = 4;

/// What is held of a day.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The numbers of the entries.
    pub(super) numbers: HashSet<u64>,
    /// How many entries the day has.
    pub(super) entries: u64,
    /// By which holds.
    pub(super) by: BTreeSet<String>,
}

impl Held {
    pub(super) fn is_all(&self) -> bool {
        self.numbers.len() as u64 == self.entries
    }
}

/// The holds that stand, as they are compared with records.
pub(super) struct Matcher<'m> {
    holds: Vec<&'m Hold>,
    register: Option<&'m Register>,
}

/// A record as a hold sees it.
#[derive(Default)]
struct About<'r> {
    at_ms: i64,
    subscriber: Option<String>,
    senders: Vec<&'r str>,
    provider: Option<&'r str>,
    port: Option<&'r str>,
    /// What it belongs to.
    of: Vec<Name>,
    /// What belongs to it and was written before.
    has: Vec<Name>,
    /// The message it is, or speaks of, by the carrier's name.
    message_id: Option<&'r str>,
    /// It came back, and names no message of ours: it may speak of any that went there before.
    comes_back: bool,
}

impl HoldOrder {
    /// Whether something on record between two moments may be held, what came back later than the hold's time
    /// included.
    pub(super) fn reaches(&self, from_ms: i64, until_ms: i64) -> bool {
        self.touches(from_ms.saturating_sub(AFTERWARDS_MS), until_ms)
    }
}

impl<'m> Matcher<'m> {
    /// Of these holds, those that may speak of something between two moments.
    pub(super) fn new(holds: &'m [Hold], register: Option<&'m Register>, from_ms: i64, until_ms: i64) -> Self {
        let holds = holds.iter().filter(|hold| hold.order.reaches(from_ms, until_ms)).collect();
        Self { holds, register }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// The holds' names.
    pub(super) fn names(&self) -> Vec<String> {
        self.holds.iter().map(|hold| hold.id.clone()).collect()
    }

    /// Which hold speaks of it, by itself.
    fn find(&self, about: &About<'_>) -> Option<&'m Hold> {
        self.holds.iter().copied().find(|hold| {
            let order = &hold.order;
            let subscriber = |msisdn: u64| about.subscriber.as_ref().is_some_and(|found| *found == msisdn.to_string());
            let (from_ms, until_ms) = (about.at_ms, about.at_ms.saturating_add(1));
            let is_in_time = |comes_back| {
                if comes_back { order.reaches(from_ms, until_ms) } else { order.touches(from_ms, until_ms) }
            };
            is_in_time(about.comes_back)
                && order.msisdn.is_none_or(subscriber)
                && order.sender.as_deref().is_none_or(|sender| self.is_of_sender(about, sender))
                && order.provider.as_deref().is_none_or(|provider| about.provider == Some(provider))
        })
    }

    /// A sender goes by its former ids as well, and by its ports.
    fn is_of_sender(&self, about: &About<'_>, wanted: &str) -> bool {
        let Some(register) = self.register else { return about.senders.contains(&wanted) };
        let wanted = sender_of(register, wanted);
        let is_it = |id: &str| sender_of(register, id) == wanted;
        let port = about.port.and_then(|port| register.port(port_key(port).as_bytes()));
        // A port that is nobody's any more may have been anybody's.
        let is_its = port.map_or(about.comes_back, |port| is_it(&port.sender));
        about.senders.iter().any(|id| is_it(id)) || is_its
    }
}

/// Walks through a day and finds what is held of it; `pace` is told the octets read and may end the walk.
pub(super) fn of_day(
    journal: &Journal,
    day: Day,
    matcher: &Matcher<'_>,
    pace: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Held>, StoreError> {
    let mut walk =
        Walk { journal, matcher, day, held: Held::default(), messages: HashSet::new(), others: HashMap::new() };
    let before = EntryId { day: Day(day.0.saturating_sub(1.day())), number: u64::MAX };
    for entry in journal.find(Query { after: Some(before), ..Query::default() })? {
        let (id, payload) = entry?;
        if id.day != day {
            break;
        }
        if !pace(payload.len() as u64) {
            return Ok(None);
        }
        walk.held.entries += 1;
        walk.take(id.number, &payload)?;
    }
    Ok(Some(walk.held))
}

/// Whether a hold speaks of what a subscriber said: it may be what allowed a message that is held.
pub(super) fn speaks_of(holds: &[Hold], said: &Said, register: &Register) -> bool {
    holds.iter().any(|hold| {
        let order = &hold.order;
        let is_of =
            |sender: &str| said.sender == sender || sender_of(register, &said.sender) == sender_of(register, sender);
        let sends_by = |account: &str| {
            let senders = register.provider(account).map(|provider| register.senders_of(provider));
            said.sender == all_senders_of(account)
                || senders.is_some_and(|senders| senders.contains(sender_of(register, &said.sender)))
        };
        // Of everybody: it changes what holds for each sender.
        let is_of_all = said.sender.is_empty() || said.sender.starts_with(ALL_SENDERS_OF);
        order.until_ms.is_none_or(|until| said.at_ms < until)
            && order.msisdn.is_none_or(|msisdn| msisdn == said.msisdn)
            && order.sender.as_deref().is_none_or(|sender| is_of_all || is_of(sender))
            && order.provider.as_deref().is_none_or(|account| said.sender.is_empty() || sends_by(account))
    })
}

fn sender_of<'r>(register: &'r Register, id: &'r str) -> &'r str {
    register.sender(id).map_or(id, |sender| sender.id.as_str())
}

struct Walk<'w> {
    journal: &'w Journal,
    matcher: &'w Matcher<'w>,
    day: Day,
    held: Held,
    /// The carrier's names of held messages.
    messages: HashSet<String>,
    /// Whether entries of other days are held, as far as they were asked for.
    others: HashMap<EntryId, Option<String>>,
}

impl Walk<'_> {
    fn take(&mut self, number: u64, payload: &[u8]) -> Result<(), StoreError> {
        let Ok(record) = Record::decode(payload) else {
            // What cannot be read may be what is held.
            self.keep(number, self.matcher.names());
            return Ok(());
        };
        let about = about(&record);
        let mut by: Vec<String> = self.matcher.find(&about).map(|hold| hold.id.clone()).into_iter().collect();
        if by.is_empty() && about.message_id.is_some_and(|id| self.messages.contains(id)) {
            by.push(String::new());
        }
        for name in &about.of {
            if by.is_empty() {
                by.extend(self.holds_of(*name, DEPTH)?);
            }
        }
        if by.is_empty() {
            return Ok(());
        }
        self.messages.extend(about.message_id.map(str::to_owned));
        let day = self.day;
        let same_day = about.has.iter().filter_map(|name| entry_id(*name)).filter(|id| id.day == day);
        let numbers: Vec<u64> = same_day.map(|id| id.number).collect();
        self.held.numbers.extend(numbers);
        self.keep(number, by);
        Ok(())
    }

    fn keep(&mut self, number: u64, by: Vec<String>) {
        self.held.numbers.insert(number);
        self.held.by.extend(by.into_iter().filter(|id| !id.is_empty()));
    }

    /// The hold of the entry that another belongs to.
    fn holds_of(&mut self, name: Name, depth: u8) -> Result<Option<String>, StoreError> {
        let Some(id) = entry_id(name) else { return Ok(None) };
        if id.day == self.day {
            return Ok(self.held.numbers.contains(&id.number).then(String::new));
        }
        if let Some(known) = self.others.get(&id) {
            return Ok(known.clone());
        }
        let payload = self.journal.get(id)?;
        let record = payload.as_deref().and_then(|payload| Record::decode(payload).ok());
        let about = record.as_ref().map(about);
        let mut found = about.as_ref().and_then(|about| self.matcher.find(about)).map(|hold| hold.id.clone());
        if let Some(about) = about.filter(|_| found.is_none() && depth > 0) {
            for name in about.of {
                found = found.or(self.holds_of(name, depth - 1)?);
            }
        }
        if self.others.len() >= REMEMBERED {
            self.others.clear();
        }
        self.others.insert(id, found.clone());
        Ok(found)
    }
}

fn about<'r>(record: &'r Record<'_>) -> About<'r> {
    let at_ms = record.at_ms();
    match record {
        Record::Submission(submission) => of_submission(submission),
        Record::Long(long) => About {
            has: long.parts.iter().filter_map(|part| part.acknowledged).collect(),
            ..of_submission(&long.submission)
        },
        Record::Outcome(outcome) => of_outcome(outcome),
        Record::PartOutcome(part) => {
            About { has: part.acknowledged.into_iter().collect(), ..of_outcome(&part.outcome) }
        }
        Record::Delivery(delivery) => About {
            at_ms,
            subscriber: Some(subscriber_key(delivery.msisdn, &delivery.source.addr).into_owned()),
            provider: Some(&delivery.origin.provider),
            port: Some(&delivery.destination.addr),
            message_id: delivery.receipt.as_ref().and_then(|receipt| receipt.message_id.as_deref()),
            comes_back: true,
            ..About::default()
        },
        Record::Session(session) => About { at_ms, provider: Some(&session.origin.provider), ..About::default() },
        Record::Part(part) => About {
            at_ms,
            subscriber: Some(subscriber_key(part.msisdn, &part.destination.addr).into_owned()),
            provider: Some(&part.origin.provider),
            port: Some(&part.source.addr),
            ..About::default()
        },
        Record::Report(report) => of_message(at_ms, &report.subscriber, &report.port, &[report.of]),
        Record::CaseStep(step) => of_message(at_ms, &step.subscriber, &step.port, &[step.of]),
        Record::Taken(taken) => About {
            senders: taken.senders.iter().map(|sender| &**sender).collect(),
            has: vec![taken.of],
            ..of_message(at_ms, &taken.subscriber, &taken.port, &[taken.of])
        },
        Record::Complaint(complaint) => About {
            senders: against(&complaint.against, "sender"),
            provider: against(&complaint.against, "provider").first().copied(),
            ..of_message(at_ms, &complaint.subscriber, &complaint.port, &complaint.messages)
        },
        Record::Asked(asked) => {
            About { senders: vec![&asked.sender], ..of_message(at_ms, &asked.subscriber, &asked.port, &[asked.of]) }
        }
        Record::Silence(silence) => About {
            senders: vec![&silence.sender],
            ..of_message(at_ms, &silence.subscriber, &silence.port, &[silence.of])
        },
        Record::Scheduled(scheduled) => About {
            provider: Some(&scheduled.provider),
            ..of_message(at_ms, &scheduled.subscriber, &scheduled.port, &[scheduled.of])
        },
        Record::Withdrawn(withdrawn) => {
            of_message(at_ms, &withdrawn.subscriber, &withdrawn.port, &[withdrawn.message, withdrawn.of])
        }
        Record::Measure(measure) => of_measure(at_ms, measure),
        Record::Change(change) => of_message(at_ms, &change.subscriber, "", &[]),
        Record::Accessed(accessed) => of_message(at_ms, &accessed.subscriber, "", &[]),
        Record::List(_) => About { at_ms, ..About::default() },
    }
}

fn of_submission<'r>(submission: &'r Submission<'_>) -> About<'r> {
    About {
        at_ms: submission.received_ms,
        subscriber: Some(subscriber_key(submission.msisdn, &submission.destination.addr).into_owned()),
        senders: submission.sender.as_deref().into_iter().collect(),
        provider: Some(&submission.origin.provider),
        // Where the sender is on record, the port's of today says nothing better.
        port: submission.sender.is_none().then_some(&*submission.source.addr),
        ..About::default()
    }
}

fn of_outcome<'r>(outcome: &'r record::Outcome<'_>) -> About<'r> {
    About {
        message_id: outcome.message_id.as_deref(),
        ..of_message(outcome.at_ms, &outcome.subscriber, &outcome.port, &[outcome.of])
    }
}

fn of_message<'r>(at_ms: i64, subscriber: &str, port: &'r str, of: &[Name]) -> About<'r> {
    let subscriber = Some(subscriber).filter(|subscriber| !subscriber.is_empty()).map(str::to_owned);
    let port = Some(port).filter(|port| !port.is_empty());
    About { at_ms, subscriber, port, of: of.to_vec(), ..About::default() }
}

fn of_measure<'r>(at_ms: i64, measure: &'r Measure<'_>) -> About<'r> {
    let name = &*measure.name;
    match &*measure.kind {
        "sender" => About { at_ms, senders: vec![name], ..About::default() },
        "provider" => About { at_ms, provider: Some(name), ..About::default() },
        _ => About { at_ms, port: Some(name), ..About::default() },
    }
}

fn against<'r>(against: &'r [(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)], kind: &str) -> Vec<&'r str> {
    against.iter().filter(|(of, _)| of == kind).map(|(_, name)| &**name).collect()
}
