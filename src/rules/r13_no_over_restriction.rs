//! R13 no-over-restriction (Art 17/18): marketing rules never stop service and public messages.
//!
//! It has no check and no mode. [`super::case::Case::apply`] does not even ask a marketing rule
//! on a service or public port, a profile that would enforce one there does not load, and neither
//! does one whose thresholds take ordinary notices for promotion: a few are weighed to find out.

use super::rule::About;
use super::{Class, r10_class};
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "no-over-restriction",
    article: "Art 17/18",
    sentence: "The receipt of service and public messages must not be restricted for reasons of marketing; this holds whatever the settings.",
};

/// One message a line, without its signature, after the class of its port.
const HARMLESS: &str = include_str!("r13_no_over_restriction/harmless.txt");

/// A setting: its key and value, and how a text of a class is weighed against it.
type Setting = (&'static str, u32, &'static [Class], fn(&str) -> r10_class::Weight);

/// Complains of thresholds by which something harmless would be promotion, and so be stopped (R03).
/// Public messages are weighed in both ways, for their sender need not be a government body.
pub(super) fn check_thresholds(thresholds: &r10_class::Thresholds, section: &Section<'_, '_>) {
    let settings: [Setting; 2] = [
        ("promotion_threshold", thresholds.service, &[Class::Service, Class::Public], r10_class::weigh),
        ("promotion_threshold_public", thresholds.public, &[Class::Public], r10_class::weigh_trusted),
    ];
    for (key, threshold, classes, weigh) in settings.into_iter().filter(|(key, ..)| section.contains(key)) {
        let texts = classes.iter().flat_map(|class| harmless(*class).map(move |text| (class, text)));
        let weighed = texts.map(|(class, text)| (class, text, weigh(text)));
        let Some((class, text, weight)) = weighed.max_by_key(|(.., weight)| weight.points) else { continue };
        let most = weight.points;
        if most >= threshold {
            let why = format!("an ordinary {class} message would be stopped as promotion ({})", weight.terms);
            section.fault(key, format!("R13: must be more than {most}: {why}: {text:?}"));
        }
    }
}

fn harmless(class: Class) -> impl Iterator<Item = &'static str> {
    let lines = HARMLESS.lines().filter_map(|line| line.split_once(' '));
    lines.filter(move |(word, _)| *word == class.name()).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Complaints, parse};

    fn faults(text: &str) -> Vec<String> {
        let complaints = Complaints::new(std::path::Path::new("p.toml"), text);
        let table = parse(text, &complaints);
        let section = Section::top(&table, &complaints);
        let mut thresholds = r10_class::Thresholds::default();
        thresholds.read(&section);
        check_thresholds(&thresholds, &section);
        complaints.into_parts().0.into_iter().map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn there_are_harmless_messages_of_both_classes() {
        assert!(harmless(Class::Service).count() > 40 && harmless(Class::Public).count() > 10);
    }

    #[test]
    fn a_threshold_that_stops_notices_is_a_fault_and_one_that_does_not_is_none() {
        assert_eq!(faults("promotion_threshold = 4\npromotion_threshold_public = 8\n"), Vec::<String>::new());
        let told = faults("\npromotion_threshold = 1\npromotion_threshold_public = 1\n");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("p.toml:2: promotion_threshold: R13:"), "{told:?}");
        assert!(told[1].starts_with("p.toml:3: promotion_threshold_public: R13:"), "{told:?}");
    }
}
