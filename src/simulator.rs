//! A carrier to try against: binds, answers, receipts, replies, and faults on demand.
//!
//! Owns the carrier's side of a conversation that demos, tests and benches need. Refuses to
//! judge messages, to store them (beyond a bounded window a test asks for, and a bounded number
//! of scheduled ones) or to be a real SMSC. Driven by `portcullis simulate`, `portcullis demo`, the tests and the benches.

mod answer;
mod carrier;
mod delivery;
mod faults;
mod session;
mod waiting;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use portcullis_protocol::Frame;
use portcullis_protocol::command::CommandId;
use portcullis_protocol::status::CommandStatus;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use carrier::{Counts, Received};
pub use faults::{Answers, Faults, Form};

use carrier::Carrier;

/// How the simulated carrier behaves.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The accounts that may bind; empty lets anyone in.
    pub accounts: Vec<Account>,
    /// Whether messages that ask for a receipt get one.
    pub receipts: bool,
    /// How long every answer to a message waits.
    pub latency: Duration,
    /// The text every accepted message's destination sends back.
    pub reply_with: Option<String>,
    /// How often an `enquire_link` is sent; a peer that leaves one unanswered is cut.
    pub enquire_link: Option<Duration>,
    /// How many of the newest frames are kept for [`Simulator::received`].
    pub keep: usize,
    /// How many connections are open at once; more are closed at once.
    pub max_sessions: usize,
    /// What goes wrong from the start.
    pub faults: Faults,
}

/// Someone who may bind.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The name in the bind.
    pub system_id: String,
    /// The password in the bind.
    pub password: String,
}

impl std::fmt::Debug for Account {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("system_id", &self.system_id).finish_non_exhaustive()
    }
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: Vec::new(),
            receipts: false,
            latency: Duration::ZERO,
            reply_with: None,
            enquire_link: None,
            keep: 0,
            max_sessions: 10_000,
            faults: Faults::default(),
        }
    }
}

/// A running carrier; dropping it stops it.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    carrier: Arc<Carrier>,
    stop: CancellationToken,
    listener: JoinHandle<()>,
}

impl Simulator {
    /// Listens, and answers from then on in tasks of the current tokio runtime.
    pub async fn start(options: SimulatorOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let carrier = Arc::new(Carrier::new(options, stop.child_token()));
        let listener = tokio::spawn(accept(listener, Arc::clone(&carrier), stop.clone()));
        Ok(Self { address, carrier, stop, listener })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has been seen and sent so far.
    pub fn counts(&self) -> Counts {
        self.carrier.counts()
    }

    /// The newest frames seen, oldest first, at most [`SimulatorOptions::keep`] of them.
    pub fn received(&self) -> Vec<Received> {
        self.carrier.received()
    }

    /// The kept frames of one operation.
    pub fn received_of(&self, command_id: CommandId) -> Vec<Received> {
        let mut frames = self.received();
        frames.retain(|received| received.frame.command_id() == command_id);
        frames
    }

    /// Waits until the counts please `enough`; false when `patience` ran out first.
    pub async fn wait_until(&self, patience: Duration, enough: impl Fn(&Counts) -> bool) -> bool {
        tokio::time::timeout(patience, self.carrier.changed_until(|carrier| enough(&carrier.counts()))).await.is_ok()
    }

    /// Changes what goes wrong from now on, on open sessions too.
    pub fn set_faults(&self, faults: Faults) {
        self.carrier.set_faults(faults);
    }

    /// Sends a frame (its sequence number replaced) to a bind of `system_id` that can
    /// receive; false when there is none.
    pub async fn deliver(&self, system_id: &str, frame: Frame) -> bool {
        self.carrier.deliver_now(system_id, frame).await
    }

    /// Sends `unbind` to every bound peer.
    pub async fn unbind_all(&self) {
        let unbind = Frame::new(CommandId::UNBIND, CommandStatus::ESME_ROK, 0, &[]);
        for mailbox in self.carrier.mailboxes() {
            let _gone = mailbox.send(unbind.clone()).await;
        }
    }

    /// Closes every open connection without a word; new ones are welcome.
    pub fn cut_connections(&self) {
        self.carrier.cut(self.stop.child_token());
    }

    /// Closes every connection and the listener, and waits until the port is free.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ended = (&mut self.listener).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, carrier: Arc<Carrier>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(entry) = Carrier::enter(&carrier) {
                    tokio::spawn(session::run(stream, entry));
                } else {
                    tracing::warn!(%peer, "simulator: too many connections");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "simulator: accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
