//! The kinds of field a body is made of, and the parsers of each.
//!
//! Owns C-octet strings and the one-octet fields with bits of their own. Refuses to judge
//! a value: over-long strings and reserved codes survive, and only what cannot be read
//! (no NUL, octets missing) is a [`BodyFault`]. Driven by the parsers under `pdu`.

use bytes::{BufMut, BytesMut};
use nom::bytes::complete::take;
use nom::number::complete::be_u32;
use nom::{Err, IResult};

use crate::error::BodyFault;
use crate::status::CommandStatus;

/// What every body parser returns: what is left, and the value.
pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, BodyFault>;

/// A C-octet string (SMPP 3.4 §3.1, SMPP 5.0 §3.1.1), without its terminating NUL.
///
/// A NUL inside cannot be expressed on the wire: encoding stops at the first one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct COctetString<'a>(pub &'a [u8]);

impl<'a> COctetString<'a> {
    /// The text, where the octets are UTF-8 (ASCII, by the specification).
    pub fn as_str(&self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }

    /// The octets, without the NUL.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether only the NUL stood there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the octets and their NUL.
    #[inline]
    pub fn encode(&self, out: &mut BytesMut) {
        let octets =
            if holds_nul(self.0) { self.0.split(|&octet| octet == 0).next().unwrap_or_default() } else { self.0 };
        if !octets.is_empty() {
            out.put_slice(octets);
        }
        out.put_u8(0);
    }
}

impl<'a> From<&'a str> for COctetString<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl std::fmt::Display for COctetString<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl std::fmt::Debug for COctetString<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// One octet whose every value survives, shown in hexadecimal.
macro_rules! octet_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub u8);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:#04x}", self.0)
            }
        }
    };
}
pub(crate) use octet_newtype;

octet_newtype! {
    /// `esm_class`: messaging mode, message type and GSM features (SMPP 3.4 §5.2.12, SMPP 5.0 §4.7.12).
    EsmClass
}

impl EsmClass {
    /// A user-data header opens the message.
    pub const UDHI: Self = Self(0x40);
    /// A reply path is set.
    pub const REPLY_PATH: Self = Self(0x80);
    /// The message is an MC delivery receipt.
    pub const DELIVERY_RECEIPT: Self = Self(0x04);
    /// The message is an intermediate delivery notification.
    pub const INTERMEDIATE_NOTIFICATION: Self = Self(0x20);

    /// Whether a user-data header opens the message.
    pub const fn has_udhi(self) -> bool {
        self.0 & Self::UDHI.0 != 0
    }

    /// Whether a reply path is set.
    pub const fn has_reply_path(self) -> bool {
        self.0 & Self::REPLY_PATH.0 != 0
    }

    /// Bits 1-0: default, datagram, forward (transaction) or store-and-forward mode.
    pub const fn messaging_mode(self) -> u8 {
        self.0 & 0x03
    }

    /// Bits 5-2, in place: 0x00 a plain message, 0x04 a receipt, 0x08 and 0x10
    /// acknowledgements, 0x18 conversation abort, 0x20 an intermediate notification.
    pub const fn message_type(self) -> u8 {
        self.0 & 0x3C
    }

    /// Whether the message is an MC delivery receipt, whatever the other bits say.
    pub const fn is_delivery_receipt(self) -> bool {
        self.message_type() == Self::DELIVERY_RECEIPT.0
    }

    /// Whether the message is an intermediate delivery notification.
    pub const fn is_intermediate_notification(self) -> bool {
        self.message_type() == Self::INTERMEDIATE_NOTIFICATION.0
    }
}

octet_newtype! {
    /// `registered_delivery`: which receipts are wanted (SMPP 3.4 §5.2.17, SMPP 5.0 §4.7.21).
    RegisteredDelivery
}

impl RegisteredDelivery {
    /// A receipt on success and on failure.
    pub const RECEIPT: Self = Self(0x01);
    /// A receipt on failure only.
    pub const RECEIPT_ON_FAILURE: Self = Self(0x02);
    /// A receipt on success only (SMPP 5.0).
    pub const RECEIPT_ON_SUCCESS: Self = Self(0x03);

    /// Whether an MC delivery receipt is asked for, in any case.
    pub const fn wants_receipt(self) -> bool {
        self.0 & 0x03 != 0
    }

    /// Whether a receipt is asked for when delivery fails.
    pub const fn wants_receipt_on_failure(self) -> bool {
        matches!(self.0 & 0x03, 0x01 | 0x02)
    }

    /// Whether intermediate notifications are asked for.
    pub const fn wants_intermediate(self) -> bool {
        self.0 & 0x10 != 0
    }
}

octet_newtype! {
    /// `data_coding`: alphabet and class of the message (SMPP 3.4 §5.2.19, SMPP 5.0 §4.7.7).
    DataCoding
}

impl DataCoding {
    /// The carrier's default alphabet.
    pub const DEFAULT: Self = Self(0x00);
    /// IA5, also ASCII.
    pub const IA5: Self = Self(0x01);
    /// Octets without a meaning as text.
    pub const BINARY: Self = Self(0x02);
    /// ISO-8859-1.
    pub const LATIN1: Self = Self(0x03);
    /// Octets without a meaning as text; 8-bit data in GSM 03.38.
    pub const BINARY_8BIT: Self = Self(0x04);
    /// JIS X 0208.
    pub const JIS: Self = Self(0x05);
    /// ISO-8859-5.
    pub const CYRILLIC: Self = Self(0x06);
    /// ISO-8859-8.
    pub const HEBREW: Self = Self(0x07);
    /// UCS-2, big-endian.
    pub const UCS2: Self = Self(0x08);
    /// Pictograms.
    pub const PICTOGRAM: Self = Self(0x09);
    /// ISO-2022-JP.
    pub const ISO_2022_JP: Self = Self(0x0A);
    /// Extended Kanji JIS X 0212.
    pub const EXTENDED_KANJI: Self = Self(0x0D);
    /// KS C 5601.
    pub const KS_C_5601: Self = Self(0x0E);

    /// The message class (3GPP TS 23.038 §4), where this is a GSM group that gives one: 0 is shown at once and not kept.
    pub const fn message_class(self) -> Option<u8> {
        match self.0 {
            0x10..=0x1F | 0x30..=0x3F | 0x50..=0x5F | 0x70..=0x7F | 0xF0..=0xFF => Some(self.0 & 0x03),
            _ => None,
        }
    }

    /// Whether the handset may throw the text away: message waiting indication, discard (3GPP TS 23.038 §4).
    pub const fn is_discarded(self) -> bool {
        self.0 & 0xF0 == 0xC0
    }
}

octet_newtype! {
    /// `interface_version` (SMPP 3.4 §5.2.4, SMPP 5.0 §4.7.13); peers send any value.
    InterfaceVersion
}

impl InterfaceVersion {
    /// SMPP 3.3, and everything a peer sends below it.
    pub const V3_3: Self = Self(0x33);
    /// SMPP 3.4.
    pub const V3_4: Self = Self(0x34);
    /// SMPP 5.0.
    pub const V5_0: Self = Self(0x50);
}

/// One octet; nom's `be_u8` counts octets in a loop and takes half as long again.
#[inline]
pub(crate) fn octet<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Parsed<'a, u8> {
    move |input| match input.split_first() {
        Some((&value, rest)) => Ok((rest, value)),
        None => Err(missing(field)),
    }
}

/// Four octets, big-endian.
pub(crate) fn word<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Parsed<'a, u32> {
    move |input| be_u32(input).map_err(|_: Unnamed| missing(field))
}

/// Octets up to a NUL, however many; `status` answers a string that never ends.
pub(crate) fn c_octet_string<'a>(
    field: &'static str,
    status: CommandStatus,
) -> impl Fn(&'a [u8]) -> Parsed<'a, COctetString<'a>> {
    move |input| match input.iter().position(|&octet| octet == 0) {
        Some(end) => Ok((&input[end + 1..], COctetString(&input[..end]))),
        None => Err(Err::Error(BodyFault { field, fault: "expected a NUL before the PDU's end", status })),
    }
}

/// An octet that counts, then as many octets: `sm_length` and `short_message`.
pub(crate) fn short_message(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (input, length) = octet("sm_length")(input)?;
    take(length)(input).map_err(|_: Unnamed| {
        Err::Error(BodyFault {
            field: "sm_length",
            fault: "expected at most the octets left in the PDU",
            status: CommandStatus::ESME_RINVMSGLEN,
        })
    })
}

/// A combinator's fault, before it has the field's name.
type Unnamed = Err<()>;

fn missing(field: &'static str) -> Err<BodyFault> {
    Err::Error(BodyFault { field, fault: "expected before the PDU's end", status: CommandStatus::ESME_RINVCMDLEN })
}

/// Whether a NUL is among `octets`, eight at a time.
#[inline]
fn holds_nul(octets: &[u8]) -> bool {
    let holds = |chunk: &[u8; 8]| {
        const LOW: u64 = 0x0101_0101_0101_0101;
        let chunk = u64::from_ne_bytes(*chunk);
        chunk.wrapping_sub(LOW) & !chunk & (LOW << 7) != 0
    };
    match octets.last_chunk() {
        Some(last) => octets.as_chunks().0.iter().any(holds) || holds(last),
        None => octets.contains(&0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_noticed_wherever_it_stands() {
        for length in 0..40 {
            let mut octets = vec![0x80; length];
            assert!(!holds_nul(&octets), "{length}");
            for at in 0..length {
                octets[at] = 0;
                assert!(holds_nul(&octets), "{length} {at}");
                octets[at] = 1;
            }
        }
    }

    #[test]
    fn a_string_is_encoded_up_to_its_first_nul() {
        let mut out = BytesMut::new();
        COctetString(b"abc\0def").encode(&mut out);
        COctetString(b"").encode(&mut out);
        assert_eq!(&out[..], b"abc\0\0");
    }

    #[test]
    fn esm_class_tells_receipts_whatever_else_is_set() {
        assert!([0x04, 0x44, 0x84].into_iter().all(|octet| EsmClass(octet).is_delivery_receipt()));
        assert!(![0x00, 0x08, 0x18, 0x20, 0x40].into_iter().any(|octet| EsmClass(octet).is_delivery_receipt()));
        assert!(EsmClass(0x60).is_intermediate_notification() && EsmClass(0x60).has_udhi());
    }
}
