//! From a PDU to what the rules judge and the journal keeps.
//!
//! Owns which field of which operation means what to a judge. Refuses to decide anything.
//! Driven by the desk, once for every message PDU.

use portcullis_protocol::address::Address;
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass, RegisteredDelivery};
use portcullis_protocol::pdu::{DeliverSm, Destinations};
use portcullis_protocol::text::{self, Concatenation, Text, TextSettings};
use portcullis_protocol::tlv::Tlvs;
use portcullis_protocol::{BodyFault, CommandStatus, Frame, Pdu};

use crate::rules::Operation;

/// One message PDU, whatever the operation that carries it.
pub(super) struct Reading<'a> {
    pub(super) operation: Operation,
    pub(super) service_type: COctetString<'a>,
    pub(super) source: Address<'a>,
    pub(super) recipients: Recipients<'a>,
    pub(super) esm_class: EsmClass,
    pub(super) data_coding: DataCoding,
    pub(super) registered_delivery: RegisteredDelivery,
    pub(super) sm_default_msg_id: u8,
    pub(super) octets: &'a [u8],
    pub(super) text: Text<'a>,
    pub(super) part: Option<Concatenation>,
}

/// Whom a message is for.
#[derive(Clone, Copy)]
pub(super) enum Recipients<'a> {
    /// The usual case; empty where the operation names nobody.
    One(Address<'a>),
    /// `submit_multi`
    Many(Destinations<'a>),
}

impl<'a> Reading<'a> {
    /// Reads a request that carries a message.
    pub(super) fn of(frame: &'a Frame, settings: &TextSettings) -> Result<Self, BodyFault> {
        let reading = match Pdu::decode(frame)? {
            Pdu::SubmitSm(pdu) => Self {
                operation: Operation::SubmitSm,
                service_type: pdu.service_type,
                source: pdu.source,
                recipients: Recipients::One(pdu.destination),
                registered_delivery: pdu.registered_delivery,
                sm_default_msg_id: pdu.sm_default_msg_id,
                ..Self::message(pdu.esm_class, pdu.data_coding, pdu.message()?, pdu.tlvs, settings)
            },
            Pdu::SubmitMulti(pdu) => Self {
                operation: Operation::SubmitMulti,
                service_type: pdu.service_type,
                source: pdu.source,
                recipients: Recipients::Many(pdu.destinations),
                registered_delivery: pdu.registered_delivery,
                sm_default_msg_id: pdu.sm_default_msg_id,
                ..Self::message(pdu.esm_class, pdu.data_coding, pdu.message()?, pdu.tlvs, settings)
            },
            Pdu::DataSm(pdu) => Self {
                operation: Operation::DataSm,
                service_type: pdu.service_type,
                source: pdu.source,
                recipients: Recipients::One(pdu.destination),
                registered_delivery: pdu.registered_delivery,
                ..Self::message(pdu.esm_class, pdu.data_coding, pdu.message()?, pdu.tlvs, settings)
            },
            Pdu::ReplaceSm(_) => return Err(REPLACEMENT),
            Pdu::BroadcastSm(pdu) => Self {
                operation: Operation::BroadcastSm,
                service_type: pdu.service_type,
                source: pdu.source,
                sm_default_msg_id: pdu.sm_default_msg_id,
                ..Self::message(
                    EsmClass::default(),
                    pdu.data_coding,
                    pdu.tlvs.message_payload().unwrap_or_default(),
                    pdu.tlvs,
                    settings,
                )
            },
            Pdu::DeliverSm(pdu) => Self::delivery(&pdu, settings)?,
            _ => return Err(NO_MESSAGE),
        };
        Ok(reading)
    }

    /// What a carrier delivers has been accepted by it: both bodies present is no fault here.
    fn delivery(pdu: &DeliverSm<'a>, settings: &TextSettings) -> Result<Self, BodyFault> {
        let octets = if pdu.short_message.is_empty() { pdu.message()? } else { pdu.short_message };
        Ok(Self {
            service_type: pdu.service_type,
            source: pdu.source,
            recipients: Recipients::One(pdu.destination),
            ..Self::message(pdu.esm_class, pdu.data_coding, octets, pdu.tlvs, settings)
        })
    }

    fn message(
        esm_class: EsmClass,
        data_coding: DataCoding,
        octets: &'a [u8],
        tlvs: Tlvs<'a>,
        settings: &TextSettings,
    ) -> Self {
        let user_data = text::read(data_coding, esm_class, octets, settings);
        let sar =
            tlvs.sar().map(|sar| Concatenation { reference: sar.reference, total: sar.total, number: sar.number });
        let text = match tlvs.destination_port() {
            // A port named beside the text reaches the same application as one in its header.
            Some(port) => Text::Opaque(text::Opaque::PortAddressed(port)),
            None => user_data.text,
        };
        Self {
            operation: Operation::SubmitSm,
            service_type: COctetString::default(),
            source: Address::default(),
            recipients: Recipients::One(Address::default()),
            esm_class,
            data_coding,
            registered_delivery: RegisteredDelivery::default(),
            sm_default_msg_id: 0,
            octets,
            text,
            part: user_data.udh.concatenation().or(sar),
        }
    }
}

/// Nobody can be asked about a list that only the carrier knows.
pub(super) const DISTRIBUTION_LIST: BodyFault = BodyFault {
    field: "dest_address",
    fault: "a distribution list hides its recipients: name each of them",
    status: CommandStatus::ESME_RCNTSUBDL,
};

/// `replace_sm` names neither recipient nor coding: its text cannot be judged by itself.
const REPLACEMENT: BodyFault = BodyFault {
    field: "message_id",
    fault: "a replacement is not judged yet, so it is not passed: cancel the message and submit it anew",
    status: CommandStatus::ESME_RREPLACEFAIL,
};

/// The provider is no longer in the register.
pub(super) const STRUCK_OFF: BodyFault = BodyFault {
    field: "system_id",
    fault: "the provider was taken out of the register while it was bound",
    status: CommandStatus::ESME_RINVSYSID,
};

const NO_MESSAGE: BodyFault = BodyFault {
    field: "command_id",
    fault: "expected an operation that carries a message",
    status: CommandStatus::ESME_RINVCMDID,
};
