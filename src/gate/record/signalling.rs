//! The part of a record that expires before the rest: how a message travelled.
//!
//! Owns what counts as signalling (the technical data of transport: session, network address, TLS identity,
//! `sequence_number`, `esm_class`, `data_coding`, `registered_delivery`, a part's reference) and the taking of it out
//! of a record and back. Refuses what judging a message again needs: addresses with type of number and numbering
//! plan, how many parts, times. A record without its signalling says so, and its fields are empty.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Grounds, Long, Origin, Record, RecordError, SPLIT, Submission, VERSION};

/// Written before it; what a later portcullis writes otherwise gets another number.
const KIND: u8 = 1;

/// How something travelled; what a kind of record has no use for is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signalling<'a> {
    /// The gate's number of the session.
    pub session: u64,
    /// The provider's network address.
    #[serde(borrow)]
    pub peer: Cow<'a, str>,
    /// The version of TLS and the peer's certificate; empty for plain connections.
    pub tls: Cow<'a, str>,
    /// The provider's own.
    pub sequence_number: u32,
    /// `esm_class`, `data_coding`, `registered_delivery`.
    pub flags: (u8, u8, u8),
    /// The reference of a part.
    pub reference: u16,
    /// Session and `sequence_number` of each part of a long message.
    pub parts: Vec<(u64, u32)>,
    /// How somebody bound.
    pub bind: Option<Bind<'a>>,
}

/// What a bind says of itself beside who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind<'a> {
    /// Its `command_id`.
    pub command_id: u32,
    /// `interface_version`
    pub interface_version: u8,
    /// `system_type`
    #[serde(borrow)]
    pub system_type: Cow<'a, str>,
}

/// An entry of the journal, both of its parts read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<'a> {
    /// The record; without signalling the fields that are are empty.
    pub record: Record<'a>,
    /// What a verdict rested on.
    pub grounds: Option<Grounds<'a>>,
    /// What of the signalling no field of the record holds: nothing of records from before it was kept apart.
    pub signalling: Signalling<'a>,
    /// Whether the signalling has expired.
    pub is_expired: bool,
}

impl<'a> Signalling<'a> {
    /// Appends its octets to `out`.
    pub fn encode(&self, mut out: Vec<u8>) -> Vec<u8> {
        out.push(KIND);
        // As of a record: plain data into growing memory does not fail.
        postcard::to_extend(self, out).expect("signalling always encodes")
    }

    /// Reads what [`Signalling::encode`] wrote; none of what was never there, is gone, or a later portcullis wrote.
    fn decode(octets: &'a [u8]) -> Option<Self> {
        octets.strip_prefix(&[KIND]).and_then(|body| postcard::from_bytes(body).ok())
    }

    fn of(origin: &mut Origin<'a>) -> Self {
        let peer = std::mem::take(&mut origin.peer);
        Self { session: std::mem::take(&mut origin.session), peer, ..Self::default() }
    }

    fn of_submission(submission: &mut Submission<'a>) -> Self {
        Self {
            sequence_number: std::mem::take(&mut submission.sequence_number),
            flags: std::mem::take(&mut submission.flags),
            reference: submission.part.as_mut().map_or(0, |part| std::mem::take(&mut part.0)),
            ..Self::of(&mut submission.origin)
        }
    }

    fn of_long(long: &mut Long<'a>) -> Self {
        let take =
            |part: &mut super::PartOf| (std::mem::take(&mut part.session), std::mem::take(&mut part.sequence_number));
        let parts = long.parts.iter_mut().map(take).collect();
        Self { parts, ..Self::of_submission(&mut long.submission) }
    }

    fn fill(&self, origin: &mut Origin<'a>) {
        origin.session = self.session;
        origin.peer = self.peer.clone();
    }

    fn fill_submission(&self, submission: &mut Submission<'a>) {
        submission.sequence_number = self.sequence_number;
        submission.flags = self.flags;
        if let Some(part) = &mut submission.part {
            part.0 = self.reference;
        }
        self.fill(&mut submission.origin);
    }
}

impl<'a> Record<'a> {
    /// Takes the signalling out of a record that has any; the record is then to be encoded as split.
    pub fn take_signalling(&mut self) -> Option<Signalling<'a>> {
        Some(match self {
            Self::Submission(submission) => Signalling::of_submission(submission),
            Self::Long(long) => Signalling::of_long(long),
            Self::Part(part) => Signalling::of(&mut part.origin),
            Self::Session(session) => Signalling::of(&mut session.origin),
            Self::Delivery(delivery) => {
                let (esm_class, data_coding) = std::mem::take(&mut delivery.flags);
                Signalling { flags: (esm_class, data_coding, 0), ..Signalling::of(&mut delivery.origin) }
            }
            _ => return None,
        })
    }

    /// Appends the content of a record whose signalling was taken out.
    pub fn encode_split(&self, mut out: Vec<u8>) -> Vec<u8> {
        out.push(SPLIT);
        postcard::to_extend(self, out).expect("a record always encodes")
    }

    /// Puts it back.
    fn give_signalling(&mut self, signalling: &Signalling<'a>) {
        match self {
            Self::Submission(submission) => signalling.fill_submission(submission),
            Self::Long(long) => {
                signalling.fill_submission(&mut long.submission);
                for (part, (session, sequence_number)) in long.parts.iter_mut().zip(&signalling.parts) {
                    (part.session, part.sequence_number) = (*session, *sequence_number);
                }
            }
            Self::Part(part) => signalling.fill(&mut part.origin),
            Self::Session(session) => {
                signalling.fill(&mut session.origin);
                if session.event == ACCEPTED && !signalling.tls.is_empty() {
                    session.event = format!("{ACCEPTED}, {}", signalling.tls).into();
                }
            }
            Self::Delivery(delivery) => {
                delivery.flags = (signalling.flags.0, signalling.flags.1);
                signalling.fill(&mut delivery.origin);
            }
            _ => {}
        }
    }
}

/// The event of a bind, which is told with its certificate.
pub const ACCEPTED: &str = "bind accepted";

impl<'a> Kept<'a> {
    /// Reads both parts of an entry.
    pub fn decode(content: &'a [u8], signalling: Option<&'a [u8]>) -> Result<Self, RecordError> {
        let (mut record, grounds) = Grounds::decode(content)?;
        if content.first() == Some(&VERSION) {
            return Ok(Self { record, grounds, signalling: Signalling::default(), is_expired: false });
        }
        match signalling.and_then(Signalling::decode) {
            Some(signalling) => {
                record.give_signalling(&signalling);
                Ok(Self { record, grounds, signalling, is_expired: false })
            }
            None => Ok(Self { record, grounds, signalling: Signalling::default(), is_expired: true }),
        }
    }
}
