//! `command_id` values (SMPP 3.4 §5.1.2, SMPP 5.0 §4.7.5).

/// An operation's code; any value survives, the named ones are the specification's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u32);

/// The bit that marks a response.
const RESPONSE: u32 = 0x8000_0000;

impl CommandId {
    /// `bind_receiver`
    pub const BIND_RECEIVER: Self = Self(0x0000_0001);
    /// `bind_transmitter`
    pub const BIND_TRANSMITTER: Self = Self(0x0000_0002);
    /// `submit_sm`
    pub const SUBMIT_SM: Self = Self(0x0000_0004);
    /// `deliver_sm`
    pub const DELIVER_SM: Self = Self(0x0000_0005);
    /// `unbind`
    pub const UNBIND: Self = Self(0x0000_0006);
    /// `bind_transceiver`
    pub const BIND_TRANSCEIVER: Self = Self(0x0000_0009);
    /// `enquire_link`
    pub const ENQUIRE_LINK: Self = Self(0x0000_0015);
    /// `generic_nack`
    pub const GENERIC_NACK: Self = Self(0x8000_0000);

    /// Whether this code answers a request.
    pub const fn is_response(self) -> bool {
        self.0 & RESPONSE != 0
    }

    /// The code that answers this request.
    pub const fn response(self) -> Self {
        Self(self.0 | RESPONSE)
    }
}

impl std::fmt::Debug for CommandId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
