//! What the simulated carrier says to each PDU.
//!
//! Owns one session's bind state and the bytes to be written for it. Refuses to read
//! sockets and clocks. Driven by the session, one batch of frames at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use jiff::Timestamp;
use portcullis_protocol::command::CommandId;
use portcullis_protocol::error::{BodyFault, FrameFault};
use portcullis_protocol::field::InterfaceVersion;
use portcullis_protocol::frame::Frame;
use portcullis_protocol::header::{HEADER_LENGTH, Header};
use portcullis_protocol::operations::{BindState, Permission, Side, permitted};
use portcullis_protocol::pdu::Pdu;
use portcullis_protocol::status::CommandStatus;
use portcullis_protocol::tlv::MessageState;

use super::carrier::{Carrier, Entry, count};
use super::delivery::Message;
use super::faults::{Answers, Faults, Form};
use super::waiting::number;

/// What the session does after a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// Goes on.
    Open,
    /// Writes what waits, then closes.
    Ending,
    /// Closes at once.
    Cut,
}

/// One session's state.
pub(super) struct Conversation {
    pub(super) carrier: Arc<Carrier>,
    pub(super) system_id: Arc<str>,
    pub(super) faults: Faults,
    /// Bytes to write now.
    pub(super) out: BytesMut,
    /// Answers to messages (and their receipts), to write after the latency.
    pub(super) answers: BytesMut,
    /// Deliveries for another bind of the same account.
    pub(super) crossings: Vec<Frame>,
    number: u64,
    state: BindState,
    messages: u64,
    sequence_number: u32,
    awaits_link: bool,
    /// The minute as receipts print it.
    minute: String,
    now: Timestamp,
}

impl Conversation {
    pub(super) fn new(entry: &Entry) -> Self {
        Self {
            carrier: Arc::clone(&entry.carrier),
            system_id: Arc::from(""),
            faults: entry.carrier.faults(),
            out: BytesMut::new(),
            answers: BytesMut::new(),
            crossings: Vec::new(),
            number: entry.number,
            state: BindState::Open,
            messages: 0,
            sequence_number: 0,
            awaits_link: false,
            minute: String::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Takes over the faults in force and the time.
    pub(super) fn begin_batch(&mut self, now: Timestamp) {
        self.now = now;
        self.faults = self.carrier.faults();
        if self.carrier.options.receipts {
            self.minute = now.strftime("%y%m%d%H%M").to_string();
        }
    }

    /// Answers one frame.
    pub(super) fn handle(&mut self, frame: &Frame) -> Flow {
        self.carrier.keep(self.number, &self.system_id, frame);
        let command_id = frame.command_id();
        if command_id.is_response() {
            return self.handle_response(frame);
        }
        match permitted(command_id, Side::Esme, self.state) {
            Permission::Allowed => self.handle_request(frame),
            Permission::WrongState if is_bind(command_id) => self.respond(frame, CommandStatus::ESME_RALYBND, &[]),
            // A peer that hangs up twice, or before it bound, is let go all the same.
            Permission::WrongState if command_id == CommandId::UNBIND => self.handle_request(frame),
            Permission::WrongState => self.respond(frame, CommandStatus::ESME_RINVBNDSTS, &[]),
            Permission::Unknown => self.refuse_unknown(frame),
        }
    }

    /// Says why the stream cannot be read further.
    pub(super) fn handle_fault(&mut self, fault: FrameFault) -> Flow {
        tracing::debug!(session = self.number, %fault, "simulator: frame fault");
        count(&self.carrier.tally.faults);
        write(&mut self.out, CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDLEN, 0, &[]);
        Flow::Ending
    }

    /// Sends a receipt, a reply or whatever else was handed over for this peer.
    pub(super) fn deliver(&mut self, mut frame: Frame) {
        frame.restamp(self.next_sequence_number());
        if !frame.command_id().is_response() && frame.command_id() != CommandId::UNBIND {
            count(&self.carrier.tally.delivered);
        }
        self.out.extend_from_slice(frame.as_bytes());
    }

    /// Sends `enquire_link`; false when the last one is still unanswered.
    pub(super) fn enquire(&mut self) -> bool {
        if self.awaits_link {
            return false;
        }
        self.awaits_link = true;
        let sequence_number = self.next_sequence_number();
        write(&mut self.out, CommandId::ENQUIRE_LINK, CommandStatus::ESME_ROK, sequence_number, &[]);
        true
    }

    fn handle_response(&mut self, frame: &Frame) -> Flow {
        let tally = &self.carrier.tally;
        match frame.command_id() {
            CommandId::ENQUIRE_LINK_RESP => self.awaits_link = false,
            CommandId::UNBIND_RESP => return Flow::Ending,
            CommandId::DELIVER_SM_RESP | CommandId::DATA_SM_RESP => {
                let ok = frame.command_status() == CommandStatus::ESME_ROK;
                count(if ok { &tally.acknowledged } else { &tally.declined });
            }
            CommandId::GENERIC_NACK => {
                self.awaits_link = false;
                count(&tally.nacks);
            }
            _ => {}
        }
        Flow::Open
    }

    fn handle_request(&mut self, frame: &Frame) -> Flow {
        match frame.command_id() {
            CommandId::SUBMIT_SM | CommandId::DATA_SM | CommandId::SUBMIT_MULTI | CommandId::BROADCAST_SM => {
                self.handle_message(frame)
            }
            CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER => {
                self.handle_bind(frame)
            }
            CommandId::ENQUIRE_LINK => {
                count(&self.carrier.tally.enquire_links);
                if self.faults.ignore_enquire_link {
                    return Flow::Open;
                }
                self.respond(frame, CommandStatus::ESME_ROK, &[])
            }
            CommandId::UNBIND => {
                count(&self.carrier.tally.unbinds);
                if self.faults.ignore_unbind {
                    return Flow::Open;
                }
                self.respond(frame, CommandStatus::ESME_ROK, &[]);
                Flow::Ending
            }
            CommandId::QUERY_SM => self.handle_query(frame),
            CommandId::CANCEL_SM | CommandId::REPLACE_SM => self.handle_change(frame),
            CommandId::CANCEL_BROADCAST_SM => self.respond(frame, CommandStatus::ESME_RCANCELFAIL, &[]),
            CommandId::QUERY_BROADCAST_SM => self.respond(frame, CommandStatus::ESME_RQUERYFAIL, &[]),
            _ => self.refuse_unknown(frame),
        }
    }

    fn handle_bind(&mut self, frame: &Frame) -> Flow {
        let (bind, state) = match Pdu::decode(frame) {
            Ok(Pdu::BindTransmitter(bind)) => (bind, BindState::BoundTransmitter),
            Ok(Pdu::BindReceiver(bind)) => (bind, BindState::BoundReceiver),
            Ok(Pdu::BindTransceiver(bind)) => (bind, BindState::BoundTransceiver),
            Ok(_) => return self.refuse_unknown(frame),
            Err(fault) => return self.refuse(frame, fault),
        };
        if let Some(status) = self.bind_refusal(bind.system_id.0, bind.password.0) {
            count(&self.carrier.tally.refused_binds);
            return self.respond(frame, status, &[]);
        }
        count(&self.carrier.tally.binds);
        self.state = state;
        self.system_id = Arc::from(String::from_utf8_lossy(bind.system_id.0));
        // system_id of the carrier; sc_interface_version 3.4 where the peer knows TLVs.
        let body: &[u8] = b"simulator\0\x02\x10\x00\x01\x34";
        let shown = if bind.interface_version < InterfaceVersion::V3_4 { 10 } else { body.len() };
        self.respond(frame, CommandStatus::ESME_ROK, &body[..shown]);
        if matches!(state, BindState::BoundReceiver | BindState::BoundTransceiver) {
            let waiting: VecDeque<Frame> = self.carrier.can_receive(self.number, &self.system_id);
            for frame in waiting {
                self.deliver(frame);
            }
        }
        Flow::Open
    }

    fn bind_refusal(&self, system_id: &[u8], password: &[u8]) -> Option<CommandStatus> {
        if self.faults.refuse_binds.is_some() {
            return self.faults.refuse_binds;
        }
        let accounts = &self.carrier.options.accounts;
        if accounts.is_empty() {
            return None;
        }
        match accounts.iter().find(|account| account.system_id.as_bytes() == system_id) {
            None => Some(CommandStatus::ESME_RINVSYSID),
            Some(account) if account.password.as_bytes() != password => Some(CommandStatus::ESME_RINVPASWD),
            Some(_) => None,
        }
    }

    fn handle_message(&mut self, frame: &Frame) -> Flow {
        self.messages += 1;
        count(&self.carrier.tally.messages);
        if self.faults.close_on_submit.is_some_and(|n| n.get() == self.messages) {
            return Flow::Cut;
        }
        if self.faults.answers == Answers::Never {
            return Flow::Open;
        }
        let refusal = self.faults.refuse_every.filter(|(n, _)| self.messages.is_multiple_of(n.get()));
        let decoded = match (refusal, Pdu::decode(frame)) {
            (Some((_, status)), _) => Err(status),
            (None, Err(fault)) => {
                count(&self.carrier.tally.faults);
                Err(fault.status)
            }
            (None, Ok(pdu)) => Ok(pdu),
        };
        match decoded {
            Ok(pdu) => self.accept(frame, &pdu),
            Err(status) => {
                count(&self.carrier.tally.refused);
                write(&mut self.answers, frame.command_id().response(), status, frame.sequence_number(), &[]);
            }
        }
        Flow::Open
    }

    /// Answers a good message in the form asked for, then sends what it brings about.
    fn accept(&mut self, frame: &Frame, pdu: &Pdu<'_>) {
        let number = self.carrier.next_id();
        let id = MessageId::new(number, 10);
        let hexadecimal = MessageId::new(number, 16);
        let response = frame.command_id().response();
        let (command_id, status, body) = match self.faults.form {
            Form::Response | Form::Twice => (response, CommandStatus::ESME_ROK, id.response_body(response)),
            Form::HexadecimalId => (response, CommandStatus::ESME_ROK, hexadecimal.response_body(response)),
            Form::WithoutMessageId => (response, CommandStatus::ESME_ROK, &[][..]),
            Form::GenericNack => (CommandId::GENERIC_NACK, CommandStatus::ESME_RSYSERR, &[][..]),
        };
        write(&mut self.answers, command_id, status, frame.sequence_number(), body);
        match self.faults.form {
            Form::Twice => write(&mut self.answers, command_id, status, frame.sequence_number(), body),
            Form::GenericNack => return count(&self.carrier.tally.refused),
            Form::Response | Form::HexadecimalId | Form::WithoutMessageId => {}
        }
        if self.carrier.waiting.take(number, pdu, self.now) {
            return;
        }
        let Some(message) = Message::of(pdu) else { return };
        if self.carrier.options.receipts && message.asks_receipt() {
            self.deliver_after(message.receipt(id.digits(), &self.minute));
        }
        if let Some(text) = &self.carrier.options.reply_with {
            let reply = message.reply(text);
            self.deliver_after(reply);
        }
    }

    /// Sends a delivery after the answer: on this session if it can receive, else on another.
    fn deliver_after(&mut self, mut frame: Frame) {
        if self.state != BindState::BoundTransceiver {
            return self.crossings.push(frame);
        }
        frame.restamp(self.next_sequence_number());
        count(&self.carrier.tally.delivered);
        self.answers.extend_from_slice(frame.as_bytes());
    }

    /// A message that is not for later has arrived the moment it was accepted: too late to change it.
    fn handle_change(&mut self, frame: &Frame) -> Flow {
        let (changed, otherwise) = match Pdu::decode(frame) {
            Ok(Pdu::CancelSm(pdu)) => (self.carrier.waiting.cancel(&pdu, self.now), CommandStatus::ESME_RCANCELFAIL),
            Ok(Pdu::ReplaceSm(pdu)) => (self.carrier.waiting.replace(&pdu, self.now), CommandStatus::ESME_RREPLACEFAIL),
            Ok(_) => return self.refuse_unknown(frame),
            Err(fault) => return self.refuse(frame, fault),
        };
        self.respond(frame, if changed { CommandStatus::ESME_ROK } else { otherwise }, &[])
    }

    /// Every message this carrier took has arrived, unless it is for later.
    fn handle_query(&mut self, frame: &Frame) -> Flow {
        let message_id = match Pdu::decode(frame) {
            Ok(Pdu::QuerySm(query)) => query.message_id,
            Ok(_) => return self.refuse_unknown(frame),
            Err(fault) => return self.refuse(frame, fault),
        };
        let given = number(message_id).filter(|id| self.carrier.has_given(*id));
        let Some(given) = given else {
            return self.respond(frame, CommandStatus::ESME_RQUERYFAIL, &[]);
        };
        // message_id, final_date (none), message_state, error_code
        let state =
            if self.carrier.waiting.has(given, self.now) { MessageState::ENROUTE } else { MessageState::DELIVERED };
        let body = [message_id.0, &[0, 0, state.0, 0]].concat();
        self.respond(frame, CommandStatus::ESME_ROK, &body)
    }

    fn refuse(&mut self, frame: &Frame, fault: BodyFault) -> Flow {
        tracing::debug!(session = self.number, %fault, "simulator: body fault");
        count(&self.carrier.tally.faults);
        self.respond(frame, fault.status, &[])
    }

    fn refuse_unknown(&mut self, frame: &Frame) -> Flow {
        count(&self.carrier.tally.faults);
        let status = CommandStatus::ESME_RINVCMDID;
        write(&mut self.out, CommandId::GENERIC_NACK, status, frame.sequence_number(), &[]);
        Flow::Open
    }

    fn respond(&mut self, frame: &Frame, status: CommandStatus, body: &[u8]) -> Flow {
        write(&mut self.out, frame.command_id().response(), status, frame.sequence_number(), body);
        Flow::Open
    }

    fn next_sequence_number(&mut self) -> u32 {
        self.sequence_number = self.sequence_number % 0x7FFF_FFFF + 1;
        self.sequence_number
    }
}

fn is_bind(command_id: CommandId) -> bool {
    matches!(command_id, CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER)
}

fn write(out: &mut BytesMut, command_id: CommandId, command_status: CommandStatus, sequence_number: u32, body: &[u8]) {
    let command_length = u32::try_from(HEADER_LENGTH + body.len()).unwrap_or(u32::MAX);
    Header { command_length, command_id, command_status, sequence_number }.encode(out);
    out.extend_from_slice(body);
}

/// A message id in digits, with what follows it in a response.
struct MessageId {
    octets: [u8; Self::DIGITS + 2],
    start: usize,
}

impl MessageId {
    const DIGITS: usize = 20;

    fn new(mut id: u64, radix: u64) -> Self {
        let mut octets = [0; Self::DIGITS + 2];
        let mut start = Self::DIGITS;
        while start > 0 && (id > 0 || start == Self::DIGITS) {
            start -= 1;
            octets[start] = usize::try_from(id % radix).map_or(b'0', |digit| b"0123456789ABCDEF"[digit]);
            id /= radix;
        }
        Self { octets, start }
    }

    fn digits(&self) -> &[u8] {
        &self.octets[self.start..Self::DIGITS]
    }

    /// message_id and its NUL; in submit_multi_resp also no_unsuccess, 0.
    fn response_body(&self, response: CommandId) -> &[u8] {
        let end = if response == CommandId::SUBMIT_MULTI_RESP { Self::DIGITS + 2 } else { Self::DIGITS + 1 };
        &self.octets[self.start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_their_digits() {
        for id in [0, 7, 10, 1_795_000_000_000_123, u64::MAX] {
            assert_eq!(MessageId::new(id, 10).digits(), id.to_string().as_bytes());
        }
        assert_eq!(MessageId::new(0x4F2A, 16).digits(), b"4F2A");
        let id = MessageId::new(42, 10);
        assert_eq!(id.response_body(CommandId::SUBMIT_SM_RESP), b"42\0");
        assert_eq!(id.response_body(CommandId::SUBMIT_MULTI_RESP), b"42\0\0");
    }
}
