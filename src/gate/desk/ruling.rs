//! What the verdicts on all recipients of one PDU come to.

use std::sync::Arc;

use jiff::Timestamp;
use portcullis_protocol::CommandStatus;
use portcullis_protocol::address::Address;

use super::TRY_AGAIN;
use super::counting::Counted;
use crate::gate::measures::Trail;
use crate::rules::r26_evidence::{Failure, Resort};
use crate::rules::{Decision, Facts, Permit, Verdict};

/// One recipient's verdict and what it rests on.
pub(in crate::gate) struct Judgement<'r, 'm> {
    pub(super) to: Address<'m>,
    pub(super) facts: Facts<'r>,
    pub(super) verdict: Verdict,
    /// What the store could not do for it, if anything.
    pub(super) outage: Option<String>,
    /// Its place among the messages that count, which it gives back if it does not arrive.
    pub(super) counted: Option<Counted>,
    /// When it is to be delivered, where that is later.
    pub(super) deliver_at: Option<Timestamp>,
    /// Who is counted for it, where R25 is on.
    pub(super) trail: Option<Arc<Trail>>,
}

impl Judgement<'_, '_> {
    /// What becomes of it while the store cannot do its part; nothing of its own where it can (R26).
    fn resort(&self, failure: &Failure) -> Option<Resort> {
        self.outage.as_ref().map(|_| failure.resort(self.verdict.class))
    }

    pub(super) fn is_forwarded(&self) -> bool {
        self.verdict.decision == Decision::Forward
    }
}

/// What becomes of the PDU.
#[derive(Clone, Copy, Debug)]
pub(in crate::gate) enum Ruling {
    /// Every recipient's verdict permits it.
    Forward(Permit),
    /// It goes on without the recipients whose verdict refuses it.
    Split(Permit),
    /// It is answered with this status.
    Refuse {
        status: CommandStatus,
        /// Because the store is down, and not for what the message is.
        down: bool,
    },
}

impl Ruling {
    /// Whether the provider is to try again: what it was told to be accepted then waits with the rest.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Refuse { status: TRY_AGAIN | CommandStatus::ESME_RTHROTTLED, .. })
    }

    pub(in crate::gate) fn of(judgements: &[Judgement<'_, '_>], failure: &Failure) -> Self {
        let first = |decision| judgements.iter().find(|judgement| judgement.verdict.decision == decision);
        // Before any rejection: consent unknown is not consent missing.
        for (resort, status) in [(Resort::Hold, TRY_AGAIN), (Resort::Reject, CommandStatus::ESME_RSUBMITFAIL)] {
            if judgements.iter().any(|judgement| judgement.resort(failure) == Some(resort)) {
                return Self::Refuse { status, down: true };
            }
        }
        let refused = first(Decision::Reject).or_else(|| first(Decision::Hold));
        match (judgements.iter().find_map(|judgement| judgement.verdict.permit()), refused) {
            (Some(permit), None) => Self::Forward(permit),
            (Some(permit), Some(_)) => Self::Split(permit),
            (None, Some(refused)) => Self::Refuse { status: refused.verdict.status, down: false },
            (None, None) => Self::Refuse { status: CommandStatus::ESME_RINVNUMDESTS, down: false },
        }
    }
}
