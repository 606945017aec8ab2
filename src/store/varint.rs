//! Whole numbers in base 128, low digits first: small ones take one octet.
//!
//! Owns the encoding used inside rows. Driven by the layouts of journal and consents.

/// Appends a number.
pub(crate) fn push(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Takes a number off the front; `None` where there is no whole one.
pub(crate) fn take(octets: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let (octet, rest) = octets.split_first()?;
        *octets = rest;
        let digit = u64::from(octet & 0x7F);
        if shift > 63 || (digit << shift) >> shift != digit {
            return None;
        }
        number |= digit << shift;
        if *octet < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

/// Steps over a number; `None` where there is no whole one.
pub(crate) fn skip(octets: &mut &[u8]) -> Option<()> {
    let end = octets.iter().position(|octet| *octet < 0x80)?;
    *octets = &octets[end + 1..];
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for number in [0, 1, 127, 128, 16_383, 16_384, 1 << 32, 8_613_800_138_000, u64::MAX >> 1, u64::MAX] {
            let mut octets = Vec::new();
            push(&mut octets, number);
            octets.push(9);
            let mut left = octets.as_slice();
            assert_eq!(skip(&mut left), Some(()));
            assert_eq!(left, [9]);
            let mut left = octets.as_slice();
            assert_eq!(take(&mut left), Some(number));
            assert_eq!(left, [9]);
        }
    }

    #[test]
    fn cut_and_overlong_ones_do_not() {
        assert_eq!(take(&mut &[][..]), None);
        assert_eq!(take(&mut &[0x80][..]), None);
        assert_eq!(take(&mut &[0xFF; 11][..]), None);
        assert_eq!(take(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2][..]), None);
    }
}
