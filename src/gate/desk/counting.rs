//! What is counted of messages: how often a sender writes to a number (R19), and that it asks once (R12).
//!
//! Owns the step from a verdict that permits to a place taken: where somebody else took one meanwhile,
//! the message is judged again. What the carrier refused gives its place back; the same message again,
//! after one whose end nobody knows, takes that one's place. Costs nothing where neither rule speaks.

use std::hash::Hasher;

use jiff::{SignedDuration, Timestamp};
use siphasher::sip::SipHasher13;

use super::ruling::{Judgement, Ruling};
use crate::gate::Gate;
use crate::relay::Outcome;
use crate::rules::r19_frequency::days;
use crate::rules::{self, Class, Decision, Facts, Frequency, Identity, Mode, Operation, Rule, Submission, Verdict};
use crate::store::StoreError;
use crate::store::sends::{self, Fate, Moment, Pair, Seen};

/// How often a message is judged again because others write to the same number at the same moment.
const TURNS: usize = 64;

/// No frequency may count further than the moments that are kept.
const _: () = assert!(rules::MOST_COUNTED as usize <= sends::MOST);

/// A message's place among those that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::gate) struct Counted {
    pub(super) pair: Pair,
    pub(super) at_s: u32,
    pub(super) mark: u32,
    /// Which it is of those that are the same in the same second: each gives back its own place.
    pub(super) nth: u8,
    pub(super) keep_days: u16,
    pub(super) asks: bool,
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
    pub(super) const fn moment(&self, fate: Fate) -> Moment {
        Moment { at_s: self.at_s, mark: self.mark, nth: self.nth, keep_days: self.keep_days, asks: self.asks, fate }
    }

    /// Where it is among the moments of its pair.
    pub(super) fn place(&self, moments: &[Moment]) -> Option<usize> {
        moments.iter().position(|moment| self.is_like(moment) && moment.nth == self.nth)
    }

    fn is_like(&self, moment: &Moment) -> bool {
        moment.at_s == self.at_s && moment.mark == self.mark
    }

    /// With a number of its own among these, but for the one whose place it takes.
    fn beside(self, moments: &[Moment], again: Option<usize>) -> Self {
        let others = || moments.iter().enumerate().filter(|(at, moment)| Some(*at) != again && self.is_like(moment));
        let is_free = |nth: &u8| others().all(|(_, moment)| moment.nth != *nth);
        Self { nth: (0..sends::MOST_ALIKE).find(is_free).unwrap_or(sends::MOST_ALIKE), ..self }
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
        let limited = self.is_limited(submission.operation, &facts.identity, facts.frequency);
        let limited = if limited { pair(&facts.identity) } else { None };
        let mut seen = None;
        if let Some(pair) = limited {
            match self.look(pair, submission, &mut facts, now) {
                Ok(looked) => seen = Some(looked),
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
            let counts = verdict.class == Class::Commercial && verdict.decision == Decision::Forward;
            let asked = || if asks { pair(&facts.identity) } else { None };
            let Some(pair) = limited.or_else(asked).filter(|_| counts) else {
                return Weighed { facts, verdict, counted: None, outage: None };
            };
            let place = self.place(pair, submission, &facts, asks, now);
            let taken = match &seen {
                Some(seen) => self.take_place(&place, seen, now),
                // A request: whether it is the first is asked only now.
                None => Ok(None),
            };
            let looked = match taken {
                Ok(Some(place)) => return Weighed { facts, verdict, counted: Some(place), outage: None },
                Ok(None) => self.look(pair, submission, &mut facts, now),
                Err(error) => Err(error),
            };
            match looked {
                Ok(looked) => seen = Some(looked),
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
    pub(super) fn is_limited(&self, operation: Operation, identity: &Identity<'_>, own: Option<Frequency>) -> bool {
        let bound = own.is_some() || !self.profile.frequency.limits.is_empty();
        let port_class = identity.port_class();
        bound
            && !port_class.is_sheltered()
            && operation != Operation::ReplaceSm
            && self.profile.mode(Rule::R19, port_class, identity.provider) != Mode::Off
    }

    /// Asks what counts already, and tells it to the rules.
    fn look(
        &self,
        pair: Pair,
        submission: &Submission<'_>,
        facts: &mut Facts<'_>,
        now: Timestamp,
    ) -> Result<Seen, StoreError> {
        let seen = self.sends.look(pair)?;
        let moments = &seen.moments;
        let again = self.resubmitted(moments, mark_of(submission), now);
        let former = self.of_former_ids(&facts.identity)?;
        let own = || moments.iter().enumerate().filter(|(at, _)| Some(*at) != again).map(|(_, moment)| moment);
        let others = || own().chain(&former);
        let at = |moment: &Moment| Timestamp::from_second(moment.at_s.into()).ok();
        facts.asked_before = others().any(|moment| moment.asks);
        facts.sent = others().filter_map(at).collect();
        Ok(seen)
    }

    /// What counts of the sender under the ids it had before: nothing is added there.
    fn of_former_ids(&self, identity: &Identity<'_>) -> Result<Vec<Moment>, StoreError> {
        let (Some(sender), Some(msisdn)) = (identity.sender, identity.msisdn) else { return Ok(Vec::new()) };
        let mut moments = Vec::new();
        for id in &sender.former_ids {
            moments.extend(self.sends.moments(Pair::new(id, msisdn.0))?);
        }
        Ok(moments)
    }

    fn place(&self, pair: Pair, submission: &Submission<'_>, facts: &Facts<'_>, asks: bool, now: Timestamp) -> Counted {
        let at_s = u32::try_from(submission.delivery(now).as_second()).unwrap_or_default();
        let keep_days = self.keep_days(facts.frequency, asks);
        Counted { pair, at_s, mark: mark_of(submission), nth: 0, keep_days, asks }
    }

    pub(super) fn keep_days(&self, own: Option<Frequency>, asks: bool) -> u16 {
        let limits = own.into_iter().chain(self.profile.frequency.limits.iter().copied());
        let longest = limits.map(|limit| days(limit.per)).max().unwrap_or_default();
        // That it asked counts for as long as the answer is kept.
        longest.max(if asks { u16::from(self.profile.retention.months.subscriptions) * 31 } else { 0 })
    }

    /// Takes the place, unless somebody changed what was seen.
    fn take_place(&self, place: &Counted, seen: &Seen, now: Timestamp) -> Result<Option<Counted>, StoreError> {
        let again = self.resubmitted(&seen.moments, place.mark, now);
        let place = place.beside(&seen.moments, again);
        let is_taken = self.sends.change_seen(place.pair, seen, |moments| match again {
            Some(at) => moments[at] = place.moment(Fate::Open),
            None => moments.push(place.moment(Fate::Open)),
        })?;
        Ok(is_taken.then_some(place))
    }

    /// The one whose end nobody knows, where this is the same again.
    pub(super) fn resubmitted(&self, moments: &[Moment], mark: u32, now: Timestamp) -> Option<usize> {
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
        self.give_back(judgements);
    }

    /// Gives every place of a PDU back.
    pub(super) fn give_back(&self, judgements: &[Judgement<'_, '_>]) {
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
    pub(super) fn end_count(&self, counted: &Counted, fate: Option<Fate>) {
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
fn pair(identity: &Identity<'_>) -> Option<Pair> {
    Some(Pair::new(&identity.sender?.id, identity.msisdn?.0))
}

/// The same for the same text from the same port, however it is encoded.
fn mark_of(submission: &Submission<'_>) -> u32 {
    mark(submission.source.addr.0, submission.content.readable().unwrap_or_default())
}

pub(in crate::gate) fn mark(source: &[u8], text: &str) -> u32 {
    let mut hasher = SipHasher13::new_with_keys(0x6D61_726B, 0);
    hasher.write(source);
    hasher.write_u8(0);
    hasher.write(text.as_bytes());
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
