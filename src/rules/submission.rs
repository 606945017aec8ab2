//! One message to judge.

use jiff::Timestamp;

use portcullis_protocol::address::Address;
use portcullis_protocol::text::{Concatenation, Text};

/// The operation that carries the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `submit_sm`
    SubmitSm,
    /// `submit_multi`, one recipient of it
    SubmitMulti,
    /// `data_sm`
    DataSm,
    /// `replace_sm`
    ReplaceSm,
    /// `broadcast_sm`
    BroadcastSm,
}

/// One message to one recipient, as far as the rules look at it.
#[derive(Clone, Debug)]
pub struct Submission<'a> {
    /// How it came.
    pub operation: Operation,
    /// The sending number.
    pub source: Address<'a>,
    /// The recipient; empty where the operation has none.
    pub destination: Address<'a>,
    /// `service_type`, without its NUL.
    pub service_type: &'a [u8],
    /// The canned message the SMSC would send in place of the text; 0 for none.
    pub sm_default_msg_id: u8,
    /// The text, or why it cannot be read.
    pub content: Text<'a>,
    /// Its place in a long message, from the user-data header or the SAR parameters.
    pub part: Option<Concatenation>,
    /// When it is to be delivered, where that is not at once.
    pub deliver_at: Option<Timestamp>,
}
