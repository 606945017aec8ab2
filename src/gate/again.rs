//! A recorded message, judged again: under any profile and register, by what was known when it came.
//!
//! Owns the way from a send record and its grounds back to what the rules were told. Refuses to look
//! into the store: what the record does not hold is asked of a [`Lookup`]. Driven by `explain` and
//! `replay`; nothing is sent and nothing recorded.

use std::borrow::Cow;

use jiff::Timestamp;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::text::{Concatenation, Opaque, Text};
use portcullis_protocol::{CommandId, CommandStatus};

use super::record::{self, Content, Grounds, Handling, WireAddress};
use crate::register::Register;
use crate::rules::{
    Class, Code, Decision, Effect, Examination, Facts, Finding, Identity, Mode, Operation, Profile, Rule, Submission,
    Verdict, examine, judge, r19_frequency, r25_measures,
};

/// Tells where a recipient stood with a sender at a moment, for what a record does not say.
pub type Lookup<'l> = dyn for<'r> FnMut(Identity<'r>, Timestamp) -> Result<Facts<'r>, String> + 'l;

/// Why a recorded message cannot be judged again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unjudged {
    /// No rule ever saw it.
    #[error("turned away before the rules")]
    TurnedAway,
    /// Parts were missing.
    #[error("never whole")]
    Incomplete,
    /// What the rules would have been told was not to be had.
    #[error("held because the store was down (R26)")]
    StoreDown,
    /// Written by a portcullis that knew more reasons.
    #[error("recorded in a way this portcullis does not read")]
    Unread,
    /// The register judged by does not have the provider.
    #[error("the provider is not in the register")]
    NoProvider,
    /// The consents could not be asked.
    #[error("the consents cannot be asked: {0}")]
    NoConsents(String),
}

/// Rules that look at more than one message, or at the store: their findings are taken over from the record, under
/// the mode that is judged by, because what they saw then is gone.
const COUNTING: [Rule; 3] = [Rule::R19, Rule::R25, Rule::R26];

/// A send record with what stands behind it, as the rules saw the message.
#[derive(Debug)]
pub struct Sent<'e> {
    record: &'e record::Submission<'e>,
    grounds: Option<&'e Grounds<'e>>,
    handling: Handling<'e>,
    source: Cow<'e, [u8]>,
    destination: Cow<'e, [u8]>,
    operation: Operation,
    content: Text<'e>,
}

/// What a message is judged again by.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'r> {
    /// The register.
    pub register: &'r Register,
    /// The profile.
    pub profile: &'r Profile,
}

impl<'e> Sent<'e> {
    /// What the rules saw, where they saw the message at all.
    pub fn of(record: &'e record::Submission<'e>, grounds: Option<&'e Grounds<'e>>) -> Result<Self, Unjudged> {
        let is_down = |finding: &record::Finding<'_>| finding.rule == Rule::R26.id() && finding.effect != "alert";
        if record.verdict == "incomplete" {
            return Err(Unjudged::Incomplete);
        }
        if record.class.is_empty() {
            return Err(Unjudged::TurnedAway);
        }
        if record.findings.iter().any(is_down) {
            return Err(Unjudged::StoreDown);
        }
        let content = match &record.content {
            Content::Text(text) => Text::Readable(Cow::Borrowed(text)),
            Content::Opaque(reason, _) => Text::Opaque(Opaque::from_text(reason).ok_or(Unjudged::Unread)?),
        };
        Ok(Self {
            record,
            grounds,
            handling: grounds.map(Grounds::handling).unwrap_or_default(),
            source: octets(&record.source),
            destination: octets(&record.destination),
            operation: operation(CommandId(record.command_id)).ok_or(Unjudged::Unread)?,
            content,
        })
    }

    /// When it came.
    pub fn received(&self) -> Timestamp {
        Timestamp::from_millisecond(self.record.received_ms).unwrap_or_default()
    }

    /// When the subscriber was to get it.
    pub fn delivery(&self) -> Timestamp {
        self.handling.deliver_at.map_or(self.received(), |at| at.max(self.received()))
    }

    /// The message as the rules were given it.
    pub fn submission(&self) -> Submission<'_> {
        let address = |wire: &WireAddress<'_>, octets| Address::new(Ton(wire.ton), Npi(wire.npi), octets);
        let part = self.record.part.map(|(reference, total, number)| Concatenation { reference, total, number });
        Submission {
            operation: self.operation,
            source: address(&self.record.source, &self.source),
            destination: address(&self.record.destination, &self.destination),
            service_type: self.record.service_type.as_bytes(),
            class_tlv: self.handling.class_tlv,
            sm_default_msg_id: self.handling.sm_default_msg_id,
            content: self.content.clone(),
            presentation: self.handling.presentation,
            part,
            deliver_at: self.handling.deliver_at,
            valid_until: self.handling.valid_until,
        }
    }

    /// What was known when it came, and whether the record says so itself. Of a record without grounds, and where
    /// the register now has another sender for it, the lookup tells.
    pub fn facts<'r>(
        &self,
        bench: Bench<'r>,
        submission: &Submission<'_>,
        lookup: &mut Lookup<'_>,
    ) -> Result<(Facts<'r>, bool), Unjudged> {
        let provider = bench.register.provider(&self.record.origin.provider).ok_or(Unjudged::NoProvider)?;
        let identity = bench.register.identify(provider, submission);
        let mut facts = Facts::new(identity);
        let sender = identity.sender.map(|sender| sender.id.as_str());
        if let Some(grounds) = self.grounds {
            grounds.tell(&mut facts);
            if sender == self.record.sender.as_deref() {
                return Ok((facts, true));
            }
        }
        let vouched = match self.grounds {
            Some(_) => facts.vouched,
            None => self.operation == Operation::BroadcastSm && provider.broadcasts,
        };
        let Facts { asked_before, reply_route_lost, replaces_unknown, .. } = facts;
        let found = lookup(identity, self.delivery()).map_err(Unjudged::NoConsents)?;
        Ok((Facts { vouched, asked_before, reply_route_lost, replaces_unknown, ..found }, false))
    }

    /// Whether it was judged by exactly these settings. Of a record without grounds the profile's name tells.
    pub fn is_judged_by(&self, profile: &Profile) -> bool {
        match self.grounds.and_then(Grounds::profile) {
            Some(digest) => digest == profile.digest(),
            None => self.record.profile == profile.name,
        }
    }

    /// Judges it again by these facts; `counted` where they tell how often the sender wrote to the recipient, and
    /// which measure holds.
    pub fn judge(&self, profile: &Profile, submission: &Submission<'_>, facts: &Facts<'_>, counted: bool) -> Verdict {
        let verdict = judge(submission, facts, profile, self.received());
        let mut taken_over = self.counted(profile, facts, verdict.class);
        if counted {
            // What the recipient agreed to is no setting, and was found by the counts of then.
            let is_found = verdict.findings.iter().any(|finding| finding.rule == Rule::R19);
            taken_over.retain(|finding| match finding.rule {
                Rule::R25 => false,
                Rule::R19 => !is_found && finding.why.starts_with(r19_frequency::CONSENT),
                _ => true,
            });
        }
        if taken_over.is_empty() {
            return verdict;
        }
        let fingerprint = verdict.fingerprint;
        let mut verdict = verdict.with(taken_over);
        verdict.fingerprint = fingerprint.filter(|_| verdict.decision == Decision::Forward);
        verdict
    }

    /// The same with the whole reasoning, by these facts and at this moment.
    pub fn examine(
        &self,
        profile: &Profile,
        submission: &Submission<'_>,
        facts: &Facts<'_>,
        now: Timestamp,
    ) -> Examination {
        let mut examination = examine(submission, facts, profile, now);
        let counted = self.counted(profile, facts, examination.verdict.class);
        for finding in &counted {
            if let Some(result) = examination.rules.iter_mut().find(|result| result.rule == finding.rule) {
                result.outcome = crate::rules::Outcome::Found(finding.effect);
                result.why = finding.why.clone();
            }
        }
        examination.verdict = examination.verdict.with(counted);
        examination
    }

    /// What the counting rules found then, in the mode they have now and where they may speak now (R13).
    fn counted(&self, profile: &Profile, facts: &Facts<'_>, class: Class) -> Vec<Finding> {
        let identity = &facts.identity;
        let port_class = identity.port_class();
        let is_marketing = class == Class::Commercial && !port_class.is_sheltered();
        // What was measured on a port that R13 covers was meant for everything.
        let was_sheltered = self.record.port.as_ref().is_some_and(|(_, class)| *class == *port_class.name());
        let speaks = |rule| match rule {
            Rule::R19 => is_marketing,
            Rule::R25 => is_marketing || was_sheltered,
            _ => true,
        };
        let finding = |finding: &record::Finding<'_>| {
            let rule = Rule::from_id(&finding.rule).filter(|rule| COUNTING.contains(rule) && speaks(*rule))?;
            let effect = effect(&finding.effect, profile.mode(rule, port_class, identity.provider))?;
            let code = match (rule, finding.effect.as_ref()) {
                (Rule::R19, _) => r19_frequency::EXCEEDED,
                (Rule::R25, "held") => r25_measures::SLOWED,
                (Rule::R25, _) => r25_measures::SUSPENDED,
                _ => Code::Fixed(CommandStatus(self.record.status)),
            };
            let status = code.status(identity.provider.codes, profile.code_base);
            Some(Finding { rule, effect, status, why: finding.why.clone().into_owned().into() })
        };
        self.record.findings.iter().filter_map(finding).collect()
    }
}

/// What a recorded effect is under a mode.
fn effect(recorded: &str, mode: Mode) -> Option<Effect> {
    match (recorded, mode) {
        (_, Mode::Off) => None,
        ("alert", _) => Some(Effect::Alert),
        (_, Mode::Observe) => Some(Effect::Observed),
        ("held", Mode::Enforce) => Some(Effect::Held),
        (_, Mode::Enforce) => Some(Effect::Failed),
    }
}

fn operation(command: CommandId) -> Option<Operation> {
    match command {
        CommandId::SUBMIT_SM => Some(Operation::SubmitSm),
        CommandId::SUBMIT_MULTI => Some(Operation::SubmitMulti),
        CommandId::DATA_SM => Some(Operation::DataSm),
        CommandId::REPLACE_SM => Some(Operation::ReplaceSm),
        CommandId::BROADCAST_SM => Some(Operation::BroadcastSm),
        _ => None,
    }
}

/// The octets of a recorded address: only what is no text was escaped, and has an octet above ASCII.
fn octets<'e>(address: &'e WireAddress<'_>) -> Cow<'e, [u8]> {
    let text = address.addr.as_ref();
    unescaped(text).map_or(Cow::Borrowed(text.as_bytes()), Cow::Owned)
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let plain = match (octet, octet == b'\\') {
            (_, true) => match rest.next()? {
                b'x' => {
                    let digits = [rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                b't' => b'\t',
                b'r' => b'\r',
                b'n' => b'\n',
                other @ (b'\\' | b'\'' | b'"') => other,
                _ => return None,
            },
            (octet, false) => octet,
        };
        octets.push(plain);
    }
    (!octets.is_ascii()).then_some(octets).filter(|octets| std::str::from_utf8(octets).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_address_gets_its_octets_back_and_others_stay() {
        let wire = |addr: &str| WireAddress { ton: 0, npi: 0, addr: addr.to_owned().into() };
        for odd in [&b"10\xff69\n"[..], b"\xc3(", b"a\\\x80\"'"] {
            let text = odd.escape_ascii().to_string();
            assert_eq!(octets(&wire(&text)), odd, "{text}");
        }
        for plain in ["1069", "青禾", "A\\B", "A\\x41", "\\"] {
            assert_eq!(octets(&wire(plain)), plain.as_bytes(), "{plain}");
        }
    }

    #[test]
    fn what_was_counted_then_keeps_its_finding_in_the_mode_of_now() {
        assert_eq!(effect("failed", Mode::Off), None);
        assert_eq!(effect("failed", Mode::Observe), Some(Effect::Observed));
        assert_eq!(effect("observed", Mode::Enforce), Some(Effect::Failed));
        assert_eq!(effect("held", Mode::Enforce), Some(Effect::Held));
        assert_eq!(effect("alert", Mode::Enforce), Some(Effect::Alert));
    }
}
