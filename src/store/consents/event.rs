//! What a subscriber said, as it is given to the consents and as they show it.

use serde::{Deserialize, Serialize};

use crate::store::Sha256;

/// What a subscriber said, or what happened to the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Status {
    /// Yes, to one category of one sender.
    Consent,
    /// No, to all of a sender.
    #[default]
    Refusal,
    /// The number has another holder: consents from before are over, refusals stay. No sender goes with it.
    HolderChange,
}

/// How the consents name all senders of a provider, those it gets later among them: this, then its account.
pub const ALL_SENDERS_OF: &str = "provider:";

/// The name under which all senders of a provider are refused.
pub fn all_senders_of(provider: &str) -> String {
    format!("{ALL_SENDERS_OF}{provider}")
}

/// A subscriber said yes or no to a sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Event<'a> {
    /// The subscriber's number, canonical.
    pub msisdn: u64,
    /// The sender's id in the register, or [`all_senders_of`] a provider; empty for a change of holder.
    pub sender: &'a str,
    /// What kind of messages; a refusal covers every kind, whatever stands here.
    pub category: &'a str,
    /// Yes or no.
    pub status: Status,
    /// When it was said, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// How: web, paper, MO, counter, api.
    pub method: &'a str,
    /// Where the proof is.
    pub evidence: &'a str,
    /// Until when a consent holds.
    pub expires_at_ms: Option<i64>,
    /// How often a consent allows messages; empty where it does not say.
    pub frequency: &'a str,
    /// What the subscriber was shown or told.
    pub wording: &'a str,
    /// The hash of the evidence's file.
    pub sha256: Option<Sha256>,
    /// Who recorded it: a user, a provider, a file.
    pub recorded_by: &'a str,
    /// When it was recorded, where it is restored from an export; now, otherwise.
    pub recorded_at_ms: Option<i64>,
}

/// An event as it is held, for showing and exporting.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Held {
    /// The subscriber's number.
    pub msisdn: u64,
    /// The sender's id in the register, or [`all_senders_of`] a provider; empty for a change of holder.
    pub sender: String,
    /// The category of a consent; of a refusal, the one it was said under.
    pub category: String,
    /// Yes or no.
    pub status: Status,
    /// When it was said.
    pub at_ms: i64,
    /// How.
    pub method: String,
    /// Where the proof is.
    pub evidence: String,
    /// Until when a consent holds.
    pub expires_at_ms: Option<i64>,
    /// How often a consent allows messages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub frequency: String,
    /// What the subscriber was shown or told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wording: String,
    /// The hash of the evidence's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// Who recorded it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub recorded_by: String,
    /// When it was recorded; not known of events from before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at_ms: Option<i64>,
}

impl Held {
    /// As the store takes it.
    pub fn as_event(&self) -> Event<'_> {
        Event {
            msisdn: self.msisdn,
            sender: &self.sender,
            category: &self.category,
            status: self.status,
            at_ms: self.at_ms,
            method: &self.method,
            evidence: &self.evidence,
            expires_at_ms: self.expires_at_ms,
            frequency: &self.frequency,
            wording: &self.wording,
            sha256: self.sha256,
            recorded_by: &self.recorded_by,
            recorded_at_ms: self.recorded_at_ms,
        }
    }
}

/// Whom a message is from, as far as consents and refusals go.
#[derive(Clone, Copy, Debug)]
pub struct Towards<'a> {
    /// The sender's id in the register.
    pub sender: &'a str,
    /// Ids the legal entity had before: what was said to those was said to it.
    pub former: &'a [String],
    /// The provider it sends by: who refused all of its senders has refused this one.
    pub provider: Option<&'a str>,
}

impl Towards<'_> {
    /// Whether an event concerns the sender.
    pub fn is_meant_by(&self, held: &Held) -> bool {
        let is_all = |provider| held.sender.strip_prefix(ALL_SENDERS_OF) == Some(provider);
        match held.status {
            Status::HolderChange => true,
            Status::Consent => self.is(&held.sender),
            Status::Refusal => self.is(&held.sender) || self.provider.is_some_and(is_all),
        }
    }

    fn is(&self, sender: &str) -> bool {
        sender == self.sender || self.former.iter().any(|former| former == sender)
    }
}
