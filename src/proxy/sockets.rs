//! Listening sockets: taken anew, or over from whoever held them before.
//!
//! Owns the sockets that came with the process (socket activation) or from its predecessor,
//! and the copies kept for a successor. A socket that changes hands never closes, so whoever
//! connects meanwhile waits in its queue and is not refused. Two sockets on one port
//! (SO_REUSEPORT) would not do: what is queued on the old one is reset when that closes.
//! Driven by the proxy's start, and by the admin socket that gives the copies away.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use listenfd::ListenFd;
use tokio::sync::watch;

/// Sockets that listen already.
#[derive(Default)]
pub struct Inherited {
    sockets: Vec<TcpListener>,
    predecessor: Option<Confirm>,
}

/// Tells the predecessor that its successor is ready: it drains from then on.
type Confirm = Box<dyn FnOnce() -> io::Result<()> + Send>;

impl Inherited {
    /// What the service manager passed (`LISTEN_FDS`), if anything.
    pub fn from_environment() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            sockets.extend(passed.take_tcp_listener(index)?);
        }
        Ok(Self { sockets, predecessor: None })
    }

    /// What a running gate gives away. It goes on until it is told that its successor is ready.
    pub fn from_predecessor(
        sockets: Vec<TcpListener>,
        confirm: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self { sockets, predecessor: Some(Box::new(confirm)) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Nothing but the store is wanting: whether it has to be waited for.
    pub(super) fn confirm(mut self) -> io::Result<bool> {
        for address in self.sockets.iter().filter_map(|socket| socket.local_addr().ok()) {
            tracing::warn!(%address, "a socket that came with the process is in no [[listen]]: closed");
        }
        let Some(confirm) = self.predecessor.take() else { return Ok(false) };
        confirm().map(|()| true)
    }

    /// The one that listens where it is wanted; any port does for port 0.
    fn take(&mut self, wanted: SocketAddr) -> Option<TcpListener> {
        let fits = |socket: &TcpListener| {
            socket.local_addr().is_ok_and(|address| {
                address.ip() == wanted.ip() && (wanted.port() == 0 || address.port() == wanted.port())
            })
        };
        let index = self.sockets.iter().position(fits)?;
        Some(self.sockets.swap_remove(index))
    }

    /// A socket that listens at `address`: an inherited one, or a new one.
    pub(super) async fn listen(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = match self.take(address) {
            Some(socket) => socket,
            None => tokio::net::TcpListener::bind(address).await?.into_std()?,
        };
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// The sockets a successor may have, until the gate ends.
#[derive(Debug)]
pub struct Handover {
    sockets: Mutex<Vec<TcpListener>>,
    taken: watch::Sender<bool>,
}

impl Handover {
    pub(super) fn new(sockets: Vec<TcpListener>) -> Self {
        Self { sockets: Mutex::new(sockets), taken: watch::Sender::new(false) }
    }

    /// Copies of every listening socket; none where the gate ends already.
    pub fn copies(&self) -> io::Result<Vec<TcpListener>> {
        self.lock().iter().map(TcpListener::try_clone).collect()
    }

    /// The successor has them.
    pub fn complete(&self) {
        self.taken.send_replace(true);
    }

    pub(super) async fn completed(&self) {
        // The sender lives as long as this does, so this ends for no other reason.
        let _ = self.taken.subscribe().wait_for(|taken| *taken).await;
    }

    /// From here on nobody connects any more, unless a successor has the sockets.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<TcpListener>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_found_by_its_address_and_each_is_used_once() {
        let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
        let sockets = vec![socket(), socket()];
        let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let mut inherited = Inherited { sockets, predecessor: None };
        let mut listen = async |address| inherited.listen(address).await.map(|socket| socket.local_addr().unwrap());
        assert_eq!(listen(addresses[1]).await.unwrap(), addresses[1]);
        assert_eq!(listen("127.0.0.1:0".parse().unwrap()).await.unwrap(), addresses[0], "any port will do");
        let fresh = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        assert!(!addresses.contains(&fresh));
        assert!(inherited.is_empty());
    }

    #[test]
    fn a_gate_that_ends_has_nothing_to_give() {
        let handover = Handover::new(vec![TcpListener::bind("127.0.0.1:0").unwrap()]);
        assert_eq!(handover.copies().unwrap().len(), 1);
        handover.close();
        assert_eq!(handover.copies().unwrap().len(), 0);
    }
}
