//! The counted lists of `submit_multi` and `submit_multi_resp`.
//!
//! Owns lists that are known to hold as many entries as they claim, kept as the bytes they
//! came in. Refuses an entry of unknown kind: nothing after it could be found. Driven by
//! the pair in `multi`.

use bytes::{BufMut, BytesMut};
use nom::Parser;
use nom::combinator::recognize;
use nom::multi::fold;

use crate::address::{Address, AddressFields, DESTINATION, address};
use crate::error::BodyFault;
use crate::field::{COctetString, Parsed, c_octet_string, octet, word};
use crate::status::CommandStatus;

/// The two values of `dest_flag`.
const SME_ADDRESS: u8 = 1;
const DISTRIBUTION_LIST: u8 = 2;

const UNSUCCESSFUL: AddressFields = AddressFields { status: CommandStatus::ESME_RSUBMITFAIL, ..DESTINATION };

/// One `dest_address` (SMPP 3.4 §4.5.1.1, SMPP 5.0 §4.2.3.1.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `dest_flag` | 1 | 1 an SME's address, 2 a distribution list |
/// | `dest_addr_ton`, `dest_addr_npi`, `destination_addr` | 1 + 1 + ≤ 21 | where 1 |
/// | `dl_name` | ≤ 21 | where 2, C-octet string |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination<'a> {
    /// One subscriber.
    Sme(Address<'a>),
    /// A list kept at the carrier.
    DistributionList(COctetString<'a>),
}

impl<'a> Destination<'a> {
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        match octet("dest_flag")(input)? {
            (input, SME_ADDRESS) => address(DESTINATION)(input).map(|(input, sme)| (input, Self::Sme(sme))),
            (input, DISTRIBUTION_LIST) => c_octet_string("dl_name", CommandStatus::ESME_RINVDLNAME)(input)
                .map(|(input, name)| (input, Self::DistributionList(name))),
            _ => Err(nom::Err::Error(BodyFault {
                field: "dest_flag",
                fault: "expected 1 (SME address) or 2 (distribution list)",
                status: CommandStatus::ESME_RINVDESTFLAG,
            })),
        }
    }

    /// Appends the entry.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Sme(sme) => {
                out.put_u8(SME_ADDRESS);
                sme.encode(out);
            }
            Self::DistributionList(name) => {
                out.put_u8(DISTRIBUTION_LIST);
                name.encode(out);
            }
        }
    }
}

/// One `unsuccess_sme` (SMPP 3.4 §4.5.2.1, SMPP 5.0 §4.2.3.2.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `dest_addr_ton`, `dest_addr_npi`, `destination_addr` | 1 + 1 + ≤ 21 | |
/// | `error_status_code` | 4 | |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsuccessful<'a> {
    /// Who does not get the message.
    pub destination: Address<'a>,
    /// Why.
    pub error_status_code: CommandStatus,
}

impl<'a> Unsuccessful<'a> {
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, destination) = address(UNSUCCESSFUL)(input)?;
        let (input, code) = word("error_status_code")(input)?;
        Ok((input, Self { destination, error_status_code: CommandStatus(code) }))
    }

    /// Appends the entry.
    pub fn encode(&self, out: &mut BytesMut) {
        self.destination.encode(out);
        out.put_u32(self.error_status_code.0);
    }
}

/// A list whose number of entries has been checked.
macro_rules! counted {
    ($(#[$doc:meta])* $name:ident of $entry:ident, $number:literal, $status:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name<'a> {
            count: u8,
            entries: &'a [u8],
        }

        impl<'a> $name<'a> {
            pub(super) fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
                let (input, count) = octet($number)(input)?;
                let each = fold(usize::from(count), $entry::parse, || (), |(), _| ());
                recognize(each).map(|entries| Self { count, entries }).parse(input)
            }

            /// A list of entries encoded one after the other, at most 255.
            pub fn from_bytes(entries: &'a [u8]) -> Result<Self, BodyFault> {
                let (mut rest, mut count) = (entries, 0_u8);
                while !rest.is_empty() {
                    (rest, _) = $entry::parse(rest)?;
                    count = count.checked_add(1).ok_or(BodyFault {
                        field: $number,
                        fault: "expected at most 255",
                        status: CommandStatus::$status,
                    })?;
                }
                Ok(Self { count, entries })
            }

            /// How many entries there are.
            pub const fn len(&self) -> usize {
                self.count as usize
            }

            /// Whether the list is empty.
            pub const fn is_empty(&self) -> bool {
                self.count == 0
            }

            /// The entries in order.
            pub fn iter(&self) -> impl Iterator<Item = $entry<'a>> + use<'a> {
                let mut rest = self.entries;
                std::iter::from_fn(move || {
                    let (after, entry) = $entry::parse(rest).ok()?;
                    rest = after;
                    Some(entry)
                })
            }

            /// Appends the number and the entries.
            pub fn encode(&self, out: &mut BytesMut) {
                out.put_u8(self.count);
                out.put_slice(self.entries);
            }
        }

        impl std::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        }
    };
}

counted! {
    /// `number_of_dests` and the `dest_address`es.
    Destinations of Destination, "number_of_dests", ESME_RINVNUMDESTS
}

counted! {
    /// `no_unsuccess` and the `unsuccess_sme`s.
    UnsuccessfulSmes of Unsuccessful, "no_unsuccess", ESME_RINVNUMDESTS
}
