//! Stand-ins for the protocol's address and text types.

use std::borrow::Cow;

/// A C-Octet String without its NUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct COctetString<'a>(pub &'a [u8]);
/// Type of number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ton(pub u8);
/// Numbering plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Npi(pub u8);
/// An address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address<'a> {
    /// Type of number.
    pub ton: Ton,
    /// Numbering plan.
    pub npi: Npi,
    /// The number.
    pub addr: COctetString<'a>,
}
/// Why a text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opaque {
    /// Binary.
    Binary,
}
/// A message's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// Readable.
    Readable(Cow<'a, str>),
    /// Not readable.
    Opaque(Opaque),
}
/// Place of a part in a long message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concatenation {
    /// The reference.
    pub reference: u16,
    /// How many parts.
    pub total: u8,
    /// Which part.
    pub number: u8,
}
