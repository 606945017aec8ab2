//! What the process before had acknowledged and not seen to its end.
//!
//! Owns the reading of the journal for it: a part whose message was not whole waits again, one
//! whose end its provider was not told of is reported, and the carrier's names for the others are
//! remembered. Refuses to forward anything twice: where the carrier may have a part, the report
//! says that it is not known. Driven once, when the gate opens.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::BytesMut;
use jiff::{Timestamp, ToSpan};
use portcullis_protocol::{CommandId, CommandStatus, Frame, frame};

use super::desk::{Sent, key_of};
use super::owed::{Owed, OwedPart, State};
use super::parts::{Holder, Part};
use super::record::{self, ACKNOWLEDGED, Kept, Name, Record, entry_id, name};
use super::{Gate, Moment};
use crate::register::Provider;
use crate::rules::{Class, Mode, Permit, Rule};
use crate::store::{EntryId, Index, Query, StoreError};

/// Receipts come for this long.
pub(super) const LOOK_BACK_HOURS: i64 = 72;

/// Records read at most, newest first.
const MOST: usize = 2_000_000;

/// What is known of the parts of the records read so far, which are later ones.
#[derive(Default)]
struct Known {
    reported: HashSet<Name>,
    /// The message's own record.
    of: HashMap<Name, Name>,
    /// The carrier's name where it took the part, and how it ended otherwise.
    ended: HashMap<Name, Ended>,
    /// The carrier's names for parts it took.
    taken: Vec<(EntryId, Taken)>,
    /// What became of the message.
    judged: HashMap<Name, Option<State>>,
    /// The record and the number of a part whose message waits for the end of quiet hours.
    queued: HashMap<Name, (Name, u8)>,
}

/// A message that waits for the end of quiet hours, as far as its parts are read.
struct Waiting {
    provider: String,
    parts: BTreeMap<u8, EntryId>,
    frame: Frame,
}

/// Takes up what is owed.
pub(super) fn restore(gate: &Gate, now: Moment) -> Result<(), StoreError> {
    let since = now.wall.checked_sub(LOOK_BACK_HOURS.hours()).unwrap_or(Timestamp::MIN);
    let query = Query {
        key: Some((Index::Source, ACKNOWLEDGED.to_vec())),
        since_ms: Some(since.as_millisecond()),
        newest_first: true,
        limit: MOST,
        ..Query::default()
    };
    let (mut known, mut waiting, mut reported) = (Known::default(), 0, 0);
    let mut queued: HashMap<Name, Waiting> = HashMap::new();
    for entry in gate.journal.find_parts(query)? {
        let (id, kept) = entry?;
        match Kept::decode(&kept.content, kept.signalling.as_deref()).map(|kept| kept.record) {
            Ok(Record::Part(part)) => match known.fate(id) {
                Fate::Done => {}
                Fate::Waits if known.queued.contains_key(&name(id)) => {
                    waiting += 1;
                    gather_queued(&mut queued, &known, id, &part);
                }
                Fate::Waits => waiting += usize::from(wait_again(gate, id, &part, now)),
                Fate::Unsent if is_short(gate, &part) => {
                    waiting += 1;
                    queue_again(gate, id, &part, now);
                }
                Fate::Unsent => {
                    waiting += 1;
                    send_again(gate, id, &part, known.of.get(&name(id)).copied(), now);
                }
                Fate::Owed(state) => {
                    reported += 1;
                    report(gate, id, &part, state, now.wall);
                }
            },
            Ok(record) => known.learn(id, &record),
            Err(error) => tracing::error!(record = %id, %error, "a record of an acknowledged part cannot be read"),
        }
    }
    for message in queued.into_values() {
        gate.enqueue_again(&message.provider, message.parts.into_values().collect(), &message.frame, now.wall);
    }
    // The newest last: they are the ones to be kept.
    known.taken.sort_unstable();
    for (id, taken) in known.taken {
        gate.ids.learn(&taken.carriers, id, &taken.subscriber, &taken.port);
    }
    if waiting + reported > 0 {
        tracing::info!(waiting, reported, "acknowledged parts of the process before are taken up");
    }
    Ok(())
}

enum Fate {
    Done,
    Waits,
    /// Its message may pass, and it was certainly not sent.
    Unsent,
    Owed(State),
}

impl Known {
    fn learn(&mut self, id: EntryId, record: &Record<'_>) {
        match record {
            Record::Report(report) => drop(self.reported.insert(report.of)),
            Record::PartOutcome(part) => {
                let Some(of) = part.acknowledged else { return };
                self.of.entry(of).or_insert(part.outcome.of);
                // What came last is read first, and stands.
                let Entry::Vacant(place) = self.ended.entry(of) else { return };
                let ended = place.insert(ended(&part.outcome));
                if let (Ended::Taken, Some(id), Some(carriers)) = (ended, entry_id(of), &part.outcome.message_id) {
                    self.taken.push((id, Taken::new(carriers, &part.outcome)));
                }
            }
            Record::Long(long) => {
                let state = state(&long.submission);
                for part in &long.parts {
                    let Some(acknowledged) = part.acknowledged else { continue };
                    let Entry::Vacant(place) = self.judged.entry(acknowledged) else { continue };
                    place.insert(state);
                    if is_queued(&long.submission) {
                        self.queued.insert(acknowledged, (name(id), part.number));
                    }
                }
            }
            _ => {}
        }
    }

    fn fate(&self, id: EntryId) -> Fate {
        let name = name(id);
        if self.reported.contains(&name) {
            return Fate::Done;
        }
        match (self.ended.get(&name), self.judged.get(&name)) {
            (Some(Ended::Taken), _) => Fate::Done,
            (Some(Ended::NotForwarded), _) => Fate::Unsent,
            (Some(Ended::Badly(state)), _) => Fate::Owed(*state),
            (None, Some(Some(state))) => Fate::Owed(*state),
            // Judged, and not recorded as ended: it waits where the verdict had to wait itself.
            (None, Some(None) | None) => Fate::Waits,
        }
    }
}

/// How a part ended.
enum Ended {
    /// The carrier took it.
    Taken,
    NotForwarded,
    Badly(State),
}

/// What the carrier calls a part, and between whom it went.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Taken {
    carriers: String,
    subscriber: String,
    port: String,
}

impl Taken {
    fn new(carriers: &str, outcome: &record::Outcome<'_>) -> Self {
        let (subscriber, port) = (outcome.subscriber.to_string(), outcome.port.to_string());
        Self { carriers: carriers.to_owned(), subscriber, port }
    }
}

fn ended(outcome: &record::Outcome<'_>) -> Ended {
    match (&*outcome.outcome, outcome.status) {
        ("answered", 0) => Ended::Taken,
        ("answered" | "nacked", status) => Ended::Badly(State::Undeliverable(CommandStatus(status))),
        ("refused", status) => Ended::Badly(State::Rejected(CommandStatus(status))),
        ("not-forwarded", _) => Ended::NotForwarded,
        _ => Ended::Badly(State::Unknown),
    }
}

/// What a part of a message with this verdict is owed, where its own end is not recorded.
fn state(submission: &record::Submission<'_>) -> Option<State> {
    match &*submission.verdict {
        // It may have been sent.
        "forward" => Some(State::Unknown),
        "reject" => Some(State::Rejected(CommandStatus(submission.status))),
        "incomplete" => Some(State::Undeliverable(CommandStatus(submission.status))),
        _ => None,
    }
}

fn frame_of(part: &record::Part<'_>) -> Option<Frame> {
    let mut octets = BytesMut::from(&part.frame[..]);
    let limit = octets.len();
    frame::split(&mut octets, limit).ok().flatten()
}

/// Whether a message with this verdict was put into the queue for quiet hours.
fn is_queued(submission: &record::Submission<'_>) -> bool {
    let holds = |finding: &record::Finding<'_>| finding.effect == "held";
    let mut held = submission.findings.iter().filter(|finding| holds(finding)).peekable();
    submission.verdict == "hold" && held.peek().is_some() && held.all(|finding| finding.rule == Rule::R18.id())
}

fn gather_queued(queued: &mut HashMap<Name, Waiting>, known: &Known, id: EntryId, part: &record::Part<'_>) {
    let (Some((of, number)), Some(frame)) = (known.queued.get(&name(id)), frame_of(part)) else {
        return tracing::error!(record = %id, "a queued message cannot be read");
    };
    let provider = || part.origin.provider.clone().into_owned();
    let message = queued.entry(*of).or_insert_with(|| Waiting { provider: provider(), parts: BTreeMap::new(), frame });
    message.parts.insert(*number, id);
}

/// Whether the part could be put back where it waited.
fn wait_again(gate: &Gate, id: EntryId, part: &record::Part<'_>, now: Moment) -> bool {
    let register = gate.register.load();
    let provider = register.provider(&part.origin.provider);
    let place = provider.zip(frame_of(part)).and_then(|(provider, frame)| {
        let (key, number) = key_of(provider, &frame)?;
        Some((key, number, frame))
    });
    let Some((key, number, frame)) = place else {
        report(gate, id, part, State::Unknown, now.wall);
        return false;
    };
    let received = Timestamp::from_millisecond(part.received_ms).unwrap_or(now.wall);
    let part = Part { number, frame, received, session: part.origin.session, holder: Holder::Acknowledged { id } };
    drop(gate.parts.add(&key, part, now.monotonic));
    true
}

/// Whether it is a message by itself: only quiet hours make the gate answer one in the carrier's place.
fn is_short(gate: &Gate, part: &record::Part<'_>) -> bool {
    let register = gate.register.load();
    let provider = register.provider(&part.origin.provider);
    provider.zip(frame_of(part)).is_some_and(|(provider, frame)| key_of(provider, &frame).is_none())
}

/// It is judged once more: the hours may be quiet again.
fn queue_again(gate: &Gate, id: EntryId, part: &record::Part<'_>, now: Moment) {
    let Some(frame) = frame_of(part) else { return };
    gate.enqueue_again(&part.origin.provider, vec![id], &frame, now.wall);
}

/// What was judged to pass and did not go out goes out now.
fn send_again(gate: &Gate, id: EntryId, part: &record::Part<'_>, of: Option<Name>, now: Moment) {
    let register = gate.register.load();
    let provider = register.provider(&part.origin.provider);
    let place = provider.zip(frame_of(part)).and_then(|(provider, frame)| Some((key_of(provider, &frame)?.1, frame)));
    // Of a submit_multi some recipients may have been refused: which, the part alone does not tell.
    let place = place.filter(|(_, frame)| frame.command_id() != CommandId::SUBMIT_MULTI);
    let (Some((number, frame)), Some(record)) = (place, of.and_then(entry_id)) else {
        return report(gate, id, part, State::Unknown, now.wall);
    };
    let subscriber = record::subscriber_key(part.msisdn, &part.destination.addr).into_owned();
    let port = part.source.addr.clone().into_owned();
    // From here on it may be with the carrier: a process after this one must not send it once more.
    let outcome = record::Outcome {
        at_ms: now.wall.as_millisecond(),
        subscriber: subscriber.as_str().into(),
        port: port.as_str().into(),
        message_id: None,
        of: name(record),
        forwarded_ms: now.wall.as_millisecond(),
        outcome: "sending".into(),
        status: 0,
    };
    let sending = Record::PartOutcome(record::PartOutcome { outcome, number, acknowledged: Some(name(id)) });
    let Ok(ticket) = gate.journal.append(sending.encode(Vec::new())) else {
        tracing::error!(record = %id, "an acknowledged part cannot be sent: the journal takes no record of it");
        return;
    };
    let owed = Owed::Part(OwedPart {
        provider: part.origin.provider.clone().into_owned(),
        id,
        number,
        frame,
        records: vec![Sent {
            id: record,
            sequence: ticket.sequence,
            subscriber: subscriber.into(),
            port: port.into(),
            goes_on: true,
            counted: None,
            schedule: None,
        }],
        permit: Permit::unjudged("judged by the process before, whose record of it names the verdict"),
        marketing: record_of(gate, record).and_then(|long| marketing(gate, provider, &long)),
        received: Timestamp::from_millisecond(part.received_ms).unwrap_or(now.wall),
        alone: false,
        attempts: 0,
        not_before: None,
    });
    gate.post(owed, now.wall);
}

fn record_of(gate: &Gate, record: EntryId) -> Option<Vec<u8>> {
    gate.journal.get(record).ok().flatten()
}

/// Whose refusal still stops a message, by its record.
fn marketing(gate: &Gate, provider: Option<&Provider>, payload: &[u8]) -> Option<(String, u64)> {
    let Ok(Record::Long(long)) = Record::decode(payload) else { return None };
    let submission = long.submission;
    let port_class = submission.port.as_ref().map_or(Class::Commercial.name(), |(_, class)| class);
    let commercial = submission.class == Class::Commercial.name() && port_class == Class::Commercial.name();
    let enforced = gate.profile.mode(Rule::R11, Class::Commercial, provider?) == Mode::Enforce;
    Some((submission.sender?.into_owned(), submission.msisdn?)).filter(|_| commercial && enforced)
}

fn report(gate: &Gate, id: EntryId, part: &record::Part<'_>, state: State, now: Timestamp) {
    let received = Timestamp::from_millisecond(part.received_ms).unwrap_or(now);
    match frame_of(part) {
        Some(frame) => gate.report(&part.origin.provider, &frame, id, state, received, now),
        None => tracing::error!(record = %id, "an acknowledged part cannot be read"),
    }
}
