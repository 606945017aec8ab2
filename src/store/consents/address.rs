//! Which bucket a number's consents lie in, while the number of buckets grows one by one.
//!
//! Owns the keyed permutation that turns numbers into codes, and the arithmetic of linear hashing over
//! their low bits: buckets split in order, so that the count alone says where everything is. Without the key
//! neither a code nor a bucket says anything about a number. Driven by the ledger.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// Where the numbers begin whose codes are short: those of the mainland, `86` and eleven digits, are among them.
const NEAR: u64 = 8_600_000_000_000;

/// Bits of a short code.
const NEAR_BITS: u32 = 37;

/// Rounds over a number's halves; four make a permutation that cannot be told from a random one, and the
/// halves are small.
const ROUNDS: u64 = 8;

/// Numbers to codes and back, one to one: the low bits choose the bucket, so that a bucket need not hold them.
#[derive(Clone)]
pub(super) struct Codes {
    keyed: SipHasher13,
}

impl Codes {
    /// The codes of a keyed hash.
    pub(super) fn new(keyed: SipHasher13) -> Self {
        Self { keyed }
    }

    /// The code of a number.
    pub(super) fn code(&self, msisdn: u64) -> u64 {
        if is_near(msisdn) {
            return self.mix(msisdn - NEAR, NEAR_BITS);
        }
        // All other numbers to all other codes, and back into these as often as it takes.
        let below = if msisdn < NEAR { msisdn } else { msisdn - (1 << NEAR_BITS) };
        let mut code = self.mix(below + (1 << NEAR_BITS), u64::BITS);
        while code < 1 << NEAR_BITS {
            code = self.mix(code, u64::BITS);
        }
        code
    }

    /// The number of a code.
    pub(super) fn msisdn(&self, code: u64) -> u64 {
        if code < 1 << NEAR_BITS {
            return self.unmix(code, NEAR_BITS) + NEAR;
        }
        let mut above = self.unmix(code, u64::BITS);
        while above < 1 << NEAR_BITS {
            above = self.unmix(above, u64::BITS);
        }
        let below = above - (1 << NEAR_BITS);
        if below < NEAR { below } else { below + (1 << NEAR_BITS) }
    }

    fn mix(&self, number: u64, bits: u32) -> u64 {
        let (mut high, mut low) = (number >> (bits / 2), number & mask(bits / 2));
        for round in 0..ROUNDS {
            match round % 2 {
                0 => high ^= self.noise(round, bits, low) & mask(bits - bits / 2),
                _ => low ^= self.noise(round, bits, high) & mask(bits / 2),
            }
        }
        high << (bits / 2) | low
    }

    fn unmix(&self, code: u64, bits: u32) -> u64 {
        let (mut high, mut low) = (code >> (bits / 2), code & mask(bits / 2));
        for round in (0..ROUNDS).rev() {
            match round % 2 {
                0 => high ^= self.noise(round, bits, low) & mask(bits - bits / 2),
                _ => low ^= self.noise(round, bits, high) & mask(bits / 2),
            }
        }
        high << (bits / 2) | low
    }

    /// Halves have at most 32 bits, which leaves room for what tells the rounds apart.
    fn noise(&self, round: u64, bits: u32, half: u64) -> u64 {
        let mut hasher = self.keyed;
        hasher.write_u64(half | round << 48 | u64::from(bits) << 56);
        hasher.finish()
    }
}

impl std::fmt::Debug for Codes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codes")
    }
}

fn is_near(msisdn: u64) -> bool {
    msisdn.checked_sub(NEAR).is_some_and(|after| after < 1 << NEAR_BITS)
}

pub(super) const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// The largest power of two that is at most `count`, which is at least 1.
fn round(count: u64) -> u64 {
    1 << (63 - count.max(1).leading_zeros())
}

/// The bucket of a hash among `count` buckets.
pub(super) fn address(hash: u64, count: u64) -> u64 {
    let round = round(count);
    let next = hash & (2 * round - 1);
    if next < count { next } else { hash & (round - 1) }
}

/// The bucket whose entries the next bucket, number `count`, takes its own from.
pub(super) fn parent(count: u64) -> u64 {
    count - round(count)
}

/// How many low bits all hashes share whose bucket is `of` among `count`: they are those of its number.
pub(super) fn level(of: u64, count: u64) -> u32 {
    let round = round(count);
    round.trailing_zeros() + u32::from(of >= round || of + round < count)
}

/// Among `count` buckets, those that hold what bucket `of` held when there were `before`.
pub(super) fn descendants(of: u64, before: u64, count: u64) -> impl Iterator<Item = u64> {
    let stride = 1 << level(of, before);
    (0..).map(move |step| of + step * stride).take_while(move |bucket| *bucket < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(key: u64) -> Codes {
        Codes::new(SipHasher13::new_with_keys(key, key))
    }

    fn hashes() -> impl Iterator<Item = u64> {
        let codes = codes(7);
        (0..500_u64).map(move |n| codes.code(n))
    }

    #[test]
    fn a_new_bucket_takes_from_its_parent_alone() {
        for count in 1..200 {
            for hash in hashes() {
                let (before, after) = (address(hash, count), address(hash, count + 1));
                assert!(before < count && after <= count);
                assert!(before == after || (before == parent(count) && after == count));
            }
        }
    }

    #[test]
    fn descendants_hold_all_that_the_bucket_held() {
        for before in 1..20 {
            for count in before..80 {
                for hash in hashes() {
                    let of = address(hash, before);
                    assert!(descendants(of, before, count).any(|bucket| bucket == address(hash, count)));
                }
                let mut all: Vec<_> = (0..before).flat_map(|of| descendants(of, before, count)).collect();
                all.sort_unstable();
                assert_eq!(all, (0..count).collect::<Vec<_>>(), "{before} {count}");
            }
        }
    }

    #[test]
    fn what_lies_in_a_bucket_shares_its_low_bits() {
        for count in 1..200 {
            for hash in hashes() {
                let of = address(hash, count);
                assert_eq!((hash ^ of) & mask(level(of, count)), 0, "{hash} in {of} of {count}");
            }
        }
    }

    #[test]
    fn codes_and_numbers_are_one_to_one() {
        let (codes, others) = (codes(7), codes(8));
        let edges = [0, 1, 77, NEAR - 1, NEAR, NEAR + mask(NEAR_BITS), NEAR + (1 << NEAR_BITS), u64::MAX];
        let mainland = (0..2_000).map(|n| 8_613_000_000_000 + n * 49_999_999);
        for msisdn in edges.into_iter().chain(mainland).chain((0..2_000).map(|n| n * n * 7_919)) {
            let code = codes.code(msisdn);
            assert_eq!(codes.msisdn(code), msisdn);
            assert_eq!(code < 1 << NEAR_BITS, is_near(msisdn), "{msisdn}");
            assert_ne!(others.code(msisdn), code);
        }
    }

    /// Neighbouring numbers spread over buckets as well as any.
    #[test]
    fn codes_are_spread_evenly() {
        let (codes, mut counts) = (codes(9), [0_u32; 64]);
        (0..64_000).for_each(|n| {
            counts[usize::try_from(address(codes.code(8_613_800_000_000 + n), 64)).unwrap()] += 1;
        });
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }
}
