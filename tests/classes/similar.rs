//! How much two texts are alike: the share of their three-character pieces that both have.

/// The three-character pieces of a text, in order; digits are all the same.
pub(crate) struct Shingles(Vec<u64>);

impl Shingles {
    pub(crate) fn of(text: &str) -> Self {
        let same = |c: char| if c.is_ascii_digit() { '0' } else { c.to_ascii_lowercase() };
        let mut chars: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).map(same).collect();
        chars.dedup_by(|one, other| *one == '0' && *other == '0');
        let packed = |window: &[char]| window.iter().fold(0, |packed, &c| packed << 21 | u64::from(u32::from(c)));
        let mut pieces: Vec<u64> = chars.windows(3).map(packed).collect();
        pieces.sort_unstable();
        pieces.dedup();
        Self(pieces)
    }
}

/// From 0 to 1.
pub(crate) fn likeness(one: &Shingles, other: &Shingles) -> f64 {
    let (mut left, mut right) = (one.0.as_slice(), other.0.as_slice());
    let mut common = 0;
    while let ([first, more_left @ ..], [second, more_right @ ..]) = (left, right) {
        common += usize::from(first == second);
        (left, right) =
            (if first <= second { more_left } else { left }, if second <= first { more_right } else { right });
    }
    let all = one.0.len() + other.0.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}
