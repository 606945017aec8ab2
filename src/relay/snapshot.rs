//! A session's figures.
//!
//! Owns the counters and the picture of a moment. Refuses to judge them. Filled by the relay,
//! read by the status page and the tests.

use super::commands::BindKind;
use super::state::State;

/// What happened in a session so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Requests sent on to the other leg.
    pub forwarded: u64,
    /// Requests the gate's verdict refused.
    pub refused: u64,
    /// Requests the gate took over: answered as a success before they went on.
    pub acknowledged: u64,
    /// Requests of the gate's own.
    pub originated: u64,
    /// Requests answered by the other leg.
    pub answered: u64,
    /// Of these, with `generic_nack`.
    pub nacked: u64,
    /// Requests that got no answer in time.
    pub timed_out: u64,
    /// Responses whose request was answered already: late, or repeated. Dropped.
    pub late: u64,
    /// Responses to nothing that was ever asked, or of another operation. Dropped.
    pub unsolicited: u64,
    /// Requests answered with a bind-state error, or dropped where they have no response.
    pub wrong_state: u64,
    /// Requests of an operation nobody knows.
    pub unknown: u64,
    /// Requests beyond the window.
    pub over_window: u64,
    /// Requests that came while the session was settling.
    pub turned_away: u64,
}

/// A session at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Where it stands.
    pub state: State,
    /// What the provider is bound as, once it is.
    pub bind: Option<BindKind>,
    /// Unanswered requests of the provider.
    pub provider_pending: usize,
    /// How many it may have.
    pub provider_window: usize,
    /// Unanswered requests of the carrier.
    pub carrier_pending: usize,
    /// How many it may have.
    pub carrier_window: usize,
    /// Since the session began.
    pub counts: Counts,
}
