//! Who a certificate says its holder is.
//!
//! Owns the names and the fingerprint read from a certificate that a handshake has verified,
//! and the comparison with what the register demands. Refuses to verify anything itself.

use std::fmt;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The holder of a verified certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    fingerprint: [u8; 32],
    /// The subject as a whole, its common names, and the alternative names.
    names: Vec<String>,
}

/// What the register demands of a provider's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// Exactly this certificate, by the SHA-256 of its DER form.
    Fingerprint([u8; 32]),
    /// Any with this name: the subject, its common name, or an alternative name.
    Name(String),
}

impl Identity {
    /// Reads a certificate; one without readable names still has its fingerprint.
    pub fn of(der: &[u8]) -> Self {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
        let names = X509Certificate::from_der(der).map(|(_, certificate)| names(&certificate)).unwrap_or_default();
        Self { fingerprint, names }
    }

    /// Whether this is the certificate demanded.
    pub fn is(&self, demanded: &CertificateName) -> bool {
        match demanded {
            CertificateName::Fingerprint(fingerprint) => *fingerprint == self.fingerprint,
            CertificateName::Name(name) => self.names.iter().any(|own| own.eq_ignore_ascii_case(name)),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.names.first().map_or("", String::as_str);
        // A subject is whatever its authority signed: nothing in it may forge a line of the log.
        write!(f, "{} sha256 ", subject.escape_debug())?;
        self.fingerprint.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl CertificateName {
    /// 64 hexadecimal digits, with colons or without, are a fingerprint; anything else is a name.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits: String = text.chars().filter(|&c| c != ':').collect();
        if digits.len() == 64 && digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            let mut fingerprint = [0; 32];
            for (octet, pair) in fingerprint.iter_mut().zip(digits.as_bytes().chunks(2)) {
                *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
            }
            return Some(Self::Fingerprint(fingerprint));
        }
        (!text.is_empty()).then(|| Self::Name(text.to_owned()))
    }
}

pub(super) fn valid_until(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let subject = certificate.subject();
    let mut names = vec![subject.to_string()];
    names.extend(subject.iter_common_name().filter_map(|name| name.as_str().ok()).map(str::to_owned));
    let alternative = certificate.subject_alternative_name().ok().flatten();
    for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
                names.push((*name).to_owned());
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> rcgen::Certificate {
        let mut params = rcgen::CertificateParams::new(vec!["esme.herald.example".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "herald");
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_is_known_by_its_names_and_its_fingerprint() {
        let certificate = certificate();
        let identity = Identity::of(certificate.der());
        let is = |text: &str| identity.is(&CertificateName::parse(text).unwrap());
        assert!(is("herald") && is("Herald") && is("ESME.herald.example"));
        assert!(!is("esme") && !is("herald.example") && !is("*.herald.example"));
        let hex = identity.to_string().rsplit(' ').next().unwrap().to_owned();
        assert!(is(&hex) && is(&hex.to_uppercase()));
        let mut other = hex.into_bytes();
        other[63] = if other[63] == b'0' { b'1' } else { b'0' };
        assert!(!is(std::str::from_utf8(&other).unwrap()));
        assert!(valid_until(certificate.der()).is_some());
    }

    #[test]
    fn what_is_no_certificate_has_a_fingerprint_and_no_name() {
        let identity = Identity::of(b"no DER at all");
        assert!(!identity.is(&CertificateName::Name(String::new())));
        assert_eq!(CertificateName::parse("  "), None);
        assert_eq!(identity, Identity::of(b"no DER at all"));
    }
}
