//! `alert_notification`: a subscriber can be reached again. It has no response.
//!
//! Owns the operation's fields. Refuses to judge them. Driven by [`Pdu`](super::Pdu).

use bytes::BytesMut;

use crate::address::{Address, ESME, SOURCE, address};
use crate::error::BodyFault;
use crate::field::Parsed;
use crate::tlv::Tlvs;

/// `alert_notification` (SMPP 3.4 §4.12.1, SMPP 5.0 §4.1.3.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `source_addr_ton`, `source_addr_npi` | 1 + 1 | |
/// | `source_addr` | ≤ 65 | C-octet string |
/// | `esme_addr_ton`, `esme_addr_npi` | 1 + 1 | |
/// | `esme_addr` | ≤ 65 | C-octet string |
/// | TLVs | | `ms_availability_status`; some peers send its bare octet |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AlertNotification<'a> {
    /// Who can be reached.
    pub source: Address<'a>,
    /// Who wanted to know.
    pub esme: Address<'a>,
    /// What follows.
    pub tlvs: Tlvs<'a>,
}

impl<'a> AlertNotification<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, source) = address(SOURCE)(input)?;
        let (input, esme) = address(ESME)(input)?;
        Ok((&[], Self { source, esme, tlvs: Tlvs::from_bytes(input) }))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.source.encode(out);
        self.esme.encode(out);
        self.tlvs.encode(out);
    }
}
