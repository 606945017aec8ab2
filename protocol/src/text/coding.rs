//! What `data_coding` says the octets of a message are.
//!
//! Owns the SMPP table (SMPP 3.4 §5.2.19), which counts for 0x00 to 0x0F, and the GSM
//! groups (3GPP TS 23.038 §4), which count above. Refuses to guess at reserved values: they
//! are unknown. Driven by `text::read`.

use super::{Alphabet, Opaque, TextSettings};

/// The alphabet of a `data_coding`, or why there is none.
pub(super) fn alphabet(data_coding: u8, settings: &TextSettings) -> Result<Alphabet, Opaque> {
    match data_coding {
        0x00..=0x0F => smpp(data_coding, settings),
        // General indication and automatic deletion: compressed | class | alphabet | class.
        0x10..=0x7F if data_coding & 0x20 != 0 => Err(Opaque::Compressed),
        0x10..=0x7F => gsm(data_coding, data_coding >> 2 & 0x03),
        // Message waiting: text that may be discarded, text to store, UCS-2 text to store.
        0xC0..=0xDF => Ok(Alphabet::Gsm7),
        0xE0..=0xEF => Ok(Alphabet::Utf16),
        // Message class; bit 3 is reserved.
        0xF0..=0xF7 => gsm(data_coding, data_coding >> 2 & 0x01),
        _ => Err(Opaque::UnknownDataCoding(data_coding)),
    }
}

fn smpp(data_coding: u8, settings: &TextSettings) -> Result<Alphabet, Opaque> {
    match data_coding {
        0x00 => Ok(settings.default_alphabet),
        0x01 => Ok(Alphabet::Ia5),
        0x02 | 0x04 => Err(Opaque::Binary),
        0x03 => Ok(Alphabet::Latin1),
        0x06 => Ok(Alphabet::Cyrillic),
        0x07 => Ok(Alphabet::Hebrew),
        0x08 => Ok(Alphabet::Utf16),
        0x0F if settings.gb18030_for_15 => Ok(Alphabet::Gb18030),
        _ => Err(Opaque::UnknownDataCoding(data_coding)),
    }
}

fn gsm(data_coding: u8, alphabet: u8) -> Result<Alphabet, Opaque> {
    match alphabet {
        0 => Ok(Alphabet::Gsm7),
        1 => Err(Opaque::Binary),
        2 => Ok(Alphabet::Utf16),
        _ => Err(Opaque::UnknownDataCoding(data_coding)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard(data_coding: u8) -> Result<Alphabet, Opaque> {
        alphabet(data_coding, &TextSettings::default())
    }

    #[test]
    fn the_smpp_table_counts_below_sixteen() {
        let unknown = |code| Err(Opaque::UnknownDataCoding(code));
        let expected = [
            Ok(Alphabet::Gsm7),
            Ok(Alphabet::Ia5),
            Err(Opaque::Binary),
            Ok(Alphabet::Latin1),
            Err(Opaque::Binary),
            unknown(5),
            Ok(Alphabet::Cyrillic),
            Ok(Alphabet::Hebrew),
            Ok(Alphabet::Utf16),
            unknown(9),
            unknown(10),
            unknown(11),
            unknown(12),
            unknown(13),
            unknown(14),
            Ok(Alphabet::Gb18030),
        ];
        for (code, alphabet) in (0u8..).zip(expected) {
            assert_eq!(standard(code), alphabet, "{code:#04x}");
        }
    }

    #[test]
    fn settings_move_the_default_and_fifteen() {
        let settings =
            TextSettings { default_alphabet: Alphabet::Latin1, gb18030_for_15: false, ..TextSettings::default() };
        assert_eq!(alphabet(0, &settings), Ok(Alphabet::Latin1));
        assert_eq!(alphabet(15, &settings), Err(Opaque::UnknownDataCoding(15)));
        assert_eq!(alphabet(0x10, &settings), Ok(Alphabet::Gsm7));
    }

    #[test]
    fn the_gsm_groups_count_above() {
        for (codes, expected) in [
            (&[0x10, 0x11, 0x12, 0x13, 0x40, 0x50, 0x51, 0xC0, 0xC8, 0xD0, 0xDB, 0xF0, 0xF1, 0xF3][..], Alphabet::Gsm7),
            (&[0x18, 0x19, 0x1B, 0x48, 0x5A, 0xE0, 0xE8, 0xEB][..], Alphabet::Utf16),
        ] {
            for &code in codes {
                assert_eq!(standard(code), Ok(expected), "{code:#04x}");
            }
        }
        for code in [0x14, 0x15, 0x44, 0xF4, 0xF5, 0xF6, 0xF7] {
            assert_eq!(standard(code), Err(Opaque::Binary), "{code:#04x}");
        }
        for code in [0x20, 0x28, 0x31, 0x3F, 0x60, 0x7F] {
            assert_eq!(standard(code), Err(Opaque::Compressed), "{code:#04x}");
        }
        for code in [0x1C, 0x4F, 0x80, 0x90, 0xBF, 0xF8, 0xFF] {
            assert_eq!(standard(code), Err(Opaque::UnknownDataCoding(code)), "{code:#04x}");
        }
    }
}
