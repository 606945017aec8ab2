//! The user-data header at the front of a message (3GPP TS 23.040 §9.2.3.24).
//!
//! Owns the information elements in whatever order they come: concatenation, application
//! ports, national language shift tables; others are kept and passed over. Refuses a header
//! whose lengths contradict each other. Driven by `text::read`, and by whoever joins parts.

/// Concatenated short messages, 8-bit reference (§9.2.3.24.1).
const CONCATENATION_8: u8 = 0x00;
/// Application port addressing, 8-bit (§9.2.3.24.3).
const PORT_8: u8 = 0x04;
/// Application port addressing, 16-bit (§9.2.3.24.4).
const PORT_16: u8 = 0x05;
/// Concatenated short messages, 16-bit reference (§9.2.3.24.8).
const CONCATENATION_16: u8 = 0x08;
/// National language single shift (§9.2.3.24.15).
const SINGLE_SHIFT: u8 = 0x24;
/// National language locking shift (§9.2.3.24.16).
const LOCKING_SHIFT: u8 = 0x25;

/// A header whose lengths are sound; empty where the message has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Udh<'a> {
    elements: &'a [u8],
    present: bool,
}

/// A header that runs past the message, or an element that runs past the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokenUdh;

/// One information element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InformationElement<'a> {
    /// What it is.
    pub identifier: u8,
    /// Its data, as many octets as its length said.
    pub data: &'a [u8],
}

/// Which part of which long message this is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Concatenation {
    /// Tells this long message from others between the same addresses; 0 is one of them.
    pub reference: u16,
    /// How many parts there are, at least 1.
    pub total: u8,
    /// This part, from 1 to `total`.
    pub number: u8,
}

/// The application a message is for, in place of the subscriber's eyes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ApplicationPort {
    /// Where it goes.
    pub destination: u16,
    /// Where it comes from.
    pub originator: u16,
}

impl<'a> Udh<'a> {
    /// Takes the header off the front of `message`; what is left is the text.
    ///
    /// | field | octets |
    /// |---|---|
    /// | UDHL | 1, not counting itself |
    /// | IEI, IEDL, data | 1, 1, IEDL; as often as fit |
    pub fn split(message: &'a [u8]) -> Result<(Self, &'a [u8]), BrokenUdh> {
        let (&length, rest) = message.split_first().ok_or(BrokenUdh)?;
        let (elements, text) = rest.split_at_checked(usize::from(length)).ok_or(BrokenUdh)?;
        let mut left = elements;
        while !left.is_empty() {
            (_, left) = split_element(left).ok_or(BrokenUdh)?;
        }
        Ok((Self { elements, present: true }, text))
    }

    /// The elements in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = InformationElement<'a>> + use<'a> {
        let mut left = self.elements;
        std::iter::from_fn(move || {
            let (element, rest) = split_element(left)?;
            left = rest;
            Some(element)
        })
    }

    /// Octets the header takes in the message, its length octet included.
    pub const fn octets(&self) -> usize {
        if self.present { self.elements.len() + 1 } else { 0 }
    }

    /// Whether the message had a header, be it an empty one.
    pub const fn is_present(&self) -> bool {
        self.present
    }

    /// Which part this is, by an 8- or a 16-bit reference.
    ///
    /// The last element counts where there are several (§9.2.3.24); one with no parts, or
    /// with a number that is not among them, is passed over as a handset passes it over.
    pub fn concatenation(&self) -> Option<Concatenation> {
        self.place().map(|(part, _)| part)
    }

    /// Whether the element that counts has a 16-bit reference, which is another than the same in 8 bits.
    pub fn has_wide_reference(&self) -> bool {
        self.place().is_some_and(|(_, wide)| wide)
    }

    fn place(&self) -> Option<(Concatenation, bool)> {
        let parts = self.iter().filter_map(|element| match (element.identifier, element.data) {
            (CONCATENATION_8, &[reference, total, number]) => {
                Some((Concatenation { reference: u16::from(reference), total, number }, false))
            }
            (CONCATENATION_16, &[high, low, total, number]) => {
                Some((Concatenation { reference: u16::from_be_bytes([high, low]), total, number }, true))
            }
            _ => None,
        });
        parts.filter(|(part, _)| (1..=part.total).contains(&part.number)).last()
    }

    /// The application this message is addressed to, 8- or 16-bit; the last one counts.
    pub fn application_port(&self) -> Option<ApplicationPort> {
        let ports = self.iter().filter_map(|element| match (element.identifier, element.data) {
            (PORT_8, &[destination, originator]) => {
                Some(ApplicationPort { destination: u16::from(destination), originator: u16::from(originator) })
            }
            (PORT_16, &[high, low, originator_high, originator_low]) => Some(ApplicationPort {
                destination: u16::from_be_bytes([high, low]),
                originator: u16::from_be_bytes([originator_high, originator_low]),
            }),
            _ => None,
        });
        ports.last()
    }

    /// The national language whose table stands behind every escape.
    pub fn single_shift(&self) -> Option<u8> {
        self.language(SINGLE_SHIFT)
    }

    /// The national language whose table replaces the default alphabet.
    pub fn locking_shift(&self) -> Option<u8> {
        self.language(LOCKING_SHIFT)
    }

    fn language(&self, identifier: u8) -> Option<u8> {
        let elements = self.iter().filter(|element| element.identifier == identifier);
        elements.filter_map(|element| element.data.first().copied()).last()
    }
}

fn split_element(octets: &[u8]) -> Option<(InformationElement<'_>, &[u8])> {
    let &[identifier, length, ref rest @ ..] = octets else { return None };
    let (data, rest) = rest.split_at_checked(usize::from(length))?;
    Some((InformationElement { identifier, data }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(message: &[u8]) -> Udh<'_> {
        Udh::split(message).unwrap().0
    }

    #[test]
    fn reads_both_widths_of_reference() {
        let part = Concatenation { reference: 0xAB, total: 3, number: 2 };
        assert_eq!(header(b"\x05\x00\x03\xAB\x03\x02text").concatenation(), Some(part));
        let part = Concatenation { reference: 0xABCD, total: 3, number: 2 };
        assert_eq!(header(b"\x06\x08\x04\xAB\xCD\x03\x02").concatenation(), Some(part));
    }

    #[test]
    fn reference_zero_is_a_reference() {
        let part = Concatenation { reference: 0, total: 2, number: 1 };
        assert_eq!(header(b"\x05\x00\x03\x00\x02\x01").concatenation(), Some(part));
    }

    #[test]
    fn finds_concatenation_behind_other_elements() {
        let message = b"\x0A\x70\x00\x24\x01\x01\x00\x03\x07\x02\x02rest";
        let (udh, text) = Udh::split(message).unwrap();
        assert_eq!(udh.concatenation(), Some(Concatenation { reference: 7, total: 2, number: 2 }));
        assert_eq!(udh.iter().map(|element| element.identifier).collect::<Vec<_>>(), [0x70, 0x24, 0x00]);
        assert_eq!((text, udh.octets()), (&b"rest"[..], 11));
    }

    #[test]
    fn passes_over_impossible_parts() {
        for part in [[1, 0, 0], [1, 2, 0], [1, 2, 3], [1, 0, 1]] {
            let message = [&[5, 0, 3][..], &part].concat();
            assert_eq!(header(&message).concatenation(), None, "{part:?}");
        }
        assert_eq!(header(b"\x06\x00\x04\x01\x02\x01\x00").concatenation(), None);
    }

    #[test]
    fn the_last_of_several_counts() {
        let message = b"\x0B\x00\x03\x01\x02\x01\x08\x04\x00\x02\x03\x01";
        assert_eq!(header(message).concatenation(), Some(Concatenation { reference: 2, total: 3, number: 1 }));
    }

    #[test]
    fn reads_both_widths_of_port() {
        let port = ApplicationPort { destination: 2948, originator: 9200 };
        assert_eq!(header(b"\x06\x05\x04\x0B\x84\x23\xF0").application_port(), Some(port));
        let port = ApplicationPort { destination: 0xF0, originator: 0xF1 };
        assert_eq!(header(b"\x04\x04\x02\xF0\xF1").application_port(), Some(port));
    }

    #[test]
    fn reads_shift_tables() {
        let udh = header(b"\x06\x24\x01\x01\x25\x01\x03");
        assert_eq!((udh.single_shift(), udh.locking_shift()), (Some(1), Some(3)));
    }

    #[test]
    fn an_empty_header_is_a_header() {
        let (udh, text) = Udh::split(b"\x00hi").unwrap();
        assert!(udh.is_present() && udh.iter().next().is_none());
        assert_eq!((udh.octets(), text), (1, &b"hi"[..]));
        assert_eq!(Udh::default().octets(), 0);
    }

    #[test]
    fn refuses_lengths_that_contradict() {
        for message in [&b""[..], b"\x05\x00\x03\x01", b"\x01\x00", b"\x02\x00\x01x", b"\x06\x00\x03\x01\x02\x01\x08"] {
            assert_eq!(Udh::split(message), Err(BrokenUdh), "{message:02x?}");
        }
    }

    proptest! {
        #[test]
        fn elements_and_text_are_all_there_is(message in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok((udh, text)) = Udh::split(&message) {
                let elements: usize = udh.iter().map(|element| element.data.len() + 2).sum();
                prop_assert_eq!(1 + elements + text.len(), message.len());
                if let Some(part) = udh.concatenation() {
                    prop_assert!(part.number >= 1 && part.number <= part.total);
                }
            }
        }
    }
}
