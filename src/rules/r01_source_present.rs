//! R01 source-present (Art 9): every message names a sending number of sane form.

use portcullis_protocol::CommandStatus;
use portcullis_protocol::address::{Address, Npi, Ton};

use super::Code;
use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use crate::register::LONGEST_PORT;

pub(super) const ABOUT: About = About {
    name: "source-present",
    article: "Art 9",
    sentence: "A message must come from a sending number: digits, or a registered alphanumeric sender, of the approved length.",
};

pub(super) const INVALID_SOURCE: Code = Code::Fixed(CommandStatus::ESME_RINVSRCADR);

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let why = fault(&case.submission.source, case.facts.identity.port.is_some())?;
    Some(Flaw::reject(INVALID_SOURCE, why))
}

fn fault(source: &Address<'_>, registered: bool) -> Option<&'static str> {
    let number = source.addr.0;
    let digits = number.iter().all(u8::is_ascii_digit);
    if number.is_empty() {
        return Some("no source address: the SMSC would fill one in");
    }
    if number.len() > LONGEST_PORT {
        return Some("the source address has more than 20 characters");
    }
    if !is_known(source.ton, source.npi) {
        return Some("the source address has a reserved type of number or numbering plan");
    }
    if digits {
        return None;
    }
    if !registered {
        return Some("the source address is neither a number nor a registered alphanumeric sender");
    }
    let alphanumeric = matches!(source.ton, Ton::UNKNOWN | Ton::ALPHANUMERIC);
    (!alphanumeric).then_some("an alphanumeric source address needs the alphanumeric type of number")
}

/// The values of SMPP 3.4 §5.2.5 and §5.2.6.
const fn is_known(ton: Ton, npi: Npi) -> bool {
    matches!(ton.0, 0..=6) && matches!(npi.0, 0 | 1 | 3 | 4 | 6 | 8 | 9 | 10 | 14 | 18)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(ton: u8, npi: u8, addr: &[u8]) -> Address<'_> {
        Address::new(Ton(ton), Npi(npi), addr)
    }

    #[test]
    fn numbers_and_registered_names_pass() {
        assert_eq!(fault(&source(0, 1, b"10690001230801"), false), None);
        assert_eq!(fault(&source(1, 1, b"10690001230801"), false), None);
        assert_eq!(fault(&source(5, 0, b"QINGHE"), true), None);
        assert_eq!(fault(&source(3, 9, b"95588"), true), None);
    }

    #[test]
    fn the_rest_is_named() {
        for (source, registered) in [
            (source(0, 0, b""), false),
            (source(5, 0, b"QINGHE"), false),
            (source(1, 1, b"QINGHE"), true),
            (source(1, 1, b"+10690001230801"), false),
            (source(0, 1, b"106900012308011234567"), false),
            (source(7, 1, b"10690001230801"), true),
            (source(0, 2, b"10690001230801"), true),
        ] {
            assert!(fault(&source, registered).is_some(), "{source:?}");
        }
    }
}
