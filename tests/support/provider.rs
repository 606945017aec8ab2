//! A provider that binds to the gate and says exactly what a test wants.
//!
//! Owns one connection and its sequence numbers; every wait is bounded. Refuses to know what
//! the answers should be. Driven by the tests.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::BytesMut;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::{COctetString, DataCoding, InterfaceVersion};
use portcullis_protocol::frame::DEFAULT_LIMIT;
use portcullis_protocol::pdu::{Bind, SubmitSm};
use portcullis_protocol::text::{gsm7, ucs2};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::gate::PATIENCE;

pub(crate) const OK: CommandStatus = CommandStatus::ESME_ROK;

/// A byte stream to the gate: plain TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection to the gate.
pub(crate) struct Provider {
    stream: Box<dyn Stream>,
    address: SocketAddr,
    input: BytesMut,
    sequence_number: u32,
    /// Requests that came while an answer was awaited, oldest first.
    requests: VecDeque<Frame>,
}

impl Provider {
    pub(crate) async fn connect(gate: SocketAddr) -> Self {
        let stream = TcpStream::connect(gate).await.expect("the gate listens");
        stream.set_nodelay(true).expect("a socket option");
        let address = stream.local_addr().expect("an address");
        Self::over(Box::new(stream), address)
    }

    /// The same over a connection made otherwise, from `address`.
    pub(crate) fn over(stream: Box<dyn Stream>, address: SocketAddr) -> Self {
        Self { stream, address, input: BytesMut::new(), sequence_number: 0, requests: VecDeque::new() }
    }

    /// A transceiver whose bind is accepted.
    pub(crate) async fn bound(gate: SocketAddr, system_id: &str, password: &str) -> Self {
        let mut provider = Self::connect(gate).await;
        assert_eq!(provider.bind(CommandId::BIND_TRANSCEIVER, system_id, password).await, OK, "bind");
        provider
    }

    /// The status of the answer to a bind.
    pub(crate) async fn bind(&mut self, operation: CommandId, system_id: &str, password: &str) -> CommandStatus {
        let request = bind(operation, system_id, password);
        self.ask(request).await.command_status()
    }

    /// The same for some numbers only.
    pub(crate) async fn bind_for(&mut self, operation: CommandId, system_id: &str, range: &str) -> CommandStatus {
        let bind = Bind {
            system_id: COctetString(system_id.as_bytes()),
            interface_version: InterfaceVersion::V3_4,
            address_range: COctetString(range.as_bytes()),
            ..Bind::default()
        };
        let request = Frame::new(operation, OK, 1, Pdu::BindTransceiver(bind).to_frame(OK, 1).body());
        self.ask(request).await.command_status()
    }

    /// Sends a request under the next sequence number, which it returns.
    pub(crate) async fn send(&mut self, request: Frame) -> u32 {
        self.try_send(request).await.expect("an open connection")
    }

    /// The same; `None` when the connection is gone.
    pub(crate) async fn try_send(&mut self, mut request: Frame) -> Option<u32> {
        self.sequence_number += 1;
        request.restamp(self.sequence_number);
        let written = timeout(PATIENCE, self.stream.write_all(request.as_bytes())).await.expect("the gate reads");
        written.ok().map(|()| self.sequence_number)
    }

    /// Writes octets as they are.
    pub(crate) async fn write(&mut self, octets: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(octets)).await.expect("the gate reads").expect("an open connection");
    }

    /// Writes octets as they are; false when the connection is gone.
    pub(crate) async fn try_write(&mut self, octets: &[u8]) -> bool {
        timeout(PATIENCE, self.stream.write_all(octets)).await.expect("the gate reads").is_ok()
    }

    /// Sends a request and waits for its answer; other requests meanwhile are kept.
    pub(crate) async fn ask(&mut self, request: Frame) -> Frame {
        let sequence_number = self.send(request).await;
        self.answer_to(sequence_number).await
    }

    /// Waits for the answer to a request.
    pub(crate) async fn answer_to(&mut self, sequence_number: u32) -> Frame {
        loop {
            let frame = self.read().await.expect("an answer before the end");
            if frame.command_id().is_response() && frame.sequence_number() == sequence_number {
                return frame;
            }
            assert!(!frame.command_id().is_response(), "an answer to something else: {frame:?}");
            self.requests.push_back(frame);
        }
    }

    /// Keeps a request that came while something else was awaited.
    pub(crate) async fn keep(&mut self, request: Frame) {
        self.requests.push_back(request);
    }

    /// The gate's next request, answered `ESME_ROK`.
    pub(crate) async fn request(&mut self) -> Frame {
        let request = match self.requests.pop_front() {
            Some(request) => request,
            None => self.read().await.expect("a request before the end"),
        };
        assert!(!request.command_id().is_response(), "not a request: {request:?}");
        let body: &[u8] = if request.command_id() == CommandId::DELIVER_SM { &[0] } else { &[] };
        let answer = Frame::new(request.command_id().response(), OK, request.sequence_number(), body);
        self.write(answer.as_bytes()).await;
        request
    }

    /// The next frame, whatever it is; `None` when the gate has closed.
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

    /// Whether another connection could be told apart: where this one comes from.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A bind's PDU.
pub(crate) fn bind(operation: CommandId, system_id: &str, password: &str) -> Frame {
    let bind = Bind {
        system_id: COctetString(system_id.as_bytes()),
        password: COctetString(password.as_bytes()),
        interface_version: InterfaceVersion::V3_4,
        ..Bind::default()
    };
    Frame::new(operation, OK, 1, Pdu::BindTransceiver(bind).to_frame(OK, 1).body())
}

/// A request without a body.
pub(crate) fn bare(operation: CommandId) -> Frame {
    Frame::new(operation, OK, 0, &[])
}

/// A source as `portcullis judge` reads it: digits, or a name.
pub(crate) fn source(text: &str) -> Address<'_> {
    let is_number = text.strip_prefix('+').unwrap_or(text).bytes().all(|octet| octet.is_ascii_digit());
    let (ton, npi) = if is_number { (Ton::UNKNOWN, Npi::ISDN) } else { (Ton::ALPHANUMERIC, Npi::UNKNOWN) };
    Address::new(ton, npi, text.as_bytes())
}

/// A subscriber's number.
pub(crate) fn subscriber(text: &str) -> Address<'_> {
    Address::new(Ton::INTERNATIONAL, Npi::ISDN, text.as_bytes())
}

/// A text as octets: GSM 7-bit where that holds it, else UCS-2.
pub(crate) fn encoded(text: &str) -> (DataCoding, Vec<u8>) {
    match gsm7::encode(text) {
        Some(octets) => (DataCoding::DEFAULT, octets),
        None => (DataCoding::UCS2, ucs2::encode(text)),
    }
}

/// A `submit_sm` with a text; one too long for `short_message` goes as `message_payload`.
pub(crate) fn submit(from: &str, to: &str, text: &str) -> Frame {
    let (data_coding, octets) = encoded(text);
    let submit = SubmitSm {
        source: source(from),
        destination: subscriber(to),
        data_coding,
        short_message: &octets,
        ..SubmitSm::default()
    };
    Pdu::SubmitSm(submit).to_frame(OK, 0)
}

/// The `message_id` in an answer.
pub(crate) fn message_id(answer: &Frame) -> Option<String> {
    let id = match Pdu::decode(answer).expect("an answer that can be read") {
        Pdu::SubmitSmResp(answer) => answer.message_id,
        Pdu::DataSmResp(answer) => answer.message_id,
        Pdu::SubmitMultiResp(answer) => answer.accepted.map(|accepted| accepted.message_id),
        other => panic!("not an answer to a message: {other:?}"),
    };
    id.map(|id| id.to_string())
}
