//! What reaches a session from elsewhere.
//!
//! Owns the words and the bounded channel. Refuses to wait for a session: whatever is sent to
//! one answers something it holds open, so its windows bound what can lie here. Driven by
//! whoever decides in another task or over another bind; read by the session.

use tokio::sync::mpsc;

use super::desk::Judged;
use crate::relay::Ticket;

/// Far above both windows together, so that it is never full.
const ROOM: usize = 1 << 22;

/// Where mail for one session goes in.
pub(super) type Mailbox = mpsc::Sender<Mail>;

/// One message to a session.
#[derive(Debug)]
pub enum Mail {
    /// The decision on a request whose judging took time.
    Judged {
        /// The request.
        ticket: Ticket,
        /// What becomes of it.
        judged: Judged,
    },
}

pub(super) fn new() -> (Mailbox, mpsc::Receiver<Mail>) {
    mpsc::channel(ROOM)
}
