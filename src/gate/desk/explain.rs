//! The sentence beside a refusal, for SMPP 5.0 providers that ask for it.
//!
//! Owns `additional_status_info_text` (SMPP 5.0 §4.8.4.2) in the answers that have room for it:
//! ASCII, at most 255 octets with its NUL. Every rule that refused is named, the one whose status
//! is answered first. Refuses to say anything to whoever has not asked or speaks 3.4.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use portcullis_protocol::CommandId;
use portcullis_protocol::field::{COctetString, InterfaceVersion};
use portcullis_protocol::pdu::{
    BroadcastSmResp, DataSmResp, MultiResult, SubmitMultiResp, SubmitSmResp, UnsuccessfulSmes,
};
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};

use super::Desk;
use super::ruling::Judgement;
use crate::register::Provider;
use crate::rules::{Decision, Effect, Rule};

/// Octets of the text, its NUL not counted.
const LONGEST: usize = 254;

/// What stands where a text had to be cut.
const CUT: &str = "...";

impl Desk {
    /// Whether this session's provider wants to know why, and can be told.
    pub(super) fn explains_to(&self, provider: &Provider) -> bool {
        provider.explain && self.interface_version.0 >= InterfaceVersion::V5_0.0
    }

    /// The same for whoever is bound.
    pub(super) fn explains(&self) -> bool {
        let register = self.gate.register.load();
        let provider = self.provider.as_deref().and_then(|system_id| register.provider(system_id));
        provider.is_some_and(|provider| self.explains_to(provider))
    }
}

/// Why a PDU is refused as a whole, or some of its recipients are: by the first of them.
pub(super) fn refusal(judgements: &[Judgement<'_, '_>], answered: Decision) -> String {
    let first = judgements.iter().find(|judgement| judgement.verdict.decision == answered);
    let mut said = String::new();
    for found in first.iter().flat_map(|judgement| &judgement.verdict.findings) {
        if matches!(found.effect, Effect::Failed | Effect::Held) {
            let separator = if said.is_empty() { "" } else { "; " };
            // Writing to a string cannot fail.
            let _ = write!(said, "{separator}{} {}: {}", found.rule, found.rule.name(), found.why);
        }
    }
    said
}

/// Why a PDU must wait, or is refused, for what the store cannot do.
pub(super) fn outage(why: &str) -> String {
    format!("{} {}: {why}", Rule::R26, Rule::R26.name())
}

/// The body of the answer that refuses a request: what each recipient gets, where there are several,
/// and the sentence; a header alone where there is neither.
pub(super) fn body(command: CommandId, entries: &[u8], said: Option<&str>) -> Bytes {
    let tlv = said.map(text).unwrap_or_default();
    let tlvs = Tlvs::from_bytes(&tlv);
    if tlvs.is_empty() && entries.is_empty() {
        return Bytes::new();
    }
    let message_id = Some(COctetString::default());
    let mut body = BytesMut::new();
    match command {
        CommandId::SUBMIT_MULTI => {
            let unsuccessful = UnsuccessfulSmes::from_bytes(entries).ok();
            let accepted = Some(MultiResult { message_id: COctetString::default(), unsuccessful });
            SubmitMultiResp { accepted, tlvs }.encode(&mut body);
        }
        CommandId::SUBMIT_SM => SubmitSmResp { message_id, tlvs }.encode(&mut body),
        CommandId::DATA_SM => DataSmResp { message_id, tlvs }.encode(&mut body),
        CommandId::BROADCAST_SM => BroadcastSmResp { message_id, tlvs }.encode(&mut body),
        // The others' answers have no optional parameters.
        _ => {}
    }
    body.freeze()
}

/// The sentence as a TLV.
pub(super) fn text(said: &str) -> Bytes {
    let mut value = ascii(said).into_bytes();
    value.push(0);
    let mut tlv = BytesMut::new();
    push(&mut tlv, TlvTag::ADDITIONAL_STATUS_INFO_TEXT, &value);
    tlv.freeze()
}

/// The specification wants ASCII here: brackets and the like have a counterpart, the rest a `?`.
fn ascii(said: &str) -> String {
    let mut out = String::with_capacity(said.len());
    for c in said.chars() {
        match c {
            ' '..='~' => out.push(c),
            '【' => out.push('['),
            '】' => out.push(']'),
            '…' => out.push_str("..."),
            '‘' | '’' => out.push('\''),
            '“' | '”' => out.push('"'),
            '\u{2010}'..='\u{2015}' => out.push('-'),
            c if c.is_whitespace() => out.push(' '),
            _ => out.push('?'),
        }
    }
    if out.len() > LONGEST {
        out.truncate(LONGEST - CUT.len());
        out.push_str(CUT);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::{CommandStatus, Frame, Pdu};

    fn said_in(command: CommandId, entries: &[u8], said: &str) -> String {
        let body = body(command, entries, Some(said));
        let frame = Frame::new(command.response(), CommandStatus(0x0483), 1, &body);
        let text = match Pdu::decode(&frame).unwrap() {
            Pdu::SubmitSmResp(pdu) => pdu.tlvs.additional_status_info_text(),
            Pdu::SubmitMultiResp(pdu) => pdu.tlvs.additional_status_info_text(),
            Pdu::DataSmResp(pdu) => pdu.tlvs.additional_status_info_text(),
            Pdu::BroadcastSmResp(pdu) => pdu.tlvs.additional_status_info_text(),
            other => panic!("{other:?}"),
        };
        text.unwrap().to_string()
    }

    #[test]
    fn every_answer_with_room_for_it_says_why() {
        for command in [CommandId::SUBMIT_SM, CommandId::SUBMIT_MULTI, CommandId::DATA_SM, CommandId::BROADCAST_SM] {
            assert_eq!(said_in(command, &[], "R05 name: none"), "R05 name: none");
        }
        let entry = [1, 1, b'8', b'6', 0, 0, 0, 4, 0x83];
        assert_eq!(said_in(CommandId::SUBMIT_MULTI, &entry, "R05"), "R05");
        assert!(body(CommandId::REPLACE_SM, &[], Some("R05")).is_empty());
        assert!(body(CommandId::SUBMIT_SM, &[], None).is_empty());
    }

    #[test]
    fn the_octets_are_those_of_the_specification() {
        let octets = body(CommandId::SUBMIT_SM, &[], Some("no 【name】…"));
        assert_eq!(&octets[..], b"\0\x00\x1D\x00\x0Dno [name]...\0");
    }

    #[test]
    fn what_is_not_ascii_is_told_as_well_as_it_goes_and_no_more_than_255_octets() {
        assert_eq!(ascii("【青禾】“x” – y\n"), "[??]\"x\" - y ");
        let long = ascii(&"号".repeat(400));
        assert_eq!((long.len(), &long[LONGEST - 4..]), (LONGEST, "?..."));
        let exact = "a".repeat(LONGEST);
        assert_eq!(ascii(&exact), exact);
        assert_eq!(text(&exact).len(), 4 + 255);
    }
}
