//! SMPP time: a point with its zone, or a span from now (SMPP 3.4 §7.1.1, SMPP 5.0 §4.7.23).
//!
//! Owns the sixteen characters of `schedule_delivery_time`, `validity_period` and
//! `final_date`. Refuses to know what time it is and to guess at other spellings: those are
//! a [`TimeFault`], and the field itself stays readable. Driven by the gate.

use crate::field::COctetString;

/// Characters of a time that is not empty.
const LENGTH: usize = 16;
const SECONDS_PER_DAY: i64 = 86_400;

/// A time in one of its two formats.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SmppTime {
    /// A point in time.
    Absolute(Absolute),
    /// A span from when the PDU arrives.
    Relative(Relative),
}

/// `YYMMDDhhmmsstnnp` (SMPP 3.4 §7.1.1.1, SMPP 5.0 §4.7.23.4).
///
/// | characters | meaning |
/// |---|---|
/// | `YY` | year, 2000 to 2099 |
/// | `MM` | month, 01 to 12 |
/// | `DD` | day, 01 to 31 |
/// | `hh` `mm` `ss` | 00 to 23, 00 to 59, 00 to 59 |
/// | `t` | tenths of a second |
/// | `nn` | quarter hours between this time and UTC, 00 to 48 |
/// | `p` | `+` where this time is ahead of UTC, `-` where it is behind |
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Absolute {
    /// Years since 2000.
    pub year: u8,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 9.
    pub tenth: u8,
    /// Quarter hours ahead of UTC, -48 to 48.
    pub quarters: i8,
}

/// `YYMMDDhhmmss000R` (SMPP 3.4 §7.1.1.2, SMPP 5.0 §4.7.23.5), each part 00 to 99.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Relative {
    /// Calendar years.
    pub years: u8,
    /// Calendar months.
    pub months: u8,
    /// Days.
    pub days: u8,
    /// Hours.
    pub hours: u8,
    /// Minutes.
    pub minutes: u8,
    /// Seconds.
    pub seconds: u8,
}

/// Why a field is no time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimeFault {
    /// Neither empty nor sixteen characters.
    Length,
    /// A character that is no digit where one belongs.
    Digit,
    /// No `+`, `-` or `R` at the end.
    Direction,
    /// A part out of its range, or a day its month does not have.
    Range,
}

impl std::fmt::Display for TimeFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Length => "expected nothing or 16 characters",
            Self::Digit => "expected digits before the last character",
            Self::Direction => "expected '+', '-' or 'R' as the last character",
            Self::Range => "expected a time that exists",
        })
    }
}

impl std::error::Error for TimeFault {}

impl SmppTime {
    /// Reads a field without its NUL; an empty one is no time and no fault.
    pub fn parse(field: &[u8]) -> Result<Option<Self>, TimeFault> {
        if field.is_empty() {
            return Ok(None);
        }
        let field: &[u8; LENGTH] = field.try_into().map_err(|_| TimeFault::Length)?;
        if !field[..LENGTH - 1].iter().all(u8::is_ascii_digit) {
            return Err(TimeFault::Digit);
        }
        let two = |at: usize| (field[at] - b'0') * 10 + (field[at + 1] - b'0');
        let [years, months, days, hours, minutes, seconds] = [two(0), two(2), two(4), two(6), two(8), two(10)];
        let (tenth, quarters) = (field[12] - b'0', two(13).cast_signed());
        let quarters = match field[LENGTH - 1] {
            b'R' => return Ok(Some(Self::Relative(Relative { years, months, days, hours, minutes, seconds }))),
            b'+' => quarters,
            b'-' => -quarters,
            _ => return Err(TimeFault::Direction),
        };
        let (year, month, day, hour, minute, second) = (years, months, days, hours, minutes, seconds);
        let time = Absolute { year, month, day, hour, minute, second, tenth, quarters };
        if time.exists() { Ok(Some(Self::Absolute(time))) } else { Err(TimeFault::Range) }
    }

    /// Reads a field of a PDU.
    pub fn of(field: COctetString<'_>) -> Result<Option<Self>, TimeFault> {
        Self::parse(field.as_bytes())
    }
}

impl Absolute {
    /// Whether every part is in its range and the month has the day.
    pub fn exists(&self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=self.days_in_month()).contains(&self.day)
            && self.year < 100
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
            && self.tenth < 10
            && self.quarters.unsigned_abs() <= 48
    }

    /// A point in time in UTC; outside the years this format has, its first or last.
    pub fn from_unix_ms(unix_ms: i64) -> Self {
        const FIRST: i64 = 946_684_800_000;
        const LAST: i64 = 4_102_444_799_900;
        let tenths = unix_ms.clamp(FIRST, LAST) / 100;
        let (seconds, tenth) = (tenths / 10, tenths % 10);
        let (days, of_day) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let small = |number: i64| u8::try_from(number).unwrap_or_default();
        let first = Self { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0, tenth: small(tenth), quarters: 0 };
        let clock =
            Self { hour: small(of_day / 3600), minute: small(of_day / 60 % 60), second: small(of_day % 60), ..first };
        // The last year, then the last month, that does not begin after the day.
        let begun = |time: &Self| time.days_since_1970() <= days;
        let year = (0..100).map(|year| Self { year, ..clock }).take_while(begun).last().unwrap_or(clock);
        let month = (1..=12).map(|month| Self { month, ..year }).take_while(begun).last().unwrap_or(year);
        Self { day: small(days - month.days_since_1970() + 1), ..month }
    }

    /// Milliseconds since 1970 in UTC.
    pub fn unix_ms(&self) -> i64 {
        let of_day = (i64::from(self.hour) * 60 + i64::from(self.minute)) * 60 + i64::from(self.second);
        let zone = i64::from(self.quarters) * 15 * 60;
        (self.days_since_1970() * SECONDS_PER_DAY + of_day - zone) * 1000 + i64::from(self.tenth) * 100
    }

    /// 2000 to 2099 has a leap year every fourth, without exception.
    const fn is_leap_year(&self) -> bool {
        self.year.is_multiple_of(4)
    }

    const fn days_in_month(&self) -> u8 {
        match self.month {
            2 if self.is_leap_year() => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn days_since_1970(&self) -> i64 {
        const DAYS_TO_2000: i64 = 10_957;
        const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let years = i64::from(self.year);
        let leap_days = (years + 3) / 4 + i64::from(self.is_leap_year() && self.month > 2);
        let month = usize::from(self.month.clamp(1, 12)) - 1;
        DAYS_TO_2000 + years * 365 + leap_days + BEFORE_MONTH[month] + i64::from(self.day) - 1
    }
}

impl std::fmt::Display for SmppTime {
    /// The sixteen characters.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absolute(time) => {
                write!(f, "{:02}{:02}{:02}", time.year, time.month, time.day)?;
                write!(f, "{:02}{:02}{:02}{}", time.hour, time.minute, time.second, time.tenth)?;
                let direction = if time.quarters < 0 { '-' } else { '+' };
                write!(f, "{:02}{direction}", time.quarters.unsigned_abs())
            }
            Self::Relative(span) => {
                write!(f, "{:02}{:02}{:02}", span.years, span.months, span.days)?;
                write!(f, "{:02}{:02}{:02}000R", span.hours, span.minutes, span.seconds)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix_ms(field: &str) -> i64 {
        match SmppTime::parse(field.as_bytes()) {
            Ok(Some(SmppTime::Absolute(time))) => time.unix_ms(),
            other => panic!("{field}: {other:?}"),
        }
    }

    #[test]
    fn points_in_time_carry_their_zone() {
        assert_eq!(unix_ms("000101000000000+"), 946_684_800_000);
        assert_eq!(unix_ms("261124120000532+"), unix_ms("261124040000500+"));
        assert_eq!(unix_ms("261123230000020-"), unix_ms("261124040000000+"));
        assert_eq!(unix_ms("240301000000000+") - unix_ms("240228000000000+"), 2 * 86_400_000);
        assert_eq!(unix_ms("991231235959900+"), 4_102_444_799_900);
    }

    #[test]
    fn a_point_in_time_is_written_as_it_is_read() {
        for field in
            ["000101000000000+", "240229235959900+", "261124120000500+", "991231235959900+", "270301000000000+"]
        {
            assert_eq!(SmppTime::Absolute(Absolute::from_unix_ms(unix_ms(field))).to_string(), field);
        }
        assert_eq!(SmppTime::Absolute(Absolute::from_unix_ms(-1)).to_string(), "000101000000000+");
    }

    #[test]
    fn spans_keep_their_parts() {
        let span = Relative { days: 2, hours: 3, ..Relative::default() };
        assert_eq!(SmppTime::parse(b"000002030000000R"), Ok(Some(SmppTime::Relative(span))));
        assert_eq!(SmppTime::Relative(span).to_string(), "000002030000000R");
        assert_eq!(SmppTime::parse(b""), Ok(None));
    }

    #[test]
    fn what_is_no_time_says_why() {
        let fault = |field: &str| SmppTime::parse(field.as_bytes()).unwrap_err();
        assert_eq!(fault("26112412000000+"), TimeFault::Length);
        assert_eq!(fault("2611241200000000"), TimeFault::Direction);
        assert_eq!(fault("26112412000000x+"), TimeFault::Digit);
        assert_eq!(fault("230229000000000+"), TimeFault::Range);
        assert_eq!(fault("261301000000000+"), TimeFault::Range);
        assert_eq!(fault("260001000000000+"), TimeFault::Range);
        assert_eq!(fault("261124240000000+"), TimeFault::Range);
        assert_eq!(fault("261124000000049+"), TimeFault::Range);
    }
}
