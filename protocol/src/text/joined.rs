//! The text of a long message from all its parts.
//!
//! Owns what happens at the seams: an escape pair, a surrogate pair or a code unit that is cut
//! in two is whole again. Refuses to find out which parts belong together. Driven by the gate
//! once the last part is there.

use super::udh::{BrokenUdh, Udh};
use super::{Alphabet, Opaque, Text, TextSettings, coding, gsm7, read_body, read_septets, split};
use crate::field::{DataCoding, EsmClass};

/// One part, its user-data header included.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// How this part's octets are to be read.
    pub data_coding: DataCoding,
    /// Tells whether a header comes first.
    pub esm_class: EsmClass,
    /// The message's octets in this part.
    pub octets: &'a [u8],
}

/// Consecutive pieces of one `data_coding`, joined.
struct Run<'a> {
    data_coding: DataCoding,
    headers: Vec<Udh<'a>>,
    octets: Vec<u8>,
}

/// Reads all pieces, in their order, as one text. Opaque as soon as one of them is.
pub fn read_joined<'a>(pieces: impl IntoIterator<Item = Piece<'a>>, settings: &TextSettings) -> Text<'static> {
    match joined(pieces, settings) {
        Ok(text) => Text::Readable(text.into()),
        Err(opaque) => Text::Opaque(opaque),
    }
}

fn joined<'a>(pieces: impl IntoIterator<Item = Piece<'a>>, settings: &TextSettings) -> Result<String, Opaque> {
    let mut text = String::new();
    let mut run: Option<Run<'a>> = None;
    for piece in pieces {
        let (header, octets) = split(piece.esm_class, piece.octets).map_err(|BrokenUdh| Opaque::BrokenUdh)?;
        if let Some(port) = header.application_port() {
            return Err(Opaque::PortAddressed(port.destination));
        }
        if let Some(ended) = run.take_if(|run| run.data_coding != piece.data_coding) {
            text.push_str(&ended.read(settings)?);
        }
        let data_coding = piece.data_coding;
        run.get_or_insert_with(|| Run { data_coding, headers: Vec::new(), octets: Vec::new() })
            .add(header, octets, settings)?;
    }
    if let Some(run) = run {
        text.push_str(&run.read(settings)?);
    }
    Ok(text)
}

impl<'a> Run<'a> {
    fn add(&mut self, header: Udh<'a>, octets: &[u8], settings: &TextSettings) -> Result<(), Opaque> {
        match coding::alphabet(self.data_coding.0, settings)? {
            Alphabet::Gsm7 if settings.packed_gsm7 => {
                self.octets.extend(gsm7::unpack(octets, gsm7::fill_bits(header.octets())));
            }
            // Each part may carry a byte order mark; inside a text it would be a character.
            Alphabet::Utf16 if !self.headers.is_empty() => {
                let marked = octets.starts_with(&[0xFE, 0xFF]) || octets.starts_with(&[0xFF, 0xFE]);
                self.octets.extend_from_slice(&octets[if marked { 2 } else { 0 }..]);
            }
            _ => self.octets.extend_from_slice(octets),
        }
        self.headers.push(header);
        Ok(())
    }

    fn read(&self, settings: &TextSettings) -> Result<String, Opaque> {
        for header in &self.headers {
            if coding::alphabet(self.data_coding.0, settings)? == Alphabet::Gsm7 {
                read_septets(header, &self.octets)?;
            }
        }
        // Packed septets were unpacked part by part: what is joined here is not packed any more.
        let unpacked = TextSettings { packed_gsm7: false, ..*settings };
        let (text, ..) = read_body(self.data_coding, &Udh::default(), &self.octets, &unpacked)?;
        Ok(text.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::read;

    const UDHI: EsmClass = EsmClass(0x40);

    fn piece(data_coding: u8, octets: &[u8]) -> Piece<'_> {
        Piece { data_coding: DataCoding(data_coding), esm_class: EsmClass(0), octets }
    }

    fn text(pieces: &[Piece<'_>]) -> Text<'static> {
        read_joined(pieces.iter().copied(), &TextSettings::default())
    }

    fn readable(text: &str) -> Text<'static> {
        Text::Readable(text.to_owned().into())
    }

    #[test]
    fn pairs_cut_at_a_seam_are_whole_again() {
        assert_eq!(text(&[piece(0, b"only \x1B"), piece(0, b"e9")]), readable("only €9"));
        let happy: Vec<u8> = "好😀".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for at in 0..=happy.len() {
            let (one, two) = happy.split_at(at);
            assert_eq!(text(&[piece(8, one), piece(8, two)]), readable("好😀"), "cut at {at}");
        }
    }

    #[test]
    fn parts_may_differ_in_coding() {
        assert_eq!(
            text(&[piece(0, b"Menu: "), piece(8, &[0x59, 0x7D]), piece(3, b"caf\xE9")]),
            readable("Menu: 好café")
        );
    }

    #[test]
    fn headers_are_taken_off_and_marks_with_them() {
        let parts =
            [b"\x05\x00\x03\x07\x02\x01\xFF\xFE\x7D\x59".as_slice(), b"\x05\x00\x03\x07\x02\x02\xFF\xFE\x7D\x59"];
        let pieces = parts.map(|octets| Piece { data_coding: DataCoding(8), esm_class: UDHI, octets });
        assert_eq!(text(&pieces), readable("好好"));
    }

    #[test]
    fn packed_parts_are_unpacked_one_by_one() {
        let settings = TextSettings { packed_gsm7: true, ..TextSettings::default() };
        let parts = [(1, "Oysters"), (2, "tonight!!")].map(|(number, text)| {
            let mut octets = vec![5, 0, 3, 9, 2, number];
            octets.extend(gsm7::pack(text.as_bytes(), gsm7::fill_bits(6)));
            octets
        });
        let pieces = parts.iter().map(|octets| Piece { data_coding: DataCoding(0), esm_class: UDHI, octets });
        assert_eq!(read_joined(pieces, &settings), readable("Oysterstonight!!"));
    }

    #[test]
    fn one_opaque_part_makes_the_whole_opaque() {
        assert_eq!(text(&[piece(0, b"hello"), piece(4, b"\x01")]), Text::Opaque(Opaque::Binary));
        let broken = Piece { data_coding: DataCoding(0), esm_class: UDHI, octets: b"\x40a" };
        assert_eq!(text(&[piece(0, b"hello"), broken]), Text::Opaque(Opaque::BrokenUdh));
        let port = Piece { octets: b"\x06\x05\x04\x0B\x84\x23\xF0push", ..broken };
        assert_eq!(text(&[port, piece(0, b"hello")]), Text::Opaque(Opaque::PortAddressed(0x0B84)));
        let shift = Piece { octets: b"\x03\x24\x01\x01a\x1Bb", ..broken };
        assert_eq!(text(&[piece(0, b"hello"), shift]), Text::Opaque(Opaque::ShiftTable(1)));
    }

    #[test]
    fn nothing_is_the_empty_text() {
        assert_eq!(text(&[]), readable(""));
    }

    proptest! {
        #[test]
        fn a_cut_changes_nothing(octets in proptest::collection::vec(0u8..0x80, 1..100), at in 0usize..100, utf16: bool) {
            let coding = if utf16 { 8 } else { 0 };
            // A mark at the cut is taken for the part's own.
            let (one, two) = octets.split_at(at.min(octets.len()));
            let whole = read(DataCoding(coding), EsmClass(0), &octets, &TextSettings::default()).text.into_owned();
            prop_assert_eq!(text(&[piece(coding, one), piece(coding, two)]), whole);
        }

        #[test]
        fn anything_is_survived(parts in proptest::collection::vec((any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..6), packed: bool) {
            let settings = TextSettings { packed_gsm7: packed, ..TextSettings::default() };
            let pieces = parts.iter().map(|(coding, esm, octets)| Piece { data_coding: DataCoding(*coding), esm_class: EsmClass(*esm), octets });
            read_joined(pieces, &settings);
        }
    }
}
