//! What a delivery receipt says (SMPP 3.4 §5.3.2 and appendix B).
//!
//! Owns the reading of receipts, from TLVs first and from their text where those lack.
//! Refuses to insist on a form: carriers differ in every field. Driven by the desk and by searches.

use std::borrow::Cow;
use std::ops::Range;

use jiff::civil::{DateTime, date};
use portcullis_protocol::Pdu;
use portcullis_protocol::field::EsmClass;
use portcullis_protocol::tlv::{MessageState, Tlvs};

use super::record::Receipt;

/// What makes a receipt of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// `esm_class` or a TLV, which no subscriber sets.
    Carrier,
    /// Its text alone, which a subscriber could have typed.
    Text,
}

/// Reads the receipt in a `deliver_sm` or `data_sm`; `None` for a subscriber's own message.
pub(super) fn read<'a>(pdu: &Pdu<'a>, text: Option<&'a str>) -> Option<(Receipt<'a>, Mark)> {
    let (esm_class, tlvs) = match pdu {
        Pdu::DeliverSm(pdu) => (pdu.esm_class, pdu.tlvs),
        Pdu::DataSm(pdu) => (pdu.esm_class, pdu.tlvs),
        _ => return None,
    };
    let text = text.unwrap_or_default();
    let mark = if is_marked(esm_class, tlvs) { Mark::Carrier } else { Mark::Text };
    if mark == Mark::Text && !looks_like_one(text) {
        return None;
    }
    let by_tlv = tlvs.receipted_message_id().filter(|id| !id.is_empty()).map(|id| String::from_utf8_lossy(id.0));
    let state = tlvs.message_state().map(state_word);
    let receipt = Receipt {
        message_id: by_tlv.or_else(|| field(text, "id").map(Cow::Borrowed)),
        state: field(text, "stat").map(Cow::Borrowed).or(state),
        error: field(text, "err").map(Cow::Borrowed),
    };
    Some((receipt, mark))
}

/// The text a receipt repeats is somebody else's word: what stands before it.
pub(super) fn own_words(text: &str) -> &str {
    let quoted = find(text, "text").map(|(at, _)| at);
    &text[..quoted.unwrap_or(text.len())]
}

/// When the carrier says that the message ended, by its own clock: with or without seconds, the year in two digits
/// or four.
pub(super) fn done_date(text: &str) -> Option<DateTime> {
    let digits = field(text, "done date")?;
    if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let year_digits = match digits.len() {
        10 => 2,
        // Twelve are seconds behind two digits of year, or none behind four, where those make sense.
        12 if digits.starts_with("20") && read_date(digits, 4).is_some() && read_date(digits, 2).is_none() => 4,
        12 => 2,
        14 => 4,
        _ => return None,
    };
    read_date(digits, year_digits)
}

fn read_date(digits: &str, year_digits: usize) -> Option<DateTime> {
    let (year, rest) = digits.split_at_checked(year_digits)?;
    let year: i16 = year.parse().ok()?;
    let year = if year_digits == 2 { 2000 + year } else { year };
    let part = |at: usize| rest.get(at..at + 2).map_or(Some(0), |text| text.parse::<i8>().ok());
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    jiff::civil::Date::new(year, month, day).ok()?;
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    Some(date(year, month, day).to_datetime(time))
}

/// A state in the specification's word for it, and whether nothing comes after it.
pub(super) fn state(given: &str) -> (Cow<'_, str>, Ending) {
    let word = given.to_ascii_uppercase();
    let number = given.parse().ok().map(MessageState);
    let (word, ending) = match number.map_or(Cow::Owned(word), state_word).as_ref() {
        "DELIVRD" | "DELIVERED" => ("DELIVRD", Ending::Delivered),
        "EXPIRED" => ("EXPIRED", Ending::Failed),
        "DELETED" => ("DELETED", Ending::Failed),
        "UNDELIV" | "UNDELIVERABLE" | "FAILED" => ("UNDELIV", Ending::Failed),
        "REJECTD" | "REJECTED" => ("REJECTD", Ending::Failed),
        "UNKNOWN" => ("UNKNOWN", Ending::Failed),
        "SKIPPED" => ("SKIPPED", Ending::Failed),
        // The specification counts it among the last states; carriers send it before those.
        "ACCEPTD" | "ACCEPTED" => ("ACCEPTD", Ending::None),
        "ENROUTE" | "BUFFRED" | "BUFFERD" | "BUFFERED" | "ACKED" => ("ENROUTE", Ending::None),
        "SCHEDLD" | "SCHEDULED" => ("SCHEDLD", Ending::None),
        _ => return (Cow::Borrowed(given), Ending::Unclear),
    };
    (Cow::Borrowed(word), ending)
}

/// Whether a state is a message's last; in the order in which one counts more than another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Ending {
    /// Others follow.
    None,
    /// A word nobody knows.
    Unclear,
    /// It did not arrive.
    Failed,
    /// It arrived.
    Delivered,
}

/// The word a receipt's text has for a `message_state` (SMPP 3.4 §5.2.28 and appendix B).
fn state_word(state: MessageState) -> Cow<'static, str> {
    match state.0 {
        0 => "SCHEDLD".into(),
        1 => "ENROUTE".into(),
        2 => "DELIVRD".into(),
        3 => "EXPIRED".into(),
        4 => "DELETED".into(),
        5 => "UNDELIV".into(),
        6 => "ACCEPTD".into(),
        7 => "UNKNOWN".into(),
        8 => "REJECTD".into(),
        9 => "SKIPPED".into(),
        other => format!("{other}").into(),
    }
}

/// The message type of an SME's acknowledgement, under which some carriers send their receipts.
const SME_ACKNOWLEDGEMENT: u8 = 0x08;

fn is_marked(esm_class: EsmClass, tlvs: Tlvs<'_>) -> bool {
    esm_class.is_delivery_receipt()
        || esm_class.is_intermediate_notification()
        || esm_class.message_type() == SME_ACKNOWLEDGEMENT
        || tlvs.receipted_message_id().is_some()
        || tlvs.message_state().is_some()
}

/// Whether the text has the form of appendix B: an id at its head, and a state that is one.
fn looks_like_one(text: &str) -> bool {
    let text = text.trim_start();
    let has_id = text.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("id:")) && field(text, "id").is_some();
    has_id && field(text, "stat").is_some_and(|given| state(given).1 != Ending::Unclear)
}

/// The value of `name:` in a receipt's text, before the text it repeats.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = find(own_words(text), name)?;
    let value = value.split_whitespace().next()?.trim_end_matches([',', ';']);
    (!value.is_empty() && !value.contains(':')).then_some(value)
}

/// Where the message id stands in a receipt's text.
pub(super) fn id_range(text: &str) -> Option<Range<usize>> {
    let value = field(text, "id")?;
    let (start, _) = find(own_words(text), "id")?;
    let at = start + "id:".len() + text[start + "id:".len()..].find(value)?;
    Some(at..at + value.len())
}

/// Where `name:` stands, in whichever case, and what follows it.
fn find<'a>(text: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let starts_word = |at: usize| text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != ':');
    let is_here = |at: usize| {
        let end = at + name.len();
        text.get(at..end).is_some_and(|found| found.eq_ignore_ascii_case(name)) && text[end..].starts_with(':')
    };
    let at = text.char_indices().map(|(at, _)| at).find(|&at| is_here(at) && starts_word(at))?;
    Some((at, &text[at + name.len() + 1..]))
}

#[cfg(test)]
mod tests;
