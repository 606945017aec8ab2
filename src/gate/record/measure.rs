//! Measures and complaints (R25), as the journal keeps them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Name;

/// A measure was taken against a provider, sender or port, or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// `provider`, `sender` or `port`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Its name.
    pub name: Cow<'a, str>,
    /// `alert`, `slow` or `suspend`; `resume` where none holds any more.
    pub step: Cow<'a, str>,
    /// Whether it touches every message, and not only marketing.
    pub everything: bool,
    /// Why.
    pub reason: Cow<'a, str>,
    /// `gate`, or `operator`.
    pub by: Cow<'a, str>,
    /// When time alone ends it, as far as that is known; UTC milliseconds.
    pub until_ms: Option<i64>,
}

/// Somebody complained of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint<'a> {
    /// When it was recorded, UTC milliseconds.
    pub at_ms: i64,
    /// The key of the subscriber it is about, so that it is found with the message.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The port of the message, or the one that the complaint names.
    pub port: Cow<'a, str>,
    /// When the message came, by the complainer's word; UTC milliseconds.
    pub about_ms: i64,
    /// What the complainer quotes of it.
    pub text: Cow<'a, str>,
    /// The number of the case where it comes from, of 12321 say.
    pub reference: Cow<'a, str>,
    /// The messages it was found to speak of.
    pub messages: Vec<Name>,
    /// Whom it counts against: `provider`, `sender` or `port`, and the name.
    pub against: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The complaint that spoke of the same message before, where one did: it counts once.
    pub repeats: Option<Name>,
}
