//! Every operation of SMPP 3.4 and 5.0 as a value over the frame's own bytes.
//!
//! Owns the dispatch on `command_id` and, under `pdu/`, one operation and its response a
//! file. Refuses to copy and to judge: what terminates is read, what cannot be read is a
//! [`BodyFault`] with the status to answer. Driven by the session core and the gate.
//!
//! # Accepted although the specification says otherwise
//!
//! | what a peer sends | what becomes of it |
//! |---|---|
//! | a NUL after `short_message`, outside `sm_length` | stays in [`Tlvs`], stepped over when TLVs follow it |
//! | stray octets at the end, also where no body is due | stay in [`Tlvs`]: [`Tlvs::rest`] |
//! | a TLV longer than the PDU, half a TLV header | ends the TLVs, kept: [`Tlvs::is_truncated`], [`Tlvs::truncated_tag`] |
//! | duplicate, unknown, vendor TLVs; reserved values | kept in order; [`Tlvs::get`] gives the first |
//! | an integer TLV of the wrong width | its value, where it fits the right width |
//! | a string TLV without its NUL | the string |
//! | `network_error_code` as three ASCII digits | [`NetworkErrorCode::Digits`](crate::tlv::NetworkErrorCode::Digits) |
//! | a 255-octet `short_message` (254 in 3.4) | as it is |
//! | an over-long or oddly spelt string that ends in its NUL | as it is; [`Bind::over_long`] names one in a bind |
//! | any `interface_version`, none in a response | as it is |
//! | a response without a body, also on success | `None` in the field that should stand there |
//! | TLVs alone in a response's body | read as TLVs, where they fill it to the last octet |
//! | a `deliver_sm_resp` with a `message_id` | as it is |
//! | an unknown `command_id` | [`Pdu::Unknown`] |
//!
//! A string without NUL, an `sm_length` or a count beyond the PDU's end, a mandatory field
//! that is missing: these cannot be believed and are faults.

use bytes::{BufMut, BytesMut};

use crate::command::CommandId;
use crate::error::BodyFault;
use crate::frame::{self, Frame};
use crate::status::CommandStatus;
use crate::tlv::{TlvTag, Tlvs};

mod alert;
mod bind;
mod broadcast;
mod cancel;
mod data;
mod deliver;
mod multi;
mod query;
mod replace;
mod response;
mod session;
mod submit;

pub use alert::AlertNotification;
pub use bind::{Bind, BindResp, Outbind};
pub use broadcast::{
    BroadcastSm, BroadcastSmResp, CancelBroadcastSm, CancelBroadcastSmResp, QueryBroadcastSm, QueryBroadcastSmResp,
};
pub use cancel::{CancelSm, CancelSmResp};
pub use data::{DataSm, DataSmResp};
pub use deliver::{DeliverSm, DeliverSmResp};
pub use multi::{Destination, Destinations, MultiResult, SubmitMulti, SubmitMultiResp, Unsuccessful, UnsuccessfulSmes};
pub use query::{QueryResult, QuerySm, QuerySmResp};
pub use replace::{ReplaceSm, ReplaceSmResp};
pub use session::{EnquireLink, EnquireLinkResp, GenericNack, Unbind, UnbindResp};
pub use submit::{SubmitSm, SubmitSmResp};

/// One list for the variants and the three ways through them.
macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident($body:ident) = $id:ident;)*) => {
        /// Any PDU's body, decoded; it borrows the frame it was read from.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Pdu<'a> {
            $(
                #[doc = concat!("[`CommandId::", stringify!($id), "`]")]
                $variant($body<'a>),
            )*
            /// A `command_id` neither specification knows, its body as it came.
            Unknown {
                /// The code.
                command_id: CommandId,
                /// Everything after the header.
                body: &'a [u8],
            },
        }

        impl<'a> Pdu<'a> {
            /// Reads the body that belongs to `command_id`.
            pub fn decode_body(command_id: CommandId, body: &'a [u8]) -> Result<Self, BodyFault> {
                Ok(match command_id {
                    $(CommandId::$id => Self::$variant($body::decode(body)?),)*
                    _ => Self::Unknown { command_id, body },
                })
            }

            /// Which operation this is.
            pub const fn command_id(&self) -> CommandId {
                match self {
                    $(Self::$variant(_) => CommandId::$id,)*
                    Self::Unknown { command_id, .. } => *command_id,
                }
            }

            /// Appends the body, without a header.
            pub fn encode(&self, out: &mut BytesMut) {
                match self {
                    $(Self::$variant(pdu) => pdu.encode(out),)*
                    Self::Unknown { body, .. } => out.extend_from_slice(body),
                }
            }
        }
    };
}

operations! {
    BindReceiver(Bind) = BIND_RECEIVER;
    BindReceiverResp(BindResp) = BIND_RECEIVER_RESP;
    BindTransmitter(Bind) = BIND_TRANSMITTER;
    BindTransmitterResp(BindResp) = BIND_TRANSMITTER_RESP;
    BindTransceiver(Bind) = BIND_TRANSCEIVER;
    BindTransceiverResp(BindResp) = BIND_TRANSCEIVER_RESP;
    Outbind(Outbind) = OUTBIND;
    Unbind(Unbind) = UNBIND;
    UnbindResp(UnbindResp) = UNBIND_RESP;
    EnquireLink(EnquireLink) = ENQUIRE_LINK;
    EnquireLinkResp(EnquireLinkResp) = ENQUIRE_LINK_RESP;
    GenericNack(GenericNack) = GENERIC_NACK;
    SubmitSm(SubmitSm) = SUBMIT_SM;
    SubmitSmResp(SubmitSmResp) = SUBMIT_SM_RESP;
    SubmitMulti(SubmitMulti) = SUBMIT_MULTI;
    SubmitMultiResp(SubmitMultiResp) = SUBMIT_MULTI_RESP;
    DeliverSm(DeliverSm) = DELIVER_SM;
    DeliverSmResp(DeliverSmResp) = DELIVER_SM_RESP;
    DataSm(DataSm) = DATA_SM;
    DataSmResp(DataSmResp) = DATA_SM_RESP;
    QuerySm(QuerySm) = QUERY_SM;
    QuerySmResp(QuerySmResp) = QUERY_SM_RESP;
    CancelSm(CancelSm) = CANCEL_SM;
    CancelSmResp(CancelSmResp) = CANCEL_SM_RESP;
    ReplaceSm(ReplaceSm) = REPLACE_SM;
    ReplaceSmResp(ReplaceSmResp) = REPLACE_SM_RESP;
    AlertNotification(AlertNotification) = ALERT_NOTIFICATION;
    BroadcastSm(BroadcastSm) = BROADCAST_SM;
    BroadcastSmResp(BroadcastSmResp) = BROADCAST_SM_RESP;
    QueryBroadcastSm(QueryBroadcastSm) = QUERY_BROADCAST_SM;
    QueryBroadcastSmResp(QueryBroadcastSmResp) = QUERY_BROADCAST_SM_RESP;
    CancelBroadcastSm(CancelBroadcastSm) = CANCEL_BROADCAST_SM;
    CancelBroadcastSmResp(CancelBroadcastSmResp) = CANCEL_BROADCAST_SM_RESP;
}

impl<'a> Pdu<'a> {
    /// Reads a frame's body; the frame stays what is forwarded.
    pub fn decode(frame: &'a Frame) -> Result<Self, BodyFault> {
        Self::decode_body(frame.command_id(), frame.body())
    }

    /// The PDU as it goes onto the wire.
    pub fn to_frame(&self, status: CommandStatus, sequence_number: u32) -> Frame {
        Frame::build(self.command_id(), status, sequence_number, |out| self.encode(out))
    }

    /// Appends the PDU as it goes onto the wire to what `out` already holds.
    pub fn encode_frame(&self, status: CommandStatus, sequence_number: u32, out: &mut BytesMut) {
        frame::append(self.command_id(), status, sequence_number, out, |out| self.encode(out));
    }
}

/// The octets to judge: `short_message`, or `message_payload` where that is empty
/// (SMPP 3.4 §5.3.2.32, SMPP 5.0 §4.8.4.36: one or the other).
///
/// Two payloads, or one that runs past the PDU's end, are faults as well: peers differ in
/// which octets they then take for the message.
fn message<'a>(short_message: &'a [u8], tlvs: Tlvs<'a>) -> Result<&'a [u8], BodyFault> {
    let fault = |fault, status| Err(BodyFault { field: "message_payload", fault, status });
    if tlvs.is_empty() {
        return Ok(short_message);
    }
    if tlvs.truncated_tag() == Some(TlvTag::MESSAGE_PAYLOAD) {
        return fault("expected at most the octets left in the PDU", CommandStatus::ESME_RINVPARLEN);
    }
    let mut payloads = tlvs.get_all(TlvTag::MESSAGE_PAYLOAD);
    match (payloads.next(), payloads.next()) {
        (None, _) => Ok(short_message),
        (Some(_), Some(_)) => fault("expected once", CommandStatus::ESME_RINVOPTPARSTREAM),
        (Some(payload), None) if short_message.is_empty() => Ok(payload),
        (Some(_), None) => fault("expected only beside an empty short_message", CommandStatus::ESME_ROPTPARNOTALLWD),
    }
}

/// Appends `sm_length` and `short_message`, then the TLVs.
///
/// More than the 255 octets a length can count go out as `message_payload`.
fn encode_message(short_message: &[u8], tlvs: Tlvs<'_>, out: &mut BytesMut) {
    match u8::try_from(short_message.len()) {
        Ok(length) => {
            out.reserve(1 + short_message.len() + tlvs.as_bytes().len());
            out.put_u8(length);
            out.put_slice(short_message);
            tlvs.encode(out);
        }
        Err(_) => {
            out.put_u8(0);
            crate::tlv::push(out, TlvTag::MESSAGE_PAYLOAD, short_message);
            tlvs.encode(out);
        }
    }
}

#[cfg(test)]
mod tests;
