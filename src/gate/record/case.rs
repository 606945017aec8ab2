//! The course of a complaint, as the journal keeps it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Name;

/// A step in the course of a complaint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseStep<'a> {
    /// When it was recorded, UTC milliseconds.
    pub at_ms: i64,
    /// The complaint's subscriber, so that both are found together.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The complaint's port, for the same reason.
    pub port: Cow<'a, str>,
    /// The complaint's own record.
    pub of: Name,
    /// `opened`, `acted`, `answered`, `closed` or `noted`.
    pub step: Cow<'a, str>,
    /// When it was done, UTC milliseconds.
    pub done_ms: i64,
    /// Who says so.
    pub by: Cow<'a, str>,
    /// What was done, in words.
    pub note: Cow<'a, str>,
    /// Of an opening: `12321`, `carrier` or `direct`.
    pub channel: Cow<'a, str>,
    /// Of an opening: when the complaint reached whoever acts on it, UTC milliseconds.
    pub reached_ms: Option<i64>,
    /// Of an opening: the legal hold that was set for it; of a closing: the one that was lifted.
    pub hold: Option<Cow<'a, str>>,
}
