//! `command_id` values (SMPP 3.4 §5.1.2.1, SMPP 5.0 §4.7.5).
//!
//! Owns the codes and their names. Refuses to reject one: an unknown code is a value like
//! any other, and whoever dispatches on it decides. Driven by header, dispatch and table.

/// An operation's code; any value survives, the named ones are the specification's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CommandId(pub u32);

/// The bit that marks a response.
const RESPONSE: u32 = 0x8000_0000;

/// One list for the constants and their names.
macro_rules! command_ids {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        impl CommandId {
            $(
                #[doc = concat!("`", $text, "`")]
                pub const $name: Self = Self($code);
            )*

            /// Every code the specifications name.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The specification's name, where it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

command_ids! {
    GENERIC_NACK = 0x8000_0000, "generic_nack";
    BIND_RECEIVER = 0x0000_0001, "bind_receiver";
    BIND_RECEIVER_RESP = 0x8000_0001, "bind_receiver_resp";
    BIND_TRANSMITTER = 0x0000_0002, "bind_transmitter";
    BIND_TRANSMITTER_RESP = 0x8000_0002, "bind_transmitter_resp";
    QUERY_SM = 0x0000_0003, "query_sm";
    QUERY_SM_RESP = 0x8000_0003, "query_sm_resp";
    SUBMIT_SM = 0x0000_0004, "submit_sm";
    SUBMIT_SM_RESP = 0x8000_0004, "submit_sm_resp";
    DELIVER_SM = 0x0000_0005, "deliver_sm";
    DELIVER_SM_RESP = 0x8000_0005, "deliver_sm_resp";
    UNBIND = 0x0000_0006, "unbind";
    UNBIND_RESP = 0x8000_0006, "unbind_resp";
    REPLACE_SM = 0x0000_0007, "replace_sm";
    REPLACE_SM_RESP = 0x8000_0007, "replace_sm_resp";
    CANCEL_SM = 0x0000_0008, "cancel_sm";
    CANCEL_SM_RESP = 0x8000_0008, "cancel_sm_resp";
    BIND_TRANSCEIVER = 0x0000_0009, "bind_transceiver";
    BIND_TRANSCEIVER_RESP = 0x8000_0009, "bind_transceiver_resp";
    OUTBIND = 0x0000_000B, "outbind";
    ENQUIRE_LINK = 0x0000_0015, "enquire_link";
    ENQUIRE_LINK_RESP = 0x8000_0015, "enquire_link_resp";
    SUBMIT_MULTI = 0x0000_0021, "submit_multi";
    SUBMIT_MULTI_RESP = 0x8000_0021, "submit_multi_resp";
    ALERT_NOTIFICATION = 0x0000_0102, "alert_notification";
    DATA_SM = 0x0000_0103, "data_sm";
    DATA_SM_RESP = 0x8000_0103, "data_sm_resp";
    BROADCAST_SM = 0x0000_0111, "broadcast_sm";
    BROADCAST_SM_RESP = 0x8000_0111, "broadcast_sm_resp";
    QUERY_BROADCAST_SM = 0x0000_0112, "query_broadcast_sm";
    QUERY_BROADCAST_SM_RESP = 0x8000_0112, "query_broadcast_sm_resp";
    CANCEL_BROADCAST_SM = 0x0000_0113, "cancel_broadcast_sm";
    CANCEL_BROADCAST_SM_RESP = 0x8000_0113, "cancel_broadcast_sm_resp";
}

impl CommandId {
    /// Whether this code answers a request.
    pub const fn is_response(self) -> bool {
        self.0 & RESPONSE != 0
    }

    /// The code that answers this request.
    pub const fn response(self) -> Self {
        Self(self.0 | RESPONSE)
    }

    /// The code this one answers; a request's own code stays as it is.
    pub const fn request(self) -> Self {
        Self(self.0 & !RESPONSE)
    }

    /// Whether the peer has to answer this code; `outbind` and `alert_notification` have no response.
    pub const fn wants_response(self) -> bool {
        !self.is_response() && !matches!(self, Self::OUTBIND | Self::ALERT_NOTIFICATION)
    }
}

impl std::fmt::Display for CommandId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

impl std::fmt::Debug for CommandId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_but_two_has_its_response() {
        for &id in CommandId::ALL.iter().filter(|id| !id.is_response()) {
            assert_eq!(CommandId::ALL.contains(&id.response()), id.wants_response(), "{id}");
            assert_eq!(id.response().request(), id);
        }
        assert_eq!(CommandId::SUBMIT_SM.response(), CommandId::SUBMIT_SM_RESP);
        assert_eq!(CommandId(0x0100_0001).to_string(), "0x01000001");
    }
}
