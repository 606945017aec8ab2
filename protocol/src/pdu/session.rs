//! `unbind`, `enquire_link`, their responses, and `generic_nack`: operations without a body.
//!
//! Owns the one thing they have in common: octets that should not be there are kept.
//! Refuses to fault on them. Driven by [`Pdu`](super::Pdu).

use bytes::BytesMut;

use crate::error::BodyFault;
use crate::tlv::Tlvs;

/// An operation whose body is empty by the specification.
macro_rules! bodiless {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct $name<'a> {
            /// The specification has no body here; what comes is kept.
            pub tlvs: Tlvs<'a>,
        }

        impl<'a> $name<'a> {
            /// Reads the body; nothing in it is a fault.
            pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
                Ok(Self { tlvs: Tlvs::from_bytes(body) })
            }

            /// Appends the body.
            pub fn encode(&self, out: &mut BytesMut) {
                self.tlvs.encode(out);
            }
        }
    };
}
pub(super) use bodiless;

bodiless! {
    /// `unbind` (SMPP 3.4 §4.2.1, SMPP 5.0 §4.1.1.8): no body.
    Unbind
}

bodiless! {
    /// `unbind_resp` (SMPP 3.4 §4.2.2, SMPP 5.0 §4.1.1.9): no body.
    UnbindResp
}

bodiless! {
    /// `enquire_link` (SMPP 3.4 §4.11.1, SMPP 5.0 §4.1.2.1): no body.
    EnquireLink
}

bodiless! {
    /// `enquire_link_resp` (SMPP 3.4 §4.11.2, SMPP 5.0 §4.1.2.2): no body.
    EnquireLinkResp
}

bodiless! {
    /// `generic_nack` (SMPP 3.4 §4.3.1, SMPP 5.0 §4.1.4.1): no body.
    GenericNack
}
