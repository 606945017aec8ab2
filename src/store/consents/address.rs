//! Which bucket a number's consents lie in, while the number of buckets grows one by one.
//!
//! Owns the arithmetic of linear hashing: buckets split in order, so that the count alone says where
//! everything is. Driven by the ledger.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The key of a store's hash; another store's buckets say nothing about this one's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct HashKey(pub(super) [u8; 16]);

impl HashKey {
    pub(super) fn hash(&self, msisdn: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u64(msisdn);
        hasher.finish()
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
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

/// Among `count` buckets, those that hold what bucket `of` held when there were `before`.
pub(super) fn descendants(of: u64, before: u64, count: u64) -> impl Iterator<Item = u64> {
    let round = round(before);
    let split = of >= round || of + round < before;
    let stride = if split { 2 * round } else { round };
    (0..).map(move |step| of + step * stride).take_while(move |bucket| *bucket < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes() -> impl Iterator<Item = u64> {
        (0..500_u64).map(|n| HashKey([7; 16]).hash(n))
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
}
