//! One key, and what can be done with it.
//!
//! Owns sealing (AES-256-GCM, NIST SP 800-38D), derivation (HKDF-SHA256, RFC 5869) and keyed hashing.
//! Refuses to print a key, and to use a nonce twice. Driven by the stores, through [`super::Keys`].

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use siphasher::sip::SipHasher13;
use zeroize::Zeroizing;

/// Octets that sealing adds: the nonce in front, the tag behind.
pub const OVERHEAD: usize = NONCE_LEN + 16;

/// Octets of a key.
pub(super) const OCTETS: usize = 32;

/// A secret of 256 bits.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; OCTETS]>);

impl Key {
    /// A new one; an error where the system has no randomness.
    pub fn random() -> Result<Self, &'static str> {
        let mut octets = Zeroizing::new([0; OCTETS]);
        SystemRandom::new().fill(&mut *octets).map_err(|_| "cannot be made: the system gives no random octets")?;
        Ok(Self(octets))
    }

    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(octets.try_into().ok()?)))
    }

    pub(super) fn octets(&self) -> &[u8] {
        &*self.0
    }

    /// Its octets, where they are derived to be shown, such as a name.
    pub(in crate::store) fn into_octets(self) -> [u8; OCTETS] {
        *self.0
    }

    /// A key for one purpose, which tells nothing about this one or about those for others.
    pub fn derive(&self, purpose: &str) -> Self {
        struct Length;
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                OCTETS
            }
        }
        let mut octets = Zeroizing::new([0; OCTETS]);
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"portcullis");
        let filled =
            salt.extract(&*self.0).expand(&[purpose.as_bytes()], Length).and_then(|okm| okm.fill(&mut *octets));
        // HKDF gives up to 255 times its hash's length.
        filled.expect("32 octets are within HKDF's bounds");
        Self(octets)
    }

    /// What seals under this key.
    pub fn sealer(&self) -> Sealer {
        let key = UnboundKey::new(&AES_256_GCM, &*self.0).expect("AES-256 takes 32 octets");
        Sealer { key: LessSafeKey::new(key), nonces: Nonces::new() }
    }

    /// A hash that only who has this key can compute.
    pub fn hasher(&self) -> SipHasher13 {
        let (head, _) = self.0.split_at(16);
        head.try_into().map_or_else(|_| SipHasher13::new(), SipHasher13::new_with_key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Seals octets and opens them again. May be shared by threads.
pub struct Sealer {
    key: LessSafeKey,
    nonces: Nonces,
}

impl Sealer {
    /// Seals `plain`; opening asks for the same `bound` octets, which are not kept.
    pub fn seal(&self, bound: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + OVERHEAD);
        self.seal_onto(bound, plain, &mut out);
        out
    }

    /// Seals `plain` behind what is in `out`: nonce, octets, tag.
    pub fn seal_onto(&self, bound: &[u8], plain: &[u8], out: &mut Vec<u8>) {
        let nonce = self.nonces.next();
        out.extend_from_slice(&nonce);
        let from = out.len();
        out.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        // Fails only beyond 64 GiB (SP 800-38D §5.2.1.1), and no value is longer than 256 KiB.
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(bound), &mut out[from..]);
        out.extend_from_slice(tag.expect("short octets can be sealed").as_ref());
    }

    /// Opens what [`Sealer::seal`] gave, in place; `None` where a bit of it or of `bound` is another.
    pub fn open<'o>(&self, bound: &[u8], sealed: &'o mut [u8]) -> Option<&'o mut [u8]> {
        let (nonce, body) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
        self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound), body).ok()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// Nonces, none of them twice: from a random one on, each the next.
///
/// Random nonces would bound a key to 2^32 messages (SP 800-38D §8.3). Counted from a random start they
/// meet those of another start of the same key, which a process makes one of, with a probability of about
/// 2^-56 at 2^40 messages.
#[derive(Debug)]
struct Nonces {
    start: [u8; NONCE_LEN - 8],
    next: AtomicU64,
}

impl Nonces {
    fn new() -> Self {
        let mut octets = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut octets).expect("the system gives random octets");
        let [start @ .., a, b, c, d, e, f, g, h] = octets;
        Self { start, next: AtomicU64::new(u64::from_be_bytes([a, b, c, d, e, f, g, h])) }
    }

    fn next(&self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        let (start, count) = nonce.split_at_mut(self.start.len());
        start.copy_from_slice(&self.start);
        count.copy_from_slice(&self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        nonce
    }
}
