//! Forwards of the process before whose end it could not record: killed in between, it left them open.
//!
//! Owns the look back over the end of the journal, newest first, and the outcome `unknown` that each of
//! them gets, so that no forward stays without one. Refuses to guess: the carrier may have such a message
//! or not. Driven once, when the gate opens, before anything new is recorded.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use super::record::{self, Name, Outcome, PartOutcome, Record, name, subscriber_key};
use super::{Gate, Moment};
use crate::store::{EntryId, Query, StoreError};

/// What an outcome is called that nobody learnt.
pub(super) const UNKNOWN: &str = "unknown";

/// Provisional: who wrote it meant to write another.
const SENDING: &str = "sending";

/// Records may come this much later than the timers say: a slow disk, a long queue.
const SLACK: Duration = Duration::from_mins(2);

/// Entries read at most, newest first.
const MOST: usize = 4_000_000;

/// A message by its record, or one part of it by its number; 0 is the message itself.
type Piece = (Name, u8);

/// How far the look back has come.
struct LookBack {
    /// Before this moment everything had its end; known once a message was met.
    until_ms: Option<i64>,
    window_ms: i64,
    /// What an outcome was met of; the newest is met first, and stands.
    met: HashSet<Piece>,
    /// What has an outcome that is not provisional.
    ended: HashSet<Piece>,
    /// What was forwarded, newest first.
    forwarded: Vec<(Piece, Unknown)>,
}

/// What is needed for an outcome.
struct Unknown {
    subscriber: String,
    port: String,
    forwarded_ms: i64,
    acknowledged: Option<Name>,
}

/// Gives every forward that was open when the process before ended its outcome; tells how many there were.
///
/// No answer is awaited longer than the carrier's response timeout, so whatever was forwarded that long
/// before the newest message has its outcome already. What a clock that went ahead dated later than now
/// says nothing of that, and is looked through by itself.
pub(super) fn settle(gate: &Gate, response_timeout: Duration, now: Moment) -> Result<u64, StoreError> {
    let window_ms = i64::try_from(response_timeout.saturating_add(SLACK).as_millis()).unwrap_or(i64::MAX);
    let (met, ended, forwarded) = Default::default();
    let mut back = LookBack { until_ms: None, window_ms, met, ended, forwarded };
    let from_now = now.wall.as_millisecond().saturating_add(1);
    let newest = Query { newest_first: true, limit: MOST, ..Query::default() };
    back.look_through(gate, Query { since_ms: Some(from_now), ..newest.clone() })?;
    back.look_through(gate, Query { until_ms: Some(from_now), ..newest })?;
    let open = back.open();
    // In the order in which they were forwarded.
    for ((of, number), open) in open.iter().rev() {
        let record = open.record(*of, *number, now.wall.as_millisecond());
        if let Err(error) = gate.journal.append(record.encode(Vec::new())) {
            tracing::error!(%error, "an unknown outcome could not be recorded");
            break;
        }
    }
    let unknown = open.len() as u64;
    if unknown > 0 {
        tracing::warn!(unknown, "forwarded by the process before, which did not learn what became of them");
    }
    Ok(unknown)
}

impl LookBack {
    fn look_through(&mut self, gate: &Gate, query: Query) -> Result<(), StoreError> {
        self.until_ms = None;
        let mut read = 0;
        for entry in gate.journal.find(query)? {
            let (id, payload) = entry?;
            read += 1;
            match Record::decode(&payload) {
                Ok(record) if !self.goes_on(id, &record) => return Ok(()),
                Ok(_) => {}
                Err(error) => tracing::error!(record = %id, %error, "a record cannot be read: its message may be open"),
            }
        }
        if read == MOST {
            tracing::error!(entries = MOST, "too many records to look for forwards without an outcome further back");
        }
        Ok(())
    }

    /// Takes a record in; false once no older one can be open.
    fn goes_on(&mut self, id: EntryId, record: &Record<'_>) -> bool {
        match record {
            Record::Outcome(outcome) => {
                self.ended.insert((outcome.of, 0));
            }
            Record::PartOutcome(part) => self.part_ended(part),
            Record::Submission(submission) => return self.message(id, submission, &[]),
            Record::Long(long) => return self.message(id, &long.submission, &long.parts),
            _ => {}
        }
        true
    }

    fn part_ended(&mut self, part: &PartOutcome<'_>) {
        let piece = (part.outcome.of, part.number);
        // A message by itself that the gate had acknowledged ends as a part does.
        self.ended.insert((part.outcome.of, 0));
        if !self.met.insert(piece) {
            return;
        }
        if part.outcome.outcome != SENDING {
            self.ended.insert(piece);
            return;
        }
        let Outcome { subscriber, port, forwarded_ms, .. } = &part.outcome;
        let (subscriber, port) = (subscriber.to_string(), port.to_string());
        let unknown = Unknown { subscriber, port, forwarded_ms: *forwarded_ms, acknowledged: part.acknowledged };
        self.forwarded.push((piece, unknown));
    }

    fn message(&mut self, id: EntryId, submission: &record::Submission<'_>, parts: &[record::PartOf]) -> bool {
        let at_ms = submission.received_ms;
        let until_ms = *self.until_ms.get_or_insert(at_ms.saturating_sub(self.window_ms));
        if at_ms < until_ms {
            return false;
        }
        if submission.verdict != "forward" {
            return true;
        }
        let of = name(id);
        let mut forwarded = |number, acknowledged| {
            let subscriber = subscriber_key(submission.msisdn, &submission.destination.addr).into_owned();
            let port = submission.source.addr.clone().into_owned();
            self.forwarded.push(((of, number), Unknown { subscriber, port, forwarded_ms: at_ms, acknowledged }));
        };
        if parts.is_empty() {
            forwarded(0, None);
        }
        parts.iter().rev().for_each(|part| forwarded(part.number, part.acknowledged));
        true
    }

    /// What was forwarded and has no end, each piece once.
    fn open(self) -> Vec<(Piece, Unknown)> {
        let Self { mut ended, forwarded, .. } = self;
        forwarded.into_iter().filter(|(piece, _)| ended.insert(*piece)).collect()
    }
}

impl Unknown {
    fn record(&self, of: Name, number: u8, at_ms: i64) -> Record<'_> {
        let outcome = Outcome {
            at_ms,
            subscriber: self.subscriber.as_str().into(),
            port: self.port.as_str().into(),
            message_id: None,
            of,
            forwarded_ms: self.forwarded_ms,
            outcome: Cow::Borrowed(UNKNOWN),
            status: 0,
        };
        match number {
            0 => Record::Outcome(outcome),
            number => Record::PartOutcome(PartOutcome { outcome, number, acknowledged: self.acknowledged }),
        }
    }
}
