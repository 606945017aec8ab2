//! A provider with one transceiver bind that sends a message at a time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::{COctetString, DataCoding, InterfaceVersion, RegisteredDelivery};
use portcullis_protocol::pdu::{Bind, DeliverSmResp, EnquireLinkResp, SubmitSm, Unbind};
use portcullis_protocol::text::{gsm7, ucs2};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// UCS-2, as `data_coding` has it.
const UCS2: u8 = 0x08;

pub(super) struct Provider {
    stream: TcpStream,
    input: BytesMut,
    sequence: u32,
    accepted: usize,
    receipts: usize,
}

impl Provider {
    pub(super) async fn bind(gate: SocketAddr, system_id: &str, password: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(gate).await?;
        let mut provider = Self { stream, input: BytesMut::new(), sequence: 0, accepted: 0, receipts: 0 };
        let bind = Bind {
            system_id: COctetString(system_id.as_bytes()),
            password: COctetString(password.as_bytes()),
            interface_version: InterfaceVersion(0x34),
            ..Bind::default()
        };
        let answer = provider.ask(&Pdu::BindTransceiver(bind)).await?;
        match answer.command_status() {
            CommandStatus::ESME_ROK => Ok(provider),
            status => Err(io::Error::other(format!("the bind was refused: {status}"))),
        }
    }

    /// Sends one message; returns the answer's status and message_id.
    pub(super) async fn submit(&mut self, from: &str, to: &str, text: &str) -> io::Result<(CommandStatus, String)> {
        let (data_coding, octets) = match gsm7::encode(text) {
            Some(octets) => (0, octets),
            None => (UCS2, ucs2::encode(text)),
        };
        let submit = SubmitSm {
            source: Address::new(Ton::UNKNOWN, Npi::ISDN, from.as_bytes()),
            destination: Address::new(Ton::INTERNATIONAL, Npi::ISDN, to.as_bytes()),
            registered_delivery: RegisteredDelivery(1),
            data_coding: DataCoding(data_coding),
            short_message: &octets,
            ..SubmitSm::default()
        };
        let answer = self.ask(&Pdu::SubmitSm(submit)).await?;
        let status = answer.command_status();
        self.accepted += usize::from(status == CommandStatus::ESME_ROK);
        let message_id = match Pdu::decode(&answer) {
            Ok(Pdu::SubmitSmResp(answer)) => answer.message_id.map(|id| id.to_string()).unwrap_or_default(),
            _ => String::new(),
        };
        Ok((status, message_id))
    }

    /// Waits until every accepted message has its receipt, or the patience ends.
    pub(super) async fn receipts(&mut self, patience: Duration) -> io::Result<usize> {
        let all = async {
            while self.receipts < self.accepted {
                let frame = self.next().await?;
                self.answer(&frame).await?;
            }
            io::Result::Ok(())
        };
        // What has not come by then is missing from the count.
        if let Ok(outcome) = timeout(patience, all).await {
            outcome?;
        }
        Ok(self.receipts)
    }

    pub(super) async fn unbind(mut self) -> io::Result<()> {
        self.ask(&Pdu::Unbind(Unbind::default())).await.map(|_| ())
    }

    async fn ask(&mut self, pdu: &Pdu<'_>) -> io::Result<Frame> {
        self.sequence += 1;
        let request = pdu.to_frame(CommandStatus::ESME_ROK, self.sequence);
        self.stream.write_all(request.as_bytes()).await?;
        loop {
            let frame = timeout(ANSWER, self.next()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            if frame.command_id().is_response() && frame.sequence_number() == self.sequence {
                return Ok(frame);
            }
            self.answer(&frame).await?;
        }
    }

    /// Receipts are counted and answered, as is `enquire_link`.
    async fn answer(&mut self, frame: &Frame) -> io::Result<()> {
        let (status, sequence) = (CommandStatus::ESME_ROK, frame.sequence_number());
        let answer = match frame.command_id() {
            CommandId::DELIVER_SM => {
                self.receipts += 1;
                Pdu::DeliverSmResp(DeliverSmResp::default()).to_frame(status, sequence)
            }
            CommandId::ENQUIRE_LINK => Pdu::EnquireLinkResp(EnquireLinkResp::default()).to_frame(status, sequence),
            _ => return Ok(()),
        };
        self.stream.write_all(answer.as_bytes()).await
    }

    async fn next(&mut self) -> io::Result<Frame> {
        loop {
            match frame::split(&mut self.input, frame::DEFAULT_LIMIT) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(fault) => return Err(io::Error::other(fault)),
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
