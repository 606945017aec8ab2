//! What a delivery receipt says (SMPP 3.4 §5.3.2 and appendix B).
//!
//! Owns the reading of receipts, from TLVs first and from their text where those lack.
//! Refuses to insist on a form: carriers differ in every field. Driven by the desk.

use std::borrow::Cow;

use portcullis_protocol::Pdu;
use portcullis_protocol::field::EsmClass;
use portcullis_protocol::tlv::{MessageState, Tlvs};

use super::record::Receipt;

/// Reads the receipt in a `deliver_sm` or `data_sm`; `None` for a subscriber's own message.
pub(super) fn read<'a>(pdu: &Pdu<'a>, text: Option<&'a str>) -> Option<Receipt<'a>> {
    let (esm_class, tlvs) = match pdu {
        Pdu::DeliverSm(pdu) => (pdu.esm_class, pdu.tlvs),
        Pdu::DataSm(pdu) => (pdu.esm_class, pdu.tlvs),
        _ => return None,
    };
    if !is_receipt(esm_class, tlvs) {
        return None;
    }
    let text = text.unwrap_or_default();
    let by_tlv = tlvs.receipted_message_id().map(|id| String::from_utf8_lossy(id.0));
    let state = tlvs.message_state().map(state_word);
    Some(Receipt {
        message_id: by_tlv.or_else(|| field(text, "id").map(Cow::Borrowed)),
        state: field(text, "stat").map(Cow::Borrowed).or(state),
        error: field(text, "err").map(Cow::Borrowed),
    })
}

/// The word a receipt's text has for a `message_state` (SMPP 3.4 §5.2.28 and appendix B).
fn state_word(state: MessageState) -> Cow<'static, str> {
    match state.0 {
        1 => "ENROUTE".into(),
        2 => "DELIVRD".into(),
        3 => "EXPIRED".into(),
        4 => "DELETED".into(),
        5 => "UNDELIV".into(),
        6 => "ACCEPTD".into(),
        7 => "UNKNOWN".into(),
        8 => "REJECTD".into(),
        other => format!("{other}").into(),
    }
}

/// Marked as one, or naming the message it is about.
fn is_receipt(esm_class: EsmClass, tlvs: Tlvs<'_>) -> bool {
    esm_class.is_delivery_receipt() || esm_class.is_intermediate_notification() || tlvs.receipted_message_id().is_some()
}

/// The value of `name:` in a receipt's text.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text
        .match_indices(name)
        .find(|(at, found)| {
            let starts_word = text[..*at].chars().next_back().is_none_or(char::is_whitespace);
            starts_word && text[at + found.len()..].starts_with(':')
        })
        .map(|(at, found)| at + found.len() + 1)?;
    text[start..].split_whitespace().next().filter(|value| !value.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "id:0123456789 sub:001 dlvrd:001 submit date:2611231015 done date:2611231016 stat:DELIVRD err:000 text:id:9";

    #[test]
    fn fields_are_read_by_name_wherever_they_stand() {
        assert_eq!(field(TEXT, "id"), Some("0123456789"));
        assert_eq!(field(TEXT, "stat"), Some("DELIVRD"));
        assert_eq!(field("stat:EXPIRED id:ab-12", "id"), Some("ab-12"));
    }

    #[test]
    fn a_name_inside_another_word_is_not_the_field() {
        assert_eq!(field("mid:7 stat:DELIVRD", "id"), None);
        assert_eq!(field("id: stat:DELIVRD", "id"), None);
    }
}
