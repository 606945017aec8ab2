//! What is known about a submission beyond its own bytes.
//!
//! Owns the words in which the register and the store tell a rule what they know. Refuses to
//! look anything up: [`crate::register::Register::identify`] and the gate fill it.

use std::sync::Arc;

use jiff::Timestamp;

use super::r25_measures::Measure;
use super::{Class, Frequency, Msisdn};
use crate::register::{Port, Provider, Sender};

/// Who sends, from which port, for whom, to whom.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'r> {
    /// The peer that submitted.
    pub provider: &'r Provider,
    /// The port it sends from, where the register knows it.
    pub port: Option<&'r Port>,
    /// Whose the port is; of an unknown port, whose the text's signature is.
    pub sender: Option<&'r Sender>,
    /// The recipient in canonical form, where the destination is a subscriber's number.
    pub msisdn: Option<Msisdn>,
    /// Whether the provider may send from this source.
    pub ownership: Ownership,
}

impl Identity<'_> {
    /// The class of the port; an unknown one is treated as commercial.
    pub fn port_class(&self) -> Class {
        self.port.map_or(Class::Commercial, |port| port.class)
    }
}

/// The standing of a source address in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Registered, active, and this provider's.
    Owned,
    /// In nobody's register entry.
    Unregistered,
    /// Registered, but not within this provider's numbers.
    Foreign,
    /// Registered, but withdrawn.
    Inactive,
}

/// Everything the rules are told.
#[derive(Clone, Debug)]
pub struct Facts<'r> {
    /// Who and whom.
    pub identity: Identity<'r>,
    /// The consents could not be asked: nothing is known of the recipient's will (R26).
    pub unasked: bool,
    /// Whether the recipient agreed to this sender's messages.
    pub consent: Consent,
    /// Which consent says so, in term or past it.
    pub basis: Option<Basis>,
    /// How often that consent allows messages, where it says so.
    pub frequency: Option<Frequency>,
    /// Whether the recipient refused them.
    pub refusal: Option<Refusal>,
    /// Whether this sender has asked the recipient for consent before (R12).
    pub asked_before: bool,
    /// When this sender's messages to the recipient were delivered that count (R19), as far back as matters.
    pub sent: Vec<Timestamp>,
    /// It replaces a message that nobody here knows (R22).
    pub replaces_unknown: bool,
    /// Only the carrier knows the recipients (a distribution list, a broadcast area), and the provider may address them.
    pub vouched: bool,
    /// The hardest measure in force that speaks of this message (R25).
    pub measure: Option<Measure>,
    /// Whether its text is to be compared with others, to find bursts (R25).
    pub sampled: bool,
    /// Since when no bind of the provider takes replies to the port, where there is none and that matters (R07).
    pub reply_route_lost: Option<Timestamp>,
}

impl<'r> Facts<'r> {
    /// Nothing known beyond who and whom: no consent, no refusal.
    pub const fn new(identity: Identity<'r>) -> Self {
        Self {
            identity,
            unasked: false,
            consent: Consent::None,
            basis: None,
            frequency: None,
            refusal: None,
            asked_before: false,
            sent: Vec::new(),
            replaces_unknown: false,
            vouched: false,
            measure: None,
            sampled: false,
            reply_route_lost: None,
        }
    }
}

/// A consent's name among those of its subscriber and sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// When it was given, UTC milliseconds.
    pub at_ms: i64,
    /// What kind of messages it is for.
    pub category: Arc<str>,
}

/// The recipient's agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Never given, or ended.
    None,
    /// Given, with evidence, within its term.
    Active,
    /// Given once; its term is over.
    Expired,
}

/// The recipient's refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Refused this sender, in all its signatures, ports and binds.
    Sender {
        /// When.
        at: Option<Timestamp>,
    },
    /// On the do-not-disturb list.
    DoNotDisturb,
}
