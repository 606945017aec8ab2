//! R13 no-over-restriction (Art 17/18): marketing rules never stop service and public messages.
//!
//! It has no check and no mode. [`super::case::Case::apply`] does not even ask a marketing rule
//! on a service or public port, and a profile that would enforce one there does not load.

use super::rule::About;

pub(super) const ABOUT: About = About {
    name: "no-over-restriction",
    article: "Art 17/18",
    sentence: "The receipt of service and public messages must not be restricted for reasons of marketing; this holds whatever the settings.",
};
