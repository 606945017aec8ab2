//! Any PDU value, drawn from octets.
//!
//! Shared by the property tests and the fuzz targets: strings and messages are slices of
//! the octets themselves, so a value costs nothing to make and shrinks with its octets.

use bytes::BytesMut;
use portcullis_protocol::CommandStatus;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass, InterfaceVersion, RegisteredDelivery};
use portcullis_protocol::pdu::*;
use portcullis_protocol::tlv::{self, MessageState, TlvTag, Tlvs};
use portcullis_protocol::{CommandId, Pdu};

/// Where values are drawn from; zeros once the octets are used up.
pub struct Octets<'a>(pub &'a [u8]);

/// What a value borrows and the octets alone cannot give.
pub struct Built {
    /// Whole TLVs.
    tail: BytesMut,
    /// Whole TLVs and, perhaps, octets that are none.
    odd_tail: BytesMut,
    destinations: BytesMut,
    unsuccessful: BytesMut,
}

impl<'a> Octets<'a> {
    /// The next octet.
    pub fn octet(&mut self) -> u8 {
        let Some((&octet, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        octet
    }

    fn word(&mut self) -> u32 {
        u32::from_be_bytes([self.octet(), self.octet(), self.octet(), self.octet()])
    }

    /// Up to 255 octets.
    fn slice(&mut self) -> &'a [u8] {
        let length = usize::from(self.octet()).min(self.0.len());
        let (slice, rest) = self.0.split_at(length);
        self.0 = rest;
        slice
    }

    /// A slice without a NUL.
    fn string(&mut self) -> COctetString<'a> {
        COctetString(self.slice().split(|&octet| octet == 0).next().unwrap_or_default())
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.octet() & 1 == 0).then(|| draw(self))
    }

    fn address(&mut self) -> Address<'a> {
        Address { ton: Ton(self.octet()), npi: Npi(self.octet()), addr: self.string() }
    }

    /// Named and unnamed tags, values of any length.
    fn tlvs(&mut self) -> BytesMut {
        let mut tail = BytesMut::new();
        for _ in 0..self.octet() % 6 {
            let at = usize::from(self.octet());
            let tag = TlvTag::ALL
                .get(at)
                .copied()
                .unwrap_or_else(|| TlvTag(u16::from_be_bytes([self.octet(), self.octet()])));
            tlv::push(&mut tail, tag, self.slice());
        }
        tail
    }

    /// Everything a value may borrow beside the octets.
    pub fn build(&mut self) -> Built {
        let tail = self.tlvs();
        let mut odd_tail = tail.clone();
        odd_tail.extend_from_slice(self.maybe(Self::slice).unwrap_or_default());
        let (mut destinations, mut unsuccessful) = (BytesMut::new(), BytesMut::new());
        for _ in 0..self.octet() {
            match self.maybe(Self::address) {
                Some(sme) => Destination::Sme(sme).encode(&mut destinations),
                None => Destination::DistributionList(self.string()).encode(&mut destinations),
            }
            let error_status_code = CommandStatus(self.word());
            Unsuccessful { destination: self.address(), error_status_code }.encode(&mut unsuccessful);
        }
        Built { tail, odd_tail, destinations, unsuccessful }
    }

    fn bind(&mut self, built: &'a Built) -> Bind<'a> {
        Bind {
            system_id: self.string(),
            password: self.string(),
            system_type: self.string(),
            interface_version: InterfaceVersion(self.octet()),
            addr_ton: Ton(self.octet()),
            addr_npi: Npi(self.octet()),
            address_range: self.string(),
            tlvs: built.odd(),
        }
    }

    fn submit_sm(&mut self, built: &'a Built) -> SubmitSm<'a> {
        SubmitSm {
            service_type: self.string(),
            source: self.address(),
            destination: self.address(),
            esm_class: EsmClass(self.octet()),
            protocol_id: self.octet(),
            priority_flag: self.octet(),
            schedule_delivery_time: self.string(),
            validity_period: self.string(),
            registered_delivery: RegisteredDelivery(self.octet()),
            replace_if_present_flag: self.octet(),
            data_coding: DataCoding(self.octet()),
            sm_default_msg_id: self.octet(),
            short_message: self.slice(),
            tlvs: built.odd(),
        }
    }

    fn deliver_sm(&mut self, built: &'a Built) -> DeliverSm<'a> {
        let like = self.submit_sm(built);
        DeliverSm {
            service_type: like.service_type,
            source: like.source,
            destination: like.destination,
            esm_class: like.esm_class,
            protocol_id: like.protocol_id,
            priority_flag: like.priority_flag,
            schedule_delivery_time: like.schedule_delivery_time,
            validity_period: like.validity_period,
            registered_delivery: like.registered_delivery,
            replace_if_present_flag: like.replace_if_present_flag,
            data_coding: like.data_coding,
            sm_default_msg_id: like.sm_default_msg_id,
            short_message: like.short_message,
            tlvs: like.tlvs,
        }
    }

    fn submit_multi(&mut self, built: &'a Built) -> SubmitMulti<'a> {
        let like = self.submit_sm(built);
        SubmitMulti {
            service_type: like.service_type,
            source: like.source,
            destinations: Destinations::from_bytes(&built.destinations).expect("at most 255 whole entries"),
            esm_class: like.esm_class,
            protocol_id: like.protocol_id,
            priority_flag: like.priority_flag,
            schedule_delivery_time: like.schedule_delivery_time,
            validity_period: like.validity_period,
            registered_delivery: like.registered_delivery,
            replace_if_present_flag: like.replace_if_present_flag,
            data_coding: like.data_coding,
            sm_default_msg_id: like.sm_default_msg_id,
            short_message: like.short_message,
            tlvs: like.tlvs,
        }
    }

    fn data_sm(&mut self, built: &'a Built) -> DataSm<'a> {
        DataSm {
            service_type: self.string(),
            source: self.address(),
            destination: self.address(),
            esm_class: EsmClass(self.octet()),
            registered_delivery: RegisteredDelivery(self.octet()),
            data_coding: DataCoding(self.octet()),
            tlvs: built.odd(),
        }
    }

    fn replace_sm(&mut self, built: &'a Built) -> ReplaceSm<'a> {
        ReplaceSm {
            message_id: self.string(),
            source: self.address(),
            schedule_delivery_time: self.string(),
            validity_period: self.string(),
            registered_delivery: RegisteredDelivery(self.octet()),
            sm_default_msg_id: self.octet(),
            short_message: self.slice(),
            tlvs: built.odd(),
        }
    }

    fn broadcast_sm(&mut self, built: &'a Built) -> BroadcastSm<'a> {
        BroadcastSm {
            service_type: self.string(),
            source: self.address(),
            message_id: self.string(),
            priority_flag: self.octet(),
            schedule_delivery_time: self.string(),
            validity_period: self.string(),
            replace_if_present_flag: self.octet(),
            data_coding: DataCoding(self.octet()),
            sm_default_msg_id: self.octet(),
            tlvs: built.odd(),
        }
    }

    fn query_result(&mut self) -> QueryResult<'a> {
        QueryResult {
            message_id: self.string(),
            final_date: self.string(),
            message_state: MessageState(self.octet()),
            error_code: self.octet(),
        }
    }

    fn multi_result(&mut self, built: &'a Built) -> MultiResult<'a> {
        let unsuccessful = UnsuccessfulSmes::from_bytes(&built.unsuccessful).expect("at most 255 whole entries");
        MultiResult { message_id: self.string(), unsuccessful: Some(unsuccessful) }
    }

    /// Any value of the operation `command_id` names, [`Pdu::Unknown`] for all others.
    pub fn pdu(&mut self, command_id: CommandId, built: &'a Built) -> Pdu<'a> {
        type Id = CommandId;
        let tlvs = built.odd();
        match command_id {
            Id::BIND_RECEIVER => Pdu::BindReceiver(self.bind(built)),
            Id::BIND_TRANSMITTER => Pdu::BindTransmitter(self.bind(built)),
            Id::BIND_TRANSCEIVER => Pdu::BindTransceiver(self.bind(built)),
            Id::OUTBIND => Pdu::Outbind(Outbind { system_id: self.string(), password: self.string(), tlvs }),
            Id::UNBIND => Pdu::Unbind(Unbind { tlvs }),
            Id::UNBIND_RESP => Pdu::UnbindResp(UnbindResp { tlvs }),
            Id::ENQUIRE_LINK => Pdu::EnquireLink(EnquireLink { tlvs }),
            Id::ENQUIRE_LINK_RESP => Pdu::EnquireLinkResp(EnquireLinkResp { tlvs }),
            Id::GENERIC_NACK => Pdu::GenericNack(GenericNack { tlvs }),
            Id::SUBMIT_SM => Pdu::SubmitSm(self.submit_sm(built)),
            Id::SUBMIT_MULTI => Pdu::SubmitMulti(self.submit_multi(built)),
            Id::DELIVER_SM => Pdu::DeliverSm(self.deliver_sm(built)),
            Id::DATA_SM => Pdu::DataSm(self.data_sm(built)),
            Id::REPLACE_SM => Pdu::ReplaceSm(self.replace_sm(built)),
            Id::REPLACE_SM_RESP => Pdu::ReplaceSmResp(ReplaceSmResp { tlvs }),
            Id::QUERY_SM => Pdu::QuerySm(QuerySm { message_id: self.string(), source: self.address(), tlvs }),
            Id::CANCEL_SM => Pdu::CancelSm(CancelSm {
                service_type: self.string(),
                message_id: self.string(),
                source: self.address(),
                destination: self.address(),
                tlvs,
            }),
            Id::CANCEL_SM_RESP => Pdu::CancelSmResp(CancelSmResp { tlvs }),
            Id::ALERT_NOTIFICATION => {
                Pdu::AlertNotification(AlertNotification { source: self.address(), esme: self.address(), tlvs })
            }
            Id::BROADCAST_SM => Pdu::BroadcastSm(self.broadcast_sm(built)),
            Id::QUERY_BROADCAST_SM => {
                Pdu::QueryBroadcastSm(QueryBroadcastSm { message_id: self.string(), source: self.address(), tlvs })
            }
            Id::CANCEL_BROADCAST_SM => Pdu::CancelBroadcastSm(CancelBroadcastSm {
                service_type: self.string(),
                message_id: self.string(),
                source: self.address(),
                tlvs,
            }),
            Id::CANCEL_BROADCAST_SM_RESP => Pdu::CancelBroadcastSmResp(CancelBroadcastSmResp { tlvs }),
            _ => self.response(command_id, built),
        }
    }

    /// Responses with fields of their own: those and whole TLVs, or no body at all. Which
    /// of the two other octets stand for cannot be told, so such values do not survive.
    fn response(&mut self, command_id: CommandId, built: &'a Built) -> Pdu<'a> {
        type Id = CommandId;
        let present = self.octet() & 3 != 0;
        let tlvs = if present { Tlvs::from_bytes(&built.tail) } else { Tlvs::NONE };
        let system_id = present.then(|| self.string());
        let message_id = system_id;
        match command_id {
            Id::BIND_RECEIVER_RESP => Pdu::BindReceiverResp(BindResp { system_id, tlvs }),
            Id::BIND_TRANSMITTER_RESP => Pdu::BindTransmitterResp(BindResp { system_id, tlvs }),
            Id::BIND_TRANSCEIVER_RESP => Pdu::BindTransceiverResp(BindResp { system_id, tlvs }),
            Id::SUBMIT_SM_RESP => Pdu::SubmitSmResp(SubmitSmResp { message_id, tlvs }),
            Id::DELIVER_SM_RESP => Pdu::DeliverSmResp(DeliverSmResp { message_id, tlvs }),
            Id::DATA_SM_RESP => Pdu::DataSmResp(DataSmResp { message_id, tlvs }),
            Id::BROADCAST_SM_RESP => Pdu::BroadcastSmResp(BroadcastSmResp { message_id, tlvs }),
            Id::QUERY_BROADCAST_SM_RESP => Pdu::QueryBroadcastSmResp(QueryBroadcastSmResp { message_id, tlvs }),
            Id::QUERY_SM_RESP => {
                let found = present.then(|| self.query_result());
                Pdu::QuerySmResp(QuerySmResp { found, tlvs })
            }
            Id::SUBMIT_MULTI_RESP => {
                let accepted = present.then(|| self.multi_result(built));
                Pdu::SubmitMultiResp(SubmitMultiResp { accepted, tlvs })
            }
            _ => Pdu::Unknown { command_id, body: self.slice() },
        }
    }

    /// A named operation, or now and then any code at all.
    pub fn command_id(&mut self) -> CommandId {
        let at = usize::from(self.octet());
        CommandId::ALL.get(at % (CommandId::ALL.len() + 1)).copied().unwrap_or_else(|| CommandId(self.word()))
    }
}

impl Built {
    fn odd(&self) -> Tlvs<'_> {
        Tlvs::from_bytes(&self.odd_tail)
    }
}
