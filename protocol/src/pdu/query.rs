//! `query_sm` and `query_sm_resp`: where a message stands.
//!
//! Owns the fields of the pair. Refuses to judge them. Driven by [`Pdu`](super::Pdu).

use bytes::{BufMut, BytesMut};

use super::response;
use crate::address::{Address, SOURCE, address};
use crate::error::BodyFault;
use crate::field::{COctetString, Parsed, c_octet_string, octet};
use crate::status::CommandStatus;
use crate::tlv::{MessageState, Tlvs};

/// `query_sm` (SMPP 3.4 §4.8.1, SMPP 5.0 §4.5.2.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `message_id` | ≤ 65 | C-octet string |
/// | `source_addr_ton`, `source_addr_npi` | 1 + 1 | |
/// | `source_addr` | ≤ 21 | C-octet string |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct QuerySm<'a> {
    /// The message.
    pub message_id: COctetString<'a>,
    /// Who sent it.
    pub source: Address<'a>,
    /// The specification has none here; what comes is kept.
    pub tlvs: Tlvs<'a>,
}

impl<'a> QuerySm<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, message_id) = c_octet_string("message_id", CommandStatus::ESME_RINVMSGID)(input)?;
        let (input, source) = address(SOURCE)(input)?;
        Ok((&[], Self { message_id, source, tlvs: Tlvs::from_bytes(input) }))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.message_id.encode(out);
        self.source.encode(out);
        self.tlvs.encode(out);
    }
}

/// `query_sm_resp` (SMPP 3.4 §4.8.2, SMPP 5.0 §4.5.2.2); `None` where no body stands.
///
/// | field | octets | |
/// |---|---|---|
/// | `message_id` | ≤ 65 | C-octet string |
/// | `final_date` | 1 or 17 | C-octet string |
/// | `message_state` | 1 | |
/// | `error_code` | 1 | |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct QuerySmResp<'a> {
    /// The four fields; `None` where no body stands.
    pub found: Option<QueryResult<'a>>,
    /// The specification has none here; what comes is kept.
    pub tlvs: Tlvs<'a>,
}

/// What `query_sm_resp` reports.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct QueryResult<'a> {
    /// The message.
    pub message_id: COctetString<'a>,
    /// When it reached a final state; empty before.
    pub final_date: COctetString<'a>,
    /// Where it stands.
    pub message_state: MessageState,
    /// The network's error, 0 for none.
    pub error_code: u8,
}

impl<'a> QuerySmResp<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        let (found, tlvs) = response::fields_and_tlvs(Self::parse, body)?;
        Ok(Self { found, tlvs })
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, QueryResult<'a>> {
        let (input, message_id) = c_octet_string("message_id", CommandStatus::ESME_RINVMSGID)(input)?;
        let (input, final_date) = c_octet_string("final_date", CommandStatus::ESME_RQUERYFAIL)(input)?;
        let (input, message_state) = octet("message_state")(input)?;
        let (input, error_code) = octet("error_code")(input)?;
        let message_state = MessageState(message_state);
        Ok((input, QueryResult { message_id, final_date, message_state, error_code }))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        if let Some(found) = &self.found {
            found.message_id.encode(out);
            found.final_date.encode(out);
            out.put_slice(&[found.message_state.0, found.error_code]);
        }
        self.tlvs.encode(out);
    }
}
