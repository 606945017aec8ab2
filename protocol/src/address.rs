//! An SME address: type of number, numbering plan, digits or letters.
//!
//! Owns the three fields that always stand together. Refuses to normalise: '+', '00' and
//! alphanumeric senders stay as the peer wrote them. Driven by the parsers under `pdu`.

use bytes::{BufMut, BytesMut};

use crate::field::{COctetString, Parsed, c_octet_string, octet, octet_newtype};
use crate::status::CommandStatus;

octet_newtype! {
    /// Type of number (SMPP 3.4 §5.2.5, SMPP 5.0 §4.7.1).
    Ton
}

impl Ton {
    /// Not known.
    pub const UNKNOWN: Self = Self(0x00);
    /// International.
    pub const INTERNATIONAL: Self = Self(0x01);
    /// National.
    pub const NATIONAL: Self = Self(0x02);
    /// Network specific.
    pub const NETWORK_SPECIFIC: Self = Self(0x03);
    /// Subscriber number.
    pub const SUBSCRIBER_NUMBER: Self = Self(0x04);
    /// Letters instead of digits.
    pub const ALPHANUMERIC: Self = Self(0x05);
    /// Abbreviated.
    pub const ABBREVIATED: Self = Self(0x06);
}

octet_newtype! {
    /// Numbering plan indicator (SMPP 3.4 §5.2.6, SMPP 5.0 §4.7.2).
    Npi
}

impl Npi {
    /// Not known.
    pub const UNKNOWN: Self = Self(0x00);
    /// E.163 and E.164.
    pub const ISDN: Self = Self(0x01);
    /// X.121.
    pub const DATA: Self = Self(0x03);
    /// F.69.
    pub const TELEX: Self = Self(0x04);
    /// E.212.
    pub const LAND_MOBILE: Self = Self(0x06);
    /// National.
    pub const NATIONAL: Self = Self(0x08);
    /// Private.
    pub const PRIVATE: Self = Self(0x09);
    /// ERMES.
    pub const ERMES: Self = Self(0x0A);
    /// IP.
    pub const INTERNET: Self = Self(0x0E);
    /// WAP client id.
    pub const WAP_CLIENT_ID: Self = Self(0x12);
}

/// An address and what kind of address it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Address<'a> {
    /// `*_addr_ton`
    pub ton: Ton,
    /// `*_addr_npi`
    pub npi: Npi,
    /// `*_addr`
    pub addr: COctetString<'a>,
}

impl<'a> Address<'a> {
    /// An address from its three fields.
    pub fn new(ton: Ton, npi: Npi, addr: &'a [u8]) -> Self {
        Self { ton, npi, addr: COctetString(addr) }
    }

    /// Appends the three fields.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&[self.ton.0, self.npi.0]);
        self.addr.encode(out);
    }
}

/// The specification's names of an address's three fields, and the status of a bad one.
#[derive(Clone, Copy)]
pub(crate) struct AddressFields {
    pub(crate) ton: &'static str,
    pub(crate) npi: &'static str,
    pub(crate) addr: &'static str,
    pub(crate) status: CommandStatus,
}

/// `source_addr_ton`, `source_addr_npi`, `source_addr`
pub(crate) const SOURCE: AddressFields = AddressFields {
    ton: "source_addr_ton",
    npi: "source_addr_npi",
    addr: "source_addr",
    status: CommandStatus::ESME_RINVSRCADR,
};

/// `dest_addr_ton`, `dest_addr_npi`, `destination_addr`
pub(crate) const DESTINATION: AddressFields = AddressFields {
    ton: "dest_addr_ton",
    npi: "dest_addr_npi",
    addr: "destination_addr",
    status: CommandStatus::ESME_RINVDSTADR,
};

/// `esme_addr_ton`, `esme_addr_npi`, `esme_addr`
pub(crate) const ESME: AddressFields = AddressFields {
    ton: "esme_addr_ton",
    npi: "esme_addr_npi",
    addr: "esme_addr",
    status: CommandStatus::ESME_RINVDSTADR,
};

/// An address under the names of `fields`.
pub(crate) fn address<'a>(fields: AddressFields) -> impl Fn(&'a [u8]) -> Parsed<'a, Address<'a>> {
    move |input| {
        let (input, ton) = octet(fields.ton)(input)?;
        let (input, npi) = octet(fields.npi)(input)?;
        let (input, addr) = c_octet_string(fields.addr, fields.status)(input)?;
        Ok((input, Address { ton: Ton(ton), npi: Npi(npi), addr }))
    }
}
