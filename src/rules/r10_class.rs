//! R10 class (definitions): what a message is, whatever its port says.
//!
//! Commercial if the port is, if the provider declares it so, or if the text promotes; a
//! notice with a promotion is commercial. It answers nothing by itself: R03 does.

use std::borrow::Cow;

use super::case::Case;
use super::fold::fold;
use super::rule::About;
use super::{Class, r14_public_interest, r20_template, scorer};
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

/// What a text by itself comes to, whoever sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// How much it promotes.
    pub points: u32,
    /// The weightiest terms that made the points.
    pub terms: String,
}

/// Weighs a whole text, its signature included, as one on a service port is weighed.
pub fn weigh(text: &str) -> Weight {
    let folded = fold(text);
    let score = scorer::score(body(&folded));
    Weight { points: score.points, terms: scorer::explain(&score) }
}

/// Why the message is commercial, where it is so beyond its port's class.
pub(super) fn promotion(case: &Case<'_>) -> Option<Cow<'static, str>> {
    if case.port_class == Class::Commercial {
        return None;
    }
    if let Some(parameter) = declared(case) {
        return Some(format!("the provider declares it so by its {parameter}").into());
    }
    let kept = r20_template::kept(case);
    if let Some(kept) = kept.filter(|kept| kept.class == Some(Class::Commercial)) {
        return Some(format!("it keeps to template {}, which is filed as commercial", kept.id).into());
    }
    let score = match kept.filter(|kept| kept.class.is_some()) {
        Some(kept) => scorer::score_within(kept.body, &kept.wordy),
        None => scorer::score(body(case.folded())),
    };
    let thresholds = &case.profile.thresholds;
    let (points, threshold) = match r14_public_interest::speaks_for(case) {
        true => (score.points_if_trusted, thresholds.public),
        false => (score.points, thresholds.service),
    };
    if points >= threshold {
        return Some(format!("its text promotes ({}; {points} points)", scorer::explain(&score)).into());
    }
    let link = case.stray_link.as_ref().filter(|_| case.port_class == Class::Service)?;
    Some(format!("its text leads to {link}, which the sender has not registered").into())
}

/// The parameter by which the provider declares the message commercial. A declaration to the contrary
/// counts for nothing: it would open every port to whoever makes it.
fn declared(case: &Case<'_>) -> Option<&'static str> {
    let provider = case.facts.identity.provider;
    let word = std::str::from_utf8(case.submission.service_type).ok();
    if word.and_then(|word| provider.service_types.get(word)) == Some(&Class::Commercial) {
        return Some("service_type");
    }
    let declared = case.submission.class_tlv.zip(provider.class_tlv.as_ref());
    let class = declared.and_then(|(value, known)| known.class(value));
    (class == Some(Class::Commercial)).then_some("class_tlv")
}

/// The text without the signature, whose name may sound like anything.
fn body(text: &str) -> &str {
    super::signature::signatures(text).label.map_or(text, |label| label.rest)
}
