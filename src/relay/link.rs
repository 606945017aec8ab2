//! One leg's connection as the core sees it.
//!
//! Owns what is known of it: there or not, when it was last heard, what it has been asked.
//! Refuses to hold requests: the window does. Driven by the relay.

use std::time::Instant;

/// A question of the gate's own under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) sequence: u32,
    pub(super) since: Instant,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) open: bool,
    /// The driver is at work on the connection.
    pub(super) dialling: bool,
    pub(super) heard: Instant,
    /// Whether it was read when last looked at.
    pub(super) reading: bool,
    /// `enquire_link` sent, not answered.
    pub(super) enquired: Option<Asked>,
    /// `unbind` sent, not answered.
    pub(super) unbinding: Option<Asked>,
    /// The peer's own `unbind`, answered last of all.
    pub(super) unbind_received: Option<u32>,
    /// The peer has sent `unbind`: it takes no more requests and needs none from us.
    pub(super) leaving: bool,
}

impl Link {
    pub(super) const fn new(open: bool, now: Instant) -> Self {
        Self {
            open,
            dialling: false,
            heard: now,
            reading: open,
            enquired: None,
            unbinding: None,
            unbind_received: None,
            leaving: false,
        }
    }

    /// Whether a request may still be sent to it.
    pub(super) const fn takes_requests(&self) -> bool {
        self.open && !self.leaving && self.unbinding.is_none()
    }
}
