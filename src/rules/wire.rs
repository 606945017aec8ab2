//! The protocol's values that a submission is made of.

pub use portcullis_protocol::text::{Concatenation, Opaque, Text};

/// A C-Octet String without its NUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct COctetString<'a>(pub &'a [u8]);
/// Type of number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ton(pub u8);
/// Numbering plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Npi(pub u8);
impl Ton {
    /// Unknown.
    pub const UNKNOWN: Self = Self(0);
    /// International.
    pub const INTERNATIONAL: Self = Self(1);
    /// Alphanumeric.
    pub const ALPHANUMERIC: Self = Self(5);
}
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
