//! What reaches a session from elsewhere.
//!
//! Owns the words and the bounded channel. Refuses to wait for a session: what is sent to one
//! answers something it holds open, or is owed to its account, and both have their bounds.
//! Driven by whoever decides in another task or over another bind; read by the session.

use tokio::sync::mpsc;

use super::desk::{Late, Looked};
use super::owed::Owed;

/// Above both windows together.
const ROOM: usize = 1 << 22;

/// Where mail for one session goes in.
pub(super) type Mailbox = mpsc::Sender<Mail>;

/// One message to a session.
#[derive(Debug)]
pub enum Mail {
    /// The decision on a request whose judging took time.
    Judged(Box<Late>),
    /// What the journal knows of a message that a request names.
    Looked(Box<Looked>),
    /// Something to send for the gate.
    Owed(Box<Owed>),
}

pub(super) fn new() -> (Mailbox, mpsc::Receiver<Mail>) {
    mpsc::channel(ROOM)
}
