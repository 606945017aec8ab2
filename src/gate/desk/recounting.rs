//! From one process to the next: what was counted and not yet put on disk is counted again from the journal.
//!
//! Owns the replay: each message takes the place it had, in the order of the journal, and gives it back as
//! it did; so a restart neither forgets a message nor counts one twice. Driven by the opening of the gate.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use portcullis_protocol::CommandId;

use super::counting::{Counted, mark};
use crate::gate::record::{Content, Grounds, Long, Name, Outcome, PartOutcome, Record, Submission as Sent, name};
use crate::gate::{Gate, facts};
use crate::rules::{Class, Frequency, Identity, Msisdn, Operation, Ownership, Rule};
use crate::store::sends::{Fate, MOST_ALIKE, Moment, Pair};
use crate::store::{Query, StoreError};

/// Records may be written this much after their message was counted.
const SLACK_MS: i64 = 10_000;

/// What was counted again so far.
struct Replay<'g> {
    gate: &'g Gate,
    places: HashMap<Name, Counted>,
    /// The places that were not on disk.
    added: HashSet<(Pair, (u32, u32, u8))>,
    /// A bit for each number that is in use among those that are the same.
    alike: HashMap<(Pair, u32, u32), u32>,
    again: usize,
}

/// Counts from the journal what the process before had counted and not yet put on disk.
pub(in crate::gate) fn catch_up(gate: &Gate) -> Result<(), StoreError> {
    let since = gate.sends.kept_until_ms().saturating_sub(SLACK_MS);
    let mut replay = Replay { gate, places: HashMap::new(), added: HashSet::new(), alike: HashMap::new(), again: 0 };
    for entry in gate.journal.find(Query { since_ms: Some(since), ..Query::default() })? {
        let (id, payload) = entry?;
        match Grounds::decode(&payload) {
            Ok((Record::Submission(sent) | Record::Long(Long { submission: sent, .. }), grounds)) => {
                let deliver_at = grounds.and_then(|grounds| grounds.handling().deliver_at);
                if let Some(place) = recounted(gate, &sent, deliver_at)? {
                    replay.count(name(id), place, sent.received_ms)?;
                }
            }
            Ok((Record::Outcome(outcome) | Record::PartOutcome(PartOutcome { outcome, .. }), _)) => {
                replay.end(&outcome);
            }
            _ => {}
        }
    }
    if replay.again > 0 {
        tracing::info!(messages = replay.again, "counted again from the journal");
    }
    replay.finish()
}

impl Replay<'_> {
    /// A message takes its place, or that of the one it repeats.
    fn count(&mut self, id: Name, place: Counted, received_ms: i64) -> Result<(), StoreError> {
        let place = self.numbered(place);
        let now = Timestamp::from_millisecond(received_ms).unwrap_or_default();
        // Across a restart nobody could tell its end any more.
        let is_older = received_ms < self.gate.sends.began_before_ms();
        let fate = if is_older { Fate::Unknown } else { Fate::Open };
        let is_new = Cell::new(false);
        self.gate.sends.change(place.pair, |moments| {
            let repeated = self.gate.resubmitted(moments, place.mark, now);
            let at = place.place(moments);
            is_new.set(at.is_none());
            match (at, repeated) {
                (None, Some(repeated)) => moments[repeated] = place.moment(fate),
                (None, None) => moments.push(place.moment(fate)),
                (Some(at), repeated) => {
                    if moments[at].fate != Fate::Taken {
                        moments[at].fate = fate;
                    }
                    // Where this one was on disk, the one it repeats had left.
                    let had_left = |at: usize| self.added.contains(&(place.pair, key(&moments[at])));
                    if let Some(repeated) = repeated.filter(|repeated| *repeated != at && had_left(*repeated)) {
                        moments.remove(repeated);
                    }
                }
            }
            true
        })?;
        if is_new.get() {
            self.again += 1;
            self.added.insert((place.pair, key(&place.moment(fate))));
        }
        self.places.insert(id, place);
        Ok(())
    }

    /// With the lowest number that is free, as it was given then.
    fn numbered(&mut self, place: Counted) -> Counted {
        let taken = self.alike.entry((place.pair, place.at_s, place.mark)).or_default();
        let nth = u8::try_from(taken.trailing_ones()).map_or(MOST_ALIKE, |nth| nth.min(MOST_ALIKE));
        *taken |= 1 << nth;
        Counted { nth, ..place }
    }

    fn end(&mut self, outcome: &Outcome<'_>) {
        let Some(place) = self.places.get(&outcome.of) else { return };
        let fate = match (outcome.outcome.as_ref(), outcome.status) {
            ("answered", 0) => Some(Fate::Taken),
            ("answered" | "nacked" | "not-forwarded" | "refused", _) => None,
            _ => Some(Fate::Unknown),
        };
        self.gate.end_count(place, fate);
        if fate.is_none()
            && let Some(taken) = self.alike.get_mut(&(place.pair, place.at_s, place.mark))
        {
            *taken &= !(1 << place.nth);
        }
    }

    /// Nobody is left who could tell the end of what is open still.
    fn finish(self) -> Result<(), StoreError> {
        for place in self.places.values() {
            self.gate.sends.change(place.pair, |moments| {
                let open = place.place(moments).filter(|at| moments[*at].fate == Fate::Open);
                open.is_some_and(|at| {
                    moments[at].fate = Fate::Unknown;
                    true
                })
            })?;
        }
        Ok(())
    }
}

/// What tells the moments of a pair apart.
const fn key(moment: &Moment) -> (u32, u32, u8) {
    (moment.at_s, moment.mark, moment.nth)
}

/// The place that a message of the journal had, if it had one.
fn recounted(gate: &Gate, sent: &Sent<'_>, deliver_at: Option<Timestamp>) -> Result<Option<Counted>, StoreError> {
    let (Some(sender), Some(msisdn), Content::Text(text)) = (&sent.sender, sent.msisdn, &sent.content) else {
        return Ok(None);
    };
    if sent.verdict != "forward" || sent.class != Class::Commercial.name() {
        return Ok(None);
    }
    let asks = sent.findings.iter().any(|finding| finding.rule == Rule::R12.id());
    let received = Timestamp::from_millisecond(sent.received_ms).unwrap_or_default();
    let at = deliver_at.map_or(received, |at| at.max(received));
    let (limited, own) = limits_of(gate, sent, sender, msisdn, at)?;
    if !limited && !asks {
        return Ok(None);
    }
    Ok(Some(Counted {
        pair: Pair::new(sender, msisdn),
        at_s: u32::try_from(at.as_second()).unwrap_or_default(),
        mark: mark(sent.source.addr.as_bytes(), text),
        nth: 0,
        keep_days: gate.keep_days(own, asks),
        asks,
    }))
}

/// Whether the message was limited, and how often the recipient had agreed to be written to. Of a provider that
/// was struck off since, only the profile tells.
fn limits_of(
    gate: &Gate,
    sent: &Sent<'_>,
    sender: &str,
    msisdn: u64,
    at: Timestamp,
) -> Result<(bool, Option<Frequency>), StoreError> {
    let register = gate.register.load();
    let Some(provider) = register.provider(&sent.origin.provider) else {
        return Ok((!gate.profile.frequency.limits.is_empty(), None));
    };
    let identity = Identity {
        provider,
        port: register.port(sent.source.addr.as_bytes()),
        sender: register.sender(sender),
        msisdn: Some(Msisdn(msisdn)),
        ownership: Ownership::Owned,
    };
    let own = facts::look_up(&gate.consents, &gate.do_not_disturb, identity, at)?.frequency;
    let is_replacement = sent.command_id == CommandId::REPLACE_SM.0;
    let operation = if is_replacement { Operation::ReplaceSm } else { Operation::SubmitSm };
    Ok((gate.is_limited(operation, &identity, own), own))
}
