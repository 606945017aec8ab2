//! A bind that waits before it is judged, its address having tried wrong passwords before.
//!
//! Owns the wait. Refuses to know why: the desk says how long. Driven by the session, which
//! goes on with everything else meanwhile.

use std::pin::Pin;
use std::time::Duration;

use portcullis_protocol::Frame;
use tokio::time::{Sleep, sleep};

/// At most one bind, for a session has no more under way.
#[derive(Default)]
pub(super) struct Delayed(Option<(Pin<Box<Sleep>>, Frame)>);

impl Delayed {
    /// Lets a bind wait; one before it has been given up.
    pub(super) fn put(&mut self, frame: Frame, delay: Duration) {
        self.0 = Some((Box::pin(sleep(delay)), frame));
    }

    /// The bind that has waited for long enough; for ever where none waits.
    pub(super) async fn over(&mut self) -> Frame {
        let Some((until, frame)) = &mut self.0 else { return std::future::pending().await };
        until.as_mut().await;
        let frame = frame.clone();
        self.0 = None;
        frame
    }
}
