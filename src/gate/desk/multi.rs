//! `submit_multi`: one PDU, a verdict for each recipient.
//!
//! Owns the PDU without those refused, and the answer with them. Refuses to decide who is.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use portcullis_protocol::address::Address;
use portcullis_protocol::pdu::{
    Destination, Destinations, MultiResult, SubmitMultiResp, Unsuccessful, UnsuccessfulSmes,
};
use portcullis_protocol::tlv::Tlvs;
use portcullis_protocol::{CommandStatus, Frame, Pdu};

use super::ruling::Judgement;
use crate::gate::record::subscriber_key;
use crate::rules::Msisdn;

/// The same PDU for those whom their verdict lets have it; `None` where it is no `submit_multi`.
pub(super) fn without_refused(frame: &Frame, judgements: &[Judgement<'_, '_>]) -> Option<Frame> {
    let Ok(Pdu::SubmitMulti(mut pdu)) = Pdu::decode(frame) else { return None };
    let mut entries = BytesMut::new();
    for (destination, judgement) in pdu.destinations.iter().zip(judgements) {
        if judgement.is_forwarded() {
            destination.encode(&mut entries);
        }
    }
    pdu.destinations = Destinations::from_bytes(&entries).ok()?;
    Some(Pdu::SubmitMulti(pdu).to_frame(frame.command_status(), frame.sequence_number()))
}

/// The `unsuccess_sme` entries of those refused, each with its own status.
pub(super) fn refused(frame: &Frame, judgements: &[Judgement<'_, '_>]) -> Bytes {
    let mut entries = BytesMut::new();
    let Ok(Pdu::SubmitMulti(pdu)) = Pdu::decode(frame) else { return entries.freeze() };
    for (destination, judgement) in pdu.destinations.iter().zip(judgements) {
        if judgement.is_forwarded() {
            continue;
        }
        let destination = match destination {
            Destination::Sme(sme) => sme,
            // The entry has no room for a list but in the place of an address.
            Destination::DistributionList(name) => Address { addr: name, ..Address::default() },
        };
        Unsuccessful { destination, error_status_code: judgement.verdict.status }.encode(&mut entries);
    }
    entries.freeze()
}

/// The carrier's answer, the refused added to those it could not serve itself, and `tlvs`. `None` leaves it: an
/// error counts for every recipient already.
pub(super) fn with_refused(answer: &Frame, entries: &[u8], tlvs: &[u8]) -> Option<Frame> {
    let Ok(Pdu::SubmitMultiResp(pdu)) = Pdu::decode(answer) else { return None };
    if answer.command_status() != CommandStatus::ESME_ROK {
        return None;
    }
    let accepted = pdu.accepted.unwrap_or_default();
    let mut list = BytesMut::new();
    for entry in accepted.unsuccessful.iter().flat_map(UnsuccessfulSmes::iter) {
        entry.encode(&mut list);
    }
    list.extend_from_slice(entries);
    let unsuccessful = Some(UnsuccessfulSmes::from_bytes(&list).ok()?);
    let accepted = Some(MultiResult { message_id: accepted.message_id, unsuccessful });
    let tlvs = [pdu.tlvs.as_bytes(), tlvs].concat();
    let pdu = SubmitMultiResp { accepted, tlvs: Tlvs::from_bytes(&tlvs) };
    Some(Pdu::SubmitMultiResp(pdu).to_frame(answer.command_status(), answer.sequence_number()))
}

/// Whom a carrier's answer names as not served, by their record's key, and why.
pub(super) fn unserved(answer: &Frame) -> HashMap<String, CommandStatus> {
    let Ok(Pdu::SubmitMultiResp(pdu)) = Pdu::decode(answer) else { return HashMap::new() };
    let list = pdu.accepted.and_then(|accepted| accepted.unsuccessful);
    let entries = list.iter().flat_map(UnsuccessfulSmes::iter);
    entries.map(|entry| (subscriber(&entry.destination), entry.error_status_code)).collect()
}

fn subscriber(destination: &Address<'_>) -> String {
    let msisdn = Msisdn::from_address(destination).map(|msisdn| msisdn.0);
    subscriber_key(msisdn, &destination.addr.to_string()).into_owned()
}
