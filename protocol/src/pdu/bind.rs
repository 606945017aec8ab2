//! `bind_transmitter`, `bind_receiver`, `bind_transceiver`, their responses, and `outbind`.
//!
//! Owns the fields that open a session. Refuses to enforce their lengths: an over-long
//! `system_id` or `password` is read and named, and the gate decides. A password is never
//! printed. Driven by [`Pdu`](super::Pdu).

use bytes::{BufMut, BytesMut};

use super::response;
use crate::address::{Npi, Ton};
use crate::error::BodyFault;
use crate::field::{COctetString, InterfaceVersion, Parsed, c_octet_string, octet};
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

/// The body of all three binds (SMPP 3.4 §4.1.1, §4.1.3, §4.1.5; SMPP 5.0 §4.1.1.1, §4.1.1.3, §4.1.1.5).
///
/// | field | octets | |
/// |---|---|---|
/// | `system_id` | ≤ 16 | C-octet string |
/// | `password` | ≤ 9 | C-octet string |
/// | `system_type` | ≤ 13 | C-octet string |
/// | `interface_version` | 1 | |
/// | `addr_ton` | 1 | |
/// | `addr_npi` | 1 | |
/// | `address_range` | ≤ 41 | C-octet string |
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Bind<'a> {
    /// Who binds.
    pub system_id: COctetString<'a>,
    /// The secret; never printed.
    pub password: COctetString<'a>,
    /// What kind of system binds; some peers use it as a second credential.
    pub system_type: COctetString<'a>,
    /// The version the peer speaks.
    pub interface_version: InterfaceVersion,
    /// Type of number of the addresses served.
    pub addr_ton: Ton,
    /// Numbering plan of the addresses served.
    pub addr_npi: Npi,
    /// The addresses served, as a pattern.
    pub address_range: COctetString<'a>,
    /// The specification has none here; what comes is kept.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Bind<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, system_id) = c_octet_string("system_id", CommandStatus::ESME_RINVSYSID)(input)?;
        let (input, password) = c_octet_string("password", CommandStatus::ESME_RINVPASWD)(input)?;
        let (input, system_type) = c_octet_string("system_type", CommandStatus::ESME_RINVSYSTYP)(input)?;
        let (input, interface_version) = octet("interface_version")(input)?;
        let (input, addr_ton) = octet("addr_ton")(input)?;
        let (input, addr_npi) = octet("addr_npi")(input)?;
        let (input, address_range) = c_octet_string("address_range", CommandStatus::ESME_RBINDFAIL)(input)?;
        let bind = Self {
            system_id,
            password,
            system_type,
            interface_version: InterfaceVersion(interface_version),
            addr_ton: Ton(addr_ton),
            addr_npi: Npi(addr_npi),
            address_range,
            tlvs: Tlvs::from_bytes(input),
        };
        Ok((&[], bind))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.system_id.encode(out);
        self.password.encode(out);
        self.system_type.encode(out);
        out.put_u8(self.interface_version.0);
        out.put_u8(self.addr_ton.0);
        out.put_u8(self.addr_npi.0);
        self.address_range.encode(out);
        self.tlvs.encode(out);
    }

    /// The first field longer than the specification allows.
    pub fn over_long(&self) -> Option<&'static str> {
        let limits = [
            ("system_id", self.system_id, 16),
            ("password", self.password, 9),
            ("system_type", self.system_type, 13),
            ("address_range", self.address_range, 41),
        ];
        limits.into_iter().find(|(_, value, limit)| value.0.len() + 1 > *limit).map(|(field, ..)| field)
    }
}

impl std::fmt::Debug for Bind<'_> {
    /// Everything but the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bind")
            .field("system_id", &self.system_id)
            .field("system_type", &self.system_type)
            .field("interface_version", &self.interface_version)
            .field("addr_ton", &self.addr_ton)
            .field("addr_npi", &self.addr_npi)
            .field("address_range", &self.address_range)
            .field("tlvs", &self.tlvs)
            .finish_non_exhaustive()
    }
}

/// The body of all three bind responses (SMPP 3.4 §4.1.2, §4.1.4, §4.1.6; SMPP 5.0 §4.1.1.2, §4.1.1.4, §4.1.1.6).
///
/// | field | octets | |
/// |---|---|---|
/// | `system_id` | ≤ 16 | C-octet string; absent on errors |
/// | `sc_interface_version` | TLV | |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BindResp<'a> {
    /// Who answers; `None` where no body stands.
    pub system_id: Option<COctetString<'a>>,
    /// `sc_interface_version`, where the peer sends it.
    pub tlvs: Tlvs<'a>,
}

impl<'a> BindResp<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        let (system_id, tlvs) = response::string_and_tlvs("system_id", CommandStatus::ESME_RINVSYSID, body)?;
        Ok(Self { system_id, tlvs })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        response::encode(self.system_id, self.tlvs, out);
    }
}

/// `outbind` (SMPP 3.4 §4.1.7, SMPP 5.0 §4.1.1.7).
///
/// | field | octets | |
/// |---|---|---|
/// | `system_id` | ≤ 16 | C-octet string |
/// | `password` | ≤ 9 | C-octet string |
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Outbind<'a> {
    /// Who asks to be bound to.
    pub system_id: COctetString<'a>,
    /// The secret; never printed.
    pub password: COctetString<'a>,
    /// The specification has none here; what comes is kept.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Outbind<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, system_id) = c_octet_string("system_id", CommandStatus::ESME_RINVSYSID)(input)?;
        let (input, password) = c_octet_string("password", CommandStatus::ESME_RINVPASWD)(input)?;
        Ok((&[], Self { system_id, password, tlvs: Tlvs::from_bytes(input) }))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.system_id.encode(out);
        self.password.encode(out);
        self.tlvs.encode(out);
    }
}

impl std::fmt::Debug for Outbind<'_> {
    /// Everything but the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbind").field("system_id", &self.system_id).field("tlvs", &self.tlvs).finish_non_exhaustive()
    }
}
