//! What a verdict rested on beside the message itself, so that it can be explained and reached again.
//!
//! Owns a list of facts that stands behind a send record in the same entry: a record without one is
//! an older one, and a reader that does not know it reads the record all the same. Only what was the
//! case is written, about twenty octets as a rule. Refuses to hold what the record or the register says.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Record, RecordError, is_known};
use crate::rules::{Basis, Consent, Facts, Presentation, Refusal};

/// Written before the list; what a later portcullis writes otherwise gets another number.
const KIND: u8 = 1;

/// The facts of one verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grounds<'a>(pub(super) Vec<Ground<'a>>);

/// One fact; new kinds are added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ground<'a> {
    /// The settings of the profile.
    Profile([u8; 8]),
    /// The consent that held: when it was given, and its category.
    Consent(i64, #[serde(borrow)] Cow<'a, str>),
    /// The consent whose term was over.
    Expired(i64, Cow<'a, str>),
    /// The refusal that stood, and when it was said.
    Refused(Option<i64>),
    /// The recipient was on the do-not-disturb list.
    DoNotDisturb,
    /// The sender had asked the recipient before.
    AskedBefore,
    /// Only the carrier knows the recipients, and the provider may address them.
    Vouched,
    /// The consents could not be asked.
    Unanswered,
    /// When it was to be delivered.
    DeliverAt(i64),
    /// Until when the carrier was to try.
    ValidUntil(i64),
    /// The canned message of the SMSC in place of the text.
    Canned(u8),
    /// It is shown at once and gone.
    Flash,
    /// It is never shown.
    Silent,
    /// Its parts replace one another.
    Replacing,
    /// The value of the parameter by which the provider declares a class.
    ClassTlv(#[serde(borrow)] Cow<'a, [u8]>),
    /// Since when no bind of the provider could receive replies.
    RouteLost(i64),
    /// It replaces a message that the gate did not know.
    ReplacesUnknown,
}

/// How a grounded message was to be handled, as far as the record does not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handling<'a> {
    /// When it was to be delivered.
    pub deliver_at: Option<Timestamp>,
    /// Until when the carrier was to try.
    pub valid_until: Option<Timestamp>,
    /// The canned message in place of the text.
    pub sm_default_msg_id: u8,
    /// How a handset treats it.
    pub presentation: Presentation,
    /// The parameter by which the provider declares a class.
    pub class_tlv: Option<&'a [u8]>,
}

impl<'a> Grounds<'a> {
    /// What a verdict on this message rests on.
    pub fn of(handling: Handling<'a>, facts: &'a Facts<'_>, profile: [u8; 8]) -> Self {
        let mut grounds = Vec::with_capacity(4);
        grounds.push(Ground::Profile(profile));
        if let Some(Basis { at_ms, category }) = &facts.basis {
            match facts.consent {
                Consent::Active => grounds.push(Ground::Consent(*at_ms, category.as_ref().into())),
                Consent::Expired => grounds.push(Ground::Expired(*at_ms, category.as_ref().into())),
                Consent::None => {}
            }
        }
        match facts.refusal {
            Some(Refusal::Sender { at }) => grounds.push(Ground::Refused(at.map(Timestamp::as_millisecond))),
            Some(Refusal::DoNotDisturb) => grounds.push(Ground::DoNotDisturb),
            None => {}
        }
        let flags = [
            (facts.asked_before, Ground::AskedBefore),
            (facts.vouched, Ground::Vouched),
            (facts.unasked, Ground::Unanswered),
            (facts.replaces_unknown, Ground::ReplacesUnknown),
            (handling.presentation == Presentation::Flash, Ground::Flash),
            (handling.presentation == Presentation::Silent, Ground::Silent),
            (handling.presentation == Presentation::Replacing, Ground::Replacing),
            (handling.sm_default_msg_id != 0, Ground::Canned(handling.sm_default_msg_id)),
        ];
        grounds.extend(flags.into_iter().filter(|(holds, _)| *holds).map(|(_, ground)| ground));
        grounds.extend(facts.reply_route_lost.map(|at| Ground::RouteLost(at.as_millisecond())));
        grounds.extend(handling.class_tlv.map(|value| Ground::ClassTlv(value.into())));
        grounds.extend(handling.deliver_at.map(|at| Ground::DeliverAt(at.as_millisecond())));
        grounds.extend(handling.valid_until.map(|at| Ground::ValidUntil(at.as_millisecond())));
        Self(grounds)
    }

    /// Each fact.
    pub fn iter(&self) -> impl Iterator<Item = &Ground<'a>> {
        self.0.iter()
    }

    /// The settings of the profile judged by.
    pub fn profile(&self) -> Option<[u8; 8]> {
        self.0.iter().find_map(|ground| if let Ground::Profile(digest) = ground { Some(*digest) } else { None })
    }

    /// How the message was to be handled.
    pub fn handling(&self) -> Handling<'_> {
        let moment = |ms: &i64| Timestamp::from_millisecond(*ms).ok();
        let mut handling = Handling::default();
        for ground in &self.0 {
            match ground {
                Ground::DeliverAt(at) => handling.deliver_at = moment(at),
                Ground::ValidUntil(at) => handling.valid_until = moment(at),
                Ground::Canned(id) => handling.sm_default_msg_id = *id,
                Ground::Flash => handling.presentation = Presentation::Flash,
                Ground::Silent => handling.presentation = Presentation::Silent,
                Ground::Replacing => handling.presentation = Presentation::Replacing,
                Ground::ClassTlv(value) => handling.class_tlv = Some(value),
                _ => {}
            }
        }
        handling
    }

    /// Puts what was known back into facts.
    pub fn tell(&self, facts: &mut Facts<'_>) {
        for ground in &self.0 {
            match ground {
                Ground::Consent(at_ms, category) => {
                    facts.consent = Consent::Active;
                    facts.basis = Some(Basis { at_ms: *at_ms, category: category.as_ref().into() });
                }
                Ground::Expired(at_ms, category) => {
                    facts.consent = Consent::Expired;
                    facts.basis = Some(Basis { at_ms: *at_ms, category: category.as_ref().into() });
                }
                Ground::Refused(at) => {
                    let at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
                    facts.refusal = Some(Refusal::Sender { at });
                }
                Ground::DoNotDisturb => facts.refusal = Some(Refusal::DoNotDisturb),
                Ground::AskedBefore => facts.asked_before = true,
                Ground::Vouched => facts.vouched = true,
                Ground::Unanswered => facts.unasked = true,
                Ground::ReplacesUnknown => facts.replaces_unknown = true,
                Ground::RouteLost(at) => facts.reply_route_lost = Timestamp::from_millisecond(*at).ok(),
                _ => {}
            }
        }
    }

    /// Appends the list behind an encoded record.
    pub fn encode(&self, mut out: Vec<u8>) -> Vec<u8> {
        out.push(KIND);
        // As of a record: plain data into growing memory does not fail.
        postcard::to_extend(&self.0, out).expect("grounds always encode")
    }

    /// A record with the grounds behind it; none behind an older one, or where a later portcullis has other ones.
    pub fn decode(payload: &'a [u8]) -> Result<(Record<'a>, Option<Self>), RecordError> {
        let (&version, body) = payload.split_first().ok_or(RecordError::Empty)?;
        if !is_known(version) {
            return Err(RecordError::Version(version));
        }
        let (record, rest) = postcard::take_from_bytes(body)?;
        let grounds = rest.strip_prefix(&[KIND]).and_then(|list| postcard::from_bytes(list).ok());
        Ok((record, grounds.map(Self)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gate::record::{Origin, Session};
    use crate::register::Register;
    use crate::rules::{Identity, Ownership};

    const REGISTER: &str = "[[provider]]\nsystem_id = \"p\"\nports = [\"1069\"]\n";

    fn facts(register: &Register) -> Facts<'_> {
        let provider = &register.providers()[0];
        Facts::new(Identity { provider, port: None, sender: None, msisdn: None, ownership: Ownership::Unregistered })
    }

    fn record() -> Record<'static> {
        let origin = Origin { provider: "p".into(), session: 1, peer: "x".into() };
        Record::Session(Session { at_ms: 7, origin, event: "bound".into() })
    }

    #[test]
    fn what_was_known_comes_back_from_behind_the_record() {
        let register = Register::parse(std::path::Path::new("r.toml"), REGISTER).unwrap();
        let moment = |ms| Timestamp::from_millisecond(ms).ok();
        let known = Facts {
            consent: Consent::Expired,
            basis: Some(Basis { at_ms: -5, category: "offers".into() }),
            refusal: Some(Refusal::Sender { at: moment(1_795_000_000_123) }),
            asked_before: true,
            vouched: true,
            unasked: true,
            replaces_unknown: true,
            reply_route_lost: moment(1_794_000_000_000),
            ..facts(&register)
        };
        let handling = Handling {
            deliver_at: moment(1_796_000_000_000),
            valid_until: moment(1_797_000_000_000),
            sm_default_msg_id: 3,
            presentation: Presentation::Silent,
            class_tlv: Some(&[1, 2]),
        };
        let grounds = Grounds::of(handling, &known, *b"settings");
        let payload = grounds.encode(record().encode(Vec::new()));
        let (read, behind) = Grounds::decode(&payload).unwrap();
        assert_eq!(read, record());
        assert_eq!(Record::decode(&payload).unwrap(), record(), "who does not know of them reads the record");
        let behind = behind.unwrap();
        assert_eq!((behind.handling(), behind.profile()), (handling, Some(*b"settings")));
        let mut told = facts(&register);
        behind.tell(&mut told);
        assert_eq!(format!("{told:?}"), format!("{known:?}"));
    }

    #[test]
    fn a_record_without_them_or_with_later_ones_is_read_all_the_same() {
        let older = record().encode(Vec::new());
        assert_eq!(Grounds::decode(&older).unwrap(), (record(), None));
        for later in [&[KIND + 1, 0][..], &[KIND, 1, 200, 1], &[KIND]] {
            assert_eq!(Grounds::decode(&[&older, later].concat()).unwrap(), (record(), None));
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            // Behind a record as by themselves.
            let _read_or_not = Grounds::decode(&octets);
            let behind = [record().encode(Vec::new()), octets].concat();
            prop_assert_eq!(Grounds::decode(&behind).map(|(record, _)| record).ok(), Some(record()));
        }
    }

    #[test]
    fn the_usual_ones_take_little_room() {
        let register = Register::parse(std::path::Path::new("r.toml"), REGISTER).unwrap();
        let basis = Some(Basis { at_ms: 1_795_000_000_123, category: "promotion".into() });
        let known = Facts { consent: Consent::Active, basis, ..facts(&register) };
        let octets = Grounds::of(Handling::default(), &known, [0; 8]).encode(Vec::new()).len();
        assert!(octets <= 32, "{octets} octets");
    }
}
