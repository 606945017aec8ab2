//! Which texts were seen lately, near-duplicates taken for one.
//!
//! Owns the fingerprint of a text, a small set of minima over its shingles: masked digits and a
//! name put into a text change few of them. A bounded list of texts, the hottest first, is
//! compared one by one; what falls off its end is new when it comes again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Minima kept of a text.
const LANES: usize = 16;

/// Texts remembered of one provider, sender or port.
const MOST_TEXTS: usize = 64;

/// Texts of those that outlive the process.
const KEPT_TEXTS: usize = 8;

/// No shingle fell into this lane.
const EMPTY: u16 = u16::MAX;

/// What near-duplicates have mostly in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint([u16; LANES]);

impl Fingerprint {
    /// Of a folded text. Runs of digits count as one, blanks and case not at all.
    pub fn of(text: &str) -> Self {
        let mut lanes = [EMPTY; LANES];
        let (mut before, mut last) = (0_u64, 0_u64);
        for c in text.chars() {
            let c = match c {
                c if c.is_whitespace() => continue,
                '0'..='9' => '0',
                c => c.to_ascii_lowercase(),
            };
            let c = u64::from(u32::from(c));
            if c == u64::from(b'0') && last == c {
                continue;
            }
            // Three characters have 63 bits together; the multiplication spreads them to the top.
            let shingle = (before << 42 | last << 21 | c).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let shingle = (shingle ^ shingle >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
            let lane = &mut lanes[(shingle >> 60) as usize];
            *lane = (*lane).min((shingle >> 40 & 0xFFFF) as u16);
            (before, last) = (last, c);
        }
        Self(lanes)
    }

    /// Whether two texts are one but for a few words.
    pub fn is_like(&self, other: &Self) -> bool {
        let (mut same, mut used) = (0_u32, 0_u32);
        for (a, b) in self.0.iter().zip(&other.0) {
            used += u32::from(*a != EMPTY || *b != EMPTY);
            same += u32::from(*a == *b && *a != EMPTY);
        }
        same * 2 > used
    }
}

/// The texts seen lately, the one last seen first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts(Vec<Text>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Text {
    fingerprint: Fingerprint,
    first_ms: i64,
    /// The half of the window it is counted in, and the counts of that and of the one before.
    half: i64,
    counts: [u64; 2],
}

impl Texts {
    /// Counts messages with such a text: the one at hand and those that went unseen since the last.
    pub fn note(&mut self, fingerprint: &Fingerprint, messages: u64, window: Duration, now_ms: i64) {
        let half = now_ms.div_euclid(half_ms(window));
        match self.0.iter().position(|text| text.fingerprint.is_like(fingerprint)) {
            Some(place) => self.0[..=place].rotate_right(1),
            None => {
                self.0.truncate(MOST_TEXTS - 1);
                self.0.insert(0, Text { fingerprint: *fingerprint, first_ms: now_ms, half, counts: [0; 2] });
            }
        }
        let text = &mut self.0[0];
        text.counts = text.counts_at(half);
        text.half = text.half.max(half);
        text.counts[0] = text.counts[0].saturating_add(messages);
    }

    /// The most messages within the window that a text has made which is not known for `known_after`.
    pub fn largest_burst(&self, window: Duration, known_after: Duration, now_ms: i64) -> u64 {
        let half = now_ms.div_euclid(half_ms(window));
        let known = i64::try_from(known_after.as_millis()).unwrap_or(i64::MAX);
        let new = self.0.iter().filter(|text| now_ms.saturating_sub(text.first_ms) < known);
        new.map(|text| text.counts_at(half).iter().sum()).max().unwrap_or_default()
    }

    /// Those sent last, for keeping.
    pub fn latest(&self) -> Self {
        Self(self.0.iter().take(KEPT_TEXTS).cloned().collect())
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Text {
    fn counts_at(&self, half: i64) -> [u64; 2] {
        match half.saturating_sub(self.half) {
            ..=0 => self.counts,
            1 => [0, self.counts[0]],
            _ => [0, 0],
        }
    }
}

fn half_ms(window: Duration) -> i64 {
    i64::try_from(window.as_millis() / 2).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "【青禾鲜生】尊敬的张女士，周末全场蔬果低至五折，满99元减20元，门店地址：朝阳路18号，客服电话400-800-1234，拒收请回复R";
    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    fn alike(one: &str, other: &str) -> bool {
        Fingerprint::of(one).is_like(&Fingerprint::of(other))
    }

    #[test]
    fn names_figures_blanks_and_case_make_no_new_text() {
        assert!(alike(OFFER, &OFFER.replace("张女士", "欧阳先生")));
        assert!(alike(OFFER, &OFFER.replace("99", "199").replace("20", "50").replace("18", "7")));
        assert!(alike(OFFER, &OFFER.replace('，', "， ")));
        let english = "[Bakery] Saturday: all bread half price. Call 400-000-0077. Reply TD to unsubscribe";
        assert!(alike(english, &english.to_uppercase()));
        assert!(alike(english, &format!("{english} 8271")));
    }

    #[test]
    fn another_offer_of_the_same_sender_is_another_text() {
        let other =
            "【青禾鲜生】会员日来啦！进口牛排买一送一，生日当月再赠蛋糕一份，详询客服电话400-800-1234，拒收请回复R";
        assert!(!alike(OFFER, other));
        assert!(!alike(
            "[Bakery] Saturday: all bread half price. Call 400-000-0077. Reply TD to unsubscribe",
            "[Bakery] Our new shop on Market Street opens with free coffee. Call 400-000-0077. Reply TD to unsubscribe"
        ));
        assert!(!alike("", OFFER));
        assert!(!alike("", ""), "nothing is like nothing");
    }

    #[test]
    fn a_new_text_counts_within_its_window_and_a_known_one_not_at_all() {
        let (mut texts, print) = (Texts::default(), Fingerprint::of(OFFER));
        for n in 0..100 {
            texts.note(&print, 1, MINUTE, 90_000 + n * 10);
        }
        assert_eq!(texts.largest_burst(MINUTE, DAY, 91_000), 100);
        assert_eq!(texts.largest_burst(MINUTE, DAY, 120_000), 100, "the half before");
        assert_eq!(texts.largest_burst(MINUTE, DAY, 150_000), 0);
        let next_day = 90_000 + 86_400_000;
        texts.note(&print, 1, MINUTE, next_day);
        assert_eq!(texts.largest_burst(MINUTE, DAY, next_day), 0, "known by now");
    }

    #[test]
    fn the_list_is_bounded_and_keeps_what_is_sent_most() {
        let mut texts = Texts::default();
        let hot = Fingerprint::of(OFFER);
        for n in 0..1000_u32 {
            let filler: String = (0..60).filter_map(|k| char::from_u32(0x4E00 + (n * 61 + k * 7) % 20_000)).collect();
            texts.note(&Fingerprint::of(&filler), 1, MINUTE, 0);
            texts.note(&hot, 1, MINUTE, 0);
        }
        assert_eq!(texts.0.len(), MOST_TEXTS);
        assert_eq!(texts.largest_burst(MINUTE, DAY, 0), 1000);
    }
}
