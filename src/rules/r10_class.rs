//! R10 class (definitions): what a message is, whatever its port says.
//!
//! Commercial if the port is, if the provider declares it so, or if the text promotes; a
//! notice with a promotion is commercial. It answers nothing by itself: R03 does.

use std::borrow::Cow;

use super::case::Case;
use super::rule::About;
use super::{Class, r14_public_interest, scorer};
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "class",
    article: "definitions",
    sentence: "A message is commercial if its port is, if it is declared so, or if its text promotes goods, services or investment.",
};

/// How many points make a text commercial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// On service and personal ports.
    pub service: u32,
    /// On public ports of government senders.
    pub public: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { service: 4, public: 8 }
    }
}

impl Thresholds {
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        let points = |key| section.integer(key, 1..=1000).and_then(|points| u32::try_from(points).ok());
        self.service = points("promotion_threshold").unwrap_or(self.service);
        self.public = points("promotion_threshold_public").unwrap_or(self.public);
    }
}

/// Why the message is commercial, where it is so beyond its port's class.
pub(super) fn promotion(case: &Case<'_>) -> Option<Cow<'static, str>> {
    if case.port_class == Class::Commercial {
        return None;
    }
    let declared = std::str::from_utf8(case.submission.service_type).ok();
    let declared = declared.and_then(|word| case.facts.identity.provider.service_types.get(word));
    if declared == Some(&Class::Commercial) {
        return Some("the provider declares it so by its service_type".into());
    }
    let score = scorer::score(body(case.folded()));
    let thresholds = &case.profile.thresholds;
    let (points, threshold) = match r14_public_interest::speaks_for(case) {
        true => (score.points_if_trusted, thresholds.public),
        false => (score.points, thresholds.service),
    };
    if points >= threshold {
        return Some(format!("its text promotes ({}; {points} points)", scorer::explain(&score)).into());
    }
    let link = case.leads_astray().filter(|_| case.port_class == Class::Service)?;
    Some(format!("its text leads to {link}, which the sender has not registered").into())
}

/// The text without the signature, whose name may sound like anything.
fn body(text: &str) -> &str {
    super::signature::signatures(text).label.map_or(text, |label| label.rest)
}
