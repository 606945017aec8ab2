//! How many messages a provider may send.
//!
//! Owns the count of what a PDU carries and the answer to one too many: `ESME_RTHROTTLED`,
//! without a verdict and so without a record. Driven by the desk, before judging.

use std::sync::PoisonError;
use std::time::Instant;

use portcullis_protocol::CommandStatus;

use super::{Desk, Judged, Settling};
use crate::gate::reading::{Reading, Recipients};
use crate::register::Provider;
use crate::relay;

impl Desk {
    /// Whether this PDU is more than the provider's rate allows.
    pub(super) fn exceeds_rate(&self, provider: &Provider, reading: &Reading<'_>, now: Instant) -> bool {
        let (Some(rate), Some(allowance)) = (provider.rate, &self.allowance) else { return false };
        !allowance.lock().unwrap_or_else(PoisonError::into_inner).take(rate, messages(reading), now)
    }

    /// The provider is to slow down; nothing is kept of what it sent.
    pub(super) fn throttle(&self) -> Judged {
        self.gate.counters.throttled();
        let status = CommandStatus::ESME_RTHROTTLED;
        let decision = relay::Decision::Refuse { status, body: bytes::Bytes::new() };
        Judged { decision, settling: Settling::Now, frame: None }
    }
}

/// Every recipient's message counts; the parts of a long one count once, with its first.
fn messages(reading: &Reading<'_>) -> u32 {
    if reading.part.is_some_and(|part| part.total > 1 && part.number > 1) {
        return 0;
    }
    match reading.recipients {
        Recipients::One(_) => 1,
        Recipients::Many(list) => u32::try_from(list.iter().count()).unwrap_or(u32::MAX),
    }
}
