//! What a variable may be made of.

use std::sync::LazyLock;

use regex::Regex;

/// The kind of a variable's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Digits,
    Letters,
    Code,
    Chinese,
    Any,
    Money,
    Number,
    Date,
    Time,
    Phone,
    Link,
}

/// How much of a text belongs to a variable that has a form of its own.
struct Form {
    shape: Shape,
    pattern: &'static str,
}

const FORMS: [Form; 6] = [
    Form {
        shape: Shape::Money,
        pattern: r"^[-+]?(?:人民币|RMB ?|CNY ?|USD ?|[¥￥$€£])?[-+]?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]{1,2})?",
    },
    Form { shape: Shape::Number, pattern: r"^[-+]?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?" },
    Form {
        shape: Shape::Date,
        pattern: r"(?i)^(?:[0-9]{4}年[0-9]{1,2}月(?:[0-9]{1,2}[日号])?|[0-9]{1,2}月[0-9]{1,2}[日号]|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}(?:[-/.][0-9]{4})?|[0-9]{8}|[0-9]{1,2}(?:st|nd|rd|th)? (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?(?:,? [0-9]{4})?|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.? [0-9]{1,2}(?:st|nd|rd|th)?(?:,? [0-9]{4})?)",
    },
    Form {
        shape: Shape::Time,
        pattern: r"(?i)^(?:[上下中]午|凌晨|早上|晚上?)?[0-9]{1,2}(?:[:：][0-9]{2}(?:[:：][0-9]{2})?|[点时](?:[0-9]{1,2}分?(?:[0-9]{1,2}秒)?|半|整)?)?(?: ?[ap]m\b)?",
    },
    Form { shape: Shape::Phone, pattern: r"^\+?[0-9]{3,15}(?:[- ][0-9]{2,8}){0,4}(?:(?:转|-)[0-9]{1,6})?" },
    Form {
        shape: Shape::Link,
        pattern: r"(?i)^(?:https?://)?(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]{2,5})?(?:[/?#][a-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*)?",
    },
];

/// In the order of [`FORMS`]; a test holds that each is there.
static PATTERNS: LazyLock<Vec<Option<Regex>>> =
    LazyLock::new(|| FORMS.iter().map(|form| Regex::new(form.pattern).ok()).collect());

impl Shape {
    /// The words of the notation.
    pub(super) const WORDS: [(&'static str, Self); 11] = [
        ("digits", Self::Digits),
        ("letters", Self::Letters),
        ("code", Self::Code),
        ("chinese", Self::Chinese),
        ("any", Self::Any),
        ("money", Self::Money),
        ("number", Self::Number),
        ("date", Self::Date),
        ("time", Self::Time),
        ("phone", Self::Phone),
        ("link", Self::Link),
    ];

    /// How it is called in a sentence.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Letters => "letters",
            Self::Code => "letters, digits or hyphens",
            Self::Chinese => "Chinese characters",
            Self::Any => "characters",
            Self::Money => "an amount",
            Self::Number => "a number",
            Self::Date => "a date",
            Self::Time => "a time",
            Self::Phone => "a phone",
            Self::Link => "a link",
        }
    }

    /// Whether a length has to be said: what has a form of its own is as long as it is.
    pub(super) const fn has_length(self) -> bool {
        matches!(self, Self::Digits | Self::Letters | Self::Code | Self::Chinese | Self::Any)
    }

    /// Whether its content can say anything in words.
    pub(super) const fn is_wordy(self) -> bool {
        matches!(self, Self::Letters | Self::Chinese | Self::Any | Self::Code | Self::Link)
    }

    /// Whether a character may stand in it.
    pub(super) const fn holds(self, c: char) -> bool {
        match self {
            Self::Digits => c.is_ascii_digit(),
            Self::Letters => c.is_ascii_alphabetic(),
            Self::Code => c.is_ascii_alphanumeric() || c == '-',
            Self::Chinese => matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3134F}' | '〇' | '·'),
            Self::Any => true,
            _ => false,
        }
    }

    /// How many octets of a text's beginning have this form: as many as fit; none where it begins otherwise.
    pub(super) fn measure(self, text: &str) -> Option<usize> {
        let index = FORMS.iter().position(|form| form.shape == self)?;
        // Most places in a text are none where a number could begin: that is told without the pattern.
        if self != Self::Link && !text.starts_with(|c: char| c.is_ascii() || "人¥￥€£上下中凌早晚".contains(c))
        {
            return None;
        }
        let found = PATTERNS.get(index)?.as_ref()?.find(text)?;
        Some(found.end()).filter(|&length| length > 0)
    }

    /// Something that could stand there, in as few words as can be.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Self::Digits | Self::Number | Self::Phone | Self::Code => "1234",
            Self::Money => "12.50",
            Self::Date => "11月23日",
            Self::Time => "10:15",
            Self::Letters | Self::Chinese | Self::Any | Self::Link => "…",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_its_pattern() {
        assert!(PATTERNS.iter().all(Option::is_some));
        for (word, shape) in Shape::WORDS {
            assert_eq!(shape.has_length(), !FORMS.iter().any(|form| form.shape == shape), "{word}");
        }
    }

    #[test]
    fn a_form_takes_as_much_as_fits() {
        for (shape, text, taken) in [
            (Shape::Money, "1,280.00元", "1,280.00"),
            (Shape::Money, "￥95.5，", "￥95.5"),
            (Shape::Money, "人民币3元", "人民币3"),
            (Shape::Number, "-3.75%", "-3.75"),
            (Shape::Date, "2026年11月23日10时", "2026年11月23日"),
            (Shape::Date, "11月3日前", "11月3日"),
            (Shape::Date, "2026-11-23 10:15", "2026-11-23"),
            (Shape::Date, "Nov 23, 2026.", "Nov 23, 2026"),
            (Shape::Date, "23 November at", "23 November"),
            (Shape::Time, "10:15:09起", "10:15:09"),
            (Shape::Time, "下午3点半到", "下午3点半"),
            (Shape::Time, "9:30 am.", "9:30 am"),
            (Shape::Phone, "400-000-0000。", "400-000-0000"),
            (Shape::Phone, "010-00000000转123", "010-00000000转123"),
            (Shape::Link, "https://a.example/b?c=1，", "https://a.example/b?c=1"),
            (Shape::Link, "t.example查看", "t.example"),
        ] {
            assert_eq!(shape.measure(text).map(|length| &text[..length]), Some(taken), "{shape:?} {text}");
        }
        for (shape, text) in [(Shape::Money, "元"), (Shape::Date, "明天"), (Shape::Link, "请点击"), (Shape::Time, "号")]
        {
            assert_eq!(shape.measure(text), None, "{shape:?} {text}");
        }
    }
}
