//! Records of what waits for its time: a consent request for its answer, a scheduled message for its delivery.
//!
//! Owns their fields. Each begins with time, subscriber and port, so that its head alone tells where it is
//! found. Driven by the desks, when the carrier took the message, and by the gate, when the time has come.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Name, WireAddress};

/// A consent request went out: silence until a moment is a refusal (R12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// The request's subscriber.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The request's source.
    pub port: Cow<'a, str>,
    /// The request's send record.
    pub of: Name,
    /// Who asks.
    pub sender: Cow<'a, str>,
    /// Whom.
    pub msisdn: u64,
    /// For which kind of messages; empty for all.
    pub category: Cow<'a, str>,
    /// How long it may be answered, UTC milliseconds.
    pub until_ms: i64,
}

/// Nobody answered a consent request in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// The request's subscriber.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The request's source.
    pub port: Cow<'a, str>,
    /// The [`Asked`] it answers.
    pub of: Name,
    /// When that was.
    pub asked_ms: i64,
    /// Who asked.
    pub sender: Cow<'a, str>,
    /// `refused`, `observed`, or `recorded` where a consent stands that silence does not end.
    pub effect: Cow<'a, str>,
}

/// The carrier took a message that is to be delivered later (R21).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// The message's subscriber.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The message's source.
    pub port: Cow<'a, str>,
    /// The carrier's `message_id`.
    pub message_id: Option<Cow<'a, str>>,
    /// The message's send record.
    pub of: Name,
    /// The account.
    pub provider: Cow<'a, str>,
    /// When it is to be delivered, UTC milliseconds.
    pub deliver_ms: i64,
    /// `service_type`
    pub service_type: Cow<'a, str>,
    /// `source_addr`
    pub source: WireAddress<'a>,
    /// `destination_addr`
    pub destination: WireAddress<'a>,
    /// Whose refusal withdraws it, and the refusing number; none of what is not marketing.
    pub marketing: Option<(Cow<'a, str>, u64)>,
}

/// What became of the withdrawal of a scheduled message whose subscriber refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// The message's subscriber.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The message's source.
    pub port: Cow<'a, str>,
    /// The [`Scheduled`] it ends.
    pub of: Name,
    /// The message's send record.
    pub message: Name,
    /// `cancelled`; `failed`, with the carrier's status; `too-late`.
    pub outcome: Cow<'a, str>,
    /// What the carrier answered.
    pub status: u32,
}
