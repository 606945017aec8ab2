//! The forms of telephone numbers, as digits.

/// The most digits a number is looked at with.
pub(super) const LONGEST: usize = 18;

/// Up to [`LONGEST`] digits, leading zeros kept; more of them are no number of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Digits {
    value: u64,
    length: usize,
}

/// Service numbers of the three carriers and of the fourth.
const CARRIERS: [u64; 4] = [10000, 10010, 10086, 10099];
/// Where unwanted messages are reported, in every message that warns of them; nobody's contact.
const REPORTING: u64 = 12321;

impl Digits {
    pub(super) const fn push(&mut self, digit: u8) {
        if self.length < LONGEST {
            self.value = self.value * 10 + digit as u64;
        }
        self.length += 1;
    }

    pub(super) const fn len(self) -> usize {
        self.length
    }

    /// Both in a row, where that is not too long.
    pub(super) fn followed_by(self, other: Self) -> Option<Self> {
        let length = self.length + other.length;
        (length <= LONGEST).then(|| Self {
            value: self.value * 10_u64.pow(u32::try_from(other.length).unwrap_or(0)) + other.value,
            length,
        })
    }

    /// The first digits, as a number.
    fn first(self, count: usize) -> u64 {
        let rest = u32::try_from(self.length.saturating_sub(count)).unwrap_or(0);
        self.value / 10_u64.pow(rest)
    }

    fn without_first(self, count: usize) -> Self {
        let length = self.length.saturating_sub(count);
        Self { value: self.value % 10_u64.pow(u32::try_from(length).unwrap_or(0)), length }
    }

    /// The phone these digits are, without its country code; `groups` tells how they were written.
    pub(super) fn as_phone(self, groups: usize) -> Option<Self> {
        // The lengths below, and those with the country's code before them.
        if !matches!(self.length, 5..=8 | 10..=16) {
            return None;
        }
        let domestic = match self.length {
            12.. if self.first(4) == 86 => self.without_first(4),
            12.. if self.first(2) == 86 => self.without_first(2),
            _ => self,
        };
        (domestic.is_short(groups) || domestic.is_long()).then_some(domestic)
    }

    /// Five to eight digits, never broken up.
    fn is_short(self, groups: usize) -> bool {
        groups == 1
            && match (self.length, self.first(2)) {
                (5..=8, 95) | (5..=6, 96) => true,
                (5, 12) => self.value != REPORTING,
                (5, 10) => CARRIERS.contains(&self.value),
                _ => false,
            }
    }

    /// Mobile, 400 and 800, landline with its area code.
    fn is_long(self) -> bool {
        let (three, four) = (self.first(3), self.first(4));
        match self.length {
            // 010 and 02x have seven or eight digits after them, and so have the codes from 0310 to 0999.
            10 => matches!(three, 400 | 800 | 10 | 20..=29),
            11 => matches!(three, 130..=199 | 10 | 20..=29) || matches!(four, 310..=999),
            12 => matches!(four, 310..=999),
            _ => false,
        }
    }

    /// Whether these are the digits in writing.
    pub(super) fn equals(self, written: &[u8]) -> bool {
        self.write(&mut [0; LONGEST]) == written
    }

    /// The digits in writing.
    pub(super) fn write(self, out: &mut [u8; LONGEST]) -> &[u8] {
        let length = self.length.min(LONGEST);
        let mut rest = self.value;
        for slot in out[..length].iter_mut().rev() {
            *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        &out[..length]
    }

    /// E.164 behind a plus.
    pub(super) const fn is_international(self) -> bool {
        self.length >= 8 && self.length <= 15
    }

    pub(super) const fn is_brief(self) -> bool {
        self.length <= 8
    }
}
