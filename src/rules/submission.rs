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

/// How a handset treats the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Presentation {
    /// It is kept, and shown as a whole.
    #[default]
    Kept,
    /// Shown at once and gone with the next key: class 0.
    Flash,
    /// Never shown: short message type 0, a message waiting indication to be discarded, data for the card.
    Silent,
    /// Its parts ask to replace one another, so what is shown is not the whole text.
    Replacing,
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
    /// The value of the parameter by which the provider declares a class, where it has one.
    pub class_tlv: Option<&'a [u8]>,
    /// The canned message the SMSC would send in place of the text; 0 for none.
    pub sm_default_msg_id: u8,
    /// The text, or why it cannot be read.
    pub content: Text<'a>,
    /// How a handset treats it.
    pub presentation: Presentation,
    /// Its place in a long message, where only a part of one is judged; from the user-data header or the SAR parameters.
    pub part: Option<Concatenation>,
    /// When it is to be delivered, as it says itself: a moment that is past means at once.
    pub deliver_at: Option<Timestamp>,
    /// Until when the carrier is to try, where the message says so.
    pub valid_until: Option<Timestamp>,
}

impl Submission<'_> {
    /// When the subscriber gets it at the earliest.
    pub fn delivery(&self, now: Timestamp) -> Timestamp {
        self.deliver_at.map_or(now, |at| at.max(now))
    }
}
