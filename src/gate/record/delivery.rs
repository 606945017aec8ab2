//! What the carrier delivers: receipts, and subscribers' replies.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Content, Origin, WireAddress};

/// A receipt or a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery<'a> {
    /// UTC milliseconds.
    pub received_ms: i64,
    /// `source_addr`: the subscriber.
    #[serde(borrow)]
    pub source: WireAddress<'a>,
    /// `destination_addr`: the port.
    pub destination: WireAddress<'a>,
    /// The canonical subscriber number.
    pub msisdn: Option<u64>,
    /// What a receipt says; `None` for a reply.
    pub receipt: Option<Receipt<'a>>,
    /// The session it goes to.
    pub origin: Origin<'a>,
    /// `esm_class`, `data_coding`.
    pub flags: (u8, u8),
    /// The text.
    pub content: Content<'a>,
}

/// What a delivery receipt says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt<'a> {
    /// The message it speaks of.
    #[serde(borrow)]
    pub message_id: Option<Cow<'a, str>>,
    /// `DELIVRD`, `UNDELIV` and so on, as given.
    pub state: Option<Cow<'a, str>>,
    /// The error code, as given.
    pub error: Option<Cow<'a, str>>,
}
