//! Signatures that anybody can check: Ed25519 (RFC 8032).
//!
//! Owns signing and the public key's form (PEM, RFC 8410), which `openssl pkeyutl -verify -rawin` takes.
//! Driven by the journal's heads and by exports.

use std::fmt;

use data_encoding::BASE64;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::key::Key;

/// What stands before the 32 octets of an Ed25519 public key (RFC 8410 §4).
const PUBLIC_KEY_INFO: [u8; 12] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Signs in the name of a data directory.
pub struct Signer {
    pair: Ed25519KeyPair,
}

impl Signer {
    pub(super) fn new(key: &Key) -> Result<Self, &'static str> {
        let pair = Ed25519KeyPair::from_seed_unchecked(key.octets()).map_err(|_| "is no Ed25519 seed")?;
        Ok(Self { pair })
    }

    /// The signature of these octets.
    pub fn sign(&self, octets: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(octets).as_ref());
        signature
    }

    /// The public key.
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        key
    }

    /// The public key as a PEM file.
    pub fn public_pem(&self) -> String {
        let octets = [&PUBLIC_KEY_INFO[..], &self.public_key()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&octets))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// Whether it is the signature of these octets under this public key.
pub fn verify(public_key: &[u8; 32], octets: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(octets, signature).is_ok()
}
