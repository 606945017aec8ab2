//! R10 class (definitions): what a message is, whatever its port says.
//!
//! Commercial if the port is, if the provider declares it so, or if the text promotes; a
//! notice with a promotion is commercial. It answers nothing by itself: R03 does.

mod otp;

use std::borrow::Cow;

use super::case::Case;
use super::fold::fold;
use super::rule::About;
use super::template::Kept;
use super::{Class, r14_public_interest, r20_template, scorer};
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "class",
    article: "definitions",
    sentence: "A message is commercial if its port is, if it is declared so, or if its text promotes goods, services or investment.",
};

/// What stands in a variable and is shorter is a name or a thing: only the lexicon knows of such.
const SHORTEST_SENTENCE: usize = 8;

/// What makes a text commercial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// On service and personal ports.
    pub service: u32,
    /// On public ports of government senders.
    pub public: u32,
    /// Whether a one-time password with a link that drives traffic is commercial, registered or not.
    pub otp_links: bool,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { service: 4, public: 8, otp_links: false }
    }
}

impl Thresholds {
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        let points = |key| section.integer(key, 1..=1000).and_then(|points| u32::try_from(points).ok());
        self.service = points("promotion_threshold").unwrap_or(self.service);
        self.public = points("promotion_threshold_public").unwrap_or(self.public);
        let words = [("commercial", true), ("service", false)];
        self.otp_links = section.word("otp_with_link", &words).unwrap_or(self.otp_links);
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

/// The points alone, as a verdict that forwards asks for them.
pub fn points(text: &str) -> u32 {
    scorer::promotion(body(&fold(text)))
}

/// Weighs a whole text, its signature included, as one on a service port is weighed.
pub fn weigh(text: &str) -> Weight {
    let folded = fold(text);
    let body = body(&folded);
    let points = scorer::promotion(body);
    let terms = if points > 0 { scorer::explain_promotion(body) } else { String::new() };
    Weight { points, terms }
}

/// Weighs a whole text as one on a public port of a government body is weighed.
pub(super) fn weigh_trusted(text: &str) -> Weight {
    let score = scorer::score(body(&fold(text)));
    Weight { points: score.points_if_trusted, terms: scorer::explain(&score) }
}

/// What weights are learned from, of a whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// The runs of up to three tokens of each sentence.
    pub sentences: Vec<Vec<String>>,
    /// What the lexicon says; more than so many points say nothing more.
    pub lexicon: u32,
}

/// Takes a whole text apart for learning, as it is taken apart for weighing.
pub fn material(text: &str) -> Material {
    let folded = fold(text);
    let body = body(&folded);
    Material { sentences: scorer::runs(body), lexicon: scorer::lexicon_points(body) }
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
    if let Some(promotion) = text_promotes(case, kept.filter(|kept| kept.class.is_some())) {
        return Some(promotion.into());
    }
    if case.profile.thresholds.otp_links
        && let Some(link) = otp::driving_link(case.folded())
    {
        return Some(format!("it is a one-time password that leads to {link}").into());
    }
    let link = case.leads_astray().filter(|_| case.port_class == Class::Service)?;
    Some(format!("its text leads to {link}, which the sender has not registered").into())
}

/// Whether the text promotes: of a filed template what stands in its variables. The lexicon alone is asked
/// for a government body, whose warnings of lures it knows from the lures, and for what goes between
/// persons, of which nothing was learned.
fn text_promotes(case: &Case<'_>, kept: Option<&Kept<'_, '_>>) -> Option<String> {
    let thresholds = &case.profile.thresholds;
    let trusted = r14_public_interest::speaks_for(case);
    let threshold = if trusted { thresholds.public } else { thresholds.service };
    let text = body(case.folded());
    let learned = !trusted && case.port_class != Class::Personal;
    let (points, terms) = match kept {
        None if learned => promotes(text, threshold)?,
        kept => {
            let score = kept.map_or_else(|| scorer::score(text), |kept| scorer::score_within(kept.body, &kept.wordy));
            let points = if trusted { score.points_if_trusted } else { score.points };
            let found = (points >= threshold).then(|| (points, scorer::explain(&score)));
            let smuggled = || kept.filter(|_| learned).and_then(|kept| smuggled(kept, threshold));
            found.or_else(smuggled)?
        }
    };
    Some(format!("its text promotes ({terms}; {points} points)"))
}

/// The points of a text, and what makes them, where they come to the threshold.
fn promotes(text: &str, threshold: u32) -> Option<(u32, String)> {
    let points = scorer::promotion(text);
    (points >= threshold).then(|| (points, scorer::explain_promotion(text)))
}

/// A promotion that stands in a variable of a filed template, weighed as a text of its own.
fn smuggled(kept: &Kept<'_, '_>, threshold: u32) -> Option<(u32, String)> {
    let spans = kept.wordy.iter().map(|span| &kept.body[span.clone()]);
    let mut sentences = spans.filter(|span| span.chars().nth(SHORTEST_SENTENCE - 1).is_some());
    sentences.find_map(|span| promotes(&fold(span), threshold))
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
