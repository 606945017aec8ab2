//! Optional parameters: the tail of a body, kept as the bytes it came in.
//!
//! Owns reading that tail in order and appending to it. Refuses to reorder, to drop or to
//! refuse anything: unknown tags, duplicates and octets that are no TLV at all survive,
//! and reading stops where a TLV claims more than the PDU holds. Driven by every operation.

use bytes::{BufMut, BytesMut};

mod tag;
mod typed;

pub use tag::TlvTag;
pub use typed::{CallbackNumber, CongestionState, MessageState, NetworkErrorCode, Sar, Subunit};

/// Octets of a TLV's tag and length.
const HEADER: usize = 4;

/// One optional parameter (SMPP 3.4 §3.2.4.1, SMPP 5.0 §3.1.2).
///
/// | field | octets |
/// |---|---|
/// | tag | 2 |
/// | length | 2, of the value only |
/// | value | length |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tlv<'a> {
    /// What the value means.
    pub tag: TlvTag,
    /// The value, of any length.
    pub value: &'a [u8],
}

/// Everything after an operation's mandatory fields, in order and untouched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tlvs<'a>(&'a [u8]);

impl<'a> Tlvs<'a> {
    /// No optional parameter.
    pub const NONE: Tlvs<'static> = Tlvs(&[]);

    /// The tail of a body, or what [`push`] built.
    pub const fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The tail as it stood on the wire.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing follows the mandatory fields.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parameters in order; ends at the first that does not fit.
    pub fn iter(&self) -> Iter<'a> {
        Iter { rest: &self.0[self.stray()..] }
    }

    /// The first parameter with this tag.
    #[inline]
    pub fn get(&self, tag: TlvTag) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }

    /// Every parameter with this tag: `callback_num` may repeat, others do in practice.
    pub fn get_all(&self, tag: TlvTag) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter().filter(move |tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }

    /// The octets at the end that are no whole TLV; empty in a well-formed tail.
    pub fn rest(&self) -> &'a [u8] {
        let mut iter = self.iter();
        while iter.next().is_some() {}
        iter.rest
    }

    /// Whether the tail ends in something that is no whole TLV.
    pub fn is_truncated(&self) -> bool {
        !self.rest().is_empty()
    }

    /// The tag of a last parameter that claims more octets than the PDU holds.
    pub fn truncated_tag(&self) -> Option<TlvTag> {
        let (tag, _) = self.rest().split_first_chunk::<2>()?;
        Some(TlvTag(u16::from_be_bytes(*tag)))
    }

    /// Appends the tail as it stands.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(self.0);
    }

    /// 1 where a lone NUL stands before the parameters, 0 otherwise.
    ///
    /// Peers that end `short_message` with a NUL outside `sm_length` put it here. It is
    /// stepped over only if the tail reads to its end that way and not the other.
    fn stray(&self) -> usize {
        match self.0 {
            [0, rest @ ..] if !is_whole(self.0) && is_whole(rest) => 1,
            _ => 0,
        }
    }
}

/// Whether `bytes` are TLVs from the first octet to the last.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let mut iter = Iter { rest: bytes };
    while iter.next().is_some() {}
    iter.rest.is_empty()
}

impl std::fmt::Debug for Tlvs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut list = f.debug_list();
        list.entries(self.iter());
        if self.is_truncated() {
            list.entry(&format_args!("rest \"{}\"", self.rest().escape_ascii()));
        }
        list.finish()
    }
}

impl<'a> IntoIterator for Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The parameters of a tail, in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Tlv<'a>;

    #[inline]
    fn next(&mut self) -> Option<Tlv<'a>> {
        let (&[t0, t1, l0, l1], rest) = self.rest.split_first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let (value, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Tlv { tag: TlvTag(u16::from_be_bytes([t0, t1])), value })
    }
}

impl std::iter::FusedIterator for Iter<'_> {}

/// Appends one parameter to a tail; a value is cut at the 65,535 octets a length can count.
pub fn push(out: &mut BytesMut, tag: TlvTag, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.reserve(HEADER + usize::from(length));
    out.put_u16(tag.0);
    out.put_u16(length);
    out.put_slice(&value[..usize::from(length)]);
}

#[cfg(test)]
mod tests;
