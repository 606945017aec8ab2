//! What is counted of messages: how often a sender writes to a number (R19), and that it asks once (R12).
//!
//! Owns the step from a verdict that permits to a place taken: where somebody else took one meanwhile,
//! the message is judged again. What the carrier refused gives its place back; the same message again,
//! after one whose end nobody knows, takes that one's place. Costs nothing where neither rule speaks.

use std::collections::HashMap;
use std::hash::Hasher;

use jiff::{SignedDuration, Timestamp};
use siphasher::sip::SipHasher13;

use super::ruling::{Judgement, Ruling};
use crate::gate::record::{
    Content, Long, Name, Outcome as OutcomeRecord, PartOutcome, Record, Submission as Sent, name,
};
use crate::gate::{Gate, facts};
use crate::relay::Outcome;
use crate::rules::r19_frequency::days;
use crate::rules::{
    self, Class, Decision, Facts, Frequency, Identity, Mode, Msisdn, Operation, Ownership, Rule, Submission, Verdict,
};
use crate::store::sends::{Fate, Moment, Pair};
use crate::store::{Query, StoreError};

/// How often a message is judged again because others write to the same number at the same moment.
const TURNS: usize = 64;

/// Records may be written this much after their message was counted.
const SLACK_MS: i64 = 10_000;

/// A message's place among those that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::gate) struct Counted {
    pair: Pair,
    at_s: u32,
    mark: u32,
    keep_days: u16,
    asks: bool,
}

/// A verdict, and the place its message has taken.
pub(super) struct Weighed<'r> {
    pub(super) facts: Facts<'r>,
    pub(super) verdict: Verdict,
    pub(super) counted: Option<Counted>,
    /// Why the counts could not be asked, where they could not.
    pub(super) outage: Option<String>,
}

impl Counted {
    const fn moment(&self, fate: Fate) -> Moment {
        Moment { at_s: self.at_s, mark: self.mark, keep_days: self.keep_days, asks: self.asks, fate }
    }

    /// Where it is among the moments of its pair.
    fn place(&self, moments: &[Moment]) -> Option<usize> {
        moments.iter().position(|moment| moment.at_s == self.at_s && moment.mark == self.mark)
    }

    /// Whether it asks for consent.
    pub(in crate::gate) const fn asks(&self) -> bool {
        self.asks
    }
}

impl Gate {
    /// Judges a message; one that may pass takes its place where the rules count.
    pub(super) fn judge_and_count<'r>(
        &self,
        submission: &Submission<'_>,
        mut facts: Facts<'r>,
        now: Timestamp,
    ) -> Weighed<'r> {
        let pair = pair(&facts);
        let limited = pair.is_some() && self.is_limited(submission, &facts);
        let mut seen = None;
        if let Some(pair) = pair.filter(|_| limited) {
            match self.look(pair, submission, &mut facts, now) {
                Ok(moments) => seen = Some(moments),
                Err(error) => {
                    return self.uncounted(
                        submission,
                        facts,
                        now,
                        Some(format!("the counts cannot be asked: {error}")),
                    );
                }
            }
        }
        for _ in 0..TURNS {
            let verdict = rules::judge(submission, &facts, &self.profile, now);
            let asks = verdict.findings.iter().any(|finding| finding.rule == Rule::R12);
            let counts = (limited || asks) && verdict.class == Class::Commercial;
            let Some(pair) = pair.filter(|_| counts && verdict.decision == Decision::Forward) else {
                return Weighed { facts, verdict, counted: None, outage: None };
            };
            let place = self.place(pair, submission, &facts, asks, now);
            let taken = match &seen {
                Some(seen) => self.take_place(&place, seen, now),
                // A request: whether it is the first is asked only now.
                None => Ok(false),
            };
            let looked = match taken {
                Ok(true) => return Weighed { facts, verdict, counted: Some(place), outage: None },
                Ok(false) => self.look(pair, submission, &mut facts, now),
                Err(error) => Err(error),
            };
            match looked {
                Ok(moments) => seen = Some(moments),
                Err(error) => {
                    return Weighed {
                        facts,
                        verdict,
                        counted: None,
                        outage: Some(format!("the counts cannot be asked: {error}")),
                    };
                }
            }
        }
        let why = "others write to the same number at the same moment";
        self.uncounted(submission, facts, now, Some(why.to_owned()))
    }

    fn uncounted<'r>(
        &self,
        submission: &Submission<'_>,
        facts: Facts<'r>,
        now: Timestamp,
        outage: Option<String>,
    ) -> Weighed<'r> {
        let verdict = rules::judge(submission, &facts, &self.profile, now);
        Weighed { facts, verdict, counted: None, outage }
    }

    /// Whether a bound holds for messages like this one. A replacement is no further message.
    fn is_limited(&self, submission: &Submission<'_>, facts: &Facts<'_>) -> bool {
        let bound = facts.frequency.is_some() || !self.profile.frequency.limits.is_empty();
        let port_class = facts.identity.port.map_or(Class::Commercial, |port| port.class);
        bound
            && !port_class.is_sheltered()
            && submission.operation != Operation::ReplaceSm
            && self.profile.mode(Rule::R19, port_class, facts.identity.provider) != Mode::Off
    }

    /// Asks what counts already, and tells it to the rules.
    fn look(
        &self,
        pair: Pair,
        submission: &Submission<'_>,
        facts: &mut Facts<'_>,
        now: Timestamp,
    ) -> Result<Vec<Moment>, StoreError> {
        let moments = self.sends.moments(pair)?;
        let again = self.resubmitted(&moments, mark_of(submission), now);
        let others = || moments.iter().enumerate().filter(|(at, _)| Some(*at) != again).map(|(_, moment)| moment);
        let at = |moment: &Moment| Timestamp::from_second(moment.at_s.into()).ok();
        facts.asked_before = others().any(|moment| moment.asks);
        facts.sent = others().filter_map(at).collect();
        Ok(moments)
    }

    fn place(&self, pair: Pair, submission: &Submission<'_>, facts: &Facts<'_>, asks: bool, now: Timestamp) -> Counted {
        let at_s = u32::try_from(submission.delivery(now).as_second()).unwrap_or_default();
        let keep_days = self.keep_days(facts.frequency, asks);
        Counted { pair, at_s, mark: mark_of(submission), keep_days, asks }
    }

    fn keep_days(&self, own: Option<Frequency>, asks: bool) -> u16 {
        let limits = own.into_iter().chain(self.profile.frequency.limits.iter().copied());
        let longest = limits.map(|limit| days(limit.per)).max().unwrap_or_default();
        // That it asked counts for as long as the answer is kept.
        longest.max(if asks { u16::from(self.profile.retention.consent_months) * 31 } else { 0 })
    }

    /// Takes the place, unless somebody changed what was seen.
    fn take_place(&self, place: &Counted, seen: &[Moment], now: Timestamp) -> Result<bool, StoreError> {
        let again = self.resubmitted(seen, place.mark, now);
        self.sends.change(place.pair, |moments| {
            if moments.as_slice() != seen {
                return false;
            }
            match again {
                Some(at) => moments[at] = place.moment(Fate::Open),
                None => moments.push(place.moment(Fate::Open)),
            }
            true
        })
    }

    /// The one whose end nobody knows, where this is the same again.
    fn resubmitted(&self, moments: &[Moment], mark: u32, now: Timestamp) -> Option<usize> {
        let window = self.profile.frequency.resubmission;
        let is_near =
            |moment: &Moment| SignedDuration::from_secs(now.as_second() - i64::from(moment.at_s)).abs() <= window;
        moments.iter().position(|moment| moment.mark == mark && moment.fate == Fate::Unknown && is_near(moment))
    }

    /// Gives places back where nothing of the PDU goes on after all.
    pub(in crate::gate) fn settle_counts(&self, judgements: &[Judgement<'_, '_>], ruling: &Ruling, is_written: bool) {
        if is_written && !matches!(ruling, Ruling::Refuse { .. }) {
            return;
        }
        for counted in judgements.iter().filter_map(|judgement| judgement.counted) {
            self.tell_count(Some(&counted), Outcome::NotForwarded, 0);
        }
    }

    /// Tells how a message that counts has ended.
    pub(super) fn tell_count(&self, counted: Option<&Counted>, outcome: Outcome, status: u32) {
        let Some(counted) = counted else { return };
        let fate = match outcome {
            Outcome::Answered(_) if status == 0 => Some(Fate::Taken),
            Outcome::Answered(_) | Outcome::Nacked(_) | Outcome::NotForwarded | Outcome::Refused(_) => None,
            Outcome::TimedOut
            | Outcome::CarrierLost
            | Outcome::ProviderLost
            | Outcome::Abandoned
            | Outcome::Acknowledged => Some(Fate::Unknown),
        };
        self.end_count(counted, fate);
    }

    /// `None` for one that certainly did not arrive.
    fn end_count(&self, counted: &Counted, fate: Option<Fate>) {
        let told = self.sends.change(counted.pair, |moments| {
            let place = counted.place(moments);
            let is_taken = place.is_some_and(|at| moments[at].fate == Fate::Taken);
            match (place, fate) {
                // Of a long message one part that arrives counts.
                (Some(_), _) if is_taken => return false,
                (Some(at), Some(fate)) => moments[at].fate = fate,
                (None, Some(fate)) => moments.push(counted.moment(fate)),
                (Some(at), None) => drop(moments.remove(at)),
                (None, None) => return false,
            }
            true
        });
        if let Err(error) = told {
            tracing::error!(%error, "how a message that counts has ended is not noted");
        }
    }
}

/// Between whom a message goes, where both are known.
fn pair(facts: &Facts<'_>) -> Option<Pair> {
    Some(Pair::new(&facts.identity.sender?.id, facts.identity.msisdn?.0))
}

/// The same for the same text from the same port, however it is encoded.
fn mark_of(submission: &Submission<'_>) -> u32 {
    mark(submission.source.addr.0, submission.content.readable().unwrap_or_default())
}

fn mark(source: &[u8], text: &str) -> u32 {
    let mut hasher = SipHasher13::new_with_keys(0x6D61_726B, 0);
    hasher.write(source);
    hasher.write_u8(0);
    hasher.write(text.as_bytes());
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Counts from the journal what the process before had counted and not yet put on disk.
pub(in crate::gate) fn catch_up(gate: &Gate) -> Result<(), StoreError> {
    let since = gate.sends.kept_until_ms().saturating_sub(SLACK_MS);
    let (mut counted, mut again) = (HashMap::new(), 0_usize);
    for entry in gate.journal.find(Query { since_ms: Some(since), ..Query::default() })? {
        let (id, payload) = entry?;
        match Record::decode(&payload) {
            Ok(Record::Submission(sent) | Record::Long(Long { submission: sent, .. })) => {
                if let Some(place) = recounted(gate, &sent)? {
                    again += usize::from(count_again(gate, &place)?);
                    counted.insert(name(id), place);
                }
            }
            Ok(Record::Outcome(outcome) | Record::PartOutcome(PartOutcome { outcome, .. })) => {
                end_again(gate, &counted, &outcome);
            }
            _ => {}
        }
    }
    if again > 0 {
        tracing::info!(messages = again, "counted again from the journal");
    }
    Ok(())
}

/// The place that a message of the journal had, if it had one.
fn recounted(gate: &Gate, sent: &Sent<'_>) -> Result<Option<Counted>, StoreError> {
    let (Some(sender), Some(msisdn)) = (&sent.sender, sent.msisdn) else { return Ok(None) };
    if sent.verdict != "forward" || sent.class != Class::Commercial.name() {
        return Ok(None);
    }
    let asks = sent.findings.iter().any(|finding| finding.rule == Rule::R12.id());
    let own = frequency_of(gate, sent, sender, msisdn)?;
    if !asks && own.is_none() && gate.profile.frequency.limits.is_empty() {
        return Ok(None);
    }
    let Content::Text(text) = &sent.content else { return Ok(None) };
    let at_s = u32::try_from(sent.received_ms / 1000).unwrap_or_default();
    let mark = mark(sent.source.addr.as_bytes(), text);
    Ok(Some(Counted { pair: Pair::new(sender, msisdn), at_s, mark, keep_days: gate.keep_days(own, asks), asks }))
}

/// How often the recipient agreed to be written to, as of the message.
fn frequency_of(gate: &Gate, sent: &Sent<'_>, sender: &str, msisdn: u64) -> Result<Option<Frequency>, StoreError> {
    let register = gate.register.load();
    let Some(provider) = register.provider(&sent.origin.provider) else { return Ok(None) };
    let identity = Identity {
        provider,
        port: register.port(sent.source.addr.as_bytes()),
        sender: register.sender(sender),
        msisdn: Some(Msisdn(msisdn)),
        ownership: Ownership::Owned,
    };
    let at = Timestamp::from_millisecond(sent.received_ms).unwrap_or_default();
    Ok(facts::look_up(&gate.consents, &gate.do_not_disturb, identity, at)?.frequency)
}

/// Whether it was not counted yet. Nobody is left who could tell its end, unless the journal does.
fn count_again(gate: &Gate, place: &Counted) -> Result<bool, StoreError> {
    gate.sends.change(place.pair, |moments| {
        let is_new = place.place(moments).is_none();
        if is_new {
            moments.push(place.moment(Fate::Unknown));
        }
        is_new
    })
}

fn end_again(gate: &Gate, counted: &HashMap<Name, Counted>, outcome: &OutcomeRecord<'_>) {
    let Some(place) = counted.get(&outcome.of) else { return };
    match (outcome.outcome.as_ref(), outcome.status) {
        ("answered", 0) => gate.end_count(place, Some(Fate::Taken)),
        ("answered" | "nacked" | "not-forwarded" | "refused", _) => gate.end_count(place, None),
        _ => {}
    }
}
