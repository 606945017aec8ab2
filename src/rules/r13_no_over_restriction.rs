//! R13 no-over-restriction (Art 17/18): marketing rules never stop service and public messages.
//!
//! It has no check and no mode. [`super::case::Case::apply`] does not even ask a marketing rule
//! on a service or public port, a profile that would enforce one there does not load, and neither
//! does one whose thresholds take ordinary notices for promotion: a few are weighed to find out.

use super::rule::About;
use super::scorer::{Score, explain, score};
use super::{Class, fold, r10_class};
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "no-over-restriction",
    article: "Art 17/18",
    sentence: "The receipt of service and public messages must not be restricted for reasons of marketing; this holds whatever the settings.",
};

/// One message a line, without its signature, after the class of its port.
const HARMLESS: &str = include_str!("r13_no_over_restriction/harmless.txt");

/// Complains of thresholds by which something harmless would be promotion, and so be stopped (R03).
pub(super) fn check_thresholds(thresholds: &r10_class::Thresholds, section: &Section<'_, '_>) {
    let settings = [
        (Class::Service, "promotion_threshold", thresholds.service),
        (Class::Public, "promotion_threshold_public", thresholds.public),
    ];
    for (class, key, threshold) in settings.into_iter().filter(|(_, key, _)| section.contains(key)) {
        let Some((text, score)) = weighed(class).max_by_key(|(_, score)| points(class, score)) else { continue };
        let most = points(class, &score);
        if most >= threshold {
            let why = format!("an ordinary {class} message would be stopped as promotion ({})", explain(&score));
            section.fault(key, format!("R13: must be more than {most}: {why}: {text:?}"));
        }
    }
}

fn weighed(class: Class) -> impl Iterator<Item = (&'static str, Score)> {
    let lines = HARMLESS.lines().filter_map(|line| line.split_once(' '));
    let texts = lines.filter(move |(word, _)| *word == class.name()).map(|(_, text)| text);
    texts.map(|text| (text, score(&fold::fold(text))))
}

const fn points(class: Class, score: &Score) -> u32 {
    match class {
        Class::Public => score.points_if_trusted,
        _ => score.points,
    }
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
        assert!(weighed(Class::Service).count() > 10 && weighed(Class::Public).count() > 3);
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
