//! How much two texts are alike: the share of their three-character pieces that both have.

use std::collections::BTreeSet;

/// The three-character pieces of a text, digits being all the same.
pub(crate) struct Shingles(BTreeSet<[char; 3]>);

impl Shingles {
    pub(crate) fn of(text: &str) -> Self {
        let same = |c: char| if c.is_ascii_digit() { '0' } else { c.to_ascii_lowercase() };
        let mut chars: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).map(same).collect();
        chars.dedup_by(|one, other| *one == '0' && *other == '0');
        Self(chars.windows(3).map(|window| [window[0], window[1], window[2]]).collect())
    }
}

/// From 0 to 1.
pub(crate) fn likeness(one: &Shingles, other: &Shingles) -> f64 {
    let common = one.0.intersection(&other.0).count();
    let all = one.0.len() + other.0.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}
