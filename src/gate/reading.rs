//! From a PDU to what the rules judge and the journal keeps.
//!
//! Owns which field of which operation means what to a judge, for one PDU and for all parts of
//! a long message together. Refuses to decide anything. Driven by the desk.

use std::borrow::Cow;

use jiff::{Span, Timestamp};
use portcullis_protocol::address::Address;
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass, RegisteredDelivery};
use portcullis_protocol::pdu::{BroadcastSm, DataSm, DeliverSm, Destinations, ReplaceSm, SubmitMulti, SubmitSm};
use portcullis_protocol::text::{self, Concatenation, Piece, Text, TextSettings};
use portcullis_protocol::time::{Absolute, SmppTime};
use portcullis_protocol::tlv::{Subunit, TlvTag, Tlvs};
use portcullis_protocol::{BodyFault, CommandStatus, Frame, Pdu};

use super::parts::Kind;
use super::record;
use crate::register::Provider;
use crate::rules::{Operation, Presentation};

/// One message, whatever the operation that carries it.
pub(super) struct Reading<'a> {
    pub(super) operation: Operation,
    pub(super) service_type: COctetString<'a>,
    pub(super) tlvs: Tlvs<'a>,
    pub(super) source: Address<'a>,
    pub(super) recipients: Recipients<'a>,
    pub(super) esm_class: EsmClass,
    pub(super) data_coding: DataCoding,
    pub(super) registered_delivery: RegisteredDelivery,
    pub(super) sm_default_msg_id: u8,
    pub(super) octets: Cow<'a, [u8]>,
    pub(super) text: Text<'a>,
    pub(super) presentation: Presentation,
    pub(super) part: Option<Concatenation>,
    pub(super) kind: Kind,
    /// When it is to be delivered, where that is not at once; of a long message, as each part has it.
    schedules: Vec<SmppTime>,
    /// Until when the carrier is to try.
    validity: Option<SmppTime>,
    replaces: bool,
    /// It replaces a message that nobody here knows.
    pub(super) replaces_unknown: bool,
}

/// Whom a message is for.
#[derive(Clone, Copy)]
pub(super) enum Recipients<'a> {
    /// The usual case; empty where the operation names nobody.
    One(Address<'a>),
    /// `submit_multi`
    Many(Destinations<'a>),
}

/// What several operations have in the same sense.
struct Body<'a> {
    esm_class: EsmClass,
    data_coding: DataCoding,
    octets: &'a [u8],
    tlvs: Tlvs<'a>,
}

/// What decides on the presentation and the time.
struct Handling<'a> {
    protocol_id: u8,
    replace_if_present_flag: u8,
    schedule_delivery_time: COctetString<'a>,
    validity_period: COctetString<'a>,
}

impl<'a> Reading<'a> {
    /// Reads a request that carries a message.
    pub(super) fn of(frame: &'a Frame, settings: &TextSettings) -> Result<Self, BodyFault> {
        match Pdu::decode(frame)? {
            Pdu::SubmitSm(pdu) => Self::submission(&pdu, settings),
            Pdu::SubmitMulti(pdu) => Self::multiple(&pdu, settings),
            Pdu::DataSm(pdu) => Self::data(&pdu, settings),
            Pdu::BroadcastSm(pdu) => Self::broadcast(&pdu, settings),
            Pdu::DeliverSm(pdu) => Self::delivery(&pdu, settings),
            _ => Err(NO_MESSAGE),
        }
    }

    fn submission(pdu: &SubmitSm<'a>, settings: &TextSettings) -> Result<Self, BodyFault> {
        let (esm_class, data_coding) = (pdu.esm_class, pdu.data_coding);
        let body = Body { esm_class, data_coding, octets: pdu.message()?, tlvs: pdu.tlvs };
        let handling = Handling {
            protocol_id: pdu.protocol_id,
            replace_if_present_flag: pdu.replace_if_present_flag,
            schedule_delivery_time: pdu.schedule_delivery_time,
            validity_period: pdu.validity_period,
        };
        Ok(Self {
            service_type: pdu.service_type,
            source: pdu.source,
            recipients: Recipients::One(pdu.destination),
            registered_delivery: pdu.registered_delivery,
            sm_default_msg_id: pdu.sm_default_msg_id,
            ..Self::message(&body, settings)?.handled(&handling)?
        })
    }

    fn multiple(pdu: &SubmitMulti<'a>, settings: &TextSettings) -> Result<Self, BodyFault> {
        let (esm_class, data_coding) = (pdu.esm_class, pdu.data_coding);
        let body = Body { esm_class, data_coding, octets: pdu.message()?, tlvs: pdu.tlvs };
        let handling = Handling {
            protocol_id: pdu.protocol_id,
            replace_if_present_flag: pdu.replace_if_present_flag,
            schedule_delivery_time: pdu.schedule_delivery_time,
            validity_period: pdu.validity_period,
        };
        Ok(Self {
            operation: Operation::SubmitMulti,
            service_type: pdu.service_type,
            source: pdu.source,
            recipients: Recipients::Many(pdu.destinations),
            registered_delivery: pdu.registered_delivery,
            sm_default_msg_id: pdu.sm_default_msg_id,
            ..Self::message(&body, settings)?.handled(&handling)?
        })
    }

    fn data(pdu: &DataSm<'a>, settings: &TextSettings) -> Result<Self, BodyFault> {
        let (esm_class, data_coding) = (pdu.esm_class, pdu.data_coding);
        let body = Body { esm_class, data_coding, octets: pdu.message()?, tlvs: pdu.tlvs };
        Ok(Self {
            operation: Operation::DataSm,
            service_type: pdu.service_type,
            source: pdu.source,
            recipients: Recipients::One(pdu.destination),
            registered_delivery: pdu.registered_delivery,
            ..Self::message(&body, settings)?
        })
    }

    fn broadcast(pdu: &BroadcastSm<'a>, settings: &TextSettings) -> Result<Self, BodyFault> {
        let (esm_class, data_coding) = (EsmClass::default(), pdu.data_coding);
        let body = Body { esm_class, data_coding, octets: pdu.message()?, tlvs: pdu.tlvs };
        let handling = Handling {
            protocol_id: 0,
            replace_if_present_flag: pdu.replace_if_present_flag,
            schedule_delivery_time: pdu.schedule_delivery_time,
            validity_period: pdu.validity_period,
        };
        Ok(Self {
            operation: Operation::BroadcastSm,
            service_type: pdu.service_type,
            source: pdu.source,
            sm_default_msg_id: pdu.sm_default_msg_id,
            ..Self::message(&body, settings)?.handled(&handling)?
        })
    }

    /// Reads all parts of a long message, in their order, as one; the first part's fields stand for all.
    pub(super) fn of_parts(frames: &'a [Frame], settings: &TextSettings) -> Result<Self, BodyFault> {
        let mut readings = Vec::with_capacity(frames.len());
        for frame in frames {
            readings.push(Self::of(frame, settings)?);
        }
        let pieces = readings.iter().map(|reading| Piece {
            data_coding: reading.data_coding,
            esm_class: reading.esm_class,
            octets: &reading.octets,
        });
        let opaque = readings.iter().find_map(|reading| match &reading.text {
            // A port named beside the text is in no piece's octets.
            Text::Opaque(reason @ text::Opaque::PortAddressed(_)) => Some(Text::Opaque(*reason)),
            _ => None,
        });
        let text = opaque.unwrap_or_else(|| text::read_joined(pieces, settings));
        let presentation = if readings.iter().any(|reading| reading.replaces) {
            Presentation::Replacing
        } else {
            readings.iter().map(|reading| reading.presentation).find(|p| *p != Presentation::Kept).unwrap_or_default()
        };
        let octets: Vec<u8> = readings.iter().flat_map(|reading| reading.octets.iter().copied()).collect();
        let canned = readings.iter().map(|reading| reading.sm_default_msg_id).max().unwrap_or_default();
        let mut readings = readings.into_iter();
        let first = readings.next().ok_or(NO_MESSAGE)?;
        let schedules = first.schedules.iter().copied().chain(readings.flat_map(|reading| reading.schedules)).collect();
        Ok(Self {
            text,
            presentation,
            octets: octets.into(),
            sm_default_msg_id: canned,
            part: None,
            schedules,
            ..first
        })
    }

    /// Reads a new text for a message to `destination`, in the coding of the first.
    pub(super) fn of_replacement(
        pdu: &ReplaceSm<'a>,
        destination: Address<'a>,
        service_type: COctetString<'a>,
        (esm_class, data_coding): (EsmClass, DataCoding),
        settings: &TextSettings,
    ) -> Result<Self, BodyFault> {
        let body = Body { esm_class, data_coding, octets: pdu.message()?, tlvs: pdu.tlvs };
        let handling = Handling {
            protocol_id: 0,
            replace_if_present_flag: 0,
            schedule_delivery_time: pdu.schedule_delivery_time,
            validity_period: pdu.validity_period,
        };
        Ok(Self {
            operation: Operation::ReplaceSm,
            service_type,
            source: pdu.source,
            recipients: Recipients::One(destination),
            registered_delivery: pdu.registered_delivery,
            sm_default_msg_id: pdu.sm_default_msg_id,
            ..Self::message(&body, settings)?.handled(&handling)?
        })
    }

    /// What a carrier delivers has been accepted by it: both bodies present is no fault here.
    fn delivery(pdu: &DeliverSm<'a>, settings: &TextSettings) -> Result<Self, BodyFault> {
        let octets = if pdu.short_message.is_empty() { pdu.message()? } else { pdu.short_message };
        let body = Body { esm_class: pdu.esm_class, data_coding: pdu.data_coding, octets, tlvs: pdu.tlvs };
        Ok(Self {
            service_type: pdu.service_type,
            source: pdu.source,
            recipients: Recipients::One(pdu.destination),
            ..Self::lenient(&body, settings).0
        })
    }

    fn message(body: &Body<'a>, settings: &TextSettings) -> Result<Self, BodyFault> {
        match Self::lenient(body, settings) {
            (_, Some(fault)) => Err(fault),
            (reading, None) => Ok(reading),
        }
    }

    /// The reading, and what of its place in a long message peers would take differently.
    fn lenient(body: &Body<'a>, settings: &TextSettings) -> (Self, Option<BodyFault>) {
        let user_data = text::read(body.data_coding, body.esm_class, body.octets, settings);
        let sar = body.tlvs.sar();
        let sar = sar.map(|sar| Concatenation { reference: sar.reference, total: sar.total, number: sar.number });
        let header = user_data.udh.concatenation();
        let fault = match (header, sar) {
            (_, Some(sar)) if !(1..=sar.total).contains(&sar.number) => Some(NO_PLACE),
            _ if has_two_places(body.tlvs) => Some(TWO_PLACES),
            (Some(header), Some(sar)) if !is_same_place(header, sar) => Some(TWO_PLACES),
            _ => None,
        };
        let kind = match (header, user_data.udh.has_wide_reference()) {
            (None, _) => Kind::Parameters,
            (Some(_), true) => Kind::Word,
            (Some(_), false) => Kind::Octet,
        };
        let text = match body.tlvs.destination_port() {
            // A port named beside the text reaches the same application as one in its header.
            Some(port) => Text::Opaque(text::Opaque::PortAddressed(port)),
            None => user_data.text,
        };
        let flash =
            body.data_coding.message_class() == Some(0) || body.tlvs.dest_addr_subunit() == Some(Subunit::MS_DISPLAY);
        let presentation = match (body.data_coding.is_discarded(), flash) {
            (true, _) => Presentation::Silent,
            (false, true) => Presentation::Flash,
            (false, false) => Presentation::Kept,
        };
        let reading = Self {
            operation: Operation::SubmitSm,
            service_type: COctetString::default(),
            tlvs: body.tlvs,
            source: Address::default(),
            recipients: Recipients::One(Address::default()),
            esm_class: body.esm_class,
            data_coding: body.data_coding,
            registered_delivery: RegisteredDelivery::default(),
            sm_default_msg_id: 0,
            octets: body.octets.into(),
            text,
            presentation,
            part: header.or(sar),
            kind,
            schedules: Vec::new(),
            validity: None,
            replaces: false,
            replaces_unknown: false,
        };
        (reading, fault)
    }

    fn handled(self, handling: &Handling<'_>) -> Result<Self, BodyFault> {
        // Type 0 is acknowledged and thrown away; 0x7C to 0x7F go to the card or the equipment (3GPP TS 23.040 §9.2.3.9).
        let silent = matches!(handling.protocol_id, 0x40 | 0x7C..=0x7F);
        let replaces = matches!(handling.protocol_id, 0x41..=0x47) || handling.replace_if_present_flag == 1;
        let schedule = SmppTime::of(handling.schedule_delivery_time).map_err(|_| UNREADABLE_SCHEDULE)?;
        // Peers spell it in many ways (quirk 40), and nothing is decided by one that cannot be read.
        let validity = SmppTime::of(handling.validity_period).ok().flatten();
        let presentation = if silent { Presentation::Silent } else { self.presentation };
        Ok(Self { presentation, replaces, schedules: schedule.into_iter().collect(), validity, ..self })
    }

    /// A replacement that names no time of its own keeps the original's.
    pub(super) fn keep_schedule(&mut self, at: Timestamp) {
        if self.schedules.is_empty() {
            self.schedules.push(SmppTime::Absolute(Absolute::from_unix_ms(at.as_millisecond())));
        }
    }

    /// When it is to be delivered, as it says itself: with its last part.
    pub(super) fn scheduled(&self, now: Timestamp) -> Option<Timestamp> {
        self.schedules.iter().filter_map(|time| moment(*time, now)).max()
    }

    /// What of it the rules are told and its record's own fields do not hold.
    pub(super) fn handling(&self, provider: Option<&Provider>, now: Timestamp) -> record::Handling<'a> {
        let declared = provider.and_then(|provider| provider.class_tlv.as_ref());
        record::Handling {
            deliver_at: self.scheduled(now),
            valid_until: self.valid_until(now),
            sm_default_msg_id: self.sm_default_msg_id,
            presentation: self.presentation,
            class_tlv: declared.and_then(|declared| self.tlvs.get(declared.tag)),
        }
    }

    /// Until when the carrier is to try.
    pub(super) fn valid_until(&self, now: Timestamp) -> Option<Timestamp> {
        moment(self.validity?, now)
    }
}

pub(super) fn moment(time: SmppTime, now: Timestamp) -> Option<Timestamp> {
    match time {
        SmppTime::Absolute(time) => Timestamp::from_millisecond(time.unix_ms()).ok(),
        SmppTime::Relative(span) => {
            let days = Span::new().years(span.years).months(span.months).days(span.days);
            let span = days.hours(span.hours).minutes(span.minutes).seconds(span.seconds);
            Some(now.to_zoned_datetime(jiff::tz::TimeZone::UTC).checked_add(span).ok()?.timestamp())
        }
    }
}

/// Whether a `sar_*` parameter is there with two values.
fn has_two_places(tlvs: Tlvs<'_>) -> bool {
    [TlvTag::SAR_MSG_REF_NUM, TlvTag::SAR_TOTAL_SEGMENTS, TlvTag::SAR_SEGMENT_SEQNUM].into_iter().any(|tag| {
        let mut values = tlvs.get_all(tag);
        let first = values.next();
        values.any(|value| Some(value) != first)
    })
}

/// `sar_msg_ref_num` has 16 bits, and is cut to 8 where a header carries it in 8.
fn is_same_place(header: Concatenation, sar: Concatenation) -> bool {
    let reference = header.reference == sar.reference || header.reference == sar.reference & 0xFF;
    reference && (header.total, header.number) == (sar.total, sar.number)
}

/// Peers differ in whether they take such a part by itself or wait for it.
const NO_PLACE: BodyFault = BodyFault {
    field: "sar_segment_seqnum",
    fault: "expected a number from 1 to sar_total_segments",
    status: CommandStatus::ESME_RINVOPTPARAMVAL,
};

/// Peers differ in which of the two they believe.
const TWO_PLACES: BodyFault = BodyFault {
    field: "sar_msg_ref_num",
    fault: "expected the same place in a long message as the user-data header names",
    status: CommandStatus::ESME_ROPTPARNOTALLWD,
};

const UNREADABLE_SCHEDULE: BodyFault = BodyFault {
    field: "schedule_delivery_time",
    fault: "expected nothing or 16 characters: YYMMDDhhmmsstnn and '+', '-' or 'R'",
    status: CommandStatus::ESME_RINVSCHED,
};

/// Nobody can be asked about a list that only the carrier knows.
pub(super) const DISTRIBUTION_LIST: BodyFault = BodyFault {
    field: "dest_address",
    fault: "a distribution list hides its recipients: name each of them",
    status: CommandStatus::ESME_RCNTSUBDL,
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
