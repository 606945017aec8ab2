//! The times and bounds of one session.
//!
//! Owns their defaults. Refuses to read files: `config` does. Driven by the proxy, which
//! builds one from the checked configuration.

use std::time::Duration;

/// How long a session waits and how much it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayConfig {
    /// From the connection, or from a refused bind, to the next bind.
    pub session_init_timeout: Duration,
    /// From a bind to the carrier's connection: judging and dialling together.
    pub connect_timeout: Duration,
    /// For the answer to any forwarded request, to a bind and to an `enquire_link`.
    pub response_timeout: Duration,
    /// A leg silent for this long is asked `enquire_link`; zero never asks.
    pub enquire_link_interval: Duration,
    /// A session with nothing but `enquire_link` for this long ends; zero never does.
    pub inactivity_timeout: Duration,
    /// For the answer to the gate's own `unbind`.
    pub unbind_timeout: Duration,
    /// From `Event::Drain` to the end at the latest.
    pub drain_timeout: Duration,
    /// Requests of the provider that may be unanswered; reading pauses at it.
    pub provider_window: usize,
    /// Reading goes on at a full provider window, and what is read is refused.
    pub reject_over_window: bool,
    /// Requests of the carrier that may be unanswered; reading pauses at it. Wider than what
    /// carriers use, because their answers to the provider queue behind their requests.
    pub carrier_window: usize,
    /// Binds that may be refused before the connection is closed.
    pub bind_attempts: u32,
}

/// Longer than any session, and short enough to be added to any instant.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl RelayConfig {
    pub(super) fn clamped(mut self) -> Self {
        for duration in [
            &mut self.session_init_timeout,
            &mut self.connect_timeout,
            &mut self.response_timeout,
            &mut self.enquire_link_interval,
            &mut self.inactivity_timeout,
            &mut self.unbind_timeout,
            &mut self.drain_timeout,
        ] {
            *duration = (*duration).min(LONGEST);
        }
        self
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            session_init_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            enquire_link_interval: Duration::from_secs(30),
            inactivity_timeout: Duration::ZERO,
            unbind_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            provider_window: 100,
            reject_over_window: false,
            carrier_window: 1000,
            bind_attempts: 5,
        }
    }
}
