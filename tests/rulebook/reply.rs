//! One reply: its text, the last message before it, and what it must be taken for.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use portcullis::register::Register;
use portcullis::rules::reply::{Last, Said, Scope, Taken, hear, take};
use portcullis::rules::{Class, Profile};
use proptest::prelude::*;
use serde::Deserialize;

/// A line of a file of replies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    id: String,
    destination: String,
    text: String,
    /// The last message from that port.
    last: Option<String>,
    /// How long before the reply it went.
    #[serde(default = "one")]
    hours: i64,
    /// Whether its sender was answered since.
    #[serde(default)]
    answered: bool,
    expect: String,
    #[serde(rename = "why")]
    _why: String,
}

const fn one() -> i64 {
    1
}

impl Reply {
    pub(crate) fn read(place: &str, line: &str) -> Self {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{place}: {error}"))
    }

    pub(crate) fn name(&self) -> &str {
        &self.id
    }

    /// What differs from the expectation, as a line; none where nothing does.
    pub(crate) fn difference(&self, register: &Register, profile: &Profile) -> Option<String> {
        let now: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let port = register.port(self.destination.as_bytes());
        let class = port.map_or(Class::Commercial, |port| port.class);
        let at = now - SignedDuration::from_hours(self.hours);
        let last = self.last.as_deref().map(|text| Last { text: Cow::Borrowed(text), at, answered: self.answered });
        let taken = take(&hear(&self.text, profile, port), class, port, last.as_ref(), profile, now);
        let got = match taken {
            Taken::Refuse(Scope::Sender) => "refuse",
            Taken::Refuse(Scope::Provider) => "refuse-all",
            Taken::Grant { expires } => {
                assert!(expires > now, "{}: a consent that is over already", self.id);
                "grant"
            }
            Taken::RecordOnly => "record",
            Taken::Nothing => "nothing",
        };
        (got != self.expect).then(|| format!("{}: {:?} expected {}, got {got}", self.id, self.text, self.expect))
    }
}

/// What decorates a keyword without changing it.
fn decorated(keyword: &str, decoration: u8) -> String {
    let wide = |c: char| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xFEE0).unwrap_or(c) } else { c };
    match decoration % 6 {
        0 => keyword.to_lowercase(),
        1 => keyword.chars().map(wide).collect(),
        2 => format!("  {keyword}。"),
        3 => format!("“{keyword}”！"),
        4 => keyword.chars().flat_map(|c| [c, ' ']).collect(),
        _ => format!("\n{keyword}\u{200B}\r\n"),
    }
}

proptest! {
    #[test]
    fn any_text_is_heard_and_taken(text in "\\PC*", last in "\\PC*", commercial in any::<bool>()) {
        let profile = Profile::default();
        let class = if commercial { Class::Commercial } else { Class::Service };
        let last = Last { text: last.into(), at: Timestamp::UNIX_EPOCH, answered: false };
        let said = hear(&text, &profile, None);
        let taken = take(&said, class, None, Some(&last), &profile, Timestamp::UNIX_EPOCH);
        if !commercial {
            prop_assert!(matches!(taken, Taken::Nothing | Taken::RecordOnly), "a service port's reply changes nothing");
        }
        if said == Said::Nothing {
            prop_assert_eq!(taken, Taken::Nothing);
        }
    }

    #[test]
    fn the_form_of_a_keyword_does_not_matter(which in 0_usize..12, first in any::<u8>(), second in any::<u8>()) {
        let keywords = ["退订", "拒收", "TD", "TDX1", "STOP", "UNSUBSCRIBE", "停止推送", "0000", "R", "Y", "YES", "是"];
        let profile = Profile::default();
        let keyword = keywords[which];
        let plain = hear(keyword, &profile, None);
        prop_assert_ne!(&plain, &Said::Nothing);
        let text = decorated(&decorated(keyword, first), second);
        prop_assert_eq!(hear(&text, &profile, None), plain, "{:?}", text);
    }
}
