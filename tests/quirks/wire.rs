//! One connection on which a test says exactly the octets it wants, on either side of the gate.
//!
//! Owns the socket; every wait is bounded. Refuses to answer anything by itself.

use bytes::BytesMut;
use portcullis_protocol::frame::{self, DEFAULT_LIMIT};
use portcullis_protocol::{CommandId, CommandStatus, Frame};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::gate::PATIENCE;
use crate::provider;

/// The first number `stamp` gives, beyond those the fixtures use.
const FIRST: u32 = 0x1000_0000;

/// One end of a connection with the gate.
pub(crate) struct Wire {
    stream: TcpStream,
    input: BytesMut,
    sequence_number: u32,
}

impl Wire {
    pub(crate) async fn connect(gate: SocketAddr) -> Self {
        Self::on(TcpStream::connect(gate).await.expect("the gate listens"))
    }

    /// The gate's next connection to a carrier that listens.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let accepted = timeout(PATIENCE, listener.accept()).await.expect("the gate dials");
        Self::on(accepted.expect("a connection").0)
    }

    /// A transceiver whose bind is accepted.
    pub(crate) async fn bound(gate: SocketAddr) -> Self {
        let mut wire = Self::connect(gate).await;
        assert_eq!(wire.bind().await, CommandStatus::ESME_ROK, "bind");
        wire
    }

    fn on(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket option");
        Self { stream, input: BytesMut::new(), sequence_number: FIRST - 1 }
    }

    /// Binds; the status of the answer.
    pub(crate) async fn bind(&mut self) -> CommandStatus {
        self.ask(bind()).await.command_status()
    }

    /// Writes octets as they are.
    pub(crate) async fn write(&mut self, octets: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(octets)).await.expect("the gate reads").expect("an open connection");
    }

    /// The same, one segment an octet.
    pub(crate) async fn dribble(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write(&[*octet]).await;
            tokio::task::yield_now().await;
        }
    }

    /// Stamps a request with a number of its own; it goes out with the next `write`.
    pub(crate) fn stamp(&mut self, mut request: Frame) -> Frame {
        self.sequence_number += 1;
        request.restamp(self.sequence_number);
        request
    }

    /// Whether a number is one that `stamp` gave.
    pub(crate) fn has_stamped(&self, sequence_number: u32) -> bool {
        (FIRST..=self.sequence_number).contains(&sequence_number)
    }

    /// Sends a request and waits for its answer, which must be the next response.
    pub(crate) async fn ask(&mut self, request: Frame) -> Frame {
        let request = self.stamp(request);
        self.write(request.as_bytes()).await;
        let answer = self.response().await;
        assert_eq!(answer.sequence_number(), request.sequence_number(), "an answer to something else: {answer:?}");
        assert_eq!(answer.command_id(), request.command_id().response(), "{answer:?}");
        answer
    }

    /// The next response; requests before it are dropped.
    pub(crate) async fn response(&mut self) -> Frame {
        loop {
            let frame = self.frame().await;
            if frame.command_id().is_response() {
                return frame;
            }
        }
    }

    /// The next frame of that operation; others before it are dropped.
    pub(crate) async fn next_of(&mut self, command: CommandId) -> Frame {
        loop {
            let frame = self.frame().await;
            if frame.command_id() == command {
                return frame;
            }
        }
    }

    /// Answers a request, as it were from the operation's own response.
    pub(crate) async fn answer(&mut self, request: &Frame, body: &[u8]) {
        let command = request.command_id().response();
        let answer = Frame::new(command, CommandStatus::ESME_ROK, request.sequence_number(), body);
        self.write(answer.as_bytes()).await;
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        self.read().await.expect("a frame before the end")
    }

    /// The next frame; `None` when the gate has closed.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        let read = async {
            loop {
                if let Some(frame) = frame::split(&mut self.input, DEFAULT_LIMIT).expect("a sound frame") {
                    return Some(frame);
                }
                if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        };
        timeout(PATIENCE, read).await.expect("a frame or the end")
    }

    /// Reads until the gate has closed; what it still said.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut rest = Vec::new();
        while let Some(frame) = self.read().await {
            rest.push(frame);
        }
        rest
    }
}

/// The bind that these tests' register accepts.
pub(crate) fn bind() -> Frame {
    provider::bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret")
}
