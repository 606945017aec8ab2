//! A running gate gives its listening sockets to the process that follows it.
//!
//! Owns that conversation over the admin socket: one octet with one descriptor for each
//! listening socket, then the end, then one octet back once the successor is ready. Refuses
//! to stop the old gate before it has that: a successor that cannot start changes nothing.
//! Driven by `portcullis run --take-over` on one side, the running gate on the other.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::api::Request;
use super::client::AccessError;
use super::socket_path;
use crate::proxy::Handover;

/// How long either side waits for the other's next word.
const PATIENCE: Duration = Duration::from_secs(10);

/// More sockets than any gate listens on.
const MOST_SOCKETS: usize = 1024;

/// What a running gate gives away.
pub struct Offer {
    /// Its listening sockets; none from a gate that drains already.
    pub sockets: Vec<TcpListener>,
    /// The conversation, until the successor is ready.
    pub stream: Conversation,
}

/// An offer that is not taken yet; dropping it leaves the running gate as it is.
pub struct Conversation(StdUnixStream);

impl Conversation {
    /// Tells the running gate to drain. One that has ended meanwhile needs no telling: whether it
    /// really has, the store's lock says.
    pub fn accept(self) -> io::Result<()> {
        match self.tell() {
            Err(error) if is_gone(&error) => Ok(()),
            told => told,
        }
    }

    fn tell(mut self) -> io::Result<()> {
        self.0.write_all(b"\n")?;
        self.0.shutdown(Shutdown::Write)?;
        // Its end of the conversation: nothing more is said.
        self.0.read_to_end(&mut Vec::new()).map(|_| ())
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
}

/// Asks the gate that runs on this data directory for its listening sockets.
pub fn take_over(data: &Path) -> Result<Offer, AccessError> {
    let mut stream = StdUnixStream::connect(socket_path(data)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            AccessError::NotRunning(data.display().to_string())
        }
        _ => error.into(),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{}", serde_json::to_string(&Request::TakeOver)?)?;
    let mut sockets = Vec::new();
    while let Some(socket) = receive(&stream)? {
        sockets.push(TcpListener::from(socket));
        if sockets.len() > MOST_SOCKETS {
            return Err(AccessError::Answer(format!("the running gate gives more than {MOST_SOCKETS} sockets away")));
        }
    }
    Ok(Offer { sockets, stream: Conversation(stream) })
}

/// The next descriptor; `None` at the end.
fn receive(stream: &StdUnixStream) -> Result<Option<OwnedFd>, AccessError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut octet = [0];
    let received =
        rustix::net::recvmsg(stream, &mut [IoSliceMut::new(&mut octet)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
            .map_err(io::Error::from)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let strange = || AccessError::Answer("the running gate does not know how to give its sockets away".to_owned());
    descriptor.ok_or_else(strange).map(Some)
}

/// Gives the sockets away; once the successor is ready the gate is told.
pub(super) async fn give(mut stream: UnixStream, handover: &Handover) -> io::Result<()> {
    for socket in handover.copies()? {
        let sent = stream.async_io(Interest::WRITABLE, || send(&stream, &socket));
        timeout(PATIENCE, sent).await??;
    }
    stream.shutdown().await?;
    let mut ready = [0];
    timeout(PATIENCE, stream.read_exact(&mut ready)).await??;
    handover.complete();
    Ok(())
}

fn send(stream: &UnixStream, socket: &TcpListener) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [socket.as_fd()];
    // The buffer has been made for exactly one.
    let _fits = ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(stream, &[IoSlice::new(b"s")], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}
