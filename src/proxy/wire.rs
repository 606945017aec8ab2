//! One leg's connection: octets in, octets out, nothing decided.
//!
//! Owns the two buffers and their bounds. Refuses to interpret a PDU: it only finds where
//! one ends. Driven by the session's driver, which polls both legs together so that neither
//! can starve the other.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use portcullis_protocol::{Frame, FrameFault, frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::relay::Cause;

/// Unsent octets above which nothing more is produced for this leg: TCP does the rest.
const OUTPUT_HIGH_WATER: usize = 256 * 1024;

/// Octets taken from the kernel in one go.
const READ_CHUNK: usize = 64 * 1024;

/// What an output buffer may keep allocated while it is empty.
const IDLE_CAPACITY: usize = 4 * 1024;

/// How long the last octets may take to leave a connection that has ended.
const FAREWELL: Duration = Duration::from_secs(2);

thread_local! {
    /// Idle connections own no read buffer: each worker reads into this one.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_CHUNK].into_boxed_slice());
}

/// A byte stream: plain TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why no PDU ever began on a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NoGreeting {
    /// What came is no SMPP.
    NotSmpp(FrameFault),
    /// The peer went away.
    Gone,
}

/// One connection and its buffers.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: BytesMut,
    /// Octets were written that the stream may still hold: TLS keeps what the socket did not take.
    unflushed: bool,
    limit: usize,
    /// Nothing more comes, or can be sent.
    end: Option<Cause>,
    reading: bool,
}

impl Wire {
    /// `limit` bounds `command_length`, and with it the input kept.
    pub(crate) fn new(stream: Box<dyn Stream>, limit: usize) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            unflushed: false,
            limit,
            end: None,
            reading: true,
        }
    }

    /// The largest `command_length` accepted.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Waits until the first PDU's header is there; says why where none can come.
    pub(crate) async fn greeting(&mut self) -> Result<(), NoGreeting> {
        loop {
            if frame::begins(&self.input, self.limit).map_err(NoGreeting::NotSmpp)? {
                return Ok(());
            }
            if self.end.is_some() {
                return Err(NoGreeting::Gone);
            }
            poll_fn(|cx| if self.poll_receive(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }

    /// The next complete PDU that has arrived.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, FrameFault> {
        let frame = frame::split(&mut self.input, self.limit);
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        frame
    }

    /// Why the connection ended, told once.
    pub(crate) fn take_end(&mut self) -> Option<Cause> {
        self.end.take()
    }

    /// Why the connection broke, told once, even while its input is not wanted.
    pub(crate) fn take_loss(&mut self) -> Option<Cause> {
        self.end.take_if(|cause| *cause != Cause::Eof)
    }

    /// Nothing after a frame fault can be trusted.
    pub(crate) fn stop_reading(&mut self) {
        self.reading = false;
        self.input = BytesMut::new();
    }

    /// Adds a PDU to what is to be sent.
    pub(crate) fn queue(&mut self, frame: &Frame) {
        self.output.extend_from_slice(frame.as_bytes());
    }

    /// Whether the peer is slow enough that nothing more should be produced for it.
    pub(crate) fn is_congested(&self) -> bool {
        self.output.len() >= OUTPUT_HIGH_WATER
    }

    /// Sends what is queued; true when the driver should look again: room, or the end.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> bool {
        let was_congested = self.is_congested();
        match self.poll_write(cx) {
            Poll::Ready(Err(error)) => self.lost(&error),
            _ => was_congested && !self.is_congested(),
        }
    }

    /// Reads once; true when the driver should look again.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.reading {
            return false;
        }
        match self.poll_read(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(0)) => self.ended(),
            Poll::Ready(Ok(_)) => true,
            // TLS closed without its farewell; SMPP has one of its own, so nothing is missed.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => self.ended(),
            Poll::Ready(Err(error)) => self.lost(&error),
        }
    }

    fn ended(&mut self) -> bool {
        self.reading = false;
        self.end = Some(Cause::Eof);
        true
    }

    fn lost(&mut self, error: &io::Error) -> bool {
        tracing::debug!(%error, "connection lost");
        self.output = BytesMut::new();
        self.stop_reading();
        self.end = Some(match error.kind() {
            io::ErrorKind::ConnectionReset => Cause::Reset,
            _ => Cause::Io,
        });
        true
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            self.input.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
            self.unflushed = true;
        }
        if self.output.capacity() > IDLE_CAPACITY {
            self.output = BytesMut::new();
        }
        if self.unflushed {
            std::task::ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Which legs may be read.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) provider: bool,
    pub(crate) carrier: bool,
}

/// Sends what is queued on both legs, then reads both; ready once there is something to hand over.
pub(crate) fn poll_wires(
    provider: &mut Option<Wire>,
    carrier: &mut Option<Wire>,
    wanted: Wanted,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let mut ready = false;
    for wire in [&mut *provider, &mut *carrier].into_iter().flatten() {
        ready |= wire.poll_send(cx);
    }
    for (wire, wanted) in [(provider, wanted.provider), (carrier, wanted.carrier)] {
        if let Some(wire) = wire
            && wanted
        {
            ready |= wire.poll_receive(cx);
        }
    }
    if ready { Poll::Ready(()) } else { Poll::Pending }
}

/// Sends what is left, says goodbye, and waits a little for the peer to hang up: closing
/// with unread octets would reset the connection and destroy the last answers.
pub(crate) async fn farewell(mut wire: Wire) {
    let parting = async {
        poll_fn(|cx| wire.poll_write(cx)).await?;
        poll_fn(|cx| Pin::new(&mut wire.stream).poll_shutdown(cx)).await?;
        while poll_fn(|cx| wire.poll_read(cx)).await? > 0 {
            wire.input.clear();
        }
        io::Result::Ok(())
    };
    // Past the deadline, or on an error, there is nobody left to be polite to.
    let _ = tokio::time::timeout(FAREWELL, parting).await;
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::task::Waker;

    use portcullis_protocol::{CommandId, CommandStatus};

    use super::*;

    /// Takes everything and passes it on only when flushed, and not at the first asking: TLS
    /// over a socket that is full for a while.
    #[derive(Default)]
    struct Holding {
        held: Vec<u8>,
        asked: bool,
        sent: Arc<Mutex<Vec<u8>>>,
    }

    impl AsyncRead for Holding {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Holding {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
            self.held.extend_from_slice(octets);
            Poll::Ready(Ok(octets.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if !std::mem::replace(&mut self.asked, true) {
                return Poll::Pending;
            }
            let held = std::mem::take(&mut self.held);
            self.sent.lock().unwrap().extend(held);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_the_stream_still_holds_is_flushed_though_nothing_more_is_queued() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let mut wire = Wire::new(Box::new(Holding { sent: Arc::clone(&sent), ..Holding::default() }), 1024);
        let frame = Frame::new(CommandId::ENQUIRE_LINK, CommandStatus::ESME_ROK, 1, &[]);
        wire.queue(&frame);
        let mut cx = Context::from_waker(Waker::noop());
        wire.poll_send(&mut cx);
        assert_eq!(sent.lock().unwrap().len(), 0);
        wire.poll_send(&mut cx);
        assert_eq!(*sent.lock().unwrap(), frame.as_bytes());
    }
}
